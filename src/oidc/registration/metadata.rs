//! Converts the metadata of registration (RFC 7591 §2 and its registry) to our own definition, and back.
//!
//! Unknown members are ignored (§2). What the policy does not allow is left out, and the response shows what was
//! registered (§3.2.1). Unusable links that only people would follow are left out too, so that they do not prevent a
//! registration. To add a member: its line in [`read`] and in [`write`](fn@write).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use url::Url;

use crate::config::{self, RegistrationMode};
use crate::domain::client::{AuthMethod, ClientDefinition, ClientKind, GrantType, SubjectType, fields};
use crate::domain::scope::{self, Scopes};
use crate::tokens::keys::Algorithm;
use crate::web::error::{Failure, Kind};

/// `grant_type` of the device flow (RFC 8628 §3.4).
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The signing algorithms of request objects that a client may register.
const REQUEST_ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];

/// What self-registered clients may have.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Who may register.
    pub mode: RegistrationMode,
    /// The grants. Never those that an operator must give: passkey, token exchange, assertions.
    pub grants: Vec<GrantType>,
    /// The scopes. Never those of administration.
    pub scopes: Scopes,
    /// The APIs for which they may request tokens.
    pub audiences: Vec<String>,
    /// The maximum number of self-registered clients.
    pub max_clients: i64,
    /// Whether clients are read from metadata documents.
    pub metadata_documents: bool,
    /// The signing algorithms that discovery lists. A registration cannot require a key that does not exist.
    pub algorithms: Vec<&'static str>,
}

impl Policy {
    /// The policy of the configuration.
    pub fn of(config: &config::Registration, algorithms: &[Algorithm]) -> Self {
        let domain = |grant: &config::Grant| serde_json::from_value(grant.as_str().into()).ok();
        let allowed =
            |grant: &GrantType| !matches!(grant, GrantType::Passkey | GrantType::TokenExchange | GrantType::JwtBearer);
        let plain = |scope: &&str| !scope::is_powerful(scope);
        Self {
            mode: config.mode,
            grants: config.grants.iter().filter_map(domain).filter(allowed).collect(),
            scopes: config.scopes.iter().map(String::as_str).filter(plain).collect(),
            audiences: config.audiences.clone(),
            max_clients: i64::from(config.max_clients),
            metadata_documents: config.metadata_documents,
            algorithms: algorithms.iter().map(|algorithm| algorithm.as_str()).collect(),
        }
    }
}

fn wrong(member: &str, what: &str) -> Failure {
    Failure::new(Kind::InvalidClientMetadata, format!("{member} {what}."))
}

/// Reads members with their types.
struct Members<'a>(&'a Map<String, Value>);

impl Members<'_> {
    /// Null counts as absent.
    fn find(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.find(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong(name, "must be a text")),
        }
    }

    /// An https URL of the app. An empty one counts as absent.
    fn address(&self, name: &str) -> Result<Option<String>, Failure> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        if text.as_deref().is_some_and(|text| !text.starts_with("https://")) {
            return Err(wrong(name, "must be an https address"));
        }
        Ok(text)
    }

    /// A link for people, if it is usable.
    fn link(&self, name: &str) -> Option<String> {
        let text = self.find(name)?.as_str()?;
        (text.starts_with("https://") && fields::web_address(text).is_ok()).then(|| text.to_owned())
    }

    fn switch(&self, name: &str) -> Result<bool, Failure> {
        match self.find(name) {
            None => Ok(false),
            Some(Value::Bool(switch)) => Ok(*switch),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }

    fn number(&self, name: &str) -> Result<Option<i64>, Failure> {
        match self.find(name) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| wrong(name, "must be a whole number")),
        }
    }

    fn list(&self, name: &str) -> Result<Option<Vec<String>>, Failure> {
        let not = || wrong(name, "must be a list of texts");
        match self.find(name) {
            None => Ok(None),
            Some(Value::Array(list)) => {
                let texts = list.iter().map(|one| one.as_str().map(ToOwned::to_owned).ok_or_else(not));
                texts.collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(not()),
        }
    }

    fn algorithm(&self, name: &str, known: &[&str]) -> Result<Option<String>, Failure> {
        let text = self.text(name)?;
        match &text {
            Some(algorithm) if !known.contains(&algorithm.as_str()) => {
                Err(wrong(name, &format!("must be one of {}", known.join(", "))))
            }
            _ => Ok(text),
        }
    }
}

