//! N14–N17, N22–N34, N44: what a new authenticator must not say, at sign-up and when a passkey is added.

use serde_json::{Value, json};

use super::Expect::{Accepted, Hostile, Named};
use super::changes::{
    appended, attestation, attestation_object, auth_data, extensions, id_of, inner, outer, public_key, response,
};
use super::{Begun, HOSTILE, Row, Traces, Which, check_all, row};
use crate::authenticator::{Authenticator, Key, cbor, cose_rsa, decode, encode};
use crate::support::TestApp;

fn extension(name: &str, value: Vec<u8>) -> Vec<u8> {
    cbor::map(&[(cbor::text(name), value)])
}

fn check(rows: &[Row]) {
    let app = TestApp::spawn();
    check_all(&app, &Which::REGISTRATIONS, &|| app.passkey(), rows);
}

#[test]
fn genuine() {
    let hundred: Vec<_> = (0..100).map(|n| (cbor::text(&format!("x{n}")), cbor::bool(true))).collect();
    check(&[
        row("ES384", |p| p.key = Key::es384(), Accepted),
        row("RS256", |p| p.key = Key::rs256(), Accepted),
        row("device-bound", |p| (p.backup_eligible, p.backup_state) = (false, false), Accepted),
        row("N22 largest counter", |p| p.counter = u32::MAX, Accepted),
        row("N29 unsolicited", extensions(extension("minPinLength", cbor::int(4))), Accepted),
        row("N29 100 extensions", extensions(cbor::map(&hundred)), Accepted),
        row("N29 an extension of 7 KiB", extensions(extension("x", cbor::bytes(&[7; 7 * 1024]))), Accepted),
        row("N32 shortest id", id_of(16), Accepted),
        row("N32 longest id", id_of(1023), Accepted),
    ]);
}

