//! What a running server reports about itself, in logs, metrics and tables.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::directory;
use crate::authenticator::Authenticator;
use crate::support::oidc::{Ask, VERIFIER};
use crate::support::program::{Program, serve_on};
use crate::support::{API_SECRET, Database, Request, free_ports, master_key_file};

/// A request's log line has the id that its response has, and belongs to the caller's trace (W3C Trace Context), if
/// any.
#[test]
fn a_log_line_names_its_request_and_the_trace_that_it_is_of() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let directory = directory();
    let database = Database::create();
    let program = Program::start(serve_on(directory.path(), &database, &[("log.format", "json")]));
    let ask = |traceparent: &str| {
        let reply = Request::new("GET", &program.url, "/v1/session").header("traceparent", traceparent).send();
        reply.header("x-request-id").expect("the answer has an id").to_owned()
    };
    let traced = ask(&format!("00-{TRACE}-b7ad6b7169203331-01"));
    let untraced = ask(&format!("00-{TRACE}-0000000000000000-01"));
    assert_ne!(traced, untraced);
    program.ask_to_stop();
    let (status, said) = program.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    for (id, trace, parent) in [(&traced, TRACE, "b7ad6b7169203331"), (&untraced, "", "")] {
        let lines: Vec<Value> = said
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| line["span"]["request.id"] == id.as_str())
            .collect();
        assert!(
            lines.iter().any(|line| line["message"] == "answered" && line["http.route"] == "/v1/session"),
            "{said}"
        );
        for line in &lines {
            let span = &line["span"];
            assert_eq!((&span["trace.id"], &span["trace.parent"]), (&trace.into(), &parent.into()), "{line}");
        }
    }
}

const CLIENTS: &str = r#"
[clients.web]
name = "Web"
kind = "public"
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token"]
scopes = ["openid", "email", "passkeys"]

[clients.api]
name = "API"
kind = "confidential"
secret_digest = "DIGEST"
grants = []
may_introspect = ["ORIGIN"]

[clients.house]
name = "House"
kind = "public"
first_party = true
redirect_uris = ["https://house.example/cb"]
grants = ["authorization_code"]
scopes = ["openid"]
"#;

/// Every secret that a working session shows to callers, collected from both ends.
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, name: &'static str, value: impl ToString) {
        let value = value.to_string();
        assert!(value.trim_matches('"').len() >= 16, "{name} is long enough to be told from chance: {value}");
        self.0.push((name, value.trim_matches('"').to_owned()));
    }
}

/// Nothing that would let a reader of the logs or the database impersonate somebody reaches either, at the most verbose
/// level.
#[test]
fn no_secret_reaches_logs_metrics_or_tables() {
    let directory = directory();
    let database = Database::create();
    let port = free_ports(2);
    let origin = format!("http://localhost:{port}");
    let digest: String = crate::authenticator::encode(passmint::domain::secret::TokenDigest::of(API_SECRET).as_bytes());
    fs::write(directory.path().join("passmint.toml"), CLIENTS.replace("ORIGIN", &origin).replace("DIGEST", &digest))
        .unwrap();
    let program = Program::start_at(
        serve_on(directory.path(), &database, &[("log.level", "trace"), ("log.format", "json")]),
        port,
    );
    let mut secrets = Secrets(Vec::new());
    work(&program, &mut secrets);
    secrets.add("master key", fs::read_to_string(master_key_file()).unwrap().trim().split(' ').next_back().unwrap());

    let metrics = Request::new("GET", &program.admin_url, "/metrics").send().expect(200).body;
    let detail = Request::new("GET", &program.admin_url, "/readyz").send().body;
    program.ask_to_stop();
    let (status, said) = program.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    let requests = said.lines().filter(|line| line.contains("\"answered\"")).count();
    assert!(requests >= 15, "every request has its line: {requests}");
    assert!(said.contains("\"request refused\""), "refusals have their reason: {said}");
    for (name, value) in &secrets.0 {
        if let Some(line) = said.lines().find(|line| line.contains(value.as_str())) {
            panic!("{name} is in the log: {line}");
        }
        assert!(!metrics.contains(value.as_str()) && !detail.contains(value.as_str()), "{name} is in the metrics");
        // The account's e-mail address is in the database by design.
        if *name != "e-mail" && *name != "query" {
            for table in database.tables() {
                let hex: String = value.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
                let sql = format!(
                    "SELECT count(*) AS n FROM \"{table}\" t WHERE t::text LIKE '%{value}%' OR t::text LIKE '%{hex}%'"
                );
                assert_eq!(database.count(&sql), 0, "{name} is in table {table}");
            }
        }
    }
}

