//! How each refusal is reported. Everything that suggests an attack gets the same answer; what the person can fix is
//! reported specifically.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::ceremony::CeremonyError;
use crate::domain::action::ActionRefusal;
use crate::domain::client::ClientRefusal;
use crate::web::error::{Failure, Kind};

pub(super) fn failure(error: CeremonyError) -> Failure {
    match error {
        CeremonyError::WrongOrigin { received, allowed } => Failure::new(
            Kind::WrongOrigin,
            format!("Passkeys are not used from this address here. Use one of: {}.", allowed.join(", ")),
        )
        .with("received", json!(received))
        .with("allowed", json!(allowed)),
        CeremonyError::NoSuchRelyingParty => {
            Failure::new(Kind::InvalidRequest, "There is no relying party of that name.")
        }
        CeremonyError::NoSuchClient => Failure::new(Kind::InvalidClient, "There is no such client, or it is disabled."),
        CeremonyError::Client(refusal) => client(refusal),
        CeremonyError::ConfidentialClient => Failure::new(
            Kind::UnauthorizedClient,
            "A confidential client ends its ceremonies at the token endpoint, where it authenticates.",
        ),
        CeremonyError::NoProof => {
            Failure::new(Kind::InvalidDpopProof, "A DPoP proof is required: send one in the DPoP header.")
        }
        CeremonyError::Bridge(error) => error.into(),
        CeremonyError::Invalid(words) => Failure::new(Kind::InvalidRequest, words),
        CeremonyError::ExpiredOrUsed => {
            Failure::new(Kind::CeremonyExpired, "The ceremony took too long or was already answered. Begin a new one.")
        }
        CeremonyError::UnknownPasskey { rp_id, credential_id } => Failure::new(
            Kind::PasskeyUnknown,
            "This passkey was removed from its account. Remove it from the device too.",
        )
        .with("signalUnknown", json!({ "rpId": rp_id, "credentialId": URL_SAFE_NO_PAD.encode(credential_id) })),
        CeremonyError::UserVerificationMissing => Failure::new(
            Kind::UserVerificationMissing,
            "The device did not verify that it is you. Unlock it with your PIN, fingerprint or face and try again.",
        ),
        CeremonyError::CredentialExists => {
            Failure::new(Kind::CredentialExists, "This passkey is already in use. Create a new one.")
        }
        CeremonyError::SignInRefused(refusal) => {
            Failure::new(Kind::SignInRefused, refusal.words()).with("reason", json!(refusal.reason())).because(error)
        }
        CeremonyError::Hook { refusal, .. } => refusal.into(),
        CeremonyError::NoPasskeyYet => Failure::new(Kind::NoPasskeyYet, "There is no passkey on this account yet."),
        CeremonyError::NotSignedIn => Failure::new(Kind::NotSignedIn, "Sign in first."),
        CeremonyError::NotFresh(within) => Failure::new(
            Kind::ReauthenticationRequired,
            "Confirm with a passkey that it is you, then try again. Nothing was changed.",
        )
        .fresh_within(within),
        CeremonyError::SignUpClosed => {
            Failure::new(Kind::SignUpClosed, "New accounts cannot be created here. Ask the operator.")
        }
        CeremonyError::TooMany => {
            Failure::new(Kind::TooManyPasskeys, "The passkey limit is reached. Remove one first.")
        }
        CeremonyError::LastMethod => Failure::new(
            Kind::LastSignInMethod,
            "This is the only way to sign in to this account. Add another passkey first.",
        ),
        CeremonyError::NotFound => Failure::new(Kind::NotFound, "There is no such passkey on this account."),
        CeremonyError::Action(refusal) => action(refusal),
        CeremonyError::NotForPerson => {
            let words = "Action tokens cannot be made for disabled accounts or administrators.";
            Failure::new(Kind::Forbidden, words)
        }
        CeremonyError::NoSuchPerson => {
            let words = "There is no person with this ID for whom this client may act. Name people by an external ID of its \
                 own.";
            Failure::new(Kind::NotFound, words)
        }
        CeremonyError::MissingScope(scope) => Failure::new(
            Kind::InsufficientScope,
            format!("This requires the scope {scope:?}, which the access token lacks."),
        ),
        CeremonyError::AddressTaken => {
            Failure::new(Kind::AlreadyExists, "Another account has this verified e-mail address.")
        }
        CeremonyError::Operation(error) => {
            Failure::new(Kind::InvalidRequest, format!("The operation cannot be signed: {error}."))
        }
        CeremonyError::TooManyTokens(failure) => *failure,
        refused @ CeremonyError::Result(_) => Failure::new(
            Kind::ResultRefused,
            "The result is not one for this client, has expired, or was redeemed before.",
        )
        .because(refused),
        CeremonyError::Storage(error) => error.into(),
        CeremonyError::Mint(error) => Failure::unavailable(error),
        hostile @ (CeremonyError::Foreign(_)
        | CeremonyError::Unreadable(_)
        | CeremonyError::Library(_)
        | CeremonyError::Refused(_)) => {
            Failure::new(Kind::VerificationFailed, "The passkey could not be verified.").because(hostile)
        }
    }
}

