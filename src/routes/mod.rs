//! Every path of the public server on one screen, as a list that the tests walk.
//!
//! To add a route: a line here, with who may call it; the tests fail until the new route has an expectation.

pub mod fallback;

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};

use crate::{account, admin, bridge, ceremony, forward_auth, oidc, site, web as furniture};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone may call it.
    Public,
    /// A signed-in person, by cookie or access token.
    SignedIn,
    /// A signed-in person, by cookie: our own pages.
    Browser,
    /// A signed-in person, by access token only.
    Token,
    /// An OAuth client.
    Client,
    /// A confidential OAuth client.
    ConfidentialClient,
    /// Anyone, by browser: pages and their resources.
    Page,
    /// A signed-in person, by browser: others are sent to sign in.
    OwnPage,
    /// An administrator, by access token.
    Admin,
    /// A backend, by its own access token.
    Backend,
}

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Method; GET also covers HEAD.
    pub method: &'static str,
    /// Path pattern.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
}

macro_rules! routes {
    ($($method:ident $path:literal $access:ident => $handler:path;)*) => {
        /// Every route.
        pub const ROUTES: &[Route] = &[
            $(Route { method: stringify!($method), path: $path, access: Access::$access },)*
        ];

        /// Registers every route.
        pub fn register(config: &mut ServiceConfig) {
            register_by_parts(config, vec![$(($path, furniture::methods::route(Method::$method).to($handler)),)*]);
        }
    };
}

