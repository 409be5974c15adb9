//! `passmint trusted-issuers …`: other issuers whose tokens are accepted.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::settings::Settings;
use super::{Outcome, print};
use crate::assembly::{declared_trusted_issuers, outbound};
use crate::bridge::trusted::{KeyOrigin, TrustedIssuers};
use crate::clock::Clock;
use crate::domain::exchange::SubjectKind;
use crate::domain::trust::Mapping;
use crate::tokens::verifier::MAX_TOKEN;

/// Others whose tokens are believed.
#[derive(Subcommand)]
pub enum TrustedIssuersCommand {
    /// Show every trusted issuer of the configuration.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say whether a token would be accepted, and show its claims, or say why not. Fetches the issuer's keys, but uses
    /// up nothing and signs nobody in. Does not check whether the token was used before, or whom it identifies here.
    Check {
        /// The trusted issuer's name.
        name: String,
        /// A file with the token.
        #[arg(value_name = "TOKEN-FILE")]
        file: PathBuf,
    },
}

impl TrustedIssuersCommand {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        match self {
            Self::List { json } => list(settings, json),
            Self::Check { name, file } => check(settings, &name, &file),
        }
    }
}

fn list(settings: &Settings, json: bool) -> Outcome {
    let config = settings.load()?.config;
    let declared = declared_trusted_issuers(&config).map_err(|error| error.to_string())?;
    let rows = declared.iter().map(|one| {
        let keys = match &one.keys {
            KeyOrigin::Discovery => "discovery".to_owned(),
            KeyOrigin::At(uri) => uri.clone(),
            KeyOrigin::Given(_) => "given".to_owned(),
        };
        (
            one.trust.name.clone(),
            one.trust.issuer.clone(),
            keys,
            people(one.trust.mapping),
            one.trust.algorithms.join(", "),
        )
    });
    if json {
        let document = |(name, issuer, keys, subject, algorithms)| json!({ "name": name, "issuer": issuer, "keys": keys, "subject": subject, "algorithms": algorithms });
        return print::json(&rows.map(document).collect::<Vec<Value>>());
    }
    let row = |(name, issuer, keys, subject, algorithms): (String, String, String, &str, String)| {
        vec![name, issuer, keys, subject.to_owned(), algorithms]
    };
    print::table(&["NAME", "ISSUER", "KEYS", "PEOPLE", "ALGORITHMS"], &rows.map(row).collect::<Vec<_>>());
    Ok(())
}

const fn people(mapping: Mapping) -> &'static str {
    match mapping {
        Mapping::Linked => "linked",
        Mapping::VerifiedEmail => "verified_email",
        Mapping::Create => "create",
    }
}

fn check(settings: &Settings, name: &str, file: &Path) -> Outcome {
    let config = settings.load()?.config;
    let declared = declared_trusted_issuers(&config).map_err(|error| error.to_string())?;
    let outbound = outbound(&config).map_err(|error| error.to_string())?;
    let clock = Clock::system();
    let issuers = TrustedIssuers::new(declared, &outbound, &clock);
    let issuer = issuers.find(name).ok_or_else(|| {
        let names: Vec<&str> = config.trusted_issuers.iter().map(|one| one.trust.name.as_str()).collect();
        format!("no trusted issuer is named `{name}`; there is {}", print::list(names))
    })?;
    let token = read(file)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let mut refusals = Vec::new();
    for kind in [SubjectKind::Jwt, SubjectKind::IdToken, SubjectKind::AccessToken, SubjectKind::IdJag] {
        if !issuer.trust().kinds.contains(&kind) {
            continue;
        }
        match runtime.block_on(issuer.believe(&token, kind, clock.now())) {
            Ok(believed) => {
                print::note(BELIEVED);
                return print::json(&believed.claims);
            }
            Err(refusal) => refusals.push(format!("as {}: {refusal}", word(kind))),
        }
    }
    Err(format!("the token is not believed: {}", refusals.join("; ")))
}

/// What can be said from the token alone.
const BELIEVED: &str = "accepted: signature, issuer, audience, times and types are valid. Not checked: whether it was \
    used before, whom it identifies here, and which clients and rules may use it.";

const fn word(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::Jwt => "jwt",
        SubjectKind::IdToken => "id_token",
        SubjectKind::AccessToken => "access_token",
        SubjectKind::IdJag => "id_jag",
        SubjectKind::TxnToken => "txn_token",
    }
}

fn read(file: &Path) -> Result<String, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("{} cannot be read: {error}", file.display());
    let size = fs::metadata(file).map_err(|error| unreadable(&error))?.len();
    if size > MAX_TOKEN as u64 + 16 {
        return Err(format!("{} is larger than any token that is accepted", file.display()));
    }
    let text = fs::read_to_string(file).map_err(|error| unreadable(&error))?;
    Ok(text.trim().to_owned())
}
