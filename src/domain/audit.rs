//! The events of the audit trail: one for each action that affects security.

use serde_json::Value;

use super::id::{SessionId, UserId};
use crate::clock::Time;

macro_rules! kinds {
    ($(#[doc = $doc:literal] $kind:ident = $text:literal,)*) => {
        /// What happened. The text form is stable: operators filter and alert on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EventKind { $(#[doc = $doc] $kind,)* }
        impl EventKind {
            /// Every kind, for the documentation and the tests.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];
            /// The stable text form.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }
            /// When the event is written, as a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $doc.trim_ascii(),)* }
            }
            /// Reads the stable text form back.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
            }
        }
    };
}

kinds! {
    /// A person signed up, or was created: by an administrator, by a backend's action token or by a trusted issuer's token.
    UserCreated = "user.created",
    /// A person's claims, groups, attributes or external ids were changed: by an administrator or a trusted issuer's token.
    UserChanged = "user.changed",
    /// A person was disabled by an operator.
    UserDisabled = "user.disabled",
    /// A person was enabled again.
    UserEnabled = "user.enabled",
    /// A person was deleted by an operator, with all their data.
    UserDeleted = "user.deleted",
    /// People were imported from another system; one event for each chunk that was written.
    UsersImported = "user.imported",
    /// Everybody's data and public keys were exported by an operator.
    UsersExported = "user.exported",
    /// An operator ended all sessions and tokens that a restored backup had brought back; `detail` says how many.
    DatabaseRestored = "database.restored",
    /// A passkey signed its owner in.
    SignedIn = "session.signed_in",
    /// A session's owner verified again who they are.
    SteppedUp = "session.stepped_up",
    /// A session was ended by its owner signing out.
    SignedOut = "session.signed_out",
    /// A session was revoked from another one.
    SessionRevoked = "session.revoked",
    /// A passkey was added.
    PasskeyAdded = "passkey.added",
    /// A passkey got another name.
    PasskeyRenamed = "passkey.renamed",
    /// A passkey's suspension was lifted by its owner.
    PasskeyResumed = "passkey.resumed",
    /// A passkey was removed.
    PasskeyRemoved = "passkey.removed",
    /// A passkey's counter went back: a copy is suspected and the passkey is suspended.
    CloneSuspected = "passkey.clone_suspected",
    /// A ceremony was refused.
    CeremonyRefused = "ceremony.refused",
    /// A used refresh token was presented again: its family is revoked.
    RefreshReplayed = "token.refresh_replayed",
    /// Somebody allowed a device to use their account (RFC 8628).
    DeviceAllowed = "device.allowed",
    /// Somebody refused a device.
    DeviceDenied = "device.denied",
    /// A device was given its tokens.
    DeviceRedeemed = "device.redeemed",
    /// A wrong device code was entered.
    DeviceCodeRefused = "device.code_refused",
    /// Tokens were revoked by their client.
    TokenRevoked = "token.revoked",
    /// An app was given an authorization code.
    Authorized = "authorization.granted",
    /// A person denied an app's request.
    AuthorizationDenied = "authorization.denied",
    /// A person withdrew their consent for an app.
    ConsentRevoked = "consent.revoked",
    /// An authorization code was exchanged for tokens.
    CodeRedeemed = "token.code_redeemed",
    /// A used authorization code was presented again: the tokens issued for it are revoked.
    CodeReplayed = "token.code_replayed",
    /// A trusted issuer's token was accepted: `detail` names the issuer; a session was opened for the tokens that were issued.
    TrustedTokenBelieved = "trusted_issuer.believed",
    /// A trusted issuer's token was valid, but a hook denied the sign-in or failed: `detail` names the issuer and the reason.
    TrustedTokenRefused = "trusted_issuer.refused",
    /// A token was exchanged for one of another client, or one with an actor: `detail` names the rule and the parties.
    TokenExchanged = "token.exchanged",
    /// A client got a token in a person's name without an actor token.
    TokenImpersonated = "token.impersonated",
    /// A custom token was minted for a bridge; `detail.claims_sha256` is the SHA-256 (base64url) of its claims as signed, `detail.act` who acts for the person.
    BridgeMinted = "bridge.minted",
    /// An action token was made for a person, by a backend or (`detail.by`) at the command line.
    ActionTokenMade = "action_token.made",
    /// A backend revoked an action token.
    ActionTokenRevoked = "action_token.revoked",
    /// An action token was used for a sign-in, a step-up or a list; what enrols or removes is an event of the passkey.
    ActionTokenUsed = "action_token.used",
    /// An action token was refused; `detail.reason` says why.
    ActionTokenRefused = "action_token.refused",
    /// A person signed one operation with a passkey; `subject` is its hash.
    TransactionSigned = "transaction.signed",
    /// The result of an action, or the proof of a signed operation, was redeemed by its client.
    ResultRedeemed = "result.redeemed",
    /// A result or proof was refused: forged, another client's, too old, or already redeemed.
    ResultRefused = "result.refused",
    /// Somebody was signed in at a protected host.
    ForwardSignedIn = "forward.signed_in",
    /// A signed-in person was refused a protected host by its rules.
    ForwardDenied = "forward.denied",
    /// A protected host's code was presented late, by another host or in another browser; it is used up.
    ForwardCodeRefused = "forward.code_refused",
    /// A bridge was created, changed, stopped, enabled again or deleted, by API, command or configuration.
    BridgeChanged = "bridge.changed",
    /// A signing key was created, imported, retired or revoked.
    KeyChanged = "key.changed",
    /// The database got its master key, or all secrets were re-encrypted with another one.
    MasterKeyChanged = "master_key.changed",
    /// A client was created, changed or disabled.
    ClientChanged = "client.changed",
    /// A message to another system was not delivered: `detail` says which, why, and whether it will be retried.
    DeliveryFailed = "delivery.failed",
    /// An operator retried or resent messages to other systems; `detail.messages` says how many.
    DeliveryRetried = "delivery.retried",
    /// A client registered itself.
    ClientRegistered = "client.registered",
    /// An initial access token for registration was created or revoked.
    RegistrationTokenChanged = "registration_token.changed",
    /// A group was created or deleted.
    GroupChanged = "group.changed",
    /// A resource was created, changed or disabled, by an administrator or the configuration.
    ResourceChanged = "resource.changed",
    /// A relying party was retired or its passkeys were moved.
    RelyingPartyChanged = "relying_party.changed",
}

