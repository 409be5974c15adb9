//! Authorization codes: issued once, by one statement whose conditions check again what was read before, and redeemed
//! once (see [`redemptions`](super::redemptions)).
//!
//! A session is looked up by its id alone, and its owner compared afterwards. With both as conditions, PostgreSQL reads
//! all sessions of the person until it has statistics that tell it better.

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::{Array, Binary, Bool, Integer, Json, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use super::batch::{self, Batch, Locked};
use super::schema::authorization_codes;
use super::used_jti::{self, Spent};
use super::users::{UserColumns, UserRow, user_columns};
use crate::clock::Time;
use crate::domain::audit::Event;
use crate::domain::authorization::{CodeGrant, Consent, StoredCode};
use crate::domain::id::{FamilyId, SessionId, UserId};
use crate::domain::secret::TokenDigest;
use crate::domain::user::User;
use crate::statement;

/// A code about to be issued.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// Its digest.
    pub digest: TokenDigest,
    /// The id of the grant it stands for.
    pub grant_id: FamilyId,
    /// The client it is issued to.
    pub client: String,
    /// The person it is about.
    pub user: UserId,
    /// The browser session it is issued in.
    pub session: SessionId,
    /// What it is bound to.
    pub grant: CodeGrant,
    /// The time at which the code is issued.
    pub now: Time,
    /// When it expires.
    pub expires_at: Time,
    /// When the last access token issued for it has expired. Later, what can be refreshed is found by the grant's id:
    /// see [`grant_of`](crate::domain::authorization::grant_of).
    pub kept_until: Time,
    /// The waiting request, which this answers.
    pub interaction: Option<TokenDigest>,
    /// The pushed request, which this uses up.
    pub pushed: Option<TokenDigest>,
    /// The consent from now on; none leaves it as it was.
    pub consent: Option<Consent>,
    /// The consent the decision was based on, if the client is not the operator's own: no code is issued if it has
    /// changed.
    pub before: Option<Before>,
    /// The signed request, which this uses up.
    pub object: Option<Spent>,
}

/// The consent that a decision was based on.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    /// When it was last changed; none when there was none.
    pub updated_at: Option<Time>,
}

statement! {
    Give {
        digest: Vec<u8> => Binary, grant: Uuid => SqlUuid, client: String => Text, user: Uuid => SqlUuid,
        session: Uuid => SqlUuid, request: Value => Json, now: Time => Timestamptz, expires_at: Time => Timestamptz,
        kept_until: Time => Timestamptz, interaction: Option<Vec<u8>> => Nullable<Binary>,
        pushed: Option<Vec<u8>> => Nullable<Binary>, openid: bool => Bool, consents: bool => Bool, scope: String => Text,
        resources: Vec<String> => Array<Text>, claims: Vec<String> => Array<Text>,
        asks: bool => Bool, before: Option<Time> => Nullable<Timestamptz>, kind: String => Text, address_class: Option<String> => Nullable<Text>,
        request_id: Option<String> => Nullable<Text>, detail: Value => Jsonb,
    } -> SqlUuid,
    ", alive AS (
        SELECT sessions.id, user_id FROM users JOIN sessions ON users.id = sessions.user_id
        WHERE sessions.id = $5 AND token_digest IS NOT NULL AND revoked_at IS NULL
          AND sessions.expires_at > $7 AND status = 'active'
        FOR SHARE
    ), before AS (
        SELECT updated_at FROM alive, consents AS consent WHERE consent.user_id = $4 AND client_id = $3 FOR UPDATE OF consent
    ), allowed AS (
        SELECT FROM alive WHERE NOT $17 OR (SELECT updated_at FROM before) IS NOT DISTINCT FROM $18
    ), asked AS (
        DELETE FROM interactions USING allowed WHERE digest = $10 AND expires_at > $7 RETURNING digest
    ), pushed AS (
        DELETE FROM pushed_requests USING allowed WHERE digest = $11 RETURNING digest
    ), code AS (
        INSERT INTO authorization_codes (digest, grant_id, client_id, user_id, session_id, request, created_at, expires_at, kept_until)
        SELECT $1, $2, $3, $4, id, $6, $7, $8, $9 FROM alive, allowed
        WHERE user_id = $4
          AND ($10 IS NULL OR EXISTS (SELECT FROM asked)) AND ($11 IS NULL OR EXISTS (SELECT FROM pushed))
        RETURNING grant_id
    ), consent AS (
        INSERT INTO consents (user_id, client_id, scope, resources, claims, granted_at, updated_at)
        SELECT $4, $3, $14, $15, $16, $7, $7 FROM code WHERE $13
        ON CONFLICT (user_id, client_id) DO UPDATE
        SET scope = excluded.scope, resources = excluded.resources, claims = excluded.claims, updated_at = excluded.updated_at
    ), told AS (
        INSERT INTO session_clients (session_id, client_id, first_at) SELECT $5, $3, $7 FROM code WHERE $12
        ON CONFLICT DO NOTHING
    ), event AS (
        INSERT INTO audit_events (at, kind, user_id, session_id, client_id, subject, address_class, request_id, detail)
        SELECT $7, $19, $4, $5, $3, grant_id::text, $20, $21, $22 FROM code
    )
    SELECT grant_id FROM code"
}

