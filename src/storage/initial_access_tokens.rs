//! Initial access tokens (RFC 7591 §3): permissions to register a client.

use diesel::dsl::sql;
use diesel::expression::{AsExpression, SqlLiteral, UncheckedBind};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Timestamptz};
use serde_json::Value;
use uuid::Uuid;

use super::StorageError;
use super::schema::initial_access_tokens as tokens;
use crate::clock::Time;
use crate::domain::secret::TokenDigest;

/// A permission to register clients.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = tokens, check_for_backend(diesel::pg::Pg))]
pub struct InitialAccessToken {
    /// Its id; the token itself is not stored.
    pub id: Uuid,
    /// What its maker calls it.
    pub name: String,
    /// How many clients it may still register; none: any number.
    pub uses_left: Option<i32>,
    /// When it ends.
    pub expires_at: Option<Time>,
    /// When it was made.
    pub created_at: Time,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
}

/// A page of permissions, newest first, after the one that `after` names by time and id; at most `most`.
pub fn page(
    conn: &mut PgConnection,
    after: Option<(Time, Uuid)>,
    most: i64,
) -> Result<Vec<InitialAccessToken>, StorageError> {
    let mut query =
        tokens::table.order((tokens::created_at.desc(), tokens::id.desc())).limit(most).into_boxed::<diesel::pg::Pg>();
    if let Some((at, id)) = after {
        query = query.filter(tokens::created_at.lt(at).or(tokens::created_at.eq(at).and(tokens::id.lt(id))));
    }
    Ok(query.select(InitialAccessToken::as_select()).load(conn)?)
}

/// Stores a permission.
pub fn insert(conn: &mut PgConnection, token: &InitialAccessToken, digest: &TokenDigest) -> Result<(), StorageError> {
    diesel::insert_into(tokens::table)
        .values((
            tokens::id.eq(token.id),
            tokens::digest.eq(digest.as_bytes().as_slice()),
            tokens::name.eq(&token.name),
            tokens::policy.eq(Value::Object(serde_json::Map::new())),
            tokens::uses_left.eq(token.uses_left),
            tokens::expires_at.eq(token.expires_at),
            tokens::created_at.eq(token.created_at),
        ))
        .execute(conn)?;
    Ok(())
}

/// Revokes a permission. Returns its name; none when it does not exist or was revoked before.
pub fn revoke(conn: &mut PgConnection, id: Uuid, now: Time) -> Result<Option<String>, StorageError> {
    Ok(diesel::update(tokens::table.find(id).filter(tokens::revoked_at.is_null()))
        .set(tokens::revoked_at.eq(now))
        .returning(tokens::name)
        .get_result(conn)
        .optional()?)
}

/// Whether a permission could be used now.
pub fn is_live(conn: &mut PgConnection, digest: &TokenDigest, now: Time) -> Result<bool, StorageError> {
    Ok(diesel::select(diesel::dsl::exists(
        tokens::table.filter(tokens::digest.eq(digest.as_bytes().as_slice())).filter(live(now)),
    ))
    .get_result(conn)?)
}

/// Uses a permission once. It counts down in one statement, so that concurrent registrations cannot exceed the limit.
/// Returns its id; none when it is unknown, expired, revoked or used up.
pub fn take(conn: &mut PgConnection, digest: &TokenDigest, now: Time) -> Result<Option<Uuid>, StorageError> {
    Ok(diesel::update(tokens::table.filter(tokens::digest.eq(digest.as_bytes().as_slice())).filter(live(now)))
        .set(tokens::uses_left.eq(tokens::uses_left - 1))
        .returning(tokens::id)
        .get_result(conn)
        .optional()?)
}

/// What makes a permission usable.
fn live(now: Time) -> Live {
    sql::<Bool>("(revoked_at IS NULL AND (uses_left IS NULL OR uses_left > 0) AND (expires_at IS NULL OR expires_at > ")
        .bind::<Timestamptz, _>(now)
        .sql("))")
}

type Live = SqlLiteral<Bool, UncheckedBind<SqlLiteral<Bool>, Bind<Timestamptz, Time>>>;
type Bind<T, V> = <V as AsExpression<T>>::Expression;
