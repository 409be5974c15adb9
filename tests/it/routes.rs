//! Every route by every kind of caller, and the headers of every answer.
//!
//! [`ROWS`] says for each route what each caller gets; the walk fails for a route without a row, so a new route needs one.
//! Where [`by_kind`] decides (a stranger at somebody's own page, an access token at a browser's route), a row writes `-`.

use std::collections::BTreeSet;

use passmint::routes::{Access, ROUTES, Route, methods_of};
use serde_json::{Value, json};

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

/// What is sent along.
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
    /// The same about somebody else's thing; empty where nobody owns anything.
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
    row("GET /.well-known/passkey-endpoints",        Nothing,         ["200",                 "200",                    "200",                    "200",                    ""]),
    row("GET /",                                     Nothing,         ["200 page",            "403 page",               "403 page",               "303 /account",           ""]),
    row("POST /signin/passkey",                      Form(""),        ["200 page",            "200 page",               "200 page",               "200 page",               ""]),
    row("POST /signin",                              Form("username="), ["422 page",          "422 page",               "422 page",               "422 page",               ""]),
    row("POST /signout",                             Form(""),        ["303 /signed-out",     "403 page",               "403 page",               "303 /signed-out",        ""]),
    row("GET /signed-out",                           Nothing,         ["200 page",            "200 page",               "200 page",               "200 page",               ""]),
    row("GET /confirm",                              Nothing,         ["-",                   "-",                      "-",                      "200 page",               ""]),
    row("GET /account",                              Nothing,         ["-",                   "-",                      "-",                      "200 page",               ""]),
    row("GET /account/sessions",                     Nothing,         ["-",                   "-",                      "-",                      "200 page",               ""]),
    row("POST /account/sessions/sign-out-others",    Form(""),        ["-",                   "-",                      "-",                      "303 /account/sessions?done=others-ended", ""]),
    row("POST /account/sessions/{id}/sign-out",      Form(""),        ["-",                   "-",                      "-",                      "303 /account/sessions?done=session-ended", "404 page"]),
    row("GET /account/apps",                         Nothing,         ["-",                   "-",                      "-",                      "200 page",               ""]),
    row("POST /account/apps/remove",                 Form("client=web"), ["-",                "-",                      "-",                      "404 page",               ""]),
    row("GET /account/activity",                     Nothing,         ["-",                   "-",                      "-",                      "200 page",               ""]),
    row("GET /account/passkeys",                     Nothing,         ["-",                   "-",                      "-",                      "200 page",               ""]),
    row("GET /account/passkeys/{id}/rename",         Nothing,         ["-",                   "-",                      "-",                      "200 page",               "404 page"]),
    row("POST /account/passkeys/{id}/rename",        Form("name=New"), ["-",                  "-",                      "-",                      "303 /account/passkeys?done=passkey-renamed", "404 page"]),
    row("GET /account/passkeys/{id}/remove",         Nothing,         ["-",                   "-",                      "-",                      "200 page",               "404 page"]),
    row("POST /account/passkeys/{id}/remove",        Form(""),        ["-",                   "-",                      "-",                      "400 page",               "404 page"]),
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
    let to_sign_in =
        || format!("303 /?next={}", url::form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>());
    match (access, caller) {
        // A cookie is no credential in administration: a page of another site could send it along.
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

/// What an answer is, in the words of [`Row`].
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

/// One person with every credential there is, and another whose things are not theirs.
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

    /// A path with its places filled by this person's things, or by somebody else's.
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

/// A path with anything in its places.
fn plain(pattern: &str) -> String {
    ["{id}", "{name}", "{handle}", "{client}", "{session}", "{passkey}"]
        .iter()
        .fold(pattern.to_owned(), |path, place| path.replace(place, "x"))
}

/// RFC 9110 §8.8.3, §12.5.3: packed bytes have a tag of their own, and caches keep both apart.
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

/// The synchroniser token that a person's pages carry.
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

/// The routes that are for somebody, with paths of this person's things.
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

/// Check 3.3: who somebody is comes from a session or token alone, whatever else names them.
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

/// Check 3.4: what cannot be read proves nothing and skips nothing: it is refused, or as if it were not there.
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

/// RFC 6749 §2.3, RFC 7662 §2.1: each kind of client at the routes that are for clients.
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

/// An error in the form of its place: at `/oauth/` that of RFC 6749 §5.2, else a problem document.
#[track_caller]
fn told(reply: Reply, path: &str, status: u16, code: &str) -> Reply {
    if path.starts_with("/oauth/") {
        reply.expect_oauth(status, "invalid_request")
    } else {
        reply.expect_problem(status, code)
    }
}

#[test]
fn there_is_nothing_beside_the_routes() {
    let app = TestApp::spawn();
    let mut unknown: BTreeSet<String> = [
        "/nothing",
        "/v1",
        "/v1/",
        "/V1/passkeys",
        "/oauth",
        "/.well-known/",
        "/admin",
        "/metrics",
        "/docs",
        "/openapi.json",
        "//",
        "/%2e%2e/etc/passwd",
        "/account/../livez",
        "/assets/",
        "/assets/../app.css",
        "/.git/config",
        "/%00",
    ]
    .map(str::to_owned)
    .into();
    for route in ROUTES {
        let path = plain(route.path);
        unknown.extend([format!("{path}/x"), format!("{}/", path.trim_end_matches('/')), format!("{path}%20")]);
    }
    unknown.retain(|path| path != "/" && methods_of(path).is_empty());
    assert!(unknown.len() > 60, "{}", unknown.len());
    for path in &unknown {
        for method in ["GET", "POST", "DELETE"] {
            let reply = told(app.request(method, path).send(), path, 404, "not_found");
            assert_policy(&reply, path, None);
        }
        let reply = app.request("GET", path).header("Accept", "text/html").send();
        let for_programs =
            ["/v1/", "/oauth/", "/.well-known/", "/.passmint/"].iter().any(|start| path.starts_with(start));
        let expected = match path.as_str() {
            oauth if oauth.starts_with("/oauth/") => "404 invalid_request",
            _ if for_programs => "404 not_found",
            _ => "404 page",
        };
        assert_eq!(outcome(&reply), expected, "{path}");
        assert_policy(&reply, path, None);
    }
}

/// RFC 9110 §15.5.6.
#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let app = TestApp::spawn();
    let paths: BTreeSet<String> = ROUTES.iter().map(|route| plain(route.path)).collect();
    for path in &paths {
        let right = methods_of(path);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            if right.contains(&method) {
                continue;
            }
            let reply = told(app.request(method, path).send(), path, 405, "method_not_allowed");
            assert_eq!(reply.header("allow"), Some(right.join(", ").as_str()), "{method} {path}");
            assert_policy(&reply, path, None);
        }
    }
}

