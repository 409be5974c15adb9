//! The cookies of a protected host: the one that stands for its session, and the one that binds a sign-in to the
//! browser that began it. Both are host-only, so that another host under the same domain can neither read nor set them.

use actix_web::cookie::Cookie;
use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::http::header::HeaderMap;

use crate::domain::forward::HostOrigin;
use crate::domain::secret::{PlainToken, TokenKind};
use crate::web::cookies::{guarded, single};
use crate::web::error::Failure;

/// How long a sign-in may take, in seconds.
const STATE_LIFE: i64 = 600;

/// The names of the cookies at one host.
#[derive(Clone, Debug)]
pub struct HostCookies {
    session: String,
    state: String,
    secure: bool,
}

impl HostCookies {
    /// The names start with `__Host-` on https. Browsers do not separate cookies by port, so the names contain any port
    /// but the https default; on a developer's machine they always do, like our own cookies.
    pub fn of(origin: &HostOrigin) -> Self {
        let secure = origin.is_https();
        let session = match origin.port() {
            443 if secure => "__Host-passmint-forward".to_owned(),
            port if secure => format!("__Host-passmint-forward-{port}"),
            port => format!("passmint-forward-dev-{port}"),
        };
        Self { state: format!("{session}-state"), session, secure }
    }

    /// The session cookie of the host.
    ///
    /// # Errors
    /// If it was sent twice.
    pub fn session(&self, headers: &HeaderMap) -> Result<Option<PlainToken>, Failure> {
        Ok(single(headers, &self.session)?.and_then(|value| PlainToken::parse(TokenKind::ForwardSession, value)))
    }

    /// The cookie of a sign-in that is in progress.
    ///
    /// # Errors
    /// If it was sent twice.
    pub fn state(&self, headers: &HeaderMap) -> Result<Option<PlainToken>, Failure> {
        Ok(single(headers, &self.state)?.and_then(|value| PlainToken::parse(TokenKind::ForwardState, value)))
    }

    /// Sets the session cookie of the host, for this number of seconds.
    pub fn set_session(&self, token: &PlainToken, seconds: i64) -> Cookie<'static> {
        guarded(&self.session, token.expose(), Some(CookieDuration::seconds(seconds)), self.secure)
    }

    /// Sets the cookie of a sign-in that is in progress.
    pub fn set_state(&self, token: &PlainToken) -> Cookie<'static> {
        guarded(&self.state, token.expose(), Some(CookieDuration::seconds(STATE_LIFE)), self.secure)
    }

    /// Deletes the session cookie of the host.
    pub fn clear_session(&self) -> Cookie<'static> {
        guarded(&self.session, "", Some(CookieDuration::ZERO), self.secure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_the_host_s_alone_and_guarded() {
        let token = PlainToken::random(TokenKind::ForwardSession);
        let cookie =
            HostCookies::of(&HostOrigin::read("https://app.example.com").unwrap()).set_session(&token, 60).to_string();
        for part in ["__Host-passmint-forward=pmf_", "HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=60"] {
            assert!(cookie.contains(part), "{part} in {cookie}");
        }
        assert!(!cookie.contains("Domain"));
        let name = |origin: &str| HostCookies::of(&HostOrigin::read(origin).unwrap()).session;
        assert_eq!(name("https://app.example.com"), "__Host-passmint-forward");
        assert_eq!(name("https://app.example.com:8443"), "__Host-passmint-forward-8443");
        let dev = HostCookies::of(&HostOrigin::read("http://a.localhost:3000").unwrap());
        let state = dev.set_state(&PlainToken::random(TokenKind::ForwardState)).to_string();
        assert!(state.starts_with("passmint-forward-dev-3000-state=pmg_") && !state.contains("Secure"), "{state}");
    }
}
