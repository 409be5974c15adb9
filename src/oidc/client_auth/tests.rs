use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::Duration;

use super::*;
use crate::domain::client::{AuthMethod, ClientDefinition, FederatedIdentity};

const TYPE: &str = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

fn now() -> Time {
    Time::UNIX_EPOCH + Duration::days(1000)
}

fn federated(id: &str) -> Vec<FederatedIdentity> {
    let text = ToOwned::to_owned;
    let one = FederatedIdentity { issuer: text("k8s"), subject: text("system"), audience: text("us") };
    (id == "workload").then_some(one).into_iter().collect()
}

fn client(id: &str) -> Option<Client> {
    let (method, secret) = match id {
        "spa" => (Some(AuthMethod::None), None),
        "page" => (None, None),
        "api" => (Some(AuthMethod::ClientSecretBasic), Some("s:ö%+ &")),
        "form" => (Some(AuthMethod::ClientSecretPost), Some("new")),
        "either" | "workload" => (None, Some("s")),
        "keys" => (Some(AuthMethod::PrivateKeyJwt), Some("s")),
        _ => return None,
    };
    let kind = if ["spa", "page"].contains(&id) { ClientKind::Public } else { ClientKind::Confidential };
    Some(Client {
        id: id.to_owned(),
        definition: ClientDefinition {
            kind,
            auth_method: method,
            federated: federated(id),
            ..ClientDefinition::default()
        },
        secret: secret.map(TokenDigest::of),
        unverified_since: None,
        previous_secret: (id == "form").then(|| (TokenDigest::of("old"), now())),
    })
}

