//! Signing keys: their algorithm, use and life cycle.
//!
//! A key is published, signs, verifies what it signed, and expires. [`rotation`] decides when the next one comes. The
//! state of a key follows from its dates alone, so that all replicas agree without coordination.
//!
//! To add an algorithm: a variant of [`Algorithm`], its form in [`public`] and [`material`], and its parsing in
//! [`provider`](super::provider).

pub mod material;
mod pem;
pub mod public;
pub mod rotation;
mod spki;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use material::KeyMaterial;
pub use public::PublicKey;

use crate::clock::Time;

/// A signature algorithm, named as in JSON Web Algorithms (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256; our default.
    ES256,
    /// RSA PKCS#1 v1.5 with SHA-256; what every OpenID client must understand.
    RS256,
    /// Ed25519.
    EdDSA,
    /// RSA-PSS with SHA-256. Only for verifying what others signed: our RSA keys sign with RS256.
    PS256,
    /// HMAC with SHA-256, for refresh tokens and for bridges whose target shares a secret. Never published.
    HS256,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Self; 5] = [Self::ES256, Self::RS256, Self::EdDSA, Self::PS256, Self::HS256];

    /// The algorithms that our own keys may have.
    pub const OURS: [Self; 4] = [Self::ES256, Self::RS256, Self::EdDSA, Self::HS256];

    /// The name in `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::RS256 => "RS256",
            Self::EdDSA => "EdDSA",
            Self::PS256 => "PS256",
            Self::HS256 => "HS256",
        }
    }

    /// The library's name for it.
    pub(super) const fn library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::ES256 => jsonwebtoken::Algorithm::ES256,
            Self::RS256 => jsonwebtoken::Algorithm::RS256,
            Self::EdDSA => jsonwebtoken::Algorithm::EdDSA,
            Self::PS256 => jsonwebtoken::Algorithm::PS256,
            Self::HS256 => jsonwebtoken::Algorithm::HS256,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(KeyError::Algorithm)
    }
}

/// What a key signs. A key has the same use for its whole life.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Use {
    /// Access, ID and logout tokens; the public key is in our JWKS.
    Tokens,
    /// Refresh tokens; symmetric, never published.
    Refresh,
    /// Custom tokens of the bridge of that name.
    Bridge(String),
    /// The signed header for protected hosts; the public key is in a separate JWKS.
    Forward,
}

impl fmt::Display for Use {
    /// The form in the database: `tokens`, `refresh`, `bridge:<name>`, `forward`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tokens => f.write_str("tokens"),
            Self::Refresh => f.write_str("refresh"),
            Self::Bridge(name) => write!(f, "bridge:{name}"),
            Self::Forward => f.write_str("forward"),
        }
    }
}

impl FromStr for Use {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        match text {
            "tokens" => Ok(Self::Tokens),
            "refresh" => Ok(Self::Refresh),
            "forward" => Ok(Self::Forward),
            other => match other.strip_prefix("bridge:") {
                Some(name) if !name.is_empty() => Ok(Self::Bridge(name.to_owned())),
                _ => Err(KeyError::Use),
            },
        }
    }
}

/// Why a key is refused. Reveals nothing about its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not an algorithm of ours, or not the one that the key is for.
    #[error("the algorithm is unknown or does not fit the key")]
    Algorithm,
    /// Not a use that we know.
    #[error("the use of the key is unknown")]
    Use,
    /// Not readable in the form that it claims to have.
    #[error("the key is not in a form that can be read (PKCS#8, PKCS#1 or SEC 1 PEM, or a JWK)")]
    Form,
    /// Readable but unsafe: too short, a point of small order, or halves that do not belong together.
    #[error("the key is too weak (RSA wants 2,048 to 8,192 bits, a secret at least 32 bytes) or inconsistent")]
    Weak,
    /// A JWK that says it is for something else (RFC 7517 §4.2, §4.3).
    #[error("its `use` or `key_ops` says that it is not for signing")]
    Purpose,
    /// A JWK whose `kid` cannot be written into a header.
    #[error("its `kid` is not 1 to 256 printable ASCII characters")]
    Kid,
    /// Two keys with the same `kid`: the ring could not tell which one is meant.
    #[error("two keys share one kid")]
    DuplicateKid,
    /// The cryptographic library failed to make a key.
    #[error("a key could not be generated")]
    Generation,
}

