//! The authorization endpoint over HTTP: what is refused where, who is asked what, and how answers travel.

use chrono::Duration;
use serde_json::json;

use crate::routes::csrf_of;
use crate::support::jose::Key;
use crate::support::oidc::{self, Ask, present, redeem};
use crate::support::tokens::{claims, header};
use crate::support::{Browser, Reply, TestApp};

/// Allows what is asked on the page that a request waits at; gives the code.
pub fn allow(browser: &mut Browser, ask: &Ask) -> String {
    let path = ask.send(browser).waits();
    let page = browser.get(&path).expect(200);
    let ticked: Vec<(String, &str)> = ticks(&page).into_iter().map(|name| (name, "yes")).collect();
    let mut fields: Vec<(&str, &str)> = ticked.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    fields.push(("decision", "allow"));
    browser.submit(&page, &path, &fields).returning().code()
}

/// The names of a page's tick boxes.
fn ticks(page: &Reply) -> Vec<String> {
    let boxes = page.body.split("type=\"checkbox\" name=\"").skip(1);
    boxes.map(|rest| rest.split_once('"').unwrap().0.to_owned()).collect()
}

#[track_caller]
fn expect_page(reply: &Reply, status: u16, words: &str) {
    assert_eq!(reply.status, status, "{}", reply.body);
    assert_eq!(reply.header("location"), None);
    assert!(reply.header("content-type").unwrap().starts_with("text/html"));
    assert!(reply.body.contains(words), "{words:?} in {}", reply.body);
    assert!(!reply.body.contains("http-equiv=\"refresh\""));
}

const NOT_REGISTERED: &str = "redirect_uri";

/// RFC 9700 §2.1 and §4.1: whatever differs from a registered string is answered here, and never redirected.
#[test]
fn nothing_but_a_registered_redirect_uri_is_redirected_to() {
    let app = oidc::app();
    let (browser, _) = app.person();
    let [fits, long] = [8, 64].map(|kib| format!("https://house.example/cb{}", "a".repeat(kib * 1024)));
    for bad in [
        "https://house.example/cb/",
        "https://house.example/cb/x",
        "https://house.example/cb/../cb",
        "https://house.example/%2e%2e/cb",
        "https://house.example/c%62",
        "https://house.example/%2563b",
        "https://house.example/cb?",
        "https://house.example/cb?from=us&more=1",
        "https://house.example/cb?from=them",
        "https://house.example/cb#",
        "https://house.example/cb#x",
        "https://house.example:443/cb",
        "https://house.example:8443/cb",
        "https://house.example@evil.example/cb",
        "https://ok@house.example/cb",
        "https://house.example.evil.example/cb",
        "https://HOUSE.example/cb",
        "HTTPS://house.example/cb",
        "http://house.example/cb",
        "https://hоuse.example/cb",
        "https://xn--huse-55d.example/cb",
        "https://house.example\\cb",
        "https://house.example\\@evil.example/cb",
        "https://house.example/cb\t",
        "https://house.example/cb\r\nLocation: https://evil.example",
        "//house.example/cb",
        "/cb",
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "https://spa.example/cb",
        "http://127.0.0.1/cb",
        &fits,
        &long,
    ] {
        for prompt in ["login", "none"] {
            let ask = Ask::of("house").with("redirect_uri", bad).with("prompt", prompt);
            if bad.len() > 10_000 {
                // Larger than any head and any body we take.
                let get = format!("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", ask.path());
                for reply in [Some(ask.post(&app)), crate::raw::ask(&app.url, get.as_bytes())].into_iter().flatten() {
                    assert!([400, 413, 431].contains(&reply.status), "{}", reply.status);
                    assert_eq!(reply.header("location"), None);
                }
                continue;
            }
            let reply = ask.send(&mut browser.clone());
            expect_page(&reply, 400, NOT_REGISTERED);
            assert!(!reply.body.contains("<script>alert"), "{bad}: printed as text");
            assert!(!reply.body.contains(&format!("href=\"{bad}")), "{bad}: no link either");
        }
    }
    let empty = Ask::of("house").with("redirect_uri", "").send(&mut browser.clone());
    expect_page(&empty, 400, "redirect_uri");
    // Named always: by a client with several, and by one with a single one.
    for client in ["house", "spa"] {
        expect_page(&Ask::of(client).without("redirect_uri").send(&mut browser.clone()), 400, "redirect_uri");
    }
}

