//! Revocation over HTTP (RFC 7009): what ends with a token, what does not, and who may end it.

use std::time::Instant;

use chrono::Duration;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};

use crate::support::tokens::{INACTIVE, Tokens, at_once, basic};
use crate::support::{API_SECRET, Options, PRODUCT_LIMITS, Reply, TestApp};

const SCOPE: &str = "openid passkeys";

fn revoke(app: &TestApp, client: &str, token: &str, hint: Option<&str>) -> Reply {
    let mut form = vec![("token", token), ("client_id", client)];
    form.extend(hint.map(|hint| ("token_type_hint", hint)));
    app.request("POST", "/oauth/revoke").form(&form).send()
}

fn lives(app: &TestApp, tokens: &Tokens) -> bool {
    app.opens(&tokens.access)
}

#[test]
fn either_token_ends_the_whole_grant_whatever_the_hint() {
    let app = TestApp::spawn();
    for (name, by_refresh, hint) in [
        ("the refresh token", true, None),
        ("the refresh token, rightly named", true, Some("refresh_token")),
        ("the refresh token, wrongly named", true, Some("access_token")),
        ("the refresh token, named after nothing", true, Some("saml")),
        ("the access token", false, None),
        ("the access token, wrongly named", false, Some("refresh_token")),
    ] {
        let (mut browser, _, tokens) = app.person_with_tokens(SCOPE);
        assert!(lives(&app, &tokens));
        let before = app.events("token.revoked");
        let token = if by_refresh { &tokens.refresh } else { &tokens.access };
        let reply = revoke(&app, "web", token, hint).expect(200);
        assert_eq!(reply.body, "", "{name}");
        assert!(!lives(&app, &tokens), "{name}: the access token is dead at once");
        assert_eq!(app.introspection(&tokens.access), INACTIVE, "{name}");
        app.client("web").refresh(&tokens.refresh).expect_oauth(400, "invalid_grant");
        assert!(browser.get("/v1/session").json()["session"].is_object(), "{name}: the browser stays signed in");

        revoke(&app, "web", token, hint).expect(200);
        assert_eq!(app.events("token.revoked"), before + 1, "{name}: one event, however often");
    }
}

#[test]
fn what_is_not_the_callers_is_answered_alike_and_stays() {
    let app = TestApp::spawn();
    let (browser, mut passkey, mine) = app.person_with_tokens(SCOPE);
    let apis = app.api_sign_in(&mut passkey, "openid");
    let session = browser.session().unwrap().to_owned();
    for (name, client, token) in [
        ("another client's refresh token", "other", &mine.refresh),
        ("another client's access token", "other", &mine.access),
        ("a confidential client's refresh token", "web", &apis.refresh),
        ("a confidential client's access token", "web", &apis.access),
        ("an ID token", "web", &mine.id),
        ("a session cookie", "web", &session),
        ("garbage", "web", &"garbage".to_owned()),
        ("a token cut short", "web", &mine.refresh[..mine.refresh.len() - 2].to_owned()),
    ] {
        let reply = revoke(&app, client, token, None);
        assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{name}");
        assert!(lives(&app, &mine), "{name}");
    }
    assert_eq!(app.events("token.revoked"), 0);
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE revoked_at IS NOT NULL"), 0);
    assert_eq!(app.count("SELECT count(*) AS n FROM sessions WHERE revoked_at IS NOT NULL"), 0);
    app.client("web").refresh(&mine.refresh).expect(200);
}

#[test]
fn an_expired_token_is_nothing_to_revoke() {
    let app = TestApp::spawn();
    let (_, _, tokens) = app.person_with_tokens(SCOPE);
    app.advance(Duration::minutes(11));
    revoke(&app, "web", &tokens.access, None).expect(200);
    assert_eq!(app.events("token.revoked"), 0);
    app.client("web").refresh(&tokens.refresh).expect(200);
}

#[test]
fn callers_say_who_they_are() {
    let app = TestApp::spawn();
    let (_, mut passkey, _) = app.person_with_tokens(SCOPE);
    let apis = app.api_sign_in(&mut passkey, "openid");
    let token = ("token", apis.refresh.as_str());
    for (name, form, authorization, status, error) in [
        ("nobody", vec![token], None, 401, "invalid_client"),
        ("without the secret", vec![token, ("client_id", "api")], None, 401, "invalid_client"),
        ("a wrong secret", vec![token], Some(basic("api", "wrong")), 401, "invalid_client"),
        ("an unknown client", vec![token, ("client_id", "nobody")], None, 401, "invalid_client"),
        ("no token", vec![], Some(basic("api", API_SECRET)), 400, "invalid_request"),
        ("two tokens", vec![token, token], Some(basic("api", API_SECRET)), 400, "invalid_request"),
    ] {
        let mut request = app.request("POST", "/oauth/revoke").form(&form);
        if let Some(value) = &authorization {
            request = request.header("Authorization", value);
        }
        let reply = request.send();
        assert_eq!((reply.status, reply.json()["error"].as_str()), (status, Some(error)), "{name}");
        assert_eq!(reply.header("www-authenticate").is_some(), status == 401, "{name}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE revoked_at IS NOT NULL"), 0);
    let request = app.request("POST", "/oauth/revoke").form(&[token]);
    request.header("Authorization", &basic("api", API_SECRET)).send().expect(200);
    assert_eq!(app.events("token.revoked"), 1);
}

