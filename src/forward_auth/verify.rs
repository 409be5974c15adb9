//! The forward auth endpoints: with a 2xx response the original request is let through, otherwise its sender receives
//! the response.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, LOCATION};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use serde_json::json;

use super::asked::{Asked, Way};
use super::{Arrived, ForwardAuth, Room};
use crate::domain::forward::{Needed, Person, ProtectedHost, Verdict};
use crate::tokens::claims::{Authentication, ForwardClaims};
use crate::web::error::{Failure, Kind, Problem};

/// Decides whether a request may pass through Caddy or Traefik, and identifies its sender.
///
/// The proxy describes the original request in `X-Forwarded-Method`, `X-Forwarded-Proto`, `X-Forwarded-Host` and
/// `X-Forwarded-Uri`. These headers are accepted only from `trusted_proxies`. The proxy must copy all identity headers
/// of the response onto the original request.
#[utoipa::path(get, path = "/v1/forward-auth", tag = "Forward auth",
    responses((status = 200, description = "The request may pass. The response has all the identity headers that are configured for the host"),
        (status = 303, description = "A browser requested a page but may not see it. Redirects to the sign-in or, if the host's rules deny access to the signed-in user, to a page that says so"),
        (status = 401, description = "`not_signed_in`, `reauthentication_required`: the sender must sign in, and did not request a page in a browser. `invalid_token`: the access token is not valid"),
        (status = 400, description = "`invalid_request`: the proxy does not describe the original request correctly"),
        (status = 403, description = "`forbidden`: the host's rules deny access, the host is not protected by this server, or the caller is not a trusted proxy or sends the headers of another kind of proxy"),
        (status = 404, description = "`not_found`: no protected hosts are configured"), (status = 503, description = "`unavailable`")))]
pub async fn forwarded(request: HttpRequest, room: Room) -> HttpResponse {
    answer(&request, &room, Way::Forwarded).await
}

/// Decides whether a request may pass through nginx (`auth_request`), and identifies its sender.
///
/// nginx distinguishes only 2xx, 401 and 403. The proxy describes the original request in `X-Original-Method` and
/// `X-Original-URL`. A 401 response contains the sign-in URL as `Location`, for use with `error_page 401`. If the
/// host's rules deny a page to a signed-in user, the 403 response contains the URL of a page that says so, for use with
/// `error_page 403`.
#[utoipa::path(get, path = "/v1/forward-auth/nginx", tag = "Forward auth",
    responses((status = 200, description = "The request may pass. The response has all the identity headers that are configured for the host"),
        (status = 401, description = "`not_signed_in`, `reauthentication_required`: the sender must sign in. `invalid_token`: the access token is not valid"),
        (status = 403, description = "`forbidden`: the host's rules deny access, the host is not protected by this server, the caller is not a trusted proxy, or it does not describe the original request correctly"), (status = 404, description = "`not_found`: no protected hosts are configured"),
        (status = 503, description = "`unavailable`. nginx answers the original request with 500")))]
pub async fn original(request: HttpRequest, room: Room) -> HttpResponse {
    answer(&request, &room, Way::Original).await
}

async fn answer(request: &HttpRequest, room: &ForwardAuth, way: Way) -> HttpResponse {
    let result = async {
        let asked = room.asked(request, way)?;
        let outcome = room.decide(&asked, request.headers()).await?;
        let name = outcome.name();
        room.told(&asked, outcome, way).map(|response| (name, response))
    }
    .await;
    let (name, response) = result.unwrap_or_else(|failure| {
        let response = refused(failure, way);
        (name_of_failure(response.status()), response)
    });
    metrics::counter!("passmint_forward_auth_total", "outcome" => name).increment(1);
    room.under_other_name(response)
}

fn name_of_failure(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "sign_in",
        500.. => "failed",
        _ => "refused",
    }
}

/// What happens to a request.
enum Outcome {
    /// It may pass, whoever sends it.
    Public(Option<Box<Arrived>>),
    /// It may pass, because its sender meets the demands; the host's app is told who they are.
    Allowed(Box<(Arrived, Person)>),
    /// The sender must sign in first.
    SignIn(Asker),
    /// The sender must be verified again.
    StepUp(Asker),
    /// The sender has no access.
    Lacking(Asker),
}

/// Who receives the response to a request that may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    /// A person who requested a page, and can be redirected to one of ours.
    Reader,
    /// A program, or a script of a page: it receives a status and JSON.
    Program,
}

impl Outcome {
    /// Its name in the metrics.
    const fn name(&self) -> &'static str {
        match self {
            Self::Public(_) | Self::Allowed(_) => "allowed",
            Self::SignIn(_) | Self::StepUp(_) => "sign_in",
            Self::Lacking(_) => "refused",
        }
    }
}

