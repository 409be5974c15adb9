//! NATS with auth callout: the server asks us about every connection, and we answer with the JWT of a user.
//!
//! The user is bound to the key that the server created for this very connection, and placed in the account that
//! `audience` names. The communication with the server is in [`crate::bridge::callout`].
//!
//! Source: docs.nats.io, auth callout; nats-server `server/auth_callout.go`; run against nats-server 2.15.1.

use serde_json::{Map, Value, json};

use super::about::{About, Snippet, Verified};
use super::nats::{PERMISSIONS, check_user, complete, settle, user_key, vet};
use super::rules::{Parts, Plan, Preset, Problems, Violation, is_plain};
use super::target::Lifetime;
use super::way::Way;
use crate::bridge::spec::{BridgeDefinition, Problem};
use crate::bridge::template::Template;

const ABOUT: About = About {
    title: "NATS, auth callout",
    page: "nats",
    summary: "Lets people into a NATS server whose accounts are in its configuration, with a Passmint access token: \
        NATS asks Passmint about every connection. No other program is needed.",
    verified: Verified::Live("nats-server 2.15.1"),
    key_lag: 0,
    example: r#"[bridges.nats-callout]
preset = "nats-callout"
url = "tls://nats.example.com:4222"
audience = "APP"                                  # the account that people are placed in
key_file = "/run/secrets/nats-callout.nk"         # the seed (SA…) that signs the answers

[bridges.nats-callout.claims]
pub = { allow = ["{{ tmpl('usr.{}.>', user.id) }}"] }
sub = { allow = ["{{ tmpl('usr.{}.>', user.id) }}", "{{ tmpl('_INBOX_{}.>', user.id) }}"] }
"#,
    other_side: &[
        Snippet {
            place: "Make the seed",
            language: "sh",
            text: "nk -gen account > nats-callout.nk      # or: nsc generate nkey --account",
        },
        Snippet {
            place: "The configuration of NATS (2.10 or later); both keys are derived from the seed",
            language: "text",
            text: "accounts {
  AUTH: { users: [ { nkey: {nats_user} } ] }
  {audience}: {}
  SYS: {}
}
system_account: SYS
authorization {
  timeout: 5
  auth_callout {
    issuer: {issuer}
    auth_users: [ {nats_user} ]
    account: AUTH
  }
}",
        },
        Snippet {
            place: "The app: an access token with the bridge's scope, as the token or as the password",
            language: "js",
            text: "import { tokenAuthenticator, wsconnect } from \"@nats-io/nats-core\";

const connection = await wsconnect({
  servers: \"wss://nats.example.com\",
  authenticator: tokenAuthenticator(() => accessToken),
  inboxPrefix: `_INBOX_${userId}`,
});",
        },
    ],
    notes: &[
        "Passmint connects to `url` as the only user of the account `AUTH`, proves its key, and waits for questions. \
         Every replica connects; NATS asks one of them. The rules for outbound requests apply: a private address \
         requires `outbound.private_hosts`, and only there may `nats://` be used without TLS.",
        "A connection lasts as long as the access token with which it was opened, and never longer than `lifetime`: \
         NATS then closes it, and the app connects again with a new token.",
        "The access token must be for Passmint itself, or, with `bearer_audience`, for that resource alone: then a \
         token read at NATS is useless elsewhere. A token that is bound to a key (DPoP) is refused: NATS cannot prove \
         the key.",
        "`allow` says who may connect, as for every bridge. Stopping the bridge closes its connection, so NATS refuses \
         all new connections.",
        "Encrypted requests are not supported: with `xkey` in `auth_callout`, the log says that a message from NATS is \
         not a request, and nobody is let in. Omit it, and use a `url` that begins with `tls://`.",
        "This preset does not work with NATS in operator mode: NATS refuses Passmint's key, the log says so (`no \
         connection to NATS`, `Authorization Violation`), and nobody is let in. There, use the preset `nats-user`, \
         which gives people their own JWTs.",
        "`handshake_first: true` in the `tls` of NATS is not supported: Passmint waits for NATS to speak first, and the log says that it does not \
         answer in time, or that it ended the connection. Set it to `auto`, which serves both, or leave it out.",
        "List users whom NATS itself should check in `auth_users`, next to Passmint's.",
    ],
};
const MEMBERS: [&str; 8] = ["jti", "iat", "exp", "iss", "sub", "aud", "name", "nats"];

/// The preset `nats-callout`.
#[derive(Clone, Copy, Debug)]
pub struct NatsCallout;

impl Preset for NatsCallout {
    fn about(&self) -> &About {
        &ABOUT
    }

    fn way(&self) -> Way {
        Way::NatsCallout
    }

    fn settle(&self, spec: &BridgeDefinition, problems: &mut Problems) -> Plan {
        if spec.issuer.is_some() {
            problems.add("issuer", Problem::Unused("the key of `key_file` is the issuer"));
        }
        let audience = spec.audience.clone().unwrap_or_default();
        if spec.audience.is_none() {
            problems.add("audience", Problem::Required("the account of NATS that people are placed in"));
        } else if !is_plain(&audience, 255) || audience.starts_with('$') {
            problems.add(
                "audience",
                Problem::Form("an account's name in NATS, without spaces, and none that begins with `$`"),
            );
        }
        Plan { audience, ..settle(spec, Lifetime::CONNECTION, problems) }
    }

    fn vet(&self, template: &Template, problems: &mut Problems) {
        vet(&[PERMISSIONS], template, problems);
    }

    fn assemble(&self, plan: &Plan, parts: Parts) -> Map<String, Value> {
        let mut nats = parts.claims;
        complete(&mut nats);
        let account = plan.nats.as_ref();
        // If no server asked (in a trial), a key whose private half nobody has.
        let user = parts.bound_key.or_else(|| user_key(account?, &parts.subject));
        let claims = json!({
            "jti": parts.jti.simple().to_string(), "iat": parts.iat, "exp": parts.exp,
            "iss": account.map(|account| account.public.as_str()), "sub": user, "aud": plan.audience, "name": parts.subject,
            "nats": nats,
        });
        claims.as_object().cloned().unwrap_or_default()
    }

    fn check(&self, plan: &Plan, header: &Value, claims: &Value) -> Vec<Violation> {
        let mut broken = check_user(plan, header, claims, &MEMBERS);
        if claims["aud"] != *plan.audience {
            broken.push(Violation::Claim("aud"));
        }
        broken
    }
}
