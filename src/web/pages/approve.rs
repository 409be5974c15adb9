//! Approving an operation that an app requests, by a link from that app.
//!
//! What must always hold: the page shows the operation exactly as it will be signed, with isolated text; beside it, who
//! requests it and for which account; No has the same weight as Yes.

use askama::Template;

use super::scopes::AppIdentity;
use super::{AccountCard, Frame};

/// A line of the operation.
#[derive(Clone, Debug)]
pub struct Line {
    /// The label.
    pub label: String,
    /// The value.
    pub value: String,
}

/// `POST /approve`: the operation, and the button.
#[derive(Clone, Debug, Template)]
#[template(path = "approve.html")]
pub struct Approve {
    /// The frame; `boot` with [`super::PageKind::Action`].
    pub frame: Frame,
    /// The requesting app, and where the user goes afterwards.
    pub app: AppIdentity,
    /// The account that approves.
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
