//! A person's passkeys: the list, renaming, removing, resuming.

use askama::Template;

use super::Frame;
use super::account::{Done, Section};
use crate::clock::Time;
use crate::domain::id::PasskeyId;

/// Where a passkey is kept, in the words of people: what the backup flags and the transports say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Backed up (BS = 1).
    Account,
    /// May be backed up but is not (BE = 1, BS = 0).
    Copyable,
    /// Never leaves this device (BE = 0).
    Device,
    /// Never leaves this security key (BE = 0; USB, NFC or Bluetooth and not internal).
    SecurityKey,
    /// Imported without its flags, and not used since.
    Unknown,
}

impl Kept {
    /// Reads the flags of the last use and the transports as registered.
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
    /// Our id of it.
    pub id: PasskeyId,
    /// The name that its owner gave it, or the default.
    pub name: String,
    /// The provider's name as its AAGUID suggests; a label, never trust.
    pub provider: Option<String>,
    /// Where it is kept.
    pub kept: Kept,
    /// When it was made.
    pub created: Time,
    /// When it last signed in.
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
    /// The frame; `boot` with [`super::PageKind::Passkeys`], `signals` as the server knows them, `csrf` and `signed_in`.
    pub frame: Frame,
    /// What just succeeded.
    pub done: Option<Done>,
    /// All passkeys, in the order of creation.
    pub passkeys: Vec<PasskeyCard>,
    /// Names of imported passkeys that cannot be used, until a new one was made in their place.
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
    /// Nothing, or white space only.
    Empty,
    /// More than 64 characters.
    Long,
    /// A character that cannot be shown, or nothing to see.
    Unprintable,
}

/// `GET /account/passkeys/{id}/rename`, and the answer (422) to its POST when the name will not do.
#[derive(Clone, Debug, Template)]
#[template(path = "rename.html")]
pub struct Rename {
    /// The frame; `csrf` and `signed_in` must be there.
    pub frame: Frame,
    /// The passkey.
    pub id: PasskeyId,
    /// Its name now.
    pub name: String,
    /// What stands in the field: the name, or what was typed.
    pub typed: String,
    /// Why what was typed will not do.
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
    /// The frame; `csrf` and `signed_in` must be there.
    pub frame: Frame,
    /// The passkey.
    pub passkey: PasskeyCard,
    /// Whether it is the only way to sign in; then the page explains and has no button.
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
    /// The frame; `csrf` and `signed_in` must be there.
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
