//! `passmint outbox …`: messages to other systems that have not arrived.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Outcome;
use super::desk::Refusal;
use super::print;
use super::settings::Settings;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::storage::audit;
use crate::storage::outbox::{self, Filter, Stored};

/// Messages to other systems.
#[derive(Subcommand)]
pub enum Outbox {
    /// Show messages that wait or were given up, newest first.
    List {
        /// How many at most.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
        /// Only messages of this kind, such as `webhook`.
        #[arg(long)]
        kind: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Retry messages at once, for a day like new ones.
    Retry {
        /// The message's number; without it, all that were given up, except those of receivers that no longer exist.
        id: Option<i64>,
    },
}

impl Outbox {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        match self {
            Self::List { limit, kind, json } => list(settings, limit, kind, json),
            Self::Retry { id } => retry(settings, id),
        }
    }
}

fn list(settings: &Settings, limit: i64, kind: Option<String>, json: bool) -> Outcome {
    let desk = settings.desk()?;
    let filter = Filter { kind, given_up: None };
    let stored = desk.read(|conn| Ok(outbox::undelivered(conn, &filter, None, limit)?))?;
    if json {
        return print::json(&stored.iter().map(document).collect::<Vec<_>>());
    }
    let row = |message: &Stored| {
        let state = match message.given_up_at {
            Some(at) => format!("given up {}", print::time(at)),
            None => format!("next try {}", print::time(message.next_try_at)),
        };
        vec![
            message.id.to_string(),
            message.kind.clone(),
            message.lane.clone(),
            message.attempts.to_string(),
            state,
            message.last_error.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    print::table(&["ID", "KIND", "LANE", "TRIES", "STATE", "ERROR"], &stored.iter().map(row).collect::<Vec<_>>());
    if i64::try_from(stored.len()).is_ok_and(|count| count == limit) {
        print::line(format!("only the newest {limit} are shown; --limit shows more"));
    }
    Ok(())
}

fn document(message: &Stored) -> Value {
    json!({
        "id": message.id,
        "kind": message.kind,
        "lane": message.lane,
        "attempts": message.attempts,
        "createdAt": message.created_at,
        "nextTryAt": message.given_up_at.is_none().then_some(message.next_try_at),
        "givenUpAt": message.given_up_at,
        "lastError": message.last_error,
    })
}

fn retry(settings: &Settings, id: Option<i64>) -> Outcome {
    let desk = settings.desk()?;
    let retried = desk.write(|conn| {
        let retried = outbox::retry(conn, id, desk.now)?;
        if let (Some(id), 0) = (id, retried) {
            return Err(Refusal(format!(
                "no message {id} is waiting, or was given up, for a receiver that still exists; `passmint outbox list` \
                 shows those that are"
            )));
        }
        if retried > 0 {
            let event = Event::new(EventKind::DeliveryRetried, desk.now, &Provenance::default());
            let (subject, detail) = (id.map(|id| id.to_string()), json!({ "messages": retried }));
            audit::insert(conn, &Event { subject, detail, ..event })?;
        }
        Ok(retried)
    })?;
    print::line(match retried {
        0 => "nothing was given up".to_owned(),
        1 => "1 message is tried again by a running server".to_owned(),
        count => format!("{count} messages are tried again by a running server"),
    });
    Ok(())
}
