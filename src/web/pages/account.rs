//! A person's own account: overview, sessions, activity. The passkey pages are in [`super::passkeys`].

use askama::Template;

use super::Frame;
use super::messages::Texts;
use crate::clock::Time;
use crate::domain::id::SessionId;

/// The sections of the account, as their navigation names them.
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

    /// Its path.
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

    /// Its name.
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

/// What just succeeded, told as a banner on the page that a POST redirected to. Read from `?done=…`, which is matched
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

    /// The code in the address.
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

    /// The banner for a code, if it is one.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|done| done.code() == code)
    }

    /// Its words.
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
    /// The frame; `signed_in` must be there.
    pub frame: Frame,
    /// What just succeeded.
    pub done: Option<Done>,
    /// How many passkeys there are, suspended ones too.
    pub passkeys: u64,
    /// How many sessions there are, this one too.
    pub sessions: u64,
    /// The latest entry of the activity.
    pub latest: Option<Entry>,
    /// What servers of the operator say after a sign-in.
    pub said: Vec<Said>,
}

/// What a server of the operator says after a sign-in. Others' words: escaped, and isolated from ours.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its heading.
    pub title: String,
    /// A few words.
    pub text: Option<String>,
    /// Lines: label and value.
    pub items: Vec<(String, String)>,
    /// When the sign-in was.
    pub at: Time,
}

impl Overview {
    const SECTION: Section = Section::Overview;

    fn title(&self) -> &'static str {
        self.frame.t().overview_title
    }
}

/// A browser that is signed in.
#[derive(Clone, Debug)]
pub struct SessionCard {
    /// The session.
    pub id: SessionId,
    /// Whether it is the one that asks.
    pub current: bool,
    /// "Firefox on Linux", as read from the browser's own words.
    pub browser: String,
    /// Where from: a place or an address.
    pub place: Option<String>,
    /// When it signed in.
    pub first_seen: Time,
    /// When it was last here.
    pub last_seen: Time,
}

/// `GET /account/sessions`.
#[derive(Clone, Debug, Template)]
#[template(path = "sessions.html")]
pub struct Sessions {
    /// The frame; `signed_in` and `csrf` must be there.
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

/// What happened, in the words of the activity page.
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
    /// A fresh verification.
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
    /// A backend was permitted something, or did it.
    AppActed,
    /// The same of the people who run the server, by a command.
    OperatorActed,
    /// Somebody used a link that they made.
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

    /// Its words.
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

/// One line of the activity.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What happened.
    pub what: Happened,
    /// When.
    pub at: Time,
    /// What it was about: a passkey's or an app's name.
    pub about: Option<String>,
    /// Browser and place.
    pub from: Option<String>,
}

/// `GET /account/activity`.
#[derive(Clone, Debug, Template)]
#[template(path = "activity.html")]
pub struct Activity {
    /// The frame; `signed_in` must be there.
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
