//! Token exchange (RFC 8693): what is issued for what, to whom, and everything that is refused.

mod custom;
mod ends;

use chrono::Duration;
use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::support::jose::{Key, fresh};
use crate::support::tokens::{INACTIVE, PASSKEY_GRANT, Tokens, basic, claims, header};
use crate::support::urn::{ACCESS, EXCHANGE, ID, JWT};
use crate::support::{API_SECRET, Browser, Options, Reply, TestApp, jose};

const BRIDGE: &str = "urn:passmint:params:oauth:token-type:bridge";
const ORDERS: &str = "https://orders.example";
const STOCK: &str = "https://stock.example";
const PRICES: &str = "https://prices.example";

/// `page` is an app whose tokens are for the API orders; `orders`, `stock` and `prices` are APIs that exchange them
/// further.
const CONFIG: &str = r#"
[clients.page]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token", "token_exchange"]
scopes = ["openid", "read", "write", "passkeys", "offline_access"]
audiences = ["https://orders.example", "https://billing.example"]

[clients.orders]
kind = "confidential"
secret_digest = "API_DIGEST"
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "client_credentials", "token_exchange"]
scopes = ["openid", "read", "write", "stock:read", "passkeys", "bridge:target"]
audiences = ["https://orders.example", "https://stock.example"]
may_introspect = ["https://orders.example", "https://stock.example", "https://prices.example"]

[clients.stock]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["client_credentials", "token_exchange"]
scopes = ["read", "stock:read"]
audiences = ["https://prices.example", "https://orders.example"]
access_ttl = "1m"

[clients.prices]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["token_exchange"]
scopes = ["read"]
audiences = ["https://orders.example"]

[clients.stranger]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["token_exchange", "client_credentials"]
scopes = ["read"]
audiences = ["https://stock.example"]

[clients.plain]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["client_credentials"]
scopes = ["read"]

[clients.paired]
kind = "confidential"
secret_digest = "API_DIGEST"
redirect_uris = ["https://paired.example/cb"]
subject_type = "pairwise"
grants = ["token_exchange"]
scopes = ["read"]
audiences = ["https://stock.example"]

[bridges.target]
preset = "jwt"
audience = "https://target.example"

[exchange_rules.own]
clients = ["page"]
audiences = ["https://orders.example"]
scopes = ["openid", "read", "passkeys"]
issues = ["access_token", "jwt", "id_token"]

[exchange_rules.orders]
clients = ["orders"]
subject_audiences = ["https://orders.example"]
audiences = ["https://orders.example"]
new_audiences = ["https://stock.example"]
scopes = ["openid", "read", "passkeys"]
new_scopes = ["stock:read"]
issues = ["access_token", "jwt", "id_token"]
bridges = ["target"]
actor = "allowed"
impersonation = true

[exchange_rules.signed-in]
clients = ["orders"]
subject_types = ["id_token"]
new_audiences = ["https://stock.example"]
new_scopes = ["stock:read"]

[exchange_rules.stock]
clients = ["stock"]
subject_audiences = ["https://stock.example"]
new_audiences = ["https://prices.example", "https://orders.example"]
scopes = ["read"]
impersonation = true
chain = 2

[exchange_rules.prices]
clients = ["prices"]
subject_audiences = ["https://prices.example"]
new_audiences = ["https://orders.example"]
scopes = ["read"]
impersonation = true

[exchange_rules.paired]
clients = ["paired"]
subject_audiences = ["https://orders.example"]
new_audiences = ["https://stock.example"]
scopes = ["read"]
impersonation = true

[resources."https://stock.example"]
scopes = { "stock:read" = "See what is there" }
"#;

fn spawn() -> TestApp {
    TestApp::with(&Options { config: CONFIG, ..Options::default() })
}

/// A person with tokens of the app `page`.
fn person(app: &TestApp) -> (Browser, Authenticator, Tokens) {
    let (browser, mut passkey) = app.person();
    let tokens = Tokens::of(&app.client("page").sign_in(&mut passkey, "openid read write passkeys").expect(200).json());
    (browser, passkey, tokens)
}

/// The form of an exchange of an access token.
fn form<'a>(subject: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS)];
    form.extend(more);
    form
}

fn ask(app: &TestApp, client: &str, subject: &str, more: &[(&str, &str)]) -> Reply {
    app.token_by(client, &form(subject, more))
}

