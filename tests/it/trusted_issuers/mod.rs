//! Trusted issuers: their tokens, exchanged (RFC 8693) or presented as grants (RFC 7523), and everything that is
//! refused.

mod assertions;
mod enrolment;
mod guide;
mod hooks;

use chrono::Duration;
use passmint::tokens::keys::PublicKey;
use serde_json::{Value, json};

use crate::cli::Operator;
use crate::client_authentication::KeyServer;
use crate::support::jose::{self, Key, fresh};
use crate::support::tokens::{Tokens, at_once, basic, claims};
use crate::support::urn::{ACCESS, EXCHANGE, JWT_BEARER, TYPE};
use crate::support::{API_SECRET, Options, Reply, TestApp};

const PARTNER: &str = "https://partner.example";
const ORDERS: &str = "https://orders.example";

/// `gate` may exchange the partner's tokens and present them as grants.
const CONFIG: &str = r#"
[clients.gate]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["token_exchange", "jwt_bearer", "client_credentials"]
scopes = ["openid", "bridge:open", "read", "write"]
audiences = ["https://orders.example"]
may_introspect = ["https://orders.example"]

[clients.stranger]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["token_exchange", "jwt_bearer"]
scopes = ["read"]
audiences = ["https://orders.example"]

[clients.plain]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["client_credentials"]
scopes = ["read"]

[exchange_rules.partners]
clients = ["gate"]
issuers = ["partner"]
subject_types = ["jwt"]
new_audiences = ["https://orders.example"]
new_scopes = ["read"]
issues = ["access_token", "id_token"]
impersonation = true
"#;

/// The trust in the partner, with these additional settings.
fn partner(keys: &str, more: &str) -> String {
    format!(
        "{CONFIG}\n[trusted_issuers.partner]\nissuer = \"{PARTNER}\"\n{keys}\nclients = [\"gate\"]\nscopes = [\"read\"]\n{more}\n"
    )
}

/// A server that trusts this key, given in the configuration.
fn trusting(key: &Key, more: &str) -> TestApp {
    let keys = jose::as_toml(&[key.named("k1")]);
    TestApp::with(&Options { config: &partner(&keys, more), ..Options::default() })
}

/// An honest token of the partner, to be altered.
fn parts(app: &TestApp, sub: &str) -> (Value, Value) {
    let iat = app.clock.now().timestamp();
    let claims = json!({
        "iss": PARTNER, "sub": sub, "aud": app.origin, "iat": iat, "exp": iat + 120, "jti": fresh(),
        "scope": "read write admin", "acr": "phrh", "amr": ["hwk"],
    });
    (json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" }), claims)
}

fn token(app: &TestApp, key: &Key, sub: &str) -> String {
    let (header, claims) = parts(app, sub);
    key.sign(&header, &claims)
}

fn exchange(app: &TestApp, client: &str, subject: &str, more: &[(&str, &str)]) -> Reply {
    let kind = format!("{TYPE}jwt");
    let mut form = vec![
        ("grant_type", EXCHANGE),
        ("subject_token", subject),
        ("subject_token_type", &kind),
        ("audience", ORDERS),
        ("scope", "read"),
    ];
    form.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    form.extend(more);
    app.token_by(client, &form)
}

fn bearer(app: &TestApp, client: &str, assertion: &str, more: &[(&str, &str)]) -> Reply {
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion)];
    app.token_by(client, &[&form[..], more].concat())
}

/// A chain of actors.
fn acts(length: usize) -> Value {
    (0..length).fold(Value::Null, |before, number| {
        let actor = json!({ "sub": format!("a-{number}") });
        if before.is_null() { actor } else { json!({ "sub": actor["sub"], "act": before }) }
    })
}

fn given(reply: Reply) -> String {
    reply.expect(200).json()["access_token"].as_str().unwrap().to_owned()
}

/// A new person whom a source knows by this id.
fn link(app: &TestApp, source: &str, id: &str) -> String {
    let (_, _, person) = app.ada();
    app.sql(&format!(
        "INSERT INTO external_ids (source, external_id, user_id) VALUES ('{source}', '{id}', '{person}')"
    ));
    person.to_string()
}

fn is_active(app: &TestApp, token: &str) -> bool {
    let request = app.request("POST", "/oauth/introspect").form(&[("token", token)]);
    let told = request.header("Authorization", &basic("gate", API_SECRET)).send().expect(200).json();
    told["active"] == true
}

/// A single PEM key is used whatever `kid` a token names; several have the names that tokens must use.
#[test]
fn keys_may_be_given_as_pem() {
    let (key, other) = (Key::p256(), Key::p256());
    let pem = |key: &Key| PublicKey::from_jwk(&key.named("k1")).unwrap().to_pem();
    let one = format!("pem = '''\n{}'''", pem(&key));
    let named = format!("pem = {{ k1 = {:?}, k2 = {:?} }}", pem(&key), pem(&other));
    for (name, keys, takes_any_name) in [("one", one, true), ("named", named, false)] {
        let app = TestApp::with(&Options { config: &partner(&keys, "subject = \"create\""), ..Options::default() });
        given(exchange(&app, "gate", &token(&app, &key, "p-1"), &[]));
        exchange(&app, "gate", &token(&app, &Key::p256(), "p-1"), &[]).expect_oauth(400, "invalid_request");
        let (mut head, body) = parts(&app, "p-2");
        head["kid"] = json!("another");
        let reply = exchange(&app, "gate", &key.sign(&head, &body), &[]);
        assert_eq!(reply.status == 200, takes_any_name, "{name}: {}", reply.body);
    }
}

