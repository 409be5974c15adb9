//! Proof of possession (RFC 9449) for the endpoints: reads the header of a request, checks it against the request using
//! our *public* URL (never `Host`), and marks the proof as used.
//!
//! What must always hold: a key is returned only after its proof was marked as used in the database, so that of many
//! identical requests on many servers only one succeeds. The rules for a proof are in
//! [`tokens::dpop`](crate::tokens::dpop).

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue};
use url::Url;

use crate::clock::{Clock, Time};
use crate::domain::client::Client;
use crate::storage::Db;
use crate::storage::used_jti::{self, Kind as Used, Spent};
use crate::tokens::dpop::{ALGORITHM_NAMES, Jkt, Nonces, Proof, Target, check};
use crate::web::error::{Failure, Kind};

/// The request header that contains a proof.
const PROOF: HeaderName = HeaderName::from_static("dpop");
/// The response header that contains a nonce.
pub const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Checks DPoP proofs.
pub struct Dpop {
    db: Db,
    clock: Clock,
    public_url: Url,
    nonces: Nonces,
    require_nonce: bool,
}

impl Dpop {
    /// `key` is the key derived for nonces.
    pub fn new(db: Db, clock: Clock, public_url: Url, key: &[u8; 32], require_nonce: bool) -> Self {
        Self { db, clock, public_url, nonces: Nonces::new(key), require_nonce }
    }

    /// The key that the sender of a request proved to hold; `None` if it sent no proof. For every endpoint, except the
    /// token endpoint, at which clients introduce a key.
    pub async fn proof_key(&self, request: &HttpRequest) -> Result<Option<Jkt>, Failure> {
        self.key_of(self.examine(request)?).await
    }

    /// The proof of a request, if it sent one, not marked as used yet. Call it before anything else of the request is
    /// used up: a client that lacks a nonce repeats the request unchanged otherwise (RFC 9449 §8).
    pub fn examine(&self, request: &HttpRequest) -> Result<Option<Proof>, Failure> {
        header(request)?.map(|text| self.judge(request, text, None)).transpose()
    }

    /// Marks an examined proof as used, and returns its key.
    pub async fn key_of(&self, proof: Option<Proof>) -> Result<Option<Jkt>, Failure> {
        match proof {
            Some(proof) => self.spend(proof).await.map(Some),
            None => Ok(None),
        }
    }

    /// The same for a token request of this client: without a proof, it is refused if the client's tokens are always
    /// bound.
    pub async fn key_for(&self, client: &Client, proof: Option<Proof>) -> Result<Option<Jkt>, Failure> {
        if proof.is_none() && client.requires_dpop() {
            return Err(missing());
        }
        self.key_of(proof).await
    }

    /// The key that the holder of an access token proved, with a challenge in each refusal (RFC 9449 §7.1).
    pub async fn key_at_resource(&self, request: &HttpRequest, access_token: &str) -> Result<Jkt, Failure> {
        let checked = async {
            let text = header(request)?.ok_or_else(missing)?;
            self.spend(self.judge(request, text, Some(access_token))?).await
        };
        checked.await.map_err(|failure| match failure.kind() {
            Kind::InvalidDpopProof | Kind::UseDpopNonce => challenged(failure),
            _ => failure,
        })
    }

    /// The nonce to send with a response, if nonces are required.
    pub fn nonce(&self) -> Option<HeaderValue> {
        self.require_nonce.then(|| self.current_nonce(self.clock.now()))
    }

    fn current_nonce(&self, now: Time) -> HeaderValue {
        HeaderValue::from_str(&self.nonces.current(now)).unwrap_or(HeaderValue::from_static(""))
    }

    fn judge(&self, request: &HttpRequest, text: &str, access_token: Option<&str>) -> Result<Proof, Failure> {
        let now = self.clock.now();
        let mut url = self.public_url.clone();
        url.set_path(request.path());
        let target = Target { method: request.method().as_str(), url: &url, access_token };
        let proof = check(text, &target, now).map_err(|refusal| {
            refused("The DPoP proof is not valid for this request: check htm, htu, iat, jti and, at a resource, ath.")
                .because(refusal)
        })?;
        if self.require_nonce && !proof.nonce.as_deref().is_some_and(|nonce| self.nonces.accepts(nonce, now)) {
            let wanted = "Make the DPoP proof anew with the nonce of the DPoP-Nonce header.";
            return Err(Failure::new(Kind::UseDpopNonce, wanted).header(NONCE, self.current_nonce(now)));
        }
        Ok(proof)
    }

    async fn spend(&self, proof: Proof) -> Result<Jkt, Failure> {
        let Proof { key, jti, expires_at, .. } = proof;
        let spent = Spent {
            kind: Used::DpopProof,
            signer: key.as_str().to_owned(),
            jti,
            expires_at: Time::from_timestamp(expires_at, 0).unwrap_or_else(|| self.clock.now()),
        };
        if self.db.run(move |conn| used_jti::spend(conn, &spent)).await? {
            Ok(key)
        } else {
            Err(refused("The DPoP proof was used before. Make a new one for each request."))
        }
    }
}

/// Adds the challenge for a request with an access token, which names the scheme that would be accepted.
pub fn challenged(failure: Failure) -> Failure {
    let challenge = format!(r#"DPoP error="{}", algs="{ALGORITHM_NAMES}""#, failure.kind().oauth_code());
    failure.challenge(challenge)
}

/// The single proof of a request (RFC 9449 §4.3, item 1).
fn header(request: &HttpRequest) -> Result<Option<&str>, Failure> {
    let mut values = request.headers().get_all(PROOF);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => one.to_str().map(Some).map_err(|_| refused("The DPoP header does not hold a proof.")),
        (Some(_), Some(_)) => Err(refused("The request has two DPoP headers. Send one proof.")),
    }
}

fn missing() -> Failure {
    refused("A DPoP proof is required: send one in the DPoP header.")
}

fn refused(words: &'static str) -> Failure {
    Failure::new(Kind::InvalidDpopProof, words)
}
