//! `passmint keys init` and `keys rewrap`: the master key.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::assembly::{
    Missing, create_master_key, mark_with_master_key, master_key_file, master_key_is_in_place, open_master_key,
};
use crate::cli::Outcome;
use crate::cli::desk::{Desk, Refusal};
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::storage::{audit, installation, migrations};
use crate::tokens::rotate;
use crate::tokens::seal::{MasterKey, MasterKeyFile};

/// Creates the master key, once for each database.
pub fn init(settings: &Settings) -> Outcome {
    let loaded = settings.load()?;
    if loaded.config.database.url.is_none() {
        return Err("no database is named: with its private database the server makes the master key by itself, at its first start; `keys init` is for a database of your own (set DATABASE_URL)".to_owned());
    }
    let desk = Desk::open(loaded, Missing::Refuse)?;
    let file = desk.config.keys.master_key_file.display().to_string();
    // The tables come first, so that the database can record that it was done.
    let id = desk.read(|conn| {
        migrations::locked(conn, |conn| {
            migrations::migrate(conn)?;
            Ok(make(conn, &desk))
        })?
    })?;
    print::line(format!("made master key {id} in {file}"));
    print::line("next:");
    print::line("  1. keep a copy of the file apart from the database's backups: without it, what it seals is lost");
    print::line(
        "  2. give every server of this database the same file (PASSMINT_MASTER_KEY_FILE names it), readable by the server's user only",
    );
    print::line("  3. start with `passmint serve`");
    Ok(())
}

fn make(conn: &mut diesel::PgConnection, desk: &Desk) -> Result<String, Refusal> {
    if let Some(mark) = installation::find(conn)? {
        let (id, file) = (&mark.id, desk.config.keys.master_key_file.display());
        return Err(Refusal(if master_key_is_in_place(&desk.config, &mark) {
            format!("this database has master key {id} already, and {file} holds it: nothing is to be done")
        } else {
            format!(
                "this database has master key {id} already: copy that key's file from a server or a backup to {file}"
            )
        }));
    }
    let key = create_master_key(&desk.config)?;
    diesel::Connection::transaction(conn, |conn| {
        mark_with_master_key(conn, &key, desk.now)?;
        let event = Event {
            subject: Some(key.id()),
            detail: json!({ "change": "made" }),
            ..Event::new(EventKind::MasterKeyChanged, desk.now, &Provenance::default())
        };
        audit::insert(conn, &event)?;
        Ok::<_, Refusal>(key.id())
    })
}

/// Seals everything again with another master key, and puts that key in the old one's place.
pub fn rewrap(settings: &Settings, new_key_file: &Path) -> Outcome {
    let desk = settings.desk()?;
    let current = master_key_file(&desk.config);
    let same = |path: &Path| fs::canonicalize(path).ok();
    if same(new_key_file).is_some() && same(new_key_file) == same(&current.path) {
        return Err(format!(
            "{} is the file of the master key in use: name another one, which is made when it does not exist",
            new_key_file.display()
        ));
    }
    // Before anything is created: a wrong or missing old key is refused here.
    let old = desk.read(|conn| Ok(open_master_key(conn, &desk.config)?))?;
    if place(new_key_file) == place(&current.kept_as(&old)) {
        return Err(format!("{} is where the old master key is kept: name another file", new_key_file.display()));
    }
    let (new, made) = new_key(&current, new_key_file)?;
    if new.id() == old.id() {
        return Err(format!("{} holds the master key in use: name a file with another one", new_key_file.display()));
    }
    let sealed = desk.write_locked(|conn| {
        // Checked again under the lock, so that of two concurrent changes the second one fails.
        let old = open_master_key(conn, &desk.config)?;
        Ok(rotate::rewrap(conn, &old, &new, desk.now)?)
    })?;
    if made {
        print::line(format!("made master key {} in {}", new.id(), new_key_file.display()));
    }
    print::line(format!("sealed {sealed} keys under master key {} instead of {}", new.id(), old.id()));
    put_in_place(&current, &old, &new, new_key_file);
    Ok(())
}

/// The path of a file that may not exist yet: its canonical folder, and its name.
fn place(file: &Path) -> Option<PathBuf> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(fs::canonicalize(folder).ok()?.join(file.file_name()?))
}

fn new_key(current: &MasterKeyFile, file: &Path) -> Result<(MasterKey, bool), String> {
    if file.exists() {
        let file = MasterKeyFile { path: file.to_owned(), group: current.group };
        return file.load().map(|key| (key, false)).map_err(|error| error.to_string());
    }
    MasterKey::create(file).map(|key| (key, true)).map_err(|error| error.to_string())
}

/// The database is sealed with the new key from here on, so nothing here may make the command fail.
fn put_in_place(current: &MasterKeyFile, old: &MasterKey, new: &MasterKey, new_key_file: &Path) {
    let (here, there) = (current.path.display(), new_key_file.display());
    match current.replace(old, new) {
        Ok(kept) => {
            print::line(format!(
                "{here} now contains the new key; the old one is kept in {} for old backups of the database",
                kept.display()
            ));
            print::line("servers on this machine follow within seconds");
            print::line(format!(
                "next: replace the file on every other server, which uses the keys it has until then; then keep \
                 {there} as your copy, or delete it"
            ));
        }
        Err(error) => {
            print::line(format!("{here} could not be replaced ({error})"));
            print::line(format!(
                "next: put {there} in its place on every server now; they go on with the keys they have until then, but cannot be restarted"
            ));
        }
    }
}
