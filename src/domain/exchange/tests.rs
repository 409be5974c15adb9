//! Every refusal by name, and property tests that chains of exchanges never gain rights.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::client::{Client, ClientDefinition, ClientKind};

pub(super) const ISSUER: &str = "https://id.example";
pub(super) const ORDERS: &str = "https://orders.example";
pub(super) const STOCK: &str = "https://stock.example";

pub(super) fn scopes(text: &str) -> Scopes {
    Scopes::parse(text).unwrap()
}

pub(super) fn client(id: &str, kind: ClientKind) -> Client {
    let all = scopes("openid profile read write new passkeys admin offline_access bridge:*");
    let definition = ClientDefinition { kind, scopes: all, ..ClientDefinition::default() };
    Client { id: id.to_owned(), definition, secret: None, previous_secret: None, unverified_since: None }
}

pub(super) fn own(values: &[&str]) -> Vec<String> {
    values.iter().map(|one| (*one).to_owned()).collect()
}

/// What an API's client may do with a token that an app sent to the API.
pub(super) fn rule() -> Rule {
    Rule {
        name: "orders".to_owned(),
        clients: own(&["orders", "spa"]),
        issuers: vec![Issuer::Own],
        subject_kinds: vec![SubjectKind::AccessToken],
        subject_audiences: own(&[ORDERS]),
        audiences: own(&[ORDERS, ISSUER]),
        new_audiences: own(&[STOCK]),
        scopes: scopes("openid read write passkeys admin offline_access"),
        new_scopes: scopes("new passkeys admin"),
        issues: vec![Issues::AccessToken, Issues::Jwt],
        bridges: own(&["fire"]),
        lifetime: Duration::minutes(5),
        actor: ActorRule::Allowed,
        impersonation: true,
        refreshable: false,
        chain: 3,
    }
}

pub(super) fn subject() -> Subject {
    Subject {
        issuer: Issuer::Own,
        kind: SubjectKind::AccessToken,
        client: Some("web".to_owned()),
        audience: own(&[ORDERS, "https://other.example"]),
        scopes: scopes("openid profile read passkeys admin offline_access"),
        left: Duration::minutes(3),
        act: None,
        may_act: None,
    }
}

pub(super) fn actor(sub: &str) -> Actor {
    Actor { sub: sub.to_owned(), iss: None, client_id: Some("orders".to_owned()), act: None }
}

/// One request, invalid in one place.
struct Case {
    rule: Rule,
    subject: Subject,
    client: Client,
    wanted: Wanted,
    targets: Vec<String>,
    scopes: Option<Scopes>,
    actor: Option<Actor>,
}

impl Case {
    fn new() -> Self {
        Self {
            rule: rule(),
            subject: subject(),
            client: client("orders", ClientKind::Confidential),
            wanted: Wanted::Own(Issues::AccessToken),
            targets: own(&[STOCK]),
            scopes: None,
            actor: Some(actor("agent")),
        }
    }

    fn decide(&self) -> Result<Granted, Refusal> {
        let asked = Asked {
            client: &self.client,
            issuer: ISSUER,
            wanted: &self.wanted,
            targets: &self.targets,
            scopes: self.scopes.as_ref(),
            actor: self.actor.as_ref(),
        };
        decide(std::slice::from_ref(&self.rule), &self.subject, &asked)
    }
}

fn spoilt(change: impl FnOnce(&mut Case)) -> Result<Granted, Refusal> {
    let mut case = Case::new();
    change(&mut case);
    case.decide()
}

fn chain(length: usize) -> Option<Actor> {
    (0..length).fold(None, |before, number| Some(actor(&format!("a{number}")).after(before.as_ref())))
}

#[test]
fn what_a_rule_allows_is_granted() {
    let granted = Case::new().decide().unwrap();
    assert_eq!(granted.rule, "orders");
    assert_eq!(granted.audience, [STOCK]);
    assert_eq!(granted.scopes.to_string(), "openid read", "what is about accounts stays, and so does the session");
    assert_eq!(granted.life, Duration::minutes(3), "never longer than what is left");
    assert_eq!(granted.act, Some(actor("agent")));
    assert!(!granted.impersonates && !granted.narrows_own);
    let longer = spoilt(|case| case.subject.left = Duration::hours(1)).unwrap();
    assert_eq!(longer.life, Duration::minutes(5), "never longer than the rule says");
    let new = spoilt(|case| case.scopes = Some(scopes("new read"))).unwrap();
    assert_eq!(new.scopes.to_string(), "new read");
    let kept = spoilt(|case| case.targets.clear()).unwrap();
    assert_eq!(kept.audience, [ORDERS], "without a target: what the subject token has and the rule lists");
    let twice = spoilt(|case| case.targets = own(&[STOCK, ORDERS, STOCK])).unwrap();
    assert_eq!(twice.audience, [STOCK, ORDERS]);
    let slashed = spoilt(|case| case.targets = vec![format!("{STOCK}/"), format!("{ORDERS}/"), STOCK.into()]).unwrap();
    assert_eq!(slashed.audience, [STOCK, ORDERS], "an origin with its slash is the same one");
}

