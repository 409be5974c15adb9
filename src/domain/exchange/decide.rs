//! The decision itself.

use chrono::Duration;

use super::{
    Actor, ActorRule, Issuer, Issues, LONGEST_CHAIN, LONGEST_TRANSACTION, Rule, Subject, SubjectKind, Wanted,
    stays_with_its_client,
};
use crate::domain::audience::known_as;
use crate::domain::client::{Client, ClientKind, GrantType};
use crate::domain::scope::Scopes;

const TRANSACTION: Wanted = Wanted::Own(Issues::TxnToken);

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks, authenticated as it must be.
    pub client: &'a Client,
    /// Our issuer URL.
    pub issuer: &'a str,
    /// What is to come out.
    pub wanted: &'a Wanted,
    /// Audiences and resources, by name.
    pub targets: &'a [String],
    /// Scopes, where it names any.
    pub scopes: Option<&'a Scopes>,
    /// The actor token's owner, verified; it was given to this client.
    pub actor: Option<&'a Actor>,
}

/// What may be issued. The life is the longest; the client or the resource may want a shorter one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "what was decided is what must be issued"]
pub struct Granted {
    /// The rule that allowed it.
    pub rule: String,
    /// Whom the token is for.
    pub audience: Vec<String>,
    /// Its scopes.
    pub scopes: Scopes,
    /// Its longest life.
    pub life: Duration,
    /// Who acts in it.
    pub act: Option<Actor>,
    /// Whether the client goes on in the person's name without an actor token.
    pub impersonates: bool,
    /// Whether the token stays with the client it was given to, and has nothing that it had not.
    pub narrows_own: bool,
    /// Whether a refresh token comes along, or alone.
    pub refreshable: bool,
}

/// Why nothing may be issued; the later, the more of a rule did fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// No rule names the client.
    #[error("no rule names this client")]
    Client,
    /// No rule of the client is for tokens of this issuer and kind.
    #[error("no rule of this client takes such a subject token")]
    Subject,
    /// The subject token is not for this client, nor is the client its own, nor named by `may_act`.
    #[error("the subject token is not for this client")]
    NotForClient,
    /// A public client narrows its own tokens and does nothing else.
    #[error("a public client may only narrow its own tokens")]
    Public,
    /// No rule gives such a token.
    #[error("no rule gives such a token")]
    Kind,
    /// An actor where none may be, or none where one must be.
    #[error("the rule wants it with or without an actor token")]
    Actor,
    /// `may_act` names somebody else.
    #[error("the subject token names another actor in may_act")]
    MayAct,
    /// Without an actor token the client would be the person, and it may not.
    #[error("this client may not go on in a person's name without an actor token")]
    Impersonation,
    /// Too many actors.
    #[error("the chain of actors is too long")]
    Chain,
    /// An audience that is not listed, or none.
    #[error("an audience is not allowed, or none is left")]
    Target,
    /// A scope that is not listed, not held, or not the client's.
    #[error("a scope is not allowed")]
    Scope,
}

/// Asks every rule in turn. The first that allows the request decides; otherwise the refusal of the one that came nearest.
///
/// # Errors
/// [`Refusal`].
pub fn decide(rules: &[Rule], subject: &Subject, asked: &Asked<'_>) -> Result<Granted, Refusal> {
    let mut nearest = Refusal::Client;
    for rule in rules {
        match rule.grant(subject, asked) {
            Ok(granted) => return Ok(granted),
            Err(refusal) => nearest = nearest.max(refusal),
        }
    }
    Err(nearest)
}

pub(super) fn ensure(holds: bool, otherwise: Refusal) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(otherwise) }
}

