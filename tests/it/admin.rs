//! Administration over HTTP. [`Ops`] is an operator's program: a confidential client with its own tokens.

mod bridges;
mod clients;
mod frame;
mod outbox;
mod resources;
mod users;

use chrono::{DateTime, Utc};
use passmint::tokens::keys::{Algorithm, Use};
use passmint::tokens::seal::{GroupReadable, MasterKey};
use passmint::tokens::signer::Signer;
use passmint::tokens::{Keys, typ};
use serde_json::{Value, json};

use crate::support::{Options, Reply, Request, TestApp, master_key_file};

/// A confidential client that may administer, and one that no longer may once a test disables it.
const CONFIG: &str = r#"
[clients.ops]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["client_credentials"]
scopes = ["admin", "admin:read", "admin:clients", "admin:clients:read", "admin:users", "admin:users:read", "admin:bridges", "admin:bridges:read", "admin:audit:read", "admin:outbox", "admin:outbox:read", "orders"]

[clients.desk]
kind = "public"
redirect_uris = ["http://localhost:1/cb"]
grants = ["authorization_code"]
scopes = ["openid", "admin", "admin:users:read"]
"#;

/// An operator's program.
pub struct Ops {
    pub app: TestApp,
    token: String,
}

impl Ops {
    pub fn new() -> Self {
        Self::with(&[], "admin")
    }

    pub fn with(settings: &[(&str, &str)], scope: &str) -> Self {
        let app = TestApp::with(&Options { config: CONFIG, settings, ..Options::default() });
        let token = granted(&app, scope);
        Self { app, token }
    }

    /// The same with additional configuration.
    pub fn with_config(more: &str) -> Self {
        let app = TestApp::with(&Options { config: &format!("{CONFIG}\n{more}"), ..Options::default() });
        let token = granted(&app, "admin");
        Self { app, token }
    }

    /// The same program with other scopes.
    pub fn request_as(&self, scope: &str, method: &str, path: &str) -> Request {
        let token = granted(&self.app, scope);
        self.app.request(method, path).header("Authorization", &format!("Bearer {token}"))
    }

    pub fn request(&self, method: &str, path: &str) -> Request {
        self.app.request(method, path).header("Authorization", &format!("Bearer {}", self.token))
    }

    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path).send()
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.request("POST", path).json(body).send()
    }

    /// Changes the current version.
    pub fn patch(&self, path: &str, body: &Value) -> Reply {
        let etag = self.get(path).expect(200).header("etag").expect("a version").to_owned();
        self.request("PATCH", path).header("If-Match", &etag).json(body).send()
    }

    pub fn delete(&self, path: &str) -> Reply {
        self.request("DELETE", path).send()
    }

    /// Creates a confidential client by administration.
    pub fn make_client(&self, id: &str, definition: &Value) -> Value {
        self.post("/v1/admin/clients", &json!({ "id": id, "definition": definition })).expect(201).json()
    }

    /// Creates a person by administration. Returns the path.
    pub fn make_person(&self, body: &Value) -> String {
        let made = self.post("/v1/admin/users", body).expect(201);
        made.header("location").expect("a place").to_owned()
    }
}

/// The settings of a web app.
pub fn web_app() -> Value {
    json!({
        "name": "Shop", "kind": "confidential", "grants": ["authorization_code"], "scopes": "openid email",
        "redirect_uris": ["https://shop.example/cb"],
    })
}

/// A token that the operator's program got for itself.
pub fn granted(app: &TestApp, scope: &str) -> String {
    let reply = app.token_by("ops", &[("grant_type", "client_credentials"), ("scope", scope)]).expect(200).json();
    reply["access_token"].as_str().expect("a token").to_owned()
}

/// A client's own token as no grant would issue it, signed with the server's key.
pub fn own_token(app: &TestApp, client: &str, scope: &str) -> String {
    token(app, &json!({ "sub": client, "client_id": client, "scope": scope }))
}

/// A person's access token, made from what `/v1/session` reports: the token that a code would have given at that
/// moment.
pub fn person_token(app: &TestApp, seen: &Value, scope: &str) -> String {
    let session = &seen["session"];
    let auth_time = session["authTime"].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok()).expect("a time");
    let claims = json!({
        "sub": seen["user"]["id"], "client_id": "desk", "sid": session["id"], "scope": scope,
        "acr": session["acr"], "amr": session["amr"], "auth_time": auth_time.timestamp(),
    });
    token(app, &claims)
}

/// Any access token, signed with the server's own key.
pub fn token(app: &TestApp, more: &Value) -> String {
    signed(app, typ::ACCESS, more)
}

/// Any token of this type, signed with the server's own key.
pub fn signed(app: &TestApp, typ: &str, more: &Value) -> String {
    let master = MasterKey::load(&master_key_file(), GroupReadable::Refused).expect("the master key");
    let keys = app.change_keys(|conn, _, now| Keys::open(conn, master, now));
    let now = app.clock.now().timestamp();
    let mut claims = json!({
        "iss": app.origin, "aud": app.origin, "iat": now, "exp": now + 600, "jti": passmint::random::uuid(),
    });
    let (Value::Object(all), Value::Object(more)) = (&mut claims, more.clone()) else { panic!("objects") };
    all.extend(more);
    let ring = keys.ring();
    let key = ring.signing(&Use::Tokens, Algorithm::ES256).expect("a key");
    Signer::new().sign(key, typ, &claims).expect("a token")
}
