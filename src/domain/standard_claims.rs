//! The standard claims about a person (OpenID Connect Core §5.1): their names, the types of their values, and a
//! person's own claims.
//!
//! Invariant: a stored claim has the type that the standard gives it and is never null or empty, because clients
//! receive it unchanged. `sub` and `updated_at` are not stored: they are the person's id and the time of the last
//! change. To add a claim: a line in [`STANDARD`] with its form.

use serde_json::{Map, Value};

use super::text::{DisplayName, Email};

/// The form that a claim's value must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Text shown to people: 1–512 characters on one line.
    Text,
    /// A name as shown in the account.
    Name,
    /// An e-mail address.
    Email,
    /// `true` or `false`.
    Switch,
    /// An http or https address.
    Address,
    /// `YYYY-MM-DD`, `0000-MM-DD` or `YYYY`.
    Date,
    /// An IANA time zone such as `Europe/Paris`.
    Zone,
    /// A BCP 47 language tag.
    Locale,
    /// A telephone number, preferably in E.164.
    Phone,
    /// The postal address, an object (§5.1.1).
    Postal,
}

/// A stored standard claim.
#[derive(Clone, Copy, Debug)]
pub struct StandardClaim {
    /// Its name.
    pub name: &'static str,
    form: Form,
    /// The scope that includes it (OpenID Connect Core §5.4).
    pub scope: &'static str,
}

const fn claim(name: &'static str, form: Form, scope: &'static str) -> StandardClaim {
    StandardClaim { name, form, scope }
}

/// Every stored standard claim.
pub const STANDARD: [StandardClaim; 18] = [
    claim("name", Form::Name, "profile"),
    claim("given_name", Form::Text, "profile"),
    claim("family_name", Form::Text, "profile"),
    claim("middle_name", Form::Text, "profile"),
    claim("nickname", Form::Text, "profile"),
    claim("preferred_username", Form::Text, "profile"),
    claim("profile", Form::Address, "profile"),
    claim("picture", Form::Address, "profile"),
    claim("website", Form::Address, "profile"),
    claim("email", Form::Email, "email"),
    claim("email_verified", Form::Switch, "email"),
    claim("gender", Form::Text, "profile"),
    claim("birthdate", Form::Date, "profile"),
    claim("zoneinfo", Form::Zone, "profile"),
    claim("locale", Form::Locale, "profile"),
    claim("phone_number", Form::Phone, "phone"),
    claim("phone_number_verified", Form::Switch, "phone"),
    claim("address", Form::Postal, "address"),
];

/// Members of `address`, all texts (§5.1.1).
pub const ADDRESS: [&str; 6] = ["formatted", "street_address", "locality", "region", "postal_code", "country"];

/// The names of the claims that can be set.
pub fn names() -> impl Iterator<Item = &'static str> {
    STANDARD.iter().map(|claim| claim.name)
}

fn find(name: &str) -> Option<&'static StandardClaim> {
    STANDARD.iter().find(|claim| claim.name == name)
}

/// Whether a value is valid for a standard claim.
pub fn fits(name: &str, value: &Value) -> bool {
    find(name).is_some_and(|claim| checked(claim.form, value).is_ok())
}

/// Why a claim was refused; `what` follows its name in a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{claim} {what}")]
pub struct ClaimError {
    /// The name of the claim, truncated.
    pub claim: String,
    /// What is wrong, and how to correct it.
    pub what: &'static str,
}

/// A person's standard claims, each checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StandardClaims(Map<String, Value>);

impl StandardClaims {
    /// Checks claims by name. Null counts as absent.
    pub fn parse(claims: &Map<String, Value>) -> Result<Self, ClaimError> {
        let mut checked = Self::default();
        checked.merge(claims)?;
        Ok(checked)
    }

