//! Tokens that bind our pages to the session that they were created for.
//!
//! What must always hold: a page acts only for that session. Its forms contain the token as `csrf`, and its module
//! sends it as `X-CSRF-Token`. Whoever signs in later in the same browser has another token.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::id::SessionId;
use crate::web::error::{Failure, Kind};

/// The synchroniser tokens of our pages: each binds a page to the session that it was created for.
#[derive(Clone)]
pub struct PageTokens(hmac::Key);

impl PageTokens {
    /// Takes the key derived for this purpose.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The token of a session.
    pub fn of(&self, session: SessionId) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, session.uuid().as_bytes()))
    }

    /// Refuses a token that does not belong to this session.
    pub fn require(&self, session: SessionId, sent: &[u8]) -> Result<(), Failure> {
        let refused = || Failure::new(Kind::Csrf, "This page is out of date. Reload it and try again.");
        let sent = URL_SAFE_NO_PAD.decode(sent).map_err(|_| refused())?;
        hmac::verify(&self.0, session.uuid().as_bytes(), &sent).map_err(|_| refused())
    }
}
