//! Dynamic registration (RFC 7591, RFC 7592), with the rows of the OpenID plans that need it.

use std::time::Duration as Real;

use chrono::Duration;
use serde_json::{Value, json};

use crate::authorize::allow;
use crate::client_documents::spawn_with;
use crate::support::oidc::{Ask, random_code, redemption};
use crate::support::tokens::{at_once, basic, claims, within};
use crate::support::{Browser, Options, Reply, TestApp};

fn open() -> TestApp {
    TestApp::with(&Options { settings: &[("registration.mode", "open")], ..Options::default() })
}

fn register(app: &TestApp, body: &Value) -> Reply {
    app.request("POST", "/oauth/register").json(body).send()
}

fn app_body() -> Value {
    json!({ "client_name": "Suite", "redirect_uris": ["https://rp.example/cb?x=1"], "contacts": ["ops@rp.example"] })
}

/// A request that a client makes about itself.
fn own(app: &TestApp, method: &str, client: &Value, body: Option<&Value>) -> Reply {
    let path = client["registration_client_uri"].as_str().unwrap().strip_prefix(&app.origin).unwrap().to_owned();
    let token = client["registration_access_token"].as_str().unwrap();
    let request = app.request(method, &path).header("Authorization", &format!("Bearer {token}"));
    match body {
        Some(body) => request.json(body).send(),
        None => request.send(),
    }
}

