//! A token has one spelling; every other byte sequence is refused.

use super::*;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

#[test]
fn every_single_byte_change_is_refused() {
    let world = &*WORLD;
    let token = world.refresh(&refresh_claims());
    assert!(world.check_refresh(&token).is_ok());
    let mut tried = 0;
    for at in 0..token.len() {
        for byte in 0..128_u8 {
            let mut bytes = token.clone().into_bytes();
            if bytes[at] != byte {
                bytes[at] = byte;
                let changed = String::from_utf8(bytes).unwrap();
                assert!(world.check_refresh(&changed).is_err(), "byte {at} changed to {byte}");
                tried += 1;
            }
        }
    }
    assert_eq!(tried, token.len() * 127);
    // Asymmetric algorithms are slower to test: one changed letter at each position.
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256] {
        let token = world.sign(&Use::Tokens, algorithm, "at+jwt", &access_claims());
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(world.check_access(&String::from_utf8(bytes).unwrap()).is_err(), "{algorithm} byte {at}");
        }
    }
}

#[test]
fn cut_extended_and_re_encoded_copies_are_refused() {
    let world = &*WORLD;
    let token = world.access(&access_claims());
    for at in 0..token.len() {
        assert!(world.check_access(&token[..at]).is_err(), "cut at {at}");
        assert!(world.check_access(&token[at + 1..]).is_err(), "begun at {at}");
    }
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { unreachable!() };
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    // A part with two spare bits set: a lax decoder would read the same bytes.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = signature.chars().last().unwrap();
    let spare = alphabet.chars().nth(alphabet.find(last).unwrap() | 1).unwrap();
    let json = format!(r#"{{"payload":"{claims}","protected":"{header}","signature":"{signature}"}}"#);
    // Encrypted under a password: deriving the key would take two thousand million iterations.
    let slow = b64(r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"c2FsdC1zYWx0"}"#);
    for (name, bad) in [
        ("empty", String::new()),
        ("dots", "..".into()),
        ("two parts", format!("{header}.{claims}")),
        ("four parts", format!("{token}.{signature}")),
        ("five parts, as JWE", format!("{header}.{claims}.{signature}.a.b")),
        ("JWE with PBES2", format!("{slow}.{signature}.{signature}.{claims}.{signature}")),
        ("empty header", format!(".{claims}.{signature}")),
        ("empty claims", format!("{header}..{signature}")),
        ("empty signature", format!("{header}.{claims}.")),
        ("trailing dot", format!("{token}.")),
        ("trailing line end", format!("{token}\n")),
        ("trailing space", format!("{token} ")),
        ("leading space", format!(" {token}")),
        ("trailing NUL", format!("{token}\0")),
        ("inner line end", format!("{header}.{claims}.\n{signature}")),
        ("padded", format!("{header}.{claims}.{signature}=")),
        ("padded twice", format!("{header}.{claims}.{signature}==")),
        ("padded header", format!("{}.{claims}.{signature}", URL_SAFE.encode(bytes(header)) + "=")),
        ("longer signature", format!("{header}.{claims}.{signature}AAAA")),
        ("signature twice", format!("{header}.{claims}.{signature}{signature}")),
        ("spare bits", format!("{}{spare}", &token[..token.len() - 1])),
        ("percent", token.replace('.', "%2E")),
        ("JSON serialisation", json),
        ("nested", format!("{header}.{}.{signature}", b64(&token))),
        ("bearer prefix", format!("Bearer {token}")),
    ] {
        assert!(world.check_access(&bad).is_err(), "{name}");
    }
    let standard = STANDARD.encode(bytes(signature));
    if standard.trim_end_matches('=') != signature {
        let bad = format!("{header}.{claims}.{}", standard.trim_end_matches('='));
        assert_eq!(world.check_access(&bad).unwrap_err(), Refusal::Malformed, "standard alphabet");
    }
}

#[test]
fn size_is_looked_at_first() {
    let world = &*WORLD;
    let long = with(access_claims(), "scope", json!("x".repeat(MAX_TOKEN)));
    assert_eq!(world.check_access(&world.access(&long)).unwrap_err(), Refusal::TooLong);
    assert_eq!(world.check_access(&"A".repeat(MAX_TOKEN)).unwrap_err(), Refusal::Malformed);
    assert_eq!(world.check_access(&".".repeat(10_000_000)).unwrap_err(), Refusal::TooLong);
}

#[test]
fn duplicate_members_are_refused_in_a_signed_token() {
    let world = &*WORLD;
    let kid = &world.stored(&Use::Tokens, Algorithm::ES256).kid;
    let header = Value::Object(world.header()).to_string();
    let claims = access_claims().to_string();
    assert!(world.check_access(&world.raw(&header, &claims)).is_ok(), "the way the test signs is right");
    for (name, header, claims) in [
        ("sub twice", header.clone(), claims.replacen('{', r#"{"sub":"x","#, 1)),
        ("exp twice", header.clone(), claims.replacen('{', r#"{"exp":9999999999,"#, 1)),
        ("escaped name", header.clone(), claims.replacen('{', r#"{"a\u0075d":"x","#, 1)),
        ("nested", header.clone(), claims.replacen('{', r#"{"cnf":{"jkt":"a","jkt":"b"},"#, 1)),
        ("alg twice", format!(r#"{{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"{kid}"}}"#), claims.clone()),
        ("kid twice", header.replacen('{', r#"{"kid":"x","#, 1), claims.clone()),
    ] {
        assert_eq!(world.check_access(&world.raw(&header, &claims)).unwrap_err(), Refusal::DuplicateMember, "{name}");
    }
    for (name, claims) in [
        ("array", "[]".to_owned()),
        ("text", "\"a\"".to_owned()),
        ("another token", world.access(&access_claims())),
        ("two objects", format!("{claims}{claims}")),
        ("trailing comma", claims.replacen('}', ",}", 1)),
        ("byte order mark", format!("\u{feff}{claims}")),
        ("NaN", claims.replacen('{', r#"{"nbf":NaN,"#, 1)),
    ] {
        assert_eq!(world.check_access(&world.raw(&header, &claims)).unwrap_err(), Refusal::Malformed, "{name}");
    }
}

proptest! {
    #[test]
    fn noise_is_refused_without_a_panic(noise in ".{0,400}") {
        prop_assert!(WORLD.check_access(&noise).is_err());
    }

    #[test]
    fn three_parts_of_noise_are_refused(
        header in proptest::collection::vec(any::<u8>(), 0..80),
        claims in proptest::collection::vec(any::<u8>(), 0..80),
        signature in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let token = format!("{}.{}.{}", b64(header), b64(claims), b64(signature));
        prop_assert!(WORLD.check_access(&token).is_err());
    }

    #[test]
    fn claims_survive_the_way_there_and_back(sub in "[^\u{0}]{1,40}", scope in "[^\u{0}]{0,40}", jti in "[^\u{0}]{1,20}") {
        let claims = with(with(with(access_claims(), "sub", json!(sub)), "scope", json!(scope)), "jti", json!(jti));
        let verified = WORLD.check_access(&WORLD.access(&claims)).unwrap().into_claims();
        prop_assert_eq!((verified.sub, verified.scope, verified.jti), (sub, scope, jti));
    }
}