/// A token counts once, so if nothing can be issued for it, it is not used up, and nobody is admitted.
#[test]
fn a_token_is_not_used_up_in_vain() {
    let key = Key::p256();
    let app = trusting(
        &key,
        "subject = \"create\"\n[exchange_rules.bridged]\nclients = [\"gate\"]\nissuers = [\"partner\"]\n\
         subject_types = [\"jwt\"]\nbridges = [\"open\", \"strict\"]\nimpersonation = true\n\
         [bridges.open]\npreset = \"jwt\"\naudience = \"https://open.example\"\n\
         [bridges.open.inputs.room]\nrequired = false\n\
         [bridges.strict]\npreset = \"jwt\"\naudience = \"https://strict.example\"\n\
         [bridges.strict.allow]\nmin_acr = \"phr\"\nscopes = [\"bridge:open\"]",
    );
    let (subject, kind) = (token(&app, &key, "p-1"), format!("{TYPE}jwt"));
    let ask = |bridge: &str, inputs: &str| {
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", &subject),
            ("subject_token_type", &kind),
            ("audience", bridge),
            ("inputs", inputs),
        ];
        app.token_by("gate", &form)
    };
    ask("strict", "").expect_oauth(400, "invalid_target");
    ask("open", r#"{"room":"a/b"}"#).expect_oauth(400, "invalid_request");
    assert_eq!((app.count("SELECT count(*) AS n FROM users"), app.count("SELECT count(*) AS n FROM sessions")), (0, 0));
    ask("open", r#"{"room":"blue"}"#).expect(200);
    ask("open", "").expect_oauth(400, "invalid_request");
}

#[test]
fn a_linked_persons_token_is_exchanged() {
    let key = Key::p256();
    let app = trusting(&key, "");
    let ada = link(&app, "partner", "p-1");
    let reply = exchange(&app, "gate", &token(&app, &key, "p-1"), &[]).expect(200);
    let lives = reply.json()["expires_in"].as_i64().unwrap();
    assert!((100..=120).contains(&lives), "no longer than what was exchanged: {lives}");
    let said = app.verified(reply.json()["access_token"].as_str().unwrap(), ORDERS, "at+jwt");
    assert_eq!((&said["sub"], &said["scope"], &said["acr"]), (&json!(ada), &json!("read"), &json!("0")));
    assert_eq!(said["act"], json!({ "sub": "gate", "client_id": "gate" }));
    assert!(!said.contains_key("amr"), "how strongly somebody signed in elsewhere is not told as ours");
    assert_eq!((app.events("trusted_issuer.believed"), app.events("token.impersonated")), (1, 1));

    let access = given(exchange(&app, "gate", &token(&app, &key, "p-1"), &[]));
    assert!(is_active(&app, &access));
    app.sql("UPDATE sessions SET revoked_at = now() WHERE client_id = 'gate'");
    assert!(!is_active(&app, &access), "it ends with its session");
    let id = exchange(
        &app,
        "gate",
        &token(&app, &key, "p-1"),
        &[("audience", "gate"), ("requested_token_type", &format!("{TYPE}id_token")), ("scope", "read")],
    );
    id.expect_oauth(400, "invalid_scope");
}

/// RFC 7519 §2: some libraries write dates with fractions of a second.
#[test]
fn dates_with_fractions_are_taken() {
    let key = Key::p256();
    let app = trusting(&key, "max_age = \"5m\"\nmax_life = \"5m\"");
    link(&app, "partner", "p-1");
    let now = app.clock.now().timestamp();
    let start = f64::from(i32::try_from(now).unwrap());
    let dated = || {
        let (header, mut claims) = parts(&app, "p-1");
        (claims["iat"], claims["nbf"], claims["exp"]) = (json!(start), json!(start + 0.12), json!(start + 120.999));
        claims["auth_time"] = json!(start - 30.5);
        key.sign(&header, &claims)
    };
    let access = given(exchange(&app, "gate", &dated(), &[]));
    let said = app.verified(&access, ORDERS, "at+jwt");
    assert_eq!(said["auth_time"], json!(now - 31), "ours are whole numbers");
    assert!(said["exp"].as_i64().unwrap() <= now + 120, "no longer than what was exchanged");
    let twice = dated();
    given(bearer(&app, "gate", &twice, &[]));
    bearer(&app, "gate", &twice, &[]).expect_oauth(400, "invalid_grant");
}

/// Every possible fault of a token, in an exchange and as a grant.
#[test]
#[expect(clippy::too_many_lines, reason = "one table of refusals")]
fn tokens_are_refused_by_name() {
    let (key, other, rsa) = (Key::p256(), Key::p256(), Key::rsa());
    let app = trusting(&key, "required_claims = { org = [\"a\", \"b\"] }\nmax_age = \"5m\"\nmax_life = \"5m\"");
    link(&app, "partner", "p-1");
    let now = app.clock.now().timestamp();
    let honest = || {
        let (header, mut claims) = parts(&app, "p-1");
        claims["org"] = json!("a");
        (header, claims)
    };
    let with = |name: &str, value: Value| {
        let (header, mut claims) = honest();
        claims[name] = value;
        key.sign(&header, &claims)
    };
    let without = |name: &str| {
        let (header, mut claims) = honest();
        claims.as_object_mut().unwrap().remove(name);
        key.sign(&header, &claims)
    };
    let header = |name: &str, value: Value| {
        let (mut header, claims) = honest();
        header[name] = value;
        key.sign(&header, &claims)
    };
    let good = || {
        let (header, claims) = honest();
        key.sign(&header, &claims)
    };
    given(exchange(&app, "gate", &good(), &[]));
    given(bearer(&app, "gate", &good(), &[]));
    let (head, said) = honest();
    let cut = good();
    let rows: Vec<(&str, String)> = vec![
        ("another issuer", with("iss", json!("https://other.example"))),
        ("a slash more", with("iss", json!("https://partner.example/"))),
        ("our own name", with("iss", json!(app.origin))),
        ("no issuer", without("iss")),
        ("an issuer of another type", with("iss", json!([PARTNER]))),
        ("no subject", without("sub")),
        ("an empty subject", with("sub", json!(""))),
        ("a subject of another type", with("sub", json!(7))),
        ("a subject that is too long", with("sub", json!("x".repeat(300)))),
        ("somebody unknown", with("sub", json!("p-2"))),
        ("no audience", without("aud")),
        ("another audience", with("aud", json!("https://other.example"))),
        ("an empty audience", with("aud", json!([]))),
        ("an audience of another type", with("aud", json!({}))),
        ("no end", without("exp")),
        ("an end in words", with("exp", json!("9"))),
        ("over", with("exp", json!(now - 10))),
        ("an endless life", with("exp", json!(now + 100_000))),
        ("longer than it may live", with("exp", json!(now + 360))),
        ("no beginning", without("iat")),
        ("a beginning in words", with("iat", json!("9"))),
        ("made in the future", with("iat", json!(now + 60))),
        ("not valid yet", with("nbf", json!(now + 60))),
        ("made too long ago", with("iat", json!(now - 400))),
        ("no id", without("jti")),
        ("an id of another type", with("jti", json!(7))),
        ("a required claim missing", without("org")),
        ("a required claim of another value", with("org", json!("c"))),
        ("a required claim as a list", with("org", json!(["a"]))),
        ("bound to nothing that is known", with("cnf", json!({ "x5t#S256": "x" }))),
        ("bound to a key that nobody proves", with("cnf", json!({ "jkt": "x" }))),
        ("an actor that is none", with("act", json!("gate"))),
        ("more actors than anybody plans", with("act", acts(9))),
        ("signed in in words", with("auth_time", json!("now"))),
        ("signed in before time", with("auth_time", json!(-1.5))),
        ("signed in never", with("auth_time", json!(null))),
        ("signed in in the future", with("auth_time", json!(now + 60))),
        ("an actor who may be another", with("may_act", json!({ "sub": "gate", "iss": "https://other.example" }))),
        ("an actor of the issuer's own who may be", with("may_act", json!({ "sub": "gate" }))),
        ("a logout token of old", with("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} }))),
        ("another type: an access token", header("typ", json!("at+jwt"))),
        ("another type: a logout token", header("typ", json!("logout+jwt"))),
        ("another type: a DPoP proof", header("typ", json!("dpop+jwt"))),
        ("something critical", header("crit", json!(["x"]))),
        ("no algorithm", header("alg", json!("none"))),
        ("another algorithm of the header", header("alg", json!("HS256"))),
        ("an algorithm that it is not trusted with", rsa.sign(&json!({ "alg": "PS256", "kid": "k1" }), &said)),
        ("a key that is not its own", other.sign(&head, &said)),
        ("a key of another name", header("kid", json!("k2"))),
        ("a key in the header", other.sign(&json!({ "alg": "ES256", "jwk": other.jwk() }), &said)),
        ("truncated", cut[..cut.len() - 2].to_owned()),
        ("padded", format!("{cut}=")),
        ("ten thousand dots", ".".repeat(10_000)),
        ("garbage", "garbage".to_owned()),
    ];
    for (name, token) in &rows {
        let reply = exchange(&app, "gate", token, &[]);
        assert_eq!(
            (reply.status, reply.json()["error"].as_str()),
            (400, Some("invalid_request")),
            "exchange, {name}: {}",
            reply.body
        );
        let reply = bearer(&app, "gate", token, &[]);
        assert_eq!(
            (reply.status, reply.json()["error"].as_str()),
            (400, Some("invalid_grant")),
            "grant, {name}: {}",
            reply.body
        );
        assert!(!reply.json()["error_description"].as_str().unwrap().contains("partner"), "{name}");
    }
    for (name, client, more, error) in [
        ("a client without the grant", "plain", ("scope", "read"), "unauthorized_client"),
        ("a client that no rule names", "stranger", ("scope", "read"), "unauthorized_client"),
        ("a scope of the token that no rule gives", "gate", ("scope", "write"), "invalid_scope"),
        ("another audience", "gate", ("audience", "https://other.example"), "invalid_target"),
        (
            "as another kind",
            "gate",
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            "invalid_request",
        ),
        (
            "as an ID token",
            "gate",
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
            "invalid_request",
        ),
    ] {
        let reply = exchange(&app, client, &good(), &[more]);
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(error)), "{name}: {}", reply.body);
    }
    bearer(&app, "plain", &good(), &[]).expect_oauth(400, "unauthorized_client");
    bearer(&app, "stranger", &good(), &[]).expect_oauth(400, "invalid_grant");
    bearer(&app, "gate", &good(), &[("scope", "write")]).expect_oauth(400, "invalid_scope");
    bearer(&app, "gate", &good(), &[("resource", "https://other.example")]).expect_oauth(400, "invalid_target");
    for (name, resource) in [("a number", json!(7)), ("an object", json!({})), ("mixed", json!([ORDERS, 7]))] {
        let reply = bearer(&app, "gate", &with("resource", resource), &[]);
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("invalid_target")), "resource: {name}");
    }
    app.token_by("gate", &[("grant_type", JWT_BEARER)]).expect_oauth(400, "invalid_request");
    app.sql("UPDATE users SET status = 'disabled'");
    exchange(&app, "gate", &good(), &[]).expect_oauth(400, "invalid_request");
    bearer(&app, "gate", &good(), &[]).expect_oauth(400, "invalid_grant");
}

