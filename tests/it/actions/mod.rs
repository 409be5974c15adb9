//! Action tokens: a trusted backend lets one of its people do one thing, once (check N45, 107, 109, 112).

mod rights;
mod signing;

use chrono::Duration;
use serde_json::{Value, json};

use crate::authenticator::{Authenticator, encode, sha256};
use crate::support::tokens::{at_once, claims, header};
use crate::support::{Options, Reply, Request, TestApp, verify};

/// `shop` has the plain right, `bank` every right, `idle` none; `shop` also uses a page of its own.
pub const CONFIG: &str = r#"
[relying_parties.default]
rp_id = "localhost"
origins = ["ORIGIN", "http://localhost:4711"]
default = true

[relying_parties.elsewhere]
rp_id = "elsewhere.example"
origins = ["https://elsewhere.example"]

[clients.shop]
kind = "confidential"
secret_digest = "API_DIGEST"
origins = ["http://localhost:4711"]
redirect_uris = ["https://shop.example/passkeys?from=id", "ORIGIN/signed-out?from=id"]
grants = ["client_credentials"]
scopes = ["action_tokens", "things:read"]

[clients.bank]
kind = "confidential"
secret_digest = "API_DIGEST"
origins = ["http://localhost:4711", "https://elsewhere.example"]
grants = ["client_credentials"]
scopes = ["action_tokens", "action_tokens:anyone", "action_tokens:enrol_over", "action_tokens:verified_email"]

[clients.idle]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["client_credentials"]
scopes = ["things:read"]
"#;

const SHOP_PAGE: &str = "http://localhost:4711";

pub fn spawn() -> TestApp {
    TestApp::with(&Options { config: CONFIG, ..Options::default() })
}

/// A backend: a client with an access token of its own.
pub struct Backend<'a> {
    app: &'a TestApp,
    pub access: String,
}

pub fn backend<'a>(app: &'a TestApp, client: &str) -> Backend<'a> {
    let scope = if client == "bank" {
        "action_tokens action_tokens:anyone action_tokens:enrol_over action_tokens:verified_email"
    } else {
        "action_tokens"
    };
    let reply = app.token_by(client, &[("grant_type", "client_credentials"), ("scope", scope)]);
    Backend { app, access: reply.expect(200).json()["access_token"].as_str().unwrap().to_owned() }
}

impl<'a> Backend<'a> {
    pub fn of(app: &'a TestApp, access: &str) -> Self {
        Self { app, access: access.to_owned() }
    }
}

impl Backend<'_> {
    fn request(&self, method: &str, path: &str) -> Request {
        self.app.request(method, path).header("Authorization", &format!("Bearer {}", self.access))
    }

    pub fn ask(&self, body: &Value) -> Reply {
        self.request("POST", "/v1/action-tokens").json(body).send()
    }

    /// A token for this action and the person whom the backend calls 4711.
    pub fn make(&self, action: &str) -> Value {
        self.ask(&json!({ "action": action, "user": { "externalId": { "id": "4711" }, "name": "Ada" } }))
            .expect(201)
            .json()
    }

    pub fn redeem(&self, id: &Value, result: &Value) -> Reply {
        let path = format!("/v1/action-tokens/{}/result", id.as_str().unwrap());
        self.request("POST", &path).json(&json!({ "result": result })).send()
    }

    pub fn fetch(&self, id: &Value) -> Reply {
        let path = format!("/v1/action-tokens/{}/result", id.as_str().unwrap());
        self.request("POST", &path).json(&json!({})).send()
    }

    fn revoke(&self, id: &Value) -> Reply {
        self.request("DELETE", &format!("/v1/action-tokens/{}", id.as_str().unwrap())).send()
    }

    /// Enrols the person with a new passkey. Returns the passkey and the reply.
    pub fn enrol(&self) -> (Authenticator, Value) {
        let made = self.make("enrol");
        let mut passkey = self.app.passkey();
        let begun = enrolment(self.app, &made["token"]).expect(200).json();
        let credential = passkey.create(&begun["publicKey"]);
        (passkey, finish(self.app, "registration", &begun, &credential).expect(200).json())
    }
}

pub fn with_token(request: Request, token: &Value) -> Request {
    request.header("Authorization", &format!("ActionToken {}", token.as_str().unwrap()))
}

