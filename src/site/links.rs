//! What all links of apps have in common: their first and last pages, and the check of the token that determines what
//! is asked.
//!
//! What must always hold: checking a token neither uses it up nor counts as a use, so a mail scanner that opens a link
//! does no harm; the button makes the same two API calls as any app.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use url::Url;

use super::{Site, app_identity};
use crate::account::guards::{Guard, Identity};
use crate::ceremony::CeremonyError;
use crate::ceremony::handlers::Room;
use crate::ceremony::handlers::backend::SentToken;
use crate::domain::action::{Action, ActionRefusal, ActionToken};
use crate::domain::client::Client;
use crate::domain::user::User;
use crate::web::Caller;
use crate::web::error::Failure;
use crate::web::form::Form;
use crate::web::origin::require_same_origin;
use crate::web::pages::Boot;
use crate::web::pages::links::{Link, LinkDone, LinkProblem, LinkRefused, LinkStart};
use crate::web::pages::scopes::AppIdentity;

/// The page that takes the token from the URL fragment; the page module posts it.
pub(super) fn start(request: &HttpRequest, site: &Site, link: Link) -> HttpResponse {
    let view = LinkStart { frame: site.frame(request, None, Boot::default()), link };
    let page = Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK);
    site.answer(request, page)
}

/// The final page of a link without a return address.
pub(super) fn done(request: &HttpRequest, site: &Site, link: Link) -> HttpResponse {
    let view = LinkDone { frame: site.frame(request, None, Boot::default()), link };
    let page = Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK);
    site.answer(request, page)
}

/// What a link was found to be for.
pub(super) struct Looked {
    pub(super) token: ActionToken,
    pub(super) client: Arc<Client>,
    pub(super) user: User,
    /// The user who is signed in to this browser, if any.
    pub(super) here: Option<Identity>,
    /// The token as sent.
    pub(super) typed: String,
}

impl Looked {
    /// The app as the page shows it, with the host that the user returns to.
    pub(super) fn app(&self) -> AppIdentity {
        let back = self.token.return_to.as_deref().and_then(|address| Url::parse(address).ok());
        app_identity(&self.client, back.and_then(|address| address.host_str().map(str::to_owned)))
    }
}

/// Checks the token of a form for a page about `action`; or returns the page that says why it is refused.
pub(super) async fn look(
    request: &HttpRequest,
    (site, guard, room): (&Site, &Guard, &Room),
    caller: &Caller,
    (form, action): (&Form, Action),
) -> Result<Result<Looked, HttpResponse>, Failure> {
    require_same_origin(request.headers(), &guard.public_origin)?;
    let typed = form.find("token").unwrap_or_default().trim().to_owned();
    let here = guard.signed_in_here(request).await?;
    let token = SentToken::typed(&typed);
    let session = here.as_ref().map(|identity| identity.user.id);
    let mut presented = token.presented(request, session, &caller.provenance)?;
    presented.origin = Some(&guard.public_origin);
    match room.look_at_action(presented, &[action]).await {
        Ok((token, client, user)) => Ok(Ok(Looked { token, client, user, here, typed })),
        Err(refusal @ (CeremonyError::Action(_) | CeremonyError::NoPasskeyYet)) => {
            refused(site, request, refusal).map(Err)
        }
        Err(other) => Err(other.into()),
    }
}

fn refused(site: &Site, request: &HttpRequest, refusal: CeremonyError) -> Result<HttpResponse, Failure> {
    let problem = match &refusal {
        CeremonyError::Action(ActionRefusal::Session) => LinkProblem::OtherAccount,
        CeremonyError::Action(ActionRefusal::EnrolOver) => LinkProblem::HasPasskey,
        CeremonyError::NoPasskeyYet => LinkProblem::NoPasskey,
        _ => LinkProblem::Over,
    };
    let failure = Failure::from(refusal);
    let view = LinkRefused { frame: site.frame(request, None, Boot::default()), problem };
    Site::page(&view, &view.frame.nonce.clone(), failure.kind().status())
}
