//! Signed requests (RFC 9101, OpenID Connect Core §6): the parameters of a request as a JWT of its client.
//!
//! What must always hold: only what is inside the object counts; it is signed by a key of the very client that the
//! request names; it is intended for this server, fresh, and counts once if it has a `jti`; nothing is fetched from a
//! URL that the client did not register.

use serde_json::{Map, Value};

use crate::clock::Time;
use crate::domain::authorization::{Parameters, Refusal, SignedOnce};
use crate::domain::client::Client;
use crate::oidc::Oidc;
use crate::storage::used_jti::{self, Kind as Used, Spent};
use crate::tokens::keys::Algorithm;
use crate::tokens::verifier;
use crate::tokens::verifier::places::{self, ASSERTION_ALGORITHMS, LONGEST_REQUEST_OBJECT};
use crate::web::error::Failure;

/// The media type with which an object is fetched (RFC 9101 §9.3).
const MEDIA_TYPE: &str = "application/oauth-authz-req+jwt";

/// The parameters that are read, besides `resource`. Any other claim that a client signs is ignored, whatever its type.
const READ: [&str; 22] = [
    "acr_values",
    "claims",
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "display",
    "dpop_jkt",
    "id_token_hint",
    "login_hint",
    "max_age",
    "nonce",
    "prompt",
    "redirect_uri",
    "registration",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
    "ui_locales",
    RESOURCE,
];
/// The only parameter that may be a list (RFC 8707 §2).
const RESOURCE: &str = "resource";

