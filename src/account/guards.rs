//! Who is signed in: the rule of a route is the type of its argument.
//!
//! [`Identity`] wants somebody signed in, by our cookie or by an access token of ours; [`MaybeIdentity`] lets strangers
//! through. An unsafe request with a cookie must come from our own pages. A storage fault is never "not signed in".

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};
use futures_core::future::LocalBoxFuture;

use super::Accounts;
use crate::clients::Clients;
use crate::domain::scope::Scopes;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::tokens::Mint;
use crate::tokens::verifier::places;
use crate::web::cookies::Cookies;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::origin::require_same_origin;

/// How somebody proved that a session is theirs.
#[derive(Clone, Debug)]
pub enum Via {
    /// By our cookie.
    Cookie,
    /// By an access token for this server.
    Bearer {
        /// The client it was given to.
        client: String,
        /// Its scopes.
        scopes: Scopes,
    },
}

/// Somebody signed in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Their session.
    pub session: Session,
    /// They.
    pub user: User,
    /// How they proved it.
    pub via: Via,
}

impl Identity {
    /// Refuses an access token that lacks a scope. A cookie is our own page and needs none.
    pub fn require_scope(&self, scope: &str) -> Result<(), Failure> {
        match &self.via {
            Via::Bearer { scopes, .. } if !scopes.contains(scope) => {
                Err(Failure::new(Kind::InsufficientScope, format!("The access token lacks the scope {scope:?}.")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses access tokens altogether: some things are for our own pages only.
    pub fn require_cookie(&self) -> Result<(), Failure> {
        match &self.via {
            Via::Cookie => Ok(()),
            Via::Bearer { .. } => {
                Err(Failure::new(Kind::Forbidden, "This is for a signed-in browser, not for an access token."))
            }
        }
    }
}

/// Somebody signed in, or nobody.
#[derive(Clone, Debug)]
pub struct MaybeIdentity(pub Option<Identity>);

/// What the guards need; one value in the application's data.
#[derive(Clone)]
pub struct Guard {
    /// Finds sessions.
    pub accounts: Arc<Accounts>,
    /// Knows issuer and keys.
    pub mint: Arc<Mint>,
    /// Knows which clients are disabled.
    pub clients: Arc<Clients>,
    /// Names the cookies.
    pub cookies: Cookies,
    /// Our own origin, for requests that change something.
    pub public_origin: String,
}

impl Guard {
    /// Who sent a request.
    pub async fn identify(&self, method: &Method, headers: &HeaderMap) -> Result<Option<Identity>, Failure> {
        match (bearer(headers)?, self.cookies.session(headers)?) {
            (Some(_), Some(_)) => Err(Failure::new(
                Kind::InvalidRequest,
                "The request carries both a session cookie and an access token. Send one of them.",
            )),
            (Some(token), None) => self.by_token(token).await.map(Some),
            (None, Some(cookie)) => {
                if !method.is_safe() {
                    require_same_origin(headers, &self.public_origin)?;
                }
                let found = self.accounts.by_cookie(cookie.digest()).await?;
                Ok(found.map(|(session, user)| Identity { session, user, via: Via::Cookie }))
            }
            (None, None) => Ok(None),
        }
    }

    /// Who sent a request that may also come from another site's page, as ceremonies for clients do: such a page never
    /// acts with our cookie, so there the cookie is not read.
    pub async fn identify_on_own_site(&self, headers: &HeaderMap) -> Result<Option<Identity>, Failure> {
        let own = require_same_origin(headers, &self.public_origin).is_ok();
        if !own && bearer(headers)?.is_none() {
            return Ok(None);
        }
        self.identify(&Method::POST, headers).await
    }

    async fn by_token(&self, token: &str) -> Result<Identity, Failure> {
        let refused =
            || Failure::new(Kind::InvalidToken, "The access token is not valid here, has expired or was revoked.");
        let issuer = self.mint.issuer();
        let claims = places::access_token(&self.mint.keys().ring(), issuer, issuer, token, self.accounts.clock.now())
            .map_err(|refusal| refused().because(refusal))?
            .into_claims();
        self.clients.find(&claims.client_id).ok_or_else(|| refused().because("its client is disabled"))?;
        let ids = claims.ids().ok_or_else(refused)?;
        let (session, user) = self.accounts.by_token(ids).await?.ok_or_else(refused)?;
        if user.id.to_string() != claims.sub {
            return Err(refused());
        }
        let scopes = Scopes::parse(&claims.scope).map_err(|_| refused())?;
        Ok(Identity { session, user, via: Via::Bearer { client: claims.client_id, scopes } })
    }
}

/// The bearer token of a request (RFC 6750 §2.1): in the header only, never in the address.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let mut values = headers.get_all(AUTHORIZATION);
    let Some(value) = values.next() else { return Ok(None) };
    let malformed =
        || Failure::new(Kind::InvalidToken, "The Authorization header is not of the form `Bearer <token>`.");
    if values.next().is_some() {
        return Err(malformed());
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() { Ok(Some(token)) } else { Err(malformed()) }
}

fn identify(request: &HttpRequest) -> LocalBoxFuture<'static, Result<Option<Identity>, Problem>> {
    let guard = request.app_data::<web::Data<Guard>>().cloned();
    let (method, headers) = (request.method().clone(), request.headers().clone());
    Box::pin(async move {
        let guard = guard.ok_or_else(|| Failure::new(Kind::Internal, "The server is not set up completely."))?;
        Ok(guard.identify(&method, &headers).await?)
    })
}

impl FromRequest for MaybeIdentity {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let identity = identify(request);
        Box::pin(async move { identity.await.map(Self) })
    }
}

impl FromRequest for Identity {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let identity = identify(request);
        Box::pin(async move {
            identity
                .await?
                .ok_or_else(|| Problem(Failure::new(Kind::NotSignedIn, "Sign in first, or send an access token.")))
        })
    }
}
