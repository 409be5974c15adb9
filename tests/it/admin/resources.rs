//! Resources by administration.

use serde_json::{Value, json};

use super::Ops;
use crate::support::tokens::at_once;

const RESOURCES: &str = "/v1/admin/resources";
/// `https://api.example/orders`, as a path segment.
const ORDERS: &str = "/v1/admin/resources/https%3A%2F%2Fapi.example%2Forders";

fn orders() -> Value {
    json!({ "name": "Orders", "scopes": { "orders.read": "Read your orders" }, "access_ttl": 120, "algorithm": "RS256" })
}

#[test]
fn from_first_to_last() {
    let ops = Ops::new();
    let made = ops.post(RESOURCES, &json!({ "identifier": "https://api.example/orders", "definition": orders() }));
    let made = made.expect(201);
    assert_eq!(made.header("location"), Some(ORDERS));
    let shown = ops.get(ORDERS).expect(200);
    assert_eq!(shown.header("etag"), made.header("etag"));
    assert_eq!((&shown.json()["definition"], &shown.json()["enabled"]), (&orders(), &json!(true)));

    // A client of it gets tokens in the form it asks for, at once.
    let client = json!({
        "name": "Robot", "kind": "confidential", "auth_method": "client_secret_post", "grants": ["client_credentials"],
        "scopes": "orders.read", "audiences": ["https://api.example/orders"],
    });
    let secret = ops.make_client("robot", &client)["secret"].as_str().unwrap().to_owned();
    let ask = || {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "robot"),
            ("client_secret", &secret),
            ("resource", "https://api.example/orders"),
        ];
        ops.app.request("POST", "/oauth/token").form(&form).send()
    };
    let told = ask().expect(200).json();
    assert_eq!((&told["expires_in"], &told["scope"]), (&json!(120), &json!("orders.read")));
    let header = crate::support::tokens::header(told["access_token"].as_str().unwrap());
    assert_eq!(header["alg"], "RS256");

    let changed =
        json!({ "definition": { "name": "Orders", "scopes": { "orders.read": "Read them" }, "access_ttl": 60 } });
    ops.request("PUT", ORDERS).json(&changed).send().expect_problem(428, "precondition_required");
    ops.request("PUT", ORDERS)
        .header("If-Match", "\"x\"")
        .json(&changed)
        .send()
        .expect_problem(412, "precondition_failed");
    ops.request("PUT", ORDERS).header("If-Match", "*").json(&changed).send().expect(200);
    assert_eq!(ask().expect(200).json()["expires_in"], 60);

    assert_eq!(ops.post(&format!("{ORDERS}/disable"), &json!({})).expect(200).json()["enabled"], false);
    ask().expect_oauth(400, "invalid_target");
    ops.request("PUT", ORDERS).header("If-Match", "*").json(&changed).send().expect(200);
    ask().expect_oauth(400, "invalid_target");
    assert_eq!(ops.post(&format!("{ORDERS}/enable"), &json!({})).expect(200).json()["enabled"], true);
    ask().expect(200);

    ops.request("DELETE", ORDERS).header("If-Match", "\"x\"").send().expect_problem(412, "precondition_failed");
    ops.delete(ORDERS).expect(204);
    ops.get(ORDERS).expect_problem(404, "not_found");
    ops.delete(ORDERS).expect_problem(404, "not_found");
    assert_eq!(ops.app.events("resource.changed"), 6, "each change once");
}

/// Administrators of resources must not change or switch off this server's own tokens, or take over its scopes.
#[test]
fn the_server_itself_is_no_resource() {
    let ops = Ops::new();
    let issuer = ops.app.origin.clone();
    for identifier in [issuer.clone(), format!("{issuer}/")] {
        let refused = ops.post(RESOURCES, &json!({ "identifier": identifier, "definition": orders() }));
        assert_eq!(refused.expect_problem(400, "invalid_field").json()["errors"][0]["field"], "identifier");
    }
    for scope in ["admin:users", "action_tokens", "action_tokens:anyone", "transactions", "bridge:x", "openid"] {
        let definition = json!({ "name": "x", "scopes": { scope: "Something else" } });
        let refused = ops.post(RESOURCES, &json!({ "identifier": "x", "definition": definition }));
        assert_eq!(refused.expect_problem(400, "invalid_field").json()["errors"][0]["field"], "definition.scopes");
    }
}

/// The two spellings of an origin are one resource, and of many concurrent creations one succeeds.
#[test]
fn a_resource_is_made_once() {
    let ops = Ops::new();
    let made = at_once(16, |_| {
        ops.post(RESOURCES, &json!({ "identifier": "https://api.example", "definition": orders() })).status
    });
    assert_eq!(made.iter().filter(|status| **status == 201).count(), 1, "{made:?}");
    assert!(made.iter().all(|status| [201, 409].contains(status)), "{made:?}");
    let slash = ops.post(RESOURCES, &json!({ "identifier": "https://api.example/", "definition": orders() }));
    slash.expect_problem(409, "already_exists");
}

#[test]
fn refusals_by_name() {
    let ops = Ops::new();
    for (field, body) in [
        ("identifier", json!({ "identifier": "a b", "definition": orders() })),
        ("identifier", json!({ "identifier": "", "definition": orders() })),
        ("definition", json!({ "identifier": "x", "definition": { "nam": "x" } })),
        ("definition.name", json!({ "identifier": "x", "definition": { "name": "" } })),
        (
            "definition.scopes",
            json!({ "identifier": "x", "definition": { "name": "x", "scopes": { "admin": "All" } } }),
        ),
        ("definition.access_ttl", json!({ "identifier": "x", "definition": { "name": "x", "access_ttl": 1 } })),
        ("definition.algorithm", json!({ "identifier": "x", "definition": { "name": "x", "algorithm": "HS256" } })),
    ] {
        let refused = ops.post(RESOURCES, &body).expect_problem(400, "invalid_field").json();
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
    let body = json!({ "identifier": "x", "definition": orders() });
    ops.post(RESOURCES, &body).expect(201);
    ops.post(RESOURCES, &body).expect_problem(409, "already_exists");
    ops.request_as("admin:clients", "GET", RESOURCES).send().expect_problem(403, "insufficient_scope");
    ops.get(&format!("{RESOURCES}?limit=1")).expect(200);
    ops.get(&format!("{RESOURCES}?name=x")).expect_problem(400, "invalid_field");
}

/// What the configuration declares can only be changed there.
#[test]
fn declared_resources_are_read_only() {
    let ops = Ops::with_config("[resources.\"https://api.example/orders\"]\nname = \"Orders\"");
    for (method, path) in [("PUT", ORDERS.to_owned()), ("DELETE", ORDERS.to_owned())] {
        let request = ops.request(method, &path).header("If-Match", "*");
        let request = if method == "PUT" { request.json(&json!({ "definition": orders() })) } else { request };
        request.send().expect_problem(409, "managed_by_configuration");
    }
    ops.post(&format!("{ORDERS}/disable"), &json!({})).expect_problem(409, "managed_by_configuration");
    assert_eq!(ops.get(RESOURCES).expect(200).json()["items"][0]["identifier"], "https://api.example/orders");
}
