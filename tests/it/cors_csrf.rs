//! Other people's pages: what a browser lets them read, and what they cannot make it do.

use passmint::routes::{Access, ROUTES};
use serde_json::{Value, json};

use crate::routes::csrf_of;
use crate::support::oidc::{Ask, redemption};
use crate::support::{Browser, Options, Reply, TestApp, verify};

const CLIENTS: &str = r#"
[relying_parties.main]
rp_id = "localhost"
display_name = "Here"
origins = ["ORIGIN", "http://localhost:3999"]
default = true

[clients.app]
name = "App"
kind = "public"
first_party = true
origins = ["http://localhost:3999"]
grants = ["passkey", "refresh_token"]
scopes = ["openid", "passkeys"]
"#;

const THEIRS: &str = "http://localhost:3999";

fn server() -> TestApp {
    TestApp::with(&Options { config: CLIENTS, ..Options::default() })
}

/// Origins that belong to no client, including near misses.
const STRANGERS: [&str; 9] = [
    "null",
    "https://evil.example",
    "http://localhost:39990",
    "http://localhost:399",
    "https://localhost:3999",
    "http://LOCALHOST:3999",
    "http://localhost:3999/",
    "http://localhost:3999.evil.example",
    "http://evil.example/http://localhost:3999",
];

fn allowed(reply: &Reply) -> Option<&str> {
    assert_eq!(reply.header("access-control-allow-credentials"), None, "never with cookies");
    reply.header("access-control-allow-origin")
}

/// The paths that clients' pages call; every other path answers as if cross-origin reading did not exist.
const FOR_CLIENTS: [&str; 6] = [
    "/oauth/token",
    "/oauth/revoke",
    "/v1/passkeys",
    "/v1/passkeys/authentication/options",
    "/v1/passkeys/registration/verify",
    "/v1/bridges/backend/token",
];
const NOT_FOR_CLIENTS: [&str; 12] = [
    "/",
    "/v1/session",
    "/v1/me",
    "/v1/me/sessions",
    "/oauth/introspect",
    "/account",
    "/account/passkeys",
    "/signout",
    "/readyz",
    "/nothing",
    "/oauth/tokens",
    "/v1/passkeysx",
];

#[test]
fn only_the_origins_of_clients_read_and_only_the_paths_for_them() {
    let app = server();
    for (path, origin, expected) in FOR_CLIENTS
        .iter()
        .flat_map(|path| STRANGERS.map(|origin| (*path, origin, None)))
        .chain(FOR_CLIENTS.map(|path| (path, THEIRS, Some(THEIRS))))
        .chain(NOT_FOR_CLIENTS.map(|path| (path, THEIRS, None)))
    {
        for method in ["GET", "POST", "PATCH"] {
            let reply = app.request(method, path).header("Origin", origin).send();
            assert_eq!(allowed(&reply), expected, "{method} {path} from {origin}: {}", reply.status);
            let varies = reply.headers.iter().any(|(name, value)| name == "vary" && value.contains("Origin"));
            assert_eq!(varies, FOR_CLIENTS.contains(&path), "{method} {path}: caches are told");
        }
        for asked in ["POST", "DELETE", "PUT"] {
            let reply = app
                .request("OPTIONS", path)
                .header("Origin", origin)
                .header("Access-Control-Request-Method", asked)
                .header("Access-Control-Request-Headers", "authorization,content-type,x-evil")
                .send()
                .expect(204);
            assert_eq!(allowed(&reply), expected, "preflight {path} from {origin}");
            let methods = expected.map(|_| "GET, POST, PATCH, DELETE");
            assert_eq!(reply.header("access-control-allow-methods"), methods, "{path} from {origin}");
            let headers = expected.map(|_| "Authorization, Content-Type, DPoP");
            assert_eq!(reply.header("access-control-allow-headers"), headers, "{path} from {origin}");
            crate::routes::policy::assert_policy(&reply, path, None);
        }
    }
}

#[test]
fn a_client_on_another_origin_works_from_there_and_from_nowhere_else() {
    let app = server();
    let (_, mut passkey) = app.person();
    let mut client = app.client("app");
    client.origin = THEIRS.to_owned();
    passkey.origin = THEIRS.to_owned();
    let reply = client.sign_in(&mut passkey, "openid passkeys").expect(200);
    assert_eq!(allowed(&reply), Some(THEIRS));
    assert!(reply.cookies().is_empty(), "no cookie is ever set for another origin");
    let token = reply.json()["accessToken"].as_str().unwrap().to_owned();
    assert_eq!(allowed(&client.bearer("GET", "/v1/passkeys", &token).send().expect(200)), Some(THEIRS));

    // The origin of one client does not count for another.
    client.id = "web".to_owned();
    let body = json!({ "result": { "kind": "tokens", "clientId": "web" } });
    client.post("/v1/passkeys/authentication/options", &body).expect_problem(403, "wrong_origin");
    for stranger in STRANGERS {
        client.origin = stranger.to_owned();
        client.id = "app".to_owned();
        let body = json!({ "result": { "kind": "tokens", "clientId": "app" } });
        let reply = client.post("/v1/passkeys/authentication/options", &body).expect_problem(403, "wrong_origin");
        assert_eq!(allowed(&reply), None, "{stranger}");
    }
}

