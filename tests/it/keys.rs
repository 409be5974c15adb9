//! Signing keys: published before they sign, still verifying afterwards, withdrawn at once on request. A server that
//! cannot learn of any of this issues nothing.

use std::collections::HashSet;
use std::time::Duration as Real;

use chrono::Duration;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use passmint::tokens::claims::at_hash;
use passmint::tokens::keys::rotation::Trigger;
use passmint::tokens::keys::{Algorithm, Use};
use passmint::tokens::rotate;
use serde_json::Value;

use crate::support::tokens::{INACTIVE, Tokens, basic, header, policy, within};
use crate::support::{API_SECRET, Options, PRODUCT_LIMITS, TestApp};

fn published(app: &TestApp) -> Vec<Value> {
    let set = app.request("GET", "/.well-known/jwks.json").send().expect(200).json();
    set["keys"].as_array().unwrap().clone()
}

fn has(app: &TestApp, kid: &Value) -> bool {
    published(app).iter().any(|key| key["kid"] == *kid)
}

/// Every algorithm that can be configured for access tokens, ID tokens and bridges has a key, and its public half
/// verifies.
#[test]
fn every_algorithm_signs() {
    for algorithm in [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA] {
        let config = format!(
            "[clients.app]\nname = \"App\"\nkind = \"public\"\nfirst_party = true\norigins = [\"ORIGIN\"]\n\
             grants = [\"passkey\"]\nscopes = [\"openid\", \"bridge:target\"]\nid_token_algorithm = \"{algorithm}\"\n\
             [bridges.target]\npreset = \"jwt\"\naudience = \"https://target.example\"\nalgorithm = \"{algorithm}\"\n",
        );
        for access in ["ES256", algorithm.as_str()] {
            let settings = &[("tokens.algorithm", access)];
            let app = TestApp::with(&Options { config: &config, settings, ..Options::default() });
            let (_, mut passkey) = app.person();
            // RSA keys are made after the start.
            let mut answer = None;
            within(Real::from_secs(20), "the keys are made", || {
                let reply = app.client("app").sign_in(&mut passkey, "openid bridge:target");
                answer = (reply.status == 200).then(|| reply.json());
                answer.is_some()
            });
            let tokens = Tokens::of(&answer.unwrap());
            assert_eq!(header(&tokens.access)["alg"], access);
            assert_eq!(header(&tokens.id)["alg"], algorithm.as_str());
            app.verified(&tokens.access, &app.origin, "at+jwt");
            let id = app.verified(&tokens.id, "app", "JWT");
            assert_eq!(id["at_hash"], at_hash(algorithm, &tokens.access), "{algorithm}");
            let mint = || app.client("app").bearer("POST", "/v1/bridges/target/token", &tokens.access).send();
            within(Real::from_secs(20), "the bridge's key is made", || mint().status == 200);
            let minted = mint().json()["token"].as_str().unwrap().to_owned();
            assert_eq!(header(&minted)["alg"], algorithm.as_str());
        }
    }
}

/// Check 85.
#[test]
fn only_public_halves_are_published() {
    let app = TestApp::spawn();
    let reply = app.request("GET", "/.well-known/jwks.json").send().expect(200);
    assert_eq!(reply.header("cache-control"), Some("public, max-age=300"), "less than a key is published ahead");
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let tag = reply.header("etag").unwrap().to_owned();
    let again = app.request("GET", "/.well-known/jwks.json").header("If-None-Match", &tag).send();
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let keys = published(&app);
    let algorithms: HashSet<_> = keys.iter().filter_map(|key| key["alg"].as_str()).collect();
    assert_eq!(
        algorithms,
        HashSet::from(["ES256", "RS256"]),
        "and never the secret that refresh tokens are signed with"
    );
    for key in &keys {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
            assert!(key.get(private).is_none(), "{private}");
        }
    }
}

/// Check 86.
#[test]
fn a_key_is_published_before_it_signs_and_verifies_after_it_signed() {
    let app = TestApp::spawn();
    let (_, mut passkey, first) = app.person_with_tokens("openid");
    let mut sign_in = || Tokens::of(&app.client("web").sign_in(&mut passkey, "openid").expect(200).json());
    let old = header(&first.access)["kid"].clone();
    let known: HashSet<_> = published(&app).iter().map(|key| key["kid"].to_string()).collect();
    let rotated = || {
        app.change_keys(|conn, master, now| {
            let family = (&Use::Tokens, Algorithm::ES256);
            rotate::rotate(conn, master, family, policy(Duration::days(1)), Trigger::Request, now)
        })
    };
    assert_eq!(rotated().len(), 2, "one comes, one will go");
    assert!(rotated().is_empty(), "asked again, nothing more comes");
    within(Real::from_secs(15), "the next key is published", || published(&app).len() == known.len() + 1);
    let next = published(&app).into_iter().find(|key| !known.contains(&key["kid"].to_string())).unwrap()["kid"].clone();

    assert_eq!(header(&sign_in().access)["kid"], old, "it does not sign yet");
    app.advance(Duration::minutes(9));
    let last = sign_in();
    assert_eq!(header(&last.access)["kid"], old, "nor just before its time");
    app.advance(Duration::minutes(1));
    within(Real::from_secs(15), "the next key signs", || header(&sign_in().access)["kid"] == next);
    assert!(app.opens(&last.access), "what the old key signed is still good");
    app.verified(&last.access, &app.origin, "at+jwt");
    app.verified(&sign_in().access, &app.origin, "at+jwt");
    assert!(has(&app, &old) && has(&app, &next));
    app.advance(Duration::days(1) + Duration::minutes(2));
    within(Real::from_secs(15), "the old key is gone", || !has(&app, &old));
    assert!(has(&app, &next));
}

