//! Which session a page of ours was made for.
//!
//! What must always hold: a page acts for that session alone. Its forms have the token as `csrf`, its module sends it in
//! `X-CSRF-Token`; whoever signs in in the same browser afterwards has another.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::id::SessionId;
use crate::web::error::{Failure, Kind};

/// The tokens of our pages (synchroniser tokens): each ties a page to the session that it was made for.
#[derive(Clone)]
pub struct PageTokens(hmac::Key);

impl PageTokens {
    /// With the key derived for this purpose.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The token of a session.
    pub fn of(&self, session: SessionId) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, session.uuid().as_bytes()))
    }

    /// Refuses what was not sent from a page of this session.
    pub fn require(&self, session: SessionId, sent: &[u8]) -> Result<(), Failure> {
        let refused = || Failure::new(Kind::Csrf, "This page is out of date. Reload it and try again.");
        let sent = URL_SAFE_NO_PAD.decode(sent).map_err(|_| refused())?;
        hmac::verify(&self.0, session.uuid().as_bytes(), &sent).map_err(|_| refused())
    }
}
