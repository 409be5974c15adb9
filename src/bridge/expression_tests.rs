use serde_json::{Value, json};

use super::*;
use crate::bridge::sample;

type Check<'a> = &'a dyn Fn(&ExpressionProblem) -> bool;

fn evaluate(text: &str, facts: &crate::bridge::facts::Facts) -> Result<Option<Value>, EvaluationError> {
    let expression = Expression::parse(text).unwrap().unwrap_or_else(|| panic!("{text} is an expression"));
    let context = Context { facts, now: 1000, exp: 1600 };
    Ok(expression.evaluate(&context)?.map(Value::from))
}

#[test]
fn values_keep_their_json_type() {
    let facts = sample::full(&["firebase"]);
    for (text, value) in [
        ("{{ user.id }}", json!("0c4a6b8e-5d1f-4f7e-9a33-2f0d8f5e7c11")),
        ("{{user.email|lower}}", json!("ada@example.com")),
        ("{{ passkey.uv }}", json!(true)),
        ("{{ now }}", json!(1000)),
        ("{{ exp | str }}", json!("1600")),
        ("{{ user.groups }}", json!(["staff", "editors"])),
        ("{{ user.groups | only('ed') | join(',') }}", json!("editors")),
        ("{{ user.groups | in(\"staff\", 'x') | first }}", json!("staff")),
        ("{{ link('firebase') ?? user.id }}", json!("external-4711")),
        ("{{ link('other') ?? user.email | sha256 | in('no') ?? 'none' }}", json!("none")),
        ("{{ 7 }}", json!(7)),
        ("{{ -7 }}", json!(-7)),
        ("{{ false }}", json!(false)),
    ] {
        assert_eq!(evaluate(text, &facts), Ok(Some(value)), "{text}");
    }
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
        assert_eq!(Expression::parse(text), Ok(None), "{text}");
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
    let cases: [(&str, Check<'_>); 26] = [
        ("hello {{ user.id }}", &stray),
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
    ];
    for (text, expected) in cases {
        let problem = Expression::parse(text).expect_err(text);
        assert!(expected(&problem), "{text}: {problem}");
    }
    assert_eq!(Expression::parse(&format!("{{{{ '{}' }}}}", "x".repeat(600))), Err(ExpressionProblem::TooLong));
}

#[test]
fn only_a_bare_fact_is_just_that_fact() {
    let is_acr = |text: &str| Expression::parse(text).unwrap().unwrap().is_just(Fact::SessionAcr);
    assert!(is_acr("{{ session.acr }}"));
    assert!(is_acr("{{ session.acr ? }}"));
    assert!(!is_acr("{{ session.acr ?? 'phr' }}"));
    assert!(!is_acr("{{ session.acr | lower }}"));
    assert!(!is_acr("{{ 'phr' }}"));
}
