use chrono::Duration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::PresetKind as P;
use super::*;
use crate::bridge::facts::Facts;
use crate::bridge::spec::{Algorithm, BridgeDefinition, KeySource, KidPolicy, Typ};
use crate::bridge::testing::firebase_spec;
use crate::bridge::{Bridge, Denied, Key, RenderError, nkey, sample};
use crate::domain::exchange::Actor;

/// The preset's example with another value at one place of what is written, or without it (`null`).
fn changed(kind: PresetKind, place: &[&str], value: &Value) -> BridgeDefinition {
    let mut definition = example::definition(kind).unwrap();
    match place {
        ["subject"] => definition.subject = value.as_str().map(ToOwned::to_owned),
        ["audience"] => definition.audience = value.as_str().map(ToOwned::to_owned),
        ["issuer"] => definition.issuer = value.as_str().map(ToOwned::to_owned),
        ["algorithm"] => definition.algorithm = value.as_str().and_then(Algorithm::parse),
        ["url"] => definition.url = value.as_str().map(ToOwned::to_owned),
        ["bearer_audience"] => definition.bearer_audience = value.as_str().map(ToOwned::to_owned),
        ["typ"] => definition.typ = value.as_str().and_then(Typ::parse),
        ["kid"] => definition.kid = value.as_str().map(KidPolicy::read),
        ["lifetime"] => definition.lifetime = value.as_i64().map(Duration::seconds),
        ["inputs"] => definition.inputs = value.clone(),
        ["key"] => definition.material = None,
        path => put(&mut definition.claims, path, value.clone()),
    }
    definition
}

fn put(claims: &mut Value, path: &[&str], value: Value) {
    let mut at = claims;
    for name in path {
        if at.is_null() {
            *at = json!({});
        }
        at = &mut at[*name];
    }
    *at = value;
}

fn refusal(definition: BridgeDefinition) -> String {
    match Bridge::new(definition) {
        Ok(_) => "accepted".to_owned(),
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    }
}

#[test]
fn every_example_is_a_bridge_that_mints_for_every_sample_it_wants() {
    for kind in PresetKind::ALL.iter().copied().filter(|kind| kind.about().page != "firebase") {
        let bridge = example::bridge(kind).unwrap_or_else(|mistakes| panic!("{}: {mistakes}", kind.as_str()));
        let token = example::token(&bridge).unwrap_or_else(|mistake| panic!("{}: {mistake}", kind.as_str()));
        let endless = matches!(kind, P::Pusher | P::Instantdb);
        assert_eq!(token.expires_in >= 10, !endless, "{}", kind.as_str());
        for (place, _, text) in bridge.other_side(example::SERVER) {
            for hole in ["{jwks_url}", "{issuer}", "{audience}", "{algorithm}", "{name}", "{server}"] {
                assert!(!text.contains(hole), "{}, {place}: {hole} is not filled", kind.as_str());
            }
        }
    }
}

#[test]
fn unverified_presets_need_a_word_that_says_so() {
    let mut count = 0;
    for kind in PresetKind::ALL.iter().copied() {
        let is_unverified = matches!(kind.about().verified, about::Verified::Unverified(_));
        count += usize::from(is_unverified);
        if kind.about().page == "firebase" {
            continue;
        }
        let definition = BridgeDefinition { allow_unverified: false, ..example::definition(kind).unwrap() };
        assert_eq!(Bridge::new(definition).is_err(), is_unverified, "{}", kind.as_str());
    }
    assert!(count > 0, "the test has something to try");
}

/// What each preset's example makes for the first sample user, header and claims: written down once, looked at, and never
/// changed by accident. Firebase's are beside its own rules.
#[test]
fn every_preset_has_its_golden_token() {
    let golden: Value = serde_json::from_str(include_str!("golden.json")).unwrap();
    let kinds = || PresetKind::ALL.iter().copied().filter(|kind| kind.about().page != "firebase");
    for kind in kinds() {
        let made = example::token(&example::bridge(kind).unwrap()).unwrap();
        let mut wanted = json!({ "claims": made.claims });
        if kind.rules().way().is_token() {
            wanted["header"] = made.header.to_json(Some("…"));
        }
        assert_eq!(golden[kind.as_str()], wanted, "{}", kind.as_str());
    }
    assert_eq!(golden.as_object().unwrap().len(), kinds().count(), "none too many");
}

#[test]
fn the_golden_supabase_token() {
    let bridge = example::bridge(PresetKind::SupabaseThirdParty).unwrap();
    let token = example::token(&bridge).unwrap();
    let facts = sample::full(&[]);
    assert_eq!(token.header.to_json(Some("k")), json!({ "alg": "ES256", "typ": "JWT", "kid": "k" }));
    assert_eq!(
        token.claims,
        json!({
            "iss": "https://id.example.com", "sub": facts.user.id, "aud": "authenticated", "iat": 1_767_225_600,
            "exp": 1_767_226_200, "jti": "00000000-0000-0000-0000-000000000000", "role": "authenticated", "aal": "aal2",
            "session_id": facts.session.id, "is_anonymous": false,
            "app_metadata": { "groups": ["staff", "editors"] },
        })
    );
    let password = bridge.render(&sample::bare(), sample::moment(), Uuid::nil()).unwrap();
    assert_eq!(password.claims["aal"], "aal1", "no passkey, no second level");
    assert_eq!(token.claims.get("email"), None, "no more than the target asks for");
}

