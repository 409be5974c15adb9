//! What the tests of tokens share: reading tokens, calling the OAuth endpoints, concurrent callers, changing keys.

use std::sync::Barrier;
use std::time::{Duration as Real, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Duration;
use diesel::PgConnection;
use passmint::clock::Time;
use passmint::domain::id::UserId;
use passmint::storage::migrations;
use passmint::tokens::KeysError;
use passmint::tokens::key_set::KeySet;
use passmint::tokens::keys::Algorithm;
use passmint::tokens::keys::rotation::Policy;
use passmint::tokens::seal::{GroupReadable, MasterKey};
use passmint::tokens::verifier::{Audience, Expectation, Expiry, KeySource, Leeway, verify};
use serde_json::{Map, Value, json};

use super::{API_SECRET, Browser, Options, Reply, TestApp, cluster};
use crate::authenticator::{Authenticator, decode};

/// `grant_type` of the passkey grant.
pub const PASSKEY_GRANT: &str = "urn:passmint:params:oauth:grant-type:passkey";
/// The introspection response for a token with any fault: exactly this.
pub const INACTIVE: &str = r#"{"active":false}"#;

/// The tokens in a response of either endpoint.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    /// Empty if there is none.
    pub refresh: String,
    /// Empty if there is none.
    pub id: String,
    pub scope: String,
}

impl Tokens {
    /// Reads the response of the token endpoint or of a ceremony.
    pub fn of(answer: &Value) -> Self {
        let text = |snake: &str, camel: &str| {
            let value = answer.get(snake).or_else(|| answer.get(camel));
            value.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let tokens = Self {
            access: text("access_token", "accessToken"),
            refresh: text("refresh_token", "refreshToken"),
            id: text("id_token", "idToken"),
            scope: text("scope", "scope"),
        };
        assert!(!tokens.access.is_empty(), "an access token in {answer}");
        tokens
    }

    /// The session that they belong to.
    pub fn session(&self) -> String {
        claims(&self.access)["sid"].as_str().expect("a session").to_owned()
    }
}

/// The claims of a token, unverified.
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The header of a token.
pub fn header(token: &str) -> Value {
    part(token, 0)
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("a compact JWS");
    serde_json::from_slice(&decode(&json!(part))).expect("JSON")
}

/// The value of `Authorization: Basic`, for parts that need no form-encoding.
pub fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

impl TestApp {
    /// Another server on the same database that can share its ceremonies; both need `challenges.store = database`.
    pub fn twin(&self) -> Self {
        self.twin_with("")
    }

    /// [`TestApp::twin`] with additional configuration: what the first server had besides the usual clients.
    pub fn twin_with(&self, config: &str) -> Self {
        Self::with(&Options {
            beside: Some(self),
            config,
            public_url: Some(&self.origin),
            settings: &[("challenges.store", "database")],
        })
    }

    /// A new person with a passkey, and tokens of the client `web`.
    pub fn person_with_tokens(&self, scope: &str) -> (Browser, Authenticator, Tokens) {
        let (browser, mut passkey) = self.person();
        let tokens = Tokens::of(&self.client("web").sign_in(&mut passkey, scope).expect(200).json());
        (browser, passkey, tokens)
    }

    /// Signs in through the confidential client `api`, at the token endpoint.
    pub fn api_sign_in(&self, passkey: &mut Authenticator, scope: &str) -> Tokens {
        let begun = self.client("api").begin(scope);
        let credential = passkey.get_uninvited(&begun["publicKey"]);
        let reply = self.redeem(&begun, &credential, Some(&basic("api", API_SECRET)), &[]);
        Tokens::of(&reply.expect(200).json())
    }

    /// Completes a ceremony at the token endpoint.
    pub fn redeem(&self, begun: &Value, credential: &Value, basic: Option<&str>, more: &[(&str, &str)]) -> Reply {
        let credential = credential.to_string();
        let mut form = vec![
            ("grant_type", PASSKEY_GRANT),
            ("ceremony_id", begun["ceremonyId"].as_str().expect("a ceremony")),
            ("credential", &credential),
        ];
        form.extend(more);
        let request = self.request("POST", "/oauth/token").form(&form);
        match basic {
            Some(basic) => request.header("Authorization", basic).send(),
            None => request.send(),
        }
    }