/// RFC 9110 §9.3.2: the headers that GET would have, and no body.
#[test]
fn head_answers_as_get_does_without_the_body() {
    let app = TestApp::with(&Options { config: MORE, ..Options::default() });
    let cast = Cast::new(&app);
    // Different in every answer: the time, the request's id, and a page's nonce and cookies.
    let lasting = |reply: &Reply| -> BTreeSet<(String, String)> {
        let varies = ["date", "x-request-id", "content-security-policy", "set-cookie"];
        let value = |name: &str, value: &str| if varies.contains(&name) { String::new() } else { value.to_owned() };
        reply.headers.iter().map(|(name, text)| (name.clone(), value(name, text))).collect()
    };
    let mut paths: Vec<String> =
        ROUTES.iter().filter(|route| route.method == "GET").map(|route| cast.path(route.path, true)).collect();
    paths.push("/nothing".to_owned());
    for path in &paths {
        for caller in [Caller::Stranger, Caller::Person] {
            let [get, head] = ["GET", "HEAD"].map(|method| cast.request(&app, caller, method, path, Nothing).send());
            assert_eq!(head.status, get.status, "{path} by {caller:?}");
            assert_eq!(lasting(&head), lasting(&get), "{path} by {caller:?}");
            assert_policy(&head, path, None);
        }
        let text = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = String::from_utf8(crate::raw::exchange(&app.url, text.as_bytes())).expect("text");
        assert!(answer.starts_with("HTTP/1.1 ") && answer.ends_with("\r\n\r\n"), "{path}: {answer}");
        assert_eq!(answer.matches("\r\n\r\n").count(), 1, "{path}: nothing after the headers: {answer}");
    }
    for path in ["/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/README.md", "/nothing"] {
        let [get, head] = ["GET", "HEAD"].map(|method| Request::new(method, &app.admin_url, path).send());
        assert_eq!((head.status, head.header("content-type")), (get.status, get.header("content-type")), "{path}");
        assert_eq!(head.body, "", "{path}");
    }
    let reply = app.request("HEAD", "/oauth/token").send().expect(405);
    assert_eq!(reply.header("allow"), Some("POST"));
}

