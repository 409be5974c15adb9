//! Devices that wait for a person to approve them elsewhere, and the wrong codes that people entered.
//!
//! What must always hold: a code belongs to the first session that opened it, and only that session may answer. An
//! answer is given once. Tokens are issued once (see [`redemptions`](super::redemptions)).

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use super::schema::{device_codes, device_guesses};
use crate::clock::Time;
use crate::domain::device::{Answer, INTERVAL, Length, UserCode, Waiting, WrongCodes, life};
use crate::domain::id::{FamilyId, SessionId, UserId};
use crate::domain::scope::Scopes;
use crate::domain::secret::TokenDigest;

/// The lock under which wrong codes are counted and recorded, so that concurrent attempts cannot all be the last one
/// allowed.
const GUESSING: i64 = 0x7061_7373_6465_7601;

/// What a device asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// Scopes, each allowed to its client.
    pub scopes: Scopes,
    /// Audiences of the access token, each allowed to its client.
    pub audience: Vec<String>,
    /// What the device calls itself, as it was read from its request.
    pub device: Option<String>,
}

/// A device about to wait.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Digest of its own code.
    pub digest: TokenDigest,
    /// The code for people.
    pub code: UserCode,
    /// The id of the grant it may get.
    pub grant: FamilyId,
    /// Its client.
    pub client: String,
    /// What it asks for.
    pub request: DeviceRequest,
    /// The network it asked from.
    pub network: Option<String>,
    /// The time of the request.
    pub now: Time,
    /// When it expires.
    pub expires_at: Time,
}

/// Stores a device; `false` when another device already has its code for people.
pub fn insert(conn: &mut PgConnection, new: &NewDevice) -> Result<bool, StorageError> {
    let request =
        serde_json::to_value(&new.request).map_err(|error| StorageError::corrupt("device_codes", new.grant, error))?;
    let rows = diesel::insert_into(device_codes::table)
        .values((
            device_codes::digest.eq(new.digest.as_bytes().as_slice()),
            device_codes::user_code.eq(new.code.as_str()),
            device_codes::grant_id.eq(new.grant.uuid()),
            device_codes::client_id.eq(&new.client),
            device_codes::request.eq(request),
            device_codes::address_class.eq(&new.network),
            device_codes::poll_interval.eq(INTERVAL),
            device_codes::created_at.eq(new.now),
            device_codes::expires_at.eq(new.expires_at),
        ))
        .on_conflict(device_codes::user_code)
        .do_nothing()
        .execute(conn)?;
    Ok(rows == 1)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = device_codes, check_for_backend(diesel::pg::Pg))]
struct Row {
    user_code: String,
    grant_id: Uuid,
    client_id: String,
    request: Value,
    address_class: Option<String>,
    poll_interval: i32,
    last_polled_at: Option<Time>,
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
    decision: Option<String>,
    used_at: Option<Time>,
    created_at: Time,
    expires_at: Time,
}

/// A device, as stored.
#[derive(Clone, Debug)]
pub struct StoredDevice {
    /// The code for people.
    pub code: UserCode,
    /// The id of the grant it may get.
    pub grant: FamilyId,
    /// What decides a poll.
    pub waiting: Waiting,
    /// What it asks for.
    pub request: DeviceRequest,
    /// The network it asked from.
    pub network: Option<String>,
    /// Who answered.
    pub user: Option<UserId>,
    /// In which session they did.
    pub session: Option<SessionId>,
    /// When it asked.
    pub created_at: Time,
}

impl TryFrom<Row> for StoredDevice {
    type Error = StorageError;
    fn try_from(row: Row) -> Result<Self, StorageError> {
        let corrupt = |problem: &str| StorageError::corrupt("device_codes", row.grant_id, problem);
        let answer = row.decision.as_deref().map(|text| Answer::parse(text).ok_or_else(|| corrupt("unknown decision")));
        Ok(Self {
            code: UserCode::parse(&row.user_code).ok_or_else(|| corrupt("the code for people cannot be read"))?,
            grant: row.grant_id.into(),
            waiting: Waiting {
                answer: answer.transpose()?,
                client: row.client_id,
                used: row.used_at.is_some(),
                expires_at: row.expires_at,
                interval: row.poll_interval,
                last_polled_at: row.last_polled_at,
            },
            request: serde_json::from_value(row.request)
                .map_err(|error| StorageError::corrupt("device_codes", row.grant_id, error))?,
            network: row.address_class,
            user: row.user_id.map(Into::into),
            session: row.session_id.map(Into::into),
            created_at: row.created_at,
        })
    }
}

/// Who enters codes.
#[derive(Clone, Debug)]
pub struct Guesser {
    /// In which session.
    pub session: SessionId,
    /// From which network.
    pub network: String,
}

/// Keeps everybody else from counting and recording wrong codes until the transaction ends.
pub fn lock_guesses(conn: &mut PgConnection) -> Result<(), StorageError> {
    diesel::sql_query("SELECT pg_advisory_xact_lock($1)").bind::<BigInt, _>(GUESSING).execute(conn)?;
    Ok(())
}

