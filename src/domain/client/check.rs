//! Checks that the settings of a client fit together, whoever wrote them: the configuration, an administrator, or the
//! client itself at registration. To add a rule: one block in [`ClientDefinition::check`] and its row in the test.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use super::{AuthMethod, ClientDefinition, ClientKind, GrantType, SecurityProfile, SubjectType};

/// Two settings that contradict each other, or one that requires another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {what}; {cure}")]
pub struct Misfit {
    /// The setting to change.
    pub field: &'static str,
    /// What is wrong with it.
    pub what: Cow<'static, str>,
    /// What to do.
    pub cure: Cow<'static, str>,
}

/// JWK members that only the owner of the key may know (RFC 7518 §6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// What is wrong with a chosen `client_id`. It becomes the `sub` of the client's own tokens, which must never equal
/// that of a person (RFC 9068 §5). People's are UUIDs, which others read with and without hyphens. Generated ids need
/// no check: they belong to nobody.
pub fn check_id(id: &str) -> Option<Misfit> {
    uuid::Uuid::parse_str(id).is_ok().then_some(Misfit {
        field: "id",
        what: "looks like the id of a person".into(),
        cure: "choose another than a UUID".into(),
    })
}

/// The problems found so far.
#[derive(Default)]
struct Misfits(Vec<Misfit>);

impl Misfits {
    fn add(&mut self, is_wrong: bool, field: &'static str, what: &'static str, cure: &'static str) {
        if is_wrong {
            self.0.push(Misfit { field, what: what.into(), cure: cure.into() });
        }
    }
}

impl ClientDefinition {
    /// Everything that does not fit; empty for a valid client. `has_secret` says whether the client gets a secret.
    pub fn check(&self, has_secret: bool) -> Vec<Misfit> {
        let mut found = Misfits::default();
        self.check_authentication(&mut found);
        self.check_grants(&mut found);
        self.check_profile(has_secret, &mut found);
        found.add(
            self.require_signed_request_object && !self.has_keys(),
            "require_signed_request_object",
            "is true without keys",
            "give the client jwks or jwks_uri",
        );
        found.add(
            self.subject_type == SubjectType::Pairwise
                && self.sector_identifier_uri.is_none()
                && sectors(&self.redirect_uris).len() > 1,
            "sector_identifier_uri",
            "is missing: the redirect URIs have several hosts, so the sector of a pairwise client is unknown",
            "give one, or keep to one host",
        );
        found.0
    }

    const fn has_keys(&self) -> bool {
        self.jwks.is_some() || self.jwks_uri.is_some()
    }

    /// Checks that the client authenticates in one way, and one that its kind supports.
    fn check_authentication(&self, found: &mut Misfits) {
        let (public, federated) = (self.kind == ClientKind::Public, !self.federated.is_empty());
        found.add(
            public && !matches!(self.auth_method, None | Some(AuthMethod::None)),
            "auth_method",
            "asks a public client to authenticate",
            "write kind = \"confidential\", or leave it out",
        );
        found.add(
            !public && self.auth_method == Some(AuthMethod::None),
            "auth_method",
            "lets a confidential client go unauthenticated",
            "write kind = \"public\", or name a method",
        );
        found.add(
            self.auth_method == Some(AuthMethod::PrivateKeyJwt) && !self.has_keys(),
            "auth_method",
            "is private_key_jwt without keys",
            "give it jwks or jwks_uri",
        );
        found.add(public && federated, "federated", "is given to a public client", "write kind = \"confidential\"");
        found.add(
            federated && self.auth_method.is_some(),
            "auth_method",
            "is given together with federated, which is a way of its own",
            "keep one of the two",
        );
        found.add(
            self.jwks.is_some() && self.jwks_uri.is_some(),
            "jwks",
            "is given together with jwks_uri",
            "keep one of the two",
        );
        if let Some(problem) = self.jwks.as_ref().and_then(wrong_with_keys) {
            found.add(true, "jwks", problem, "give a JWK Set of public keys");
        }
    }

    /// Checks that the client can use its grants, and has none that anyone could use in its name.
    fn check_grants(&self, found: &mut Misfits) {
        let public = self.kind == ClientKind::Public;
        let uses = |grant| self.grants.contains(&grant);
        found.add(
            public && uses(GrantType::ClientCredentials),
            "grants",
            "gives client_credentials to a public client",
            "write kind = \"confidential\": anyone who reads a public client could act as it",
        );
        found.add(
            public && uses(GrantType::JwtBearer),
            "grants",
            "gives jwt_bearer to a public client",
            "write kind = \"confidential\": anyone who reads a public client could present tokens as it",
        );
        found.add(
            uses(GrantType::Passkey) && !self.first_party,
            "grants",
            "allows \"passkey\" to a client that is not first_party",
            "write first_party = true if the app is your own; other apps sign people in on the server's page",
        );
        found.add(
            public && !self.may_introspect.is_empty(),
            "may_introspect",
            "is given to a public client",
            "introspection needs kind = \"confidential\" and a secret",
        );
        found.add(
            uses(GrantType::AuthorizationCode) && self.redirect_uris.is_empty(),
            "redirect_uris",
            "is empty, but the client uses authorization codes",
            "list where answers may be sent",
        );
    }

