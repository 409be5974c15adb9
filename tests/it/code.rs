//! Authorization codes over HTTP (RFC 6749 §4.1.3): one attempt each, all their bindings, and what a second use
//! revokes.

use chrono::Duration;
use passmint::domain::text::hex;
use passmint::storage::sweep;
use serde_json::json;

use crate::authenticator::decode;
use crate::support::oidc::{self, Ask, CHALLENGE, VERIFIER, present, redeem, redemption, refresh};
use crate::support::tokens::{Tokens, at_once, claims, header};
use crate::support::{API_SECRET, Browser, TestApp};

fn code_of(browser: &mut Browser, ask: &Ask) -> String {
    ask.send(browser).back().code()
}

#[test]
fn a_code_gives_tokens_that_tell_the_truth() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let session = browser.get("/v1/session").json();
    let code = code_of(&mut browser, &Ask::of("spa").with("nonce", "n-0S6_WzA2Mj").with("scope", "openid passkeys"));
    assert!(code.starts_with("pma_") && code.len() == 47, "{code}");
    let reply = present(&app, "spa", &code).expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("pragma"), Some("no-cache"));
    assert_eq!(reply.header("access-control-allow-origin"), None);
    assert_eq!(reply.json()["token_type"], "Bearer");
    let tokens = Tokens::of(&reply.json());
    let (access, id) = (claims(&tokens.access), claims(&tokens.id));
    assert_eq!(header(&tokens.id)["alg"], "RS256");
    assert_eq!(id["nonce"], "n-0S6_WzA2Mj");
    assert_eq!(id["aud"], "spa");
    assert_eq!(id["iss"], app.origin);
    for name in ["sub", "auth_time", "acr", "amr"] {
        assert_eq!(access[name], id[name], "{name}");
    }
    assert_eq!(id["acr"], "phr");
    assert_eq!(id["sid"], session["session"]["id"]);
    assert_eq!(access["sid"], session["session"]["id"]);
    assert_eq!(access["sub"], session["user"]["id"]);
    assert_eq!(access["aud"], app.origin);
    assert!(access["grant_id"].is_string());
    assert!(id.get("name").is_none() && id.get("email").is_none());
    assert!(app.opens(&tokens.access));

    let plain = redeem(&app, "spa", &code_of(&mut browser, &Ask::of("spa")));
    assert_eq!(claims(&plain.id).get("nonce"), None, "no nonce, none back");
    let without = redeem(&app, "spa", &code_of(&mut browser, &Ask::of("spa").with("scope", "passkeys")));
    assert_eq!(without.id, "", "without openid there is no ID token");
}

#[test]
fn a_refresh_keeps_what_the_code_gave() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let ask = Ask::of("house")
        .with("scope", "openid email")
        .with("nonce", "n")
        .with("claims", r#"{"userinfo":{"family_name":null},"id_token":{"nickname":null}}"#);
    let first = redeem(&app, "house", &code_of(&mut browser, &ask));
    app.advance(Duration::seconds(5));
    let second = Tokens::of(&refresh(&app, "house", &first.refresh, &[]).expect(200).json());
    let (before, after) = (claims(&first.access), claims(&second.access));
    for name in ["sub", "sid", "grant_id", "auth_time", "acr", "amr", "aud", "scope", "client_id", "userinfo_claims"] {
        assert_eq!(before[name], after[name], "{name}");
    }
    assert_eq!(after["userinfo_claims"], json!(["family_name"]));
    assert_ne!(before["jti"], after["jti"]);
    assert_ne!(first.refresh, second.refresh, "a confidential client's is used once, too");
    assert_eq!(claims(&second.id)["auth_time"], claims(&first.id)["auth_time"]);
    assert_eq!(claims(&second.id)["sid"], claims(&first.id)["sid"]);
    assert_eq!(claims(&second.refresh)["claims"], claims(&first.refresh)["claims"]);

    browser.call("DELETE", "/v1/session", None).expect(200);
    refresh(&app, "house", &second.refresh, &[]).expect_oauth(400, "invalid_grant");
    assert!(!app.opens(&second.access), "its access tokens live as long as the browser's session");
}

