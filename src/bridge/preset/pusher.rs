//! Pusher Channels: not a token, but a signature for one socket and one channel.
//!
//! The template lists the channels of a person; the requests and the signatures are in [`crate::bridge::channel`].
//!
//! Source: pusher.com/docs/channels, "Auth signatures"; Pusher's own server library computes the same ones.

use serde_json::{Map, Value, json};

use super::about::{About, Snippet, Verified};
use super::claim::{Claim, check_claims, claim, vet_claims};
use super::rules::{Parts, Plan, Preset, Problems, Violation, settle_max_bytes};
use super::shape;
use super::way::Way;
use crate::bridge::channel::names::{Pattern, is_key};
use crate::bridge::spec::{Algorithm, AudienceForm, BridgeDefinition, KidPolicy, Problem, Typ};
use crate::bridge::template::Template;

const ABOUT: About = About {
    title: "Pusher Channels",
    page: "pusher",
    summary: "Authorizes private and presence channels, and signs people in to a Pusher connection, as Pusher's client libraries ask for it.",
    verified: Verified::Live("pusher 5.3.4 (the same signatures as its own), pusher-js 8.6.0"),
    key_lag: 0,
    example: r#"[bridges.pusher]
preset = "pusher"
issuer = "278d425bdf160c739803"                   # the app's key
secret_file = "/run/secrets/pusher-secret"        # the app's secret

[bridges.pusher.claims]
channels = ["{{ tmpl('private-user-{}', user.id) }}", "{{ tmpl('private-user-{}-*', user.id) }}", "presence-lobby"]
user_info = { name = "{{ user.name ? }}" }
"#,
    other_side: &[Snippet {
        place: "The app",
        language: "js",
        text: "const headersProvider = () => ({ Authorization: `Bearer ${accessToken}` });
const pusher = new Pusher(\"{issuer}\", {
  cluster: \"eu\",
  channelAuthorization: { endpoint: \"{server}/v1/bridges/{name}/pusher/auth\", transport: \"ajax\", headersProvider },
  userAuthentication: { endpoint: \"{server}/v1/bridges/{name}/pusher/user-auth\", transport: \"ajax\", headersProvider },
});
pusher.signin();
pusher.subscribe(`private-user-${userId}`);",
    }],
    notes: &[
        "`channels` lists a person's channels: exact names, or a prefix that ends with one of `-_=@,.;` and `*`. \
         Values that people choose are refused. `private-*` and `presence-*` belong to everybody and need `dangerous = \
         true`.",
        "To a presence channel the others there see the person's `user_id`, which is the subject, and `user_info` (at most 1,024 bytes).",
        "Encrypted channels (`private-encrypted-`) are refused: Passmint would have to make their key as well.",
        "The signature is for one socket and never expires: Pusher asks again for each new connection. To lock a \
         person out at once, also end their connections (`POST /apps/{app_id}/users/{user_id}/terminate_connections`).",
        "Signatures do not count against `limits.bridges_burst`: a page asks for one for each of its channels, again after each loss of the \
         connection. They count as requests of their network (`limits.tokens_burst`).",
        "A secret of at least 16 characters is accepted, shorter than for JWTs, because Pusher issues such secrets.",
        "Servers that speak Pusher's protocol (soketi, Laravel Reverb) check the same signatures; they were not tried.",
    ],
};

const CLAIMS: &[Claim] =
    &[claim(&["channels"], shape::SOME_TEXTS).needed().rights(), claim(&["user_info"], shape::OBJECT)];
/// Pusher's limit for the data that the members of a presence channel see about each other.
const MOST_INFO: usize = 1024;

/// The preset `pusher`.
#[derive(Clone, Copy, Debug)]
pub struct Pusher;

impl Preset for Pusher {
    fn about(&self) -> &About {
        &ABOUT
    }

    fn way(&self) -> Way {
        Way::Channels
    }

    fn settle(&self, spec: &BridgeDefinition, problems: &mut Problems) -> Plan {
        let issuer = spec.issuer.clone().unwrap_or_default();
        if spec.issuer.is_none() {
            problems.add("issuer", Problem::Required("the app's key"));
        } else if !is_key(&issuer) {
            problems.add("issuer", Problem::Form("the app's key: 1 to 128 letters, digits, `-` and `_`"));
        }
        for (place, is_given) in [
            ("audience", spec.audience.is_some()),
            ("audience_form", spec.audience_form.is_some()),
            ("typ", spec.typ.is_some()),
            ("kid", spec.kid.is_some()),
            ("lifetime", spec.lifetime.is_some()),
            ("tenant_id", spec.tenant_id.is_some()),
        ] {
            if is_given {
                problems.add(place, Problem::Unused("a signature for a channel has no such thing"));
            }
        }
        if spec.algorithm.is_some_and(|algorithm| algorithm != Algorithm::Hs256) {
            problems.add("algorithm", Problem::Locked(Algorithm::Hs256.as_str().to_owned()));
        }
        Plan {
            issuer,
            audience: String::new(),
            audience_form: AudienceForm::String,
            algorithm: Algorithm::Hs256,
            typ: Typ::None,
            kid: KidPolicy::Omit,
            lifetime: 0,
            max_bytes: settle_max_bytes(spec, problems),
            subject_max: 128,
            tenant_id: None,
            dangerous: spec.dangerous,
            nats: None,
        }
    }

    fn vet(&self, template: &Template, problems: &mut Problems) {
        for name in template.names().filter(|name| !CLAIMS.iter().any(|rule| rule.path[0] == *name)) {
            problems.add(&format!("claims.{name}"), Problem::Unused("Pusher would not read it"));
        }
        vet_claims(CLAIMS, template, problems);
    }

    fn assemble(&self, _: &Plan, parts: Parts) -> Map<String, Value> {
        let mut claims = parts.claims;
        claims.insert("user_id".to_owned(), parts.subject.into());
        claims
    }

    fn check(&self, plan: &Plan, _: &Value, claims: &Value) -> Vec<Violation> {
        let mut broken = Vec::new();
        check_claims(CLAIMS, plan, claims, &mut broken);
        for channel in claims["channels"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            match Pattern::parse(channel) {
                None => broken.push(Violation::Rule(CHANNELS)),
                Some(pattern) if pattern.is_everybodys() && !plan.dangerous => {
                    broken.push(Violation::Powerful("channels".to_owned(), channel.to_owned()));
                }
                Some(_) => {}
            }
        }
        if claims.get("user_info").is_some_and(|info| info.to_string().len() > MOST_INFO) {
            broken.push(Violation::Shape("user_info".to_owned(), "at most 1,024 bytes of JSON"));
        }
        if !claims["user_id"].is_string() {
            broken.push(Violation::Claim("user_id"));
        }
        broken
    }
}

const CHANNELS: &str = "a channel is `private-…` or `presence-…`, not `private-encrypted-…`, of letters, digits and `_-=@,.;`, at most \
                        164 characters; `*` stands at the end, after one of `-_=@,.;`";

/// The person's data for the other members of a presence channel, and for Pusher about a connection: `id` under this
/// name.
pub fn told(claims: &Value, id: &'static str) -> String {
    let mut told = json!({ id: claims["user_id"] });
    if let Some(info) = claims.get("user_info") {
        told["user_info"] = info.clone();
    }
    told.to_string()
}
