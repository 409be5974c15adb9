//! Step-up: the person proves again that it is them, right before something sensitive.

use askama::Template;

use super::messages::{Html, Texts};
use super::{AccountCard, Frame};

/// What the confirmation is for.
#[derive(Clone, Debug)]
pub enum Reason {
    /// Adding a passkey.
    AddPasskey,
    /// Removing the passkey of this name.
    RemovePasskey(String),
    /// Using the paused passkey of this name again. Another one must confirm it.
    ResumePasskey(String),
    /// Signing out every other session.
    SignOutOthers,
    /// Something else that wants a fresh verification.
    Continue,
}

impl Reason {
    fn text(&self, t: &Texts) -> Html {
        match self {
            Self::AddPasskey => Html::trusted(t.confirm_add_passkey.to_owned()),
            Self::RemovePasskey(name) => t.confirm_remove_passkey(name),
            Self::ResumePasskey(name) => t.confirm_resume_passkey(name),
            Self::SignOutOthers => Html::trusted(t.confirm_sign_out_others.to_owned()),
            Self::Continue => Html::trusted(t.confirm_continue.to_owned()),
        }
    }
}

/// `GET /confirm?next=…`.
#[derive(Clone, Debug, Template)]
#[template(path = "confirm.html")]
pub struct Confirm {
    /// The frame; `boot` with [`super::PageKind::StepUp`] and `next`, the path to return to.
    pub frame: Frame,
    /// Whose confirmation is wanted.
    pub account: AccountCard,
    /// What for.
    pub reason: Reason,
    /// Whether the account has a passkey to confirm with.
    pub has_passkey: bool,
    /// Where "Use another account" leads, when an app asks: a path of ours.
    pub another: Option<String>,
    /// Where Cancel leads: a path on our origin.
    pub cancel: String,
}

impl Confirm {
    fn title(&self) -> &'static str {
        self.frame.t().confirm_title
    }
}
