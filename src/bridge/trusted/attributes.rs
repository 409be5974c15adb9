//! Attributes of people that a trusted issuer tells.
//!
//! What must always hold: an issuer sets only the attributes that the configuration maps, and those of people who had
//! an account before only if the configuration says so; then what it no longer tells is removed, because attributes
//! decide about rights, and a token that was issued before another one brings nothing back. If what it tells does not
//! fit, nobody is let in.

use diesel::PgConnection;
use serde_json::json;

use super::sign_in::{Arrival, NotArrived};
use crate::clock::Time;
use crate::domain::attributes::Attributes;
use crate::domain::audit::{Event, EventKind};
use crate::domain::user::User;
use crate::storage::{StorageError, audit, people, users};

impl Arrival {
    /// The attributes of a new account.
    pub(super) fn first_attributes(&self) -> Result<Attributes, NotArrived> {
        Ok(Attributes::parse(&self.custom_attributes)?)
    }

    /// The attributes of a person who has an account, after what the token tells.
    pub(super) fn told_attributes(&self, user: &User) -> Result<Attributes, NotArrived> {
        let told = self.tells().then(|| user.attributes.changed(&self.custom_attributes));
        Ok(told.transpose()?.unwrap_or_else(|| user.attributes.clone()))
    }

    /// Stores what the token tells about a linked person, unless a newer token has told it. The person's row is locked
    /// only if there is something to write.
    pub(super) fn tell(&self, conn: &mut PgConnection, user: User) -> Result<Result<User, NotArrived>, StorageError> {
        if !self.tells() {
            return Ok(Ok(user));
        }
        let attributes = match self.told_attributes(&user) {
            Ok(attributes) => attributes,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let told_at = self.told_at(conn)?;
        let says_nothing_new = told_at == self.issued_at && attributes == user.attributes;
        if told_at > self.issued_at || says_nothing_new {
            return Ok(Ok(user));
        }
        self.tell_locked(conn, user)
    }

    /// The same once more with the person's row locked: since it was read, another token may have come.
    fn tell_locked(&self, conn: &mut PgConnection, user: User) -> Result<Result<User, NotArrived>, StorageError> {
        let user = users::lock(conn, user.id)?
            .ok_or_else(|| StorageError::corrupt("users", user.id, "it was there a moment ago"))?;
        if self.told_at(conn)? > self.issued_at {
            return Ok(Ok(user));
        }
        let attributes = match self.told_attributes(&user) {
            Ok(attributes) => attributes,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.record_told(conn)?;
        if attributes == user.attributes {
            return Ok(Ok(user));
        }
        people::set_attributes(conn, user.id, &attributes, self.event.at)?;
        // The event has no values.
        let event = Event {
            kind: EventKind::UserChanged,
            user: Some(user.id),
            subject_name: Some(self.trust.name.clone()),
            detail: json!({ "change": "attributes", "trusted_issuer": self.trust.name }),
            ..self.event.clone()
        };
        audit::insert(conn, &event)?;
        Ok(Ok(User { attributes, ..user }))
    }

    /// Whether tokens set attributes of people who have an account.
    fn tells(&self) -> bool {
        self.trust.updates_attributes && !self.custom_attributes.is_empty()
    }

    fn told_at(&self, conn: &mut PgConnection) -> Result<Option<Time>, StorageError> {
        people::attributes_told_at(conn, &self.trust.source, &self.subject)
    }

    /// Records when the token was issued that told the attributes.
    pub(super) fn record_told(&self, conn: &mut PgConnection) -> Result<(), StorageError> {
        let Some(issued_at) = self.issued_at.filter(|_| self.tells()) else { return Ok(()) };
        people::set_attributes_told_at(conn, &self.trust.source, &self.subject, issued_at)
    }
}
