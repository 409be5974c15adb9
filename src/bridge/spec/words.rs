//! The terms of a definition, each a choice among a few. To add a set: another `words!`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of configuration terms, each of which stands for one choice.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every choice.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The term of every choice.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// Parses a term of the configuration; `None` for any other.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|choice| choice.as_str() == word)
            }

            /// The term in the configuration.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(from)?;
                Self::parse(&word).ok_or_else(|| serde::de::Error::unknown_variant(&word, Self::WORDS))
            }
        }
    };
}
pub(in crate::bridge) use words;

words! {
    /// The JSON form of `aud`. Some targets compare strings and never look into a list.
    AudienceForm {
        /// `"aud": "x"`
        String = "string",
        /// `"aud": ["x"]`
        Array = "array",
    }
}

words! {
    /// The signature algorithms a bridge may use (RFC 7518 §3.1, RFC 8037).
    Algorithm {
        /// ECDSA, P-256, SHA-256.
        Es256 = "ES256",
        /// RSASSA-PKCS1-v1_5, SHA-256.
        Rs256 = "RS256",
        /// Ed25519.
        EdDsa = "EdDSA",
        /// HMAC SHA-256, with a secret used by this bridge alone.
        Hs256 = "HS256",
        /// Ed25519 in NATS tokens, which do not use JOSE.
        Ed25519Nkey = "ed25519-nkey",
    }
}

words! {
    /// Which key signs a bridge's tokens.
    KeySource {
        /// A key of the bridge's own, created and rotated by this server: a leak affects only this bridge.
        Own = "own",
        /// The keys of this server's own tokens, for targets that use its discovery document.
        Provider = "provider",
        /// A key that was created elsewhere.
        Imported = "imported",
    }
}

words! {
    /// `typ` in the header.
    Typ {
        /// `JWT`
        Jwt = "JWT",
        /// `at+jwt` (RFC 9068), which some targets require and Dovecot 2.3 refuses.
        AtJwt = "at+jwt",
        /// No `typ`.
        None = "none",
    }
}

/// `kid` in the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KidPolicy {
    /// The ID of the signing key.
    Auto,
    /// This text, visible ASCII (Ably's `appId.keyId`).
    Fixed(String),
    /// No `kid`.
    Omit,
}

impl KidPolicy {
    /// Parses the configuration's value: `auto`, `omit`, or the text itself.
    pub fn read(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            "omit" => Self::Omit,
            other => Self::Fixed(other.to_owned()),
        }
    }

    /// The value in the configuration.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Auto => "auto",
            Self::Omit => "omit",
            Self::Fixed(kid) => kid,
        }
    }
}

impl Serialize for KidPolicy {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for KidPolicy {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self::read(&String::deserialize(from)?))
    }
}
