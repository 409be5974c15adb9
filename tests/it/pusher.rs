//! Pusher's channels over HTTP: whose channel it is, what is signed, and who is refused.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use crate::support::tokens::claims;
use crate::support::{Options, Reply, TestApp};

/// Shorter than HS256 requires: this is what Pusher issues.
const SECRET: &str = "7ad3773142a6692b25b8";

const BRIDGES: &str = r#"
[bridges.pusher]
preset = "pusher"
issuer = "app-key"
secret_file = "SECRET_FILE"
[bridges.pusher.claims]
channels = ["{{ tmpl('private-user-{}', user.id) }}", "{{ tmpl('private-user-{}-*', user.id) }}", "presence-lobby"]
user_info = { name = "{{ user.name ? }}" }

[bridges.staff]
preset = "pusher"
issuer = "app-key"
secret_file = "SECRET_FILE"
[bridges.staff.claims]
channels = ["private-staff"]
[bridges.staff.allow]
groups = ["staff"]

[bridges.target]
preset = "jwt"
audience = "https://target.example"
"#;

fn spawn() -> (TestApp, tempfile::TempDir) {
    with(&[])
}

fn with(settings: &[(&str, &str)]) -> (TestApp, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).expect("written");
    let config = BRIDGES.replace("SECRET_FILE", &file.display().to_string());
    (TestApp::with(&Options { config: &config, settings, ..Options::default() }), directory)
}

fn asked(app: &TestApp, access: &str, path: &str, form: &[(&str, &str)]) -> Reply {
    app.client("web").bearer("POST", &format!("/v1/bridges/{path}"), access).form(form).send()
}

fn signature(text: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes());
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    let hex: String = tag.as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    format!("app-key:{hex}")
}

#[track_caller]
fn told(reply: &Reply, what: &str, status: u16, code: &str) {
    assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{what}: {}", reply.body);
    assert!(!reply.body.contains("app-key:"), "{what}: no signature");
}