/// RFC 8252 §7.3: of a loopback address the port may vary, of a name it may not.
#[test]
fn a_native_app_chooses_its_port() {
    let app = oidc::app();
    let mut browser = app.browser();
    for good in [
        "http://127.0.0.1/cb",
        "http://127.0.0.1:1/cb",
        "http://127.0.0.1:65535/cb",
        "http://[::1]:7000/cb",
        "http://localhost:7000/cb",
        "com.example.native:/cb",
    ] {
        Ask::of("native").with("redirect_uri", good).send(&mut browser).waits();
        let back = Ask::of("native").with("redirect_uri", good).with("prompt", "none").send(&mut browser).back();
        assert_eq!((back.to.as_str(), back.error()), (good, "login_required"));
    }
    for bad in [
        "http://127.0.0.2/cb",
        "http://0.0.0.0/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://localhost:7001/cb",
        "http://localhost.evil.example:7000/cb",
        "com.example.native:/other",
        "com.example.other:/cb",
    ] {
        expect_page(&Ask::of("native").with("redirect_uri", bad).send(&mut browser), 400, NOT_REGISTERED);
    }
}

/// RFC 6749 §4.1.2.1, RFC 9700 §4.11.
#[test]
fn before_the_client_is_proven_nothing_is_redirected() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    for (name, ask) in [
        ("unknown", Ask::of("house").with("client_id", "nobody")),
        ("none", Ask::of("house").without("client_id")),
        ("twice", Ask::of("house").and("client_id", "house")),
        ("the redirect URI twice", Ask::of("house").and("redirect_uri", "https://evil.example/")),
        ("the redirect URI twice, alike", Ask::of("house").and("redirect_uri", "https://house.example/cb")),
    ] {
        for ask in [ask.clone(), ask.with("prompt", "none")] {
            let reply = ask.send(&mut browser);
            assert_eq!((reply.status, reply.header("location")), (400, None), "{name}");
        }
    }
    app.sql("UPDATE clients SET disabled_at = now() WHERE id = 'house'");
    let twin = app.twin();
    let reply = twin.request("GET", &Ask::of("house").with("prompt", "none").path()).send();
    assert_eq!((reply.status, reply.header("location")), (400, None), "disabled");
}

