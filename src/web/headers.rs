//! Headers that every answer carries, errors and assets too.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, web};

/// Whether answers travel over TLS, at least as far as browsers see.
#[derive(Clone, Copy, Debug)]
pub struct Https(pub bool);

const ALWAYS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    (
        "permissions-policy",
        "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()",
    ),
    ("x-frame-options", "DENY"),
];

/// For answers that are no page: nothing may be loaded, nobody may frame it.
const BARE_POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds what is missing; what a handler set itself stays.
pub async fn secure(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let https = request.app_data::<web::Data<Https>>().is_some_and(|https| https.0);
    let mut response = next.call(request).await?;
    complete(response.headers_mut(), https);
    Ok(response)
}

fn complete(headers: &mut HeaderMap, https: bool) {
    for (name, value) in ALWAYS {
        set_missing(headers, name, value);
    }
    set_missing(headers, "content-security-policy", BARE_POLICY);
    set_missing(headers, "cache-control", "no-store");
    // Answers that another origin may read by CORS must not forbid what CORS allows.
    let resource_policy =
        if headers.contains_key("access-control-allow-origin") { "cross-origin" } else { "same-origin" };
    set_missing(headers, "cross-origin-resource-policy", resource_policy);
    if https {
        set_missing(headers, "strict-transport-security", "max-age=31536000; includeSubDomains");
    }
}

fn set_missing(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    let name = HeaderName::from_static(name);
    if !headers.contains_key(&name) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The policy of a page, with the nonce its script, style and data carry.
pub fn page_policy(nonce: &str) -> String {
    page_policy_for(nonce, None, &[])
}

/// The policy of a page that posts a form to an app (`posts_to`, its origin) or tells apps of a logout in unseen frames
/// (their origins). Origins only: what comes after them would be read as more of the policy.
pub fn page_policy_for(nonce: &str, posts_to: Option<&str>, frames: &[String]) -> String {
    let posts_to = posts_to.map(|origin| format!(" {origin}")).unwrap_or_default();
    let frames = if frames.is_empty() { String::new() } else { format!("frame-src {}; ", frames.join(" ")) };
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'nonce-{nonce}'; img-src 'self' data:; \
         connect-src 'self'; {frames}form-action 'self'{posts_to}; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'"
    )
}