fn try_at(authorization: Option<&str>, body: &str, at: Time) -> Result<String, Kind> {
    let mut headers = HeaderMap::new();
    if let Some(value) = authorization {
        headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    let form = Form::parse(body.as_bytes()).unwrap();
    let presented = presented::read(&headers, &form).map_err(|failure| failure.kind())?;
    let found = client(&presented.id).map(Arc::new);
    recognise(&presented, found, at).map(|client| client.id.clone()).map_err(|_| Kind::InvalidClient)
}

fn encode(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

/// Something in the form of an assertion with this issuer.
fn signed(issuer: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = format!("{{\"iss\":\"{issuer}\"}}");
    format!("{TYPE}&client_assertion={}.{}.{}", part("{}"), part(&claims), part("x"))
}

#[test]
fn each_client_has_one_way_and_no_other() {
    let good = encode("api:s%3A%C3%B6%25%2B+%26");
    let api_post = "client_id=api&client_secret=s%3A%C3%B6%25%2B+%26";
    let both = format!("{}&client_secret=s", signed("keys"));
    let alone = signed("keys").split_once('&').unwrap().1.to_owned();
    let other_type = signed("keys").replace("jwt-bearer", "saml2-bearer");
    for (name, header, body, expected) in [
        ("public by id", None, "client_id=spa", Ok("spa")),
        ("by Basic", Some(good.as_str()), "", Ok("api")),
        ("by Basic and the same id", Some(&good), "client_id=api", Ok("api")),
        ("in the body", None, "client_id=form&client_secret=new", Ok("form")),
        ("by Basic, where no method is named", Some(&encode("either:s")), "", Ok("either")),
        ("in the body, where no method is named", None, "client_id=either&client_secret=s", Ok("either")),
        ("public by Basic without a secret", Some(&encode("spa:")), "", Ok("spa")),
        ("public by Basic and the same id", Some(&encode("page:")), "client_id=page", Ok("page")),
        ("by assertion", None, &signed("keys"), Ok("keys")),
        ("by assertion and the same id", None, &format!("{}&client_id=keys", signed("keys")), Ok("keys")),
        ("a basic client in the body", None, api_post, Err(Kind::InvalidClient)),
        ("a post client by Basic", Some(&encode("form:new")), "", Err(Kind::InvalidClient)),
        ("a secret for a key client", Some(&encode("keys:s")), "", Err(Kind::InvalidClient)),
        ("a secret in the body for a key client", None, "client_id=keys&client_secret=s", Err(Kind::InvalidClient)),
        ("an assertion of a basic client", None, &signed("api"), Err(Kind::InvalidClient)),
        ("an assertion of a public client", None, &signed("spa"), Err(Kind::InvalidClient)),
        ("header and body", Some(&good), api_post, Err(Kind::InvalidRequest)),
        ("header and assertion", Some(&good), &signed("keys"), Err(Kind::InvalidRequest)),
        ("secret and assertion", None, &both, Err(Kind::InvalidRequest)),
        ("another id beside Basic", Some(&good), "client_id=spa", Err(Kind::InvalidRequest)),
        (
            "another id beside the assertion",
            None,
            &format!("{}&client_id=spa", signed("keys")),
            Err(Kind::InvalidClient),
        ),
        ("an assertion without type", None, &alone, Err(Kind::InvalidRequest)),
        ("a type without assertion", None, TYPE, Err(Kind::InvalidRequest)),
        ("another type", None, &other_type, Err(Kind::InvalidClient)),
        ("an assertion that is none", None, &format!("{TYPE}&client_assertion=x"), Err(Kind::InvalidClient)),
        ("confidential without a secret", None, "client_id=api", Err(Kind::InvalidClient)),
        ("confidential with an empty secret", Some(&encode("api:")), "", Err(Kind::InvalidClient)),
        ("wrong secret", Some(&encode("api:wrong")), "", Err(Kind::InvalidClient)),
        ("an unknown one with an empty secret", Some(&encode("nobody:")), "", Err(Kind::InvalidClient)),
        ("secret not form-encoded", Some(&encode("api:s:ö%+ &")), "", Err(Kind::InvalidClient)),
        ("public with a secret", None, "client_id=spa&client_secret=x", Err(Kind::InvalidClient)),
        ("public by Basic with a secret", Some(&encode("spa:x")), "", Err(Kind::InvalidClient)),
        ("public without a method by Basic with a secret", Some(&encode("page:x")), "", Err(Kind::InvalidClient)),
        (
            "public by Basic, and a secret in the body",
            Some(&encode("spa:")),
            "client_secret=x",
            Err(Kind::InvalidRequest),
        ),
        ("no method named, and no secret", None, "client_id=either", Err(Kind::InvalidClient)),
        ("no method named, an empty secret", Some(&encode("either:")), "", Err(Kind::InvalidClient)),
        ("no method named, a wrong secret by Basic", Some(&encode("either:x")), "", Err(Kind::InvalidClient)),
        (
            "no method named, a wrong secret in the body",
            None,
            "client_id=either&client_secret=x",
            Err(Kind::InvalidClient),
        ),
        (
            "no method named, header and body",
            Some(&encode("either:s")),
            "client_id=either&client_secret=s",
            Err(Kind::InvalidRequest),
        ),
        ("no method named, an assertion", None, &signed("either"), Err(Kind::InvalidClient)),
        ("unknown", None, "client_id=nobody", Err(Kind::InvalidClient)),
        ("nobody", None, "", Err(Kind::InvalidClient)),
        ("another scheme", Some("Bearer x"), "client_id=spa", Err(Kind::InvalidClient)),
        ("not base64", Some("Basic %%%"), "", Err(Kind::InvalidClient)),
        ("no colon", Some(&encode("api")), "", Err(Kind::InvalidClient)),
    ] {
        assert_eq!(try_at(header, body, now()), expected.map(ToOwned::to_owned), "{name}");
    }
}

#[test]
fn a_workload_shows_the_token_of_its_platform_and_names_itself() {
    for (name, header, body, expected) in [
        ("a workload by Basic", Some(encode("workload:s").as_str()), "", Err(Kind::InvalidClient)),
        (
            "a workload by a token of another issuer",
            None,
            &format!("{}&client_id=workload", signed("k8s")),
            Ok("workload"),
        ),
        ("a workload without client_id", None, &signed("k8s"), Err(Kind::InvalidClient)),
        ("a workload by an assertion of its own", None, &signed("workload"), Err(Kind::InvalidClient)),
        ("a workload in the body", None, "client_id=workload&client_secret=s", Err(Kind::InvalidClient)),
        ("a workload by its id", None, "client_id=workload", Err(Kind::InvalidClient)),
        (
            "a workload by token and secret",
            None,
            &format!("{}&client_id=workload&client_secret=s", signed("k8s")),
            Err(Kind::InvalidRequest),
        ),
        (
            "a key client by a token of another issuer",
            None,
            &format!("{}&client_id=keys", signed("k8s")),
            Err(Kind::InvalidClient),
        ),
        (
            "a public client by a token of another issuer",
            None,
            &format!("{}&client_id=page", signed("k8s")),
            Err(Kind::InvalidClient),
        ),
    ] {
        assert_eq!(try_at(header, body, now()), expected.map(ToOwned::to_owned), "{name}");
    }
}

#[test]
fn the_previous_secret_is_good_until_its_end() {
    for (name, secret, seconds, accepted) in [
        ("the new one", "new", 0, true),
        ("the old one, before its end", "old", -1, true),
        ("the old one, at its end", "old", 0, false),
        ("neither", "older", -1, false),
        ("none", "", -1, false),
    ] {
        let got = try_at(None, &format!("client_id=form&client_secret={secret}"), now() + Duration::seconds(seconds));
        assert_eq!(got.is_ok(), accepted, "{name}");
    }
}
