//! Three sample sign-ins. Every template is rendered for them when it is saved, so that mistakes show before the first
//! person is affected.

use std::collections::BTreeMap;

use super::expression::AttributeUse;
use super::facts::{ClientFacts, Datum, Facts, GrantFacts, Kind, PasskeyFacts, SessionFacts, UserFacts};
use crate::clock::Time;

/// The time of all samples: 2026-01-01T00:00:00Z.
///
/// # Panics
/// Never: the time is fixed and valid. It is so long ago that no sample token is valid.
pub fn moment() -> Time {
    Time::from_timestamp(1_767_225_600, 0).expect("a moment well inside chrono's range")
}

fn owned(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

/// A user with a value for every fact, linked to each of the `sources`, and without inputs.
pub fn full(sources: &[&str]) -> Facts {
    Facts {
        inputs: BTreeMap::new(),
        bound_key: None,
        act: None,
        longest: None,
        user: UserFacts {
            id: "0c4a6b8e-5d1f-4f7e-9a33-2f0d8f5e7c11".to_owned(),
            email: Some("ada@example.com".to_owned()),
            email_verified: true,
            phone: Some("+44 20 7946 0000".to_owned()),
            phone_verified: true,
            name: Some("Ada Example".to_owned()),
            username: Some("ada".to_owned()),
            locale: Some("en-GB".to_owned()),
            created_at: moment(),
            groups: owned(&["staff", "editors"]),
            attributes: BTreeMap::new(),
        },
        links: sources
            .iter()
            .map(|source| ((*source).to_owned(), "8f14e45f-ceea-467a-9f1d-8b5a3a5d2c11".to_owned()))
            .collect(),
        session: SessionFacts {
            id: Some("7d3f1c52-8b1e-4a7b-8a39-1f6f0f4f6f3e".to_owned()),
            acr: Some("phr".to_owned()),
            amr: owned(&["pop", "swk", "user", "mfa"]),
            auth_time: moment(),
        },
        passkey: Some(PasskeyFacts {
            id_hash: "Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmFyYmF6Zm9vYmE".to_owned(),
            aaguid: Some("fbfc3007-154e-4ecc-8c0b-6e020557d7bd".to_owned()),
            uv: true,
            be: true,
            bs: true,
            transports: owned(&["internal", "hybrid"]),
            rp_id: "example.com".to_owned(),
            created_at: moment(),
        }),
        client: ClientFacts { id: "web".to_owned(), name: Some("Web".to_owned()) },
        grant: GrantFacts { scopes: owned(&["openid", "profile"]), audience: owned(&["https://api.example.com"]) },
    }
}

/// A user with as few facts as possible, signed in without a passkey.
pub fn bare() -> Facts {
    let mut facts = full(&[]);
    facts.links = BTreeMap::new();
    facts.user.email = None;
    facts.user.email_verified = false;
    facts.user.phone = None;
    facts.user.phone_verified = false;
    facts.user.name = None;
    facts.user.username = None;
    facts.user.locale = None;
    facts.user.groups = Vec::new();
    facts.user.attributes = BTreeMap::new();
    facts.session.id = None;
    facts.session.acr = None;
    facts.session.amr = owned(&["pwd"]);
    facts.passkey = None;
    facts.client.name = None;
    facts.grant = GrantFacts::default();
    facts
}

/// The same sign-in of a user who has the attributes that are used. Each gets a value that the first place with
/// examples accepts. A list that is used in several places gets a member for each of them.
pub fn keeping(mut facts: Facts, asked: &[AttributeUse<'_>]) -> Facts {
    let (told, any): (Vec<_>, Vec<_>) = asked.iter().partition(|one| !one.examples.is_empty());
    for one in told.into_iter().chain(any) {
        match (facts.user.attributes.get_mut(one.name), example(one)) {
            (None, value) => drop(facts.user.attributes.insert(one.name.to_owned(), value)),
            (Some(Datum::List(items)), Datum::List(more)) => items.extend(more),
            (Some(_), _) => {}
        }
    }
    facts
}

fn example(asked: &AttributeUse<'_>) -> Datum {
    let texts = if asked.examples.is_empty() { &["sample"] } else { &*asked.examples };
    match asked.kind {
        Kind::Text => Datum::Text(texts[0].to_owned()),
        Kind::Number => Datum::Number(texts[0].parse().unwrap_or(7)),
        Kind::Flag => Datum::Flag(texts[0].parse().unwrap_or(true)),
        Kind::List => Datum::List(owned(texts)),
    }
}

/// The same sign-in, with these inputs.
pub fn asking(facts: Facts, inputs: BTreeMap<String, Datum>) -> Facts {
    Facts { inputs, ..facts }
}

/// A user with long and awkward but legitimate values, and with an unverified address and telephone number.
pub fn awkward(sources: &[&str]) -> Facts {
    let mut facts = full(sources);
    facts.user.email_verified = false;
    facts.user.phone_verified = false;
    facts.user.name = Some("Œuvre \"Þór\" O'Brien-Łukasiewicz \u{5d0}\u{5d1}".to_owned());
    facts.user.groups = (1..=12).map(|n| format!("group {n}, *")).collect();
    facts.passkey = facts.passkey.map(|passkey| PasskeyFacts { aaguid: None, transports: Vec::new(), ..passkey });
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(kind: Kind, examples: &[&'a str]) -> AttributeUse<'a> {
        AttributeUse { name: "a", kind, examples: examples.to_vec() }
    }

    /// Regardless of the order of the places in a template.
    #[test]
    fn an_attribute_is_as_the_place_wants_it_that_says_so() {
        for (uses, value) in [
            (vec![asked(Kind::Text, &[])], Datum::Text("sample".into())),
            (vec![asked(Kind::Text, &["x", "y"])], Datum::Text("x".into())),
            (vec![asked(Kind::Text, &[]), asked(Kind::Text, &["x"])], Datum::Text("x".into())),
            (vec![asked(Kind::Text, &["x"]), asked(Kind::Text, &["y"])], Datum::Text("x".into())),
            (vec![asked(Kind::Number, &[])], Datum::Number(7)),
            (vec![asked(Kind::Number, &["5"])], Datum::Number(5)),
            (vec![asked(Kind::Flag, &[]), asked(Kind::Flag, &["false"])], Datum::Flag(false)),
            (vec![asked(Kind::List, &["x"]), asked(Kind::List, &["y"])], Datum::List(owned(&["x", "y"]))),
        ] {
            let facts = keeping(bare(), &uses);
            assert_eq!(facts.user.attributes.get("a"), Some(&value), "{uses:?}");
        }
    }
}
