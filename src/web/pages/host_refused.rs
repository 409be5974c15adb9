//! Somebody signed in whom a protected host does not let in.
//!
//! What must always hold: the page names the host and the account, leads nowhere by itself, and offers another account.

use askama::Template;

use super::sign_in::AppChip;
use super::{AccountCard, Frame};

/// `GET /forward-auth?refused=…`, and the end of a sign-in that opens nothing.
#[derive(Clone, Debug, Template)]
#[template(path = "host_refused.html")]
pub struct HostRefused {
    /// The frame.
    pub frame: Frame,
    /// The host, as the operator named it.
    pub app: AppChip,
    /// Who was refused.
    pub account: AccountCard,
    /// Where "Use another account" leads: a path of ours, or an address at the host that leads back to us.
    pub another: String,
}

impl HostRefused {
    fn title(&self) -> &'static str {
        self.frame.t().host_refused_title
    }
}