    /// The complete body of an introspection by `api`.
    pub fn introspection(&self, token: &str) -> String {
        let request = self.request("POST", "/oauth/introspect").basic("api", API_SECRET);
        request.form(&[("token", token)]).send().expect(200).body
    }

    /// Whether an access token is currently accepted by our own API; anything but success or 401 fails the test.
    #[track_caller]
    pub fn opens(&self, access: &str) -> bool {
        let reply = self.client("web").bearer("GET", "/v1/me", access).send();
        if reply.status == 401 {
            reply.expect_problem(401, "invalid_token");
            return false;
        }
        reply.expect(200);
        true
    }

    /// Calls userinfo with an access token, not from a page.
    pub fn userinfo(&self, access: &str) -> Reply {
        self.request("GET", "/oauth/userinfo").header("Authorization", &format!("Bearer {access}")).send()
    }

    /// Calls the token endpoint as a confidential client with [`API_SECRET`].
    pub fn token_by(&self, client: &str, form: &[(&str, &str)]) -> Reply {
        let request = self.request("POST", "/oauth/token").form(form);
        request.header("Authorization", &basic(client, API_SECRET)).send()
    }

    /// A new person with name and e-mail, and their id.
    pub fn ada(&self) -> (Browser, Authenticator, UserId) {
        let (mut browser, mut passkey) = (self.browser(), self.passkey());
        let sign_up = json!({ "purpose": "sign-up", "email": "ada@example.com", "name": "Ada Lovelace" });
        let begun = browser.begin_registration(&sign_up);
        let credential = passkey.create(&begun["publicKey"]);
        let answer = browser.finish_registration(&begun, &credential).expect(200).json();
        let id = answer["user"]["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
        (browser, passkey, id)
    }

    /// Verifies a token as a resource server or client would, with the current `jwks.json`.
    #[track_caller]
    pub fn verified(&self, token: &str, audience: &str, typ: &str) -> Map<String, Value> {
        let set = self.request("GET", "/.well-known/jwks.json").send().expect(200);
        let keys = KeySet::parse(set.body.as_bytes()).expect("a key set");
        let expected = Expectation {
            types: &[typ],
            issuer: &self.origin,
            audience: Audience::Exactly(audience),
            required: &["sub", "iat", "jti"],
            leeway: Leeway::OWN,
            expiry: Expiry::Enforced,
            max_lifetime: Some(600),
            keys: KeySource::Foreign {
                keys: &keys,
                algorithms: &[Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA],
            },
        };
        verify(token, &expected, self.clock.now()).unwrap_or_else(|refusal| panic!("{refusal}: {token}")).into_claims()
    }

    /// Changes keys as the command line does: under the lock, with the master key.
    pub fn change_keys<T>(&self, work: impl FnOnce(&mut PgConnection, &MasterKey, Time) -> Result<T, KeysError>) -> T {
        let master = MasterKey::load(&cluster::master_key_file(), GroupReadable::Refused).expect("the master key");
        let now = self.clock.now();
        self.db
            .blocking(|conn| migrations::locked(conn, |conn| Ok(work(conn, &master, now))))
            .expect("the database answers")
            .expect("the keys change")
    }
}

/// The policy for rotating keys: published for ten minutes first.
pub fn policy(longest_life: Duration) -> Policy {
    Policy::with_longest_life(longest_life)
}

/// Waits until something holds.
#[track_caller]
pub fn within(limit: Real, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Real::from_millis(20));
    }
}

/// Does something many times at the same moment. Returns each result.
pub fn at_once<T: Send>(times: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(times);
    let (start, work) = (&start, &work);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..times)
            .map(|number| {
                scope.spawn(move || {
                    start.wait();
                    work(number)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}
