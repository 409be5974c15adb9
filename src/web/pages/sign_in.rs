//! The sign-in page, and the page for browsers without script.

use askama::Template;

use super::Frame;
use super::messages::Texts;

/// The app that sent the user here.
#[derive(Clone, Debug)]
pub struct AppChip {
    /// Its registered name.
    pub name: String,
    /// The host that the answer goes to: the domain known to us, not one claimed by the app.
    pub host: String,
}

/// Who can create an account from the sign-in page, once no passkey was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUp {
    /// No one: the page does not offer it.
    Closed,
    /// Anyone, with a small form.
    Open(Asked),
}

/// The fields of the sign-up form. Each can be left empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// A display name.
    pub name: bool,
    /// An e-mail address.
    pub email: bool,
}

/// Another way to sign in, as allowed and ordered by the server's policy.
#[derive(Clone, Debug)]
pub enum Way {
    /// A password, at this path.
    Password(String),
    /// A code by e-mail, at this path.
    Email(String),
    /// A recovery code, at this path.
    Recovery(String),
    /// An upstream provider: its name and the path that starts it.
    Upstream(String, String),
}

impl Way {
    /// The path of this way.
    pub fn href(&self) -> &str {
        match self {
            Self::Password(href) | Self::Email(href) | Self::Recovery(href) | Self::Upstream(_, href) => href,
        }
    }

    /// The label. A provider's name is data and printed isolated.
    pub fn label<'a>(&'a self, t: &'a Texts) -> &'a str {
        match self {
            Self::Password(_) => t.way_password,
            Self::Email(_) => t.way_email,
            Self::Recovery(_) => t.way_recovery,
            Self::Upstream(name, _) => name,
        }
    }
}

/// `GET /`: the sign-in page.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignIn {
    /// The frame; `boot` with [`super::PageKind::SignIn`] and, unless `right_address` is set, armed options.
    pub frame: Frame,
    /// The app that requested the sign-in.
    pub app: Option<AppChip>,
    /// The content of the e-mail field: a login hint, or what was typed before an error.
    pub email: String,
    /// Whether the typed e-mail address is invalid. Answered with status 422.
    pub bad_email: bool,
    /// If the page was opened under a host name where passkeys do not work: the complete right URL. Disables the forms.
    pub right_address: Option<String>,
    /// Whether passkeys are offered; false if single sign-on is enforced (then only `ways` are shown).
    pub passkeys: bool,
    /// Whether a new user can create an account here.
    pub sign_up: SignUp,
    /// Other ways, best first.
    pub ways: Vec<Way>,
    /// Where Cancel leads: back to `app`, by a path of ours.
    pub cancel: Option<String>,
    /// If `app` requests a new account: where users who already have one sign in, a path of ours. The page then creates
    /// a passkey.
    pub sign_in_instead: Option<String>,
}

impl SignIn {
    fn title(&self) -> String {
        let t = self.frame.t();
        let prefix = if self.bad_email { t.error_prefix } else { "" };
        format!("{prefix}{}", self.heading())
    }

    fn heading(&self) -> &'static str {
        if self.instead().is_some() { self.frame.t().new_title } else { self.frame.t().sign_in_title }
    }

    /// The link to sign in from a page that creates a passkey; `None` if no one can create one, so that the page is the
    /// plain one.
    fn instead(&self) -> Option<&str> {
        let may_create = self.passkeys && self.right_address.is_none() && self.sign_up != SignUp::Closed;
        self.sign_in_instead.as_deref().filter(|_| may_create)
    }

    /// The e-mail field gets the initial focus only if nothing else should be read first.
    fn autofocus(&self) -> bool {
        self.email.is_empty() && !self.bad_email && self.instead().is_none()
    }
}

/// The answer to `POST /signin/passkey` and `POST /signin` for a browser without script: why it does not work, and what
/// else does.
#[derive(Clone, Debug, Template)]
#[template(path = "scriptless.html")]
pub struct Scriptless {
    /// The frame.
    pub frame: Frame,
    /// The path back to the sign-in.
    pub back: String,
    /// Ways that work without script.
    pub ways: Vec<Way>,
}

impl Scriptless {
    fn title(&self) -> &'static str {
        self.frame.t().scriptless_title
    }
}