/// A key from the database, opened. Its dates say when it passes from one [`KeyState`] to the next.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// Its id in token headers and in the JWKS; for our own keys [`KeyMaterial::thumbprint`].
    pub kid: String,
    /// What it may sign.
    pub usage: Use,
    /// The one algorithm that it signs with.
    pub algorithm: Algorithm,
    /// The key itself.
    pub material: KeyMaterial,
    /// When it entered the JWKS.
    pub published_at: Time,
    /// When it begins to sign.
    pub signs_from: Time,
    /// When it stops signing; set once a successor exists.
    pub retired_at: Option<Time>,
    /// Until when its signatures are accepted; set once a successor exists.
    pub verifies_until: Option<Time>,
    /// When it was revoked. From then on, nothing it signed is accepted.
    pub revoked_at: Option<Time>,
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// In the JWKS, but does not sign yet.
    Published,
    /// The key that signs now.
    Signing,
    /// No longer signs; what it signed is still accepted.
    Verifying,
    /// Removed from the JWKS.
    Expired,
    /// Removed at once, by order of an operator.
    Revoked,
}

impl KeyState {
    /// Whether the key is in the JWKS and its signatures are accepted.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Published | Self::Signing | Self::Verifying)
    }

    /// The state that follows from a key's dates alone.
    pub fn at(signs_from: Time, [retired, verifies_until, revoked]: [Option<Time>; 3], now: Time) -> Self {
        let reached = |date: Option<Time>| date.is_some_and(|date| date <= now);
        if reached(revoked) {
            Self::Revoked
        } else if reached(verifies_until) {
            Self::Expired
        } else if reached(retired) {
            Self::Verifying
        } else if signs_from <= now {
            Self::Signing
        } else {
            Self::Published
        }
    }

    /// Its name, for people and programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Signing => "signing",
            Self::Verifying => "verifying",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl StoredKey {
    /// The state at one moment. Each date belongs to the state that begins with it.
    pub fn state(&self, now: Time) -> KeyState {
        KeyState::at(self.signs_from, [self.retired_at, self.verifies_until, self.revoked_at], now)
    }

    /// The next moment at which the state changes, if a date for it is set.
    pub fn next_change(&self, now: Time) -> Option<Time> {
        let dates = [Some(self.signs_from), self.retired_at, self.verifies_until, self.revoked_at];
        dates.into_iter().flatten().filter(|date| *date > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Duration};

    #[test]
    fn names_round_trip() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
            assert_eq!(serde_json::to_string(&algorithm).unwrap(), format!("\"{algorithm}\""));
        }
        for bad in ["none", "es256", "RS512", "", "HS256 "] {
            assert_eq!(bad.parse::<Algorithm>(), Err(KeyError::Algorithm), "{bad}");
        }
        for usage in [Use::Tokens, Use::Refresh, Use::Bridge("tokens".into()), Use::Bridge("a:b".into()), Use::Forward]
        {
            assert_eq!(usage.to_string().parse(), Ok(usage));
        }
        for bad in ["", "bridge:", "Tokens", "other"] {
            assert_eq!(bad.parse::<Use>(), Err(KeyError::Use), "{bad}");
        }
    }

    #[test]
    fn the_state_follows_from_the_dates() {
        let at = |minutes: i64| DateTime::from_timestamp(1_800_000_000, 0).unwrap() + Duration::minutes(minutes);
        let mut key = StoredKey {
            kid: "k".into(),
            usage: Use::Refresh,
            algorithm: Algorithm::HS256,
            material: KeyMaterial::generate(Algorithm::HS256).unwrap(),
            published_at: at(0),
            signs_from: at(10),
            retired_at: Some(at(100)),
            verifies_until: Some(at(120)),
            revoked_at: None,
        };
        for (minute, state, next) in [
            (0, KeyState::Published, Some(10)),
            (9, KeyState::Published, Some(10)),
            (10, KeyState::Signing, Some(100)),
            (99, KeyState::Signing, Some(100)),
            (100, KeyState::Verifying, Some(120)),
            (119, KeyState::Verifying, Some(120)),
            (120, KeyState::Expired, None),
        ] {
            assert_eq!(key.state(at(minute)), state, "minute {minute}");
            assert_eq!(key.next_change(at(minute)), next.map(at), "minute {minute}");
        }
        key.revoked_at = Some(at(50));
        assert_eq!((key.state(at(49)), key.state(at(50))), (KeyState::Signing, KeyState::Revoked));
        assert_eq!(key.next_change(at(10)), Some(at(50)));
    }
}