/// Returns the parameters in an object, and the single use that must be recorded with it; an object that was already
/// used is refused.
///
/// # Errors
/// Outer: a fault of this server. Inner: why the object is refused.
pub async fn unfold(
    room: &Oidc,
    client: &Client,
    object: &str,
) -> Result<Result<(Parameters, Option<SignedOnce>), Refusal>, Failure> {
    let claims = match open(room, client, object).await {
        Ok(claims) => claims,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let once = once(room, &claims);
    if let Some(once) = &once {
        let spent = spent(client, once);
        if room.db.run(move |conn| used_jti::is_spent(conn, &spent)).await? {
            return Ok(Err(Refusal::RequestObject));
        }
    }
    Ok(parameters(&claims).map(|parameters| (parameters, once)).ok_or(Refusal::RequestObject))
}

/// Returns the parameters in an object at a URL that the client registered, byte for byte (OpenID Connect Core §6.2).
/// The fragment distinguishes versions and is not sent. The object is public, so it is not single use.
///
/// # Errors
/// As [`unfold`].
pub async fn fetch(room: &Oidc, client: &Client, uri: &str) -> Result<Result<Parameters, Refusal>, Failure> {
    if !client.definition.request_uris.iter().any(|registered| registered == uri) {
        return Ok(Err(Refusal::RequestUri));
    }
    let address = uri.split('#').next().unwrap_or(uri);
    let Ok(answer) = room.registration.outbound.get(address, MEDIA_TYPE, "request_object").await else {
        return Ok(Err(Refusal::RequestUri));
    };
    match std::str::from_utf8(&answer.body) {
        Ok(object) => {
            let opened = open(room, client, object.trim()).await;
            Ok(opened.and_then(|claims| parameters(&claims).ok_or(Refusal::RequestObject)))
        }
        Err(_) => Ok(Err(Refusal::RequestUri)),
    }
}

/// Verifies an object with the client's keys.
async fn open(room: &Oidc, client: &Client, object: &str) -> Result<Map<String, Value>, Refusal> {
    if client.definition.jwks.is_none() && client.definition.jwks_uri.is_none() {
        return Err(Refusal::NoRequestKeys);
    }
    let now = room.clock.now();
    let algorithms = algorithms(client);
    let whom = (client.id.as_str(), room.mint.issuer());
    let strict = client.is_fapi2();
    let refused = |why: &dyn std::fmt::Display| {
        tracing::info!(client = client.id, reason = %why, "a request object was refused");
        Refusal::RequestObject
    };
    let keys = room.client_keys.of(client).await.map_err(|error| refused(&error))?;
    let verified = match places::request_object(&keys, &algorithms, whom, strict, object, now) {
        // The client may have changed its keys since they were fetched.
        Err(verifier::Refusal::UnknownKey | verifier::Refusal::Signature) => {
            let newer = room.client_keys.newer(client).await.ok_or_else(|| refused(&"no such key"))?;
            places::request_object(&newer, &algorithms, whom, strict, object, now)
        }
        other => other,
    };
    let claims = verified.map_err(|error| refused(&error))?.into_claims();
    match claims.get("client_id").and_then(Value::as_str) {
        Some(id) if id == client.id => Ok(claims),
        _ => Err(refused(&"its client_id is not the client")),
    }
}

/// The algorithm that the client registered, otherwise those of client assertions. FAPI 2.0 forbids RSA with PKCS#1
/// v1.5 padding.
fn algorithms(client: &Client) -> Vec<Algorithm> {
    let registered = client.definition.request_object_algorithm.as_deref();
    ASSERTION_ALGORITHMS
        .into_iter()
        .filter(|algorithm| registered.is_none_or(|name| name == algorithm.as_str()))
        .filter(|algorithm| !client.is_fapi2() || *algorithm != Algorithm::RS256)
        .collect()
}

/// The single use of an object that has a `jti`. It is recorded not when the object is opened but when a code is
/// issued, so that the page can be opened again until somebody has answered.
fn once(room: &Oidc, claims: &Map<String, Value>) -> Option<SignedOnce> {
    let jti = claims.get("jti").and_then(Value::as_str)?;
    let ends = claims.get("exp").and_then(Value::as_i64);
    let ends = ends.unwrap_or_else(|| room.clock.now().timestamp() + LONGEST_REQUEST_OBJECT);
    let expires_at = Time::from_timestamp(ends, 0).unwrap_or_else(|| room.clock.now());
    Some(SignedOnce { jti: jti.to_owned(), expires_at })
}

/// The record of the single use of a signed request.
pub fn spent(client: &Client, once: &SignedOnce) -> Spent {
    Spent { kind: Used::RequestObject, signer: client.id.clone(), jti: once.jti.clone(), expires_at: once.expires_at }
}

/// Claims as parameters: strings as they are, numbers in digits, objects (`claims`) as JSON, a list only for a
/// parameter that may be repeated.
fn parameters(claims: &Map<String, Value>) -> Option<Parameters> {
    let mut pairs = Vec::new();
    for (name, value) in claims.iter().filter(|(name, _)| READ.contains(&name.as_str())) {
        match value {
            Value::String(text) => pairs.push((name.clone(), text.clone())),
            Value::Number(number) => pairs.push((name.clone(), number.to_string())),
            Value::Object(_) => pairs.push((name.clone(), value.to_string())),
            Value::Array(all) if name == RESOURCE => {
                for one in all {
                    pairs.push((name.clone(), one.as_str()?.to_owned()));
                }
            }
            _ => return None,
        }
    }
    Some(pairs.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn claims_become_parameters() {
        let Value::Object(claims) = json!({
            "iss": "app", "aud": "https://id.example", "exp": 1, "jti": "x", "client_id": "app", "scope": "openid",
            "max_age": 60, "claims": {"id_token": {"acr": null}}, "x_own": [true, null], "resource": ["https://a.example", "https://b.example"],
        }) else {
            unreachable!()
        };
        let read = parameters(&claims).expect("readable");
        assert_eq!((read.find("scope"), read.find("max_age"), read.find("x_own")), (Some("openid"), Some("60"), None));
        assert_eq!(read.find("claims"), Some(r#"{"id_token":{"acr":null}}"#));
        assert_eq!(read.all("resource").collect::<Vec<_>>(), ["https://a.example", "https://b.example"]);
        for broken in
            [json!({"state": null}), json!({"state": true}), json!({"scope": ["openid"]}), json!({"resource": [1]})]
        {
            let Value::Object(claims) = broken else { unreachable!() };
            assert_eq!(parameters(&claims), None);
        }
    }
}
