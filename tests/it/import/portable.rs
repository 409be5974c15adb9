//! What is exported is imported unchanged, passkeys included.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Map, Value, json};

use super::{fixture, import_with_refusals};
use crate::authenticator::encode;
use crate::cli::Operator;
use crate::support::TestApp;

#[track_caller]
fn exported(operator: &Operator) -> Vec<Value> {
    let ran = operator.run(&["export"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_export_is_imported_as_the_same_people_who_sign_in() {
    let one = TestApp::spawn();
    let operator = Operator::of(&one);
    let (_, mut passkey) = one.person();
    let (_, mut synced) = one.person();
    synced.counter_step = 0;
    for (format, file) in
        [("simplewebauthn", "simplewebauthn.ndjson"), ("keycloak", "keycloak.json"), ("ndjson", "own.ndjson")]
    {
        let file = fixture(file);
        operator.json(&["import", &file, "--format", format, "--source", format, "--rp-id", "localhost", "--groups"]);
    }
    one.sql(r#"UPDATE users SET attributes = attributes || '{"tenant": "acme", "seats": 3, "roles": ["a", "b"]}'"#);
    let (firebase, parameters) = (fixture("firebase.json"), fixture("firebase-hash-config.txt"));
    let with_parameters = ["--hash-parameters", parameters.as_str()];
    let arguments = ["import", &firebase, "--format", "firebase", "--source", "firebase", "--rp-id", "localhost"];
    operator.json(&[&arguments[..], &with_parameters].concat());
    one.sql(
        "UPDATE credentials SET suspended_at = created_at, suspended_reason = 'counter went back' WHERE sign_count = 12;
         UPDATE users SET email = 'claimed@a.example' WHERE email IS NULL",
    );
    let told = operator.run(&["export", "export.ndjson"]);
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (Some(0), "", "passmint: 10 people were exported\n"));
    let file = operator.path("export.ndjson");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let refusal = operator.refused(&["export", "export.ndjson"]);
    assert_eq!(refusal, "export.ndjson exists already: name another file", "no file is written over");
    assert!(!operator.path("export.ndjson.part").exists());
    assert_eq!(one.events("user.exported"), 1);

    let other = TestApp::spawn();
    let newcomer = Operator::of(&other);
    fs::copy(&file, newcomer.path("export.ndjson")).unwrap();
    let (told, words) = import_with_refusals(&newcomer, &["export.ndjson", "--dry-run"]);
    assert_eq!((&told["created"], &told["refused"]), (&json!(9), &json!(1)), "{told}");
    assert!(words.contains("its project: give them with --hash-parameters"), "{words}");
    let told = newcomer.json(&[&["import", "export.ndjson", "--groups"], &with_parameters[..]].concat());
    assert_eq!((&told["created"], &told["refused"]), (&json!(10), &json!(0)), "{told}");
    let sealed = "SELECT count(*) AS n FROM password_hashes JOIN password_parameters ON id = parameters";
    assert_eq!(other.count(sealed), 1, "the hash and what it needs");
    assert_eq!(exported(&newcomer), exported(&operator), "the same rows");
    assert!(exported(&newcomer).iter().any(|line| line["attributes"] == json!({ "admin": true })), "a custom claim");
    // Without a source nothing records what was imported: only --update compares.
    assert_eq!(newcomer.json(&["import", "export.ndjson", "--groups"])["known"], 10);
    let words = newcomer.ok(&["import", "export.ndjson", "--groups"]);
    assert!(words.contains("known already and not compared"), "{words}");
    for more in [&["--dry-run"][..], &[]] {
        let told = newcomer.json(&[&["import", "export.ndjson", "--groups", "--update"], more].concat());
        assert_eq!((&told["updated"], &told["unchanged"], &told["passwords"]), (&json!(0), &json!(10), &json!(0)));
    }
    assert_eq!(other.events("user.imported"), 1, "of the run that changed something");
    other.sql("UPDATE users SET name = 'Changed', attributes = '{}' WHERE email = 'ada@own.example'");
    let told = newcomer.json(&["import", "export.ndjson", "--groups", "--update"]);
    assert_eq!((&told["updated"], &told["unchanged"]), (&json!(1), &json!(9)), "{told}");
    assert_eq!(other.events("user.imported"), 2);
    let (told, words) = import_with_refusals(&newcomer, &["export.ndjson", "--source", "one", "--update", "--groups"]);
    assert_eq!((&told["updated"], &told["refused"]), (&json!(0), &json!(10)), "a source does not know them: {told}");
    assert!(words.contains("an export of our own goes without --source"), "{words}");

    for passkey in [&mut passkey, &mut synced] {
        passkey.origin.clone_from(&other.origin);
        other.browser().sign_in(passkey).expect(200);
    }
}

/// A file with the name of an export is always complete.
#[test]
fn an_export_that_fails_leaves_no_file() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    app.person();
    let full = operator.with_files_full(&["export", "export.ndjson"]);
    assert_eq!(full.code, Some(1), "{}", full.err);
    assert!(full.err.contains("the export cannot be written: "), "{}", full.err);
    let left = ["export.ndjson", "export.ndjson.part"].map(|name| operator.path(name).exists());
    assert_eq!(left, [false, false]);

    operator.write("export.ndjson.part", "of an export that was killed");
    let refusal = operator.refused(&["export", "export.ndjson"]);
    assert!(refusal.starts_with("export.ndjson.part exists already: another export is writing it"), "{refusal}");
    fs::remove_file(operator.path("export.ndjson.part")).unwrap();
    assert_eq!(operator.run(&["export", "export.ndjson"]).err, "passmint: 1 people were exported\n");
    assert!(!operator.path("export.ndjson.part").exists());
}

/// Every person that can exist can be imported elsewhere: no limit is narrower on the way in.
#[test]
fn the_largest_person_there_can_be_is_exported_and_imported() {
    let one = TestApp::spawn();
    let operator = Operator::of(&one);
    let name = |number: usize| format!("{number:0>3}{}", "ä".repeat(97));
    let passkeys: Vec<Value> = (0..100)
        .map(|_| one.passkey())
        .map(|passkey| {
            json!({
                "rpId": "localhost",
                "credentialId": encode(&passkey.credential_id),
                "publicKey": encode(&passkey.key.cose()),
                "name": "ä".repeat(64),
            })
        })
        .collect();
    let links: Map<String, Value> = (0..19).map(|number| (format!("{number:0>256}"), "y".repeat(256).into())).collect();
    let person = json!({
        "id": "x".repeat(256),
        "claims": {
            "name": "ä".repeat(64),
            "nickname": "ä".repeat(512),
            "website": format!("https://a.example/{}", "x".repeat(2030)),
        },
        "attributes": (0..64).map(|number| (format!("a{number:02}"), json!("x".repeat(54)))).collect::<Map<_, _>>(),
        "groups": (0..200).map(name).collect::<Vec<_>>(),
        "externalIds": links,
        "passkeys": passkeys,
    });
    operator.write("largest.ndjson", &format!("{person}\n"));
    let told = operator.json(&["import", "largest.ndjson", "--source", &"z".repeat(256), "--groups"]);
    assert_eq!((&told["created"], &told["passkeys"]), (&json!(1), &json!(100)), "{told}");
    let id = operator.json(&["users", "list"])[0]["id"].as_str().unwrap().to_owned();

    // Neither the commands nor another file exceed the limits.
    for (arguments, expected) in
        [(["--group", "more"], "has more than 200"), (["--external-id", "a=b"], "has more than 20")]
    {
        let refusal = operator.refused(&[&["users", "set", &id][..], &arguments].concat());
        assert!(refusal.contains(expected), "{refusal}");
    }
    let key = &person["passkeys"][0]["publicKey"];
    for (field, more) in [
        ("groups", json!(["more"])),
        ("externalIds", json!({ "a": "b" })),
        ("passkeys", json!([{ "rpId": "localhost", "credentialId": encode(&[7; 16]), "publicKey": key }])),
    ] {
        operator.write("more.ndjson", &format!("{}\n", json!({ "sub": id, field: more })));
        let (told, words) = import_with_refusals(&operator, &["more.ndjson", "--update", "--groups"]);
        assert_eq!(told["refused"], 1, "{field}: {told}");
        assert!(words.contains(&format!("line 1: {field} would be more than")), "{field}: {words}");
    }

    assert_eq!(operator.run(&["export", "export.ndjson"]).code, Some(0));
    let other = TestApp::spawn();
    let newcomer = Operator::of(&other);
    fs::copy(operator.path("export.ndjson"), newcomer.path("export.ndjson")).unwrap();
    let told = newcomer.json(&["import", "export.ndjson", "--groups"]);
    assert_eq!((&told["created"], &told["refused"]), (&json!(1), &json!(0)), "{told}");
    assert_eq!(exported(&newcomer), exported(&operator), "the same rows");
}

/// A later version may be able to use it, and must then still know that it was suspended as a copy.
#[test]
fn a_passkey_that_cannot_be_used_is_exported_as_it_came() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    // Ed25519.
    let key = encode(&[&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 0x20][..], &[7; 32]].concat());
    let passkeys = json!([
        {
            "rpId": "localhost", "credentialId": encode(&[9; 32]), "publicKey": key, "signCount": 3, "name": "Old key",
            "backupEligible": true, "backedUp": false, "userVerified": true, "residentKey": true,
            "transports": ["internal"], "createdAt": "2024-05-06T07:08:09.000000Z",
            "suspendedAt": "2024-06-06T07:08:09.000000Z", "suspendedReason": "counter went back",
        },
        {
            "rpId": "localhost", "credentialId": encode(&[8; 32]), "publicKey": key, "signCount": 0, "name": "Older key",
            "userVerified": false, "createdAt": "2024-05-07T07:08:09.000000Z",
        },
    ]);
    operator.write("people", &format!("{}\n", json!({ "id": "1", "passkeys": passkeys })));
    assert_eq!(operator.json(&["import", "people", "--source", "old"])["notes"]["unsupported algorithms"], 2);
    assert_eq!(exported(&operator)[0]["passkeys"], passkeys);
}

