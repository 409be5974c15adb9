//! Nothing can be used in place of anything else (check 73): every kind of thing that we issue, at every place that
//! accepts one.
//!
//! To add a kind: a field of [`Cast`] and a row in [`Cast::kinds`]. To add a place: a row in [`PLACES`] with the kinds
//! that it accepts; everything else must be refused there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use passmint::tokens::claims::LOGOUT_EVENT;
use passmint::tokens::typ;
use serde_json::{Value, json};

use crate::actions;
use crate::authenticator::Authenticator;
use crate::support::jose::{ASSERTION_TYPE, Key, as_toml, fresh};
use crate::support::oidc::{self, Ask};
use crate::support::tokens::{Tokens, basic, within};
use crate::support::urn::TYPE;
use crate::support::{API_SECRET, Browser, Options, Reply, TestApp, verify};
use crate::transactions;

/// A bridge that imitates us: its token is for us and typed as an access token, but its key is not one of our signing
/// keys.
const BRIDGES: &str = r#"
[bridges.target]
preset = "jwt"
audience = "https://target.example"

[bridges.mimic]
preset = "jwt"
issuer = "https://elsewhere.example"
audience = "https://other.example"
typ = "at+jwt"

[bridges.mimic.claims]
client_id = "{{ client.id }}"
sid = "{{ session.id }}"
scope = "openid passkeys bridge:target"

[clients.spa]
first_party = true
redirect_uris = ["https://spa.example/cb"]
grants = ["authorization_code", "device_code"]
scopes = ["openid"]

[clients.swap]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["client_credentials", "token_exchange", "jwt_bearer"]
scopes = ["openid", "swap"]

[exchange_rules.swap]
clients = ["swap"]
subject_audiences = ["ORIGIN"]
audiences = ["ORIGIN"]
actor = "allowed"
impersonation = true

[exchange_rules.partner]
clients = ["swap"]
issuers = ["partner"]
subject_types = ["jwt"]
new_audiences = ["ORIGIN"]
impersonation = true

[exchange_rules.swap-txn]
clients = ["swap"]
subject_types = ["access_token", "txn_token"]
subject_audiences = ["ORIGIN", "shop.internal"]
new_audiences = ["shop.internal"]
scopes = ["openid"]
issues = ["txn_token"]

[exchange_rules.swap-id]
clients = ["swap"]
subject_types = ["id_token"]
subject_audiences = ["web"]
new_audiences = ["ORIGIN"]
impersonation = true
"#;

/// A client that signs what it sends with this key.
fn keyed(key: &Key) -> String {
    let jwks = as_toml(&[key.named("k1")]);
    format!(
        "[clients.keyed]\nkind = \"confidential\"\nauth_method = \"private_key_jwt\"\nfirst_party = true\n\
         redirect_uris = [\"https://keyed.example/cb\"]\ngrants = [\"authorization_code\", \"refresh_token\"]\n\
         scopes = [\"openid\"]\n{jwks}\n\
         [trusted_issuers.partner]\nissuer = \"{PARTNER}\"\nclients = [\"swap\"]\nscopes = [\"swap\"]\n\
         subject = \"create\"\n{jwks}\n"
    )
}

/// A trusted issuer, which uses the same key.
const PARTNER: &str = "https://partner.example";

/// Refused for the token it carries, after the client has authenticated.
const PAST: &str = "invalid_grant";

/// One of each kind, all for one person.
struct Cast {
    browser: Browser,
    passkey: Authenticator,
    own: Tokens,
    apis: Tokens,
    custom: String,
    mimic: String,
    transaction: String,
    given: Given,
    /// The proof of an operation that the person signed, and the access token of the backend that redeems it.
    proof: String,
    teller: String,
}

/// What else is issued, or sent by clients.
struct Given {
    code: String,
    id: String,
    device: String,
    pushed: String,
    answer: String,
    logout: String,
    assertion: String,
    request: String,
    proof: String,
    machine: String,
    action: String,
    action_id: String,
    result: String,
    backend: String,
    partner: String,
}

