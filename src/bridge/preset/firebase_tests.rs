use serde_json::json;

use super::*;
use crate::bridge::testing::{self, Refusal, SERVICE_ACCOUNT, check_signed, firebase_spec, sign};
use crate::bridge::{AudienceForm, Bridge, RenderError, sample};

const NOW: i64 = 1_767_225_600;

fn good_header() -> Value {
    json!({ "alg": "RS256", "typ": "JWT" })
}

fn good_claims() -> Value {
    json!({ "iss": SERVICE_ACCOUNT, "sub": SERVICE_ACCOUNT, "aud": AUDIENCE, "iat": NOW, "exp": NOW + 3600, "uid": "u1",
            "tenant_id": "org-1", "claims": { "idp_acr": "phr" } })
}

#[test]
fn the_golden_token() {
    let bridge = Bridge::new(BridgeDefinition {
        tenant_id: Some("org-1".to_owned()),
        subject: Some("{{ link('firebase') ?? user.id }}".to_owned()),
        ..firebase_spec(json!({ "idp_acr": "{{ session.acr? }}", "passkey_uv": "{{ passkey.uv ?? false }}" }))
    })
    .unwrap();
    let rendered = bridge.render(&sample::full(&["firebase"]), sample::moment(), uuid::Uuid::nil()).unwrap();
    assert_eq!(rendered.header.to_json(Some("kid")), good_header(), "Google's own libraries write no kid");
    assert_eq!(rendered.expires_in, 600);
    assert_eq!(
        rendered.claims,
        json!({
            "iss": SERVICE_ACCOUNT, "sub": SERVICE_ACCOUNT, "aud": AUDIENCE, "iat": NOW, "exp": NOW + 600,
            "uid": "8f14e45f-ceea-467a-9f1d-8b5a3a5d2c11", "tenant_id": "org-1", "claims": { "idp_acr": "phr", "passkey_uv": true },
        })
    );
    let token = sign(&rendered.header.to_json(None), &rendered.claims, &testing::account());
    assert_eq!(check_signed(&token, &testing::account(), NOW), Ok(()));
}

#[test]
fn empty_developer_claims_are_left_out() {
    let none = Bridge::new(firebase_spec(Value::Null)).unwrap();
    let omitted = Bridge::new(firebase_spec(json!({ "name": "{{ user.name? }}" }))).unwrap();
    for bridge in [none, omitted] {
        let rendered = bridge.render(&sample::bare(), sample::moment(), uuid::Uuid::nil()).unwrap();
        assert_eq!(rendered.claims.get("claims"), None);
        assert_eq!(rendered.claims.get("tenant_id"), None);
    }
}

#[test]
fn what_the_preset_locks_stays_locked() {
    let locked = |must: &str| Problem::Locked(must.to_owned());
    let text = |text: &str| Some(text.to_owned());
    for (name, spec, place, problem) in [
        (
            "issuer",
            BridgeDefinition { issuer: text("https://idp.example.com"), ..firebase_spec(Value::Null) },
            "issuer",
            locked(SERVICE_ACCOUNT),
        ),
        (
            "audience",
            BridgeDefinition { audience: text("x"), ..firebase_spec(Value::Null) },
            "audience",
            locked(AUDIENCE),
        ),
        (
            "array audience",
            BridgeDefinition { audience_form: Some(AudienceForm::Array), ..firebase_spec(Value::Null) },
            "audience_form",
            locked("string"),
        ),
        (
            "algorithm",
            BridgeDefinition { algorithm: Some(Algorithm::Es256), ..firebase_spec(Value::Null) },
            "algorithm",
            locked("RS256"),
        ),
        ("typ", BridgeDefinition { typ: Some(Typ::AtJwt), ..firebase_spec(Value::Null) }, "typ", locked("JWT")),
        (
            "life of two hours",
            BridgeDefinition { lifetime: Some(chrono::Duration::hours(2)), ..firebase_spec(Value::Null) },
            "lifetime",
            Problem::Form("between 10 seconds and 1 hour"),
        ),
        (
            "tenant",
            BridgeDefinition { tenant_id: text("a/b"), ..firebase_spec(Value::Null) },
            "tenant_id",
            Problem::Form("1 to 128 letters, digits and hyphens"),
        ),
        (
            "no key",
            BridgeDefinition { material: None, ..firebase_spec(Value::Null) },
            "service_account",
            Problem::Required("the key file of a Google service account"),
        ),
    ] {
        let problems = Bridge::new(spec).expect_err(name);
        assert_eq!(problems.len(), 1, "{name}: {problems:?}");
        assert_eq!((problems[0].place.as_str(), &problems[0].problem), (place, &problem), "{name}");
    }
    let repeated = BridgeDefinition {
        issuer: text(SERVICE_ACCOUNT),
        audience: text(AUDIENCE),
        algorithm: Some(Algorithm::Rs256),
        ..firebase_spec(Value::Null)
    };
    assert!(Bridge::new(repeated).is_ok(), "repeating what is locked is allowed");
}

