//! Hooks that are asked before somebody is signed in: they allow or deny it, and add claims to the tokens.
//!
//! What must always hold: a hook is asked after the passkey was verified and before anything is written, while no
//! database connection is held; an invalid answer is a failure, and a failure denies the sign-in unless that hook is
//! configured otherwise. A hook that denies has the last word, whatever others answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::answer::{self, Answer};
use super::event::id;
use super::webhooks::Sender;
use crate::clock::Time;
use crate::domain::audit::{Event, Provenance};
use crate::domain::user::User;
use crate::domain::webhook::Endpoint;
use crate::web::error::{Failure, Kind};

/// A fixed name for the log and the metrics.
const PURPOSE: &str = "hook";

/// What happens if a hook fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The sign-in is refused.
    Deny,
    /// The hook is ignored.
    Allow,
}

/// A hook that is asked.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Its URL and secret.
    pub endpoint: Endpoint,
    /// Its time limit.
    pub within: Duration,
    /// What happens if it fails.
    pub on_failure: OnFailure,
    /// Only sign-ins for these clients, and those whose client is not known yet. Empty: all.
    pub clients: Vec<String>,
}

/// A sign-in that is about to be written.
#[derive(Clone, Copy, Debug)]
pub struct SignIn<'a> {
    /// The person who signs in.
    pub user: &'a User,
    /// Whether this sign-in creates their account.
    pub is_new: bool,
    /// Their groups.
    pub groups: &'a [String],
    /// The client. `None` for our own pages, from which every client can be reached.
    pub client: Option<&'a str>,
    /// What the sign-in results in: `session`, `tokens`, `bridge`.
    pub result: &'a str,
    /// The method: `passkey`, `trusted_issuer`.
    pub method: &'static str,
    /// Authentication context class reference.
    pub acr: &'a str,
    /// Authentication method references.
    pub amr: &'a [&'static str],
    /// Our own claim about the passkey, if there is one.
    pub credential_class: Option<&'a str>,
    /// Where the request came from.
    pub origin: &'a Provenance,
    /// The time of the sign-in.
    pub now: Time,
}

impl SignIn<'_> {
    fn body(&self, endpoint: &Endpoint) -> Vec<u8> {
        let mut user = json!({ "id": self.user.id, "isNew": self.is_new, "groups": self.groups });
        if endpoint.personal_data {
            user["email"] = json!(self.user.email);
            user["emailVerified"] = self.user.email_verified_at.is_some().into();
            user["name"] = json!(self.user.name);
        }
        let data = json!({
            "user": user, "clientId": self.client, "result": self.result, "method": self.method, "acr": self.acr, "amr": self.amr,
            "credentialClass": self.credential_class, "addressClass": self.origin.address_class,
            "userAgent": self.origin.user_agent, "requestId": self.origin.request_id,
        });
        json!({ "type": "sign_in.before", "timestamp": self.now, "data": data }).to_string().into_bytes()
    }
}

/// The result of hooks that allow a sign-in.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// The claims that they add to the tokens.
    pub claims: Map<String, Value>,
    /// The hooks that failed, and whose failure is ignored.
    pub failed: Vec<String>,
}

impl Passed {
    /// Records in the audit event which hooks should have been asked but failed.
    pub fn note_failed(&self, event: &mut Event) {
        if !self.failed.is_empty() {
            event.detail["failedHooks"] = json!(self.failed);
        }
    }
}

/// Why a sign-in is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A hook denies it.
    #[error("the hook `{hook}` denied it")]
    Denied {
        /// Its name.
        hook: String,
        /// Its message for the person.
        message: Option<String>,
    },
    /// A hook failed.
    #[error("the hook `{hook}` failed: {why}")]
    Failed {
        /// Its name.
        hook: String,
        /// What happened.
        why: String,
    },
}

/// The message of a hook is for the person. As an `error_description` it must be ASCII (RFC 6749 §5.2).
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let Refusal::Denied { message, .. } = &refusal else { return Self::unavailable(refusal) };
        let is_plain = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        let plain = message.as_deref().filter(|words| words.chars().all(is_plain));
        let failure = Self::new(Kind::SignInDenied, plain.unwrap_or("This sign-in is not allowed.").to_owned());
        let failure = match message {
            Some(words) => failure.with("message", json!(words)),
            None => failure,
        };
        failure.because(refusal)
    }
}

/// The configured hooks.
pub struct BeforeSignIn {
    hooks: Vec<(Arc<Hook>, Sender)>,
}

impl BeforeSignIn {
    /// The configured hooks, each with a sender of its own.
    pub fn new(hooks: Vec<Hook>, sender: &Sender) -> Self {
        let hooks: Vec<_> = hooks.into_iter().map(Arc::new).collect();
        Self { hooks: sender.apart_for(&hooks) }
    }

    /// The hooks for a client. Without a client all are asked: somebody who is signed in on our own pages can go on to
    /// any client without being asked again.
    fn of(&self, client: Option<&str>) -> impl Iterator<Item = &(Arc<Hook>, Sender)> {
        self.hooks.iter().filter(move |(hook, _)| {
            hook.clients.is_empty() || client.is_none_or(|client| hook.clients.iter().any(|one| one == client))
        })
    }

    /// Whether any hook is asked about sign-ins for this client.
    pub fn are_asked(&self, client: Option<&str>) -> bool {
        self.of(client).next().is_some()
    }

