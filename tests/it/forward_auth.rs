//! Protected hosts: a proxy asks before each request whether it may pass, and who is asking.
//!
//! [`Person`] is a person with a browser that keeps separate cookies for each host; [`Person::asks`] is the proxy's
//! question about one of their requests, [`Person::goes`] a request that the proxy passes on to us (`/.passmint/…`).

mod identity;
mod proxies;
mod rules;
mod sign_in;
mod sign_out;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::support::{Browser, Options, Reply, Request, TestApp};

const APP: &str = "https://app.example.com";
const ADMIN: &str = "https://admin.example.com";
const TOKENS: &str = "https://tokens.example.com";

const CONFIG: &str = r#"
[forward_auth."https://app.example.com"]
name = "The app"
rules = [
    { path = "/public/", access = "public" },
    { path = "/hook", methods = ["POST"], access = "public" },
    { path = "/admin", groups = ["admins"] },
    { path = "/fresh", max_age = "10m" },
    { path = "/swift", max_age = "15s" },
    { path = "/pay", methods = ["POST"], max_age = "10m" },
    { path = "/hard", min_acr = "phr" },
    { path = "/never", access = "refused" },
]

[forward_auth."https://admin.example.com"]
groups = ["admins", "staff"]
headers = "none"
more_headers = { "X-User" = "user", "X-Groups" = "groups|" }
user = "email"
lifetime = "1h"

[forward_auth."https://tokens.example.com"]
headers = "oauth2-proxy"
bearer_audience = "https://tokens.example"
scopes = ["read"]
assertion_header = "X-Passmint-Assertion"
assertion_audience = "the-tokens-app"
assertion_lifetime = "30s"
rules = [{ path = "/public", access = "public" }, { path = "/swift", max_age = "30s" }, { path = "/hard", min_acr = "phr" }]

[clients.cli]
name = "Command line"
kind = "public"
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token"]
scopes = ["openid", "read", "write"]
audiences = ["https://tokens.example", "https://other.example"]

[clients.house]
name = "House"
kind = "confidential"
auth_method = "client_secret_post"
secret_digest = "API_DIGEST"
first_party = true
redirect_uris = ["https://house.example/cb"]
grants = ["authorization_code"]
scopes = ["openid", "read"]
audiences = ["https://tokens.example"]

[clients.agent]
name = "Agent"
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["token_exchange"]
scopes = ["read"]
audiences = ["https://tokens.example"]

[exchange_rules.agent]
clients = ["agent"]
subject_audiences = ["https://other.example"]
new_audiences = ["https://tokens.example"]
scopes = ["read"]
impersonation = true
"#;

fn spawn() -> TestApp {
    spawn_with(&[])
}

fn spawn_with(more: &[(&str, &str)]) -> TestApp {
    let settings = [&[("trusted_proxies", "127.0.0.1")], more].concat();
    TestApp::with(&Options { config: CONFIG, settings: &settings, ..Options::default() })
}

/// A person with a browser.
struct Person<'a> {
    app: &'a TestApp,
    /// Their cookies at our own pages.
    browser: Browser,
    /// Their cookies at other hosts, by origin: name and value.
    cookies: BTreeMap<String, Vec<(String, String)>>,
}

impl<'a> Person<'a> {
    /// Not signed in anywhere.
    fn stranger(app: &'a TestApp) -> Self {
        Self { app, browser: app.browser(), cookies: BTreeMap::new() }
    }

    /// Signed in at our pages. Also returns the passkey and the account's id.
    fn known(app: &'a TestApp) -> (Self, Authenticator, String) {
        let (mut browser, mut passkey) = (app.browser(), app.passkey());
        let user = browser.sign_up(&mut passkey)["user"]["id"].as_str().expect("an id").to_owned();
        (Self { browser, ..Self::stranger(app) }, passkey, user)
    }

    /// Signed in at our pages and at a host.
    fn at(app: &'a TestApp, host: &str) -> (Self, Authenticator, String) {
        let (mut person, passkey, user) = Self::known(app);
        person.arrives(host, "/");
        (person, passkey, user)
    }

