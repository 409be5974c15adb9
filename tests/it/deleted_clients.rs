//! Deleted clients: what was issued to them is worthless, even if another client gets the id.

use chrono::Duration;
use serde_json::{Value, json};

use crate::admin::Ops;
use crate::authorize::allow;
use crate::support::oidc::{self, Ask, redeem};
use crate::support::tokens::{INACTIVE, Tokens, basic};
use crate::support::{PRODUCT_LIMITS, TestApp};

const APP: &str = "/v1/admin/clients/app";

fn app_of_somebody() -> Value {
    json!({
        "name": "App", "kind": "public", "grants": ["authorization_code", "refresh_token"],
        "scopes": "openid offline_access", "redirect_uris": ["https://app.example/cb"],
    })
}

/// The tokens that the app gets for a new person.
fn tokens(app: &TestApp, scope: &str) -> Tokens {
    let (mut browser, _) = app.person();
    redeem(app, "app", &allow(&mut browser, &Ask::of("app").with("scope", scope)))
}

#[test]
fn tokens_of_a_deleted_client_are_none_of_the_next_with_its_id() {
    let ops = Ops::new();
    let app = &ops.app;
    ops.make_client("app", &app_of_somebody());
    let held = [tokens(app, "openid"), tokens(app, "openid offline_access")];
    for one in &held {
        app.userinfo(&one.access).expect(200);
    }
    ops.delete(APP).expect(204);
    for again in [false, true] {
        if again {
            ops.make_client("app", &app_of_somebody());
        }
        for one in &held {
            app.userinfo(&one.access).expect(401);
            assert_eq!(app.introspection(&one.access), INACTIVE, "made again: {again}");
        }
    }
    for one in &held {
        oidc::refresh(app, "app", &one.refresh, &[]).expect_oauth(400, "invalid_grant");
    }
    app.userinfo(&tokens(app, "openid").access).expect(200);
}

/// No row is kept of a client's own tokens that could be deleted with it.
#[test]
fn what_a_deleted_client_had_for_itself_is_none_of_the_next_with_its_id() {
    let ops = Ops::new();
    let app = &ops.app;
    let definition =
        json!({ "name": "Robot", "kind": "confidential", "grants": ["client_credentials"], "scopes": "orders" });
    let granted = || {
        let secret = ops.make_client("robot", &definition)["secret"].as_str().unwrap().to_owned();
        let form = [("grant_type", "client_credentials"), ("scope", "orders")];
        let request = app.request("POST", "/oauth/token").header("Authorization", &basic("robot", &secret));
        Tokens::of(&request.form(&form).send().expect(200).json()).access
    };
    let old = granted();
    assert_ne!(app.introspection(&old), INACTIVE);
    ops.delete("/v1/admin/clients/robot").expect(204);
    assert_eq!(app.introspection(&old), INACTIVE);
    // Longer than two servers' clocks may differ.
    app.advance(Duration::seconds(6));
    let new = granted();
    assert_eq!(app.introspection(&old), INACTIVE);
    assert_ne!(app.introspection(&new), INACTIVE);
}

/// A client with many people: ending their sessions takes longer than other statements are allowed.
#[test]
fn a_client_of_many_people_is_deleted_in_the_time_that_it_takes() {
    let ops = Ops::with(PRODUCT_LIMITS, "admin");
    let app = &ops.app;
    ops.make_client("app", &app_of_somebody());
    let held = tokens(app, "openid offline_access");
    app.sql(
        "CREATE FUNCTION as_if_many() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(2.5); RETURN NEW; END';
         CREATE TRIGGER as_if_many BEFORE UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION as_if_many()",
    );
    ops.delete(APP).expect(204);
    assert_eq!(app.introspection(&held.access), INACTIVE);
    assert_eq!(app.count("SELECT count(*) AS n FROM sessions WHERE client_id = 'app' AND revoked_at IS NULL"), 0);
}
