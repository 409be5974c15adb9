//! Signing out: the question, and the page after it.
//!
//! What must always hold: a request without proof of who sent it only asks; the page after it leads back to an app only
//! when the address was proven to be the app's.

use askama::Template;

use super::Frame;
use super::sign_in::AppChip;

/// Seconds that the browser has to tell apps (front-channel logout) before the page moves on.
const TELLING: u32 = 3;

/// "Sign out of Passmint?". The form posts `csrf`, `decision` (`sign-out` or `stay`) and the given fields.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_out.html")]
pub struct SignOut {
    /// The frame; `csrf` must be there.
    pub frame: Frame,
    /// The app that the request named.
    pub app: Option<AppChip>,
    /// Where the form goes: a path of ours.
    pub action: String,
    /// What must come back with the form.
    pub fields: Vec<(String, String)>,
}

impl SignOut {
    fn title(&self) -> String {
        self.frame.t().sign_out_page(&self.frame.realm)
    }
}

/// Where a person goes after signing out.
#[derive(Clone, Debug)]
pub struct Onward {
    /// The app's registered name.
    pub app: String,
    /// Its proven post-logout address with `state`.
    pub url: String,
}

/// After signing out.
#[derive(Clone, Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOut {
    /// The frame.
    pub frame: Frame,
    /// Names of the apps that were told.
    pub told: Vec<String>,
    /// Front-channel logout addresses, loaded unseen. The page needs their origins in its `frame-src`:
    /// [`crate::web::headers::page_policy_for`].
    pub frames: Vec<String>,
    /// Where to go on to; none: stay.
    pub onward: Option<Onward>,
}

impl SignedOut {
    /// The page when nobody else is concerned.
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