/// RFC 6749 §4.1.3, RFC 7636 §4.6, RFC 9700 §4.8: every wrong combination is refused and uses the code up.
#[test]
fn anything_else_than_the_right_caller_gets_nothing_and_burns_the_code() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let without_challenge = Ask::of("house").without_pkce();
    let uri = "https://house.example/cb";
    for (name, ask, change) in [
        ("another redirect URI", Ask::of("house"), vec![("redirect_uri", "https://house.example/cb?from=us")]),
        ("no redirect URI", Ask::of("house"), vec![("redirect_uri", "")]),
        ("no verifier", Ask::of("house"), vec![("code_verifier", "")]),
        ("another verifier", Ask::of("house"), vec![("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXx")]),
        ("the challenge as verifier", Ask::of("house"), vec![("code_verifier", CHALLENGE)]),
        ("a short verifier", Ask::of("house"), vec![("code_verifier", &VERIFIER[..42])]),
        ("a verifier for no challenge", without_challenge.clone(), vec![]),
        ("another client", Ask::of("house"), vec![("client_id", "shop")]),
        ("a public client", Ask::of("house"), vec![("client_id", "spa"), ("client_secret", "")]),
    ] {
        let code = code_of(&mut browser, &ask);
        let mut form = redemption("house", &code, uri);
        for (changed, value) in &change {
            form.retain(|(known, _)| known != changed);
            form.push((changed, value));
        }
        app.request("POST", "/oauth/token").form(&form).send().expect_oauth(400, "invalid_grant");
        let right: Vec<_> = redemption("house", &code, uri)
            .into_iter()
            .filter(|(known, _)| name != "a verifier for no challenge" || *known != "code_verifier")
            .collect();
        let reply = app.request("POST", "/oauth/token").form(&right).send();
        assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("invalid_grant")), "{name}: burnt");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens"), 0);
    let code = code_of(&mut browser, &without_challenge);
    let form: Vec<_> =
        redemption("house", &code, uri).into_iter().filter(|(name, _)| *name != "code_verifier").collect();
    app.request("POST", "/oauth/token").form(&form).send().expect(200);
}

#[test]
fn a_code_lives_for_a_minute_and_no_longer_than_its_session() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let [in_time, late, orphan] = [(); 3].map(|()| code_of(&mut browser, &Ask::of("spa")));
    app.advance(Duration::seconds(58));
    present(&app, "spa", &in_time).expect(200);
    app.advance(Duration::seconds(3));
    present(&app, "spa", &late).expect_oauth(400, "invalid_grant");
    present(&app, "spa", &orphan).expect_oauth(400, "invalid_grant");
    let fresh = code_of(&mut browser, &Ask::of("spa"));
    browser.call("DELETE", "/v1/session", None).expect(200);
    present(&app, "spa", &fresh).expect_oauth(400, "invalid_grant");
    for unknown in [oidc::random_code(), "x".to_owned(), "pms_x".to_owned(), "a".repeat(10_000)] {
        present(&app, "spa", &unknown).expect_oauth(400, "invalid_grant");
    }
}

/// RFC 6749 §4.1.2, RFC 9700 §4.5: what the code gave ends, and nothing else.
#[test]
fn a_second_use_revokes_what_the_first_gave_and_nothing_else() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let scope = "openid passkeys offline_access";
    for (client, scope) in [("spa", "openid passkeys"), ("spa", scope), ("house", "openid passkeys")] {
        let ask = Ask::of(client).with("scope", scope);
        let other = redeem(&app, client, &code_of(&mut browser, &ask));
        let code = code_of(&mut browser, &ask);
        let tokens = redeem(&app, client, &code);
        let again = Tokens::of(&refresh(&app, client, &tokens.refresh, &[]).expect(200).json());
        // After it has expired too: used codes are remembered.
        app.advance(Duration::seconds(90));
        let replays = app.events("token.code_replayed");
        present(&app, client, &code).expect_oauth(400, "invalid_grant");
        present(&app, client, &code).expect_oauth(400, "invalid_grant");
        assert_eq!(app.events("token.code_replayed"), replays + 1, "told once");
        assert!(!app.opens(&tokens.access) && !app.opens(&again.access), "{client} {scope}");
        assert_eq!(app.introspection(&tokens.access), r#"{"active":false}"#);
        refresh(&app, client, &again.refresh, &[]).expect_oauth(400, "invalid_grant");
        assert!(app.opens(&other.access), "{client} {scope}: another code's tokens live on");
        refresh(&app, client, &other.refresh, &[]).expect(200);
        browser.get("/v1/me").expect(200);
    }
}

