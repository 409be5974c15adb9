//! An app's server that is notified of logouts: a small HTTP server that keeps what it receives and answers as a test
//! wants.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::tokens::claims;

/// One request.
#[derive(Clone, Debug)]
pub struct Hit {
    /// `POST /path`.
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Hit {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The logout token, which must be the only field of the form.
    pub fn logout_token(&self) -> String {
        let pairs: Vec<_> = url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect();
        assert_eq!(pairs.len(), 1, "{}", self.body);
        assert_eq!(pairs[0].0, "logout_token");
        pairs[0].1.clone()
    }

    /// The session that it reports as ended.
    pub fn sid(&self) -> String {
        claims(&self.logout_token())["sid"].as_str().expect("a session").to_owned()
    }
}

/// The exact bytes that are sent back for a request.
type Raw = Arc<dyn Fn(&Hit) -> Vec<u8> + Send + Sync>;

#[derive(Default)]
struct Shared {
    hits: Mutex<Vec<Hit>>,
    answers: Mutex<VecDeque<(u16, Duration)>>,
    always: Mutex<Option<u16>>,
    page: Mutex<Option<String>>,
    raw: Mutex<Option<Raw>>,
}

/// The server; it lives as long as the test.
#[derive(Clone)]
pub struct Receiver {
    /// The URL it listens on, without a path.
    pub url: String,
    shared: Arc<Shared>,
}

impl Receiver {
    /// Answers 200 to everything.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&theirs);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { url, shared }
    }

    /// Answers the next requests with these statuses, each after a delay; then 200 again.
    pub fn answers(&self, answers: &[(u16, Duration)]) {
        lock(&self.shared.answers).extend(answers);
    }

    /// Answers everything with this status.
    pub fn always(&self, status: u16) {
        *lock(&self.shared.always) = Some(status);
    }

    /// Answers everything with this body.
    pub fn says(&self, page: &str) {
        *lock(&self.shared.page) = Some(page.to_owned());
    }

    /// Answers everything with exactly these bytes; if there are none, the connection is cut.
    pub fn sends(&self, raw: impl Fn(&Hit) -> Vec<u8> + Send + Sync + 'static) {
        *lock(&self.shared.raw) = Some(Arc::new(raw));
    }

    /// Answers everything with this JSON.
    pub fn replies(&self, body: &serde_json::Value) {
        let body = body.to_string();
        self.sends(move |_| http(200, "application/json", body.as_bytes()));
    }

    /// The requests so far.
    pub fn hits(&self) -> Vec<Hit> {
        lock(&self.shared.hits).clone()
    }
}

/// A response, byte for byte.
pub fn http(status: u16, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() || line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let Some(first) = lines.first() else { return };
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    let hit = Hit { line: first.trim_end_matches(" HTTP/1.1").to_owned(), headers, body: String::new() };
    let length = hit.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let hit = Hit { body: String::from_utf8_lossy(&body).into_owned(), ..hit };
    lock(&shared.hits).push(hit.clone());
    let raw = lock(&shared.raw).clone();
    if let Some(raw) = raw {
        let _ = reader.get_mut().write_all(&raw(&hit));
        return;
    }
    let (status, after) =
        lock(&shared.answers).pop_front().unwrap_or_else(|| (lock(&shared.always).unwrap_or(200), Duration::ZERO));
    std::thread::sleep(after);
    let usual = || "<!doctype html><title>signed out</title>".to_owned();
    let page = lock(&shared.page).clone().unwrap_or_else(usual);
    let _ = write!(
        reader.get_mut(),
        "HTTP/1.1 {status} Whatever\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
}
