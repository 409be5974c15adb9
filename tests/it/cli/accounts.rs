//! `passmint clients …`, `users …` and `relying-parties …`, with servers that follow.

use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use passmint::domain::secret::TokenDigest;

use super::{Operator, eventually};
use crate::authenticator::Authenticator;
use crate::support::{TestApp, introspect};

/// The status of a client's introspection: 200 with valid credentials, 401 without.
fn status_of(app: &TestApp, id: &str, secret: &str) -> u16 {
    let basic = STANDARD.encode(format!("{id}:{secret}"));
    let request = app.request("POST", "/oauth/introspect").header("Authorization", &format!("Basic {basic}"));
    request.form(&[("token", "none")]).send().status
}

fn field(out: &str, name: &str) -> String {
    let line = out.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("{name}: {out}")).trim().to_owned()
}

#[test]
fn a_running_server_follows_clients() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let create = ["clients", "create", "reporter", "--name", "Reporter", "--kind", "confidential"];
    let made = operator.ok(&[&create[..], &["--may-introspect", "https://api.example"]].concat());
    let first = field(&made, "secret");
    eventually("the client is known", || status_of(&app, "reporter", &first) == 200);

    let second = field(&operator.ok(&["clients", "secret", "reporter"]), "secret");
    eventually("the new secret is known", || status_of(&app, "reporter", &second) == 200);
    assert_eq!(status_of(&app, "reporter", &first), 200, "both are good while the app is changed");
    let third = field(&operator.ok(&["clients", "secret", "reporter", "--keep-old", "2h"]), "secret");
    let refusal = operator.refused(&["clients", "secret", "reporter", "--keep-old", "100000000d"]);
    assert_eq!(refusal, "--keep-old is too long: choose at most 30d");
    eventually("the first is worth nothing: two overlap, not three", || status_of(&app, "reporter", &first) == 401);
    assert_eq!((status_of(&app, "reporter", &second), status_of(&app, "reporter", &third)), (200, 200));
    app.advance(chrono::Duration::minutes(121));
    assert_eq!(
        (status_of(&app, "reporter", &second), status_of(&app, "reporter", &third)),
        (401, 200),
        "its time is over"
    );
    let brief = operator.ok(&["clients", "secret", "reporter", "--keep-old", "500ms"]);
    assert!(brief.contains("the old secret stays good until"), "less than a second is not at once: {brief}");
    let first = field(&brief, "secret");
    eventually("the next secret is known", || status_of(&app, "reporter", &first) == 200);
    let second = field(&operator.ok(&["clients", "secret", "reporter", "--now"]), "secret");
    eventually("the old secret is worth nothing", || status_of(&app, "reporter", &first) == 401);
    assert_eq!(status_of(&app, "reporter", &second), 200);

    operator.ok(&["clients", "disable", "reporter"]);
    eventually("it is disabled", || status_of(&app, "reporter", &second) == 401);
    operator.ok(&["clients", "disable", "reporter"]);
    operator.ok(&["clients", "enable", "reporter"]);
    eventually("it is enabled", || status_of(&app, "reporter", &second) == 200);
    assert_eq!(app.events("client.changed"), 7, "what was disabled already is no news");
    let by_the_operator = "kind = 'client.changed' AND client_id IS NULL AND detail->>'by' = 'command line'";
    assert_eq!(app.count(&format!("SELECT count(*) AS n FROM audit_events WHERE {by_the_operator}")), 7);

    let shown = operator.json(&["clients", "show", "reporter"]);
    assert_eq!(shown["definition"]["name"], "Reporter");
    assert!(!shown.to_string().contains(&second), "a secret is shown once");
    assert_eq!(
        operator.json(&["clients", "list"]).as_array().map(Vec::len),
        Some(5),
        "with three declared and quickstart"
    );
}

#[test]
fn what_the_configuration_declares_is_read_only() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    for arguments in [["clients", "disable", "web"], ["clients", "enable", "web"], ["clients", "secret", "api"]] {
        let refusal = operator.refused(&arguments);
        assert!(refusal.contains("declared by test: change it there"), "{arguments:?}: {refusal}");
    }
    assert!(operator.refused(&["clients", "create", "web"]).contains("There is a client of this id already"));
    assert_eq!(app.events("client.changed"), 0);
}

