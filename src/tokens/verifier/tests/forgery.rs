//! Tokens that the key they name never signed.

use super::*;
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use base64::engine::general_purpose::STANDARD;

fn unsigned(header: &Value) -> String {
    format!("{}.{}", b64(header.to_string()), b64(access_claims().to_string()))
}

#[test]
fn no_spelling_of_none_is_an_algorithm() {
    let world = &*WORLD;
    let honest = world.access(&access_claims());
    let signature = honest.rsplit_once('.').unwrap().1;
    for alg in [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!(""),
        json!(" none"),
        json!(null),
        json!(0),
        json!(["ES256"]),
        json!("es256"),
        json!("ES256 "),
        json!("HS256"),
        json!("HS512"),
        json!("ES384"),
        json!("PS256"),
        json!("RS256"),
        json!("EdDSA"),
        json!("ES256K"),
        json!("PBES2-HS256+A128KW"),
        json!("dir"),
    ] {
        let mut header = world.header();
        header.insert("alg".into(), alg.clone());
        let text = unsigned(&Value::Object(header));
        assert_eq!(world.check_access(&format!("{text}.{signature}")).unwrap_err(), Refusal::Algorithm, "{alg}");
        assert_eq!(world.check_access(&format!("{text}.")).unwrap_err(), Refusal::Malformed, "{alg}, no signature");
    }
    let mut header = world.header();
    header.remove("alg");
    let text = unsigned(&Value::Object(header));
    assert_eq!(world.check_access(&format!("{text}.{signature}")).unwrap_err(), Refusal::Algorithm, "no alg");
}

/// Everybody knows the public key: as an HMAC secret it must verify nothing (RFC 8725 §3.1).
#[test]
fn a_public_key_is_no_hmac_secret() {
    let world = &*WORLD;
    for algorithm in [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA] {
        let stored = world.stored(&Use::Tokens, algorithm);
        let jwk = stored.material.public_jwk().unwrap();
        let der = public_der(stored);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(&der));
        let raw = stored.material.public().unwrap();
        let x = jwk.get("x").or_else(|| jwk.get("n")).unwrap().as_str().unwrap();
        let forms = [
            ("DER", der.clone()),
            ("PEM", pem.clone().into_bytes()),
            ("PEM with line end", format!("{pem}\n").into_bytes()),
            ("JWK", jwk.to_string().into_bytes()),
            ("JWK without use", {
                let mut jwk = jwk.clone();
                jwk.as_object_mut().unwrap().remove("use");
                jwk.to_string().into_bytes()
            }),
            ("JWKS", world.ring.jwks().body.as_bytes().to_vec()),
            ("x or n, text", x.as_bytes().to_vec()),
            ("x or n, bytes", URL_SAFE_NO_PAD.decode(x).unwrap()),
            ("kid", stored.kid.clone().into_bytes()),
            ("thumbprint", raw.thumbprint().into_bytes()),
            ("empty", Vec::new()),
        ];
        for (name, secret) in forms {
            let honest_alg = json!({"alg": algorithm.as_str(), "typ": "at+jwt", "kid": stored.kid});
            let hmac_alg = json!({"alg": "HS256", "typ": "at+jwt", "kid": stored.kid});
            let token = hs256(&hmac_alg, &access_claims(), &secret);
            assert_eq!(world.check_access(&token).unwrap_err(), Refusal::Algorithm, "{algorithm} {name}");
            let token = hs256(&honest_alg, &access_claims(), &secret);
            assert_eq!(world.check_access(&token).unwrap_err(), Refusal::Signature, "{algorithm} {name}, alg kept");
            // The other way round: a place for HMAC, and a token that names a public key.
            let token = hs256(&json!({"alg": "HS256", "typ": "rt+jwt", "kid": stored.kid}), &refresh_claims(), &secret);
            assert_eq!(world.check_refresh(&token).unwrap_err(), Refusal::UnknownKey, "{algorithm} {name} at refresh");
        }
    }
}

fn public_der(stored: &StoredKey) -> Vec<u8> {
    let der = stored.material.secret().expose();
    let x509: PublicKeyX509Der<'static> = match stored.algorithm {
        Algorithm::RS256 => RsaKeyPair::from_pkcs8(der).unwrap().public_key().as_der().unwrap(),
        Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8(der).unwrap().public_key().as_der().unwrap(),
        _ => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).unwrap().public_key().as_der().unwrap(),
    };
    x509.as_ref().to_vec()
}

