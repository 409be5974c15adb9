//! Refresh tokens over HTTP (RFC 9700 §4.14.2): one use each, one live leaf, one response however often it is
//! requested.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration as Real;

use chrono::Duration;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use passmint::domain::id::UserId;
use passmint::domain::user::UserStatus;
use passmint::storage::people;
use passmint::tokens::keys::rotation::Trigger;
use passmint::tokens::keys::{Algorithm, Use};
use passmint::tokens::rotate;
use serde_json::json;

use crate::support::tokens::{INACTIVE, Tokens, at_once, claims, header, policy, within};
use crate::support::{API_SECRET, Options, Reply, TestApp};

const SCOPE: &str = "openid passkeys profile";
const LIVE: &str = "SELECT count(*) AS n FROM refresh_tokens WHERE revoked_at IS NULL";

fn shared() -> TestApp {
    TestApp::with(&Options { settings: &[("challenges.store", "database")], ..Options::default() })
}

#[track_caller]
fn tokens(reply: Reply) -> Tokens {
    Tokens::of(&reply.expect(200).json())
}

#[test]
fn each_use_gives_the_next_token_of_the_same_family() {
    let app = TestApp::spawn();
    let (_, _, first) = app.person_with_tokens(SCOPE);
    let reply = app.client("web").refresh(&first.refresh).expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.json()["token_type"], "Bearer");
    assert_eq!(reply.json()["expires_in"], 600);
    let second = Tokens::of(&reply.json());
    let third = tokens(app.client("web").refresh(&second.refresh));

    let all = [&first, &second, &third].map(|tokens| claims(&tokens.refresh));
    let ids: HashSet<_> = all.iter().map(|claims| claims["jti"].to_string()).collect();
    assert_eq!(ids.len(), 3, "each has an id of its own");
    for (name, claims) in ["first", "second", "third"].iter().zip(&all) {
        for same in ["fid", "sid", "sub", "client_id", "scope", "auth_time", "acr", "amr"] {
            assert_eq!(claims[same], all[0][same], "{name}: {same}");
        }
    }
    assert_eq!(header(&third.refresh)["typ"], "rt+jwt");
    assert_eq!(header(&third.refresh)["alg"], "HS256");
    assert_eq!(third.scope, SCOPE);
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE generation = 2"), 1);
    assert!(app.opens(&first.access) && app.opens(&third.access), "an access token outlives the refresh");
}

/// OpenID Connect Core §12.2.
#[test]
fn the_id_token_of_a_refresh_tells_of_the_same_sign_in() {
    let app = TestApp::spawn();
    let (_, _, first) = app.person_with_tokens(SCOPE);
    app.advance(Duration::minutes(3));
    let second = tokens(app.client("web").refresh(&first.refresh));
    let (old, new) = (claims(&first.id), claims(&second.id));
    for same in ["iss", "sub", "aud", "sid", "auth_time", "acr", "amr", "credential_class"] {
        assert_eq!(new[same], old[same], "{same}");
    }
    assert!(new["iat"].as_i64() >= old["iat"].as_i64().map(|iat| iat + 180), "it is a new one");
    assert!(new.get("nonce").is_none(), "the nonce belongs to the sign-in");
    assert_eq!(claims(&second.access)["auth_time"], old["auth_time"], "a refresh is no authentication");
}

#[test]
fn a_retry_inside_the_window_gets_the_same_bytes_from_every_server() {
    let app = shared();
    let twin = app.twin();
    let (_, _, first) = app.person_with_tokens(SCOPE);
    let second = tokens(app.client("web").refresh(&first.refresh));
    // Check 66: the window is only for the client itself; another client's attempt gets nothing and ends nothing.
    app.client("other").refresh(&first.refresh).expect_oauth(400, "invalid_grant");
    assert_eq!(tokens(app.client("web").refresh(&first.refresh)).refresh, second.refresh, "the same server, at once");
    assert_eq!(tokens(twin.client("web").refresh(&first.refresh)).refresh, second.refresh, "another server");
    app.advance(Duration::seconds(7));
    let late = tokens(twin.client("web").refresh(&first.refresh));
    assert_eq!(late.refresh, second.refresh, "another server, late");
    assert_ne!(late.access, second.access, "access tokens are made anew");
    assert!(app.opens(&late.access));
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE generation = 1"), 1);
    assert_eq!(app.events("token.refresh_replayed"), 0);
    tokens(twin.client("web").refresh(&second.refresh));
}

