//! The crate `openidconnect`, a relying-party library that this project did not write: it reads the server's metadata,
//! builds every request, and checks every response. `tests/live/openid.mjs` does the same with openid-client, in a real
//! browser.

use std::convert::Infallible;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod,
    CoreClientRegistrationRequest, CoreDeviceAuthorizationResponse, CoreErrorResponseType, CoreGrantType,
    CoreIdTokenClaims, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
    CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType, CoreTokenResponse,
    CoreUserInfoClaims,
};
use openidconnect::registration::EmptyAdditionalClientMetadata;
use openidconnect::{
    AccessTokenHash, AdditionalProviderMetadata, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    DeviceAuthorizationUrl, EndSessionUrl, EndpointMaybeSet, EndpointSet, HttpRequest, HttpResponse, IntrospectionUrl,
    IssuerUrl, LogoutRequest, Nonce, NonceVerifier, OAuth2TokenResponse, PkceCodeChallenge, PostLogoutRedirectUrl,
    ProviderMetadata, RedirectUrl, RequestTokenError, RevocationUrl, Scope, TokenIntrospectionResponse, TokenResponse,
    url,
};
use serde::{Deserialize, Serialize};

use crate::support::oidc::Back;
use crate::support::{API_SECRET, Browser, Options, Request, TestApp};

/// The crate revokes only over https (RFC 7009 §2).
const HOME: &str = "https://id.example";
const CALLBACK: &str = "https://app.example/cb";
const DONE: &str = "https://app.example/done";

/// `app-rs256` and similar clients have ID tokens of each algorithm; `tv` is a device.
fn spawn() -> TestApp {
    let apps = ["RS256", "ES256", "EdDSA"].map(|algorithm| {
        format!(
            "[clients.app-{}]\nkind = \"confidential\"\nfirst_party = true\nsecret_digest = \"API_DIGEST\"\n\
             redirect_uris = [\"{CALLBACK}\"]\npost_logout_redirect_uris = [\"{DONE}\"]\n\
             grants = [\"authorization_code\", \"refresh_token\"]\nscopes = [\"openid\", \"profile\"]\n\
             id_token_algorithm = \"{algorithm}\"\n",
            algorithm.to_lowercase()
        )
    });
    let config = apps.join("\n") + "\n[clients.tv]\ngrants = [\"device_code\"]\nscopes = [\"openid\", \"profile\"]\n";
    let settings = [("registration.mode", "open")];
    TestApp::with(&Options { config: &config, settings: &settings, public_url: Some(HOME), ..Options::default() })
}

/// Endpoints that the crate leaves to its users to read from the discovery document.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Further {
    #[serde(rename = "device_authorization_endpoint")]
    device_authorization: DeviceAuthorizationUrl,
    #[serde(rename = "end_session_endpoint")]
    end_session: EndSessionUrl,
    #[serde(rename = "introspection_endpoint")]
    introspection: IntrospectionUrl,
    #[serde(rename = "revocation_endpoint")]
    revocation: RevocationUrl,
}

impl AdditionalProviderMetadata for Further {}

type Provider = ProviderMetadata<
    Further,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type RelyingParty = CoreClient<EndpointSet, EndpointSet, EndpointSet, EndpointSet, EndpointMaybeSet, EndpointMaybeSet>;

/// The crate's connection to the server, as through a proxy that terminates TLS.
fn http(app: &TestApp) -> impl Fn(HttpRequest) -> Result<HttpResponse, Infallible> {
    |request| {
        let (parts, body) = request.into_parts();
        let url = parts.uri.to_string();
        let path = url.strip_prefix(HOME).expect("one of our endpoints");
        let mut request = Request::new(parts.method.as_str(), &app.url, path);
        for (name, value) in &parts.headers {
            request = request.header(name.as_str(), value.to_str().expect("text"));
        }
        let reply = if body.is_empty() { request.send() } else { request.body("", body).send() };
        let answer =
            reply.headers.iter().fold(ureq::http::Response::builder().status(reply.status), |answer, (name, value)| {
                answer.header(name, value)
            });
        Ok(answer.body(reply.body.into_bytes()).expect("an answer"))
    }
}

