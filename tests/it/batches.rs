//! Batched queries: nobody is lost, nobody is delayed by another, and it is less work.

use std::sync::mpsc;
use std::time::Duration as Real;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use passmint::domain::audit::{Event, EventKind, Provenance};
use passmint::storage::StorageError;

use crate::support::TestApp;
use crate::support::tokens::{at_once, within};

/// How many connections wait for a lock.
pub const LOCKED: &str =
    "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// An event with this subject.
fn event(app: &TestApp, subject: String) -> Event {
    Event { subject: Some(subject), ..Event::new(EventKind::SignedOut, app.clock.now(), &Provenance::default()) }
}

fn write(app: &TestApp, subject: String) -> Result<Option<()>, StorageError> {
    let event = event(app, subject);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(app.db.ask(event))
}

#[test]
fn what_comes_while_the_database_is_busy_is_asked_together_and_each_once() {
    let app = TestApp::spawn();
    let mut holder = PgConnection::establish(app.database_url()).unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE audit_events IN EXCLUSIVE MODE").unwrap();
    let (arrived, all_there) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            at_once(64, |number| {
                arrived.send(()).unwrap();
                assert_eq!(write(&app, format!("event {number}")).unwrap(), Some(()));
            });
        });
        all_there.iter().take(64).for_each(drop);
        within(Real::from_secs(5), "the first batch waits for the table", || app.count(LOCKED) >= 1);
        holder.batch_execute("COMMIT").unwrap();
    });
    let written = "SELECT count(DISTINCT subject) AS n FROM audit_events WHERE subject LIKE 'event %'";
    assert_eq!(app.count(written), 64, "each");
    let rows = "SELECT count(*) AS n FROM audit_events WHERE subject LIKE 'event %'";
    assert_eq!(app.count(rows), 64, "once");
    let statements = "SELECT count(DISTINCT xmin::text) AS n FROM audit_events WHERE subject LIKE 'event %'";
    assert!(app.count(statements) < 32, "{} statements for 64 events", app.count(statements));
}

#[test]
fn what_is_ready_on_one_thread_is_asked_together() {
    let app = TestApp::spawn();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut asked = tokio::task::JoinSet::new();
        for number in 0..20 {
            let (db, event) = (app.db.clone(), event(&app, format!("event {number}")));
            asked.spawn(async move { db.ask(event).await });
        }
        while let Some(answer) = asked.join_next().await {
            assert_eq!(answer.unwrap().unwrap(), Some(()));
        }
    });
    let statements = "SELECT count(DISTINCT xmin::text) AS n FROM audit_events WHERE subject LIKE 'event %'";
    assert_eq!(app.count(statements), 1, "one statement for 20 questions");
}

/// A text that PostgreSQL cannot hold fails the batch that it is in.
#[test]
fn one_that_cannot_be_written_takes_nobody_with_it() {
    let app = TestApp::spawn();
    let results = at_once(32, |number| {
        write(&app, if number == 7 { "broken \0 event".to_owned() } else { format!("event {number}") })
    });
    for (number, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), number != 7, "event {number}: {result:?}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM audit_events WHERE subject LIKE 'event %'"), 31);
}

#[test]
fn who_waits_for_a_row_waits_alone() {
    let app = TestApp::spawn();
    let (_, _, first) = app.person_with_tokens("openid");
    let locked = app.count("SELECT 1::bigint AS n FROM refresh_tokens");
    assert_eq!(locked, 1);
    let mut holder = PgConnection::establish(app.database_url()).unwrap();
    holder.batch_execute("BEGIN; SELECT 1 FROM refresh_tokens FOR UPDATE").unwrap();
    let (_, _, other) = app.person_with_tokens("openid");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| app.client("web").refresh(&first.refresh).status);
        within(Real::from_secs(5), "the first waits for its row", || app.count(LOCKED) == 1);
        assert_eq!(app.client("web").refresh(&other.refresh).status, 200);
        assert_eq!(app.count(LOCKED), 1, "and waits still");
        holder.batch_execute("COMMIT").unwrap();
        assert_eq!(waiting.join().unwrap(), 200);
    });
}
