//! Choosing the account for an app that requested a choice (`prompt=select_account`).

use askama::Template;

use super::sign_in::AppChip;
use super::{AccountCard, Frame};

/// Continue as the signed-in user, or as another. The form posts `csrf` and `decision` (`continue`, `another` or
/// `deny`).
#[derive(Clone, Debug, Template)]
#[template(path = "choose_account.html")]
pub struct ChooseAccount {
    /// The frame; requires `csrf`.
    pub frame: Frame,
    /// The requesting app.
    pub app: AppChip,
    /// The signed-in user.
    pub account: AccountCard,
    /// The path that the form posts to.
    pub action: String,
}

impl ChooseAccount {
    fn title(&self) -> &'static str {
        self.frame.t().choose_title
    }
}
