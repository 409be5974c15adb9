//! Sign-out: the question, and the page afterwards.
//!
//! What must always hold: a request that does not prove who sent it only leads to a question; the page afterwards leads
//! back to an app only if the URL was verified to be the app's.

use askama::Template;

use super::Frame;
use super::sign_in::AppChip;

/// Seconds that the browser has to notify apps (front-channel logout) before the page continues.
const TELLING: u32 = 3;

/// "Sign out of Passmint?". The form posts `csrf`, `decision` (`sign-out` or `stay`) and the given fields.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_out.html")]
pub struct SignOut {
    /// The frame; requires `csrf`.
    pub frame: Frame,
    /// The app that the request named.
    pub app: Option<AppChip>,
    /// The path that the form posts to.
    pub action: String,
    /// Hidden fields of the form.
    pub fields: Vec<(String, String)>,
}

impl SignOut {
    fn title(&self) -> String {
        self.frame.t().sign_out_page(&self.frame.realm)
    }
}

/// Where the user goes after signing out.
#[derive(Clone, Debug)]
pub struct Onward {
    /// The app's registered name.
    pub app: String,
    /// Its verified `post_logout_redirect_uri` with `state`.
    pub url: String,
}

/// The page after signing out.
#[derive(Clone, Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOut {
    /// The frame.
    pub frame: Frame,
    /// The names of the apps that were notified.
    pub told: Vec<String>,
    /// Front-channel logout URLs, loaded in hidden frames. The page's `frame-src` must contain their origins:
    /// [`crate::web::headers::page_policy_for`].
    pub frames: Vec<String>,
    /// Where to continue; `None` to stay.
    pub onward: Option<Onward>,
}

impl SignedOut {
    /// The page if no app is involved.
    pub fn plain(frame: Frame) -> Self {
        Self { frame, told: vec![], frames: vec![], onward: None }
    }

    fn title(&self) -> &'static str {
        self.frame.t().signed_out_title
    }

    fn delay(&self) -> u32 {
        if self.frames.is_empty() { 0 } else { TELLING }
    }
}
