//! Import: `passmint import` of people with one passkey each, against plain `COPY` of the rows that it wrote.
//!
//! Both write the same rows into the same tables with all their indexes and foreign keys, on one private cluster with
//! the server's settings. The floor is cheaper in every respect: its rows exist already, it looks nothing up, and it is
//! one transaction.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, ExecuteCopyFromDsl as _, PgConnection};
use passmint::storage::cluster::Cluster;
use passmint::storage::migrations;
use serde_json::json;

use crate::Result;
use crate::authenticator::{Authenticator, encode};
use crate::drive::real;
use crate::process::Home;
use crate::report::{Figure, mib};
use crate::usage::kilobytes;

/// How many people are imported, unless the command line says otherwise.
pub const PEOPLE: u64 = 200_000;
/// Keys are generated once and reused under other ids, because generating them is not measured.
const KEYS: usize = 500;

/// The tables that an import of people with passkeys fills, by their column names: `COPY` needs no more.
mod tables {
    diesel::table! { users (id) { id -> Uuid, user_handle -> Binary, email -> Text, email_verified_at -> Timestamptz,
    name -> Text, profile -> Jsonb, locale -> Text, status -> Text, created_at -> Timestamptz, updated_at -> Timestamptz, } }
    diesel::table! { external_ids (source, external_id) { source -> Text, external_id -> Text, user_id -> Uuid,
    imported_as -> Binary, } }
    diesel::table! { credentials (id) { id -> Uuid, user_id -> Uuid, rp_id -> Text, credential_id -> Binary,
    user_handle -> Binary, passkey -> Jsonb, algorithm -> Integer, sign_count -> BigInt, user_verified -> Bool,
    backup_eligible -> Bool, backup_state -> Bool, transports -> Array<Text>, aaguid -> Uuid, name -> Text,
    created_at -> Timestamptz, first_use_pending -> Bool, backup_flags_known -> Bool, } }
    diesel::table! { credential_index (rp_id, credential_id) { rp_id -> Text, credential_id -> Binary, user_id -> Uuid,
    credential -> Uuid, } }
}

/// Measures; takes some minutes for a million people.
pub fn import(people: u64) -> Result<Vec<Figure>> {
    let home = Home::new("import")?;
    let cluster = Cluster::start(&home.directory().join("data"))?;
    let url = cluster.url();
    let mut conn = PgConnection::establish(&url)?;
    migrations::migrate(&mut conn)?;
    conn.batch_execute("CREATE DATABASE floor")?;
    let file = home.directory().join("people.ndjson");
    write(&file, people)?;

    let (first, memory) = run(&url, &file, people, "created")?;
    let (again, _) = run(&url, &file, people, "unchanged")?;
    let floor = floor(&url, &url.replacen("/passmint?", "/floor?", 1), home.directory())?;
    let each_second = |time: Duration| real(people) / time.as_secs_f64();
    Ok(vec![
        Figure::told(&format!("import of {people} people with a passkey each"), each_second(first), "people/s"),
        Figure::told("COPY of the same rows", each_second(floor), "people/s"),
        Figure::at_least("import against COPY", floor.as_secs_f64() / first.as_secs_f64(), "×", 0.5),
        Figure::at_most("memory of the import", mib(memory), "MB", Some(100.0)),
        Figure::told("the same file again", each_second(again), "people/s"),
    ])
}

/// Writes people as a server that uses SimpleWebAuthn would export them.
fn write(file: &Path, people: u64) -> Result<()> {
    let keys: Vec<String> = (0..KEYS).map(|_| encode(&Authenticator::new("http://localhost").key.cose())).collect();
    let mut out = BufWriter::new(File::create(file)?);
    for number in 0..people {
        let mut credential_id = [0; 32];
        passmint::random::bytes::<32>().iter().zip(&mut credential_id).for_each(|(from, to)| *to = *from);
        let line = json!({
            "id": format!("person-{number}"),
            "email": format!("person-{number}@bench.example"),
            "emailVerified": true,
            "name": format!("Person {number}"),
            "createdAt": "2024-05-06T07:08:09.123Z",
            "passkeys": [{
                "credentialID": encode(&credential_id),
                "publicKey": keys[usize::try_from(number)? % KEYS],
                "counter": number % 7,
                "deviceType": "multiDevice",
                "backedUp": true,
                "transports": ["internal", "hybrid"],
                "aaguid": "fbfc3007-154e-4ecc-8c0b-6e020557d7bd",
                "createdAt": "2024-05-06T07:08:09.123Z",
            }],
        });
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

/// Runs the command to its end; returns its run time and its peak memory.
fn run(url: &str, file: &Path, people: u64, sum: &str) -> Result<(Duration, u64)> {
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_passmint"))
        .args(["import", "--format", "simplewebauthn", "--source", "bench", "--rp-id", "localhost", "--json"])
        .arg(file)
        .env_clear()
        .env("DATABASE_URL", url)
        .env("PASSMINT_PUBLIC_URL", "http://localhost:8080")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut memory = 0;
    while child.try_wait()?.is_none() {
        // The high-water mark disappears with the process.
        memory = kilobytes(&format!("/proc/{}/status", child.id()), "VmHWM:").unwrap_or(memory).max(memory);
        thread::sleep(Duration::from_millis(5));
    }
    let time = begun.elapsed();
    let output = child.wait_with_output()?;
    let told: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    if !output.status.success() || told[sum] != json!(people) {
        return Err(format!("the import did not go as it should: {told}").into());
    }
    Ok((time, memory))
}

/// Copies the rows of one table out into a file and in again; returns how long the way in took.
macro_rules! through {
    ($out:expr, $into:expr, $folder:expr, $table:ident) => {{
        let path = $folder.join(concat!(stringify!($table), ".copy"));
        // A connection of its own: after a `COPY` out it accepts no further command.
        let mut out = PgConnection::establish($out)?;
        let mut rows = diesel::copy_to(tables::$table::table).load_raw(&mut out)?;
        let mut file = BufWriter::new(File::create(&path)?);
        io::copy(&mut rows, &mut file)?;
        file.flush()?;
        let begun = Instant::now();
        diesel::copy_from(tables::$table::table)
            .from_raw_data(tables::$table::table, |copy| -> std::result::Result<(), diesel::result::Error> {
                let failed = |error: io::Error| diesel::result::Error::DeserializationError(Box::new(error));
                let mut file = io::BufReader::with_capacity(1 << 18, File::open(&path).map_err(failed)?);
                loop {
                    let piece = file.fill_buf().map_err(failed)?;
                    if piece.is_empty() {
                        return Ok(());
                    }
                    copy.write_all(piece).map_err(failed)?;
                    let used = piece.len();
                    file.consume(used);
                }
            })
            .execute($into)?;
        let time = begun.elapsed();
        fs::remove_file(&path)?;
        time
    }};
}

/// Copies everything that the import wrote into an empty database of the same cluster.
fn floor(imported: &str, url: &str, folder: &Path) -> Result<Duration> {
    let mut empty = PgConnection::establish(url)?;
    migrations::migrate(&mut empty)?;
    empty.batch_execute("BEGIN")?;
    let mut time = through!(imported, &mut empty, folder, users);
    time += through!(imported, &mut empty, folder, external_ids);
    time += through!(imported, &mut empty, folder, credentials);
    time += through!(imported, &mut empty, folder, credential_index);
    let begun = Instant::now();
    empty.batch_execute("COMMIT")?;
    Ok(time + begun.elapsed())
}
