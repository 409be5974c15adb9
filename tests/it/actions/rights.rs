//! What rights a backend can have, and what an action token can be used for.

use std::time::Duration as Real;

use chrono::Duration;
use serde_json::{Value, json};

use super::{Backend, CONFIG, backend, enrolment, finish, options, spawn, with_token};
use crate::support::tokens::within;
use crate::support::{API_SECRET, Options, TestApp};

/// A client that lost the right after the first call gets nothing from the second.
#[test]
fn a_right_that_is_lost_between_the_calls_gives_nothing() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let (mut passkey, _) = shop.enrol();
    let proof = shop.make("sign_in");
    let proving = options(&app, "authentication", &proof["token"], None).expect(200).json();
    let other = app.passkey();
    let bank = shop.ask(&json!({ "action": "enrol", "user": { "externalId": { "id": "4712" } } })).expect(201).json();
    let enrolling = enrolment(&app, &bank["token"]).expect(200).json();
    app.sql(
        "UPDATE clients SET definition = jsonb_set(definition, '{scopes}', '\"things:read\"') WHERE id = 'shop'; \
         INSERT INTO changes (kind, key) VALUES ('clients', 'shop')",
    );
    let asked = || options(&app, "authentication", &proof["token"], None);
    within(Real::from_secs(15), "the client is followed", || asked().status == 403);
    let (credential, mut other) = (passkey.get(&proving["publicKey"]), other);
    let refusals = [
        finish(&app, "authentication", &proving, &credential),
        finish(&app, "registration", &enrolling, &other.create(&enrolling["publicKey"])),
    ];
    for refusal in refusals {
        assert_eq!(refusal.expect_problem(403, "action_token_misused").json()["reason"], "client");
    }
    assert_eq!((app.events("action_token.used"), app.count("SELECT count(*) AS n FROM credentials")), (0, 1));
}

/// Proving one's identity to a client is using it: only members of its groups may, at both calls.
#[test]
fn who_may_not_use_the_client_proves_nothing_to_it() {
    let config = CONFIG.replacen("[clients.shop]\n", "[clients.shop]\nallowed_groups = [\"staff\"]\n", 1);
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    let shop = backend(&app, "shop");
    let (mut passkey, _) = shop.enrol();
    app.sql("INSERT INTO groups (id, name, created_at) VALUES (gen_random_uuid(), 'staff', now())");
    for action in ["sign_in", "step_up"] {
        let made = shop.make(action);
        let asked = || options(&app, "authentication", &made["token"], None);
        assert_eq!(asked().expect_problem(403, "action_token_misused").json()["reason"], "group", "{action}");
        app.sql("INSERT INTO group_members SELECT groups.id, users.id FROM groups, users");
        let begun = asked().expect(200).json();
        app.sql("DELETE FROM group_members");
        let late = finish(&app, "authentication", &begun, &passkey.get(&begun["publicKey"]));
        assert_eq!(late.expect_problem(403, "action_token_misused").json()["reason"], "group", "{action}");
    }
}

#[test]
fn only_a_backend_with_the_right_makes_tokens_and_only_for_its_own() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let base = json!({ "action": "enrol", "user": { "externalId": { "id": "1" } } });
    // The right to act for people is never granted unless asked for.
    let unasked = app.token_by("shop", &[("grant_type", "client_credentials")]).expect(200).json();
    assert_eq!(unasked["scope"], "things:read");
    let idle = app.token_by("idle", &[("grant_type", "client_credentials")]).expect(200).json();
    Backend::of(&app, idle["access_token"].as_str().unwrap()).ask(&base).expect_problem(403, "insufficient_scope");
    let more = [("grant_type", "client_credentials"), ("scope", "action_tokens")];
    app.token_by("idle", &more).expect_oauth(400, "invalid_scope");

    let (mut browser, _) = app.person();
    let me = browser.get("/v1/me").expect(200).json()["id"].clone();
    let named = |id: &str| json!({ "externalId": { "id": id } });
    let of_another = json!({ "externalId": { "source": "bank", "id": "1" } });
    let believed = json!({ "externalId": { "id": "1" }, "email": "a@b.example", "emailVerified": true });
    let misleading = json!({ "externalId": { "id": "1" }, "name": "a\u{202e}b" });
    for (name, member, value, status, code) in [
        ("nobody of this id", "user", json!({ "id": me }), 404, "not_found"),
        ("another's names", "user", of_another, 403, "insufficient_scope"),
        ("an address to be believed", "user", believed, 403, "insufficient_scope"),
        ("both names", "user", json!({ "id": me, "externalId": { "id": "1" } }), 400, "invalid_request"),
        ("no name", "user", json!({}), 400, "invalid_request"),
        ("a long name", "user", named(&"x".repeat(257)), 400, "invalid_request"),
        ("a name on two lines", "user", named("a\nb"), 400, "invalid_request"),
        ("a name to mislead", "user", misleading, 400, "invalid_request"),
        ("an action nobody knows", "action", json!("impersonate"), 400, "invalid_request"),
        ("an unknown member", "acr", json!("phr"), 400, "invalid_request"),
        ("too long", "expiresIn", json!(301), 400, "invalid_request"),
        ("too short", "expiresIn", json!(29), 400, "invalid_request"),
        ("far too long", "expiresIn", json!(i64::MAX), 400, "invalid_request"),
        ("below nothing", "expiresIn", json!(i64::MIN), 400, "invalid_request"),
        ("another's page", "origin", json!("https://elsewhere.example"), 400, "invalid_request"),
        ("an address near its own", "returnTo", json!("https://shop.example/passkeys"), 400, "invalid_request"),
        ("no such relying party", "relyingParty", json!("x"), 400, "invalid_request"),
    ] {
        let mut body = base.clone();
        body[member] = value;
        let reply = shop.ask(&body);
        assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{name}: {}", reply.body);
    }
    let user = named("1");
    for (name, body) in [
        ("a mailed sign-in", json!({ "action": "sign_in", "user": user, "mailed": true })),
        ("over a day", json!({ "action": "enrol", "user": user, "mailed": true, "expiresIn": 86_401 })),
    ] {
        assert_eq!(shop.ask(&body).json()["code"], "invalid_request", "{name}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM action_tokens"), 0);
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 1, "nobody is made by a refusal");
}

