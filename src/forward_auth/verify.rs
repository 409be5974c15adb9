//! The question itself: 2xx lets the waiting request through, anything else is what its caller gets instead.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, LOCATION};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use serde_json::json;

use super::asked::{Asked, Way};
use super::{Arrived, ForwardAuth, Room};
use crate::domain::forward::{Needed, Person, ProtectedHost, Verdict};
use crate::tokens::claims::{Authentication, ForwardClaims};
use crate::web::error::{Failure, Kind, Problem};

/// May the request go through that Caddy or Traefik holds back, and who is asking?
///
/// The request is told of in `X-Forwarded-Method`, `-Proto`, `-Host` and `-Uri`, which count from `trusted_proxies` alone. The
/// answer's identity headers are to be copied onto the request, all of them.
#[utoipa::path(get, path = "/v1/forward-auth", tag = "Forward auth",
    responses((status = 200, description = "Let it through, with the headers of the host's set"),
        (status = 303, description = "Nobody is signed in there: a page is asked for, and its reader is sent to sign in"),
        (status = 401, description = "The same where no page is asked for: `not_signed_in`, `reauthentication_required`, `invalid_token`"),
        (status = 400, description = "`invalid_request`: the proxy does not say what it asks about"),
        (status = 403, description = "`forbidden`: by the host's rules, for an unknown host, or asked by nobody trusted"),
        (status = 404, description = "`not_found`: no host is protected"), (status = 503, description = "`unavailable`")))]
pub async fn forwarded(request: HttpRequest, room: Room) -> HttpResponse {
    answer(&request, &room, Way::Forwarded).await
}

/// The same for nginx's `auth_request`, which understands 2xx, 401 and 403.
///
/// The request is told of in `X-Original-Method` and `X-Original-URL`. A 401 has the address to sign in at as its `Location`, for
/// `error_page 401`.
#[utoipa::path(get, path = "/v1/forward-auth/nginx", tag = "Forward auth",
    responses((status = 200, description = "Let it through, with the headers of the host's set"),
        (status = 401, description = "Nobody is signed in there: `not_signed_in`, `reauthentication_required`, `invalid_token`"),
        (status = 403, description = "`forbidden`: by the host's rules, for an unknown host, asked by nobody trusted, or not to be understood"), (status = 404, description = "`not_found`: no host is protected"),
        (status = 503, description = "`unavailable`; nginx answers 500")))]
pub async fn original(request: HttpRequest, room: Room) -> HttpResponse {
    answer(&request, &room, Way::Original).await
}

async fn answer(request: &HttpRequest, room: &ForwardAuth, way: Way) -> HttpResponse {
    let result = async {
        let asked = room.asked(request, way)?;
        let outcome = room.decide(&asked, request.headers()).await?;
        room.told(&asked, outcome, way, request.headers())
    }
    .await;
    let response = result.unwrap_or_else(|failure| refused(failure, way));
    metrics::counter!("passmint_forward_auth_total", "outcome" => outcome_of(response.status())).increment(1);
    room.under_other_name(response)
}

fn outcome_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200 => "allowed",
        303 | 401 => "sign_in",
        500.. => "failed",
        _ => "refused",
    }
}

/// What becomes of a request.
enum Outcome {
    /// It goes through, whoever sends it.
    Public(Option<Box<Arrived>>),
    /// It goes through, as somebody's who has what was demanded.
    Allowed(Box<Arrived>),
    /// Somebody has to sign in first.
    SignIn,
    /// They have to prove again who they are.
    StepUp,
    /// They may not.
    Lacking,
}

impl ForwardAuth {
    async fn decide(&self, asked: &Asked, headers: &HeaderMap) -> Result<Outcome, Failure> {
        let demands = match asked.host.needed(&asked.method, &asked.path) {
            Needed::Impossible => return Ok(Outcome::Lacking),
            Needed::Nothing => return Ok(Outcome::Public(self.perhaps(&asked.host, headers).await)),
            Needed::Demands(demands) => demands,
        };
        let Some(arrived) = self.arrived(&asked.host, headers).await? else { return Ok(Outcome::SignIn) };
        Ok(match arrived.judged(&demands, self.guard.accounts.clock.now()) {
            Verdict::Lacking => Outcome::Lacking,
            Verdict::StepUp => Outcome::StepUp,
            Verdict::Met => Outcome::Allowed(Box::new(arrived)),
        })
    }

    /// Who is reading something public, where that is to be learnt: what is for everybody needs no database.
    async fn perhaps(&self, host: &ProtectedHost, headers: &HeaderMap) -> Option<Box<Arrived>> {
        let arrived = self.arrived(host, headers).await;
        arrived.inspect_err(Failure::log).ok().flatten().map(Box::new)
    }

