//! Changes somebody who is known already, as a newer file tells of them.
//!
//! What must always hold: an update gives and replaces, it never takes away. Passkeys, links and memberships are added
//! (by [`plan`](super::plan), which also checked that none is another person's); a claim that the file leaves out stays; whoever
//! was disabled here stays so.

use diesel::PgConnection;
use serde_json::Map;

use super::plan::Update;
use crate::clock::Time;
use crate::domain::user::UserStatus;
use crate::storage::{StorageError, imports, passwords, people};

/// Writes what the plan's batch does not: claims, status, password, and what the person was imported as.
pub(super) fn write(conn: &mut PgConnection, update: &Update, now: Time) -> Result<(), StorageError> {
    let Update { person, record, link } = update;
    // Deleted between the look-up and now: decide anew.
    let stored =
        people::lock(conn, *person)?.ok_or_else(|| StorageError::Conflict { constraint: "users_pkey".to_owned() })?;
    let mut changes: Map<_, _> = record.claims.as_map().clone();
    let same_address = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    let proven_here = stored.user.email_verified_at.is_some()
        && matches!((stored.claims.text("email"), record.claims.text("email")), (Some(one), Some(other)) if same_address(one, other));
    if proven_here && !record.claims.email_verified() {
        // The other system knows less of this address than we do.
        changes.remove("email");
        changes.remove("email_verified");
    }
    let mut claims = stored.claims.clone();
    claims.merge(&changes).map_err(|error| StorageError::corrupt("users", person, error))?;
    if claims != stored.claims {
        people::set_claims(conn, &stored.user, &claims, now)?;
    }
    if record.enabled == Some(false) {
        people::set_status(conn, *person, UserStatus::Disabled, now)?;
    }
    if let Some(hash) = &record.password {
        passwords::replace(conn, *person, hash, now)?;
    }
    if let Some(link) = link {
        imports::link(conn, link)?;
    }
    Ok(())
}