fn given(reply: Reply) -> String {
    reply.expect(200).json()["access_token"].as_str().unwrap().to_owned()
}

/// A client's token for itself.
fn machine(app: &TestApp, client: &str) -> String {
    given(app.token_by(client, &[("grant_type", "client_credentials")]))
}

fn introspection(app: &TestApp, token: &str) -> String {
    let request = app.request("POST", "/oauth/introspect").form(&[("token", token)]);
    request.header("Authorization", &basic("orders", API_SECRET)).send().expect(200).body
}

fn is_active(app: &TestApp, token: &str) -> bool {
    let body = introspection(app, token);
    assert!(body == INACTIVE || body.starts_with(r#"{"active":true"#), "{body}");
    body != INACTIVE
}

/// How the person signed in, according to a token.
fn sign_in_of(token: &str) -> Vec<Value> {
    let told = claims(token);
    ["sid", "auth_time", "acr", "amr", "sub"].map(|name| told[name].clone()).into()
}

/// RFC 8693 §2.2.1.
#[test]
fn an_app_narrows_its_own_token() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    app.advance(Duration::minutes(7));
    let page = app.client("page");
    let reply = page.token(&form(&tokens.access, &[("scope", "read")])).expect(200);
    assert_eq!((reply.header("cache-control"), reply.header("pragma")), (Some("no-store"), Some("no-cache")));
    let told = reply.json();
    let names: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["access_token", "expires_in", "issued_token_type", "scope", "token_type"], "no refresh token");
    assert_eq!(
        (&told["issued_token_type"], &told["token_type"], &told["scope"]),
        (&json!(ACCESS), &json!("Bearer"), &json!("read"))
    );
    let token = told["access_token"].as_str().unwrap();
    let said = app.verified(token, ORDERS, "at+jwt");
    assert_eq!((&said["client_id"], &said["scope"]), (&json!("page"), &json!("read")));
    assert_eq!(sign_in_of(token), sign_in_of(&tokens.access), "copied");
    assert_eq!(said["exp"], claims(&tokens.access)["exp"], "three minutes are left of ten");
    assert_eq!(told["expires_in"].as_i64().unwrap() + said["iat"].as_i64().unwrap(), said["exp"].as_i64().unwrap());
    assert!(!said.contains_key("act"), "nobody else acts");
    assert_eq!(app.events("token.exchanged") + app.events("token.impersonated"), 0);
    assert!(is_active(&app, token));

    let all = page.token(&form(&tokens.access, &[("requested_token_type", JWT)])).expect(200).json();
    assert_eq!((&all["issued_token_type"], &all["scope"]), (&json!(JWT), &json!("openid passkeys read")));
    let again = given(page.token(&form(all["access_token"].as_str().unwrap(), &[("scope", "read")])));
    assert_eq!(claims(&again)["exp"], said["exp"], "again and again, and never longer");
    page.token(&form(&again, &[("scope", "openid")])).expect_oauth(400, "invalid_scope");
}

#[test]
fn an_api_goes_on_in_a_persons_name_and_is_written_down() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    let reply = ask(&app, "orders", &tokens.access, &[("audience", STOCK), ("scope", "read stock:read")]).expect(200);
    assert_eq!(reply.json()["expires_in"], 300, "what the rule says");
    let token = given(reply);
    let said = app.verified(&token, STOCK, "at+jwt");
    assert_eq!((&said["client_id"], &said["scope"]), (&json!("orders"), &json!("read stock:read")));
    assert_eq!(said["act"], json!({ "sub": "orders", "client_id": "orders" }));
    assert_eq!(sign_in_of(&token), sign_in_of(&tokens.access));
    let seen: Value = serde_json::from_str(&introspection(&app, &token)).unwrap();
    assert_eq!(seen["act"], said["act"], "RFC 8693 §4.1");
    let written = "SELECT count(*) AS n FROM audit_events WHERE kind = 'token.impersonated' AND client_id = 'orders'
        AND user_id IS NOT NULL AND detail->>'rule' = 'orders' AND detail->>'from' = 'page'
        AND detail->'act'->>'sub' = 'orders'";
    assert_eq!(app.count(written), 1);
    // Without requested scopes: those that the token has, the rule keeps and the client may have, and none about
    // accounts.
    let plain = ask(&app, "orders", &tokens.access, &[("resource", STOCK)]).expect(200);
    assert_eq!(plain.json()["scope"], "openid read");
    let both = ask(&app, "orders", &tokens.access, &[("audience", STOCK), ("resource", ORDERS)]).expect(200);
    assert_eq!(claims(&given(both))["aud"], json!([STOCK, ORDERS]));
    // A client that runs the URL through a parser sends it with a slash; the token has the configured name.
    let slashed = [("resource", "https://stock.example/"), ("audience", "https://orders.example/")];
    let slashed = ask(&app, "orders", &tokens.access, &slashed).expect(200);
    assert_eq!(claims(&given(slashed))["aud"], json!([ORDERS, STOCK]));
}

