//! The write of a finished authentication: one cached statement, for as many as finish at once.
//!
//! Its conditions check again what was read before the signature was verified: the passkey is neither suspended nor
//! overtaken by another counter, and the person is active and at the same epoch. The session, the refresh family and
//! the audit event are inserted from the row it changed. If it returns no row, the sign-in is refused and nothing was
//! written.

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Integer};
use serde::Serialize;
use serde_json::{Map, Value};

use super::StorageError;
use super::batch::{self, Batch, Locked};
use crate::batch_statement;
use crate::clock::Time;
use crate::domain::audit::Event;
use crate::domain::counter::CounterRule;
use crate::domain::id::{FamilyId, PasskeyId, SessionId, UserId};
use crate::domain::secret::TokenDigest;

/// A verified assertion about to be recorded.
#[derive(Clone, Debug)]
pub struct VerifiedAssertion {
    /// The passkey that signed.
    pub passkey: PasskeyId,
    /// Its owner.
    pub user: UserId,
    /// The owner's epoch when the rows were read.
    pub epoch: i64,
    /// The counter it sent.
    pub sign_count: u32,
    /// The rule it is held to.
    pub rule: CounterRule,
    /// User verification in this assertion.
    pub user_verified: bool,
    /// Backup eligible, as of now.
    pub backup_eligible: bool,
    /// Backed up, as of now.
    pub backup_state: bool,
}

/// A session about to be opened.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Digest of its cookie; none when it lives through tokens only.
    pub cookie: Option<TokenDigest>,
    /// The client it is for.
    pub client: Option<String>,
    /// Authentication context class reference.
    pub acr: String,
    /// Authentication method references.
    pub amr: Vec<String>,
    /// The `credential_class` claim.
    pub credential_class: String,
    /// The time of the sign-in.
    pub now: Time,
    /// First sliding end.
    pub expires_at: Time,
    /// Absolute end.
    pub ends_at: Time,
    /// Whether its client gets an ID token, and is to be notified when the session ends.
    pub tells_client: bool,
    /// What hooks add to its tokens.
    pub hook_claims: Map<String, Value>,
}

/// The claims that hooks add, as the column stores them.
pub(super) fn stored_hook_claims(claims: &Map<String, Value>) -> Option<Value> {
    (!claims.is_empty()).then(|| Value::Object(claims.clone()))
}

/// A refresh family about to be begun.
#[derive(Clone, Debug)]
pub struct NewFamily {
    /// Its id.
    pub id: FamilyId,
    /// Scopes of its tokens.
    pub scope: String,
    /// Audiences of its access tokens.
    pub audience: Vec<String>,
    /// Digest of the first token's `jti`.
    pub leaf: TokenDigest,
    /// Key id of the first token.
    pub leaf_key: String,
    /// When the first token expires if it is not used.
    pub leaf_expires_at: Time,
    /// Absolute end of the family.
    pub ends_at: Time,
    /// The DPoP key that it is bound to, by its thumbprint.
    pub jkt: Option<String>,
}

/// A sign-in about to be recorded. Run it with [`Db::ask`](super::Db::ask).
///
/// Returns every credential id that its owner has under that RP id (for the signals to the passkey manager); none when
/// a condition no longer holds.
#[derive(Clone, Debug)]
pub struct NewSignIn {
    /// What was verified.
    pub assertion: VerifiedAssertion,
    /// The session that it opens.
    pub session: NewSession,
    /// The refresh family that begins in it.
    pub family: Option<NewFamily>,
    /// The audit event.
    pub event: Event,
}

/// A family in the form that the statements read that begin one.
#[derive(Serialize)]
pub(super) struct FamilyRow<'a> {
    family: FamilyId,
    scope: &'a str,
    audience: &'a [String],
    #[serde(serialize_with = "batch::digest")]
    leaf: TokenDigest,
    leaf_key: &'a str,
    leaf_expires_at: Time,
    family_ends_at: Time,
    jkt: Option<&'a str>,
}

impl<'a> From<&'a NewFamily> for FamilyRow<'a> {
    fn from(family: &'a NewFamily) -> Self {
        Self {
            family: family.id,
            scope: &family.scope,
            audience: &family.audience,
            leaf: family.leaf,
            leaf_key: &family.leaf_key,
            leaf_expires_at: family.leaf_expires_at,
            family_ends_at: family.ends_at,
            jkt: family.jkt.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct SignInRow<'a> {
    passkey: PasskeyId,
    person: UserId,
    epoch: i64,
    counter: u32,
    may_repeat: bool,
    verified: bool,
    eligible: bool,
    backed_up: bool,
    session: SessionId,
    #[serde(serialize_with = "batch::optional_digest")]
    cookie: Option<TokenDigest>,
    client: Option<&'a str>,
    acr: &'a str,
    amr: &'a [String],
    class: &'a str,
    now: Time,
    expires_at: Time,
    ends_at: Time,
    tells_client: bool,
    hook_claims: Option<&'a Map<String, Value>>,
    #[serde(flatten)]
    family: Option<FamilyRow<'a>>,
    kind: &'static str,
    user_agent: Option<&'a str>,
    address_class: Option<&'a str>,
    request_id: Option<&'a str>,
    detail: &'a Value,
}

impl<'a> From<&'a NewSignIn> for SignInRow<'a> {
    fn from(new: &'a NewSignIn) -> Self {
        let NewSignIn { assertion, session, family, event } = new;
        Self {
            passkey: assertion.passkey,
            person: assertion.user,
            epoch: assertion.epoch,
            counter: assertion.sign_count,
            may_repeat: assertion.rule == CounterRule::MayRepeat,
            verified: assertion.user_verified,
            eligible: assertion.backup_eligible,
            backed_up: assertion.backup_state,
            session: session.id,
            cookie: session.cookie,
            client: session.client.as_deref(),
            acr: &session.acr,
            amr: &session.amr,
            class: &session.credential_class,
            now: session.now,
            expires_at: session.expires_at,
            ends_at: session.ends_at,
            tells_client: session.tells_client,
            hook_claims: Some(&session.hook_claims).filter(|claims| !claims.is_empty()),
            family: family.as_ref().map(FamilyRow::from),
            kind: event.kind.as_str(),
            user_agent: event.origin.user_agent.as_deref(),
            address_class: event.origin.address_class.as_deref(),
            request_id: event.origin.request_id.as_deref(),
            detail: &event.detail,
        }
    }
}

