//! `passmint keys import`.

use std::fs;
use std::path::Path;

use zeroize::Zeroizing;

use crate::assembly::open_master_key;
use crate::bridge::stored::WantedKeys;
use crate::cli::Outcome;
use crate::cli::bridges;
use crate::cli::desk::{Desk, Refusal};
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::key_plan::KeyPlan;
use crate::storage::bridges::StoredBridge;
use crate::storage::signing_keys;
use crate::tokens::keys::{Algorithm, KeyMaterial, Use};
use crate::tokens::{KeysError, rotate};

/// The largest key file.
const MOST: u64 = 64 * 1024;

/// Stores the key of a file.
pub fn import(settings: &Settings, usage: &Use, file: &Path) -> Outcome {
    let desk = settings.desk()?;
    let material = read(file)?;
    check_purpose(&desk, usage, material.algorithm())?;
    let kid = desk.write_locked(|conn| {
        let policy = KeyPlan::of_database(conn, &desk.config)?.policy(usage);
        let known = signing_keys::all(conn)?;
        if known.iter().any(|row| row.kid == material.thumbprint()) {
            return Err(Refusal(format!("this key is stored already, as {}", material.thumbprint())));
        }
        let master = open_master_key(conn, &desk.config)?;
        Ok(rotate::import(conn, &master, usage, &material, policy, desk.now)?)
    })?;
    let rows = desk.read(|conn| Ok(signing_keys::all(conn)?))?;
    let signs_from = rows.iter().find(|row| row.kid == kid).map(|row| row.signs_from);
    print::line(format!(
        "stored as {kid}: {} {}, signs from {}",
        usage,
        material.algorithm(),
        print::maybe(signs_from)
    ));
    print::line(format!("delete {} or store it safely: anyone who has it can sign", file.display()));
    Ok(())
}

fn read(file: &Path) -> Result<KeyMaterial, String> {
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", file.display());
    let length = fs::metadata(file).map_err(unreadable)?.len();
    if length > MOST {
        return Err(format!("{} is too large to be a private key", file.display()));
    }
    let text = Zeroizing::new(fs::read_to_string(file).map_err(unreadable)?);
    let material = if text.trim_start().starts_with('{') {
        // The parser's own message might quote the key.
        let jwk = serde_json::from_str(&text).map_err(|_| format!("{} is not JSON", file.display()))?;
        KeyMaterial::from_jwk(&jwk)
    } else {
        KeyMaterial::from_pem(&text)
    };
    material.map_err(|error| {
        let error = KeysError::Key { kid: String::new(), error };
        let text = error.to_string();
        format!("{}: {}", file.display(), text.trim_start_matches("signing key : "))
    })
}

/// Refuses a key that would never be used for signing.
fn check_purpose(desk: &Desk, usage: &Use, algorithm: Algorithm) -> Result<(), String> {
    let name = match usage {
        Use::Refresh => {
            return Err("refresh tokens are signed with a secret that never leaves the server: there is nothing to import; `passmint keys rotate --purpose refresh` makes a new one".to_owned());
        }
        Use::Tokens if algorithm == Algorithm::HS256 => {
            return Err("tokens are signed with a key whose public half everybody may have: ES256, RS256 or EdDSA, not a shared secret".to_owned());
        }
        Use::Forward if algorithm != Algorithm::ES256 => {
            return Err("headers for protected hosts are signed with ES256: take a P-256 key".to_owned());
        }
        Use::Tokens | Use::Forward => return Ok(()),
        Use::Bridge(name) => name,
    };
    let all = bridges::known(desk)?;
    let row = bridges::find(&all.rows, name)?;
    let wanted =
        WantedKeys::of(&[StoredBridge { enabled: true, stopped_at: None, ..row.clone() }], desk.config.issuer());
    match wanted.own.first().map(|own| own.algorithm) {
        None => Err(format!("bridge `{name}` does not sign with keys of its own: see its setting `key`")),
        Some(wanted) if wanted != algorithm => Err(format!(
            "bridge `{name}` signs with {wanted}, and this is a key for {algorithm}: set bridges.{name}.algorithm, or \
             use another key"
        )),
        Some(_) => Ok(()),
    }
}
