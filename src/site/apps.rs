//! The apps that a user gave access to, and revoking it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::scope_item::scope_item;
use super::{Site, done_of, require_identity, see_other};
use crate::account::guards::Guard;
use crate::domain::authorization::place_of;
use crate::domain::client::Client;
use crate::oidc::initiate::login_url;
use crate::storage::consents::StoredConsent;
use crate::web::Caller;
use crate::web::form::PageForm;
use crate::web::pages::Boot;
use crate::web::pages::apps::{AppCard, Apps};
use crate::web::pages::scopes::ScopeItem;

/// The page that lists the apps.
pub async fn list(request: HttpRequest, site: web::Data<Site>, guard: web::Data<Guard>) -> HttpResponse {
    let result = async {
        let identity = require_identity(&request, &guard).await?;
        let consents = guard.accounts.consents_of(&identity.user).await?;
        let view = Apps {
            frame: site.frame(&request, Some(&identity), Boot::default()),
            done: done_of(&request),
            apps: consents.into_iter().map(|consent| card(&guard, consent)).collect(),
        };
        Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
    }
    .await;
    site.answer(&request, result)
}

fn card(guard: &Guard, stored: StoredConsent) -> AppCard {
    let client = guard.clients.find(&stored.client);
    let definition = client.as_ref().map(|client| &client.definition);
    AppCard {
        name: definition.map_or_else(|| stored.client.clone(), |definition| definition.name.clone()),
        host: definition.and_then(|definition| definition.redirect_uris.first()).map(|uri| place_of(uri)),
        open: client.as_ref().and_then(|client| login_url(client, guard.mint.issuer(), None)),
        scopes: scopes(guard, client.as_deref(), &stored),
        client: stored.client,
        since: stored.granted_at,
    }
}

fn scopes(guard: &Guard, client: Option<&Client>, stored: &StoredConsent) -> Vec<ScopeItem> {
    // Single claims of a scope do not bring what goes with the whole scope.
    let whole = |scope: &str| client.filter(|_| stored.consent.scopes.contains(scope));
    let scopes = stored.consent.in_scopes();
    scopes.iter().map(|scope| scope_item(whole(scope), guard.mint.resources(), scope)).collect()
}

/// Revokes the consent for an app.
pub async fn remove(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    caller: Caller,
    form: PageForm,
) -> HttpResponse {
    let result = async {
        let identity = site.posted_by(&request, &guard, &form).await?;
        // If the app has no access any more, that is what was wanted.
        guard.accounts.take_back(&identity.session, form.0.get("client")?, &caller.provenance).await?;
        Ok(see_other("/account/apps?done=app-removed"))
    }
    .await;
    site.answer(&request, result)
}