/// Every refusal after that goes back to the client, with `state` and `iss`, and nothing else.
#[test]
fn what_is_wrong_is_told_at_the_redirect_uri() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let long = |n: usize| "a".repeat(n);
    let scopes = (0..2000).map(|n| format!("s{n}")).collect::<Vec<_>>().join(" ");
    for (name, ask, error) in [
        ("no response type", Ask::of("house").without("response_type"), "invalid_request"),
        ("token", Ask::of("house").with("response_type", "token"), "unsupported_response_type"),
        ("hybrid", Ask::of("house").with("response_type", "code id_token"), "unsupported_response_type"),
        ("fragment", Ask::of("house").with("response_mode", "fragment"), "invalid_request"),
        ("scope twice", Ask::of("house").and("scope", "openid"), "invalid_request"),
        ("anything twice", Ask::of("house").and("x", "1").and("x", "1"), "invalid_request"),
        ("a request object", Ask::of("house").with("request", "eyJhbGciOiJub25lIn0.e30."), "request_not_supported"),
        ("a request URI", Ask::of("house").with("request_uri", "https://house.example/r"), "invalid_request_uri"),
        ("registration", Ask::of("house").with("registration", "{}"), "registration_not_supported"),
        ("a scope not allowed", Ask::of("house").with("scope", "openid admin"), "invalid_scope"),
        ("2,000 scopes", Ask::of("house").with("scope", &scopes), "invalid_scope"),
        ("a scope twice in one", Ask::of("house").with("scope", "openid openid"), "invalid_scope"),
        ("a scope with an umlaut", Ask::of("house").with("scope", "öpenid"), "invalid_scope"),
        ("none and login", Ask::of("house").with("prompt", "none login"), "invalid_request"),
        ("an unknown prompt", Ask::of("house").with("prompt", "now"), "invalid_request"),
        ("a negative age", Ask::of("house").with("max_age", "-1"), "invalid_request"),
        ("an endless age", Ask::of("house").with("max_age", "18446744073709551616"), "invalid_request"),
        ("no challenge of a public client", Ask::of("spa").without_pkce(), "invalid_request"),
        ("plain", Ask::of("house").with("code_challenge_method", "plain"), "invalid_request"),
        ("no method", Ask::of("house").without("code_challenge_method"), "invalid_request"),
        ("42 characters", Ask::of("house").with("code_challenge", &oidc::CHALLENGE[1..]), "invalid_request"),
        ("129 characters", Ask::of("house").with("code_challenge", &long(129)), "invalid_request"),
        (
            "not base64url",
            Ask::of("house").with("code_challenge", &format!("{}+", &oidc::CHALLENGE[1..])),
            "invalid_request",
        ),
        ("a long nonce", Ask::of("house").with("nonce", &long(513)), "invalid_request"),
        ("broken claims", Ask::of("house").with("claims", "[]"), "invalid_request"),
        ("long claims", Ask::of("house").with("claims", &format!("{{\"x\":\"{}\"}}", long(4096))), "invalid_request"),
        ("an unknown resource", Ask::of("house").with("resource", "https://unknown.example"), "invalid_target"),
        ("a resource with a fragment", Ask::of("house").with("resource", "https://api.example#x"), "invalid_target"),
        ("a broken dpop_jkt", Ask::of("house").with("dpop_jkt", "x"), "invalid_request"),
        (
            "an essential acr out of reach",
            Ask::of("house").with("claims", r#"{"id_token":{"acr":{"essential":true,"value":"urn:gold"}}}"#),
            "unmet_authentication_requirements",
        ),
    ] {
        let back = ask.send(&mut browser).back();
        assert_eq!(back.error(), error, "{name}");
        assert_eq!((back.get("state"), back.get("iss")), (Some("the state"), Some(app.origin.as_str())), "{name}");
        assert_eq!(back.parameters.len(), 4, "{name}: {}", back.url);
        let plain = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
        assert!(back.get("error_description").unwrap().chars().all(plain), "{name}");
    }
    let twice = Ask::of("house").and("state", "another").send(&mut browser).back();
    assert_eq!((twice.error(), twice.get("state")), ("invalid_request", None), "neither of two states");
    let refused = Ask::of("web").with("redirect_uri", "https://web.example/cb").send(&mut browser);
    expect_page(&refused, 400, NOT_REGISTERED);
}

/// RFC 9700 §4.11.2: a link with a fault in it must not lead through us to wherever somebody registered.
#[test]
fn strangers_see_our_page_before_a_third_party_app_gets_its_error() {
    let app = oidc::app();
    let mut stranger = app.browser();
    let (mut person, _) = app.person();
    let wrong = |client: &str| Ask::of(client).with("response_type", "token");
    let page = wrong("shop").send(&mut stranger);
    assert_eq!((page.status, page.header("location")), (400, None));
    assert!(page.body.contains("unsupported_response_type") && !page.body.contains("href=\"https://shop.example"));
    assert_eq!(wrong("shop").post(&app).status, 400);
    for reply in [wrong("shop").send(&mut person), wrong("house").send(&mut stranger), wrong("house").post(&app)] {
        assert_eq!(reply.back().error(), "unsupported_response_type");
    }
    let silent = wrong("shop").with("prompt", "none").send(&mut stranger).back();
    assert_eq!(silent.error(), "unsupported_response_type", "nobody was there to see a page");
}

