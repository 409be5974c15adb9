//! The program itself: how it refuses to start, how it stops, dies and recovers, and what it logs.

mod told;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use passmint::tokens::seal::MasterKey;
use serde_json::Value;
use tempfile::TempDir;

use crate::authenticator::Authenticator;
use crate::support::program::{Program, refusal, serve, serve_on};
use crate::support::{Database, Request, free_port, master_key_file};

/// A directory that PostgreSQL's own user may enter.
fn directory() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    mode(directory.path(), 0o755);
    directory
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).expect("its permissions change");
}

#[test]
fn every_mistake_of_the_configuration_is_told_at_once() {
    let directory = directory();
    let text = "public_url = \"http://id.example.com\"\nlistn = \"0.0.0.0:80\"\n[limits]\nstarts_burst = \"many\"\n\
                [clients.web]\nkind = \"public\"\ngrants = [\"teleport\"]\n";
    fs::write(directory.path().join("passmint.toml"), text).unwrap();
    for command in ["serve", "check-config"] {
        let said = refusal(reading(command, directory.path(), &[("tokens.access_ttl", "soon")]));
        for part in [
            "public_url (passmint.toml:1)",
            "listn (passmint.toml:2)",
            "limits.starts_burst (passmint.toml:4)",
            "clients.web.grants",
            "tokens.access_ttl (command line)",
        ] {
            assert!(said.contains(part), "{command}: {part} in\n{said}");
        }
        assert!(said.lines().count() >= 5, "{said}");
        assert!(said.lines().all(|line| line.starts_with("passmint: ")), "each line is ours:\n{said}");
    }
    assert!(!directory.path().join("data").exists(), "nothing was begun");
}

/// A command that reads the configuration.
fn reading(command: &str, directory: &Path, settings: &[(&str, &str)]) -> Command {
    if command == "serve" {
        return serve(directory, settings);
    }
    let mut program = Command::new(env!("CARGO_BIN_EXE_passmint"));
    program.current_dir(directory).arg(command).stderr(Stdio::piped()).stdout(Stdio::null());
    for (key, value) in settings {
        program.arg("--set").arg(format!("{key}={value}"));
    }
    program
}

const OF_ROOMS: &str = r#"[bridges.shared]
preset = "jwt"
audience = "https://shared.example"
algorithm = "HS256"
secret_file = "bridge.secret"
[bridges.shared.claims]
size = "{{ user.shoe_size }}"

[webhooks.crm]
url = "https://crm.example/"
secret_file = "webhook.secret"
events = ["*"]

[hooks.risk]
when = "before_sign_in"
url = "https://risk.example/"
secret_file = "hook.secret"

[trusted_issuers.partner]
issuer = "https://partner.example"
jwks_file = "keys.json"
"#;

/// The same for mistakes that only the rooms find: unreadable files, a template that no sign-in could fill. They are
/// reported together with the mistakes that loading finds.
#[test]
fn every_mistake_that_the_rooms_find_is_told_at_once() {
    let directory = directory();
    fs::write(directory.path().join("passmint.toml"), OF_ROOMS).unwrap();
    for (command, lifetime, mistakes) in
        [("serve", "5m", 5), ("check-config", "5m", 5), ("serve", "soon", 6), ("check-config", "soon", 6)]
    {
        let settings = [("admin_listen", "off"), ("tokens.access_ttl", lifetime)];
        let mut program = reading(command, directory.path(), &settings);
        program.args(["--public-url", &format!("http://localhost:{}", free_port())]);
        let said = refusal(program);
        let lines: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("passmint: ")).collect();
        for (key, what, cure) in [
            (
                "bridges.shared.secret_file (passmint.toml:5)",
                "the file \"bridge.secret\" cannot be read",
                "may read it",
            ),
            ("bridges.shared.claims.size (passmint.toml:7)", "no fact is named `user.shoe_size`", "custom-token.md"),
            ("webhooks.crm.secret_file (passmint.toml:11)", "the file \"webhook.secret\"", "may read it"),
            ("hooks.risk.secret_file (passmint.toml:17)", "the file \"hook.secret\"", "may read it"),
            ("trusted_issuers.partner.jwks_file (passmint.toml:21)", "the file \"keys.json\"", "may read it"),
        ] {
            let told = |line: &&&str| line.starts_with(key) && line.contains(what) && line.contains(cure);
            assert_eq!(lines.iter().filter(told).count(), 1, "{command}: {key} in\n{said}");
        }
        assert_eq!(lines.len(), mistakes + 1, "{command}: {said}");
        let count = format!("{mistakes} mistakes in the configuration: nothing was started");
        assert_eq!(lines.last(), Some(&count.as_str()), "{command}");
    }
    assert!(!directory.path().join("data").exists() && !directory.path().join("keys").exists(), "nothing was begun");
}

