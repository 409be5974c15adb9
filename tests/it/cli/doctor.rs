//! `passmint doctor`, `bridges …` and `migrate`.

use std::fs;

use serde_json::Value;

use super::{Operator, eventually};
use crate::support::{Database, Options, TestApp};

const BRIDGE: &str = r#"
[bridges.demo]
preset = "jwt"
audience = "https://target.example"

[bridges.demo.claims]
who = "{{ user.name? }}"
phone = "{{ user.phone? }}"
"#;

fn finding<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report.as_array().expect("a list");
    all.iter().find(|finding| finding["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"))
}

fn report(operator: &Operator) -> (Option<i32>, Value) {
    let ran = operator.run(&["doctor", "--json"]);
    (ran.code, serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err)))
}

#[test]
fn all_is_well_beside_a_running_server() {
    let app = TestApp::with(&Options { config: BRIDGE, ..Options::default() });
    let mut operator = Operator::of(&app);
    operator.write("passmint.toml", BRIDGE);
    let listen = app.url.trim_start_matches("http://").to_owned();
    operator.set("PASSMINT_LISTEN", &listen);
    operator.set("PASSMINT_ADMIN_LISTEN", app.admin_url.trim_start_matches("http://"));
    let (code, report) = report(&operator);
    assert_eq!(code, Some(0), "{report:#}");
    let said = |name: &str| finding(&report, name)["detail"].as_str().unwrap().to_owned();
    assert!(said(&format!("listen {listen}")).contains("is ready"));
    assert!(said("bridge demo").contains("signs for the sample users"));
    assert!(said("signing key tokens RS256").contains("signs and verifies"));
    let text = operator.ok(&["doctor"]);
    assert!(text.lines().all(|line| line.starts_with("✓ ")), "{text}");
}

#[test]
fn each_thing_that_is_wrong_is_named() {
    let app = TestApp::spawn();
    let wrong = |change: &dyn Fn(&mut Operator), name: &str, expected: &str| {
        let mut operator = Operator::of(&app);
        change(&mut operator);
        let (code, report) = report(&operator);
        let finding = finding(&report, name);
        assert!(code == Some(1) && finding["ok"] == false, "{name}: {report:#}");
        assert!(finding["detail"].as_str().unwrap().contains(expected), "{name}: {finding}");
    };
    wrong(&|operator| operator.set("PASSMINT_TOKENS_ACCESS_TTL", "x"), "configuration", "tokens.access_ttl");
    wrong(&|operator| operator.set("DATABASE_URL", "postgres:///none?host=/nowhere"), "database", "cannot be used");
    wrong(&|operator| fs::remove_file(operator.path("master.key")).unwrap(), "master key", "master.key does not exist");
    wrong(
        &|operator| {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(operator.path("master.key"), fs::Permissions::from_mode(0o644)).unwrap();
        },
        "master key",
        "chmod 600",
    );
    wrong(&|operator| operator.write("passmint.toml", BRIDGE), "bridge demo", "start the server once");
    let firebase = "[bridges.fire]\npreset = \"firebase\"\nservice_account_file = \"missing.json\"\n";
    wrong(&|operator| operator.write("passmint.toml", firebase), "bridge fire", "missing.json\" cannot be read");
    wrong(
        &|operator| operator.set("PASSMINT_LISTEN", "192.0.2.1:8080"),
        "listen 192.0.2.1:8080",
        "this machine has no such address",
    );
    let alter = |how: &str| {
        app.sql(&format!("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {how}', current_database()); END $$"));
    };
    alter("SET synchronous_commit = off");
    wrong(&|_| {}, "database", "synchronous_commit is off");
    alter("RESET synchronous_commit");
    app.sql(
        "UPDATE signing_keys SET sealed = set_byte(sealed, 40, 255 - get_byte(sealed, 40)) WHERE purpose = 'refresh'",
    );
    wrong(&|_| {}, "signing keys", "damaged or not in its place");
}

/// The order in `docs/operations/deploy.md`: what the first start creates is not reported as missing before it.
#[test]
fn nothing_is_wrong_between_keys_init_and_the_first_start() {
    let database = Database::empty();
    let mut operator = Operator::new();
    operator.set("DATABASE_URL", database.url());
    operator.set("PASSMINT_LISTEN", "127.0.0.1:0");
    operator.set("PASSMINT_ADMIN_LISTEN", "off");
    operator.write("passmint.toml", BRIDGE);
    let cure = |name: &str| {
        let (code, report) = report(&operator);
        let finding = finding(&report, name);
        assert!(code == Some(1) && finding["ok"] == false, "{name}: {report:#}");
        assert!(finding["detail"].as_str().unwrap().contains("run `passmint keys init`"), "{name}: {finding}");
    };
    cure("tables");
    operator.ok(&["migrate"]);
    cure("master key");
    operator.ok(&["keys", "init"]);
    let (code, report) = report(&operator);
    assert_eq!(code, Some(0), "{report:#}");
    assert!(finding(&report, "signing keys")["detail"].as_str().unwrap().contains("not made yet"));
    assert!(finding(&report, "bridge demo")["detail"].as_str().unwrap().contains("has made its key"));
}