/// Every answer of one server, by route, in every class of status that a route can give.
#[test]
fn the_header_policy_holds_for_every_class_of_status() {
    let app = TestApp::with(&Options { config: MORE, ..Options::default() });
    let cast = Cast::new(&app);
    let mut seen = BTreeSet::new();
    let mut check = |reply: Reply, path: &str, statuses: &[u16]| {
        assert!(statuses.contains(&reply.status), "{path}: {} {}", reply.status, reply.body);
        assert_policy(&reply, path, None);
        seen.insert(reply.status);
    };
    for route in ROUTES {
        let row = row_of(route.method, route.path);
        let path = cast.path(route.path, true);
        let of_type = match row.send {
            Nothing => continue,
            // Who may not ask is told so before the body is looked at.
            _ if matches!(route.access, Access::Admin | Access::Backend)
                || route.path.starts_with("/oauth/register") =>
            {
                continue;
            }
            Json(_) => "application/json",
            // These buttons take no fields, so nothing of them is read.
            Form(_) if ["/signin/passkey", "/.passmint/sign-out"].contains(&route.path) => continue,
            // Whatever can be read of the form goes round by an address of ours.
            Form(_) if route.path == "/oauth/logout" => continue,
            Form(_) => "application/x-www-form-urlencoded",
        };
        let person = || cast.person.request(route.method, &path);
        check(person().body(of_type, vec![b'a'; 32 * 1024 + 1]).send(), &path, &[413]);
        check(person().body("text/plain", b"{}".to_vec()).send(), &path, &[415]);
        check(person().body("multipart/form-data; boundary=x", b"--x--".to_vec()).send(), &path, &[415]);
        check(person().body("", b"{}".to_vec()).send(), &path, &[415]);
        if matches!(route.access, Access::Page | Access::OwnPage) {
            // Somebody is looking at it.
            for (reply, status) in [
                (person().body(of_type, vec![b'a'; 32 * 1024 + 1]).send(), 413),
                (person().body("text/plain", b"{}".to_vec()).send(), 415),
                (person().body(of_type, b"csrf=a&csrf=b".to_vec()).send(), 400),
            ] {
                assert_eq!(outcome(&reply), format!("{status} page"), "{path}: {}", reply.body);
            }
        }
        check(person().body(of_type, b"\xff\x00=&{".to_vec()).send(), &path, &[400, 401, 403, 422]);
    }
    app.sql("ALTER TABLE sessions RENAME TO elsewhere");
    for route in ROUTES {
        let row = row_of(route.method, route.path);
        let path = cast.path(route.path, true);
        for caller in [Caller::Person, Caller::Bearer] {
            let reply = cast.request(&app, caller, route.method, &path, row.send).send();
            if matches!(route.access, Access::SignedIn | Access::Browser | Access::OwnPage) {
                assert_eq!(reply.status, 503, "{} by {caller:?}: never anything else: {}", row.route, reply.body);
            }
            if reply.status == 503 {
                assert!(reply.header("retry-after").is_some_and(|wait| wait.parse::<u8>().is_ok()), "{}", row.route);
                assert!(!reply.body.contains("sessions\" does not exist"), "{}: {}", row.route, reply.body);
            }
            check(reply, &path, &[200, 303, 400, 401, 403, 404, 409, 410, 422, 503]);
        }
    }
    app.sql("ALTER TABLE elsewhere RENAME TO sessions");
    for status in [200, 413, 415, 503] {
        assert!(seen.contains(&status), "{status} was seen");
    }
}