#[test]
fn a_taken_port_is_told_before_anything_slow() {
    let directory = directory();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for (key, other) in [("listen", "admin_listen"), ("admin_listen", "listen")] {
        let free = format!("127.0.0.1:{}", free_port());
        let said = refusal(serve(directory.path(), &[(key, &address.to_string()), (other, &free)]));
        assert!(said.contains(&format!("cannot listen on {address}: another program listens there")), "{said}");
        assert!(said.contains(&format!("`{key}`")), "names the setting: {said}");
    }
    assert!(!directory.path().join("data").exists(), "no database was made for nothing");
    assert!(!directory.path().join("keys").exists(), "no key was made for nothing");
}

/// Each faulty state of the master key's file, with its remedy.
#[test]
fn a_master_key_that_is_not_right_stops_the_start() {
    let directory = directory();
    let database = Database::create();
    let file = |name: &str| directory.path().join(name);
    let secret = fs::read_to_string(master_key_file()).unwrap();
    let write = |name: &str, text: &str, bits: u32| {
        fs::write(file(name), text).unwrap();
        mode(&file(name), bits);
    };
    write("open", &secret, 0o644);
    write("group", &secret, 0o640);
    write("short", &secret[..secret.len() / 2], 0o600);
    write("empty", "", 0o600);
    fs::create_dir(file("folder")).unwrap();
    MasterKey::create(&file("other")).expect("another key");
    for (name, parts) in [
        ("open", ["may be used by others (mode 0644)", "chmod 600"]),
        ("group", ["may be used by others (mode 0640)", "chmod 600"]),
        ("short", ["does not hold a whole master key", "restore it from a backup"]),
        ("empty", ["does not hold a whole master key", "restore it from a backup"]),
        ("folder", ["is not a regular file", "point to the file"]),
        ("other", ["but the database is sealed with", "PASSMINT_MASTER_KEY_FILE"]),
        ("missing", ["does not exist", "PASSMINT_MASTER_KEY_FILE"]),
    ] {
        let mut command = serve_on(directory.path(), &database, &[("admin_listen", "off")]);
        command
            .env("PASSMINT_MASTER_KEY_FILE", file(name))
            .args(["--public-url", &format!("http://localhost:{}", free_port())]);
        let said = refusal(command);
        for part in parts {
            assert!(said.contains(part), "{name}: {part} in {said}");
        }
        assert!(said.contains(&file(name).display().to_string()), "{name} is named: {said}");
        assert!(!said.contains(secret.trim().split(' ').next_back().unwrap()), "{name}: the key is not shown");
    }
    assert!(!file("missing").exists(), "no key was made in place of one that is missing");
}

/// No new signing key is made to replace one that cannot be unsealed.
#[test]
fn a_signing_key_that_does_not_open_stops_the_start() {
    let directory = directory();
    for (name, damage) in [
        ("changed", "set_byte(sealed, 40, 255 - get_byte(sealed, 40))"),
        ("half of it", "substr(sealed, 1, octet_length(sealed) / 2)"),
        ("another key's", "(SELECT sealed FROM signing_keys WHERE purpose = 'tokens' LIMIT 1)"),
    ] {
        let database = Database::create();
        let keys = || database.count("SELECT count(*) AS n FROM signing_keys");
        let before = keys();
        database.execute(&format!("UPDATE signing_keys SET sealed = {damage} WHERE purpose = 'refresh'"));
        let mut command = serve_on(directory.path(), &database, &[("admin_listen", "off")]);
        command.args(["--public-url", &format!("http://localhost:{}", free_port())]);
        let said = refusal(command);
        let lines: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("passmint: ")).collect();
        let [line] = lines[..] else { panic!("{name}: one line: {said}") };
        assert!(line.starts_with("signing key ") && line.contains("damaged or not in its place"), "{name}: {line}");
        assert_eq!(keys(), before, "{name}: none was made");
    }
}

