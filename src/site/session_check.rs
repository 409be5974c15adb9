//! `GET /oauth/session/check`: the page that apps load in a hidden frame to detect a sign-in or sign-out (OpenID
//! Connect Session Management 1.0 §3.1). It is our only page that other sites may frame. It shows nothing and changes
//! nothing.

use actix_web::http::header::{CONTENT_SECURITY_POLICY, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template as _;

use super::{Site, fresh_nonce};
use crate::account::guards::Guard;
use crate::web::error::{Failure, Kind};
use crate::web::headers::framed_policy;
use crate::web::pages::session_check::SessionCheck;

/// The page; 404 unless session management is enabled.
pub async fn page(request: HttpRequest, site: web::Data<Site>, guard: web::Data<Guard>) -> HttpResponse {
    site.answer(&request, check_page(&guard))
}

fn check_page(guard: &Guard) -> Result<HttpResponse, Failure> {
    if guard.browser_states.is_none() {
        return Err(Failure::new(Kind::NotFound, "Session management is switched off."));
    }
    let nonce = fresh_nonce();
    let view = SessionCheck { nonce: nonce.clone(), cookie: guard.cookies.browser_state_name().to_owned() };
    let html =
        view.render().map_err(|error| Failure::new(Kind::Internal, "The page could not be created.").because(error))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_SECURITY_POLICY, framed_policy(&nonce)))
        .insert_header((HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"))
        .content_type("text/html; charset=utf-8")
        .body(html))
}