/// RFC 7591 §3.2.1; conformance B4: what the response must contain.
#[test]
fn a_client_is_told_what_it_is() {
    let app = open();
    let reply = register(&app, &app_body()).expect(201);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let client = reply.json();
    assert_eq!(client["client_secret_expires_at"], 0);
    for (member, value) in [
        ("client_name", json!("Suite")),
        ("redirect_uris", json!(["https://rp.example/cb?x=1"])),
        ("contacts", json!(["ops@rp.example"])),
        ("grant_types", json!(["authorization_code"])),
        ("response_types", json!(["code"])),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        ("id_token_signed_response_alg", json!("RS256")),
    ] {
        assert_eq!(client[member], value, "{member}");
    }
    let (id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let known = app.request("POST", "/oauth/introspect").header("Authorization", &basic(id, secret));
    known.form(&[("token", "x")]).send().expect(200);
    assert_eq!(app.events("client.registered"), 1);
    assert_eq!(app.count("SELECT count(*) AS n FROM clients WHERE source = 'registration'"), 1);

    let public =
        register(&app, &json!({ "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none" }));
    let public = public.expect(201).json();
    assert!(public.get("client_secret").is_none() && public.get("client_secret_expires_at").is_none());
}

/// Check 3 and 120; RFC 7591 §3.2.2.
#[test]
fn refusals_by_name() {
    let app = open();
    let (uri, metadata) = ("invalid_redirect_uri", "invalid_client_metadata");
    for (name, changes, error) in [
        ("regfrag: a fragment", json!({"redirect_uris": ["https://rp.example/cb#x"]}), uri),
        ("a wildcard", json!({"redirect_uris": ["https://*.rp.example/cb"]}), uri),
        ("plain http", json!({"redirect_uris": ["http://rp.example/cb"]}), uri),
        ("a scheme without a dot", json!({"redirect_uris": ["rp:/cb"]}), uri),
        ("script", json!({"redirect_uris": ["javascript:alert(1)"]}), uri),
        ("script beside another", json!({"redirect_uris": ["https://rp.example/cb", "javascript:alert(1)"]}), uri),
        ("none", json!({"redirect_uris": []}), uri),
        ("twice the same", json!({"redirect_uris": ["https://rp.example/cb", "https://rp.example/cb"]}), uri),
        ("a start over http", json!({"initiate_login_uri": "http://rp.example/start"}), metadata),
        (
            "both kinds of keys",
            json!({"jwks_uri": "https://rp.example/jwks", "jwks": {"keys": [{"kty": "EC"}]}}),
            metadata,
        ),
        ("private_key_jwt without keys", json!({"token_endpoint_auth_method": "private_key_jwt"}), metadata),
        ("symmetric keys", json!({"jwks": {"keys": [{"kty": "oct", "k": "x"}]}}), metadata),
        ("the passkey grant", json!({"grant_types": ["urn:passmint:params:oauth:grant-type:passkey"]}), metadata),
        ("a grant that policy lacks", json!({"grant_types": ["client_credentials"]}), metadata),
        ("a name over two lines", json!({"client_name": "a\nb"}), metadata),
        ("a name that turns around", json!({"client_name": "Shop \u{202e}knaB"}), metadata),
        ("a name with a gap that nobody sees", json!({"client_name": "Ba\u{200b}nk"}), metadata),
        (
            "sector-bad: a sector that cannot be read",
            json!({"subject_type": "pairwise", "sector_identifier_uri": "https://127.0.0.1/x"}),
            metadata,
        ),
        ("a sector over http", json!({"sector_identifier_uri": "http://rp.example/x"}), metadata),
        ("a software statement", json!({"software_statement": "a.b.c"}), "invalid_software_statement"),
    ] {
        let mut body = app_body();
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let refused = register(&app, &body).expect_oauth(400, error);
        let words = refused.json()["error_description"].as_str().unwrap().to_owned();
        assert!(words.chars().all(|c| matches!(c, ' '..='~') && c != '"' && c != '\\'), "{name}: {words}");
    }
    app.request("POST", "/oauth/register").body("application/json", b"{".to_vec()).send().expect_oauth(400, metadata);
    app.request("POST", "/oauth/register").body("application/json", b"[]".to_vec()).send().expect_oauth(400, metadata);
    app.request("POST", "/oauth/register").form(&[("a", "b")]).send().expect(415);
    assert_eq!(app.count("SELECT count(*) AS n FROM clients WHERE source = 'registration'"), 0);
}

/// OpenID Connect Core §8.1; check 83: a sector document vouches only for the URIs that it lists. It is fetched for
/// each change, but not for a stranger's request.
#[test]
fn a_sector_names_every_redirect_uri() {
    let (app, speaker, sector, _folder) = spawn_with(&[("registration.mode", "open")]);
    let body =
        |uris: &[&str]| json!({ "redirect_uris": uris, "subject_type": "pairwise", "sector_identifier_uri": sector });
    let refused = |reply: Reply| {
        let told = reply.expect_oauth(400, "invalid_client_metadata").json();
        assert!(told["error_description"].as_str().unwrap().contains("does not list every redirect URI"), "{told}");
    };
    let (ours, other) = ("https://rp.example/cb", "https://other.example/cb");
    speaker.says(&json!([ours]));
    refused(register(&app, &body(&[ours, other])));
    let client = register(&app, &body(&[ours])).expect(201).json();
    assert_eq!(speaker.asked(), 2);

    let changed = |uris: &[&str]| {
        let mut wanted = body(uris);
        wanted["client_id"] = client["client_id"].clone();
        wanted
    };
    let mut stranger = client.clone();
    stranger["registration_access_token"] = json!("pmr_x");
    own(&app, "PUT", &stranger, Some(&changed(&[ours, other]))).expect_oauth(401, "invalid_token");
    assert_eq!(speaker.asked(), 2, "nothing is fetched for a stranger");
    refused(own(&app, "PUT", &client, Some(&changed(&[ours, other]))));
    speaker.says(&json!([other, ours]));
    own(&app, "PUT", &client, Some(&changed(&[ours, other]))).expect(200);
}

/// RFC 7591 §2 and §3.2.1: what such an app cannot have, or what could not be honoured, is left out, and the response
/// says so.
#[test]
fn what_cannot_be_used_is_left_out_of_a_registration() {
    let app = open();
    let usual = register(&app, &app_body()).expect(201).json();
    let left_out = |changes: Value| {
        let mut body = app_body();
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        register(&app, &body).expect(201).json()
    };
    for (member, value) in [
        ("client_uri", json!("http://localhost:5173")),
        ("client_uri", json!("")),
        ("policy_uri", json!("javascript:alert(1)")),
        ("tos_uri", json!("http://rp.example/terms")),
        ("logo_uri", json!("data:image/svg+xml,<svg/>")),
        ("logo_uri", json!("https://[fd00::1]/logo.png")),
        ("initiate_login_uri", json!("")),
        ("contacts", json!(["Ada <ada@rp.example>"])),
        ("contacts", json!(["ops@rp.example\u{200b}"])),
    ] {
        assert_eq!(left_out(json!({ member: value })).get(member), None, "{member}: {value}");
    }
    for scope in ["claudeai", "admin"] {
        assert_eq!(left_out(json!({ "scope": scope }))["scope"], usual["scope"], "{scope}");
    }
    assert_eq!(left_out(json!({ "client_name": "x".repeat(120) }))["client_name"], "x".repeat(100));
    let uris = [
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://www.cursor.com/agents/mcp/oauth/callback",
        "http://localhost:8787/callback",
    ];
    assert_eq!(left_out(json!({ "redirect_uris": uris }))["redirect_uris"], json!(uris[1..]));
}

/// RFC 6749 §3.3: programs ask for every scope in the metadata. They get those that they may have, and are told which.
#[test]
fn an_app_that_asks_for_all_that_is_advertised_gets_what_it_has() {
    let settings = [("registration.mode", "open"), ("registration.scopes", "openid,email")];
    let app = TestApp::with(&Options { settings: &settings, ..Options::default() });
    let body = json!({ "redirect_uris": ["https://rp.example/cb"], "token_endpoint_auth_method": "none" });
    let client = register(&app, &body).expect(201).json();
    let id = client["client_id"].as_str().unwrap();
    let metadata = app.request("GET", "/.well-known/openid-configuration").send().expect(200).json();
    let all: Vec<&str> = metadata["scopes_supported"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(all.contains(&"passkeys") && all.contains(&"offline_access"), "{all:?}");
    let (mut browser, _) = app.person();
    let ask = Ask::of("rp").with("client_id", id);
    let code = allow(&mut browser, &ask.clone().with("scope", &all.join(" ")));
    let form = redemption(id, &code, "https://rp.example/cb");
    let told = app.request("POST", "/oauth/token").form(&form).send().expect(200).json();
    assert_eq!(told["scope"], "email openid");
    let pushed = ask.clone().with("scope", &all.join(" "));
    app.request("POST", "/oauth/par").form(&pushed.pairs()).send().expect(201);
    assert_eq!(ask.with("scope", "passkeys admin").send(&mut browser).back().error(), "invalid_scope");
}

/// Servers learn of each other's clients within a second. A client that has just registered is known to all of them at
/// once.
#[test]
fn an_app_that_just_registered_is_known_to_every_server() {
    let settings = [("registration.mode", "open"), ("challenges.store", "database")];
    let app = TestApp::with(&Options { settings: &settings, ..Options::default() });
    let public_url = Some(app.origin.as_str());
    let twin = TestApp::with(&Options { settings: &settings, public_url, beside: Some(&app), ..Options::default() });
    let (mut here, _) = app.person();
    let mut there = Browser::at(&twin.url, &twin.origin);
    there.cookies.clone_from(&here.cookies);
    // So that the other server is not notified.
    app.sql("CREATE RULE unheard AS ON INSERT TO changes DO INSTEAD NOTHING");
    let body = json!({ "redirect_uris": ["https://rp.example/cb"], "token_endpoint_auth_method": "none" });
    let arrive = || register(&app, &body).expect(201).json()["client_id"].as_str().unwrap().to_owned();
    let redeem = |id: &str, code: &str| {
        let form = redemption(id, code, "https://rp.example/cb");
        twin.request("POST", "/oauth/token").form(&form).send()
    };

    redeem(&arrive(), &random_code()).expect_oauth(400, "invalid_grant");
    let waiting = Ask::of("rp").with("client_id", &arrive()).send(&mut here).waits();
    there.get(&waiting).expect(200);
    let id = arrive();
    let path = Ask::of("rp").with("client_id", &id).send(&mut there).waits();
    let page = there.get(&path).expect(200);
    let code = there.submit(&page, &path, &[("decision", "allow")]).returning().code();
    redeem(&id, &code).expect(200);

    // An unknown id makes no server read all clients, which would fail here.
    app.sql("UPDATE clients SET definition = '{}' WHERE id = 'web'");
    for id in ["nobody", "a\0b", "https://app.example/client.json", &"x".repeat(4000)] {
        redeem(id, &code).expect_oauth(401, "invalid_client");
    }
    redeem(&come_unread(&app), &code).expect(503);
}

/// Adds a client to the database that no server has read. Returns its id.
fn come_unread(app: &TestApp) -> String {
    app.sql(
        "INSERT INTO clients (id, definition, source, created_at, updated_at)
         SELECT 'unread', definition, source, created_at, updated_at FROM clients WHERE source = 'registration' LIMIT 1",
    );
    "unread".to_owned()
}

/// A client that registered itself never counts as first-party, whatever it says.
#[test]
fn nobody_registers_power() {
    let app = open();
    let mut body = app_body();
    body.as_object_mut().unwrap().extend(
        json!({
            "scope": "openid admin admin:users bridge:*", "first_party": true, "audiences": ["https://api.example"],
            "may_introspect": ["https://api.example"], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "urn:passmint:params:oauth:grant-type:passkey", "client_credentials"],
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    let client = register(&app, &body).expect(201).json();
    assert_eq!((&client["scope"], &client["grant_types"]), (&json!("openid"), &json!(["authorization_code"])));
    let begin = json!({ "result": { "kind": "tokens", "clientId": client["client_id"], "scope": "openid" } });
    let ceremony = app.request("POST", "/v1/passkeys/authentication/options").json(&begin).send();
    assert_eq!(ceremony.status, 400, "{}", ceremony.body);
}

/// Check 120: off unless switched on, and then with a permission.
#[test]
fn registration_is_off_or_wants_a_permission() {
    let app = TestApp::spawn();
    register(&app, &app_body()).expect_oauth(404, "invalid_request");

    let app = TestApp::with(&Options { settings: &[("registration.mode", "token")], ..Options::default() });
    let refused = register(&app, &app_body()).expect_oauth(401, "invalid_token");
    assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer"));
    let permission = |uses: i32| permission(&app, uses);
    let with = |token: &str| {
        let request = app.request("POST", "/oauth/register").header("Authorization", &format!("Bearer {token}"));
        request.json(&app_body()).send()
    };
    let three = permission(3);
    // On a slow machine a request may wait too long for the others, and is then repeated.
    let asked = |_| (0..20).map(|_| with(&three).status).find(|status| *status != 503).unwrap_or(503);
    let statuses = at_once(16, asked);
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 3, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 13, "{statuses:?}");

    let expired = permission(1);
    let wasted = app.request("POST", "/oauth/register").header("Authorization", &format!("Bearer {expired}"));
    wasted.json(&json!({ "redirect_uris": [] })).send().expect_oauth(400, "invalid_redirect_uri");
    app.advance(Duration::days(8));
    with(&expired).expect_oauth(401, "invalid_token");
    let revoked = permission(1);
    app.sql("UPDATE initial_access_tokens SET revoked_at = now()");
    with(&revoked).expect_oauth(401, "invalid_token");
    with("pmi_none").expect_oauth(401, "invalid_token");
    let fresh = permission(1);
    let client = with(&fresh).expect(201).json();
    let other = client["registration_access_token"].as_str().unwrap();
    with(other).expect_oauth(401, "invalid_token");
}

/// A permission, made as on the command line.
fn permission(app: &TestApp, uses: i32) -> String {
    use passmint::admin::guard::Actor;
    use passmint::admin::registration_tokens::{CreateRegistrationToken, insert};
    use passmint::domain::secret::{PlainToken, TokenKind};
    let (token, now) = (PlainToken::random(TokenKind::InitialAccess), app.clock.now());
    let new = CreateRegistrationToken { name: "test".into(), uses, lifetime: 7 * 86_400 };
    let made = app.db.blocking(|conn| Ok(insert(conn, &Actor::command_line(), &new, &token.digest(), now).is_ok()));
    assert!(made.expect("the database answers"));
    token.expose().to_owned()
}

/// RFC 7592; conformance B0.15 and B8.
#[test]
fn a_client_sees_changes_and_deletes_itself() {
    let app = open();
    let mut body = app_body();
    body["initiate_login_uri"] = json!("https://rp.example/start");
    let client = register(&app, &body).expect(201).json();
    assert_eq!(client["initiate_login_uri"], "https://rp.example/start");
    let seen = own(&app, "GET", &client, None).expect(200).json();
    assert_eq!(seen["initiate_login_uri"], "https://rp.example/start");
    assert_eq!(seen["registration_access_token"], client["registration_access_token"]);
    assert!(seen.get("client_secret").is_none(), "only its digest is stored");

    let id = client["client_id"].clone();
    let mut wanted = app_body();
    wanted["client_id"] = id.clone();
    wanted["client_name"] = json!("Suite 2");
    wanted["client_secret"] = client["client_secret"].clone();
    let changed = own(&app, "PUT", &client, Some(&wanted)).expect(200).json();
    assert_eq!((&changed["client_id"], &changed["client_name"]), (&id, &json!("Suite 2")));
    assert!(changed.get("initiate_login_uri").is_none(), "what is left out is gone");
    assert_ne!(changed["registration_access_token"], client["registration_access_token"]);
    own(&app, "GET", &client, None).expect_oauth(401, "invalid_token");

    for (name, more) in [
        ("another id", json!({ "client_id": "web" })),
        ("no id", json!({ "client_id": null })),
        ("a secret of its own choice", json!({ "client_secret": "mine" })),
        ("what the server says", json!({ "registration_access_token": "x" })),
        ("a bad member", json!({ "initiate_login_uri": "http://rp.example/" })),
    ] {
        let mut body = wanted.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = own(&app, "PUT", &changed, Some(&body));
        assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("invalid_client_metadata")), "{name}");
    }
    assert_eq!(own(&app, "GET", &changed, None).expect(200).json()["client_name"], "Suite 2", "nothing was changed");

    let other = register(&app, &app_body()).expect(201).json();
    let mut crossed = other.clone();
    crossed["registration_access_token"] = changed["registration_access_token"].clone();
    for method in ["GET", "DELETE"] {
        own(&app, method, &crossed, None).expect_oauth(401, "invalid_token");
    }
    assert_eq!(own(&app, "DELETE", &changed, None).expect(204).body, "");
    for method in ["GET", "DELETE"] {
        own(&app, method, &changed, None).expect_oauth(401, "invalid_token");
    }
    own(&app, "GET", &other, None).expect(200);
}

/// Security rules 1 and 6: nothing more is sent to an address that was removed from the client, not even a refusal.
#[test]
fn a_request_that_waits_leads_to_no_address_that_is_gone() {
    const GONE: &str = "https://rp.example/cb";
    const KEPT: &str = "https://new.example/cb";
    let app = open();
    let mut body = app_body();
    (body["redirect_uris"], body["token_endpoint_auth_method"]) = (json!([GONE, KEPT]), json!("none"));
    let client = register(&app, &body).expect(201).json();
    let id = client["client_id"].as_str().unwrap();
    let (mut browser, _) = app.person();
    let ask = |to: &str| Ask::of("rp").with("client_id", id).with("redirect_uri", to);
    let push = |ask: &Ask| {
        let pushed = app.request("POST", "/oauth/par").form(&ask.pairs()).send().expect(201).json();
        let bare = ["redirect_uri", "response_type", "scope", "state"].into_iter().fold(ask.clone(), Ask::without);
        bare.without_pkce().with("request_uri", pushed["request_uri"].as_str().unwrap())
    };
    let (waiting, kept) = (ask(GONE).send(&mut browser).waits(), ask(KEPT).send(&mut browser).waits());
    let silent = push(&ask(GONE).with("prompt", "none"));
    let (pushed, pushed_kept) = (push(&ask(GONE)), push(&ask(KEPT)));
    browser.get(&waiting).expect(200);

    body["client_id"] = json!(id);
    body["redirect_uris"] = json!([KEPT]);
    own(&app, "PUT", &client, Some(&body)).expect(200);
    within(Real::from_secs(15), "the address is gone", || ask(GONE).send(&mut browser).status == 400);
    for (name, reply) in [
        ("the page", browser.get(&waiting)),
        ("Cancel", browser.get(&format!("{waiting}/cancel"))),
        ("another account", browser.get(&format!("{waiting}/another"))),
        ("pushed, in silence", silent.send(&mut browser)),
        ("pushed", pushed.send(&mut browser)),
    ] {
        assert_eq!((reply.status, reply.header("location")), (400, None), "{name}: {}", reply.body);
    }
    assert_eq!(browser.get(&format!("{kept}/cancel")).back().error(), "access_denied");
    pushed_kept.send(&mut browser).waits();
}

#[test]
fn one_of_many_changes_at_once_holds() {
    let app = open();
    let client = register(&app, &app_body()).expect(201).json();
    let mut wanted = app_body();
    wanted["client_id"] = client["client_id"].clone();
    let statuses = at_once(16, |_| own(&app, "PUT", &client, Some(&wanted)).status);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 15, "{statuses:?}");
}

