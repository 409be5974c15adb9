//! Webhooks: receivers of events.
//!
//! Here a webhook is only read and typed; its secrets are loaded where the server or a command needs them.

use std::path::PathBuf;

use super::outbound::Outbound;
use super::problems::{Wrong, nearest, quoted};
use super::reader::Reader;
use super::section::{Fallback, Key, Kind, Section};
use crate::domain::audit::EventKind;
use crate::domain::client::fields;
use crate::domain::webhook::is_event;

/// A receiver of signed messages, as configured.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name in the configuration.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// The file of the secret that messages are signed with.
    pub secret_file: PathBuf,
    /// The file of the previous secret, which also signs messages.
    pub previous_secret_file: Option<PathBuf>,
    /// Whether messages to it contain e-mail addresses and names.
    pub personal_data: bool,
}

/// A webhook as configured.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where messages go.
    pub endpoint: Endpoint,
    /// Whether it is active.
    pub enabled: bool,
    /// The events that it receives.
    pub events: Vec<String>,
}

pub(super) const SECTION: Section = Section {
    title: "Webhooks",
    doc: "`[webhooks.<name>]`, in the file only: servers that are notified of [events](audit-events.md), by signed \
        messages that follow Standard Webhooks, at least once. [How](../operations/webhooks.md).",
    keys: &[
        Key {
            path: "webhooks.<name>.url",
            kind: Kind::Text("URL"),
            default: Fallback::Required,
            doc: "Where messages are posted: https; http on this machine only, and with `outbound.allow_private_addresses`.",
        },
        Key {
            path: "webhooks.<name>.secret_file",
            kind: Kind::Path,
            default: Fallback::Required,
            doc: "The file with the secret that signs messages, `whsec_…`; `passmint webhooks secret` creates one.",
        },
        Key {
            path: "webhooks.<name>.previous_secret_file",
            kind: Kind::Path,
            default: Fallback::Unset,
            doc: "The file with the previous secret, until the receiver has switched: messages carry a signature by \
                each.",
        },
        Key {
            path: "webhooks.<name>.events",
            kind: Kind::List("event"),
            default: Fallback::Required,
            doc: "The events it receives: by name, by group such as `session.*`, or `*` for all.",
        },
        Key {
            path: "webhooks.<name>.personal_data",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether messages include the e-mail address and the name of the person concerned.",
        },
        Key {
            path: "webhooks.<name>.enabled",
            kind: Kind::Switch,
            default: Fallback::Value("true"),
            doc: "Whether it receives events. Events that happen while it does not are not sent later.",
        },
    ],
};

/// Reads every webhook.
pub(super) fn read(reader: &mut Reader<'_>, outbound: &Outbound) -> Vec<Webhook> {
    reader.names("webhooks").iter().map(|name| read_one(reader, name, outbound)).collect()
}

fn read_one(reader: &mut Reader<'_>, name: &str, outbound: &Outbound) -> Webhook {
    let table = format!("webhooks.{name}");
    let endpoint = endpoint(reader, &table, name, outbound);
    let events = format!("{table}.events");
    let webhook = Webhook {
        endpoint,
        enabled: reader.switch(&format!("{table}.enabled")),
        events: reader.list_as(&events, event).unwrap_or_default(),
    };
    if webhook.events.is_empty() && reader.is_given(&events) {
        reader.contradiction(&events, &[], Wrong::new("names no event", "name some, or write enabled = false"));
    }
    webhook
}

/// Reads where messages are sent and the secrets they are signed with.
pub(super) fn endpoint(reader: &mut Reader<'_>, table: &str, name: &str, outbound: &Outbound) -> Endpoint {
    let key = |field: &str| format!("{table}.{field}");
    let url = reader.text_as(&key("url"), |text| {
        fields::web_address(text).map(|()| text.to_owned()).map_err(|fault| Wrong::in_value(text, fault))
    });
    let url = url.unwrap_or_default();
    let host = url::Url::parse(&url).ok().and_then(|url| url.host().map(|host| host.to_string()));
    if url.starts_with("http:") && !host.is_some_and(|host| outbound.may_be_private(&host)) {
        let cure = "use https, or name the host in outbound.private_hosts";
        let wrong = Wrong::new("is an address of this machine, and none of those is asked", cure);
        reader.contradiction(&key("url"), &["outbound.private_hosts"], wrong);
    }
    Endpoint {
        name: name.to_owned(),
        url,
        secret_file: reader.path(&key("secret_file")).unwrap_or_default(),
        previous_secret_file: reader.path(&key("previous_secret_file")),
        personal_data: reader.switch(&key("personal_data")),
    }
}

fn event(text: &str) -> Result<String, Wrong> {
    if is_event(text) {
        return Ok(text.to_owned());
    }
    let names = EventKind::ALL.iter().map(|kind| kind.as_str());
    let cure = match nearest(text, names) {
        Some(meant) => format!("did you mean {}?", quoted(meant)),
        None => "write the name of an event, a group such as \"session.*\", or \"*\" for all".to_owned(),
    };
    Err(Wrong::new(format!("{} is no event", quoted(text)), cure))
}