/// Metrics never count by identity: more people, browsers, tokens and wrong answers raise values without adding new
/// series.
#[test]
fn metrics_do_not_grow_with_people() {
    let directory = directory();
    let database = Database::create();
    let program = Program::start(serve_on(directory.path(), &database, &[]));
    let figures = || -> BTreeSet<String> {
        let text = Request::new("GET", &program.admin_url, "/metrics").send().expect(200).body;
        // The background's metrics appear whenever it has counted.
        let background = ["#", "passmint_database_", "passmint_outbox_"];
        let lines = text.lines().filter(|line| !background.iter().any(|start| line.starts_with(start)));
        lines.filter_map(|line| line.rsplit_once(' ')).map(|(figure, _)| figure.to_owned()).collect()
    };
    let visit = || {
        let (mut browser, mut passkey) = (program.browser(), Authenticator::synchronised(&program.origin));
        browser.sign_up(&mut passkey);
        browser.sign_in(&mut passkey).expect(200);
        let id = browser.get("/v1/passkeys").expect(200).json()["passkeys"][0]["id"].clone();
        browser.get(&format!("/account/passkeys/{}/rename", id.as_str().unwrap())).expect(200);
        browser.get(&format!("/v1/passkeys/{}", id.as_str().unwrap())).expect(405);
        let client = program.client("quickstart");
        let tokens = client.sign_in(&mut passkey, "openid").expect(200).json();
        client.refresh(tokens["refreshToken"].as_str().unwrap()).expect(200);
        client.refresh("x").expect_oauth(400, "invalid_grant");
        browser.call("DELETE", "/v1/session", None).expect(200);
    };
    visit();
    let first = figures();
    assert!(first.iter().any(|figure| figure.starts_with("passmint_sign_ins_total")), "{first:?}");
    for _ in 0..3 {
        visit();
    }
    assert_eq!(figures(), first);
}

/// Signs up, in, out, and in with wrong answers; records what must stay secret.
fn work(program: &Program, secrets: &mut Secrets) {
    let (mut browser, mut passkey) = (program.browser(), Authenticator::synchronised(&program.origin));
    secrets.add("e-mail", "marker.person.7261@mail.example");
    let begun =
        browser.begin_registration(&json!({ "purpose": "sign-up", "email": "marker.person.7261@mail.example" }));
    secrets.add("handle of a registration", &begun["ceremonyId"]);
    secrets.add("challenge of a registration", &begun["publicKey"]["challenge"]);
    let credential = passkey.create(&begun["publicKey"]);
    browser.finish_registration(&begun, &credential).expect(200);
    for (name, value) in browser.cookies.clone() {
        secrets.add(if name.ends_with("-pre") { "pre-session" } else { "first session" }, value);
    }
    browser.get("/account?marker=query-marker-55aa9911").expect(200);
    secrets.add("query", "query-marker-55aa9911");
    secrets.add("form token", crate::routes::csrf_of(&mut browser));
    let ask = Ask::of("house").with("state", "state-marker-66cc8822");
    secrets.add("state", "state-marker-66cc8822");
    let code = ask.send(&mut browser).back().code();
    secrets.add("code", &code);
    secrets.add("verifier", VERIFIER);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", "https://house.example/cb"),
        ("code_verifier", VERIFIER),
        ("client_id", "house"),
    ];
    let redeemed = Request::new("POST", &program.url, "/oauth/token").form(&form).send().expect(200).json();
    secrets.add("token of a code", &redeemed["access_token"]);
    assert_eq!(ask.with("scope", "openid admin").send(&mut browser).back().error(), "invalid_scope");

    let begun = browser.begin_sign_in(&json!({ "email": "marker.person.7261@mail.example" }));
    secrets.add("challenge of a sign-in", &begun["publicKey"]["challenge"]);
    let answer = passkey.get_uninvited(&begun["publicKey"]);
    secrets.add("signature", &answer["response"]["signature"]);
    browser.finish_sign_in(&begun, &answer).expect(200);
    secrets.add("second session", browser.session().expect("signed in"));
    // Repeated, which is refused: the reason is logged, but not what was sent.
    browser.finish_sign_in(&begun, &answer).expect_problem(410, "ceremony_expired_or_used");
    let begun = browser.begin_sign_in(&json!({}));
    let mut hostile = passkey.get_uninvited(&begun["publicKey"]);
    hostile["response"]["signature"] = json!("MARKERMARKERMARKERMARKER");
    secrets.add("refused signature", "MARKERMARKERMARKERMARKER");
    browser.finish_sign_in(&begun, &hostile).expect_problem(400, "verification_failed");

    let client = program.client("web");
    let tokens = client.sign_in(&mut passkey, "openid email passkeys").expect(200).json();
    for name in ["accessToken", "refreshToken", "idToken"] {
        secrets.add("token", &tokens[name]);
    }
    let access = tokens["accessToken"].as_str().unwrap();
    client.bearer("GET", "/v1/passkeys", access).send().expect(200);
    client.bearer("GET", "/v1/me/sessions", &format!("{access}x")).send().expect_problem(401, "invalid_token");
    let refresh = tokens["refreshToken"].as_str().unwrap();
    let fresh = client.refresh(refresh).expect(200).json();
    secrets.add("second refresh token", &fresh["refresh_token"]);
    let third = client.refresh(fresh["refresh_token"].as_str().unwrap()).expect(200).json();
    client.refresh(refresh).expect_oauth(400, "invalid_grant");
    let introspect = Request::new("POST", &program.url, "/oauth/introspect");
    introspect.basic("api", API_SECRET).form(&[("token", access)]).send().expect(200);
    secrets.add("client secret", API_SECRET);
    let introspect = Request::new("POST", &program.url, "/oauth/introspect").basic("api", "pmk_WRONGWRONGWRONGWRONG");
    introspect.form(&[("token", access)]).send().expect_oauth(401, "invalid_client");
    secrets.add("wrong client secret", "pmk_WRONGWRONGWRONGWRONG");
    client.revoke(third["refresh_token"].as_str().unwrap()).expect(200);
    let nonsense = browser
        .request("POST", "/v1/passkeys/authentication/options")
        .body("application/json", br#"{"email":"second.marker.8812@mail.example","x":"y"}"#.to_vec());
    nonsense.send().expect_problem(400, "invalid_request");
    secrets.add("e-mail", "second.marker.8812@mail.example");
    browser.call("DELETE", "/v1/session", None).expect(200);
}
