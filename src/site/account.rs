//! The account pages: overview, sessions, activity.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::{Site, done_of, require_identity, see_other};
use crate::account::guards::Guard;
use crate::ceremony::handlers::Room as Ceremonies;
use crate::clock::Time;
use crate::domain::audit::EventKind;
use crate::domain::id::SessionId;
use crate::domain::session::Session;
use crate::hooks::shown::Shown;
use crate::storage::audit::Seen;
use crate::web::Caller;
use crate::web::error::{Failure, Kind};
use crate::web::form::PageForm;
use crate::web::pages::Boot;
use crate::web::pages::account::{Activity, Entry, Happened, Overview, Said, SessionCard, Sessions};

/// The overview page.
pub async fn overview(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    room: Ceremonies,
) -> HttpResponse {
    let result = overview_page(&request, &site, &guard, &room).await;
    site.answer(&request, result)
}

async fn overview_page(
    request: &HttpRequest,
    site: &Site,
    guard: &Guard,
    room: &Ceremonies,
) -> Result<HttpResponse, Failure> {
    let identity = require_identity(request, guard).await?;
    let (passkeys, _) = room.passkeys_of(&identity.user).await?;
    let sessions = guard.accounts.sessions_of(&identity.user).await?;
    let latest = guard.accounts.activity_of(&identity.user, 1).await?;
    let said = guard.accounts.said_to(&identity.user).await?;
    let view = Overview {
        frame: site.frame(request, Some(&identity), Boot::default()),
        done: done_of(request),
        passkeys: passkeys.len() as u64,
        sessions: sessions.len() as u64,
        latest: latest.into_iter().next().map(entry),
        said: said.into_iter().map(note).collect(),
    };
    Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
}

fn note((shown, at): (Shown, Time)) -> Said {
    let items = shown.items.into_iter().map(|item| (item.label, item.value)).collect();
    Said { title: shown.title, text: shown.text, items, at }
}

/// The page of sessions.
pub async fn sessions(request: HttpRequest, site: web::Data<Site>, guard: web::Data<Guard>) -> HttpResponse {
    let result = sessions_page(&request, &site, &guard).await;
    site.answer(&request, result)
}

async fn sessions_page(request: &HttpRequest, site: &Site, guard: &Guard) -> Result<HttpResponse, Failure> {
    let identity = require_identity(request, guard).await?;
    let mut sessions = guard.accounts.sessions_of(&identity.user).await?;
    sessions.sort_by_key(|session| session.id != identity.session.id);
    let view = Sessions {
        frame: site.frame(request, Some(&identity), Boot::default()),
        done: done_of(request),
        sessions: sessions.into_iter().map(|session| card(session, identity.session.id)).collect(),
    };
    Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
}

fn card(session: Session, current: SessionId) -> SessionCard {
    SessionCard {
        current: session.id == current,
        browser: session.client.or(session.user_agent).unwrap_or_default(),
        place: session.address_class,
        first_seen: session.created_at,
        last_seen: session.last_seen_at,
        id: session.id,
    }
}

/// Ends one session.
pub async fn end_session(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    caller: Caller,
    id: web::Path<String>,
    form: PageForm,
) -> HttpResponse {
    let result = async {
        let identity = site.posted_by(&request, &guard, &form).await?;
        let id: SessionId =
            id.parse().map_err(|_| Failure::new(Kind::NotFound, "There is no such session on this account."))?;
        // A session that already ended is what was wanted. Another user's session gets the same answer.
        guard.accounts.revoke(&identity.session, id, &caller.provenance).await?;
        Ok(see_other("/account/sessions?done=session-ended"))
    }
    .await;
    site.answer(&request, result)
}

/// Ends every other session.
pub async fn end_others(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    caller: Caller,
    form: PageForm,
) -> HttpResponse {
    let result = async {
        let identity = site.posted_by(&request, &guard, &form).await?;
        guard.accounts.revoke_others(&identity.session, &caller.provenance).await?;
        Ok(see_other("/account/sessions?done=others-ended"))
    }
    .await;
    site.answer(&request, result)
}

/// The page of recent activity.
pub async fn activity(request: HttpRequest, site: web::Data<Site>, guard: web::Data<Guard>) -> HttpResponse {
    let result = async {
        let identity = require_identity(&request, &guard).await?;
        let events = guard.accounts.activity_of(&identity.user, 50).await?;
        let view = Activity {
            frame: site.frame(&request, Some(&identity), Boot::default()),
            entries: events.into_iter().map(entry).collect(),
        };
        Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
    }
    .await;
    site.answer(&request, result)
}

fn entry(event: Seen) -> Entry {
    let what = match event.kind {
        EventKind::UserCreated => Happened::SignedUp,
        EventKind::SignedIn => Happened::SignedIn,
        EventKind::SteppedUp => Happened::Confirmed,
        EventKind::SignedOut => Happened::SignedOut,
        EventKind::SessionRevoked => Happened::SessionEnded,
        EventKind::PasskeyAdded => Happened::PasskeyAdded,
        EventKind::PasskeyRenamed => Happened::PasskeyRenamed,
        EventKind::PasskeyRemoved => Happened::PasskeyRemoved,
        EventKind::CloneSuspected => Happened::PasskeyPaused,
        EventKind::PasskeyResumed => Happened::PasskeyResumed,
        EventKind::TrustedTokenBelieved
        | EventKind::TokenExchanged
        | EventKind::TokenImpersonated
        | EventKind::BridgeMinted
        | EventKind::Authorized
        | EventKind::DeviceRedeemed => Happened::TokensIssued,
        EventKind::CeremonyRefused
        | EventKind::TrustedTokenRefused
        | EventKind::RefreshReplayed
        | EventKind::CodeReplayed
        | EventKind::ActionTokenRefused
        | EventKind::ResultRefused => Happened::SignInRefused,
        EventKind::DeviceAllowed => Happened::DeviceAllowed,
        EventKind::DeviceDenied => Happened::DeviceDenied,
        EventKind::DeviceCodeRefused => Happened::DeviceCodeRefused,
        EventKind::TransactionSigned => Happened::Signed,
        EventKind::ActionTokenMade if event.client.is_none() => Happened::OperatorActed,
        EventKind::ActionTokenUsed if event.client.is_none() => Happened::LinkUsed,
        EventKind::ActionTokenMade | EventKind::ActionTokenUsed | EventKind::ResultRedeemed => Happened::AppActed,
        _ => Happened::Other,
    };
    Entry { what, at: event.at, about: event.subject_name.or(event.client), from: event.address_class }
}
