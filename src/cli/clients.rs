//! `passmint clients …`: the apps that may request tokens.
//!
//! Clients declared in the configuration are shown here, but can be changed only there.

mod change;
mod create;
mod secret;

use clap::Subcommand;

use super::Outcome;
use super::desk::Refusal;
use super::print;
use super::settings::Settings;
use crate::admin::clients::{ClientView, switch};
use crate::admin::guard::Actor;
use crate::domain::client::ClientKind;
use crate::storage::client_records::{self, ClientRecord};

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
    /// Create a client. For a confidential client, a secret is generated and shown once.
    Create(create::Create),
    /// Generate a client secret and show it once, with its digest for the configuration; with an ID, also store it.
    Secret {
        /// The client that gets the secret.
        id: Option<String>,
        /// How long the old secret stays valid besides the new one, so that the app can be changed without downtime.
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = crate::domain::duration::parse)]
        keep_old: chrono::Duration,
        /// Invalidate the old secret at once, because it leaked.
        #[arg(long, conflicts_with = "keep_old")]
        now: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change settings of a client, using the names of the configuration.
    Set(change::Change),
    /// Delete a client with all its tokens and permissions. This cannot be undone.
    Delete {
        /// The client's id.
        id: String,
        /// Required: confirms that this cannot be undone.
        #[arg(long)]
        yes: bool,
    },
    /// Disable a client: everything is refused to it at once.
    Disable {
        /// The client's id.
        id: String,
    },
    /// Enable a disabled client.
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
            Self::Disable { id } => turn(settings, &id, false),
            Self::Enable { id } => turn(settings, &id, true),
        }
    }
}

fn list(settings: &Settings, json: bool) -> Outcome {
    let desk = settings.desk()?;
    let all = desk.read(|conn| Ok(client_records::page(conn, None, i64::MAX)?))?;
    if json {
        return print::json(&all.iter().map(ClientView::from).collect::<Vec<_>>());
    }
    let row = |client: &ClientRecord| {
        vec![
            client.id.clone(),
            client.definition.name.clone(),
            kind(client.definition.kind).to_owned(),
            state(client).to_owned(),
            declared_by(client),
        ]
    };
    print::table(&["ID", "NAME", "KIND", "STATE", "DECLARED BY"], &all.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn show(settings: &Settings, id: &str, json: bool) -> Outcome {
    let desk = settings.desk()?;
    let client = desk.read(|conn| {
        let unknown = || Refusal(format!("there is no client `{id}`; `passmint clients list` shows all of them"));
        client_records::find(conn, id)?.ok_or_else(unknown)
    })?;
    if json {
        return print::json(&ClientView::from(&client));
    }
    let definition = &client.definition;
    let texts = |list: &[String]| print::list(list.iter().map(String::as_str));
    let grants: Vec<String> = definition.grants.iter().map(word).collect();
    print::facts(&[
        ("id", client.id.clone()),
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
        ("has a secret", if client.secret.is_some() { "yes" } else { "no" }.to_owned()),
        ("declared by", declared_by(&client)),
    ]);
    Ok(())
}

/// The text of a value that serde writes as a string.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

const fn kind(kind: ClientKind) -> &'static str {
    match kind {
        ClientKind::Public => "public",
        ClientKind::Confidential => "confidential",
    }
}

const fn state(client: &ClientRecord) -> &'static str {
    if client.disabled_at.is_some() { "disabled" } else { "enabled" }
}

/// The configuration file, or otherwise how the client was created.
fn declared_by(client: &ClientRecord) -> String {
    client.managed_by.clone().unwrap_or_else(|| client.source.as_str().replace('_', " "))
}

fn turn(settings: &Settings, id: &str, on: bool) -> Outcome {
    let desk = settings.desk()?;
    desk.write_locked(|conn| Ok(switch::switch(conn, &Actor::command_line(), id, on, desk.now)?))?;
    let state = if on { "enabled" } else { "disabled" };
    print::line(format!("client `{id}` is {state}; running servers follow within seconds"));
    Ok(())
}
