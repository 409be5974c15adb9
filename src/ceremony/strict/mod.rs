//! The strict parser in front of the WebAuthn library.
//!
//! It decides whether a browser's answer has the only form that a conforming client produces, before the library sees a
//! byte. What must always hold:
//!
//! - **Accepted here ⇒ the library's parser reads the same members.** Two parsers that understand a message differently
//!   are an attack surface; so anything that could be read in two ways (a duplicate member, a long form, trailing
//!   bytes) is refused.
//! - **Bounded work.** Every input has limits for size, depth and count; nothing is allocated according to a length
//!   that the input declares.
//! - **No verdict on what only a server knows.** Challenge, RP ID hash, signature, user verification and counter are
//!   compared by the library and by the caller; the library is still called for every message accepted here.
//! - **Pure.** No clock, no randomness, no I/O, no logging.
//!
//! There is one file for each notation: [`json`] and [`cbor`] know only their syntax; `credential` reads the envelope,
//! `client_data` the collected client data, `attestation`, `auth_data` and `cose` the binary parts. To add a rule: a
//! variant of [`Reason`], the check in the file of its notation, and a row in `tests/it/strict`.
//!
//! Source: WebAuthn Level 3, "Registering a New Credential" and "Verifying an Authentication Assertion".

mod attestation;
mod auth_data;
pub mod cbor;
mod client_data;
pub mod cose;
mod credential;
pub mod json;
mod refusal;

use uuid::Uuid;
use webauthn_rs_core::proto::{PublicKeyCredential, RegisterPublicKeyCredential};

pub use auth_data::Flags;
pub use refusal::{Reason, Refusal};

/// Maximum size of the JSON of a credential, in bytes.
pub const MAX_CREDENTIAL_JSON: usize = 32 * 1024;
/// Maximum size of `clientDataJSON`, in bytes.
pub const MAX_CLIENT_DATA: usize = 4 * 1024;
/// Maximum size of the attestation object, in bytes.
pub const MAX_ATTESTATION_OBJECT: usize = 16 * 1024;
/// Maximum size of the authenticator data, in bytes.
pub const MAX_AUTH_DATA: usize = 8 * 1024;
/// Maximum size of a signature, in bytes. RSA with 4096 bits needs 512.
pub const MAX_SIGNATURE: usize = 1024;
/// Maximum size of a user handle, in bytes (WebAuthn: 64).
pub const MAX_USER_HANDLE: usize = 64;
/// The allowed length of a credential ID, in bytes. WebAuthn requires 16 (or 100 bits of entropy) to 1023.
pub const CREDENTIAL_ID_BYTES: std::ops::RangeInclusive<usize> = 16..=1023;

/// What the server knows and the message must match.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The origins that the client data may name, compared byte for byte: serialised origins, without a path.
    pub origins: &'a [String],
}

/// The two ceremonies. A message for one is refused by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceremony {
    /// `navigator.credentials.create()`.
    Registration,
    /// `navigator.credentials.get()`.
    Authentication,
}

/// A well-formed registration response. Nothing in it is verified yet.
#[derive(Clone, Debug)]
#[must_use = "good form is no proof: the library has to verify `credential`"]
pub struct Registration {
    /// For the library. Its `transports` are omitted: they are stored here, and the library would drop them for most
    /// formats anyway.
    pub credential: RegisterPublicKeyCredential,
    /// The challenge in the client data. The library compares it, too; this one is for our own constant-time
    /// comparison.
    pub challenge: Vec<u8>,
    /// The credential ID: `id`, `rawId` and the ID in the authenticator data are equal.
    pub credential_id: Vec<u8>,
    /// The authenticator model. Unsigned unless the attestation was verified against a root: for display only.
    pub aaguid: Uuid,
    /// The transports that the browser reports (unsigned): at most 8 words of `a-z`, `0-9` and `-`.
    pub transports: Vec<String>,
    /// The COSE algorithm of the new key: −7 (ES256), −35 (ES384) or −257 (RS256).
    pub algorithm: i64,
    /// The flags of the authenticator data.
    pub flags: Flags,
    /// The signature counter.
    pub sign_count: u32,
    /// The origin in the client data: one of [`Expected::origins`].
    pub origin: String,
    /// `credProps.rk`: whether the client believes that the credential is discoverable. Unsigned.
    pub resident_key_hint: Option<bool>,
    /// `platform` or `cross-platform`, if the client reported it. Unsigned.
    pub attachment: Option<String>,
    /// The attestation statement format.
    pub format: String,
}

