//! The return to an app that requested its answer as a form (OAuth 2.0 Form Post Response Mode).
//!
//! The page module submits the form. Without script, there is a button. The page's `form-action` must contain the app's
//! address: [`crate::web::headers::page_policy_for`].

use askama::Template;

use super::Frame;

/// A form that submits itself.
#[derive(Clone, Debug, Template)]
#[template(path = "form_post.html")]
pub struct FormPost {
    /// The frame.
    pub frame: Frame,
    /// The app's registered name.
    pub app: String,
    /// The verified redirect URI.
    pub url: String,
    /// The parameters of the answer, in order.
    pub fields: Vec<(String, String)>,
}

impl FormPost {
    fn title(&self) -> String {
        self.frame.t().returning_title(&self.app)
    }
}
