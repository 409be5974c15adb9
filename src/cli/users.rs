//! `passmint users …`: the people who have an account.

mod link;
mod passkey;
mod people;
mod set;

use clap::Subcommand;
use diesel::PgConnection;
use serde_json::{Value, json};

use super::Outcome;
use super::desk::Refusal;
use super::print;
use super::settings::Settings;
use crate::admin::guard::Actor;
use crate::admin::users::delete::erase;
use crate::admin::users::switch::switch;
use crate::clock::Time;
use crate::domain::id::{PasskeyId, UserId};
use crate::domain::user::{User, UserStatus};
use crate::storage::credentials::{self, StoredPasskey};
use crate::storage::people::Person;
use crate::storage::{sessions, users};

/// The people who have an account.
#[derive(Subcommand)]
pub enum Users {
    /// Show people, the newest first.
    List {
        /// Only those who claim this address.
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one person with their passkeys and sessions.
    Show {
        /// The person's id, as `passmint users list` shows it.
        #[arg(value_parser = super::user_id)]
        id: UserId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Store a new person; they have no passkey yet.
    Create {
        #[command(flatten)]
        person: people::Facts,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a person's claims, attributes, groups and external IDs: adds what is given, and removes only what is named.
    Set {
        /// The person's id.
        #[arg(value_parser = super::user_id)]
        id: UserId,
        #[command(flatten)]
        person: people::Facts,
        #[command(flatten)]
        losses: set::Losses,
    },
    /// Make a link to a page on which a person creates their first passkey, or one that replaces a lost one. It is shown
    /// once, and works once.
    Link {
        /// The person's id, or their verified e-mail address.
        #[arg(value_name = "ID_OR_EMAIL")]
        id_or_email: String,
        /// How many hours the link is valid, from 1 to 24.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(i64).range(1..=24))]
        hours: i64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Disable a person at once, and end their sessions.
    Disable {
        /// The person's id.
        #[arg(value_parser = super::user_id)]
        id: UserId,
    },
    /// Let a disabled person sign in again.
    Enable {
        /// The person's id.
        #[arg(value_parser = super::user_id)]
        id: UserId,
    },
    /// Remove a lost passkey, even the last one, and end the sessions it opened.
    RemovePasskey {
        /// The person's id.
        #[arg(value_parser = super::user_id)]
        id: UserId,
        /// The passkey's id, as `passmint users show` prints it.
        #[arg(value_parser = super::passkey_id)]
        passkey: PasskeyId,
        /// Required: confirms that this cannot be undone.
        #[arg(long)]
        yes: bool,
    },
    /// Delete a person with their passkeys, sessions and tokens. This cannot be undone.
    Delete {
        /// The person's id.
        #[arg(value_parser = super::user_id)]
        id: UserId,
        /// Required: confirms that this cannot be undone.
        #[arg(long)]
        yes: bool,
    },
}

impl Users {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        match self {
            Self::List { email, limit, json } => list(settings, email.as_deref(), limit, json),
            Self::Show { id, json } => show(settings, id, json),
            Self::Create { person, json } => people::create(settings, &person, json),
            Self::Set { id, person, losses } => set::set(settings, id, &person, &losses),
            Self::Link { id_or_email, hours, json } => link::link(settings, &id_or_email, hours, json),
            Self::Disable { id } => disable(settings, id),
            Self::Enable { id } => enable(settings, id),
            Self::RemovePasskey { id, passkey, yes } => passkey::remove(settings, id, passkey, yes),
            Self::Delete { id, yes } => delete(settings, id, yes),
        }
    }
}

fn list(settings: &Settings, email: Option<&str>, limit: i64, json: bool) -> Outcome {
    let desk = settings.desk()?;
    let people = desk.read(|conn| Ok(users::list(conn, email, limit)?))?;
    if json {
        return print::json(&people.iter().map(document).collect::<Vec<_>>());
    }
    let row = |user: &User| {
        vec![
            user.id.to_string(),
            user.status.as_str().to_owned(),
            address(user),
            user.name.clone().unwrap_or_else(|| "-".to_owned()),
            print::time(user.created_at),
        ]
    };
    print::table(&["ID", "STATUS", "E-MAIL", "NAME", "SINCE"], &people.iter().map(row).collect::<Vec<_>>());
    if i64::try_from(people.len()).is_ok_and(|count| count == limit) {
        print::line(format!("only the newest {limit} are shown; --limit shows more, --email one"));
    }
    Ok(())
}

/// An unverified address is only a claim, so it is always marked as such.
fn address(user: &User) -> String {
    match (&user.email, user.email_verified_at) {
        (None, _) => "-".to_owned(),
        (Some(email), Some(_)) => email.clone(),
        (Some(email), None) => format!("{email} (unverified)"),
    }
}

fn document(user: &User) -> Value {
    json!({
        "id": user.id,
        "status": user.status.as_str(),
        "email": user.email,
        "emailVerifiedAt": user.email_verified_at,
        "name": user.name,
        "locale": user.locale,
        "createdAt": user.created_at,
    })
}

fn show(settings: &Settings, id: UserId, json: bool) -> Outcome {
    let desk = settings.desk()?;
    let (person, passkeys, sessions) = desk.read(|conn| {
        let person = crate::storage::people::find(conn, id)?.ok_or_else(|| unknown(id))?;
        Ok((person, credentials::of_users(conn, &[id], None)?, sessions::live_of(conn, id, desk.now)?))
    })?;
    let Person { user, claims, groups, external_ids, .. } = person;
    if json {
        let mut document = document(&user);
        document["passkeys"] = passkeys.iter().map(passkey).collect();
        document["sessions"] = sessions.len().into();
        document["groups"] = json!(groups);
        document["externalIds"] = json!(external_ids);
        document["claims"] = Value::Object(claims.as_map().clone());
        document["attributes"] = Value::Object(user.attributes.to_map());
        return print::json(&document);
    }
    let attributes: Vec<String> =
        user.attributes.to_map().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let links: Vec<String> = external_ids.iter().map(|(source, id)| format!("{source} {id}")).collect();
    print::facts(&[
        ("id", user.id.to_string()),
        ("status", user.status.as_str().to_owned()),
        ("e-mail", address(&user)),
        ("name", user.name.clone().unwrap_or_else(|| "-".to_owned())),
        ("since", print::time(user.created_at)),
        ("attributes", print::list(attributes.iter().map(String::as_str))),
        ("groups", print::list(groups.iter().map(String::as_str))),
        ("known elsewhere as", print::list(links.iter().map(String::as_str))),
        ("live sessions", sessions.len().to_string()),
    ]);
    let row = |passkey: &StoredPasskey| {
        let state = if passkey.suspended_at.is_some() { "suspended" } else { "in use" };
        vec![
            passkey.id.to_string(),
            passkey.name.clone(),
            passkey.rp_id.clone(),
            state.to_owned(),
            print::time(passkey.created_at),
            print::maybe(passkey.last_used_at),
        ]
    };
    print::line("");
    let headings = ["ID", "PASSKEY", "RP ID", "STATE", "ADDED", "LAST USED"];
    print::table(&headings, &passkeys.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn passkey(passkey: &StoredPasskey) -> Value {
    json!({
        "id": passkey.id,
        "name": passkey.name,
        "rpId": passkey.rp_id,
        "createdAt": passkey.created_at,
        "lastUsedAt": passkey.last_used_at,
        "suspendedAt": passkey.suspended_at,
    })
}

fn disable(settings: &Settings, id: UserId) -> Outcome {
    let desk = settings.desk()?;
    let ended = desk.write(|conn| {
        let live = sessions::live_of(conn, id, desk.now)?.len();
        set(conn, id, UserStatus::Disabled, desk.now)?;
        Ok(live)
    })?;
    print::line(format!("{id} is disabled and signed out everywhere ({ended} live sessions ended)"));
    print::line("access tokens that other systems verify by themselves are accepted there until they end");
    Ok(())
}

fn enable(settings: &Settings, id: UserId) -> Outcome {
    let desk = settings.desk()?;
    desk.write(|conn| set(conn, id, UserStatus::Active, desk.now))?;
    print::line(format!("{id} may sign in again"));
    Ok(())
}

fn set(conn: &mut PgConnection, id: UserId, status: UserStatus, now: Time) -> Result<(), Refusal> {
    let actor = Actor::command_line();
    locked(conn, id, &actor)?;
    if switch(conn, &actor, id, status, now)? {
        Ok(())
    } else {
        Err(Refusal(format!("{id} is {} already", status.as_str())))
    }
}

fn delete(settings: &Settings, id: UserId, yes: bool) -> Outcome {
    if !yes {
        return Err(format!(
            "deleting {id} cannot be undone; add --yes if that is what you want, or use `passmint users disable {id}`"
        ));
    }
    let desk = settings.desk()?;
    desk.write(|conn| {
        let actor = Actor::command_line();
        locked(conn, id, &actor)?;
        Ok(erase(conn, &actor, id, desk.now)?)
    })?;
    print::line(format!("{id} is deleted, with all passkeys, sessions and tokens"));
    Ok(())
}

/// A person to change by the rules of the administration API, with their row locked.
fn locked(conn: &mut PgConnection, id: UserId, actor: &Actor) -> Result<Person, Refusal> {
    users::lock(conn, id)?.ok_or_else(|| unknown(id))?;
    Ok(crate::admin::users::lock(conn, id, actor)?)
}

fn unknown(id: UserId) -> Refusal {
    Refusal(format!("there is no person with the ID {id}; `passmint users list` shows everybody"))
}
