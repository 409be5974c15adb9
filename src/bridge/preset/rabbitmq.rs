//! RabbitMQ's OAuth 2 plugin: the token is the password for AMQP, STOMP and MQTT, and the bearer token of the
//! management API.
//!
//! Permissions are words in `scope`: `<resource server>.<read|write|configure>:<vhost>/<name>[/<routing key>]`, where a
//! part may be a pattern. For the plugin, a token without `exp` never expires.
//!
//! Source: RabbitMQ's documentation of the plugin; run against 3.10.8 and 4.0.5.

use serde_json::Value;

use super::about::{About, Snippet, Verified};
use super::claim::{Claim, claim};
use super::jwt::PLAIN;
use super::rules::Plan;
use super::shape::{self, Shape};
use super::target::{Audience, Lifetime, Target};
use crate::bridge::spec::{Algorithm, Typ};

const SCOPES: Shape =
    Shape { words: "a list of permissions, or nothing else than them in one text", ..shape::TEXT_OR_TEXTS };

const CLAIMS: &[Claim] = &[claim(&["scope"], SCOPES).needed().powerful(&["*.tag:administrator"])];

const NOTES: &[&str] = &[
    "`audience` is the broker's `resource_server_id`, and the beginning of every permission.",
    "`%2F` is the vhost `/`. The part that one user's permissions differ in is written with `tmpl`, so that no id becomes a pattern. A name \
     that everybody's MQTT queues match (`mqtt-subscription-*`, `*`) is refused without `dangerous = true`.",
    "`tag:administrator` is refused without `dangerous = true`. Without any tag the management API answers 401.",
    "A connection ends when its token does, unless the client sends a new one (AMQP `update-secret`): the default life is 30 minutes.",
    "The plugin accepts only `https` for a key set's URL; otherwise give it the key as a file.",
];

const CONF: &str = "auth_backends.1 = rabbit_auth_backend_oauth2
auth_oauth2.resource_server_id = {audience}
auth_oauth2.jwks_url = {jwks_url}
auth_oauth2.algorithms.1 = {algorithm}";

/// The prefix of the queue name of an MQTT client, followed by the client ID.
const MQTT_QUEUE: &str = "mqtt-subscription-";

/// Every word must belong to this broker and be a permission or a tag, and none may cover the MQTT queues of everybody.
fn permissions(claims: &Value, plan: &Plan, parts: std::ops::RangeInclusive<usize>) -> Option<&'static str> {
    let all: Vec<&str> = match &claims["scope"] {
        Value::String(text) => text.split(' ').collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let is_permission = |text: &str| match right(text, &plan.audience) {
        Some(("tag", tag)) => ["administrator", "monitoring", "management", "policymaker"].contains(&tag),
        Some(("read" | "write", place)) => is_place(place, &parts),
        Some(("configure", place)) => is_place(place, &(2..=3)),
        _ => false,
    };
    if !all.iter().all(|text| is_permission(text)) {
        return Some(
            "each permission is `<audience>.<read|write|configure>:<vhost>/<name>[/<routing key>]` or `<audience>.tag:<tag>`; for MQTT \
             with the routing key",
        );
    }
    let is_everybodys =
        |text: &str| right(text, &plan.audience).is_some_and(|(_, place)| holds_everybodys_queues(place));
    (!plan.dangerous && all.iter().any(|text| is_everybodys(text))).then_some(
        "a name that everybody's MQTT queues match (`mqtt-subscription-*`, `*`) only with `dangerous = true`: who may read them \
         reads everybody's messages",
    )
}

/// The permission in a word of this broker, and its place.
fn right<'a>(word: &'a str, audience: &str) -> Option<(&'a str, &'a str)> {
    word.strip_prefix(audience)?.strip_prefix('.')?.split_once(':')
}

/// Whether the name in a place matches the MQTT queues of all clients. RabbitMQ checks no routing key for a queue, so
/// anything after the name restricts nothing. Percent-encoded characters and variables may turn out as anything.
fn holds_everybodys_queues(place: &str) -> bool {
    let name = place.split('/').nth(1).unwrap_or_default();
    let fixed = name.split(['*', '%', '{']).next().unwrap_or_default();
    name.contains('*') && MQTT_QUEUE.starts_with(fixed)
}