/// The code itself was deleted long ago; what it gave can still be refreshed, and is ended.
#[test]
fn a_second_use_is_known_as_long_as_what_the_first_gave_lives() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    for (scope, later) in [
        ("openid passkeys", Duration::hours(1)),
        ("openid passkeys offline_access", Duration::hours(1)),
        ("openid passkeys", Duration::days(10)),
    ] {
        let ask = Ask::of("spa").with("scope", scope);
        let other = redeem(&app, "spa", &code_of(&mut browser, &ask));
        let code = code_of(&mut browser, &ask);
        let tokens = redeem(&app, "spa", &code);
        app.advance(later);
        let now = app.clock.now();
        app.db.blocking(|conn| sweep::sweep(conn, now, None)).unwrap();
        assert_eq!(app.count("SELECT count(*) AS n FROM authorization_codes"), 0);
        let again = Tokens::of(&refresh(&app, "spa", &tokens.refresh, &[]).expect(200).json());
        assert!(app.opens(&again.access));
        let replays = app.events("token.code_replayed");
        present(&app, "spa", &code).expect_oauth(400, "invalid_grant");
        present(&app, "spa", &code).expect_oauth(400, "invalid_grant");
        assert_eq!(app.events("token.code_replayed"), replays + 1, "told once");
        assert!(!app.opens(&again.access), "{scope} after {later}");
        refresh(&app, "spa", &again.refresh, &[]).expect_oauth(400, "invalid_grant");
        refresh(&app, "spa", &other.refresh, &[]).expect(200);
    }
}

/// A client that may not refresh has no family, but its access tokens name the grant all the same.
#[test]
fn a_second_use_ends_access_tokens_without_a_family_too() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let other = redeem(&app, "app", &allowed(&app, &mut browser));
    let code = code_of(&mut browser, &Ask::of("app"));
    let tokens = redeem(&app, "app", &code);
    assert!(tokens.refresh.is_empty() && app.opens(&tokens.access));
    present(&app, "app", &code).expect_oauth(400, "invalid_grant");
    assert!(!app.opens(&tokens.access));
    assert_eq!(app.introspection(&tokens.access), r#"{"active":false}"#);
    assert!(app.opens(&other.access), "another code's token lives on");
    assert_eq!(app.events("token.code_replayed"), 1);
}

#[test]
fn of_many_at_once_one_gets_tokens() {
    let app = oidc::app_with(&[("challenges.store", "database")]);
    let (mut browser, _) = app.person();
    let servers = [&app, &app.twin_with(oidc::CLIENTS), &app.twin_with(oidc::CLIENTS)];
    let code = code_of(&mut browser, &Ask::of("house"));
    let replies = at_once(64, |number| present(servers[number % 3], "house", &code));
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 400].contains(status)), "{statuses:?}");
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens"), 1);
    assert_eq!(
        app.count("SELECT count(*) AS n FROM refresh_tokens WHERE revoked_at IS NULL"),
        0,
        "and it was a replay"
    );
    assert_eq!((app.events("token.code_redeemed"), app.events("token.code_replayed")), (1, 1));
}