#[test]
fn a_client_that_wants_no_secret_any_more_has_none() {
    let app = open();
    let client = register(&app, &app_body()).expect(201).json();
    let mut wanted = app_body();
    wanted["client_id"] = client["client_id"].clone();
    wanted["token_endpoint_auth_method"] = json!("none");
    let public = own(&app, "PUT", &client, Some(&wanted)).expect(200).json();
    assert_eq!(
        app.count("SELECT count(*) AS n FROM clients WHERE source = 'registration' AND secret_digest IS NULL"),
        1
    );
    wanted["token_endpoint_auth_method"] = json!("client_secret_post");
    let again = own(&app, "PUT", &public, Some(&wanted)).expect(200).json();
    assert!(again["client_secret"].is_string() && again["client_secret"] != client["client_secret"]);
}

#[test]
fn there_is_an_end_to_registrations() {
    let settings = [("registration.mode", "open"), ("registration.max_clients", "2")];
    let app = TestApp::with(&Options { settings: &settings, ..Options::default() });
    for _ in 0..2 {
        register(&app, &app_body()).expect(201);
    }
    register(&app, &app_body()).expect_oauth(400, "access_denied");
    // Unused clients are deleted.
    let now = app.clock.now();
    let later = now + Duration::days(31);
    let swept = app.db.blocking(|conn| passmint::storage::client_records::sweep(conn, later, later)).unwrap();
    assert_eq!(swept, 2);
    register(&app, &app_body()).expect(201);
}

