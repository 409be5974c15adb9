//! `passmint users link`: what the operator hands over, up to the passkey that is made with it.

use chrono::Duration;
use serde_json::json;

use super::Operator;
use crate::authenticator::Authenticator;
use crate::support::{Browser, Options, Reply, TestApp};

fn field(out: &str, name: &str) -> String {
    let line = out.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("{name}: {out}")).trim().to_owned()
}

/// A person whom the operator creates. Returns their id.
fn stored(operator: &Operator, more: &[&str]) -> String {
    let create = ["users", "create", "--claim", "name=Ada", "--claim", "email=ada@example.com"];
    operator.json(&[&create[..], more].concat())["id"].as_str().unwrap().to_owned()
}

/// The token in a link.
fn token(app: &TestApp, link: &str) -> String {
    link.strip_prefix(&format!("{}/enrol#", app.origin)).unwrap_or_else(|| panic!("our own page: {link}")).to_owned()
}

/// The first call of the page that the link leads to.
fn begin(browser: &mut Browser, token: &str) -> Reply {
    let request = browser.request("POST", "/v1/passkeys/registration/options").json(&json!({}));
    browser.send(request.header("Authorization", &format!("ActionToken {token}")))
}

/// Makes both calls. Returns the passkey.
fn enrol(app: &TestApp, token: &str) -> Authenticator {
    let (mut browser, mut passkey) = (app.browser(), app.passkey());
    let begun = begin(&mut browser, token).expect(200).json();
    let credential = passkey.create(&begun["publicKey"]);
    browser.finish_registration(&begun, &credential).expect(200);
    passkey
}

#[track_caller]
fn refused(reply: &Reply, status: u16, reason: &str) {
    assert_eq!((reply.status, reply.json()["reason"].as_str()), (status, Some(reason)), "{}", reply.body);
}

/// With sign-up closed, this is the only way to a first passkey.
#[test]
fn a_link_makes_a_first_passkey_once() {
    let app = TestApp::with(&Options { settings: &[("allow_sign_up", "false")], ..Options::default() });
    let operator = Operator::of(&app);
    let id = stored(&operator, &["--claim", "email_verified=true"]);
    let told = operator.ok(&["users", "link", "Ada@Example.com"]);
    let link = field(&told, "link");
    assert!(told.contains(&format!("Ada ({id})")) && told.matches(&link).count() == 1, "{told}");
    let token = token(&app, &link);
    assert_eq!(app.rows_with("action_tokens", &token) + app.rows_with("audit_events", &token), 0, "only its digest");

    // The page names who asks and for whom, however often it is opened.
    for _ in 0..2 {
        let form = app.browser().request("POST", "/enrol").form(&[("token", &token)]);
        let page = form.send().expect(200).body;
        assert!(
            page.contains("<bdi>Passmint</bdi> lets you create a passkey.") && page.contains("ada@example.com"),
            "{page}"
        );
    }
    let mut passkey = enrol(&app, &token);
    let mut browser = app.browser();
    let signed_in = browser.sign_in(&mut passkey).expect(200).json();
    assert_eq!(signed_in["user"]["id"], id.as_str());
    let activity = browser.get("/account/activity").expect(200).body;
    assert!(activity.contains("The people who run this service acted on your account"), "{activity}");
    assert!(!activity.contains("An app acted"), "no app had a part in it: {activity}");

    refused(&begin(&mut app.browser(), &token), 410, "used");
    let form = app.browser().request("POST", "/enrol").form(&[("token", &token)]);
    assert!(form.send().body.contains("This link is no longer valid"));
    for kind in ["action_token.made", "passkey.added"] {
        let by_operator = format!(
            "SELECT count(*) AS n FROM audit_events WHERE kind = '{kind}' AND user_id = '{id}' AND client_id IS NULL \
             AND detail->>'by' = 'command line' AND detail->>'action' = 'enrol'"
        );
        assert_eq!(app.count(&by_operator), 1, "{kind}");
    }
}