batch_statement! {
    SignInTogether, SignInAlone -> (Integer, Array<Binary>),
    ", asked AS (
        SELECT * FROM json_to_recordset($1::json) AS asked (n int, passkey uuid, person uuid, epoch bigint, counter bigint,
            may_repeat bool, verified bool, eligible bool, backed_up bool, session uuid, cookie bytea, client text, acr text,
            amr text[], class text, now timestamptz, expires_at timestamptz, ends_at timestamptz, tells_client bool,
            hook_claims jsonb, family uuid, scope text, audience text[], leaf bytea, leaf_key text,
            leaf_expires_at timestamptz, family_ends_at timestamptz, jkt text, kind text, user_agent text,
            address_class text, request_id text, detail jsonb)
    ), live AS MATERIALIZED (
        SELECT asked.*, held.rp_id, held.name FROM asked
        CROSS JOIN LATERAL (
            SELECT id FROM users WHERE id = person AND status = 'active' AND users.epoch = asked.epoch FOR SHARE",
    "   ) AS owner
        JOIN LATERAL (
            SELECT user_id, rp_id, name FROM credentials
            WHERE id = asked.passkey AND suspended_at IS NULL
              AND (may_repeat OR first_use_pending OR sign_count < counter OR (sign_count = 0 AND counter = 0))
            FOR NO KEY UPDATE",
    "   ) AS held ON held.user_id = owner.id
    ), lowest AS (
        -- Of two answers of one passkey the other goes alone, after this one: in the other order it would look like a clone's.
        SELECT DISTINCT ON (passkey) * FROM live ORDER BY passkey, counter, n
    ), used AS (
        UPDATE credentials
        SET sign_count = CASE WHEN first_use_pending THEN counter ELSE greatest(sign_count, counter) END,
            user_verified = user_verified OR verified, backup_eligible = eligible, backup_state = backed_up,
            last_used_at = now, first_use_pending = false, backup_flags_known = true
        FROM lowest AS live
        WHERE credentials.id = live.passkey AND credentials.id = ANY (ARRAY(SELECT passkey FROM lowest))
        RETURNING n
    ), done AS MATERIALIZED (
        SELECT live.* FROM live JOIN used USING (n)
    ), session AS (
        INSERT INTO sessions (id, user_id, token_digest, client_id, credential, acr, amr, credential_class, auth_time,
            verified_at, created_at, last_seen_at, expires_at, ends_at, user_agent, address_class, hook_claims)
        SELECT session, person, cookie, client, passkey, acr, amr, class, now, now, now, now, expires_at, ends_at,
            user_agent, address_class, hook_claims
        FROM done
    ), family AS (
        INSERT INTO refresh_tokens (family, user_id, session_id, client_id, scope, audience, leaf_digest, leaf_key,
            leaf_issued_at, leaf_expires_at, created_at, ends_at, jkt)
        SELECT family, person, session, client, scope, audience, leaf, leaf_key, now, leaf_expires_at, now,
            family_ends_at, jkt
        FROM done WHERE family IS NOT NULL
    ), told AS (
        INSERT INTO session_clients (session_id, client_id, first_at) SELECT session, client, now FROM done WHERE tells_client
    ), event AS (
        INSERT INTO audit_events (at, kind, user_id, session_id, client_id, subject, subject_name, address_class,
            request_id, detail)
        SELECT now, kind, person, session, client, passkey::text, name, address_class, request_id, detail FROM done
    )
    SELECT n, ARRAY(
        SELECT credential_id FROM credentials
        WHERE credentials.user_id = person AND credentials.rp_id = done.rp_id ORDER BY created_at)
    FROM done"
}

impl Batch for NewSignIn {
    type Answer = Vec<Vec<u8>>;
    const LOCKS: bool = true;

    fn all(conn: &mut PgConnection, all: &[Self], locked: Locked) -> Result<Vec<Option<Self::Answer>>, StorageError> {
        let rows = batch::rows(all.iter().map(SignInRow::from))?;
        let written: Vec<(i32, Vec<Vec<u8>>)> = match locked {
            Locked::Skipped => SignInTogether { rows }.load(conn)?,
            Locked::Awaited => SignInAlone { rows }.load(conn)?,
        };
        Ok(batch::in_order(all.len(), written))
    }
}