    /// Stored claims, which are not checked again.
    pub const fn from_stored(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// Sets the claims that are given and removes those given as null (RFC 7396).
    pub fn merge(&mut self, changes: &Map<String, Value>) -> Result<(), ClaimError> {
        for (name, value) in changes {
            let error = |what| ClaimError { claim: name.chars().take(40).collect(), what };
            let known = find(name).ok_or_else(|| error("is no standard claim that can be set"))?;
            if value.is_null() {
                self.0.remove(name);
            } else if known.form == Form::Postal {
                self.merge_address(value).map_err(error)?;
            } else {
                self.0.insert(name.clone(), checked(known.form, value).map_err(error)?);
            }
        }
        for (verified, of) in [("email_verified", "email"), ("phone_number_verified", "phone_number")] {
            let replaced = changes.contains_key(of) && !changes.contains_key(verified);
            if replaced {
                // The verification of the old value does not apply to the new one.
                self.0.remove(verified);
            } else if self.0.get(verified) == Some(&Value::Bool(true)) && !self.0.contains_key(of) {
                return Err(ClaimError { claim: verified.to_owned(), what: "is true, but there is nothing to verify" });
            }
        }
        Ok(())
    }

    fn merge_address(&mut self, changes: &Value) -> Result<(), &'static str> {
        let mut merged = self.0.get("address").and_then(Value::as_object).cloned().unwrap_or_default();
        for (member, value) in changes.as_object().into_iter().flatten() {
            match value {
                Value::Null => merged.remove(member),
                value => merged.insert(member.clone(), value.clone()),
            };
        }
        if merged.is_empty() && changes.as_object().is_some_and(|changes| !changes.is_empty()) {
            self.0.remove("address");
            return Ok(());
        }
        // A value that is not an object is passed on to be refused.
        let whole = if changes.is_object() { Value::Object(merged) } else { changes.clone() };
        self.0.insert("address".to_owned(), checked(Form::Postal, &whole)?);
        Ok(())
    }

    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Whether the e-mail address is verified.
    pub fn email_verified(&self) -> bool {
        self.0.get("email_verified") == Some(&Value::Bool(true))
    }

    /// Removes the verification of the e-mail address.
    pub fn unverify_email(&mut self) {
        self.0.remove("email_verified");
    }

    /// All claims.
    pub const fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}

fn checked(form: Form, value: &Value) -> Result<Value, &'static str> {
    match (form, value) {
        (Form::Switch, Value::Bool(_)) => Ok(value.clone()),
        (Form::Switch, _) => Err("must be true or false"),
        (Form::Postal, Value::Object(address)) => postal(address),
        (Form::Postal, _) => Err("must be an object"),
        (_, Value::String(text)) => text_of(form, text).map(Value::from),
        _ => Err("must be a text"),
    }
}

fn text_of(form: Form, text: &str) -> Result<String, &'static str> {
    let fits = |fits: bool, what| if fits { Ok(text.to_owned()) } else { Err(what) };
    match form {
        Form::Name => DisplayName::parse(text)
            .map(|name| name.as_str().to_owned())
            .map_err(|_| "must be 1 to 64 characters that can be shown"),
        Form::Email => Email::parse(text).map(|email| email.as_str().to_owned()).map_err(|_| "is no e-mail address"),
        Form::Address => {
            let url =
                url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some());
            // The URL parser skips white space and controls, but they would be stored and returned with the address.
            let plain = !text.contains(|c: char| c.is_control() || c.is_whitespace());
            fits(url && plain && text.len() <= 2048, "must be an https address without spaces or line ends")
        }
        Form::Date => fits(is_date(text), "must be YYYY-MM-DD, or YYYY"),
        Form::Zone => fits(
            is_word(text, 64, |c| c.is_ascii_alphanumeric() || "/_+-".contains(c)),
            "must be a time zone such as Europe/Paris",
        ),
        Form::Locale => fits(
            is_word(text, 35, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_'),
            "must be a language tag such as en-GB",
        ),
        Form::Phone => {
            let digits = text.chars().filter(char::is_ascii_digit).count();
            let plain = is_word(text, 40, |c| c.is_ascii_digit() || "+ ().-;=ext".contains(c));
            fits(plain && digits >= 3, "must be a telephone number such as +1 425 555 1212")
        }
        _ => fits(is_line(text), "must be 1 to 512 characters on one line"),
    }
}

fn is_word(text: &str, longest: usize, of: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.len() <= longest && text.chars().all(of)
}

/// The word "null", which some providers send, is not a value either; relying parties reject it.
fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && text != "null" && text.chars().count() <= 512 && !text.chars().any(char::is_control)
}

fn is_date(text: &str) -> bool {
    let year = |text: &str| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    if year(text) {
        return true;
    }
    // The year may be withheld (§5.1): 2000 replaces it, so that 29 February is valid.
    let whole = text.strip_prefix("0000-").map_or_else(|| text.to_owned(), |rest| format!("2000-{rest}"));
    // The parser would accept white space before a number.
    let plain = whole.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    plain && whole.len() == 10 && chrono::NaiveDate::parse_from_str(&whole, "%Y-%m-%d").is_ok()
}

