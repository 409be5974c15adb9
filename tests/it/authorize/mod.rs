//! The authorization endpoint over HTTP: what is refused where, who is asked what, and how responses are delivered.

mod answers;
mod consent;

use chrono::Duration;
use serde_json::json;

use crate::routes::csrf_of;
use crate::support::jose::Key;
use crate::support::oidc::{Ask, present, redeem};
use crate::support::tokens::{claims, header};
use crate::support::{Browser, Reply, TestApp, oidc};

/// Allows what is asked for on the page of a waiting request. Returns the code.
pub fn allow(browser: &mut Browser, ask: &Ask) -> String {
    let path = ask.send(browser).waits();
    let page = browser.get(&path).expect(200);
    let ticked: Vec<(String, &str)> = ticks(&page).into_iter().map(|name| (name, "yes")).collect();
    let mut fields: Vec<(&str, &str)> = ticked.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    fields.push(("decision", "allow"));
    browser.submit(&page, &path, &fields).returning().code()
}

#[track_caller]
fn expect_page(reply: &Reply, status: u16, words: &str) {
    assert_eq!(reply.status, status, "{}", reply.body);
    assert_eq!(reply.header("location"), None);
    assert!(reply.header("content-type").unwrap().starts_with("text/html"));
    assert!(reply.body.contains(words), "{words:?} in {}", reply.body);
    assert!(!reply.body.contains("http-equiv=\"refresh\""));
}

/// OpenID Connect Core §3.1.2.1: unknown parameters are ignored, and hints prove nothing.
#[test]
fn hints_and_unknown_parameters_change_nothing() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    for (name, value) in [
        ("extra", "foobar"),
        ("display", "popup"),
        ("display", "../../x"),
        ("ui_locales", "se"),
        ("ui_locales", "../../etc/passwd"),
        ("claims_locales", "se"),
        ("login_hint", "buffy@id.example"),
        ("acr_values", "1 2"),
        ("acr_values", "phr"),
        ("id_token_hint", "eyJhbGciOiJIUzI1NiJ9.e30.x"),
        ("max_age", "10000"),
        ("claims", r#"{"userinfo":{"name":{"essential":true}},"unknown":{}}"#),
        ("response_mode", "query"),
        ("scope", "email openid"),
    ] {
        let code = Ask::of("house").with(name, value).send(&mut browser).back().code();
        let id = claims(&redeem(&app, "house", &code).id);
        assert_eq!(id["acr"], "phr", "{name}: what happened, and nothing more");
        assert!(id.get("name").is_none());
    }
    // RFC 6749 §3.1: the order of parameters does not matter.
    let ask = Ask::of("house").path();
    let (path, query) = ask.split_once('?').unwrap();
    let backwards: Vec<&str> = query.split('&').rev().collect();
    browser.visit(&format!("{path}?{}", backwards.join("&"))).back().code();
}

#[test]
fn a_stranger_signs_in_on_the_way() {
    let app = oidc::app();
    let mut passkey = app.passkey();
    app.browser().sign_up(&mut passkey);
    let mut browser = app.browser();
    let ask = Ask::of("house").with("login_hint", "buffy@id.example");
    let path = ask.send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    for words in ["House", "house.example", "value=\"buffy@id.example\"", &path] {
        assert!(page.body.contains(words), "{words:?} in {}", page.body);
    }
    assert!(!page.body.contains("readonly"), "another address may be written");
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    browser.sign_in(&mut passkey).expect(200);
    let back = browser.get(&path).back();
    assert_eq!((back.to.as_str(), back.get("state")), ("https://house.example/cb", Some("the state")));
    redeem(&app, "house", &back.code());
    expect_page(&browser.get(&path), 400, "");
    // Nothing that is added in the browser later is read.
    let path = ask.with("prompt", "login").send(&mut browser).waits();
    let page = browser.get(&format!("{path}?prompt=none&scope=admin&redirect_uri=https://evil.example")).expect(200);
    assert!(!page.body.contains("evil.example"));
}

