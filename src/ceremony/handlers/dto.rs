//! The bodies of the passkey API.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::account::views::{SessionBrief, UserView};
use crate::ceremony::aaguid;
use crate::ceremony::authentication::Begun;
use crate::ceremony::binding::{Answer, SecondCall};
use crate::ceremony::outcome::{Given, SignedIn, SignedResult};
use crate::ceremony::signals::Signal;
use crate::ceremony::wanted::WantedRequest;
use crate::clock::Time;
use crate::domain::action::Action;
use crate::domain::id::PasskeyId;
use crate::storage::credentials::StoredPasskey;
use crate::tokens::mint::RESULT_LIFE;
use crate::web::Caller;

/// Why a sign-in ceremony is begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuthenticationPurpose {
    /// To sign in.
    #[default]
    SignIn,
    /// To prove again who one is, in a session that exists.
    StepUp,
}

/// First call of a sign-in.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuthenticationOptionsRequest {
    /// The person's e-mail; none: any discoverable passkey may answer. The answer does not tell whether it is known.
    pub email: Option<String>,
    /// Why.
    pub purpose: AuthenticationPurpose,
    /// What the ceremony gives; a session of our own pages when absent.
    pub result: WantedRequest,
    /// A relying-party profile by name, for callers without an `Origin`.
    pub relying_party: Option<String>,
}

/// Why a passkey is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegistrationPurpose {
    /// A stranger makes an account.
    SignUp,
    /// Somebody signed in adds one.
    Add,
}

/// Where an authenticator may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentChoice {
    /// In this device.
    Platform,
    /// Another device: a security key or a phone.
    CrossPlatform,
}

/// First call of a registration.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegistrationOptionsRequest {
    /// Sign-up: the person's e-mail; stays unverified.
    pub email: Option<String>,
    /// Sign-up: the person's name.
    pub name: Option<String>,
    /// Why; by default `add` for somebody signed in who wants nothing for a client, else `sign-up`.
    pub purpose: Option<RegistrationPurpose>,
    /// Sign-up: what the ceremony gives.
    pub result: WantedRequest,
    /// Where the authenticator may be. Refused when `passkeys.attachment` says otherwise.
    pub attachment: Option<AttachmentChoice>,
    /// `["security-key"]` asks for one; refused where `passkeys.attachment` is `platform`.
    pub hints: Vec<String>,
    /// A relying-party profile by name, for callers without an `Origin`.
    pub relying_party: Option<String>,
}

/// Answer of a first call.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OptionsResponse<O> {
    /// Handle of the ceremony, for the second call. Good for one answer.
    pub ceremony_id: String,
    /// Life of the ceremony, in seconds.
    pub expires_in: i64,
    /// Options for `navigator.credentials.create()` or `get()`, in the JSON form of WebAuthn Level 3 §5.1.8–5.1.10.
    #[schema(value_type = Object)]
    pub public_key: O,
}

impl<O> OptionsResponse<O> {
    /// What a ceremony was begun with, of which so much is left.
    pub fn new(begun: Begun<O>, now: Time) -> Self {
        Self {
            ceremony_id: begun.handle.expose().to_owned(),
            expires_in: (begun.deadline - now).num_seconds(),
            public_key: begun.options,
        }
    }
}

/// Second call of any ceremony.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyRequest {
    /// Handle from the first call.
    pub ceremony_id: String,
    /// The browser's answer, as `toJSON()` gives it. Read by the strict reader, never by this one.
    #[schema(value_type = Object)]
    pub credential: Box<RawValue>,
    /// May repeat the client of the first call; another one ends the ceremony.
    #[serde(default)]
    pub client_id: Option<String>,
}

impl VerifyRequest {
    /// The answer in it, as this call brings it.
    pub fn answer<'a>(&'a self, call: SecondCall<'a>, caller: &'a Caller) -> Answer<'a> {
        Answer {
            handle: &self.ceremony_id,
            credential: self.credential.get().as_bytes(),
            call,
            provenance: &caller.provenance,
        }
    }
}

/// A passkey in short.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PasskeyBrief {
    /// Our own id of it.
    pub id: Uuid,
    /// Its name.
    pub name: String,
}

