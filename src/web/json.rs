//! JSON bodies. Content type, size and shape are checked before a handler runs.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_core::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::body::{Body, has_type};
use super::error::{Failure, Kind, Problem};
use crate::domain::json::is_deeper_than;
use crate::domain::strict_json::{JsonFault, parse_object};

/// Maximum nesting depth of objects and arrays.
const DEEPEST: usize = 16;

/// A JSON body. Any content type other than `application/json` is 415, including those that a form on another site
/// could send. A body over the size limit is 413. A body that nests deeper than `DEEP` or does not fit the type is 400,
/// with the place of the fault.
#[derive(Debug)]
pub struct Json<T, const DEEP: usize = DEEPEST>(pub T);

/// A JSON body that contains a credential. The credential has a stricter reader of its own: what that refuses is
/// hostile and ends the ceremony, so the depth is not checked before.
pub type Envelope<T> = Json<T, { usize::MAX }>;

impl<T: DeserializeOwned + 'static, const DEEP: usize> FromRequest for Json<T, DEEP> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let typed = has_type(request, "application/json");
        let body = Body::of(request, payload);
        Box::pin(async move {
            require_type(typed)?;
            let body = body.read().await?;
            require_shallow(DEEP, &body)?;
            if DEEP == DEEPEST {
                require_unambiguous(&body)?;
            }
            parse(&body).map(Self)
        })
    }
}

fn require_type(typed: bool) -> Result<(), Problem> {
    let words = "Send this request with Content-Type: application/json.";
    if typed { Ok(()) } else { Err(Problem(Failure::new(Kind::UnsupportedMediaType, words))) }
}

fn require_shallow(most: usize, body: &[u8]) -> Result<(), Problem> {
    let words = || format!("The body has more than {most} objects and lists within each other.");
    if is_deeper_than(most, body) { Err(Problem(Failure::new(Kind::InvalidRequest, words()))) } else { Ok(()) }
}

/// Refuses duplicate members: an intermediary that checked the request may have read the other one.
fn require_unambiguous(body: &[u8]) -> Result<(), Problem> {
    match parse_object(body) {
        Err(JsonFault::Duplicate) => {
            Err(Problem(Failure::new(Kind::InvalidRequest, "The body has an object with the same member twice.")))
        }
        Ok(_) | Err(JsonFault::Malformed) => Ok(()),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // serde also accepts a list for a struct, with its elements in the order of the fields.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Problem(Failure::new(Kind::InvalidRequest, "The body is not a JSON object.")));
    }
    serde_json::from_slice(body).map_err(|error| {
        Problem(Failure::new(
            Kind::InvalidRequest,
            format!("The body is not the JSON that this path accepts: {}.", in_words(&error)),
        ))
    })
}

/// An optional JSON body: an empty body is `None`, anything else is read like [`Json`].
#[derive(Debug)]
pub struct OptionalJson<T>(pub Option<T>);

impl<T: DeserializeOwned + 'static> FromRequest for OptionalJson<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let typed = has_type(request, "application/json");
        let body = Body::of(request, payload);
        Box::pin(async move {
            let body = body.read().await?;
            if body.is_empty() {
                return Ok(Self(None));
            }
            require_type(typed)?;
            require_shallow(DEEPEST, &body)?;
            require_unambiguous(&body)?;
            parse(&body).map(Some).map(Self)
        })
    }
}

/// serde's message without the values that it quotes. They may be secrets, and an answer never repeats what was sent.
fn in_words(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Io | serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax => "it is not JSON",
        serde_json::error::Category::Data => {
            let text = error.to_string();
            return match text.split_once('`').and_then(|(lead, rest)| Some((lead.trim(), rest.split_once('`')?.0))) {
                Some(("unknown field" | "missing field" | "duplicate field", name)) if is_plain(name) => {
                    let lead = text.split(" `").next().unwrap_or_default();
                    format!("{lead} `{name}`")
                }
                _ => format!("a value has the wrong type or form (line {}, column {})", error.line(), error.column()),
            };
        }
    };
    format!("{kind} (line {}, column {})", error.line(), error.column())
}

fn is_plain(name: &str) -> bool {
    name.len() <= 40 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only its parsing matters")]
        name: String,
    }

    #[test]
    fn errors_name_the_place_and_repeat_nothing() {
        for (text, words) in [
            ("{", "it ends too early (line 1, column 1)"),
            ("nonsense", "it is not JSON (line 1, column 2)"),
            ("{}", "missing field `name`"),
            (r#"{"name":"a","nmae":1}"#, "unknown field `nmae`"),
            (r#"{"name":"a","name":"b"}"#, "duplicate field `name`"),
            (r#"{"name":"a","<script>":1}"#, "a value has the wrong type or form (line 1, column 22)"),
            (r#"{"name":12345}"#, "a value has the wrong type or form (line 1, column 13)"),
        ] {
            assert_eq!(in_words(&serde_json::from_str::<Body>(text).unwrap_err()), words, "{text}");
        }
    }
}
