//! What an operator writes about a bridge, and what can be wrong with it.

use chrono::Duration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::filter::FilterFailure;
use super::input::InputProblem;
use super::key::Material;
use super::preset::{PresetKind, Violation};
use super::rule::Allow;
use super::service_account::ServiceAccount;
use super::template::TemplateProblem;
use super::{EvaluationError, ExpressionProblem};

/// What a bridge is: one form for the configuration, the administration API, the commands and the database. Everything
/// optional has a default from the preset; what the preset locks may be repeated, not changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeDefinition {
    /// Its name, as clients ask for it: 1 to 63 of `a-z 0-9 _ -`, beginning with a letter or digit.
    #[serde(skip)]
    pub name: String,
    /// The target's rules.
    pub preset: PresetKind,
    /// `iss`. `jwt`: this server's issuer where nothing is said. `firebase`: locked to the service account's e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// `aud`: exactly one. `jwt`: required, and never the issuer. `firebase`: locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// How `aud` is written; a string by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience_form: Option<AudienceForm>,
    /// `jwt`: ES256 by default. `firebase`: locked to RS256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// The header's `typ`; `JWT` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typ: Option<Typ>,
    /// The header's `kid`. Default: automatic for `jwt`, omitted for `firebase` (as Google's own libraries do).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<KidPolicy>,
    /// From `iat` to `exp`, written in seconds: 10 s to 24 h, for `firebase` at most 1 h; 10 minutes by default.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub lifetime: Option<Duration>,
    /// The most bytes the signed token may have, 256 to 16384; 4096 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<usize>,
    /// The expression for `sub` (`jwt`) or `uid` (`firebase`); `{{ user.id }}` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The claims tree, an object. `jwt`: beside the engine's own claims. `firebase`: the developer claims.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub claims: Value,
    /// What the caller of a minting may say, for `input.NAME`: an object, one declaration for each name.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub inputs: Value,
    /// `firebase`: the Identity Platform tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Where the target is, for presets that go there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `nats-callout`: whom the access token must be for that people connect with; this server where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_audience: Option<String>,
    /// Who may mint.
    #[serde(default, skip_serializing_if = "Allow::is_default")]
    pub allow: Allow,
    /// Whose key signs; where nothing is said the imported one if there is one, else a key of the bridge's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySource>,
    /// Lets the template say what the preset otherwise refuses as too powerful.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dangerous: bool,
    /// Takes a preset that nobody has tried with its target.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_unverified: bool,
    /// The key that was made elsewhere. Never written with the rest.
    #[serde(skip)]
    pub material: Option<Material>,
    /// This server's issuer, for presets whose `iss` it is. Not a setting: whoever loads a definition fills it in.
    #[serde(skip)]
    pub our_issuer: Option<String>,
}

impl BridgeDefinition {
    /// A definition with all defaults.
    pub fn new(name: &str, preset: PresetKind) -> Self {
        Self {
            name: name.to_owned(),
            preset,
            issuer: None,
            audience: None,
            audience_form: None,
            algorithm: None,
            typ: None,
            kid: None,
            lifetime: None,
            max_bytes: None,
            subject: None,
            claims: Value::Null,
            inputs: Value::Null,
            tenant_id: None,
            url: None,
            bearer_audience: None,
            allow: Allow::default(),
            key: None,
            dangerous: false,
            allow_unverified: false,
            material: None,
            our_issuer: None,
        }
    }

    /// Reads what is written as JSON.
    ///
    /// # Errors
    /// Which member does not read, and what is expected there. What stands there is never repeated: it may be a key in the
    /// wrong place.
    pub fn read(document: Value) -> Result<Self, String> {
        let whole = document.clone();
        serde_json::from_value(document).map_err(|error| {
            let reads = |name: &str, value: &Value| {
                let mut one = serde_json::json!({ "preset": PresetKind::Jwt });
                one[name] = value.clone();
                serde_json::from_value::<Self>(one).is_ok()
            };
            let members = whole.as_object();
            let culprit = members.and_then(|all| all.iter().find(|(name, value)| !reads(name, value)));
            // serde's own words come last, after what was sent.
            let expected = error.to_string().rsplit_once("expected ").map(|(_, words)| format!(": expected {words}"));
            match culprit {
                Some((name, _)) if is_plain_name(name) => {
                    format!("`{name}` does not read{}", expected.unwrap_or_default())
                }
                Some(_) => "a member does not read".to_owned(),
                None => match error.to_string() {
                    text if text.starts_with("missing field") => text,
                    _ => "it is no object of settings".to_owned(),
                },
            }
        })
    }

    /// The service account whose key was imported.
    pub const fn service_account(&self) -> Option<&ServiceAccount> {
        match &self.material {
            Some(Material::ServiceAccount(account)) => Some(account),
            _ => None,
        }
    }

    /// Whose key signs.
    pub fn key_source(&self) -> KeySource {
        let unsaid = if self.material.is_some() { KeySource::Imported } else { KeySource::Own };
        self.key.unwrap_or(unsaid)
    }
}

fn is_plain_name(name: &str) -> bool {
    name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a function of a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Durations: written as whole seconds, read also as the configuration has them (`"10m"`).
pub(super) mod seconds {
    use chrono::Duration;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    use crate::config;

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "seconds, or text with a unit such as \"10m\"")]
    enum Written {
        Seconds(i64),
        Text(String),
    }

    #[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.num_seconds()).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        match Option::<Written>::deserialize(from)? {
            None => Ok(None),
            // A number that no duration holds would panic in chrono: it is out of every range anyway.
            Some(Written::Seconds(seconds)) => Ok(Some(Duration::seconds(seconds.clamp(-1, 1_000_000_000)))),
            Some(Written::Text(text)) => config::duration(&text).map(Some).map_err(Error::custom),
        }
    }
}

