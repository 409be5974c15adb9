//! What requests must fulfil, over HTTP. The tables of the rules themselves are next to the code.

use chrono::Duration;

use super::{ADMIN, APP, Person, TOKENS, join, leads_to, question, spawn, token};

/// The heading of the page for people who are not allowed.
const TITLE: &str = "<h1>This account cannot open this page</h1>";

#[test]
fn a_request_gets_what_its_rule_says() {
    let app = spawn();
    let stranger = Person::stranger(&app);
    let (person, _, user) = Person::at(&app, APP);
    let (mut boss, _, admin) = Person::known(&app);
    join(&app, &user, "staff");
    join(&app, &admin, "admins");
    boss.arrives(APP, "/");
    for (method, target, anybody, somebody, privileged) in [
        ("GET", "/public/x", 200, 200, 200),
        ("POST", "/hook", 200, 200, 200),
        ("GET", "/hook", 401, 200, 200),
        ("GET", "/", 401, 200, 200),
        ("GET", "/admin", 401, 403, 200),
        ("GET", "/admin/x?y", 401, 403, 200),
        ("GET", "/%61dmin", 401, 403, 200),
        ("GET", "/administrator", 401, 200, 200),
        ("GET", "/never", 403, 403, 403),
        // Ambiguous paths, public in one reading and not in another: nobody satisfies all rules at once.
        ("GET", "/public/../admin", 403, 403, 403),
        ("GET", "/public/%2e%2e/admin", 403, 403, 403),
        ("GET", "/public//x", 403, 403, 403),
        ("GET", "/hard", 401, 200, 200),
    ] {
        for (name, who, status) in
            [("nobody", &stranger, anybody), ("somebody", &person, somebody), ("an administrator", &boss, privileged)]
        {
            let reply = who.question(APP, method, target).send();
            assert_eq!(reply.status, status, "{method} {target} by {name}: {}", reply.body);
            let by_nginx = who.asks_by_nginx(APP, method, target);
            assert_eq!(by_nginx.status, status, "{method} {target} by {name}, by nginx: {}", by_nginx.body);
        }
    }
}

/// An app that ignores case would take `post` for the POST that a rule covers.
#[test]
fn a_method_in_small_letters_passes_by_no_rule() {
    let app = spawn();
    let (person, ..) = Person::at(&app, APP);
    for method in ["post", "Get", "GET,POST"] {
        for target in ["/", "/hook", "/admin", "/public/x"] {
            person.question(APP, method, target).send().expect_problem(400, "invalid_request");
            person.asks_by_nginx(APP, method, target).expect_problem(403, "forbidden");
        }
    }
}

#[test]
fn an_old_sign_in_is_renewed_where_a_rule_wants_it() {
    let app = spawn();
    let (mut person, mut passkey, _) = Person::at(&app, APP);
    person.asks(APP, "/fresh").expect(200);
    app.advance(Duration::minutes(11));
    person.asks(APP, "/").expect(200);
    person.asks(APP, "/fresh").expect_problem(401, "reauthentication_required");
    assert_eq!(leads_to(&person.visits(APP, "/fresh")), format!("{APP}/.passmint/start?rd=%2Ffresh"));
    let page = person.begins(APP, "/fresh");
    let shown = person.browser.get(&page).expect(200).body;
    assert!(shown.contains("data-ceremony=\"step-up\""), "the page that asks again: {shown}");
    person.browser.step_up(&mut passkey).expect(200);
    let path = leads_to(&person.browser.get(&page)).strip_prefix(APP).unwrap().to_owned();
    assert_eq!(leads_to(&person.goes(APP, &path)), format!("{APP}/fresh"));
    person.asks(APP, "/fresh").expect(200);
    // If signing in again changes nothing, nobody is sent round in circles.
    app.sql("UPDATE sessions SET acr = '1'");
    person.asks(APP, "/hard").expect_problem(401, "reauthentication_required");
    let page = person.begins(APP, "/hard");
    person.browser.get(&page).expect(403);
    assert_eq!(app.events("forward.denied"), 1);
}

/// However short the time is, another sign-in is asked for instead of a refusal.
#[test]
fn a_short_max_age_is_cured_by_another_sign_in() {
    let app = spawn();
    let (mut person, mut passkey, _) = Person::at(&app, APP);
    app.advance(Duration::seconds(16));
    person.asks(APP, "/swift").expect_problem(401, "reauthentication_required");
    let page = person.begins(APP, "/swift");
    assert!(person.browser.get(&page).expect(200).body.contains("data-ceremony=\"step-up\""));
    person.browser.step_up(&mut passkey).expect(200);
    person.arrives(APP, "/swift");
    person.asks(APP, "/swift").expect(200);
}