/// Check 86, ten times in a row: an app that caches our key set as long as it may never meets an unknown key, and no
/// key leaves before its tokens expire.
#[test]
fn ten_rotations_surprise_nobody() {
    let app = TestApp::spawn();
    let (_, mut passkey, _) = app.person_with_tokens("openid");
    let ids = || published(&app).iter().map(|key| key["kid"].clone()).collect::<HashSet<_>>();
    let mut sign_in = || Tokens::of(&app.client("web").sign_in(&mut passkey, "openid").expect(200).json()).access;
    for rotation in 0..10 {
        let old = ids();
        app.change_keys(|conn, master, now| {
            let family = (&Use::Tokens, Algorithm::ES256);
            rotate::rotate(conn, master, family, policy(Duration::minutes(12)), Trigger::Request, now)
        });
        within(Real::from_secs(15), "the next key is published", || ids() != old);
        app.advance(Duration::minutes(5));
        let kept = ids();
        app.advance(Duration::minutes(4));
        let last = sign_in();
        let kid = header(&last)["kid"].clone();
        assert!(old.contains(&kid), "rotation {rotation}: a key signs that apps may not have yet");
        app.advance(Duration::minutes(1));
        within(Real::from_secs(15), "the next key signs", || header(&sign_in())["kid"] != kid);
        let fresh = header(&sign_in())["kid"].clone();
        assert!(kept.contains(&fresh), "rotation {rotation}: what was kept for five minutes has it");
        app.advance(Duration::minutes(8));
        assert!(
            ids().contains(&kid) && app.opens(&last),
            "rotation {rotation}: the old key stays while its tokens are good"
        );
        app.advance(Duration::minutes(6));
        within(Real::from_secs(15), "the old key is gone", || !ids().contains(&kid));
    }
}

/// Check 87.
#[test]
fn a_revoked_key_is_out_on_every_server_within_seconds() {
    let settings = &[("challenges.store", "database")];
    let app = TestApp::with(&Options { settings, ..Options::default() });
    let twin = app.twin();
    let (_, mut passkey, tokens) = app.person_with_tokens("openid");
    let bad = header(&tokens.access)["kid"].clone();
    assert!(app.opens(&tokens.access) && twin.opens(&tokens.access));
    let changes = app.change_keys(|conn, master, now| {
        rotate::revoke(conn, master, bad.as_str().unwrap(), policy(Duration::days(1)), now)
    });
    assert_eq!(changes.len(), 2, "revoked, with a successor");
    within(Real::from_secs(15), "both servers refuse it", || !app.opens(&tokens.access) && !twin.opens(&tokens.access));
    for server in [&app, &twin] {
        assert!(!has(server, &bad));
        assert_eq!(server.introspection(&tokens.access), INACTIVE);
        let fresh = Tokens::of(&server.client("web").sign_in(&mut passkey, "openid").expect(200).json());
        assert_ne!(header(&fresh.access)["kid"], bad);
        assert!(app.opens(&fresh.access) && twin.opens(&fresh.access), "the successor signs at once");
    }
    let again = Tokens::of(&app.client("web").refresh(&tokens.refresh).expect(200).json());
    assert!(app.opens(&again.access), "the grant itself lives: only a key was lost");
}

/// Such a server may have missed a revocation.
#[test]
fn a_server_cut_off_from_its_database_issues_nothing() {
    let config = "[bridges.target]\npreset = \"jwt\"\naudience = \"https://target.example\"\n";
    let app = TestApp::with(&Options { config, settings: PRODUCT_LIMITS, ..Options::default() });
    let (mut browser, mut passkey, tokens) = app.person_with_tokens("openid bridge:target");
    let (public, confidential) = (app.client("web").begin("openid"), app.client("api").begin("openid"));
    let mut holder = PgConnection::establish(app.database_url()).unwrap();
    // What the server polls; everything else still answers.
    holder.batch_execute("BEGIN; LOCK TABLE changes IN ACCESS EXCLUSIVE MODE").unwrap();
    let sessions = app.count("SELECT count(*) AS n FROM sessions");
    within(Real::from_secs(9), "the server notices", || app.request("GET", "/readyz").send().status == 503);
    app.client("web").refresh(&tokens.refresh).expect_oauth(503, "temporarily_unavailable");
    let credential = passkey.get_uninvited(&public["publicKey"]);
    app.client("web").finish(&public, &credential).expect_problem(503, "unavailable");
    let credential = passkey.get_uninvited(&confidential["publicKey"]);
    app.redeem(&confidential, &credential, Some(&basic("api", API_SECRET)), &[])
        .expect_oauth(503, "temporarily_unavailable");
    browser.call("POST", "/v1/bridges/target/token", None).expect_problem(503, "unavailable");
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE generation > 0"), 0, "nothing was used up");
    assert_eq!(app.count("SELECT count(*) AS n FROM sessions"), sessions, "nobody was signed in for nothing");
    assert_eq!(app.events("bridge.minted"), 0);
    app.request("GET", "/.well-known/jwks.json").send().expect(200);
    app.request("GET", "/livez").send().expect(200);
    assert!(app.opens(&tokens.access), "what was issued is still checked against the database");

    holder.batch_execute("ROLLBACK").unwrap();
    within(Real::from_secs(4), "the server is back", || app.request("GET", "/readyz").send().status == 200);
    app.client("web").refresh(&tokens.refresh).expect(200);
}
