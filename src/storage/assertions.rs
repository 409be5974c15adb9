//! The writes of assertions that open no session: a step-up, and a signed operation.
//!
//! Each is one cached statement. Like a [sign-in](super::sign_in), it checks again what was read before the signature
//! was verified.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use super::sign_in::{NewSession, VerifiedAssertion};
use crate::clock::Time;
use crate::domain::audit::Event;
use crate::domain::counter::CounterRule;
use crate::domain::id::SessionId;
use crate::statement;

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

/// Records an assertion and renews an existing session under a new cookie. Returns what a sign-in does.
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

/// Records an assertion of a verified person in a live session, without renewing or changing the session. Returns what
/// a sign-in does.
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
