//! What a hook before a sign-in may answer, and nothing else.
//!
//! What must always hold: anything that does not parse as one of the two answers is no answer. What a hook adds to
//! tokens stays under one name of ours, is small, and contains no name that a reader could mistake for a claim of a
//! JWT.

use serde_json::{Map, Value};

use crate::domain::claims::is_reserved;
use crate::domain::json::depth;
use crate::domain::strict_json::{JsonFault, parse_object};
use crate::domain::text;

/// Maximum size of an answer, in bytes.
const MOST: usize = 16 * 1024;
/// Maximum size of the claims as JSON, in bytes.
const MOST_CLAIMS: usize = 1000;
/// Maximum depth of the claims: an object in an object in the claims themselves.
const DEEPEST: usize = 3;
/// Maximum length of a message, in characters.
const LONGEST_MESSAGE: usize = 200;

/// A hook's decision.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Continue, with these claims.
    Allow(Map<String, Value>),
    /// Refuse the sign-in, with this message for the person.
    Deny(Option<String>),
}

/// Parses an answer.
///
/// # Errors
/// What is wrong with it, described for operators.
pub fn read(media_type: Option<&str>, body: &[u8]) -> Result<Answer, &'static str> {
    if media_type != Some("application/json") {
        return Err("the answer is not application/json");
    }
    if body.len() > MOST {
        return Err("the answer is larger than 16 KiB");
    }
    let mut members = parse_object(body).map_err(|fault| match fault {
        JsonFault::Malformed => "the answer is no JSON object",
        JsonFault::Duplicate => "the answer has a member twice",
    })?;
    let decision = members.remove("decision");
    let message = members.remove("message");
    let claims = members.remove("claims");
    if !members.is_empty() {
        return Err("the answer has a member that is none of decision, message and claims");
    }
    match (decision.as_ref().and_then(Value::as_str), message, claims) {
        (Some("allow"), None, None) => Ok(Answer::Allow(Map::new())),
        (Some("allow"), None, Some(Value::Object(claims))) => checked(claims).map(Answer::Allow),
        (Some("allow"), None, Some(_)) => Err("claims is no object"),
        (Some("allow"), Some(_), _) => Err("a message belongs to the decision \"deny\""),
        (Some("deny"), _, Some(_)) => Err("claims belong to the decision \"allow\""),
        (Some("deny"), None, None) => Ok(Answer::Deny(None)),
        (Some("deny"), Some(Value::String(words)), None) => match text::shown(&words, LONGEST_MESSAGE) {
            Ok(words) => Ok(Answer::Deny(Some(words.to_owned()))),
            Err(_) => Err("message is empty, longer than 200 characters, or holds what cannot be shown"),
        },
        (Some("deny"), Some(_), None) => Err("message is no text"),
        _ => Err("decision is neither \"allow\" nor \"deny\""),
    }
}

fn checked(claims: Map<String, Value>) -> Result<Map<String, Value>, &'static str> {
    if claims.keys().any(|name| is_reserved(&name.to_ascii_lowercase())) {
        return Err("claims has a name that tokens use themselves");
    }
    let claims = Value::Object(claims);
    if depth(&claims) > DEEPEST {
        return Err("claims is deeper than 3");
    }
    check_names_and_texts(&claims)?;
    match claims {
        Value::Object(claims) if !is_too_large(&claims) => Ok(claims),
        _ => Err("claims is larger than 1,000 bytes"),
    }
}

/// Whether claims are larger than tokens should carry.
pub fn is_too_large(claims: &Map<String, Value>) -> bool {
    // JSON maps can always be serialized.
    serde_json::to_string(claims).is_ok_and(|text| text.len() > MOST_CLAIMS)
}

