//! An OAuth client: who it is and what it may ask for (RFC 6749 §2).

mod check;
mod definition;
pub mod fields;

pub use check::{Misfit, check_id};
pub use definition::{
    AuthMethod, ClientDefinition, ClientKind, FederatedIdentity, GrantType, SecurityProfile, SubjectType,
};

use super::audience::known_as;
use super::scope::Scopes;
use super::secret::TokenDigest;
use crate::clock::Time;

/// A client as the server knows it.
#[derive(Clone, Debug)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// What it is and may do.
    pub definition: ClientDefinition,
    /// SHA-256 of its secret; `None` for a public client.
    pub secret: Option<TokenDigest>,
    /// SHA-256 of the previous secret, and until when that one is accepted.
    pub previous_secret: Option<(TokenDigest, Time)>,
    /// Since when it exists unverified: it registered itself, or was read from its own metadata document.
    pub unverified_since: Option<Time>,
}

/// Why a client's request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientRefusal {
    /// The client may not use the grant.
    #[error("this client may not use this grant")]
    Grant,
    /// Only first-party clients run ceremonies directly.
    #[error("only a first-party client may run a passkey ceremony itself; others use the authorization endpoint")]
    NotFirstParty,
    /// A requested scope is not allowed for the client.
    #[error("scope {0:?} is not allowed for this client")]
    Scope(String),
    /// The audience is not among its audiences.
    #[error("this client may not ask for tokens for that audience")]
    Audience,
    /// The ceremony came from an origin that is not the client's.
    #[error("this origin is not among the client's origins")]
    Origin,
}

impl Client {
    /// Whether the client authenticates by this method: the one that it names, otherwise what its kind and keys
    /// suggest. If no method is set, a secret is accepted in the header and in the body: people notice which one a
    /// library prefers only when it fails.
    pub fn authenticates_by(&self, method: AuthMethod) -> bool {
        let definition = &self.definition;
        if self.is_federated() {
            // A secret in addition would make the client only as strong as that secret.
            return false;
        }
        let has_keys = definition.jwks.is_some() || definition.jwks_uri.is_some();
        match (definition.auth_method, definition.kind) {
            (Some(own), _) => method == own,
            (None, ClientKind::Public) => method == AuthMethod::None,
            (None, ClientKind::Confidential) if has_keys && self.secret.is_none() => {
                method == AuthMethod::PrivateKeyJwt
            }
            (None, ClientKind::Confidential) => {
                matches!(method, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost)
            }
        }
    }

    /// Whether the client is an external workload, which authenticates only with the tokens of its platform.
    pub const fn is_federated(&self) -> bool {
        !self.definition.federated.is_empty()
    }

    /// Whether a token of the trusted issuer with that name, with this `sub` and exactly this audience, belongs to a
    /// workload of this client.
    pub fn is_workload(&self, issuer: &str, subject: &str, audience: &[String]) -> bool {
        let is = |one: &FederatedIdentity| {
            one.issuer == issuer && one.subject == subject && *audience == [one.audience.as_str()]
        };
        self.definition.federated.iter().any(is)
    }

    /// Whether the client is held to the FAPI 2.0 Security Profile.
    pub const fn is_fapi2(&self) -> bool {
        self.definition.security_profile.is_some()
    }

    /// Whether the client's authorization requests must have a PKCE challenge (RFC 9700 §2.1.1).
    pub fn requires_pkce(&self) -> bool {
        self.definition.kind == ClientKind::Public || self.definition.require_pkce || self.is_fapi2()
    }

    /// Whether the client's authorization requests must be pushed.
    pub const fn requires_par(&self) -> bool {
        self.definition.require_pushed_authorization_requests || self.is_fapi2()
    }

    /// Whether the client must sign its authorization requests (RFC 9101 §10.5).
    pub fn requires_signed_requests(&self) -> bool {
        self.definition.require_signed_request_object || self.signs_messages()
    }