/// The client that a registration describes, as far as the policy allows. [`Rules`](crate::clients::rules::Rules) are
/// checked afterwards.
pub fn read(members: &Map<String, Value>, policy: &Policy) -> Result<ClientDefinition, Failure> {
    let members = Members(members);
    if members.find("software_statement").is_some() {
        return Err(Failure::new(
            Kind::InvalidSoftwareStatement,
            "No issuer of software statements is trusted here: leave software_statement out.",
        ));
    }
    let redirect_uris = redirect_uris(&members)?;
    let grants = grants(&members, policy)?;
    let signing = &policy.algorithms;
    let (kind, auth_method) = authentication(&members)?;
    let id_token_algorithm = members.algorithm("id_token_signed_response_alg", signing)?;
    Ok(ClientDefinition {
        name: name(&members, &redirect_uris)?,
        kind,
        first_party: false,
        origins: if kind == ClientKind::Public { origins(&redirect_uris) } else { Vec::new() },
        redirect_uris,
        grants,
        scopes: scopes(&members, policy)?,
        audiences: policy.audiences.clone(),
        id_token_algorithm: Some(id_token_algorithm.unwrap_or_else(|| "RS256".to_owned())),
        auth_method: Some(auth_method),
        jwks: members.find("jwks").cloned(),
        jwks_uri: members.address("jwks_uri")?,
        require_pushed_authorization_requests: members.switch("require_pushed_authorization_requests")?,
        dpop_bound_access_tokens: members.switch("dpop_bound_access_tokens")?,
        require_signed_request_object: members.switch("require_signed_request_object")?,
        request_object_algorithm: members.algorithm("request_object_signing_alg", &REQUEST_ALGORITHMS)?,
        request_uris: request_uris(&members)?,
        authorization_response_algorithm: members.algorithm("authorization_signed_response_alg", signing)?,
        userinfo_algorithm: members.algorithm("userinfo_signed_response_alg", signing)?,
        introspection_algorithm: members.algorithm("introspection_signed_response_alg", signing)?,
        subject_type: subject_type(&members)?,
        sector_identifier_uri: members.address("sector_identifier_uri")?,
        default_max_age: members.number("default_max_age")?,
        default_acr_values: members.list("default_acr_values")?.unwrap_or_default(),
        post_logout_redirect_uris: members.list("post_logout_redirect_uris")?.unwrap_or_default(),
        backchannel_logout_uri: members.address("backchannel_logout_uri")?,
        backchannel_logout_session_required: members.switch("backchannel_logout_session_required")?,
        frontchannel_logout_uri: members.address("frontchannel_logout_uri")?,
        frontchannel_logout_session_required: members.switch("frontchannel_logout_session_required")?,
        initiate_login_uri: members.address("initiate_login_uri")?,
        client_uri: members.link("client_uri"),
        logo_uri: members.link("logo_uri"),
        policy_uri: members.link("policy_uri"),
        tos_uri: members.link("tos_uri"),
        contacts: contacts(&members),
        ..ClientDefinition::default()
    })
}

/// A new definition, with the settings that only operators make taken from the old one: no client can lift its own
/// restrictions. A client that operators made the workload of a platform continues to authenticate with the platform's
/// tokens, whatever it asks for.
pub fn with_settings_of_operators(new: ClientDefinition, old: &ClientDefinition) -> ClientDefinition {
    let authenticated = if old.federated.is_empty() { &new } else { old };
    ClientDefinition {
        kind: authenticated.kind,
        auth_method: authenticated.auth_method,
        federated: old.federated.clone(),
        origins: authenticated.origins.clone(),
        allowed_groups: old.allowed_groups.clone(),
        security_profile: old.security_profile,
        require_pkce: old.require_pkce,
        access_ttl: old.access_ttl,
        claims_in_id_token: old.claims_in_id_token,
        attribute_claims: old.attribute_claims.clone(),
        may_introspect: old.may_introspect.clone(),
        relying_party: old.relying_party.clone(),
        audiences: new.audiences.iter().chain(&old.audiences).cloned().collect::<BTreeSet<_>>().into_iter().collect(),
        ..new
    }
}