#[test]
fn of_many_at_once_one_is_written_down() {
    let app = TestApp::spawn();
    let (_, _, tokens) = app.person_with_tokens(SCOPE);
    for reply in
        at_once(32, |number| revoke(&app, "web", if number % 2 == 0 { &tokens.refresh } else { &tokens.access }, None))
    {
        reply.expect(200);
    }
    assert!(!lives(&app, &tokens));
    // One for the family, and one more if the access token's session was reached first.
    assert!((1..=2).contains(&app.events("token.revoked")));
}

/// In whichever order they arrive, nothing survives.
#[test]
fn a_revocation_among_refreshes_ends_whatever_they_gave() {
    let app = TestApp::spawn();
    for round in 0..5 {
        let (_, _, tokens) = app.person_with_tokens(SCOPE);
        let given = at_once(32, |number| {
            if number == 16 {
                revoke(&app, "web", &tokens.refresh, None).expect(200);
                return None;
            }
            let reply = app.client("web").refresh(&tokens.refresh);
            assert!([200, 400].contains(&reply.status), "{}", reply.body);
            (reply.status == 200).then(|| Tokens::of(&reply.json()))
        });
        for given in given.into_iter().flatten() {
            assert!(!lives(&app, &given), "round {round}");
            app.client("web").refresh(&given.refresh).expect_oauth(400, "invalid_grant");
        }
        assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE revoked_at IS NULL"), 0, "round {round}");
    }
    assert_eq!((app.events("token.revoked"), app.events("token.refresh_replayed")), (5, 0));
}

/// Check 89: 200 would tell the client that the token is dead.
#[test]
fn a_storage_fault_is_503_and_never_revoked() {
    let app = TestApp::with(&Options { settings: PRODUCT_LIMITS, ..Options::default() });
    let (_, _, tokens) = app.person_with_tokens(SCOPE);
    let mut holder = PgConnection::establish(app.database_url()).unwrap();
    for (name, table, token) in
        [("refresh token", "refresh_tokens", &tokens.refresh), ("access token", "sessions", &tokens.access)]
    {
        holder.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).unwrap();
        // Often enough to use every connection of the pool.
        for _ in 0..4 {
            let began = Instant::now();
            let reply = revoke(&app, "web", token, None).expect_oauth(503, "temporarily_unavailable");
            assert!(began.elapsed().as_secs() < 5, "{name}: no caller waits for ever");
            assert!(reply.header("retry-after").is_some(), "{name}");
            assert!(!reply.body.contains("lock") && !reply.body.contains(table), "{name}: {}", reply.body);
        }
        holder.batch_execute("ROLLBACK").unwrap();
        assert!(lives(&app, &tokens), "{name}: nothing happened");
    }
    assert_eq!(app.events("token.revoked"), 0);
    revoke(&app, "web", &tokens.refresh, None).expect(200);
    assert!(!lives(&app, &tokens), "the next try works");
}

/// A connection that ran migrations or key rotation returns to the pool with the pool's timeouts.
#[test]
fn the_start_up_lock_leaves_a_connections_limits_as_they_were() {
    use passmint::storage::{StorageError, migrations};
    let app = TestApp::with(&Options { settings: PRODUCT_LIMITS, ..Options::default() });
    let limits = || {
        let sql = "SELECT count(*) AS n FROM pg_settings WHERE (name, setting) IN \
                   (('lock_timeout', '500'), ('statement_timeout', '2000'))";
        app.count(sql)
    };
    // The pool hands out the connection that was returned last.
    assert_eq!(limits(), 2, "after the start");
    app.db.blocking(|conn| migrations::locked(conn, |_| Ok(()))).unwrap();
    assert_eq!(limits(), 2, "after success");
    let failed = app.db.blocking(|conn| migrations::locked::<()>(conn, |_| Err(StorageError::Stopping)));
    assert!(failed.is_err());
    assert_eq!(limits(), 2, "after failure");
}
