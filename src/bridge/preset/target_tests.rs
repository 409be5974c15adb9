use serde_json::json;

use super::*;
use crate::bridge::preset::jwt::JWT;
use crate::bridge::testing::jwt_spec;
use crate::bridge::{Bridge, Key, Material, sample};
use crate::tokens::keys::KeyMaterial;

fn render(spec: BridgeDefinition) -> (Value, Value) {
    let rendered = Bridge::new(spec).unwrap().render(&sample::full(&[]), sample::moment(), uuid::Uuid::nil()).unwrap();
    (rendered.header.to_json(Some("k1")), rendered.claims)
}

fn imported() -> Material {
    Material::Key(KeyMaterial::generate(crate::tokens::keys::Algorithm::ES256).unwrap())
}

#[test]
fn the_golden_token() {
    let (header, claims) = render(jwt_spec(json!({
        "role": "{{ user.groups | in('editors', 'readers') | first ?? 'user' }}",
        "https://hasura.io/jwt/claims": { "x-hasura-allowed-roles": ["user"], "x-hasura-user-id": "{{ user.id }}" },
        "amr": "{{ session.amr }}", "sid": "{{ session.id? }}",
    })));
    assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT", "kid": "k1" }));
    let facts = sample::full(&[]);
    assert_eq!(
        claims,
        json!({
            "iss": "https://idp.example.com", "sub": facts.user.id, "aud": "https://api.example.com",
            "iat": 1_767_225_600, "exp": 1_767_226_200, "jti": "00000000-0000-0000-0000-000000000000",
            "role": "editors", "amr": ["pop", "swk", "user", "mfa"], "sid": facts.session.id,
            "https://hasura.io/jwt/claims": { "x-hasura-allowed-roles": ["user"], "x-hasura-user-id": facts.user.id },
        })
    );
}

#[test]
fn header_and_audience_take_the_form_the_target_wants() {
    let (header, claims) = render(BridgeDefinition {
        typ: Some(Typ::None),
        kid: Some(KidPolicy::Omit),
        algorithm: Some(Algorithm::EdDsa),
        audience_form: Some(AudienceForm::Array),
        ..jwt_spec(Value::Null)
    });
    assert_eq!(header, json!({ "alg": "EdDSA" }));
    assert_eq!(claims["aud"], json!(["https://api.example.com"]));
    let fixed = KidPolicy::Fixed("app.key".to_owned());
    let (header, _) = render(BridgeDefinition {
        typ: Some(Typ::AtJwt),
        kid: Some(fixed),
        material: Some(imported()),
        ..jwt_spec(Value::Null)
    });
    assert_eq!(header, json!({ "alg": "ES256", "typ": "at+jwt", "kid": "app.key" }));
}

#[test]
fn hs256_signs_with_the_bridges_own_secret() {
    let hs256 = |secret: Option<&[u8]>| BridgeDefinition {
        algorithm: Some(Algorithm::Hs256),
        material: secret.map(|secret| Material::Key(KeyMaterial::from_secret(secret.to_vec()).unwrap())),
        ..jwt_spec(Value::Null)
    };
    let bridge = Bridge::new(hs256(Some(&[7; 32]))).unwrap();
    assert!(matches!(bridge.key(), Key::Imported(Material::Key(key)) if key.secret().expose() == &[7; 32]));
    assert!(Bridge::new(hs256(None)).is_err(), "no secret");
    let secret = Material::Key(KeyMaterial::from_secret(vec![7; 32]).unwrap());
    let es256 = BridgeDefinition { material: Some(secret), ..jwt_spec(Value::Null) };
    assert!(Bridge::new(es256).is_err(), "a secret beside a key pair");
    assert!(matches!(Bridge::new(jwt_spec(Value::Null)).unwrap().key(), Key::Own(Algorithm::Es256)));
}

