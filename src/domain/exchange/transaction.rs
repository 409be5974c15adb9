//! The context of a transaction in its token (draft-ietf-oauth-transaction-tokens-10): the context of the request
//! (`rctx`) and its details (`tctx`), as stated by the first requester.
//!
//! Invariants: a replacement adds to them and changes nothing; they contain no token.

use chrono::Duration;
use serde_json::{Map, Value};

use crate::domain::json::depth;

/// The longest life of a transaction token: one call and the calls that it causes.
pub const LONGEST_LIFE: Duration = Duration::minutes(5);
/// The largest size of each object, in bytes of compact JSON: the token travels in a header of every call.
pub const LARGEST: usize = 2048;
/// The deepest nesting, including the object itself.
pub const DEEPEST: usize = 8;

/// The context that a transaction token carries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Context of the request: `rctx`.
    pub context: Map<String, Value>,
    /// Details of the transaction: `tctx`.
    pub details: Map<String, Value>,
}

/// Why the context is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToldFault {
    /// Not a single JSON object with unique member names.
    #[error("it is no JSON object, or has a member twice")]
    Malformed,
    /// Too large or too deep.
    #[error("it is larger than {LARGEST} bytes, or nested deeper than {DEEPEST}")]
    TooLarge,
    /// It contains a token, which every workload that sees it could use.
    #[error("it holds the token that is exchanged")]
    HoldsToken,
    /// A replacement changes an existing member.
    #[error("it changes what the transaction token says already")]
    Changes,
}

impl Told {
    /// Adds this context to the earlier one, without changing anything in it.
    ///
    /// # Errors
    /// [`ToldFault`]; `secret` is the token being exchanged.
    pub fn after(self, before: &Self, secret: &str) -> Result<Self, ToldFault> {
        Ok(Self {
            context: added(self.context, &before.context, secret)?,
            details: added(self.details, &before.details, secret)?,
        })
    }
}

fn added(new: Map<String, Value>, before: &Map<String, Value>, secret: &str) -> Result<Map<String, Value>, ToldFault> {
    if new.iter().any(|(name, value)| before.get(name).is_some_and(|old| old != value)) {
        return Err(ToldFault::Changes);
    }
    let mut all = before.clone();
    all.extend(new);
    let value = Value::Object(all);
    if value.to_string().len() > LARGEST || depth(&value) > DEEPEST {
        return Err(ToldFault::TooLarge);
    }
    if holds(&value, secret) {
        return Err(ToldFault::HoldsToken);
    }
    match value {
        Value::Object(all) => Ok(all),
        _ => Err(ToldFault::Malformed),
    }
}

