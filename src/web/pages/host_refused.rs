//! The page for a signed-in user whom a protected host refuses.
//!
//! What must always hold: the page names the host and the account, never redirects by itself, and offers nothing that
//! would lead back to it.

use actix_web::http::StatusCode;
use askama::Template;

use super::messages::Html;
use super::sign_in::AppChip;
use super::{AccountCard, Frame};

/// `GET /forward-auth?refused=…`, and the end of a sign-in that does not grant access.
#[derive(Clone, Debug, Template)]
#[template(path = "host_refused.html")]
pub struct HostRefused {
    /// The frame.
    pub frame: Frame,
    /// The host, with the name that the operator gave it.
    pub app: AppChip,
    /// The refused account.
    pub account: AccountCard,
    /// What the user can do.
    pub onward: Onward,
}

/// What a refused user can do. URLs are paths of ours, or are at the host and lead back to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Onward {
    /// Use another account, by this URL.
    AnotherAccount(String),
    /// Nothing: the page is closed to everyone.
    Nowhere,
    /// Go to the host, by this URL: they would be admitted now.
    There(String),
    /// Confirm their identity, by this URL: the page requires a more recent sign-in, or a stronger one.
    Confirming(String),
}

impl Onward {
    /// The status of the page.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::AnotherAccount(_) | Self::Nowhere | Self::Confirming(_) => StatusCode::FORBIDDEN,
            Self::There(_) => StatusCode::OK,
        }
    }
}

impl HostRefused {
    fn title(&self) -> &'static str {
        let t = self.frame.t();
        match self.onward {
            Onward::AnotherAccount(_) => t.host_refused_title,
            Onward::Nowhere => t.host_closed_title,
            Onward::There(_) => t.host_open_title,
            Onward::Confirming(_) => t.host_fresh_title,
        }
    }

    const fn is_open(&self) -> bool {
        matches!(self.onward, Onward::There(_))
    }

    fn lede(&self) -> Html {
        let (t, app, host) = (self.frame.t(), &self.app.name, &self.app.host);
        match self.onward {
            Onward::AnotherAccount(_) => t.host_refused_lede(app, host),
            Onward::Nowhere => t.host_closed_lede(app, host),
            Onward::There(_) => t.host_open_lede(app, host),
            Onward::Confirming(_) => t.host_fresh_lede(app, host),
        }
    }
}
