//! Bridges by administration: created, changed, stopped, deleted, and what their keys reveal.

mod keys;

use std::time::Duration as Real;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Duration;
use passmint::tokens::key_set::KeySet;
use passmint::tokens::keys::{Algorithm, KeyMaterial};
use passmint::tokens::verifier::{Audience, Expectation, Expiry, KeySource, Leeway, verify};
use serde_json::{Map, Value, json};

use super::{Ops, person_token, token};
use crate::bridges::by_ceremony;
use crate::support::tokens::{Tokens, claims, header, within};
use crate::support::{Options, Reply, TestApp};

const BRIDGES: &str = "/v1/admin/bridges";
const MADE: &str = "/v1/admin/bridges/made";
const AUDIENCE: &str = "https://target.example";

fn plain() -> Value {
    json!({ "preset": "jwt", "audience": AUDIENCE, "lifetime": 120, "claims": { "role": "member" } })
}

/// A bridge of a preset with rules of its own.
fn ruled() -> Value {
    json!({ "preset": "postgrest", "audience": AUDIENCE, "claims": { "role": "member" } })
}

fn with(more: &Value) -> Value {
    let mut definition = plain();
    definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    definition
}

fn make(ops: &Ops, definition: &Value) -> Reply {
    ops.post(BRIDGES, &json!({ "name": "made", "definition": definition }))
}

fn put(ops: &Ops, path: &str, body: &Value) -> Reply {
    ops.request("PUT", path).header("If-Match", "*").json(body).send()
}

/// Sends requests as an administrator who has just signed in.
fn fresh_person(ops: &Ops) -> impl Fn(&str, &str, &Value) -> Reply {
    let (mut person, _) = ops.app.person();
    let seen = person.get("/v1/session").json();
    let id = seen["user"]["id"].as_str().unwrap().to_owned();
    ops.post("/v1/admin/groups", &json!({ "name": "admin" })).expect(201);
    ops.patch(&format!("/v1/admin/users/{id}"), &json!({ "groups": ["admin"] })).expect(200);
    move |method, path, body| {
        let access = person_token(&ops.app, &seen, "admin");
        let request = ops.app.request(method, path).header("Authorization", &format!("Bearer {access}"));
        request.header("If-Match", "*").json(body).send()
    }
}

fn mint(app: &TestApp, tokens: &Tokens, bridge: &str) -> Reply {
    app.client("web").bearer("POST", &format!("/v1/bridges/{bridge}/token"), &tokens.access).send()
}

fn minted(app: &TestApp, tokens: &Tokens, bridge: &str) -> String {
    mint(app, tokens, bridge).expect(200).json()["token"].as_str().unwrap().to_owned()
}

fn jwks(app: &TestApp, bridge: &str) -> Reply {
    app.request("GET", &format!("/v1/bridges/{bridge}/jwks.json")).send()
}

fn pem_of(app: &TestApp, bridge: &str, kid: &str) -> Reply {
    app.request("GET", &format!("/v1/bridges/{bridge}/keys/{kid}.pem")).send()
}

/// Verifies a token as the target would, with the keys that the bridge publishes.
#[track_caller]
fn checked(app: &TestApp, bridge: &str, token: &str) -> Map<String, Value> {
    let set = jwks(app, bridge).expect(200);
    let keys = KeySet::parse(set.body.as_bytes()).expect("a key set");
    let expected = Expectation {
        types: &["JWT"],
        issuer: &app.origin,
        audience: Audience::Exactly(AUDIENCE),
        required: &["sub", "iat", "jti"],
        leeway: Leeway::OWN,
        expiry: Expiry::Enforced,
        max_lifetime: Some(600),
        keys: KeySource::Foreign { keys: &keys, algorithms: &[Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA] },
    };
    verify(token, &expected, app.clock.now()).unwrap_or_else(|refusal| panic!("{refusal}: {token}")).into_claims()
}

