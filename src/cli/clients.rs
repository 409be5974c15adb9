//! `passmint clients …`: the apps that may ask for tokens.
//!
//! Clients that the configuration declares are shown, and changed only there.

mod change;
mod create;
mod secret;

use clap::Subcommand;
use diesel::PgConnection;
use serde_json::{Value, json};

use super::Outcome;
use super::desk::{Desk, Refusal};
use super::print;
use super::settings::Settings;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::client::ClientKind;
use crate::storage::audit;
use crate::storage::clients::{self, StoredClient};

/// The apps that may ask for tokens.
#[derive(Subcommand)]
pub enum Clients {
    /// Show every client.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one client.
    Show {
        /// The client's id.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Store a new client; for a confidential one a secret is made and shown once.
    Create(create::Create),
    /// Make a client secret and show it once, with its digest for the configuration; with an id, store it as well.
    Secret {
        /// The client that gets the secret.
        id: Option<String>,
        /// How long the old secret stays good beside the new one, so that the app can be changed without a gap.
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = crate::config::duration)]
        keep_old: chrono::Duration,
        /// Make the old secret worth nothing at once: it leaked.
        #[arg(long, conflicts_with = "keep_old")]
        now: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change settings of a client, in the words of the configuration.
    Set(change::Change),
    /// Delete a client with all tokens and permissions that were given to it. There is no way back.
    Delete {
        /// The client's id.
        id: String,
        /// Yes, really.
        #[arg(long)]
        yes: bool,
    },
    /// Refuse everything to a client, at once.
    Disable {
        /// The client's id.
        id: String,
    },
    /// Let a disabled client work again.
    Enable {
        /// The client's id.
        id: String,
    },
}

impl Clients {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        match self {
            Self::List { json } => list(settings, json),
            Self::Show { id, json } => show(settings, &id, json),
            Self::Create(command) => command.run(settings),
            Self::Secret { id: None, json, .. } => secret::print_one(json),
            Self::Secret { id: Some(id), keep_old, now, json } => {
                let keep_old = if now { chrono::Duration::zero() } else { keep_old };
                secret::store(settings, &id, keep_old, json)
            }
            Self::Set(command) => command.run(settings),
            Self::Delete { id, yes } => change::delete(settings, &id, yes),
            Self::Disable { id } => switch(settings, &id, Switch::Off),
            Self::Enable { id } => switch(settings, &id, Switch::On),
        }
    }
}

fn list(settings: &Settings, json: bool) -> Outcome {
    let desk = settings.desk()?;
    let stored = desk.read(|conn| Ok(clients::all(conn)?))?;
    if json {
        return print::json(&stored.iter().map(document).collect::<Vec<_>>());
    }
    let row = |client: &StoredClient| {
        vec![
            client.client.id.clone(),
            client.client.definition.name.clone(),
            kind(client.client.definition.kind).to_owned(),
            state(client).to_owned(),
            client.managed_by.clone().unwrap_or_else(|| "command line".to_owned()),
        ]
    };
    print::table(&["ID", "NAME", "KIND", "STATE", "DECLARED BY"], &stored.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn show(settings: &Settings, id: &str, json: bool) -> Outcome {
    let desk = settings.desk()?;
    let client = desk.read(|conn| {
        let found = clients::all(conn)?.into_iter().find(|client| client.client.id == id);
        found.ok_or_else(|| unknown(id))
    })?;
    if json {
        return print::json(&document(&client));
    }
    let definition = &client.client.definition;
    let texts = |list: &[String]| print::list(list.iter().map(String::as_str));
    let grants: Vec<String> = definition.grants.iter().map(word).collect();
    print::facts(&[
        ("id", client.client.id.clone()),
        ("name", definition.name.clone()),
        ("kind", kind(definition.kind).to_owned()),
        ("first party", if definition.first_party { "yes" } else { "no" }.to_owned()),
        ("state", state(&client).to_owned()),
        ("origins", texts(&definition.origins)),
        ("redirect URIs", texts(&definition.redirect_uris)),
        ("grants", texts(&grants)),
        ("scopes", print::list(definition.scopes.iter())),
        ("relying party", definition.relying_party.clone().unwrap_or_else(|| "the default".to_owned())),
        ("audiences", texts(&definition.audiences)),
        ("may introspect", texts(&definition.may_introspect)),
        ("has a secret", if client.client.secret.is_some() { "yes" } else { "no" }.to_owned()),
        ("declared by", client.managed_by.clone().unwrap_or_else(|| "command line".to_owned())),
    ]);
    Ok(())
}

/// The word of a value that serde writes as one.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

const fn kind(kind: ClientKind) -> &'static str {
    match kind {
        ClientKind::Public => "public",
        ClientKind::Confidential => "confidential",
    }
}

const fn state(client: &StoredClient) -> &'static str {
    if client.disabled_at.is_some() { "disabled" } else { "enabled" }
}

/// A client for scripts. The digest of its secret is nobody's business.
fn document(client: &StoredClient) -> Value {
    let mut document = json!({
        "id": client.client.id,
        "hasSecret": client.client.secret.is_some(),
        "declaredBy": client.managed_by,
        "disabledAt": client.disabled_at,
    });
    document["definition"] = serde_json::to_value(&client.client.definition).unwrap_or_default();
    document
}

enum Switch {
    On,
    Off,
}

fn switch(settings: &Settings, id: &str, switch: Switch) -> Outcome {
    let desk = settings.desk()?;
    let (done, word) = match switch {
        Switch::On => (clients::enable as fn(&mut PgConnection, &str, _) -> _, "enabled"),
        Switch::Off => (clients::disable as fn(&mut PgConnection, &str, _) -> _, "disabled"),
    };
    desk.write_locked(|conn| {
        editable(conn, id)?;
        if !done(conn, id, desk.now)? {
            return Err(Refusal(format!("client `{id}` is {word} already")));
        }
        witness(conn, &desk, id, word)
    })?;
    print::line(format!("client `{id}` is {word}; running servers follow within seconds"));
    Ok(())
}

/// The client, if it exists and is not the configuration's.
fn editable(conn: &mut PgConnection, id: &str) -> Result<StoredClient, Refusal> {
    let client = clients::lock(conn, id)?.ok_or_else(|| unknown(id))?;
    match &client.managed_by {
        Some(file) => {
            Err(Refusal(format!("client `{id}` is declared by {file}: change it there and restart the server")))
        }
        None => Ok(client),
    }
}

fn unknown(id: &str) -> Refusal {
    Refusal(format!("there is no client `{id}`; `passmint clients list` shows all of them"))
}

fn witness(conn: &mut PgConnection, desk: &Desk, id: &str, change: &str) -> Result<(), Refusal> {
    let event = Event {
        client: Some(id.to_owned()),
        subject: Some(id.to_owned()),
        detail: json!({ "change": change }),
        ..Event::new(EventKind::ClientChanged, desk.now, &Provenance::default())
    };
    Ok(audit::insert(conn, &event)?)
}
