//! What we fetch from others and send to them.

use std::path::PathBuf;

use super::keys::{Fallback, Key, Kind, Section};
use super::reader::Reader;

/// Outbound requests.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// Whether private and loopback addresses may be asked.
    pub allow_private_addresses: bool,
    /// Authorities that are trusted beside the usual ones, PEM.
    pub extra_ca_file: Option<PathBuf>,
}

pub(super) const SECTION: Section = Section {
    title: "Outbound requests",
    doc: "What the server fetches from clients and sends to them: their `jwks_uri`, documents they refer to, news of ended \
          sessions. Only https, only public addresses, no redirects, no proxies.",
    keys: &[
        Key {
            path: "outbound.allow_private_addresses",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether addresses of this machine and of private networks may be asked too, these also without TLS. \
                  Switch it on when apps run in your own network, and everybody who may register clients may know that \
                  network. Link-local addresses, such as those of cloud metadata, stay closed.",
        },
        Key {
            path: "outbound.extra_ca_file",
            kind: Kind::Path,
            default: Fallback::Unset,
            doc: "A PEM file of authorities that are trusted beside those of the browsers, for apps with certificates of \
                  your own authority.",
        },
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>) -> Outbound {
    Outbound {
        allow_private_addresses: reader.switch("outbound.allow_private_addresses"),
        extra_ca_file: reader.path("outbound.extra_ca_file"),
    }
}
