//! The key file of a Google service account: the key that signs Firebase custom tokens.
//!
//! What must always hold: an accepted file contains a key that can sign, which is tried here, so that a wrong file
//! fails at start-up instead of at the first sign-in; and nothing of the key reaches a message.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::domain::secret::Secret;

/// The maximum size of a key file, in bytes; the usual size is about 2.5 KiB.
const MAX_BYTES: usize = 64 * 1024;

/// A service account that can sign.
#[derive(Clone, Debug)]
pub struct ServiceAccount {
    client_email: String,
    project_id: Option<String>,
    private_key_id: String,
    pkcs8: Secret<Vec<u8>>,
}

/// Why a file is not a usable service account key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceAccountError {
    /// Too large to be a key file.
    #[error("a service account key file is at most {MAX_BYTES} bytes")]
    TooLarge,
    /// Not JSON, or members of the wrong type.
    #[error("not a service account key file: no readable JSON object (line {line}, column {column})")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// A required member is missing.
    #[error("the service account key file has no `{0}`")]
    Missing(&'static str),
    /// A credentials file of another kind.
    #[error("`type` is not `service_account`: download a key of a service account (console, Service accounts, Keys)")]
    WrongType,
    /// An e-mail address that no service account has.
    #[error("`client_email` is not the e-mail of a service account (…@….gserviceaccount.com)")]
    ClientEmail,
    /// A malformed key ID.
    #[error("`private_key_id` is not a key id (letters and digits)")]
    KeyId,
    /// Not PEM, or not the PEM of an unencrypted PKCS#8 key.
    #[error("`private_key` is not a PEM block `PRIVATE KEY` (PKCS#8, not encrypted)")]
    NotPkcs8,
    /// Not an RSA key of at least 2048 bits.
    #[error("`private_key` is not an RSA key of 2048 to 8192 bits")]
    NotRsa,
    /// The key's signature does not verify.
    #[error("`private_key` failed its self-test: what it signs does not verify")]
    SelfTest,
}

#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: Option<String>,
    project_id: Option<String>,
    private_key_id: Option<String>,
    private_key: Option<String>,
    client_email: Option<String>,
}

impl ServiceAccount {
    /// Parses the JSON key file in the format of the Google console, and tries the key.
    ///
    /// # Errors
    /// See [`ServiceAccountError`].
    pub fn parse(file: &str) -> Result<Self, ServiceAccountError> {
        use ServiceAccountError as Error;
        if file.len() > MAX_BYTES {
            return Err(Error::TooLarge);
        }
        // serde_json's own message may contain the value, and with it the key.
        let file: KeyFile = serde_json::from_str(file)
            .map_err(|error| Error::NotJson { line: error.line(), column: error.column() })?;
        let private_key = file.private_key.map(Secret::new);
        if file.kind.ok_or(Error::Missing("type"))? != "service_account" {
            return Err(Error::WrongType);
        }
        let client_email = file.client_email.ok_or(Error::Missing("client_email"))?;
        if !is_service_account_email(&client_email) {
            return Err(Error::ClientEmail);
        }
        let private_key_id = file.private_key_id.ok_or(Error::Missing("private_key_id"))?;
        if !(1..=128).contains(&private_key_id.len()) || !private_key_id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Error::KeyId);
        }
        let pkcs8 = pkcs8_of_pem(private_key.ok_or(Error::Missing("private_key"))?.expose()).ok_or(Error::NotPkcs8)?;
        self_test(pkcs8.expose())?;
        Ok(Self { client_email, project_id: file.project_id, private_key_id, pkcs8 })
    }

    /// The account's e-mail address: `iss` and `sub` of every custom token.
    pub fn client_email(&self) -> &str {
        &self.client_email
    }

    /// The Google Cloud project, if the file names it.
    pub fn project_id(&self) -> Option<&str> {
        self.project_id.as_deref()
    }

    /// The ID that Google assigned to the key.
    pub fn private_key_id(&self) -> &str {
        &self.private_key_id
    }

    /// The private key: RSA, PKCS#8, DER.
    pub const fn pkcs8(&self) -> &Secret<Vec<u8>> {
        &self.pkcs8
    }
}

/// `name@project.iam.gserviceaccount.com`, or one of the default accounts of Google's services.
pub(super) fn is_service_account_email(email: &str) -> bool {
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let Some((name, domain)) = email.split_once('@') else { return false };
    email.len() <= 254
        && name.split('.').all(label)
        && domain.strip_suffix(".gserviceaccount.com").is_some_and(|project| project.split('.').all(label))
}

/// The bytes of exactly one `PRIVATE KEY` block.
fn pkcs8_of_pem(pem: &str) -> Option<Secret<Vec<u8>>> {
    let body = pem.trim().strip_prefix("-----BEGIN PRIVATE KEY-----")?.strip_suffix("-----END PRIVATE KEY-----")?;
    let body = Secret::new(body.split_ascii_whitespace().collect::<String>());
    STANDARD.decode(body.expose()).ok().map(Secret::new)
}

