//! Custom tokens of bridges by token exchange.

use chrono::Duration;
use serde_json::json;

use super::{BRIDGE, CONFIG, STOCK, ask, form, given, introspection, person, spawn};
use crate::support::tokens::{INACTIVE, claims};
use crate::support::urn::REFRESH;
use crate::support::{Options, TestApp};

#[test]
fn a_bridge_gives_its_custom_token() {
    let app = spawn();
    let (_, _, tokens) = person(&app);
    for more in [&[("audience", "target")][..], &[("audience", "target"), ("requested_token_type", BRIDGE)]] {
        let told = ask(&app, "orders", &tokens.access, more).expect(200).json();
        assert_eq!((&told["issued_token_type"], &told["token_type"]), (&json!(BRIDGE), &json!("N_A")));
        let custom = told["access_token"].as_str().unwrap();
        assert_eq!(
            (&claims(custom)["aud"], &claims(custom)["sub"]),
            (&json!("https://target.example"), &claims(&tokens.access)["sub"])
        );
        let acting = json!({ "sub": "orders", "client_id": "orders", "iss": app.origin });
        assert_eq!(claims(custom)["act"], acting, "it says who went on in the person's name");
        assert_eq!(introspection(&app, custom), INACTIVE, "it is never accepted back");
    }
    let written = "SELECT count(*) AS n FROM audit_events WHERE kind = 'bridge.minted' AND detail->>'rule' = 'orders' \
                   AND detail->'act'->>'sub' = 'orders'";
    assert_eq!(app.count(written), 2);
    assert_eq!(app.events("token.impersonated"), 2, "and the person sees who went on in their name");
    app.advance(Duration::minutes(9));
    let told = ask(&app, "orders", &tokens.access, &[("audience", "target")]).expect(200).json();
    let custom = claims(told["access_token"].as_str().unwrap());
    assert_eq!(custom["exp"], claims(&tokens.access)["exp"], "no longer than what was exchanged");
    let life = custom["exp"].as_i64().zip(custom["iat"].as_i64()).map(|(exp, iat)| exp - iat);
    assert!(told["expires_in"].as_i64() == life && life <= Some(60), "{told}");
    // Another client needs the scope of the bridge as well.
    app.client("page").token(&form(&tokens.access, &[("audience", "target")])).expect_oauth(400, "invalid_request");
}

/// A token that names an actor gives no custom token that does not.
#[test]
fn who_acts_with_an_access_token_is_named_in_the_custom_token() {
    let rule = "[exchange_rules.home]\nclients = [\"orders\"]\nsubject_audiences = [\"https://orders.example\"]\n\
                new_audiences = [\"ORIGIN\"]\nnew_scopes = [\"bridge:target\"]\nimpersonation = true\n";
    let app = TestApp::with(&Options { config: &format!("{CONFIG}{rule}"), ..Options::default() });
    let (_, _, tokens) = person(&app);
    let acting = given(ask(&app, "orders", &tokens.access, &[("audience", &app.origin), ("scope", "bridge:target")]));
    let told = app.client("orders").bearer("POST", "/v1/bridges/target/token", &acting).send().expect(200).json();
    let expected = json!({ "sub": "orders", "client_id": "orders", "iss": app.origin });
    assert_eq!(claims(told["token"].as_str().unwrap())["act"], expected);
    let written =
        "SELECT count(*) AS n FROM audit_events WHERE kind = 'bridge.minted' AND detail->'act'->>'sub' = 'orders'";
    assert_eq!(app.count(written), 1);
}

/// An exchange does not bypass the limit that a bridge has for each person.
#[test]
fn custom_tokens_in_exchange_count_against_the_limit_of_their_bridge() {
    let settings = [("limits.enabled", "true"), ("limits.bridges_per_minute", "1"), ("limits.bridges_burst", "2")];
    let app = TestApp::with(&Options { config: CONFIG, settings: &settings, ..Options::default() });
    let (_, _, tokens) = person(&app);
    let once = || ask(&app, "orders", &tokens.access, &[("audience", "target")]);
    for _ in 0..2 {
        once().expect(200);
    }
    let refused = once();
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (429, true), "{}", refused.body);
    ask(&app, "orders", &tokens.access, &[("audience", STOCK), ("scope", "stock:read")]).expect(200);
}

