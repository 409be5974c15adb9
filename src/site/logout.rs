//! Sign-out by our own button or at an app's request (OpenID Connect RP-Initiated Logout 1.0).
//!
//! What must always hold: the session has ended before anyone is notified or redirected; a request that does not prove
//! who sent it only leads to a question. The page shown afterwards gets its data from a signed note in its URL, because
//! the session is gone by then. The note grants nothing and is valid for a few minutes.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::{HttpRequest, HttpResponse, web};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::{Site, identity_of, see_other, with_cookie};
use crate::account::guards::{Guard, Identity};
use crate::clock::Time;
use crate::domain::client::Client;
use crate::domain::id::SessionId;
use crate::logout::{LogoutRequest, Understood, frontchannel, understand, with_state};
use crate::storage::session_clients;
use crate::web::Caller;
use crate::web::error::{Failure, Kind};
use crate::web::form::{Form, PageForm};
use crate::web::headers::page_policy_for;
use crate::web::pages::Boot;
use crate::web::pages::logout::{Onward, SignOut, SignedOut};
use crate::web::pages::sign_in::AppChip;

/// Lifetime of the note for the page shown afterwards.
const NOTE_LIFE: Duration = Duration::minutes(5);

/// The data for the page shown afterwards.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Note {
    /// The session that ended.
    session: Option<SessionId>,
    /// The requesting client.
    client: Option<String>,
    /// The complete URL to continue to.
    onward: Option<String>,
    /// When the note expires (`NumericDate`).
    until: i64,
}

/// Signs notes, so that no one else can make our page redirect users.
pub(super) struct Notes(hmac::Key);

impl Notes {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    fn seal(&self, note: &Note) -> String {
        let text = serde_json::to_vec(note).unwrap_or_default();
        format!("{}.{}", URL_SAFE_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &text)))
    }

    fn open(&self, sealed: &str, now: Time) -> Option<Note> {
        let (text, seal) = sealed.split_once('.')?;
        let (text, seal) = (URL_SAFE_NO_PAD.decode(text).ok()?, URL_SAFE_NO_PAD.decode(seal).ok()?);
        hmac::verify(&self.0, &text, &seal).ok()?;
        serde_json::from_slice(&text).ok().filter(|note: &Note| note.until > now.timestamp())
    }
}

/// Signs the user out at the request of an app (OpenID Connect RP-Initiated Logout 1.0).
///
/// A genuine `id_token_hint` from the current session ends the session at once. Otherwise, a page asks the user first.
#[utoipa::path(get, path = "/oauth/logout", tag = "OAuth",
    params(("id_token_hint" = Option<String>, Query), ("client_id" = Option<String>, Query),
        ("post_logout_redirect_uri" = Option<String>, Query), ("state" = Option<String>, Query)),
    responses((status = 200, description = "A page that asks the user to confirm, because the request does not prove who sent it"),
        (status = 303, description = "Signed out. Redirects to `post_logout_redirect_uri` with `state`, or to a page that confirms the sign-out"),
        (status = 400, description = "An error page: a parameter was sent more than once")))]
pub async fn requested(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    caller: Caller,
) -> HttpResponse {
    let result = follow(&request, &site, &guard, &caller).await;
    site.answer(&request, result)
}

/// Accepts the same request as a form, and redirects to GET.
///
/// A form posted by another site carries no session cookie, so the request continues at a URL of this server.
#[utoipa::path(post, path = "/oauth/logout", tag = "OAuth",
    request_body(content = Object, content_type = "application/x-www-form-urlencoded", description = "The same parameters as for GET"),
    responses((status = 303, description = "Redirects to the same request by GET")))]