/// By our id, by another system's id, with a trusted address, for a day; never for administrators or disabled accounts.
#[test]
fn what_every_right_is_good_for() {
    let app = spawn();
    let bank = backend(&app, "bank");
    let (mut browser, _) = app.person();
    let me = browser.get("/v1/me").expect(200).json()["id"].clone();
    bank.ask(&json!({ "action": "list", "user": { "id": me } })).expect(201);
    let name = json!({ "source": "crm", "id": "1" });
    let whole = json!({ "externalId": name, "email": "ada@example.com", "emailVerified": true });
    let made = bank.ask(&json!({ "action": "enrol", "user": whole, "mailed": true })).expect(201).json();
    let time = |value: &Value| value.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!(time(&made["expiresAt"]) - time(&made["createdAt"]), Duration::hours(24));
    assert_eq!(app.count("SELECT count(*) AS n FROM users WHERE email_verified_at IS NOT NULL"), 1);
    let taken = json!({ "externalId": { "id": "2" }, "email": "ADA@example.com", "emailVerified": true });
    bank.ask(&json!({ "action": "enrol", "user": taken })).expect_problem(409, "already_exists");
    for (name, sql) in [
        ("disabled", "UPDATE users SET status = 'disabled'"),
        (
            "an administrator",
            "UPDATE users SET status = 'active'; \
             INSERT INTO groups (id, name, created_at) VALUES (gen_random_uuid(), 'admin', now()); \
             INSERT INTO group_members SELECT groups.id, users.id FROM groups, users",
        ),
    ] {
        app.sql(sql);
        let reply = bank.ask(&json!({ "action": "sign_in", "user": { "id": me } }));
        assert_eq!((reply.status, reply.json()["code"].as_str()), (403, Some("forbidden")), "{name}");
    }
}

#[test]
fn a_right_that_is_lost_takes_its_tokens_along() {
    let app = spawn();
    let bank = backend(&app, "bank");
    let made = bank.make("enrol");
    let other = app
        .twin_with(&CONFIG.replace("scopes = [\"action_tokens\", \"action_tokens:anyone\"", "scopes = [\"x\", \"y\""));
    let reply = enrolment(&other, &made["token"]).expect_problem(403, "action_token_misused");
    assert_eq!(reply.json()["reason"], "client");
    Backend { app: &other, access: bank.access.clone() }
        .ask(&json!({ "action": "list", "user": { "externalId": { "id": "1" } } }))
        .expect_problem(403, "insufficient_scope");
}

#[test]
fn enrolling_over_a_passkey_wants_the_right() {
    let app = spawn();
    let (shop, bank) = (backend(&app, "shop"), backend(&app, "bank"));
    shop.enrol();
    let ask = json!({ "action": "enrol", "user": { "externalId": { "id": "4711" } } });
    shop.ask(&ask).expect_problem(409, "enrol_over_existing");
    bank.enrol();
    let (_, second) = bank.enrol();
    assert_eq!(second["kind"], "enrolled");
    // Without the scope in the request the right is missing, although the client has it.
    let narrow = app.token_by("bank", &[("grant_type", "client_credentials"), ("scope", "action_tokens")]);
    let narrow = narrow.expect(200).json()["access_token"].as_str().unwrap().to_owned();
    Backend { app: &app, access: narrow }.ask(&ask).expect_problem(409, "enrol_over_existing");
    // Passkeys of a retired RP id sign nobody in, so a backend may help a person who has no others.
    app.sql("UPDATE credentials SET rp_id = 'old.example'");
    assert_eq!(shop.enrol().1["kind"], "enrolled");
    shop.ask(&ask).expect_problem(409, "enrol_over_existing");
}

