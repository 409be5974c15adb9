//! Who may administer, pagination, repeated requests, and the audit trail.

use std::time::Duration as Real;

use serde_json::{Value, json};

use super::{Ops, own_token, person_token, token, web_app};
use crate::support::tokens::{at_once, within};
use crate::support::{Browser, TestApp};

fn with(app: &TestApp, token: &str, path: &str) -> (u16, String) {
    let reply = app.request("GET", path).header("Authorization", &format!("Bearer {token}")).send();
    let code = if reply.status == 200 { String::new() } else { reply.json()["code"].as_str().unwrap().to_owned() };
    (reply.status, code)
}

/// Check 3.3: each scope permits what it names and nothing else.
#[test]
fn scopes_open_what_they_say() {
    let ops = Ops::new();
    let id = ops.make_person(&json!({}));
    let client = json!({ "definition": web_app() });
    for (scope, read_clients, write_clients, read_users, write_users, audit) in [
        ("admin", 200, 201, 200, 201, 200),
        ("admin:read", 200, 403, 200, 403, 200),
        ("admin:clients", 200, 201, 403, 403, 403),
        ("admin:clients:read", 200, 403, 403, 403, 403),
        ("admin:users", 403, 403, 200, 201, 403),
        ("admin:users:read", 403, 403, 200, 403, 403),
        ("admin:audit:read", 403, 403, 403, 403, 200),
        ("orders", 403, 403, 403, 403, 403),
        ("", 403, 403, 403, 403, 403),
    ] {
        let get = |path: &str| ops.request_as(scope, "GET", path).send().status;
        let post = |path: &str, body: &Value| ops.request_as(scope, "POST", path).json(body).send().status;
        assert_eq!(get("/v1/admin/clients"), read_clients, "{scope}: clients");
        assert_eq!(get("/v1/admin/registration-tokens"), read_clients, "{scope}: permissions");
        assert_eq!(post("/v1/admin/clients", &client), write_clients, "{scope}: to make a client");
        assert_eq!(get("/v1/admin/users"), read_users, "{scope}: people");
        assert_eq!(get("/v1/admin/groups"), read_users, "{scope}: groups");
        assert_eq!(get(&id), read_users, "{scope}: one person");
        assert_eq!(post("/v1/admin/users", &json!({})), write_users, "{scope}: to make a person");
        assert_eq!(get("/v1/admin/audit-events"), audit, "{scope}: what happened");
    }
}

#[test]
fn only_a_token_that_is_good_now_opens_anything() {
    let ops = Ops::new();
    let app = &ops.app;
    let path = "/v1/admin/clients";
    ops.make_client(
        "robot",
        &json!({
            "name": "Robot", "kind": "confidential", "grants": ["client_credentials"], "scopes": "admin:clients:read",
        }),
    );
    let robot = own_token(app, "robot", "admin:clients:read");
    // Whatever the server was reading when the client was created, it knows the client within a second.
    within(Real::from_secs(15), "the client is known", || with(app, &robot, path).0 == 200);

    let mixed = |more: Value| token(app, &more);
    let wrong = "invalid_token".to_owned();
    for (name, token, expected) in [
        ("another's subject", mixed(json!({"sub": "web", "client_id": "ops", "scope": "admin"})), (401, wrong.clone())),
        (
            "a public client's own",
            mixed(json!({"sub": "desk", "client_id": "desk", "scope": "admin"})),
            (401, wrong.clone()),
        ),
        ("an unknown client's", mixed(json!({"sub": "x", "client_id": "x", "scope": "admin"})), (401, wrong.clone())),
        (
            "one for another API",
            mixed(json!({"sub": "ops", "client_id": "ops", "scope": "admin", "aud": "https://api.example"})),
            (401, wrong.clone()),
        ),
        (
            "one bound to a key",
            mixed(json!({"sub": "ops", "client_id": "ops", "scope": "admin", "cnf": {"jkt": "x"}})),
            (401, wrong.clone()),
        ),
        ("a scope its client never had", own_token(app, "robot", "admin"), (403, "insufficient_scope".to_owned())),
        ("the quick-start client's", own_token(app, "quickstart", "admin"), (403, "forbidden".to_owned())),
        ("garbage", "x".to_owned(), (401, wrong.clone())),
    ] {
        assert_eq!(with(app, &token, path), expected, "{name}");
    }

    let jti = crate::support::tokens::claims(&robot)["jti"].as_str().unwrap().to_owned();
    app.sql(&format!("INSERT INTO revoked_tokens VALUES ('{jti}', now() + interval '1 day')"));
    assert_eq!(with(app, &robot, path).0, 401, "revoked by its id");
    let robot = own_token(app, "robot", "admin:clients:read");
    ops.patch("/v1/admin/clients/robot", &json!({"definition": {"scopes": "orders"}})).expect(200);
    assert_eq!(with(app, &robot, path).0, 403, "its client lost the scope");
    ops.post("/v1/admin/clients/robot/disable", &json!({})).expect(200);
    assert_eq!(with(app, &robot, path).0, 401, "its client is disabled");
}

