//! Who is the client? (RFC 6749 §2.3)
//!
//! A client has one way to authenticate, fixed by what it is: a public one gives its id, a confidential one its secret,
//! by Basic or in the body, never both. An unknown client and a wrong secret take the same steps and get the same answer.

use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clients::Clients;
use crate::domain::client::{Client, ClientKind};
use crate::domain::secret::{Secret, TokenDigest};
use crate::web::error::{Failure, Kind};
use crate::web::form::Form;
use crate::web::origin::origin;

/// A client that proved who it is (or, being public, said so).
#[derive(Clone, Debug)]
#[must_use = "what is done next is done for this client"]
pub struct AuthenticatedClient(Arc<Client>);

impl std::ops::Deref for AuthenticatedClient {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.0
    }
}

struct Presented {
    id: String,
    secret: Option<Secret<String>>,
}

/// Authenticates the client of a request.
pub fn authenticate(headers: &HeaderMap, form: &Form, clients: &Clients) -> Result<AuthenticatedClient, Failure> {
    let presented = read(headers, form)?;
    let client = clients.find(&presented.id);
    // The digest is made in any case, so that an unknown client takes as long as a wrong secret.
    let digest = TokenDigest::of(presented.secret.as_ref().map_or("", |secret| secret.expose()));
    let refused = || Failure::new(Kind::InvalidClient, "The client is unknown, disabled, or its secret is wrong.");
    let client = client.ok_or_else(refused)?;
    let proven = match (client.definition.kind, &client.secret, &presented.secret) {
        (ClientKind::Public, _, None) => true,
        (ClientKind::Confidential, Some(stored), Some(_)) => stored.matches(&digest),
        _ => false,
    };
    if !proven {
        return Err(refused());
    }
    if let Some(origin) = origin(headers)? {
        client.owns_origin(origin).map_err(|_| foreign_page())?;
    }
    Ok(AuthenticatedClient(client))
}

/// The page of one client may read answers that are for clients (see [`cors`](crate::web::cors)), so each request of a page
/// is held to the origins of its own client.
fn foreign_page() -> Failure {
    Failure::new(Kind::InvalidRequest, "The request comes from a page whose origin is not one of this client's.")
}

/// The same for the endpoints that are for confidential clients only.
pub fn authenticate_confidential(
    headers: &HeaderMap,
    form: &Form,
    clients: &Clients,
) -> Result<AuthenticatedClient, Failure> {
    let client = authenticate(headers, form, clients)?;
    match client.definition.kind {
        ClientKind::Confidential => Ok(client),
        ClientKind::Public => Err(Failure::new(Kind::InvalidClient, "Only a client with a secret may ask this.")),
    }
}

fn read(headers: &HeaderMap, form: &Form) -> Result<Presented, Failure> {
    let in_body = form.find("client_secret");
    match (basic(headers)?, in_body) {
        (Some(_), Some(_)) => Err(Failure::new(
            Kind::InvalidRequest,
            "The client authenticates twice: by the Authorization header and in the body.",
        )),
        (Some(basic), None) => match form.find("client_id") {
            Some(id) if id != basic.id => Err(Failure::new(
                Kind::InvalidRequest,
                "The client_id in the body is not the one of the Authorization header.",
            )),
            _ => Ok(basic),
        },
        (None, secret) => Ok(Presented {
            id: form
                .find("client_id")
                .ok_or_else(|| {
                    Failure::new(Kind::InvalidClient, "No client is named. Send client_id, or authenticate by Basic.")
                })?
                .to_owned(),
            secret: secret.map(|secret| Secret::new(secret.to_owned())),
        }),
    }
}

/// `Authorization: Basic`, both parts form-encoded before they were joined (RFC 6749 §2.3.1).
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
    Ok(Some(Presented {
        id: form_decoded(id).ok_or_else(malformed)?,
        secret: (!secret.is_empty()).then(|| Secret::new(secret)),
    }))
}

fn form_decoded(text: &str) -> Option<String> {
    let pair = format!("v={}", text.replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;
    use crate::domain::client::ClientDefinition;
    use crate::storage::clients::StoredClient;

    fn client(id: &str, kind: ClientKind, secret: Option<&str>) -> StoredClient {
        let definition =
            ClientDefinition { name: id.to_owned(), kind, first_party: true, ..ClientDefinition::default() };
        let client = Client { id: id.to_owned(), definition, secret: secret.map(TokenDigest::of) };
        StoredClient { client, managed_by: None, disabled_at: None }
    }

    fn clients() -> Clients {
        let clients = Clients::default();
        let disabled = StoredClient {
            disabled_at: Some(crate::clock::Time::UNIX_EPOCH),
            ..client("off", ClientKind::Public, None)
        };
        clients.replace(vec![
            client("spa", ClientKind::Public, None),
            client("api", ClientKind::Confidential, Some("s:ö%+ &")),
            disabled,
        ]);
        clients
    }

    fn try_basic(authorization: Option<&str>, body: &str) -> Result<String, Kind> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let form = Form::parse(body.as_bytes()).unwrap();
        authenticate(&headers, &form, &clients()).map(|client| client.id.clone()).map_err(|failure| failure.kind())
    }

    #[test]
    fn each_kind_of_client_has_its_own_way() {
        let encode = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let good = encode("api:s%3A%C3%B6%25%2B+%26");
        let in_body = "client_id=api&client_secret=s%3A%C3%B6%25%2B+%26";
        for (name, header, body, expected) in [
            ("public by id", None, "client_id=spa", Ok("spa")),
            ("confidential by Basic", Some(good.as_str()), "", Ok("api")),
            ("confidential by Basic and the same id", Some(&good), "client_id=api", Ok("api")),
            ("confidential in the body", None, in_body, Ok("api")),
            ("both ways", Some(&good), in_body, Err(Kind::InvalidRequest)),
            ("another id in the body", Some(&good), "client_id=spa", Err(Kind::InvalidRequest)),
            ("confidential without a secret", None, "client_id=api", Err(Kind::InvalidClient)),
            ("confidential with an empty secret", Some(&encode("api:")), "", Err(Kind::InvalidClient)),
            ("wrong secret", Some(&encode("api:wrong")), "", Err(Kind::InvalidClient)),
            ("secret not form-encoded", Some(&encode("api:s:ö%+ &")), "", Err(Kind::InvalidClient)),
            ("public with a secret", None, "client_id=spa&client_secret=x", Err(Kind::InvalidClient)),
            ("unknown", None, "client_id=nobody", Err(Kind::InvalidClient)),
            ("disabled", None, "client_id=off", Err(Kind::InvalidClient)),
            ("nobody", None, "", Err(Kind::InvalidClient)),
            ("another scheme", Some("Bearer x"), "client_id=spa", Err(Kind::InvalidClient)),
            ("not base64", Some("Basic %%%"), "", Err(Kind::InvalidClient)),
            ("no colon", Some(&encode("api")), "", Err(Kind::InvalidClient)),
        ] {
            assert_eq!(try_basic(header, body), expected.map(ToOwned::to_owned), "{name}");
        }
    }
}
