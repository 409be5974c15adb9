//! Redeems, once, what a person allowed: the tokens for an authorization code, or for a waiting device.
//!
//! One statement uses it up, provided that nothing it depends on has ended since it was read. From the row it changed,
//! the statement also begins the refresh family and the session that outlives the browser's, and writes the audit
//! event. If it returns no row, another caller was first or something had ended, and nothing was written. It runs for
//! many callers at once; see [`batch`].
//!
//! To add a kind: invoke `redemption!` with its table.

use diesel::prelude::*;
use diesel::sql_types::{Integer, Jsonb, Nullable};
use serde::Serialize;
use serde_json::{Map, Value};

use super::StorageError;
use super::batch::{self, Batch, Locked};
use super::sessions::claims_of;
use super::sign_in::{FamilyRow, NewFamily};
use crate::batch_statement;
use crate::clock::Time;
use crate::domain::audit::Event;
use crate::domain::id::{SessionId, UserId};
use crate::domain::secret::TokenDigest;

/// A redemption about to be made.
#[derive(Clone, Debug)]
pub struct Redemption {
    /// Digest of the code.
    pub digest: TokenDigest,
    /// The client that presented it.
    pub client: String,
    /// The person the tokens are about.
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
    /// When it took place.
    pub auth_time: Time,
    /// Whether the client is notified, from now on, when the browser session ends.
    pub tells_client: bool,
    /// The time of the redemption.
    pub now: Time,
    /// The audit event.
    pub event: Event,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(serialize_with = "batch::digest")]
    digest: TokenDigest,
    client: &'a str,
    person: UserId,
    browser: SessionId,
    now: Time,
    offline: Option<SessionId>,
    acr: &'a str,
    amr: &'a [String],
    class: Option<&'a str>,
    auth_time: Time,
    #[serde(flatten)]
    family: Option<FamilyRow<'a>>,
    tells_client: bool,
    kind: &'static str,
    asked_from: Option<&'a str>,
    request_id: Option<&'a str>,
    detail: &'a Value,
}

impl<'a> From<&'a Redemption> for Row<'a> {
    fn from(redemption: &'a Redemption) -> Self {
        let event = &redemption.event;
        Self {
            digest: redemption.digest,
            client: &redemption.client,
            person: redemption.user,
            browser: redemption.session,
            now: redemption.now,
            offline: redemption.offline,
            acr: &redemption.acr,
            amr: &redemption.amr,
            class: redemption.credential_class.as_deref(),
            auth_time: redemption.auth_time,
            family: redemption.family.as_ref().map(FamilyRow::from),
            tells_client: redemption.tells_client,
            kind: event.kind.as_str(),
            asked_from: event.origin.address_class.as_deref(),
            request_id: event.origin.request_id.as_deref(),
            detail: &event.detail,
        }
    }
}

/// Defines one kind by its table and the conditions on a row besides being unused and unexpired.
macro_rules! redemption {
    ($(#[$doc:meta])* $kind:ident, $together:ident, $alone:ident, $table:literal, $condition:literal) => {
        batch_statement! {
            $together, $alone -> (Integer, Nullable<Jsonb>),
            ", asked AS (
                SELECT * FROM json_to_recordset($1::json) AS asked (n int, digest bytea, client text, person uuid,
                    browser uuid, now timestamptz, offline uuid, acr text, amr text[], class text, auth_time timestamptz,
                    family uuid, scope text, audience text[], leaf bytea, leaf_key text, leaf_expires_at timestamptz,
                    family_ends_at timestamptz, jkt text, tells_client bool, kind text, asked_from text, request_id text,
                    detail jsonb)
            ), live AS MATERIALIZED (
                -- The person is locked first, as whatever ends sessions locks them; the words about them keep that order.
                SELECT asked.*, credential, user_agent, address_class, hook_claims FROM asked
                CROSS JOIN LATERAL (SELECT id FROM users WHERE id = person AND status = 'active' FOR SHARE",
            ") AS owner
                JOIN LATERAL (
                    SELECT * FROM sessions
                    WHERE id = browser AND owner.id IS NOT NULL AND revoked_at IS NULL AND ends_at > now
                    FOR SHARE",
            concat!(
                ") AS alive ON alive.user_id = owner.id
                CROSS JOIN LATERAL (
                    SELECT FROM ", $table, " AS allowed
                    WHERE allowed.digest = asked.digest AND client_id = client AND session_id = browser
                      AND allowed.user_id = person AND used_at IS NULL AND allowed.expires_at > now ", $condition, "
                    FOR NO KEY UPDATE"
            ),
            concat!(
                ") AS allowed
            ), used AS (
                UPDATE ", $table, " AS allowed SET used_at = now FROM live
                WHERE allowed.digest = live.digest AND allowed.digest = ANY (ARRAY(SELECT digest FROM live))
                RETURNING n, grant_id
            ), done AS MATERIALIZED (
                SELECT live.*, grant_id FROM live JOIN used USING (n)
            ), outliving AS (
                INSERT INTO sessions (id, user_id, client_id, credential, acr, amr, credential_class, auth_time, verified_at,
                    created_at, last_seen_at, expires_at, ends_at, user_agent, address_class, hook_claims)
                SELECT offline, person, client, credential, acr, amr, class, auth_time, auth_time, now, now, family_ends_at,
                    family_ends_at, user_agent, address_class, hook_claims
                FROM done WHERE offline IS NOT NULL
            ), begun AS (
                INSERT INTO refresh_tokens (family, user_id, session_id, client_id, scope, audience, leaf_digest, leaf_key,
                    leaf_issued_at, leaf_expires_at, created_at, ends_at, jkt, offline)
                SELECT family, person, coalesce(offline, browser), client, scope, audience, leaf, leaf_key, now,
                    leaf_expires_at, now, family_ends_at, jkt, offline IS NOT NULL
                FROM done WHERE family IS NOT NULL
            ), told AS (
                INSERT INTO session_clients (session_id, client_id, first_at)
                SELECT browser, client, now FROM done WHERE tells_client
                ON CONFLICT DO NOTHING
            ), event AS (
                INSERT INTO audit_events (at, kind, user_id, session_id, client_id, subject, address_class, request_id, detail)
                SELECT now, kind, person, browser, client, grant_id::text, asked_from, request_id, detail FROM done
            )
            SELECT n, hook_claims FROM done"
            ),
        }

        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $kind(pub Redemption);

        impl Batch for $kind {
            type Answer = Map<String, Value>;
            const LOCKS: bool = true;

            fn all(conn: &mut PgConnection, all: &[Self], locked: Locked) -> Result<Vec<Option<Self::Answer>>, StorageError> {
                let rows = batch::rows(all.iter().map(|Self(redemption)| Row::from(redemption)))?;
                let used: Vec<(i32, Option<Value>)> = match locked {
                    Locked::Skipped => $together { rows }.load(conn)?,
                    Locked::Awaited => $alone { rows }.load(conn)?,
                };
                Ok(batch::in_order(all.len(), used.into_iter().map(|(n, claims)| (n, claims_of(claims)))))
            }
        }
    };
}

redemption! {
    /// Uses up an authorization code. Of any number of callers one succeeds, and gets what hooks added to the session.
    OfCode, RedeemCodes, RedeemCode, "authorization_codes", ""
}

redemption! {
    /// Uses up the grant of a waiting device. Of any number of callers one succeeds, and gets what hooks added to the
    /// session.
    OfDevice, RedeemDevices, RedeemDevice, "device_codes", "AND decision = 'allowed'"
}