/// The holder of a genuine token may learn what is wrong with it and what to do. `reason` is meant for programs.
fn action(refusal: ActionRefusal) -> Failure {
    let (kind, words) = match refusal {
        ActionRefusal::Unknown => (Kind::ActionTokenUnknown, "There is no such action token. Ask for a new one."),
        ActionRefusal::Client => (Kind::ActionTokenMisused, "The app that made this action token may no longer do so."),
        ActionRefusal::Action => (Kind::ActionTokenMisused, "This action token is for something else."),
        ActionRefusal::Origin => (Kind::ActionTokenMisused, "This action token is not for the page it was used on."),
        ActionRefusal::RelyingParty => {
            (Kind::ActionTokenMisused, "This action token is for another relying party than this page's.")
        }
        ActionRefusal::Session => {
            (Kind::ActionTokenMisused, "Somebody else is signed in in this browser. Sign out first, then use it again.")
        }
        ActionRefusal::Person => {
            (Kind::ActionTokenMisused, "The account has changed since this action token was made. Request a new one.")
        }
        ActionRefusal::Group => (
            Kind::ActionTokenMisused,
            "The person is in none of the groups that may use the app that made this action \
                token.",
        ),
        ActionRefusal::Expired => (Kind::ActionTokenEnded, "This action token has expired. Ask for a new one."),
        ActionRefusal::Used => (Kind::ActionTokenEnded, "This action token was used already. Ask for a new one."),
        ActionRefusal::Revoked => (Kind::ActionTokenEnded, "This action token was revoked. Request a new one."),
        ActionRefusal::Exhausted => {
            (Kind::ActionTokenEnded, "This action token was tried too often. Ask for a new one.")
        }
        ActionRefusal::EnrolOver => {
            (Kind::EnrolOverExisting, "The account has a passkey already, and this app may not add another to it.")
        }
    };
    Failure::new(kind, words).with("reason", json!(refusal.to_string()))
}

fn client(refusal: ClientRefusal) -> Failure {
    let kind = match refusal {
        ClientRefusal::Grant | ClientRefusal::NotFirstParty => Kind::UnauthorizedClient,
        ClientRefusal::Scope(_) => Kind::InvalidScope,
        ClientRefusal::Audience => Kind::InvalidTarget,
        ClientRefusal::Origin => Kind::WrongOrigin,
    };
    let words = match refusal {
        // The scope came from the caller; an error never echoes input.
        ClientRefusal::Scope(_) => "A scope is not allowed for this client.".to_owned(),
        other => format!("{}.", capitalised(&other.to_string())),
    };
    Failure::new(kind, words)
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
