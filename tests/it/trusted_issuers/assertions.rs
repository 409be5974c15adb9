//! Identity assertions (ID-JAG) between two servers.

use chrono::Duration;
use serde_json::json;

use super::{ORDERS, bearer, exchange, given};
use crate::support::tokens::{Tokens, basic, claims};
use crate::support::urn::{EXCHANGE, TYPE};
use crate::support::{API_SECRET, Options, TestApp};

/// Two Passmints: a person signed in to the app `wiki` at the first is admitted at the second, where the app is
/// `wiki-there` (draft-ietf-oauth-identity-assertion-authz-grant).
#[test]
fn an_identity_assertion_carries_a_sign_in_to_another_server() {
    const THERE: &str = "https://as.example";
    let id_jag = format!("{TYPE}id-jag");
    let idp = TestApp::with(&Options { config: &assertion_giver(THERE), ..Options::default() });
    let taker = assertion_taker(&idp);
    let private = [("outbound.allow_private_addresses", "true")];
    let there = TestApp::with(&Options { config: &taker, settings: &private, public_url: Some(THERE), beside: None });
    let told = |app: &TestApp, name: &str| {
        app.request("GET", "/.well-known/oauth-authorization-server").send().expect(200).json()[name].clone()
    };
    assert_eq!(told(&idp, "identity_chaining_requested_token_types_supported"), json!([id_jag]));
    assert_eq!(
        told(&there, "authorization_grant_profiles_supported"),
        json!(["urn:ietf:params:oauth:grant-profile:id-jag"])
    );

    let (_, mut passkey) = idp.person();
    let begun = idp.client("wiki").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    let own = Tokens::of(&idp.redeem(&begun, &credential, Some(&basic("wiki", API_SECRET)), &[]).expect(200).json());
    let kind = format!("{TYPE}id_token");
    let ask = |client: &str, subject: &str, more: &[(&str, &str)]| {
        let mut form = vec![
            ("grant_type", EXCHANGE),
            ("requested_token_type", id_jag.as_str()),
            ("subject_token", subject),
            ("subject_token_type", &kind),
            ("audience", THERE),
            ("scope", "read write"),
            ("resource", ORDERS),
        ];
        form.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        form.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        idp.token_by(client, &form)
    };
    let reply = ask("wiki", &own.id, &[]).expect(200).json();
    assert_eq!((&reply["issued_token_type"], &reply["token_type"]), (&json!(id_jag), &json!("N_A")));
    assert_eq!((&reply["scope"], &reply["expires_in"]), (&json!("read write"), &json!(300)));
    let assertion = reply["access_token"].as_str().unwrap();
    let said = idp.verified(assertion, THERE, "oauth-id-jag+jwt");
    assert_eq!((&said["client_id"], &said["resource"]), (&json!("wiki-there"), &json!([ORDERS])));
    for name in ["sub", "auth_time", "acr", "amr"] {
        assert_eq!(said[name], claims(&own.id)[name], "{name}");
    }
    for (name, client, subject, more, error) in [
        (
            "an access token",
            "wiki",
            &own.access,
            &[("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")][..],
            "invalid_request",
        ),
        ("another's ID token", "blog", &own.id, &[], "invalid_request"),
        ("a server of nobody", "wiki", &own.id, &[("audience", "https://x.example")], "invalid_target"),
        ("no server", "wiki", &own.id, &[("audience", "")], "invalid_target"),
        ("a scope that no rule gives", "wiki", &own.id, &[("scope", "admin")], "invalid_scope"),
    ] {
        let reply = ask(client, subject, more);
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(error)), "{name}: {}", reply.body);
    }

    // There it is a grant for that client alone, usable any number of times until it expires, and for no more than it
    // says.
    let first = given(bearer(&there, "wiki-there", assertion, &[]));
    let second = bearer(&there, "wiki-there", assertion, &[("scope", "read")]).expect(200).json();
    assert_eq!((&claims(&first)["scope"], &second["scope"]), (&json!("read"), &json!("read")), "write is not trusted");
    assert_eq!((&claims(&first)["aud"], &claims(&first)["acr"]), (&json!(ORDERS), &json!("0")));
    bearer(&there, "wiki-there", assertion, &[("resource", THERE)]).expect_oauth(400, "invalid_target");
    bearer(&there, "blog-there", assertion, &[]).expect_oauth(400, "invalid_grant");
    bearer(&there, "wiki-there", &own.id, &[]).expect_oauth(400, "invalid_grant");
    let as_subject = [("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")];
    exchange(&there, "wiki-there", assertion, &as_subject).expect_oauth(400, "invalid_request");
    idp.token_by("wiki", &[("grant_type", EXCHANGE), ("subject_token", assertion), ("subject_token_type", &kind)])
        .expect_oauth(400, "invalid_request");
    there.advance(Duration::minutes(6));
    bearer(&there, "wiki-there", assertion, &[]).expect_oauth(400, "invalid_grant");
}

/// A server that issues identity assertions to `wiki` for another server.
fn assertion_giver(other: &str) -> String {
    let client = |id: &str| {
        format!(
            "[clients.{id}]\nkind = \"confidential\"\nsecret_digest = \"API_DIGEST\"\nfirst_party = true\n\
             origins = [\"ORIGIN\"]\ngrants = [\"passkey\", \"token_exchange\"]\nscopes = [\"openid\", \"read\", \"write\"]\n"
        )
    };
    format!(
        "{}{}[authorization_servers.other]\nissuer = \"{other}\"\nclient_ids = {{ wiki = \"wiki-there\" }}\n\
         [exchange_rules.assert]\nclients = [\"wiki\", \"blog\"]\nsubject_types = [\"id_token\", \"access_token\"]\n\
         new_audiences = [\"{other}\"]\nnew_scopes = [\"read\", \"write\"]\nissues = [\"id_jag\"]\n",
        client("wiki"),
        client("blog")
    )
}

/// A server that accepts them.
fn assertion_taker(idp: &TestApp) -> String {
    let client = |id: &str| {
        format!(
            "[clients.{id}]\nkind = \"confidential\"\nsecret_digest = \"API_DIGEST\"\n\
             grants = [\"jwt_bearer\", \"token_exchange\"]\nscopes = [\"read\", \"write\"]\naudiences = [\"{ORDERS}\"]\n"
        )
    };
    format!(
        "{}{}[trusted_issuers.idp]\nissuer = \"{}\"\ntoken_types = [\"id_jag\"]\nsubject = \"create\"\n\
         clients = [\"wiki-there\", \"blog-there\"]\nscopes = [\"read\"]\n[exchange_rules.x]\nclients = [\"wiki-there\"]\n\
         issuers = [\"idp\"]\nsubject_types = [\"jwt\"]\nnew_audiences = [\"{ORDERS}\"]\nnew_scopes = [\"read\"]\n\
         impersonation = true\n",
        client("wiki-there"),
        client("blog-there"),
        idp.origin
    )
}
