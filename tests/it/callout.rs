//! NATS auth callout: who is admitted, as whom, for how long; who is refused; and that only questions from its server
//! are answered.

use std::io::{BufRead as _, Read as _};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Duration;
use passmint::bridge::callout::Identity;
use passmint::bridge::nkey::Role;
use passmint::bridge::preset::rules::NatsAccount;
use passmint::tokens::keys::KeyMaterial;
use serde_json::{Value, json};

use crate::support::nats::{Line, Nats, public, verified};
use crate::support::tokens::claims;
use crate::support::{Options, TestApp};

const RESOURCE: &str = "https://nats.example";

/// A NATS server, ours, and the account whose key signs the answers.
struct Set {
    app: TestApp,
    nats: Nats,
    account: String,
    /// The user that we connect as.
    ours: String,
    _key: tempfile::TempDir,
}

impl Set {
    fn with(more: &str) -> Self {
        Self::set_up(more, &[])
    }

    fn set_up(more: &str, limits: &[(&str, &str)]) -> Self {
        let nats = Nats::start();
        let directory = tempfile::tempdir().expect("a directory");
        let pair = Ed25519KeyPair::generate().expect("a key");
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(pair.to_pkcs8v1().expect("a key").as_ref())
        );
        let file = directory.path().join("callout.pem");
        std::fs::write(&file, &pem).expect("written");
        let account = public(Role::Account, &pair);
        let secret = KeyMaterial::from_pem(&pem).expect("a key").secret().clone();
        let ours = Identity::of(&NatsAccount { public: account.clone(), secret }).expect("a key").public().to_owned();
        let config = format!(
            r#"
[resources."{RESOURCE}"]
name = "NATS"

[clients.chat]
name = "Chat"
first_party = true
origins = ["ORIGIN"]
grants = ["passkey"]
scopes = ["openid", "bridge:nats"]
audiences = ["{RESOURCE}"]

[bridges.nats]
preset = "nats-callout"
url = "{}"
audience = "APP"
lifetime = "5m"
key_file = "{}"
{more}
[bridges.nats.claims]
pub = {{ allow = ["{{{{ tmpl('usr.{{}}.>', user.id) }}}}"] }}
sub = {{ allow = ["{{{{ tmpl('usr.{{}}.>', user.id) }}}}"] }}

[bridges.target]
preset = "jwt"
audience = "https://target.example"
"#,
            nats.url(),
            file.display()
        );
        let settings = [&[("outbound.allow_private_addresses", "true")][..], limits].concat();
        let app = TestApp::with(&Options { config: &config, settings: &settings, ..Options::default() });
        Self { app, nats, account, ours, _key: directory }
    }

    fn line(&self) -> Line {
        self.nats.accept(&self.ours)
    }

    /// Sends a question about a connection with this token, for a new key. Returns the answer and the key.
    fn asked(&self, line: &mut Line, options: Value) -> (Value, String) {
        let user = public(Role::User, &Ed25519KeyPair::generate().expect("a key"));
        let question = self.nats.question(&user, options, self.app.clock.now().timestamp(), |_| {});
        let said = verified(&line.ask(&question), &self.account);
        assert_eq!((&said["sub"], &said["aud"]), (&json!(user), &json!(self.nats.id)), "bound to key and server");
        assert_eq!((&said["nats"]["type"], &said["nats"]["version"]), (&json!("authorization_response"), &json!(2)));
        (said["nats"].clone(), user)
    }

    fn user(&self, line: &mut Line, token: &str) -> Value {
        let (said, key) = self.asked(line, json!({ "auth_token": token }));
        assert_eq!(said["error"], Value::Null, "{said}");
        let user = verified(said["jwt"].as_str().expect("a user"), &self.account);
        assert_eq!((&user["sub"], &user["aud"]), (&json!(key), &json!("APP")), "bound to key and account");
        user
    }

    #[track_caller]
    fn refused(&self, line: &mut Line, what: &str, options: Value, words: &str) {
        let (said, _) = self.asked(line, options);
        assert_eq!(said["jwt"], Value::Null, "{what}");
        assert!(said["error"].as_str().is_some_and(|error| error.contains(words)), "{what}: {said}");
    }
}

#[test]
fn a_person_is_let_in_as_long_as_the_token_lives_and_no_longer() {
    let set = Set::with("");
    let (_, _, tokens) = set.app.person_with_tokens("openid bridge:nats");
    let id = claims(&tokens.access)["sub"].as_str().unwrap().to_owned();
    let mut line = set.line();
    let user = set.user(&mut line, &tokens.access);
    let lasts = user["exp"].as_i64().unwrap() - user["iat"].as_i64().unwrap();
    assert_eq!((lasts, &user["name"]), (300, &json!(id)), "by the bridge's life");
    let own = json!([format!("usr.{id}.>")]);
    assert_eq!(
        user["nats"],
        json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1, "pub": { "allow": own }, "sub": { "allow": own } })
    );
    assert_eq!(set.app.events("bridge.minted"), 1);
    // The token lives for ten minutes.
    set.app.advance(Duration::minutes(8));
    let user = set.user(&mut line, &tokens.access);
    assert_eq!(user["exp"], claims(&tokens.access)["exp"], "by the token's life");
    set.app.advance(Duration::minutes(2));
    set.refused(&mut line, "an expired token", json!({ "auth_token": tokens.access }), "not valid here");
    assert_eq!(set.app.events("bridge.minted"), 2, "a refusal mints nothing");
}

