//! The request and response bodies of the passkey API.

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

/// The purpose of an authentication ceremony.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuthenticationPurpose {
    /// Sign in.
    #[default]
    SignIn,
    /// Re-verify the user in an existing session.
    StepUp,
}

/// The parameters that begin a sign-in or step-up.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuthenticationOptionsRequest {
    /// The user's e-mail address. If omitted, any discoverable passkey may respond. The response does not reveal
    /// whether the address is known.
    pub email: Option<String>,
    /// The purpose of the ceremony.
    pub purpose: AuthenticationPurpose,
    /// What the ceremony returns. Defaults to a session for this server's own pages.
    pub result: WantedRequest,
    /// The name of a relying-party profile, for callers that send no `Origin` header.
    pub relying_party: Option<String>,
}

/// The purpose of a registration ceremony.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegistrationPurpose {
    /// Create an account.
    SignUp,
    /// Add a passkey to the account of the signed-in user.
    Add,
}

/// Where the authenticator is located.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentChoice {
    /// Built into this device.
    Platform,
    /// A separate device: a security key or a phone.
    CrossPlatform,
}

/// The parameters that begin a registration.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegistrationOptionsRequest {
    /// The user's e-mail address, for sign-up. It is stored as unverified.
    pub email: Option<String>,
    /// The user's display name, for sign-up.
    pub name: Option<String>,
    /// The purpose of the ceremony. Defaults to `add` if the user is signed in and `result` is a session, and to
    /// `sign-up` otherwise.
    pub purpose: Option<RegistrationPurpose>,
    /// What the ceremony returns, for sign-up.
    pub result: WantedRequest,
    /// Where the authenticator must be located. Rejected if it conflicts with the server's `passkeys.attachment`
    /// setting.
    pub attachment: Option<AttachmentChoice>,
    /// Set to `["security-key"]` to ask for a security key. Rejected if the server's `passkeys.attachment` setting is
    /// `platform`.
    pub hints: Vec<String>,
    /// The name of a relying-party profile, for callers that send no `Origin` header.
    pub relying_party: Option<String>,
}

/// The options for the browser's passkey API.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OptionsResponse<O> {
    /// The ID of the ceremony, to be sent to the verify endpoint. Accepted once.
    pub ceremony_id: String,
    /// Seconds until the ceremony expires.
    pub expires_in: i64,
    /// Options for `navigator.credentials.create()` or `get()`, in the JSON format of WebAuthn Level 3 §5.1.8–5.1.10.
    #[schema(value_type = Object)]
    pub public_key: O,
}

impl<O> OptionsResponse<O> {
    /// Builds the response for a ceremony that has just begun; its lifetime is counted from `now`.
    pub fn new(begun: Begun<O>, now: Time) -> Self {
        Self {
            ceremony_id: begun.handle.expose().to_owned(),
            expires_in: (begun.deadline - now).num_seconds(),
            public_key: begun.options,
        }
    }
}

/// The browser's response to a ceremony.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyRequest {
    /// The `ceremonyId` from the options response.
    pub ceremony_id: String,
    /// The credential that the browser returned, as serialized by `toJSON()`.
    #[schema(value_type = Object)]
    pub credential: Box<RawValue>,
    /// The client from the options request, if the caller wants to repeat it. If it differs, the ceremony ends.
    #[serde(default)]
    pub client_id: Option<String>,
}

impl VerifyRequest {
    /// The answer of this request, together with the facts of the call that sent it.
    pub fn answer<'a>(&'a self, call: SecondCall<'a>, caller: &'a Caller) -> Answer<'a> {
        Answer {
            handle: &self.ceremony_id,
            credential: self.credential.get().as_bytes(),
            call,
            provenance: &caller.provenance,
        }
    }
}

/// A summary of a passkey.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PasskeyBrief {
    /// The ID of the passkey.
    pub id: Uuid,
    /// The name of the passkey.
    pub name: String,
}

/// The result of a ceremony that verified a user, of the kind that the options call requested.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum SignedInResponse {
    /// A session for this server's own pages. The session cookie is set.
    #[serde(rename_all = "camelCase")]
    Session {
        /// The session.
        session: SessionBrief,
        /// The user.
        user: UserView,
        /// The passkey that was used.
        passkey: PasskeyBrief,
        /// The path that the hosted pages open next.
        next: String,
        /// Data for the WebAuthn signal methods, which keep the passkey manager up to date.
        signals: Vec<Signal>,
    },
    /// Tokens for the client.
    #[serde(rename_all = "camelCase")]
    Tokens {
        /// The access token (RFC 9068).
        access_token: String,
        /// `Bearer`, or `DPoP` if the access token is bound to a key (RFC 9449 §5).
        token_type: &'static str,
        /// Lifetime of the access token, in seconds.
        expires_in: i64,
        /// The refresh token. Single use; exchange it at `/oauth/token`.
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<String>,
        /// The OpenID Connect ID token, if `openid` was granted.
        #[serde(skip_serializing_if = "Option::is_none")]
        id_token: Option<String>,
        /// The granted scopes, separated by spaces.
        scope: String,
        /// The user, limited to the claims that userinfo returns for the granted scopes.
        user: UserView,
        /// Data for the WebAuthn signal methods, which keep the passkey manager up to date.
        signals: Vec<Signal>,
    },
    /// A custom token for an external system.
    #[serde(rename_all = "camelCase")]
    Bridge {
        /// The name of the bridge.
        bridge: String,
        /// The custom token.
        token: String,
        /// Lifetime of the token, in seconds. `0` if the token does not expire.
        expires_in: i64,
        /// The user's ID in the target system, if the target's client library needs it.
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// The user.
        user: UserView,
        /// Data for the WebAuthn signal methods, which keep the passkey manager up to date.
        signals: Vec<Signal>,
    },
    /// The result for the backend whose action token began the ceremony. No session is opened.
    #[serde(rename_all = "camelCase")]
    Result {
        /// The action that was performed.
        #[schema(value_type = String)]
        action: Action,
        /// The result JWT, intended only for the backend. It is valid for 60 seconds and can be redeemed once.
        result: String,
        /// Lifetime of the result, in seconds.
        expires_in: i64,
        /// The URL that the hosted page opens next: the action token's `returnTo` with the result added.
        #[serde(skip_serializing_if = "Option::is_none")]
        return_to: Option<String>,
        /// Data for the WebAuthn signal methods, which keep the passkey manager up to date.
        signals: Vec<Signal>,
    },
}