/// The first call of an enrolment, made without a page.
pub fn enrolment(app: &TestApp, token: &Value) -> Reply {
    options(app, "registration", token, None)
}

fn options(app: &TestApp, what: &str, token: &Value, origin: Option<&str>) -> Reply {
    let request = app.request("POST", &format!("/v1/passkeys/{what}/options")).json(&json!({}));
    let request = with_token(request, token);
    match origin {
        Some(origin) => request.header("Origin", origin).send(),
        None => request.send(),
    }
}

pub fn finish(app: &TestApp, what: &str, begun: &Value, credential: &Value) -> Reply {
    app.request("POST", &format!("/v1/passkeys/{what}/verify")).json(&verify(begun, credential)).send()
}

/// Completes a sign-in or step-up.
pub fn prove(app: &TestApp, passkey: &mut Authenticator, token: &Value) -> Reply {
    let begun = options(app, "authentication", token, None).expect(200).json();
    let credential = passkey.get(&begun["publicKey"]);
    finish(app, "authentication", &begun, &credential)
}

/// Signs an operation, on our own page.
pub fn sign(app: &TestApp, passkey: &mut Authenticator, token: &Value) -> Reply {
    let begun = options(app, "authentication", token, Some(&app.origin)).expect(200).json();
    let credential = passkey.get(&begun["publicKey"]);
    finish(app, "authentication", &begun, &credential)
}

fn refused(app: &TestApp) -> i64 {
    app.events("action_token.refused")
}

/// The reason recorded with the newest refusal.
fn reason(app: &TestApp) -> String {
    use diesel::prelude::*;
    #[derive(QueryableByName)]
    struct Reason {
        #[diesel(sql_type = diesel::sql_types::Text)]
        reason: String,
    }
    let sql =
        "SELECT detail->>'reason' AS reason FROM audit_events WHERE kind = 'action_token.refused' ORDER BY id DESC";
    app.db.blocking(|conn| Ok(diesel::sql_query(sql).get_result::<Reason>(conn)?.reason)).unwrap()
}

#[test]
fn a_backend_enrols_its_person_who_is_made_with_it() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let made = shop.make("enrol");
    assert_eq!((&made["madePerson"], &made["action"]), (&json!(true), &json!("enrol")));
    assert_eq!(made["externalId"], json!({ "source": "shop", "id": "4711" }));
    assert_eq!(made["link"], format!("{}/enrol#{}", app.origin, made["token"].as_str().unwrap()));
    let stored = "SELECT count(*) AS n FROM action_tokens WHERE octet_length(digest) = 32";
    assert_eq!(app.count(stored), 1, "only a digest is stored");

    let mut passkey = app.passkey();
    let begun = enrolment(&app, &made["token"]).expect(200).json();
    assert_eq!(begun["publicKey"]["user"]["displayName"], "Ada");
    let credential = passkey.create(&begun["publicKey"]);
    let answer = finish(&app, "registration", &begun, &credential).expect(200).json();
    assert_eq!((&answer["kind"], &answer["expiresIn"]), (&json!("enrolled"), &json!(60)));
    assert!(answer.get("returnTo").is_none());

    let result = answer["result"].as_str().unwrap();
    assert_eq!((&header(result)["typ"], &header(result)["alg"]), (&json!("action-result+jwt"), &json!("ES256")));
    let told = app.verified(result, "shop", "action-result+jwt");
    assert_eq!(told["credential"], encode(&sha256(&passkey.credential_id)));
    assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 60);

    let redeemed = shop.redeem(&made["id"], &answer["result"]).expect(200).json();
    for (member, value) in [
        ("action", json!("enrol")),
        ("actionToken", made["id"].clone()),
        ("sub", made["sub"].clone()),
        ("externalId", json!({ "source": "shop", "id": "4711" })),
        ("acr", json!("0")),
        ("amr", json!([])),
        ("credentialClass", json!("synced")),
    ] {
        assert_eq!(redeemed[member], value, "{member}");
    }
    // The passkey is an ordinary one, and its owner sees which client had it made.
    let mut browser = app.browser();
    browser.sign_in(&mut passkey).expect(200);
    let activity = browser.get("/account/activity").expect(200).body;
    assert!(activity.contains("shop"), "{activity}");
    let acted = "SELECT count(*) AS n FROM audit_events WHERE kind = 'passkey.added' AND detail->'act'->>'client' = 'shop' \
                 AND user_id IS NOT NULL";
    assert_eq!(app.count(acted), 1);
    for (kind, count) in [("action_token.made", 1), ("result.redeemed", 1), ("user.created", 1)] {
        assert_eq!(app.events(kind), count, "{kind}");
    }
    // The second token is for the same person, who is not created again.
    let again = shop.make("sign_in");
    assert_eq!((&again["madePerson"], &again["sub"]), (&json!(false), &made["sub"]));
}

