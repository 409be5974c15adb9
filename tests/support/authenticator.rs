//! A software passkey: complete WebAuthn ceremonies without a browser.
//!
//! It plays authenticator and browser together: it takes the options as our server sends them and returns what
//! `PublicKeyCredential.toJSON()` returns. Everything that an attacker (or a strange device) could send differently can
//! be set: fields for honest variety, [`Hooks`] for hostile bytes. Hooks run *before* signing, so a hostile message
//! carries a valid signature over itself, like one made by an attacker's own authenticator.
//!
//! The integration tests and the benches share this file by `#[path]`, so it depends only on aws-lc-rs, base64 and
//! serde_json. A signature costs about 20 µs with ES256.
//!
//! ```ignore
//! let mut passkey = Authenticator::new("https://id.example");
//! let answer = passkey.create(&options["publicKey"]);   // to …/registration/verify
//! let answer = passkey.get(&options["publicKey"]);      // to …/authentication/verify
//! ```
//!
//! One value holds one credential. `get` raises the counter by [`Authenticator::counter_step`].

#![allow(
    dead_code,
    missing_docs,
    clippy::missing_panics_doc,
    reason = "each user of the file needs another part of it"
)]

use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use aws_lc_rs::{digest, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The kinds of key that our server accepts.
pub enum Key {
    Es256(EcdsaKeyPair),
    Es384(EcdsaKeyPair),
    Rs256(Box<RsaKeyPair>),
}

/// A change to bytes.
pub type BytesHook = Box<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;
/// A change to text, which may become invalid UTF-8.
pub type TextHook = Box<dyn Fn(String) -> Vec<u8> + Send + Sync>;
/// A change to JSON.
pub type JsonHook = Box<dyn Fn(&mut Value) + Send + Sync>;

/// Changes to a message before it is signed. Each takes the honest form and returns what is sent.
#[derive(Default)]
pub struct Hooks {
    /// The text of `clientDataJSON`; bytes, because it may become invalid UTF-8.
    pub client_data: Option<TextHook>,
    /// The COSE key in the attested credential data.
    pub public_key: Option<BytesHook>,
    /// The authenticator data.
    pub auth_data: Option<BytesHook>,
    /// The attestation object.
    pub attestation_object: Option<BytesHook>,
    /// The signature of an assertion.
    pub signature: Option<BytesHook>,
    /// The finished JSON.
    pub response: Option<JsonHook>,
}

/// A software passkey and the browser around it.
#[expect(clippy::struct_excessive_bools, reason = "they are independent bits on the wire")]
pub struct Authenticator {
    pub key: Key,
    /// Overrides the RP id of the options, as a phishing page would.
    pub rp_id: Option<String>,
    /// The origin that the browser reports.
    pub origin: String,
    pub credential_id: Vec<u8>,
    /// Taken from the options by `create`; sent by `get`.
    pub user_handle: Option<Vec<u8>>,
    pub aaguid: [u8; 16],
    /// The counter of the last message, and what `get` adds before the next. A step of 0 means a synchronised passkey.
    pub counter: u32,
    pub counter_step: u32,
    pub user_present: bool,
    pub user_verified: bool,
    pub backup_eligible: bool,
    pub backup_state: bool,
    /// Additional bits to set in the flags.
    pub extra_flags: u8,
    /// Bits to clear in the flags.
    pub cleared_flags: u8,
    /// The CBOR of the extension outputs; sets ED.
    pub extensions: Option<Vec<u8>>,
    pub transports: Vec<&'static str>,
    pub attachment: Option<&'static str>,
    /// `fmt` and the CBOR of `attStmt`.
    pub attestation: (String, Vec<u8>),
    pub hooks: Hooks,
}

impl Authenticator {
    /// An ES256 platform passkey, not synchronised, with user verification, at the RP of the options.
    pub fn new(origin: &str) -> Self {
        Self::with_key(origin, Key::es256())
    }

    pub fn with_key(origin: &str, key: Key) -> Self {
        let mut credential_id = vec![0; 32];
        rand::fill(&mut credential_id).expect("randomness");
        Self {
            key,
            rp_id: None,
            origin: origin.to_owned(),
            credential_id,
            user_handle: None,
            aaguid: *b"software passkey",
            counter: 0,
            counter_step: 1,
            user_present: true,
            user_verified: true,
            backup_eligible: false,
            backup_state: false,
            extra_flags: 0,
            cleared_flags: 0,
            extensions: None,
            transports: vec!["internal", "hybrid"],
            attachment: Some("platform"),
            attestation: ("none".to_owned(), cbor::map(&[])),
            hooks: Hooks::default(),
        }
    }

    /// Like most passkeys today: backed up, and with a counter that stays 0.
    pub fn synchronised(origin: &str) -> Self {
        Self { backup_eligible: true, backup_state: true, counter_step: 0, ..Self::new(origin) }
    }

    /// Answers `navigator.credentials.create({publicKey: options})`.
    ///
    /// # Panics
    /// When the options lack `challenge`, `rp.id` or `user.id`: the test should then look at them.
    pub fn create(&mut self, options: &Value) -> Value {
        self.user_handle = Some(decode(&options["user"]["id"]));
        let client_data = self.client_data("webauthn.create", &options["challenge"]);
        let auth_data = self.auth_data(&options["rp"]["id"], true);
        let (format, statement) = &self.attestation;
        let object = cbor::map(&[
            (cbor::text("fmt"), cbor::text(format)),
            (cbor::text("attStmt"), statement.clone()),
            (cbor::text("authData"), cbor::bytes(&auth_data)),
        ]);
        let object = apply(self.hooks.attestation_object.as_ref(), object);
        self.finish(json!({
            "clientDataJSON": encode(&client_data),
            "attestationObject": encode(&object),
            "authenticatorData": encode(&auth_data),
            "publicKeyAlgorithm": self.key.algorithm(),
            "transports": self.transports,
        }))
    }

    /// Answers `navigator.credentials.get({publicKey: options})`.
    ///
    /// # Panics
    /// When the options lack `challenge` or `rpId`, or allow only other credentials: a browser would show an error.
    pub fn get(&mut self, options: &Value) -> Value {
        let allowed = options["allowCredentials"].as_array().map(Vec::as_slice).unwrap_or_default();
        let own = |entry: &Value| decode(&entry["id"]) == self.credential_id;
        assert!(allowed.is_empty() || allowed.iter().any(own), "the options allow this credential");
        self.get_uninvited(options)
    }

    /// [`Self::get`], even if the options do not allow this credential.
    pub fn get_uninvited(&mut self, options: &Value) -> Value {
        self.counter = self.counter.wrapping_add(self.counter_step);
        let client_data = self.client_data("webauthn.get", &options["challenge"]);
        let auth_data = self.auth_data(&options["rpId"], false);
        let signature = self.key.sign(&[&auth_data, sha256(&client_data).as_slice()].concat());
        let signature = apply(self.hooks.signature.as_ref(), signature);
        self.finish(json!({
            "clientDataJSON": encode(&client_data),
            "authenticatorData": encode(&auth_data),
            "signature": encode(&signature),
            "userHandle": self.user_handle.as_deref().map(encode),
        }))
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> Vec<u8> {
        let challenge = challenge.as_str().expect("the options have a challenge");
        let origin = &self.origin;
        let text = format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#);
        match &self.hooks.client_data {
            Some(hook) => hook(text),
            None => text.into_bytes(),
        }
    }

    fn auth_data(&self, rp_id: &Value, attested: bool) -> Vec<u8> {
        let rp_id = self.rp_id.as_deref().or(rp_id.as_str()).expect("the options have an RP id");
        let mut data = sha256(rp_id.as_bytes());
        data.push(self.flags(attested));
        data.extend(self.counter.to_be_bytes());
        if attested {
            data.extend(self.aaguid);
            let length = u16::try_from(self.credential_id.len()).expect("the credential id fits its length field");
            data.extend(length.to_be_bytes());
            data.extend(&self.credential_id);
            data.extend(apply(self.hooks.public_key.as_ref(), self.key.cose()));
        }
        data.extend(self.extensions.iter().flatten());
        apply(self.hooks.auth_data.as_ref(), data)
    }

    fn flags(&self, attested: bool) -> u8 {
        let bits = [
            (self.user_present, 0x01),
            (self.user_verified, 0x04),
            (self.backup_eligible, 0x08),
            (self.backup_state, 0x10),
            (attested, 0x40),
            (self.extensions.is_some(), 0x80),
        ];
        let honest: u8 = bits.iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum();
        (honest | self.extra_flags) & !self.cleared_flags
    }

    fn finish(&self, response: Value) -> Value {
        let id = encode(&self.credential_id);
        let mut answer = json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "authenticatorAttachment": self.attachment,
            "response": response,
            "clientExtensionResults": { "credProps": { "rk": true } },
        });
        if let Some(hook) = &self.hooks.response {
            hook(&mut answer);
        }
        answer
    }
}