fn session_of(browser: &mut Browser) -> (String, String) {
    let seen = browser.get("/v1/session").expect(200).json();
    let text = |path: &str| seen.pointer(path).and_then(Value::as_str).unwrap().to_owned();
    (text("/session/id"), text("/user/id"))
}

/// People administer as members of the group, signed in by passkey; the cookie alone permits nothing.
#[test]
fn people_administer_by_group_and_strong_sign_in() {
    let ops = Ops::new();
    let app = &ops.app;
    let (mut person, _) = app.person();
    let (sid, id) = session_of(&mut person);
    let seen = person.get("/v1/session").json();
    let of_person = |scope: &str| person_token(app, &seen, scope);
    let users = "/v1/admin/users";
    person.get(users).expect_problem(401, "not_signed_in");
    assert_eq!(with(app, &of_person("admin"), users), (403, "forbidden".to_owned()), "not in the group");

    ops.post("/v1/admin/groups", &json!({ "name": "admin" })).expect(201);
    ops.patch(&format!("{users}/{id}"), &json!({ "groups": ["admin"] })).expect(200);
    assert_eq!(with(app, &of_person("admin"), users).0, 200);
    assert_eq!(with(app, &of_person("openid"), users), (403, "insufficient_scope".to_owned()));
    let mut by_password = seen.clone();
    by_password["session"]["acr"] = json!("pwd");
    let by_password = person_token(app, &by_password, "admin");
    assert_eq!(with(app, &by_password, users), (403, "forbidden".to_owned()), "not by passkey");
    let stranger =
        token(app, &json!({ "sub": passmint::random::uuid(), "client_id": "desk", "sid": sid, "scope": "admin" }));
    assert_eq!(with(app, &stranger, users).0, 401, "somebody else's session");
    ops.delete(&format!("{users}/{id}/sessions")).expect(204);
    assert_eq!(with(app, &of_person("admin"), users).0, 401, "the session is over");
}