#[test]
fn offline_access_outlives_the_browser_session() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let scope = "openid passkeys offline_access";
    let tokens = redeem(&app, "house", &code_of(&mut browser, &Ask::of("house").with("scope", scope)));
    let sid = browser.get("/v1/session").json()["session"]["id"].clone();
    assert_eq!(claims(&tokens.id)["sid"], sid, "told of the browser session's end");
    assert_ne!(claims(&tokens.access)["sid"], sid);
    browser.call("DELETE", "/v1/session", None).expect(200);
    let after = Tokens::of(&refresh(&app, "house", &tokens.refresh, &[]).expect(200).json());
    assert!(app.opens(&after.access));
    assert_eq!(claims(&after.id).get("sid"), None);
    assert_eq!(claims(&after.id)["auth_time"], claims(&tokens.id)["auth_time"]);
    let form = [("token", after.refresh.as_str()), ("client_id", "house"), ("client_secret", API_SECRET)];
    app.request("POST", "/oauth/revoke").form(&form).send().expect(200);
    assert!(!app.opens(&after.access) && !app.opens(&tokens.access));
}

/// OpenID Connect Core §11: a third-party app outlives the browser session only if the person agreed.
#[test]
fn offline_access_of_somebody_elses_app_wants_a_yes() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let ask = Ask::of("shop").with("scope", "openid offline_access");
    let answer = |browser: &mut Browser, fields: &[(&str, &str)]| {
        let path = ask.send(browser).waits();
        let page = browser.get(&path).expect(200);
        redeem(&app, "shop", &browser.submit(&page, &path, fields).returning().code())
    };
    let without = answer(&mut browser, &[("decision", "allow")]);
    let with = answer(&mut browser, &[("decision", "allow"), ("allow:offline_access", "yes")]);
    assert_eq!((without.scope.as_str(), with.scope.as_str()), ("openid", "offline_access openid"));
    browser.call("DELETE", "/v1/session", None).expect(200);
    refresh(&app, "shop", &without.refresh, &[]).expect_oauth(400, "invalid_grant");
    refresh(&app, "shop", &with.refresh, &[]).expect(200);
}

/// Check 64: in a browser's session too, the family and its access tokens end at once, and nothing else does.
#[test]
fn a_replayed_refresh_token_ends_its_grant_and_not_the_browser_session() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let ask = Ask::of("spa").with("scope", "openid passkeys");
    let other = redeem(&app, "spa", &code_of(&mut browser, &ask));
    let first = redeem(&app, "spa", &code_of(&mut browser, &ask));
    let second = Tokens::of(&refresh(&app, "spa", &first.refresh, &[]).expect(200).json());
    app.advance(Duration::seconds(11));
    refresh(&app, "spa", &first.refresh, &[]).expect_oauth(400, "invalid_grant");
    for (name, access) in [("before", &first.access), ("after", &second.access)] {
        assert_eq!(app.introspection(access), r#"{"active":false}"#, "{name} the rotation");
        assert!(!app.opens(access), "{name} the rotation");
    }
    refresh(&app, "spa", &second.refresh, &[]).expect_oauth(400, "invalid_grant");
    assert_eq!(app.events("token.refresh_replayed"), 1);
    assert!(app.opens(&other.access), "another grant of the same session");
    browser.get("/v1/me").expect(200);
}

/// Check 70: what a passkey gave ends when it is removed, even if it outlives the browser session.
#[test]
fn removing_a_passkey_ends_what_apps_were_given_by_it() {
    let app = oidc::app();
    let (mut here, _) = app.person();
    let mut lost = app.passkey();
    here.add(&mut lost).expect(200);
    let mut there = app.browser();
    there.sign_in(&mut lost).expect(200);
    let given = |browser: &mut Browser, scope: &str| {
        redeem(&app, "spa", &code_of(browser, &Ask::of("spa").with("scope", scope)))
    };
    let bound = given(&mut there, "openid passkeys");
    let offline = given(&mut there, "openid passkeys offline_access");
    let kept = given(&mut here, "openid passkeys offline_access");
    let listed = here.get("/v1/passkeys").expect(200).json();
    let id = listed["passkeys"][1]["id"].as_str().unwrap();
    here.call("DELETE", &format!("/v1/passkeys/{id}"), None).expect(200);
    for (name, tokens) in [("in the browser session", &bound), ("offline", &offline)] {
        let reply = refresh(&app, "spa", &tokens.refresh, &[]);
        assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("invalid_grant")), "{name}");
        assert!(!app.opens(&tokens.access), "{name}");
    }
    refresh(&app, "spa", &kept.refresh, &[]).expect(200);
}

