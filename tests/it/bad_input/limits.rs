//! Limits on size, depth, duration and number.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::statuses;
use crate::raw::{answers, connect, exchange, read_to_end};
use crate::routes::policy::assert_policy;
use crate::support::tokens::within;
use crate::support::{Options, Request, TestApp};

/// The size is checked before the content, whatever the route does with it.
#[test]
fn bodies_end_at_32_kib() {
    let app = TestApp::spawn();
    let json = |length: usize| {
        let text = "a".repeat(length - r#"{"x":""}"#.len());
        format!(r#"{{"x":"{text}"}}"#).into_bytes()
    };
    let options = "/v1/passkeys/authentication/options";
    let post = |length: usize| app.request("POST", options).body("application/json", json(length)).send();
    post(32 * 1024).expect_problem(400, "invalid_request");
    post(32 * 1024 + 1).expect_problem(413, "payload_too_large");
    post(2 * 1024 * 1024).expect_problem(413, "payload_too_large");
    let form = format!("grant_type=x&a={}", "a".repeat(32 * 1024));
    let reply = app.request("POST", "/oauth/token").body("application/x-www-form-urlencoded", form.into_bytes()).send();
    reply.expect_oauth(413, "invalid_request");
    // A claimed length is refused at once, and a body without a length is counted.
    let claimed = format!(
        "POST {options} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
    );
    assert_eq!(statuses(&exchange(&app.url, claimed.as_bytes())), [413]);
    let mut chunked = format!("POST {options} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..40 {
        chunked.extend_from_slice(b"400\r\n");
        chunked.extend(vec![b'a'; 1024]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(statuses(&exchange(&app.url, &chunked)), [413]);

    let small = TestApp::with(&Options { settings: &[("limits.body", "1KiB")], ..Options::default() });
    let reply = small
        .request("POST", options)
        .body("application/json", json(1025))
        .send()
        .expect_problem(413, "payload_too_large");
    assert!(reply.json()["detail"].as_str().is_some_and(|words| words.contains("1 KiB")), "{}", reply.body);
    small.request("POST", options).body("application/json", json(1024)).send().expect_problem(400, "invalid_request");
}

/// RFC 6585 §5. Counted as sent: the request line, each field with its colon and line end, and the empty line.
#[test]
fn headers_end_at_16_kib_and_64_fields() {
    let app = TestApp::spawn();
    let request = |bytes: usize, fields: usize| {
        let few = "X-Few: 1\r\n".repeat(fields - 3);
        let start = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{few}X-Long: ");
        let text = "a".repeat(bytes.saturating_sub(start.len() + 4).max(1));
        format!("{start}{text}\r\n\r\n").into_bytes()
    };
    for (name, bytes, status) in [
        ("16 KiB", request(16 * 1024, 3), 200),
        ("a byte more", request(16 * 1024 + 1, 3), 431),
        ("64 KiB", request(64 * 1024, 3), 431),
        ("64 fields", request(0, 64), 200),
        ("65 fields", request(0, 65), 431),
        (
            "a long address",
            format!("GET /livez?{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "a".repeat(17_000))
                .into_bytes(),
            431,
        ),
    ] {
        for url in [&app.url, &app.admin_url] {
            let replies = answers(&exchange(url, &bytes));
            let [reply] = replies.as_slice() else { panic!("{name}: one answer, not {replies:?}") };
            assert_eq!(reply.status, status, "{name}: {}", reply.body);
            if status == 431 {
                assert_eq!(reply.json()["code"], "headers_too_large", "{name}");
                assert_policy(reply, "/livez", None);
            }
        }
    }
}

/// Slow senders hold a connection, not a worker, and only for a short time.
#[test]
fn slow_senders_are_dropped_and_delay_nobody() {
    let settings = [("limits.header_timeout", "1s"), ("limits.body_timeout", "1s"), ("limits.keep_alive", "1s")];
    let app = TestApp::with(&Options { settings: &settings, ..Options::default() });
    let options =
        "POST /v1/passkeys/authentication/options HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let slow: [(&str, String, &str, &[u16]); 7] = [
        ("nothing at all", String::new(), "", &[408]),
        ("half a line", "GET /liv".to_owned(), "", &[408]),
        ("headers, byte by byte", "GET /livez HTTP/1.1\r\nX-Slow: ".to_owned(), "a", &[408]),
        ("no body after all", format!("{options}Content-Length: 2\r\n\r\n"), "", &[400]),
        ("a body, byte by byte", format!("{options}Content-Length: 20000\r\n\r\n"), "a", &[400]),
        ("chunks, one by one", format!("{options}Transfer-Encoding: chunked\r\n\r\n"), "1\r\na\r\n", &[400]),
        ("nothing after an answer", "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "", &[200]),
    ];
    std::thread::scope(|scope| {
        for (name, first, drip, expected) in &slow {
            let url = &app.url;
            scope.spawn(move || {
                let mut stream = connect(url);
                stream.write_all(first.as_bytes()).expect("it is taken");
                let began = Instant::now();
                let mut dripping = stream.try_clone().expect("another handle");
                while !drip.is_empty() && began.elapsed() < Duration::from_secs(4) {
                    if dripping.write_all(drip.as_bytes()).is_err() {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
                let got = statuses(&read_to_end(&mut stream));
                let took = began.elapsed();
                // Closing the connection without a response is as good if no request was made.
                assert!(got == *expected || (got.is_empty() && expected[0] == 408), "{name}: {got:?}");
                assert!(took < Duration::from_secs(6), "{name}: {took:?}");
            });
        }
        let mut waits: Vec<Duration> = (0..20)
            .map(|_| {
                let began = Instant::now();
                app.request("GET", "/livez").send().expect(200);
                std::thread::sleep(Duration::from_millis(100));
                began.elapsed()
            })
            .collect();
        waits.sort();
        // Not the longest one: a busy machine may delay a single request.
        assert!(waits[10] < Duration::from_millis(600), "others wait: {waits:?}");
    });
}

/// A connection with a request sent on it.
fn asking(app: &TestApp) -> TcpStream {
    let mut stream = connect(&app.url);
    // A connection that was closed may fail here already.
    let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream
}

/// Whether the connection is answered and stays open.
fn answered(stream: &mut TcpStream) -> bool {
    let (mut got, mut buffer) = (Vec::<u8>::new(), [0; 1024]);
    while !got.ends_with(b"\r\n\r\nok") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return false,
            Ok(n) => got.extend_from_slice(&buffer[..n]),
        }
    }
    true
}

/// Above the limit, a caller's connection is closed at once, until one of its others ends; a proxy speaks for many
/// callers.
#[test]
fn so_many_connections_of_one_caller() {
    let most = ("limits.connections_per_caller", "4");
    let app = TestApp::with(&Options { settings: &[most], ..Options::default() });
    let began = Instant::now();
    let mut held: Vec<_> = (0..5).map(|_| asking(&app)).collect();
    held.retain_mut(answered);
    // The first connections of the test's own set-up may still count.
    assert!((1..=4).contains(&held.len()), "{} of 5", held.len());
    assert!(began.elapsed() < Duration::from_secs(2), "they hear so at once: {:?}", began.elapsed());
    within(Duration::from_secs(5), "there is room for so many", || {
        let mut next = asking(&app);
        if held.len() < 4 && answered(&mut next) {
            held.push(next);
        }
        held.len() == 4
    });
    assert!(!answered(&mut asking(&app)), "one too many");
    held.pop();
    within(Duration::from_secs(5), "there is room for another", || answered(&mut asking(&app)));

    let settings = [most, ("trusted_proxies", "127.0.0.1")];
    let app = TestApp::with(&Options { settings: &settings, ..Options::default() });
    let mut all: Vec<_> = (0..8).map(|_| asking(&app)).collect();
    assert!(all.iter_mut().all(answered), "a proxy's are not counted");
}

#[test]
fn bodies_nest_so_deep_and_no_deeper() {
    let app = TestApp::spawn();
    for (levels, words) in [(16, "unknown field `a`"), (17, "more than 16 objects"), (5000, "more than 16 objects")] {
        let body = format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels)).into_bytes();
        let request = app.request("POST", "/v1/passkeys/authentication/options").body("application/json", body);
        let reply = request.send().expect_problem(400, "invalid_request");
        assert!(reply.body.contains(words), "{levels}: {}", reply.body);
    }
    // Also where a body is optional.
    let (mut person, _) = app.person();
    let deep = (0..17).fold(json!(1), |inner, _| json!({ "inputs": inner }));
    let reply = person.call("POST", "/v1/bridges/none/token", Some(&deep)).expect_problem(400, "invalid_request");
    assert!(reply.body.contains("more than 16 objects"), "{}", reply.body);
}

/// Above the limit, the next connection waits until another ends; health has a listener of its own.
#[test]
fn so_many_connections_and_no_more() {
    let app = TestApp::with(&Options { settings: &[("limits.connections", "2")], ..Options::default() });
    let (mut first, mut second) = (asking(&app), asking(&app));
    assert!(answered(&mut first) && answered(&mut second));
    let mut third = asking(&app);
    let patience = third.read_timeout().expect("a socket option");
    third.set_read_timeout(Some(Duration::from_millis(300))).expect("a socket option");
    assert!(!answered(&mut third), "it waits");
    Request::new("GET", &app.admin_url, "/livez").send().expect(200);
    drop(first);
    third.set_read_timeout(patience).expect("a socket option");
    assert!(answered(&mut third), "there is room for it");
}
