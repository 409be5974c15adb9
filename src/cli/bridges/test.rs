//! `passmint bridges test`.

use serde_json::{Map, Value};

use super::{Known as KnownBridges, find, known};
use crate::bridge::Inputs;
use crate::bridge::facts::Kind;
use crate::bridge::trial::{Trial, decoded};
use crate::bridge::{BridgeToken, Facts, Known, MintRequest, Needs, facts_of as facts};
use crate::cli::Outcome;
use crate::cli::desk::{Desk, Refusal};
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::domain::audit::Provenance;
use crate::domain::client::{Client, ClientDefinition, ClientKind};
use crate::domain::id::{SessionId, UserId};
use crate::storage::bridges::StoredBridge;
use crate::storage::{audit, credentials, users};

/// The person that a real token is for, and the caller's inputs.
#[derive(Clone, Copy)]
pub struct Person<'a> {
    /// The person the token is for.
    pub id: UserId,
    /// `name=value`.
    pub inputs: &'a [String],
}

impl Person<'_> {
    /// The inputs by name: as text if the bridge wants text, otherwise parsed as JSON.
    fn inputs(&self, declared: &Inputs) -> Result<Map<String, Value>, String> {
        let read = |input: &String| {
            let (name, text) =
                input.split_once('=').ok_or_else(|| format!("`--input {input}` has no `=`: write name=value"))?;
            let is_text = declared.find(name).is_none_or(|input| input.kind() == Kind::Text);
            let json = || serde_json::from_str(text).unwrap_or_else(|_| text.into());
            Ok((name.to_owned(), if is_text { text.into() } else { json() }))
        };
        self.inputs.iter().map(read).collect()
    }
}

/// Renders, checks and signs a token, and shows it.
pub fn test(settings: &Settings, name: &str, person: Option<Person<'_>>, json: bool) -> Outcome {
    let desk = settings.desk()?;
    let all = known(&desk)?;
    let row = find(&all.rows, name)?;
    let trials = trials(&desk, &all, row, person)?;
    let user = person.map(|person| person.id);
    let gives = |minted: &BridgeToken| !decoded(&minted.token).0.is_null();
    if let (Some(user), [Trial { minted: Ok(minted), .. }]) = (user, trials.as_slice())
        && gives(minted)
    {
        // A real token is recorded in the audit trail like any other.
        let mut event = minted.event(user, SessionId::random(), None, desk.now, &Provenance::default());
        event.session = None;
        event.detail["by"] = "passmint bridges test".into();
        desk.write(|conn| Ok(audit::insert(conn, &event)?))?;
    }
    report(&trials, user.is_some(), json)
}

/// Tries the samples, or one person. This also works for a disabled bridge, so that it can be checked before it is
/// enabled again.
fn trials(
    desk: &Desk,
    all: &KnownBridges,
    row: &StoredBridge,
    person: Option<Person<'_>>,
) -> Result<Vec<Trial>, String> {
    let bridges = all.directory(desk)?;
    let ready = all.ready(&bridges, row, desk.now).map_err(|mistakes| mistakes.join("\n"))?;
    let Some(person) = person else { return Ok(Trial::samples(&bridges, &ready)) };
    let declared = ready.bridge.inputs();
    let inputs = declared.accept(Some(&person.inputs(declared)?)).map_err(|refusal| refusal.to_string())?;
    let facts = Facts { inputs, ..facts_of(desk, &row.name, person.id)? };
    Ok(vec![Trial::of(person.id.to_string(), &bridges, &ready, &facts, desk.now)])
}

/// Tries the samples of one bridge, for the doctor. Returns the length of the longest token.
pub fn try_samples(desk: &Desk, all: &KnownBridges, row: &StoredBridge) -> Result<usize, String> {
    let mut longest = 0;
    for trial in trials(desk, all, row, None)? {
        match (&trial.minted, trial.error()) {
            (Ok(minted), _) => longest = longest.max(minted.token.len()),
            (Err(_), Some(error)) if !trial.is_choice() => return Err(error),
            (Err(_), _) => {}
        }
    }
    Ok(longest)
}

fn facts_of(desk: &Desk, name: &str, id: UserId) -> Result<Facts, String> {
    let (user, passkeys, known) = desk.read(|conn| {
        let user = users::find(conn, id)?.ok_or_else(|| {
            Refusal(format!("there is no person with the ID {id}; `passmint users list` shows everybody"))
        })?;
        let passkeys = credentials::of_users(conn, &[id], None)?;
        Ok((user, passkeys, Known::of(conn, id, Needs::ALL)?))
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
        audience: &[],
        act: None,
        inputs: None,
        longest: None,
    };
    Ok(facts(&request, scopes, known))
}

/// The client that the token names.
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

fn report(trials: &[Trial], real: bool, json: bool) -> Outcome {
    if json {
        print::json(&trials.iter().map(document).collect::<Vec<_>>())?;
    } else {
        for trial in trials {
            show(trial, real);
        }
        if !real {
            print::line("sample tokens are of the past: no target accepts them");
        }
    }
    // A sample user may lack something that the template requires. That such users get no token is then intended by the
    // template.
    let faults = trials.iter().filter(|trial| trial.minted.is_err() && (real || !trial.is_choice()));
    match faults.count() {
        0 => Ok(()),
        count => Err(format!("{count} of {} tokens could not be minted", trials.len())),
    }
}

/// The output for scripts, including the token.
fn document(trial: &Trial) -> serde_json::Value {
    let mut document = trial.document();
    if let Ok(minted) = &trial.minted {
        document["token"] = minted.token.as_str().into();
    }
    document
}

fn show(trial: &Trial, real: bool) {
    let whom = if real { trial.whom.clone() } else { format!("sample user `{}`", trial.whom) };
    match &trial.minted {
        Ok(minted) => {
            let (header, claims) = decoded(&minted.token);
            print::line(format!("{whom}: {} bytes, for {} s", minted.token.len(), minted.expires_in));
            if !header.is_null() {
                print::line(format!("{header}"));
            }
            print::line(serde_json::to_string_pretty(&claims).unwrap_or_default());
            print::line(if header.is_null() { String::new() } else { format!("{}\n", minted.token) });
        }
        Err(_) => print::line(format!("{whom}: no token: {}\n", trial.error().unwrap_or_default())),
    }
}
