//! Refresh families: one row each, with one live leaf.

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::StorageError;
use super::batch::{self, Batch, Locked};
use super::schema::{refresh_tokens, sessions, users};
use super::sessions::{self as session_rows, claims_of};
use super::sign_in::NewFamily;
use super::texts::Texts;
use super::users::{self as people, UserColumns, UserRow, user_columns};
use crate::clock::Time;
use crate::domain::exchange::Origin;
use crate::domain::id::{FamilyId, SessionId, UserId};
use crate::domain::refresh::{Family, Standing};
use crate::domain::scope::Scopes;
use crate::domain::secret::TokenDigest;
use crate::domain::user::{User, UserStatus};
use crate::{batch_statement, statement};

/// A rotation about to be made.
#[derive(Clone, Debug, Serialize)]
pub struct Rotation {
    /// The family.
    pub family: FamilyId,
    /// The client that presented the token.
    pub client: String,
    /// Digest of the presented token's `jti`.
    #[serde(serialize_with = "batch::digest")]
    pub presented: TokenDigest,
    /// Digest of its successor's `jti`; the same digest again for a token that stays.
    #[serde(serialize_with = "batch::digest")]
    pub successor: TokenDigest,
    /// Key id the successor will be signed with; none for a token that stays.
    pub successor_key: Option<String>,
    /// When the successor expires, unless the family ends earlier.
    pub successor_expires_at: Time,
    /// The time of the rotation.
    pub now: Time,
}

/// A rotation that was made.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// When the successor expires.
    pub leaf_expires_at: Time,
    /// Whether the family outlives the browser session it began in.
    pub offline: bool,
    /// The person the tokens are about.
    pub user: User,
    /// What hooks added to the session.
    pub hook_claims: Map<String, Value>,
}

batch_statement! {
    RotateTogether, RotateAlone -> (Integer, Timestamptz, Bool, Nullable<Jsonb>, UserColumns),
    concat!(
        ", rotation AS (
            SELECT * FROM json_to_recordset($1::json) AS rotation (n int, family uuid, presented bytea, client text,
                successor bytea, successor_key text, successor_expires_at timestamptz, now timestamptz)
        ), users AS MATERIALIZED (
            SELECT rotation.*, hook_claims, ", user_columns!(), " FROM rotation
            CROSS JOIN LATERAL (
                SELECT session_id FROM refresh_tokens
                WHERE family = rotation.family AND leaf_digest = presented AND client_id = client AND revoked_at IS NULL
                  AND leaf_expires_at > now AND ends_at > now
                FOR NO KEY UPDATE"
    ),
    concat!(
        "   ) AS live
            CROSS JOIN LATERAL (
                SELECT * FROM sessions WHERE id = session_id AND revoked_at IS NULL AND ends_at > now OFFSET 0
            ) AS sessions
            CROSS JOIN LATERAL (SELECT * FROM users WHERE id = user_id AND status = 'active' OFFSET 0) AS users
        ), rotated AS (
            UPDATE refresh_tokens
            SET previous_digest = leaf_digest, rotated_at = rotation.now, leaf_digest = successor,
                leaf_key = coalesce(successor_key, leaf_key), leaf_issued_at = rotation.now,
                leaf_expires_at = least(successor_expires_at, refresh_tokens.ends_at), generation = generation + 1
            FROM users AS rotation
            WHERE refresh_tokens.family = rotation.family AND refresh_tokens.family = ANY (ARRAY(SELECT family FROM users))
            RETURNING n, leaf_expires_at, offline
        )
        SELECT n, rotated.leaf_expires_at, rotated.offline, hook_claims, ", user_columns!(), " FROM rotated JOIN users USING (n)"
    )
}

/// Makes the successor the leaf if the presented token is the live one and everything it depends on is alive. It is one
/// statement, so exactly one of any number of callers succeeds.
impl Batch for Rotation {
    /// A person's row that cannot be read fails that rotation alone: the tokens of the others are already rotated.
    type Answer = Result<Rotated, StorageError>;
    const LOCKS: bool = true;

