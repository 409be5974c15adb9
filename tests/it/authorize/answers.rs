//! Where a response is sent, and in which form.

use serde_json::json;

use super::expect_page;
use crate::support::oidc;
use crate::support::oidc::{Ask, redeem};
use crate::support::tokens::claims;

const NOT_REGISTERED: &str = "redirect_uri";

/// RFC 9700 §2.1 and §4.1: a URI that differs from a registered string is answered here, and never redirected to.
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
                // Larger than any header and any body that we accept.
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
    // Always required, from a client with several redirect URIs as from one with a single one.
    for client in ["house", "spa"] {
        expect_page(&Ask::of(client).without("redirect_uri").send(&mut browser.clone()), 400, "redirect_uri");
    }
}

/// RFC 8252 §7.3: the port may vary for a loopback address, but not for a name.
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

/// Every later refusal goes back to the client, with `state` and `iss`, and nothing else.
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

/// RFC 9700 §4.11.2: a faulty link must not lead through us to an address that somebody registered.
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

/// Conformance module ensure-post-request-succeeds, trap 4: another site's form does not send our cookies.
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

/// OpenID Connect Session Management §3: a code comes with the value that an app's page compares, and the cookie it is
/// computed from.
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