routes! {
    POST   "/v1/passkeys/registration/options"      Public    => ceremony::handlers::registration::options;
    POST   "/v1/passkeys/registration/verify"       Public    => ceremony::handlers::registration::verify;
    POST   "/v1/passkeys/authentication/options"    Public    => ceremony::handlers::authentication::options;
    POST   "/v1/passkeys/authentication/verify"     Public    => ceremony::handlers::authentication::verify;
    GET    "/v1/passkeys/relying-party"             Public    => ceremony::handlers::authentication::relying_party;
    GET    "/v1/passkeys"                           SignedIn  => ceremony::handlers::management::list;
    PATCH  "/v1/passkeys/{id}"                      SignedIn  => ceremony::handlers::management::change;
    DELETE "/v1/passkeys/{id}"                      SignedIn  => ceremony::handlers::management::remove;

    POST   "/v1/passkeys/transactions/options"      SignedIn  => ceremony::handlers::transactions::options;
    POST   "/v1/passkeys/transactions/verify"       SignedIn  => ceremony::handlers::transactions::verify;
    POST   "/v1/transactions/redeem"                Backend   => ceremony::handlers::transactions::redeem;
    GET    "/v1/action-tokens"                      Backend   => ceremony::handlers::actions::list;
    POST   "/v1/action-tokens"                      Backend   => ceremony::handlers::actions::make;
    DELETE "/v1/action-tokens/{id}"                 Backend   => ceremony::handlers::actions::revoke;
    POST   "/v1/action-tokens/{id}/result"          Backend   => ceremony::handlers::actions::redeem;

    GET    "/v1/session"                            Public    => account::handlers::session;
    DELETE "/v1/session"                            Public    => account::handlers::sign_out;
    GET    "/v1/me"                                 SignedIn  => account::handlers::me;
    GET    "/v1/me/sessions"                        Browser   => account::handlers::sessions;
    DELETE "/v1/me/sessions"                        Browser   => account::handlers::revoke_others;
    DELETE "/v1/me/sessions/{id}"                   Browser   => account::handlers::revoke_session;
    GET    "/v1/me/activity"                        Browser   => account::handlers::activity;

    GET    "/v1/me/consents"                        Browser   => account::consents::list;
    DELETE "/v1/me/consents/{client}"               Browser   => account::consents::remove;

    POST   "/v1/bridges/{name}/token"               SignedIn  => bridge::handlers::token;
    POST   "/v1/bridges/{name}/pusher/auth"         SignedIn  => bridge::channel::handlers::channel;
    POST   "/v1/bridges/{name}/pusher/user-auth"    SignedIn  => bridge::channel::handlers::user;
    GET    "/v1/bridges/{name}/jwks.json"           Public    => bridge::published::jwks;
    GET    "/v1/bridges/{name}/keys/{file}"         Public    => bridge::published::pem;

    GET    "/oauth/authorize"                       Page => site::authorize::get;
    POST   "/oauth/authorize"                       Page => site::authorize::post;
    GET    "/oauth/interaction/{handle}"            Page => site::authorize::interaction;
    POST   "/oauth/interaction/{handle}"            OwnPage => site::authorize::decide;
    GET    "/oauth/interaction/{handle}/another"    Page => site::authorize::another;
    GET    "/oauth/interaction/{handle}/cancel"     Page => site::authorize::cancel;
    POST   "/oauth/token"                           Client    => oidc::token::post;
    POST   "/oauth/device"                          Client    => oidc::device::post;
    POST   "/oauth/par"                             Client    => oidc::par::post;
    POST   "/oauth/revoke"                          Client    => oidc::revoke::post;
    POST   "/oauth/introspect"                      ConfidentialClient => oidc::introspect::post;
    GET    "/oauth/userinfo"                        Token     => oidc::userinfo::get;
    POST   "/oauth/userinfo"                        Token     => oidc::userinfo::post;

    GET    "/oauth/logout"                          Page      => site::logout::requested;
    POST   "/oauth/logout"                          Page      => site::logout::requested_by_form;
    GET    "/oauth/session/check"                   Page      => site::session_check::page;

    GET    "/.well-known/openid-configuration"      Public    => oidc::discovery::openid;
    GET    "/.well-known/oauth-authorization-server" Public   => oidc::discovery::oauth;
    GET    "/v1/admin/clients"                      Admin     => admin::clients::list::list;
    POST   "/v1/admin/clients"                      Admin     => admin::clients::create::create;
    GET    "/v1/admin/clients/{id}"                 Admin     => admin::clients::show::show;
    PUT    "/v1/admin/clients/{id}"                 Admin     => admin::clients::change::replace;
    PATCH  "/v1/admin/clients/{id}"                 Admin     => admin::clients::change::patch;
    DELETE "/v1/admin/clients/{id}"                 Admin     => admin::clients::delete::delete;
    POST   "/v1/admin/clients/{id}/disable"         Admin     => admin::clients::switch::disable;
    POST   "/v1/admin/clients/{id}/enable"          Admin     => admin::clients::switch::enable;
    POST   "/v1/admin/clients/{id}/secret"          Admin     => admin::clients::rotate_secret::rotate;
    GET    "/v1/admin/users"                        Admin     => admin::users::list::list;
    POST   "/v1/admin/users"                        Admin     => admin::users::create::create;
    GET    "/v1/admin/users/{id}"                   Admin     => admin::users::show::show;
    PATCH  "/v1/admin/users/{id}"                   Admin     => admin::users::change::patch;
    DELETE "/v1/admin/users/{id}"                   Admin     => admin::users::delete::delete;
    POST   "/v1/admin/users/{id}/disable"           Admin     => admin::users::switch::disable;
    POST   "/v1/admin/users/{id}/enable"            Admin     => admin::users::switch::enable;
    GET    "/v1/admin/users/{id}/sessions"          Admin     => admin::users::sessions::list;
    DELETE "/v1/admin/users/{id}/sessions"          Admin     => admin::users::sessions::revoke_all;
    DELETE "/v1/admin/users/{id}/sessions/{session}" Admin    => admin::users::sessions::revoke;
    GET    "/v1/admin/users/{id}/passkeys"          Admin     => admin::users::passkeys::list;
    DELETE "/v1/admin/users/{id}/passkeys/{passkey}" Admin    => admin::users::passkeys::remove;
    GET    "/v1/admin/groups"                       Admin     => admin::groups::list;
    POST   "/v1/admin/groups"                       Admin     => admin::groups::create;
    DELETE "/v1/admin/groups/{name}"                Admin     => admin::groups::delete;
    GET    "/v1/admin/resources"                    Admin     => admin::resources::list::list;
    POST   "/v1/admin/resources"                    Admin     => admin::resources::create::create;
    GET    "/v1/admin/resources/{id}"               Admin     => admin::resources::show::show;
    PUT    "/v1/admin/resources/{id}"               Admin     => admin::resources::change::replace;
    DELETE "/v1/admin/resources/{id}"               Admin     => admin::resources::delete::delete;
    POST   "/v1/admin/resources/{id}/disable"       Admin     => admin::resources::switch::disable;
    POST   "/v1/admin/resources/{id}/enable"        Admin     => admin::resources::switch::enable;
    GET    "/v1/admin/bridges"                      Admin     => admin::bridges::list::list;
    POST   "/v1/admin/bridges"                      Admin     => admin::bridges::create::create;
    GET    "/v1/admin/bridges/{name}"               Admin     => admin::bridges::show::show;
    PUT    "/v1/admin/bridges/{name}"               Admin     => admin::bridges::change::replace;
    DELETE "/v1/admin/bridges/{name}"               Admin     => admin::bridges::delete::delete;
    POST   "/v1/admin/bridges/{name}/disable"       Admin     => admin::bridges::switch::disable;
    POST   "/v1/admin/bridges/{name}/enable"        Admin     => admin::bridges::switch::enable;
    POST   "/v1/admin/bridges/{name}/test"          Admin     => admin::bridges::test::test;
    GET    "/v1/admin/registration-tokens"          Admin     => admin::registration_tokens::list;
    POST   "/v1/admin/registration-tokens"          Admin     => admin::registration_tokens::create;
    DELETE "/v1/admin/registration-tokens/{id}"     Admin     => admin::registration_tokens::revoke;
    GET    "/v1/admin/audit-events"                 Admin     => admin::audit_events::list;
    GET    "/v1/admin/outbox"                       Admin     => admin::outbox::list;
    POST   "/v1/admin/outbox/retry"                 Admin     => admin::outbox::retry_all;
    POST   "/v1/admin/outbox/{id}/retry"            Admin     => admin::outbox::retry;

    POST   "/oauth/register"                        Public    => oidc::registration::register;
    GET    "/oauth/register/{id}"                   Public    => oidc::registration::read;
    PUT    "/oauth/register/{id}"                   Public    => oidc::registration::update;
    DELETE "/oauth/register/{id}"                   Public    => oidc::registration::remove;

    GET    "/.well-known/oauth-protected-resource"  Public    => site::well_known::protected_resource;
    GET    "/.well-known/jwks.json"                 Public    => oidc::keys::jwks;
    GET    "/.well-known/webauthn"                  Public    => site::well_known::webauthn;
    GET    "/.well-known/apple-app-site-association" Public   => site::well_known::apple_app_site_association;
    GET    "/.well-known/assetlinks.json"           Public    => site::well_known::asset_links;
    GET    "/.well-known/passkey-endpoints"         Public    => site::well_known::passkey_endpoints;
    GET    "/.well-known/change-password"           Public    => site::well_known::change_password;
    GET    "/"                                      Page => site::sign_in::home;
    GET    "/signin/passkey"                        Page => site::sign_in::nothing_posted;
    POST   "/signin/passkey"                        Page => site::sign_in::without_script;
    GET    "/signin"                                Page => site::sign_in::nothing_posted;
    POST   "/signin"                                Page => site::sign_in::email_without_script;
    POST   "/signout"                               Page => site::logout::sign_out;
    GET    "/signed-out"                            Page => site::logout::signed_out;
    GET    "/confirm"                               OwnPage => site::sign_in::confirm;
    GET    "/account"                               OwnPage => site::account::overview;
    GET    "/account/sessions"                      OwnPage => site::account::sessions;
    POST   "/account/sessions/sign-out-others"      OwnPage => site::account::end_others;
    POST   "/account/sessions/{id}/sign-out"        OwnPage => site::account::end_session;
    GET    "/account/apps"                          OwnPage => site::apps::list;
    POST   "/account/apps/remove"                   OwnPage => site::apps::remove;
    GET    "/account/activity"                      OwnPage => site::account::activity;
    GET    "/account/passkeys"                      OwnPage => site::passkeys::list;
    GET    "/account/passkeys/{id}/rename"          OwnPage => site::passkeys::rename_form;
    POST   "/account/passkeys/{id}/rename"          OwnPage => site::passkeys::rename;
    GET    "/account/passkeys/{id}/remove"          OwnPage => site::passkeys::remove_form;
    POST   "/account/passkeys/{id}/remove"          OwnPage => site::passkeys::remove;
    GET    "/account/passkeys/{id}/resume"          OwnPage => site::passkeys::resume_form;
    POST   "/account/passkeys/{id}/resume"          OwnPage => site::passkeys::resume;
    GET    "/device"                                OwnPage => site::device::enter_form;
    POST   "/device"                                OwnPage => site::device::enter;
    GET    "/device/review"                         OwnPage => site::device::review;
    POST   "/device/review"                         OwnPage => site::device::answer;
    GET    "/enrol"                                 Page => site::enrol::start;
    POST   "/enrol"                                 Page => site::enrol::ask;
    GET    "/enrol/done"                            Page => site::enrol::done;
    GET    "/approve"                               Page => site::approve::start;
    POST   "/approve"                               Page => site::approve::ask;
    GET    "/approve/done"                          Page => site::approve::done;
    GET    "/developer"                             Page => site::developer::panel;
    GET    "/assets/{name}"                         Page => furniture::pages::assets::serve;

    GET    "/v1/forward-auth"                       Public    => forward_auth::verify::forwarded;
    GET    "/v1/forward-auth/nginx"                 Public    => forward_auth::verify::original;
    GET    "/v1/forward-auth/jwks.json"             Public    => forward_auth::keys::jwks;
    GET    "/forward-auth"                          Page => site::forward_auth::sign_in;
    GET    "/.passmint/start"                       Page => site::forward_auth::start;
    GET    "/.passmint/return"                      Page => site::forward_auth::arrive;
    GET    "/.passmint/sign-out"                    Page => site::forward_auth::sign_out;
    POST   "/.passmint/sign-out"                    Page => site::forward_auth::sign_out_by_form;

    GET    "/livez"                                 Public    => furniture::health::livez;
    GET    "/readyz"                                Public    => furniture::health::readyz;
}

