//! Signing in, and the page for browsers without script.

use askama::Template;

use super::Frame;
use super::messages::Texts;

/// The app that sent the person here.
#[derive(Clone, Debug)]
pub struct AppChip {
    /// Its registered name.
    pub name: String,
    /// The host that the answer goes to: the domain that we know, not the app's own claim.
    pub host: String,
}

/// Who may create an account from the sign-in page, once it turned out that there was no passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUp {
    /// Nobody: the panel offers no creation.
    Closed,
    /// Anybody, by a small form.
    Open(Asked),
}

/// The fields of the form for new people; each may be left empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// A name to show.
    pub name: bool,
    /// An e-mail address.
    pub email: bool,
}

/// Another way to sign in, as the server's policy allows and orders it.
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
    /// Where it leads.
    pub fn href(&self) -> &str {
        match self {
            Self::Password(href) | Self::Email(href) | Self::Recovery(href) | Self::Upstream(_, href) => href,
        }
    }

    /// Its words; a provider's name is data and printed isolated.
    pub fn label<'a>(&'a self, t: &'a Texts) -> &'a str {
        match self {
            Self::Password(_) => t.way_password,
            Self::Email(_) => t.way_email,
            Self::Recovery(_) => t.way_recovery,
            Self::Upstream(name, _) => name,
        }
    }
}

/// `GET /`: sign in by the shortest way.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignIn {
    /// The frame; `boot` with [`super::PageKind::SignIn`] and, unless refused below, armed options.
    pub frame: Frame,
    /// Who asked for the sign-in.
    pub app: Option<AppChip>,
    /// What stands in the e-mail field: a login hint, or what was typed before an error.
    pub email: String,
    /// The e-mail that was typed is none; answered with status 422.
    pub bad_email: bool,
    /// The page was opened by an address whose passkeys would not work: the right one, complete. Disables the forms.
    pub right_address: Option<String>,
    /// Whether passkeys are offered at all; false where single sign-on is enforced (then only `ways` are shown).
    pub passkeys: bool,
    /// Whether a new person may create an account here.
    pub sign_up: SignUp,
    /// Other ways, best first.
    pub ways: Vec<Way>,
    /// Where somebody goes who will not sign in: back to `app`, by a path of ours.
    pub cancel: Option<String>,
    /// Where those go who have an account, when `app` asks for a new one: a path of ours. The page then creates a passkey.
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

    /// The way to sign in from a page that creates a passkey. Where nobody may create one, the page is the plain one.
    fn instead(&self) -> Option<&str> {
        let may_create = self.passkeys && self.right_address.is_none() && self.sign_up != SignUp::Closed;
        self.sign_in_instead.as_deref().filter(|_| may_create)
    }

    /// Focus starts in the e-mail field only when nothing else wants to be read first.
    fn autofocus(&self) -> bool {
        self.email.is_empty() && !self.bad_email && self.instead().is_none()
    }
}

/// Answer to `POST /signin/passkey` and `POST /signin` of a browser without script: why, and what else works.
#[derive(Clone, Debug, Template)]
#[template(path = "scriptless.html")]
pub struct Scriptless {
    /// The frame.
    pub frame: Frame,
    /// Back to what was to be done: a path of ours.
    pub back: String,
    /// Ways that work without script.
    pub ways: Vec<Way>,
}

impl Scriptless {
    fn title(&self) -> &'static str {
        self.frame.t().scriptless_title
    }
}
