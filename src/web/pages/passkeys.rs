//! A user's passkeys: the list, renaming, removing, resuming.

use askama::Template;

use super::Frame;
use super::account::{Done, Section};
use crate::clock::Time;
use crate::domain::id::PasskeyId;

/// Where a passkey is stored, for users: derived from the backup flags and the transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Backed up (BS = 1).
    Account,
    /// Can be backed up but is not (BE = 1, BS = 0).
    Copyable,
    /// Never leaves this device (BE = 0).
    Device,
    /// Never leaves this security key (BE = 0; USB, NFC or Bluetooth and not internal).
    SecurityKey,
    /// Imported without its flags, and not yet used since.
    Unknown,
}

impl Kept {
    /// Derives it from the flags at the last use and the registered transports.
    pub fn of(backup_eligible: bool, backed_up: bool, transports: &[impl AsRef<str>]) -> Self {
        let has = |wanted: &[&str]| transports.iter().any(|transport| wanted.contains(&transport.as_ref()));
        match (backup_eligible, backed_up) {
            (_, true) => Self::Account,
            (true, false) => Self::Copyable,
            _ if has(&["usb", "nfc", "ble"]) && !has(&["internal"]) => Self::SecurityKey,
            _ => Self::Device,
        }
    }

    fn icon(self) -> &'static str {
        match self {
            Self::Account | Self::Copyable => "cloud",
            Self::Device | Self::Unknown => "device",
            Self::SecurityKey => "security-key",
        }
    }
}

/// A passkey in the list.
#[derive(Clone, Debug)]
pub struct PasskeyCard {
    /// Our ID of the passkey.
    pub id: PasskeyId,
    /// The name chosen by its owner, or the default.
    pub name: String,
    /// The name of the provider according to the AAGUID. Only a label: never base trust on it.
    pub provider: Option<String>,
    /// Where it is stored.
    pub kept: Kept,
    /// When it was created.
    pub created: Time,
    /// When it was last used to sign in.
    pub last_used: Option<Time>,
    /// Whether this session was opened with it.
    pub current: bool,
    /// Whether it is suspended.
    pub suspended: bool,
}

/// `GET /account/passkeys`.
#[derive(Clone, Debug, Template)]
#[template(path = "passkeys.html")]
pub struct Passkeys {
    /// The frame; `boot` with [`super::PageKind::Passkeys`] and `signals`; requires `csrf` and `signed_in`.
    pub frame: Frame,
    /// What just succeeded.
    pub done: Option<Done>,
    /// All passkeys, oldest first.
    pub passkeys: Vec<PasskeyCard>,
    /// The names of imported passkeys that cannot be used. Listed until a new one replaces them.
    pub unusable: Vec<String>,
}

impl Passkeys {
    const SECTION: Section = Section::Passkeys;

    fn title(&self) -> &'static str {
        self.frame.t().passkeys_title
    }

    fn on_devices(&self) -> Vec<&PasskeyCard> {
        self.passkeys.iter().filter(|card| card.kept != Kept::SecurityKey).collect()
    }

    fn on_security_keys(&self) -> Vec<&PasskeyCard> {
        self.passkeys.iter().filter(|card| card.kept == Kept::SecurityKey).collect()
    }
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameProblem {
    /// Empty, or only white space.
    Empty,
    /// More than 64 characters.
    Long,
    /// A character that cannot be displayed, or nothing visible.
    Unprintable,
}

/// `GET /account/passkeys/{id}/rename`, and the answer (422) to its POST if the name is not accepted.
#[derive(Clone, Debug, Template)]
#[template(path = "rename.html")]
pub struct Rename {
    /// The frame; requires `csrf` and `signed_in`.
    pub frame: Frame,
    /// The passkey.
    pub id: PasskeyId,
    /// Its current name.
    pub name: String,
    /// The content of the field: the name, or what was typed.
    pub typed: String,
    /// Why the typed name is not accepted.
    pub problem: Option<NameProblem>,
}

impl Rename {
    const SECTION: Section = Section::Passkeys;

    fn title(&self) -> String {
        let t = self.frame.t();
        let prefix = if self.problem.is_some() { t.error_prefix } else { "" };
        format!("{prefix}{}", t.rename_title)
    }

    fn problem_text(&self) -> Option<&'static str> {
        self.problem.map(|problem| match problem {
            NameProblem::Empty => self.frame.t().rename_empty,
            NameProblem::Long => self.frame.t().rename_long,
            NameProblem::Unprintable => self.frame.t().rename_unprintable,
        })
    }
}

/// `GET /account/passkeys/{id}/remove`.
#[derive(Clone, Debug, Template)]
#[template(path = "remove.html")]
pub struct Remove {
    /// The frame; requires `csrf` and `signed_in`.
    pub frame: Frame,
    /// The passkey.
    pub passkey: PasskeyCard,
    /// Whether it is the only way to sign in. The page then explains that and has no button.
    pub last_way: bool,
}

impl Remove {
    const SECTION: Section = Section::Passkeys;

    fn title(&self) -> &'static str {
        self.frame.t().remove_title
    }
}

/// `GET /account/passkeys/{id}/resume`, of a paused passkey.
#[derive(Clone, Debug, Template)]
#[template(path = "resume.html")]
pub struct Resume {
    /// The frame; requires `csrf` and `signed_in`.
    pub frame: Frame,
    /// The passkey.
    pub id: PasskeyId,
    /// Its name.
    pub name: String,
}

impl Resume {
    const SECTION: Section = Section::Passkeys;

    fn title(&self) -> &'static str {
        self.frame.t().resume_title
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_passkey_is_kept() {
        let cases: [(&str, bool, bool, &[&str], Kept); 7] = [
            ("backed up", true, true, &["internal", "hybrid"], Kept::Account),
            ("may be backed up", true, false, &["internal"], Kept::Copyable),
            ("platform, bound", false, false, &["internal"], Kept::Device),
            ("usb key", false, false, &["usb", "nfc"], Kept::SecurityKey),
            ("built in, with usb too", false, false, &["internal", "usb"], Kept::Device),
            ("transports unknown", false, false, &[], Kept::Device),
            ("key in a phone's account", true, true, &["usb"], Kept::Account),
        ];
        for (name, eligible, backed_up, transports, kept) in cases {
            assert_eq!(Kept::of(eligible, backed_up, transports), kept, "{name}");
        }
    }
}
