//! Claims, types, keys and places.

use super::*;
use crate::domain::session::LONGEST_SESSION;

#[test]
fn honest_tokens_pass_in_their_place() {
    let world = &*WORLD;
    for algorithm in [Algorithm::ES256, Algorithm::RS256, Algorithm::EdDSA] {
        let token = world.sign(&Use::Tokens, algorithm, "at+jwt", &access_claims());
        let verified = world.check_access(&token).unwrap();
        assert_eq!(verified.algorithm(), algorithm);
        assert_eq!(verified.kid(), world.stored(&Use::Tokens, algorithm).kid);
        assert_eq!(verified.claims().authentication.amr, ["pop", "user", "mfa"]);
        assert_eq!(serde_json::to_value(verified.into_claims()).unwrap(), access_claims());
    }
    let token = world.refresh(&refresh_claims());
    assert_eq!(serde_json::to_value(world.check_refresh(&token).unwrap().into_claims()).unwrap(), refresh_claims());
    assert_eq!(token, world.refresh(&refresh_claims()), "a refresh token repeats byte for byte");
}

#[test]
fn each_claim_is_refused_by_name() {
    use Refusal::{Audience as Aud, Expired, Issuer, Lifetime, MissingClaim, NotYet, WrongClaimType as Type};
    let world = &*WORLD;
    let one = |name: &str, value: Value| with(access_claims(), name, value);
    for (name, claims, expected) in [
        ("no exp", without(access_claims(), "exp"), MissingClaim("exp")),
        ("no iss", without(access_claims(), "iss"), MissingClaim("iss")),
        ("no aud", without(access_claims(), "aud"), MissingClaim("aud")),
        ("no sub", without(access_claims(), "sub"), MissingClaim("sub")),
        ("no iat", without(access_claims(), "iat"), MissingClaim("iat")),
        ("no jti", without(access_claims(), "jti"), MissingClaim("jti")),
        ("no client_id", without(access_claims(), "client_id"), MissingClaim("client_id")),
        ("exp text", one("exp", json!("9")), Type),
        ("exp array", one("exp", json!([])), Type),
        ("exp object", one("exp", json!({})), Type),
        ("exp null", one("exp", json!(null)), Type),
        ("exp bool", one("exp", json!(true)), Type),
        ("exp negative", one("exp", json!(-1)), Type),
        ("exp 1e308", one("exp", json!(1e308)), Type),
        ("exp fraction", one("exp", json!(1_800_000_540.5)), Type),
        ("exp after the last date", one("exp", json!(253_402_300_800_i64)), Type),
        ("exp u64::MAX", one("exp", json!(u64::MAX)), Type),
        ("iat text", one("iat", json!("9")), Type),
        ("iat negative", one("iat", json!(-1)), Type),
        ("nbf array", one("nbf", json!([])), Type),
        ("nbf null", one("nbf", json!(null)), Type),
        ("aud object", one("aud", json!({})), Type),
        ("aud number", one("aud", json!(7)), Type),
        ("aud null", one("aud", json!(null)), Type),
        ("aud mixed", one("aud", json!([API, 7])), Type),
        ("sub number", one("sub", json!(7)), Type),
        ("sub empty", one("sub", json!("")), Type),
        ("jti array", one("jti", json!(["j"])), Type),
        ("iss array", one("iss", json!([ISSUER])), Type),
        ("scope array", one("scope", json!(["openid"])), Type),
        ("amr text", one("amr", json!("pop")), Type),
        ("exp exactly now", one("exp", json!(NOW)), Expired),
        ("exp past", one("exp", json!(NOW - 1)), Expired),
        ("exp 0", one("exp", json!(0)), Expired),
        ("iat ahead", one("iat", json!(NOW + 6)), NotYet),
        ("nbf ahead", one("nbf", json!(NOW + 6)), NotYet),
        ("ends before it begins", with(one("exp", json!(NOW + 1)), "iat", json!(NOW + 5)), Lifetime),
        ("another issuer", one("iss", json!("https://id.example.org")), Issuer),
        ("issuer with slash", one("iss", json!("https://id.example.com/")), Issuer),
        ("another audience", one("aud", json!("web")), Aud),
        ("aud empty array", one("aud", json!([])), Aud),
        ("aud ours and another", one("aud", json!([API, "other"])), Aud),
        ("aud ours twice", one("aud", json!([API, API])), Aud),
    ] {
        assert_eq!(world.check_access(&world.access(&claims)).map(|_| ()), Err(expected), "{name}");
    }
    for (name, claims) in [
        ("iat at the leeway", one("iat", json!(NOW + 5))),
        ("nbf at the leeway", one("nbf", json!(NOW + 5))),
        ("one second left", one("exp", json!(NOW + 1))),
        ("aud array of one", one("aud", json!([API]))),
    ] {
        assert!(world.check_access(&world.access(&claims)).is_ok(), "{name}");
    }
}

