//! Making a passkey by a link that an app gave out.
//!
//! What must always hold: the token is read from what follows the # of the address, and posted to our own page, so that no
//! server and no log sees it in an address; before anything is made the page shows who asks and for which account.

use askama::Template;

use super::messages::Texts;
use super::scopes::AppIdentity;
use super::{AccountCard, Frame};

/// `GET /enrol`: takes the token out of the address, or from a person who pastes it.
#[derive(Clone, Debug, Template)]
#[template(path = "enrol_start.html")]
pub struct EnrolStart {
    /// The frame.
    pub frame: Frame,
}

impl EnrolStart {
    fn title(&self) -> &'static str {
        self.frame.t().enrol_title
    }
}

/// `POST /enrol`: the one button.
#[derive(Clone, Debug, Template)]
#[template(path = "enrol.html")]
pub struct Enrol {
    /// The frame; `boot` with [`super::PageKind::Action`].
    pub frame: Frame,
    /// Who lets it happen, and where the person goes afterwards.
    pub app: AppIdentity,
    /// Whose passkey it will be.
    pub account: AccountCard,
    /// The token, for the page module.
    pub token: String,
}

impl Enrol {
    fn title(&self) -> &'static str {
        self.frame.t().enrol_title
    }
}

/// `GET /enrol/done`: for links without a return address.
#[derive(Clone, Debug, Template)]
#[template(path = "enrol_done.html")]
pub struct EnrolDone {
    /// The frame.
    pub frame: Frame,
}

impl EnrolDone {
    fn title(&self) -> &'static str {
        self.frame.t().enrol_done_title
    }
}

/// Why a link does not work, as far as it helps its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkProblem {
    /// Used, expired, taken back, or none at all.
    Over,
    /// Somebody else is signed in in this browser.
    OtherAccount,
    /// The account has a passkey, and the link may not add another.
    HasPasskey,
    /// The account has no passkey to approve with.
    NoPasskey,
}

impl LinkProblem {
    fn title(self, t: &Texts) -> &'static str {
        match self {
            Self::Over => t.enrol_over_title,
            Self::OtherAccount => t.enrol_other_title,
            Self::HasPasskey => t.enrol_have_title,
            Self::NoPasskey => t.approve_none_title,
        }
    }

    fn text(self, t: &Texts) -> &'static str {
        match self {
            Self::Over => t.enrol_over_text,
            Self::OtherAccount => t.enrol_other_text,
            Self::HasPasskey => t.enrol_have_text,
            Self::NoPasskey => t.approve_none_text,
        }
    }
}

/// The link, refused.
#[derive(Clone, Debug, Template)]
#[template(path = "enrol_refused.html")]
pub struct EnrolRefused {
    /// The frame.
    pub frame: Frame,
    /// Why.
    pub problem: LinkProblem,
}

impl EnrolRefused {
    fn title(&self) -> &'static str {
        self.problem.title(self.frame.t())
    }
}
