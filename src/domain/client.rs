//! An OAuth client: who it is and what it may ask for (RFC 6749 §2).

use serde::{Deserialize, Serialize};

use super::scope::Scopes;
use super::secret::TokenDigest;

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientKind {
    /// A browser or native app: anyone can read it.
    #[default]
    Public,
    /// A server of its owner's.
    Confidential,
}

/// A way to get tokens that a client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GrantType {
    /// A passkey ceremony of ours, over REST or at the token endpoint.
    #[serde(rename = "passkey")]
    Passkey,
    /// RFC 6749 §6.
    #[serde(rename = "refresh_token")]
    RefreshToken,
}

/// What a client is, without its secret. This is also the stored document, in the words of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientDefinition {
    /// Name shown to people.
    pub name: String,
    /// Public or confidential.
    pub kind: ClientKind,
    /// Run by the same people as this server: may run ceremonies directly.
    #[serde(default)]
    pub first_party: bool,
    /// Web origins its pages run on, byte-exact; CORS and `clientDataJSON.origin` are held to them.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Redirect URIs, byte-exact.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Grants it may use.
    #[serde(default)]
    pub grants: Vec<GrantType>,
    /// Scopes it may ask for; `bridge:*` stands for every bridge.
    #[serde(default)]
    pub scopes: Scopes,
    /// The relying-party profile of its ceremonies; none: the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relying_party: Option<String>,
    /// Audiences it may ask access tokens for, beside this server itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// Life of its access tokens, in seconds; none: the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_ttl: Option<i64>,
    /// Algorithm of its ID tokens (JWA name); none: RS256, as OpenID Connect expects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_algorithm: Option<String>,
    /// Audiences whose tokens it may introspect, beside its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_introspect: Vec<String>,
}

/// A client as the server knows it.
#[derive(Clone, Debug)]
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// What it is and may do.
    pub definition: ClientDefinition,
    /// SHA-256 of its secret; none for a public client.
    pub secret: Option<TokenDigest>,
}

/// Why a client may not have what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientRefusal {
    /// The grant is not among its grants.
    #[error("this client may not use this grant")]
    Grant,
    /// Only first-party clients run ceremonies directly.
    #[error("only a first-party client may run a passkey ceremony itself; others use the authorization endpoint")]
    NotFirstParty,
    /// Nothing of what it asked for is allowed to it.
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

    /// The scopes granted for a request: all asked for, each allowed; the client's plain default when none is named.
    pub fn grant_scopes(&self, asked: Option<&Scopes>) -> Result<Scopes, ClientRefusal> {
        let Some(asked) = asked else {
            return Ok(["openid"].into_iter().filter(|scope| self.definition.scopes.grants(scope)).collect());
        };
        match asked.iter().find(|scope| !self.definition.scopes.grants(scope)) {
            Some(scope) => Err(ClientRefusal::Scope(scope.to_owned())),
            None => Ok(asked.clone()),
        }
    }

    /// The audience of an access token: the one asked for, if allowed, else the client's first, else this server.
    pub fn grant_audience(&self, asked: Option<&str>, issuer: &str) -> Result<String, ClientRefusal> {
        match asked {
            None => Ok(self.definition.audiences.first().map_or(issuer, String::as_str).to_owned()),
            Some(asked) if asked == issuer || self.definition.audiences.iter().any(|own| own == asked) => {
                Ok(asked.to_owned())
            }
            Some(_) => Err(ClientRefusal::Audience),
        }
    }

    /// Whether a web origin is the client's. No origin (a native or server caller) is judged by the ceremony itself.
    pub fn owns_origin(&self, origin: &str) -> Result<(), ClientRefusal> {
        if self.definition.origins.iter().any(|own| own == origin) { Ok(()) } else { Err(ClientRefusal::Origin) }
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
                redirect_uris: vec![],
                grants: vec![GrantType::Passkey],
                scopes: Scopes::parse("openid email bridge:*").unwrap(),
                relying_party: None,
                audiences: vec!["https://api.example".into()],
                access_ttl: None,
                id_token_algorithm: None,
                may_introspect: vec![],
            },
            secret: None,
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
