//! The scopes of an app, as pages show them.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::client::Client;
use crate::resources::Resources;
use crate::web::pages::scopes::ScopeItem;

/// A scope with its description by the resource that owns it. With `profile`, an app may receive attributes of the
/// person; their names are shown.
pub fn scope_item(client: Option<&Client>, resources: &Resources, scope: &str) -> ScopeItem {
    let claims = client.filter(|_| scope == "profile").map(|client| &client.definition.attribute_claims);
    // Several claims can be made of one attribute.
    let noted: BTreeSet<&String> = claims.into_iter().flat_map(BTreeMap::values).collect();
    ScopeItem {
        description: resources.words_of(scope),
        noted: noted.into_iter().cloned().collect(),
        ..ScopeItem::fixed(scope)
    }
}
