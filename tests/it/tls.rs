//! TLS in the server itself: a certificate that may change while it runs.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use crate::cli::Operator;
use crate::support::tls::{Authority, Folder, ask, connect};
use crate::support::tokens::within;
use crate::support::{Options, TestApp};

fn spawn(cert: &str, key: &str) -> (TestApp, u16) {
    spawn_with(cert, key, &[])
}

fn spawn_with(cert: &str, key: &str, more: &[(&str, &str)]) -> (TestApp, u16) {
    let settings = [&[("tls.cert_file", cert), ("tls.key_file", key)], more].concat();
    let app =
        TestApp::with(&Options { public_url: Some("https://localhost"), settings: &settings, ..Options::default() });
    let port = app.url.rsplit(':').next().unwrap().parse().unwrap();
    (app, port)
}

#[test]
fn a_new_certificate_is_used_without_a_restart() {
    let (old, new, folder) = (Authority::new(), Authority::new(), Folder::new());
    let put = |(cert, key): (String, String)| (folder.put("cert.pem", &cert), folder.put("key.pem", &key));
    let (cert, key) = put(old.issue("localhost"));
    let (_app, port) = spawn(&cert, &key);
    let answer = ask(port, "localhost", "/v1/session", &old).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.to_lowercase().contains("strict-transport-security"),
        "{answer}"
    );
    assert!(ask(port, "localhost", "/", &new).is_err(), "another authority");
    assert!(ask(port, "other.example", "/", &old).is_err(), "another name");

    // Half of a new pair, or a file without a certificate, changes nothing.
    let (renewed, renewed_key) = new.issue("localhost");
    folder.put("cert.pem", &renewed);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(ask(port, "localhost", "/", &old).is_ok(), "the key does not fit yet");
    folder.put("key.pem", &renewed_key);
    within(Duration::from_secs(10), "the new pair", || ask(port, "localhost", "/", &new).is_ok());
    folder.put("cert.pem", "none");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(ask(port, "localhost", "/", &new).is_ok(), "the last good pair goes on");
}

#[test]
fn who_speaks_no_tls_gets_nothing() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let (cert, key) = authority.issue("localhost");
    let (_app, port) = spawn(&folder.put("cert.pem", &cert), &folder.put("key.pem", &key));
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"), "{answer:?}");
    assert!(ask(port, "localhost", "/", &authority).is_ok(), "and the next caller is served");
}

/// A connection counts towards its caller's limit with TLS as without.
#[test]
fn so_many_connections_of_one_caller() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let (cert, key) = authority.issue("localhost");
    let (cert, key) = (folder.put("cert.pem", &cert), folder.put("key.pem", &key));
    let (_app, port) = spawn_with(&cert, &key, &[("limits.connections_per_caller", "3")]);
    let answered = || {
        let mut stream = connect(port, "localhost", &authority).ok()?;
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
        let mut first = [0; 12];
        stream.read_exact(&mut first).ok()?;
        (first == *b"HTTP/1.1 200").then_some(stream)
    };
    let mut held = Vec::new();
    within(Duration::from_secs(5), "there is room for so many", || {
        held.extend(answered());
        held.len() == 3
    });
    assert!(answered().is_none(), "one too many");
    held.pop();
    within(Duration::from_secs(5), "there is room for another", || answered().is_some());
}

#[test]
fn files_that_are_missing_are_told_with_every_other_mistake() {
    let mut operator = Operator::new();
    operator.set("PASSMINT_LISTEN", "127.0.0.1:0");
    operator.set("PASSMINT_ADMIN_LISTEN", "off");
    let file = "public_url = \"https://id.example.com\"\n[tls]\ncert_file = \"no.crt\"\nkey_file = \"no.key\"\n";
    for (name, more, count) in [("alone", "", 2), ("beside another", "[tokens]\naccess_ttl = \"x\"\n", 3)] {
        operator.write("passmint.toml", &format!("{file}{more}"));
        for command in ["check-config", "serve"] {
            let ran = operator.run(&[command]);
            assert_eq!(ran.code, Some(1), "{name}, {command}: {}", ran.err);
            for said in [
                "tls.cert_file (passmint.toml:3): the file \"no.crt\" cannot be read".to_owned(),
                "tls.key_file (passmint.toml:4): the file \"no.key\" cannot be read".to_owned(),
                format!("{count} mistakes in the configuration"),
            ] {
                assert!(ran.err.contains(&said), "{name}, {command}: {said}: {}", ran.err);
            }
        }
    }
}
