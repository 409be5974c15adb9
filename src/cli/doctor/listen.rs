//! Tests whether the addresses are free, or our own server listens there.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::Report;
use crate::config::Config;
use crate::web::listener::may_be_missing;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tests each address.
pub(super) fn examine(report: &mut Report, config: &Config) {
    for address in &config.server.listen {
        let judged = match TcpListener::bind(address) {
            Err(error) if may_be_missing(*address, &config.server.listen, &error) => {
                Ok("left out: this machine has no IPv6".to_owned())
            }
            bound => judge(bound, *address, ("listen", "/readyz"), config.tls.is_some()),
        };
        report.note(format!("listen {address}"), judged);
    }
    if let Some(address) = config.server.admin_listen {
        // The administration listener answers readiness with its own list.
        let judged = judge(TcpListener::bind(address), address, ("admin_listen", "/readyz"), false);
        report.note(format!("admin_listen {address}"), judged);
    }
}

fn judge(
    bound: std::io::Result<TcpListener>,
    address: SocketAddr,
    (key, path): (&str, &str),
    tls: bool,
) -> Result<String, String> {
    let Err(error) = bound else { return Ok("free".to_owned()) };
    match error.kind() {
        ErrorKind::AddrInUse if tls => {
            Ok("in use, by a running server or by another program: over TLS this is not checked further".to_owned())
        }
        ErrorKind::AddrInUse => match ask(address, path) {
            Some((200, _)) => Ok("a Passmint server answers there and is ready".to_owned()),
            Some((503, _)) => {
                Err("a Passmint server answers there and is not ready: look at /readyz on its administration listener"
                    .to_owned())
            }
            _ => Err(format!("another program listens there: stop it, or choose another port with `{key}`")),
        },
        ErrorKind::PermissionDenied => {
            Err("ports below 1024 want privileges: choose a higher one behind a proxy".to_owned())
        }
        ErrorKind::AddrNotAvailable => Err(format!("this machine has no such address: mend `{key}`")),
        _ => Err(format!("{error}: mend `{key}`")),
    }
}

/// The status and body of a GET, if a Passmint server responds.
fn ask(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&reachable(address), PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    // What was read before a timeout may be the complete response.
    let _ = stream.take(64 * 1024).read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let ours = ["ready", "not ready"].contains(&body.trim()) || body.contains("\"name\":\"challenges\"");
    ours.then(|| (status, body.to_owned()))
}

/// The address under which a wildcard address can be reached.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_on_the_port_is_told_from_ours() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in other.incoming().flatten() {
                let mut stream = stream;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n<html>");
            }
        });
        let refusal = judge(TcpListener::bind(address), address, ("listen", "/readyz"), false).unwrap_err();
        assert!(refusal.starts_with("another program listens there"), "{refusal}");
    }
}