/// A form cannot be returned to, but what its address requires of people is still asked for.
#[test]
fn what_a_form_needs_is_asked_for_on_the_way() {
    let app = spawn();
    let (mut person, mut passkey, _) = Person::at(&app, APP);
    app.advance(Duration::minutes(11));
    person.question(APP, "GET", "/pay").send().expect(200);
    let form = person.question(APP, "POST", "/pay?a=b").header("Sec-Fetch-Mode", "navigate").send();
    let start = leads_to(&form).to_owned();
    assert_eq!(start, format!("{APP}/.passmint/start?rd=%2F&method=POST&path=%2Fpay"));
    let sent = person.goes(APP, start.strip_prefix(APP).unwrap());
    let page = leads_to(&sent).strip_prefix(&app.origin).unwrap().to_owned();
    assert!(person.browser.get(&page).expect(200).body.contains("data-ceremony=\"step-up\""));
    person.browser.step_up(&mut passkey).expect(200);
    let path = leads_to(&person.browser.get(&page)).strip_prefix(APP).unwrap().to_owned();
    assert_eq!(leads_to(&person.goes(APP, &path)), format!("{APP}/"));
    person.question(APP, "POST", "/pay?a=b").send().expect(200);
    // A person who may not send the form is told so on the way, and an invalid request is ignored.
    let page = page.replace("path=%2Fpay", "path=%2Fadmin");
    person.browser.get(&page).expect(403);
    for broken in ["method=post&path=%2Fadmin", "method=POST&path=admin", "method=POST"] {
        let changed = page.replace("method=POST&path=%2Fadmin", broken);
        assert!(leads_to(&person.browser.get(&changed)).starts_with(&format!("{APP}/.passmint/return?")), "{broken}");
    }
}

#[test]
fn who_may_not_is_told_before_they_are_sent_back() {
    let app = spawn();
    let (mut person, _, user) = Person::known(&app);
    let page = person.begins(APP, "/admin");
    let refused = person.browser.get(&page).expect(403);
    assert!(refused.body.contains(TITLE) && refused.header("location").is_none());
    let another = format!("{page}&another=1").replace('&', "&#38;");
    assert!(refused.body.contains(&format!("href=\"{another}\"")), "on from here, as somebody else: {}", refused.body);
    assert_eq!(app.events("forward.denied"), 1);
    // A host that knows people by their address admits nobody without a verified one.
    join(&app, &user, "staff");
    app.sql("UPDATE users SET email = 'ana@example.com'");
    let page = person.begins(ADMIN, "/");
    person.browser.get(&page).expect(403);
    app.sql("UPDATE users SET email_verified_at = now()");
    person.arrives(ADMIN, "/");
    person.asks(ADMIN, "/").expect(200);
    app.sql("UPDATE users SET email_verified_at = NULL");
    person.asks(ADMIN, "/").expect_problem(403, "forbidden");
    app.sql("UPDATE users SET email_verified_at = now(); DELETE FROM group_members");
    person.asks(ADMIN, "/").expect_problem(403, "forbidden");
}

#[test]
fn readers_are_sent_to_sign_in_and_programs_are_told() {
    let app = spawn();
    let stranger = Person::stranger(&app);
    let told = stranger.asks(APP, "/x?y").expect_problem(401, "not_signed_in");
    assert_eq!(told.json()["signIn"], format!("{APP}/.passmint/start?rd=%2Fx%3Fy"));
    assert_eq!(told.header("www-authenticate"), Some("Passmint realm=\"https://app.example.com\""));
    assert_eq!((told.header("location"), told.header("cache-control")), (None, Some("no-store")));
    // The form being sent would be lost, and its address may not be readable by GET.
    let form = stranger.question(APP, "POST", "/pay").header("Sec-Fetch-Mode", "navigate").send();
    assert_eq!(leads_to(&form), format!("{APP}/.passmint/start?rd=%2F&method=POST&path=%2Fpay"));
    let old = stranger.question(APP, "GET", "/x").header("Accept", "text/html,application/xhtml+xml").send();
    assert_eq!(leads_to(&old), format!("{APP}/.passmint/start?rd=%2Fx"));
    // nginx does not understand redirects.
    let by_nginx = stranger.asks_by_nginx(APP, "GET", "/x").expect_problem(401, "not_signed_in");
    assert_eq!(by_nginx.header("location"), Some("https://app.example.com/.passmint/start?rd=%2Fx"));
}