#[test]
fn over_https_everything_says_so() {
    let app = TestApp::with(&Options { public_url: Some("https://id.example"), ..Options::default() });
    for route in ROUTES {
        let path = route.path.replace("{id}", "x").replace("{name}", &asset());
        let reply = app.request(route.method, &path).header("Host", "id.example").send();
        assert_policy(&reply, &path, Some("max-age=31536000; includeSubDomains"));
    }
    let (browser, _) = app.person();
    let names: Vec<&str> = browser.cookies.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["__Host-passmint-pre", "__Host-passmint"]);
    let mut fresh = app.browser();
    let reply = fresh.post("/v1/passkeys/authentication/options", &json!({})).expect(200);
    let cookie = reply.header("set-cookie").expect("a pre-session");
    for part in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{part}: {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
}

#[test]
fn the_administration_listener_keeps_the_same_policy() {
    let app = TestApp::spawn();
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/openapi.json", 200),
        ("/docs", 200),
        ("/docs/nothing", 404),
        ("/nothing", 404),
        // What the public listener serves is not here, and is not said to be.
        ("/v1/session", 404),
        ("/", 404),
    ] {
        let reply = Request::new("GET", &app.admin_url, path).send();
        assert_policy(&reply, path, None);
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
    }
}

/// The documentation is read at the administration listener, which has none of the other pages.
#[test]
fn no_link_of_the_documentation_leads_nowhere() {
    let app = TestApp::spawn();
    let (mut seen, mut waiting) = (BTreeSet::new(), vec!["/docs".to_owned()]);
    let mut elsewhere = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        let page = Request::new("GET", &app.admin_url, &path).send().expect(200).body;
        for link in page.split("<a ").skip(1).filter_map(|tag| tag.split('>').next()?.split("href=\"").nth(1)) {
            let link = link.split(['"', '#']).next().unwrap_or_default().to_owned();
            if link.starts_with('/') && seen.insert(link.clone()) {
                waiting.push(link);
            } else if let Some(path) = link.strip_prefix(&app.origin).filter(|path| path.starts_with('/')) {
                elsewhere.insert(path.to_owned());
            }
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
    assert!(elsewhere.contains("/") && elsewhere.contains("/developer"), "{elsewhere:?}");
    for path in elsewhere {
        app.request("GET", &path).send().expect(200);
    }
    let lost =
        Request::new("GET", &app.admin_url, "/docs/nothing").header("accept", "text/html").send().expect(404).body;
    assert!(!lost.contains("href=\"/\""), "{lost}");
}

/// CSP level 3: a nonce that can be guessed, or that comes twice, lets an injected script run.
#[test]
fn a_nonce_is_used_once_and_nothing_runs_without_it() {
    let app = TestApp::spawn();
    let (mut person, _) = app.person();
    let mut nonces = BTreeSet::new();
    for _ in 0..1_000 {
        let reply = app.request("GET", "/signed-out").send().expect(200);
        nonces.insert(nonce_of(&reply));
    }
    assert_eq!(nonces.len(), 1_000, "each page has a nonce of its own");
    let mut pages =
        vec![app.request("GET", "/").send(), app.request("GET", "/nothing").header("Accept", "text/html").send()];
    for path in ["/account", "/account/passkeys", "/account/sessions", "/account/activity", "/confirm", "/developer"] {
        pages.push(person.get(path).expect(200));
    }
    for page in pages {
        let nonce = nonce_of(&page);
        for opening in page.body.split('<').filter(|tag| tag.starts_with("script") || tag.starts_with("style")) {
            let tag = opening.split('>').next().unwrap_or_default();
            // A block of data is not run.
            let data = tag.contains("type=\"application/json\"");
            assert!(data || tag.contains(&format!("nonce=\"{nonce}\"")), "<{tag}>");
        }
        for tag in page.body.split('<').filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag) {
            let inline =
                tag.split(' ').any(|part| part.starts_with("on") && part.contains('=')) || tag.contains(" style=");
            assert!(!inline && !tag.contains("javascript:"), "<{tag}>");
        }
    }
}

