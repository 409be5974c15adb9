//! Sign-in for a protected host: from the host to our own pages, and back with a cookie of the host's own.
//!
//! ```text
//! https://app  /.passmint/start ──▶ https://id  /forward-auth ──▶ https://app  /.passmint/return ──▶ where it began
//!              state cookie          signs in, gives a code         takes the code, sets the cookie
//! ```
//!
//! What must always hold: a code is valid only with the state cookie of the browser that started at that host, so a
//! link from someone else cannot sign a user in; every path ends at the configured origin of the host, whatever was
//! requested; no page of ours is shown under the name of the host.

use actix_web::http::header::{HeaderMap, LOCATION};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::sign_in::{self, Introduction};
use super::{Site, account_card, identity_of, see_other, with_cookie};
use crate::account::guards::{Guard, Identity};
use crate::ceremony::handlers::Room as Ceremonies;
use crate::domain::audit::{Event, EventKind};
use crate::domain::forward::{Errand, Needed, ProtectedHost, SHORTEST_MAX_AGE, Verdict, destination};
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::forward_auth::asked::start_address;
use crate::forward_auth::cookies::HostCookies;
use crate::forward_auth::{ForwardAuth, Room};
use crate::web::Caller;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::form::Form;
use crate::web::limits::{Class, Limits};
use crate::web::origin::require_same_origin;
use crate::web::pages::confirm::{Confirm, Reason};
use crate::web::pages::error::{ErrorPage, Kind as PageKindOfError};
use crate::web::pages::host_refused::{HostRefused, Onward};
use crate::web::pages::sign_in::AppChip;
use crate::web::pages::{Boot, PageKind};

/// `https://app/.passmint/start?rd=…`: redirects to our own pages. It has no rate limit, because it neither reads nor
/// stores anything.
pub async fn start(request: HttpRequest, rooms: Rooms) -> HttpResponse {
    let result = (|| {
        let host = rooms.room.host_of(&request)?;
        let query = Form::parse(request.query_string().as_bytes())?;
        let cookies = HostCookies::of(&host.origin);
        // Several tabs that start together share the cookie, so that each of them succeeds.
        let state = cookies.state(request.headers())?.unwrap_or_else(|| PlainToken::random(TokenKind::ForwardState));
        let to = format!("{}{}", rooms.site.public_url, Carried::new(&host, &state, &query).path());
        Ok(with_cookie(see_other(&to), &cookies.set_state(&state)))
    })();
    at_host(&rooms.room, result)
}

/// `https://app/.passmint/return?code=…`: exchanges the code for the cookie.
pub async fn arrive(request: HttpRequest, rooms: Rooms, caller: Caller) -> HttpResponse {
    let Rooms { site, limits, room, .. } = &rooms;
    let result = async {
        limits.check(Class::Verify, caller.network)?;
        let host = room.host_of(&request)?;
        let query = Form::parse(request.query_string().as_bytes())?;
        let cookies = HostCookies::of(&host.origin);
        let (state, before) = (cookies.state(request.headers())?, cookies.session(request.headers())?);
        let code = query.find("code").and_then(|text| PlainToken::parse(TokenKind::ForwardCode, text));
        // Even without the cookie the code is presented, so that it is used up.
        let state = state.unwrap_or_else(|| PlainToken::random(TokenKind::ForwardState));
        let redeemed = match &code {
            Some(code) => room.redeem(&host, code, &state, before.as_ref(), &caller.provenance).await?,
            None => None,
        };
        let Some((cookie, redeemed)) = redeemed else { return stranded(room, site, &host, request.headers()).await };
        let seconds = (redeemed.expires_at - site.clock.now()).num_seconds().max(0);
        let back = destination(&redeemed.destination).unwrap_or("/");
        Ok(with_cookie(see_other(&format!("{}{back}", host.origin)), &cookies.set_session(&cookie, seconds)))
    }
    .await;
    at_host(room, result)
}

