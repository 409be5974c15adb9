//! Session management (OpenID Connect Session Management 1.0): pages of clients ask a hidden page of ours whether
//! somebody has signed in or out here since, and that page compares hashes without asking the server.
//!
//! The browser state is a cookie that scripts can read. It is not secret and gives access to nothing: it is a keyed
//! hash of the session's ID.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::id::SessionId;

/// Computes browser states.
pub struct BrowserStates(hmac::Key);

impl BrowserStates {
    /// `key` is the key derived for this purpose.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The browser state of this session: the value of the cookie.
    pub fn of(&self, session: SessionId) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, session.uuid().as_bytes()))
    }
}

/// The `session_state` of an authorization response (§3): the client's page sends it to ours, which computes it again.
/// `origin` is that of the redirect URI. The salt is new each time, so that clients cannot compare their values.
pub fn session_state(client_id: &str, origin: &str, browser_state: &str) -> String {
    salted(client_id, origin, browser_state, &URL_SAFE_NO_PAD.encode(crate::random::bytes::<16>()))
}

fn salted(client_id: &str, origin: &str, browser_state: &str, salt: &str) -> String {
    let text = format!("{client_id} {origin} {browser_state} {salt}");
    format!("{}.{salt}", URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_it_is_made_of_changes_it() {
        let state = salted("app", "https://app.example", "b", "salt");
        assert_eq!(state, "hE93EXeYUkXVQQbn5vzwJCWQVD0tZSmJXDHIoIGEy_c.salt");
        for other in [
            salted("other", "https://app.example", "b", "salt"),
            salted("app", "https://other.example", "b", "salt"),
            salted("app", "https://app.example", "c", "salt"),
            salted("app", "https://app.example", "b", "pepper"),
        ] {
            assert_ne!(other, state);
        }
        assert_ne!(session_state("app", "o", "b"), session_state("app", "o", "b"), "a fresh salt");
        let states = BrowserStates::new(&[7; 32]);
        assert_ne!(states.of(SessionId::random()), states.of(SessionId::random()));
    }
}