/// Security rule 121: people are told that nobody vouches for an app; it may ask for an API that the operator opens to
/// such apps.
#[test]
fn an_app_that_came_by_itself_is_shown_as_such() {
    let settings = [("registration.mode", "open"), ("registration.audiences", "https://mcp.example/")];
    let app = TestApp::with(&Options { settings: &settings, ..Options::default() });
    let body = json!({
        "client_name": "Suite", "redirect_uris": ["https://rp.example/cb"], "token_endpoint_auth_method": "none",
    });
    let client = register(&app, &body).expect(201).json();
    let (mut browser, _) = app.person();
    let ask = Ask::of("rp").with("client_id", client["client_id"].as_str().unwrap());
    let path = ask.clone().with("resource", "https://mcp.example/").send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    for words in ["Nobody at this site has reviewed this app", "https://mcp.example/"] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    let back = browser.submit(&page, &path, &[("decision", "allow")]).returning();
    let form = redemption(client["client_id"].as_str().unwrap(), back.get("code").unwrap(), "https://rp.example/cb");
    let told = app.request("POST", "/oauth/token").form(&form).send().expect(200).json();
    assert_eq!(claims(told["access_token"].as_str().unwrap())["aud"], "https://mcp.example/");
    let other = ask.with("resource", "https://other.example/").send(&mut browser).back();
    assert_eq!(other.error(), "invalid_target");
}

