//! The one signer: every token that leaves us is made here.
//!
//! The token is put together by hand (header, claims, signature of both) over the caching [`provider`]:
//! the library's `encode` would copy header and claims once more. Algorithm and `kid` come from the key, `typ` from the
//! place that signs; no caller can choose them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::provider;
use super::ring::SigningKey;

/// Why nothing was signed. A fault of ours, never of the caller's: to be logged and answered with 500.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The claims are not a JSON object.
    #[error("claims that are not a JSON object")]
    Claims,
    /// The key does not sign.
    #[error("the key {kid} does not sign")]
    Key {
        /// Its id.
        kid: String,
    },
}

/// A header as a target of a bridge wants it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Header<'a> {
    /// The target's name for the key's algorithm.
    pub alg: &'static str,
    /// `typ`; none: left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typ: Option<&'a str>,
    /// `kid`; none: left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<&'a str>,
}

/// Signs claims. Holds nothing; exists so that a signature takes a value that `app` made.
#[derive(Clone, Debug)]
pub struct Signer(());

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}

impl Signer {
    /// A signer; sees to it that keys are parsed only once.
    pub fn new() -> Self {
        provider::install();
        Self(())
    }

    /// The compact serialisation (RFC 7515 §7.1) of `claims` under `key`, with this `typ` in the header.
    ///
    /// # Errors
    /// [`SignError`]: claims that are not an object, or a key that does not sign.
    pub fn sign(&self, key: &SigningKey, typ: &str, claims: &impl Serialize) -> Result<String, SignError> {
        self.sign_for_target(key, Some(typ), Some(key.kid()), claims)
    }

    /// The same for a target of a bridge, which may want another `kid` than the key's, or none, or no `typ`.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn sign_for_target(
        &self,
        key: &SigningKey,
        typ: Option<&str>,
        kid: Option<&str>,
        claims: &impl Serialize,
    ) -> Result<String, SignError> {
        let claims = serde_json::to_string(claims).map_err(|_| SignError::Claims)?;
        self.sign_under(key, Header { alg: key.algorithm().as_str(), typ, kid }, &claims)
    }

    /// The same for a target that has a name of its own for the algorithm, of claims that are JSON already.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn sign_under(&self, key: &SigningKey, header: Header<'_>, claims: &str) -> Result<String, SignError> {
        let header = serde_json::to_vec(&header).map_err(|_| SignError::Claims)?;
        if !claims.starts_with('{') {
            return Err(SignError::Claims);
        }
        let mut token = String::with_capacity((header.len() + claims.len()) * 4 / 3 + 400);
        URL_SAFE_NO_PAD.encode_string(&header, &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = jsonwebtoken::crypto::sign(token.as_bytes(), &key.key, key.algorithm().library())
            .map_err(|_| SignError::Key { kid: key.kid().to_owned() })?;
        token.push('.');
        token.push_str(&signature);
        Ok(token)
    }
}
