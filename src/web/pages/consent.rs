//! Consent: an app requests access, and the user allows or denies it.
//!
//! What must always hold: the page says who requests access, at which domain, to which account and for what; No has the
//! same weight as Yes, and nothing has the focus; the form can only remove something from the request.

use askama::Template;

use super::scopes::{AppIdentity, ScopeGroup, ScopeItem, grouped};
use super::{AccountCard, Frame};

/// The consent question, before anything is sent to the app.
///
/// The form posts `csrf`, `decision` (`allow` or `deny`) and, for each optional scope that stays ticked, its
/// [`ScopeItem::field`].
#[derive(Clone, Debug, Template)]
#[template(path = "consent.html")]
pub struct Consent {
    /// The frame; requires `csrf`.
    pub frame: Frame,
    /// The requesting app.
    pub app: AppIdentity,
    /// The account that access is requested to.
    pub account: AccountCard,
    /// Where "Use another account" leads: a path of ours.
    pub another: Option<String>,
    /// The path that the form posts to.
    pub action: String,
    /// The requested scopes. If some were allowed before, the others are `fresh`.
    pub scopes: Vec<ScopeItem>,
    /// Whether the app had access before and now requests more.
    pub widening: bool,
    /// The names of the resources that access is requested to, apart from this server.
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
