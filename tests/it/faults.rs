//! The database slow, locked, gone or shared wrongly: 503 and not ready, never a wrong answer, and automatic recovery.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Barrier, mpsc};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use passmint::storage::StorageError;
use passmint::storage::cluster::Cluster;
use passmint::tokens::seal::MasterKey;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authenticator::Authenticator;
use crate::support::program::{Program, serve};
use crate::support::{Options, PRODUCT_LIMITS, Reply, Request, TestApp, introspect};

/// A bug of ours is neither a shutdown nor a fault of the database, and costs the connection it may have left in the
/// middle of something.
#[test]
fn a_panic_is_told_as_what_it_is() {
    let app = TestApp::spawn();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let failed = runtime.block_on(app.db.run(|_| -> Result<(), StorageError> { panic!("a mistake") }));
    assert!(matches!(failed, Err(StorageError::Panicked)), "{failed:?}");
    runtime.block_on(app.db.run(|_| Ok(()))).unwrap();
}

/// The longest that a caller may be kept waiting: 2 s for a connection, and a little.
const PATIENCE: Duration = Duration::from_secs(5);

/// Holds a table so that nobody else can read it, until dropped.
struct Held(PgConnection);

impl Held {
    fn table(app: &TestApp, table: &str) -> Self {
        let mut conn = PgConnection::establish(app.database_url()).expect("a connection");
        conn.batch_execute(&format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).expect("the lock");
        Self(conn)
    }

    fn release(mut self) {
        self.0.batch_execute("ROLLBACK").expect("the lock is given back");
    }
}

#[track_caller]
fn unavailable(reply: Reply) {
    let reply = reply.expect_problem(503, "unavailable");
    assert!(reply.header("retry-after").is_some_and(|wait| wait.parse::<u8>().is_ok()));
    for word in ["sql", "postgres", "lock", "timeout", "pool", "connection"] {
        assert!(!reply.body.to_lowercase().contains(word), "nothing internal: {}", reply.body);
    }
}

#[track_caller]
fn wait_until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < within, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ready(url: &str) -> bool {
    Request::new("GET", url, "/readyz").send().status == 200
}

