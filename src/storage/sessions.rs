//! Sessions.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::StorageError;
use super::batch::{self, Batch, Locked};
use super::schema::{sessions, users};
use super::texts::Texts;
use super::users::{UserColumns, UserRow, user_columns};
use crate::clock::Time;
use crate::domain::id::{Id, PasskeyId, SessionId, UserId};
use crate::domain::secret::TokenDigest;
use crate::domain::session::Session;
use crate::domain::user::{User, UserStatus};
use crate::statement;

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg))]
pub(super) struct Row {
    id: Uuid,
    user_id: Uuid,
    client_id: Option<String>,
    credential: Option<Uuid>,
    acr: String,
    #[diesel(deserialize_as = Texts)]
    amr: Vec<String>,
    credential_class: Option<String>,
    auth_time: Time,
    verified_at: Time,
    created_at: Time,
    last_seen_at: Time,
    expires_at: Time,
    ends_at: Time,
    user_agent: Option<String>,
    address_class: Option<String>,
    hook_claims: Option<Value>,
}

impl From<Row> for Session {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            user: row.user_id.into(),
            client: row.client_id,
            passkey: row.credential.map(Into::into),
            acr: row.acr,
            amr: row.amr,
            credential_class: row.credential_class,
            auth_time: row.auth_time,
            verified_at: row.verified_at,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
            ends_at: row.ends_at,
            user_agent: row.user_agent,
            address_class: row.address_class,
            hook_claims: claims_of(row.hook_claims),
        }
    }
}

/// The claims that hooks added, from their column.
pub(super) fn claims_of(stored: Option<Value>) -> Map<String, Value> {
    match stored {
        Some(Value::Object(claims)) => claims,
        _ => Map::new(),
    }
}

/// The live session behind a cookie, and its owner: not revoked, not expired, owner active.
pub fn find_live(
    conn: &mut PgConnection,
    cookie: &TokenDigest,
    now: Time,
) -> Result<Option<(Session, User)>, StorageError> {
    let row: Option<(Row, UserRow)> = sessions::table
        .inner_join(users::table)
        .filter(sessions::token_digest.eq(cookie.as_bytes().as_slice()))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::expires_at.gt(now))
        .filter(users::status.eq(UserStatus::Active.as_str()))
        .select((Row::as_select(), UserRow::as_select()))
        .first(conn)
        .optional()?;
    row.map(|(session, user)| Ok((session.into(), user.try_into()?))).transpose()
}

/// The live session that a genuine access token lives with, and its owner; none when the token itself or its grant was
/// revoked. Every place that relies on an access token runs this query, with [`Db::ask`](super::Db::ask).
#[derive(Clone, Copy, Debug)]
pub struct LiveOfToken {
    /// The ids in the token.
    pub token: TokenIds,
    /// The time at which the session must be alive.
    pub now: Time,
}

type SessionColumns = (
    SqlUuid,
    SqlUuid,
    Nullable<Text>,
    Nullable<SqlUuid>,
    Text,
    Array<Text>,
    Nullable<Text>,
    Timestamptz,
    Timestamptz,
    Timestamptz,
    Timestamptz,
    Timestamptz,
    Timestamptz,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Jsonb>,
);

// Arrays instead of the JSON of other batches: everything that relies on an access token runs this, and parsing JSON
// would be a third of its work.
statement! {
    FindLiveOfTokens {
        session: Vec<Uuid> => Array<SqlUuid>, jti: Vec<Option<Uuid>> => Array<Nullable<SqlUuid>>,
        grant: Vec<Option<Uuid>> => Array<Nullable<SqlUuid>>, now: Vec<Time> => Array<Timestamptz>,
    } -> (BigInt, SessionColumns, UserColumns),
    concat!(
        "SELECT n - 1, sessions.id, user_id, client_id, credential, acr, amr, credential_class, auth_time, verified_at,
            sessions.created_at, last_seen_at, expires_at, ends_at, user_agent, address_class, hook_claims, ",
        user_columns!(),
        " FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS token (session, jti, grant_id, now, n)
        CROSS JOIN LATERAL (
            SELECT * FROM sessions
            WHERE id = token.session AND revoked_at IS NULL AND ends_at > token.now
              AND NOT EXISTS (SELECT FROM revoked_tokens WHERE id = token.jti)
              AND NOT EXISTS (SELECT FROM revoked_tokens WHERE id = token.grant_id)
            OFFSET 0
        ) AS sessions
        CROSS JOIN LATERAL (SELECT * FROM users WHERE id = sessions.user_id AND status = 'active' OFFSET 0) AS users"
    )
}