/// Whether all parts consist only of text, `*`, percent-encoded bytes and RabbitMQ's variables.
fn is_place(place: &str, parts: &std::ops::RangeInclusive<usize>) -> bool {
    let found: Vec<&str> = place.split('/').collect();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*%~{}".contains(&byte);
    parts.contains(&found.len()) && found.iter().all(|part| !part.is_empty() && part.bytes().all(plain))
}

/// AMQP, STOMP and the management API.
pub static RABBITMQ: Target = Target {
    about: About {
        title: "RabbitMQ",
        page: "rabbitmq",
        summary: "The password of an AMQP or STOMP connection, and the bearer of the management API.",
        verified: Verified::Live("RabbitMQ 3.10.8 and 4.0.5"),
        key_lag: 10,
        example: r#"[bridges.rabbitmq]
preset = "rabbitmq"
audience = "rabbitmq"

[bridges.rabbitmq.claims]
scope = [
    "rabbitmq.tag:management",
    "{{ tmpl('rabbitmq.configure:%2F/user-{}', user.id) }}",
    "{{ tmpl('rabbitmq.write:%2F/user-{}', user.id) }}",
    "{{ tmpl('rabbitmq.read:%2F/user-{}', user.id) }}",
]
"#,
        other_side: &[Snippet { place: "rabbitmq.conf", language: "ini", text: CONF }],
        notes: NOTES,
    },
    algorithms: &[Algorithm::Rs256, Algorithm::Es256],
    types: &[Typ::Jwt, Typ::AtJwt, Typ::None],
    audience: Audience::Said("the broker's `resource_server_id`"),
    lifetime: Lifetime::CONNECTION,
    claims: CLAIMS,
    // The plugin adds the permissions in them to those of `scope`; for the second only if it is configured to
    // (`resource_server_type`).
    reserved: &["authorization", "authorization_details"],
    also: |plan, claims| permissions(claims, plan, 2..=3),
    ..PLAIN
};

/// MQTT.
pub static RABBITMQ_MQTT: Target = Target {
    about: About {
        title: "RabbitMQ, MQTT",
        page: "rabbitmq",
        summary: "The password of an MQTT connection. Topics need a third part in each permission: the preset asks for it.",
        verified: Verified::Live("RabbitMQ 3.10.8 and 4.0.5"),
        key_lag: 10,
        example: r#"[bridges.mqtt]
preset = "rabbitmq-mqtt"
audience = "rabbitmq"

[bridges.mqtt.claims]
scope = [
    "{{ tmpl('rabbitmq.configure:%2F/mqtt-subscription-{}*', user.id) }}",
    "{{ tmpl('rabbitmq.write:%2F/mqtt-subscription-{}*/*', user.id) }}",
    "{{ tmpl('rabbitmq.read:%2F/mqtt-subscription-{}*/*', user.id) }}",
    "{{ tmpl('rabbitmq.write:%2F/amq.topic/{}.*', user.id) }}",
    "{{ tmpl('rabbitmq.read:%2F/amq.topic/{}.*', user.id) }}",
]
"#,
        other_side: &[
            Snippet { place: "rabbitmq.conf", language: "ini", text: CONF },
            Snippet {
                place: "The app: its MQTT client id begins with the user's id",
                language: "js",
                text: "const client = mqtt.connect(\"mqtts://rabbitmq.example.com\", {
  clientId: `${userId}-${crypto.randomUUID()}`,
  username: \"x\",
  password: token,
});",
            },
        ],
        notes: &[
            "An MQTT client id has to begin with the user's id. RabbitMQ keeps the messages for a client in a queue that is named after \
             its id (`mqtt-subscription-<client id>qos1`), and looks at no routing key there: who may read the queues of others reads \
             their messages. With another client id a client connects, and is thrown out when it subscribes.",
            "A `/` of an MQTT topic is a `.` in the routing key: `<user id>.*` allows the topics `<user id>/…`.",
            "A permission with two parts lets a client connect and drops the connection at the first publish: it is refused here.",
            NOTES[0],
            NOTES[1],
            NOTES[2],
            NOTES[3],
            NOTES[4],
        ],
    },
    also: |plan, claims| permissions(claims, plan, 3..=3),
    ..RABBITMQ
};