#[test]
fn state_and_nonce_come_back_unchanged_and_absent_when_absent() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    for state in [
        "x",
        &"s".repeat(128),
        &"0123456789abcdef".repeat(128),
        "quote\" <b>&amp;</b> 'x' \\ %00 %2B + é 日本 \u{202e}",
        " leading and trailing ",
        "\0",
    ] {
        let back = Ask::of("house").with("state", state).send(&mut browser).back();
        assert_eq!(back.get("state"), Some(state));
    }
    let back = Ask::of("house").without("state").send(&mut browser).back();
    assert_eq!(back.get("state"), None);
    assert_eq!(back.parameters.len(), 2, "{}", back.url);
    let long = Ask::of("house").with("state", &"s".repeat(4097)).send(&mut browser).back();
    assert_eq!(long.error(), "invalid_request");
    let nonce = "n".repeat(512);
    let code = Ask::of("house").with("nonce", &nonce).send(&mut browser).back().code();
    assert_eq!(claims(&redeem(&app, "house", &code).id)["nonce"], nonce.as_str());
}

#[test]
fn a_registered_query_is_kept() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let ask = Ask::of("house").with("redirect_uri", "https://house.example/cb?from=us");
    let back = ask.send(&mut browser).back();
    assert!(back.url.starts_with("https://house.example/cb?from=us&code="), "{}", back.url);
    let back = ask.with("prompt", "none login").send(&mut browser).back();
    assert!(back.url.starts_with("https://house.example/cb?from=us&error=invalid_request&"), "{}", back.url);
}

/// OpenID Connect Core §3.1.2.1: what is not understood is ignored, and hints prove nothing.
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
    // RFC 6749 §3.1: the order of parameters is of no account.
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
    // Nothing that the browser adds later is read.
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
        // Handles, challenges and nonces are new each time, and seconds pass.
        let lasts = |word: &&str| word.len() < 20 && !word.bytes().all(|b| b.is_ascii_digit());
        let between = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_');
        page.replace(hint, "").split(between).filter(lasts).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words("ada@example.com"), words("nobody@example.com"));
}

/// Security rule 25: a language is one of ours, whatever is asked for.
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
    // A form has no cookies; its answer is the same, by our page.
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
        // A proof from before the request does not count for it, in whichever tab.
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
    // Not silently: the page to sign in as somebody else; who insists is refused.
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

    let attested = Ask::of("house").with("claims", r#"{"id_token":{"acr":{"essential":true,"values":["phrh"]}}}"#);
    let path = attested.send(&mut browser).waits();
    app.advance(Duration::seconds(1));
    browser.step_up(&mut passkey).expect(200);
    assert_eq!(browser.get(&path).back().error(), "unmet_authentication_requirements");
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

    // Who chose in one browser chose nothing for another.
    let path = Ask::of("tool").send(&mut browser).waits();
    app.sql("UPDATE interactions SET chosen_by = (SELECT id FROM sessions ORDER BY created_at LIMIT 1)");
    elsewhere.get(&path).expect(200);
}

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

    // The same or less passes without a page, silently too; more is asked for.
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
    // What was asked and not ticked is not allowed any more; trap 2 of the conformance notes: fewer scopes pass silently.
    assert_eq!(ask.with("prompt", "none").send(&mut browser).back().error(), "consent_required");
    Ask::of("shop").with("prompt", "none").send(&mut browser).back().code();

    Ask::of("shop").with("prompt", "consent").send(&mut browser).waits();
    Ask::of("shop").with("resource", "https://api.example").send(&mut browser).waits();
    Ask::of("house").with("prompt", "consent").send(&mut browser).waits();
}

/// Security notes 39: what the form says is held against what was asked.
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

