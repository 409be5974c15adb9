//! The NATS client protocol, as far as a subscriber that answers requests needs it.
//!
//! Source: docs.nats.io, "Client Protocol". Lines end with CR LF; verbs are case-insensitive; a message is a line
//! followed by the number of bytes that the line states.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Identity;

/// Maximum length of a line: the `INFO` of a server names every server of its cluster.
const MOST_LINE: usize = 32 * 1024;
/// Maximum size of a message: a request is a JWT that contains another one.
pub const MOST_MESSAGE: usize = 64 * 1024;
/// The subject of authorization requests.
pub const SUBJECT: &str = "$SYS.REQ.USER.AUTH";
/// The queue group: each request is sent to one of its members.
const QUEUE: &str = "passmint";

/// What a server announces about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Info {
    /// The nonce to sign.
    pub nonce: Option<String>,
    /// Whether it requires TLS.
    pub tls_required: bool,
    /// Whether it supports TLS.
    pub tls_available: bool,
}

/// A protocol message of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// `INFO`
    Info(Info),
    /// `PING`
    Ping,
    /// `PONG`
    Pong,
    /// `+OK`
    Done,
    /// `-ERR`
    Error(String),
    /// `MSG` or `HMSG`.
    Message(Message),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The subject for the answer.
    pub reply: Option<String>,
    /// Its content, without headers.
    pub payload: Vec<u8>,
}

/// Something that is not the NATS protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not speak the protocol of NATS")]
pub struct NotNats;

/// Takes the first protocol message from what was read; `None` while it is incomplete.
///
/// # Errors
/// [`NotNats`].
pub fn take(read: &mut Vec<u8>) -> Result<Option<Said>, NotNats> {
    let Some(end) = read.windows(2).take(MOST_LINE).position(|two| two == b"\r\n") else {
        return if read.len() > MOST_LINE { Err(NotNats) } else { Ok(None) };
    };
    let line = std::str::from_utf8(&read[..end]).map_err(|_| NotNats)?;
    let (verb, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let rest = rest.trim();
    let said = match verb.to_ascii_uppercase().as_str() {
        "INFO" => Said::Info(info(rest).ok_or(NotNats)?),
        "PING" => Said::Ping,
        "PONG" => Said::Pong,
        "+OK" => Said::Done,
        "-ERR" => Said::Error(printable(rest)),
        "MSG" => return message(&Line::read(rest, false)?, read, end + 2),
        "HMSG" => return message(&Line::read(rest, true)?, read, end + 2),
        _ => return Err(NotNats),
    };
    read.drain(..end + 2);
    Ok(Some(said))
}

fn info(text: &str) -> Option<Info> {
    let members: Map<String, Value> = serde_json::from_str(text).ok()?;
    serde_json::from_value(Value::Object(members)).ok()
}

/// `subject sid [reply] [header bytes] bytes`
struct Line {
    reply: Option<String>,
    header: usize,
    total: usize,
}

impl Line {
    fn read(text: &str, with_header: bool) -> Result<Self, NotNats> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (mut rest, number) = (words.as_slice(), |word: &str| word.parse::<usize>().map_err(|_| NotNats));
        let mut last = || {
            let (last, others) = rest.split_last().ok_or(NotNats)?;
            rest = others;
            number(last)
        };
        let total = last()?;
        let header = if with_header { last()? } else { 0 };
        let reply = match rest {
            [_, _] => None,
            [_, _, reply] => Some((*reply).to_owned()),
            _ => return Err(NotNats),
        };
        if header > total || total > MOST_MESSAGE { Err(NotNats) } else { Ok(Self { reply, header, total }) }
    }
}

fn message(line: &Line, read: &mut Vec<u8>, start: usize) -> Result<Option<Said>, NotNats> {
    let end = start + line.total;
    if read.len() < end + 2 {
        return Ok(None);
    }
    if &read[end..end + 2] != b"\r\n" {
        return Err(NotNats);
    }
    let message = Message { reply: line.reply.clone(), payload: read[start + line.header..end].to_vec() };
    read.drain(..end + 2);
    Ok(Some(Said::Message(message)))
}