/// The right to change clients or people does not lead to all other rights.
#[test]
fn nobody_gives_away_or_takes_over_more_than_they_have() {
    let ops = Ops::new();
    let robot = json!({ "name": "R", "kind": "confidential", "grants": ["client_credentials"], "scopes": "admin" });
    ops.make_client("robot", &robot);
    ops.make_client("shop", &web_app());
    // Whoever holds its secret can sign in as anybody.
    let mut backend = robot.clone();
    backend["scopes"] = json!("action_tokens action_tokens:anyone action_tokens:enrol_over");
    ops.make_client("backend", &backend);
    ops.post("/v1/admin/groups", &json!({ "name": "admin" })).expect(201);
    let boss = ops.make_person(&json!({ "groups": ["admin"] }));
    let anybody = ops.make_person(&json!({}));
    let clients = |method: &str, path: &str| ops.request_as("admin:clients", method, path).header("If-Match", "*");
    let users = |method: &str, path: &str| ops.request_as("admin:users", method, path).header("If-Match", "*");
    let scopes = json!({ "definition": { "scopes": "openid admin:users" } });
    for (name, request) in [
        ("make an administrator's client", clients("POST", "/v1/admin/clients").json(&json!({ "definition": robot }))),
        ("give a client the scope", clients("PATCH", "/v1/admin/clients/shop").json(&scopes)),
        ("get such a client's secret", clients("POST", "/v1/admin/clients/robot/secret").json(&json!({}))),
        (
            "change such a client",
            clients("PATCH", "/v1/admin/clients/robot").json(&json!({"definition": {"name": "x"}})),
        ),
        ("delete such a client", clients("DELETE", "/v1/admin/clients/robot")),
        (
            "make a client that makes action tokens",
            clients("POST", "/v1/admin/clients").json(&json!({ "definition": backend })),
        ),
        (
            "give a client that power",
            clients("PATCH", "/v1/admin/clients/shop").json(&json!({"definition": {"scopes": "openid action_tokens"}})),
        ),
        ("get its secret", clients("POST", "/v1/admin/clients/backend/secret").json(&json!({}))),
        ("change it", clients("PATCH", "/v1/admin/clients/backend").json(&json!({"definition": {"name": "x"}}))),
        ("put somebody into the group", users("PATCH", &anybody).json(&json!({ "groups": ["admin"] }))),
        ("make a member", users("POST", "/v1/admin/users").json(&json!({ "groups": ["admin"] }))),
        (
            "change a member's address",
            users("PATCH", &boss).json(&json!({"claims": {"email": "a@evil.example", "email_verified": true}})),
        ),
        ("disable a member", users("POST", &format!("{boss}/disable"))),
        ("delete a member", users("DELETE", &boss)),
        ("make the group", users("POST", "/v1/admin/groups").json(&json!({ "name": "admin" }))),
        ("delete the group", users("DELETE", "/v1/admin/groups/admin")),
    ] {
        let reply = request.send();
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (403, Some("insufficient_scope")),
            "{name}: {}",
            reply.body
        );
    }
    // They may change what does not concern administration.
    clients("PATCH", "/v1/admin/clients/shop").json(&json!({"definition": {"name": "Shop 2"}})).send().expect(200);
    users("PATCH", &anybody).json(&json!({"claims": {"name": "Ann"}})).send().expect(200);
}

/// A request whose answer was lost is repeated by 64 callers at the same moment.
#[test]
fn a_request_sent_again_makes_one_thing() {
    let ops = Ops::new();
    let body = json!({ "definition": web_app() });
    let send = |key: &str, body: &Value| {
        ops.request("POST", "/v1/admin/clients").header("Idempotency-Key", key).json(body).send()
    };
    let answers = at_once(64, |_| send("one", &body).expect(201).json());
    assert!(answers.iter().all(|answer| *answer == answers[0]), "the same answer");
    let (id, secret) = (answers[0]["id"].as_str().unwrap(), answers[0]["secret"].as_str().unwrap());
    assert_eq!(ops.app.count("SELECT count(*) AS n FROM clients WHERE source = 'administration'"), 1);
    assert_eq!(ops.app.events("client.changed"), 1);

    let basic = crate::support::tokens::basic(id, secret);
    let reply =
        ops.app.request("POST", "/oauth/introspect").header("Authorization", &basic).form(&[("token", "x")]).send();
    reply.expect(200);
    assert_eq!(ops.app.rows_with("idempotency_keys", secret), 0, "the secret is not kept");

    // A token with fewer rights does not receive the stored answer of one with more.
    let weaker = ops.request_as("admin:clients", "POST", "/v1/admin/clients").header("Idempotency-Key", "one");
    assert_ne!(weaker.json(&body).send().expect(201).json()["id"], id);

    let other = json!({ "definition": web_app(), "id": "other" });
    send("one", &other).expect_problem(422, "idempotency_key_reused");
    assert_ne!(send("two", &body).expect(201).json()["id"], id, "another key");
    let person = ops.request("POST", "/v1/admin/users").header("Idempotency-Key", "one").json(&json!({})).send();
    person.expect(201);
    ops.app.advance(chrono::Duration::hours(25));
    let token = super::granted(&ops.app, "admin");
    let late = ops.app.request("POST", "/v1/admin/clients").header("Authorization", &format!("Bearer {token}"));
    let late = late.header("Idempotency-Key", "one").json(&body).send().expect(201).json();
    assert!(late["id"] != id && late["secret"] != secret, "a day later it is a new request");
}