/// RFC 7523 §3.
#[test]
fn a_token_is_a_grant_for_its_client() {
    let key = Key::p256();
    let app = trusting(&key, "");
    let ada = link(&app, "partner", "p-1");
    let reply = bearer(&app, "gate", &token(&app, &key, "p-1"), &[]).expect(200);
    let names: Vec<String> = reply.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["access_token", "expires_in", "scope", "token_type"], "neither refresh nor ID token");
    let access = given(reply);
    let said = app.verified(&access, ORDERS, "at+jwt");
    assert_eq!((&said["sub"], &said["scope"], &said["client_id"]), (&json!(ada), &json!("read"), &json!("gate")));
    assert!(is_active(&app, &access));
    // When the person signed in there, and who acts for them, is passed on; nothing is invented.
    assert!(!said.contains_key("auth_time") && !said.contains_key("act"));
    let (header, mut claims) = parts(&app, "p-1");
    let signed_in = app.clock.now().timestamp() - 1000;
    claims["auth_time"] = json!(signed_in);
    claims["act"] = json!({ "sub": "agent" });
    claims["may_act"] = json!({ "iss": app.origin, "client_id": "gate" });
    let said = app.verified(&given(bearer(&app, "gate", &key.sign(&header, &claims), &[])), ORDERS, "at+jwt");
    assert_eq!(said["auth_time"], signed_in);
    assert_eq!(said["act"], json!({ "sub": "agent", "iss": PARTNER }));
    claims["jti"] = json!(fresh());
    claims["may_act"] = json!({ "iss": app.origin, "client_id": "stranger" });
    bearer(&app, "gate", &key.sign(&header, &claims), &[]).expect_oauth(400, "invalid_grant");
    // The URL of the token endpoint is not accepted as our name unless the operator says so.
    let (header, mut claims) = parts(&app, "p-1");
    claims["aud"] = json!(format!("{}/oauth/token", app.origin));
    bearer(&app, "gate", &key.sign(&header, &claims), &[]).expect_oauth(400, "invalid_grant");
    claims["aud"] = json!([app.origin, "https://other.example"]);
    bearer(&app, "gate", &key.sign(&header, &claims), &[]).expect_oauth(400, "invalid_grant");
    let legacy = trusting(&key, "token_endpoint_audience = true");
    link(&legacy, "partner", "p-1");
    claims["aud"] = json!(format!("{}/oauth/token", legacy.origin));
    given(bearer(&legacy, "gate", &key.sign(&header, &claims), &[]));
}