    /// Whether we must sign the responses to the client's authorization requests (FAPI 2.0 Message Signing §5.4).
    pub fn requires_signed_answers(&self) -> bool {
        self.signs_messages()
    }

    fn signs_messages(&self) -> bool {
        self.definition.security_profile == Some(SecurityProfile::Fapi2MessageSigning)
    }

    /// Whether the server notifies the client when a session ends (OpenID Connect Back-Channel Logout §2.2).
    pub const fn is_told_of_logout(&self) -> bool {
        self.definition.backchannel_logout_uri.is_some()
    }

    /// Whether the client's access tokens must be bound to a DPoP key.
    pub const fn requires_dpop(&self) -> bool {
        self.definition.dpop_bound_access_tokens || self.is_fapi2()
    }

    /// Whether each refresh token of the client can be used only once. Not under FAPI 2.0: a token is useless there
    /// without the client's own key, and a lost response must not force the person to sign in again (FAPI 2.0 Security
    /// Profile §5.3.2.1).
    pub const fn rotates_refresh_tokens(&self) -> bool {
        !self.is_fapi2()
    }

    /// Whether the client may use a grant.
    pub fn may_use(&self, grant: GrantType) -> Result<(), ClientRefusal> {
        if self.definition.grants.contains(&grant) { Ok(()) } else { Err(ClientRefusal::Grant) }
    }

    /// Whether the client may run passkey ceremonies itself.
    pub fn may_run_ceremonies(&self) -> Result<(), ClientRefusal> {
        if !self.definition.first_party {
            return Err(ClientRefusal::NotFirstParty);
        }
        self.may_use(GrantType::Passkey)
    }

    /// The scopes granted for a request: all that were requested, each allowed; the default is `openid` if the client
    /// may have it.
    pub fn grant_scopes(&self, asked: Option<&Scopes>) -> Result<Scopes, ClientRefusal> {
        let Some(asked) = asked else {
            return Ok(["openid"].into_iter().filter(|scope| self.definition.scopes.grants(scope)).collect());
        };
        match asked.iter().find(|scope| !self.definition.scopes.grants(scope)) {
            Some(scope) => Err(ClientRefusal::Scope(scope.to_owned())),
            None => Ok(asked.clone()),
        }
    }

    /// The audience of an access token: the requested one, if allowed, by its registered name; by default the client's
    /// first audience, otherwise this server.
    pub fn grant_audience(&self, asked: Option<&str>, issuer: &str) -> Result<String, ClientRefusal> {
        let own = || self.definition.audiences.iter().map(String::as_str);
        let granted = match asked {
            None => Some(own().next().unwrap_or(issuer)),
            Some(asked) => known_as(std::iter::once(issuer).chain(own()), asked),
        };
        granted.map(ToOwned::to_owned).ok_or(ClientRefusal::Audience)
    }

    /// Whether a web origin belongs to the client. A caller without an origin (native app or server) is judged by the
    /// ceremony itself.
    ///
    /// If a public client that uses codes has no origins configured, the origins of its redirect URIs are used, because
    /// its pages run where the codes are sent.
    pub fn owns_origin(&self, origin: &str) -> Result<(), ClientRefusal> {
        let definition = &self.definition;
        let owns = if definition.origins.is_empty() && self.has_pages_where_codes_go() {
            definition.redirect_uris.iter().any(|uri| fields::is_at(uri, origin))
        } else {
            definition.origins.iter().any(|own| own == origin)
        };
        if owns { Ok(()) } else { Err(ClientRefusal::Origin) }
    }

    /// Whether a page on a web origin may call the OAuth endpoints as the client: one of its [own
    /// origins](Self::owns_origin), or a loopback address that its codes are sent to, which cannot be listed as an
    /// origin.
    pub fn owns_page(&self, origin: &str) -> Result<(), ClientRefusal> {
        let at_loopback = |uri: &String| fields::is_at_loopback(uri, origin);
        if self.has_pages_where_codes_go() && self.definition.redirect_uris.iter().any(at_loopback) {
            return Ok(());
        }
        self.owns_origin(origin)
    }

