//! Exchanges that may be refreshed: what their families depend on, and that a refresh is never wider than its rule.

use std::collections::HashSet;
use std::time::Duration as Real;

use chrono::Duration;
use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::authorize::allow;
use crate::support::jose::{self, Key, fresh};
use crate::support::oidc::{self, Ask};
use crate::support::tokens::{INACTIVE, Tokens, at_once, basic, claims, header, within};
use crate::support::urn::{ACCESS, EXCHANGE, ID, JWT, REFRESH};
use crate::support::{API_SECRET, Browser, Options, Reply, TestApp};

const ORDERS: &str = "https://orders.example";
const STOCK: &str = "https://stock.example";
const PRICES: &str = "https://prices.example";
const PARTNER: &str = "https://partner.example";
const LIVE: &str = "SELECT count(*) AS n FROM refresh_tokens WHERE revoked_at IS NULL AND client_id = 'orders'";

/// `page` is an app whose tokens are for the API orders; `orders` may exchange them for days, and `stock` those of
/// orders.
const CONFIG: &str = r#"
[clients.page]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token", "token_exchange"]
scopes = ["openid", "read", "write"]
audiences = ["https://orders.example"]

[clients.orders]
kind = "confidential"
secret_digest = "API_DIGEST"
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "token_exchange", "refresh_token", "client_credentials"]
scopes = ["openid", "read", "write", "stock:read"]
audiences = ["https://orders.example", "https://stock.example"]
may_introspect = ["https://stock.example", "https://prices.example"]

[clients.stock]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["token_exchange", "refresh_token"]
scopes = ["read"]
audiences = ["https://prices.example"]

[clients.forgetful]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["token_exchange"]
scopes = ["read"]
audiences = ["https://stock.example"]

[exchange_rules.own]
clients = ["page"]
audiences = ["https://orders.example"]
scopes = ["read"]
refreshable = true
"#;

const RULE: &str = r#"
[exchange_rules.days]
clients = ["orders", "forgetful"]
subject_audiences = ["https://orders.example"]
audiences = ["https://orders.example"]
new_audiences = ["https://stock.example"]
scopes = ["openid", "read"]
new_scopes = ["stock:read"]
issues = ["access_token", "jwt"]
actor = "allowed"
impersonation = true
lifetime = "2m"
refreshable = true
"#;

const NEXT: &str = r#"
[exchange_rules.next]
clients = ["stock"]
subject_audiences = ["https://stock.example"]
new_audiences = ["https://prices.example"]
scopes = ["read"]
impersonation = true
refreshable = true
"#;

fn spawn() -> TestApp {
    spawn_with("")
}

fn spawn_with(more: &str) -> TestApp {
    let config = format!("{CONFIG}{RULE}{NEXT}{more}");
    TestApp::with(&Options { config: &config, settings: &[("challenges.store", "database")], ..Options::default() })
}

fn person(app: &TestApp) -> (Browser, Authenticator, Tokens) {
    let (browser, mut passkey) = app.person();
    let tokens = Tokens::of(&app.client("page").sign_in(&mut passkey, "openid read write").expect(200).json());
    (browser, passkey, tokens)
}

