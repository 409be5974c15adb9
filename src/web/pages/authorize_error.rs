//! An authorization request that cannot be answered to its sender, because who that is was not proven.
//!
//! What must always hold: nothing redirects and nothing links to an address that came with the request; what was sent is
//! printed as text, for developers, behind a fold.

use askama::Template;

use super::Frame;
use super::messages::Texts;

/// What is wrong with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `client_id` is missing or sent twice.
    ClientMissing,
    /// No such client, or it is switched off.
    ClientUnknown,
    /// `redirect_uri` is missing where it must be sent.
    RedirectMissing,
    /// `redirect_uri` is none of the client's.
    RedirectUnregistered,
    /// `request_uri` names no pushed request that is alive.
    RequestExpired,
    /// The request object could not be trusted.
    RequestObject,
    /// The interaction that a page belonged to is over.
    InteractionOver,
    /// Anything else about the request's form.
    Malformed,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ClientMissing,
        Self::ClientUnknown,
        Self::RedirectMissing,
        Self::RedirectUnregistered,
        Self::RequestExpired,
        Self::RequestObject,
        Self::InteractionOver,
        Self::Malformed,
    ];

    /// What people are told.
    fn text(self, t: &Texts) -> &'static str {
        match self {
            Self::RequestExpired | Self::InteractionOver => t.authorize_expired,
            _ => t.authorize_wrong,
        }
    }

    /// What the app's developer is told.
    fn for_developers(self, t: &Texts) -> &'static str {
        match self {
            Self::ClientMissing => t.dev_client_missing,
            Self::ClientUnknown => t.dev_client_unknown,
            Self::RedirectMissing => t.dev_redirect_missing,
            Self::RedirectUnregistered => t.dev_redirect_unregistered,
            Self::RequestExpired => t.dev_request_expired,
            Self::RequestObject => t.dev_request_object,
            Self::InteractionOver => t.dev_interaction_over,
            Self::Malformed => t.dev_malformed,
        }
    }
}

/// The error page of the authorization endpoint, status 400.
#[derive(Clone, Debug, Template)]
#[template(path = "authorize_error.html")]
pub struct AuthorizeError {
    /// The frame.
    pub frame: Frame,
    /// What is wrong.
    pub fault: Fault,
    /// More for the developer, in the server's words, such as which parameter.
    pub detail: Option<String>,
    /// The value that was sent, shown as text.
    pub sent: Option<String>,
    /// The request's id, as it is in the log.
    pub request_id: String,
}

impl AuthorizeError {
    fn title(&self) -> String {
        format!("{}{}", self.frame.t().error_prefix, self.frame.t().error_request_title)
    }
}
