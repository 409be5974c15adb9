//! What an operator writes about a bridge, and what can be wrong with it.

use chrono::Duration;
use serde_json::Value;

use super::preset::{PresetKind, Violation};
use super::rule::Allow;
use super::service_account::ServiceAccount;
use super::template::TemplateProblem;
use super::{EvaluationError, ExpressionProblem};
use crate::domain::secret::Secret;

/// A bridge as configured. Everything optional has a default from the preset; what the preset locks may be repeated, not
/// changed.
#[derive(Clone, Debug)]
pub struct BridgeSpec {
    /// Its name, as clients ask for it: 1 to 63 of `a-z 0-9 _ -`, beginning with a letter or digit.
    pub name: String,
    /// The target's rules.
    pub preset: PresetKind,
    /// `iss`. `jwt`: required. `firebase`: locked to the service account's e-mail.
    pub issuer: Option<String>,
    /// `aud`: exactly one. `jwt`: required, and never the issuer. `firebase`: locked.
    pub audience: Option<String>,
    /// How `aud` is written; a string by default.
    pub audience_form: Option<AudienceForm>,
    /// `jwt`: required. `firebase`: locked to RS256.
    pub algorithm: Option<Algorithm>,
    /// The header's `typ`; `JWT` by default.
    pub typ: Option<Typ>,
    /// The header's `kid`. Default: automatic for `jwt`, omitted for `firebase` (as Google's own libraries do).
    pub kid: Option<KidPolicy>,
    /// From `iat` to `exp`: 10 s to 24 h, for `firebase` at most 1 h; 10 minutes by default.
    pub lifetime: Option<Duration>,
    /// The most bytes the signed token may have, 256 to 16384; 4096 by default.
    pub max_bytes: Option<usize>,
    /// The expression for `sub` (`jwt`) or `uid` (`firebase`); `{{ user.id }}` by default.
    pub subject: Option<String>,
    /// The claims tree, an object. `jwt`: beside the engine's own claims. `firebase`: the developer claims.
    pub claims: Value,
    /// `firebase`: the Identity Platform tenant.
    pub tenant_id: Option<String>,
    /// Who may mint.
    pub allow: Allow,
    /// `firebase`: the key it signs with; required.
    pub service_account: Option<ServiceAccount>,
    /// `HS256`: the secret shared with the target, at least 32 bytes; for nothing else.
    pub secret: Option<Secret<Vec<u8>>>,
}

impl BridgeSpec {
    /// A spec with all defaults.
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
            tenant_id: None,
            allow: Allow::default(),
            service_account: None,
            secret: None,
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

            /// Reads the configuration's word; `None` for any other.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|choice| choice.as_str() == word)
            }

            /// The configuration's word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
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
    /// A field the preset locks.
    #[error("the preset locks it to `{0}`")]
    Locked(String),
    /// A value outside its range or form.
    #[error("{0}")]
    Form(&'static str),
    /// A claim that is not the template's to write.
    #[error("this name is reserved")]
    Reserved,
    /// A claim about the sign-in that says something else than the sign-in.
    #[error("this claim may only be `{{{{ {0} }}}}`")]
    OnlyFact(&'static str),
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
