//! Imports people and their passkeys from other systems, and exports them.
//!
//! A file goes through four steps, none of which knows the next: [`split`] cuts it into people; a converter
//! ([`convert`]) or our own [`form`] turns each into a [`Record`]; [`plan`] decides on a whole chunk of them; [`apply`]
//! writes the result in one transaction. The first three are pure.
//!
//! Invariants: a line is imported entirely or not at all, without affecting the others; an imported person is known by
//! (source, id) permanently, so that importing the same file again changes nothing; a credential id is never taken from
//! its owner; an address that another person has verified stays unverified; what was removed here is not restored; what
//! cannot be imported is reported, never dropped silently.
//!
//! To add a system: a file in [`convert`], its variants of [`Format`] and [`Origin`], a fixture in `tests/it/import`,
//! and its section in `docs/operations/import-export.md`.

pub mod apply;
mod bounds;
pub mod bytes;
pub mod convert;
pub mod export;
pub mod fields;
pub mod form;
pub mod hash_parameters;
mod mark;
mod outcome;
pub mod plan;
pub mod record;
mod rows;
pub mod run;
pub mod split;
mod update;

use serde_json::{Map, Value};

pub use fields::Problem;
pub use hash_parameters::FirebaseParameters;
pub use record::{Note, Origin, Record};

use crate::clock::Time;
use crate::domain::strict_json::{JsonFault, parse_object};

/// The system that a file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own format.
    Ndjson,
    /// `firebase auth:export`.
    Firebase,
    /// A user export job, and the file of password hashes.
    Auth0,
    /// A realm export.
    Keycloak,
    /// `hanko user export`, with its passkeys joined.
    Hanko,
    /// Its tables, joined.
    BetterAuth,
    /// A table of passkeys laid out as in SimpleWebAuthn's guide, and the people they belong to.
    SimpleWebAuthn,
}

/// What a file does not contain itself.
#[derive(Debug, Default)]
pub struct Context {
    /// The domain of passkeys that name none.
    pub rp_id: Option<String>,
    /// The project-wide parameters of Firebase's password hashes.
    pub firebase: Option<FirebaseParameters>,
    /// The current time, for values that expire.
    pub now: Time,
}

impl Format {
    /// The member of a document that holds the people.
    pub const fn list_member(self) -> Option<&'static str> {
        match self {
            Self::Firebase | Self::Keycloak => Some("users"),
            _ => None,
        }
    }

    /// The member of a document with people that cannot be read.
    pub const fn other_list_member(self) -> Option<&'static str> {
        match self {
            Self::Keycloak => Some("federatedUsers"),
            _ => None,
        }
    }

    /// Reads one person; `None` for anything else: a line of our own export about another object, or a program's
    /// account.
    pub fn read(self, text: &[u8], context: &Context) -> Result<Option<Record>, Problem> {
        let members = parse(text)?;
        let origin = self.origin(&members);
        let record = match self {
            Self::Ndjson if members.contains_key(form::CLIENT) => return Ok(None),
            Self::Ndjson => form::read(members, context.rp_id.as_deref()),
            Self::Firebase => convert::firebase::read(members, context),
            Self::Auth0 => convert::auth0::read(members),
            Self::Keycloak if convert::keycloak::is_program(&members) => return Ok(None),
            Self::Keycloak => convert::keycloak::read(members, context),
            Self::Hanko => convert::hanko::read(members, context),
            Self::BetterAuth => convert::better_auth::read(members, context),
            Self::SimpleWebAuthn => convert::simple_webauthn::read(members, context),
        }?;
        Ok(Some(Record { origin, ..record }))
    }

    /// Which of the system's files a person comes from.
    fn origin(self, members: &Map<String, Value>) -> Origin {
        match self {
            Self::Ndjson => Origin::Ndjson,
            Self::Firebase => Origin::Firebase,
            Self::Auth0 if members.contains_key("_id") => Origin::Auth0Hashes,
            Self::Auth0 => Origin::Auth0,
            Self::Keycloak => Origin::Keycloak,
            Self::Hanko => Origin::Hanko,
            Self::BetterAuth => Origin::BetterAuth,
            Self::SimpleWebAuthn => Origin::SimpleWebAuthn,
        }
    }
}

fn parse(text: &[u8]) -> Result<Map<String, Value>, Problem> {
    parse_object(text).map_err(|fault| match fault {
        JsonFault::Duplicate => Problem::of_line("has a member twice in one object"),
        JsonFault::Malformed if std::str::from_utf8(text).is_err() => Problem::of_line("is not UTF-8"),
        JsonFault::Malformed => match serde_json::from_slice::<Value>(text) {
            Ok(_) => Problem::of_line("is no JSON object"),
            // The parser's message names what it expected and where, and quotes nothing.
            Err(error) => {
                Problem::of_line(format!("is not JSON (at byte {} of its line {})", error.column(), error.line()))
            }
        },
    })
}