fn nonce_of(reply: &Reply) -> String {
    let policy = reply.header("content-security-policy").expect("a policy");
    let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).expect("a nonce");
    assert_eq!(nonce.len(), 22, "128 bits: {nonce}");
    nonce.to_owned()
}

/// H1–H9 of the security page; `hsts` is what `Strict-Transport-Security` says, if it is there.
#[track_caller]
pub fn assert_policy(reply: &Reply, path: &str, hsts: Option<&str>) {
    let status = reply.status;
    // An app that opened a popup for its request waits for it there.
    let plain = path.split('?').next().unwrap_or_default();
    let of_a_request = plain == "/oauth/authorize" || plain.starts_with("/oauth/interaction/");
    let opener = if of_a_request { "unsafe-none" } else { "same-origin" };
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", opener),
        ("x-frame-options", "DENY"),
        (
            "permissions-policy",
            "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=()",
        ),
    ] {
        assert_eq!(reply.header(name), Some(value), "{path} {status}: {name}");
    }
    let shared = reply.header("access-control-allow-origin").is_some();
    let resource = if shared { "cross-origin" } else { "same-origin" };
    assert_eq!(reply.header("cross-origin-resource-policy"), Some(resource), "{path} {status}");
    assert_eq!(reply.header("strict-transport-security"), hsts, "{path} {status}");
    for banned in ["server", "x-powered-by", "via"] {
        assert_eq!(reply.header(banned), None, "{path} {status}");
    }
    let cached = match path {
        "/.well-known/jwks.json" | "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server"
            if status == 200 =>
        {
            "public, max-age=300"
        }
        "/.well-known/oauth-protected-resource" if status == 200 => "public, max-age=3600",
        _ if path.starts_with("/v1/bridges/") && path.ends_with("/jwks.json") && status == 200 => "public, max-age=300",
        _ if path.starts_with("/assets/") && status == 200 => "public, max-age=31536000, immutable",
        _ => "no-store",
    };
    assert_eq!(reply.header("cache-control"), Some(cached), "{path} {status}");
    let policy = reply.header("content-security-policy").unwrap_or_else(|| panic!("{path} {status}: no policy"));
    let expected = if reply.header("content-type").is_some_and(|of_type| of_type.starts_with("text/html")) {
        let nonce = nonce_of(reply);
        format!(
            "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'nonce-{nonce}'; \
             img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'"
        )
    } else {
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'".to_owned()
    };
    assert_eq!(policy, expected, "{path} {status}");
    let once: BTreeSet<&str> = reply.headers.iter().map(|(name, _)| name.as_str()).collect();
    let several = reply.headers.iter().filter(|(name, _)| name != "set-cookie" && name != "vary").count();
    let names = once.iter().filter(|name| **name != "set-cookie" && **name != "vary").count();
    assert_eq!(several, names, "{path} {status}: a header twice: {:?}", reply.headers);
    assert!(reply.header("x-request-id").is_some_and(|id| id.len() == 32), "{path} {status}");
}
