//! Attacks on the authorization code flow that involve several parties (RFC 9700 §4), and what a page could leak.

use serde_json::json;

use crate::authorize::allow;
use crate::support::oidc::{self, Ask, CHALLENGE, VERIFIER, present, redemption};
use crate::support::tokens::{Tokens, basic, claims};
use crate::support::{API_SECRET, Browser, Options, TestApp};

/// What one of our apps holds between its request and the response.
struct Flow {
    ask: Ask,
    verifier: String,
    nonce: String,
}

impl Flow {
    /// The victim's challenge is the RFC's; every other party has its own.
    fn of(client: &str, verifier: &str, challenge: &str) -> Self {
        let nonce = format!("nonce of {verifier}");
        let ask = Ask::of(client).with("nonce", &nonce).with("code_challenge", challenge);
        Self { ask, verifier: verifier.to_owned(), nonce }
    }
}

/// Check 53: a code from the victim's flow, brought to the app in the attacker's own session.
#[test]
fn a_code_of_another_flow_is_of_no_use() {
    let app = oidc::app();
    let (mut victim, _) = app.person();
    let attacker = Flow::of("spa", &"a".repeat(43), "ZtNPunH49FD35FWYhT5Tv8I7vRKQJ8uxMaL0_9eHjNA");
    let theirs = Flow::of("spa", VERIFIER, CHALLENGE);
    let stolen = theirs.ask.send(&mut victim).back().code();
    let form = redemption("spa", &stolen, "https://spa.example/cb");
    let swapped: Vec<_> = form
        .iter()
        .map(|(name, value)| (*name, if *name == "code_verifier" { attacker.verifier.as_str() } else { value }))
        .collect();
    app.request("POST", "/oauth/token").form(&swapped).send().expect_oauth(400, "invalid_grant");
    // The attempt also uses the code up for everybody.
    present(&app, "spa", &stolen).expect_oauth(400, "invalid_grant");

    // A confidential client without PKCE notices it by the nonce, which is always that of the flow the code comes from.
    let plain = Flow::of("house", "-", "-");
    let code = plain.ask.clone().without_pkce().send(&mut victim).back().code();
    let mut form = redemption("house", &code, "https://house.example/cb");
    form.retain(|(name, _)| *name != "code_verifier");
    let told = app.request("POST", "/oauth/token").form(&form).send().expect(200).json();
    assert_eq!(claims(&Tokens::of(&told).id)["nonce"], plain.nonce.as_str());
}

/// Check 12 (RFC 9207): every response names its issuer, so that an app with two issuers notices a mix-up.
#[test]
fn every_answer_names_its_issuer() {
    let (honest, other) = (oidc::app(), oidc::app());
    assert_ne!(honest.origin, other.origin);
    for app in [&honest, &other] {
        let document = app.request("GET", "/.well-known/openid-configuration").send().expect(200).json();
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
        assert_eq!(document["issuer"], app.origin);
        let (mut browser, _) = app.person();
        let code = Ask::of("house").send(&mut browser).back();
        let refusal = Ask::of("house").with("response_type", "token").send(&mut browser).back();
        let silent = Ask::of("house").with("prompt", "none").send(&mut Browser::at(&app.url, &app.origin)).back();
        for back in [&code, &refusal, &silent] {
            assert_eq!(back.get("iss"), Some(app.origin.as_str()), "{}", back.url);
        }
        let page = Ask::of("house").with("response_mode", "form_post").send(&mut browser).expect(200);
        assert!(page.body.contains(&format!("name=\"iss\" value=\"{}\"", app.origin)), "{}", page.body);
        let signed = Ask::of("house").with("response_mode", "jwt").send(&mut browser).back();
        assert_eq!(claims(signed.get("response").expect("a signed answer"))["iss"], app.origin.as_str());
    }
    // A code of one issuer is worthless at the other.
    let (mut browser, _) = honest.person();
    let code = Ask::of("house").send(&mut browser).back().code();
    present(&other, "house", &code).expect_oauth(400, "invalid_grant");
    present(&honest, "house", &code).expect(200);
}

/// Check 22 (OpenID Connect Core §5.5): the parameter asks for values and decides nothing.
#[test]
fn the_claims_parameter_raises_nothing() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let (_, other) = (app.person(), app.person_with_tokens("openid"));
    let stranger = claims(&other.2.id)["sub"].clone();
    for member in ["id_token", "userinfo"] {
        let asked = json!({ member: { "sub": { "value": stranger } } }).to_string();
        let silent = Ask::of("house").with("claims", &asked).with("prompt", "none");
        assert_eq!(silent.send(&mut browser).back().error(), "login_required", "{member}");
    }
    let more = json!({
        "id_token": { "scope": { "value": "passkeys" }, "groups": null, "aud": { "values": ["https://api.example"] } },
        "userinfo": { "client_id": { "essential": true } }, "access_token": { "scope": null }, "unknown": [[[]]],
    });
    let back = Ask::of("house").with("claims", &more.to_string()).send(&mut browser).back();
    let told = present(&app, "house", &back.code()).expect(200).json();
    assert_eq!(told["scope"], "openid");
    let tokens = Tokens::of(&told);
    assert_eq!(claims(&tokens.access)["scope"], "openid");
    assert_eq!(claims(&tokens.access)["aud"], app.origin.as_str());
    assert_eq!(claims(&tokens.id)["aud"], "house");
    assert_eq!(claims(&tokens.id).get("scope"), None);
}