/// Only ASCII names: of two names that look alike or differ in case only, two readers could pick different ones.
fn check_names_and_texts(value: &Value) -> Result<(), &'static str> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match value {
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
                return Err("claims has a name that is not 1 to 64 of a-z, A-Z, 0-9, _, - and .");
            }
            check_names_and_texts(value)
        }),
        Value::Array(elements) => elements.iter().try_for_each(check_names_and_texts),
        Value::String(text) if text.contains('\0') => Err("claims holds a NUL"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(text: &str) -> Result<Answer, &'static str> {
        read(Some("application/json"), text.as_bytes())
    }

    #[test]
    fn the_two_answers() {
        assert_eq!(answer(r#"{"decision":"allow"}"#), Ok(Answer::Allow(Map::new())));
        assert_eq!(answer(r#"{"decision":"deny"}"#), Ok(Answer::Deny(None)));
        let said = Answer::Deny(Some("Your trial has ended. <b>ärgerlich</b>".into()));
        assert_eq!(answer(r#"{"decision":"deny","message":" Your trial has ended. <b>ärgerlich</b>"}"#), Ok(said));
        let claims = json!({ "plan": "pro", "org": { "id": 7, "roles": ["a", null, true, 1.5] } });
        let Ok(Answer::Allow(read)) = answer(&json!({ "decision": "allow", "claims": claims }).to_string()) else {
            panic!("refused")
        };
        assert_eq!(Value::Object(read), claims);
    }

    #[test]
    fn everything_else_is_none_by_name() {
        let long = "x".repeat(201);
        let large = json!({ "decision": "allow", "claims": { "a": "x".repeat(1000) } }).to_string();
        let huge = format!("{}{}", " ".repeat(MOST), r#"{"decision":"allow"}"#);
        for (name, text, expected) in [
            ("nothing", "", "no JSON object"),
            ("no JSON", "allow", "no JSON object"),
            ("no object", r#"["allow"]"#, "no JSON object"),
            ("cut off", r#"{"decision":"allow""#, "no JSON object"),
            ("something after it", r#"{"decision":"allow"}{}"#, "no JSON object"),
            ("a number too large", r#"{"decision":"allow","claims":{"a":1e999}}"#, "no JSON object"),
            ("too large", &huge, "larger than 16 KiB"),
            ("twice", r#"{"decision":"deny","decision":"allow"}"#, "twice"),
            ("twice, deeper", r#"{"decision":"allow","claims":{"a":{"b":1,"b":2}}}"#, "twice"),
            ("no decision", "{}", "neither"),
            ("another decision", r#"{"decision":"Allow"}"#, "neither"),
            ("a truth", r#"{"decision":true}"#, "neither"),
            ("another member", r#"{"decision":"allow","claim":{}}"#, "none of decision"),
            ("claims of another type", r#"{"decision":"allow","claims":[1]}"#, "no object"),
            ("no claims", r#"{"decision":"allow","claims":null}"#, "no object"),
            ("a message with allow", r#"{"decision":"allow","message":"hi"}"#, "belongs to the decision"),
            ("claims with deny", r#"{"decision":"deny","claims":{}}"#, "belong to the decision"),
            ("a message of another type", r#"{"decision":"deny","message":7}"#, "no text"),
            ("an empty message", r#"{"decision":"deny","message":" "}"#, "cannot be shown"),
            ("a long message", &json!({ "decision": "deny", "message": long }).to_string(), "cannot be shown"),
            ("a message that turns around", r#"{"decision":"deny","message":"a\u202eb"}"#, "cannot be shown"),
            ("a line end", r#"{"decision":"deny","message":"a\nb"}"#, "cannot be shown"),
            ("a reserved name", r#"{"decision":"allow","claims":{"sub":"x"}}"#, "use themselves"),
            ("one in capitals", r#"{"decision":"allow","claims":{"AUD":"x"}}"#, "use themselves"),
            ("a look-alike", "{\"decision\":\"allow\",\"claims\":{\"\u{455}ub\":1}}", "has a name"),
            ("an address as a name", r#"{"decision":"allow","claims":{"https://x":1}}"#, "has a name"),
            ("an empty name", r#"{"decision":"allow","claims":{"":1}}"#, "has a name"),
            ("a bad name, deeper", r#"{"decision":"allow","claims":{"a":[{"b c":1}]}}"#, "has a name"),
            ("a NUL", r#"{"decision":"allow","claims":{"a":"b\u0000"}}"#, "NUL"),
            ("too deep", r#"{"decision":"allow","claims":{"a":{"b":{"c":{}}}}}"#, "deeper"),
            ("lists too deep", r#"{"decision":"allow","claims":{"a":[[[1]]]}}"#, "deeper"),
            ("too large claims", &large, "1,000 bytes"),
        ] {
            let wrong = answer(text).expect_err(name);
            assert!(wrong.contains(expected), "{name}: {wrong}");
        }
        for media_type in [None, Some("text/html"), Some("application/json5")] {
            assert!(read(media_type, br#"{"decision":"allow"}"#).is_err(), "{media_type:?}");
        }
        assert!(answer(&format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))).is_err(), "no stack is spent");
    }

    /// RFC 7519 §4.1, RFC 8693 §4, RFC 9068 §2.2, and our own: in any case, and anything that folds to them or looks
    /// like them.
    #[test]
    fn no_name_that_tokens_are_judged_by_is_taken() {
        let with = |name: &str| {
            answer(&json!({ "decision": "allow", "claims": { name: 1 } }).to_string()).expect_err(name).to_owned()
        };
        let judged = "iss sub aud exp nbf iat jti azp act may_act cnf scope client_id auth_time acr amr sid typ nonce \
                      at_hash c_hash credential_class grant_id fid userinfo_claims";
        for name in judged.split(' ') {
            let capital = name[..1].to_uppercase() + &name[1..];
            for written in [name.to_owned(), name.to_uppercase(), capital] {
                assert!(with(&written).contains("use themselves"), "{written}");
            }
        }
        for alike in ["\u{ff53}ub", "\u{17f}ub", "s\u{fc}b", "su\u{301}b", "\u{430}ud", "sub ", "sub\u{200b}"] {
            assert!(with(alike).contains("has a name that is not"), "{alike:?}");
        }
    }
}