type Change = Box<dyn FnOnce(&mut Case)>;

#[test]
#[expect(clippy::too_many_lines, reason = "one table of refusals")]
fn refusals_by_name() {
    use Refusal as R;
    let other = |sub: Option<&str>, client: Option<&str>, iss: Option<&str>| MayAct {
        sub: sub.map(ToOwned::to_owned),
        client_id: client.map(ToOwned::to_owned),
        iss: iss.map(ToOwned::to_owned),
    };
    let cases: Vec<(&str, Change, R)> = vec![
        ("another client", Box::new(|c| c.client.id = "Orders".into()), R::Client),
        (
            "a trusted issuer that is not listed",
            Box::new(|c| c.subject.issuer = Issuer::Trusted("x".into())),
            R::Subject,
        ),
        ("another kind", Box::new(|c| c.subject.kind = SubjectKind::IdToken), R::Subject),
        ("a foreign JWT", Box::new(|c| c.subject.kind = SubjectKind::Jwt), R::Subject),
        ("for another API", Box::new(|c| c.subject.audience = own(&[STOCK])), R::NotForClient),
        ("for nobody", Box::new(|c| c.subject.audience.clear()), R::NotForClient),
        ("not for the client, where no API is named", Box::new(|c| c.rule.subject_audiences.clear()), R::NotForClient),
        (
            "another's token of a public client",
            Box::new(|c| {
                c.client = client("spa", ClientKind::Public);
                c.actor = None;
            }),
            R::Public,
        ),
        (
            "a public client with an actor",
            Box::new(|c| {
                c.client = client("spa", ClientKind::Public);
                c.subject.client = Some("spa".into());
            }),
            R::Public,
        ),
        ("an ID token where none is given", Box::new(|c| c.wanted = Wanted::Own(Issues::IdToken)), R::Kind),
        ("another bridge", Box::new(|c| c.wanted = Wanted::Bridge("other".into())), R::Kind),
        ("an actor where none may be", Box::new(|c| c.rule.actor = ActorRule::Forbidden), R::Actor),
        (
            "no actor where one must be",
            Box::new(|c| {
                c.rule.actor = ActorRule::Required;
                c.actor = None;
            }),
            R::Actor,
        ),
        (
            "may_act: another subject",
            Box::new(move |c| c.subject.may_act = Some(other(Some("x"), None, None))),
            R::MayAct,
        ),
        (
            "may_act: another client",
            Box::new(move |c| c.subject.may_act = Some(other(Some("agent"), Some("x"), None))),
            R::MayAct,
        ),
        (
            "may_act: another issuer",
            Box::new(move |c| c.subject.may_act = Some(other(Some("agent"), None, Some("https://x")))),
            R::MayAct,
        ),
        (
            "nobody acts, and the right is missing",
            Box::new(|c| {
                c.rule.impersonation = false;
                c.actor = None;
            }),
            R::Impersonation,
        ),
        ("a chain as long as the rule's", Box::new(|c| c.subject.act = chain(3)), R::Chain),
        (
            "a rule beyond the hard end",
            Box::new(|c| {
                c.rule.chain = 99;
                c.subject.act = chain(LONGEST_CHAIN);
            }),
            R::Chain,
        ),
        ("an audience that is not listed", Box::new(|c| c.targets = own(&["https://x.example"])), R::Target),
        ("one beside a good one", Box::new(|c| c.targets.push("https://x.example".into())), R::Target),
        ("another spelling", Box::new(|c| c.targets = own(&["https://STOCK.example"])), R::Target),
        (
            "one that the subject token has and no rule lists",
            Box::new(|c| c.targets = own(&["https://other.example"])),
            R::Target,
        ),
        ("one that is listed as kept and not held", Box::new(|c| c.targets = own(&[ISSUER])), R::Target),
        (
            "no target, and nothing to keep",
            Box::new(|c| {
                c.targets.clear();
                c.rule.audiences.clear();
            }),
            R::Target,
        ),
        ("a custom token for somebody else", Box::new(|c| c.wanted = Wanted::Bridge("fire".into())), R::Target),
        ("a scope that is not held", Box::new(|c| c.scopes = Some(scopes("write"))), R::Scope),
        ("a scope that no rule lists", Box::new(|c| c.scopes = Some(scopes("profile"))), R::Scope),
        ("a scope beside a good one", Box::new(|c| c.scopes = Some(scopes("read profile"))), R::Scope),
        ("the scope of passkeys", Box::new(|c| c.scopes = Some(scopes("passkeys"))), R::Scope),
        ("a scope of administration", Box::new(|c| c.scopes = Some(scopes("admin"))), R::Scope),
        ("a longer session", Box::new(|c| c.scopes = Some(scopes("offline_access"))), R::Scope),
        (
            "a scope that is not the client's",
            Box::new(|c| {
                c.client.definition.scopes = scopes("openid");
                c.scopes = Some(scopes("read"));
            }),
            R::Scope,
        ),
        (
            "an ID token without openid",
            Box::new(|c| {
                c.rule.issues.push(Issues::IdToken);
                c.wanted = Wanted::Own(Issues::IdToken);
                c.targets.clear();
                c.scopes = Some(scopes("read"));
            }),
            R::Scope,
        ),
    ];
    for (name, change, refusal) in cases {
        assert_eq!(spoilt(change), Err(refusal), "{name}");
    }
    let asked = Case::new();
    let request = Asked {
        client: &asked.client,
        issuer: ISSUER,
        wanted: &asked.wanted,
        targets: &asked.targets,
        scopes: None,
        actor: None,
    };
    assert_eq!(decide(&[], &asked.subject, &request), Err(R::Client), "no rule at all");
}

