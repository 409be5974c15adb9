use serde_json::json;

use super::*;
use crate::bridge::testing::{self, firebase_spec, jwt_spec};
use crate::bridge::{Bridge, Key};

fn pem(key: &KeyMaterial) -> String {
    let body = STANDARD.encode(key.secret().expose());
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

fn made(algorithm: KeyAlgorithm) -> Material {
    Material::Key(KeyMaterial::generate(algorithm).unwrap())
}

/// The places of the problems; empty for a valid definition.
fn places(definition: BridgeDefinition) -> Vec<String> {
    Bridge::new(definition).err().into_iter().flatten().map(|problem| problem.place).collect()
}

#[test]
fn each_form_is_read_and_opens_again() {
    let key = KeyMaterial::generate(KeyAlgorithm::ES256).unwrap();
    let account: Value = serde_json::from_str(testing::key_file()).unwrap();
    let jwk = json!({ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" });
    for (upload, kind, id) in [
        (KeyUpload::of_file(&pem(&key)).unwrap(), "private key", key.thumbprint()),
        (KeyUpload::of_file(testing::key_file()).unwrap(), "service account", "0123456789abcdef".to_owned()),
        (KeyUpload::ServiceAccount(account), "service account", "0123456789abcdef".to_owned()),
        (KeyUpload::of_file(&jwk.to_string()).unwrap(), "secret", KeyUpload::Jwk(jwk).read().unwrap().id()),
    ] {
        let sealed = upload.to_bytes();
        let opened = KeyUpload::from_bytes(&sealed).unwrap().read().unwrap();
        assert_eq!((opened.kind(), opened.id()), (kind, id));
        assert!(!format!("{upload:?}").contains("BEGIN"), "nothing of it is printed");
    }
    let named = json!({ "kty": "oct", "kid": "k1", "k": URL_SAFE_NO_PAD.encode([7; 32]) });
    let named = KeyUpload::Jwk(named).read().unwrap();
    let same =
        KeyUpload::Jwk(json!({ "kty": "oct", "kid": "k1", "k": URL_SAFE_NO_PAD.encode([8; 32]) })).read().unwrap();
    assert_eq!((named.id().as_str(), same.id().as_str()), ("k1", "k1"), "as its JWK says");
    assert_ne!(named.fingerprint(), same.fingerprint(), "and not the same");
    let text = KeyUpload::of_secret(&[b"x".repeat(32), b"\r\n".to_vec()].concat()).read().unwrap();
    let Material::Key(text) = text else { panic!("a secret") };
    assert_eq!(text.secret().expose(), &b"x".repeat(32), "the line end of an editor is not part of it");
    let bytes = KeyUpload::of_secret(&[0xff; 32]).read().unwrap();
    let Material::Key(bytes) = bytes else { panic!("a secret") };
    assert_eq!(bytes.secret().expose(), &vec![0xff; 32], "a secret that is no text");
}

#[test]
fn each_wrong_key_is_refused_by_name_and_without_its_content() {
    use MaterialError as Error;
    let large = "x".repeat(MAX_KEY_BYTES + 1);
    let public = KeyMaterial::generate(KeyAlgorithm::ES256).unwrap().public().unwrap().to_pem();
    let jwk = |usage: &str| json!({ "kty": "oct", "use": usage, "k": URL_SAFE_NO_PAD.encode([7; 32]) }).to_string();
    let read = |upload: KeyUpload| upload.read().map(drop);
    for (name, result, expected) in [
        ("nothing", KeyUpload::of_file("").map(drop), Error::Unknown),
        ("text", KeyUpload::of_file("hunter2").map(drop), Error::Unknown),
        ("another document", KeyUpload::of_file("{\"a\":1}").map(drop), Error::Unknown),
        ("large", KeyUpload::of_file(&large).map(drop), Error::TooLarge),
        ("large secret", KeyUpload::Secret(large.clone()).read().map(drop), Error::TooLarge),
        ("short secret", KeyUpload::Secret("x".repeat(15)).read().map(drop), Error::ShortSecret),
        ("no base64", KeyUpload::SecretBase64("*".repeat(44)).read().map(drop), Error::Base64),
        ("a public key as a secret", KeyUpload::Secret(public.clone()).read().map(drop), Error::SecretIsKey),
        ("the same in base64", KeyUpload::SecretBase64(STANDARD.encode(&public)).read().map(drop), Error::SecretIsKey),
        ("the same in a file", KeyUpload::of_secret(public.as_bytes()).read().map(drop), Error::SecretIsKey),
        ("a JWK as a secret", KeyUpload::Secret(jwk("hunter2")).read().map(drop), Error::SecretIsKey),
        ("a JWK for encryption", KeyUpload::of_file(&jwk("enc")).and_then(read), Error::Key(KeyError::Purpose)),
        (
            "public PEM",
            KeyUpload::Pem("-----BEGIN PUBLIC KEY-----\n".into()).read().map(drop),
            Error::Key(KeyError::Form),
        ),
        ("public JWK", KeyUpload::Jwk(json!({ "kty": "EC" })).read().map(drop), Error::Key(KeyError::Algorithm)),
        (
            "another JSON file",
            KeyUpload::ServiceAccount(json!({ "type": "authorized_user" })).read().map(drop),
            Error::ServiceAccount(ServiceAccountError::WrongType),
        ),
    ] {
        let error = result.expect_err(name);
        assert_eq!(error, expected, "{name}");
        assert!(!error.to_string().contains("hunter2"), "{name}");
    }
    assert_eq!(KeyUpload::from_bytes(&Secret::new(b"{}".to_vec())).unwrap_err(), Error::Unknown);
}

#[test]
fn the_key_must_be_there_and_fit() {
    let with = |key: Option<KeySource>, material: Option<Material>| BridgeDefinition {
        key,
        material,
        dangerous: key == Some(KeySource::Provider),
        ..jwt_spec(Value::Null)
    };
    let es256 = || Some(made(KeyAlgorithm::ES256));
    let hs256 = |key, material| BridgeDefinition { algorithm: Some(Algorithm::Hs256), ..with(key, material) };
    let kid = |key, material| BridgeDefinition { kid: Some(KidPolicy::Fixed("k".to_owned())), ..with(key, material) };
    for (name, definition, wrong) in [
        ("its own, by default", with(None, None), None),
        ("its own", with(Some(KeySource::Own), None), None),
        ("imported, unsaid", with(None, es256()), None),
        ("imported", with(Some(KeySource::Imported), es256()), None),
        ("a shared secret", hs256(None, Some(made(KeyAlgorithm::HS256))), None),
        ("imported, and nothing there", with(Some(KeySource::Imported), None), Some("key")),
        ("imported beside its own", with(Some(KeySource::Own), es256()), Some("key")),
        ("imported beside the provider's", with(Some(KeySource::Provider), es256()), Some("key")),
        ("for another algorithm", with(None, Some(made(KeyAlgorithm::EdDSA))), Some("key")),
        ("a secret for ES256", with(None, Some(made(KeyAlgorithm::HS256))), Some("key")),
        ("a key pair for HS256", hs256(None, es256()), Some("key")),
        ("HS256 and no secret", hs256(None, None), Some("key")),
        ("a kid that every own key would have", kid(None, None), Some("kid")),
        ("a kid of an imported key", kid(None, es256()), None),
        ("HS256 by the provider", hs256(Some(KeySource::Provider), None), Some("key")),
        (
            "Firebase by the provider",
            BridgeDefinition { key: Some(KeySource::Own), ..firebase_spec(Value::Null) },
            Some("key"),
        ),
    ] {
        assert_eq!(places(definition), wrong.map(ToOwned::to_owned).into_iter().collect::<Vec<_>>(), "{name}");
    }
}

/// With the keys of our own tokens, a template could create an access token: this must be impossible.
#[test]
fn what_the_providers_keys_sign_is_never_an_access_token_of_ours() {
    let ours = "https://idp.example.com".to_owned();
    let good = || BridgeDefinition {
        key: Some(KeySource::Provider),
        our_issuer: Some(ours.clone()),
        dangerous: true,
        ..jwt_spec(Value::Null)
    };
    assert!(matches!(Bridge::new(good()).unwrap().key(), Key::Provider(Algorithm::Es256)));
    assert_eq!(places(BridgeDefinition { issuer: None, ..good() }), Vec::<String>::new(), "ours where nothing is said");
    for (name, definition, place) in [
        ("nothing said of its danger", BridgeDefinition { dangerous: false, ..good() }, "key"),
        ("another issuer", BridgeDefinition { issuer: Some("https://other.example".into()), ..good() }, "issuer"),
        ("the type of access tokens", BridgeDefinition { typ: Some(Typ::AtJwt), ..good() }, "typ"),
        ("a made-up kid", BridgeDefinition { kid: Some(KidPolicy::Fixed("k".into())), ..good() }, "kid"),
        ("for ourselves", BridgeDefinition { audience: Some(ours.clone()), ..good() }, "audience"),
    ] {
        assert_eq!(places(definition), [place], "{name}");
    }
}

/// What is stored is read back unchanged; unknown members are refused by name; key material is never printed.
#[test]
fn a_definition_survives_its_one_form() {
    let whole = json!({
        "preset": "jwt", "issuer": "https://idp.example.com", "audience": "https://api.example.com", "audience_form": "array",
        "algorithm": "RS256", "typ": "at+jwt", "kid": "omit", "lifetime": 60, "max_bytes": 2048, "subject": "{{ user.email }}",
        "claims": { "role": "member" }, "key": "own", "dangerous": true,
        "allow": { "clients": ["web"], "scopes": ["x"], "groups": ["staff"], "min_acr": "phr", "max_auth_age": 600,
                   "unnamed_actors": true,
                   "require": { "user_verification": true, "email_verified": true } },
    });
    let read: BridgeDefinition = serde_json::from_value(whole.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), whole);
    let with_key = BridgeDefinition { material: Some(made(KeyAlgorithm::RS256)), ..read };
    assert_eq!(serde_json::to_value(&with_key).unwrap(), whole, "no key in it");
    let least: BridgeDefinition = serde_json::from_value(json!({ "preset": "jwt" })).unwrap();
    assert_eq!(serde_json::to_value(&least).unwrap(), json!({ "preset": "jwt" }));
    for (wrong, named) in [
        (json!({ "preset": "jvt" }), "jvt"),
        (json!({ "preset": "jwt", "alow": {} }), "alow"),
        (json!({ "preset": "jwt", "allow": { "client": [] } }), "client"),
        (json!({ "preset": "jwt", "algorithm": "none" }), "none"),
        (json!({ "preset": "jwt", "lifetime": "10 minutes" }), "10 minutes"),
        (json!({ "preset": "jwt", "lifetime": 1.5 }), "seconds"),
        (json!({ "preset": "jwt", "material": {} }), "material"),
        (json!({ "preset": "jwt", "our_issuer": "x" }), "our_issuer"),
        (json!({}), "preset"),
    ] {
        let error = serde_json::from_value::<BridgeDefinition>(wrong.clone()).expect_err(named).to_string();
        assert!(error.contains(named), "{wrong}: {error}");
    }
    let in_words: BridgeDefinition = serde_json::from_value(json!({ "preset": "jwt", "lifetime": "2m" })).unwrap();
    assert_eq!(serde_json::to_value(&in_words).unwrap()["lifetime"], 120, "as the configuration has it");
    let endless = json!({ "preset": "jwt", "audience": "a", "issuer": "b", "lifetime": i64::MAX });
    let endless: BridgeDefinition = serde_json::from_value(endless).unwrap();
    assert_eq!(places(BridgeDefinition { name: "x".to_owned(), ..endless }), ["lifetime"], "no panic");
}

/// A key that was written in the wrong place is never repeated, whatever the mistake.
#[test]
fn what_does_not_read_is_named_and_never_repeated() {
    const KEY: &str = "hunter2hunter2hunter2hunter2hunter2";
    for (written, words) in [
        (json!({ "preset": "jwt", "key": KEY }), "`key` does not read: expected one of `own`"),
        (json!({ "preset": KEY }), "`preset` does not read: expected one of `firebase`"),
        (json!({ "preset": "jwt", "dangerous": KEY }), "`dangerous` does not read: expected a boolean"),
        (json!({ "preset": "jwt", "allow": KEY }), "`allow` does not read"),
        (json!({ "preset": "jwt", "lifetime": KEY }), "`lifetime` does not read"),
        (json!({ "preset": "jwt", "secret": KEY }), "`secret` does not read: expected one of"),
        (json!({ "preset": "jwt", (KEY): true }), "a member does not read"),
        (json!({ "audience": KEY }), "missing field `preset`"),
        (json!(KEY), "it is no object of settings"),
    ] {
        let told = BridgeDefinition::read(written.clone()).expect_err("no definition");
        assert!(told.starts_with(words) && !told.contains("hunter2"), "{written}: {told}");
    }
    assert!(BridgeDefinition::read(json!({ "preset": "jwt", "lifetime": "2m" })).is_ok());
}
