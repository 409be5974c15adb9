//! What all links of apps have in common: the page that takes the token from the URL, the final page, and the refusal.
//!
//! What must always hold: the token is read from the URL fragment and posted to our own page, so that no server and no
//! log sees it in a URL. To add a kind: a variant of [`Link`], and a separate page for its question.

use askama::Template;

use super::Frame;
use super::messages::Texts;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Creating a passkey.
    Enrol,
    /// Approving an operation.
    Approve,
}

impl Link {
    const fn path(self) -> &'static str {
        match self {
            Self::Enrol => "/enrol",
            Self::Approve => "/approve",
        }
    }

    const fn icon(self) -> &'static str {
        match self {
            Self::Enrol => "passkey",
            Self::Approve => "shield",
        }
    }

    const fn title(self, t: &Texts) -> &'static str {
        match self {
            Self::Enrol => t.enrol_title,
            Self::Approve => t.approve_title,
        }
    }

    const fn done_title(self, t: &Texts) -> &'static str {
        match self {
            Self::Enrol => t.enrol_done_title,
            Self::Approve => t.approve_done_title,
        }
    }
}

/// Takes the token from the URL, or from a user who pastes it.
#[derive(Clone, Debug, Template)]
#[template(path = "link_start.html")]
pub struct LinkStart {
    /// The frame.
    pub frame: Frame,
    /// What the link is for.
    pub link: Link,
}

impl LinkStart {
    fn title(&self) -> &'static str {
        self.link.title(self.frame.t())
    }
}

/// The final page of a link without a return address.
#[derive(Clone, Debug, Template)]
#[template(path = "link_done.html")]
pub struct LinkDone {
    /// The frame.
    pub frame: Frame,
    /// What the link is for.
    pub link: Link,
}

impl LinkDone {
    fn title(&self) -> &'static str {
        self.link.done_title(self.frame.t())
    }
}

/// Why a link does not work, as far as its holder needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkProblem {
    /// Used, expired, revoked, or invalid.
    Over,
    /// Another user is signed in to this browser.
    OtherAccount,
    /// The account already has a passkey, and the link may not add another.
    HasPasskey,
    /// The account has no passkey to approve with.
    NoPasskey,
}

impl LinkProblem {
    fn title(self, t: &Texts) -> &'static str {
        match self {
            Self::Over => t.link_over_title,
            Self::OtherAccount => t.link_other_title,
            Self::HasPasskey => t.enrol_have_title,
            Self::NoPasskey => t.approve_none_title,
        }
    }

    fn text(self, t: &Texts) -> &'static str {
        match self {
            Self::Over => t.link_over_text,
            Self::OtherAccount => t.link_other_text,
            Self::HasPasskey => t.enrol_have_text,
            Self::NoPasskey => t.approve_none_text,
        }
    }
}

/// The page for a refused link.
#[derive(Clone, Debug, Template)]
#[template(path = "link_refused.html")]
pub struct LinkRefused {
    /// The frame.
    pub frame: Frame,
    /// Why the link is refused.
    pub problem: LinkProblem,
}

impl LinkRefused {
    fn title(&self) -> &'static str {
        self.problem.title(self.frame.t())
    }
}
