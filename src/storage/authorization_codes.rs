//! Authorization codes: given once, redeemed once, each by one statement whose conditions repeat what was read before.
//!
//! A session is looked for by its id alone, and whose it is compared afterwards: given both to choose from, PostgreSQL goes
//! through all sessions of the person, for as long as it has no statistics that tell it better.

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Bool, Json, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use super::schema::{authorization_codes, users};
use super::sign_in::NewFamily;
use super::users::UserRow;
use crate::clock::Time;
use crate::domain::audit::Event;
use crate::domain::authorization::{CodeGrant, Consent, StoredCode};
use crate::domain::id::{FamilyId, Id, SessionId, UserId};
use crate::domain::secret::TokenDigest;
use crate::domain::user::User;
use crate::statement;

/// A code about to be given.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// Its digest.
    pub digest: TokenDigest,
    /// The name of what it will give.
    pub grant_id: FamilyId,
    /// For whom.
    pub client: String,
    /// About whom.
    pub user: UserId,
    /// In which browser session.
    pub session: SessionId,
    /// What it is bound to.
    pub grant: CodeGrant,
    /// Now.
    pub now: Time,
    /// Its end.
    pub expires_at: Time,
    /// When the last access token that it can have given has ended.
    pub kept_until: Time,
    /// The request that waited, which ends with this.
    pub interaction: Option<TokenDigest>,
    /// The pushed request, which is used up with this.
    pub pushed: Option<TokenDigest>,
    /// What the person allows from now on; none: as before.
    pub consent: Option<Consent>,
}

statement! {
    Give {
        digest: Vec<u8> => Binary, grant: Uuid => SqlUuid, client: String => Text, user: Uuid => SqlUuid,
        session: Uuid => SqlUuid, request: Value => Json, now: Time => Timestamptz, expires_at: Time => Timestamptz,
        kept_until: Time => Timestamptz, interaction: Option<Vec<u8>> => Nullable<Binary>,
        pushed: Option<Vec<u8>> => Nullable<Binary>, openid: bool => Bool, consents: bool => Bool, scope: String => Text,
        resources: Vec<String> => Array<Text>, claims: Vec<String> => Array<Text>,
        kind: String => Text, address_class: Option<String> => Nullable<Text>,
        request_id: Option<String> => Nullable<Text>, detail: Value => Jsonb,
    } -> SqlUuid,
    ", alive AS (
        SELECT sessions.id, user_id FROM sessions JOIN users ON users.id = sessions.user_id
        WHERE sessions.id = $5 AND token_digest IS NOT NULL AND revoked_at IS NULL
          AND sessions.expires_at > $7 AND status = 'active'
        FOR SHARE
    ), asked AS (
        DELETE FROM interactions USING alive WHERE digest = $10 AND expires_at > $7 RETURNING digest
    ), pushed AS (
        DELETE FROM pushed_requests USING alive WHERE digest = $11 RETURNING digest
    ), code AS (
        INSERT INTO authorization_codes (digest, grant_id, client_id, user_id, session_id, request, created_at, expires_at, kept_until)
        SELECT $1, $2, $3, $4, id, $6, $7, $8, $9 FROM alive
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
        SELECT $7, $17, $4, $5, $3, grant_id::text, $18, $19, $20 FROM code
    )
    SELECT grant_id FROM code"
}

/// Gives a code, remembers the consent, ends the request that waited, and writes the event. `false` when the session or the
/// person is not there any more, or the request was answered before.
pub fn give(conn: &mut PgConnection, new: &NewCode, event: &Event) -> Result<bool, StorageError> {
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
        kind: event.kind.as_str().to_owned(),
        address_class: event.origin.address_class.clone(),
        request_id: event.origin.request_id.clone(),
        detail: event.detail.clone(),
    };
    Ok(statement.get_result::<Uuid>(conn).optional()?.is_some())
}

/// A code with those it belongs to.
#[derive(Clone, Debug)]
pub struct FoundCode {
    /// The code.
    pub code: StoredCode,
    /// About whom.
    pub user: User,
    /// In which browser session.
    pub session: SessionId,
}

/// A code, whatever its state.
pub fn find(conn: &mut PgConnection, digest: &TokenDigest) -> Result<Option<FoundCode>, StorageError> {
    type Row = (Uuid, String, Uuid, Value, Time, Option<Time>);
    let row: Option<(Row, UserRow)> = authorization_codes::table
        .inner_join(users::table.on(users::id.eq(authorization_codes::user_id)))
        .filter(authorization_codes::digest.eq(digest.as_bytes().as_slice()))
        .select((
            (
                authorization_codes::grant_id,
                authorization_codes::client_id,
                authorization_codes::session_id,
                authorization_codes::request,
                authorization_codes::expires_at,
                authorization_codes::used_at,
            ),
            UserRow::as_select(),
        ))
        .first(conn)
        .optional()?;
    row.map(|((grant_id, client, session, request, expires_at, used_at), user)| {
        let grant = serde_json::from_value(request)
            .map_err(|error| StorageError::corrupt("authorization_codes", grant_id, error))?;
        let code = StoredCode { grant_id: grant_id.into(), client, grant, expires_at, used: used_at.is_some() };
        Ok(FoundCode { code, user: user.try_into()?, session: session.into() })
    })
    .transpose()
}

