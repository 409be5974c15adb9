//! The resources that this server knows, in memory for every request: read from the database, and read again when they
//! change.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use diesel::PgConnection;
use tokio::sync::Mutex;

use crate::clock::Time;
use crate::domain::audience::canonical;
use crate::domain::audit::{Event, EventKind};
use crate::domain::client::{Client, ClientRefusal};
use crate::domain::resource::{Resource, ScopeOwners};
use crate::domain::scope::Scopes;
use crate::storage::{Db, StorageError, audit, resources};

/// The directory of resources. Reading it takes no lock.
#[derive(Default)]
pub struct Resources {
    known: ArcSwap<Known>,
    /// Held from reading the database until the result is in place, so that older data never replaces newer data.
    turn: Mutex<()>,
}

/// All resources, by the canonical form of their identifiers.
#[derive(Default)]
struct Known {
    live: HashMap<String, Arc<Resource>>,
    disabled: HashSet<String>,
    owners: ScopeOwners,
}

impl Resources {
    /// The resource with this identifier, unless it is unknown or disabled.
    pub fn find(&self, identifier: &str) -> Option<Arc<Resource>> {
        self.known.load().live.get(canonical(identifier)).cloned()
    }

    /// The name of a resource for people, or its identifier if no name is configured.
    pub fn name_of(&self, identifier: &str) -> String {
        self.find(identifier).map_or_else(|| identifier.to_owned(), |resource| resource.definition.name.clone())
    }

    /// Whether a resource has this identifier, disabled or not.
    pub fn declares(&self, identifier: &str) -> bool {
        let (known, identifier) = (self.known.load(), canonical(identifier));
        known.live.contains_key(identifier) || known.disabled.contains(identifier)
    }

    /// What a scope of a resource allows, in words for people; `None` for a scope that no enabled resource declares.
    pub fn words_of(&self, scope: &str) -> Option<String> {
        self.known.load().live.values().find_map(|resource| resource.definition.scopes.get(scope).cloned())
    }

    /// Every resource that is not disabled.
    pub fn all(&self) -> Vec<Arc<Resource>> {
        self.known.load().live.values().cloned().collect()
    }

    /// The audience of an access token: the requested resources (RFC 8707 §2), each of which must be allowed for the
    /// client and not disabled, or the client's default if none is named.
    ///
    /// # Errors
    /// [`ClientRefusal::Audience`], reported as `invalid_target`.
    pub fn audience<'a>(
        &self,
        client: &Client,
        asked: impl IntoIterator<Item = &'a str>,
        issuer: &str,
    ) -> Result<Vec<String>, ClientRefusal> {
        let mut audience = Vec::new();
        for one in asked {
            let one = client.grant_audience(Some(one), issuer)?;
            if !audience.contains(&one) {
                audience.push(one);
            }
        }
        if audience.is_empty() {
            audience.push(client.grant_audience(None, issuer)?);
        }
        let known = self.known.load();
        if audience.iter().any(|one| known.disabled.contains(canonical(one))) {
            return Err(ClientRefusal::Audience);
        }
        Ok(audience)
    }

    /// The part of the granted scopes that a token for this audience carries, see
    /// [`domain::resource`](crate::domain::resource).
    pub fn effective(&self, granted: &Scopes, audience: &[String]) -> Scopes {
        self.known.load().owners.effective(granted, audience)
    }

    /// Refuses a request for a scope whose resource is not requested with it.
    ///
    /// # Errors
    /// [`ClientRefusal::Scope`] with the first such scope.
    pub fn require_resource_of(&self, asked: &Scopes, audience: &[String]) -> Result<(), ClientRefusal> {
        match self.known.load().owners.misplaced(asked, audience) {
            Some(scope) => Err(ClientRefusal::Scope(scope.to_owned())),
            None => Ok(()),
        }
    }

    /// Reads all resources again.
    pub async fn reload(&self, db: &Db) -> Result<(), StorageError> {
        let _turn = self.turn.lock().await;
        self.replace(db.run(resources::all).await?);
        Ok(())
    }

    /// Replaces all resources by these: at start-up, when nothing else reads them.
    pub fn replace(&self, stored: Vec<resources::StoredResource>) {
        // A disabled resource keeps its scopes: they must not become available to every audience.
        let owners = ScopeOwners::of(stored.iter().map(|stored| &stored.resource));
        let mut known = Known { owners, ..Known::default() };
        for stored in stored {
            let name = canonical(&stored.resource.identifier).to_owned();
            if stored.disabled_at.is_some() {
                known.disabled.insert(name);
            } else {
                known.live.insert(name, Arc::new(stored.resource));
            }
        }
        self.known.store(Arc::new(known));
    }
}

