//! The page on which a user reads an operation and signs it with a passkey, reached by a link from the requesting app.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use url::Url;

use super::links::{self, look};
use super::{Site, account_card};
use crate::account::guards::Guard;
use crate::ceremony::handlers::Room;
use crate::domain::action::Action;
use crate::web::Caller;
use crate::web::error::{Failure, Kind};
use crate::web::form::PageForm;
use crate::web::limits::{Class, Limits};
use crate::web::pages::approve::{Approve, Line};
use crate::web::pages::links::Link;
use crate::web::pages::{Boot, PageKind};

/// The page that takes the token from the URL fragment.
pub async fn start(request: HttpRequest, site: web::Data<Site>) -> HttpResponse {
    links::start(&request, &site, Link::Approve)
}

/// The final page of a link without a return address.
pub async fn done(request: HttpRequest, site: web::Data<Site>) -> HttpResponse {
    links::done(&request, &site, Link::Approve)
}

/// The page that shows who requests what for which account, with the button; or why the link does not work.
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
        let looked = match look(&request, (&site, &guard, &room), &caller, (&form.0, Action::Sign)).await? {
            Ok(looked) => looked,
            Err(refused) => return Ok(refused),
        };
        let missing = || Failure::new(Kind::Internal, "The operation is missing.");
        let operation = looked.token.operation.clone().ok_or_else(missing)?;
        let boot = Boot { page: PageKind::Action, ..Boot::default() };
        let view = Approve {
            frame: site.frame(&request, looked.here.as_ref(), boot),
            app: looked.app(),
            account: account_card(&looked.user),
            operation: operation.title,
            details: operation.details.into_iter().map(|one| Line { label: one.label, value: one.value }).collect(),
            cancel: looked.token.return_to.as_deref().and_then(denied).unwrap_or_else(|| "/".to_owned()),
            token: looked.typed,
        };
        Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
    }
    .await;
    site.answer(&request, result)
}

/// The app's return address with the information that the user refused.
fn denied(return_to: &str) -> Option<String> {
    let mut address = Url::parse(return_to).ok()?;
    address.query_pairs_mut().append_pair("error", "access_denied");
    Some(address.into())
}
