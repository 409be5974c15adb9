//! Hooks before the sign-in by a trusted issuer's token.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{EXCHANGE, TYPE, bearer, exchange, given, is_active, link, partner, token};
use crate::support::jose::Key;
use crate::support::receiver::Receiver;
use crate::support::tokens::{at_once, basic, claims};
use crate::support::{API_SECRET, Options, TestApp};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A server that trusts the partner and asks a hook.
struct Hooked {
    hook: Receiver,
    app: TestApp,
    key: Key,
    _folder: TempDir,
}

impl Hooked {
    fn new(trust: &str, hook_settings: &str) -> Self {
        let (hook, folder, key) = (Receiver::start(), TempDir::new().expect("a folder"), Key::p256());
        let secret = folder.path().join("secret");
        std::fs::write(&secret, SECRET).expect("a secret");
        let config = format!(
            "{}\n[bridges.target]\npreset = \"jwt\"\naudience = \"https://target.example\"\n\
             [hooks.risk]\nwhen = \"before_sign_in\"\nurl = \"{}/risk\"\nsecret_file = \"{}\"\n{hook_settings}\n",
            partner(&crate::support::jose::as_toml(&[key.named("k1")]), trust),
            hook.url,
            secret.display()
        );
        let settings = &[("outbound.allow_private_addresses", "true")];
        let app = TestApp::with(&Options { config: &config, settings, ..Options::default() });
        hook.replies(&json!({ "decision": "allow" }));
        Self { hook, app, key, _folder: folder }
    }

    fn token(&self, sub: &str) -> String {
        token(&self.app, &self.key, sub)
    }

    fn asked(&self) -> Vec<Value> {
        self.hook
            .hits()
            .iter()
            .map(|hit| serde_json::from_str::<Value>(&hit.body).expect("JSON")["data"].clone())
            .collect()
    }

    fn sessions(&self) -> i64 {
        self.app.count("SELECT count(*) AS n FROM sessions WHERE client_id = 'gate'")
    }
}

#[test]
fn a_hook_that_denies_lets_nobody_in_by_others_tokens() {
    let hooked = Hooked::new("", "");
    let ada = link(&hooked.app, "partner", "p-1");
    hooked.hook.replies(&json!({ "decision": "deny", "message": "Your trial has ended." }));
    let tokens = [hooked.token("p-1"), hooked.token("p-1")];
    for refused in [bearer(&hooked.app, "gate", &tokens[0], &[]), exchange(&hooked.app, "gate", &tokens[1], &[])] {
        let refused = refused.expect_oauth(400, "access_denied");
        assert_eq!(refused.json()["error_description"], "Your trial has ended.");
    }
    assert_eq!((hooked.sessions(), hooked.app.events("trusted_issuer.believed")), (0, 0));
    let told = format!(
        "SELECT count(*) AS n FROM audit_events WHERE kind = 'trusted_issuer.refused' AND user_id = '{ada}' \
         AND client_id = 'gate' AND subject_name = 'partner' AND detail->>'reason' = 'the hook `risk` denied it'"
    );
    assert_eq!(hooked.app.count(&told), 2);
    hooked.hook.replies(&json!({ "decision": "allow" }));
    bearer(&hooked.app, "gate", &tokens[0], &[]).expect_oauth(400, "invalid_grant");
    exchange(&hooked.app, "gate", &tokens[1], &[]).expect_oauth(400, "invalid_request");

    hooked.hook.sends(|_| b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec());
    let tried = hooked.token("p-1");
    assert_eq!(bearer(&hooked.app, "gate", &tried, &[]).status, 503);
    assert_eq!(hooked.sessions(), 0);
    hooked.hook.replies(&json!({ "decision": "allow" }));
    given(bearer(&hooked.app, "gate", &tried, &[]));
    assert_eq!(hooked.sessions(), 1, "what failed used nothing up");
}

