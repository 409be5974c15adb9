//! Services for calls, chat and messages that accept an HMAC with a secret they issued: LiveKit, Stream, Ably,
//! Centrifugo.
//!
//! Source: the documentation of each; LiveKit's and Stream's own server libraries, which read the tokens in
//! `make test-live`.

use serde_json::Value;

use super::about::{About, Snippet, Verified};
use super::claim::claim;
use super::jwt::PLAIN;
use super::shape::{self, Shape};
use super::target::{Audience, Issuer, Kid, Lifetime, Subject, Target};
use crate::bridge::spec::{Algorithm, AudienceForm, Typ};

/// LiveKit.
pub static LIVEKIT: Target = Target {
    about: About {
        title: "LiveKit",
        page: "livekit",
        summary: "The token that lets a person into one room.",
        verified: Verified::Live("livekit-server-sdk 2.19 (TokenVerifier)"),
        key_lag: 0,
        example: r#"[bridges.livekit]
preset = "livekit"
issuer = "APIabcdefghijk"                        # the API key
secret_file = "/run/secrets/livekit-api-secret"

[bridges.livekit.inputs.room]
max_length = 40

[bridges.livekit.claims]
name = "{{ user.name ? }}"
video = { roomJoin = true, room = "{{ input.room }}", canPublish = true, canSubscribe = true }
"#,
        other_side: &[
            Snippet {
                place: "The app, where every room is open to everybody who may ask: here the page names the room, and may name any",
                language: "js",
                text:
                    "const { token } = await post(\"{server}/v1/bridges/{name}/token\", { inputs: { room: \"blue\" } });
await room.connect(\"wss://my-project.livekit.cloud\", token);",
            },
            Snippet {
                place: "Where a backend decides who enters which room: the bridge is the backend's alone, and a rule lets it exchange the access tokens that the app sends it",
                language: "toml",
                text: r#"[bridges.{name}.allow]
clients = ["rooms"]              # nobody else, whatever scopes they have

[clients.rooms]                  # the backend
kind = "confidential"
# SHA-256 of the secret; `passmint clients secret` prints both.
secret_digest = "7bcc2905c1bf25a0e3c4fbe1996e360fbcb01839171e1850fee1469310a59838"
grants = ["token_exchange"]
scopes = ["bridge:{name}"]

[exchange_rules.rooms]
clients = ["rooms"]
subject_audiences = ["https://rooms.example.com"]   # what the app's access tokens are for
bridges = ["{name}"]
impersonation = true"#,
            },
            Snippet {
                place: "The backend, once it knows that the person may enter the room; `access_token` of the answer is for LiveKit, and goes to the app",
                language: "sh",
                text: r#"curl {server}/oauth/token -u rooms:$SECRET \
  -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
  -d subject_token=$TOKEN -d subject_token_type=urn:ietf:params:oauth:token-type:access_token \
  -d audience={name} --data-urlencode 'inputs={"room":"blue"}'"#,
            },
        ],
        notes: &[
            "`video.room` is asked for: a token for one room. **A page that asks the bridge itself may name any room**: who may ask and who may enter \
             are two questions, and the bridge answers the first. Where rooms are not for everybody, let a backend ask as above \
             ([its inputs](../flows/token-exchange.md#a-bridges-inputs)), list the rooms with `one_of`, or build the name with `tmpl`.",
            "`roomAdmin`, `roomCreate`, `roomList`, `roomRecord`, `ingressAdmin`, `hidden`, `recorder` and `agent` are refused without \
             `dangerous = true`.",
            "LiveKit renews a token by itself while somebody is in the room: a short life is enough.",
        ],
    },
    algorithms: &[Algorithm::Hs256],
    types: &[Typ::Jwt, Typ::None],
    issuer: Issuer::Said("the API key"),
    audience: Audience::Usually("livekit"),
    forms: &[AudienceForm::String],
    claims: &[
        claim(&["video"], shape::OBJECT).needed(),
        claim(&["video", "room"], shape::TEXT).needed(),
        claim(&["video", "roomJoin"], shape::FLAG).needed(),
        claim(&["video", "roomAdmin"], shape::FLAG).powerful(&["true"]),
        claim(&["video", "roomCreate"], shape::FLAG).powerful(&["true"]),
        claim(&["video", "roomList"], shape::FLAG).powerful(&["true"]),
        claim(&["video", "roomRecord"], shape::FLAG).powerful(&["true"]),
        claim(&["video", "ingressAdmin"], shape::FLAG).powerful(&["true"]),
        claim(&["video", "hidden"], shape::FLAG).powerful(&["true"]),
        claim(&["video", "recorder"], shape::FLAG).powerful(&["true"]),
        claim(&["video", "agent"], shape::FLAG).powerful(&["true"]),
        claim(&["video", "canPublish"], shape::FLAG),
        claim(&["video", "canSubscribe"], shape::FLAG),
        claim(&["video", "canPublishData"], shape::FLAG),
        // For LiveKit, an empty list is no restriction.
        claim(&["video", "canPublishSources"], shape::SOME_TEXTS),
        claim(&["video", "canUpdateOwnMetadata"], shape::FLAG),
        claim(&["video", "canSubscribeMetrics"], shape::FLAG),
        claim(&["video", "canManageAgentSession"], shape::FLAG),
        claim(&["video", "destinationRoom"], shape::TEXT),
        claim(&["name"], shape::LONG_TEXT),
        claim(&["metadata"], shape::LONG_TEXT),
        claim(&["attributes"], shape::TEXT_MAP),
    ],
    // Other grants, and the settings with which a room is created.
    reserved: &["sip", "agent", "inference", "observability", "roomConfig", "roomPreset", "kind"],
    ..PLAIN
};

const STREAM_ID: Shape =
    Shape { words: "1 to 255 of letters, digits and `@_-`", holds: |value| shape::word(value, 255, b"@_-") };

/// Stream.
pub static STREAM: Target = Target {
    about: About {
        title: "Stream (chat, video, feeds)",
        page: "stream",
        summary: "The user token of Stream's client libraries.",
        verified: Verified::Live("stream-chat 9.53 (the same token as its own `createToken`)"),
        key_lag: 0,
        example: r#"[bridges.stream]
preset = "stream"
secret_file = "/run/secrets/stream-api-secret"
"#,
        other_side: &[Snippet {
            place: "The app",
            language: "js",
            text: "await client.connectUser({ id: userId }, async () => (await post(\"{server}/v1/bridges/{name}/token\")).token);",
        }],
        notes: &[
            "`user_id` is the person; it must consist of letters, digits and `@_-`.",
            "`server` is never written: such a token could do everything.",
            "Stream revokes by time: it refuses tokens whose `iat` is before the time given to its API.",
        ],
    },
    algorithms: &[Algorithm::Hs256],
    types: &[Typ::Jwt],
    audience: Audience::Usually("stream"),
    forms: &[AudienceForm::String],
    subject: Subject { claim: "user_id", shape: STREAM_ID, ..Subject::USER },
    reserved: &["server", "role", "call_cids"],
    ..PLAIN
};

/// JSON text of an object that maps resources to lists of operations.
const CAPABILITY: Shape = Shape {
    words: "JSON text such as `{\"chat:1\":[\"subscribe\"]}`",
    holds: |value| capabilities(value).is_some_and(|resources| !resources.is_empty()),
};

/// The operations that a capability may contain.
const OPERATIONS: [&str; 13] = [
    "subscribe",
    "publish",
    "presence",
    "object-subscribe",
    "object-publish",
    "annotation-subscribe",
    "annotation-publish",
    "message-update-own",
    "message-delete-own",
    "history",
    "stats",
    "push-subscribe",
    "channel-metadata",
];
/// Operations that reach beyond a person's own data, or that are meant for servers.
const POWERFUL_OPERATIONS: [&str; 5] =
    ["*", "message-update-any", "message-delete-any", "push-admin", "privileged-headers"];

/// The resources of a capability, with their operations; `None` if it is malformed.
fn capabilities(value: &Value) -> Option<Vec<(String, Vec<String>)>> {
    let parsed: Value = serde_json::from_str(value.as_str()?).ok()?;
    let operations = |list: &Value| {
        let list = list.as_array()?;
        list.iter().map(|one| one.as_str().map(ToOwned::to_owned)).collect::<Option<Vec<_>>>()
    };
    parsed.as_object()?.iter().map(|(name, list)| Some((name.clone(), operations(list)?))).collect()
}

/// Ably.
pub static ABLY: Target = Target {
    about: About {
        title: "Ably",
        page: "ably",
        summary: "An Ably JWT: who the client is, and which channels it may use for what.",
        verified: Verified::Source("Ably's documentation of JWTs"),
        key_lag: 0,
        example: r#"[bridges.ably]
preset = "ably"
kid = "xVLyHw.LMJZxw"                           # the API key up to the colon
secret_file = "/run/secrets/ably-key-secret"    # what comes after the colon

[bridges.ably.claims]
x-ably-capability = "{{ tmpl('{\"chat:{}\":[\"subscribe\",\"publish\"]}', user.id) }}"
"#,
        other_side: &[Snippet {
            place: "The app",
            language: "js",
            text: "const ably = new Ably.Realtime({
  authCallback: (_, done) => post(\"{server}/v1/bridges/{name}/token\").then(({ token }) => done(null, token), done),
});",
        }],
        notes: &[
            "The token can do at most what the API key can: give the key no more than people need.",
            "The capability is JSON *text*. Resources that everybody shares (`*`, `*:*`) and the operations `*`, `message-update-any`, \
             `message-delete-any`, `push-admin` and `privileged-headers` need `dangerous = true`.",
            "`x-ably-clientId` is the person, so that nobody can act as another.",
        ],
    },
    algorithms: &[Algorithm::Hs256],
    types: &[Typ::Jwt],
    audience: Audience::Usually("ably"),
    forms: &[AudienceForm::String],
    kid: Kid::Fixed("the name of the API key, `appId.keyId`"),
    defaults: r#"{ "x-ably-clientId": "{{ user.id }}" }"#,
    claims: &[
        claim(&["x-ably-capability"], CAPABILITY).needed().rights(),
        claim(&["x-ably-clientId"], shape::ID).needed().rights(),
    ],
    also: |plan, claims| {
        let resources = capabilities(&claims["x-ably-capability"])?;
        let everything = |name: &str| name == "*" || name == "*:*" || name == "[*]*";
        let is_powerful = |operation: &String| POWERFUL_OPERATIONS.contains(&operation.as_str());
        let mut all = resources.iter().flat_map(|(_, operations)| operations);
        if all.any(|operation| !is_powerful(operation) && !OPERATIONS.contains(&operation.as_str())) {
            return Some("an operation is one of Ably's, such as `subscribe`, `publish`, `presence`, `history`");
        }
        let powerful =
            |(name, operations): &(String, Vec<String>)| everything(name) || operations.iter().any(is_powerful);
        (!plan.dangerous && resources.iter().any(powerful)).then_some(
            "everything, and what reaches beyond a person's own, in `x-ably-capability`, only with `dangerous = true`",
        )
    },
    ..PLAIN
};

