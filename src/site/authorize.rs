//! The pages of the authorization endpoint, which show what `oidc::authorize` decides.
//!
//! What must always hold: a request is named only by its handle; a form of ours that ends at an app is answered with a
//! page that continues to the app, never with a redirect (Chromium checks every redirect after a form against
//! `form-action`); a GET never allows anything. To add a step: a page in `web/pages` and its arm in `follow`.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use super::scope_item::scope_item;
use super::sign_in::{self, Introduction};
use super::{Site, account_card, app_identity, identity_of, see_other};
use crate::account::guards::{Guard, Identity};
use crate::ceremony::handlers::Room as Ceremonies;
use crate::domain::authorization::{Answer, Parameters, Refusal, Step, Unsafe};
use crate::domain::client::Client;
use crate::domain::scope::Scopes;
use crate::logout::session_state::session_state;
use crate::oidc::authorize::{self, Outcome, Pending, Visitor};
use crate::oidc::{Oidc, Room};
use crate::resources::Resources;
use crate::web::Caller;
use crate::web::app_data::app_data;
use crate::web::error::{Failure, Kind};
use crate::web::form::{ForeignForm, Form, PageForm};
use crate::web::headers::page_policy_for;
use crate::web::limits::{Class, Limits};
use crate::web::pages::authorize_error::{AuthorizeError, Fault};
use crate::web::pages::choose_account::ChooseAccount;
use crate::web::pages::confirm::{Confirm, Reason};
use crate::web::pages::consent::Consent;
use crate::web::pages::form_post::FormPost;
use crate::web::pages::returning::Returning;
use crate::web::pages::scopes::{AppIdentity, ScopeItem};
use crate::web::pages::sign_in::AppChip;
use crate::web::pages::{Boot, PageKind};

/// Everything that the pages of this file need.
struct Desk<'a> {
    request: &'a HttpRequest,
    site: &'a Site,
    guard: &'a Guard,
    room: &'a Oidc,
    ceremonies: &'a Ceremonies,
    limits: &'a Limits,
    caller: &'a Caller,
}

/// How the browser got here: a link can be answered with a redirect to an app, one of our forms cannot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    ByLink,
    ByOurForm,
}

/// What the handlers of this file receive.
#[derive(Clone)]
pub struct Rooms {
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    room: Room,
    ceremonies: Ceremonies,
    limits: web::Data<Limits>,
}

impl actix_web::FromRequest for Rooms {
    type Error = crate::web::error::Problem;
    type Future = std::future::Ready<Result<Self, Self::Error>>;
    fn from_request(request: &HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        let rooms = || {
            Ok(Self {
                site: app_data(request)?,
                guard: app_data(request)?,
                room: app_data(request)?,
                ceremonies: app_data(request)?,
                limits: app_data(request)?,
            })
        };
        std::future::ready(rooms().map_err(|failure: Failure| failure.into()))
    }
}

impl Rooms {
    fn desk<'a>(&'a self, request: &'a HttpRequest, caller: &'a Caller) -> Desk<'a> {
        Desk {
            request,
            site: &self.site,
            guard: &self.guard,
            room: &self.room,
            ceremonies: &self.ceremonies,
            limits: &self.limits,
            caller,
        }
    }
}

/// An authorization request in the URL.
pub async fn get(request: HttpRequest, rooms: Rooms, caller: Caller) -> HttpResponse {
    let desk = rooms.desk(&request, &caller);
    let result = async {
        let parameters = url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
        if let Some(too_busy) = desk.over_limit(&parameters)? {
            return Ok(too_busy);
        }
        let identity = identity_of(&request, desk.guard).await?;
        desk.begin(parameters, &desk.visitor(identity.as_ref(), true)).await
    }
    .await;
    rooms.site.answer(&request, result)
}