#[test]
fn the_golden_hasura_and_rabbitmq_tokens() {
    let token = |kind| example::token(&example::bridge(kind).unwrap()).unwrap().claims;
    let id = sample::full(&[]).user.id;
    assert_eq!(
        token(PresetKind::Nhost)["https://hasura.io/jwt/claims"],
        json!({ "x-hasura-default-role": "user", "x-hasura-allowed-roles": ["user", "me"], "x-hasura-user-id": id,
                "x-hasura-user-is-anonymous": "false" })
    );
    assert_eq!(
        token(PresetKind::RabbitmqMqtt)["scope"],
        json!([
            format!("rabbitmq.configure:%2F/mqtt-subscription-{id}*"),
            format!("rabbitmq.write:%2F/mqtt-subscription-{id}*/*"),
            format!("rabbitmq.read:%2F/mqtt-subscription-{id}*/*"),
            format!("rabbitmq.write:%2F/amq.topic/{id}.*"),
            format!("rabbitmq.read:%2F/amq.topic/{id}.*"),
        ])
    );
}

/// The account's key is the seed of sevens; the user's key is derived from it and is the same at every minting.
#[test]
fn the_golden_nats_token() {
    let bridge = example::bridge(PresetKind::NatsUser).unwrap();
    let token = example::token(&bridge).unwrap();
    let id = sample::full(&[]).user.id;
    assert_eq!(token.header.to_json(Some("k")), json!({ "alg": "ed25519-nkey", "typ": "JWT" }));
    let claims = &token.claims;
    assert!(claims["iss"].as_str().is_some_and(|issuer| issuer.starts_with('A') && issuer.len() == 56), "{claims}");
    assert!(claims["sub"].as_str().is_some_and(|user| user.starts_with('U') && user.len() == 56), "{claims}");
    assert_eq!((&claims["name"], &claims["jti"]), (&json!(id), &json!("0".repeat(32))));
    assert_eq!(
        claims["nats"],
        json!({
            "type": "user", "version": 2, "bearer_token": true, "subs": -1, "data": -1, "payload": -1,
            "issuer_account": "AAEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSRYX",
            "pub": { "allow": [format!("usr.{id}.>")] },
            "sub": { "allow": [format!("usr.{id}.>"), format!("_INBOX_{id}.>")] },
        })
    );
    assert_eq!(example::token(&bridge).unwrap().claims["sub"], claims["sub"]);
    let mut other = sample::full(&[]);
    other.user.id = Uuid::nil().to_string();
    let other = bridge.render(&other, sample::moment(), Uuid::nil()).unwrap();
    assert_ne!(other.claims["sub"], claims["sub"], "another person, another key");
}

#[test]
fn the_golden_pusher_channels() {
    let bridge = example::bridge(PresetKind::Pusher).unwrap();
    let id = sample::full(&[]).user.id;
    let decided = example::token(&bridge).unwrap();
    assert_eq!(
        decided.claims,
        json!({
            "user_id": id, "user_info": { "name": "Ada Example" },
            "channels": [format!("private-user-{id}"), format!("private-user-{id}-*"), "presence-lobby"],
        })
    );
    let bare = bridge.render(&sample::bare(), sample::moment(), Uuid::nil()).unwrap();
    assert_eq!(bare.claims["user_info"], json!({}), "no name, none told");
}

#[test]
fn the_golden_requests_of_backends() {
    let user = sample::full(&[]).user;
    let asked = |definition: BridgeDefinition| {
        let bridge = Bridge::new(definition).unwrap();
        let document = example::token(&bridge).unwrap().claims;
        let request = bridge.preset().call().unwrap().request;
        request(bridge.audience(), &document)
    };
    assert_eq!(
        asked(example::definition(P::Appwrite).unwrap()),
        call::Call {
            path: "/users/8f14e45f-ceea-467a-9f1d-8b5a3a5d2c11/tokens".to_owned(),
            credential: ("X-Appwrite-Key", ""),
            headers: vec![("X-Appwrite-Project", "my-project".to_owned())],
            body: json!({ "length": 64, "expire": 300 }),
            user: "8f14e45f-ceea-467a-9f1d-8b5a3a5d2c11".to_owned(),
        }
    );
    let instant = |subject: &str, user: &str, body| {
        assert_eq!(
            asked(changed(P::Instantdb, &["subject"], &json!(subject))),
            call::Call {
                path: "/admin/refresh_tokens".to_owned(),
                credential: ("Authorization", "Bearer "),
                headers: vec![("App-Id", "5a8b2c1d-0c5b-4f0e-9d5a-7c1f3b2a9e40".to_owned())],
                body,
                user: user.to_owned(),
            }
        );
    };
    instant("{{ user.id }}", &user.id, json!({ "id": user.id }));
    instant("{{ user.email }}", "ada@example.com", json!({ "email": "ada@example.com" }));
}