impl Given {
    fn new(app: &TestApp, browser: &mut Browser, key: &Key) -> Self {
        let now = app.clock.now();
        let ask = Ask::of("keyed").with("response_mode", "jwt");
        let form = [
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", &key.assertion("keyed", &app.origin, now)),
        ];
        let pushed = app.request("POST", "/oauth/par").form(&[ask.pairs(), form.to_vec()].concat()).send().expect(201);
        let device = app.request("POST", "/oauth/device").form(&[("client_id", "spa")]).send().expect(200).json();
        allow(browser, device["user_code"].as_str().unwrap());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let shop = actions::backend(app, "shop");
        // Each cast has its own person at the backend.
        let user = json!({ "externalId": { "id": text(&device["device_code"]) } });
        let make = |action: &str| shop.ask(&json!({ "action": action, "user": user })).expect(201).json();
        let proven = make("enrol");
        let begun = actions::enrolment(app, &proven["token"]).expect(200).json();
        let credential = app.passkey().create(&begun["publicKey"]);
        let enrolled = actions::finish(app, "registration", &begun, &credential).expect(200).json();
        let listing = make("list");
        let redeemed = oidc::present(app, "spa", &Ask::of("spa").send(browser).back().code()).expect(200);
        Self {
            code: Ask::of("spa").send(browser).back().code(),
            id: text(&redeemed.json()["id_token"]),
            device: text(&device["device_code"]),
            pushed: text(&pushed.json()["request_uri"]),
            answer: ask.send(browser).back().get("response").unwrap().to_owned(),
            logout: crate::admin::signed(
                app,
                typ::LOGOUT,
                &json!({ "sub": "x", "aud": "web", "sid": "x", "events": { LOGOUT_EVENT: {} } }),
            ),
            assertion: key.assertion("keyed", &app.origin, now),
            request: key.request_object("keyed", &app.origin, now, &Ask::of("keyed").pairs()),
            proof: key.proof("POST", &format!("{}/oauth/token", app.origin), now),
            partner: key.sign(
                &json!({ "alg": key.algorithm(), "kid": "k1" }),
                &json!({
                    "iss": PARTNER, "sub": "x", "aud": app.origin, "iat": now.timestamp(), "exp": now.timestamp() + 120,
                    "jti": fresh(),
                }),
            ),
            machine: Tokens::of(&app.token_by("swap", &[("grant_type", "client_credentials")]).expect(200).json())
                .access,
            action: text(&listing["token"]),
            action_id: text(&proven["id"]),
            result: text(&enrolled["result"]),
            backend: shop.access.clone(),
        }
    }
}

/// Approves a device in a browser.
fn allow(browser: &mut Browser, code: &str) {
    let start = browser.get("/device").expect(200);
    browser.submit(&start, "/device", &[("user_code", code)]).expect(303);
    let page = browser.get(&format!("/device/review?user_code={code}")).expect(200);
    let said = [("user_code", code), ("decision", "allow"), ("mine", "yes")];
    browser.submit(&page, "/device/review", &said).expect(303);
}

impl Cast {
    fn new(app: &TestApp, key: &Key) -> Self {
        let (mut browser, mut passkey, own) = app.person_with_tokens("openid passkeys bridge:target bridge:mimic");
        let apis = app.api_sign_in(&mut passkey, "openid passkeys");
        let mint = |bridge: &str| {
            let request = app.client("web").bearer("POST", &format!("/v1/bridges/{bridge}/token"), &own.access);
            request.send().expect(200).json()["token"].as_str().unwrap().to_owned()
        };
        let (custom, mimic) = (mint("target"), mint("mimic"));
        let transaction = transaction(app, &own.access, "access_token").expect(200).json()["access_token"].clone();
        let transaction = transaction.as_str().unwrap().to_owned();
        let given = Given::new(app, &mut browser, key);
        let proof = transactions::signed(&mut browser, &mut passkey);
        let teller = transactions::access(app, "teller");
        Self { browser, passkey, own, apis, custom, mimic, transaction, given, proof, teller }
    }

    fn pre_session(&self) -> String {
        self.browser.cookies.iter().find(|(name, _)| name.ends_with("-pre")).unwrap().1.clone()
    }

    /// Every kind but the ceremony, which each place begins itself.
    fn kinds(&self) -> Vec<(&'static str, String)> {
        vec![
            ("access token", self.own.access.clone()),
            ("access token for another API", self.apis.access.clone()),
            ("ID token", self.own.id.clone()),
            ("ID token of another client", self.apis.id.clone()),
            ("ID token of the browser's session", self.given.id.clone()),
            ("refresh token", self.own.refresh.clone()),
            ("refresh token of another client", self.apis.refresh.clone()),
            ("custom token", self.custom.clone()),
            ("custom token made to look like ours", self.mimic.clone()),
            ("transaction token", self.transaction.clone()),
            ("session cookie", self.browser.session().unwrap().to_owned()),
            ("pre-session", self.pre_session()),
            ("client secret", API_SECRET.to_owned()),
            ("ceremony", CEREMONY.to_owned()),
            ("authorization code", self.given.code.clone()),
            ("device code", self.given.device.clone()),
            ("pushed request", self.given.pushed.clone()),
            ("authorization answer", self.given.answer.clone()),
            ("logout token", self.given.logout.clone()),
            ("client assertion", self.given.assertion.clone()),
            ("request object", self.given.request.clone()),
            ("DPoP proof", self.given.proof.clone()),
            ("token of a client for itself", self.given.machine.clone()),
            ("action token", self.given.action.clone()),
            ("result of an action", self.given.result.clone()),
            ("access token of a backend", self.given.backend.clone()),
            ("proof of an operation", self.proof.clone()),
            ("access token of a redeemer", self.teller.clone()),
            ("token of a trusted issuer", self.given.partner.clone()),
            ("garbage", "pms_garbage.with.dots".to_owned()),
        ]
    }
}

