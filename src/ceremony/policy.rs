//! The requirements for passkeys, in the terms of the WebAuthn library.

use chrono::Duration;
use webauthn_rs_core::proto::{
    AttestationConveyancePreference, AuthenticatorAttachment, PublicKeyCredentialHints, ResidentKeyRequirement,
    UserVerificationPolicy,
};

use crate::config::{self, Attachment, Attestation, Hint, Passkeys, Requirement};
use crate::domain::counter::SyncedCounter;

/// The policy of one server.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether the authenticator must verify the person.
    pub user_verification: UserVerificationPolicy,
    /// Whether the passkey must be discoverable.
    pub resident_key: ResidentKeyRequirement,
    /// Where the authenticator may be located; `None`: anywhere.
    pub attachment: Option<AuthenticatorAttachment>,
    /// What the browser should offer first.
    pub hints: Vec<PublicKeyCredentialHints>,
    /// How long the browser's dialog stays open; never longer than `challenge_ttl`.
    pub timeout: Duration,
    /// How long a ceremony may take.
    pub challenge_ttl: Duration,
    /// The attestation that is requested from a new authenticator.
    pub attestation: AttestationConveyancePreference,
    /// How many passkeys one person may have.
    pub per_user: usize,
    /// What happens when a synced passkey's counter does not rise.
    pub synced_counter: SyncedCounter,
    /// Whether a passkey may become backup eligible after its registration.
    pub allow_backup_upgrade: bool,
    /// The maximum age of a verification for a sensitive change.
    pub fresh_verification: Duration,
    /// Whether anybody may create an account.
    pub allow_sign_up: bool,
}

impl Policy {
    /// The policy of the configuration, whose ranges have been checked.
    pub fn new(
        passkeys: &Passkeys,
        challenge_ttl: Duration,
        fresh_verification: Duration,
        allow_sign_up: bool,
    ) -> Self {
        Self {
            user_verification: match passkeys.user_verification {
                Requirement::Required => UserVerificationPolicy::Required,
                Requirement::Preferred => UserVerificationPolicy::Preferred,
                Requirement::Discouraged => UserVerificationPolicy::Discouraged_DO_NOT_USE,
            },
            resident_key: match passkeys.resident_key {
                Requirement::Required => ResidentKeyRequirement::Required,
                Requirement::Preferred => ResidentKeyRequirement::Preferred,
                Requirement::Discouraged => ResidentKeyRequirement::Discouraged,
            },
            attachment: match passkeys.attachment {
                Attachment::Any => None,
                Attachment::Platform => Some(AuthenticatorAttachment::Platform),
                Attachment::CrossPlatform => Some(AuthenticatorAttachment::CrossPlatform),
            },
            hints: passkeys
                .hints
                .iter()
                .map(|hint| match hint {
                    Hint::SecurityKey => PublicKeyCredentialHints::SecurityKey,
                    Hint::ClientDevice => PublicKeyCredentialHints::ClientDevice,
                    Hint::Hybrid => PublicKeyCredentialHints::Hybrid,
                })
                .collect(),
            timeout: passkeys.timeout.min(challenge_ttl),
            challenge_ttl,
            attestation: match passkeys.attestation {
                Attestation::None => AttestationConveyancePreference::None,
                Attestation::Indirect => AttestationConveyancePreference::Indirect,
                Attestation::Direct => AttestationConveyancePreference::Direct,
            },
            per_user: usize::try_from(passkeys.per_user).unwrap_or(usize::MAX),
            synced_counter: match passkeys.synced_counter {
                config::SyncedCounter::Warn => SyncedCounter::Warn,
                config::SyncedCounter::Strict => SyncedCounter::Strict,
                config::SyncedCounter::Ignore => SyncedCounter::Ignore,
            },
            allow_backup_upgrade: passkeys.allow_backup_upgrade,
            fresh_verification,
            allow_sign_up,
        }
    }

    /// Whether every ceremony requires user verification.
    pub fn requires_user_verification(&self) -> bool {
        self.user_verification == UserVerificationPolicy::Required
    }
}