#[test]
fn everybody_else_is_refused_and_nothing_inside_is_told() {
    let set = Set::with("");
    let (mut browser, mut passkey, tokens) = set.app.person_with_tokens("openid bridge:nats");
    let mut line = set.line();
    let web = set.app.client("web");
    let custom =
        web.bearer("POST", "/v1/bridges/target/token", &set.app.person_with_tokens("openid bridge:target").2.access);
    let custom = custom.send().expect(200).json()["token"].as_str().unwrap().to_owned();
    let without = web.sign_in(&mut passkey, "openid").expect(200).json();
    let revoked = web.sign_in(&mut passkey, "openid bridge:nats").expect(200).json();
    let revoked = revoked["accessToken"].as_str().unwrap();
    web.revoke(revoked).expect(200);
    let broken = format!("{}AAAA", &tokens.access[..tokens.access.len() - 4]);
    let huge = "x".repeat(20_000);
    let token = |token: &str| json!({ "auth_token": token });
    for (what, options, words) in [
        ("nothing", json!({}), "has no access token"),
        ("a name alone", json!({ "user": tokens.access }), "has no access token"),
        ("nkey and signature", json!({ "nkey": "U", "sig": "x" }), "has no access token"),
        ("garbage", token("x"), "not valid here"),
        ("a huge one", token(&huge), "not valid here"),
        ("a broken one", token(&broken), "not valid here"),
        ("an ID token", token(&tokens.id), "not valid here"),
        ("a custom token", token(&custom), "not valid here"),
        ("a revoked one", token(revoked), "not valid here"),
        ("one without the scope", token(without["accessToken"].as_str().unwrap()), "scope for this bridge is missing"),
    ] {
        set.refused(&mut line, what, options, words);
    }
    assert_eq!(set.app.events("bridge.minted"), 1, "the custom token alone");
    set.user(&mut line, &tokens.access);
    let (said, _) = set.asked(&mut line, json!({ "user": "anybody", "pass": tokens.access }));
    assert!(said["jwt"].is_string(), "a password: {said}");
    browser.call("DELETE", "/v1/session", None).expect(200);
    set.user(&mut line, &tokens.access);
    set.app.sql("UPDATE users SET status = 'disabled'");
    set.refused(&mut line, "a disabled person", token(&tokens.access), "not valid here");
}

/// Behind a load balancer NATS sees one address for everybody: junk from there locks nobody out. A person is still
/// limited.
#[test]
fn others_junk_keeps_nobody_out() {
    let limits = [
        ("limits.enabled", "true"),
        ("limits.tokens_per_minute", "1"),
        ("limits.tokens_burst", "2"),
        ("limits.bridges_per_minute", "1"),
        ("limits.bridges_burst", "2"),
    ];
    let set = Set::set_up("", &limits);
    let (_, _, tokens) = set.app.person_with_tokens("openid bridge:nats");
    let mut line = set.line();
    for _ in 0..5 {
        set.refused(&mut line, "junk", json!({ "auth_token": "x" }), "not valid here");
    }
    for _ in 0..2 {
        set.user(&mut line, &tokens.access);
    }
    set.refused(&mut line, "a mill", json!({ "auth_token": tokens.access }), "Too many tokens of this bridge");
}

#[test]
fn the_rule_of_the_bridge_is_asked() {
    for (rule, words) in [
        ("clients = [\"other\"]", "This client may not use this bridge."),
        ("groups = [\"staff\"]", "This bridge makes no token for this account."),
        ("max_auth_age = \"1m\"", "This bridge requires a fresh sign-in with a passkey."),
        ("scopes = [\"chat\"]", "The scope for this bridge is missing."),
    ] {
        let set = Set::with(&format!("[bridges.nats.allow]\n{rule}"));
        let (_, _, tokens) = set.app.person_with_tokens("openid bridge:nats");
        let mut line = set.line();
        set.app.advance(Duration::minutes(2));
        set.refused(&mut line, rule, json!({ "auth_token": tokens.access }), words);
    }
}

#[test]
fn with_an_audience_of_its_own_a_token_for_us_is_not_taken() {
    let set = Set::with(&format!("bearer_audience = \"{RESOURCE}\""));
    let (_, mut passkey, tokens) = set.app.person_with_tokens("openid bridge:nats");
    let mut line = set.line();
    set.refused(&mut line, "a token for us", json!({ "auth_token": tokens.access }), "not valid here");
    let client = set.app.client("chat");
    let result = json!({ "kind": "tokens", "clientId": "chat", "scope": "openid bridge:nats", "audience": RESOURCE });
    let begun = client.post("/v1/passkeys/authentication/options", &json!({ "result": result })).expect(200).json();
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let answer = client.finish(&begun, &credential).expect(200).json();
    let access = answer["accessToken"].as_str().unwrap();
    assert_eq!(claims(access)["aud"], RESOURCE);
    set.user(&mut line, access);
}

