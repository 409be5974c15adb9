//! Each converter with its fixture, member by member, and files damaged at every byte.

use std::io::BufReader;

use serde_json::{Value, json};

use crate::import::record::{ImportedKey, Record};
use crate::import::split::Splitter;
use crate::import::{Context, FirebaseParameters, Format, Problem, form};

const FIREBASE: &str = include_str!("../../../tests/it/import/firebase.json");
const HASH_CONFIG: &str = include_str!("../../../tests/it/import/firebase-hash-config.txt");
const AUTH0: &str = include_str!("../../../tests/it/import/auth0.ndjson");
const AUTH0_HASHES: &str = include_str!("../../../tests/it/import/auth0-hashes.ndjson");
const KEYCLOAK: &str = include_str!("../../../tests/it/import/keycloak.json");
const HANKO: &str = include_str!("../../../tests/it/import/hanko.json");
const BETTER_AUTH: &str = include_str!("../../../tests/it/import/better-auth.ndjson");
const SIMPLE_WEBAUTHN: &str = include_str!("../../../tests/it/import/simplewebauthn.ndjson");
const OWN: &str = include_str!("../../../tests/it/import/own.ndjson");

/// Every fixture with its format.
const ALL: [(Format, &str); 8] = [
    (Format::Firebase, FIREBASE),
    (Format::Auth0, AUTH0),
    (Format::Auth0, AUTH0_HASHES),
    (Format::Keycloak, KEYCLOAK),
    (Format::Hanko, HANKO),
    (Format::BetterAuth, BETTER_AUTH),
    (Format::SimpleWebAuthn, SIMPLE_WEBAUTHN),
    (Format::Ndjson, OWN),
];

pub(super) fn context() -> Context {
    Context {
        rp_id: Some("old.example".to_owned()),
        firebase: Some(FirebaseParameters::parse(HASH_CONFIG).unwrap()),
        now: "2026-11-21T08:00:00Z".parse().unwrap(),
    }
}

pub(super) fn read_all(format: Format, text: &[u8], context: &Context) -> Vec<Result<Record, Problem>> {
    let mut splitter = Splitter::new(BufReader::new(text), format.list_member(), format.other_list_member());
    let mut read = Vec::new();
    while let Some(piece) = splitter.next_piece().unwrap() {
        match piece.text.and_then(|text| format.read(&text, context)) {
            Ok(Some(record)) => read.push(Ok(record)),
            Ok(None) => {}
            Err(problem) => read.push(Err(problem)),
        }
    }
    read
}

/// A fixture converted to our own form, and the kinds of its notes.
fn converted(format: Format, text: &str) -> (Vec<Value>, Vec<Vec<&'static str>>) {
    let records = read_all(format, text.as_bytes(), &context());
    let records: Vec<Record> =
        records.into_iter().map(|record| record.unwrap_or_else(|problem| panic!("{problem}"))).collect();
    let notes = records.iter().map(|record| record.notes.iter().map(|note| note.kind).collect()).collect();
    (records.iter().map(form::write).collect(), notes)
}

/// The line without long members that other tests check.
fn without_keys(mut line: Value) -> Value {
    for passkey in line["passkeys"].as_array_mut().into_iter().flatten() {
        let members = passkey.as_object_mut().unwrap();
        let key = members.remove("publicKey").unwrap();
        assert!(key.as_str().unwrap().starts_with("pQECAyYgASFYI"), "the canonical ES256 key: {key}");
        assert_eq!(members.remove("credentialId").unwrap().as_str().map(str::len), Some(43));
    }
    line
}