/// Only a backend may ask this bridge, and it says who enters which room.
const ROOMS: &str = r#"
[clients.rooms]
kind = "confidential"
secret_digest = "API_DIGEST"
grants = ["token_exchange", "refresh_token"]
scopes = ["read", "bridge:rooms"]
audiences = ["https://orders.example"]

[bridges.rooms]
preset = "jwt"
audience = "https://rooms.example"

[bridges.rooms.allow]
clients = ["rooms"]

[bridges.rooms.inputs.room]
max_length = 8

[bridges.rooms.inputs.role]
one_of = ["speaker", "listener"]
required = false

[bridges.rooms.claims]
room = "{{ input.room }}"
role = "{{ input.role ?? 'listener' }}"

[exchange_rules.rooms]
clients = ["rooms"]
subject_audiences = ["https://orders.example"]
audiences = ["https://orders.example"]
scopes = ["read"]
issues = ["access_token", "jwt"]
bridges = ["rooms"]
impersonation = true
refreshable = true
"#;

fn with_rooms() -> TestApp {
    TestApp::with(&Options { config: &format!("{CONFIG}{ROOMS}"), ..Options::default() })
}

#[test]
fn a_backend_says_the_inputs_of_a_bridge() {
    let app = with_rooms();
    let (_, _, tokens) = person(&app);
    for (inputs, room, role) in
        [(r#"{"room":"blue"}"#, "blue", "listener"), (r#"{"room":"red","role":"speaker"}"#, "red", "speaker")]
    {
        let told = ask(&app, "rooms", &tokens.access, &[("audience", "rooms"), ("inputs", inputs)]).expect(200).json();
        let custom = claims(told["access_token"].as_str().unwrap());
        assert_eq!((&custom["room"], &custom["role"]), (&json!(room), &json!(role)), "{inputs}");
        assert_eq!(custom["act"]["client_id"], "rooms");
        assert!(told.get("refresh_token").is_none(), "what was said of a room is said once: {told}");
    }
    // The rule permits refreshing, but not together with inputs for a bridge.
    let alone = [("audience", "rooms"), ("requested_token_type", REFRESH), ("inputs", r#"{"room":"blue"}"#)];
    ask(&app, "rooms", &tokens.access, &alone).expect_oauth(400, "invalid_request");
    let told = ask(&app, "rooms", &tokens.access, &[("scope", "read")]).expect(200).json();
    assert!(told["refresh_token"].is_string(), "{told}");
}

/// The app cannot ask the bridge itself and thereby name a room.
#[test]
fn a_bridge_of_a_backend_is_closed_to_the_app() {
    let rule = "[exchange_rules.app]\nclients = [\"orders\"]\nsubject_audiences = [\"https://orders.example\"]\n\
                bridges = [\"rooms\"]\nimpersonation = true\n";
    let config = format!("{CONFIG}{ROOMS}{rule}").replace("\"bridge:target\"", "\"bridge:target\", \"bridge:rooms\"");
    let app = TestApp::with(&Options { config: &config, ..Options::default() });
    let (_, _, tokens) = person(&app);
    let inputs = r#"{"room":"blue"}"#;
    // The exchange rules allow this client, but the bridge still refuses it, without revealing its inputs.
    for inputs in [inputs, r#"{"nothing":"of it"}"#] {
        let more = [("audience", "rooms"), ("inputs", inputs)];
        ask(&app, "orders", &tokens.access, &more).expect_oauth(400, "invalid_target");
    }
    ask(&app, "rooms", &tokens.access, &[("audience", "rooms"), ("inputs", inputs)]).expect(200);
}

#[test]
fn inputs_that_are_not_as_declared_are_refused_by_name() {
    let app = with_rooms();
    let (_, _, tokens) = person(&app);
    let (text, twice) = ("the text of one JSON object", "the same member twice");
    for (name, inputs, words) in [
        ("none at all", None, "the input `room` is missing"),
        ("an empty parameter", Some(""), "the input `room` is missing"),
        ("an empty object", Some("{}"), "the input `room` is missing"),
        ("null for a required one", Some(r#"{"room":null}"#), "the input `room` is missing"),
        ("one that is not declared", Some(r#"{"room":"blue","admin":true}"#), "no such input: `admin`"),
        ("another kind", Some(r#"{"room":7}"#), "the input `room` must be 1 to 8 bytes"),
        ("an object for a text", Some(r#"{"room":{"a":1}}"#), "the input `room` must be 1 to 8 bytes"),
        ("too long", Some(r#"{"room":"123456789"}"#), "the input `room` must be 1 to 8 bytes"),
        ("another character", Some(r#"{"room":"a/*"}"#), "the input `room` must be 1 to 8 bytes"),
        ("none of the list", Some(r#"{"room":"blue","role":"admin"}"#), "the input `role` must be one of"),
        ("no JSON", Some("room=blue"), text),
        ("a list", Some(r#"["blue"]"#), text),
        ("a text", Some(r#""blue""#), text),
        ("null", Some("null"), text),
        ("something behind it", Some(r#"{"room":"blue"} {}"#), text),
        ("a member twice", Some(r#"{"room":"blue","room":"red"}"#), twice),
        ("a member twice in another spelling", Some(r#"{"room":"blue","r\u006fom":"red"}"#), twice),
    ] {
        let more: Vec<_> = [("audience", "rooms")].into_iter().chain(inputs.map(|inputs| ("inputs", inputs))).collect();
        let told = ask(&app, "rooms", &tokens.access, &more).expect_oauth(400, "invalid_request").json();
        assert!(told["error_description"].as_str().unwrap().contains(words), "{name}: {told}");
    }
    let twice = [("audience", "rooms"), ("inputs", r#"{"room":"blue"}"#), ("inputs", r#"{"room":"red"}"#)];
    ask(&app, "rooms", &tokens.access, &twice).expect_oauth(400, "invalid_request");
    let written = "SELECT count(*) AS n FROM audit_events WHERE kind = 'bridge.minted'";
    assert_eq!(app.count(written), 0, "nothing was made");
    ask(&app, "rooms", &tokens.access, &[("audience", "rooms"), ("inputs", r#"{"room":"blue"}"#)]).expect(200);
}

/// Inputs that nobody reads are refused, so that nobody relies on them.
#[test]
fn inputs_without_a_bridge_are_refused() {
    let app = with_rooms();
    let (_, _, tokens) = person(&app);
    let inputs = ("inputs", r#"{"room":"blue"}"#);
    for (name, more) in [
        ("nothing else", &[inputs][..]),
        ("an API", &[("audience", "https://orders.example"), inputs]),
        ("a bridge that is none", &[("audience", "room"), inputs]),
        ("a bridge and another type", &[("audience", "rooms"), ("requested_token_type", super::ACCESS), inputs]),
    ] {
        let refused = ask(&app, "rooms", &tokens.access, more).expect_oauth(400, "invalid_request");
        assert!(refused.body.contains("inputs are what a bridge is told"), "{name}: {}", refused.body);
    }
    ask(&app, "rooms", &tokens.access, &[("audience", "https://orders.example")]).expect(200);
    // A bridge without inputs accepts none.
    let refused = ask(&app, "orders", &tokens.access, &[("audience", "target"), inputs]);
    let refused = refused.expect_oauth(400, "invalid_request");
    assert!(refused.body.contains("no such input: `room`"), "{}", refused.body);
}
