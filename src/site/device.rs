//! The device pages: entering the code, comparing it, and answering (RFC 8628 §3.3).
//!
//! What must always hold: a code in the URL only prefills the field; the question is shown to, and answered by, the
//! session that first entered the code; allowing requires the ticked box and a recent verification.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::scope_item::scope_item;
use super::{Site, account_card, app_identity, identity_of, see_other, with_next};
use crate::account::guards::{Guard, Identity};
use crate::ceremony::handlers::Room as Ceremonies;
use crate::domain::device::{Answer, Halt, UserCode};
use crate::oidc::Room;
use crate::oidc::device::{Opened, Opening, PAGE, halt_minutes};
use crate::tokens::Mint;
use crate::web::Caller;
use crate::web::error::{Failure, Kind};
use crate::web::form::PageForm;
use crate::web::pages::Boot;
use crate::web::pages::device::{CodeProblem, DeviceDone, DeviceEnter, DeviceReview, Outcome};

/// The path of the page that asks.
const REVIEW: &str = "/device/review";

/// The page for entering the code.
pub async fn enter_form(request: HttpRequest, site: web::Data<Site>, guard: web::Data<Guard>) -> HttpResponse {
    let result = async {
        let code = code_of(&request);
        let Some(identity) = identity_of(&request, &guard).await? else {
            return Ok(see_other(&with_next("/", &with_code(PAGE, code.as_ref()))));
        };
        let code = code.map(|code| code.to_string()).unwrap_or_default();
        enter_page(&site, &request, &identity, (code, None))
    }
    .await;
    site.answer(&request, result)
}

fn enter_page(
    site: &Site,
    request: &HttpRequest,
    identity: &Identity,
    (code, problem): (String, Option<CodeProblem>),
) -> Result<HttpResponse, Failure> {
    let status = match problem {
        None => StatusCode::OK,
        Some(CodeProblem::Unusable) => StatusCode::UNPROCESSABLE_ENTITY,
        Some(CodeProblem::TooMany(_) | CodeProblem::AllWrong) => StatusCode::TOO_MANY_REQUESTS,
    };
    let frame = site.frame(request, Some(identity), Boot::default());
    let view = DeviceEnter { frame, code, problem, action: PAGE.to_owned() };
    Site::page(&view, &view.frame.nonce.clone(), status)
}

/// Handles the entered code, and continues to the question.
pub async fn enter(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    room: Room,
    caller: Caller,
    form: PageForm,
) -> HttpResponse {
    let result = async {
        let identity = site.posted_by(&request, &guard, &form).await?;
        let typed: String = form.0.find("user_code").unwrap_or_default().chars().take(32).collect();
        let code = UserCode::parse(&typed);
        let opening = match &code {
            Some(code) => room.open_device(&identity, code.clone(), &caller.provenance).await?,
            // A text that cannot be a code does not count as a guess.
            None => Opening::Unusable,
        };
        let problem = match opening {
            Opening::Opened => return Ok(see_other(&with_code(REVIEW, code.as_ref()))),
            Opening::Unusable => CodeProblem::Unusable,
            Opening::Halted(Halt::Own) => CodeProblem::TooMany(halt_minutes()),
            Opening::Halted(Halt::Everybody) => CodeProblem::AllWrong,
        };
        enter_page(&site, &request, &identity, (typed, Some(problem)))
    }
    .await;
    site.answer(&request, result)
}

/// The page that asks; after the answer, the result.
pub async fn review(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    room: Room,
    ceremonies: Ceremonies,
) -> HttpResponse {
    let result = async {
        let code = code_of(&request);
        let Some(identity) = identity_of(&request, &guard).await? else {
            // After signing in again it is another session, so the code must be entered again.
            let next = if code.is_some() { with_code(PAGE, code.as_ref()) } else { REVIEW.to_owned() };
            return Ok(see_other(&with_next("/", &next)));
        };
        let opened = match code {
            Some(code) => room.opened_device(&identity, code).await?,
            None => None,
        };
        let Some(opened) = opened else { return Ok(see_other(PAGE)) };
        if !room.may_use(&opened.client, identity.user.id).await? {
            return Err(not_for_you());
        }
        match opened.device.waiting.answer {
            Some(answer) => done_page(&site, &request, &identity, &opened, answer),
            None if ceremonies.require_fresh(&identity.session).is_err() => {
                Ok(see_other(&with_next("/confirm", &with_code(REVIEW, Some(&opened.device.code)))))
            }
            None => review_page(&site, &request, (&identity, &room.mint), &opened, Tick::NotAskedYet),
        }
    }
    .await;
    site.answer(&request, result)
}

