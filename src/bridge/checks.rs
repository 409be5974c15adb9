//! Checks of a definition besides its preset's own rules: subject, inputs, way, and who may ask.

use serde_json::Value;

use super::facts::{Fact, Kind};
use super::preset::about::Verified;
use super::preset::rules::{Problems, merged};
use super::preset::way::Way;
use super::spec::{BridgeDefinition, Problem};
use super::template::Template;
use super::{Allow, Expression, Inputs, call, callout};

/// Targets put subjects into SQL, file names, topics and patterns; these characters are harmless in all of them.
pub(super) fn is_subject(subject: &str, max: usize) -> bool {
    (1..=max).contains(&subject.len())
        && subject.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~@:|/+=#,".contains(&byte))
}

/// Facts that identify a single user. A name does not: people choose it.
const IDENTIFYING: [Fact; 2] = [Fact::UserId, Fact::UserEmail];

/// The declared inputs.
pub(super) fn parse_inputs(declared: &Value, problems: &mut Problems) -> Inputs {
    Inputs::parse(declared).unwrap_or_else(|found| {
        for (place, problem) in found {
            problems.add(&place, problem.into());
        }
        Inputs::default()
    })
}

/// The expression of the subject.
pub(super) fn parse_subject(text: Option<&str>, problems: &mut Problems) -> Option<Expression> {
    let problem = match Expression::parse(text.unwrap_or("{{ user.id }}"), &Inputs::default()) {
        Ok(Some(expression)) if !expression.is_only_of(&IDENTIFYING) => Problem::Form(
            "made of `user.id`, `user.email` and `link('…')` alone: anything else may be the same for two users, or \
             chosen by one",
        ),
        Ok(Some(expression)) if expression.kind() == Kind::Text && !expression.is_optional() => {
            return Some(expression);
        }
        Ok(Some(_)) => Problem::Form("an expression of text, without `?`: every token has a subject"),
        Ok(None) => Problem::Form("an expression `{{ … }}`: one fixed subject would make all users one"),
        Err(problem) => problem.into(),
    };
    problems.add("subject", problem);
    None
}

/// The template: the claims of the preset combined with those of the definition, checked against the preset's rules.
pub(super) fn parse_template(spec: &BridgeDefinition, inputs: &Inputs, problems: &mut Problems) -> Option<Template> {
    let rules = spec.preset.rules();
    match Template::parse(&merged(rules.defaults(), &spec.claims), inputs) {
        Ok(template) => {
            rules.vet(&template, problems);
            Some(template)
        }
        Err(found) => {
            for (place, problem) in found {
                problems.add(&place, problem.into());
            }
            None
        }
    }
}

/// The checks that need neither the template nor the plan.
pub(super) fn check_definition(spec: &BridgeDefinition, problems: &mut Problems) {
    check_allow(&spec.allow, problems);
    check_way(spec, problems);
    // PostgreSQL's `jsonb` rejects NUL, and no target needs it.
    if serde_json::to_string(spec).is_ok_and(|text| text.contains("\\u0000")) {
        problems.add("definition", Problem::Form("without NUL characters"));
    }
    if let Verified::Unverified(why) = spec.preset.rules().about().verified
        && !spec.allow_unverified
    {
        problems.add("preset", Problem::Unverified(why));
    }
}

/// The settings that only some ways use.
fn check_way(spec: &BridgeDefinition, problems: &mut Problems) {
    let way = spec.preset.rules().way();
    match (way, &spec.url) {
        (Way::Token | Way::Channels, Some(_)) => problems.add("url", Problem::Unused("nobody is asked for this token")),
        (Way::NatsCallout, None) => {
            problems.add("url", Problem::Required("the address of NATS, such as `tls://nats.example.com:4222`"));
        }
        (Way::NatsCallout, Some(url)) if callout::Address::parse(url).is_none() => {
            problems.add("url", Problem::Form("`tls://host:port`, or `nats://host:port` in a private network"));
        }
        (Way::Call, None) if spec.preset.call().is_none_or(|target| target.usual_url.is_none()) => {
            problems.add("url", Problem::Required("the address of the target's API"));
        }
        (Way::Call, Some(url)) if !call::is_url(url) => {
            problems.add(
                "url",
                Problem::Form("`https://…` (`http://…` in a private network), without user name and query"),
            );
        }
        (Way::Call, _) | (Way::Token | Way::Channels, None) | (Way::NatsCallout, Some(_)) => {}
    }
    if let Some(audience) = &spec.bearer_audience {
        if way != Way::NatsCallout {
            problems.add("bearer_audience", Problem::Unused("no access token comes by another program"));
        } else if !(1..=512).contains(&audience.len()) || !audience.bytes().all(|byte| byte.is_ascii_graphic()) {
            problems.add("bearer_audience", Problem::Form("up to 512 visible ASCII characters"));
        }
    }
}

/// The rule of who may ask.
fn check_allow(allow: &Allow, problems: &mut Problems) {
    let plain = |text: &String| (1..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !allow.clients.iter().all(plain) {
        problems.add("allow.clients", Problem::Form("client ids of visible ASCII"));
    }
    if !allow.scopes_any.iter().all(plain) {
        problems.add("allow.scopes", Problem::Form("scopes of visible ASCII"));
    }
    if allow.groups_any.iter().any(|group| group.trim().is_empty() || group.chars().any(char::is_control)) {
        problems.add("allow.groups", Problem::Form("names of groups, on one line"));
    }
    if allow.min_acr.is_some_and(|least| !least.is_reachable()) {
        let form = "`phr`, or left out: nobody reaches `phrh`, because attestation is not verified yet";
        problems.add("allow.min_acr", Problem::Form(form));
    }
    if allow.max_auth_age.is_some_and(|age| age < chrono::Duration::seconds(10)) {
        problems.add("allow.max_auth_age", Problem::Form("at least 10 seconds"));
    }
}
