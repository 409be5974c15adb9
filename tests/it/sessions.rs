//! Sessions over HTTP: how long they live and what ends them; what ID and access tokens say about them.

use std::collections::HashSet;

use chrono::Duration;
use passmint::domain::id::UserId;
use passmint::domain::user::UserStatus;
use passmint::storage::people;
use passmint::tokens::claims::at_hash;
use passmint::tokens::keys::Algorithm;
use serde_json::{Value, json};

use crate::support::tokens::{INACTIVE, Tokens, claims, header};
use crate::support::{Browser, Options, Reply, TestApp};

fn is_signed_in(browser: &mut Browser) -> bool {
    browser.get("/v1/session").expect(200).json()["session"].is_object()
}

fn cookie(reply: &Reply) -> String {
    let set = reply.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    let mut sessions =
        set.map(|(_, text)| text.clone()).filter(|text| !text.split('=').next().unwrap().ends_with("-pre"));
    let session = sessions.next().expect("a session cookie");
    assert!(sessions.next().is_none(), "one session cookie");
    session
}

fn parts(cookie: &str) -> HashSet<String> {
    cookie.split("; ").skip(1).map(ToOwned::to_owned).collect()
}

fn disable(app: &TestApp, user: &Value) {
    let (user, now): (UserId, _) = (user.as_str().unwrap().parse().unwrap(), app.clock.now());
    assert!(app.db.blocking(|conn| people::set_status(conn, user, UserStatus::Disabled, now)).unwrap());
}

#[test]
fn the_cookie_is_guarded() {
    let guards = |more: &[&str]| -> HashSet<String> {
        ["HttpOnly", "SameSite=Lax", "Path=/"].iter().chain(more).map(|part| (*part).to_owned()).collect()
    };
    let local = TestApp::spawn();
    let (mut browser, mut passkey) = local.person();
    let set = cookie(&browser.sign_in(&mut passkey).expect(200));
    assert!(set.starts_with("passmint-dev-") && set.contains("=pms_"), "{set}");
    assert_eq!(parts(&set), guards(&["Max-Age=7776000"]));
    let gone = cookie(&browser.call("DELETE", "/v1/session", None).expect(200));
    assert!(gone.contains("=;"), "{gone}");
    assert_eq!(parts(&gone), guards(&["Max-Age=0"]));

    let secure = TestApp::with(&Options { public_url: Some("https://id.example"), ..Options::default() });
    let (mut browser, mut passkey) = (secure.browser(), secure.passkey());
    let begun = browser.post("/v1/passkeys/registration/options", &json!({ "purpose": "sign-up" })).expect(200);
    let pre = begun.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).unwrap().1.clone();
    assert!(pre.starts_with("__Host-passmint-pre=pmp_"), "{pre}");
    assert_eq!(parts(&pre), guards(&["Secure"]), "as long as the browser runs");
    let credential = passkey.create(&begun.json()["publicKey"]);
    let set = cookie(&browser.finish_registration(&begun.json(), &credential).expect(200));
    assert!(set.starts_with("__Host-passmint=pms_"), "{set}");
    assert_eq!(parts(&set), guards(&["Max-Age=7776000", "Secure"]), "no Domain");
}

#[test]
fn a_session_ends_unused_and_absolutely() {
    let settings = &[("session.sliding", "10m"), ("session.absolute", "25m")];
    let app = TestApp::with(&Options { settings, ..Options::default() });
    let (mut used, _) = app.person();
    let (mut unused, _) = app.person();
    for minutes in [9, 9, 6] {
        app.advance(Duration::minutes(minutes));
        assert!(is_signed_in(&mut used), "used within its ten minutes");
    }
    assert!(!is_signed_in(&mut unused));
    unused.get("/v1/passkeys").expect_problem(401, "not_signed_in");
    app.advance(Duration::minutes(1));
    assert!(!is_signed_in(&mut used), "25 minutes are over");
    used.get("/v1/me/sessions").expect_problem(401, "not_signed_in");
}

