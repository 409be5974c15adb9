//! Checks that the workloads of clients fit the trusted issuers of their tokens.

use super::clients::Client;
use super::problems::{Wrong, quoted};
use super::reader::Reader;
use super::trusted_issuers::TrustedIssuer;
use crate::domain::exchange::SubjectKind;

/// Checks `federated` of every client: its issuer must be declared and trusted with such tokens, and the client must
/// have no secret.
pub(super) fn check(reader: &mut Reader<'_>, clients: &[Client], trusted: &[TrustedIssuer]) {
    for client in clients.iter().filter(|client| !client.openid.federated.is_empty()) {
        let (key, table) = (format!("clients.{}.federated", client.id), format!("clients.{}", client.id));
        if client.secret.is_some() {
            let what = "is given together with a secret, which would be worth nothing";
            reader.contradiction(&key, &[&table], Wrong::new(what, "keep one of the two"));
        }
        for one in &client.openid.federated {
            let known = trusted.iter().find(|known| known.trust.name == one.issuer);
            let wrong = match known {
                None => Wrong::new(
                    format!("names {}, which is no trusted issuer", quoted(&one.issuer)),
                    format!("declare [trusted_issuers.{}]", one.issuer),
                ),
                Some(known) if !known.trust.kinds.contains(&SubjectKind::Jwt) => Wrong::new(
                    format!("names {}, whose tokens of the type jwt are not taken", quoted(&one.issuer)),
                    "add \"jwt\" to its token_types",
                ),
                Some(_) => continue,
            };
            reader.contradiction(&key, &["trusted_issuers"], wrong);
        }
    }
}