#[test]
fn what_is_no_question_of_its_server_is_not_answered() {
    let set = Set::with("");
    let (_, _, tokens) = set.app.person_with_tokens("openid bridge:nats");
    let mut line = set.line();
    let now = set.app.clock.now().timestamp();
    let user = public(Role::User, &Ed25519KeyPair::generate().unwrap());
    let options = json!({ "auth_token": tokens.access });
    let other = Nats::start();
    let changed = |path: &str, value: Value| {
        set.nats.question(&user, options.clone(), now, |claims| *claims.pointer_mut(path).expect(path) = value)
    };
    for (what, question) in [
        ("another server's signature", changed("/iss", json!(other.id))),
        ("another server's name", changed("/nats/server_id/id", json!(other.id))),
        ("another audience", changed("/aud", json!("https://id.example.com"))),
        ("another kind", changed("/nats/type", json!("authorization_response"))),
        ("over", changed("/exp", json!(now - 60))),
        ("no key", changed("/nats/user_nkey", json!(set.nats.id))),
        ("our own token", tokens.access.clone()),
        ("garbage", "hello".to_owned()),
    ] {
        line.ask_in_vain(&question);
        assert_eq!(set.app.events("bridge.minted"), 0, "{what}");
    }
    set.user(&mut line, &tokens.access);
}

/// A user's JWT is only for the NATS server that asked, and is never handed to a caller.
#[test]
fn it_is_given_out_in_no_other_way() {
    let set = Set::with("");
    let (mut browser, mut passkey, tokens) = set.app.person_with_tokens("openid bridge:nats");
    let _line = set.line();
    let web = set.app.client("web");
    let told = |reply: crate::support::Reply, what: &str| {
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (400, Some("invalid_request")),
            "{what}: {}",
            reply.body
        );
        assert!(reply.body.contains("answers servers of NATS alone"), "{what}: {}", reply.body);
    };
    told(browser.call("POST", "/v1/bridges/nats/token", None), "cookie");
    told(web.bearer("POST", "/v1/bridges/nats/token", &tokens.access).send(), "access token");
    let result = json!({ "result": { "kind": "bridge", "clientId": "web", "bridge": "nats" } });
    let begun = web.post("/v1/passkeys/authentication/options", &result);
    if begun.status == 200 {
        let begun = begun.json();
        let credential = passkey.get_uninvited(&begun["publicKey"]);
        let reply = web.finish(&begun, &credential);
        assert_eq!(reply.status, 400, "{}", reply.body);
    } else {
        assert_eq!(begun.status, 400, "{}", begun.body);
    }
    assert_eq!(
        set.app.request("GET", "/v1/bridges/nats/jwks.json").send().status,
        200,
        "the issuer's key is no secret"
    );
    assert_eq!(set.app.events("bridge.minted"), 0);
}

#[test]
fn a_stopped_bridge_takes_its_line_with_it() {
    let set = Set::with("");
    let (_, _, tokens) = set.app.person_with_tokens("openid bridge:nats");
    let mut line = set.line();
    set.user(&mut line, &tokens.access);
    set.app.sql("UPDATE bridges SET stopped_at = now(), stopped_by = 'test' WHERE name = 'nats'; INSERT INTO changes (kind, key) VALUES ('bridges', 'nats')");
    assert!(line.ends(), "the line");
    set.app.sql("UPDATE bridges SET stopped_at = NULL, stopped_by = NULL WHERE name = 'nats'; INSERT INTO changes (kind, key) VALUES ('bridges', 'nats')");
    let mut line = set.line();
    set.user(&mut line, &tokens.access);
    // A connection that breaks is made again.
    drop(line);
    let mut line = set.line();
    set.user(&mut line, &tokens.access);
}

/// What somebody in between could send before anything is proven.
#[test]
fn a_server_that_is_not_as_it_should_be_is_told_nothing() {
    let set = Set::with("");
    for (what, info) in [
        ("no nonce", json!({ "server_id": "x" })),
        ("TLS that nobody vouches for", json!({ "server_id": "x", "nonce": "n", "tls_required": true })),
        ("no NATS", json!([])),
    ] {
        let mut stream = set.nats.greet(&info);
        let mut said = Vec::new();
        // The first bytes of TLS, or nothing.
        if what.starts_with("TLS") {
            assert_eq!(stream.fill_buf().expect("bytes").first(), Some(&0x16), "{what}");
            continue;
        }
        stream.read_to_end(&mut said).expect("the end");
        assert!(said.is_empty(), "{what}: {}", String::from_utf8_lossy(&said));
    }
    let _line = set.line();
}
