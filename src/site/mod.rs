//! The HTTP handlers of the pages: a handler fills a view, and [`Site`] renders it with its own content security
//! policy.
//!
//! What must always hold: a form is accepted only with its synchroniser token and from our own origin; a POST ends in a
//! 303 to a GET; an anonymous visitor is redirected to sign in and comes back to a path that was checked to be ours.

pub mod account;
pub mod admin;
pub mod approve;
pub mod apps;
pub mod authorize;
pub mod developer;
pub mod device;
pub mod docs;
pub mod enrol;
mod form;
pub mod forward_auth;
mod links;
pub mod logout;
pub mod passkeys;
mod scope_item;
pub mod session_check;
pub mod sign_in;
pub mod well_known;

use std::sync::Arc;

use actix_web::cookie::Cookie;
use actix_web::http::header::{ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::account::guards::{Guard, Identity};
use crate::account::page_tokens::PageTokens;
use crate::clock::Clock;
use crate::config::{self, Attachment, Config, PublicUrl, SignUpAsks};
use crate::domain::client::Client;
use crate::domain::user::{User, anonymous_label};
use crate::tokens::Keys;
use crate::web::caller::RequestId;
use crate::web::error::{Failure, Kind};
use crate::web::form::{Form, PageForm};
use crate::web::headers::page_policy;
use crate::web::origin::another_name;
use crate::web::pages::error::{ErrorPage, Kind as PageKindOfError};
use crate::web::pages::scopes::{AppIdentity, Trust};
use crate::web::pages::sign_in::{Asked, SignUp};
use crate::web::pages::{AccountCard, Boot, FooterLink, Frame, messages};

/// The state that all pages share.
pub struct Site {
    realm: String,
    public_url: PublicUrl,
    public_host: String,
    operator: config::Site,
    docs: Option<String>,
    quick_start: bool,
    sign_up: SignUp,
    here_only: bool,
    clock: Clock,
    page_tokens: PageTokens,
    is_page: fn(&str) -> bool,
    notes: logout::Notes,
}

/// The ID of the quick-start client, which the developer panel uses.
const QUICK_START: &str = crate::config::QUICK_START;

impl Site {
    /// Creates it from the configuration. `is_page` tells whether one of our paths can be opened with GET.
    pub fn new(
        config: &Config,
        clock: &Clock,
        keys: &Arc<Keys>,
        page_tokens: PageTokens,
        is_page: fn(&str) -> bool,
    ) -> Self {
        let public_url = config.server.public_url.clone();
        let public_host = public_url.as_str();
        let public_host = public_host.split_once("://").map_or(public_host, |(_, host)| host).to_owned();
        Self {
            realm: config.server.realm.clone(),
            public_host,
            public_url,
            operator: config.site.clone(),
            // The documentation is on the administration listener, which other users' browsers cannot reach.
            docs: config
                .server
                .admin_listen
                .filter(|address| config.is_localhost() && address.ip().is_loopback())
                .map(|address| format!("http://localhost:{}/docs", address.port())),
            quick_start: config.client(QUICK_START).is_some(),
            sign_up: if config.server.allow_sign_up { open(config.server.sign_up_asks) } else { SignUp::Closed },
            here_only: config.passkeys.attachment == Attachment::Platform,
            clock: clock.clone(),
            page_tokens,
            is_page,
            notes: logout::Notes::new(&keys.derive("signed-out-note")),
        }
    }

    /// The frame of a page for this request.
    fn frame(&self, request: &HttpRequest, identity: Option<&Identity>, boot: Boot) -> Frame {
        let languages =
            request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let tags = languages.split(',').filter_map(|part| part.split(';').next()).map(str::trim);
        let mut footer = operator_links(&self.operator);
        if self.quick_start {
            footer.push(FooterLink::Developer);
        }
        footer.extend(self.docs.clone().map(FooterLink::Docs));
        Frame {
            locale: messages::choose(tags),
            realm: self.realm.clone(),
            base: if docs::is_page(request.path()) { self.public_url.to_string() } else { String::new() },
            public_host: self.public_host.clone(),
            nonce: fresh_nonce(),
            csrf: identity.map(|identity| self.page_tokens.of(identity.session.id)),
            signed_in: identity.map(|identity| account_card(&identity.user)),
            footer,
            contact: self.operator.contact.clone(),
            now: self.clock.now(),
            boot: Boot { here_only: self.here_only, ..boot },
        }
    }

    /// Refuses a form that was not created for this session.
    fn require_csrf(&self, identity: &Identity, form: &Form) -> Result<(), Failure> {
        self.page_tokens.require(identity.session.id, form.find("csrf").unwrap_or_default().as_bytes())
    }

    /// The user who posted one of our forms: signed in, and with the token of their session.
    async fn posted_by(&self, request: &HttpRequest, guard: &Guard, form: &PageForm) -> Result<Identity, Failure> {
        let identity = require_identity(request, guard).await?;
        self.require_csrf(&identity, &form.0)?;
        Ok(identity)
    }

    /// Renders a page with its own content security policy.
    fn page(view: &impl Template, nonce: &str, status: StatusCode) -> Result<HttpResponse, Failure> {
        let html = view
            .render()
            .map_err(|error| Failure::new(Kind::Internal, "The page could not be created.").because(error))?;
        Ok(HttpResponse::build(status)
            .insert_header((CONTENT_SECURITY_POLICY, page_policy(nonce)))
            .content_type("text/html; charset=utf-8")
            .body(html))
    }

    /// Turns a handler's result into a response for the browser: anonymous visitors are redirected to sign in, and
    /// every other failure becomes a page that says what to do.
    fn answer(&self, request: &HttpRequest, result: Result<HttpResponse, Failure>) -> HttpResponse {
        match result {
            Ok(response) => response,
            Err(failure) if failure.kind() == Kind::NotSignedIn => see_other(&self.by_way_of_sign_in(request)),
            Err(failure) => self.error_page(request, &failure),
        }
    }

    /// The sign-in page, with the way back to the requested page.
    fn by_way_of_sign_in(&self, request: &HttpRequest) -> String {
        let wanted = self.page_of(request).filter(|page| is_own_path(page));
        let next = wanted.or_else(|| page_of_form(request.path(), self.is_page));
        next.map_or_else(|| "/".to_owned(), |next| with_next("/", &next))
    }

    /// The page to open again after a request: for a read, the page with its query; for a form, the page that contains
    /// it.
    fn page_of(&self, request: &HttpRequest) -> Option<String> {
        if reads(request) { own_address(request) } else { page_of_form(request.path(), self.is_page) }
    }

    /// An error as a page.
    pub fn error_page(&self, request: &HttpRequest, failure: &Failure) -> HttpResponse {
        failure.log();
        let kind = match failure.kind() {
            Kind::NotFound => PageKindOfError::NotFound,
            Kind::MethodNotAllowed => PageKindOfError::Method,
            Kind::TooLarge => PageKindOfError::TooLarge,
            Kind::Csrf => PageKindOfError::Stale,
            Kind::RateLimited => PageKindOfError::TooMany(failure.wait().unwrap_or(60).div_ceil(60)),
            Kind::Unavailable | Kind::Internal => PageKindOfError::Unavailable,
            Kind::Forbidden | Kind::SignInRefused | Kind::WrongOrigin => PageKindOfError::Forbidden,
            _ => PageKindOfError::Request,
        };
        let request_id = request_id(request);
        let retry = match kind {
            PageKindOfError::TooMany(_) | PageKindOfError::Unavailable if reads(request) => own_address(request),
            PageKindOfError::Stale => page_of_form(request.path(), self.is_page),
            _ => None,
        };
        let frame = self.frame(request, None, Boot::default());
        let nonce = frame.nonce.clone();
        let status = match failure.kind() {
            // It has no page of its own, but programs must be able to distinguish it.
            Kind::UnsupportedMediaType => failure.kind().status(),
            _ => StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        };
        let view = ErrorPage { frame, kind, request_id, retry };
        let mut response =
            Self::page(&view, &nonce, status).unwrap_or_else(|_| HttpResponse::InternalServerError().finish());
        if let Some(value) = failure.wait().and_then(|seconds| seconds.to_string().parse().ok()) {
            response.headers_mut().insert(actix_web::http::header::RETRY_AFTER, value);
        }
        response
    }

    /// The URL to use instead, if it is certain that the page was opened under another name (for example 127.0.0.1 for
    /// localhost). In other cases the page module says so once the browser refuses.
    fn right_address(&self, request: &HttpRequest) -> Option<String> {
        another_name(request.headers(), self.public_url.as_str())
            .map(|_| format!("{}{}", self.public_url, self.page_of(request).unwrap_or_else(|| "/".to_owned())))
    }
}

/// The operator's links for the footer of every page.
fn operator_links(operator: &config::Site) -> Vec<FooterLink> {
    let config::Site { help_url, privacy_url, terms_url, contact } = operator.clone();
    let links = [
        help_url.map(FooterLink::Help),
        contact.map(FooterLink::Contact),
        privacy_url.map(FooterLink::Privacy),
        terms_url.map(FooterLink::Terms),
    ];
    links.into_iter().flatten().collect()
}

/// The fields of the sign-up form, as configured.
const fn open(asks: SignUpAsks) -> SignUp {
    let (name, email) = match asks {
        SignUpAsks::Nothing => (false, false),
        SignUpAsks::Name => (true, false),
        SignUpAsks::Email => (false, true),
        SignUpAsks::NameAndEmail => (true, true),
    };
    SignUp::Open(Asked { name, email })
}

/// The request ID, as in the log.
fn request_id(request: &HttpRequest) -> String {
    request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// Whether a request reads a page and changes nothing.
fn reads(request: &HttpRequest) -> bool {
    [Method::GET, Method::HEAD].contains(request.method())
}

/// The path and query of a request, for a link to it; `None` if a browser could take it for another host.
fn own_address(request: &HttpRequest) -> Option<String> {
    let address = request.uri().path_and_query()?.as_str();
    let ours = address.strip_prefix('/').is_some_and(|rest| !rest.starts_with(['/', '\\']));
    ours.then(|| address.to_owned())
}

/// The page with the form that posts to a path: the page at that path, or at the nearest path above it.
fn page_of_form(path: &str, is_page: fn(&str) -> bool) -> Option<String> {
    let mut all = std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(above, _)| above));
    all.find(|path| is_page(path)).map(ToOwned::to_owned)
}