fn redirect_uris(members: &Members<'_>) -> Result<Vec<String>, Failure> {
    let refused = |what: String| Failure::new(Kind::InvalidRedirectUri, what);
    let list = members.list("redirect_uris").map_err(|failure| refused(failure.detail().to_owned()))?;
    let list = list.unwrap_or_default();
    if list.len() > 50 {
        return Err(refused("There are more than 50 redirect_uris.".to_owned()));
    }
    let (claimable, usable): (Vec<_>, Vec<_>) = list.into_iter().partition(|uri| fields::is_of_claimable_scheme(uri));
    let list = if usable.is_empty() { claimable } else { usable };
    for uri in &list {
        fields::redirect_uri(uri)
            .map_err(|fault| refused(format!("A redirect URI {}; {}.", fault.what, fault.cure)))?;
    }
    Ok(list)
}

fn grants(members: &Members<'_>, policy: &Policy) -> Result<Vec<GrantType>, Failure> {
    let asked = members.list("grant_types")?.unwrap_or_else(|| vec!["authorization_code".to_owned()]);
    let known = |name: &String| match name.as_str() {
        "authorization_code" => Some(GrantType::AuthorizationCode),
        "refresh_token" => Some(GrantType::RefreshToken),
        "client_credentials" => Some(GrantType::ClientCredentials),
        DEVICE_CODE => Some(GrantType::DeviceCode),
        _ => None,
    };
    let mut grants: Vec<GrantType> = Vec::new();
    for grant in asked.iter().filter_map(known).filter(|grant| policy.grants.contains(grant)) {
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    if grants.iter().all(|grant| *grant == GrantType::RefreshToken) {
        return Err(wrong("grant_types", "has none that registered clients may use here"));
    }
    let responses = members.list("response_types")?.unwrap_or_else(|| vec!["code".to_owned()]);
    let by_code = responses.iter().any(|response| response == "code");
    if grants.contains(&GrantType::AuthorizationCode) && !by_code {
        return Err(wrong("response_types", "must have code, which the grant authorization_code wants"));
    }
    Ok(grants)
}

fn authentication(members: &Members<'_>) -> Result<(ClientKind, AuthMethod), Failure> {
    match members.text("token_endpoint_auth_method")?.as_deref() {
        None | Some("client_secret_basic") => Ok((ClientKind::Confidential, AuthMethod::ClientSecretBasic)),
        Some("client_secret_post") => Ok((ClientKind::Confidential, AuthMethod::ClientSecretPost)),
        Some("private_key_jwt") => Ok((ClientKind::Confidential, AuthMethod::PrivateKeyJwt)),
        Some("none") => Ok((ClientKind::Public, AuthMethod::None)),
        Some(_) => Err(wrong(
            "token_endpoint_auth_method",
            "must be one of client_secret_basic, client_secret_post, private_key_jwt, none",
        )),
    }
}

fn name(members: &Members<'_>, redirect_uris: &[String]) -> Result<String, Failure> {
    let told = members.text("client_name")?.filter(|name| !name.trim().is_empty());
    let host = || redirect_uris.iter().find_map(|uri| Url::parse(uri).ok()?.host_str().map(ToOwned::to_owned));
    let name = told.or_else(host).unwrap_or_else(|| "A registered app".to_owned());
    Ok(name.chars().take(fields::LONGEST_NAME).collect())
}

/// Those of the contacts that may be e-mail addresses, or other addresses that people write to.
fn contacts(members: &Members<'_>) -> Vec<String> {
    let listed = members.find("contacts").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut contacts: Vec<String> = Vec::new();
    for contact in listed.filter(|contact| fields::identifier(contact).is_ok()) {
        if contacts.len() < fields::MOST && !contacts.iter().any(|known| known == contact) {
            contacts.push(contact.to_owned());
        }
    }
    contacts
}

/// The origins that the pages of a browser app run on, derived from its redirect URIs.
fn origins(redirect_uris: &[String]) -> Vec<String> {
    let mut origins: Vec<String> = redirect_uris
        .iter()
        .filter_map(|uri| Some(Url::parse(uri).ok()?.origin().ascii_serialization()))
        .filter(|origin| fields::origin(origin).is_ok())
        .collect();
    origins.sort_unstable();
    origins.dedup();
    origins
}

fn scopes(members: &Members<'_>, policy: &Policy) -> Result<Scopes, Failure> {
    let Some(asked) = members.text("scope")? else { return Ok(policy.scopes.clone()) };
    let asked = Scopes::parse(&asked).map_err(|error| wrong("scope", &error.to_string()))?;
    let granted: Scopes = asked.iter().filter(|scope| policy.scopes.contains(scope)).collect();
    // If only scopes of another server were named, this counts as naming none; the response shows what was registered.
    Ok(if granted.is_empty() && !asked.is_empty() { policy.scopes.clone() } else { granted })
}

fn request_uris(members: &Members<'_>) -> Result<Vec<String>, Failure> {
    let list = members.list("request_uris")?.unwrap_or_default();
    if list.iter().all(|uri| uri.starts_with("https://")) {
        Ok(list)
    } else {
        Err(wrong("request_uris", "must be https addresses"))
    }
}

fn subject_type(members: &Members<'_>) -> Result<SubjectType, Failure> {
    match members.text("subject_type")?.as_deref() {
        None | Some("public") => Ok(SubjectType::Public),
        Some("pairwise") => Ok(SubjectType::Pairwise),
        Some(_) => Err(wrong("subject_type", "must be public or pairwise")),
    }
}

/// The registered metadata (RFC 7591 §3.2.1).
pub fn write(definition: &ClientDefinition) -> Map<String, Value> {
    let grants: Vec<&str> = definition.grants.iter().map(|grant| grant_type(*grant)).collect();
    let by_code = definition.grants.contains(&GrantType::AuthorizationCode);
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| {
        let empty = match &value {
            Value::Null => true,
            Value::Array(list) => list.is_empty(),
            _ => false,
        };
        if !empty {
            all.insert(name.to_owned(), value);
        }
    };
    put("client_name", json!(definition.name));
    put("redirect_uris", json!(definition.redirect_uris));
    put("grant_types", json!(grants));
    put("response_types", if by_code { json!(["code"]) } else { Value::Null });
    put("token_endpoint_auth_method", json!(definition.auth_method));
    put("scope", json!(definition.scopes.to_string()));
    put("jwks", json!(definition.jwks));
    put("jwks_uri", json!(definition.jwks_uri));
    put("id_token_signed_response_alg", json!(definition.id_token_algorithm));
    put("userinfo_signed_response_alg", json!(definition.userinfo_algorithm));
    put("request_object_signing_alg", json!(definition.request_object_algorithm));
    put("authorization_signed_response_alg", json!(definition.authorization_response_algorithm));
    put("introspection_signed_response_alg", json!(definition.introspection_algorithm));
    put("subject_type", json!(definition.subject_type));
    put("sector_identifier_uri", json!(definition.sector_identifier_uri));
    put("default_max_age", json!(definition.default_max_age));
    put("default_acr_values", json!(definition.default_acr_values));
    put("request_uris", json!(definition.request_uris));
    put("post_logout_redirect_uris", json!(definition.post_logout_redirect_uris));
    put("backchannel_logout_uri", json!(definition.backchannel_logout_uri));
    put("frontchannel_logout_uri", json!(definition.frontchannel_logout_uri));
    put("initiate_login_uri", json!(definition.initiate_login_uri));
    put("client_uri", json!(definition.client_uri));
    put("logo_uri", json!(definition.logo_uri));
    put("policy_uri", json!(definition.policy_uri));
    put("tos_uri", json!(definition.tos_uri));
    put("contacts", json!(definition.contacts));
    for (name, switch) in [
        ("backchannel_logout_session_required", definition.backchannel_logout_session_required),
        ("frontchannel_logout_session_required", definition.frontchannel_logout_session_required),
        ("dpop_bound_access_tokens", definition.dpop_bound_access_tokens),
        ("require_pushed_authorization_requests", definition.require_pushed_authorization_requests),
        ("require_signed_request_object", definition.require_signed_request_object),
    ] {
        put(name, json!(switch));
    }
    // Every ID token of ours contains the time of the sign-in.
    put("require_auth_time", json!(true));
    all
}

const fn grant_type(grant: GrantType) -> &'static str {
    match grant {
        GrantType::Passkey => crate::oidc::wire::PASSKEY,
        GrantType::AuthorizationCode => "authorization_code",
        GrantType::RefreshToken => "refresh_token",
        GrantType::ClientCredentials => "client_credentials",
        GrantType::DeviceCode => DEVICE_CODE,
        GrantType::TokenExchange => crate::oidc::wire::TOKEN_EXCHANGE,
        GrantType::JwtBearer => crate::oidc::wire::JWT_BEARER,
    }
}

#[cfg(test)]
mod tests;