#[test]
fn an_audience_is_judged_as_the_place_says() {
    let world = &*WORLD;
    let both = world.access(&with(access_claims(), "aud", json!([API, "other"])));
    let usage = Use::Tokens;
    let mut expected = foreign_like(&usage, &world.ring);
    for (name, audience, fits) in [
        ("exactly", Audience::Exactly(API), false),
        ("any of", Audience::AnyOf(&["x", "other"]), true),
        ("any of none", Audience::AnyOf(&[]), false),
        ("any of others", Audience::AnyOf(&["x"]), false),
        ("by the caller", Audience::CheckedByCaller, true),
    ] {
        expected.audience = audience;
        assert_eq!(verify::<Value>(&both, &expected, now()).is_ok(), fits, "{name}");
    }
}

fn foreign_like<'a>(usage: &'a Use, ring: &'a KeyRing) -> Expectation<'a> {
    Expectation {
        types: &["at+jwt"],
        issuer: ISSUER,
        audience: Audience::Exactly(API),
        required: &[],
        leeway: Leeway::foreign(200),
        expiry: Expiry::Enforced,
        max_lifetime: Some(600),
        keys: KeySource::Own { ring, usage, algorithms: &[Algorithm::ES256] },
    }
}

#[test]
fn leeway_and_lifetime_are_bounded() {
    let world = &*WORLD;
    let usage = Use::Tokens;
    let expected = foreign_like(&usage, &world.ring);
    let check = |claims: &Value| verify::<Value>(&world.access(claims), &expected, now()).map(|_| ());
    let times = |iat: i64, exp: i64| with(with(access_claims(), "iat", json!(iat)), "exp", json!(exp));
    for (name, claims, result) in [
        ("exactly the longest", times(NOW, NOW + 600), Ok(())),
        ("longer", times(NOW, NOW + 601), Err(Refusal::Lifetime)),
        ("no iat", without(access_claims(), "iat"), Err(Refusal::MissingClaim("iat"))),
        ("29 s past", times(NOW - 100, NOW - 29), Ok(())),
        ("30 s past: more leeway cannot be had", times(NOW - 100, NOW - 30), Err(Refusal::Expired)),
        ("31 s ahead", times(NOW + 31, NOW + 100), Err(Refusal::NotYet)),
    ] {
        assert_eq!(check(&claims), result, "{name}");
    }
}

/// Every kind of token is tried in every place except its own.
#[test]
fn a_token_of_one_kind_is_refused_everywhere_else() {
    let world = &*WORLD;
    let bridge = Use::Bridge("b".into());
    let refresh_shaped = with(with(refresh_claims(), "aud", json!(API)), "exp", json!(NOW + 540));
    let tokens = [
        ("access", world.access(&access_claims())),
        ("refresh", world.refresh(&refresh_claims())),
        ("id", world.sign(&Use::Tokens, Algorithm::ES256, "JWT", &access_claims())),
        ("logout", world.sign(&Use::Tokens, Algorithm::ES256, "logout+jwt", &access_claims())),
        ("dpop", world.sign(&Use::Tokens, Algorithm::ES256, "dpop+jwt", &access_claims())),
        ("bridge as access", world.sign(&bridge, Algorithm::ES256, "at+jwt", &access_claims())),
        ("bridge as id", world.sign(&bridge, Algorithm::ES256, "JWT", &access_claims())),
        ("bridge as refresh", world.sign(&bridge, Algorithm::HS256, "rt+jwt", &refresh_claims())),
        ("refresh key as access", world.sign(&Use::Refresh, Algorithm::HS256, "at+jwt", &refresh_shaped)),
        ("tokens key as refresh", world.sign(&Use::Tokens, Algorithm::ES256, "rt+jwt", &refresh_claims())),
    ];
    for (kind, token) in &tokens {
        assert_eq!(world.check_access(token).is_ok(), *kind == "access", "{kind} as access token");
        assert_eq!(world.check_refresh(token).is_ok(), *kind == "refresh", "{kind} as refresh token");
        let hint = places::id_token_hint(&world.ring, ISSUER, Some(API), token, now());
        assert_eq!(hint.is_ok(), *kind == "id", "{kind} as id_token_hint");
        let any = places::any_access_token(&world.ring, ISSUER, token, now());
        assert_eq!(any.is_ok(), *kind == "access", "{kind} at introspection");
    }
}

