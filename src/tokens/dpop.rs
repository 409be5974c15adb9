//! DPoP proofs (RFC 9449): checks that a proof matches its request, and issues nonces.
//!
//! Everything here is pure. That a proof is used only once is checked against the database by [`dpop`](crate::dpop).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use url::Url;

use super::keys::Algorithm;
use super::typ;
use super::verifier::{Refusal, proof};
use crate::clock::Time;

/// The algorithms accepted in proofs, also for metadata and challenges.
pub const ALGORITHMS: [Algorithm; 3] = [Algorithm::ES256, Algorithm::EdDSA, Algorithm::PS256];
/// [`ALGORITHMS`] as the `algs` of a challenge writes them (RFC 9449 §7.1).
pub const ALGORITHM_NAMES: &str = "ES256 EdDSA PS256";
/// How far `iat` may differ from our clock in either direction, in seconds.
const WINDOW: i64 = 60;
/// How long a nonce is the current one, in seconds. It is accepted for one more such period.
const NONCE_LIFE: i64 = 300;
/// Longest `jti`, in bytes.
const MAX_JTI: usize = 512;

/// The thumbprint of a DPoP key (RFC 7638), 43 characters. Tokens are bound to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Jkt(String);

impl Jkt {
    /// The thumbprint.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Jkt {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

/// The request that a proof must be for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its URL, based on the configured public URL, without the query.
    pub url: &'a Url,
    /// The access token sent with the proof, at a resource.
    pub access_token: Option<&'a str>,
}

/// A proof that matches its request. Whether it was used before is not yet known.
#[derive(Clone, Debug)]
#[must_use = "a proof is worth something only once it is spent"]
pub struct Proof {
    /// Its key.
    pub key: Jkt,
    /// Its own id.
    pub jti: String,
    /// The nonce it repeats.
    pub nonce: Option<String>,
    /// When it becomes too old to be accepted.
    pub expires_at: i64,
}

/// Why a proof is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofRefusal {
    /// Not a valid proof: wrong form, `typ`, algorithm, key or signature.
    #[error("the proof is no proof: {0}")]
    Token(#[from] Refusal),
    /// A claim is missing or of the wrong type.
    #[error("the proof's {0} is missing or malformed")]
    Claim(&'static str),
    /// It is for another request.
    #[error("the proof's {0} is another request's")]
    Foreign(&'static str),
    /// `iat` is too far from our clock.
    #[error("the proof was made too long ago, or in the future")]
    Time,
}

/// Reads a proof and checks it against its request (RFC 9449 §4.3).
///
/// # Errors
/// [`ProofRefusal`].
pub fn check(text: &str, target: &Target<'_>, now: Time) -> Result<Proof, ProofRefusal> {
    let opened = proof::open(text, typ::DPOP, &ALGORITHMS)?;
    let claims = &opened.claims;
    let jti = string(claims, "jti").filter(|jti| jti.len() <= MAX_JTI).ok_or(ProofRefusal::Claim("jti"))?;
    if string(claims, "htm").ok_or(ProofRefusal::Claim("htm"))? != target.method {
        return Err(ProofRefusal::Foreign("htm"));
    }
    let htu = string(claims, "htu").and_then(|htu| Url::parse(htu).ok()).ok_or(ProofRefusal::Claim("htu"))?;
    if !is_same_target(&htu, target.url) {
        return Err(ProofRefusal::Foreign("htu"));
    }
    let iat = claims.get("iat").and_then(Value::as_i64).ok_or(ProofRefusal::Claim("iat"))?;
    if iat.abs_diff(now.timestamp()) > WINDOW.unsigned_abs() {
        return Err(ProofRefusal::Time);
    }
    if let Some(token) = target.access_token
        && string(claims, "ath").ok_or(ProofRefusal::Claim("ath"))? != access_token_hash(token)
    {
        return Err(ProofRefusal::Foreign("ath"));
    }
    let nonce = match claims.get("nonce") {
        None => None,
        Some(Value::String(nonce)) => Some(nonce.clone()),
        Some(_) => return Err(ProofRefusal::Claim("nonce")),
    };
    Ok(Proof { key: Jkt(opened.key.thumbprint()), jti: jti.to_owned(), nonce, expires_at: iat + WINDOW + 1 })
}

fn string<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Compares scheme, host, port and path; query and fragment do not count (RFC 9449 §4.3, item 9). The parser has
/// already lowercased scheme and host and filled in default ports (RFC 3986 §6.2).
fn is_same_target(given: &Url, expected: &Url) -> bool {
    given.scheme() == expected.scheme()
        && given.host() == expected.host()
        && given.port_or_known_default() == expected.port_or_known_default()
        && given.username().is_empty()
        && given.password().is_none()
        && given.path() == expected.path()
}

/// `ath` (RFC 9449 §4.2).
pub fn access_token_hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))
}

