//! Authorization requests (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2): from the browser's request to the response.
//!
//! What can be answered at once is; every other request is stored as a row, and the browser is sent to a page of ours
//! with a random 256-bit handle for it. Each visit of that page calls [`decide`] again with the stored request: nothing
//! that the browser sends later can change it. What must always hold: nothing is redirected before the client and its
//! redirect URI are verified; a code is issued by the statement that ends the request. To accept requests from another
//! source (pushed, signed): [`source`].

pub mod request_object;
pub mod source;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::Duration;
use serde_json::json;

use self::source::Source;
use super::Oidc;
use crate::account::guards::Identity;
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::authorization::{
    Answer, AuthorizationRequest, Circumstances, CodeGrant, Consent, Delivery, Facts, Parameters, Person, Prompt,
    Refusal, ReturnTo, Step, Unsafe, decide, grant_of, is_registered,
};
use crate::domain::claims::is_allowed_with;
use crate::domain::client::{Client, GrantType};
use crate::domain::scope::Scopes;
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::resources::Resources;
use crate::storage::authorization_codes::{self, Before, NewCode};
use crate::storage::consents::StoredConsent;
use crate::storage::interactions::{self, NewInteraction};
use crate::storage::{StorageError, audit, consents, users};
use crate::tokens::verifier::places;
use crate::web::caller::Network;
use crate::web::error::{Failure, Kind};
use crate::web::limits::{Class, Limits};

/// How long a request waits for the person.
const PATIENCE: Duration = Duration::minutes(15);

/// The outcome of a request.
#[derive(Debug)]
#[must_use = "the browser waits"]
pub enum Outcome {
    /// Redirects back to the client.
    Answer(Arc<Client>, Answer),
    /// A refusal that is shown on a page of ours: anybody may register a client, and faulty links must not redirect
    /// through this server to wherever that client likes (RFC 9700 §4.11.2).
    Explain(Arc<Client>, Refusal),
    /// Client or redirect URI are not verified: never redirected.
    Unsafe(Unsafe),
    /// The client is a metadata document that cannot be used, with the reason: never redirected either.
    NoDocument(Failure),
    /// The person must act: on the page with this handle.
    Wait(PlainToken),
}

/// The browser that sends a request, and its session.
pub struct Visitor<'a> {
    /// Who is signed in, as far as the request shows it: a POST from another site's page carries no cookies.
    pub identity: Option<&'a Identity>,
    /// Whether the request would carry the session cookie, if there is one.
    pub cookies_count: bool,
    /// For the audit trail.
    pub provenance: &'a Provenance,
    /// The rate limits, for requests that must wait.
    pub limits: &'a Limits,
    /// The caller's network.
    pub network: Network,
}

/// A request that was read and may have to wait.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The digest of its row's handle. `None` while it is answered at once.
    digest: Option<TokenDigest>,
    /// The request.
    pub request: AuthorizationRequest,
    /// The client that sent it.
    pub client: Arc<Client>,
    pushed: Option<TokenDigest>,
    chosen_by: Option<crate::domain::id::SessionId>,
    /// When it arrived.
    pub begun_at: Time,
}

/// Processes a new request.
pub async fn begin(room: &Oidc, parameters: Parameters, visitor: &Visitor<'_>) -> Result<Outcome, Failure> {
    let Some(id) = parameters.find("client_id") else { return Ok(Outcome::Unsafe(Unsafe::NoClient)) };
    room.limit_newcomers(id, visitor.network)?;
    let client = match room.registration.resolve(id).await {
        Ok(Some(client)) => client,
        Ok(None) => return Ok(Outcome::Unsafe(Unsafe::UnknownClient)),
        Err(failure) if failure.kind() == Kind::InvalidClient => return Ok(Outcome::NoDocument(failure)),
        Err(failure) => return Err(failure),
    };
    let (request, pushed) = match source::resolve(room, &client, parameters).await? {
        Source::Sent(parameters, delivery, object) => {
            let to = match ReturnTo::find(&parameters, &client) {
                Ok(to) => to,
                Err(problem) => return Ok(Outcome::Unsafe(problem)),
            };
            match read(room, &client, &parameters, to.clone(), delivery) {
                Ok(request) => (AuthorizationRequest { object, ..request }, None),
                Err(refusal) => {
                    let silent = parameters.find("prompt") == Some("none");
                    return Ok(refused(room, client, (to, refusal), silent, visitor));
                }
            }
        }
        Source::Pushed(request, digest) if is_home(&client, &request.to) => (*request, Some(digest)),
        Source::Refused(beside, refusal) => {
            let silent = beside.find("prompt") == Some("none");
            return Ok(match ReturnTo::find(&beside, &client) {
                Ok(to) => refused(room, client, (to, refusal), silent, visitor),
                Err(_) => Outcome::Explain(client, refusal),
            });
        }
        Source::Pushed(..) | Source::Nothing => return Ok(Outcome::Unsafe(Unsafe::PushedRequest)),
    };
    let begun_at = room.clock.now();
    let pending = Pending { digest: None, request, client, pushed, chosen_by: None, begun_at };
    if !visitor.cookies_count {
        return wait(room, pending, visitor).await;
    }
    match next(room, &pending, visitor.identity).await? {
        Step::Refuse(refusal) => {
            let to = pending.request.to.clone();
            let silent = pending.request.prompts(Prompt::None);
            Ok(refused(room, pending.client, (to, refusal), silent, visitor))
        }
        Step::Issue => match visitor.identity {
            Some(identity) => {
                let answer = give(room, &pending, identity, Allowed::AsBefore, visitor.provenance).await?;
                Ok(Outcome::Answer(pending.client, answer))
            }
            None => wait(room, pending, visitor).await,
        },
        _ => wait(room, pending, visitor).await,
    }
}