pub async fn requested_by_form(form: PageForm) -> HttpResponse {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for name in LogoutRequest::NAMES {
        if let Some(value) = form.0.find(name) {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    see_other(&if query.is_empty() { "/oauth/logout".to_owned() } else { format!("/oauth/logout?{query}") })
}

async fn follow(request: &HttpRequest, site: &Site, guard: &Guard, caller: &Caller) -> Result<HttpResponse, Failure> {
    let form = Form::parse(request.query_string().as_bytes())?;
    let asked = LogoutRequest::of(&form);
    let understood = understand(&asked, &guard.clients, &guard.mint, guard.accounts.clock.now());
    let proven = understood.subject.is_some();
    let onward = understood.redirect_uri.as_deref().map(|uri| with_state(uri, asked.state));
    let Some(identity) = identity_of(request, guard).await? else {
        // No one is signed in, so there is nothing to ask.
        let onward = onward.filter(|_| proven);
        return site.leave(guard, None, understood.client.as_deref(), onward, Way::Directly).await;
    };
    if !understood.is_about(&identity.session, &guard.mint) {
        return ask(request, site, &identity, &understood, asked.state);
    }
    guard.accounts.sign_out_and_tell(&identity.session, &caller.provenance).await?;
    let client = understood.client.as_deref();
    let answer = site.leave(guard, Some(identity.session.id), client, onward, Way::Directly).await?;
    Ok(forget(guard, answer))
}

fn ask(
    request: &HttpRequest,
    site: &Site,
    identity: &Identity,
    understood: &Understood,
    state: Option<&str>,
) -> Result<HttpResponse, Failure> {
    let mut fields = Vec::new();
    let mut app = None;
    if let (Some(client), Some(uri)) = (&understood.client, &understood.redirect_uri) {
        let known =
            [("client_id", Some(client.id.as_str())), ("post_logout_redirect_uri", Some(uri)), ("state", state)];
        fields = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        app = Some(AppChip { name: client.definition.name.clone(), host: host_of(uri) });
    }
    let frame = site.frame(request, Some(identity), Boot::default());
    let view = SignOut { frame, app, action: "/signout".to_owned(), fields };
    Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
}

fn host_of(uri: &str) -> String {
    let url = url::Url::parse(uri).ok();
    url.map_or_else(String::new, |url| url.host_str().unwrap_or_else(|| url.scheme()).to_owned())
}

/// Signs out by one of our own forms: the button on every page, or the answer to the question.
pub async fn sign_out(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    caller: Caller,
    form: PageForm,
) -> HttpResponse {
    let result = end_session(&request, &site, &guard, &caller, &form.0).await;
    site.answer(&request, result)
}

async fn end_session(
    request: &HttpRequest,
    site: &Site,
    guard: &Guard,
    caller: &Caller,
    form: &Form,
) -> Result<HttpResponse, Failure> {
    let Some(identity) = identity_of(request, guard).await? else {
        return Ok(forget(guard, see_other("/signed-out")));
    };
    site.require_csrf(&identity, form)?;
    if form.find("decision") == Some("stay") {
        return Ok(see_other("/account"));
    }
    guard.accounts.sign_out_and_tell(&identity.session, &caller.provenance).await?;
    let asked = LogoutRequest { hint: None, ..LogoutRequest::of(form) };
    let understood = understand(&asked, &guard.clients, &guard.mint, guard.accounts.clock.now());
    let onward = understood.redirect_uri.as_deref().map(|uri| with_state(uri, asked.state));
    let client = understood.client.as_deref();
    let answer = site.leave(guard, Some(identity.session.id), client, onward, Way::ThroughOurPage).await?;
    Ok(forget(guard, answer))
}

/// How the user gets to the app afterwards.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// By a redirect, if no app must be notified in this browser.
    Directly,
    /// By the page shown afterwards: Chromium checks every redirect after a form against the form's own policy.
    ThroughOurPage,
}

impl Site {
    /// Where the browser continues after a session ended.
    async fn leave(
        &self,
        guard: &Guard,
        session: Option<SessionId>,
        client: Option<&Client>,
        onward: Option<String>,
        way: Way,
    ) -> Result<HttpResponse, Failure> {
        let concerned = match session {
            Some(session) => clients_of(guard, session).await?,
            None => Vec::new(),
        };
        let frames = concerned.iter().any(|client| client.definition.frontchannel_logout_uri.is_some());
        if let (Some(onward), Way::Directly, false) = (&onward, way, frames) {
            return Ok(see_other(onward));
        }
        if onward.is_none() && concerned.is_empty() {
            return Ok(see_other("/signed-out"));
        }
        Ok(see_other(&self.noted(guard, session, client, onward)))
    }

    /// The path of the page after signing out, for a sign-out under another host name.
    pub(super) async fn farewell(&self, guard: &Guard, session: Option<SessionId>) -> Result<String, Failure> {
        let concerned = match session {
            Some(session) => clients_of(guard, session).await?,
            None => Vec::new(),
        };
        Ok(if concerned.is_empty() { "/signed-out".to_owned() } else { self.noted(guard, session, None, None) })
    }

    fn noted(
        &self,
        guard: &Guard,
        session: Option<SessionId>,
        client: Option<&Client>,
        onward: Option<String>,
    ) -> String {
        let until = (guard.accounts.clock.now() + NOTE_LIFE).timestamp();
        let note = Note { session, client: client.map(|client| client.id.clone()), onward, until };
        format!("/signed-out?note={}", self.notes.seal(&note))
    }
}

/// The clients that took part in a session and still exist.
async fn clients_of(guard: &Guard, session: SessionId) -> Result<Vec<std::sync::Arc<Client>>, Failure> {
    let ids = guard.accounts.db.run(move |conn| session_clients::of(conn, session)).await?;
    Ok(ids.iter().filter_map(|id| guard.clients.find(id)).collect())
}

/// The page after signing out.
pub async fn signed_out(request: HttpRequest, site: web::Data<Site>, guard: web::Data<Guard>) -> HttpResponse {
    let result = signed_out_page(&request, &site, &guard).await;
    site.answer(&request, result)
}

async fn signed_out_page(request: &HttpRequest, site: &Site, guard: &Guard) -> Result<HttpResponse, Failure> {
    let form = Form::parse(request.query_string().as_bytes())?;
    let now = guard.accounts.clock.now();
    let note = form.find("note").and_then(|sealed| site.notes.open(sealed, now)).unwrap_or_default();
    let frame = site.frame(request, None, Boot::default());
    let mut view = SignedOut::plain(frame);
    let mut origins: Vec<String> = Vec::new();
    if let Some(session) = note.session {
        for client in clients_of(guard, session).await? {
            let frame = frontchannel::frame(&client, guard.mint.issuer(), session);
            if frame.is_some() || client.definition.backchannel_logout_uri.is_some() {
                view.told.push(client.definition.name.clone());
            }
            if let Some(frame) = frame {
                view.frames.push(frame.address);
                origins.push(frame.origin);
            }
        }
    }
    origins.sort();
    origins.dedup();
    let app = note.client.and_then(|id| guard.clients.find(&id));
    if let (Some(app), Some(url)) = (app, note.onward) {
        view.onward = Some(Onward { app: app.definition.name.clone(), url });
    }
    let nonce = view.frame.nonce.clone();
    let mut page = Site::page(&view, &nonce, StatusCode::OK)?;
    let policy = page_policy_for(&nonce, None, &origins)
        .parse()
        .map_err(|error| Failure::new(Kind::Internal, "The page could not be created.").because(error))?;
    page.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Ok(page)
}

/// Clears the cookies of a session.
fn forget(guard: &Guard, answer: HttpResponse) -> HttpResponse {
    guard.forgetting().into_iter().fold(answer, |answer, cookie| with_cookie(answer, &cookie))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_only_as_it_was_sealed_and_for_a_few_minutes() {
        let (notes, others) = (Notes::new(&[1; 32]), Notes::new(&[2; 32]));
        let now = Time::from_timestamp(1_000, 0).unwrap();
        let note = Note { onward: Some("https://app.example/".to_owned()), until: 1_300, ..Note::default() };
        let sealed = notes.seal(&note);
        assert_eq!(notes.open(&sealed, now), Some(note));
        assert_eq!(notes.open(&sealed, now + NOTE_LIFE), None, "too late");
        assert_eq!(others.open(&sealed, now), None, "another server's key");
        for broken in [sealed.replace('.', ""), format!("e30{sealed}"), String::new(), ".".to_owned()] {
            assert_eq!(notes.open(&broken, now), None, "{broken}");
        }
    }
}
