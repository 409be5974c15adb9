//! Decides what must happen next for a request. It is decided again at every visit, so that no step can be skipped or
//! repeated.

use std::collections::BTreeSet;

use chrono::Duration;

use super::{AuthorizationRequest, Prompt, Refusal};
use crate::clock::Time;
use crate::domain::authentication::{HIGHEST_ACR, acr_reaches};
use crate::domain::claims::scope_of;
use crate::domain::client::{Client, ClientKind};
use crate::domain::scope::Scopes;
use crate::domain::session::Session;

/// Everything that the decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// When the request arrived. Whatever must be fresh must be newer.
    pub begun_at: Time,
    /// The requesting client.
    pub client: &'a Client,
    /// The person signed in, if any.
    pub person: Option<Person<'a>>,
    /// What the person allowed the client before.
    pub remembered: Option<&'a Consent>,
    /// Whether the person consented just now, on the consent page.
    pub allowed_now: bool,
}

/// A person who is signed in.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    /// Their session in this browser.
    pub session: &'a Session,
    /// Their `sub` for this client.
    pub subject: &'a str,
    /// Whether they chose this account, in this session and for this request.
    pub chosen: bool,
    /// Whether the client is open to everyone, or to a group that they are in.
    pub may_use_client: bool,
}

/// What a person allowed a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// Scopes.
    pub scopes: Scopes,
    /// Resources.
    pub resources: BTreeSet<String>,
    /// Claims requested by name.
    pub claims: BTreeSet<String>,
}

impl Consent {
    /// Whether everything that the request asks for was allowed.
    pub fn covers(&self, request: &AuthorizationRequest) -> bool {
        let mut claims = request.requested.userinfo.iter().chain(&request.requested.id_token);
        request.scopes.is_subset(&self.scopes)
            && request.resources.iter().all(|resource| self.resources.contains(resource))
            && claims.all(|claim| self.claims.contains(claim))
    }

    /// Everything that it reveals to the client, expressed as scopes, including those of the claims.
    pub fn in_scopes(&self) -> Scopes {
        self.scopes.and(&self.claims.iter().filter_map(|claim| scope_of(claim)).collect())
    }
}

/// What must happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "each step is a page, an answer or a code"]
pub enum Step {
    /// Sign in (as somebody else, if somebody is signed in).
    SignIn,
    /// Create an account.
    CreateAccount,
    /// The same person must authenticate again.
    Reauthenticate,
    /// Choose the account to continue with.
    ChooseAccount,
    /// Consent; with the scopes that were not allowed before.
    Consent(Scopes),
    /// Issue a code.
    Issue,
    /// Refuse.
    Refuse(Refusal),
}

/// Decides the next page, or the response, for a stored request.
pub fn decide(request: &AuthorizationRequest, facts: &Facts<'_>) -> Step {
    let step = next(request, facts);
    if !request.prompts(Prompt::None) {
        return step;
    }
    match step {
        Step::SignIn | Step::CreateAccount | Step::Reauthenticate => Step::Refuse(Refusal::LoginRequired),
        Step::ChooseAccount => Step::Refuse(Refusal::InteractionRequired),
        Step::Consent(_) => Step::Refuse(Refusal::ConsentRequired),
        Step::Issue | Step::Refuse(_) => step,
    }
}

fn next(request: &AuthorizationRequest, facts: &Facts<'_>) -> Step {
    let create = request.prompts(Prompt::Create);
    let Some(person) = facts.person else { return if create { Step::CreateAccount } else { Step::SignIn } };
    // Signed in for this very request: nothing fresher could be required.
    let fresh = person.session.auth_time >= facts.begun_at;
    if create && !fresh {
        return Step::CreateAccount;
    }
    if request.subjects.as_ref().is_some_and(|wished| !wished.contains(person.subject)) {
        return if fresh { Step::Refuse(Refusal::LoginRequired) } else { Step::SignIn };
    }
    if !fresh && (request.prompts(Prompt::Login) || is_too_old(request, person.session.auth_time, facts.begun_at)) {
        return Step::Reauthenticate;
    }
    if let Some(step) = acr(request, &person.session.acr, fresh) {
        return step;
    }
    if !person.may_use_client {
        return Step::Refuse(Refusal::NotAllowed);
    }
    let chosen = fresh || person.chosen;
    if request.prompts(Prompt::SelectAccount) && !chosen {
        return Step::ChooseAccount;
    }
    if let Some(new) = to_allow(request, facts) {
        return Step::Consent(new);
    }
    // Any program on the device could claim to be this client, so the person must confirm at least once (RFC 8252
    // §8.6).
    if is_local_program(request, facts.client) && !chosen && !facts.allowed_now {
        return Step::ChooseAccount;
    }
    Step::Issue
}

