//! The error page for an authorization request that cannot be answered to its sender, because the sender was not
//! verified.
//!
//! What must always hold: the page neither redirects nor links to an address from the request; what was sent is printed
//! as text, for developers, in a collapsed section.

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
    /// `redirect_uri` is not registered for the client.
    RedirectUnregistered,
    /// `request_uri` does not name an active pushed request.
    RequestExpired,
    /// The request object could not be verified.
    RequestObject,
    /// The interaction that the page belonged to has ended.
    InteractionOver,
    /// Any other fault in the form of the request.
    Malformed,
}

impl Fault {
    /// All faults.
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

    /// The text for users.
    fn text(self, t: &Texts) -> &'static str {
        match self {
            Self::RequestExpired | Self::InteractionOver => t.authorize_expired,
            _ => t.authorize_wrong,
        }
    }

    /// The text for the app's developer.
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
    /// Further details for the developer, for example which parameter.
    pub detail: Option<String>,
    /// The value that was sent, shown as text.
    pub sent: Option<String>,
    /// The request ID, as in the log.
    pub request_id: String,
}

impl AuthorizeError {
    fn title(&self) -> String {
        format!("{}{}", self.frame.t().error_prefix, self.frame.t().error_request_title)
    }
}