/// A refused request leaves no claim on its key.
#[test]
fn a_refused_request_can_be_mended_under_its_key() {
    let ops = Ops::new();
    let send = |body: &Value| ops.request("POST", "/v1/admin/users").header("Idempotency-Key", "k").json(body).send();
    send(&json!({ "claims": { "email": "nobody" } })).expect_problem(400, "invalid_field");
    send(&json!({ "claims": { "email": "a@example.com" } })).expect(201);
    let twice = ops.request("POST", "/v1/admin/users").header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    twice.json(&json!({})).send().expect_problem(400, "invalid_request");
}

#[test]
fn long_lists_come_in_pages_that_neither_shift_nor_repeat() {
    let ops = Ops::new();
    for _ in 0..5 {
        ops.make_person(&json!({}));
    }
    let mut seen = Vec::new();
    let mut next = Some("/v1/admin/users?limit=2".to_owned());
    while let Some(path) = next {
        let page = ops.get(&path).expect(200).json();
        let ids = page["items"].as_array().unwrap().iter().map(|person| person["id"].as_str().unwrap().to_owned());
        seen.extend(ids);
        if seen.len() == 2 {
            ops.make_person(&json!({}));
        }
        next = page["next"].as_str().map(ToOwned::to_owned);
    }
    let mut unique = seen.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!((seen.len(), unique.len()), (5, 5));

    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        // Times that PostgreSQL cannot represent.
        ("cursor=WyItOTAwMC0wMS0wMVQwMDowMDowMFoiLCIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAiXQ", "cursor"),
        ("emial=a", "query"),
        ("group=", "group"),
        ("email=", "email"),
        ("source=hr", "externalId"),
    ] {
        let refused = ops.get(&format!("/v1/admin/users?{query}")).expect_problem(400, "invalid_field").json();
        assert_eq!(refused["errors"][0]["field"], field, "{query}");
    }
    ops.get("/v1/admin/users?limit=1&limit=2").expect_problem(400, "invalid_request");
    let person = ops.make_person(&json!({}));
    for list in ["sessions", "passkeys"] {
        ops.get(&format!("{person}/{list}")).expect(200);
        ops.get(&format!("{person}/{list}?limit=1")).expect_problem(400, "invalid_field");
    }
}