impl Key {
    pub fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"))
    }

    pub fn es384() -> Self {
        Self::Es384(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_ASN1_SIGNING).expect("a key"))
    }

    /// Takes tens of milliseconds.
    pub fn rs256() -> Self {
        Self::rsa(rsa::KeySize::Rsa2048)
    }

    /// An RSA key of any size; our server accepts only 2048 bits.
    pub fn rsa(size: rsa::KeySize) -> Self {
        Self::Rs256(Box::new(RsaKeyPair::generate(size).expect("a key")))
    }

    /// The COSE algorithm.
    pub fn algorithm(&self) -> i64 {
        match self {
            Self::Es256(_) => -7,
            Self::Es384(_) => -35,
            Self::Rs256(_) => -257,
        }
    }

    /// The COSE_Key of the public half.
    pub fn cose(&self) -> Vec<u8> {
        let elliptic = |key: &EcdsaKeyPair, curve| {
            // An uncompressed point: 4, x, y.
            let (x, y) = key.public_key().as_ref()[1..].split_at((key.public_key().as_ref().len() - 1) / 2);
            cose_elliptic(self.algorithm(), curve, x, y)
        };
        match self {
            Self::Es256(key) => elliptic(key, 1),
            Self::Es384(key) => elliptic(key, 2),
            Self::Rs256(key) => {
                let public = key.public_key();
                let modulus = public.modulus().big_endian_without_leading_zero().to_vec();
                cose_rsa(&modulus, public.exponent().big_endian_without_leading_zero())
            }
        }
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(key) | Self::Es384(key) => key.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Self::Rs256(key) => {
                let mut out = vec![0; key.public_modulus_len()];
                key.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut out).expect("a signature");
                out
            }
        }
    }
}

