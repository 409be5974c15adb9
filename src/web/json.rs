//! JSON bodies: the content type, the size and the shape are checked before a handler sees anything.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest, web};
use futures_core::Stream;
use futures_core::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::error::{Failure, Kind, Problem};
use crate::domain::json::is_deeper_than;
use crate::domain::strict_json::{JsonFault, parse_object};

/// Largest body, in bytes.
pub const BODY_LIMIT: usize = 32 * 1024;
/// Most objects and arrays within each other.
const DEEPEST: usize = 16;

/// A JSON body. Anything but `application/json` is 415 (the shapes that a foreign form could send among them), more than
/// the limit is 413, what nests deeper than `DEEP` or does not fit the type is 400 naming the place.
#[derive(Debug)]
pub struct Json<T, const DEEP: usize = DEEPEST>(pub T);

/// A JSON body around a credential, which has a stricter reader of its own: what that refuses is a hostile answer and ends its
/// ceremony, so its depth is not judged before.
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

/// Refuses a member that is there twice: who checked the request on its way may have read the other one.
fn require_unambiguous(body: &[u8]) -> Result<(), Problem> {
    match parse_object(body) {
        Err(JsonFault::Duplicate) => {
            Err(Problem(Failure::new(Kind::InvalidRequest, "The body has an object with the same member twice.")))
        }
        Ok(_) | Err(JsonFault::Malformed) => Ok(()),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // serde takes a list for an object, too: its elements in the order of our fields.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Problem(Failure::new(Kind::InvalidRequest, "The body is not a JSON object.")));
    }
    serde_json::from_slice(body).map_err(|error| {
        Problem(Failure::new(
            Kind::InvalidRequest,
            format!("The body is not the JSON this path takes: {}.", in_words(&error)),
        ))
    })
}

/// A JSON body that may be left out: nothing sent is `None`, anything else is read as [`Json`] is.
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

/// How large a body may be, and how long it may take to arrive.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Most bytes; at most [`BODY_LIMIT`].
    pub most: usize,
    /// Longest time.
    pub within: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { most: BODY_LIMIT, within: Duration::from_secs(10) }
    }
}

/// A body on its way.
pub(super) struct Body {
    pieces: Payload,
    announced: Option<usize>,
    limits: BodyLimits,
}

impl Body {
    pub(super) fn of(request: &HttpRequest, payload: &mut Payload) -> Self {
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let limits = request.app_data::<web::Data<BodyLimits>>().map(|limits| *limits.get_ref()).unwrap_or_default();
        Self { pieces: payload.take(), announced, limits }
    }

    /// The whole body, or one of our own errors.
    pub(super) async fn read(self) -> Result<Bytes, Failure> {
        let BodyLimits { most, within } = self.limits;
        let Ok(bytes) = tokio::time::timeout(within, self.collect()).await else {
            return Err(Failure::new(Kind::InvalidRequest, "The body took too long to arrive."));
        };
        bytes.map_err(|error| match error {
            PayloadError::Overflow => {
                Failure::new(Kind::TooLarge, format!("The body is larger than {}.", in_kib(most)))
            }
            error => Failure::new(Kind::InvalidRequest, "The body could not be read.").because(error),
        })
    }

    /// Most bodies come in one piece, which is handed on as it came.
    async fn collect(mut self) -> Result<Bytes, PayloadError> {
        if self.announced.is_some_and(|length| length > self.limits.most) {
            return Err(PayloadError::Overflow);
        }
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await? else { return Ok(first) };
        let mut whole = BytesMut::from(first.as_ref());
        whole.extend_from_slice(&second);
        while let Some(piece) = self.next().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// The next piece, if there is room left for it.
    async fn next(&mut self) -> Result<Option<Bytes>, PayloadError> {
        let piece = poll_fn(|context| Pin::new(&mut self.pieces).poll_next(context)).await.transpose()?;
        let size = piece.as_ref().map_or(0, Bytes::len);
        self.limits.most = self.limits.most.checked_sub(size).ok_or(PayloadError::Overflow)?;
        Ok(piece)
    }
}

/// A size in words.
fn in_kib(bytes: usize) -> String {
    if bytes.is_multiple_of(1024) { format!("{} KiB", bytes / 1024) } else { format!("{bytes} bytes") }
}

/// Whether the request's content type is `wanted`, parameters aside.
pub(super) fn has_type(request: &HttpRequest, wanted: &str) -> bool {
    request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(wanted))
}

/// serde's message without the values it quotes: those may be secrets, and an answer repeats nothing it was sent.
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
    use std::task::{Context, Poll};

    use super::*;

    /// A body that arrives in these pieces.
    struct Pieces(std::vec::IntoIter<&'static str>);

    impl Stream for Pieces {
        type Item = Result<Bytes, PayloadError>;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.next().map(|piece| Ok(Bytes::from(piece))))
        }
    }

    #[tokio::test]
    async fn a_body_is_whole_however_it_arrives_or_too_large() {
        let limits = BodyLimits { most: 4, ..BodyLimits::default() };
        for (pieces, announced, expected) in [
            (vec![], None, Ok("")),
            (vec!["abcd"], Some(4), Ok("abcd")),
            (vec!["ab", "cd"], None, Ok("abcd")),
            (vec!["", "a", "", "b", "c", "d", ""], None, Ok("abcd")),
            (vec!["abcde"], None, Err(Kind::TooLarge)),
            (vec!["ab", "cde"], None, Err(Kind::TooLarge)),
            (vec!["a", "b", "c", "d", "e"], None, Err(Kind::TooLarge)),
            (vec!["a"], Some(5), Err(Kind::TooLarge)),
        ] {
            let pieces: Pin<Box<dyn Stream<Item = _>>> = Box::pin(Pieces(pieces.into_iter()));
            let pieces = Payload::from(pieces);
            let read = Body { pieces, announced, limits }.read().await;
            assert_eq!(read.map_err(|failure| failure.kind()), expected.map(Bytes::from));
        }
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named {
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
            assert_eq!(in_words(&serde_json::from_str::<Named>(text).unwrap_err()), words, "{text}");
        }
    }
}