fn ask(app: &TestApp, client: &str, subject: &str, more: &[(&str, &str)]) -> Reply {
    let mut form = vec![("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS)];
    form.extend(more);
    app.token_by(client, &form)
}

/// The access token and the refresh token of an exchange.
fn pair(reply: Reply) -> (String, String) {
    let told = reply.expect(200).json();
    let text = |name: &str| told[name].as_str().unwrap_or_else(|| panic!("{name} in {told}")).to_owned();
    (text("access_token"), text("refresh_token"))
}

fn to_stock(app: &TestApp, tokens: &Tokens) -> (String, String) {
    pair(ask(app, "orders", &tokens.access, &[("audience", STOCK), ("scope", "read stock:read")]))
}

fn refresh(app: &TestApp, client: &str, token: &str) -> Reply {
    app.token_by(client, &[("grant_type", "refresh_token"), ("refresh_token", token)])
}

fn is_active(app: &TestApp, token: &str) -> bool {
    let request = app.request("POST", "/oauth/introspect").form(&[("token", token)]);
    request.header("Authorization", &basic("orders", API_SECRET)).send().expect(200).body != INACTIVE
}

fn revoke(app: &TestApp, client: &str, token: &str) {
    let request = app.request("POST", "/oauth/revoke").form(&[("token", token)]);
    request.header("Authorization", &basic(client, API_SECRET)).send().expect(200);
}

#[test]
fn an_exchange_is_refreshed_long_after_its_subject_token() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    let reply = ask(&app, "orders", &tokens.access, &[("audience", STOCK), ("scope", "read stock:read")]).expect(200);
    let told = reply.json();
    assert_eq!((&told["issued_token_type"], &told["token_type"]), (&json!(ACCESS), &json!("Bearer")));
    assert_eq!(told["expires_in"], 120);
    let (first, token) = pair(reply);
    assert_eq!(header(&token)["typ"], "rt+jwt");
    app.advance(Duration::days(3));
    let again = refresh(&app, "orders", &token).expect(200);
    assert_eq!(again.json()["expires_in"], 120, "each access token is as short as the rule says");
    assert_eq!(again.json()["id_token"], Value::Null, "an exchange of access tokens tells the client of no sign-in");
    let (second, successor) = pair(again);
    for name in ["sub", "aud", "scope", "client_id", "sid", "auth_time", "acr", "amr", "act"] {
        assert_eq!(claims(&second)[name], claims(&first)[name], "{name}");
    }
    assert_eq!(claims(&second)["act"], json!({ "sub": "orders", "client_id": "orders" }));
    assert!(is_active(&app, &second) && !is_active(&app, &first));
    app.verified(&second, STOCK, "at+jwt");
    // It rotates like every family: a lost answer is repeated, and a reused token ends all of it.
    assert_eq!(pair(refresh(&app, "orders", &token)).1, successor);
    let (_, third) = pair(refresh(&app, "orders", &successor));
    refresh(&app, "orders", &token).expect_oauth(400, "invalid_grant");
    refresh(&app, "orders", &third).expect_oauth(400, "invalid_grant");
    assert_eq!((app.events("token.refresh_replayed"), app.count(LIVE)), (1, 0));
    assert!(!is_active(&app, &second), "and the access tokens of it");
    let written = "SELECT count(*) AS n FROM audit_events WHERE kind = 'token.impersonated' \
                   AND detail->>'refreshable' = 'true'";
    assert_eq!(app.count(written), 1);
}

/// RFC 8693 §2.2.1: `access_token` carries what was requested, whatever its type.
#[test]
fn a_refresh_token_alone_is_what_is_issued() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    let wanted = [("audience", STOCK), ("scope", "read"), ("requested_token_type", REFRESH)];
    let told = ask(&app, "orders", &tokens.access, &wanted).expect(200).json();
    let names: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["access_token", "expires_in", "issued_token_type", "scope", "token_type"]);
    assert_eq!((&told["issued_token_type"], &told["token_type"]), (&json!(REFRESH), &json!("N_A")));
    assert_eq!(told["expires_in"], 14 * 24 * 3600);
    let token = told["access_token"].as_str().unwrap();
    assert_eq!(header(token)["typ"], "rt+jwt");
    assert_eq!(claims(&pair(refresh(&app, "orders", token)).0)["aud"], STOCK);

    let jwt = ask(&app, "orders", &tokens.access, &[("audience", STOCK), ("requested_token_type", JWT)]);
    assert_eq!(jwt.json()["issued_token_type"], JWT);
    pair(jwt);
}

#[test]
fn nobody_else_gets_one_and_nobody_else_uses_it() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    let narrowed = app.client("page").token(&[
        ("grant_type", EXCHANGE),
        ("subject_token", &tokens.access),
        ("subject_token_type", ACCESS),
    ]);
    assert_eq!(narrowed.expect(200).json().get("refresh_token"), None, "a public client");
    let to = ("audience", STOCK);
    let without = ask(&app, "forgetful", &tokens.access, &[to, ("scope", "read")]).expect(200).json();
    assert_eq!(without.get("refresh_token"), None, "a client that may not refresh");
    ask(&app, "forgetful", &tokens.access, &[to, ("requested_token_type", REFRESH)])
        .expect_oauth(400, "invalid_request");
    let (_, token) = to_stock(&app, &tokens);
    refresh(&app, "stock", &token).expect_oauth(400, "invalid_grant");
    app.client("page").refresh(&token).expect_oauth(400, "invalid_grant");
    ask(&app, "orders", &token, &[to]).expect_oauth(400, "invalid_request");
    let wider = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("scope", "read write")];
    app.token_by("orders", &wider).expect_oauth(400, "invalid_scope");
    let elsewhere = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("resource", ORDERS)];
    app.token_by("orders", &elsewhere).expect_oauth(400, "invalid_target");
    pair(refresh(&app, "orders", &token));
}

