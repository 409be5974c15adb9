//! Claims about a person, and which of them a client receives (OpenID Connect Core §5).
//! [`standard_claims`](super::standard_claims) defines the standard claims.
//!
//! Invariants: a claim has the type of the standard or is absent, never null and never empty; a client receives no more
//! than scopes and claims requested by name allow; an e-mail address is always accompanied by whether it was verified.
//! To add a claim: one row in [`STANDARD`] and, if it is not stored in the profile, its line in `value_of`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::scope::Scopes;
use super::standard_claims::{STANDARD, fits};
use super::user::User;

/// Claims requested by name with the `claims` parameter (OpenID Connect Core §5.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedClaims {
    /// Requested from userinfo.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub userinfo: BTreeSet<String>,
    /// Requested in the ID token.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub id_token: BTreeSet<String>,
}

impl RequestedClaims {
    /// Keeps known claims whose scope is among `scopes`: requesting by name never yields more than a client may have.
    #[must_use]
    pub fn within(self, scopes: &Scopes) -> Self {
        let fits = |name: &String| scope_of(name).is_some_and(|scope| scopes.grants(scope));
        Self {
            userinfo: self.userinfo.into_iter().filter(fits).collect(),
            id_token: self.id_token.into_iter().filter(fits).collect(),
        }
    }

    /// Keeps the claims that the person allowed: a claim whose scope was also requested is kept only with that scope.
    #[must_use]
    pub fn allowed_with(&self, asked: &Scopes, allowed: &Scopes) -> Self {
        let kept = |names: &BTreeSet<String>| {
            names.iter().filter(|name| is_allowed_with(name, asked, allowed)).cloned().collect()
        };
        Self { userinfo: kept(&self.userinfo), id_token: kept(&self.id_token) }
    }

    /// The scopes that contain these claims.
    pub fn scopes(&self) -> Scopes {
        self.userinfo.iter().chain(&self.id_token).filter_map(|name| scope_of(name)).collect()
    }

    /// Whether no claim was requested.
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }
}

/// The one standard claim that is not stored: when the person was last changed.
const UPDATED_AT: &str = "updated_at";

/// The names of all standard claims except `sub`, each with its scope.
pub fn standard() -> impl Iterator<Item = (&'static str, &'static str)> {
    STANDARD.iter().map(|claim| (claim.name, claim.scope)).chain([(UPDATED_AT, "profile")])
}

/// The scope of a claim; `None` for a claim that we do not have.
pub fn scope_of(claim: &str) -> Option<&'static str> {
    standard().chain([(GROUPS, GROUPS)]).find(|(name, _)| *name == claim).map(|(_, scope)| scope)
}

/// Whether a client still receives a claim after it requested scopes `asked` and was allowed `allowed`.
pub fn is_allowed_with(claim: &str, asked: &Scopes, allowed: &Scopes) -> bool {
    scope_of(claim).is_none_or(|scope| !asked.contains(scope) || allowed.contains(scope))
}

/// The claim with the names of a person's groups; given with the scope of the same name, or when requested by name.
pub const GROUPS: &str = "groups";

/// Scopes about a person: a client never has them for itself.
pub const PERSONAL_SCOPES: [&str; 8] =
    ["openid", "profile", "email", "address", "phone", GROUPS, "offline_access", "passkeys"];

/// The claims about a person for granted scopes and claims requested by name, without `sub`. `groups` may be empty
/// unless [`wants_groups`] says that they are needed.
pub fn claims_for(user: &User, groups: &[String], scopes: &Scopes, requested: &BTreeSet<String>) -> Map<String, Value> {
    let mut claims: Map<String, Value> = standard()
        .filter(|(name, scope)| scopes.contains(scope) || requested.contains(*name))
        .filter_map(|(name, _)| Some((name.to_owned(), value_of(user, name)?)))
        .collect();
    // The address never goes without its verification status: otherwise it would be taken for an identity.
    if claims.contains_key("email") {
        claims.insert("email_verified".to_owned(), user.email_verified_at.is_some().into());
    }
    if wants_groups(scopes, requested) && !groups.is_empty() {
        claims.insert(GROUPS.to_owned(), groups.into());
    }
    claims
}

/// Whether these scopes and claims requested by name include the person's groups, so that they must be loaded.
pub fn wants_groups(scopes: &Scopes, requested: &BTreeSet<String>) -> bool {
    scopes.contains(GROUPS) || requested.contains(GROUPS)
}

