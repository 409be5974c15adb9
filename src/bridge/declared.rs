//! Stores the bridges that the configuration declares in the database.

use diesel::PgConnection;

use super::BridgeDefinition;
use crate::clock::Time;
use crate::domain::audit::{Event, EventKind};
use crate::storage::{StorageError, audit, bridges};

/// Makes the database agree with the configuration: declared bridges are stored as managed by it, and bridges that it
/// no longer declares are switched off. A bridge with the same name that was created by other means is taken over. An
/// emergency stop remains in force. Call it under the start-up lock, in a transaction.
pub fn apply_configuration(
    conn: &mut PgConnection,
    declared: &[(BridgeDefinition, bool)],
    source: &str,
    now: Time,
) -> Result<(), StorageError> {
    let event = |change, name: &str| Event::of_configuration(EventKind::BridgeChanged, change, name, source, now);
    let stored = bridges::all(conn)?;
    for (definition, enabled) in declared {
        let document = serde_json::to_value(definition)
            .map_err(|error| StorageError::corrupt("bridges", &definition.name, error))?;
        let same = stored.iter().any(|old| {
            old.name == definition.name
                && old.managed_by.as_deref() == Some(source)
                && old.enabled == *enabled
                && old.definition == document
        });
        if !same {
            bridges::declare(conn, &definition.name, &document, (*enabled, source), now)?;
            audit::insert(conn, &event("declared", &definition.name))?;
        }
    }
    for old in stored.iter().filter(|old| old.managed_by.is_some() && old.enabled) {
        if !declared.iter().any(|(definition, _)| definition.name == old.name) {
            bridges::undeclare(conn, &old.name, now)?;
            audit::insert(conn, &event("no longer declared", &old.name))?;
        }
    }
    Ok(())
}