#[test]
fn a_client_is_held_to_the_rules_of_the_configuration() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    for (name, arguments, expected) in [
        ("id", &["Bad Id"][..], "the client's id: "),
        ("grant", &["x", "--grant", "password"], "--grant: "),
        ("origin", &["x", "--origin", "http://app.example"], "--origin: \"http://app.example\" is not https"),
        ("redirect", &["x", "--redirect-uri", "javascript:x"], "--redirect-uri: "),
        ("third party", &["x", "--grant", "passkey"], "not first_party"),
        (
            "a stranger's origin",
            &["x", "--first-party", "--grant", "passkey", "--origin", "https://a.example"],
            "--origin: ",
        ),
        ("public", &["x", "--may-introspect", "https://a.example"], "introspection needs"),
        ("relying party", &["x", "--relying-party", "none"], "no relying party is named"),
        ("the built-in one", &["quickstart"], "is declared by"),
    ] {
        let refusal = operator.refused(&[&["clients", "create"], arguments].concat());
        assert!(refusal.contains(expected), "{name}: {refusal}");
    }
    assert_eq!(app.events("client.changed"), 0);
    assert!(operator.refused(&["clients", "show", "x"]).contains("`passmint clients list` shows all of them"));
    operator.ok(&["clients", "create", "x", "--grant", "refresh_token"]);
    assert!(operator.refused(&["clients", "secret", "x"]).contains("is public"));
    let by_keys =
        ["--kind", "confidential", "--grant", "client_credentials", "--setting", "jwks_uri=\"https://a.example/jwks\""];
    operator.ok(&[&["clients", "create", "y"], &by_keys[..]].concat());
    assert!(operator.refused(&["clients", "secret", "y"]).contains("authenticates by its keys"));
}

/// As the configuration's messages promise; it needs neither configuration nor database.
#[test]
fn a_secret_and_its_digest_are_made_without_anything() {
    let mut operator = Operator::new();
    operator.set("PASSMINT_PUBLIC_URL", "not a URL");
    let out = operator.ok(&["clients", "secret"]);
    let (secret, digest) = (field(&out, "secret"), field(&out, "secret_digest"));
    assert!(secret.starts_with("pmk_") && digest.len() == 64, "{out}");
    let bytes: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&digest[2 * at..2 * at + 2], 16).unwrap()).collect();
    assert_eq!(bytes, TokenDigest::of(&secret).as_bytes());
    operator.set("PASSMINT_PUBLIC_URL", "https://id.example");
    operator.write(
        "passmint.toml",
        &format!("[clients.api]\nkind = \"confidential\"\ngrants = []\nsecret_digest = \"{digest}\"\n"),
    );
    assert_eq!(operator.run(&["check-config"]).code, Some(0), "the digest is what the configuration takes");
}

#[test]
fn a_disabled_person_is_out_at_once_and_stays_signed_out() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let (mut browser, mut passkey) = app.person();
    let tokens = app.client("web").sign_in(&mut passkey, "openid").expect(200).json();
    let id = browser.get("/v1/session").expect(200).json()["user"]["id"].as_str().unwrap().to_owned();
    assert_eq!(operator.json(&["users", "list"])[0]["id"], id.as_str());
    assert_eq!(operator.json(&["users", "show", &id])["passkeys"].as_array().map(Vec::len), Some(1));

    let told = operator.ok(&["users", "disable", &id]);
    assert!(told.contains("2 live sessions ended"), "{told}");
    assert!(browser.clone().get("/v1/session").expect(200).json()["session"].is_null());
    let refresh = tokens["refreshToken"].as_str().unwrap();
    app.client("web").refresh(refresh).expect_oauth(400, "invalid_grant");
    app.browser().sign_in(&mut passkey).expect_problem(403, "sign_in_refused");
    assert!(operator.refused(&["users", "disable", &id]).contains("disabled already"));

    operator.ok(&["users", "enable", &id]);
    assert!(browser.get("/v1/session").expect(200).json()["session"].is_null(), "no old session comes back");
    app.browser().sign_in(&mut passkey).expect(200);

    let refusal = operator.refused(&["users", "delete", &id]);
    assert!(refusal.contains("add --yes"), "{refusal}");
    operator.ok(&["users", "delete", &id, "--yes"]);
    app.browser().sign_in(&mut passkey).expect_problem(404, "passkey_unknown");
    assert!(operator.refused(&["users", "show", &id]).contains("there is no person with the ID"));
    for (kind, change) in [("user.disabled", "disabled"), ("user.enabled", "enabled"), ("user.deleted", "deleted")] {
        let told = format!(
            "SELECT count(*) AS n FROM audit_events WHERE kind = '{kind}' \
             AND detail = '{{\"change\": \"{change}\", \"by\": \"command line\"}}'"
        );
        assert_eq!((app.events(kind), app.count(&told)), (1, 1), "{kind}");
    }
}

