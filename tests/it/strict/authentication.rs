//! Rows about assertions.

use passmint::ceremony::strict::Reason;
use passmint::ceremony::strict::cbor::Fault;
use serde_json::{Value, json};

use super::{Expect, ORIGIN, Site, row};
use crate::authenticator::{Authenticator, Key, cbor, encode};

fn signature(change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + Clone + 'static) -> impl Fn(&mut Authenticator) {
    move |passkey| {
        let change = change.clone();
        passkey.hooks.signature = Some(Box::new(change));
    }
}

fn response(change: impl Fn(&mut Value) + Send + Sync + Clone + 'static) -> impl Fn(&mut Authenticator) {
    move |passkey| {
        let change = change.clone();
        passkey.hooks.response = Some(Box::new(change));
    }
}

fn reader(reason: Reason) -> Expect {
    Expect::Reader(reason)
}

fn device_bound() -> Authenticator {
    Authenticator::new(ORIGIN)
}

fn synchronised() -> Authenticator {
    Authenticator::synchronised(ORIGIN)
}

#[test]
fn genuine() {
    let site = Site::new();
    site.check_sign_ins(
        device_bound,
        &[
            row("unchanged", |_| (), Expect::Accepted),
            row("N22 largest counter", |p| p.counter = u32::MAX - 1, Expect::Accepted),
            row("N36 no handle", |p| p.user_handle = None, Expect::Accepted),
            row("N36 empty handle", |p| p.user_handle = Some(vec![]), Expect::Accepted),
            row("N36 longest handle", |p| p.user_handle = Some(vec![7; 64]), Expect::Accepted),
            row(
                "N29 extensions",
                |p| p.extensions = Some(cbor::map(&[(cbor::text("hmac-secret"), cbor::bytes(&[7; 80]))])),
                Expect::Accepted,
            ),
            row(
                "appid and other claims of the client are not read",
                response(|a| a["clientExtensionResults"] = json!({ "appid": true, "hmac_get_secret": 1 })),
                Expect::Accepted,
            ),
        ],
    );
    site.check_sign_ins(
        synchronised,
        &[
            row("N19 BS 1 to 0", |p| p.backup_state = false, Expect::Accepted),
            row("N22 counter 0 to 0", |_| (), Expect::Accepted),
            row("N22 counter 0 to 1", |p| p.counter_step = 1, Expect::Accepted),
        ],
    );
    let eligible = || Authenticator { backup_state: false, ..synchronised() };
    site.check_sign_ins(eligible, &[row("N19 BS 0 to 1", |p| p.backup_state = true, Expect::Accepted)]);
    site.check_sign_ins(|| Authenticator::with_key(ORIGIN, Key::es384()), &[row("ES384", |_| (), Expect::Accepted)]);
    site.check_sign_ins(|| Authenticator::with_key(ORIGIN, Key::rs256()), &[row("RS256", |_| (), Expect::Accepted)]);
}

#[test]
fn what_is_read() {
    let site = Site::new();
    let mut passkey = device_bound();
    let (_, credential) = site.register(&mut passkey).accepted();
    let (read, result) = site.sign_in(&mut passkey, &credential).accepted();
    assert_eq!(read.credential_id, passkey.credential_id);
    assert_eq!(read.user_handle.as_deref(), Some(&[1; 16][..]));
    assert_eq!((read.sign_count, result.counter()), (1, 1));
    assert_eq!(
        (read.origin.as_str(), read.challenge.len(), read.attachment.as_deref()),
        (ORIGIN, 32, Some("platform"))
    );
    assert!(read.flags.user_verified && !read.flags.attested && !read.flags.backup_eligible);

    passkey.attachment = Some("something new");
    // Safari writes an empty handle for a security key that stores none.
    for handle in [None, Some(vec![])] {
        passkey.user_handle = handle;
        let (read, _) = site.sign_in(&mut passkey, &credential).accepted();
        assert_eq!((read.user_handle, read.attachment), (None, None));
    }
}

