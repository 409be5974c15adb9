//! The commands. Each is one file; all read the same configuration the same way.

mod docs;
mod serve;
mod settings;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use settings::Settings;

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
    /// Print reference documentation.
    Docs {
        /// Which.
        #[arg(value_enum)]
        page: docs::Page,
    },
}

/// Runs the program; gives its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Docs { page } => {
            docs::print(page);
            Ok(())
        }
        Command::CheckConfig => settings::check(&cli.settings),
        Command::Serve => serve::serve(&cli.settings),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{}", prefixed(&message));
            ExitCode::FAILURE
        }
    }
}

/// Every line of a message under our name, so that it can be told from other programs' lines.
fn prefixed(message: &str) -> String {
    message.lines().map(|line| format!("passmint: {line}")).collect::<Vec<_>>().join("\n")
}

/// What a command ends with: nothing, or a message for the operator.
type Outcome = Result<(), String>;
