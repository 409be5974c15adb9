//! The relying-party profiles, and the guard that keeps a start from orphaning passkeys.

use diesel::PgConnection;

use super::StartError;
use crate::ceremony::relying_party::{RelyingParties, RelyingParty};
use crate::config::{AppOrigin, Config};
use crate::storage::relying_parties;

/// The profiles of the configuration.
pub fn profiles(config: &Config) -> Result<RelyingParties, StartError> {
    let timeout = config.passkeys.timeout.to_std().unwrap_or_default();
    let profiles: Vec<RelyingParty> = config
        .relying_parties
        .iter()
        .map(|party| {
            let texts = |origins: &[AppOrigin]| {
                origins.iter().map(|origin| origin.as_str().to_owned()).collect::<Vec<String>>()
            };
            let origins = (texts(&party.origins), texts(&party.related_origins));
            RelyingParty::new(&party.name, &party.rp_id, &party.display_name, origins, party.apps.clone(), timeout)
        })
        .collect();
    let default = config.relying_parties.iter().position(|party| party.default).unwrap_or(0);
    RelyingParties::new(profiles, default)
        .ok_or_else(|| StartError::RelyingParties("no relying party is configured".to_owned()))
}

/// Handles stored passkeys at a start: runs the guard, and marks the configured RP ids as in use.
pub fn settle(conn: &mut PgConnection, config: &Config) -> Result<(), StartError> {
    guard(conn, config)?;
    let configured: Vec<&str> = config.relying_parties.iter().map(|party| party.rp_id.as_str()).collect();
    Ok(relying_parties::take_up(conn, &configured)?)
}

/// Refuses to start if passkeys are stored for an RP id that is not configured: their owners could not sign in.
/// Passkeys left by a quick start on localhost are ignored.
pub fn guard(conn: &mut PgConnection, config: &Config) -> Result<(), StartError> {
    let lost: Vec<String> = relying_parties::in_use(conn)?
        .into_iter()
        .filter(|rp_id| rp_id != "localhost")
        .filter(|rp_id| !config.relying_parties.iter().any(|party| party.rp_id == *rp_id))
        .collect();
    let Some(rp_id) = lost.first() else { return Ok(()) };
    let mut all = Vec::new();
    for rp_id in &lost {
        all.push(format!("{rp_id} ({})", counted(relying_parties::count(conn, rp_id, MOST_COUNTED)?)));
    }
    Err(StartError::RelyingParties(format!(
        "passkeys are stored for RP ids that are not configured: {}. Their owners could not sign in. Set public_url (or a relying_parties entry) back to {rp_id}, or give its passkeys up with `passmint relying-parties retire {rp_id}`, or file them under another id with `passmint relying-parties move {rp_id} <new>`",
        all.join(", ")
    )))
}

/// The most passkeys of a lost RP id that are counted.
const MOST_COUNTED: i64 = 10_000;

fn counted(passkeys: i64) -> String {
    if passkeys < MOST_COUNTED { passkeys.to_string() } else { format!("{MOST_COUNTED} or more") }
}
