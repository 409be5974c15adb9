//! People with everything known about them: standard claims, groups, and the ids other systems know them by.

use std::collections::{BTreeMap, BTreeSet};

use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::StorageError;
use super::removals::{self, Removed};
use super::schema::{external_ids, group_members, groups, users};
use super::sessions;
use super::users::UserRow;
use crate::clock::Time;
use crate::domain::attributes::Attributes;
use crate::domain::id::UserId;
use crate::domain::standard_claims::StandardClaims;
use crate::domain::user::{MOST_EXTERNAL_IDS, User, UserStatus};

/// A person with everything known about them.
#[derive(Clone, Debug)]
pub struct Person {
    /// The person.
    pub user: User,
    /// Their standard claims, those of the account among them.
    pub claims: StandardClaims,
    /// Names of their groups, in order.
    pub groups: Vec<String>,
    /// The ids other systems know them by: source → id.
    pub external_ids: BTreeMap<String, String>,
    /// The configuration file that declares them.
    pub managed_by: Option<String>,
    /// When they were last changed.
    pub updated_at: Time,
}

/// Which people are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those whose address begins so, in whatever case.
    pub email_prefix: Option<String>,
    /// The one whom a system knows by this id: source and id.
    pub external_id: Option<(String, String)>,
    /// Those in this group.
    pub group: Option<String>,
}

type Extra = (Value, Option<String>, Time);

fn extra() -> (users::profile, users::managed_by, users::updated_at) {
    (users::profile, users::managed_by, users::updated_at)
}

/// One person.
pub fn find(conn: &mut PgConnection, id: UserId) -> Result<Option<Person>, StorageError> {
    let row: Option<(UserRow, Extra)> =
        users::table.find(id.uuid()).select((UserRow::as_select(), extra())).first(conn).optional()?;
    Ok(whole(conn, row.into_iter().collect())?.pop())
}

/// One person, their row locked until the transaction ends.
pub fn lock(conn: &mut PgConnection, id: UserId) -> Result<Option<Person>, StorageError> {
    let row: Option<(UserRow, Extra)> =
        users::table.find(id.uuid()).select((UserRow::as_select(), extra())).for_update().first(conn).optional()?;
    Ok(whole(conn, row.into_iter().collect())?.pop())
}

/// People, the newest first, after the one that `after` names by time and id; at most `most`.
pub fn page(
    conn: &mut PgConnection,
    filter: &Filter,
    after: Option<(Time, Uuid)>,
    most: i64,
) -> Result<Vec<Person>, StorageError> {
    let mut query = users::table.order((users::created_at.desc(), users::id.desc())).limit(most).into_boxed::<Pg>();
    if let Some((at, id)) = after {
        query = query.filter(users::created_at.lt(at).or(users::created_at.eq(at).and(users::id.lt(id))));
    }
    if let Some(prefix) = &filter.email_prefix {
        // Folded by the database, like the index.
        let (first, last) = (prefix.clone(), format!("{prefix}\u{10FFFF}"));
        // In a subquery of its own, by the pattern index: with the order of the list PostgreSQL might go through
        // everybody instead.
        let named = "users.id = ANY (ARRAY (SELECT id FROM users AS named WHERE lower(email) ~>=~ lower(";
        let named =
            sql::<Bool>(named).bind::<Text, _>(first).sql(") AND lower(email) ~<~ lower(").bind::<Text, _>(last);
        query = query.filter(named.sql(")))"));
    }
    if let Some((source, id)) = &filter.external_id {
        let known = external_ids::table
            .filter(external_ids::source.eq(source))
            .filter(external_ids::external_id.eq(id))
            .select(external_ids::user_id);
        query = query.filter(users::id.eq_any(known));
    }
    if let Some(group) = &filter.group {
        query = query.filter(member_of(conn, group)?);
    }
    let rows: Vec<(UserRow, Extra)> = query.select((UserRow::as_select(), extra())).load(conn)?;
    whole(conn, rows)
}

/// The largest group whose members are looked up one by one. For a larger one the list itself is searched, where
/// matches are frequent.
const LOOKED_UP: i64 = 5000;

type Condition = Box<dyn BoxableExpression<users::table, Pg, SqlType = Bool>>;

