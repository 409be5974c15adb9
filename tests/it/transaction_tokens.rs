//! Transaction tokens (draft-ietf-oauth-transaction-tokens-10): issued to workloads of a trust domain, replaced within
//! it, and accepted nowhere else.

use chrono::Duration;
use serde_json::{Value, json};

use crate::support::tokens::{INACTIVE, Tokens, basic, claims, header};
use crate::support::urn::{EXCHANGE, TXN, TYPE};
use crate::support::{API_SECRET, Options, Reply, TestApp};

const DOMAIN: &str = "shop.internal";

/// Requests arrive at `gateway`, which asks for a transaction token; `stock` adds to it; `mail` may not.
const CONFIG: &str = r#"
[clients.page]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token"]
scopes = ["openid", "read", "write", "pay"]
audiences = ["https://gateway.example"]

[clients.gateway]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["token_exchange", "client_credentials"]
scopes = ["read", "pay"]
audiences = ["https://gateway.example"]
may_introspect = ["https://gateway.example", "shop.internal"]

[clients.stock]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["token_exchange"]
scopes = ["read", "pay"]
subject_type = "pairwise"
redirect_uris = ["https://stock.example/cb"]

[clients.mail]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["token_exchange"]
scopes = ["read"]

[exchange_rules.calls]
clients = ["gateway"]
subject_audiences = ["https://gateway.example"]
new_audiences = ["shop.internal"]
scopes = ["read", "write", "pay"]
issues = ["txn_token"]
lifetime = "1m"

[exchange_rules.within]
clients = ["stock"]
subject_types = ["txn_token"]
subject_audiences = ["shop.internal"]
new_audiences = ["shop.internal"]
scopes = ["read", "pay"]
issues = ["txn_token"]
"#;

fn spawn() -> TestApp {
    TestApp::with(&Options { config: CONFIG, ..Options::default() })
}

fn person(app: &TestApp) -> Tokens {
    let (_, mut passkey) = app.person();
    Tokens::of(&app.client("page").sign_in(&mut passkey, "openid read write pay").expect(200).json())
}

/// Asks for a transaction token; `more` overrides the usual parameters, and an empty text omits one.
fn ask(app: &TestApp, client: &str, subject: (&str, &str), more: &[(&str, &str)]) -> Reply {
    let kind = format!("{TYPE}{}", subject.1);
    let mut form = vec![
        ("grant_type", EXCHANGE),
        ("subject_token", subject.0),
        ("subject_token_type", &kind),
        ("requested_token_type", TXN),
        ("audience", DOMAIN),
        ("scope", "pay"),
    ];
    form.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    form.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    app.token_by(client, &form)
}

fn given(reply: Reply) -> String {
    reply.expect(200).json()["access_token"].as_str().unwrap().to_owned()
}