#[test]
fn a_locked_table_is_503_in_time_and_keys_are_served_meanwhile() {
    let app = TestApp::with(&Options { settings: PRODUCT_LIMITS, ..Options::default() });
    let (mut person, mut passkey) = app.person();
    let tokens = app.client("web").sign_in(&mut passkey, "openid passkeys").expect(200).json();
    let ceremony = app.client("web").begin("openid");
    let held = Held::table(&app, "sessions");
    let started = Instant::now();
    unavailable(person.get("/v1/session"));
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    unavailable(app.client("web").bearer("GET", "/v1/me", tokens["accessToken"].as_str().unwrap()).send());
    let credential = passkey.get_uninvited(&ceremony["publicKey"]);
    unavailable(app.client("web").finish(&ceremony, &credential));
    let refresh = tokens["refreshToken"].as_str().unwrap();
    app.client("web").refresh(refresh).expect_oauth(503, "temporarily_unavailable");
    // RFC 7009 §2.2.1: the token may still work, so its client must try again.
    app.client("web").revoke(refresh).expect_oauth(503, "temporarily_unavailable");
    let page = person.get("/account").expect(503);
    assert!(page.header("retry-after").is_some() && page.body.contains("<!doctype html>"), "{}", page.body);
    assert!(page.body.contains(r#"href="/account">Try again</a>"#), "{}", page.body);
    let keys = Instant::now();
    app.request("GET", "/.well-known/jwks.json").send().expect(200);
    app.request("GET", "/livez").send().expect(200);
    assert!(keys.elapsed() < Duration::from_secs(2), "{:?}", keys.elapsed());
    held.release();
    person.get("/v1/session").expect(200);
    app.client("web").refresh(refresh).expect(200);
    // The failed attempt used the ceremony up: its challenge is taken before anything is checked.
    app.client("web").finish(&ceremony, &credential).expect_problem(410, "ceremony_expired_or_used");
}

#[test]
fn an_exhausted_pool_is_503_in_time_and_recovers_at_once() {
    let settings = [
        ("database.pool", "2"),
        ("database.wait", "2s"),
        ("database.lock_timeout", "6s"),
        ("database.statement_timeout", "6s"),
        ("workers", "2"),
    ];
    let app = TestApp::with(&Options { settings: &settings, ..Options::default() });
    let (person, _) = app.person();
    let held = Held::table(&app, "sessions");
    let waits: Vec<(u16, Duration)> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..12)
            .map(|_| {
                scope.spawn(|| {
                    let began = Instant::now();
                    (person.request("GET", "/v1/session").send().status, began.elapsed())
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        let keys = Instant::now();
        app.request("GET", "/.well-known/jwks.json").send().expect(200);
        assert!(keys.elapsed() < Duration::from_secs(2), "keys need no connection: {:?}", keys.elapsed());
        std::thread::sleep(Duration::from_millis(4200));
        held.release();
        callers.into_iter().map(|caller| caller.join().expect("an answer")).collect()
    });
    let refused = waits.iter().filter(|(status, _)| *status == 503).collect::<Vec<_>>();
    assert!(refused.len() >= 10, "two wait in the database, the others for a connection: {waits:?}");
    assert!(refused.iter().all(|(_, wait)| *wait < PATIENCE), "{waits:?}");
    assert!(waits.iter().all(|(status, _)| matches!(status, 200 | 503)), "{waits:?}");
    for _ in 0..4 {
        person.request("GET", "/v1/session").send().expect(200);
    }
}

/// A full disk: PostgreSQL continues to read and refuses to write. Nothing is confirmed that is not stored, and no
/// restart is needed once there is room again.
#[test]
fn a_database_without_room_is_503_and_keeps_what_it_told() {
    const TABLES: [&str; 5] = ["users", "credentials", "sessions", "refresh_tokens", "audit_events"];
    let app = TestApp::spawn();
    let (mut person, mut passkey) = app.person();
    let client = app.client("web");
    let tokens = client.sign_in(&mut passkey, "openid").expect(200).json();
    let refresh = tokens["refreshToken"].as_str().unwrap();
    let rows = || TABLES.map(|table| app.count(&format!("SELECT count(*) AS n FROM {table}")));
    let before = rows();
    app.sql("CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room' USING ERRCODE = 'disk_full'; END $$");
    for table in TABLES {
        app.sql(&format!(
            "CREATE TRIGGER no_room BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION no_room()"
        ));
    }
    let signed_in = app.browser().sign_in(&mut passkey);
    assert!(signed_in.cookies().is_empty());
    unavailable(signed_in);
    unavailable(client.sign_in(&mut passkey, "openid"));
    let mut newcomer = app.browser();
    let begun = newcomer.begin_registration(&json!({ "purpose": "sign-up" }));
    let credential = app.passkey().create(&begun["publicKey"]);
    unavailable(newcomer.finish_registration(&begun, &credential));
    client.refresh(refresh).expect_oauth(503, "temporarily_unavailable");
    client.revoke(refresh).expect_oauth(503, "temporarily_unavailable");
    unavailable(person.call("DELETE", "/v1/session", None));
    assert!(person.get("/v1/session").expect(200).json()["session"].is_object(), "nobody is told that it ended");
    app.request("GET", "/.well-known/jwks.json").send().expect(200);
    assert_eq!(rows(), before, "nothing was kept by halves");

    app.sql("DROP FUNCTION no_room CASCADE");
    client.refresh(refresh).expect(200);
    app.browser().sign_in(&mut passkey).expect(200);
    person.call("DELETE", "/v1/session", None).expect(200);
    assert_eq!(app.events("token.refresh_replayed"), 0);
}

/// The table of ceremonies is unlogged, so a crash of PostgreSQL empties it; and it may be unreachable. In both cases
/// nothing is accepted, and no server falls back on its own memory.
#[test]
fn ceremonies_that_the_database_forgot_or_withholds_are_refused() {
    let settings = [PRODUCT_LIMITS, &[("challenges.store", "database")][..]].concat();
    let app = TestApp::with(&Options { settings: &settings, ..Options::default() });
    let (_, mut passkey) = app.person();
    let client = app.client("web");
    let begun = client.begin("openid");
    let answer = passkey.get_uninvited(&begun["publicKey"]);
    app.sql("TRUNCATE ceremonies");
    client.finish(&begun, &answer).expect_problem(410, "ceremony_expired_or_used");

    let begun = client.begin("openid");
    let answer = passkey.get_uninvited(&begun["publicKey"]);
    let held = Held::table(&app, "ceremonies");
    unavailable(app.browser().post("/v1/passkeys/authentication/options", &json!({})));
    unavailable(client.finish(&begun, &answer));
    held.release();
    client.finish(&begun, &answer).expect(200);
}

/// A row that our own code could not have written, but another version or a person could.
#[test]
fn a_passkey_that_makes_no_sense_fails_its_owner_alone() {
    let app = TestApp::spawn();
    let ((mut browser, mut alice), (_, mut bob)) = (app.person(), app.person());
    let id = browser.get("/v1/me").expect(200).json()["id"].as_str().unwrap().to_owned();
    app.sql("CREATE TABLE kept AS SELECT id, passkey, transports FROM credentials");
    for damage in [
        "passkey = 'null'",
        "passkey = '[]'",
        "passkey = '{}'",
        "passkey = '{\"cred\": 1}'",
        "passkey = to_jsonb(passkey::text)",
        "transports = '{NULL}'",
    ] {
        app.sql(&format!("UPDATE credentials SET {damage} WHERE user_id = '{id}'"));
        let reply = app.browser().sign_in(&mut alice);
        assert!(reply.cookies().is_empty(), "{damage}");
        unavailable(reply);
        app.browser().sign_in(&mut bob).expect(200);
        app.sql(
            "UPDATE credentials SET passkey = kept.passkey, transports = kept.transports FROM kept WHERE kept.id = credentials.id",
        );
    }
    app.browser().sign_in(&mut alice).expect(200);
}

/// Every connection is cut at once, as in a failover. Each may cost one request, none for long.
#[test]
fn cut_connections_are_replaced() {
    let app = TestApp::with(&Options { settings: PRODUCT_LIMITS, ..Options::default() });
    let (mut person, _) = app.person();
    let who = person.get("/v1/session").expect(200).json();
    for round in 0..3 {
        cut(&app);
        let began = Instant::now();
        let mut failed = 0;
        loop {
            let reply = person.get("/v1/session");
            if reply.status == 200 {
                assert_eq!(reply.json()["user"]["id"], who["user"]["id"], "never \"nobody is signed in\"");
                break;
            }
            failed += 1;
            unavailable(reply);
            assert!(began.elapsed() < Duration::from_secs(3), "round {round}: {failed} failures");
        }
        assert!(failed <= 1, "round {round}: one request may notice, not {failed}");
    }
    wait_until("ready", Duration::from_secs(5), || ready(&app.url));
}

/// Migrations and rotations wait for their lock without limit; the connection they used must not keep that setting.
#[test]
fn a_connection_keeps_its_limits_through_start_up_work() {
    let app = TestApp::with(&Options { settings: PRODUCT_LIMITS, ..Options::default() });
    let limits = "SELECT count(*) AS n FROM (SELECT current_setting('lock_timeout') a, current_setting('statement_timeout') b, \
                  current_setting('idle_in_transaction_session_timeout') c) t WHERE a = '500ms' AND b = '2s' AND c = '5s'";
    app.db
        .blocking(|conn| {
            passmint::storage::migrations::locked(conn, |_| Ok(()))?;
            let sql = format!("DO $$ BEGIN IF ({limits}) = 0 THEN RAISE 'the limits are gone'; END IF; END $$");
            Ok(conn.batch_execute(&sql.replace("count(*) AS n", "count(*)"))?)
        })
        .expect("500 ms for a lock, 2 s for a statement, 5 s for a transaction that does nothing");
}

/// A hanging migration or command, or another server's start, may hold the lock for long. A key that is needed
/// meanwhile is made when the lock is free.
#[test]
fn whoever_holds_the_start_up_lock_holds_up_no_server() {
    let app = TestApp::with(&Options { settings: PRODUCT_LIMITS, ..Options::default() });
    let (_, mut passkey) = app.person();
    let mut holder = PgConnection::establish(app.database_url()).expect("a connection");
    holder.batch_execute("SELECT pg_advisory_lock(7276700107)").expect("the lock");
    app.sql(
        "UPDATE clients SET definition = jsonb_set(definition, '{id_token_algorithm}', '\"EdDSA\"') WHERE id = 'other';
         INSERT INTO changes (kind, key) VALUES ('clients', 'other')",
    );
    // Silence is measured by the monotonic clock, which tests cannot move.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(8) {
        assert!(ready(&app.url), "after {:?}", began.elapsed());
        app.client("web").sign_in(&mut passkey, "openid").expect(200);
        std::thread::sleep(Duration::from_millis(200));
    }
    let made = || app.request("GET", "/.well-known/jwks.json").send().expect(200).body.contains("EdDSA");
    assert!(!made(), "the lock was held");
    holder.batch_execute("SELECT pg_advisory_unlock(7276700107)").expect("it is given back");
    wait_until("the key is made", Duration::from_secs(9), made);
    app.client("other").sign_in(&mut passkey, "openid").expect(200);
}

/// On a first start the RSA key is made after the server is ready. A request for an ID token waits a moment for it, and
/// uses nothing up in vain.
#[test]
fn a_key_that_is_being_made_is_waited_for() {
    let app = TestApp::with(&Options { settings: PRODUCT_LIMITS, ..Options::default() });
    let (_, mut passkey) = app.person();
    let mut holder = PgConnection::establish(app.database_url()).expect("a connection");
    holder.batch_execute("SELECT pg_advisory_lock(7276700107)").expect("the lock");
    app.sql(
        "DELETE FROM signing_keys WHERE algorithm = 'RS256';
         INSERT INTO changes (kind, key) VALUES ('keys', 'test'), ('clients', 'test')",
    );
    let published = || app.request("GET", "/.well-known/jwks.json").send().expect(200).body.contains("RS256");
    wait_until("the key is gone", Duration::from_secs(9), || !published());
    let client = app.client("web");
    std::thread::scope(|scope| {
        let signed_in = scope.spawn(|| client.sign_in(&mut passkey, "openid"));
        holder.batch_execute("SELECT pg_advisory_unlock(7276700107)").expect("it is given back");
        signed_in.join().unwrap().expect(200);
    });
    assert!(published());
}

/// Revocations may have been missed, so a server that has not heard from the database for 5 s signs nothing.
#[test]
fn a_server_that_is_cut_off_issues_nothing() {
    let config = "[bridges.backend]\npreset = \"jwt\"\naudience = \"https://backend.example\"";
    let app = TestApp::with(&Options { config, settings: PRODUCT_LIMITS, ..Options::default() });
    let (person, mut passkey) = app.person();
    let client = app.client("web");
    let tokens = client.sign_in(&mut passkey, "openid passkeys bridge:backend").expect(200).json();
    let (access, refresh) = (tokens["accessToken"].as_str().unwrap(), tokens["refreshToken"].as_str().unwrap());
    let (begun, unused) = (client.begin("openid"), client.begin("openid"));
    assert!(ready(&app.url));

    // The server polls this table; everything else still answers, which makes this the harder case.
    let held = Held::table(&app, "changes");
    // Silence is measured by the monotonic clock, which tests cannot move.
    wait_until("unready", Duration::from_secs(9), || !ready(&app.url));
    let reply = app.request("GET", "/readyz").send().expect(503);
    assert_eq!(reply.body, "not ready", "the public listener does not tell why");
    let detail = Request::new("GET", &app.admin_url, "/readyz").send().expect(503).json();
    assert!(check(&detail, "database")["detail"].as_str().is_some_and(|words| words.contains("5 seconds")), "{detail}");

    client.refresh(refresh).expect_oauth(503, "temporarily_unavailable");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    unavailable(client.finish(&begun, &credential));
    unavailable(client.bearer("POST", "/v1/bridges/backend/token", access).send());
    unavailable(person.request("POST", "/v1/bridges/backend/token").send());
    app.request("GET", "/.well-known/jwks.json").send().expect(200);
    app.request("GET", "/livez").send().expect(200);
    let families = "SELECT count(*) AS n FROM refresh_tokens";
    assert_eq!(app.count(families), 1, "nothing was written for what was refused");

    held.release();
    wait_until("ready again", Duration::from_secs(4), || ready(&app.url));
    client.refresh(refresh).expect(200);
    let credential = passkey.get_uninvited(&unused["publicKey"]);
    client.finish(&unused, &credential).expect(200);
    client.bearer("POST", "/v1/bridges/backend/token", access).send().expect(200);
    assert_eq!(introspect(&app, access)["active"], true);
}

fn check<'a>(detail: &'a Value, name: &str) -> &'a Value {
    detail.as_array().expect("a list").iter().find(|check| check["name"] == name).expect("the check")
}

