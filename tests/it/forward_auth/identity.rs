//! Identity at protected hosts: access tokens besides the cookie, and the signed header.

use chrono::Duration;
use passmint::tokens::key_set::KeySet;
use passmint::tokens::keys::Algorithm;
use passmint::tokens::verifier::{Audience, Expectation, Expiry, KeySource, Leeway, Verified, verify};
use serde_json::{Map, Value, json};

use super::{APP, Person, TOKENS, join, question, spawn, token};
use crate::support::oidc::{Ask, redeem};
use crate::support::tokens::{claims, header};
use crate::support::{Reply, TestApp};

const AUDIENCE: &str = "https://tokens.example";

fn asks_with(app: &TestApp, host: &str, target: &str, authorization: &str) -> Reply {
    question(app, host, "GET", target).header("Authorization", authorization).send()
}

#[test]
fn a_host_that_takes_tokens_takes_those_that_are_for_it() {
    let app = spawn();
    let (mut person, mut passkey, user) = Person::known(&app);
    let good = token(&app, &mut passkey, "openid read", AUDIENCE);
    let told = asks_with(&app, TOKENS, "/", &format!("Bearer {good}")).expect(200);
    assert_eq!(told.header("x-auth-request-user"), Some(user.as_str()));
    asks_with(&app, TOKENS, "/", &format!("bearer {good}")).expect(200);
    let by_nginx = app.request("GET", "/v1/forward-auth/nginx").header("Authorization", &format!("Bearer {good}"));
    let by_nginx = by_nginx.header("X-Original-URL", &format!("{TOKENS}/")).header("X-Original-Method", "DELETE");
    by_nginx.send().expect(200);

    let unscoped = token(&app, &mut passkey, "openid write", AUDIENCE);
    asks_with(&app, TOKENS, "/", &format!("Bearer {unscoped}")).expect_problem(403, "forbidden");
    let other = token(&app, &mut passkey, "openid read", "https://other.example");
    let ours = app.client("web").sign_in(&mut passkey, "openid").expect(200).json();
    for (name, bad) in [
        ("for another audience", other.as_str()),
        ("for us", ours["accessToken"].as_str().unwrap()),
        ("an ID token", ours["idToken"].as_str().unwrap()),
        ("broken", &good[..good.len() - 2]),
        ("nothing", ""),
    ] {
        let reply = asks_with(&app, TOKENS, "/", &format!("Bearer {bad}")).expect_problem(401, "invalid_token");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{name}");
        assert_eq!(
            asks_with(&app, TOKENS, "/public", &format!("Bearer {bad}")).expect(200).header("x-auth-request-user"),
            Some("")
        );
    }
    // If a token was sent, it alone decides, and one header holds one token.
    person.arrives(TOKENS, "/");
    person.asks(TOKENS, "/").expect(200);
    let both = person.question(TOKENS, "GET", "/").header("Authorization", "Bearer x");
    both.send().expect_problem(401, "invalid_token");
    let twice = question(&app, TOKENS, "GET", "/").header("Authorization", &format!("Bearer {good}"));
    twice.header("Authorization", "Bearer x").send().expect_problem(401, "invalid_token");
    // A token that is not ours is the app's own business.
    person.question(TOKENS, "GET", "/").header("Authorization", "Basic eDp5").send().expect(200);
    person.arrives(APP, "/");
    person.question(APP, "GET", "/").header("Authorization", &format!("Bearer {good}")).send().expect(200);
    asks_with(&app, APP, "/", &format!("Bearer {good}")).expect_problem(401, "not_signed_in");
    // It expires and is revoked like any other token.
    app.client("cli").revoke(&good).expect(200);
    asks_with(&app, TOKENS, "/", &format!("Bearer {good}")).expect_problem(401, "invalid_token");
    let late = token(&app, &mut passkey, "openid read", AUDIENCE);
    asks_with(&app, TOKENS, "/", &format!("Bearer {late}")).expect(200);
    app.advance(Duration::minutes(11));
    asks_with(&app, TOKENS, "/", &format!("Bearer {late}")).expect_problem(401, "invalid_token");
}

/// A session that became stronger later does not help a token: only the sign-in that the token was issued for counts.
#[test]
fn a_token_is_as_fresh_and_as_strong_as_it_says_itself() {
    let app = spawn();
    let (mut person, mut passkey, _) = Person::known(&app);
    let ask = Ask::of("house").with("scope", "openid read").with("resource", AUDIENCE);
    let get = |person: &mut Person<'_>| redeem(&app, "house", &ask.send(&mut person.browser).back().code()).access;
    let asks = |token: &str, target: &str| asks_with(&app, TOKENS, target, &format!("Bearer {token}"));
    let token = get(&mut person);
    asks(&token, "/swift").expect(200);
    app.advance(Duration::minutes(1));
    asks(&token, "/swift").expect_problem(401, "reauthentication_required");
    person.browser.step_up(&mut passkey).expect(200);
    asks(&token, "/swift").expect_problem(401, "reauthentication_required");
    asks(&get(&mut person), "/swift").expect(200);

    app.sql("UPDATE sessions SET acr = '0'");
    let weak = get(&mut person);
    app.sql("UPDATE sessions SET acr = 'phr'");
    asks(&weak, "/hard").expect_problem(401, "reauthentication_required");
    asks(&get(&mut person), "/hard").expect(200);
}