/// RFC 8707: a scope that an API declares is only for that API.
#[test]
fn a_grant_gives_no_scope_of_an_api_that_was_not_asked_for() {
    const STOCK: &str = "https://stock.example";
    let key = Key::p256();
    let config = partner(&jose::as_toml(&[key.named("k1")]), "")
        .replace("scopes = [\"read\"]", "scopes = [\"read\", \"stock:read\"]")
        .replace("\"read\", \"write\"]", "\"read\", \"write\", \"stock:read\"]")
        .replace("[\"https://orders.example\"]\nmay", "[\"https://orders.example\", \"https://stock.example\"]\nmay");
    let config = format!("{config}\n[resources.\"{STOCK}\"]\nscopes = {{ \"stock:read\" = \"See what is there\" }}\n");
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    link(&app, "partner", "p-1");
    let asked = |audience: &str| {
        bearer(&app, "gate", &token(&app, &key, "p-1"), &[("scope", "stock:read"), ("resource", audience)])
    };
    asked(ORDERS).expect_oauth(400, "invalid_scope");
    assert_eq!(claims(&given(asked(STOCK)))["scope"], "stock:read");
}

/// The actor's token must be live, whoever vouches for the subject.
#[test]
fn an_actor_whose_token_was_revoked_acts_for_nobody() {
    let key = Key::p256();
    let config =
        partner(&jose::as_toml(&[key.named("k1")]), "").replace("impersonation = true", "actor = \"required\"");
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    link(&app, "partner", "p-1");
    let acting = given(app.token_by("gate", &[("grant_type", "client_credentials")]));
    let asked = || {
        let more = [("actor_token", acting.as_str()), ("actor_token_type", ACCESS), ("scope", "read")];
        exchange(&app, "gate", &token(&app, &key, "p-1"), &more)
    };
    assert_eq!(claims(&given(asked()))["act"]["sub"], "gate");
    let revoke = app.request("POST", "/oauth/revoke").form(&[("token", acting.as_str())]);
    revoke.header("Authorization", &basic("gate", API_SECRET)).send().expect(200);
    asked().expect_oauth(400, "invalid_request");
}

