//! The page on which a user creates a passkey, reached by a link from the app that permits it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::links::{self, look};
use super::{Site, account_card};
use crate::account::guards::Guard;
use crate::ceremony::handlers::Room;
use crate::domain::action::Action;
use crate::web::Caller;
use crate::web::form::PageForm;
use crate::web::limits::{Class, Limits};
use crate::web::pages::enrol::Enrol;
use crate::web::pages::links::Link;
use crate::web::pages::{Boot, PageKind};

/// The page that takes the token from the URL fragment.
pub async fn start(request: HttpRequest, site: web::Data<Site>) -> HttpResponse {
    links::start(&request, &site, Link::Enrol)
}

/// The final page of a link without a return address.
pub async fn done(request: HttpRequest, site: web::Data<Site>) -> HttpResponse {
    links::done(&request, &site, Link::Enrol)
}

/// The page that shows which app asks and for which account, with the button; or why the link does not work.
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
        let looked = match look(&request, (&site, &guard, &room), &caller, (&form.0, Action::Enrol)).await? {
            Ok(looked) => looked,
            Err(refused) => return Ok(refused),
        };
        let boot = Boot { page: PageKind::Action, ..Boot::default() };
        let view = Enrol {
            frame: site.frame(&request, looked.here.as_ref(), boot),
            app: looked.app(),
            account: account_card(&looked.user),
            token: looked.typed,
        };
        Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
    }
    .await;
    site.answer(&request, result)
}
