//! The write of a finished authentication: one cached statement, for as many as finish at once.
//!
//! Its conditions repeat what was read before the signature was checked — passkey neither suspended nor overtaken by
//! another counter, person active and under the same epoch — and the session, the refresh family and the audit event are
//! inserted from the row it changed. No row: refused, and nothing was written.

use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::StorageError;
use super::batch::{self, Batch, Locked, Queue, Queues};
use crate::clock::Time;
use crate::domain::audit::{Event, Provenance};
use crate::domain::counter::CounterRule;
use crate::domain::id::{FamilyId, PasskeyId, SessionId, UserId};
use crate::domain::secret::TokenDigest;
use crate::domain::user::UserStatus;
use crate::{batch_statement, statement};

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
    /// Our own claim.
    pub credential_class: String,
    /// Now.
    pub now: Time,
    /// First sliding end.
    pub expires_at: Time,
    /// Absolute end.
    pub ends_at: Time,
    /// Whether its client gets an ID token, and wants to hear when the session ends.
    pub tells_client: bool,
    /// What hooks add to its tokens.
    pub hook_claims: Map<String, Value>,
}

fn stored_hook_claims(claims: &Map<String, Value>) -> Option<Value> {
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
    /// End of the first token, unused.
    pub leaf_expires_at: Time,
    /// Absolute end of the family.
    pub ends_at: Time,
    /// The DPoP key that it is bound to, by its thumbprint.
    pub jkt: Option<String>,
}

/// A sign-in about to be recorded: asked for with [`Db::ask`](super::Db::ask).
///
/// Gives every credential id its owner has under that RP id (for the signals to the passkey manager); none when a condition no
/// longer holds.
#[derive(Clone, Debug)]
pub struct NewSignIn {
    /// What was verified.
    pub assertion: VerifiedAssertion,
    /// The session that it opens.
    pub session: NewSession,
    /// The refresh family that begins in it.
    pub family: Option<NewFamily>,
    /// What is written down.
    pub event: Event,
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
    family: Option<FamilyId>,
    scope: Option<&'a str>,
    audience: Option<&'a [String]>,
    #[serde(serialize_with = "batch::optional_digest")]
    leaf: Option<TokenDigest>,
    leaf_key: Option<&'a str>,
    leaf_expires_at: Option<Time>,
    family_ends_at: Option<Time>,
    jkt: Option<&'a str>,
    kind: &'static str,
    user_agent: Option<&'a str>,
    address_class: Option<&'a str>,
    request_id: Option<&'a str>,
    detail: &'a Value,
}

impl<'a> From<&'a NewSignIn> for SignInRow<'a> {
    fn from(new: &'a NewSignIn) -> Self {
        let NewSignIn { assertion, session, family, event } = new;
        let family = family.as_ref();
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
            family: family.map(|family| family.id),
            scope: family.map(|family| family.scope.as_str()),
            audience: family.map(|family| family.audience.as_slice()),
            leaf: family.map(|family| family.leaf),
            leaf_key: family.map(|family| family.leaf_key.as_str()),
            leaf_expires_at: family.map(|family| family.leaf_expires_at),
            family_ends_at: family.map(|family| family.ends_at),
            jkt: family.and_then(|family| family.jkt.as_deref()),
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
    ), used AS (
        UPDATE credentials
        SET sign_count = CASE WHEN first_use_pending THEN counter ELSE greatest(sign_count, counter) END,
            user_verified = user_verified OR verified, backup_eligible = eligible, backup_state = backed_up,
            last_used_at = now, first_use_pending = false, backup_flags_known = true
        FROM live
        WHERE credentials.id = live.passkey AND credentials.id = ANY (ARRAY(SELECT passkey FROM live))
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

    fn queue(queues: &Queues) -> &Arc<Queue<Self>> {
        &queues.sign_ins
    }

    fn all(conn: &mut PgConnection, all: &[Self], locked: Locked) -> Result<Vec<Option<Self::Answer>>, StorageError> {
        let rows = batch::rows(all.iter().map(SignInRow::from))?;
        let written: Vec<(i32, Vec<Vec<u8>>)> = match locked {
            Locked::Skipped => SignInTogether { rows }.load(conn)?,
            Locked::Awaited => SignInAlone { rows }.load(conn)?,
        };
        Ok(batch::in_order(all.len(), written))
    }
}