/// Claims by which tokens are judged: nothing else may be called so.
pub(crate) const RESERVED: [&str; 25] = [
    "iss",
    "sub",
    "aud",
    "client_id",
    "iat",
    "exp",
    "nbf",
    "jti",
    "scope",
    "sid",
    "auth_time",
    "acr",
    "amr",
    "credential_class",
    "cnf",
    "act",
    "typ",
    "nonce",
    "at_hash",
    "c_hash",
    "azp",
    "fid",
    "may_act",
    "grant_id",
    "userinfo_claims",
];

/// Whether tokens are judged by the claim of this name, so that nothing configured or added may be called so.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Claims that mean something to those who read a token, beside the ones by which it is judged: hashes (Financial-grade
/// API Part 2 §5.1), logout events (OpenID Connect Back-Channel Logout §2.4), vectors of trust (RFC 8485), and aggregated
/// and distributed claims (OpenID Connect Core §5.6.2).
const TELLING: [&str; 5] = ["s_hash", "events", "vot", "_claim_names", "_claim_sources"];

/// Whether a claim of this name, in whatever case, is made by the server itself or defined by a standard.
pub fn is_own(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    is_reserved(&name) || TELLING.contains(&name.as_str()) || scope_of(&name).is_some()
}

/// Claims that a client makes of a person's attributes (claim → attribute). They go with the scope `profile`; an attribute
/// that the person does not have is left out.
pub fn attribute_claims(user: &User, map: &BTreeMap<String, String>, scopes: &Scopes) -> Map<String, Value> {
    if !scopes.contains("profile") {
        return Map::new();
    }
    map.iter()
        .filter_map(|(claim, attribute)| Some((claim.clone(), user.attributes.get(attribute)?.to_json())))
        .collect()
}