/// What is given is added, and what is named is removed; the rest stays, and both are reported.
#[test]
fn a_change_of_a_person_keeps_what_it_does_not_name() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let out = operator.ok(&["users", "create", "--group", "staff", "--group", "admin", "--external-id", "hr=1"]);
    assert!(out.contains("new groups:  staff, admin"), "{out}");
    let id = out.split(' ').next().unwrap().to_owned();
    let set = |arguments: &[&str]| operator.ok(&[&["users", "set", &id], arguments].concat());
    let has = |groups: &[&str], links: serde_json::Value| {
        let shown = operator.json(&["users", "show", &id]);
        assert_eq!((&shown["groups"], &shown["externalIds"]), (&serde_json::json!(groups), &links));
    };

    let told = set(&["--group", "gitea-admins", "--group", "staff", "--external-id", "crm=2"]);
    assert!(
        told.contains("groups added:        gitea-admins") && told.contains("external ids added:  crm=2"),
        "{told}"
    );
    assert!(told.contains("new groups:          gitea-admins"), "{told}");
    has(&["admin", "gitea-admins", "staff"], serde_json::json!({ "hr": "1", "crm": "2" }));
    let told = set(&["--external-id", "hr=3", "--remove-group", "staff", "--remove-external-id", "crm"]);
    assert!(told.contains("hr=3 in place of 1") && told.contains("crm=2") && told.contains("staff"), "{told}");
    has(&["admin", "gitea-admins"], serde_json::json!({ "hr": "3" }));
    let changes = app.events("user.changed");
    assert!(set(&["--group", "admin", "--external-id", "hr=3"]).contains("nothing was changed"));
    assert_eq!((changes, app.events("user.changed")), (2, 2));

    let told = set(&[
        "--claim",
        "address.locality=London",
        "--claim",
        "email=ada@example.com",
        "--claim",
        "email_verified=true",
    ]);
    assert!(told.contains("address, email, email_verified"), "{told}");
    let told = set(&["--claim", "address.country=GB", "--claim", "email=ada@example.org"]);
    assert!(told.contains("claims set:") && told.contains("address, email"), "{told}");
    assert!(told.contains("claims taken away:") && told.contains("email_verified"), "{told}");
    let claims = operator.json(&["users", "show", &id])["claims"].clone();
    assert_eq!(claims["address"], serde_json::json!({ "locality": "London", "country": "GB" }));
    assert_eq!(claims["email_verified"], false, "{claims}");
    assert!(set(&["--claim", "email=ada@example.org"]).contains("nothing was changed"));

    for (arguments, expected) in [
        (&["--clear", "nickname"][..], "--clear \"nickname\": they have no such claim; theirs: address, email"),
        (&["--claim", "nickname=x", "--clear", "nickname"], "--claim and --clear both name \"nickname\""),
        (&["--remove-group", "staf"], "--remove-group \"staf\": they are not in it; their groups: admin, gitea-admins"),
        (&["--remove-external-id", "crm"], "--remove-external-id \"crm\": it knows them by none; those: hr"),
        (&["--group", "x", "--remove-group", "x"], "both name \"x\""),
        (&["--group", " x"], "--group \" x\": `name` has a space at its end"),
        (&["--group", "a\u{202e}b"], "holds a character that cannot be shown"),
        (&["--group", &"x".repeat(101)], "is longer than 100 characters"),
        (&[], "nothing to change"),
    ] {
        let refusal = operator.refused(&[&["users", "set", &id], arguments].concat());
        assert!(refusal.contains(expected), "{arguments:?}: {refusal}");
    }
    assert!(operator.refused(&["users", "create", "--group", ""]).contains("is empty"));
    assert_eq!(app.count("SELECT count(*) AS n FROM groups"), 3, "a refused change makes none");
    assert_eq!((app.events("group.changed"), app.events("user.created")), (3, 1));
    app.sql("UPDATE users SET managed_by = 'people.toml'");
    assert!(operator.refused(&["users", "set", &id, "--group", "x"]).contains("is declared by people.toml"));
}

