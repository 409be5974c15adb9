//! A user's own account: overview, sessions, activity. The passkey pages are in [`super::passkeys`].

use askama::Template;

use super::Frame;
use super::messages::Texts;
use crate::clock::Time;
use crate::domain::id::SessionId;

/// The sections of the account, as in its navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `/account`.
    Overview,
    /// `/account/passkeys`.
    Passkeys,
    /// `/account/sessions`.
    Sessions,
    /// `/account/apps`.
    Apps,
    /// `/account/activity`.
    Activity,
}

impl Section {
    /// All, in the order of the navigation.
    pub const ALL: [Self; 5] = [Self::Overview, Self::Passkeys, Self::Sessions, Self::Apps, Self::Activity];

    /// The path of the section.
    pub fn href(&self) -> &'static str {
        match self {
            Self::Overview => "/account",
            Self::Passkeys => "/account/passkeys",
            Self::Sessions => "/account/sessions",
            Self::Apps => "/account/apps",
            Self::Activity => "/account/activity",
        }
    }

    /// Its icon in the sprite.
    pub fn icon(&self) -> &'static str {
        match self {
            Self::Overview => "person",
            Self::Passkeys => "passkey",
            Self::Sessions => "device",
            Self::Apps => "apps",
            Self::Activity => "clock",
        }
    }

    /// The name of the section.
    pub fn label(&self, t: &Texts) -> &'static str {
        match self {
            Self::Overview => t.overview,
            Self::Passkeys => t.passkeys,
            Self::Sessions => t.sessions,
            Self::Apps => t.apps,
            Self::Activity => t.activity,
        }
    }
}

/// What just succeeded, shown as a banner on the page that a POST redirected to. Read from `?done=…`, which is matched
/// against these codes and never printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// `passkey-added`.
    PasskeyAdded,
    /// `passkey-renamed`.
    PasskeyRenamed,
    /// `passkey-removed`.
    PasskeyRemoved,
    /// `passkey-resumed`.
    PasskeyResumed,
    /// `session-ended`.
    SessionEnded,
    /// `others-ended`.
    OthersEnded,
    /// `app-removed`.
    AppRemoved,
    /// `welcome`: the account was just created.
    Welcome,
}

impl Done {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::PasskeyAdded,
        Self::PasskeyRenamed,
        Self::PasskeyRemoved,
        Self::PasskeyResumed,
        Self::SessionEnded,
        Self::OthersEnded,
        Self::AppRemoved,
        Self::Welcome,
    ];

    /// The code in the URL.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PasskeyAdded => "passkey-added",
            Self::PasskeyRenamed => "passkey-renamed",
            Self::PasskeyRemoved => "passkey-removed",
            Self::PasskeyResumed => "passkey-resumed",
            Self::SessionEnded => "session-ended",
            Self::OthersEnded => "others-ended",
            Self::AppRemoved => "app-removed",
            Self::Welcome => "welcome",
        }
    }

    /// The banner for a code, if the code is known.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|done| done.code() == code)
    }

    /// The text.
    pub fn text(&self, t: &Texts) -> &'static str {
        match self {
            Self::PasskeyAdded => t.done_passkey_added,
            Self::PasskeyRenamed => t.done_passkey_renamed,
            Self::PasskeyRemoved => t.done_passkey_removed,
            Self::PasskeyResumed => t.done_passkey_resumed,
            Self::SessionEnded => t.done_session_ended,
            Self::OthersEnded => t.done_others_ended,
            Self::AppRemoved => t.done_app_removed,
            Self::Welcome => t.done_welcome,
        }
    }
}

/// `GET /account`.
#[derive(Clone, Debug, Template)]
#[template(path = "account.html")]
pub struct Overview {
    /// The frame; requires `signed_in`.
    pub frame: Frame,
    /// What just succeeded.
    pub done: Option<Done>,
    /// The number of passkeys, including suspended ones.
    pub passkeys: u64,
    /// The number of sessions, including this one.
    pub sessions: u64,
    /// The latest activity.
    pub latest: Option<Entry>,
    /// Messages from the operator's hooks after a sign-in.
    pub said: Vec<Said>,
}

/// A message from one of the operator's hooks after a sign-in. Foreign text: escaped, and isolated from our own.
#[derive(Clone, Debug)]
pub struct Said {
    /// The heading.
    pub title: String,
    /// A short text.
    pub text: Option<String>,
    /// Lines of label and value.
    pub items: Vec<(String, String)>,
    /// The time of the sign-in.
    pub at: Time,
}

impl Overview {
    const SECTION: Section = Section::Overview;

    fn title(&self) -> &'static str {
        self.frame.t().overview_title
    }
}