#[test]
fn a_new_sign_in_is_a_new_session_and_the_old_cookie_is_worth_nothing_after_signing_out() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = app.person();
    let mut kept = browser.clone();
    browser.call("DELETE", "/v1/session", None).expect(200);
    assert!(!is_signed_in(&mut kept), "the cookie was worth something only as long as its session");
    let mut fresh = app.browser();
    fresh.sign_in(&mut passkey).expect(200);
    assert_ne!(fresh.session(), kept.session());
    let mut replaced = fresh.clone();
    fresh.sign_in(&mut passkey).expect(200);
    assert!(!is_signed_in(&mut replaced), "a sign-in takes the place of the browser's session");
    let stepped = fresh.session().map(ToOwned::to_owned);
    let mut before = fresh.clone();
    fresh.step_up(&mut passkey).expect(200);
    assert_ne!(fresh.session(), stepped.as_deref(), "a step-up changes the cookie");
    assert!(!is_signed_in(&mut before), "and the old one ends");
    assert!(is_signed_in(&mut fresh));
    assert_eq!(app.events("session.signed_out"), 2);
}

#[test]
fn people_list_and_end_their_own_sessions() {
    let app = TestApp::spawn();
    let (mut here, mut passkey, tokens) = app.person_with_tokens("openid passkeys");
    let mut there = app.browser();
    there.sign_in(&mut passkey).expect(200);
    let (mut stranger, _) = app.person();

    let listed = here.get("/v1/me/sessions").expect(200).json()["sessions"].clone();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 3);
    let current: Vec<_> = listed.iter().filter(|session| session["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["id"], here.get("/v1/session").json()["session"]["id"]);
    let of_web: Vec<_> = listed.iter().filter(|session| session["clientId"] == "web").collect();
    assert_eq!((of_web.len(), of_web[0]["id"].as_str()), (1, Some(tokens.session().as_str())));
    assert!(!listed.iter().any(|session| session.to_string().contains("pms_")), "no cookie is shown");

    let theirs = stranger.get("/v1/session").json()["session"]["id"].as_str().unwrap().to_owned();
    for (name, id) in
        [("somebody else's", theirs.as_str()), ("none", "00000000-0000-4000-8000-000000000000"), ("no id", "x")]
    {
        let reply = here.call("DELETE", &format!("/v1/me/sessions/{id}"), None);
        assert_eq!((reply.status, reply.json()["code"].as_str()), (404, Some("not_found")), "{name}");
    }
    assert!(is_signed_in(&mut stranger));

    let path = format!("/v1/me/sessions/{}", there.get("/v1/session").json()["session"]["id"].as_str().unwrap());
    let by_token = app.client("web").bearer("DELETE", &path, &tokens.access).send();
    by_token.expect_problem(403, "forbidden");
    let cross = here.request("DELETE", &path).without("Origin").header("Origin", "https://evil.example").send();
    cross.expect_problem(403, "csrf");
    here.call("DELETE", &path, None).expect(200);
    assert!(!is_signed_in(&mut there));
    here.call("DELETE", &path, None).expect_problem(404, "not_found");
    assert_eq!(app.events("session.revoked"), 1);
    assert!(is_signed_in(&mut here));
}

#[test]
fn ending_all_others_ends_tokens_too_and_keeps_this_one() {
    let app = TestApp::spawn();
    let (mut here, mut passkey, tokens) = app.person_with_tokens("openid");
    let mut there = app.browser();
    there.sign_in(&mut passkey).expect(200);
    let (mut stranger, _, theirs) = app.person_with_tokens("openid");
    assert_eq!(here.call("DELETE", "/v1/me/sessions", None).expect(200).json()["ended"], 2);
    assert!(is_signed_in(&mut here) && !is_signed_in(&mut there));
    assert!(!app.opens(&tokens.access));
    assert_eq!(app.introspection(&tokens.access), INACTIVE);
    app.client("web").refresh(&tokens.refresh).expect_oauth(400, "invalid_grant");
    assert!(is_signed_in(&mut stranger) && app.opens(&theirs.access), "somebody else's stay");
    assert_eq!(app.events("session.revoked"), 2);
    assert_eq!(here.call("DELETE", "/v1/me/sessions", None).expect(200).json()["ended"], 0);
}

/// An app's tokens are a session of their own: signing out of our pages does not sign out of the app.
#[test]
fn signing_out_here_ends_this_session_only() {
    let app = TestApp::spawn();
    let (mut here, mut passkey, tokens) = app.person_with_tokens("openid");
    let mut there = app.browser();
    there.sign_in(&mut passkey).expect(200);
    here.call("DELETE", "/v1/session", None).expect(200);
    assert!(!is_signed_in(&mut here) && is_signed_in(&mut there));
    assert!(app.opens(&tokens.access));
    let out = app.client("web").bearer("DELETE", "/v1/session", &tokens.access).send();
    out.expect(200);
    assert!(!app.opens(&tokens.access), "by its own token an app ends its own session");
    app.client("web").refresh(&tokens.refresh).expect_oauth(400, "invalid_grant");
    assert!(is_signed_in(&mut there));
    assert_eq!(app.events("session.signed_out"), 2);
}

/// RFC 9470 §3: the challenge names the maximum age, which the operator chooses.
#[test]
fn who_must_confirm_is_told_how_fresh_it_must_be() {
    let settings = [("session.fresh_verification", "90s")];
    let config = "[bridges.fresh]\npreset = \"jwt\"\naudience = \"https://x.example\"\nallow.max_auth_age = \"70s\"\n\
                  [bridges.verified]\npreset = \"jwt\"\naudience = \"https://x.example\"\nallow.min_acr = \"phr\"";
    let app = TestApp::with(&Options { settings: &settings, config, ..Options::default() });
    let (mut person, mut passkey) = app.person();
    let challenge = |reply: Reply| {
        let reply = reply.expect_problem(401, "reauthentication_required");
        reply.challenge().map(ToOwned::to_owned)
    };
    let with = |parameters: &str| Some(format!(r#"Bearer error="insufficient_user_authentication"{parameters}"#));
    app.sql("UPDATE sessions SET acr = '1'");
    let verified = person.call("POST", "/v1/bridges/verified/token", None);
    assert_eq!(challenge(verified), with(""), "age alone would not help there");
    app.sql("UPDATE sessions SET acr = 'phr'");
    app.advance(Duration::seconds(91));
    let begun = person.post("/v1/passkeys/registration/options", &json!({ "purpose": "add" }));
    assert_eq!(challenge(begun), with(r#", max_age="90""#));
    assert_eq!(challenge(person.call("POST", "/v1/bridges/fresh/token", None)), with(r#", max_age="70""#));
    person.step_up(&mut passkey).expect(200);
    person.begin_registration(&json!({ "purpose": "add" }));
}

#[test]
fn a_disabled_person_is_out_everywhere_at_once() {
    let settings = &[("challenges.store", "database")];
    let app = TestApp::with(&Options { settings, ..Options::default() });
    let twin = app.twin();
    let (mut browser, mut passkey, tokens) = app.person_with_tokens("openid passkeys");
    let begun = app.client("web").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let add = browser.begin_registration(&json!({ "purpose": "add" }));
    let mut second = app.passkey();
    let added = second.create(&add["publicKey"]);
    disable(&app, &claims(&tokens.access)["sub"]);
    assert!(!is_signed_in(&mut browser));
    for path in ["/v1/me", "/v1/passkeys", "/v1/me/sessions", "/v1/me/activity"] {
        let reply = browser.get(path);
        assert_eq!((reply.status, reply.json()["code"].as_str()), (401, Some("not_signed_in")), "{path}");
    }
    for server in [&app, &twin] {
        assert!(!server.opens(&tokens.access));
        assert_eq!(server.introspection(&tokens.access), INACTIVE);
        server.client("web").refresh(&tokens.refresh).expect_oauth(400, "invalid_grant");
    }
    app.client("web").finish(&begun, &credential).expect_problem(403, "sign_in_refused");
    let reply = browser.finish_registration(&add, &added);
    assert!([400, 401, 403].contains(&reply.status), "{}: {}", reply.status, reply.body);
    let mut fresh = app.browser();
    fresh.sign_in(&mut passkey).expect_problem(403, "sign_in_refused");
    assert!(fresh.session().is_none());
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 1);
}

#[test]
fn a_person_enabled_again_signs_in_anew() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey, tokens) = app.person_with_tokens("openid");
    let user: UserId = claims(&tokens.access)["sub"].as_str().unwrap().parse().unwrap();
    let (mut stranger, _) = app.person();
    for status in [UserStatus::Disabled, UserStatus::Active] {
        let now = app.clock.now();
        assert!(app.db.blocking(|conn| people::set_status(conn, user, status, now)).unwrap());
    }
    assert!(!is_signed_in(&mut browser), "what ended stays ended");
    assert!(!app.opens(&tokens.access));
    app.client("web").refresh(&tokens.refresh).expect_oauth(400, "invalid_grant");
    browser.sign_in(&mut passkey).expect(200);
    assert!(is_signed_in(&mut browser) && is_signed_in(&mut stranger));
}

/// OpenID Connect Core §2.
#[test]
fn an_id_token_says_who_signed_in_how_and_when() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = (app.browser(), app.passkey());
    let sign_up = json!({ "purpose": "sign-up", "email": "ada@example.com", "name": "Ada" });
    let begun = browser.begin_registration(&sign_up);
    let credential = passkey.create(&begun["publicKey"]);
    let user = browser.finish_registration(&begun, &credential).expect(200).json()["user"]["id"].clone();

    let before = app.clock.now().timestamp();
    let result =
        json!({ "kind": "tokens", "clientId": "web", "scope": "openid profile email", "nonce": "a \"nonce\"" });
    let begun = app.client("web").post("/v1/passkeys/authentication/options", &json!({ "result": result }));
    let begun = begun.expect(200).json();
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let tokens = Tokens::of(&app.client("web").finish(&begun, &credential).expect(200).json());

    assert_eq!(header(&tokens.id)["alg"], "RS256");
    let id = app.verified(&tokens.id, "web", "JWT");
    assert_eq!(id["sub"], user);
    assert_eq!(id["nonce"], "a \"nonce\"");
    assert_eq!(id["at_hash"], at_hash(Algorithm::RS256, &tokens.access));
    assert_eq!(id["sid"], tokens.session());
    assert_eq!(id["acr"], "phr");
    let methods: HashSet<_> = id["amr"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(methods.contains("pop") && methods.contains("user") && !methods.contains("hwk"), "{methods:?}");
    assert_eq!(claims(&tokens.access)["credential_class"], "synced");
    let auth_time = id["auth_time"].as_i64().unwrap();
    assert!((before..=app.clock.now().timestamp()).contains(&auth_time));
    assert_eq!(id["exp"].as_i64().unwrap() - id["iat"].as_i64().unwrap(), 600);
    // Claims of scopes are returned by userinfo; a private claim would be unexpected.
    for elsewhere in ["name", "email", "email_verified", "credential_class"] {
        assert!(!id.contains_key(elsewhere), "{elsewhere}");
    }

    let plain = Tokens::of(&app.client("web").sign_in(&mut passkey, "openid").expect(200).json());
    let id = claims(&plain.id);
    for unasked in ["name", "email", "email_verified", "nonce", "locale"] {
        assert!(id.get(unasked).is_none(), "{unasked} was not asked for");
    }
    let without = app.client("web").sign_in(&mut passkey, "passkeys").expect(200).json();
    assert!(without.get("idToken").is_none(), "no ID token without `openid`");
}

/// RFC 9068 §2.
#[test]
fn an_access_token_says_for_whom_and_for_what() {
    let app = TestApp::spawn();
    let (_, mut passkey, tokens) = app.person_with_tokens("openid passkeys");
    assert_eq!(header(&tokens.access)["typ"], "at+jwt");
    assert_eq!(header(&tokens.access)["alg"], "ES256");
    let said = app.verified(&tokens.access, &app.origin, "at+jwt");
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope", "sid", "auth_time", "acr", "amr"] {
        assert!(said.contains_key(name), "{name}");
    }
    for unasked in ["name", "email", "nonce", "at_hash", "user_handle"] {
        assert!(!said.contains_key(unasked), "{unasked}");
    }
    assert_eq!((&said["client_id"], &said["scope"]), (&json!("web"), &json!("openid passkeys")));
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 600);
    for client in ["web", "other", "api"] {
        assert_ne!(said["sub"], client, "a person is never a client");
    }
    let again = Tokens::of(&app.client("web").sign_in(&mut passkey, "openid passkeys").json());
    assert_ne!(claims(&again.access)["jti"], said["jti"]);
    assert_ne!(again.session(), tokens.session(), "each sign-in is a session");
    assert_eq!(claims(&again.access)["sub"], said["sub"]);
    let apis = app.api_sign_in(&mut passkey, "openid");
    app.verified(&apis.access, "https://api.example", "at+jwt");

    app.advance(Duration::minutes(9));
    assert!(app.opens(&tokens.access));
    app.advance(Duration::minutes(1));
    assert!(!app.opens(&tokens.access), "ten minutes are over");
}

#[test]
fn a_deleted_person_is_gone_with_all_tokens() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey, tokens) = app.person_with_tokens("openid");
    let (mut stranger, _, theirs) = app.person_with_tokens("openid");
    let user: UserId = claims(&tokens.access)["sub"].as_str().unwrap().parse().unwrap();
    assert!(app.db.blocking(|conn| people::delete(conn, user, app.clock.now())).unwrap());
    assert!(!is_signed_in(&mut browser) && !app.opens(&tokens.access));
    assert_eq!(app.introspection(&tokens.access), INACTIVE);
    app.client("web").refresh(&tokens.refresh).expect_oauth(400, "invalid_grant");
    app.client("web").revoke(&tokens.refresh).expect(200);
    browser.sign_in(&mut passkey).expect_problem(404, "passkey_unknown");
    assert!(is_signed_in(&mut stranger) && app.opens(&theirs.access));
}

