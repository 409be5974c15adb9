//! Signing one named operation with a passkey, and redeeming the proof.

use chrono::Duration;
use passmint::domain::id::UserId;
use passmint::domain::user::UserStatus;
use passmint::storage::people;
use serde_json::{Value, json};

use crate::authenticator::{Authenticator, encode, sha256};
use crate::support::tokens::{Tokens, at_once, claims, header};
use crate::support::{Browser, Options, Reply, TestApp, verify};

/// `till` is an app's page, `teller` its backend that executes the operations, `other` another backend.
pub const CONFIG: &str = r#"
[clients.till]
first_party = true
origins = ["ORIGIN"]
grants = ["passkey"]
scopes = ["openid", "transactions"]

[clients.teller]
kind = "confidential"
first_party = true
secret_digest = "API_DIGEST"
grants = ["client_credentials"]
scopes = ["transactions"]

[clients.closed]
kind = "confidential"
first_party = true
secret_digest = "API_DIGEST"
grants = ["client_credentials"]
scopes = ["transactions"]
allowed_groups = ["staff"]

[clients.foreign]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["client_credentials"]
scopes = ["transactions"]
"#;

const OPTIONS: &str = "/v1/passkeys/transactions/options";
const VERIFY: &str = "/v1/passkeys/transactions/verify";

fn spawn() -> TestApp {
    TestApp::with(&Options { config: CONFIG, ..Options::default() })
}

fn payment() -> Value {
    json!({
        "kind": "payment",
        "title": "Pay 100.00 EUR to Acme",
        "details": [{ "label": "To", "value": "Acme" }, { "label": "Amount", "value": "100.00 EUR" }],
    })
}

/// A person with a passkey and an app's tokens.
fn customer(app: &TestApp) -> (Browser, Authenticator, Tokens) {
    let (browser, mut passkey) = app.person();
    let tokens = Tokens::of(&app.client("till").sign_in(&mut passkey, "openid transactions").expect(200).json());
    (browser, passkey, tokens)
}

fn begin(app: &TestApp, tokens: &Tokens, operation: &Value) -> Reply {
    let body = json!({ "operation": operation, "clientId": "teller" });
    app.client("till").bearer("POST", OPTIONS, &tokens.access).json(&body).send()
}

fn end(app: &TestApp, tokens: &Tokens, begun: &Value, credential: &Value) -> Reply {
    app.client("till").bearer("POST", VERIFY, &tokens.access).json(&verify(begun, credential)).send()
}

fn sign(app: &TestApp, tokens: &Tokens, passkey: &mut Authenticator) -> Value {
    let begun = begin(app, tokens, &payment()).expect(200).json();
    let credential = passkey.get(&begun["publicKey"]);
    end(app, tokens, &begun, &credential).expect(200).json()
}

pub fn access(app: &TestApp, client: &str) -> String {
    let reply = app.token_by(client, &[("grant_type", "client_credentials"), ("scope", "transactions")]);
    reply.expect(200).json()["access_token"].as_str().unwrap().to_owned()
}

pub fn redeem(app: &TestApp, access: &str, proof: &Value) -> Reply {
    let request = app.request("POST", "/v1/transactions/redeem").header("Authorization", &format!("Bearer {access}"));
    request.json(&json!({ "proof": proof })).send()
}

/// A proof for `teller`, signed on our own page.
pub fn signed(browser: &mut Browser, passkey: &mut Authenticator) -> String {
    let begun = browser.post(OPTIONS, &json!({ "operation": payment(), "clientId": "teller" })).expect(200).json();
    let credential = passkey.get(&begun["publicKey"]);
    let answer = browser.post(VERIFY, &verify(&begun, &credential)).expect(200).json();
    answer["proof"].as_str().unwrap().to_owned()
}

