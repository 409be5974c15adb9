//! `passmint import`: people and passkeys from other systems.

mod report;

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use zeroize::Zeroizing;

use super::Outcome;
use super::desk::{Desk, Refusal};
use super::progress::Progress;
use super::settings::Settings;
use crate::assembly::open_master_key;
use crate::config::is_rp_id;
use crate::import::plan::Options;
use crate::import::run::{Mode, Run};
use crate::import::{self, Context, FirebaseParameters, form};
use crate::storage::passwords::{self, SealedParameters};
use crate::tokens::rotate::password_parameters_place;

use report::Report;

/// The largest file of parameters.
const LONGEST_PARAMETERS: u64 = 64 * 1024;
/// Large enough that system calls do not dominate reading.
const BUFFER: usize = 1 << 18;

/// The form of the file.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Our own: what `passmint export` writes.
    Ndjson,
    /// `firebase auth:export --format=json`.
    Firebase,
    /// Auth0's export job, or its file of password hashes.
    Auth0,
    /// A realm export with users.
    Keycloak,
    /// `hanko user export`, with passkeys joined.
    Hanko,
    /// Rows of `user` with `account` and `passkey` joined.
    BetterAuth,
    /// People with the passkeys that a SimpleWebAuthn server keeps.
    Simplewebauthn,
}

impl From<Format> for import::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Ndjson => Self::Ndjson,
            Format::Firebase => Self::Firebase,
            Format::Auth0 => Self::Auth0,
            Format::Keycloak => Self::Keycloak,
            Format::Hanko => Self::Hanko,
            Format::BetterAuth => Self::BetterAuth,
            Format::Simplewebauthn => Self::SimpleWebAuthn,
        }
    }
}

/// The people of a file.
#[derive(Args)]
pub struct Import {
    /// The file, or `-` for standard input.
    file: PathBuf,
    /// Its format; `ndjson` by default.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The name of the system it comes from: each person is identified by their ID there, for ever. May be omitted only
    /// for a file that `passmint export` wrote.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The domain (RP id) of passkeys that name none.
    #[arg(long, value_name = "DOMAIN")]
    rp_id: Option<String>,
    /// Write nothing; report what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Also change people who are already known.
    #[arg(long)]
    update: bool,
    /// Import memberships, and create the groups. A group can carry rights: check the names first.
    #[arg(long)]
    groups: bool,
    /// Write what there is to report to this file, one JSON object per line for each person concerned.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Firebase's password hash parameters, as its console shows them: for a Firebase file, and for a Passmint export
    /// that contains such passwords.
    #[arg(long, value_name = "FILE")]
    hash_parameters: Option<PathBuf>,
    /// The most people in one transaction.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    chunk: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Import {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        let mut context = self.context()?;
        let (input, size) = open(&self.file)?;
        let desk = settings.desk()?;
        context.now = desk.now;
        let options = self.options(&desk, &context)?;
        let mode = if self.dry_run { Mode::DryRun } else { Mode::Write };
        if let Some(parameters) = context.firebase.as_ref().filter(|_| mode == Mode::Write) {
            store(&desk, parameters, options.source.as_deref().unwrap_or("passmint"))?;
        }
        let run = Run {
            db: &desk.db,
            format: self.format().into(),
            context: &context,
            options: &options,
            chunk: usize::try_from(self.chunk).unwrap_or(usize::MAX),
            mode,
        };
        let mut report = Report::new(self.report.as_deref(), Progress::new(size), self.format.is_none())?;
        let result = run.run(BufReader::with_capacity(BUFFER, input), &mut report);
        report.finish(result, mode, self.json)
    }

    fn format(&self) -> Format {
        self.format.unwrap_or(Format::Ndjson)
    }

    fn context(&self) -> Result<Context, String> {
        if let Some(rp_id) = self.rp_id.as_ref().filter(|rp_id| !is_rp_id(rp_id)) {
            return Err(format!("--rp-id {rp_id:?} is no domain: write it as in example.com, without scheme and port"));
        }
        let firebase = match &self.hash_parameters {
            Some(file) if !matches!(self.format(), Format::Firebase | Format::Ndjson) => {
                return Err(format!(
                    "{} is only of use with --format firebase, or with a file that `passmint export` wrote",
                    file.display()
                ));
            }
            Some(file) => Some(parameters(file)?),
            None => None,
        };
        Ok(Context { rp_id: self.rp_id.clone(), firebase, ..Context::default() })
    }

    fn options(&self, desk: &Desk, context: &Context) -> Result<Options, String> {
        let source = self.source.clone().map(|name| form::external_id("--source", name)).transpose();
        let source = source.map_err(|problem| problem.to_string())?;
        if source.is_none() && !matches!(self.format(), Format::Ndjson) {
            return Err("name the system that the file comes from, as in --source firebase: people are known by it and their id there".to_owned());
        }
        Ok(Options {
            source,
            update: self.update,
            groups: self.groups,
            rp_ids: desk.config.relying_parties.iter().map(|party| party.rp_id.clone()).collect(),
            parameters: context.firebase.as_ref().map(FirebaseParameters::id),
            now: desk.now,
        })
    }
}

/// The file and its size, if known.
fn open(file: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), String> {
    if file == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let unreadable = |error: io::Error| format!("{} cannot be read: {error}", file.display());
    let opened = File::open(file).map_err(unreadable)?;
    let about = opened.metadata().map_err(unreadable)?;
    if about.is_dir() {
        return Err(format!("{} is a folder", file.display()));
    }
    Ok((Box::new(opened), about.is_file().then_some(about.len())))
}

fn parameters(file: &Path) -> Result<FirebaseParameters, String> {
    let unreadable = |error: io::Error| format!("{} cannot be read: {error}", file.display());
    if fs::metadata(file).map_err(unreadable)?.len() > LONGEST_PARAMETERS {
        return Err(format!("{} is too large to hold hash parameters", file.display()));
    }
    let text = Zeroizing::new(fs::read_to_string(file).map_err(unreadable)?);
    FirebaseParameters::parse(&text).map_err(|problem| format!("{}: {problem}", file.display()))
}

/// Seals and stores the parameters, unless they are stored already.
fn store(desk: &Desk, parameters: &FirebaseParameters, source: &str) -> Outcome {
    // Under the lock: a concurrent change of the master key would otherwise miss them.
    desk.write_locked(|conn| {
        let master = open_master_key(conn, &desk.config).map_err(Refusal::from)?;
        let id = parameters.id();
        let sealed = master.seal(parameters.text().expose().as_bytes(), password_parameters_place(&id));
        let new = SealedParameters { id, source: source.to_owned(), sealed, created_at: desk.now };
        Ok(passwords::insert_parameters(conn, &new)?)
    })
}
