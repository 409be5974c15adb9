use serde_json::{Value, json};

use super::*;
use crate::bridge::sample;

fn inputs() -> Inputs {
    Inputs::parse(&json!({
        "room": {}, "level": { "one_of": ["low", "high"], "required": false }, "count": { "type": "number" },
        "channels": { "type": "list" },
    }))
    .unwrap()
}

type Check<'a> = &'a dyn Fn(&ExpressionProblem) -> bool;

fn evaluate(text: &str, facts: &crate::bridge::facts::Facts) -> Result<Option<Value>, EvaluationError> {
    let expression = Expression::parse(text, &inputs()).unwrap().unwrap_or_else(|| panic!("{text} is an expression"));
    let context = Context { facts, now: 1000, exp: 1600 };
    Ok(expression.evaluate(&context)?.map(Value::from))
}

#[test]
fn values_keep_their_json_type() {
    let facts = sample::asking(sample::full(&["firebase"]), inputs().samples(true));
    for (text, value) in [
        ("{{ user.id }}", json!("0c4a6b8e-5d1f-4f7e-9a33-2f0d8f5e7c11")),
        ("{{user.email|lower}}", json!("ada@example.com")),
        ("{{ passkey.uv }}", json!(true)),
        ("{{ now }}", json!(1000)),
        ("{{ exp | str }}", json!("1600")),
        ("{{ user.groups }}", json!(["staff", "editors"])),
        ("{{ user.groups | only('ed') | join(',') }}", json!("editors")),
        ("{{ user.groups | in(\"staff\", 'x') | first }}", json!("staff")),
        ("{{ link('firebase') ?? user.id }}", json!("8f14e45f-ceea-467a-9f1d-8b5a3a5d2c11")),
        ("{{ link('other') ?? user.email | sha256 | in('no') ?? 'none' }}", json!("none")),
        ("{{ input.room }}", json!("sample")),
        ("{{ input.count }}", json!(7)),
        ("{{ input.channels }}", json!(["sample"])),
        ("{{ tmpl('usr.{}.>', link('firebase')) }}", json!("usr.8f14e45f-ceea-467a-9f1d-8b5a3a5d2c11.>")),
        ("{{ tmpl('{}:{}', input.room, user.groups | first) }}", json!("sample:staff")),
        (
            "{{ tmpl('{\"chat:{}\":[\"subscribe\"]}', link('firebase')) }}",
            json!("{\"chat:8f14e45f-ceea-467a-9f1d-8b5a3a5d2c11\":[\"subscribe\"]}"),
        ),
        ("{{ user.groups | each('grp.{}.*') }}", json!(["grp.staff.*", "grp.editors.*"])),
        ("{{ user.groups | map('editors', 'Editor', 'x', 'y') }}", json!(["Editor"])),
        ("{{ session.acr | map('phr', 'aal2', 'phrh', 'aal2') ?? 'aal1' }}", json!("aal2")),
        ("{{ user.locale | map('de', 'x') ?? 'none' }}", json!("none")),
        (
            "{{ 'www.example.com' | uuid5('6ba7b810-9dad-11d1-80b4-00c04fd430c8') }}",
            json!("2ed6657d-e927-568b-95e1-2665a8aea6a2"),
        ),
        ("{{ 7 }}", json!(7)),
        ("{{ -7 }}", json!(-7)),
        ("{{ false }}", json!(false)),
    ] {
        assert_eq!(evaluate(text, &facts), Ok(Some(value)), "{text}");
    }
}

fn keeping(attributes: &[(&str, Datum)]) -> crate::bridge::facts::Facts {
    let mut facts = sample::full(&[]);
    facts.user.attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    facts
}

fn text(value: &str) -> Datum {
    Datum::Text(value.to_owned())
}

fn list(items: &[&str]) -> Datum {
    Datum::List(items.iter().map(|item| (*item).to_owned()).collect())
}

