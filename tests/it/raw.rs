//! Raw bytes over a socket: requests that no HTTP client would send, and how a connection ends.
//!
//! [`exchange`] sends bytes and reads until the server closes; a server that never closes fails the test.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::Reply;

/// Longer than any timeout of the servers under test: a server that exceeds it hangs.
const PATIENCE: Duration = Duration::from_secs(6);

/// A connection to a server given by its URL.
pub fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.trim_start_matches("http://")).expect("the server accepts connections");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket option");
    stream.set_nodelay(true).expect("a socket option");
    stream
}

/// Sends bytes. Returns everything that came back until the server closed the connection.
pub fn exchange(url: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(url);
    // A server may answer and close before it has read everything.
    let _ = stream.write_all(bytes);
    let began = Instant::now();
    let got = read_to_end(&mut stream);
    assert!(began.elapsed() < PATIENCE, "the connection hangs on {:?}", String::from_utf8_lossy(bytes));
    got
}

/// Sends a request. Returns its one response without waiting for the end of the connection, which lingers if the server
/// left something unread. None when the server closed without a response.
pub fn ask(url: &str, bytes: &[u8]) -> Option<Reply> {
    let mut stream = connect(url);
    let _ = stream.write_all(bytes);
    let began = Instant::now();
    let (mut got, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    while began.elapsed() < PATIENCE {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(n) => got.extend_from_slice(&buffer[..n]),
        }
        if let Some(end) = find(&got, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&got[..end]).to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            let informational = head.starts_with("http/1.1 1");
            if !informational && length.is_some_and(|length| got.len() >= end + 4 + length.parse::<usize>().unwrap()) {
                break;
            }
        }
    }
    assert!(began.elapsed() < PATIENCE, "the connection hangs on {:?}", String::from_utf8_lossy(bytes));
    answers(&got).into_iter().next()
}

/// Reads until the server closes, or until the time limit: check how long it took.
pub fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let began = Instant::now();
    let (mut out, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    while began.elapsed() < PATIENCE {
        match stream.read(&mut buffer) {
            Ok(0) => return out,
            Ok(n) => out.extend_from_slice(&buffer[..n]),
            // Closed while bytes of ours were in transit.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => return out,
            Err(_) => break,
        }
    }
    // It helps to know which request it was, and only the caller does.
    out
}

/// Every response in what a server sent, without informational ones.
///
/// # Panics
/// When something is not a response: a smuggled second response would look like this to a proxy.
pub fn answers(mut bytes: &[u8]) -> Vec<Reply> {
    let mut replies = Vec::new();
    while !bytes.is_empty() {
        let (reply, rest) = one(bytes);
        if reply.status >= 200 {
            replies.push(reply);
        }
        bytes = rest;
    }
    replies
}

fn one(bytes: &[u8]) -> (Reply, &[u8]) {
    let end = find(bytes, b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
    let head = std::str::from_utf8(&bytes[..end]).expect("headers are text");
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default();
    assert!(start.starts_with("HTTP/1."), "no answer: {start:?}");
    let status = start.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let headers: Vec<(String, String)> = lines
        .map(|line| {
            let (name, value) = line.split_once(':').expect("a header");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        })
        .collect();
    let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let rest = &bytes[end + 4..];
    let length = match (status, header("content-length")) {
        (100..200 | 204 | 304, _) => 0,
        (_, Some(length)) => length.parse().expect("a length"),
        (_, None) => rest.len(),
    };
    assert!(header("transfer-encoding").is_none(), "our answers have a length: {head}");
    assert!(rest.len() >= length, "the answer is cut short: {head}");
    let body = String::from_utf8(rest[..length].to_vec()).expect("our answers are text");
    (Reply { status, headers, body }, &rest[length..])
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
