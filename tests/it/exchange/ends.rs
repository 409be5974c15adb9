//! When a grant ends, what was exchanged for it ends too.

use std::time::Duration as Real;

use chrono::Duration;
use serde_json::json;

use super::{CONFIG, PRICES, STOCK, ask, form, given, is_active, machine, person, spawn};
use crate::authorize::allow;
use crate::support::oidc::Ask;
use crate::support::receiver::Receiver;
use crate::support::tokens::{Tokens, basic, claims, within};
use crate::support::urn::{ACCESS, EXCHANGE, ID};
use crate::support::{API_SECRET, Options, TestApp, oidc};

/// Security rule 106: a subject token must be valid at that moment, and what is issued for it ends with its session.
#[test]
fn everything_ends_with_the_session() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    let (_, _, others) = person(&app);
    let exchanged = |tokens: &Tokens| ask(&app, "orders", &tokens.access, &[("audience", STOCK), ("scope", "read")]);
    let (mine, narrow) = (given(exchanged(&tokens)), given(app.client("page").token(&form(&tokens.access, &[]))));
    let next = given(ask(&app, "stock", &mine, &[("audience", PRICES)]));
    let bystander = given(exchanged(&others));
    assert!([&mine, &narrow, &next, &bystander].iter().all(|token| is_active(&app, token)));

    app.client("page").revoke(&tokens.refresh).expect(200);
    for (name, token) in [("exchanged", &mine), ("narrowed", &narrow), ("twice exchanged", &next)] {
        assert!(!is_active(&app, token), "{name}");
    }
    exchanged(&tokens).expect_oauth(400, "invalid_request");
    ask(&app, "stock", &mine, &[("audience", PRICES)]).expect_oauth(400, "invalid_request");
    assert!(is_active(&app, &bystander));

    // A token that was revoked alone can no longer be exchanged.
    let (_, mut passkey) = app.person();
    let page = app.client("page");
    let lone = Tokens::of(&page.sign_in(&mut passkey, "openid read").expect(200).json());
    page.revoke(&lone.access).expect(200);
    exchanged(&lone).expect_oauth(400, "invalid_request");

    app.sql("UPDATE users SET status = 'disabled'");
    assert!(!is_active(&app, &bystander), "the account is disabled");
    exchanged(&others).expect_oauth(400, "invalid_request");
    app.sql("UPDATE users SET status = 'active'");
    given(exchanged(&others));
    app.advance(Duration::minutes(10));
    exchanged(&others).expect_oauth(400, "invalid_request");
}

/// Back-Channel Logout 1.0 §2: a client that was given an ID token of a session is notified of its end, even if no
/// sign-in gave it.
#[test]
fn who_was_given_an_id_token_is_told_that_the_session_ended() {
    let receiver = Receiver::start();
    let told = format!("[clients.orders]\nbackchannel_logout_uri = \"{}/orders\"\n", receiver.url);
    let config = CONFIG.replacen("[clients.orders]\n", &told, 1);
    let settings = &[("outbound.allow_private_addresses", "true")];
    let app = TestApp::with(&Options { config: &config, settings, ..Options::default() });
    let (_, _, tokens) = person(&app);
    let (_, _, others) = person(&app);
    given(ask(&app, "orders", &others.access, &[("audience", STOCK), ("scope", "read")]));
    let id = [("requested_token_type", ID), ("scope", "openid")];
    let first = given(ask(&app, "orders", &tokens.access, &id));
    assert_eq!(claims(&first)["sid"], claims(&tokens.access)["sid"]);
    given(ask(&app, "orders", &tokens.access, &id));

    for ended in [&others, &tokens] {
        app.client("page").revoke(&ended.refresh).expect(200);
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM outbox"), 1, "once, and nobody of an access token");
    within(Real::from_secs(15), "it is told", || !receiver.hits().is_empty());
    let hit = &receiver.hits()[0];
    assert_eq!((hit.line.as_str(), json!(hit.sid())), ("POST /orders", claims(&first)["sid"].clone()));
    ask(&app, "orders", &tokens.access, &id).expect_oauth(400, "invalid_request");
}

/// An exchanged token names the grant that it derives from, which is another client's.
#[test]
fn giving_an_exchanged_token_back_ends_it_alone() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    // A refreshed token names its grant.
    let tokens = Tokens::of(&app.client("page").refresh(&tokens.refresh).expect(200).json());
    let exchanged = given(ask(&app, "orders", &tokens.access, &[("audience", STOCK), ("scope", "read")]));
    assert_eq!(claims(&exchanged)["grant_id"], claims(&tokens.access)["grant_id"]);
    let revoke = app.request("POST", "/oauth/revoke").form(&[("token", &exchanged)]);
    revoke.header("Authorization", &basic("orders", API_SECRET)).send().expect(200);
    assert!(!is_active(&app, &exchanged) && is_active(&app, &tokens.access));
    app.client("page").refresh(&tokens.refresh).expect(200);
}

#[test]
fn an_actor_must_be_alive_too() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    let actor = machine(&app, "orders");
    let with = || {
        ask(
            &app,
            "orders",
            &tokens.access,
            &[("actor_token", &actor), ("actor_token_type", ACCESS), ("audience", STOCK)],
        )
    };
    given(with());
    let revoke = app.request("POST", "/oauth/revoke").form(&[("token", &actor)]);
    revoke.header("Authorization", &basic("orders", API_SECRET)).send().expect(200);
    with().expect_oauth(400, "invalid_request");
}

#[test]
fn a_client_that_was_disabled_exchanges_nothing_and_nothing_of_it_is_exchanged() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    let to_stock = || ask(&app, "orders", &tokens.access, &[("audience", STOCK)]);
    given(to_stock());
    app.sql(
        "UPDATE clients SET disabled_at = now() WHERE id = 'page';
         INSERT INTO changes (kind, key) VALUES ('clients', 'page')",
    );
    within(Real::from_secs(15), "the subject's client is refused", || to_stock().status == 400);
    to_stock().expect_oauth(400, "invalid_request");
}

/// An ID token names no grant, so the person must still allow the app that it was issued to.
#[test]
fn an_id_token_of_an_app_that_is_no_longer_allowed_gives_nothing() {
    const RULE: &str = "[exchange_rules.shop]\nclients = [\"shop\"]\nsubject_types = [\"id_token\"]\n\
                        new_audiences = [\"https://api.example\"]\nnew_scopes = [\"openid\"]\n";
    let shop = oidc::CLIENTS.find("[clients.shop]").unwrap();
    let (before, after) = oidc::CLIENTS.split_at(shop);
    let after = after.replacen("\"refresh_token\"]", "\"refresh_token\", \"token_exchange\"]", 1);
    let config = format!("{before}{after}{RULE}");
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    let (mut browser, _) = app.person();
    let code = allow(&mut browser, &Ask::of("shop"));
    let tokens = oidc::redeem(&app, "shop", &code);
    let try_it = || {
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", tokens.id.as_str()),
            ("subject_token_type", ID),
            ("audience", "https://api.example"),
            ("scope", "openid"),
            ("client_id", "shop"),
            ("client_secret", API_SECRET),
        ];
        app.request("POST", "/oauth/token").form(&form).send()
    };
    given(try_it());
    browser.call("DELETE", "/v1/me/consents/shop", None).expect(200);
    try_it().expect_oauth(400, "invalid_request");
}
