//! NATS in operator mode: the JWT that admits a user, signed by an account's key.
//!
//! It is not a JOSE token: `alg` is `ed25519-nkey`, keys have their own text format ([`nkey`]), and an omitted limit is
//! zero. A user whose `allow` lists are missing or empty may do everything in the account, so both lists must have
//! members.
//!
//! Source: github.com/nats-io/jwt v2; run against nats-server 2.9.10 and 2.10.27.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Map, Value, json};

use super::about::{About, Snippet, Verified};
use super::claim::{Claim, at, check_claims, claim, vet_claims};
use super::rules::{NatsAccount, Parts, Plan, Preset, Problems, Violation, settle_max_bytes};
use super::shape;
use super::target::Lifetime;
use crate::bridge::key::Material;
use crate::bridge::nkey::{self, Role};
use crate::bridge::spec::{Algorithm, AudienceForm, BridgeDefinition, KidPolicy, Problem, Typ};
use crate::bridge::template::Template;
use crate::tokens::keys::PublicKey;

const ABOUT: About = About {
    title: "NATS, user JWT",
    page: "nats",
    summary: "The JWT of a user in an operator-mode NATS: what to connect with, and which subjects it may publish and subscribe to.",
    verified: Verified::Live("nats-server 2.9.10 and 2.10.27"),
    key_lag: 0,
    example: r#"[bridges.nats]
preset = "nats-user"
key_file = "/run/secrets/account-signing-key.nk"          # the seed, SA…
issuer = "AAEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSRYX"   # the account, where a signing key of it signs

[bridges.nats.claims]
pub = { allow = ["{{ tmpl('usr.{}.>', user.id) }}"] }
sub = { allow = ["{{ tmpl('usr.{}.>', user.id) }}", "{{ tmpl('_INBOX_{}.>', user.id) }}"] }
"#,
    other_side: &[
        Snippet {
            place: "Make a signing key for the account, and give its seed to Passmint",
            language: "sh",
            text: "nsc generate nkey --account         # the seed (SA…) is for Passmint, the public half (A…) for the account
nsc edit account --name APP --sk A…",
        },
        Snippet {
            place: "The app",
            language: "js",
            text: "import { jwtAuthenticator, wsconnect } from \"@nats-io/nats-core\";

const { token } = await freshToken();
const connection = await wsconnect({
  servers: \"wss://nats.example.com\",
  authenticator: jwtAuthenticator(token),
  inboxPrefix: `_INBOX_${userId}`,
});",
        },
    ],
    notes: &[
        "By default the token is a *bearer* JWT: anyone who has it is let in, so it is short-lived. With `user_nkey = \
         \"{{ input.user_nkey }}\"` among the claims and an input of that name with `charset = \"nkey\"`, the token is \
         for the key that the caller has, and the server asks the caller to prove it.",
        "Each person has one user key as seen by NATS, derived from the account's key and the bridge's subject: revoke it in the account to \
         shut one person out (`nsc revocations add-user`).",
        "`pub.allow` and `sub.allow` must not be empty: NATS treats an empty list as no limit at all. Subjects that \
         begin with `*`, `>` or `$` need `dangerous = true`. A shared inbox `_INBOX.>` would let everybody read \
         everybody else's answers: give each person a prefix.",
        "To answer requests a person needs `resp = { max = 1, ttl = 5000000000 }` (nanoseconds): the right to publish once to each reply subject.",
        "`subs`, `data` and `payload` are -1 (no limit) unless the template says otherwise: left out they would be 0.",
    ],
};

/// What a user may do.
pub(super) const PERMISSIONS: &[Claim] = &[
    claim(&["pub"], shape::OBJECT).needed(),
    claim(&["pub", "allow"], shape::SOME_TEXTS).needed().rights(),
    claim(&["pub", "deny"], shape::TEXTS),
    claim(&["sub"], shape::OBJECT).needed(),
    claim(&["sub", "allow"], shape::SOME_TEXTS).needed().rights(),
    claim(&["sub", "deny"], shape::TEXTS),
    claim(&["resp"], shape::OBJECT),
    claim(&["resp", "max"], shape::NUMBER),
    claim(&["resp", "ttl"], shape::NUMBER),
    claim(&["subs"], shape::NUMBER),
    claim(&["data"], shape::NUMBER),
    claim(&["payload"], shape::NUMBER),
    claim(&["tags"], shape::TEXTS),
    claim(&["allowed_connection_types"], shape::TEXTS),
];
/// A key that the user supplies.
const OWN_KEY: &[Claim] = &[claim(&["user_nkey"], shape::TEXT)];
const LIMITS: [&str; 3] = ["subs", "data", "payload"];
const MEMBERS: [&str; 7] = ["jti", "iat", "exp", "iss", "sub", "name", "nats"];