/// A well-formed authentication response. Nothing in it is verified yet.
#[derive(Clone, Debug)]
#[must_use = "good form is no proof: the library has to verify `credential`"]
pub struct Assertion {
    /// For the library.
    pub credential: PublicKeyCredential,
    /// The challenge in the client data. The library compares it, too; this one is for our own constant-time
    /// comparison.
    pub challenge: Vec<u8>,
    /// The credential ID: `id` and `rawId` are equal.
    pub credential_id: Vec<u8>,
    /// The user handle, 1 to 64 bytes; `None` if the response has none.
    pub user_handle: Option<Vec<u8>>,
    /// The flags of the authenticator data.
    pub flags: Flags,
    /// The signature counter.
    pub sign_count: u32,
    /// The origin in the client data: one of [`Expected::origins`].
    pub origin: String,
    /// `platform` or `cross-platform`, if the client reported it. Unsigned.
    pub attachment: Option<String>,
}

/// Parses the JSON of a `PublicKeyCredential` from `create()` (`RegistrationResponseJSON`).
///
/// The members `publicKey`, `publicKeyAlgorithm` and `authenticatorData` of the response repeat the contents of the
/// attestation object; they are never read, so they cannot contradict it.
///
/// # Errors
/// [`Refusal::WrongOrigin`] only if everything else is well-formed; [`Refusal::Malformed`] otherwise.
pub fn registration(credential: &[u8], expected: &Expected<'_>) -> Result<Registration, Refusal> {
    let envelope = credential::read(credential, Ceremony::Registration)?;
    let response = envelope.registration_response()?;
    let client_data = client_data::read(&response.client_data_json, Ceremony::Registration)?;
    let object = attestation::read(&response.attestation_object)?;
    if object.attested.credential_id != envelope.raw_id {
        return Err(Reason::IdMismatch.into());
    }
    let (aaguid, algorithm) = (object.attested.aaguid, object.attested.algorithm);
    let (flags, sign_count, format) = (object.flags, object.sign_count, object.format.to_owned());
    let (transports, resident_key_hint, attachment) =
        (response.transports, envelope.resident_key(), envelope.attachment());
    let origin = client_data.origin_among(expected.origins)?;
    Ok(Registration {
        challenge: client_data.challenge,
        credential_id: envelope.raw_id.clone(),
        credential: credential::for_registration(
            envelope.raw_id,
            response.attestation_object,
            response.client_data_json,
            resident_key_hint,
        ),
        aaguid,
        transports,
        algorithm,
        flags,
        sign_count,
        origin,
        resident_key_hint,
        attachment,
        format,
    })
}

/// Parses the JSON of a `PublicKeyCredential` from `get()` (`AuthenticationResponseJSON`).
///
/// # Errors
/// [`Refusal::WrongOrigin`] only if everything else is well-formed; [`Refusal::Malformed`] otherwise.
pub fn authentication(credential: &[u8], expected: &Expected<'_>) -> Result<Assertion, Refusal> {
    let envelope = credential::read(credential, Ceremony::Authentication)?;
    let response = envelope.authentication_response()?;
    let client_data = client_data::read(&response.client_data_json, Ceremony::Authentication)?;
    let auth_data = auth_data::read(&response.authenticator_data, Ceremony::Authentication)?;
    let (flags, sign_count, attachment) = (auth_data.flags, auth_data.sign_count, envelope.attachment());
    let origin = client_data.origin_among(expected.origins)?;
    Ok(Assertion {
        challenge: client_data.challenge,
        credential_id: envelope.raw_id.clone(),
        user_handle: response.user_handle.clone(),
        credential: credential::for_authentication(envelope.raw_id, response),
        flags,
        sign_count,
        origin,
        attachment,
    })
}
