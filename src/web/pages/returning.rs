//! The return to an app: one of our own pages that continues at once.
//!
//! Chromium checks every redirect after a form against `form-action`, so a POST that ends at an app is answered with
//! this page (status 200) instead of a redirect. It works without script.

use askama::Template;

use super::Frame;

/// "Returning to Acme": continues by itself, with a link in case the browser does not.
#[derive(Clone, Debug, Template)]
#[template(path = "returning.html")]
pub struct Returning {
    /// The frame.
    pub frame: Frame,
    /// The app's registered name.
    pub app: String,
    /// The complete answer: the verified redirect URI with its parameters.
    pub url: String,
}

impl Returning {
    fn title(&self) -> String {
        self.frame.t().returning_title(&self.app)
    }
}
