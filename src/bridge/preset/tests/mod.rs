//! All presets together: their examples work, what they produce, and what they refuse.

mod golden;
mod refusals;

use chrono::Duration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::PresetKind as P;
use super::*;
use crate::bridge::facts::{Datum, Facts};
use crate::bridge::spec::{Algorithm, BridgeDefinition, KeySource, KidPolicy, Typ};
use crate::bridge::testing::firebase_spec;
use crate::bridge::{Bridge, Denied, Key, RenderError, nkey, sample};
use crate::domain::exchange::Actor;

/// The preset's example with another value at one place of its definition, or without that value (`null`).
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

/// An actor is named in the token, or gets none.
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

/// If the caller holds the key, the token alone is useless.
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

/// Google also accepts an uploaded key set, as its page says.
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

/// A token derived from one that expires must expire with it; otherwise it is not requested.
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
