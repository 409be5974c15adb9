//! Shared by the bridge tests: a service account created for this run, and a verifier as strict as Google's.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::preset::firebase;
use super::preset::rules::Violation;
use super::{Allow, BridgeDefinition, Material, PresetKind, ServiceAccount};

/// The e-mail address of [`key_file`]'s account.
pub const SERVICE_ACCOUNT: &str = "firebase-adminsdk-x1@demo-idp.iam.gserviceaccount.com";

/// A key file in the format of the Google console, with a key that exists in this process only.
pub fn key_file() -> &'static str {
    static FILE: OnceLock<String> = OnceLock::new();
    FILE.get_or_init(|| {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let key = STANDARD.encode(der.as_ref());
        json!({
            "type": "service_account", "project_id": "demo-idp", "private_key_id": "0123456789abcdef",
            "private_key": format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"),
            "client_email": SERVICE_ACCOUNT, "client_id": "1", "token_uri": "https://oauth2.googleapis.com/token",
        })
        .to_string()
    })
}

/// The account of [`key_file`].
pub fn account() -> ServiceAccount {
    static ACCOUNT: OnceLock<ServiceAccount> = OnceLock::new();
    ACCOUNT.get_or_init(|| ServiceAccount::parse(key_file()).unwrap()).clone()
}

/// A firebase bridge for the client `web`, with these developer claims.
pub fn firebase_spec(claims: Value) -> BridgeDefinition {
    BridgeDefinition {
        claims,
        material: Some(Material::ServiceAccount(account())),
        allow: Allow { clients: vec!["web".to_owned()], ..Allow::default() },
        ..BridgeDefinition::new("firebase", PresetKind::Firebase)
    }
}

/// A jwt bridge for the client `web`, with these claims.
pub fn jwt_spec(claims: Value) -> BridgeDefinition {
    BridgeDefinition {
        claims,
        issuer: Some("https://idp.example.com".to_owned()),
        audience: Some("https://api.example.com".to_owned()),
        algorithm: Some(super::Algorithm::Es256),
        allow: Allow { clients: vec!["web".to_owned()], ..Allow::default() },
        ..BridgeDefinition::new("api", PresetKind::Jwt)
    }
}

/// The compact form, signed with RS256 by the account's key.
pub fn sign(header: &Value, claims: &Value, account: &ServiceAccount) -> String {
    let pair = RsaKeyPair::from_pkcs8(account.pkcs8().expose()).unwrap();
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Why a strict verifier refuses a signed token.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Form,
    Signature,
    Expired,
    FromTheFuture,
    Rules(Vec<Violation>),
}

/// Everything that Google checks of a custom token, and its emulator does not: form, signature, clock, rules.
pub fn check_signed(token: &str, account: &ServiceAccount, now: i64) -> Result<(), Refusal> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { return Err(Refusal::Form) };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Form);
    let json = |part: &str| serde_json::from_slice::<Value>(&decode(part)?).map_err(|_| Refusal::Form);
    let public = RsaKeyPair::from_pkcs8(account.pkcs8().expose()).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.public_key().as_ref())
        .verify(token.rsplit_once('.').unwrap().0.as_bytes(), &decode(signature)?)
        .map_err(|_| Refusal::Signature)?;
    let (header, claims) = (json(header)?, json(claims)?);
    firebase::check(&header, &claims).map_err(Refusal::Rules)?;
    if claims["exp"].as_i64().unwrap() <= now {
        return Err(Refusal::Expired);
    }
    if claims["iat"].as_i64().unwrap() > now + 60 {
        return Err(Refusal::FromTheFuture);
    }
    Ok(())
}