#[test]
fn each_wrong_field_is_refused_at_its_place() {
    let text = |text: &str| Some(text.to_owned());
    for (name, spec, place) in [
        ("no issuer", BridgeDefinition { issuer: None, ..jwt_spec(Value::Null) }, "issuer"),
        ("issuer with a space", BridgeDefinition { issuer: text("a b"), ..jwt_spec(Value::Null) }, "issuer"),
        ("issuer that is no URL", BridgeDefinition { issuer: text("https://"), ..jwt_spec(Value::Null) }, "issuer"),
        ("no audience", BridgeDefinition { audience: None, ..jwt_spec(Value::Null) }, "audience"),
        ("empty audience", BridgeDefinition { audience: text(""), ..jwt_spec(Value::Null) }, "audience"),
        (
            "ourselves",
            BridgeDefinition { audience: text("https://idp.example.com/"), ..jwt_spec(Value::Null) },
            "audience",
        ),
        ("tenant", BridgeDefinition { tenant_id: text("t"), ..jwt_spec(Value::Null) }, "tenant_id"),
        (
            "kid",
            BridgeDefinition {
                kid: Some(KidPolicy::Fixed("a\n".to_owned())),
                material: Some(imported()),
                ..jwt_spec(Value::Null)
            },
            "kid",
        ),
        ("cap", BridgeDefinition { max_bytes: Some(100_000), ..jwt_spec(Value::Null) }, "max_bytes"),
        (
            "long life",
            BridgeDefinition { lifetime: Some(chrono::Duration::hours(25)), ..jwt_spec(Value::Null) },
            "lifetime",
        ),
        (
            "short life",
            BridgeDefinition { lifetime: Some(chrono::Duration::seconds(9)), ..jwt_spec(Value::Null) },
            "lifetime",
        ),
    ] {
        let problems = Bridge::new(spec).expect_err(name);
        assert_eq!(problems.iter().map(|problem| problem.place.as_str()).collect::<Vec<_>>(), [place], "{name}");
    }
}

#[test]
fn reserved_names_are_refused_in_any_case() {
    for name in RESERVED {
        for spelling in [name.to_owned(), name.to_uppercase()] {
            let problems = Bridge::new(jwt_spec(json!({ &spelling: "{{ user.id }}" }))).expect_err(&spelling);
            assert_eq!(problems[0].problem, Problem::Reserved, "{spelling}");
        }
    }
}

#[test]
fn claims_about_the_sign_in_cannot_lie() {
    for (name, fact) in ABOUT_THE_SIGN_IN {
        let honest = json!({ name: format!("{{{{ {} ? }}}}", fact.name()) });
        assert!(Bridge::new(jwt_spec(honest)).is_ok(), "{name}");
        let honest = format!("{{{{ {} }}}}", fact.name());
        for claims in
            [json!({ name: "phrh" }), json!({ name: "{{ user.id }}" }), json!({ name.to_uppercase(): honest })]
        {
            let problems = Bridge::new(jwt_spec(claims.clone())).expect_err(name);
            assert_eq!(problems[0].problem, Problem::OnlyFact(fact.name()), "{claims}");
        }
    }
    assert!(Bridge::new(jwt_spec(json!({ "acr": "{{ session.acr ?? 'phrh' }}" }))).is_err(), "a default");
}

#[test]
fn the_checker_refuses_each_broken_rule() {
    let mut problems = Problems::default();
    let plan = JWT.settle(&jwt_spec(Value::Null), &mut problems);
    let (header, good) = render(jwt_spec(Value::Null));
    assert_eq!(JWT.check(&plan, &header, &good), []);
    for (name, member, value, violation) in [
        ("issuer", "iss", json!("https://evil.example"), Violation::Claim("iss")),
        ("subject", "sub", json!(""), Violation::Claim("sub")),
        ("long subject", "sub", json!("s".repeat(256)), Violation::Claim("sub")),
        ("audience", "aud", json!("https://idp.example.com"), Violation::Claim("aud")),
        ("list", "aud", json!(["https://api.example.com"]), Violation::Claim("aud")),
        ("life", "exp", json!(1_767_229_999), Violation::Lifetime),
        ("iat", "iat", Value::Null, Violation::Claim("iat")),
        ("exp", "exp", json!("x"), Violation::Claim("exp")),
        ("jti", "jti", json!(""), Violation::Claim("jti")),
        ("nbf", "nbf", json!(1), Violation::Unexpected("nbf".to_owned())),
        ("who acts, in a text", "act", json!("orders"), Violation::Claim("act")),
        ("who acts, in another case", "Act", json!({ "sub": "orders" }), Violation::Claim("act")),
        ("nobody who acts", "act", json!({ "client_id": "orders" }), Violation::Claim("act")),
    ] {
        let mut claims = good.clone();
        claims[member] = value;
        assert_eq!(JWT.check(&plan, &header, &claims), [violation], "{name}");
    }
    for (name, header) in [("alg", json!({ "alg": "none", "typ": "JWT" })), ("typ", json!({ "alg": "ES256" }))] {
        assert_eq!(JWT.check(&plan, &header, &good), [Violation::Header(name)], "{name}");
    }
}
