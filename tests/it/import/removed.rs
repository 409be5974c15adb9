//! What was removed here stays removed, whatever a newer file of the old system says.

use std::fs;

use serde_json::{Value, json};

use super::{import, import_with_refusals, lines, row};
use crate::authenticator::{Authenticator, encode};
use crate::cli::Operator;
use crate::support::TestApp;

fn made_elsewhere(app: &TestApp) -> Authenticator {
    let mut passkey = app.passkey();
    passkey.user_handle = Some(b"elsewhere".to_vec());
    passkey
}

/// One is removed by an administrator, one by its owner.
#[test]
fn a_passkey_that_was_removed_here_does_not_come_back() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let (mut lost, mut sold, mut kept) = (made_elsewhere(&app), made_elsewhere(&app), made_elsewhere(&app));
    let rows = [("Lost", &lost), ("Sold", &sold), ("Kept", &kept)].map(|(name, passkey)| {
        let mut row = row(passkey);
        row["name"] = json!(name);
        row
    });
    let line = |name: &str| [json!({ "id": "ada", "name": name, "passkeys": rows })];
    import(&operator, "simplewebauthn", &line("Ada"), &[]);
    let mut browser = app.browser();
    browser.sign_in(&mut sold).expect(200);
    let listed = browser.get("/v1/passkeys").expect(200).json();
    let id_of = |name: &str| {
        let all = listed["passkeys"].as_array().unwrap();
        all.iter().find(|passkey| passkey["name"] == name).unwrap()["id"].as_str().unwrap()
    };
    let person = operator.json(&["users", "list"])[0]["id"].as_str().unwrap().to_owned();
    operator.ok(&["users", "remove-passkey", &person, id_of("Lost"), "--yes"]);
    browser.call("DELETE", &format!("/v1/passkeys/{}", id_of("Sold")), None).expect(200);
    for passkey in [&mut lost, &mut sold] {
        app.browser().sign_in(passkey).expect_problem(404, "passkey_unknown");
    }

    // The next day's file, with the passkeys as they were in the old system. Both runs report the same.
    for (more, report) in [(&["--update", "--dry-run"][..], "rehearsed"), (&["--update"], "report")] {
        let told = import(&operator, "simplewebauthn", &line("Ada E."), &[more, &["--report", report]].concat());
        assert_eq!((&told["updated"], &told["passkeys"]), (&json!(1), &json!(0)), "{told}");
        assert_eq!(told["notes"]["removed passkeys"], 2, "{told}");
        let report: Value = serde_json::from_str(&fs::read_to_string(operator.path(report)).unwrap()).unwrap();
        let fields: Vec<&Value> = report["notes"].as_array().unwrap().iter().map(|note| &note["field"]).collect();
        assert_eq!(fields, ["passkeys[0].credentialId", "passkeys[1].credentialId"]);
    }
    for passkey in [&mut lost, &mut sold] {
        app.browser().sign_in(passkey).expect_problem(404, "passkey_unknown");
    }
    app.browser().sign_in(&mut kept).expect(200);
    let told = import(&operator, "simplewebauthn", &line("Ada E."), &["--update"]);
    assert_eq!(told["unchanged"], 1, "{told}");

    // A file in our own format does not bring it back either.
    let own =
        json!({ "rpId": "localhost", "credentialId": encode(&lost.credential_id), "publicKey": rows[0]["publicKey"] });
    operator.write("own", &lines(&[json!({ "sub": person, "passkeys": [own] })]));
    let told = operator.json(&["import", "own", "--update"]);
    assert_eq!((&told["unchanged"], &told["notes"]["removed passkeys"]), (&json!(1), &json!(1)), "{told}");
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 1);
    assert_eq!(app.count("SELECT count(*) AS n FROM removals"), 2);
}

#[test]
fn who_was_deleted_here_is_not_made_anew() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let mut passkey = made_elsewhere(&app);
    let people =
        [json!({ "id": "ada", "email": "ada@a.example", "passkeys": [row(&passkey)] }), json!({ "id": "bob" })];
    import(&operator, "simplewebauthn", &people, &[]);
    let before = app.count("SELECT count(*) AS n FROM users");
    app.browser().sign_in(&mut passkey).expect(200);
    let ada = operator.json(&["users", "list", "--email", "ada@a.example"])[0]["id"].clone();
    operator.ok(&["users", "delete", ada.as_str().unwrap(), "--yes"]);
    for more in [&["--dry-run"][..], &[], &["--update"]] {
        let told = import(&operator, "simplewebauthn", &people, more);
        assert_eq!(
            (&told["created"], &told["deleted"], &told["unchanged"]),
            (&json!(0), &json!(1), &json!(1)),
            "{told}"
        );
        assert_eq!(app.count("SELECT count(*) AS n FROM users"), before - 1);
    }
    app.browser().sign_in(&mut passkey).expect_problem(404, "passkey_unknown");

    // Another system may know them by this id, and a person created here under it is known again.
    operator.write("new.ndjson", &lines(&people));
    let told = operator.json(&["import", "new.ndjson", "--format", "simplewebauthn", "--source", "new", "--dry-run"]);
    assert_eq!((&told["created"], &told["deleted"]), (&json!(2), &json!(0)), "{told}");
    operator.ok(&["users", "create", "--external-id", "old=ada"]);
    let told = import(&operator, "simplewebauthn", &people, &["--update"]);
    assert_eq!((&told["updated"], &told["passkeys"], &told["deleted"]), (&json!(1), &json!(1), &json!(0)), "{told}");
    app.browser().sign_in(&mut passkey).expect(200);
}

/// Hashes are a second file about people who were imported before: no person is created from a hash.
#[test]
fn a_hash_of_nobody_makes_nobody() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let user = json!({
        "user_id": "google-oauth2|1", "email": "ada@a.example", "email_verified": true,
        "identities": [{ "provider": "google-oauth2", "user_id": "1" }, { "provider": "auth0", "user_id": "5f09" }],
    });
    import(&operator, "auth0", &[user], &[]);
    let hash = "$2b$10$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW";
    let hashes = json!({ "_id": { "$oid": "5f09" }, "email": "ada@a.example", "passwordHash": hash });
    operator.write("hashes", &lines(&[hashes]));
    let (told, words) =
        import_with_refusals(&operator, &["hashes", "--format", "auth0", "--source", "old", "--update"]);
    assert_eq!((&told["created"], &told["refused"]), (&json!(0), &json!(1)), "{told}");
    assert!(words.contains("line 1: _id is nobody's who was imported"), "{words}");
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 1);
    assert_eq!(app.count("SELECT count(*) AS n FROM password_hashes"), 0);
}
