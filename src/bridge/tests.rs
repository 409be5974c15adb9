use chrono::Duration;
use proptest::prelude::*;
use serde_json::{Map, json};

use super::input::Inputs;
use super::preset::{firebase, target};
use super::testing::{firebase_spec, jwt_spec};
use super::*;

fn places(spec: BridgeDefinition) -> Vec<String> {
    Bridge::new(spec).expect_err("the spec is wrong").into_iter().map(|problem| problem.place).collect()
}

#[test]
fn all_problems_are_reported_at_once_with_the_bridges_name() {
    let spec = BridgeDefinition {
        name: "Bad Name".to_owned(),
        issuer: None,
        subject: Some("{{ nobody }}".to_owned()),
        allow: Allow { max_auth_age: Some(Duration::zero()), ..Allow::default() },
        ..jwt_spec(json!({ "iss": "x", "role": "{{ user.role }}" }))
    };
    let problems = Bridge::new(spec).unwrap_err();
    let found: Vec<&str> = problems.iter().map(|problem| problem.place.as_str()).collect();
    assert_eq!(found, ["name", "issuer", "allow.max_auth_age", "subject", "claims.role"]);
    assert_eq!(problems[4].to_string(), "bridge `Bad Name`: claims.role: no fact is named `user.role`");
}

#[test]
fn a_subject_is_one_users_alone() {
    for subject in [
        "everyone",
        "",
        "{{ 'everyone' }}",
        "{{ link('x') ?? 'everyone' }}",
        "{{ user.name }}",
        "{{ user.username ?? user.id }}",
        "{{ user.locale }}",
        "{{ client.id }}",
        "{{ user.id ? }}",
        "{{ user.id | list }}",
        "{{ user.groups | first }}",
        "{{ user.attr('account') }}",
        "{{ tmpl('{}.{}', user.attr('tenant'), user.id) }}",
        "u-{{ user.id }}",
    ] {
        let spec = BridgeDefinition { subject: Some(subject.to_owned()), ..jwt_spec(Value::Null) };
        assert_eq!(places(spec), ["subject"], "{subject}");
    }
    for subject in ["{{ user.id }}", "{{ link('x') ?? user.id }}", "{{ user.email }}", "{{ user.id | sha256 }}"] {
        let spec = BridgeDefinition { subject: Some(subject.to_owned()), ..jwt_spec(Value::Null) };
        assert!(Bridge::new(spec).is_ok(), "{subject}");
    }
}

#[test]
fn an_unverified_email_is_nobodys_subject() {
    let spec = BridgeDefinition { subject: Some("{{ user.email }}".to_owned()), ..jwt_spec(Value::Null) };
    let bridge = Bridge::new(spec).unwrap();
    let mut facts = sample::full(&[]);
    assert_eq!(bridge.render(&facts, sample::moment(), Uuid::nil()).unwrap().claims["sub"], "ada@example.com");
    facts.user.email_verified = false;
    assert_eq!(
        bridge.render(&facts, sample::moment(), Uuid::nil()),
        Err(RenderError::Evaluation {
            place: "subject".to_owned(),
            error: EvaluationError::Missing("user.email".to_owned())
        })
    );
}

#[test]
fn a_template_that_can_never_fit_is_refused_when_saved() {
    let spec = BridgeDefinition { max_bytes: Some(500), ..jwt_spec(json!({ "a": "x".repeat(300) })) };
    let problems = Bridge::new(spec).unwrap_err();
    assert!(
        matches!(&problems[0].problem, Problem::Sample { sample: "full", error: RenderError::TooLarge { .. } }),
        "{problems:?}"
    );
    let separator = jwt_spec(json!({ "groups": "{{ user.groups | join(',') }}" }));
    let problems = Bridge::new(separator).unwrap_err();
    assert!(matches!(problems[0].problem, Problem::Sample { sample: "awkward", .. }), "a comma in a group's name");
}

#[test]
fn the_caller_learns_which_links_to_load() {
    let spec = BridgeDefinition {
        subject: Some("{{ link('firebase') ?? user.id }}".to_owned()),
        ..jwt_spec(json!({ "ids": ["{{ link('auth0') ? }}"] }))
    };
    assert_eq!(Bridge::new(spec).unwrap().link_sources(), ["firebase", "auth0"]);
}

