//! The OpenAPI document, generated from the annotations on the handlers.

mod complete;

use std::sync::LazyLock;

use utoipa::OpenApi;

use crate::{account, admin, bridge, ceremony, forward_auth, oidc, site, web};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Passmint",
        description = "Passkeys in, tokens out. Errors outside `/oauth/` are `application/problem+json` (RFC 9457) with a stable `code`. Some also have a `reason`, which distinguishes causes that share a code: with `sign_in_refused` it is `account_disabled`, `passkey_paused` or `no_group`. Errors of `/oauth/` have the form defined by RFC 6749. A request that changes something and is authenticated by the session cookie must show with `Origin` or `Sec-Fetch-Site` that it comes from the server's own pages. It can also name the session that its page was created for, by sending the `csrf` value of the page's forms as `X-CSRF-Token`. If that value belongs to another session, the request is refused (`csrf`). Pages of other origins cannot send this header."
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
        ceremony::handlers::transactions::options,
        ceremony::handlers::transactions::verify,
        ceremony::handlers::transactions::redeem,
        ceremony::handlers::actions::list,
        ceremony::handlers::actions::make,
        ceremony::handlers::actions::revoke,
        ceremony::handlers::actions::redeem,
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
        bridge::channel::handlers::channel,
        bridge::channel::handlers::user,
        forward_auth::verify::forwarded,
        forward_auth::verify::original,
        forward_auth::keys::jwks,
        bridge::published::jwks,
        bridge::published::pem,
        oidc::token::post,
        oidc::device::post,
        oidc::par::post,
        oidc::revoke::post,
        oidc::introspect::post,
        site::logout::requested,
        site::logout::requested_by_form,
        oidc::userinfo::get,
        oidc::userinfo::post,
        oidc::discovery::openid,
        oidc::discovery::oauth,
        admin::clients::list::list,
        admin::clients::create::create,
        admin::clients::show::show,
        admin::clients::change::replace,
        admin::clients::change::patch,
        admin::clients::delete::delete,
        admin::clients::switch::disable,
        admin::clients::switch::enable,
        admin::clients::rotate_secret::rotate,
        admin::users::list::list,
        admin::users::create::create,
        admin::users::show::show,
        admin::users::change::patch,
        admin::users::delete::delete,
        admin::users::switch::disable,
        admin::users::switch::enable,
        admin::users::sessions::list,
        admin::users::sessions::revoke_all,
        admin::users::sessions::revoke,
        admin::users::passkeys::list,
        admin::users::passkeys::remove,
        admin::groups::list,
        admin::groups::create,
        admin::groups::delete,
        admin::resources::list::list,
        admin::resources::create::create,
        admin::resources::show::show,
        admin::resources::change::replace,
        admin::resources::delete::delete,
        admin::resources::switch::disable,
        admin::resources::switch::enable,
        admin::bridges::list::list,
        admin::bridges::create::create,
        admin::bridges::show::show,
        admin::bridges::change::replace,
        admin::bridges::delete::delete,
        admin::bridges::switch::disable,
        admin::bridges::switch::enable,
        admin::bridges::test::test,
        admin::registration_tokens::list,
        admin::registration_tokens::create,
        admin::registration_tokens::revoke,
        admin::outbox::list,
        admin::outbox::retry_all,
        admin::outbox::retry,
        admin::audit_events::list,
        oidc::registration::register,
        oidc::registration::read,
        oidc::registration::update,
        oidc::registration::remove,
        site::well_known::protected_resource,
        oidc::keys::jwks,
        site::well_known::webauthn,
        site::well_known::apple_app_site_association,
        site::well_known::asset_links,
        site::well_known::passkey_endpoints,
        site::well_known::change_password,
        web::health::livez,
        web::health::readyz,
    )
)]
struct Document;

static JSON: LazyLock<String> = LazyLock::new(|| {
    let mut document = serde_json::to_value(document()).unwrap_or_default();
    complete::complete(&mut document);
    document.to_string()
});

/// The OpenAPI document as JSON, with everything that [`complete`] adds.
pub fn json() -> &'static str {
    &JSON
}

/// The OpenAPI document without what [`complete`] adds, for the documentation pages.
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

    /// Outside `/oauth/`, members are in camelCase on the wire, and the document must agree.
    #[test]
    fn members_are_named_as_on_the_wire() {
        let document: serde_json::Value = serde_json::from_str(json()).unwrap();
        let theirs = [
            "TokenResponse",
            "DeviceAuthorization",
            "Introspection",
            "Pushed",
            "ChannelForm",
            "ChannelAnswer",
            "UserAnswer",
        ];
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            let variants = schema["oneOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
            for member in variants.iter().filter_map(|one| one["properties"].as_object()).flat_map(|all| all.keys()) {
                assert!(!member.contains('_') || theirs.contains(&name.as_str()), "{name}.{member}");
            }
        }
    }
}