#[test]
fn who_acts_is_named_outermost_first_and_the_chain_has_an_end() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    let (_, mut passkey) = app.person();
    let begun = app.client("orders").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let agent =
        Tokens::of(&app.redeem(&begun, &credential, Some(&basic("orders", API_SECRET)), &[]).expect(200).json());
    let with = |actor: &str| {
        let actor = [("actor_token", actor), ("actor_token_type", ACCESS), ("audience", STOCK), ("scope", "read")];
        ask(&app, "orders", &tokens.access, &actor)
    };
    let token = given(with(&agent.access));
    let sub = claims(&agent.access)["sub"].clone();
    assert_eq!(claims(&token)["act"], json!({ "sub": sub, "client_id": "orders" }));
    assert_ne!(claims(&token)["sub"], sub);
    assert_eq!((app.events("token.exchanged"), app.events("token.impersonated")), (1, 0));
    let machine = given(with(&machine(&app, "orders")));
    assert_eq!(claims(&machine)["act"], json!({ "sub": "orders", "client_id": "orders" }));

    let second = given(ask(&app, "stock", &token, &[("audience", PRICES)]));
    let chain = json!({ "sub": "stock", "client_id": "stock", "act": { "sub": sub, "client_id": "orders" } });
    assert_eq!(claims(&second)["act"], chain);
    let third = given(ask(&app, "prices", &second, &[("audience", ORDERS)]));
    assert_eq!(claims(&third)["act"]["act"], chain);
    // A to B to A: neither longer-lived nor wider, and now three have acted.
    assert_eq!(claims(&third)["exp"], claims(&second)["exp"], "a minute, as the second client has it");
    ask(&app, "orders", &third, &[("audience", STOCK)]).expect_oauth(400, "invalid_request");
    let around = given(ask(&app, "stock", &token, &[("audience", ORDERS)]));
    let again = given(ask(&app, "orders", &around, &[("audience", STOCK)]));
    ask(&app, "stock", &again, &[("audience", PRICES)]).expect_oauth(400, "invalid_request");
}

/// The case, the client, the subject token, further parameters, and the error.
type Row<'a> = (&'a str, &'a str, &'a str, Vec<(&'a str, &'a str)>, &'a str);

