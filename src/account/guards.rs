//! Who is signed in: the rule of a route is the type of its argument.
//!
//! [`Identity`] wants somebody signed in, by our cookie or by an access token of ours; [`MaybeIdentity`] lets strangers
//! through. An unsafe request with a cookie must come from our own pages, and from one of that very session where it says of
//! which it is. A storage fault is never "not signed in".

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
        /// Whom it is for: this server, and what else it names.
        audience: Vec<String>,
        /// Who acts for the person with it, where it names somebody (RFC 8693 §4.1).
        act: Option<Actor>,
    },
}

/// Somebody signed in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Their session.
    pub session: Session,
    /// The person who is signed in.
    pub user: User,
    /// How they proved it.
    pub via: Via,
}

impl Identity {
    /// Refuses an access token that lacks a scope. A cookie is our own page and needs none.
    pub fn require_scope(&self, scope: &str) -> Result<(), Failure> {
        match &self.via {
            Via::Bearer { scopes, .. } if !scopes.contains(scope) => {
                Err(Failure::new(Kind::InsufficientScope, format!("The access token lacks the scope `{scope}`.")))
            }
            _ => Ok(()),
        }
    }

    /// Who acts for the person with the access token; nobody where it names nobody, and with a cookie.
    pub const fn act(&self) -> Option<&Actor> {
        match &self.via {
            Via::Cookie => None,
            Via::Bearer { act, .. } => act.as_ref(),
        }
    }

    /// Refuses access tokens altogether: some things are for our own pages only.
    pub fn require_cookie(&self) -> Result<(), Failure> {
        match &self.via {
            Via::Cookie => Ok(()),
            Via::Bearer { .. } => Err(Failure::new(
                Kind::Forbidden,
                "This requires a signed-in browser; an access token is not accepted.",
            )),
        }
    }

    /// Refuses an access token in a session that is not its client's own: the browser's, which its owner goes on with, or
    /// another app's.
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

/// Somebody signed in, or nobody.
#[derive(Clone, Debug)]
pub struct MaybeIdentity(pub Option<Identity>);

/// The header in which the page module says which session its page was made for, by that session's token.
const PAGE_TOKEN: &str = "x-csrf-token";

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
    /// Ties our pages to sessions.
    pub page_tokens: PageTokens,
    /// Names browser states, where an operator wants session management.
    pub browser_states: Option<Arc<BrowserStates>>,
    /// Proofs of possession.
    pub dpop: Arc<Dpop>,
    /// Our own origin, for requests that change something.
    pub public_origin: String,
}

impl Guard {
    /// The cookies that take away what a browser keeps of a session.
    pub fn forgetting(&self) -> Vec<Cookie<'static>> {
        let mut cookies = vec![self.cookies.clear_session()];
        cookies.extend(self.browser_states.as_ref().map(|_| self.cookies.clear_browser_state()));
        cookies
    }

    /// The cookie that tells the session iframe of this session, and the browser state in it; none where session
    /// management is off. To be set with each authorization answer that has a `session_state`.
    pub fn browser_state(&self, session: SessionId) -> Option<(Cookie<'static>, String)> {
        let state = self.browser_states.as_ref()?.of(session);
        Some((self.cookies.set_browser_state(&state), state))
    }

    /// Who sent a request.
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
        // A page that says for which session it was made acts for no other one: somebody else may have signed in since.
        for sent in headers.get_all(PAGE_TOKEN) {
            self.page_tokens.require(session.id, sent.as_bytes())?;
        }
        Ok(Some(Identity { session, user, via: Via::Cookie }))
    }

    /// Who is signed in in the browser of a request that proves its right by something else than an access token; nobody on
    /// another site's page.
    pub async fn signed_in_here(&self, request: &HttpRequest) -> Result<Option<Identity>, Failure> {
        let headers = request.headers();
        match self.cookies.session(headers)? {
            Some(cookie) if require_same_origin(headers, &self.public_origin).is_ok() => {
                self.by_cookie(headers, &cookie).await
            }
            _ => Ok(None),
        }
    }

    /// Refuses a token that is not the client's own (RFC 6749 §4.4), or was revoked: a person's tokens do not speak for it.
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

    /// Who sent a request that may also come from another site's page, as ceremonies for clients do: such a page never
    /// acts with our cookie, so there the cookie is not read.
    pub async fn identify_on_own_site(&self, request: &HttpRequest) -> Result<Option<Identity>, Failure> {
        let own = require_same_origin(request.headers(), &self.public_origin).is_ok();
        if !own && presented(request.headers())?.is_none() {
            return Ok(None);
        }
        self.identify(request).await
    }

    /// The access token in the header of a request, verified: ours, for this server, of a client that is not disabled, and
    /// presented as it must be: a bound one with a proof of its key (RFC 9449 §7), any other as Bearer. None when there is no
    /// token. That its session still lives, [`holder`](Self::holder) asks.
    pub async fn access_token(&self, request: &HttpRequest) -> Result<Option<VerifiedAccess>, Failure> {
        match presented(request.headers())? {
            Some(token) => self.verified(request, token, Place::OwnApi).await.map(Some),
            None => Ok(None),
        }
    }

    /// The same at userinfo, where it may be in a form body too (RFC 6750 §2.2) if it is bound to no key.
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

    /// An access token for somebody else (`audience`) that came as Bearer: ours, of a client that is not disabled, bound to no
    /// key. That its session still lives, [`holder`](Self::holder) asks.
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

    /// Who holds an access token, while its session lives. A token of a client for itself is nobody's.
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

/// A session as an access token tells of it. How and when its person signed in for the token, the token says: the session may
/// have grown fresher and stronger since, in a browser that whoever holds the token never saw.
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
    // Older still, where the session was made to count as old since: a copy of its passkey is suspected. With which passkey the
    // person signed in for the token nobody knows any more.
    Session { passkey: None, auth_time, verified_at: auth_time.min(told.verified_at), ..told }
}

fn refused() -> Failure {
    Failure::new(Kind::InvalidToken, "The access token is not valid here, has expired or was revoked.")
}

/// Where an access token for us is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// `/v1`: for this server alone.
    OwnApi,
    /// Userinfo: for this server among others.
    Userinfo,
}

impl Place {
    /// Whoever asked for a token for their own API and tries it here cannot see by themselves what is wrong, so they are told.
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

/// Claims of an access token that was verified and rightly presented. Only [`Guard`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedAccess {
    claims: AccessClaims,
    client: Arc<Client>,
    scheme: Scheme,
}

impl VerifiedAccess {
    /// The client that the token was given to.
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

/// How an access token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449 §7.1.
    Dpop,
}

impl Scheme {
    /// A refusal in the words of the scheme that was used.
    fn challenged(self, failure: Failure) -> Failure {
        match self {
            Self::Dpop if failure.kind() == Kind::InvalidToken => dpop::challenged(failure),
            _ => failure,
        }
    }
}

/// An access token as it came.
#[derive(Clone, Copy)]
struct Presented<'a> {
    scheme: Scheme,
    text: &'a str,
}

/// The access token of a request: in the header only, never in the address (RFC 6750 §2.1, RFC 9449 §7.1).
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
