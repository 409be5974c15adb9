//! Attributes of people that a trusted issuer tells.
//!
//! What must always hold: an issuer sets only the attributes that the configuration maps, and those of people who had
//! an account before only if the configuration says so; then what it no longer tells is removed, because attributes
//! decide about rights. If they do not fit, nobody is let in.

use diesel::PgConnection;
use serde_json::json;

use super::sign_in::{Arrival, NotArrived};
use crate::domain::attributes::Attributes;
use crate::domain::audit::{Event, EventKind};
use crate::domain::id::UserId;
use crate::storage::{StorageError, audit, people, users};

impl Arrival {
    /// The attributes of a new account.
    pub(super) fn first_attributes(&self) -> Result<Attributes, NotArrived> {
        Attributes::parse(&self.custom_attributes).map_err(|_| NotArrived::Attributes)
    }

    /// The new attributes of a person who has an account; `None` if none changes.
    pub(super) fn changed_attributes(
        &self,
        conn: &mut PgConnection,
        person: UserId,
    ) -> Result<Result<Option<Attributes>, NotArrived>, StorageError> {
        if !self.trust.updates_attributes || self.custom_attributes.is_empty() {
            return Ok(Ok(None));
        }
        let user = users::lock(conn, person)?;
        let user = user.ok_or_else(|| StorageError::corrupt("users", person, "it was there a moment ago"))?;
        let changed = user.attributes.changed(&self.custom_attributes).map_err(|_| NotArrived::Attributes);
        Ok(changed.map(|changed| (changed != user.attributes).then_some(changed)))
    }

    /// Stores changed attributes, and records which issuer told them. The event has no values.
    pub(super) fn store_attributes(
        &self,
        conn: &mut PgConnection,
        person: UserId,
        attributes: &Attributes,
    ) -> Result<(), StorageError> {
        people::set_attributes(conn, person, attributes, self.event.at)?;
        let event = Event {
            kind: EventKind::UserChanged,
            user: Some(person),
            subject_name: Some(self.trust.name.clone()),
            detail: json!({ "change": "attributes", "trusted_issuer": self.trust.name }),
            ..self.event.clone()
        };
        audit::insert(conn, &event)
    }
}