/// A cancelled prompt loses nothing, and of many answers one is accepted.
#[test]
fn five_prompts_and_one_of_64_answers() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let made = shop.make("enrol");
    let (begun, over): (Vec<Reply>, Vec<Reply>) =
        at_once(64, |_| enrolment(&app, &made["token"])).into_iter().partition(|reply| reply.status == 200);
    let begun: Vec<Value> = begun.into_iter().map(|reply| reply.json()).collect();
    assert_eq!((begun.len(), over.len(), refused(&app)), (5, 59, 59));
    for reply in over {
        assert_eq!(reply.expect_problem(410, "action_token_ended").json()["reason"], "exhausted");
    }
    let answers: Vec<(Value, Value)> = begun
        .into_iter()
        .map(|begun| {
            let credential = app.passkey().create(&begun["publicKey"]);
            (begun, credential)
        })
        .collect();
    let replies = at_once(64, |caller| {
        let (begun, credential) = &answers[caller % 5];
        finish(&app, "registration", begun, credential)
    });
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    assert!(replies.iter().all(|reply| [200, 410].contains(&reply.status)), "used, or the ceremony is gone");
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 1);
    assert_eq!(app.events("passkey.added"), 1);
}

/// The same for sign-ins, and for the redemption of their results.
#[test]
fn one_of_many_proofs_and_one_of_many_redemptions() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let (mut passkey, _) = shop.enrol();
    let made = shop.make("sign_in");
    let answers: Vec<(Value, Value)> = (0..5)
        .map(|_| {
            let begun = options(&app, "authentication", &made["token"], None).expect(200).json();
            let credential = passkey.get(&begun["publicKey"]);
            (begun, credential)
        })
        .collect();
    let replies = at_once(64, |caller| {
        let (begun, credential) = &answers[caller % 5];
        finish(&app, "authentication", begun, credential)
    });
    let won: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(won.len(), 1);
    assert!(replies.iter().all(|reply| [200, 410].contains(&reply.status)));
    assert_eq!(app.events("action_token.used"), 1);
    assert_eq!(app.count("SELECT count(*) AS n FROM sessions"), 0, "an action opens no session of ours");
    let result = won[0].json()["result"].clone();
    let redemptions = at_once(32, |_| shop.redeem(&made["id"], &result).status);
    assert_eq!(redemptions.iter().filter(|status| **status == 200).count(), 1);
    assert!(redemptions.iter().all(|status| [200, 400].contains(status)));
    assert_eq!((app.events("result.redeemed"), app.events("result.refused")), (1, 31));
}

/// Security rule 112: what a backend began never counts as strong as what a person began, except for the step-up it
/// asked for.
#[test]
fn a_sign_in_for_a_backend_is_of_no_strength_and_a_step_up_of_its_own() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let (mut passkey, _) = shop.enrol();
    for (action, acr) in [("sign_in", "0"), ("step_up", "phr")] {
        let made = shop.make(action);
        let answer = prove(&app, &mut passkey, &made["token"]).expect(200);
        assert!(answer.cookies().is_empty(), "{action}: no session");
        let told = claims(answer.json()["result"].as_str().unwrap());
        assert_eq!((&told["acr"], &told["amr"]), (&json!(acr), &json!(["pop", "user", "mfa", "swk"])), "{action}");
        let redeemed = shop.redeem(&made["id"], &answer.json()["result"]).expect(200).json();
        assert_eq!((&redeemed["action"], &redeemed["acr"]), (&json!(action), &json!(acr)));
    }
    // Another person's passkey proves nothing about this one.
    let (_, mut stranger) = app.person();
    let made = shop.make("step_up");
    let begun = options(&app, "authentication", &made["token"], None).expect(200).json();
    let credential = stranger.get_uninvited(&begun["publicKey"]);
    finish(&app, "authentication", &begun, &credential).expect_problem(400, "verification_failed");
    assert_eq!(app.events("action_token.used"), 2, "and the token is not used up");
    prove(&app, &mut passkey, &made["token"]).expect(200);
}