impl Rule {
    pub(super) fn grant(&self, subject: &Subject, asked: &Asked<'_>) -> Result<Granted, Refusal> {
        let client = asked.client;
        ensure(self.clients.contains(&client.id), Refusal::Client)?;
        let is_listed = self.issuers.contains(&subject.issuer) && self.subject_kinds.contains(&subject.kind);
        ensure(is_listed, Refusal::Subject)?;
        let own = is_own(subject, &client.id);
        ensure(self.is_entitled(subject, asked, own), Refusal::NotForClient)?;
        let is_transaction = *asked.wanted == TRANSACTION;
        // Whoever asks for a transaction token is written into it, also for a token of its own.
        let stays = own && asked.actor.is_none() && !is_transaction;
        ensure(is_confidential(client) || stays, Refusal::Public)?;
        ensure(self.gives(asked), Refusal::Kind)?;
        if *asked.wanted == Wanted::Own(Issues::IdJag) {
            // It says that the person signed in to this very client.
            ensure(stays && subject.kind == SubjectKind::IdToken, Refusal::Subject)?;
            ensure(asked.targets.len() == 1, Refusal::Target)?;
        }
        if is_transaction || subject.kind == SubjectKind::TxnToken {
            ensure(is_transaction && tells_scopes(subject), Refusal::Subject)?;
        }
        let (act, impersonates) = self.acting(subject, asked, stays)?;
        let audience = self.audience(subject, asked)?;
        let scopes = self.scopes(subject, asked, stays)?;
        let longest = if is_transaction { LONGEST_TRANSACTION.min(self.lifetime) } else { self.lifetime };
        let life = longest.min(subject.left);
        let widens = audience.iter().any(|one| !subject.audience.contains(one)) || !scopes.is_subset(&subject.scopes);
        let narrows_own = stays && !widens;
        let is_access = matches!(asked.wanted, Wanted::Own(Issues::AccessToken | Issues::Jwt | Issues::RefreshToken));
        let refreshable = is_access && self.refreshes(client);
        Ok(Granted { rule: self.name.clone(), audience, scopes, life, act, impersonates, narrows_own, refreshable })
    }

    /// Whether the client has any business with the subject token: it is for the client, was given to it, or names it.
    fn is_entitled(&self, subject: &Subject, asked: &Asked<'_>, own: bool) -> bool {
        if !self.subject_audiences.is_empty() {
            return subject.audience.iter().any(|audience| self.subject_audiences.contains(audience));
        }
        let is_for = |name: &str| subject.audience.iter().any(|audience| audience == name);
        let named = || subject.may_act.as_ref().is_some_and(|may| may.permits(&acting_party(asked), asked.issuer));
        // What a trusted issuer made for us was made to be exchanged here.
        let for_us = subject.issuer != Issuer::Own && is_for(asked.issuer);
        own || is_for(&asked.client.id) || for_us || named()
    }

    fn gives(&self, asked: &Asked<'_>) -> bool {
        match asked.wanted {
            Wanted::Own(Issues::RefreshToken) => self.refreshes(asked.client),
            Wanted::Own(kind) => self.issues.contains(kind),
            Wanted::Bridge(name) => self.bridges.contains(name),
        }
    }

    /// Whether what the client gets may be refreshed: by a client that proves who it is, and has the grant for it.
    fn refreshes(&self, client: &Client) -> bool {
        let is_access = self.issues.iter().any(|kind| matches!(kind, Issues::AccessToken | Issues::Jwt));
        self.refreshable && is_access && is_confidential(client) && client.may_use(GrantType::RefreshToken).is_ok()
    }

    /// Who acts in the new token. A client that goes on with another's token without an actor token is written down itself.
    fn acting(&self, subject: &Subject, asked: &Asked<'_>, stays: bool) -> Result<(Option<Actor>, bool), Refusal> {
        match (self.actor, asked.actor) {
            (ActorRule::Forbidden, Some(_)) | (ActorRule::Required, None) => return Err(Refusal::Actor),
            _ => {}
        }
        if stays {
            return Ok((subject.act.clone(), false));
        }
        let acting = acting_party(asked);
        let permitted = subject.may_act.as_ref().is_none_or(|may| may.permits(&acting, asked.issuer));
        ensure(permitted, Refusal::MayAct)?;
        // Nobody can be anybody by a transaction token: it opens nothing.
        let impersonates = asked.actor.is_none() && *asked.wanted != TRANSACTION;
        ensure(!impersonates || self.impersonation, Refusal::Impersonation)?;
        let act = acting.after(subject.act.as_ref());
        ensure(act.depth() <= self.chain.min(LONGEST_CHAIN), Refusal::Chain)?;
        Ok((Some(act), impersonates))
    }

    fn audience(&self, subject: &Subject, asked: &Asked<'_>) -> Result<Vec<String>, Refusal> {
        let targets = asked.targets;
        match asked.wanted {
            // An ID token tells the client itself who somebody is, and a custom token has the audience of its bridge.
            Wanted::Own(Issues::IdToken) => {
                ensure(targets.iter().all(|one| *one == asked.client.id), Refusal::Target)?;
                return Ok(vec![asked.client.id.clone()]);
            }
            Wanted::Bridge(name) => {
                ensure(targets.iter().all(|one| one == name), Refusal::Target)?;
                return Ok(vec![name.clone()]);
            }
            Wanted::Own(Issues::TxnToken) => {
                let [domain] = targets else { return Err(Refusal::Target) };
                let stays = subject.kind != SubjectKind::TxnToken || subject.audience.contains(domain);
                ensure(stays && self.new_audiences.contains(domain), Refusal::Target)?;
                return Ok(vec![domain.clone()]);
            }
            Wanted::Own(Issues::AccessToken | Issues::Jwt | Issues::IdJag | Issues::RefreshToken) => {}
        }
        if targets.is_empty() {
            let kept: Vec<String> =
                subject.audience.iter().filter(|one| self.audiences.contains(one)).cloned().collect();
            ensure(!kept.is_empty(), Refusal::Target)?;
            return Ok(kept);
        }
        let mut audience: Vec<String> = Vec::new();
        for target in targets {
            let one = self.gives_audience(target, subject, asked.client).ok_or(Refusal::Target)?;
            // Another server is named by its issuer, byte for byte.
            ensure(one == target.as_str() || *asked.wanted != Wanted::Own(Issues::IdJag), Refusal::Target)?;
            if !audience.iter().any(|known| known == one) {
                audience.push(one.to_owned());
            }
        }
        Ok(audience)
    }

