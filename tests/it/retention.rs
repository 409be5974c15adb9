//! What is deleted automatically, and what stays.

use chrono::Duration;
use passmint::config::Config;
use passmint::storage::sweep;

use crate::support::TestApp;

const EVENTS: &str = "SELECT count(*) AS n FROM audit_events";

/// Deletes as the server does every ten minutes.
fn swept(app: &TestApp, keep: Option<Duration>) -> usize {
    let now = app.clock.now();
    app.db.blocking(|conn| sweep::sweep(conn, now, keep)).unwrap()
}

#[test]
fn audit_events_are_kept_as_long_as_configured() {
    let keep = |setting: &[(&str, &str)]| Config::from_settings(setting).unwrap().audit.keep;
    assert_eq!(keep(&[]), Some(Duration::days(400)));
    assert_eq!(keep(&[("audit.keep", "30d")]), Some(Duration::days(30)));
    assert_eq!(keep(&[("audit.keep", "off")]), None);
    for wrong in ["0s", "23h", "5000d", "never"] {
        assert!(Config::from_settings(&[("audit.keep", wrong)]).is_err(), "{wrong}");
    }

    let app = TestApp::spawn();
    app.person();
    app.sql(
        "INSERT INTO audit_events (at, kind, detail)
         SELECT now() - make_interval(days => day), 'ceremony.refused', '{}' FROM generate_series(1, 100) AS day",
    );
    let all = app.count(EVENTS);
    assert_eq!((swept(&app, None), app.count(EVENTS)), (0, all), "off keeps everything");
    assert_eq!(swept(&app, Some(Duration::days(400))), 0, "nothing is that old");
    // The event from exactly thirty days ago was written a moment earlier.
    assert_eq!(swept(&app, Some(Duration::days(30))), 71);
    assert_eq!(app.count(EVENTS), all - 71);
    assert_eq!(app.events("user.created"), 1);
    assert_eq!(swept(&app, Some(Duration::days(30))), 0);
}

/// A long trail is deleted in portions, so that no statement exceeds its timeout, and completely, because more events
/// may arrive between two sweeps than any one statement should delete.
#[test]
fn a_long_trail_is_cut_bit_by_bit() {
    let app = TestApp::spawn();
    app.sql(
        "INSERT INTO audit_events (at, kind, detail)
         SELECT now() - interval '50 days', 'ceremony.refused', '{}' FROM generate_series(1, 15000);
         INSERT INTO used_jti (digest, expires_at)
         SELECT sha256(n::text::bytea), now() - interval '1 day' FROM generate_series(1, 2500) AS n;
         CREATE TABLE portions (table_name text, n bigint);
         CREATE FUNCTION note_portion() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO portions SELECT TG_TABLE_NAME, count(*) FROM gone;
             RETURN NULL;
         END $$;
         CREATE TRIGGER portion AFTER DELETE ON audit_events REFERENCING OLD TABLE AS gone
             FOR EACH STATEMENT EXECUTE FUNCTION note_portion();
         CREATE TRIGGER portion AFTER DELETE ON used_jti REFERENCING OLD TABLE AS gone
             FOR EACH STATEMENT EXECUTE FUNCTION note_portion()",
    );
    assert_eq!([(); 2].map(|()| swept(&app, Some(Duration::days(30)))), [17_500, 0]);
    assert_eq!(app.count("SELECT max(n) AS n FROM portions"), 1000, "no more at once");
    assert_eq!(app.count("SELECT count(*) AS n FROM portions WHERE n > 0"), 15 + 3);
}

/// Whatever keeps one table from being swept (a lock, a damaged page) would otherwise let all others grow too.
#[test]
fn a_table_that_cannot_be_swept_keeps_no_other_from_it() {
    let app = TestApp::spawn();
    app.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
         CREATE TRIGGER refuse BEFORE DELETE ON used_jti FOR EACH ROW EXECUTE FUNCTION refuse();
         INSERT INTO used_jti (digest, expires_at) VALUES (sha256('1'), now() - interval '1 day');
         INSERT INTO audit_events (at, kind, detail)
         SELECT now() - interval '50 days', 'ceremony.refused', '{}' FROM generate_series(1, 10)",
    );
    let (now, old) = (app.clock.now(), "SELECT count(*) AS n FROM audit_events WHERE at < now() - interval '30 days'");
    let swept = app.db.blocking(|conn| sweep::sweep(conn, now, Some(Duration::days(30))));
    assert!(swept.is_err_and(|fault| fault.to_string().contains("not now")), "it is told");
    assert_eq!(app.count(old), 0, "what comes after it is swept");
    assert_eq!(app.count("SELECT count(*) AS n FROM used_jti"), 1);
}
