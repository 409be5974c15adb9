//! Rows about registrations.

use passmint::ceremony::strict::{Reason, cbor::Fault, registration};
use serde_json::{Value, json};

use super::{Expect, ORIGIN, Row, Site, row};
use crate::authenticator::{Authenticator, Key, cbor, cose_rsa, encode};

/// Rebuilds the attestation object around the same authenticator data.
fn object(make: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + Clone + 'static) -> impl Fn(&mut Authenticator) {
    move |passkey| {
        let make = make.clone();
        passkey.hooks.attestation_object = Some(Box::new(make));
    }
}

fn data(make: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + Clone + 'static) -> impl Fn(&mut Authenticator) {
    move |passkey| {
        let make = make.clone();
        passkey.hooks.auth_data = Some(Box::new(make));
    }
}

fn public_key(make: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + Clone + 'static) -> impl Fn(&mut Authenticator) {
    move |passkey| {
        let make = make.clone();
        passkey.hooks.public_key = Some(Box::new(make));
    }
}

fn response(change: impl Fn(&mut Value) + Send + Sync + Clone + 'static) -> impl Fn(&mut Authenticator) {
    move |passkey| {
        let change = change.clone();
        passkey.hooks.response = Some(Box::new(change));
    }
}

fn attestation(format: &'static str, statement: Vec<u8>) -> impl Fn(&mut Authenticator) {
    move |passkey| passkey.attestation = (format.to_owned(), statement.clone())
}

fn extensions(encoded: Vec<u8>) -> impl Fn(&mut Authenticator) {
    move |passkey| passkey.extensions = Some(encoded.clone())
}

fn id_of(length: usize) -> impl Fn(&mut Authenticator) {
    move |passkey| passkey.credential_id = vec![7; length]
}

fn appended(mut bytes: Vec<u8>, tail: &[u8]) -> Vec<u8> {
    bytes.extend_from_slice(tail);
    bytes
}

fn reader(reason: Reason) -> Expect {
    Expect::Reader(reason)
}

#[test]
fn genuine() {
    let extension = |name: &str, value| (cbor::text(name), value);
    let hundred: Vec<_> = (0..100).map(|n| extension(&format!("x{n}"), cbor::bool(true))).collect();
    let nested = cbor::map(&[(cbor::int(-70_000), cbor::array(&[cbor::bytes(&[1]), vec![0xf6], vec![0xf9, 0x3c, 0]]))]);
    Site::new().check_registrations(&[
        row("ES384", |passkey| passkey.key = Key::es384(), Expect::Accepted),
        row("RS256", |passkey| passkey.key = Key::rs256(), Expect::Accepted),
        row("synchronised", |passkey| *passkey = Authenticator::synchronised(ORIGIN), Expect::Accepted),
        row("shortest id", id_of(16), Expect::Accepted),
        row("longest id", id_of(1023), Expect::Accepted),
        row("N22 largest counter", |passkey| passkey.counter = u32::MAX, Expect::Accepted),
        row("N29 credProtect", extensions(cbor::map(&[extension("credProtect", cbor::int(2))])), Expect::Accepted),
        row("N29 a number", extensions(cbor::map(&[extension("minPinLength", cbor::int(4))])), Expect::Accepted),
        row("N29 nested", extensions(cbor::map(&[extension("x", nested)])), Expect::Accepted),
        row(
            "N29 largest number",
            extensions(cbor::map(&[extension("x", [vec![0x1b], vec![0xff; 8]].concat())])),
            Expect::Accepted,
        ),
        row(
            "N29 smallest number",
            extensions(cbor::map(&[extension("x", [vec![0x3b, 0x7f], vec![0xff; 7]].concat())])),
            Expect::Accepted,
        ),
        row("N29 undefined", extensions(cbor::map(&[extension("x", vec![0xf7])])), Expect::Accepted),
        row("N29 no extension", extensions(cbor::map(&[])), Expect::Accepted),
        row("N29 100 extensions", extensions(cbor::map(&hundred)), Expect::Accepted),
        row(
            "N29 an extension of 7 KiB",
            extensions(cbor::map(&[extension("x", cbor::bytes(&[7; 7 * 1024]))])),
            Expect::Accepted,
        ),
        row(
            "N44 members that contradict the object",
            response(|answer| {
                answer["response"]["publicKey"] = json!("AAAA");
                answer["response"]["publicKeyAlgorithm"] = json!(-257);
                answer["response"]["authenticatorData"] = json!({ "not": ["even", "a", "string"] });
            }),
            Expect::Accepted,
        ),
        row(
            "unknown members and extension results of any type",
            response(|answer| {
                answer["clientExtensionResults"] =
                    json!({ "credProps": 7, "appid": "yes", "prf": { "enabled": true }, "hmac-secret": [] });
                answer["somethingNew"] = json!({ "a": [1, 2, 3] });
                answer["response"]["transports"] = json!("internal");
            }),
            Expect::Accepted,
        ),
        row(
            "order of the object's members",
            object(|object| {
                // The map's header and the 14 bytes of `fmt`, which are moved to the end.
                [&object[..1], &object[10..], &object[1..10]].concat()
            }),
            Expect::Accepted,
        ),
    ]);
}