    /// The rule's own name for what the new token may be for: it is kept, or new.
    pub(super) fn gives_audience(&self, target: &str, subject: &Subject, client: &Client) -> Option<&str> {
        let known = self.audiences.iter().chain(&self.new_audiences).map(String::as_str);
        let one = known_as(known, target)?;
        let has = |names: &[String]| names.iter().any(|name| name == one);
        let kept = has(&self.audiences) && has(&subject.audience);
        (kept || (has(&self.new_audiences) && is_confidential(client))).then_some(one)
    }

    /// What was asked for, all of it or nothing; without a word of it, what the subject token has and may pass on.
    fn scopes(&self, subject: &Subject, asked: &Asked<'_>, stays: bool) -> Result<Scopes, Refusal> {
        let bridge = bridge_scope(asked.wanted);
        let may_have = |scope: &str| self.gives_scope(scope, subject, asked, stays);
        let scopes = match asked.scopes {
            Some(wanted) => {
                ensure(wanted.iter().all(may_have), Refusal::Scope)?;
                wanted.clone()
            }
            None => subject.scopes.iter().chain(bridge.as_deref()).filter(|scope| may_have(scope)).collect(),
        };
        let is_id_token = *asked.wanted == Wanted::Own(Issues::IdToken);
        ensure(!is_id_token || scopes.contains("openid"), Refusal::Scope)?;
        ensure(*asked.wanted != TRANSACTION || !scopes.is_empty(), Refusal::Scope)?;
        Ok(scopes)
    }

    /// What the rule still gives of scopes that it gave once.
    pub(super) fn still_given(&self, subject: &Subject, asked: &Asked<'_>, scopes: &Scopes) -> Scopes {
        let stays = is_own(subject, &asked.client.id) && asked.actor.is_none();
        scopes.iter().filter(|scope| self.gives_scope(scope, subject, asked, stays)).collect()
    }

    fn gives_scope(&self, scope: &str, subject: &Subject, asked: &Asked<'_>, stays: bool) -> bool {
        let kept = subject.scopes.contains(scope) && self.scopes.grants(scope);
        // The scope of the bridge itself is what the rule grants by naming the bridge.
        let new = self.new_scopes.grants(scope) || bridge_scope(asked.wanted).as_deref() == Some(scope);
        // A transaction token never says more than the token that it is asked for with.
        let new = new && is_confidential(asked.client) && *asked.wanted != TRANSACTION;
        // A session cannot be prolonged by an exchange.
        let is_apart = scope == "offline_access" || (stays_with_its_client(scope) && !(stays && kept));
        (kept || new) && asked.client.definition.scopes.grants(scope) && !is_apart
    }
}

fn bridge_scope(wanted: &Wanted) -> Option<String> {
    match wanted {
        Wanted::Bridge(name) => Some(format!("bridge:{name}")),
        Wanted::Own(_) => None,
    }
}

/// Whether it is known what may be done by the token; where it is not, that is not everything.
const fn tells_scopes(subject: &Subject) -> bool {
    matches!((&subject.issuer, subject.kind), (Issuer::Own, SubjectKind::AccessToken | SubjectKind::TxnToken))
}

fn is_confidential(client: &Client) -> bool {
    client.definition.kind == ClientKind::Confidential
}

/// Whether the token was given to this very client by us.
fn is_own(subject: &Subject, client: &str) -> bool {
    subject.issuer == Issuer::Own
        && matches!(subject.kind, SubjectKind::AccessToken | SubjectKind::IdToken)
        && subject.client.as_deref() == Some(client)
}

/// The actor token's owner, or without one the client.
fn acting_party(asked: &Asked<'_>) -> Actor {
    asked.actor.cloned().unwrap_or_else(|| Actor::client(&asked.client.id))
}
