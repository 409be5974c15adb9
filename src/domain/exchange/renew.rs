//! Refreshes the result of an exchange: the same rule is asked the same question again, about the same subject token.
//!
//! Invariant: a refresh never grants more than the rule would grant today, nor more than it granted at first.

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::{Actor, Asked, Granted, Issuer, Issues, MayAct, Refusal, Rule, Subject, SubjectKind, Wanted};
use crate::domain::client::Client;
use crate::domain::id::SessionId;
use crate::domain::scope::Scopes;

/// What a refresh token remembers of its exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The rule that allowed it.
    pub rule: String,
    /// Who signed the subject token.
    pub issuer: Issuer,
    /// Its kind.
    pub kind: SubjectKind,
    /// Its client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Its audience.
    pub audience: Vec<String>,
    /// Its scopes.
    pub scopes: Scopes,
    /// The actor that was already in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
    /// Who was allowed to act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_act: Option<MayAct>,
    /// The owner of the actor token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// The session of the actor, if that is a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_session: Option<SessionId>,
}

impl Origin {
    /// Records the subject token and the actor of an exchange.
    pub fn new(rule: &str, subject: &Subject, actor: Option<(&Actor, Option<SessionId>)>) -> Self {
        Self {
            rule: rule.to_owned(),
            issuer: subject.issuer.clone(),
            kind: subject.kind,
            client: subject.client.clone(),
            audience: subject.audience.clone(),
            scopes: subject.scopes.clone(),
            act: subject.act.clone(),
            may_act: subject.may_act.clone(),
            actor: actor.map(|(actor, _)| actor.clone()),
            actor_session: actor.and_then(|(_, session)| session),
        }
    }

    /// All clients of ours that acted, or to which the subject token was issued: if one of them is gone, the right
    /// ends.
    pub fn clients(&self) -> impl Iterator<Item = &str> {
        let acted = self.act.iter().flat_map(Actor::clients);
        acted.chain(self.client.as_deref().filter(|_| self.issuer == Issuer::Own))
    }

    /// Limits the origin to what is left of a subject token that itself came from an exchange.
    #[must_use]
    pub fn narrowed(&self, held: Option<&Granted>) -> Self {
        let Some(held) = held else { return self.clone() };
        let audience = self.audience.iter().filter(|one| held.audience.contains(one)).cloned().collect();
        Self { audience, scopes: self.scopes.granted_by(&held.scopes), ..self.clone() }
    }

    fn subject(&self) -> Subject {
        Subject {
            issuer: self.issuer.clone(),
            kind: self.kind,
            client: self.client.clone(),
            audience: self.audience.clone(),
            scopes: self.scopes.clone(),
            // The subject token may have expired: what it started lives with the session.
            left: Duration::MAX,
            act: self.act.clone(),
            may_act: self.may_act.clone(),
        }
    }
}