/// Security rules 104 to 107, each by name.
#[test]
#[expect(clippy::too_many_lines, reason = "one table of refusals")]
fn refusals_by_name() {
    let app = spawn();
    let (_, mut passkey, tokens) = person(&app);
    let access = tokens.access.as_str();
    let web = Tokens::of(&app.client("web").sign_in(&mut passkey, "openid").expect(200).json());
    let (own, others) = (machine(&app, "orders"), machine(&app, "stranger"));
    let delegated = given(ask(&app, "orders", access, &[("audience", STOCK), ("scope", "read")]));
    let custom = given(ask(&app, "orders", access, &[("audience", "target")]));
    let to = ("audience", STOCK);
    let actor = |token| [("actor_token", token), ("actor_token_type", ACCESS), to];
    let rows: Vec<Row<'_>> = vec![
        ("a client without the grant", "plain", access, vec![to], "unauthorized_client"),
        ("a client that no rule names", "stranger", access, vec![to], "unauthorized_client"),
        ("a token for nobody here", "stock", access, vec![("audience", PRICES)], "invalid_request"),
        ("a token for another server", "orders", &web.access, vec![to], "invalid_request"),
        ("a token that the client got, and is not for it", "orders", &delegated, vec![to], "invalid_request"),
        ("a token of a client for itself", "orders", &own, vec![to], "invalid_request"),
        ("garbage", "orders", "garbage", vec![to], "invalid_request"),
        ("a truncated token", "orders", &access[..access.len() - 2], vec![to], "invalid_request"),
        ("a refresh token as an access token", "orders", &tokens.refresh, vec![to], "invalid_request"),
        ("an ID token as an access token", "orders", &tokens.id, vec![to], "invalid_request"),
        ("a custom token", "orders", &custom, vec![to], "invalid_request"),
        ("an actor token of another client", "orders", access, actor(&others).into(), "invalid_request"),
        ("an actor who acts through somebody", "orders", access, actor(&delegated).into(), "invalid_request"),
        ("a refresh token as an actor", "orders", access, actor(&tokens.refresh).into(), "invalid_request"),
        ("garbage as an actor", "orders", access, actor("garbage").into(), "invalid_request"),
        ("the subject as its own actor", "orders", access, actor(access).into(), "invalid_request"),
        (
            "an actor where none may be",
            "stock",
            &delegated,
            vec![("actor_token", &own), ("actor_token_type", ACCESS)],
            "invalid_request",
        ),
        ("a type without its token", "orders", access, vec![("actor_token_type", ACCESS), to], "invalid_request"),
        ("an actor without its type", "orders", access, vec![("actor_token", &own), to], "invalid_request"),
        (
            "another type of actor",
            "orders",
            access,
            vec![("actor_token", &own), ("actor_token_type", JWT), to],
            "invalid_request",
        ),
        ("an audience of nobody", "orders", access, vec![("audience", "https://x.example")], "invalid_target"),
        ("an audience beside a good one", "orders", access, vec![to, ("audience", PRICES)], "invalid_target"),
        ("an unknown resource", "orders", access, vec![("resource", "https://x.example")], "invalid_target"),
        ("this server, which was not listed", "orders", access, vec![("audience", &app.origin)], "invalid_target"),
        ("another spelling", "orders", access, vec![("audience", "https://STOCK.example")], "invalid_target"),
        ("a path more", "orders", access, vec![("audience", "https://stock.example//")], "invalid_target"),
        ("nothing to keep", "stock", &delegated, vec![], "invalid_target"),
        (
            "an unknown bridge",
            "orders",
            access,
            vec![("audience", "nowhere"), ("requested_token_type", BRIDGE)],
            "invalid_request",
        ),
        (
            "two bridges",
            "orders",
            access,
            vec![("audience", "target"), ("audience", "x"), ("requested_token_type", BRIDGE)],
            "invalid_request",
        ),
        (
            "a bridge that no rule of the client names",
            "stock",
            &delegated,
            vec![("audience", "target")],
            "invalid_request",
        ),
        ("a scope that the token has not", "orders", access, vec![to, ("scope", "orders:all")], "invalid_scope"),
        ("a scope that the rule does not keep", "orders", access, vec![to, ("scope", "write")], "invalid_scope"),
        ("a scope beside a good one", "orders", access, vec![to, ("scope", "read write")], "invalid_scope"),
        ("the scope of passkeys", "orders", access, vec![to, ("scope", "passkeys")], "invalid_scope"),
        ("administration", "orders", access, vec![to, ("scope", "admin")], "invalid_scope"),
        ("a longer session", "orders", access, vec![to, ("scope", "offline_access")], "invalid_scope"),
        (
            "a scope of an API that is not asked for",
            "orders",
            access,
            vec![("audience", ORDERS), ("scope", "stock:read")],
            "invalid_scope",
        ),
        ("a malformed scope", "orders", access, vec![to, ("scope", "a\"b")], "invalid_scope"),
        ("a scope twice", "orders", access, vec![to, ("scope", "read"), ("scope", "read")], "invalid_request"),
        (
            "a refresh token asked for",
            "orders",
            access,
            vec![to, ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
            "invalid_request",
        ),
        (
            "SAML asked for",
            "orders",
            access,
            vec![to, ("requested_token_type", "urn:ietf:params:oauth:token-type:saml2")],
            "invalid_request",
        ),
        ("an ID token for another", "orders", access, vec![to, ("requested_token_type", ID)], "invalid_target"),
        ("an ID token from who gives none", "stock", &delegated, vec![("requested_token_type", ID)], "invalid_request"),
    ];
    for (name, client, subject, more, error) in &rows {
        let reply = ask(&app, client, subject, more);
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(*error)), "{name}: {}", reply.body);
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{name}");
        let words = reply.json()["error_description"].as_str().unwrap().to_owned();
        assert!(!words.contains("stock") && !words.contains("page"), "{name}: {words}");
    }
    for kind in ["refresh_token", "jwt", "saml1", "saml2", "id-jag", "txn_token", "nothing"] {
        let kind = format!("urn:ietf:params:oauth:token-type:{kind}");
        let form = [("grant_type", EXCHANGE), ("subject_token", access), ("subject_token_type", &kind), to];
        app.token_by("orders", &form).expect_oauth(400, "invalid_request");
    }
    for missing in ["subject_token", "subject_token_type"] {
        let mut form = form(access, &[to]);
        form.retain(|(name, _)| *name != missing);
        app.token_by("orders", &form).expect_oauth(400, "invalid_request");
    }
    let page = app.client("page");
    page.token(&form(access, &[to])).expect_oauth(400, "invalid_target");
    page.token(&form(access, &[("scope", "stock:read")])).expect_oauth(400, "invalid_scope");
    page.token(&form(access, &[("actor_token", access), ("actor_token_type", ACCESS)]))
        .expect_oauth(400, "invalid_request");
    page.token(&form(&web.access, &[])).expect_oauth(400, "invalid_request");
    app.client("web").token(&form(&web.access, &[])).expect_oauth(400, "unauthorized_client");
    let wrong = app.request("POST", "/oauth/token").form(&form(access, &[to]));
    wrong.header("Authorization", &basic("orders", "wrong")).send().expect_oauth(401, "invalid_client");
    assert_eq!(app.events("token.exchanged"), 0);
}

