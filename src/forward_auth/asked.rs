//! What a proxy asks about: method, host and path of the original request.
//!
//! A proxy passes the headers of the original request on with its own, so any header that it does not overwrite was
//! written by the caller. Each kind of proxy therefore has its own endpoint, which reads only the headers that this
//! kind sets. The path selects the kind, and not the query, because some proxies pass the caller's query on. If a
//! header of the other kind is present, the request is refused: a proxy that asks at the wrong endpoint would let its
//! callers choose what is asked about.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;

use super::ForwardAuth;
use crate::domain::forward::{Errand, HostOrigin, ProtectedHost, RequestPath, is_method};
use crate::web::error::{Failure, Kind};

/// How a proxy describes the original request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri`: Traefik's `forwardAuth`, Caddy's `forward_auth`.
    Forwarded,
    /// `X-Original-URL` and `X-Original-Method`: nginx's `auth_request`, which sets nothing by itself.
    Original,
}

/// An original request, which waits for the proxy.
#[derive(Debug)]
pub struct Asked {
    /// The host it is for.
    pub host: Arc<ProtectedHost>,
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub target: String,
    /// Its path, parsed.
    pub path: RequestPath,
}

impl ForwardAuth {
    /// Reads what the proxy asks about.
    ///
    /// # Errors
    /// [`Kind::Forbidden`] if the caller is not a trusted proxy, the host is unknown, or there are headers of the other
    /// kind of proxy; [`Kind::InvalidRequest`] if a header is missing, repeated, or malformed.
    pub fn asked(&self, request: &HttpRequest, way: Way) -> Result<Asked, Failure> {
        self.require_on()?;
        self.require_proxy(request)?;
        let (origin, method, target) = read(request.headers(), way)?;
        let path =
            RequestPath::of_target(&target).ok_or_else(|| senseless("the address is not a path, or too long"))?;
        Ok(Asked { host: self.known(&origin)?, method, target, path })
    }
}

impl Asked {
    /// Where the browser is sent to sign in; from there it returns to the requested page. A form that was being
    /// submitted is lost, so the person returns to the start page.
    pub fn sign_in_address(&self) -> String {
        start_address(&self.host, &self.errand(), &[])
    }

    /// The page of ours which says that access is denied. `public_url` is our own origin.
    pub fn refusal_address(&self, public_url: &str) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("refused", self.host.origin.as_str())
            .extend_pairs(self.errand().parameters())
            .finish();
        format!("{public_url}/forward-auth?{query}")
    }

    fn errand(&self) -> Errand {
        Errand::of(&self.method, &self.target)
    }
}

/// Where a sign-in at a host begins, with further parameters besides those of the errand.
pub fn start_address(host: &ProtectedHost, errand: &Errand, more: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(errand.parameters())
        .extend_pairs(more)
        .finish();
    format!("{}/.passmint/start?{query}", host.origin)
}

fn read(headers: &HeaderMap, way: Way) -> Result<(String, String, String), Failure> {
    refuse_the_other_way(headers, way)?;
    match way {
        Way::Forwarded => {
            let origin = forwarded_origin(headers)?;
            Ok((origin, method(headers, "x-forwarded-method")?, one(headers, "x-forwarded-uri")?.to_owned()))
        }
        Way::Original => {
            let url = one(headers, "x-original-url")?;
            let (origin, target) = split(url).ok_or_else(|| senseless("X-Original-URL is not an address"))?;
            Ok((origin, method(headers, "x-original-method")?, target.to_owned()))
        }
    }
}

/// Refuses a request with the header that the other kind of proxy always sets. If the caller wrote the header, only
/// their own request is refused.
fn refuse_the_other_way(headers: &HeaderMap, way: Way) -> Result<(), Failure> {
    let (foreign, address) = match way {
        Way::Forwarded => ("x-original-url", "nginx asks at /v1/forward-auth/nginx"),
        Way::Original => ("x-forwarded-uri", "Caddy and Traefik ask at /v1/forward-auth"),
    };
    if !headers.contains_key(foreign) {
        return Ok(());
    }
    let words = "The question has a header of another kind of proxy; the set-up is in docs/bridges/forward-auth.md.";
    let reason = format!("{foreign} is there: its caller wrote it, or the proxy asks at the wrong address ({address})");
    Err(Failure::new(Kind::Forbidden, words).because(reason))
}

/// The method. If one that no rule can name (`post`) were accepted, it could pass although the app treats it like one
/// that a rule protects.
fn method(headers: &HeaderMap, name: &'static str) -> Result<String, Failure> {
    let method = one(headers, name)?;
    if is_method(method) { Ok(method.to_owned()) } else { Err(senseless(&format!("{name} is no method in capitals"))) }
}

/// The origin in `X-Forwarded-Proto` and `X-Forwarded-Host`.
///
/// # Errors
/// [`Kind::InvalidRequest`].
pub(super) fn forwarded_origin(headers: &HeaderMap) -> Result<String, Failure> {
    let (scheme, host) = (one(headers, "x-forwarded-proto")?, one(headers, "x-forwarded-host")?);
    HostOrigin::spelled(scheme, host).ok_or_else(|| senseless("X-Forwarded-Proto is no scheme"))
}

