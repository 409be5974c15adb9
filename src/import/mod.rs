//! People and their passkeys from other systems, and out to them.
//!
//! A file goes through four steps, each of which knows nothing of the next: [`split`] cuts it into people, a converter
//! ([`convert`]) or our own [`form`] makes a [`Record`] of each, [`plan`] decides what becomes of a whole chunk of them,
//! and [`apply`] writes that in one transaction. The first three are pure.
//!
//! What must always hold: a line is taken over whole or not at all, and the rest goes on; who was imported once is known
//! by (source, id) for ever, so that the same file again changes nothing; a credential id is never taken from its owner;
//! an address that somebody else has proven stays unverified; what was removed here is not brought back; what cannot be taken
//! over is told, never dropped silently.
//! To add a system: a file in [`convert`], its variants of [`Format`] and [`Origin`], a fixture in `tests/it/import`, and its
//! section in `docs/operations/import-export.md`.

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
    /// Our own lines.
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
    /// A table of passkeys as SimpleWebAuthn's guide lays it out, and the people it belongs to.
    SimpleWebAuthn,
}

/// What a file does not say of itself.
#[derive(Debug, Default)]
pub struct Context {
    /// The domain of passkeys that name none.
    pub rp_id: Option<String>,
    /// The project-wide parameters of Firebase's password hashes.
    pub firebase: Option<FirebaseParameters>,
    /// Now, for what has an end.
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

    /// The member of a document that holds people of whom nothing can be read.
    pub const fn other_list_member(self) -> Option<&'static str> {
        match self {
            Self::Keycloak => Some("federatedUsers"),
            _ => None,
        }
    }

    /// Reads one person; none for what is none: a line of our own export that tells of something else, an account of a program.
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

    /// Which of the system's files a person stands in.
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