#[test]
fn a_gateway_tells_its_workloads_of_a_call() {
    let app = spawn();
    let tokens = person(&app);
    let told = [
        ("request_context", r#"{"req_ip":"192.0.2.7","authn":"pop"}"#),
        ("request_details", r#"{"action":"BUY","quantity":100}"#),
    ];
    let reply = ask(&app, "gateway", (&tokens.access, "access_token"), &told).expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let answer = reply.json();
    let names: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["access_token", "expires_in", "issued_token_type", "scope", "token_type"], "no refresh token");
    assert_eq!((&answer["issued_token_type"], &answer["token_type"]), (&json!(TXN), &json!("N_A")));
    assert_eq!(answer["expires_in"], 60);

    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(header(token)["typ"], "txntoken+jwt");
    let said = app.verified(token, DOMAIN, "txntoken+jwt");
    let me = claims(&tokens.access);
    for (claim, value) in [
        ("iss", json!(app.origin)),
        ("aud", json!(DOMAIN)),
        ("scope", json!("pay")),
        ("sub", me["sub"].clone()),
        ("sid", me["sid"].clone()),
        ("req_wl", json!("gateway")),
        ("rctx", json!({ "req_ip": "192.0.2.7", "authn": "pop" })),
        ("tctx", json!({ "action": "BUY", "quantity": 100 })),
        ("act", json!({ "sub": "gateway", "client_id": "gateway" })),
    ] {
        assert_eq!(said[claim], value, "{claim}");
    }
    assert!(said["txn"].as_str().is_some_and(|txn| txn.len() == 36));
    assert!(!token.contains(tokens.access.as_str()));
    assert_eq!((app.events("token.exchanged"), app.events("token.impersonated")), (1, 0));

    let second = claims(&given(ask(&app, "gateway", (&tokens.access, "access_token"), &[])));
    assert_ne!(second["txn"], said["txn"], "each call is one of its own");
    assert_eq!((second.get("rctx"), second.get("tctx")), (None, None));
}

/// Draft, "Txn-Token as a subject_token".
#[test]
fn a_replacement_keeps_what_it_replaces() {
    let app = spawn();
    let tokens = person(&app);
    let wide = [("scope", "read pay"), ("request_details", r#"{"action":"BUY"}"#)];
    let first = given(ask(&app, "gateway", (&tokens.access, "access_token"), &wide));
    app.advance(Duration::seconds(20));
    let more = [("request_details", r#"{"action":"BUY","level":"VIP"}"#), ("request_context", r#"{"rack":4}"#)];
    let second = given(ask(&app, "stock", (&first, "txn_token"), &more));
    let (old, new) = (claims(&first), claims(&second));
    for same in ["txn", "sub", "aud", "iss", "sid", "exp"] {
        assert_eq!(new[same], old[same], "{same}: also for a client that knows people by other names");
    }
    assert_ne!(new["jti"], old["jti"]);
    assert_eq!((&new["scope"], &new["req_wl"]), (&json!("pay"), &json!("stock")));
    assert_eq!((&new["tctx"], &new["rctx"]), (&json!({ "action": "BUY", "level": "VIP" }), &json!({ "rack": 4 })));
    let chain = json!({ "sub": "stock", "client_id": "stock", "act": { "sub": "gateway", "client_id": "gateway" } });
    assert_eq!(new["act"], chain, "the workloads that asked");

    let refused = |subject: &str, more: &[(&str, &str)], error: &str, name: &str| {
        let reply = ask(&app, "stock", (subject, "txn_token"), more);
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(error)), "{name}: {}", reply.body);
    };
    refused(&second, &[("scope", "read pay")], "invalid_scope", "a scope that was given up");
    refused(&first, &[("scope", "write")], "invalid_scope", "a scope that it never had");
    refused(&first, &[("audience", "other.internal")], "invalid_target", "another trust domain");
    refused(&first, &[("request_details", r#"{"action":"SELL"}"#)], "invalid_request", "other details");
    refused(&second, &[("request_context", r#"{"rack":5}"#)], "invalid_request", "another context");
    refused(&first, &[("requested_token_type", "")], "invalid_request", "an access token for it");
    for kind in ["access_token", "id_token", "jwt", "refresh_token"] {
        ask(&app, "stock", (&first, kind), &[]).expect_oauth(400, "invalid_request");
    }
    let third = given(ask(&app, "stock", (&second, "txn_token"), &[]));
    refused(&third, &[], "invalid_request", "a fourth workload: the chain is three long");
    app.advance(Duration::seconds(40));
    refused(&first, &[], "invalid_request", "one that has ended");
}

#[test]
fn it_ends_with_the_session_and_the_clients_in_it() {
    let app = spawn();
    let tokens = person(&app);
    let token = given(ask(&app, "gateway", (&tokens.access, "access_token"), &[]));
    given(ask(&app, "stock", (&token, "txn_token"), &[]));
    app.client("page").revoke(&tokens.refresh).expect(200);
    ask(&app, "stock", (&token, "txn_token"), &[]).expect_oauth(400, "invalid_request");
    ask(&app, "gateway", (&tokens.access, "access_token"), &[]).expect_oauth(400, "invalid_request");

    let token = given(ask(&app, "gateway", (&person(&app).access, "access_token"), &[]));
    app.sql(
        "UPDATE clients SET disabled_at = now() WHERE id = 'gateway';
         INSERT INTO changes (kind, key) VALUES ('clients', 'gateway')",
    );
    crate::support::tokens::within(std::time::Duration::from_secs(15), "the gateway is gone", || {
        ask(&app, "stock", (&token, "txn_token"), &[]).status == 400
    });
}

/// The case, the client, its subject token and type, what else it sends, and the error.
type Row<'a> = (&'a str, &'a str, (&'a str, &'a str), Vec<(&'a str, &'a str)>, &'a str);

#[test]
fn refusals_by_name() {
    let app = spawn();
    let tokens = person(&app);
    let access = (tokens.access.as_str(), "access_token");
    let token = given(ask(&app, "gateway", access, &[]));
    let machine = given(app.token_by("gateway", &[("grant_type", "client_credentials")]));
    let (large, holding) =
        (format!(r#"{{"x":"{}"}}"#, "y".repeat(2048)), format!(r#"{{"bearer":"{}"}}"#, tokens.access));
    let rows: Vec<Row<'_>> = vec![
        ("a workload that no rule names", "mail", access, vec![], "unauthorized_client"),
        ("a workload for another rule's tokens", "stock", access, vec![], "invalid_request"),
        ("a gateway does not replace", "gateway", (&token, "txn_token"), vec![], "invalid_request"),
        ("no scope", "gateway", access, vec![("scope", "")], "invalid_request"),
        ("a scope that the token has not", "gateway", access, vec![("scope", "admin")], "invalid_scope"),
        ("a scope that the client has not", "gateway", access, vec![("scope", "write")], "invalid_scope"),
        ("no trust domain", "gateway", access, vec![("audience", "")], "invalid_target"),
        ("another trust domain", "gateway", access, vec![("audience", "other.internal")], "invalid_target"),
        ("an API", "gateway", access, vec![("audience", "https://gateway.example")], "invalid_target"),
        ("two", "gateway", access, vec![("audience", DOMAIN), ("resource", DOMAIN)], "invalid_target"),
        ("a refresh token", "gateway", (&tokens.refresh, "refresh_token"), vec![], "invalid_request"),
        ("a refresh token as an access token", "gateway", (&tokens.refresh, "access_token"), vec![], "invalid_request"),
        ("an ID token", "gateway", (&tokens.id, "id_token"), vec![], "invalid_request"),
        ("a token of a client for itself", "gateway", (&machine, "access_token"), vec![], "invalid_request"),
        ("what is not signed", "gateway", (r#"{"sub":"x"}"#, "unsigned_json"), vec![], "invalid_request"),
        ("signed by oneself", "gateway", (&tokens.access, "self_signed"), vec![], "invalid_request"),
        (
            "an access token where none is given",
            "gateway",
            access,
            vec![("requested_token_type", "")],
            "invalid_request",
        ),
        ("a context that is a list", "gateway", access, vec![("request_context", "[]")], "invalid_request"),
        ("details that are text", "gateway", access, vec![("request_details", "BUY")], "invalid_request"),
        ("a member twice", "gateway", access, vec![("request_details", r#"{"a":1,"a":2}"#)], "invalid_request"),
        ("details that are large", "gateway", access, vec![("request_details", &large)], "invalid_request"),
        ("the access token in the details", "gateway", access, vec![("request_details", &holding)], "invalid_request"),
    ];
    for (name, client, subject, more, error) in &rows {
        let reply = ask(&app, client, *subject, more);
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(*error)), "{name}: {}", reply.body);
    }
    app.client("page")
        .token(&[
            ("grant_type", EXCHANGE),
            ("subject_token", &tokens.access),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("requested_token_type", TXN),
            ("audience", DOMAIN),
            ("scope", "pay"),
        ])
        .expect_oauth(400, "unauthorized_client");
    assert_eq!(app.events("token.exchanged"), 1, "the one that was given");
}

/// Draft, "Transaction Tokens Are Not OAuth 2.0 Access Tokens"; every other place is in the matrix of substitutions.
#[test]
fn it_is_no_access_token_and_nothing_claims_otherwise() {
    let app = spawn();
    let token = given(ask(&app, "gateway", (&person(&app).access, "access_token"), &[]));
    let request = app.request("POST", "/oauth/introspect").form(&[("token", token.as_str())]);
    let body = request.header("Authorization", &basic("gateway", API_SECRET)).send().expect(200).body;
    assert_eq!(body, INACTIVE);
    for header in ["Authorization", "Txn-Token"] {
        let value = if header == "Authorization" { format!("Bearer {token}") } else { token.clone() };
        app.request("GET", "/v1/me").header(header, &value).send().expect(401);
    }
    let document: Value = app.request("GET", "/.well-known/oauth-authorization-server").send().expect(200).json();
    assert!(!document.to_string().contains("txn"), "the draft has no metadata for them: {document}");
    assert!(document["grant_types_supported"].as_array().unwrap().contains(&json!(EXCHANGE)));
}
