//! Idempotent requests (the `Idempotency-Key` header): a request whose answer was lost can be repeated, and creates its
//! object only once.
//!
//! A key belongs to one caller and one operation for [`KEPT`]. A request with the same key and body gets the same
//! answer, even if both run at the same moment; with another body it gets 422. A secret in the answer is not stored. It
//! is derived from a stored random seed with a key of this installation, so the seed in the database does not reveal
//! it.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Duration;
use diesel::PgConnection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::guard::Actor;
use super::{Administration, versions};
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::storage::StorageError;
use crate::storage::idempotency_keys::{self, Claimed};
use crate::web::error::{Failure, Kind, Problem};
use crate::web::refusal::Refusal;

/// How long an answer can be repeated.
const KEPT: Duration = Duration::hours(24);

/// The idempotency key of a request, if it has one.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(Option<String>);

impl FromRequest for IdempotencyKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut values = request.headers().get_all("idempotency-key");
        let (first, second) = (values.next(), values.next());
        let malformed = || {
            let detail = "The Idempotency-Key must be sent once, with 1 to 255 printable characters.";
            Problem(Failure::new(Kind::InvalidRequest, detail))
        };
        ready(match (first.map(|value| value.to_str()), second) {
            (None, _) => Ok(Self(None)),
            (Some(Ok(key)), None) if (1..=255).contains(&key.len()) => Ok(Self(Some(key.to_owned()))),
            _ => Err(malformed()),
        })
    }
}

/// The created or changed object, with its secret if it has one.
#[derive(Debug, Serialize, ToSchema)]
pub struct WithSecret<T> {
    /// The object.
    #[serde(flatten)]
    pub thing: T,
    /// The secret, if the object has one. It is shown only in this answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// The seed from which the secret in an answer is derived.
#[derive(Clone, Debug)]
pub struct Seed {
    key: hmac::Key,
    bits: [u8; 32],
}

impl Seed {
    fn new(key: &hmac::Key, bits: [u8; 32]) -> Self {
        Self { key: key.clone(), bits }
    }

    /// Derives the secret.
    pub fn secret(&self, kind: TokenKind) -> PlainToken {
        let tag = hmac::sign(&self.key, &[kind.prefix().as_bytes(), &self.bits].concat());
        let mut bits = [0; 32];
        bits.copy_from_slice(tag.as_ref());
        PlainToken::from_bits(kind, &bits)
    }
}

/// An answer that can be stored and repeated.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    body: Value,
    /// The prefix of the secret's kind, if the answer contains a secret.
    secret: Option<String>,
    seed: Option<String>,
}

impl Answer {
    /// 201 with the created object and its location.
    pub fn created(location: String, view: &impl Serialize) -> Self {
        let body = serde_json::to_value(view).unwrap_or_default();
        let etag = Some(versions::etag(view));
        Self { status: 201, location: Some(location), etag, body, secret: None, seed: None }
    }

    /// 200 with an object.
    pub fn ok(view: &impl Serialize) -> Self {
        let body = serde_json::to_value(view).unwrap_or_default();
        Self { status: 200, location: None, etag: None, body, secret: None, seed: None }
    }

    /// Adds the secret derived from the seed as the member `secret`.
    #[must_use]
    pub fn with_secret(self, kind: TokenKind, seed: &Seed) -> Self {
        Self { secret: Some(kind.prefix().to_owned()), seed: Some(URL_SAFE_NO_PAD.encode(seed.bits)), ..self }
    }

    fn into_response(self, key: &hmac::Key) -> HttpResponse {
        let mut response = HttpResponse::build(StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK));
        if let Some(location) = &self.location {
            response.insert_header((header::LOCATION, location.as_str()));
        }
        if let Some(etag) = &self.etag {
            response.insert_header((header::ETAG, etag.as_str()));
        }
        let mut body = self.body;
        let kinds = [TokenKind::ClientSecret, TokenKind::InitialAccess];
        let kind = kinds.into_iter().find(|kind| self.secret.as_deref() == Some(kind.prefix()));
        let bits = self.seed.and_then(|seed| URL_SAFE_NO_PAD.decode(seed).ok()?.try_into().ok());
        if let (Some(kind), Some(bits), Value::Object(members)) = (kind, bits, &mut body) {
            members.insert("secret".to_owned(), Seed::new(key, bits).secret(kind).expose().into());
        }
        response.json(body)
    }
}

impl Administration {
    /// Runs `work` once for each key, in the transaction that stores its answer.
    pub async fn once(
        self: &Arc<Self>,
        actor: &Actor,
        operation: &'static str,
        key: IdempotencyKey,
        request: &impl Serialize,
        work: impl FnOnce(&mut PgConnection, &Seed) -> Result<Answer, Refusal> + Send + 'static,
    ) -> Result<HttpResponse, Failure> {
        let seed = Seed::new(&self.one_time, crate::random::bytes());
        let answer = match key.0 {
            None => self.change(move |conn| work(conn, &seed)).await?,
            Some(key) => {
                let now = self.clock.now();
                let caller = actor.client.as_deref().unwrap_or_default();
                // Rights are part of the key: a token with fewer rights must not get the answer given to one with more.
                let rights = actor.rights();
                let key = TokenDigest::of(&format!("{caller}\n{}\n{rights}\n{operation}\n{key}", actor.subject));
                let asked = TokenDigest::of(&serde_json::to_string(request).unwrap_or_default());
                let until = now + KEPT;
                self.change(move |conn| match idempotency_keys::claim(conn, &key, &asked, (now, until))? {
                    Claimed::First => {
                        let answer = work(conn, &seed)?;
                        let kept = serde_json::to_value(&answer)
                            .map_err(|error| StorageError::corrupt("idempotency_keys", "new", error))?;
                        idempotency_keys::keep(conn, &key, &kept)?;
                        Ok(answer)
                    }
                    Claimed::Answered(kept) => Ok(serde_json::from_value(kept)
                        .map_err(|error| StorageError::corrupt("idempotency_keys", "answer", error))?),
                    Claimed::Taken => Err(Failure::new(
                        Kind::IdempotencyKeyReused,
                        "This Idempotency-Key was used for another request. Use a new key for each thing you make.",
                    )
                    .into()),
                })
                .await?
            }
        };
        Ok(answer.into_response(&self.one_time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_an_answer_does_not_tell_its_secret() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]);
        let seed = Seed::new(&key, [2; 32]);
        let secret = seed.secret(TokenKind::ClientSecret);
        let answer = Answer::ok(&serde_json::json!({})).with_secret(TokenKind::ClientSecret, &seed);
        let kept = serde_json::to_string(&answer).unwrap();
        assert!(!kept.contains(&secret.expose()[4..]));
        let again = Seed::new(&key, [2; 32]).secret(TokenKind::ClientSecret);
        assert_eq!(secret.expose(), again.expose(), "the same answer again");
        let other = Seed::new(&hmac::Key::new(hmac::HMAC_SHA256, &[9; 32]), [2; 32]);
        assert_ne!(other.secret(TokenKind::ClientSecret).expose(), secret.expose(), "another installation");
        assert_ne!(seed.secret(TokenKind::InitialAccess).expose()[4..], secret.expose()[4..]);
    }
}
