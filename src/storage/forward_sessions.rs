//! The cookies of protected hosts.

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::StorageError;
use super::schema::{external_ids, forward_sessions, sessions};
use super::users;
use crate::clock::Time;
use crate::domain::id::{SessionId, UserId};
use crate::domain::secret::TokenDigest;
use crate::domain::session::Session;
use crate::statement;

/// A person as a protected host may know them.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The person who is signed in at the host.
    pub user: UserId,
    /// Their verified e-mail address.
    pub email: Option<String>,
    /// The name they gave themselves.
    pub name: Option<String>,
    /// Their session.
    pub session: SessionId,
    /// Its authentication context.
    pub acr: String,
    /// When they signed in.
    pub auth_time: Time,
    /// When the session was last written.
    pub last_seen_at: Time,
    /// Its absolute end.
    pub ends_at: Time,
    /// Their groups.
    pub groups: Vec<String>,
    /// Their ids at the source that was asked for.
    pub links: Vec<String>,
}

type Answer = (
    SqlUuid,
    Nullable<Text>,
    Nullable<Text>,
    SqlUuid,
    Text,
    Timestamptz,
    Timestamptz,
    Timestamptz,
    Array<Text>,
    Array<Text>,
);
type Row = (Uuid, Option<String>, Option<String>, Uuid, String, Time, Time, Time, Vec<String>, Vec<String>);

statement! {
    // Everything about a request in one round trip, because a proxy asks for every picture of a page.
    Find {
        digest: Vec<u8> => Binary, host: String => Text, now: Time => Timestamptz, source: Option<String> => Nullable<Text>,
    } -> Answer,
    "SELECT users.id, CASE WHEN email_verified_at IS NOT NULL THEN email END, users.name, sessions.id, acr, auth_time,
        last_seen_at, ends_at,
        ARRAY(SELECT groups.name FROM group_members JOIN groups ON groups.id = group_id
              WHERE group_members.user_id = users.id ORDER BY groups.name),
        ARRAY(SELECT external_id FROM external_ids WHERE source = $4 AND external_ids.user_id = users.id ORDER BY external_id)
    FROM forward_sessions
    JOIN sessions ON sessions.id = forward_sessions.session_id
    JOIN users ON users.id = sessions.user_id
    WHERE digest = $1 AND host = $2 AND forward_sessions.expires_at > $3
      AND revoked_at IS NULL AND sessions.expires_at > $3 AND status = 'active'"
}

/// The person with this cookie at this host, while the cookie, the session and the account are valid.
pub fn find(
    conn: &mut PgConnection,
    cookie: &TokenDigest,
    host: &str,
    source: Option<&str>,
    now: Time,
) -> Result<Option<Visitor>, StorageError> {
    let statement =
        Find { digest: cookie.as_bytes().to_vec(), host: host.to_owned(), now, source: source.map(ToOwned::to_owned) };
    let row: Option<Row> = statement.get_result(conn).optional()?;
    Ok(row.map(|(user, email, name, session, acr, auth_time, last_seen_at, ends_at, groups, links)| Visitor {
        user: user.into(),
        email,
        name,
        session: session.into(),
        acr,
        auth_time,
        last_seen_at,
        ends_at,
        groups,
        links,
    }))
}

/// A person's groups, and their ids at a source.
pub fn belongings_of(
    conn: &mut PgConnection,
    user: UserId,
    source: Option<&str>,
) -> Result<(Vec<String>, Vec<String>), StorageError> {
    let links = match source {
        Some(source) => external_ids::table
            .filter(external_ids::source.eq(source))
            .filter(external_ids::user_id.eq(user.uuid()))
            .order(external_ids::external_id)
            .select(external_ids::external_id)
            .load(conn)?,
        None => Vec::new(),
    };
    Ok((users::groups_of(conn, user)?, links))
}

/// The live session behind a cookie at a host: what signing out there ends.
pub fn find_session(
    conn: &mut PgConnection,
    cookie: &TokenDigest,
    host: &str,
    now: Time,
) -> Result<Option<Session>, StorageError> {
    let row: Option<super::sessions::Row> = forward_sessions::table
        .inner_join(sessions::table)
        .filter(forward_sessions::digest.eq(cookie.as_bytes().as_slice()))
        .filter(forward_sessions::host.eq(host))
        .filter(forward_sessions::expires_at.gt(now))
        .filter(sessions::revoked_at.is_null())
        .filter(sessions::ends_at.gt(now))
        .select(super::sessions::Row::as_select())
        .first(conn)
        .optional()?;
    Ok(row.map(Into::into))
}
