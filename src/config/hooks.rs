//! Hooks: external servers that are called at a sign-in.

use chrono::Duration;

use super::outbound::Outbound;
use super::problems::Wrong;
use super::reader::Reader;
use super::section::{Choice, Fallback, Key, Kind, Section, choices};
use super::text;
use super::webhooks::{Endpoint, endpoint};

choices! {
    /// When a hook is called.
    When {
        /// After the passkey was verified, before anything is written.
        BeforeSignIn = "before_sign_in",
        /// After a person was signed in, without waiting for the response.
        AfterSignIn = "after_sign_in",
    }
}

choices! {
    /// What happens when a hook does not respond.
    OnFailure {
        /// The sign-in is denied.
        Deny = "deny",
        /// The hook is ignored.
        Allow = "allow",
    }
}

/// A hook as configured.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The server that is called.
    pub endpoint: Endpoint,
    /// When it is called.
    pub when: When,
    /// How long a call may take.
    pub timeout: Duration,
    /// What happens when it fails.
    pub on_failure: OnFailure,
    /// Only sign-ins of these clients call it.
    pub clients: Vec<String>,
    /// Whether it is active.
    pub enabled: bool,
}

pub(super) const SECTION: Section = Section {
    title: "Hooks",
    doc: "`[hooks.<name>]`, in the file only: servers of yours that are called during a sign-in. \
        [How](../flows/hooks.md).",
    keys: &[
        Key {
            path: "hooks.<name>.when",
            kind: Kind::Choice(When::WORDS),
            default: Fallback::Required,
            doc: "When it is called: after the passkey is verified and before the person is signed in, or afterwards, \
                to return a text that the person can read on their account page.",
        },
        Key {
            path: "hooks.<name>.url",
            kind: Kind::Text("URL"),
            default: Fallback::Required,
            doc: "Where it is: https; http on this machine only, and with `outbound.allow_private_addresses`.",
        },
        Key {
            path: "hooks.<name>.secret_file",
            kind: Kind::Path,
            default: Fallback::Required,
            doc: "The file with the secret that signs calls, `whsec_…`; `passmint webhooks secret` creates one.",
        },
        Key {
            path: "hooks.<name>.previous_secret_file",
            kind: Kind::Path,
            default: Fallback::Unset,
            doc: "The file with the previous secret, until the hook has switched: calls carry a signature by each.",
        },
        Key {
            path: "hooks.<name>.timeout",
            kind: Kind::Duration("100ms", "5s"),
            default: Fallback::Value("2s"),
            doc: "How long it may take in total. Before a sign-in, the person waits for it.",
        },
        Key {
            path: "hooks.<name>.on_failure",
            kind: Kind::Choice(OnFailure::WORDS),
            default: Fallback::Value("deny"),
            doc: "What happens if the hook is unreachable, late, or sends an invalid answer: nobody is signed in, or \
                the hook is ignored. For `before_sign_in`.",
        },
        Key {
            path: "hooks.<name>.clients",
            kind: Kind::List("client id"),
            default: Fallback::Value(""),
            doc: "Only sign-ins for these clients, and those on our own pages, from where every client can be reached; empty for all. For \
                  `before_sign_in`.",
        },
        Key {
            path: "hooks.<name>.personal_data",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether calls include the person's e-mail address and name.",
        },
        Key {
            path: "hooks.<name>.enabled",
            kind: Kind::Switch,
            default: Fallback::Value("true"),
            doc: "Whether it is called.",
        },
    ],
};

/// Reads every hook.
pub(super) fn read(reader: &mut Reader<'_>, outbound: &Outbound) -> Vec<Hook> {
    reader.names("hooks").iter().map(|name| read_one(reader, name, outbound)).collect()
}

fn read_one(reader: &mut Reader<'_>, name: &str, outbound: &Outbound) -> Hook {
    let table = format!("hooks.{name}");
    let key = |field: &str| format!("{table}.{field}");
    let hook = Hook {
        when: reader.optional_choice(&key("when")).unwrap_or(When::BeforeSignIn),
        endpoint: endpoint(reader, &table, name, outbound),
        timeout: reader.duration(&key("timeout")),
        on_failure: reader.choice(&key("on_failure")),
        clients: reader.list_as(&key("clients"), text::name).unwrap_or_default(),
        enabled: reader.switch(&key("enabled")),
    };
    for field in ["on_failure", "clients"].into_iter().filter(|_| hook.when == When::AfterSignIn) {
        if reader.is_given(&key(field)) {
            let wrong = Wrong::new("belongs to hooks before a sign-in", "remove it, or change when");
            reader.contradiction(&key(field), &[&key("when")], wrong);
        }
    }
    hook
}