impl Batch for LiveOfToken {
    type Answer = (Session, User);
    const LOCKS: bool = false;

    fn all(conn: &mut PgConnection, all: &[Self], _: Locked) -> Result<Vec<Option<Self::Answer>>, StorageError> {
        let asked = FindLiveOfTokens {
            session: all.iter().map(|one| one.token.session.uuid()).collect(),
            jti: all.iter().map(|one| one.token.jti).collect(),
            grant: all.iter().map(|one| one.token.grant).collect(),
            now: all.iter().map(|one| one.now).collect(),
        };
        let found: Vec<(i64, Row, UserRow)> = asked.load(conn)?;
        let found = found.into_iter().map(|(n, session, user)| Ok((n, (session.into(), user.try_into()?))));
        let found = found.collect::<Result<Vec<_>, StorageError>>()?;
        Ok(batch::in_order(all.len(), found))
    }
}

/// [`LiveOfToken`] on a connection that the caller holds.
pub fn find_live_of_token(
    conn: &mut PgConnection,
    token: &TokenIds,
    now: Time,
) -> Result<Option<(Session, User)>, StorageError> {
    LiveOfToken { token: *token, now }.one(conn)
}

/// The owner of a session, whatever its state.
pub fn owner(conn: &mut PgConnection, id: SessionId) -> Result<Option<UserId>, StorageError> {
    let owner: Option<Uuid> = sessions::table.find(id.uuid()).select(sessions::user_id).first(conn).optional()?;
    Ok(owner.map(Into::into))
}

/// [`hold_live`] for the session together with its owner, who is locked first, as by whatever disables them.
pub fn hold_with_owner(conn: &mut PgConnection, id: SessionId, now: Time) -> Result<bool, StorageError> {
    let Some(owner) = owner(conn, id)? else { return Ok(false) };
    let held: Option<Uuid> = users::table.find(owner.uuid()).select(users::id).for_share().first(conn).optional()?;
    Ok(held.is_some() && hold_live(conn, id, now)?)
}

/// Whether a session is alive; a live one stays alive until the transaction ends.
pub fn hold_live(conn: &mut PgConnection, id: SessionId, now: Time) -> Result<bool, StorageError> {
    let live: Option<Uuid> = sessions::table
        .find(id.uuid())
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::ends_at.gt(now))
        .select(sessions::id)
        .for_share()
        .first(conn)
        .optional()?;
    Ok(live.is_some())
}

/// The ids in an access token that decide whether it is still good.
#[derive(Clone, Copy, Debug)]
pub struct TokenIds {
    /// The session that it lives with.
    pub session: SessionId,
    /// Its own id, under which it may have been revoked alone.
    pub jti: Option<Uuid>,
    /// The grant's, under which it may have been revoked with all that the grant gave.
    pub grant: Option<Uuid>,
}

/// A person's live sessions, last seen first. A session whose cookie has lapsed is included, because tokens still live
/// with it.
pub fn live_of(conn: &mut PgConnection, user: UserId, now: Time) -> Result<Vec<Session>, StorageError> {
    let rows: Vec<Row> = sessions::table
        .filter(sessions::user_id.eq(user.uuid()))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::ends_at.gt(now))
        .order((sessions::last_seen_at.desc(), sessions::id))
        .select(Row::as_select())
        .load(conn)?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Moves a session's sliding end.
