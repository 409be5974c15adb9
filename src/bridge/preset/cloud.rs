//! Clouds that exchange our token for their own credentials: AWS, Google, Azure. Each fetches keys over the public
//! internet, and may cache them for hours.
//!
//! Source: AWS STS AssumeRoleWithWebIdentity and session tags; Google's Workload Identity Federation; Microsoft Entra's
//! federated identity credentials.

use serde_json::Value;

use super::about::{About, Snippet, Verified};
use super::claim::claim;
use super::jwt::PLAIN;
use super::shape::{self, Shape};
use super::target::{Audience, Kid, Lifetime, Subject, Target};
use crate::bridge::spec::{Algorithm, AudienceForm, Typ};

const TAGS: &str = "https://aws.amazon.com/tags";
/// Six hours, in minutes: how long a cloud may take to see a new key.
const LAG: i64 = 360;

const ISSUER_NOTE: &str = "The cloud finds the keys through the issuer's discovery document, so the bridge signs with \
    this server's own keys (`key = \"provider\"`), and the server must be reachable from the internet over https.";

/// At most 50 tags: names of 128 and values of 256 characters, each value a list with one member.
fn tags(_: &super::rules::Plan, claims: &Value) -> Option<&'static str> {
    let is_aws = |name: &String| name.to_ascii_lowercase().starts_with("https://aws.amazon.com/");
    if claims.as_object().is_some_and(|all| all.keys().any(|name| is_aws(name) && name != TAGS)) {
        return Some("tags are written in `https://aws.amazon.com/tags` alone: nothing else of AWS is a claim of ours");
    }
    let tags = claims.get(TAGS)?;
    let principal = tags.get("principal_tags").and_then(Value::as_object);
    let one = |value: &Value| matches!(value.as_array().map(Vec::as_slice), Some([one]) if one.as_str().is_some_and(|text| text.chars().count() <= 256));
    let fits = principal.is_some_and(|all| {
        all.len() <= 50
            && all.iter().all(|(name, value)| {
                name.chars().count() <= 128 && !name.to_ascii_lowercase().starts_with("aws:") && one(value)
            })
    });
    let keys = tags.get("transitive_tag_keys").is_none_or(|keys| (shape::TEXTS.holds)(keys));
    (!fits || !keys).then_some("at most 50 `principal_tags`, each a list of one text of at most 256 characters")
}

/// AWS.
pub static AWS: Target = Target {
    about: About {
        title: "AWS STS",
        page: "aws",
        summary: "The web identity token that AssumeRoleWithWebIdentity accepts.",
        verified: Verified::Source("AWS's documentation"),
        key_lag: LAG,
        example: r#"[bridges.aws]
preset = "aws-sts"
audience = "sts.amazonaws.com"
key = "provider"

[bridges.aws.claims."https://aws.amazon.com/tags"]
principal_tags = { Team = ["{{ user.groups | in('platform', 'data') | first ?? 'none' }}"] }
"#,
        other_side: &[
            Snippet {
                place: "Once for the account",
                language: "sh",
                text: "aws iam create-open-id-connect-provider --url {issuer} --client-id-list {audience}",
            },
            Snippet {
                place: "The role's trust policy (the issuer's host is written without https://)",
                language: "json",
                text: "{ \"Effect\": \"Allow\", \"Action\": [\"sts:AssumeRoleWithWebIdentity\", \"sts:TagSession\"],
  \"Principal\": { \"Federated\": \"arn:aws:iam::123456789012:oidc-provider/id.example.com\" },
  \"Condition\": { \"StringEquals\": { \"id.example.com:aud\": \"{audience}\", \"id.example.com:sub\": \"<user id>\" } } }",
            },
        ],
        notes: &[
            ISSUER_NOTE,
            "A trust policy without a condition on `sub` lets *everybody* who may use the bridge take the role.",
            "Tags must not come from values that people choose; `sts:TagSession` must be allowed too.",
        ],
    },
    algorithms: &[Algorithm::Rs256, Algorithm::Es256],
    types: &[Typ::Jwt],
    audience: Audience::Said("the client id that the identity provider in IAM lists"),
    forms: &[AudienceForm::String],
    kid: Kid::Needed,
    lifetime: Lifetime::HOUR,
    claims: &[claim(&[TAGS], shape::OBJECT).rights()],
    also: tags,
    by_discovery: true,
    ..PLAIN
};

/// Google.
pub static GCP: Target = Target {
    about: About {
        title: "Google Cloud, workload identity federation",
        page: "gcp",
        summary: "The subject token that Google's Security Token Service exchanges.",
        verified: Verified::Source("Google's documentation"),
        key_lag: LAG,
        example: r#"[bridges.gcp]
preset = "gcp-wif"
audience = "//iam.googleapis.com/projects/123456789/locations/global/workloadIdentityPools/people/providers/passmint"
key = "provider"
"#,
        other_side: &[Snippet {
            place: "Once for the project",
            language: "sh",
            text: "gcloud iam workload-identity-pools providers create-oidc passmint --location=global --workload-identity-pool=people \\
  --issuer-uri={issuer} --attribute-mapping=google.subject=assertion.sub",
        }],
        notes: &[
            ISSUER_NOTE,
            "If Google cannot reach the server, omit `key`, so that the bridge signs with its own key, and upload its \
             key set (`/v1/bridges/<name>/jwks.json`, with `--jwk-json-path`). Repeat this at each rotation: a new key \
             is in the set six hours before it signs.",
            "`google.subject` has at most 127 characters.",
        ],
    },
    algorithms: &[Algorithm::Rs256, Algorithm::Es256],
    audience: Audience::Said("the provider's full name, or what it allows"),
    subject: Subject { max: 127, ..Subject::USER },
    claims: &[],
    also: |_, _| None,
    // Its key set can also be uploaded.
    by_discovery: false,
    ..AWS
};