/// Security rule 107: nobody acts in a person's name without an entry in the audit trail.
#[test]
fn what_cannot_be_written_down_is_not_given() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    app.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no room''; END';
         CREATE TRIGGER refuse BEFORE INSERT ON audit_events FOR EACH ROW
         WHEN (NEW.kind = 'token.impersonated') EXECUTE FUNCTION refuse()",
    );
    for audience in [STOCK, "target"] {
        let reply = ask(&app, "orders", &tokens.access, &[("audience", audience)]);
        let reply = reply.expect_oauth(503, "temporarily_unavailable");
        assert_eq!(reply.json().get("access_token"), None, "{audience}");
    }
    assert_eq!(app.events("bridge.minted"), 0);
    app.sql("DROP TRIGGER refuse ON audit_events");
    given(ask(&app, "orders", &tokens.access, &[("audience", STOCK)]));
    assert_eq!(app.events("token.impersonated"), 1);
}

/// The sign-in is the one that the token records, not what the session has become since.
#[test]
fn a_sign_in_is_copied_and_never_refreshed() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    app.advance(Duration::minutes(5));
    let later = "UPDATE sessions SET auth_time = auth_time + interval '5 minutes', acr = 'phrh', amr = '{pop,hwk}'";
    app.sql(later);
    for token in [
        given(ask(&app, "orders", &tokens.access, &[("audience", STOCK)])),
        given(app.client("page").token(&form(&tokens.access, &[]))),
        given(app.client("page").token(&form(&tokens.access, &[("requested_token_type", ID)]))),
    ] {
        assert_eq!(sign_in_of(&token), sign_in_of(&tokens.access));
    }
}

