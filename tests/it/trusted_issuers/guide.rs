//! The guide docs/recipes/your-own-backend.md: its configuration produces what it prints. `make test-live` runs its
//! script.

use std::collections::BTreeSet;

use passmint::tokens::keys::PublicKey;
use serde_json::{Map, Value, json};

use super::given;
use crate::support::jose::{Key, fresh};
use crate::support::tokens::claims;
use crate::support::urn::{EXCHANGE, JWT};
use crate::support::{Options, Reply, TestApp};

const GUIDE: &str = include_str!("../../../docs/recipes/your-own-backend.md");
const BACKEND: &str = "https://shop.example.com";

/// The guide's code blocks in one language, as one text.
fn blocks(language: &str) -> String {
    let fence = format!("```{language}\n");
    GUIDE.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// The guide's server, trusting this key; everything that is replaced in the configuration must be there.
fn spawn(key: &Key) -> TestApp {
    let mut config = blocks("toml");
    let between = |text: &str, from: &str, to: &str| {
        let (_, rest) = text.split_once(from).expect("the guide's block has it");
        format!("{from}{}{to}", rest.split_once(to).expect("the guide's block ends it").0)
    };
    let pem = between(&config, "-----BEGIN", "KEY-----\n\"\"\"");
    let digest = between(&config, "secret_digest = \"", "\"");
    let own = PublicKey::from_jwk(&key.named("k1")).unwrap().to_pem();
    for (from, to) in [
        ("public_url = \"https://id.example.com\"\n", ""),
        (pem.as_str(), &format!("{own}\"\"\"")),
        (&digest, "secret_digest = \"API_DIGEST\""),
    ] {
        assert_eq!(config.matches(from).count(), 1, "{from}");
        config = config.replace(from, to);
    }
    TestApp::with(&Options { config: &config, ..Options::default() })
}

/// The guide's JWT for a user, with these members changed.
fn vouch(app: &TestApp, key: &Key, change: Value) -> String {
    let iat = app.clock.now().timestamp();
    let mut said = json!({
        "iss": BACKEND, "sub": "4711", "aud": app.origin, "iat": iat, "exp": iat + 60, "jti": fresh(),
    });
    for (name, value) in change.as_object().unwrap() {
        said[name] = value.clone();
    }
    said.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    key.sign(&json!({ "alg": "ES256", "typ": "JWT" }), &said)
}

fn ask(app: &TestApp, subject: &str, inputs: &str) -> Reply {
    let form = [
        ("grant_type", EXCHANGE),
        ("subject_token", subject),
        ("subject_token_type", JWT),
        ("audience", "chat"),
        ("inputs", inputs),
    ];
    app.token_by("shop", &form)
}

const BLUE: &str = r#"{"room":"blue"}"#;

#[test]
fn the_guide_to_a_backends_custom_tokens_says_what_comes_out() {
    let key = Key::p256();
    let app = spawn(&key);
    let printed: Map<String, Value> = serde_json::from_str(&blocks("json")).expect("one document");
    let custom = claims(&given(ask(&app, &vouch(&app, &key, json!({})), BLUE)));
    let told: BTreeSet<&str> = custom.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(told, printed.keys().map(String::as_str).collect(), "{custom}");
    for name in ["sub", "aud", "room"] {
        assert_eq!(custom[name], printed[name], "{name}");
    }
    assert_eq!(custom["act"]["sub"], printed["act"]["sub"]);
    let life = |claims: &Value| claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!(life(&custom) == 60 && life(&json!(printed)) <= 60, "no longer than what was exchanged");
    // The same user is the same person, and another user is another person.
    assert_eq!(claims(&given(ask(&app, &vouch(&app, &key, json!({})), BLUE)))["sub"], "4711");
    assert_eq!(claims(&given(ask(&app, &vouch(&app, &key, json!({ "sub": "4712" })), BLUE)))["sub"], "4712");
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 2);
}

#[test]
fn what_the_guide_calls_refused_is_refused() {
    let key = Key::p256();
    let app = spawn(&key);
    let used = vouch(&app, &key, json!({}));
    ask(&app, &used, BLUE).expect(200);
    let now = app.clock.now().timestamp();
    for (name, token) in [
        ("used before", used),
        ("longer than max_life", vouch(&app, &key, json!({ "exp": now + 61 }))),
        ("older than max_age", vouch(&app, &key, json!({ "iat": now - 66, "exp": now + 60 }))),
        ("for another server", vouch(&app, &key, json!({ "aud": "https://elsewhere.example" }))),
        ("of another issuer", vouch(&app, &key, json!({ "iss": "https://elsewhere.example" }))),
        ("without an id", vouch(&app, &key, json!({ "jti": null }))),
        ("by another key", vouch(&app, &Key::p256(), json!({}))),
    ] {
        let refused = ask(&app, &token, BLUE);
        let refused = refused.expect_oauth(400, "invalid_request");
        assert!(refused.body.contains("subject token"), "{name}: {}", refused.body);
    }
    let good = vouch(&app, &key, json!({}));
    for inputs in ["", "{}", r#"{"room":"a b"}"#, r#"{"room":"blue","role":"admin"}"#] {
        let refused = ask(&app, &good, inputs).expect_oauth(400, "invalid_request");
        assert!(refused.body.contains("input"), "{inputs}: {}", refused.body);
    }
    ask(&app, &good, BLUE).expect(200);
}