/// Security rule 10: what is added to the address of a waiting request is not read, before or after a sign-in.
#[test]
fn the_address_of_a_waiting_request_changes_nothing() {
    let app = oidc::app();
    let mut passkey = app.passkey();
    app.browser().sign_up(&mut passkey);
    let mut browser = app.browser();
    let path = Ask::of("house").with("nonce", "mine").send(&mut browser).waits();
    let other = Ask::of("shop")
        .with("scope", "openid email")
        .with("state", "theirs")
        .with("nonce", "theirs")
        .with("prompt", "login")
        .with("response_mode", "form_post")
        .with("code_challenge", &oidc::CHALLENGE.replace('E', "F"));
    let changed = |path: &str| other.path().replace("/oauth/authorize", path);
    browser.get(&changed(&format!("{path}/another"))).expect(200);
    browser.get(&changed(&path)).expect(200);
    browser.sign_in(&mut passkey).expect(200);
    let back = browser.get(&changed(&path)).back();
    assert_eq!((back.to.as_str(), back.get("state")), ("https://house.example/cb", Some("the state")));
    let tokens = redeem(&app, "house", &back.code());
    assert_eq!((tokens.scope.as_str(), &claims(&tokens.id)["nonce"]), ("openid", &json!("mine")));
}

/// Security rule 21: the page is the same for an address that somebody has and for one that nobody has.
#[test]
fn a_login_hint_does_not_tell_who_has_an_account() {
    let app = oidc::app();
    app.ada();
    let words = |hint: &str| {
        let mut stranger = app.browser();
        let ask = Ask::of("house").with("login_hint", hint);
        assert_eq!(ask.clone().with("prompt", "none").send(&mut stranger).back().error(), "login_required");
        let path = ask.send(&mut stranger).waits();
        let page = stranger.get(&path).expect(200).body;
        assert!(page.contains(&format!("value=\"{hint}\"")), "{page}");
        // Handles, challenges and nonces are new each time, and the time changes.
        let lasts = |word: &&str| word.len() < 20 && !word.bytes().all(|b| b.is_ascii_digit());
        let between = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_');
        page.replace(hint, "").split(between).filter(lasts).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words("ada@example.com"), words("nobody@example.com"));
}

/// Security rule 25: a language is always one of ours, whatever is requested.
#[test]
fn a_wish_for_a_language_or_a_display_names_no_file() {
    let app = oidc::app();
    let mut browser = app.browser();
    for wish in ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "C:\\passwd", "en/../passwd"] {
        let ask = Ask::of("house").with("ui_locales", wish).with("claims_locales", wish).with("display", wish);
        let path = ask.send(&mut browser).waits();
        let request = browser.request("GET", &path).header("Accept-Language", wish);
        let page = browser.send(request).expect(200);
        assert!(page.body.contains("<html lang=\"en\"") && !page.body.contains("passwd"), "{wish}: {}", page.body);
    }
}

/// OpenID Connect Core §3.1.2.1 and the conformance modules prompt-none-*.
#[test]
fn silence_is_kept() {
    let app = oidc::app();
    let mut stranger = app.browser();
    let (mut person, _) = app.person();
    let state = "s".repeat(128);
    let silent = |client: &str| Ask::of(client).with("prompt", "none").with("state", &state);
    let refused = |reply: Reply| {
        let back = reply.back();
        assert_eq!(back.get("state"), Some(state.as_str()));
        back.error().to_owned()
    };
    assert_eq!(refused(silent("house").send(&mut stranger)), "login_required");
    assert_eq!(refused(silent("shop").send(&mut stranger)), "login_required");
    assert_eq!(refused(silent("shop").send(&mut person)), "consent_required");
    assert_eq!(refused(silent("native").send(&mut person)), "consent_required");
    assert_eq!(refused(silent("tool").send(&mut person)), "interaction_required");
    let first = claims(&redeem(&app, "house", &silent("house").send(&mut person).back().code()).id);
    app.advance(Duration::seconds(2));
    assert_eq!(refused(silent("house").with("max_age", "1").send(&mut person)), "login_required");
    let second = claims(&redeem(&app, "house", &silent("house").send(&mut person).back().code()).id);
    assert_eq!((&first["sub"], &first["auth_time"]), (&second["sub"], &second["auth_time"]));
    assert_eq!(app.count("SELECT count(*) AS n FROM interactions"), 0, "and nothing waits");
    // A form sends no cookies; its response is the same, through our page.
    let path = silent("house").post(&app).waits();
    assert_eq!(refused(stranger.get(&path)), "login_required");
    let path = silent("house").post(&app).waits();
    person.get(&path).back().code();
}