#[test]
fn it_ends_with_the_session_the_account_and_what_it_came_from() {
    let app = spawn();
    let refused = |token: &str| refresh(&app, "orders", token).expect_oauth(400, "invalid_grant");
    // The session: here that of the app's own tokens, which ends with their family.
    let (_, _, tokens) = person(&app);
    let (access, token) = to_stock(&app, &tokens);
    let (next, further) = pair(ask(&app, "stock", &access, &[("audience", PRICES)]));
    app.client("page").revoke(&tokens.refresh).expect(200);
    refused(&token);
    refresh(&app, "stock", &further).expect_oauth(400, "invalid_grant");
    assert!(!is_active(&app, &access) && !is_active(&app, &next));

    // The family in between: what derives from its tokens ends with it, and the session that it borrowed does not.
    let (_, _, tokens) = person(&app);
    let (access, token) = to_stock(&app, &tokens);
    let (next, further) = pair(ask(&app, "stock", &access, &[("audience", PRICES)]));
    revoke(&app, "orders", &token);
    refused(&token);
    refresh(&app, "stock", &further).expect_oauth(400, "invalid_grant");
    assert!(!is_active(&app, &next), "an access token of it");
    let kept = Tokens::of(&app.client("page").refresh(&tokens.refresh).expect(200).json());
    to_stock(&app, &kept);

    let (_, token) = to_stock(&app, &kept);
    app.sql("UPDATE users SET status = 'disabled'");
    refused(&token);
    app.sql("UPDATE users SET status = 'active'");
    app.advance(Duration::days(14));
    refused(&token);
}

/// Check 41: whether the person may use the client is checked at each exchange and at each refresh of one.
#[test]
fn who_is_in_no_group_of_the_client_gets_nothing_through_it() {
    let config = format!("{CONFIG}{RULE}{NEXT}");
    let config = config.replacen("[clients.orders]\n", "[clients.orders]\nallowed_groups = [\"staff\"]\n", 1);
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    let (_, _, tokens) = person(&app);
    let exchange = || ask(&app, "orders", &tokens.access, &[("audience", STOCK), ("scope", "read")]);
    let join = "INSERT INTO group_members SELECT groups.id, users.id FROM groups, users";
    exchange().expect_oauth(400, "invalid_request");
    app.sql("INSERT INTO groups (id, name, created_at) VALUES (gen_random_uuid(), 'staff', now())");
    app.sql(join);
    let (_, token) = pair(exchange());
    let (_, token) = pair(refresh(&app, "orders", &token));
    app.sql("DELETE FROM group_members");
    exchange().expect_oauth(400, "invalid_request");
    refresh(&app, "orders", &token).expect_oauth(400, "invalid_grant");
    app.sql(join);
    pair(refresh(&app, "orders", &token));
}