/// The samples have the attributes that a template uses. What can never fit is found when it is saved; what only some
/// people have is found at minting.
#[test]
fn attributes_are_checked_when_saved_and_when_minted() {
    let claims = json!({
        "plan": "{{ user.attr('plan') | in('free', 'pro') }}", "seats": "{{ user.attr('seats', 'number') ? }}",
        "roles": "{{ user.attr('roles', 'list') | in('editor') | with('user') ?? 'user' | list }}",
        "also": ["{{ user.attr('roles', 'list') | in('owner') | first ? }}"],
    });
    let bridge = Bridge::new(jwt_spec(claims)).unwrap();
    let [(_, full), ..] = bridge.samples();
    let rendered = |facts: &Facts| bridge.render(facts, sample::moment(), Uuid::nil());
    let said = rendered(&full).unwrap().claims;
    assert_eq!(
        ["plan", "seats", "roles", "also"].map(|name| said[name].clone()),
        [json!("free"), json!(7), json!(["user", "editor"]), json!(["owner"])]
    );
    let mut facts = full;
    facts.user.attributes.insert("plan".to_owned(), Datum::Number(1));
    let refused = rendered(&facts).unwrap_err();
    assert!(!refused.is_choice(), "the template or the attribute is a mistake");
    assert_eq!(
        refused.to_string(),
        "claims.plan: `user.attr('plan')` is a number of this person, and the template takes text"
    );
    facts.user.attributes.remove("plan");
    assert!(rendered(&facts).unwrap_err().is_choice(), "the template asks for what they do not have");

    let two_kinds = json!({ "a": "{{ user.attr('plan') ? }}", "b": "{{ user.attr('plan', 'list') ? }}" });
    let problems = Bridge::new(jwt_spec(two_kinds)).unwrap_err();
    assert!(
        matches!(&problems[0].problem, Problem::Sample { sample: "full", error } if !error.is_choice()),
        "{problems:?}"
    );
}

/// Values that nothing uses are not read from the database.
#[test]
fn a_bridge_needs_what_its_rule_and_template_ask_for() {
    let none = Needs { links: false, groups: false, attributes: false, passkey: false };
    let claims = |claims: Value| jwt_spec(claims);
    let grouped = Allow { groups_any: vec!["staff".to_owned()], ..Allow::default() };
    for (name, definition, expected) in [
        ("nothing", claims(json!({ "role": "x", "acr": "{{ session.acr? }}", "mail": "{{ user.email? }}" })), none),
        ("groups", claims(json!({ "g": ["{{ user.groups | first ? }}"] })), Needs { groups: true, ..none }),
        ("a passkey", claims(json!({ "p": { "uv": "{{ passkey.uv ?? false }}" } })), Needs { passkey: true, ..none }),
        (
            "within a text",
            claims(json!({ "p": "{{ tmpl('a.{}', passkey.id_hash) ? }}" })),
            Needs { passkey: true, ..none },
        ),
        ("a link", claims(json!({ "l": "{{ link('x') ? }}" })), Needs { links: true, ..none }),
        (
            "a link as subject",
            BridgeDefinition { subject: Some("{{ link('x') ?? user.id }}".to_owned()), ..claims(Value::Null) },
            Needs { links: true, ..none },
        ),
        (
            "an attribute",
            claims(json!({ "p": ["{{ tmpl('t.{}', user.attr('tenant')) ? }}"] })),
            Needs { attributes: true, ..none },
        ),
        ("groups by rule", BridgeDefinition { allow: grouped, ..claims(Value::Null) }, Needs { groups: true, ..none }),
    ] {
        assert_eq!(Bridge::new(definition).unwrap().needs(), expected, "{name}");
    }
}

#[test]
fn the_size_cap_is_never_below_the_real_length() {
    let rendered = Bridge::new(firebase_spec(Value::Null)).unwrap();
    let rendered = rendered.render(&sample::full(&[]), sample::moment(), Uuid::nil()).unwrap();
    let token = testing::sign(&rendered.header.to_json(None), &rendered.claims, &testing::account());
    let counted = compact_bytes(&rendered.header, &rendered.text);
    assert_eq!(counted - token.len(), 683 - 342, "the same but for the key, which has 2048 bits instead of 4096");
}

/// A template that puts every text and list that a user or client can influence into the token.
fn greedy() -> Value {
    json!({
        "name": "{{ user.name? }}", "email": "{{ user.email? }}", "locale": "{{ user.locale? }}",
        "username": "{{ user.username? }}", "groups": "{{ user.groups }}", "scopes": "{{ grant.scopes }}",
        "audiences": "{{ grant.audience }}", "client_name": "{{ client.name? }}", "json": "{{ user.name | json ? }}",
        "attribute": "{{ user.attr('tenant') }}", "roles": "{{ user.attr('roles', 'list') }}",
        "transports": "{{ passkey.transports? }}", "rp": "{{ passkey.rp_id? }}", "only": "{{ user.groups | only('app:') }}",
    })
}

