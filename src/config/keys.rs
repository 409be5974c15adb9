//! The key table: every setting, with its type, default, range and meaning.
//!
//! It drives the reader (each default is written once, in its section, as an operator would write it), the suggestions
//! for unknown keys, and the generated reference page. Each [`section`](super::section) declares its own keys next to
//! the code that reads them.
//!
//! To add a setting: a [`Key`](super::section::Key) in its section's `KEYS`, a field in the section's struct, the line
//! that reads it, then `passmint docs configuration > docs/reference/configuration.md`.

use super::section::Sections;
use super::{
    audit, authorization_servers, bridge_keys, challenges, client_keys, client_openid, database, dpop, exchange,
    forward_auth_keys, hooks, key_files, limits, log,
};
use super::{
    outbound, passkeys, registration, relying_parties, resources, server, session, site, tls, tokens, trusted_issuers,
    webhooks,
};

/// Every section, in the order of the reference page.
pub const SECTIONS: Sections = Sections(&[
    &server::SECTION,
    &site::SECTION,
    &tls::SECTION,
    &database::SECTION,
    &key_files::SECTION,
    &challenges::SECTION,
    &limits::SECTION,
    &session::SECTION,
    &tokens::SECTION,
    &dpop::SECTION,
    &outbound::SECTION,
    &passkeys::SECTION,
    &audit::SECTION,
    &log::SECTION,
    &relying_parties::SECTION,
    &registration::SECTION,
    &client_keys::SECTION,
    &client_openid::SECTION,
    &resources::SECTION,
    &bridge_keys::SECTION,
    &exchange::SECTION,
    &trusted_issuers::SECTION,
    &authorization_servers::SECTION,
    &forward_auth_keys::SECTION,
    &webhooks::SECTION,
    &hooks::SECTION,
]);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::SECTIONS;
    use crate::config::section::{Kind, variable};
    use crate::config::text;

    #[test]
    fn every_key_is_named_once_and_so_is_its_variable() {
        let mut paths = BTreeSet::new();
        let mut variables = BTreeSet::from(["DATABASE_URL".to_owned()]);
        for key in SECTIONS.keys() {
            assert!(paths.insert(key.path), "{} is declared twice", key.path);
            if let Some(name) = key.variable() {
                assert!(variables.insert(name), "the variable of {} is that of another key", key.path);
                if matches!(key.kind, Kind::Secret) {
                    assert!(variables.insert(variable(key.path) + "_FILE"), "{}", key.path);
                }
            }
        }
    }

    #[test]
    fn every_bound_can_be_read_and_every_key_is_explained() {
        for key in SECTIONS.keys() {
            match key.kind {
                Kind::Duration(low, high) | Kind::DurationOrOff(low, high) => {
                    assert!(text::duration(low).unwrap() < text::duration(high).unwrap(), "{}", key.path);
                }
                Kind::Size(low, high) => assert!(text::size(low).unwrap() < text::size(high).unwrap(), "{}", key.path),
                Kind::Integer(low, high) => assert!(low < high, "{}", key.path),
                _ => {}
            }
            assert!(key.doc.ends_with('.') && key.doc.len() > 20, "{} needs a sentence of explanation", key.path);
        }
    }
}
