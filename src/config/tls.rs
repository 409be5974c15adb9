//! TLS of the server itself.

use std::path::PathBuf;

use super::problems::Wrong;
use super::public_url::PublicUrl;
use super::reader::Reader;
use super::section::{Fallback, Key, Kind, Section};

/// The files of the server's certificate and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, followed by the intermediate certificates, as PEM.
    pub cert_file: PathBuf,
    /// Its private key, as PEM.
    pub key_file: PathBuf,
}

pub(super) const SECTION: Section = Section {
    title: "TLS",
    doc: "Either a proxy terminates TLS and is named in `trusted_proxies`, or the server does so itself with the \
        certificate named here (TLS 1.3 and 1.2). Both files are checked every second and reloaded when they change; \
        if a new pair cannot be used, this is logged and the old one stays in use. The administration listener stays \
        plain HTTP.",
    keys: &[
        Key {
            path: "tls.cert_file",
            kind: Kind::Path,
            default: Fallback::Unset,
            doc: "The server's certificate as PEM, followed by its intermediate certificates (`fullchain.pem`).",
        },
        Key {
            path: "tls.key_file",
            kind: Kind::Path,
            default: Fallback::Unset,
            doc: "The private key of that certificate as PEM (PKCS #8, PKCS #1 or SEC 1).",
        },
    ],
};

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>, public_url: &PublicUrl) -> Option<Tls> {
    let (cert_file, key_file) = (reader.path("tls.cert_file"), reader.path("tls.key_file"));
    let alone = |reader: &mut Reader<'_>, given, missing: &str| {
        let wrong = Wrong::new(format!("is given without {missing}"), "give both, or neither behind a proxy");
        reader.contradiction(given, &[missing], wrong);
        None
    };
    match (cert_file, key_file) {
        (Some(cert_file), Some(key_file)) => {
            if !public_url.as_str().starts_with("https://") {
                let wrong = Wrong::new("is given, but public_url is not https", "write public_url with https");
                reader.contradiction("tls.cert_file", &["public_url"], wrong);
            }
            Some(Tls { cert_file, key_file })
        }
        (Some(_), None) => alone(reader, "tls.cert_file", "tls.key_file"),
        (None, Some(_)) => alone(reader, "tls.key_file", "tls.cert_file"),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn certificate_and_key_come_together_and_only_for_https() {
        let (cert, key) = (("tls.cert_file", "c.pem"), ("tls.key_file", "k.pem"));
        let https = ("public_url", "https://id.example");
        assert!(Config::from_settings(&[https, cert, key]).unwrap().tls.is_some());
        assert!(Config::from_settings(&[https]).unwrap().tls.is_none());
        for (settings, said) in [
            (vec![https, cert], "without tls.key_file"),
            (vec![https, key], "without tls.cert_file"),
            (vec![cert, key], "public_url is not https"),
        ] {
            let problems = Config::from_settings(&settings).unwrap_err().to_string();
            assert!(problems.contains(said), "{problems}");
        }
    }
}
