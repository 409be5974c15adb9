//! N14–N22, N32–N36, N39: what a known authenticator must not say, at sign-in, at step-up and for tokens.

use serde_json::{Value, json};

use super::Expect::{Accepted, Hostile, Named};
use super::changes::{appended, auth_data, extensions, inner, outer, response, signature};
use super::{Begun, Row, Which, check, check_all, hostile, row};
use crate::authenticator::{Authenticator, Key, cbor, encode};
use crate::support::{Options, TestApp};

fn bound(app: &TestApp) -> Authenticator {
    Authenticator::new(&app.origin)
}

#[test]
fn genuine() {
    let app = TestApp::spawn();
    check_all(
        &app,
        &Which::SIGN_INS,
        &|| bound(&app),
        &[
            row("unchanged", |_| (), Accepted),
            row("N22 largest counter", |p| p.counter = u32::MAX - 1, Accepted),
            row("N29 extensions", extensions(cbor::map(&[(cbor::text("x"), cbor::bytes(&[7; 80]))])), Accepted),
            row(
                "appid and other claims of the client are not read",
                response(|a| a["clientExtensionResults"] = json!({ "appid": true, "hmac_get_secret": 1 })),
                Accepted,
            ),
        ],
    );
    for make in [Key::es384, Key::rs256] {
        let app = &app;
        let key = || Authenticator::with_key(&app.origin, make());
        check(app, Which::SignIn, &key, &row("another algorithm", |_| (), Accepted));
    }
}

#[test]
fn authenticator_data() {
    let app = TestApp::spawn();
    let rows = [
        row("N14 another site", |p| p.rp_id = Some("evil.example".into()), Hostile("another RP id")),
        row("N15 UP=0", |p| p.user_present = false, Hostile("the user was not present")),
        row("N15 UV=0", |p| p.user_verified = false, Named(400, "user_verification_missing")),
        row("N16 AT=1", |p| p.extra_flags = 0x40, Hostile("attested credential data")),
        row("N16 reserved bit 1", |p| p.extra_flags = 0x02, Hostile("a reserved flag")),
        row("N16 reserved bit 5", |p| p.extra_flags = 0x20, Hostile("a reserved flag")),
        row("N17 BE=0 with BS=1", |p| p.backup_eligible = false, Hostile("backup state without")),
        row(
            "N17 BE 1 to 0",
            |p| (p.backup_eligible, p.backup_state) = (false, false),
            Hostile("CredentialBackupEligibilityInconsistent"),
        ),
        row("N27 3 bytes more", auth_data(|d| appended(d, &[1, 2, 3])), Hostile("trailing bytes")),
        row("N27 extensions with ED=0", auth_data(|d| appended(d, &[0xa0])), Hostile("trailing bytes")),
        row("N28 ED=1 without bytes", |p| p.extra_flags = 0x80, Hostile("CBOR: truncated")),
        row("N28 extensions are a list", extensions(vec![0x80]), Hostile("CBOR: an item of the wrong type")),
        row("N26 one byte short", auth_data(|d| d[..d.len() - 1].to_vec()), Hostile("too short")),
        row("N26 nothing", auth_data(|_| vec![]), Hostile("authenticatorData is empty")),
    ];
    check_all(&app, &Which::SIGN_INS, &|| app.passkey(), &rows);
    // N18: eligible for backup only after registration. Refused unless the operator allows it.
    let eligible = |p: &mut Authenticator| p.backup_eligible = true;
    let backed_up = |p: &mut Authenticator| (p.backup_eligible, p.backup_state) = (true, true);
    let rows = [
        row("N18 BE 0 to 1", eligible, Hostile("the passkey became backup eligible")),
        row("N18 BE and BS 0 to 1", backed_up, Hostile("the passkey became backup eligible")),
    ];
    check_all(&app, &Which::SIGN_INS, &|| bound(&app), &rows);
    let lenient = Options { settings: &[("passkeys.allow_backup_upgrade", "true")], ..Options::default() };
    let lenient = TestApp::with(&lenient);
    check_all(&lenient, &[Which::SignIn], &|| bound(&lenient), &[row("N18 allowed", eligible, Accepted)]);
    assert_eq!(lenient.count("SELECT count(*) AS n FROM credentials WHERE backup_eligible"), 1, "and stored");
}

/// N19: the backup state of a synchronised passkey may change either way, and is stored.
#[test]
fn backup_state_is_followed() {
    let app = TestApp::spawn();
    let (_, mut passkey) = app.person();
    for backed_up in [false, true, false] {
        passkey.backup_state = backed_up;
        let mut browser = app.browser();
        browser.sign_in(&mut passkey).expect(200);
        let listed = browser.get("/v1/passkeys").expect(200).json();
        assert_eq!(listed["passkeys"][0]["backedUp"], backed_up);
        assert_eq!(listed["passkeys"][0]["deviceType"], "multiDevice");
    }
}

