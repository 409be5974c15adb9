//! `passmint users set`: adds what is given, removes what is named, and reports the changes; everything else stays.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde_json::{Map, Value};

use super::locked;
use super::people::{Facts, make_groups};
use crate::admin::guard::Actor;
use crate::admin::users::change::{self, ChangePerson};
use crate::cli::Outcome;
use crate::cli::desk::Refusal;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::domain::attributes::{Attribute, Attributes};
use crate::domain::id::UserId;
use crate::storage::people::Person;

/// What is taken away from a person.
#[derive(Args)]
pub struct Losses {
    /// A claim to remove; may be given several times.
    #[arg(long, value_name = "NAME")]
    clear: Vec<String>,
    /// An attribute to remove; may be given several times.
    #[arg(long, value_name = "NAME")]
    remove_attribute: Vec<String>,
    /// A group to remove the person from; may be given several times.
    #[arg(long, value_name = "NAME")]
    remove_group: Vec<String>,
    /// A system whose external ID is removed; may be given several times.
    #[arg(long, value_name = "SOURCE")]
    remove_external_id: Vec<String>,
}

impl Losses {
    const fn is_empty(&self) -> bool {
        self.clear.is_empty()
            && self.remove_attribute.is_empty()
            && self.remove_group.is_empty()
            && self.remove_external_id.is_empty()
    }
}

