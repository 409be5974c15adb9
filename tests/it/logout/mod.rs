//! Signing out at an app's request (RP-Initiated Logout, the rows of its conformance plan by name), and notifying apps:
//! by their servers (back-channel), by their pages (front-channel), by a page that they query (session management).

mod told;

use std::time::Duration as Real;

use chrono::Duration;
use passmint::config::Config;
use passmint::domain::id::SessionId;
use passmint::domain::session::LONGEST_SESSION;
use passmint::logout::session_state::session_state;
use passmint::storage::sweep;
use passmint::tokens::keys::rotation::Trigger;
use passmint::tokens::keys::{Algorithm, Use};
use passmint::tokens::rotate;
use serde_json::Value;

use crate::authenticator::{Authenticator, encode};
use crate::support::oidc::{Ask, redeem};
use crate::support::receiver::Receiver;
use crate::support::tokens::{INACTIVE, Tokens, claims, header, policy, within};
use crate::support::{Browser, Options, Reply, TestApp, oidc};

const DONE: &str = "https://rp.example/done";

/// Two apps: `rp` is notified through its server, `front` through its page. `RECEIVER` is where the first listens.
const APPS: &str = r#"
[clients.rp]
name = "Relying Party"
kind = "public"
first_party = true
origins = ["ORIGIN"]
grants = ["authorization_code", "passkey", "refresh_token"]
redirect_uris = ["https://rp.example/cb"]
scopes = ["openid", "profile", "offline_access"]
id_token_algorithm = "ES256"
post_logout_redirect_uris = ["https://rp.example/done", "https://rp.example/done?kept=1"]
backchannel_logout_uri = "RECEIVER/backchannel"
backchannel_logout_session_required = true

[clients.second]
name = "Second"
kind = "public"
first_party = true
origins = ["ORIGIN"]
grants = ["authorization_code"]
redirect_uris = ["https://second.example/cb"]
scopes = ["openid"]
id_token_algorithm = "ES256"
post_logout_redirect_uris = ["https://second.example/done"]
"#;

const FRONT: &str = r#"
[clients.front]
name = "Front"
kind = "public"
first_party = true
origins = ["ORIGIN"]
grants = ["authorization_code"]
redirect_uris = ["https://front.example/cb"]
scopes = ["openid"]
id_token_algorithm = "ES256"
post_logout_redirect_uris = ["https://front.example/done"]
frontchannel_logout_uri = "https://front.example/out?theme=dark"
frontchannel_logout_session_required = true

[clients.plainfront]
name = "Plain front"
kind = "public"
first_party = true
origins = ["ORIGIN"]
grants = ["authorization_code"]
redirect_uris = ["https://plainfront.example/cb"]
scopes = ["openid"]
id_token_algorithm = "ES256"
frontchannel_logout_uri = "https://plain.example:8443/out"
"#;

const PRIVATE: &[(&str, &str)] = &[("outbound.allow_private_addresses", "true")];

fn server(receiver: &Receiver) -> TestApp {
    server_with(receiver, PRIVATE)
}

fn server_with(receiver: &Receiver, settings: &[(&str, &str)]) -> TestApp {
    let config = format!("{APPS}{FRONT}").replace("RECEIVER", &receiver.url);
    TestApp::with(&Options { settings, config: &config, ..Options::default() })
}

fn session_of(browser: &mut Browser) -> SessionId {
    browser.get("/v1/session").expect(200).json()["session"]["id"].as_str().expect("signed in").parse().unwrap()
}

fn is_signed_in(browser: &mut Browser) -> bool {
    browser.get("/v1/session").expect(200).json()["session"].is_object()
}

/// A person signed in to us and to `rp`: the browser, the passkey, and the ID token that the app keeps.
fn signed_in(app: &TestApp) -> (Browser, Authenticator, String) {
    let (mut browser, passkey) = app.person();
    let id = id_token(app, &mut browser, "rp");
    (browser, passkey, id)
}