#[test]
fn no_reserved_name_in_any_case() {
    for name in RESERVED.into_iter().chain(["act"]) {
        for spelling in [name.to_owned(), name.to_uppercase()] {
            let problems = Bridge::new(firebase_spec(json!({ &spelling: "x" }))).expect_err(&spelling);
            assert_eq!(problems[0].problem, Problem::Reserved, "{spelling}");
        }
    }
}

#[test]
fn claims_beyond_a_thousand_characters_are_refused_at_save_and_at_mint() {
    let problems = Bridge::new(firebase_spec(json!({ "a": "x".repeat(993) }))).unwrap_err();
    assert!(problems[0].to_string().contains("1000"), "{}", problems[0]);
    assert!(Bridge::new(firebase_spec(json!({ "a": "x".repeat(992) }))).is_ok(), "exactly 1000");

    let bridge = Bridge::new(firebase_spec(json!({ "groups": "{{ user.groups }}" }))).unwrap();
    let mut facts = sample::full(&[]);
    facts.user.groups = vec!["g".repeat(100); 20];
    let error = bridge.render(&facts, sample::moment(), uuid::Uuid::nil()).unwrap_err();
    assert_eq!(error, RenderError::Violations(vec![Violation::ClaimsTooLong(1000)]));
}

#[test]
fn a_uid_is_128_characters_at_most() {
    let spec = BridgeDefinition { subject: Some("{{ link('x') }}".to_owned()), ..firebase_spec(Value::Null) };
    let bridge = Bridge::new(spec).unwrap();
    let render = |uid: &str| {
        let mut facts = sample::full(&[]);
        facts.links.insert("x".to_owned(), uid.to_owned());
        bridge.render(&facts, sample::moment(), uuid::Uuid::nil())
    };
    assert!(render(&"u".repeat(128)).is_ok());
    for uid in ["", &"u".repeat(129), "a b", "a\nb", "a\"b", "*", "ü", "\u{202e}a"] {
        assert_eq!(render(uid), Err(RenderError::Subject { max: 128 }), "{uid:?}");
    }
}

