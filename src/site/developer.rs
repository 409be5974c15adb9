//! The developer panel. It exists only together with the quick-start client, on a developer's own machine.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::{QUICK_START, Site, identity_of};
use crate::account::guards::Guard;
use crate::ceremony::handlers::Room;
use crate::web::error::{Failure, Kind};
use crate::web::pages::developer::Developer;
use crate::web::pages::sign_in::SignUp;
use crate::web::pages::{Boot, PageKind};

/// The page of the developer panel.
pub async fn panel(request: HttpRequest, site: web::Data<Site>, guard: web::Data<Guard>, room: Room) -> HttpResponse {
    let result = async {
        if !site.quick_start {
            return Err(Failure::new(Kind::NotFound, "The developer panel is for localhost only."));
        }
        let identity = identity_of(&request, &guard).await?;
        let boot = Boot { page: PageKind::Developer, ..Boot::default() };
        let view = Developer {
            frame: site.frame(&request, identity.as_ref(), boot),
            origin: site.public_url.to_string(),
            client_id: QUICK_START.to_owned(),
            scope: "openid profile email passkeys".to_owned(),
            bridges: room.bridges.names(),
            sign_up: site.sign_up != SignUp::Closed,
            docs: site.docs.clone(),
        };
        Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
    }
    .await;
    site.answer(&request, result)
}
