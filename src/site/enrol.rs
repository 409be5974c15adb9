//! The page of a link that an app gave out: one button, and the way back.
//!
//! What must always hold: looking at the page uses nothing up and counts nothing, so that a mail scanner that opens it does no
//! harm; the button is the API's own two calls.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use url::Url;

use super::{Site, account_card, app_identity};
use crate::account::guards::Guard;
use crate::ceremony::CeremonyError;
use crate::ceremony::handlers::Room;
use crate::ceremony::handlers::backend::SentToken;
use crate::domain::action::{Action, ActionRefusal};
use crate::web::Caller;
use crate::web::error::Failure;
use crate::web::form::PageForm;
use crate::web::limits::{Class, Limits};
use crate::web::origin::require_same_origin;
use crate::web::pages::enrol::{Enrol, EnrolDone, EnrolRefused, EnrolStart, LinkProblem};
use crate::web::pages::{Boot, PageKind};

/// Takes the token from what follows the # of the address: the module posts it.
pub async fn start(request: HttpRequest, site: web::Data<Site>) -> HttpResponse {
    let view = EnrolStart { frame: site.frame(&request, None, Boot::default()) };
    let page = Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK);
    site.answer(&request, page)
}

/// Afterwards, where no app waits.
pub async fn done(request: HttpRequest, site: web::Data<Site>) -> HttpResponse {
    let view = EnrolDone { frame: site.frame(&request, None, Boot::default()) };
    let page = Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK);
    site.answer(&request, page)
}

/// Who asks, for which account, and the button; or why not.
pub async fn ask(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    room: Room,
    limits: web::Data<Limits>,
    caller: Caller,
    form: PageForm,
) -> HttpResponse {
    let result = async {
        limits.check(Class::Start, caller.network)?;
        require_same_origin(request.headers(), &guard.public_origin)?;
        let typed = form.0.find("token").unwrap_or_default();
        let here = guard.signed_in_here(&request).await?;
        let token = SentToken::typed(typed);
        let mut presented =
            token.presented(&request, here.as_ref().map(|identity| identity.user.id), &caller.provenance)?;
        presented.origin = Some(&guard.public_origin);
        let (token, client, user) = match room.look_at_action(presented, &[Action::Enrol]).await {
            Ok(found) => found,
            Err(CeremonyError::Action(refusal)) => return refused(&site, &request, refusal),
            Err(other) => return Err(other.into()),
        };
        let host =
            token.return_to.as_deref().and_then(|address| Url::parse(address).ok()?.host_str().map(str::to_owned));
        let boot = Boot { page: PageKind::Action, ..Boot::default() };
        let view = Enrol {
            frame: site.frame(&request, here.as_ref(), boot),
            app: app_identity(&client, host),
            account: account_card(&user),
            token: typed.trim().to_owned(),
        };
        Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
    }
    .await;
    site.answer(&request, result)
}

fn refused(site: &Site, request: &HttpRequest, refusal: ActionRefusal) -> Result<HttpResponse, Failure> {
    let problem = match refusal {
        ActionRefusal::Session => LinkProblem::OtherAccount,
        ActionRefusal::EnrolOver => LinkProblem::HasPasskey,
        _ => LinkProblem::Over,
    };
    let failure = Failure::from(CeremonyError::Action(refusal));
    let view = EnrolRefused { frame: site.frame(request, None, Boot::default()), problem };
    Site::page(&view, &view.frame.nonce.clone(), failure.kind().status())
}
