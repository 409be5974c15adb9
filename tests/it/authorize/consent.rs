//! What people allow an app, and withdraw.

use std::time::Duration as Real;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use serde_json::json;

use super::allow;
use crate::batches::LOCKED;
use crate::support::oidc::{Ask, redeem};
use crate::support::tokens::{Tokens, at_once, claims, within};
use crate::support::{API_SECRET, Browser, Options, TestApp, oidc};

/// RFC 8252 §8.6: any program could call itself this client.
#[test]
fn a_local_program_never_gets_anything_silently() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    for uri in ["http://127.0.0.1:7000/cb", "com.example.native:/cb"] {
        let ask = Ask::of("native").with("redirect_uri", uri);
        for _ in 0..2 {
            let path = ask.send(&mut browser).waits();
            let page = browser.get(&path).expect(200);
            assert!(page.body.contains("value=\"allow\""), "asked every time");
            let back = browser.submit(&page, &path, &[("decision", "allow")]).returning();
            assert!(back.code().starts_with("pma_") && back.to == uri);
        }
    }
    for _ in 0..2 {
        let path = Ask::of("tool").send(&mut browser).waits();
        let page = browser.get(&path).expect(200);
        assert!(page.body.contains("value=\"continue\""), "our own program: one press");
        browser.submit(&page, &path, &[("decision", "continue")]).returning().code();
    }
}

#[test]
fn consent_is_asked_remembered_and_asked_again_for_more() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let ask = Ask::of("shop").with("scope", "openid email");
    let path = ask.send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    for words in ["Shop", "shop.example", "value=\"deny\"", "value=\"allow\"", "allow:email"] {
        assert!(page.body.contains(words), "{words}");
    }
    assert!(!page.body.contains("autofocus"));
    browser.get(&path).expect(200);
    assert_eq!(app.count("SELECT count(*) AS n FROM authorization_codes"), 0, "looking allows nothing");
    let fields = [("decision", "allow"), ("allow:email", "yes")];
    let reply = browser.submit(&page, &path, &fields);
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    let back = reply.returning();
    assert_eq!(back.get("iss"), Some(app.origin.as_str()));
    assert_eq!(redeem(&app, "shop", &back.code()).scope, "email openid");
    assert_eq!(browser.submit(&page, &path, &fields).status, 400, "answered once");

    // The same scopes or fewer pass without a page, silently too; more are asked for.
    ask.send(&mut browser).back().code();
    Ask::of("shop").with("prompt", "none").send(&mut browser).back().code();
    let wider = ask.clone().with("scope", "openid email profile offline_access");
    assert_eq!(wider.clone().with("prompt", "none").send(&mut browser).back().error(), "consent_required");
    let path = wider.send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    assert!(page.body.contains("more than you allowed before"), "{}", page.body);
    let back = browser.submit(&page, &path, &[("decision", "allow"), ("allow:offline_access", "yes")]).returning();
    let tokens = redeem(&app, "shop", &back.code());
    assert_eq!(tokens.scope, "offline_access openid", "what was left unticked is not given");
    // A scope that was asked for and not ticked is no longer allowed; trap 2 of the conformance notes: fewer scopes
    // pass silently.
    assert_eq!(ask.with("prompt", "none").send(&mut browser).back().error(), "consent_required");
    Ask::of("shop").with("prompt", "none").send(&mut browser).back().code();

    Ask::of("shop").with("prompt", "consent").send(&mut browser).waits();
    Ask::of("shop").with("resource", "https://api.example").send(&mut browser).waits();
    Ask::of("house").with("prompt", "consent").send(&mut browser).waits();
}

/// OpenID Connect Core §5.5: a claim requested by name and by its scope, where the person declined the scope.
#[test]
fn a_claim_goes_with_the_scope_that_was_left_unticked() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let by_name = r#"{"userinfo":{"email":null},"id_token":{"email":null}}"#;
    let ask = Ask::of("shop").with("scope", "openid email").with("claims", by_name);
    let answered = |browser: &mut Browser, fields: &[(&str, &str)]| {
        let path = ask.clone().with("prompt", "consent").send(browser).waits();
        let page = browser.get(&path).expect(200);
        redeem(&app, "shop", &browser.submit(&page, &path, fields).returning().code())
    };
    let told = |access: &str| claims(access).get("userinfo_claims").cloned();
    let tokens = answered(&mut browser, &[("decision", "allow")]);
    assert_eq!((tokens.scope.as_str(), told(&tokens.access)), ("openid", None));
    let silently = Ask::of("shop").with("prompt", "none").with("claims", by_name);
    assert_eq!(silently.send(&mut browser).back().error(), "consent_required");

    // An allowed claim disappears when its scope is left out at a refresh.
    let tokens = answered(&mut browser, &[("decision", "allow"), ("allow:email", "yes")]);
    assert_eq!(told(&tokens.access), Some(json!(["email"])));
    let refreshed = |scope: &str| {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens.refresh.as_str()),
            ("scope", scope),
            ("client_id", "shop"),
            ("client_secret", API_SECRET),
        ];
        Tokens::of(&app.request("POST", "/oauth/token").form(&form).send().expect(200).json())
    };
    assert_eq!(told(&refreshed("openid email").access), Some(json!(["email"])));
    assert_eq!(told(&refreshed("openid").access), None);
}