/// RFC 9449: without its key the token is useless, and the issued token is bound to the key again.
#[test]
fn a_bound_token_is_exchanged_by_the_holder_of_its_key_alone() {
    let app = spawn();
    let (_, mut passkey) = app.person();
    let (key, other) = (Key::p256(), Key::p256());
    let url = format!("{}/oauth/token", app.origin);
    let begun = app.client("page").begin("openid read");
    let credential = passkey.get_uninvited(&begun["publicKey"]).to_string();
    let redemption = [
        ("grant_type", PASSKEY_GRANT),
        ("ceremony_id", begun["ceremonyId"].as_str().unwrap()),
        ("credential", &credential),
        ("client_id", "page"),
    ];
    let proof = key.proof("POST", &url, app.clock.now());
    let reply = app.request("POST", "/oauth/token").form(&redemption).header("DPoP", &proof).send();
    let tokens = Tokens::of(&reply.expect(200).json());
    let by = |form: &[(&str, &str)], proof: Option<&Key>| {
        let request =
            app.request("POST", "/oauth/token").form(form).header("Authorization", &basic("orders", API_SECRET));
        match proof {
            Some(key) => request.header("DPoP", &key.proof("POST", &url, app.clock.now())).send(),
            None => request.send(),
        }
    };
    let with = |subject: &str, proof| by(&form(subject, &[("audience", STOCK), ("scope", "read")]), proof);
    with(&tokens.access, None).expect_oauth(400, "invalid_request");
    with(&tokens.access, Some(&other)).expect_oauth(400, "invalid_request");
    let told = with(&tokens.access, Some(&key)).expect(200).json();
    assert_eq!(told["token_type"], "DPoP");
    assert_eq!(claims(told["access_token"].as_str().unwrap())["cnf"]["jkt"], json!(key.thumbprint()));
    // An unbound token may be bound by an exchange; the issued token stays bound.
    let (_, _, free) = person(&app);
    let bound = given(with(&free.access, Some(&other)));
    assert_eq!(claims(&bound)["cnf"]["jkt"], json!(other.thumbprint()));
    ask(&app, "stock", &bound, &[("audience", PRICES)]).expect_oauth(400, "invalid_request");
    // The same holds for the actor's token.
    let acting = given(by(&[("grant_type", "client_credentials")], Some(&key)));
    let more = [("audience", STOCK), ("scope", "read"), ("actor_token", acting.as_str()), ("actor_token_type", ACCESS)];
    let form = form(&free.access, &more);
    by(&form, None).expect_oauth(400, "invalid_request");
    by(&form, Some(&other)).expect_oauth(400, "invalid_request");
    given(by(&form, Some(&key)));
}

#[test]
fn an_id_token_comes_out_and_goes_in() {
    let app = spawn();
    let (_, mut passkey, tokens) = person(&app);
    let reply = ask(&app, "orders", &tokens.access, &[("requested_token_type", ID)]).expect(200).json();
    assert_eq!((&reply["issued_token_type"], &reply["token_type"]), (&json!(ID), &json!("N_A")));
    let id = reply["access_token"].as_str().unwrap();
    let said = app.verified(id, "orders", "JWT");
    assert_eq!(said["act"], json!({ "sub": "orders", "client_id": "orders" }));
    assert_eq!(header(id)["alg"], "RS256");

    let begun = app.client("orders").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let own = Tokens::of(&app.redeem(&begun, &credential, Some(&basic("orders", API_SECRET)), &[]).expect(200).json());
    let by_id = |client: &str, token: &str, scope: &str| {
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", token),
            ("subject_token_type", ID),
            ("audience", STOCK),
            ("scope", scope),
        ];
        app.token_by(client, &form)
    };
    let token = given(by_id("orders", &own.id, "stock:read"));
    assert_eq!(
        (claims(&token)["sid"].clone(), claims(&token)["aud"].clone()),
        (claims(&own.id)["sid"].clone(), json!(STOCK))
    );
    let gained =
        "SELECT count(*) AS n FROM audit_events WHERE kind = 'token.exchanged' AND detail->>'rule' = 'signed-in'";
    assert_eq!(app.count(gained), 1, "what its own ID token did not have is written down");
    by_id("orders", &own.id, "read").expect_oauth(400, "invalid_scope");
    by_id("orders", &tokens.id, "stock:read").expect_oauth(400, "invalid_request");
    by_id("orders", &own.access, "stock:read").expect_oauth(400, "invalid_request");
    by_id("stock", &own.id, "stock:read").expect_oauth(400, "invalid_request");
    app.sql("UPDATE sessions SET revoked_at = now()");
    by_id("orders", &own.id, "stock:read").expect_oauth(400, "invalid_request");
}