/// Handles an invalid code. A user who is already signed in, for example after reloading the page, continues to the
/// host. Everyone else is shown one of our pages, because redirecting them to the start at once could cause a redirect
/// loop.
async fn stranded(
    room: &ForwardAuth,
    site: &Site,
    host: &ProtectedHost,
    headers: &HeaderMap,
) -> Result<HttpResponse, Failure> {
    if room.session_at(host, headers).await?.is_some() {
        return Ok(see_other(&format!("{}/", host.origin)));
    }
    let origin: String = url::form_urlencoded::byte_serialize(host.origin.as_str().as_bytes()).collect();
    Ok(see_other(&format!("{}/forward-auth?stranded={origin}", site.public_url)))
}

/// `GET https://app/.passmint/sign-out`: signs out if the user navigates there by a link of the app or by hand. A link
/// on another site, or a request by a page itself (such as a planted image), only leads to the confirmation page.
pub async fn sign_out(request: HttpRequest, rooms: Rooms, caller: Caller) -> HttpResponse {
    let result = async {
        let host = rooms.room.host_of(&request)?;
        if !is_own_navigation(request.headers()) {
            return Ok(see_other(&format!("{}/oauth/logout", rooms.site.public_url)));
        }
        rooms.end(&request, &host, &caller).await
    }
    .await;
    at_host(&rooms.room, result)
}

/// Whether a user navigates by a link of the same origin or by hand, as far as the browser says (Fetch Metadata).
fn is_own_navigation(headers: &HeaderMap) -> bool {
    let is = |name: &str, allowed: &[&[u8]]| headers.get(name).map(|value| allowed.contains(&value.as_bytes()));
    is("sec-fetch-site", &[b"same-origin", b"none"]) == Some(true)
        && is("sec-fetch-mode", &[b"navigate"]) != Some(false)
        && is("sec-fetch-dest", &[b"document"]) != Some(false)
}

/// `POST https://app/.passmint/sign-out`: signs out by a form of the app.
pub async fn sign_out_by_form(request: HttpRequest, rooms: Rooms, caller: Caller) -> HttpResponse {
    let result = async {
        let host = rooms.room.host_of(&request)?;
        require_same_origin(request.headers(), host.origin.as_str())?;
        rooms.end(&request, &host, &caller).await
    }
    .await;
    at_host(&rooms.room, result)
}

/// An answer under the name of the host. Errors are problem documents, not pages.
fn at_host(room: &ForwardAuth, result: Result<HttpResponse, Failure>) -> HttpResponse {
    room.under_other_name(result.unwrap_or_else(|failure| Problem(failure).error_response()))
}

/// What the browser carries from the host to our pages. None of it is secret or trusted.
struct Carried {
    origin: String,
    state: TokenDigest,
    errand: Errand,
    /// Whether the user wants to sign in with another account.
    another: bool,
}

/// The query parameter that requests another account.
const ANOTHER: &str = "another";

impl Carried {
    fn new(host: &ProtectedHost, state: &PlainToken, query: &Form) -> Self {
        Self::with(host.origin.as_str(), state.digest(), query)
    }

    fn read(query: &Form) -> Option<Self> {
        let state = URL_SAFE_NO_PAD.decode(query.find("state")?).ok()?;
        Some(Self::with(query.find("host")?, TokenDigest::from_stored(&state)?, query))
    }

    fn with(origin: &str, state: TokenDigest, query: &Form) -> Self {
        Self {
            origin: origin.to_owned(),
            state,
            errand: Errand::read(|name| query.find(name)),
            another: query.find(ANOTHER).is_some(),
        }
    }

    /// The path of our page that continues with this.
    fn path(&self) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("host", &self.origin)
            .append_pair("state", &URL_SAFE_NO_PAD.encode(self.state.as_bytes()))
            .extend_pairs(self.errand.parameters())
            .extend_pairs(self.another.then_some((ANOTHER, "1")))
            .finish();
        format!("/forward-auth?{query}")
    }
}

/// What the handlers of this file receive.
#[derive(Clone)]
pub struct Rooms {
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    ceremonies: Ceremonies,
    limits: web::Data<Limits>,
    room: Room,
}

impl actix_web::FromRequest for Rooms {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Self::Error>>;
    fn from_request(request: &HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        let rooms = || {
            Some(Self {
                site: request.app_data::<web::Data<Site>>()?.clone(),
                guard: request.app_data::<web::Data<Guard>>()?.clone(),
                ceremonies: request.app_data::<Ceremonies>()?.clone(),
                limits: request.app_data::<web::Data<Limits>>()?.clone(),
                room: request.app_data::<Room>()?.clone(),
            })
        };
        std::future::ready(
            rooms().ok_or_else(|| Failure::new(Kind::Internal, "The server is not set up completely.").into()),
        )
    }
}