/// An app's ID token for this browser's session, through a code.
fn id_token(app: &TestApp, browser: &mut Browser, client: &str) -> String {
    redeem(app, client, &Ask::of(client).send(browser).back().code()).id
}

fn logout(browser: &mut Browser, parameters: &[(&str, &str)]) -> Reply {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    browser.get(&format!("/oauth/logout?{query}"))
}

/// The question, and the fields of its form.
#[track_caller]
fn asks(reply: &Reply) -> Vec<(String, String)> {
    assert_eq!((reply.status, reply.header("location")), (200, None), "{}", reply.body);
    assert!(reply.body.contains("value=\"sign-out\"") && reply.body.contains("action=\"/signout\""), "{}", reply.body);
    let attribute = |tag: &str, name: &str| {
        let value = tag.split_once(&format!("{name}=\"")).unwrap().1.split('"').next().unwrap();
        value.replace("&#38;", "&").replace("&amp;", "&").replace("&#34;", "\"").replace("&#60;", "<")
    };
    let form = reply.body.split("action=\"/signout\"").last().unwrap();
    let hidden = form.split("<input type=\"hidden\"").skip(1);
    hidden.map(|tag| (attribute(tag, "name"), attribute(tag, "value"))).collect()
}

/// Answers the question.
fn answer(browser: &mut Browser, mut fields: Vec<(String, String)>, decision: &str) -> Reply {
    fields.push(("decision".to_owned(), decision.to_owned()));
    let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let request = browser.request("POST", "/signout").form(&pairs);
    browser.send(request)
}

/// Follows the redirect to the page that says "signed out". Returns that page.
#[track_caller]
fn farewell(browser: &mut Browser, reply: &Reply) -> Reply {
    assert_eq!(reply.status, 303, "{}", reply.body);
    let location = reply.header("location").unwrap().to_owned();
    assert!(location.starts_with("/signed-out"), "{location}");
    let page = browser.get(&location).expect(200);
    assert!(page.body.contains("You are signed out"), "{}", page.body);
    page
}

fn state() -> String {
    let mut state: String = "~!*'();:@&=+$,/?#[] %\"<>\\^`{|}".to_owned();
    state.push_str(&"x".repeat(128 - state.len()));
    state
}

