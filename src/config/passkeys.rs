//! Requirements for passkeys and authenticators.

use chrono::Duration;

use super::problems::Wrong;
use super::reader::Reader;
use super::section::{Choice, Fallback, Key, Kind, Section, choices};

choices! {
    /// How strongly a feature of an authenticator is wanted (WebAuthn `UserVerificationRequirement`,
    /// `ResidentKeyRequirement`).
    Requirement {
        /// It must have it.
        Required = "required",
        /// It should have it.
        Preferred = "preferred",
        /// It should not have it.
        Discouraged = "discouraged",
    }
}

choices! {
    /// Where the authenticator is (WebAuthn `AuthenticatorAttachment`).
    Attachment {
        /// On this device or on another one.
        Any = "any",
        /// Built into the device.
        Platform = "platform",
        /// A security key or another device.
        CrossPlatform = "cross-platform",
    }
}

choices! {
    /// What the browser should offer first (WebAuthn `PublicKeyCredentialHint`).
    Hint {
        /// A security key.
        SecurityKey = "security-key",
        /// This device.
        ClientDevice = "client-device",
        /// A phone.
        Hybrid = "hybrid",
    }
}

choices! {
    /// Which attestation is requested from a new authenticator (WebAuthn `AttestationConveyancePreference`).
    Attestation {
        /// No attestation is requested.
        None = "none",
        /// The browser may anonymise it.
        Indirect = "indirect",
        /// As the authenticator provides it.
        Direct = "direct",
    }
}

choices! {
    /// What happens when the signature counter of a synced passkey goes backwards.
    SyncedCounter {
        /// Accept, and write an event to the audit trail.
        Warn = "warn",
        /// Refuse the sign-in.
        Strict = "strict",
        /// Accept.
        Ignore = "ignore",
    }
}

/// The settings of `[passkeys]`.
#[derive(Clone, Debug)]
pub struct Passkeys {
    /// Whether the authenticator must verify the person.
    pub user_verification: Requirement,
    /// Whether the passkey must be discoverable.
    pub resident_key: Requirement,
    /// Where the authenticator must be.
    pub attachment: Attachment,
    /// What the browser should offer first, in order.
    pub hints: Vec<Hint>,
    /// How long the browser's prompt stays open.
    pub timeout: Duration,
    /// Which attestation is requested from a new authenticator.
    pub attestation: Attestation,
    /// How many passkeys a user may have.
    pub per_user: u32,
    /// What happens when the counter of a synced passkey goes backwards.
    pub synced_counter: SyncedCounter,
    /// Whether a passkey may become backup eligible after its registration.
    pub allow_backup_upgrade: bool,
}

pub(super) const SECTION: Section = Section {
    title: "Passkeys",
    doc: "What is required of passkeys when they are created and used.",
    keys: &[
        Key {
            path: "passkeys.user_verification",
            kind: Kind::Choice(Requirement::WORDS),
            default: Fallback::Value("required"),
            doc: "Whether the authenticator must verify the person by PIN or biometrics. Only then is a passkey two \
                  factors and gets `acr` `phr`.",
        },
        Key {
            path: "passkeys.resident_key",
            kind: Kind::Choice(Requirement::WORDS),
            default: Fallback::Value("required"),
            doc: "Whether a new passkey must be discoverable, so that people sign in without typing a name.",
        },
        Key {
            path: "passkeys.attachment",
            kind: Kind::Choice(Attachment::WORDS),
            default: Fallback::Value("any"),
            doc: "Where the authenticator of a new passkey may be. With `any` a request may choose; one that contradicts \
                  another value is refused.",
        },
        Key {
            path: "passkeys.hints",
            kind: Kind::Choices(Hint::WORDS),
            default: Fallback::Value(""),
            doc: "What the browser should offer first, in order of preference. Browsers may ignore it.",
        },
        Key {
            path: "passkeys.timeout",
            kind: Kind::Duration("30s", "10m"),
            default: Fallback::Value("5m"),
            doc: "How long the browser's prompt stays open; not longer than `challenges.ttl`.",
        },
        Key {
            path: "passkeys.attestation",
            kind: Kind::Choice(Attestation::WORDS),
            default: Fallback::Value("none"),
            doc: "What attestation is requested of a new authenticator. Anything but `none` makes some browsers ask \
                the person for consent.",
        },
        Key {
            path: "passkeys.per_user",
            kind: Kind::Integer(1, 100),
            default: Fallback::Value("20"),
            doc: "How many passkeys a user may have.",
        },
        Key {
            path: "passkeys.synced_counter",
            kind: Kind::Choice(SyncedCounter::WORDS),
            default: Fallback::Value("warn"),
            doc: "What happens when the signature counter of a synced passkey goes backwards. For device-bound \
                passkeys this always indicates a copy, and is refused.",
        },
        Key {
            path: "passkeys.allow_backup_upgrade",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether a passkey that was bound to its device may later say that it can be backed up. The standard \
                  forbids it; a few authenticators do it after an update.",
        },
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>, challenge_ttl: Duration) -> Passkeys {
    let passkeys = Passkeys {
        user_verification: reader.choice("passkeys.user_verification"),
        resident_key: reader.choice("passkeys.resident_key"),
        attachment: reader.choice("passkeys.attachment"),
        hints: reader.choices("passkeys.hints").unwrap_or_default(),
        timeout: reader.duration("passkeys.timeout"),
        attestation: reader.choice("passkeys.attestation"),
        per_user: reader.integer("passkeys.per_user"),
        synced_counter: reader.choice("passkeys.synced_counter"),
        allow_backup_upgrade: reader.switch("passkeys.allow_backup_upgrade"),
    };
    if passkeys.timeout > challenge_ttl {
        // An operator who only shortened `challenges.ttl` must learn which of the two to change.
        let wrong =
            Wrong::new("is longer than challenges.ttl", "shorten it: the challenge would be gone before the prompt");
        reader.contradiction("passkeys.timeout", &["challenges.ttl"], wrong);
    }
    passkeys
}