#[test]
fn what_is_read() {
    let mut passkey = Authenticator::synchronised(ORIGIN);
    passkey.counter = 9;
    let (read, credential) = Site::new().register(&mut passkey).accepted();
    assert_eq!(read.credential_id, passkey.credential_id);
    assert_eq!(read.aaguid.as_bytes(), &passkey.aaguid);
    assert_eq!(read.transports, ["internal", "hybrid"]);
    assert_eq!((read.algorithm, read.sign_count, read.format.as_str()), (-7, 9, "none"));
    assert_eq!((read.origin.as_str(), read.challenge.len()), (ORIGIN, 32));
    assert_eq!((read.resident_key_hint, read.attachment.as_deref()), (Some(true), Some("platform")));
    let flags = read.flags;
    assert!(flags.user_present && flags.user_verified && flags.backup_eligible && flags.backup_state && flags.attested);
    assert!(!flags.extensions);
    assert_eq!(credential.counter, 9);
}

#[test]
fn authenticator_data() {
    let cut_key = |mut data: Vec<u8>| {
        data.truncate(data.len() - 1);
        data
    };
    Site::new().check_registrations(&[
        row("N14 another site", |p| p.rp_id = Some("evil.example".into()), Expect::Library("InvalidRPIDHash")),
        row("N14 parent domain", |p| p.rp_id = Some("example".into()), Expect::Library("InvalidRPIDHash")),
        row("N15 UP=0", |p| p.user_present = false, reader(Reason::UserNotPresent)),
        row("N15 UV=0", |p| p.user_verified = false, Expect::Library("UserNotVerified")),
        row("N15 AT=0", |p| p.cleared_flags = 0x40, reader(Reason::AttestedData)),
        row("N16 reserved bit 1", |p| p.extra_flags = 0x02, reader(Reason::ReservedFlags)),
        row("N16 reserved bit 5", |p| p.extra_flags = 0x20, reader(Reason::ReservedFlags)),
        row("N17 BS without BE", |p| p.backup_state = true, reader(Reason::BackupState)),
        row("N27 3 bytes more", data(|d| appended(d, &[1, 2, 3])), reader(Reason::AuthDataTrailing)),
        row("N27 9 kB more", data(|d| appended(d, &[0; 9000])), reader(Reason::TooLarge("authData"))),
        row("N27 60 kB more", data(|d| appended(d, &vec![0; 60_000])), reader(Reason::TooLarge("credential"))),
        row("N27 extensions with ED=0", data(|d| appended(d, &[0xa0])), reader(Reason::AuthDataTrailing)),
        row("N28 ED=1 without bytes", |p| p.extra_flags = 0x80, reader(Fault::Truncated.into())),
        row("N28 extensions are a list", extensions(cbor::array(&[])), reader(Fault::Type.into())),
        row(
            "N29 credProtect out of range",
            extensions(cbor::map(&[(cbor::text("credProtect"), cbor::int(4))])),
            reader(Reason::ExtensionValue),
        ),
        row(
            "N29 a number below -2^63",
            extensions(cbor::map(&[(cbor::text("x"), [vec![0x3b], vec![0xff; 8]].concat())])),
            reader(Fault::Type.into()),
        ),
        row(
            "an extension twice",
            extensions(cbor::map(&[(cbor::text("x"), cbor::int(1)), (cbor::text("x"), cbor::int(1))])),
            reader(Fault::Duplicate.into()),
        ),
        row("N32 id of 0 bytes", id_of(0), reader(Reason::Empty("rawId"))),
        row("N32 id of 1 byte", id_of(1), reader(Reason::CredentialIdLength)),
        row("N32 id of 15 bytes", id_of(15), reader(Reason::CredentialIdLength)),
        row("N32 id of 1,024 bytes", id_of(1024), reader(Reason::CredentialIdLength)),
        row("N32 id of 4,096 bytes", id_of(4096), reader(Reason::CredentialIdLength)),
        row("N33 id of 4,097 bytes", id_of(4097), reader(Reason::CredentialIdLength)),
        row(
            "N33 id of 65,535 bytes announced",
            data(|mut data| {
                data[53..55].copy_from_slice(&[0xff, 0xff]);
                data
            }),
            reader(Reason::CredentialIdLength),
        ),
        row(
            "N33 id of 1,000 bytes announced",
            data(|mut data| {
                data[53..55].copy_from_slice(&1000_u16.to_be_bytes());
                data
            }),
            reader(Reason::AuthDataTruncated),
        ),
        row("one byte short", data(cut_key), reader(Fault::Truncated.into())),
    ]);
}