/// Security rules 60 and 107: failed attempts are counted per client, issuer and network, and then a valid token is
/// refused like an invalid one.
#[test]
fn tokens_in_vain_hold_the_next_off() {
    const PARTNER: &str = "https://partner.example";
    const HERE: &str = "203.0.113.1";
    let key = Key::p256();
    let keys = jose::as_toml(&[key.named("k1")]);
    let config = format!(
        "{CONFIG}\n[exchange_rules.partners]\nclients = [\"orders\", \"prices\"]\nissuers = [\"partner\"]\nsubject_types = [\"jwt\"]\n\
         new_audiences = [\"{STOCK}\", \"https://orders.example\"]\nnew_scopes = [\"read\"]\nimpersonation = true\n\
         [trusted_issuers.partner]\nissuer = \"{PARTNER}\"\n{keys}\nclients = [\"orders\", \"prices\"]\nscopes = [\"read\"]\n\
         subject = \"create\"\n"
    );
    let settings = [
        ("limits.enabled", "true"),
        ("trusted_proxies", "127.0.0.1"),
        ("limits.failed_exchanges_per_minute", "1"),
        ("limits.failed_exchanges_burst", "3"),
    ];
    let app = TestApp::with(&Options { config: &config, settings: &settings, ..Options::default() });
    let (head, iat) = (json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" }), app.clock.now().timestamp());
    let by = |signer: &Key| {
        let body =
            json!({ "iss": PARTNER, "sub": "p-1", "aud": app.origin, "iat": iat, "exp": iat + 300, "jti": fresh() });
        signer.sign(&head, &body)
    };
    let from = |network: &str, client: &str, subject: &str, (kind, audience): (&str, &str)| {
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", subject),
            ("subject_token_type", kind),
            ("audience", audience),
            ("scope", "read"),
        ];
        let request = app.request("POST", "/oauth/token").form(&form).header("X-Forwarded-For", network);
        request.header("Authorization", &basic(client, API_SECRET)).send()
    };
    let good = || from(HERE, "orders", &by(&key), (JWT, STOCK));
    let bad = || from(HERE, "orders", &by(&Key::p256()), (JWT, STOCK));
    // A valid token that a rule refuses is not a failed attempt.
    for _ in 0..5 {
        from(HERE, "orders", &by(&key), (JWT, PRICES)).expect_oauth(400, "invalid_target");
    }
    for _ in 0..4 {
        good().expect(200);
        bad().expect_oauth(400, "invalid_request");
    }
    for reply in [bad(), good()] {
        assert_eq!(reply.status, 429, "{}", reply.body);
        assert!(reply.header("retry-after").is_some_and(|wait| (1..=61).contains(&wait.parse::<u64>().unwrap())));
    }
    // Nobody else is affected: no other network, no other client, no other issuer.
    from("198.51.100.1", "orders", &by(&key), (JWT, STOCK)).expect(200);
    from(HERE, "prices", &by(&key), (JWT, "https://orders.example")).expect(200);
    from(HERE, "orders", "garbage", (JWT, STOCK)).expect_oauth(400, "invalid_request");

    // Forgeries of our own tokens, and genuine ones that cannot be exchanged, are not counted.
    let (_, _, tokens) = person(&app);
    let (head, body) = (header(&tokens.access), claims(&tokens.access));
    let forged = Key::p256().sign(&json!({ "alg": "ES256", "kid": head["kid"], "typ": "at+jwt" }), &body);
    let credentials = [("grant_type", "client_credentials"), ("scope", "read")];
    let own = app.token_by("plain", &credentials).expect(200).json()["access_token"].as_str().unwrap().to_owned();
    for subject in [&forged, &own] {
        for _ in 0..8 {
            from(HERE, "orders", subject, (ACCESS, STOCK)).expect_oauth(400, "invalid_request");
        }
    }
    from(HERE, "orders", &tokens.access, (ACCESS, STOCK)).expect(200);
}

#[test]
fn each_client_knows_a_person_by_its_own_name() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    let token = given(ask(&app, "paired", &tokens.access, &[("audience", STOCK), ("scope", "read")]));
    assert_ne!(claims(&token)["sub"], claims(&tokens.access)["sub"], "pairwise");
    let seen: Value = serde_json::from_str(&introspection(&app, &token)).unwrap();
    assert_eq!((&seen["active"], &seen["sub"]), (&json!(true), &claims(&token)["sub"]));
    let next = given(ask(&app, "stock", &token, &[("audience", PRICES)]));
    assert_eq!(claims(&next)["sub"], claims(&tokens.access)["sub"], "a public one again");
}

#[test]
fn discovery_names_the_grant_where_there_are_rules() {
    let grants = |app: &TestApp| {
        let told = app.request("GET", "/.well-known/openid-configuration").send().expect(200).json();
        told["grant_types_supported"].as_array().unwrap().contains(&json!(EXCHANGE))
    };
    assert!(grants(&spawn()));
    let without = TestApp::spawn();
    assert!(!grants(&without));
    let (_, _, tokens) = without.person_with_tokens("openid");
    without.client("web").token(&form(&tokens.access, &[])).expect_oauth(400, "unsupported_grant_type");
}
