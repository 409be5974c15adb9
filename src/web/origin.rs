//! Whether a request comes from our own pages (CSRF protection; OWASP "Verifying Origin With Standard Headers", Fetch
//! Metadata).

use actix_web::http::header::{COOKIE, HOST, HeaderMap, HeaderValue, ORIGIN};
use url::{Host, Url};

use super::error::{Failure, Kind};

/// The request's `Origin`, if it has one. Several, or one that is not text, are refused.
pub fn origin(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let mut values = headers.get_all(ORIGIN);
    let first = values.next();
    if values.next().is_some() {
        return Err(Failure::new(Kind::InvalidRequest, "The Origin header was sent twice."));
    }
    first
        .map(|value| value.to_str().map_err(|_| Failure::new(Kind::InvalidRequest, "The Origin header is not text.")))
        .transpose()
}

/// Refuses a request that another site's page could have sent. A browser always states where an unsafe request comes
/// from, so a request with neither `Origin` nor `Sec-Fetch-Site` does not come from a browser. It is still refused if
/// it has a cookie: only browsers have our cookies, and the headers may have been lost on the way.
pub fn require_same_origin(headers: &HeaderMap, public_origin: &str) -> Result<(), Failure> {
    let refused =
        || Failure::new(Kind::Csrf, "This request did not come from our own page. Reload the page and try again.");
    match (origin(headers)?, headers.get("sec-fetch-site").map(HeaderValue::as_bytes)) {
        (Some(origin), _) if origin != public_origin => Err(refused()),
        (None, None) if headers.contains_key(COOKIE) => Err(refused()),
        (_, None | Some(b"same-origin")) => Ok(()),
        (_, Some(_)) => Err(refused()),
    }
}

/// The origin of one of our pages whose request has no `Origin`, as is the case for same-origin GET requests: the
/// public origin, or [`another_name`].
pub fn of_own_page(headers: &HeaderMap, public_origin: &str) -> String {
    another_name(headers, public_origin).unwrap_or_else(|| public_origin.to_owned())
}

/// The origin of a page if `Host` proves that no passkey of this server works there: the page was opened under another
/// name of this machine than the public one. Any other `Host` may be a proxy's name for this server and says nothing
/// about where the browser is. Forwarded headers are ignored, because anyone can send them.
pub fn another_name(headers: &HeaderMap, public_origin: &str) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let public = Url::parse(public_origin).ok()?;
    let asked = Url::parse(&format!("{}://{host}", public.scheme())).ok()?;
    let same_port = public.port_or_known_default() == asked.port_or_known_default();
    let other_name = is_loopback(&public) && is_loopback(&asked) && public.host() != asked.host();
    (same_port && other_name).then(|| asked.origin().ascii_serialization())
}

fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

    use super::*;

    #[test]
    fn only_our_own_pages_may_change_things() {
        for (name, origin, site, cookie, accepted) in [
            ("our page", Some("https://id.example"), Some("same-origin"), true, true),
            ("our page without a cookie yet", Some("https://id.example"), Some("same-origin"), false, true),
            ("an old browser", Some("https://id.example"), None, true, true),
            ("a browser without an origin", None, Some("same-origin"), true, true),
            ("no browser", None, None, false, true),
            ("a cookie from nowhere", None, None, true, false),
            ("another site", Some("https://evil.example"), Some("cross-site"), true, false),
            ("another site without metadata", Some("https://evil.example"), None, true, false),
            ("another site without a cookie", Some("https://evil.example"), None, false, false),
            ("a sibling", Some("https://www.id.example"), Some("same-site"), true, false),
            ("our name, other port", Some("https://id.example:8443"), None, true, false),
            ("a sandboxed frame", Some("null"), Some("cross-site"), true, false),
            ("no origin but cross-site", None, Some("cross-site"), true, false),
            ("a link", None, Some("none"), true, false),
        ] {
            let mut headers = HeaderMap::new();
            if cookie {
                headers.insert(COOKIE, HeaderValue::from_static("passmint=pms_x"));
            }
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            if let Some(site) = site {
                headers.insert(HeaderName::from_static("sec-fetch-site"), HeaderValue::from_static(site));
            }
            assert_eq!(require_same_origin(&headers, "https://id.example").is_ok(), accepted, "{name}");
        }
    }

    #[test]
    fn only_another_name_of_this_machine_moves_a_page_of_ours() {
        let local = "http://localhost:8080";
        for (public, host, expected) in [
            (local, "localhost:8080", local),
            (local, "127.0.0.1:8080", "http://127.0.0.1:8080"),
            (local, "[::1]:8080", "http://[::1]:8080"),
            (local, "127.0.0.1:9000", local),
            (local, "LOCALHOST:8080", local),
            (local, "127.0.0.1:port", local),
            ("https://localhost", "127.0.0.1:443", "https://127.0.0.1"),
            (local, "upstream:8080", local),
            (local, "", local),
            ("https://id.example", "id.example", "https://id.example"),
            ("https://id.example", "upstream:9000", "https://id.example"),
            ("https://id.example", "127.0.0.1:443", "https://id.example"),
            ("https://id.example", "evil.example", "https://id.example"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            for forged in ["forwarded", "x-forwarded-host", "x-forwarded-proto"] {
                headers.insert(HeaderName::from_static(forged), HeaderValue::from_static("host=evil.example"));
            }
            assert_eq!(of_own_page(&headers, public), expected, "{host:?} for {public}");
        }
        assert_eq!(of_own_page(&HeaderMap::new(), local), local);
    }
}
