//! Errors that are shown as a page: what happened, what to do, and a number to ask for help with.

use askama::Template;

use super::Frame;
use super::messages::Texts;

/// Which error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 400: a request that makes no sense, such as an authorization request that cannot be trusted.
    Request,
    /// 403: not for this account.
    Forbidden,
    /// 403: the form's token does not fit the session any more.
    Stale,
    /// 404.
    NotFound,
    /// 405.
    Method,
    /// 413.
    TooLarge,
    /// 429, with the minutes to wait.
    TooMany(u64),
    /// 503: storage, keys or mail; never the person's fault.
    Unavailable,
}

impl Kind {
    /// The HTTP status it is sent with.
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
    /// Which error.
    pub kind: Kind,
    /// The request's id, as it is in the log.
    pub request_id: String,
    /// A GET path on our origin, or an address at a protected host, to try again, where that makes sense.
    pub retry: Option<String>,
}

impl ErrorPage {
    fn title(&self) -> String {
        format!("{}{}", self.frame.t().error_prefix, self.kind.title(self.frame.t()))
    }
}
