//! The key of a bridge: one of ours, or one that was created elsewhere and imported.
//!
//! What must always hold: an imported key is stored in one tagged form ([`KeyUpload`]), so that nothing is guessed when
//! it is opened again; none of it reaches a message; and an accepted key has been tried for signing when it was read.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::nkey;
use super::preset::kind::PresetKind;
use super::preset::rules::{Plan, Problems};
use super::service_account::{ServiceAccount, ServiceAccountError};
use super::spec::{Algorithm, BridgeDefinition, KeySource, KidPolicy, Problem, Typ};
use crate::domain::secret::Secret;
use crate::tokens::keys::{Algorithm as KeyAlgorithm, KeyError, KeyMaterial};

/// A shorter secret protects nothing, whoever issued it.
const MIN_SECRET: usize = 16;
/// The beginning of a PEM block.
const PEM: &str = "-----BEGIN ";
/// The maximum size of a key file or member, in bytes.
pub const MAX_KEY_BYTES: usize = 64 * 1024;

/// A key that was created elsewhere, checked.
#[derive(Clone, Debug)]
pub enum Material {
    /// A private key, or a secret shared with the target.
    Key(KeyMaterial),
    /// A secret issued by its target that is too short for HS256 (RFC 7518 §3.2): only for presets that produce no JWT.
    Short(Secret<Vec<u8>>),
    /// A Google service account, with its RSA key.
    ServiceAccount(ServiceAccount),
}

impl Material {
    /// The algorithm with which it signs.
    pub const fn algorithm(&self) -> KeyAlgorithm {
        match self {
            Self::Key(key) => key.algorithm(),
            Self::Short(_) => KeyAlgorithm::HS256,
            Self::ServiceAccount(_) => KeyAlgorithm::RS256,
        }
    }

    /// Its key ID: for a JWK its own `kid`, for a service account's key the ID that Google assigned, for any other key
    /// the RFC 7638 thumbprint. A bridge publishes one imported key, so its ID is unique there.
    pub fn id(&self) -> String {
        match self {
            Self::Key(key) => key.kid(),
            // As for any shared secret: an HMAC with it, because guesses could be tested against a plain digest more
            // cheaply.
            Self::Short(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
                URL_SAFE_NO_PAD.encode(hmac::sign(&key, b"passmint kid v1"))
            }
            Self::ServiceAccount(account) => account.private_key_id().to_owned(),
        }
    }

    /// Distinguishes it from any other key, even one with the same ID. It reveals nothing of a secret.
    pub fn fingerprint(&self) -> String {
        match self {
            Self::Key(key) => format!("{} {}", key.kid(), key.thumbprint()),
            Self::Short(_) | Self::ServiceAccount(_) => self.id(),
        }
    }

    /// A name of its kind, for people.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Key(key) if matches!(key.algorithm(), KeyAlgorithm::HS256) => "secret",
            Self::Short(_) => "secret",
            Self::Key(_) => "private key",
            Self::ServiceAccount(_) => "service account",
        }
    }
}

impl Material {
    /// Whether it has a public half that is published, so that anybody who follows the bridge's keys trusts it.
    pub fn is_published(&self) -> bool {
        matches!(self, Self::Key(key) if key.public().is_some())
    }

    /// The bytes of a shared secret; `None` for any other key.
    pub fn shared_secret(&self) -> Option<&[u8]> {
        match self {
            Self::Key(key) if key.public().is_none() => Some(key.secret().expose()),
            Self::Short(secret) => Some(secret.expose()),
            Self::Key(_) | Self::ServiceAccount(_) => None,
        }
    }
}

/// An imported key as it is uploaded and sealed: exactly one member, whose name states the format.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyUpload {
    /// One private key in PEM: PKCS#8, PKCS#1 or SEC 1, not encrypted.
    Pem(String),
    /// One private JWK (RFC 7517), or a symmetric one.
    Jwk(Value),
    /// The JSON key file of a Google service account.
    ServiceAccount(Value),
    /// The seed of a NATS account, `SA…`.
    Nkey(String),
    /// A shared secret, as text.
    Secret(String),
    /// A shared secret in base64, for one that is not text.
    SecretBase64(String),
}