/// Options by channel, as Centrifugo reads them; it refuses the whole token if it cannot.
const SUBSCRIPTIONS: Shape = Shape {
    words: "an object from channels to objects of options, and each of an `override` is `{ value = true }` or `false`",
    holds: |value| value.as_object().is_some_and(|channels| channels.values().all(is_subscription)),
};

fn is_subscription(options: &Value) -> bool {
    let is_option = |option: &Value| option.is_object() && option.get("value").is_none_or(Value::is_boolean);
    let is_override = |overridden: &Value| overridden.as_object().is_some_and(|all| all.values().all(is_option));
    options.is_object() && options.get("override").is_none_or(is_override)
}

/// Centrifugo.
pub static CENTRIFUGO: Target = Target {
    about: About {
        title: "Centrifugo",
        page: "centrifugo",
        summary: "The connection token of Centrifugo's client libraries.",
        verified: Verified::Source("Centrifugo 6's documentation of client authentication, and its source at 6.9.1"),
        key_lag: 60,
        example: r#"[bridges.centrifugo]
preset = "centrifugo"

[bridges.centrifugo.claims]
subs = { "news" = {} }
"#,
        other_side: &[Snippet {
            place: "config.json",
            language: "json",
            text: "{ \"client\": { \"token\": {
  \"jwks_public_endpoint\": \"{jwks_url}\",
  \"audience\": \"{audience}\",
  \"issuer\": \"{issuer}\"
} } }",
        }],
        notes: &[
            "`audience` and `issuer` are checked only where Centrifugo's configuration names them: name them.",
            "`channels` and `subs` subscribe the client by the server; they are no list of what it may subscribe to.",
            "A connection ends with its token unless the client fetches another.",
        ],
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256, Algorithm::Hs256],
    types: &[Typ::Jwt],
    audience: Audience::Usually("centrifugo"),
    forms: &[AudienceForm::String],
    lifetime: Lifetime::CONNECTION,
    claims: &[
        claim(&["channels"], shape::TEXTS).rights(),
        claim(&["subs"], SUBSCRIPTIONS).rights(),
        claim(&["caps"], shape::ANY).rights(),
        claim(&["info"], shape::OBJECT),
        claim(&["meta"], shape::OBJECT).rights(),
    ],
    reserved: &["expire_at", "b64info", "channel"],
    ..PLAIN
};