#[test]
fn keys() {
    fn at(position: usize, bytes: &'static [u8]) -> impl Fn(&mut Authenticator) {
        public_key(move |mut key| {
            key[position..position + bytes.len()].copy_from_slice(bytes);
            key
        })
    }
    fn rsa(modulus: usize, exponent: &'static [u8]) -> impl Fn(&mut Authenticator) {
        public_key(move |_| cose_rsa(&vec![0xc1; modulus], exponent))
    }
    // An ES256 key is: a5, 01 02 (type), 03 26 (algorithm), 20 01 (curve), 21 5820 x, 22 5820 y.
    Site::new().check_registrations(&[
        row("N23 EdDSA", at(4, &[0x27]), reader(Reason::KeyAlgorithm)),
        row("N23 ES256K", public_key(|k| [&k[..4], &[0x38, 46], &k[5..]].concat()), reader(Reason::KeyAlgorithm)),
        row("N23 labelled RSA", at(2, &[3]), reader(Reason::KeyMismatch)),
        row(
            "N23 labelled RS256",
            public_key(|k| [&k[..4], &[0x39, 1, 0], &k[5..]].concat()),
            reader(Reason::KeyMismatch),
        ),
        row("N23 P-384", at(6, &[2]), reader(Reason::KeyMismatch)),
        row("N23 short y", public_key(|k| [&k[..44], &[0x1f], &k[46..]].concat()), reader(Reason::KeyCoordinate)),
        row("N23 point off the curve", at(45, &[0; 32]), Expect::Library("EcdsaPointInvalid")),
        row(
            "N24 ES384 on P-256",
            public_key(|k| [&k[..4], &[0x38, 34], &k[5..]].concat()),
            reader(Reason::KeyMismatch),
        ),
        row(
            "N24 two algorithms",
            public_key(|k| [&[0xa6, 1, 2, 3, 0x26, 3, 0x27], &k[5..]].concat()),
            reader(Fault::Duplicate.into()),
        ),
        row(
            "N24 long integer",
            public_key(|k| [&k[..1], &[0x18, 1], &k[2..]].concat()),
            reader(Fault::NotShortest.into()),
        ),
        row("key_ops", public_key(|k| [&[0xa6], &k[1..], &[4, 0x80]].concat()), reader(Reason::KeyLabel)),
        row("N25 1,024 bits", rsa(128, &[1, 0, 1]), reader(Reason::RsaModulus)),
        row("N25 4,096 bits", rsa(512, &[1, 0, 1]), reader(Reason::RsaModulus)),
        row("N25 e=1", rsa(256, &[1]), reader(Reason::RsaExponent)),
        row("N25 e=1 in three bytes", rsa(256, &[0, 0, 1]), reader(Reason::RsaExponent)),
        row("N25 e=3", rsa(256, &[3]), reader(Reason::RsaExponent)),
        row("N25 e even", rsa(256, &[1, 0, 0]), reader(Reason::RsaExponent)),
    ]);
}

