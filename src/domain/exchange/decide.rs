//! Decides whether a token may be exchanged.

use chrono::Duration;

use super::{
    Actor, ActorRule, Issuer, Issues, LONGEST_CHAIN, LONGEST_TRANSACTION, Rule, Subject, SubjectKind, Wanted,
    stays_with_its_client,
};
use crate::domain::audience::known_as;
use crate::domain::client::{Client, ClientKind, GrantType};
use crate::domain::scope::Scopes;

const TRANSACTION: Wanted = Wanted::Own(Issues::TxnToken);

/// A client's request for an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The client, properly authenticated.
    pub client: &'a Client,
    /// Our issuer URL.
    pub issuer: &'a str,
    /// The requested token.
    pub wanted: &'a Wanted,
    /// Audiences and resources, by name.
    pub targets: &'a [String],
    /// The requested scopes, if any.
    pub scopes: Option<&'a Scopes>,
    /// The verified owner of the actor token, which was issued to this client.
    pub actor: Option<&'a Actor>,
}

/// What may be issued. The client or the resource may set a shorter life.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "what was decided is what must be issued"]
pub struct Granted {
    /// The rule that allowed it.
    pub rule: String,
    /// The token's audience.
    pub audience: Vec<String>,
    /// Its scopes.
    pub scopes: Scopes,
    /// Its longest life.
    pub life: Duration,
    /// The actor in it.
    pub act: Option<Actor>,
    /// Whether the client acts as the person without an actor token.
    pub impersonates: bool,
    /// Whether the token stays with the client it was issued to and gains nothing.
    pub narrows_own: bool,
    /// Whether a refresh token is issued with it, or alone.
    pub refreshable: bool,
}

/// Why nothing may be issued. The later the variant, the more of a rule matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// No rule names the client.
    #[error("no rule names this client")]
    Client,
    /// None of the client's rules covers this issuer and kind of token.
    #[error("no rule of this client takes such a subject token")]
    Subject,
    /// The subject token is neither for this client, nor issued to it, nor naming it in `may_act`.
    #[error("the subject token is not for this client")]
    NotForClient,
    /// A public client may only narrow its own tokens.
    #[error("a public client may only narrow its own tokens")]
    Public,
    /// No rule issues this kind of token.
    #[error("no rule gives such a token")]
    Kind,
    /// An actor token where the rule forbids one, or none where it requires one.
    #[error("the rule wants it with or without an actor token")]
    Actor,
    /// `may_act` names a different actor.
    #[error("the subject token names another actor in may_act")]
    MayAct,
    /// Without an actor token the client would act as the person, which the rule does not allow.
    #[error("this client may not go on in a person's name without an actor token")]
    Impersonation,
    /// The chain of actors is too long.
    #[error("the chain of actors is too long")]
    Chain,
    /// An audience is not listed, or none is left.
    #[error("an audience is not allowed, or none is left")]
    Target,
    /// A scope is not listed, not in the subject token, or not allowed for the client.
    #[error("a scope is not allowed")]
    Scope,
}