#[test]
fn a_hint_may_have_expired_but_not_be_for_another_client() {
    let world = &*WORLD;
    let old = with(with(access_claims(), "exp", json!(NOW - 1000)), "iat", json!(NOW - 2000));
    let token = world.sign(&Use::Tokens, Algorithm::RS256, "JWT", &old);
    let hint = |client| places::id_token_hint(&world.ring, ISSUER, client, &token, now()).map(|_| ());
    assert_eq!((hint(None), hint(Some(API)), hint(Some("x"))), (Ok(()), Ok(()), Err(Refusal::Audience)));
}

/// An ID token is accepted as a hint for as long as its session may live, unless its key was revoked. For every other
/// use its key has expired.
#[test]
fn a_hint_outlives_its_key_and_nothing_else_does() {
    let world = &*WORLD;
    let mut keys = world.keys.clone();
    let index = keys.iter().position(|key| key.usage == Use::Tokens && key.algorithm == Algorithm::ES256).unwrap();
    let end = now() - Duration::days(1);
    (keys[index].retired_at, keys[index].verifies_until) = (Some(end), Some(end));
    let retired = KeyRing::build(&keys, now()).unwrap();
    let late = KeyRing::build(&keys, end - Duration::hours(1)).unwrap();
    let id = world.sign(&Use::Tokens, Algorithm::ES256, "JWT", &access_claims());
    let access = world.access(&access_claims());
    for (name, ring) in [("retired", &retired), ("retired since the ring was built", &late)] {
        let hint = |now| places::id_token_hint(ring, ISSUER, Some(API), &id, now).map(|_| ());
        assert_eq!(hint(now()), Ok(()), "{name}");
        assert_eq!(hint(end + LONGEST_SESSION), Err(Refusal::UnknownKey), "{name}: bounded");
        for (place, result) in [
            ("an API", places::access_token(ring, ISSUER, API, &access, now()).map(|_| ())),
            ("introspection", places::any_access_token(ring, ISSUER, &access, now()).map(|_| ())),
            ("an exchange", places::exchanged_id_token(ring, ISSUER, &id, now()).map(|_| ())),
        ] {
            assert_eq!(result, Err(Refusal::UnknownKey), "{name}: {place}");
        }
    }
    keys[index].revoked_at = Some(now());
    let revoked = KeyRing::build(&keys, now()).unwrap();
    let hint = places::id_token_hint(&revoked, ISSUER, Some(API), &id, now()).map(|_| ());
    assert_eq!(hint, Err(Refusal::UnknownKey), "revoked");
}

#[test]
fn types_are_compared_as_media_types() {
    let world = &*WORLD;
    for (typ, fits) in [
        (json!("at+jwt"), true),
        (json!("AT+JWT"), true),
        (json!("application/at+jwt"), true),
        (json!("Application/At+Jwt"), true),
        (json!("application/at+jwt/x"), false),
        (json!("application/application/at+jwt"), false),
        (json!("text/at+jwt"), false),
        (json!("application/"), false),
        (json!("at+jwt "), false),
        (json!("at+jwt; charset=utf-8"), false),
        (json!("jwt"), false),
        (json!("JWT"), false),
        (json!("rt+jwt"), false),
        (json!(""), false),
        (json!(null), false),
        (json!(["at+jwt"]), false),
        (json!(7), false),
        (json!("äpplication/at+jwt"), false),
    ] {
        let result = world.check_access(&world.with_header("typ", typ.clone())).map(|_| ());
        assert_eq!(result, if fits { Ok(()) } else { Err(Refusal::WrongType) }, "{typ}");
    }
    let mut header = world.header();
    header.remove("typ");
    let untyped = world.raw(&Value::Object(header).to_string(), &access_claims().to_string());
    assert_eq!(world.check_access(&untyped).unwrap_err(), Refusal::WrongType);
    let usage = Use::Tokens;
    let lax = Expectation { types: &[NO_TYPE], ..foreign_like(&usage, &world.ring) };
    assert!(verify::<Value>(&untyped, &lax, now()).is_ok(), "where the place allows it");
    assert_eq!(verify::<Value>(&world.with_header("typ", json!("")), &lax, now()).unwrap_err(), Refusal::WrongType);
}

#[test]
fn a_revoked_or_expired_key_is_unknown() {
    let world = &*WORLD;
    let token = world.access(&access_claims());
    let index =
        world.keys.iter().position(|key| key.usage == Use::Tokens && key.algorithm == Algorithm::ES256).unwrap();
    let check = |ring: &KeyRing| places::access_token(ring, ISSUER, API, &token, now()).map(|_| ());
    let mut keys = world.keys.clone();
    keys[index].revoked_at = Some(now());
    assert_eq!(check(&KeyRing::build(&keys, now()).unwrap()), Err(Refusal::UnknownKey), "revoked");
    let late = KeyRing::build(&keys, now() - Duration::hours(1)).unwrap();
    assert_eq!(check(&late), Err(Refusal::UnknownKey), "revoked since the ring was built");
    let mut keys = world.keys.clone();
    (keys[index].retired_at, keys[index].verifies_until) = (Some(now() - Duration::hours(1)), Some(now()));
    assert_eq!(check(&KeyRing::build(&keys, now()).unwrap()), Err(Refusal::UnknownKey), "expired");
    keys[index].verifies_until = Some(now() + Duration::seconds(1));
    assert_eq!(check(&KeyRing::build(&keys, now()).unwrap()), Ok(()), "verifying");
}

