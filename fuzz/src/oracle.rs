//! What must hold for every input: the strict reader never panics, and **the library reads what it accepts the same
//! way**.
//!
//! The fuzz targets and an ordinary test share this file by `#[path]`. Each function panics if the property fails, and
//! returns whether the input was accepted, so that a run which accepts nothing is noticed.
//!
//! The first byte of an input chooses what the rest replaces: 0 the whole JSON, 1 the client data, 2 the attestation
//! object or the authenticator data, 3 the authenticator data inside a valid attestation object.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use passmint::ceremony::strict::{self, Expected, Flags};
use serde_json::{Value, json};
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::internals::AuthenticatorData;
use webauthn_rs_core::proto::{Authentication, CollectedClientData, RegistrationState};

/// The origin that the seeds were created for.
pub const ORIGIN: &str = "https://id.example";
/// Its RP id.
pub const RP_ID: &str = "id.example";
/// The challenge in the wrapper's client data, 32 bytes.
const CHALLENGE: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";

/// Feeds one input to [`strict::registration`]; returns whether it was accepted.
pub fn registration(input: &[u8]) -> bool {
    let json = message(input, "webauthn.create", |body| {
        let object = match body {
            Body::Main(object) => object.to_vec(),
            Body::AuthData(data) => none_object(data),
        };
        let id = object_credential_id(&object);
        (id, json!({ "attestationObject": URL_SAFE_NO_PAD.encode(object) }))
    });
    let origins = [ORIGIN.to_owned()];
    let Ok(accepted) = strict::registration(&json, &Expected { origins: &origins }) else { return false };
    let response = &accepted.credential.response;
    same_client_data(&response.client_data_json, "webauthn.create", &accepted.challenge, &accepted.origin);
    assert_eq!(accepted.credential.raw_id, accepted.credential_id);

    match library().register_credential(&accepted.credential, &registration_state(&accepted.challenge), None) {
        Ok(credential) => {
            assert_eq!(credential.cred_id.as_slice(), accepted.credential_id);
            assert_eq!(credential.counter, accepted.sign_count);
            assert_eq!(credential.user_verified, accepted.flags.user_verified);
            assert_eq!(credential.backup_eligible, accepted.flags.backup_eligible);
            assert_eq!(credential.backup_state, accepted.flags.backup_state);
            assert_eq!(i64::from(credential.cred.type_ as i32), accepted.algorithm);
        }
        Err(error) => assert!(is_a_verdict(&error), "the library cannot read what was accepted: {error:?}"),
    }
    true
}

/// Feeds one input to [`strict::authentication`]; returns whether it was accepted.
pub fn assertion(input: &[u8]) -> bool {
    let json = message(input, "webauthn.get", |body| {
        let (Body::Main(data) | Body::AuthData(data)) = body;
        let response = json!({
            "authenticatorData": URL_SAFE_NO_PAD.encode(data),
            "signature": "AA",
            "userHandle": null,
        });
        (vec![7; 16], response)
    });
    let origins = [ORIGIN.to_owned()];
    let Ok(accepted) = strict::authentication(&json, &Expected { origins: &origins }) else { return false };
    let response = &accepted.credential.response;
    same_client_data(&response.client_data_json, "webauthn.get", &accepted.challenge, &accepted.origin);
    assert_eq!(accepted.credential.raw_id, accepted.credential_id);
    assert_eq!(response.user_handle, accepted.user_handle);

    let data = AuthenticatorData::<Authentication>::try_from(response.authenticator_data.as_slice());
    let data = data.expect("the library reads the authenticator data");
    let theirs = Flags {
        user_present: data.user_present,
        user_verified: data.user_verified,
        backup_eligible: data.backup_eligible,
        backup_state: data.backup_state,
        attested: data.acd.is_some(),
        extensions: accepted.flags.extensions,
    };
    assert_eq!((theirs, data.counter), (accepted.flags, accepted.sign_count));
    assert!(accepted.flags.extensions || data.extensions.unknown_keys.is_empty());
    true
}

/// The library, configured as the server uses it.
///
/// # Panics
/// Never: the origin is a URL.
pub fn library() -> WebauthnCore {
    let origin = ORIGIN.parse().expect("a URL");
    WebauthnCore::new_unsafe_experts_only("Example", RP_ID, vec![origin], Duration::from_secs(300), None, None)
}

