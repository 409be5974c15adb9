//! Action tokens: made by backends, counted when a ceremony begins, used up by the statement that completes one.

use diesel::dsl::{exists, not, sql};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use super::schema::{action_tokens as tokens, external_ids};
use super::sign_in::VerifiedAssertion;
use crate::clock::Time;
use crate::domain::action::{Action, ActionToken, ExternalId, MOST_CEREMONIES};
use crate::domain::audit::Event;
use crate::domain::counter::CounterRule;
use crate::domain::id::{ActionTokenId, UserId};
use crate::domain::secret::TokenDigest;
use crate::statement;

#[derive(Queryable, Selectable)]
#[diesel(table_name = tokens, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: Uuid,
    client_id: String,
    user_id: Uuid,
    action: String,
    relying_party: String,
    origin: Option<String>,
    return_to: Option<String>,
    over_existing: bool,
    external_source: Option<String>,
    external_id: Option<String>,
    epoch: i64,
    ceremonies: i16,
    created_at: Time,
    expires_at: Time,
    used_at: Option<Time>,
    revoked_at: Option<Time>,
    operation: Option<Value>,
}

impl TryFrom<Row> for ActionToken {
    type Error = StorageError;
    fn try_from(row: Row) -> Result<Self, StorageError> {
        let action = Action::parse(&row.action).ok_or_else(|| {
            StorageError::corrupt("action_tokens", row.id, format!("unknown action {:?}", row.action))
        })?;
        let operation = row
            .operation
            .map(serde_json::from_value)
            .transpose()
            .map_err(|error| StorageError::corrupt("action_tokens", row.id, error))?;
        Ok(Self {
            operation,
            id: row.id.into(),
            client: row.client_id,
            user: row.user_id.into(),
            action,
            relying_party: row.relying_party,
            origin: row.origin,
            return_to: row.return_to,
            over_existing: row.over_existing,
            external_id: row.external_source.zip(row.external_id).map(|(source, id)| ExternalId { source, id }),
            epoch: row.epoch,
            ceremonies: row.ceremonies,
            created_at: row.created_at,
            expires_at: row.expires_at,
            used_at: row.used_at,
            revoked_at: row.revoked_at,
        })
    }
}

/// Stores a token.
pub fn insert(conn: &mut PgConnection, token: &ActionToken, digest: &TokenDigest) -> Result<(), StorageError> {
    let external = token.external_id.as_ref();
    let operation = token.operation.as_ref().map(serde_json::to_value).transpose();
    let operation = operation.map_err(|error| StorageError::corrupt("action_tokens", token.id, error))?;
    diesel::insert_into(tokens::table)
        .values((
            (
                tokens::id.eq(token.id.uuid()),
                tokens::digest.eq(digest.as_bytes().as_slice()),
                tokens::client_id.eq(&token.client),
                tokens::user_id.eq(token.user.uuid()),
                tokens::action.eq(token.action.as_str()),
                tokens::relying_party.eq(&token.relying_party),
                tokens::origin.eq(&token.origin),
                tokens::return_to.eq(&token.return_to),
            ),
            (
                tokens::over_existing.eq(token.over_existing),
                tokens::external_source.eq(external.map(|name| &name.source)),
                tokens::external_id.eq(external.map(|name| &name.id)),
                tokens::operation.eq(operation),
                tokens::epoch.eq(token.epoch),
                tokens::created_at.eq(token.created_at),
                tokens::expires_at.eq(token.expires_at),
            ),
        ))
        .execute(conn)?;
    Ok(())
}

/// The token with this digest, whatever its state.
pub fn find(conn: &mut PgConnection, digest: &TokenDigest) -> Result<Option<ActionToken>, StorageError> {
    let row: Option<Row> = tokens::table
        .filter(tokens::digest.eq(digest.as_bytes().as_slice()))
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    row.map(TryInto::try_into).transpose()
}

/// The token with this id, whatever its state.
pub fn get(conn: &mut PgConnection, id: ActionTokenId) -> Result<Option<ActionToken>, StorageError> {
    let row: Option<Row> = tokens::table.find(id.uuid()).select(Row::as_select()).first(conn).optional()?;
    row.map(TryInto::try_into).transpose()
}