/// A claim's value, if it has the right type: values stored before a rule existed are never passed on.
fn value_of(user: &User, name: &str) -> Option<Value> {
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let value = match name {
        "name" => text(&user.name)?,
        "locale" => text(&user.locale)?,
        "email" => text(&user.email)?,
        "email_verified" => user.email.is_some().then(|| user.email_verified_at.is_some().into())?,
        UPDATED_AT => return Some(user.updated_at.timestamp().into()),
        "phone_number_verified" if !user.profile.contains_key("phone_number") => return None,
        name => user.profile.get(name)?.clone(),
    };
    fits(name, &value).then_some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Time;
    use crate::domain::attributes::Attributes;
    use crate::domain::id::UserId;
    use crate::domain::user::UserStatus;

    fn profile() -> Map<String, Value> {
        let Value::Object(profile) = json!({
            "given_name": "Ada", "family_name": "Lovelace", "middle_name": "King", "nickname": "ada",
            "preferred_username": "ada", "profile": "https://ada.example/", "picture": "https://ada.example/me.png",
            "website": "http://ada.example", "gender": "female", "birthdate": "1815-12-10", "zoneinfo": "Europe/London",
            "address": {"formatted": "12 St James's Square\nLondon", "locality": "London", "country": "GB"},
            "phone_number": "+44 20 7946 0000", "phone_number_verified": true,
        }) else {
            unreachable!()
        };
        profile
    }

    fn ada() -> User {
        User {
            id: UserId::random(),
            handle: vec![1],
            email: Some("ada@example.com".into()),
            email_verified_at: None,
            name: Some("Ada Lovelace".into()),
            locale: Some("en-GB".into()),
            profile: profile(),
            attributes: Attributes::default(),
            status: UserStatus::Active,
            epoch: 0,
            created_at: Time::UNIX_EPOCH,
            updated_at: Time::from_timestamp(1_800_000_000, 0).unwrap(),
        }
    }

    fn names(claims: &Map<String, Value>) -> Vec<&str> {
        claims.keys().map(String::as_str).collect()
    }

    fn told(user: &User, scopes: &str, requested: &[&str]) -> Map<String, Value> {
        let requested = requested.iter().map(|name| (*name).to_owned()).collect();
        claims_for(user, &["staff".to_owned()], &Scopes::parse(scopes).unwrap(), &requested)
    }

    /// OpenID Connect Core §5.4: each scope gives its own claims, all of them, and nothing else.
    #[test]
    fn each_scope_gives_its_claims() {
        let user = ada();
        assert_eq!(names(&told(&user, "openid offline_access", &[])), Vec::<&str>::new());
        for scope in ["profile", "email", "address", "phone"] {
            let mut expected: Vec<&str> = standard().filter(|(_, of)| *of == scope).map(|(name, _)| name).collect();
            expected.sort_unstable();
            let mut got = told(&user, &format!("openid {scope}"), &[]).keys().cloned().collect::<Vec<_>>();
            got.sort_unstable();
            assert_eq!(got, expected, "{scope}");
        }
        assert_eq!(told(&user, "groups", &[]), *json!({"groups": ["staff"]}).as_object().unwrap());
        let all = told(&user, "profile email address phone", &[]);
        assert_eq!(all.len(), standard().count());
    }

    /// OpenID Connect Core §5.5: claims requested by name.
    #[test]
    fn claims_can_be_asked_for_by_name() {
        let user = ada();
        assert_eq!(names(&told(&user, "openid", &["name", "nothing", "sub"])), ["name"]);
        assert_eq!(told(&user, "openid", &["groups"]), *json!({"groups": ["staff"]}).as_object().unwrap());
        let address = told(&user, "openid", &["email"]);
        assert_eq!(address, *json!({"email": "ada@example.com", "email_verified": false}).as_object().unwrap());
    }

    #[test]
    fn a_claim_goes_with_its_scope_where_both_were_asked_for() {
        let requested =
            RequestedClaims { userinfo: ["email".into(), "name".into()].into(), id_token: ["groups".into()].into() };
        for (asked, allowed, expected) in [
            ("openid", "openid", vec!["email", "groups", "name"]),
            ("openid email groups", "openid", vec!["name"]),
            ("openid email groups", "openid groups", vec!["groups", "name"]),
            ("openid profile", "openid", vec!["email", "groups"]),
        ] {
            let scopes = |text| Scopes::parse(text).unwrap();
            let left = requested.allowed_with(&scopes(asked), &scopes(allowed));
            let names: BTreeSet<_> = left.userinfo.iter().chain(&left.id_token).map(String::as_str).collect();
            assert_eq!(names.into_iter().collect::<Vec<_>>(), expected, "{allowed} of {asked}");
        }
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let nobody = User { email: None, name: None, locale: None, profile: Map::new(), ..ada() };
        assert_eq!(names(&told(&nobody, "profile email address phone", &["email_verified"])), ["updated_at"]);
        let mut broken = ada();
        for (name, value) in [
            ("given_name", json!(null)),
            ("family_name", json!("")),
            ("nickname", json!("null")),
            ("gender", json!(1)),
            ("birthdate", json!("yesterday")),
            ("address", json!({})),
            ("phone_number_verified", json!("true")),
        ] {
            broken.profile.insert(name.into(), value);
            assert!(!told(&broken, "profile address phone", &[]).contains_key(name), "{name}");
        }
        broken.profile.remove("phone_number");
        assert!(told(&broken, "phone", &[]).is_empty(), "no word about a number that is not there");
        assert_eq!(claims_for(&ada(), &[], &Scopes::parse("groups").unwrap(), &BTreeSet::new()), Map::new());
    }

    #[test]
    fn the_flag_is_the_real_one() {
        let mut user = ada();
        assert_eq!(told(&user, "email", &[])["email_verified"], false);
        user.email_verified_at = Some(Time::UNIX_EPOCH);
        user.profile.insert("email_verified".into(), json!(false));
        assert_eq!(told(&user, "email", &[])["email_verified"], true);
    }

    #[test]
    fn attributes_go_where_a_client_makes_claims_of_them() {
        let given = json!({ "plan": "pro", "roles": ["a"], "seats": 3 });
        let user = User { attributes: Attributes::parse(given.as_object().unwrap()).unwrap(), ..ada() };
        let map = [("https://acme.example/roles", "roles"), ("seats", "seats"), ("tenant", "tenant")];
        let map = map.into_iter().map(|(claim, attribute)| (claim.to_owned(), attribute.to_owned())).collect();
        let told = |map, scopes| Value::Object(attribute_claims(&user, map, &Scopes::parse(scopes).unwrap()));
        assert_eq!(told(&map, "openid profile"), json!({ "https://acme.example/roles": ["a"], "seats": 3 }));
        assert_eq!(told(&map, "openid email"), json!({}), "only with the scope");
        assert_eq!(told(&BTreeMap::new(), "openid profile"), json!({}), "nobody else gets any");
        let stored = json!({ "seats": { "no": "attribute" } });
        let unreadable = User { attributes: Attributes::from_stored(stored.as_object().unwrap().clone()), ..ada() };
        assert_eq!(attribute_claims(&unreadable, &map, &Scopes::parse("profile").unwrap()), Map::new());
    }
}