fn registration_state(challenge: &[u8]) -> RegistrationState {
    let state = json!({
        "policy": "required",
        "exclude_credentials": [],
        "challenge": URL_SAFE_NO_PAD.encode(challenge),
        "credential_algorithms": ["ES256", "ES384", "RS256"],
        "require_resident_key": false,
        "authenticator_attachment": null,
        "extensions": {},
        "allow_synchronised_authenticators": true,
    });
    serde_json::from_value(state).expect("the state that the library itself writes")
}

/// Whether an error judges what the library read, as opposed to saying that it could not read it.
fn is_a_verdict(error: &WebauthnError) -> bool {
    use WebauthnError as E;
    !matches!(
        error,
        E::ParseCBORFailure(_)
            | E::ParseJSONFailure(_)
            | E::ParseNOMFailure
            | E::ParseInsufficientBytesAvailable
            | E::InvalidClientDataType
            | E::MismatchedChallenge
            | E::InvalidRPOrigin
            | E::CredentialCrossOrigin
            | E::UserNotPresent
            | E::MissingAttestationCredentialData
            | E::COSEKeyInvalidCBORValue
            | E::COSEKeyInvalidType
            | E::COSEKeyInvalidAlgorithm
            | E::COSEKeyECDSAXYInvalid
            | E::COSEKeyECDSAInvalidCurve
            | E::COSEKeyRSANEInvalid
            | E::CredentialMayNotBeHardwareBound
            | E::CredentialAlteredAlgFromRequest
    )
}

fn same_client_data(bytes: &[u8], kind: &str, challenge: &[u8], origin: &str) {
    let theirs: CollectedClientData = serde_json::from_slice(bytes).expect("the library reads the client data");
    assert_eq!(theirs.type_, kind);
    assert_eq!(theirs.challenge, challenge);
    assert_eq!(theirs.origin.origin().ascii_serialization(), origin);
    assert!(!theirs.cross_origin.unwrap_or(false));
    assert!(!theirs.unknown_keys.contains_key("topOrigin"));
}

enum Body<'a> {
    Main(&'a [u8]),
    AuthData(&'a [u8]),
}

/// Builds the JSON for an input. `respond` returns the credential id and the members beside the client data.
fn message(input: &[u8], kind: &str, respond: impl Fn(Body<'_>) -> (Vec<u8>, Value)) -> Vec<u8> {
    let (choice, rest) = input.split_first().unwrap_or((&0, &[]));
    let honest = format!(r#"{{"type":"{kind}","challenge":"{CHALLENGE}","origin":"{ORIGIN}","crossOrigin":false}}"#);
    let honest_data = || match kind {
        "webauthn.create" => none_object(include_bytes!("../seeds/honest/registration.auth_data")),
        _ => include_bytes!("../seeds/honest/assertion.auth_data").to_vec(),
    };
    let ((id, mut response), client_data) = match choice % 4 {
        0 => return rest.to_vec(),
        1 => (respond(Body::Main(&honest_data())), rest),
        2 => (respond(Body::Main(rest)), honest.as_bytes()),
        _ => (respond(Body::AuthData(rest)), honest.as_bytes()),
    };
    response["clientDataJSON"] = URL_SAFE_NO_PAD.encode(client_data).into();
    let id = URL_SAFE_NO_PAD.encode(id);
    json!({ "id": id, "rawId": id, "type": "public-key", "response": response }).to_string().into_bytes()
}

/// `{"fmt": "none", "attStmt": {}, "authData": …}`.
fn none_object(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes();
    let head = match data.len() {
        0..24 => vec![0x40 | length[1]],
        24..256 => vec![0x58, length[1]],
        _ => vec![0x59, length[0], length[1]],
    };
    [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData", head.as_slice(), data].concat()
}

/// Finds the credential id inside an object without parsing it, so that a changed id still passes the comparison.
fn object_credential_id(object: &[u8]) -> Vec<u8> {
    const FIXED: usize = 37 + 16;
    let name = b"authData";
    let id = object.windows(name.len()).position(|window| window == name).and_then(|at| {
        let data = &object[at + name.len()..];
        let data = match data.first()? {
            0x58 => data.get(2..)?,
            0x59 => data.get(3..)?,
            _ => data.get(1..)?,
        };
        let length = usize::from(u16::from_be_bytes([*data.get(FIXED)?, *data.get(FIXED + 1)?]));
        data.get(FIXED + 2..FIXED + 2 + length)
    });
    id.map_or_else(|| vec![7; 16], <[u8]>::to_vec)
}
