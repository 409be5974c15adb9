//! Private keys: generated, imported, and shown only by their public half.
//!
//! Whatever form a key arrives in, it is kept as PKCS#8 DER (or as the raw HMAC secret). That form is also what is
//! sealed.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING as P256, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::Value;
use zeroize::Zeroizing;

use super::pem::{self, Encoding};
use super::public::member;
use super::{Algorithm, KeyError, PublicKey};
use crate::domain::secret::Secret;

/// RFC 7518 §3.2: an HMAC key at least as long as the digest.
const HMAC_MIN: usize = 32;
/// The longest `kid` that is accepted.
const KID_MAX: usize = 256;

/// A private or symmetric key with its algorithm. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct KeyMaterial {
    algorithm: Algorithm,
    secret: Secret<Vec<u8>>,
    public: Option<PublicKey>,
    /// The `kid` of the JWK that it was imported from.
    name: Option<String>,
}

impl KeyMaterial {
    /// Generates a key: P-256, RSA of 2,048 bits, Ed25519, or 32 random bytes. RSA takes 50–500 ms, so do not call this
    /// on a request's thread.
    ///
    /// # Errors
    /// [`KeyError::Generation`] when the library fails.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        match algorithm {
            Algorithm::ES256 => EcdsaKeyPair::generate(&P256).map_err(failed).and_then(|pair| Self::of_p256(&pair)),
            Algorithm::RS256 => {
                RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed).and_then(|pair| Self::of_rsa(&pair))
            }
            Algorithm::EdDSA => Ed25519KeyPair::generate().map_err(failed).and_then(|pair| Self::of_ed25519(&pair)),
            Algorithm::HS256 => Self::from_secret(crate::random::bytes::<32>().to_vec()),
            Algorithm::PS256 => Err(KeyError::Algorithm),
        }
    }

    /// Takes a shared secret of at least 32 bytes as it is.
    ///
    /// # Errors
    /// [`KeyError::Weak`] when it is shorter.
    pub fn from_secret(secret: Vec<u8>) -> Result<Self, KeyError> {
        let secret = Secret::new(secret);
        if secret.expose().len() < HMAC_MIN {
            return Err(KeyError::Weak);
        }
        Ok(Self { algorithm: Algorithm::HS256, secret, public: None, name: None })
    }

    /// Reads one unencrypted private key in PEM: PKCS#8, PKCS#1 (RSA) or SEC 1 (EC). The kind of key decides the algorithm.
    ///
    /// # Errors
    /// [`KeyError::Form`], or [`KeyError::Weak`] for RSA under 2,048 bits.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (encoding, der) = pem::private_key(text)?;
        match encoding {
            Encoding::Pkcs8 => {
                let mut refused = KeyError::Form;
                for algorithm in [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA] {
                    match Self::from_stored(algorithm, der.to_vec()) {
                        Ok(key) => return Ok(key),
                        // Only an algorithm that can read the key reports it as weak.
                        Err(KeyError::Weak) => refused = KeyError::Weak,
                        Err(_) => {}
                    }
                }
                Err(refused)
            }
            Encoding::Pkcs1 => Self::of_rsa(&RsaKeyPair::from_der(&der).map_err(rsa_refused)?),
            Encoding::Sec1 => {
                Self::of_p256(&EcdsaKeyPair::from_private_key_der(&P256, &der).map_err(|_| KeyError::Form)?)
            }
        }
    }

    /// Takes the 32 bytes that an Ed25519 key is made of (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// [`KeyError::Form`] when the library refuses them.
    pub fn from_ed25519_seed(seed: &[u8; 32]) -> Result<Self, KeyError> {
        Self::of_ed25519(&Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Form)?)
    }

    /// Reads a private or symmetric JWK. Both halves must belong together, and the key must be for signing.
    ///
    /// # Errors
    /// The [`KeyError`] that says what is wrong.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        must_sign(jwk)?;
        let name = name_of(jwk)?;
        Ok(Self { name, ..Self::of_jwk(jwk)? })
    }

    fn of_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let secret_member = |name: &str| member(jwk, name).map(Zeroizing::new);
        if jwk.get("kty").and_then(Value::as_str) == Some("oct") {
            return match jwk.get("alg").map(Value::as_str) {
                None | Some(Some("HS256")) => Self::from_secret(member(jwk, "k")?),
                Some(_) => Err(KeyError::Algorithm),
            };
        }
        match PublicKey::from_jwk(jwk)? {
            PublicKey::P256 { x, y } => {
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                let pair = EcdsaKeyPair::from_private_key_and_public_key(&P256, &secret_member("d")?, &point);
                Self::of_p256(&pair.map_err(|_| KeyError::Weak)?)
            }
            PublicKey::Ed25519 { x } => {
                let seed = secret_member("d")?;
                if seed.len() != 32 {
                    return Err(KeyError::Form);
                }
                Self::of_ed25519(&Ed25519KeyPair::from_seed_and_public_key(&seed, &x).map_err(|_| KeyError::Weak)?)
            }
            PublicKey::Rsa { n, e } => {
                let pair = RsaKeyPair::from_components(&aws_lc_rs::rsa::KeyPairComponents {
                    public_key: RsaPublicKeyComponents { n, e },
                    d: secret_member("d")?.to_vec(),
                    p: secret_member("p")?.to_vec(),
                    q: secret_member("q")?.to_vec(),
                    dP: secret_member("dp")?.to_vec(),
                    dQ: secret_member("dq")?.to_vec(),
                    qInv: secret_member("qi")?.to_vec(),
                });
                Self::of_rsa(&pair.map_err(|_| KeyError::Weak)?)
            }
        }
    }

    /// Reads what [`secret`](Self::secret) returned: PKCS#8 DER, or the HMAC secret.
    ///
    /// # Errors
    /// [`KeyError`] when the bytes are not a key for that algorithm.
    pub fn from_stored(algorithm: Algorithm, bytes: Vec<u8>) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(bytes);
        match algorithm {
            Algorithm::ES256 => Self::of_p256(&EcdsaKeyPair::from_pkcs8(&P256, &bytes).map_err(|_| KeyError::Form)?),
            Algorithm::RS256 => Self::of_rsa(&RsaKeyPair::from_pkcs8(&bytes).map_err(rsa_refused)?),
            Algorithm::EdDSA => Self::of_ed25519(&Ed25519KeyPair::from_pkcs8(&bytes).map_err(|_| KeyError::Form)?),
            Algorithm::HS256 => Self::from_secret(bytes.to_vec()),
            Algorithm::PS256 => Err(KeyError::Algorithm),
        }
    }

    fn of_p256(pair: &EcdsaKeyPair) -> Result<Self, KeyError> {
        let public = PublicKey::p256_from_point(pair.public_key().as_ref())?;
        Ok(Self::whole(pair.to_pkcs8v1().map_err(failed)?.as_ref(), public))
    }

    fn of_ed25519(pair: &Ed25519KeyPair) -> Result<Self, KeyError> {
        let public = PublicKey::ed25519(pair.public_key().as_ref())?;
        Ok(Self::whole(pair.to_pkcs8v1().map_err(failed)?.as_ref(), public))
    }

    fn of_rsa(pair: &RsaKeyPair) -> Result<Self, KeyError> {
        let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let public = PublicKey::rsa(parts.n, parts.e)?;
        let der: Pkcs8V1Der<'static> = pair.as_der().map_err(failed)?;
        Ok(Self::whole(der.as_ref(), public))
    }

    fn whole(der: &[u8], public: PublicKey) -> Self {
        Self { algorithm: public.algorithm(), secret: Secret::new(der.to_vec()), public: Some(public), name: None }
    }

    /// The algorithm that it signs with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What to seal and store: PKCS#8 DER, or the HMAC secret.
    pub const fn secret(&self) -> &Secret<Vec<u8>> {
        &self.secret
    }

    /// The public half; `None` for a symmetric key.
    pub const fn public(&self) -> Option<&PublicKey> {
        self.public.as_ref()
    }

    /// The public half as a JWK, without `kid`; `None` for a symmetric key. It is built from the public half alone, so
    /// it never holds a private member.
    pub fn public_jwk(&self) -> Option<Value> {
        self.public.as_ref().map(PublicKey::jwk)
    }

    /// The name that others know the key by: the `kid` of the JWK that it was read from, otherwise its
    /// [`thumbprint`](Self::thumbprint).
    pub fn kid(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.thumbprint())
    }

    /// The `kid` of our own keys: the RFC 7638 thumbprint of the public half. For a symmetric key that thumbprint would
    /// be a plain hash of the secret (RFC 7638 §7), so an HMAC under the key is used instead.
    pub fn thumbprint(&self) -> String {
        self.public.as_ref().map_or_else(
            || {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.expose());
                URL_SAFE_NO_PAD.encode(hmac::sign(&key, b"passmint kid v1"))
            },
            PublicKey::thumbprint,
        )
    }

    pub(in crate::tokens) fn encoding_key(&self) -> EncodingKey {
        let bytes = self.secret.expose();
        match self.algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_der(bytes),
            Algorithm::RS256 | Algorithm::PS256 => EncodingKey::from_rsa_der(bytes),
            Algorithm::EdDSA => EncodingKey::from_ed_der(bytes),
            Algorithm::HS256 => EncodingKey::from_secret(bytes),
        }
    }

    pub(in crate::tokens) fn decoding_key(&self) -> DecodingKey {
        self.public.as_ref().map_or_else(|| DecodingKey::from_secret(self.secret.expose()), PublicKey::decoding_key)
    }
}