/// Azure.
pub static AZURE: Target = Target {
    about: About {
        title: "Microsoft Entra, federated identity credential",
        page: "azure",
        summary: "The client assertion of an application with a federated credential.",
        verified: Verified::Unverified("Microsoft's list of algorithms and its limits on lengths were not seen"),
        key_lag: LAG,
        example: r#"[bridges.azure]
preset = "azure-fic"
key = "provider"
allow_unverified = true
"#,
        other_side: &[Snippet {
            place: "Once for each person (at most 20 for an application)",
            language: "sh",
            text: "az ad app federated-credential create --id $APP --parameters \\
  '{\"name\": \"passmint\", \"issuer\": \"{issuer}\", \"subject\": \"<user id>\", \"audiences\": [\"{audience}\"]}'",
        }],
        notes: &[ISSUER_NOTE, "Issuer and subject are compared exactly."],
    },
    algorithms: &[Algorithm::Rs256],
    audience: Audience::Usually("api://AzureADTokenExchange"),
    by_discovery: true,
    ..GCP
};

/// Text without the prefix that Kubernetes reserves for itself.
const UNPREFIXED: Shape = Shape {
    words: "a name that does not begin with `system:`",
    holds: |value| {
        value.as_str().is_some_and(|text| !text.is_empty() && !text.to_ascii_lowercase().starts_with("system:"))
    },
};

/// Kubernetes.
pub static KUBERNETES: Target = Target {
    about: About {
        title: "Kubernetes",
        page: "kubernetes",
        summary: "The bearer of an API server that trusts this one.",
        verified: Verified::Live("k8s.io/apiserver 0.37.2 (the authenticator of Kubernetes 1.37)"),
        key_lag: 60,
        example: r#"[bridges.kubernetes]
preset = "kubernetes"
audience = "kubernetes"
key = "provider"

[bridges.kubernetes.claims]
groups = "{{ user.groups | only('k8s-') }}"
"#,
        other_side: &[Snippet {
            place: "The API server's AuthenticationConfiguration",
            language: "yaml",
            text: "apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer: { url: \"{issuer}\", audiences: [\"{audience}\"] }
  claimMappings:
    username: { claim: sub, prefix: \"passmint:\" }
    groups: { claim: groups, prefix: \"passmint:\" }",
        }],
        notes: &[
            "The API server finds the keys through the issuer's discovery document: `key = \"provider\"`, https.",
            "Kubernetes supports the file's `v1` since 1.34, and `v1beta1` with the same content since 1.30.",
            "Prefix users and groups there; `system:` is refused here without `dangerous = true`. EdDSA is not \
             supported.",
        ],
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256],
    types: &[Typ::Jwt],
    audience: Audience::Said("one of the issuer's `audiences`"),
    lifetime: Lifetime::HOUR,
    subject: Subject { shape: UNPREFIXED, ..Subject::USER },
    claims: &[
        claim(&["groups"], shape::TEXTS).powerful(&["system:*"]),
        claim(&["preferred_username"], shape::TEXT).powerful(&["system:*"]),
        claim(&["email"], shape::TEXT),
    ],
    by_discovery: true,
    ..PLAIN
};

/// Vault.
pub static VAULT: Target = Target {
    about: About {
        title: "HashiCorp Vault, OpenBao",
        page: "vault",
        summary: "What `auth/jwt/login` takes.",
        verified: Verified::Live("vault-plugin-auth-jwt 0.26.1 (Vault's JWT method; OpenBao was not run)"),
        key_lag: 60,
        example: r#"[bridges.vault]
preset = "vault"
audience = "vault"

[bridges.vault.claims]
groups = "{{ user.groups | only('vault-') }}"
"#,
        other_side: &[Snippet {
            place: "Vault",
            language: "sh",
            text: "vault auth enable jwt
vault write auth/jwt/config jwks_url={jwks_url} bound_issuer={issuer}
vault write auth/jwt/role/people role_type=jwt user_claim=sub groups_claim=groups bound_audiences={audience} \\
  token_policies=people token_ttl=15m",
        }],
        notes: &["Vault allows a minute beyond `exp`, and none where the role says `clock_skew_leeway=-1`; \
             `expiration_leeway` is for tokens without `exp`. `groups` is a list of texts."],
    },
    algorithms: &[Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa],
    types: &[Typ::Jwt],
    audience: Audience::Said("one of the role's `bound_audiences`"),
    lifetime: Lifetime::HOUR,
    claims: &[claim(&["groups"], shape::TEXTS).powerful(&["root", "admin"])],
    ..PLAIN
};