/// A COSE_Key of type EC2.
pub fn cose_elliptic(algorithm: i64, curve: i64, x: &[u8], y: &[u8]) -> Vec<u8> {
    cbor::map(&[
        (cbor::int(1), cbor::int(2)),
        (cbor::int(3), cbor::int(algorithm)),
        (cbor::int(-1), cbor::int(curve)),
        (cbor::int(-2), cbor::bytes(x)),
        (cbor::int(-3), cbor::bytes(y)),
    ])
}

/// A COSE_Key of type RSA for RS256.
pub fn cose_rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    cbor::map(&[
        (cbor::int(1), cbor::int(3)),
        (cbor::int(3), cbor::int(-257)),
        (cbor::int(-1), cbor::bytes(modulus)),
        (cbor::int(-2), cbor::bytes(exponent)),
    ])
}

/// Base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a base64url string.
///
/// # Panics
/// When the text is not valid base64url.
pub fn decode(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().expect("a string")).expect("base64url")
}

pub fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn apply(hook: Option<&BytesHook>, bytes: Vec<u8>) -> Vec<u8> {
    match hook {
        Some(hook) => hook(bytes),
        None => bytes,
    }
}

/// A CBOR writer that keeps the order of entries and repeats those that are given twice.
pub mod cbor {
    fn head(major: u8, argument: u64) -> Vec<u8> {
        let bytes = argument.to_be_bytes();
        let (info, used) = match argument {
            0..24 => return vec![major << 5 | bytes[7]],
            24..0x100 => (24, 1),
            0x100..0x1_0000 => (25, 2),
            0x1_0000..0x1_0000_0000 => (26, 4),
            _ => (27, 8),
        };
        [&[major << 5 | info], &bytes[8 - used..]].concat()
    }

    pub fn int(value: i64) -> Vec<u8> {
        if value < 0 { head(1, (-1 - value).unsigned_abs()) } else { head(0, value.unsigned_abs()) }
    }

    pub fn bytes(value: &[u8]) -> Vec<u8> {
        [head(2, value.len() as u64), value.to_vec()].concat()
    }

    pub fn text(value: &str) -> Vec<u8> {
        [head(3, value.len() as u64), value.as_bytes().to_vec()].concat()
    }

    pub fn bool(value: bool) -> Vec<u8> {
        vec![0xf4 + u8::from(value)]
    }

    pub fn array(items: &[Vec<u8>]) -> Vec<u8> {
        [head(4, items.len() as u64), items.concat()].concat()
    }

    /// Keys and values are encoded items.
    pub fn map(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let entries_bytes =
            entries.iter().flat_map(|(key, value)| [key.as_slice(), value]).collect::<Vec<_>>().concat();
        [head(5, entries.len() as u64), entries_bytes].concat()
    }
}