#[test]
fn a_backend_lists_and_removes_passkeys_the_last_one_too() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let (mut passkey, enrolled) = shop.enrol();
    let list = |token: &Value| with_token(app.request("GET", "/v1/passkeys"), token).send();
    let made = shop.make("list");
    let listed = list(&made["token"]).expect(200).json();
    assert_eq!(listed["passkeys"][0]["id"], enrolled["passkey"]["id"]);
    assert_eq!(list(&made["token"]).expect_problem(410, "action_token_ended").json()["reason"], "used");

    let remove =
        |token: &Value, id: &str| with_token(app.request("DELETE", &format!("/v1/passkeys/{id}")), token).send();
    let made = shop.make("delete");
    let id = enrolled["passkey"]["id"].as_str().unwrap();
    remove(&made["token"], "0f0e0d0c-0b0a-4908-8706-050403020100").expect_problem(404, "not_found");
    let mut browser = app.browser();
    browser.sign_in(&mut passkey).expect(200);
    let gone = remove(&made["token"], id).expect(200).json();
    assert_eq!(gone["signals"][0]["allAcceptedCredentialIds"], json!([]), "a wrong id lost nothing");
    assert_eq!(browser.get("/v1/session").expect(200).json()["session"], Value::Null, "what it opened has ended");
    let acted =
        "SELECT count(*) AS n FROM audit_events WHERE kind = 'passkey.removed' AND detail->'act'->>'client' = 'shop'";
    assert_eq!(app.count(acted), 1);
    assert_eq!(remove(&made["token"], id).expect_problem(410, "action_token_ended").json()["reason"], "used");

    // Someone who signed up by themselves has no other way in, so their last passkey stays.
    let bank = backend(&app, "bank");
    let (mut own, _) = app.person();
    let me = own.get("/v1/me").expect(200).json()["id"].clone();
    let theirs = own.get("/v1/passkeys").expect(200).json()["passkeys"][0]["id"].clone();
    let made = bank.ask(&json!({ "action": "delete", "user": { "id": me } })).expect(201).json();
    remove(&made["token"], theirs.as_str().unwrap()).expect_problem(409, "last_sign_in_method");
    // An id in another system is no way in that this backend could vouch for.
    app.sql(
        &format!("INSERT INTO external_ids (source, external_id, user_id) VALUES ('crm', 'c-1', {me})")
            .replace('"', "'"),
    );
    remove(&made["token"], theirs.as_str().unwrap()).expect_problem(409, "last_sign_in_method");
}

