//! `passmint bridges …`: the systems that custom tokens are minted for, by the functions of the administration API.

mod document;
mod test;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

pub use test::try_samples;

use super::Outcome;
use super::desk::{Desk, Refusal};
use super::presets;
use super::print;
use super::settings::Settings;
use crate::admin::bridges::rules::{Draft, Rules};
use crate::admin::bridges::{BridgeView, change, create, delete, lock, preset_of, switch};
use crate::admin::guard::Actor;
use crate::assembly::{bridge_definitions, declared_key, open_master_key};
use crate::bridge::stored::{self, Home, Ready};
use crate::bridge::{Bridge, Bridges as Directory, Key, Material, PresetKind};
use crate::clock::Time;
use crate::domain::id::UserId;
use crate::storage::bridges::{self, StoredBridge};
use crate::tokens::Keys;
use crate::tokens::keys::Algorithm;

/// The systems that custom tokens are minted for.
#[derive(Subcommand)]
pub enum Bridges {
    /// Show every bridge.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the targets that have presets, and how it is known that each accepts its tokens.
    Presets {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one bridge: its settings, its key, what is wrong with it, and what to paste on the other side.
    Show {
        /// The bridge's name.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Create a bridge from a file with its settings.
    Create(Written),
    /// Replace the settings of a bridge, and its imported key if one is given.
    Update(Written),
    /// Delete a bridge, and revoke its own keys.
    Delete {
        /// The bridge's name.
        name: String,
    },
    /// Stop a bridge: no more tokens, on every server within seconds, across restarts, until it is enabled again.
    Disable {
        /// The bridge's name.
        name: String,
    },
    /// Enable a stopped bridge.
    Enable {
        /// The bridge's name.
        name: String,
    },
    /// Render, check and sign the token a bridge would mint, and show the token, its claims and its size.
    Test {
        /// The bridge's name.
        name: String,
        /// For this person instead of the three samples: a real token, valid at the target until it expires.
        #[arg(long, value_name = "ID")]
        user: Option<UserId>,
        /// The value of an input that the bridge declares; a list or a flag as JSON.
        #[arg(long = "input", value_name = "NAME=VALUE", requires = "user")]
        inputs: Vec<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// A bridge, as written. Keys come in files, never on the command line, where others could read them.
#[derive(Args)]
pub struct Written {
    /// The bridge's name.
    name: String,
    /// Its settings, with the names of the configuration: TOML (the content of `[bridges.NAME]`, without `enabled` and
    /// the key files) or JSON; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// A private key created elsewhere: PEM, JWK, the seed of a NATS account, or the JSON file of a Google service
    /// account.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A secret shared with the target, for HS256; a line end after it is not part of it.
    #[arg(long, value_name = "FILE", conflicts_with = "key_file")]
    secret_file: Option<PathBuf>,
}

impl Bridges {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        match self {
            Self::List { json } => list(settings, json),
            Self::Presets { json } => presets::list(json),
            Self::Show { name, json } => show(settings, &name, json),
            Self::Create(written) => make(settings, &written),
            Self::Update(written) => update(settings, &written),
            Self::Delete { name } => remove(settings, &name),
            Self::Disable { name } => turn(settings, &name, false),
            Self::Enable { name } => turn(settings, &name, true),
            Self::Test { name, user, inputs, json } => {
                let person = user.map(|id| test::Person { id, inputs: &inputs });
                test::test(settings, &name, person, json)
            }
        }
    }
}

/// The bridges as the next start would find them: those of the database, overridden by those of the configuration.
pub struct Known {
    /// Their rows, by name.
    pub rows: Vec<StoredBridge>,
    home: Home,
    /// What is wrong with the configured key files, by bridge.
    mistakes: HashMap<String, String>,
}

/// Reads all bridges.
pub fn known(desk: &Desk) -> Result<Known, String> {
    let mut rows = desk.read(|conn| Ok(bridges::all(conn)?))?;
    for (definition, enabled) in bridge_definitions(&desk.config) {
        let document = serde_json::to_value(&definition).map_err(|error| error.to_string())?;
        let old = rows.iter().position(|row| row.name == definition.name).map(|index| rows.remove(index));
        let row = match old {
            Some(old) if old.definition == document && old.enabled == enabled && old.managed_by.is_some() => old,
            old => {
                // An emergency stop survives any declaration.
                let (stopped_at, stopped_by) = old.map_or((None, None), |old| (old.stopped_at, old.stopped_by));
                let managed_by = Some(desk.source.clone());
                let fresh = StoredBridge::new(&definition.name, document, None, desk.now);
                StoredBridge { enabled, stopped_at, stopped_by, managed_by, ..fresh }
            }
        };
        rows.push(row);
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut key_files, mut mistakes) = (HashMap::new(), HashMap::new());
    for declared in &desk.config.bridges {
        let (name, Some(file)) = (declared.definition.name.clone(), &declared.key_file) else { continue };
        match declared_key(file) {
            Ok(material) => drop(key_files.insert(name, material)),
            Err(mistake) => drop(mistakes.insert(name, mistake.to_string())),
        }
    }
    Ok(Known { rows, home: Home { issuer: desk.config.issuer().to_owned(), key_files }, mistakes })
}

impl Known {
    /// A directory of these bridges, with the keys of the database.
    pub fn directory(&self, desk: &Desk) -> Result<Directory, String> {
        let keys = desk.read(|conn| {
            let master = open_master_key(conn, &desk.config)?;
            Ok(Keys::open(conn, master, desk.now)?)
        })?;
        let nobody = (Arc::default(), Arc::default());
        Ok(Directory::new(self.home.clone(), Arc::new(keys), nobody, desk.db.clone()))
    }

    /// The bridge of a row, even if it is disabled; the error has a line for each mistake.
    pub fn ready(&self, directory: &Directory, row: &StoredBridge, now: Time) -> Result<Ready, Vec<String>> {
        if let Some(mistake) = self.mistakes.get(&row.name) {
            return Err(vec![format!("bridge `{}`: {mistake}", row.name)]);
        }
        stored::ready(row, &self.home, &directory.keys().master(), now).map_err(|fault| fault.reasons())
    }
}

/// The row with that name.
pub fn find<'a>(rows: &'a [StoredBridge], name: &str) -> Result<&'a StoredBridge, String> {
    rows.iter().find(|row| row.name == name).ok_or_else(|| {
        let names = print::list(rows.iter().map(|row| row.name.as_str()));
        format!("no bridge is named `{name}`; there is {names}")
    })
}

fn state(row: &StoredBridge) -> String {
    match (row.stopped_at, row.enabled) {
        (Some(at), _) => format!("stopped at {}", print::time(at)),
        (None, true) => "enabled".to_owned(),
        (None, false) => "disabled".to_owned(),
    }
}

fn preset_name(row: &StoredBridge) -> String {
    row.definition["preset"].as_str().unwrap_or("?").to_owned()
}

/// How it is known that the preset's target accepts its tokens.
fn sureness(preset: PresetKind) -> String {
    let verified = preset.about().verified;
    format!("{}: {}", verified.as_str(), verified.with())
}

fn declared_by(row: &StoredBridge) -> String {
    row.managed_by.clone().unwrap_or_else(|| "administration".to_owned())
}

fn list(settings: &Settings, as_json: bool) -> Outcome {
    let desk = settings.desk()?;
    let all = known(&desk)?;
    if as_json {
        return print::json(&all.rows.iter().map(BridgeView::from).collect::<Vec<_>>());
    }
    let directory = all.directory(&desk)?;
    let row = |row: &StoredBridge| {
        let key = match all.ready(&directory, row, desk.now) {
            Ok(ready) => signs_with(&ready.bridge),
            Err(mistakes) => format!("cannot be used: {}", mistakes.join("; ")),
        };
        let verified = preset_of(row).map_or("-", |preset| preset.about().verified.as_str()).to_owned();
        vec![row.name.clone(), preset_name(row), verified, state(row), key, declared_by(row)]
    };
    let rows: Vec<_> = all.rows.iter().map(row).collect();
    print::table(&["NAME", "PRESET", "VERIFIED", "STATE", "SIGNS WITH", "DECLARED BY"], &rows);
    Ok(())
}

fn signs_with(bridge: &Bridge) -> String {
    match bridge.key() {
        Key::Own(algorithm) => format!("a key of its own, {}", algorithm.as_str()),
        Key::Provider(algorithm) => format!("this server's keys, {}", algorithm.as_str()),
        Key::Imported(Material::ServiceAccount(account)) => format!("the key of {}", account.client_email()),
        Key::Imported(material) if material.algorithm() == Algorithm::HS256 => {
            "a secret shared with its target".to_owned()
        }
        Key::Imported(material) => format!("an imported key, {}", material.algorithm()),
    }
}

fn show(settings: &Settings, name: &str, as_json: bool) -> Outcome {
    let desk = settings.desk()?;
    let all = known(&desk)?;
    let row = find(&all.rows, name)?;
    let directory = all.directory(&desk)?;
    let ready = all.ready(&directory, row, desk.now);
    let faults = ready.as_ref().err().cloned().unwrap_or_default();
    if as_json {
        let mut document = json!(BridgeView::from(row));
        document["outOfUse"] = json!(faults);
        if let Ok(ready) = &ready {
            let told = |(place, language, text)| json!({ "place": place, "language": language, "text": text });
            let other_side = ready.bridge.other_side(&all.home.issuer);
            document["otherSide"] = other_side.into_iter().map(told).collect();
        }
        return print::json(&document);
    }
    let address = |path: &str| format!("{}/v1/bridges/{name}/{path}", all.home.issuer);
    print::facts(&[
        ("name", row.name.clone()),
        ("preset", preset_name(row)),
        ("verified", preset_of(row).map_or_else(|| "-".to_owned(), sureness)),
        ("state", state(row)),
        ("declared by", declared_by(row)),
        ("signs with", ready.as_ref().map_or_else(|_| "-".to_owned(), |ready| signs_with(&ready.bridge))),
        ("imported key", row.key_id.clone().unwrap_or_else(|| "-".to_owned())),
        (
            "asked at",
            ready.as_ref().ok().and_then(|ready| ready.bridge.way().path()).map_or_else(|| "-".to_owned(), address),
        ),
        ("public keys", address("jwks.json")),
    ]);
    print::line(serde_json::to_string_pretty(&row.definition).unwrap_or_default());
    for fault in &faults {
        print::line(format!("out of use: {fault}"));
    }
    for (place, _, text) in ready.iter().flat_map(|ready| ready.bridge.other_side(&all.home.issuer)) {
        print::line(format!("\n{place}:\n\n{text}"));
    }
    Ok(())
}

/// The rules for a bridge, and its draft.
fn drafted(desk: &Desk, written: &Written) -> Result<(Rules, Draft), String> {
    let draft = written.draft()?;
    let master = desk.read(|conn| Ok(open_master_key(conn, &desk.config)?))?;
    let home = Home { issuer: desk.config.issuer().to_owned(), ..Home::default() };
    let rules = Rules { home, master: Arc::new(master), fresh_within: desk.config.session.fresh_verification };
    Ok((rules, draft))
}

/// Refuses to store a bridge that the configuration declares: the next start would overwrite it.
fn require_undeclared(desk: &Desk, name: &str) -> Result<(), Refusal> {
    if desk.config.bridges.iter().any(|declared| declared.definition.name == name) {
        let file = &desk.source;
        return Err(Refusal(format!("bridge `{name}` is declared by {file}: change it there and restart the server")));
    }
    Ok(())
}

fn make(settings: &Settings, written: &Written) -> Outcome {
    let desk = settings.desk()?;
    let (rules, draft) = drafted(&desk, written)?;
    desk.write_locked(|conn| {
        require_undeclared(&desk, &written.name)?;
        Ok(create::insert(conn, &rules, &Actor::command_line(), &draft, desk.now)?)
    })?;
    print::line(format!("bridge `{}` is made; running servers follow within seconds", written.name));
    print::line(format!("try it with `passmint bridges test {}`", written.name));
    Ok(())
}

fn update(settings: &Settings, written: &Written) -> Outcome {
    let desk = settings.desk()?;
    let (rules, draft) = drafted(&desk, written)?;
    desk.write_locked(|conn| {
        let old = lock(conn, &written.name)?;
        Ok(change::store(conn, &rules, &Actor::command_line(), (&draft, &old), desk.now)?)
    })?;
    print::line(format!("bridge `{}` is changed; running servers follow within seconds", written.name));
    Ok(())
}

fn remove(settings: &Settings, name: &str) -> Outcome {
    let desk = settings.desk()?;
    desk.write_locked(|conn| {
        let stored = lock(conn, name)?;
        Ok(delete::remove(conn, &Actor::command_line(), &stored, desk.now)?)
    })?;
    print::line(format!("bridge `{name}` is deleted, and its own keys are revoked"));
    Ok(())
}

fn turn(settings: &Settings, name: &str, on: bool) -> Outcome {
    let desk = settings.desk()?;
    desk.write_locked(|conn| Ok(switch::switch(conn, &Actor::command_line(), name, on, desk.now)?))?;
    print::line(if on {
        format!("bridge `{name}` mints again; running servers follow within seconds")
    } else {
        format!(
            "bridge `{name}` is stopped, on every running server within seconds; tokens that it minted live to their end"
        )
    });
    Ok(())
}