statement! {
    StepUp {
        passkey: Uuid => SqlUuid, user: Uuid => SqlUuid, epoch: i64 => BigInt,
        sign_count: i64 => BigInt, may_repeat: bool => Bool, user_verified: bool => Bool,
        backup_eligible: bool => Bool, backup_state: bool => Bool,
        session: Uuid => SqlUuid, cookie: Vec<u8> => Binary,
        acr: String => Text, amr: Vec<String> => Array<Text>, class: String => Text, now: Time => Timestamptz,
        kind: String => Text, address_class: Option<String> => Nullable<Text>,
        request_id: Option<String> => Nullable<Text>, detail: Value => Jsonb,
    } -> Array<Binary>,
    ", person AS (
        SELECT users.id FROM users JOIN sessions ON sessions.user_id = users.id
        WHERE users.id = $2 AND status = 'active' AND epoch = $3
          AND sessions.id = $9 AND revoked_at IS NULL AND sessions.expires_at > $14
        FOR SHARE OF users FOR UPDATE OF sessions
    ), passkey AS (
        UPDATE credentials
        SET sign_count = CASE WHEN first_use_pending THEN $4 ELSE greatest(sign_count, $4) END,
            user_verified = user_verified OR $6, backup_eligible = $7, backup_state = $8, last_used_at = $14,
            first_use_pending = false, backup_flags_known = true
        FROM person
        WHERE credentials.id = $1 AND user_id = person.id AND suspended_at IS NULL
          AND ($5 OR first_use_pending OR sign_count < $4 OR (sign_count = 0 AND $4 = 0))
        RETURNING credentials.id, user_id, rp_id, name
    ), session AS (
        UPDATE sessions
        SET token_digest = $10, credential = passkey.id, acr = $11, amr = $12, credential_class = $13,
            auth_time = $14, verified_at = $14, last_seen_at = $14
        FROM passkey
        WHERE sessions.id = $9 AND sessions.user_id = passkey.user_id
        RETURNING sessions.id
    ), event AS (
        INSERT INTO audit_events (at, kind, user_id, session_id, subject, subject_name, address_class, request_id, detail)
        SELECT $14, $15, passkey.user_id, session.id, passkey.id::text, passkey.name, $16, $17, $18 FROM passkey, session
    )
    SELECT ARRAY(
        SELECT credential_id FROM credentials JOIN passkey ON passkey.user_id = credentials.user_id AND passkey.rp_id = credentials.rp_id
        ORDER BY credentials.created_at)
    FROM session"
}

/// Records an assertion and renews an existing session under a new cookie. Answers as [`NewSignIn`] does.
pub fn step_up(
    conn: &mut PgConnection,
    assertion: &VerifiedAssertion,
    session: &NewSession,
    event: &Event,
) -> Result<Option<Vec<Vec<u8>>>, StorageError> {
    let Some(cookie) = &session.cookie else { return Ok(None) };
    let statement = StepUp {
        passkey: assertion.passkey.uuid(),
        user: assertion.user.uuid(),
        epoch: assertion.epoch,
        sign_count: i64::from(assertion.sign_count),
        may_repeat: assertion.rule == CounterRule::MayRepeat,
        user_verified: assertion.user_verified,
        backup_eligible: assertion.backup_eligible,
        backup_state: assertion.backup_state,
        session: session.id.uuid(),
        cookie: cookie.as_bytes().to_vec(),
        acr: session.acr.clone(),
        amr: session.amr.clone(),
        class: session.credential_class.clone(),
        now: session.now,
        kind: event.kind.as_str().to_owned(),
        address_class: event.origin.address_class.clone(),
        request_id: event.origin.request_id.clone(),
        detail: event.detail.clone(),
    };
    Ok(statement.get_result(conn).optional()?)
}