/// Reads the parameters of a client whose redirect URI is verified. Also used for pushed requests.
pub fn read(
    room: &Oidc,
    client: &Client,
    parameters: &Parameters,
    to: ReturnTo,
    delivery: Delivery,
) -> Result<AuthorizationRequest, Refusal> {
    let (ring, issuer, now) = (room.mint.keys().ring(), room.mint.issuer(), room.clock.now());
    // A hint proves nothing, so an invalid one is ignored.
    let hinted = |hint: &str| {
        let verified = places::id_token_hint(&ring, issuer, Some(&client.id), hint, now).ok()?;
        Some(verified.into_claims().sub)
    };
    let request =
        AuthorizationRequest::read(parameters, to, &Circumstances { client, issuer, delivery, hinted: &hinted })?;
    check_resources(room.mint.resources(), client, (&request.scopes, &request.resources), issuer)?;
    Ok(request)
}

/// Checks that every resource is known and enabled, and that every scope of a resource is requested together with it.
pub(super) fn check_resources(
    known: &Resources,
    client: &Client,
    (scopes, resources): (&Scopes, &[String]),
    issuer: &str,
) -> Result<(), Refusal> {
    let audience = audience(client, scopes, resources, issuer);
    known.audience(client, audience.iter().map(String::as_str), issuer).map_err(|_| Refusal::Target)?;
    known.require_resource_of(scopes, &audience).map_err(|_| Refusal::Scope)
}

fn refused(
    room: &Oidc,
    client: Arc<Client>,
    (to, refusal): (ReturnTo, Refusal),
    silent: bool,
    visitor: &Visitor<'_>,
) -> Outcome {
    if silent || client.definition.first_party || visitor.identity.is_some() {
        Outcome::Answer(client, Answer::refusal(to, refusal, room.mint.issuer()))
    } else {
        Outcome::Explain(client, refusal)
    }
}

/// The response to a client whose request exceeds the rate limit and must not be shown to anybody (`prompt=none`).
/// `None` if the redirect URI is not verified, or if the response would have to be signed: above the limit, nothing is
/// fetched or signed.
pub fn too_busy(room: &Oidc, parameters: &Parameters) -> Option<(Arc<Client>, Answer)> {
    if parameters.find("prompt") != Some("none") {
        return None;
    }
    let client = room.clients.find(parameters.find("client_id")?)?;
    let to = ReturnTo::find(parameters, &client).ok().filter(|to| !to.mode.is_signed())?;
    Some((client, Answer::refusal(to, Refusal::Busy, room.mint.issuer())))
}

/// Stores a request until the person has answered. It writes a row, so it counts like the start of a ceremony, which
/// will follow.
async fn wait(room: &Oidc, pending: Pending, visitor: &Visitor<'_>) -> Result<Outcome, Failure> {
    if let Err(failure) = visitor.limits.check(Class::Start, visitor.network) {
        if !pending.request.prompts(Prompt::None) {
            return Err(failure);
        }
        let answer = Answer::refusal(pending.request.to, Refusal::Busy, room.mint.issuer());
        return Ok(Outcome::Answer(pending.client, answer));
    }
    let handle = PlainToken::random(TokenKind::Interaction);
    let new = NewInteraction {
        digest: handle.digest(),
        request: pending.request,
        pushed: pending.pushed,
        now: pending.begun_at,
        expires_at: pending.begun_at + PATIENCE,
    };
    room.db.run(move |conn| interactions::insert(conn, &new)).await?;
    Ok(Outcome::Wait(handle))
}