fn self_test(pkcs8: &[u8]) -> Result<(), ServiceAccountError> {
    let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| ServiceAccountError::NotRsa)?;
    let message = b"passmint service account self-test";
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
        .map_err(|_| ServiceAccountError::SelfTest)?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
        .verify(message, &signature)
        .map_err(|_| ServiceAccountError::SelfTest)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use serde_json::{Value, json};

    use super::*;
    use crate::bridge::testing;

    /// A key created for this test: PKCS#8, too short to be accepted anywhere.
    const RSA_1024: &str = "
        MIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBAMDPcPhzX58wZUrufiBjPahc3PjYyyWi0o7cYuYi5sWuH7S/xywM
        4IjCBBYLhtnl2nHfjC5nJJbjbHc8WCf44ijpAMzxC2u/qO4Ko3LOwY/sRI/zi6bmWLlATMBNwKon67AZCfc/fP3VAjGX78er0yAM
        Sskc5BQdYtPsU/g2OSkXAgMBAAECgYBJV18Qkspfwkf1fcyqQzWz8kb3vXdgxJO1Ve2kvsfrj/VtirmXbvqF6s8lF5NfFUjHohIv
        oHpRjwa2QFUEN27HGJNULR/nosetTAjcD9y9hCNZtnF/PttIfzYGyvYb2zpXrr6lY1YL45hSOQuxmquYe0YfCOOQ0dzUwscCvW4S
        +QJBAPzSB5MKhq8L8/fyxO1/zqa/y9VOkI8eYxPyvjcd0nx/Sq72qWH/snbdHgFYMT+0uJaqyxHwfSlQx7y/UU4Ehb0CQQDDPDSh
        Aks5zLJlrxYlRYUV0dkUYMk8eKVyNRSILuptjLbRL0lJC1CMDlztRmc2FJMyep6kYyBErT/VYPEBO8VjAkEApMDqFrSBWIldj3Mx
        SeRD8v6CApuUMPAIePNzac+RX3hEXwh3EVnkHvmxmAa08WL/94+Njj8+ETKHN0Ul4sWnsQJBAIRfRsPAPWcEHhUJoHdG6pQ/wvKp
        KOhCWNLVoIUxYitC1BWC/Sp0bHl5p5INQR+O1brNHtEQkKlf2j7/yohukUcCQQDstytHE7rhnJpAfG0uMmzRtCzhC30Bnf0I2bDp
        uUONGOGaLdlo5F00o1PfujSZdY2R1SdBjlhejA/LU98nnR24";

    fn with(name: &str, value: Value) -> String {
        let mut file: Value = serde_json::from_str(testing::key_file()).unwrap();
        file[name] = value;
        file.to_string()
    }

    fn without(name: &str) -> String {
        let mut file: Value = serde_json::from_str(testing::key_file()).unwrap();
        file.as_object_mut().unwrap().remove(name);
        file.to_string()
    }

    #[test]
    fn a_key_file_is_read_and_hides_its_key() {
        let account = ServiceAccount::parse(testing::key_file()).unwrap();
        assert_eq!(account.client_email(), testing::SERVICE_ACCOUNT);
        assert_eq!(account.project_id(), Some("demo-idp"));
        assert_eq!(account.private_key_id(), "0123456789abcdef");
        assert!(format!("{account:?}").contains("pkcs8: ***"));
    }

    #[test]
    fn each_wrong_file_is_refused_by_name() {
        use ServiceAccountError as Error;
        let pem = |label: &str, der: &[u8]| {
            json!(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)))
        };
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let weak = STANDARD.decode(RSA_1024.replace(['\n', ' '], "")).unwrap();
        let cases = [
            ("no json", "PRIVATE".to_owned(), Error::NotJson { line: 1, column: 1 }),
            ("wrong type of a member", with("private_key", json!(7)), Error::NotJson { line: 1, column: 0 }),
            ("user credentials", with("type", json!("authorized_user")), Error::WrongType),
            ("no type", without("type"), Error::Missing("type")),
            ("no e-mail", without("client_email"), Error::Missing("client_email")),
            ("no key", without("private_key"), Error::Missing("private_key")),
            ("no key id", without("private_key_id"), Error::Missing("private_key_id")),
            ("key id", with("private_key_id", json!("a b")), Error::KeyId),
            (
                "emulator's e-mail",
                with("client_email", json!("firebase-auth-emulator@example.com")),
                Error::ClientEmail,
            ),
            ("e-mail suffix", with("client_email", json!("a@gserviceaccount.com.evil.org")), Error::ClientEmail),
            ("two at signs", with("client_email", json!("a@b@p.iam.gserviceaccount.com")), Error::ClientEmail),
            ("no PEM", with("private_key", json!("key")), Error::NotPkcs8),
            ("PKCS#1", with("private_key", pem("RSA PRIVATE KEY", b"x")), Error::NotPkcs8),
            ("encrypted", with("private_key", pem("ENCRYPTED PRIVATE KEY", b"x")), Error::NotPkcs8),
            ("bytes that are no key", with("private_key", pem("PRIVATE KEY", b"x")), Error::NotRsa),
            ("elliptic curve", with("private_key", pem("PRIVATE KEY", ec.as_ref())), Error::NotRsa),
            ("RSA of 1024 bits", with("private_key", pem("PRIVATE KEY", &weak)), Error::NotRsa),
            ("large", " ".repeat(MAX_BYTES + 1), Error::TooLarge),
        ];
        for (name, file, error) in cases {
            let found = ServiceAccount::parse(&file).expect_err(name);
            match (&found, &error) {
                (Error::NotJson { .. }, Error::NotJson { .. }) => {}
                _ => assert_eq!(found, error, "{name}"),
            }
        }
    }
}
