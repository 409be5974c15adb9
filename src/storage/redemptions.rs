//! Something a person allowed is given, once: an authorization code's tokens, or a waiting device's.
//!
//! One statement uses it up — if nothing that it hangs on ended since it was read — and begins the refresh family, the session
//! that outlives the browser's, and the audit trail from the row it changed. No row: another caller was first, or something
//! ended; nothing was written.
//!
//! To add a kind: a [`redemption!`] with the `UPDATE` that uses it up.

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::StorageError;
use super::sessions::claims_of;
use super::sign_in::NewFamily;
use crate::clock::Time;
use crate::domain::audit::Event;
use crate::domain::id::{Id, SessionId, UserId};
use crate::domain::secret::TokenDigest;
use crate::statement;

/// A redemption about to be made.
#[derive(Clone, Debug)]
pub struct Redemption {
    /// Digest of the code.
    pub digest: TokenDigest,
    /// The client that presented it.
    pub client: String,
    /// About whom.
    pub user: UserId,
    /// The browser session that it was allowed in.
    pub session: SessionId,
    /// The session that the tokens will live with, when they are to outlive the browser's.
    pub offline: Option<SessionId>,
    /// The refresh family, when the client may refresh.
    pub family: Option<NewFamily>,
    /// Authentication context class reference of the sign-in.
    pub acr: String,
    /// Its authentication method references.
    pub amr: Vec<String>,
    /// Our own claim about it.
    pub credential_class: Option<String>,
    /// When it was.
    pub auth_time: Time,
    /// Whether the client is from now on told when the browser session ends.
    pub tells_client: bool,
    /// Now.
    pub now: Time,
}

/// Defines the statement of one kind, and the function that runs it. In `$used` are `alive` (the browser's session), `$1` the
/// digest, `$2` the client and `$5` the time; it returns `grant_id`.
macro_rules! redemption {
    ($(#[$doc:meta])* $function:ident, $name:ident, $used:literal) => {
        statement! {
            $name {
                digest: Vec<u8> => Binary, client: String => Text, user: Uuid => SqlUuid, session: Uuid => SqlUuid,
                now: Time => Timestamptz, offline: Option<Uuid> => Nullable<SqlUuid>,
                acr: String => Text, amr: Vec<String> => Array<Text>, class: Option<String> => Nullable<Text>,
                auth_time: Time => Timestamptz, family: Option<Uuid> => Nullable<SqlUuid>,
                scope: Option<String> => Nullable<Text>, audience: Vec<String> => Array<Text>,
                leaf: Option<Vec<u8>> => Nullable<Binary>, leaf_key: Option<String> => Nullable<Text>,
                leaf_expires_at: Option<Time> => Nullable<Timestamptz>, ends_at: Option<Time> => Nullable<Timestamptz>,
                jkt: Option<String> => Nullable<Text>, tells_client: bool => Bool, kind: String => Text,
                address_class: Option<String> => Nullable<Text>, request_id: Option<String> => Nullable<Text>,
                detail: Value => Jsonb,
            } -> Nullable<Jsonb>,
            concat!(
                ", alive AS (
                    SELECT sessions.id, user_id, credential, user_agent, address_class, hook_claims
                    FROM sessions JOIN users ON users.id = sessions.user_id
                    WHERE sessions.id = $4 AND revoked_at IS NULL AND ends_at > $5 AND status = 'active'
                    FOR SHARE
                ), used AS (", $used, "),
                offline AS (
                    INSERT INTO sessions (id, user_id, client_id, credential, acr, amr, credential_class, auth_time,
                        verified_at, created_at, last_seen_at, expires_at, ends_at, user_agent, address_class, hook_claims)
                    SELECT $6, user_id, $2, credential, $7, $8, $9, $10, $10, $5, $5, $17, $17, user_agent, address_class,
                        hook_claims
                    FROM alive, used WHERE $6 IS NOT NULL
                ), family AS (
                    INSERT INTO refresh_tokens (family, user_id, session_id, client_id, scope, audience, leaf_digest,
                        leaf_key, leaf_issued_at, leaf_expires_at, created_at, ends_at, jkt, offline)
                    SELECT $11, user_id, coalesce($6, id), $2, $12, $13, $14, $15, $5, $16, $5, $17, $18, $6 IS NOT NULL
                    FROM alive, used WHERE $11 IS NOT NULL
                ), told AS (
                    INSERT INTO session_clients (session_id, client_id, first_at) SELECT $4, $2, $5 FROM used WHERE $19
                    ON CONFLICT DO NOTHING
                ), event AS (
                    INSERT INTO audit_events (at, kind, user_id, session_id, client_id, subject, address_class,
                        request_id, detail)
                    SELECT $5, $20, $3, $4, $2, grant_id::text, $21, $22, $23 FROM used
                )
                SELECT hook_claims FROM used, alive"
            )
        }

        $(#[$doc])*
        pub fn $function(conn: &mut PgConnection, redemption: &Redemption, event: &Event) -> Result<Option<Map<String, Value>>, StorageError> {
            let family = redemption.family.as_ref();
            let statement = $name {
                digest: redemption.digest.as_bytes().to_vec(),
                client: redemption.client.clone(),
                user: redemption.user.uuid(),
                session: redemption.session.uuid(),
                now: redemption.now,
                offline: redemption.offline.map(Id::uuid),
                acr: redemption.acr.clone(),
                amr: redemption.amr.clone(),
                class: redemption.credential_class.clone(),
                auth_time: redemption.auth_time,
                family: family.map(|family| family.id.uuid()),
                scope: family.map(|family| family.scope.clone()),
                audience: family.map(|family| family.audience.clone()).unwrap_or_default(),
                leaf: family.map(|family| family.leaf.as_bytes().to_vec()),
                leaf_key: family.map(|family| family.leaf_key.clone()),
                leaf_expires_at: family.map(|family| family.leaf_expires_at),
                ends_at: family.map(|family| family.ends_at),
                jkt: family.and_then(|family| family.jkt.clone()),
                tells_client: redemption.tells_client,
                kind: event.kind.as_str().to_owned(),
                address_class: event.origin.address_class.clone(),
                request_id: event.origin.request_id.clone(),
                detail: event.detail.clone(),
            };
            Ok(statement.get_result::<Option<Value>>(conn).optional()?.map(claims_of))
        }
    };
}

redemption! {
    /// Uses an authorization code up; of any number of callers one gets something: what hooks added to the session.
    of_code, RedeemCode,
    "UPDATE authorization_codes SET used_at = $5 FROM alive
     WHERE digest = $1 AND client_id = $2 AND session_id = alive.id AND authorization_codes.user_id = alive.user_id
       AND used_at IS NULL AND expires_at > $5
     RETURNING grant_id"
}

redemption! {
    /// Uses a waiting device up; of any number of callers one gets something: what hooks added to the session.
    of_device, RedeemDevice,
    "UPDATE device_codes SET used_at = $5 FROM alive
     WHERE digest = $1 AND client_id = $2 AND session_id = alive.id AND device_codes.user_id = alive.user_id
       AND decision = 'allowed' AND used_at IS NULL AND expires_at > $5
     RETURNING grant_id"
}
