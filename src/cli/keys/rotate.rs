//! `passmint keys rotate` and `keys revoke`.

use std::collections::BTreeSet;

use diesel::PgConnection;

use crate::assembly::open_master_key;
use crate::cli::Outcome;
use crate::cli::desk::{Desk, Refusal};
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::key_plan::KeyPlan;
use crate::storage::signing_keys;
use crate::tokens::keys::rotation::{Change, Trigger};
use crate::tokens::keys::{Algorithm, KeyState, Use};
use crate::tokens::rotate as keys;

type Family = (Use, Algorithm);

/// Rotates all families of keys that match the options.
pub fn rotate(settings: &Settings, purpose: Option<&Use>, algorithm: Option<Algorithm>, at_once: bool) -> Outcome {
    let desk = settings.desk()?;
    let trigger = if at_once { Trigger::AtOnce } else { Trigger::Request };
    let done = desk.write_locked(|conn| {
        let plan = KeyPlan::of_database(conn, &desk.config)?;
        let master = open_master_key(conn, &desk.config)?;
        let mut done = Vec::new();
        for (usage, algorithm) in chosen(live_families(conn, &desk)?, purpose, algorithm)? {
            let policy = plan.policy(&usage);
            let changes = keys::rotate(conn, &master, (&usage, algorithm), policy, trigger, desk.now)?;
            done.push((usage, algorithm, changes));
        }
        Ok(done)
    })?;
    for (usage, algorithm, changes) in &done {
        print::line(format!("{usage} {algorithm}: {}", told(changes)));
    }
    print::line("running servers follow within seconds; `passmint keys list` shows all keys");
    Ok(())
}

fn live_families(conn: &mut PgConnection, desk: &Desk) -> Result<BTreeSet<Family>, Refusal> {
    let mut families = BTreeSet::new();
    for row in signing_keys::all(conn)? {
        let state = KeyState::at(row.signs_from, [row.retired_at, row.verifies_until, row.revoked_at], desk.now);
        if matches!(state, KeyState::Signing | KeyState::Published) {
            let unknown = |error| Refusal(format!("signing key {}: {error}", row.kid));
            families.insert((row.purpose.parse().map_err(unknown)?, row.algorithm.parse().map_err(unknown)?));
        }
    }
    Ok(families)
}

fn chosen(
    families: BTreeSet<Family>,
    purpose: Option<&Use>,
    algorithm: Option<Algorithm>,
) -> Result<Vec<Family>, Refusal> {
    let all: Vec<String> = families.iter().map(|(usage, algorithm)| format!("{usage} {algorithm}")).collect();
    let wanted = |family: &Family| {
        purpose.is_none_or(|purpose| family.0 == *purpose) && algorithm.is_none_or(|algorithm| family.1 == algorithm)
    };
    let chosen: Vec<Family> = families.into_iter().filter(wanted).collect();
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    Err(Refusal(if all.is_empty() {
        "there are no signing keys yet: the server makes them at its first start".to_owned()
    } else {
        format!("no key of that purpose and algorithm signs; there is {}", all.join(", "))
    }))
}

fn told(changes: &[Change]) -> String {
    let began = changes.iter().find_map(|change| match change {
        Change::Insert { signs_from, .. } | Change::Promote { signs_from, .. } => Some(signs_from),
        Change::Retire { .. } | Change::Revoke { .. } => None,
    });
    let ended = changes.iter().find_map(|change| match change {
        Change::Retire { kid, verifies_until, .. } => Some((kid, verifies_until)),
        _ => None,
    });
    match (began, ended) {
        (None, _) => "the next key is published already and will sign soon; --now lets it sign at once".to_owned(),
        (Some(signs), None) => format!("a key signs from {}", print::time(*signs)),
        (Some(signs), Some((kid, until))) => {
            format!("the next key signs from {}; {kid} verifies until {}", print::time(*signs), print::time(*until))
        }
    }
}

/// Revokes one key.
pub fn revoke(settings: &Settings, kid: &str) -> Outcome {
    let desk = settings.desk()?;
    let (usage, changes) = desk.write_locked(|conn| {
        let rows = signing_keys::all(conn)?;
        let row = rows
            .iter()
            .find(|row| row.kid == kid)
            .ok_or_else(|| Refusal(format!("there is no signing key {kid}; `passmint keys list` shows all of them")))?;
        if let Some(at) = row.revoked_at {
            return Err(Refusal(format!("signing key {kid} was revoked at {} already", print::time(at))));
        }
        let usage: Use = row.purpose.parse().map_err(|error| Refusal(format!("signing key {kid}: {error}")))?;
        let master = open_master_key(conn, &desk.config)?;
        let plan = KeyPlan::of_database(conn, &desk.config)?;
        let changes = keys::revoke(conn, &master, kid, plan.policy(&usage), desk.now)?;
        Ok((usage, changes))
    })?;
    print::line(format!("{kid} is revoked: running servers accept nothing that it signed within seconds"));
    if changes.len() > 1 {
        print::line("another key signs in its place from now on");
    }
    print::line(match usage {
        Use::Refresh => "everybody whose refresh token it signed has to sign in again",
        Use::Tokens => "resource servers refuse its tokens as soon as they fetch the JWKS again",
        Use::Forward => "protected hosts refuse its signed headers as soon as they fetch the JWKS again",
        Use::Bridge(_) => "the bridge's target refuses its tokens as soon as it has the new public key: see to it",
    });
    Ok(())
}
