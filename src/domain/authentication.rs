//! How strong a sign-in was, computed from what happened, never from configuration.
//!
//! `acr` and `amr` follow OpenID Connect Core §2, with the values of RFC 8176 and the "phishing-resistant" classes
//! (`phr`, `phrh`) of the OpenID Connect Extended Authentication Profile.

use serde::{Deserialize, Serialize};

/// Where the private key is stored, as far as the ceremony proved it. Our own claim `credential_class`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialClass {
    /// A passkey manager can copy it between devices (backup eligible).
    Synced,
    /// The authenticator says that it cannot be copied, without attestation.
    DeviceBoundUnverified,
    /// Attested by a chain to a trusted root.
    Attested,
}

impl CredentialClass {
    /// The claim's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::DeviceBoundUnverified => "device_bound_unverified",
            Self::Attested => "attested",
        }
    }
}

/// What one assertion proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The authenticator verified its user in *this* assertion.
    pub user_verified: bool,
    /// The key may exist on several devices.
    pub backup_eligible: bool,
    /// The registration was attested by a chain to a trusted root.
    pub attested: bool,
}

/// The claims that follow from a [`Proof`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strength {
    /// Authentication context class reference.
    pub acr: &'static str,
    /// Authentication method references, RFC 8176.
    pub amr: Vec<&'static str>,
    /// Our own claim.
    pub class: CredentialClass,
}

impl Proof {
    /// The resulting claims. Without user verification a passkey is one factor (`acr` 1), whatever was requested.
    pub fn strength(self) -> Strength {
        let class = match (self.attested, self.backup_eligible) {
            (true, _) => CredentialClass::Attested,
            (false, true) => CredentialClass::Synced,
            (false, false) => CredentialClass::DeviceBoundUnverified,
        };
        let mut amr = vec!["pop"];
        if self.user_verified {
            amr.extend(["user", "mfa"]);
        }
        match class {
            CredentialClass::Attested => amr.push("hwk"),
            CredentialClass::Synced => amr.push("swk"),
            CredentialClass::DeviceBoundUnverified => {}
        }
        let acr = match (self.user_verified, class) {
            (false, _) => "1",
            (true, CredentialClass::Attested) => "phrh",
            (true, _) => "phr",
        };
        Strength { acr, amr, class }
    }
}

/// The highest `acr` that a sign-in can reach. Attestations are not verified to a root yet, so nothing reaches `phrh`.
pub const HIGHEST_ACR: &str = "phr";

/// Whether the achieved `acr` is at least the wanted one. An unknown value is satisfied only by itself.
pub fn acr_reaches(achieved: &str, wanted: &str) -> bool {
    const ORDER: [&str; 4] = ["0", "1", "phr", "phrh"];
    let rank = |acr: &str| ORDER.iter().position(|known| *known == acr);
    match (rank(achieved), rank(wanted)) {
        (Some(have), Some(want)) => have >= want,
        _ => achieved == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strength_is_what_happened() {
        for (name, uv, be, attested, acr, amr) in [
            ("synced, verified", true, true, false, "phr", vec!["pop", "user", "mfa", "swk"]),
            ("device-bound, verified", true, false, false, "phr", vec!["pop", "user", "mfa"]),
            ("attested, verified", true, false, true, "phrh", vec!["pop", "user", "mfa", "hwk"]),
            ("synced, present only", false, true, false, "1", vec!["pop", "swk"]),
            ("attested, present only", false, false, true, "1", vec!["pop", "hwk"]),
        ] {
            let strength = Proof { user_verified: uv, backup_eligible: be, attested }.strength();
            assert_eq!((strength.acr, strength.amr), (acr, amr), "{name}");
        }
    }

    #[test]
    fn a_wanted_class_is_reached_only_from_at_least_as_high() {
        for (achieved, wanted, reaches) in [
            ("phr", "phr", true),
            ("phrh", "phr", true),
            ("phr", "phrh", false),
            ("1", "phr", false),
            ("0", "1", false),
            ("phr", "urn:unknown", false),
            ("urn:own", "urn:own", true),
        ] {
            assert_eq!(acr_reaches(achieved, wanted), reaches, "{achieved} for {wanted}");
        }
    }
}
