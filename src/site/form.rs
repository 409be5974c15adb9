//! Forms of our pages, and those that other pages post to us, as arguments of handlers: somebody is looking, so one that cannot be read is answered by a page.

use actix_web::dev::Payload;
use actix_web::error::InternalError;
use actix_web::{Error, FromRequest, HttpRequest, web};
use futures_core::future::LocalBoxFuture;

use super::Site;
use crate::web::error::{Failure, Problem};
use crate::web::form::{ForeignForm, PageForm};

macro_rules! answered_by_a_page {
    ($($form:ident),*) => {$(
        impl FromRequest for $form {
            type Error = Error;
            type Future = LocalBoxFuture<'static, Result<Self, Error>>;
            fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
                let form = Self::read(request, payload);
                let request = request.clone();
                Box::pin(async move { form.await.map_err(|failure| as_page(&request, failure)) })
            }
        }
    )*};
}

answered_by_a_page!(PageForm, ForeignForm);

fn as_page(request: &HttpRequest, failure: Failure) -> Error {
    match request.app_data::<web::Data<Site>>() {
        Some(site) => {
            let page = site.error_page(request, &failure);
            InternalError::from_response(failure, page).into()
        }
        None => Problem(failure).into(),
    }
}