/// Whether somebody is in a group, in one of two forms. PostgreSQL cannot choose: it knows only the average size of a
/// group.
fn member_of(conn: &mut PgConnection, group: &str) -> Result<Condition, StorageError> {
    let beyond = group_members::table
        .inner_join(groups::table)
        .filter(groups::name.eq(group))
        .select(group_members::user_id)
        .offset(LOOKED_UP)
        .limit(1);
    let is_large = !beyond.load::<Uuid>(conn)?.is_empty();
    let (before, after) = if is_large {
        (
            "(SELECT true FROM group_members JOIN groups ON groups.id = group_id WHERE user_id = users.id AND name = ",
            ")",
        )
    } else {
        (
            "users.id = ANY (ARRAY (SELECT user_id FROM group_members JOIN groups ON groups.id = group_id WHERE name = ",
            "))",
        )
    };
    Ok(Box::new(sql::<Bool>(before).bind::<Text, _>(group.to_owned()).sql(after)))
}

/// A page of everybody by primary key: people in the order of their ids, after this one; at most `most`.
pub fn after(conn: &mut PgConnection, after: Option<Uuid>, most: i64) -> Result<Vec<Person>, StorageError> {
    let rows: Vec<(UserRow, Extra)> = users::table
        .filter(users::id.gt(after.unwrap_or_default()))
        .order(users::id)
        .limit(most)
        .select((UserRow::as_select(), extra()))
        .load(conn)?;
    whole(conn, rows)
}

fn whole(conn: &mut PgConnection, rows: Vec<(UserRow, Extra)>) -> Result<Vec<Person>, StorageError> {
    let ids: Vec<Uuid> = rows.iter().map(|(row, _)| row.id).collect();
    let mut of_groups: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    let memberships: Vec<(Uuid, String)> = group_members::table
        .inner_join(groups::table)
        .filter(group_members::user_id.eq_any(&ids))
        .order(groups::name)
        .select((group_members::user_id, groups::name))
        .load(conn)?;
    for (user, group) in memberships {
        of_groups.entry(user).or_default().push(group);
    }
    let mut of_sources: BTreeMap<Uuid, BTreeMap<String, String>> = BTreeMap::new();
    let links: Vec<(Uuid, String, String)> = external_ids::table
        .filter(external_ids::user_id.eq_any(&ids))
        .select((external_ids::user_id, external_ids::source, external_ids::external_id))
        .load(conn)?;
    for (user, source, id) in links {
        of_sources.entry(user).or_default().insert(source, id);
    }
    rows.into_iter()
        .map(|(row, (profile, managed_by, updated_at))| {
            let id = row.id;
            let user: User = row.try_into()?;
            Ok(Person {
                claims: claims_of(&user, profile),
                user,
                groups: of_groups.remove(&id).unwrap_or_default(),
                external_ids: of_sources.remove(&id).unwrap_or_default(),
                managed_by,
                updated_at,
            })
        })
        .collect()
}

/// The claims that have their own columns; the others are in the profile.
const IN_COLUMNS: [&str; 4] = ["name", "email", "email_verified", "locale"];

fn claims_of(user: &User, profile: Value) -> StandardClaims {
    let mut claims = if let Value::Object(claims) = profile { claims } else { Map::new() };
    let texts = [("name", &user.name), ("email", &user.email), ("locale", &user.locale)];
    for (name, text) in texts {
        if let Some(text) = text {
            claims.insert(name.to_owned(), text.as_str().into());
        }
    }
    if user.email.is_some() {
        claims.insert("email_verified".to_owned(), user.email_verified_at.is_some().into());
    }
    StandardClaims::from_stored(claims)
}