#[test]
fn an_identity_assertion_is_for_one_server_and_of_the_clients_own_id_token() {
    let asked = |change: fn(&mut Case)| {
        spoilt(|case| {
            case.rule.issues = vec![Issues::IdJag];
            case.rule.subject_kinds = vec![SubjectKind::IdToken, SubjectKind::AccessToken];
            case.rule.subject_audiences.clear();
            case.subject.kind = SubjectKind::IdToken;
            case.subject.client = Some("orders".into());
            case.subject.scopes = Scopes::default();
            case.wanted = Wanted::Own(Issues::IdJag);
            case.actor = None;
            change(case);
        })
    };
    let granted = asked(|_| {}).unwrap();
    assert_eq!((granted.audience, granted.act), (own(&[STOCK]), None));
    assert_eq!(asked(|case| case.subject.kind = SubjectKind::AccessToken), Err(Refusal::Subject));
    assert_eq!(asked(|case| case.actor = Some(actor("agent"))), Err(Refusal::Subject));
    assert_eq!(asked(|case| case.targets.clear()), Err(Refusal::Target));
    assert_eq!(asked(|case| case.targets.push(ORDERS.into())), Err(Refusal::Target));
    assert_eq!(asked(|case| case.targets = own(&["https://x.example"])), Err(Refusal::Target));
    assert_eq!(asked(|case| case.targets = vec![format!("{STOCK}/")]), Err(Refusal::Target), "another issuer");
}

#[test]
fn a_client_that_goes_on_alone_is_written_down() {
    let granted = spoilt(|case| {
        case.actor = None;
        case.subject.act = chain(1);
    })
    .unwrap();
    assert!(granted.impersonates);
    let expected = json!({ "sub": "orders", "client_id": "orders", "act": { "sub": "a0", "client_id": "orders" } });
    assert_eq!(serde_json::to_value(granted.act).unwrap(), expected, "the newest outermost");
}

