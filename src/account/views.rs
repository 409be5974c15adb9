//! The JSON form of users and sessions, common to all answers.

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

/// A user, with the claims that the caller may see.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    /// The ID of the user. For a client, this is the `sub` of that client's tokens.
    pub id: Uuid,
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the e-mail address was verified. Absent if the caller may not see the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
}

impl UserView {
    /// The view for an access token of a client: only what userinfo returns for these scopes, with the `sub` of that
    /// client's tokens.
    #[must_use]
    pub fn within(user: &User, client: &Client, scopes: &Scopes, mint: &Mint) -> Self {
        // Without `openid`, userinfo returns nothing.
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

/// A summary of a session.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionBrief {
    /// The ID of the session. Also the `sid` of its tokens.
    pub id: Uuid,
    /// When the user authenticated.
    pub auth_time: DateTime<Utc>,
    /// The authentication context class reference (`acr`).
    pub acr: String,
    /// The authentication method references (`amr`).
    pub amr: Vec<String>,
    /// When the session expires unless it is used.
    pub expires_at: DateTime<Utc>,
}