/// Registers the paths in groups. A request is matched against one path after the other, so paths with the same
/// beginning form one group that most requests skip at once. Within it, paths with parameters come last, because each
/// is a regular expression.
fn register_by_parts(config: &mut ServiceConfig, mut routes: Vec<(&'static str, actix_web::Route)>) {
    routes.sort_by_key(|(path, _)| path.contains('{'));
    let mut parts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (path, route) in routes {
        let (part, rest) = path.split_at(end_of_part(path));
        parts.entry(part).or_default().push((rest, route));
    }
    for (part, routes) in parts {
        if part == "/" {
            for (_, route) in routes {
                config.route(part, route);
            }
        } else {
            let scope = routes.into_iter().fold(web::scope(part), |scope, (rest, route)| scope.route(rest, route));
            config.service(scope);
        }
    }
}

/// Where the prefix that groups a path ends: after its first segment, for the API after its second.
fn end_of_part(path: &str) -> usize {
    let segments = if path.starts_with("/v1/") { 2 } else { 1 };
    path.match_indices('/').nth(segments).map_or(path.len(), |(at, _)| at)
}

/// The methods of a path, whatever the request's method: distinguishes 405 from 404.
pub fn methods_of(path: &str) -> Vec<&'static str> {
    let methods = |route: &Route| if route.method == "GET" { vec!["GET", "HEAD"] } else { vec![route.method] };
    ROUTES.iter().filter(|route| matches(route.path, path)).flat_map(methods).collect()
}

