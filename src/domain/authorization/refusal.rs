//! All reasons to refuse an authorization request, in one table. The descriptions are fixed: they repeat nothing from
//! the request and use only the characters that RFC 6749 §4.1.2.1 allows.

macro_rules! refusals {
    ($($(#[$doc:meta])* $kind:ident: $code:literal, $description:literal;)*) => {
        /// Why a request is refused, as reported to the client at its redirect URI.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal { $($(#[$doc])* $kind,)* }

        impl Refusal {
            /// Every refusal, for the documentation and the tests.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The registered error code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)* }
            }

            /// The sentence for the developer.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$kind => $description,)* }
            }
        }
    };
}

refusals! {
    /// RFC 6749 §3.1.
    Repeated: "invalid_request", "A parameter was sent twice, or there are more than 64.";
    /// RFC 9126 §6.
    NotPushed: "invalid_request", "This client must push its authorization requests (RFC 9126).";
    /// RFC 9101 §10.5.
    NotSigned: "invalid_request", "This client must sign its authorization requests (RFC 9101).";
    /// RFC 9101 §5.
    TwoRequests: "invalid_request", "Send request or request_uri, not both.";
    /// The client has no keys to sign with.
    NoRequestKeys: "request_not_supported", "This client has no keys registered, so its requests cannot be signed.";
    /// RFC 9101 §6.
    RequestObject: "invalid_request_object", "The request object is not valid: iss and client_id are the client, aud is our issuer, exp is ahead, jti is new, and the signature is by a key of the client.";
    /// RFC 9101 §4.
    Nested: "invalid_request_object", "A request object must not hold request or request_uri.";
    /// RFC 9101 §6.2: neither pushed nor registered, or it cannot be read.
    RequestUri: "invalid_request_uri", "The request_uri is not one that this client registered, or its content cannot \
        be read.";
    /// OpenID Connect Core §7.2.1.
    Registration: "registration_not_supported", "The registration parameter is not supported.";
    /// The client may not use the grant.
    Grant: "unauthorized_client", "This client may not use the authorization code grant.";
    /// RFC 6749 §3.1.1.
    NoResponseType: "invalid_request", "The parameter response_type is missing.";
    /// Only codes are sent through the browser (RFC 9700 §2.1.2).
    ResponseType: "unsupported_response_type", "Only response_type=code is supported.";
    /// Not a known response mode.
    ResponseMode: "invalid_request", "The response_mode must be query, form_post, jwt, query.jwt or form_post.jwt.";
    /// FAPI 2.0 Message Signing §5.4.
    PlainAnswer: "invalid_request", "This client must ask for a signed answer: response_mode=jwt, query.jwt or form_post.jwt.";
    /// Malformed, unknown or not allowed for the client.
    Scope: "invalid_scope", "A scope is malformed, unknown or not allowed for this client.";
    /// OpenID Connect Core §3.1.2.1.
    Prompt: "invalid_request", "The parameter prompt contains an unknown value, or none together with another.";
    /// OpenID Connect Core §3.1.2.1.
    MaxAge: "invalid_request", "The parameter max_age must be a whole number of seconds.";
    /// RFC 9700 §2.1.1.
    NoChallenge: "invalid_request", "This client must send a code_challenge (PKCE).";
    /// RFC 7636 §4.3.
    ChallengeMethod: "invalid_request", "Only code_challenge_method=S256 is supported, and it must be named.";
    /// RFC 7636 §4.2.
    Challenge: "invalid_request", "The code_challenge must be the 43 characters of a base64url-encoded SHA-256.";
    /// Longer than we store.
    State: "invalid_request", "The parameter state is longer than 4096 bytes.";
    /// Longer than we store.
    Nonce: "invalid_request", "The parameter nonce is longer than 512 bytes.";
    /// OpenID Connect Core §5.5.
    Claims: "invalid_request", "The parameter claims is not a JSON object as OpenID Connect has it, or longer than 4096 bytes.";
    /// RFC 8707 §2.
    Target: "invalid_target", "A resource is unknown or not allowed for this client.";
    /// RFC 9449 §10.
    DpopKey: "invalid_request", "The parameter dpop_jkt must be a base64url-encoded SHA-256 thumbprint.";
    /// OpenID Connect Core §3.1.2.6.
    LoginRequired: "login_required", "The person must sign in.";
    /// OpenID Connect Core §3.1.2.6.
    ConsentRequired: "consent_required", "The person must allow what is requested.";
    /// OpenID Connect Core §3.1.2.6.
    AccountSelectionRequired: "account_selection_required", "The person must choose an account.";
    /// OpenID Connect Core §3.1.2.6.
    InteractionRequired: "interaction_required", "The person must be shown a page.";
    /// OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
    Unmet: "unmet_authentication_requirements", "The sign-in does not reach the requested authentication context.";
    /// The person said no.
    Denied: "access_denied", "The person did not allow it.";
    /// More requests than the network may make (RFC 6749 §4.1.2.1).
    Busy: "temporarily_unavailable", "Too many requests from this network. Try again in a minute.";
    /// The person is not in a group that may use the client.
    NotAllowed: "access_denied", "This person may not use this client.";
}

/// Why a request is answered with a page of ours and never redirected: it is not proven who sent it or where the
/// response would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unsafe {
    /// `client_id` is missing or was sent twice.
    #[error("the parameter client_id is missing or was sent twice")]
    NoClient,
    /// No such client, or it is disabled.
    #[error("the client is not registered here, or is disabled")]
    UnknownClient,
    /// `redirect_uri` is missing or was sent twice.
    #[error("the parameter redirect_uri is missing or was sent twice")]
    NoRedirectUri,
    /// The handle of a pushed request that does not exist (RFC 9126 §4).
    #[error("the pushed request is unknown, has expired, was used, or is another client's")]
    PushedRequest,
    /// The redirect URI is not one of the client's.
    #[error("the redirect URI is not registered for this client")]
    RedirectUri,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6749 §4.1.2.1: `%x20-21 / %x23-5B / %x5D-7E`.
    #[test]
    fn descriptions_hold_allowed_characters_only() {
        for refusal in Refusal::ALL {
            let plain = |b: u8| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(refusal.description().bytes().all(plain), "{refusal:?}");
            assert!(refusal.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{refusal:?}");
        }
    }
}