statement! {
    SignOperation {
        passkey: Uuid => SqlUuid, user: Uuid => SqlUuid, epoch: i64 => BigInt,
        sign_count: i64 => BigInt, may_repeat: bool => Bool, backup_eligible: bool => Bool, backup_state: bool => Bool,
        session: Uuid => SqlUuid, now: Time => Timestamptz, client: Option<String> => Nullable<Text>,
        kind: String => Text, subject: Option<String> => Nullable<Text>, subject_name: Option<String> => Nullable<Text>,
        address_class: Option<String> => Nullable<Text>, request_id: Option<String> => Nullable<Text>, detail: Value => Jsonb,
    } -> Array<Binary>,
    ", person AS (
        SELECT users.id FROM users JOIN sessions ON sessions.user_id = users.id
        WHERE users.id = $2 AND status = 'active' AND epoch = $3
          AND sessions.id = $8 AND revoked_at IS NULL AND sessions.expires_at > $9
        FOR SHARE
    ), passkey AS (
        UPDATE credentials
        SET sign_count = CASE WHEN first_use_pending THEN $4 ELSE greatest(sign_count, $4) END, user_verified = true,
            backup_eligible = $6, backup_state = $7, last_used_at = $9, first_use_pending = false, backup_flags_known = true
        FROM person
        WHERE credentials.id = $1 AND user_id = person.id AND suspended_at IS NULL
          AND ($5 OR first_use_pending OR sign_count < $4 OR (sign_count = 0 AND $4 = 0))
        RETURNING credentials.id, user_id, rp_id
    ), event AS (
        INSERT INTO audit_events (at, kind, user_id, session_id, client_id, subject, subject_name, address_class, request_id, detail)
        SELECT $9, $11, user_id, $8, $10, $12, $13, $14, $15, $16 FROM passkey
    )
    SELECT ARRAY(
        SELECT credential_id FROM credentials
        WHERE credentials.user_id = passkey.user_id AND credentials.rp_id = passkey.rp_id ORDER BY created_at)
    FROM passkey"
}

/// Records an assertion of a verified person in a live session, which it neither renews nor changes. Answers as [`NewSignIn`]
/// does.
pub fn sign(
    conn: &mut PgConnection,
    assertion: &VerifiedAssertion,
    session: SessionId,
    event: &Event,
) -> Result<Option<Vec<Vec<u8>>>, StorageError> {
    let statement = SignOperation {
        passkey: assertion.passkey.uuid(),
        user: assertion.user.uuid(),
        epoch: assertion.epoch,
        sign_count: i64::from(assertion.sign_count),
        may_repeat: assertion.rule == CounterRule::MayRepeat,
        backup_eligible: assertion.backup_eligible,
        backup_state: assertion.backup_state,
        session: session.uuid(),
        now: event.at,
        client: event.client.clone(),
        kind: event.kind.as_str().to_owned(),
        subject: event.subject.clone(),
        subject_name: event.subject_name.clone(),
        address_class: event.origin.address_class.clone(),
        request_id: event.origin.request_id.clone(),
        detail: event.detail.clone(),
    };
    Ok(statement.get_result(conn).optional()?)
}

/// A session that a trusted issuer's token gives: of no factor of ours, and of no use but for the token that is issued in it.
#[derive(Clone, Debug)]
pub struct ForeignSession {
    /// Its id.
    pub id: SessionId,
    /// The client that it is for; none where nothing is issued in it.
    pub client: Option<String>,
    /// When the person signed in, if the issuer says so.
    pub auth_time: Option<Time>,
    /// Now.
    pub now: Time,
    /// Its end.
    pub ends_at: Time,
    /// Where the request came from.
    pub origin: Provenance,
}

/// Opens it with what hooks add to its tokens, if the person is active; `false` when not.
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
                // One that nobody tells of is as old as can be, so that no limit of age is ever met by it.
                sessions::auth_time.eq(session.auth_time.unwrap_or(Time::UNIX_EPOCH)),
                // What somebody else verified is never fresh here.
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