/// A placeholder for the handle of the ceremony that a place begins.
const CEREMONY: &str = "the ceremony";

type Place = fn(&TestApp, &mut Cast, &str) -> bool;

/// Each place, with the kinds that it accepts. A place returns whether it accepted the thing.
const PLACES: &[(&str, &[&str], Place)] = &[
    ("bearer at /v1/me", &["access token"], |app, _, token| bearer(app, "GET", "/v1/me", token)),
    ("bearer at /v1/passkeys", &["access token"], |app, _, token| bearer(app, "GET", "/v1/passkeys", token)),
    ("bearer at a bridge", &["access token"], |app, _, token| bearer(app, "POST", "/v1/bridges/target/token", token)),
    ("bearer at /v1/session", &["access token"], |app, _, token| bearer(app, "GET", "/v1/session", token)),
    ("refresh grant", &["refresh token"], |app, _, token| granted(&app.client("web").refresh(token))),
    ("passkey grant", &["ceremony"], |app, cast, token| {
        let begun = app.client("web").begin("openid");
        let credential = cast.passkey.get_uninvited(&begun["publicKey"]);
        let begun = json!({ "ceremonyId": handle(&begun, token) });
        granted(&app.redeem(&begun, &credential, None, &[("client_id", "web")]))
    }),
    ("verify", &["ceremony"], |app, cast, token| {
        let begun = app.client("web").begin("openid");
        let credential = cast.passkey.get_uninvited(&begun["publicKey"]);
        let begun = json!({ "ceremonyId": handle(&begun, token) });
        taken(&app.client("web").finish(&begun, &credential), 410)
    }),
    (
        "introspection",
        &[
            "access token",
            "access token for another API",
            "refresh token of another client",
            "token of a client for itself",
            "access token of a backend",
            "access token of a redeemer",
        ],
        |app, _, token| {
            let request = app.request("POST", "/oauth/introspect").basic("api", API_SECRET);
            let reply = request.form(&[("token", token)]).send().expect(200);
            reply.json()["active"] == true
        },
    ),
    ("revocation", &["access token", "refresh token"], |app, _, token| {
        let ended = || {
            app.count("SELECT count(*) AS n FROM sessions WHERE revoked_at IS NOT NULL")
                + app.count("SELECT count(*) AS n FROM refresh_tokens WHERE revoked_at IS NOT NULL")
                + app.count("SELECT count(*) AS n FROM revoked_tokens")
        };
        let before = ended();
        app.client("web").revoke(token).expect(200);
        ended() > before
    }),
    ("session cookie", &["session cookie"], |_, cast, token| {
        let name = cast.browser.cookies.iter().find(|(name, _)| !name.ends_with("-pre")).unwrap().0.clone();
        let mut browser = cast.browser.clone();
        browser.cookies = vec![(name, token.to_owned())];
        browser.get("/v1/session").expect(200).json()["session"].is_object()
    }),
    ("pre-session cookie", &["pre-session"], |_, cast, token| {
        let begun = cast.browser.begin_sign_in(&json!({}));
        let credential = cast.passkey.get_uninvited(&begun["publicKey"]);
        let name = cast.browser.cookies.iter().find(|(name, _)| name.ends_with("-pre")).unwrap().0.clone();
        let mut browser = cast.browser.clone();
        browser.cookies = vec![(name, token.to_owned())];
        taken(&browser.finish_sign_in(&begun, &credential), 400)
    }),
    ("userinfo", &["access token"], |app, _, token| bearer(app, "GET", "/oauth/userinfo", token)),
    ("administration", &[], |app, _, token| {
        let reply = app.request("GET", "/v1/admin/clients").header("Authorization", &format!("Bearer {token}")).send();
        assert!([200, 401, 403].contains(&reply.status), "{}", reply.body);
        reply.status == 200
    }),
    ("id_token_hint at sign-out", &["ID token of the browser's session"], |_, cast, token| {
        let hint: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
        let reply = cast.browser.get(&format!("/oauth/logout?id_token_hint={hint}"));
        assert!([200, 303].contains(&reply.status), "{}", reply.body);
        reply.status == 303
    }),
    ("code grant", &["authorization code"], |app, _, token| granted(&oidc::present(app, "spa", token))),
    ("exchange of an access token", &["access token"], |app, _, token| swapped(app, token, "access_token", &[])),
    ("exchange of an ID token", &["ID token"], |app, _, token| swapped(app, token, "id_token", &[])),
    ("exchange of a transaction token", &["transaction token"], |app, _, token| {
        taken(&transaction(app, token, "txn_token"), 400)
    }),
    ("refresh token of an exchange", &[], |app, _, token| taken(&transaction(app, token, "refresh_token"), 400)),
    ("actor of an exchange", &["token of a client for itself"], |app, cast, token| {
        let kind = format!("{TYPE}access_token");
        let actor = [("actor_token", token), ("actor_token_type", kind.as_str())];
        swapped(app, &cast.own.access, "access_token", &actor)
    }),
    ("exchange of a JWT", &["token of a trusted issuer"], |app, _, token| swapped(app, token, "jwt", &[])),
    ("assertion as a grant", &["token of a trusted issuer"], |app, _, token| {
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        granted(&app.token_by("swap", &[("grant_type", grant), ("assertion", token)]))
    }),
    ("device grant", &["device code"], |app, _, token| {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        let form = [("grant_type", grant), ("device_code", token), ("client_id", "spa")];
        granted(&app.request("POST", "/oauth/token").form(&form).send())
    }),
    ("client assertion", &["client assertion"], |app, _, token| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_assertion_type", ASSERTION_TYPE)];
        let form = [&form[..], &[("client_assertion", token)]].concat();
        let reply = app.request("POST", "/oauth/token").form(&form).send();
        assert!([400, 401].contains(&reply.status), "{}", reply.body);
        reply.json()["error"] == PAST
    }),
    ("request object", &["request object"], |_, cast, token| {
        cast.browser.visit(&Ask::of("keyed").with("request", token).path()).back().get("code").is_some()
    }),
    ("request_uri", &["pushed request"], |_, cast, token| {
        let reply = cast.browser.visit(&Ask::of("keyed").with("request_uri", token).path());
        reply.header("location").is_some_and(|to| to.contains("response="))
    }),
    ("DPoP proof", &["DPoP proof"], |app, _, token| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", "web")];
        let reply = app.request("POST", "/oauth/token").form(&form).header("DPoP", token).send().expect(400);
        reply.json()["error"] == PAST
    }),
    ("action token at /v1/passkeys", &["action token"], |app, _, token| {
        let request = app.request("GET", "/v1/passkeys").header("Authorization", &format!("ActionToken {token}"));
        taken(&request.send(), 403)
    }),
    ("action token at options", &[], |app, _, token| {
        let request = app.request("POST", "/v1/passkeys/registration/options").json(&json!({}));
        taken(&request.header("Authorization", &format!("ActionToken {token}")).send(), 403)
    }),
    ("result of an action", &["result of an action"], |app, cast, token| {
        let shop = actions::Backend::of(app, &cast.given.backend);
        taken(&shop.redeem(&json!(cast.given.action_id), &json!(token)), 400)
    }),
    ("proof of an operation", &["proof of an operation"], |app, cast, token| {
        taken(&transactions::redeem(app, &cast.teller, &json!(token)), 400)
    }),
    ("bearer at redemption", &["access token of a redeemer"], |app, cast, token| {
        let reply = transactions::redeem(app, token, &json!(cast.proof));
        assert!([200, 401, 403].contains(&reply.status), "{}", reply.body);
        reply.status == 200
    }),
    ("bearer at /v1/action-tokens", &["access token of a backend"], |app, _, token| {
        let reply = app.request("GET", "/v1/action-tokens").header("Authorization", &format!("Bearer {token}")).send();
        assert!([200, 401, 403].contains(&reply.status), "{}", reply.body);
        reply.status == 200
    }),
    ("client secret", &["client secret"], |app, cast, token| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", cast.apis.refresh.as_str())];
        let request = app.request("POST", "/oauth/token").form(&form);
        taken(&request.header("Authorization", &basic("api", token)).send(), 401)
    }),
];

