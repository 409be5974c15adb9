//! What happens to output that cannot be written.

use std::fs::{File, OpenOptions};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{Operator, eventually, within};
use crate::support::{Request, TestApp, free_port};

/// A file that cannot be written to.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("/dev/full")
}

#[test]
fn an_answer_that_cannot_be_written_fails_the_command() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let secret = ["clients", "create", "reporter", "--kind", "confidential", "--may-introspect", "https://api.example"];
    for arguments in [&secret[..], &["docs", "openapi"], &["check-config"], &["users", "list", "--json"]] {
        let ran = operator.command(arguments).stdout(full()).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{arguments:?}: {said}");
        let told = said.lines().last().unwrap();
        assert!(told.starts_with("passmint: the answer could not be written: "), "{arguments:?}: {said}");
        assert!(told.ends_with("a secret that it was to show must be made anew"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_reader_who_went_away_is_no_fault() {
    let operator = Operator::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = operator.command(&["docs", "openapi"]).stdout(writer).output().unwrap();
    assert_eq!((ran.status.code(), String::from_utf8(ran.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn messages_that_nobody_can_read_change_nothing() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    operator.write("people", &format!("{}\n", json!({"no": "id"})));
    for (arguments, code) in [
        (&["check-config"][..], 0),
        (&["export", "export.ndjson"], 0),
        (&["import", "people", "--source", "old"], 1),
        (&["keys", "revoke", "nothing"], 1),
    ] {
        let status = operator.command(arguments).stdout(Stdio::null()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_server_whose_log_cannot_be_written_serves_and_stops() {
    let mut operator = Operator::new();
    let address = format!("127.0.0.1:{}", free_port());
    operator.set("PASSMINT_LISTEN", &address);
    operator.set("PASSMINT_ADMIN_LISTEN", "off");
    let mut server = operator.command(&["serve"]).stdout(Stdio::null()).stderr(full()).spawn().unwrap();
    eventually("it listens", || TcpStream::connect(&address).is_ok());
    // A real response, not only an accepted connection: before it serves, it handles no signals.
    Request::new("GET", &format!("http://{address}"), "/livez").send().expect(200);
    assert!(server.try_wait().unwrap().is_none(), "it goes on");
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    let mut ended = None;
    within(Duration::from_secs(20), "it stops", &mut || {
        ended = server.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
}
