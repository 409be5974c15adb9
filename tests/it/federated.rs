//! Clients that are workloads elsewhere: authenticated by their platform's tokens, and everything that is refused.

use chrono::Duration;
use serde_json::{Value, json};

use crate::cli::{Operator, eventually};
use crate::support::jose::{ASSERTION_TYPE, Key, as_toml, fresh};
use crate::support::oidc::CHALLENGE;
use crate::support::tokens::{basic, claims};
use crate::support::{API_SECRET, Options, Reply, TestApp};

const CLUSTER: &str = "https://cluster.example";
const GITHUB: &str = "https://token.actions.example";
const SHOP: &str = "system:serviceaccount:shop:worker";

/// `worker` is a service account of a cluster, or a job of a repository.
const CONFIG: &str = r#"
[trusted_issuers.cluster]
issuer = "https://cluster.example"
algorithms = ["ES256"]
max_age = "1h"
max_life = "90m"
single_use = false
CLUSTER_MORE
CLUSTER_KEYS

[trusted_issuers.github]
issuer = "https://token.actions.example"
algorithms = ["ES256"]
clients = ["worker"]
scopes = ["jobs"]
GITHUB_KEYS

[exchange_rules.jobs]
clients = ["worker"]
issuers = ["github"]
subject_types = ["jwt"]
new_audiences = ["https://jobs.example"]
new_scopes = ["jobs"]

[clients.worker]
kind = "confidential"
grants = ["client_credentials", "authorization_code", "device_code", "token_exchange", "jwt_bearer"]
redirect_uris = ["https://jobs.example/cb"]
scopes = ["jobs"]
audiences = ["https://jobs.example"]
may_introspect = ["https://jobs.example"]
federated = [
    { issuer = "cluster", subject = "system:serviceaccount:shop:worker", audience = "ORIGIN" },
    { issuer = "github", subject = "repo:acme/shop:ref:refs/heads/main", audience = "ORIGIN" },
]

[clients.sibling]
kind = "confidential"
grants = ["client_credentials"]
scopes = ["jobs"]
audiences = ["https://jobs.example"]
federated = [{ issuer = "cluster", subject = "system:serviceaccount:shop:other", audience = "https://other.example" }]

[clients.secretive]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["client_credentials"]
scopes = ["jobs"]
audiences = ["https://jobs.example"]
"#;

struct World {
    app: TestApp,
    cluster: Key,
    github: Key,
}

impl World {
    fn new() -> Self {
        Self::where_the_cluster("")
    }

    /// With additional settings for the trusted issuer `cluster`.
    fn where_the_cluster(more: &str) -> Self {
        let (cluster, github) = (Key::p256(), Key::p256());
        let config = CONFIG
            .replace("CLUSTER_MORE", more)
            .replace("CLUSTER_KEYS", &as_toml(&[cluster.named("k1")]))
            .replace("GITHUB_KEYS", &as_toml(&[github.named("k1")]));
        let settings = [("registration.mode", "open")];
        let app = TestApp::with(&Options { config: &config, settings: &settings, ..Options::default() });
        Self { app, cluster, github }
    }

    /// The claims that the cluster makes about the worker.
    fn said(&self) -> Value {
        let iat = self.app.clock.now().timestamp();
        json!({ "iss": CLUSTER, "sub": SHOP, "aud": [self.app.origin], "iat": iat, "exp": iat + 3600, "nbf": iat })
    }

    /// The same with changed members; `null` removes one.
    fn but(&self, change: &Value) -> String {
        let mut said = self.said();
        for (name, value) in change.as_object().unwrap() {
            said[name] = value.clone();
        }
        said.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.cluster.sign(&json!({ "alg": "ES256", "kid": "k1" }), &said)
    }

    fn ask(&self, client: &str, token: &str) -> Reply {
        self.send(&[("client_id", client), ("client_assertion", token)])
    }

    fn send(&self, more: &[(&str, &str)]) -> Reply {
        let form = [&[("grant_type", "client_credentials"), ("client_assertion_type", ASSERTION_TYPE)], more].concat();
        self.app.request("POST", "/oauth/token").form(&form).send()
    }
}

