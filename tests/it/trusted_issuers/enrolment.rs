//! Passkeys for people whom a trusted issuer vouches for.

use serde_json::{Value, json};

use super::{bearer, exchange, given, link, partner, parts, token, trusting};
use crate::support::jose::Key;
use crate::support::tokens::{Tokens, claims};
use crate::support::{Options, TestApp, verify};

/// A backend whose people are signed in elsewhere lets them make a passkey here.
#[test]
fn a_fresh_token_makes_a_passkey() {
    let key = Key::p256();
    let app = trusting(&key, "subject = \"create\"\nmay_enrol = true");
    let options = "/v1/passkeys/registration/options";
    let web = app.client("web");
    let try_by = |token: &str, body: &Value| web.bearer("POST", options, token).json(body).send();
    let vouching = |app: &TestApp| vouching(app, &key, |_| {});
    let begun = try_by(&vouching(&app), &json!({})).expect(200).json();
    let mut passkey = app.passkey();
    let credential = passkey.create(&begun["publicKey"]);
    let made = web.post("/v1/passkeys/registration/verify", &verify(&begun, &credential)).expect(200).json();
    assert_eq!(made["kind"], "passkey");
    let tokens = Tokens::of(&web.sign_in(&mut passkey, "openid").expect(200).json());
    let known =
        "SELECT count(*) AS n FROM external_ids WHERE source = 'partner' AND external_id = 'p-1' AND user_id::text = ";
    assert_eq!(app.count(&format!("{known}'{}'", claims(&tokens.access)["sub"].as_str().unwrap())), 1);
    assert_eq!((app.events("passkey.added"), app.events("trusted_issuer.believed")), (1, 1));
    web.post("/v1/passkeys/registration/verify", &verify(&begun, &credential))
        .expect_problem(410, "ceremony_expired_or_used");

    // The session of the ceremony belongs to no client: it opens nothing, and when it ends, so does the ceremony.
    let begun = try_by(&vouching(&app), &json!({})).expect(200).json();
    let credential = app.passkey().create(&begun["publicKey"]);
    app.sql("UPDATE sessions SET revoked_at = now() WHERE client_id IS NULL");
    let late = web.post("/v1/passkeys/registration/verify", &verify(&begun, &credential));
    late.expect_problem(400, "verification_failed");

    for body in [json!({ "purpose": "sign-up" }), json!({ "email": "x@example.com" }), json!({ "name": "X" })] {
        try_by(&vouching(&app), &body).expect_problem(400, "invalid_request");
    }
    let elsewhere = app.request("POST", options).header("Origin", "https://evil.example").json(&json!({}));
    let unspent = vouching(&app);
    let authorization = format!("Bearer {unspent}");
    elsewhere.header("Authorization", &authorization).send().expect_problem(403, "wrong_origin");
    try_by(&unspent, &json!({})).expect(200);
    app.sql("UPDATE users SET status = 'disabled'");
    try_by(&vouching(&app), &json!({})).expect_problem(401, "invalid_token");
    // The token is accepted for nothing else, and without the setting not even for this.
    web.bearer("GET", "/v1/me", &vouching(&app)).send().expect_problem(401, "invalid_token");
    let plain = trusting(&key, "subject = \"create\"");
    let reply = plain.client("web").bearer("POST", options, &vouching(&plain)).json(&json!({})).send();
    reply.expect_problem(401, "invalid_token");
}

/// A token of a person who has just signed in at the partner, to be altered.
fn vouching(app: &TestApp, key: &Key, change: impl FnOnce(&mut Value)) -> String {
    let (header, mut claims) = parts(app, "p-1");
    claims["auth_time"] = claims["iat"].clone();
    change(&mut claims);
    key.sign(&header, &claims)
}