fn decoded(location: &str) -> Vec<(String, String)> {
    url::Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

/// How a request to sign out ends.
enum End {
    /// Redirected there, with exactly these parameters.
    Sent(&'static str, bool),
    /// Asked; after agreeing, told "signed out", without being sent on.
    Asked,
    /// Asked; after agreeing, sent on by the page.
    AskedThenSent,
    /// Told "signed out" at once.
    Told,
}

type Make<'a> = Box<dyn Fn(&str) -> Vec<(&'static str, String)> + 'a>;

/// The plan oidcc-rp-initiated-logout, module by module, and what else prevents a redirect.
#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn rp_initiated_logout_row_by_row() {
    use End::{Asked, AskedThenSent, Sent, Told};

    let receiver = Receiver::start();
    let app = server(&receiver);
    let state = state();
    let forged = |id: &str| format!("{}.{}.", encode(br#"{"alg":"none","typ":"JWT"}"#), id.split('.').nth(1).unwrap());
    let foreign = |id: &str| {
        let mut parts: Vec<String> = id.split('.').map(ToOwned::to_owned).collect();
        parts[2] = encode(&[7; 64]);
        parts.join(".")
    };
    let row = |make: Make<'static>| make;
    let with = |redirect: &'static str| {
        row(Box::new(move |id| {
            vec![("id_token_hint", id.to_owned()), ("post_logout_redirect_uri", redirect.to_owned())]
        }))
    };
    let rows: Vec<(&str, Make<'_>, End)> = vec![
        ("rp-initiated-logout-no-state", with(DONE), Sent(DONE, false)),
        (
            "a registered URI with a query",
            with("https://rp.example/done?kept=1"),
            Sent("https://rp.example/done?kept=1", false),
        ),
        ("bad-post-logout-redirect-uri", with("https://rp.example/elsewhere"), Asked),
        ("query-added-to-post-logout-redirect-uri", with("https://rp.example/done?foo=bar"), Asked),
        ("a slash added", with("https://rp.example/done/"), Asked),
        ("another case", with("https://RP.example/done"), Asked),
        ("another client's URI", with("https://second.example/done"), Asked),
        (
            "modified-id-token-hint",
            Box::new(|id| vec![("id_token_hint", forged(id)), ("post_logout_redirect_uri", DONE.to_owned())]),
            Asked,
        ),
        (
            "bad-id-token-hint",
            Box::new(|id| vec![("id_token_hint", foreign(id)), ("post_logout_redirect_uri", DONE.to_owned())]),
            Asked,
        ),
        (
            "a bad hint beside a client_id",
            Box::new(|id| {
                vec![
                    ("id_token_hint", foreign(id)),
                    ("client_id", "rp".to_owned()),
                    ("post_logout_redirect_uri", DONE.to_owned()),
                ]
            }),
            Asked,
        ),
        (
            "a hint for another client",
            Box::new(|id| {
                vec![
                    ("id_token_hint", id.to_owned()),
                    ("client_id", "second".to_owned()),
                    ("post_logout_redirect_uri", "https://second.example/done".to_owned()),
                ]
            }),
            Asked,
        ),
        ("no-id-token-hint", Box::new(|_| vec![("post_logout_redirect_uri", DONE.to_owned())]), Asked),
        (
            "client_id alone",
            Box::new(|_| vec![("client_id", "rp".to_owned()), ("post_logout_redirect_uri", DONE.to_owned())]),
            AskedThenSent,
        ),
        (
            "client_id of nobody",
            Box::new(|_| vec![("client_id", "none".to_owned()), ("post_logout_redirect_uri", DONE.to_owned())]),
            Asked,
        ),
        ("no-params", Box::new(|_| vec![]), Asked),
        ("no-post-logout-redirect-uri", Box::new(|id| vec![("id_token_hint", id.to_owned())]), Told),
        ("only-state", Box::new(|_| vec![("state", "kept".to_owned())]), Asked),
        (
            "hint and client_id that agree",
            Box::new(|id| {
                vec![
                    ("id_token_hint", id.to_owned()),
                    ("client_id", "rp".to_owned()),
                    ("post_logout_redirect_uri", DONE.to_owned()),
                ]
            }),
            Sent(DONE, false),
        ),
        (
            "ui_locales and logout_hint change nothing",
            Box::new(|id| {
                vec![
                    ("id_token_hint", id.to_owned()),
                    ("ui_locales", "xx".to_owned()),
                    ("logout_hint", "ana".to_owned()),
                    ("post_logout_redirect_uri", DONE.to_owned()),
                ]
            }),
            Sent(DONE, false),
        ),
        (
            "rp-initiated-logout",
            {
                let state = state.clone();
                Box::new(move |id| {
                    vec![
                        ("id_token_hint", id.to_owned()),
                        ("post_logout_redirect_uri", DONE.to_owned()),
                        ("state", state.clone()),
                    ]
                })
            },
            Sent(DONE, true),
        ),
    ];
    for (name, make, end) in rows {
        let (mut browser, _, id) = signed_in(&app);
        let mut before = browser.clone();
        let parameters = make(&id);
        let pairs: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = logout(&mut browser, &pairs);
        match end {
            Sent(uri, with_state) => {
                let location = reply.header("location").unwrap_or_else(|| panic!("{name}: {}", reply.body));
                assert_eq!(reply.status, 303, "{name}");
                if with_state {
                    assert_eq!(location.split('?').next(), Some(uri), "{name}");
                    assert_eq!(decoded(location), [("state".to_owned(), state.clone())], "{name}");
                } else {
                    assert_eq!(location, uri, "{name}");
                }
            }
            Told => {
                let page = farewell(&mut browser, &reply);
                assert!(!page.body.contains("http-equiv"), "{name}");
            }
            Asked | AskedThenSent => {
                let fields = asks(&reply);
                assert!(is_signed_in(&mut browser), "{name}: nothing happens without an answer");
                let reply = answer(&mut browser, fields, "sign-out");
                let page = farewell(&mut browser, &reply);
                let onward = page.body.contains(&format!("http-equiv=\"refresh\" content=\"0;url={DONE}\""));
                assert_eq!(onward, matches!(end, AskedThenSent), "{name}: {}", page.body);
                assert!(!page.body.contains("second.example") && !page.body.contains("elsewhere"), "{name}");
            }
        }
        assert!(browser.session().is_none(), "{name}: the cookie is gone");
        assert!(!is_signed_in(&mut before), "{name}: the session is really gone");
    }
}

#[test]
fn a_hint_may_have_expired_but_not_be_about_somebody_else() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let (mut browser, _, id) = signed_in(&app);
    let (mut other, _, _) = signed_in(&app);
    let fields = asks(&logout(&mut other, &[("id_token_hint", &id), ("post_logout_redirect_uri", DONE)]));
    assert!(is_signed_in(&mut other) && is_signed_in(&mut browser), "nobody is signed out by another's token");
    let page = answer(&mut other, fields, "sign-out");
    assert!(farewell(&mut other, &page).body.contains(DONE), "the app did prove who it is");

    app.advance(Duration::hours(3));
    let reply = logout(&mut browser, &[("id_token_hint", &id), ("post_logout_redirect_uri", DONE)]);
    assert_eq!((reply.status, reply.header("location")), (303, Some(DONE)), "three hours after the token ended");
    assert!(!is_signed_in(&mut browser));
}