/// Check 65 and 69: the check and the update are one statement, on whichever server.
#[test]
fn of_64_at_once_on_two_servers_all_get_one_successor() {
    let app = shared();
    let twin = app.twin();
    for round in 0..5 {
        let (_, _, first) = app.person_with_tokens(SCOPE);
        let replies = at_once(64, |number| {
            let server = if number % 2 == 0 { &app } else { &twin };
            server.client("web").refresh(&first.refresh)
        });
        let successors: HashSet<_> = replies.into_iter().map(|reply| tokens(reply).refresh).collect();
        assert_eq!(successors.len(), 1, "round {round}: one successor");
        assert_eq!(
            app.count("SELECT count(*) AS n FROM refresh_tokens WHERE generation = 1"),
            round + 1,
            "one leaf each"
        );
        assert_eq!(app.count(LIVE), round + 1);
    }
    assert_eq!(app.events("token.refresh_replayed"), 0, "nobody was taken for a thief");
}

/// Check 67: a request that arrives before the winner has committed waits for the row.
#[test]
fn one_that_comes_before_the_winner_commits_waits_and_is_no_thief() {
    let app = TestApp::spawn();
    let (_, _, first) = app.person_with_tokens(SCOPE);
    let mut holder = PgConnection::establish(app.database_url()).unwrap();
    holder.batch_execute("BEGIN; SELECT 1 FROM refresh_tokens FOR UPDATE").unwrap();
    let waiting = "SELECT count(*) AS n FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let replies = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..2).map(|_| scope.spawn(|| app.client("web").refresh(&first.refresh))).collect();
        within(Real::from_secs(15), "both wait for the row", || app.count(waiting) == 2);
        holder.batch_execute("COMMIT").unwrap();
        callers.into_iter().map(|caller| tokens(caller.join().unwrap())).collect::<Vec<_>>()
    });
    assert_eq!(replies[0].refresh, replies[1].refresh);
    assert_eq!((app.count(LIVE), app.events("token.refresh_replayed")), (1, 0));
}

