//! Redirect URIs of clients, compared byte for byte.

use std::fmt;

use url::{Host, Url};

use super::problems::{Wrong, quoted};

/// A URI that an answer may be sent to (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RedirectUri(String);

impl RedirectUri {
    /// Reads an `https` URI, an `http` one on loopback, or one of a private-use scheme (`com.example.app:/callback`).
    pub(super) fn read(text: &str) -> Result<Self, Wrong> {
        let wrong = |what: &str, cure: &str| Err(Wrong::new(format!("{} {what}", quoted(text)), cure));
        let Ok(url) = Url::parse(text) else {
            return wrong("is not a URI", "write it out in full, for example \"https://app.example.com/callback\"");
        };
        if !text.is_ascii() || text.contains(|c: char| c.is_ascii_whitespace() || c.is_ascii_control() || c == '\\') {
            return wrong("holds characters that a URI cannot", "percent-encode them");
        }
        if url.fragment().is_some() {
            return wrong("has a fragment", "leave out the # and what follows");
        }
        if text.contains('*') {
            return wrong("has a wildcard", "list every redirect URI: they are compared exactly");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Wrong::new("an element holds a user name or password", "leave out what stands before the @"));
        }
        match url.scheme() {
            "https" => Ok(Self(text.to_owned())),
            "http" if is_loopback(&url) => Ok(Self(text.to_owned())),
            "http" => wrong("is not https", "plain http is for loopback only, as native apps use it"),
            scheme if scheme.contains('.') => Ok(Self(text.to_owned())),
            _ => wrong(
                "has a scheme that any app could claim",
                "use https, or a scheme made from your domain: \"com.example.app:/callback\"",
            ),
        }
    }

    /// The URI, byte for byte.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(host)) => host == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris() {
        for good in [
            "https://app.example.com/callback",
            "https://app.example.com/callback?from=passmint",
            "http://localhost:3000/callback",
            "http://127.0.0.1/callback",
            "http://[::1]:7000/callback",
            "com.example.app:/callback",
        ] {
            assert!(RedirectUri::read(good).is_ok(), "{good}");
        }
        for (name, bad) in [
            ("relative", "/callback"),
            ("plain http", "http://app.example.com/callback"),
            ("fragment", "https://app.example.com/#x"),
            ("empty fragment", "https://app.example.com/#"),
            ("wildcard", "https://*.example.com/"),
            ("user", "https://me@app.example.com/"),
            ("scheme without a dot", "myapp:/callback"),
            ("script", "javascript:alert(1)"),
            ("data", "data:text/html,x"),
            ("backslash", "https://app.example.com\\@evil.example"),
            ("line end inside", "https://app.example.com/\n"),
            ("not ASCII", "https://app.example.com/ä"),
        ] {
            assert!(RedirectUri::read(bad).is_err(), "{name}");
        }
    }
}
