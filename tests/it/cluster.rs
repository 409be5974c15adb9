//! The private cluster against the real PostgreSQL: durability, privacy, and each refusal with its message.
//!
//! What needs a process of its own (to be killed, or to run as another user) runs this test binary again, with only the
//! test [`child_process`] and the directory in the environment.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use passmint::storage::cluster::{Attachment, Cluster, ClusterError, Search, choose_directory};
use rustix::process::{Pid, Signal, geteuid, kill_process, test_kill_process};
use tempfile::TempDir;

const CHILD: &str = "PASSMINT_TEST_CLUSTER";

/// A directory that PostgreSQL's user can enter, whatever the umask.
fn directory() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("its permissions change");
    directory
}

fn connect(cluster: &Cluster) -> PgConnection {
    PgConnection::establish(&cluster.url()).expect("the URL is good for a connection")
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Text)]
    text: String,
}

fn ask(connection: &mut PgConnection, expression: &str) -> String {
    let query = format!("SELECT ({expression})::text AS text");
    diesel::sql_query(query).get_result::<Answer>(connection).expect("the query is answered").text
}

fn refusal(result: Result<Cluster, ClusterError>) -> String {
    let message = result.map(|_| ()).expect_err("the start is refused").to_string();
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

#[test]
fn data_survive_a_restart() {
    let directory = directory();
    let data = directory.path().join("data");
    let started = Instant::now();
    let cluster = Cluster::start(&data).expect("a first start");
    println!("first start {:?}", started.elapsed());
    assert!(cluster.created());
    assert!(cluster.is_running());
    assert_eq!(cluster.directory(), data);
    connect(&cluster)
        .batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
        .expect("a table is made");
    let pid = cluster.pid();
    cluster.stop();
    assert!(!cluster.is_running());
    cluster.stop();
    drop(cluster);
    assert!(!is_alive(pid), "PostgreSQL is gone after the stop");

    let started = Instant::now();
    let cluster = Cluster::start(&data).expect("a second start");
    println!("second start {:?}", started.elapsed());
    assert!(!cluster.created());
    assert_eq!(ask(&mut connect(&cluster), "SELECT n FROM kept"), "42");
}

#[test]
fn nobody_else_gets_in_and_what_is_written_stays() {
    let directory = directory();
    let data = directory.path().join("data");
    let cluster = Cluster::start(&data).expect("a start");
    let mut connection = connect(&cluster);
    for (setting, expected) in [
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("max_connections", "40"),
        ("jit", "off"),
    ] {
        assert_eq!(ask(&mut connection, &format!("current_setting('{setting}')")), expected, "{setting}");
    }
    assert_eq!(ask(&mut connection, "current_user || ' ' || current_database()"), "passmint passmint");
    assert_eq!(ask(&mut connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"), "false");
    connection.batch_execute("CREATE DATABASE another").expect("the role may create databases, for tests");

    for path in [data.clone(), data.join("postgres"), data.join("postgres/pg")] {
        assert_eq!(fs::metadata(&path).expect("it exists").mode() & 0o7777, 0o700, "{}", path.display());
    }
    for file in ["postgres.log", "lock", "pg/pg_hba.conf", "pg/pg_ident.conf"] {
        assert_eq!(fs::metadata(data.join("postgres").join(file)).expect("it exists").mode() & 0o7777, 0o600, "{file}");
    }
    assert_eq!(tcp_listeners_of(cluster.pid()), 0, "no TCP port is open");
    assert_ne!(uid_of(cluster.pid()), 0, "PostgreSQL does not run as root");
    // Another role is refused although the socket is reachable: there is no password to guess.
    let stranger = cluster.url().replace("passmint@", "stranger@");
    let refused = PgConnection::establish(&stranger).err().expect("a stranger is refused").to_string();
    assert!(refused.contains("stranger"), "{refused}");
}

#[test]
fn others_can_attach_while_it_runs_and_only_then() {
    let directory = directory();
    let data = directory.path().join("data");
    assert_eq!(Cluster::attach(&data).expect("a look"), Attachment::Absent);
    assert!(!data.exists(), "looking makes nothing");
    let cluster = Cluster::start(&data).expect("a start");
    assert_eq!(Cluster::attach(&data).expect("a look"), Attachment::Running(cluster.url()));
    let ident = data.join("postgres/pg/pg_ident.conf");
    let access = fs::read_to_string(&ident).expect("the list of users");
    fs::write(&ident, "own \"somebody\" passmint\n").expect("another list");
    let refused = Cluster::attach(&data).expect_err("a user whom it does not know").to_string();
    assert!(refused.contains("run this command as"), "{refused}");
    fs::write(&ident, access).expect("the list again");
    cluster.stop();
    assert_eq!(Cluster::attach(&data).expect("a look"), Attachment::Stopped);
}

#[test]
fn a_second_server_on_the_same_directory_is_refused_by_name() {
    let directory = directory();
    let data = directory.path().join("data");
    let first = Cluster::start(&data).expect("the first start");
    let message = refusal(Cluster::start(&data));
    let holder = format!("another Passmint server or command (process {})", std::process::id());
    let expected = format!("{} is in use by {holder}", data.display());
    assert!(message.starts_with(&expected), "{message}");
    assert_eq!(ask(&mut connect(&first), "1"), "1", "the first is not disturbed");
}

#[test]
fn postgresql_does_not_outlive_a_killed_owner() {
    let directory = directory();
    let data = directory.path().join("data");
    for round in 0..3 {
        let (mut owner, postgres) = start_elsewhere(&data, None);
        let message = refusal(Cluster::start(&data));
        assert!(message.contains(&format!("(process {})", owner.id())), "{message}");
        owner.kill().expect("kill -9");
        owner.wait().expect("it is dead");
        // Immediately, while the old PostgreSQL is still shutting down.
        let cluster = Cluster::start(&data).unwrap_or_else(|e| panic!("restart {round}: {e}"));
        assert!(!is_alive(postgres), "the orphan is gone");
        assert!(!cluster.created());
        assert_eq!(ask(&mut connect(&cluster), "1"), "1");
    }
}

#[test]
fn a_crash_of_everything_is_recovered_from() {
    let directory = directory();
    let data = directory.path().join("data");
    let (mut owner, postgres) = start_elsewhere(&data, None);
    let pid = Pid::from_raw(i32::try_from(postgres).expect("a process id")).expect("not zero");
    kill_process(pid, Signal::KILL).expect("kill -9 of PostgreSQL");
    // Its parent does not reap it: the zombie still accepts signals, so PostgreSQL takes it for alive.
    thread::sleep(Duration::from_millis(200));
    assert!(test_kill_process(pid).is_ok(), "a zombie is left");
    let message = refusal(Cluster::start(&data));
    assert!(message.contains("in use by another Passmint server"), "the owner still lives: {message}");
    owner.kill().expect("kill -9 of the owner");
    owner.wait().expect("it is dead");
    let cluster = Cluster::start(&data).expect("a start after the crash");
    assert_eq!(ask(&mut connect(&cluster), "1"), "1");
}

#[test]
fn stale_pid_files_do_not_stop_a_start() {
    let directory = directory();
    let data = directory.path().join("data");
    let cluster = Cluster::start(&data).expect("a first start");
    let pid_file = data.join("postgres/pg/postmaster.pid");
    let text = fs::read_to_string(&pid_file).expect("PostgreSQL runs");
    let server = fs::metadata(data.join("postgres/pg")).expect("it exists");
    drop(cluster);

    // A live process of the same user that has the id now, as after a reboot.
    let mut sleeper =
        as_user(server.uid(), server.gid(), Path::new("/bin/sleep")).arg("60").spawn().expect("sleep runs");
    // A zombie of that user: dead, and not yet reaped.
    let mut zombie = as_user(server.uid(), server.gid(), Path::new("/bin/true")).spawn().expect("true runs");
    thread::sleep(Duration::from_millis(100));
    let body = text.split_once('\n').expect("lines").1;
    let cases = [
        ("a dead process", format!("4194303\n{body}")),
        ("another live process", format!("{}\n{body}", sleeper.id())),
        ("a zombie", format!("{}\n{body}", zombie.id())),
        ("nothing at all", String::new()),
        ("no number", "garbage\n".to_owned()),
    ];
    for (name, content) in cases {
        fs::write(&pid_file, &content).expect("the pid file is planted");
        chown(&pid_file, Some(server.uid()), Some(server.gid())).expect("it is handed over");
        let lock = data.join("postgres/.s.PGSQL.5432.lock");
        fs::write(&lock, &content).expect("the socket's lock is planted");
        chown(&lock, Some(server.uid()), Some(server.gid())).expect("it is handed over");
        let cluster = Cluster::start(&data).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(ask(&mut connect(&cluster), "1"), "1", "{name}");
    }
    sleeper.kill().expect("it ends");
    sleeper.wait().expect("it ends");
    zombie.wait().expect("it is collected");
}

#[test]
fn a_half_made_cluster_is_thrown_away() {
    let directory = directory();
    let data = directory.path().join("data");
    drop(Cluster::start(&data).expect("a first start"));
    // What an initdb that was killed leaves behind.
    fs::rename(data.join("postgres/pg"), data.join("postgres/pg.new")).expect("renamed");
    fs::remove_file(data.join("postgres/pg.new/PG_VERSION")).expect("removed");
    let cluster = Cluster::start(&data).expect("a new start");
    assert!(cluster.created());
    assert!(!data.join("postgres/pg.new").exists());
}

/// The programs of a first start that was killed keep running for a moment.
#[test]
fn an_orphan_that_still_writes_does_not_stop_a_start() {
    let directory = directory();
    let data = directory.path().join("data");
    drop(Cluster::start(&data).expect("a first start"));
    let orphaned = data.join("postgres/pg.new.dead");
    fs::rename(data.join("postgres/pg"), &orphaned).expect("renamed");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let _ = fs::create_dir_all(&orphaned);
                let _ = fs::write(orphaned.join(number.to_string()), "");
                thread::sleep(Duration::from_millis(1));
            }
        });
        let started = Cluster::start(&data).map(|cluster| cluster.created());
        over.store(true, Ordering::Relaxed);
        assert!(started.expect("a start beside it"));
    });
    assert!(!Cluster::start(&data).expect("the next start").created());
    assert!(!orphaned.exists(), "it is removed once nobody writes to it");
}