/// N44: the members that repeat the attestation object are not read; what the object says is stored.
#[test]
fn members_that_contradict_the_object_are_not_read() {
    let app = TestApp::spawn();
    for which in Which::REGISTRATIONS {
        let mut begun = Begun::new(&app, which, app.passkey());
        let contradict = response(|answer| {
            answer["response"]["publicKey"] = json!(encode(&Key::es256().cose()));
            answer["response"]["publicKeyAlgorithm"] = json!(-257);
            answer["response"]["authenticatorData"] = json!(encode(&[0; 37]));
        });
        contradict(&mut begun.passkey);
        let answer = begun.answer();
        begun.send(&answer).expect(200);
        begun.passkey.hooks = crate::authenticator::Hooks::default();
        app.browser().sign_in(&mut begun.passkey).expect(200);
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials WHERE algorithm <> -7"), 0);
}

#[test]
fn authenticator_data() {
    let trailing = Hostile("authenticator data have trailing bytes");
    let length = Hostile("credential id has a length");
    check(&[
        row("N14 another site", |p| p.rp_id = Some("evil.example".into()), Hostile("InvalidRPIDHash")),
        row("N14 another name of this machine", |p| p.rp_id = Some("127.0.0.1".into()), Hostile("InvalidRPIDHash")),
        row("N15 UP=0", |p| p.user_present = false, Hostile("the user was not present")),
        row("N15 UV=0", |p| p.user_verified = false, Named(400, "user_verification_missing")),
        row("N15 AT=0", |p| p.cleared_flags = 0x40, Hostile("attested credential data")),
        row("N16 reserved bit 1", |p| p.extra_flags = 0x02, Hostile("a reserved flag")),
        row("N16 reserved bit 5", |p| p.extra_flags = 0x20, Hostile("a reserved flag")),
        row("N17 BS without BE", |p| p.backup_eligible = false, Hostile("backup state without")),
        row("N27 3 bytes more", auth_data(|d| appended(d, &[1, 2, 3])), trailing),
        row("N27 9 kB more", auth_data(|d| appended(d, &[0; 9000])), Hostile("authData is larger")),
        row("N27 extensions with ED=0", auth_data(|d| appended(d, &[0xa0])), trailing),
        row("N28 ED=1 without bytes", |p| p.extra_flags = 0x80, Hostile("CBOR: truncated")),
        row("N28 extensions are a list", extensions(cbor::array(&[])), Hostile("CBOR: an item of the wrong type")),
        row("N29 credProtect out of range", extensions(extension("credProtect", cbor::int(4))), Hostile("extension")),
        row("N32 id of 0 bytes", id_of(0), Hostile("rawId is empty")),
        row("N32 id of 1 byte", id_of(1), length),
        row("N32 id of 15 bytes", id_of(15), length),
        row("N32 id of 1,024 bytes", id_of(1024), length),
        row("N32 id of 4,096 bytes", id_of(4096), length),
        row("N33 id of 4,097 bytes", id_of(4097), length),
        row("N33 id of 65,535 bytes announced", announced(u16::MAX), length),
        row("N33 id of 1,000 bytes announced", announced(1000), Hostile("authenticator data are too short")),
    ]);
}

/// Sets the length field of the credential id, which does not change with the id.
fn announced(length: u16) -> impl Fn(&mut Authenticator) {
    auth_data(move |mut data| {
        data[53..55].copy_from_slice(&length.to_be_bytes());
        data
    })
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
    let (mismatch, algorithm) = (Hostile("type or curve does not fit"), Hostile("algorithm is not offered"));
    let (modulus, exponent) = (Hostile("RSA modulus"), Hostile("RSA exponent"));
    // An ES256 key is: a5, 01 02 (type), 03 26 (algorithm), 20 01 (curve), 21 5820 x, 22 5820 y.
    check(&[
        row("N23 EdDSA", at(4, &[0x27]), algorithm),
        row("N23 ES256K", public_key(|k| [&k[..4], &[0x38, 46], &k[5..]].concat()), algorithm),
        row("N23 labelled RSA", at(2, &[3]), mismatch),
        row("N23 labelled RS256", public_key(|k| [&k[..4], &[0x39, 1, 0], &k[5..]].concat()), mismatch),
        row("N23 P-384", at(6, &[2]), mismatch),
        row("N23 short y", public_key(|k| [&k[..44], &[0x1f], &k[46..]].concat()), Hostile("coordinate")),
        row("N23 point off the curve", at(45, &[0; 32]), Hostile("EcdsaPointInvalid")),
        row("N24 ES384 on P-256", public_key(|k| [&k[..4], &[0x38, 34], &k[5..]].concat()), mismatch),
        row(
            "N24 two algorithms",
            public_key(|k| [&[0xa6, 1, 2, 3, 0x26, 3, 0x27], &k[5..]].concat()),
            Hostile("CBOR: a key is repeated"),
        ),
        row("N24 long integer", public_key(|k| [&k[..1], &[0x18, 1], &k[2..]].concat()), Hostile("shortest form")),
        row("N25 1,024 bits", rsa(128, &[1, 0, 1]), modulus),
        row("N25 4,096 bits", rsa(512, &[1, 0, 1]), modulus),
        row("N25 e=1", rsa(256, &[1]), exponent),
        row("N25 e=3", rsa(256, &[3]), exponent),
        row("N25 e even", rsa(256, &[1, 0, 0]), exponent),
    ]);
}

#[test]
fn attestation_objects() {
    let length = |length: u64| {
        attestation_object(move |object| {
            // Everything before the byte string of `authData`, then a string that announces too great a length.
            let at = object.windows(8).position(|window| window == b"authData").unwrap() + 8;
            [&object[..at], &[0x5b], &length.to_be_bytes(), &object[at + 2..]].concat()
        })
    };
    let (format, truncated) = (Hostile("attestation format"), Hostile("CBOR: truncated"));
    let statement = Hostile("statement does not fit its format");
    check(&[
        row("N28 a byte after", attestation_object(|o| appended(o, &[0])), Hostile("CBOR: trailing")),
        row("N30 none with a statement", attestation("none", extension("x", cbor::int(1))), statement),
        row("N30 none with a list", attestation("none", cbor::array(&[])), Hostile("wrong type")),
        row(
            "N30 unknown member",
            attestation_object(|o| appended([&[0xa4], &o[1..]].concat(), &[0x61, b'x', 0])),
            Hostile("unknown member"),
        ),
        row(
            "N30 indefinite length",
            attestation_object(|o| appended([&[0xbf], &o[1..]].concat(), &[0xff])),
            Hostile("CBOR: indefinite length"),
        ),
        row("N31 unknown format", attestation("other", cbor::map(&[])), format),
        row("N31 NONE", attestation("NONE", cbor::map(&[])), format),
        row("N31 compound", attestation("compound", cbor::array(&[])), Hostile("wrong type")),
        row("N31 safetynet", attestation("android-safetynet", cbor::map(&[])), format),
        row("N31 packed without a statement", attestation("packed", cbor::map(&[])), statement),
        row(
            "N31 packed with a statement of no meaning",
            attestation("packed", extension("alg", cbor::int(-7))),
            Hostile("AttestationStatementSigMissing"),
        ),
        row(
            "N40 nesting",
            attestation("packed", extension("x", [vec![0x81; 10_000], vec![0]].concat())),
            Hostile("CBOR: nested too deeply"),
        ),
        row("N40 2^32 bytes", length(1 << 32), truncated),
        row("N40 2^62 bytes", length(1 << 62), truncated),
        row("N40 2^63 bytes", length(1 << 63), truncated),
        row(
            "17 KiB",
            attestation("packed", extension("x", cbor::bytes(&vec![0; 17 * 1024]))),
            Hostile("attestationObject is larger"),
        ),
    ]);
}

/// N26, a sample of what `tests/it/strict` tests completely: no truncation is accepted, and no flipped bit does harm.
/// Under `none` a bit of AAGUID, counter, id or key is not signed, so some are accepted with their new meaning.
#[test]
fn truncations_and_flipped_bits() {
    let app = TestApp::spawn();
    let mut genuine = Begun::new(&app, Which::SignUp, app.passkey());
    let object = decode(&genuine.answer()["response"]["attestationObject"]);
    for length in (0..object.len()).step_by(7) {
        let cut = move |object: Vec<u8>| object[..length].to_vec();
        refused_without_trace(&app, &format!("{length} bytes"), attestation_object(cut));
    }
    // The first 48 bytes are the map's header, `fmt`, `attStmt`, the name `authData` and the beginning of the RP id
    // hash.
    for bit in (0..48 * 8).step_by(11) {
        let flip = move |mut object: Vec<u8>| {
            object[bit / 8] ^= 1 << (bit % 8);
            object
        };
        refused_without_trace(&app, &format!("bit {bit}"), attestation_object(flip));
    }
}

fn refused_without_trace(app: &TestApp, name: &str, change: impl Fn(&mut Authenticator)) {
    let mut begun = Begun::new(app, Which::SignUp, app.passkey());
    change(&mut begun.passkey);
    let (answer, before) = (begun.answer(), Traces::of(app));
    assert_eq!(begun.send(&answer).body, HOSTILE, "{name}");
    assert_eq!(Traces::of(app), Traces { refusals: before.refusals + 1, ..before }, "{name}");
}

#[test]
fn envelopes() {
    let other_id = || json!(encode(&[9; 32]));
    check(&[
        row("N34 id differs", outer("id", other_id()), Hostile("credential ids of the message differ")),
        row("N34 rawId differs", outer("rawId", other_id()), Hostile("credential ids of the message differ")),
        row(
            "N34 both differ from the object",
            response(|answer| {
                answer["id"] = json!(encode(&[9; 32]));
                answer["rawId"] = json!(encode(&[9; 32]));
            }),
            Hostile("credential ids of the message differ"),
        ),
        row("N34 password", outer("type", json!("password")), Hostile("not of type public-key")),
        row("no type", outer("type", Value::Null), Hostile("type is missing")),
        row("response is text", outer("response", json!("x")), Hostile("response has another type")),
        row("N43 a signature", inner("signature", json!("AA")), Hostile("belongs to the other ceremony")),
        row("N43 a handle", inner("userHandle", json!("AA")), Hostile("belongs to the other ceremony")),
        row(
            "padded object",
            response(|answer| {
                let padded = format!("{}=", answer["response"]["attestationObject"].as_str().unwrap());
                answer["response"]["attestationObject"] = json!(padded);
            }),
            Hostile("attestationObject is not canonical base64url"),
        ),
    ]);
}

/// N37: nobody takes over a passkey by registering its id and public key, neither of which is secret.
#[test]
fn a_registered_passkey_is_never_replaced() {
    let app = TestApp::spawn();
    let (_, mut victims) = app.person();
    let owner = app.browser().sign_in(&mut victims).expect(200).json()["user"]["id"].clone();
    let (id, key) = (victims.credential_id.clone(), victims.key.cose());
    for which in Which::REGISTRATIONS {
        let (id, key) = (id.clone(), key.clone());
        let take = move |passkey: &mut Authenticator| {
            passkey.credential_id.clone_from(&id);
            let key = key.clone();
            passkey.hooks.public_key = Some(Box::new(move |_| key.clone()));
        };
        super::check(&app, which, &|| app.passkey(), &row("N37", take, Named(409, "credential_exists")));
    }
    // The owner's own second registration gets the same response.
    let mut browser = app.browser();
    browser.sign_in(&mut victims).expect(200);
    let handle = victims.user_handle.clone();
    let begun = browser.begin_registration(&json!({ "purpose": "add" }));
    let again = victims.create(&begun["publicKey"]);
    assert_eq!(victims.user_handle, handle, "one handle for all passkeys of a person");
    browser.finish_registration(&begun, &again).expect_problem(409, "credential_exists");
    assert_eq!(app.browser().sign_in(&mut victims).expect(200).json()["user"]["id"], owner);
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 2, "the victim's and the second attacker's first");
}
