//! `passmint bridges …`: the systems that custom tokens are minted for.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Subcommand;
use serde_json::{Value, json};

use super::Outcome;
use super::desk::{Desk, Refusal};
use super::presets;
use super::print;
use super::settings::Settings;
use crate::assembly::{declared_bridge, open_master_key};
use crate::bridge::{
    self, Bridge, BridgeError, BridgeToken, Facts, Key, Known, Material, MintRequest, directory, sample_moment,
};
use crate::clock::Time;
use crate::config::DeclaredBridge;
use crate::domain::audit::Provenance;
use crate::domain::client::{Client, ClientDefinition, ClientKind};
use crate::domain::id::{SessionId, UserId};
use crate::storage::{audit, credentials, users};
use crate::tokens::keys::Algorithm as KeyAlgorithm;
use crate::tokens::{Keys, MintError};

/// The systems that custom tokens are minted for.
#[derive(Subcommand)]
pub enum Bridges {
    /// Show every bridge of the configuration.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the targets there are presets for, and how it is known that each takes its tokens.
    Presets {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Render, check and sign what a bridge would mint, and show the token, what it says and its size.
    Test {
        /// The bridge's name.
        name: String,
        /// For this person instead of the three samples: a real token, good at the target until it ends.
        #[arg(long, value_name = "ID")]
        user: Option<UserId>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Bridges {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        match self {
            Self::List { json } => list(settings, json),
            Self::Presets { json } => presets::list(json),
            Self::Test { name, user, json } => test(settings, &name, user, json),
        }
    }
}

fn list(settings: &Settings, json: bool) -> Outcome {
    let config = settings.load()?.config;
    if json {
        let document = |declared: &DeclaredBridge| json!({ "name": declared.definition.name, "preset": declared.definition.preset.as_str(), "enabled": declared.enabled });
        return print::json(&config.bridges.iter().map(document).collect::<Vec<_>>());
    }
    let row = |declared: &DeclaredBridge| {
        let key = match declared_bridge(declared, &config) {
            Ok(bridge) => signs_with(&bridge),
            Err(mistakes) => format!("cannot be used: {}", mistakes.join("; ")),
        };
        let state = if declared.enabled { "enabled" } else { "disabled" };
        vec![declared.definition.name.clone(), declared.definition.preset.as_str().to_owned(), state.to_owned(), key]
    };
    print::table(&["NAME", "PRESET", "STATE", "SIGNS WITH"], &config.bridges.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn signs_with(bridge: &Bridge) -> String {
    match bridge.key() {
        Key::Own(algorithm) => format!("a key of its own, {}", algorithm.as_str()),
        Key::Provider(algorithm) => format!("this server's keys, {}", algorithm.as_str()),
        Key::Imported(Material::ServiceAccount(account)) => format!("the key of {}", account.client_email()),
        Key::Imported(material) if material.algorithm() == KeyAlgorithm::HS256 => {
            "a secret shared with its target".to_owned()
        }
        Key::Imported(material) => format!("an imported key, {}", material.algorithm()),
    }
}

/// What was rendered for whom.
struct Trial {
    whom: String,
    minted: Result<BridgeToken, BridgeError>,
}

fn test(settings: &Settings, name: &str, user: Option<UserId>, json: bool) -> Outcome {
    let desk = settings.desk()?;
    let declared = desk.config.bridges.iter().find(|bridge| bridge.definition.name == name).ok_or_else(|| {
        let names: Vec<&str> = desk.config.bridges.iter().map(|bridge| bridge.definition.name.as_str()).collect();
        format!("no bridge is named `{name}`; there is {}", print::list(names))
    })?;
    let bridge = declared_bridge(declared, &desk.config).map_err(|mistakes| mistakes.join("\n"))?;
    let samples = bridge.samples();
    let desk_of_bridges = ready(&desk, vec![bridge])?;
    let trials = match user {
        Some(user) => {
            let facts = facts_of(&desk, name, user)?;
            vec![Trial { whom: user.to_string(), minted: desk_of_bridges.try_out(name, &facts, desk.now) }]
        }
        // In the past, so that a sample token is worth nothing at the target.
        None => samples
            .iter()
            .map(|(sample, facts)| Trial {
                whom: format!("sample user `{sample}`"),
                minted: desk_of_bridges.try_out(name, facts, sample_moment()),
            })
            .collect(),
    };
    if let (Some(user), [Trial { minted: Ok(minted), .. }]) = (user, trials.as_slice()) {
        witness(&desk, minted, user)?;
    }
    report(&trials, user.is_some(), json)
}

/// The bridges with the keys of the database.
pub fn ready(desk: &Desk, bridges: Vec<Bridge>) -> Result<bridge::Bridges, String> {
    let keys = desk.read(|conn| {
        let master = open_master_key(conn, &desk.config)?;
        Ok(Keys::open(conn, master, desk.now)?)
    })?;
    bridge::Bridges::new(bridges, Arc::new(keys), desk.db.clone(), desk.now)
        .map_err(|name| format!("bridge `{name}`: its key cannot be used for signing"))
}

fn facts_of(desk: &Desk, name: &str, id: UserId) -> Result<Facts, String> {
    let (user, passkeys, known) = desk.read(|conn| {
        let user = users::find(conn, id)?.ok_or_else(|| {
            Refusal(format!("there is nobody with the id {id}; `passmint users list` shows everybody"))
        })?;
        let passkeys = credentials::of_users(conn, &[id], None)?;
        Ok((user, passkeys, Known::of(conn, id)?))
    })?;
    let client = tester();
    let scopes: Vec<String> = vec![format!("bridge:{name}"), "openid".to_owned()];
    let request = MintRequest {
        user: &user,
        session: SessionId::random(),
        acr: "phr",
        amr: &["pop", "user", "mfa"].map(ToOwned::to_owned),
        auth_time: desk.now,
        passkey: passkeys.first(),
        client: &client,
        scopes: &client.definition.scopes,
        inputs: None,
    };
    Ok(directory::facts(&request, scopes, known))
}

/// The client that the token says it is for.
fn tester() -> Client {
    Client {
        id: "passmint".to_owned(),
        definition: ClientDefinition {
            name: "passmint bridges test".to_owned(),
            kind: ClientKind::Public,
            first_party: true,
            ..ClientDefinition::default()
        },
        secret: None,
        previous_secret: None,
        unverified_since: None,
    }
}

/// A real token is witnessed like any other.
fn witness(desk: &Desk, minted: &BridgeToken, user: UserId) -> Result<(), String> {
    let mut event = minted.event(user, SessionId::random(), None, desk.now, &Provenance::default());
    event.session = None;
    event.detail = json!({ "by": "passmint bridges test" });
    desk.write(|conn| Ok(audit::insert(conn, &event)?))
}

fn report(trials: &[Trial], real: bool, json: bool) -> Outcome {
    if json {
        print::json(&trials.iter().map(document).collect::<Vec<_>>())?;
    } else {
        trials.iter().for_each(show);
        if !real {
            print::line("sample tokens are of the past: no target accepts them");
        }
    }
    // A sample user may lack what the template asks for; then such users get no token, which is the template's choice.
    let faults = trials.iter().filter(|trial| trial.minted.as_ref().is_err_and(|error| real || !is_choice(error)));
    match faults.count() {
        0 => Ok(()),
        count => Err(format!("{count} of {} tokens could not be made", trials.len())),
    }
}

/// Whether the template refuses such users on purpose.
pub fn is_choice(error: &BridgeError) -> bool {
    matches!(error, BridgeError::Render(error) if error.is_choice())
}

/// What is wrong and what to do.
pub fn explained(error: &BridgeError) -> String {
    match error {
        BridgeError::Mint(MintError::NoKey { .. }) => {
            format!("{error}: start the server once with this configuration, it makes the key")
        }
        other => other.to_string(),
    }
}

fn document(trial: &Trial) -> Value {
    match &trial.minted {
        Ok(minted) => {
            let (header, claims) = decoded(&minted.token);
            json!({
                "for": trial.whom, "ok": true, "token": minted.token, "bytes": minted.token.len(),
                "expiresIn": minted.expires_in, "header": header, "claims": claims,
            })
        }
        Err(error) => json!({ "for": trial.whom, "ok": false, "error": explained(error) }),
    }
}

fn show(trial: &Trial) {
    match &trial.minted {
        Ok(minted) => {
            let (header, claims) = decoded(&minted.token);
            print::line(format!("{}: {} bytes, for {} s", trial.whom, minted.token.len(), minted.expires_in));
            print::line(format!("{header}"));
            print::line(serde_json::to_string_pretty(&claims).unwrap_or_default());
            print::line(format!("{}\n", minted.token));
        }
        Err(error) => print::line(format!("{}: no token: {}\n", trial.whom, explained(error))),
    }
}

/// Header and claims of a token that was made here a moment ago: to be read by people, not to be trusted.
fn decoded(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        URL_SAFE_NO_PAD.decode(part).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    });
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// Tries the samples of one bridge: for the doctor.
pub fn try_samples(desk: &Desk, bridge: Bridge) -> Result<usize, String> {
    let (name, samples) = (bridge.name().to_owned(), bridge.samples());
    let bridges = ready(desk, vec![bridge])?;
    let moment: Time = sample_moment();
    let mut longest = 0;
    for (_, facts) in &samples {
        match bridges.try_out(&name, facts, moment) {
            Ok(minted) => longest = longest.max(minted.token.len()),
            Err(error) if is_choice(&error) => {}
            Err(error) => return Err(explained(&error)),
        }
    }
    Ok(longest)
}