#[test]
fn long_and_odd_paths_get_a_short_socket() {
    let directory = directory();
    for name in ["d".repeat(100), "with, comma \"quotes\" and 'more' %20 ü".to_owned()] {
        let data = directory.path().join(&name);
        let cluster = Cluster::start(&data).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(ask(&mut connect(&cluster), "1"), "1", "{name}");
        assert!(!data.join("postgres/.s.PGSQL.5432").exists());
        let host = cluster.url().split_once("host=").expect("a host").1.to_owned();
        let mode = fs::metadata(&host).expect("the socket's directory").mode();
        assert_eq!(mode & 0o7777, 0o700, "{host}");
        drop(cluster);
        fs::remove_dir(&host).expect("nothing is left in the socket's directory");
    }
}

#[test]
fn missing_programs_are_named_with_the_cure() {
    let directory = directory();
    let data = directory.path().join("data");
    let system = Search::system();

    let search = Search { servers: vec!["/nowhere/bin".into()], ..system.clone() };
    let message = refusal(Cluster::start_with(&data, &search));
    for part in ["no PostgreSQL server found", "/nowhere/bin", "package `postgresql`", "DATABASE_URL"] {
        assert!(message.contains(part), "{part}: {message}");
    }

    let search = Search { tools: Vec::new(), ..system.clone() };
    let message = refusal(Cluster::start_with(&data, &search));
    assert!(message.contains("`setpriv`") && message.contains("`util-linux`"), "{message}");

    for (says, part) in
        [("postgres (PostgreSQL) 13.9", "PostgreSQL 13 in"), ("nonsense", "does not tell its version (nonsense)")]
    {
        let search = Search { servers: vec![pretended(directory.path(), says)], ..system.clone() };
        let message = refusal(Cluster::start_with(&data, &search));
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!data.exists(), "a refused start leaves nothing behind");
}

