//! The names of the presets.

use crate::bridge::spec::words;

words! {
    /// The presets.
    PresetKind {
        /// A custom token of Firebase Auth or Google Identity Platform.
        Firebase = "firebase",
        /// The same, for a tenant of Identity Platform.
        FirebaseTenant = "firebase-tenant",
        /// Supabase, with its legacy shared secret.
        SupabaseSecret = "supabase-secret",
        /// Supabase, with a key that the project imported.
        SupabaseKey = "supabase-key",
        /// Supabase, with third-party auth.
        SupabaseThirdParty = "supabase-third-party",
        /// PostgREST.
        Postgrest = "postgrest",
        /// Neon's Data API.
        Neon = "neon",
        /// Hasura.
        Hasura = "hasura",
        /// Nhost.
        Nhost = "nhost",
        /// RabbitMQ: AMQP, STOMP, management.
        Rabbitmq = "rabbitmq",
        /// RabbitMQ: MQTT.
        RabbitmqMqtt = "rabbitmq-mqtt",
        /// A user of NATS in operator mode.
        NatsUser = "nats-user",
        /// NATS with users in its configuration, with auth callout.
        NatsCallout = "nats-callout",
        /// Convex.
        Convex = "convex",
        /// A record of SurrealDB.
        SurrealdbRecord = "surrealdb-record",
        /// A system user of SurrealDB.
        SurrealdbSystem = "surrealdb-system",
        /// LiveKit.
        Livekit = "livekit",
        /// Stream.
        Stream = "stream",
        /// Ably.
        Ably = "ably",
        /// Pusher Channels.
        Pusher = "pusher",
        /// Centrifugo.
        Centrifugo = "centrifugo",
        /// Mercure 0.x.
        Mercure0 = "mercure-0",
        /// Mercure 1.0.
        Mercure1 = "mercure-1",
        /// AWS.
        AwsSts = "aws-sts",
        /// Google Cloud.
        GcpWif = "gcp-wif",
        /// Azure.
        AzureFic = "azure-fic",
        /// Kubernetes.
        Kubernetes = "kubernetes",
        /// HashiCorp Vault, OpenBao.
        Vault = "vault",
        /// MinIO.
        Minio = "minio",
        /// Grafana's auth.jwt.
        Grafana = "grafana",
        /// Trino.
        Trino = "trino",
        /// ClickHouse Cloud.
        Clickhouse = "clickhouse",
        /// Apache Kafka.
        Kafka = "kafka",
        /// Dovecot.
        Dovecot = "dovecot",
        /// ejabberd.
        Ejabberd = "ejabberd",
        /// Appwrite.
        Appwrite = "appwrite",
        /// InstantDB.
        Instantdb = "instantdb",
        /// A plain JSON Web Token.
        Jwt = "jwt",
    }
}
