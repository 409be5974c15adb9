//! Auth callout of NATS: its server asks about every connection on a subject of its own, and we answer.
//!
//! [`service`] keeps a connection to the NATS of each bridge of that kind ([`connection`], [`wire`]), [`request`] reads what its
//! server asks, [`answer`] decides and answers.
//!
//! What must always hold: a question counts only with the signature of the server that it names; an answer is bound to that
//! server and to the key that it made for the one connection; and of a refusal NATS learns no more than a caller over HTTP.
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

/// Where a NATS is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its host.
    pub host: Host<String>,
    /// Its port.
    pub port: u16,
    /// Whether TLS is asked for; without it only a private address is gone to.
    pub encrypted: bool,
}

impl Address {
    /// Reads `tls://host[:port]` or `nats://host[:port]`; `None` for anything else. The usual port is 4222.
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
