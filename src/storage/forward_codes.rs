//! Codes that carry a sign-in over to a protected host: issued once, taken once.

use diesel::prelude::*;
use diesel::sql_types::{Binary, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use crate::clock::Time;
use crate::domain::audit::{EventKind, Provenance};
use crate::domain::id::SessionId;
use crate::domain::secret::TokenDigest;
use crate::statement;

/// A code about to be issued.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// Its digest.
    pub digest: TokenDigest,
    /// The protected host, by its origin.
    pub host: String,
    /// Digest of the cookie of the browser that began at that host.
    pub state: TokenDigest,
    /// The person's session.
    pub session: SessionId,
    /// Path and query on that host to go on to.
    pub destination: String,
    /// The time of the statement.
    pub now: Time,
    /// When it expires.
    pub expires_at: Time,
}

statement! {
    Give {
        digest: Vec<u8> => Binary, host: String => Text, state: Vec<u8> => Binary, session: Uuid => SqlUuid,
        destination: String => Text, now: Time => Timestamptz, expires_at: Time => Timestamptz,
    } -> Bool,
    ", alive AS (
        SELECT sessions.id, user_id FROM users JOIN sessions ON users.id = sessions.user_id
        WHERE sessions.id = $4 AND token_digest IS NOT NULL AND revoked_at IS NULL
          AND sessions.expires_at > $6 AND status = 'active'
        FOR SHARE
    ), code AS (
        INSERT INTO forward_codes (digest, host, state_digest, session_id, user_id, destination, created_at, expires_at)
        SELECT $1, $2, $3, id, user_id, $5, $6, $7 FROM alive
        RETURNING digest
    )
    SELECT true FROM code"
}

/// Issues a code; `false` when the session or its owner is no longer active.
pub fn give(conn: &mut PgConnection, new: &NewCode) -> Result<bool, StorageError> {
    let statement = Give {
        digest: new.digest.as_bytes().to_vec(),
        host: new.host.clone(),
        state: new.state.as_bytes().to_vec(),
        session: new.session.uuid(),
        destination: new.destination.clone(),
        now: new.now,
        expires_at: new.expires_at,
    };
    Ok(statement.get_result::<bool>(conn).optional()?.is_some())
}

/// A code presented for a host's cookie.
#[derive(Clone, Debug)]
pub struct Redemption {
    /// Digest of the code.
    pub digest: TokenDigest,
    /// The host that it was presented at, by its origin.
    pub host: String,
    /// Digest of the cookie of the browser that presented it.
    pub state: TokenDigest,
    /// Digest of the new cookie.
    pub cookie: TokenDigest,
    /// The cookie that this browser had there before, which ends.
    pub replaced: Option<TokenDigest>,
    /// The time of the statement.
    pub now: Time,
    /// The latest end of the new cookie; that of the session if it is earlier.
    pub expires_at: Time,
    /// Where the request came from.
    pub origin: Provenance,
}

/// What a code gave.
#[derive(Clone, Debug)]
pub struct Redeemed {
    /// Path and query to go on to.
    pub destination: String,
    /// When the cookie ends.
    pub expires_at: Time,
}

statement! {
    Redeem {
        digest: Vec<u8> => Binary, host: String => Text, state: Vec<u8> => Binary, cookie: Vec<u8> => Binary,
        now: Time => Timestamptz, expires_at: Time => Timestamptz, replaced: Option<Vec<u8>> => Nullable<Binary>,
        good: String => Text, bad: String => Text, address_class: Option<String> => Nullable<Text>,
        request_id: Option<String> => Nullable<Text>, detail: Value => Jsonb,
    } -> (Text, Timestamptz),
    // Whoever presents a code uses it up, even in the wrong place: a code that turns up there has leaked.
    ", taken AS (
        DELETE FROM forward_codes WHERE digest = $1
        RETURNING host, state_digest, session_id, user_id, destination, expires_at
    ), alive AS (
        SELECT sessions.id, user_id, ends_at FROM users JOIN sessions ON users.id = sessions.user_id
        WHERE sessions.id = (SELECT session_id FROM taken WHERE host = $2 AND state_digest = $3 AND expires_at > $5)
          AND revoked_at IS NULL AND sessions.expires_at > $5 AND status = 'active'
        FOR SHARE
    ), opened AS (
        INSERT INTO forward_sessions (digest, host, session_id, user_id, created_at, expires_at)
        SELECT $4, $2, id, user_id, $5, least($6, ends_at) FROM alive
        RETURNING expires_at
    ), replaced AS (
        DELETE FROM forward_sessions USING opened WHERE forward_sessions.digest = $7 AND host = $2
    ), event AS (
        INSERT INTO audit_events (at, kind, user_id, session_id, subject, address_class, request_id, detail)
        SELECT $5, CASE WHEN EXISTS (SELECT FROM opened) THEN $8 ELSE $9 END, user_id, session_id, $2, $10, $11, $12 FROM taken
    )
    SELECT destination, opened.expires_at FROM taken, opened"
}

/// Uses a code up and opens the host's cookie. Of any number of callers one gets it; nobody gets it at another host, in
/// another browser, too late, or after the session has ended.
pub fn redeem(conn: &mut PgConnection, redemption: &Redemption) -> Result<Option<Redeemed>, StorageError> {
    let bytes = |digest: &TokenDigest| digest.as_bytes().to_vec();
    let statement = Redeem {
        digest: bytes(&redemption.digest),
        host: redemption.host.clone(),
        state: bytes(&redemption.state),
        cookie: bytes(&redemption.cookie),
        now: redemption.now,
        expires_at: redemption.expires_at,
        replaced: redemption.replaced.as_ref().map(bytes),
        good: EventKind::ForwardSignedIn.as_str().to_owned(),
        bad: EventKind::ForwardCodeRefused.as_str().to_owned(),
        address_class: redemption.origin.address_class.clone(),
        request_id: redemption.origin.request_id.clone(),
        detail: Value::Object(serde_json::Map::new()),
    };
    let row: Option<(String, Time)> = statement.get_result(conn).optional()?;
    Ok(row.map(|(destination, expires_at)| Redeemed { destination, expires_at }))
}
