//! Clients by administration.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration as Real;

use chrono::Duration;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use passmint::storage::StorageError;
use serde_json::{Value, json};

use passmint::clients::Clients;
use passmint::storage::clients::{all, disable, enable};

use super::{Ops, granted, web_app};
use crate::support::tokens::{basic, within};

const CLIENTS: &str = "/v1/admin/clients";

/// How many statements wait for a lock.
const WAITING: &str = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// Whether a client's secret is accepted: introspection answers it.
fn is_good(ops: &Ops, id: &str, secret: &str) -> bool {
    let request = ops.app.request("POST", "/oauth/introspect").header("Authorization", &basic(id, secret));
    match request.form(&[("token", "x")]).send().status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

#[test]
fn from_first_to_last() {
    let ops = Ops::new();
    let made = ops.post(CLIENTS, &json!({ "id": "shop", "definition": web_app() })).expect(201);
    assert_eq!(made.header("location"), Some("/v1/admin/clients/shop"));
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert!(is_good(&ops, "shop", &secret), "at once");

    let path = "/v1/admin/clients/shop";
    let shown = ops.get(path).expect(200);
    assert_eq!(shown.header("etag"), made.header("etag"));
    let view = shown.json();
    assert!(view.get("secret").is_none() && view["hasSecret"] == true, "shown once");
    assert_eq!((&view["source"], &view["enabled"]), (&json!("administration"), &json!(true)));

    let changed = ops.patch(path, &json!({ "definition": { "name": "Shop 2", "access_ttl": 120 } })).expect(200).json();
    assert_eq!((&changed["definition"]["name"], &changed["definition"]["access_ttl"]), (&json!("Shop 2"), &json!(120)));
    assert_eq!(changed["definition"]["redirect_uris"], web_app()["redirect_uris"], "what is not named stays");
    let without = ops.patch(path, &json!({ "definition": { "access_ttl": null } })).expect(200).json();
    assert!(without["definition"].get("access_ttl").is_none());
    let put = ops.request("PUT", path).header("If-Match", "*").json(&json!({ "definition": web_app() })).send();
    assert_eq!(put.expect(200).json()["definition"]["name"], "Shop");

    assert_eq!(ops.post(&format!("{path}/disable"), &json!({})).expect(200).json()["enabled"], false);
    assert!(!is_good(&ops, "shop", &secret));
    assert_eq!(ops.post(&format!("{path}/disable"), &json!({})).expect(200).json()["enabled"], false, "again");
    assert_eq!(ops.post(&format!("{path}/enable"), &json!({})).expect(200).json()["enabled"], true);
    assert!(is_good(&ops, "shop", &secret));

    ops.delete(path).expect(204);
    assert!(!is_good(&ops, "shop", &secret));
    ops.get(path).expect_problem(404, "not_found");
    ops.delete(path).expect_problem(404, "not_found");
    assert_eq!(ops.app.events("client.changed"), 7, "each change once");
}

/// Begins a reading while the table is locked, so that its result cannot have arrived yet.
async fn begin(mut reading: Pin<&mut impl Future<Output = Result<(), StorageError>>>, holder: &mut PgConnection) {
    holder.batch_execute("BEGIN; LOCK TABLE clients IN ACCESS EXCLUSIVE MODE").unwrap();
    assert!(poll_fn(|context| Poll::Ready(reading.as_mut().poll(context).is_pending())).await);
}

/// A result that was read before a change is never used after it, even if the database answers late.
#[tokio::test]
async fn an_old_reading_never_replaces_a_newer_one() {
    let ops = tokio::task::spawn_blocking(Ops::new).await.unwrap();
    let (directory, db) = (Clients::default(), &ops.app.db);
    let mut holder = PgConnection::establish(ops.app.database_url()).unwrap();
    for on in [false, true, false, true] {
        let mut old = pin!(directory.reload(db));
        begin(old.as_mut(), &mut holder).await;
        within(Real::from_secs(9), "the reading waits for the table", || ops.app.count(WAITING) > 0);
        holder.batch_execute("COMMIT").unwrap();
        db.blocking(all).unwrap();
        let change = if on { enable } else { disable };
        assert!(db.blocking(|conn| change(conn, "desk", ops.app.clock.now())).unwrap());

        let mut new = pin!(directory.reload(db));
        begin(new.as_mut(), &mut holder).await;
        holder.batch_execute("COMMIT").unwrap();
        db.blocking(all).unwrap();
        let (new, old) = tokio::join!(new, old);
        new.and(old).unwrap();
        assert_eq!(directory.find("desk").is_some(), on);
    }
}

/// Check 3: every rule of the configuration applies here too, and names its field.
#[test]
fn refusals_by_name() {
    let ops = Ops::new();
    let merged = |changes: &Value| {
        let mut whole = web_app();
        whole.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        whole
    };
    ops.make_client("sound", &web_app());
    let sound = format!("{CLIENTS}/sound");
    for (name, changes, field) in [
        ("wildcard", json!({"redirect_uris": ["https://*.shop.example/cb"]}), "redirect_uris"),
        ("fragment", json!({"redirect_uris": ["https://shop.example/cb#x"]}), "redirect_uris"),
        ("plain http", json!({"redirect_uris": ["http://shop.example/cb"]}), "redirect_uris"),
        ("a scheme without a dot", json!({"redirect_uris": ["shop:/cb"]}), "redirect_uris"),
        ("script", json!({"redirect_uris": ["javascript:alert(1)"]}), "redirect_uris"),
        ("data", json!({"redirect_uris": ["data:text/html,x"]}), "redirect_uris"),
        ("user name", json!({"redirect_uris": ["https://ok@evil.example/cb"]}), "redirect_uris"),
        ("none at all", json!({"redirect_uris": []}), "redirect_uris"),
        ("after sign-out", json!({"post_logout_redirect_uris": ["javascript:alert(1)"]}), "post_logout_redirect_uris"),
        ("no name", json!({"name": ""}), "name"),
        ("a word that is none", json!({"grants": ["password"]}), "definition"),
        ("a setting that is none", json!({"colour": "red"}), "definition"),
        ("a scope that is none", json!({"scopes": "a\"b"}), "definition"),
        ("the passkey grant for a third party", json!({"grants": ["passkey"]}), "grants"),
        (
            "client credentials of a public client",
            json!({"kind": "public", "grants": ["client_credentials"]}),
            "grants",
        ),
        ("keys over http", json!({"jwks_uri": "http://shop.example/jwks"}), "jwks_uri"),
        ("private keys", json!({"jwks": {"keys": [{"kty": "EC", "d": "x"}]}}), "jwks"),
        ("an algorithm that is none", json!({"id_token_algorithm": "none"}), "id_token_algorithm"),
        ("a relying party that is none", json!({"relying_party": "elsewhere"}), "relying_party"),
        (
            "a workload of an issuer that is none",
            json!({"federated": [{"issuer": "cluster", "subject": "a", "audience": "b"}]}),
            "federated",
        ),
        (
            "a workload of nobody",
            json!({"federated": [{"issuer": "cluster", "subject": "", "audience": "b"}]}),
            "federated",
        ),
        ("a workload without an audience", json!({"federated": [{"issuer": "cluster", "subject": "a"}]}), "definition"),
        ("a start over http", json!({"initiate_login_uri": "http://shop.example/start"}), "initiate_login_uri"),
        ("a life too long", json!({"access_ttl": 86_401}), "access_ttl"),
        (
            "pairwise without a sector",
            json!({"subject_type": "pairwise", "redirect_uris": ["https://a.example/", "https://b.example/"]}),
            "sector_identifier_uri",
        ),
    ] {
        let body = json!({ "definition": merged(&changes) });
        let change = ops.request("PUT", &sound).header("If-Match", "*").json(&body).send();
        for refused in [ops.post(CLIENTS, &body), change] {
            let refused = refused.expect_problem(400, "invalid_field").json();
            let error = &refused["errors"][0];
            assert_eq!(error["field"], field, "{name}: {refused}");
            assert!(error["cure"].as_str().is_some_and(|cure| !cure.is_empty()), "{name}: {refused}");
        }
    }
    let person = ["0f0e0d0c-0b0a-4908-8706-050403020100", "0f0e0d0c0b0a49088706050403020100"];
    for id in ["", "-a", "a b", "a/b", "ä", "quickstart", "https://a.example/x", &"x".repeat(129), person[0], person[1]]
    {
        ops.post(CLIENTS, &json!({ "id": id, "definition": web_app() })).expect_problem(400, "invalid_field");
    }
    ops.post(CLIENTS, &json!({ "definition": web_app(), "secret": "mine" })).expect_problem(400, "invalid_request");
    assert_eq!(
        ops.app.count("SELECT count(*) AS n FROM clients WHERE source = 'administration'"),
        1,
        "the sound one alone"
    );
    ops.make_client("shop", &web_app());
    ops.post(CLIENTS, &json!({ "id": "shop", "definition": web_app() })).expect_problem(409, "already_exists");
}

#[test]
fn a_change_names_the_version_it_changes() {
    let ops = Ops::new();
    ops.make_client("shop", &web_app());
    let path = "/v1/admin/clients/shop";
    let change = json!({ "definition": { "name": "Mine" } });
    ops.request("PATCH", path).json(&change).send().expect_problem(428, "precondition_required");
    ops.request("PUT", path)
        .json(&json!({"definition": web_app()}))
        .send()
        .expect_problem(428, "precondition_required");
    let old = ops.get(path).expect(200).header("etag").unwrap().to_owned();
    ops.patch(path, &json!({ "definition": { "name": "Theirs" } })).expect(200);
    for method in ["PATCH", "DELETE"] {
        let request = ops.request(method, path).header("If-Match", &old);
        let request = if method == "PATCH" { request.json(&change) } else { request };
        request.send().expect_problem(412, "precondition_failed");
    }
    assert_eq!(ops.get(path).expect(200).json()["definition"]["name"], "Theirs");
}

#[test]
fn what_the_configuration_declares_is_read_only() {
    let ops = Ops::new();
    let path = "/v1/admin/clients/api";
    assert_eq!(ops.get(path).expect(200).json()["managedBy"], "test");
    for (method, path, body) in [
        ("PATCH", path.to_owned(), Some(json!({ "definition": {} }))),
        ("PUT", path.to_owned(), Some(json!({ "definition": web_app() }))),
        ("DELETE", path.to_owned(), None),
        ("POST", format!("{path}/disable"), None),
        ("POST", format!("{path}/enable"), None),
        ("POST", format!("{path}/secret"), Some(json!({}))),
    ] {
        let request = ops.request(method, &path).header("If-Match", "*");
        let reply = match &body {
            Some(body) => request.json(body).send(),
            None => request.send(),
        };
        let problem = reply.expect_problem(409, "managed_by_configuration").json();
        assert_eq!(problem["managedBy"], "test", "{method} {path}");
        assert!(problem["detail"].as_str().unwrap().contains("declared by test"), "{method} {path}");
    }
}

/// Check 62: two secrets overlap, the old one expires at its date, and no list shows either.
#[test]
fn secrets_are_replaced_with_overlap() {
    let ops = Ops::new();
    let first = ops.make_client("shop", &web_app())["secret"].as_str().unwrap().to_owned();
    let rotate = |body: Value| ops.post("/v1/admin/clients/shop/secret", &body);
    let second = rotate(json!({ "keepPreviousFor": 3600 })).expect(200).json()["secret"].as_str().unwrap().to_owned();
    assert!(is_good(&ops, "shop", &first) && is_good(&ops, "shop", &second));
    let list = ops.get(CLIENTS).expect(200).body;
    assert!(!list.contains(&first) && !list.contains(&second) && list.contains("previousSecretUntil"));
    ops.app.advance(Duration::hours(1));
    assert!(!is_good(&ops, "shop", &first) && is_good(&ops, "shop", &second), "the old one ended");

    let token = granted(&ops.app, "admin");
    let again = |body: Value| {
        let request = ops.app.request("POST", "/v1/admin/clients/shop/secret");
        request.header("Authorization", &format!("Bearer {token}")).json(&body).send()
    };
    let third = again(json!({})).expect(200).json()["secret"].as_str().unwrap().to_owned();
    assert!(!is_good(&ops, "shop", &second) && is_good(&ops, "shop", &third), "no overlap unless asked for");
    again(json!({ "keepPreviousFor": -1 })).expect_problem(400, "invalid_field");
    again(json!({ "keepPreviousFor": 30 * 86_400 + 1 })).expect_problem(400, "invalid_field");
}

#[test]
fn a_public_client_one_with_keys_and_a_workload_have_no_secret() {
    let ops = Ops::with_config("[trusted_issuers.cluster]\nissuer = \"https://cluster.example\"");
    let public = json!({ "name": "App", "kind": "public", "grants": ["authorization_code"], "scopes": "openid",
        "redirect_uris": ["com.example.app:/cb"] });
    assert!(ops.make_client("app", &public).get("secret").is_none());
    let keyed = json!({ "name": "Bank", "kind": "confidential", "grants": ["client_credentials"], "scopes": "orders",
        "jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}]} });
    assert!(ops.make_client("bank", &keyed).get("secret").is_none());
    let workload = json!({ "name": "Worker", "kind": "confidential", "grants": ["client_credentials"], "scopes": "jobs",
        "federated": [{"issuer": "cluster", "subject": "system:serviceaccount:shop:worker", "audience": "b"}] });
    assert!(ops.make_client("worker", &workload).get("secret").is_none());
    for id in ["app", "bank", "worker"] {
        let refused = ops.post(&format!("/v1/admin/clients/{id}/secret"), &json!({}));
        refused.expect_problem(400, "invalid_field");
    }
}

#[test]
fn permissions_to_register() {
    let ops = Ops::new();
    let path = "/v1/admin/registration-tokens";
    let made = ops.post(path, &json!({ "name": "CI", "uses": 3 })).expect(201).json();
    assert!(made["secret"].as_str().unwrap().starts_with("pmn_"));
    let listed = ops.get(path).expect(200);
    assert!(!listed.body.contains(made["secret"].as_str().unwrap()), "shown once");
    assert_eq!(listed.json()["items"][0]["usesLeft"], 3);
    let own = format!("{path}/{}", made["id"].as_str().unwrap());
    ops.delete(&own).expect(204);
    ops.delete(&own).expect_problem(404, "not_found");
    ops.delete(&format!("{path}/x")).expect_problem(404, "not_found");
    assert!(ops.get(path).expect(200).json()["items"][0]["revokedAt"].is_string());
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "x", "uses": 0 }), "uses"),
        (json!({ "name": "x", "lifetime": 59 }), "lifetime"),
    ] {
        let refused = ops.post(path, &body).expect_problem(400, "invalid_field").json();
        assert_eq!(refused["errors"][0]["field"], field);
    }
    assert_eq!(ops.app.events("registration_token.changed"), 2);
}