#[test]
fn data_of_another_version_are_refused() {
    let directory = directory();
    let data = directory.path().join("data");
    drop(Cluster::start(&data).expect("a first start"));
    let version = data.join("postgres/pg/PG_VERSION");
    let right = fs::read_to_string(&version).expect("a version");
    fs::write(&version, "99\n").expect("written");
    let message = refusal(Cluster::start(&data));
    for part in ["written by PostgreSQL 99", &format!("installed here is {}", right.trim()), "pg_upgrade"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let aside = version.with_extension("aside");
    fs::rename(&version, &aside).expect("put aside");
    let message = refusal(Cluster::start(&data));
    assert!(message.contains("is not a PostgreSQL data directory (no PG_VERSION)"), "{message}");
    fs::rename(&aside, &version).expect("put back");
    fs::write(&version, right).expect("written");
    assert!(!Cluster::start(&data).expect("nothing was harmed").created());
}

#[test]
fn the_version_that_wrote_the_data_is_preferred() {
    let directory = directory();
    let data = directory.path().join("data");
    drop(Cluster::start(&data).expect("a first start"));
    let mut search = Search::system();
    search.servers.insert(0, pretended(directory.path(), "postgres (PostgreSQL) 98.1"));
    assert!(!Cluster::start_with(&data, &search).expect("the older programs are taken").created());
}

#[test]
fn a_failing_server_is_quoted() {
    let directory = directory();
    let data = directory.path().join("data");
    drop(Cluster::start(&data).expect("a first start"));
    let settings = data.join("postgres/pg/postgresql.conf");
    let before = fs::read_to_string(&settings).expect("settings");
    fs::write(&settings, format!("{before}\nwork_mem = 'much'\n")).expect("written");
    let message = refusal(Cluster::start(&data));
    for part in ["did not start in", "configuration file", "postgres.log"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn root_keeps_data_elsewhere_when_the_path_is_closed() {
    if !geteuid().is_root() {
        return eprintln!("only root hands the cluster to another user: nothing to try");
    }
    let closed = TempDir::new().expect("a temporary directory");
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).expect("closed to all but root");
    let (one, two) = (closed.path().join("one"), closed.path().join("two"));
    let chosen = choose_directory(&one).expect("a place");
    assert_eq!(chosen.parent(), Some(Path::new("/var/lib/passmint")));
    assert_ne!(choose_directory(&two).expect("a place"), chosen, "two checkouts never share one");

    let cluster = Cluster::start(&one).expect("a start");
    assert_eq!(cluster.directory(), chosen);
    drop(cluster);
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o755)).expect("opened");
    let again = Cluster::start(&one).expect("a start");
    assert!(!again.created(), "what was made there stays in use");
    drop(again);
    fs::remove_dir_all(chosen).expect("the test cleans up");
}

