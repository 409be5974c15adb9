//! Auth callout of NATS: its server asks about every connection on a special subject, and we answer.
//!
//! [`service`] keeps a connection to the NATS server of each bridge of that kind ([`connection`], [`wire`]),
//! [`request`] reads the requests, and [`answer`] decides and answers.
//!
//! What must always hold: a request counts only with the signature of the server that it names; an answer is bound to
//! that server and to the key that it created for this one connection; and a refusal tells NATS no more than it would
//! tell a caller over HTTP.
//!
//! Source: docs.nats.io, "Auth Callout", and nats-server's `server/auth_callout.go`, 2.10 and later.

pub mod answer;
mod connection;
mod identity;
mod request;
pub mod service;
mod wire;

use url::{Host, Url};

pub use self::identity::Identity;

/// The address of a NATS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its host.
    pub host: Host<String>,
    /// Its port.
    pub port: u16,
    /// Whether to use TLS. Without it, only a private address is allowed.
    pub encrypted: bool,
}

impl Address {
    /// Parses `tls://host[:port]` or `nats://host[:port]`; `None` for anything else. The default port is 4222.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let encrypted = match url.scheme() {
            "tls" => true,
            "nats" => false,
            _ => return None,
        };
        let bare = matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let port = url.port().unwrap_or(4222);
        let host = Host::parse(url.host_str()?).ok()?;
        (bare && port != 0).then_some(Self { host, port, encrypted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_scheme_host_and_port() {
        for (text, port, encrypted) in [
            ("tls://nats.example.com", 4222, true),
            ("tls://nats.example.com:4443/", 4443, true),
            ("nats://127.0.0.1:4222", 4222, false),
            ("nats://[::1]:1", 1, false),
        ] {
            let address = Address::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((address.port, address.encrypted), (port, encrypted), "{text}");
        }
        let host = Address::parse("nats://127.0.0.1").unwrap().host;
        assert_eq!(host, Host::<String>::Ipv4([127, 0, 0, 1].into()));
        for text in [
            "",
            "nats.example.com:4222",
            "https://nats.example.com",
            "ws://nats.example.com",
            "tls://",
            "tls://user@nats.example.com",
            "tls://user:secret@nats.example.com",
            "tls://nats.example.com:0",
            "tls://nats.example.com/x",
            "tls://nats.example.com?x",
            "tls://nats.example.com#x",
            "tls://a b",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}