fn pem(key: &KeyMaterial) -> String {
    let body = STANDARD.encode(key.secret().expose());
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

#[test]
fn from_first_to_last() {
    let ops = Ops::new();
    let (_, _, tokens) = ops.app.person_with_tokens("openid bridge:made");
    mint(&ops.app, &tokens, "made").expect_problem(404, "not_found");
    let made = make(&ops, &plain()).expect(201);
    assert_eq!(made.header("location"), Some(MADE));
    let shown = ops.get(MADE).expect(200);
    assert_eq!(shown.header("etag"), made.header("etag"));
    let view = shown.json();
    assert_eq!(
        (&view["definition"], &view["enabled"], &view["key"]["source"]),
        (&plain(), &json!(true), &json!("own"))
    );
    assert_eq!(view.get("outOfUse"), None);
    assert_eq!(view["verified"], "live");

    // Its key was created with it, so the first request mints.
    let said = checked(&ops.app, "made", &minted(&ops.app, &tokens, "made"));
    assert_eq!((&said["role"], said["exp"].as_i64()), (&json!("member"), said["iat"].as_i64().map(|iat| iat + 120)));

    let changed = json!({ "definition": with(&json!({ "lifetime": 60 })) });
    ops.request("PUT", MADE).json(&changed).send().expect_problem(428, "precondition_required");
    let stale = ops.request("PUT", MADE).header("If-Match", "\"x\"").json(&changed).send();
    stale.expect_problem(412, "precondition_failed");
    let etag = shown.header("etag").unwrap();
    ops.request("PUT", MADE).header("If-Match", etag).json(&changed).send().expect(200);
    assert_eq!(mint(&ops.app, &tokens, "made").expect(200).json()["expiresIn"], 60);
    let again = ops.request("PUT", MADE).header("If-Match", etag).json(&changed).send();
    again.expect_problem(412, "precondition_failed");

    let tried = ops.post(&format!("{MADE}/test"), &json!({})).expect(200);
    let tried = tried.json();
    assert_eq!((&tried["ok"], tried["samples"].as_array().map(Vec::len)), (&json!(true), Some(3)));
    assert_eq!((&tried["samples"][0]["claims"]["aud"], tried["samples"][0].get("token")), (&json!(AUDIENCE), None));
    assert!(tried["samples"][0]["bytes"].as_i64().unwrap() > 300);

    let listed = ops.get(BRIDGES).expect(200).json();
    assert_eq!(listed["items"][0]["name"], "made");
    let kid = header(&minted(&ops.app, &tokens, "made"))["kid"].as_str().unwrap().to_owned();
    ops.request("DELETE", MADE).header("If-Match", "\"x\"").send().expect_problem(412, "precondition_failed");
    ops.delete(MADE).expect(204);
    ops.get(MADE).expect_problem(404, "not_found");
    ops.delete(MADE).expect_problem(404, "not_found");
    mint(&ops.app, &tokens, "made").expect_problem(404, "not_found");
    jwks(&ops.app, "made").expect_problem(404, "not_found");
    assert_eq!(ops.app.events("bridge.changed"), 3, "made, changed, deleted");

    // A new bridge with the same name is another bridge: it starts with another key, and the old one is worthless.
    let fresh = fresh_person(&ops);
    fresh("POST", BRIDGES, &json!({ "name": "made", "definition": plain() })).expect(201);
    let fresh = header(&minted(&ops.app, &tokens, "made"))["kid"].as_str().unwrap().to_owned();
    assert_ne!(fresh, kid);
    assert!(!jwks(&ops.app, "made").expect(200).body.contains(&kid));
    pem_of(&ops.app, "made", &kid).expect_problem(404, "not_found");
}

/// An API of ours, and the audience of another bridge.
const API: &str = "https://orders.example";
const TAKEN: &str = "https://cluster.example";

/// A server with both.
fn beside_others() -> Ops {
    Ops::with_config(&format!(
        "[resources.\"{API}\"]\nscopes = {{ \"orders:read\" = \"See orders\" }}\n\
         [bridges.cluster]\npreset = \"kubernetes\"\nkey = \"provider\"\naudience = \"{TAKEN}\"\n"
    ))
}

#[test]
fn refusals_by_name() {
    let ops = beside_others();
    let long = "x".repeat(64);
    for (field, name, definition) in [
        ("name", "", plain()),
        ("name", "A", plain()),
        ("name", "a/b", plain()),
        ("name", long.as_str(), plain()),
        ("definition", "x", json!({ "preset": "jwt", "audiense": "x" })),
        ("definition", "x", json!({ "preset": "none" })),
        ("definition", "x", json!([])),
        ("definition", "x", with(&json!({ "material": { "pem": "x" } }))),
        ("definition.audience", "x", json!({ "preset": "jwt" })),
        ("definition.audience", "x", json!({ "preset": "jwt", "audience": ops.app.origin })),
        ("definition.lifetime", "x", with(&json!({ "lifetime": 9 }))),
        ("definition.lifetime", "x", with(&json!({ "lifetime": i64::MAX }))),
        ("definition.claims.iss", "x", with(&json!({ "claims": { "iss": "evil" } }))),
        ("definition.claims.x", "x", with(&json!({ "claims": { "x": "{{ nobody }}" } }))),
        ("definition.subject", "x", with(&json!({ "subject": "everyone" }))),
        ("definition.key", "x", with(&json!({ "key": "imported" }))),
        ("definition.key", "x", with(&json!({ "algorithm": "HS256" }))),
        ("definition.typ", "x", with(&json!({ "preset": "trino", "key": "provider", "typ": "at+jwt" }))),
        (
            "definition.issuer",
            "x",
            with(&json!({ "preset": "trino", "key": "provider", "issuer": "https://other.example" })),
        ),
        ("definition.key", "x", with(&json!({ "key": "provider" }))),
        ("definition.audience", "x", with(&json!({ "preset": "trino", "key": "provider", "audience": "web" }))),
        ("definition.audience", "x", with(&json!({ "preset": "trino", "key": "provider", "audience": API }))),
        ("definition.audience", "x", with(&json!({ "preset": "trino", "key": "provider", "audience": TAKEN }))),
        ("definition.allow.groups", "x", with(&json!({ "allow": { "groups": ["a\nb"] } }))),
        ("definition.allow.min_acr", "x", with(&json!({ "allow": { "min_acr": "phrh" } }))),
        ("definition.definition", "x", with(&json!({ "claims": { "x": "a\u{0}b" } }))),
    ] {
        let body = json!({ "name": name, "definition": definition });
        let refused = ops.post(BRIDGES, &body).expect_problem(400, "invalid_field").json();
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    make(&ops, &plain()).expect(201);
    make(&ops, &plain()).expect_problem(409, "already_exists");
    for (scope, method, path) in [
        ("admin:clients", "GET", BRIDGES),
        ("admin:bridges:read", "POST", BRIDGES),
        ("admin:bridges:read", "DELETE", MADE),
        ("admin:bridges:read", "POST", "/v1/admin/bridges/made/disable"),
    ] {
        let request = ops.request_as(scope, method, path).json(&json!({ "name": "y", "definition": plain() }));
        request.send().expect_problem(403, "insufficient_scope");
    }
    ops.request_as("admin:bridges:read", "GET", MADE).send().expect(200);
    ops.request_as("admin:bridges:read", "POST", &format!("{MADE}/test")).send().expect(200);
    ops.get(&format!("{BRIDGES}?name=x")).expect_problem(400, "invalid_field");
    for action in ["disable", "enable", "test"] {
        ops.post(&format!("{BRIDGES}/none/{action}"), &json!({})).expect_problem(404, "not_found");
    }
}

/// Imported keys can be stored and used to sign, but are never shown.
#[test]
fn imported_keys_sign_and_are_never_shown() {
    let ops = Ops::new();
    let (_, _, tokens) = ops.app.person_with_tokens("openid bridge:made");
    let key = KeyMaterial::generate(Algorithm::ES256).unwrap();
    let wanted = json!({ "name": "made", "definition": plain(), "key": { "pem": pem(&key) } });
    let made = ops.post(BRIDGES, &wanted).expect(201).json();
    assert_eq!(made["key"], json!({ "source": "imported", "kind": "private key", "id": key.thumbprint() }));
    let minted_now = minted(&ops.app, &tokens, "made");
    assert_eq!(header(&minted_now)["kid"], key.thumbprint().as_str());
    checked(&ops.app, "made", &minted_now);
    let shown = pem_of(&ops.app, "made", &key.thumbprint()).expect(200);
    assert_eq!(shown.body, key.public().unwrap().to_pem());
    assert!(shown.header("cache-control").unwrap().starts_with("public, max-age="));
    assert_eq!(shown.header("content-type"), Some("application/x-pem-file"));
    assert!(!jwks(&ops.app, "made").expect(200).body.contains("\"d\""));
    pem_of(&ops.app, "made", "other").expect_problem(404, "not_found");
    ops.app
        .request("GET", &format!("/v1/bridges/made/keys/{}", key.thumbprint()))
        .send()
        .expect_problem(404, "not_found");

    // The settings change, and the key stays.
    put(&ops, MADE, &json!({ "definition": with(&json!({ "lifetime": 30 })) })).expect(200);
    assert_eq!(header(&minted(&ops.app, &tokens, "made"))["kid"], key.thumbprint().as_str());

    // A target that follows its key set would trust the new key.
    let other =
        json!({ "definition": plain(), "key": { "pem": pem(&KeyMaterial::generate(Algorithm::ES256).unwrap()) } });
    put(&ops, MADE, &other).expect_problem(403, "forbidden");

    // A shared secret is not published.
    let secret = "correct horse battery staple, twice";
    let hs256 = json!({ "definition": with(&json!({ "algorithm": "HS256" })), "key": { "secret": secret } });
    let shown = put(&ops, MADE, &hs256).expect(200);
    assert_eq!(shown.json()["key"]["kind"], "secret");
    let minted_now = minted(&ops.app, &tokens, "made");
    assert_eq!(header(&minted_now)["alg"], "HS256");
    let kid = shown.json()["key"]["id"].as_str().unwrap().to_owned();
    jwks(&ops.app, "made").expect_problem(404, "not_found");
    pem_of(&ops.app, "made", &kid).expect_problem(404, "not_found");
    for reply in [shown, ops.get(MADE), ops.get(BRIDGES), ops.post(&format!("{MADE}/test"), &json!({}))] {
        assert!(!reply.body.contains("horse"), "{}", reply.body);
    }
    let clear = "SELECT count(*) AS n FROM bridges WHERE position('horse'::bytea in sealed_key) > 0 \
                 OR definition::text LIKE '%horse%'";
    assert_eq!(ops.app.count(clear), 0, "sealed");
    assert_eq!(ops.app.count("SELECT count(*) AS n FROM audit_events WHERE detail::text LIKE '%horse%'"), 0);

    // A sealed key can only be opened in its own row.
    ops.post(
        BRIDGES,
        &json!({ "name": "twin", "definition": hs256["definition"], "key": { "secret": "x".repeat(32) } }),
    )
    .expect(201);
    ops.app.sql(
        "UPDATE bridges SET sealed_key = (SELECT sealed_key FROM bridges WHERE name = 'made'), \
                 version = version + 1 WHERE name = 'twin'; INSERT INTO changes (kind, key) VALUES ('bridges', 'twin')",
    );
    within(Real::from_secs(15), "it is out of use", || {
        !ops.get(&format!("{BRIDGES}/twin")).json()["outOfUse"].is_null()
    });
    let fault = ops.get(&format!("{BRIDGES}/twin")).json()["outOfUse"][0].as_str().unwrap().to_owned();
    assert!(fault.contains("damaged or not in its place"), "{fault}");

    // Back to a key of its own: the imported one is gone.
    let own = json!({ "definition": with(&json!({ "key": "own" })) });
    put(&ops, MADE, &own).expect_problem(403, "forbidden");
    let fresh = fresh_person(&ops);
    fresh("PUT", MADE, &other).expect(200);
    assert_eq!(fresh("PUT", MADE, &own).expect(200).json()["key"], json!({ "source": "own" }));
    assert_eq!(ops.app.count("SELECT count(*) AS n FROM bridges WHERE name = 'made' AND sealed_key IS NULL"), 1);
    checked(&ops.app, "made", &minted(&ops.app, &tokens, "made"));

    for (name, key) in [
        ("nothing", json!({})),
        ("two", json!({ "secret": secret, "pem": "x" })),
        ("unknown", json!({ "seed": "x" })),
        ("text", json!("x")),
    ] {
        let refused =
            put(&ops, MADE, &json!({ "definition": plain(), "key": key })).expect_problem(400, "invalid_field");
        assert_eq!(refused.json()["errors"][0]["field"], "key", "{name}");
        assert!(refused.body.contains("`nkey`") && !refused.body.contains("horse"), "{name}: {}", refused.body);
    }
    for (name, key) in [
        ("short", json!({ "secret": "short" })),
        ("no key", json!({ "pem": "hunter2" })),
        ("public", json!({ "jwk": KeyMaterial::generate(Algorithm::ES256).unwrap().public_jwk() })),
        ("another file", json!({ "service_account": { "type": "authorized_user" } })),
        ("a key that everybody may have, as a secret", json!({ "secret": key.public().unwrap().to_pem() })),
    ] {
        let refused =
            put(&ops, MADE, &json!({ "definition": plain(), "key": key })).expect_problem(400, "invalid_field");
        assert_eq!(refused.json()["errors"][0]["field"], "key", "{name}");
        assert!(!refused.body.contains("hunter2"), "{name}");
    }
}

/// A key of another algorithm signs at once. Tokens signed with the old one stay valid until they expire: its public
/// half stays published, after the new one for targets that take the first.
#[test]
fn another_algorithm_leaves_the_old_keys_published_until_their_tokens_end() {
    let ops = Ops::new();
    let app = &ops.app;
    let (_, _, tokens) = app.person_with_tokens("openid bridge:made");
    make(&ops, &plain()).expect(201);
    let before = minted(app, &tokens, "made");
    let old = header(&before)["kid"].as_str().unwrap().to_owned();
    let fresh = fresh_person(&ops);
    fresh("PUT", MADE, &json!({ "definition": with(&json!({ "algorithm": "EdDSA" })) })).expect(200);
    let after = minted(app, &tokens, "made");
    assert_eq!(header(&after)["alg"], "EdDSA");
    let new = header(&after)["kid"].as_str().unwrap().to_owned();

    checked(app, "made", &before);
    checked(app, "made", &after);
    let published = || {
        let keys = jwks(app, "made").expect(200).json()["keys"].clone();
        keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(published(), [new.clone(), old.clone()]);
    pem_of(app, "made", &old).expect(200);
    assert_eq!(
        app.count("SELECT count(*) AS n FROM signing_keys WHERE purpose = 'bridge:made' AND retired_at IS NULL"),
        1
    );

    app.advance(Duration::days(1) + Duration::minutes(2));
    within(Real::from_secs(15), "the old key is gone", || published() == [new.clone()]);
    pem_of(app, "made", &old).expect_problem(404, "not_found");
}

/// The keys of our own tokens: only for targets that know us by our issuer, and never for our own clients.
#[test]
fn the_providers_keys_sign_for_others_only() {
    let ops = beside_others();
    let (_, mut passkey, tokens) = ops.app.person_with_tokens("openid bridge:made");
    make(&ops, &with(&json!({ "preset": "trino", "key": "provider" }))).expect(201);
    let made = minted(&ops.app, &tokens, "made");
    let said = ops.app.verified(&made, AUDIENCE, "JWT");
    assert_eq!(said["iss"], ops.app.origin.as_str());
    checked(&ops.app, "made", &made);
    let set = jwks(&ops.app, "made").expect(200).json();
    let algorithms: Vec<_> = set["keys"].as_array().unwrap().iter().map(|key| key["alg"].clone()).collect();
    assert_eq!(algorithms, ["RS256"], "one algorithm, though we have more");
    let kid = header(&made)["kid"].as_str().unwrap().to_owned();
    assert!(pem_of(&ops.app, "made", &kid).expect(200).body.contains("BEGIN PUBLIC KEY"));
    // We do not accept it ourselves.
    assert!(!ops.app.opens(&made));
    assert_eq!(ops.app.introspection(&made), crate::support::tokens::INACTIVE);

    // If an audience later becomes one of ours, or another bridge's, minting is refused.
    for audience in ["web", API, TAKEN] {
        let definition = with(&json!({ "preset": "trino", "key": "provider", "audience": audience }));
        put(&ops, MADE, &json!({ "definition": definition })).expect_problem(400, "invalid_field");
        let say = |audience: &str| {
            ops.app.sql(&format!(
                "UPDATE bridges SET definition = jsonb_set(definition, '{{audience}}', '\"{audience}\"'), version = version + 1 \
                 WHERE name = 'made'; INSERT INTO changes (kind, key) VALUES ('bridges', 'made')"
            ));
        };
        say(audience);
        within(Real::from_secs(15), "it is refused", || mint(&ops.app, &tokens, "made").status == 403);
        let sessions = ops.app.count("SELECT count(*) AS n FROM sessions");
        by_ceremony(&ops.app, &mut passkey, "made").expect_problem(403, "forbidden");
        assert_eq!(ops.app.count("SELECT count(*) AS n FROM sessions"), sessions, "nobody is signed in for nothing");
        say(AUDIENCE);
        within(Real::from_secs(15), "it mints again", || mint(&ops.app, &tokens, "made").status == 200);
    }
}

/// The kill switch takes effect at once and everywhere: for ceremonies in progress, across restarts, and for declared
/// bridges.
#[test]
fn a_stopped_bridge_mints_nothing_until_it_is_enabled() {
    const DECLARED: &str = "[bridges.target]\npreset = \"jwt\"\naudience = \"https://target.example\"\n\
                            [bridges.off]\npreset = \"jwt\"\nenabled = false\naudience = \"https://target.example\"";
    let ops = Ops::with_config(DECLARED);
    let app = &ops.app;
    let (_, mut passkey, tokens) = app.person_with_tokens("openid bridge:target");
    let config = format!("{}\n{DECLARED}", super::CONFIG);
    let beside = || {
        let settings: &[(&str, &str)] = &[];
        TestApp::with(&Options { beside: Some(app), public_url: Some(&app.origin), config: &config, settings })
    };
    let twin = beside();
    minted(app, &tokens, "target");
    minted(&twin, &tokens, "target");
    let wanted = json!({ "kind": "bridge", "clientId": "web", "bridge": "target" });
    let begun = app.client("web").post("/v1/passkeys/authentication/options", &json!({ "result": wanted }));
    let begun = begun.expect(200).json();
    let before = jwks(app, "target").expect(200).body;

    let stopped = ops.post(&format!("{BRIDGES}/target/disable"), &json!({})).expect(200).json();
    assert_eq!(
        (&stopped["enabled"], &stopped["stoppedBy"], &stopped["managedBy"]),
        (&json!(false), &json!("ops"), &json!("test"))
    );
    assert!(stopped["stoppedAt"].is_string());
    mint(app, &tokens, "target").expect_problem(404, "not_found");
    jwks(app, "target").expect_problem(404, "not_found");
    let sessions = app.count("SELECT count(*) AS n FROM sessions");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    app.client("web").finish(&begun, &credential).expect_problem(404, "not_found");
    assert_eq!(app.count("SELECT count(*) AS n FROM sessions"), sessions, "nobody was signed in for it");
    let begun = app.client("web").post("/v1/passkeys/authentication/options", &json!({ "result": wanted }));
    begun.expect_problem(404, "not_found");
    within(Real::from_secs(15), "the other server follows", || mint(&twin, &tokens, "target").status == 404);
    assert_eq!(
        app.count(
            "SELECT count(*) AS n FROM audit_events WHERE kind = 'bridge.changed' AND subject = 'target' \
                          AND detail->>'change' = 'disabled' AND detail->>'by' = 'ops'"
        ),
        1
    );
    ops.post(&format!("{BRIDGES}/target/disable"), &json!({})).expect(200);
    assert_eq!(app.events("bridge.changed"), 1, "once");
    drop(twin);

    let restarted = beside();
    mint(&restarted, &tokens, "target").expect_problem(404, "not_found");
    drop(restarted);

    let again = ops.post(&format!("{BRIDGES}/target/enable"), &json!({})).expect(200).json();
    assert_eq!((&again["enabled"], again.get("stoppedAt")), (&json!(true), None));
    checked(app, "target", &minted(app, &tokens, "target"));
    assert_eq!(jwks(app, "target").expect(200).body, before, "the same key");

    // Everything else belongs to the configuration.
    let body = json!({ "definition": plain() });
    put(&ops, &format!("{BRIDGES}/target"), &body).expect_problem(409, "managed_by_configuration");
    ops.delete(&format!("{BRIDGES}/target")).expect_problem(409, "managed_by_configuration");
    ops.post(&format!("{BRIDGES}/off/enable"), &json!({})).expect_problem(409, "managed_by_configuration");
    assert_eq!(ops.get(&format!("{BRIDGES}/off")).expect(200).json()["enabled"], false);
}

/// A bridge that no longer passes its check is out of use and says why, without affecting the others or a start.
#[test]
fn a_stored_bridge_that_makes_no_sense_is_out_of_use() {
    let ops = Ops::new();
    let app = &ops.app;
    let (_, _, tokens) = app.person_with_tokens("openid bridge:made bridge:good");
    make(&ops, &plain()).expect(201);
    ops.post(BRIDGES, &json!({ "name": "good", "definition": plain() })).expect(201);
    for (name, broken, reason) in [
        ("an unknown member", json!({ "preset": "jwt", "audience": "x", "future": true }), "future"),
        ("an unknown preset", json!({ "preset": "carrier-pigeon" }), "carrier-pigeon"),
        ("a reserved claim", with(&json!({ "claims": { "iss": "evil" } })), "claims.iss"),
        ("ourselves", json!({ "preset": "jwt", "audience": app.origin }), "audience"),
        ("a level that nobody reaches", with(&json!({ "allow": { "min_acr": "phrh" } })), "min_acr"),
    ] {
        app.sql(&format!(
            "UPDATE bridges SET definition = '{broken}', version = version + 1 WHERE name = 'made'; \
             INSERT INTO changes (kind, key) VALUES ('bridges', 'made')"
        ));
        let told = || ops.get(MADE).expect(200).json()["outOfUse"].to_string().contains(reason);
        within(Real::from_secs(15), name, told);
        mint(app, &tokens, "made").expect_problem(404, "not_found");
        minted(app, &tokens, "good");
    }
    let twin = TestApp::with(&Options {
        beside: Some(app),
        public_url: Some(&app.origin),
        config: super::CONFIG,
        ..Options::default()
    });
    mint(&twin, &tokens, "made").expect_problem(404, "not_found");
    minted(&twin, &tokens, "good");
    assert_eq!(ops.post(&format!("{MADE}/test"), &json!({})).expect(200).json()["ok"], false);
    put(&ops, MADE, &json!({ "definition": plain() })).expect(200);
    minted(app, &tokens, "made");
}

/// Dangerous changes require a person who has just signed in.
#[test]
fn a_dangerous_bridge_wants_a_fresh_sign_in() {
    let ops = Ops::new();
    let app = &ops.app;
    let dangerous = json!({ "name": "made", "definition": with(&json!({ "dangerous": true })) });
    ops.post(BRIDGES, &dangerous).expect_problem(403, "forbidden");

    let (mut person, mut passkey) = app.person();
    let seen = person.get("/v1/session").json();
    let id = seen["user"]["id"].as_str().unwrap().to_owned();
    ops.post("/v1/admin/groups", &json!({ "name": "admin" })).expect(201);
    ops.patch(&format!("/v1/admin/users/{id}"), &json!({ "groups": ["admin"] })).expect(200);
    let send = |seen: &Value| {
        let access = person_token(app, seen, "admin");
        let request = app.request("POST", BRIDGES).header("Authorization", &format!("Bearer {access}"));
        request.json(&dangerous).send()
    };
    app.advance(Duration::minutes(6));
    send(&seen).expect_problem(401, "reauthentication_required");
    person.step_up(&mut passkey).expect(200);
    send(&seen).expect_problem(401, "reauthentication_required");
    send(&person.get("/v1/session").json()).expect(201);
    assert_eq!(
        app.count(
            "SELECT count(*) AS n FROM audit_events WHERE kind = 'bridge.changed' \
                          AND (detail->>'dangerous')::boolean"
        ),
        1
    );
    put(&ops, MADE, &json!({ "definition": dangerous["definition"] })).expect_problem(403, "forbidden");
    put(&ops, MADE, &json!({ "definition": plain() })).expect(200);
}

/// An imported key was given for one target: it is neither sent elsewhere nor put under the rules of another preset.
#[test]
fn an_imported_key_stays_with_its_target() {
    let ops = Ops::new();
    let secret = json!({ "secret": "correct-horse-battery-staple-twice" });
    let signing = with(&json!({ "algorithm": "HS256" }));
    ops.post(BRIDGES, &json!({ "name": "made", "definition": signing, "key": secret })).expect(201);
    let instant =
        |url: &str| json!({ "preset": "instantdb", "audience": "0c4a6b8e-5d1f-4f7e-9a33-2f0d8f5e7c11", "url": url });
    let elsewhere = [
        json!({ "definition": instant("https://target.example") }),
        json!({ "definition": { "preset": "supabase-secret", "url": "https://target.example" } }),
    ];
    let fresh = fresh_person(&ops);
    for body in &elsewhere {
        let refused = fresh("PUT", MADE, body).expect_problem(400, "invalid_field");
        assert_eq!(refused.json()["errors"][0]["field"], "key", "{body}");
    }
    // With its key supplied again it is another bridge; from then on the key is bound to the new address.
    fresh("PUT", MADE, &json!({ "definition": instant("https://target.example"), "key": secret })).expect(200);
    put(&ops, MADE, &json!({ "definition": instant("https://target.example") })).expect(200);
    let refused = put(&ops, MADE, &json!({ "definition": instant("https://elsewhere.example") }));
    assert_eq!(refused.expect_problem(400, "invalid_field").json()["errors"][0]["field"], "key");
}

/// Targets that trust a bridge by its name follow its keys. No program may change what stands behind them, neither in
/// two steps nor under a name that has become free again.
#[test]
fn a_name_that_may_be_trusted_gets_no_other_preset_or_key_unseen() {
    let ops = Ops::new();
    make(&ops, &ruled()).expect(201);
    let key = json!({ "pem": pem(&KeyMaterial::generate(Algorithm::ES256).unwrap()) });
    let with_key = |definition: Value, source: &str| {
        let mut definition = definition;
        definition["key"] = source.into();
        definition
    };
    for body in [
        json!({ "definition": plain() }),
        json!({ "definition": with_key(plain(), "provider") }),
        json!({ "definition": with_key(ruled(), "provider") }),
        json!({ "definition": ruled(), "key": key }),
        json!({ "definition": plain(), "key": { "secret": "correct-horse-battery-staple-twice" } }),
    ] {
        let refused = put(&ops, MADE, &body);
        assert!(refused.status == 403 || body["definition"]["key"] == "provider", "{body}: {}", refused.body);
        assert_ne!(refused.status, 200, "{body}");
    }
    put(&ops, MADE, &json!({ "definition": ruled() })).expect(200);
    ops.delete(MADE).expect(204);
    for body in
        [json!({ "name": "made", "definition": ruled() }), json!({ "name": "made", "definition": plain(), "key": key })]
    {
        ops.post(BRIDGES, &body).expect_problem(403, "forbidden");
    }
    let fresh = fresh_person(&ops);
    fresh("POST", BRIDGES, &json!({ "name": "made", "definition": ruled() })).expect(201);
    fresh("PUT", MADE, &json!({ "definition": plain() })).expect(200);
}

/// A creation that is sent again creates one bridge; of a key only its public id is compared.
#[test]
fn a_creation_can_be_sent_again() {
    let ops = Ops::new();
    let send = |secret: &str| {
        let body = json!({ "name": "made", "definition": with(&json!({ "algorithm": "HS256" })), "key": { "secret": secret } });
        ops.request("POST", BRIDGES).header("Idempotency-Key", "one").json(&body).send()
    };
    let secret = "a".repeat(32);
    let first = send(&secret).expect(201);
    assert_eq!(send(&secret).expect(201).body, first.body);
    send(&"b".repeat(32)).expect_problem(422, "idempotency_key_reused");
}

/// Who may mint, by group, verification and address: each refusal by name.
#[test]
fn the_rule_asks_for_groups_verification_and_address() {
    let ops = Ops::new();
    let app = &ops.app;
    let (_, _, tokens) = app.person_with_tokens("openid bridge:made");
    let id = claims(&tokens.access)["sub"].as_str().unwrap().to_owned();
    make(&ops, &plain()).expect(201);
    let allow = |allow: &Value| put(&ops, MADE, &json!({ "definition": with(&json!({ "allow": allow })) })).expect(200);
    let told = |name: &str, status: u16, code: &str| {
        let reply = mint(app, &tokens, "made");
        assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{name}: {}", reply.body);
    };
    allow(&json!({ "groups": ["staff"] }));
    told("in no group", 403, "forbidden");
    ops.post("/v1/admin/groups", &json!({ "name": "staff" })).expect(201);
    ops.patch(&format!("/v1/admin/users/{id}"), &json!({ "groups": ["staff"] })).expect(200);
    minted(app, &tokens, "made");
    allow(&json!({ "require": { "email_verified": true } }));
    told("no address", 403, "forbidden");
    app.sql("UPDATE users SET email = 'a@example.com'");
    told("an address that nobody proved", 403, "forbidden");
    app.sql("UPDATE users SET email_verified_at = now()");
    minted(app, &tokens, "made");
    allow(&json!({ "require": { "user_verification": true } }));
    minted(app, &tokens, "made");
    let mut present = claims(&tokens.access);
    present["amr"] = json!(["pop"]);
    let asked = app.client("web").bearer("POST", "/v1/bridges/made/token", &token(app, &present)).send();
    asked.expect_problem(401, "reauthentication_required");
    allow(&json!({ "clients": ["other"] }));
    told("another client", 403, "forbidden");
    allow(&json!({ "scopes": ["bridge:else"] }));
    told("another scope", 403, "insufficient_scope");
}