/// Check 72.
#[test]
fn a_client_that_never_saw_the_answer_asks_again_and_gets_it() {
    let app = TestApp::spawn();
    let (_, _, first) = app.person_with_tokens(SCOPE);
    let body = format!("grant_type=refresh_token&client_id=web&refresh_token={}", first.refresh);
    let mut line = TcpStream::connect(app.url.trim_start_matches("http://")).unwrap();
    write!(
        line,
        "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let rotated = "SELECT count(*) AS n FROM refresh_tokens WHERE generation = 1";
    within(Real::from_secs(15), "the token was rotated", || app.count(rotated) == 1);
    drop(line);
    let second = tokens(app.client("web").refresh(&first.refresh));
    tokens(app.client("web").refresh(&second.refresh));
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE generation = 2"), 1);
}

#[test]
fn reuse_after_the_window_ends_the_family_and_its_access_tokens_at_once() {
    let app = TestApp::spawn();
    let (mut browser, _, first) = app.person_with_tokens(SCOPE);
    let second = tokens(app.client("web").refresh(&first.refresh));
    app.advance(Duration::seconds(11));
    assert!(app.introspection(&second.access).contains(r#""active":true"#));

    let bodies: HashSet<_> = at_once(64, |_| app.client("web").refresh(&first.refresh))
        .into_iter()
        .map(|reply| reply.expect_oauth(400, "invalid_grant").body)
        .collect();
    assert_eq!(bodies.len(), 1, "all are told the same");
    assert_eq!(app.events("token.refresh_replayed"), 1, "of 64 replays one is written down");
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE revoked_reason = 'replayed'"), 1);
    app.client("web").refresh(&second.refresh).expect_oauth(400, "invalid_grant");
    for (name, access) in [("first", &first.access), ("second", &second.access)] {
        assert_eq!(app.introspection(access), INACTIVE, "{name}");
        let list = app.client("web").bearer("GET", "/v1/passkeys", access).send();
        list.expect_problem(401, "invalid_token");
    }
    assert!(browser.get("/v1/session").json()["session"].is_object(), "the person's browser is another session");
}

/// A token two steps back is a replay, however recent: its successor was already used.
#[test]
fn a_token_whose_successor_was_used_is_a_replay_inside_the_window_too() {
    let app = TestApp::spawn();
    let (_, _, first) = app.person_with_tokens(SCOPE);
    let second = tokens(app.client("web").refresh(&first.refresh));
    let third = tokens(app.client("web").refresh(&second.refresh));
    app.client("web").refresh(&first.refresh).expect_oauth(400, "invalid_grant");
    app.client("web").refresh(&third.refresh).expect_oauth(400, "invalid_grant");
    assert_eq!((app.count(LIVE), app.events("token.refresh_replayed")), (0, 1));
}

#[test]
fn a_window_of_zero_forgives_nothing() {
    let app = TestApp::with(&Options { settings: &[("tokens.refresh_retry_window", "0s")], ..Options::default() });
    let (_, _, first) = app.person_with_tokens(SCOPE);
    let second = tokens(app.client("web").refresh(&first.refresh));
    app.client("web").refresh(&first.refresh).expect_oauth(400, "invalid_grant");
    app.client("web").refresh(&second.refresh).expect_oauth(400, "invalid_grant");
    assert_eq!(app.events("token.refresh_replayed"), 1);

    for round in 0..5 {
        let (_, _, first) = app.person_with_tokens(SCOPE);
        let replies = at_once(16, |_| app.client("web").refresh(&first.refresh));
        let given = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!(given, 1, "round {round}: of many at once one is the first");
    }
    assert_eq!(app.count(LIVE), 0);
}

#[test]
fn refusals_by_name() {
    let app = TestApp::spawn();
    let (_, mut passkey, mine) = app.person_with_tokens(SCOPE);
    let apis = app.api_sign_in(&mut passkey, "openid");
    let web = app.client("web");
    let with_scope =
        |scope: &str| web.token(&[("grant_type", "refresh_token"), ("refresh_token", &mine.refresh), ("scope", scope)]);
    let by_api = |token: &str| {
        let request = app.request("POST", "/oauth/token").basic("api", API_SECRET);
        request.form(&[("grant_type", "refresh_token"), ("refresh_token", token)]).send()
    };
    let mut alike = HashSet::new();
    for (name, reply) in [
        ("another public client", app.client("other").refresh(&mine.refresh)),
        ("another confidential client", by_api(&mine.refresh)),
        ("another client's token", web.refresh(&apis.refresh)),
        ("an access token", web.refresh(&mine.access)),
        ("an ID token", web.refresh(&mine.id)),
        ("garbage", web.refresh("garbage")),
        ("a token cut short", web.refresh(&mine.refresh[..mine.refresh.len() - 1])),
        ("a token with white space", web.refresh(&format!("{} ", mine.refresh))),
        ("a token with padding", web.refresh(&format!("{}=", mine.refresh))),
    ] {
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("invalid_grant")), "{name}");
        alike.insert(reply.body);
    }
    assert_eq!(alike.len(), 1, "nobody learns which it was");
    for (name, reply, error) in [
        ("no token", web.token(&[("grant_type", "refresh_token")]), "invalid_request"),
        ("an empty token", web.refresh(""), "invalid_request"),
        ("a wider scope", with_scope("openid email"), "invalid_scope"),
        ("another scope", with_scope("bridge:api"), "invalid_scope"),
        ("a malformed scope", with_scope("openid \"x\""), "invalid_scope"),
    ] {
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(error)), "{name}");
    }
    assert_eq!(app.events("token.refresh_replayed"), 0);
    tokens(web.refresh(&mine.refresh));
    tokens(by_api(&apis.refresh));
}

#[test]
fn a_narrower_scope_is_for_the_access_token_and_not_for_the_family() {
    let app = TestApp::spawn();
    let (_, _, first) = app.person_with_tokens(SCOPE);
    let web = app.client("web");
    let narrow = [("grant_type", "refresh_token"), ("refresh_token", first.refresh.as_str()), ("scope", "profile")];
    let second = tokens(web.token(&narrow));
    assert_eq!((second.scope.as_str(), claims(&second.access)["scope"].as_str()), ("profile", Some("profile")));
    assert_eq!(second.id, "", "no ID token without `openid`");
    web.bearer("GET", "/v1/passkeys", &second.access).send().expect_problem(403, "insufficient_scope");

    let again = tokens(web.refresh(&first.refresh));
    assert_eq!(again.refresh, second.refresh, "a retry with another scope is still a retry");
    let third = tokens(web.refresh(&second.refresh));
    assert_eq!(third.scope, SCOPE, "the family keeps what was granted");
}