/// A secret must not be in a page.
#[test]
fn the_pages_of_a_confidential_client_may_not_ask_where_it_authenticates() {
    const PAGE: &str = "http://localhost:4999";
    let parties = CLIENTS.replacen(THEIRS, &format!("{THEIRS}\", \"{PAGE}"), 1);
    let client = format!(
        "first_party = true\nkind = \"confidential\"\nsecret_digest = \"API_DIGEST\"\norigins = [\"{PAGE}\"]\ngrants = [\"passkey\"]"
    );
    let config = format!("{parties}\n[clients.server]\n{client}\nscopes = [\"openid\"]\n");
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    for (path, expected) in [
        ("/oauth/token", None),
        ("/oauth/par", None),
        ("/oauth/revoke", None),
        ("/oauth/userinfo", Some(PAGE)),
        ("/v1/passkeys/authentication/options", Some(PAGE)),
    ] {
        let preflight = app.request("OPTIONS", path).header("Origin", PAGE);
        let reply = preflight.header("Access-Control-Request-Method", "POST").send().expect(204);
        assert_eq!(allowed(&reply), expected, "{path}");
    }
}

/// A public client's pages are at the origins of its redirect URIs.
#[test]
fn the_pages_of_a_public_client_without_origins_are_those_of_its_redirect_uris() {
    const PAGE: &str = "https://page.example";
    const ADDRESS: &str = "http://127.0.0.1:5173";
    let config = format!(
        "{CLIENTS}
[clients.page]
kind = \"public\"
first_party = true
redirect_uris = [\"https://page.example/cb\", \"http://localhost:5173/cb\", \"http://127.0.0.1:5173/cb\", \"com.page:/cb\"]
grants = [\"authorization_code\"]
scopes = [\"openid\"]

[clients.server]
kind = \"confidential\"
secret_digest = \"API_DIGEST\"
redirect_uris = [\"https://server.example/cb\"]
grants = [\"authorization_code\"]
scopes = [\"openid\"]
"
    );
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    for (origin, expected) in [
        (PAGE, true),
        ("http://localhost:5173", true),
        (ADDRESS, true),
        ("http://127.0.0.1:5174", false),
        ("http://127.0.0.1", false),
        ("com.page:", false),
        ("https://page.example.evil.example", false),
        ("https://server.example", false),
    ] {
        let preflight = app.request("OPTIONS", "/oauth/token").header("Origin", origin);
        let reply = preflight.header("Access-Control-Request-Method", "POST").send().expect(204);
        assert_eq!(allowed(&reply), expected.then_some(origin));
    }
    let (mut browser, _) = app.person();
    let code = Ask::of("page").send(&mut browser).back().code();
    let redeem = |origin: &str| {
        let form = redemption("page", &code, "https://page.example/cb");
        app.request("POST", "/oauth/token").header("Origin", origin).form(&form).send()
    };
    redeem(THEIRS).expect_oauth(400, "invalid_request");
    assert_eq!(allowed(&redeem(PAGE).expect(200)), Some(PAGE));
    // Programs in web views and extensions cannot avoid sending an origin. They get the same answer as without one, and
    // no page can read it.
    for nobodys in ["chrome-extension://abcdefghijklmnop", "capacitor://localhost", "null", "https://unknown.example"] {
        let code = Ask::of("page").send(&mut browser).back().code();
        let form = redemption("page", &code, "https://page.example/cb");
        let reply = app.request("POST", "/oauth/token").header("Origin", nobodys).form(&form).send();
        assert_eq!(allowed(&reply.expect(200)), None, "{nobodys}");
    }

    // A page under development, at an IP address: its codes can be redeemed from there, but no passkey works there.
    let to = format!("{ADDRESS}/cb");
    let path = Ask::of("page").with("redirect_uri", &to).send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    let code = browser.submit(&page, &path, &[("decision", "continue")]).returning().code();
    let form = redemption("page", &code, &to);
    let told = app.request("POST", "/oauth/token").header("Origin", ADDRESS).form(&form).send().expect(200);
    assert_eq!(allowed(&told), Some(ADDRESS));
    let bearer = format!("Bearer {}", told.json()["access_token"].as_str().unwrap());
    let person = app.request("GET", "/oauth/userinfo").header("Origin", ADDRESS).header("Authorization", &bearer);
    assert_eq!(allowed(&person.send().expect(200)), Some(ADDRESS));
    let ceremony = app.request("OPTIONS", "/v1/passkeys/authentication/options").header("Origin", ADDRESS);
    let ceremony = ceremony.header("Access-Control-Request-Method", "POST").send().expect(204);
    assert_eq!(allowed(&ceremony), None);
}

/// A cookie never acts for a page that is not ours, even if the page is a client's.
#[test]
fn a_session_is_for_our_own_pages_only() {
    let app = server();
    let (person, _) = app.person();
    for (name, origin, site) in [
        ("a client's page", Some(THEIRS), "same-site"),
        ("another site", Some("https://evil.example"), "cross-site"),
        ("a sandboxed frame", Some("null"), "cross-site"),
        ("no origin, but cross-site", None, "cross-site"),
        ("a link somewhere", None, "none"),
    ] {
        for (method, path) in [
            ("DELETE", "/v1/session"),
            ("DELETE", "/v1/me/sessions"),
            ("DELETE", "/v1/me/sessions/x"),
            ("DELETE", "/v1/passkeys/x"),
            ("PATCH", "/v1/passkeys/x"),
            ("POST", "/v1/bridges/x/token"),
        ] {
            let request = from(&person, method, path, origin, site);
            let request = if method == "PATCH" { request.json(&json!({ "name": "x" })) } else { request };
            request.send().expect_problem(403, "csrf");
        }
        // A ceremony for a session is for our own pages only, too.
        let reply = from(&person, "POST", "/v1/passkeys/authentication/options", origin, site).json(&json!({})).send();
        assert_eq!(reply.status, 403, "{name}: {}", reply.body);
        assert!(reply.cookies().is_empty(), "{name}");
    }
    let mut person = person;
    assert!(person.get("/v1/session").expect(200).json()["session"].is_object(), "nothing was done");
}

/// A browser says where a change comes from, by one header or the other; a cookie without either changes nothing.
#[test]
fn a_cookie_that_says_nothing_of_where_it_comes_from_changes_nothing() {
    let app = server();
    let (mut person, _) = app.person();
    let good = csrf_of(&mut person);
    let silent = |method: &str, path: &str| person.request(method, path).without("Origin").without("Sec-Fetch-Site");
    for (method, path) in [
        ("DELETE", "/v1/session"),
        ("DELETE", "/v1/me/sessions"),
        ("DELETE", "/v1/me/sessions/x"),
        ("DELETE", "/v1/passkeys/x"),
        ("POST", "/v1/bridges/x/token"),
    ] {
        silent(method, path).send().expect_problem(403, "csrf");
    }
    let first_call = silent("POST", "/v1/passkeys/authentication/options").json(&json!({})).send();
    first_call.expect_problem(403, "csrf");
    silent("POST", "/signout").form(&[("csrf", &good)]).send().expect(403);
    // Reading works as before, and either header is enough for a change.
    assert!(silent("GET", "/v1/session").send().expect(200).json()["session"].is_object(), "nothing was done");
    for (header, value) in [("Origin", app.origin.as_str()), ("Sec-Fetch-Site", "same-origin")] {
        let others = silent("DELETE", "/v1/me/sessions").header(header, value).send();
        assert!((200..300).contains(&others.status), "{header}: {}", others.body);
    }
}

fn from(browser: &Browser, method: &str, path: &str, origin: Option<&str>, site: &str) -> crate::support::Request {
    let request = browser.request(method, path).without("Origin").without("Sec-Fetch-Site");
    let request = request.header("Sec-Fetch-Site", site);
    match origin {
        Some(origin) => request.header("Origin", origin),
        None => request,
    }
}

#[test]
fn a_form_needs_the_token_of_its_session_and_our_origin() {
    let app = server();
    let (mut person, _) = app.person();
    let (mut other, mut others_passkey) = app.person();
    let good = csrf_of(&mut person);
    let theirs = csrf_of(&mut other);
    // Another session of the same person has another token.
    let earlier = csrf_of(&mut other);
    other.call("DELETE", "/v1/session", None).expect(200);
    other.sign_in(&mut others_passkey).expect(200);
    assert_ne!(csrf_of(&mut other), earlier, "a token is one session's");

    let id = person.get("/v1/passkeys").expect(200).json()["passkeys"][0]["id"].as_str().unwrap().to_owned();
    let own = ROUTES.iter().filter(|route| route.method == "POST" && route.access == Access::OwnPage);
    let mut forms: Vec<String> = own.map(|route| route.path.replace("{id}", &id).replace("{handle}", "x")).collect();
    assert!(forms.len() >= 9, "the forms are found: {forms:?}");
    forms.push("/signout".to_owned());
    for path in &forms {
        for (name, token) in [
            ("none", ""),
            ("another person's", theirs.as_str()),
            ("cut short", &good[..good.len() - 1]),
            ("empty in base64", "AA"),
            ("no base64", "%%%"),
            ("longer", &format!("{good}AA")),
        ] {
            let form: &[(&str, &str)] =
                if token.is_empty() { &[("name", "Mine")] } else { &[("csrf", token), ("name", "Mine")] };
            let reply = person.request("POST", path).form(form).send();
            assert_eq!(reply.status, 403, "{path} with a token that is {name}: {}", reply.body);
            assert!(reply.header("content-type").is_some_and(|of_type| of_type.starts_with("text/html")), "{path}");
        }
        // The correct token in a form that another site's page posts.
        for (origin, site) in [
            (Some("https://evil.example"), "cross-site"),
            (Some("null"), "cross-site"),
            (None, "cross-site"),
            (Some(THEIRS), "same-site"),
        ] {
            let reply = from(&person, "POST", path, origin, site).form(&[("csrf", &good), ("name", "Mine")]).send();
            assert_eq!(reply.status, 403, "{path} from {origin:?}: {}", reply.body);
        }
        // In the URL, where logs and referrers would keep it, it does not count.
        let reply = person.request("POST", &format!("{path}?csrf={good}")).form(&[("name", "Mine")]).send();
        assert_eq!(reply.status, 403, "{path} with the token in the address");
        let reply = person.request("POST", path).form(&[("csrf", &good), ("csrf", &good), ("name", "Mine")]).send();
        assert_eq!(reply.status, 400, "{path} with two tokens: {}", reply.body);
    }
    let names = person.get("/v1/passkeys").expect(200).json();
    assert_ne!(names["passkeys"][0]["name"], "Mine", "nothing was renamed");
    let rename = format!("/account/passkeys/{id}/rename");
    let stale = person.request("POST", &rename).form(&[("csrf", &theirs), ("name", "Mine")]).send().expect(403);
    assert!(stale.body.contains(&format!("href=\"{rename}\">Try again</a>")), "a fresh page: {}", stale.body);
    person.request("POST", &rename).form(&[("csrf", &good), ("name", "Mine")]).send().expect(303);
    let names = person.get("/v1/passkeys").expect(200).json();
    assert_eq!(names["passkeys"][0]["name"], "Mine", "the same form, from our page, works");
}

/// After signing in in another tab, an older page sends the new session's cookie. A page that says which session it was
/// made for acts for no other.
#[test]
fn a_page_acts_only_for_the_session_that_it_was_made_for() {
    const ADD: &str = "/v1/passkeys/registration/options";
    const STEP_UP: &str = "/v1/passkeys/authentication/options";
    const VERIFY: &str = "/v1/passkeys/registration/verify";
    let app = server();
    let (mut person, mut passkey) = app.person();
    let (mut other, _) = app.person();
    let (good, theirs) = (csrf_of(&mut person), csrf_of(&mut other));
    let (good, theirs) = (good.as_str(), theirs.as_str());
    let page = |method: &str, path: &str, tokens: &[&str]| {
        let request = person.request(method, path);
        tokens.iter().fold(request, |request, token| request.header("X-CSRF-Token", token))
    };
    for (method, path, body) in [
        ("POST", ADD, json!({ "purpose": "add" })),
        ("POST", STEP_UP, json!({ "purpose": "step-up" })),
        ("POST", VERIFY, json!({ "ceremonyId": "pmc_x", "credential": {} })),
        ("PATCH", "/v1/passkeys/x", json!({ "name": "x" })),
        ("DELETE", "/v1/me/sessions", Value::Null),
        ("GET", "/v1/passkeys", Value::Null),
    ] {
        let send = |tokens: &[&str]| {
            let request = page(method, path, tokens);
            if body.is_null() { request.send() } else { request.json(&body).send() }
        };
        for tokens in [&[theirs][..], &[""], &["%%%"], &[&good[1..]], &[good, theirs]] {
            send(tokens).expect_problem(403, "csrf");
        }
        let reply = send(&[good]);
        assert_ne!(reply.status, 403, "{method} {path}: {}", reply.body);
    }
    // The header does not replace the other checks: on the request's origin, and on a form's own token.
    let stolen = from(&person, "DELETE", "/v1/me/sessions", Some("https://evil.example"), "cross-site");
    stolen.header("X-CSRF-Token", good).send().expect_problem(403, "csrf");
    page("POST", "/account/sessions/sign-out-others", &[good]).form(&[]).send().expect(403);
    // With an access token, and without a session, it has no meaning.
    let answer = app.client("web").sign_in(&mut passkey, "openid passkeys").expect(200).json();
    let request = app.client("web").bearer("GET", "/v1/passkeys", answer["accessToken"].as_str().unwrap());
    request.header("X-CSRF-Token", theirs).send().expect(200);
    let stranger = app.browser().request("POST", STEP_UP).header("X-CSRF-Token", theirs);
    stranger.json(&json!({})).send().expect(200);

    // Begun by one session and answered by the other: the ceremony is not used up.
    let mut second = app.passkey();
    let begun = page("POST", ADD, &[good]).json(&json!({ "purpose": "add" })).send().expect(200).json();
    let answer = verify(&begun, &second.create(&begun["publicKey"]));
    page("POST", VERIFY, &[theirs]).json(&answer).send().expect_problem(403, "csrf");
    page("POST", VERIFY, &[good]).json(&answer).send().expect(200);
}

/// A page made before a restart or an upgrade, or by another server: its form still works, and a file that no longer
/// exists is not found.
#[test]
fn a_page_that_another_server_made_goes_on() {
    let settings = &[("challenges.store", "database")];
    let app = TestApp::with(&Options { settings, ..Options::default() });
    let (mut person, _) = app.person();
    let csrf = csrf_of(&mut person);
    let twin = app.twin();
    let mut there = twin.browser();
    there.cookies.clone_from(&person.cookies);
    let form = there.request("POST", "/account/sessions/sign-out-others").form(&[("csrf", &csrf)]);
    form.send().expect(303);
    assert_eq!(csrf_of(&mut there), csrf, "the token is the session's, whichever server it is asked of");
    twin.request("GET", "/assets/app.000000000000.css").send().expect_problem(404, "not_found");
}

/// A second cookie with the same name was planted by another host; choosing between the two would be a guess.
#[test]
fn two_cookies_of_one_name_are_refused() {
    let app = server();
    let (person, _) = app.person();
    let (other, _) = app.person();
    let (name, mine) = person.cookies.iter().find(|(name, _)| !name.ends_with("-pre")).unwrap().clone();
    let planted = other.session().unwrap();
    for cookies in [
        format!("{name}={mine}; {name}={planted}"),
        format!("{name}={planted}; a=b; {name}={mine}"),
        format!("{name}={mine}; {name}="),
    ] {
        app.request("GET", "/v1/session").header("Cookie", &cookies).send().expect_problem(400, "invalid_request");
        app.request("GET", "/account").header("Cookie", &cookies).send().expect(400);
    }
    app.request("GET", "/v1/me")
        .header("Cookie", &format!("{name}={mine}"))
        .header("Cookie", &format!("{name}={planted}"))
        .send()
        .expect_problem(400, "invalid_request");
    let pre = format!("{name}-pre");
    let reply = app
        .request("POST", "/v1/passkeys/authentication/options")
        .header("Cookie", &format!("{pre}=pmp_one; {pre}=pmp_two"))
        .header("Origin", &app.origin)
        .json(&json!({}))
        .send();
    reply.expect_problem(400, "invalid_request");
}

#[test]
fn a_cookie_and_a_token_together_are_refused() {
    let app = server();
    let (person, mut passkey) = app.person();
    let answer = app.client("web").sign_in(&mut passkey, "openid passkeys").expect(200).json();
    let bearer = format!("Bearer {}", answer["accessToken"].as_str().unwrap());
    for path in ["/v1/session", "/v1/me", "/v1/passkeys", "/v1/me/sessions"] {
        let reply = person.request("GET", path).header("Authorization", &bearer).send();
        reply.expect_problem(400, "invalid_request");
    }
    person.request("GET", "/account").header("Authorization", &bearer).send().expect(400);
    let twice = app.request("GET", "/v1/me").header("Authorization", &bearer).header("Authorization", &bearer).send();
    twice.expect_problem(401, "invalid_token");
    // A token in the URL or in a form does not count (RFC 6750 §2.2, §2.3 are not offered).
    let token = answer["accessToken"].as_str().unwrap();
    app.request("GET", &format!("/v1/me?access_token={token}")).send().expect_problem(401, "not_signed_in");
}