#[test]
fn a_client_has_its_own_times_audiences_and_algorithms() {
    let config = r#"
[clients.brief]
name = "Brief"
kind = "public"
first_party = true
origins = ["ORIGIN"]
grants = ["passkey", "refresh_token"]
scopes = ["openid"]
audiences = ["https://first.example", "https://second.example"]
access_ttl = "1m"
id_token_algorithm = "ES256"
"#;
    let app = TestApp::with(&Options { config, ..Options::default() });
    let (_, mut passkey) = app.person();
    let brief = app.client("brief");
    let mut sign_in = |audience: Option<&str>| {
        let result = json!({ "kind": "tokens", "clientId": "brief", "audience": audience });
        let begun = brief.post("/v1/passkeys/authentication/options", &json!({ "result": result })).expect(200).json();
        let credential = passkey.get_uninvited(&begun["publicKey"]);
        Tokens::of(&brief.finish(&begun, &credential).expect(200).json())
    };
    let tokens = sign_in(Some("https://second.example"));
    assert_eq!(header(&tokens.id)["alg"], "ES256");
    let said = claims(&tokens.access);
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 60);
    assert_eq!(said["aud"], "https://second.example");
    let refreshed = Tokens::of(&brief.refresh(&tokens.refresh).expect(200).json());
    assert_eq!(claims(&refreshed.access)["aud"], "https://second.example", "a refresh keeps the audience");
    assert_eq!(claims(&sign_in(None).access)["aud"], "https://first.example", "the first is the default");
    assert!(app.opens(&sign_in(Some(&app.origin)).access), "this server may always be asked for");
}
