//! Sets of scopes (RFC 6749 §3.3), parsed once.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The most scopes that one request may name.
const MOST: usize = 64;
/// The longest scope, in bytes.
const LONGEST: usize = 128;

/// A set of scope tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scopes(BTreeSet<String>);

/// Why a scope text was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// More tokens than we accept.
    #[error("more than {MOST} scopes")]
    TooMany,
    /// A token is longer than we accept.
    #[error("a scope is longer than {LONGEST} characters")]
    TooLong,
    /// A character outside `%x21 / %x23-5B / %x5D-7E`.
    #[error("a scope holds a character that RFC 6749 does not allow")]
    Character,
}

/// A backend may create action tokens for people whom it knows by an external id of its own.
pub const ACTION_TOKENS: &str = "action_tokens";
/// It may also create them for everyone else except administrators.
pub const ACTION_TOKENS_ANYONE: &str = "action_tokens:anyone";
/// Its tokens may enrol a passkey for a person who already has one.
pub const ACTION_TOKENS_ENROL_OVER: &str = "action_tokens:enrol_over";
/// The e-mail addresses of the people that it creates count as verified.
pub const ACTION_TOKENS_VERIFIED_EMAIL: &str = "action_tokens:verified_email";

/// An app may request signatures for operations; its backend redeems the proofs.
pub const TRANSACTIONS: &str = "transactions";

/// Whether a scope lets a client act for people without their involvement. Like administration, it is never granted by
/// default.
pub fn is_powerful(scope: &str) -> bool {
    let below = |whole: &str| scope.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
    is_admin(scope) || below(ACTION_TOKENS)
}

/// The scope for all of administration.
const ADMIN: &str = "admin";

/// Whether a scope grants administration: `admin` itself and everything below it.
pub fn is_admin(scope: &str) -> bool {
    scope == ADMIN || scope.strip_prefix(ADMIN).is_some_and(|rest| rest.starts_with(':'))
}

impl Scopes {
    /// The empty set.
    pub const NONE: Self = Self(BTreeSet::new());

    /// Whether `self`, as granted scopes, includes an administration right. `admin` includes all rights, a right to
    /// change includes the right to read the same, and `admin:read` includes every right to read.
    pub fn administer(&self, right: &str) -> bool {
        let read = right.strip_suffix(":read");
        self.contains(ADMIN)
            || self.contains(right)
            || read.is_some_and(|change| self.contains(change) || self.contains("admin:read"))
    }

    /// Whether any scope grants administration.
    pub fn has_admin(&self) -> bool {
        self.iter().any(is_admin)
    }

    /// Reads a space-separated list. Empty text is the empty set.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let mut set = BTreeSet::new();
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            if set.len() == MOST {
                return Err(ScopeError::TooMany);
            }
            if token.len() > LONGEST {
                return Err(ScopeError::TooLong);
            }
            if !token.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
                return Err(ScopeError::Character);
            }
            set.insert(token.to_owned());
        }
        Ok(Self(set))
    }

    /// Adds other scopes as far as there is room: never more than can be parsed again.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        let more = others.iter().filter(|scope| !self.contains(scope)).take(MOST.saturating_sub(self.iter().count()));
        self.iter().chain(more).collect()
    }

    /// Whether a scope is in the set.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every scope of `self` is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// The scopes of `self` that `allowed` grants; an allowed `bridge:*` grants every `bridge:` scope.
    #[must_use]
    pub fn granted_by(&self, allowed: &Self) -> Self {
        Self(self.0.iter().filter(|scope| allowed.grants(scope)).cloned().collect())
    }

    /// Whether `self`, as the allowed scopes, grants a scope.
    pub fn grants(&self, scope: &str) -> bool {
        self.contains(scope) || (scope.starts_with("bridge:") && self.contains("bridge:*"))
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Scopes {
    type Error = ScopeError;
    fn try_from(text: String) -> Result<Self, ScopeError> {
        Self::parse(&text)
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.to_string()
    }
}

impl<'a> FromIterator<&'a str> for Scopes {
    fn from_iter<I: IntoIterator<Item = &'a str>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(ToOwned::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_by_name() {
        let many = (0..65).map(|n| format!("s{n}")).collect::<Vec<_>>().join(" ");
        for (name, text, error) in [
            ("65 scopes", many.as_str(), ScopeError::TooMany),
            ("a long one", &"x".repeat(129), ScopeError::TooLong),
            ("a quote", "a\"b", ScopeError::Character),
            ("a back-slash", "a\\b", ScopeError::Character),
            ("a newline", "a\nb", ScopeError::Character),
            ("not ASCII", "é", ScopeError::Character),
        ] {
            assert_eq!(Scopes::parse(text), Err(error), "{name}");
        }
    }

    #[test]
    fn rights_in_administration() {
        for (granted, right, holds) in [
            ("admin", "admin:users", true),
            ("admin", "admin:users:read", true),
            ("admin:users", "admin:users", true),
            ("admin:users", "admin:users:read", true),
            ("admin:users:read", "admin:users:read", true),
            ("admin:read", "admin:clients:read", true),
            ("admin:users:read", "admin:users", false),
            ("admin:read", "admin:users", false),
            ("admin:users", "admin:clients:read", false),
            ("administer openid admin:usersx", "admin:users", false),
            ("", "admin:users:read", false),
        ] {
            assert_eq!(Scopes::parse(granted).unwrap().administer(right), holds, "{granted} for {right}");
        }
        assert!(is_admin("admin") && is_admin("admin:users:read"));
        assert!(!is_admin("administer") && !is_admin("openid"));
        assert!(is_powerful("admin:users") && is_powerful("action_tokens") && is_powerful("action_tokens:anyone"));
        assert!(!is_powerful("action_tokensx") && !is_powerful("openid"));
    }

    /// Libraries add `openid` to the configured scopes. By RFC 6749 §3.3 neither order nor repetition has a meaning.
    #[test]
    fn a_scope_that_is_named_twice_is_one() {
        assert_eq!(Scopes::parse("openid email openid").unwrap().to_string(), "email openid");
    }

    #[test]
    fn sets() {
        let asked = Scopes::parse("openid email bridge:fire").unwrap();
        let allowed = Scopes::parse("openid bridge:*").unwrap();
        assert_eq!(asked.granted_by(&allowed).to_string(), "bridge:fire openid");
        assert!(Scopes::parse("").unwrap().is_subset(&allowed));
        assert!(!asked.is_subset(&allowed));
        assert!(!Scopes::parse("bridge:fire").unwrap().grants("bridge:*"));
    }
}
