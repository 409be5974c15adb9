//! Resources (RFC 8707): APIs with scopes, lifetime and algorithm of their own.

use std::time::Duration as Real;

use passmint::domain::resource::{Resource, ResourceDefinition};
use passmint::storage::resources;
use serde_json::{Value, json};

use crate::support::oidc::{Ask, redeem, redemption, refresh};
use crate::support::tokens::{Tokens, claims, header, within};
use crate::support::{Options, Reply, TestApp};

const ORDERS: &str = "https://orders.example";
const STOCK: &str = "https://stock.example/v1?tenant=a";

const CONFIG: &str = r#"
[resources."https://orders.example"]
name = "Orders"
access_ttl = "2m"
algorithm = "RS256"
scopes = { "orders.read" = "Read your orders", "shared" = "Both" }

[resources."https://stock.example/v1?tenant=a"]
scopes = { "stock.read" = "See what is there", "shared" = "Both" }

[clients.shop]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token"]
scopes = ["openid", "orders.read", "stock.read", "shared", "passkeys"]
audiences = ["https://orders.example", "https://stock.example/v1?tenant=a", "https://plain.example"]

[clients.quick]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey"]
scopes = ["openid", "orders.read"]
audiences = ["https://orders.example"]
access_ttl = "1m"

[clients.desk]
first_party = true
redirect_uris = ["https://desk.example/cb"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "orders.read", "stock.read"]
audiences = ["https://orders.example", "https://stock.example/v1?tenant=a"]

[clients.machine]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["client_credentials"]
scopes = ["orders.read", "stock.read", "shared", "plain"]
audiences = ["https://orders.example", "https://stock.example/v1?tenant=a", "https://plain.example", "https://new.example"]
"#;

fn spawn() -> TestApp {
    TestApp::with(&Options { config: CONFIG, ..Options::default() })
}

fn ask(app: &TestApp, scope: &str, audience: &str) -> Reply {
    let result = json!({ "kind": "tokens", "clientId": "shop", "scope": scope, "audience": audience });
    app.client("shop").post("/v1/passkeys/authentication/options", &json!({ "result": result }))
}

fn machine(app: &TestApp, scope: Option<&str>, resources: &[&str]) -> Reply {
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(scope.map(|scope| ("scope", scope)));
    form.extend(resources.iter().map(|one| ("resource", *one)));
    app.token_by("machine", &form)
}

fn wait_for_rsa(app: &TestApp) {
    within(Real::from_secs(30), "the RSA key is made", || {
        app.request("GET", "/.well-known/jwks.json").send().body.contains("RS256")
    });
}

#[test]
fn a_token_for_a_resource_alone_has_its_lifetime_and_algorithm() {
    let app = spawn();
    wait_for_rsa(&app);
    for (resources, algorithm, life) in [
        (&[ORDERS][..], "RS256", 120),
        (&[STOCK], "ES256", 600),
        (&["https://plain.example"], "ES256", 600),
        (&[ORDERS, STOCK], "ES256", 600),
    ] {
        let told = machine(&app, None, resources).expect(200).json();
        let token = told["access_token"].as_str().unwrap();
        assert_eq!(
            (header(token)["alg"].as_str(), told["expires_in"].as_i64()),
            (Some(algorithm), Some(life)),
            "{resources:?}"
        );
        let expected = if resources.len() == 1 { json!(resources[0]) } else { json!(resources) };
        assert_eq!(claims(token)["aud"], expected);
        if let [one] = resources {
            app.verified(token, one, "at+jwt");
        }
    }
    let (_, mut passkey) = app.person();
    let quick = app.client("quick").sign_in(&mut passkey, "openid orders.read").expect(200).json();
    assert_eq!(quick["expiresIn"], 60, "the shorter of client and resource");
}