#[test]
fn a_public_client_narrows_its_own_and_gains_nothing() {
    let own_token = |change: fn(&mut Case)| {
        spoilt(|case| {
            case.client = client("spa", ClientKind::Public);
            case.subject.client = Some("spa".into());
            case.subject.act = chain(2);
            case.rule.subject_audiences.clear();
            case.rule.impersonation = false;
            case.targets.clear();
            case.actor = None;
            change(case);
        })
    };
    let granted = own_token(|_| {}).unwrap();
    assert!(granted.narrows_own && !granted.impersonates);
    assert_eq!(granted.act, chain(2), "who acts is kept, and nobody added");
    assert_eq!(own_token(|case| case.scopes = Some(scopes("passkeys"))).unwrap().scopes.to_string(), "passkeys");
    assert_eq!(own_token(|case| case.scopes = Some(scopes("new"))), Err(Refusal::Scope));
    assert_eq!(own_token(|case| case.targets = own(&[STOCK])), Err(Refusal::Target));
    let custom = own_token(|case| case.wanted = Wanted::Bridge("fire".into())).unwrap();
    assert!(!custom.scopes.contains("bridge:fire"), "the scope of the bridge must be its own");
}

#[test]
fn what_a_client_gains_on_its_own_token_is_not_only_narrowed() {
    let own_token = |targets: &[&str], wanted: &str| {
        spoilt(|case| {
            case.subject.client = Some("orders".into());
            case.targets = own(targets);
            case.scopes = Some(scopes(wanted));
            case.actor = None;
        })
        .unwrap()
    };
    for (name, targets, wanted, narrows) in [
        ("what it had", &[ORDERS][..], "read", true),
        ("another audience", &[ORDERS, STOCK], "read", false),
        ("another scope", &[ORDERS], "read new", false),
    ] {
        let granted = own_token(targets, wanted);
        assert_eq!((granted.narrows_own, granted.impersonates, granted.act), (narrows, false, None), "{name}");
    }
}

#[test]
fn a_custom_token_has_the_scope_that_its_rule_gives() {
    let granted = spoilt(|case| {
        case.wanted = Wanted::Bridge("fire".into());
        case.targets = own(&["fire"]);
    })
    .unwrap();
    assert_eq!((granted.audience, granted.scopes.to_string()), (own(&["fire"]), "bridge:fire openid read".to_owned()));
}

#[test]
fn a_foreign_token_is_for_us_or_for_the_client() {
    let foreign = |audience: &[&str], may_act: Option<MayAct>| {
        spoilt(|case| {
            case.rule.issuers = vec![Issuer::Trusted("partner".into())];
            case.rule.subject_kinds = vec![SubjectKind::Jwt];
            case.rule.subject_audiences.clear();
            case.subject.issuer = Issuer::Trusted("partner".into());
            case.subject.kind = SubjectKind::Jwt;
            // A name from the issuer's own list of clients, which means nothing here.
            case.subject.client = Some("orders".into());
            case.subject.audience = own(audience);
            case.subject.scopes = Scopes::default();
            case.subject.may_act = may_act;
        })
    };
    assert!(foreign(&[ISSUER], None).is_ok());
    assert!(foreign(&["orders"], None).is_ok());
    assert_eq!(foreign(&["https://x"], None), Err(Refusal::NotForClient));
    let named = MayAct { sub: Some("agent".into()), iss: None, client_id: None };
    assert!(foreign(&["https://x"], Some(named)).is_ok());
}

#[test]
fn actors_are_read_strictly() {
    for broken in [
        json!(null),
        json!("agent"),
        json!([]),
        json!({}),
        json!({ "sub": 7 }),
        json!({ "sub": "" }),
        json!({ "sub": "a", "act": "b" }),
        json!({ "sub": "a", "act": { "client_id": "b" } }),
        json!({ "sub": "a", "act": { "sub": "" } }),
    ] {
        assert_eq!(Actor::read(&broken), Err(ActorFault), "{broken}");
    }
    for broken in [json!(null), json!("agent"), json!({}), json!({ "iss": "x" }), json!({ "sub": ["a"] })] {
        assert_eq!(MayAct::read(&broken), Err(ActorFault), "{broken}");
    }
    let nested = json!({ "sub": "a", "act": { "sub": "b", "act": { "sub": "c" } } });
    assert_eq!(Actor::read(&nested).unwrap().depth(), 3);
}

const CLIENTS: [&str; 4] = ["a", "b", "c", "d"];
const AUDIENCES: [&str; 4] = ["a", "b", "c", ISSUER];
const SCOPES: [&str; 6] = ["openid", "read", "write", "passkeys", "admin", "offline_access"];

fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    proptest::sample::subsequence(of, 0..=of.len()).prop_map(|list| own(&list))
}

