//! The options for the browser, according to the policy.
//!
//! The library's state is created with "discouraged" user verification, and the options are then written with the real
//! policy. This way the signature is always checked first, and our own code distinguishes a missing verification from a
//! forgery.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};
use webauthn_rs_core::proto::{
    AttestationConveyancePreference, AttestationFormat, AuthenticatorAttachment, AuthenticatorSelectionCriteria,
    PubKeyCredParams, PublicKeyCredentialHints, RequestAuthenticationExtensions, RequestRegistrationExtensions,
    ResidentKeyRequirement, User, UserVerificationPolicy,
};
use webauthn_rs_core::proto::{AuthenticationState, RegistrationState};

use super::decoys::Listed;
use super::error::CeremonyError;
use super::policy::Policy;
use super::relying_party::RelyingParty;

/// The argument of `create()`. This type and the next are the library's, except for the lists of passkeys: the library
/// knows fewer transports than exist, and whatever an authenticator reported must be sent back (WebAuthn Level 3
/// §5.8.4).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicKeyCredentialCreationOptions {
    rp: webauthn_rs_core::proto::RelyingParty,
    user: User,
    /// The challenge that the authenticator signs.
    #[serde(serialize_with = "base64url")]
    pub challenge: Vec<u8>,
    pub_key_cred_params: Vec<PubKeyCredParams>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u32>,
    exclude_credentials: Vec<Descriptor>,
    authenticator_selection: AuthenticatorSelectionCriteria,
    #[serde(skip_serializing_if = "Option::is_none")]
    hints: Option<Vec<PublicKeyCredentialHints>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation: Option<AttestationConveyancePreference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation_formats: Option<Vec<AttestationFormat>>,
    extensions: RequestRegistrationExtensions,
}

/// The argument of `get()`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicKeyCredentialRequestOptions {
    /// The challenge that the authenticator signs.
    #[serde(serialize_with = "base64url")]
    pub challenge: Vec<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u32>,
    rp_id: String,
    allow_credentials: Vec<Descriptor>,
    /// Whether the authenticator must verify the person.
    pub user_verification: UserVerificationPolicy,
    #[serde(skip_serializing_if = "Option::is_none")]
    hints: Option<Vec<PublicKeyCredentialHints>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<RequestAuthenticationExtensions>,
}

/// A passkey in a list, with the transports that the authenticator reported.
#[derive(Clone, Debug, Serialize)]
struct Descriptor {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(serialize_with = "base64url")]
    id: Vec<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transports: Vec<String>,
}

fn base64url<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
}

/// The account that a passkey is registered for.
pub struct Account<'a> {
    /// User handle.
    pub handle: &'a [u8],
    /// User name.
    pub name: &'a str,
    /// Display name.
    pub display_name: &'a str,
}

/// What a caller may choose about the authenticator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// Where it is located, within the policy; `None`: as the policy says.
    pub attachment: Option<AuthenticatorAttachment>,
    /// Whether a security key is requested.
    pub security_key: bool,
}

/// The options and state for registering a passkey. `exclude` lists the passkeys that the person already has.
pub fn creation(
    party: &RelyingParty,
    policy: &Policy,
    account: &Account<'_>,
    exclude: &[Listed],
    choice: Choice,
) -> Result<(PublicKeyCredentialCreationOptions, RegistrationState), CeremonyError> {
    let attachment = attachment(policy, choice)?;
    let builder = party
        .library
        .new_challenge_register_builder(account.handle, account.name, account.display_name)
        .map_err(CeremonyError::Library)?
        .attestation(policy.attestation.clone())
        // The exclusion list is not passed to the library: it would treat a passkey that is registered twice as
        // hostile, whereas the unique index on credential IDs lets us tell its owner that it already exists.
        .user_verification_policy(UserVerificationPolicy::Discouraged_DO_NOT_USE);
    let (response, state) = party.library.generate_challenge_register(builder).map_err(CeremonyError::Library)?;
    let made = response.public_key;
    let options = PublicKeyCredentialCreationOptions {
        rp: made.rp,
        user: made.user,
        challenge: made.challenge,
        pub_key_cred_params: made.pub_key_cred_params,
        timeout: milliseconds(policy),
        exclude_credentials: descriptors(exclude),
        authenticator_selection: AuthenticatorSelectionCriteria {
            authenticator_attachment: attachment,
            resident_key: Some(policy.resident_key),
            require_resident_key: policy.resident_key == ResidentKeyRequirement::Required,
            user_verification: policy.user_verification,
        },
        hints: hints(policy, choice),
        attestation: made.attestation,
        attestation_formats: made.attestation_formats,
        // The `credProps` extension, an unsigned hint: whether the passkey is discoverable.
        extensions: RequestRegistrationExtensions { cred_props: Some(true), ..Default::default() },
    };
    Ok((options, state))
}

/// The options and state for using a passkey; with an empty list, any discoverable passkey may answer.
pub fn request(
    party: &RelyingParty,
    policy: &Policy,
    offered: &[Listed],
) -> Result<(PublicKeyCredentialRequestOptions, AuthenticationState), CeremonyError> {
    let builder = party
        .library
        .new_challenge_authenticate_builder(Vec::new(), Some(UserVerificationPolicy::Discouraged_DO_NOT_USE))
        .map_err(CeremonyError::Library)?
        .allow_backup_eligible_upgrade(policy.allow_backup_upgrade);
    let (response, state) = party.library.generate_challenge_authenticate(builder).map_err(CeremonyError::Library)?;
    let made = response.public_key;
    let options = PublicKeyCredentialRequestOptions {
        challenge: made.challenge,
        timeout: milliseconds(policy),
        rp_id: made.rp_id,
        allow_credentials: descriptors(offered),
        user_verification: policy.user_verification,
        hints: hints(policy, Choice::default()),
        extensions: made.extensions,
    };
    Ok((options, state))
}

/// Where a new passkey may be stored. The policy is the operator's; a request chooses within it.
fn attachment(policy: &Policy, choice: Choice) -> Result<Option<AuthenticatorAttachment>, CeremonyError> {
    let key = choice.security_key.then_some(AuthenticatorAttachment::CrossPlatform);
    for wanted in [choice.attachment, key].into_iter().flatten() {
        if policy.attachment.is_some_and(|only| only != wanted) {
            let words = "This server does not allow passkeys there: leave out attachment and hints.";
            return Err(CeremonyError::Invalid(words));
        }
    }
    Ok(policy.attachment.or(choice.attachment))
}

fn descriptors(listed: &[Listed]) -> Vec<Descriptor> {
    let one = |listed: &Listed| Descriptor {
        kind: "public-key",
        id: listed.id.clone(),
        transports: listed.transports.clone(),
    };
    listed.iter().map(one).collect()
}

fn milliseconds(policy: &Policy) -> Option<u32> {
    u32::try_from(policy.timeout.num_milliseconds()).ok()
}

fn hints(policy: &Policy, choice: Choice) -> Option<Vec<PublicKeyCredentialHints>> {
    let hints = if choice.security_key { vec![PublicKeyCredentialHints::SecurityKey] } else { policy.hints.clone() };
    (!hints.is_empty()).then_some(hints)
}
