//! Giving a device access to an account: entering the code, comparing it, and the result (RFC 8628).
//!
//! What must always hold: a code in the URL prefills the field and does nothing else; before anything is allowed, the
//! page shows the code to compare, who requests access and from where, and a warning that is always present; No comes
//! before Yes, with the same weight.

use askama::Template;

use super::messages::Texts;
use super::scopes::{AppIdentity, ScopeGroup, ScopeItem, grouped};
use super::{AccountCard, Frame};
use crate::clock::Time;

/// Why a code was not accepted. Wrong, expired and used codes are deliberately one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeProblem {
    /// The code is wrong, expired or used.
    Unusable,
    /// Too many wrong codes from this session or network; the minutes to wait.
    TooMany(u64),
    /// Too many wrong codes of this length from all users together.
    AllWrong,
}

impl CodeProblem {
    fn text(self, t: &Texts) -> String {
        match self {
            Self::Unusable => t.device_unusable.to_owned(),
            Self::AllWrong => t.device_all_wrong.to_owned(),
            Self::TooMany(minutes) => t.device_too_many(t.minutes(minutes.max(1))),
        }
    }
}

/// `GET /device`: the form for entering the code. It posts `csrf` and `user_code`.
#[derive(Clone, Debug, Template)]
#[template(path = "device_enter.html")]
pub struct DeviceEnter {
    /// The frame; requires `csrf`.
    pub frame: Frame,
    /// The content of the field: the code from the URL, or what was typed.
    pub code: String,
    /// Why the last code was not accepted.
    pub problem: Option<CodeProblem>,
    /// The path that the form posts to.
    pub action: String,
}

impl DeviceEnter {
    fn title(&self) -> String {
        let t = self.frame.t();
        let prefix = if self.problem.is_some() { t.error_prefix } else { "" };
        format!("{prefix}{}", t.device_title)
    }

    fn problem_text(&self) -> Option<String> {
        self.problem.map(|problem| problem.text(self.frame.t()))
    }
}

/// The question. The form posts `csrf`, `decision` (`allow` or `deny`), `user_code`, and `mine` if the box is ticked.
#[derive(Clone, Debug, Template)]
#[template(path = "device_review.html")]
pub struct DeviceReview {
    /// The frame; requires `csrf`.
    pub frame: Frame,
    /// The code as the device shows it, with its hyphen.
    pub code: String,
    /// The requesting app.
    pub app: AppIdentity,
    /// The account that access is requested to.
    pub account: AccountCard,
    /// The requested scopes. None is optional here.
    pub scopes: Vec<ScopeItem>,
    /// The names of the requested APIs.
    pub resources: Vec<String>,
    /// The network that the device's request came from.
    pub network: String,
    /// The name that the device gave itself.
    pub device: Option<String>,
    /// When the device requested access.
    pub asked: Time,
    /// Whether Allow was pressed without ticking the box. Answered with status 422.
    pub unticked: bool,
    /// The path that the form posts to.
    pub action: String,
}

impl DeviceReview {
    fn title(&self) -> String {
        let t = self.frame.t();
        let prefix = if self.unticked { t.error_prefix } else { "" };
        format!("{prefix}{}", t.device_review_title)
    }

    fn groups(&self) -> Vec<ScopeGroup> {
        grouped(&self.scopes)
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The device has access.
    Allowed,
    /// The device has no access.
    Denied,
}

/// The result page.
#[derive(Clone, Debug, Template)]
#[template(path = "device_done.html")]
pub struct DeviceDone {
    /// The frame.
    pub frame: Frame,
    /// How it ended.
    pub outcome: Outcome,
    /// The app's registered name.
    pub app: String,
}

impl DeviceDone {
    fn title(&self) -> &'static str {
        match self.outcome {
            Outcome::Allowed => self.frame.t().device_allowed_title,
            Outcome::Denied => self.frame.t().device_denied_title,
        }
    }
}