/// A definition that an app may have must also be valid together with what an operator set on it.
#[test]
fn a_change_that_does_not_go_with_what_operators_set_is_refused() {
    let app = open();
    let client = register(&app, &app_body()).expect(201).json();
    app.sql("UPDATE clients SET definition = definition || '{\"security_profile\": \"fapi2\"}' WHERE source = 'registration'");
    let mut wanted = app_body();
    wanted["client_id"] = client["client_id"].clone();
    own(&app, "PUT", &client, Some(&wanted)).expect_oauth(400, "invalid_client_metadata");
}

/// Security rule 120: what an operator set on an app stays, whatever the app says about itself.
#[test]
fn an_app_does_not_free_itself_of_what_operators_set() {
    let app = open();
    let client = register(&app, &app_body()).expect(201).json();
    let id = client["client_id"].as_str().unwrap();
    app.sql(&format!(
        "UPDATE clients SET definition = definition || '{{\"allowed_groups\": [\"staff\"], \"require_pkce\": true, \"access_ttl\": 60, \"attribute_claims\": {{\"seats\": \"seats\"}}}}' WHERE id = '{id}'"
    ));
    let mut wanted = app_body();
    wanted["client_id"] = client["client_id"].clone();
    wanted["attribute_claims"] = json!({ "roles": "roles" });
    own(&app, "PUT", &client, Some(&wanted)).expect(200);
    let kept = format!(
        "SELECT count(*) AS n FROM clients WHERE id = '{id}' AND definition @> '{{\"allowed_groups\": [\"staff\"], \"require_pkce\": true, \"access_ttl\": 60, \"attribute_claims\": {{\"seats\": \"seats\"}}}}'"
    );
    assert_eq!(app.count(&kept), 1);
}