    fn all(conn: &mut PgConnection, all: &[Self], locked: Locked) -> Result<Vec<Option<Self::Answer>>, StorageError> {
        let rows = batch::rows(all.iter())?;
        let rotated: Vec<(i32, Time, bool, Option<Value>, UserRow)> = match locked {
            Locked::Skipped => RotateTogether { rows }.load(conn)?,
            Locked::Awaited => RotateAlone { rows }.load(conn)?,
        };
        let rotated = rotated.into_iter().map(|(n, leaf_expires_at, offline, claims, user)| {
            let user = User::try_from(user);
            (n, user.map(|user| Rotated { leaf_expires_at, offline, user, hook_claims: claims_of(claims) }))
        });
        Ok(batch::in_order(all.len(), rotated))
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = refresh_tokens, check_for_backend(diesel::pg::Pg))]
struct Row {
    family: Uuid,
    user_id: Uuid,
    session_id: Uuid,
    client_id: String,
    scope: String,
    #[diesel(deserialize_as = Texts)]
    audience: Vec<String>,
    leaf_digest: Vec<u8>,
    leaf_key: String,
    leaf_issued_at: Time,
    leaf_expires_at: Time,
    previous_digest: Option<Vec<u8>>,
    rotated_at: Option<Time>,
    ends_at: Time,
    revoked_at: Option<Time>,
    offline: bool,
}

/// A family with what it depends on.
#[derive(Clone, Debug)]
pub struct StoredFamily {
    /// The state that decides what a presented token is worth.
    pub family: Family,
    /// Whether the session is alive and the person active.
    pub standing: Standing,
    /// The person the family belongs to.
    pub user: UserId,
    /// In which session.
    pub session: SessionId,
    /// Whether it outlives the browser session it began in.
    pub offline: bool,
    /// Scopes of its tokens.
    pub scope: String,
    /// Audiences of its access tokens.
    pub audience: Vec<String>,
    /// What hooks added to the session.
    pub hook_claims: Map<String, Value>,
}

/// A family, whatever its state, and its owner.
pub fn find_with_user(
    conn: &mut PgConnection,
    id: FamilyId,
    now: Time,
) -> Result<Option<(StoredFamily, User)>, StorageError> {
    let Some(stored) = find(conn, id, now)? else { return Ok(None) };
    Ok(people::find(conn, stored.user)?.map(|user| (stored, user)))
}

/// The owner of a family. A token does not say: it names the person by the id that its client knows.
pub fn owner(conn: &mut PgConnection, id: FamilyId) -> Result<Option<UserId>, StorageError> {
    let owner: Option<Uuid> =
        refresh_tokens::table.find(id.uuid()).select(refresh_tokens::user_id).first(conn).optional()?;
    Ok(owner.map(Into::into))
}

/// An exchange that was made.
#[derive(Clone, Debug)]
pub struct MadeExchange {
    /// By this client.
    pub client: String,
    /// For these audiences.
    pub audience: Vec<String>,
    /// With these scopes.
    pub scopes: Scopes,
    /// What it was made of.
    pub origin: Origin,
}

statement! {
    ExchangesBefore { family: Uuid => SqlUuid } -> (SqlUuid, Text, Array<Text>, Text, Jsonb),
    "SELECT family, client_id, audience, scope, origin FROM (
        WITH RECURSIVE before AS (
            SELECT parent, 1 AS step FROM refresh_tokens WHERE family = $1
            UNION ALL
            SELECT later.parent, step + 1 FROM refresh_tokens AS later JOIN before ON later.family = before.parent
        )
        SELECT * FROM before
    ) AS before
    JOIN refresh_tokens ON family = before.parent
    WHERE origin IS NOT NULL ORDER BY step"
}

