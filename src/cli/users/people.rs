//! The arguments about a person, and `passmint users create`, with the functions of the administration API.

use std::collections::BTreeMap;

use clap::Args;
use diesel::PgConnection;
use serde_json::{Map, Value, json};

use crate::admin::groups;
use crate::admin::guard::Actor;
use crate::admin::users::create::{self as creation, CreatePerson};
use crate::cli::desk::Refusal;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::cli::{Outcome, pair};
use crate::clock::Time;

/// What is known of a person.
#[derive(Args)]
pub struct Facts {
    /// A standard claim, such as `--claim email=ann@example.com`, `--claim email_verified=true` or
    /// `--claim address.country=GB`; may be given several times.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = pair)]
    claims: Vec<(String, String)>,
    /// An attribute, such as `--attribute plan=pro`, `--attribute seats=3` or `--attribute 'roles=["editor"]'`: JSON where it
    /// reads as such, else text; may be given several times.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = pair)]
    attributes: Vec<(String, String)>,
    /// A group to add the person to, created if it does not exist; may be given several times.
    #[arg(long = "group", value_name = "NAME")]
    pub(super) groups: Vec<String>,
    /// The person's ID in another system; may be given several times.
    #[arg(long = "external-id", value_name = "SOURCE=ID", value_parser = pair)]
    pub(super) external_ids: Vec<(String, String)>,
}

impl Facts {
    /// Whether nothing is given.
    pub(super) const fn is_empty(&self) -> bool {
        self.claims.is_empty() && self.attributes.is_empty() && self.groups.is_empty() && self.external_ids.is_empty()
    }

    /// The claims, by name.
    pub(super) fn claims(&self) -> Map<String, Value> {
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

    /// The attributes, by name. A value that is not JSON is a text.
    pub(super) fn attributes(&self) -> Map<String, Value> {
        let read = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into());
        self.attributes.iter().map(|(name, text)| (name.clone(), read(text))).collect()
    }

    fn external_ids(&self) -> BTreeMap<String, String> {
        self.external_ids.iter().cloned().collect()
    }
}

/// Creates those of these groups that do not exist, by the rules of the administration API; returns their names.
pub(super) fn make_groups(
    conn: &mut PgConnection,
    actor: &Actor,
    names: &[String],
    now: Time,
) -> Result<Vec<String>, Refusal> {
    let mut made = Vec::new();
    for name in names {
        let wrong =
            |refusal: crate::web::refusal::Refusal| Refusal(format!("--group {name:?}: {}", Refusal::from(refusal).0));
        if groups::ensure(conn, actor, name, now).map_err(wrong)? {
            made.push(name.clone());
        }
    }
    Ok(made)
}

/// Stores a new person.
pub fn create(settings: &Settings, facts: &Facts, as_json: bool) -> Outcome {
    let desk = settings.desk()?;
    let new = CreatePerson {
        claims: facts.claims(),
        attributes: facts.attributes(),
        groups: facts.groups.clone(),
        external_ids: facts.external_ids(),
    };
    let (person, made) = desk.write(|conn| {
        let actor = Actor::command_line();
        let made = make_groups(conn, &actor, &facts.groups, desk.now)?;
        Ok((creation::insert(conn, &actor, &new, desk.now)?, made))
    })?;
    if as_json {
        return print::json(&json!({ "id": person.user.id }));
    }
    let id = person.user.id;
    print::line(format!("{id} is stored; they have no passkey yet: `passmint users link {id}` prints a link to one"));
    if !made.is_empty() {
        print::facts(&[("new groups", print::list(made.iter().map(String::as_str)))]);
    }
    Ok(())
}