/// An authorization request as a form of the app's page. It comes without a cookie and cannot contain a token of ours.
/// The request is therefore stored, and the browser redirected to one of our pages, which has both.
pub async fn post(request: HttpRequest, rooms: Rooms, caller: Caller, form: ForeignForm) -> HttpResponse {
    let desk = rooms.desk(&request, &caller);
    let result = async {
        let in_address = url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned();
        let parameters = in_address.chain(form.0).collect();
        if let Some(too_busy) = desk.over_limit(&parameters)? {
            return Ok(too_busy);
        }
        desk.begin(parameters, &desk.visitor(None, false)).await
    }
    .await;
    rooms.site.answer(&request, result)
}

/// The page of a pending request.
pub async fn interaction(
    request: HttpRequest,
    rooms: Rooms,
    caller: Caller,
    handle: web::Path<String>,
) -> HttpResponse {
    let desk = rooms.desk(&request, &caller);
    let result = async {
        let identity = identity_of(&request, desk.guard).await?;
        let Some(pending) = desk.find(&handle).await? else { return desk.over() };
        let step = authorize::next(desk.room, &pending, identity.as_ref()).await?;
        desk.follow(&handle, &pending, identity.as_ref(), step, Came::ByLink).await
    }
    .await;
    rooms.site.answer(&request, result)
}

/// Signing in as another user.
pub async fn another(request: HttpRequest, rooms: Rooms, caller: Caller, handle: web::Path<String>) -> HttpResponse {
    let desk = rooms.desk(&request, &caller);
    let result = async {
        let Some(pending) = desk.find(&handle).await? else { return desk.over() };
        desk.sign_in(&handle, &pending).await
    }
    .await;
    rooms.site.answer(&request, result)
}

/// Returning to the app with a refusal.
pub async fn cancel(request: HttpRequest, rooms: Rooms, caller: Caller, handle: web::Path<String>) -> HttpResponse {
    let desk = rooms.desk(&request, &caller);
    let result = async {
        let identity = identity_of(&request, desk.guard).await?;
        let Some(pending) = desk.find(&handle).await? else { return desk.over() };
        desk.refuse(&pending, Refusal::Denied, identity.as_ref(), Came::ByLink).await
    }
    .await;
    rooms.site.answer(&request, result)
}

/// The user's decision on one of the pages.
pub async fn decide(
    request: HttpRequest,
    rooms: Rooms,
    caller: Caller,
    handle: web::Path<String>,
    form: PageForm,
) -> HttpResponse {
    let desk = rooms.desk(&request, &caller);
    let result = async {
        let identity = desk.site.posted_by(&request, desk.guard, &form).await?;
        let Some(pending) = desk.find(&handle).await? else { return desk.over() };
        desk.decided(&handle, pending, &identity, &form.0).await
    }
    .await;
    rooms.site.answer(&request, result)
}