#[test]
fn prompt_login_and_max_age_want_a_new_proof() {
    let app = oidc::app();
    let (mut browser, mut passkey) = app.person();
    let first = claims(&redeem(&app, "house", &Ask::of("house").send(&mut browser).back().code()).id);
    for (name, ask) in [
        ("login", Ask::of("house").with("prompt", "login")),
        ("one second", Ask::of("house").with("max_age", "1")),
        ("no second", Ask::of("house").with("max_age", "0")),
    ] {
        app.advance(Duration::seconds(2));
        let asked_at = app.clock.now().timestamp();
        let path = ask.send(&mut browser).waits();
        let page = browser.get(&path).expect(200);
        assert!(page.body.contains("data-ceremony=\"step-up\""), "{name}: the session is not enough");
        browser.get(&path).expect(200);
        // A proof from before the request does not count for it, whichever tab it was made in.
        let other = Ask::of("house").with("prompt", "login").send(&mut browser.clone()).waits();
        browser.get(&other).expect(200);
        app.advance(Duration::seconds(1));
        browser.step_up(&mut passkey).expect(200);
        let id = claims(&redeem(&app, "house", &browser.get(&path).back().code()).id);
        assert!(id["auth_time"].as_i64() > Some(asked_at), "{name}: later than the request");
        assert_eq!(id["sub"], first["sub"]);
        assert_eq!(browser.get(&path).status, 400, "{name}: going back gives nothing more");
        let again = ask.send(&mut browser);
        if name != "one second" {
            again.waits();
        }
    }
    let long = |age: &str| Ask::of("house").with("max_age", age);
    let one = claims(&redeem(&app, "house", &long("15000").send(&mut browser).back().code()).id);
    let two = claims(&redeem(&app, "house", &long("10000").send(&mut browser).back().code()).id);
    assert!(one["auth_time"].is_i64());
    assert_eq!((&one["auth_time"], &one["sub"]), (&two["auth_time"], &two["sub"]));
}

#[test]
fn an_id_token_hint_names_the_person() {
    let app = oidc::app();
    let (mut one, _) = app.person();
    let (mut two, mut other) = app.person();
    let hint = redeem(&app, "house", &Ask::of("house").send(&mut one).back().code()).id;
    let foreign = redeem(&app, "spa", &Ask::of("spa").send(&mut two).back().code()).id;
    let hinted = |hint: &str| Ask::of("house").with("id_token_hint", hint);
    app.advance(Duration::days(2));
    hinted(&hint).with("prompt", "none").send(&mut one).back().code();
    assert_eq!(hinted(&hint).with("prompt", "none").send(&mut two).back().error(), "login_required");
    hinted(&foreign).with("prompt", "none").send(&mut one).back().code();
    let mut forged: Vec<&str> = hint.split('.').collect();
    forged[2] = "AAAA";
    for none in [forged.join("."), Key::rsa().sign(&header(&hint), &claims(&hint))] {
        hinted(&none).with("prompt", "none").send(&mut two).back().code();
    }
    // Not silently: the page offers to sign in as somebody else, and going on as the same person is refused.
    let path = hinted(&hint).send(&mut two).waits();
    assert!(two.get(&path).expect(200).body.contains("data-ceremony=\"get\""));
    two.sign_in(&mut other).expect(200);
    assert_eq!(two.get(&path).back().error(), "login_required");

    let sub = claims(&hint)["sub"].as_str().unwrap().to_owned();
    let claim = json!({ "id_token": { "sub": { "value": sub } } }).to_string();
    let about = Ask::of("house").with("claims", &claim).with("prompt", "none");
    about.send(&mut one).back().code();
    assert_eq!(about.send(&mut two).back().error(), "login_required");
}