/// The wrong codes of the last minutes.
pub fn wrong_codes(
    conn: &mut PgConnection,
    guesser: &Guesser,
    length: Length,
    now: Time,
) -> Result<WrongCodes, StorageError> {
    let lately = || device_guesses::table.filter(device_guesses::at.gt(now - life()));
    let in_session = lately().filter(device_guesses::session_id.eq(guesser.session.uuid()));
    let from_network = lately().filter(device_guesses::address_class.eq(&guesser.network));
    Ok(WrongCodes {
        in_session: in_session.count().get_result(conn)?,
        from_network: from_network.count().get_result(conn)?,
        of_length: wrong_of_length(conn, length, now)?,
    })
}

/// The wrong codes of one length that everybody entered in the last minutes.
pub fn wrong_of_length(conn: &mut PgConnection, length: Length, now: Time) -> Result<i64, StorageError> {
    let letters = i16::from(length.letters());
    Ok(device_guesses::table
        .filter(device_guesses::at.gt(now - life()))
        .filter(device_guesses::letters.eq(letters))
        .count()
        .get_result(conn)?)
}

/// Records a wrong code (not which one it was).
pub fn insert_wrong(conn: &mut PgConnection, guesser: &Guesser, length: Length, now: Time) -> Result<(), StorageError> {
    diesel::insert_into(device_guesses::table)
        .values((
            device_guesses::at.eq(now),
            device_guesses::letters.eq(i16::from(length.letters())),
            device_guesses::session_id.eq(guesser.session.uuid()),
            device_guesses::address_class.eq(&guesser.network),
        ))
        .execute(conn)?;
    Ok(())
}

/// Gives a waiting device to the session that enters its code first; `false` when no device is free for this session.
pub fn claim(conn: &mut PgConnection, code: &UserCode, session: SessionId, now: Time) -> Result<bool, StorageError> {
    let of_nobody_else = device_codes::claimed_by.is_null().or(device_codes::claimed_by.eq(session.uuid()));
    let rows = diesel::update(
        device_codes::table
            .filter(device_codes::user_code.eq(code.as_str()))
            .filter(device_codes::expires_at.gt(now))
            .filter(device_codes::decision.is_null())
            .filter(of_nobody_else),
    )
    .set(device_codes::claimed_by.eq(session.uuid()))
    .execute(conn)?;
    Ok(rows == 1)
}

/// The device that a session opened, answered or not, until it expires.
pub fn find_claimed(
    conn: &mut PgConnection,
    code: &UserCode,
    session: SessionId,
    now: Time,
) -> Result<Option<StoredDevice>, StorageError> {
    let row: Option<Row> = device_codes::table
        .filter(device_codes::user_code.eq(code.as_str()))
        .filter(device_codes::claimed_by.eq(session.uuid()))
        .filter(device_codes::expires_at.gt(now))
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    row.map(TryInto::try_into).transpose()
}

/// Writes an answer, once, by the session that opened the device; `None` when there is nothing left to answer. Call it
/// in the transaction that writes the event.
pub fn answer(
    conn: &mut PgConnection,
    code: &UserCode,
    (session, user): (SessionId, UserId),
    answer: Answer,
    now: Time,
) -> Result<Option<StoredDevice>, StorageError> {
    let row: Option<Row> = diesel::update(
        device_codes::table
            .filter(device_codes::user_code.eq(code.as_str()))
            .filter(device_codes::claimed_by.eq(session.uuid()))
            .filter(device_codes::decision.is_null())
            .filter(device_codes::expires_at.gt(now)),
    )
    .set((
        device_codes::decision.eq(answer.as_str()),
        device_codes::decided_at.eq(now),
        device_codes::user_id.eq(user.uuid()),
        device_codes::session_id.eq(session.uuid()),
    ))
    .returning(Row::as_returning())
    .get_result(conn)
    .optional()?;
    row.map(TryInto::try_into).transpose()
}

/// A device by its own code, with the row locked until the transaction ends.
pub fn lock(conn: &mut PgConnection, digest: &TokenDigest) -> Result<Option<StoredDevice>, StorageError> {
    let row: Option<Row> = device_codes::table
        .find(digest.as_bytes().as_slice())
        .select(Row::as_select())
        .for_update()
        .first(conn)
        .optional()?;
    row.map(TryInto::try_into).transpose()
}

/// Records a poll, and the interval from now on.
pub fn note_poll(conn: &mut PgConnection, digest: &TokenDigest, interval: i32, now: Time) -> Result<(), StorageError> {
    diesel::update(device_codes::table.find(digest.as_bytes().as_slice()))
        .set((device_codes::last_polled_at.eq(now), device_codes::poll_interval.eq(interval)))
        .execute(conn)?;
    Ok(())
}

/// Uses up what a person allowed to devices of a client and no device has fetched yet. Returns the grants of all these
/// devices that are stored, because tokens issued for them may still be valid.
pub fn end_all_of(
    conn: &mut PgConnection,
    user: UserId,
    client: &str,
    now: Time,
) -> Result<Vec<FamilyId>, StorageError> {
    let theirs =
        device_codes::table.filter(device_codes::user_id.eq(user.uuid())).filter(device_codes::client_id.eq(client));
    diesel::update(theirs.filter(device_codes::used_at.is_null())).set(device_codes::used_at.eq(now)).execute(conn)?;
    let grants: Vec<Uuid> = theirs.select(device_codes::grant_id).load(conn)?;
    Ok(grants.into_iter().map(Into::into).collect())
}
