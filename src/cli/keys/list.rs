//! `passmint keys list`.

use serde::Serialize;

use crate::cli::Outcome;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::clock::Time;
use crate::storage::signing_keys::{self, SealedKey};
use crate::tokens::keys::KeyState;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    kid: String,
    purpose: String,
    algorithm: String,
    state: &'static str,
    published_at: Time,
    signs_from: Time,
    retired_at: Option<Time>,
    verifies_until: Option<Time>,
    revoked_at: Option<Time>,
}

impl Key {
    fn of(row: SealedKey, now: Time) -> Self {
        let state = KeyState::at(row.signs_from, [row.retired_at, row.verifies_until, row.revoked_at], now);
        Self {
            kid: row.kid,
            purpose: row.purpose,
            algorithm: row.algorithm,
            state: state.as_str(),
            published_at: row.published_at,
            signs_from: row.signs_from,
            retired_at: row.retired_at,
            verifies_until: row.verifies_until,
            revoked_at: row.revoked_at,
        }
    }
}

/// Shows every key without opening any.
pub fn list(settings: &Settings, json: bool) -> Outcome {
    let desk = settings.desk()?;
    let rows = desk.read(|conn| Ok(signing_keys::all(conn)?))?;
    let mut keys: Vec<Key> = rows.into_iter().map(|row| Key::of(row, desk.now)).collect();
    keys.sort_by(|a, b| (&a.purpose, &a.algorithm, a.signs_from).cmp(&(&b.purpose, &b.algorithm, b.signs_from)));
    if json {
        return print::json(&keys);
    }
    if keys.is_empty() {
        print::line("there are no signing keys yet: the server makes them at its first start");
        return Ok(());
    }
    let row = |key: &Key| {
        let end = key.revoked_at.or(key.verifies_until);
        let dates = [Some(key.signs_from), key.retired_at, end].map(print::maybe);
        let mut cells = vec![key.kid.clone(), key.purpose.clone(), key.algorithm.clone(), key.state.to_owned()];
        cells.extend(dates);
        cells
    };
    print::table(
        &["KEY ID", "PURPOSE", "ALGORITHM", "STATE", "SIGNS FROM", "SIGNS UNTIL", "VERIFIES UNTIL"],
        &keys.iter().map(row).collect::<Vec<_>>(),
    );
    Ok(())
}
