//! Creating a passkey by a link from an app.
//!
//! What must always hold: before a passkey is created, the page shows which app asks and for which account.

use askama::Template;

use super::scopes::AppIdentity;
use super::{AccountCard, Frame};

/// `POST /enrol`: the page with the button.
#[derive(Clone, Debug, Template)]
#[template(path = "enrol.html")]
pub struct Enrol {
    /// The frame; `boot` with [`super::PageKind::Action`].
    pub frame: Frame,
    /// The app that permits it, and where the user goes afterwards.
    pub app: AppIdentity,
    /// The account that the passkey will belong to.
    pub account: AccountCard,
    /// The token, for the page module.
    pub token: String,
}

impl Enrol {
    fn title(&self) -> &'static str {
        self.frame.t().enrol_title
    }
}