#[test]
fn a_bridge_is_tried_with_samples_and_with_a_person() {
    let app = TestApp::with(&Options { config: BRIDGE, ..Options::default() });
    let operator = Operator::of(&app);
    operator.write("passmint.toml", BRIDGE);
    assert!(operator.ok(&["bridges", "list"]).contains("a key of its own, ES256"));
    let samples = operator.json(&["bridges", "test", "demo"]);
    assert_eq!(samples.as_array().map(Vec::len), Some(3));
    assert_eq!(samples[0]["claims"]["aud"], "https://target.example");
    assert_eq!(samples[0]["bytes"], samples[0]["token"].as_str().unwrap().len());
    let now = app.clock.now().timestamp();
    assert!(samples[0]["claims"]["exp"].as_i64().unwrap() < now, "a sample is of the past");
    assert_eq!(app.events("bridge.minted"), 0);

    let (mut browser, _) = app.person();
    let id = browser.get("/v1/session").expect(200).json()["user"]["id"].as_str().unwrap().to_owned();
    let real = operator.json(&["bridges", "test", "demo", "--user", &id]);
    assert_eq!(real[0]["claims"]["sub"], id.as_str());
    assert!(real[0]["claims"]["exp"].as_i64().unwrap() > now);
    assert_eq!(app.events("bridge.minted"), 1, "a real token is witnessed");
    for (profile, phone) in [
        (r#"{"phone_number": "+14255551212"}"#, Value::Null),
        (r#"{"phone_number": "+14255551212", "phone_number_verified": true}"#, "+14255551212".into()),
        (r#"{"phone_number": "call me", "phone_number_verified": true}"#, Value::Null),
    ] {
        app.sql(&format!("UPDATE users SET profile = '{profile}'"));
        let told = operator.json(&["bridges", "test", "demo", "--user", &id]);
        assert_eq!(told[0]["claims"]["phone"], phone, "{profile}");
    }
    let jwks = app.request("GET", "/v1/bridges/demo/jwks.json").send().expect(200).json();
    assert_eq!(jwks["keys"][0]["kid"], real[0]["header"]["kid"]);
    let presets = operator.json(&["bridges", "presets"]);
    let of =
        |name: &str| presets.as_array().unwrap().iter().find(|one| one["preset"] == name).unwrap()["verified"].clone();
    assert_eq!((of("rabbitmq"), of("hasura"), of("mercure-1")), ("live".into(), "source".into(), "unverified".into()));
    assert!(operator.refused(&["bridges", "test", "none"]).contains("no bridge is named `none`; there is demo"));
}

/// The inputs that a bridge asks its caller for can be given on the command line too.
#[test]
fn a_bridge_is_tried_with_what_its_caller_would_say() {
    const ROOM: &str = "[bridges.room]\npreset = \"jwt\"\naudience = \"https://rooms.example\"\n\
                        inputs = { room = { charset = \"text\" }, seats = { type = \"number\", required = false } }\n\
                        claims = { room = \"{{ input.room }}\", seats = \"{{ input.seats ? }}\" }\n";
    let app = TestApp::with(&Options { config: ROOM, ..Options::default() });
    let operator = Operator::of(&app);
    operator.write("passmint.toml", ROOM);
    let (mut browser, _) = app.person();
    let id = browser.get("/v1/session").expect(200).json()["user"]["id"].as_str().unwrap().to_owned();
    let with = |inputs: &[&'static str]| {
        let mut call = vec!["bridges", "test", "room", "--user", &id];
        call.extend(inputs.iter().flat_map(|input| ["--input", *input]));
        call.into_iter().map(ToOwned::to_owned).collect::<Vec<String>>()
    };
    let call = with(&["room=the blue one", "seats=4"]);
    let claims = operator.json(&call.iter().map(String::as_str).collect::<Vec<_>>())[0]["claims"].clone();
    assert_eq!((&claims["room"], &claims["seats"]), (&"the blue one".into(), &4.into()));
    for (inputs, wrong) in [
        (&[][..], "`room`"),
        (&["room=x", "door=1"], "door"),
        (&["room"], "write name=value"),
        (&["room=1", "seats=many"], "seats"),
    ] {
        let call = with(inputs);
        let refusal = operator.refused(&call.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(refusal.contains(wrong), "{refusal}");
    }
    let shown = operator.ok(&["bridges", "show", "room"]);
    assert!(shown.contains("The key set:") && shown.contains("/v1/bridges/room/jwks.json"), "{shown}");
    assert_eq!(operator.json(&["bridges", "show", "room"])["otherSide"][0]["language"], "text");
}

#[test]
fn tables_are_taken_away_only_on_purpose() {
    let database = Database::empty();
    let mut operator = Operator::new();
    operator.set("DATABASE_URL", database.url());
    assert!(operator.ok(&["migrate"]).starts_with("applied 2026-11-21-000000_foundation\n"));
    assert_eq!(operator.ok(&["migrate"]), "the tables were up to date\n");
    operator.ok(&["clients", "create", "kept", "--grant", "refresh_token"]);
    assert!(operator.refused(&["migrate", "--down"]).contains("add --yes"));
    assert!(operator.ok(&["clients", "list"]).contains("kept"));
    operator.ok(&["migrate", "--down", "--yes"]);
    let refusal = operator.refused(&["clients", "list"]);
    assert!(refusal.contains("run `passmint migrate`"), "{refusal}");
    let (code, report) = report(&operator);
    assert!(code == Some(1) && finding(&report, "tables")["ok"] == false, "{report:#}");
    operator.ok(&["migrate"]);
    assert_eq!(operator.json(&["clients", "list"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn tables_are_not_taken_away_under_a_live_server() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    eventually("the server says that it is alive", || app.count("SELECT count(*) AS n FROM servers") == 1);
    let refusal = operator.refused(&["migrate", "--down", "--yes"]);
    assert!(refusal.contains("1 live server(s) use this database"), "{refusal}");
    operator.ok(&["users", "list"]);
}