impl SignedInResponse {
    /// Builds the response from the ceremony's result. Setting the session cookie, if there is one, is the handler's
    /// job. Returns `None` for the proof of a signed operation, which has its own response type.
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

/// The result of a registration.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum RegisteredResponse {
    /// A signed-in user added a passkey.
    Added(AddedResponse),
    /// A user added a passkey with the permission of a backend.
    Enrolled(EnrolledResponse),
    /// A new user signed up and is now signed in.
    SignedIn(SignedInResponse),
}

/// A passkey was added to the signed-in user's account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddedResponse {
    /// Always `passkey`.
    pub kind: &'static str,
    /// The new passkey.
    pub passkey: PasskeyView,
    /// Data for the WebAuthn signal methods, which keep the passkey manager up to date.
    pub signals: Vec<Signal>,
}

/// A passkey was added with the permission of a backend.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrolledResponse {
    /// Always `enrolled`.
    pub kind: &'static str,
    /// The new passkey.
    pub passkey: PasskeyView,
    /// The result JWT, intended only for the backend. It is valid for 60 seconds and can be redeemed once.
    pub result: String,
    /// Lifetime of the result, in seconds.
    pub expires_in: i64,
    /// The URL that the hosted page opens next: the action token's `returnTo` with the result added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    /// Data for the WebAuthn signal methods, which keep the passkey manager up to date.
    pub signals: Vec<Signal>,
}

impl EnrolledResponse {
    /// Builds the response from the ceremony's outcome.
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

/// A passkey, as shown to its owner.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasskeyView {
    /// The ID of the passkey.
    pub id: Uuid,
    /// The authenticator's credential ID, base64url.
    pub credential_id: String,
    /// The RP ID that the passkey belongs to.
    pub rp_id: String,
    /// The name of the passkey.
    pub name: String,
    /// The passkey provider, derived from the AAGUID. Informational only; never use it for access decisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'static str>,
    /// The AAGUID, if the authenticator sent one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aaguid: Option<Uuid>,
    /// The transports through which the authenticator can be reached.
    pub transports: Vec<String>,
    /// `multiDevice` if the passkey can be synced between devices, otherwise `singleDevice`.
    pub device_type: &'static str,
    /// Whether the passkey can be synced between devices.
    pub backup_eligible: bool,
    /// Whether the passkey was backed up when it was last used.
    pub backed_up: bool,
    /// When the passkey was added.
    pub created_at: DateTime<Utc>,
    /// When the passkey was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<DateTime<Utc>>,
    /// Whether the passkey is suspended because it may have been cloned. A suspended passkey cannot be used to sign in.
    pub suspended: bool,
    /// Whether this passkey opened the current session.
    pub current: bool,
}

impl PasskeyView {
    /// Builds the view for the passkey's owner. `current` is the passkey that opened their session.
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

/// The user's passkeys.
#[derive(Debug, Serialize, ToSchema)]
pub struct PasskeysResponse {
    /// The passkeys, oldest first.
    pub passkeys: Vec<PasskeyView>,
    /// Complete data for the WebAuthn signal methods, one entry for each RP ID.
    pub signals: Vec<Signal>,
}

/// The change to a passkey. Exactly one member is required.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeRequest {
    /// The new name, 1 to 64 characters.
    pub name: Option<String>,
    /// Set to `false` to lift a suspension. Requires a session that was opened with a different passkey.
    pub suspended: Option<bool>,
}

/// The result of removing a passkey.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedResponse {
    /// Complete data for the WebAuthn signal methods, one entry for each RP ID.
    pub signals: Vec<Signal>,
}

/// Whether a passkey ceremony would work from the calling origin.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelyingPartyResponse {
    /// Whether it would work.
    pub ok: bool,
    /// The RP ID that would be used.
    pub rp_id: String,
    /// The origin of the request: its `Origin` header, or this server's own origin for a same-origin request without
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The origins from which passkeys of this RP ID can be used.
    pub origins: Vec<String>,
    /// The reason why it would not work: `wrong_origin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The URL where it would work instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub go_to: Option<String>,
}