#[test]
fn an_unprivileged_user_runs_a_cluster_too() {
    if !geteuid().is_root() {
        return eprintln!("every other test has run as one: nothing more to try");
    }
    let directory = directory();
    let home = directory.path().join("home");
    fs::create_dir(&home).expect("a home");
    chown(&home, Some(65534), Some(65534)).expect("it is handed over");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("closed");
    // That user may be unable to enter the directory of the test binary itself.
    let program = directory.path().join("program");
    fs::copy(env::current_exe().expect("a path"), &program).expect("copied");

    let data = home.join("d".repeat(60));
    let (mut owner, postgres) = start_elsewhere(&data, Some(&program));
    assert_eq!((uid_of(owner.id()), uid_of(postgres)), (65534, 65534));
    owner.kill().expect("kill -9");
    owner.wait().expect("it is dead");
    let gone = Instant::now();
    while is_alive(postgres) {
        assert!(gone.elapsed() < Duration::from_secs(10), "PostgreSQL outlives its owner");
        thread::sleep(Duration::from_millis(10));
    }
    // Root finds that user's data, and acts as that user.
    let cluster = Cluster::start(&data).expect("a start by root");
    assert_eq!(uid_of(cluster.pid()), 65534);
    assert!(!cluster.created());
    assert_eq!(ask(&mut connect(&cluster), "1"), "1");
    drop(cluster);
    // The other way round: that user may not use the data of the user that root chose.
    let foreign = directory.path().join("foreign");
    drop(Cluster::start(&foreign).expect("a start by root"));
    if fs::metadata(foreign.join("postgres")).expect("it exists").uid() != 65534 {
        fs::set_permissions(&foreign, fs::Permissions::from_mode(0o711)).expect("passable");
        let said = said_elsewhere(&foreign, 65534, &program);
        assert!(said.contains("belongs to ") && said.contains("PostgreSQL would run as nobody"), "{said}");
    }
    let said = said_elsewhere(&home.join("new"), 54321, &program);
    assert!(said.contains("user id 54321 has no entry in /etc/passwd"), "{said}");
    let said = said_elsewhere(Path::new("/proc/data"), 65534, &program);
    assert!(said.contains("could not create /proc/data"), "{said}");
    let said = said_elsewhere(&PathBuf::from("/root-only"), 65534, &program);
    assert!(said.contains("no permission to create /root-only as nobody"), "{said}");
}

