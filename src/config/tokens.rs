//! How long tokens live and how they are signed.

use chrono::Duration;

use super::problems::{Wrong, quoted};
use super::public_url::PublicUrl;
use super::reader::Reader;
use super::section::{Choice, Fallback, Key, Kind, Section, choices};
use super::values::show_text;

choices! {
    /// A signature algorithm (RFC 7518, RFC 8037).
    Algorithm {
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// Ed25519.
        EdDsa = "EdDSA",
        /// RSA PKCS#1 v1.5 with SHA-256.
        Rs256 = "RS256",
    }
}

/// The settings of `[tokens]`.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// How long an access token lives.
    pub access_ttl: Duration,
    /// How long an ID token is valid.
    pub id_ttl: Duration,
    /// How long a refresh token lives without use.
    pub refresh_idle: Duration,
    /// The longest life of a family of refresh tokens.
    pub refresh_absolute: Duration,
    /// How long after a rotation the old refresh token still yields the same successor.
    pub refresh_retry_window: Duration,
    /// The algorithm of access tokens, unless a client or resource has its own.
    pub algorithm: Algorithm,
    /// The claim for what hooks add.
    pub hook_claims: String,
}

pub(super) const SECTION: Section = Section {
    title: "Tokens",
    doc: "How long tokens are valid and how they are signed. Clients and bridges may have their own lifetimes.",
    keys: &[
        Key {
            path: "tokens.access_ttl",
            kind: Kind::Duration("1m", "24h"),
            default: Fallback::Value("10m"),
            doc: "How long an access token is valid. Resource servers that verify it locally learn of a revocation \
                only when it expires.",
        },
        Key {
            path: "tokens.id_ttl",
            kind: Kind::Duration("1m", "24h"),
            default: Fallback::Value("10m"),
            doc: "How long an ID token is valid.",
        },
        Key {
            path: "tokens.refresh_idle",
            kind: Kind::Duration("1m", "400d"),
            default: Fallback::Value("14d"),
            doc: "How long a refresh token is valid without use; not longer than `tokens.refresh_absolute`.",
        },
        Key {
            path: "tokens.refresh_absolute",
            kind: Kind::Duration("1m", "400d"),
            default: Fallback::Value("90d"),
            doc: "How long a family of refresh tokens lasts at most, however often it is rotated.",
        },
        Key {
            path: "tokens.refresh_retry_window",
            kind: Kind::Duration("0s", "60s"),
            default: Fallback::Value("10s"),
            doc: "How long after a rotation the same refresh token gets the same successor again, for apps whose \
                response was lost. After that, reuse revokes the family.",
        },
        Key {
            path: "tokens.algorithm",
            kind: Kind::Choice(Algorithm::WORDS),
            default: Fallback::Value("ES256"),
            doc: "The signature algorithm of access tokens.",
        },
        Key {
            path: "tokens.hook_claims",
            kind: Kind::Text("URL"),
            default: Fallback::Derived("`public_url` and `/claims`"),
            doc: "The claim with what [hooks](../flows/hooks.md) add to access and ID tokens: a URL, so that it cannot \
                collide with another claim.",
        },
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>, public_url: &PublicUrl) -> Tokens {
    let tokens = Tokens {
        access_ttl: reader.duration("tokens.access_ttl"),
        id_ttl: reader.duration("tokens.id_ttl"),
        refresh_idle: reader.duration("tokens.refresh_idle"),
        refresh_absolute: reader.duration("tokens.refresh_absolute"),
        refresh_retry_window: reader.duration("tokens.refresh_retry_window"),
        algorithm: reader.choice("tokens.algorithm"),
        hook_claims: hook_claims(reader, public_url),
    };
    if tokens.refresh_idle > tokens.refresh_absolute {
        let wrong = Wrong::new("is longer than tokens.refresh_absolute", "shorten it, or lengthen the other");
        reader.contradiction("tokens.refresh_idle", &["tokens.refresh_absolute"], wrong);
    }
    tokens
}

fn hook_claims(reader: &mut Reader<'_>, public_url: &PublicUrl) -> String {
    let key = "tokens.hook_claims";
    reader.text_as(key, claim_name).unwrap_or_else(|| {
        let name = format!("{}/claims", public_url.as_str());
        reader.derived(key, show_text(&name));
        name
    })
}

fn claim_name(text: &str) -> Result<String, Wrong> {
    let is_address = url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    if is_address && text.len() <= 255 && text.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("{} is no address", quoted(text)),
        "write one of your own, such as \"https://id.example.com/claims\"",
    ))
}
