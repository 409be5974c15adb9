use super::*;

fn policy() -> Policy {
    Policy {
        mode: RegistrationMode::Open,
        grants: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        scopes: Scopes::parse("openid email").unwrap(),
        audiences: Vec::new(),
        max_clients: 10,
        metadata_documents: false,
        algorithms: vec!["RS256", "ES256"],
    }
}

fn asked(more: Value) -> Result<ClientDefinition, Failure> {
    let mut members = Map::from_iter([("redirect_uris".to_owned(), json!(["https://app.example/cb"]))]);
    let Value::Object(more) = more else { panic!("an object") };
    members.extend(more);
    read(&members, &policy())
}

#[test]
fn defaults_are_those_of_the_standard() {
    let client = asked(json!({ "unheard_of": [1], "client_name#de": "Anwendung" })).unwrap();
    assert_eq!(client.kind, ClientKind::Confidential);
    assert_eq!(client.auth_method, Some(AuthMethod::ClientSecretBasic));
    assert_eq!(client.grants, [GrantType::AuthorizationCode]);
    assert_eq!(client.id_token_algorithm.as_deref(), Some("RS256"));
    assert_eq!(client.scopes, policy().scopes);
    assert_eq!(client.name, "app.example");
    assert!(!client.first_party);
    assert_eq!(write(&client)["response_types"], json!(["code"]));
}

#[test]
fn what_the_policy_does_not_allow_is_left_out() {
    let client = asked(json!({
        "grant_types": ["authorization_code", "implicit", "client_credentials", crate::oidc::wire::PASSKEY],
        "scope": "openid admin admin:users phone",
        "first_party": true,
        "federated": [{ "issuer": "cluster", "subject": "a", "audience": "b" }],
    }))
    .unwrap();
    assert_eq!(client.grants, [GrantType::AuthorizationCode]);
    assert_eq!(client.scopes.to_string(), "openid");
    assert!(!client.first_party && client.federated.is_empty());
}

#[test]
fn scopes_that_are_all_unknown_say_nothing() {
    for scope in ["claudeai", "admin admin:users"] {
        assert_eq!(asked(json!({ "scope": scope })).unwrap().scopes, policy().scopes, "{scope}");
    }
}

#[test]
fn what_only_people_would_follow_is_left_out_when_it_cannot_be_used() {
    let usual = asked(json!({})).unwrap();
    for (name, more) in [
        ("a page under development", json!({"client_uri": "http://localhost:5173"})),
        ("a logo over http", json!({"logo_uri": "http://app.example/logo.png"})),
        ("a logo in the data", json!({"logo_uri": "data:image/svg+xml,x"})),
        ("a link that is script", json!({"policy_uri": "javascript:alert(1)"})),
        ("a link with a fragment", json!({"tos_uri": "https://app.example/#terms"})),
        ("a link that is a number", json!({"tos_uri": 5})),
        ("a contact with a name", json!({"contacts": ["Ada <ada@app.example>"]})),
        ("a contact with a gap that nobody sees", json!({"contacts": ["ada@app.example\u{200b}"]})),
        ("contacts that are no list", json!({"contacts": "ada@app.example"})),
        ("an empty name", json!({"client_name": " "})),
        ("empty links", json!({"client_uri": "", "logo_uri": "", "policy_uri": "", "tos_uri": "", "contacts": [""]})),
        ("empty addresses", json!({"jwks_uri": "", "sector_identifier_uri": "", "initiate_login_uri": ""})),
        ("empty logouts", json!({"backchannel_logout_uri": "", "frontchannel_logout_uri": ""})),
    ] {
        assert_eq!(asked(more).unwrap(), usual, "{name}");
    }
    let kept = asked(json!({
        "client_uri": "https://app.example/",
        "logo_uri": "https://app.example/logo.png",
        "contacts": ["a@app.example", "b c", "a@app.example", 5, "d@app.example"],
        "client_name": "\u{fc}".repeat(120),
    }))
    .unwrap();
    assert_eq!(kept.client_uri.as_deref(), Some("https://app.example/"));
    assert_eq!(kept.logo_uri.as_deref(), Some("https://app.example/logo.png"));
    assert_eq!(kept.contacts, ["a@app.example", "d@app.example"]);
    assert_eq!(kept.name, "\u{fc}".repeat(100));
    assert_eq!(kept.check_fields(), []);
}

