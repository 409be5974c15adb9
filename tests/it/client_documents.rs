//! Clients whose id is the URL of their document (OAuth Client ID Metadata Document; MCP clients use it).

use chrono::Duration;
use serde_json::{Value, json};

use crate::support::oidc::{Ask, random_code, redemption};
use crate::support::tls::{Authority, Folder, Speaker};
use crate::support::tokens::{at_once, claims};
use crate::support::{Browser, Options, Reply, TestApp};

/// An app's server, our server, which trusts its certificate, and the app's URL.
fn spawn() -> (TestApp, Speaker, String, Folder) {
    spawn_with(&[])
}

pub fn spawn_with(more: &[(&str, &str)]) -> (TestApp, Speaker, String, Folder) {
    let (authority, folder) = (Authority::new(), Folder::new());
    let speaker = Speaker::start(&authority);
    let trusted = folder.put("ca.pem", &authority.pem);
    let settings = [
        ("registration.metadata_documents", "true"),
        ("registration.audiences", "https://mcp.example/"),
        ("outbound.allow_private_addresses", "true"),
        ("outbound.extra_ca_file", trusted.as_str()),
    ];
    let app = TestApp::with(&Options { settings: &[&settings[..], more].concat(), ..Options::default() });
    let id = format!("https://localhost:{}/client.json", speaker.port);
    (app, speaker, id, folder)
}

fn document(id: &str) -> Value {
    json!({ "client_id": id, "client_name": "Editor", "redirect_uris": ["https://rp.example/cb"] })
}

fn ask(id: &str) -> Ask {
    Ask::of("rp").with("client_id", id)
}

#[track_caller]
fn told(reply: &Reply, words: &str) {
    assert_eq!((reply.status, reply.header("location")), (400, None));
    assert!(reply.body.contains(words), "{words}: {}", reply.body);
}

#[test]
fn an_app_is_known_by_its_document() {
    let (app, speaker, id, _folder) = spawn();
    speaker.says(&document(&id));
    let (mut browser, _) = app.person();
    let path = ask(&id).with("resource", "https://mcp.example/").send(&mut browser).waits();
    let page = browser.get(&path).expect(200);
    assert!(page.body.contains("Editor") && page.body.contains("Nobody at this site has reviewed this app"));
    let back = browser.submit(&page, &path, &[("decision", "allow")]).returning();
    let form = redemption(&id, back.get("code").unwrap(), "https://rp.example/cb");
    let tokens = app.request("POST", "/oauth/token").form(&form).send().expect(200).json();
    let access = claims(tokens["access_token"].as_str().unwrap());
    assert_eq!((&access["client_id"], &access["aud"]), (&json!(id), &json!("https://mcp.example/")));
    assert_eq!((speaker.asked(), app.events("client.registered")), (1, 1), "read once, and written down");

    // It is read again after an hour; changes apply from then on.
    let mut changed = document(&id);
    changed["client_name"] = json!("Editor 2");
    speaker.says(&changed);
    app.advance(Duration::minutes(61));
    assert!(app.browser().visit(&ask(&id).path()).waits().starts_with("/oauth/interaction/"));
    assert_eq!((speaker.asked(), app.events("client.changed")), (2, 1));
    // If a document cannot be read, the last one stays in force for a day.
    speaker.fails();
    app.advance(Duration::minutes(61));
    app.browser().visit(&ask(&id).path()).waits();
    app.advance(Duration::days(2));
    for visit in ["which asks for the document", "while nobody asks again"] {
        let reply = app.browser().visit(&ask(&id).path());
        assert!(reply.body.contains("cannot be read"), "{visit}: {}", reply.status);
    }
}

/// Naming an app makes us fetch its document, so it is limited like anything else that strangers begin, wherever it is
/// named.
#[test]
fn new_apps_are_counted_wherever_they_are_named() {
    let limits = [("limits.enabled", "true"), ("limits.starts_per_minute", "1"), ("limits.starts_burst", "2")];
    let (app, speaker, id, _folder) = spawn_with(&limits);
    speaker.fails();
    let numbered = |number: u8| id.replace("client.json", &format!("{number}.json"));
    let push = || app.request("POST", "/oauth/par");
    assert_ne!(push().form(&[("client_id", &numbered(1))]).send().status, 429);
    let form = [("response_type", "code")];
    let encoded: String = url::form_urlencoded::byte_serialize(numbered(2).as_bytes()).collect();
    assert_ne!(push().basic(&encoded, "").form(&form).send().status, 429);
    let encoded: String = url::form_urlencoded::byte_serialize(numbered(3).as_bytes()).collect();
    assert_eq!(push().basic(&encoded, "").form(&form).send().status, 429);
    assert_eq!(push().form(&[("client_id", &numbered(4))]).send().status, 429);
    assert_eq!(app.browser().visit(&ask(&numbered(5)).path()).status, 429);
    assert_eq!(speaker.asked(), 2);
}