/// Finds the waiting request with this handle.
pub async fn find(room: &Oidc, handle: &str) -> Result<Pending, Failure> {
    let digest = PlainToken::parse(TokenKind::Interaction, handle).ok_or_else(over)?.digest();
    let now = room.clock.now();
    let found = room.db.run(move |conn| interactions::find(conn, &digest, now)).await?.ok_or_else(over)?;
    let client = room.clients.find_stored(&found.request.client, &room.db).await?.ok_or_else(over)?;
    if !is_home(&client, &found.request.to) {
        return Err(over());
    }
    Ok(Pending {
        digest: Some(digest),
        client,
        request: found.request,
        pushed: found.pushed,
        chosen_by: found.chosen_by,
        begun_at: found.created_at,
    })
}

fn over() -> Failure {
    Failure::new(Kind::CeremonyExpired, "This request was already answered, or waited too long. Go back to the app.")
}

/// Decides what must happen next.
pub async fn next(room: &Oidc, pending: &Pending, identity: Option<&Identity>) -> Result<Step, Failure> {
    step(room, pending, identity, false).await
}

async fn step(room: &Oidc, pending: &Pending, identity: Option<&Identity>, allowed_now: bool) -> Result<Step, Failure> {
    let client = &*pending.client;
    let facts = Facts { begun_at: pending.begun_at, client, person: None, remembered: None, allowed_now };
    let Some(identity) = identity else { return Ok(decide(&pending.request, &facts)) };
    let (may_use_client, remembered) = known_of(room, client, identity).await?;
    let remembered = remembered.map(|stored| stored.consent);
    let person = Person {
        session: &identity.session,
        subject: &room.subject(client, identity.user.id),
        chosen: pending.chosen_by == Some(identity.session.id),
        may_use_client,
    };
    Ok(decide(&pending.request, &Facts { person: Some(person), remembered: remembered.as_ref(), ..facts }))
}

/// Whether somebody may use the client, and what they have consented to before: one query, or none if neither is
/// needed.
async fn known_of(
    room: &Oidc,
    client: &Client,
    identity: &Identity,
) -> Result<(bool, Option<StoredConsent>), StorageError> {
    let (first_party, groups) = (client.definition.first_party, client.definition.allowed_groups.clone());
    if first_party && groups.is_empty() {
        return Ok((true, None));
    }
    let (user, client) = (identity.user.id, client.id.clone());
    room.db
        .run(move |conn| {
            let may_use = groups.is_empty() || users::is_in_any(conn, user, &groups)?;
            let remembered = if first_party { None } else { consents::find(conn, user, &client)? };
            Ok((may_use, remembered))
        })
        .await
}

/// Records that the owner of a session continues with their account.
pub async fn choose(room: &Oidc, pending: &mut Pending, identity: &Identity) -> Result<(), Failure> {
    let (digest, session, now) = (pending.digest.ok_or_else(over)?, identity.session.id, room.clock.now());
    if !room.db.run(move |conn| interactions::choose(conn, &digest, session, now)).await? {
        return Err(over());
    }
    pending.chosen_by = Some(session);
    Ok(())
}

/// What the person allows with a code.
enum Allowed {
    /// Exactly what was requested: allowed before, or needing no consent.
    AsBefore,
    /// These scopes, allowed just now.
    Now(Scopes),
}

/// The person allows what is requested, or less of it: issues the code, unless something else must happen first.
pub async fn allow(
    room: &Oidc,
    pending: &Pending,
    identity: &Identity,
    scopes: &Scopes,
    origin: &Provenance,
) -> Result<Result<Answer, Step>, Failure> {
    let kept: Scopes =
        pending.request.scopes.iter().filter(|scope| *scope == "openid" || scopes.contains(scope)).collect();
    match step(room, pending, Some(identity), true).await? {
        Step::Issue => give(room, pending, identity, Allowed::Now(kept), origin).await.map(Ok),
        other => Ok(Err(other)),
    }
}

/// Issues the code for a request that needs nothing (more) from the person.
pub async fn issue(
    room: &Oidc,
    pending: &Pending,
    identity: &Identity,
    origin: &Provenance,
) -> Result<Answer, Failure> {
    give(room, pending, identity, Allowed::AsBefore, origin).await
}