#[test]
fn a_database_that_is_gone_lets_nobody_in_and_keeps_nobody_from_what_is_public() {
    let app = spawn();
    let (person, ..) = Person::at(&app, APP);
    app.sql("ALTER TABLE forward_sessions RENAME TO gone");
    person.asks(APP, "/").expect_problem(503, "unavailable");
    person.asks_by_nginx(APP, "GET", "/").expect_problem(503, "unavailable");
    assert_eq!(person.asks(APP, "/public/").expect(200).header("remote-user"), Some(""));
    question(&app, APP, "GET", "/").send().expect_problem(401, "not_signed_in");
    app.sql("ALTER TABLE gone RENAME TO forward_sessions");
    person.asks(APP, "/").expect(200);
}

/// Caddy and Traefik show people whatever is answered, so people get a page of ours and programs get JSON.
#[test]
fn a_reader_who_may_not_is_sent_to_a_page_that_says_so() {
    let app = spawn();
    let (mut person, mut passkey, user) = Person::at(&app, APP);
    person.arrives(TOKENS, "/");
    let to = |host: &str, rd: &str| {
        let host: String = url::form_urlencoded::byte_serialize(host.as_bytes()).collect();
        format!("{}/forward-auth?refused={host}&rd={rd}", app.origin)
    };
    for (name, target, rd) in [
        ("a group", "/admin?a=b", "%2Fadmin%3Fa%3Db"),
        ("nobody's", "/never", "%2Fnever"),
        ("every rule at once", "/public//x", "%2Fpublic%2F%2Fx"),
        ("no place to come back to", "//admin", "%2F&method=GET&path=%2F%2Fadmin"),
    ] {
        assert_eq!(leads_to(&person.visits(APP, target)), to(APP, rd), "{name}");
        let told = person.asks(APP, target).expect_problem(403, "forbidden");
        assert_eq!(told.header("location"), None, "{name}, a program");
        let by_nginx = person.asks_by_nginx(APP, "GET", target).expect_problem(403, "forbidden");
        assert_eq!(by_nginx.header("location"), None, "{name}, a program, by nginx");
        let page = app.request("GET", "/v1/forward-auth/nginx").header("Sec-Fetch-Mode", "navigate");
        let page = page.header("X-Original-URL", &format!("{APP}{target}")).header("X-Original-Method", "GET");
        let by_nginx = person.with_cookies(APP, page).send().expect_problem(403, "forbidden");
        assert_eq!(by_nginx.header("location"), Some(&*to(APP, rd)), "{name}, by nginx");
    }
    let form = person.question(APP, "POST", "/admin").header("Sec-Fetch-Mode", "navigate").send();
    let form_of = |path: &str| format!("{}&method=POST&path={path}", to(APP, "%2F"));
    assert_eq!(leads_to(&form), form_of("%2Fadmin"), "a form is not come back to");
    // Without a name for the person at that host there is nobody to admit.
    app.sql(&format!("UPDATE users SET email = 'ana@example.com', email_verified_at = now() WHERE id = '{user}'"));
    join(&app, &user, "staff");
    person.arrives(ADMIN, "/");
    app.sql("UPDATE users SET email_verified_at = NULL");
    assert_eq!(leads_to(&person.visits(ADMIN, "/x")), to(ADMIN, "%2Fx"));
    // Someone who is signed in nowhere, or who uses a token, could do nothing on that page.
    let stranger = Person::stranger(&app);
    assert_eq!(stranger.visits(APP, "/never").expect_problem(403, "forbidden").header("location"), None);
    let weak = token(&app, &mut passkey, "openid write", "https://tokens.example");
    let by_token = person.question(TOKENS, "GET", "/").header("Authorization", &format!("Bearer {weak}"));
    let by_token = by_token.header("Sec-Fetch-Mode", "navigate").send().expect_problem(403, "forbidden");
    assert_eq!(by_token.header("location"), None);
}