/// Whether the client `swap` gets another token in exchange for this one.
#[track_caller]
fn swapped(app: &TestApp, token: &str, kind: &str, more: &[(&str, &str)]) -> bool {
    let kind = format!("{TYPE}{kind}");
    let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    let form =
        [("grant_type", grant), ("subject_token", token), ("subject_token_type", &kind), ("audience", &app.origin)];
    let reply = app.token_by("swap", &[&form[..], more].concat());
    let is_given = taken(&reply, 400);
    assert!(is_given || reply.json()["error"] == "invalid_request", "{}", reply.body);
    is_given
}

/// The client `swap` requests a transaction token.
fn transaction(app: &TestApp, token: &str, kind: &str) -> Reply {
    let (kind, requested) = (format!("{TYPE}{kind}"), format!("{TYPE}txn_token"));
    app.token_by(
        "swap",
        &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", token),
            ("subject_token_type", &kind),
            ("requested_token_type", &requested),
            ("audience", "shop.internal"),
            ("scope", "openid"),
        ],
    )
}

fn handle(begun: &Value, token: &str) -> String {
    if token == CEREMONY { begun["ceremonyId"].as_str().unwrap().to_owned() } else { token.to_owned() }
}

/// Every refusal must have this status, so that a server error does not count as one.
#[track_caller]
fn taken(reply: &Reply, refusal: u16) -> bool {
    assert!([200, refusal].contains(&reply.status), "{}: {}", reply.status, reply.body);
    reply.status == 200
}