/// Check 2: programs register `http://localhost` and come with the port that they were assigned. The person is asked
/// each time.
#[test]
fn a_local_program_comes_with_a_port_that_its_document_does_not_name() {
    let (app, speaker, id, _folder) = spawn();
    let mut program = document(&id);
    program["redirect_uris"] = json!(["http://localhost/callback", "http://localhost:7000/fixed"]);
    speaker.says(&program);
    let (mut browser, _) = app.person();
    for to in ["http://localhost:3118/callback", "http://localhost:52001/callback", "http://localhost/callback"] {
        let ask = ask(&id).with("redirect_uri", to);
        let path = ask.send(&mut browser).waits();
        let page = browser.get(&path).expect(200);
        let back = browser.submit(&page, &path, &[("decision", "allow")]).returning();
        assert_eq!(back.to, to);
        let code = back.code();
        let redeem = |to: &str| app.request("POST", "/oauth/token").form(&redemption(&id, &code, to)).send();
        redeem(to).expect(200);
    }
    for to in [
        "http://localhost:3118/callback/x",
        "http://localhost:7001/fixed",
        "http://localhost:0/callback",
        "http://localhost.evil.example:3118/callback",
        "https://localhost:3118/callback",
        "http://127.0.0.1:3118/callback",
    ] {
        told(&ask(&id).with("redirect_uri", to).send(&mut browser), "redirect_uri");
    }
}

/// Servers learn of each other's clients within a second. A document that one has read is known to all at once, and
/// read only once.
#[test]
fn a_document_that_was_just_read_is_known_to_every_server() {
    let (app, speaker, id, _folder) = spawn();
    let settings = [("registration.metadata_documents", "true"), ("challenges.store", "database")];
    let public_url = Some(app.origin.as_str());
    let twin = TestApp::with(&Options { settings: &settings, public_url, beside: Some(&app), ..Options::default() });
    let (mut here, _) = app.person();
    let mut there = Browser::at(&twin.url, &twin.origin);
    there.cookies.clone_from(&here.cookies);
    // So that the other server is not notified.
    app.sql("CREATE RULE unheard AS ON INSERT TO changes DO INSTEAD NOTHING");
    let numbered = |number: u8| id.replace("client.json", &format!("{number}.json"));
    let arrive = |number: u8, browser: &mut Browser| {
        speaker.says(&document(&numbered(number)));
        ask(&numbered(number)).send(browser).waits()
    };
    let redeem = |id: &str, code: &str| {
        let form = redemption(id, code, "https://rp.example/cb");
        twin.request("POST", "/oauth/token").form(&form).send()
    };

    arrive(1, &mut here);
    redeem(&numbered(1), &random_code()).expect_oauth(400, "invalid_grant");
    let waiting = arrive(2, &mut here);
    there.get(&waiting).expect(200);
    arrive(3, &mut here);
    let path = ask(&numbered(3)).send(&mut there).waits();
    let page = there.get(&path).expect(200);
    let code = there.submit(&page, &path, &[("decision", "allow")]).returning().code();
    redeem(&numbered(3), &code).expect(200);
    assert_eq!(speaker.asked(), 3, "each of them once");
    redeem(&numbered(4), &code).expect_oauth(401, "invalid_client");
    assert_eq!(speaker.asked(), 3, "a stranger's word");
}

