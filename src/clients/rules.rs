//! The rules for every client, however it was created: those of the domain, and those that follow from this server's
//! configuration.

use crate::config::Config;
use crate::domain::client::{ClientDefinition, GrantType};
use crate::domain::exchange::SubjectKind;
use crate::web::error::Failure;
use crate::web::wrong_field::{WrongField, wrong_fields};

/// The parts of this server's configuration that clients depend on.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Relying parties by name, with their origins.
    relying_parties: Vec<(String, Vec<String>)>,
    /// Names of the trusted issuers that may vouch for workloads.
    issuers: Vec<String>,
}

impl Rules {
    /// The rules of a configuration.
    pub fn of(config: &Config) -> Self {
        let party = |party: &crate::config::RelyingParty| {
            (party.name.clone(), party.all_origins().map(|origin| origin.as_str().to_owned()).collect())
        };
        let speaks = |issuer: &&crate::config::TrustedIssuer| issuer.trust.kinds.contains(&SubjectKind::Jwt);
        let issuers = config.trusted_issuers.iter().filter(speaks).map(|issuer| issuer.trust.name.clone());
        Self { relying_parties: config.relying_parties.iter().map(party).collect(), issuers: issuers.collect() }
    }

    /// Everything that is wrong with a client; empty for a valid one.
    pub fn mistakes(&self, definition: &ClientDefinition, has_secret: bool) -> Vec<WrongField> {
        let misfits = definition.check_fields().into_iter().chain(definition.check(has_secret));
        let mut wrong: Vec<WrongField> = misfits
            .map(|misfit| WrongField {
                field: misfit.field.to_owned(),
                what: misfit.what.into_owned(),
                cure: misfit.cure.into_owned(),
            })
            .collect();
        let exists = |name: &str| self.relying_parties.iter().any(|(party, _)| party == name);
        if definition.relying_party.as_deref().is_some_and(|name| !exists(name)) {
            let names: Vec<&str> = self.relying_parties.iter().map(|(name, _)| name.as_str()).collect();
            wrong.push(field(
                "relying_party",
                "names none that is configured",
                format!("there is {}", names.join(", ")),
            ));
        }
        if definition.federated.iter().any(|one| !self.issuers.contains(&one.issuer)) {
            let cure = match self.issuers.as_slice() {
                [] => "there is none: declare one under trusted_issuers in the configuration".to_owned(),
                some => format!("there is {}", some.join(", ")),
            };
            wrong.push(field("federated", "names a trusted issuer that is not configured for the type jwt", cure));
        }
        let usable = |origin: &String| self.relying_parties.iter().any(|(_, origins)| origins.contains(origin));
        if definition.grants.contains(&GrantType::Passkey) && !definition.origins.iter().all(usable) {
            let cure = "add it to the origins of one: passkeys could not be used there otherwise";
            wrong.push(field("origins", "has one that belongs to no relying party", cure.to_owned()));
        }
        wrong
    }

    /// Refuses an invalid client, naming every wrong field.
    pub fn check(&self, definition: &ClientDefinition, has_secret: bool) -> Result<(), Failure> {
        let wrong = self.mistakes(definition, has_secret);
        if wrong.is_empty() { Ok(()) } else { Err(wrong_fields(&wrong)) }
    }
}

fn field(field: &str, what: &str, cure: String) -> WrongField {
    WrongField { field: field.to_owned(), what: what.to_owned(), cure }
}