#[test]
fn firebase() {
    let (lines, notes) = converted(Format::Firebase, FIREBASE);
    let [ada, bob] = lines.try_into().unwrap();
    let hash = ada["password"].as_str().unwrap().to_owned();
    let id = context().firebase.unwrap().id();
    assert_eq!(
        hash,
        format!(
            "$fbscrypt$ln=14,r=8,ks={id}$42xEC+ixf3L2lw$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ"
        )
    );
    assert_eq!(
        ada["claims"],
        json!({"email": "ada@firebase.example", "email_verified": true, "name": "Ada Example",
            "picture": "https://img.example/ada.png", "phone_number": "+14255551212", "phone_number_verified": true})
    );
    assert_eq!((&ada["id"], &ada["enabled"]), (&json!("fb-ada"), &json!(true)));
    assert_eq!(ada["createdAt"], "2020-09-13T12:26:40.000000Z");
    assert_eq!(ada["attributes"], json!({ "admin": true }), "custom claims, which are JSON in a text");
    assert_eq!(notes[0], ["identities of other providers"]);
    assert_eq!(
        without_keys(bob),
        json!({"id": "fb-bob", "enabled": false, "createdAt": "2020-09-13T12:26:41.000000Z", "passkeys": [{
            "rpId": "old.example", "signCount": 3, "backupEligible": true, "backedUp": true, "userVerified": false,
            "transports": ["hybrid", "internal"], "createdAt": "2022-04-15T05:20:00.000000Z",
            "lastUsedAt": "2022-08-08T23:06:40.000000Z"}]})
    );
    let bare = Context { rp_id: Some("old.example".into()), ..Context::default() };
    let ada = read_all(Format::Firebase, FIREBASE.as_bytes(), &bare).swap_remove(0).unwrap();
    assert!(ada.password.is_none() && ada.notes.iter().any(|note| note.kind == "passwords left out"));
}

#[test]
fn auth0() {
    let (lines, notes) = converted(Format::Auth0, AUTH0);
    assert_eq!(
        lines[0],
        json!({"id": "auth0|5f0000000000000000000001", "claims": {"email": "ada@auth0.example", "email_verified": true,
            "name": "ada@auth0.example", "nickname": "ada", "picture": "https://s.gravatar.example/a.png"},
            "attributes": {"plan": "pro"}, "createdAt": "2020-09-13T12:26:40.123000Z", "updatedAt": "2021-09-13T12:26:40.123000Z"})
    );
    assert_eq!((&lines[1]["enabled"], &lines[1]["claims"]["email_verified"]), (&json!(false), &Value::Null));
    assert_eq!(notes, [vec![], vec!["identities of other providers"]]);
    let (hashes, _) = converted(Format::Auth0, AUTH0_HASHES);
    assert_eq!(hashes[0]["id"], lines[0]["id"], "the second file is about the same people");
    assert!(hashes[0]["password"].as_str().unwrap().starts_with("$2b$10$"));
}

#[test]
fn keycloak() {
    let (lines, notes) = converted(Format::Keycloak, KEYCLOAK);
    let [ada, bob] = lines.try_into().unwrap();
    assert!(ada["password"].as_str().unwrap().starts_with("$pbkdf2-sha512$i=210000$"));
    assert!(bob["password"].as_str().unwrap().starts_with("$argon2id$v=19$m=7168,t=5,p=1$"));
    assert_eq!((&bob["enabled"], &ada["groups"]), (&json!(false), &json!(["staff/engines"])));
    assert_eq!(
        ada["claims"],
        json!({"email": "ada@keycloak.example", "email_verified": true, "name": "Ada Example", "given_name": "Ada",
            "family_name": "Example", "preferred_username": "ada", "locale": "de"})
    );
    assert_eq!(
        without_keys(ada.clone())["passkeys"],
        json!([{"rpId": "old.example", "signCount": 7, "userVerified": false, "transports": ["internal"],
            "name": "Phone", "createdAt": "2021-01-07T06:13:20.000000Z"}]),
        "without backup flags and without a handle, because Keycloak keeps neither"
    );
    assert_eq!(ada["attributes"], json!({ "department": ["engines"] }), "a list, however many there are");
    assert_eq!(notes, [vec!["one-time passwords", "roles"], vec!["identities of other providers"]]);
}