#[test]
fn a_family_ends_unused_and_absolutely() {
    let settings = &[("tokens.refresh_idle", "10m"), ("tokens.refresh_absolute", "25m")];
    let app = TestApp::with(&Options { settings, ..Options::default() });
    let (_, _, used) = app.person_with_tokens(SCOPE);
    let (_, _, unused) = app.person_with_tokens(SCOPE);
    let ends = claims(&used.refresh)["iat"].as_i64().unwrap() + 25 * 60;
    let mut latest = used;
    for minutes in [9, 9, 6] {
        app.advance(Duration::minutes(minutes));
        latest = tokens(app.client("web").refresh(&latest.refresh));
        let claims = claims(&latest.refresh);
        let idle_end = claims["iat"].as_i64().unwrap() + 10 * 60;
        assert_eq!(claims["exp"].as_i64(), Some(idle_end.min(ends)), "never past the family's end");
    }
    assert!(app.opens(&latest.access));
    app.client("web").refresh(&unused.refresh).expect_oauth(400, "invalid_grant");
    app.advance(Duration::minutes(1));
    app.client("web").refresh(&latest.refresh).expect_oauth(400, "invalid_grant");
    assert!(!app.opens(&latest.access), "the session ended with its family");
    assert_eq!(app.introspection(&latest.access), INACTIVE);
    assert_eq!(app.events("token.refresh_replayed"), 0, "an old token is not a thief's");
}

#[test]
fn a_revoked_session_refreshes_nothing() {
    let app = TestApp::spawn();
    let (mut browser, _, first) = app.person_with_tokens(SCOPE);
    let second = tokens(app.client("web").refresh(&first.refresh));
    browser.call("DELETE", &format!("/v1/me/sessions/{}", second.session()), None).expect(200);
    for (name, token) in [("the leaf", &second.refresh), ("a retry", &first.refresh)] {
        let reply = app.client("web").refresh(token);
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("invalid_grant")), "{name}");
    }
    assert!(!app.opens(&second.access));
    assert_eq!(app.events("token.refresh_replayed"), 0);
}

#[test]
fn a_disabled_person_refreshes_nothing() {
    let app = TestApp::spawn();
    let (_, _, first) = app.person_with_tokens(SCOPE);
    let (_, _, another) = app.person_with_tokens(SCOPE);
    let second = tokens(app.client("web").refresh(&first.refresh));
    let user: UserId = claims(&first.access)["sub"].as_str().unwrap().parse().unwrap();
    let now = app.clock.now();
    assert!(app.db.blocking(|conn| people::set_status(conn, user, UserStatus::Disabled, now)).unwrap());
    for (name, token) in [("the leaf", &second.refresh), ("a retry", &first.refresh)] {
        let reply = app.client("web").refresh(token);
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("invalid_grant")), "{name}");
    }
    assert_eq!(app.introspection(&second.access), INACTIVE);
    assert!(!app.opens(&second.access));
    tokens(app.client("web").refresh(&another.refresh));
}

/// Check 66.
#[test]
fn a_revocation_inside_the_window_wins() {
    let app = TestApp::spawn();
    for (name, revoke_the_leaf) in [("the leaf is revoked", true), ("its predecessor is revoked", false)] {
        let (_, _, first) = app.person_with_tokens(SCOPE);
        let second = tokens(app.client("web").refresh(&first.refresh));
        app.client("web").revoke(if revoke_the_leaf { &second.refresh } else { &first.refresh }).expect(200);
        for token in [&first.refresh, &second.refresh] {
            let reply = app.client("web").refresh(token);
            assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("invalid_grant")), "{name}");
        }
    }
    assert_eq!((app.events("token.revoked"), app.events("token.refresh_replayed")), (2, 0));
}