#[test]
fn a_scope_is_granted_only_with_its_resource() {
    let app = spawn();
    wait_for_rsa(&app);
    for (scope, resources, granted) in [
        (Some("orders.read"), &[ORDERS][..], Some("orders.read")),
        (Some("orders.read"), &[STOCK], None),
        (Some("orders.read"), &["https://plain.example"], None),
        (Some("orders.read stock.read"), &[ORDERS], None),
        (Some("orders.read stock.read"), &[ORDERS, STOCK], Some("orders.read stock.read")),
        (Some("shared"), &[STOCK], Some("shared")),
        (Some("plain"), &[ORDERS], Some("plain")),
        (None, &[ORDERS], Some("orders.read plain shared")),
        (None, &["https://plain.example"], Some("plain")),
        // The client's default audience.
        (Some("orders.read"), &[], Some("orders.read")),
        (Some("stock.read"), &[], None),
    ] {
        let reply = machine(&app, scope, resources);
        match granted {
            Some(granted) => assert_eq!(reply.expect(200).json()["scope"], granted, "{scope:?} {resources:?}"),
            None => drop(reply.expect_oauth(400, "invalid_scope")),
        }
    }
    ask(&app, "openid orders.read", STOCK).expect_problem(400, "invalid_scope");
    ask(&app, "openid orders.read", "https://foreign.example").expect_problem(400, "invalid_target");
    ask(&app, "openid orders.read", ORDERS).expect(200);
}

/// RFC 8707 §2.2: at a refresh a client may ask for less, never for more.
#[test]
fn a_refresh_is_for_what_was_granted() {
    let app = spawn();
    wait_for_rsa(&app);
    let (_, mut passkey) = app.person();
    let begun = ask(&app, "openid orders.read", ORDERS).expect(200).json();
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let first = Tokens::of(&app.client("shop").finish(&begun, &credential).expect(200).json());
    assert_eq!(claims(&first.access)["aud"], ORDERS);
    let refresh = |token: &str, resource: &str| {
        app.client("shop").token(&[("grant_type", "refresh_token"), ("refresh_token", token), ("resource", resource)])
    };
    for other in [STOCK, "https://plain.example", &app.origin] {
        refresh(&first.refresh, other).expect_oauth(400, "invalid_target");
    }
    let second = refresh(&first.refresh, ORDERS).expect(200);
    assert_eq!((&second.json()["scope"], &second.json()["expires_in"]), (&json!("openid orders.read"), &json!(120)));
    let second = Tokens::of(&second.json());
    assert_eq!((&claims(&second.access)["aud"], &header(&second.access)["alg"]), (&json!(ORDERS), &json!("RS256")));
}

/// RFC 8707 §2: a code may be for several resources; each token carries only the scopes of its own.
#[test]
fn a_code_for_two_resources_gives_tokens_for_one_or_both() {
    let app = spawn();
    wait_for_rsa(&app);
    let (mut browser, _) = app.person();
    let both =
        Ask::of("desk").with("scope", "openid orders.read stock.read").and("resource", ORDERS).and("resource", STOCK);
    let told = |tokens: &Tokens| (claims(&tokens.access)["aud"].clone(), tokens.scope.clone());
    let all = (json!([ORDERS, STOCK]), "openid orders.read stock.read".to_owned());
    let stock = (json!(STOCK), "openid stock.read".to_owned());
    let orders = (json!(ORDERS), "openid orders.read".to_owned());

    let first = redeem(&app, "desk", &both.send(&mut browser).back().code());
    assert_eq!(told(&first), all);
    let second = Tokens::of(&refresh(&app, "desk", &first.refresh, &[("resource", ORDERS)]).expect(200).json());
    assert_eq!(told(&second), orders);
    assert_eq!(claims(&second.access)["scope"], "openid orders.read");

    let code = both.send(&mut browser).back().code();
    let mut form = redemption("desk", &code, "https://desk.example/cb");
    form.push(("resource", STOCK));
    let first = Tokens::of(&app.request("POST", "/oauth/token").form(&form).send().expect(200).json());
    assert_eq!(told(&first), stock);
    let second = Tokens::of(&refresh(&app, "desk", &first.refresh, &[]).expect(200).json());
    assert_eq!(told(&second), all, "the grant is still for both");

    for (name, ask, error) in [
        ("a scope without its resource", both.clone().without("resource").and("resource", STOCK), "invalid_scope"),
        ("a scope without any", both.clone().without("resource"), "invalid_scope"),
        ("an unknown one", both.clone().and("resource", "https://foreign.example"), "invalid_target"),
    ] {
        assert_eq!(ask.send(&mut browser).back().error(), error, "{name}");
    }
}