/// Why a key is refused. Reveals nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaterialError {
    /// Larger than any key.
    #[error("a key is at most {MAX_KEY_BYTES} bytes")]
    TooLarge,
    /// Neither JSON nor PEM.
    #[error("it is neither a PEM block, nor a JWK, nor the JSON file of a service account, nor an account's nkey seed")]
    Unknown,
    /// A secret that is not base64.
    #[error("the secret is not base64")]
    Base64,
    /// A key instead of a secret: its public half, or the file as a whole, may be known to others.
    #[error("it is a PEM block or a JWK and no secret: import it as a key, or give the secret that the target has")]
    SecretIsKey,
    /// A short secret (RFC 7518 §3.2).
    #[error("a shared secret has at least 32 bytes")]
    ShortSecret,
    /// A key that cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A service account's file that cannot be used.
    #[error(transparent)]
    ServiceAccount(#[from] ServiceAccountError),
}

impl KeyUpload {
    /// Parses the content of a key file: a PEM block, a JWK, a service account's JSON, or the seed of a NATS account.
    ///
    /// # Errors
    /// [`MaterialError::Unknown`] for anything else.
    pub fn of_file(text: &str) -> Result<Self, MaterialError> {
        if text.len() > MAX_KEY_BYTES {
            return Err(MaterialError::TooLarge);
        }
        if text.contains(PEM) && !text.trim_start().starts_with('{') {
            return Ok(Self::Pem(text.to_owned()));
        }
        if nkey::account_seed(text).is_some() {
            return Ok(Self::Nkey(text.trim().to_owned()));
        }
        let document: Value = serde_json::from_str(text).map_err(|_| MaterialError::Unknown)?;
        match (document.get("kty"), document.get("type")) {
            (Some(_), _) => Ok(Self::Jwk(document)),
            (None, Some(_)) => Ok(Self::ServiceAccount(document)),
            (None, None) => Err(MaterialError::Unknown),
        }
    }

    /// Parses the content of a file with a shared secret: the bytes without the line break that editors append.
    pub fn of_secret(bytes: &[u8]) -> Self {
        let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
        match std::str::from_utf8(&bytes[..end]) {
            Ok(text) => Self::Secret(text.to_owned()),
            Err(_) => Self::SecretBase64(STANDARD.encode(&bytes[..end])),
        }
    }

    /// Parses the key and tries it.
    ///
    /// # Errors
    /// [`MaterialError`], depending on what is wrong.
    pub fn read(&self) -> Result<Material, MaterialError> {
        let secret = |bytes: Vec<u8>| match (KeyMaterial::from_secret(bytes.clone()), Secret::new(bytes)) {
            (_, bytes) if is_key_file(bytes.expose()) => Err(MaterialError::SecretIsKey),
            (Ok(key), _) => Ok(Material::Key(key)),
            (Err(_), bytes) if bytes.expose().len() >= MIN_SECRET => Ok(Material::Short(bytes)),
            (Err(_), _) => Err(MaterialError::ShortSecret),
        };
        match self {
            Self::Pem(text) | Self::Secret(text) | Self::SecretBase64(text) if text.len() > MAX_KEY_BYTES => {
                Err(MaterialError::TooLarge)
            }
            Self::Pem(text) => Ok(Material::Key(KeyMaterial::from_pem(text)?)),
            Self::Nkey(text) => {
                let seed = nkey::account_seed(text).ok_or(MaterialError::Unknown)?;
                Ok(Material::Key(KeyMaterial::from_ed25519_seed(seed.expose())?))
            }
            Self::Jwk(jwk) => Ok(Material::Key(KeyMaterial::from_jwk(jwk)?)),
            Self::ServiceAccount(file) => Ok(Material::ServiceAccount(ServiceAccount::parse(&file.to_string())?)),
            Self::Secret(text) => secret(text.as_bytes().to_vec()),
            Self::SecretBase64(text) => secret(STANDARD.decode(text.trim()).map_err(|_| MaterialError::Base64)?),
        }
    }