/// A redemption about to be made.
#[derive(Clone, Debug)]
pub struct Redemption {
    /// Digest of the code.
    pub digest: TokenDigest,
    /// The client that presented it.
    pub client: String,
    /// About whom.
    pub user: UserId,
    /// The browser session that the code was given in.
    pub session: SessionId,
    /// The session that the tokens will live with, when they are to outlive the browser's.
    pub offline: Option<SessionId>,
    /// The refresh family, when the client may refresh.
    pub family: Option<NewFamily>,
    /// How the person had signed in.
    pub grant: CodeGrant,
    /// Now.
    pub now: Time,
}

statement! {
    Redeem {
        digest: Vec<u8> => Binary, client: String => Text, user: Uuid => SqlUuid, session: Uuid => SqlUuid,
        now: Time => Timestamptz, offline: Option<Uuid> => Nullable<SqlUuid>,
        acr: String => Text, amr: Vec<String> => Array<Text>, class: Option<String> => Nullable<Text>,
        auth_time: Time => Timestamptz, family: Option<Uuid> => Nullable<SqlUuid>, scope: Option<String> => Nullable<Text>,
        audience: Vec<String> => Array<Text>, leaf: Option<Vec<u8>> => Nullable<Binary>,
        leaf_key: Option<String> => Nullable<Text>, leaf_expires_at: Option<Time> => Nullable<Timestamptz>,
        ends_at: Option<Time> => Nullable<Timestamptz>, jkt: Option<String> => Nullable<Text>,
        kind: String => Text, address_class: Option<String> => Nullable<Text>,
        request_id: Option<String> => Nullable<Text>, detail: Value => Jsonb,
    } -> SqlUuid,
    ", alive AS (
        SELECT sessions.id, user_id, credential, user_agent, address_class
        FROM sessions JOIN users ON users.id = sessions.user_id
        WHERE sessions.id = $4 AND revoked_at IS NULL AND ends_at > $5 AND status = 'active'
        FOR SHARE
    ), used AS (
        UPDATE authorization_codes SET used_at = $5 FROM alive
        WHERE digest = $1 AND client_id = $2 AND session_id = alive.id AND authorization_codes.user_id = alive.user_id
          AND used_at IS NULL AND expires_at > $5
        RETURNING grant_id
    ), offline AS (
        INSERT INTO sessions (id, user_id, client_id, credential, acr, amr, credential_class, auth_time, verified_at,
            created_at, last_seen_at, expires_at, ends_at, user_agent, address_class)
        SELECT $6, user_id, $2, credential, $7, $8, $9, $10, $10, $5, $5, $17, $17, user_agent, address_class
        FROM alive, used WHERE $6 IS NOT NULL
    ), family AS (
        INSERT INTO refresh_tokens (family, user_id, session_id, client_id, scope, audience, leaf_digest, leaf_key,
            leaf_issued_at, leaf_expires_at, created_at, ends_at, jkt, offline)
        SELECT $11, user_id, coalesce($6, id), $2, $12, $13, $14, $15, $5, $16, $5, $17, $18, $6 IS NOT NULL
        FROM alive, used WHERE $11 IS NOT NULL
    ), event AS (
        INSERT INTO audit_events (at, kind, user_id, session_id, client_id, subject, address_class, request_id, detail)
        SELECT $5, $19, $3, $4, $2, grant_id::text, $20, $21, $22 FROM used
    )
    SELECT grant_id FROM used"
}

/// Uses a code up and begins its refresh family; of any number of callers one gets `true`.
pub fn redeem(conn: &mut PgConnection, redemption: &Redemption, event: &Event) -> Result<bool, StorageError> {
    let family = redemption.family.as_ref();
    let statement = Redeem {
        digest: redemption.digest.as_bytes().to_vec(),
        client: redemption.client.clone(),
        user: redemption.user.uuid(),
        session: redemption.session.uuid(),
        now: redemption.now,
        offline: redemption.offline.map(Id::uuid),
        acr: redemption.grant.acr.clone(),
        amr: redemption.grant.amr.clone(),
        class: redemption.grant.credential_class.clone(),
        auth_time: redemption.grant.auth_time,
        family: family.map(|family| family.id.uuid()),
        scope: family.map(|family| family.scope.clone()),
        audience: family.map(|family| family.audience.clone()).unwrap_or_default(),
        leaf: family.map(|family| family.leaf.as_bytes().to_vec()),
        leaf_key: family.map(|family| family.leaf_key.clone()),
        leaf_expires_at: family.map(|family| family.leaf_expires_at),
        ends_at: family.map(|family| family.ends_at),
        jkt: family.and_then(|family| family.jkt.clone()),
        kind: event.kind.as_str().to_owned(),
        address_class: event.origin.address_class.clone(),
        request_id: event.origin.request_id.clone(),
        detail: event.detail.clone(),
    };
    Ok(statement.get_result::<Uuid>(conn).optional()?.is_some())
}

/// Uses a code up for nothing: one try for each.
pub fn burn(conn: &mut PgConnection, digest: &TokenDigest, now: Time) -> Result<(), StorageError> {
    let unused =
        authorization_codes::table.find(digest.as_bytes().as_slice()).filter(authorization_codes::used_at.is_null());
    diesel::update(unused).set(authorization_codes::used_at.eq(now)).execute(conn)?;
    Ok(())
}

/// The grants of a person's codes for a client that may have given something which still lives, or may give it yet; the
/// latter are used up for nothing.
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
