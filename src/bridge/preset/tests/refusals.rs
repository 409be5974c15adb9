//! What each preset refuses, by name.

use super::*;

/// A preset, a place in its example, a value there, and a part of the resulting message.
type Row<'a> = (P, &'a [&'a str], Value, &'a str);

fn refuses(rows: &[Row<'_>]) {
    for (kind, place, value, words) in rows {
        let mut definition = changed(*kind, place, value);
        if let ([name], true, Some(members)) = (*place, value.is_null(), definition.claims.as_object_mut()) {
            members.remove(*name);
        }
        let told = refusal(definition);
        assert!(told.contains(words), "{}, {place:?} = {value}: {told}", kind.as_str());
    }
}

#[test]
fn databases_refuse_what_would_harm_them() {
    const NAMESPACE: &str = "https://hasura.io/jwt/claims";
    refuses(&[
        (P::SupabaseThirdParty, &["role"], json!("service_role"), "only with `dangerous"),
        (P::SupabaseThirdParty, &["role"], json!("Postgres"), "only with `dangerous"),
        (P::SupabaseThirdParty, &["role"], json!("{{ user.name }}"), "decides what the token allows"),
        (P::SupabaseThirdParty, &["Role"], json!("x"), "claims.role"),
        (P::SupabaseThirdParty, &["aal"], json!("aal2"), "locks it"),
        (P::SupabaseThirdParty, &["amr"], json!([]), "may only be `{{ session.amr }}`"),
        (
            P::SupabaseThirdParty,
            &["app_metadata"],
            json!({ "admin": "{{ user.name ? }}" }),
            "decides what the token allows",
        ),
        (P::SupabaseThirdParty, &["subject"], json!("{{ user.email }}"), "claim `sub` must be a UUID"),
        (P::SupabaseThirdParty, &["algorithm"], json!("HS256"), "locks it to `ES256`, `RS256`"),
        (P::SupabaseThirdParty, &["kid"], json!("omit"), "by its `kid`"),
        (P::SupabaseThirdParty, &["typ"], json!("at+jwt"), "locks it"),
        (P::SupabaseThirdParty, &["lifetime"], json!(7200), "between 10 seconds and 1 hour"),
        (P::SupabaseSecret, &["key"], Value::Null, "HS256"),
        (P::Postgrest, &["role"], Value::Null, "a role's name"),
        (P::Postgrest, &["role"], json!("pg_read_all_data"), "only with `dangerous"),
        (P::Postgrest, &["role"], json!("a role"), "must be a role's name"),
        (P::Postgrest, &["audience"], Value::Null, "what `jwt-aud` says"),
        (P::Postgrest, &["audience"], json!("https://id.example.com"), "must not be the issuer"),
        (P::Neon, &["algorithm"], json!("EdDSA"), "locks it"),
        (P::Hasura, &[NAMESPACE, "x-hasura-allowed-roles"], json!(["user", "admin"]), "only with `dangerous"),
        (
            P::Hasura,
            &[NAMESPACE, "x-hasura-allowed-roles"],
            json!("{{ user.groups }}"),
            "`x-hasura-default-role` is one of",
        ),
        (P::Hasura, &[NAMESPACE, "x-hasura-default-role"], json!("editor"), "`x-hasura-default-role` is one of"),
        (P::Hasura, &[NAMESPACE, "x-hasura-level"], json!(5), "is text"),
        (P::Hasura, &[NAMESPACE, "X-Hasura-User-Id"], json!("x"), "upper and lower case"),
        (P::Hasura, &[NAMESPACE, "x-hasura-org-id"], json!("{{ user.name }}"), "decides what the token allows"),
        (P::Hasura, &[NAMESPACE, "role"], json!("x"), "begins with `x-hasura-`"),
    ]);
}

#[test]
fn brokers_refuse_what_would_harm_them() {
    refuses(&[
        (P::Rabbitmq, &["scope"], json!(["rabbitmq.tag:administrator"]), "only with `dangerous"),
        (P::Rabbitmq, &["scope"], json!("rabbitmq.read:*/* rabbitmq.tag:Administrator"), "only with `dangerous"),
        (P::Rabbitmq, &["scope"], json!(["other.read:*/*"]), "each permission is"),
        (P::Rabbitmq, &["scope"], json!(["rabbitmq.read:only-vhost"]), "each permission is"),
        (P::Rabbitmq, &["scope"], json!(["rabbitmq.delete:*/*"]), "each permission is"),
        (P::Rabbitmq, &["scope"], json!(["rabbitmq.read:*/*"]), "everybody's MQTT queues"),
        (P::Rabbitmq, &["scope"], json!(["rabbitmq.read:%2F/mqtt-subscription-*"]), "everybody's MQTT queues"),
        (P::Rabbitmq, &["scope"], json!(["{{ user.name }}"]), "decides what the token allows"),
        (P::Rabbitmq, &["scope"], Value::Null, "claims.scope"),
        (
            P::Rabbitmq,
            &["authorization"],
            json!({ "permissions": [{ "scopes": ["rabbitmq.tag:administrator"] }] }),
            "reserved",
        ),
        (P::RabbitmqMqtt, &["Authorization"], json!("{{ user.name ? }}"), "reserved"),
        (
            P::Rabbitmq,
            &["authorization_details"],
            json!([{ "type": "rabbitmq", "locations": ["cluster:*/vhost:*/queue:*"], "actions": ["read"] }]),
            "reserved",
        ),
        (P::RabbitmqMqtt, &["authorization_details"], json!([]), "reserved"),
        (P::RabbitmqMqtt, &["scope"], json!(["rabbitmq.write:*/*"]), "each permission is"),
        (P::RabbitmqMqtt, &["scope"], json!(["rabbitmq.configure:%2F/mqtt-subscription-*"]), "everybody's MQTT queues"),
        (P::RabbitmqMqtt, &["scope"], json!("rabbitmq.read:%2F/mqtt-*qos1/*"), "everybody's MQTT queues"),
        (P::RabbitmqMqtt, &["scope"], json!(["rabbitmq.read:%2F/mqtt%2Dsubscription-*/x"]), "everybody's MQTT queues"),
        (P::NatsUser, &["pub", "allow"], json!([">"]), "only with `dangerous"),
        (P::NatsUser, &["sub", "allow"], json!(["$SYS.>"]), "only with `dangerous"),
        (P::NatsUser, &["sub", "allow"], json!(["_INBOX.>"]), "only with `dangerous"),
        (P::NatsUser, &["sub", "allow"], json!(["a..b"]), "a subject is words"),
        (P::NatsUser, &["sub", "allow"], json!(["a.>.b"]), "a subject is words"),
        (P::NatsUser, &["sub", "allow"], json!(["{{ user.name }}"]), "decides what the token allows"),
        (P::NatsUser, &["pub", "allow"], json!([]), "at least one text"),
        (P::NatsUser, &["sub", "allow"], json!([]), "at least one text"),
        (P::NatsUser, &["pub", "allow"], json!("{{ user.groups | in('none') }}"), "at least one text"),
        (P::NatsUser, &["sub"], Value::Null, "claims.sub"),
        (P::NatsUser, &["payload"], json!(0), "claim `payload`"),
        (P::NatsUser, &["resp"], json!({ "max": "x" }), "claim `resp.max` must be a whole number"),
        (P::NatsCallout, &["resp"], json!({ "max": 1, "ttl": "5s" }), "claim `resp.ttl` must be a whole number"),
        (P::NatsUser, &["bearer_token"], json!(true), "NATS would not read it"),
        (P::NatsUser, &["issuer"], json!("https://id.example.com"), "the account's public key"),
        (P::NatsUser, &["audience"], json!("x"), "NATS has no such thing"),
        (P::NatsUser, &["algorithm"], json!("EdDSA"), "locks it to `ed25519-nkey`"),
        (P::NatsUser, &["key"], Value::Null, "the seed"),
        (P::NatsUser, &["url"], json!("tls://nats.example.com"), "nobody is asked"),
        (P::NatsUser, &["bearer_audience"], json!("x"), "no access token comes by another program"),
        (P::NatsCallout, &["key"], Value::Null, "the seed"),
        (P::NatsCallout, &["url"], Value::Null, "the address of NATS"),
        (P::NatsCallout, &["url"], json!("https://nats.example.com"), "`tls://host:port`"),
        (P::NatsCallout, &["url"], json!("tls://user:secret@nats.example.com"), "`tls://host:port`"),
        (P::NatsCallout, &["bearer_audience"], json!("a b"), "visible ASCII"),
        (P::NatsCallout, &["audience"], Value::Null, "the account of NATS"),
        (P::NatsCallout, &["audience"], json!("$SYS"), "an account's name"),
        (P::NatsCallout, &["audience"], json!("A P P"), "an account's name"),
        (
            P::NatsCallout,
            &["issuer"],
            json!("AAEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSRYX"),
            "is the issuer",
        ),
        (P::NatsCallout, &["algorithm"], json!("EdDSA"), "locks it to `ed25519-nkey`"),
        (P::NatsCallout, &["typ"], json!("none"), "locks it"),
        (P::NatsCallout, &["kid"], json!("x"), "NATS has no such thing"),
        (P::NatsCallout, &["user_nkey"], json!("{{ input.user_nkey }}"), "claims.user_nkey"),
        (P::NatsCallout, &["bearer_token"], json!(true), "NATS would not read it"),
        (P::NatsCallout, &["pub", "allow"], json!([">"]), "only with `dangerous"),
        (P::NatsCallout, &["sub", "allow"], json!([]), "at least one text"),
        (P::NatsCallout, &["sub", "allow"], json!(["{{ user.name }}"]), "decides what the token allows"),
    ]);
}

/// The details that a Mercure 1.0 hub reads, with this topic.
fn mercure_1(topic: &Value) -> Value {
    json!([{ "type": "https://mercure.rocks/authorization-detail", "actions": ["subscribe"], "topics": [topic] }])
}

fn pattern() -> Value {
    json!({ "match": "https://example.com/users/:id", "match_type": "urlpattern" })
}

#[test]
fn services_refuse_what_would_harm_them() {
    refuses(&[
        (P::Livekit, &["video", "roomAdmin"], json!(true), "only with `dangerous"),
        (P::Livekit, &["video", "roomadmin"], json!(true), "upper and lower case"),
        (P::Livekit, &["video", "room"], Value::Null, "null is no claim"),
        (P::Livekit, &["metadata"], json!({ "a": 1 }), "claim `metadata` must be text"),
        (P::Livekit, &["video", "canPublishData"], json!("yes"), "claim `video.canPublishData` must be true or false"),
        (P::Livekit, &["video", "canUpdateOwnMetadata"], json!(1), "must be true or false"),
        (P::Livekit, &["video", "canSubscribeMetrics"], json!("true"), "must be true or false"),
        (P::Livekit, &["video", "canManageAgentSession"], json!([]), "must be true or false"),
        (P::Livekit, &["video", "canPublishSources"], json!("camera"), "must be a list of at least one text"),
        (P::Livekit, &["video", "canPublishSources"], json!([]), "must be a list of at least one text"),
        (P::Livekit, &["video", "destinationRoom"], json!(5), "claim `video.destinationRoom` must be text"),
        (P::Livekit, &["name"], json!(5), "claim `name` must be text"),
        (P::Livekit, &["sip"], json!({ "admin": true }), "reserved"),
        (P::Livekit, &["agent"], json!({ "admin": true }), "reserved"),
        (P::Livekit, &["inference"], json!({ "perform": true }), "reserved"),
        (P::Livekit, &["observability"], json!({ "write": true }), "reserved"),
        (P::Livekit, &["roomPreset"], json!("x"), "reserved"),
        (P::Livekit, &["issuer"], Value::Null, "the API key"),
        (P::Livekit, &["algorithm"], json!("ES256"), "locks it to `HS256`"),
        (P::Stream, &["server"], json!(true), "reserved"),
        (P::Stream, &["user_id"], json!("{{ user.id }}"), "reserved"),
        (P::Stream, &["subject"], json!("{{ user.email }}"), "claim `user_id` must be"),
        (P::Ably, &["x-ably-capability"], json!("{\"*\":[\"*\"]}"), "only with `dangerous"),
        (P::Ably, &["x-ably-capability"], json!("{\"chat\":[\"admin\"]}"), "an operation is one of"),
        (P::Ably, &["x-ably-capability"], json!("{\"chat\":[\"message-update-any\"]}"), "only with `dangerous"),
        (P::Ably, &["x-ably-capability"], json!("{\"chat\":[\"message-delete-any\"]}"), "only with `dangerous"),
        (P::Ably, &["x-ably-capability"], json!("{\"chat\":[\"push-admin\"]}"), "only with `dangerous"),
        (P::Ably, &["x-ably-capability"], json!("{\"chat\":[\"privileged-headers\"]}"), "only with `dangerous"),
        (P::Ably, &["x-ably-capability"], json!({ "chat": ["subscribe"] }), "JSON text"),
        (P::Ably, &["x-ably-clientId"], json!("*"), "claim `x-ably-clientId` must be"),
        (P::Ably, &["kid"], Value::Null, "the name of the API key"),
        (P::Pusher, &["channels"], json!(["private-*"]), "only with `dangerous"),
        (P::Pusher, &["channels"], json!(["private-user-*", "presence-*"]), "only with `dangerous"),
        (P::Pusher, &["channels"], json!(["public"]), "a channel is `private-…`"),
        (P::Pusher, &["channels"], json!(["private-encrypted-x"]), "a channel is `private-…`"),
        (P::Pusher, &["channels"], json!(["private-x*"]), "a channel is `private-…`"),
        (P::Pusher, &["channels"], json!(["private-a b"]), "a channel is `private-…`"),
        (P::Pusher, &["channels"], json!(["private-a:presence-b"]), "a channel is `private-…`"),
        (P::Pusher, &["channels"], json!(["{{ user.name ? }}"]), "decides what the token allows"),
        (P::Pusher, &["channels"], json!([]), "at least one text"),
        (P::Pusher, &["channels"], Value::Null, "claims.channels"),
        (P::Pusher, &["Channels"], json!(["private-x"]), "upper and lower case"),
        (P::Pusher, &["user_id"], json!("x"), "Pusher would not read it"),
        (P::Pusher, &["user_info"], json!("x"), "must be an object"),
        (P::Pusher, &["user_info"], json!({ "x": "y".repeat(1024) }), "at most 1,024 bytes"),
        (P::Pusher, &["issuer"], Value::Null, "the app's key"),
        (P::Pusher, &["issuer"], json!("key:x"), "the app's key"),
        (P::Pusher, &["audience"], json!("x"), "has no such thing"),
        (P::Pusher, &["lifetime"], json!(60), "has no such thing"),
        (P::Pusher, &["kid"], json!("x"), "has no such thing"),
        (P::Pusher, &["algorithm"], json!("ES256"), "locks it to `HS256`"),
        (P::Pusher, &["key"], Value::Null, "import it"),
        (P::Pusher, &["url"], json!("https://x.example"), "nobody is asked"),
        (P::Appwrite, &["url"], Value::Null, "the address of the target's API"),
        (P::Appwrite, &["url"], json!("cloud.appwrite.io"), "`https://…`"),
        (P::Appwrite, &["url"], json!("https://key@cloud.appwrite.io"), "`https://…`"),
        (P::Appwrite, &["audience"], Value::Null, "the project's id"),
        (P::Appwrite, &["audience"], json!("a\r\nX-Appwrite-Key: x"), "letters, digits"),
        (P::Appwrite, &["length"], json!(6), "from 32 to 128"),
        (P::Appwrite, &["length"], json!(129), "from 32 to 128"),
        (P::Appwrite, &["length"], json!("64"), "from 32 to 128"),
        (P::Appwrite, &["expire"], json!(60), "no part of the request"),
        (P::Appwrite, &["userId"], json!("x"), "no part of the request"),
        (P::Appwrite, &["lifetime"], json!(30), "between 60 seconds and 1 hour"),
        (P::Appwrite, &["subject"], json!("{{ user.email }}"), "claim `subject` must be"),
        (P::Appwrite, &["algorithm"], json!("HS256"), "creates the token itself"),
        (P::Appwrite, &["issuer"], json!("x"), "creates the token itself"),
        (P::Appwrite, &["key"], Value::Null, "import it"),
        (P::Instantdb, &["url"], json!("ftp://api.instantdb.com"), "`https://…`"),
        (P::Instantdb, &["audience"], json!("my-app"), "a UUID"),
        (P::Instantdb, &["id"], json!("x"), "no part of the request"),
        (P::Instantdb, &["lifetime"], json!(60), "creates the token itself"),
        (P::Instantdb, &["bearer_audience"], json!("x"), "no access token comes by another program"),
        (P::Centrifugo, &["channels"], json!(["{{ user.name ? }}"]), "decides what the token allows"),
        (P::Centrifugo, &["expire_at"], json!(0), "reserved"),
        (P::Centrifugo, &["subs"], json!({ "news": "x" }), "from channels to objects"),
        (P::Centrifugo, &["subs"], json!({ "news": { "override": { "presence": true } } }), "from channels to objects"),
        (
            P::Centrifugo,
            &["subs"],
            json!({ "news": { "override": { "presence": { "value": "yes" } } } }),
            "from channels to objects",
        ),
        (P::Mercure0, &["mercure", "publish"], json!(["*"]), "only with `dangerous"),
        (P::Mercure0, &["mercure", "subscribe"], json!(["{+any}"]), "is a URI template"),
        (P::Mercure0, &["mercure", "publish"], json!(["https://example.com/users/{id}"]), "is a URI template"),
        (P::Mercure0, &["mercure", "subscribe"], json!(["{{ '{+any}' }}"]), "is a URI template"),
        (P::Mercure0, &["https://mercure.rocks/"], json!({ "subscribe": ["{{ user.name }}"] }), "reserved"),
        (P::Mercure0, &["HTTPS://mercure.rocks/"], json!({ "publish": ["*"] }), "reserved"),
        (P::Mercure0, &["authorization_details"], mercure_1(&json!({ "match": "x" })), "reserved"),
        (P::Mercure1, &["mercure"], json!({ "publish": ["*"] }), "reserved"),
        (P::Mercure1, &["https://mercure.rocks/"], json!({ "publish": ["*"] }), "reserved"),
        (P::Mercure1, &["authorization_details"], json!([]), "a list of at least one member"),
        (P::Mercure1, &["authorization_details"], mercure_1(&json!({ "match": "*" })), "only with `dangerous"),
        (P::Mercure1, &["authorization_details"], mercure_1(&json!({ "match": "x/{+any}" })), "is a URI template"),
        (P::Mercure1, &["authorization_details"], mercure_1(&pattern()), "is a pattern"),
        (P::Mercure1, &["typ"], json!("JWT"), "locks it to `at+jwt`"),
        (P::Mercure1, &["authorization_details"], json!([{ "type": "x" }]), "has its `type`"),
    ]);
}

#[test]
fn programs_and_clouds_refuse_what_would_harm_them() {
    refuses(&[
        (P::SurrealdbRecord, &["rl"], json!(["Owner"]), "reserved"),
        (P::SurrealdbRecord, &["https://surrealdb.com/ns"], json!("x"), "no name begins with"),
        (P::SurrealdbRecord, &["https://surrealdb.com/roles"], json!(["Owner"]), "no name begins with"),
        (P::SurrealdbSystem, &["HTTPS://surrealdb.com/record"], json!("a:b"), "no name begins with"),
        (P::SurrealdbSystem, &["rl"], json!(["Owner"]), "only with `dangerous"),
        (P::SurrealdbSystem, &["rl"], json!(["Reader"]), "a role is"),
        (P::AwsSts, &["https://aws.amazon.com/tags"], json!({ "principal_tags": { "T": "x" } }), "at most 50"),
        (
            P::AwsSts,
            &["https://aws.amazon.com/tags"],
            json!({ "principal_tags": { "T": ["{{ user.name }}"] } }),
            "decides what",
        ),
        (P::AwsSts, &["https://aws.amazon.com/tags/principal_tags/Team"], json!("x"), "tags are written in"),
        (P::AwsSts, &["https://aws.amazon.com/source_identity"], json!("x"), "tags are written in"),
        (P::GcpWif, &["algorithm"], json!("EdDSA"), "locks it"),
        (P::AzureFic, &["algorithm"], json!("ES256"), "locks it"),
        (P::Kubernetes, &["groups"], json!(["system:masters"]), "only with `dangerous"),
        (P::Kubernetes, &["algorithm"], json!("EdDSA"), "locks it"),
        (P::Kubernetes, &["email"], json!("{{ user.name ? }}"), "may only be `{{ user.email }}`"),
        (P::Kubernetes, &["email_verified"], json!(true), "may only be `{{ user.email_verified }}`"),
        (P::Vault, &["groups"], json!("one"), "must be a list"),
        (P::Minio, &["policy"], json!("readonly,consoleAdmin"), "only with `dangerous"),
        (P::Minio, &["roleArn"], json!("{{ user.name }}"), "reserved"),
        (P::Minio, &["rolearn"], json!("arn:minio:iam:::role/x"), "reserved"),
        (P::Grafana, &["role"], json!("GrafanaAdmin"), "only with `dangerous"),
        (P::Grafana, &["email"], json!("{{ user.name ? }}"), "may only be `{{ user.email }}`"),
        (P::Grafana, &["email"], json!("admin@localhost"), "may only be `{{ user.email }}`"),
        (P::Clickhouse, &["clickhouse:roles"], json!(["default_role"]), "only with `dangerous"),
        (P::Clickhouse, &["clickhouse:grants"], json!(["ALL ON *.*"]), "only with `dangerous"),
        (P::Clickhouse, &["clickhouse:grants"], json!(["SELECT ON *.*"]), "only with `dangerous"),
        (P::Trino, &["kid"], json!("omit"), "by its `kid`"),
        (P::Kafka, &["scope"], Value::Null, "claims.scope"),
        (P::Dovecot, &["typ"], json!("at+jwt"), "locks it"),
        (P::Ejabberd, &["subject"], Value::Null, "a full JID"),
        (P::Ejabberd, &["subject"], json!("{{ user.id }}"), "a full JID"),
    ]);
}

/// A target that finds keys only through our discovery document would never find a bridge's own.
#[test]
fn a_target_that_knows_our_keys_alone_gets_no_others() {
    for kind in [PresetKind::AwsSts, PresetKind::AzureFic, PresetKind::Minio] {
        for key in [None, Some(KeySource::Own)] {
            let told = refusal(BridgeDefinition { key, ..example::definition(kind).unwrap() });
            assert!(told.contains("locks it to `provider`"), "{}: {told}", kind.as_str());
        }
    }
}

/// A secret that is too short for a JWT is accepted where no JWT is made.
#[test]
fn short_secrets_are_for_what_is_no_jwt() {
    let short = crate::bridge::KeyUpload::Secret("7ad3773142a6692b25b8".to_owned()).read().unwrap();
    let told = |kind| refusal(BridgeDefinition { material: Some(short.clone()), ..example::definition(kind).unwrap() });
    assert_eq!(told(PresetKind::Pusher), "accepted");
    for kind in [PresetKind::Livekit, PresetKind::SupabaseSecret, PresetKind::Mercure0] {
        assert!(told(kind).contains("at least 32 bytes"), "{}: {}", kind.as_str(), told(kind));
    }
}

/// An audience may contain a colon; the permission after it is still found.
#[test]
fn a_colon_in_the_audience_hides_no_permission() {
    let permission = |name: &str| {
        let scope = json!([format!("https://mq.example.read:%2F/{name}")]);
        let definition = changed(PresetKind::Rabbitmq, &["scope"], &scope);
        refusal(BridgeDefinition { audience: Some("https://mq.example".to_owned()), ..definition })
    };
    assert_eq!(permission("orders-*"), "accepted");
    assert!(permission("mqtt-subscription-*").contains("everybody's MQTT queues"));
}

/// A value that a preset refuses as too powerful can be allowed explicitly.
#[test]
fn a_powerful_value_can_be_meant() {
    for (kind, place, value) in [
        (PresetKind::SupabaseThirdParty, &["role"][..], json!("service_role")),
        (PresetKind::Rabbitmq, &["scope"], json!(["rabbitmq.tag:administrator"])),
        (PresetKind::RabbitmqMqtt, &["scope"], json!(["rabbitmq.read:%2F/mqtt-subscription-*/*"])),
        (PresetKind::NatsUser, &["pub", "allow"], json!([">"])),
        (PresetKind::Livekit, &["video", "roomAdmin"], json!(true)),
        (PresetKind::Ably, &["x-ably-capability"], json!("{\"*\":[\"*\"]}")),
        (PresetKind::Ably, &["x-ably-capability"], json!("{\"chat\":[\"message-update-any\",\"push-admin\"]}")),
        (PresetKind::Mercure0, &["mercure", "subscribe"], json!(["*", "https://example.com/{+any}"])),
        (PresetKind::Mercure1, &["authorization_details"], mercure_1(&pattern())),
        (PresetKind::Kubernetes, &["groups"], json!(["system:masters"])),
    ] {
        let definition = BridgeDefinition { dangerous: true, ..changed(kind, place, &value) };
        assert_eq!(refusal(definition), "accepted", "{}", kind.as_str());
    }
}

/// The rules accept what the targets can read.
#[test]
fn what_a_target_reads_is_accepted() {
    let mut spoken = example::definition(P::Livekit).unwrap();
    for (name, value) in [
        ("canPublishData", json!(true)),
        ("canPublishSources", json!(["camera", "microphone"])),
        ("canUpdateOwnMetadata", json!(false)),
    ] {
        put(&mut spoken.claims, &["video", name], value);
    }
    assert_eq!(refusal(spoken), "accepted");
    for (kind, place, value) in [
        (P::Ably, &["x-ably-capability"][..], json!("{\"chat\":[\"message-update-own\",\"message-delete-own\"]}")),
        (P::NatsUser, &["resp"], json!({ "max": 1, "ttl": 5_000_000_000_i64 })),
        (P::Centrifugo, &["subs"], json!({ "news": { "override": { "presence": { "value": true } } }, "jobs": {} })),
        (P::Kubernetes, &["email"], json!("{{ user.email ? }}")),
        (P::Kubernetes, &["email_verified"], json!("{{ user.email_verified }}")),
    ] {
        assert_eq!(refusal(changed(kind, place, &value)), "accepted", "{}: {value}", kind.as_str());
    }
}

/// The rules apply to the values at minting, not only to the samples.
#[test]
fn a_value_that_breaks_a_rule_at_minting_mints_nothing() {
    let render = |definition: BridgeDefinition, change: &dyn Fn(&mut Facts)| {
        let bridge = Bridge::new(definition).unwrap();
        let mut facts = sample::full(&["x"]);
        change(&mut facts);
        bridge.render(&facts, sample::moment(), Uuid::nil())
    };
    let broken = |result: Result<crate::bridge::Rendered, RenderError>, words: &str| {
        let told = result.expect_err(words).to_string();
        assert!(told.contains(words), "{told}");
    };
    let groups = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        move |facts: &mut Facts| facts.user.groups.clone_from(&names)
    };
    let kubernetes = changed(PresetKind::Kubernetes, &["groups"], &json!("{{ user.groups }}"));
    broken(render(kubernetes, &groups(&["system:masters"])), "only with `dangerous");
    let role = changed(PresetKind::Postgrest, &["role"], &json!("{{ user.groups | in('staff', 'postgres') | first }}"));
    assert!(render(role.clone(), &groups(&["staff"])).is_ok());
    broken(render(role, &groups(&["postgres"])), "only with `dangerous");
    let uuid = changed(PresetKind::SupabaseThirdParty, &["subject"], &json!("{{ link('x') ?? user.id }}"));
    broken(render(uuid, &|facts| drop(facts.links.insert("x".to_owned(), "usr_1".to_owned()))), "must be a UUID");
    let roles = changed(
        PresetKind::Hasura,
        &["https://hasura.io/jwt/claims", "x-hasura-allowed-roles"],
        &json!(["user", "{{ user.groups | in('staff', 'admin') | first ? }}"]),
    );
    broken(render(roles, &groups(&["admin"])), "only with `dangerous");
    let place = ["https://hasura.io/jwt/claims", "x-hasura-allowed-roles"];
    let roles = json!("{{ user.attr('roles', 'list') | with('user') ?? 'user' | list }}");
    let roles = changed(PresetKind::Hasura, &place, &roles);
    let having = |name: &'static str| {
        let held = Datum::List(vec![name.to_owned()]);
        move |facts: &mut Facts| drop(facts.user.attributes.insert("roles".to_owned(), held.clone()))
    };
    assert!(render(roles.clone(), &having("editor")).is_ok());
    assert!(render(roles.clone(), &|_| {}).is_ok(), "nobody needs to have them");
    broken(render(roles, &having("admin")), "only with `dangerous");
}