/// One event, written together with its cause.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it happened.
    pub at: Time,
    /// What happened.
    pub kind: EventKind,
    /// The person whose account it concerns.
    pub user: Option<UserId>,
    /// The session that it happened in.
    pub session: Option<SessionId>,
    /// The client that it happened through.
    pub client: Option<String>,
    /// Id of the object that was acted on.
    pub subject: Option<String>,
    /// That object's name at the time.
    pub subject_name: Option<String>,
    /// Where the request came from.
    pub origin: Provenance,
    /// Further facts; never a secret, never an e-mail address.
    pub detail: Value,
}

impl Event {
    /// An event with only its kind, time and provenance; set the rest with struct update syntax.
    pub fn new(kind: EventKind, at: Time, origin: &Provenance) -> Self {
        Self {
            at,
            kind,
            user: None,
            session: None,
            client: None,
            subject: None,
            subject_name: None,
            origin: origin.clone(),
            detail: Value::Object(serde_json::Map::new()),
        }
    }

    /// An event for a change made at start-up by the configuration, which `source` names.
    pub fn of_configuration(kind: EventKind, change: &str, subject: &str, source: &str, at: Time) -> Self {
        let detail = serde_json::json!({ "change": change, "configuration": source });
        Self { subject: Some(subject.to_owned()), detail, ..Self::new(kind, at, &Provenance::default()) }
    }
}

/// Where a request came from, as much of it as we keep.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Provenance {
    /// The /24 (IPv4) or /56 (IPv6) network of the caller; the full address is not kept.
    pub address_class: Option<String>,
    /// The request's id, as answered in `X-Request-Id`.
    pub request_id: Option<String>,
    /// Browser and system in a few words, for the list of sessions.
    pub user_agent: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_from_its_text() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(*kind));
        }
        assert_eq!(EventKind::parse("user.Created"), None);
    }
}