/// Our first message: who we are, and the proof of it.
pub fn connect(identity: &Identity, nonce: &str, encrypted: bool) -> Vec<u8> {
    let said = json!({
        "verbose": false, "pedantic": false, "tls_required": encrypted, "nkey": identity.public(),
        "sig": identity.prove(nonce), "name": "passmint", "lang": "rust", "version": env!("CARGO_PKG_VERSION"),
        "protocol": 1, "headers": true, "no_responders": true, "echo": false,
    });
    format!("CONNECT {said}\r\nPING\r\n").into_bytes()
}

/// Subscribes to authorization requests.
pub fn subscribe() -> Vec<u8> {
    format!("SUB {SUBJECT} {QUEUE} 1\r\nPING\r\n").into_bytes()
}

/// Publishes an answer.
pub fn publish(subject: &str, payload: &[u8]) -> Vec<u8> {
    let mut said = format!("PUB {subject} {}\r\n", payload.len()).into_bytes();
    said.extend_from_slice(payload);
    said.extend_from_slice(b"\r\n");
    said
}

/// Text from another program, escaped for a log.
fn printable(text: &str) -> String {
    text.trim_matches('\'').chars().take(200).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Result<Vec<Said>, NotNats> {
        let (mut read, mut said) = (text.to_vec(), Vec::new());
        while let Some(one) = take(&mut read)? {
            said.push(one);
        }
        assert!(read.is_empty(), "{read:?}");
        Ok(said)
    }

    fn message(reply: Option<&str>, payload: &[u8]) -> Said {
        Said::Message(Message { reply: reply.map(ToOwned::to_owned), payload: payload.to_vec() })
    }

    #[test]
    fn what_a_server_says_is_read() {
        let info = Info { nonce: Some("n".to_owned()), tls_required: true, tls_available: false };
        assert_eq!(
            all(b"INFO {\"server_id\":\"x\",\"nonce\":\"n\",\"tls_required\":true} \r\nPING\r\npong\r\n+OK\r\n-ERR 'No\x1b'\r\n").unwrap(),
            [Said::Info(info), Said::Ping, Said::Pong, Said::Done, Said::Error("No\\u{1b}".to_owned())]
        );
        assert_eq!(
            all(b"MSG a.b 1 5\r\nhe\r\no\r\nMSG a.b 1 reply.to 0\r\n\r\nHMSG a 1 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\nHMSG a 1 12 12\r\nNATS/1.0\r\n\r\n\r\n").unwrap(),
            [message(None, b"he\r\no"), message(Some("reply.to"), b""), message(Some("r"), b"hi"), message(None, b"")]
        );
    }

    #[test]
    fn half_of_it_waits_for_the_rest() {
        let whole = b"MSG a 1 r 5\r\nhello\r\n";
        for length in 0..whole.len() {
            assert_eq!(take(&mut whole[..length].to_vec()), Ok(None), "{length}");
        }
    }

    #[test]
    fn anything_else_ends_the_talk() {
        let long = [vec![b'x'; MOST_LINE + 1], b"\r\n".to_vec()].concat();
        for text in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"INFO\r\n",
            b"INFO []\r\n",
            b"MSG a 1\r\n",
            b"MSG a 1 r x\r\n",
            b"MSG a 1 r s 1\r\nx\r\n",
            b"MSG a 1 r 1\r\nxyz",
            b"MSG a 1 r 65537\r\n",
            b"MSG a 1 r -1\r\n",
            b"MSG a 1 r 99999999999999999999999\r\n",
            b"HMSG a 1 5 4\r\nxxxx\r\n",
            b"HMSG a 1 r 4\r\nxxxx\r\n",
            b"\xff\r\n",
            &long,
        ] {
            assert_eq!(take(&mut text.to_vec()), Err(NotNats), "{:?}", String::from_utf8_lossy(text));
        }
    }
}
