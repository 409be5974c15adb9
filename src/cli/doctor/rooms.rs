//! Tests what depends on the database: the master key, the signing keys, the guard of the relying parties, the bridges.

use super::Report;
use crate::assembly::{guard_relying_parties, open_master_key};
use crate::bridge::{Bridge, Key, stored};
use crate::cli::bridges;
use crate::cli::desk::Desk;
use crate::key_plan::KeyPlan;
use crate::storage::bridges::StoredBridge;
use crate::storage::{installation, signing_keys as stored_keys};
use crate::tokens::{Keys, probe};

/// Tests them.
pub(super) fn examine(report: &mut Report, desk: &Desk) {
    let guard = desk.read(|conn| Ok(guard_relying_parties(conn, &desk.config)?));
    report.note("stored passkeys", guard.map(|()| "every RP id that passkeys are stored for is configured"));
    let sealed = match desk.read(|conn| Ok(installation::find(conn)?)) {
        Ok(mark) => mark.is_some(),
        Err(error) => return report.wrong("master key", error),
    };
    if !sealed && desk.config.database.url.is_none() {
        return report.good("master key", "not made yet: the first `passmint serve` makes it");
    }
    let master = match desk.read(|conn| Ok(open_master_key(conn, &desk.config)?)) {
        Ok(master) => master,
        Err(error) => return report.wrong("master key", error),
    };
    let file = desk.config.keys.master_key_file.display();
    report.good("master key", format!("{} in {file}, the one that the database is sealed with", master.id()));
    // The state between `keys init` and the first start.
    let none_yet = match desk.read(|conn| Ok(stored_keys::all(conn)?.is_empty())) {
        Ok(none_yet) => none_yet,
        Err(error) => return report.wrong("signing keys", error),
    };
    match desk.read(|conn| Ok(Keys::open(conn, master, desk.now)?)) {
        Ok(_) if none_yet => report.good("signing keys", "not made yet: the first `passmint serve` makes them"),
        Ok(keys) => signing_keys(report, desk, &keys),
        Err(error) => return report.wrong("signing keys", error),
    }
    match bridges::known(desk) {
        Ok(all) => {
            for row in all.rows.iter().filter(|row| row.is_on()) {
                if none_yet && signs_with_ours(desk, row) {
                    report
                        .good(format!("bridge {}", row.name), "tried once the first `passmint serve` has made its key");
                    continue;
                }
                let longest = bridges::try_samples(desk, &all, row);
                report.note(format!("bridge {}", row.name), longest.map(told));
            }
        }
        Err(error) => report.wrong("bridges", error),
    }
}

fn signs_with_ours(desk: &Desk, row: &StoredBridge) -> bool {
    let definition = stored::definition(row, desk.config.issuer()).ok();
    let bridge = definition.and_then(|definition| Bridge::new(definition).ok());
    bridge.is_some_and(|bridge| matches!(bridge.key(), Key::Own(_) | Key::Provider(_)))
}

/// Opening has read every key; of each kind that a server needs, the key that signs now is tested.
fn signing_keys(report: &mut Report, desk: &Desk, keys: &Keys) {
    let plan = KeyPlan::new(&desk.config);
    let ring = keys.ring();
    for (usage, algorithm) in plan.at_start.iter().chain(&plan.later) {
        let tried = probe::sign_and_verify(&ring, usage, *algorithm, desk.now)
            .map(|()| "opens, signs and verifies".to_owned())
            .map_err(|error| format!("{error}: start the server, which makes what is missing"));
        report.note(format!("signing key {usage} {algorithm}"), tried);
    }
}

fn told(longest: usize) -> String {
    format!("renders, keeps the target's rules and signs for the sample users ({longest} bytes at most)")
}