    /// Checks what the FAPI 2.0 profiles forbid (§5.3.2.1, §5.4).
    fn check_profile(&self, has_secret: bool, found: &mut Misfits) {
        let Some(profile) = self.security_profile else { return };
        let by_key = self.auth_method == Some(AuthMethod::PrivateKeyJwt)
            || (!has_secret && self.has_keys() && self.kind == ClientKind::Confidential);
        found.add(
            !by_key || !self.federated.is_empty(),
            "security_profile",
            "wants private_key_jwt",
            "give the client jwks or jwks_uri and auth_method = \"private_key_jwt\"",
        );
        let refused = ("is RS256, which the security profile refuses", "write ES256");
        let by_default = self.id_token_algorithm.as_deref().is_none_or(|name| name == "RS256");
        found.add(by_default, "id_token_algorithm", refused.0, refused.1);
        for (field, algorithm) in [
            ("authorization_response_algorithm", &self.authorization_response_algorithm),
            ("userinfo_algorithm", &self.userinfo_algorithm),
            ("introspection_algorithm", &self.introspection_algorithm),
            ("request_object_algorithm", &self.request_object_algorithm),
        ] {
            found.add(algorithm.as_deref() == Some("RS256"), field, refused.0, refused.1);
        }
        found.add(
            [GrantType::DeviceCode, GrantType::Passkey].iter().any(|grant| self.grants.contains(grant)),
            "grants",
            "allows \"device_code\" or \"passkey\", which the security profile refuses",
            "leave them out, or write another client for them",
        );
        found.add(
            profile == SecurityProfile::Fapi2MessageSigning && !self.has_keys(),
            "security_profile",
            "wants signed requests",
            "give the client jwks or jwks_uri",
        );
    }

    /// The host that determines pairwise subjects (OpenID Connect Core §8.1).
    pub fn sector(&self) -> Option<String> {
        match &self.sector_identifier_uri {
            Some(uri) => sectors(std::slice::from_ref(uri)).into_iter().next(),
            // Any other app may claim an app's own scheme, so it does not define a sector.
            None => sectors(&self.redirect_uris).into_iter().next().filter(|sector| !sector.ends_with(':')),
        }
    }
}

/// The hosts of web addresses. An app's own scheme belongs to no domain, so each such scheme is a sector of its own.
fn sectors(uris: &[String]) -> BTreeSet<String> {
    let sector = |uri: &String| {
        let url = Url::parse(uri).ok()?;
        let is_web = matches!(url.scheme(), "https" | "http");
        if is_web { url.host_str().map(ToOwned::to_owned) } else { Some(url.scheme().to_owned() + ":") }
    };
    uris.iter().filter_map(sector).collect()
}