/// The app would be told of the person alone, as if nobody else were involved.
#[test]
fn a_token_that_somebody_else_acts_with_is_refused_by_name() {
    let app = spawn();
    let (_, mut passkey, _) = Person::known(&app);
    let own = token(&app, &mut passkey, "openid read", "https://other.example");
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", own.as_str()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", AUDIENCE),
        ("scope", "read"),
    ];
    let delegated = app.token_by("agent", &form).expect(200).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!((&claims(&delegated)["aud"], &claims(&delegated)["act"]["sub"]), (&json!(AUDIENCE), &json!("agent")));
    let refused = asks_with(&app, TOKENS, "/", &format!("Bearer {delegated}")).expect_problem(401, "invalid_token");
    assert!(refused.json()["detail"].as_str().unwrap().contains("`act`"), "{}", refused.body);
}

/// Verifies an assertion as the app would, with the keys of the public route.
fn verified(app: &TestApp, assertion: &str, audience: &str) -> Result<Map<String, Value>, String> {
    let set = app.request("GET", "/v1/forward-auth/jwks.json").send().expect(200);
    let keys = KeySet::parse(set.body.as_bytes()).expect("a key set");
    let expected = Expectation {
        types: &["forward-auth+jwt"],
        issuer: &app.origin,
        audience: Audience::OnlyText(audience),
        required: &["sub", "iat", "jti"],
        leeway: Leeway::OWN,
        expiry: Expiry::Enforced,
        max_lifetime: Some(60),
        keys: KeySource::Foreign { keys: &keys, algorithms: &[Algorithm::ES256] },
    };
    verify(assertion, &expected, app.clock.now()).map(Verified::into_claims).map_err(|refusal| refusal.to_string())
}

#[test]
fn the_signed_header_is_for_the_app_alone_and_for_seconds() {
    let app = spawn();
    let (mut person, mut passkey, user) = Person::known(&app);
    join(&app, &user, "staff");
    app.sql("UPDATE users SET email = 'ana@example.com', name = 'Ana'");
    person.arrives(TOKENS, "/");
    let reply = person.asks(TOKENS, "/").expect(200);
    let assertion = reply.header("x-passmint-assertion").unwrap().to_owned();
    let told = verified(&app, &assertion, "the-tokens-app").unwrap();
    assert_eq!((&told["sub"], &told["user"], &told["groups"]), (&json!(user), &json!(user), &json!(["staff"])));
    assert_eq!((&told["name"], told.get("email"), &told["acr"]), (&json!("Ana"), None, &json!("phr")));
    assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 30);
    assert!(verified(&app, &assertion, TOKENS).is_err(), "another app");
    let keys = app.request("GET", "/.well-known/jwks.json").send().expect(200).body;
    assert!(!keys.contains(header(&assertion)["kid"].as_str().unwrap()), "a key of its own");
    // It is accepted neither by us nor at any host.
    app.client("web").bearer("GET", "/v1/me", &assertion).send().expect_problem(401, "invalid_token");
    asks_with(&app, TOKENS, "/", &format!("Bearer {assertion}")).expect_problem(401, "invalid_token");
    // With a token as with the cookie; for an anonymous visitor, and on a public path, it is empty.
    let access = token(&app, &mut passkey, "openid read", AUDIENCE);
    let by_token = asks_with(&app, TOKENS, "/", &format!("Bearer {access}")).expect(200);
    assert_eq!(claims(by_token.header("x-passmint-assertion").unwrap())["sub"], user);
    assert_eq!(question(&app, TOKENS, "GET", "/public").send().expect(200).header("x-passmint-assertion"), Some(""));
    let public = person.asks(TOKENS, "/public").expect(200);
    assert_eq!(
        (public.header("x-passmint-assertion"), public.header("x-auth-request-user")),
        (Some(""), Some(user.as_str()))
    );
    app.advance(Duration::seconds(36));
    assert!(verified(&app, &assertion, "the-tokens-app").is_err(), "half a minute later");
    // It is not sent to hosts that do not want it.
    person.arrives(APP, "/");
    assert_eq!(person.asks(APP, "/").expect(200).header("x-passmint-assertion"), None);
}

#[test]
fn who_is_disabled_or_revoked_is_out_with_the_next_request() {
    use passmint::domain::id::UserId;
    use passmint::domain::user::UserStatus;
    let app = spawn();
    let (person, mut passkey, user) = Person::at(&app, APP);
    let access = token(&app, &mut passkey, "openid read", AUDIENCE);
    person.asks(APP, "/").expect(200);
    let (id, now): (UserId, _) = (user.parse().unwrap(), app.clock.now());
    let status = |status| {
        app.db.blocking(|conn| passmint::storage::people::set_status(conn, id, status, now)).unwrap();
    };
    status(UserStatus::Disabled);
    person.asks(APP, "/").expect_problem(401, "not_signed_in");
    asks_with(&app, TOKENS, "/", &format!("Bearer {access}")).expect_problem(401, "invalid_token");
    status(UserStatus::Active);
    person.asks(APP, "/").expect_problem(401, "not_signed_in");

    let (person, mut passkey, _) = Person::at(&app, APP);
    let mut elsewhere = app.browser();
    elsewhere.sign_in(&mut passkey).expect(200);
    person.asks(APP, "/").expect(200);
    elsewhere.call("DELETE", "/v1/me/sessions", None).expect(200);
    person.asks(APP, "/").expect_problem(401, "not_signed_in");

    let (person, _, user) = Person::at(&app, APP);
    app.sql(&format!("DELETE FROM users WHERE id = '{user}'"));
    person.asks(APP, "/").expect_problem(401, "not_signed_in");
}