#[test]
fn hanko() {
    let (lines, notes) = converted(Format::Hanko, HANKO);
    let [ada, bob] = lines.try_into().unwrap();
    assert_eq!(
        ada["claims"],
        json!({"email": "ada@hanko.example", "email_verified": true, "preferred_username": "ada"})
    );
    assert!(ada["password"].as_str().unwrap().starts_with("$2a$12$"));
    assert_eq!(
        without_keys(ada)["passkeys"],
        json!([{"rpId": "old.example", "signCount": 1, "backupEligible": false, "backedUp": false, "userVerified": false,
            "transports": ["internal"], "aaguid": "08987058-cadc-4b81-b6e1-30de50dcbe96",
            "createdAt": "2023-06-07T13:42:50.000000Z"}])
    );
    assert_eq!(bob["id"], "38bf5a00-d7ea-40a5-a5de-48722c148925");
    assert_eq!(notes, [vec!["further e-mail addresses"], vec![]]);
}

#[test]
fn better_auth() {
    let (lines, notes) = converted(Format::BetterAuth, BETTER_AUTH);
    let [ada, bob] = lines.try_into().unwrap();
    let (salt, key) = ("0a".repeat(16), "1f".repeat(64));
    assert_eq!(ada["password"], format!("$bascrypt${salt}${key}"));
    assert_eq!(
        without_keys(ada)["passkeys"],
        json!([{"rpId": "old.example", "signCount": 0, "backupEligible": true, "backedUp": true, "userVerified": false,
            "transports": ["hybrid", "internal"], "aaguid": "fbfc3007-154e-4ecc-8c0b-6e020557d7bd", "name": "Laptop",
            "createdAt": "2025-01-02T03:04:05.678000Z"}])
    );
    assert_eq!(bob["enabled"], false);
    assert_eq!(
        (&bob["createdAt"], &bob["passkeys"][0]["signCount"]),
        (&json!("2025-01-02T03:04:05.678000Z"), &json!(4))
    );
    assert_eq!(notes, [vec!["identities of other providers", "one-time passwords", "roles"], vec![]]);
}