fn is_too_old(request: &AuthorizationRequest, auth_time: Time, begun_at: Time) -> bool {
    request.max_age.is_some_and(|seconds| begun_at - auth_time > Duration::seconds(seconds))
}

/// A requested `acr` is attempted once; if that fails, only an essential one is refused. The response always reports
/// the actual `acr`.
fn acr(request: &AuthorizationRequest, achieved: &str, fresh: bool) -> Option<Step> {
    let wish = &request.acr;
    if wish.values.is_empty() || wish.values.iter().any(|wanted| acr_reaches(achieved, wanted)) {
        return None;
    }
    let within_reach = wish.values.iter().any(|wanted| acr_reaches(HIGHEST_ACR, wanted));
    let may_ask = wish.essential || !request.prompts(Prompt::None);
    if within_reach && !fresh && may_ask {
        return Some(Step::Reauthenticate);
    }
    wish.essential.then_some(Step::Refuse(Refusal::Unmet))
}

fn is_local_program(request: &AuthorizationRequest, client: &Client) -> bool {
    client.definition.kind == ClientKind::Public && request.to.landing().is_local()
}

/// The scopes to ask consent for; `None` if no consent is needed.
fn to_allow(request: &AuthorizationRequest, facts: &Facts<'_>) -> Option<Scopes> {
    if facts.allowed_now {
        return None;
    }
    let nothing = Consent::default();
    let remembered = facts.remembered.unwrap_or(&nothing);
    let new: Scopes = request.scopes.iter().filter(|scope| !remembered.scopes.contains(scope)).collect();
    let fits = facts.remembered.is_some_and(|remembered| remembered.covers(request));
    let first_party = facts.client.definition.first_party;
    let ask = request.prompts(Prompt::Consent) || (!first_party && (!fits || is_local_program(request, facts.client)));
    ask.then_some(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::authorization::{AcrWish, ResponseMode, ReturnTo};
    use crate::domain::claims::RequestedClaims;
    use crate::domain::client::ClientDefinition;
    use crate::domain::id::Id;

    fn at(seconds: i64) -> Time {
        Time::UNIX_EPOCH + Duration::seconds(seconds)
    }

    /// The request arrives at 1000; the session was opened at 400.
    const BEGUN: i64 = 1000;

    fn session(auth_time: i64, acr: &str) -> Session {
        Session {
            id: Id::random(),
            user: Id::random(),
            client: None,
            passkey: None,
            acr: acr.into(),
            amr: vec![],
            credential_class: None,
            auth_time: at(auth_time),
            verified_at: at(auth_time),
            created_at: at(0),
            last_seen_at: at(auth_time),
            expires_at: at(9000),
            ends_at: at(9000),
            user_agent: None,
            address_class: None,
            hook_claims: serde_json::Map::new(),
        }
    }

    fn request() -> AuthorizationRequest {
        AuthorizationRequest {
            client: "app".into(),
            to: ReturnTo { redirect_uri: "https://app.example/cb".into(), mode: ResponseMode::Query, state: None },
            scopes: Scopes::parse("openid email").unwrap(),
            resources: vec![],
            prompts: BTreeSet::new(),
            max_age: None,
            challenge: None,
            nonce: None,
            requested: RequestedClaims::default(),
            acr: AcrWish::default(),
            object: None,
            subjects: None,
            login_hint: None,
            dpop_jkt: None,
        }
    }

    fn client(first_party: bool, kind: ClientKind) -> Client {
        Client {
            id: "app".into(),
            definition: ClientDefinition { kind, first_party, ..ClientDefinition::default() },
            secret: None,
            previous_secret: None,
            unverified_since: None,
        }
    }

    struct Case {
        request: AuthorizationRequest,
        client: Client,
        session: Option<Session>,
        remembered: Option<Consent>,
        chosen: bool,
        allowed_now: bool,
        may_use_client: bool,
    }

    /// A first-party web client, and a person who signed in a while ago.
    fn usual() -> Case {
        Case {
            request: request(),
            client: client(true, ClientKind::Confidential),
            session: Some(session(400, "phr")),
            remembered: None,
            chosen: false,
            allowed_now: false,
            may_use_client: true,
        }
    }

    fn third_party() -> Case {
        Case { client: client(false, ClientKind::Confidential), ..usual() }
    }

    fn native(first_party: bool) -> Case {
        let mut case = Case { client: client(first_party, ClientKind::Public), remembered: Some(all()), ..usual() };
        case.request.to.redirect_uri = "http://127.0.0.1:7000/cb".into();
        case
    }

    fn all() -> Consent {
        Consent { scopes: Scopes::parse("openid email").unwrap(), ..Consent::default() }
    }

    fn with(mut case: Case, change: impl FnOnce(&mut AuthorizationRequest)) -> Case {
        change(&mut case.request);
        case
    }

    fn prompt(case: Case, prompts: &[Prompt]) -> Case {
        with(case, |request| request.prompts = prompts.iter().copied().collect())
    }

    fn fresh(case: Case) -> Case {
        Case { session: Some(session(BEGUN, "phr")), ..case }
    }

    fn acr(case: Case, values: &[&str], essential: bool) -> Case {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        with(case, |request| request.acr = AcrWish { values, essential })
    }

    fn step(case: &Case) -> Step {
        let person = case.session.as_ref().map(|session| Person {
            session,
            subject: "u1",
            chosen: case.chosen,
            may_use_client: case.may_use_client,
        });
        decide(
            &case.request,
            &Facts {
                begun_at: at(BEGUN),
                client: &case.client,
                person,
                remembered: case.remembered.as_ref(),
                allowed_now: case.allowed_now,
            },
        )
    }

    fn scopes(text: &str) -> Scopes {
        Scopes::parse(text).unwrap()
    }

    #[test]
    fn signing_in() {
        use Prompt::{Create, Login, None as Silent};
        use Step::{CreateAccount, Issue, Reauthenticate, Refuse, SignIn};
        let nobody = || Case { session: None, ..usual() };
        let aged = |seconds| with(usual(), |request| request.max_age = Some(seconds));
        let about = |subject: &str| with(usual(), |request| request.subjects = Some([subject.to_owned()].into()));
        for (name, case, expected) in vec![
            ("nobody", nobody(), SignIn),
            ("nobody, silently", prompt(nobody(), &[Silent]), Refuse(Refusal::LoginRequired)),
            ("nobody, to create", prompt(nobody(), &[Create]), CreateAccount),
            ("somebody", usual(), Issue),
            ("somebody, silently", prompt(usual(), &[Silent]), Issue),
            ("somebody, to create", prompt(usual(), &[Create]), CreateAccount),
            ("created on the way", fresh(prompt(usual(), &[Create])), Issue),
            ("again", prompt(usual(), &[Login]), Reauthenticate),
            ("again, done", fresh(prompt(usual(), &[Login])), Issue),
            ("600 seconds ago, 600 will do", aged(600), Issue),
            ("600 seconds ago, 599 will do", aged(599), Reauthenticate),
            ("none will do", aged(0), Reauthenticate),
            ("none will do, done", fresh(aged(0)), Issue),
            ("too old, silently", prompt(aged(599), &[Silent]), Refuse(Refusal::LoginRequired)),
            ("the person meant", about("u1"), Issue),
            ("somebody else is meant", about("u2"), SignIn),
            ("somebody else is meant, silently", prompt(about("u2"), &[Silent]), Refuse(Refusal::LoginRequired)),
            ("somebody else signed in again", fresh(about("u2")), Refuse(Refusal::LoginRequired)),
            ("not in the group", Case { may_use_client: false, ..usual() }, Refuse(Refusal::NotAllowed)),
        ] {
            assert_eq!(step(&case), expected, "{name}");
        }
    }

    #[test]
    fn authentication_context() {
        use Step::{Issue, Reauthenticate, Refuse};
        let weak = |case: Case| Case { session: Some(session(400, "1")), ..case };
        let weak_fresh = |case: Case| Case { session: Some(session(BEGUN, "1")), ..case };
        let silent = |case: Case| prompt(case, &[Prompt::None]);
        for (name, case, expected) in vec![
            ("reached", acr(usual(), &["phr"], true), Issue),
            ("one of two reached", acr(usual(), &["urn:x", "1"], true), Issue),
            ("wished, within reach", weak(acr(usual(), &["phr"], false)), Reauthenticate),
            ("wished, within reach, silently", silent(weak(acr(usual(), &["phr"], false))), Issue),
            ("wished, tried for", weak_fresh(acr(usual(), &["phr"], false)), Issue),
            ("wished, unknown", acr(usual(), &["urn:x"], false), Issue),
            ("essential, within reach", weak(acr(usual(), &["phr"], true)), Reauthenticate),
            ("essential, silently", silent(weak(acr(usual(), &["phr"], true))), Refuse(Refusal::LoginRequired)),
            ("essential, tried for", weak_fresh(acr(usual(), &["phr"], true)), Refuse(Refusal::Unmet)),
            ("essential, unknown", acr(usual(), &["urn:x"], true), Refuse(Refusal::Unmet)),
            ("wished, attested", acr(usual(), &["phrh"], false), Issue),
            ("essential, attested", acr(usual(), &["phrh"], true), Refuse(Refusal::Unmet)),
            ("essential, attested, silently", silent(acr(usual(), &["phrh"], true)), Refuse(Refusal::Unmet)),
            ("essential, attested, tried for", fresh(acr(usual(), &["phrh"], true)), Refuse(Refusal::Unmet)),
        ] {
            assert_eq!(step(&case), expected, "{name}");
        }
    }

    #[test]
    fn choosing_and_allowing() {
        use Prompt::{Consent as Ask, None as Silent, SelectAccount};
        use Step::{ChooseAccount, Consent as Allow, Issue, Refuse};
        let remembered = || Case { remembered: Some(all()), ..third_party() };
        let wider = || with(remembered(), |request| request.scopes = scopes("openid email profile"));
        let resource = || with(remembered(), |request| request.resources = vec!["https://api.example".into()]);
        let claim = || with(remembered(), |request| request.requested.userinfo = ["phone_number".to_owned()].into());
        for (name, case, expected) in vec![
            ("choose", prompt(usual(), &[SelectAccount]), ChooseAccount),
            ("chosen", Case { chosen: true, ..prompt(usual(), &[SelectAccount]) }, Issue),
            ("signed in on the way", fresh(prompt(usual(), &[SelectAccount])), Issue),
            ("somebody else's app", third_party(), Allow(scopes("openid email"))),
            ("silently", prompt(third_party(), &[Silent]), Refuse(Refusal::ConsentRequired)),
            ("allowed now", Case { allowed_now: true, ..third_party() }, Issue),
            ("allowed before", remembered(), Issue),
            ("allowed before, silently", prompt(remembered(), &[Silent]), Issue),
            ("fewer than before", with(remembered(), |request| request.scopes = scopes("openid")), Issue),
            ("wider", wider(), Allow(scopes("profile"))),
            ("wider, silently", prompt(wider(), &[Silent]), Refuse(Refusal::ConsentRequired)),
            ("another resource", resource(), Allow(scopes(""))),
            ("another claim", claim(), Allow(scopes(""))),
            ("no scope, never allowed", with(third_party(), |request| request.scopes = scopes("")), Allow(scopes(""))),
            ("asked again", prompt(remembered(), &[Ask]), Allow(scopes(""))),
            ("our own app, asked", prompt(usual(), &[Ask]), Allow(scopes("openid email"))),
            ("a local program", native(false), Allow(scopes(""))),
            ("a local program, silently", prompt(native(false), &[Silent]), Refuse(Refusal::ConsentRequired)),
            ("a local program, allowed now", Case { allowed_now: true, ..native(false) }, Issue),
            ("our own local program", native(true), ChooseAccount),
            ("our own local program, pressed", Case { chosen: true, ..native(true) }, Issue),
            ("our own local program, signed in on the way", fresh(native(true)), Issue),
            ("our own local program, silently", prompt(native(true), &[Silent]), Refuse(Refusal::InteractionRequired)),
        ] {
            assert_eq!(step(&case), expected, "{name}");
        }
        let mut app = native(true);
        app.request.to.redirect_uri = "com.example.app:/cb".into();
        assert_eq!(step(&app), ChooseAccount, "a scheme that any app could claim");
        app.client.definition.kind = ClientKind::Confidential;
        assert_eq!(step(&app), Issue, "a client that proves itself");
    }
}