/// A nonce for the content security policy of one answer.
fn fresh_nonce() -> String {
    URL_SAFE_NO_PAD.encode(crate::random::bytes::<16>())
}

/// The user of a request, by session cookie. Access tokens cannot open pages.
async fn identity_of(request: &HttpRequest, guard: &Guard) -> Result<Option<Identity>, Failure> {
    let identity = guard.identify(request).await?;
    if let Some(identity) = &identity {
        identity.require_cookie()?;
    }
    Ok(identity)
}

/// Like [`identity_of`], but requires a signed-in user.
async fn require_identity(request: &HttpRequest, guard: &Guard) -> Result<Identity, Failure> {
    identity_of(request, guard).await?.ok_or_else(|| Failure::new(Kind::NotSignedIn, "Sign in first."))
}

/// A user, as shown to themselves.
fn account_card(user: &User) -> AccountCard {
    AccountCard { name: user.name.clone(), email: user.email.clone(), short_id: anonymous_label(user.id) }
}

/// An app, as shown to users. `host` is where its answer goes, if anywhere.
fn app_identity(client: &Client, host: Option<String>) -> AppIdentity {
    let definition = &client.definition;
    AppIdentity {
        name: definition.name.clone(),
        host,
        logo: None,
        home: definition.client_uri.clone(),
        policy: definition.policy_uri.clone(),
        terms: definition.tos_uri.clone(),
        trust: client.unverified_since.map_or(Trust::Verified, Trust::Unverified),
    }
}