/// A token of a code's grant, whose client has no refresh token of its own.
#[test]
fn it_ends_when_the_person_allows_the_app_no_more() {
    const RULE: &str = "[exchange_rules.shop]\nclients = [\"shop\"]\nsubject_types = [\"access_token\", \"id_token\"]\n\
                        new_audiences = [\"https://more.example\"]\n\
                        new_scopes = [\"openid\"]\nactor = \"allowed\"\nrefreshable = true\n";
    let shop = oidc::CLIENTS.find("[clients.shop]").unwrap();
    let (before, after) = oidc::CLIENTS.split_at(shop);
    let after = after.replacen("\"refresh_token\"]", "\"refresh_token\", \"token_exchange\"]", 1);
    let after = after.replacen("audiences = [\"https://api.example\"]", "audiences = [\"https://more.example\"]", 1);
    let config = format!("{before}{after}{RULE}");
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    let (mut browser, _) = app.person();
    let code = allow(&mut browser, &Ask::of("shop"));
    let tokens = oidc::redeem(&app, "shop", &code);
    let by_shop = |form: &[(&str, &str)]| {
        let form = [form, &[("client_id", "shop"), ("client_secret", API_SECRET)]].concat();
        app.request("POST", "/oauth/token").form(&form).send()
    };
    let refresh = |token: &str| by_shop(&[("grant_type", "refresh_token"), ("refresh_token", token)]);
    let of = |kind: &str, subject: &str| {
        pair(by_shop(&[
            ("grant_type", EXCHANGE),
            ("subject_token", subject),
            ("subject_token_type", kind),
            ("audience", "https://more.example"),
            ("scope", "openid"),
        ]))
    };
    let (by_access, by_id) = (of(ACCESS, &tokens.access).1, of(ID, &tokens.id).1);
    let by_access = pair(refresh(&by_access)).1;
    let by_id = pair(refresh(&by_id)).1;
    browser.call("DELETE", "/v1/me/consents/shop", None).expect(200);
    for token in [by_access, by_id] {
        refresh(&token).expect_oauth(400, "invalid_grant");
    }

    // The person who acts withdraws their consent, and stays signed in.
    let again = oidc::redeem(&app, "shop", &allow(&mut browser, &Ask::of("shop")));
    let (mut agent, _) = app.person();
    let acting = oidc::redeem(&app, "shop", &allow(&mut agent, &Ask::of("shop")));
    let (_, token) = pair(by_shop(&[
        ("grant_type", EXCHANGE),
        ("subject_token", &again.access),
        ("subject_token_type", ACCESS),
        ("actor_token", &acting.access),
        ("actor_token_type", ACCESS),
        ("audience", "https://more.example"),
        ("scope", "openid"),
    ]));
    let (access, token) = pair(refresh(&token));
    assert_eq!(claims(&access)["act"]["sub"], claims(&acting.access)["sub"]);
    agent.call("DELETE", "/v1/me/consents/shop", None).expect(200);
    refresh(&token).expect_oauth(400, "invalid_grant");
}

/// The rule is checked again at each use: a server with another configuration gives the same token what that one
/// allows.
#[test]
fn a_refresh_is_never_wider_than_the_rule_is_then() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    let wanted = [("audience", STOCK), ("audience", ORDERS), ("scope", "read stock:read")];
    let (first, mut token) = pair(ask(&app, "orders", &tokens.access, &wanted));
    assert_eq!(claims(&first)["aud"], json!([STOCK, ORDERS]));
    let with = |rule: &str| app.twin_with(&format!("{CONFIG}{rule}"));
    let narrower = with(
        &RULE
            .replace("new_scopes = [\"stock:read\"]", "")
            .replace("audiences = [\"https://orders.example\"]\nnew", "audiences = []\nnew")
            .replace("\"2m\"", "\"1m\""),
    );
    let reply = refresh(&narrower, "orders", &token).expect(200);
    assert_eq!(reply.json()["expires_in"], 60);
    let (access, next) = pair(reply);
    assert_eq!((&claims(&access)["aud"], &claims(&access)["scope"]), (&json!(STOCK), &json!("read")));
    token = next;
    let rows = [
        ("no rule", String::new()),
        ("another name", RULE.replace("rules.days", "rules.weeks")),
        ("not refreshable", RULE.replace("refreshable = true", "")),
        ("other clients", RULE.replace("\"orders\", ", "")),
        ("no impersonation", RULE.replace("impersonation = true", "")),
        (
            "no such audience",
            RULE.replace(STOCK, "https://other.example").replace("[\"https://orders.example\"]\nnew", "[]\nnew"),
        ),
        (
            "another API",
            RULE.replace(
                "subject_audiences = [\"https://orders.example\"]",
                "subject_audiences = [\"https://x.example\"]",
            ),
        ),
    ];
    for (name, rule) in rows {
        let reply = refresh(&with(&rule), "orders", &token);
        assert_eq!(
            (reply.status, reply.json()["error"].as_str()),
            (400, Some("invalid_grant")),
            "{name}: {}",
            reply.body
        );
    }
    // The refusals used nothing up, and what the rule allows again is issued again.
    let (access, _) = pair(refresh(&app, "orders", &token));
    assert_eq!(claims(&access)["scope"], "read stock:read");
}

