//! Why a token is refused.

/// Why a token is refused.
///
/// For logs and metrics only: a response must not tell the variants apart. The one exception is
/// [`Audience`](Self::Audience), which is found only for a genuine token that is in force, and reveals only what its
/// holder can read in it. No variant contains anything of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Longer than [`MAX_TOKEN`](super::MAX_TOKEN).
    #[error("too long")]
    TooLong,
    /// Not three parts of canonical base64url, or not JSON objects inside.
    #[error("malformed")]
    Malformed,
    /// An object has a member twice.
    #[error("duplicate member")]
    DuplicateMember,
    /// The header has `crit`, `b64`, `zip` or `enc`.
    #[error("critical or encryption header")]
    Critical,
    /// The `typ` is not accepted in this place.
    #[error("wrong type")]
    WrongType,
    /// `alg` missing, unknown, not the key's, or not accepted in this place.
    #[error("algorithm")]
    Algorithm,
    /// No such key, or one with another use, or no longer valid.
    #[error("unknown key")]
    UnknownKey,
    /// The signature does not match.
    #[error("signature")]
    Signature,
    /// Past its `exp`.
    #[error("expired")]
    Expired,
    /// Its `nbf` or `iat` is in the future.
    #[error("not yet valid")]
    NotYet,
    /// It ends before it begins, or lives longer than this place allows.
    #[error("lifetime")]
    Lifetime,
    /// Another issuer.
    #[error("issuer")]
    Issuer,
    /// Meant for another audience, or for others besides us.
    #[error("audience")]
    Audience,
    /// A required claim is missing.
    #[error("missing claim {0}")]
    MissingClaim(&'static str),
    /// A claim has the wrong JSON type, or a number is not a date.
    #[error("wrong claim type")]
    WrongClaimType,
}
