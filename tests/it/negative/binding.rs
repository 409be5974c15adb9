//! N3–N5, N43: whether a second call belongs to that first call.

use chrono::Duration;
use serde_json::json;

use super::{Begun, HOSTILE, Traces, Which, burnt, hostile};
use crate::support::{Browser, Options, TestApp, verify};

/// N3: one answer per ceremony, whether the second is the same or another, in both stores. (64 at once: `races`.)
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

/// N4: the server's clock decides the deadline, whether or not the store has dropped the entry.
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

/// N5: an answer to the challenge of another ceremony, begun by the same browser or by a stranger. The other ceremony
/// stays usable.
#[test]
fn the_challenge_of_another_ceremony() {
    let app = TestApp::spawn();
    for which in Which::ALL {
        let mut begun = Begun::new(&app, which, app.passkey());
        let honest = begun.answer();
        let own = begun.first.clone();
        let others = match which {
            Which::SignUp => vec![
                begun.browser.begin_registration(&json!({ "purpose": "sign-up" })),
                app.browser().begin_registration(&json!({ "purpose": "sign-up" })),
            ],
            Which::Add => vec![begun.browser.begin_registration(&json!({ "purpose": "add" }))],
            Which::SignIn => vec![begun.browser.begin_sign_in(&json!({})), app.browser().begin_sign_in(&json!({}))],
            Which::StepUp => vec![begun.browser.begin_sign_in(&json!({ "purpose": "step-up" }))],
            Which::Tokens => vec![begun.client.begin("openid"), app.client("other").begin("openid")],
        };
        // The answer is for the other ceremony's challenge, but sent with our id; each attempt is on a ceremony of its
        // own.
        for (index, other) in others.iter().enumerate() {
            let name = format!("N5 {which:?} {index}");
            begun.first.clone_from(other);
            let answer = begun.answer();
            begun.first.clone_from(&own);
            let before = Traces::of(&app);
            if index == 0 {
                hostile(&app, &name, &begun.send(&answer), "another challenge");
                burnt(&app, &name, &mut begun, &honest, &before);
            } else {
                begun.send(&answer).expect_problem(410, "ceremony_expired_or_used");
            }
        }
        begun.first.clone_from(&others[0]);
        let answer = begun.answer();
        begun.send(&answer).expect(200);
    }
}

/// N5: the ceremonies of our own pages belong to the browser that began them.
#[test]
fn another_browser() {
    let app = TestApp::spawn();
    for which in [Which::SignUp, Which::Add, Which::SignIn, Which::StepUp] {
        refuse_from(&app, which, "no pre-session", "another browser", |browser| {
            browser.cookies.retain(|(name, _)| !name.ends_with("-pre"));
        });
        refuse_from(&app, which, "a pre-session of nobody", "another browser", |browser| {
            flip_pre_session(&mut browser.cookies);
        });
        refuse_from(&app, which, "no cookie at all", "belongs to another", |browser| browser.cookies.clear());
        // A browser with its own pre-session, and even with the victim's session.
        let mut stranger = app.browser();
        stranger.begin_sign_in(&json!({}));
        let own = stranger.cookies[0].clone();
        refuse_from(&app, which, "another pre-session", "another browser", |browser| {
            browser.cookies.retain(|(name, _)| !name.ends_with("-pre"));
            browser.cookies.push(own.clone());
        });
    }
}

fn flip_pre_session(cookies: &mut [(String, String)]) {
    let (_, value) = cookies.iter_mut().find(|(name, _)| name.ends_with("-pre")).unwrap();
    let flipped = if value.ends_with('A') { 'E' } else { 'A' };
    value.pop();
    value.push(flipped);
}

/// Begins honestly, changes the browser, and expects a refusal; afterwards the restored browser is too late.
fn refuse_from(app: &TestApp, which: Which, name: &str, reason: &str, change: impl Fn(&mut Browser)) {
    let name = format!("{name} ({which:?})");
    let mut begun = Begun::new(app, which, app.passkey());
    let honest = begun.answer();
    let own = begun.browser.clone();
    change(&mut begun.browser);
    let before = Traces::of(app);
    hostile(app, &name, &begun.send(&honest), reason);
    begun.browser = own;
    burnt(app, &name, &mut begun, &honest, &before);
}

