//! Signs up with a software passkey, then signs in for tokens with two REST calls, and prints every call and answer.
//!
//! ```sh
//! make run                                                            # in one terminal
//! cargo run --example two-calls                                       # in another
//! cargo run --example two-calls -- http://localhost:8080 --bridge NAME   # a custom token instead of ours
//! ```
//!
//! `tests/support/authenticator.rs` stands in for the browser and the authenticator: it answers the options as
//! `navigator.credentials.create()` and `.get()` do, and its answers are sent to the server as `toJSON()` returns them.
//! Long texts are printed shortened; `--full` prints them whole.

#![expect(clippy::expect_used, reason = "an example ends with the first thing that goes wrong, and says what")]

#[path = "../tests/support/authenticator.rs"]
mod authenticator;

use authenticator::Authenticator;
use serde_json::{Value, json};

/// The client that a server on `localhost` knows without any configuration.
const CLIENT: &str = "quickstart";
/// Texts longer than this are shortened.
const SHORT: usize = 48;

fn main() {
    let mut server = "http://localhost:8080".to_owned();
    let mut bridge = None;
    let mut full = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--full" => full = true,
            "--bridge" => bridge = Some(arguments.next().expect("--bridge NAME")),
            url => url.trim_end_matches('/').clone_into(&mut server),
        }
    }
    let app = App { server, full };
    let mut passkey = Authenticator::synchronised(&app.server);

    println!("# Sign up: a passkey makes the account, and the answer is the one of a sign-in\n");
    let wanted = json!({ "kind": "tokens", "clientId": CLIENT, "scope": "openid" });
    let options = app.post("/v1/passkeys/registration/options", &json!({ "name": "Ada Example", "result": wanted }));
    let credential = passkey.create(&options["publicKey"]);
    app.post(
        "/v1/passkeys/registration/verify",
        &json!({ "ceremonyId": options["ceremonyId"], "credential": credential }),
    );

    println!("# Sign in: two calls\n");
    let wanted = match &bridge {
        Some(name) => json!({ "kind": "bridge", "clientId": CLIENT, "bridge": name }),
        None => json!({ "kind": "tokens", "clientId": CLIENT, "scope": "openid profile offline_access passkeys" }),
    };
    let options = app.post("/v1/passkeys/authentication/options", &json!({ "result": wanted }));
    let credential = passkey.get(&options["publicKey"]);
    let tokens = app.post(
        "/v1/passkeys/authentication/verify",
        &json!({ "ceremonyId": options["ceremonyId"], "credential": credential }),
    );

    let token = &tokens[if bridge.is_some() { "token" } else { "accessToken" }];
    println!("# What the token says\n");
    for part in token.as_str().expect("a token").split('.').take(2) {
        let bytes = authenticator::decode(&json!(part));
        let claims: Value = serde_json::from_slice(&bytes).expect("JSON");
        println!("{claims:#}\n");
    }
}

/// An app that calls the server from a page at the server's own origin.
struct App {
    server: String,
    full: bool,
}

impl App {
    /// Posts JSON, and prints the request and the answer.
    fn post(&self, path: &str, body: &Value) -> Value {
        println!("POST {path}\n{:#}\n", self.shown(body));
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent
            .post(format!("{}{path}", self.server))
            .header("Origin", &self.server)
            .send_json(body)
            .expect("the server answers; is it running?");
        let status = answer.status();
        let body: Value = answer.body_mut().read_json().expect("JSON");
        println!("{status}\n{:#}\n", self.shown(&body));
        assert!(status.is_success(), "refused");
        body
    }

    /// Returns the value with long texts shortened.
    fn shown(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if !self.full && text.len() > SHORT => json!(format!("{}…", &text[..SHORT / 2])),
            Value::Array(items) => items.iter().map(|item| self.shown(item)).collect(),
            Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), self.shown(member))).collect(),
            other => other.clone(),
        }
    }
}
