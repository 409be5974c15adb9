//! Signing in at a protected host: away from it, through our own pages, and back with a cookie of its own.
//!
//! ```text
//! https://app  /.passmint/start ──▶ https://id  /forward-auth ──▶ https://app  /.passmint/return ──▶ where it began
//!              state cookie          signs in, gives a code         takes the code, sets the cookie
//! ```
//!
//! What must always hold: the code is worth nothing without the state cookie of the browser that began at that very host, so a
//! link of somebody else's signs nobody in; every way ends at the configured origin of the host, whatever was asked for; under
//! the name of the host no page of ours is shown.

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

/// `https://app/.passmint/start?rd=…`: off to our own pages. It reads and keeps nothing here, so nothing limits it.
pub async fn start(request: HttpRequest, rooms: Rooms) -> HttpResponse {
    let result = (|| {
        let host = rooms.room.host_of(&request)?;
        let query = Form::parse(request.query_string().as_bytes())?;
        let cookies = HostCookies::of(&host.origin);
        // Several tabs that begin together share the cookie, so that each of them arrives.
        let state = cookies.state(request.headers())?.unwrap_or_else(|| PlainToken::random(TokenKind::ForwardState));
        let to = format!("{}{}", rooms.site.public_url, Carried::new(&host, &state, &query).path());
        Ok(with_cookie(see_other(&to), &cookies.set_state(&state)))
    })();
    at_host(&rooms.room, result)
}

/// `https://app/.passmint/return?code=…`: back with a code, which is exchanged for the cookie.
pub async fn arrive(request: HttpRequest, rooms: Rooms, caller: Caller) -> HttpResponse {
    let Rooms { site, limits, room, .. } = &rooms;
    let result = async {
        limits.check(Class::Verify, caller.network)?;
        let host = room.host_of(&request)?;
        let query = Form::parse(request.query_string().as_bytes())?;
        let cookies = HostCookies::of(&host.origin);
        let (state, before) = (cookies.state(request.headers())?, cookies.session(request.headers())?);
        let code = query.find("code").and_then(|text| PlainToken::parse(TokenKind::ForwardCode, text));
        // Without the cookie a code is presented all the same, so that it is used up.
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

/// Somebody came with a code that is not good. Who is signed in already, because they loaded the page again say, goes on; all
/// others are told on a page of ours: to send them to the start again at once could send them round in circles.
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

/// `GET https://app/.passmint/sign-out`: signs out, when the person asks for it: by a link of the app or by hand. A link of
/// another site, and what a page fetches by itself (a picture that somebody put there), only lead to the question.
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

/// Whether a person goes somewhere by a link of the same origin or by hand, as far as the browser says (Fetch Metadata).
fn is_own_navigation(headers: &HeaderMap) -> bool {
    let is = |name: &str, allowed: &[&[u8]]| headers.get(name).map(|value| allowed.contains(&value.as_bytes()));
    is("sec-fetch-site", &[b"same-origin", b"none"]) == Some(true)
        && is("sec-fetch-mode", &[b"navigate"]) != Some(false)
        && is("sec-fetch-dest", &[b"document"]) != Some(false)
}

/// `POST https://app/.passmint/sign-out`: the same by a form of the app.
pub async fn sign_out_by_form(request: HttpRequest, rooms: Rooms, caller: Caller) -> HttpResponse {
    let result = async {
        let host = rooms.room.host_of(&request)?;
        require_same_origin(request.headers(), host.origin.as_str())?;
        rooms.end(&request, &host, &caller).await
    }
    .await;
    at_host(&rooms.room, result)
}

/// An answer under the name of the host: where something is wrong, in plain words without a page.
fn at_host(room: &ForwardAuth, result: Result<HttpResponse, Failure>) -> HttpResponse {
    room.under_other_name(result.unwrap_or_else(|failure| Problem(failure).error_response()))
}

/// What goes with the browser from the host to our pages: nothing that is secret or has to be believed.
struct Carried {
    origin: String,
    state: TokenDigest,
    errand: Errand,
    /// Whether somebody wants to sign in as somebody else than they are.
    another: bool,
}

/// The parameter of an address that asks for another account.
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

    /// The path of our page that goes on with it.
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

/// What the handlers of this file are given.
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

/// `https://id/forward-auth?host=…`: our own page, where somebody is signed in or signs in.
pub async fn sign_in(request: HttpRequest, rooms: Rooms, caller: Caller) -> HttpResponse {
    let result = rooms.go_on(&request, &caller).await;
    rooms.site.answer(&request, result)
}

impl Rooms {
    /// Ends the person's session, and with it their sign-in at every host and app.
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

    /// Whether somebody has what the page wants that they are on their way to. What nobody can have is the host's to refuse; who
    /// signed in a moment ago has nothing more to show by doing it again.
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
        // A code is a row. No ceremony begins here, so it costs nobody behind the same address their sign-in.
        self.limits.check(Class::Token, caller.network)?;
        let given = self.room.give_code(host, carried.state, identity.session.id, carried.errand.back()).await?;
        match given {
            Some(code) => Ok(HttpResponse::SeeOther()
                .insert_header((LOCATION, format!("{}/.passmint/return?code={}", host.origin, code.expose())))
                .finish()),
            // The session ended between the two questions.
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

    /// Somebody is refused on their way to a host.
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

    /// The page for somebody whom a host refused. Anybody can make its address, so it writes nothing down, leads to the host of
    /// the configuration alone, and says of nobody that they were refused who would be let in now; it leads them there by a
    /// link, because to send them could send them round in circles. Who is signed in nowhere here begins again.
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

    /// The page for somebody whose code was not good: nothing goes on by itself.
    fn stranded(&self, request: &HttpRequest, host: &ProtectedHost, errand: &Errand) -> Result<HttpResponse, Failure> {
        let request_id = super::request_id(request);
        let frame = self.site.frame(request, None, Boot::default());
        let retry = Some(start_address(host, errand, &[]));
        let view = ErrorPage { frame, kind: PageKindOfError::Stale, request_id, retry };
        Site::page(&view, &view.frame.nonce.clone(), actix_web::http::StatusCode::FORBIDDEN)
    }
}

/// A host, as its name stands on our pages.
fn chip(host: &ProtectedHost) -> AppChip {
    AppChip { name: host.name.clone(), host: host.origin.host().to_owned() }
}