/// `https://id/forward-auth?host=…`: our own page, where the user is signed in or signs in.
pub async fn sign_in(request: HttpRequest, rooms: Rooms, caller: Caller) -> HttpResponse {
    let result = rooms.go_on(&request, &caller).await;
    rooms.site.answer(&request, result)
}

impl Rooms {
    /// Ends the user's session, and with it their sign-in at every host and app.
    async fn end(&self, request: &HttpRequest, host: &ProtectedHost, caller: &Caller) -> Result<HttpResponse, Failure> {
        let session = self.room.session_at(host, request.headers()).await?;
        if let Some(session) = &session {
            self.guard.accounts.sign_out_and_tell(session, &caller.provenance).await?;
        }
        let farewell = self.site.farewell(&self.guard, session.map(|session| session.id)).await?;
        let answer = see_other(&format!("{}{farewell}", self.site.public_url));
        Ok(with_cookie(answer, &HostCookies::of(&host.origin).clear_session()))
    }

    async fn go_on(&self, request: &HttpRequest, caller: &Caller) -> Result<HttpResponse, Failure> {
        self.room.require_on()?;
        let query = Form::parse(request.query_string().as_bytes())?;
        let errand = Errand::read(|name| query.find(name));
        if let Some(host) = query.find("stranded").and_then(|origin| self.room.find(origin)) {
            return self.stranded(request, host, &errand);
        }
        if let Some(host) = query.find("refused").and_then(|origin| self.room.find(origin)) {
            return self.refused(request, host, &errand).await;
        }
        let wrong = || Failure::new(Kind::InvalidRequest, "No protected host redirects to this address.");
        let carried = Carried::read(&query).ok_or_else(wrong)?;
        let host = self.room.find(&carried.origin).ok_or_else(wrong)?;
        if carried.another {
            return self.sign_in(request, caller, host, &Carried { another: false, ..carried }).await;
        }
        let Some(identity) = identity_of(request, &self.guard).await? else {
            return self.sign_in(request, caller, host, &carried).await;
        };
        match self.judged(host, &identity, &carried.errand).await? {
            Verdict::Met => self.send_back(request, caller, host, &identity, &carried).await,
            Verdict::StepUp => self.confirm(request, &identity, &carried).await,
            Verdict::Lacking => self.deny(request, caller, host, &identity, carried).await,
        }
    }

    /// Whether the user meets the requirements of the page they want to reach. Requirements that no one can meet are
    /// left to the host to refuse. A user who just signed in would gain nothing by signing in again.
    async fn judged(&self, host: &ProtectedHost, identity: &Identity, errand: &Errand) -> Result<Verdict, Failure> {
        let Needed::Demands(demands) = errand.needed(host) else { return Ok(Verdict::Met) };
        let arrived = self.room.at_our_pages(host, identity).await?;
        if arrived.person(host).is_none() {
            return Ok(Verdict::Lacking);
        }
        let now = self.site.clock.now();
        let is_fresh = now - identity.session.auth_time <= SHORTEST_MAX_AGE;
        Ok(match arrived.judged(&demands, now) {
            Verdict::StepUp if is_fresh => Verdict::Lacking,
            verdict => verdict,
        })
    }

    async fn send_back(
        &self,
        request: &HttpRequest,
        caller: &Caller,
        host: &ProtectedHost,
        identity: &Identity,
        carried: &Carried,
    ) -> Result<HttpResponse, Failure> {
        // A code is a database row, so it is limited. It does not count as starting a ceremony, so others behind the
        // same address can still sign in.
        self.limits.check(Class::Token, caller.network)?;
        let given = self.room.give_code(host, carried.state, identity.session.id, carried.errand.back()).await?;
        match given {
            Some(code) => Ok(HttpResponse::SeeOther()
                .insert_header((LOCATION, format!("{}/.passmint/return?code={}", host.origin, code.expose())))
                .finish()),
            // The session ended in the meantime.
            None => self.sign_in(request, caller, host, carried).await,
        }
    }