#[test]
fn a_scheme_that_any_app_could_claim_is_left_out_beside_others() {
    let uris = [
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://www.cursor.com/agents/mcp/oauth/callback",
        "http://localhost:8787/callback",
    ];
    let client = asked(json!({ "redirect_uris": uris })).unwrap();
    assert_eq!(client.redirect_uris, uris[1..]);
    assert_eq!(write(&client)["redirect_uris"], json!(uris[1..]), "the answer says what was registered");
}

#[test]
fn refusals_by_name() {
    let metadata = Kind::InvalidClientMetadata;
    for (name, more, kind) in [
        ("a fragment", json!({"redirect_uris": ["https://app.example/cb#x"]}), Kind::InvalidRedirectUri),
        ("a wildcard", json!({"redirect_uris": ["https://*.example/cb"]}), Kind::InvalidRedirectUri),
        ("plain http", json!({"redirect_uris": ["http://app.example/cb"]}), Kind::InvalidRedirectUri),
        ("a scheme without a dot", json!({"redirect_uris": ["myapp:/cb"]}), Kind::InvalidRedirectUri),
        ("two without a dot", json!({"redirect_uris": ["myapp:/cb", "other:/cb"]}), Kind::InvalidRedirectUri),
        ("script", json!({"redirect_uris": ["javascript:alert(1)"]}), Kind::InvalidRedirectUri),
        (
            "script beside another",
            json!({"redirect_uris": ["https://app.example/cb", "javascript:alert(1)"]}),
            Kind::InvalidRedirectUri,
        ),
        (
            "data beside another",
            json!({"redirect_uris": ["https://app.example/cb", "data:text/html,x"]}),
            Kind::InvalidRedirectUri,
        ),
        ("no list", json!({"redirect_uris": "https://app.example/cb"}), Kind::InvalidRedirectUri),
        ("only the passkey grant", json!({"grant_types": [crate::oidc::wire::PASSKEY]}), metadata),
        ("only what is not allowed", json!({"grant_types": ["client_credentials"]}), metadata),
        ("only refreshing", json!({"grant_types": ["refresh_token"]}), metadata),
        ("implicit only", json!({"response_types": ["id_token"]}), metadata),
        ("a scope that is none", json!({"scope": "a\"b"}), metadata),
        ("mutual TLS", json!({"token_endpoint_auth_method": "tls_client_auth"}), metadata),
        ("an algorithm we lack", json!({"id_token_signed_response_alg": "none"}), metadata),
        ("symmetric userinfo", json!({"userinfo_signed_response_alg": "HS256"}), metadata),
        ("a key that is not there", json!({"id_token_signed_response_alg": "EdDSA"}), metadata),
        ("unsigned requests", json!({"request_object_signing_alg": "none"}), metadata),
        ("a logout over http", json!({"backchannel_logout_uri": "http://app.example/out"}), metadata),
        ("a name that is none", json!({"client_name": 5}), metadata),
        ("a start over http", json!({"initiate_login_uri": "http://app.example/start"}), metadata),
        ("keys over http", json!({"jwks_uri": "http://app.example/jwks"}), metadata),
        ("a number as text", json!({"default_max_age": "5"}), metadata),
        ("a switch as text", json!({"dpop_bound_access_tokens": "true"}), metadata),
        ("a software statement", json!({"software_statement": "x.y.z"}), Kind::InvalidSoftwareStatement),
    ] {
        assert_eq!(asked(more).unwrap_err().kind(), kind, "{name}");
    }
}