fn wrong_with_keys(jwks: &Value) -> Option<&'static str> {
    let Some(keys) = jwks.get("keys").and_then(Value::as_array) else { return Some("is not a JWK Set") };
    if keys.is_empty() || keys.len() > 20 {
        return Some("must have 1 to 20 keys");
    }
    for key in keys {
        let Some(members) = key.as_object() else { return Some("contains something that is not a key") };
        if PRIVATE_MEMBERS.iter().any(|name| members.contains_key(*name)) {
            return Some("contains a private or symmetric key, which is no longer secret");
        }
        if !matches!(members.get("kty").and_then(Value::as_str), Some("RSA" | "EC" | "OKP")) {
            return Some("contains a key whose kty is none of RSA, EC, OKP");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::FederatedIdentity;
    use serde_json::json;

    fn sound() -> ClientDefinition {
        ClientDefinition {
            kind: ClientKind::Confidential,
            grants: vec![GrantType::AuthorizationCode],
            redirect_uris: vec!["https://app.example/cb".into()],
            ..ClientDefinition::default()
        }
    }

    fn keys() -> Value {
        json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}]})
    }

    #[test]
    fn a_sound_client_has_no_misfit() {
        assert_eq!(sound().check(true), []);
        let fapi = ClientDefinition {
            jwks: Some(keys()),
            security_profile: Some(SecurityProfile::Fapi2),
            id_token_algorithm: Some("ES256".into()),
            ..sound()
        };
        assert_eq!(fapi.check(false), []);
        assert_eq!(ClientDefinition::default().check(false), []);
    }

    fn workload() -> Vec<FederatedIdentity> {
        let text = ToOwned::to_owned;
        vec![FederatedIdentity { issuer: text("k8s"), subject: text("a"), audience: text("b") }]
    }

    #[test]
    fn a_workload_is_proven_by_its_platform_alone() {
        assert_eq!(ClientDefinition { federated: workload(), ..sound() }.check(false), []);
        let by_secret = Some(AuthMethod::ClientSecretBasic);
        for (expected, definition) in [
            ("federated", ClientDefinition { kind: ClientKind::Public, ..sound() }),
            ("auth_method", ClientDefinition { auth_method: by_secret, ..sound() }),
            // The keys sign its requests; they do not authenticate it.
            (
                "security_profile",
                ClientDefinition {
                    jwks: Some(keys()),
                    security_profile: Some(SecurityProfile::Fapi2),
                    id_token_algorithm: Some("ES256".into()),
                    ..sound()
                },
            ),
        ] {
            let found = ClientDefinition { federated: workload(), ..definition }.check(false);
            assert_eq!(found.iter().map(|misfit| misfit.field).collect::<Vec<_>>(), [expected], "{found:?}");
        }
    }

    #[test]
    fn a_client_is_never_called_like_a_person() {
        for id in ["0f0e0d0c-0b0a-4908-8706-050403020100", "0F0E0D0C0B0A49088706050403020100"] {
            assert_eq!(check_id(id).map(|misfit| misfit.field), Some("id"), "{id}");
        }
        assert_eq!(check_id("my-app"), None);
    }

    /// Grants whose requests are not pushed, or that do not end in a code which only the client can redeem.
    #[test]
    fn a_security_profile_refuses_the_grants_that_go_round_it() {
        let fapi = |grant| ClientDefinition {
            first_party: true,
            jwks: Some(keys()),
            security_profile: Some(SecurityProfile::Fapi2),
            id_token_algorithm: Some("ES256".into()),
            grants: vec![GrantType::AuthorizationCode, grant],
            ..sound()
        };
        for (grant, refused) in [
            (GrantType::DeviceCode, true),
            (GrantType::Passkey, true),
            (GrantType::RefreshToken, false),
            (GrantType::ClientCredentials, false),
        ] {
            let found = fapi(grant).check(false);
            let expected = if refused { vec!["grants"] } else { vec![] };
            assert_eq!(found.iter().map(|misfit| misfit.field).collect::<Vec<_>>(), expected, "{found:?}");
        }
    }

    #[test]
    fn each_rule_names_its_setting() {
        let public = ClientDefinition { kind: ClientKind::Public, ..sound() };
        for (expected, definition) in [
            ("auth_method", ClientDefinition { auth_method: Some(AuthMethod::ClientSecretPost), ..public.clone() }),
            ("auth_method", ClientDefinition { auth_method: Some(AuthMethod::None), ..sound() }),
            ("auth_method", ClientDefinition { auth_method: Some(AuthMethod::PrivateKeyJwt), ..sound() }),
            (
                "jwks",
                ClientDefinition { jwks: Some(keys()), jwks_uri: Some("https://app.example/jwks".into()), ..sound() },
            ),
            ("jwks", ClientDefinition { jwks: Some(json!([])), ..sound() }),
            ("jwks", ClientDefinition { jwks: Some(json!({"keys": []})), ..sound() }),
            ("jwks", ClientDefinition { jwks: Some(json!({"keys": [1]})), ..sound() }),
            ("jwks", ClientDefinition { jwks: Some(json!({"keys": [{"kty": "EC", "d": "x"}]})), ..sound() }),
            ("jwks", ClientDefinition { jwks: Some(json!({"keys": [{"kty": "oct"}]})), ..sound() }),
            ("grants", ClientDefinition { grants: vec![GrantType::ClientCredentials], ..public.clone() }),
            ("grants", ClientDefinition { grants: vec![GrantType::JwtBearer], ..public.clone() }),
            ("grants", ClientDefinition { grants: vec![GrantType::Passkey], ..sound() }),
            ("may_introspect", ClientDefinition { may_introspect: vec!["a".into()], ..public.clone() }),
            ("redirect_uris", ClientDefinition { redirect_uris: vec![], ..sound() }),
            (
                "security_profile",
                ClientDefinition {
                    security_profile: Some(SecurityProfile::Fapi2),
                    id_token_algorithm: Some("ES256".into()),
                    ..sound()
                },
            ),
            (
                "id_token_algorithm",
                ClientDefinition {
                    security_profile: Some(SecurityProfile::Fapi2),
                    jwks: Some(keys()),
                    auth_method: Some(AuthMethod::PrivateKeyJwt),
                    ..sound()
                },
            ),
            (
                "userinfo_algorithm",
                ClientDefinition {
                    security_profile: Some(SecurityProfile::Fapi2),
                    jwks: Some(keys()),
                    auth_method: Some(AuthMethod::PrivateKeyJwt),
                    id_token_algorithm: Some("ES256".into()),
                    userinfo_algorithm: Some("RS256".into()),
                    ..sound()
                },
            ),
            (
                "sector_identifier_uri",
                ClientDefinition {
                    subject_type: SubjectType::Pairwise,
                    redirect_uris: vec!["https://a.example/".into(), "com.evil://a.example/".into()],
                    ..sound()
                },
            ),
            ("require_signed_request_object", ClientDefinition { require_signed_request_object: true, ..sound() }),
            (
                "sector_identifier_uri",
                ClientDefinition {
                    subject_type: SubjectType::Pairwise,
                    redirect_uris: vec!["https://a.example/".into(), "https://b.example/".into()],
                    ..sound()
                },
            ),
        ] {
            let found = definition.check(true);
            assert_eq!(found.iter().map(|misfit| misfit.field).collect::<Vec<_>>(), [expected], "{found:?}");
        }
    }
}
