//! Broken files, interrupted runs, and two runs at once.

use std::io::Write as _;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{import_with_refusals, lines, person};
use crate::cli::{Operator, eventually};
use crate::support::TestApp;

#[test]
fn broken_lines_are_named_and_the_rest_goes_on() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let good = |id: &str| person(id, &app.passkey()).to_string();
    let mut half = person("half", &app.passkey());
    half["passkeys"][0]["publicKey"] = json!("AAAA");
    let mut second = person("second", &app.passkey());
    second["passkeys"].as_array_mut().unwrap().push(half["passkeys"][0].clone());
    let file = [
        format!("\u{feff}{}\r", good("one")),
        "{\"id\":\"two\"".to_owned(),
        format!("{{\"id\":\"three\",\"x\":\"{}\"}}", "x".repeat(10 << 20)),
        half.to_string(),
        String::new(),
        second.to_string(),
        format!("{{\"id\":{}", "[".repeat(100_000)),
        "{\"id\":\"eight\",\"id\":\"eight\"}".to_owned(),
        "{\"id\":\"ni\\u0000ne\"}".to_owned(),
        "\u{0}".to_owned(),
        good("last"),
    ]
    .join("\n");
    operator.write("people", &file);
    let (told, words) = import_with_refusals(&operator, &["people", "--format", "simplewebauthn", "--source", "old"]);
    assert_eq!((&told["read"], &told["created"], &told["refused"]), (&json!(10), &json!(2), &json!(8)));
    for expected in [
        "line 2: is not JSON",
        "line 3: is longer than 1048576 bytes",
        "line 4: passkeys[0].publicKey is no COSE key",
        "line 6: passkeys[1].publicKey is no COSE key",
        "line 7: is not JSON",
        "line 8: has a member twice in one object",
        "line 9: id holds a NUL character",
        "line 10: is not JSON",
        "8 lines were refused; everything else was done",
    ] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 2, "nothing half-written");
    assert_eq!(app.count("SELECT count(*) AS n FROM credentials"), 2);
}

/// The database and Rust differ in how they lowercase letters.
#[test]
fn addresses_beyond_ascii_are_one_as_the_database_sees_them() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let line = |id: &str, address: &str| json!({"id": id, "claims": {"email": address, "email_verified": true}});
    let spelled = ["\u{130}nan@a.example", "stra\u{1e9e}e@a.example", "\u{3a3}\u{3a3}@a.example", "\u{c4}@a.example"];
    let first: Vec<Value> = spelled.iter().map(|address| line(address, address)).collect();
    operator.write("first", &lines(&first));
    assert_eq!(operator.json(&["import", "first", "--source", "old"])["created"], 4);
    // The same with another spelling of the domain, and twice among themselves.
    let again: Vec<Value> = ["one", "two"]
        .iter()
        .flat_map(|id| spelled.map(|address| line(&format!("{id} {address}"), &address.replace("a.ex", "A.ex"))))
        .collect();
    operator.write("again", &lines(&again));
    let dry = operator.json(&["import", "again", "--source", "old", "--dry-run"]);
    let told = operator.json(&["import", "again", "--source", "old"]);
    for told in [dry, told] {
        assert_eq!((&told["created"], &told["notes"]["e-mail conflicts"]), (&json!(8), &json!(8)), "{told}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM users WHERE email_verified_at IS NOT NULL"), 4);
}

/// A conflict that no look-up finds is refused by the database in the end: only that line.
#[test]
fn a_line_that_clashes_at_every_try_is_refused_alone() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    app.sql("CREATE UNIQUE INDEX one_of_a_name ON users (name)");
    let mut all = people(20);
    for (at, name) in [(3, "Ada"), (11, "Bob"), (17, "Ada")] {
        all[at]["claims"]["name"] = json!(name);
    }
    operator.write("people", &lines(&all));
    let (told, words) = import_with_refusals(&operator, &["people", "--source", "old"]);
    assert_eq!((&told["read"], &told["created"], &told["refused"]), (&json!(20), &json!(19), &json!(1)));
    assert!(words.contains("line 18: clashes with what is stored already (one_of_a_name)"), "{words}");
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 19);
}

/// A full disk is not the fault of the imported file.
#[test]
fn a_report_that_cannot_be_written_is_named() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    operator.write("people", &lines(&[json!({"no": "id"})]));
    let full = operator.with_files_full(&["import", "people", "--source", "old", "--report", "report"]);
    assert_eq!(full.code, Some(1), "{}", full.err);
    let told = full.err.lines().last().unwrap();
    assert!(told.contains("stopped after 1 people: the report cannot be written: "), "{told}");
    assert!(told.ends_with("run it again with another report file to go on"), "{told}");
}

/// A value that the database does not accept is refused with its line, too, and stops nothing.
#[test]
fn a_line_that_the_database_does_not_take_is_refused_alone() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    app.sql("ALTER TABLE users ADD CONSTRAINT no_eve CHECK (name <> 'Eve')");
    let mut all = people(20);
    all[3]["claims"]["name"] = json!("Eve");
    all[11]["claims"]["website"] = json!("https://a.example/\0");
    operator.write("people", &lines(&all));
    let (told, words) = import_with_refusals(&operator, &["people", "--source", "old"]);
    assert_eq!((&told["read"], &told["created"], &told["refused"]), (&json!(20), &json!(18), &json!(2)));
    for expected in
        ["line 4: holds a value that the database does not take", "line 12: claims.website must be an https address"]
    {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 18);
}

