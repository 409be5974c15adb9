//! Does a request come from our own pages? (The CSRF rule; OWASP "Verifying Origin With Standard Headers", Fetch Metadata.)

use actix_web::http::header::{HeaderMap, HeaderValue, ORIGIN};

use super::error::{Failure, Kind};

/// The request's `Origin`, when it has one. Several, or one that is not text, make no sense.
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

/// Refuses what another site's page could have sent. A browser always says where an unsafe request comes from, so a
/// request that says neither `Origin` nor `Sec-Fetch-Site` is no browser's.
pub fn require_same_origin(headers: &HeaderMap, public_origin: &str) -> Result<(), Failure> {
    let refused =
        || Failure::new(Kind::Csrf, "This request did not come from our own page. Reload the page and try again.");
    match origin(headers)? {
        Some(origin) if origin == public_origin => {}
        Some(_) => return Err(refused()),
        None => {}
    }
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin") => Ok(()),
        Some(_) => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

    use super::*;

    #[test]
    fn only_our_own_pages_may_change_things() {
        for (name, origin, site, accepted) in [
            ("our page", Some("https://id.example"), Some("same-origin"), true),
            ("an old browser", Some("https://id.example"), None, true),
            ("no browser", None, None, true),
            ("another site", Some("https://evil.example"), Some("cross-site"), false),
            ("another site without metadata", Some("https://evil.example"), None, false),
            ("a sibling", Some("https://www.id.example"), Some("same-site"), false),
            ("our name, other port", Some("https://id.example:8443"), None, false),
            ("a sandboxed frame", Some("null"), Some("cross-site"), false),
            ("no origin but cross-site", None, Some("cross-site"), false),
            ("a link", None, Some("none"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            if let Some(site) = site {
                headers.insert(HeaderName::from_static("sec-fetch-site"), HeaderValue::from_static(site));
            }
            assert_eq!(require_same_origin(&headers, "https://id.example").is_ok(), accepted, "{name}");
        }
    }
}
