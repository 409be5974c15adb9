//! The exact token that each preset produces for the sample users.

use super::*;

/// The header and claims that each preset's example produces for the first sample user: reviewed once, and never
/// changed by accident. Firebase's are tested with its own rules.
#[test]
fn every_preset_has_its_golden_token() {
    let golden: Value = serde_json::from_str(include_str!("../golden.json")).unwrap();
    let kinds = || PresetKind::ALL.iter().copied().filter(|kind| kind.about().page != "firebase");
    for kind in kinds() {
        let made = example::token(&example::bridge(kind).unwrap()).unwrap();
        let mut wanted = json!({ "claims": made.claims });
        if kind.rules().way().is_token() {
            wanted["header"] = made.header.to_json(Some("…"));
        }
        assert_eq!(golden[kind.as_str()], wanted, "{}", kind.as_str());
    }
    assert_eq!(golden.as_object().unwrap().len(), kinds().count(), "none too many");
}

#[test]
fn the_golden_supabase_token() {
    let bridge = example::bridge(PresetKind::SupabaseThirdParty).unwrap();
    let token = example::token(&bridge).unwrap();
    let facts = sample::full(&[]);
    assert_eq!(token.header.to_json(Some("k")), json!({ "alg": "ES256", "typ": "JWT", "kid": "k" }));
    assert_eq!(
        token.claims,
        json!({
            "iss": "https://id.example.com", "sub": facts.user.id, "aud": "authenticated", "iat": 1_767_225_600,
            "exp": 1_767_226_200, "jti": "00000000-0000-0000-0000-000000000000", "role": "authenticated", "aal": "aal2",
            "session_id": facts.session.id, "is_anonymous": false,
            "app_metadata": { "groups": ["staff", "editors"], "org": "sample" },
        })
    );
    let password = bridge.render(&sample::bare(), sample::moment(), Uuid::nil()).unwrap();
    assert_eq!(password.claims["aal"], "aal1", "no passkey, no second level");
    assert_eq!(token.claims.get("email"), None, "no more than the target asks for");
}

#[test]
fn the_golden_hasura_and_rabbitmq_tokens() {
    let token = |kind| example::token(&example::bridge(kind).unwrap()).unwrap().claims;
    let id = sample::full(&[]).user.id;
    assert_eq!(
        token(PresetKind::Nhost)["https://hasura.io/jwt/claims"],
        json!({ "x-hasura-default-role": "user", "x-hasura-allowed-roles": ["user", "me"], "x-hasura-user-id": id,
                "x-hasura-user-is-anonymous": "false" })
    );
    assert_eq!(
        token(PresetKind::RabbitmqMqtt)["scope"],
        json!([
            format!("rabbitmq.configure:%2F/mqtt-subscription-{id}*"),
            format!("rabbitmq.write:%2F/mqtt-subscription-{id}*/*"),
            format!("rabbitmq.read:%2F/mqtt-subscription-{id}*/*"),
            format!("rabbitmq.write:%2F/amq.topic/{id}.*"),
            format!("rabbitmq.read:%2F/amq.topic/{id}.*"),
        ])
    );
}

/// The account's key is the seed of sevens; the user's key is derived from it and is the same at every minting.
#[test]
fn the_golden_nats_token() {
    let bridge = example::bridge(PresetKind::NatsUser).unwrap();
    let token = example::token(&bridge).unwrap();
    let id = sample::full(&[]).user.id;
    assert_eq!(token.header.to_json(Some("k")), json!({ "alg": "ed25519-nkey", "typ": "JWT" }));
    let claims = &token.claims;
    assert!(claims["iss"].as_str().is_some_and(|issuer| issuer.starts_with('A') && issuer.len() == 56), "{claims}");
    assert!(claims["sub"].as_str().is_some_and(|user| user.starts_with('U') && user.len() == 56), "{claims}");
    assert_eq!((&claims["name"], &claims["jti"]), (&json!(id), &json!("0".repeat(32))));
    assert_eq!(
        claims["nats"],
        json!({
            "type": "user", "version": 2, "bearer_token": true, "subs": -1, "data": -1, "payload": -1,
            "issuer_account": "AAEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSCIJBEEQSRYX",
            "pub": { "allow": [format!("usr.{id}.>")] },
            "sub": { "allow": [format!("usr.{id}.>"), format!("_INBOX_{id}.>")] },
        })
    );
    assert_eq!(example::token(&bridge).unwrap().claims["sub"], claims["sub"]);
    let mut other = sample::full(&[]);
    other.user.id = Uuid::nil().to_string();
    let other = bridge.render(&other, sample::moment(), Uuid::nil()).unwrap();
    assert_ne!(other.claims["sub"], claims["sub"], "another person, another key");
}

#[test]
fn the_golden_pusher_channels() {
    let bridge = example::bridge(PresetKind::Pusher).unwrap();
    let id = sample::full(&[]).user.id;
    let decided = example::token(&bridge).unwrap();
    assert_eq!(
        decided.claims,
        json!({
            "user_id": id, "user_info": { "name": "Ada Example" },
            "channels": [format!("private-user-{id}"), format!("private-user-{id}-*"), "presence-lobby"],
        })
    );
    let bare = bridge.render(&sample::bare(), sample::moment(), Uuid::nil()).unwrap();
    assert_eq!(bare.claims["user_info"], json!({}), "no name, none told");
}