/// An answer counts only when it is about the person that was asked for.
#[test]
fn the_answers_of_backends_are_read_strictly() {
    let given = |kind: PresetKind, document: Value, answer: Value| {
        (kind.call().unwrap().given)(&document, answer.as_object().unwrap())
    };
    let (long, asked) = ("s".repeat(64), json!({ "userId": "u", "length": 64, "expire": 300 }));
    let appwrite = |answer| given(P::Appwrite, asked.clone(), answer);
    assert_eq!(appwrite(json!({ "userId": "u", "secret": long, "expire": "x" })), Some(long.clone()));
    for answer in [
        json!({}),
        json!({ "secret": long }),
        json!({ "userId": "v", "secret": long }),
        json!({ "userId": "u", "secret": "" }),
        json!({ "userId": "u", "secret": "s".repeat(63) }),
        json!({ "userId": "u", "secret": 5 }),
        json!({ "userId": "u", "secret": [long] }),
    ] {
        assert_eq!(appwrite(answer.clone()), None, "{answer}");
    }
    let token = "5a8b2c1d-0c5b-4f0e-9d5a-7c1f3b2a9e40";
    let by_id = |answer| given(P::Instantdb, json!({ "id": "u" }), answer);
    let by_email = |answer| given(P::Instantdb, json!({ "email": "ada@example.com" }), answer);
    let user =
        |id: &str, email: &str, token: Value| json!({ "user": { "id": id, "email": email, "refresh_token": token } });
    assert_eq!(by_id(user("u", "x", json!(token))).as_deref(), Some(token));
    assert_eq!(by_email(user("v", "Ada@example.com", json!(token))).as_deref(), Some(token));
    for answer in [
        json!({}),
        json!({ "user": token }),
        json!({ "refresh_token": token }),
        user("v", "", json!(token)),
        user("u", "", Value::Null),
        user("u", "", json!("short")),
    ] {
        assert_eq!(by_id(answer.clone()), None, "{answer}");
    }
    for answer in [user("u", "eve@example.com", json!(token)), json!({ "user": { "id": "u", "refresh_token": token } })]
    {
        assert_eq!(by_email(answer.clone()), None, "{answer}");
    }
}

/// The user is bound to the key that the server of NATS made, and to the account.
#[test]
fn the_golden_nats_callout_token() {
    let bridge = example::bridge(PresetKind::NatsCallout).unwrap();
    let id = sample::full(&[]).user.id;
    let key = nkey::public(nkey::Role::User, &[9; 32]);
    let facts = Facts { bound_key: Some(key.clone()), longest: Some(60), ..sample::full(&[]) };
    let token = bridge.render(&facts, sample::moment(), Uuid::nil()).unwrap();
    assert_eq!(token.header.to_json(Some("k")), json!({ "alg": "ed25519-nkey", "typ": "JWT" }));
    assert_eq!(
        token.claims,
        json!({
            "jti": "0".repeat(32), "iat": 1_767_225_600, "exp": 1_767_225_660, "sub": key, "aud": "APP", "name": id,
            "iss": "ADVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCZW22",
            "nats": {
                "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1,
                "pub": { "allow": [format!("usr.{id}.>")] },
                "sub": { "allow": [format!("usr.{id}.>"), format!("_INBOX_{id}.>")] },
            },
        })
    );
    let [_, (_, _, config), _] = &bridge.other_side(example::SERVER)[..] else { panic!("three places") };
    for line in ["{ nkey: UAJXSXVG", "issuer: ADVEU3DD", "auth_users: [ UAJXSXVG", "  APP: {}", "account: AUTH"] {
        assert!(config.contains(line), "{line} in {config}");
    }
}

/// Whoever acts for somebody is named in the token, or gets none.
#[test]
fn who_acts_is_named_or_gets_nothing() {
    let act = Actor::client("orders").named_by(example::SERVER);
    let mut without = Vec::new();
    for kind in PresetKind::ALL.iter().copied() {
        let bridge = match kind.about().page {
            "firebase" => Bridge::new(firebase_of(kind)).unwrap(),
            _ => example::bridge(kind).unwrap(),
        };
        assert_eq!(bridge.permits_actor(None), Ok(()), "{}", kind.as_str());
        if bridge.permits_actor(Some(&act)) == Err(Denied::Actor) {
            without.push(kind);
            continue;
        }
        let facts = Facts { act: Some(act.clone()), ..bridge.samples()[0].1.clone() };
        let claims = bridge.render(&facts, sample::moment(), Uuid::nil()).unwrap().claims;
        let said = claims.get("act").or_else(|| claims["claims"].get("act"));
        let expected = json!({ "sub": "orders", "client_id": "orders", "iss": example::SERVER });
        assert_eq!(said, Some(&expected), "{}", kind.as_str());
    }
    assert_eq!(without, [P::NatsUser, P::NatsCallout, P::Pusher, P::Appwrite, P::Instantdb]);
}

fn firebase_of(kind: PresetKind) -> BridgeDefinition {
    let tenant_id = (kind == P::FirebaseTenant).then(|| "org-1".to_owned());
    BridgeDefinition { preset: kind, tenant_id, ..firebase_spec(Value::Null) }
}