/// Decides what the rule of an exchange still grants of what it granted at first. Scopes and audiences no longer
/// granted are left out.
///
/// # Errors
/// [`Refusal`]: the rule is gone, or would refuse the exchange today, or no longer grants any of its audiences.
pub fn renew(
    rules: &[Rule],
    origin: &Origin,
    (client, issuer): (&Client, &str),
    (audience, scopes): (&[String], &Scopes),
) -> Result<Granted, Refusal> {
    let rule = rules.iter().find(|rule| rule.name == origin.rule).ok_or(Refusal::Client)?;
    let subject = origin.subject();
    let actor = origin.actor.as_ref();
    let wanted = Wanted::Own(Issues::RefreshToken);
    let given = audience.iter().filter_map(|one| rule.gives_audience(one, &subject, client));
    let targets: Vec<String> = given.map(ToOwned::to_owned).collect();
    super::decide::ensure(!targets.is_empty(), Refusal::Target)?;
    let asked = Asked { client, issuer, wanted: &wanted, targets: &targets, scopes: None, actor };
    let scopes = rule.still_given(&subject, &asked, scopes);
    rule.grant(&subject, &Asked { scopes: Some(&scopes), ..asked })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ISSUER, ORDERS, STOCK, actor, client, own, rule, scopes, subject};
    use super::super::{ActorRule, decide};
    use super::*;
    use crate::domain::client::{ClientKind, GrantType};

    /// A past exchange, and what may have changed since.
    struct Case {
        rule: Rule,
        client: Client,
        origin: Origin,
    }

    const GIVEN: &str = "new read";

    fn refreshing(kind: ClientKind) -> Client {
        let mut client = client("orders", kind);
        client.definition.grants = [GrantType::TokenExchange, GrantType::RefreshToken].into_iter().collect();
        client
    }

    fn case() -> Case {
        let rule = Rule { refreshable: true, ..rule() };
        let origin = Origin::new(&rule.name, &subject(), Some((&actor("agent"), None)));
        Case { rule, client: refreshing(ClientKind::Confidential), origin }
    }

    impl Case {
        fn renew(&self) -> Result<Granted, Refusal> {
            let given = (own(&[STOCK, ORDERS]), scopes(GIVEN));
            renew(std::slice::from_ref(&self.rule), &self.origin, (&self.client, ISSUER), (&given.0, &given.1))
        }
    }

    #[test]
    fn what_the_rule_still_gives_is_given_again() {
        let granted = case().renew().unwrap();
        assert_eq!((granted.audience, granted.scopes.to_string()), (own(&[STOCK, ORDERS]), GIVEN.to_owned()));
        assert_eq!(granted.life, Duration::minutes(5), "of the rule: the subject token may have ended");
        assert_eq!(granted.act, Some(actor("agent")));
        assert!(granted.refreshable && !granted.impersonates);
    }

    #[test]
    fn what_the_rule_gives_no_more_is_left_out() {
        let mut narrower = case();
        narrower.rule.new_scopes = Scopes::default();
        narrower.rule.audiences.clear();
        let granted = narrower.renew().unwrap();
        assert_eq!((granted.audience, granted.scopes.to_string()), (own(&[STOCK]), "read".to_owned()));
        let mut poorer = case();
        poorer.client.definition.scopes = scopes("new");
        assert_eq!(poorer.renew().unwrap().scopes.to_string(), "new", "the client has lost it");
        let mut wider = case();
        wider.rule.scopes = scopes("read write openid profile");
        assert_eq!(wider.renew().unwrap().scopes.to_string(), GIVEN, "what was not given at first is not given now");
    }

    #[test]
    fn refusals_by_name() {
        type Change = fn(&mut Case);
        let cases: [(&str, Change, Refusal); 15] = [
            ("the rule is gone", |c| c.rule.name = "other".into(), Refusal::Client),
            ("the client is no longer named", |c| c.rule.clients.clear(), Refusal::Client),
            ("another issuer", |c| c.rule.issuers.clear(), Refusal::Subject),
            ("another kind", |c| c.rule.subject_kinds.clear(), Refusal::Subject),
            ("no longer the API of the client", |c| c.rule.subject_audiences = own(&[STOCK]), Refusal::NotForClient),
            ("the client is public now", |c| c.client = refreshing(ClientKind::Public), Refusal::Public),
            ("refreshing is off", |c| c.rule.refreshable = false, Refusal::Kind),
            ("no access token comes out", |c| c.rule.issues.clear(), Refusal::Kind),
            ("the client has lost the grant", |c| c.client.definition.grants.clear(), Refusal::Kind),
            ("nobody may act", |c| c.rule.actor = ActorRule::Forbidden, Refusal::Actor),
            (
                "somebody must act",
                |c| {
                    c.rule.actor = ActorRule::Required;
                    c.origin.actor = None;
                },
                Refusal::Actor,
            ),
            (
                "may_act, remembered",
                |c| c.origin.may_act = Some(MayAct { sub: Some("x".into()), iss: None, client_id: None }),
                Refusal::MayAct,
            ),
            (
                "impersonation is off",
                |c| {
                    c.rule.impersonation = false;
                    c.origin.actor = None;
                },
                Refusal::Impersonation,
            ),
            (
                "a shorter chain",
                |c| {
                    c.rule.chain = 1;
                    c.origin.act = Some(actor("before"));
                },
                Refusal::Chain,
            ),
            (
                "no audience is left",
                |c| {
                    c.rule.audiences.clear();
                    c.rule.new_audiences.clear();
                },
                Refusal::Target,
            ),
        ];
        for (name, change, refusal) in cases {
            let mut case = case();
            change(&mut case);
            assert_eq!(case.renew().err(), Some(refusal), "{name}");
        }
    }

    #[test]
    fn only_a_refreshable_rule_gives_refresh_tokens_and_only_with_access_tokens() {
        let asked = |rule: &Rule, client: &Client, wanted: Wanted| {
            let (targets, actor) = (own(&[STOCK]), actor("agent"));
            let asked =
                Asked { client, issuer: ISSUER, wanted: &wanted, targets: &targets, scopes: None, actor: Some(&actor) };
            decide(std::slice::from_ref(rule), &subject(), &asked).map(|granted| granted.refreshable)
        };
        let (on, off) = (Rule { refreshable: true, ..rule() }, rule());
        let (may, may_not) = (refreshing(ClientKind::Confidential), client("orders", ClientKind::Confidential));
        let access = || Wanted::Own(Issues::AccessToken);
        let alone = || Wanted::Own(Issues::RefreshToken);
        assert_eq!(asked(&on, &may, access()), Ok(true));
        assert_eq!(asked(&on, &may, alone()), Ok(true));
        assert_eq!((asked(&on, &may_not, access()), asked(&off, &may, access())), (Ok(false), Ok(false)));
        for (rule, client) in [(&on, &may_not), (&off, &may)] {
            assert_eq!(asked(rule, client, alone()), Err(Refusal::Kind));
        }
    }

    #[test]
    fn nothing_is_left_that_the_exchange_before_does_not_give_any_more() {
        let case = case();
        let (audience, held) = (case.origin.audience.clone(), case.renew().unwrap());
        assert_eq!(case.origin.narrowed(None), case.origin);
        let read = case.origin.narrowed(Some(&Granted { audience: audience.clone(), scopes: scopes("read"), ..held }));
        assert_eq!((&read.audience, read.scopes.to_string()), (&audience, "read".to_owned()));
        let none =
            case.origin.narrowed(Some(&Granted { audience: own(&["https://x.example"]), ..case.renew().unwrap() }));
        assert!(none.audience.is_empty());
    }

    #[test]
    fn everybody_who_was_given_the_token_or_has_acted_counts() {
        let mut origin = case().origin;
        let foreign = Actor { iss: Some("https://x".into()), client_id: Some("x".into()), ..actor("x") };
        let before = Actor { client_id: Some("stock".into()), ..actor("stock") };
        origin.act = Some(foreign.after(Some(&before)));
        assert_eq!(origin.clients().collect::<Vec<_>>(), ["stock", "web"]);
        origin.issuer = Issuer::Trusted("partner".into());
        assert_eq!(origin.clients().collect::<Vec<_>>(), ["stock"], "a name of theirs is none of ours");
    }

    #[test]
    fn it_reads_as_it_was_written() {
        let origin = case().origin;
        let text = serde_json::to_string(&origin).unwrap();
        assert_eq!(serde_json::from_str::<Origin>(&text).unwrap(), origin);
    }
}
