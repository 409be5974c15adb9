//! Every route by every kind of caller, and the headers of every response.
//!
//! [`ROWS`] says for each route what each caller gets; the test fails for a route without a row, so a new route needs
//! one. Where [`by_kind`] decides (a stranger at a person's own page, an access token at a browser's route), a row has
//! `-`.

mod beside;
pub mod policy;

use std::collections::BTreeSet;

use passmint::routes::{Access, ROUTES, Route, is_page};
use serde_json::{Value, json};

use self::policy::assert_policy;
use crate::authenticator::Authenticator;
use crate::support::{API_SECRET, Browser, Options, Reply, Request, TestApp};

/// A bridge, and a backend that redeems signed operations.
const MORE: &str = r#"
[bridges.backend]
preset = "jwt"
audience = "https://backend.example"

[clients.teller]
kind = "confidential"
first_party = true
secret_digest = "API_DIGEST"
grants = ["client_credentials"]
scopes = ["transactions"]
"#;

/// What the request contains.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sent {
    Nothing,
    Json(&'static str),
    /// A form; a signed-in browser adds its synchroniser token.
    Form(&'static str),
}
use Sent::{Form, Json, Nothing};

/// What each caller gets: a status, with the error's code, the redirect's target, or `page`.
struct Row {
    route: &'static str,
    send: Sent,
    stranger: &'static str,
    /// An access token without any scope for this API.
    narrow: &'static str,
    /// An access token with every scope of this API.
    bearer: &'static str,
    /// A signed-in browser, about its own things.
    person: &'static str,
    /// The same for somebody else's thing; empty where things have no owner.
    foreign: &'static str,
}

const fn row(route: &'static str, send: Sent, outcomes: [&'static str; 5]) -> Row {
    let [stranger, narrow, bearer, person, foreign] = outcomes;
    Row { route, send, stranger, narrow, bearer, person, foreign }
}

