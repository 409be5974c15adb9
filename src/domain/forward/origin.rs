//! The origins of protected hosts: which host a request is for.

use std::fmt;

use url::{Host, Url};

use crate::domain::client::fields::Fault;

/// Scheme, host and port of a protected host, in the spelling that browsers use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostOrigin {
    text: String,
    https: bool,
    port: u16,
}

impl HostOrigin {
    /// Reads an origin as configured: `https://app.example.com`, and on a developer's machine also
    /// `http://app.localhost:3000`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, Fault> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
        let Some(url) = url else {
            return Err(Fault::new("is not an origin", "write it with its scheme: \"https://app.example.com\""));
        };
        let Some(Host::Domain(host)) = url.host() else {
            return Err(Fault::new("has an IP address as its host", "use localhost or a domain"));
        };
        if host.ends_with('.') || host.contains('*') {
            return Err(Fault::new("does not name one host", "write the host out, without a dot at its end"));
        }
        let https = url.scheme() == "https";
        if !https && host != "localhost" && !host.ends_with(".localhost") {
            let cure = "browsers keep the cookie over https only, except on localhost and names under it";
            return Err(Fault::new("is not https", cure));
        }
        let exact = url.origin().ascii_serialization();
        if exact != text {
            return Err(Fault::new("is not written as browsers send it", format!("write \"{exact}\"")));
        }
        Ok(Self { text: exact, https, port: url.port_or_known_default().unwrap_or_default() })
    }

    /// The origin that a proxy names in two headers, normalised to the spelling of [`HostOrigin::read`]: any case, with
    /// or without the scheme's default port, with or without a trailing dot. The result may only be looked up in the
    /// closed list of hosts.
    pub fn spelled(scheme: &str, host: &str) -> Option<String> {
        // Proxies of WebSockets send that scheme.
        let (scheme, own_port) = match scheme.to_ascii_lowercase().as_str() {
            "https" | "wss" => ("https", "443"),
            "http" | "ws" => ("http", "80"),
            _ => return None,
        };
        let host = host.to_ascii_lowercase();
        let (name, port) = host.split_once(':').map_or((host.as_str(), None), |(name, port)| (name, Some(port)));
        let name = name.strip_suffix('.').unwrap_or(name);
        let port = port.filter(|port| *port != own_port).map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{scheme}://{name}{port}"))
    }

    /// The origin, byte for byte as browsers write it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port, without the scheme.
    pub fn host(&self) -> &str {
        self.text.split_once("://").map_or(&self.text, |(_, host)| host)
    }

    /// Whether it is reached over TLS.
    pub const fn is_https(&self) -> bool {
        self.https
    }

    /// The port, even if it is the scheme's default.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HostOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for good in
            ["https://app.example.com", "https://app.example.com:8443", "http://localhost:3000", "http://a.localhost"]
        {
            assert_eq!(HostOrigin::read(good).unwrap().as_str(), good);
        }
        for (name, bad) in [
            ("a slash", "https://app.example.com/"),
            ("a path", "https://app.example.com/x"),
            ("capitals", "https://App.example.com"),
            ("its own port", "https://app.example.com:443"),
            ("a dot", "https://app.example.com."),
            ("a wildcard", "https://*.example.com"),
            ("a user", "https://u@app.example.com"),
            ("plain http", "http://app.example.com"),
            ("a name that only ends alike", "http://evil-localhost"),
            ("an address", "https://192.0.2.1"),
            ("another scheme", "ftp://app.example.com"),
            ("no scheme", "app.example.com"),
            ("nothing", ""),
        ] {
            assert!(HostOrigin::read(bad).is_err(), "{name}");
        }
        let origin = HostOrigin::read("http://a.localhost:3000").unwrap();
        assert_eq!((origin.host(), origin.port(), origin.is_https()), ("a.localhost:3000", 3000, false));
    }

    #[test]
    fn a_host_is_the_same_however_it_is_spelled() {
        for (scheme, host) in [
            ("https", "app.example.com"),
            ("HTTPS", "APP.Example.COM"),
            ("https", "app.example.com:443"),
            ("https", "app.example.com."),
            ("https", "app.example.com.:443"),
            ("wss", "app.example.com"),
        ] {
            assert_eq!(
                HostOrigin::spelled(scheme, host).as_deref(),
                Some("https://app.example.com"),
                "{scheme} {host}"
            );
        }
        assert_eq!(HostOrigin::spelled("http", "a.localhost:3000").as_deref(), Some("http://a.localhost:3000"));
        let protected = "https://app.example.com";
        for (name, scheme, host) in [
            ("another scheme", "http", "app.example.com"),
            ("another port", "https", "app.example.com:80"),
            ("a longer name", "https", "evil.app.example.com"),
            ("a name that goes on", "https", "app.example.com.evil.example"),
            ("two dots", "https", "app.example.com.."),
            ("a user", "https", "app.example.com@evil.example"),
            ("a list", "https", "app.example.com, evil.example"),
            ("a path", "https", "app.example.com/"),
            ("a space", "https", " app.example.com"),
            ("nothing", "https", ""),
            ("a list of schemes", "https,http", "app.example.com"),
            ("no scheme", "", "app.example.com"),
        ] {
            assert_ne!(HostOrigin::spelled(scheme, host).as_deref(), Some(protected), "{name}");
        }
    }
}
