use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use super::*;
use crate::bridge::sample;

fn pair(seed: u8) -> (Ed25519KeyPair, String) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let public = nkey::public(Role::Server, pair.public_key().as_ref().try_into().unwrap());
    (pair, public)
}

fn sign(header: &Value, claims: &Value, pair: &Ed25519KeyPair) -> Vec<u8> {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()))).into_bytes()
}

fn good() -> Value {
    let now = sample::moment().timestamp();
    json!({
        "jti": "x", "iss": pair(3).1, "sub": "$SYS.REQ.USER.AUTH", "aud": AUDIENCE, "iat": now, "exp": now + 2,
        "nats": {
            "type": "authorization_request", "version": 2, "server_id": { "id": pair(3).1, "name": "n" },
            "user_nkey": nkey::public(Role::User, &[5; 32]), "client_info": { "host": "127.0.0.1" },
            "connect_opts": { "auth_token": "the token", "protocol": 1 },
        },
    })
}

fn head() -> Value {
    json!({ "typ": "JWT", "alg": "ed25519-nkey" })
}

#[test]
fn a_question_is_read() {
    let asked = Asked::read(&sign(&head(), &good(), &pair(3).0), sample::moment()).unwrap();
    assert_eq!((asked.server, asked.user), (pair(3).1, nkey::public(Role::User, &[5; 32])));
    assert_eq!(asked.token.unwrap().expose(), "the token");
    assert_eq!(asked.host, Some([127, 0, 0, 1].into()));
}

#[test]
fn the_token_may_be_the_password_and_may_be_missing() {
    for (options, expected) in [
        (json!({ "user": "ada", "pass": "the token" }), Some("the token")),
        (json!({ "auth_token": "", "pass": "the token" }), Some("the token")),
        (json!({ "user": "the token" }), None),
        (json!({}), None),
        (json!("x"), None),
    ] {
        let mut claims = good();
        claims["nats"]["connect_opts"] = options.clone();
        let asked = Asked::read(&sign(&head(), &claims, &pair(3).0), sample::moment()).unwrap();
        assert_eq!(asked.token.as_ref().map(|token| token.expose().as_str()), expected, "{options}");
    }
}

#[test]
fn anything_else_is_no_question() {
    let (now, server) = (sample::moment().timestamp(), pair(3));
    let account = nkey::public(Role::Account, server.0.public_key().as_ref().try_into().unwrap());
    for (path, value, expected) in [
        ("/iss", json!(pair(4).1), NoQuestion::Signature),
        ("/iss", json!(account), NoQuestion::Form),
        ("/iss", json!("https://id.example.com"), NoQuestion::Form),
        ("/iss", Value::Null, NoQuestion::Form),
        ("/aud", json!("nats-authorization-response"), NoQuestion::Kind),
        ("/aud", json!([AUDIENCE]), NoQuestion::Kind),
        ("/aud", Value::Null, NoQuestion::Kind),
        ("/nats/type", json!("user"), NoQuestion::Kind),
        ("/nats/server_id/id", json!(pair(4).1), NoQuestion::Kind),
        ("/nats/server_id", Value::Null, NoQuestion::Kind),
        ("/nats", Value::Null, NoQuestion::Kind),
        ("/exp", json!(now - 31), NoQuestion::Time),
        ("/exp", Value::Null, NoQuestion::Time),
        ("/iat", json!(now + 31), NoQuestion::Time),
        ("/iat", Value::Null, NoQuestion::Time),
        ("/nats/user_nkey", json!(pair(3).1), NoQuestion::User),
        ("/nats/user_nkey", json!("U"), NoQuestion::User),
        ("/nats/user_nkey", Value::Null, NoQuestion::User),
    ] {
        let mut claims = good();
        *claims.pointer_mut(path).unwrap() = value.clone();
        let told = Asked::read(&sign(&head(), &claims, &server.0), sample::moment()).unwrap_err();
        assert_eq!(told, expected, "{path} = {value}");
    }
    for alg in ["none", "EdDSA", "HS256"] {
        let header = json!({ "typ": "JWT", "alg": alg });
        let told = Asked::read(&sign(&header, &good(), &server.0), sample::moment()).unwrap_err();
        assert_eq!(told, NoQuestion::Form, "{alg}");
    }
    let whole = sign(&head(), &good(), &server.0);
    let mut other = whole.clone();
    *other.last_mut().unwrap() = if other.ends_with(b"A") { b"Q" } else { b"A" }[0];
    assert!(Asked::read(&other, sample::moment()).is_err(), "another signature");
    for payload in [&b""[..], b"..", b"a.b.c", b"\xff", &whole[..whole.len() - 90]] {
        assert!(Asked::read(payload, sample::moment()).is_err(), "{}", String::from_utf8_lossy(payload));
    }
}
