//! What a client refers to, fetched when it registers.

use serde_json::{Map, Value};

use super::{Registration, metadata};
use crate::domain::client::ClientDefinition;
use crate::web::error::{Failure, Kind};

impl Registration {
    /// The client that these members describe, without a logo that would never be fetched.
    pub(super) fn definition(&self, members: &Map<String, Value>) -> Result<ClientDefinition, Failure> {
        let mut definition = metadata::read(members, &self.policy)?;
        definition.logo_uri = definition.logo_uri.take().filter(|uri| self.outbound.may_reach(uri));
        Ok(definition)
    }

    /// Refuses a client with an address that this server would call but can never reach: the client could not work, and
    /// would only find out later. Which network address a name resolves to is checked when it is used.
    pub(super) fn check_reach(&self, definition: &ClientDefinition) -> Result<(), Failure> {
        let single = [
            ("jwks_uri", &definition.jwks_uri),
            ("sector_identifier_uri", &definition.sector_identifier_uri),
            ("backchannel_logout_uri", &definition.backchannel_logout_uri),
        ];
        let single = single.into_iter().filter_map(|(member, uri)| Some((member, uri.as_deref()?)));
        let listed = definition.request_uris.iter().map(|uri| ("request_uris", uri.as_str()));
        let Some((member, _)) = single.chain(listed).find(|(_, uri)| !self.outbound.may_reach(uri)) else {
            return Ok(());
        };
        let detail =
            format!("{member} has a private or reserved address, which this server does not go to; give a public one.");
        Err(Failure::new(Kind::InvalidClientMetadata, detail))
    }

    /// Refuses a client whose sector identifier document does not list all its redirect URIs (OpenID Connect
    /// Registration §5): it would learn the pairwise subjects of another sector.
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
