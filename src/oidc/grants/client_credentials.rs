//! The client credentials grant: a client acts for itself, without a person (RFC 6749 §4.4). It needs one check of the
//! client's settings and one signature, and writes no row.
//!
//! There is no session and no refresh token: the client requests another token. The token's `sub` is the client's ID,
//! so endpoints for people refuse it.

use crate::domain::claims::PERSONAL_SCOPES;
use crate::domain::client::{Client, GrantType};
use crate::domain::scope::{Scopes, is_powerful};
use crate::oidc::Oidc;
use crate::oidc::client_auth::AuthenticatedClient;
use crate::resources::Resources;
use crate::tokens::dpop::Jkt;
use crate::tokens::{ClientGrant, TokenSet};
use crate::web::error::{Failure, Kind};

/// Issues a client a token for itself, bound to a DPoP key if it proved one.
pub fn grant(
    room: &Oidc,
    client: &AuthenticatedClient,
    scope: Option<&Scopes>,
    resources: &[&str],
    key: Option<&Jkt>,
) -> Result<TokenSet, Failure> {
    client
        .may_use(GrantType::ClientCredentials)
        .map_err(|_| Failure::new(Kind::UnauthorizedClient, "This client may not use client credentials."))?;
    let known = room.mint.resources();
    let audience = known
        .audience(client, resources.iter().copied(), room.mint.issuer())
        .map_err(|_| Failure::new(Kind::InvalidTarget, "This client may not request tokens for that resource."))?;
    let scopes = granted(client, scope, &audience, known)?;
    let grant = ClientGrant { client, scopes: &scopes, audience: &audience, jkt: key.map(Jkt::as_str) };
    room.mint.client_token(&grant, room.clock.now()).map_err(Failure::unavailable)
}

/// Exactly the requested scopes, or everything that the client may have for this audience. Administration scopes, and
/// scopes to act for people, are never granted unless requested.
fn granted(
    client: &Client,
    asked: Option<&Scopes>,
    audience: &[String],
    resources: &Resources,
) -> Result<Scopes, Failure> {
    let Some(asked) = asked else {
        let plain = |scope: &&str| !is_personal(scope) && !is_powerful(scope);
        let own: Scopes = client.definition.scopes.iter().filter(plain).collect();
        return Ok(resources.effective(&own, audience));
    };
    if asked.iter().any(is_personal) {
        let words =
            "A scope is about a person, and there is none here: leave out openid, offline_access and their like.";
        return Err(Failure::new(Kind::InvalidScope, words));
    }
    let scopes = client.grant_scopes(Some(asked)).map_err(|refusal| {
        Failure::new(Kind::InvalidScope, "This client may not request one of the scopes.").because(refusal)
    })?;
    resources.require_resource_of(&scopes, audience).map_err(|refusal| {
        Failure::new(Kind::InvalidScope, "A scope belongs to a resource that was not requested: name it in resource.")
            .because(refusal)
    })?;
    Ok(scopes)
}

/// Custom tokens are issued for people, too.
fn is_personal(scope: &str) -> bool {
    PERSONAL_SCOPES.contains(&scope) || scope.starts_with("bridge:")
}