/// Security test N45: replay, expiry, another action, client, page, relying party or session; altered, cut, revoked.
#[test]
fn each_refusal_by_name() {
    type Case = (&'static str, u16, &'static str, &'static str, fn(&TestApp, &Backend<'_>) -> Reply);
    const CASES: &[Case] = &[
        ("replayed", 410, "action_token_ended", "used", |app, shop| {
            let made = shop.make("enrol");
            let begun = enrolment(app, &made["token"]).expect(200).json();
            let credential = app.passkey().create(&begun["publicKey"]);
            finish(app, "registration", &begun, &credential).expect(200);
            enrolment(app, &made["token"])
        }),
        ("expired", 410, "action_token_ended", "expired", |app, shop| {
            let made = shop.make("enrol");
            app.advance(Duration::seconds(300));
            enrolment(app, &made["token"])
        }),
        ("taken back", 410, "action_token_ended", "revoked", |app, shop| {
            let made = shop.make("enrol");
            shop.revoke(&made["id"]).expect(204);
            enrolment(app, &made["token"])
        }),
        ("another action", 403, "action_token_misused", "action", |app, shop| {
            let made = shop.make("sign_in");
            enrolment(app, &made["token"])
        }),
        ("another page", 403, "action_token_misused", "origin", |app, shop| {
            let made = shop.make("enrol");
            options(app, "registration", &made["token"], Some("https://evil.example"))
        }),
        ("our page, bound to the shop's", 403, "action_token_misused", "origin", |app, shop| {
            let user = json!({ "externalId": { "id": "4711" } });
            let made = shop.ask(&json!({ "action": "enrol", "user": user, "origin": SHOP_PAGE })).expect(201).json();
            assert!(made.get("link").is_none(), "not for our page, so no link to it");
            options(app, "registration", &made["token"], Some(&app.origin))
        }),
        ("no page, bound to the shop's", 403, "action_token_misused", "origin", |app, shop| {
            let user = json!({ "externalId": { "id": "4711" } });
            let made = shop.ask(&json!({ "action": "enrol", "user": user, "origin": SHOP_PAGE })).expect(201).json();
            enrolment(app, &made["token"])
        }),
        ("another relying party", 403, "action_token_misused", "relying_party", |app, _| {
            let user = json!({ "externalId": { "id": "1" } });
            let made = backend(app, "bank").ask(&json!({ "action": "enrol", "user": user })).expect(201).json();
            options(app, "registration", &made["token"], Some("https://elsewhere.example"))
        }),
        ("another person signed in", 403, "action_token_misused", "session", |app, shop| {
            let made = shop.make("enrol");
            let (browser, _) = app.person();
            with_token(browser.request("POST", "/v1/passkeys/registration/options").json(&json!({})), &made["token"])
                .send()
        }),
        ("the account disabled since", 403, "action_token_misused", "person", |app, shop| {
            let made = shop.make("enrol");
            app.sql("UPDATE users SET status = 'disabled', epoch = epoch + 1");
            enrolment(app, &made["token"])
        }),
        ("the account changed since", 403, "action_token_misused", "person", |app, shop| {
            let made = shop.make("enrol");
            app.sql("UPDATE users SET epoch = epoch + 1");
            enrolment(app, &made["token"])
        }),
        ("an administrator since", 403, "action_token_misused", "person", |app, shop| {
            let made = shop.make("enrol");
            app.sql("INSERT INTO groups (id, name, created_at) VALUES (gen_random_uuid(), 'admin', now())");
            app.sql("INSERT INTO group_members SELECT groups.id, users.id FROM groups, users");
            enrolment(app, &made["token"])
        }),
        ("a passkey there already", 409, "enrol_over_existing", "enrol_over", |app, shop| {
            let made = shop.make("enrol");
            shop.enrol();
            enrolment(app, &made["token"])
        }),
        ("altered", 403, "action_token_unknown", "unknown", |app, shop| {
            let made = shop.make("enrol");
            let token = made["token"].as_str().unwrap();
            let last = if token.ends_with('A') { 'E' } else { 'A' };
            enrolment(app, &json!(format!("{}{last}", &token[..token.len() - 1])))
        }),
        ("cut", 403, "action_token_unknown", "unknown", |app, shop| {
            let made = shop.make("enrol");
            let token = made["token"].as_str().unwrap();
            enrolment(app, &json!(&token[..token.len() - 1]))
        }),
    ];
    for (name, status, code, why, act) in CASES {
        let app = spawn();
        let shop = backend(&app, "shop");
        let reply = act(&app, &shop);
        let problem = reply.json();
        assert_eq!((reply.status, problem["code"].as_str()), (*status, Some(*code)), "{name}: {}", reply.body);
        assert_eq!(problem["reason"].as_str(), Some(*why), "{name}");
        assert_eq!((refused(&app), reason(&app).as_str()), (1, *why), "{name}: written down once");
        let before =
            app.count("SELECT coalesce(max(ceremonies), 0)::bigint AS n FROM action_tokens WHERE used_at IS NULL");
        assert_eq!(before, 0, "{name}: a refusal counts no ceremony");
    }
}

