//! Sign-in, the pages for browsers without script, and step-up.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::{Site, identity_of, is_own_path, next_of, require_identity, see_other, with_cookie};
use crate::account::guards::Guard;
use crate::ceremony::authentication::BeginSignIn;
use crate::ceremony::handlers::{Browser, Room};
use crate::ceremony::state::Wanted;
use crate::domain::text::Email;
use crate::web::Caller;
use crate::web::error::Failure;
use crate::web::form::PageForm;
use crate::web::limits::{Class, Limits};
use crate::web::pages::confirm::{Confirm, Reason};
use crate::web::pages::sign_in::{AppChip, Scriptless, SignIn};
use crate::web::pages::{Armed, Boot, PageKind};

/// The sign-in page. A user who is already signed in is redirected.
pub async fn home(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    room: Room,
    limits: web::Data<Limits>,
    caller: Caller,
) -> HttpResponse {
    let result = sign_in_page(&request, &site, &guard, &room, &limits, &caller).await;
    site.answer(&request, result)
}

async fn sign_in_page(
    request: &HttpRequest,
    site: &Site,
    guard: &Guard,
    room: &Room,
    limits: &Limits,
    caller: &Caller,
) -> Result<HttpResponse, Failure> {
    let next = next_of(request);
    if identity_of(request, guard).await?.is_some() {
        return Ok(see_other(next.as_deref().unwrap_or("/account")));
    }
    show(request, site, guard, room, (limits, caller), Introduction { next, ..Introduction::default() }).await
}

/// The context of the sign-in page.
#[derive(Default)]
pub(super) struct Introduction {
    /// Where to continue afterwards: a path of ours.
    pub(super) next: Option<String>,
    /// The app that sent the user.
    pub(super) app: Option<AppChip>,
    /// The initial value of the e-mail field.
    pub(super) email: String,
    /// Where Cancel leads: back to the app, by a path of ours.
    pub(super) cancel: Option<String>,
    /// If the app requests a new account: where users who already have one sign in, a path of ours.
    pub(super) sign_in_instead: Option<String>,
}

/// Renders the sign-in page.
pub(super) async fn show(
    request: &HttpRequest,
    site: &Site,
    guard: &Guard,
    room: &Room,
    (limits, caller): (&Limits, &Caller),
    introduction: Introduction,
) -> Result<HttpResponse, Failure> {
    let Introduction { next, app, email, cancel, sign_in_instead } = introduction;
    let right_address = site.right_address(request);
    let mut browser = None;
    let mut armed = None;
    // Under another host name no passkey would work. A network over its rate limit gets no autofill.
    if right_address.is_none() && limits.check(Class::Start, caller.network).is_ok() {
        let bound = Browser::of(request.headers(), guard)?;
        let begun = room
            .begin_sign_in(BeginSignIn {
                origin: Some(&guard.public_origin),
                relying_party: None,
                email: None,
                wanted: Wanted::Session,
                client: None,
                browser: Some(bound.token.digest()),
            })
            .await?;
        armed = Some(Armed {
            ceremony_id: begun.handle.expose().to_owned(),
            expires_in: u64::try_from((begun.deadline - room.clock.now()).num_seconds()).unwrap_or(0),
            public_key: json!(begun.options),
        });
        browser = Some(bound);
    }
    let boot = Boot { page: PageKind::SignIn, next, armed, ..Boot::default() };
    let view = SignIn { app, cancel, sign_in_instead, ..view(site, request, boot, right_address, email, false) };
    let response = Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)?;
    Ok(match browser.filter(|browser| browser.is_new) {
        Some(browser) => with_cookie(response, &guard.cookies.set_pre_session(&browser.token)),
        None => response,
    })
}

fn view(
    site: &Site,
    request: &HttpRequest,
    boot: Boot,
    right_address: Option<String>,
    email: String,
    bad_email: bool,
) -> SignIn {
    SignIn {
        frame: site.frame(request, None, boot),
        app: None,
        email,
        bad_email,
        right_address,
        passkeys: true,
        sign_up: site.sign_up,
        ways: Vec::new(),
        cancel: None,
        sign_in_instead: None,
    }
}

/// The sign-in button, pressed in a browser without script.
pub async fn without_script(request: HttpRequest, site: web::Data<Site>, form: PageForm) -> HttpResponse {
    let result = scriptless(&site, &request, &form);
    site.answer(&request, result)
}

/// GET for the paths of those forms: redirects to the sign-in page, because there is nothing to show.
pub async fn nothing_posted() -> HttpResponse {
    see_other("/")
}

fn scriptless(site: &Site, request: &HttpRequest, form: &PageForm) -> Result<HttpResponse, Failure> {
    let back = form.0.find("next").filter(|next| is_own_path(next)).unwrap_or("/").to_owned();
    let view = Scriptless { frame: site.frame(request, None, Boot::default()), back, ways: Vec::new() };
    Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
}

/// The e-mail form, posted by a browser without script: says so, or what is wrong with the address.
pub async fn email_without_script(request: HttpRequest, site: web::Data<Site>, form: PageForm) -> HttpResponse {
    let typed: String = form.0.find("username").unwrap_or_default().chars().take(254).collect();
    let result = if Email::parse(&typed).is_ok() {
        scriptless(&site, &request, &form)
    } else {
        let next = form.0.find("next").filter(|next| is_own_path(next)).map(ToOwned::to_owned);
        let boot = Boot { page: PageKind::SignIn, next, ..Boot::default() };
        let view = view(&site, &request, boot, site.right_address(&request), typed, true);
        Site::page(&view, &view.frame.nonce.clone(), StatusCode::UNPROCESSABLE_ENTITY)
    };
    site.answer(&request, result)
}

/// The step-up page, on which the user confirms their identity before a sensitive operation.
pub async fn confirm(request: HttpRequest, site: web::Data<Site>, guard: web::Data<Guard>, room: Room) -> HttpResponse {
    let result = confirm_page(&request, &site, &guard, &room).await;
    site.answer(&request, result)
}

async fn confirm_page(request: &HttpRequest, site: &Site, guard: &Guard, room: &Room) -> Result<HttpResponse, Failure> {
    let identity = require_identity(request, guard).await?;
    let (passkeys, _) = room.passkeys_of(&identity.user).await?;
    let next = next_of(request).unwrap_or_else(|| "/account".to_owned());
    let leads_to = |what: &str| {
        let passkey = passkeys.iter().find(|passkey| next == format!("/account/passkeys/{}/{what}", passkey.id));
        passkey.map(|passkey| passkey.name.clone())
    };
    let reason = match (leads_to("remove"), leads_to("resume")) {
        (Some(name), _) => Reason::RemovePasskey(name),
        (_, Some(name)) => Reason::ResumePasskey(name),
        _ if next == "/account/passkeys" => Reason::AddPasskey,
        _ if next == "/account/sessions" => Reason::SignOutOthers,
        _ => Reason::Continue,
    };
    let boot = Boot { page: PageKind::StepUp, next: Some(next), ..Boot::default() };
    let view = Confirm {
        frame: site.frame(request, Some(&identity), boot),
        account: super::account_card(&identity.user),
        reason,
        has_passkey: !passkeys.is_empty(),
        another: None,
        cancel: "/account".to_owned(),
    };
    Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
}