    fn has_pages_where_codes_go(&self) -> bool {
        self.definition.kind == ClientKind::Public && self.may_use(GrantType::AuthorizationCode).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client {
            id: "web".into(),
            definition: ClientDefinition {
                name: "Web".into(),
                kind: ClientKind::Public,
                first_party: true,
                origins: vec!["https://app.example".into()],
                grants: vec![GrantType::Passkey],
                scopes: Scopes::parse("openid email bridge:*").unwrap(),
                audiences: vec!["https://api.example".into()],
                ..ClientDefinition::default()
            },
            secret: None,
            previous_secret: None,
            unverified_since: None,
        }
    }

    #[test]
    fn a_workload_is_known_by_issuer_subject_and_audience_to_the_byte() {
        let identity = |issuer: &str, subject: &str| FederatedIdentity {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            audience: "https://id.example".to_owned(),
        };
        let federated = vec![identity("k8s", "shop:worker"), identity("github", "repo:acme/shop")];
        let mut worker = client();
        worker.definition.federated = federated;
        let us = &["https://id.example"][..];
        for (name, issuer, subject, audience, is) in [
            ("the first", "k8s", "shop:worker", us, true),
            ("the second", "github", "repo:acme/shop", us, true),
            ("the name of the one at the other", "github", "shop:worker", us, false),
            ("a longer name", "k8s", "shop:worker2", us, false),
            ("in other case", "k8s", "Shop:worker", us, false),
            ("another issuer", "elsewhere", "shop:worker", us, false),
            ("for somebody else", "k8s", "shop:worker", &["https://other.example"], false),
            (
                "for somebody else as well",
                "k8s",
                "shop:worker",
                &["https://id.example", "https://other.example"],
                false,
            ),
            ("for us twice", "k8s", "shop:worker", &["https://id.example", "https://id.example"], false),
            ("for nobody", "k8s", "shop:worker", &[], false),
        ] {
            let audience: Vec<String> = audience.iter().map(|&one| one.to_owned()).collect();
            assert_eq!(worker.is_workload(issuer, subject, &audience), is, "{name}");
        }
        assert!(!client().is_workload("k8s", "shop:worker", &["https://id.example".to_owned()]));
        for method in [AuthMethod::None, AuthMethod::ClientSecretBasic, AuthMethod::PrivateKeyJwt] {
            assert!(!worker.authenticates_by(method), "{method:?}");
        }
    }

    #[test]
    fn scopes_are_granted_whole_or_refused_by_name() {
        let scopes = |text| Scopes::parse(text).unwrap();
        assert_eq!(client().grant_scopes(None).unwrap().to_string(), "openid");
        assert_eq!(client().grant_scopes(Some(&scopes("email bridge:x"))).unwrap().to_string(), "bridge:x email");
        assert_eq!(client().grant_scopes(Some(&scopes("openid admin"))), Err(ClientRefusal::Scope("admin".into())));
    }

    #[test]
    fn audiences() {
        let issuer = "https://id.example";
        assert_eq!(client().grant_audience(None, issuer).unwrap(), "https://api.example");
        assert_eq!(client().grant_audience(Some(issuer), issuer).unwrap(), issuer);
        assert_eq!(client().grant_audience(Some("https://other.example"), issuer), Err(ClientRefusal::Audience));
        assert_eq!(client().grant_audience(Some("https://api.example/"), issuer).unwrap(), "https://api.example");
        assert_eq!(client().grant_audience(Some("https://id.example/"), issuer).unwrap(), issuer);
        assert_eq!(client().grant_audience(Some("https://api.example/v1"), issuer), Err(ClientRefusal::Audience));
    }