/// A page of a client's tokens, newest first, after the one that `after` names by time and id; at most `most`.
pub fn page(
    conn: &mut PgConnection,
    client: &str,
    after: Option<(Time, Uuid)>,
    most: i64,
) -> Result<Vec<ActionToken>, StorageError> {
    let mut query = tokens::table
        .filter(tokens::client_id.eq(client))
        .order((tokens::created_at.desc(), tokens::id.desc()))
        .limit(most)
        .into_boxed::<diesel::pg::Pg>();
    if let Some((at, id)) = after {
        query = query.filter(tokens::created_at.lt(at).or(tokens::created_at.eq(at).and(tokens::id.lt(id))));
    }
    let rows: Vec<Row> = query.select(Row::as_select()).load(conn)?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Revokes a client's token, unless it was used or revoked before. Returns the person it was for.
pub fn revoke(
    conn: &mut PgConnection,
    client: &str,
    id: ActionTokenId,
    now: Time,
) -> Result<Option<UserId>, StorageError> {
    let of: Option<Uuid> = diesel::update(
        tokens::table
            .find(id.uuid())
            .filter(tokens::client_id.eq(client))
            .filter(tokens::revoked_at.is_null())
            .filter(tokens::used_at.is_null()),
    )
    .set(tokens::revoked_at.eq(now))
    .returning(tokens::user_id)
    .get_result(conn)
    .optional()?;
    Ok(of.map(Into::into))
}

/// Counts the beginning of a ceremony: one conditional statement, so that no more begin than a token allows. `false`
/// when the token was used or revoked, has expired, or is exhausted.
pub fn reserve(conn: &mut PgConnection, id: ActionTokenId, now: Time) -> Result<bool, StorageError> {
    let counted = diesel::update(
        tokens::table
            .find(id.uuid())
            .filter(tokens::ceremonies.lt(MOST_CEREMONIES))
            .filter(tokens::used_at.is_null())
            .filter(tokens::revoked_at.is_null())
            .filter(tokens::expires_at.gt(now)),
    )
    .set(tokens::ceremonies.eq(tokens::ceremonies + 1))
    .execute(conn)?;
    Ok(counted == 1)
}

/// Uses a token up, in the transaction of what it permits; `result` is the id of the result for its client. `false`
/// when it was used or revoked before, or has expired.
pub fn consume(
    conn: &mut PgConnection,
    id: ActionTokenId,
    result: Option<Uuid>,
    now: Time,
) -> Result<bool, StorageError> {
    let used = diesel::update(
        tokens::table
            .find(id.uuid())
            .filter(tokens::used_at.is_null())
            .filter(tokens::revoked_at.is_null())
            .filter(tokens::expires_at.gt(now)),
    )
    .set((tokens::used_at.eq(now), tokens::result_id.eq(result)))
    .execute(conn)?;
    Ok(used == 1)
}

/// Whether a token's person is unchanged since the token was made: someone who has since been disabled or lost a
/// passkey proves nothing any more.
const SAME_PERSON: &str = "EXISTS (SELECT FROM users WHERE users.id = action_tokens.user_id \
     AND users.status = 'active' AND users.epoch = action_tokens.epoch)";

/// Redeems the one result of a token for its client. `false` when it is another result, another client's, was redeemed
/// before, or the person has changed since.
pub fn redeem(
    conn: &mut PgConnection,
    client: &str,
    id: ActionTokenId,
    result: Uuid,
    now: Time,
) -> Result<bool, StorageError> {
    let redeemed = diesel::update(
        tokens::table
            .find(id.uuid())
            .filter(tokens::client_id.eq(client))
            .filter(tokens::result_id.eq(result))
            .filter(tokens::redeemed_at.is_null())
            .filter(sql::<Bool>(SAME_PERSON)),
    )
    .set(tokens::redeemed_at.eq(now))
    .execute(conn)?;
    Ok(redeemed == 1)
}

/// Takes what was signed with a token, once, for its client: the token, and what the ceremony proved. None when nothing
/// was signed with it, it is another client's, its result was redeemed before, or the person has changed since.
pub fn fetch_signed(
    conn: &mut PgConnection,
    client: &str,
    id: ActionTokenId,
    now: Time,
) -> Result<Option<(ActionToken, Value)>, StorageError> {
    let row: Option<(Row, Option<Value>)> = diesel::update(
        tokens::table
            .find(id.uuid())
            .filter(tokens::client_id.eq(client))
            .filter(tokens::proved.is_not_null())
            .filter(tokens::redeemed_at.is_null())
            .filter(sql::<Bool>(SAME_PERSON)),
    )
    .set(tokens::redeemed_at.eq(now))
    .returning((Row::as_returning(), tokens::proved))
    .get_result(conn)
    .optional()?;
    row.map(|(row, proved)| Ok((row.try_into()?, proved.unwrap_or_default()))).transpose()
}

/// Whether the result of a client's token was redeemed.
pub fn was_redeemed(conn: &mut PgConnection, client: &str, id: ActionTokenId) -> Result<bool, StorageError> {
    let redeemed =
        tokens::table.find(id.uuid()).filter(tokens::client_id.eq(client)).filter(tokens::redeemed_at.is_not_null());
    Ok(diesel::select(exists(redeemed)).get_result(conn)?)
}

/// Whether a client's token has a result but its person has changed since the token was made.
pub fn person_changed(conn: &mut PgConnection, client: &str, id: ActionTokenId) -> Result<bool, StorageError> {
    let used =
        tokens::table.find(id.uuid()).filter(tokens::client_id.eq(client)).filter(tokens::result_id.is_not_null());
    Ok(diesel::select(exists(used.filter(not(sql::<Bool>(SAME_PERSON))))).get_result(conn)?)
}

/// The person whom another system knows by this id.
pub fn find_external(conn: &mut PgConnection, name: &ExternalId) -> Result<Option<UserId>, StorageError> {
    let found: Option<Uuid> =
        external_ids::table.find((&name.source, &name.id)).select(external_ids::user_id).first(conn).optional()?;
    Ok(found.map(Into::into))
}

statement! {
    Prove {
        passkey: Uuid => SqlUuid, user: Uuid => SqlUuid, epoch: i64 => BigInt,
        sign_count: i64 => BigInt, may_repeat: bool => Bool, user_verified: bool => Bool,
        backup_eligible: bool => Bool, backup_state: bool => Bool, now: Time => Timestamptz,
        token: Uuid => SqlUuid, result: Uuid => SqlUuid, client: Option<String> => Nullable<Text>, kind: String => Text,
        address_class: Option<String> => Nullable<Text>, request_id: Option<String> => Nullable<Text>, detail: Value => Jsonb,
        subject: Option<String> => Nullable<Text>, subject_name: Option<String> => Nullable<Text>,
        proved: Option<Value> => Nullable<Jsonb>,
    } -> Array<Binary>,
    // The passkey's row is locked before the token is used up, and changed afterwards: if either differs from what was
    // read, nothing is written.
    ", person AS (
        SELECT id FROM users WHERE id = $2 AND status = 'active' AND epoch = $3 FOR SHARE
    ), passkey AS (
        SELECT credentials.id, user_id, rp_id, name FROM credentials JOIN person ON person.id = user_id
        WHERE credentials.id = $1 AND suspended_at IS NULL
          AND ($5 OR first_use_pending OR sign_count < $4 OR (sign_count = 0 AND $4 = 0))
        FOR UPDATE OF credentials
    ), token AS (
        UPDATE action_tokens SET used_at = $9, result_id = $11, proved = $19 FROM passkey
        WHERE action_tokens.id = $10 AND action_tokens.user_id = passkey.user_id
          AND used_at IS NULL AND revoked_at IS NULL AND expires_at > $9
        RETURNING passkey.id, passkey.user_id, passkey.rp_id, passkey.name
    ), moved AS (
        UPDATE credentials
        SET sign_count = CASE WHEN first_use_pending THEN $4 ELSE greatest(sign_count, $4) END,
            user_verified = user_verified OR $6, backup_eligible = $7, backup_state = $8, last_used_at = $9,
            first_use_pending = false, backup_flags_known = true
        FROM token WHERE credentials.id = token.id
    ), event AS (
        INSERT INTO audit_events (at, kind, user_id, client_id, subject, subject_name, address_class, request_id, detail)
        SELECT $9, $13, user_id, $12, $17, coalesce($18, name), $14, $15, $16 FROM token
    )
    SELECT ARRAY(
        SELECT credential_id FROM credentials
        WHERE credentials.user_id = token.user_id AND credentials.rp_id = token.rp_id ORDER BY created_at)
    FROM token"
}

