//! Callers that act on behalf of somebody else: a backend with its own access token, or the holder of an action token.
//!
//! An action token is sent as `Authorization: ActionToken pmt_…`. The separate scheme ensures that no endpoint which
//! accepts access tokens mistakes it for one.

use std::marker::PhantomData;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpRequest};
use futures_core::future::LocalBoxFuture;

use crate::account::guards::{Guard, Identity};
use crate::ceremony::actions::Presented;
use crate::domain::audit::Provenance;
use crate::domain::client::Client;
use crate::domain::id::UserId;
use crate::domain::scope::{ACTION_TOKENS, Scopes, TRANSACTIONS};
use crate::domain::secret::{PlainToken, TokenKind};
use crate::web::Caller;
use crate::web::app_data::app_data;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::limits::{Class, Limits};
use crate::web::origin::origin;

/// A right that a backend may have by its own access token.
pub trait BackendRight {
    /// The scope that grants the right.
    const SCOPE: &'static str;
}

/// The right to create action tokens and to redeem their results.
#[derive(Debug)]
pub enum MakeActions {}

impl BackendRight for MakeActions {
    const SCOPE: &'static str = ACTION_TOKENS;
}

/// The right to redeem proofs of signed operations.
#[derive(Debug)]
pub enum RedeemProofs {}

impl BackendRight for RedeemProofs {
    const SCOPE: &'static str = TRANSACTIONS;
}

/// A backend, authenticated by its own access token (RFC 6749 §4.4) with the required scope.
#[derive(Debug)]
pub struct Backend<R> {
    right: PhantomData<fn() -> R>,
    /// The client.
    pub client: Arc<Client>,
    /// The scopes of its token that the client is still allowed to have.
    pub scopes: Scopes,
    /// Where the request came from.
    pub provenance: Provenance,
}

impl<R: BackendRight + 'static> FromRequest for Backend<R> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (request, caller) = (request.clone(), Caller::of(request));
        Box::pin(async move {
            let (limits, guard) = (app_data::<Limits>(&request)?, app_data::<Guard>(&request)?);
            limits.check(Class::Token, caller.network)?;
            Ok(admit(&guard, &request, caller.provenance).await?)
        })
    }
}

async fn admit<R: BackendRight>(
    guard: &Guard,
    request: &HttpRequest,
    provenance: Provenance,
) -> Result<Backend<R>, Failure> {
    let Some(access) = guard.access_token(request).await? else {
        let detail = format!("Send an access token of the client's own with the scope {:?}.", R::SCOPE);
        return Err(Failure::new(Kind::NotSignedIn, detail));
    };
    let client = Arc::clone(access.client());
    let granted = Scopes::parse(&access.scope).unwrap_or_default().granted_by(&client.definition.scopes);
    if !granted.contains(R::SCOPE) {
        let detail = format!("The access token lacks the scope {:?}.", R::SCOPE);
        return Err(Failure::new(Kind::InsufficientScope, detail));
    }
    guard.require_own_token(&access).await?;
    if client.unverified_since.is_some() {
        let detail = "This is for clients that the operator set up, not for those that registered themselves.";
        return Err(Failure::new(Kind::Forbidden, detail));
    }
    Ok(Backend { right: PhantomData, client, scopes: granted, provenance })
}

/// The action token of a request, as received.
pub(crate) struct SentToken(Option<PlainToken>);

impl SentToken {
    /// Reads the token. `None` if the request carries none; a malformed one is kept, so that it is refused as an
    /// unknown token.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Failure> {
        let mut values = headers.get_all(AUTHORIZATION);
        let Some((scheme, text)) = values.next().and_then(|value| value.to_str().ok()?.split_once(' ')) else {
            return Ok(None);
        };
        if !scheme.eq_ignore_ascii_case("actiontoken") {
            return Ok(None);
        }
        if values.next().is_some() {
            return Err(Failure::new(Kind::InvalidRequest, "The Authorization header was sent twice."));
        }
        Ok(Some(Self(PlainToken::parse(TokenKind::Action, text))))
    }

    /// The same for a token submitted in a form of one of our own pages.
    pub(crate) fn typed(text: &str) -> Self {
        Self(PlainToken::parse(TokenKind::Action, text.trim()))
    }

    /// Combines the token with the facts of the request that it is checked against.
    pub(crate) fn presented<'a>(
        &'a self,
        request: &'a HttpRequest,
        session: Option<UserId>,
        provenance: &'a Provenance,
    ) -> Result<Presented<'a>, Failure> {
        Ok(Presented { token: self.0.as_ref(), origin: origin(request.headers())?, session, provenance })
    }
}

/// Whose passkeys a request to the passkey list concerns.
pub(super) enum Holder {
    /// The signed-in person's own.
    Themselves(Box<Identity>),
    /// Those of the action token's person. The browser itself may be signed in as somebody.
    ByAction(SentToken, Option<UserId>),
}

impl Holder {
    /// Reads the action token, if there is one, and otherwise requires somebody signed in.
    pub(super) async fn of(request: &HttpRequest, guard: &Guard) -> Result<Self, Failure> {
        if let Some(token) = SentToken::of(request.headers())? {
            let here = guard.signed_in_here(request).await?;
            return Ok(Self::ByAction(token, here.map(|identity| identity.user.id)));
        }
        let identity = guard.identify(request).await?;
        let identity = identity.ok_or_else(|| {
            Failure::new(Kind::NotSignedIn, "Sign in first, or send an access token or an action token.")
        })?;
        Ok(Self::Themselves(Box::new(identity)))
    }
}