const NO_CEREMONY: Sent = Json(r#"{"ceremonyId":"pmc_none","credential":{}}"#);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    //                                               sends            stranger                narrow                    bearer                    person                    foreign
    row("POST /v1/passkeys/registration/options",    Json("{}"),      ["200",                 "403 insufficient_scope", "200",                    "200",                    ""]),
    row("POST /v1/passkeys/registration/verify",     NO_CEREMONY,     ["410 ceremony_expired_or_used"; 5]),
    row("POST /v1/passkeys/authentication/options",  Json("{}"),      ["200",                 "200",                    "200",                    "200",                    ""]),
    row("POST /v1/passkeys/authentication/verify",   NO_CEREMONY,     ["410 ceremony_expired_or_used"; 5]),
    row("GET /v1/passkeys/relying-party",            Nothing,         ["200",                 "200",                    "200",                    "200",                    ""]),
    row("GET /v1/passkeys",                          Nothing,         ["-",                   "403 insufficient_scope", "200",                    "200",                    ""]),
    row("PATCH /v1/passkeys/{id}",                   Json(r#"{"name":"New name"}"#), ["-",    "403 insufficient_scope", "200",                    "200",                    "404 not_found"]),
    row("DELETE /v1/passkeys/{id}",                  Nothing,         ["-",                   "403 insufficient_scope", "409 last_sign_in_method", "409 last_sign_in_method", "404 not_found"]),
    row("POST /v1/passkeys/transactions/options",    Json(r#"{"operation":{"kind":"x","title":"X"},"clientId":"teller"}"#), ["-", "403 insufficient_scope", "403 insufficient_scope", "200",                  ""]),
    row("POST /v1/passkeys/transactions/verify",     NO_CEREMONY,     ["-",                   "403 insufficient_scope", "403 insufficient_scope", "410 ceremony_expired_or_used", ""]),
    row("POST /v1/transactions/redeem", Json("{}"), ["-", "-", "-", "-", ""]),
    row("GET /v1/action-tokens", Nothing, ["-", "-", "-", "-", ""]),
    row("POST /v1/action-tokens", Json("{}"), ["-", "-", "-", "-", ""]),
    row("DELETE /v1/action-tokens/{id}", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("POST /v1/action-tokens/{id}/result", Json("{}"), ["-", "-", "-", "-", "401 not_signed_in"]),
    row("GET /v1/session",                           Nothing,         ["200",                 "200",                    "200",                    "200",                    ""]),
    row("DELETE /v1/session",                        Nothing,         ["200",                 "200",                    "200",                    "200",                    ""]),
    row("GET /v1/me",                                Nothing,         ["-",                   "200",                    "200",                    "200",                    ""]),
    row("GET /v1/me/sessions",                       Nothing,         ["-",                   "-",                      "-",                      "200",                    ""]),
    row("DELETE /v1/me/sessions",                    Nothing,         ["-",                   "-",                      "-",                      "200",                    ""]),
    row("DELETE /v1/me/sessions/{id}",               Nothing,         ["-",                   "-",                      "-",                      "200",                    "404 not_found"]),
    row("GET /v1/me/activity",                       Nothing,         ["-",                   "-",                      "-",                      "200",                    ""]),
    row("POST /v1/bridges/{name}/token",             Nothing,         ["-",                   "403 insufficient_scope", "200",                    "200",                    ""]),
    row("POST /v1/bridges/{name}/pusher/auth",       Form("socket_id=1.1&channel_name=private-x"), ["-", "400 invalid_request", "400 invalid_request", "400 invalid_request", ""]),
    row("POST /v1/bridges/{name}/pusher/user-auth",  Form("socket_id=1.1"), ["-",             "400 invalid_request",    "400 invalid_request",    "400 invalid_request",    ""]),
    row("GET /v1/bridges/{name}/jwks.json",          Nothing,         ["200",                 "200",                    "200",                    "200",                    ""]),
    row("GET /v1/bridges/{name}/keys/{file}",        Nothing,         ["404 not_found",       "404 not_found",          "404 not_found",          "404 not_found",          ""]),
    row("GET /v1/me/consents",                       Nothing,         ["-",                   "-",                      "-",                      "200",                    ""]),
    row("DELETE /v1/me/consents/{client}",           Nothing,         ["-",                   "-",                      "-",                      "404 not_found",          ""]),
    row("GET /oauth/authorize",                      Nothing,         ["400 page",            "403 page",               "403 page",               "400 page",               ""]),
    row("POST /oauth/authorize",                     Form("client_id=x"), ["400 page",        "400 page",               "400 page",               "400 page",               ""]),
    row("GET /oauth/interaction/{handle}",           Nothing,         ["400 page",            "403 page",               "403 page",               "400 page",               ""]),
    row("POST /oauth/interaction/{handle}",          Form("decision=deny"), ["-",             "-",                      "-",                      "403 page",               ""]),
    row("GET /oauth/interaction/{handle}/another",   Nothing,         ["400 page",            "400 page",               "400 page",               "400 page",               ""]),
    row("GET /oauth/interaction/{handle}/cancel",    Nothing,         ["400 page",            "403 page",               "403 page",               "400 page",               ""]),
    row("POST /oauth/token",                         Form("grant_type=refresh_token&refresh_token=x"), ["-"; 5]),
    row("POST /oauth/device",                        Form("scope=openid"), ["-"; 5]),
    row("POST /oauth/par",                           Form("response_type=code"), ["-"; 5]),
    row("POST /oauth/revoke",                        Form("token=x"), ["-"; 5]),
    row("POST /oauth/introspect",                    Form("token=x"), ["-"; 5]),
    row("GET /oauth/logout",                         Nothing,         ["303 /signed-out",     "403 page",               "403 page",               "200 page",               ""]),
    row("POST /oauth/logout",                        Form(""),        ["303 /oauth/logout",   "303 /oauth/logout",      "303 /oauth/logout",      "303 /oauth/logout",      ""]),
    row("GET /oauth/session/check",                  Nothing,         ["404 page",            "404 page",               "404 page",               "404 page",               ""]),
    row("GET /oauth/userinfo",                       Nothing,         ["401 invalid_token",   "200",                    "200",                    "401 invalid_token",      ""]),
    row("POST /oauth/userinfo",                      Form(""),        ["401 invalid_token",   "200",                    "200",                    "401 invalid_token",      ""]),
    row("GET /.well-known/openid-configuration",     Nothing,         ["200",                 "200",                    "200",                    "200",                    ""]),
    row("GET /.well-known/oauth-authorization-server", Nothing,       ["200",                 "200",                    "200",                    "200",                    ""]),
    row("GET /v1/admin/clients", Nothing, ["-", "-", "-", "-", ""]),
    row("POST /v1/admin/clients", Json("{}"), ["-", "-", "-", "-", ""]),
    row("GET /v1/admin/clients/{id}", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("PUT /v1/admin/clients/{id}", Json("{}"), ["-", "-", "-", "-", "401 not_signed_in"]),
    row("PATCH /v1/admin/clients/{id}", Json("{}"), ["-", "-", "-", "-", "401 not_signed_in"]),
    row("DELETE /v1/admin/clients/{id}", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("POST /v1/admin/clients/{id}/disable", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("POST /v1/admin/clients/{id}/enable", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("POST /v1/admin/clients/{id}/secret", Json("{}"), ["-", "-", "-", "-", "401 not_signed_in"]),
    row("GET /v1/admin/users", Nothing, ["-", "-", "-", "-", ""]),
    row("POST /v1/admin/users", Json("{}"), ["-", "-", "-", "-", ""]),
    row("GET /v1/admin/users/{id}", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("PATCH /v1/admin/users/{id}", Json("{}"), ["-", "-", "-", "-", "401 not_signed_in"]),
    row("DELETE /v1/admin/users/{id}", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("POST /v1/admin/users/{id}/disable", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("POST /v1/admin/users/{id}/enable", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("GET /v1/admin/users/{id}/sessions", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("DELETE /v1/admin/users/{id}/sessions", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("DELETE /v1/admin/users/{id}/sessions/{session}", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("GET /v1/admin/users/{id}/passkeys", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("DELETE /v1/admin/users/{id}/passkeys/{passkey}", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("GET /v1/admin/groups", Nothing, ["-", "-", "-", "-", ""]),
    row("POST /v1/admin/groups", Json("{}"), ["-", "-", "-", "-", ""]),
    row("DELETE /v1/admin/groups/{name}", Nothing, ["-", "-", "-", "-", ""]),
    row("GET /v1/admin/resources", Nothing, ["-", "-", "-", "-", ""]),
    row("POST /v1/admin/resources", Json("{}"), ["-", "-", "-", "-", ""]),
    row("GET /v1/admin/resources/{id}", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("PUT /v1/admin/resources/{id}", Json("{}"), ["-", "-", "-", "-", "401 not_signed_in"]),
    row("DELETE /v1/admin/resources/{id}", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("POST /v1/admin/resources/{id}/disable", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("POST /v1/admin/resources/{id}/enable", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("GET /v1/admin/bridges", Nothing, ["-", "-", "-", "-", ""]),
    row("POST /v1/admin/bridges", Json("{}"), ["-", "-", "-", "-", ""]),
    row("GET /v1/admin/bridges/{name}", Nothing, ["-", "-", "-", "-", ""]),
    row("PUT /v1/admin/bridges/{name}", Json("{}"), ["-", "-", "-", "-", ""]),
    row("DELETE /v1/admin/bridges/{name}", Nothing, ["-", "-", "-", "-", ""]),
    row("POST /v1/admin/bridges/{name}/disable", Nothing, ["-", "-", "-", "-", ""]),
    row("POST /v1/admin/bridges/{name}/enable", Nothing, ["-", "-", "-", "-", ""]),
    row("POST /v1/admin/bridges/{name}/test", Nothing, ["-", "-", "-", "-", ""]),
    row("GET /v1/admin/registration-tokens", Nothing, ["-", "-", "-", "-", ""]),
    row("POST /v1/admin/registration-tokens", Json("{}"), ["-", "-", "-", "-", ""]),
    row("DELETE /v1/admin/registration-tokens/{id}", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("GET /v1/admin/audit-events", Nothing, ["-", "-", "-", "-", ""]),
    row("GET /v1/forward-auth",                      Nothing,         ["404 not_found"; 5]),
    row("GET /v1/forward-auth/nginx",                Nothing,         ["404 not_found"; 5]),
    row("GET /v1/forward-auth/jwks.json",            Nothing,         ["404 not_found"; 5]),
    row("GET /forward-auth",                         Nothing,         ["404 page"; 5]),
    row("GET /.passmint/start",                      Nothing,         ["404 not_found"; 5]),
    row("GET /.passmint/return",                     Nothing,         ["404 not_found"; 5]),
    row("GET /.passmint/sign-out",                   Nothing,         ["404 not_found"; 5]),
    row("POST /.passmint/sign-out",                  Form(""),        ["404 not_found"; 5]),
    row("GET /v1/admin/outbox", Nothing, ["-", "-", "-", "-", ""]),
    row("POST /v1/admin/outbox/retry", Nothing, ["-", "-", "-", "-", ""]),
    row("POST /v1/admin/outbox/{id}/retry", Nothing, ["-", "-", "-", "-", "401 not_signed_in"]),
    row("POST /oauth/register", Json("{}"), ["404 invalid_request"; 5]),
    row("GET /oauth/register/{id}", Nothing, ["404 invalid_request"; 5]),
    row("PUT /oauth/register/{id}", Json("{}"), ["404 invalid_request"; 5]),
    row("DELETE /oauth/register/{id}", Nothing, ["404 invalid_request"; 5]),
    row("GET /.well-known/oauth-protected-resource", Nothing, ["200", "200", "200", "200", ""]),
    row("GET /.well-known/jwks.json",                Nothing,         ["200",                 "200",                    "200",                    "200",                    ""]),
    row("GET /.well-known/webauthn",                 Nothing,         ["200",                 "200",                    "200",                    "200",                    ""]),
    row("GET /.well-known/apple-app-site-association", Nothing, ["404 not_found"; 5]),
    row("GET /.well-known/assetlinks.json", Nothing, ["404 not_found"; 5]),
    row("GET /.well-known/passkey-endpoints",        Nothing,         ["200",                 "200",                    "200",                    "200",                    ""]),
    row("GET /.well-known/change-password", Nothing, ["303 /account/passkeys"; 5]),
    row("GET /",                                     Nothing,         ["200 page",            "403 page",               "403 page",               "303 /account",           ""]),
    row("GET /signin/passkey",                       Nothing,         ["303 /"; 5]),
    row("POST /signin/passkey",                      Form(""),        ["200 page",            "200 page",               "200 page",               "200 page",               ""]),
    row("GET /signin",                               Nothing,         ["303 /"; 5]),
    row("POST /signin",                              Form("username="), ["422 page",          "422 page",               "422 page",               "422 page",               ""]),
    row("POST /signout",                             Form(""),        ["303 /signed-out",     "403 page",               "403 page",               "303 /signed-out",        ""]),
    row("GET /signed-out",                           Nothing,         ["200 page",            "200 page",               "200 page",               "200 page",               ""]),
    row("GET /confirm",                              Nothing,         ["-",                   "-",                      "-",                      "200 page",               ""]),
    row("GET /account",                              Nothing,         ["-",                   "-",                      "-",                      "200 page",               ""]),
    row("GET /account/sessions",                     Nothing,         ["-",                   "-",                      "-",                      "200 page",               ""]),
    row("POST /account/sessions/sign-out-others",    Form(""),        ["-",                   "-",                      "-",                      "303 /account/sessions?done=others-ended", ""]),
    row("POST /account/sessions/{id}/sign-out",      Form(""),        ["-",                   "-",                      "-",                      "303 /account/sessions?done=session-ended", "303 /account/sessions?done=session-ended"]),
    row("GET /account/apps",                         Nothing,         ["-",                   "-",                      "-",                      "200 page",               ""]),
    row("POST /account/apps/remove",                 Form("client=web"), ["-",                "-",                      "-",                      "303 /account/apps?done=app-removed", ""]),
    row("GET /account/activity",                     Nothing,         ["-",                   "-",                      "-",                      "200 page",               ""]),
    row("GET /account/passkeys",                     Nothing,         ["-",                   "-",                      "-",                      "200 page",               ""]),
    row("GET /account/passkeys/{id}/rename",         Nothing,         ["-",                   "-",                      "-",                      "200 page",               "404 page"]),
    row("POST /account/passkeys/{id}/rename",        Form("name=New"), ["-",                  "-",                      "-",                      "303 /account/passkeys?done=passkey-renamed", "404 page"]),
    row("GET /account/passkeys/{id}/remove",         Nothing,         ["-",                   "-",                      "-",                      "200 page",               "404 page"]),
    row("POST /account/passkeys/{id}/remove",        Form(""),        ["-",                   "-",                      "-",                      "400 page",               "303 /account/passkeys?done=passkey-removed"]),
    row("GET /account/passkeys/{id}/resume",         Nothing,         ["-",                   "-",                      "-",                      "303 /account/passkeys",  "404 page"]),
    row("POST /account/passkeys/{id}/resume",        Form(""),        ["-",                   "-",                      "-",                      "303 /account/passkeys",  "404 page"]),
    row("GET /device",                               Nothing,         ["-",                   "-",                      "-",                      "200 page",               ""]),
    row("POST /device",                              Form("user_code=BCDF-GHJK"), ["-",       "-",                      "-",                      "422 page",               ""]),
    row("GET /device/review",                        Nothing,         ["-",                   "-",                      "-",                      "303 /device",            ""]),
    row("POST /device/review",                       Form("user_code=BCDF-GHJK&decision=deny"), ["-", "-",              "-",                      "303 /device",            ""]),
    row("GET /enrol",                                Nothing,         ["200 page",            "200 page",               "200 page",               "200 page",               ""]),
    row("POST /enrol",                               Form("token=pmt_x"), ["403 page",        "403 page",               "403 page",               "403 page",               ""]),
    row("GET /enrol/done",                           Nothing,         ["200 page",            "200 page",               "200 page",               "200 page",               ""]),
    row("GET /approve",                              Nothing,         ["200 page",            "200 page",               "200 page",               "200 page",               ""]),
    row("POST /approve",                             Form("token=pmt_x"), ["403 page",        "403 page",               "403 page",               "403 page",               ""]),
    row("GET /approve/done",                         Nothing,         ["200 page",            "200 page",               "200 page",               "200 page",               ""]),
    row("GET /developer",                            Nothing,         ["200 page",            "403 page",               "403 page",               "200 page",               ""]),
    row("GET /assets/{name}",                        Nothing,         ["200",                 "200",                    "200",                    "200",                    ""]),
    row("GET /livez",                                Nothing,         ["200",                 "200",                    "200",                    "200",                    ""]),
    row("GET /readyz",                               Nothing,         ["200",                 "200",                    "200",                    "200",                    ""]),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Caller {
    Stranger,
    Narrow,
    Bearer,
    Person,
}

/// What the kind of a route alone decides.
fn by_kind(access: Access, caller: Caller, path: &str) -> Option<String> {
    // A posted form leads back to its page.
    let mut above = std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(above, _)| above));
    let page = above.find(|path| is_page(path)).unwrap_or_default();
    let to_sign_in =
        || format!("303 /?next={}", url::form_urlencoded::byte_serialize(page.as_bytes()).collect::<String>());
    match (access, caller) {
        // A cookie does not count in administration: a page of another site could make the browser send it.
        (Access::SignedIn | Access::Browser | Access::Admin | Access::Backend, Caller::Stranger)
        | (Access::Admin | Access::Backend, Caller::Person) => Some("401 not_signed_in".to_owned()),
        (Access::Browser, Caller::Narrow | Caller::Bearer) => Some("403 forbidden".to_owned()),
        (Access::Admin | Access::Backend, Caller::Narrow | Caller::Bearer) => Some("403 insufficient_scope".to_owned()),
        (Access::OwnPage, Caller::Stranger) => Some(to_sign_in()),
        (Access::OwnPage, Caller::Narrow | Caller::Bearer) => Some("403 page".to_owned()),
        (Access::Client | Access::ConfidentialClient, _) => Some("401 invalid_client".to_owned()),
        _ => None,
    }
}

fn row_of(method: &str, path: &str) -> &'static Row {
    let name = format!("{method} {path}");
    ROWS.iter().find(|row| row.route == name).unwrap_or_else(|| panic!("{name} is new: give it a row in ROWS"))
}

/// The outcome of a response, in the notation of [`Row`].
fn outcome(reply: &Reply) -> String {
    let status = reply.status;
    let of_type = reply.header("content-type").unwrap_or_default();
    if let Some(location) = reply.header("location") {
        format!("{status} {location}")
    } else if of_type.starts_with("text/html") {
        format!("{status} page")
    } else if of_type == "application/problem+json" {
        format!("{status} {}", reply.json()["code"].as_str().expect("a problem has a code"))
    } else if status >= 400 && of_type == "application/json" {
        format!("{status} {}", reply.json()["error"].as_str().expect("an OAuth error has a code"))
    } else {
        status.to_string()
    }
}

/// One person with every kind of credential, and another person's things.
struct Cast {
    person: Browser,
    csrf: String,
    narrow: String,
    bearer: String,
    passkey_id: String,
    session_id: String,
    foreign_passkey: String,
    foreign_session: String,
}

impl Cast {
    fn new(app: &TestApp) -> Self {
        let (mut person, mut passkey) = app.person();
        let (mut other, _) = app.person();
        let token = |client: &str, scope: &str, passkey: &mut Authenticator| {
            let answer = app.client(client).sign_in(passkey, scope).expect(200).json();
            answer["accessToken"].as_str().expect("an access token").to_owned()
        };
        let narrow = token("other", "openid", &mut passkey);
        let bearer = token("web", "openid passkeys bridge:backend", &mut passkey);
        Self {
            csrf: csrf_of(&mut person),
            passkey_id: passkey_of(&mut person),
            session_id: session_of(&mut person),
            foreign_passkey: passkey_of(&mut other),
            foreign_session: session_of(&mut other),
            person,
            narrow,
            bearer,
        }
    }

    /// A path with its placeholders filled with this person's things, or with somebody else's.
    fn path(&self, pattern: &str, own: bool) -> String {
        let (passkey, session) =
            if own { (&self.passkey_id, &self.session_id) } else { (&self.foreign_passkey, &self.foreign_session) };
        let id = if pattern.contains("sessions") { session } else { passkey };
        let name = if pattern.starts_with("/assets/") { asset() } else { "backend".to_owned() };
        pattern
            .replace("{id}", id)
            .replace("{name}", &name)
            .replace("{handle}", "x")
            .replace("{client}", "web")
            .replace("{session}", session)
            .replace("{passkey}", passkey)
    }

    fn request(&self, app: &TestApp, caller: Caller, method: &str, path: &str, send: Sent) -> Request {
        let plain = app.request(method, path);
        let request = match caller {
            Caller::Stranger => plain,
            Caller::Narrow => plain.header("Authorization", &format!("Bearer {}", self.narrow)),
            Caller::Bearer => plain.header("Authorization", &format!("Bearer {}", self.bearer)),
            Caller::Person => self.person.request(method, path),
        };
        match send {
            Nothing => request,
            Json(text) => request.body("application/json", text.as_bytes().to_vec()),
            Form(text) if caller == Caller::Person && !path.starts_with("/oauth/") => {
                let text = format!("csrf={}&{text}", self.csrf);
                request.body("application/x-www-form-urlencoded", text.trim_end_matches('&').as_bytes().to_vec())
            }
            Form(text) => request.body("application/x-www-form-urlencoded", text.as_bytes().to_vec()),
        }
    }
}

/// A path with arbitrary placeholders.
fn plain(pattern: &str) -> String {
    ["{id}", "{name}", "{handle}", "{client}", "{session}", "{passkey}"]
        .iter()
        .fold(pattern.to_owned(), |path, place| path.replace(place, "x"))
}

/// RFC 9110 §8.8.3, §12.5.3: compressed bytes have their own tag, and caches keep the two apart.
#[test]
fn a_file_of_the_pages_is_packed_for_whoever_unpacks_it() {
    let app = TestApp::spawn();
    let head = |accepted: &str| {
        let request = app.request("HEAD", &format!("/assets/{}", asset())).header("Accept-Encoding", accepted);
        let reply = request.send().expect(200);
        assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
        ["content-encoding", "etag"].map(|name| reply.header(name).map(ToOwned::to_owned))
    };
    let ([packed, its_tag], [plain, tag]) = (head("br, gzip;q=0.5"), head("identity"));
    assert_eq!((packed.as_deref(), plain), (Some("gzip"), None));
    assert_ne!(its_tag.expect("a tag"), tag.expect("a tag"));
}

fn asset() -> String {
    passmint::web::pages::assets::urls().css.trim_start_matches("/assets/").to_owned()
}

fn passkey_of(browser: &mut Browser) -> String {
    browser.get("/v1/passkeys").expect(200).json()["passkeys"][0]["id"].as_str().expect("an id").to_owned()
}

fn session_of(browser: &mut Browser) -> String {
    browser.get("/v1/session").expect(200).json()["session"]["id"].as_str().expect("an id").to_owned()
}

/// The synchroniser token in a person's pages.
pub fn csrf_of(browser: &mut Browser) -> String {
    let page = browser.get("/account/sessions").expect(200).body;
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("the page has a form");
    rest.split_once('"').expect("a value").0.to_owned()
}

#[test]
fn every_route_gives_every_caller_what_its_row_says() {
    let app = TestApp::with(&Options { config: MORE, ..Options::default() });
    for route in ROUTES {
        let row = row_of(route.method, route.path);
        for (caller, expected) in [
            (Caller::Stranger, row.stranger),
            (Caller::Narrow, row.narrow),
            (Caller::Bearer, row.bearer),
            (Caller::Person, row.person),
        ] {
            let cast = Cast::new(&app);
            let path = cast.path(route.path, true);
            let expected = match expected {
                "-" => by_kind(route.access, caller, &path).unwrap_or_else(|| panic!("{}: no rule", row.route)),
                written => written.to_owned(),
            };
            let reply = cast.request(&app, caller, route.method, &path, row.send).send();
            assert_eq!(outcome(&reply), expected, "{} by {caller:?}: {}", row.route, reply.body);
            assert_policy(&reply, &path, None);
        }
        if route.path.contains("{id}") {
            assert_ne!(row.foreign, "", "{}: what about somebody else's?", row.route);
            let cast = Cast::new(&app);
            let path = cast.path(route.path, false);
            let reply = cast.request(&app, Caller::Person, route.method, &path, row.send).send();
            assert_eq!(outcome(&reply), row.foreign, "{} about somebody else's: {}", row.route, reply.body);
            if route.access == Access::SignedIn {
                let reply = cast.request(&app, Caller::Bearer, route.method, &path, row.send).send();
                assert_eq!(outcome(&reply), row.foreign, "{} by token about somebody else's", row.route);
            }
        }
    }
    let known: BTreeSet<String> = ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let stale: Vec<&str> = ROWS.iter().map(|row| row.route).filter(|name| !known.contains(*name)).collect();
    assert!(stale.is_empty(), "rows of routes that are gone: {stale:?}");
}

/// The routes that require an identity, with paths of this person's things.
fn for_somebody(cast: &Cast) -> impl Iterator<Item = (&'static Route, String)> {
    let open = [Access::Public, Access::Page, Access::Client, Access::ConfidentialClient];
    let closed = ROUTES.iter().filter(move |route| !open.contains(&route.access));
    closed.map(move |route| (route, cast.path(route.path, true)))
}

#[track_caller]
fn stays_closed(reply: &Reply, route: &Route, with: &str) {
    let to_sign_in = reply.header("location").is_some_and(|to| to.starts_with("/?next="));
    let refused = (400..500).contains(&reply.status) || (reply.status == 303 && to_sign_in);
    assert!(refused, "{} {} with {with}: {} {}", route.method, route.path, reply.status, reply.body);
}

/// Check 3.3: only a session or a token says who somebody is, whatever else names them.
#[test]
fn no_field_and_no_header_stands_in_for_a_session() {
    let app = TestApp::with(&Options { config: MORE, ..Options::default() });
    let cast = Cast::new(&app);
    let me = cast.person.clone().get("/v1/me").expect(200).json()["id"].as_str().expect("an id").to_owned();
    let fields = ["userId", "user_id", "user", "uid", "id", "sub", "subject", "account", "sessionId", "session"];
    let query = fields.map(|name| format!("{name}={me}")).join("&");
    let named = |method: &str, path: &str| {
        let headers = ["Remote-User", "X-Forwarded-User", "X-User-Id"];
        headers.iter().fold(app.request(method, path).query(&query), |request, name| request.header(name, &me))
    };
    for (route, path) in for_somebody(&cast) {
        let request = match row_of(route.method, route.path).send {
            Nothing => named(route.method, &path),
            Json(text) => {
                let mut body: Value = serde_json::from_str(text).expect("JSON");
                body.as_object_mut().expect("an object").extend(fields.map(|name| (name.to_owned(), json!(me))));
                named(route.method, &path).json(&body)
            }
            Form(text) => {
                let body = format!("{query}&{text}").into_bytes();
                named(route.method, &path).body("application/x-www-form-urlencoded", body)
            }
        };
        stays_closed(&request.send(), route, "a person's id wherever it may stand");
    }
    let nobody = named("GET", "/v1/session").send().expect(200);
    assert!(nobody.json()["session"].is_null(), "{}", nobody.body);
}

/// Check 3.4: a header that cannot be read proves nothing and skips nothing: it is refused or ignored.
#[test]
fn headers_that_cannot_be_read_open_nothing() {
    let settings = [("trusted_proxies", "127.0.0.1")];
    let app = TestApp::with(&Options { config: MORE, settings: &settings, ..Options::default() });
    let cast = Cast::new(&app);
    let (cookie, _) = cast.person.cookies.iter().find(|(name, _)| !name.ends_with("-pre")).expect("a session");
    for (header, value) in [
        ("Cookie", "; ;=;".to_owned()),
        ("Cookie", cookie.clone()),
        ("Cookie", format!("{cookie}=")),
        ("Cookie", format!("{cookie}=pms_x")),
        ("Cookie", format!("{cookie}=%00; {cookie}=x")),
        ("Authorization", String::new()),
        ("Authorization", "Bearer".to_owned()),
        ("Authorization", "Bearer a, Basic b".to_owned()),
        ("X-Forwarded-For", "evil".to_owned()),
        ("Forwarded", "for=\"".to_owned()),
    ] {
        for (route, path) in for_somebody(&cast) {
            let send = row_of(route.method, route.path).send;
            let request = cast.request(&app, Caller::Stranger, route.method, &path, send).header(header, &value);
            stays_closed(&request.send(), route, &format!("{header}: {value}"));
        }
    }
}

/// RFC 6749 §2.3, RFC 7662 §2.1: each kind of client at the routes for clients.
#[test]
fn client_routes_take_the_right_kind_of_client_only() {
    let app = TestApp::spawn();
    let wrong = API_SECRET.replace('A', "B");
    for (name, by_basic, client, token, revoke, introspect) in [
        ("public", None, vec![("client_id", "web")], "400 invalid_grant", "200", "401 invalid_client"),
        ("confidential", Some(API_SECRET), vec![], "400 invalid_grant", "200", "200"),
        ("a wrong secret", Some(&wrong), vec![], "401 invalid_client", "401 invalid_client", "401 invalid_client"),
        (
            "a confidential one without its secret",
            None,
            vec![("client_id", "api")],
            "401 invalid_client",
            "401 invalid_client",
            "401 invalid_client",
        ),
        (
            "a public one with a secret",
            None,
            vec![("client_id", "web"), ("client_secret", API_SECRET)],
            "401 invalid_client",
            "401 invalid_client",
            "401 invalid_client",
        ),
        (
            "an unknown one",
            None,
            vec![("client_id", "nobody")],
            "401 invalid_client",
            "401 invalid_client",
            "401 invalid_client",
        ),
    ] {
        let call = |path: &str, own: &[(&str, &str)]| {
            let request = app.request("POST", path).form(&[own, &client].concat());
            let reply = match by_basic {
                Some(secret) => request.basic("api", secret).send(),
                None => request.send(),
            };
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
            assert_eq!(reply.status == 401, reply.header("www-authenticate").is_some(), "{path} {name}");
            outcome(&reply)
        };
        assert_eq!(call("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", "x")]), token, "{name}");
        assert_eq!(call("/oauth/revoke", &[("token", "x")]), revoke, "{name}");
        assert_eq!(call("/oauth/introspect", &[("token", "x")]), introspect, "{name}");
    }
}
