//! Giving a device access to an account: entering its code, comparing, done (RFC 8628).
//!
//! What must always hold: a code in the address fills the field and does nothing else; before anything is allowed the
//! page shows the code to compare, who asks from where, and the warning that is always there; No stands before Yes with
//! the same weight.

use askama::Template;

use super::messages::Texts;
use super::scopes::{AppIdentity, ScopeGroup, ScopeItem, grouped};
use super::{AccountCard, Frame};
use crate::clock::Time;

/// Why a code was not taken. Wrong, expired and used codes are one case on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeProblem {
    /// There is nothing to do with this code.
    Unusable,
    /// Too many wrong codes from here; the minutes to wait.
    TooMany(u64),
    /// Too many wrong codes of this length, by everybody together.
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

/// `GET /device`: the code goes in. The form posts `csrf` and `user_code`.
#[derive(Clone, Debug, Template)]
#[template(path = "device_enter.html")]
pub struct DeviceEnter {
    /// The frame; `csrf` must be there.
    pub frame: Frame,
    /// What stands in the field: the address's code, or what was typed.
    pub code: String,
    /// Why the last one was not taken.
    pub problem: Option<CodeProblem>,
    /// Where the form goes: a path of ours.
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

/// The question. The form posts `csrf`, `decision` (`allow` or `deny`), `user_code`, and `mine` when the box is ticked.
#[derive(Clone, Debug, Template)]
#[template(path = "device_review.html")]
pub struct DeviceReview {
    /// The frame; `csrf` must be there.
    pub frame: Frame,
    /// The code as the device shows it, with its hyphen.
    pub code: String,
    /// Who asks.
    pub app: AppIdentity,
    /// Whose account it is.
    pub account: AccountCard,
    /// What is asked for; nothing is optional here.
    pub scopes: Vec<ScopeItem>,
    /// The APIs that it asks for, by name.
    pub resources: Vec<String>,
    /// The network that the device asked from.
    pub network: String,
    /// What the device called itself.
    pub device: Option<String>,
    /// When it asked.
    pub asked: Time,
    /// Allow was pressed without the tick; answered with status 422.
    pub unticked: bool,
    /// Where the form goes: a path of ours.
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
    /// It has not.
    Denied,
}

/// The last page.
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
