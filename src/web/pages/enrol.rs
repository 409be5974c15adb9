//! Making a passkey by a link that an app gave out.
//!
//! What must always hold: before anything is made the page shows who asks and for which account.

use askama::Template;

use super::scopes::AppIdentity;
use super::{AccountCard, Frame};

/// `POST /enrol`: the one button.
#[derive(Clone, Debug, Template)]
#[template(path = "enrol.html")]
pub struct Enrol {
    /// The frame; `boot` with [`super::PageKind::Action`].
    pub frame: Frame,
    /// Who lets it happen, and where the person goes afterwards.
    pub app: AppIdentity,
    /// Whose passkey it will be.
    pub account: AccountCard,
    /// The token, for the page module.
    pub token: String,
}

impl Enrol {
    fn title(&self) -> &'static str {
        self.frame.t().enrol_title
    }
}