/// JSON if it parses as such, otherwise text.
#[test]
fn attributes_of_a_person_are_set_shown_and_taken_away() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let out = operator.ok(&["users", "create", "--attribute", "plan=pro", "--attribute", "seats=3"]);
    let id = out.split(' ').next().unwrap().to_owned();
    let set = |arguments: &[&str]| operator.ok(&[&["users", "set", &id], arguments].concat());
    let shown = || operator.json(&["users", "show", &id])["attributes"].clone();
    assert_eq!(shown(), serde_json::json!({ "plan": "pro", "seats": 3 }));

    let told =
        set(&["--attribute", r#"roles=["editor"]"#, "--attribute", r#"zip="01234""#, "--remove-attribute", "seats"]);
    assert!(told.contains("attributes set:") && told.contains("roles, zip"), "{told}");
    assert!(told.contains("attributes taken away:  seats"), "{told}");
    assert_eq!(shown(), serde_json::json!({ "plan": "pro", "roles": ["editor"], "zip": "01234" }));
    let words = operator.ok(&["users", "show", &id]);
    assert!(words.contains(r#"plan="pro", roles=["editor"], zip="01234""#), "{words}");
    assert!(set(&["--attribute", "plan=pro"]).contains("nothing was changed"));
    for (arguments, expected) in [
        (&["--attribute", "tenant.id=x"][..], "`attributes.tenant.id` has a name that is not 1 to 64 of A-Z"),
        (&["--attribute", "share=0.5"], "`attributes.share` must be a whole number"),
        (&["--attribute", "plan=null"], "--attribute \"plan\" is null; --remove-attribute takes one away"),
        (&["--remove-attribute", "seats"], "they have no such attribute; theirs: plan, roles, zip"),
        (&["--attribute", "plan=x", "--remove-attribute", "plan"], "both name \"plan\""),
    ] {
        let refusal = operator.refused(&[&["users", "set", &id], arguments].concat());
        assert!(refusal.contains(expected), "{arguments:?}: {refusal}");
    }
    assert_eq!((app.events("user.created"), app.events("user.changed")), (1, 1));
}

/// The last one too: then only a link leads back in.
#[test]
fn a_lost_passkey_is_removed_with_what_it_opened() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let (mut browser, mut passkey) = app.person();
    browser.sign_in(&mut passkey).expect(200);
    let id = browser.get("/v1/session").expect(200).json()["user"]["id"].as_str().unwrap().to_owned();
    let shown = operator.json(&["users", "show", &id]);
    let lost = shown["passkeys"][0]["id"].as_str().unwrap();
    assert!(operator.ok(&["users", "show", &id]).contains(lost), "people read it, too");
    let remove = ["users", "remove-passkey", &id, lost];
    assert!(operator.refused(&remove).contains("add --yes"));
    let other = passmint::random::uuid().to_string();
    let refusal = operator.refused(&["users", "remove-passkey", &id, &other, "--yes"]);
    assert!(refusal.contains(&format!("has no passkey {other}; `passmint users show {id}` shows theirs")), "{refusal}");
    let told = operator.ok(&[&remove[..], &["--yes"]].concat());
    assert!(told.contains("live sessions ended") && told.contains("they have none left"), "{told}");
    browser.get("/v1/me").expect_problem(401, "not_signed_in");
    app.browser().sign_in(&mut passkey).expect_problem(404, "passkey_unknown");
    assert_eq!(app.events("passkey.removed"), 1);
    assert!(operator.refused(&[&remove[..], &["--yes"]].concat()).contains("has no passkey"));
}

/// A parser's own message names neither the argument's form nor the setting.
#[test]
fn arguments_that_do_not_read_are_told_with_the_form_they_have() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    operator.ok(&["clients", "create", "x", "--grant", "refresh_token"]);
    for (arguments, expected) in [
        (&["users", "show", "12"][..], "write an id such as 6f1c1f1e-"),
        (&["webhooks", "replay", "x", "--from", "yesterday"], "write a moment such as 2026-11-21T10:00:00Z"),
        (&["clients", "set", "x", "--setting", "default_max_age=5m"], "--setting default_max_age: "),
    ] {
        let ran = operator.run(arguments);
        assert_ne!(ran.code, Some(0), "{arguments:?}");
        assert!(ran.err.contains(expected), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn people_are_found_by_the_address_they_claim() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    app.person();
    app.person();
    app.sql("UPDATE users SET email = 'Ada@Example.com' WHERE id = (SELECT id FROM users LIMIT 1)");
    assert_eq!(operator.json(&["users", "list", "--email", "ada@example.COM"]).as_array().map(Vec::len), Some(1));
    assert_eq!(operator.json(&["users", "list", "--email", "nobody@example.com"]).as_array().map(Vec::len), Some(0));
    assert!(operator.ok(&["users", "list", "--email", "ada@example.com"]).contains("Ada@Example.com (unverified)"));
    assert!(operator.ok(&["users", "list", "--limit", "1"]).contains("only the newest 1 are shown"));
}

fn file_under(app: &TestApp, rp_id: &str) {
    app.sql(&format!("UPDATE credential_index SET rp_id = '{rp_id}'; UPDATE credentials SET rp_id = '{rp_id}'"));
}

#[test]
fn relying_parties_are_the_way_out_when_the_server_refuses_to_start() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let (_, mut passkey) = app.person();
    file_under(&app, "old.example");
    let refusal = operator.refused(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(refusal.contains("`passmint relying-parties retire old.example`"), "{refusal}");
    assert!(operator.ok(&["relying-parties", "list"]).contains("NOT CONFIGURED: stops the start"));

    for (name, arguments, expected) in [
        ("a configured one", &["retire", "localhost"][..], "is configured, and people sign in"),
        ("an unknown one", &["retire", "typo.example"], "no passkeys are stored for typo.example"),
        ("to an unknown one", &["move", "old.example", "new.example"], "new.example is not configured"),
        ("from a configured one", &["move", "localhost", "localhost"], "is configured"),
    ] {
        let refusal = operator.refused(&[&["relying-parties"], arguments].concat());
        assert!(refusal.contains(expected), "{name}: {refusal}");
    }

    operator.ok(&["relying-parties", "move", "old.example", "localhost"]);
    app.browser().sign_in(&mut passkey).expect(200);

    file_under(&app, "old.example");
    operator.ok(&["relying-parties", "retire", "old.example"]);
    assert!(operator.refused(&["relying-parties", "retire", "old.example"]).contains("was retired at"));
    assert_eq!(operator.json(&["relying-parties", "list"])[1]["passkeys"], 1);
    let doctor = operator.run(&["doctor"]);
    assert!(doctor.out.contains("✓ stored passkeys"), "{}", doctor.out);
    assert_eq!(app.events("relying_party.changed"), 2);
}

/// A restored backup brings back what was used up or ended since; all of it ends, and everybody signs in again.
#[test]
fn what_a_restored_backup_brought_back_ends() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let (mut person, mut passkey) = app.person();
    let client = app.client("web");
    let tokens = client.sign_in(&mut passkey, "openid").expect(200).json();
    let (access, refresh) = (tokens["accessToken"].as_str().unwrap(), tokens["refreshToken"].as_str().unwrap());

    operator.ok(&["registration-tokens", "create", "newcomers"]);

    assert!(operator.refused(&["restored"]).contains("add --yes"));
    person.get("/v1/me").expect(200);
    let said = operator.ok(&["restored", "--yes"]);
    assert_eq!(
        (field(&said, "sessions ended"), field(&said, "refresh tokens ended")),
        ("2".to_owned(), "1".to_owned())
    );
    assert!(field(&said, "newest event").ends_with('Z'), "{said}");

    assert_eq!(app.count("SELECT count(*) AS n FROM initial_access_tokens WHERE revoked_at IS NULL"), 0);
    person.get("/v1/me").expect_problem(401, "not_signed_in");
    client.refresh(refresh).expect_oauth(400, "invalid_grant");
    assert_eq!(introspect(&app, access)["active"], false);
    assert_eq!(app.events("database.restored"), 1);
    app.browser().sign_in(&mut passkey).expect(200);
}

/// Concurrent writers are told to try again, and the command is not the one that gives up.
#[test]
fn a_restore_goes_through_beside_a_server_at_work() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let passkeys: Vec<_> = (0..4).map(|_| app.person().1).collect();
    let over = AtomicBool::new(false);
    let (restores, served) = std::thread::scope(|scope| {
        let sign_in_again_and_again = |mut passkey: Authenticator| {
            let (app, over) = (&app, &over);
            scope.spawn(move || {
                let (client, mut statuses) = (app.client("web"), Vec::new());
                while !over.load(Ordering::Relaxed) {
                    let signed_in = client.sign_in(&mut passkey, "openid");
                    statuses.push(signed_in.status);
                    if signed_in.status == 200 {
                        statuses.push(client.refresh(signed_in.json()["refreshToken"].as_str().unwrap()).status);
                    }
                }
                statuses
            })
        };
        let people: Vec<_> = passkeys.into_iter().map(sign_in_again_and_again).collect();
        let restores: Vec<_> = (0..3).map(|_| operator.run(&["restored", "--yes"])).collect();
        over.store(true, Ordering::Relaxed);
        let served = people.into_iter().flat_map(|person| person.join().expect("no panic"));
        (restores, served.collect::<Vec<_>>())
    });
    assert!(
        restores.iter().all(|ran| ran.code == Some(0)),
        "{:?}",
        restores.iter().map(|ran| &ran.err).collect::<Vec<_>>()
    );
    assert!(served.contains(&200) && !served.contains(&500), "{served:?}");
    assert_eq!(app.events("database.restored"), 3);
}