/// Issues a code, records the consent, ends the waiting request, and writes the event. `false` when the session or the
/// person is no longer active, the request was answered or used before, or the consent has changed.
pub fn give(conn: &mut PgConnection, new: &NewCode, event: &Event) -> Result<bool, StorageError> {
    let Some(object) = &new.object else { return give_one(conn, new, event) };
    let given = conn.transaction(|conn| {
        let given = give_one(conn, new, event)?;
        if given && !used_jti::spend(conn, object)? { Err(DieselError::RollbackTransaction.into()) } else { Ok(given) }
    });
    match given {
        Err(StorageError::Database(DieselError::RollbackTransaction)) => Ok(false),
        given => given,
    }
}

fn give_one(conn: &mut PgConnection, new: &NewCode, event: &Event) -> Result<bool, StorageError> {
    let nothing = Consent::default();
    let consent = new.consent.as_ref().unwrap_or(&nothing);
    let statement = Give {
        digest: new.digest.as_bytes().to_vec(),
        grant: new.grant_id.uuid(),
        client: new.client.clone(),
        user: new.user.uuid(),
        session: new.session.uuid(),
        request: serde_json::to_value(&new.grant)
            .map_err(|error| StorageError::corrupt("authorization_codes", new.grant_id, error))?,
        now: new.now,
        expires_at: new.expires_at,
        kept_until: new.kept_until,
        interaction: new.interaction.map(|digest| digest.as_bytes().to_vec()),
        pushed: new.pushed.map(|digest| digest.as_bytes().to_vec()),
        openid: new.grant.scopes.contains("openid"),
        consents: new.consent.is_some(),
        scope: consent.scopes.to_string(),
        resources: consent.resources.iter().cloned().collect(),
        claims: consent.claims.iter().cloned().collect(),
        asks: new.before.is_some(),
        before: new.before.and_then(|before| before.updated_at),
        kind: event.kind.as_str().to_owned(),
        address_class: event.origin.address_class.clone(),
        request_id: event.origin.request_id.clone(),
        detail: event.detail.clone(),
    };
    Ok(statement.get_result::<Uuid>(conn).optional()?.is_some())
}

/// A code with the person and the session it belongs to.
#[derive(Clone, Debug)]
pub struct FoundCode {
    /// The code.
    pub code: StoredCode,
    /// The person it is about.
    pub user: User,
    /// The browser session it was issued in.
    pub session: SessionId,
}

/// Looks up a code by its digest, whatever its state.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FindCode {
    /// Its digest.
    #[serde(serialize_with = "batch::digest")]
    pub digest: TokenDigest,
}

statement! {
    FindCodes { asked: String => Text }
        -> (Integer, (SqlUuid, Text, SqlUuid, Json, Timestamptz, Nullable<Timestamptz>), UserColumns),
    concat!(
        ", asked AS (
            SELECT * FROM json_to_recordset($1::json) AS asked (n int, digest bytea)
        )
        SELECT n, grant_id, client_id, session_id, request, expires_at, used_at, ", user_columns!(), " FROM asked
        CROSS JOIN LATERAL (SELECT * FROM authorization_codes AS code WHERE code.digest = asked.digest OFFSET 0) AS code
        CROSS JOIN LATERAL (SELECT * FROM users WHERE id = user_id OFFSET 0) AS users"
    )
}

type CodeRow = (Uuid, String, Uuid, Value, Time, Option<Time>);

impl Batch for FindCode {
    type Answer = FoundCode;
    const LOCKS: bool = false;

    fn all(conn: &mut PgConnection, all: &[Self], _: Locked) -> Result<Vec<Option<FoundCode>>, StorageError> {
        let found: Vec<(i32, CodeRow, UserRow)> = FindCodes { asked: batch::rows(all.iter())? }.load(conn)?;
        let found = found.into_iter().map(|(n, code, user)| Ok((n, found_code(code, user)?)));
        Ok(batch::in_order(all.len(), found.collect::<Result<Vec<_>, StorageError>>()?))
    }
}

fn found_code(
    (grant_id, client, session, request, expires_at, used_at): CodeRow,
    user: UserRow,
) -> Result<FoundCode, StorageError> {
    let grant = serde_json::from_value(request)
        .map_err(|error| StorageError::corrupt("authorization_codes", grant_id, error))?;
    let code = StoredCode { grant_id: grant_id.into(), client, grant, expires_at, used: used_at.is_some() };
    Ok(FoundCode { code, user: user.try_into()?, session: session.into() })
}

/// Uses up a code without issuing anything: each code allows one attempt.
pub fn burn(conn: &mut PgConnection, digest: &TokenDigest, now: Time) -> Result<(), StorageError> {
    let unused =
        authorization_codes::table.find(digest.as_bytes().as_slice()).filter(authorization_codes::used_at.is_null());
    diesel::update(unused).set(authorization_codes::used_at.eq(now)).execute(conn)?;
    Ok(())
}

/// Uses up a person's open codes for a client, without issuing anything. Returns the grants of all their stored codes,
/// because tokens issued for the earlier ones may still be valid.
pub fn end_all_of(
    conn: &mut PgConnection,
    user: UserId,
    client: &str,
    now: Time,
) -> Result<Vec<FamilyId>, StorageError> {
    let theirs = authorization_codes::table
        .filter(authorization_codes::user_id.eq(user.uuid()))
        .filter(authorization_codes::client_id.eq(client));
    diesel::update(theirs.filter(authorization_codes::used_at.is_null()))
        .set(authorization_codes::used_at.eq(now))
        .execute(conn)?;
    let grants: Vec<Uuid> = theirs.select(authorization_codes::grant_id).load(conn)?;
    Ok(grants.into_iter().map(Into::into).collect())
}
