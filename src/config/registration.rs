//! Whether apps can register themselves, and what they may then have.

use chrono::Duration;

use super::client_keys::Grant;
use super::problems::Wrong;
use super::reader::Reader;
use super::section::{Choice, Fallback, Key, Kind, Section, choices};
use super::text;

choices! {
    /// Who may register clients.
    RegistrationMode {
        /// Nobody may register an app.
        Off = "off",
        /// Anyone with a permission (an initial access token).
        Token = "token",
        /// Anyone may register an app.
        Open = "open",
    }
}

/// The settings of `[registration]`.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Who may register clients.
    pub mode: RegistrationMode,
    /// The grants that registered clients may have.
    pub grants: Vec<Grant>,
    /// The scopes that registered clients may have, and get if they name none.
    pub scopes: Vec<String>,
    /// The APIs that registered clients may request tokens for.
    pub audiences: Vec<String>,
    /// The maximum number of clients that registered themselves or were read from metadata documents.
    pub max_clients: u32,
    /// How long an unused registered client is kept; `None`: forever.
    pub unused_lifetime: Option<Duration>,
    /// Whether a `client_id` may be the URL of a document that describes the client.
    pub metadata_documents: bool,
}

pub(super) const SECTION: Section = Section {
    title: "Registration",
    doc: "Apps that register themselves (RFC 7591, OpenID Connect Dynamic Client Registration), as MCP clients do. They are \
          never first-party, never run ceremonies, and never administer.",
    keys: &[
        Key {
            path: "registration.mode",
            kind: Kind::Choice(RegistrationMode::WORDS),
            default: Fallback::Value("off"),
            doc: "`token`: anyone with an initial access token from `passmint registration-tokens create` or the \
                administration API. `open`: anyone who can reach the server.",
        },
        Key {
            path: "registration.grants",
            kind: Kind::Choices(Grant::WORDS),
            default: Fallback::Value("authorization_code,refresh_token"),
            doc: "The grants that registered apps may have; `passkey`, `token_exchange` and `jwt_bearer` are never among them.",
        },
        Key {
            path: "registration.scopes",
            kind: Kind::List("scope"),
            default: Fallback::Value("openid,profile,email,address,phone,offline_access"),
            doc: "The scopes that registered apps may have, and get if they name none; never administrative ones.",
        },
        Key {
            path: "registration.audiences",
            kind: Kind::List("identifier"),
            default: Fallback::Unset,
            doc: "The APIs (resources, RFC 8707) for which registered apps may request tokens, such as the URL of an \
                MCP server.",
        },
        Key {
            path: "registration.max_clients",
            kind: Kind::Integer(1, 1_000_000),
            default: Fallback::Value("1000"),
            doc: "How many apps may have registered themselves, or been read from their documents, at the same time.",
        },
        Key {
            path: "registration.unused_lifetime",
            kind: Kind::DurationOrOff("1h", "400d"),
            default: Fallback::Value("30d"),
            doc: "A registered app that nobody has used for this long is deleted; `off` keeps it.",
        },
        Key {
            path: "registration.metadata_documents",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether a `client_id` may be the https address of a document that describes the app (OAuth Client ID \
                  Metadata Document), which the server then fetches.",
        },
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>) -> Registration {
    let registration = Registration {
        mode: reader.choice("registration.mode"),
        grants: reader.choices("registration.grants").unwrap_or_default(),
        scopes: reader.list_as("registration.scopes", text::scope).unwrap_or_default(),
        audiences: reader.list_as("registration.audiences", text::identifier).unwrap_or_default(),
        max_clients: reader.integer("registration.max_clients"),
        unused_lifetime: reader.optional_duration("registration.unused_lifetime"),
        metadata_documents: reader.switch("registration.metadata_documents"),
    };
    for (grant, cure) in [
        (Grant::Passkey, "leave it out: ceremonies are for your own apps, and those are declared"),
        (Grant::TokenExchange, "leave it out: who exchanges tokens is named by rules, and so declared"),
        (Grant::JwtBearer, "leave it out: who brings others' tokens is named by trusted issuers, and so declared"),
    ] {
        if registration.grants.contains(&grant) {
            reader.mistake("registration.grants", Wrong::new(format!("has \"{}\"", grant.as_str()), cure));
        }
    }
    if registration.scopes.iter().any(|scope| crate::domain::scope::is_powerful(scope)) {
        let cure = "leave it out: such scopes are for clients that an administrator created";
        reader.mistake("registration.scopes", Wrong::new("has a scope of administration or of action tokens", cure));
    }
    registration
}
