//! Approving one operation that an app asks for, by a link of its own.
//!
//! What must always hold: the page shows the operation as it will be signed, word by word and isolated; who asks and whose
//! account it is stand beside it; No stands beside Yes with the same weight.

use askama::Template;

use super::scopes::AppIdentity;
use super::{AccountCard, Frame};

/// One line of what is approved.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is.
    pub label: String,
    /// Its value.
    pub value: String,
}

/// `POST /approve`: what is approved, and the button.
#[derive(Clone, Debug, Template)]
#[template(path = "approve.html")]
pub struct Approve {
    /// The frame; `boot` with [`super::PageKind::Action`].
    pub frame: Frame,
    /// Who asks, and where the person goes afterwards.
    pub app: AppIdentity,
    /// Whose approval it is.
    pub account: AccountCard,
    /// The operation, as a sentence.
    pub operation: String,
    /// The operation, line by line.
    pub details: Vec<Line>,
    /// The token, for the page module.
    pub token: String,
    /// Where No leads: the app's own address with `error=access_denied`, or our start page.
    pub cancel: String,
}

impl Approve {
    fn title(&self) -> &'static str {
        self.frame.t().approve_title
    }
}