/// Check 33: whatever is posted, what comes next is what the session and the stored request call for.
#[test]
fn no_step_is_skipped_whatever_is_posted() {
    let app = oidc::app_with(&[("trusted_proxies", "127.0.0.1")]);
    let (mut browser, mut passkey) = app.person();
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
            meant(r#"{"id_token":{"acr":{"essential":true,"value":"phrh"}}}"#),
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

/// OAuth 2.0 Form Post Response Mode: success and errors alike.
#[test]
fn form_post_carries_everything_in_the_body() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let state = "\"><script>alert(1)</script>&'";
    let ask = Ask::of("house").with("response_mode", "form_post").with("state", state);
    for (ask, wanted) in [
        (ask.clone(), "name=\"code\" value=\"pma_"),
        (ask.clone().with("prompt", "none login"), "name=\"error\" value=\"invalid_request\""),
        (ask.clone().without("response_type"), "name=\"error\" value=\"invalid_request\""),
    ] {
        let page = ask.send(&mut browser);
        assert_eq!((page.status, page.header("location")), (200, None), "{}", page.body);
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("form-action 'self' https://house.example;"), "{policy}");
        assert!(page.body.contains("<form method=\"post\" action=\"https://house.example/cb\""), "{}", page.body);
        assert!(page.body.contains(wanted) && page.body.contains("name=\"iss\""), "{}", page.body);
        assert!(page.body.contains("<button") && !page.body.contains("<script>alert"), "{}", page.body);
        assert!(page.body.contains("&#34;&#62;&#60;script&#62;alert(1)"), "{}", page.body);
    }
    let mut stranger = app.browser();
    let silent = ask.with("prompt", "none").send(&mut stranger);
    assert!(silent.body.contains("value=\"login_required\""), "{}", silent.body);
}

/// Conformance module ensure-post-request-succeeds, trap 4: cookies do not come with another site's form.
#[test]
fn a_posted_request_is_finished_on_our_own_page() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let path = Ask::of("house").post(&app).waits();
    redeem(&app, "house", &browser.get(&path).back().code());
    let doubled = app.request("POST", &format!("{}&x=1", Ask::of("house").path())).form(&[("x", "2")]).send();
    assert_eq!(doubled.back().error(), "invalid_request", "address and body together");
    app.request("POST", "/oauth/authorize").json(&json!({})).send().expect(415);
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
        // What is answered at once is no start of anything.
        assert_eq!(silent.send(&mut browser).back().error(), "login_required");
    }
    let reply = ask.send(&mut browser);
    assert_eq!((reply.status, reply.header("location")), (429, None));
    assert!(reply.header("retry-after").is_some());
    let again = format!("href=\"{}\">Try again</a>", ask.path().replace('&', "&#38;"));
    assert!(reply.body.contains(&again), "the same request: {}", reply.body);
    assert_eq!(ask.post(&app).status, 429);
    assert_eq!(silent.send(&mut browser).back().error(), "login_required");
    // A form of another site has to wait for its cookies; where there is no room, and nobody to be shown a page, the app hears it.
    let back = silent.post(&app).back();
    assert_eq!((back.error(), back.get("state")), ("temporarily_unavailable", Some("the state")));
    assert_eq!(app.count("SELECT count(*) AS n FROM interactions"), 3);
}

/// Security rule 13: `state` and `nonce` come back as they were sent, also from a request that waited or was pushed.
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

/// OpenID Connect Session Management §3: with a code comes what an app's page compares, and the cookie it is made of.
#[test]
fn a_code_comes_with_the_session_state_where_it_is_wanted() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let app = oidc::app_with(&[("session.check_iframe", "true")]);
    let (mut browser, _) = app.person();
    let back = Ask::of("spa").send(&mut browser).back();
    let (hash, salt) = back.get("session_state").unwrap().split_once('.').unwrap();
    let (_, state) = browser.cookies.iter().find(|(name, _)| name.ends_with("-state")).expect("the cookie");
    let text = format!("spa https://spa.example {state} {salt}");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    assert_eq!(hash, URL_SAFE_NO_PAD.encode(digest));
    let again = Ask::of("spa").send(&mut browser).back();
    assert_ne!(again.get("session_state"), back.get("session_state"), "a fresh salt");
    let refused = Ask::of("spa").with("prompt", "none").send(&mut app.browser()).back();
    assert_eq!((refused.error(), refused.get("session_state")), ("login_required", None));

    let app = oidc::app();
    let (mut browser, _) = app.person();
    assert_eq!(Ask::of("spa").send(&mut browser).back().get("session_state"), None);
}

/// OpenID Connect Core §4: the list of apps leads to where an app begins a sign-in.
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
