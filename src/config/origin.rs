//! Origins of apps, compared byte for byte.

use std::fmt;

use super::problems::Wrong;
use super::public_url::PublicUrl;
use crate::domain::client::fields;

/// The origin of an app, exactly as a browser or Android writes it into `clientDataJSON.origin`.
///
/// Only their own spelling is accepted (no path, no default port, lower case), so that origins can be compared byte for
/// byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppOrigin {
    text: String,
    host: Option<String>,
}

impl AppOrigin {
    /// Reads an origin by the rule that holds for all clients.
    pub(super) fn read(text: &str) -> Result<Self, Wrong> {
        let host = fields::origin(text).map_err(|fault| Wrong::in_value(text, fault))?;
        Ok(Self { text: text.to_owned(), host })
    }

    /// The origin, byte for byte.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host of a web origin; `None` for an Android app.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
}

impl From<&PublicUrl> for AppOrigin {
    fn from(url: &PublicUrl) -> Self {
        Self { text: url.as_str().to_owned(), host: Some(url.host().to_owned()) }
    }
}

impl fmt::Display for AppOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_spelling_of_browsers_is_an_origin() {
        let android = format!("android:apk-key-hash:{}", "A".repeat(43));
        for good in ["https://app.example.com", "https://app.example.com:8443", "http://localhost:3000", &android] {
            assert_eq!(AppOrigin::read(good).unwrap().as_str(), good);
        }
        for (name, bad) in [
            ("trailing slash", "https://app.example.com/"),
            ("path", "https://app.example.com/app"),
            ("query", "https://app.example.com?x"),
            ("upper case", "https://App.example.com"),
            ("default port", "https://app.example.com:443"),
            ("user", "https://me@app.example.com"),
            ("space", " https://app.example.com"),
            ("plain http", "http://app.example.com"),
            ("name under localhost in clear text", "http://app.localhost"),
            ("IPv4", "https://192.0.2.1"),
            ("IPv4 as a number", "https://3221225985"),
            ("IPv6", "https://[::1]"),
            ("wildcard", "https://*.example.com"),
            ("dot at the end", "https://app.example.com."),
            ("unicode", "https://bücher.example"),
            ("another scheme", "ftp://app.example.com"),
            ("null", "null"),
            ("nothing", ""),
            ("Android, short", "android:apk-key-hash:AAAA"),
            ("Android, padded", &format!("{android}=")),
            ("Android, spare bits set", &format!("android:apk-key-hash:{}B", "A".repeat(42))),
            ("Android, another prefix", "android:apk-hash:AAAA"),
        ] {
            assert!(AppOrigin::read(bad).is_err(), "{name}");
        }
    }
}