#[test]
fn a_person_signs_an_operation_and_its_backend_redeems_the_proof() {
    let app = spawn();
    let (mut browser, mut passkey, tokens) = customer(&app);
    let begun = begin(&app, &tokens, &payment()).expect(200).json();
    let hash = encode(&sha256(
        br#"{"details":[{"label":"To","value":"Acme"},{"label":"Amount","value":"100.00 EUR"}],"kind":"payment","title":"Pay 100.00 EUR to Acme"}"#,
    ));
    assert_eq!(begun["operationHash"], hash.as_str(), "the hash of the canonical form");
    assert_eq!(begun["publicKey"]["userVerification"], "required");
    let before = app.count("SELECT count(*) AS n FROM sessions");
    let credential = passkey.get(&begun["publicKey"]);
    let answer = end(&app, &tokens, &begun, &credential).expect(200).json();
    assert_eq!(
        (&answer["kind"], &answer["operationHash"], &answer["expiresIn"]),
        (&json!("transaction"), &json!(hash), &json!(120))
    );

    let proof = answer["proof"].as_str().unwrap();
    assert_eq!((&header(proof)["typ"], &header(proof)["alg"]), (&json!("transaction-proof+jwt"), &json!("ES256")));
    app.verified(proof, "teller", "transaction-proof+jwt");
    let redeemed = redeem(&app, &access(&app, "teller"), &answer["proof"]).expect(200).json();
    for (member, value) in [
        ("operation", payment()),
        ("operationHash", json!(hash)),
        ("clientId", json!("till")),
        ("sid", json!(tokens.session())),
        ("sub", claims(&tokens.access)["sub"].clone()),
        ("credential", json!(encode(&sha256(&passkey.credential_id)))),
        ("acr", json!("phr")),
        ("amr", json!(["pop", "user", "mfa", "swk"])),
        ("credentialClass", json!("synced")),
    ] {
        assert_eq!(redeemed[member], value, "{member}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM sessions"), before, "nothing was opened");
    for (kind, count) in [("transaction.signed", 1), ("result.redeemed", 1)] {
        assert_eq!(app.events(kind), count, "{kind}");
    }
    let activity = browser.get("/account/activity").expect(200).body;
    assert!(activity.contains("Pay 100.00 EUR to Acme"), "the person sees what they signed");
}

#[test]
fn our_own_pages_sign_by_the_cookie_for_a_named_client() {
    let app = spawn();
    let (mut browser, mut passkey, _) = customer(&app);
    browser.post(OPTIONS, &json!({ "operation": payment() })).expect_problem(400, "invalid_request");
    let begun = browser.post(OPTIONS, &json!({ "operation": payment(), "clientId": "teller" })).expect(200).json();
    let credential = passkey.get(&begun["publicKey"]);
    let answer = browser.post(VERIFY, &verify(&begun, &credential)).expect(200);
    assert!(answer.cookies().is_empty(), "the session stays as it is");
    redeem(&app, &access(&app, "teller"), &answer.json()["proof"]).expect(200);
}

#[test]
fn what_cannot_be_signed_is_refused_by_name() {
    let app = spawn();
    let (_, _, tokens) = customer(&app);
    let with = |member: &str, value: Value| {
        let mut operation = payment();
        operation[member] = value;
        operation
    };
    for (name, operation) in [
        ("no title", with("title", json!(""))),
        ("a title turned round", with("title", json!("Pay \u{202e}00.1"))),
        ("a title with a filler", with("title", json!("Pay\u{3164}1"))),
        ("a title on two lines", with("title", json!("a\nb"))),
        ("a long title", with("title", json!("x".repeat(121)))),
        ("no kind", with("kind", json!(""))),
        ("a kind with a space", with("kind", json!("a b"))),
        ("a title that is a number", with("title", json!(1))),
        ("details that are text", with("details", json!("x"))),
        ("a label twice", with("details", json!([{ "label": "To", "value": "a" }, { "label": "To", "value": "b" }]))),
        ("an empty value", with("details", json!([{ "label": "To", "value": "" }]))),
        ("21 lines", with("details", (0..21).map(|n| json!({ "label": n.to_string(), "value": "x" })).collect())),
        ("an unknown member", with("html", json!("<b>"))),
        ("an unknown member of a line", with("details", json!([{ "label": "To", "value": "a", "href": "x" }]))),
    ] {
        let reply = begin(&app, &tokens, &operation);
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (400, Some("invalid_request")),
            "{name}: {}",
            reply.body
        );
    }
    let huge = with("details", (0..20).map(|n| json!({ "label": n.to_string(), "value": "é".repeat(200) })).collect());
    begin(&app, &tokens, &huge).expect_problem(400, "invalid_request");
    for (name, client, code) in [
        ("a client that is none", "nobody", "invalid_client"),
        ("a public client", "till", "invalid_request"),
        ("a third party", "foreign", "invalid_request"),
    ] {
        let body = json!({ "operation": payment(), "clientId": client });
        let reply = app.client("till").bearer("POST", OPTIONS, &tokens.access).json(&body).send();
        assert_eq!(reply.json()["code"].as_str(), Some(code), "{name}: {}", reply.body);
    }
    let foreign = app.client("till").bearer("POST", OPTIONS, &tokens.access);
    let body = json!({ "operation": payment(), "clientId": "teller" });
    let elsewhere = foreign.without("Origin").header("Origin", "https://evil.example").json(&body).send();
    elsewhere.expect_problem(403, "wrong_origin");
}