#[test]
fn empty_signatures_of_every_length_are_refused() {
    let world = &*WORLD;
    for algorithm in [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA] {
        let kid = &world.stored(&Use::Tokens, algorithm).kid;
        let text = unsigned(&json!({"alg": algorithm.as_str(), "typ": "at+jwt", "kid": kid}));
        for length in [1, 31, 32, 63, 64, 65, 72, 96, 128, 255, 256, 257, 512] {
            for byte in [0_u8, 1, 0xff] {
                let token = format!("{text}.{}", b64(vec![byte; length]));
                assert_eq!(
                    world.check_access(&token).unwrap_err(),
                    Refusal::Signature,
                    "{algorithm} {length} × {byte}"
                );
            }
        }
    }
}

#[test]
fn algorithms_are_not_exchangeable() {
    let world = &*WORLD;
    let all = [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA];
    for key in all {
        for named in all.into_iter().filter(|named| *named != key) {
            let kid = &world.stored(&Use::Tokens, key).kid;
            let text = unsigned(&json!({"alg": named.as_str(), "typ": "at+jwt", "kid": kid}));
            let honest = world.sign(&Use::Tokens, named, "at+jwt", &access_claims());
            let token = format!("{text}.{}", honest.rsplit_once('.').unwrap().1);
            assert_eq!(world.check_access(&token).unwrap_err(), Refusal::Algorithm, "{named} over the key of {key}");
        }
    }
}

/// Our RSA keys use one padding; a signature with the other one is refused even though the same key made it.
#[test]
fn paddings_are_not_exchangeable() {
    let world = &*WORLD;
    let stored = world.stored(&Use::Tokens, Algorithm::RS256);
    let pair = RsaKeyPair::from_pkcs8(stored.material.secret().expose()).unwrap();
    let (pkcs1, pss): (&'static dyn RsaEncoding, &'static dyn RsaEncoding) = (&RSA_PKCS1_SHA256, &RSA_PSS_SHA256);
    for (name, alg, padding, expected) in [
        ("the control", "RS256", pkcs1, Ok(())),
        ("PS256, signed so", "PS256", pss, Err(Refusal::Algorithm)),
        ("RS256, signed as PS256", "RS256", pss, Err(Refusal::Signature)),
        ("PS256, signed as RS256", "PS256", pkcs1, Err(Refusal::Algorithm)),
    ] {
        let text = unsigned(&json!({"alg": alg, "typ": "at+jwt", "kid": stored.kid}));
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &rand::SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        let token = format!("{text}.{}", b64(signature));
        assert_eq!(world.check_access(&token).map(|_| ()), expected, "{name}");
    }
}

#[test]
fn an_unknown_kid_is_refused_before_any_cryptography() {
    let world = &*WORLD;
    let refresh = &world.stored(&Use::Refresh, Algorithm::HS256).kid;
    let bridge = &world.stored(&Use::Bridge("b".into()), Algorithm::ES256).kid;
    for (name, kid) in [
        ("unknown", json!("k")),
        ("path", json!("../../dev/null")),
        ("SQL", json!("' OR 1=1 --")),
        ("64 kB", json!("k".repeat(9_000))),
        ("number", json!(7)),
        ("null", json!(null)),
        ("object", json!({"kid": "k"})),
        ("empty", json!("")),
        ("URL", json!("https://evil.example/jwks.json")),
        ("of the refresh key", json!(refresh)),
        ("of a bridge's key", json!(bridge)),
        ("NUL behind", json!(format!("{}\0", world.stored(&Use::Tokens, Algorithm::ES256).kid))),
    ] {
        assert_eq!(world.check_access(&world.with_header("kid", kid)).unwrap_err(), Refusal::UnknownKey, "{name}");
    }
    let mut header = world.header();
    header.remove("kid");
    let token = world.raw(&Value::Object(header).to_string(), &access_claims().to_string());
    assert_eq!(world.check_access(&token).unwrap_err(), Refusal::UnknownKey, "missing");
}

