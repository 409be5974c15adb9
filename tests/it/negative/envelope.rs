//! N11, N12, N41, N43: the request around the credential.
//!
//! A request that is not read (too large, of another type, not the expected JSON) names no ceremony: it uses none up
//! and leaves no event. Once the ceremony's id is known, any fault in the credential uses it up.

use serde_json::{Value, json};

use super::{Begun, Traces, Which, hostile};
use crate::support::{Reply, TestApp, verify};

const JSON: &str = "application/json";

/// A body that is meaningless to the server, and how it is refused.
struct Unread {
    name: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
    refusal: (u16, &'static str),
}

fn unread(begun: &Value, honest: &Value) -> Vec<Unread> {
    let genuine = verify(begun, honest).to_string();
    let id = begun["ceremonyId"].as_str().unwrap();
    let edited = |from: &str, to: &str| genuine.replacen(from, to, 1).into_bytes();
    let members: Vec<String> = (0..10_000).map(|n| format!("\"m{n}\":0")).collect();
    let (too_large, media, invalid) =
        ((413, "payload_too_large"), (415, "unsupported_media_type"), (400, "invalid_request"));
    let entry = |name, content_type, body, refusal| Unread { name, content_type, body, refusal };
    vec![
        entry("N41 32 KiB and a byte", JSON, padded(&genuine, 32 * 1024 + 1), too_large),
        entry("N41 10,000 members", JSON, format!("{{{}}}", members.join(",")).into_bytes(), too_large),
        entry("N43 no content type", "", genuine.clone().into_bytes(), media),
        entry("N43 text/plain", "text/plain", genuine.clone().into_bytes(), media),
        entry("N43 a form", "application/x-www-form-urlencoded", genuine.clone().into_bytes(), media),
        entry("N43 multipart", "multipart/form-data; boundary=x", genuine.clone().into_bytes(), media),
        entry("N43 almost JSON", "application/json5", genuine.clone().into_bytes(), media),
        entry("nothing", JSON, Vec::new(), invalid),
        entry("half", JSON, genuine.as_bytes()[..genuine.len() / 2].to_vec(), invalid),
        entry("two documents", JSON, [genuine.as_bytes(), genuine.as_bytes()].concat(), invalid),
        entry("a list", JSON, format!("[{genuine}]").into_bytes(), invalid),
        entry("N11 ceremony twice", JSON, edited("{", &format!(r#"{{"ceremonyId":"{id}","#)), invalid),
        entry("N11 credential twice", JSON, edited("{", r#"{"credential":{},"#), invalid),
        entry("an unknown member", JSON, edited("{", r#"{"userId":"me","#), invalid),
        entry("no credential", JSON, json!({ "ceremonyId": id }).to_string().into_bytes(), invalid),
        entry("no ceremony", JSON, json!({ "credential": honest }).to_string().into_bytes(), invalid),
    ]
}

fn padded(text: &str, length: usize) -> Vec<u8> {
    let mut body = text.as_bytes().to_vec();
    body.resize(length, b' ');
    body
}

fn post(begun: &Begun, content_type: &str, body: Vec<u8>) -> Reply {
    let (path, which) = (begun.which.path(), begun.which);
    let request =
        if which == Which::Tokens { begun.client.request("POST", path) } else { begun.browser.request("POST", path) };
    request.body(content_type, body).send()
}

#[test]
fn requests_that_are_not_read_burn_nothing() {
    let app = TestApp::spawn();
    for which in Which::ALL {
        let mut begun = Begun::new(&app, which, app.passkey());
        let honest = begun.answer();
        let before = Traces::of(&app);
        for Unread { name, content_type, body, refusal } in unread(&begun.first, &honest) {
            let reply = post(&begun, content_type, body).expect_problem(refusal.0, refusal.1);
            assert!(reply.cookies().is_empty(), "{name} ({which:?})");
        }
        assert_eq!(Traces::of(&app), before, "{which:?}");
        let largest = padded(&verify(&begun.first, &honest).to_string(), 32 * 1024);
        post(&begun, "application/json; charset=utf-8", largest).expect(200);
    }
}

/// N41: bodies are never decompressed, so a small one cannot become a large one.
#[test]
fn compressed_bodies_are_not_read() {
    let app = TestApp::spawn();
    let mut begun = Begun::new(&app, Which::SignIn, app.passkey());
    let honest = begun.answer();
    let body = gzip(verify(&begun.first, &honest).to_string().as_bytes());
    let request = begun.browser.request("POST", Which::SignIn.path()).header("Content-Encoding", "gzip");
    request.body(JSON, body).send().expect_problem(400, "invalid_request");
    begun.send(&honest).expect(200);
}

/// RFC 1952 with one stored block: valid, though not smaller.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1];
    let trailer = [(!crc).to_le_bytes(), u32::from(length).to_le_bytes()].concat();
    [&header[..], &length.to_le_bytes(), &(!length).to_le_bytes(), bytes, &trailer].concat()
}

/// JSON that serde_json would not write, or something that is not a credential: hostile, and the ceremony is used up.
#[test]
fn credentials_as_text() {
    let app = TestApp::spawn();
    let nested = |depth: usize| format!(r#""x":{}{},"#, "[".repeat(depth), "]".repeat(depth));
    let members = (0..2_000).map(|n| format!("\"m{n}\":0,")).collect::<Vec<_>>().concat();
    let table: [(&str, String, &str); 6] = [
        ("N11 id twice", r#""id":"x","#.to_owned(), "credential: a member is repeated"),
        ("N12 unknown member twice", r#""x":1,"x":1,"#.to_owned(), "credential: a member is repeated"),
        ("N12 twice inside", r#""x":{"a":1,"a":1},"#.to_owned(), "credential: a member is repeated"),
        ("N13 nesting 200", nested(200), "credential: nested too deeply"),
        ("N40 nesting 10,000", nested(10_000), "credential: nested too deeply"),
        ("N41 2,000 members", members, "credential: too many members"),
    ];
    for which in Which::ALL {
        for (name, members, reason) in &table {
            let mut begun = Begun::new(&app, which, app.passkey());
            let honest = begun.answer();
            let text = format!("{{{members}{}", &honest.to_string()[1..]);
            refuse_text(&app, &format!("{name} ({which:?})"), &mut begun, &text, reason, &honest);
        }
        for (name, text) in [("null", "null"), ("a list", "[]"), ("a text", r#""x""#), ("empty", "{}")] {
            let mut begun = Begun::new(&app, which, app.passkey());
            let honest = begun.answer();
            let reason = if text == "{}" { "type is missing" } else { "credential: not an object" };
            refuse_text(&app, &format!("{name} ({which:?})"), &mut begun, text, reason, &honest);
        }
    }
}

fn refuse_text(app: &TestApp, name: &str, begun: &mut Begun, credential: &str, reason: &str, honest: &Value) {
    let id = begun.first["ceremonyId"].as_str().unwrap();
    let body = format!(r#"{{"ceremonyId":"{id}","credential":{credential}}}"#);
    let before = Traces::of(app);
    let reply = begun.send_text(body);
    hostile(app, name, &reply, reason);
    super::burnt(app, name, begun, honest, &before);
}

/// An invalid ceremony id gets the same response as an ended ceremony, and leaves nothing behind.
#[test]
fn ids_of_no_ceremony() {
    let app = TestApp::spawn();
    let (mut browser, mut passkey) = app.person();
    let session = browser.session().unwrap().to_owned();
    let begun = browser.begin_sign_in(&json!({}));
    let credential = passkey.get(&begun["publicKey"]);
    let mut other = begun["ceremonyId"].as_str().unwrap().to_owned();
    let flipped = if other.ends_with('A') { 'E' } else { 'A' };
    other.pop();
    other.push(flipped);
    let before = Traces::of(&app);
    for id in [other.as_str(), session.as_str(), "", "x", "../../etc/passwd", "pmc_", &"A".repeat(8_000)] {
        for path in [Which::SignIn.path(), Which::SignUp.path()] {
            let body = json!({ "ceremonyId": id, "credential": credential });
            browser.post(path, &body).expect_problem(410, "ceremony_expired_or_used");
        }
    }
    assert_eq!(Traces::of(&app), before);
    browser.finish_sign_in(&begun, &credential).expect(200);
}
