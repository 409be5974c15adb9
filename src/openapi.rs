//! The OpenAPI document, collected from the handlers themselves.

use std::sync::LazyLock;

use utoipa::OpenApi;

use crate::{account, bridge, ceremony, oidc, site, web};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Passmint",
        description = "Passkeys in, tokens out. Errors outside `/oauth/` are `application/problem+json` (RFC 9457) with a stable `code`; errors of `/oauth/` are in the form of RFC 6749."
    ),
    paths(
        ceremony::handlers::registration::options,
        ceremony::handlers::registration::verify,
        ceremony::handlers::authentication::options,
        ceremony::handlers::authentication::verify,
        ceremony::handlers::authentication::relying_party,
        ceremony::handlers::management::list,
        ceremony::handlers::management::change,
        ceremony::handlers::management::remove,
        account::handlers::session,
        account::handlers::sign_out,
        account::handlers::me,
        account::handlers::sessions,
        account::handlers::revoke_others,
        account::handlers::revoke_session,
        account::handlers::activity,
        account::consents::list,
        account::consents::remove,
        bridge::handlers::token,
        oidc::keys::bridge_jwks,
        oidc::token::post,
        oidc::device::post,
        oidc::revoke::post,
        oidc::introspect::post,
        oidc::keys::jwks,
        site::well_known::webauthn,
        site::well_known::passkey_endpoints,
        web::health::livez,
        web::health::readyz,
    )
)]
struct Document;

static JSON: LazyLock<String> = LazyLock::new(|| Document::openapi().to_json().unwrap_or_default());

/// The document.
pub fn json() -> &'static str {
    &JSON
}

/// The document, for the pages that show it.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::{Access, ROUTES};

    #[test]
    fn every_route_of_the_api_is_documented() {
        let document: serde_json::Value = serde_json::from_str(json()).unwrap();
        for route in ROUTES.iter().filter(|route| !matches!(route.access, Access::Page | Access::OwnPage)) {
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            assert!(operation.is_object(), "{} {} is not in the OpenAPI document", route.method, route.path);
        }
    }

    /// Members outside `/oauth/` are in camelCase on the wire, and the document must not say otherwise.
    #[test]
    fn members_are_named_as_on_the_wire() {
        let document: serde_json::Value = serde_json::from_str(json()).unwrap();
        let oauth = ["TokenResponse", "DeviceAuthorization", "Introspection"];
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            let variants = schema["oneOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
            for member in variants.iter().filter_map(|one| one["properties"].as_object()).flat_map(|all| all.keys()) {
                assert!(!member.contains('_') || oauth.contains(&name.as_str()), "{name}.{member}");
            }
        }
    }
}
