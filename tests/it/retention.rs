//! What is deleted by itself, and what stays.

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
    // The one of exactly thirty days ago was written a moment before.
    assert_eq!(swept(&app, Some(Duration::days(30))), 71);
    assert_eq!(app.count(EVENTS), all - 71);
    assert_eq!(app.events("user.created"), 1);
    assert_eq!(swept(&app, Some(Duration::days(30))), 0);
}

/// A long trail is cut bit by bit, so that no sweep takes longer than the database allows for a statement.
#[test]
fn a_long_trail_is_cut_bit_by_bit() {
    let app = TestApp::spawn();
    app.sql(
        "INSERT INTO audit_events (at, kind, detail)
         SELECT now() - interval '50 days', 'ceremony.refused', '{}' FROM generate_series(1, 15000)",
    );
    let sweeps = [(); 3].map(|()| swept(&app, Some(Duration::days(30))));
    assert_eq!(sweeps, [10_000, 5000, 0]);
}