#[test]
fn critical_and_encryption_headers_are_refused() {
    let world = &*WORLD;
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
    ] {
        assert_eq!(
            world.check_access(&world.with_header(name, value.clone())).unwrap_err(),
            Refusal::Critical,
            "{name} {value}"
        );
    }
}

/// A key or a link to one in the header is never used.
#[test]
fn keys_in_the_header_are_never_used() {
    let world = &*WORLD;
    let mine = KeyMaterial::generate(Algorithm::ES256).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, mine.secret().expose()).unwrap();
    for (name, value) in [
        ("jwk", mine.public_jwk().unwrap()),
        ("jku", json!("http://127.0.0.1:1/jwks.json")),
        ("x5u", json!("http://127.0.0.1:1/cert.pem")),
        ("x5c", json!(["MIIB"])),
    ] {
        assert!(world.check_access(&world.with_header(name, value.clone())).is_ok(), "{name} beside a good signature");
        for kid in [json!(world.stored(&Use::Tokens, Algorithm::ES256).kid), json!(mine.thumbprint())] {
            let text = unsigned(&json!({"alg": "ES256", "typ": "at+jwt", "kid": kid, name: value}));
            let signature = pair.sign(&rand::SystemRandom::new(), text.as_bytes()).unwrap();
            assert!(world.check_access(&format!("{text}.{}", b64(signature))).is_err(), "{name} under its own key");
        }
    }
}

/// The memory is used: a token that nobody signed is accepted once the key is made to remember it.
#[test]
fn what_a_key_remembers_is_not_verified_again() {
    let world = &*WORLD;
    let ring = KeyRing::build(&world.keys, now()).unwrap();
    let honest = world.access(&access_claims());
    let (signed, signature) = honest.rsplit_once('.').unwrap();
    let header = signed.split_once('.').unwrap().0;
    let claims = b64(with(access_claims(), "sub", json!("somebody else")).to_string());
    let forged = format!("{header}.{claims}.{signature}");
    let check = || places::access_token(&ring, ISSUER, API, &forged, now()).map(drop);
    assert_eq!(check(), Err(Refusal::Signature));
    assert_eq!(check(), Err(Refusal::Signature), "a refusal is not remembered");
    let key = ring.by_kid(&world.stored(&Use::Tokens, Algorithm::ES256).kid).unwrap();
    key.remembered.as_ref().unwrap().add(&TokenDigest::of(&forged));
    assert_eq!(check(), Ok(()));
}

/// A verified signature says nothing about any other token, time, place or key.
#[test]
fn what_is_remembered_is_one_signature_and_nothing_else() {
    let world = &*WORLD;
    let honest = world.access(&access_claims());
    for _ in 0..2 {
        let _ = world.check_access(&honest).unwrap();
    }
    let key = world.ring.by_kid(&world.stored(&Use::Tokens, Algorithm::ES256).kid).unwrap();
    assert!(key.remembered.as_ref().unwrap().knows(&TokenDigest::of(&honest)), "or nothing is tested here");

    let (signed, signature) = honest.rsplit_once('.').unwrap();
    let header = signed.split_once('.').unwrap().0;
    let other = world.access(&with(access_claims(), "sub", json!("somebody else")));
    let (other_signed, other_signature) = other.rsplit_once('.').unwrap();
    let wider = b64(with(access_claims(), "scope", json!("openid admin")).to_string());
    for (name, forged) in [
        ("wider scope", format!("{header}.{wider}.{signature}")),
        ("another's claims", format!("{other_signed}.{signature}")),
        ("another's signature", format!("{signed}.{other_signature}")),
    ] {
        for _ in 0..2 {
            assert_eq!(world.check_access(&forged).unwrap_err(), Refusal::Signature, "{name}");
        }
    }

    let check = |ring: &KeyRing, audience, now| places::access_token(ring, ISSUER, audience, &honest, now).map(drop);
    assert_eq!(check(&world.ring, API, now() + Duration::seconds(540)), Err(Refusal::Expired));
    assert_eq!(check(&world.ring, "https://other.example.com", now()), Err(Refusal::Audience));
    let mut keys = world.keys.clone();
    keys[0].revoked_at = Some(now());
    let without = KeyRing::build(&keys, now()).unwrap();
    assert_eq!(check(&without, API, now()), Err(Refusal::UnknownKey), "its key was revoked");
}
