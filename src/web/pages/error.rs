//! Error pages: what happened, what to do, and a request ID to quote when asking for help.

use askama::Template;

use super::Frame;
use super::messages::Texts;

/// The kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 400: a malformed request, such as an authorization request that cannot be trusted.
    Request,
    /// 403: this account is not allowed to do this.
    Forbidden,
    /// 403: the form's token no longer matches the session.
    Stale,
    /// 404.
    NotFound,
    /// 405.
    Method,
    /// 413.
    TooLarge,
    /// 429, with the minutes to wait.
    TooMany(u64),
    /// 503: storage, keys or mail; never the user's fault.
    Unavailable,
}

impl Kind {
    /// The HTTP status of the page.
    pub fn status(&self) -> u16 {
        match self {
            Self::Request => 400,
            Self::Forbidden | Self::Stale => 403,
            Self::NotFound => 404,
            Self::Method => 405,
            Self::TooLarge => 413,
            Self::TooMany(_) => 429,
            Self::Unavailable => 503,
        }
    }

    fn title(&self, t: &Texts) -> &'static str {
        match self {
            Self::Request => t.error_request_title,
            Self::Forbidden => t.error_forbidden_title,
            Self::Stale => t.error_stale_title,
            Self::NotFound => t.error_not_found_title,
            Self::Method => t.error_method_title,
            Self::TooLarge => t.error_large_title,
            Self::TooMany(_) => t.error_busy_title,
            Self::Unavailable => t.error_unavailable_title,
        }
    }

    fn text(&self, t: &Texts) -> String {
        match self {
            Self::Request => t.error_request_text.to_owned(),
            Self::Forbidden => t.error_forbidden_text.to_owned(),
            Self::Stale => t.error_stale_text.to_owned(),
            Self::NotFound => t.error_not_found_text.to_owned(),
            Self::Method => t.error_method_text.to_owned(),
            Self::TooLarge => t.error_large_text.to_owned(),
            Self::TooMany(minutes) => t.error_busy_text(t.minutes((*minutes).max(1))),
            Self::Unavailable => t.error_unavailable_text.to_owned(),
        }
    }
}

/// An error page.
#[derive(Clone, Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// The frame.
    pub frame: Frame,
    /// The kind of error.
    pub kind: Kind,
    /// The request ID, as in the log.
    pub request_id: String,
    /// Where to retry, if that makes sense: a GET path on our origin, or a URL at a protected host.
    pub retry: Option<String>,
}

impl ErrorPage {
    fn title(&self) -> String {
        format!("{}{}", self.frame.t().error_prefix, self.kind.title(self.frame.t()))
    }
}