#[test]
fn it_ends_with_the_clients_and_the_person_who_act() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    let (_, mut passkey) = app.person();
    let begun = app.client("orders").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let agent =
        Tokens::of(&app.redeem(&begun, &credential, Some(&basic("orders", API_SECRET)), &[]).expect(200).json());
    let acting = [("actor_token", agent.access.as_str()), ("actor_token_type", ACCESS), ("audience", STOCK)];
    let (access, token) = pair(ask(&app, "orders", &tokens.access, &acting));
    assert_eq!(claims(&access)["act"]["sub"], claims(&agent.access)["sub"]);
    let (_, token) = pair(refresh(&app, "orders", &token));
    let (_, further) = pair(ask(&app, "stock", &access, &[("audience", PRICES)]));
    let (_, further) = pair(refresh(&app, "stock", &further));
    revoke(&app, "orders", &agent.refresh);
    refresh(&app, "orders", &token).expect_oauth(400, "invalid_grant");
    refresh(&app, "stock", &further).expect_oauth(400, "invalid_grant");

    // What was exchanged further also depends on the rule of the previous exchange.
    let (access, _) = to_stock(&app, &tokens);
    let (_, further) = pair(ask(&app, "stock", &access, &[("audience", PRICES)]));
    let without = app.twin_with(&format!("{CONFIG}{NEXT}"));
    refresh(&without, "stock", &further).expect_oauth(400, "invalid_grant");
    let (access, further) = pair(refresh(&app, "stock", &further));
    assert_eq!(claims(&access)["scope"], "read");
    let narrower = RULE.replace("scopes = [\"openid\", \"read\"]", "scopes = [\"openid\"]");
    let narrower = app.twin_with(&format!("{CONFIG}{narrower}{NEXT}"));
    let (access, _) = pair(refresh(&narrower, "stock", &further));
    assert_eq!(claims(&access)["scope"].as_str().unwrap_or_default(), "", "what it no longer gives");

    let (access, _) = to_stock(&app, &tokens);
    let (_, further) = pair(ask(&app, "stock", &access, &[("audience", PRICES)]));
    let (_, further) = pair(refresh(&app, "stock", &further));
    app.sql(
        "UPDATE clients SET disabled_at = now() WHERE id = 'orders';
         INSERT INTO changes (kind, key) VALUES ('clients', 'orders')",
    );
    within(Real::from_secs(15), "the client that acted first is gone", || {
        refresh(&app, "stock", &further).status == 400
    });
    refresh(&app, "stock", &further).expect_oauth(400, "invalid_grant");
}

#[test]
fn of_64_at_once_on_two_servers_all_get_one_successor() {
    let app = spawn();
    let twin = app.twin_with(&format!("{CONFIG}{RULE}{NEXT}"));
    let (_, _, tokens) = person(&app);
    for round in 0..3 {
        let (_, token) = to_stock(&app, &tokens);
        let replies = at_once(64, |number| refresh(if number % 2 == 0 { &app } else { &twin }, "orders", &token));
        let successors: HashSet<String> = replies.into_iter().map(|reply| pair(reply).1).collect();
        assert_eq!(successors.len(), 1, "round {round}");
    }
    assert_eq!(app.events("token.refresh_replayed"), 0);
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE client_id = 'orders' AND generation = 1"), 3);
}

/// The parent is revoked while others exchange its tokens: whatever the order, nothing derived from it stays alive.
/// This is tried with a borrowed session, and with a session of its own that ends with it.
#[test]
fn nothing_outlives_a_grant_that_is_revoked_while_it_is_exchanged() {
    let app = spawn();
    for round in 0..6 {
        let (_, _, tokens) = person(&app);
        // A refreshed token names its grant.
        let tokens = Tokens::of(&app.client("page").refresh(&tokens.refresh).expect(200).json());
        let (access, token) = to_stock(&app, &tokens);
        let of_the_app = round % 2 == 0;
        let (client, subject, target) =
            if of_the_app { ("orders", &tokens.access, STOCK) } else { ("stock", &access, PRICES) };
        let exchanged = at_once(16, |number| {
            match (number, of_the_app) {
                (7, true) => drop(app.client("page").revoke(&tokens.refresh).expect(200)),
                (7, false) => revoke(&app, "orders", &token),
                _ => {
                    let reply = ask(&app, client, subject, &[("audience", target)]);
                    return (reply.status == 200).then(|| pair(reply).1);
                }
            }
            None
        });
        for late in exchanged.into_iter().flatten() {
            refresh(&app, client, &late).expect_oauth(400, "invalid_grant");
        }
        let alive = "SELECT count(*) AS n FROM refresh_tokens WHERE revoked_at IS NULL AND client_id <> 'page'";
        assert_eq!(app.count(alive), 0, "round {round}");
    }
}