/// The signature must be by this person, in this session, for this operation, with the person verified; it counts once.
#[test]
fn each_refusal_of_a_signature() {
    let app = spawn();
    let (_, mut passkey, tokens) = customer(&app);
    let (_, mut other, others) = customer(&app);
    let teller = access(&app, "teller");
    let refused = |reply: Reply, status: u16, code: &str, name: &str| {
        assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{name}: {}", reply.body);
    };

    let begun = begin(&app, &tokens, &payment()).expect(200).json();
    let credential = passkey.get(&begun["publicKey"]);
    refused(end(&app, &others, &begun, &credential), 400, "verification_failed", "another session");
    refused(end(&app, &tokens, &begun, &credential), 410, "ceremony_expired_or_used", "burnt by that");

    let begun = begin(&app, &tokens, &payment()).expect(200).json();
    let credential = other.get_uninvited(&begun["publicKey"]);
    refused(end(&app, &tokens, &begun, &credential), 400, "verification_failed", "another person's passkey");

    let begun = begin(&app, &tokens, &payment()).expect(200).json();
    let second = begin(&app, &tokens, &payment()).expect(200).json();
    let credential = passkey.get(&second["publicKey"]);
    refused(end(&app, &tokens, &begun, &credential), 400, "verification_failed", "an answer to another challenge");

    let begun = begin(&app, &tokens, &payment()).expect(200).json();
    passkey.user_verified = false;
    let credential = passkey.get(&begun["publicKey"]);
    passkey.user_verified = true;
    refused(end(&app, &tokens, &begun, &credential), 400, "user_verification_missing", "present, not verified");

    let begun = begin(&app, &tokens, &payment()).expect(200).json();
    let credential = passkey.get(&begun["publicKey"]);
    app.advance(Duration::minutes(5));
    refused(end(&app, &tokens, &begun, &credential), 410, "ceremony_expired_or_used", "too late");

    // A ceremony of another kind cannot be completed here, nor this one elsewhere.
    let begun = app.client("till").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    refused(end(&app, &tokens, &begun, &credential), 400, "verification_failed", "a sign-in");
    let begun = begin(&app, &tokens, &payment()).expect(200).json();
    let credential = passkey.get(&begun["publicKey"]);
    let at_sign_in = app.client("till").finish(&begun, &credential);
    refused(at_sign_in, 400, "verification_failed", "as a sign-in");
    let begun = begin(&app, &tokens, &payment()).expect(200).json();
    let credential = passkey.get(&begun["publicKey"]);
    let at_token_endpoint = app.redeem(&begun, &credential, None, &[("client_id", "till")]);
    at_token_endpoint.expect_oauth(400, "invalid_grant");

    let begun = begin(&app, &tokens, &payment()).expect(200).json();
    let credential = passkey.get(&begun["publicKey"]);
    app.sql(&format!("UPDATE sessions SET revoked_at = now() WHERE id = '{}'", tokens.session()));
    refused(end(&app, &tokens, &begun, &credential), 401, "invalid_token", "the session ended");
    assert_eq!(app.events("transaction.signed"), 0);
    redeem(&app, &teller, &json!("x")).expect_problem(400, "result_refused");
}