/// A signed-in browser or app.
#[derive(Clone, Debug)]
pub struct SessionCard {
    /// The session.
    pub id: SessionId,
    /// Whether it is the session of this request.
    pub current: bool,
    /// "Firefox on Linux", as derived from the user agent; the `client_id` for the session of a client.
    pub browser: String,
    /// The network from which the session was opened.
    pub place: Option<String>,
    /// When it signed in.
    pub first_seen: Time,
    /// When it was last used.
    pub last_seen: Time,
}

/// `GET /account/sessions`.
#[derive(Clone, Debug, Template)]
#[template(path = "sessions.html")]
pub struct Sessions {
    /// The frame; requires `signed_in` and `csrf`.
    pub frame: Frame,
    /// What just succeeded.
    pub done: Option<Done>,
    /// All sessions, this one first.
    pub sessions: Vec<SessionCard>,
}

impl Sessions {
    const SECTION: Section = Section::Sessions;

    fn title(&self) -> &'static str {
        self.frame.t().sessions_title
    }
}

/// What happened, as categories of the activity page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Signed in.
    SignedIn,
    /// A sign-in was refused.
    SignInRefused,
    /// Signed out.
    SignedOut,
    /// The account was created.
    SignedUp,
    /// The user confirmed their identity.
    Confirmed,
    /// A passkey was added.
    PasskeyAdded,
    /// A passkey was renamed.
    PasskeyRenamed,
    /// A passkey was removed.
    PasskeyRemoved,
    /// A passkey was suspended.
    PasskeyPaused,
    /// The suspension of a passkey was lifted.
    PasskeyResumed,
    /// Another session was ended.
    SessionEnded,
    /// Tokens or a custom token were issued.
    TokensIssued,
    /// A device was allowed.
    DeviceAllowed,
    /// A device was refused.
    DeviceDenied,
    /// A wrong device code was entered.
    DeviceCodeRefused,
    /// An operation was signed.
    Signed,
    /// A backend created or used an action token, or redeemed a result.
    AppActed,
    /// The operator created an action token by a command.
    OperatorActed,
    /// A link created by the operator was used.
    LinkUsed,
    /// Anything else.
    Other,
}

impl Happened {
    /// Its icon in the sprite.
    pub fn icon(&self) -> &'static str {
        match self {
            Self::SignedIn | Self::SignedUp => "check",
            Self::SignInRefused | Self::PasskeyPaused => "warning",
            Self::SignedOut | Self::SessionEnded => "sign-out",
            Self::Confirmed | Self::Signed => "shield",
            Self::PasskeyAdded | Self::PasskeyRenamed | Self::PasskeyRemoved | Self::PasskeyResumed => "passkey",
            Self::TokensIssued | Self::AppActed | Self::LinkUsed => "code",
            Self::DeviceAllowed | Self::DeviceDenied | Self::DeviceCodeRefused => "device",
            Self::OperatorActed | Self::Other => "person",
        }
    }

    /// The text.
    pub fn label(&self, t: &Texts) -> &'static str {
        match self {
            Self::SignedIn => t.did_sign_in,
            Self::SignInRefused => t.did_sign_in_refused,
            Self::SignedOut => t.did_sign_out,
            Self::SignedUp => t.did_sign_up,
            Self::Confirmed => t.did_confirm,
            Self::PasskeyAdded => t.did_add_passkey,
            Self::PasskeyRenamed => t.did_rename_passkey,
            Self::PasskeyRemoved => t.did_remove_passkey,
            Self::PasskeyPaused => t.did_pause_passkey,
            Self::PasskeyResumed => t.did_resume_passkey,
            Self::SessionEnded => t.did_end_session,
            Self::TokensIssued => t.did_issue_tokens,
            Self::DeviceAllowed => t.did_allow_device,
            Self::DeviceDenied => t.did_deny_device,
            Self::DeviceCodeRefused => t.did_mistype_code,
            Self::Signed => t.did_sign,
            Self::AppActed => t.did_act,
            Self::OperatorActed => t.did_operate,
            Self::LinkUsed => t.did_use_link,
            Self::Other => t.did_other,
        }
    }
}

/// An entry of the activity page.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What happened.
    pub what: Happened,
    /// When it happened.
    pub at: Time,
    /// The name of the passkey or app that it is about.
    pub about: Option<String>,
    /// The network of the caller.
    pub from: Option<String>,
}

/// `GET /account/activity`.
#[derive(Clone, Debug, Template)]
#[template(path = "activity.html")]
pub struct Activity {
    /// The frame; requires `signed_in`.
    pub frame: Frame,
    /// Latest first.
    pub entries: Vec<Entry>,
}

impl Activity {
    const SECTION: Section = Section::Activity;

    fn title(&self) -> &'static str {
        self.frame.t().activity_title
    }
}