/// A word of the configuration that stands for one of a few choices.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every choice.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Every word.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// Reads the configuration's word; `None` for any other.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|choice| choice.as_str() == word)
            }

            /// The configuration's word.
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
pub(super) use words;

words! {
    /// How `aud` is written. Some targets compare text and never look into a list.
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
        /// HMAC SHA-256, with a secret of this bridge alone.
        Hs256 = "HS256",
        /// Ed25519 in the tokens of NATS, which are not of JOSE.
        Ed25519Nkey = "ed25519-nkey",
    }
}

words! {
    /// Whose key signs a bridge's tokens.
    KeySource {
        /// A key of the bridge's own, made and rotated by this server: a leak stays local.
        Own = "own",
        /// The keys of this server's own tokens, for targets that know its issuer by discovery.
        Provider = "provider",
        /// A key that was made elsewhere.
        Imported = "imported",
    }
}

words! {
    /// The header's `typ`.
    Typ {
        /// `JWT`
        Jwt = "JWT",
        /// `at+jwt` (RFC 9068), which some targets demand and Dovecot 2.3 refuses.
        AtJwt = "at+jwt",
        /// No `typ`.
        None = "none",
    }
}

/// The header's `kid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KidPolicy {
    /// The id of the key that signs.
    Auto,
    /// This text, visible ASCII (Ably's `appId.keyId`).
    Fixed(String),
    /// No `kid`.
    Omit,
}

impl KidPolicy {
    /// Reads the configuration's word: `auto`, `omit`, or the text itself.
    pub fn read(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            "omit" => Self::Omit,
            other => Self::Fixed(other.to_owned()),
        }
    }

    /// As the configuration has it.
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

/// One thing wrong with a spec, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bridge `{bridge}`: {place}: {problem}")]
pub struct SpecProblem {
    /// The bridge's name.
    pub bridge: String,
    /// The field, or the place in the claims (`claims.roles[2]`).
    pub place: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What can be wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A name clients could not ask for.
    #[error("a name is 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit")]
    Name,
    /// A field this preset needs.
    #[error("the preset needs it: {0}")]
    Required(&'static str),
    /// A field this preset has no use for.
    #[error("the preset does not take it: {0}")]
    Unused(&'static str),
    /// A key that does not do what the bridge asks of it.
    #[error("{0}")]
    Key(String),
    /// A field the preset locks.
    #[error("the preset locks it to `{0}`")]
    Locked(String),
    /// A value outside its range or form.
    #[error("{0}")]
    Form(&'static str),
    /// A name that the target reads in another case.
    #[error("the target does not read `{0}`: upper and lower case matter")]
    Misspelt(String),
    /// A claim that decides what the token allows, from text that somebody chooses.
    #[error(
        "it decides what the token allows, so nothing that people, clients or devices choose goes into it: use groups, \
         `map`, `in`, or an input with `one_of`"
    )]
    Chosen,
    /// A preset that was never tried.
    #[error("this preset is unverified ({0}): try it, then say `allow_unverified = true`")]
    Unverified(&'static str),
    /// A claim that is not the template's to write.
    #[error("this name is reserved")]
    Reserved,
    /// A claim about the sign-in that says something else than the sign-in.
    #[error("this claim may only be `{{{{ {0} }}}}`")]
    OnlyFact(&'static str),
    /// A mistake in the declaration of an input.
    #[error(transparent)]
    Input(#[from] InputProblem),
    /// A mistake in the claims tree.
    #[error(transparent)]
    Template(#[from] TemplateProblem),
    /// A mistake in the subject's expression.
    #[error(transparent)]
    Expression(#[from] ExpressionProblem),
    /// A rendering for a sample user failed.
    #[error("rendered for the {sample} sample user: {error}")]
    Sample {
        /// `full`, `bare` or `awkward`.
        sample: &'static str,
        /// Why.
        error: RenderError,
    },
}

/// Why no token was minted. For the log: a client learns only that it was not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A claim without a value.
    #[error("{place}: {error}")]
    Evaluation {
        /// Where in the template.
        place: String,
        /// Why.
        error: EvaluationError,
    },
    /// A subject that the target would misread, or that is too long for it.
    #[error("the subject must be 1 to {max} characters of letters, digits and `-._~@:|/+=#,`")]
    Subject {
        /// The preset's limit.
        max: usize,
    },
    /// A longer token than the bridge allows.
    #[error("the token would be up to {bytes} bytes long, at most {max} are allowed")]
    TooLarge {
        /// What it would be.
        bytes: usize,
        /// What it may be.
        max: usize,
    },
    /// The preset's own checker refuses the finished token.
    #[error("the target's rules are broken: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Violations(Vec<Violation>),
}

impl RenderError {
    /// Whether the template refuses such users on purpose: what it asks for is not there, or holds characters that it
    /// does not put into a text.
    pub const fn is_choice(&self) -> bool {
        matches!(
            self,
            Self::Evaluation {
                error: EvaluationError::Missing(_) | EvaluationError::Filter(_, FilterFailure::Unsafe),
                ..
            }
        )
    }
}
