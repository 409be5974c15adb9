//! Claims about a person: the standard ones with their types and scopes, and which of them a client is given (OpenID
//! Connect Core §5).
//!
//! What must hold: a claim has the type of the standard or is not there at all, never null and never empty; nobody is told
//! more than scopes and requests by name allow; an e-mail address never goes without the word whether it was proven. To
//! add a claim: one row in [`STANDARD`] and, when it is not kept in the profile, its line in `value_of`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::scope::Scopes;
use super::user::User;

/// Claims asked for one by one, by the `claims` parameter (OpenID Connect Core §5.5), by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedClaims {
    /// Wanted from userinfo.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub userinfo: BTreeSet<String>,
    /// Wanted in the ID token.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub id_token: BTreeSet<String>,
}

impl RequestedClaims {
    /// Those of them that we know and whose scope is among `scopes`: asking by name never gives more than a client may have.
    #[must_use]
    pub fn within(self, scopes: &Scopes) -> Self {
        let fits = |name: &String| scope_of(name).is_some_and(|scope| scopes.grants(scope));
        Self {
            userinfo: self.userinfo.into_iter().filter(fits).collect(),
            id_token: self.id_token.into_iter().filter(fits).collect(),
        }
    }

    /// The scopes that would give these claims.
    pub fn scopes(&self) -> Scopes {
        self.userinfo.iter().chain(&self.id_token).filter_map(|name| scope_of(name)).collect()
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }
}

/// What a claim's value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One line of text.
    Text,
    /// An http or https address.
    WebAddress,
    /// `YYYY-MM-DD`, `0000-MM-DD` for an unknown year, or `YYYY`.
    Birthdate,
    /// `true` or `false`.
    Switch,
    /// Seconds since 1970.
    Seconds,
    /// An object of texts with the members of [`ADDRESS`].
    Address,
}

/// Where a claim is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In the person's profile.
    Profile,
    /// In a field of the person's own; it is not written into the profile.
    Field,
}

/// A standard claim.
#[derive(Clone, Copy, Debug)]
pub struct StandardClaim {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub form: Form,
    /// The scope that gives it (OpenID Connect Core §5.4).
    pub scope: &'static str,
    /// Where it is kept.
    pub kept: Kept,
}

const fn claim(name: &'static str, form: Form, scope: &'static str, kept: Kept) -> StandardClaim {
    StandardClaim { name, form, scope, kept }
}

/// Every standard claim about a person (OpenID Connect Core §5.1), but `sub`.
pub const STANDARD: [StandardClaim; 19] = [
    claim("name", Form::Text, "profile", Kept::Field),
    claim("given_name", Form::Text, "profile", Kept::Profile),
    claim("family_name", Form::Text, "profile", Kept::Profile),
    claim("middle_name", Form::Text, "profile", Kept::Profile),
    claim("nickname", Form::Text, "profile", Kept::Profile),
    claim("preferred_username", Form::Text, "profile", Kept::Profile),
    claim("profile", Form::WebAddress, "profile", Kept::Profile),
    claim("picture", Form::WebAddress, "profile", Kept::Profile),
    claim("website", Form::WebAddress, "profile", Kept::Profile),
    claim("gender", Form::Text, "profile", Kept::Profile),
    claim("birthdate", Form::Birthdate, "profile", Kept::Profile),
    claim("zoneinfo", Form::Text, "profile", Kept::Profile),
    claim("locale", Form::Text, "profile", Kept::Field),
    claim("updated_at", Form::Seconds, "profile", Kept::Field),
    claim("email", Form::Text, "email", Kept::Field),
    claim("email_verified", Form::Switch, "email", Kept::Field),
    claim("address", Form::Address, "address", Kept::Profile),
    claim("phone_number", Form::Text, "phone", Kept::Profile),
    claim("phone_number_verified", Form::Switch, "phone", Kept::Profile),
];

/// The scope that gives a standard claim; none for any other claim.
pub fn scope_of(claim: &str) -> Option<&'static str> {
    STANDARD.iter().find(|standard| standard.name == claim).map(|standard| standard.scope)
}

/// The members of `address` (OpenID Connect Core §5.1.1).
pub const ADDRESS: [&str; 6] = ["formatted", "street_address", "locality", "region", "postal_code", "country"];

/// The names of a person's groups; given with the scope of the same name only, or when asked for by name under it.
pub const GROUPS: &str = "groups";

/// Scopes that are about a person: no client has them for itself.
pub const PERSONAL_SCOPES: [&str; 8] =
    ["openid", "profile", "email", "address", "phone", GROUPS, "offline_access", "passkeys"];