/// A redirect with 303, as after a POST.
fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}

/// The path of a page with `next`, the path to continue to afterwards.
fn with_next(page: &str, next: &str) -> String {
    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    format!("{page}?next={next}")
}

/// The `next` parameter of a URL, if it is a plain path of ours: it begins with a single slash and contains nothing
/// that a browser could read as another host.
fn next_of(request: &HttpRequest) -> Option<String> {
    let (_, next) = url::form_urlencoded::parse(request.query_string().as_bytes()).find(|(name, _)| name == "next")?;
    is_own_path(&next).then(|| next.into_owned())
}

/// Whether a browser that follows this path stays on our host: nothing in it can be read as a host, even after dot
/// segments are resolved (`/.//evil.example`).
fn is_own_path(path: &str) -> bool {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~' | b'?' | b'=' | b'&' | b'%');
    let dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    let hierarchy = path.split('?').next().unwrap_or_default();
    path.len() <= 512
        && path.starts_with('/')
        && path.bytes().all(plain)
        && !hierarchy.contains("//")
        && !hierarchy.split('/').any(dots)
}

/// The banner that a URL requests. It is a code that is looked up in the catalogue and never echoed.
fn done_of(request: &HttpRequest) -> Option<crate::web::pages::account::Done> {
    let (_, code) = url::form_urlencoded::parse(request.query_string().as_bytes()).find(|(name, _)| name == "done")?;
    crate::web::pages::account::Done::from_code(&code)
}