#[track_caller]
fn granted(reply: &Reply) -> bool {
    let granted = taken(reply, 400);
    assert!(granted || reply.json()["error"] == "invalid_grant", "{}", reply.body);
    granted
}

#[track_caller]
fn bearer(app: &TestApp, method: &str, path: &str, token: &str) -> bool {
    taken(&app.client("web").bearer(method, path, token).send(), 401)
}

#[test]
fn the_matrix() {
    let key = Key::p256();
    let config = format!("{BRIDGES}\n{}\n{}", keyed(&key), [actions::CONFIG, transactions::CONFIG].concat());
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    let kinds: Vec<&str> = Cast::new(&app, &key).kinds().iter().map(|(kind, _)| *kind).collect();
    let (mut cells, mut wrong) = (0, Vec::new());
    let mut cast = Cast::new(&app, &key);
    for (place, takes, present) in PLACES {
        assert!(takes.iter().all(|kind| kinds.contains(kind)), "{place}: its kinds exist");
        for (index, kind) in kinds.iter().enumerate() {
            let thing = cast.kinds().swap_remove(index).1;
            let taken = present(&app, &mut cast, &thing);
            cells += 1;
            if taken {
                // The place may have used up what it accepted.
                cast = Cast::new(&app, &key);
            }
            if taken != takes.contains(kind) {
                wrong.push(format!("{place}: {kind} was {}", if taken { "taken" } else { "refused" }));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(cells, PLACES.len() * kinds.len());
}

#[test]
fn a_token_is_sent_in_one_place_only() {
    let app = TestApp::spawn();
    let (browser, _, tokens) = app.person_with_tokens("openid passkeys");
    let web = app.client("web");
    web.request("GET", &format!("/v1/me?access_token={}", tokens.access)).send().expect_problem(401, "not_signed_in");
    let twice =
        web.bearer("GET", "/v1/me", &tokens.access).header("Authorization", &format!("Bearer {}", tokens.access));
    twice.send().expect_problem(401, "invalid_token");
    let both = browser.request("GET", "/v1/me").header("Authorization", &format!("Bearer {}", tokens.access));
    both.send().expect_problem(400, "invalid_request");
    for scheme in ["Token", "DPoP", "Basic", "Bearer:"] {
        let reply = web.request("GET", "/v1/me").header("Authorization", &format!("{scheme} {}", tokens.access)).send();
        assert_eq!((reply.status, reply.json()["code"].as_str()), (401, Some("invalid_token")), "{scheme}");
    }
    web.request("GET", "/v1/me").header("Authorization", &format!("bearer {}", tokens.access)).send().expect(200);
}

/// Only the handle of a ceremony completes it, and a credential made for one completes no other.
#[test]
fn an_answer_is_for_its_own_ceremony() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = app.person();
    let (mine, others) = (browser.begin_sign_in(&json!({})), app.client("web").begin("openid"));
    let credential = passkey.get_uninvited(&mine["publicKey"]);
    let swapped = app.client("web").post("/v1/passkeys/authentication/verify", &verify(&others, &credential));
    swapped.expect_problem(400, "verification_failed");
    within(std::time::Duration::from_secs(15), "the refusal is written down", || app.events("ceremony.refused") == 1);
    browser.finish_sign_in(&mine, &credential).expect(200);
    assert_eq!(URL_SAFE_NO_PAD.decode(&others["ceremonyId"].as_str().unwrap()[4..]).unwrap().len(), 32);
}