/// Runs statements on a connection of its own, not the server's.
fn beside(app: &TestApp, sql: &str) {
    let mut conn = PgConnection::establish(app.database_url()).expect("a connection");
    conn.batch_execute(sql).expect("the statement runs");
}

/// Cuts every connection of the server, so that new ones start with the database's current settings.
fn cut(app: &TestApp) {
    beside(
        app,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
}

/// Makes every new connection to the database start with this setting.
fn set_for_new_connections(app: &TestApp, setting: &str) {
    let change = format!("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {setting}', current_database()); END $$");
    beside(app, &format!("BEGIN READ WRITE; {change}; COMMIT"));
}

/// After a failover the former primary is a standby: it answers every query, and nobody can sign in.
#[test]
fn a_database_that_only_reads_makes_a_server_unready_and_its_connections_are_not_kept() {
    let app = TestApp::with(&Options { settings: PRODUCT_LIMITS, ..Options::default() });
    let (_, mut passkey) = app.person();
    set_for_new_connections(&app, "default_transaction_read_only = on");
    cut(&app);
    wait_until("unready", Duration::from_secs(12), || !ready(&app.url));
    let detail = Request::new("GET", &app.admin_url, "/readyz").send().expect(503).json();
    assert!(
        check(&detail, "database")["detail"].as_str().is_some_and(|words| words.contains("only reads")),
        "{detail}"
    );
    unavailable(app.browser().sign_in(&mut passkey));
    // No connection to it is kept.
    set_for_new_connections(&app, "default_transaction_read_only = off");
    wait_until("ready again", Duration::from_secs(12), || ready(&app.url));
    wait_until("signed in", PATIENCE, || app.browser().sign_in(&mut passkey).status == 200);
}

/// The other connections would continue to read from a server that receives no more revocations.
#[test]
fn when_one_connection_only_reads_none_of_its_age_is_kept() {
    let app = TestApp::with(&Options { settings: &[("database.pool", "4")], ..Options::default() });
    let written = "INSERT INTO users SELECT * FROM users WHERE false";
    // Holds all connections of the pool at once, so that the server's own work cannot notice anything in between.
    let on_each_of_four = |sql: &'static str, written_by_the_first: Option<&'static str>| {
        let (held, done) = (Barrier::new(4), Barrier::new(4));
        let work = |number: usize| {
            app.db.blocking(|conn| {
                let made = conn.batch_execute(sql);
                held.wait();
                let wrote = written_by_the_first.filter(|_| number == 0).map_or(Ok(()), |sql| conn.batch_execute(sql));
                done.wait();
                Ok(made.and(wrote)?)
            })
        };
        std::thread::scope(|scope| {
            let work = &work;
            let threads: Vec<_> = (0..4).map(|number| scope.spawn(move || work(number))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
        })
    };
    let mut made = on_each_of_four("SET default_transaction_read_only = on", Some(written)).into_iter();
    let refused = made.next().unwrap().expect_err("it only reads");
    assert!(refused.is_read_only(), "{refused}");
    for other in made {
        other.expect("they read only from now on, and were not asked to write");
    }
    for done in on_each_of_four(written, None) {
        done.expect("a connection that writes");
    }
}

/// A server whose clock is ahead would sign tokens that others refuse, and forget what still counts.
#[test]
fn a_server_with_another_time_than_the_database_is_not_ready() {
    let app = TestApp::spawn();
    wait_until("ready", Duration::from_secs(5), || ready(&app.url));
    app.sql(
        "CREATE TABLE ahead AS SELECT interval '3.5 seconds' AS by;
         CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
         'SELECT pg_catalog.clock_timestamp() + by FROM ahead'",
    );
    set_for_new_connections(&app, "search_path = public, pg_catalog");
    cut(&app);
    for (by, names) in [("3.5 seconds", "clock is 3"), ("-61 minutes", "clock is -36"), ("2 seconds", "")] {
        beside(&app, &format!("UPDATE ahead SET by = '{by}'"));
        let told = || {
            let detail = Request::new("GET", &app.admin_url, "/readyz").send().json();
            check(&detail, "clock")["detail"].as_str().unwrap_or_default().to_owned()
        };
        wait_until(by, Duration::from_secs(12), || told().contains(names) && ready(&app.url) == names.is_empty());
    }
}

/// Each would refuse the ceremonies that the other began, so both say so and how to fix it.
#[test]
fn two_servers_with_ceremonies_in_memory_are_unready() {
    let one = TestApp::with(&Options { settings: PRODUCT_LIMITS, ..Options::default() });
    wait_until("ready alone", Duration::from_secs(5), || ready(&one.url));
    let two = TestApp::with(&Options { beside: Some(&one), ..Options::default() });
    for server in [&two, &one] {
        wait_until("unready", Duration::from_secs(12), || !ready(&server.url));
        let detail = Request::new("GET", &server.admin_url, "/readyz").send().expect(503).json();
        let words = check(&detail, "challenges")["detail"].as_str().expect("a detail").to_owned();
        assert!(words.contains("challenges.store = \"database\"") && words.contains("1 other"), "{words}");
        assert_eq!(server.request("GET", "/readyz").send().body, "not ready");
    }
    drop(two);
    wait_until("ready again", Duration::from_secs(12), || ready(&one.url));
}

#[test]
fn servers_with_ceremonies_in_the_database_share_them() {
    let settings = [("challenges.store", "database")];
    let one = TestApp::with(&Options { settings: &settings, ..Options::default() });
    let public_url = one.origin.clone();
    let two = TestApp::with(&Options {
        settings: &settings,
        beside: Some(&one),
        public_url: Some(&public_url),
        ..Options::default()
    });
    let (_, mut passkey) = one.person();
    let begun = one.client("web").begin("openid");
    let credential = passkey.get_uninvited(&begun["publicKey"]);
    two.client("web").finish(&begun, &credential).expect(200);
    one.client("web").finish(&begun, &credential).expect_problem(410, "ceremony_expired_or_used");
    std::thread::sleep(Duration::from_secs(6));
    assert!(ready(&one.url) && ready(&two.url), "both stay ready");
}

/// A private cluster that a test may kill. It stays with one thread, because PostgreSQL ends with the thread that
/// started it.
struct Postgres {
    url: String,
    orders: mpsc::Sender<Order>,
    done: mpsc::Receiver<()>,
}

enum Order {
    Kill,
    Start,
}

impl Postgres {
    fn start(directory: &TempDir) -> Self {
        let data = directory.path().join("data");
        let ((tell, url), (orders, received), (finished, done)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
        std::thread::spawn(move || {
            let cluster = Cluster::start(&data).expect("it starts");
            tell.send(cluster.url()).expect("the test waits");
            let mut cluster = Some(cluster);
            // Ends with the test, which drops the sender.
            while let Ok(order) = received.recv() {
                match order {
                    Order::Kill => {
                        let killed = cluster.take().expect("it runs");
                        let pid = i32::try_from(killed.pid()).ok().and_then(Pid::from_raw).expect("a process id");
                        kill_process(pid, Signal::KILL).expect("kill -9");
                        drop(killed);
                    }
                    Order::Start => cluster = Some(Cluster::start(&data).expect("it starts again")),
                }
                finished.send(()).expect("the test waits");
            }
        });
        Self { url: url.recv().expect("it starts"), orders, done }
    }

    fn order(&self, order: Order) {
        self.orders.send(order).expect("the thread lives");
        self.done.recv().expect("it is done");
    }
}

fn directory() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("PostgreSQL's user may enter");
    directory
}

#[test]
fn postgresql_dies_and_comes_back_without_a_restart_of_ours() {
    let directory = directory();
    let postgres = Postgres::start(&directory);
    let key = directory.path().join("master.key");
    MasterKey::create(&key).expect("a master key");
    let mut command = serve(directory.path(), &[]);
    command.env("DATABASE_URL", &postgres.url).env("PASSMINT_MASTER_KEY_FILE", &key);
    let program = Program::start(command);
    let (mut browser, mut passkey) = (program.browser(), Authenticator::synchronised(&program.origin));
    let who = browser.sign_up(&mut passkey);
    let client = program.client("quickstart");
    let tokens = client.sign_in(&mut passkey, "openid").expect(200).json();
    let refresh = tokens["refreshToken"].as_str().unwrap().to_owned();
    wait_until("ready", Duration::from_secs(5), || ready(&program.url));

    for round in 0..2 {
        postgres.order(Order::Kill);
        let mut asked = 0;
        let began = Instant::now();
        while ready(&program.url) {
            let call = Instant::now();
            let reply = browser.get("/v1/session");
            assert!(call.elapsed() < PATIENCE, "round {round}: {:?}", call.elapsed());
            if reply.status == 200 {
                // A backend may briefly outlive its postmaster; its answer is still correct.
                assert_eq!(reply.json()["user"]["id"], who["user"]["id"]);
            } else {
                unavailable(reply);
                asked += 1;
            }
            assert!(began.elapsed() < Duration::from_secs(12), "round {round}: unready within 5 s and a little");
        }
        assert!(asked > 0, "there was time to ask");
        unavailable(browser.get("/v1/passkeys"));
        browser.get("/account").expect(503);
        client.refresh(&refresh).expect_oauth(503, "temporarily_unavailable");
        browser.request("POST", "/v1/passkeys/authentication/options").json(&json!({})).send().expect(503);
        Request::new("GET", &program.url, "/.well-known/jwks.json").send().expect(200);
        Request::new("GET", &program.url, "/livez").send().expect(200);

        postgres.order(Order::Start);
        wait_until("ready again", Duration::from_secs(6), || ready(&program.url));
        wait_until("served again", Duration::from_secs(3), || browser.get("/v1/session").status == 200);
        assert_eq!(
            browser.get("/v1/session").expect(200).json()["user"]["id"],
            who["user"]["id"],
            "the session is kept"
        );
        browser.sign_in(&mut passkey).expect(200);
    }
    let refreshed = client.refresh(&refresh).expect(200);
    assert!(refreshed.json()["refresh_token"].is_string(), "the refusals did not use it up");
    program.ask_to_stop();
    let (status, said) = program.ended();
    assert_eq!(status.code(), Some(0), "{said}");
}

/// Without its private PostgreSQL a server can do nothing, so it exits with the reason, to be restarted.
#[test]
fn a_server_ends_with_its_private_postgresql() {
    let directory = directory();
    let program = Program::start(serve(directory.path(), &[]));
    let mut browser = program.browser();
    browser.sign_up(&mut Authenticator::synchronised(&program.origin));
    let port = program.port;
    let pid_file = directory.path().join("data/postgres/pg/postmaster.pid");
    let pid: i32 = fs::read_to_string(pid_file).unwrap().lines().next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).expect("kill -9");
    let (status, said) = program.ended();
    assert_eq!(status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("PostgreSQL") && last.contains("start passmint again"), "{last}");
    let program = Program::start_at(serve(directory.path(), &[]), port);
    assert!(browser.get("/v1/session").expect(200).json()["session"].is_object(), "what was confirmed is kept");
    drop(program);
}
