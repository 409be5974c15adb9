//! Resources: the APIs that access tokens are issued for (RFC 8707), with their own scopes, lifetime and algorithm.
//!
//! Invariant: a scope that a resource declares is valid at that resource only, so a token contains it only if the
//! resource is among its audiences. Scopes that no resource declares (`openid`, `email`, `bridge:…`) are valid in every
//! token. So a token for one of several granted resources never carries the scopes of another one (RFC 8707 §2.2).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::audience::canonical;
use super::claims::PERSONAL_SCOPES;
use super::client::Misfit;
use super::client::fields::{self, Fault};
use super::scope::{Scopes, TRANSACTIONS, is_powerful};

/// A resource's definition: the stored document, in the vocabulary of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceDefinition {
    /// Name shown to people.
    pub name: String,
    /// Its scopes, each with a description for people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scopes: BTreeMap<String, String>,
    /// The longest life of access tokens for it, in seconds; `None`: the client's or the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_ttl: Option<i64>,
    /// Algorithm of access tokens for it (JWA name); `None`: the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
}

/// The shortest and longest access token life that a resource may set, in seconds.
const LIVES: std::ops::RangeInclusive<i64> = 60..=86_400;

impl ResourceDefinition {
    /// Everything that is wrong with it; empty for a valid definition.
    pub fn check(&self) -> Vec<Misfit> {
        let mut found = Vec::new();
        let mut misfit =
            |field, what: Cow<'static, str>, cure: Cow<'static, str>| found.push(Misfit { field, what, cure });
        if let Err(fault) = fields::display_name(&self.name) {
            misfit("name", fault.what.into(), fault.cure);
        }
        for (scope, words) in &self.scopes {
            if let Err(fault) = check_scope(scope).and_then(|()| fields::display_name(words)) {
                misfit("scopes", format!("has {scope:?}, which {}", fault.what).into(), fault.cure);
            }
        }
        if self.access_ttl.is_some_and(|life| !LIVES.contains(&life)) {
            misfit("access_ttl", "is out of range".into(), "write 60 to 86400 seconds".into());
        }
        if let Some(Err(fault)) = self.algorithm.as_deref().map(fields::signing_algorithm) {
            misfit("algorithm", fault.what.into(), fault.cure);
        }
        found
    }
}

/// Checks a scope that an API declares. Scopes with a meaning on this server must not get another one.
///
/// # Errors
/// Why it is refused.
pub fn check_scope(scope: &str) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    if scope.is_empty() || scope.len() > 128 || !scope.chars().all(plain) {
        return Err(Fault::new("is not a scope", "write printable ASCII without space, quote and backslash"));
    }
    let is_ours = PERSONAL_SCOPES.contains(&scope) || is_powerful(scope) || scope == TRANSACTIONS;
    if is_ours || scope.starts_with("bridge:") {
        return Err(Fault::new(
            "is a scope of this server",
            "give the API's scope a name of its own, for example orders.read",
        ));
    }
    Ok(())
}

/// Checks the identifier of an API. No resource may change or disable the tokens for this server itself.
///
/// # Errors
/// Why it is refused.
pub fn check_identifier(identifier: &str, issuer: &str) -> Result<(), Fault> {
    fields::identifier(identifier)?;
    if canonical(identifier) == canonical(issuer) {
        return Err(Fault::new("is this server itself", "write the identifier of the API"));
    }
    Ok(())
}

/// A resource as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The value in a token's `aud` and a request's `resource`, compared in its [`canonical`] form.
    pub identifier: String,
    /// What it is.
    pub definition: ResourceDefinition,
}

/// Which resources declare which scopes, by the canonical form of their identifiers: all that the rules below need to
/// know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeOwners(BTreeMap<String, Vec<String>>);

impl ScopeOwners {
    /// Collects the scopes of all resources.
    pub fn of<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Self {
        let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for resource in resources {
            for scope in resource.definition.scopes.keys() {
                owners.entry(scope.clone()).or_default().push(canonical(&resource.identifier).to_owned());
            }
        }
        Self(owners)
    }