/// The exchanges behind the grants that a family derives from, nearest first. Each of them must still hold.
pub fn exchanges_before(conn: &mut PgConnection, id: FamilyId) -> Result<Vec<MadeExchange>, StorageError> {
    type Found = (Uuid, String, Vec<String>, String, Value);
    let rows: Vec<Found> = ExchangesBefore { family: id.uuid() }.load(conn)?;
    let read = |(family, client, audience, scope, origin): Found| {
        let corrupt = |fault: &dyn std::fmt::Display| StorageError::corrupt("refresh_tokens", family, fault);
        let scopes = Scopes::parse(&scope).map_err(|fault| corrupt(&fault))?;
        let origin = serde_json::from_value(origin).map_err(|fault| corrupt(&fault))?;
        Ok(MadeExchange { client, audience, scopes, origin })
    };
    rows.into_iter().map(read).collect()
}

/// A family, whatever its state.
pub fn find(conn: &mut PgConnection, id: FamilyId, now: Time) -> Result<Option<StoredFamily>, StorageError> {
    type Found = (Row, Option<Time>, Time, Option<Value>, String);
    let row: Option<Found> = refresh_tokens::table
        .inner_join(sessions::table.inner_join(users::table))
        .filter(refresh_tokens::family.eq(id.uuid()))
        .select((Row::as_select(), sessions::revoked_at, sessions::ends_at, sessions::hook_claims, users::status))
        .first(conn)
        .optional()?;
    row.map(|(row, revoked_at, ends_at, claims, status)| {
        let alive = revoked_at.is_none() && ends_at > now && status == UserStatus::Active.as_str();
        stored(row, if alive { Standing::Good } else { Standing::Ended }, claims_of(claims))
    })
    .transpose()
}

fn stored(row: Row, standing: Standing, hook_claims: Map<String, Value>) -> Result<StoredFamily, StorageError> {
    let digest = |bytes: &[u8]| {
        TokenDigest::from_stored(bytes)
            .ok_or_else(|| StorageError::corrupt("refresh_tokens", row.family, "a digest is not 32 bytes"))
    };
    Ok(StoredFamily {
        family: Family {
            id: row.family.into(),
            client: row.client_id,
            leaf: digest(&row.leaf_digest)?,
            leaf_issued_at: row.leaf_issued_at,
            leaf_expires_at: row.leaf_expires_at,
            leaf_key: row.leaf_key,
            previous: row.previous_digest.as_deref().map(digest).transpose()?,
            rotated_at: row.rotated_at,
            ends_at: row.ends_at,
            revoked_at: row.revoked_at,
        },
        standing,
        user: row.user_id.into(),
        session: row.session_id.into(),
        offline: row.offline,
        scope: row.scope,
        audience: row.audience,
        hook_claims,
    })
}

statement! {
    Revoke { families: Vec<Uuid> => Array<SqlUuid>, client: Option<String> => Nullable<Text>, reason: String => Text, now: Time => Timestamptz } -> SqlUuid,
    ", gone AS (
        UPDATE refresh_tokens SET revoked_at = $4, revoked_reason = $3
        WHERE family = ANY ($1) AND ($2 IS NULL OR client_id = $2) AND revoked_at IS NULL
        RETURNING family, session_id, borrows_session
    ), ended AS (
        UPDATE sessions SET revoked_at = $4 FROM gone
        WHERE sessions.id = gone.session_id AND NOT gone.borrows_session
          AND sessions.token_digest IS NULL AND sessions.revoked_at IS NULL
    ), refused AS (
        INSERT INTO revoked_tokens (id, until) SELECT family, $4 + interval '1 day' FROM gone ON CONFLICT DO NOTHING
    )
    SELECT family FROM gone"
}

/// Revokes a family (of one client, when given) and everything exchanged for its tokens, and ends its session if that
/// lives only through tokens. Its access tokens, which live a day at most, are refused at once. `false` when there is
/// none or it was revoked before. Call it in the transaction that writes the event.
pub fn revoke(
    conn: &mut PgConnection,
    family: FamilyId,
    client: Option<&str>,
    reason: &str,
    now: Time,
) -> Result<bool, StorageError> {
    let statement =
        Revoke { families: vec![family.uuid()], client: client.map(ToOwned::to_owned), reason: reason.to_owned(), now };
    let revoked = statement.get_result::<Uuid>(conn).optional()?.is_some();
    if revoked {
        revoke_descendants(conn, family, now)?;
    }
    Ok(revoked)
}

