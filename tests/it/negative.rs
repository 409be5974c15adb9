//! What must be refused, over HTTP against the running server.
//!
//! A row takes a genuine ceremony, changes one thing, signs where an attacker could, and sends it. [`check`] holds
//! every refusal to the same: the status and code, and for hostile answers the exact bytes of [`HOSTILE`]; no cookie;
//! nothing written but one `ceremony.refused` event, with the reason the row is about; and the ceremony is used up, so
//! that the honest answer comes too late. The ids (N1, W7, 31 …) are those of the security requirements.
//! `tests/it/strict` has the rows of the reader itself; these prove that the server uses it.
//!
//! To add a row, put it into the table of its kind (`client_data`, `registration`, `assertion`, `envelope`); what
//! concerns more than one message goes to `binding`, `enumeration`, `policy`, `profiles` or `sessions`.

mod assertion;
mod binding;
mod changes;
mod client_data;
mod clients;
mod enumeration;
mod envelope;
mod policy;
mod profiles;
mod registration;
mod sessions;
mod token_endpoint;

use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::support::{Browser, Client, Reply, TestApp, verify};

/// The one response to everything hostile, byte for byte.
pub const HOSTILE: &str = concat!(
    r#"{"code":"verification_failed","detail":"The passkey could not be verified.","status":400,"#,
    r#""title":"The passkey could not be verified","type":"urn:passmint:problem:verification_failed"}"#
);

/// The ceremonies in which people can be attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// A stranger creates an account.
    SignUp,
    /// Somebody signed in adds a passkey.
    Add,
    /// A sign-in to our own pages.
    SignIn,
    /// Somebody signed in confirms who they are.
    StepUp,
    /// A sign-in for a client's tokens.
    Tokens,
}

impl Which {
    /// Those that make a passkey.
    pub const REGISTRATIONS: [Self; 2] = [Self::SignUp, Self::Add];
    /// Those that use one.
    pub const SIGN_INS: [Self; 3] = [Self::SignIn, Self::StepUp, Self::Tokens];
    /// All of them.
    pub const ALL: [Self; 5] = [Self::SignUp, Self::Add, Self::SignIn, Self::StepUp, Self::Tokens];

    pub fn is_registration(self) -> bool {
        matches!(self, Self::SignUp | Self::Add)
    }

    /// The path of its second call.
    pub fn path(self) -> &'static str {
        if self.is_registration() { "/v1/passkeys/registration/verify" } else { "/v1/passkeys/authentication/verify" }
    }
}

/// A ceremony between its two calls.
pub struct Begun {
    pub which: Which,
    /// The response to the first call.
    pub first: Value,
    pub browser: Browser,
    pub client: Client,
    /// The passkey that is created or used.
    pub passkey: Authenticator,
}

impl Begun {
    /// Begins a ceremony of a new person. If it uses a passkey, this one has been registered by them before.
    pub fn new(app: &TestApp, which: Which, mut passkey: Authenticator) -> Self {
        let (mut browser, client) = (app.browser(), app.client("web"));
        let first = match which {
            Which::SignUp => browser.begin_registration(&json!({ "purpose": "sign-up" })),
            Which::Add => {
                browser.sign_up(&mut app.passkey());
                browser.begin_registration(&json!({ "purpose": "add" }))
            }
            Which::SignIn => {
                app.browser().sign_up(&mut passkey);
                browser.begin_sign_in(&json!({}))
            }
            Which::StepUp => {
                browser.sign_up(&mut passkey);
                browser.begin_sign_in(&json!({ "purpose": "step-up" }))
            }
            Which::Tokens => {
                app.browser().sign_up(&mut passkey);
                client.begin("openid")
            }
        };
        Self { which, first, browser, client, passkey }
    }

    /// What the passkey answers in its current state.
    pub fn answer(&mut self) -> Value {
        let options = &self.first["publicKey"];
        if self.which.is_registration() { self.passkey.create(options) } else { self.passkey.get_uninvited(options) }
    }

    /// The second call.
    pub fn send(&mut self, credential: &Value) -> Reply {
        let body = verify(&self.first, credential).to_string();
        self.send_text(body)
    }

    /// The second call with a body that serde_json would not write.
    pub fn send_text(&mut self, body: String) -> Reply {
        let path = self.which.path();
        if self.which == Which::Tokens {
            return self.client.request("POST", path).body("application/json", body.into_bytes()).send();
        }
        let request = self.browser.request("POST", path).body("application/json", body.into_bytes());
        self.browser.send(request)
    }
}