/// Check 68: nothing that matters is kept in a server's memory.
#[test]
fn another_server_after_a_restart_knows_retries_and_replays() {
    let app = shared();
    let (_, _, retried) = app.person_with_tokens(SCOPE);
    let (_, _, replayed) = app.person_with_tokens(SCOPE);
    let leaf = tokens(app.client("web").refresh(&replayed.refresh));
    app.advance(Duration::seconds(11));
    let second = tokens(app.client("web").refresh(&retried.refresh));

    let fresh = app.twin();
    drop(app);
    assert_eq!(tokens(fresh.client("web").refresh(&retried.refresh)).refresh, second.refresh);
    fresh.client("web").refresh(&replayed.refresh).expect_oauth(400, "invalid_grant");
    fresh.client("web").refresh(&leaf.refresh).expect_oauth(400, "invalid_grant");
    assert_eq!(fresh.events("token.refresh_replayed"), 1);
    tokens(fresh.client("web").refresh(&second.refresh));
}

/// Check 68: the row says which token was used, not the time.
#[test]
fn a_clock_that_jumps_makes_no_used_token_good() {
    for (name, jump) in [("back", Duration::hours(-1)), ("ahead", Duration::hours(1))] {
        let app = TestApp::spawn();
        let (_, _, first) = app.person_with_tokens(SCOPE);
        // So that it is not from the future after the jump.
        app.advance(Duration::hours(2));
        let second = tokens(app.client("web").refresh(&first.refresh));
        let third = tokens(app.client("web").refresh(&second.refresh));
        app.advance(jump);
        for token in [&first.refresh, &third.refresh] {
            let reply = app.client("web").refresh(token);
            assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("invalid_grant")), "{name}");
        }
        assert_eq!((app.count(LIVE), app.events("token.refresh_replayed")), (0, 1), "{name}");
    }
}

#[test]
fn a_new_key_inside_the_window_changes_no_byte_of_a_retry() {
    let app = TestApp::spawn();
    let (_, _, first) = app.person_with_tokens(SCOPE);
    let (_, mut passkey) = app.person();
    let second = tokens(app.client("web").refresh(&first.refresh));
    let old = header(&second.refresh)["kid"].clone();
    app.change_keys(|conn, master, now| {
        let family = (&Use::Refresh, Algorithm::HS256);
        rotate::rotate(conn, master, family, policy(Duration::days(90)), Trigger::AtOnce, now)
    });
    within(Real::from_secs(15), "the new key signs", || {
        let probe = tokens(app.client("web").sign_in(&mut passkey, "openid"));
        header(&probe.refresh)["kid"] != old
    });
    assert_eq!(tokens(app.client("web").refresh(&first.refresh)).refresh, second.refresh);
    let third = tokens(app.client("web").refresh(&second.refresh));
    assert_ne!(header(&third.refresh)["kid"], old, "the next one is signed by the new key");
    assert_eq!(tokens(app.client("web").refresh(&second.refresh)).refresh, third.refresh);
}

/// A leaf signed by a key that has since been revoked is dead, and so is its family: retrying does not help.
#[test]
fn a_key_revoked_inside_the_window_ends_what_it_signed() {
    let app = TestApp::spawn();
    let (_, _, first) = app.person_with_tokens(SCOPE);
    let old = header(&first.refresh)["kid"].clone();
    let (_, mut passkey) = app.person();
    app.change_keys(|conn, master, now| {
        let family = (&Use::Refresh, Algorithm::HS256);
        rotate::rotate(conn, master, family, policy(Duration::days(90)), Trigger::AtOnce, now)
    });
    within(Real::from_secs(15), "the new key signs", || {
        header(&tokens(app.client("web").sign_in(&mut passkey, "openid")).refresh)["kid"] != old
    });
    let second = tokens(app.client("web").refresh(&first.refresh));
    let kid = header(&second.refresh)["kid"].as_str().unwrap().to_owned();
    assert_ne!(old, kid.as_str());
    app.change_keys(|conn, master, now| rotate::revoke(conn, master, &kid, policy(Duration::days(90)), now));
    within(Real::from_secs(15), "the revocation is heard of", || {
        header(&tokens(app.client("web").sign_in(&mut passkey, "openid")).refresh)["kid"] != kid.as_str()
    });
    for token in [&first.refresh, &second.refresh] {
        app.client("web").refresh(token).expect_oauth(400, "invalid_grant");
    }
    assert_eq!(app.events("token.refresh_replayed"), 0, "nobody stole anything");
    // A row that another server wrote under a key this one does not know yet is not a refusal.
    let (_, _, other) = app.person_with_tokens(SCOPE);
    tokens(app.client("web").refresh(&other.refresh));
    app.sql("UPDATE refresh_tokens SET leaf_key = 'not-heard-of' WHERE revoked_at IS NULL");
    app.client("web").refresh(&other.refresh).expect_oauth(503, "temporarily_unavailable");
}