#[test]
fn the_golden_requests_of_backends() {
    let user = sample::full(&[]).user;
    let asked = |definition: BridgeDefinition| {
        let bridge = Bridge::new(definition).unwrap();
        let document = example::token(&bridge).unwrap().claims;
        let request = bridge.preset().call().unwrap().request;
        request(bridge.audience(), &document)
    };
    assert_eq!(
        asked(example::definition(P::Appwrite).unwrap()),
        call::Call {
            path: "/users/8f14e45f-ceea-467a-9f1d-8b5a3a5d2c11/tokens".to_owned(),
            credential: ("X-Appwrite-Key", ""),
            headers: vec![("X-Appwrite-Project", "my-project".to_owned())],
            body: json!({ "length": 64, "expire": 300 }),
            user: "8f14e45f-ceea-467a-9f1d-8b5a3a5d2c11".to_owned(),
        }
    );
    let instant = |subject: &str, user: &str, body| {
        assert_eq!(
            asked(changed(P::Instantdb, &["subject"], &json!(subject))),
            call::Call {
                path: "/admin/refresh_tokens".to_owned(),
                credential: ("Authorization", "Bearer "),
                headers: vec![("App-Id", "5a8b2c1d-0c5b-4f0e-9d5a-7c1f3b2a9e40".to_owned())],
                body,
                user: user.to_owned(),
            }
        );
    };
    instant("{{ user.id }}", &user.id, json!({ "id": user.id }));
    instant("{{ user.email }}", "ada@example.com", json!({ "email": "ada@example.com" }));
}

/// A response counts only if it is about the requested person.
#[test]
fn the_answers_of_backends_are_read_strictly() {
    let given = |kind: PresetKind, document: Value, answer: Value| {
        (kind.call().unwrap().given)(&document, answer.as_object().unwrap())
    };
    let (long, asked) = ("s".repeat(64), json!({ "userId": "u", "length": 64, "expire": 300 }));
    let appwrite = |answer| given(P::Appwrite, asked.clone(), answer);
    assert_eq!(appwrite(json!({ "userId": "u", "secret": long, "expire": "x" })), Some(long.clone()));
    for answer in [
        json!({}),
        json!({ "secret": long }),
        json!({ "userId": "v", "secret": long }),
        json!({ "userId": "u", "secret": "" }),
        json!({ "userId": "u", "secret": "s".repeat(63) }),
        json!({ "userId": "u", "secret": 5 }),
        json!({ "userId": "u", "secret": [long] }),
    ] {
        assert_eq!(appwrite(answer.clone()), None, "{answer}");
    }
    let token = "5a8b2c1d-0c5b-4f0e-9d5a-7c1f3b2a9e40";
    let by_id = |answer| given(P::Instantdb, json!({ "id": "u" }), answer);
    let by_email = |answer| given(P::Instantdb, json!({ "email": "ada@example.com" }), answer);
    let user =
        |id: &str, email: &str, token: Value| json!({ "user": { "id": id, "email": email, "refresh_token": token } });
    assert_eq!(by_id(user("u", "x", json!(token))).as_deref(), Some(token));
    assert_eq!(by_email(user("v", "Ada@example.com", json!(token))).as_deref(), Some(token));
    for answer in [
        json!({}),
        json!({ "user": token }),
        json!({ "refresh_token": token }),
        user("v", "", json!(token)),
        user("u", "", Value::Null),
        user("u", "", json!("short")),
    ] {
        assert_eq!(by_id(answer.clone()), None, "{answer}");
    }
    for answer in [user("u", "eve@example.com", json!(token)), json!({ "user": { "id": "u", "refresh_token": token } })]
    {
        assert_eq!(by_email(answer.clone()), None, "{answer}");
    }
}

/// The user is bound to the key that the NATS server created, and to the account.
#[test]
fn the_golden_nats_callout_token() {
    let bridge = example::bridge(PresetKind::NatsCallout).unwrap();
    let id = sample::full(&[]).user.id;
    let key = nkey::public(nkey::Role::User, &[9; 32]);
    let facts = Facts { bound_key: Some(key.clone()), longest: Some(60), ..sample::full(&[]) };
    let token = bridge.render(&facts, sample::moment(), Uuid::nil()).unwrap();
    assert_eq!(token.header.to_json(Some("k")), json!({ "alg": "ed25519-nkey", "typ": "JWT" }));
    assert_eq!(
        token.claims,
        json!({
            "jti": "0".repeat(32), "iat": 1_767_225_600, "exp": 1_767_225_660, "sub": key, "aud": "APP", "name": id,
            "iss": "ADVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCZW22",
            "nats": {
                "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1,
                "pub": { "allow": [format!("usr.{id}.>")] },
                "sub": { "allow": [format!("usr.{id}.>"), format!("_INBOX_{id}.>")] },
            },
        })
    );
    let [_, (_, _, config), _] = &bridge.other_side(example::SERVER)[..] else { panic!("three places") };
    for line in ["{ nkey: UAJXSXVG", "issuer: ADVEU3DD", "auth_users: [ UAJXSXVG", "  APP: {}", "account: AUTH"] {
        assert!(config.contains(line), "{line} in {config}");
    }
}