/// Refuses a JWK that says it is for encryption, or only for verifying (RFC 7517 §4.2, §4.3).
fn must_sign(jwk: &Value) -> Result<(), KeyError> {
    let signs = jwk.get("use").is_none_or(|usage| usage == "sig");
    let may =
        jwk.get("key_ops").is_none_or(|all| all.as_array().is_some_and(|all| all.iter().any(|one| one == "sign")));
    if signs && may { Ok(()) } else { Err(KeyError::Purpose) }
}

/// The `kid` of a JWK (RFC 7517 §4.5), if it has one.
fn name_of(jwk: &Value) -> Result<Option<String>, KeyError> {
    let Some(kid) = jwk.get("kid") else { return Ok(None) };
    let printable =
        |text: &&str| (1..=KID_MAX).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    kid.as_str().filter(printable).map(|kid| Some(kid.to_owned())).ok_or(KeyError::Kid)
}

/// Maps the library's error: it can read a key of an unsupported length, and then refuses it.
fn rsa_refused(rejected: KeyRejected) -> KeyError {
    if ["TooSmall", "TooLarge"].contains(&rejected.description_()) { KeyError::Weak } else { KeyError::Form }
}

fn failed(_: aws_lc_rs::error::Unspecified) -> KeyError {
    KeyError::Generation
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    fn pem(label: &str, der: &[u8]) -> String {
        let body = STANDARD.encode(der);
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    #[test]
    fn every_kind_survives_storage_and_pem() {
        for algorithm in Algorithm::OURS {
            let key = KeyMaterial::generate(algorithm).unwrap();
            let stored = KeyMaterial::from_stored(algorithm, key.secret().expose().clone()).unwrap();
            assert_eq!((key.thumbprint(), key.public_jwk()), (stored.thumbprint(), stored.public_jwk()));
            assert_eq!(key.thumbprint().len(), 43);
            assert_ne!(key.thumbprint(), KeyMaterial::generate(algorithm).unwrap().thumbprint(), "{algorithm}");
            if algorithm != Algorithm::HS256 {
                let read = KeyMaterial::from_pem(&pem("PRIVATE KEY", key.secret().expose())).unwrap();
                assert_eq!((read.algorithm(), read.thumbprint()), (algorithm, key.thumbprint()));
            }
        }
    }

    /// PKCS#8 contains the older forms whole, so the tests extract them from it.
    #[test]
    fn the_older_pem_forms_are_read() {
        let rsa = KeyMaterial::generate(Algorithm::RS256).unwrap();
        let inner = &rsa.secret().expose()[26..];
        assert_eq!(KeyMaterial::from_pem(&pem("RSA PRIVATE KEY", inner)).unwrap().thumbprint(), rsa.thumbprint());
        let ec = KeyMaterial::generate(Algorithm::ES256).unwrap();
        let der = ec.secret().expose();
        let start = der.windows(5).position(|window| window == [0x02, 0x01, 0x01, 0x04, 0x20]).unwrap() - 2;
        let with_parameters = format!(
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}",
            pem("EC PRIVATE KEY", &der[start..])
        );
        assert_eq!(KeyMaterial::from_pem(&with_parameters).unwrap().thumbprint(), ec.thumbprint());
    }

    #[test]
    fn what_is_not_one_plain_private_key_is_refused() {
        let key = KeyMaterial::generate(Algorithm::ES256).unwrap();
        let good = pem("PRIVATE KEY", key.secret().expose());
        for (name, bad) in [
            ("empty", String::new()),
            ("public", pem("PUBLIC KEY", &[1, 2, 3])),
            ("encrypted", pem("ENCRYPTED PRIVATE KEY", key.secret().expose())),
            ("cut", good[..good.len() / 2].to_owned()),
            ("two keys", format!("{good}{good}")),
            ("noise", pem("PRIVATE KEY", b"noise")),
            ("not base64", "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----".to_owned()),
        ] {
            assert_eq!(KeyMaterial::from_pem(&bad).unwrap_err(), KeyError::Form, "{name}");
        }
    }

    /// An RSA key of 1,024 bits is readable, and reported as too short.
    #[test]
    fn a_short_rsa_key_is_weak_and_not_unreadable() {
        const SHORT: &str = "MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAKaDQq6kzgWoheKw+oXfG5bgGAZn1TdrgJzIaE/16xrTQnQ8usov\
            np8kgHdemiqo9wMbqVgHWy6OF9q02UlxinQE54hY3Ci8YGYrYq1wSO4O/U4EHW9AENqqMieT7d6t9xPLgNYEWqbtfU/vC2CFuvMj\
            EUQZMo16hgf64yiikfPzAgMBAAECgYAkvJLqqwuVLgAT6o3rGTUiDWDfkOr2pi4i6QgylAQB0Bg6QufHEciCPfBl5aZHwS12LxUm\
            icDxPYI/y2ShEn7EDNv4D6ZKbw3XaYbJ+NpA5XKj9mC3nZIRUd7pBGe+ZPbSD+gPGAWPvYDshtCOXdyMVDyf8Kxt5waZNDh+esBh\
            IQJBANfEGkST9mQFMiZtluul7jOI5dLKf9UdXFIacO7IGi5q3Xn4crklVRaPBG9X6mXEvsd68oJAxh6cvjW17Rs2guMCQQDFj/tx\
            0AMVcXxfyBubGcVGofkXjQIuI6dZvDJzxZilxP4OW2GTL6iBa6W/Pl+dNcfYn1PZwelKunQo5d43wcexAkEAjMwtD/8104MIfMca\
            qt92ly6IOotl653jNriGZWsymoOlzwfvZR4VbkkZbccC8DH5BJcYVSMLpcJG5Sm4df+WXQJAVfJogj/rR4XihMzKbbRNZYgLlJpM\
            q4PpRxmfnUwGN3+2wsowbdba6MrLBaL996ew9GWEFgTNGCx7Ylt2TC1qUQJBAJU1Uf5wyYsBdO6Yo3Cb/DX4IuQua+RtBlXjb/EO\
            +0cvOrZH6rG+Eq0jTQr149kmxzaUr9ylPPudKAFgY1X1TO0=";
        let der = STANDARD.decode(SHORT).unwrap();
        let inner = &der[26..];
        for short in [pem("PRIVATE KEY", &der), pem("RSA PRIVATE KEY", inner)] {
            assert_eq!(KeyMaterial::from_pem(&short).unwrap_err(), KeyError::Weak);
        }
        assert!(KeyError::Weak.to_string().contains("2,048"));
    }

    /// RFC 8037 appendix A.1 and RFC 7515 appendix A.3.1.
    #[test]
    fn private_jwks_are_read_and_halves_must_fit() {
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let read = KeyMaterial::from_jwk(&ed).unwrap();
        assert_eq!(read.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let mut ec = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"});
        assert_eq!(KeyMaterial::from_jwk(&ec).unwrap().algorithm(), Algorithm::ES256);
        ec["d"] = ed["d"].clone();
        assert_eq!(KeyMaterial::from_jwk(&ec).unwrap_err(), KeyError::Weak, "halves of two keys");
        let oct = |length: usize| json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(vec![7; length])});
        assert_eq!(KeyMaterial::from_jwk(&oct(32)).unwrap().algorithm(), Algorithm::HS256);
        assert_eq!(KeyMaterial::from_jwk(&oct(31)).unwrap_err(), KeyError::Weak);
    }

    /// RFC 7517 §4.2, §4.3 and §4.5, with the members that other tools add to a key.
    #[test]
    fn a_jwk_keeps_its_name_and_says_that_it_signs() {
        let oct = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode([7; 32])});
        let with = |member: &str, value: Value| {
            let mut jwk = oct.clone();
            jwk[member] = value;
            KeyMaterial::from_jwk(&jwk)
        };
        let bare = KeyMaterial::from_jwk(&oct).unwrap();
        assert_eq!(bare.kid(), bare.thumbprint());
        let named = with("kid", json!("0b9d3a51-6f0e-4f5a-8e13-c43bd5be72c3")).unwrap();
        assert_eq!(named.kid(), "0b9d3a51-6f0e-4f5a-8e13-c43bd5be72c3");
        assert_eq!(named.thumbprint(), bare.thumbprint(), "the name is no part of the key");
        for wrong in [json!(""), json!(5), Value::Null, json!("a\nb"), json!("é"), json!("k".repeat(257))] {
            assert_eq!(with("kid", wrong.clone()).unwrap_err(), KeyError::Kid, "{wrong}");
        }
        assert_eq!(with("kid", json!("k".repeat(256))).unwrap().kid().len(), 256);
        assert!(with("use", json!("sig")).is_ok() && with("key_ops", json!(["sign", "verify"])).is_ok());
        for (member, wrong) in
            [("use", json!("enc")), ("key_ops", json!(["verify"])), ("key_ops", json!([])), ("key_ops", json!("sign"))]
        {
            assert_eq!(with(member, wrong.clone()).unwrap_err(), KeyError::Purpose, "{member} = {wrong}");
        }
    }

    #[test]
    fn nothing_private_is_shown() {
        for algorithm in Algorithm::OURS {
            let key = KeyMaterial::generate(algorithm).unwrap();
            assert!(format!("{key:?}").contains("***"));
            let Some(jwk) = key.public_jwk() else { continue };
            for name in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
                assert!(jwk.get(name).is_none(), "{algorithm} {name}");
            }
        }
    }
}
