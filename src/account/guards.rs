//! Authentication of users: a route's requirement is the type of its argument.
//!
//! [`Identity`] requires a signed-in user, by session cookie or access token; [`MaybeIdentity`] also admits anonymous
//! callers. An unsafe request with a cookie must come from our own pages. If it names the session that its page was
//! created for, it must be that session. A storage error is never reported as "not signed in".

use std::sync::Arc;

use actix_web::cookie::Cookie;
use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpRequest};
use futures_core::future::LocalBoxFuture;

use super::Accounts;
use super::page_tokens::PageTokens;
use crate::clients::Clients;
use crate::domain::client::{Client, ClientKind, GrantType};
use crate::domain::exchange::Actor;
use crate::domain::id::SessionId;
use crate::domain::scope::Scopes;
use crate::domain::secret::PlainToken;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::dpop::{self, Dpop};
use crate::logout::session_state::BrowserStates;
use crate::storage::revoked_tokens;
use crate::tokens::Mint;
use crate::tokens::claims::{AccessClaims, Authentication};
use crate::tokens::verifier::{Refusal, places};
use crate::web::app_data::app_data;
use crate::web::cookies::Cookies;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::origin::require_same_origin;

/// How a caller proved that a session is theirs.
#[derive(Clone, Debug)]
pub enum Via {
    /// By session cookie.
    Cookie,
    /// By an access token for this server.
    Bearer {
        /// The client to which it was issued.
        client: String,
        /// Its scopes.
        scopes: Scopes,
        /// Its audience: this server, and possibly others.
        audience: Vec<String>,
        /// The actor for the user, if the token names one (RFC 8693 §4.1).
        act: Option<Actor>,
    },
}

/// A signed-in user.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The session.
    pub session: Session,
    /// The user.
    pub user: User,
    /// How the caller proved that the session is theirs.
    pub via: Via,
}

impl Identity {
    /// Refuses an access token that lacks a scope. A cookie comes from our own pages and needs no scope.
    pub fn require_scope(&self, scope: &str) -> Result<(), Failure> {
        match &self.via {
            Via::Bearer { scopes, .. } if !scopes.contains(scope) => {
                Err(Failure::new(Kind::InsufficientScope, format!("The access token lacks the scope `{scope}`.")))
            }
            _ => Ok(()),
        }
    }

    /// The actor that the access token names; `None` if it names none, and for a cookie.
    pub const fn act(&self) -> Option<&Actor> {
        match &self.via {
            Via::Cookie => None,
            Via::Bearer { act, .. } => act.as_ref(),
        }
    }

    /// Refuses access tokens: some operations are only for our own pages.
    pub fn require_cookie(&self) -> Result<(), Failure> {
        match &self.via {
            Via::Cookie => Ok(()),
            Via::Bearer { .. } => Err(Failure::new(
                Kind::Forbidden,
                "This requires a signed-in browser; an access token is not accepted.",
            )),
        }
    }

    /// Refuses an access token if the session is not its client's own, but the browser's, which its owner continues to
    /// use, or another app's.
    pub fn require_own_session(&self) -> Result<(), Failure> {
        match &self.via {
            Via::Bearer { client, .. } if self.session.client.as_ref() != Some(client) => {
                let words = "This session is not the app's own. The app can revoke its tokens, or sign the person out.";
                Err(Failure::new(Kind::Forbidden, words))
            }
            _ => Ok(()),
        }
    }
}

/// A signed-in user, or `None`.
#[derive(Clone, Debug)]
pub struct MaybeIdentity(pub Option<Identity>);

/// The header in which the page module sends the token of the session that its page was created for.
const PAGE_TOKEN: &str = "x-csrf-token";

/// What the guards depend on; one value in the application data.
#[derive(Clone)]
pub struct Guard {
    /// To find sessions.
    pub accounts: Arc<Accounts>,
    /// The issuer and its keys.
    pub mint: Arc<Mint>,
    /// The clients, and which are disabled.
    pub clients: Arc<Clients>,
    /// The names of the cookies.
    pub cookies: Cookies,
    /// The tokens that bind our pages to sessions.
    pub page_tokens: PageTokens,
    /// The browser states, if session management is enabled.
    pub browser_states: Option<Arc<BrowserStates>>,
    /// DPoP proofs of possession.
    pub dpop: Arc<Dpop>,
    /// Our own origin, for requests that change something.
    pub public_origin: String,
}