fn discover(app: &TestApp) -> Provider {
    Provider::discover(&IssuerUrl::new(HOME.to_owned()).unwrap(), &http(app)).expect("the crate reads what we say")
}

fn relying_party(provider: &Provider, id: &str, secret: Option<&str>) -> RelyingParty {
    let further = provider.additional_metadata().clone();
    let secret = secret.map(|secret| ClientSecret::new(secret.to_owned()));
    CoreClient::from_provider_metadata(provider.clone(), ClientId::new(id.to_owned()), secret)
        .set_redirect_uri(RedirectUrl::new(CALLBACK.to_owned()).unwrap())
        .set_device_authorization_url(further.device_authorization)
        .set_introspection_url(further.introspection)
        .set_revocation_url(further.revocation)
}

/// From the request to the tokens, with the ID token's claims; `walk` goes through the pages.
fn sign_in(
    app: &TestApp,
    client: &RelyingParty,
    walk: impl FnOnce(&str) -> Back,
) -> (CoreTokenResponse, CoreIdTokenClaims) {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (address, state, nonce) = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scope(Scope::new("profile".to_owned()))
        .set_pkce_challenge(challenge)
        .url();
    let back = walk(&address[url::Position::BeforePath..]);
    assert_eq!((back.to.as_str(), back.get("iss")), (CALLBACK, Some(HOME)));
    assert_eq!(back.get("state"), Some(state.secret().as_str()));
    let code = client.exchange_code(AuthorizationCode::new(back.code())).unwrap();
    let tokens = code.set_pkce_verifier(verifier).request(&http(app)).expect("tokens");
    let claims = verified(client, &tokens, &nonce);
    (tokens, claims)
}

/// The ID token's claims, once the crate has accepted it.
fn verified(client: &RelyingParty, tokens: &CoreTokenResponse, nonce: impl NonceVerifier) -> CoreIdTokenClaims {
    let (token, verifier) = (tokens.id_token().expect("an ID token"), client.id_token_verifier());
    let claims = token.claims(&verifier, nonce).expect("the crate believes it").clone();
    let (algorithm, key) = (token.signing_alg().unwrap(), token.signing_key(&verifier).unwrap());
    let hash = AccessTokenHash::from_token(tokens.access_token(), algorithm, key).unwrap();
    assert_eq!(claims.access_token_hash(), Some(&hash));
    claims
}

/// The ID token of a refresh has no nonce (OpenID Connect Core §12.2), nor has that of a device.
fn no_nonce(nonce: Option<&Nonce>) -> Result<(), String> {
    nonce.map_or(Ok(()), |nonce| Err(format!("a nonce: {}", nonce.secret())))
}