/// Whether the box was left unticked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    NotAskedYet,
    Missing,
}

fn review_page(
    site: &Site,
    request: &HttpRequest,
    (identity, mint): (&Identity, &Mint),
    opened: &Opened,
    tick: Tick,
) -> Result<HttpResponse, Failure> {
    let Opened { device, client } = opened;
    let (resources, issuer) = (mint.resources(), mint.issuer());
    let view = DeviceReview {
        frame: site.frame(request, Some(identity), Boot::default()),
        code: device.code.to_string(),
        app: app_identity(client, None),
        account: account_card(&identity.user),
        scopes: device.request.scopes.iter().map(|scope| scope_item(Some(client), resources, scope)).collect(),
        resources: device
            .request
            .audience
            .iter()
            .filter(|one| *one != issuer)
            .map(|one| resources.name_of(one))
            .collect(),
        network: device.network.clone().unwrap_or_default(),
        device: device.request.device.clone(),
        asked: device.created_at,
        unticked: tick == Tick::Missing,
        action: REVIEW.to_owned(),
    };
    let status = if view.unticked { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Site::page(&view, &view.frame.nonce.clone(), status)
}

fn done_page(
    site: &Site,
    request: &HttpRequest,
    identity: &Identity,
    opened: &Opened,
    answer: Answer,
) -> Result<HttpResponse, Failure> {
    let outcome = match answer {
        Answer::Allowed => Outcome::Allowed,
        Answer::Denied => Outcome::Denied,
    };
    let frame = site.frame(request, Some(identity), Boot::default());
    let view = DeviceDone { frame, outcome, app: opened.client.definition.name.clone() };
    Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
}

/// Handles the answer.
pub async fn answer(
    request: HttpRequest,
    site: web::Data<Site>,
    guard: web::Data<Guard>,
    (room, ceremonies): (Room, Ceremonies),
    caller: Caller,
    form: PageForm,
) -> HttpResponse {
    let result = async {
        let identity = site.posted_by(&request, &guard, &form).await?;
        let code = form.0.find("user_code").and_then(UserCode::parse);
        let Some(code) = code else { return Ok(see_other(PAGE)) };
        let said = match form.0.get("decision")? {
            "allow" => Answer::Allowed,
            "deny" => Answer::Denied,
            _ => return Err(Failure::new(Kind::InvalidRequest, "Answer with the buttons on the page.")),
        };
        let Some(opened) = room.opened_device(&identity, code.clone()).await? else { return Ok(see_other(PAGE)) };
        if said == Answer::Allowed && opened.device.waiting.answer.is_none() {
            if !room.may_use(&opened.client, identity.user.id).await? {
                return Err(not_for_you());
            }
            if form.0.find("mine") != Some("yes") {
                return review_page(&site, &request, (&identity, &room.mint), &opened, Tick::Missing);
            }
            if ceremonies.require_fresh(&identity.session).is_err() {
                return Ok(see_other(&with_next("/confirm", &with_code(REVIEW, Some(&code)))));
            }
        }
        // If it was already answered in another tab, the page shows the first answer.
        let _ = room.answer_device(&identity, &opened, said, &caller.provenance).await?;
        Ok(see_other(&with_code(REVIEW, Some(&code))))
    }
    .await;
    site.answer(&request, result)
}

fn not_for_you() -> Failure {
    Failure::new(
        Kind::Forbidden,
        "This app is only for members of certain groups, and this account is in none of \
        them.",
    )
}

/// The code in the URL, if it is valid.
fn code_of(request: &HttpRequest) -> Option<UserCode> {
    let mut pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
    pairs.find(|(name, _)| name == "user_code").and_then(|(_, code)| UserCode::parse(&code))
}

fn with_code(path: &str, code: Option<&UserCode>) -> String {
    code.map_or_else(|| path.to_owned(), |code| format!("{path}?user_code={code}"))
}