#[test]
fn the_page_of_a_refusal_leads_to_the_configured_host_alone() {
    let app = spawn();
    let (mut person, ..) = Person::known(&app);
    let path = |refused: &str, rd: &str| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("refused", refused)
            .append_pair("rd", rd)
            .finish();
        format!("/forward-auth?{query}")
    };
    let page = person.browser.get(&path(APP, "/admin")).expect(403);
    let onward = format!("href=\"{APP}/.passmint/start?rd=%2Fadmin&#38;another=1\"");
    for said in [TITLE, "The app", "app.example.com", "href=\"/account\"", "action=\"/signout\"", &onward] {
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }
    assert!(!page.body.contains("admin.example.com"), "no other host is named");
    for rd in ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"] {
        let page = person.browser.get(&path(APP, rd)).expect(200);
        assert!(page.body.contains(&format!("href=\"{APP}/.passmint/start?rd=%2F\"")), "{rd}");
        assert!(!page.body.contains("evil.example"), "{rd}");
    }
    for unknown in ["https://evil.example", "https://app.example.com.evil.example", "javascript:alert(1)", ""] {
        let page = person.browser.get(&path(unknown, "/")).expect(400);
        assert!(page.header("location").is_none() && !page.body.contains("evil.example"), "{unknown}");
    }
    // Anybody can construct this address, so no refusal is recorded, and a visitor who is signed in nowhere begins
    // again.
    assert_eq!(app.events("forward.denied"), 0);
    let nobody = Person::stranger(&app).browser.get(&path(APP, "/admin")).expect(403);
    let start = format!("href=\"{APP}/.passmint/start?rd=%2Fadmin\"");
    assert!(!nobody.body.contains(TITLE) && nobody.body.contains(&start), "{}", nobody.body);
}

/// Nobody is told that they may not where they may: access may have been granted since, or the link was somebody
/// else's.
#[test]
fn the_page_of_a_refusal_says_what_is_true_of_its_reader() {
    let app = spawn();
    let (mut person, _, user) = Person::known(&app);
    let page = |rd: &str, more: &str| format!("/forward-auth?refused=https%3A%2F%2Fapp.example.com&rd={rd}{more}");
    let start = |query: &str| format!("href=\"{APP}/.passmint/start?{query}\"");
    let posted = "&method=POST&path=%2Fadmin";
    for (name, path, status, title, onward) in [
        ("a group's", page("%2Fadmin", ""), 403, TITLE, start("rd=%2Fadmin&#38;another=1")),
        ("anybody's", page("%2Fx", ""), 200, "You can open this page now", start("rd=%2Fx")),
        ("public", page("%2Fpublic%2F", ""), 200, "You can open this page now", start("rd=%2Fpublic%2F")),
        (
            "a form of a group",
            page("%2F", posted),
            403,
            TITLE,
            start("rd=%2F&#38;method=POST&#38;path=%2Fadmin&#38;another=1"),
        ),
    ] {
        let told = person.browser.get(&path).expect(status);
        assert!(told.body.contains(title) && told.body.contains(&onward), "{name}: {}", told.body);
        assert_eq!(told.header("location"), None, "{name}: nothing goes on by itself");
    }
    let closed = person.browser.get(&page("%2Fnever", "")).expect(403).body;
    app.advance(Duration::minutes(11));
    let stale = person.browser.get(&page("%2Ffresh", "")).expect(403).body;
    assert!(stale.contains("Confirm that it is you") && stale.contains(&start("rd=%2Ffresh")), "{stale}");
    assert!(closed.contains("Nobody can open this page") && !closed.contains("/.passmint/start"), "{closed}");
    join(&app, &user, "admins");
    for (path, onward) in [
        (page("%2Fadmin", ""), start("rd=%2Fadmin")),
        (page("%2F", posted), start("rd=%2F&#38;method=POST&#38;path=%2Fadmin")),
    ] {
        let told = person.browser.get(&path).expect(200).body;
        assert!(told.contains("You can open this page now") && told.contains(&onward), "{told}");
    }
    assert_eq!(app.events("forward.denied"), 0);
}

#[test]
fn another_account_opens_what_the_first_may_not() {
    let app = spawn();
    let (mut person, ..) = Person::at(&app, APP);
    let (_, mut boss, admin) = Person::known(&app);
    join(&app, &admin, "admins");
    let begun = person.goes(APP, "/.passmint/start?rd=%2Fadmin&another=1");
    let page = leads_to(&begun).strip_prefix(&app.origin).expect("a page of ours").to_owned();
    let asked = person.browser.get(&page).expect(200);
    assert!(asked.body.contains("data-ceremony=\"get\""), "asked although somebody is signed in: {}", asked.body);
    person.browser.sign_in(&mut boss).expect(200);
    let onward = page.strip_suffix("&another=1").expect("that was asked for");
    let back = leads_to(&person.browser.get(onward)).strip_prefix(APP).expect("the host").to_owned();
    assert_eq!(leads_to(&person.goes(APP, &back)), format!("{APP}/admin"));
    person.asks(APP, "/admin").expect(200);
}
