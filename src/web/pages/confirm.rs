//! Step-up: the user confirms their identity right before a sensitive operation.

use askama::Template;

use super::messages::{Html, Texts};
use super::{AccountCard, Frame};

/// What the confirmation is for.
#[derive(Clone, Debug)]
pub enum Reason {
    /// Adding a passkey.
    AddPasskey,
    /// Removing the passkey with this name.
    RemovePasskey(String),
    /// Resuming the paused passkey with this name, which another passkey must confirm.
    ResumePasskey(String),
    /// Signing out every other session.
    SignOutOthers,
    /// Anything else that requires a recent verification.
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
    /// The account that must confirm.
    pub account: AccountCard,
    /// The reason for the confirmation.
    pub reason: Reason,
    /// Whether the account has a passkey to confirm with.
    pub has_passkey: bool,
    /// Where "Use another account" leads, if an app requested the sign-in: a path of ours.
    pub another: Option<String>,
    /// Where Cancel leads: a path on our origin.
    pub cancel: String,
}

impl Confirm {
    fn title(&self) -> &'static str {
        self.frame.t().confirm_title
    }
}
