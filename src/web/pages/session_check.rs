//! The unseen page of session management: compares what an app was told with what the browser keeps now.

use askama::Template;

/// It has no frame and no words: nobody sees it.
#[derive(Clone, Debug, Template)]
#[template(path = "session_check.html")]
pub struct SessionCheck {
    /// The nonce of its script.
    pub nonce: String,
    /// The name of the cookie that holds the browser state.
    pub cookie: String,
}