/// RFC 9449: what derives from a bound token stays bound to its key.
#[test]
fn a_family_of_a_bound_exchange_is_bound() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    let (key, other) = (Key::p256(), Key::p256());
    let url = format!("{}/oauth/token", app.origin);
    let send = |form: &[(&str, &str)], key: Option<&Key>| {
        let request = app.request("POST", "/oauth/token").form(form);
        let request = request.header("Authorization", &basic("orders", API_SECRET));
        match key {
            Some(key) => request.header("DPoP", &key.proof("POST", &url, app.clock.now())).send(),
            None => request.send(),
        }
    };
    let exchange = [
        ("grant_type", EXCHANGE),
        ("subject_token", tokens.access.as_str()),
        ("subject_token_type", ACCESS),
        ("audience", STOCK),
    ];
    let (_, token) = pair(send(&exchange, Some(&key)));
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    send(&form, None).expect_oauth(400, "invalid_grant");
    send(&form, Some(&other)).expect_oauth(400, "invalid_grant");
    let (access, _) = pair(send(&form, Some(&key)));
    assert_eq!(claims(&access)["cnf"]["jkt"], json!(key.thumbprint()));
}

/// There is no session of ours to end with, so the trusted issuer's own token sets the limit.
#[test]
fn what_came_of_a_trusted_issuers_token_ends_with_that_token() {
    let key = Key::p256();
    let keys = jose::as_toml(&[key.named("k1")]);
    let trust = format!(
        "[exchange_rules.partners]\nclients = [\"orders\"]\nissuers = [\"partner\"]\nsubject_types = [\"jwt\"]\n\
         new_audiences = [\"{STOCK}\"]\nnew_scopes = [\"read\"]\nimpersonation = true\nlifetime = \"1m\"\nrefreshable = true\n\
         [trusted_issuers.partner]\nissuer = \"{PARTNER}\"\n{keys}\nclients = [\"orders\"]\nscopes = [\"read\"]\n\
         subject = \"create\"\nmax_life = \"10m\"\n"
    );
    let app = spawn_with(&trust);
    let iat = app.clock.now().timestamp();
    let (head, body) = (
        json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" }),
        json!({ "iss": PARTNER, "sub": "p-1", "aud": app.origin, "iat": iat, "exp": iat + 300, "jti": fresh() }),
    );
    let subject = key.sign(&head, &body);
    let form = [
        ("grant_type", EXCHANGE),
        ("subject_token", subject.as_str()),
        ("subject_token_type", JWT),
        ("audience", STOCK),
        ("scope", "read"),
    ];
    let reply = app.token_by("orders", &form).expect(200);
    assert_eq!(reply.json()["expires_in"], 60);
    let (_, token) = pair(reply);
    assert_eq!(claims(&token)["exp"].as_i64(), Some(iat + 300));
    app.advance(Duration::minutes(4));
    let (access, token) = pair(refresh(&app, "orders", &token));
    assert!(claims(&access)["exp"].as_i64() <= Some(iat + 300));
    assert!(is_active(&app, &access));
    let untrusting = app.twin_with(&format!("{CONFIG}{RULE}{NEXT}"));
    refresh(&untrusting, "orders", &token).expect_oauth(400, "invalid_grant");
    app.advance(Duration::minutes(1));
    refresh(&app, "orders", &token).expect_oauth(400, "invalid_grant");
    assert!(!is_active(&app, &access));
}

/// Thousands of families may derive from one grant, and further ones from those: all of them end, within the time
/// allowed for a response.
#[test]
fn a_grant_ends_with_the_thousands_that_hang_on_it() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    let (_, token) = to_stock(&app, &tokens);
    let same = "user_id, session_id, client_id, scope, audience, leaf_digest, leaf_key, leaf_issued_at, leaf_expires_at, \
                created_at, ends_at, borrows_session, origin";
    app.sql(&format!(
        "WITH child AS (
             INSERT INTO refresh_tokens (family, parent, {same})
             SELECT gen_random_uuid(), family, {same} FROM refresh_tokens, generate_series(1, 2500)
             WHERE client_id = 'orders' RETURNING family, {same})
         INSERT INTO refresh_tokens (family, parent, {same}) SELECT gen_random_uuid(), family, {same} FROM child"
    ));
    assert_eq!(app.count(LIVE), 5001);
    revoke(&app, "orders", &token);
    assert_eq!(app.count(LIVE), 0);
    refresh(&app, "orders", &token).expect_oauth(400, "invalid_grant");
}
