//! The `sub` by which a client knows a person (OpenID Connect Core §8).
//!
//! Invariant: all code that issues or compares a subject calls [`Subjects::of`], so that the apps of one sector know a
//! person by the same name and the apps of different sectors by different ones. The key is derived from the purpose
//! root, which outlives every signing key and master key: subjects never change.

use aws_lc_rs::hmac;
use uuid::Uuid;

use crate::domain::client::{Client, SubjectType};
use crate::domain::id::UserId;

/// Computes the subjects of people.
pub struct Subjects(hmac::Key);

impl Subjects {
    /// Uses this purpose key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The `sub` of a person in everything that this client receives. Public and pairwise subjects are both UUIDs, so
    /// that the form does not reveal which one it is.
    pub fn of(&self, client: &Client, user: UserId) -> Uuid {
        match client.definition.subject_type {
            SubjectType::Public => user.uuid(),
            SubjectType::Pairwise => self.pairwise(&sector(client), user),
        }
    }

    fn pairwise(&self, sector: &str, user: UserId) -> Uuid {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(sector.as_bytes());
        // No host contains a NUL, so sector and id cannot run together.
        context.update(&[0]);
        context.update(user.uuid().as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&context.sign().as_ref()[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

/// The sector of a client. A client without a host of its own, such as a native app, forms its own sector.
fn sector(client: &Client) -> String {
    client.definition.sector().unwrap_or_else(|| format!("client:{}", client.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::ClientDefinition;

    fn client(id: &str, subject_type: SubjectType, redirect_uri: &str) -> Client {
        let definition =
            ClientDefinition { subject_type, redirect_uris: vec![redirect_uri.into()], ..ClientDefinition::default() };
        Client { id: id.into(), definition, secret: None, previous_secret: None, unverified_since: None }
    }

    #[test]
    fn a_sector_knows_a_person_by_one_name() {
        let (subjects, ada, bob) = (Subjects::new(&[7; 32]), UserId::random(), UserId::random());
        let pairwise = |id, uri| client(id, SubjectType::Pairwise, uri);
        let (one, same) = (pairwise("one", "https://a.example/cb"), pairwise("two", "https://a.example/other"));
        let other = pairwise("three", "https://b.example/cb");
        let own = |client: &Client| subjects.of(client, ada);
        assert_eq!(own(&client("web", SubjectType::Public, "https://a.example/")), ada.uuid());
        assert_eq!(own(&one), own(&same), "one sector");
        assert_ne!(own(&one), own(&other), "two sectors");
        assert_ne!(own(&one), ada.uuid(), "not the real one");
        assert_ne!(own(&one), subjects.of(&one, bob), "two people");
        assert_ne!(own(&one), Subjects::new(&[8; 32]).of(&one, ada), "another installation");
        let (native, another) = (pairwise("app", "com.example.app:/cb"), pairwise("app2", "com.example.app:/cb"));
        assert_ne!(own(&native), own(&another), "without a host each is alone");
        let by_document = Client {
            definition: ClientDefinition {
                sector_identifier_uri: Some("https://a.example/uris.json".into()),
                ..other.definition.clone()
            },
            ..other.clone()
        };
        assert_eq!(own(&by_document), own(&one), "the document's host names the sector");
    }
}
