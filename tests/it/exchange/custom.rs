//! Custom tokens of bridges in exchange.

use chrono::Duration;
use serde_json::json;

use super::{BRIDGE, CONFIG, STOCK, ask, form, given, introspection, person, spawn};
use crate::support::tokens::{INACTIVE, claims};
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
    // Another client needs the scope of the bridge too.
    app.client("page").token(&form(&tokens.access, &[("audience", "target")])).expect_oauth(400, "invalid_request");
}

/// A token that names who acts makes no custom token that does not.
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

/// An exchange is no way round the limit that a bridge has for each person.
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
