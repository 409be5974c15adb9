//! The one signer: every token that we issue is signed here.
//!
//! The token is assembled by hand (header, claims, signature) over the caching [`provider`], because the library's
//! `encode` would copy header and claims once more. Algorithm and `kid` come from the key, `typ` from the place that
//! signs; no caller can choose them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::provider;
use super::ring::SigningKey;

/// Why nothing was signed. Never the caller's fault: log it and answer with 500.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The claims are not a JSON object.
    #[error("claims that are not a JSON object")]
    Claims,
    /// The key cannot sign.
    #[error("the key {kid} does not sign")]
    Key {
        /// Its id.
        kid: String,
    },
}

/// A header in the form that a bridge's target expects.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Header<'a> {
    /// The target's name for the key's algorithm.
    pub alg: &'static str,
    /// `typ`; left out if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typ: Option<&'a str>,
    /// `kid`; left out if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<&'a str>,
}

/// Signs claims. It holds nothing; creating one installs the caching provider.
#[derive(Clone, Debug)]
pub struct Signer(());

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}

impl Signer {
    /// Creates a signer, and makes sure that keys are parsed only once.
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

    /// Like [`sign`](Self::sign), for a bridge's target that may want another `kid` than the key's, or no `kid` or
    /// `typ`.
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

    /// Like [`sign_for_target`](Self::sign_for_target), with the target's own name for the algorithm, and claims that
    /// are already JSON.
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