/// Check 8 (RFC 9700 §4.12): after a form, a browser continues with GET, so that nobody else is sent what was in the
/// form.
#[test]
fn after_a_form_a_browser_goes_on_with_get() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    allow(&mut browser, &Ask::of("shop"));
    let waiting = Ask::of("house").with("prompt", "select_account").send(&mut browser).waits();
    let page = browser.get(&waiting).expect(200);
    for (path, fields) in [
        (waiting.as_str(), &[("decision", "another")][..]),
        ("/account/apps/remove", &[("client", "shop")]),
        ("/account/sessions/sign-out-others", &[]),
        ("/oauth/logout", &[("client_id", "house")]),
        ("/signout", &[("decision", "stay")]),
        ("/signout", &[]),
        // Signed out by now, so it goes to the sign-in first.
        (waiting.as_str(), &[("decision", "continue")]),
    ] {
        let reply = browser.submit(&page, path, fields);
        assert_eq!(reply.status, 303, "{path}: {}", reply.body);
    }
    for ask in [Ask::of("house"), Ask::of("house").with("response_type", "token")] {
        assert_eq!(ask.post(&app).status, 303);
    }
}

/// Check 60: an unknown client and a wrong secret get the same answer, and guessing elsewhere locks nobody out.
#[test]
fn guessing_secrets_tells_nothing_and_locks_nobody_out() {
    let settings = [
        ("limits.enabled", "true"),
        ("trusted_proxies", "127.0.0.1"),
        ("limits.tokens_per_minute", "1"),
        ("limits.tokens_burst", "20"),
    ];
    let app = TestApp::with(&Options { config: oidc::CLIENTS, settings: &settings, ..Options::default() });
    let ask = |from: &str, client: &str, secret: &str| {
        let form =
            [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", client), ("client_secret", secret)];
        app.request("POST", "/oauth/token").header("X-Forwarded-For", from).form(&form).send()
    };
    let (wrong, unknown) = (ask("203.0.113.1", "house", "guess"), ask("203.0.113.1", "nobody", "guess"));
    assert_eq!((wrong.status, &wrong.body), (unknown.status, &unknown.body));
    assert_eq!(wrong.status, 401);
    let basic = |client: &str| {
        let request = app.request("POST", "/oauth/introspect").header("X-Forwarded-For", "203.0.113.1");
        request.header("Authorization", &basic(client, "guess")).form(&[("token", "x")]).send()
    };
    assert_eq!(basic("api").body, basic("nobody").body);
    let attempts = (0..40).map(|_| ask("203.0.113.1", "house", "guess").status).collect::<Vec<_>>();
    assert!(attempts.contains(&429), "guesses are slowed down: {attempts:?}");
    // The client itself, at another address, does not share the attacker's bucket.
    ask("198.51.100.7", "house", API_SECRET).expect_oauth(400, "invalid_grant");
}

/// Check 26 and 27 (RFC 9700 §4.2, §4.16): no page can be framed, and none fetches anything from other sites, so no
/// address that contains a code or handle leaks.
#[test]
fn no_page_fetches_from_others() {
    let app = oidc::app();
    let (mut browser, _) = app.person();
    let asked = Ask::of("shop").send(&mut browser).waits();
    let posted = Ask::of("house").with("response_mode", "form_post").send(&mut browser);
    let mut pages = vec![app.request("GET", "/").send(), app.request("GET", "/x").header("Accept", "text/html").send()];
    pages.push(Ask::of("house").with("redirect_uri", "https://evil.example/").send(&mut browser));
    pages.push(posted.expect(200));
    for path in ["", "/passkeys", "/sessions", "/apps", "/activity"] {
        pages.push(browser.get(&format!("/account{path}")).expect(200));
    }
    for path in ["/confirm", "/device", "/enrol", "/approve", "/developer", "/oauth/logout", asked.as_str()] {
        pages.push(browser.get(path).expect(200));
    }
    let mut fetched = 0;
    for page in pages {
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert!(page.header("content-security-policy").is_some_and(|rules| rules.contains("frame-ancestors 'none'")));
        assert!(page.header("content-type").is_some_and(|media| media.starts_with("text/html")), "{}", page.body);
        for tag in page.body.split('<').filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag) {
            // Links and forms go where a person sends them; these elements are fetched automatically.
            if !["script", "img", "link", "iframe", "source", "video", "audio", "object", "embed"]
                .iter()
                .any(|name| tag.split_whitespace().next() == Some(name))
            {
                continue;
            }
            for address in ["src=\"", "href=\"", "data=\"", "srcset=\""].iter().filter_map(|name| tag.split_once(name))
            {
                let address = address.1.split('"').next().unwrap_or_default();
                assert!(
                    (address.starts_with('/') && !address.starts_with("//")) || address.starts_with("data:"),
                    "<{tag}>"
                );
                fetched += 1;
            }
        }
    }
    assert!(fetched > 10, "the pages have scripts and styles: {fetched}");
}