/// Tokens that let nobody make a passkey, although some of them are accepted elsewhere.
#[test]
fn a_token_that_makes_no_passkey_is_refused_by_name() {
    let key = Key::p256();
    let app = trusting(
        &key,
        "subject = \"create\"\nmay_enrol = true\nsingle_use = false\naudiences = [\"ORIGIN\", \"gate\"]",
    );
    let web = app.client("web");
    let try_by = |token: &str| web.bearer("POST", "/v1/passkeys/registration/options", token).json(&json!({})).send();
    let once = vouching(&app, &key, |_| {});
    try_by(&once).expect(200);
    try_by(&once).expect_problem(401, "invalid_token");
    given(exchange(&app, "gate", &once, &[]));
    let with = |name: &str, value: Value| vouching(&app, &key, |claims| claims[name] = value);
    let without = |name: &str| vouching(&app, &key, |claims| drop(claims.as_object_mut().unwrap().remove(name)));
    let now = app.clock.now().timestamp();
    for (name, token, code) in [
        ("no word of when they signed in", without("auth_time"), "reauthentication_required"),
        ("signed in a while ago", with("auth_time", json!(now - 301)), "reauthentication_required"),
        ("signed in in words", with("auth_time", json!(now.to_string())), "invalid_token"),
        ("signed in in the future", with("auth_time", json!(now + 60)), "invalid_token"),
        ("without an id", without("jti"), "invalid_token"),
        ("for a client of ours", with("aud", json!("gate")), "invalid_token"),
        ("for us and others", with("aud", json!([app.origin, "gate"])), "invalid_token"),
        ("of somebody who acts for them", with("act", json!({ "sub": "agent" })), "invalid_token"),
        ("bound to a key", with("cnf", json!({ "jkt": "x" })), "invalid_token"),
        ("bound to a certificate", with("cnf", json!({ "x5t#S256": "x" })), "invalid_token"),
        ("over", with("exp", json!(now - 10)), "invalid_token"),
        ("for another", with("aud", json!("https://other.example")), "invalid_token"),
        (
            "of another key",
            {
                let (header, said) = parts(&app, "p-1");
                Key::p256().sign(&header, &said)
            },
            "invalid_token",
        ),
        ("of another issuer", with("iss", json!("https://other.example")), "invalid_token"),
    ] {
        let reply = try_by(&token);
        assert_eq!((reply.status, reply.json()["code"].as_str()), (401, Some(code)), "{name}: {}", reply.body);
    }
}

/// No issuer can vouch for an administrator of this server: neither when the ceremony begins nor when it is completed.
#[test]
fn no_issuer_makes_a_passkey_for_an_administrator() {
    let key = Key::p256();
    let app = trusting(&key, "may_enrol = true");
    let ada = link(&app, "partner", "p-1");
    let web = app.client("web");
    let try_once = || {
        let token = vouching(&app, &key, |_| {});
        web.bearer("POST", "/v1/passkeys/registration/options", &token).json(&json!({})).send()
    };
    let begun = try_once().expect(200).json();
    let credential = app.passkey().create(&begun["publicKey"]);
    app.sql("INSERT INTO groups (id, name, created_at) VALUES (gen_random_uuid(), 'admin', now())");
    app.sql("INSERT INTO group_members SELECT groups.id, users.id FROM groups, users");
    web.post("/v1/passkeys/registration/verify", &verify(&begun, &credential))
        .expect_problem(400, "verification_failed");
    try_once().expect_problem(401, "invalid_token");
    assert_eq!(app.count(&format!("SELECT count(*) AS n FROM credentials WHERE user_id = '{ada}'")), 1);
}

/// A person who is refused leaves nothing behind: no account, no link.
#[test]
fn nobody_is_made_or_linked_who_may_not_come_in() {
    let key = Key::p256();
    let keys = crate::support::jose::as_toml(&[key.named("k1")]);
    let open = partner(&keys, "subject = \"create\"");
    let config = open.replacen("[clients.gate]\n", "[clients.gate]\nallowed_groups = [\"staff\"]\n", 1);
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    exchange(&app, "gate", &token(&app, &key, "p-1"), &[]).expect_oauth(400, "invalid_request");
    bearer(&app, "gate", &token(&app, &key, "p-1"), &[]).expect_oauth(400, "invalid_grant");
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 0);
    assert_eq!(app.count("SELECT count(*) AS n FROM external_ids"), 0);
}
