//! A minimal PEM reader (RFC 7468) for one private key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::KeyError;

/// Which encoding a PEM's label announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Pkcs8,
    Pkcs1,
    Sec1,
}

const LABELS: [(&str, Encoding); 3] =
    [("PRIVATE KEY", Encoding::Pkcs8), ("RSA PRIVATE KEY", Encoding::Pkcs1), ("EC PRIVATE KEY", Encoding::Sec1)];

/// The one private key in `text`. Other blocks are skipped, because `openssl ecparam -genkey` puts an `EC PARAMETERS`
/// block before the key. Encrypted keys are refused: their label, or the headers of the old form, do not match.
pub(super) fn private_key(text: &str) -> Result<(Encoding, Zeroizing<Vec<u8>>), KeyError> {
    let mut found = None;
    for (label, encoding) in LABELS {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        let Some((_, rest)) = text.split_once(&begin) else { continue };
        let (body, after) = rest.split_once(&end).ok_or(KeyError::Form)?;
        if found.is_some() || after.contains(&begin) {
            return Err(KeyError::Form);
        }
        let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
        found = Some((encoding, Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| KeyError::Form)?)));
    }
    found.ok_or(KeyError::Form)
}
