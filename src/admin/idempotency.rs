//! Requests that may be sent again (the `Idempotency-Key` header): a lost answer is asked for once more, and the thing is
//! made once.
//!
//! The key belongs to one caller and one operation for [`KEPT`]. Same key and same body: the same answer, also for
//! requests at the same moment. Another body: 422. A secret in an answer is not kept: it is made from a random seed under a
//! key of this installation, so that the seed alone, in the database, is worth nothing.

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

/// How long an answer can be asked for again.
const KEPT: Duration = Duration::hours(24);

/// The key of a request, if it has one.
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

/// What was made or changed, with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct WithSecret<T> {
    /// The thing.
    #[serde(flatten)]
    pub thing: T,
    /// Its secret, where it has one. It is in this answer and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// What a secret of one answer is made from.
#[derive(Clone, Debug)]
pub struct Seed {
    key: hmac::Key,
    bits: [u8; 32],
}

impl Seed {
    fn new(key: &hmac::Key, bits: [u8; 32]) -> Self {
        Self { key: key.clone(), bits }
    }

    /// The secret.
    pub fn secret(&self, kind: TokenKind) -> PlainToken {
        let tag = hmac::sign(&self.key, &[kind.prefix().as_bytes(), &self.bits].concat());
        let mut bits = [0; 32];
        bits.copy_from_slice(tag.as_ref());
        PlainToken::from_bits(kind, &bits)
    }
}

/// The answer to a creation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    body: Value,
    /// The prefix of the secret's kind, when there is one in the answer.
    secret: Option<String>,
    seed: Option<String>,
}

impl Answer {
    /// 201 with the thing made, and where it is.
    pub fn created(location: String, view: &impl Serialize) -> Self {
        let body = serde_json::to_value(view).unwrap_or_default();
        let etag = Some(versions::etag(view));
        Self { status: 201, location: Some(location), etag, body, secret: None, seed: None }
    }

    /// 200 with a thing.
    pub fn ok(view: &impl Serialize) -> Self {
        let body = serde_json::to_value(view).unwrap_or_default();
        Self { status: 200, location: None, etag: None, body, secret: None, seed: None }
    }

    /// The same with the seed's secret in the member `secret`.
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
    /// Makes something, once for each key: `work` runs in the transaction that remembers its answer.
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
                // A token with other rights asks anew: what one with more was answered is not for it.
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