pub(super) fn profile_of(claims: &StandardClaims) -> Value {
    let rest = claims.as_map().iter().filter(|(name, _)| !IN_COLUMNS.contains(&name.as_str()));
    Value::Object(rest.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Stores an active person. A verified address that belongs to another person is a [`StorageError::Conflict`].
pub fn insert(
    conn: &mut PgConnection,
    (id, handle): (UserId, &[u8]),
    claims: &StandardClaims,
    now: Time,
) -> Result<(), StorageError> {
    diesel::insert_into(users::table)
        .values((
            users::id.eq(id.uuid()),
            users::user_handle.eq(handle),
            users::email.eq(claims.text("email")),
            users::email_verified_at.eq(claims.email_verified().then_some(now)),
            users::name.eq(claims.text("name")),
            users::locale.eq(claims.text("locale")),
            users::profile.eq(profile_of(claims)),
            users::created_at.eq(now),
            users::updated_at.eq(now),
        ))
        .execute(conn)?;
    drop_claims_of_others(conn, id, claims)
}

/// Replaces a person's claims. If the same address stays verified, the time of its verification stays too.
pub fn set_claims(
    conn: &mut PgConnection,
    person: &User,
    claims: &StandardClaims,
    now: Time,
) -> Result<(), StorageError> {
    let same = person.email.as_deref() == claims.text("email");
    let proven = person.email_verified_at.filter(|_| same).unwrap_or(now);
    diesel::update(users::table.find(person.id.uuid()))
        .set((
            users::email.eq(claims.text("email")),
            users::email_verified_at.eq(claims.email_verified().then_some(proven)),
            users::name.eq(claims.text("name")),
            users::locale.eq(claims.text("locale")),
            users::profile.eq(profile_of(claims)),
            users::updated_at.eq(now),
        ))
        .execute(conn)?;
    drop_claims_of_others(conn, person.id, claims)
}

/// Replaces all attributes of a person.
pub fn set_attributes(
    conn: &mut PgConnection,
    id: UserId,
    attributes: &Attributes,
    now: Time,
) -> Result<(), StorageError> {
    diesel::update(users::table.find(id.uuid()))
        .set((users::attributes.eq(Value::Object(attributes.to_map())), users::updated_at.eq(now)))
        .execute(conn)?;
    Ok(())
}

/// A verified address belongs to one person: others who merely claimed it lose it.
fn drop_claims_of_others(conn: &mut PgConnection, id: UserId, claims: &StandardClaims) -> Result<(), StorageError> {
    if let Some(email) = claims.text("email").filter(|_| claims.email_verified()) {
        diesel::update(
            users::table
                .filter(sql::<Bool>("lower(email) = lower(").bind::<Text, _>(email.to_owned()).sql(")"))
                .filter(users::id.ne(id.uuid()))
                .filter(users::email_verified_at.is_null()),
        )
        .set(users::email.eq(None::<String>))
        .execute(conn)?;
    }
    Ok(())
}

/// Replaces all ids by which other systems know a person. An id that belongs to another person is a
/// [`StorageError::Conflict`]. An id that stays keeps its row, with what an import recorded in it.
pub fn set_external_ids(
    conn: &mut PgConnection,
    id: UserId,
    links: &BTreeMap<String, String>,
) -> Result<(), StorageError> {
    let own = external_ids::table.filter(external_ids::user_id.eq(id.uuid()));
    let held: BTreeSet<(String, String)> =
        own.select((external_ids::source, external_ids::external_id)).load(conn)?.into_iter().collect();
    let wanted: BTreeSet<(String, String)> = links.clone().into_iter().collect();
    for (source, external) in held.difference(&wanted) {
        diesel::delete(external_ids::table.find((source, external))).execute(conn)?;
    }
    let rows: Vec<_> = wanted
        .difference(&held)
        .map(|(source, external)| {
            (
                external_ids::source.eq(source),
                external_ids::external_id.eq(external),
                external_ids::user_id.eq(id.uuid()),
            )
        })
        .collect();
    diesel::insert_into(external_ids::table).values(rows).execute(conn)?;
    Ok(())
}

/// The person whom a system knows by this id.
pub fn find_by_external_id(conn: &mut PgConnection, source: &str, id: &str) -> Result<Option<User>, StorageError> {
    let known = external_ids::table.find((source, id)).select(external_ids::user_id);
    let row: Option<UserRow> =
        users::table.filter(users::id.eq_any(known)).select(UserRow::as_select()).first(conn).optional()?;
    row.map(TryInto::try_into).transpose()
}

/// The person with this verified address, whatever its case. The database folds both sides, because it does not fold
/// every letter as we would.
pub fn find_by_verified_email(conn: &mut PgConnection, email: &str) -> Result<Option<User>, StorageError> {
    let row: Option<UserRow> = users::table
        .filter(sql::<Bool>("lower(email) = lower(").bind::<Text, _>(email.to_owned()).sql(")"))
        .filter(users::email_verified_at.is_not_null())
        .select(UserRow::as_select())
        .first(conn)
        .optional()?;
    row.map(TryInto::try_into).transpose()
}

/// Adds an id by which a system knows a person. `false` when the system already knows them by one, because it would
/// then know one person by two, or when they have the maximum number. An id that belongs to another person is a
/// [`StorageError::Conflict`].
pub fn link(conn: &mut PgConnection, person: UserId, source: &str, id: &str) -> Result<bool, StorageError> {
    // Locked, so that of two concurrent links the second sees the first.
    users::table.find(person.uuid()).select(users::id).for_update().first::<Uuid>(conn)?;
    let sources: Vec<String> =
        external_ids::table.filter(external_ids::user_id.eq(person.uuid())).select(external_ids::source).load(conn)?;
    if sources.len() >= MOST_EXTERNAL_IDS || sources.iter().any(|known| known == source) {
        return Ok(false);
    }
    diesel::insert_into(external_ids::table)
        .values((
            external_ids::source.eq(source),
            external_ids::external_id.eq(id),
            external_ids::user_id.eq(person.uuid()),
        ))
        .execute(conn)?;
    Ok(true)
}

/// When the newest token was issued that told attributes of the person whom a system knows by this id; `None` before the
/// first.
pub fn attributes_told_at(conn: &mut PgConnection, source: &str, id: &str) -> Result<Option<Time>, StorageError> {
    let told = external_ids::table.find((source, id)).select(external_ids::attributes_told_at);
    Ok(told.first(conn).optional()?.flatten())
}

/// Records that time.
pub fn set_attributes_told_at(
    conn: &mut PgConnection,
    source: &str,
    id: &str,
    issued_at: Time,
) -> Result<(), StorageError> {
    diesel::update(external_ids::table.find((source, id)))
        .set(external_ids::attributes_told_at.eq(issued_at))
        .execute(conn)?;
    Ok(())
}

/// The first of these names that is not a group.
pub fn unknown_group(conn: &mut PgConnection, names: &[String]) -> Result<Option<String>, StorageError> {
    let known: Vec<String> = groups::table.filter(groups::name.eq_any(names)).select(groups::name).load(conn)?;
    Ok(names.iter().find(|name| !known.contains(name)).cloned())
}

/// Puts a person into exactly these groups. The error is the first name that is not a group.
pub fn set_groups(conn: &mut PgConnection, id: UserId, names: &[String]) -> Result<Result<(), String>, StorageError> {
    let known: Vec<(Uuid, String)> =
        groups::table.filter(groups::name.eq_any(names)).select((groups::id, groups::name)).load(conn)?;
    if let Some(unknown) = names.iter().find(|name| !known.iter().any(|(_, known)| known == *name)) {
        return Ok(Err(unknown.clone()));
    }
    diesel::delete(group_members::table.filter(group_members::user_id.eq(id.uuid()))).execute(conn)?;
    let rows: Vec<_> = known
        .iter()
        .map(|(group, _)| (group_members::group_id.eq(group), group_members::user_id.eq(id.uuid())))
        .collect();
    diesel::insert_into(group_members::table).values(rows).execute(conn)?;
    Ok(Ok(()))
}

/// Sets a person's status and raises their epoch; `false` when there is no such person or nothing changes. Disabling
/// ends all their sessions, and with them everything that was issued. When enabled again they have to sign in anew, so
/// whoever had taken over the account does not come back with it.
pub fn set_status(conn: &mut PgConnection, id: UserId, status: UserStatus, now: Time) -> Result<bool, StorageError> {
    conn.transaction(|conn| {
        let changed = diesel::update(users::table.find(id.uuid()).filter(users::status.ne(status.as_str())))
            .set((users::status.eq(status.as_str()), users::epoch.eq(users::epoch + 1), users::updated_at.eq(now)))
            .execute(conn)?;
        if changed == 1 && status == UserStatus::Disabled {
            sessions::revoke_others(conn, id, None, now)?;
        }
        Ok(changed == 1)
    })
}

/// Deletes a person and, by cascade, everything of theirs; `false` when there was nobody. Their sessions end first, so
/// that the apps they were signed in to are notified. Their external ids are recorded as removed, so that no import
/// brings them back.
pub fn delete(conn: &mut PgConnection, id: UserId, now: Time) -> Result<bool, StorageError> {
    conn.transaction(|conn| {
        sessions::revoke_others(conn, id, None, now)?;
        let links: Vec<(String, String)> = external_ids::table
            .filter(external_ids::user_id.eq(id.uuid()))
            .select((external_ids::source, external_ids::external_id))
            .load(conn)?;
        let called: Vec<_> = links.iter().map(|(source, id)| Removed::Person(source, id)).collect();
        removals::remember(conn, &called, now)?;
        Ok(diesel::delete(users::table.find(id.uuid())).execute(conn)? == 1)
    })
}
