//! How to test the whole server.
//!
//! [`TestApp::spawn`] runs the real server on a free port with its own database (copied from a template in one private
//! cluster for the whole test binary) and its own clock: use `app.clock.advance(…)` instead of sleeping.
//!
//! Each kind of caller has a type: [`Browser`] keeps cookies and says where it is, as our pages do; [`Client`] is an
//! app that uses REST and OAuth without cookies. An [`Authenticator`](crate::authenticator::Authenticator) answers
//! ceremonies.
//!
//! ```ignore
//! let app = TestApp::spawn();
//! let mut browser = app.browser();
//! let mut passkey = app.passkey();
//! browser.sign_up(&mut passkey);
//! browser.get("/v1/passkeys").expect(200);
//! let tokens = app.client("web").sign_in(&mut passkey, "openid").expect(200).json();
//! ```

#![allow(dead_code, reason = "each test file needs another part of it")]

mod cluster;
mod http;
pub mod jose;
pub mod nats;
pub mod oidc;
pub mod program;
pub mod receiver;
pub mod tls;
pub mod tokens;
pub mod urn;
pub mod webdriver;

use std::sync::mpsc;
use std::thread::JoinHandle;

use chrono::Duration;
use passmint::app::App;
use passmint::clock::Clock;
use passmint::config::{Config, DatabaseTls, Sources};
use passmint::storage::Db;
use serde_json::{Value, json};

pub use self::cluster::{Database, master_key_file};
pub use self::http::{Reply, Request};
use crate::authenticator::Authenticator;

/// The clients that every test server has, besides those that a test adds. `web` and `other` are public first-party
/// clients, `api` is confidential (its secret is [`API_SECRET`]) and may introspect tokens for `https://api.example`.
const CONFIG: &str = r#"
[clients.web]
name = "Web"
kind = "public"
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "passkeys", "bridge:*"]

[clients.other]
name = "Other"
kind = "public"
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token"]
scopes = ["openid", "profile"]

[clients.api]
name = "API"
kind = "confidential"
first_party = true
origins = ["ORIGIN"]
secret_digest = "API_DIGEST"
grants = ["passkey", "refresh_token"]
scopes = ["openid", "profile", "passkeys"]
audiences = ["https://api.example"]
may_introspect = ["https://api.example", "ORIGIN"]
id_token_algorithm = "ES256"
"#;

/// The secret of the client `api`.
pub const API_SECRET: &str = "pmk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// How long the product waits by default for a connection, a lock and a statement.
pub const PRODUCT_LIMITS: &[(&str, &str)] =
    &[("database.wait", "2s"), ("database.lock_timeout", "500ms"), ("database.statement_timeout", "2s")];

/// A running server.
pub struct TestApp {
    /// The URL it listens on, `http://127.0.0.1:<port>`.
    pub url: String,
    /// Its public URL, which is also its origin.
    pub origin: String,
    /// The administration listener.
    pub admin_url: String,
    /// Its clock.
    pub clock: Clock,
    /// Its database.
    pub db: Db,
    database: cluster::Database,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a test wants to differ from the defaults.
#[derive(Default)]
pub struct Options<'a> {
    /// Settings by their path.
    pub settings: &'a [(&'a str, &'a str)],
    /// More TOML for the configuration file; `ORIGIN` stands for the public URL.
    pub config: &'a str,
    /// A public URL other than `http://localhost:<port>`.
    pub public_url: Option<&'a str>,
    /// An existing server whose database this one shares.
    pub beside: Option<&'a TestApp>,
}

impl TestApp {
    /// A server with limits off and ceremonies in memory.
    pub fn spawn() -> Self {
        Self::with(&Options::default())
    }

    /// A server with these options.
    pub fn with(options: &Options<'_>) -> Self {
        let database = match options.beside {
            Some(other) => other.database.share(),
            None => cluster::Database::create(),
        };
        let clock = options.beside.map_or_else(Clock::system, |other| other.clock.clone());
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (port, admin_port) = (free_port(), free_port());
        let public_url = options.public_url.map_or_else(|| format!("http://localhost:{port}"), ToOwned::to_owned);
        let config = config(options, &database, &public_url, port, admin_port);
        let app_clock = clock.clone();
        let thread = std::thread::spawn(move || {
            let app = App::build(config, &app_clock, "test").expect("the server starts");
            ready.send(app.db()).expect("the test waits");
            let stopped = async move {
                let _ = stopped.await;
            };
            actix_web::rt::System::new().block_on(app.run(stopped)).expect("the server runs");
        });
        let db = started.recv_timeout(std::time::Duration::from_secs(60)).expect("the server starts");
        let app = Self {
            url: format!("http://127.0.0.1:{port}"),
            origin: public_url,
            admin_url: format!("http://127.0.0.1:{admin_port}"),
            clock,
            db,
            database,
            stop: Some(stop),
            thread: Some(thread),
        };
        http::wait_until_up(&app.url);
        app
    }

