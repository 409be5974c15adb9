//! `passmint webhooks …`: the receivers of events.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Outcome;
use super::desk::Refusal;
use super::print;
use super::settings::Settings;
use crate::assembly::{self, declared_endpoint};
use crate::clock::{Clock, Time};
use crate::config::{Config, Webhook};
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::webhook::SigningSecret;
use crate::hooks::webhooks::{KIND, Sender};
use crate::storage::{audit, event_receivers};

/// Who is told of events.
#[derive(Subcommand)]
pub enum Webhooks {
    /// Show every webhook of the configuration.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Generate a secret for signing messages. Stores nothing.
    Secret,
    /// Send a signed message of the type `webhook.test`, and say whether the receiver accepted it.
    Test {
        /// The webhook's name.
        name: String,
    },
    /// Send past events to a webhook again, as far as it receives such events; the messages keep their IDs.
    Replay {
        /// The webhook's name.
        name: String,
        /// Events from this time on, such as `2026-11-21T10:00:00Z`.
        #[arg(long, value_name = "TIME", value_parser = super::moment)]
        from: Time,
        /// Events before this time; by default, until now.
        #[arg(long, value_name = "TIME", value_parser = super::moment)]
        to: Option<Time>,
    },
}

impl Webhooks {
    /// Runs the command.
    pub fn run(self, settings: &Settings) -> Outcome {
        match self {
            Self::List { json } => list(settings, json),
            Self::Secret => {
                print::line(SigningSecret::from_bits(&crate::random::bytes()).to_text().expose());
                Ok(())
            }
            Self::Test { name } => test(settings, &name),
            Self::Replay { name, from, to } => replay(settings, &name, from, to),
        }
    }
}

fn list(settings: &Settings, json: bool) -> Outcome {
    let config = settings.load()?.config;
    if json {
        return print::json(&config.webhooks.iter().map(document).collect::<Vec<_>>());
    }
    let row = |webhook: &Webhook| {
        let state = match declared_endpoint(&webhook.endpoint) {
            Err(mistake) => format!("cannot be used: {mistake}"),
            Ok(_) if webhook.enabled => "enabled".to_owned(),
            Ok(_) => "disabled".to_owned(),
        };
        let events = print::list(webhook.events.iter().map(String::as_str));
        vec![webhook.endpoint.name.clone(), webhook.endpoint.url.clone(), events, state]
    };
    print::table(&["NAME", "URL", "EVENTS", "STATE"], &config.webhooks.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn document(webhook: &Webhook) -> Value {
    json!({
        "name": webhook.endpoint.name,
        "url": webhook.endpoint.url,
        "events": webhook.events,
        "personalData": webhook.endpoint.personal_data,
        "enabled": webhook.enabled,
    })
}

fn find<'a>(config: &'a Config, name: &str) -> Result<&'a Webhook, String> {
    let found = config.webhooks.iter().find(|webhook| webhook.endpoint.name == name);
    found.ok_or_else(|| {
        let all = print::list(config.webhooks.iter().map(|webhook| webhook.endpoint.name.as_str()));
        format!("no webhook is named `{name}`; there is {all}")
    })
}

fn test(settings: &Settings, name: &str) -> Outcome {
    let config = settings.load()?.config;
    let endpoint = declared_endpoint(&find(&config, name)?.endpoint)?;
    let outbound = assembly::outbound(&config).map_err(|error| error.to_string())?;
    let sender = Sender { outbound, issuer: config.issuer().to_owned() };
    let sent = actix_web::rt::System::new().block_on(sender.test(&endpoint, Clock::system().now()));
    sent.map_err(|error| format!("{} did not take the message: {error}", endpoint.url))?;
    print::line(format!("{} took the message", endpoint.url));
    Ok(())
}

fn replay(settings: &Settings, name: &str, from: Time, to: Option<Time>) -> Outcome {
    let desk = settings.desk()?;
    find(&desk.config, name)?;
    let to = to.unwrap_or(desk.now);
    let told = desk.write(|conn| {
        if !event_receivers::is_told(conn, KIND, name)? {
            return Err(Refusal(format!(
                "the webhook `{name}` is not told of anything yet: start a server that has it in its configuration"
            )));
        }
        let told = event_receivers::replay(conn, (KIND, name), (from, to), desk.now)?;
        let event = Event::new(EventKind::DeliveryRetried, desk.now, &Provenance::default());
        let detail = json!({ "kind": KIND, "from": from, "to": to, "messages": told });
        audit::insert(conn, &Event { subject: Some(name.to_owned()), detail, ..event })?;
        Ok(told)
    })?;
    print::line(match told {
        1 => "1 message is sent again by a running server".to_owned(),
        count => format!("{count} messages are sent again by a running server"),
    });
    Ok(())
}