/// RP-Initiated Logout §4: an old token kept from an earlier session could otherwise sign its person out forever.
#[test]
fn a_hint_of_an_earlier_session_asks_first() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let (mut browser, mut passkey, id) = signed_in(&app);
    browser.call("DELETE", "/v1/session", None);
    browser.sign_in(&mut passkey).expect(200);
    let fields = asks(&logout(&mut browser, &[("id_token_hint", &id), ("post_logout_redirect_uri", DONE)]));
    assert!(is_signed_in(&mut browser), "nobody is signed out by an old token");
    answer(&mut browser, fields, "sign-out");
    assert!(!is_signed_in(&mut browser));
}

/// Makes a new key sign at once, and waits until the server uses it.
fn replace_key(app: &TestApp, old: &Value) {
    app.change_keys(|conn, master, now| {
        let family = (&Use::Tokens, Algorithm::ES256);
        rotate::rotate(conn, master, family, policy(Duration::minutes(1)), Trigger::AtOnce, now)
    });
    within(Real::from_secs(15), "another key signs", || {
        let signing = app.request("GET", "/.well-known/jwks.json").send().expect(200).json();
        signing["keys"].as_array().unwrap().iter().any(|key| key["alg"] == "ES256" && key["kid"] != *old)
    });
}

/// An app keeps its ID token for as long as it keeps somebody signed in, which is longer than one of our keys lives.
#[test]
fn a_hint_outlives_the_key_that_signed_it() {
    let receiver = Receiver::start();
    // Access tokens that live longer than their key is published: they can then only be refused because of the key.
    let app = server_with(&receiver, &[PRIVATE, &[("tokens.access_ttl", "24h")]].concat());
    let (mut browser, _) = app.person();
    let tokens = redeem(&app, "rp", &Ask::of("rp").send(&mut browser).back().code());
    let (mut other, _, _) = signed_in(&app);
    let kid = header(&tokens.id)["kid"].clone();
    assert_eq!(header(&tokens.access)["kid"], kid);
    app.userinfo(&tokens.access).expect(200);

    replace_key(&app, &kid);
    app.advance(Duration::hours(1));
    within(Real::from_secs(15), "the old key is gone", || {
        let published = app.request("GET", "/.well-known/jwks.json").send().expect(200).json();
        !published["keys"].as_array().unwrap().iter().any(|key| key["kid"] == kid)
    });
    assert_eq!(app.userinfo(&tokens.access).status, 401, "it opens nothing");
    assert_eq!(app.introspection(&tokens.access), INACTIVE);

    // Two days later its row still exists, also for a server that reads the keys afresh.
    app.advance(Duration::days(2));
    let now = app.clock.now();
    app.db.blocking(|conn| sweep::sweep(conn, now, None)).unwrap();
    replace_key(&app, &header(&id_token(&app, &mut other, "rp"))["kid"]);
    let silent = Ask::of("rp").with("prompt", "none").with("id_token_hint", &tokens.id);
    silent.send(&mut browser).back().code();
    assert_eq!(silent.send(&mut other).back().error(), "login_required", "another person's");
    let reply = logout(&mut browser, &[("id_token_hint", &tokens.id), ("post_logout_redirect_uri", DONE)]);
    assert_eq!((reply.status, reply.header("location")), (303, Some(DONE)), "no question");
    assert!(!is_signed_in(&mut browser) && is_signed_in(&mut other));

    // Once the longest session has ended, nobody needs it any more.
    let of_kid = format!("SELECT count(*) AS n FROM signing_keys WHERE kid = '{}'", kid.as_str().unwrap());
    assert_eq!(app.count(&of_kid), 1);
    let later = now + LONGEST_SESSION;
    app.db.blocking(|conn| sweep::sweep(conn, later, None)).unwrap();
    assert_eq!(app.count(&of_kid), 0);
    let may_last = |days: i64| Config::from_settings(&[("session.absolute", format!("{days}d").as_str())]).is_ok();
    assert!(may_last(LONGEST_SESSION.num_days()) && !may_last(LONGEST_SESSION.num_days() + 1));
}

