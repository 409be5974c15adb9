//! Tampered access tokens, over HTTP (check 74–81): headers, keys, claims, single bytes.
//!
//! The unit tests of the verifier try more variants of what is tried here against the running server. To add a forgery,
//! add a row.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use passmint::tokens::keys::{Algorithm, KeyMaterial, Use};
use passmint::tokens::rotate;
use serde_json::{Value, json};

use crate::authenticator::{decode, encode};
use crate::support::TestApp;
use crate::support::tokens::{claims, header, policy, within};

fn sealed(header: &Value, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{claims}", encode(header.to_string().as_bytes()));
    let signature = sign(signed.as_bytes());
    format!("{signed}.{}", encode(&signature))
}

/// Everything public that a careless verifier could take for a shared secret.
fn public_secrets(set: &Value, jwk: &Value, rsa: &Value) -> Vec<(&'static str, Vec<u8>)> {
    let point = [vec![4], decode(&jwk["x"]), decode(&jwk["y"])].concat();
    // SubjectPublicKeyInfo of a P-256 key, up to the point.
    let info = [
        &[0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01][..],
        &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00],
        &point,
    ]
    .concat();
    let text = STANDARD.encode(&info);
    let (first, second) = text.split_at(64);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n");
    vec![
        ("point", point),
        ("DER", info),
        ("PEM", pem.clone().into_bytes()),
        ("PEM without its last line end", pem.trim_end().as_bytes().to_vec()),
        ("JWK", jwk.to_string().into_bytes()),
        ("JWK set", set.to_string().into_bytes()),
        ("x", decode(&jwk["x"])),
        ("modulus", decode(&rsa["n"])),
        ("nothing", Vec::new()),
        ("kid", jwk["kid"].as_str().unwrap().as_bytes().to_vec()),
    ]
}