#[test]
fn a_proof_is_redeemed_once_by_its_own_client() {
    let app = spawn();
    let (_, mut passkey, tokens) = customer(&app);
    let (teller, foreign) = (access(&app, "teller"), access(&app, "foreign"));
    let proof = sign(&app, &tokens, &mut passkey)["proof"].clone();
    let text = proof.as_str().unwrap();
    for (name, by, proof) in [
        ("another client", &foreign, proof.clone()),
        ("cut", &teller, json!(&text[..text.len() - 1])),
        ("no signature", &teller, json!(&text[..text.rfind('.').unwrap()])),
        ("an access token", &teller, json!(tokens.access)),
        ("nothing", &teller, json!("")),
    ] {
        let before = app.events("result.refused");
        redeem(&app, by, &proof).expect_problem(400, "result_refused");
        assert_eq!(app.events("result.refused"), before + 1, "{name}");
    }
    redeem(&app, &tokens.access, &proof).expect_problem(401, "invalid_token");
    let replies = at_once(32, |_| redeem(&app, &teller, &proof).status);
    assert_eq!(replies.iter().filter(|status| **status == 200).count(), 1);
    assert!(replies.iter().all(|status| [200, 400].contains(status)));
    let late = sign(&app, &tokens, &mut passkey)["proof"].clone();
    app.advance(Duration::seconds(120));
    redeem(&app, &teller, &late).expect_problem(400, "result_refused");
}

/// Issue: a person who is disabled or signed out yields nothing from then on.
#[test]
fn a_proof_ends_with_its_session_and_its_redemption_names_the_person() {
    let app = spawn();
    let (_, mut passkey, tokens) = customer(&app);
    let teller = access(&app, "teller");
    let proof = sign(&app, &tokens, &mut passkey)["proof"].clone();
    redeem(&app, &teller, &proof).expect(200);
    let named = "SELECT count(*) AS n FROM audit_events WHERE kind = 'result.redeemed' \
                 AND user_id IS NOT NULL AND session_id IS NOT NULL";
    assert_eq!(app.count(named), 1);
    let left = sign(&app, &tokens, &mut passkey)["proof"].clone();
    let id = UserId::new(claims(&tokens.access)["sub"].as_str().unwrap().parse().unwrap());
    let now = app.clock.now();
    app.db.blocking_tx(|conn| people::set_status(conn, id, UserStatus::Disabled, now)).unwrap();
    redeem(&app, &teller, &left).expect_problem(400, "result_refused");
}

/// Proving something to a client is using it.
#[test]
fn only_members_sign_for_a_client_of_groups() {
    let app = spawn();
    let (_, mut passkey, tokens) = customer(&app);
    let body = json!({ "operation": payment(), "clientId": "closed" });
    let ask = || app.client("till").bearer("POST", OPTIONS, &tokens.access).json(&body).send();
    assert_eq!(ask().expect_problem(403, "sign_in_refused").json()["reason"], "no_group");
    app.sql("INSERT INTO groups (id, name, created_at) VALUES (gen_random_uuid(), 'staff', now())");
    app.sql("INSERT INTO group_members (group_id, user_id) SELECT groups.id, users.id FROM groups, users");
    let begun = ask().expect(200).json();
    let credential = passkey.get(&begun["publicKey"]);
    app.sql("DELETE FROM group_members");
    let ended = end(&app, &tokens, &begun, &credential);
    assert_eq!(ended.expect_problem(403, "sign_in_refused").json()["reason"], "no_group", "left meanwhile");
    assert_eq!(app.events("transaction.signed"), 0);
}

#[test]
fn nobody_signs_for_somebody_else() {
    let app = spawn();
    let (_, mut passkey, tokens) = customer(&app);
    let mut acting = claims(&tokens.access);
    acting["act"] = json!({ "sub": "teller" });
    let acting = Tokens { access: crate::admin::token(&app, &acting), ..tokens.clone() };
    begin(&app, &acting, &payment()).expect_problem(403, "forbidden");
    let begun = begin(&app, &tokens, &payment()).expect(200).json();
    let credential = passkey.get(&begun["publicKey"]);
    end(&app, &acting, &begun, &credential).expect_problem(403, "forbidden");
    assert_eq!(app.events("transaction.signed"), 0);
}

/// Of many answers to one ceremony one is accepted, and gives one proof.
#[test]
fn of_64_answers_one_gives_a_proof() {
    let app = spawn();
    let (_, mut passkey, tokens) = customer(&app);
    let begun = begin(&app, &tokens, &payment()).expect(200).json();
    let credential = passkey.get(&begun["publicKey"]);
    let replies = at_once(64, |_| end(&app, &tokens, &begun, &credential).status);
    assert_eq!(replies.iter().filter(|status| **status == 200).count(), 1);
    assert!(replies.iter().all(|status| [200, 410].contains(status)));
    assert_eq!(app.events("transaction.signed"), 1);
}