fn rules() -> impl Strategy<Value = Rule> {
    let lists = (some(&CLIENTS), some(&AUDIENCES), some(&AUDIENCES), some(&AUDIENCES));
    let rights = (some(&SCOPES), some(&SCOPES), 1..600_i64, any::<bool>(), 0..9_usize, 0..3_u8);
    (lists, rights).prop_map(|((clients, from, audiences, new), (kept, added, life, impersonation, chain, actor))| {
        Rule {
            name: "r".to_owned(),
            clients,
            issuers: vec![Issuer::Own],
            subject_kinds: vec![SubjectKind::AccessToken],
            subject_audiences: from,
            audiences,
            new_audiences: new,
            scopes: kept.iter().map(String::as_str).collect(),
            new_scopes: added.iter().map(String::as_str).collect(),
            issues: vec![Issues::AccessToken],
            bridges: Vec::new(),
            lifetime: Duration::seconds(life),
            actor: [ActorRule::Forbidden, ActorRule::Allowed, ActorRule::Required][usize::from(actor)],
            impersonation,
            refreshable: false,
            chain,
        }
    })
}

/// The client, whether it is public, whether there is an actor, targets, scopes, and the seconds since the last
/// attempt.
type Hop = (usize, bool, bool, Vec<String>, Option<Vec<String>>, i64);

fn hops() -> impl Strategy<Value = Vec<Hop>> {
    let asked =
        (0..4_usize, any::<bool>(), any::<bool>(), some(&AUDIENCES), proptest::option::of(some(&SCOPES)), 0..60_i64);
    proptest::collection::vec(asked, 10)
}

proptest! {
    /// Security rule 108: in ten hops under any rules, nothing is gained that no rule grants as new, the expiry stays
    /// the same, and scopes for accounts never leave their client.
    #[test]
    fn chains_of_ten_never_gain(rules in proptest::collection::vec(rules(), 1..6), hops in hops()) {
        let first = Subject {
            client: Some("a".to_owned()),
            audience: own(&["a", "b", ISSUER]),
            scopes: scopes("openid read passkeys admin offline_access"),
            left: Duration::seconds(500),
            ..subject()
        };
        let new_scopes: Vec<&str> = rules.iter().flat_map(|rule| rule.new_scopes.iter()).collect();
        let new_audiences: Vec<&String> = rules.iter().flat_map(|rule| &rule.new_audiences).collect();
        let (mut held, mut moved, mut passed) = (first.clone(), false, 0);
        for (who, public, acts, targets, wanted, seconds) in hops {
            passed += seconds;
            held.left -= Duration::seconds(seconds);
            if held.left <= Duration::zero() {
                break;
            }
            let kind = if public { ClientKind::Public } else { ClientKind::Confidential };
            let by = client(CLIENTS[who], kind);
            let acting = acts.then(|| Actor { client_id: Some(by.id.clone()), ..actor("agent") });
            let wanted = wanted.map(|list| list.iter().map(String::as_str).collect::<Scopes>());
            let asked = Asked {
                client: &by,
                issuer: ISSUER,
                wanted: &Wanted::Own(Issues::AccessToken),
                targets: &targets,
                scopes: wanted.as_ref(),
                actor: acting.as_ref(),
            };
            let Ok(granted) = decide(&rules, &held, &asked) else { continue };
            prop_assert!(granted.life <= held.left);
            prop_assert!(granted.life.num_seconds() + passed <= 500, "the end never moves away");
            for scope in granted.scopes.iter() {
                prop_assert!(held.scopes.contains(scope) || (new_scopes.contains(&scope) && !public));
                prop_assert!(scope != "offline_access");
            }
            for audience in &granted.audience {
                prop_assert!(held.audience.contains(audience) || (new_audiences.contains(&audience) && !public));
            }
            prop_assert!(!granted.audience.is_empty());
            let depth = granted.act.as_ref().map_or(0, Actor::depth);
            prop_assert!(depth <= LONGEST_CHAIN);
            moved |= acts || held.client.as_deref() != Some(&by.id);
            prop_assert!(!(moved && granted.narrows_own) || held.client.as_deref() == Some(&by.id));
            if moved {
                prop_assert!(depth > 0, "who goes on with another's token is written down for good");
                prop_assert!(!granted.scopes.iter().any(stays_with_its_client));
            }
            held = Subject {
                client: Some(by.id.clone()),
                audience: granted.audience,
                scopes: granted.scopes,
                left: granted.life,
                act: granted.act,
                ..held
            };
        }
    }
}