    /// Whether a scope is valid in a token for this audience.
    fn fits(&self, scope: &str, audience: &[String]) -> bool {
        self.0
            .get(scope)
            .is_none_or(|owners| owners.iter().any(|owner| audience.iter().any(|one| canonical(one) == owner)))
    }

    /// The granted scopes that a token for this audience carries.
    #[must_use]
    pub fn effective(&self, granted: &Scopes, audience: &[String]) -> Scopes {
        granted.iter().filter(|scope| self.fits(scope, audience)).collect()
    }

    /// The first requested scope that belongs only to resources not in the audience.
    pub fn misplaced<'a>(&self, asked: &'a Scopes, audience: &[String]) -> Option<&'a str> {
        asked.iter().find(|scope| !self.fits(scope, audience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners() -> ScopeOwners {
        let resource = |identifier: &str, scopes: &[&str]| Resource {
            identifier: identifier.to_owned(),
            definition: ResourceDefinition {
                scopes: scopes.iter().map(|scope| ((*scope).to_owned(), String::new())).collect(),
                ..ResourceDefinition::default()
            },
        };
        ScopeOwners::of(&[resource("orders", &["read", "orders:write"]), resource("stock", &["read", "stock:write"])])
    }

    #[test]
    fn each_rule_names_its_setting() {
        let sound = ResourceDefinition {
            name: "Orders".to_owned(),
            scopes: BTreeMap::from([("orders.read".to_owned(), "Read your orders".to_owned())]),
            access_ttl: Some(300),
            algorithm: Some("EdDSA".to_owned()),
        };
        assert_eq!(sound.check(), []);
        let with = |scope: &str, words: &str| ResourceDefinition {
            scopes: BTreeMap::from([(scope.to_owned(), words.to_owned())]),
            ..sound.clone()
        };
        for (field, definition) in [
            ("name", ResourceDefinition { name: " ".to_owned(), ..sound.clone() }),
            ("scopes", with("a b", "x")),
            ("scopes", with("", "x")),
            ("scopes", with("orders.read", "")),
            ("scopes", with("openid", "x")),
            ("scopes", with("admin", "x")),
            ("scopes", with("admin:users", "x")),
            ("scopes", with("bridge:x", "x")),
            ("access_ttl", ResourceDefinition { access_ttl: Some(59), ..sound.clone() }),
            ("access_ttl", ResourceDefinition { access_ttl: Some(86_401), ..sound.clone() }),
            ("algorithm", ResourceDefinition { algorithm: Some("HS256".to_owned()), ..sound.clone() }),
        ] {
            let found: Vec<&str> = definition.check().iter().map(|misfit| misfit.field).collect();
            assert_eq!(found, [field], "{definition:?}");
        }
    }

    #[test]
    fn a_scope_goes_with_its_resource_only() {
        let granted = Scopes::parse("openid read orders:write stock:write").unwrap();
        for (audience, expected) in [
            (&["orders"][..], "openid orders:write read"),
            (&["stock"], "openid read stock:write"),
            (&["orders", "stock"], "openid orders:write read stock:write"),
            (&["https://id.example"], "openid"),
            (&[], "openid"),
        ] {
            let audience: Vec<String> = audience.iter().map(|one| (*one).to_owned()).collect();
            assert_eq!(owners().effective(&granted, &audience).to_string(), expected, "{audience:?}");
        }
    }

    #[test]
    fn a_request_names_the_resource_of_each_scope() {
        let asked = |text| Scopes::parse(text).unwrap();
        let orders = ["orders".to_owned()];
        assert_eq!(owners().misplaced(&asked("openid email read orders:write"), &orders), None);
        assert_eq!(owners().misplaced(&asked("openid stock:write"), &orders), Some("stock:write"));
        assert_eq!(owners().misplaced(&asked("read"), &[]), Some("read"));
        assert_eq!(ScopeOwners::default().misplaced(&asked("read"), &[]), None);
    }
}