#[test]
fn a_backend_sees_and_takes_back_its_own_tokens_only() {
    let app = spawn();
    let (shop, bank) = (backend(&app, "shop"), backend(&app, "bank"));
    let made: Vec<Value> = (0..3).map(|_| shop.make("enrol")).collect();
    enrolment(&app, &made[0]["token"]).expect(200);
    let page = shop.request("GET", "/v1/action-tokens").query("limit=2").send().expect(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert!(!page.to_string().contains("pmt_"), "never the token itself");
    let rest = shop.request("GET", page["next"].as_str().unwrap()).send().expect(200).json();
    assert_eq!((&rest["items"][0]["id"], &rest["items"][0]["ceremonies"]), (&made[0]["id"], &json!(1)));
    assert_eq!(bank.request("GET", "/v1/action-tokens").send().expect(200).json()["items"], json!([]));
    bank.revoke(&made[0]["id"]).expect_problem(404, "not_found");
    shop.revoke(&made[0]["id"]).expect(204);
    shop.revoke(&made[0]["id"]).expect_problem(404, "not_found");
    shop.revoke(&json!("x")).expect_problem(404, "not_found");
    assert_eq!(app.events("action_token.revoked"), 1);
}

/// An action token is no access token, and no access token is an action token.
#[test]
fn an_action_token_opens_nothing_else() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let made = shop.make("list");
    for (method, path) in
        [("GET", "/v1/me"), ("GET", "/v1/session"), ("POST", "/v1/bridges/x/token"), ("GET", "/v1/action-tokens")]
    {
        let reply = with_token(app.request(method, path), &made["token"]).send();
        reply.expect_problem(401, "invalid_token");
    }
    let bearer = app
        .request("GET", "/v1/passkeys")
        .header("Authorization", &format!("Bearer {}", made["token"].as_str().unwrap()));
    bearer.send().expect_problem(401, "invalid_token");
    let rename = app.request("PATCH", "/v1/passkeys/x").json(&json!({ "name": "x" }));
    with_token(rename, &made["token"]).send().expect_problem(401, "invalid_token");
    with_token(app.request("GET", "/v1/passkeys"), &json!(shop.access))
        .send()
        .expect_problem(403, "action_token_unknown");
    let twice = with_token(with_token(app.request("GET", "/v1/passkeys"), &made["token"]), &made["token"]);
    twice.send().expect_problem(400, "invalid_request");
    // The token itself says what it is for.
    for (what, body) in [
        ("registration", json!({ "purpose": "add" })),
        ("registration", json!({ "email": "a@b.example" })),
        ("registration", json!({ "relyingParty": "elsewhere" })),
        ("authentication", json!({ "purpose": "step-up" })),
        ("authentication", json!({ "email": "a@b.example" })),
        ("authentication", json!({ "result": { "kind": "tokens", "clientId": "web" } })),
    ] {
        let request = app.request("POST", &format!("/v1/passkeys/{what}/options")).json(&body);
        with_token(request, &made["token"]).send().expect_problem(400, "invalid_request");
    }
    with_token(app.request("GET", "/v1/passkeys"), &made["token"]).send().expect(200);
}

/// A ceremony can only be completed where it began: not at the other endpoint, and not at the token endpoint.
#[test]
fn a_ceremony_of_an_action_is_of_no_other_use() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let (mut passkey, _) = shop.enrol();
    let made = shop.make("step_up");
    let mut prompt = || {
        let begun = options(&app, "authentication", &made["token"], None).expect(200).json();
        let credential = passkey.get(&begun["publicKey"]);
        (begun, credential)
    };
    let (begun, credential) = prompt();
    finish(&app, "registration", &begun, &credential).expect_problem(400, "verification_failed");
    let (begun, credential) = prompt();
    app.redeem(&begun, &credential, Some(&crate::support::tokens::basic("api", API_SECRET)), &[])
        .expect_oauth(400, "invalid_grant");
    let (begun, credential) = prompt();
    let named = json!({ "ceremonyId": begun["ceremonyId"], "credential": credential, "clientId": "web" });
    app.request("POST", "/v1/passkeys/authentication/verify")
        .json(&named)
        .send()
        .expect_problem(400, "verification_failed");
    assert_eq!(app.events("action_token.used"), 0);
    let (begun, credential) = prompt();
    finish(&app, "authentication", &begun, &credential).expect(200);
}