/// Stateless nonces: a MAC over the number of a time period, so that every server accepts the nonces of the others.
#[derive(Debug)]
pub struct Nonces(hmac::Key);

impl Nonces {
    /// Uses this purpose key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The nonce to give out now.
    pub fn current(&self, now: Time) -> String {
        self.of(now.timestamp().div_euclid(NONCE_LIFE))
    }

    /// Whether a nonce is the current one or the one before it.
    pub fn accepts(&self, nonce: &str, now: Time) -> bool {
        let span = now.timestamp().div_euclid(NONCE_LIFE);
        [span, span - 1]
            .into_iter()
            .any(|span| constant_time::verify_slices_are_equal(self.of(span).as_bytes(), nonce.as_bytes()).is_ok())
    }

    fn of(&self, span: i64) -> String {
        URL_SAFE_NO_PAD.encode(&hmac::sign(&self.0, &span.to_be_bytes()).as_ref()[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;

    /// The example proof of RFC 9449 §4.1.
    const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn targets_are_compared_as_addresses_not_as_texts() {
        let own = url("https://id.example/oauth/token");
        for same in [
            "https://id.example/oauth/token",
            "HTTPS://ID.Example/oauth/token",
            "https://id.example:443/oauth/token",
            "https://id.example/oauth/token?x=1",
            "https://id.example/oauth/token#x",
            "https://id.example/oauth/./token",
        ] {
            assert!(is_same_target(&url(same), &own), "{same}");
        }
        for other in [
            "http://id.example/oauth/token",
            "https://id.example:8443/oauth/token",
            "https://id.example.evil/oauth/token",
            "https://id.example/oauth/token/",
            "https://id.example/oauth/Token",
            "https://id.example/",
            "https://user@id.example/oauth/token",
        ] {
            assert!(!is_same_target(&url(other), &own), "{other}");
        }
    }

    /// The example of RFC 9449 §7.1.
    #[test]
    fn ath_is_the_one_of_the_rfc() {
        let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
        assert_eq!(access_token_hash(token), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    }

    /// The proof of RFC 9449 §4.1, checked for its own request and time.
    #[test]
    fn the_proof_of_the_rfc_fits_its_request() {
        let at = |seconds: i64| Time::from_timestamp(1_562_262_616 + seconds, 0).unwrap();
        let own = url("https://server.example.com/token");
        let target = Target { method: "POST", url: &own, access_token: None };
        let proof = check(PROOF, &target, at(0)).unwrap();
        assert_eq!(proof.key.as_str(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        assert_eq!(proof.jti, "-BwC3ESc6acc2lTc");
        for (name, seconds, fits) in
            [("60 s old", 60, true), ("61 s old", 61, false), ("60 s ahead", -60, true), ("61 s ahead", -61, false)]
        {
            let expected = if fits { None } else { Some(ProofRefusal::Time) };
            assert_eq!(check(PROOF, &target, at(seconds)).err(), expected, "{name}");
        }
        let get = Target { method: "GET", ..target };
        assert_eq!(check(PROOF, &get, at(0)).unwrap_err(), ProofRefusal::Foreign("htm"));
        let resource = Target { access_token: Some("x"), ..target };
        assert_eq!(check(PROOF, &resource, at(0)).unwrap_err(), ProofRefusal::Claim("ath"));
    }

    #[test]
    fn every_change_of_a_proof_is_refused() {
        let own = url("https://server.example.com/token");
        let target = Target { method: "POST", url: &own, access_token: None };
        let now = Time::from_timestamp(1_562_262_616, 0).unwrap();
        assert!(check(PROOF, &target, now).is_ok());
        for at in 0..PROOF.len() {
            assert!(check(&PROOF[..at], &target, now).is_err(), "cut at {at}");
            for other in ["A", "x", ".", "=", ""] {
                let changed = format!("{}{other}{}", &PROOF[..at], &PROOF[at + 1..]);
                assert!(changed == PROOF || check(&changed, &target, now).is_err(), "{other:?} at {at}");
            }
        }
    }

    #[test]
    fn a_nonce_lives_for_its_span_and_the_next() {
        let nonces = Nonces::new(&[7; 32]);
        let at = |seconds: i64| Time::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        let nonce = nonces.current(at(0));
        assert_eq!(nonce.len(), 22);
        for (seconds, accepted) in [(0, true), (NONCE_LIFE, true), (2 * NONCE_LIFE, false), (-1, false)] {
            assert_eq!(nonces.accepts(&nonce, at(seconds)), accepted, "{seconds}");
        }
        assert!(!Nonces::new(&[8; 32]).accepts(&nonce, at(0)), "another installation's");
        assert!(!nonces.accepts("", at(0)));
    }
}