async fn give(
    room: &Oidc,
    pending: &Pending,
    identity: &Identity,
    allowed: Allowed,
    origin: &Provenance,
) -> Result<Answer, Failure> {
    let (request, client) = (&pending.request, &pending.client);
    if !still_fits(client, request) {
        return Err(over());
    }
    let now = room.clock.now();
    room.mint.keys().require_fresh().map_err(Failure::unavailable)?;
    let code = PlainToken::random(TokenKind::AuthorizationCode);
    let asks = !client.definition.first_party;
    let before = if asks { known_of(room, client, identity).await?.1 } else { None };
    let seen = asks.then(|| Before { updated_at: before.as_ref().map(|before| before.updated_at) });
    let before = before.map(|stored| stored.consent);
    let (scopes, consent) = match allowed {
        // The consent was withdrawn since the decision.
        Allowed::AsBefore if asks && !before.as_ref().is_some_and(|before| before.covers(request)) => {
            return Err(over());
        }
        Allowed::AsBefore => (request.scopes.clone(), None),
        Allowed::Now(scopes) => {
            let consent = asks.then(|| remembered(before.unwrap_or_default(), request, &scopes));
            (scopes, consent)
        }
    };
    let detail = json!({ "scope": scopes.to_string(), "asked": consent.is_some() });
    let resources = audience(client, &request.scopes, &request.resources, room.mint.issuer());
    let expires_at = now + CodeGrant::life();
    let digest = code.digest();
    let new = NewCode {
        digest,
        grant_id: grant_of(&digest),
        client: client.id.clone(),
        user: identity.user.id,
        session: identity.session.id,
        grant: CodeGrant::new(request, &identity.session, scopes, resources),
        now,
        expires_at,
        kept_until: expires_at + room.mint.access_life(client),
        interaction: pending.digest,
        pushed: pending.pushed,
        consent,
        before: seen,
        object: request.object.as_ref().map(|once| request_object::spent(client, once)),
    };
    let event = Event { detail, ..Event::new(EventKind::Authorized, now, origin) };
    if !room.db.run(move |conn| authorization_codes::give(conn, &new, &event)).await? {
        return Err(over());
    }
    Ok(Answer::code(request.to.clone(), code.expose(), room.mint.issuer()))
}

/// Whether the client may still make a request that has waited: it does not get what it has lost in the meantime.
fn still_fits(client: &Client, request: &AuthorizationRequest) -> bool {
    is_home(client, &request.to)
        && client.may_use(GrantType::AuthorizationCode).is_ok()
        && client.grant_scopes(Some(&request.scopes)).is_ok()
}

/// Whether a redirect URI is still one of the client's. One that was removed receives nothing any more, not even a
/// refusal.
fn is_home(client: &Client, to: &ReturnTo) -> bool {
    is_registered(&to.redirect_uri, &client.definition.redirect_uris, client.definition.kind)
}

/// What is remembered after somebody allowed `scopes` of a request: of the requested scopes exactly those they ticked,
/// and of the others everything that they allowed before.
fn remembered(before: Consent, request: &AuthorizationRequest, scopes: &Scopes) -> Consent {
    let kept: Scopes = before.scopes.iter().filter(|scope| !request.scopes.contains(scope)).collect();
    let allowed = |name: &String| is_allowed_with(name, &request.scopes, scopes);
    let asked = request.requested.userinfo.iter().chain(&request.requested.id_token).cloned();
    Consent {
        scopes: scopes.and(&kept),
        resources: before.resources.into_iter().chain(request.resources.iter().cloned()).collect::<BTreeSet<_>>(),
        claims: before.claims.into_iter().chain(asked).filter(allowed).collect(),
    }
}

/// The audience of the access tokens. If an OpenID Connect client names none, the token is for our userinfo endpoint.
pub(super) fn audience(client: &Client, scopes: &Scopes, resources: &[String], issuer: &str) -> Vec<String> {
    if !resources.is_empty() {
        return resources.to_vec();
    }
    let usual = if scopes.contains("openid") { Some(issuer) } else { None };
    vec![client.grant_audience(usual, issuer).unwrap_or_else(|_| issuer.to_owned())]
}

/// The response as it is sent: if the client requested it, as a single JWT signed by this server (JARM §2.1).
pub fn sealed(room: &Oidc, client: &Client, answer: Answer) -> Result<Answer, Failure> {
    if !answer.to.mode.is_signed() {
        return Ok(answer);
    }
    let signed =
        room.mint.authorization_answer(client, &answer.parameters, room.clock.now()).map_err(Failure::unavailable)?;
    Ok(Answer { parameters: vec![("response", signed)], ..answer })
}

/// Ends a waiting request with a refusal. If the person denied it themselves, the audit trail records it.
pub async fn refuse(
    room: &Oidc,
    pending: &Pending,
    refusal: Refusal,
    identity: Option<&Identity>,
    origin: &Provenance,
) -> Result<Answer, Failure> {
    let event = (refusal == Refusal::Denied).then(|| Event {
        user: identity.map(|identity| identity.user.id),
        session: identity.map(|identity| identity.session.id),
        client: Some(pending.client.id.clone()),
        ..Event::new(EventKind::AuthorizationDenied, room.clock.now(), origin)
    });
    if let Some(digest) = pending.digest {
        let ended = room
            .db
            .tx(move |conn| {
                let ended = interactions::remove(conn, &digest)?;
                if let (true, Some(event)) = (ended, event) {
                    audit::insert(conn, &event)?;
                }
                Ok(ended)
            })
            .await?;
        if !ended {
            return Err(over());
        }
    }
    Ok(Answer::refusal(pending.request.to.clone(), refusal, room.mint.issuer()))
}
