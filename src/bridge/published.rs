//! The public halves of bridges' keys, for their targets: as a JWK set, and each in PEM.
//!
//! What must always hold: never a symmetric key; the key that signs comes first in a set, because some targets take the first
//! key they find, then the others of its algorithm, and behind these only those that a bridge had under another algorithm, until
//! the last token that they signed has ended; each is there under the name that the tokens' headers say; and nothing of a bridge that is off. Then the answer is 404 and not an empty set: a
//! target that fetched an empty set would refuse good tokens until it asks again, also after the bridge is on again.

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
    /// The JWK set of a bridge; none when there is no such bridge, it is off, or its key is not for everybody.
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
                // A bridge's own keys of an algorithm that it had before are published to the end of what they signed.
                let fits = |public: &&PublicKey| matches!(usage, Use::Bridge(_)) || public.algorithm() == algorithm;
                ring.public(&usage, kid).filter(fits).cloned()
            }
        }
    }
}

/// Which of our keys sign for a bridge; none when an imported one does.
fn usage(ready: &Ready) -> Option<(Use, crate::tokens::keys::Algorithm)> {
    match ready.bridge.key() {
        Key::Own(algorithm) => Some((Use::Bridge(ready.bridge.name().to_owned()), key_algorithm(algorithm))),
        Key::Provider(algorithm) => Some((Use::Tokens, key_algorithm(algorithm))),
        Key::Imported(_) => None,
    }
}

/// The keys that verify one bridge's tokens: those of its algorithm first, behind them what is left of another one.
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

/// One key that verifies a bridge's tokens, as a PEM block `PUBLIC KEY` (RFC 7468 §13).
#[utoipa::path(get, path = "/v1/bridges/{name}/keys/{file}", tag = "Bridges",
    params(("name" = String, Path), ("file" = String, Path, description = "The key's `kid` with `.pem` after it")),
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
