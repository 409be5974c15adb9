//! A database that stops answering without closing its connections, as when a machine loses power or a firewall forgets
//! a connection: bytes go out, nothing comes back, and no error is reported. Also a database whose answer is lost on
//! the way.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::RunQueryDsl as _;

use crate::support::tokens::{Tokens, at_once};
use crate::support::{Options, PRODUCT_LIMITS, Request, TestApp};

/// The longest that anybody may be kept waiting: 2 s for a connection, 2 s for a statement, 1 s for the round trip, and
/// as much again for a slow machine. Without a limit it would be minutes.
const PATIENCE: Duration = Duration::from_secs(12);

/// Whether the work was done.
type Done = Box<dyn Fn() -> bool + Send>;

/// A TCP proxy in front of PostgreSQL's socket that can be told to swallow everything sent, or to lose answers.
struct Hole {
    port: u16,
    swallows: Arc<AtomicBool>,
    loses: Arc<Mutex<Option<Done>>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Hole {
    fn before(socket: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (swallows, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let loses: Arc<Mutex<Option<Done>>> = Arc::default();
        let (swallowing, losing, kept) = (Arc::clone(&swallows), Arc::clone(&loses), Arc::clone(&open));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if swallowing.load(Ordering::SeqCst) {
                    // Never answered and never closed, even after the database is back.
                    std::mem::forget(client);
                    continue;
                }
                kept.lock().unwrap().push(client.try_clone().unwrap());
                let server = UnixStream::connect(&socket).unwrap();
                let (from_client, to_client) = (client.try_clone().unwrap(), client);
                let (from_server, to_server) = (server.try_clone().unwrap(), server);
                let flag = Arc::clone(&swallowing);
                std::thread::spawn(move || pass(from_client, to_server, &flag));
                let (flag, losing) = (Arc::clone(&swallowing), Arc::clone(&losing));
                std::thread::spawn(move || pass_back(from_server, to_client, &flag, &losing));
            }
        });
        Self { port, swallows, loses, open }
    }

    /// From now on nothing is answered, on any connection, old or new.
    fn swallow(&self) {
        self.swallows.store(true, Ordering::SeqCst);
    }

    /// From now on, once `done` holds, answers are lost together with their connections.
    fn lose_answers_once(&self, done: impl Fn() -> bool + Send + 'static) {
        *self.loses.lock().unwrap() = Some(Box::new(done));
    }

    fn lose_no_more(&self) {
        *self.loses.lock().unwrap() = None;
    }

    /// The database is back, and closes the connections it had before.
    fn reopen(&self) {
        self.swallows.store(false, Ordering::SeqCst);
        for client in self.open.lock().unwrap().drain(..) {
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

/// Forwards bytes until either side ends.
fn pass(mut from: impl Read, mut to: impl Write, swallows: &AtomicBool) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !swallows.load(Ordering::SeqCst) && to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// Forwards answers; an answer that is to be lost ends the connection instead.
fn pass_back(mut from: UnixStream, mut to: TcpStream, swallows: &AtomicBool, loses: &Mutex<Option<Done>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if loses.lock().unwrap().as_ref().is_some_and(|done| done()) {
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
        if !swallows.load(Ordering::SeqCst) && to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// A server whose database is behind a hole, sharing it with one that reaches it directly.
fn behind_a_hole(inner: &TestApp, more: &[(&str, &str)]) -> (Hole, TestApp) {
    let url = inner.database_url();
    // postgres://user@/database?port=5432&host=directory
    let (user, rest) = url.trim_start_matches("postgres://").split_once("@/").unwrap();
    let (database, query) = rest.split_once('?').unwrap();
    let of_query = |name: &str| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(known, _)| known == name).unwrap().1.into_owned()
    };
    let hole = Hole::before(format!("{}/.s.PGSQL.{}", of_query("host"), of_query("port")));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("postgres://{user}@127.0.0.1:{}/{database}", hole.port)).unwrap();
    let settings = [
        ("challenges.store", "database"),
        ("database.url_file", file.path().to_str().unwrap()),
        ("database.pool", "4"),
        ("workers", "2"),
    ];
    let settings = [&settings[..], more].concat();
    let app = TestApp::with(&Options { settings: &settings, beside: Some(inner), ..Options::default() });
    (hole, app)
}

fn inner() -> TestApp {
    TestApp::with(&Options { settings: &[("challenges.store", "database")], ..Options::default() })
}

#[test]
fn a_database_that_swallows_everything_is_503_in_time() {
    let inner = inner();
    let (hole, app) = behind_a_hole(&inner, PRODUCT_LIMITS);
    let (mut person, _) = app.person();
    let ready = || Request::new("GET", &app.url, "/readyz").send().status == 200;
    assert!(ready());

    hole.swallow();
    for round in ["with connections that were good", "with none"] {
        let answers = at_once(12, |_| {
            let began = Instant::now();
            (person.request("GET", "/v1/session").send().status, began.elapsed())
        });
        for (status, took) in answers {
            assert_eq!(status, 503, "{round}");
            assert!(took < PATIENCE, "{round}: {took:?}");
        }
    }
    let began = Instant::now();
    while ready() {
        assert!(began.elapsed() < Duration::from_secs(12), "it is not unready");
        std::thread::sleep(Duration::from_millis(50));
    }
    app.request("GET", "/livez").send().expect(200);

    hole.reopen();
    let began = Instant::now();
    while !ready() {
        assert!(began.elapsed() < Duration::from_secs(15), "it does not come back");
        std::thread::sleep(Duration::from_millis(50));
    }
    person.get("/v1/session").expect(200);
}

/// The connection is lost between a commit and its answer, so that only the database knows that the work was done. A
/// retry returns what was made then, or is refused; nothing is made twice, and the audit trail records what was done.
#[test]
fn a_commit_whose_answer_is_lost_counts_once() {
    let inner = inner();
    let (hole, app) = behind_a_hole(&inner, &[]);
    let (_, mut passkey, first) = app.person_with_tokens("openid");
    let client = app.client("web");
    let lose_once_there_are = |rows: usize, sql: &'static str| {
        let db = inner.db.clone();
        let found = move || db.blocking(|conn| Ok(diesel::sql_query(sql).execute(conn)?));
        hole.lose_answers_once(move || found().is_ok_and(|found| found >= rows));
    };

    lose_once_there_are(1, "SELECT 1 FROM refresh_tokens WHERE generation = 1");
    client.refresh(&first.refresh).expect_oauth(503, "temporarily_unavailable");
    hole.lose_no_more();
    let second = Tokens::of(&client.refresh(&first.refresh).expect(200).json());
    assert_eq!(inner.count("SELECT generation::bigint AS n FROM refresh_tokens"), 1, "rotated once");
    client.refresh(&second.refresh).expect(200);
    assert_eq!(inner.events("token.refresh_replayed"), 0, "nobody was taken for a thief");

    let sessions = || inner.count("SELECT count(*) AS n FROM sessions");
    let before = (sessions(), inner.events("session.signed_in"));
    let begun = client.begin("openid");
    let answer = passkey.get_uninvited(&begun["publicKey"]);
    lose_once_there_are(usize::try_from(before.0 + 1).unwrap(), "SELECT 1 FROM sessions");
    client.finish(&begun, &answer).expect_problem(503, "unavailable");
    hole.lose_no_more();
    client.finish(&begun, &answer).expect_problem(410, "ceremony_expired_or_used");
    assert_eq!((sessions(), inner.events("session.signed_in")), (before.0 + 1, before.1 + 1));
    client.sign_in(&mut passkey, "openid").expect(200);
}