#[test]
fn nobody_signed_in_is_not_asked_and_only_a_hint_sends_on() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let (_, _, id) = signed_in(&app);
    let mut stranger = app.browser();
    let reply = logout(&mut stranger, &[("id_token_hint", &id), ("post_logout_redirect_uri", DONE), ("state", "s")]);
    assert_eq!((reply.status, reply.header("location")), (303, Some("https://rp.example/done?state=s")));
    for parameters in [
        vec![],
        vec![("post_logout_redirect_uri", DONE)],
        vec![("client_id", "rp"), ("post_logout_redirect_uri", DONE)],
        vec![("id_token_hint", id.as_str()), ("post_logout_redirect_uri", "https://rp.example/other")],
    ] {
        let reply = logout(&mut stranger, &parameters);
        assert_eq!((reply.status, reply.header("location")), (303, Some("/signed-out")), "{parameters:?}");
    }
}

/// Another site's form arrives without our cookie, so it is redirected to a URL of ours with all its parameters.
#[test]
fn a_form_from_another_site_is_followed_by_our_own_address() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let (mut browser, _, id) = signed_in(&app);
    let state = state();
    let form = [("id_token_hint", id.as_str()), ("post_logout_redirect_uri", DONE), ("state", &state), ("other", "x")];
    let posted = app
        .request("POST", "/oauth/logout")
        .header("Origin", "https://rp.example")
        .header("Sec-Fetch-Site", "cross-site")
        .form(&form)
        .send()
        .expect(303);
    let location = posted.header("location").unwrap().to_owned();
    assert!(location.starts_with("/oauth/logout?"), "{location}");
    let reply = browser.get(&location);
    let location = reply.header("location").unwrap();
    assert_eq!((location.split('?').next(), decoded(location)), (Some(DONE), vec![("state".to_owned(), state)]));
    assert!(!is_signed_in(&mut browser));

    let (mut browser, _, _) = signed_in(&app);
    let empty = browser.request("POST", "/oauth/logout").form(&[]).send().expect(303);
    assert_eq!(empty.header("location"), Some("/oauth/logout"));
    asks(&browser.get("/oauth/logout"));
}