/// Why a family ended when a grant it derives from did.
const PARENT_ENDED: &str = "the grant that it came from was revoked";

/// How many families one statement revokes at most, so that it stays within its timeout.
const PORTION: usize = 2000;

/// Revokes what was exchanged for tokens of a grant, or with one of them as the actor token, and in turn what was
/// exchanged for those tokens. Call it in the transaction that revokes the grant.
pub fn revoke_descendants(conn: &mut PgConnection, grant: FamilyId, now: Time) -> Result<(), StorageError> {
    revoke_below(conn, vec![grant.uuid()], now)
}

/// Revokes everything that derives from these grants, one generation after the other.
fn revoke_below(conn: &mut PgConnection, mut grants: Vec<Uuid>, now: Time) -> Result<(), StorageError> {
    while !grants.is_empty() {
        lock_descendants(conn, &grants)?;
        // A separate statement, which sees what was begun before the locks were acquired.
        let children: Vec<Uuid> = refresh_tokens::table
            .filter(refresh_tokens::parent.eq_any(&grants).or(refresh_tokens::actor_grant.eq_any(&grants)))
            .filter(refresh_tokens::revoked_at.is_null())
            .select(refresh_tokens::family)
            .load(conn)?;
        for portion in children.chunks(PORTION) {
            let families = portion.to_vec();
            let statement = Revoke { families, client: None, reason: PARENT_ENDED.to_owned(), now };
            let _revoked: Vec<Uuid> = statement.load(conn)?;
        }
        grants = children;
    }
    Ok(())
}

/// [`revoke_descendants`] for many grants at once, most of which have no descendants.
pub fn revoke_descendants_of_all(conn: &mut PgConnection, grants: &[Uuid], now: Time) -> Result<(), StorageError> {
    let mut with_children: Vec<Uuid> = Vec::new();
    let parents = refresh_tokens::table
        .filter(refresh_tokens::parent.eq_any(grants))
        .filter(refresh_tokens::revoked_at.is_null())
        .select(refresh_tokens::parent);
    with_children.extend(parents.load::<Option<Uuid>>(conn)?.into_iter().flatten());
    let actors = refresh_tokens::table
        .filter(refresh_tokens::actor_grant.eq_any(grants))
        .filter(refresh_tokens::revoked_at.is_null())
        .select(refresh_tokens::actor_grant);
    with_children.extend(actors.load::<Option<Uuid>>(conn)?.into_iter().flatten());
    with_children.sort_unstable();
    with_children.dedup();
    revoke_below(conn, with_children, now)
}

/// How many grants are locked one by one at most: PostgreSQL keeps the locks of all transactions in one table of a few
/// thousand entries.
const LOCKED: usize = 100;

/// Keeps apart the end of grants and the beginning of families by exchanges of their tokens ([`hold_grant`]) until the
/// transaction ends, so that one of them sees the other. When there are many grants, they share 1,024 locks.
fn lock_descendants(conn: &mut PgConnection, grants: &[Uuid]) -> Result<(), StorageError> {
    let statement = if grants.len() <= LOCKED {
        "SELECT pg_advisory_xact_lock(key) FROM (
             SELECT DISTINCT hashtextextended(id::text, 0) AS key FROM unnest($1) AS id ORDER BY key) AS keys"
    } else {
        "SELECT pg_advisory_xact_lock(7276700, key) FROM (
             SELECT DISTINCT hashtext(id::text) & 1023 AS key FROM unnest($1) AS id ORDER BY key) AS keys"
    };
    diesel::sql_query(statement).bind::<Array<SqlUuid>, _>(grants).execute(conn)?;
    Ok(())
}

statement! {
    HoldGrant { grant: Uuid => SqlUuid } -> Bool,
    "SELECT pg_try_advisory_xact_lock_shared(hashtextextended($1::text, 0))
        AND pg_try_advisory_xact_lock_shared(7276700, hashtext($1::text) & 1023)"
}