#[test]
fn what_a_hook_adds_is_in_what_others_tokens_give() {
    let hooked = Hooked::new("", "");
    let ada = link(&hooked.app, "partner", "p-1");
    let before = hooked.asked().len();
    let added = json!({ "plan": "pro" });
    hooked.hook.replies(&json!({ "decision": "allow", "claims": added }));
    let name = format!("{}/claims", hooked.app.origin);
    let by_grant = given(bearer(&hooked.app, "gate", &hooked.token("p-1"), &[]));
    let by_exchange = given(exchange(&hooked.app, "gate", &hooked.token("p-1"), &[]));
    for access in [&by_grant, &by_exchange] {
        assert_eq!(claims(access)[&name], added);
        let request = hooked.app.request("POST", "/oauth/introspect").form(&[("token", access)]);
        let told = request.header("Authorization", &basic("gate", API_SECRET)).send().expect(200).json();
        assert_eq!((&told["active"], &told[&name]), (&json!(true), &added));
    }
    assert_eq!(hooked.app.count("SELECT count(*) AS n FROM sessions WHERE hook_claims = '{\"plan\": \"pro\"}'"), 2);
    let asked = &hooked.asked()[before..];
    assert_eq!(asked.len(), 2);
    for call in asked {
        let told = (&call["clientId"], &call["result"], &call["method"], &call["acr"], &call["amr"]);
        let expected = (&json!("gate"), &json!("tokens"), &json!("trusted_issuer"), &json!("0"), &json!([]));
        assert_eq!((told, &call["user"]["id"], &call["user"]["isNew"]), (expected, &json!(ada), &json!(false)));
        assert_eq!(call["credentialClass"], Value::Null);
    }
    // Nobody signs in, so the hook is not asked.
    bearer(&hooked.app, "gate", &hooked.token("p-2"), &[]).expect_oauth(400, "invalid_grant");
    assert_eq!(hooked.asked().len(), before + 2);
}

#[test]
fn of_somebody_who_is_denied_no_account_is_made() {
    let hooked = Hooked::new("subject = \"create\"", "clients = [\"gate\"]");
    hooked.hook.replies(&json!({ "decision": "deny" }));
    bearer(&hooked.app, "gate", &hooked.token("p-1"), &[]).expect_oauth(400, "access_denied");
    assert_eq!(hooked.app.count("SELECT count(*) AS n FROM users"), 0);
    assert_eq!(
        hooked
            .app
            .count("SELECT count(*) AS n FROM audit_events WHERE kind = 'trusted_issuer.refused' AND user_id IS NULL"),
        1
    );
    assert_eq!(hooked.app.events("user.created"), 0);
    hooked.hook.replies(&json!({ "decision": "allow" }));
    let given: Vec<String> = at_once(8, |_| given(bearer(&hooked.app, "gate", &hooked.token("p-1"), &[])));
    let made = claims(&given[0])["sub"].clone();
    assert!(given.iter().all(|access| is_active(&hooked.app, access) && claims(access)["sub"] == made));
    let asked = hooked.asked();
    let told =
        |is_new: bool| asked.iter().any(|call| call["user"] == json!({ "id": made, "isNew": is_new, "groups": [] }));
    assert!(told(true), "whoever is made was asked about by the id that they got: {asked:?}");
    assert_eq!(hooked.app.count("SELECT count(*) AS n FROM users"), 1);
}

/// An id that moves to another account while the hook thinks: the hook was not asked about that person.
#[test]
fn whom_the_hook_was_not_asked_about_is_not_let_in() {
    let hooked = Hooked::new("", "");
    link(&hooked.app, "partner", "p-1");
    let (_, _, bob) = hooked.app.ada();
    let db = hooked.app.db.clone();
    let moved = format!("UPDATE external_ids SET user_id = '{bob}'");
    hooked.hook.sends(move |hit| {
        use diesel::connection::SimpleConnection as _;
        let deny = hit.body.contains(&bob.to_string());
        db.blocking(|conn| Ok(conn.batch_execute(&moved)?)).unwrap();
        let decision = if deny { "deny" } else { "allow" };
        let body = json!({ "decision": decision }).to_string();
        crate::support::receiver::http(200, "application/json", body.as_bytes())
    });
    bearer(&hooked.app, "gate", &hooked.token("p-1"), &[]).expect_oauth(400, "access_denied");
    assert_eq!(hooked.sessions(), 0);
}

#[test]
fn of_a_token_for_a_bridge_a_hook_is_told_so() {
    let rule = "[exchange_rules.bridged]\nclients = [\"gate\"]\nissuers = [\"partner\"]\nsubject_types = [\"jwt\"]\n\
                bridges = [\"open\"]\nimpersonation = true\n\
                [bridges.open]\npreset = \"jwt\"\naudience = \"https://open.example\"";
    let hooked = Hooked::new("", rule);
    link(&hooked.app, "partner", "p-1");
    let before = hooked.asked().len();
    let (subject, kind) = (hooked.token("p-1"), format!("{TYPE}jwt"));
    let form =
        [("grant_type", EXCHANGE), ("subject_token", &subject), ("subject_token_type", &kind), ("audience", "open")];
    hooked.app.token_by("gate", &form).expect(200);
    assert_eq!(hooked.asked()[before]["result"], "bridge");
}