impl ForwardAuth {
    async fn decide(&self, asked: &Asked, headers: &HeaderMap) -> Result<Outcome, Failure> {
        let host = &asked.host;
        let by = Asker::of(headers);
        let demands = match host.needed(&asked.method, &asked.path) {
            Needed::Impossible => return Ok(Outcome::Lacking(self.somebody(host, headers, by).await)),
            Needed::Nothing => return Ok(Outcome::Public(self.perhaps(host, headers).await)),
            Needed::Demands(demands) => demands,
        };
        let Some(arrived) = self.arrived(host, headers).await? else { return Ok(Outcome::SignIn(by)) };
        Ok(match (arrived.judged(&demands, self.guard.accounts.clock.now()), arrived.person(host)) {
            (Verdict::Met, Some(person)) => Outcome::Allowed(Box::new((arrived, person))),
            (Verdict::StepUp, _) => Outcome::StepUp(by),
            (Verdict::Lacking, _) | (Verdict::Met, None) => Outcome::Lacking(by.if_came_by_cookie(&arrived)),
        })
    }

    /// The receiver of a refusal that applies to everybody: the page for it is only for people who are signed in there.
    async fn somebody(&self, host: &ProtectedHost, headers: &HeaderMap, asker: Asker) -> Asker {
        if asker == Asker::Program {
            return asker;
        }
        let arrived = self.perhaps(host, headers).await;
        arrived.map_or(Asker::Program, |arrived| asker.if_came_by_cookie(&arrived))
    }

    /// The sender of a request to a public path, if known. A failure is ignored, because public content must not depend
    /// on the database.
    async fn perhaps(&self, host: &ProtectedHost, headers: &HeaderMap) -> Option<Box<Arrived>> {
        let arrived = self.arrived(host, headers).await;
        arrived.inspect_err(Failure::log).ok().flatten().map(Box::new)
    }

    fn told(&self, asked: &Asked, outcome: Outcome, way: Way) -> Result<HttpResponse, Failure> {
        let host = &asked.host;
        match outcome {
            Outcome::Public(arrived) => {
                let person = arrived.and_then(|arrived| arrived.person(host));
                let_through(host, person.as_ref(), None)
            }
            Outcome::Allowed(allowed) => {
                let (arrived, person) = &*allowed;
                let assertion = self.assertion(host, arrived, person)?;
                let_through(host, Some(person), assertion)
            }
            Outcome::Lacking(Asker::Program) => Err(lacking()),
            Outcome::Lacking(Asker::Reader) => {
                let address = asked.refusal_address(self.guard.mint.issuer());
                Ok(match way {
                    Way::Forwarded => see_other(&address),
                    Way::Original => with_location(Problem(lacking()).error_response(), &address),
                })
            }
            Outcome::SignIn(Asker::Reader) | Outcome::StepUp(Asker::Reader) if way == Way::Forwarded => {
                Ok(see_other(&asked.sign_in_address()))
            }
            Outcome::SignIn(_) => Ok(challenged(
                asked,
                way,
                Failure::new(Kind::NotSignedIn, "Sign in first, at the address in `signIn`."),
            )),
            Outcome::StepUp(_) => {
                let words = "This requires a fresh sign-in with a passkey, at the address in `signIn`.";
                Ok(challenged(asked, way, Failure::new(Kind::ReauthenticationRequired, words)))
            }
        }
    }

    /// The token of the signed header. Nothing is signed for a public path, where no rule was checked.
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

/// 200, with all the configured headers of the host.
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

/// 401, with the sign-in URL.
fn challenged(asked: &Asked, way: Way, failure: Failure) -> HttpResponse {
    let address = asked.sign_in_address();
    let realm = format!(r#"Passmint realm="{}""#, asked.host.origin);
    let failure = failure.with("signIn", json!(address)).challenge(realm);
    let response = Problem(failure).error_response();
    if way == Way::Original { with_location(response, &address) } else { response }
}

fn see_other(address: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, address)).finish()
}

/// A response with a `Location` for nginx, which follows no redirect itself.
fn with_location(mut response: HttpResponse, address: &str) -> HttpResponse {
    if let Ok(address) = HeaderValue::from_str(address) {
        response.headers_mut().insert(LOCATION, address);
    }
    response
}

/// A refusal, with a status that the proxy understands.
fn refused(failure: Failure, way: Way) -> HttpResponse {
    if way == Way::Original && failure.kind() == Kind::InvalidRequest {
        failure.log();
        return Problem(Failure::new(Kind::Forbidden, failure.detail().to_owned())).error_response();
    }
    Problem(failure).error_response()
}

impl Asker {
    /// Determines the receiver from the headers: a person who requested a page, or a program or script that requested
    /// something else.
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let is_page = match text("sec-fetch-mode") {
            Some(mode) => mode == "navigate",
            None => {
                text(ACCEPT.as_str()).is_some_and(|accept| accept.contains("text/html"))
                    && text("x-requested-with").is_none()
            }
        };
        if is_page { Self::Reader } else { Self::Program }
    }

    /// A caller with an access token is a program, whatever it requested.
    const fn if_came_by_cookie(self, arrived: &Arrived) -> Self {
        if arrived.scopes.is_some() { Self::Program } else { self }
    }
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
            assert_eq!(Asker::of(&headers) == Asker::Reader, page, "{name}");
        }
    }
}