#[test]
fn clients_and_consents_are_told_without_secrets_and_passed_over() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    for client in ["web", "other"] {
        app.person();
        app.sql(&format!(
            "INSERT INTO consents (user_id, client_id, scope, granted_at, updated_at) SELECT id, '{client}', 'openid', now(), now() \
             FROM users WHERE id NOT IN (SELECT user_id FROM consents)"
        ));
    }
    let ran = operator.run(&["export", "--with-clients"]);
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut allowed: Vec<(usize, &str)> = lines
        .iter()
        .filter_map(|line| line.get("consents")?.as_array())
        .map(|consents| (consents.len(), consents[0]["clientId"].as_str().unwrap()))
        .collect();
    allowed.sort_unstable();
    assert_eq!(allowed, [(1, "other"), (1, "web")], "each person's are their own");
    assert!(lines.iter().any(|line| line["client"]["id"] == "api"), "{lines:?}");
    assert!(!ran.out.contains("secret_digest") && !ran.out.contains("secretDigest"), "no digests of secrets");
    let other = TestApp::spawn();
    let newcomer = Operator::of(&other);
    newcomer.write("export", &ran.out);
    let told = newcomer.json(&["import", "export"]);
    assert_eq!((&told["created"], &told["skipped"]), (&json!(2), &json!(lines.len() - 2)));
    assert_eq!(told["notes"]["consents"], 2);
}
