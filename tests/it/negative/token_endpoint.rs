//! The passkey grant: the same as verify, at the endpoint where the client authenticates.

use serde_json::{Value, json};

use super::changes::{Change, appended, challenge, signature, text};
use super::clients::{HOME, app, begin, claims, client};
use super::{Traces, last_reason};
use crate::support::{API_SECRET, TestApp};

const PASSKEY_GRANT: &str = "urn:passmint:params:oauth:grant-type:passkey";

/// A client with a secret must present it: its ceremonies can only be completed at the token endpoint.
#[test]
fn confidential_clients_end_at_the_token_endpoint() {
    let app = TestApp::spawn();
    let api = app.client("api");
    let (_, mut passkey) = app.person();
    let token = |client: &str, secret: &str, begun: &Value, answer: &Value| {
        let id = begun["ceremonyId"].as_str().unwrap();
        let answer = answer.to_string();
        let form = [("grant_type", PASSKEY_GRANT), ("ceremony_id", id), ("credential", &answer), ("client_id", client)];
        let request = app.request("POST", "/oauth/token").form(&form);
        if secret.is_empty() { request.send() } else { request.basic(client, secret).send() }
    };
    // At verify: refused and used up, even for the client itself.
    let begun = api.begin("openid");
    let answer = passkey.get(&begun["publicKey"]);
    let before = Traces::of(&app);
    api.finish(&begun, &answer).expect_problem(400, "unauthorized_client");
    assert_eq!(Traces::of(&app), Traces { refusals: before.refusals + 1, ..before });
    token("api", API_SECRET, &begun, &answer).expect_oauth(400, "invalid_grant");
    // By another client: refused and used up.
    let begun = api.begin("openid");
    let answer = passkey.get(&begun["publicKey"]);
    token("web", "", &begun, &answer).expect_oauth(400, "invalid_grant");
    assert!(last_reason(&app).contains("another client"));
    token("api", API_SECRET, &begun, &answer).expect_oauth(400, "invalid_grant");
    // Without its secret, or with a wrong one, the caller is not the client, so nothing of the client's is touched.
    let begun = api.begin("openid");
    let answer = passkey.get(&begun["publicKey"]);
    token("api", "", &begun, &answer).expect_oauth(401, "invalid_client");
    token("api", &API_SECRET.replace('A', "B"), &begun, &answer).expect_oauth(401, "invalid_client");
    token("nobody", API_SECRET, &begun, &answer).expect_oauth(401, "invalid_client");
    let given = token("api", API_SECRET, &begun, &answer).expect(200);
    assert!(given.cookies().is_empty());
    assert_eq!(claims(&given.json()["access_token"])["client_id"], "api");
    token("api", API_SECRET, &begun, &answer).expect_oauth(400, "invalid_grant");
}

/// The token endpoint's form of the response to everything hostile, and of the named refusals; each uses the ceremony
/// up.
#[test]
fn hostile_answers_at_the_token_endpoint() {
    const ALIKE: &str = r#"{"error":"invalid_grant","error_description":"The passkey could not be verified."}"#;
    let app = TestApp::spawn();
    let api = app.client("api");
    let send = |begun: &Value, answer: &Value| {
        let (id, answer) = (begun["ceremonyId"].as_str().unwrap(), answer.to_string());
        let form = [("grant_type", PASSKEY_GRANT), ("ceremony_id", id), ("credential", &answer)];
        api.request("POST", "/oauth/token").basic("api", API_SECRET).form(&form).send()
    };
    let table: [(&str, Change, Option<&str>); 8] = [
        ("a bit of the signature", Box::new(signature(|s| appended(s, &[0]))), Some("SignatureInvalid")),
        ("another challenge", Box::new(challenge(|_| "AAAA".to_owned())), Some("another challenge")),
        ("crossOrigin", Box::new(text(|t| t.replace("false", "true"))), Some("across origins")),
        ("another site", Box::new(|p| p.rp_id = Some("evil.example".into())), Some("another RP id")),
        ("the handle of nobody", Box::new(|p| p.user_handle = Some(vec![7; 16])), Some("another user handle")),
        ("wrong origin", Box::new(|p| p.origin = "https://evil.example".into()), None),
        ("no verification", Box::new(|p| p.user_verified = false), None),
        ("unknown", Box::new(|p| p.credential_id = vec![9; 32]), None),
    ];
    for (name, change, reason) in table {
        let (_, mut passkey) = app.person();
        let begun = api.begin("openid");
        let honest = passkey.get(&begun["publicKey"]);
        change(&mut passkey);
        let answer = passkey.get_uninvited(&begun["publicKey"]);
        let before = Traces::of(&app);
        let reply = send(&begun, &answer).expect_oauth(400, "invalid_grant");
        assert!(reply.cookies().is_empty());
        assert_eq!(reply.body == ALIKE, reason.is_some(), "{name}: {}", reply.body);
        assert!(last_reason(&app).contains(reason.unwrap_or_default()), "{name}: {}", last_reason(&app));
        send(&begun, &honest).expect_oauth(400, "invalid_grant");
        assert_eq!(Traces::of(&app), Traces { refusals: before.refusals + 1, ..before }, "{name}");
    }
}

/// The token endpoint issues tokens; a ceremony for something else is refused there before anything is written.
#[test]
fn the_token_endpoint_ends_ceremonies_for_tokens_only() {
    let app = app();
    let own = client(&app, "app", "https://app.id.example");
    let (mut browser, mut passkey) = app.person();
    let mut session = browser.begin_sign_in(&json!({}));
    session["origin"] = json!(HOME);
    let mut bridge = begin(&own, &json!({ "kind": "bridge", "clientId": "app", "bridge": "legacy" }));
    bridge["origin"] = json!("https://app.id.example");
    for begun in [session, bridge] {
        begun["origin"].as_str().unwrap().clone_into(&mut passkey.origin);
        let answer = passkey.get(&begun["publicKey"]).to_string();
        let (before, minted) = (Traces::of(&app), app.events("bridge.minted"));
        let id = begun["ceremonyId"].as_str().unwrap();
        let form = [("grant_type", PASSKEY_GRANT), ("ceremony_id", id), ("credential", &answer)];
        own.token(&form).expect_oauth(400, "invalid_grant");
        assert_eq!(Traces::of(&app), Traces { refusals: before.refusals + 1, ..before }, "{begun}");
        assert_eq!(app.events("bridge.minted"), minted, "{begun}");
        own.token(&form).expect_oauth(400, "invalid_grant");
        assert_eq!(app.events("ceremony.refused"), before.refusals + 1, "burnt: {begun}");
    }
}
