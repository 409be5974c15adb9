//! Requests that we send to other servers.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use url::Host;

use super::problems::{Wrong, quoted};
use super::reader::Reader;
use super::section::{Fallback, Key, Kind, Section};

/// Settings for outbound requests.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// Whether private and loopback addresses may be contacted.
    pub allow_private_addresses: bool,
    /// Hosts that may have private and loopback addresses even if others may not, as `url::Host` prints them.
    pub private_hosts: Vec<String>,
    /// Additional trusted certificate authorities, PEM.
    pub extra_ca_file: Option<PathBuf>,
}

pub(super) const SECTION: Section = Section {
    title: "Outbound requests",
    doc: "What the server fetches from clients and sends to them: their `jwks_uri`, documents they refer to, notices \
        of ended sessions. Only https, only public addresses, no redirects, no proxies.",
    keys: &[
        Key {
            path: "outbound.allow_private_addresses",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether addresses of this machine and of private networks may be called too, also without TLS. \
                Switch it on only if apps run in your own network and everybody who may register clients may know that \
                network. Link-local addresses, such as those of cloud metadata, remain blocked.",
        },
        Key {
            path: "outbound.private_hosts",
            kind: Kind::List("host"),
            default: Fallback::Value(""),
            doc: "Hosts, by name or address and without port, that may be on this machine or in a private network, \
                also without TLS, while all others may not: `[\"hooks.internal\", \"10.1.2.3\"]`. This is enough for \
                your own hooks, webhooks and bridges, and reveals nothing about the rest of that network to those who \
                register clients.",
        },
        Key {
            path: "outbound.extra_ca_file",
            kind: Kind::Path,
            default: Fallback::Unset,
            doc: "A PEM file of certificate authorities, trusted in addition to those that browsers trust, for apps \
                with certificates of your own authority.",
        },
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>) -> Outbound {
    Outbound {
        allow_private_addresses: reader.switch("outbound.allow_private_addresses"),
        private_hosts: reader.list_as("outbound.private_hosts", host).unwrap_or_default(),
        extra_ca_file: reader.path("outbound.extra_ca_file"),
    }
}

impl Outbound {
    /// Whether a host may be on this machine or in a private network.
    pub fn may_be_private(&self, host: &str) -> bool {
        self.allow_private_addresses || self.private_hosts.iter().any(|known| known == host)
    }
}

fn host(text: &str) -> Result<String, Wrong> {
    let bare = text.parse().map_or_else(|_| text.to_owned(), |address: Ipv6Addr| format!("[{address}]"));
    let host = Host::parse(&bare).map(|host| host.to_string());
    host.map_err(|_| {
        let what = format!("{} is not the name or address of a host", quoted(text));
        Wrong::new(what, "write it alone, without scheme and port")
    })
}