    fn cookie_header(&self, host: &str) -> String {
        let all = self.cookies.get(host).map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// The value of the cookie that a host set at sign-in.
    fn cookie(&self, host: &str) -> Option<&str> {
        let all = self.cookies.get(host)?;
        let is_it = |name: &str| name.starts_with("__Host-passmint-forward") && !name.ends_with("-state");
        all.iter().find(|(name, _)| is_it(name)).map(|(_, value)| value.as_str())
    }

    fn with_cookies(&self, host: &str, request: Request) -> Request {
        let cookies = self.cookie_header(host);
        if cookies.is_empty() { request } else { request.header("Cookie", &cookies) }
    }

    /// The question that Caddy or Traefik asks about a request of this person.
    fn question(&self, host: &str, method: &str, target: &str) -> Request {
        self.with_cookies(host, question(self.app, host, method, target))
    }

    /// The answer to that question.
    fn asks(&self, host: &str, target: &str) -> Reply {
        self.question(host, "GET", target).send()
    }

    /// The answer to that question when the person follows a link.
    fn visits(&self, host: &str, target: &str) -> Reply {
        self.question(host, "GET", target).header("Sec-Fetch-Mode", "navigate").send()
    }

    /// The answer to nginx's question.
    fn asks_by_nginx(&self, host: &str, method: &str, target: &str) -> Reply {
        let request = self.app.request("GET", "/v1/forward-auth/nginx");
        let request = request.header("X-Original-URL", &format!("{host}{target}")).header("X-Original-Method", method);
        self.with_cookies(host, request).send()
    }

    /// A request to a host, as the proxy passes it on to us.
    fn request(&self, host: &str, method: &str, path: &str) -> Request {
        let request = self.app.request(method, path);
        self.with_cookies(host, passed_on(request, host))
    }

    /// Sends it and keeps the response's cookies.
    fn sends(&mut self, host: &str, request: Request) -> Reply {
        let reply = request.send();
        let kept = self.cookies.entry(host.to_owned()).or_default();
        for (name, value, gone) in reply.cookies() {
            kept.retain(|(known, _)| *known != name);
            if !gone {
                kept.push((name, value));
            }
        }
        reply
    }

    fn goes(&mut self, host: &str, path: &str) -> Reply {
        let request = self.request(host, "GET", path);
        self.sends(host, request)
    }

    /// Begins to sign in at a host. Returns the path of our page that continues.
    fn begins(&mut self, host: &str, back: &str) -> String {
        let back: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
        let reply = self.goes(host, &format!("/.passmint/start?rd={back}")).expect(303);
        let to = reply.header("location").expect("a place").to_owned();
        to.strip_prefix(&self.app.origin).unwrap_or_else(|| panic!("{to} is our own")).to_owned()
    }

    /// Continues as far as the code, signed in at our pages. Returns the path to return by.
    fn has_code(&mut self, host: &str, back: &str) -> String {
        let page = self.begins(host, back);
        let to = self.browser.get(&page).expect(303).header("location").expect("a place").to_owned();
        let path = to.strip_prefix(host).unwrap_or_else(|| panic!("{to} is at {host}")).to_owned();
        assert!(path.starts_with("/.passmint/return?code=pmh_"), "{path}");
        path
    }

    /// Goes the whole way. Returns where it ends.
    fn arrives(&mut self, host: &str, back: &str) -> String {
        let path = self.has_code(host, back);
        let reply = self.goes(host, &path).expect(303);
        assert!(self.cookie(host).is_some() || !host.starts_with("https"), "{:?}", reply.headers);
        reply.header("location").expect("a place").to_owned()
    }
}

/// The question that Caddy or Traefik asks about anybody's request.
fn question(app: &TestApp, host: &str, method: &str, target: &str) -> Request {
    passed_on(app.request("GET", "/v1/forward-auth"), host)
        .header("X-Forwarded-Method", method)
        .header("X-Forwarded-Uri", target)
}

fn passed_on(request: Request, host: &str) -> Request {
    let (scheme, name) = host.split_once("://").expect("an origin");
    request.header("X-Forwarded-Proto", scheme).header("X-Forwarded-Host", name)
}

/// Adds somebody to a group.
fn join(app: &TestApp, user: &str, group: &str) {
    app.sql(&format!(
        "INSERT INTO groups (id, name, created_at) VALUES (gen_random_uuid(), '{group}', now()) ON CONFLICT DO NOTHING;
         INSERT INTO group_members SELECT id, '{user}' FROM groups WHERE name = '{group}'"
    ));
}

/// Where a redirect leads.
fn leads_to(reply: &Reply) -> &str {
    assert_eq!(reply.status, 303, "{}", reply.body);
    reply.header("location").expect("a place")
}

/// An access token of the client `cli`.
fn token(app: &TestApp, passkey: &mut Authenticator, scope: &str, audience: &str) -> String {
    let result = json!({ "kind": "tokens", "clientId": "cli", "scope": scope, "audience": audience });
    let client = app.client("cli");
    let begun: Value =
        client.post("/v1/passkeys/authentication/options", &json!({ "result": result })).expect(200).json();
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    client.finish(&begun, &credential).expect(200).json()["accessToken"].as_str().expect("a token").to_owned()
}