/// The changes in words: a heading, and the items under it.
type Told = Vec<(&'static str, Vec<String>)>;

/// Changes a person.
pub fn set(settings: &Settings, id: UserId, facts: &Facts, losses: &Losses) -> Outcome {
    if facts.is_empty() && losses.is_empty() {
        return Err("nothing to change: give --claim, --attribute, --group or --external-id, or what to remove \
            with --clear, --remove-attribute, --remove-group or --remove-external-id"
            .to_owned());
    }
    let desk = settings.desk()?;
    let told = desk.write(|conn| {
        let actor = Actor::command_line();
        let person = locked(conn, id, &actor)?;
        let (changes, mut told) = changes(&person, facts, losses)?;
        told.push(("new groups", make_groups(conn, &actor, &facts.groups, desk.now)?));
        told.retain(|(_, what)| !what.is_empty());
        if !told.is_empty() {
            change::store(conn, &actor, &person, &changes, desk.now)?;
        }
        Ok(told)
    })?;
    if told.is_empty() {
        print::line(format!("{id} has all of that already; nothing was changed"));
        return Ok(());
    }
    print::line(format!("{id} is changed"));
    let facts: Vec<(&str, String)> =
        told.iter().map(|(heading, what)| (*heading, print::list(what.iter().map(String::as_str)))).collect();
    print::facts(&facts);
    Ok(())
}

fn changes(person: &Person, facts: &Facts, losses: &Losses) -> Result<(ChangePerson, Told), Refusal> {
    let mut told = Told::new();
    let claims = claims(person.claims.as_map(), facts.claims(), &losses.clear, &mut told)?;
    let attributes = attributes(&person.user.attributes, facts.attributes(), &losses.remove_attribute, &mut told)?;
    let groups = groups(&person.groups, &facts.groups, &losses.remove_group, &mut told)?;
    let external_ids = external_ids(&person.external_ids, &facts.external_ids, &losses.remove_external_id, &mut told)?;
    Ok((ChangePerson { claims, attributes, groups, external_ids }, told))
}

/// The claims that change. Of an address, only the named members change.
fn claims(
    held: &Map<String, Value>,
    given: Map<String, Value>,
    less: &[String],
    told: &mut Told,
) -> Result<Map<String, Value>, Refusal> {
    if let Some(name) = less.iter().find(|name| given.contains_key(*name)) {
        return Err(Refusal(format!("--claim and --clear both name {name:?}")));
    }
    if let Some(name) = less.iter().find(|name| !held.contains_key(*name)) {
        let theirs = print::list(held.keys().map(String::as_str));
        return Err(Refusal(format!("--clear {name:?}: they have no such claim; theirs: {theirs}")));
    }
    let mut changed: Map<String, Value> =
        given.into_iter().map(|(name, value)| (name.clone(), over(held.get(&name), value))).collect();
    changed.retain(|name, value| held.get(name) != Some(value));
    // The verification of the old value does not apply to the new one.
    let unproven = [("email", "email_verified"), ("phone_number", "phone_number_verified")]
        .into_iter()
        .filter(|(of, proof)| {
            changed.contains_key(*of) && !changed.contains_key(*proof) && held.get(*proof) == Some(&Value::Bool(true))
        })
        .map(|(_, proof)| proof.to_owned());
    let taken = less.iter().cloned().chain(unproven).collect();
    told.extend([("claims set", changed.keys().cloned().collect()), ("claims taken away", taken)]);
    changed.extend(less.iter().map(|name| (name.clone(), Value::Null)));
    Ok(changed)
}

/// The attributes that change.
fn attributes(
    held: &Attributes,
    mut given: Map<String, Value>,
    less: &[String],
    told: &mut Told,
) -> Result<Map<String, Value>, Refusal> {
    if let Some(name) = less.iter().find(|name| given.contains_key(*name)) {
        return Err(Refusal(format!("--attribute and --remove-attribute both name {name:?}")));
    }
    if let Some((name, _)) = given.iter().find(|(_, value)| value.is_null()) {
        return Err(Refusal(format!("--attribute {name:?} is null; --remove-attribute takes one away")));
    }
    if let Some(name) = less.iter().find(|name| held.get(name).is_none()) {
        let theirs = print::list(held.names());
        return Err(Refusal(format!("--remove-attribute {name:?}: they have no such attribute; theirs: {theirs}")));
    }
    given.retain(|name, value| held.get(name).map(Attribute::to_json).as_ref() != Some(value));
    told.extend([("attributes set", given.keys().cloned().collect()), ("attributes taken away", less.to_vec())]);
    given.extend(less.iter().map(|name| (name.clone(), Value::Null)));
    Ok(given)
}

/// The given value, merged over the existing one.
fn over(held: Option<&Value>, given: Value) -> Value {
    match (held, given) {
        (Some(Value::Object(held)), Value::Object(given)) => {
            Value::Object(held.clone().into_iter().chain(given).collect())
        }
        (_, given) => given,
    }
}

/// All groups that the person is in afterwards; `None` if they do not change.
fn groups(held: &[String], more: &[String], less: &[String], told: &mut Told) -> Result<Option<Vec<String>>, Refusal> {
    let mut all: BTreeSet<&String> = held.iter().collect();
    if let Some(name) = less.iter().find(|name| more.contains(name)) {
        return Err(Refusal(format!("--group and --remove-group both name {name:?}")));
    }
    let added: Vec<String> = more.iter().filter(|&name| all.insert(name)).cloned().collect();
    for name in less {
        if !all.remove(name) {
            let theirs = print::list(held.iter().map(String::as_str));
            return Err(Refusal(format!("--remove-group {name:?}: they are not in it; their groups: {theirs}")));
        }
    }
    let changed = !added.is_empty() || !less.is_empty();
    told.extend([("groups added", added), ("groups taken away", less.to_vec())]);
    Ok(changed.then(|| all.into_iter().cloned().collect()))
}

/// All external ids of the person afterwards; `None` if they do not change.
fn external_ids(
    held: &BTreeMap<String, String>,
    more: &[(String, String)],
    less: &[String],
    told: &mut Told,
) -> Result<Option<BTreeMap<String, String>>, Refusal> {
    let mut all = held.clone();
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    if let Some(source) = less.iter().find(|source| more.iter().any(|(given, _)| given == *source)) {
        return Err(Refusal(format!("--external-id and --remove-external-id both name {source:?}")));
    }
    for (source, id) in more {
        match all.insert(source.clone(), id.clone()) {
            None => added.push(format!("{source}={id}")),
            Some(old) if old != *id => added.push(format!("{source}={id} in place of {old}")),
            Some(_) => {}
        }
    }
    for source in less {
        let Some(old) = all.remove(source) else {
            let theirs = print::list(held.keys().map(String::as_str));
            return Err(Refusal(format!("--remove-external-id {source:?}: it knows them by none; those: {theirs}")));
        };
        removed.push(format!("{source}={old}"));
    }
    let changed = !added.is_empty() || !removed.is_empty();
    told.extend([("external ids added", added), ("external ids removed", removed)]);
    Ok(changed.then_some(all))
}