fn hostile_facts(value: &str) -> Facts {
    let mut facts = sample::full(&[]);
    let text = || Some(value.to_owned());
    let list = || vec![value.to_owned(), "x".to_owned()];
    facts.user.name = text();
    facts.user.email = text();
    facts.user.locale = text();
    facts.user.username = text();
    facts.user.groups = list();
    facts.user.attributes.insert("tenant".to_owned(), Datum::Text(value.to_owned()));
    facts.user.attributes.insert("roles".to_owned(), Datum::List(list()));
    facts.grant.scopes = list();
    facts.grant.audience = list();
    facts.client.name = text();
    if let Some(passkey) = &mut facts.passkey {
        passkey.transports = list();
        passkey.rp_id = value.to_owned();
    }
    facts
}

#[test]
fn a_hostile_value_stays_a_value() {
    let bridge = Bridge::new(jwt_spec(greedy())).unwrap();
    let honest = bridge.render(&hostile_facts("honest"), sample::moment(), Uuid::nil()).unwrap();
    let names = |claims: &Value| claims.as_object().map(|m| m.keys().cloned().collect::<Vec<_>>());
    for value in [
        "\",\"role\":\"admin",
        "\"}\n{\"iss\":\"evil\"}",
        "a\r\nX-Injected: 1",
        "{{ user.id }}",
        "\u{0}\u{7f}",
        "\u{202e}nimda\u{202c}",
        "*",
        ">",
        "app:*",
        "../../etc/passwd",
        "",
    ] {
        let rendered = bridge.render(&hostile_facts(value), sample::moment(), Uuid::nil()).unwrap();
        let read: Value = serde_json::from_str(&rendered.text).unwrap();
        assert_eq!(names(&read), names(&honest.claims), "{value:?}");
        assert_eq!(read["name"], value);
        assert_eq!(read["groups"], json!([value, "x"]));
        assert_eq!((&read["attribute"], &read["roles"]), (&json!(value), &json!([value, "x"])));
        for engine in ["iss", "sub", "aud", "iat", "exp", "jti"] {
            assert_eq!(read[engine], honest.claims[engine], "{engine} with {value:?}");
        }
    }
    let wild = bridge.render(&hostile_facts("*"), sample::moment(), Uuid::nil()).unwrap();
    assert_eq!(wild.claims["only"], json!([]), "a wildcard is no member of a list kept by prefix");
}

#[test]
fn ten_megabytes_in_any_fact_mint_nothing() {
    let value = "x".repeat(10_000_000);
    let facts = hostile_facts(&value);
    for (name, expression) in greedy().as_object().unwrap() {
        let bridge = Bridge::new(jwt_spec(json!({ name: expression }))).unwrap();
        assert!(
            matches!(
                bridge.render(&facts, sample::moment(), Uuid::nil()),
                Err(RenderError::Evaluation { error: EvaluationError::TooLong(_), .. })
            ),
            "{name}"
        );
    }
}

#[test]
fn the_size_cap_counts_the_finished_token() {
    let bridge = Bridge::new(BridgeDefinition {
        max_bytes: Some(600),
        kid: Some(KidPolicy::Omit),
        ..jwt_spec(json!({ "n": "{{ user.name }}" }))
    })
    .unwrap();
    let mut facts = sample::full(&[]);
    facts.user.name = Some(String::new());
    let mut longest = 0;
    for length in 0..600 {
        facts.user.name = Some("x".repeat(length));
        match bridge.render(&facts, sample::moment(), Uuid::nil()) {
            Ok(rendered) => longest = compact_bytes(&rendered.header, &rendered.text),
            Err(error) => {
                assert!(matches!(error, RenderError::TooLarge { bytes: 601..=604, max: 600 }), "{error}");
                assert!((597..=600).contains(&longest), "{longest}");
                return;
            }
        }
    }
    panic!("no length was refused");
}

/// Text that tries to be more than text: separators, wildcards, quotes, line breaks, bidirectional marks, look-alikes.
fn hostile_text() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "*",
        ">",
        "/",
        ".",
        ":",
        "#",
        "+",
        "%2F",
        "\"",
        "'",
        "\\",
        "\n",
        "\r",
        "\0",
        " ",
        ",",
        "{",
        "}}",
        "{{ user.id }}",
        "a",
        "admin",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{430}",
        "\u{ff0e}",
        "\u{2215}",
        "é",
        "\u{301}",
    ]);
    prop::collection::vec(parts, 0..12).prop_map(|parts| parts.concat())
}

