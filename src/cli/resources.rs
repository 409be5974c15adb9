//! `passmint resources …`: the APIs that access tokens are issued for, with the functions of the administration API.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::Outcome;
use super::pair;
use super::print;
use super::settings::Settings;
use crate::admin::guard::Actor;
use crate::admin::resources::{ResourceView, change, create, delete, lock, read_definition, switch};
use crate::domain::resource::Resource;
use crate::storage::resources::{self, StoredResource};

/// The APIs that access tokens are made for.
#[derive(Subcommand)]
pub enum Resources {
    /// Show every resource.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Create a resource.
    Create(Definition),
    /// Replace the settings of a resource.
    Set(Definition),
    /// Delete a resource; clients may still request tokens for its identifier.
    Delete {
        /// The resource's identifier.
        identifier: String,
    },
    /// Disable a resource: no more tokens are issued for it.
    Disable {
        /// The resource's identifier.
        identifier: String,
    },
    /// Enable a disabled resource: tokens are issued for it again.
    Enable {
        /// The resource's identifier.
        identifier: String,
    },
}

/// A resource, as written.
#[derive(Args)]
pub struct Definition {
    /// What tokens have in `aud`, best the API's address.
    identifier: String,
    /// The name shown to people; the identifier by default.
    #[arg(long)]
    name: Option<String>,
    /// A scope of the API and what it allows, in words for people; may be given several times.
    #[arg(long = "scope", value_name = "SCOPE=WORDS", value_parser = pair)]
    scopes: Vec<(String, String)>,
    /// The longest lifetime of access tokens for it, in seconds.
    #[arg(long, value_name = "SECONDS")]
    access_ttl: Option<i64>,
    /// The signature algorithm of access tokens for it: ES256, EdDSA or RS256.
    #[arg(long)]
    algorithm: Option<String>,
}

impl Definition {
    fn resource(&self) -> Result<Resource, String> {
        let scopes: Map<String, Value> =
            self.scopes.iter().map(|(scope, words)| (scope.clone(), words.as_str().into())).collect();
        let document = json!({
            "name": self.name.as_ref().unwrap_or(&self.identifier),
            "scopes": scopes,
            "access_ttl": self.access_ttl,
            "algorithm": self.algorithm,
        });
        let definition = read_definition(document).map_err(|failure| failure.detail().to_owned())?;
        Ok(Resource { identifier: self.identifier.clone(), definition })
    }
}

impl Resources {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        match self {
            Self::List { json } => list(settings, json),
            Self::Create(written) => make(settings, &written.resource()?),
            Self::Set(written) => set(settings, written.resource()?),
            Self::Delete { identifier } => remove(settings, &identifier),
            Self::Disable { identifier } => turn(settings, &identifier, false),
            Self::Enable { identifier } => turn(settings, &identifier, true),
        }
    }
}

fn list(settings: &Settings, as_json: bool) -> Outcome {
    let desk = settings.desk()?;
    let all = desk.read(|conn| Ok(resources::all(conn)?))?;
    if as_json {
        return print::json(&all.iter().map(ResourceView::from).collect::<Vec<_>>());
    }
    let row = |one: &StoredResource| {
        let definition = &one.resource.definition;
        vec![
            one.resource.identifier.clone(),
            definition.name.clone(),
            print::list(definition.scopes.keys().map(String::as_str)),
            if one.disabled_at.is_some() { "disabled" } else { "enabled" }.to_owned(),
            one.managed_by.clone().unwrap_or_else(|| "administration".to_owned()),
        ]
    };
    print::table(&["IDENTIFIER", "NAME", "SCOPES", "STATE", "DECLARED BY"], &all.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn make(settings: &Settings, resource: &Resource) -> Outcome {
    let desk = settings.desk()?;
    desk.write_locked(|conn| {
        Ok(create::insert(conn, &Actor::command_line(), resource, desk.config.issuer(), desk.now)?)
    })?;
    print::line(format!("resource `{}` is made; running servers follow within seconds", resource.identifier));
    Ok(())
}

fn set(settings: &Settings, resource: Resource) -> Outcome {
    let desk = settings.desk()?;
    let identifier = resource.identifier;
    desk.write_locked(|conn| {
        let old = lock(conn, &identifier)?;
        Ok(change::store(conn, &Actor::command_line(), old, resource.definition, desk.now)?)
    })?;
    print::line(format!("resource `{identifier}` is changed; running servers follow within seconds"));
    Ok(())
}

fn remove(settings: &Settings, identifier: &str) -> Outcome {
    let desk = settings.desk()?;
    desk.write_locked(|conn| {
        let stored = lock(conn, identifier)?;
        Ok(delete::remove(conn, &Actor::command_line(), &stored, desk.now)?)
    })?;
    print::line(format!("resource `{identifier}` is deleted"));
    Ok(())
}

fn turn(settings: &Settings, identifier: &str, on: bool) -> Outcome {
    let desk = settings.desk()?;
    desk.write_locked(|conn| Ok(switch::switch(conn, &Actor::command_line(), identifier, on, desk.now)?))?;
    print::line(format!("resource `{identifier}` is {}", if on { "enabled" } else { "disabled" }));
    Ok(())
}