#[test]
fn the_question_is_answered_by_our_own_page_only() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let (mut browser, _, _) = signed_in(&app);
    let fields =
        asks(&logout(&mut browser, &[("client_id", "rp"), ("post_logout_redirect_uri", DONE), ("state", "a&b")]));
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["csrf", "client_id", "post_logout_redirect_uri", "state"]);
    let without: Vec<_> = fields.iter().filter(|(name, _)| name != "csrf").cloned().collect();
    assert_eq!(answer(&mut browser, without, "sign-out").status, 403);
    let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let evil = browser.request("POST", "/signout").without("Origin").header("Origin", "https://evil.example");
    assert_eq!(evil.form(&pairs).send().status, 403);
    let stays = answer(&mut browser, fields.clone(), "stay").expect(303);
    assert_eq!(stays.header("location"), Some("/account"));
    assert!(is_signed_in(&mut browser));

    let mut changed = fields.clone();
    changed[2].1 = "https://evil.example/".to_owned();
    let reply = answer(&mut browser, changed, "sign-out");
    assert!(!farewell(&mut browser, &reply).body.contains("evil.example"), "the form proves nothing by itself");
    assert!(!is_signed_in(&mut browser));
    let twice = browser.get("/oauth/logout?state=a&state=b");
    assert_eq!((twice.status, twice.header("content-type")), (400, Some("text/html; charset=utf-8")));
}

#[test]
fn a_note_for_the_page_afterwards_is_ours_and_ends() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let (mut browser, _, _) = signed_in(&app);
    let fields = asks(&logout(&mut browser, &[("client_id", "rp"), ("post_logout_redirect_uri", DONE)]));
    let reply = answer(&mut browser, fields, "sign-out").expect(303);
    let location = reply.header("location").unwrap().to_owned();
    assert!(browser.get(&location).expect(200).body.contains(DONE));
    let (note, seal) = location.split_once('.').unwrap();
    let tampered = format!("{note}.{}", seal.chars().rev().collect::<String>());
    assert!(!browser.get(&tampered).expect(200).body.contains(DONE));
    app.advance(Duration::minutes(6));
    assert!(!browser.get(&location).expect(200).body.contains(DONE));
}

/// Row 118: what lives with the session ends with it, what was granted offline continues.
#[test]
fn refresh_families_die_with_the_session_unless_they_are_offline() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let (mut browser, mut passkey, id) = signed_in(&app);
    let bound = Tokens::of(&app.client("rp").sign_in(&mut passkey, "openid offline_access").expect(200).json());
    let offline = Tokens::of(&app.client("rp").sign_in(&mut passkey, "openid offline_access").expect(200).json());
    let session = session_of(&mut browser);
    // As the code grant has it without offline_access: the family belongs to the browser's session.
    let family = claims(&bound.refresh)["fid"].as_str().unwrap().to_owned();
    app.sql(&format!("UPDATE refresh_tokens SET session_id = '{session}' WHERE family = '{family}'"));
    logout(&mut browser, &[("id_token_hint", &id)]).expect(303);
    app.client("rp").refresh(&bound.refresh).expect_oauth(400, "invalid_grant");
    app.client("rp").refresh(&offline.refresh).expect(200);
}

