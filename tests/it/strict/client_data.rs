//! Rows about the client data, the same for both ceremonies.

use passmint::ceremony::strict::{Reason, json::Fault};

use super::{Expect, ORIGIN, Row, Site, row};
use crate::authenticator::Authenticator;

/// Changes the text of the client data.
fn text(change: impl Fn(String) -> String + Send + Sync + 'static) -> impl Fn(&mut Authenticator) {
    let change = std::sync::Arc::new(change);
    move |passkey| {
        let change = change.clone();
        passkey.hooks.client_data = Some(Box::new(move |text| change(text).into_bytes()));
    }
}

/// Adds a member at the end.
fn added(member: &'static str) -> impl Fn(&mut Authenticator) {
    text(move |text| format!("{},{member}}}", &text[..text.len() - 1]))
}

/// Changes the value of the challenge.
fn challenge(change: impl Fn(&str) -> String + Send + Sync + 'static) -> impl Fn(&mut Authenticator) {
    text(move |text| {
        let (before, rest) = text.split_once(r#""challenge":""#).unwrap();
        let (value, after) = rest.split_once('"').unwrap();
        format!(r#"{before}"challenge":"{}"{after}"#, change(value))
    })
}

fn origin(origin: &'static str) -> impl Fn(&mut Authenticator) {
    move |passkey| origin.clone_into(&mut passkey.origin)
}

fn rows() -> Vec<Row> {
    let json = |fault| Expect::Reader(Reason::Json { member: "clientDataJSON", fault });
    let base64 = || Expect::Reader(Reason::NotBase64Url("challenge"));
    let not_crossed = |text: String| text.replace(r#","crossOrigin":false"#, "");
    let mut rows = vec![
        row("unchanged", |_| (), Expect::Accepted),
        row("an unknown member", added(r#""other_keys_can_be_added_here":"x""#), Expect::Accepted),
        row("no crossOrigin", text(not_crossed), Expect::Accepted),
        row(
            "N1 challenge with another first bit",
            challenge(|c| format!("{}{}", if c.starts_with('A') { 'B' } else { 'A' }, &c[1..])),
            Expect::Library("MismatchedChallenge"),
        ),
        row("N1 prefix of the challenge", challenge(|c| c[..20].to_owned()), Expect::Library("MismatchedChallenge")),
        row("N1 no challenge", challenge(|_| String::new()), Expect::Reader(Reason::Empty("challenge"))),
        row("N2 padded", challenge(|c| format!("{c}=")), base64()),
        row("N2 standard alphabet", challenge(|c| format!("+{}", &c[1..])), base64()),
        row("N9 N10 crossOrigin", text(|t| t.replace("false", "true")), Expect::Reader(Reason::CrossOrigin)),
        row("N10 topOrigin", added(r#""topOrigin":"https://id.example""#), Expect::Reader(Reason::TopOrigin)),
        row(
            "N10 topOrigin without crossOrigin",
            text(move |text| not_crossed(text).replace('}', r#","topOrigin":"https://evil.example"}"#)),
            Expect::Reader(Reason::TopOrigin),
        ),
        row(
            "N10 topOrigin with crossOrigin",
            text(|text| text.replace("false}", r#"true,"topOrigin":"https://evil.example"}"#)),
            Expect::Reader(Reason::CrossOrigin),
        ),
        row("N11 crossOrigin text", text(|t| t.replace("false", r#""false""#)), Expect::Reader(Reason::CrossOrigin)),
        row("N11 challenge twice", added(r#""challenge":"AQID""#), json(Fault::Duplicate)),
        row("N12 unknown member twice", added(r#""a":1,"a":1"#), json(Fault::Duplicate)),
        row("N12 unknown member twice, inside", added(r#""x":[{"a":1,"a":1}]"#), json(Fault::Duplicate)),
        row("N12 white space after", text(|t| t + " "), Expect::Reader(Reason::ClientDataFraming)),
        row(
            "N12 padding",
            text(|t| t.replace('}', &format!("{}}}", " ".repeat(4096)))),
            Expect::Reader(Reason::TooLarge("clientDataJSON")),
        ),
        row("N13 BOM", text(|t| format!("\u{feff}{t}")), Expect::Reader(Reason::ClientDataFraming)),
        row("N13 garbage after", text(|t| t + "x}"), json(Fault::Syntax)),
        row(
            "N13 nesting 200",
            text(|t| t.replace('}', &format!(r#","x":{}{}}}"#, "[".repeat(200), "]".repeat(200)))),
            json(Fault::Depth),
        ),
        row(
            "N13 invalid UTF-8",
            |passkey| {
                passkey.hooks.client_data =
                    Some(Box::new(|text| [&text.as_bytes()[..text.len() - 1], b",\"x\":\"\xff\"}"].concat()));
            },
            json(Fault::Syntax),
        ),
    ];
    // N7: other origins that a browser could name. N8: other spellings of our own origin, each refused as received.
    let foreign: [(&str, &str, &str); 15] = [
        ("N7 http", "http://id.example", "http://id.example"),
        ("N7 similar name", "https://evil-id.example", "https://evil-id.example"),
        ("N7 suffix", "https://id.example.evil.test", "https://id.example.evil.test"),
        ("N7 sub-domain", "https://a.id.example", "https://a.id.example"),
        ("N7 trailing dot", "https://id.example.", "https://id.example."),
        ("N7 port", "https://id.example:8443", "https://id.example:8443"),
        ("N7 null", "null", "null"),
        ("N8 upper case", "https://ID.example", "https://ID.example"),
        ("N8 default port", "https://id.example:443", "https://id.example:443"),
        ("N8 slash", "https://id.example/", "https://id.example/"),
        ("N8 path", "https://id.example/login", "https://id.example/login"),
        ("N8 user", "https://user@id.example", "https://user@id.example"),
        ("N8 tab", r"https://id.exam\tple", "https://id.exam\tple"),
        ("N8 back-slash", r"https:\\\\id.example", r"https:\\id.example"),
        ("N8 nothing", "", ""),
    ];
    rows.extend(foreign.map(|(name, sent, received)| row(name, origin(sent), Expect::Origin(received))));
    rows
}

#[test]
fn at_registration() {
    let site = Site::new();
    site.check_registrations(&rows());
    site.check_registrations(&[row(
        "N6 type of the other ceremony",
        text(|text| text.replace("webauthn.create", "webauthn.get")),
        Expect::Reader(Reason::ClientDataType),
    )]);
}

#[test]
fn at_sign_in() {
    let site = Site::new();
    site.check_sign_ins(|| Authenticator::new(ORIGIN), &rows());
    site.check_sign_ins(
        || Authenticator::new(ORIGIN),
        &[row(
            "N6 type of the other ceremony",
            text(|text| text.replace("webauthn.get", "webauthn.create")),
            Expect::Reader(Reason::ClientDataType),
        )],
    );
}