/// The consent is withdrawn after the decision, and before the code is written.
#[test]
fn a_code_is_given_only_for_the_consent_that_was_seen() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let ask = Ask::of("shop").with("scope", "openid email");
    allow(&mut browser, &ask);
    let mut holder = PgConnection::establish(app.database_url()).unwrap();
    holder.batch_execute("BEGIN; DELETE FROM consents").unwrap();
    let reply = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask.send(&mut browser.clone()));
        within(Real::from_secs(5), "the code waits for the consent", || app.count(LOCKED) == 1);
        holder.batch_execute("COMMIT").unwrap();
        asking.join().unwrap()
    });
    assert_eq!((reply.header("location"), app.count("SELECT count(*) AS n FROM authorization_codes")), (None, 1));
}

/// The same, withdrawn by the person in another tab at the same moment.
#[test]
fn of_a_consent_that_is_taken_back_at_the_same_moment_no_code_is_left() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let ask = Ask::of("shop").with("scope", "openid email");
    allow(&mut browser, &ask);
    for _ in 0..8 {
        let before = browser.clone();
        at_once(8, |number| {
            let mut browser = before.clone();
            if number == 0 {
                browser.call("DELETE", "/v1/me/consents/shop", None);
            } else {
                ask.send(&mut browser);
            }
        });
        let orphans = "SELECT count(*) AS n FROM authorization_codes c WHERE used_at IS NULL \
                       AND NOT EXISTS (SELECT 1 FROM consents WHERE client_id = c.client_id AND user_id = c.user_id)";
        assert_eq!(app.count(orphans), 0);
        allow(&mut browser, &ask);
    }
}

/// Security notes 39: the form's content is checked against the request.
#[test]
fn a_consent_form_can_only_shrink_and_only_our_page_may_post_it() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let (mut stranger, _) = app.person();
    let ask = Ask::of("shop").with("scope", "openid email");
    let path = ask.send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    let csrf = oidc::csrf_of(&page);
    let foreign = oidc::csrf_of(&stranger.get(&path).expect(200));
    let form = [("decision", "allow"), ("allow:email", "yes")];
    for (name, token) in [("none", ""), ("another session's", foreign.as_str()), ("garbage", "x")] {
        let request = browser.request("POST", &path).form(&[&form[..], &[("csrf", token)]].concat());
        assert_eq!(request.send().status, 403, "{name}");
    }
    let good = [&form[..], &[("csrf", csrf.as_str())]].concat();
    for (header, value) in [("Origin", "https://shop.example"), ("Sec-Fetch-Site", "cross-site")] {
        let request = browser.request("POST", &path).without(header).header(header, value).form(&good);
        assert_eq!(request.send().status, 403, "{header}");
    }
    let nobody = app.request("POST", &path).form(&good).send();
    assert!(nobody.header("location").is_some_and(|to| to.starts_with("/?next=")), "strangers are sent to sign in");
    for decision in ["", "yes", "Allow"] {
        let request = browser.request("POST", &path).form(&[("csrf", csrf.as_str()), ("decision", decision)]);
        assert_eq!(request.send().status, 400, "{decision:?}");
    }
    let in_address = format!("{path}?decision=allow&allow:email=yes&csrf={csrf}");
    browser.get(&in_address).expect(200);
    browser.request("POST", &in_address).form(&[("csrf", csrf.as_str())]).send().expect(400);
    assert_eq!(app.count("SELECT count(*) AS n FROM authorization_codes"), 0);

    let more = [("decision", "allow"), ("allow:email", "yes"), ("allow:admin", "yes"), ("allow:profile", "yes")];
    let more = [&more[..], &[("scope", "openid admin"), ("redirect_uri", "https://evil.example")]].concat();
    let back = browser.submit(&page, &path, &more).returning();
    assert_eq!(back.to, "https://shop.example/cb");
    assert_eq!(redeem(&app, "shop", &back.code()).scope, "email openid");
}