#[test]
fn a_person_subscribes_to_the_own_channels() {
    let (app, _directory) = spawn();
    let (mut browser, _, tokens) = app.person_with_tokens("openid bridge:pusher");
    let id = claims(&tokens.access)["sub"].as_str().unwrap().to_owned();
    for name in [format!("private-user-{id}"), format!("private-user-{id}-inbox")] {
        let reply =
            asked(&app, &tokens.access, "pusher/pusher/auth", &[("socket_id", "12.34"), ("channel_name", &name)]);
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
        assert_eq!(reply.json(), json!({ "auth": signature(&format!("12.34:{name}")) }), "{name}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("access-control-allow-origin"), Some(app.origin.as_str()));
    }
    let lobby = [("socket_id", "12.34"), ("channel_name", "presence-lobby")];
    let answer = asked(&app, &tokens.access, "pusher/pusher/auth", &lobby).expect(200).json();
    let data = answer["channel_data"].as_str().expect("what the others are told");
    let said: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!((&said["user_id"], said["user_info"].is_object()), (&json!(id), true), "{said}");
    assert_eq!(answer["auth"], signature(&format!("12.34:presence-lobby:{data}")));

    let by_cookie = browser.request("POST", "/v1/bridges/pusher/pusher/user-auth").form(&[("socket_id", "12.34")]);
    let answer = browser.send(by_cookie).expect(200).json();
    let data = answer["user_data"].as_str().expect("who it is");
    assert_eq!(serde_json::from_str::<Value>(data).expect("JSON")["id"], id);
    assert_eq!(answer["auth"], signature(&format!("12.34::user::{data}")));
    assert_eq!(app.events("bridge.minted"), 4);
    assert_eq!(app.count("SELECT count(*) AS n FROM audit_events WHERE detail->>'channel' = 'presence-lobby'"), 1);
}

/// A page with many channels asks for all of them at once: signatures do not count as custom tokens, which are limited
/// to 30.
#[test]
fn a_page_with_many_channels_gets_all_its_signatures() {
    let (app, _directory) = with(&[("limits.enabled", "true")]);
    let (_, _, tokens) = app.person_with_tokens("openid bridge:pusher");
    let id = claims(&tokens.access)["sub"].as_str().unwrap().to_owned();
    for number in 0..40 {
        let name = format!("private-user-{id}-{number}");
        let form = [("socket_id", "12.34"), ("channel_name", name.as_str())];
        let reply = asked(&app, &tokens.access, "pusher/pusher/auth", &form);
        assert_eq!(reply.status, 200, "{number}: {}", reply.body);
    }
}

#[test]
fn no_signature_for_anything_else() {
    let (app, _directory) = spawn();
    let (mut browser, _, tokens) = app.person_with_tokens("openid bridge:pusher bridge:staff bridge:target");
    let (_, _, other) = app.person_with_tokens("openid");
    let (id, stranger) = (claims(&tokens.access)["sub"].clone(), claims(&other.access)["sub"].clone());
    let own = format!("private-user-{}", id.as_str().unwrap());
    let theirs = format!("private-user-{}", stranger.as_str().unwrap());
    let longer = format!("{own}2");
    for (what, socket, channel, status, code) in [
        ("another's channel", "1.1", theirs.as_str(), 403, "forbidden"),
        ("a channel that begins alike", "1.1", &longer, 403, "forbidden"),
        ("another kind of channel", "1.1", "presence-lobbyist", 403, "forbidden"),
        ("a public channel", "1.1", "lobby", 400, "invalid_request"),
        ("an encrypted channel", "1.1", "private-encrypted-x", 400, "invalid_request"),
        ("a pattern", "1.1", "private-*", 400, "invalid_request"),
        ("a channel with a colon", "1.1", "private-x:presence-lobby", 400, "invalid_request"),
        ("no channel", "1.1", "", 400, "invalid_request"),
        ("a socket with a channel in it", "1.1:private-x", &own, 400, "invalid_request"),
        ("a socket of the other kind of signature", "1.1::user::{}", &own, 400, "invalid_request"),
        ("no socket", "", &own, 400, "invalid_request"),
    ] {
        let form = [("socket_id", socket), ("channel_name", channel)];
        told(&asked(&app, &tokens.access, "pusher/pusher/auth", &form), what, status, code);
    }
    let form = [("socket_id", "1.1"), ("channel_name", own.as_str())];
    told(&asked(&app, &other.access, "pusher/pusher/auth", &form), "no scope", 403, "insufficient_scope");
    told(&asked(&app, &tokens.access, "staff/pusher/auth", &form), "no group", 403, "forbidden");
    told(&asked(&app, &tokens.access, "staff/pusher/user-auth", &form), "no group, user", 403, "forbidden");
    told(&asked(&app, &tokens.access, "nobody/pusher/auth", &form), "no bridge", 404, "not_found");
    told(&asked(&app, &tokens.access, "target/pusher/auth", &form), "another kind of bridge", 400, "invalid_request");
    told(&asked(&app, "x", "pusher/pusher/auth", &form), "no token", 401, "invalid_token");
    let twice = [("socket_id", "1.1"), ("channel_name", own.as_str()), ("channel_name", "private-x")];
    told(&asked(&app, &tokens.access, "pusher/pusher/auth", &twice), "two channels", 400, "invalid_request");
    let json = app.client("web").bearer("POST", "/v1/bridges/pusher/pusher/auth", &tokens.access);
    told(&json.json(&json!({ "socket_id": "1.1", "channel_name": own })).send(), "JSON", 415, "unsupported_media_type");
    // A page of another site that sends the cookie is refused.
    let foreign = browser.request("POST", "/v1/bridges/pusher/pusher/auth").header("Origin", "https://evil.example");
    let reply = browser.send(foreign.form(&form));
    assert!((400..=403).contains(&reply.status), "{}", reply.body);
    told(&asked(&app, &tokens.access, "pusher/token", &[]), "as a token", 400, "invalid_request");
    assert_eq!(app.events("bridge.minted"), 0);
    app.sql("UPDATE bridges SET stopped_at = now(), stopped_by = 'test' WHERE name = 'pusher'; INSERT INTO changes (kind, key) VALUES ('bridges', 'pusher')");
    crate::support::tokens::within(std::time::Duration::from_secs(10), "the stop is followed", || {
        asked(&app, &tokens.access, "pusher/pusher/auth", &form).status == 404
    });
}