#[test]
fn attestation_objects() {
    let unknown_member = |object: Vec<u8>| appended([&[0xa4], &object[1..]].concat(), &[0x61, b'x', 0]);
    let length = |head: u8, length: u64| {
        object(move |object| {
            // Everything before the byte string of `authData`, then a string that announces too great a length.
            let at = object.windows(8).position(|window| window == b"authData").unwrap() + 8;
            [&object[..at], &[head], &length.to_be_bytes(), &object[at + 2..]].concat()
        })
    };
    Site::new().check_registrations(&[
        row("N28 a byte after the object", object(|o| appended(o, &[0])), reader(Fault::Trailing.into())),
        row(
            "N30 none with a statement",
            attestation("none", cbor::map(&[(cbor::text("x"), cbor::int(1))])),
            reader(Reason::Statement),
        ),
        row("N30 none with a list", attestation("none", cbor::array(&[])), reader(Fault::Type.into())),
        row("N30 unknown member", object(unknown_member), reader(Reason::UnknownMember)),
        row(
            "N30 indefinite length",
            object(|o| appended([&[0xbf], &o[1..]].concat(), &[0xff])),
            reader(Fault::Indefinite.into()),
        ),
        row("fmt twice", object(|o| [&[0xa4], &o[1..10], &o[1..]].concat()), reader(Fault::Duplicate.into())),
        row("no fmt", object(|o| [&[0xa2], &o[10..]].concat()), reader(Reason::Missing("fmt"))),
        row("a tag around", object(|o| [&[0xd9, 0xd9, 0xf7], o.as_slice()].concat()), reader(Fault::Type.into())),
        row("N31 unknown format", attestation("other", cbor::map(&[])), reader(Reason::UnknownFormat)),
        row("N31 NONE", attestation("NONE", cbor::map(&[])), reader(Reason::UnknownFormat)),
        row("N31 compound", attestation("compound", cbor::array(&[])), reader(Fault::Type.into())),
        row("N31 safetynet", attestation("android-safetynet", cbor::map(&[])), reader(Reason::UnknownFormat)),
        row("N31 packed without a statement", attestation("packed", cbor::map(&[])), reader(Reason::Statement)),
        row(
            "N31 packed with a statement of no meaning",
            attestation("packed", cbor::map(&[(cbor::text("alg"), cbor::int(-7))])),
            Expect::Library("AttestationStatementSigMissing"),
        ),
        row(
            "N40 nesting",
            attestation("packed", cbor::map(&[(cbor::text("x"), [vec![0x81; 10_000], vec![0]].concat())])),
            reader(Fault::Depth.into()),
        ),
        row("N40 100,000 tags", attestation("none", vec![0xc0; 100_000]), reader(Reason::TooLarge("credential"))),
        row("N40 2^32 bytes", length(0x5b, 1 << 32), reader(Fault::Truncated.into())),
        row("N40 2^62 bytes", length(0x5b, 1 << 62), reader(Fault::Truncated.into())),
        row("N40 2^63 bytes", length(0x5b, 1 << 63), reader(Fault::Truncated.into())),
        row(
            "17 KiB",
            attestation("packed", cbor::map(&[(cbor::text("x"), cbor::bytes(&vec![0; 17 * 1024]))])),
            reader(Reason::TooLarge("attestationObject")),
        ),
    ]);
}

#[test]
fn envelopes() {
    let set = |name: &'static str, value: Value| response(move |answer| answer[name] = value.clone());
    let other_id = || json!(encode(&[9; 32]));
    let rows: [Row; 10] = [
        row("N34 id differs", set("id", other_id()), reader(Reason::IdMismatch)),
        row("N34 rawId differs", set("rawId", other_id()), reader(Reason::IdMismatch)),
        row(
            "N34 both differ from the object",
            response(|answer| {
                answer["id"] = json!(encode(&[9; 32]));
                answer["rawId"] = json!(encode(&[9; 32]));
            }),
            reader(Reason::IdMismatch),
        ),
        row("N34 password", set("type", json!("password")), reader(Reason::CredentialType)),
        row("no type", set("type", Value::Null), reader(Reason::Missing("type"))),
        row("response is text", set("response", json!("x")), reader(Reason::WrongType("response"))),
        row("N43 an assertion's answer", set("response", json!({ "signature": "AA" })), reader(Reason::OtherCeremony)),
        row("N43 a handle", response(|a| a["response"]["userHandle"] = json!("AA")), reader(Reason::OtherCeremony)),
        row(
            "padded object",
            response(|answer| {
                let padded = format!("{}=", answer["response"]["attestationObject"].as_str().unwrap());
                answer["response"]["attestationObject"] = json!(padded);
            }),
            reader(Reason::NotBase64Url("attestationObject")),
        ),
        row("32 KiB and more", set("x", json!("x".repeat(32 * 1024))), reader(Reason::TooLarge("credential"))),
    ];
    Site::new().check_registrations(&rows);
}

/// serde_json's values cannot hold a member twice, so this row edits text.
#[test]
fn repeated_members_of_the_credential() {
    use passmint::ceremony::strict::{Refusal, json};
    let options = json!({ "challenge": "AQID", "rp": { "id": "id.example" }, "user": { "id": "AQID" } });
    let answer = Authenticator::new(ORIGIN).create(&options).to_string();
    let site = Site::new();
    assert!(registration(answer.as_bytes(), &site.expected()).is_ok());
    for (name, member) in
        [("known", r#""id":"x","#), ("unknown", r#""x":1,"x":1,"#), ("inside", r#""x":{"a":1,"a":1},"#)]
    {
        let repeated = format!("{{{member}{}", &answer[1..]);
        let refusal = registration(repeated.as_bytes(), &site.expected()).unwrap_err();
        let fault = json::Fault::Duplicate;
        assert_eq!(refusal, Refusal::Malformed(Reason::Json { member: "credential", fault }), "{name}");
    }
}