/// serde accepts a list for an object, and takes the last of two members: another reader on the way would see another
/// request.
#[test]
fn a_body_is_one_object_and_has_each_member_once() {
    let ops = Ops::new();
    for (path, body) in [
        ("/v1/admin/users", "[]"),
        ("/v1/admin/users", r#"[{"name":"x"},["staff"],{}]"#),
        ("/v1/admin/groups", r#"["staff"]"#),
        ("/v1/admin/users", r#"{"claims":{"name":"x","name":"y"}}"#),
        ("/v1/admin/users", r#"{"externalIds":{"hr":"1","hr":"2"}}"#),
        ("/v1/admin/clients", r#"{"id":"x","definition":{"name":"x","scopes":"openid","scopes":"admin"}}"#),
    ] {
        let request = ops.request("POST", path).body("application/json", body.as_bytes().to_vec());
        request.send().expect_problem(400, "invalid_request");
    }
    for (path, body) in [
        ("/v1/admin/clients", json!({ "id": "x", "definition": ["x", "confidential"] })),
        ("/v1/admin/resources", json!({ "identifier": "x", "definition": ["x"] })),
        ("/v1/admin/bridges", json!({ "name": "x", "definition": ["jwt"] })),
    ] {
        ops.post(path, &body).expect_problem(400, "invalid_field");
    }
}

/// A mistyped name is repeated, whether the object was to be read or to be changed.
#[test]
fn an_unknown_name_is_repeated() {
    let ops = Ops::new();
    for (what, plural) in [("bridge", "bridges"), ("client", "clients"), ("resource", "resources")] {
        let path = format!("/v1/admin/{plural}/not%20there");
        for reply in [ops.get(&path), ops.delete(&path), ops.post(&format!("{path}/disable"), &json!({}))] {
            let problem = reply.expect_problem(404, "not_found").json();
            assert_eq!(problem["detail"], format!("There is no {what} `not there`."));
        }
    }
    let wrong = ops.get("/v1/admin/audit-events?user=her").expect_problem(400, "invalid_field").json();
    assert!(wrong["detail"].as_str().unwrap().contains("the list of people"), "{wrong}");
}

#[test]
fn what_happened_is_listed_with_who_did_it() {
    let ops = Ops::new();
    ops.make_client("shop", &web_app());
    let person = ops.make_person(&json!({}));
    let id = person.rsplit('/').next().unwrap();
    let events = ops.get("/v1/admin/audit-events?kind=client.changed").expect(200).json();
    let event = &events["items"][0];
    assert_eq!((&event["clientId"], &event["subject"]), (&json!("ops"), &json!("shop")));
    assert_eq!(event["detail"], json!({ "change": "created", "by": "ops" }));
    let of_person = ops.get(&format!("/v1/admin/audit-events?user={id}&client=ops")).expect(200).json();
    assert_eq!(of_person["items"].as_array().unwrap().len(), 1);
    assert_eq!(of_person["items"][0]["kind"], "user.created");
    ops.get("/v1/admin/audit-events?kind=nothing").expect_problem(400, "invalid_field");
    ops.get("/v1/admin/audit-events?user=nobody").expect_problem(400, "invalid_field");
}

/// A rare event may lie behind millions of others: each page searches a part, so that none takes too long.
#[test]
fn a_rare_event_is_found_page_by_page() {
    let ops = Ops::new();
    ops.make_client("shop", &web_app());
    ops.app.sql("SELECT setval(pg_get_serial_sequence('audit_events', 'id'), 700000)");
    ops.make_person(&json!({}));
    let (mut path, mut empty) = ("/v1/admin/audit-events?kind=client.changed&client=ops&limit=1".to_owned(), 0);
    let found = loop {
        let page = ops.get(&path).expect(200).json();
        if let Some(event) = page["items"].get(0) {
            break event.clone();
        }
        empty += 1;
        path = page["next"].as_str().expect("the trail goes on").to_owned();
    };
    assert_eq!((&found["subject"], empty), (&json!("shop"), 3));
    let of_nobody = ops.get("/v1/admin/audit-events?kind=key.changed&cursor=NTA").expect(200).json();
    assert_eq!(of_nobody, json!({ "items": [] }), "below the oldest there is nothing more");
    assert_eq!(ops.get("/v1/admin/audit-events?limit=1").expect(200).json()["items"][0]["kind"], "user.created");
}

/// RFC 9728 §5.1, RFC 6750 §3: the challenge says where to get a token.
#[test]
fn a_challenge_points_to_who_gives_tokens() {
    let app = TestApp::spawn();
    let reply = app.request("GET", "/v1/admin/clients").send().expect(401);
    let pointer = format!(r#"resource_metadata="{}/.well-known/oauth-protected-resource""#, app.origin);
    assert_eq!(reply.header("www-authenticate"), Some(format!("Bearer {pointer}").as_str()));
    let wrong = app.request("GET", "/v1/me").header("Authorization", "Bearer x").send().expect(401);
    let challenge = wrong.header("www-authenticate").unwrap().to_owned();
    assert!(challenge.starts_with(r#"Bearer error="invalid_token""#) && challenge.ends_with(&pointer), "{challenge}");
    let basic = app.request("POST", "/oauth/token").form(&[("grant_type", "x")]).send().expect(401);
    assert!(!basic.header("www-authenticate").unwrap().contains("resource_metadata"), "not for clients");
    let document = app.request("GET", "/.well-known/oauth-protected-resource").send().expect(200).json();
    assert_eq!(
        (&document["resource"], &document["authorization_servers"][0]),
        (&json!(app.origin), &json!(app.origin))
    );
}