/// Of many concurrent uses one counts, on whichever server and in whichever form.
#[test]
fn a_token_counts_once() {
    let key = Key::p256();
    let keys = jose::as_toml(&[key.named("k1")]);
    let config = partner(&keys, "");
    let app = TestApp::with(&Options {
        config: &config,
        settings: &[("challenges.store", "database")],
        ..Options::default()
    });
    let twin = app.twin_with(&config);
    link(&app, "partner", "p-1");
    let once = token(&app, &key, "p-1");
    let outcomes = at_once(32, |number| {
        let server = if number % 2 == 0 { &app } else { &twin };
        let reply =
            if number % 4 < 2 { exchange(server, "gate", &once, &[]) } else { bearer(server, "gate", &once, &[]) };
        assert!([200, 400].contains(&reply.status), "{}", reply.body);
        reply.status
    });
    assert_eq!(outcomes.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(app.count("SELECT count(*) AS n FROM sessions WHERE client_id = 'gate'"), 1);
    let open = trusting(&key, "single_use = false");
    link(&open, "partner", "p-1");
    let again = token(&open, &key, "p-1");
    given(exchange(&open, "gate", &again, &[]));
    given(exchange(&open, "gate", &again, &[]));
    given(bearer(&open, "gate", &again, &[]));
    bearer(&open, "gate", &again, &[]).expect_oauth(400, "invalid_grant");
}

#[test]
fn an_address_counts_where_the_issuer_is_its_authority() {
    let key = Key::p256();
    let app = trusting(&key, "subject = \"verified_email\"\nemail_domains = [\"example.com\"]");
    let (_, _, ada) = app.ada();
    let told = |sub: &str, email: Value, verified: Value| {
        let (header, mut claims) = parts(&app, sub);
        claims["email"] = email;
        claims["email_verified"] = verified;
        exchange(&app, "gate", &key.sign(&header, &claims), &[])
    };
    let refused = |reply: Reply| drop(reply.expect_oauth(400, "invalid_request"));
    refused(told("p-1", json!("ada@example.com"), json!(true)));
    app.sql("UPDATE users SET email_verified_at = now()");
    refused(told("p-1", json!("ada@example.com"), json!(false)));
    refused(told("p-1", json!("ada@example.com"), json!("true")));
    refused(told("p-1", json!("bob@example.com"), json!(true)));
    let access = given(told("p-1", json!("ADA@example.com"), json!(true)));
    assert_eq!(claims(&access)["sub"], json!(ada.to_string()));
    given(told("p-1", json!(null), json!(false)));
    // The address now belongs to somebody else there, who is not the person here.
    refused(told("p-9", json!("ada@example.com"), json!(true)));
    app.sql("UPDATE users SET email = 'ada@elsewhere.example'");
    refused(told("p-2", json!("ada@elsewhere.example"), json!(true)));
}

/// Nobody can arrive with an id that an import of their export would refuse.
#[test]
fn whoever_arrives_can_be_exported_and_imported() {
    let key = Key::p256();
    let open = trusting(&key, "subject = \"create\"");
    for sub in ["a\nb", "a\u{7f}", "a\u{85}"] {
        exchange(&open, "gate", &token(&open, &key, sub), &[]).expect_oauth(400, "invalid_request");
    }
    assert_eq!(open.count("SELECT count(*) AS n FROM users"), 0);

    let app = trusting(&key, "subject = \"verified_email\"\nemail_domains = [\"example.com\"]");
    let (_, _, ada) = app.ada();
    app.sql(&format!(
        "UPDATE users SET email_verified_at = now();
         INSERT INTO external_ids (source, external_id, user_id) SELECT 's' || n, 'x', '{ada}' FROM generate_series(1, 20) AS n"
    ));
    let arrive = || {
        let (header, mut claims) = parts(&app, "p-1");
        claims["email"] = json!("ada@example.com");
        claims["email_verified"] = json!(true);
        exchange(&app, "gate", &key.sign(&header, &claims), &[])
    };
    arrive().expect_oauth(400, "invalid_request");
    app.sql("DELETE FROM external_ids WHERE source = 's20'");
    given(arrive());
    assert_eq!(app.count("SELECT count(*) AS n FROM external_ids"), 20);
}

/// Somebody who merely claimed an address first gets nothing of the person who later verifies it, and loses the
/// address.
#[test]
fn an_address_that_was_only_claimed_opens_nobodys_account() {
    let key = Key::p256();
    let trust = "subject = \"create\"\nemail_domains = [\"example.com\"]\nattributes = { email = \"email\" }";
    let app = trusting(&key, trust);
    let (mut squatter, mut passkey, claimant) = app.ada();
    let (header, mut said) = parts(&app, "p-1");
    (said["email"], said["email_verified"]) = (json!("ada@example.com"), json!(true));
    let access = given(exchange(&app, "gate", &key.sign(&header, &said), &[]));
    let owner = claims(&access)["sub"].as_str().unwrap().to_owned();
    assert_ne!(owner, claimant.to_string(), "an account of her own");
    let proven = "SELECT count(*) AS n FROM users WHERE email = 'ada@example.com' AND email_verified_at IS NOT NULL";
    assert_eq!(app.count(&format!("{proven} AND id = '{owner}'")), 1);
    squatter.sign_in(&mut passkey).expect(200);
    let kept = squatter.get("/v1/me").expect(200).json();
    assert_eq!((&kept["id"], kept.get("email")), (&json!(claimant.to_string()), None));
    assert_eq!(app.count(&format!("SELECT count(*) AS n FROM credentials WHERE user_id = '{owner}'")), 0);
}

#[test]
fn an_account_is_made_once_for_who_has_none() {
    let key = Key::p256();
    let app = trusting(
        &key,
        "subject = \"create\"\nsource = \"people\"\nemail_domains = [\"example.com\"]\ngroups = [\"partners\"]\n\
         attributes = { name = \"display_name\", email = \"email\" }",
    );
    let made = |sub: &str| {
        let (header, mut claims) = parts(&app, sub);
        claims["display_name"] = json!("Grace");
        claims["email"] = json!(format!("{sub}@example.com"));
        claims["email_verified"] = json!(true);
        key.sign(&header, &claims)
    };
    exchange(&app, "gate", &made("p-0"), &[]).expect_oauth(400, "invalid_request");
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 0, "the group does not exist");
    app.sql("INSERT INTO groups (id, name, created_at) VALUES (gen_random_uuid(), 'partners', now())");
    let outcomes = at_once(16, |_| exchange(&app, "gate", &made("p-1"), &[]));
    let people: std::collections::BTreeSet<String> =
        outcomes.into_iter().map(|reply| claims(&given(reply))["sub"].as_str().unwrap().to_owned()).collect();
    assert_eq!(people.len(), 1, "sixteen at once are one person");
    let stored = "SELECT count(*) AS n FROM users JOIN external_ids ON user_id = users.id
        JOIN group_members ON group_members.user_id = users.id
        WHERE source = 'people' AND external_id = 'p-1' AND name = 'Grace' AND email = 'p-1@example.com'
        AND email_verified_at IS NOT NULL";
    assert_eq!(app.count(stored), 1);
    // For somebody else's verified address no account is created.
    let (header, mut claims) = parts(&app, "p-2");
    claims["email"] = json!("p-1@example.com");
    claims["email_verified"] = json!(true);
    exchange(&app, "gate", &key.sign(&header, &claims), &[]).expect_oauth(400, "invalid_request");
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 1);
}