/// RFC 3986 §6.2.3: a client that runs a URL through a parser sends it with a slash. The token has the registered form.
#[test]
fn an_origin_is_one_resource_with_and_without_its_slash() {
    let app = spawn();
    wait_for_rsa(&app);
    let (mut browser, _) = app.person();
    let slashed = format!("{ORDERS}/");
    let slashed = slashed.as_str();
    let ask = |resource: &str| Ask::of("desk").with("scope", "openid orders.read").with("resource", resource);
    for (asked, redeemed, refreshed) in
        [(slashed, slashed, slashed), (slashed, ORDERS, slashed), (ORDERS, slashed, ORDERS)]
    {
        let code = ask(asked).send(&mut browser).back().code();
        let mut form = redemption("desk", &code, "https://desk.example/cb");
        form.push(("resource", redeemed));
        let first = Tokens::of(&app.request("POST", "/oauth/token").form(&form).send().expect(200).json());
        let second = refresh(&app, "desk", &first.refresh, &[("resource", refreshed)]).expect(200);
        for tokens in [&first, &Tokens::of(&second.json())] {
            let told = (claims(&tokens.access)["aud"].clone(), tokens.scope.as_str());
            assert_eq!(told, (json!(ORDERS), "openid orders.read"), "{asked} {redeemed} {refreshed}");
        }
    }
    let token = machine(&app, Some("orders.read"), &[slashed, ORDERS]).expect(200).json();
    assert_eq!(claims(token["access_token"].as_str().unwrap())["aud"], ORDERS);
    for other in [format!("{ORDERS}//"), format!("{ORDERS}/v1"), format!("{STOCK}/"), "https://ORDERS.example/".into()]
    {
        assert_eq!(ask(&other).send(&mut browser).back().error(), "invalid_target", "{other}");
    }
}

/// Every running server follows; an Ed25519 key is made when it is needed, and only then.
#[test]
fn a_resource_made_while_the_server_runs_is_known_within_seconds() {
    let app = spawn();
    let keys = |app: &TestApp| app.request("GET", "/.well-known/jwks.json").send().body;
    assert!(!keys(&app).contains("Ed25519"));
    let definition = ResourceDefinition {
        name: "New".into(),
        scopes: [("plain".to_owned(), "Plain".to_owned())].into(),
        algorithm: Some("EdDSA".into()),
        ..ResourceDefinition::default()
    };
    let resource = Resource { identifier: "https://new.example".into(), definition };
    let now = app.clock.now();
    app.db.blocking(|conn| resources::put(conn, &resource, None, now)).unwrap();
    within(Real::from_secs(15), "the resource has a key", || keys(&app).contains("Ed25519"));
    let token = machine(&app, None, &["https://new.example"]).expect(200).json();
    let token = token["access_token"].as_str().unwrap();
    assert_eq!(header(token)["alg"], "EdDSA");
    app.verified(token, "https://new.example", "at+jwt");
    machine(&app, Some("plain"), &[STOCK]).expect_oauth(400, "invalid_scope");

    assert!(app.db.blocking(|conn| resources::disable(conn, "https://new.example", now)).unwrap());
    assert!(!app.db.blocking(|conn| resources::disable(conn, "https://new.example", now)).unwrap(), "once");
    let refused = || machine(&app, None, &["https://new.example"]).status == 400;
    within(Real::from_secs(15), "no more tokens for it", refused);
    machine(&app, None, &["https://new.example"]).expect_oauth(400, "invalid_target");
    machine(&app, Some("plain"), &[STOCK]).expect_oauth(400, "invalid_scope");
}