/// Tries every rule in turn. The first one that allows the request decides; otherwise the refusal that came closest is
/// returned.
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
        // A transaction token always names the client that requested it, even in exchange for the client's own token.
        let stays = own && asked.actor.is_none() && !is_transaction;
        ensure(is_confidential(client) || stays, Refusal::Public)?;
        ensure(self.gives(asked), Refusal::Kind)?;
        if *asked.wanted == Wanted::Own(Issues::IdJag) {
            // The assertion states that the person signed in to this very client.
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

    /// Whether the client may use the subject token: it is for the client, was issued to it, or names it.
    fn is_entitled(&self, subject: &Subject, asked: &Asked<'_>, own: bool) -> bool {
        if !self.subject_audiences.is_empty() {
            return subject.audience.iter().any(|audience| self.subject_audiences.contains(audience));
        }
        let is_for = |name: &str| subject.audience.iter().any(|audience| audience == name);
        let named = || subject.may_act.as_ref().is_some_and(|may| may.permits(&acting_party(asked), asked.issuer));
        // A trusted issuer's token with us as its audience was made to be exchanged here.
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

    /// Whether the client may refresh the result: it must be confidential and have the grant.
    fn refreshes(&self, client: &Client) -> bool {
        let is_access = self.issues.iter().any(|kind| matches!(kind, Issues::AccessToken | Issues::Jwt));
        self.refreshable && is_access && is_confidential(client) && client.may_use(GrantType::RefreshToken).is_ok()
    }

    /// The actor of the new token. A client that uses another's token without an actor token becomes the actor itself.
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
        // A transaction token grants no access, so it cannot be used to impersonate.
        let impersonates = asked.actor.is_none() && *asked.wanted != TRANSACTION;
        ensure(!impersonates || self.impersonation, Refusal::Impersonation)?;
        let act = acting.after(subject.act.as_ref());
        ensure(act.depth() <= self.chain.min(LONGEST_CHAIN), Refusal::Chain)?;
        Ok((Some(act), impersonates))
    }

    fn audience(&self, subject: &Subject, asked: &Asked<'_>) -> Result<Vec<String>, Refusal> {
        let targets = asked.targets;
        match asked.wanted {
            // An ID token is for the client itself, and a custom token has the audience of its bridge.
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
            // Another server is identified by its issuer, byte for byte.
            ensure(one == target.as_str() || *asked.wanted != Wanted::Own(Issues::IdJag), Refusal::Target)?;
            if !audience.iter().any(|known| known == one) {
                audience.push(one.to_owned());
            }
        }
        Ok(audience)
    }

    /// The rule's own name for an audience that the new token may have, whether kept or new.
    pub(super) fn gives_audience(&self, target: &str, subject: &Subject, client: &Client) -> Option<&str> {
        let known = self.audiences.iter().chain(&self.new_audiences).map(String::as_str);
        let one = known_as(known, target)?;
        let has = |names: &[String]| names.iter().any(|name| name == one);
        let kept = has(&self.audiences) && has(&subject.audience);
        (kept || (has(&self.new_audiences) && is_confidential(client))).then_some(one)
    }

    /// The requested scopes, all or nothing; without a request, the subject token's scopes that may be passed on.
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

    /// Which of the scopes that the rule once granted it still grants.
    pub(super) fn still_given(&self, subject: &Subject, asked: &Asked<'_>, scopes: &Scopes) -> Scopes {
        let stays = is_own(subject, &asked.client.id) && asked.actor.is_none();
        scopes.iter().filter(|scope| self.gives_scope(scope, subject, asked, stays)).collect()
    }

    fn gives_scope(&self, scope: &str, subject: &Subject, asked: &Asked<'_>, stays: bool) -> bool {
        let kept = subject.scopes.contains(scope) && self.scopes.grants(scope);
        // Naming a bridge in the rule also grants the bridge's own scope.
        let new = self.new_scopes.grants(scope) || bridge_scope(asked.wanted).as_deref() == Some(scope);
        // A transaction token never has more scopes than the token it is requested with.
        let new = new && is_confidential(asked.client) && *asked.wanted != TRANSACTION;
        // An exchange must not extend a session.
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

/// Whether the token's scopes are known. If they are not, it must not count as having all of them.
const fn tells_scopes(subject: &Subject) -> bool {
    matches!((&subject.issuer, subject.kind), (Issuer::Own, SubjectKind::AccessToken | SubjectKind::TxnToken))
}

fn is_confidential(client: &Client) -> bool {
    client.definition.kind == ClientKind::Confidential
}

/// Whether we issued the token to this very client.
fn is_own(subject: &Subject, client: &str) -> bool {
    subject.issuer == Issuer::Own
        && matches!(subject.kind, SubjectKind::AccessToken | SubjectKind::IdToken)
        && subject.client.as_deref() == Some(client)
}

/// The owner of the actor token, or the client if there is none.
fn acting_party(asked: &Asked<'_>) -> Actor {
    asked.actor.cloned().unwrap_or_else(|| Actor::client(&asked.client.id))
}
