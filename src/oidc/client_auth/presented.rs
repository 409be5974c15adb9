//! What a request presents to authenticate its client, before any of it is verified.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::client::{AuthMethod, Client};
use crate::domain::secret::Secret;
use crate::tokens::verifier;
use crate::web::error::{Failure, Kind};
use crate::web::form::Form;

/// The `client_assertion_type` of the assertions that are accepted (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The client that the request names, and its proof.
pub(super) struct Presented {
    pub(super) id: String,
    pub(super) proof: Proof,
}

/// The proof that is presented.
pub(super) enum Proof {
    /// Only the client ID.
    Nothing,
    /// A secret in the `Authorization` header.
    Basic(Secret<String>),
    /// A secret in the body.
    Post(Secret<String>),
    /// A JWT signed by the client itself.
    Assertion(String),
    /// A token of another issuer, which names the workload.
    Federated(String),
}

impl Proof {
    /// Whether the client is registered for this authentication method.
    pub(super) fn is_way_of(&self, client: &Client) -> bool {
        let method = match self {
            Self::Nothing => AuthMethod::None,
            Self::Basic(_) => AuthMethod::ClientSecretBasic,
            Self::Post(_) => AuthMethod::ClientSecretPost,
            Self::Assertion(_) => AuthMethod::PrivateKeyJwt,
            Self::Federated(_) => return client.is_federated(),
        };
        client.authenticates_by(method)
    }
}

/// Reads a request. Two methods at once are refused, whether or not they are valid.
pub(super) fn read(headers: &HeaderMap, form: &Form) -> Result<Presented, Failure> {
    let basic = basic(headers)?;
    let (secret, assertion) = (form.find("client_secret"), assertion(form)?);
    if usize::from(basic.is_some()) + usize::from(secret.is_some()) + usize::from(assertion.is_some()) > 1 {
        let words = "The client authenticates twice: by header, secret or assertion. Use one of them.";
        return Err(Failure::new(Kind::InvalidRequest, words));
    }
    let named = form.find("client_id").map(ToOwned::to_owned);
    if let Some(presented) = basic.or(assertion) {
        return match (named, presented.proof) {
            // An assertion that the client signed has its ID as `iss` (RFC 7523 §3). For any other token, `client_id`
            // says whose it is.
            (Some(id), Proof::Assertion(token)) if id != presented.id => {
                Ok(Presented { id, proof: Proof::Federated(token) })
            }
            (Some(id), _) if id != presented.id => {
                Err(Failure::new(Kind::InvalidRequest, "The client_id in the body is not the one that authenticates."))
            }
            (_, proof) => Ok(Presented { proof, ..presented }),
        };
    }
    let id = named.ok_or_else(|| {
        Failure::new(Kind::InvalidClient, "No client is named. Send client_id, or authenticate with Basic.")
    })?;
    let proof = secret.map_or(Proof::Nothing, |secret| Proof::Post(Secret::new(secret.to_owned())));
    Ok(Presented { id, proof })
}

fn assertion(form: &Form) -> Result<Option<Presented>, Failure> {
    let token = match (form.find("client_assertion_type"), form.find("client_assertion")) {
        (None, None) => return Ok(None),
        (Some(JWT_BEARER), Some(token)) => token,
        (Some(JWT_BEARER), None) | (None, Some(_)) => {
            let words = "client_assertion and client_assertion_type go together, and one of them is missing.";
            return Err(Failure::new(Kind::InvalidRequest, words));
        }
        (Some(_), _) => {
            let words = "This client_assertion_type is not known here. Use the one of RFC 7523.";
            return Err(Failure::new(Kind::InvalidClient, words));
        }
    };
    let id = verifier::claimed_issuer(token).map_err(|refusal| {
        Failure::new(Kind::InvalidClient, "The client assertion is not a JWT that names its client as iss.")
            .because(refusal)
    })?;
    Ok(Some(Presented { id, proof: Proof::Assertion(token.to_owned()) }))
}

/// `Authorization: Basic`, both parts form-encoded before they were joined (RFC 6749 §2.3.1). Without a secret, it only
/// names the client: some libraries do this for public clients.
fn basic(headers: &HeaderMap) -> Result<Option<Presented>, Failure> {
    let mut values = headers.get_all(AUTHORIZATION);
    let Some(value) = values.next() else { return Ok(None) };
    let malformed =
        || Failure::new(Kind::InvalidClient, "The Authorization header is not of the form `Basic <credentials>`.");
    if values.next().is_some() {
        return Err(malformed());
    }
    let (scheme, credentials) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = STANDARD.decode(credentials.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = Secret::new(decoded.ok_or_else(malformed)?);
    let (id, secret) = decoded.expose().split_once(':').ok_or_else(malformed)?;
    let secret = form_decoded(secret).ok_or_else(malformed)?;
    let proof = if secret.is_empty() { Proof::Nothing } else { Proof::Basic(Secret::new(secret)) };
    Ok(Some(Presented { id: form_decoded(id).ok_or_else(malformed)?, proof }))
}

fn form_decoded(text: &str) -> Option<String> {
    let pair = format!("v={}", text.replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
}