    /// The configuration of another server on the same database, which is not started.
    pub fn config_beside(&self, options: &Options<'_>) -> Config {
        let public_url = options.public_url.unwrap_or(&self.origin);
        config(options, &self.database, public_url, free_port(), free_port())
    }

    /// The libpq URL of its database.
    pub fn database_url(&self) -> &str {
        self.database.url()
    }

    /// A browser at our own pages, without cookies yet.
    pub fn browser(&self) -> Browser {
        Browser { url: self.url.clone(), origin: self.origin.clone(), cookies: Vec::new() }
    }

    /// An app that acts as a client.
    pub fn client(&self, id: &str) -> Client {
        Client { url: self.url.clone(), origin: self.origin.clone(), id: id.to_owned() }
    }

    /// A software passkey, not registered yet; synchronised, as most are.
    pub fn passkey(&self) -> Authenticator {
        Authenticator::synchronised(&self.origin)
    }

    /// A browser signed in to a new account, with its passkey.
    pub fn person(&self) -> (Browser, Authenticator) {
        let (mut browser, mut passkey) = (self.browser(), self.passkey());
        browser.sign_up(&mut passkey);
        (browser, passkey)
    }

    /// A request without cookies or origin.
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, &self.url, path)
    }

    /// How many audit events of a kind there are, except those that report what the configuration declares.
    pub fn events(&self, kind: &str) -> i64 {
        let of_kind = format!("SELECT count(*) AS n FROM audit_events WHERE kind = '{kind}'");
        self.count(&format!("{of_kind} AND NOT jsonb_exists(detail, 'configuration')"))
    }

    /// The number that a query returns as `n`.
    pub fn count(&self, sql: &str) -> i64 {
        use diesel::prelude::*;
        #[derive(QueryableByName)]
        struct Count {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            n: i64,
        }
        self.db.blocking(|conn| Ok(diesel::sql_query(sql).get_result::<Count>(conn)?.n)).expect("the query runs")
    }

    /// The names of all tables.
    pub fn tables(&self) -> Vec<String> {
        use diesel::prelude::*;
        #[derive(QueryableByName)]
        struct Table {
            #[diesel(sql_type = diesel::sql_types::Text)]
            name: String,
        }
        let sql = "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public'";
        let tables = self.db.blocking(|conn| Ok(diesel::sql_query(sql).load::<Table>(conn)?)).expect("the query runs");
        tables.into_iter().map(|table| table.name).collect()
    }

    /// How many rows of a table contain a secret in any column, with its prefix (`pmc_`) or without.
    pub fn rows_with(&self, table: &str, secret: &str) -> i64 {
        let prefixed = secret.starts_with("pm") && secret.get(3..4) == Some("_");
        let body = if prefixed { &secret[4..] } else { secret };
        assert!(body.len() >= 16, "what is shorter is found by chance: {body}");
        self.count(&format!("SELECT count(*) AS n FROM {table} t WHERE strpos(t::text, '{body}') > 0"))
    }

    /// Runs SQL, as an operator might by hand.
    pub fn sql(&self, sql: &str) {
        use diesel::connection::SimpleConnection;
        self.db.blocking(|conn| Ok(conn.batch_execute(sql)?)).expect("the statement runs");
    }

    /// Advances the clock.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn config(options: &Options<'_>, database: &cluster::Database, public_url: &str, port: u16, admin_port: u16) -> Config {
    let digest = crate::authenticator::encode(passmint::domain::secret::TokenDigest::of(API_SECRET).as_bytes());
    let text = format!("{CONFIG}\n{}", options.config).replace("ORIGIN", public_url).replace("API_DIGEST", &digest);
    let mut flags: Vec<(String, String)> = [
        ("public_url", public_url.to_owned()),
        ("listen", format!("127.0.0.1:{port}")),
        ("admin_listen", format!("127.0.0.1:{admin_port}")),
        ("master_key_file", cluster::master_key_file().display().to_string()),
        ("challenges.store", "memory".to_owned()),
        ("limits.enabled", "false".to_owned()),
        ("workers", "1".to_owned()),
        // The one cluster of all tests has 40 connections.
        ("database.pool", "8".to_owned()),
        // A machine that is busy with other tests is not a fault; tests of faults use `PRODUCT_LIMITS`.
        ("database.wait", "20s".to_owned()),
        ("database.lock_timeout", "20s".to_owned()),
        ("database.statement_timeout", "20s".to_owned()),
        ("log.level", "error".to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    for (key, value) in options.settings {
        flags.retain(|(known, _)| known != key);
        flags.push(((*key).to_owned(), (*value).to_owned()));
    }
    Config::load(Sources {
        file: Some(("test.toml".into(), text)),
        environment: vec![("DATABASE_URL".to_owned(), database.url().into())],
        flags,
        read_secret: &|path| std::fs::read_to_string(path),
        database_tls: DatabaseTls::of_this_build(),
    })
    .unwrap_or_else(|problems| panic!("{problems}"))
}

/// A port that nobody listens on, and that no other test of this run gets.
pub fn free_port() -> u16 {
    free_ports(1)
}

/// The first of some consecutive ports that nobody listens on, and that no other test of this run gets.
///
/// They are below the ports that the system assigns to outgoing connections and to programs that ask for any port
/// (`ip_local_port_range`, from 32,768): one of those could be taken between checking and listening.
pub fn free_ports(count: u16) -> u16 {
    const FIRST: u16 = 12_000;
    const LAST: u16 = 32_000;
    static NEXT: std::sync::Mutex<Option<u16>> = std::sync::Mutex::new(None);
    let mut next = NEXT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Two concurrent runs begin at different places.
    let begin = || FIRST + u16::try_from(std::process::id() * 97 % u32::from(LAST - FIRST)).expect("it is below LAST");
    for _ in 0..LAST - FIRST {
        let first = next.unwrap_or_else(begin);
        let range = first..first + count;
        *next = Some(if range.end + count > LAST { FIRST } else { range.end });
        if range.into_iter().all(|port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
    panic!("no free port between {FIRST} and {LAST}");
}

/// A browser at our own pages: keeps cookies, and says where its requests come from.
#[derive(Clone)]
pub struct Browser {
    url: String,
    /// Its origin.
    pub origin: String,
    /// Its cookies: name and value.
    pub cookies: Vec<(String, String)>,
}

impl Browser {
    /// A browser at the pages of any server, without cookies yet.
    pub fn at(url: &str, origin: &str) -> Self {
        Self { url: url.to_owned(), origin: origin.to_owned(), cookies: Vec::new() }
    }

    /// A request from one of our pages, with its cookies.
    pub fn request(&self, method: &str, path: &str) -> Request {
        let mut request = Request::new(method, &self.url, path).header("Sec-Fetch-Site", "same-origin");
        if !["GET", "HEAD"].contains(&method) {
            request = request.header("Origin", &self.origin);
        }
        if self.cookies.is_empty() {
            return request;
        }
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request.header("Cookie", &cookies.join("; "))
    }

    /// Sends a request and keeps the cookies of the answer.
    pub fn send(&mut self, request: Request) -> Reply {
        let reply = request.send();
        self.keep(&reply);
        reply
    }

    /// GET.
    pub fn get(&mut self, path: &str) -> Reply {
        let request = self.request("GET", path);
        self.send(request)
    }

    /// POST of JSON.
    pub fn post(&mut self, path: &str, body: &Value) -> Reply {
        let request = self.request("POST", path).json(body);
        self.send(request)
    }

    /// Another method, with an optional JSON body.
    pub fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let request = self.request(method, path);
        self.send(match body {
            Some(body) => request.json(body),
            None => request,
        })
    }

    fn keep(&mut self, reply: &Reply) {
        for (name, value, gone) in reply.cookies() {
            self.cookies.retain(|(known, _)| *known != name);
            if !gone {
                self.cookies.push((name, value));
            }
        }
    }

    /// The session cookie's value, if there is one.
    pub fn session(&self) -> Option<&str> {
        self.cookies.iter().find(|(name, _)| !name.ends_with("-pre")).map(|(_, value)| value.as_str())
    }

    /// The first call of a sign-in.
    pub fn begin_sign_in(&mut self, body: &Value) -> Value {
        self.post("/v1/passkeys/authentication/options", body).expect(200).json()
    }

    /// The second call of a sign-in or step-up.
    pub fn finish_sign_in(&mut self, begun: &Value, credential: &Value) -> Reply {
        self.post("/v1/passkeys/authentication/verify", &verify(begun, credential))
    }

    /// The first call of a registration.
    pub fn begin_registration(&mut self, body: &Value) -> Value {
        self.post("/v1/passkeys/registration/options", body).expect(200).json()
    }

    /// The second call of a registration.
    pub fn finish_registration(&mut self, begun: &Value, credential: &Value) -> Reply {
        self.post("/v1/passkeys/registration/verify", &verify(begun, credential))
    }

    /// Signs up with a passkey. Returns the response body.
    pub fn sign_up(&mut self, passkey: &mut Authenticator) -> Value {
        let begun = self.begin_registration(&json!({ "purpose": "sign-up" }));
        let credential = passkey.create(&begun["publicKey"]);
        self.finish_registration(&begun, &credential).expect(200).json()
    }

    /// Signs in with a passkey, without an e-mail address. Returns the whole response.
    pub fn sign_in(&mut self, passkey: &mut Authenticator) -> Reply {
        let begun = self.begin_sign_in(&json!({}));
        let credential = passkey.get_uninvited(&begun["publicKey"]);
        self.finish_sign_in(&begun, &credential)
    }

    /// Confirms the person's identity in a step-up.
    pub fn step_up(&mut self, passkey: &mut Authenticator) -> Reply {
        let begun = self.begin_sign_in(&json!({ "purpose": "step-up" }));
        let credential = passkey.get(&begun["publicKey"]);
        self.finish_sign_in(&begun, &credential)
    }

    /// Adds a passkey. Returns the response.
    pub fn add(&mut self, passkey: &mut Authenticator) -> Reply {
        let begun = self.begin_registration(&json!({ "purpose": "add" }));
        let credential = passkey.create(&begun["publicKey"]);
        self.finish_registration(&begun, &credential)
    }
}

/// An app that acts as a client, from its page at our origin, without cookies.
#[derive(Clone)]
pub struct Client {
    url: String,
    /// The origin it runs on.
    pub origin: String,
    /// Its `client_id`.
    pub id: String,
}

impl Client {
    /// An app that acts as a client of any server.
    pub fn at(url: &str, origin: &str, id: &str) -> Self {
        Self { url: url.to_owned(), origin: origin.to_owned(), id: id.to_owned() }
    }

    /// A request from the client's page.
    pub fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, &self.url, path).header("Origin", &self.origin)
    }

    /// POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.request("POST", path).json(body).send()
    }

    /// The first call of a sign-in for tokens.
    pub fn begin(&self, scope: &str) -> Value {
        let result = json!({ "kind": "tokens", "clientId": self.id, "scope": scope });
        self.post("/v1/passkeys/authentication/options", &json!({ "result": result })).expect(200).json()
    }

    /// The second call.
    pub fn finish(&self, begun: &Value, credential: &Value) -> Reply {
        self.post("/v1/passkeys/authentication/verify", &verify(begun, credential))
    }

    /// Signs in for tokens.
    pub fn sign_in(&self, passkey: &mut Authenticator, scope: &str) -> Reply {
        let begun = self.begin(scope);
        let credential = passkey.get_uninvited(&begun["publicKey"]);
        self.finish(&begun, &credential)
    }

    /// Calls the token endpoint, adding `client_id`.
    pub fn token(&self, parameters: &[(&str, &str)]) -> Reply {
        let mut all = parameters.to_vec();
        all.push(("client_id", &self.id));
        self.request("POST", "/oauth/token").form(&all).send()
    }

    /// Refreshes tokens.
    pub fn refresh(&self, token: &str) -> Reply {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    /// Revokes a token.
    pub fn revoke(&self, token: &str) -> Reply {
        self.request("POST", "/oauth/revoke").form(&[("token", token), ("client_id", &self.id)]).send()
    }

    /// A request that carries an access token.
    pub fn bearer(&self, method: &str, path: &str, token: &str) -> Request {
        self.request(method, path).header("Authorization", &format!("Bearer {token}"))
    }
}

/// Asks, as the confidential client `api`, whether a token is active.
pub fn introspect(app: &TestApp, token: &str) -> Value {
    app.request("POST", "/oauth/introspect")
        .basic("api", API_SECRET)
        .form(&[("token", token)])
        .send()
        .expect(200)
        .json()
}

/// The body of a second call.
pub fn verify(begun: &Value, credential: &Value) -> Value {
    json!({ "ceremonyId": begun["ceremonyId"], "credential": credential })
}