/// Whether a path can be read with GET, and linked to.
pub fn is_page(path: &str) -> bool {
    methods_of(path).contains(&"GET")
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(part)) if wanted == part => {}
            (Some(wanted), Some(part)) if wanted.starts_with('{') && !part.is_empty() => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_a_part() {
        for (path, part) in [
            ("/", "/"),
            ("/livez", "/livez"),
            ("/account/passkeys/{id}/rename", "/account"),
            ("/.well-known/jwks.json", "/.well-known"),
            ("/v1/passkeys", "/v1/passkeys"),
            ("/v1/bridges/{name}/token", "/v1/bridges"),
        ] {
            assert_eq!(&path[..end_of_part(path)], part);
        }
        assert!(
            ROUTES.iter().all(|route| !route.path[..end_of_part(route.path)].contains('{')),
            "parts are only compared"
        );
    }

    #[test]
    fn a_path_has_its_methods() {
        assert_eq!(methods_of("/v1/passkeys/abc"), ["PATCH", "DELETE"]);
        assert_eq!(methods_of("/v1/passkeys/relying-party"), ["GET", "HEAD", "PATCH", "DELETE"]);
        assert!(methods_of("/v1/passkeys/").is_empty());
        assert!(methods_of("/nothing").is_empty());
    }
}
