//! How a person and a session are shown in JSON, in whichever answer.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::claims::claims_for;
use crate::domain::client::Client;
use crate::domain::scope::Scopes;
use crate::domain::user::User;
use crate::tokens::Mint;

/// A person, as their own tokens may tell.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    /// Also the `sub` of their tokens.
    pub id: Uuid,
    /// Display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the address was proven to be theirs. Who is not told the address is not told this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
}

impl UserView {
    /// The same as an access token of a client tells: nothing that userinfo would not tell for these scopes, and by the `sub`
    /// of its tokens.
    #[must_use]
    pub fn within(user: &User, client: &Client, scopes: &Scopes, mint: &Mint) -> Self {
        // Without `openid` userinfo tells nothing at all.
        let told = if scopes.contains("openid") { claims_for(user, &[], scopes, &BTreeSet::new()) } else { Map::new() };
        let text = |name: &str| told.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        Self {
            id: mint.keys().subjects().of(client, user.id),
            name: text("name"),
            email: text("email"),
            email_verified: told.get("email_verified").and_then(Value::as_bool),
        }
    }
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.uuid(),
            name: user.name.clone(),
            email: user.email.clone(),
            email_verified: Some(user.email_verified_at.is_some()),
        }
    }
}

/// A session in short.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionBrief {
    /// Also the `sid` of its tokens.
    pub id: Uuid,
    /// When the person authenticated.
    pub auth_time: DateTime<Utc>,
    /// Authentication context class reference.
    pub acr: String,
    /// Authentication method references.
    pub amr: Vec<String>,
    /// When the session ends unused.
    pub expires_at: DateTime<Utc>,
}