#[test]
fn an_authentication_context_is_tried_for_and_never_invented() {
    let app = oidc::app();
    let (mut browser, mut passkey) = app.person();
    app.sql("UPDATE sessions SET acr = '1', amr = ARRAY['pop', 'swk']");
    let plain = claims(&redeem(&app, "house", &Ask::of("house").send(&mut browser).back().code()).id);
    assert_eq!((&plain["acr"], &plain["amr"]), (&json!("1"), &json!(["pop", "swk"])));
    let wanted = Ask::of("house").with("acr_values", "phr");
    let silent =
        claims(&redeem(&app, "house", &wanted.clone().with("prompt", "none").send(&mut browser).back().code()).id);
    assert_eq!(silent["acr"], "1", "a wish is no condition");
    let path = wanted.send(&mut browser).waits();
    assert!(browser.get(&path).expect(200).body.contains("step-up"));
    app.advance(Duration::seconds(1));
    browser.step_up(&mut passkey).expect(200);
    assert_eq!(claims(&redeem(&app, "house", &browser.get(&path).back().code()).id)["acr"], "phr");

    // A level that nobody can reach is not tried for: confirming again would change nothing.
    let wished = Ask::of("house").with("acr_values", "phrh").send(&mut browser).back();
    assert_eq!(claims(&redeem(&app, "house", &wished.code()).id)["acr"], "phr");
    let attested = Ask::of("house").with("claims", r#"{"id_token":{"acr":{"essential":true,"values":["phrh"]}}}"#);
    for asked in [attested.clone(), attested.with("prompt", "none")] {
        assert_eq!(asked.send(&mut browser).back().error(), "unmet_authentication_requirements");
    }
}

#[test]
fn choosing_an_account() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let (mut elsewhere, mut other) = app.person();
    let ask = Ask::of("house").with("prompt", "select_account");
    let path = ask.send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    assert!(page.body.contains("value=\"continue\"") && page.body.contains("value=\"another\""), "{}", page.body);
    let back = browser.submit(&page, &path, &[("decision", "continue")]).returning();
    redeem(&app, "house", &back.code());

    let path = ask.send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    let reply = browser.submit(&page, &path, &[("decision", "another")]);
    assert_eq!((reply.status, reply.header("location")), (303, Some(format!("{path}/another").as_str())));
    assert!(browser.get(&format!("{path}/another")).expect(200).body.contains("data-ceremony=\"get\""));
    app.advance(Duration::seconds(1));
    browser.sign_in(&mut other).expect(200);
    let id = claims(&redeem(&app, "house", &browser.get(&path).back().code()).id);
    assert_eq!(id["sub"], elsewhere.get("/v1/me").json()["id"]);

    // A choice in one browser is not a choice for another.
    let path = Ask::of("tool").send(&mut browser).waits();
    app.sql("UPDATE interactions SET chosen_by = (SELECT id FROM sessions ORDER BY created_at LIMIT 1)");
    elsewhere.get(&path).expect(200);
}

/// Check 33: whatever is posted, the session and the stored request determine the next step.
#[test]
fn no_step_is_skipped_whatever_is_posted() {
    let app = oidc::app_with(&[("trusted_proxies", "127.0.0.1")]);
    let (mut browser, mut passkey) = app.person();
    app.sql("UPDATE sessions SET acr = '1', amr = ARRAY['pop', 'swk']");
    let token = csrf_of(&mut browser);
    let (csrf, sender) = (("csrf", token.as_str()), browser.clone());
    let post = |path: &str, form: &[(&str, &str)]| {
        sender.request("POST", path).header("X-Forwarded-For", "nobody, ::g").form(form).send()
    };
    let codes = || app.count("SELECT count(*) AS n FROM authorization_codes");
    let meant = |claims: &str| Ask::of("house").with("claims", claims);
    for (name, ask, decisions) in [
        ("a new proof is due", Ask::of("house").with("prompt", "login"), &["allow", "continue"][..]),
        ("the proof is too old", Ask::of("house").with("max_age", "0"), &["allow", "continue"]),
        (
            "a stronger proof is due",
            meant(r#"{"id_token":{"acr":{"essential":true,"value":"phr"}}}"#),
            &["allow", "continue"],
        ),
        ("somebody else is meant", meant(r#"{"id_token":{"sub":{"value":"else"}}}"#), &["allow", "continue"]),
        ("an account is to be made", Ask::of("house").with("prompt", "create"), &["allow", "continue"]),
        ("an account is to be chosen", Ask::of("shop").with("prompt", "select_account"), &["allow"]),
        ("nothing is allowed yet", Ask::of("shop"), &["continue"]),
    ] {
        let path = ask.send(&mut browser).waits();
        for decision in decisions {
            let reply = post(&path, &[csrf, ("decision", *decision)]);
            assert_eq!((reply.status, reply.header("location")), (303, Some(path.as_str())), "{name}: {decision}");
        }
        for (form, status) in [
            (&[][..], 403),
            (&[csrf], 400),
            (&[csrf, ("decision", "deny"), ("decision", "allow")], 400),
            (&[csrf, ("decision", "allow"), ("step", "consent"), ("step", "issue")], 400),
        ] {
            assert_eq!(post(&path, form).status, status, "{name}: {form:?}");
        }
    }
    assert_eq!(codes(), 0);
    let path = Ask::of("house").with("prompt", "login").send(&mut browser).waits();
    app.advance(Duration::seconds(1));
    browser.step_up(&mut passkey).expect(200);
    browser.get(&path).back().code();
    assert_eq!(codes(), 1);
}

#[test]
fn a_waiting_request_ends_in_time_with_its_session_and_is_bound_to_nobody_else() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let path = Ask::of("shop").send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    app.advance(Duration::minutes(15));
    assert_eq!(browser.get(&path).status, 400);
    assert_eq!(browser.submit(&page, &path, &[("decision", "allow")]).status, 400);

    let path = Ask::of("shop").send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    let mut kept = browser.clone();
    browser.call("DELETE", "/v1/session", None).expect(200);
    assert_eq!(kept.submit(&page, &path, &[("decision", "allow")]).status, 303, "sign in first");
    assert_eq!(app.count("SELECT count(*) AS n FROM authorization_codes"), 0);
    for handle in ["pmi_x", "x", "pma_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(browser.get(&format!("/oauth/interaction/{handle}")).status, 400);
    }
}

#[test]
fn an_answer_is_given_once_however_often_it_is_allowed() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let path = Ask::of("shop").send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    let statuses =
        crate::support::tokens::at_once(32, |_| browser.clone().submit(&page, &path, &[("decision", "allow")]).status);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(app.count("SELECT count(*) AS n FROM authorization_codes"), 1);
}

#[test]
fn a_disabled_person_gets_no_code_and_no_tokens() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let code = Ask::of("house").send(&mut browser).back().code();
    let path = Ask::of("shop").send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    app.sql("UPDATE users SET status = 'disabled'");
    present(&app, "house", &code).expect_oauth(400, "invalid_grant");
    Ask::of("house").send(&mut browser).waits();
    assert!(browser.get(&path).expect(200).body.contains("data-ceremony=\"get\""));
    let late = browser.submit(&page, &path, &[("decision", "allow")]);
    assert!(late.header("location").is_some_and(|to| to.starts_with("/?next=")), "{}", late.body);
    assert_eq!(app.count("SELECT count(*) AS n FROM authorization_codes"), 1, "the one from before");
}

