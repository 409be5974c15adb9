//! The public URL of this server, by which people, apps and other servers know it.

use std::fmt;

use url::{Host, Url};

use super::problems::{Wrong, quoted};
use crate::domain::client::fields::USE_A_DOMAIN;

/// The server's public URL: scheme, host and port, never a path. It is the issuer and the origin of the pages, and its
/// host is the default relying party id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    host: String,
    port: Option<u16>,
    https: bool,
    url: Url,
}

impl PublicUrl {
    /// Reads a URL; a single trailing slash is removed.
    pub(super) fn read(text: &str) -> Result<Self, Wrong> {
        let wrong = |what: &str, cure: &str| Err(Wrong::new(format!("{} {what}", quoted(text)), cure));
        let Ok(url) = Url::parse(text) else {
            return wrong("is not a URL", "write it with its scheme, for example \"https://id.example.com\"");
        };
        if !matches!(url.scheme(), "http" | "https") {
            return wrong("is neither https nor http", "write it as \"https://…\"");
        }
        let host = match url.host() {
            Some(Host::Domain(host)) if !host.ends_with('.') => host.to_owned(),
            Some(Host::Domain(_)) => return wrong("ends its host with a dot", "leave the dot out"),
            _ => return wrong("has an IP address as its host", USE_A_DOMAIN),
        };
        if url.scheme() == "http" && host != "localhost" {
            return wrong("is not https", "browsers offer passkeys over https only, except on localhost");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Wrong::new("holds a user name or password", "leave out everything before the @"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return wrong("is more than scheme, host and port", "leave out path, query and fragment");
        }
        let text = url.origin().ascii_serialization();
        Ok(Self { text, host, port: url.port(), https: url.scheme() == "https", url })
    }

    /// The URL without a trailing slash: the issuer, and the origin of the server's own pages.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parsed URL.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The host name, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, unless it is the scheme's default.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether the host is `localhost`: a developer's machine.
    pub fn is_localhost(&self) -> bool {
        self.host == "localhost"
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