/// The fetch would be refused anyway, so the registration is refused at once.
#[test]
fn addresses_that_we_do_not_go_to_are_refused_when_they_are_registered() {
    let app = open();
    let with = |member: &str, value: &Value| {
        let mut body = app_body();
        body[member] = value.clone();
        body
    };
    for (member, value) in [
        ("jwks_uri", json!("https://10.0.0.1/jwks")),
        ("jwks_uri", json!("https://[::1]/jwks")),
        ("jwks_uri", json!("https://169.254.169.254/jwks")),
        ("jwks_uri", json!("https://0x7f.1/jwks")),
        ("backchannel_logout_uri", json!("https://192.168.1.1/out")),
        ("request_uris", json!(["https://rp.example/request", "https://127.0.0.1/request"])),
    ] {
        let refused = register(&app, &with(member, &value)).expect_oauth(400, "invalid_client_metadata");
        let words = refused.json()["error_description"].as_str().unwrap().to_owned();
        assert!(words.starts_with(member) && words.contains("private"), "{value}: {words}");
    }
    for value in [json!("https://1.1.1.1/jwks"), json!("https://keys.internal/jwks")] {
        register(&app, &with("jwks_uri", &value)).expect(201);
    }
    let client = register(&app, &app_body()).expect(201).json();
    let mut wanted = with("jwks_uri", &json!("https://10.0.0.1/jwks"));
    wanted["client_id"] = client["client_id"].clone();
    own(&app, "PUT", &client, Some(&wanted)).expect_oauth(400, "invalid_client_metadata");

    let settings = [("registration.mode", "open"), ("outbound.allow_private_addresses", "true")];
    let trusting = TestApp::with(&Options { settings: &settings, ..Options::default() });
    register(&trusting, &with("jwks_uri", &json!("https://10.0.0.1/jwks"))).expect(201);
    let never = with("jwks_uri", &json!("https://169.254.169.254/jwks"));
    register(&trusting, &never).expect_oauth(400, "invalid_client_metadata");
}