/// Keeps a grant from being revoked until the transaction ends; others may hold it too. `false` when it is being
/// revoked.
fn hold_grant(conn: &mut PgConnection, grant: Uuid) -> Result<bool, StorageError> {
    Ok(HoldGrant { grant }.get_result(conn)?)
}

/// What a family that an exchange begins depends on.
#[derive(Clone, Debug)]
pub struct Stem {
    /// The session of the subject token; the family lives with it.
    pub session: SessionId,
    /// Whether that session existed before the exchange, and so does not end with the family.
    pub borrowed: bool,
    /// The grant of the subject token; the family ends with it.
    pub parent: Option<Uuid>,
    /// The grant of the actor token; the family ends with it too.
    pub actor_grant: Option<Uuid>,
    /// The exchange itself. What is exchanged for the family's tokens depends on it as well.
    pub origin: Origin,
}

statement! {
    Begin {
        family: Uuid => SqlUuid, session: Uuid => SqlUuid, borrowed: bool => Bool, parent: Option<Uuid> => Nullable<SqlUuid>,
        client: String => Text, scope: String => Text, audience: Vec<String> => Array<Text>, leaf: Vec<u8> => Binary,
        leaf_key: String => Text, leaf_expires_at: Time => Timestamptz, ends_at: Time => Timestamptz,
        jkt: Option<String> => Nullable<Text>, now: Time => Timestamptz, actor_grant: Option<Uuid> => Nullable<SqlUuid>,
        origin: Value => Jsonb,
    } -> SqlUuid,
    ", alive AS (
        SELECT sessions.id, user_id FROM sessions JOIN users ON users.id = sessions.user_id
        WHERE sessions.id = $2 AND revoked_at IS NULL AND ends_at > $13 AND status = 'active'
          AND NOT EXISTS (SELECT FROM revoked_tokens WHERE revoked_tokens.id IN ($4, $14))
          AND NOT EXISTS (SELECT FROM refresh_tokens WHERE refresh_tokens.family IN ($4, $14) AND refresh_tokens.revoked_at IS NOT NULL)
        FOR SHARE
    )
    INSERT INTO refresh_tokens (family, user_id, session_id, client_id, scope, audience, leaf_digest, leaf_key,
        leaf_issued_at, leaf_expires_at, created_at, ends_at, jkt, parent, borrows_session, actor_grant, origin)
    SELECT $1, user_id, id, $5, $6, $7, $8, $9, $13, $10, $13, $11, $12, $4, $3, $14, $15 FROM alive
    RETURNING family"
}

/// Begins a family by an exchange, if the session, the person and the grants of both tokens are still alive; `false`
/// when not. Call it in the transaction that writes the event.
pub fn begin_exchanged(
    conn: &mut PgConnection,
    family: &NewFamily,
    client: &str,
    stem: &Stem,
    now: Time,
) -> Result<bool, StorageError> {
    // Waits only while it holds nothing that a revocation could wait for: first for the person and the session, in the
    // order in which whatever ends them locks them. It never waits for a grant, because one that is being revoked has
    // ended.
    if !session_rows::hold_with_owner(conn, stem.session, now)? {
        return Ok(false);
    }
    for grant in stem.parent.into_iter().chain(stem.actor_grant) {
        if !hold_grant(conn, grant)? {
            return Ok(false);
        }
    }
    let origin = serde_json::to_value(&stem.origin);
    let statement = Begin {
        family: family.id.uuid(),
        session: stem.session.uuid(),
        borrowed: stem.borrowed,
        parent: stem.parent,
        client: client.to_owned(),
        scope: family.scope.clone(),
        audience: family.audience.clone(),
        leaf: family.leaf.as_bytes().to_vec(),
        leaf_key: family.leaf_key.clone(),
        leaf_expires_at: family.leaf_expires_at,
        ends_at: family.ends_at,
        jkt: family.jkt.clone(),
        now,
        actor_grant: stem.actor_grant,
        origin: origin.map_err(|fault| StorageError::corrupt("refresh_tokens", family.id, fault))?,
    };
    Ok(statement.get_result::<Uuid>(conn).optional()?.is_some())
}