/// N20: a counter that does not rise indicates a copy. The passkey is suspended and its counter kept.
#[test]
fn counters_that_do_not_rise() {
    let app = TestApp::spawn();
    let at_five = || Authenticator { counter: 5, ..bound(&app) };
    let rows = [
        row("5 to 6", |_| (), Accepted),
        row("N20 5 to 5", |p| p.counter = 4, Hostile("the counter did not rise")),
        row("N20 5 to 4", |p| p.counter = 3, Hostile("the counter did not rise")),
        row("N20 5 to 0", |p| p.counter = u32::MAX, Hostile("the counter did not rise")),
    ];
    check_all(&app, &Which::SIGN_INS, &at_five, &rows);
    assert_eq!(app.events("passkey.clone_suspected"), 9);
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials WHERE suspended_at IS NOT NULL AND sign_count = 5"), 9);
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials WHERE suspended_at IS NOT NULL"), 9);
}

/// N22: 32 unsigned bits, including the largest value.
#[test]
fn the_largest_counter() {
    let app = TestApp::spawn();
    let stored = |app: &TestApp| app.count("SELECT max(sign_count) AS n FROM credentials");
    let mut passkey = Authenticator { counter_step: 0, ..bound(&app) };
    app.browser().sign_up(&mut passkey);
    app.browser().sign_in(&mut passkey).expect(200);
    assert_eq!(stored(&app), 0, "0 after 0: it counts nothing");
    passkey.counter_step = 1;
    app.browser().sign_in(&mut passkey).expect(200);
    assert_eq!(stored(&app), 1, "1 after 0");
    passkey.counter = u32::MAX - 1;
    app.browser().sign_in(&mut passkey).expect(200);
    assert_eq!(stored(&app), i64::from(u32::MAX));
    let refused = app.browser().sign_in(&mut passkey);
    assert_eq!(passkey.counter, 0);
    hostile(&app, "N22 2^32-1 to 0", &refused, "the counter did not rise");
    assert_eq!(stored(&app), i64::from(u32::MAX));
}

/// A synchronised passkey may count irregularly; what happens then is the operator's choice.
#[test]
fn synced_counters_by_policy() {
    for (policy, lets_in, suspended) in [("warn", true, 0), ("ignore", true, 0), ("strict", false, 1)] {
        let settings = [("passkeys.synced_counter", policy)];
        let app = TestApp::with(&Options { settings: &settings, ..Options::default() });
        let mut passkey = app.passkey();
        passkey.counter = 5;
        app.browser().sign_up(&mut passkey);
        passkey.counter = 3;
        let reply = app.browser().sign_in(&mut passkey);
        assert_eq!(reply.status == 200, lets_in, "{policy}: {}", reply.body);
        assert_eq!(app.count("SELECT count(*) AS n FROM credentials WHERE suspended_at IS NOT NULL"), suspended);
        let warned = "SELECT count(*) AS n FROM audit_events WHERE detail ? 'counterWentBack'";
        assert_eq!(app.count(warned), i64::from(policy == "warn"), "{policy}");
        assert_eq!(app.count("SELECT sign_count AS n FROM credentials"), 5, "{policy}: it never decreases");
    }
}

#[test]
fn signatures() {
    /// r and s of a DER signature concatenated, as in JOSE.
    fn raw(der: &[u8]) -> Vec<u8> {
        let integer = |at: usize| &der[at + 2..at + 2 + usize::from(der[at + 1])];
        let r = integer(2);
        let s = integer(4 + r.len());
        [r, s].iter().flat_map(|n| [&[0; 32], *n].concat()[n.len()..].to_vec()).collect()
    }
    let flipped = |mut signature: Vec<u8>| {
        *signature.last_mut().unwrap() ^= 1;
        signature
    };
    let app = TestApp::spawn();
    check_all(
        &app,
        &Which::SIGN_INS,
        &|| app.passkey(),
        &[
            row("N39 a bit", signature(flipped), Hostile("AuthenticationFailure")),
            row("N39 r and s", signature(|s| raw(&s)), Hostile("SignatureInvalid")),
            row("N39 a byte more", signature(|s| appended(s, &[0])), Hostile("SignatureInvalid")),
            row("N39 nothing", signature(|_| vec![]), Hostile("signature is empty")),
            row("1,025 bytes", signature(|_| vec![0; 1025]), Hostile("signature is larger")),
            row("another key", |p| p.key = Key::es256(), Hostile("AuthenticationFailure")),
            row(
                "user verification set after signing",
                |p| {
                    p.user_verified = false;
                    p.hooks.response = Some(Box::new(|answer| {
                        let mut data = crate::authenticator::decode(&answer["response"]["authenticatorData"]);
                        data[32] |= 0x04;
                        answer["response"]["authenticatorData"] = json!(encode(&data));
                    }));
                },
                Hostile("AuthenticationFailure"),
            ),
        ],
    );
}