#[test]
fn a_named_database_wants_its_key_made_on_purpose() {
    let directory = directory();
    let database = Database::create();
    database.execute("DELETE FROM signing_keys; DELETE FROM installation");
    let mut command = serve(directory.path(), &[("admin_listen", "off")]);
    command.env("DATABASE_URL", database.url()).args(["--public-url", &format!("http://localhost:{}", free_port())]);
    let said = refusal(command);
    assert!(said.contains("`passmint keys init`"), "{said}");
    assert!(!directory.path().join("keys").exists(), "none was made");
}

/// Passkeys of an RP id that is not configured mean people who cannot sign in: the start says so, and what to do.
#[test]
fn passkeys_of_another_relying_party_stop_the_start() {
    let directory = directory();
    let database = Database::create();
    let run = |database: &Database| {
        let mut command = serve_on(directory.path(), database, &[("admin_listen", "off")]);
        command.args(["--public-url", &format!("http://localhost:{}", free_port())]);
        command
    };
    let program = Program::start(serve_on(directory.path(), &database, &[]));
    for _ in 0..2 {
        program.browser().sign_up(&mut Authenticator::synchronised(&program.origin));
    }
    program.kill();
    // Passkeys from a quick start on localhost do not prevent a start with a real name.
    let mut elsewhere = serve_on(
        directory.path(),
        &database,
        &[("listen", &format!("127.0.0.1:{}", free_port())), ("admin_listen", "off")],
    );
    elsewhere.args(["--public-url", "https://id.example.com"]);
    let began = Program::start_without_port(elsewhere);
    began.kill();

    database.execute("UPDATE credential_index SET rp_id = 'old.example'; UPDATE credentials SET rp_id = 'old.example'");
    let said = refusal(run(&database));
    for part in [
        "old.example (2)",
        "could not sign in",
        "`passmint relying-parties retire old.example`",
        "`passmint relying-parties move old.example <new>`",
        "public_url",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    // Each remedy that the line names works.
    database.with(|conn| {
        passmint::storage::relying_parties::rename(conn, "old.example", "localhost").expect("moved");
    });
    let program = Program::start(serve_on(directory.path(), &database, &[]));
    program.kill();
    database.execute("UPDATE credential_index SET rp_id = 'old.example'; UPDATE credentials SET rp_id = 'old.example'");
    refusal(run(&database));
    database.with(|conn| {
        let now = passmint::clock::Clock::system().now();
        passmint::storage::relying_parties::retire(conn, "old.example", now).expect("retired");
    });
    Program::start(serve_on(directory.path(), &database, &[])).kill();
}

#[test]
fn a_database_that_is_not_there_is_told_in_one_line() {
    let directory = directory();
    let mut command = serve(directory.path(), &[("admin_listen", "off")]);
    let address = format!("postgres://someone:hunter2@127.0.0.1:{}/nothing", free_port());
    command.env("DATABASE_URL", address).env("PASSMINT_MASTER_KEY_FILE", master_key_file());
    command.args(["--public-url", &format!("http://localhost:{}", free_port())]);
    let began = Instant::now();
    let said = refusal(command);
    assert!(said.contains("the database cannot be used"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// libpq quotes what it cannot parse in a URL, and part of a password is easily taken for a host or a port.
#[test]
fn a_url_of_the_database_that_cannot_be_read_is_not_repeated() {
    let directory = directory();
    for password in ["hunter2%zz", "hunter2 x", "hunter2/x", "x@hunter2"] {
        for command in ["serve", "check-config"] {
            let mut program = reading(command, directory.path(), &[("admin_listen", "off")]);
            program.env("DATABASE_URL", format!("postgres://u:{password}@127.0.0.1/x"));
            program.args(["--public-url", &format!("http://localhost:{}", free_port())]);
            let said = refusal(program);
            assert!(said.contains("database.url (DATABASE_URL): holds "), "{command}, {password}: {said}");
            assert!(said.contains("percent-encode") && !said.contains("hunter2"), "{command}, {password}: {said}");
        }
    }
}

/// A database may have been configured to be fast by losing confirmed data: that is refused, whatever else is right.
#[test]
fn a_database_that_forgets_what_it_confirmed_stops_the_start() {
    let directory = directory();
    let database = Database::create();
    database.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$",
    );
    let mut command = serve_on(directory.path(), &database, &[("admin_listen", "off")]);
    command.args(["--public-url", &format!("http://localhost:{}", free_port())]);
    let said = refusal(command);
    let lines: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("passmint: ")).collect();
    let [line] = lines[..] else { panic!("one line: {said}") };
    assert!(line.starts_with("synchronous_commit is off: ") && line.ends_with("set it to on"), "{line}");
    assert_eq!(database.count("SELECT count(*) AS n FROM servers"), 0, "nothing was begun");
}

/// In an empty directory, with a port as the only setting: ready with its own database and keys.
#[test]
fn it_starts_with_nothing_and_survives_kill_9() {
    let directory = directory();
    let program = Program::start(serve(directory.path(), &[]));
    let port = program.port;
    assert_eq!(Request::new("GET", &program.url, "/readyz").send().expect(200).body, "ready");
    let key = directory.path().join("keys/master.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = fs::read_to_string(&key).unwrap();

    let mut browser = program.browser();
    let mut passkey = Authenticator::synchronised(&program.origin);
    let who = browser.sign_up(&mut passkey);
    // The RSA key for ID tokens is slow to make, so it is made after the server is ready.
    let keys = || Request::new("GET", &program.url, "/.well-known/jwks.json").send().expect(200).body;
    wait_until("the RSA key is published", || keys().contains("RS256"));
    let tokens = program.client("quickstart").sign_in(&mut passkey, "openid").expect(200).json();
    let refresh = tokens["refreshToken"].as_str().unwrap().to_owned();
    let next = program.client("quickstart").refresh(&refresh).expect(200).json();
    program.kill();

    let program = Program::start_at(serve(directory.path(), &[]), port);
    assert_eq!(fs::read_to_string(&key).unwrap(), secret, "the key is kept");
    assert_eq!(browser.get("/v1/session").expect(200).json()["user"]["id"], who["user"]["id"], "the session is kept");
    browser.sign_in(&mut passkey).expect(200);
    // What was used before the crash stays used, and what was issued is still valid.
    let live = next["refresh_token"].as_str().unwrap();
    let last = program.client("quickstart").refresh(live).expect(200).json();
    program.client("quickstart").refresh(&refresh).expect_oauth(400, "invalid_grant");
    let last = last["refresh_token"].as_str().unwrap();
    program.client("quickstart").refresh(last).expect_oauth(400, "invalid_grant");
    program.ask_to_stop();
    let (status, said) = program.ended();
    assert_eq!(status.code(), Some(0), "{said}");
}

/// Refreshes; none when the server was gone before its whole response had arrived.
fn refreshed(url: &str, token: &str) -> Option<String> {
    let body = format!("grant_type=refresh_token&client_id=quickstart&refresh_token={token}");
    let mut line = TcpStream::connect(url.trim_start_matches("http://")).ok()?;
    write!(
        line,
        "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut answer = String::new();
    line.read_to_string(&mut answer).ok()?;
    let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
    answer["refresh_token"].as_str().map(ToOwned::to_owned)
}

/// `kill -9` while tokens are being rotated: a client without an answer gets it from the next server, whether or not
/// the last request was executed, and whatever was used before stays used.
#[test]
fn killed_at_work_it_keeps_what_it_told_and_what_was_used() {
    let directory = directory();
    let database = Database::create();
    let settings = [("tokens.refresh_retry_window", "60s"), ("limits.enabled", "false")];
    let mut program = Program::start(serve_on(directory.path(), &database, &settings));
    let (port, mut passkey) = (program.port, Authenticator::synchronised(&program.origin));
    program.browser().sign_up(&mut passkey);
    for round in 0..2 {
        let first: Vec<String> = (0..4)
            .map(|_| {
                let tokens = program.client("quickstart").sign_in(&mut passkey, "openid").expect(200).json();
                tokens["refreshToken"].as_str().unwrap().to_owned()
            })
            .collect();
        let url = program.url.clone();
        let lines: Vec<Vec<String>> = std::thread::scope(|scope| {
            let callers: Vec<_> = first
                .into_iter()
                .map(|token| {
                    let url = &url;
                    scope.spawn(move || {
                        let mut line = vec![token];
                        // Limited, in case nobody kills the server.
                        while let Some(next) = refreshed(url, &line[line.len() - 1]).filter(|_| line.len() < 5000) {
                            line.push(next);
                        }
                        line
                    })
                })
                .collect();
            wait_until("all are at it", || {
                let least = "SELECT min(generation)::bigint AS n FROM refresh_tokens WHERE revoked_at IS NULL";
                database.count(least) >= 5
            });
            program.kill();
            callers.into_iter().map(|caller| caller.join().unwrap()).collect()
        });
        program = Program::start_at(serve_on(directory.path(), &database, &settings), port);
        for line in &lines {
            let [.., used, last] = line.as_slice() else { panic!("round {round}: nothing was refreshed") };
            let next = program.client("quickstart").refresh(last).expect(200).json();
            program.client("quickstart").refresh(used).expect_oauth(400, "invalid_grant");
            let next = next["refresh_token"].as_str().unwrap();
            program.client("quickstart").refresh(next).expect_oauth(400, "invalid_grant");
        }
        let told = "SELECT count(*) AS n FROM audit_events WHERE kind = 'token.refresh_replayed'";
        assert_eq!(database.count(told), 4 * (round + 1), "each replay is told, and nothing else was one");
    }
}

/// `SIGTERM`: no new connections, requests in flight are answered, exit status 0, and the server is no longer counted
/// as alive.
#[test]
fn told_to_stop_it_answers_what_it_began() {
    let directory = directory();
    let database = Database::create();
    let program = Program::start(serve_on(
        directory.path(),
        &database,
        &[("database.lock_timeout", "20s"), ("database.statement_timeout", "20s")],
    ));
    let mut browser = program.browser();
    browser.sign_up(&mut Authenticator::synchronised(&program.origin));
    let mut blocker = PgConnection::establish(database.url()).unwrap();
    blocker.batch_execute("BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE").unwrap();
    let in_flight = std::thread::spawn(move || browser.get("/v1/session"));
    let waiting = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    wait_until("the request waits in the database", || database.count(waiting) > 0);

    program.ask_to_stop();
    let address = program.url.trim_start_matches("http://").to_owned();
    wait_until("new connections are refused", || TcpStream::connect(&address).is_err());
    blocker.batch_execute("ROLLBACK").unwrap();
    let reply = in_flight.join().expect("the request is answered").expect(200);
    assert!(reply.json()["session"].is_object(), "{}", reply.body);
    let (status, said) = program.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    assert_eq!(database.count("SELECT count(*) AS n FROM servers"), 0, "it said goodbye");
}

/// Its memory holds keys, none of which may reach a file in a crash. Each connection is an open file.
#[test]
fn it_leaves_no_dumps_and_takes_all_open_files_that_it_may_have() {
    let directory = directory();
    let database = Database::create();
    let program = Program::start(serve_on(directory.path(), &database, &[]));
    let limits = fs::read_to_string(format!("/proc/{}/limits", program.pid())).unwrap();
    let of = |name: &str| -> Vec<String> {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().take(2).map(ToOwned::to_owned).collect()
    };
    assert_eq!(of("Max core file size"), ["0", "0"]);
    let files = of("Max open files");
    assert_eq!(files[0], files[1], "the soft limit is the hard one");
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}: not within 10 seconds");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

impl Database {
    fn with<T>(&self, work: impl FnOnce(&mut PgConnection) -> T) -> T {
        work(&mut PgConnection::establish(self.url()).expect("a connection"))
    }

    fn execute(&self, sql: &str) {
        self.with(|conn| conn.batch_execute(sql)).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn count(&self, sql: &str) -> i64 {
        self.with(|conn| diesel::sql_query(sql).get_result::<Count>(conn))
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
            .n
    }

    fn tables(&self) -> Vec<String> {
        let sql = "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public'";
        self.with(|conn| diesel::sql_query(sql).load::<Name>(conn)).unwrap().into_iter().map(|row| row.name).collect()
    }
}