#[test]
fn authenticator_data() {
    let trailing = |tail: &'static [u8]| {
        move |passkey: &mut Authenticator| {
            passkey.hooks.auth_data = Some(Box::new(move |data| [data.as_slice(), tail].concat()));
        }
    };
    let site = Site::new();
    site.check_sign_ins(
        device_bound,
        &[
            row("N14 another site", |p| p.rp_id = Some("evil.example".into()), Expect::Library("InvalidRPIDHash")),
            row("N14 parent domain", |p| p.rp_id = Some("example".into()), Expect::Library("InvalidRPIDHash")),
            row("N15 UP=0", |p| p.user_present = false, reader(Reason::UserNotPresent)),
            row("N15 UV=0", |p| p.user_verified = false, Expect::Library("UserNotVerified")),
            row("N16 AT=1", |p| p.extra_flags = 0x40, reader(Reason::AttestedData)),
            row("N16 reserved bit 1", |p| p.extra_flags = 0x02, reader(Reason::ReservedFlags)),
            row("N16 reserved bit 5", |p| p.extra_flags = 0x20, reader(Reason::ReservedFlags)),
            row("N17 BS without BE", |p| p.backup_state = true, reader(Reason::BackupState)),
            row(
                "N18 BE 0 to 1",
                |p| p.backup_eligible = true,
                Expect::Library("CredentialBackupEligibilityInconsistent"),
            ),
            row("N27 3 bytes more", trailing(&[1, 2, 3]), reader(Reason::AuthDataTrailing)),
            row("N27 9 kB more", trailing(&[0; 9000]), reader(Reason::TooLarge("authenticatorData"))),
            row("N27 extensions with ED=0", trailing(&[0xa0]), reader(Reason::AuthDataTrailing)),
            row("N28 ED=1 without bytes", |p| p.extra_flags = 0x80, reader(Fault::Truncated.into())),
            row("N28 extensions are a list", |p| p.extensions = Some(vec![0x80]), reader(Fault::Type.into())),
            row("N28 an empty message", |p| p.hooks.auth_data = Some(Box::new(|_| vec![])), {
                reader(Reason::Empty("authenticatorData"))
            }),
        ],
    );
    site.check_sign_ins(
        synchronised,
        &[row(
            "N17 BE 1 to 0",
            |p| (p.backup_eligible, p.backup_state) = (false, false),
            Expect::Library("CredentialBackupEligibilityInconsistent"),
        )],
    );
}

/// N20 and N22: the library compares with the credential it is given; the caller gives it the stored counter.
#[test]
fn counters() {
    let at_five = || Authenticator { counter: 5, counter_step: 0, ..device_bound() };
    Site::new().check_sign_ins(
        at_five,
        &[
            row("N20 5 to 5", |_| (), Expect::Library("CredentialPossibleCompromise")),
            row("N20 5 to 4", |p| p.counter = 4, Expect::Library("CredentialPossibleCompromise")),
            row("N20 5 to 0", |p| p.counter = 0, Expect::Library("CredentialPossibleCompromise")),
            row("5 to 6", |p| p.counter = 6, Expect::Accepted),
        ],
    );
    let at_the_end = || Authenticator { counter: u32::MAX, ..device_bound() };
    Site::new()
        .check_sign_ins(at_the_end, &[row("N22 2^32-1 to 0", |_| (), Expect::Library("CredentialPossibleCompromise"))]);
}

#[test]
fn signatures() {
    /// r and s of a DER signature concatenated, as in JOSE.
    fn raw(der: Vec<u8>) -> Vec<u8> {
        let integer = |at: usize| &der[at + 2..at + 2 + usize::from(der[at + 1])];
        let r = integer(2);
        let s = integer(4 + r.len());
        [r, s].iter().flat_map(|n| [&[0; 32], *n].concat()[n.len()..].to_vec()).collect()
    }
    let flipped = |mut signature: Vec<u8>| {
        *signature.last_mut().unwrap() ^= 1;
        signature
    };
    Site::new().check_sign_ins(
        device_bound,
        &[
            row("N39 a bit", signature(flipped), Expect::Library("AuthenticationFailure")),
            row("N39 r and s", signature(raw), Expect::Library("SignatureInvalid")),
            row("N39 a byte more", signature(|s| [s, vec![0]].concat()), Expect::Library("SignatureInvalid")),
            row("N39 nothing", signature(|_| vec![]), reader(Reason::Empty("signature"))),
            row("1,025 bytes", signature(|_| vec![0; 1025]), reader(Reason::TooLarge("signature"))),
            row("another key", |p| p.key = Key::es256(), Expect::Library("AuthenticationFailure")),
        ],
    );
}

#[test]
fn envelopes() {
    let set = |name: &'static str, value: Value| response(move |answer| answer[name] = value.clone());
    let member = |name: &'static str, value: Value| response(move |a| a["response"][name] = value.clone());
    Site::new().check_sign_ins(
        device_bound,
        &[
            row("N34 id differs", set("id", json!(encode(&[9; 32]))), reader(Reason::IdMismatch)),
            row("N34 another credential", |p| p.credential_id = vec![9; 32], Expect::Library("CredentialNotFound")),
            row("N34 password", set("type", json!("password")), reader(Reason::CredentialType)),
            row("N32 id of 15 bytes", |p| p.credential_id = vec![9; 15], reader(Reason::CredentialIdLength)),
            row("N32 id of 1,024 bytes", |p| p.credential_id = vec![9; 1024], reader(Reason::CredentialIdLength)),
            row("N36 65-byte handle", |p| p.user_handle = Some(vec![7; 65]), reader(Reason::TooLarge("userHandle"))),
            row("N36 handle is a number", member("userHandle", json!(7)), reader(Reason::WrongType("userHandle"))),
            row("N36 padded handle", member("userHandle", json!("AQ==")), reader(Reason::NotBase64Url("userHandle"))),
            row("N43 a registration's answer", member("attestationObject", json!("oA")), reader(Reason::OtherCeremony)),
            row("no signature", member("signature", Value::Null), reader(Reason::Missing("signature"))),
        ],
    );
}