/// Answer of a second call that signs somebody in: exactly what the ceremony was begun for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum SignedInResponse {
    /// A session; its cookie is set.
    #[serde(rename_all = "camelCase")]
    Session {
        /// The session.
        session: SessionBrief,
        /// Who.
        user: UserView,
        /// With which passkey.
        passkey: PasskeyBrief,
        /// Where our own pages go next.
        next: String,
        /// What to tell the passkey manager.
        signals: Vec<Signal>,
    },
    /// Tokens for the client.
    #[serde(rename_all = "camelCase")]
    Tokens {
        /// RFC 9068 access token.
        access_token: String,
        /// `Bearer`.
        token_type: &'static str,
        /// Life of the access token, in seconds.
        expires_in: i64,
        /// Single use; present it at `/oauth/token`.
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<String>,
        /// OpenID Connect ID token, when `openid` was granted.
        #[serde(skip_serializing_if = "Option::is_none")]
        id_token: Option<String>,
        /// Granted scopes.
        scope: String,
        /// Who, as far as userinfo tells it for these scopes.
        user: UserView,
        /// What to tell the passkey manager.
        signals: Vec<Signal>,
    },
    /// A custom token for another system.
    #[serde(rename_all = "camelCase")]
    Bridge {
        /// The bridge's name.
        bridge: String,
        /// The token.
        token: String,
        /// Its life, in seconds; 0 where it does not end by itself.
        expires_in: i64,
        /// Whom it is for at the target, where the target's client library asks.
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// Who.
        user: UserView,
        /// What to tell the passkey manager.
        signals: Vec<Signal>,
    },
    /// The result for the backend whose action token began the ceremony. Nobody is signed in here.
    #[serde(rename_all = "camelCase")]
    Result {
        /// What was done.
        #[schema(value_type = String)]
        action: Action,
        /// A JWT for the backend alone, good for 60 seconds and one redemption.
        result: String,
        /// Its life, in seconds.
        expires_in: i64,
        /// Where our own page goes on: the backend's return address, with the result.
        #[serde(skip_serializing_if = "Option::is_none")]
        return_to: Option<String>,
        /// What to tell the passkey manager.
        signals: Vec<Signal>,
    },
}

impl SignedInResponse {
    /// From the ceremony's result; the cookie, if there is one, is the handler's to set. None for the proof of a signed
    /// operation, which has an answer of its own.
    pub fn new(signed_in: SignedIn, user: UserView, next: &str) -> Option<Self> {
        let signals = vec![signed_in.signal];
        Some(match signed_in.given {
            Given::Proof(_) => return None,
            Given::Session(_) => Self::Session {
                session: SessionBrief {
                    id: signed_in.session.id.uuid(),
                    auth_time: signed_in.session.now,
                    acr: signed_in.session.acr,
                    amr: signed_in.session.amr,
                    expires_at: signed_in.session.expires_at,
                },
                user,
                passkey: PasskeyBrief { id: signed_in.passkey.id.uuid(), name: signed_in.passkey.name },
                next: next.to_owned(),
                signals,
            },
            Given::Tokens(tokens) => Self::Tokens {
                access_token: tokens.access_token,
                token_type: tokens.token_type,
                expires_in: tokens.expires_in,
                refresh_token: tokens.refresh_token,
                id_token: tokens.id_token,
                scope: tokens.scope,
                user,
                signals,
            },
            Given::Bridge(token) => Self::Bridge {
                bridge: token.bridge,
                token: token.token,
                expires_in: token.expires_in,
                subject: token.subject,
                user,
                signals,
            },
            Given::Result(result) => Self::Result {
                action: result.action,
                return_to: result.back(),
                result: result.token,
                expires_in: RESULT_LIFE.num_seconds(),
                signals,
            },
        })
    }
}

/// Answer of a second call that made a passkey.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum RegisteredResponse {
    /// Somebody who was signed in has one more.
    Added(AddedResponse),
    /// A backend permitted it.
    Enrolled(EnrolledResponse),
    /// Somebody signed up, and is signed in.
    SignedIn(SignedInResponse),
}

