//! `passmint users create` and `set`: what the administration API does, by the same functions.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Map, Value, json};

use super::unknown;
use crate::admin::guard::Actor;
use crate::admin::users::change::{self, ChangePerson};
use crate::admin::users::create::{self as creation, CreatePerson};
use crate::cli::Outcome;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::domain::id::UserId;
use crate::storage::{groups, people};

/// What is known of a person.
#[derive(Args)]
pub struct Facts {
    /// A standard claim, such as `--claim email=ann@example.com`, `--claim email_verified=true` or
    /// `--claim address.country=GB`; may be given several times.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = pair)]
    claims: Vec<(String, String)>,
    /// A group they are in, made if there is none of the name; may be given several times.
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// What another system calls them; may be given several times.
    #[arg(long = "external-id", value_name = "SOURCE=ID", value_parser = pair)]
    external_ids: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Facts {
    fn claims(&self) -> Map<String, Value> {
        let mut claims = Map::new();
        for (name, text) in &self.claims {
            let value = match text.as_str() {
                "true" | "false" if name.ends_with("_verified") => Value::Bool(text == "true"),
                _ => Value::from(text.as_str()),
            };
            match name.split_once('.') {
                Some((whole, part)) => {
                    let members = claims.entry(whole.to_owned()).or_insert_with(|| json!({}));
                    members[part] = value;
                }
                None => {
                    claims.insert(name.clone(), value);
                }
            }
        }
        claims
    }

    fn external_ids(&self) -> BTreeMap<String, String> {
        self.external_ids.iter().cloned().collect()
    }
}

/// Stores a new person.
pub fn create(settings: &Settings, facts: &Facts, as_json: bool) -> Outcome {
    let desk = settings.desk()?;
    let new = CreatePerson { claims: facts.claims(), groups: facts.groups.clone(), external_ids: facts.external_ids() };
    let person = desk.write(|conn| {
        for name in &facts.groups {
            groups::insert(conn, name, desk.now)?;
        }
        Ok(creation::insert(conn, &Actor::command_line(), &new, desk.now)?)
    })?;
    if as_json {
        return print::json(&json!({ "id": person.user.id }));
    }
    print::line(format!("{} is stored; they have no passkey yet", person.user.id));
    Ok(())
}

/// Changes a person. Groups and external ids are replaced as a whole when any is given.
pub fn set(settings: &Settings, id: UserId, facts: &Facts, clear: &[String]) -> Outcome {
    let mut claims = facts.claims();
    claims.extend(clear.iter().map(|name| (name.clone(), Value::Null)));
    let changes = ChangePerson {
        claims,
        groups: (!facts.groups.is_empty()).then(|| facts.groups.clone()),
        external_ids: (!facts.external_ids.is_empty()).then(|| facts.external_ids()),
    };
    let desk = settings.desk()?;
    desk.write(|conn| {
        for name in &facts.groups {
            groups::insert(conn, name, desk.now)?;
        }
        let person = people::lock(conn, id)?.ok_or_else(|| unknown(id))?;
        change::store(conn, &Actor::command_line(), &person, &changes, desk.now)?;
        Ok(())
    })?;
    print::line(format!("{id} is changed"));
    Ok(())
}
