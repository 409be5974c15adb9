//! Which account an app is to get, when it asked for a choice (`prompt=select_account`).

use askama::Template;

use super::sign_in::AppChip;
use super::{AccountCard, Frame};

/// Continue as who is signed in, or as somebody else. The form posts `csrf` and `decision` (`continue`, `another` or
/// `deny`).
#[derive(Clone, Debug, Template)]
#[template(path = "choose_account.html")]
pub struct ChooseAccount {
    /// The frame; `csrf` must be there.
    pub frame: Frame,
    /// Who asks.
    pub app: AppChip,
    /// Who is signed in.
    pub account: AccountCard,
    /// Where the form goes: a path of ours.
    pub action: String,
}

impl ChooseAccount {
    fn title(&self) -> &'static str {
        self.frame.t().choose_title
    }
}