#[test]
fn attributes_have_the_kind_that_was_announced() {
    let facts = keeping(&[
        ("plan", text("pro")),
        ("seats", Datum::Number(3)),
        ("trial", Datum::Flag(false)),
        ("roles", list(&["editor", "owner"])),
    ]);
    for (text, value) in [
        ("{{ user.attr('plan') }}", json!("pro")),
        ("{{ user.attr( \"plan\" , 'text' ) }}", json!("pro")),
        ("{{ user.attr('seats', 'number') }}", json!(3)),
        ("{{ user.attr('seats', 'number') | str }}", json!("3")),
        ("{{ user.attr('trial', 'flag') }}", json!(false)),
        ("{{ user.attr('roles', 'list') | in('editor', 'viewer') | with('user') }}", json!(["user", "editor"])),
        ("{{ tmpl('tenant.{}', user.attr('plan')) }}", json!("tenant.pro")),
        ("{{ user.attr('other') ?? user.attr('plan') }}", json!("pro")),
        ("{{ user.attr('other', 'list') | with('user') ?? 'user' | list }}", json!(["user"])),
    ] {
        assert_eq!(evaluate(text, &facts), Ok(Some(value)), "{text}");
    }
    assert_eq!(evaluate("{{ user.attr('other') ? }}", &facts), Ok(None));
    let missing = EvaluationError::Missing("user.attr('other')".to_owned());
    assert_eq!(evaluate("{{ user.attr('other') }}", &facts), Err(missing));
    // Neither a default nor `?` makes up for a value whose kind differs from what the template expects.
    for (text, name, found, wanted) in [
        ("{{ user.attr('seats') ? }}", "seats", Kind::Number, Kind::Text),
        ("{{ user.attr('plan', 'list') ?? user.groups }}", "plan", Kind::Text, Kind::List),
        ("{{ user.attr('roles') ?? 'none' }}", "roles", Kind::List, Kind::Text),
        ("{{ user.attr('trial', 'number') }}", "trial", Kind::Flag, Kind::Number),
    ] {
        let error = EvaluationError::AttributeKind { name: format!("user.attr('{name}')"), found, wanted };
        assert_eq!(evaluate(text, &facts), Err(error), "{text}");
    }
}

/// What follows an attribute determines what a sample of it must be.
#[test]
fn the_attributes_of_an_expression_are_known_with_what_it_has_a_use_for() {
    for (text, kind, examples) in [
        ("{{ user.attr('a') }}", Kind::Text, &[][..]),
        ("{{ user.attr('a') | in('x', 'y') }}", Kind::Text, &["x", "y"]),
        ("{{ user.attr('a', 'list') | first | lower | map('x', 'X') }}", Kind::List, &["x"]),
        ("{{ user.attr('a', 'list') | only('app:') | in('app:x') }}", Kind::List, &["app:"]),
        ("{{ user.attr('a') | int }}", Kind::Text, &["7"]),
        ("{{ user.attr('a') | bool }}", Kind::Text, &["true"]),
        ("{{ user.attr('a', 'list') | each('grp.{}') | in('grp.x') }}", Kind::List, &[]),
        ("{{ user.id ?? tmpl('{}', user.attr('a')) }}", Kind::Text, &[]),
    ] {
        let expression = Expression::parse(text, &inputs()).unwrap().unwrap();
        let expected = AttributeUse { name: "a", kind, examples: examples.to_vec() };
        assert_eq!(expression.attributes().collect::<Vec<_>>(), [expected], "{text}");
    }
    let none = Expression::parse("{{ link('a') ?? user.id }}", &inputs()).unwrap().unwrap();
    assert_eq!(none.attributes().count(), 0);
}

#[test]
fn missing_values_fail_are_left_out_or_have_a_default() {
    let facts = sample::bare();
    for text in ["{{ user.email }}", "{{ passkey.uv }}", "{{ link('x') }}", "{{ user.groups | first }}"] {
        assert!(matches!(evaluate(text, &facts), Err(EvaluationError::Missing(_))), "{text}");
    }
    for text in ["{{ user.email? }}", "{{ user.email | lower ? }}", "{{ link('x') ?? user.name ? }}"] {
        assert_eq!(evaluate(text, &facts), Ok(None), "{text}");
    }
    assert_eq!(evaluate("{{ passkey.uv ?? false }}", &facts), Ok(Some(json!(false))));
    assert_eq!(evaluate("{{ user.name ?? user.username ?? 'someone' }}", &facts), Ok(Some(json!("someone"))));
}

#[test]
fn text_without_braces_is_text() {
    for text in ["", "plain", "{ single }", "user.id", "{{".get(..1).unwrap()] {
        assert_eq!(Expression::parse(text, &inputs()), Ok(None), "{text}");
    }
}

