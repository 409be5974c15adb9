//! The way from a host to our pages and back.

use chrono::Duration;

use super::{ADMIN, APP, Person, join, leads_to, spawn, spawn_with};
use crate::support::tokens::at_once;
use crate::support::{Options, TestApp};

#[test]
fn somebody_goes_all_the_way_and_comes_back_to_where_they_began() {
    let app = spawn();
    let mut person = Person::stranger(&app);
    let sent = person.visits(APP, "/a/b?c=d&e=%20f");
    let start = leads_to(&sent).to_owned();
    assert_eq!(start, format!("{APP}/.passmint/start?rd=%2Fa%2Fb%3Fc%3Dd%26e%3D%2520f"));

    let page = person.begins(APP, "/a/b?c=d&e=%20f");
    let shown = person.browser.get(&page).expect(200).body;
    assert!(shown.contains("The app") && shown.contains("app.example.com"), "who asks is told");
    let mut passkey = app.passkey();
    person.browser.sign_up(&mut passkey);
    let to = leads_to(&person.browser.get(&page)).to_owned();
    let back = person.goes(APP, to.strip_prefix(APP).unwrap());
    assert_eq!(leads_to(&back), format!("{APP}/a/b?c=d&e=%20f"));
    let cookie =
        back.headers.iter().find(|(_, value)| value.starts_with("__Host-passmint-forward=")).unwrap().1.clone();
    for part in ["=pmf_", "HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=43"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    assert!(!cookie.contains("Domain"));
    person.asks(APP, "/a/b?c=d").expect(200);
    assert_eq!(app.events("forward.signed_in"), 1);
    let stored = "SELECT count(*) AS n FROM forward_sessions WHERE encode(digest, 'escape') LIKE '%pmf%'";
    assert_eq!((app.count("SELECT count(*) AS n FROM forward_codes"), app.count(stored)), (0, 0), "digests only");
}

#[test]
fn a_cookie_is_good_at_its_own_host_only() {
    let app = spawn();
    let (mut person, _, user) = Person::at(&app, APP);
    join(&app, &user, "staff");
    app.sql("UPDATE users SET email = 'ana@example.com', email_verified_at = now()");
    person.asks(APP, "/").expect(200);
    let stolen = person.cookies[APP].clone();
    person.cookies.insert(ADMIN.to_owned(), stolen);
    person.asks(ADMIN, "/").expect_problem(401, "not_signed_in");
    person.arrives(ADMIN, "/");
    person.asks(ADMIN, "/").expect(200);
    assert_ne!(person.cookie(ADMIN), person.cookie(APP));
    // Our own cookie is not accepted as one of theirs, nor theirs as ours.
    let ours = person.browser.session().unwrap().to_owned();
    for value in [ours, "pmf_".to_owned() + &"A".repeat(43), String::new()] {
        let request =
            super::question(&app, APP, "GET", "/").header("Cookie", &format!("__Host-passmint-forward={value}"));
        request.send().expect_problem(401, "not_signed_in");
    }
    let theirs = person.cookie(APP).unwrap().to_owned();
    let name = person.browser.cookies.iter().find(|(name, _)| !name.ends_with("-pre")).unwrap().0.clone();
    let request = app.request("GET", "/v1/me").header("Cookie", &format!("{name}={theirs}"));
    request.send().expect_problem(401, "not_signed_in");
}

/// Browsers send a cookie to every port of its host.
#[test]
fn apps_at_two_ports_of_one_host_do_not_sign_each_other_out() {
    const PORTS: [&str; 2] = ["https://nas.example.com:5001", "https://nas.example.com:8443"];
    let config: String = PORTS.map(|host| format!("[forward_auth.\"{host}\"]\nname = \"NAS\"\n")).concat();
    let settings = [("trusted_proxies", "127.0.0.1")];
    let app = TestApp::with(&Options { config: &config, settings: &settings, ..Options::default() });
    let (mut person, ..) = Person::at(&app, PORTS[0]);
    for (from, to) in [(PORTS[0], PORTS[1]), (PORTS[1], PORTS[0])] {
        let jar = person.cookies[from].clone();
        person.cookies.insert(to.to_owned(), jar);
        if from == PORTS[0] {
            person.arrives(to, "/");
        }
    }
    for host in PORTS {
        person.asks(host, "/").expect(200);
    }
}

#[test]
fn of_64_who_bring_one_code_one_gets_the_cookie() {
    let app = spawn();
    for _ in 0..3 {
        let (mut person, ..) = Person::known(&app);
        let path = person.has_code(APP, "/x");
        let replies = at_once(64, |_| person.request(APP, "GET", &path).send());
        let won = replies.iter().filter(|reply| leads_to(reply) == format!("{APP}/x")).count();
        let set = replies.iter().filter(|reply| !reply.cookies().is_empty()).count();
        assert_eq!((won, set), (1, 1));
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM forward_sessions"), 3);
    assert_eq!(app.events("forward.signed_in"), 3);
}

#[test]
fn a_code_is_good_in_its_browser_at_its_host_for_a_minute() {
    let app = spawn();
    let stranded = format!("{}/forward-auth?stranded=https%3A%2F%2Fapp.example.com", app.origin);
    // A thief of the code lacks the cookie of the browser that began.
    let (mut person, _, user) = Person::known(&app);
    join(&app, &user, "staff");
    app.sql("UPDATE users SET email = 'ana@example.com', email_verified_at = now()");
    for thief in ["without a state", "with another state"] {
        let path = person.has_code(APP, "/");
        let mut other = Person::stranger(&app);
        if thief.starts_with("with another") {
            other.begins(APP, "/");
        }
        let refused = other.goes(APP, &path);
        assert_eq!(leads_to(&refused), stranded, "{thief}");
        assert!(refused.cookies().is_empty(), "{thief}");
        assert_eq!(leads_to(&person.goes(APP, &path)), stranded, "{thief}: burnt");
    }
    // At another host, even with this host's state.
    let path = person.has_code(APP, "/");
    let state = person.cookies[APP].clone();
    person.cookies.insert(ADMIN.to_owned(), state);
    assert!(leads_to(&person.goes(ADMIN, &path)).ends_with("stranded=https%3A%2F%2Fadmin.example.com"));
    assert_eq!(leads_to(&person.goes(APP, &path)), stranded);
    // Too late.
    let path = person.has_code(APP, "/");
    app.advance(Duration::seconds(60));
    assert_eq!(leads_to(&person.goes(APP, &path)), stranded);
    assert_eq!(app.events("forward.code_refused"), 4);
    assert_eq!((app.events("forward.signed_in"), app.count("SELECT count(*) AS n FROM forward_sessions")), (0, 0));
    // Not in the form of a code.
    for code in ["", "x", "pmh_x", "pma_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert_eq!(leads_to(&person.goes(APP, &format!("/.passmint/return?code={code}"))), stranded, "{code}");
    }
    let twice = person.goes(APP, "/.passmint/return?code=a&code=b");
    twice.expect_problem(400, "invalid_request");
    let page = person.browser.get(stranded.strip_prefix(&app.origin).unwrap()).expect(403).body;
    assert!(page.contains("https://app.example.com/.passmint/start"), "the way to begin again: {page}");
    // A person who is signed in there and reloads the page continues.
    let path = person.has_code(APP, "/x");
    assert_eq!(leads_to(&person.goes(APP, &path)), format!("{APP}/x"));
    assert_eq!(leads_to(&person.goes(APP, &path)), format!("{APP}/"));
}

/// An attacker sends a victim to their own half of a sign-in, in either direction.
#[test]
fn a_link_of_somebody_else_s_signs_nobody_in() {
    let app = spawn();
    let (mut attacker, ..) = Person::known(&app);
    let (mut victim, ..) = Person::known(&app);
    // The attacker's code in the victim's browser: the victim would write into the attacker's account.
    let path = attacker.has_code(APP, "/");
    victim.begins(APP, "/");
    assert!(victim.goes(APP, &path).cookies().is_empty());
    // The victim's code for the attacker's state: it arrives in the victim's browser, which has another state.
    let page = attacker.begins(APP, "/");
    let path = leads_to(&victim.browser.get(&page)).strip_prefix(APP).unwrap().to_owned();
    assert!(victim.goes(APP, &path).cookies().is_empty());
    assert!(attacker.goes(APP, &path).cookies().is_empty(), "and it is used up");
}

#[test]
fn several_tabs_that_begin_together_all_arrive() {
    let app = spawn();
    let (mut person, ..) = Person::known(&app);
    let paths = [person.has_code(APP, "/one"), person.has_code(APP, "/two")];
    for (path, end) in paths.iter().zip(["/one", "/two"]) {
        assert_eq!(leads_to(&person.goes(APP, path)), format!("{APP}{end}"));
    }
    person.asks(APP, "/").expect(200);
    assert_eq!(
        app.count("SELECT count(*) AS n FROM forward_sessions"),
        1,
        "the second cookie took the first one's place"
    );
}

#[test]
fn every_way_ends_at_the_host_itself() {
    let app = spawn();
    let (mut person, ..) = Person::known(&app);
    for back in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "/a\r\nLocation: https://evil.example",
        "/\t/evil.example",
        "\u{ff0f}evil.example",
        "@evil.example",
        ".evil.example",
        "",
        "/.passmint/sign-out",
        &format!("/{}", "a".repeat(2000)),
    ] {
        assert_eq!(person.arrives(APP, back), format!("{APP}/"), "{back:?}");
    }
    assert_eq!(person.arrives(APP, "/a?next=//evil.example"), format!("{APP}/a?next=//evil.example"));
    // What our page is given is checked again, whoever wrote it.
    let page = person.begins(APP, "/x");
    for (from, to) in [("rd=%2Fx", "rd=%2F%2Fevil.example"), ("rd=%2Fx", "rd=https%3A%2F%2Fevil.example")] {
        let changed = page.replace(from, to);
        let path = leads_to(&person.browser.get(&changed)).strip_prefix(APP).unwrap().to_owned();
        assert_eq!(leads_to(&person.goes(APP, &path)), format!("{APP}/"));
    }
    for (name, from, to) in [
        ("an unknown host", "app.example.com", "evil.example"),
        ("a host in another spelling", "app.example.com", "APP.example.com"),
        ("no state", "state=", "no="),
        ("a short state", "state=", "state=A"),
        ("twice", "state=", "host=x&state="),
    ] {
        let reply = person.browser.get(&page.replace(from, to)).expect(400);
        assert_eq!(reply.header("location"), None, "{name}");
    }
}

#[test]
fn a_host_is_entered_only_as_long_as_the_session_lives() {
    let app = spawn_with(&[("session.sliding", "2h"), ("session.absolute", "10h")]);
    let (mut person, ..) = Person::at(&app, APP);
    // Using the app counts as using the session: it slides, with an occasional write.
    for _ in 0..5 {
        app.advance(Duration::minutes(100));
        person.asks(APP, "/").expect(200);
    }
    assert!(person.browser.get("/v1/session").json()["session"].is_object(), "our own cookie slid along");
    app.advance(Duration::minutes(100));
    person.asks(APP, "/").expect_problem(401, "not_signed_in");
    assert!(person.browser.get("/v1/session").json()["session"].is_null(), "ten hours are over");

    // A host's own, shorter lifetime.
    let (mut person, _, user) = Person::known(&app);
    join(&app, &user, "staff");
    app.sql(&format!("UPDATE users SET email = 'a@example.com', email_verified_at = now() WHERE id = '{user}'"));
    person.arrives(ADMIN, "/");
    app.advance(Duration::minutes(59));
    person.asks(ADMIN, "/").expect(200);
    app.advance(Duration::minutes(1));
    person.asks(ADMIN, "/").expect_problem(401, "not_signed_in");
    // A person signed in at our pages returns without being asked.
    person.arrives(ADMIN, "/");
    person.asks(ADMIN, "/").expect(200);
    // An unused session expires.
    app.advance(Duration::hours(2));
    person.asks(ADMIN, "/").expect_problem(401, "not_signed_in");
}

#[test]
fn a_code_given_before_the_session_ended_gives_nothing_after() {
    let app = spawn();
    let (mut person, ..) = Person::known(&app);
    let path = person.has_code(APP, "/");
    person.browser.call("DELETE", "/v1/session", None).expect(200);
    assert!(person.goes(APP, &path).cookies().is_empty());
    assert_eq!(app.events("forward.code_refused"), 1);
}

#[test]
fn servers_share_codes_and_cookies() {
    let settings = [("trusted_proxies", "127.0.0.1"), ("challenges.store", "database")];
    let one = TestApp::with(&Options { config: super::CONFIG, settings: &settings, ..Options::default() });
    let other = TestApp::with(&Options {
        config: super::CONFIG,
        settings: &settings,
        beside: Some(&one),
        public_url: Some(&one.origin),
    });
    let (mut person, ..) = Person::known(&one);
    let path = person.has_code(APP, "/x");
    let mut there = Person { app: &other, browser: person.browser.clone(), cookies: person.cookies.clone() };
    assert_eq!(leads_to(&there.goes(APP, &path)), format!("{APP}/x"));
    person.cookies.clone_from(&there.cookies);
    person.asks(APP, "/").expect(200);
    person.browser.call("DELETE", "/v1/session", None).expect(200);
    for person in [&person, &there] {
        person.asks(APP, "/").expect_problem(401, "not_signed_in");
    }
}

/// Somebody signed in begins no ceremony on the way, so they use up nobody's; but each code is a row, and rows are
/// limited.
#[test]
fn who_is_signed_in_takes_nobody_s_ceremonies() {
    let app = spawn_with(&[
        ("limits.enabled", "true"),
        ("limits.starts_per_minute", "1"),
        ("limits.starts_burst", "3"),
        ("limits.tokens_per_minute", "1"),
        ("limits.tokens_burst", "8"),
    ]);
    let (mut person, ..) = Person::known(&app);
    for _ in 0..8 {
        person.arrives(APP, "/");
    }
    let page = person.begins(APP, "/");
    person.browser.get(&page).expect(429);
    assert_eq!(app.count("SELECT count(*) AS n FROM forward_sessions"), 1);
    // For strangers the page begins a ceremony; over the limit they get the page without one.
    let mut stranger = Person::stranger(&app);
    let page = stranger.begins(APP, "/");
    let host = app.origin.trim_start_matches("http://");
    let shown = || app.request("GET", &page).header("Host", host).send().expect(200).body;
    let begun = (0..6).filter(|_| shown().contains("pmc_")).count();
    assert_eq!(begun, 2, "one of three was the sign-up");
}

#[test]
fn what_is_over_is_swept() {
    let app = spawn();
    let (mut person, ..) = Person::at(&app, APP);
    person.has_code(APP, "/");
    let rows = "SELECT (SELECT count(*) FROM forward_codes) + (SELECT count(*) FROM forward_sessions) AS n";
    let sweep = || {
        let now = app.clock.now();
        app.db.blocking(|conn| passmint::storage::sweep::sweep(conn, now, None)).unwrap();
        app.count(rows)
    };
    assert_eq!(sweep(), 2);
    app.advance(Duration::minutes(2));
    assert_eq!(sweep(), 1, "the code");
    app.advance(Duration::hours(12));
    assert_eq!(sweep(), 0);
}
