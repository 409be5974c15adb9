//! Secrets that cannot be printed or stored by accident.

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize;

/// A value that is wiped on drop and never shown: no `Display`, no `Serialize`, and a redacting `Debug`.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. All uses can be found by searching for this name.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The kinds of opaque tokens, each with its own prefix, so that the wrong kind is refused before any query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// The session cookie.
    Session,
    /// The cookie that binds a ceremony to the browser that started it.
    PreSession,
    /// The handle of a ceremony in flight.
    Ceremony,
    /// A confidential client's secret.
    ClientSecret,
    /// A device's own code (RFC 8628 §3.2).
    DeviceCode,
    /// An authorization code.
    AuthorizationCode,
    /// The handle of an authorization request that is waiting for a person.
    Interaction,
    /// The handle of a pushed authorization request (RFC 9126 §2.2).
    PushedRequest,
    /// A registered client's permission to change its own registration (RFC 7592 §3).
    Registration,
    /// A permission to register clients (RFC 7591 §3).
    InitialAccess,
    /// A backend's permission for one action of one person.
    Action,
    /// The cookie of a protected host.
    ForwardSession,
    /// The cookie that binds a sign-in at a protected host to the browser that started it.
    ForwardState,
    /// The code that a protected host exchanges for its cookie.
    ForwardCode,
}

impl TokenKind {
    /// The prefix of every token of this kind.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "pms_",
            Self::PreSession => "pmp_",
            Self::Ceremony => "pmc_",
            Self::ClientSecret => "pmk_",
            Self::DeviceCode => "pmd_",
            Self::AuthorizationCode => "pma_",
            Self::Interaction => "pmi_",
            Self::PushedRequest => "pmq_",
            Self::Registration => "pmr_",
            Self::InitialAccess => "pmn_",
            Self::Action => "pmt_",
            Self::ForwardSession => "pmf_",
            Self::ForwardState => "pmg_",
            Self::ForwardCode => "pmh_",
        }
    }
}

/// An opaque token of 256 random bits as its holder sees it: shown once, never stored.
#[derive(Clone, Debug)]
pub struct PlainToken(Secret<String>);

impl PlainToken {
    /// Generates a token.
    pub fn random(kind: TokenKind) -> Self {
        Self::from_bits(kind, &crate::random::bytes())
    }

    /// The token of these 256 bits, which nobody else may be able to derive.
    pub fn from_bits(kind: TokenKind, bits: &[u8; 32]) -> Self {
        Self(Secret::new(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bits))))
    }

    /// Reads a token that a caller presented; `None` unless it is exactly a token of this kind (prefix, length,
    /// alphabet, canonical encoding).
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let body = text.strip_prefix(kind.prefix())?;
        if body.len() != 43 || URL_SAFE_NO_PAD.decode(body).ok()?.len() != 32 {
            return None;
        }
        Some(Self(Secret::new(text.to_owned())))
    }

    /// The text to hand to its holder.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is stored instead of the token.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.expose())
    }
}

/// SHA-256 of a token of 256 random bits: the only form of it in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of any high-entropy text.
    pub fn of(text: &str) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        Self(out)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a stored digest back; `None` when it is not 32 bytes.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Constant-time equality.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "***");
        assert!(!format!("{:?}", PlainToken::random(TokenKind::Session)).contains("pms_"));
    }

    #[test]
    fn only_a_token_of_the_right_kind_and_form_is_read() {
        let token = PlainToken::random(TokenKind::Session);
        let text = token.expose();
        assert!(PlainToken::parse(TokenKind::Session, text).is_some());
        assert!(PlainToken::parse(TokenKind::Ceremony, text).is_none(), "another kind");
        for (name, bad) in [
            ("truncated", text[..text.len() - 1].to_owned()),
            ("extended", format!("{text}A")),
            ("padded", format!("{text}=")),
            ("standard alphabet", format!("{}+", &text[..text.len() - 1])),
            ("empty", String::new()),
        ] {
            assert!(PlainToken::parse(TokenKind::Session, &bad).is_none(), "{name}");
        }
        // 43 characters encode 258 bits. The two spare ones must be zero, or one token would have four spellings.
        let last = text.chars().last().unwrap();
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let spare = alphabet.chars().nth(alphabet.find(last).unwrap() | 1).unwrap();
        assert!(PlainToken::parse(TokenKind::Session, &format!("{}{spare}", &text[..text.len() - 1])).is_none());
    }
}
