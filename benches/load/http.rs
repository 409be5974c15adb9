//! A keep-alive HTTP/1.1 client that uses as little of the generator's CPU time as possible.
//!
//! One [`Client`] is one connection. It writes a request in one piece and reads an answer with a `Content-Length`, the
//! only kind that the server under test sends.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::Result;

/// An answer; valid until the next request.
pub struct Answer<'a> {
    pub status: u16,
    /// Status line and headers.
    head: &'a [u8],
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// Returns the JSON of an answer with status 200; any other answer is a fault that quotes it.
    pub fn json(&self) -> Result<Value> {
        Ok(serde_json::from_slice(self.expect_ok()?)?)
    }

    /// Returns the body of an answer with status 200.
    pub fn expect_ok(&self) -> Result<&[u8]> {
        if self.status == 200 {
            return Ok(self.body);
        }
        Err(format!("answered {}: {}", self.status, String::from_utf8_lossy(self.body)).into())
    }

    /// Returns the value of a header, the first of several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = str::from_utf8(self.head).ok()?.split("\r\n").skip(1);
        let mut fields = lines.filter_map(|line| line.split_once(':'));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// One connection, opened when first needed.
pub struct Client {
    target: SocketAddr,
    source: Ipv4Addr,
    stream: Option<TcpStream>,
    out: Vec<u8>,
    input: Vec<u8>,
}

impl Client {
    /// A client at 127.0.0.1.
    pub fn new(target: SocketAddr) -> Self {
        Self::at(target, Ipv4Addr::LOCALHOST)
    }

    /// A client at another address of 127.0.0.0/8, so that the server counts it separately.
    pub fn at(target: SocketAddr, source: Ipv4Addr) -> Self {
        Self { target, source, stream: None, out: Vec::with_capacity(2048), input: Vec::with_capacity(8192) }
    }

    pub fn get(&mut self, path: &str) -> Result<Answer<'_>> {
        self.send("GET", path, "", b"")
    }

    /// Opens a page as a browser that sends a cookie (`name=value`).
    pub fn browse(&mut self, path: &str, cookie: &str) -> Result<Answer<'_>> {
        self.send("GET", path, &format!("Cookie: {cookie}\r\n"), b"")
    }

    /// Posts JSON as a page of `origin` would, with its browser's cookie, if any.
    pub fn post_json(&mut self, path: &str, origin: &str, cookie: Option<&str>, body: &Value) -> Result<Answer<'_>> {
        let mut headers = format!("Content-Type: application/json\r\nOrigin: {origin}\r\n");
        if let Some(cookie) = cookie {
            headers = format!("{headers}Cookie: {cookie}\r\n");
        }
        self.send("POST", path, &headers, &serde_json::to_vec(body)?)
    }

    /// Posts a form that is already encoded; `authorization` is the header's value or empty.
    pub fn post_form(&mut self, path: &str, authorization: &str, body: &str) -> Result<Answer<'_>> {
        let mut headers = String::from("Content-Type: application/x-www-form-urlencoded\r\n");
        if !authorization.is_empty() {
            headers = format!("{headers}Authorization: {authorization}\r\n");
        }
        self.send("POST", path, &headers, body.as_bytes())
    }

    /// Closes the connection; the next request opens another.
    pub fn hang_up(&mut self) {
        self.stream = None;
    }

    fn send(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Answer<'_>> {
        self.out.clear();
        write!(self.out, "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\n{headers}", self.target.port())?;
        if method == "POST" {
            write!(self.out, "Content-Length: {}\r\n", body.len())?;
        }
        self.out.extend(b"\r\n");
        self.out.extend(body);
        let result = self.exchange();
        match result {
            Ok((status, start)) => {
                let (head, body) = self.input.split_at(start);
                Ok(Answer { status, head, body })
            }
            Err(fault) => {
                self.stream = None;
                Err(format!("{method} {path}: {fault}").into())
            }
        }
    }

    /// Sends what is in `out`. Leaves the whole answer in `input`, and returns its status and the offset of its body.
    fn exchange(&mut self) -> Result<(u16, usize)> {
        if self.stream.is_none() {
            self.stream = Some(connect(self.target, self.source)?);
        }
        let stream = self.stream.as_mut().ok_or("not connected")?;
        stream.write_all(&self.out)?;
        self.input.clear();
        loop {
            read_more(stream, &mut self.input)?;
            if let Some((status, start, length, closes)) = head(&self.input)? {
                while self.input.len() < start + length {
                    read_more(stream, &mut self.input)?;
                }
                if closes {
                    self.stream = None;
                }
                return Ok((status, start));
            }
        }
    }
}

fn connect(target: SocketAddr, source: Ipv4Addr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if source != Ipv4Addr::LOCALHOST {
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    socket.connect(&target.into())?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(socket.into())
}

fn read_more(stream: &mut TcpStream, input: &mut Vec<u8>) -> Result<()> {
    let held = input.len();
    input.resize(held + 8192, 0);
    let read = stream.read(&mut input[held..]);
    input.truncate(held + *read.as_ref().unwrap_or(&0));
    if read? == 0 {
        return Err("the server closed the connection".into());
    }
    Ok(())
}

/// Returns the status, the offset of the body, its length and whether the server closes afterwards; `None` while the
/// head is incomplete.
fn head(input: &[u8]) -> Result<Option<(u16, usize, usize, bool)>> {
    let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = str::from_utf8(&input[..end])?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("an answer without a status")?.parse()?;
    let (mut length, mut closes) = (0, false);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.trim().eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err("an answer in chunks".into());
        }
    }
    Ok(Some((status, end + 4, length, closes)))
}
