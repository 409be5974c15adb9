//! Changes a known person according to a newer file.
//!
//! Invariants: an update adds and replaces, but never removes. Passkeys, links and memberships are added (by
//! [`plan`](super::plan), which also checks that none belongs to another person, and that there is room for
//! attributes); a claim or attribute missing from the file stays; a person disabled here stays disabled.

use diesel::PgConnection;
use serde_json::Map;

use super::plan::Update;
use crate::clock::Time;
use crate::domain::attributes::Attributes;
use crate::domain::standard_claims::{ClaimError, StandardClaims};
use crate::domain::user::{User, UserStatus};
use crate::storage::people::{self, Person};
use crate::storage::{StorageError, imports, passwords};

/// How a person differs from the file, apart from what the plan's batch adds.
pub(super) struct Difference {
    user: User,
    claims: Option<StandardClaims>,
    attributes: Option<Attributes>,
    disabled: bool,
    password: bool,
}

impl Difference {
    /// Whether there is no difference.
    pub(super) const fn is_none(&self) -> bool {
        self.claims.is_none() && self.attributes.is_none() && !self.disabled && !self.password
    }
}

/// Compares a person with the file; they stay locked until the transaction ends.
pub(super) fn compare(conn: &mut PgConnection, update: &Update) -> Result<Difference, StorageError> {
    let Update { person, record, .. } = update;
    // Deleted since the lookup: decide again.
    let stored =
        people::lock(conn, *person)?.ok_or_else(|| StorageError::Conflict { constraint: "users_pkey".to_owned() })?;
    let claims = claims(&stored, &record.claims).map_err(|error| StorageError::corrupt("users", person, error))?;
    let attributes = attributes(&stored, &record.attributes)?;
    let disabled = record.enabled == Some(false) && stored.user.status != UserStatus::Disabled;
    let password = match &record.password {
        Some(hash) => passwords::of_users(conn, &[person.uuid()])?.get(&person.uuid()) != Some(hash.expose()),
        None => false,
    };
    Ok(Difference { user: stored.user, claims, attributes, disabled, password })
}

/// The person's new claims, if they change.
fn claims(stored: &Person, told: &StandardClaims) -> Result<Option<StandardClaims>, ClaimError> {
    let mut changes: Map<_, _> = told.as_map().clone();
    let same_address = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    let proven_here = stored.user.email_verified_at.is_some()
        && matches!((stored.claims.text("email"), told.text("email")), (Some(one), Some(other)) if same_address(one, other));
    if proven_here && !told.email_verified() {
        // The other system knows less about this address than we do.
        changes.remove("email");
        changes.remove("email_verified");
    }
    let mut claims = stored.claims.clone();
    claims.merge(&changes)?;
    Ok((settled(&claims) != settled(&stored.claims)).then_some(claims))
}

/// The person's new attributes, if they change.
fn attributes(stored: &Person, told: &Attributes) -> Result<Option<Attributes>, StorageError> {
    // The plan checked that they fit, so somebody changed them since: decide again.
    let full = |_| StorageError::Conflict { constraint: "users_attributes_check".to_owned() };
    let attributes = stored.user.attributes.with(told).map_err(full)?;
    Ok((attributes != stored.user.attributes).then_some(attributes))
}

/// Removes a negative verification: an unverified address is the same with and without it.
fn settled(claims: &StandardClaims) -> StandardClaims {
    let mut settled = claims.clone();
    if !settled.email_verified() {
        settled.unverify_email();
    }
    settled
}

/// Writes what the plan's batch does not: claims, attributes, status, password, and the mark of the import.
pub(super) fn write(
    conn: &mut PgConnection,
    update: &Update,
    difference: &Difference,
    now: Time,
) -> Result<(), StorageError> {
    let Update { person, record, link, .. } = update;
    if let Some(claims) = &difference.claims {
        people::set_claims(conn, &difference.user, claims, now)?;
    }
    if let Some(attributes) = &difference.attributes {
        people::set_attributes(conn, *person, attributes, now)?;
    }
    if difference.disabled {
        people::set_status(conn, *person, UserStatus::Disabled, now)?;
    }
    if let Some(hash) = record.password.as_ref().filter(|_| difference.password) {
        passwords::replace(conn, *person, hash, now)?;
    }
    if let Some(link) = link {
        imports::link(conn, link)?;
    }
    Ok(())
}