#[test]
fn giving_an_access_token_back_ends_its_grant_and_not_the_browser_session() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let mut signed_in =
        || redeem(&app, "spa", &code_of(&mut browser, &Ask::of("spa").with("scope", "openid passkeys")));
    let (tokens, other) = (signed_in(), signed_in());
    for foreign in ["app", "web"] {
        app.request("POST", "/oauth/revoke")
            .form(&[("token", &*tokens.access), ("client_id", foreign)])
            .send()
            .expect(200);
        assert!(app.opens(&tokens.access), "another client's word counts for nothing");
    }
    let revoke =
        || app.request("POST", "/oauth/revoke").form(&[("token", &*tokens.access), ("client_id", "spa")]).send();
    revoke().expect(200);
    revoke().expect(200);
    assert_eq!(app.events("token.revoked"), 1);
    assert!(!app.opens(&tokens.access));
    browser.get("/v1/me").expect(200);
    refresh(&app, "spa", &tokens.refresh, &[]).expect_oauth(400, "invalid_grant");
    assert!(app.opens(&other.access), "what another sign-in gave stays");
    refresh(&app, "spa", &other.refresh, &[]).expect(200);
}

#[test]
fn only_groups_that_may_use_a_client_get_tokens() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let user = browser.get("/v1/me").json()["id"].as_str().unwrap().to_owned();
    assert_eq!(Ask::of("club").send(&mut browser).back().error(), "access_denied");
    app.sql(&format!(
        "INSERT INTO groups (id, name, created_at) VALUES ('{user}', 'members', now());
         INSERT INTO group_members (group_id, user_id) VALUES ('{user}', '{user}')"
    ));
    let late = code_of(&mut browser, &Ask::of("club"));
    let tokens = redeem(&app, "club", &code_of(&mut browser, &Ask::of("club")));
    let tokens = Tokens::of(&refresh(&app, "club", &tokens.refresh, &[]).expect(200).json());
    app.sql("DELETE FROM group_members");
    refresh(&app, "club", &tokens.refresh, &[]).expect_oauth(400, "invalid_grant");
    present(&app, "club", &late).expect_oauth(400, "invalid_grant");
    assert_eq!(Ask::of("club").with("prompt", "none").send(&mut browser).back().error(), "access_denied");
}

/// RFC 8707 §2.
#[test]
fn tokens_are_for_the_resources_that_were_asked_for_or_fewer() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let both = Ask::of("house").with("resource", "https://api.example").and("resource", "https://other-api.example");
    let with = |app: &TestApp, code: &str, resources: &[&str]| {
        let mut form = redemption("house", code, "https://house.example/cb");
        form.extend(resources.iter().map(|resource| ("resource", *resource)));
        app.request("POST", "/oauth/token").form(&form).send()
    };
    let code = code_of(&mut browser, &both);
    let tokens = Tokens::of(&with(&app, &code, &["https://api.example"]).expect(200).json());
    assert_eq!(claims(&tokens.access)["aud"], "https://api.example");
    let other = [("resource", "https://other-api.example")];
    let tokens = Tokens::of(&refresh(&app, "house", &tokens.refresh, &other).expect(200).json());
    assert_eq!(claims(&tokens.access)["aud"], "https://other-api.example");
    refresh(&app, "house", &tokens.refresh, &[("resource", &app.origin)]).expect_oauth(400, "invalid_target");
    let tokens = Tokens::of(&refresh(&app, "house", &tokens.refresh, &[]).expect(200).json());
    assert_eq!(claims(&tokens.access)["aud"], json!(["https://api.example", "https://other-api.example"]));
    assert!(!app.opens(&tokens.access), "not for us");

    let one = code_of(&mut browser, &Ask::of("house").with("resource", "https://api.example"));
    with(&app, &one, &["https://other-api.example"]).expect_oauth(400, "invalid_target");
}

