//! Request bodies as bytes: their maximum size, how long they may take to arrive, and their content type.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{HttpRequest, web};
use futures_core::Stream;

use super::error::{Failure, Kind};

/// Maximum size of a body, in bytes.
pub const BODY_LIMIT: usize = 32 * 1024;

/// The limits of a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Maximum size in bytes, at most [`BODY_LIMIT`].
    pub most: usize,
    /// Maximum time to arrive.
    pub within: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { most: BODY_LIMIT, within: Duration::from_secs(10) }
    }
}

/// A body that is being received.
pub(super) struct Body {
    pieces: Payload,
    announced: Option<usize>,
    limits: BodyLimits,
    /// How many more bytes are allowed.
    left: usize,
}

impl Body {
    pub(super) fn of(request: &HttpRequest, payload: &mut Payload) -> Self {
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let limits = request.app_data::<web::Data<BodyLimits>>().map(|limits| *limits.get_ref()).unwrap_or_default();
        Self { pieces: payload.take(), announced, limits, left: limits.most }
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

    /// Most bodies arrive in one piece, which is passed on without a copy.
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

    /// The next piece, if it is within the limit.
    async fn next(&mut self) -> Result<Option<Bytes>, PayloadError> {
        let piece = poll_fn(|context| Pin::new(&mut self.pieces).poll_next(context)).await.transpose()?;
        let size = piece.as_ref().map_or(0, Bytes::len);
        self.left = self.left.checked_sub(size).ok_or(PayloadError::Overflow)?;
        Ok(piece)
    }
}

/// A size as text.
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
            let read = Body { pieces, announced, limits, left: limits.most }.read().await;
            assert_eq!(read.map_err(|failure| failure.kind()), expected.map(Bytes::from));
        }
    }
}