#[test]
fn a_link_is_good_beside_a_passkey_and_ends_with_its_removal() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let (mut browser, mut lost) = app.person();
    let id = browser.get("/v1/session").expect(200).json()["user"]["id"].as_str().unwrap().to_owned();
    let told = operator.ok(&["users", "link", &id]);
    assert!(told.contains("they have passkeys already (1); the removal of a lost one ends this link"), "{told}");
    let mut second = enrol(&app, &token(&app, &field(&told, "link")));
    app.browser().sign_in(&mut lost).expect(200);
    app.browser().sign_in(&mut second).expect(200);

    let over = operator.json(&["users", "link", &id])["link"].as_str().unwrap().to_owned();
    let passkey = operator.json(&["users", "show", &id])["passkeys"][0]["id"].as_str().unwrap().to_owned();
    operator.ok(&["users", "remove-passkey", &id, &passkey, "--yes"]);
    refused(&begin(&mut app.browser(), &token(&app, &over)), 403, "person");
    enrol(&app, &token(&app, &field(&operator.ok(&["users", "link", &id]), "link")));
}

#[test]
fn a_link_is_for_our_own_page_and_for_a_day_at_most() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let id = stored(&operator, &[]);
    let brief = token(&app, operator.json(&["users", "link", &id, "--hours", "2"])["link"].as_str().unwrap());
    let long = token(&app, operator.json(&["users", "link", &id])["link"].as_str().unwrap());
    let program = app.request("POST", "/v1/passkeys/registration/options").json(&json!({}));
    let program = program.header("Authorization", &format!("ActionToken {brief}"));
    refused(&program.send(), 403, "origin");
    app.advance(Duration::minutes(121));
    refused(&begin(&mut app.browser(), &brief), 410, "expired");
    begin(&mut app.browser(), &long).expect(200);
    app.advance(Duration::hours(22));
    refused(&begin(&mut app.browser(), &long), 410, "expired");
    for hours in ["0", "25", "x"] {
        assert_eq!(operator.run(&["users", "link", &id, "--hours", hours]).code, Some(2), "{hours}");
    }
}

#[test]
fn who_gets_no_link_is_told_by_name() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let id = stored(&operator, &[]);
    let nobody = passmint::random::uuid().to_string();
    let link = |whom: &str| operator.refused(&["users", "link", whom]);
    assert!(link(&nobody).contains(&format!("there is no person with the ID {nobody}")));
    assert!(link("eve@example.com").contains("there is no person with the ID or address eve@example.com"));
    let claimed = link("ada@example.com");
    assert!(
        claimed.contains("nobody has verified the address ada@example.com") && claimed.contains("--email"),
        "{claimed}"
    );
    // Others who claim the address, however many and however late, do not get the link of the one who verified it.
    app.sql("UPDATE users SET email_verified_at = created_at");
    app.sql("INSERT INTO users (id, user_handle, email, created_at, updated_at) SELECT gen_random_uuid(), sha256(n::text::bytea), 'Ada@example.com', now() + interval '1 hour', now() FROM generate_series(1, 150) n");
    assert_eq!(operator.json(&["users", "link", "ADA@example.com"])["user"], id.as_str());
    app.sql("DELETE FROM action_tokens");
    operator.ok(&["users", "disable", &id]);
    assert!(link(&id).contains(&format!("{id} is disabled; `passmint users enable {id}`")));
    operator.ok(&["users", "enable", &id]);
    operator.ok(&["users", "set", &id, "--group", "admin"]);
    let administrator = link(&id);
    assert!(administrator.contains("is in the group admin, whose members get no link"), "{administrator}");
    assert!(administrator.contains(&format!("`passmint users set {id} --remove-group admin`")), "{administrator}");
    assert_eq!(app.count("SELECT count(*) AS n FROM action_tokens"), 0, "a refusal makes none");
    assert_eq!(app.events("action_token.made"), 1, "the one that was given");
}

/// The page is at `public_url`, so the passkey is for the relying party used there, whichever is the default.
#[test]
fn a_link_is_for_the_relying_party_of_our_own_page() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let id = stored(&operator, &[]);
    let parties = "[relying_parties.shop]\nrp_id = \"shop.example\"\norigins = [\"https://shop.example\"]\ndefault = true\n\
                   [relying_parties.main]\nrp_id = \"localhost\"\norigins = [\"ORIGIN\"]\n";
    operator.write("passmint.toml", &parties.replace("ORIGIN", &app.origin));
    operator.ok(&["users", "link", &id]);
    let bound = format!("relying_party = 'main' AND origin = '{}' AND over_existing", app.origin);
    assert_eq!(app.count(&format!("SELECT count(*) AS n FROM action_tokens WHERE {bound}")), 1);
}
