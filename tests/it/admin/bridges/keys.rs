//! Keys of bridges: the names of imported ones, and the creation of their own.

use std::time::Duration as Real;

use chrono::Duration;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use serde_json::json;

use super::{BRIDGES, MADE, Ops, checked, fresh_person, jwks, make, minted, pem_of, plain, with};
use crate::support::tokens::{header, within};

/// A target that was given the JWK finds the key by the JWK's own `kid`.
#[test]
fn a_jwk_keeps_its_name_in_headers_and_in_the_key_set() {
    const NAME: &str = "0b9d3a51-6f0e-4f5a-8e13-c43bd5be72c3";
    let ops = Ops::new();
    let (_, _, tokens) = ops.app.person_with_tokens("openid bridge:made");
    // RFC 7515 appendix A.3.1.
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "kid": NAME, "use": "sig", "key_ops": ["sign", "verify"], "alg": "ES256", "ext": true,
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
    });
    let body = json!({ "name": "made", "definition": plain(), "key": { "jwk": jwk } });
    assert_eq!(ops.post(BRIDGES, &body).expect(201).json()["key"]["id"], NAME);
    let token = minted(&ops.app, &tokens, "made");
    assert_eq!(header(&token)["kid"], NAME);
    checked(&ops.app, "made", &token);
    assert_eq!(jwks(&ops.app, "made").expect(200).json()["keys"][0]["kid"], NAME);
    pem_of(&ops.app, "made", NAME).expect(200);

    // Another name can be given, but not one that a header cannot carry.
    let fresh = fresh_person(&ops);
    let written = json!({ "definition": with(&json!({ "kid": "other" })), "key": { "jwk": jwk } });
    fresh("PUT", MADE, &written).expect(200);
    assert_eq!(header(&minted(&ops.app, &tokens, "made"))["kid"], "other");
    for (member, wrong) in [("kid", json!("a\u{202e}b")), ("use", json!("enc")), ("key_ops", json!(["verify"]))] {
        let mut jwk = jwk.clone();
        jwk[member] = wrong;
        let body = json!({ "name": "wrong", "definition": plain(), "key": { "jwk": jwk } });
        let refused = ops.post(BRIDGES, &body).expect_problem(400, "invalid_field");
        assert_eq!(refused.json()["errors"][0]["field"], "key", "{member}");
        assert!(refused.body.contains(&format!("`{member}`")), "{}", refused.body);
    }
}

/// A key that waited for the start-up lock is dated when it is created. Dated earlier, a key that was created in the
/// meantime would make it seem to be from the future, and it would sign nothing.
#[test]
fn a_key_that_waited_for_the_lock_is_of_the_moment_when_it_is_made() {
    const WAITING: &str = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND locktype = 'advisory' \
                           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let ops = Ops::new();
    let app = &ops.app;
    let mut holder = PgConnection::establish(app.database_url()).expect("a connection");
    holder.batch_execute("SELECT pg_advisory_lock(7276700107)").expect("the lock");
    let then = std::thread::scope(|scope| {
        let made = scope.spawn(|| make(&ops, &plain()));
        within(Real::from_secs(10), "it waits for the lock", || app.count(WAITING) > 0);
        app.clock.advance(Duration::seconds(2));
        let then = app.clock.now();
        holder.batch_execute("SELECT pg_advisory_unlock(7276700107)").expect("it is given back");
        made.join().unwrap().expect(201);
        then
    });
    let dated = format!(
        "SELECT count(*) AS n FROM signing_keys WHERE purpose = 'bridge:made' AND published_at >= '{}'",
        then.to_rfc3339()
    );
    assert_eq!(app.count(&dated), 1);
    assert_eq!(ops.post(&format!("{MADE}/test"), &json!({})).expect(200).json()["ok"], true, "it signs at once");
}
