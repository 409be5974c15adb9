//! The commands, one file each. All read the same configuration in the same way.
//!
//! Invariants: every command works beside a running server, both with an external database and with the private cluster
//! ([`desk`]); its changes are recorded in the audit trail in the same transaction; a refusal is one clear line that
//! says what to do, with exit code 1. The output is for people; `--json` is for scripts.
//!
//! To add a command: a file with a clap type and a `run`, a variant of [`Command`], and a test in `tests/it/cli.rs`.

mod bridges;
mod clients;
mod desk;
mod docs;
mod doctor;
mod export;
mod import;
mod keys;
mod migrate;
mod outbox;
mod presets;
mod print;
mod progress;
mod registration_tokens;
mod relying_parties;
mod resources;
mod restored;
mod serve;
mod settings;
mod trusted_issuers;
mod users;
mod webhooks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::clock::Time;
use crate::domain::id::{PasskeyId, UserId};
use settings::Settings;

/// An example of an id.
const AN_ID: &str = "6f1c1f1e-5a8b-4c53-9d0e-0d8b6c1f2a37";

/// Passkeys in, tokens out: an identity provider in one binary.
#[derive(Parser)]
#[command(name = "passmint", version)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve,
    /// Read the configuration, report every mistake, and show what was understood.
    CheckConfig,
    /// Check everything a server needs, and say how to fix what is wrong.
    Doctor(doctor::Doctor),
    /// Apply pending migrations to the database (the server also does this at start).
    Migrate(migrate::Migrate),
    /// After restoring a backup: end the sessions and tokens it brought back.
    Restored(restored::Restored),
    /// The master key and the signing keys.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// The apps that may ask for tokens.
    #[command(subcommand)]
    Clients(clients::Clients),
    /// The people who have an account.
    #[command(subcommand)]
    Users(users::Users),
    /// The APIs that access tokens are made for.
    #[command(subcommand)]
    Resources(resources::Resources),
    /// Permissions for apps to register themselves.
    #[command(subcommand)]
    RegistrationTokens(registration_tokens::RegistrationTokens),
    /// The domains that passkeys are bound to.
    #[command(subcommand)]
    RelyingParties(relying_parties::RelyingParties),
    /// The systems that custom tokens are minted for.
    #[command(subcommand)]
    Bridges(bridges::Bridges),
    /// Others whose tokens are believed.
    #[command(subcommand)]
    TrustedIssuers(trusted_issuers::TrustedIssuersCommand),
    /// Messages to other systems that have not arrived.
    #[command(subcommand)]
    Outbox(outbox::Outbox),
    /// Those who are told of events.
    #[command(subcommand)]
    Webhooks(webhooks::Webhooks),
    /// Import people and their passkeys from another system; importing the same file again changes nothing.
    Import(import::Import),
    /// Export all people with everything needed to move elsewhere, including the public keys of passkeys.
    Export(export::Export),
    /// Print reference documentation.
    Docs {
        /// Which page.
        #[arg(value_enum)]
        page: docs::Page,
        /// With `bridges`: the page of one target.
        name: Option<String>,
    },
}

/// Runs the program; returns its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let settings = &cli.settings;
    let result = match cli.command {
        Command::Docs { page, name } => docs::show(page, name.as_deref()),
        Command::CheckConfig => settings::check(settings),
        Command::Serve => serve::serve(settings),
        Command::Doctor(command) => command.run(settings),
        Command::Migrate(command) => command.run(settings),
        Command::Restored(command) => command.run(settings),
        Command::Keys(command) => command.run(settings),
        Command::Clients(command) => command.run(settings),
        Command::Users(command) => command.run(settings),
        Command::Resources(command) => command.run(settings),
        Command::RegistrationTokens(command) => command.run(settings),
        Command::RelyingParties(command) => command.run(settings),
        Command::Bridges(command) => command.run(settings),
        Command::TrustedIssuers(command) => command.run(settings),
        Command::Outbox(command) => command.run(settings),
        Command::Webhooks(command) => command.run(settings),
        Command::Import(command) => command.run(settings),
        Command::Export(command) => command.run(settings),
    };
    match result.and_then(|()| print::outcome()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            print::note(message);
            ExitCode::FAILURE
        }
    }
}

/// Reads `name=value` in an argument.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads a person's id. The parser's own message does not say what an id looks like, so an example is added.
fn user_id(text: &str) -> Result<UserId, String> {
    text.parse().map_err(|_| format!("write an id such as {AN_ID}; `passmint users list` shows everybody's"))
}

/// Reads a passkey's id.
fn passkey_id(text: &str) -> Result<PasskeyId, String> {
    text.parse().map_err(|_| format!("write an id such as {AN_ID}; `passmint users show` shows those of a person"))
}

/// Reads a date and time.
fn moment(text: &str) -> Result<Time, String> {
    text.parse().map_err(|_| "write a moment such as 2026-11-21T10:00:00Z".to_owned())
}

/// The result of a command: nothing, or a message for the operator.
type Outcome = Result<(), String>;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_commands_are_well_formed_and_every_one_is_explained() {
        fn walk(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} is not explained", command.get_name());
            for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
                assert!(argument.get_help().is_some(), "{} {} is not explained", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(walk);
        }
        let command = Cli::command();
        command.clone().debug_assert();
        walk(&command);
    }
}
