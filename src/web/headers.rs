//! Headers that every answer has, including errors and assets.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

/// Whether browsers reach the server over TLS.
#[derive(Clone, Copy, Debug)]
pub struct Https(pub bool);

/// Marks an answer that a proxy forwards under another host name.
#[derive(Clone, Copy, Debug)]
struct ForOtherHost;

/// Marks an answer that reaches its caller under another host name. Headers that apply to our own host are not added to
/// it.
pub fn for_other_host(mut response: HttpResponse) -> HttpResponse {
    response.extensions_mut().insert(ForOtherHost);
    response
}

/// The pointer to our protected resource metadata (RFC 9728 §5.1), which tells callers who issues tokens for our own
/// APIs. It is a parameter of every challenge for a token.
#[derive(Clone, Debug)]
pub struct ResourcePointer(pub String);

impl ResourcePointer {
    fn add_to(&self, headers: &mut HeaderMap) {
        let Some(challenge) = headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()) else { return };
        if !challenge.starts_with("Bearer") && !challenge.starts_with("DPoP") {
            return;
        }
        let separator = if challenge.contains(' ') { ", " } else { " " };
        if let Ok(value) = HeaderValue::from_str(&format!("{challenge}{separator}{}", self.0)) {
            headers.insert(WWW_AUTHENTICATE, value);
        }
    }
}

const ALWAYS: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    (
        "permissions-policy",
        "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()",
    ),
];

/// The path of the pages of a pending authorization request.
const INTERACTION: &str = "/oauth/interaction/";

/// The policy of answers that are not pages: nothing may be loaded, and no page may frame them.
const BARE_POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds missing headers. Headers that a handler set stay unchanged.
pub async fn secure(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let https = request.app_data::<web::Data<Https>>().is_some_and(|https| https.0);
    let pointer = request.app_data::<web::Data<ResourcePointer>>().cloned();
    let opener = opener_policy(request.path(), request.query_string());
    let mut response = next.call(request).await?;
    let other_host = response.response().extensions().contains::<ForOtherHost>();
    complete(response.headers_mut(), https && !other_host);
    set_missing(response.headers_mut(), "cross-origin-opener-policy", opener);
    if let Some(pointer) = pointer.filter(|_| !other_host) {
        pointer.add_to(response.headers_mut());
    }
    Ok(response)
}

/// Whether a page keeps its reference to the window that opened it. Apps open the sign-in in a popup and wait for it to
/// call back. A single answer on the way that drops the reference, even a redirect, breaks this for good. So everything
/// that an authorization request passes through keeps it, and nothing else does.
fn opener_policy(path: &str, query: &str) -> &'static str {
    let of_a_request = |path: &str| path == "/oauth/authorize" || path.starts_with(INTERACTION);
    // A user whose session ended meanwhile signs in, or confirms, on a separate page and returns.
    let leads_back = ["/", "/confirm"].contains(&path)
        && url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "next")
            .is_some_and(|(_, next)| next.starts_with(INTERACTION));
    if of_a_request(path) || leads_back { "unsafe-none" } else { "same-origin" }
}

fn complete(headers: &mut HeaderMap, https: bool) {
    for (name, value) in ALWAYS {
        set_missing(headers, name, value);
    }
    set_missing(headers, "content-security-policy", BARE_POLICY);
    if !may_be_framed(headers) {
        set_missing(headers, "x-frame-options", "DENY");
    }
    set_missing(headers, "cache-control", "no-store");
    // An answer that CORS lets another origin read must not forbid that here.
    let resource_policy =
        if headers.contains_key("access-control-allow-origin") { "cross-origin" } else { "same-origin" };
    set_missing(headers, "cross-origin-resource-policy", resource_policy);
    if https {
        set_missing(headers, "strict-transport-security", "max-age=31536000; includeSubDomains");
    }
}

/// Whether the policy allows framing by any page. The older `X-Frame-Options` has no value for that, so it is omitted
/// then.
fn may_be_framed(headers: &HeaderMap) -> bool {
    let policy = headers.get("content-security-policy").and_then(|policy| policy.to_str().ok());
    policy.is_some_and(|policy| policy.ends_with("frame-ancestors *"))
}

fn set_missing(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    let name = HeaderName::from_static(name);
    if !headers.contains_key(&name) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The policy of the one page that other sites may frame: it can run its script and nothing else.
pub fn framed_policy(nonce: &str) -> String {
    format!("default-src 'none'; script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors *")
}

/// The policy of a page, with the nonce of its script, style and data.
pub fn page_policy(nonce: &str) -> String {
    page_policy_for(nonce, None, &[])
}

/// The policy of a page that posts a form to an app (`posts_to`, its origin) or notifies apps of a logout in hidden
/// frames (`frames`, their origins). These must be origins only: anything after an origin would be read as part of the
/// policy.
pub fn page_policy_for(nonce: &str, posts_to: Option<&str>, frames: &[String]) -> String {
    let posts_to = posts_to.map(|origin| format!(" {origin}")).unwrap_or_default();
    let frames = if frames.is_empty() { String::new() } else { format!("frame-src {}; ", frames.join(" ")) };
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'nonce-{nonce}'; img-src 'self' data:; \
         connect-src 'self'; {frames}form-action 'self'{posts_to}; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_way_of_an_authorization_request_keeps_the_window_that_opened_it() {
        for (path, query, kept) in [
            ("/oauth/authorize", "client_id=x", true),
            ("/oauth/interaction/pmi_x", "", true),
            ("/oauth/interaction/pmi_x/another", "", true),
            ("/oauth/interaction/pmi_x/cancel", "", true),
            ("/", "next=%2Foauth%2Finteraction%2Fpmi_x", true),
            ("/", "next=/oauth/interaction/pmi_x", true),
            ("/confirm", "next=%2Foauth%2Finteraction%2Fpmi_x", true),
            ("/", "", false),
            ("/", "next=%2Faccount", false),
            ("/", "next=%2Faccount&next=%2Foauth%2Finteraction%2Fpmi_x", false),
            ("/", "other=%2Foauth%2Finteraction%2Fpmi_x", false),
            ("/account", "next=%2Foauth%2Finteraction%2Fpmi_x", false),
            ("/oauth/authorize/more", "", false),
            ("/oauth/interaction", "", false),
            ("/oauth/logout", "", false),
            ("/oauth/token", "", false),
            ("/device", "", false),
        ] {
            let expected = if kept { "unsafe-none" } else { "same-origin" };
            assert_eq!(opener_policy(path, query), expected, "{path}?{query}");
        }
    }
}