impl Desk<'_> {
    fn visitor<'a>(&'a self, identity: Option<&'a Identity>, cookies_count: bool) -> Visitor<'a> {
        let Caller { network, provenance } = self.caller;
        Visitor { identity, cookies_count, provenance, limits: self.limits, network: *network }
    }

    /// Counts a request against the rate limit before anything is looked up for it. Over the limit, a user gets an
    /// error, and with no user present the app gets an answer.
    fn over_limit(&self, parameters: &Parameters) -> Result<Option<HttpResponse>, Failure> {
        let Err(failure) = self.limits.check(Class::Authorize, self.caller.network) else { return Ok(None) };
        match authorize::too_busy(self.room, parameters) {
            Some((client, answer)) => self.answered(&client, answer, None, Came::ByLink).map(Some),
            None => Err(failure),
        }
    }

    async fn begin(&self, parameters: Parameters, visitor: &Visitor<'_>) -> Result<HttpResponse, Failure> {
        let sent = parameters.find("redirect_uri").map(|uri| uri.chars().take(200).collect());
        match authorize::begin(self.room, parameters, visitor).await? {
            Outcome::Answer(client, answer) => self.answered(&client, answer, visitor.identity, Came::ByLink),
            Outcome::Wait(handle) => Ok(see_other(&path(handle.expose()))),
            Outcome::Explain(client, refusal) => self.explain(&client, refusal),
            Outcome::Unsafe(problem) => self.fault(fault_of(problem), None, sent),
            Outcome::NoDocument(failure) => {
                failure.log();
                self.fault(Fault::ClientUnknown, Some(failure.detail().to_owned()), None)
            }
        }
    }

    async fn find(&self, handle: &str) -> Result<Option<Pending>, Failure> {
        match authorize::find(self.room, handle).await {
            Err(failure) if failure.kind() == Kind::CeremonyExpired => Ok(None),
            other => other.map(Some),
        }
    }

    /// Shows the next page of a request, or sends the answer to the app.
    async fn follow(
        &self,
        handle: &str,
        pending: &Pending,
        identity: Option<&Identity>,
        step: Step,
        came: Came,
    ) -> Result<HttpResponse, Failure> {
        let by_form = came == Came::ByOurForm;
        match (step, identity) {
            (Step::Refuse(refusal), _) => self.refuse(pending, refusal, identity, came).await,
            (Step::Issue, Some(identity)) => {
                let answer = authorize::issue(self.room, pending, identity, &self.caller.provenance).await?;
                self.answered(&pending.client, answer, Some(identity), came)
            }
            // After a form, redirect to the page, so that reloading it does not post again.
            _ if by_form => Ok(see_other(&path(handle))),
            (Step::CreateAccount, _) => self.create_account(handle, pending).await,
            (Step::SignIn, _) | (_, None) => self.sign_in(handle, pending).await,
            (Step::Reauthenticate, Some(identity)) => self.confirm(handle, identity).await,
            (Step::ChooseAccount, Some(identity)) => self.choose(handle, pending, identity),
            (Step::Consent(new), Some(identity)) => self.consent(handle, pending, identity, &new).await,
        }
    }

    async fn decided(
        &self,
        handle: &str,
        mut pending: Pending,
        identity: &Identity,
        form: &Form,
    ) -> Result<HttpResponse, Failure> {
        match form.get("decision")? {
            "allow" => {
                let kept = self.kept(&pending, form);
                match authorize::allow(self.room, &pending, identity, &kept, &self.caller.provenance).await? {
                    Ok(answer) => self.answered(&pending.client, answer, Some(identity), Came::ByOurForm),
                    Err(step) => self.follow(handle, &pending, Some(identity), step, Came::ByOurForm).await,
                }
            }
            "continue" => {
                authorize::choose(self.room, &mut pending, identity).await?;
                let step = authorize::next(self.room, &pending, Some(identity)).await?;
                self.follow(handle, &pending, Some(identity), step, Came::ByOurForm).await
            }
            "another" => Ok(see_other(&format!("{}/another", path(handle)))),
            "deny" => self.refuse(&pending, Refusal::Denied, Some(identity), Came::ByOurForm).await,
            _ => Err(Failure::new(Kind::InvalidRequest, "The form says neither yes nor no.")),
        }
    }

    /// The scopes that the user allowed: the required ones, and those still ticked.
    fn kept(&self, pending: &Pending, form: &Form) -> Scopes {
        let items = scope_items(pending, None, self.room.mint.resources());
        let kept = items.iter().filter(|item| !item.optional || form.find(&item.field()).is_some());
        kept.map(|item| item.scope.as_str()).collect()
    }

    async fn refuse(
        &self,
        pending: &Pending,
        refusal: Refusal,
        identity: Option<&Identity>,
        came: Came,
    ) -> Result<HttpResponse, Failure> {
        let answer = authorize::refuse(self.room, pending, refusal, identity, &self.caller.provenance).await?;
        self.answered(&pending.client, answer, identity, came)
    }

    /// Sends an answer to a verified client. With a code, it also gets the `session_state` by which it can notice that
    /// the user signed out here (OpenID Connect Session Management §3).
    fn answered(
        &self,
        client: &Client,
        mut answer: Answer,
        identity: Option<&Identity>,
        came: Came,
    ) -> Result<HttpResponse, Failure> {
        let session = identity.filter(|_| answer.is_code()).map(|identity| identity.session.id);
        let watched = session.and_then(|session| self.guard.browser_state(session));
        if let (Some((_, state)), Some(origin)) = (&watched, answer.to.origin()) {
            answer.parameters.push(("session_state", session_state(&client.id, &origin, state)));
        }
        let mut response = self.sent(client, &authorize::sealed(self.room, client, answer)?, came)?;
        if let Some((cookie, _)) = watched {
            response.add_cookie(&cookie).map_err(Failure::unavailable)?;
        }
        Ok(response)
    }

    fn sent(&self, client: &Client, answer: &Answer, came: Came) -> Result<HttpResponse, Failure> {
        match (answer.to.mode.is_posted(), came) {
            (true, _) => self.form_post(client, answer),
            (false, Came::ByLink) => Ok(see_other(&answer.address())),
            (false, Came::ByOurForm) => {
                let frame = self.site.frame(self.request, None, Boot::default());
                let nonce = frame.nonce.clone();
                let view = Returning { frame, app: client.definition.name.clone(), url: answer.address() };
                Site::page(&view, &nonce, StatusCode::OK)
            }
        }
    }

    fn form_post(&self, client: &Client, answer: &Answer) -> Result<HttpResponse, Failure> {
        let frame = self.site.frame(self.request, None, Boot::default());
        let nonce = frame.nonce.clone();
        let fields = answer.parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let view = FormPost { frame, app: client.definition.name.clone(), url: answer.to.redirect_uri.clone(), fields };
        let mut response = Site::page(&view, &nonce, StatusCode::OK)?;
        let policy = page_policy_for(&nonce, Some(&answer.to.form_target()), &[]);
        let policy = HeaderValue::from_str(&policy)
            .map_err(|error| Failure::new(Kind::Internal, "The page could not be created.").because(error))?;
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        Ok(response)
    }

    fn fault(&self, fault: Fault, detail: Option<String>, sent: Option<String>) -> Result<HttpResponse, Failure> {
        let frame = self.site.frame(self.request, None, Boot::default());
        let nonce = frame.nonce.clone();
        let request_id = super::request_id(self.request);
        let view = AuthorizeError { frame, fault, detail, sent, request_id };
        Site::page(&view, &nonce, StatusCode::BAD_REQUEST)
    }

    /// The request was already answered, or expired.
    fn over(&self) -> Result<HttpResponse, Failure> {
        self.fault(Fault::InteractionOver, None, None)
    }

    /// Shows a refusal on one of our pages instead of sending it to the app: no one is signed in, and anyone could have
    /// created the link.
    fn explain(&self, client: &Client, refusal: Refusal) -> Result<HttpResponse, Failure> {
        let detail = format!("{}: {} ({})", client.definition.name, refusal.description(), refusal.code());
        self.fault(Fault::Malformed, Some(detail), None)
    }

    async fn sign_in(&self, handle: &str, pending: &Pending) -> Result<HttpResponse, Failure> {
        self.introduced(introduction(handle, pending)).await
    }

    async fn create_account(&self, handle: &str, pending: &Pending) -> Result<HttpResponse, Failure> {
        let sign_in_instead = Some(format!("{}/another", path(handle)));
        self.introduced(Introduction { sign_in_instead, ..introduction(handle, pending) }).await
    }

    async fn introduced(&self, introduction: Introduction) -> Result<HttpResponse, Failure> {
        sign_in::show(self.request, self.site, self.guard, self.ceremonies, (self.limits, self.caller), introduction)
            .await
    }

    async fn confirm(&self, handle: &str, identity: &Identity) -> Result<HttpResponse, Failure> {
        let (passkeys, _) = self.ceremonies.passkeys_of(&identity.user).await?;
        let boot = Boot { page: PageKind::StepUp, next: Some(path(handle)), ..Boot::default() };
        let view = Confirm {
            frame: self.site.frame(self.request, Some(identity), boot),
            account: account_card(&identity.user),
            reason: Reason::Continue,
            has_passkey: !passkeys.is_empty(),
            another: Some(format!("{}/another", path(handle))),
            cancel: format!("{}/cancel", path(handle)),
        };
        Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
    }

    fn choose(&self, handle: &str, pending: &Pending, identity: &Identity) -> Result<HttpResponse, Failure> {
        let view = ChooseAccount {
            frame: self.site.frame(self.request, Some(identity), Boot::default()),
            app: chip(pending),
            account: account_card(&identity.user),
            action: path(handle),
        };
        Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
    }

    async fn consent(
        &self,
        handle: &str,
        pending: &Pending,
        identity: &Identity,
        new: &Scopes,
    ) -> Result<HttpResponse, Failure> {
        let (resources, issuer) = (self.room.mint.resources(), self.room.mint.issuer());
        let scopes = scope_items(pending, Some(new), resources);
        let view = Consent {
            frame: self.site.frame(self.request, Some(identity), Boot::default()),
            app: self.app(pending).await,
            account: account_card(&identity.user),
            another: Some(format!("{}/another", path(handle))),
            action: path(handle),
            widening: scopes.iter().any(|item| item.fresh),
            scopes,
            resources: (pending.request.resources.iter())
                .filter(|one| *one != issuer)
                .map(|one| resources.name_of(one))
                .collect(),
        };
        Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
    }

    /// The requesting app, with its logo.
    async fn app(&self, pending: &Pending) -> AppIdentity {
        let client = &pending.client;
        let logo = match &client.definition.logo_uri {
            Some(uri) => self.room.logos.of(&client.id, uri).await,
            None => None,
        };
        AppIdentity { logo, ..app_identity(client, Some(pending.request.to.place())) }
    }
}