/// Longest text of a claim, in characters; an address may have as many in each member.
const LONGEST: usize = 1000;

/// Why a claim is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimMistake {
    /// No standard claim has this name.
    #[error("{0:?} is no standard claim of OpenID Connect")]
    Unknown(String),
    /// It is kept elsewhere.
    #[error("{0} is not part of the profile: it has a field of its own")]
    Field(&'static str),
    /// It is not of its type.
    #[error("{name} must be {wanted}")]
    Form {
        /// The claim.
        name: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
}

/// Checks what is to be kept as somebody's profile: by an administrator, or from an import. All mistakes at once.
///
/// # Errors
/// One [`ClaimMistake`] for each claim that cannot be kept.
pub fn check_profile(profile: &Map<String, Value>) -> Result<(), Vec<ClaimMistake>> {
    let mistakes: Vec<ClaimMistake> =
        profile.iter().filter_map(|(name, value)| check_kept(name, value).err()).collect();
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
}

fn check_kept(name: &str, value: &Value) -> Result<(), ClaimMistake> {
    match STANDARD.iter().find(|claim| claim.name == name) {
        Some(claim) if claim.kept == Kept::Field => Err(ClaimMistake::Field(claim.name)),
        _ => check_claim(name, value),
    }
}

/// Checks the type of one standard claim.
///
/// # Errors
/// [`ClaimMistake`].
pub fn check_claim(name: &str, value: &Value) -> Result<(), ClaimMistake> {
    let known = STANDARD.iter().find(|claim| claim.name == name);
    let claim = known.ok_or_else(|| ClaimMistake::Unknown(name.to_owned()))?;
    if claim.form.fits(value) {
        Ok(())
    } else {
        Err(ClaimMistake::Form { name: claim.name, wanted: claim.form.in_words() })
    }
}

impl Form {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.as_str().is_some_and(is_line),
            Self::WebAddress => value.as_str().is_some_and(is_web_address),
            Self::Birthdate => value.as_str().is_some_and(is_birthdate),
            Self::Switch => value.is_boolean(),
            Self::Seconds => value.as_i64().is_some_and(|seconds| seconds >= 0),
            Self::Address => value.as_object().is_some_and(is_address),
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Text => "text on one line of at most 1000 characters, and not blank: leave the claim out instead",
            Self::WebAddress => "an http or https address",
            Self::Birthdate => "a date as YYYY-MM-DD, 0000-MM-DD or YYYY",
            Self::Switch => "true or false",
            Self::Seconds => "a whole number of seconds since 1970",
            Self::Address => {
                "an object with some of formatted, street_address, locality, region, postal_code, country, each a text"
            }
        }
    }
}

/// Some providers' "null" in letters is no value either (and relying parties complain of it).
fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && text != "null" && text.chars().count() <= LONGEST
}

fn is_line(text: &str) -> bool {
    is_text(text) && !text.chars().any(char::is_control)
}

fn is_web_address(text: &str) -> bool {
    is_line(text)
        && url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some())
}

fn is_birthdate(text: &str) -> bool {
    let year = |text: &str| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((first, rest)) = text.split_once('-') else { return year(text) };
    // 0000 stands for a year that is not told; a leap year lets 29 February pass.
    let of_year = if first == "0000" { "2000" } else { first };
    year(first)
        && rest.len() == 5
        && chrono::NaiveDate::parse_from_str(&format!("{of_year}-{rest}"), "%Y-%m-%d").is_ok()
}

/// Members are texts of one or more lines: OpenID Connect Core §5.1.1 allows line breaks in two of them.
fn is_address(address: &Map<String, Value>) -> bool {
    let line = |text: &str| is_text(text) && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\r');
    !address.is_empty()
        && address.iter().all(|(name, value)| ADDRESS.contains(&name.as_str()) && value.as_str().is_some_and(line))
}

/// The claims about a person that granted scopes and requests by name allow, without `sub`. `groups` are the person's, and
/// may be left empty when [`wants_groups`] says that nobody asks.
pub fn claims_for(user: &User, groups: &[String], scopes: &Scopes, requested: &BTreeSet<String>) -> Map<String, Value> {
    let asked = |claim: &StandardClaim| scopes.contains(claim.scope) || requested.contains(claim.name);
    let mut claims: Map<String, Value> = STANDARD
        .iter()
        .filter(|claim| asked(claim))
        .filter_map(|claim| Some((claim.name.to_owned(), value_of(user, claim)?)))
        .collect();
    // Who learns the address learns whether it was proven: otherwise it would be taken for an identity.
    if claims.contains_key("email") {
        claims.insert("email_verified".to_owned(), user.email_verified_at.is_some().into());
    }
    if scopes.contains(GROUPS) && !groups.is_empty() {
        claims.insert(GROUPS.to_owned(), groups.into());
    }
    claims
}

