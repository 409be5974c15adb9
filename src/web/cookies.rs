//! Our cookies: the session; the pre-session, which binds a ceremony to the browser that began it; and the browser
//! state, if session management is enabled.

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{COOKIE, HeaderMap};

use super::error::{Failure, Kind};
use crate::domain::secret::{PlainToken, TokenKind};

/// The names and attributes of the cookies. They follow from the public URL.
#[derive(Clone, Debug)]
pub struct Cookies {
    session: String,
    pre_session: String,
    browser_state: String,
    secure: bool,
}

impl Cookies {
    /// With https, `__Host-` cookies. Browsers reject these on `http://localhost`, so there the names contain the port
    /// instead: cookies are not separated by port, and several servers may run side by side.
    pub fn new(https: bool, port: u16) -> Self {
        let session = if https { "__Host-passmint".to_owned() } else { format!("passmint-dev-{port}") };
        Self {
            pre_session: format!("{session}-pre"),
            browser_state: format!("{session}-state"),
            session,
            secure: https,
        }
    }

    /// The session token of a request.
    pub fn session(&self, headers: &HeaderMap) -> Result<Option<PlainToken>, Failure> {
        Ok(single(headers, &self.session)?.and_then(|value| PlainToken::parse(TokenKind::Session, value)))
    }

    /// The pre-session token of a request.
    pub fn pre_session(&self, headers: &HeaderMap) -> Result<Option<PlainToken>, Failure> {
        Ok(single(headers, &self.pre_session)?.and_then(|value| PlainToken::parse(TokenKind::PreSession, value)))
    }

    /// Sets the session cookie; `seconds` is its absolute lifetime.
    pub fn set_session(&self, token: &PlainToken, seconds: i64) -> Cookie<'static> {
        self.make(&self.session, token.expose(), Some(CookieDuration::seconds(seconds)))
    }

    /// Sets the pre-session cookie, until the browser is closed.
    pub fn set_pre_session(&self, token: &PlainToken) -> Cookie<'static> {
        self.make(&self.pre_session, token.expose(), None)
    }

    /// Clears the session cookie.
    pub fn clear_session(&self) -> Cookie<'static> {
        self.make(&self.session, "", Some(CookieDuration::ZERO))
    }

    /// Sets the browser state (OpenID Connect Session Management §3.2), until the browser is closed. Scripts can read
    /// it, also in frames of other sites. It is not a secret and grants nothing.
    pub fn set_browser_state(&self, state: &str) -> Cookie<'static> {
        self.readable(state, None)
    }

    /// Clears the browser state.
    pub fn clear_browser_state(&self) -> Cookie<'static> {
        self.readable("", Some(CookieDuration::ZERO))
    }

    /// The name of the browser state cookie, for the script that reads it.
    pub fn browser_state_name(&self) -> &str {
        &self.browser_state
    }

    fn readable(&self, value: &str, max_age: Option<CookieDuration>) -> Cookie<'static> {
        let mut cookie = self.make(&self.browser_state, value, max_age);
        cookie.set_http_only(false);
        if self.secure {
            cookie.set_same_site(SameSite::None);
        }
        cookie
    }

    fn make(&self, name: &str, value: &str, max_age: Option<CookieDuration>) -> Cookie<'static> {
        guarded(name, value, max_age, self.secure)
    }
}

/// A cookie for one host only that scripts cannot read.
pub fn guarded(name: &str, value: &str, max_age: Option<CookieDuration>, secure: bool) -> Cookie<'static> {
    let mut cookie = Cookie::new(name.to_owned(), value.to_owned());
    cookie.set_http_only(true);
    cookie.set_secure(secure);
    // Lax, not Strict: authorization requests arrive from other sites. Origin checks protect what Lax leaves open.
    cookie.set_same_site(SameSite::Lax);
    cookie.set_path("/");
    cookie.set_max_age(max_age);
    cookie
}

/// The value of a cookie that must be sent only once. A second one with the same name was set by a neighbouring host or
/// path, and choosing between them would be a guess.
pub fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Failure> {
    let mut found = None;
    let pairs = headers.get_all(COOKIE).filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    for pair in pairs {
        let Some((key, value)) = pair.trim().split_once('=') else { continue };
        if key == name && found.replace(value).is_some() {
            return Err(Failure::new(
                Kind::InvalidRequest,
                "The same cookie was sent twice. Clear this site's cookies and try again.",
            ));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(COOKIE, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_session_is_read_only_from_one_cookie_of_the_right_name_and_form() {
        let cookies = Cookies::new(true, 443);
        let token = PlainToken::random(TokenKind::Session);
        let text = token.expose();
        let read =
            |values: &[&str]| cookies.session(&headers(values)).map(|found| found.map(|t| t.expose().to_owned()));
        assert_eq!(read(&[&format!("a=b; __Host-passmint={text}")]).unwrap().as_deref(), Some(text));
        for (name, value) in [
            ("without the prefix", format!("passmint={text}")),
            ("another name that ends alike", format!("x__Host-passmint={text}")),
            (
                "another kind of token",
                format!("__Host-passmint={}", PlainToken::random(TokenKind::PreSession).expose()),
            ),
            ("garbage", "__Host-passmint=; ;;=".to_owned()),
        ] {
            assert_eq!(read(&[&value]).unwrap(), None, "{name}");
        }
        assert!(read(&[&format!("__Host-passmint={text}; __Host-passmint={text}")]).is_err(), "twice in one line");
        assert!(read(&[&format!("__Host-passmint={text}"), "__Host-passmint=x"]).is_err(), "twice in two lines");
    }

    #[test]
    fn cookies_are_guarded() {
        let token = PlainToken::random(TokenKind::Session);
        let cookie = Cookies::new(true, 443).set_session(&token, 60).to_string();
        for part in ["__Host-passmint=pms_", "HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=60"] {
            assert!(cookie.contains(part), "{part} in {cookie}");
        }
        assert!(!cookie.contains("Domain"));
        assert!(Cookies::new(false, 8080).set_session(&token, 60).to_string().starts_with("passmint-dev-8080="));
    }
}
