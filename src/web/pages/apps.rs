//! `/account/apps`: the apps that a user gave access to, and how to revoke it.

use askama::Template;

use super::Frame;
use super::account::{Done, Section};
use super::scopes::ScopeItem;
use crate::clock::Time;

/// An app with access to the account.
#[derive(Clone, Debug)]
pub struct AppCard {
    /// The `client_id`.
    pub client: String,
    /// The registered name.
    pub name: String,
    /// The host that its answers go to.
    pub host: Option<String>,
    /// The URL at which a sign-in to the app starts (OpenID Connect Core §4).
    pub open: Option<String>,
    /// What the app may do.
    pub scopes: Vec<ScopeItem>,
    /// When access was first allowed.
    pub since: Time,
}

/// `GET /account/apps`. Each card's form posts `csrf` and `client` to `/account/apps/remove`.
#[derive(Clone, Debug, Template)]
#[template(path = "apps.html")]
pub struct Apps {
    /// The frame; requires `signed_in` and `csrf`.
    pub frame: Frame,
    /// What just succeeded.
    pub done: Option<Done>,
    /// Latest allowed first.
    pub apps: Vec<AppCard>,
}

impl Apps {
    const SECTION: Section = Section::Apps;

    fn title(&self) -> &'static str {
        self.frame.t().apps_title
    }
}
