//! `/account/apps`: what a person allowed, and how to take it back.

use askama::Template;

use super::Frame;
use super::account::{Done, Section};
use super::scopes::ScopeItem;
use crate::clock::Time;

/// An app with access to the account.
#[derive(Clone, Debug)]
pub struct AppCard {
    /// Its client id.
    pub client: String,
    /// Its registered name.
    pub name: String,
    /// The host its answers go to.
    pub host: Option<String>,
    /// Where a sign-in at the app begins (OpenID Connect Core §4).
    pub open: Option<String>,
    /// What it may do.
    pub scopes: Vec<ScopeItem>,
    /// When it was first allowed.
    pub since: Time,
}

/// `GET /account/apps`. Each card's form posts `csrf` and `client` to `/account/apps/remove`.
#[derive(Clone, Debug, Template)]
#[template(path = "apps.html")]
pub struct Apps {
    /// The frame; `signed_in` and `csrf` must be there.
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