/// Check 75 to 78.
#[test]
fn forged_headers_open_nothing() {
    let app = TestApp::spawn();
    let (_, _, tokens) = app.person_with_tokens("openid passkeys");
    assert!(app.opens(&tokens.access), "the control");
    let parts: Vec<&str> = tokens.access.split('.').collect();
    let (claims, signature) = (parts[1], decode(&json!(parts[2])));
    let honest = header(&tokens.access);
    let kid = honest["kid"].clone();
    let set = app.request("GET", "/.well-known/jwks.json").send().expect(200).json();
    let keys = set["keys"].as_array().unwrap();
    let jwk = keys.iter().find(|key| key["kid"] == kid).unwrap().clone();
    let rsa = keys.iter().find(|key| key["kty"] == "RSA").unwrap().clone();
    let with = |changes: &[(&str, Value)]| {
        let mut header = honest.clone();
        for (name, value) in changes {
            header[*name] = value.clone();
        }
        header
    };
    let same = |_: &[u8]| signature.clone();

    let mut forged: Vec<(String, String)> = Vec::new();
    for (name, secret) in public_secrets(&set, &jwk, &rsa) {
        for of in [&kid, &rsa["kid"]] {
            let header = with(&[("alg", json!("HS256")), ("kid", of.clone())]);
            let mac = |text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text).as_ref().to_vec();
            forged.push((format!("HS256 with the public key as {name}"), sealed(&header, claims, mac)));
        }
    }
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        forged.push((format!("alg {alg:?}, no signature"), sealed(&with(&[("alg", json!(alg))]), claims, |_| vec![])));
        forged.push((format!("alg {alg:?}, old signature"), sealed(&with(&[("alg", json!(alg))]), claims, same)));
    }
    for alg in ["RS256", "PS256", "ES384", "ES512", "ES256K", "EdDSA", "HS256", "HS384", "es256", "ES256 "] {
        forged.push((format!("alg {alg:?}"), sealed(&with(&[("alg", json!(alg))]), claims, same)));
    }
    for (name, kid) in [
        ("unknown", json!("unknown")),
        ("another key's", rsa["kid"].clone()),
        ("a path", json!("../../../../dev/null")),
        ("SQL", json!("x' OR '1'='1")),
        ("huge", json!("k".repeat(6000))),
        ("a number", json!(7)),
        ("null", Value::Null),
        ("a list", json!([kid])),
        ("empty", json!("")),
    ] {
        forged.push((format!("kid {name}"), sealed(&with(&[("kid", kid)]), claims, same)));
    }
    let mut nameless = honest.clone();
    nameless.as_object_mut().unwrap().remove("kid");
    forged.push(("no kid".to_owned(), sealed(&nameless, claims, same)));
    for typ in [json!("JWT"), json!("rt+jwt"), json!("logout+jwt"), json!("dpop+jwt"), Value::Null, json!("")] {
        forged.push((format!("typ {typ}"), sealed(&with(&[("typ", typ.clone())]), claims, same)));
    }
    for (name, zeros) in [("zeros", vec![0; 64]), ("ones", vec![255; 64]), ("nothing", vec![]), ("short", vec![1; 63])]
    {
        forged.push((format!("a signature of {name}"), sealed(&honest, claims, |_| zeros.clone())));
    }
    for (name, text) in [
        ("padding", format!("{}=", tokens.access)),
        ("white space before", format!("  {}", tokens.access)),
        ("white space inside", tokens.access.replacen('.', ". ", 1)),
        ("a fourth part", format!("{}.{}", tokens.access, parts[2])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("encryption", format!("{}..{}.{}.{}", parts[0], parts[1], parts[2], parts[2])),
        (
            "JSON serialisation",
            json!({ "protected": parts[0], "payload": parts[1], "signature": parts[2] }).to_string(),
        ),
        ("twice", format!("{0},{0}", tokens.access)),
        ("too long", format!("{}{}", tokens.access, "A".repeat(5000))),
    ] {
        forged.push((name.to_owned(), text));
    }
    for (name, token) in &forged {
        let reply = app.client("web").bearer("GET", "/v1/me", token).send();
        assert_eq!((reply.status, reply.json()["code"].as_str()), (401, Some("invalid_token")), "{name}: {token}");
        assert_eq!(reply.challenge(), Some(r#"Bearer error="invalid_token""#), "{name}");
    }
    assert!(app.opens(&tokens.access), "the control, after all");
}

/// A correct signature by a key that the token itself brings, or a header member that asks for something unsupported.
#[test]
fn headers_that_bring_keys_or_conditions_open_nothing() {
    let sink = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    sink.set_nonblocking(true).unwrap();
    let url = format!("http://{}/keys.json", sink.local_addr().unwrap());
    let app = TestApp::spawn();
    let (_, _, tokens) = app.person_with_tokens("openid passkeys");
    let claims = tokens.access.split('.').nth(1).unwrap();
    let honest = header(&tokens.access);
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref()[1..].to_vec();
    let jwk =
        json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[..32]), "y": encode(&point[32..]), "kid": "mine" });
    let sign = |text: &[u8]| pair.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec();
    for (name, member, value) in [
        ("an own key", "jwk", jwk.clone()),
        ("an own key under our name", "jwk", json!({ "kid": honest["kid"] })),
        ("a key set elsewhere", "jku", json!(url)),
        ("a certificate elsewhere", "x5u", json!(url)),
        ("a certificate", "x5c", json!([STANDARD.encode("certificate")])),
        ("a condition", "crit", json!(["exp"])),
        ("an empty condition", "crit", json!([])),
        ("an unencoded payload", "b64", json!(false)),
        ("compression", "zip", json!("DEF")),
    ] {
        for kid in [honest["kid"].clone(), json!("mine")] {
            let mut header = honest.clone();
            header[member] = value.clone();
            header["kid"] = kid;
            let token = sealed(&header, claims, sign);
            let reply = app.client("web").bearer("GET", "/v1/me", &token).send();
            assert_eq!((reply.status, reply.json()["code"].as_str()), (401, Some("invalid_token")), "{name}");
        }
    }
    assert!(sink.accept().is_err(), "nobody was asked for keys");
}

