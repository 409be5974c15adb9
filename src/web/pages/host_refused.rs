//! Somebody signed in whom a protected host does not let in.
//!
//! What must always hold: the page names the host and the account, leads nowhere by itself, and offers nothing that would end
//! on it again.

use actix_web::http::StatusCode;
use askama::Template;

use super::messages::Html;
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
    /// What they can do.
    pub onward: Onward,
}

/// What somebody can do whom a host refused. Addresses are paths of ours, or at the host and lead back to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Onward {
    /// Use another account, by this address.
    AnotherAccount(String),
    /// Nothing: the page is closed to everybody.
    Nowhere,
    /// Go there, by this address: they would be let in now.
    There(String),
    /// Confirm that it is them, by this address: the page wants a fresh sign-in, or a stronger one.
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
