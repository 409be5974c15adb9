//! Why a token is refused.

/// For logs and metrics only: an answer must not tell the variants apart. The one exception is [`Audience`](Self::Audience),
/// which is only found of a token that is genuine and in force, and says what its holder can read in it. None carries anything of
/// the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Longer than [`MAX_TOKEN`](super::MAX_TOKEN).
    #[error("too long")]
    TooLong,
    /// Not three parts of canonical base64url, or not JSON objects inside.
    #[error("malformed")]
    Malformed,
    /// A member twice in one JSON object.
    #[error("duplicate member")]
    DuplicateMember,
    /// `crit`, `b64`, `zip` or `enc` in the header.
    #[error("critical or encryption header")]
    Critical,
    /// A `typ` that does not belong in this place.
    #[error("wrong type")]
    WrongType,
    /// `alg` missing, unknown, not the key's, or not accepted in this place.
    #[error("algorithm")]
    Algorithm,
    /// No such key, or one of another use, or no longer valid.
    #[error("unknown key")]
    UnknownKey,
    /// The signature does not fit.
    #[error("signature")]
    Signature,
    /// Past its `exp`.
    #[error("expired")]
    Expired,
    /// Its `nbf` or `iat` lies ahead.
    #[error("not yet valid")]
    NotYet,
    /// It ends before it begins, or lives longer than this place allows.
    #[error("lifetime")]
    Lifetime,
    /// Another issuer.
    #[error("issuer")]
    Issuer,
    /// For somebody else, or for others besides us.
    #[error("audience")]
    Audience,
    /// A required claim is not there.
    #[error("missing claim {0}")]
    MissingClaim(&'static str),
    /// A claim of the wrong JSON type, or a number that is no date.
    #[error("wrong claim type")]
    WrongClaimType,
}
