//! Extractors for forms of our pages and forms that other sites post to us. A user is present, so a form that cannot be
//! read is answered with a page.

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