/// The file of another system, without `--format`.
#[test]
fn a_form_that_was_only_assumed_is_named() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    operator.write("users.json", "{\n  \"users\": [\n    {\"localId\": \"1\"}\n  ]\n}\n");
    let (_, words) = import_with_refusals(&operator, &["users.json", "--source", "firebase"]);
    assert!(words.contains("was read as NDJSON") && words.contains("name another form with --format"), "{words}");
    let (_, words) = import_with_refusals(&operator, &["users.json", "--source", "firebase", "--format", "ndjson"]);
    assert!(words.contains("lines were refused") && !words.contains("--format"), "{words}");
}

fn people(count: usize) -> Vec<Value> {
    (0..count)
        .map(|number| {
            json!({"id": format!("p{number}"), "claims": {"email": format!("p{number}@a.example"), "email_verified": true}})
        })
        .collect()
}

#[test]
fn two_imports_of_one_file_at_once_give_each_person_once() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    operator.write("people", &lines(&people(1500)));
    let arguments = ["import", "people", "--source", "old", "--chunk", "50", "--json"];
    let sums: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| operator.run(&arguments))).collect();
        let told = runs.into_iter().map(|run| {
            let ran = run.join().unwrap();
            assert_eq!(ran.code, Some(0), "{}", ran.err);
            let told: Value = serde_json::from_str(&ran.out).unwrap();
            (told["created"].as_u64().unwrap(), told["unchanged"].as_u64().unwrap())
        });
        told.collect()
    });
    assert_eq!(sums.iter().map(|(created, _)| created).sum::<u64>(), 1500, "{sums:?}");
    assert!(sums.iter().all(|(created, unchanged)| created + unchanged == 1500), "{sums:?}");
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 1500);
    assert_eq!(app.count("SELECT count(*) AS n FROM external_ids"), 1500);
}

/// Killed while it waits for more input: whole chunks are stored, and the next run does the rest.
#[test]
fn a_run_that_is_stopped_is_gone_on_with() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let all = people(250);
    let mut child = operator
        .command(&["import", "-", "--source", "old", "--chunk", "100"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines(&all).as_bytes()).unwrap();
    input.flush().unwrap();
    eventually("two chunks are written", || app.count("SELECT count(*) AS n FROM users") >= 200);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    assert_eq!(app.count("SELECT count(*) AS n FROM users"), 200, "whole chunks, and nothing of the next");
    drop(input);
    operator.write("people", &lines(&all));
    let told = operator.json(&["import", "people", "--source", "old"]);
    assert_eq!((&told["created"], &told["unchanged"]), (&json!(50), &json!(200)));
}

/// Somebody who appears in a file twice is one person, whatever the lines say.
#[test]
fn twice_in_one_file() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let file =
        [json!({"id": "1"}), json!({"id": "2"}), json!({"id": "1"}), json!({"id": "1", "claims": {"name": "Other"}})];
    operator.write("people", &lines(&file));
    let dry = operator.json(&["import", "people", "--source", "old", "--dry-run"]);
    assert_eq!((&dry["created"], &dry["duplicates"]), (&json!(2), &json!(2)));
    let run = |more: &[&str]| {
        let told = operator.json(&[&["import", "people", "--source", "old"], more].concat());
        ["created", "updated", "unchanged", "differ", "duplicates"].map(|sum| told[sum].as_u64().unwrap())
    };
    assert_eq!(run(&[]), [2, 0, 0, 0, 2], "the first line counts");
    for more in [&[][..], &["--update"], &["--update"], &["--update", "--chunk", "1"], &["--update", "--dry-run"]] {
        assert_eq!(run(more), [0, 0, 2, 0, 2], "{more:?}: the same file again changes nothing");
    }
    assert_eq!(app.count("SELECT count(*) AS n FROM users WHERE name IS NOT NULL"), 0);

    // A refused line does not prevent a better one.
    let file = [json!({"id": "3", "password": "x"}), json!({"id": "3"}), json!({"id": "4", "userHandle": "eA"})];
    operator
        .write("people", &lines(&[&file[..], &[json!({"id": "5", "userHandle": "eA"}), json!({"id": "5"})]].concat()));
    let (told, _) = import_with_refusals(&operator, &["people", "--source", "old"]);
    assert_eq!((&told["created"], &told["refused"], &told["duplicates"]), (&json!(3), &json!(2), &json!(0)), "{told}");
}

/// What Windows writes by default, and what was compressed for transport.
#[test]
fn a_file_in_another_encoding_is_refused_in_one_line() {
    let app = TestApp::spawn();
    let operator = Operator::of(&app);
    let text = "{\"id\":\"1\"}\r\n{\"id\":\"2\"}\r\n";
    let utf16: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for (file, expected) in
        [(&utf16[..], "it is UTF-16: write it anew as UTF-8"), (b"\x1f\x8b\x08\n\n\n", "it is compressed")]
    {
        std::fs::write(operator.path("people"), file).unwrap();
        let refusal = operator.refused(&["import", "people", "--source", "old"]);
        assert!(refusal.contains(expected) && !refusal.contains("--format"), "{refusal}");
    }
    std::fs::write(operator.path("people"), b"{\"id\":\"1\"}\n{\"id\":\"M\xfcller\"}\n").unwrap();
    let (told, words) = import_with_refusals(&operator, &["people", "--source", "old"]);
    assert_eq!((&told["created"], &told["refused"]), (&json!(1), &json!(1)), "{told}");
    assert!(words.contains("line 2: is not UTF-8"), "{words}");
}