/// Check 54: what is stored gives nobody access.
#[test]
fn the_database_holds_nothing_of_a_token_but_digests() {
    let app = TestApp::spawn();
    let (browser, _, first) = app.person_with_tokens(SCOPE);
    let second = tokens(app.client("web").refresh(&first.refresh));
    let jti = |token: &str| claims(token)["jti"].as_str().unwrap().to_owned();
    for (name, secret) in [
        ("the session cookie", browser.session().unwrap().to_owned()),
        ("a used refresh token's id", jti(&first.refresh)),
        ("the live refresh token's id", jti(&second.refresh)),
    ] {
        for table in ["refresh_tokens", "sessions", "audit_events", "ceremonies", "users"] {
            assert_eq!(app.rows_with(table, &secret), 0, "{name} in {table}");
        }
    }
}

/// In whatever order uses, retries, replays, revocations and pauses come, each response is the one that a simple model
/// of the rules gives, and what has ended stays ended.
#[test]
fn random_sequences_are_answered_by_the_rules() {
    /// One family as its client knows it.
    struct Line {
        used: Vec<String>,
        leaf: Tokens,
        /// Whether the last used one would still get the leaf again.
        forgiven: bool,
    }
    let app = TestApp::with(&Options { settings: &[("tokens.refresh_retry_window", "60s")], ..Options::default() });
    let (web, other) = (app.client("web"), app.client("other"));
    let begin = || Line { used: Vec::new(), leaf: app.person_with_tokens(SCOPE).2, forgiven: false };
    let refused = |reply: Reply| reply.expect_oauth(400, "invalid_grant");
    let mut lines: [Line; 4] = std::array::from_fn(|_| begin());
    let (mut seed, mut replays) = (0x9e37_79b9_7f4a_7c15_u64, 0);
    let mut roll = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below).unwrap()
    };
    for step in 0..200 {
        if roll(12) == 0 {
            app.advance(Duration::seconds(61));
            for line in &mut lines {
                line.forgiven = false;
            }
        }
        let line = &mut lines[roll(4)];
        let over = match roll(10) {
            0 => {
                web.revoke(&line.leaf.refresh).expect(200);
                true
            }
            1 => {
                refused(other.refresh(&line.leaf.refresh));
                false
            }
            2 if line.used.len() > 1 => {
                refused(web.refresh(&line.used[0]));
                replays += 1;
                true
            }
            3 | 4 if line.forgiven => {
                let again = tokens(web.refresh(line.used.last().unwrap()));
                assert_eq!(again.refresh, line.leaf.refresh, "step {step}");
                false
            }
            3 if !line.used.is_empty() => {
                refused(web.refresh(line.used.last().unwrap()));
                replays += 1;
                true
            }
            _ => {
                let next = tokens(web.refresh(&line.leaf.refresh));
                line.used.push(std::mem::replace(&mut line.leaf, next).refresh);
                line.forgiven = true;
                false
            }
        };
        if over {
            assert!(!app.opens(&line.leaf.access), "step {step}: access tokens end with it");
            refused(web.refresh(&line.leaf.refresh));
            *line = begin();
        }
    }
    assert!(replays >= 10, "{replays} replays: the sequence has some of everything");
    assert_eq!((app.count(LIVE), app.events("token.refresh_replayed")), (4, replays));
}

#[test]
fn a_client_without_the_grant_gets_no_refresh_token_and_may_not_use_one() {
    let config = r#"
[clients.brief]
name = "Brief"
kind = "public"
first_party = true
origins = ["ORIGIN"]
grants = ["passkey"]
scopes = ["openid"]
"#;
    let app = TestApp::with(&Options { config, ..Options::default() });
    let (_, mut passkey, mine) = app.person_with_tokens("openid");
    let answer = app.client("brief").sign_in(&mut passkey, "openid").expect(200).json();
    assert_eq!(answer.get("refreshToken"), None);
    assert_eq!(app.count("SELECT count(*) AS n FROM refresh_tokens WHERE client_id = 'brief'"), 0);
    app.client("brief").refresh(&mine.refresh).expect_oauth(400, "unauthorized_client");
    assert_eq!(json!(app.opens(&Tokens::of(&answer).access)), json!(true));
}
