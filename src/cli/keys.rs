//! `passmint keys …`: the master key and the signing keys.

mod import;
mod list;
mod master;
mod rotate;

use std::path::PathBuf;

use clap::Subcommand;

use super::Outcome;
use super::settings::Settings;
use crate::tokens::keys::{Algorithm, Use};

/// The master key and the signing keys.
#[derive(Subcommand)]
pub enum Keys {
    /// Create the master key, once, for an installation that uses your own database (DATABASE_URL).
    Init,
    /// Show every signing key.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Switch to the next key: it is published first, then signs, while the old key still verifies.
    Rotate {
        /// Only the keys for this: `tokens`, `refresh` or `bridge:<name>`.
        #[arg(long, value_parser = purpose)]
        purpose: Option<Use>,
        /// Only the keys of this algorithm: ES256, RS256, EdDSA or HS256.
        #[arg(long, value_parser = algorithm)]
        algorithm: Option<Algorithm>,
        /// Sign with the next key at once, without publishing it first; verifiers that cache keys must fetch them
        /// again.
        #[arg(long)]
        now: bool,
    },
    /// Store a private key created elsewhere; it signs once it has been published long enough.
    Import {
        /// What it signs: `tokens` or `bridge:<name>`.
        #[arg(long, value_parser = purpose)]
        purpose: Use,
        /// A private key: PEM (PKCS#8, PKCS#1 or SEC 1, not encrypted) or a JWK.
        file: PathBuf,
    },
    /// Revoke a signing key at once: nothing it signed is accepted any more. Its successor signs from now on.
    Revoke {
        /// The key's id, as `keys list` shows it.
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
    /// Change the master key while servers run: re-encrypt everything with the key in a file.
    Rewrap {
        /// The new master key; created if the file does not exist.
        #[arg(long, value_name = "FILE")]
        new_key_file: PathBuf,
    },
}

impl Keys {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        match self {
            Self::Init => master::init(settings),
            Self::List { json } => list::list(settings, json),
            Self::Rotate { purpose, algorithm, now } => rotate::rotate(settings, purpose.as_ref(), algorithm, now),
            Self::Import { purpose, file } => import::import(settings, &purpose, &file),
            Self::Revoke { kid } => rotate::revoke(settings, &kid),
            Self::Rewrap { new_key_file } => master::rewrap(settings, &new_key_file),
        }
    }
}

fn purpose(text: &str) -> Result<Use, String> {
    text.parse().map_err(|_| "write `tokens`, `refresh` or `bridge:<name>`".to_owned())
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    let known = text.parse().ok().filter(|algorithm| Algorithm::OURS.contains(algorithm));
    known.ok_or_else(|| format!("write one of {}", Algorithm::OURS.map(Algorithm::as_str).join(", ")))
}