fn envelopes() -> Vec<Row> {
    vec![
        row("N34 id differs", outer("id", json!(encode(&[9; 32]))), Hostile("credential ids of the message differ")),
        row("N34 rawId differs", outer("rawId", json!(encode(&[9; 32]))), Hostile("credential ids of the message")),
        row("N34 password", outer("type", json!("password")), Hostile("not of type public-key")),
        row("N32 id of 15 bytes", |p| p.credential_id = vec![9; 15], Hostile("credential id has a length")),
        row("N32 id of 1,024 bytes", |p| p.credential_id = vec![9; 1024], Hostile("credential id has a length")),
        row("N36 65-byte handle", |p| p.user_handle = Some(vec![7; 65]), Hostile("userHandle is larger")),
        row("N36 handle of nobody", |p| p.user_handle = Some(vec![7; 16]), Hostile("another user handle")),
        row("N36 handle is a number", inner("userHandle", json!(7)), Hostile("userHandle has another type")),
        row("N36 padded handle", inner("userHandle", json!("AQ==")), Hostile("userHandle is not canonical")),
        row("N43 an attestation object", inner("attestationObject", json!("oA")), Hostile("the other ceremony")),
        row("no signature", inner("signature", Value::Null), Hostile("signature is missing")),
    ]
}

#[test]
fn envelopes_and_handles() {
    let app = TestApp::spawn();
    check_all(&app, &Which::SIGN_INS, &|| app.passkey(), &envelopes());
    let without = |expect: fn() -> super::Expect| {
        vec![
            row("N36 no handle", |p: &mut Authenticator| p.user_handle = None, expect()),
            row("N36 empty handle", |p: &mut Authenticator| p.user_handle = Some(vec![]), expect()),
        ]
    };
    check_all(&app, &[Which::SignIn, Which::Tokens], &|| app.passkey(), &without(|| Hostile("handle is missing")));
    // For a known person the handle adds nothing: security keys omit it, and Safari then writes an empty one.
    check_all(&app, &[Which::StepUp], &|| app.passkey(), &without(|| Accepted));
}

/// N36: A's handle with B's credential, and the reverse; nobody is signed in as either.
#[test]
fn handle_of_one_and_credential_of_another() {
    let app = TestApp::spawn();
    let ((_, mut alice), (_, mut bob)) = (app.person(), app.person());
    std::mem::swap(&mut alice.user_handle, &mut bob.user_handle);
    for passkey in [&mut alice, &mut bob] {
        hostile(&app, "N36", &app.browser().sign_in(passkey), "another user handle");
        hostile(&app, "N36", &app.client("web").sign_in(passkey, "openid"), "another user handle");
    }
    std::mem::swap(&mut alice.user_handle, &mut bob.user_handle);
    app.browser().sign_in(&mut alice).expect(200);
}

/// N35: B's passkey in A's ceremonies, where A was named first. B's signature is valid, but B is not A.
#[test]
fn the_passkey_of_another_person() {
    let app = TestApp::spawn();
    let (mut browser, mut alices, mut bobs) = (app.browser(), app.passkey(), app.passkey());
    let begun = browser.begin_registration(&json!({ "purpose": "sign-up", "email": "alice@example.test" }));
    let credential = alices.create(&begun["publicKey"]);
    browser.finish_registration(&begun, &credential).expect(200);
    app.browser().sign_up(&mut bobs);

    let mut stranger = app.browser();
    let begun = stranger.begin_sign_in(&json!({ "email": "alice@example.test" }));
    let credential = bobs.get_uninvited(&begun["publicKey"]);
    hostile(&app, "N35 by e-mail", &stranger.finish_sign_in(&begun, &credential), "was not offered");
    stranger.finish_sign_in(&begun, &alices.get(&begun["publicKey"])).expect_problem(410, "ceremony_expired_or_used");

    let begun = browser.begin_sign_in(&json!({ "purpose": "step-up" }));
    let credential = bobs.get_uninvited(&begun["publicKey"]);
    hostile(&app, "N35 step-up", &browser.finish_sign_in(&begun, &credential), "was not offered");
}

/// If the answer is otherwise valid, an unregistered passkey is reported as such, so that it can be removed.
#[test]
fn an_unknown_passkey_is_told_how_to_go() {
    let app = TestApp::spawn();
    for which in [Which::SignIn, Which::Tokens] {
        let strange = row("unknown", |p| p.credential_id = vec![9; 32], Named(404, "passkey_unknown"));
        check(&app, which, &|| app.passkey(), &strange);
        // The challenge is checked first: whoever cannot answer it learns nothing about what is stored.
        let stale = row(
            "unknown, another challenge",
            |p| {
                p.credential_id = vec![9; 32];
                super::changes::challenge(|c| format!("{}{}", if c.starts_with('A') { 'B' } else { 'A' }, &c[1..]))(p);
            },
            Hostile("another challenge"),
        );
        check(&app, which, &|| app.passkey(), &stale);
    }
    let mut begun = Begun::new(&app, Which::SignIn, app.passkey());
    begun.passkey.credential_id = vec![9; 32];
    let answer = begun.answer();
    let told = begun.send(&answer).expect_problem(404, "passkey_unknown").json();
    assert_eq!(told["signalUnknown"], json!({ "rpId": "localhost", "credentialId": encode(&[9; 32]) }));
}
