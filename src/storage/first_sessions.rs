//! Sessions that no existing passkey opens: those of people who have just been created, and those that a trusted
//! issuer's token opens.

use diesel::prelude::*;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::StorageError;
use super::sign_in::{NewFamily, NewSession, stored_hook_claims};
use crate::clock::Time;
use crate::domain::audit::{Event, Provenance};
use crate::domain::id::{PasskeyId, SessionId, UserId};
use crate::domain::user::UserStatus;

/// A session that a trusted issuer's token opens: it proves no factor of ours, and serves only the token issued in it.
#[derive(Clone, Debug)]
pub struct ForeignSession {
    /// Its id.
    pub id: SessionId,
    /// The client that it is for; none where nothing is issued in it.
    pub client: Option<String>,
    /// When the person signed in, if the issuer says so.
    pub auth_time: Option<Time>,
    /// The time at which the session opens.
    pub now: Time,
    /// Its end.
    pub ends_at: Time,
    /// Where the request came from.
    pub origin: Provenance,
}

/// Opens the session, with the claims that hooks add to its tokens, if the person is active; `false` when not.
pub fn open_foreign(
    conn: &mut PgConnection,
    user: UserId,
    session: &ForeignSession,
    hook_claims: &Map<String, Value>,
) -> Result<bool, StorageError> {
    use super::schema::{sessions, users};
    let active: Option<Uuid> = users::table
        .find(user.uuid())
        .filter(users::status.eq(UserStatus::Active.as_str()))
        .select(users::id)
        .for_share()
        .first(conn)
        .optional()?;
    if active.is_none() {
        return Ok(false);
    }
    diesel::insert_into(sessions::table)
        .values((
            (
                sessions::id.eq(session.id.uuid()),
                sessions::user_id.eq(user.uuid()),
                sessions::client_id.eq(&session.client),
                sessions::acr.eq("0"),
                sessions::amr.eq(Vec::<String>::new()),
                // An unknown sign-in time counts as the oldest possible, so that it never satisfies an age limit.
                sessions::auth_time.eq(session.auth_time.unwrap_or(Time::UNIX_EPOCH)),
                // What somebody else verified never counts as fresh here.
                sessions::verified_at.eq(Time::UNIX_EPOCH),
            ),
            (
                sessions::created_at.eq(session.now),
                sessions::last_seen_at.eq(session.now),
                sessions::expires_at.eq(session.ends_at),
                sessions::ends_at.eq(session.ends_at),
                sessions::user_agent.eq(&session.origin.user_agent),
                sessions::address_class.eq(&session.origin.address_class),
                sessions::hook_claims.eq(stored_hook_claims(hook_claims)),
            ),
        ))
        .execute(conn)?;
    Ok(true)
}

/// Opens the session of a person who has just been created, in the transaction that creates them.
pub fn open_first(
    conn: &mut PgConnection,
    user: UserId,
    passkey: PasskeyId,
    session: &NewSession,
    family: Option<&NewFamily>,
    event: &Event,
) -> Result<(), StorageError> {
    use super::schema::{refresh_tokens, session_clients, sessions};
    diesel::insert_into(sessions::table)
        .values((
            (
                sessions::id.eq(session.id.uuid()),
                sessions::user_id.eq(user.uuid()),
                sessions::token_digest.eq(session.cookie.as_ref().map(|digest| digest.as_bytes().to_vec())),
                sessions::client_id.eq(&session.client),
                sessions::credential.eq(passkey.uuid()),
                sessions::acr.eq(&session.acr),
                sessions::amr.eq(&session.amr),
                sessions::credential_class.eq(&session.credential_class),
            ),
            (
                sessions::auth_time.eq(session.now),
                sessions::verified_at.eq(session.now),
                sessions::created_at.eq(session.now),
                sessions::last_seen_at.eq(session.now),
                sessions::expires_at.eq(session.expires_at),
                sessions::ends_at.eq(session.ends_at),
                sessions::user_agent.eq(&event.origin.user_agent),
                sessions::address_class.eq(&event.origin.address_class),
                sessions::hook_claims.eq(stored_hook_claims(&session.hook_claims)),
            ),
        ))
        .execute(conn)?;
    if let (true, Some(client)) = (session.tells_client, &session.client) {
        diesel::insert_into(session_clients::table)
            .values((
                session_clients::session_id.eq(session.id.uuid()),
                session_clients::client_id.eq(client),
                session_clients::first_at.eq(session.now),
            ))
            .execute(conn)?;
    }
    if let (Some(family), Some(client)) = (family, &session.client) {
        diesel::insert_into(refresh_tokens::table)
            .values((
                refresh_tokens::family.eq(family.id.uuid()),
                refresh_tokens::user_id.eq(user.uuid()),
                refresh_tokens::session_id.eq(session.id.uuid()),
                refresh_tokens::client_id.eq(client),
                refresh_tokens::scope.eq(&family.scope),
                refresh_tokens::audience.eq(&family.audience),
                refresh_tokens::leaf_digest.eq(family.leaf.as_bytes().as_slice()),
                refresh_tokens::leaf_key.eq(&family.leaf_key),
                refresh_tokens::leaf_issued_at.eq(session.now),
                refresh_tokens::leaf_expires_at.eq(family.leaf_expires_at),
                refresh_tokens::created_at.eq(session.now),
                refresh_tokens::ends_at.eq(family.ends_at),
                refresh_tokens::jkt.eq(&family.jkt),
            ))
            .execute(conn)?;
    }
    super::audit::insert(conn, event)
}
