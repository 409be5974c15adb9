//! The way back to an app: a page of our own that moves on at once.
//!
//! Chromium holds every hop of a form's redirects to `form-action`, so a POST that ends at an app is answered with this
//! page (status 200) instead of a redirect. It works without script.

use askama::Template;

use super::Frame;

/// "Returning to Acme": moves on by itself, with a link for browsers that do not.
#[derive(Clone, Debug, Template)]
#[template(path = "returning.html")]
pub struct Returning {
    /// The frame.
    pub frame: Frame,
    /// The app's registered name.
    pub app: String,
    /// The complete answer: the proven redirect URI with its parameters.
    pub url: String,
}

impl Returning {
    fn title(&self) -> String {
        self.frame.t().returning_title(&self.app)
    }
}