fn postal(address: &Map<String, Value>) -> Result<Value, &'static str> {
    let mut checked = Map::new();
    for (name, value) in address {
        if !ADDRESS.contains(&name.as_str()) {
            return Err("has a member that the standard does not know");
        }
        match value {
            Value::Null => {}
            // Line ends separate the lines of an address (§5.1.1).
            Value::String(text) if is_line(&text.replace(['\r', '\n'], " ")) => {
                checked.insert(name.clone(), value.clone());
            }
            _ => return Err("has a member that is not a text of 1 to 512 characters"),
        }
    }
    if checked.is_empty() { Err("has no member: leave it out instead") } else { Ok(Value::Object(checked)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("an object") };
        map
    }

    /// OpenID Connect Core §5.1, one value for each claim.
    fn all() -> Map<String, Value> {
        map(json!({
            "name": "Jane Doe", "given_name": "Jane", "family_name": "Doe", "middle_name": "M", "nickname": "JD",
            "preferred_username": "j.doe", "profile": "https://example.com/jd", "picture": "https://example.com/jd.png",
            "website": "http://jd.example", "email": "jane@example.com", "email_verified": true, "gender": "female",
            "birthdate": "0000-02-29", "zoneinfo": "Europe/Paris", "locale": "en-GB",
            "phone_number": "+1 (604) 555-1234;ext=5678", "phone_number_verified": false,
            "address": { "street_address": "1 High Street\nFlat 2", "locality": "X", "country": "GB" },
        }))
    }

    #[test]
    fn every_standard_claim_can_be_set() {
        let claims = StandardClaims::parse(&all()).unwrap();
        assert_eq!(claims.as_map().len(), STANDARD.len());
        assert!(claims.email_verified());
        assert_eq!(claims.text("locale"), Some("en-GB"));
    }

    #[test]
    fn each_refusal_names_its_claim() {
        for (claim, value) in [
            ("name", json!("")),
            ("name", json!(1)),
            ("name", json!("x".repeat(65))),
            ("given_name", json!("a\u{7}")),
            ("given_name", json!("null")),
            ("given_name", json!("x".repeat(513))),
            ("website", json!("a.example")),
            ("website", json!("https://")),
            ("picture", json!("javascript:alert(1)")),
            ("email", json!("nobody")),
            ("email_verified", json!("true")),
            ("phone_number_verified", json!(1)),
            ("birthdate", json!("1990-02-30")),
            ("birthdate", json!("1990-2-3")),
            ("zoneinfo", json!("Europe Paris")),
            ("locale", json!("en GB")),
            ("phone_number", json!("none")),
            ("address", json!("1 High Street")),
            ("address", json!({})),
            ("address", json!({"planet": "Earth"})),
            ("address", json!({"country": 1})),
            ("sub", json!("x")),
            ("updated_at", json!(1)),
            ("is_admin", json!(true)),
        ] {
            let mut claims = all();
            claims.insert(claim.to_owned(), value.clone());
            assert_eq!(StandardClaims::parse(&claims).unwrap_err().claim, claim, "{value}");
        }
    }

    /// No stored text contains a NUL, and every claim is one line, except for the lines of a postal address.
    #[test]
    fn no_form_takes_control_characters() {
        for claim in STANDARD {
            for control in ["\0", "\n", "\t"] {
                let spoilt = |text: &str| {
                    let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
                    let (first, last) = text.split_at(middle);
                    format!("{first}{control}{last}")
                };
                let value = match (claim.form, &all()[claim.name]) {
                    (Form::Postal, _) if control == "\n" => continue,
                    (Form::Postal, _) => json!({ "country": spoilt("GB") }),
                    (_, Value::String(text)) => json!(spoilt(text)),
                    (_, _) => json!(control),
                };
                assert!(!fits(claim.name, &value), "{}: {value}", claim.name);
            }
        }
        for website in ["\thttps://jd.example", "https://jd.example\0", "https://jd.example/a b", " https://jd.example"]
        {
            assert!(!fits("website", &json!(website)), "{website:?}");
        }
        for date in ["\n990-02-28", "1990-\t2-28", "+990-02-28", "0000-\t2-28"] {
            assert!(!fits("birthdate", &json!(date)), "{date:?}");
        }
    }

    #[test]
    fn a_new_address_is_not_verified_by_the_old_one() {
        let mut claims = StandardClaims::parse(&all()).unwrap();
        claims.merge(&map(json!({"email": "new@example.com"}))).unwrap();
        assert!(!claims.email_verified());
        claims.merge(&map(json!({"email": null, "gender": null}))).unwrap();
        assert_eq!((claims.text("email"), claims.text("gender")), (None, None));
        assert_eq!(claims.merge(&map(json!({"email_verified": true}))).unwrap_err().claim, "email_verified");
    }
}