#[test]
fn a_workload_gets_a_token_by_that_of_its_platform() {
    let world = World::new();
    let (app, token) = (&world.app, world.but(&json!({})));
    let told = world.ask("worker", &token).expect(200).json();
    let access = told["access_token"].as_str().unwrap();
    assert_eq!((&claims(access)["sub"], &claims(access)["client_id"]), (&json!("worker"), &json!("worker")));
    // It can be presented until it expires: platforms issue the next one late in its life.
    app.advance(Duration::minutes(30));
    world.ask("worker", &token).expect(200);
    // At every endpoint where clients authenticate.
    let form = [
        ("token", access),
        ("client_id", "worker"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", &token),
    ];
    app.request("POST", "/oauth/introspect").form(&form).send().expect(200);
    app.request("POST", "/oauth/revoke").form(&form).send().expect(200);
    let client = &form[1..];
    let push = [
        ("redirect_uri", "https://jobs.example/cb"),
        ("response_type", "code"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    app.request("POST", "/oauth/par").form(&[client, &push].concat()).send().expect(201);
    app.request("POST", "/oauth/device").form(client).send().expect(200);
    app.advance(Duration::minutes(31));
    world.ask("worker", &token).expect_oauth(401, "invalid_client");
}

/// `single_use` of a trusted issuer means the same wherever its tokens are presented.
#[test]
fn a_token_counts_once_where_its_issuers_tokens_do() {
    let world = World::new();
    let iat = world.app.clock.now().timestamp();
    let made = |jti: Option<String>| {
        let mut said = json!({
            "iss": GITHUB, "sub": "repo:acme/shop:ref:refs/heads/main", "aud": world.app.origin, "iat": iat,
            "exp": iat + 300,
        });
        if let Some(jti) = jti {
            said["jti"] = json!(jti);
        }
        world.github.sign(&json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" }), &said)
    };
    let (first, second) = (made(Some(fresh())), made(Some(fresh())));
    world.ask("worker", &first).expect(200);
    let again = world.ask("worker", &first).expect_oauth(401, "invalid_client");
    assert!(again.body.contains("used before"), "{}", again.body);
    world.ask("worker", &second).expect(200);
    world.ask("worker", &made(None)).expect_oauth(401, "invalid_client");
}

#[test]
fn tokens_that_prove_no_workload_are_refused_by_name() {
    let world = World::new();
    let (app, now) = (&world.app, world.app.clock.now().timestamp());
    let but = |change: Value| world.but(&change);
    let signed = |header: Value| world.cluster.sign(&header, &world.said());
    let by_other_key = Key::p256().sign(&json!({ "alg": "ES256", "kid": "k1" }), &world.said());
    let by_githubs_key = world.github.sign(&json!({ "alg": "ES256", "kid": "k1" }), &world.said());
    let unsigned = {
        let token = but(json!({}));
        let (head, _) = token.rsplit_once('.').unwrap();
        format!("{head}.")
    };
    for (name, token) in [
        ("another workload", but(json!({ "sub": "system:serviceaccount:shop:worker2" }))),
        ("the beginning of the name", but(json!({ "sub": "system:serviceaccount:shop" }))),
        ("in other case", but(json!({ "sub": SHOP.to_uppercase() }))),
        ("a wildcard", but(json!({ "sub": "system:serviceaccount:*" }))),
        ("the workload of another client", but(json!({ "sub": "system:serviceaccount:shop:other" }))),
        ("a subject that is a list", but(json!({ "sub": [SHOP] }))),
        ("no subject", but(json!({ "sub": null }))),
        ("an empty subject", but(json!({ "sub": "" }))),
        ("for somebody else", but(json!({ "aud": "https://kubernetes.default.svc" }))),
        ("for the audience of another client", but(json!({ "aud": "https://other.example" }))),
        ("for somebody else as well", but(json!({ "aud": [app.origin, "https://kubernetes.default.svc"] }))),
        ("for an address that begins so", but(json!({ "aud": format!("{}/", app.origin) }))),
        ("for nobody", but(json!({ "aud": [] }))),
        ("no audience", but(json!({ "aud": null }))),
        ("over", but(json!({ "iat": now - 600, "exp": now - 6 }))),
        ("no end", but(json!({ "exp": null }))),
        ("an end that is text", but(json!({ "exp": (now + 60).to_string() }))),
        ("no beginning", but(json!({ "iat": null }))),
        ("made too long ago", but(json!({ "iat": now - 3606, "exp": now + 60, "nbf": null }))),
        ("longer than the issuer's tokens live", but(json!({ "exp": now + 5401 }))),
        ("of the future", but(json!({ "nbf": now + 60 }))),
        ("another issuer that is trusted", but(json!({ "iss": GITHUB }))),
        ("an issuer that nobody trusts", but(json!({ "iss": "https://elsewhere.example" }))),
        ("the client as its issuer", but(json!({ "iss": "worker" }))),
        ("bound to a key", but(json!({ "cnf": { "jkt": fresh() } }))),
        ("somebody acts for the workload", but(json!({ "act": { "sub": "mallory" } }))),
        ("a security event", but(json!({ "events": {} }))),
        ("an access token", signed(json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" }))),
        ("an unknown key", signed(json!({ "alg": "ES256", "kid": "k2" }))),
        ("another algorithm", signed(json!({ "alg": "HS256", "kid": "k1" }))),
        ("no algorithm", signed(json!({ "alg": "none" }))),
        ("by another key", by_other_key),
        ("by the key of another trusted issuer", by_githubs_key),
        ("without its signature", unsigned),
        ("no token", "x".to_owned()),
    ] {
        let refused = world.ask("worker", &token);
        assert_eq!(refused.status, 401, "{name}: {}", refused.body);
        refused.expect_oauth(401, "invalid_client");
    }
    world.ask("worker", &but(json!({}))).expect(200);
    world.ask("worker", &but(json!({ "aud": app.origin }))).expect(200);
}

#[test]
fn a_token_proves_the_client_that_is_named_and_lists_it() {
    let world = World::new();
    let token = world.but(&json!({}));
    let assertion = ("client_assertion", token.as_str());
    for (name, more, status, error) in [
        ("no client named", vec![assertion], 401, "invalid_client"),
        ("a client that is another workload", vec![assertion, ("client_id", "sibling")], 401, "invalid_client"),
        ("a client that is none", vec![assertion, ("client_id", "secretive")], 401, "invalid_client"),
        ("a public client", vec![assertion, ("client_id", "web")], 401, "invalid_client"),
        ("an unknown client", vec![assertion, ("client_id", "nobody")], 401, "invalid_client"),
        (
            "a secret beside it",
            vec![assertion, ("client_id", "worker"), ("client_secret", API_SECRET)],
            400,
            "invalid_request",
        ),
        ("no token", vec![("client_id", "worker")], 400, "invalid_request"),
    ] {
        let refused = world.send(&more);
        assert_eq!(refused.status, status, "{name}: {}", refused.body);
        refused.expect_oauth(status, error);
    }
    // There is no other way to authenticate as the worker.
    let key = Key::p256();
    let own = key.assertion("worker", &world.app.origin, world.app.clock.now());
    world.ask("worker", &own).expect_oauth(401, "invalid_client");
    let form = [("grant_type", "client_credentials"), ("client_id", "worker")];
    world.app.request("POST", "/oauth/token").form(&form).send().expect_oauth(401, "invalid_client");
    let by_secret = world.app.request("POST", "/oauth/token").form(&form[..1]);
    by_secret.header("Authorization", &basic("worker", API_SECRET)).send().expect_oauth(401, "invalid_client");
    world.ask("worker", &token).expect(200);
}

/// Unless a rule says so, a token that authenticates a client is neither a grant nor a subject token.
#[test]
fn a_platforms_token_stands_for_no_person() {
    let world = World::new();
    let token = world.but(&json!({}));
    world.app.person();
    world.app.sql(&format!(
        "INSERT INTO external_ids (source, external_id, user_id) SELECT 'cluster', '{SHOP}', id FROM users"
    ));
    let with = |more: &[(&str, &str)]| {
        let client =
            [("client_id", "worker"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", token.as_str())];
        world.app.request("POST", "/oauth/token").form(&[&client[..], more].concat()).send()
    };
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    with(&[("grant_type", grant), ("assertion", &token)]).expect_oauth(400, "invalid_grant");
    let exchange = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", token.as_str()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
    ];
    with(&exchange).expect_oauth(400, "invalid_request");
}

#[test]
fn a_trust_that_is_over_proves_no_workload() {
    let world = World::where_the_cluster("expires_at = \"2001-01-01T00:00:00Z\"");
    world.ask("worker", &world.but(&json!({}))).expect_oauth(401, "invalid_client");
}

/// By commands, under the same rules as in the file.
#[test]
fn a_workload_is_made_by_command() {
    let world = World::new();
    let operator = Operator::of(&world.app);
    let issuer =
        format!("[trusted_issuers.cluster]\nissuer = \"{CLUSTER}\"\n{}", as_toml(&[world.cluster.named("k1")]));
    operator.write("passmint.toml", &issuer);
    let setting = |issuer: &str| {
        let audience = &world.app.origin;
        format!("federated=[{{ issuer = \"{issuer}\", subject = \"{SHOP}\", audience = \"{audience}\" }}]")
    };
    let create =
        ["clients", "create", "batch", "--kind", "confidential", "--grant", "client_credentials", "--scope", "jobs"];
    let refused = operator.refused(&[&create[..], &["--setting", &setting("nobody")]].concat());
    assert!(refused.contains("which is no trusted issuer"), "{refused}");
    let made = operator.ok(&[&create[..], &["--setting", &setting("cluster")]].concat());
    assert!(!made.contains("secret"), "{made}");
    let token = world.but(&json!({}));
    eventually("the client is known", || world.ask("batch", &token).status == 200);
    let refused = operator.refused(&["clients", "secret", "batch"]);
    assert!(refused.contains("as a workload elsewhere"), "{refused}");
    // An issuer that is no longer in the file vouches for nobody.
    world.app.sql(
        "UPDATE clients SET definition = jsonb_set(definition, '{federated,0,issuer}', '\"gone\"') WHERE id = 'batch'; \
         INSERT INTO changes (kind, key) VALUES ('clients', 'batch')",
    );
    eventually("its issuer is gone", || world.ask("batch", &token).status == 401);
}

/// Security rule 120: what an operator set on an app stays, whatever the app says about itself. The secret it had does
/// not become valid again when it is no longer a workload.
#[test]
fn an_app_that_was_made_a_workload_gets_no_secret_back() {
    let world = World::new();
    let (app, operator) = (&world.app, Operator::of(&world.app));
    let issuer =
        format!("[trusted_issuers.cluster]\nissuer = \"{CLUSTER}\"\n{}", as_toml(&[world.cluster.named("k1")]));
    operator.write("passmint.toml", &issuer);
    let mut body = json!({ "client_name": "Batch", "redirect_uris": ["https://rp.example/cb"] });
    let mut latest = app.request("POST", "/oauth/register").json(&body).send().expect(201).json();
    let (id, secret) = (latest["client_id"].clone(), latest["client_secret"].clone());
    let (id, secret) = (id.as_str().unwrap(), secret.as_str().unwrap());
    let status_by = |secret: &str| {
        let request = app.request("POST", "/oauth/revoke").header("Authorization", &basic(id, secret));
        request.form(&[("token", "x")]).send().status
    };
    assert_eq!(status_by(secret), 200);

    let workload =
        format!("federated=[{{ \"issuer\": \"cluster\", \"subject\": \"{SHOP}\", \"audience\": \"{}\" }}]", app.origin);
    operator.ok(&["clients", "set", id, "--clear", "auth_method", "--setting", &workload]);
    eventually("the secret is refused", || status_by(secret) == 401);
    let told = "SELECT count(*) AS n FROM audit_events WHERE kind = 'client.changed' AND detail ->> 'change' LIKE '%; secret removed'";
    assert_eq!(app.count(told), 1);

    let (path, token) = (latest["registration_client_uri"].clone(), "registration_access_token");
    let path = path.as_str().unwrap().strip_prefix(&app.origin).unwrap().to_owned();
    body["client_id"] = json!(id);
    for method in ["client_secret_basic", "client_secret_post", "none"] {
        body["token_endpoint_auth_method"] = json!(method);
        let own = format!("Bearer {}", latest[token].as_str().unwrap());
        latest = app.request("PUT", &path).header("Authorization", &own).json(&body).send().expect(200).json();
        assert!(latest.get("client_secret").is_none(), "{method}: {latest}");
        let kept = "SELECT count(*) AS n FROM clients WHERE source = 'registration' AND secret_digest IS NULL
                    AND definition -> 'federated' -> 0 ->> 'issuer' = 'cluster'
                    AND definition ->> 'kind' = 'confidential' AND NOT definition ? 'auth_method'";
        assert_eq!(app.count(kept), 1, "{method}");
    }
    operator.ok(&["clients", "set", id, "--clear", "federated", "--setting", "auth_method=client_secret_basic"]);
    let cleared = "SELECT count(*) AS n FROM clients WHERE source = 'registration' AND NOT definition ? 'federated'";
    assert_eq!(app.count(cleared), 1);
    assert_eq!(status_by(secret), 401);
}