    #[test]
    fn the_pages_of_a_public_client_without_origins_are_where_its_codes_go() {
        let mut page = client();
        page.definition = ClientDefinition {
            origins: Vec::new(),
            grants: vec![GrantType::AuthorizationCode],
            redirect_uris: [
                "https://app.example/cb",
                "https://app.example:8443?from=us",
                "http://localhost:3000/cb",
                "http://127.0.0.1/cb",
                "com.example.app:/cb",
            ]
            .map(str::to_owned)
            .into(),
            ..page.definition
        };
        for (origin, owned) in [
            ("https://app.example", true),
            ("https://app.example:8443", true),
            ("http://localhost:3000", true),
            ("http://127.0.0.1", false),
            ("http://localhost", false),
            ("https://app.example/", false),
            ("https://app.exampl", false),
            ("https://app.example:844", false),
            ("https://APP.example", false),
            ("https:", false),
            ("https:/", false),
            ("com.example.app:", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(page.owns_origin(origin).is_ok(), owned, "{origin}");
        }
        let owns = |change: fn(&mut ClientDefinition)| {
            let mut other = page.clone();
            change(&mut other.definition);
            other.owns_origin("https://app.example").is_ok()
        };
        assert!(
            !owns(|definition| definition.origins = vec!["https://other.example".into()]),
            "what is given counts alone"
        );
        assert!(!owns(|definition| definition.kind = ClientKind::Confidential), "a server's calls come from no page");
        assert!(
            !owns(|definition| definition.grants = vec![GrantType::DeviceCode]),
            "nothing is sent to its redirect URIs"
        );
    }

    #[test]
    fn pages_at_loopback_addresses_call_the_oauth_endpoints_alone() {
        let mut page = client();
        page.definition.grants = vec![GrantType::AuthorizationCode];
        page.definition.redirect_uris = [
            "http://127.0.0.1:5173/cb",
            "http://[::1]:5173/cb",
            "http://127.0.0.1/cb",
            "https://10.0.0.1/cb",
            "http://localhost:3000/cb",
        ]
        .map(str::to_owned)
        .into();
        for (origin, owned) in [
            ("https://app.example", true),
            ("http://127.0.0.1:5173", true),
            ("http://[::1]:5173", true),
            ("http://127.0.0.1", true),
            ("http://127.0.0.1:5174", false),
            ("http://127.0.0.1:517", false),
            ("http://127.0.0.1:5173/", false),
            ("https://127.0.0.1:5173", false),
            ("http://127.1:5173", false),
            ("https://10.0.0.1", false),
            ("http://localhost:3000", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(page.owns_page(origin).is_ok(), owned, "{origin}");
            let own = origin == "https://app.example";
            assert_eq!(page.owns_origin(origin).is_ok(), own, "{origin}: ceremonies stay where passkeys work");
        }
        let mut other = page.clone();
        other.definition.kind = ClientKind::Confidential;
        assert!(other.owns_page("http://127.0.0.1:5173").is_err(), "a server's calls come from no page");
        page.definition.grants = vec![GrantType::DeviceCode];
        assert!(page.owns_page("http://127.0.0.1:5173").is_err(), "nothing is sent to its redirect URIs");
    }

    #[test]
    fn ceremonies_need_a_first_party_client_with_the_grant_and_its_own_origin() {
        assert_eq!(client().may_run_ceremonies(), Ok(()));
        let mut third = client();
        third.definition.first_party = false;
        assert_eq!(third.may_run_ceremonies(), Err(ClientRefusal::NotFirstParty));
        let mut without = client();
        without.definition.grants.clear();
        assert_eq!(without.may_run_ceremonies(), Err(ClientRefusal::Grant));
        for origin in ["https://app.example/", "https://APP.example", "https://app.example:443", "null", ""] {
            assert_eq!(client().owns_origin(origin), Err(ClientRefusal::Origin), "{origin}");
        }
    }
}
