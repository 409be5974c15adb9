//! The public keys of bridges, for their targets: as a JWK set, and each as PEM.
//!
//! What must always hold: a symmetric key is never published. The signing key comes first in a set, because some
//! targets use the first key they find; then come the other keys of its algorithm, and after these only keys that the
//! bridge had with another algorithm, until the last token that they signed has expired. Each key is published with the
//! `kid` that the token headers contain. Nothing is published for a bridge that is off: then the response is 404 and
//! not an empty set, because a target that fetched an empty set would refuse good tokens until it fetches again, even
//! after the bridge is on again.

use std::borrow::Cow;

use actix_web::{HttpRequest, HttpResponse, web};

use super::handlers::BridgeDesk;
use super::key::key_algorithm;
use super::stored::Ready;
use super::{Bridges, Key};
use crate::tokens::jwks::{Jwks, etag};
use crate::tokens::keys::{PublicKey, Use};
use crate::web::cached;
use crate::web::error::{Failure, Kind, Problem};

impl Bridges {
    /// The JWK set of a bridge; `None` if there is no such bridge, it is off, or its key is not public.
    pub fn jwks(&self, name: &str) -> Option<Jwks> {
        let ready = self.find(name)?;
        match usage(&ready) {
            None => ready.imported.as_ref()?.published.as_ref().map(|(set, _)| set.clone()),
            Some((usage, algorithm)) => self.keys().ring().published(&usage, algorithm).cloned(),
        }
    }

    /// One public key of a bridge.
    fn public_key(&self, name: &str, kid: &str) -> Option<PublicKey> {
        let ready = self.find(name)?;
        match usage(&ready) {
            None => {
                let imported = ready.imported.as_ref().filter(|imported| imported.signing.kid() == kid)?;
                imported.published.as_ref().map(|(_, public)| public.clone())
            }
            Some((usage, algorithm)) => {
                let ring = self.keys().ring();
                // Keys of an algorithm that the bridge had before are published until everything they signed has
                // expired.
                let fits = |public: &&PublicKey| matches!(usage, Use::Bridge(_)) || public.algorithm() == algorithm;
                ring.public(&usage, kid).filter(fits).cloned()
            }
        }
    }
}

/// Which of our keys sign for a bridge; `None` if an imported key does.
fn usage(ready: &Ready) -> Option<(Use, crate::tokens::keys::Algorithm)> {
    match ready.bridge.key() {
        Key::Own(algorithm) => Some((Use::Bridge(ready.bridge.name().to_owned()), key_algorithm(algorithm))),
        Key::Provider(algorithm) => Some((Use::Tokens, key_algorithm(algorithm))),
        Key::Imported(_) => None,
    }
}

/// Returns the public keys that verify the tokens of a bridge.
///
/// Keys of the bridge's current algorithm come first, followed by earlier keys of another algorithm whose tokens may
/// still be valid.
#[utoipa::path(get, path = "/v1/bridges/{name}/jwks.json", tag = "Bridges", params(("name" = String, Path)),
    responses((status = 200, description = "A JWK set"), (status = 404, description = "`not_found`")))]
pub async fn jwks(
    request: HttpRequest,
    desk: web::Data<BridgeDesk>,
    name: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let set = desk.bridges.jwks(&name).ok_or_else(missing)?;
    Ok(cached::document(&request, &set.body, &set.etag, desk.keys_max_age))
}

/// Returns one public key of a bridge as a PEM block `PUBLIC KEY` (RFC 7468 §13).
#[utoipa::path(get, path = "/v1/bridges/{name}/keys/{file}", tag = "Bridges",
    params(("name" = String, Path), ("file" = String, Path, description = "The `kid` of the key, followed by `.pem`")),
    responses((status = 200, description = "A PEM block"), (status = 404, description = "`not_found`")))]
pub async fn pem(
    request: HttpRequest,
    desk: web::Data<BridgeDesk>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (name, file) = path.into_inner();
    let public = file.strip_suffix(".pem").and_then(|kid| desk.bridges.public_key(&name, kid)).ok_or_else(missing)?;
    let pem = public.to_pem();
    let document = cached::Document { content_type: "application/x-pem-file", body: Cow::Borrowed(&pem) };
    Ok(cached::answer(&request, document, &etag(&pem), desk.keys_max_age))
}

fn missing() -> Failure {
    Failure::new(Kind::NotFound, "There is no such bridge or key, it is switched off, or the key is not public.")
}
