//! `passmint registration-tokens …`: permissions for apps to register themselves (RFC 7591 §3, initial access tokens).

use clap::Subcommand;
use uuid::Uuid;

use super::Outcome;
use super::print;
use super::settings::Settings;
use crate::admin::guard::Actor;
use crate::admin::registration_tokens::{CreateRegistrationToken, insert, take_back};
use crate::domain::secret::{PlainToken, TokenKind};
use crate::storage::initial_access_tokens::{self, InitialAccessToken};

/// Permissions for apps to register themselves.
#[derive(Subcommand)]
pub enum RegistrationTokens {
    /// Show all initial access tokens, newest first.
    List,
    /// Create an initial access token and show it once.
    Create {
        /// A name to recognize it by.
        name: String,
        /// How many apps it may register.
        #[arg(long, default_value_t = 1)]
        uses: i32,
        /// How long it is valid, in days.
        #[arg(long, default_value_t = 7)]
        days: i64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke an initial access token; apps registered with it remain.
    Revoke {
        /// The initial access token's id.
        id: Uuid,
    },
}

impl RegistrationTokens {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        match self {
            Self::List => list(settings),
            Self::Create { name, uses, days, json } => {
                let new = CreateRegistrationToken { name, uses, lifetime: days.saturating_mul(86_400) };
                create(settings, &new, json)
            }
            Self::Revoke { id } => revoke(settings, id),
        }
    }
}

fn list(settings: &Settings) -> Outcome {
    let desk = settings.desk()?;
    let all = desk.read(|conn| Ok(initial_access_tokens::page(conn, None, 1000)?))?;
    let row = |token: &InitialAccessToken| {
        let state = if token.revoked_at.is_some() { "revoked" } else { "good" };
        let uses = token.uses_left.map_or_else(|| "any".to_owned(), |uses| uses.to_string());
        vec![token.id.to_string(), token.name.clone(), state.to_owned(), uses, print::maybe(token.expires_at)]
    };
    print::table(&["ID", "NAME", "STATE", "USES LEFT", "UNTIL"], &all.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn create(settings: &Settings, new: &CreateRegistrationToken, as_json: bool) -> Outcome {
    let desk = settings.desk()?;
    let token = PlainToken::random(TokenKind::InitialAccess);
    let made = desk.write(|conn| Ok(insert(conn, &Actor::command_line(), new, &token.digest(), desk.now)?))?;
    if as_json {
        return print::json(&serde_json::json!({ "id": made.id, "token": token.expose() }));
    }
    print::facts(&[("id", made.id.to_string()), ("token", token.expose().to_owned())]);
    print::line("the token is not shown again; it works while registration.mode is \"token\" or \"open\"");
    Ok(())
}

fn revoke(settings: &Settings, id: Uuid) -> Outcome {
    let desk = settings.desk()?;
    desk.write(|conn| Ok(take_back(conn, &Actor::command_line(), id, desk.now)?))?;
    print::line(format!("{id} is taken back"));
    Ok(())
}