/// Makes the database agree with the configuration: declared resources are stored as managed by it, and resources that
/// it no longer declares are disabled. A resource with the same identifier, in any spelling, that was created by other
/// means is taken over. Call it under the start-up lock, in a transaction.
pub fn apply_configuration(
    conn: &mut PgConnection,
    declared: &[Resource],
    source: &str,
    now: Time,
) -> Result<(), StorageError> {
    let event = |change, id: &str| Event::of_configuration(EventKind::ResourceChanged, change, id, source, now);
    let stored = resources::all(conn)?;
    for resource in declared {
        let same = stored.iter().any(|old| {
            old.resource == *resource && old.managed_by.as_deref() == Some(source) && old.disabled_at.is_none()
        });
        if !same {
            resources::put(conn, resource, Some(source), now)?;
            audit::insert(conn, &event("declared", &resource.identifier))?;
        }
    }
    for old in &stored {
        let identifier = &old.resource.identifier;
        if declared.iter().any(|resource| resource.identifier == *identifier) {
            continue;
        }
        if declared.iter().any(|resource| canonical(&resource.identifier) == canonical(identifier)) {
            resources::delete(conn, identifier)?;
            audit::insert(conn, &event("declared in another spelling", identifier))?;
        } else if old.managed_by.is_some() && old.disabled_at.is_none() {
            resources::disable(conn, identifier, now)?;
            audit::insert(conn, &event("no longer declared", identifier))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::ClientDefinition;
    use crate::domain::resource::ResourceDefinition;

    fn stored(identifier: &str, scope: &str, disabled: bool) -> resources::StoredResource {
        let definition =
            ResourceDefinition { scopes: [(scope.to_owned(), String::new())].into(), ..ResourceDefinition::default() };
        resources::StoredResource {
            resource: Resource { identifier: identifier.to_owned(), definition },
            managed_by: None,
            disabled_at: disabled.then_some(Time::UNIX_EPOCH),
            created_at: Time::UNIX_EPOCH,
            updated_at: Time::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_resource_is_one_in_both_spellings_of_its_origin() {
        let resources = Resources::default();
        resources.replace(vec![
            stored("https://live.example", "read", false),
            stored("https://old.example/", "old:read", true),
        ]);
        let client = Client {
            id: "app".into(),
            definition: ClientDefinition {
                audiences: vec!["https://live.example/".into(), "https://old.example".into()],
                ..ClientDefinition::default()
            },
            secret: None,
            previous_secret: None,
            unverified_since: None,
        };
        let both = ["https://live.example", "https://live.example/"];
        for asked in both {
            assert!(resources.find(asked).is_some() && resources.declares(asked), "{asked}");
            let audience = resources.audience(&client, [asked], "https://id.example").unwrap();
            assert_eq!(audience, ["https://live.example/"], "in the client's spelling");
            let read = Scopes::parse("read old:read").unwrap();
            assert_eq!(resources.effective(&read, &[asked.to_owned()]).to_string(), "read");
        }
        for asked in ["https://old.example", "https://old.example/"] {
            assert!(resources.find(asked).is_none() && resources.declares(asked), "{asked}");
            let refused = resources.audience(&client, [asked], "https://id.example");
            assert_eq!(refused, Err(ClientRefusal::Audience), "{asked} is disabled");
        }
    }

    #[test]
    fn people_read_the_name_of_a_resource() {
        let mut orders = stored("https://orders.example", "read", false);
        orders.resource.definition.name = "Orders".to_owned();
        let resources = Resources::default();
        resources.replace(vec![orders, stored("https://old.example", "old:read", true)]);
        for (identifier, name) in [
            ("https://orders.example", "Orders"),
            ("https://orders.example/", "Orders"),
            ("https://old.example", "https://old.example"),
            ("https://plain.example", "https://plain.example"),
        ] {
            assert_eq!(resources.name_of(identifier), name, "{identifier}");
        }
    }

    #[test]
    fn audiences_by_name() {
        let resources = Resources::default();
        resources.replace(vec![stored("orders", "read", false), stored("old", "old:read", true)]);
        let client = Client {
            id: "app".into(),
            definition: ClientDefinition {
                audiences: vec!["orders".into(), "old".into(), "plain".into()],
                ..ClientDefinition::default()
            },
            secret: None,
            previous_secret: None,
            unverified_since: None,
        };
        let issuer = "https://id.example";
        let audience = |asked: &[&str]| resources.audience(&client, asked.iter().copied(), issuer);
        for (name, asked, expected) in [
            ("none", &[][..], Some(&["orders"][..])),
            ("one", &["plain"], Some(&["plain"])),
            ("this server", &[issuer], Some(&[issuer])),
            ("two", &["plain", "orders"], Some(&["plain", "orders"])),
            ("one twice", &["plain", "plain"], Some(&["plain"])),
            ("disabled", &["old"], None),
            ("disabled among others", &["orders", "old"], None),
            ("not the client's", &["stock"], None),
            ("another spelling", &["Orders"], None),
        ] {
            let expected = expected.map(|all| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
            assert_eq!(audience(asked).ok(), expected, "{name}");
        }
        let read = Scopes::parse("openid read").unwrap();
        let aud = |text: &str| vec![text.to_owned()];
        assert_eq!(resources.require_resource_of(&read, &aud("orders")), Ok(()));
        assert_eq!(resources.require_resource_of(&read, &aud("plain")), Err(ClientRefusal::Scope("read".into())));
        let old = Scopes::parse("old:read").unwrap();
        assert!(resources.require_resource_of(&old, &aud("plain")).is_err(), "a disabled resource keeps its scopes");
        assert_eq!(resources.effective(&read, &aud("plain")).to_string(), "openid");
    }
}
