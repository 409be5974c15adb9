//! The server's own certificate: read at startup, and reloaded when its files change.
//!
//! What must always hold: certificate and key in use belong together; a new pair that cannot be used changes nothing
//! and is reported once. TLS 1.3 and 1.2 with the cipher suites of rustls, all of which are secure.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig};

use crate::clock::Time;
use crate::config::Tls;

/// A certificate with its key and its expiry.
struct Pair {
    key: Arc<CertifiedKey>,
    ends: Time,
    for_host: bool,
}

/// Modification time and size of both files when they were last read.
type Stamp = [Option<(SystemTime, u64)>; 2];

/// The server's certificate, reloaded when its files change.
pub struct Certificate {
    files: Tls,
    host: String,
    current: ArcSwap<CertifiedKey>,
    seen: Mutex<Stamp>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads the pair; `host` is the name that browsers will expect. Also returns warnings about a certificate that can
    /// be used but that browsers will not trust.
    ///
    /// # Errors
    /// Which file is faulty, what is wrong, and what to do.
    pub fn open(files: &Tls, host: &str, now: Time) -> Result<(Arc<Self>, Vec<String>), String> {
        let seen = stamp(files);
        let pair = read(files, host)?;
        let warnings = warnings(&pair, files, host, now);
        let this = Self {
            files: files.clone(),
            host: host.to_owned(),
            current: ArcSwap::new(pair.key),
            seen: Mutex::new(seen),
        };
        Ok((Arc::new(this), warnings))
    }

    /// Reloads the files if they changed.
    pub fn follow(&self, now: Time) {
        let found = stamp(&self.files);
        if std::mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), found) == found {
            return;
        }
        match read(&self.files, &self.host) {
            Ok(pair) => {
                for warning in warnings(&pair, &self.files, &self.host, now) {
                    tracing::warn!("{warning}");
                }
                self.current.store(pair.key);
                tracing::info!(ends = %pair.ends, "the new TLS certificate is in use");
            }
            // While the files are being replaced, they may not match. The change of the second file is noticed next
            // time.
            Err(error) => tracing::warn!(error, "the new TLS certificate cannot be used; the old one stays in use"),
        }
    }

    /// The TLS settings of the listener.
    ///
    /// # Errors
    /// Never, with these protocol versions.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        Ok(ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn stamp(files: &Tls) -> Stamp {
    [&files.cert_file, &files.key_file].map(|file| {
        let metadata = fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn read(files: &Tls, host: &str) -> Result<Pair, String> {
    let (cert_file, key_file) = (files.cert_file.display(), files.key_file.display());
    let chain = CertificateDer::pem_slice_iter(&load(&files.cert_file, "tls.cert_file")?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("tls.cert_file: {cert_file} is not PEM ({error}): export the certificate as PEM"))?;
    let Some(leaf) = chain.first() else {
        return Err(format!("tls.cert_file: {cert_file} contains no certificate: name the PEM file of the full chain"));
    };
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf)
        .map_err(|error| format!("tls.cert_file: the first certificate in {cert_file} cannot be read: {error}"))?;
    let ends = Time::from_timestamp(parsed.validity().not_after.timestamp(), 0).unwrap_or_default();
    let for_host = ServerName::try_from(host)
        .is_ok_and(|host| ParsedCertificate::try_from(leaf).is_ok_and(|leaf| verify_server_name(&leaf, &host).is_ok()));
    let key = PrivateKeyDer::from_pem_slice(&load(&files.key_file, "tls.key_file")?).map_err(|_| {
        format!(
            "tls.key_file: {key_file} contains no private key: name the PEM file of the certificate's key, unencrypted"
        )
    })?;
    let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            format!(
                "tls.key_file: the key in {key_file} is not that of the certificate in {cert_file}: they must be a pair"
            )
        }
        error => format!(
            "tls.key_file: the key in {key_file} cannot be used ({error}): use an RSA, P-256, P-384 or Ed25519 key"
        ),
    })?;
    Ok(Pair { key: Arc::new(key), ends, for_host })
}

fn load(file: &Path, key: &str) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| {
        format!("{key}: {} cannot be read ({error}): mend the path, or let the server read it", file.display())
    })
}

fn warnings(pair: &Pair, files: &Tls, host: &str, now: Time) -> Vec<String> {
    let file = files.cert_file.display();
    let mut warnings = Vec::new();
    if pair.ends <= now {
        warnings.push(format!(
            "the certificate in {file} expired on {}: browsers refuse it; renew it",
            pair.ends.date_naive()
        ));
    }
    if !pair.for_host {
        warnings
            .push(format!("the certificate in {file} is not for {host}, the host of public_url: browsers refuse it"));
    }
    warnings
}