/// Adds a cookie to a finished answer.
fn with_cookie(mut response: HttpResponse, cookie: &Cookie<'_>) -> HttpResponse {
    // Our cookies are always valid header values.
    let _ = response.add_cookie(cookie);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_the_page_at_its_path_or_above() {
        for (posted, page) in [
            ("/account/passkeys/1f/rename", Some("/account/passkeys/1f/rename")),
            ("/oauth/interaction/pmi_x", Some("/oauth/interaction/pmi_x")),
            ("/account/sessions/1f/sign-out", Some("/account/sessions")),
            ("/account/apps/remove", Some("/account/apps")),
            ("/device", Some("/device")),
            ("/signout", None),
            ("//evil.example", Some("/")),
            ("", None),
        ] {
            assert_eq!(page_of_form(posted, crate::routes::is_page).as_deref(), page, "{posted}");
        }
    }

    #[test]
    fn a_request_is_linked_with_its_query_and_only_when_it_is_ours() {
        for (sent, linked) in [
            ("/", Some("/")),
            ("/?next=%2Faccount", Some("/?next=%2Faccount")),
            ("/oauth/authorize?scope=openid+email&state=//x", Some("/oauth/authorize?scope=openid+email&state=//x")),
            ("http://id.example/device?user_code=X", Some("/device?user_code=X")),
            ("//evil.example/", None),
            ("/\\evil.example/", None),
        ] {
            let request = actix_web::test::TestRequest::with_uri(sent).to_http_request();
            assert_eq!(own_address(&request).as_deref(), linked, "{sent}");
        }
    }

    #[test]
    fn only_plain_paths_of_ours_are_followed() {
        for path in ["/", "/account", "/account/passkeys/1f/remove", "/a?b=c&d=%20", "/docs/a.b", "/a?b=//c/../d"] {
            assert!(is_own_path(path), "{path}");
        }
        for path in [
            "",
            "account",
            "//evil.example",
            "/.//evil.example",
            "/%2e//evil.example",
            "/..//evil.example",
            "/a/..//evil.example",
            "/a/%2E%2e/b",
            "/a//b",
            "/\\evil.example",
            "https://evil.example",
            "/a\nb",
            "/a b",
            "/\tb",
            "/a#b",
            "/a@b",
            "javascript:alert(1)",
        ] {
            assert!(!is_own_path(path), "{path:?}");
        }
    }
}