    async fn sign_in(
        &self,
        request: &HttpRequest,
        caller: &Caller,
        host: &ProtectedHost,
        carried: &Carried,
    ) -> Result<HttpResponse, Failure> {
        let introduction =
            Introduction { next: Some(carried.path()), app: Some(chip(host)), ..Introduction::default() };
        sign_in::show(request, &self.site, &self.guard, &self.ceremonies, (&self.limits, caller), introduction).await
    }

    async fn confirm(
        &self,
        request: &HttpRequest,
        identity: &Identity,
        carried: &Carried,
    ) -> Result<HttpResponse, Failure> {
        let (passkeys, _) = self.ceremonies.passkeys_of(&identity.user).await?;
        let boot = Boot { page: PageKind::StepUp, next: Some(carried.path()), ..Boot::default() };
        let view = Confirm {
            frame: self.site.frame(request, Some(identity), boot),
            account: account_card(&identity.user),
            reason: Reason::Continue,
            has_passkey: !passkeys.is_empty(),
            another: None,
            cancel: "/account".to_owned(),
        };
        Site::page(&view, &view.frame.nonce.clone(), actix_web::http::StatusCode::OK)
    }

    /// Refuses a user on the way to a host, and records the audit event.
    async fn deny(
        &self,
        request: &HttpRequest,
        caller: &Caller,
        host: &ProtectedHost,
        identity: &Identity,
        carried: Carried,
    ) -> Result<HttpResponse, Failure> {
        let event = Event {
            user: Some(identity.user.id),
            session: Some(identity.session.id),
            subject: Some(host.origin.as_str().to_owned()),
            subject_name: Some(host.name.clone()),
            ..Event::new(EventKind::ForwardDenied, self.site.clock.now(), &caller.provenance)
        };
        self.guard.accounts.db.ask(event).await?;
        let another = Onward::AnotherAccount(Carried { another: true, ..carried }.path());
        self.refusal_page(request, host, identity, another)
    }

    /// The page for a user whom a host refused. Anyone can create its URL, so it records nothing, leads only to
    /// configured hosts, and never says that a user was refused who would be admitted now. Such a user gets a link to
    /// the host, because a redirect could cause a loop. A user who is not signed in here starts again.
    async fn refused(
        &self,
        request: &HttpRequest,
        host: &ProtectedHost,
        errand: &Errand,
    ) -> Result<HttpResponse, Failure> {
        let Some(identity) = identity_of(request, &self.guard).await? else {
            return self.stranded(request, host, errand);
        };
        let onward = match self.judged(host, &identity, errand).await? {
            _ if errand.needed(host) == Needed::Impossible => Onward::Nowhere,
            Verdict::Met => Onward::There(start_address(host, errand, &[])),
            Verdict::StepUp => Onward::Confirming(start_address(host, errand, &[])),
            Verdict::Lacking => Onward::AnotherAccount(start_address(host, errand, &[(ANOTHER, "1")])),
        };
        self.refusal_page(request, host, &identity, onward)
    }

    fn refusal_page(
        &self,
        request: &HttpRequest,
        host: &ProtectedHost,
        identity: &Identity,
        onward: Onward,
    ) -> Result<HttpResponse, Failure> {
        let view = HostRefused {
            frame: self.site.frame(request, Some(identity), Boot::default()),
            app: chip(host),
            account: account_card(&identity.user),
            onward,
        };
        Site::page(&view, &view.frame.nonce.clone(), view.onward.status())
    }

    /// The page for a user with an invalid code. It never continues by itself.
    fn stranded(&self, request: &HttpRequest, host: &ProtectedHost, errand: &Errand) -> Result<HttpResponse, Failure> {
        let request_id = super::request_id(request);
        let frame = self.site.frame(request, None, Boot::default());
        let retry = Some(start_address(host, errand, &[]));
        let view = ErrorPage { frame, kind: PageKindOfError::Stale, request_id, retry };
        Site::page(&view, &view.frame.nonce.clone(), actix_web::http::StatusCode::FORBIDDEN)
    }
}

/// A host, as our pages show it.
fn chip(host: &ProtectedHost) -> AppChip {
    AppChip { name: host.name.clone(), host: host.origin.host().to_owned() }
}