/// If something relevant changes between the two calls, the second is refused and nothing is written.
#[test]
fn what_changes_between_the_calls_is_refused() {
    type Change = fn(&TestApp, &Backend<'_>, &Value);
    let changes: [(&str, u16, &str, Change); 5] = [
        ("taken back", 410, "action_token_ended", |_, shop, made| {
            shop.revoke(&made["id"]).expect(204);
        }),
        ("expired", 410, "ceremony_expired_or_used", |app, _, _| app.advance(Duration::seconds(300))),
        ("disabled", 403, "action_token_misused", |app, _, _| {
            app.sql("UPDATE users SET status = 'disabled', epoch = epoch + 1");
        }),
        ("an administrator", 403, "action_token_misused", |app, _, _| {
            app.sql("INSERT INTO groups (id, name, created_at) VALUES (gen_random_uuid(), 'admin', now())");
            app.sql("INSERT INTO group_members SELECT groups.id, users.id FROM groups, users");
        }),
        ("swept", 403, "action_token_unknown", |app, _, _| app.sql("DELETE FROM action_tokens")),
    ];
    for (name, status, code, change) in changes {
        let app = spawn();
        let shop = backend(&app, "shop");
        let made = shop.make("enrol");
        let begun = enrolment(&app, &made["token"]).expect(200).json();
        change(&app, &shop, &made);
        let credential = app.passkey().create(&begun["publicKey"]);
        finish(&app, "registration", &begun, &credential).expect_problem(status, code);
        assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 0, "{name}");
        let refusals = app.events("ceremony.refused");
        assert_eq!(refusals, i64::from(code != "ceremony_expired_or_used"), "{name}: one event");
    }
    for (name, status, code, sql) in [
        (
            "taken back",
            410,
            "action_token_ended",
            "UPDATE action_tokens SET revoked_at = now() WHERE action = 'step_up'",
        ),
        ("disabled", 403, "sign_in_refused", "UPDATE users SET status = 'disabled'"),
        ("removed", 400, "verification_failed", "DELETE FROM credentials"),
        ("suspended", 403, "sign_in_refused", "UPDATE credentials SET suspended_at = now(), suspended_reason = 'x'"),
    ] {
        let app = spawn();
        let shop = backend(&app, "shop");
        let (mut passkey, _) = shop.enrol();
        let made = shop.make("step_up");
        let begun = options(&app, "authentication", &made["token"], None).expect(200).json();
        app.sql(sql);
        let credential = passkey.get(&begun["publicKey"]);
        finish(&app, "authentication", &begun, &credential).expect_problem(status, code);
        let used = "SELECT count(*) AS n FROM action_tokens WHERE action = 'step_up' AND used_at IS NOT NULL";
        assert_eq!((app.events("action_token.used"), app.count(used)), (0, 0), "{name}");
    }
}

/// Two tokens to remove a passkey, one for each of two passkeys: using the first changes what the other was made for.
#[test]
fn of_many_removals_at_once_one_is_made() {
    let app = spawn();
    let bank = backend(&app, "bank");
    bank.enrol();
    let over = bank.make("enrol");
    let begun = enrolment(&app, &over["token"]).expect(200).json();
    finish(&app, "registration", &begun, &app.passkey().create(&begun["publicKey"])).expect(200);
    let listed = with_token(app.request("GET", "/v1/passkeys"), &bank.make("list")["token"]).send().expect(200).json();
    let ids: Vec<String> = [0, 1].map(|n| listed["passkeys"][n]["id"].as_str().unwrap().to_owned()).into();
    let tokens: Vec<Value> = (0..16).map(|_| bank.make("delete")["token"].clone()).collect();
    let replies = at_once(16, |caller| {
        let request = app.request("DELETE", &format!("/v1/passkeys/{}", ids[caller % 2]));
        with_token(request, &tokens[caller]).send()
    });
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert!([403, 404].contains(&reply.status), "{}", reply.body);
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 1);
}

/// A token is bound to its client, to the page that began and to its browser.
#[test]
fn the_page_that_begins_ends() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let made = shop.make("enrol");
    let begun = options(&app, "registration", &made["token"], Some(SHOP_PAGE)).expect(200);
    assert_eq!(begun.header("access-control-allow-origin"), Some(SHOP_PAGE), "its page may read the answer");
    let credential = app.passkey().create(&begun.json()["publicKey"]);
    let request = app.request("POST", "/v1/passkeys/registration/verify").header("Origin", SHOP_PAGE);
    // The passkey's client data names our own page.
    request.json(&verify(&begun.json(), &credential)).send().expect_problem(403, "wrong_origin");
    let begun = options(&app, "registration", &made["token"], Some(SHOP_PAGE)).expect(200).json();
    let credential = Authenticator::synchronised(SHOP_PAGE).create(&begun["publicKey"]);
    finish(&app, "registration", &begun, &credential).expect(200);
}

