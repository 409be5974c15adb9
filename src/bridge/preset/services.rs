//! Programs that verify a plain JWT and decide by one or two of its claims: MinIO, Grafana, Trino, ClickHouse, Kafka,
//! Convex.
//!
//! Source: the documentation of JWT authentication of each, and how MinIO, Kafka and Trino treated our tokens in
//! `make test-verifiers`.

use super::about::{About, Snippet, Verified};
use super::claim::claim;
use super::jwt::PLAIN;
use super::shape;
use super::target::{Audience, Kid, Lifetime, Target};
use crate::bridge::spec::{Algorithm, AudienceForm, Typ};

/// Convex.
pub static CONVEX: Target = Target {
    about: About {
        title: "Convex",
        page: "convex",
        summary: "The token that Convex's client sends, with a custom JWT provider on its side.",
        verified: Verified::Source("Convex's documentation of custom JWT providers"),
        key_lag: 60,
        example: r#"[bridges.convex]
preset = "convex"
audience = "my-convex-app"
"#,
        other_side: &[Snippet {
            place: "convex/auth.config.ts",
            language: "js",
            text: "export default { providers: [{
  type: \"customJwt\", applicationID: \"{audience}\", issuer: \"{issuer}\", jwks: \"{jwks_url}\", algorithm: \"{algorithm}\",
}] };",
        }],
        notes: &["Without `applicationID` Convex accepts a token for any audience: set it."],
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256],
    types: &[Typ::Jwt],
    audience: Audience::Said("the provider's `applicationID`"),
    kid: Kid::Needed,
    lifetime: Lifetime::HOUR,
    ..PLAIN
};

/// MinIO.
pub static MINIO: Target = Target {
    about: About {
        title: "MinIO",
        page: "minio",
        summary: "The web identity token of MinIO's STS.",
        verified: Verified::Live("MinIO at 7aac2a2 (12 February 2026), minio-go 7.4.1"),
        key_lag: 60,
        example: r#"[bridges.minio]
preset = "minio"
audience = "minio"
key = "provider"

[bridges.minio.claims]
policy = "{{ user.groups | map('staff', 'readwrite', 'guests', 'readonly') }}"
"#,
        other_side: &[
            Snippet {
                place: "The environment of minio (/etc/default/minio)",
                language: "sh",
                text: "MINIO_IDENTITY_OPENID_CONFIG_URL={issuer}/.well-known/openid-configuration
MINIO_IDENTITY_OPENID_CLIENT_ID={audience}
MINIO_IDENTITY_OPENID_CLAIM_NAME=policy",
            },
            Snippet {
                place: "And a secret, created once (the file is read without a shell, so it cannot create one)",
                language: "sh",
                text: "echo \"MINIO_IDENTITY_OPENID_CLIENT_SECRET=$(openssl rand -hex 32)\" >> /etc/default/minio",
            },
        ],
        notes: &[
            "Always set the secret, and keep it: MinIO accepts HS256 tokens signed with it, and without one it accepts \
             anyone's tokens, signed with an empty secret. All servers of a cluster use the same one.",
            "MinIO does not check `iss`: it accepts everything that the provider's keys sign for this audience.",
            "`policy` names policies straight from the token: it comes from nothing that people choose, and `consoleAdmin` and `diagnostics` need \
             `dangerous = true`. A policy bound to a role (`RoleArn`) needs no claim, and `roleArn`, which MinIO puts above `policy`, is never written.",
        ],
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256],
    types: &[Typ::Jwt],
    audience: Audience::Said("MINIO_IDENTITY_OPENID_CLIENT_ID"),
    lifetime: Lifetime::HOUR,
    claims: &[claim(&["policy"], shape::TEXT_OR_TEXTS).powerful(&["consoleAdmin", "diagnostics"])],
    // The policy of that role would apply instead of the claim.
    reserved: &["roleArn"],
    by_discovery: true,
    ..PLAIN
};