/// Answer of a second call that added a passkey.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddedResponse {
    /// `passkey`.
    pub kind: &'static str,
    /// The new passkey.
    pub passkey: PasskeyView,
    /// What to tell the passkey manager.
    pub signals: Vec<Signal>,
}

/// Answer of a second call that made a passkey because a backend permits it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrolledResponse {
    /// `enrolled`.
    pub kind: &'static str,
    /// The new passkey.
    pub passkey: PasskeyView,
    /// A JWT for the backend alone, good for 60 seconds and one redemption.
    pub result: String,
    /// Its life, in seconds.
    pub expires_in: i64,
    /// Where our own page goes on: the backend's return address, with the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    /// What to tell the passkey manager.
    pub signals: Vec<Signal>,
}

impl EnrolledResponse {
    /// From what the ceremony gave.
    pub fn new(passkey: &StoredPasskey, signal: Signal, result: SignedResult) -> Self {
        Self {
            kind: "enrolled",
            passkey: PasskeyView::new(passkey, None),
            return_to: result.back(),
            result: result.token,
            expires_in: RESULT_LIFE.num_seconds(),
            signals: vec![signal],
        }
    }
}

/// A passkey, as its owner sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasskeyView {
    /// Our own id of it.
    pub id: Uuid,
    /// The authenticator's credential id, base64url.
    pub credential_id: String,
    /// The RP id it signs for.
    pub rp_id: String,
    /// Its name.
    pub name: String,
    /// Where it is kept, from the AAGUID: a label, never a control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'static str>,
    /// The AAGUID, when the authenticator sent one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aaguid: Option<Uuid>,
    /// How it can be reached.
    pub transports: Vec<String>,
    /// `multiDevice` when it may be copied between devices, else `singleDevice`.
    pub device_type: &'static str,
    /// It may be copied between devices.
    pub backup_eligible: bool,
    /// It is, as of its last use.
    pub backed_up: bool,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it last signed its owner in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<DateTime<Utc>>,
    /// It signs nobody in, because a copy is suspected.
    pub suspended: bool,
    /// It opened this session.
    pub current: bool,
}

impl PasskeyView {
    /// For its owner; `current` is the passkey of their session.
    pub fn new(passkey: &StoredPasskey, current: Option<PasskeyId>) -> Self {
        Self {
            id: passkey.id.uuid(),
            credential_id: URL_SAFE_NO_PAD.encode(&passkey.credential_id),
            rp_id: passkey.rp_id.clone(),
            name: passkey.name.clone(),
            provider: passkey.aaguid.and_then(aaguid::name),
            aaguid: passkey.aaguid,
            transports: passkey.transports.clone(),
            device_type: if passkey.backup_eligible { "multiDevice" } else { "singleDevice" },
            backup_eligible: passkey.backup_eligible,
            backed_up: passkey.backup_state,
            created_at: passkey.created_at,
            last_used_at: passkey.last_used_at,
            suspended: passkey.suspended_at.is_some(),
            current: current == Some(passkey.id),
        }
    }
}

/// A person's passkeys.
#[derive(Debug, Serialize, ToSchema)]
pub struct PasskeysResponse {
    /// Oldest first.
    pub passkeys: Vec<PasskeyView>,
    /// What to tell the passkey managers, one entry for each RP id, complete.
    pub signals: Vec<Signal>,
}

/// A change of a passkey.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeRequest {
    /// Another name, 1 to 64 characters.
    pub name: Option<String>,
    /// `false` lifts a suspension; wants a session opened by another passkey.
    pub suspended: Option<bool>,
}

/// Answer of a removal.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedResponse {
    /// What to tell the passkey managers.
    pub signals: Vec<Signal>,
}

/// Would a ceremony from this address work?
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelyingPartyResponse {
    /// Yes or no.
    pub ok: bool,
    /// The RP id that would be used.
    pub rp_id: String,
    /// The request's origin: the one that it sent, or our own for a page of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The origins passkeys are used from here.
    pub origins: Vec<String>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The address to go to instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub go_to: Option<String>,
}