/// The preset `nats-user`.
#[derive(Clone, Copy, Debug)]
pub struct NatsUser;

impl Preset for NatsUser {
    fn about(&self) -> &About {
        &ABOUT
    }

    fn settle(&self, spec: &BridgeDefinition, problems: &mut Problems) -> Plan {
        if spec.audience.is_some() {
            problems.add("audience", Problem::Unused(NO_SUCH_THING));
        }
        let plan = settle(spec, Lifetime::DAY, problems);
        let issuer = spec.issuer.clone().unwrap_or_else(|| plan.issuer.clone());
        if spec.issuer.is_some() && !nkey::is_public(Role::Account, &issuer) {
            problems.add("issuer", Problem::Form("the account's public key, A…: what a signing key signs for"));
        }
        Plan { issuer, ..plan }
    }

    fn vet(&self, template: &Template, problems: &mut Problems) {
        vet(&[PERMISSIONS, OWN_KEY], template, problems);
    }

    fn assemble(&self, plan: &Plan, parts: Parts) -> Map<String, Value> {
        let mut nats = parts.claims;
        let given = nats.remove("user_nkey");
        complete(&mut nats);
        let own = plan.nats.as_ref().map(|account| account.public.as_str()).unwrap_or_default();
        if plan.issuer != own {
            nats.insert("issuer_account".to_owned(), json!(plan.issuer));
        }
        if given.is_none() {
            nats.insert("bearer_token".to_owned(), json!(true));
        }
        let user = given.unwrap_or_else(|| plan.nats.as_ref().map(|account| user_key(account, &parts.subject)).into());
        let claims = json!({
            "jti": parts.jti.simple().to_string(), "iat": parts.iat, "exp": parts.exp, "iss": own, "sub": user,
            "name": parts.subject, "nats": nats,
        });
        claims.as_object().cloned().unwrap_or_default()
    }

    fn check(&self, plan: &Plan, header: &Value, claims: &Value) -> Vec<Violation> {
        let mut broken = check_user(plan, header, claims, &MEMBERS);
        let own = plan.nats.as_ref().map(|account| account.public.as_str());
        let account = (Some(plan.issuer.as_str()) != own).then_some(plan.issuer.as_str());
        if claims["nats"].get("issuer_account").and_then(Value::as_str) != account {
            broken.push(Violation::Claim("nats.issuer_account"));
        }
        broken
    }
}

/// The message for settings that NATS does not have.
pub(super) const NO_SUCH_THING: &str = "NATS has no such thing in a user's JWT";

/// The plan for the JWT of any user; the issuer is the key itself.
pub(super) fn settle(spec: &BridgeDefinition, lifetime: Lifetime, problems: &mut Problems) -> Plan {
    let account = spec.material.as_ref().and_then(account);
    if account.is_none() {
        problems
            .add("key", Problem::Required("the seed (SA…) of the account or of a signing key of it, in `key_file`"));
    }
    for (place, is_given) in [
        ("audience_form", spec.audience_form.is_some()),
        ("tenant_id", spec.tenant_id.is_some()),
        ("kid", spec.kid.is_some()),
    ] {
        if is_given {
            problems.add(place, Problem::Unused(NO_SUCH_THING));
        }
    }
    if spec.algorithm.is_some_and(|algorithm| algorithm != Algorithm::Ed25519Nkey) {
        problems.add("algorithm", Problem::Locked(Algorithm::Ed25519Nkey.as_str().to_owned()));
    }
    if spec.typ.is_some_and(|typ| typ != Typ::Jwt) {
        problems.add("typ", Problem::Locked(Typ::Jwt.as_str().to_owned()));
    }
    Plan {
        issuer: account.as_ref().map_or_else(String::new, |account| account.public.clone()),
        audience: String::new(),
        audience_form: AudienceForm::String,
        algorithm: Algorithm::Ed25519Nkey,
        typ: Typ::Jwt,
        kid: KidPolicy::Omit,
        lifetime: lifetime.settle(spec, problems),
        max_bytes: settle_max_bytes(spec, problems),
        subject_max: 128,
        tenant_id: None,
        dangerous: spec.dangerous,
        nats: account,
    }
}

/// Refuses names that NATS would not read, and checks the others against their rules.
pub(super) fn vet(rules: &[&[Claim]], template: &Template, problems: &mut Problems) {
    let is_known = |name: &str| rules.iter().copied().flatten().any(|rule| rule.path[0] == name);
    for name in template.names().filter(|name| !is_known(name)) {
        problems.add(&format!("claims.{name}"), Problem::Unused("NATS would not read it"));
    }
    for rules in rules {
        vet_claims(rules, template, problems);
    }
}