#[test]
fn the_checker_refuses_each_broken_rule() {
    assert_eq!(check(&good_header(), &good_claims()), Ok(()));
    let long = json!({ "a": "x".repeat(2000) });
    for (name, member, value, violation) in [
        ("life of two hours", "exp", json!(NOW + 7200), Violation::Lifetime),
        ("expires before it begins", "exp", json!(NOW), Violation::Lifetime),
        ("exp overflow", "exp", json!(u64::MAX), Violation::Claim("exp")),
        ("exp as text", "exp", json!("soon"), Violation::Claim("exp")),
        ("iat as text", "iat", json!("now"), Violation::Claim("iat")),
        ("iss is not sub", "sub", json!("other@demo-idp.iam.gserviceaccount.com"), Violation::IssuerIsNotSubject),
        ("audience", "aud", json!("demo-idp"), Violation::Claim("aud")),
        ("audience as a list", "aud", json!([AUDIENCE]), Violation::Claim("aud")),
        ("uid of 129", "uid", json!("u".repeat(129)), Violation::Claim("uid")),
        ("uid of 65 pairs", "uid", json!("\u{1f511}".repeat(65)), Violation::Claim("uid")),
        ("empty uid", "uid", json!(""), Violation::Claim("uid")),
        ("numeric uid", "uid", json!(5), Violation::Claim("uid")),
        ("claims as a list", "claims", json!([]), Violation::Claim("claims")),
        ("empty claims", "claims", json!({}), Violation::Claim("claims")),
        ("long claims", "claims", long, Violation::ClaimsTooLong(1000)),
        ("reserved", "claims", json!({ "sub": "x" }), Violation::Reserved("sub".to_owned())),
        ("reserved, other case", "claims", json!({ "Firebase": 1 }), Violation::Reserved("Firebase".to_owned())),
        ("tenant", "tenant_id", json!(""), Violation::Claim("tenant_id")),
        ("another member", "jti", json!("x"), Violation::Unexpected("jti".to_owned())),
    ] {
        let mut claims = good_claims();
        claims[member] = value;
        assert_eq!(check(&good_header(), &claims), Err(vec![violation]), "{name}");
    }
    for (name, header, violation) in [
        ("none", json!({ "alg": "none", "typ": "JWT" }), "alg"),
        ("ES256", json!({ "alg": "ES256", "typ": "JWT" }), "alg"),
        ("typ", json!({ "alg": "RS256", "typ": "at+jwt" }), "typ"),
        ("crit", json!({ "alg": "RS256", "typ": "JWT", "crit": ["x"] }), "crit"),
        ("kid", json!({ "alg": "RS256", "typ": "JWT", "kid": 1 }), "kid"),
    ] {
        assert_eq!(check(&header, &good_claims()), Err(vec![Violation::Header(violation)]), "{name}");
    }
    let mut emulator = good_claims();
    emulator["iss"] = json!("firebase-auth-emulator@example.com");
    emulator["sub"] = emulator["iss"].clone();
    assert_eq!(check(&good_header(), &emulator), Err(vec![Violation::Claim("iss")]), "the admin SDK's emulator mode");
    for missing in ["iss", "sub", "aud", "iat", "exp", "uid"] {
        let mut claims = good_claims();
        claims.as_object_mut().unwrap().remove(missing);
        assert!(check(&good_header(), &claims).is_err(), "{missing}");
    }
    assert!(check(&good_header(), &json!([])).is_err(), "no object");
}

/// The cases that the emulator accepts although Google would not.
#[test]
fn the_verifier_refuses_what_the_emulator_lets_through() {
    let account = testing::account();
    let signed = |change: &dyn Fn(&mut Value)| {
        let mut claims = good_claims();
        change(&mut claims);
        sign(&good_header(), &claims, &account)
    };
    let good = signed(&|_| {});
    assert_eq!(check_signed(&good, &account, NOW), Ok(()));
    assert_eq!(check_signed(&good, &account, NOW + 3600), Err(Refusal::Expired));
    assert_eq!(check_signed(&good, &account, NOW - 3600), Err(Refusal::FromTheFuture));
    for (name, token) in [
        ("life of two hours", signed(&|claims| claims["exp"] = json!(NOW + 7200))),
        ("iss is not sub", signed(&|claims| claims["sub"] = json!("x@p.iam.gserviceaccount.com"))),
        ("uid of 129", signed(&|claims| claims["uid"] = json!("u".repeat(129)))),
        ("long claims", signed(&|claims| claims["claims"]["a"] = json!("x".repeat(5000)))),
    ] {
        assert!(matches!(check_signed(&token, &account, NOW), Err(Refusal::Rules(_))), "{name}");
    }
    let (message, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for (name, token) in [
        ("broken signature", format!("{message}.{flipped}{}", &signature[1..])),
        ("no signature", format!("{message}.")),
        (
            "another's claims",
            format!("{}.{signature}", signed(&|c| c["uid"] = json!("u2")).rsplit_once('.').unwrap().0),
        ),
    ] {
        assert_eq!(check_signed(&token, &account, NOW), Err(Refusal::Signature), "{name}");
    }
    assert_eq!(check_signed(message, &account, NOW), Err(Refusal::Form), "two parts");
}