impl Guard {
    /// The cookies that clear everything that a browser keeps of a session.
    pub fn forgetting(&self) -> Vec<Cookie<'static>> {
        let mut cookies = vec![self.cookies.clear_session()];
        cookies.extend(self.browser_states.as_ref().map(|_| self.cookies.clear_browser_state()));
        cookies
    }

    /// The cookie for the session iframe and the browser state in it; `None` if session management is disabled. Set it
    /// with every authorization response that has a `session_state`.
    pub fn browser_state(&self, session: SessionId) -> Option<(Cookie<'static>, String)> {
        let state = self.browser_states.as_ref()?.of(session);
        Some((self.cookies.set_browser_state(&state), state))
    }

    /// Identifies the sender of a request.
    pub async fn identify(&self, request: &HttpRequest) -> Result<Option<Identity>, Failure> {
        let headers = request.headers();
        match (presented(headers)?, self.cookies.session(headers)?) {
            (Some(_), Some(_)) => Err(Failure::new(
                Kind::InvalidRequest,
                "The request carries both a session cookie and an access token. Send one of them.",
            )),
            (Some(token), None) => {
                let access = self.verified(request, token, Place::OwnApi).await?;
                self.holder(&access).await.map(Some)
            }
            (None, Some(cookie)) => {
                if !request.method().is_safe() {
                    require_same_origin(headers, &self.public_origin)?;
                }
                self.by_cookie(headers, &cookie).await
            }
            (None, None) => Ok(None),
        }
    }

    async fn by_cookie(&self, headers: &HeaderMap, cookie: &PlainToken) -> Result<Option<Identity>, Failure> {
        let Some((session, user)) = self.accounts.by_cookie(cookie.digest()).await? else { return Ok(None) };
        // A page that names its session must not act for another one: someone else may have signed in since.
        for sent in headers.get_all(PAGE_TOKEN) {
            self.page_tokens.require(session.id, sent.as_bytes())?;
        }
        Ok(Some(Identity { session, user, via: Via::Cookie }))
    }

    /// The user signed in to the browser of a request that is authorized by something other than an access token;
    /// `None` if the request comes from another site's page.
    pub async fn signed_in_here(&self, request: &HttpRequest) -> Result<Option<Identity>, Failure> {
        let headers = request.headers();
        match self.cookies.session(headers)? {
            Some(cookie) if require_same_origin(headers, &self.public_origin).is_ok() => {
                self.by_cookie(headers, &cookie).await
            }
            _ => Ok(None),
        }
    }

    /// Refuses a token that was revoked or is not the client's own (RFC 6749 §4.4). The token of a user does not
    /// authorize the client itself.
    pub async fn require_own_token(&self, access: &VerifiedAccess) -> Result<(), Failure> {
        let refused = |why: &'static str| refused().because(why);
        let client = access.client();
        let own = access.sid.is_none()
            && access.sub == client.id
            && client.definition.kind == ClientKind::Confidential
            && client.may_use(GrantType::ClientCredentials).is_ok();
        if !own {
            return Err(refused("it is nobody's: neither a session's nor the client's own"));
        }
        let id = access.jti.parse().map_err(|_| refused("its id does not read"))?;
        let revoked = self.accounts.db.run(move |conn| revoked_tokens::contains(conn, id)).await?;
        if revoked { Err(refused("it was revoked")) } else { Ok(()) }
    }

    /// Identifies the sender of a request that may also come from another site's page, as ceremonies for clients do.
    /// Such a page must never act with our cookie, so the cookie is ignored there.
    pub async fn identify_on_own_site(&self, request: &HttpRequest) -> Result<Option<Identity>, Failure> {
        let own = require_same_origin(request.headers(), &self.public_origin).is_ok();
        if !own && presented(request.headers())?.is_none() {
            return Ok(None);
        }
        self.identify(request).await
    }

    /// The verified access token in the header of a request, or `None` if there is no token. The token must be issued
    /// by us, for this server, to a client that is not disabled. A token bound to a key must come with a proof of that
    /// key (RFC 9449 §7), any other as Bearer. Whether its session still exists is checked by [`holder`](Self::holder).
    pub async fn access_token(&self, request: &HttpRequest) -> Result<Option<VerifiedAccess>, Failure> {
        match presented(request.headers())? {
            Some(token) => self.verified(request, token, Place::OwnApi).await.map(Some),
            None => Ok(None),
        }
    }

    /// Like [`access_token`](Self::access_token), for userinfo: a token not bound to a key can also be in a form body
    /// (RFC 6750 §2.2).
    pub async fn userinfo_token(
        &self,
        request: &HttpRequest,
        in_body: Option<&str>,
    ) -> Result<Option<VerifiedAccess>, Failure> {
        let token = match in_body {
            Some(text) => Some(Presented { scheme: Scheme::Bearer, text }),
            None => presented(request.headers())?,
        };
        match token {
            Some(token) => self.verified(request, token, Place::Userinfo).await.map(Some),
            None => Ok(None),
        }
    }

    /// Verifies an access token for another audience that was presented as Bearer. It must be issued by us, to a client
    /// that is not disabled, and not bound to a key. Whether its session still exists is checked by
    /// [`holder`](Self::holder).
    pub fn bearer_for(&self, audience: &str, token: &str) -> Result<VerifiedAccess, Failure> {
        let now = self.accounts.clock.now();
        let claims = places::access_token(&self.mint.keys().ring(), self.mint.issuer(), audience, token, now)
            .map_err(|refusal| refused().because(refusal))?
            .into_claims();
        let client = self.clients.holder(&claims.client_id, claims.iat);
        let client = client.ok_or_else(|| refused().because("its client is gone or disabled"))?;
        if claims.cnf.is_some() {
            return Err(refused().because("it is bound to a key and came as Bearer"));
        }
        Ok(VerifiedAccess { claims, client, scheme: Scheme::Bearer })
    }

    async fn verified(
        &self,
        request: &HttpRequest,
        token: Presented<'_>,
        place: Place,
    ) -> Result<VerifiedAccess, Failure> {
        let refused = |reason: &'static str| token.scheme.challenged(refused().because(reason));
        let issuer = self.mint.issuer();
        let now = self.accounts.clock.now();
        let verified = match place {
            Place::OwnApi => places::access_token(&self.mint.keys().ring(), issuer, issuer, token.text, now),
            Place::Userinfo => places::userinfo_token(&self.mint.keys().ring(), issuer, token.text, now),
        };
        let claims = verified.map_err(|refusal| token.scheme.challenged(place.refused(refusal, issuer)))?.into_claims();
        let client = self.clients.holder(&claims.client_id, claims.iat);
        let client = client.ok_or_else(|| refused("its client is gone or disabled"))?;
        match (token.scheme, &claims.cnf) {
            (Scheme::Bearer, None) => {}
            (Scheme::Bearer, Some(_)) => return Err(refused("it is bound to a key and came as Bearer")),
            (Scheme::Dpop, None) => return Err(refused("it is bound to no key and came as DPoP")),
            (Scheme::Dpop, Some(bound)) => {
                let key = self.dpop.key_at_resource(request, token.text).await?;
                if key.as_str() != bound.jkt {
                    return Err(refused("it is bound to another key"));
                }
            }
        }
        Ok(VerifiedAccess { claims, client, scheme: token.scheme })
    }

    /// The user of an access token, as long as its session exists. A client's own token has no user and is refused.
    pub async fn holder(&self, access: &VerifiedAccess) -> Result<Identity, Failure> {
        let refused = || access.scheme.challenged(refused());
        let ids = access.ids().ok_or_else(refused)?;
        let (session, user) = self.accounts.by_token(ids).await?.ok_or_else(refused)?;
        if self.mint.subject_of(&access.client, user.id) != access.sub {
            return Err(refused());
        }
        let scopes = Scopes::parse(&access.scope).map_err(|_| refused())?;
        let audience = access.aud.iter().map(ToOwned::to_owned).collect();
        let act = access.act.as_ref().map(Actor::read).transpose().map_err(|_| refused())?;
        let session = as_told(session, &access.authentication);
        Ok(Identity { session, user, via: Via::Bearer { client: access.client_id.clone(), scopes, audience, act } })
    }
}