/// What a partner says of its people goes into their attributes, from which bridges make claims.
#[test]
fn attributes_come_with_the_token() {
    const MAP: &str = "custom_attributes = { tenant = \"org_id\", roles = \"partner_roles\" }";
    let key = Key::p256();
    let arrive = |app: &TestApp, sub: &str, org: Value, roles: Value| {
        let (header, mut claims) = parts(app, sub);
        (claims["org_id"], claims["partner_roles"]) = (org, roles);
        exchange(app, "gate", &key.sign(&header, &claims), &[])
    };
    let has = |app: &TestApp, expected: Value| {
        let of_ada = "FROM users JOIN external_ids ON user_id = users.id WHERE external_id = 'p-1'";
        let equal = format!("SELECT count(*) AS n {of_ada} AND attributes = '{expected}'::jsonb");
        assert_eq!(app.count(&equal), 1, "{expected}");
    };

    let app = trusting(&key, &format!("subject = \"create\"\n{MAP}"));
    given(arrive(&app, "p-1", json!("t-1"), json!(["editor"])));
    has(&app, json!({ "tenant": "t-1", "roles": ["editor"] }));
    given(arrive(&app, "p-1", json!("t-2"), json!(null)));
    // Once, unless the configuration says more.
    has(&app, json!({ "tenant": "t-1", "roles": ["editor"] }));
    arrive(&app, "p-2", json!("x".repeat(1000)), json!(vec!["x".repeat(1000); 4])).expect_oauth(400, "invalid_request");
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 1, "what is too long makes no account");

    let app = trusting(&key, &format!("subject = \"create\"\n{MAP}\nupdate_attributes = true"));
    arrive(&app, "p-1", json!("t-1"), json!({ "no": "attribute" })).expect_oauth(400, "invalid_request");
    assert_eq!(
        app.count("SELECT count(*) AS n FROM users"),
        0,
        "a value that no attribute has is not taken for absent"
    );
    given(arrive(&app, "p-1", json!("t-1"), json!(null)));
    has(&app, json!({ "tenant": "t-1" }));
    app.sql("UPDATE users SET attributes = attributes || '{\"own\": 1}'");
    for _ in 0..2 {
        given(arrive(&app, "p-1", json!("t-2"), json!(["editor"])));
    }
    has(&app, json!({ "tenant": "t-2", "roles": ["editor"], "own": 1 }));
    assert_eq!(app.events("user.changed"), 1, "what changes nothing is no event");
    for roles in [json!(vec!["x".repeat(1000); 4]), json!({ "no": "attribute" }), json!(1.5)] {
        arrive(&app, "p-1", json!("x".repeat(1000)), roles).expect_oauth(400, "invalid_request");
        has(&app, json!({ "tenant": "t-2", "roles": ["editor"], "own": 1 }));
    }
    given(arrive(&app, "p-1", json!(null), json!(["editor"])));
    // What is no longer said is removed.
    has(&app, json!({ "roles": ["editor"], "own": 1 }));
    // Every other of the sixteen is an administrator who counts: no count gets lost.
    let count =
        "UPDATE users SET attributes = jsonb_set(attributes, '{own}', to_jsonb((attributes ->> 'own')::int + 1))";
    at_once(16, |n| match n % 2 {
        0 => app.sql(count),
        _ => drop(given(arrive(&app, "p-1", json!(format!("t-{n}")), json!(["editor"])))),
    });
    assert_eq!(
        app.count("SELECT count(*) AS n FROM users WHERE attributes -> 'own' = '9' AND attributes ? 'tenant'"),
        1
    );
}

