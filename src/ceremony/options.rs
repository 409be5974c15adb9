//! The options a browser is given, from the policy.
//!
//! The library's state is made under "discouraged" user verification and the options are then written with the real
//! policy: so the signature is always checked first, and a missing verification is told apart from a forgery by us.

use webauthn_rs_core::proto::{
    AllowCredentials, AuthenticatorAttachment, AuthenticatorSelectionCriteria, AuthenticatorTransport,
    PublicKeyCredentialCreationOptions, PublicKeyCredentialDescriptor, PublicKeyCredentialHints,
    PublicKeyCredentialRequestOptions, ResidentKeyRequirement, UserVerificationPolicy,
};
use webauthn_rs_core::proto::{AuthenticationState, RegistrationState};

use super::decoys::Listed;
use super::error::CeremonyError;
use super::policy::Policy;
use super::relying_party::RelyingParty;

/// Whom a passkey is made for.
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
    /// Where it may be; none: the policy's.
    pub attachment: Option<AuthenticatorAttachment>,
    /// A security key is wanted.
    pub security_key: bool,
}

/// Options and state for making a passkey. `exclude` are the ones the person has already.
pub fn creation(
    party: &RelyingParty,
    policy: &Policy,
    account: &Account<'_>,
    exclude: &[Listed],
    choice: Choice,
) -> Result<(PublicKeyCredentialCreationOptions, RegistrationState), CeremonyError> {
    let builder = party
        .library
        .new_challenge_register_builder(account.handle, account.name, account.display_name)
        .map_err(CeremonyError::Library)?
        .attestation(policy.attestation.clone())
        // The library is not told what to exclude: it would call a passkey made twice hostile, where the index on
        // credential ids tells its owner that it is there already.
        .user_verification_policy(UserVerificationPolicy::Discouraged_DO_NOT_USE);
    let (response, state) = party.library.generate_challenge_register(builder).map_err(CeremonyError::Library)?;
    let mut options = response.public_key;
    options.timeout = milliseconds(policy);
    options.authenticator_selection = Some(AuthenticatorSelectionCriteria {
        authenticator_attachment: choice.attachment.or(policy.attachment),
        resident_key: Some(policy.resident_key),
        require_resident_key: policy.resident_key == ResidentKeyRequirement::Required,
        user_verification: policy.user_verification,
    });
    options.hints = hints(policy, choice);
    options.exclude_credentials = Some(
        exclude
            .iter()
            .map(|listed| PublicKeyCredentialDescriptor {
                type_: "public-key".to_owned(),
                id: listed.id.clone(),
                transports: transports(&listed.transports),
            })
            .collect(),
    );
    // The name of the key's kind, as an unsigned hint: was it made discoverable?
    options.extensions =
        Some(webauthn_rs_core::proto::RequestRegistrationExtensions { cred_props: Some(true), ..Default::default() });
    Ok((options, state))
}

/// Options and state for using a passkey; an empty list lets any discoverable one answer.
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
    let mut options = response.public_key;
    options.timeout = milliseconds(policy);
    options.user_verification = policy.user_verification;
    options.hints = hints(policy, Choice::default());
    options.allow_credentials = offered
        .iter()
        .map(|listed| AllowCredentials {
            type_: "public-key".to_owned(),
            id: listed.id.clone(),
            transports: transports(&listed.transports),
        })
        .collect();
    Ok((options, state))
}

fn milliseconds(policy: &Policy) -> Option<u32> {
    u32::try_from(policy.timeout.num_milliseconds()).ok()
}

fn hints(policy: &Policy, choice: Choice) -> Option<Vec<PublicKeyCredentialHints>> {
    let hints = if choice.security_key { vec![PublicKeyCredentialHints::SecurityKey] } else { policy.hints.clone() };
    (!hints.is_empty()).then_some(hints)
}

fn transports(names: &[String]) -> Option<Vec<AuthenticatorTransport>> {
    let known: Vec<AuthenticatorTransport> = names
        .iter()
        .filter_map(|name| serde_json::from_value(serde_json::Value::String(name.clone())).ok())
        .filter(|transport| !matches!(transport, AuthenticatorTransport::Unknown))
        .collect();
    (!known.is_empty()).then_some(known)
}