/// Check 74, 79, 80: correctly signed by one of our keys, but with claims that we never make.
#[test]
fn claims_that_make_no_sense_open_nothing() {
    let app = TestApp::spawn();
    let (_, _, tokens) = app.person_with_tokens("openid passkeys");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der = pair.to_pkcs8v1().unwrap();
    let kid = app.change_keys(|conn, master, now| {
        let material = KeyMaterial::from_stored(Algorithm::ES256, der.as_ref().to_vec()).unwrap();
        rotate::import(conn, master, &Use::Tokens, &material, policy(chrono::Duration::days(1)), now)
    });
    let sign = |header: &Value, claims: &str| {
        let sign = |text: &[u8]| pair.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec();
        sealed(header, &encode(claims.as_bytes()), sign)
    };
    let honest = json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid });
    let mut good = claims(&tokens.access);
    good["jti"] = json!("another");
    within(std::time::Duration::from_secs(15), "the imported key verifies", || {
        app.opens(&sign(&honest, &good.to_string()))
    });
    let now = app.clock.now().timestamp();
    let sid = tokens.session();
    let (_, _, others) = app.person_with_tokens("openid");
    for (name, member, value) in [
        ("no audience", "aud", None),
        ("a client as audience", "aud", Some(json!("web"))),
        ("ours and another audience", "aud", Some(json!([app.origin, "https://api.example"]))),
        ("an object as audience", "aud", Some(json!({}))),
        ("an empty list of audiences", "aud", Some(json!([]))),
        ("our name with a slash", "aud", Some(json!(format!("{}/", app.origin)))),
        ("no issuer", "iss", None),
        ("another issuer", "iss", Some(json!("https://elsewhere.example"))),
        ("our name in capitals", "iss", Some(json!(app.origin.to_uppercase()))),
        ("no end", "exp", None),
        ("an end in text", "exp", Some(json!((now + 60).to_string()))),
        ("an end with a fraction of nothing", "exp", Some(json!(1e308))),
        ("an end before time", "exp", Some(json!(-1))),
        ("an end now", "exp", Some(json!(now))),
        ("an end past", "exp", Some(json!(now - 3))),
        ("issued in the future", "iat", Some(json!(now + 60))),
        ("not issued", "iat", None),
        ("issued in text", "iat", Some(json!(now.to_string()))),
        ("not yet", "nbf", Some(json!(now + 60))),
        ("not before a list", "nbf", Some(json!([]))),
        ("nobody", "sub", None),
        ("a number", "sub", Some(json!(7))),
        ("somebody else", "sub", Some(claims(&others.access)["sub"].clone())),
        ("a client", "sub", Some(json!("web"))),
        ("no id", "jti", None),
        ("no client", "client_id", None),
        ("an unknown client", "client_id", Some(json!("nobody"))),
        ("no session", "sid", None),
        ("a session of nobody", "sid", Some(json!("00000000-0000-4000-8000-000000000000"))),
        ("a session's name with a space", "sid", Some(json!(format!("{sid} ")))),
        ("somebody else's session", "sid", Some(json!(others.session()))),
    ] {
        let mut bad = good.clone();
        match value {
            Some(value) => bad[member] = value,
            None => drop(bad.as_object_mut().unwrap().remove(member)),
        }
        let reply = app.client("web").bearer("GET", "/v1/me", &sign(&honest, &bad.to_string())).send();
        assert_eq!((reply.status, reply.json()["code"].as_str()), (401, Some("invalid_token")), "{name}");
    }
    let text = good.to_string();
    for (name, text) in [
        ("a member twice", text.replacen('{', &format!("{{\"sub\":{},", claims(&others.access)["sub"]), 1)),
        ("a list", format!("[{text}]")),
        ("text after the end", format!("{text} x")),
        ("not a number", text.replacen(&good["exp"].to_string(), "NaN", 1)),
        ("nothing", String::new()),
    ] {
        let reply = app.client("web").bearer("GET", "/v1/me", &sign(&honest, &text)).send();
        assert_eq!((reply.status, reply.json()["code"].as_str()), (401, Some("invalid_token")), "{name}");
    }
    for typ in ["JWT", "rt+jwt", "logout+jwt", ""] {
        let mut header = honest.clone();
        header["typ"] = json!(typ);
        assert!(!app.opens(&sign(&header, &text)), "typ {typ:?}");
    }
    assert!(app.opens(&sign(&honest, &text)), "the control");
}

/// Check 81: another character at every position of the token, and at the last position of each part every other
/// character.
#[test]
fn no_byte_can_be_changed() {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let app = TestApp::spawn();
    let (_, _, tokens) = app.person_with_tokens("openid passkeys");
    let bytes = tokens.access.as_bytes();
    let mut changed: Vec<Vec<u8>> = Vec::new();
    for (index, byte) in bytes.iter().enumerate() {
        let last = bytes.get(index + 1).is_none_or(|next| *next == b'.');
        let others = ALPHABET.iter().filter(|other| *other != byte);
        for other in others.take(if last { 64 } else { 1 }) {
            let mut copy = bytes.to_vec();
            copy[index] = *other;
            changed.push(copy);
        }
        changed.push([&bytes[..index], &bytes[index + 1..]].concat());
    }
    let mut accepted = Vec::new();
    for copy in &changed {
        let text = std::str::from_utf8(copy).unwrap();
        if app.client("web").bearer("GET", "/v1/me", text).send().status != 401 {
            accepted.push(text.to_owned());
        }
    }
    assert_eq!(accepted, Vec::<String>::new(), "of {}", changed.len());
    assert!(changed.len() > 1000);
    assert!(app.opens(&tokens.access), "the control");
}