/// Security rules 120 and 121: whose document it is, what it may say, and that nobody can make us fetch it again and
/// again.
#[test]
fn documents_are_refused_by_name() {
    let (app, speaker, id, _folder) = spawn();
    let (mut browser, _) = app.person();
    for (name, members, words) in [
        ("another address", json!({ "client_id": "https://localhost/other.json" }), "does not name that address"),
        ("a secret", json!({ "client_secret": "x" }), "contains a secret"),
        ("a secret's method", json!({ "token_endpoint_auth_method": "client_secret_basic" }), "has no secret"),
        ("no place", json!({ "redirect_uris": [] }), "redirect_uris"),
        // It should be a list of URLs, but it is this same document.
        (
            "a sector that is none",
            json!({ "subject_type": "pairwise", "sector_identifier_uri": id }),
            "sector_identifier_uri",
        ),
    ] {
        let mut bad = document(&id);
        bad.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        speaker.says(&bad);
        app.advance(Duration::seconds(31));
        let reply = ask(&id).send(&mut browser);
        assert_eq!((reply.status, reply.header("location")), (400, None), "{name}");
        assert!(reply.body.contains(words), "{name}: {}", reply.body);
    }
    let before = speaker.asked();
    let replies = at_once(16, |_| app.browser().visit(&ask(&id).path()).status);
    assert!(replies.iter().all(|status| *status == 400), "{replies:?}");
    assert_eq!(speaker.asked(), before, "nobody asks again for half a minute");
    speaker.says(&document(&id));
    app.advance(Duration::seconds(31));
    let replies = at_once(16, |_| app.browser().visit(&ask(&id).path()).status);
    assert!(replies.iter().all(|status| *status == 303), "{replies:?}");
    assert_eq!(speaker.asked(), before + 1, "many at once ask once");
    assert_eq!(app.count("SELECT count(*) AS n FROM clients WHERE source = 'metadata_document'"), 1);

    // While this is switched off, a URL is not a client.
    let off = TestApp::spawn();
    told(&off.browser().visit(&ask(&id).path()), "client");
    assert_eq!(speaker.asked(), before + 1);
}

/// Security rule 120: naming a URL is not enough to make us fetch it and store what it says.
#[test]
fn documents_are_first_read_where_a_person_or_a_push_comes_with_them() {
    let (app, speaker, id, _folder) = spawn();
    speaker.says(&document(&id));
    let redeem = redemption(&id, "pma_x", "https://rp.example/cb");
    let other = [("client_id", id.as_str()), ("token", "x"), ("scope", "openid")];
    for (path, form) in [
        ("/oauth/token", redeem.as_slice()),
        ("/oauth/revoke", &other),
        ("/oauth/introspect", &other),
        ("/oauth/device", &other),
    ] {
        app.request("POST", path).form(form).send().expect_oauth(401, "invalid_client");
    }
    assert_eq!((speaker.asked(), app.events("client.registered")), (0, 0), "a stranger's word");
    app.request("POST", "/oauth/par").form(&ask(&id).pairs()).send().expect(201);
    assert_eq!((speaker.asked(), app.events("client.registered")), (1, 1));
    // From now on it is known everywhere.
    app.request("POST", "/oauth/token").form(&redeem).send().expect_oauth(400, "invalid_grant");
    assert_eq!(speaker.asked(), 1);
}

/// URLs cost nothing, so unused documents make room for others, and those that people use stay.
#[test]
fn documents_that_nobody_used_make_room_for_others() {
    let (app, speaker, id, _folder) = spawn_with(&[("registration.max_clients", "2")]);
    let numbered = |number: u8| id.replace("client.json", &format!("{number}.json"));
    let kept = || {
        let here = |number: &u8| {
            let sql = format!("SELECT count(*) AS n FROM clients WHERE id = '{}'", numbered(*number));
            app.count(&sql) == 1
        };
        (1..=5).filter(here).collect::<Vec<u8>>()
    };
    let arrive = |number: u8| {
        speaker.says(&document(&numbered(number)));
        app.advance(Duration::seconds(1));
        app.browser().visit(&ask(&numbered(number)).path()).status
    };
    let allow = |number: u8| {
        let (mut browser, _) = app.person();
        let path = ask(&numbered(number)).send(&mut browser).waits();
        let page = browser.get(&path).expect(200);
        browser.submit(&page, &path, &[("decision", "allow")]).returning();
    };
    assert_eq!((arrive(1), arrive(2), kept()), (303, 303, vec![1, 2]));
    allow(1);
    assert_eq!((arrive(3), kept()), (303, vec![1, 3]), "the oldest is used, so the next one goes");
    assert_eq!((arrive(4), kept()), (303, vec![1, 4]));
    assert_eq!((arrive(2), kept()), (303, vec![1, 2]), "who went comes again");
    allow(2);
    assert_ne!(arrive(5), 303, "people use both");
    assert_eq!(kept(), [1, 2]);
}
