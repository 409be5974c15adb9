//! A database that no longer answers and does not say so: a machine that lost its power, a firewall that forgot a
//! connection. Bytes go out and nothing comes back, so nobody is told of an error.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::tokens::at_once;
use crate::support::{Options, PRODUCT_LIMITS, Request, TestApp};

/// The longest that anybody is kept waiting: 2 s for a connection, 2 s for a statement, 1 s for the way, and as much again
/// for a slow machine; without a bound it would be minutes.
const PATIENCE: Duration = Duration::from_secs(12);

/// A TCP port before PostgreSQL's socket, which on command swallows all that is sent.
struct Hole {
    port: u16,
    swallows: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Hole {
    fn before(socket: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (swallows, open) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (swallowing, kept) = (Arc::clone(&swallows), Arc::clone(&open));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if swallowing.load(Ordering::SeqCst) {
                    // Never answered and never closed, not even when the database is back.
                    std::mem::forget(client);
                    continue;
                }
                kept.lock().unwrap().push(client.try_clone().unwrap());
                let server = UnixStream::connect(&socket).unwrap();
                let (from_client, to_client) = (client.try_clone().unwrap(), client);
                let (from_server, to_server) = (server.try_clone().unwrap(), server);
                let flag = Arc::clone(&swallowing);
                std::thread::spawn(move || pass(from_client, to_server, &flag));
                let flag = Arc::clone(&swallowing);
                std::thread::spawn(move || pass(from_server, to_client, &flag));
            }
        });
        Self { port, swallows, open }
    }

    /// From now on nothing is answered, on no connection, old or new.
    fn swallow(&self) {
        self.swallows.store(true, Ordering::SeqCst);
    }

    /// The database is back, and says of the connections it once had that they are lost.
    fn reopen(&self) {
        self.swallows.store(false, Ordering::SeqCst);
        for client in self.open.lock().unwrap().drain(..) {
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

/// Passes bytes on until either side ends.
fn pass(mut from: impl Read, mut to: impl Write, swallows: &AtomicBool) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !swallows.load(Ordering::SeqCst) && to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

#[test]
fn a_database_that_swallows_everything_is_503_in_time() {
    let inner = TestApp::with(&Options { settings: &[("challenges.store", "database")], ..Options::default() });
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
    let settings = [&settings[..], PRODUCT_LIMITS].concat();
    let app = TestApp::with(&Options { settings: &settings, beside: Some(&inner), ..Options::default() });
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
