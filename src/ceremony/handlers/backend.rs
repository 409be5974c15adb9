//! Who acts for somebody else: a backend by its own access token, and whoever holds an action token.
//!
//! An action token travels in `Authorization: ActionToken pmt_…`: a scheme of its own, which no place that takes access
//! tokens knows.

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

/// What a backend may do by its own access token.
pub trait BackendRight {
    /// The scope that gives it.
    const SCOPE: &'static str;
}

/// To make action tokens, and to redeem what they give.
#[derive(Debug)]
pub enum MakeActions {}

impl BackendRight for MakeActions {
    const SCOPE: &'static str = ACTION_TOKENS;
}

/// To redeem proofs of signed operations.
#[derive(Debug)]
pub enum RedeemProofs {}

impl BackendRight for RedeemProofs {
    const SCOPE: &'static str = TRANSACTIONS;
}

/// A backend, proven by an access token of its own (RFC 6749 §4.4) with a scope.
#[derive(Debug)]
pub struct Backend<R> {
    right: PhantomData<fn() -> R>,
    /// The client.
    pub client: Arc<Client>,
    /// What its token grants, as far as the client may still have it.
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

/// The action token of a request, as it came.
pub(crate) struct SentToken(Option<PlainToken>);

impl SentToken {
    /// None when the request carries none; what is not even the form of one is kept as that, to be refused by name.
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

    /// The same of a form of our own page.
    pub(crate) fn typed(text: &str) -> Self {
        Self(PlainToken::parse(TokenKind::Action, text.trim()))
    }

    /// With what else is asked about it.
    pub(crate) fn presented<'a>(
        &'a self,
        request: &'a HttpRequest,
        session: Option<UserId>,
        provenance: &'a Provenance,
    ) -> Result<Presented<'a>, Failure> {
        Ok(Presented { token: self.0.as_ref(), origin: origin(request.headers())?, session, provenance })
    }
}

/// Whose passkeys a request of the passkey list is about.
pub(super) enum Holder {
    /// Their own: somebody signed in.
    Themselves(Box<Identity>),
    /// Those of an action token's person; the browser may belong to somebody.
    ByAction(SentToken, Option<UserId>),
}

impl Holder {
    /// Somebody signed in, or the holder of an action token.
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
