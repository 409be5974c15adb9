//! The `claims` parameter (OpenID Connect Core §5.5). Unknown members are ignored, and nothing in it widens a scope.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::request::AcrWish;
use crate::domain::claims::RequestedClaims;

/// The longest parameter, in bytes.
const LONGEST: usize = 4096;
/// The most claims in one member; the next constant limits their names.
const MOST: usize = 64;
const LONGEST_NAME: usize = 64;
/// Claims that ID tokens contain anyway, or that are requested in other ways than by name.
const OUR_OWN: [&str; 12] =
    ["iss", "sub", "aud", "iat", "exp", "nbf", "jti", "auth_time", "acr", "amr", "nonce", "azp"];

/// What the parameter requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimsParameter {
    /// Claims by name.
    pub requested: RequestedClaims,
    /// The people that the response may be about; `None`: anyone.
    pub subjects: Option<BTreeSet<String>>,
    /// The authentication context, if it was requested with values (§5.5.1.1).
    pub acr: Option<AcrWish>,
}

impl ClaimsParameter {
    /// Reads the parameter; `None` if it does not conform to the standard.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let Ok(Value::Object(all)) = serde_json::from_str(text) else { return None };
        let userinfo = part(&all, "userinfo")?;
        let id_token = part(&all, "id_token")?;
        let wished = [&id_token, &userinfo].into_iter().filter_map(|of| of.get("sub").map(values));
        let wished = wished.filter(|subjects| !subjects.is_empty()).map(BTreeSet::from_iter);
        Some(Self {
            requested: RequestedClaims {
                userinfo: userinfo.keys().filter(|name| is_askable(name)).cloned().collect(),
                id_token: id_token.keys().filter(|name| is_askable(name)).cloned().collect(),
            },
            subjects: wished.reduce(|one, other| &one & &other),
            acr: id_token.get("acr").map(|wish| AcrWish { values: values(wish), essential: is_essential(wish) }),
        })
    }
}

/// A member that is an object of claims, or absent. Each claim is null or an object.
fn part(all: &Map<String, Value>, name: &str) -> Option<Map<String, Value>> {
    match all.get(name) {
        None | Some(Value::Null) => Some(Map::new()),
        Some(Value::Object(claims)) => {
            let sound = claims.len() <= MOST && claims.values().all(|claim| claim.is_null() || claim.is_object());
            sound.then(|| claims.clone())
        }
        Some(_) => None,
    }
}

fn is_askable(name: &str) -> bool {
    name.len() <= LONGEST_NAME && !OUR_OWN.contains(&name)
}

fn is_essential(claim: &Value) -> bool {
    claim.get("essential").and_then(Value::as_bool).unwrap_or(false)
}

/// The texts in `value`, or in `values`.
fn values(claim: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    match (claim.get("value"), claim.get("values").and_then(Value::as_array)) {
        (Some(value), _) => text(value).into_iter().collect(),
        (None, Some(values)) => values.iter().filter_map(text).collect(),
        (None, None) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// §5.5.1: any of the values is acceptable; subjects named in both members must match both.
    #[test]
    fn the_person_is_one_of_those_wished_in_each_place() {
        for (parameter, expected) in [
            (r#"{"id_token":{"sub":{"values":["u2","u1"]}}}"#, Some(&["u1", "u2"][..])),
            (r#"{"userinfo":{"sub":{"value":"u1"}}}"#, Some(&["u1"])),
            (r#"{"id_token":{"sub":{"values":["u1","u2"]}},"userinfo":{"sub":{"values":["u2","u3"]}}}"#, Some(&["u2"])),
            (r#"{"id_token":{"sub":{"value":"u1"}},"userinfo":{"sub":{"value":"u2"}}}"#, Some(&[])),
            (r#"{"id_token":{"sub":null},"userinfo":{"sub":{"essential":true}}}"#, None),
            ("{}", None),
        ] {
            let expected = expected.map(|all| all.iter().map(|one| (*one).to_owned()).collect());
            assert_eq!(ClaimsParameter::parse(parameter).unwrap().subjects, expected, "{parameter}");
        }
    }

    #[test]
    fn names_values_and_the_person_are_read() {
        let read = ClaimsParameter::parse(
            r#"{"userinfo":{"name":{"essential":true},"email":null,"sub":null},
                "id_token":{"auth_time":{"essential":true},"acr":{"essential":true,"values":["phr","phrh"]},
                "sub":{"value":"u1"},"nickname":null},"other":1}"#,
        )
        .unwrap();
        assert_eq!(read.requested.userinfo, ["email", "name"].map(str::to_owned).into());
        assert_eq!(read.requested.id_token, ["nickname"].map(str::to_owned).into());
        assert_eq!(read.subjects, Some(["u1".to_owned()].into()));
        assert_eq!(read.acr, Some(AcrWish { values: vec!["phr".into(), "phrh".into()], essential: true }));
        assert_eq!(ClaimsParameter::parse("{}"), Some(ClaimsParameter::default()));
    }

    #[test]
    fn anything_else_is_none() {
        let long = format!(r#"{{"userinfo":{{"{}":null}}}}"#, "a".repeat(4096));
        let many = (0..65).map(|n| format!(r#""c{n}":null"#)).collect::<Vec<_>>().join(",");
        let many = format!(r#"{{"userinfo":{{{many}}}}}"#);
        for bad in
            ["", "null", "[]", "x", "{", r#"{"userinfo":[]}"#, r#"{"id_token":{"name":true}}"#, long.as_str(), &many]
        {
            assert_eq!(ClaimsParameter::parse(bad), None, "{bad}");
        }
        let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
        assert_eq!(ClaimsParameter::parse(&deep), None);
    }
}