#[test]
fn the_token_endpoint_takes_one_form_and_one_grant() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let code = code_of(&mut browser, &Ask::of("house"));
    let form = redemption("house", &code, "https://house.example/cb");
    let post = |path: &str| app.request("POST", path);
    post("/oauth/token?client_id=house").form(&form).send().expect_oauth(400, "invalid_request");
    post("/oauth/token").json(&json!({})).send().expect_oauth(415, "invalid_request");
    let twice = [form.clone(), vec![("code", code.as_str())]].concat();
    post("/oauth/token").form(&twice).send().expect_oauth(400, "invalid_request");
    for (grant, error) in [
        ("password", "unsupported_grant_type"),
        ("implicit", "unsupported_grant_type"),
        ("AUTHORIZATION_CODE", "unsupported_grant_type"),
    ] {
        let other: Vec<_> =
            form.iter().map(|(name, value)| (*name, if *name == "grant_type" { grant } else { value })).collect();
        post("/oauth/token").form(&other).send().expect_oauth(400, error);
    }
    app.client("web")
        .token(&[("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "https://house.example/cb")])
        .expect_oauth(400, "unauthorized_client");
    let without = redeem(&app, "app", &allowed(&app, &mut browser));
    assert_eq!(without.refresh, "", "a client without the grant gets no refresh token");
}

fn allowed(app: &TestApp, browser: &mut Browser) -> String {
    let path = Ask::of("app").send(browser).waits();
    let page = browser.get(&path).expect(200);
    let _ = app;
    browser.submit(&page, &path, &[("decision", "allow")]).returning().code()
}

/// Check 54: no secret that was sent over the wire is in any table, neither as text nor as bytes.
#[test]
fn only_digests_are_stored() {
    let app = oidc::app_with(&[("challenges.store", "database")]);
    let (mut browser, mut passkey) = (app.browser(), app.passkey());
    let waiting = Ask::of("house").send(&mut browser).waits();
    let handle = waiting.rsplit('/').next().unwrap();
    browser.sign_up(&mut passkey);
    let [used, unused] = [(); 2].map(|()| code_of(&mut browser, &Ask::of("house")));
    let first = redeem(&app, "house", &used);
    let second = Tokens::of(&refresh(&app, "house", &first.refresh, &[]).expect(200).json());
    let begun = browser.begin_sign_in(&json!({}));
    let ceremony = begun["ceremonyId"].as_str().unwrap();
    let cookies = browser.cookies.iter().map(|(_, value)| value.as_str());
    let opaque = [handle, used.as_str(), unused.as_str(), ceremony].into_iter().chain(cookies);
    let mut secrets: Vec<String> = opaque.map(|secret| secret[4..].to_owned()).collect();
    for tokens in [&first, &second] {
        secrets.push(claims(&tokens.refresh)["jti"].as_str().unwrap().to_owned());
        let signed = [&tokens.access, &tokens.refresh, &tokens.id];
        secrets.extend(signed.map(|token| token.rsplit('.').next().unwrap().to_owned()));
    }
    let spelled = |secret: &String| [secret.clone(), hex(secret.as_bytes()), hex(&decode(&json!(secret)))];
    let all = secrets.iter().flat_map(spelled).collect::<Vec<_>>().join("', '");
    let holds = format!("EXISTS (SELECT FROM unnest(ARRAY['{all}']) AS secret WHERE strpos(t::text, secret) > 0)");
    let found = |rows: &str| app.count(&format!("SELECT count(*) AS n FROM {rows} t WHERE {holds}"));
    assert_eq!(found(&format!("(SELECT '{unused}' AS code)")), 1, "what is there is found");
    for table in ["authorization_codes", "interactions", "refresh_tokens", "sessions", "ceremonies", "audit_events"] {
        assert!(app.count(&format!("SELECT count(*) AS n FROM {table}")) > 0, "{table}");
    }
    for table in app.tables() {
        assert_eq!(found(&table), 0, "{table}");
    }
}