fn path(handle: &str) -> String {
    format!("/oauth/interaction/{handle}")
}

fn introduction(handle: &str, pending: &Pending) -> Introduction {
    Introduction {
        next: Some(path(handle)),
        app: Some(chip(pending)),
        email: pending.request.login_hint.clone().unwrap_or_default(),
        cancel: Some(format!("{}/cancel", path(handle))),
        sign_in_instead: None,
    }
}

fn fault_of(problem: Unsafe) -> Fault {
    match problem {
        Unsafe::NoClient => Fault::ClientMissing,
        Unsafe::UnknownClient => Fault::ClientUnknown,
        Unsafe::NoRedirectUri => Fault::RedirectMissing,
        Unsafe::PushedRequest => Fault::InteractionOver,
        Unsafe::RedirectUri => Fault::RedirectUnregistered,
    }
}

fn chip(pending: &Pending) -> AppChip {
    AppChip { name: pending.client.definition.name.clone(), host: pending.request.to.place() }
}

/// The scopes of a request for its page, including those of claims requested by name. What the sign-in itself requires
/// cannot be deselected, and neither can claims; everything else can.
fn scope_items(pending: &Pending, new: Option<&Scopes>, resources: &Resources) -> Vec<ScopeItem> {
    let asked = &pending.request.scopes;
    let widening = new.is_some_and(|new| !new.is_empty() && new != asked);
    let by_claims = pending.request.requested.scopes();
    let items = asked.iter().map(|scope| ScopeItem {
        optional: scope != "openid",
        fresh: widening && new.is_some_and(|new| new.contains(scope)),
        ..scope_item(Some(&pending.client), resources, scope)
    });
    items.chain(by_claims.iter().filter(|scope| !asked.contains(scope)).map(ScopeItem::fixed)).collect()
}
