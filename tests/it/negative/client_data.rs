//! N1, N2, N6–N13: what the browser says about the ceremony, in all five ceremonies.

use serde_json::json;

use super::Expect::{Accepted, Hostile, Named};
use super::changes::{added, challenge, origin, text};
use super::{Begun, Row, Which, check_all, row};
use crate::support::{Options, TestApp};

const WRONG_ORIGIN: super::Expect = Named(403, "wrong_origin");

fn app() -> TestApp {
    TestApp::with(&Options { public_url: Some("https://id.example"), ..Options::default() })
}

fn flipped(challenge: &str) -> String {
    format!("{}{}", if challenge.starts_with('A') { 'B' } else { 'A' }, &challenge[1..])
}

fn rows() -> Vec<Row> {
    let not_crossed = |text: String| text.replace(r#","crossOrigin":false"#, "");
    let repeated = Hostile("clientDataJSON: a member is repeated");
    let base64 = Hostile("challenge is not canonical base64url");
    vec![
        row("unchanged", |_| (), Accepted),
        row("an unknown member", added(r#""other_keys_can_be_added_here":"x""#), Accepted),
        row("no crossOrigin", text(not_crossed), Accepted),
        row("N1 a bit of the challenge", challenge(flipped), Hostile("another challenge")),
        row("N1 a prefix of the challenge", challenge(|c| c[..20].to_owned()), Hostile("another challenge")),
        row("N1 no challenge", challenge(|_| String::new()), Hostile("challenge is empty")),
        row("N2 padded", challenge(|c| format!("{c}=")), base64),
        row("N2 standard alphabet", challenge(|c| format!("+{}", &c[1..])), base64),
        row("N9 N10 crossOrigin", text(|t| t.replace("false", "true")), Hostile("across origins")),
        row("N10 topOrigin", added(r#""topOrigin":"https://id.example""#), Hostile("top origin")),
        row(
            "N10 topOrigin without crossOrigin",
            text(move |text| not_crossed(text).replace('}', r#","topOrigin":"https://evil.example"}"#)),
            Hostile("top origin"),
        ),
        row(
            "N10 topOrigin with crossOrigin",
            text(|text| text.replace("false}", r#"true,"topOrigin":"https://evil.example"}"#)),
            Hostile("across origins"),
        ),
        row("N11 crossOrigin text", text(|t| t.replace("false", r#""false""#)), Hostile("across origins")),
        row("N11 challenge twice", added(r#""challenge":"AQID""#), repeated),
        row("N12 unknown member twice", added(r#""a":1,"a":1"#), repeated),
        row("N12 white space after", text(|t| t + " "), Hostile("bytes around its object")),
        row(
            "N12 padding",
            text(|t| t.replace('}', &format!("{}}}", " ".repeat(4096)))),
            Hostile("clientDataJSON is larger"),
        ),
        row("N13 BOM", text(|t| format!("\u{feff}{t}")), Hostile("bytes around its object")),
        row("N13 garbage after", text(|t| t + "x}"), Hostile("clientDataJSON: not JSON")),
        row(
            "N13 nesting 200",
            text(|t| t.replace('}', &format!(r#","x":{}{}}}"#, "[".repeat(200), "]".repeat(200)))),
            Hostile("nested too deeply"),
        ),
        row(
            "N13 invalid UTF-8",
            |passkey| {
                passkey.hooks.client_data =
                    Some(Box::new(|text| [&text.as_bytes()[..text.len() - 1], b",\"x\":\"\xff\"}"].concat()));
            },
            Hostile("clientDataJSON: not JSON"),
        ),
    ]
}

/// N7: other origins that a browser could name. N8: other spellings of our own origin.
fn origins() -> Vec<Row> {
    vec![
        row("N7 http", origin("http://id.example"), WRONG_ORIGIN),
        row("N7 similar name", origin("https://evil-id.example"), WRONG_ORIGIN),
        row("N7 suffix", origin("https://id.example.evil.test"), WRONG_ORIGIN),
        row("N7 sub-domain", origin("https://a.id.example"), WRONG_ORIGIN),
        row("N7 trailing dot", origin("https://id.example."), WRONG_ORIGIN),
        row("N7 port", origin("https://id.example:8443"), WRONG_ORIGIN),
        row("N7 null", origin("null"), WRONG_ORIGIN),
        row("N8 upper case", origin("https://ID.example"), WRONG_ORIGIN),
        row("N8 default port", origin("https://id.example:443"), WRONG_ORIGIN),
        row("N8 slash", origin("https://id.example/"), WRONG_ORIGIN),
        row("N8 path", origin("https://id.example/login"), WRONG_ORIGIN),
        row("N8 user", origin("https://user@id.example"), WRONG_ORIGIN),
        row("N8 tab", origin(r"https://id.exam\tple"), WRONG_ORIGIN),
        row("N8 back-slash", origin(r"https:\\\\id.example"), WRONG_ORIGIN),
        row("N8 nothing", origin(""), WRONG_ORIGIN),
    ]
}

#[test]
fn registrations() {
    let app = app();
    check_all(&app, &Which::REGISTRATIONS, &|| app.passkey(), &rows());
    let swapped = text(|text| text.replace("webauthn.create", "webauthn.get"));
    check_all(&app, &Which::REGISTRATIONS, &|| app.passkey(), &[row("N6", swapped, Hostile("another type"))]);
}

#[test]
fn sign_ins() {
    let app = app();
    check_all(&app, &Which::SIGN_INS, &|| app.passkey(), &rows());
    let swapped = text(|text| text.replace("webauthn.get", "webauthn.create"));
    check_all(&app, &Which::SIGN_INS, &|| app.passkey(), &[row("N6", swapped, Hostile("another type"))]);
}

#[test]
fn wrong_origins() {
    let app = app();
    check_all(&app, &Which::ALL, &|| app.passkey(), &origins());
}

/// A wrong origin is the one hostile answer with its own response, which says what was received and what is allowed, so
/// that a wrong setting can be found.
#[test]
fn a_wrong_origin_names_the_right_ones() {
    let app = app();
    for which in Which::ALL {
        let mut begun = Begun::new(&app, which, app.passkey());
        begun.passkey.origin = r"https://id.exam\tple<script>".to_owned();
        let answer = begun.answer();
        let told = begun.send(&answer).expect_problem(403, "wrong_origin").json();
        assert_eq!(told["received"], "https://id.exam\tple<script>", "{which:?}");
        assert_eq!(told["allowed"], json!(["https://id.example"]), "{which:?}");
        assert!(told.get("signalUnknown").is_none());
    }
}