/// The session as described by an access token. How and when the user signed in is taken from the token: since then,
/// the session may have become fresher and stronger in a browser that the holder of the token does not control.
fn as_told(session: Session, token: &Authentication) -> Session {
    let told = Session {
        acr: token.acr.clone().unwrap_or_default(),
        amr: token.amr.clone(),
        credential_class: token.credential_class.map(|class| class.as_str().to_owned()),
        ..session
    };
    if token.auth_time == Some(told.auth_time.timestamp()) {
        return told;
    }
    let auth_time = token.at().unwrap_or_default();
    // `verified_at` is even older if the session was since marked as old because a copy of its passkey is suspected.
    // Which passkey was used for the sign-in of the token is no longer known.
    Session { passkey: None, auth_time, verified_at: auth_time.min(told.verified_at), ..told }
}

fn refused() -> Failure {
    Failure::new(Kind::InvalidToken, "The access token is not valid here, has expired or was revoked.")
}

/// Where an access token is presented to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// `/v1`: the audience must be this server alone.
    OwnApi,
    /// Userinfo: this server must be among the audiences.
    Userinfo,
}

impl Place {
    /// A caller who presents a token issued for their own API cannot see what is wrong, so a wrong audience is named in
    /// the refusal.
    fn refused(self, refusal: Refusal, issuer: &str) -> Failure {
        if refusal != Refusal::Audience {
            return refused().because(refusal);
        }
        let wanted = match self {
            Self::OwnApi => "be this server alone",
            Self::Userinfo => "name this server",
        };
        let words =
            format!("The access token is for another audience, which here must {wanted}: request one for {issuer}.");
        Failure::new(Kind::InvalidToken, words).because(refusal)
    }
}

