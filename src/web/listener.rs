//! Listening sockets.

use std::io::{Error, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use rustix::io::Errno;

/// Binds all addresses; `key` is the setting that names them. The IPv6 loopback address may fail if the IPv4 one is
/// listed with the same port: a machine without IPv6 has no `::1`.
///
/// # Errors
/// What is wrong with the first address that cannot be bound, and what to do.
pub fn bind_all(addresses: &[SocketAddr], key: &str) -> Result<Vec<TcpListener>, String> {
    let mut bound = Vec::with_capacity(addresses.len());
    for address in addresses {
        match listen(*address) {
            Ok(listener) => bound.push(listener),
            Err(error) if may_be_missing(*address, addresses, &error) => {
                tracing::info!(%address, "not listening there: this machine has no IPv6");
            }
            Err(error) => return Err(refusal(*address, key, &error)),
        }
    }
    Ok(bound)
}

/// Binds one address.
///
/// # Errors
/// What is wrong with the address, and what to do.
pub fn bind(address: SocketAddr, key: &str) -> Result<TcpListener, String> {
    listen(address).map_err(|error| refusal(address, key, &error))
}

/// Whether a failure to bind this address can be ignored: it is the IPv6 loopback address on a machine without IPv6,
/// and the IPv4 loopback address has the same port.
pub fn may_be_missing(address: SocketAddr, all: &[SocketAddr], error: &Error) -> bool {
    let without =
        error.kind() == ErrorKind::AddrNotAvailable || Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT);
    without
        && address.ip() == Ipv6Addr::LOCALHOST
        && all.contains(&SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())))
}

fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn refusal(address: SocketAddr, key: &str, error: &Error) -> String {
    let cure = match error.kind() {
        ErrorKind::AddrInUse => format!(
            "another program listens there; stop it, or choose another port with `{key}` (or another `public_url`)"
        ),
        ErrorKind::PermissionDenied => {
            "ports below 1024 want privileges; choose a higher one behind a proxy".to_owned()
        }
        ErrorKind::AddrNotAvailable => format!("this machine has no such address; mend `{key}`"),
        _ => format!("mend `{key}`"),
    };
    format!("cannot listen on {address}: {cure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loopback_without_ipv6_may_be_missing() {
        let (missing, unknown) = (Error::from(ErrorKind::AddrNotAvailable), Error::from(Errno::AFNOSUPPORT));
        let taken = Error::from(ErrorKind::AddrInUse);
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let both = [address("127.0.0.1:8080"), address("[::1]:8080")];
        for (one, all, error, may) in [
            ("[::1]:8080", &both[..], &missing, true),
            ("[::1]:8080", &both[..], &unknown, true),
            ("[::1]:8080", &both[..], &taken, false),
            ("127.0.0.1:8080", &both[..], &missing, false),
            ("[::1]:8080", &both[1..], &missing, false),
            ("[::1]:9090", &both[..], &missing, false),
            ("[2001:db8::1]:8080", &both[..], &missing, false),
        ] {
            assert_eq!(may_be_missing(address(one), all, error), may, "{one} of {all:?}: {error}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_told() {
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = other.local_addr().unwrap();
        let told = bind_all(&[address], "listen").unwrap_err();
        assert_eq!(told, bind(address, "listen").unwrap_err());
        assert!(told.starts_with(&format!("cannot listen on {address}: another program listens there")), "{told}");
    }
}