/// Whether a person's groups are told under these scopes, and so must be read.
pub fn wants_groups(scopes: &Scopes) -> bool {
    scopes.contains(GROUPS)
}

/// A claim's value, as long as there is one of the right type: what was stored before a rule of ours is never passed on.
fn value_of(user: &User, claim: &StandardClaim) -> Option<Value> {
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let value = match claim.name {
        "name" => text(&user.name)?,
        "locale" => text(&user.locale)?,
        "email" => text(&user.email)?,
        "email_verified" => user.email.is_some().then(|| user.email_verified_at.is_some().into())?,
        "updated_at" => user.updated_at.timestamp().into(),
        "phone_number_verified" if !user.profile.contains_key("phone_number") => return None,
        name => user.profile.get(name)?.clone(),
    };
    claim.form.fits(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Time;
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
            let mut expected: Vec<&str> =
                STANDARD.iter().filter(|claim| claim.scope == scope).map(|claim| claim.name).collect();
            expected.sort_unstable();
            let mut got = told(&user, &format!("openid {scope}"), &[]).keys().cloned().collect::<Vec<_>>();
            got.sort_unstable();
            assert_eq!(got, expected, "{scope}");
        }
        assert_eq!(told(&user, "groups", &[]), *json!({"groups": ["staff"]}).as_object().unwrap());
        let all = told(&user, "profile email address phone", &[]);
        assert_eq!(all.len(), STANDARD.len());
        for (name, value) in &all {
            assert_eq!(check_claim(name, value), Ok(()), "{name}");
        }
    }

    /// OpenID Connect Core §5.5.
    #[test]
    fn claims_can_be_asked_for_by_name() {
        let user = ada();
        assert_eq!(names(&told(&user, "openid", &["name", "nothing", "sub"])), ["name"]);
        assert_eq!(told(&user, "openid", &["groups"]), Map::new(), "groups want their scope");
        let address = told(&user, "openid", &["email"]);
        assert_eq!(address, *json!({"email": "ada@example.com", "email_verified": false}).as_object().unwrap());
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
    fn mistakes_by_name() {
        assert_eq!(check_profile(&profile()), Ok(()));
        for (name, good, bad) in [
            (
                "given_name",
                vec![json!("Ada"), json!("Ädä 李")],
                vec![
                    json!(""),
                    json!(" "),
                    json!(1),
                    json!(null),
                    json!("null"),
                    json!("a\nb"),
                    json!("x".repeat(1001)),
                ],
            ),
            (
                "website",
                vec![json!("https://a.example/?x=1")],
                vec![json!("a.example"), json!("javascript:alert(1)"), json!("data:text/html,x"), json!("https://")],
            ),
            (
                "birthdate",
                vec![json!("1815-12-10"), json!("0000-02-29"), json!("1815")],
                vec![json!("10.12.1815"), json!("1815-13-01"), json!("1815-2-1"), json!("000"), json!("1815-12-10T00")],
            ),
            ("phone_number_verified", vec![json!(false)], vec![json!("true"), json!(1)]),
            (
                "address",
                vec![json!({"country": "GB"})],
                vec![
                    json!({}),
                    json!("London"),
                    json!({"planet": "Earth"}),
                    json!({"country": ""}),
                    json!({"country": null}),
                ],
            ),
        ] {
            for value in good {
                assert_eq!(check_kept(name, &value), Ok(()), "{name} {value}");
            }
            for value in bad {
                let refused = check_kept(name, &value).unwrap_err();
                assert!(matches!(refused, ClaimMistake::Form { .. }), "{name} {value}: {refused}");
            }
        }
        for (name, value) in [("name", json!("Ada")), ("email_verified", json!(true)), ("updated_at", json!(1))] {
            assert!(matches!(check_kept(name, &value), Err(ClaimMistake::Field(_))), "{name}");
            assert_eq!(check_claim(name, &value), Ok(()), "{name}");
        }
        assert_eq!(check_kept("sub", &json!("x")), Err(ClaimMistake::Unknown("sub".into())));
        assert_eq!(
            check_claim("updated_at", &json!("today")).unwrap_err().to_string(),
            "updated_at must be a whole number of seconds since 1970"
        );
    }
}