/// N5: what somebody signed in began can only be completed in their session, not in another of theirs or somebody
/// else's.
#[test]
fn another_session() {
    let app = TestApp::spawn();
    for which in [Which::Add, Which::StepUp] {
        let (bob, _) = app.person();
        let bobs = bob.session().unwrap().to_owned();
        for (name, session) in [("somebody else's", Some(bobs)), ("none", None)] {
            refuse_from(&app, which, name, "another session", |browser| {
                let place = browser.cookies.iter().position(|(name, _)| !name.ends_with("-pre")).unwrap();
                match &session {
                    Some(value) => browser.cookies[place].1.clone_from(value),
                    None => drop(browser.cookies.remove(place)),
                }
            });
        }
    }
    let (mut browser, mut passkey) = app.person();
    let begun = browser.begin_sign_in(&json!({ "purpose": "step-up" }));
    browser.sign_in(&mut passkey).expect(200);
    let answer = passkey.get(&begun["publicKey"]);
    hostile(&app, "another of one's own", &browser.finish_sign_in(&begun, &answer), "another session");
}

/// 32: the second call of a session's ceremony must come from our own pages.
#[test]
fn another_site() {
    let app = TestApp::spawn();
    for which in [Which::SignUp, Which::Add, Which::SignIn, Which::StepUp] {
        for (name, origin, site) in [
            ("another site", "https://evil.example", "cross-site"),
            ("another site, old browser", "https://evil.example", ""),
            ("a sandboxed frame", "null", "cross-site"),
            ("a sibling", "http://a.localhost", "same-site"),
            ("no origin, cross-site", "", "cross-site"),
            ("no origin, same-site", "", "same-site"),
            ("a link", "", "none"),
        ] {
            let name = format!("32 {name} ({which:?})");
            let mut begun = Begun::new(&app, which, app.passkey());
            let honest = begun.answer();
            let mut request = begun.browser.request("POST", which.path()).without("Origin").without("Sec-Fetch-Site");
            for (header, value) in [("Origin", origin), ("Sec-Fetch-Site", site)].iter().filter(|(_, v)| !v.is_empty())
            {
                request = request.header(header, value);
            }
            let before = Traces::of(&app);
            let reply = request.json(&verify(&begun.first, &honest)).send();
            let told = super::last_reason(&app);
            assert_eq!(reply.body, HOSTILE, "{name}: {told}");
            assert!(told.contains("another s"), "{name}: {told}");
            burnt(&app, &name, &mut begun, &honest, &before);
        }
    }
}

/// N5, N43: a registration answered as a sign-in and the reverse, each with an answer that is genuine for its kind.
#[test]
fn the_other_kind_of_ceremony() {
    let app = TestApp::spawn();
    for which in Which::ALL {
        let mut begun = Begun::new(&app, which, app.passkey());
        let honest = begun.answer();
        let (path, answer) = if which.is_registration() {
            // A registered passkey signs the registration's challenge.
            let (_, mut known) = app.person();
            let options = json!({ "challenge": begun.first["publicKey"]["challenge"], "rpId": "localhost" });
            (Which::SignIn.path(), known.get(&options))
        } else {
            let user = json!({ "id": "AAAAAAAAAAAAAAAAAAAAAA" });
            let challenge = &begun.first["publicKey"]["challenge"];
            let options = json!({ "challenge": challenge, "rp": { "id": "localhost" }, "user": user });
            (Which::SignUp.path(), app.passkey().create(&options))
        };
        let name = format!("{which:?} at the other path");
        let before = Traces::of(&app);
        let body = verify(&begun.first, &answer);
        let request = match which {
            Which::Tokens => begun.client.request("POST", path),
            _ => begun.browser.request("POST", path),
        };
        hostile(&app, &name, &request.json(&body).send(), "another kind");
        burnt(&app, &name, &mut begun, &honest, &before);

        // N43: an answer of one kind in a ceremony of the other, at that ceremony's own path.
        let mut begun = Begun::new(&app, which, app.passkey());
        let honest = begun.answer();
        let before = Traces::of(&app);
        hostile(&app, &name, &begun.send(&answer), "belongs to the other ceremony");
        burnt(&app, &name, &mut begun, &honest, &before);
    }
}