/// Only our own page's form opens the page of a link: a page elsewhere that has a token cannot put anybody in front of
/// it.
#[test]
fn the_form_of_a_link_is_our_own_pages() {
    let app = spawn();
    let made = backend(&app, "shop").make("enrol");
    let form = [("token", made["token"].as_str().unwrap())];
    for (origin, site, status) in [
        (app.origin.as_str(), "same-origin", 200),
        (app.origin.as_str(), "cross-site", 403),
        ("https://evil.example", "cross-site", 403),
        (SHOP_PAGE, "same-site", 403),
        ("null", "cross-site", 403),
    ] {
        let request = app.request("POST", "/enrol").header("Origin", origin).header("Sec-Fetch-Site", site);
        let reply = request.form(&form).send();
        assert_eq!(reply.status, status, "{origin} {site}: {}", reply.body);
        assert!(reply.cookies().is_empty(), "{origin} {site}");
    }
}

/// 16 requests for one new person create one person.
#[test]
fn a_person_is_made_once() {
    let app = spawn();
    let shop = backend(&app, "shop");
    let made = at_once(16, |_| shop.make("enrol"));
    assert_eq!(made.iter().filter(|made| made["madePerson"] == true).count(), 1);
    assert!(made.iter().all(|one| one["sub"] == made[0]["sub"]));
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 1);
    assert_eq!(app.count("SELECT count(DISTINCT id) AS n FROM action_tokens"), 16);
}

/// A result is for one client, one token, one minute and one redemption, and all refusals look alike.
#[test]
fn a_result_is_redeemed_once_by_its_own_client() {
    let app = spawn();
    let (shop, bank) = (backend(&app, "shop"), backend(&app, "bank"));
    let (mut passkey, _) = shop.enrol();
    let (mine, other) = (shop.make("sign_in"), shop.make("sign_in"));
    let result = prove(&app, &mut passkey, &mine["token"]).expect(200).json()["result"].clone();
    let text = result.as_str().unwrap();
    let refusals = || app.events("result.refused");
    for (name, backend, id, result) in [
        ("another client", &bank, &mine["id"], result.clone()),
        ("another token", &shop, &other["id"], result.clone()),
        ("no signature", &shop, &mine["id"], json!(&text[..text.rfind('.').unwrap()])),
        ("cut", &shop, &mine["id"], json!(&text[..text.len() - 1])),
        ("no token at all", &shop, &mine["id"], json!("x")),
        ("an access token", &shop, &mine["id"], json!(shop.access)),
        ("nothing", &shop, &mine["id"], json!("")),
    ] {
        let before = refusals();
        let reply = backend.redeem(id, &result);
        assert_eq!((reply.status, reply.json()["code"].as_str()), (400, Some("result_refused")), "{name}");
        assert_eq!(refusals(), before + 1, "{name}: written down once");
    }
    shop.redeem(&mine["id"], &result).expect(200);
    shop.redeem(&mine["id"], &result).expect_problem(400, "result_refused");
    let late = prove(&app, &mut passkey, &other["token"]).expect(200).json()["result"].clone();
    app.advance(Duration::seconds(60));
    shop.redeem(&other["id"], &late).expect_problem(400, "result_refused");
}

/// Several servers share the state of a token.
#[test]
fn servers_share_a_tokens_state() {
    let app = TestApp::with(&Options {
        settings: &[("challenges.store", "database")],
        config: CONFIG,
        public_url: Some("http://localhost:4712"),
        beside: None,
    });
    let other = app.twin_with(CONFIG);
    let shop = backend(&app, "shop");
    let made = shop.make("enrol");
    let begun = enrolment(&other, &made["token"]).expect(200).json();
    let credential = app.passkey().create(&begun["publicKey"]);
    let answer = finish(&app, "registration", &begun, &credential).expect(200).json();
    enrolment(&other, &made["token"]).expect_problem(410, "action_token_ended");
    let at_other = Backend { app: &other, access: shop.access.clone() };
    let replies =
        [shop.redeem(&made["id"], &answer["result"]).status, at_other.redeem(&made["id"], &answer["result"]).status];
    assert_eq!(replies, [200, 400]);
}

pub fn payment() -> Value {
    let details = json!([{ "label": "To", "value": "Acme" }, { "label": "Amount", "value": "100.00 EUR" }]);
    json!({ "kind": "payment", "title": "Pay 100.00 EUR to Acme", "details": details })
}
