//! The scopes of an app, as pages show them.

use crate::domain::client::Client;
use crate::resources::Resources;
use crate::web::pages::scopes::ScopeItem;

/// A scope with its description by the resource that owns it. With `profile`, an app may receive claims of what the
/// operators note about the person; their names are shown.
pub fn scope_item(client: Option<&Client>, resources: &Resources, scope: &str) -> ScopeItem {
    let claims = client.filter(|_| scope == "profile").map(|client| &client.definition.attribute_claims);
    ScopeItem {
        description: resources.words_of(scope),
        noted: claims.into_iter().flat_map(|claims| claims.keys().cloned()).collect(),
        ..ScopeItem::fixed(scope)
    }
}