#[test]
fn a_trusted_issuers_token_is_judged_by_its_key_set() {
    let world = &*WORLD;
    let set = KeySet::parse(world.ring.jwks().body.as_bytes()).unwrap();
    let token = world.access(&access_claims());
    let usage = Use::Tokens;
    let check = |keys: &KeySet, algorithms: &[Algorithm], token: &str| {
        let expected =
            Expectation { keys: KeySource::Foreign { keys, algorithms }, ..foreign_like(&usage, &world.ring) };
        verify::<AccessClaims>(token, &expected, now()).map(|_| ())
    };
    assert_eq!(check(&set, &[Algorithm::ES256], &token), Ok(()));
    assert_eq!(check(&set, &[Algorithm::RS256], &token), Err(Refusal::Algorithm), "not trusted with it");
    let other = KeyMaterial::generate(Algorithm::ES256).unwrap().public_jwk().unwrap();
    let foreign = KeySet::parse(json!({"keys": [other]}).to_string().as_bytes()).unwrap();
    assert_eq!(check(&foreign, &[Algorithm::ES256], &token), Err(Refusal::UnknownKey), "another name");
    let mut header = world.header();
    header.remove("kid");
    let nameless = world.raw(&Value::Object(header).to_string(), &access_claims().to_string());
    assert_eq!(check(&set, &[Algorithm::ES256], &nameless), Ok(()), "the only key of its algorithm");
    assert_eq!(check(&foreign, &[Algorithm::ES256], &nameless), Err(Refusal::Signature));
    assert_eq!(world.check_access(&nameless).unwrap_err(), Refusal::UnknownKey, "our own must name their key");
}

/// RFC 7519 §2: a date may have a fraction. Our own never do, so such a token of "ours" is refused.
#[test]
fn dates_of_others_may_have_fractions() {
    let world = &*WORLD;
    let set = KeySet::parse(world.ring.jwks().body.as_bytes()).unwrap();
    let usage = Use::Tokens;
    let algorithms = &[Algorithm::ES256];
    let foreign =
        Expectation { keys: KeySource::Foreign { keys: &set, algorithms }, ..foreign_like(&usage, &world.ring) };
    let check = |claims: &Value| verify::<Map<String, Value>>(&world.access(claims), &foreign, now());
    let start = f64::from(i32::try_from(NOW).unwrap());
    let times = with(with(access_claims(), "iat", json!(start + 0.25)), "nbf", json!(start));
    let times = with(with(times, "exp", json!(start + 60.75)), "auth_time", json!(start - 0.5));
    let read = check(&times).unwrap().into_claims();
    for (name, expected) in [("iat", NOW), ("nbf", NOW), ("exp", NOW + 60), ("auth_time", NOW - 1)] {
        assert_eq!(read[name], json!(expected), "{name}");
    }
    for (name, claims, expected) in [
        ("over", with(times.clone(), "exp", json!(start - 30.0)), Refusal::Expired),
        ("in the future", with(times.clone(), "iat", json!(start + 31.5)), Refusal::NotYet),
        ("astronomic", with(times.clone(), "exp", json!(1e308)), Refusal::WrongClaimType),
        ("before time", with(times.clone(), "iat", json!(-0.5)), Refusal::WrongClaimType),
        ("text", with(times.clone(), "exp", json!("1800000060.5")), Refusal::WrongClaimType),
    ] {
        assert_eq!(check(&claims).map(|_| ()), Err(expected), "{name}");
    }
    for name in ["exp", "iat", "nbf"] {
        let claims = with(access_claims(), name, times[name].clone());
        assert_eq!(world.check_access(&world.access(&claims)).map(|_| ()), Err(Refusal::WrongClaimType), "our {name}");
    }
}

#[test]
fn signing_refuses_what_is_not_an_object() {
    let world = &*WORLD;
    let key = world.ring.signing(&Use::Tokens, Algorithm::ES256).unwrap();
    for claims in [json!([]), json!("text"), json!(null), json!(7)] {
        assert!(Signer::new().sign(key, "at+jwt", &claims).is_err(), "{claims}");
    }
}