/// Splits `https://host[:port]/path?query` literally: a URL library would correct what the app behind the proxy may
/// not.
fn split(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, target) = rest.split_at(rest.find(['/', '?', '#', '\\'])?);
    Some((HostOrigin::spelled(scheme, host)?, target))
}

/// A header that must be present exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Failure> {
    let mut values = headers.get_all(name);
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) if !value.is_empty() => Ok(value),
        (None, _) => Err(senseless(&format!("{name} is missing"))),
        _ => Err(senseless(&format!("{name} is empty, not ASCII, or there twice"))),
    }
}

fn senseless(problem: &str) -> Failure {
    let words = "The proxy does not say what it asks about; its set-up is in docs/bridges/forward-auth.md.";
    Failure::new(Kind::InvalidRequest, words).because(problem.to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    const FORWARDED: [(&str, &str); 4] = [
        ("x-forwarded-method", "POST"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "App.example.com:443"),
        ("x-forwarded-uri", "/a?b=c"),
    ];
    const ORIGINAL: [(&str, &str); 2] =
        [("x-original-method", "GET"), ("x-original-url", "https://app.example.com/a?b=https://x.example/")];

    #[test]
    fn each_way_reads_its_own_headers_only() {
        let (origin, method, target) = read(&headers(&FORWARDED), Way::Forwarded).unwrap();
        assert_eq!((origin.as_str(), &*method, &*target), ("https://app.example.com", "POST", "/a?b=c"));
        // Other headers that the caller may have written are ignored: without the one for the URI they do not describe
        // a request.
        let beside = [&ORIGINAL[..], &FORWARDED[..3]].concat();
        let (origin, method, target) = read(&headers(&beside), Way::Original).unwrap();
        assert_eq!((origin.as_str(), &*method), ("https://app.example.com", "GET"));
        assert_eq!(target, "/a?b=https://x.example/");
        assert!(read(&headers(&ORIGINAL), Way::Forwarded).is_err());
        assert!(read(&headers(&FORWARDED), Way::Original).is_err());
    }

    /// A proxy that asks at the wrong endpoint sets its own headers, and lets its callers write those that are read.
    #[test]
    fn the_header_of_the_other_way_is_refused() {
        let both = [&FORWARDED[..], &ORIGINAL[..]].concat();
        let empty = [&ORIGINAL[..], &[("x-forwarded-uri", "")]].concat();
        for (sent, way) in [(&both, Way::Forwarded), (&both, Way::Original), (&empty, Way::Original)] {
            assert_eq!(read(&headers(sent), way).unwrap_err().kind(), Kind::Forbidden, "{way:?}");
        }
    }

    #[test]
    fn a_header_that_is_missing_doubled_or_no_text_makes_no_sense() {
        for (way, good) in [(Way::Forwarded, &FORWARDED[..]), (Way::Original, &ORIGINAL[..])] {
            for (at, (name, _)) in good.iter().enumerate() {
                let mut without = good.to_vec();
                without.remove(at);
                assert!(read(&headers(&without), way).is_err(), "without {name}");
                let twice = [good, &[good[at]]].concat();
                assert!(read(&headers(&twice), way).is_err(), "{name} twice");
                for bad in ["", "caf\u{e9}"] {
                    let mut changed = good.to_vec();
                    changed[at].1 = bad;
                    assert!(read(&headers(&changed), way).is_err(), "{name}: {bad:?}");
                }
            }
        }
    }

    #[test]
    fn a_method_is_one_that_rules_can_name() {
        for (name, method, good) in [
            ("the usual", "GET", true),
            ("WebDAV's", "VERSION-CONTROL", true),
            ("small letters", "post", false),
            ("a small letter", "POSt", false),
            ("two", "GET,POST", false),
            ("a space", "GET POST", false),
        ] {
            for (way, usual) in [(Way::Forwarded, &FORWARDED[..]), (Way::Original, &ORIGINAL[..])] {
                let mut sent = usual.to_vec();
                sent[0].1 = method;
                assert_eq!(read(&headers(&sent), way).is_ok(), good, "{name}, {way:?}");
            }
        }
    }

    #[test]
    fn an_address_is_taken_apart_by_its_letters() {
        for (url, parts) in [
            ("https://app.example.com/", Some(("https://app.example.com", "/"))),
            ("https://app.example.com//x", Some(("https://app.example.com", "//x"))),
            ("https://app.example.com/a/../b", Some(("https://app.example.com", "/a/../b"))),
            ("https://app.example.com?x", Some(("https://app.example.com", "?x"))),
            ("https://app.example.com\\x", Some(("https://app.example.com", "\\x"))),
            ("https://app.example.com", None),
            ("app.example.com/x", None),
            ("javascript://app.example.com/x", None),
            ("", None),
        ] {
            let got = split(url);
            assert_eq!(got.as_ref().map(|(origin, target)| (origin.as_str(), *target)), parts, "{url}");
        }
        let (origin, _) = split("https://app.example.com@evil.example/").unwrap();
        assert_eq!(origin, "https://app.example.com@evil.example", "no host of anybody's");
    }
}