#[test]
fn requests_are_counted() {
    let app = TestApp::with(&crate::support::Options {
        config: oidc::CLIENTS,
        settings: &[("limits.enabled", "true"), ("limits.starts_per_minute", "1"), ("limits.starts_burst", "3")],
        ..Default::default()
    });
    let mut browser = app.browser();
    let (ask, silent) = (Ask::of("house"), Ask::of("house").with("prompt", "none"));
    for _ in 0..3 {
        ask.send(&mut browser).waits();
        // A request that is answered at once does not count as a start.
        assert_eq!(silent.send(&mut browser).back().error(), "login_required");
    }
    let reply = ask.send(&mut browser);
    assert_eq!((reply.status, reply.header("location")), (429, None));
    assert!(reply.header("retry-after").is_some());
    let again = format!("href=\"{}\">Try again</a>", ask.path().replace('&', "&#38;"));
    assert!(reply.body.contains(&again), "the same request: {}", reply.body);
    assert_eq!(ask.post(&app).status, 429);
    assert_eq!(silent.send(&mut browser).back().error(), "login_required");
    // Another site's form has to wait for its cookies. If there is no room for it to wait, and no page may be shown,
    // the app gets the error.
    let back = silent.post(&app).back();
    assert_eq!((back.error(), back.get("state")), ("temporarily_unavailable", Some("the state")));
    assert_eq!(app.count("SELECT count(*) AS n FROM interactions"), 3);
}

/// Security rule 13: `state` and `nonce` come back exactly as sent, also from a request that waited or was pushed.
#[test]
fn hostile_bytes_survive_a_request_that_waits() {
    let app = oidc::app();
    let (state, nonce) = ("a\0b\u{1f} \u{202e}%00\"<&", "n\0\u{7f}");
    let ask = Ask::of("shop").with("state", state).with("nonce", nonce);
    let (mut browser, _) = app.person();
    let path = ask.send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    let back = browser.submit(&page, &path, &[("decision", "allow")]).returning();
    assert_eq!(back.get("state"), Some(state));
    assert_eq!(claims(&redeem(&app, "shop", &back.code()).id)["nonce"], nonce);
    let form = [ask.pairs(), vec![("client_secret", crate::support::API_SECRET)]].concat();
    app.request("POST", "/oauth/par").form(&form).send().expect(201);
}

/// The names of a page's checkboxes.
fn ticks(page: &Reply) -> Vec<String> {
    let boxes = page.body.split("type=\"checkbox\" name=\"").skip(1);
    boxes.map(|rest| rest.split_once('"').unwrap().0.to_owned()).collect()
}