/// Names similar to the reserved ones: in any case, with look-alikes and decorations.
fn any_name() -> impl Strategy<Value = String> {
    let reserved: Vec<&'static str> = target::RESERVED.into_iter().chain(firebase::RESERVED).collect();
    let near =
        (prop::sample::select(reserved), "[ \u{200b}\u{ff49}._-]?", any::<bool>()).prop_map(|(name, tail, upper)| {
            let name = if upper { name.to_uppercase() } else { name.to_owned() };
            name + &tail
        });
    prop_oneof![near, "[a-zA-Z_]{1,8}", "\\PC{0,6}"]
}

fn any_leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("{{ user.id }}")),
        Just(json!("{{ user.name? }}")),
        Just(json!("{{ user.groups }}")),
        Just(json!("{{ session.acr? }}")),
        Just(json!("{{ exp }}")),
        any::<i64>().prop_map(|n| json!(n)),
        "\\PC{0,40}".prop_map(|text| json!(text)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_template_and_no_user_can_write_a_reserved_name_or_pass_the_cap(
        claims in prop::collection::vec((any_name(), any_leaf()), 0..6),
        value in "\\PC{0,300}",
        max_bytes in 400_usize..3000,
    ) {
        let claims = Value::Object(claims.into_iter().collect::<Map<_, _>>());
        let facts = hostile_facts(&value);
        let id = facts.user.id.clone();
        if let Ok(bridge) = Bridge::new(BridgeDefinition { max_bytes: Some(max_bytes), ..jwt_spec(claims.clone()) })
            && let Ok(rendered) = bridge.render(&facts, sample::moment(), Uuid::nil())
        {
            prop_assert!(compact_bytes(&rendered.header, &rendered.text) <= max_bytes);
            prop_assert_eq!(&rendered.claims["iss"], "https://idp.example.com");
            prop_assert_eq!(&rendered.claims["sub"], &Value::from(id.clone()));
            prop_assert_eq!(&rendered.claims["exp"], 1_767_226_200);
            let taken = |name: &String| target::RESERVED.iter().any(|r| r.eq_ignore_ascii_case(name));
            let reserved = rendered.claims.as_object().unwrap().keys().filter(|name| taken(name)).count();
            prop_assert_eq!(reserved, 6, "only the engine's own");
        }
        if let Ok(bridge) = Bridge::new(BridgeDefinition { max_bytes: Some(max_bytes), ..firebase_spec(claims) })
            && let Ok(rendered) = bridge.render(&facts, sample::moment(), Uuid::nil())
        {
            prop_assert!(compact_bytes(&rendered.header, &rendered.text) <= max_bytes);
            prop_assert_eq!(firebase::check(&rendered.header.to_json(None), &rendered.claims), Ok(()));
            prop_assert_eq!(&rendered.claims["uid"], &Value::from(id));
        }
    }

    /// However hostile the input: each composed value has exactly the parts that the template wrote, or there is no
    /// token.
    #[test]
    fn no_value_adds_a_part_to_a_composed_text(value in prop_oneof![hostile_text(), "[a-zA-Z0-9_-]{1,40}"]) {
        let bridge = Bridge::new(BridgeDefinition {
            inputs: json!({ "room": { "charset": "text", "max_length": 1000 } }),
            ..jwt_spec(json!({
                "subject": "{{ tmpl('usr.{}.>', user.username) }}",
                "rooms": ["{{ tmpl('room/{}/#', input.room) }}", "{{ tmpl('{}:{}', client.name, user.username) }}"],
                "groups": "{{ user.groups | each('rabbitmq.write:%2F/{}') }}",
            }))
        }).unwrap();
        let given = json!({ "room": value });
        let Ok(inputs) = bridge.inputs().accept(given.as_object()) else { return Ok(()) };
        let facts = Facts { inputs, ..hostile_facts(&value) };
        if let Ok(rendered) = bridge.render(&facts, sample::moment(), Uuid::nil()) {
            let claims = &rendered.claims;
            let parts = |text: &Value, at: char| text.as_str().unwrap().split(at).count();
            prop_assert_eq!(parts(&claims["subject"], '.'), 3);
            prop_assert_eq!(parts(&claims["rooms"][0], '/'), 3);
            prop_assert_eq!(parts(&claims["rooms"][1], ':'), 2);
            prop_assert_eq!(parts(&claims["groups"][0], '/'), 2);
            for text in [&claims["subject"], &claims["rooms"][0], &claims["rooms"][1], &claims["groups"][0]] {
                prop_assert!(text.as_str().unwrap().bytes().all(|byte| byte.is_ascii_graphic() && !b"*\"'\\".contains(&byte)));
            }
        }
    }

    #[test]
    fn reading_an_expression_never_panics(text in "\\{\\{[ -~\\PC]{0,60}\\}\\}") {
        let _ = Expression::parse(&text, &Inputs::default());
    }
}
