//! Data that systems store in addition to the basics: it is imported, or reported.

use serde_json::{Value, json};

use super::tests::{context, read_all};
use crate::import::{Format, Problem, Record};

const BCRYPT: &str = "$2b$10$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW";
const ARGON2: &str =
    "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$RdescudvJCsgt3ub+b4dWRWJTmaaJObG4p9QzB8GAdk";

#[track_caller]
fn all(format: Format, file: &Value) -> Vec<Result<Record, Problem>> {
    read_all(format, file.to_string().as_bytes(), &context())
}

#[track_caller]
fn one(format: Format, line: &Value) -> Record {
    all(format, line).swap_remove(0).unwrap_or_else(|problem| panic!("{problem}: {line}"))
}

fn kinds(record: &Record) -> Vec<&'static str> {
    record.notes.iter().map(|note| note.kind).collect()
}

fn password(record: &Record) -> Option<&str> {
    record.password.as_ref().map(|hash| hash.expose().as_str())
}

/// A row of a passkey, with the column names of a database.
fn row(more: &Value) -> Value {
    let mut row = json!({
        "id": "lKR6KkbaRg6sJH0qqfTIpsqLcLDPX0H647XPqT6nybk",
        "public_key": "pQECAyYgASFYIMLf9vY7on53OfuRtHPnHGaAzMmki3A_0GAx5Gaf2hX8Ilgg8Fae0oBO24nQdYhk-GtOb4MqssyZqF44e77NhwssjSQ",
    });
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

#[test]
fn a_realm_is_no_person() {
    let people = json!([{ "id": "1" }]);
    for (name, file, read) in [
        ("all realms", json!([{ "id": "a", "realm": "a", "users": people }, { "id": "b", "realm": "b" }]), 0),
        ("one without its people", json!({ "id": "a", "realm": "a", "clients": [] }), 0),
        ("with others beside them", json!({ "realm": "a", "users": people, "federatedUsers": [{ "id": "f:1:2" }] }), 1),
        ("with others alone", json!({ "realm": "a", "federatedUsers": [{ "id": "f:1:2" }], "users": [] }), 0),
    ] {
        let (people, told): (Vec<_>, Vec<_>) = all(Format::Keycloak, &file).into_iter().partition(Result::is_ok);
        assert_eq!(people.len(), read, "{name}");
        assert!(!told.is_empty(), "{name}: it is told");
    }
    let good = all(Format::Keycloak, &json!({ "realm": "a", "users": people, "federatedUsers": [] }));
    assert!(good.len() == 1 && good[0].is_ok(), "{good:?}");
    let program = json!({ "users": [{ "id": "1", "username": "service-account-x", "serviceAccountClientId": "x" }] });
    assert!(all(Format::Keycloak, &program).is_empty(), "nobody");
}

#[test]
fn passwords_of_providers_that_were_added_to_keycloak() {
    let user = |algorithm: &str, value: &str| {
        let secret = json!({ "value": value, "salt": "" }).to_string();
        let data = json!({ "hashIterations": 10, "algorithm": algorithm }).to_string();
        json!({ "id": "1", "credentials": [{ "type": "password", "secretData": secret, "credentialData": data }] })
    };
    let kept = one(Format::Keycloak, &user("bcrypt", BCRYPT));
    assert_eq!((password(&kept), kinds(&kept)), (Some(BCRYPT), vec![]));
    for (algorithm, value) in [("bcrypt", "x"), ("sha256-salted", BCRYPT), ("sha256-salted", "YQ==")] {
        let left = one(Format::Keycloak, &user(algorithm, value));
        assert_eq!((password(&left), kinds(&left)), (None, vec!["passwords left out"]), "{algorithm}");
    }
}

#[test]
fn passwords_that_better_auth_was_told_to_hash_otherwise() {
    for (text, expected) in
        [(BCRYPT, Some(BCRYPT)), (ARGON2, Some(ARGON2)), ("x", None), ("salt:key", None), ("$x$y:z", None)]
    {
        let line = json!({ "id": "1", "accounts": [{ "providerId": "credential", "password": text }] });
        let record = one(Format::BetterAuth, &line);
        assert_eq!(password(&record), expected, "{text}");
        assert_eq!(kinds(&record).contains(&"passwords left out"), expected.is_none(), "{text}");
    }
}

#[test]
fn passwords_as_auth0_imports_them() {
    let record = one(Format::Auth0, &json!({ "user_id": "auth0|1", "password_hash": BCRYPT }));
    assert_eq!(password(&record), Some(BCRYPT));
    let refused = all(Format::Auth0, &json!({ "user_id": "auth0|1", "password_hash": "x" })).swap_remove(0);
    assert_eq!(refused.unwrap_err().field, "password_hash");
}

#[test]
fn a_ban_that_is_over_is_none() {
    for (banned, end, enabled, told) in [
        (json!(true), json!("2025-01-01T00:00:00Z"), Some(true), false),
        (json!(true), json!("2027-01-01T00:00:00Z"), Some(false), true),
        (json!(true), json!("some day"), Some(false), true),
        (json!(true), json!(null), Some(false), false),
        (json!(false), json!("2027-01-01T00:00:00Z"), Some(true), false),
        (json!(null), json!("2027-01-01T00:00:00Z"), None, false),
    ] {
        for name in ["banExpires", "ban_expires"] {
            let record = one(Format::BetterAuth, &json!({ "id": "1", "banned": banned, name: end }));
            assert_eq!(record.enabled, enabled, "{banned} until {end}");
            assert_eq!(kinds(&record).contains(&"bans with an end"), told, "{banned} until {end}");
        }
    }
}

#[test]
fn a_security_key_beside_a_password_is_no_way_in_by_itself() {
    let line = |more: &Value| json!({ "user_id": "1", "webauthn_credentials": [row(more)] });
    for more in [json!({ "mfa_only": true }), json!({ "mfa_only": "t" }), json!({ "mfaOnly": true })] {
        let record = one(Format::Hanko, &line(&more));
        assert_eq!((record.passkeys.len(), kinds(&record)), (0, vec!["second factors"]), "{more}");
    }
    for more in [json!({}), json!({ "mfa_only": false })] {
        let record = one(Format::Hanko, &line(&more));
        assert_eq!((record.passkeys.len(), kinds(&record)), (1, vec![]), "{more}");
    }
    assert!(all(Format::Hanko, &line(&json!({ "mfa_only": "perhaps" }))).swap_remove(0).is_err());
}

fn attributes(record: &Record) -> Value {
    Value::Object(record.attributes.to_map())
}

fn told(record: &Record) -> Vec<(&str, &str)> {
    record.notes.iter().map(|note| (note.kind, note.field.as_str())).collect()
}

/// Under their own names. A member that does not fit is reported by name, and never costs a person their account.
#[test]
fn what_other_systems_keep_for_backends_becomes_attributes() {
    let given = json!({ "plan": "pro", "seats": 3, "roles": ["editor"], "trial": null, "tenantId": "t", "my.key": 1, "limits": { "a": 1 } });
    let kept = json!({ "plan": "pro", "seats": 3, "roles": ["editor"], "tenantId": "t" });
    for (format, line, kind, place) in [
        (
            Format::Firebase,
            json!({ "localId": "1", "customAttributes": given.to_string() }),
            "custom claims",
            "customAttributes",
        ),
        (Format::Firebase, json!({ "localId": "1", "customAttributes": given }), "custom claims", "customAttributes"),
        (Format::Auth0, json!({ "user_id": "auth0|1", "app_metadata": given }), "metadata", "app_metadata"),
        (
            Format::Hanko,
            json!({ "user_id": "1", "metadata": { "public_metadata": given } }),
            "metadata",
            "metadata.public_metadata",
        ),
        (
            Format::Hanko,
            json!({ "user_id": "1", "metadata": { "private_metadata": given.to_string() } }),
            "metadata",
            "metadata.private_metadata",
        ),
        (Format::Keycloak, json!({ "id": "1", "attributes": given }), "attributes", "attributes"),
    ] {
        let record = one(format, &line);
        assert_eq!(attributes(&record), kept, "{line}");
        let (limits, dotted) = (format!("{place}.limits"), format!("{place}.my.key"));
        let mut told = told(&record);
        told.sort_unstable();
        assert_eq!(told, [(kind, limits.as_str()), (kind, dotted.as_str())], "{line}");
        let named = record.notes.iter().find(|note| note.field == dotted).unwrap();
        assert!(named.what.contains("A-Z, a-z, 0-9, _ and -") && named.what.ends_with(": left out"), "{named:?}");
    }
    for (format, line, place) in [
        (Format::Firebase, json!({ "localId": "1", "customAttributes": "{\"a\":" }), "customAttributes"),
        (Format::Firebase, json!({ "localId": "1", "customAttributes": "[1]" }), "customAttributes"),
        (Format::Auth0, json!({ "user_id": "auth0|1", "app_metadata": ["a"] }), "app_metadata"),
        (Format::Hanko, json!({ "user_id": "1", "metadata": "x" }), "metadata"),
    ] {
        let record = one(format, &line);
        assert_eq!((attributes(&record), told(&record).len()), (json!({}), 1), "{line}");
        assert_eq!(told(&record)[0].1, place);
    }
    for (format, line) in [
        (Format::Firebase, json!({ "localId": "1", "customAttributes": "" })),
        (Format::Auth0, json!({ "user_id": "auth0|1", "app_metadata": {}, "user_metadata": {} })),
        (Format::Hanko, json!({ "user_id": "1", "metadata": { "public_metadata": null, "unsafe_metadata": null } })),
        (Format::Hanko, json!({ "user_id": "1", "metadata": null })),
    ] {
        let record = one(format, &line);
        assert_eq!((attributes(&record), told(&record).len()), (json!({}), 0), "{line}");
    }
}

/// Anyone who could have set `role: admin` for themselves there must not get it here.
#[test]
fn what_people_could_change_themselves_is_no_attribute() {
    let own = json!({ "role": "admin", "theme": "dark" });
    let auth0 =
        one(Format::Auth0, &json!({ "user_id": "auth0|1", "app_metadata": { "plan": "x" }, "user_metadata": own }));
    assert_eq!((attributes(&auth0), told(&auth0)), (json!({ "plan": "x" }), vec![("metadata", "user_metadata")]));
    let metadata = json!({ "public_metadata": { "role": "member", "a": 1 }, "private_metadata": { "role": "owner" }, "unsafe_metadata": own });
    let hanko = one(Format::Hanko, &json!({ "user_id": "1", "metadata": metadata }));
    assert_eq!(attributes(&hanko), json!({ "role": "owner", "a": 1 }));
    assert_eq!(told(&hanko), [("metadata", "metadata.public_metadata.role"), ("metadata", "metadata.unsafe_metadata")]);
    assert!(hanko.notes[1].what.starts_with("2 left out: "), "{:?}", hanko.notes);
}

#[test]
fn more_attributes_than_there_can_be_are_told_by_name_and_then_by_number() {
    let many: Value = (0..100).map(|number| (format!("a{number:02}"), json!(number))).collect();
    let record = one(Format::Auth0, &json!({ "user_id": "auth0|1", "app_metadata": many }));
    assert_eq!(record.attributes.names().count(), 64);
    assert_eq!(record.notes.len(), 21);
    assert_eq!(record.notes[0].field, "app_metadata.a64");
    assert!(record.notes[20].what.starts_with("16 left out: "), "{:?}", record.notes[20]);
}

#[test]
fn what_people_write_of_themselves_by_hand() {
    let line = json!({
        "id": "1", "enabled": true, "banned": true, "password": BCRYPT, "role": "admin",
        "phoneNumber": "+12025550123", "passkeys": [row(&json!({}))],
    });
    let record = one(Format::SimpleWebAuthn, &line);
    assert_eq!((record.enabled, password(&record)), (Some(false), Some(BCRYPT)), "one no is enough");
    assert_eq!(record.claims.text("phone_number"), Some("+12025550123"));
    assert_eq!(kinds(&record), ["roles"]);
    for name in ["password", "passwordHash", "password_hash"] {
        let record = one(Format::SimpleWebAuthn, &json!({ "id": "1", name: "5f4dcc3b5aa765d61d8327deb882cf99" }));
        assert_eq!((password(&record), kinds(&record)), (None, vec!["passwords left out"]), "{name}");
        assert!(!format!("{:?}", record.notes).contains("5f4dcc3b"), "no hash is quoted");
    }
    let closed = one(Format::SimpleWebAuthn, &json!({ "id": "1", "disabled": false, "enabled": false }));
    assert_eq!(closed.enabled, Some(false));
}

#[test]
fn keys_as_databases_and_node_print_them() {
    let plain = row(&json!({}))["public_key"].as_str().unwrap().to_owned();
    let bytes = crate::import::bytes::base64(&plain).unwrap();
    let numbered: Value = bytes.iter().enumerate().map(|(at, byte)| (at.to_string(), json!(byte))).collect();
    let standard = plain.replace('-', "+").replace('_', "/");
    let broken = format!("{}\n{}\n", &standard[..76], &standard[76..]);
    for key in [json!(plain), numbered, json!(broken)] {
        let record =
            one(Format::SimpleWebAuthn, &json!({ "id": "1", "passkeys": [row(&json!({ "public_key": key }))] }));
        assert_eq!(record.passkeys.len(), 1, "{key}");
    }
}

#[test]
fn another_encoding_is_named() {
    let latin = b"{\"id\":\"1\",\"claims\":{\"name\":\"M\xfcller\"}}";
    let refused = read_all(Format::Ndjson, latin, &context()).swap_remove(0).unwrap_err();
    assert_eq!(refused.to_string(), "is not UTF-8");
    let half = read_all(Format::Ndjson, br#"{"id":"\ud83d"}"#, &context()).swap_remove(0).unwrap_err();
    assert!(half.to_string().starts_with("is not JSON (at byte "), "{half}");
}