/// The claims of an access token that was verified and correctly presented. Only [`Guard`] creates this.
#[derive(Clone, Debug)]
pub struct VerifiedAccess {
    claims: AccessClaims,
    client: Arc<Client>,
    scheme: Scheme,
}

impl VerifiedAccess {
    /// The client to which the token was issued.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

impl std::ops::Deref for VerifiedAccess {
    type Target = AccessClaims;
    fn deref(&self) -> &AccessClaims {
        &self.claims
    }
}

/// The scheme by which an access token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449 §7.1.
    Dpop,
}

impl Scheme {
    /// Adds the challenge of the scheme that was used to a refusal.
    fn challenged(self, failure: Failure) -> Failure {
        match self {
            Self::Dpop if failure.kind() == Kind::InvalidToken => dpop::challenged(failure),
            _ => failure,
        }
    }
}

/// An access token as presented.
#[derive(Clone, Copy)]
struct Presented<'a> {
    scheme: Scheme,
    text: &'a str,
}

/// The access token of a request: only from the header, never from the URL (RFC 6750 §2.1, RFC 9449 §7.1).
fn presented(headers: &HeaderMap) -> Result<Option<Presented<'_>>, Failure> {
    let mut values = headers.get_all(AUTHORIZATION);
    let Some(value) = values.next() else { return Ok(None) };
    let malformed = || {
        Failure::new(
            Kind::InvalidToken,
            "The Authorization header is not of the form `Bearer <token>` or `DPoP <token>`.",
        )
    };
    if values.next().is_some() {
        return Err(malformed());
    }
    let (scheme, text) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    let scheme = match scheme {
        _ if text.is_empty() => return Err(malformed()),
        _ if scheme.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        _ if scheme.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        _ => return Err(malformed()),
    };
    Ok(Some(Presented { scheme, text }))
}

fn identify(request: &HttpRequest) -> LocalBoxFuture<'static, Result<Option<Identity>, Problem>> {
    let request = request.clone();
    Box::pin(async move {
        let guard = app_data::<Guard>(&request)?;
        Ok(guard.identify(&request).await?)
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