/// A role that was taken away stays away, whatever token is still on its way.
#[test]
fn an_older_token_brings_no_attribute_back() {
    let key = Key::p256();
    let told =
        "subject = \"verified_email\"\nemail_domains = [\"example.com\"]\ncustom_attributes = { roles = \"roles\" }";
    let app = trusting(&key, &format!("{told}\nupdate_attributes = true"));
    app.ada();
    app.sql("UPDATE users SET email_verified_at = now()");
    let arrive = |seconds_ago: i64, role: Option<&str>| {
        let (header, mut claims) = parts(&app, "p-1");
        claims["iat"] = json!(claims["iat"].as_i64().unwrap() - seconds_ago);
        (claims["email"], claims["email_verified"]) = (json!("ada@example.com"), json!(true));
        claims["roles"] = role.map_or(json!(null), |role| json!([role]));
        given(exchange(&app, "gate", &key.sign(&header, &claims), &[]))
    };
    let has = |role: &str| {
        let found = format!("SELECT count(*) AS n FROM users WHERE attributes -> 'roles' ? '{role}'");
        app.count(&found) == 1
    };
    arrive(30, Some("admin"));
    assert!(has("admin"), "told with the link");
    arrive(20, None);
    assert!(!has("admin"));
    arrive(25, Some("admin"));
    assert!(!has("admin"), "the person is let in, but the role stays away");
    // What says nothing new still counts as told.
    arrive(10, None);
    arrive(15, Some("admin"));
    assert!(!has("admin"));
    arrive(10, Some("editor"));
    assert!(has("editor"), "of the same second, the last one counts");
}

#[test]
fn a_trust_ends_at_its_date() {
    let key = Key::p256();
    let app = trusting(&key, "expires_at = \"2001-01-01T00:00:00Z\"");
    link(&app, "partner", "p-1");
    exchange(&app, "gate", &token(&app, &key, "p-1"), &[]).expect_oauth(400, "invalid_request");
}

/// Another Passmint, found by its discovery document, whose ID tokens are accepted here.
#[test]
fn another_provider_is_found_by_its_name() {
    let theirs = TestApp::spawn();
    let config = format!(
        "{CONFIG}\n[trusted_issuers.partner]\nissuer = \"{}\"\ntoken_types = [\"id_token\"]\naudiences = [\"web\"]\n\
         subject = \"create\"\n[exchange_rules.signed-in]\nclients = [\"gate\"]\nissuers = [\"partner\"]\n\
         subject_types = [\"id_token\"]\nsubject_audiences = [\"web\"]\nnew_audiences = [\"{ORDERS}\"]\nnew_scopes = [\"read\"]\n\
         impersonation = true\n",
        theirs.origin
    );
    let private = [("outbound.allow_private_addresses", "true")];
    let app = TestApp::with(&Options { config: &config, settings: &private, ..Options::default() });
    let (_, mut passkey, tokens) = theirs.person_with_tokens("openid");
    let kind = format!("{TYPE}id_token");
    let with = |subject: &str| exchange(&app, "gate", subject, &[("subject_token_type", &kind)]);
    let access = given(with(&tokens.id));
    assert_ne!(claims(&access)["sub"], claims(&tokens.id)["sub"], "an account of our own");
    assert_eq!(claims(&access)["auth_time"], claims(&tokens.id)["auth_time"]);
    with(&tokens.id).expect_oauth(400, "invalid_request");
    with(&tokens.access).expect_oauth(400, "invalid_request");
    with(&theirs.api_sign_in(&mut passkey, "openid").id).expect_oauth(400, "invalid_request");
    // Their refresh token is only for them.
    with(&tokens.refresh).expect_oauth(400, "invalid_request");
    let again = Tokens::of(&theirs.client("web").sign_in(&mut passkey, "openid").expect(200).json());
    assert_eq!(claims(&given(with(&again.id)))["sub"], claims(&access)["sub"], "the same person again");

    // Unless it is allowed, nothing in the operator's own network is contacted.
    let closed = TestApp::with(&Options { config: &config, ..Options::default() });
    let reply = exchange(&closed, "gate", &again.id, &[("subject_token_type", &kind)]);
    reply.expect_oauth(400, "invalid_request");
}