    fn told(&self, asked: &Asked, outcome: Outcome, way: Way, headers: &HeaderMap) -> Result<HttpResponse, Failure> {
        let host = &asked.host;
        match outcome {
            Outcome::Public(arrived) => {
                let person = arrived.and_then(|arrived| arrived.person(host));
                let_through(host, person.as_ref(), None)
            }
            Outcome::Allowed(arrived) => {
                let person = arrived.person(host).ok_or_else(lacking)?;
                let assertion = self.assertion(host, &arrived, &person)?;
                let_through(host, Some(&person), assertion)
            }
            Outcome::Lacking => Err(lacking()),
            Outcome::SignIn | Outcome::StepUp if way == Way::Forwarded && is_navigation(headers) => {
                Ok(HttpResponse::SeeOther().insert_header((LOCATION, asked.sign_in_address())).finish())
            }
            Outcome::SignIn => Ok(challenged(
                asked,
                way,
                Failure::new(Kind::NotSignedIn, "Sign in first, at the address in `signIn`."),
            )),
            Outcome::StepUp => {
                let words = "This wants a fresh sign-in with a passkey, at the address in `signIn`.";
                Ok(challenged(asked, way, Failure::new(Kind::ReauthenticationRequired, words)))
            }
        }
    }

    /// The signed header's token. Of what is public nothing is signed: it was shown to nobody's rules.
    fn assertion(&self, host: &ProtectedHost, arrived: &Arrived, person: &Person) -> Result<Option<String>, Failure> {
        let Some(rule) = &host.assertion else { return Ok(None) };
        let now = self.guard.accounts.clock.now();
        let claims = ForwardClaims {
            iss: self.guard.mint.issuer().to_owned(),
            sub: person.id.clone(),
            aud: rule.audience.clone(),
            iat: now.timestamp(),
            exp: (now + rule.lifetime).timestamp(),
            jti: crate::random::uuid().to_string(),
            sid: arrived.visitor.session.to_string(),
            user: person.user.clone(),
            email: person.email.clone(),
            name: person.name.clone(),
            groups: person.groups.clone(),
            authentication: Authentication {
                auth_time: Some(arrived.visitor.auth_time.timestamp()),
                acr: Some(person.acr.clone()),
                ..Authentication::default()
            },
        };
        self.guard.mint.forward_assertion(&claims).map(Some).map_err(Failure::unavailable)
    }
}

fn lacking() -> Failure {
    Failure::new(Kind::Forbidden, "Your account has no access to this. If it should, ask the people who run this site.")
}

/// 200, with every header of the host's set.
fn let_through(
    host: &ProtectedHost,
    person: Option<&Person>,
    assertion: Option<String>,
) -> Result<HttpResponse, Failure> {
    let mut all = host.headers.render(person).map_err(|too_long| lacking().because(too_long))?;
    if let Some(rule) = &host.assertion {
        all.push((&rule.header, assertion.unwrap_or_default()));
    }
    let mut response = HttpResponse::Ok();
    for (name, value) in all {
        let broken =
            |_| Failure::new(Kind::Internal, "Something went wrong here.").because("a header cannot be written");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| broken(error.to_string()))?;
        let value = HeaderValue::from_str(&value).map_err(|error| broken(error.to_string()))?;
        response.insert_header((name, value));
    }
    Ok(response.finish())
}

/// 401, with the address to sign in at.
fn challenged(asked: &Asked, way: Way, failure: Failure) -> HttpResponse {
    let address = asked.sign_in_address();
    let realm = format!(r#"Passmint realm="{}""#, asked.host.origin);
    let failure = failure.with("signIn", json!(address)).challenge(realm);
    let mut response = Problem(failure).error_response();
    if let (Way::Original, Ok(address)) = (way, HeaderValue::from_str(&address)) {
        response.headers_mut().insert(LOCATION, address);
    }
    response
}

/// A refusal, in the statuses that the proxy understands.
fn refused(failure: Failure, way: Way) -> HttpResponse {
    if way == Way::Original && failure.kind() == Kind::InvalidRequest {
        failure.log();
        return Problem(Failure::new(Kind::Forbidden, failure.detail().to_owned())).error_response();
    }
    Problem(failure).error_response()
}

/// Whether a person asks for a page, rather than a program or a page's script for something else.
fn is_navigation(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(mode) = text("sec-fetch-mode") {
        return mode == "navigate";
    }
    text(ACCEPT.as_str()).is_some_and(|accept| accept.contains("text/html")) && text("x-requested-with").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_of_pages_are_told_from_programs() {
        for (name, sent, page) in [
            ("a browser", vec![("sec-fetch-mode", "navigate"), ("accept", "text/html,*/*")], true),
            ("a script", vec![("sec-fetch-mode", "cors"), ("accept", "text/html")], false),
            ("a picture", vec![("sec-fetch-mode", "no-cors")], false),
            ("a WebSocket", vec![("sec-fetch-mode", "websocket")], false),
            ("an old browser", vec![("accept", "text/html")], true),
            ("an old script", vec![("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")], false),
            ("curl", vec![("accept", "*/*")], false),
            ("nothing", vec![], false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in sent {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert_eq!(is_navigation(&headers), page, "{name}");
        }
    }
}