/// Grafana.
pub static GRAFANA: Target = Target {
    about: About {
        title: "Grafana, auth.jwt",
        page: "grafana",
        summary: "A JWT in a header that signs a person in to Grafana.",
        verified: Verified::Source("Grafana's documentation of auth.jwt"),
        key_lag: 60,
        example: r#"[bridges.grafana]
preset = "grafana"
audience = "grafana"

[bridges.grafana.claims]
email = "{{ user.email ? }}"
role = "{{ user.groups | map('editors', 'Editor') | first ?? 'Viewer' }}"
"#,
        other_side: &[Snippet {
            place: "grafana.ini",
            language: "ini",
            text: "[auth.jwt]
enabled = true
header_name = X-JWT-Assertion
jwk_set_url = {jwks_url}
cache_ttl = 5m
username_claim = sub
email_claim = email
expect_claims = {\"iss\": \"{issuer}\", \"aud\": \"{audience}\"}
role_attribute_path = role
auto_sign_up = true",
        }],
        notes: &[
            "Without `expect_claims` Grafana checks neither issuer nor audience.",
            "`url_login` writes tokens into addresses, logs and histories: leave it off.",
            "The roles `Admin` and `GrafanaAdmin` need `dangerous = true`. To sign in to Grafana by OpenID Connect: [the recipe](../recipes/grafana.md).",
        ],
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256],
    types: &[Typ::Jwt],
    audience: Audience::Said("the `aud` of `expect_claims`"),
    forms: &[AudienceForm::String],
    lifetime: Lifetime::HOUR,
    claims: &[
        claim(&["role"], shape::TEXT).powerful(&["Admin", "GrafanaAdmin"]),
        claim(&["groups"], shape::TEXTS).rights(),
    ],
    ..PLAIN
};

/// Trino.
pub static TRINO: Target = Target {
    about: About {
        title: "Trino",
        page: "trino",
        summary: "The access token of Trino's clients.",
        verified: Verified::Live("Trino 478, a whole server"),
        key_lag: 60,
        example: r#"[bridges.trino]
preset = "trino"
audience = "trino"
"#,
        other_side: &[Snippet {
            place: "config.properties",
            language: "ini",
            text: "http-server.authentication.type=JWT
http-server.authentication.jwt.key-file={jwks_url}
http-server.authentication.jwt.required-issuer={issuer}
http-server.authentication.jwt.required-audience={audience}
http-server.authentication.jwt.principal-field=sub",
        }],
        notes: &[
            "Trino accepts JWTs only over TLS, and checks issuer and audience only if they are required: require them.",
            "It does not start without `internal-communication.shared-secret`, nor while it cannot fetch the key set.",
            "A person is their id, also where the client names another user: Trino refuses that unless a rule of its access control allows it.",
        ],
    },
    algorithms: &[Algorithm::Rs256, Algorithm::Es256],
    types: &[Typ::Jwt],
    audience: Audience::Said("`required-audience`"),
    kid: Kid::Needed,
    lifetime: Lifetime::HOUR,
    ..PLAIN
};

/// ClickHouse Cloud.
pub static CLICKHOUSE: Target = Target {
    about: About {
        title: "ClickHouse Cloud",
        page: "clickhouse",
        summary: "The JWT that signs a passing user in, with roles.",
        verified: Verified::Source("ClickHouse Cloud's documentation of JWT authentication"),
        key_lag: 60,
        example: r#"[bridges.clickhouse]
preset = "clickhouse"
audience = "clickhouse"

[bridges.clickhouse.claims]
"clickhouse:roles" = "{{ user.groups | map('analysts', 'reader') }}"
"#,
        other_side: &[Snippet { place: "The service's JWT settings: key set", language: "text", text: "{jwks_url}" }],
        notes: &[
            "A token that is older than the last one of the same person is refused: fetch a new one rather than keeping several.",
            "EC keys are understood from 26.8 on; RS256 everywhere.",
        ],
    },
    algorithms: &[Algorithm::Rs256, Algorithm::Es256],
    types: &[Typ::Jwt],
    audience: Audience::Said("the audience that the service expects"),
    kid: Kid::Needed,
    lifetime: Lifetime::HOUR,
    claims: &[
        claim(&["clickhouse:roles"], shape::TEXTS).powerful(&["default_role", "sql_console_admin", "admin"]),
        claim(&["clickhouse:grants"], shape::TEXTS).powerful(&["*", "*.*", "all"]),
    ],
    ..PLAIN
};

/// Kafka.
pub static KAFKA: Target = Target {
    about: About {
        title: "Apache Kafka, OAUTHBEARER",
        page: "kafka",
        summary: "The token of a SASL/OAUTHBEARER connection.",
        verified: Verified::Live("Kafka 4.4.0: a whole broker, its validator and its client"),
        key_lag: 60,
        example: r#"[bridges.kafka]
preset = "kafka"
audience = "kafka"

[bridges.kafka.claims]
scope = ["kafka"]
"#,
        other_side: &[
            Snippet {
                place: "server.properties",
                language: "ini",
                text: "listener.name.sasl_ssl.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.server.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
listener.name.sasl_ssl.oauthbearer.sasl.oauthbearer.jwks.endpoint.url={jwks_url}
listener.name.sasl_ssl.oauthbearer.sasl.oauthbearer.expected.issuer={issuer}
listener.name.sasl_ssl.oauthbearer.sasl.oauthbearer.expected.audience={audience}",
            },
            Snippet {
                place: "The broker's environment",
                language: "sh",
                text: "KAFKA_OPTS=-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={jwks_url}",
            },
            Snippet {
                place: "A client's properties, with the token in a file",
                language: "ini",
                text: "security.protocol=SASL_SSL
sasl.mechanism=OAUTHBEARER
sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
sasl.login.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler
sasl.oauthbearer.token.endpoint.url=file:///run/kafka/token",
            },
        ],
        notes: &[
            "From 4.4 on the broker does not start without an expected issuer and audience, and never while it cannot fetch the key set.",
            "Omit no line: without the callback handler, a broker accepts unsigned tokens.",
            "The address of the key set has to be in the JVM's list of allowed URLs (`org.apache.kafka.sasl.oauthbearer.allowed.urls`), or the \
             broker does not start; several are separated by commas. A client that reads its token from a file needs the file's URL in the list of \
             its own JVM.",
            "The broker requires `exp`, `iat` and `sub`. Kafka's documentation also asks for `scope`, but a 4.4 broker \
             works without it.",
            "A person is `User:` and their id, and ACLs name them so. What is in `scope` gives no rights in Kafka itself.",
            "A connection ends with its token. A new one is let in up to 30 seconds later (`sasl.oauthbearer.clock.skew.seconds`), and ends at once.",
        ],
    },
    algorithms: &[Algorithm::Rs256, Algorithm::Es256],
    types: &[Typ::Jwt, Typ::AtJwt],
    audience: Audience::Said("`expected.audience`"),
    kid: Kid::Needed,
    lifetime: Lifetime::CONNECTION,
    claims: &[claim(&["scope"], shape::TEXT_OR_TEXTS).needed().rights()],
    ..PLAIN
};