/// Before it is registered, an app's page has an unknown origin. It presents a permission, never a cookie.
#[test]
fn a_page_registers_its_app_from_wherever_it_is() {
    const PAGE: &str = "https://inspector.example";
    let allowed = |reply: &Reply| {
        assert_eq!(reply.header("access-control-allow-credentials"), None, "never with cookies");
        reply.header("access-control-allow-origin").map(ToOwned::to_owned)
    };
    let preflight = |app: &TestApp, path: &str, method: &str| {
        let request = app.request("OPTIONS", path).header("Origin", PAGE);
        let request = request.header("Access-Control-Request-Headers", "authorization,content-type");
        request.header("Access-Control-Request-Method", method).send().expect(204)
    };
    let app = open();
    let all = [
        ("/oauth/register", "POST"),
        ("/oauth/register/x", "GET"),
        ("/oauth/register/x", "PUT"),
        ("/oauth/register/x", "DELETE"),
    ];
    for (path, method) in all {
        let reply = preflight(&app, path, method);
        assert_eq!(allowed(&reply).as_deref(), Some("*"), "{method} {path}");
        assert!(reply.header("access-control-allow-methods").unwrap().contains(method), "{method} {path}");
        assert!(reply.header("access-control-allow-headers").unwrap().contains("Authorization"), "{method} {path}");
    }
    assert_eq!(allowed(&preflight(&app, "/oauth/token", "POST")), None, "not a client yet");
    assert_eq!(allowed(&preflight(&app, "/oauth/registers", "POST")), None);
    let from_page = |app: &TestApp, body: &Value| {
        let request = app.request("POST", "/oauth/register").header("Origin", PAGE);
        request.header("Sec-Fetch-Site", "cross-site").json(body).send()
    };
    let body = json!({ "redirect_uris": [format!("{PAGE}/callback")], "token_endpoint_auth_method": "none" });
    let made = from_page(&app, &body).expect(201);
    assert_eq!(allowed(&made).as_deref(), Some("*"));
    let refused = from_page(&app, &json!({})).expect_oauth(400, "invalid_redirect_uri");
    assert_eq!(allowed(&refused).as_deref(), Some("*"), "the page may read what is wrong");
    let client = made.json();
    let path = format!("/oauth/register/{}", client["client_id"].as_str().unwrap());
    let bearer = format!("Bearer {}", client["registration_access_token"].as_str().unwrap());
    let seen = app.request("GET", &path).header("Origin", PAGE).header("Authorization", &bearer).send().expect(200);
    assert_eq!(allowed(&seen).as_deref(), Some("*"));
    assert_eq!(
        allowed(&preflight(&app, "/oauth/token", "POST")).as_deref(),
        Some(PAGE),
        "now its pages are a client's"
    );

    let off = TestApp::spawn();
    for (path, method) in all {
        assert_eq!(allowed(&preflight(&off, path, method)), None, "{method} {path}");
    }
    assert_eq!(allowed(&from_page(&off, &body).expect(404)), None);
}