fn holds(value: &Value, secret: &str) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| name.contains(secret) || holds(value, secret)),
        Value::Array(items) => items.iter().any(|item| holds(item, secret)),
        Value::String(text) => text.contains(secret),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ISSUER, ORDERS, STOCK, actor, client, own, rule, scopes, subject};
    use super::super::{Actor, Asked, Granted, Issuer, Issues, Refusal, Rule, Subject, SubjectKind, Wanted, decide};
    use super::*;
    use crate::domain::client::{Client, ClientKind};
    use crate::domain::scope::Scopes;
    use serde_json::json;

    const DOMAIN: &str = "shop.internal";

    /// One request of a gateway, invalid in one place.
    struct Case {
        rule: Rule,
        subject: Subject,
        client: Client,
        wanted: Issues,
        targets: Vec<String>,
        scopes: Option<Scopes>,
        actor: Option<Actor>,
    }

    fn case() -> Case {
        let rule = Rule {
            subject_kinds: vec![SubjectKind::AccessToken, SubjectKind::TxnToken],
            subject_audiences: own(&[ORDERS, DOMAIN]),
            new_audiences: own(&[DOMAIN, STOCK]),
            issues: vec![Issues::TxnToken, Issues::AccessToken],
            impersonation: false,
            lifetime: Duration::hours(1),
            ..rule()
        };
        Case {
            rule,
            subject: subject(),
            client: client("orders", ClientKind::Confidential),
            wanted: Issues::TxnToken,
            targets: own(&[DOMAIN]),
            scopes: Some(scopes("read")),
            actor: None,
        }
    }

    /// The same transaction's token, as another workload holds it.
    fn replaced() -> Case {
        let subject = Subject {
            kind: SubjectKind::TxnToken,
            client: None,
            audience: own(&[DOMAIN]),
            scopes: scopes("openid read"),
            left: Duration::seconds(40),
            act: Some(Actor::client("gateway")),
            ..subject()
        };
        Case { subject, ..case() }
    }

    impl Case {
        fn decide(&self) -> Result<Granted, Refusal> {
            let wanted = Wanted::Own(self.wanted);
            let asked = Asked {
                client: &self.client,
                issuer: ISSUER,
                wanted: &wanted,
                targets: &self.targets,
                scopes: self.scopes.as_ref(),
                actor: self.actor.as_ref(),
            };
            decide(std::slice::from_ref(&self.rule), &self.subject, &asked)
        }
    }

    #[test]
    fn whoever_asks_is_written_down_and_nobody_is_impersonated() {
        let granted = case().decide().unwrap();
        assert_eq!((granted.audience, granted.scopes.to_string()), (own(&[DOMAIN]), "read".to_owned()));
        assert_eq!(
            (granted.act, granted.impersonates, granted.refreshable),
            (Some(Actor::client("orders")), false, false)
        );
        assert_eq!(granted.life, Duration::minutes(3), "what is left");
        let longer = Subject { left: Duration::hours(1), ..subject() };
        assert_eq!(Case { subject: longer, ..case() }.decide().unwrap().life, LONGEST_LIFE);
        let its_own = Subject { client: Some("orders".into()), ..subject() };
        let granted = Case { subject: its_own, ..case() }.decide().unwrap();
        assert_eq!((granted.act, granted.narrows_own), (Some(Actor::client("orders")), false));
        let again = replaced().decide().unwrap();
        assert_eq!(again.act, Some(Actor::client("orders").after(Some(&Actor::client("gateway")))));
        assert_eq!(again.life, Duration::seconds(40), "a replacement lives no longer");
    }

    #[test]
    fn refusals_by_name() {
        type Change = fn(&mut Case);
        type Row = (&'static str, fn() -> Case, Change, Refusal);
        let cases: [Row; 17] = [
            ("not given", case, |c| c.rule.issues = vec![Issues::AccessToken], Refusal::Kind),
            ("another client", case, |c| c.client.id = "x".into(), Refusal::Client),
            ("a public client", case, |c| c.client = client("orders", ClientKind::Public), Refusal::Public),
            (
                "a trusted issuer's token, whose scopes nobody knows",
                case,
                |c| {
                    c.subject.issuer = Issuer::Trusted("x".into());
                    c.rule.issuers.push(Issuer::Trusted("x".into()));
                },
                Refusal::Subject,
            ),
            (
                "an ID token, which has no scopes",
                case,
                |c| {
                    c.subject.kind = SubjectKind::IdToken;
                    c.rule.subject_kinds.push(SubjectKind::IdToken);
                },
                Refusal::Subject,
            ),
            ("another API's token", case, |c| c.subject.audience = own(&[STOCK]), Refusal::NotForClient),
            ("no trust domain", case, |c| c.targets.clear(), Refusal::Target),
            ("two of them", case, |c| c.targets = own(&[DOMAIN, STOCK]), Refusal::Target),
            ("another one", case, |c| c.targets = own(&["other.internal"]), Refusal::Target),
            ("one that would only be kept", case, |c| c.targets = own(&[ORDERS]), Refusal::Target),
            ("a scope that the token has not", case, |c| c.scopes = Some(scopes("new")), Refusal::Scope),
            ("no scope", case, |c| c.scopes = Some(Scopes::default()), Refusal::Scope),
            (
                "an actor token",
                case,
                |c| {
                    c.rule.actor = super::super::ActorRule::Forbidden;
                    c.actor = Some(actor("agent"));
                },
                Refusal::Actor,
            ),
            ("a replacement elsewhere", replaced, |c| c.targets = own(&[STOCK]), Refusal::Target),
            ("a replacement with more scopes", replaced, |c| c.scopes = Some(scopes("read write")), Refusal::Scope),
            ("an access token for one", replaced, |c| c.wanted = Issues::AccessToken, Refusal::Subject),
            ("too many replacements", replaced, |c| c.rule.chain = 1, Refusal::Chain),
        ];
        for (name, case, change, refusal) in cases {
            let mut case = case();
            change(&mut case);
            assert_eq!(case.decide().err(), Some(refusal), "{name}");
        }
    }

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(members) = value else { unreachable!() };
        members
    }

    fn told(details: Value) -> Told {
        Told { details: object(details), context: object(json!({ "req_ip": "192.0.2.1" })) }
    }

    #[test]
    fn a_replacement_adds_and_changes_nothing() {
        let first = told(json!({ "action": "BUY", "n": { "a": [1] } })).after(&Told::default(), "secret").unwrap();
        assert_eq!(first, told(json!({ "action": "BUY", "n": { "a": [1] } })));
        let more = told(json!({ "level": "VIP", "action": "BUY" })).after(&first, "secret").unwrap();
        assert_eq!(more.details, object(json!({ "action": "BUY", "n": { "a": [1] }, "level": "VIP" })));
        assert_eq!(Told::default().after(&first, "secret").unwrap(), first, "nothing new");
        for (name, change) in [("another value", json!({ "action": "SELL" })), ("within", json!({ "n": { "a": [] } }))]
        {
            assert_eq!(told(change).after(&first, "secret"), Err(ToldFault::Changes), "{name}");
        }
        let elsewhere = Told { context: object(json!({ "req_ip": "192.0.2.9" })), details: Map::new() };
        assert_eq!(elsewhere.after(&first, "secret"), Err(ToldFault::Changes));
    }

    #[test]
    fn it_is_small_and_holds_no_token() {
        let nested = |levels: usize| (1..levels).fold(json!({ "x": 1 }), |inner, _| json!({ "x": inner }));
        let alone = |details| told(details).after(&Told::default(), "secret").map(|_| ());
        let long = "x".repeat(LARGEST);
        for (name, details, verdict) in [
            ("the deepest", nested(DEEPEST), Ok(())),
            ("deeper", nested(DEEPEST + 1), Err(ToldFault::TooLarge)),
            ("deeper in lists", json!({ "x": [[[[[[[[1]]]]]]]] }), Err(ToldFault::TooLarge)),
            ("the largest", json!({ "x": &long[8..] }), Ok(())),
            ("larger", json!({ "x": &long[7..] }), Err(ToldFault::TooLarge)),
            ("the token", json!({ "x": [{ "y": "Bearer secret" }] }), Err(ToldFault::HoldsToken)),
            ("the token as a name", json!({ "secret": 1 }), Err(ToldFault::HoldsToken)),
        ] {
            assert_eq!(alone(details), verdict, "{name}");
        }
        // The limit applies to existing and added members together.
        let half = "x".repeat(LARGEST / 2);
        let first = told(json!({ "a": half })).after(&Told::default(), "secret").unwrap();
        assert_eq!(told(json!({ "b": half })).after(&first, "secret"), Err(ToldFault::TooLarge));
    }
}