/// Slow, huge, redirecting, or of another type: a clear refusal, no immediate repetition, and the old keys are kept.
#[test]
fn a_hostile_server_of_keys_is_refused_and_not_asked_again() {
    let key = Key::p256();
    let keys = KeyServer::start(&[key.named("k1")]);
    let config = partner(&format!("jwks_uri = \"{}\"", keys.url()), "");
    let private = [("outbound.allow_private_addresses", "true")];
    let app = TestApp::with(&Options { config: &config, settings: &private, ..Options::default() });
    link(&app, "partner", "p-1");
    let tried = || exchange(&app, "gate", &token(&app, &key, "p-1"), &[]).status;
    let huge =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n{\"keys\":[".to_owned();
    for (name, answer) in [
        (
            "a redirect inward",
            "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ),
        ("too much", huge),
        ("another type", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}".to_owned()),
        (
            "no keys",
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}".to_owned(),
        ),
        ("not JSON", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{".to_owned()),
        ("a fault", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_owned()),
    ] {
        keys.say(answer);
        let before = keys.asked();
        assert_eq!(at_once(8, |_| tried()), [400; 8], "{name}");
        assert_eq!(keys.asked() - before, 1, "{name}: eight at once ask once");
        app.advance(Duration::seconds(31));
    }
    keys.publish(&[key.named("k1")], "application/jwk-set+json");
    assert_eq!(tried(), 200);
    keys.say("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_owned());
    app.advance(Duration::minutes(30));
    assert_eq!(tried(), 200, "the keys it gave before are used on for a while");
    app.advance(Duration::hours(2));
    assert_eq!(tried(), 400, "and not for ever");
}

#[test]
fn discovery_names_the_grant_where_somebody_may_use_it() {
    let grants = |app: &TestApp| {
        let told = app.request("GET", "/.well-known/openid-configuration").send().expect(200).json();
        told["grant_types_supported"].as_array().unwrap().contains(&json!(JWT_BEARER))
    };
    assert!(grants(&trusting(&Key::p256(), "")));
    assert!(!grants(&TestApp::spawn()));
}

/// `passmint trusted-issuers`: what is trusted, and whether a token would be accepted. Nothing is used up.
#[test]
fn an_operator_tries_a_token_out() {
    let (key, other) = (Key::p256(), Key::p256());
    let operator = Operator::new();
    let write = |name: &str, text: &str| operator.write(name, text);
    write("keys.json", &json!({ "keys": [key.named("k1")] }).to_string());
    let file = operator.path("keys.json").display().to_string();
    write("passmint.toml", &format!("[trusted_issuers.partner]\nissuer = \"{PARTNER}\"\njwks_file = \"{file}\"\n"));
    let listed = operator.ok(&["trusted-issuers", "list"]);
    assert!(listed.contains("partner") && listed.contains(PARTNER) && listed.contains("linked"), "{listed}");

    let iat = passmint::clock::Clock::system().now().timestamp();
    let claims = json!({
        "iss": PARTNER, "sub": "p-1", "aud": "http://localhost:8080", "iat": iat, "exp": iat + 120, "jti": "1",
    });
    let header = json!({ "alg": "ES256", "kid": "k1" });
    write("good.jwt", &format!("{}\n", key.sign(&header, &claims)));
    write("bad.jwt", &other.sign(&header, &claims));
    write("huge.jwt", &"x".repeat(100_000));
    for _ in 0..2 {
        let ran = operator.run(&["trusted-issuers", "check", "partner", "good.jwt"]);
        assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["sub"], "p-1");
        assert!(ran.code == Some(0) && ran.err.contains("Not checked: whether it was used before"), "{}", ran.err);
    }
    assert!(
        operator.refused(&["trusted-issuers", "check", "partner", "bad.jwt"]).contains("as jwt: the token: signature")
    );
    assert!(operator.refused(&["trusted-issuers", "check", "partner", "huge.jwt"]).contains("larger"));
    assert!(operator.refused(&["trusted-issuers", "check", "partner", "none.jwt"]).contains("cannot be read"));
    assert!(operator.refused(&["trusted-issuers", "check", "other", "good.jwt"]).contains("there is partner"));
}