#[test]
fn simple_webauthn() {
    let (lines, _) = converted(Format::SimpleWebAuthn, SIMPLE_WEBAUTHN);
    let [ada, bob] = lines.try_into().unwrap();
    let first = &ada["passkeys"][0];
    assert_eq!((&first["userHandle"], &first["signCount"]), (&json!("aGFuZGxlIG9mIHN3LTE"), &json!(12)));
    assert_eq!((&first["backupEligible"], &first["backedUp"]), (&json!(true), &json!(false)));
    assert_eq!(first["createdAt"], "2024-05-06T07:08:09.000000Z");
    assert_eq!(ada["claims"], json!({"email": "ada@simple.example", "email_verified": true}));
    assert_eq!((&bob["id"], &bob["claims"]["preferred_username"]), (&json!("2"), &json!("bob")));
    let read = read_all(Format::SimpleWebAuthn, SIMPLE_WEBAUTHN.as_bytes(), &context()).swap_remove(0).unwrap();
    assert!(matches!(read.passkeys[0].key, ImportedKey::Usable(_)));
    assert!(
        matches!(read.passkeys[1].key, ImportedKey::Unsupported { algorithm: -8, .. }),
        "Ed25519 is kept as it came"
    );
    let row = r#"{"userId":"1","credentialID":"x","publicKey":"x"}"#;
    let refused = read_all(Format::SimpleWebAuthn, row.as_bytes(), &context()).swap_remove(0).unwrap_err();
    assert!(refused.reason.contains("one line for each person"), "{refused}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn refusals_name_the_field() {
    let key = "pQECAyYgASFYIMLf9vY7on53OfuRtHPnHGaAzMmki3A_0GAx5Gaf2hX8Ilgg8Fae0oBO24nQdYhk-GtOb4MqssyZqF44e77NhwssjSQ";
    let id = "lKR6KkbaRg6sJH0qqfTIpsqLcLDPX0H647XPqT6nybk";
    let own = |passkey: Value| json!({"id": "1", "passkeys": [passkey]}).to_string();
    let bare = Context::default();
    for (name, format, line, field) in [
        ("not JSON", Format::Ndjson, "{\"id\":".to_owned(), ""),
        ("no object", Format::Ndjson, "[1]".to_owned(), ""),
        ("half a character", Format::Ndjson, r#"{"id":"\ud83d"}"#.to_owned(), ""),
        ("a member twice", Format::Ndjson, r#"{"id":"1","id":"2"}"#.to_owned(), ""),
        ("too deep", Format::Ndjson, format!("{{\"id\":{}1{}}}", "[".repeat(500), "]".repeat(500)), ""),
        ("an unknown field", Format::Ndjson, r#"{"id":"1","is_admin":true}"#.to_owned(), "is_admin"),
        ("a wrong type", Format::Ndjson, r#"{"id":1}"#.to_owned(), "id"),
        ("NUL", Format::Ndjson, r#"{"id":"a\u0000"}"#.to_owned(), "id"),
        ("NUL in a claim", Format::Ndjson, r#"{"id":"1","claims":{"name":"a\u0000"}}"#.to_owned(), "claims.name"),
        (
            "NUL in an address",
            Format::Ndjson,
            r#"{"id":"1","claims":{"website":"https://a.example/\u0000"}}"#.to_owned(),
            "claims.website",
        ),
        ("a claim that is none", Format::Ndjson, r#"{"id":"1","claims":{"sub":"x"}}"#.to_owned(), "claims.sub"),
        (
            "an attribute of a wrong type",
            Format::Ndjson,
            r#"{"id":"1","attributes":{"plan":"pro","limits":{"seats":3}}}"#.to_owned(),
            "attributes.limits",
        ),
        (
            "an attribute's name",
            Format::Ndjson,
            r#"{"id":"1","attributes":{"tenant.id":"x"}}"#.to_owned(),
            "attributes.tenant.id",
        ),
        (
            "NUL in an attribute",
            Format::Ndjson,
            r#"{"id":"1","attributes":{"plan":"a\u0000"}}"#.to_owned(),
            "attributes.plan",
        ),
        ("attributes in a list", Format::Ndjson, r#"{"id":"1","attributes":["x"]}"#.to_owned(), "attributes"),
        ("no sub", Format::Ndjson, r#"{"sub":"x"}"#.to_owned(), "sub"),
        (
            "a time before 1970",
            Format::Ndjson,
            r#"{"id":"1","createdAt":"1960-01-01T00:00:00Z"}"#.to_owned(),
            "createdAt",
        ),
        (
            "a fast hash",
            Format::Ndjson,
            r#"{"id":"1","password":"5f4dcc3b5aa765d61d8327deb882cf99"}"#.to_owned(),
            "password",
        ),
        ("no RP id", Format::Ndjson, own(json!({"credentialId": id, "publicKey": key})), "passkeys[0].rpId"),
        (
            "an RP id with a scheme",
            Format::Ndjson,
            own(json!({"rpId": "https://a.example", "credentialId": id, "publicKey": key})),
            "passkeys[0].rpId",
        ),
        (
            "a short id",
            Format::Ndjson,
            own(json!({"rpId": "a.example", "credentialId": "AAAA", "publicKey": key})),
            "passkeys[0].credentialId",
        ),
        (
            "half a key",
            Format::Ndjson,
            own(json!({"rpId": "a.example", "credentialId": id, "publicKey": &key[..40]})),
            "passkeys[0].publicKey",
        ),
        ("no key", Format::Ndjson, own(json!({"rpId": "a.example", "credentialId": id})), "passkeys[0].publicKey"),
        (
            "backed up though not eligible",
            Format::Ndjson,
            own(
                json!({"rpId": "a.example", "credentialId": id, "publicKey": key, "backupEligible": false, "backedUp": true}),
            ),
            "passkeys[0].backedUp",
        ),
        (
            "a counter below zero",
            Format::Ndjson,
            own(json!({"rpId": "a.example", "credentialId": id, "publicKey": key, "signCount": -1})),
            "passkeys[0].signCount",
        ),
        (
            "a passkey's unknown field",
            Format::Ndjson,
            own(json!({"rpId": "a.example", "credentialId": id, "publicKey": key, "x": 1})),
            "passkeys[0].x",
        ),
        (
            "no RP id given",
            Format::SimpleWebAuthn,
            own(json!({"credentialID": id, "publicKey": key})),
            "passkeys[0].rpId",
        ),
        ("Firebase without id", Format::Firebase, r#"{"email":"a@b.example"}"#.to_owned(), "localId"),
        (
            "Keycloak's inner JSON",
            Format::Keycloak,
            r#"{"id":"1","credentials":[{"type":"password","secretData":"{","credentialData":"{}"}]}"#.to_owned(),
            "credentials[0].secretData",
        ),
        (
            "better-auth's password",
            Format::BetterAuth,
            r#"{"id":"1","account":[{"providerId":"credential","password":1}]}"#.to_owned(),
            "account[0].password",
        ),
        ("Auth0's id", Format::Auth0, r#"{"_id":{"$oid":"../"}}"#.to_owned(), "_id.$oid"),
        (
            "Hanko's password",
            Format::Hanko,
            r#"{"user_id":"1","password":{"password":"x"}}"#.to_owned(),
            "password.password",
        ),
    ] {
        let problem = read_all(format, line.as_bytes(), &bare).swap_remove(0).expect_err(name);
        assert_eq!(problem.field, field, "{name}: {problem}");
        assert!(!problem.to_string().contains("5f4dcc3b"), "no hash is quoted");
    }
}

/// Wherever a file is truncated or changed, nothing panics, and everybody before that place is read as before.
#[test]
fn files_broken_at_every_byte() {
    let context = context();
    for (format, text) in ALL {
        let whole = read_all(format, text.as_bytes(), &context);
        let lines: Vec<String> = whole.iter().flatten().map(|record| form::write(record).to_string()).collect();
        assert_eq!(whole.len(), lines.len(), "the fixture is good");
        for at in 0..text.len() {
            let cut = read_all(format, &text.as_bytes()[..at], &context);
            for (before, after) in lines.iter().zip(cut.iter().take_while(|record| record.is_ok())) {
                assert_eq!(*before, form::write(after.as_ref().unwrap()).to_string(), "{format:?} cut at {at}");
            }
            let mut changed = text.as_bytes().to_vec();
            for byte in [0, b'"', b'{', b']', 0xff] {
                changed[at] = byte;
                let _ = read_all(format, &changed, &context);
            }
        }
    }
}

#[test]
fn line_ends_and_marks_of_other_systems_change_nothing() {
    let context = context();
    for (format, text) in ALL {
        let plain = read_all(format, text.as_bytes(), &context);
        let foreign = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        let read = read_all(format, foreign.as_bytes(), &context);
        let written = |all: &[Result<Record, Problem>]| -> Vec<String> {
            all.iter().flatten().map(|record| form::write(record).to_string()).collect()
        };
        assert_eq!(written(&read), written(&plain), "{format:?}");
    }
}

/// A person who may not sign in there may not sign in here, however that is written.
#[test]
fn a_status_that_cannot_be_read_is_refused() {
    for (format, line, field) in [
        (Format::Firebase, r#"{"localId":"1","disabled":STATUS}"#, "disabled"),
        (Format::Auth0, r#"{"user_id":"auth0|1","blocked":STATUS}"#, "blocked"),
        (Format::Keycloak, r#"{"id":"1","enabled":STATUS}"#, "enabled"),
        (Format::BetterAuth, r#"{"id":"1","banned":STATUS}"#, "banned"),
        (Format::SimpleWebAuthn, r#"{"id":"1","enabled":STATUS}"#, "enabled"),
        (Format::SimpleWebAuthn, r#"{"id":"1","disabled":STATUS}"#, "disabled"),
        (Format::SimpleWebAuthn, r#"{"id":"1","banned":STATUS}"#, "banned"),
        (Format::SimpleWebAuthn, r#"{"id":"1","blocked":STATUS}"#, "blocked"),
        (Format::Ndjson, r#"{"id":"1","enabled":STATUS}"#, "enabled"),
    ] {
        let read = |status: &str| {
            read_all(format, line.replace("STATUS", status).as_bytes(), &Context::default()).swap_remove(0)
        };
        for status in [r#""yes""#, r#""""#, "-1", "0.5", "[true]", "{}"] {
            assert_eq!(read(status).expect_err(status).field, field, "{status}");
        }
        let closed = if field == "enabled" { "false" } else { "true" };
        assert_eq!(read(closed).unwrap().enabled, Some(false), "{field}");
        assert_eq!(read("null").unwrap().enabled, None, "{field}: not told");
    }
}