/// With a key that the caller has, the token alone is worth nothing.
#[test]
fn a_nats_user_may_bring_a_key() {
    let mut definition = changed(PresetKind::NatsUser, &["user_nkey"], &json!("{{ input.user_nkey ? }}"));
    definition.inputs = json!({ "user_nkey": { "charset": "nkey", "required": false } });
    let bridge = Bridge::new(definition.clone()).unwrap();
    let render = |facts: Facts| bridge.render(&facts, sample::moment(), Uuid::nil()).unwrap().claims;
    let [(_, full), (_, bare), _] = bridge.samples();
    let own = render(full.clone());
    assert_eq!(own["sub"], Value::from(full.inputs["user_nkey"].clone()));
    assert_eq!(own["nats"].get("bearer_token"), None);
    let derived = render(bare);
    assert_ne!(derived["sub"], own["sub"]);
    assert_eq!(derived["nats"]["bearer_token"], true);
    definition.inputs = json!({ "user_nkey": { "required": false } });
    assert!(refusal(definition).contains("claim `sub`"), "an input that may be no key");
}

/// A preset, a place in its example, a value there, and a part of what is said against it.
type Row<'a> = (P, &'a [&'a str], Value, &'a str);

fn refuses(rows: &[Row<'_>]) {
    for (kind, place, value, words) in rows {
        let mut definition = changed(*kind, place, value);
        if let ([name], true, Some(members)) = (*place, value.is_null(), definition.claims.as_object_mut()) {
            members.remove(*name);
        }
        let told = refusal(definition);
        assert!(told.contains(words), "{}, {place:?} = {value}: {told}", kind.as_str());
    }
}

#[test]
fn databases_refuse_what_would_harm_them() {
    const NAMESPACE: &str = "https://hasura.io/jwt/claims";
    refuses(&[
        (P::SupabaseThirdParty, &["role"], json!("service_role"), "only with `dangerous"),
        (P::SupabaseThirdParty, &["role"], json!("Postgres"), "only with `dangerous"),
        (P::SupabaseThirdParty, &["role"], json!("{{ user.name }}"), "decides what the token allows"),
        (P::SupabaseThirdParty, &["Role"], json!("x"), "claims.role"),
        (P::SupabaseThirdParty, &["aal"], json!("aal2"), "locks it"),
        (P::SupabaseThirdParty, &["amr"], json!([]), "may only be `{{ session.amr }}`"),
        (
            P::SupabaseThirdParty,
            &["app_metadata"],
            json!({ "admin": "{{ user.name ? }}" }),
            "decides what the token allows",
        ),
        (P::SupabaseThirdParty, &["subject"], json!("{{ user.email }}"), "claim `sub` must be a UUID"),
        (P::SupabaseThirdParty, &["algorithm"], json!("HS256"), "locks it to `ES256`, `RS256`"),
        (P::SupabaseThirdParty, &["kid"], json!("omit"), "by its `kid`"),
        (P::SupabaseThirdParty, &["typ"], json!("at+jwt"), "locks it"),
        (P::SupabaseThirdParty, &["lifetime"], json!(7200), "between 10 seconds and 1 hour"),
        (P::SupabaseSecret, &["key"], Value::Null, "HS256"),
        (P::Postgrest, &["role"], Value::Null, "a role's name"),
        (P::Postgrest, &["role"], json!("pg_read_all_data"), "only with `dangerous"),
        (P::Postgrest, &["role"], json!("a role"), "must be a role's name"),
        (P::Postgrest, &["audience"], Value::Null, "what `jwt-aud` says"),
        (P::Postgrest, &["audience"], json!("https://id.example.com"), "must not be the issuer"),
        (P::Neon, &["algorithm"], json!("EdDSA"), "locks it"),
        (P::Hasura, &[NAMESPACE, "x-hasura-allowed-roles"], json!(["user", "admin"]), "only with `dangerous"),
        (
            P::Hasura,
            &[NAMESPACE, "x-hasura-allowed-roles"],
            json!("{{ user.groups }}"),
            "`x-hasura-default-role` is one of",
        ),
        (P::Hasura, &[NAMESPACE, "x-hasura-default-role"], json!("editor"), "`x-hasura-default-role` is one of"),
        (P::Hasura, &[NAMESPACE, "x-hasura-level"], json!(5), "is text"),
        (P::Hasura, &[NAMESPACE, "X-Hasura-User-Id"], json!("x"), "upper and lower case"),
        (P::Hasura, &[NAMESPACE, "x-hasura-org-id"], json!("{{ user.name }}"), "decides what the token allows"),
        (P::Hasura, &[NAMESPACE, "role"], json!("x"), "begins with `x-hasura-`"),
    ]);
}

#[test]
fn brokers_refuse_what_would_harm_them() {
    refuses(&[
        (P::Rabbitmq, &["scope"], json!(["rabbitmq.tag:administrator"]), "only with `dangerous"),
        (P::Rabbitmq, &["scope"], json!("rabbitmq.read:*/* rabbitmq.tag:Administrator"), "only with `dangerous"),
        (P::Rabbitmq, &["scope"], json!(["other.read:*/*"]), "each permission is"),
        (P::Rabbitmq, &["scope"], json!(["rabbitmq.read:only-vhost"]), "each permission is"),
        (P::Rabbitmq, &["scope"], json!(["rabbitmq.delete:*/*"]), "each permission is"),
        (P::Rabbitmq, &["scope"], json!(["rabbitmq.read:*/*"]), "everybody's MQTT queues"),
        (P::Rabbitmq, &["scope"], json!(["rabbitmq.read:%2F/mqtt-subscription-*"]), "everybody's MQTT queues"),
        (P::Rabbitmq, &["scope"], json!(["{{ user.name }}"]), "decides what the token allows"),
        (P::Rabbitmq, &["scope"], Value::Null, "claims.scope"),
        (
            P::Rabbitmq,
            &["authorization"],
            json!({ "permissions": [{ "scopes": ["rabbitmq.tag:administrator"] }] }),
            "reserved",
        ),
        (P::RabbitmqMqtt, &["Authorization"], json!("{{ user.name ? }}"), "reserved"),
        (P::RabbitmqMqtt, &["scope"], json!(["rabbitmq.write:*/*"]), "each permission is"),
        (P::RabbitmqMqtt, &["scope"], json!(["rabbitmq.configure:%2F/mqtt-subscription-*"]), "everybody's MQTT queues"),
        (P::RabbitmqMqtt, &["scope"], json!("rabbitmq.read:%2F/mqtt-*qos1/*"), "everybody's MQTT queues"),
        (P::RabbitmqMqtt, &["scope"], json!(["rabbitmq.read:%2F/mqtt%2Dsubscription-*/x"]), "everybody's MQTT queues"),
        (P::NatsUser, &["pub", "allow"], json!([">"]), "only with `dangerous"),
        (P::NatsUser, &["sub", "allow"], json!(["$SYS.>"]), "only with `dangerous"),
        (P::NatsUser, &["sub", "allow"], json!(["_INBOX.>"]), "only with `dangerous"),
        (P::NatsUser, &["sub", "allow"], json!(["a..b"]), "a subject is words"),
        (P::NatsUser, &["sub", "allow"], json!(["a.>.b"]), "a subject is words"),
        (P::NatsUser, &["sub", "allow"], json!(["{{ user.name }}"]), "decides what the token allows"),
        (P::NatsUser, &["pub", "allow"], json!([]), "at least one text"),
        (P::NatsUser, &["sub", "allow"], json!([]), "at least one text"),
        (P::NatsUser, &["pub", "allow"], json!("{{ user.groups | in('none') }}"), "at least one text"),
        (P::NatsUser, &["sub"], Value::Null, "claims.sub"),
        (P::NatsUser, &["payload"], json!(0), "claim `payload`"),
        (P::NatsUser, &["bearer_token"], json!(true), "NATS would not read it"),
        (P::NatsUser, &["issuer"], json!("https://id.example.com"), "the account's public key"),
        (P::NatsUser, &["audience"], json!("x"), "NATS has no such thing"),
        (P::NatsUser, &["algorithm"], json!("EdDSA"), "locks it to `ed25519-nkey`"),
        (P::NatsUser, &["key"], Value::Null, "the seed"),
        (P::NatsUser, &["url"], json!("tls://nats.example.com"), "nobody is asked"),
        (P::NatsUser, &["bearer_audience"], json!("x"), "no access token comes by another program"),
        (P::NatsCallout, &["key"], Value::Null, "the seed"),
        (P::NatsCallout, &["url"], Value::Null, "the address of NATS"),
        (P::NatsCallout, &["url"], json!("https://nats.example.com"), "`tls://host:port`"),
        (P::NatsCallout, &["url"], json!("tls://user:secret@nats.example.com"), "`tls://host:port`"),
        (P::NatsCallout, &["bearer_audience"], json!("a b"), "visible ASCII"),
        (P::NatsCallout, &["audience"], Value::Null, "the account of NATS"),
        (P::NatsCallout, &["audience"], json!("$SYS"), "an account's name"),
        (P::NatsCallout, &["audience"], json!("A P P"), "an account's name"),
        (
            P::NatsCallout,
            &["issuer"],
            json!("AAEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSRYX"),
            "is the issuer",
        ),
        (P::NatsCallout, &["algorithm"], json!("EdDSA"), "locks it to `ed25519-nkey`"),
        (P::NatsCallout, &["typ"], json!("none"), "locks it"),
        (P::NatsCallout, &["kid"], json!("x"), "NATS has no such thing"),
        (P::NatsCallout, &["user_nkey"], json!("{{ input.user_nkey }}"), "claims.user_nkey"),
        (P::NatsCallout, &["bearer_token"], json!(true), "NATS would not read it"),
        (P::NatsCallout, &["pub", "allow"], json!([">"]), "only with `dangerous"),
        (P::NatsCallout, &["sub", "allow"], json!([]), "at least one text"),
        (P::NatsCallout, &["sub", "allow"], json!(["{{ user.name }}"]), "decides what the token allows"),
    ]);
}

/// What a Mercure 1.0 hub reads, with this topic.
fn mercure_1(topic: &Value) -> Value {
    json!([{ "type": "https://mercure.rocks/authorization-detail", "actions": ["subscribe"], "topics": [topic] }])
}

fn pattern() -> Value {
    json!({ "match": "https://example.com/users/:id", "match_type": "urlpattern" })
}

#[test]
fn services_refuse_what_would_harm_them() {
    refuses(&[
        (P::Livekit, &["video", "roomAdmin"], json!(true), "only with `dangerous"),
        (P::Livekit, &["video", "roomadmin"], json!(true), "upper and lower case"),
        (P::Livekit, &["video", "room"], Value::Null, "null is no claim"),
        (P::Livekit, &["metadata"], json!({ "a": 1 }), "claim `metadata` must be text"),
        (P::Livekit, &["sip"], json!({ "admin": true }), "reserved"),
        (P::Livekit, &["issuer"], Value::Null, "the API key"),
        (P::Livekit, &["algorithm"], json!("ES256"), "locks it to `HS256`"),
        (P::Stream, &["server"], json!(true), "reserved"),
        (P::Stream, &["user_id"], json!("{{ user.id }}"), "reserved"),
        (P::Stream, &["subject"], json!("{{ user.email }}"), "claim `user_id` must be"),
        (P::Ably, &["x-ably-capability"], json!("{\"*\":[\"*\"]}"), "only with `dangerous"),
        (P::Ably, &["x-ably-capability"], json!("{\"chat\":[\"admin\"]}"), "an operation is one of"),
        (P::Ably, &["x-ably-capability"], json!({ "chat": ["subscribe"] }), "JSON text"),
        (P::Ably, &["x-ably-clientId"], json!("*"), "claim `x-ably-clientId` must be"),
        (P::Ably, &["kid"], Value::Null, "the name of the API key"),
        (P::Pusher, &["channels"], json!(["private-*"]), "only with `dangerous"),
        (P::Pusher, &["channels"], json!(["private-user-*", "presence-*"]), "only with `dangerous"),
        (P::Pusher, &["channels"], json!(["public"]), "a channel is `private-…`"),
        (P::Pusher, &["channels"], json!(["private-encrypted-x"]), "a channel is `private-…`"),
        (P::Pusher, &["channels"], json!(["private-x*"]), "a channel is `private-…`"),
        (P::Pusher, &["channels"], json!(["private-a b"]), "a channel is `private-…`"),
        (P::Pusher, &["channels"], json!(["private-a:presence-b"]), "a channel is `private-…`"),
        (P::Pusher, &["channels"], json!(["{{ user.name ? }}"]), "decides what the token allows"),
        (P::Pusher, &["channels"], json!([]), "at least one text"),
        (P::Pusher, &["channels"], Value::Null, "claims.channels"),
        (P::Pusher, &["Channels"], json!(["private-x"]), "upper and lower case"),
        (P::Pusher, &["user_id"], json!("x"), "Pusher would not read it"),
        (P::Pusher, &["user_info"], json!("x"), "must be an object"),
        (P::Pusher, &["user_info"], json!({ "x": "y".repeat(1024) }), "at most 1,024 bytes"),
        (P::Pusher, &["issuer"], Value::Null, "the app's key"),
        (P::Pusher, &["issuer"], json!("key:x"), "the app's key"),
        (P::Pusher, &["audience"], json!("x"), "has no such thing"),
        (P::Pusher, &["lifetime"], json!(60), "has no such thing"),
        (P::Pusher, &["kid"], json!("x"), "has no such thing"),
        (P::Pusher, &["algorithm"], json!("ES256"), "locks it to `HS256`"),
        (P::Pusher, &["key"], Value::Null, "import it"),
        (P::Pusher, &["url"], json!("https://x.example"), "nobody is asked"),
        (P::Appwrite, &["url"], Value::Null, "the address of the target's API"),
        (P::Appwrite, &["url"], json!("cloud.appwrite.io"), "`https://…`"),
        (P::Appwrite, &["url"], json!("https://key@cloud.appwrite.io"), "`https://…`"),
        (P::Appwrite, &["audience"], Value::Null, "the project's id"),
        (P::Appwrite, &["audience"], json!("a\r\nX-Appwrite-Key: x"), "letters, digits"),
        (P::Appwrite, &["length"], json!(6), "from 32 to 128"),
        (P::Appwrite, &["length"], json!(129), "from 32 to 128"),
        (P::Appwrite, &["length"], json!("64"), "from 32 to 128"),
        (P::Appwrite, &["expire"], json!(60), "no part of the request"),
        (P::Appwrite, &["userId"], json!("x"), "no part of the request"),
        (P::Appwrite, &["lifetime"], json!(30), "between 60 seconds and 1 hour"),
        (P::Appwrite, &["subject"], json!("{{ user.email }}"), "claim `subject` must be"),
        (P::Appwrite, &["algorithm"], json!("HS256"), "makes the token itself"),
        (P::Appwrite, &["issuer"], json!("x"), "makes the token itself"),
        (P::Appwrite, &["key"], Value::Null, "import it"),
        (P::Instantdb, &["url"], json!("ftp://api.instantdb.com"), "`https://…`"),
        (P::Instantdb, &["audience"], json!("my-app"), "a UUID"),
        (P::Instantdb, &["id"], json!("x"), "no part of the request"),
        (P::Instantdb, &["lifetime"], json!(60), "makes the token itself"),
        (P::Instantdb, &["bearer_audience"], json!("x"), "no access token comes by another program"),
        (P::Centrifugo, &["channels"], json!(["{{ user.name ? }}"]), "decides what the token allows"),
        (P::Centrifugo, &["expire_at"], json!(0), "reserved"),
        (P::Mercure0, &["mercure", "publish"], json!(["*"]), "only with `dangerous"),
        (P::Mercure0, &["mercure", "subscribe"], json!(["{+any}"]), "is a URI template"),
        (P::Mercure0, &["mercure", "publish"], json!(["https://example.com/users/{id}"]), "is a URI template"),
        (P::Mercure0, &["mercure", "subscribe"], json!(["{{ '{+any}' }}"]), "is a URI template"),
        (P::Mercure1, &["authorization_details"], mercure_1(&json!({ "match": "*" })), "only with `dangerous"),
        (P::Mercure1, &["authorization_details"], mercure_1(&json!({ "match": "x/{+any}" })), "is a URI template"),
        (P::Mercure1, &["authorization_details"], mercure_1(&pattern()), "is a pattern"),
        (P::Mercure1, &["typ"], json!("JWT"), "locks it to `at+jwt`"),
        (P::Mercure1, &["authorization_details"], json!([{ "type": "x" }]), "has its `type`"),
        (P::SurrealdbRecord, &["rl"], json!(["Owner"]), "reserved"),
        (P::SurrealdbRecord, &["https://surrealdb.com/ns"], json!("x"), "no name begins with"),
        (P::SurrealdbRecord, &["https://surrealdb.com/roles"], json!(["Owner"]), "no name begins with"),
        (P::SurrealdbSystem, &["HTTPS://surrealdb.com/record"], json!("a:b"), "no name begins with"),
        (P::SurrealdbSystem, &["rl"], json!(["Owner"]), "only with `dangerous"),
        (P::SurrealdbSystem, &["rl"], json!(["Reader"]), "a role is"),
        (P::AwsSts, &["https://aws.amazon.com/tags"], json!({ "principal_tags": { "T": "x" } }), "at most 50"),
        (
            P::AwsSts,
            &["https://aws.amazon.com/tags"],
            json!({ "principal_tags": { "T": ["{{ user.name }}"] } }),
            "decides what",
        ),
        (P::AwsSts, &["https://aws.amazon.com/tags/principal_tags/Team"], json!("x"), "tags are written in"),
        (P::AwsSts, &["https://aws.amazon.com/source_identity"], json!("x"), "tags are written in"),
        (P::GcpWif, &["algorithm"], json!("EdDSA"), "locks it"),
        (P::AzureFic, &["algorithm"], json!("ES256"), "locks it"),
        (P::Kubernetes, &["groups"], json!(["system:masters"]), "only with `dangerous"),
        (P::Kubernetes, &["algorithm"], json!("EdDSA"), "locks it"),
        (P::Vault, &["groups"], json!("one"), "must be a list"),
        (P::Minio, &["policy"], json!("readonly,consoleAdmin"), "only with `dangerous"),
        (P::Grafana, &["role"], json!("GrafanaAdmin"), "only with `dangerous"),
        (P::Clickhouse, &["clickhouse:roles"], json!(["default_role"]), "only with `dangerous"),
        (P::Clickhouse, &["clickhouse:grants"], json!(["ALL ON *.*"]), "only with `dangerous"),
        (P::Clickhouse, &["clickhouse:grants"], json!(["SELECT ON *.*"]), "only with `dangerous"),
        (P::Trino, &["kid"], json!("omit"), "by its `kid`"),
        (P::Kafka, &["scope"], Value::Null, "claims.scope"),
        (P::Dovecot, &["typ"], json!("at+jwt"), "locks it"),
        (P::Ejabberd, &["subject"], Value::Null, "a full JID"),
        (P::Ejabberd, &["subject"], json!("{{ user.id }}"), "a full JID"),
    ]);
}

/// Where a target finds keys through our discovery document alone, it would never find the bridge's own.
#[test]
fn a_target_that_knows_our_keys_alone_gets_no_others() {
    for kind in [PresetKind::AwsSts, PresetKind::AzureFic, PresetKind::Minio] {
        for key in [None, Some(KeySource::Own)] {
            let told = refusal(BridgeDefinition { key, ..example::definition(kind).unwrap() });
            assert!(told.contains("locks it to `provider`"), "{}: {told}", kind.as_str());
        }
    }
}

/// Google takes an uploaded key set as well, as its page says.
#[test]
fn for_google_a_bridge_may_sign_with_its_own_key() {
    let key_of = |key| {
        let definition = BridgeDefinition { key, ..example::definition(PresetKind::GcpWif).unwrap() };
        let bridge = Bridge::new(definition).unwrap();
        drop(example::token(&bridge).unwrap());
        matches!(bridge.key(), Key::Own(Algorithm::Rs256))
    };
    assert!(key_of(None) && key_of(Some(KeySource::Own)));
    assert!(!key_of(Some(KeySource::Provider)));
}

/// A secret that is too short for a JWT is taken where none is made.
#[test]
fn short_secrets_are_for_what_is_no_jwt() {
    let short = crate::bridge::KeyUpload::Secret("7ad3773142a6692b25b8".to_owned()).read().unwrap();
    let told = |kind| refusal(BridgeDefinition { material: Some(short.clone()), ..example::definition(kind).unwrap() });
    assert_eq!(told(PresetKind::Pusher), "accepted");
    for kind in [PresetKind::Livekit, PresetKind::SupabaseSecret, PresetKind::Mercure0] {
        assert!(told(kind).contains("at least 32 bytes"), "{}: {}", kind.as_str(), told(kind));
    }
}

/// An audience may hold a colon; what a permission gives is found behind it all the same.
#[test]
fn a_colon_in_the_audience_hides_no_permission() {
    let permission = |name: &str| {
        let scope = json!([format!("https://mq.example.read:%2F/{name}")]);
        let definition = changed(PresetKind::Rabbitmq, &["scope"], &scope);
        refusal(BridgeDefinition { audience: Some("https://mq.example".to_owned()), ..definition })
    };
    assert_eq!(permission("orders-*"), "accepted");
    assert!(permission("mqtt-subscription-*").contains("everybody's MQTT queues"));
}

/// What is made of a token that ends ends with it, or is not asked for.
#[test]
fn a_backend_is_asked_for_no_life_that_it_cannot_give() {
    let render = |kind: PresetKind, longest: i64| {
        let facts = Facts { longest: Some(longest), ..sample::full(&["appwrite"]) };
        example::bridge(kind).unwrap().render(&facts, sample::moment(), Uuid::nil())
    };
    assert_eq!(render(PresetKind::Instantdb, 3600), Err(RenderError::Endless));
    assert_eq!(render(PresetKind::Appwrite, 59), Err(RenderError::TooBrief { least: 60 }));
    for (longest, expire) in [(60, 60), (299, 299), (3600, 300)] {
        assert_eq!(render(PresetKind::Appwrite, longest).unwrap().claims["expire"], json!(expire), "{longest}");
    }
}

/// What the preset refuses as too powerful can be meant.
#[test]
fn a_powerful_value_can_be_meant() {
    for (kind, place, value) in [
        (PresetKind::SupabaseThirdParty, &["role"][..], json!("service_role")),
        (PresetKind::Rabbitmq, &["scope"], json!(["rabbitmq.tag:administrator"])),
        (PresetKind::RabbitmqMqtt, &["scope"], json!(["rabbitmq.read:%2F/mqtt-subscription-*/*"])),
        (PresetKind::NatsUser, &["pub", "allow"], json!([">"])),
        (PresetKind::Livekit, &["video", "roomAdmin"], json!(true)),
        (PresetKind::Ably, &["x-ably-capability"], json!("{\"*\":[\"*\"]}")),
        (PresetKind::Mercure0, &["mercure", "subscribe"], json!(["*", "https://example.com/{+any}"])),
        (PresetKind::Mercure1, &["authorization_details"], mercure_1(&pattern())),
        (PresetKind::Kubernetes, &["groups"], json!(["system:masters"])),
    ] {
        let definition = BridgeDefinition { dangerous: true, ..changed(kind, place, &value) };
        assert_eq!(refusal(definition), "accepted", "{}", kind.as_str());
    }
}

/// The rules hold for what arrives at minting, not for the samples alone.
#[test]
fn a_value_that_breaks_a_rule_at_minting_mints_nothing() {
    let render = |definition: BridgeDefinition, change: &dyn Fn(&mut Facts)| {
        let bridge = Bridge::new(definition).unwrap();
        let mut facts = sample::full(&["x"]);
        change(&mut facts);
        bridge.render(&facts, sample::moment(), Uuid::nil())
    };
    let broken = |result: Result<crate::bridge::Rendered, RenderError>, words: &str| {
        let told = result.expect_err(words).to_string();
        assert!(told.contains(words), "{told}");
    };
    let groups = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        move |facts: &mut Facts| facts.user.groups.clone_from(&names)
    };
    let kubernetes = changed(PresetKind::Kubernetes, &["groups"], &json!("{{ user.groups }}"));
    broken(render(kubernetes, &groups(&["system:masters"])), "only with `dangerous");
    let role = changed(PresetKind::Postgrest, &["role"], &json!("{{ user.groups | in('staff', 'postgres') | first }}"));
    assert!(render(role.clone(), &groups(&["staff"])).is_ok());
    broken(render(role, &groups(&["postgres"])), "only with `dangerous");
    let uuid = changed(PresetKind::SupabaseThirdParty, &["subject"], &json!("{{ link('x') ?? user.id }}"));
    broken(render(uuid, &|facts| drop(facts.links.insert("x".to_owned(), "usr_1".to_owned()))), "must be a UUID");
    let roles = changed(
        PresetKind::Hasura,
        &["https://hasura.io/jwt/claims", "x-hasura-allowed-roles"],
        &json!(["user", "{{ user.groups | in('staff', 'admin') | first ? }}"]),
    );
    broken(render(roles, &groups(&["admin"])), "only with `dangerous");
}