/// Not a test of its own: the process that [`start_elsewhere`] and [`said_elsewhere`] run.
#[test]
fn child_process() {
    let Some(data) = env::var_os(CHILD) else { return };
    match Cluster::start(Path::new(&data)) {
        Ok(cluster) => {
            connect(&cluster).batch_execute("SELECT 1").expect("the cluster answers");
            println!("\npostgres {}", cluster.pid());
            thread::sleep(Duration::from_secs(60));
        }
        Err(e) => {
            println!("\nrefused {e}");
            // Skips the test harness's final output, which nobody reads.
            std::process::exit(0);
        }
    }
}

fn elsewhere(data: &Path, mut command: Command) -> (Child, String) {
    command.args(["--exact", "cluster::child_process", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, data).current_dir("/").stdout(Stdio::piped());
    let mut child = command.spawn().expect("the test binary runs again");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let mut lines = output.lines().map_while(Result::ok);
    let line =
        lines.find(|l| l.starts_with("postgres ") || l.starts_with("refused ")).expect("the child says how it went");
    (child, line)
}

/// Starts a cluster in a process that can be killed, as the user `nobody` when a program to run is given.
fn start_elsewhere(data: &Path, as_nobody: Option<&Path>) -> (Child, u32) {
    let command = match as_nobody {
        Some(program) => as_user(65534, 65534, program),
        None => Command::new(env::current_exe().expect("a path")),
    };
    let (child, line) = elsewhere(data, command);
    let pid = line.strip_prefix("postgres ").unwrap_or_else(|| panic!("{line}")).parse().expect("a process id");
    (child, pid)
}

/// The message that refuses a start by the user `uid`.
fn said_elsewhere(data: &Path, uid: u32, program: &Path) -> String {
    let (mut child, line) = elsewhere(data, as_user(uid, 65534, program));
    child.wait().expect("it ends");
    line.strip_prefix("refused ").unwrap_or_else(|| panic!("{line}")).to_owned()
}

fn as_user(uid: u32, gid: u32, program: &Path) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups").arg("--").arg(program);
    command
}

/// A directory with fake PostgreSQL programs that only print `says`.
fn pretended(parent: &Path, says: &str) -> PathBuf {
    let bin = parent.join(format!("bin {says}"));
    fs::create_dir(&bin).expect("a directory");
    for name in ["postgres", "initdb"] {
        fs::write(bin.join(name), format!("#!/bin/sh\necho '{says}'\n")).expect("a script");
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).expect("executable");
    }
    bin
}

/// Whether the process exists and is not a zombie.
fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z')))
}

fn uid_of(pid: u32) -> u32 {
    fs::metadata(format!("/proc/{pid}")).expect("the process lives").uid()
}

/// How many TCP sockets the process listens on, by the inodes in `/proc/net/tcp` and its open files.
fn tcp_listeners_of(pid: u32) -> usize {
    let open: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("its open files can be seen")
        .flatten()
        .filter_map(|f| fs::read_link(f.path()).ok()?.to_str().map(str::to_owned))
        .collect();
    assert!(open.iter().any(|f| f.starts_with("socket:")), "the unix socket is seen");
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|t| fs::read_to_string(t).unwrap_or_default());
    let inodes = tables.iter().flat_map(|t| t.lines().skip(1)).filter_map(|l| l.split_whitespace().nth(9));
    inodes.filter(|inode| open.contains(&format!("socket:[{inode}]"))).count()
}