/// Row 118: at every server, from the next request on.
#[test]
fn who_signs_out_at_one_server_is_out_at_all_of_them() {
    let app = oidc::app_with(&[("challenges.store", "database")]);
    let servers = [&app, &app.twin_with(oidc::CLIENTS)];
    let (mut browser, _) = app.person();
    let ask = Ask::of("house").with("scope", "openid passkeys");
    let tokens = redeem(&app, "house", &ask.send(&mut browser).back().code());
    let mut same = servers.map(|server| {
        let mut same = server.browser();
        same.cookies.clone_from(&browser.cookies);
        same
    });
    assert!(same.iter_mut().all(is_signed_in) && servers.iter().all(|server| server.opens(&tokens.access)));
    browser.call("DELETE", "/v1/session", None).expect(200);
    for (server, browser) in servers.iter().zip(&mut same) {
        assert!(!is_signed_in(browser) && !server.opens(&tokens.access));
        oidc::refresh(server, "house", &tokens.refresh, &[]).expect_oauth(400, "invalid_grant");
    }
}

/// Row 117.
#[test]
fn pages_of_apps_are_told_in_unseen_frames() {
    let receiver = Receiver::start();
    let app = server(&receiver);
    let (mut browser, _, _) = signed_in(&app);
    let session = session_of(&mut browser);
    id_token(&app, &mut browser, "plainfront");
    let id = id_token(&app, &mut browser, "front");
    let done = "https://front.example/done";
    let reply = logout(&mut browser, &[("id_token_hint", &id), ("post_logout_redirect_uri", done), ("state", "s")]);
    assert!(!is_signed_in(&mut browser));
    let page = farewell(&mut browser, &reply);
    let issuer: String = url::form_urlencoded::byte_serialize(app.origin.as_bytes()).collect();
    let frames: Vec<String> = page
        .body
        .split("<iframe")
        .skip(1)
        .map(|tag| {
            tag.split_once("src=\"").unwrap().1.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&")
        })
        .collect();
    let with_sid = format!("https://front.example/out?theme=dark&iss={issuer}&sid={session}");
    assert_eq!(frames, [with_sid.as_str(), "https://plain.example:8443/out"]);
    let policy = page.header("content-security-policy").unwrap();
    let frame_src = policy.split("; ").find(|part| part.starts_with("frame-src")).unwrap();
    assert_eq!(frame_src, "frame-src https://front.example https://plain.example:8443");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(page.body.contains(&format!("content=\"3;url={done}?state=s\"")), "then on: {}", page.body);
    for name in ["Relying Party", "Front", "Plain front"] {
        assert!(page.body.contains(name), "{name}");
    }
    let plain = app.browser().get("/signed-out").expect(200);
    assert!(!plain.header("content-security-policy").unwrap().contains("frame-src") && !plain.body.contains("<iframe"));
}

#[test]
fn the_session_iframe_exists_only_where_it_is_wanted() {
    let app = TestApp::spawn();
    assert_eq!(app.request("GET", "/oauth/session/check").send().status, 404);

    let settings = &[("session.check_iframe", "true")];
    let app = TestApp::with(&Options { settings, ..Options::default() });
    let page = app.request("GET", "/oauth/session/check").send().expect(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.ends_with("frame-ancestors *") && policy.contains("script-src 'nonce-"), "{policy}");
    assert_eq!(page.header("x-frame-options"), None);
    let port = app.origin.rsplit(':').next().unwrap();
    assert!(page.body.contains(&format!("data-cookie=\"passmint-dev-{port}-state\"")), "{}", page.body);
    let other = app.request("GET", "/").send();
    assert_eq!(other.header("x-frame-options"), Some("DENY"), "it alone may be framed");
    let (mut browser, _) = app.person();
    let gone = browser.call("DELETE", "/v1/session", None).expect(200);
    assert!(gone.cookies().iter().any(|(name, _, gone)| name.ends_with("-state") && *gone), "{:?}", gone.headers);
    assert!(session_state("rp", "https://rp.example", "x").contains('.'));
}