#[test]
fn an_api_is_called_by_its_name() {
    let config = oidc::CLIENTS.to_owned() + "\n[resources.\"https://api.example\"]\nname = \"Orders of Acme\"\n";
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    let (mut browser, _) = app.person();
    for (resource, name) in
        [("https://api.example", "Orders of Acme"), ("https://other-api.example", "https://other-api.example")]
    {
        let ask = Ask::of("house").with("resource", resource).with("prompt", "consent");
        let path = ask.send(&mut browser).waits();
        let page = browser.get(&path).expect(200).body;
        assert!(page.contains(&format!("<li><bdi>{name}</bdi></li>")), "{resource}: {page}");
    }
}

#[test]
fn no_is_an_answer() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let path = Ask::of("shop").send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    let back = browser.submit(&page, &path, &[("decision", "deny")]).returning();
    assert_eq!((back.error(), back.get("state")), ("access_denied", Some("the state")));
    assert_eq!(app.events("authorization.denied"), 1);
    assert_eq!(browser.get(&path).status, 400);
    assert_eq!(Ask::of("shop").with("prompt", "none").send(&mut browser).back().error(), "consent_required");
    let path = Ask::of("house").with("prompt", "login").send(&mut browser).waits();
    assert!(browser.get(&path).body.contains(&format!("{path}/cancel")));
    assert_eq!(browser.get(&format!("{path}/cancel")).back().error(), "access_denied");
}

#[test]
fn people_see_what_they_allowed_and_take_it_back() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let (mut other, _) = app.person();
    let scope = "openid email offline_access";
    let tokens = redeem(&app, "shop", &allow(&mut browser, &Ask::of("shop").with("scope", scope)));
    allow(&mut other, &Ask::of("shop"));
    allow(&mut browser, &Ask::of("app"));

    let listed = browser.get("/v1/me/consents").expect(200).json()["consents"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let shop = listed.as_array().unwrap().iter().find(|one| one["clientId"] == "shop").unwrap();
    assert_eq!((&shop["name"], &shop["scope"]), (&json!("Shop"), &json!("email offline_access openid")));
    let page = browser.get("/account/apps").expect(200);
    assert!(page.body.contains("Shop") && page.body.contains("value=\"app\""), "{}", page.body);

    let reply = browser.submit(&page, "/account/apps/remove", &[("client", "app")]);
    assert_eq!(reply.header("location"), Some("/account/apps?done=app-removed"));
    browser.call("DELETE", "/v1/me/consents/shop", None).expect(200);
    browser.call("DELETE", "/v1/me/consents/shop", None).expect_problem(404, "not_found");
    assert_eq!(browser.get("/v1/me/consents").expect(200).json()["consents"], json!([]));
    assert_eq!(app.events("consent.revoked"), 2);
    oidc::refresh(&app, "shop", &tokens.refresh, &[]).expect_oauth(400, "invalid_grant");
    assert_eq!(app.introspection(&tokens.access), r#"{"active":false}"#);
    assert_eq!(Ask::of("shop").with("prompt", "none").send(&mut browser).back().error(), "consent_required");
    Ask::of("shop").with("prompt", "none").send(&mut other).back().code();
}

/// OpenID Connect Core §4: the list of apps links to where an app begins a sign-in.
#[test]
fn the_list_of_apps_opens_an_app() {
    let config = oidc::CLIENTS
        .replace("[clients.shop]", "[clients.shop]\ninitiate_login_uri = \"https://shop.example/login?from=us\"");
    let app = TestApp::with(&crate::support::Options { config: &config, ..crate::support::Options::default() });
    let (mut browser, _) = app.person();
    for client in ["shop", "app"] {
        let path = Ask::of(client).send(&mut browser).waits();
        let page = browser.get(&path).expect(200);
        browser.submit(&page, &path, &[("decision", "allow")]).returning().code();
    }
    let page = browser.get("/account/apps").expect(200).body;
    let issuer: String = url::form_urlencoded::byte_serialize(app.origin.as_bytes()).collect();
    assert!(page.contains(&format!("https://shop.example/login?from=us&#38;iss={issuer}\"")), "{page}");
    assert!(page.contains("Open Shop") && !page.contains("Open App"), "{page}");
}