/// How an assertion uses a token up.
#[derive(Clone, Debug)]
pub struct Used {
    /// The token.
    pub token: ActionTokenId,
    /// The id of the result for its client.
    pub result: Uuid,
    /// What was proved, if the backend may fetch it.
    pub proved: Option<Value>,
}

/// Records an assertion for a token and uses the token up, in one statement. Returns what
/// [`NewSignIn`](super::sign_in::NewSignIn) does.
pub fn prove(
    conn: &mut PgConnection,
    assertion: &VerifiedAssertion,
    used: &Used,
    event: &Event,
) -> Result<Option<Vec<Vec<u8>>>, StorageError> {
    let statement = Prove {
        passkey: assertion.passkey.uuid(),
        user: assertion.user.uuid(),
        epoch: assertion.epoch,
        sign_count: i64::from(assertion.sign_count),
        may_repeat: assertion.rule == CounterRule::MayRepeat,
        user_verified: assertion.user_verified,
        backup_eligible: assertion.backup_eligible,
        backup_state: assertion.backup_state,
        now: event.at,
        token: used.token.uuid(),
        result: used.result,
        client: event.client.clone(),
        kind: event.kind.as_str().to_owned(),
        address_class: event.origin.address_class.clone(),
        request_id: event.origin.request_id.clone(),
        detail: event.detail.clone(),
        subject: event.subject.clone(),
        subject_name: event.subject_name.clone(),
        proved: used.proved.clone(),
    };
    Ok(statement.get_result(conn).optional()?)
}
