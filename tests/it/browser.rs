//! The pages in a real browser, against the real server: headless Chromium with a virtual authenticator.
//!
//! [`Desk`] is a person in front of a browser. After signing out, prompts wait for the person as in reality, so that a
//! test can look at the page before it calls `desk.touches()`. Each test fails on any error in the console that it did
//! not announce.

mod account;
mod approve;
mod authorize;
mod device;
mod enrol;
mod forward_auth;
mod looks;
mod panel;
mod passkeys;
mod sign_in;
mod trouble;

use std::ops::Deref;

use crate::support::TestApp;
use crate::support::webdriver::{Chromium, Device};

/// The text of the sign-in button.
const BUTTON: &str = "Continue with a passkey";

/// A person in front of a browser, on a computer with a passkey manager.
struct Desk {
    browser: Chromium,
    device: String,
    origin: String,
}

impl Desk {
    /// At the sign-in page, without a passkey.
    fn new(app: &TestApp) -> Self {
        let browser = Chromium::start();
        let device = browser.plug_in(Device::Platform);
        browser.open(&app.origin);
        Self { browser, device, origin: app.origin.clone() }
    }

    /// Signed in to a new account.
    fn with_account(app: &TestApp, name: &str, email: &str) -> Self {
        let desk = Self::new(app);
        desk.sign_up(name, email);
        desk
    }

    /// Another browser of the same person, signed in with a copy of the passkey.
    fn beside(&self, app: &TestApp) -> Self {
        let other = Self::new(app);
        // Otherwise autofill sometimes takes the passkey by itself before the button is pressed.
        other.hold_prompts(true);
        other.copy_passkey(&other.device, &self.own_passkeys()[0]);
        other.goes_to("/");
        other.press(BUTTON);
        other.touches();
        other.arrives_at("/account");
        other
    }

    /// Makes an account from the sign-in page.
    fn sign_up(&self, name: &str, email: &str) {
        self.press(BUTTON);
        self.press("I am new: create a passkey");
        self.type_into("#new-name", name);
        self.type_into("#new-email", email);
        self.press("Create a passkey");
        self.arrives_at("/account?done=welcome");
    }

    /// Opens a page of the server.
    fn goes_to(&self, path: &str) {
        self.open(&format!("{}{path}", self.origin));
    }

    /// Signs out and returns to the sign-in page, where prompts wait from now on.
    fn signs_out(&self) {
        self.press("Sign out");
        self.arrives_at("/signed-out");
        self.hold_prompts(true);
        self.press("Sign in again");
        self.arrives_at("/");
    }

    /// Lets only a security key answer.
    fn prefers_the_key(&self) {
        self.touch(&self.device, false);
    }

    /// The passkeys that the computer holds.
    fn own_passkeys(&self) -> Vec<serde_json::Value> {
        self.passkeys(&self.device)
    }
}

impl Deref for Desk {
    type Target = Chromium;

    fn deref(&self) -> &Chromium {
        &self.browser
    }
}