    /// Asks all hooks at the same time.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn ask(&self, sign_in: &SignIn<'_>) -> Result<Passed, Refusal> {
        let mut asked = JoinSet::new();
        for (place, (hook, sender)) in self.of(sign_in.client).enumerate() {
            let (hook, sender) = (Arc::clone(hook), sender.clone());
            let (body, now) = (sign_in.body(&hook.endpoint), sign_in.now);
            asked.spawn_local(async move { (place, ask_one(&hook, &sender, body, now).await, hook) });
        }
        let mut answers = asked.join_all().await;
        // In the order of their names, so that the outcome does not depend on which one was faster.
        answers.sort_by_key(|(place, ..)| *place);
        judge(answers.into_iter().map(|(_, answer, hook)| (hook, answer)).collect())
    }
}

async fn ask_one(hook: &Hook, sender: &Sender, body: Vec<u8>, now: Time) -> Result<Answer, String> {
    let id = id(&sender.issuer, &crate::random::uuid().to_string());
    let sent = sender.ask(&hook.endpoint, (&id, body), PURPOSE, (hook.within, now)).await;
    let answer = sent.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("it answered with status {}", answer.status));
    }
    answer::read(answer.media_type.as_deref(), &answer.body).map_err(ToOwned::to_owned)
}

fn judge(answers: Vec<(Arc<Hook>, Result<Answer, String>)>) -> Result<Passed, Refusal> {
    let mut passed = Passed::default();
    let mut failure = None;
    for (hook, answer) in answers {
        let name = &hook.endpoint.name;
        let why = match answer {
            Ok(Answer::Deny(message)) => {
                count("denied");
                return Err(Refusal::Denied { hook: name.clone(), message });
            }
            Ok(Answer::Allow(claims)) if claims.keys().any(|claim| passed.claims.contains_key(claim)) => {
                "it adds a claim that another hook adds".to_owned()
            }
            Ok(Answer::Allow(claims)) => {
                let mut all = passed.claims.clone();
                all.extend(claims);
                if !answer::is_too_large(&all) {
                    count("allowed");
                    passed.claims = all;
                    continue;
                }
                "its claims and those of hooks before it are larger than 1,000 bytes".to_owned()
            }
            Err(why) => why,
        };
        count("failed");
        tracing::warn!(hook = name, why, "a hook failed");
        match hook.on_failure {
            OnFailure::Allow => passed.failed.push(name.clone()),
            OnFailure::Deny => failure = failure.or(Some(Refusal::Failed { hook: name.clone(), why })),
        }
    }
    failure.map_or(Ok(passed), Err)
}

fn count(outcome: &'static str) {
    metrics::counter!("passmint_hooks_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(name: &str, on_failure: OnFailure) -> Arc<Hook> {
        let endpoint = Endpoint { name: name.into(), url: String::new(), secrets: vec![], personal_data: false };
        Arc::new(Hook { endpoint, within: Duration::ZERO, on_failure, clients: vec![] })
    }

    fn allow(claim: &str) -> Answer {
        Answer::Allow([(claim.to_owned(), Value::from(1))].into_iter().collect())
    }

    #[test]
    fn one_that_denies_has_the_last_word() {
        let (deny, open) = (OnFailure::Deny, OnFailure::Allow);
        let denied = || Err::<Passed, _>(Refusal::Denied { hook: "c".into(), message: None });
        let failed = |hook: &str, why: &str| Refusal::Failed { hook: hook.into(), why: why.into() };
        let no = || Ok(Answer::Deny(None));
        let judged = |answers| judge(answers).map(|passed| (passed.claims.len(), passed.failed));
        let broken = || Err("x".to_owned());
        assert_eq!(judged(vec![]), Ok((0, vec![])));
        assert_eq!(judged(vec![(hook("a", deny), Ok(allow("p"))), (hook("b", deny), Ok(allow("q")))]), Ok((2, vec![])));
        assert_eq!(
            judged(vec![(hook("a", open), broken()), (hook("b", deny), Ok(allow("q")))]),
            Ok((1, vec!["a".into()]))
        );
        assert_eq!(judged(vec![(hook("a", deny), broken()), (hook("b", deny), Ok(allow("q")))]), Err(failed("a", "x")));
        let all = vec![(hook("a", deny), broken()), (hook("b", open), Ok(allow("q"))), (hook("c", open), no())];
        assert_eq!(judge(all).unwrap_err(), denied().unwrap_err());
        let same = judged(vec![(hook("a", deny), Ok(allow("p"))), (hook("b", deny), Ok(allow("p")))]);
        assert_eq!(same, Err(failed("b", "it adds a claim that another hook adds")));
        let large = |claim: &str| Ok(Answer::Allow([(claim.to_owned(), "x".repeat(600).into())].into_iter().collect()));
        let both = |on_failure| judged(vec![(hook("a", deny), large("p")), (hook("b", on_failure), large("q"))]);
        assert_eq!(both(open), Ok((1, vec!["b".into()])));
        assert_eq!(both(deny), Err(failed("b", "its claims and those of hooks before it are larger than 1,000 bytes")));
    }

    #[test]
    fn a_hook_of_some_clients_is_asked_about_them_and_where_the_client_is_not_known_yet() {
        let of = |clients: &[&str]| {
            let clients = clients.iter().map(|client| (*client).to_owned()).collect();
            let hook = Hook { clients, ..(*hook("a", OnFailure::Deny)).clone() };
            let sender =
                Sender { outbound: crate::outbound::Outbound::new(false, None).unwrap(), issuer: String::new() };
            BeforeSignIn::new(vec![hook], &sender)
        };
        assert!(of(&[]).are_asked(None) && of(&[]).are_asked(Some("web")));
        assert!(of(&["web"]).are_asked(Some("web")) && of(&["web"]).are_asked(None));
        assert!(!of(&["web"]).are_asked(Some("other")));
    }
}
