//! Whatever is written reads back identically.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(members) = value else { panic!("an object") };
    members
}

fn time() -> impl Strategy<Value = Option<Value>> {
    proptest::option::of(
        (0_i64..253_402_300_799_999_999).prop_map(|micros| super::time(Time::from_timestamp_micros(micros).unwrap())),
    )
}

prop_compose! {
    fn passkey()(
        id in proptest::collection::vec(any::<u8>(), 16..64),
        modulus in proptest::collection::vec(any::<u8>(), 256),
        handle in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..=64)),
        sign_count in any::<u32>(),
        backup in proptest::option::of((any::<bool>(), any::<bool>())),
        user_verified in any::<bool>(),
        resident in proptest::option::of(any::<bool>()),
        transports in proptest::collection::vec("[a-z]{1,8}", 0..8),
        aaguid in any::<u128>(),
        name in "[a-zA-Z]([ -~äß€]{0,30}[a-z])?",
        times in (time(), time(), time()),
        reason in ".{0,20}",
    ) -> Value {
        let mut modulus = modulus;
        modulus[0] |= 0x80;
        modulus[255] |= 1;
        let cose = [&[0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59, 1, 0][..], &modulus, &[0x21, 0x43, 1, 0, 1]].concat();
        let mut line = json!({
            "rpId": "a.example", "credentialId": base64url(&id), "publicKey": base64url(&cose), "signCount": sign_count,
            "userVerified": user_verified, "residentKey": resident, "transports": transports,
            "aaguid": Uuid::from_u128(aaguid | 1).to_string(), "name": name,
            "userHandle": handle.as_deref().map(base64url),
            "createdAt": times.0, "lastUsedAt": times.1, "suspendedAt": times.2,
        });
        if let Some((eligible, backed_up)) = backup {
            line["backupEligible"] = eligible.into();
            line["backedUp"] = (eligible && backed_up).into();
        }
        if !line["suspendedAt"].is_null() {
            line["suspendedReason"] = reason.replace('\0', "").into();
        }
        line
    }
}

fn attribute() -> impl Strategy<Value = Value> {
    let list = proptest::collection::vec("[ -~äß€]{0,10}", 0..4);
    prop_oneof![
        "[ -~äß€]{0,30}".prop_map(Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        list.prop_map(Value::from),
    ]
}

prop_compose! {
    fn line()(
        id in proptest::option::of("[!-~]{1,40}"),
        sub in proptest::option::of(any::<u128>()),
        name in proptest::option::of("[a-zA-Z]([ -~äß€]{0,30}[a-z])?"),
        email in proptest::option::of(("[a-z]{1,10}", any::<bool>())),
        enabled in proptest::option::of(any::<bool>()),
        groups in proptest::collection::vec("[a-z]{1,8}", 0..4),
        links in proptest::collection::btree_map("[a-z]{1,8}", "[!-~]{1,12}", 0..3),
        times in (time(), time()),
        attributes in proptest::collection::btree_map("[A-Za-z][A-Za-z0-9_-]{0,10}", attribute(), 0..5),
        passkeys in proptest::collection::vec(passkey(), 0..3),
    ) -> Value {
        let mut claims = json!({});
        if let Some(name) = name.filter(|name| name != "null") {
            claims["name"] = name.into();
        }
        if let Some((local, verified)) = email {
            claims["email"] = format!("{local}@a.example").into();
            claims["email_verified"] = verified.into();
        }
        json!({
            "id": id, "sub": sub.map(|sub| Uuid::from_u128(sub).to_string()), "claims": claims, "enabled": enabled,
            "groups": groups, "externalIds": links, "attributes": attributes, "createdAt": times.0, "updatedAt": times.1, "passkeys": passkeys,
        })
    }
}

proptest! {
    #[test]
    fn reading_what_was_written_gives_the_same(line in line()) {
        let attributes = line["attributes"].clone();
        let first = read(object(line), None).map_err(|problem| TestCaseError::fail(problem.to_string()))?;
        let written = write(&first);
        prop_assert_eq!(written.get("attributes").cloned().unwrap_or_else(|| json!({})), attributes);
        let second = read(object(written.clone()), None).map_err(|problem| TestCaseError::fail(problem.to_string()))?;
        prop_assert_eq!(write(&second), written);
    }

    #[test]
    fn whatever_a_line_holds_it_is_read_or_refused(text in ".{0,200}", noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let context = crate::import::Context::default();
        for format in [crate::import::Format::Ndjson, crate::import::Format::Keycloak, crate::import::Format::SimpleWebAuthn] {
            let _ = format.read(text.as_bytes(), &context);
            let _ = format.read(&noise, &context);
        }
    }
}
