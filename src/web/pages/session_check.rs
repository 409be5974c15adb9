//! The hidden page of session management, which compares the state that an app knows with the browser's current one.

use askama::Template;

/// It has no frame and no text, because it is never visible.
#[derive(Clone, Debug, Template)]
#[template(path = "session_check.html")]
pub struct SessionCheck {
    /// The nonce of its script.
    pub nonce: String,
    /// The name of the cookie that holds the browser state.
    pub cookie: String,
}