/// Adds what the template leaves open: no limits, and the type of the claims.
pub(super) fn complete(nats: &mut Map<String, Value>) {
    for limit in LIMITS {
        nats.entry(limit).or_insert_with(|| json!(-1));
    }
    nats.insert("type".to_owned(), json!("user"));
    nats.insert("version".to_owned(), json!(2));
}

/// The rules for every user's JWT.
pub(super) fn check_user(plan: &Plan, header: &Value, claims: &Value, names: &[&str]) -> Vec<Violation> {
    let mut broken = Vec::new();
    let mut must = |holds: bool, violation: Violation| {
        if !holds {
            broken.push(violation);
        }
    };
    must(*header == json!({ "alg": "ed25519-nkey", "typ": "JWT" }), Violation::Header("alg"));
    let Some(members) = claims.as_object() else { return vec![Violation::Claim("object")] };
    for name in members.keys().filter(|name| !names.contains(&name.as_str())) {
        must(false, Violation::Unexpected(name.clone()));
    }
    let own = plan.nats.as_ref().map(|account| account.public.as_str());
    must(claims["iss"].as_str() == own, Violation::Claim("iss"));
    must(claims["sub"].as_str().is_some_and(|user| nkey::is_public(Role::User, user)), Violation::Claim("sub"));
    let life = claims["exp"].as_i64().zip(claims["iat"].as_i64()).and_then(|(exp, iat)| exp.checked_sub(iat));
    must(life.is_some_and(|life| (1..=plan.lifetime).contains(&life)), Violation::Lifetime);
    let nats = &claims["nats"];
    must(nats["type"] == "user" && nats["version"] == 2, Violation::Claim("nats"));
    for limit in LIMITS {
        must(
            at(nats, &[limit]).is_some_and(|limit| limit.as_i64().is_some_and(|n| n == -1 || n > 0)),
            Violation::Claim(limit),
        );
    }
    for (place, list) in [("pub.allow", &nats["pub"]["allow"]), ("sub.allow", &nats["sub"]["allow"])] {
        let everybodys =
            list.as_array().into_iter().flatten().filter_map(Value::as_str).find(|text| is_everybodys(text));
        if let Some(subject) = everybodys.filter(|_| !plan.dangerous) {
            must(false, Violation::Powerful(place.to_owned(), subject.to_owned()));
        }
    }
    for list in [&nats["pub"], &nats["sub"]].into_iter().flat_map(|both| [&both["allow"], &both["deny"]]) {
        must(list.is_null() || shape::items(list, is_subject), Violation::Rule(SUBJECTS));
    }
    check_claims(PERMISSIONS, plan, nats, &mut broken);
    broken
}

const SUBJECTS: &str = "a subject is words with dots between them; `*` is a word, `>` the last";

/// Whether a subject belongs to the server or to everybody: it begins with a wildcard or `$`, or covers everybody's
/// inboxes.
fn is_everybodys(subject: &str) -> bool {
    let first = subject.split('.').next().unwrap_or_default();
    let inbox = subject.strip_prefix("_INBOX.").is_some_and(|rest| rest.starts_with(['*', '>']));
    first == "*" || first == ">" || first.starts_with('$') || inbox
}

/// Whether a value is a subject: tokens without spaces and control characters, with wildcards only as whole tokens.
fn is_subject(value: &Value) -> bool {
    let Some(text) = value.as_str().filter(|text| text.len() <= 512) else { return false };
    let words: Vec<&str> = text.split('.').collect();
    let last = words.len() - 1;
    words.iter().enumerate().all(|(index, word)| match *word {
        "" => false,
        "*" => true,
        ">" => index == last,
        word => word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*' && byte != b'>'),
    })
}

fn account(material: &Material) -> Option<NatsAccount> {
    let Material::Key(key) = material else { return None };
    let Some(PublicKey::Ed25519 { x }) = key.public() else { return None };
    let public = nkey::public(Role::Account, x.as_slice().try_into().ok()?);
    Some(NatsAccount { public, secret: key.secret().clone() })
}

/// The user key of a person: a valid key whose private half nobody has.
pub(super) fn user_key(account: &NatsAccount, subject: &str) -> Option<String> {
    let seed = account.derive(&format!("passmint nats user v1\0{subject}"));
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok()?;
    Some(nkey::public(Role::User, pair.public_key().as_ref().try_into().ok()?))
}
