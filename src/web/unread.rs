//! Closes the connection after the answer if the request body was not read to its end.
//!
//! For a body with a length, actix does this by itself. A chunked body it continues to read after the answer without a
//! time limit, so anyone could hold a connection open forever by sending a byte now and then. It stops if the body is
//! still held when the answer is sent, so this middleware holds it.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::TRANSFER_ENCODING;
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage as _};
use futures_core::Stream;

/// Longer than the time from the end of a handler to the first byte of its answer.
const HELD_FOR: Duration = Duration::from_secs(1);

/// A body held by both the handler and this middleware.
#[derive(Clone)]
struct Shared(Rc<RefCell<Body>>);

struct Body {
    payload: Payload,
    ended: bool,
}

impl Stream for Shared {
    type Item = Result<Bytes, PayloadError>;
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.0.borrow_mut();
        let polled = Pin::new(&mut body.payload).poll_next(cx);
        body.ended |= matches!(polled, Poll::Ready(None));
        polled
    }
}

/// Closes the connection after the answer if a chunked body was not read to its end.
pub async fn close(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !request.headers().contains_key(TRANSFER_ENCODING) {
        return next.call(request).await;
    }
    let shared = Shared(Rc::new(RefCell::new(Body { payload: request.take_payload(), ended: false })));
    request.set_payload(Payload::Stream { payload: Box::pin(shared.clone()) });
    let response = next.call(request).await;
    if !shared.0.borrow().ended {
        actix_web::rt::spawn(async move {
            tokio::time::sleep(HELD_FOR).await;
            drop(shared);
        });
    }
    response
}