/// The outcome that a row expects.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    Accepted,
    /// Refused with [`HOSTILE`]; the reason in the audit trail contains these words.
    Hostile(&'static str),
    /// Refused with a response of its own: status and code.
    Named(u16, &'static str),
}

/// A name, a change to a genuine passkey, and the expected outcome.
pub struct Row {
    pub name: &'static str,
    pub change: changes::Change,
    pub expect: Expect,
}

pub fn row(name: &'static str, change: impl Fn(&mut Authenticator) + 'static, expect: Expect) -> Row {
    Row { name, change: Box::new(change), expect }
}

/// Runs a row in a ceremony of a new person, with a passkey created by `make`.
pub fn check(app: &TestApp, which: Which, make: &dyn Fn() -> Authenticator, row: &Row) {
    let name = format!("{} ({which:?})", row.name);
    let mut begun = Begun::new(app, which, make());
    let honest = begun.answer();
    (row.change)(&mut begun.passkey);
    let answer = begun.answer();
    let before = Traces::of(app);
    let reply = begun.send(&answer);
    match row.expect {
        Expect::Accepted => {
            assert_eq!(reply.status, 200, "{name}: {}", reply.body);
            assert_eq!(Traces::of(app).refusals, before.refusals, "{name}");
            begun.send(&honest).expect_problem(410, "ceremony_expired_or_used");
        }
        Expect::Hostile(reason) => {
            hostile(app, &name, &reply, reason);
            burnt(app, &name, &mut begun, &honest, &before);
        }
        Expect::Named(status, code) => {
            refused(&name, &reply, status, code);
            burnt(app, &name, &mut begun, &honest, &before);
        }
    }
}

/// Runs every row in every ceremony.
pub fn check_all(app: &TestApp, ceremonies: &[Which], make: &dyn Fn() -> Authenticator, rows: &[Row]) {
    for which in ceremonies {
        for row in rows {
            check(app, *which, make, row);
        }
    }
}

/// Fails unless this is the response to everything hostile, and the audit trail contains this reason.
#[track_caller]
pub fn hostile(app: &TestApp, name: &str, reply: &Reply, reason: &str) {
    assert_eq!(reply.body, HOSTILE, "{name}: {:?}", last_reason(app));
    refused(name, reply, 400, "verification_failed");
    let told = last_reason(app);
    assert!(told.contains(reason), "{name}: refused because {told:?}, not {reason:?}");
}

#[track_caller]
fn refused(name: &str, reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{name}: {}", reply.body);
    assert!(reply.cookies().is_empty(), "{name}: sets a cookie");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{name}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{name}");
}

/// Fails unless only one event was written and the honest answer comes too late.
fn burnt(app: &TestApp, name: &str, begun: &mut Begun, honest: &Value, before: &Traces) {
    let once = Traces { refusals: before.refusals + 1, ..*before };
    assert_eq!(Traces::of(app), once, "{name}");
    let late = begun.send(honest);
    refused(name, &late, 410, "ceremony_expired_or_used");
    assert_eq!(Traces::of(app), once, "{name}: the answer that came too late");
}

/// What an attack could leave behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traces {
    /// `ceremony.refused` events.
    pub refusals: i64,
    /// People, passkeys, sessions and refresh families together.
    pub rows: i64,
}

impl Traces {
    pub fn of(app: &TestApp) -> Self {
        let rows = "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM credentials) \
                    + (SELECT count(*) FROM sessions) + (SELECT count(*) FROM refresh_tokens) AS n";
        Self { refusals: app.events("ceremony.refused"), rows: app.count(rows) }
    }
}

/// The reason recorded with the newest refusal.
pub fn last_reason(app: &TestApp) -> String {
    use diesel::prelude::*;
    #[derive(QueryableByName)]
    struct Reason {
        #[diesel(sql_type = diesel::sql_types::Text)]
        reason: String,
    }
    let sql =
        "SELECT detail->>'reason' AS reason FROM audit_events WHERE kind = 'ceremony.refused' ORDER BY id DESC LIMIT 1";
    let found = app.db.blocking(|conn| Ok(diesel::sql_query(sql).get_result::<Reason>(conn).optional()?));
    found.expect("the query runs").map(|row| row.reason).unwrap_or_default()
}
