//! The outbox itself: what its queries read, and who may record the outcome of an attempt.

use chrono::Duration;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use passmint::storage::outbox::{self, Claimed, Filter, Wanted};
use passmint::storage::{StorageError, sweep};

use crate::support::TestApp;

#[derive(QueryableByName)]
struct Scans {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Adds messages in this state, in a lane that no server delivers.
fn fill(app: &TestApp, rows: u32, state: &str) {
    app.sql(&format!(
        "INSERT INTO outbox (kind, lane, payload, next_try_at, created_at, delivered_at, given_up_at)
         SELECT 'test', 'test/x', '{{}}', now(), now(), {state} FROM generate_series(1, {rows})"
    ));
}

/// Delivered messages stay for a day, and are by far the most.
#[test]
fn what_was_delivered_is_not_read_to_find_what_was_not() {
    let app = TestApp::spawn();
    fill(&app, 50_000, "now(), NULL");
    fill(&app, 100, "NULL, NULL");
    fill(&app, 100, "NULL, now()");
    app.sql("ANALYZE outbox");
    let now = app.clock.now();
    let scans = app.db.blocking_tx(|conn| {
        assert_eq!(outbox::count(conn)?, (100, 100));
        for given_up in [None, Some(true), Some(false)] {
            assert_eq!(outbox::undelivered(conn, &Filter { kind: None, given_up }, None, 10)?.len(), 10);
        }
        let wanted = Wanted { kind: "other", lanes: None, most: 10, now, leased_until: now };
        assert_eq!(outbox::claim(conn, &wanted)?.len(), 0);
        assert_eq!(outbox::claim_any_of(conn, "test/x", 10, now, now)?.len(), 10);
        sweep::sweep(conn, now, None)?;
        let scans = "SELECT seq_scan AS n FROM pg_stat_xact_user_tables WHERE relname = 'outbox'";
        Ok(diesel::sql_query(scans).get_result::<Scans>(conn)?.n)
    });
    assert_eq!(scans.expect("the queries run"), 0, "reads of the whole table");
}

/// An operator's retry restarts the count of attempts, so the count alone does not identify who holds the message.
#[test]
fn what_was_in_flight_when_a_message_was_tried_again_says_nothing_of_it() {
    let app = TestApp::spawn();
    fill(&app, 1, "NULL, NULL");
    let begun = app.clock.now();
    let at = |seconds| begun + Duration::seconds(seconds);
    let claim = |conn: &mut PgConnection, seconds| -> Result<Claimed, StorageError> {
        let mut claimed = outbox::claim_any_of(conn, "test/x", 1, at(seconds), at(seconds + 30))?;
        Ok(claimed.pop().expect("it is due"))
    };
    let (early, late) = app
        .db
        .blocking(|conn| {
            let held = claim(conn, 0)?;
            assert_eq!(outbox::retry(conn, Some(held.id), at(1))?, 1);
            let early = outbox::failed(conn, &held, "late word", None, at(2))?;
            let anew = claim(conn, 2)?;
            assert_eq!((held.id, held.attempt), (anew.id, anew.attempt));
            let late = outbox::failed(conn, &held, "late word", None, at(3))?;
            assert_eq!(outbox::count(conn)?, (1, 0));
            assert!(outbox::failed(conn, &anew, "its own", None, at(4))?);
            assert_eq!(outbox::count(conn)?, (0, 1));
            Ok((early, late))
        })
        .expect("the queries run");
    assert!(!early && !late, "before and after it is claimed again");
}

/// The next message of a lane waits for the one before it, however long that takes; other lanes do not.
#[test]
fn of_one_lane_only_the_oldest_that_waits_is_claimed() {
    let app = TestApp::spawn();
    app.sql(
        "INSERT INTO outbox (kind, lane, payload, next_try_at, created_at)
         SELECT 'test', lane, '{}', now(), now() FROM unnest(ARRAY['one', 'one', 'two']) AS lane",
    );
    let begun = app.clock.now();
    let at = |seconds| begun + Duration::seconds(seconds);
    let claim = |conn: &mut PgConnection, seconds| {
        let (now, leased_until) = (at(seconds), at(seconds + 30));
        outbox::claim(conn, &Wanted { kind: "test", lanes: None, most: 10, now, leased_until })
    };
    let claimed = app.db.blocking(|conn| {
        let both = claim(conn, 1)?;
        let while_held = claim(conn, 2)?;
        assert!(outbox::failed(conn, &both[0], "status 500", Some(at(60)), at(3))?);
        outbox::delivered(conn, both[1].id, at(3))?;
        let while_it_waits = claim(conn, 4)?;
        let again = claim(conn, 61)?;
        outbox::delivered(conn, both[0].id, at(62))?;
        let next = claim(conn, 63)?;
        let ids = |claimed: Vec<Claimed>| claimed.iter().map(|message| message.id).collect::<Vec<_>>();
        Ok([both, while_held, while_it_waits, again, next].map(ids))
    });
    let claimed = claimed.expect("the queries run");
    let first = claimed[0][0];
    assert_eq!(claimed, [vec![first, first + 2], vec![], vec![], vec![first], vec![first + 1]]);
}

/// Somebody ended every session, or an app was away for a day. The cost of a claim does not grow with the backlog.
#[test]
fn however_much_waits_a_claim_is_quick() {
    let app = TestApp::spawn();
    // Four lanes of many messages, which are due first, and after them as many lanes of one.
    app.sql(
        "INSERT INTO outbox (kind, lane, payload, next_try_at, created_at)
         SELECT 'test', 'long/' || n / 10000, '{}', now(), now() FROM generate_series(0, 39999) AS n;
         INSERT INTO outbox (kind, lane, payload, next_try_at, created_at)
         SELECT 'test', 'short/' || n, '{}', now() + interval '1 second', now() FROM generate_series(1, 40000) AS n",
    );
    let begun = app.clock.now();
    let at = |seconds| begun + Duration::seconds(seconds);
    for (state, prepare) in [("of no known size", "SELECT 1"), ("of known size", "ANALYZE outbox")] {
        app.sql("UPDATE outbox SET next_try_at = now(), attempts = 0");
        app.sql(prepare);
        let claims = app.db.blocking_tx(|conn| {
            diesel::sql_query("SET LOCAL statement_timeout = '1s'").execute(conn)?;
            let claim = |conn: &mut PgConnection, lanes, seconds| {
                let (now, leased_until) = (at(seconds), at(seconds + 100));
                let wanted = Wanted { kind: "test", lanes, most: 32, now, leased_until };
                Ok::<_, StorageError>(outbox::claim(conn, &wanted)?.len())
            };
            let of_one = claim(conn, Some("long/2"), 60)?;
            Ok([of_one, claim(conn, Some("long/2"), 60)?, claim(conn, None, 60)?, claim(conn, None, 60)?])
        });
        assert_eq!(claims.expect("none takes long"), [1, 0, 32, 32], "{state}");
    }
    let of_long = "SELECT count(*) AS n FROM outbox WHERE lane LIKE 'long/%' AND attempts > 0";
    assert_eq!(app.count(of_long), 4, "of each long lane only the oldest");
}