#[test]
fn what_the_configuration_no_longer_declares_is_disabled() {
    let app = spawn();
    let live = "SELECT count(*) AS n FROM resources WHERE managed_by IS NOT NULL AND disabled_at IS NULL";
    assert_eq!(app.count(live), 2);
    let (first, _) = CONFIG.split_once("[resources.\"https://stock").unwrap();
    let twin = TestApp::with(&Options {
        beside: Some(&app),
        public_url: Some(&app.origin),
        config: first,
        ..Options::default()
    });
    assert_eq!(app.count(live), 1);
    let stored = app.db.blocking(resources::all).unwrap();
    let states: Vec<(&str, bool)> =
        stored.iter().map(|stored| (stored.resource.identifier.as_str(), stored.disabled_at.is_some())).collect();
    assert_eq!(states, [(ORDERS, false), (STOCK, true)]);
    let words = stored[0].resource.definition.scopes.get("orders.read").map(String::as_str);
    assert_eq!(words, Some("Read your orders"));
    drop(twin);
    assert_eq!(json!(stored[0].resource.definition)["algorithm"], Value::from("RS256"));
}

/// Security rules 24, 41 and 70: an earlier consent does not give what a client has lost or an operator has switched
/// off.
#[test]
fn what_was_allowed_before_gives_no_more_than_is_allowed_now() {
    let config = "[resources.\"https://api.example\"]\nname = \"Orders\"\nscopes = { \"orders.read\" = \"Read your orders\" }\n\
                  [clients.ops]\nkind = \"confidential\"\nsecret_digest = \"API_DIGEST\"\ngrants = [\"client_credentials\"]\n\
                  scopes = [\"admin\"]";
    let app = TestApp::with(&Options { config, ..Options::default() });
    let ops = app.token_by("ops", &[("grant_type", "client_credentials"), ("scope", "admin")]).expect(200).json();
    let ops = ops["access_token"].as_str().unwrap().to_owned();
    let admin = |method: &str, path: &str, body: serde_json::Value| {
        let request = app.request(method, path).header("Authorization", &format!("Bearer {ops}"));
        request.header("If-Match", "*").json(&body).send()
    };
    let made = admin(
        "POST",
        "/v1/admin/resources",
        serde_json::json!({ "identifier": "urn:stock", "definition": { "name": "Stock" } }),
    );
    made.expect(201);
    let definition = |scopes: &str| {
        serde_json::json!({ "definition": {
            "name": "Till", "kind": "confidential", "auth_method": "client_secret_post", "first_party": true,
            "grants": ["authorization_code", "refresh_token"], "scopes": scopes, "audiences": ["urn:stock"],
            "redirect_uris": ["https://till.example/cb"],
        } })
    };
    let mut new = definition("openid email profile");
    new["id"] = "till".into();
    let secret = admin("POST", "/v1/admin/clients", new).expect(201).json()["secret"].as_str().unwrap().to_owned();
    let (mut browser, _) = app.person();
    let ask = crate::support::oidc::Ask::of("till").with("scope", "openid email").with("resource", "urn:stock");
    let code = || ask.send(&mut browser.clone()).back().code();
    let token = |form: &[(&str, &str)]| {
        let form = [form, &[("client_id", "till"), ("client_secret", &secret)]].concat();
        app.request("POST", "/oauth/token").form(&form).send()
    };
    let redeem = |code: &str| {
        token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", "https://till.example/cb"),
            ("code_verifier", crate::support::oidc::VERIFIER),
        ])
    };
    let refresh = |refresh: &str| token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]);
    let first = redeem(&code()).expect(200).json();
    let waiting = code();
    admin("PUT", "/v1/admin/clients/till", definition("openid profile")).expect(200);
    redeem(&waiting).expect_oauth(400, "invalid_grant");
    let second = refresh(first["refresh_token"].as_str().unwrap()).expect(200).json();
    assert_eq!(second["scope"], "openid", "the scope that the client lost is gone");
    admin("POST", "/v1/admin/resources/urn%3Astock/disable", serde_json::json!({})).expect(200);
    refresh(second["refresh_token"].as_str().unwrap()).expect_oauth(400, "invalid_target");
    admin("POST", "/v1/admin/resources/urn%3Astock/enable", serde_json::json!({})).expect(200);
    refresh(second["refresh_token"].as_str().unwrap()).expect(200);
    browser.cookies.clear();
}