#[test]
fn mistakes_are_found_when_saved() {
    let syntax = |problem: &ExpressionProblem| matches!(problem, ExpressionProblem::Syntax { .. });
    let stray = |problem: &ExpressionProblem| *problem == ExpressionProblem::StrayBraces;
    let fact = |problem: &ExpressionProblem| matches!(problem, ExpressionProblem::UnknownFact(_));
    let kind = |problem: &ExpressionProblem| matches!(problem, ExpressionProblem::FilterKind { .. });
    let filter = |problem: &ExpressionProblem| matches!(problem, ExpressionProblem::Filter(_));
    let mixed = |problem: &ExpressionProblem| matches!(problem, ExpressionProblem::Mixed(..));
    let input = |problem: &ExpressionProblem| matches!(problem, ExpressionProblem::UnknownInput(_));
    let tmpl = |problem: &ExpressionProblem| *problem == ExpressionProblem::Tmpl;
    let attribute = |problem: &ExpressionProblem| matches!(problem, ExpressionProblem::AttributeName(_));
    let attribute_kind = |problem: &ExpressionProblem| matches!(problem, ExpressionProblem::AttributeKind(_));
    let cases = [
        ("hello {{ user.id }}", &stray as Check<'_>),
        ("{{ user.id }} ", &stray),
        ("{{ user.id }}{{ user.id }}", &stray),
        ("{{ user.id", &stray),
        ("user.id }}", &stray),
        ("{{}", &stray),
        ("{{}}", &syntax),
        ("{{ ?? user.id }}", &syntax),
        ("{{ user.id ?? }}", &syntax),
        ("{{ user.id | }}", &syntax),
        ("{{ user.id user.id }}", &syntax),
        ("{{ user.id ? ?? 'x' }}", &syntax),
        ("{{ link(firebase) }}", &syntax),
        ("{{ link('') }}", &syntax),
        ("{{ link('x' }}", &syntax),
        ("{{ 'open }}", &syntax),
        ("{{ 1.5 }}", &syntax),
        ("{{ user.groups | join(',' }}", &syntax),
        ("{{ user.password }}", &fact),
        ("{{ User.id }}", &fact),
        ("{{ env.HOME }}", &fact),
        ("{{ user.id | eval }}", &filter),
        ("{{ user.groups | join }}", &filter),
        ("{{ user.groups | lower }}", &kind),
        ("{{ passkey.uv | int }}", &kind),
        ("{{ passkey.uv ?? 'no' }}", &mixed),
        ("{{ input.other }}", &input),
        ("{{ input. }}", &input),
        ("{{ user.attr }}", &syntax),
        ("{{ user.attr(plan) }}", &syntax),
        ("{{ user.attr('plan' }}", &syntax),
        ("{{ user.attr('plan',) }}", &syntax),
        ("{{ user.attr('plan', 'text', 'text') }}", &syntax),
        ("{{ user.attr.plan }}", &fact),
        ("{{ user.attr('') }}", &attribute),
        ("{{ user.attr('tenant.id') }}", &attribute),
        ("{{ user.attr('plan', 'string') }}", &attribute_kind),
        ("{{ user.attr('plan', '') }}", &attribute_kind),
        ("{{ user.attr('roles', 'list') | lower }}", &kind),
        ("{{ user.attr('seats', 'number') ?? 'none' }}", &mixed),
        ("{{ tmpl('{}', user.attr('seats', 'number')) }}", &tmpl),
        ("{{ user.id | with('x') }}", &kind),
        ("{{ user.groups | with }}", &filter),
        ("{{ tmpl('no place', user.id) }}", &tmpl),
        ("{{ tmpl('{}') }}", &tmpl),
        ("{{ tmpl('{}', user.id, user.id) }}", &tmpl),
        ("{{ tmpl('{}', user.groups) }}", &tmpl),
        ("{{ tmpl(user.id) }}", &syntax),
        ("{{ tmpl('{}', user.id }}", &syntax),
        ("{{ user.groups | each('grp') }}", &filter),
        ("{{ user.groups | each('{}', '{}') }}", &filter),
        ("{{ user.id | each('{}') }}", &kind),
        ("{{ user.id | map('a') }}", &filter),
        ("{{ user.id | map }}", &filter),
        ("{{ user.id | uuid5('dns') }}", &filter),
    ];
    for (text, expected) in cases {
        let problem = Expression::parse(text, &inputs()).expect_err(text);
        assert!(expected(&problem), "{text}: {problem}");
    }
    assert_eq!(
        Expression::parse(&format!("{{{{ '{}' }}}}", "x".repeat(600)), &inputs()),
        Err(ExpressionProblem::TooLong)
    );
}

#[test]
fn only_a_bare_fact_is_just_that_fact() {
    let is_acr = |text: &str| Expression::parse(text, &inputs()).unwrap().unwrap().is_just(Fact::SessionAcr);
    assert!(is_acr("{{ session.acr }}"));
    assert!(is_acr("{{ session.acr ? }}"));
    assert!(!is_acr("{{ session.acr ?? 'phr' }}"));
    assert!(!is_acr("{{ session.acr | lower }}"));
    assert!(!is_acr("{{ 'phr' }}"));
}

/// User input is literal or refused: it never becomes a second part of a structured text.
#[test]
fn a_composed_text_has_the_parts_that_were_written() {
    let mut facts = sample::asking(sample::full(&[]), inputs().samples(true));
    for hostile in
        ["*", ">", "a.b", "a/b", "a:b", "a,b", "a b", "a\"b", "a'b", "a\nb", "", "\u{202e}a", "\u{430}dmin", "%2F"]
    {
        facts.user.name = Some(hostile.to_owned());
        facts.user.groups = vec!["ok".to_owned(), hostile.to_owned()];
        facts.user.attributes.insert("tenant".to_owned(), Datum::Text(hostile.to_owned()));
        facts.user.attributes.insert("roles".to_owned(), list(&["ok", hostile]));
        for text in [
            "{{ tmpl('usr.{}.>', user.name) }}",
            "{{ user.groups | each('grp.{}') }}",
            "{{ tmpl('t.{}.>', user.attr('tenant')) }}",
            "{{ user.attr('roles', 'list') | each('role.{}') }}",
        ] {
            let refused = evaluate(text, &facts);
            assert!(matches!(refused, Err(EvaluationError::Filter(_, FilterFailure::Unsafe))), "{text}: {hostile:?}");
        }
        let hashed = evaluate("{{ tmpl('usr.{}.>', user.name | sha256) }}", &facts).unwrap().unwrap();
        assert_eq!(hashed.as_str().unwrap().split('.').count(), 3, "a digest can always be put in");
    }
    facts.user.name = None;
    assert!(matches!(evaluate("{{ tmpl('{}', user.name) }}", &facts), Err(EvaluationError::Missing(_))));
    assert_eq!(evaluate("{{ tmpl('{}', user.name) ? }}", &facts), Ok(None));
}

#[test]
fn what_people_choose_is_known() {
    let is_chosen = |text: &str| Expression::parse(text, &inputs()).unwrap().unwrap().is_chosen();
    for text in [
        "{{ user.name }}",
        "{{ user.email }}",
        "{{ client.name }}",
        "{{ input.room }}",
        "{{ user.id ?? user.name }}",
        "{{ user.name | only('app:') }}",
        "{{ user.name | sha256 }}",
        "{{ tmpl('a.{}', input.room) }}",
        "{{ input.channels }}",
    ] {
        assert!(is_chosen(text), "{text}");
    }
    for text in [
        "{{ user.id }}",
        "{{ user.groups }}",
        "{{ link('x') }}",
        "{{ user.attr('plan') }}",
        "{{ user.attr('roles', 'list') | in('x') | with('user') }}",
        "{{ 'plain' }}",
        "{{ grant.scopes | only('app:') }}",
        "{{ input.level }}",
        "{{ user.name | in('a', 'b') }}",
        "{{ user.name | map('a', 'b') }}",
        "{{ tmpl('a.{}', input.room | in('x')) }}",
    ] {
        assert!(!is_chosen(text), "{text}");
    }
}

#[test]
fn only_what_keeps_people_apart_identifies_them() {
    let identifies = |text: &str| Expression::parse(text, &inputs()).unwrap().unwrap().is_only_of(&[Fact::UserId]);
    for text in [
        "{{ user.id | sha256 }}",
        "{{ tmpl('{}@chat', user.id) }}",
        "{{ link('x') | uuid5('6ba7b810-9dad-11d1-80b4-00c04fd430c8') ?? user.id }}",
    ] {
        assert!(identifies(text), "{text}");
    }
    for text in [
        "{{ user.id | map('a', 'x', 'b', 'x') }}",
        "{{ tmpl('{}{}', user.id, link('x')) }}",
        "{{ tmpl('{}', user.name) }}",
        "{{ input.room }}",
        "{{ tmpl('{}', 'same') }}",
        "{{ link('x') | lower }}",
        "{{ link('x') ?? link('y') }}",
        "{{ user.attr('tenant') }}",
        "{{ tmpl('{}.{}', user.attr('tenant'), user.id) }}",
        "{{ user.attr('id') ?? user.id }}",
    ] {
        assert!(!identifies(text), "{text}");
    }
}
