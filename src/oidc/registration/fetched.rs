//! What a client refers to, fetched at its registration.

use super::Registration;
use crate::domain::client::ClientDefinition;
use crate::web::error::{Failure, Kind};

impl Registration {
    /// Refuses a client whose sector document does not list all its redirect URIs (OpenID Connect Registration §5): it would
    /// learn the pairwise subjects of somebody else's people.
    pub(super) async fn check_sector(&self, definition: &ClientDefinition) -> Result<(), Failure> {
        let Some(uri) = &definition.sector_identifier_uri else { return Ok(()) };
        let refused = |what: &'static str| Failure::new(Kind::InvalidClientMetadata, what);
        let unreadable =
            "The document at sector_identifier_uri cannot be read. It must be a JSON array at a public https address.";
        let answer = self
            .outbound
            .get(uri, "application/json", "sector")
            .await
            .map_err(|error| refused(unreadable).because(error))?;
        let listed: Vec<String> =
            serde_json::from_slice(&answer.body).map_err(|error| refused(unreadable).because(error))?;
        if definition.redirect_uris.iter().all(|uri| listed.contains(uri)) {
            Ok(())
        } else {
            Err(refused("The document at sector_identifier_uri does not list every redirect URI."))
        }
    }
}