fn user(browser: &mut Browser) -> String {
    browser.get("/v1/session").expect(200).json()["user"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn id_tokens_of_each_algorithm_are_believed() {
    let app = spawn();
    let provider = discover(&app);
    let (mut browser, _) = app.person();
    let user = user(&mut browser);
    for (id, algorithm) in [
        ("app-rs256", CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256),
        ("app-es256", CoreJwsSigningAlgorithm::EcdsaP256Sha256),
        ("app-eddsa", CoreJwsSigningAlgorithm::EdDsa),
    ] {
        let client = relying_party(&provider, id, Some(API_SECRET));
        let (tokens, claims) = sign_in(&app, &client, |path| browser.visit(path).back());
        assert_eq!(tokens.id_token().unwrap().signing_alg().unwrap(), &algorithm);
        assert_eq!(claims.subject().as_str(), user);
        assert_eq!(claims.auth_context_ref().map(|acr| acr.as_str()), Some("phr"));
    }
}

#[test]
fn tokens_are_used_and_refreshed_and_revoked() {
    let app = spawn();
    let (client, http) = (relying_party(&discover(&app), "app-rs256", Some(API_SECRET)), http(&app));
    let (mut browser, _) = app.person();
    let (first, claims) = sign_in(&app, &client, |path| browser.visit(path).back());

    let asked = client.user_info(first.access_token().clone(), Some(claims.subject().clone())).unwrap();
    let person: CoreUserInfoClaims = asked.request(&http).expect("userinfo");
    assert_eq!(person.subject().as_str(), user(&mut browser));

    let refresh = |tokens: &CoreTokenResponse| {
        client.exchange_refresh_token(tokens.refresh_token().expect("a refresh token")).unwrap().request(&http)
    };
    let second = refresh(&first).expect("a refresh");
    let after = verified(&client, &second, no_nonce);
    assert_eq!((after.subject(), after.auth_time()), (claims.subject(), claims.auth_time()));
    assert_ne!(second.access_token().secret(), first.access_token().secret());

    let active = || client.introspect(second.access_token()).request(&http).expect("introspection").active();
    assert!(active());
    client.revoke_token(second.refresh_token().unwrap().clone().into()).unwrap().request(&http).expect("revoked");
    assert!(!active());
    match refresh(&second).expect_err("the grant is over") {
        RequestTokenError::ServerResponse(told) => assert_eq!(told.error(), &CoreErrorResponseType::InvalidGrant),
        other => panic!("{other}"),
    }
}

#[test]
fn a_client_signs_people_out() {
    let app = spawn();
    let provider = discover(&app);
    let client = relying_party(&provider, "app-rs256", Some(API_SECRET));
    let (mut browser, _) = app.person();
    let (tokens, _) = sign_in(&app, &client, |path| browser.visit(path).back());
    let address = LogoutRequest::from(provider.additional_metadata().end_session.clone())
        .set_id_token_hint(tokens.id_token().unwrap())
        .set_post_logout_redirect_uri(PostLogoutRedirectUrl::new(DONE.to_owned()).unwrap())
        .set_state(CsrfToken::new("done".to_owned()))
        .http_get_url();
    let back = browser.visit(&address[url::Position::BeforePath..]);
    assert_eq!((back.status, back.header("location")), (303, Some(&*format!("{DONE}?state=done"))));
    assert!(browser.get("/v1/session").expect(200).json()["user"].is_null());
}

#[test]
fn a_client_that_registers_itself_signs_people_in() {
    let app = spawn();
    let provider = discover(&app);
    let place = RedirectUrl::new(CALLBACK.to_owned()).unwrap();
    let registration = CoreClientRegistrationRequest::new(vec![place], EmptyAdditionalClientMetadata {});
    let made = registration.register(provider.registration_endpoint().unwrap(), &http(&app)).expect("registered");
    let secret = made.client_secret().map(|secret| secret.secret().as_str());
    assert!(made.registration_access_token().is_some() && secret.is_some());

    let client = relying_party(&provider, made.client_id().as_str(), secret);
    let (mut browser, _) = app.person();
    let user = user(&mut browser);
    let (_, claims) = sign_in(&app, &client, |path| {
        let waits = browser.visit(path).waits();
        let page = browser.get(&waits).expect(200);
        browser.submit(&page, &waits, &[("allow:profile", "yes"), ("decision", "allow")]).returning()
    });
    assert_eq!(claims.subject().as_str(), user);
}

#[test]
fn a_device_is_allowed_in_a_browser() {
    let app = spawn();
    let (provider, http) = (discover(&app), http(&app));
    let client = relying_party(&provider, "tv", None).set_auth_type(AuthType::RequestBody);
    let asked: CoreDeviceAuthorizationResponse =
        client.exchange_device_code().add_scope(Scope::new("profile".to_owned())).request(&http).expect("a code");
    assert_eq!(asked.verification_uri().as_str(), format!("{HOME}/device"));

    let (mut browser, _) = app.person();
    let code = asked.user_code().secret();
    let page = browser.get("/device").expect(200);
    let review = browser.submit(&page, "/device", &[("user_code", code)]).expect(303);
    let page = browser.get(review.header("location").unwrap()).expect(200);
    browser.submit(&page, "/device/review", &[("user_code", code), ("mine", "yes"), ("decision", "allow")]).expect(303);

    let polling = client.exchange_device_access_token(&asked).unwrap();
    let tokens = polling.request(&http, |_| (), None).expect("tokens");
    assert_eq!(verified(&client, &tokens, no_nonce).subject().as_str(), user(&mut browser));
}