    /// The bytes to seal.
    pub fn to_bytes(&self) -> Secret<Vec<u8>> {
        Secret::new(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Parses what was sealed.
    ///
    /// # Errors
    /// [`MaterialError::Unknown`] if it was not created by [`KeyUpload::to_bytes`].
    pub fn from_bytes(bytes: &Secret<Vec<u8>>) -> Result<Self, MaterialError> {
        serde_json::from_slice(bytes.expose()).map_err(|_| MaterialError::Unknown)
    }
}

/// Whether what should be a shared secret is a PEM block or a JWK. With a public key as the secret, anybody could sign.
fn is_key_file(bytes: &[u8]) -> bool {
    let is_jwk = || serde_json::from_slice::<Value>(bytes).is_ok_and(|document| document.get("kty").is_some());
    bytes.windows(PEM.len()).any(|window| window == PEM.as_bytes()) || is_jwk()
}

/// Prints only the kind: the content is secret.
impl std::fmt::Debug for KeyUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pem(_) => "Pem(***)",
            Self::Jwk(_) => "Jwk(***)",
            Self::Nkey(_) => "Nkey(***)",
            Self::ServiceAccount(_) => "ServiceAccount(***)",
            Self::Secret(_) => "Secret(***)",
            Self::SecretBase64(_) => "SecretBase64(***)",
        })
    }
}

/// The same algorithm in the tokens room.
pub const fn key_algorithm(algorithm: Algorithm) -> KeyAlgorithm {
    match algorithm {
        Algorithm::Es256 => KeyAlgorithm::ES256,
        Algorithm::Rs256 => KeyAlgorithm::RS256,
        Algorithm::EdDsa | Algorithm::Ed25519Nkey => KeyAlgorithm::EdDSA,
        Algorithm::Hs256 => KeyAlgorithm::HS256,
    }
}

/// Checks that the key exists and fits the plan.
pub(super) fn check(definition: &BridgeDefinition, plan: &Plan, problems: &mut Problems) {
    let source = definition.key_source();
    let symmetric = plan.algorithm == Algorithm::Hs256;
    match (source, &definition.material) {
        (KeySource::Imported, None) => {
            problems.add("key", Problem::Required("the key itself, or the file that holds it"));
        }
        (KeySource::Imported, Some(material)) if material.algorithm() != key_algorithm(plan.algorithm) => {
            let (key, bridge) = (material.algorithm(), plan.algorithm.as_str());
            problems.add("key", Problem::Key(format!("the imported key is for {key}, the bridge signs with {bridge}")));
        }
        // For a JWT, HMAC-SHA-256 needs as many bytes as the digest has; for other formats the target chooses the
        // length.
        (KeySource::Imported, Some(Material::Short(_))) if !definition.preset.rules().way().takes_short_secrets() => {
            problems.add("key", Problem::Key(MaterialError::ShortSecret.to_string()));
        }
        (KeySource::Own | KeySource::Provider, Some(_)) => {
            problems.add("key", Problem::Unused("an imported key beside another one"));
        }
        (KeySource::Own | KeySource::Provider, None) if symmetric => {
            problems.add("key", Problem::Required("HS256 signs with a secret that the target has: import it"));
        }
        (KeySource::Provider, None) => check_provider(definition, plan, problems),
        (KeySource::Own, None) if matches!(plan.kid, KidPolicy::Fixed(_)) => {
            let words = "with a key of the bridge's own `auto` or `omit`: it rotates, and two keys would have one name";
            problems.add("kid", Problem::Form(words));
        }
        (KeySource::Imported | KeySource::Own, _) => {}
    }
}

/// Why the preset without rules does not sign with the provider's keys.
const WITHOUT_RULES: &str = "with this server's own keys only the rules of a target's preset keep a token from being taken for another's: \
                             choose that preset, or `own`, or say `dangerous = true`";

/// Checks a bridge that signs with the keys of our own tokens: issuer rules and type must separate its tokens from
/// ours, or its template could create access tokens (RFC 9068 §2.1) for every API that trusts us.
fn check_provider(definition: &BridgeDefinition, plan: &Plan, problems: &mut Problems) {
    if definition.preset == PresetKind::Jwt && !definition.dangerous {
        problems.add("key", Problem::Form(WITHOUT_RULES));
    }
    if definition.our_issuer.as_deref().is_some_and(|ours| ours != plan.issuer) {
        problems.add("issuer", Problem::Form("with the provider's keys it is this server's issuer: leave it out"));
    }
    if !matches!(plan.typ, Typ::Jwt | Typ::None) {
        problems.add(
            "typ",
            Problem::Form("with the provider's keys never that of this server's own tokens: `JWT` or `none`"),
        );
    }
    if matches!(plan.kid, KidPolicy::Fixed(_)) {
        problems
            .add("kid", Problem::Form("with the provider's keys `auto` or `omit`: others find the key by its own id"));
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
