//! Consent: an app asks for access, the person says yes or no.
//!
//! What must always hold: the page says who asks, at which domain, for whose account and for what; No stands beside Yes
//! with the same weight, and nothing has the focus; the form can only take away from what was asked.

use askama::Template;

use super::scopes::{AppIdentity, ScopeGroup, ScopeItem, grouped};
use super::{AccountCard, Frame};

/// The question, before anything is sent to the app.
///
/// The form posts `csrf`, `decision` (`allow` or `deny`) and, for each optional scope that stays ticked, its
/// [`ScopeItem::field`].
#[derive(Clone, Debug, Template)]
#[template(path = "consent.html")]
pub struct Consent {
    /// The frame; `csrf` must be there.
    pub frame: Frame,
    /// Who asks.
    pub app: AppIdentity,
    /// Whose account it is.
    pub account: AccountCard,
    /// Where "Use another account" leads: a path of ours.
    pub another: Option<String>,
    /// Where the form goes: a path of ours.
    pub action: String,
    /// What is asked for. When some of it was allowed before, the rest is `fresh`.
    pub scopes: Vec<ScopeItem>,
    /// Whether the app was allowed something before and asks for more now.
    pub widening: bool,
    /// Names of the resources that the access is for, beside this server.
    pub resources: Vec<String>,
}

impl Consent {
    fn title(&self) -> String {
        self.frame.t().consent_page(&self.app.name)
    }

    fn groups(&self) -> Vec<ScopeGroup> {
        grouped(&self.scopes)
    }

    fn has_choice(&self) -> bool {
        self.scopes.iter().any(|item| item.optional)
    }
}