pub fn slide(conn: &mut PgConnection, id: SessionId, now: Time, expires_at: Time) -> Result<(), StorageError> {
    diesel::update(sessions::table.find(id.uuid()).filter(sessions::revoked_at.is_null()))
        .set((sessions::last_seen_at.eq(now), sessions::expires_at.eq(expires_at)))
        .execute(conn)?;
    Ok(())
}

/// Makes the verification of every session that one of a person's passkeys opened count as old, so that sensitive
/// actions require a new one.
pub fn make_stale(conn: &mut PgConnection, owner: UserId, passkey: PasskeyId) -> Result<(), StorageError> {
    // Also by owner, because only that column has an index.
    let opened =
        sessions::table.filter(sessions::user_id.eq(owner.uuid())).filter(sessions::credential.eq(passkey.uuid()));
    diesel::update(opened).set(sessions::verified_at.eq(Time::UNIX_EPOCH)).execute(conn)?;
    Ok(())
}

/// Ends one of a person's sessions and everything issued in it; `false` when there is no such live one.
pub fn revoke(conn: &mut PgConnection, owner: UserId, id: SessionId, now: Time) -> Result<bool, StorageError> {
    let changed = diesel::update(
        sessions::table
            .find(id.uuid())
            .filter(sessions::user_id.eq(owner.uuid()))
            .filter(sessions::revoked_at.is_null())
            .filter(sessions::ends_at.gt(now)),
    )
    .set(sessions::revoked_at.eq(now))
    .execute(conn)?;
    Ok(changed == 1)
}

/// Ends every session of a person but one. Returns the ids of those that ended. The person is locked first, and
/// whatever begins a session locks them too: a session begun at this moment either is among those that end, or is not
/// begun. Call it in a transaction.
pub fn revoke_others(
    conn: &mut PgConnection,
    owner: UserId,
    keep: Option<SessionId>,
    now: Time,
) -> Result<Vec<SessionId>, StorageError> {
    let held: Option<Uuid> =
        users::table.find(owner.uuid()).select(users::id).for_no_key_update().first(conn).optional()?;
    if held.is_none() {
        return Ok(Vec::new());
    }
    let keep = keep.map_or_else(Uuid::nil, Id::uuid);
    // A separate statement, which sees what was begun before the lock was acquired.
    let ended: Vec<Uuid> = diesel::update(
        sessions::table
            .filter(sessions::user_id.eq(owner.uuid()))
            .filter(sessions::id.ne(keep))
            .filter(sessions::revoked_at.is_null())
            .filter(sessions::ends_at.gt(now)),
    )
    .set(sessions::revoked_at.eq(now))
    .returning(sessions::id)
    .get_results(conn)?;
    Ok(ended.into_iter().map(Into::into).collect())
}

/// Ends a session that exists only through the tokens of one client; `false` when there is no such live one.
pub fn revoke_of_client(conn: &mut PgConnection, id: SessionId, client: &str, now: Time) -> Result<bool, StorageError> {
    let changed = diesel::update(
        sessions::table
            .find(id.uuid())
            .filter(sessions::client_id.eq(client))
            .filter(sessions::token_digest.is_null())
            .filter(sessions::revoked_at.is_null()),
    )
    .set(sessions::revoked_at.eq(now))
    .execute(conn)?;
    Ok(changed == 1)
}

/// Ends the sessions that a passkey opened, except `keep`: removing the passkey of a lost device ends what is signed in
/// there. Returns how many.
pub fn revoke_opened_by(
    conn: &mut PgConnection,
    passkey: PasskeyId,
    owner: UserId,
    keep: Option<SessionId>,
    now: Time,
) -> Result<usize, StorageError> {
    let ended = diesel::update(
        sessions::table
            .filter(sessions::user_id.eq(owner.uuid()))
            .filter(sessions::credential.eq(passkey.uuid()))
            .filter(sessions::id.ne(keep.map_or_else(Uuid::nil, Id::uuid)))
            .filter(sessions::revoked_at.is_null()),
    )
    .set(sessions::revoked_at.eq(now))
    .execute(conn)?;
    Ok(ended)
}
