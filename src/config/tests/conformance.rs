//! The setup for the conformance suite: the configuration that the server is started with, and the one that the suite
//! gets.

use serde_json::Value;

use super::load_file;
use crate::domain::secret::{PlainToken, TokenKind};

const SERVER: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples/conformance.toml"));
const SUITE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/conformance/plans.json"));

/// The members of a private key that its public half does not have (RFC 7518 §6.2.2, §6.3.2).
const PRIVATE: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];

/// Every client that the suite plays is declared, with the same secret or key as in the suite.
#[test]
fn the_suite_and_the_server_know_the_same_clients() {
    let config = load_file(SERVER).unwrap_or_else(|problems| panic!("{problems}"));
    let suite: Value = serde_json::from_str(SUITE).unwrap();
    let discovery = format!("{}/.well-known/openid-configuration", config.issuer());
    let mut met = 0;
    for (name, configuration) in suite["configurations"].as_object().unwrap() {
        assert_eq!(configuration["server"]["discoveryUrl"], discovery.as_str(), "{name}");
        for played in ["client", "client2", "client_secret_post"].map(|which| &configuration[which]) {
            let Some(id) = played["client_id"].as_str() else { continue };
            let client = config.client(id).unwrap_or_else(|| panic!("{name}: no client {id}"));
            if let Some(secret) = played["client_secret"].as_str() {
                assert_eq!(
                    client.secret,
                    PlainToken::parse(TokenKind::ClientSecret, secret).map(|token| token.digest()),
                    "{name}: {id}"
                );
            } else {
                let mut key = played["jwks"]["keys"][0].clone();
                assert!(key["d"].is_string(), "{name}: {id} has a private key");
                key.as_object_mut().unwrap().retain(|member, _| !PRIVATE.contains(&member.as_str()));
                assert_eq!(client.openid.jwks.as_ref().unwrap()["keys"][0], key, "{name}: {id}");
            }
            met += 1;
        }
    }
    assert_eq!(met, config.clients.len(), "each client is played once");
}

/// Every plan names an existing configuration.
#[test]
fn every_plan_has_its_configuration() {
    let suite: Value = serde_json::from_str(SUITE).unwrap();
    for plan in suite["plans"].as_array().unwrap() {
        let name = plan["configuration"].as_str().unwrap();
        assert!(suite["configurations"].get(name).is_some(), "{name}");
    }
}
