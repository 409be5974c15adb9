//! Decides on the people of one chunk from what is stored: who is new, known or refused, and the rows to write.
//!
//! Pure: stored data is looked up before, ids and handles are passed in, and nothing is written here.

use std::collections::HashSet;

use uuid::Uuid;

use super::bounds;
use super::fields::Problem;
use super::mark::Mark;
pub use super::outcome::{Decided, Line, Outcome, Seen};
use super::record::{ImportedKey, Note, Origin, Record};
use super::rows::{credential, name_of, unusable};
use crate::clock::Time;
use crate::domain::id::UserId;
use crate::domain::password_hash::PasswordHash;
use crate::domain::user::UserStatus;
use crate::storage::imports::{Batch, Held, Keys, Known, Link, NewGroup, NewHash, NewLink, NewMember, NewUser};
use crate::storage::removals::Removed;

/// The options of an import.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the system that the file comes from; `None` for a file written by Passmint.
    pub source: Option<String>,
    /// Whether known people are changed.
    pub update: bool,
    /// Whether memberships are imported, and their groups created.
    pub groups: bool,
    /// The configured RP ids.
    pub rp_ids: Vec<String>,
    /// The id of the password parameters that come with the file.
    pub parameters: Option<String>,
    /// The time of the import.
    pub now: Time,
}

/// A person to change.
#[derive(Debug)]
pub struct Update {
    /// The index of their line among the decided ones.
    pub at: usize,
    /// The person.
    pub person: UserId,
    /// Whether something certainly changes: the batch has rows for them, or the mark of their source changes.
    pub certain: bool,
    /// The record in the file.
    pub record: Record,
    /// The link that stores its mark.
    pub link: Option<NewLink>,
}

/// The decisions on a chunk.
#[derive(Debug, Default)]
pub struct Plan {
    /// Each line, in order.
    pub decided: Vec<Decided>,
    /// New rows.
    pub batch: Batch,
    /// People to be changed.
    pub updates: Vec<Update>,
    /// RP ids of the chunk's passkeys that are not configured.
    pub dormant: Vec<String>,
}

/// The source of new ids and handles.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    /// A random id.
    pub id: fn() -> Uuid,
    /// A random user handle.
    pub handle: fn() -> Vec<u8>,
}

impl Record {
    /// The person's id in the source, or their `sub` if Passmint wrote the file.
    pub fn name_in(&self, source: Option<&str>) -> Result<Option<String>, Problem> {
        match (source, &self.external, self.sub) {
            (Some(_), Some(id), _) => Ok(Some(id.clone())),
            (Some(_), None, Some(sub)) => Ok(Some(sub.to_string())),
            (Some(_), None, None) => Err(Problem::of("id", "is missing")),
            (None, Some(_), _) => Err(Problem::of("id", "is of another system: name that with --source")),
            (None, None, Some(_)) => Ok(None),
            (None, None, None) => {
                Err(Problem::of("sub", "is missing: name the system that the file comes from with --source"))
            }
        }
    }

    /// The id that the file uses for them.
    pub(super) fn own_id(&self) -> Option<String> {
        self.external.clone().or_else(|| self.sub.map(|sub| sub.to_string()))
    }

    fn address(&self) -> Option<&str> {
        self.claims.text("email")
    }
}

/// What must be looked up to decide on these lines.
pub fn keys(lines: &[Line], options: &Options) -> Keys {
    let source = options.source.as_deref();
    let mut keys = Keys { with_held: options.update, ..Keys::default() };
    for record in lines.iter().filter_map(|line| line.record.as_ref().ok()) {
        if let (Some(source), Ok(Some(id))) = (source, record.name_in(source)) {
            keys.links.push((source.to_owned(), id));
        }
        keys.links.extend(record.external_ids.iter().map(|(source, id)| (source.clone(), id.clone())));
        keys.people.extend(record.sub.map(UserId::uuid));
        keys.handles.extend(record.user_handle.clone());
        keys.addresses.extend(record.address().map(ToOwned::to_owned));
        keys.passkeys.extend(record.passkeys.iter().map(|key| (key.rp_id.clone(), key.credential_id.clone())));
        keys.groups.extend(record.groups.iter().cloned());
        keys.parameters.extend(record.password.iter().filter_map(|hash| hash.parameters().map(ToOwned::to_owned)));
    }
    keys
}

/// Decides on a chunk in which nobody occurs twice. `people` are those of the earlier chunks.
pub fn plan(
    lines: Vec<Line>,
    known: &Known,
    (people, seen): (&Seen, &mut Seen),
    options: &Options,
    fresh: Fresh,
) -> Plan {
    let mut planner = Planner { known, people, seen, options, fresh, plan: Plan::default() };
    for Line { line, record } in lines {
        let decided = planner.decide(line, record);
        planner.plan.decided.push(decided);
    }
    planner.plan.dormant.sort_unstable();
    planner.plan.dormant.dedup();
    planner.plan
}

struct Planner<'a> {
    known: &'a Known,
    people: &'a Seen,
    seen: &'a mut Seen,
    options: &'a Options,
    fresh: Fresh,
    plan: Plan,
}

impl Planner<'_> {
    fn decide(&mut self, line: u64, record: Result<Record, Problem>) -> Decided {
        let mut decided = Decided::of(line);
        let outcome = record.and_then(|record| {
            decided.id = record.own_id();
            self.outcome(record, &mut decided)
        });
        decided.outcome = outcome.unwrap_or_else(Outcome::Refused);
        decided
    }

    fn outcome(&mut self, mut record: Record, decided: &mut Decided) -> Result<Outcome, Problem> {
        let source = self.options.source.as_deref();
        let name = record.name_in(source)?;
        let link = source.map(ToOwned::to_owned).zip(name);
        let key = self.people.key((&link, record.sub.map(UserId::uuid), record.origin as u8));
        decided.key = Some(key);
        if self.people.has(key) {
            return Ok(Outcome::Duplicate);
        }
        let mark = link.is_some().then(|| Mark::of(&record, self.options.groups));
        let known = self.known;
        let stored = link.as_ref().and_then(|link| known.links.get(link));
        let imported_as = stored.and_then(|link| link.imported_as.as_deref()).unwrap_or_default();
        let existing = self.existing(&record, link.is_some(), stored)?;
        let is_unchanged = mark.is_some_and(|mark| mark.stands_in(imported_as));
        if let Some(outcome) = self.settled(&record, link.as_ref(), existing, is_unchanged)? {
            return Ok(outcome);
        }
        let nothing = Held::default();
        let held = existing.and_then(|person| known.held.get(&person)).unwrap_or(&nothing);
        bounds::leave_out_second_ids(&mut record, link.as_ref(), held);
        self.check(&record, existing)?;
        bounds::check_sums(&record, link.as_ref(), (held, known), self.options.groups)?;
        let person = existing.or(record.sub.map(UserId::uuid)).unwrap_or_else(self.fresh.id);
        let imported_as = mark.map(|mark| mark.put_into(imported_as));
        let link = link.map(|(source, external_id)| NewLink { source, external_id, user_id: person, imported_as });
        self.take_address(&mut record, person);
        decided.passkeys = self.take_rows(&mut record, person);
        decided.password = record.password.is_some();
        decided.notes = std::mem::take(&mut record.notes);
        if existing.is_some() {
            let joins = self.options.groups && record.groups.iter().any(|name| !held.groups.contains(name));
            let certain = link.is_some() || joins || !record.external_ids.is_empty() || decided.passkeys > 0;
            let at = self.plan.decided.len();
            self.plan.updates.push(Update { at, person: person.into(), certain, record, link });
            return Ok(Outcome::Updated(person));
        }
        self.plan.batch.links.extend(link);
        self.create(record, person);
        Ok(Outcome::Created(person))
    }

    /// The person that a record belongs to, by the source's id for them and by their `sub`; `None` if nobody yet.
    fn existing(&self, record: &Record, has_link: bool, stored: Option<&Link>) -> Result<Option<Uuid>, Problem> {
        let sub = record.sub.map(UserId::uuid).filter(|sub| self.known.people.contains(sub));
        match (stored.map(|link| link.person), sub) {
            (Some(person), Some(sub)) if person != sub => Err(Problem::of("sub", "is another person's than id")),
            (Some(_), None) if record.sub.is_some() => Err(Problem::of("sub", "is not the one of id")),
            // A `sub` is in every token: whoever knows one must not be able to add a passkey to its owner through
            // another system's file.
            (None, Some(_)) if has_link => {
                let reason = "is somebody's whom this source does not know by this id; an export of our own goes without --source";
                Err(Problem::of("sub", reason))
            }
            (person, sub) => Ok(person.or(sub)),
        }
    }

    /// The outcome of a record that changes nothing; `None` if it is to be imported.
    fn settled(
        &self,
        record: &Record,
        link: Option<&(String, String)>,
        existing: Option<Uuid>,
        is_unchanged: bool,
    ) -> Result<Option<Outcome>, Problem> {
        if let Some(person) = existing {
            if is_unchanged {
                return Ok(Some(Outcome::Unchanged(person)));
            }
            if !self.options.update {
                return Ok(Some(if link.is_some() { Outcome::Differs(person) } else { Outcome::Known(person) }));
            }
            if self.known.managed.contains(&person) {
                return Err(Problem::of_line("is about a person whom the configuration declares: change them there"));
            }
        } else if link.is_some_and(|(source, id)| self.known.removed.contains(Removed::Person(source, id))) {
            return Ok(Some(Outcome::Deleted));
        } else if record.origin == Origin::Auth0Hashes {
            let reason = "is nobody's who was imported: first the people, then their hashes (a secondary identity has no account here)";
            return Err(Problem::of("_id", reason));
        }
        Ok(None)
    }

    /// Refuses whatever a person must not share with another.
    fn check(&self, record: &Record, existing: Option<Uuid>) -> Result<(), Problem> {
        for (source, id) in &record.external_ids {
            let key = (source.clone(), id.clone());
            let others = self.known.links.get(&key).is_some_and(|link| Some(link.person) != existing);
            if others || self.seen.contains(("link", source, id)) {
                return Err(Problem::of("externalIds", format!("of {source:?} is another person's already")));
            }
        }
        if let Some(handle) = record.user_handle.as_ref().filter(|_| existing.is_none())
            && (self.known.handles.contains(handle) || self.seen.contains(("handle", handle)))
        {
            return Err(Problem::of("userHandle", "is another person's already"));
        }
        let mut own = HashSet::new();
        for (at, passkey) in record.passkeys.iter().enumerate() {
            let key = (passkey.rp_id.clone(), passkey.credential_id.clone());
            let others = self.known.passkeys.get(&key).is_some_and(|owner| Some(*owner) != existing);
            if others || self.seen.contains(("passkey", &key)) {
                let reason = "is another person's passkey already, and stays theirs";
                return Err(Problem::of(format!("passkeys[{at}].credentialId"), reason));
            }
            if !own.insert(key) {
                return Err(Problem::of(format!("passkeys[{at}].credentialId"), "stands there twice"));
            }
        }
        let missing = record.password.as_ref().and_then(|hash| hash.parameters());
        let given = |id: &str| self.known.parameters.contains(id) || self.options.parameters.as_deref() == Some(id);
        if missing.is_some_and(|id| !given(id)) {
            let reason = match self.options.parameters {
                None => "needs the parameters of its project: give them with --hash-parameters",
                Some(_) => "needs the parameters of its own project, which are others than those of --hash-parameters",
            };
            return Err(Problem::of("password", reason));
        }
        Ok(())
    }

    /// Keeps an address unverified if another person has verified it: only one person can have it verified.
    fn take_address(&mut self, record: &mut Record, person: Uuid) {
        let Some(address) = record.address().and_then(|address| self.known.folded.get(address)).cloned() else {
            return;
        };
        if !record.claims.email_verified() {
            self.seen.insert(("claimed", &address));
            return;
        }
        let others = self.known.proven.get(&address).is_some_and(|owner| *owner != person);
        if others || self.seen.contains(("proven", &address)) {
            record.claims.unverify_email();
            record.email_verified_at = None;
            let what = "is another person's verified address: kept as an unverified one";
            record.notes.push(Note::new("e-mail conflicts", "claims.email", what));
            return;
        }
        self.seen.insert(("proven", &address));
        // Accounts that merely claim the address lose it, except for a file written by Passmint, which restores claims
        // as they were.
        let claimed = self.known.claimed.contains(&address) || self.seen.contains(("claimed", &address));
        if record.sub.is_none() && claimed {
            self.plan.batch.proven.push(address);
        }
    }

    /// Adds the rows that new and known people get alike; returns the number of passkeys.
    fn take_rows(&mut self, record: &mut Record, person: Uuid) -> usize {
        for (source, id) in &record.external_ids {
            self.seen.insert(("link", source, id));
            if !self.known.links.contains_key(&(source.clone(), id.clone())) {
                self.plan.batch.links.push(NewLink {
                    source: source.clone(),
                    external_id: id.clone(),
                    user_id: person,
                    imported_as: None,
                });
            }
        }
        if let Some(handle) = &record.user_handle {
            self.seen.insert(("handle", handle));
        }
        self.take_groups(record, person);
        if record.password.as_ref().is_some_and(PasswordHash::is_weak) {
            record.notes.push(Note::new("weak password hashes", "password", "is cheap to guess: taken over as it is"));
        }
        self.take_passkeys(record, person)
    }

    fn take_passkeys(&mut self, record: &mut Record, person: Uuid) -> usize {
        let mut names: Vec<String> = Vec::new();
        for (at, passkey) in record.passkeys.iter().enumerate() {
            let key = (passkey.rp_id.clone(), passkey.credential_id.clone());
            if self.known.passkeys.contains_key(&key) {
                continue;
            }
            if self.known.removed.contains(Removed::Passkey(&passkey.credential_id)) {
                let what = "was removed here: left out";
                record.notes.push(Note::new("removed passkeys", format!("passkeys[{at}].credentialId"), what));
                continue;
            }
            self.seen.insert(("passkey", &key));
            let name = name_of(passkey, &names);
            names.push(name.clone());
            if !self.options.rp_ids.contains(&passkey.rp_id) {
                let what = format!("{} is not configured: the passkey waits until it is", passkey.rp_id);
                record.notes.push(Note::new("unknown RP ids", format!("passkeys[{at}].rpId"), what));
                self.plan.dormant.push(passkey.rp_id.clone());
            }
            match &passkey.key {
                ImportedKey::Usable(key) => {
                    let document = key.document(&passkey.credential_id, passkey.user_verified);
                    let row = credential(
                        (self.fresh.id)(),
                        person,
                        passkey,
                        (document, key.algorithm()),
                        name,
                        self.options.now,
                    );
                    let reason = passkey.suspended.as_ref().map(|(_, reason)| reason.clone());
                    self.plan.batch.credentials.push((row, reason));
                }
                ImportedKey::Unsupported { algorithm, cose } => {
                    let what =
                        format!("is of COSE algorithm {algorithm}: kept, and its owner is asked to make a new one");
                    record.notes.push(Note::new("unsupported algorithms", format!("passkeys[{at}].publicKey"), what));
                    let row = unusable(person, passkey, (*algorithm, cose.clone()), name, self.options.now);
                    self.plan.batch.unusable.push(row);
                }
            }
        }
        names.len()
    }

    fn take_groups(&mut self, record: &mut Record, person: Uuid) {
        if record.groups.is_empty() {
            return;
        }
        if !self.options.groups {
            let known = "for people who are known already with --update";
            let what = format!("{} left out: --groups takes them over, {known}", record.groups.len());
            record.notes.push(Note::new("groups left out", "groups", what));
            return;
        }
        for name in &record.groups {
            let made = self.plan.batch.groups.iter().find(|group| group.name == *name).map(|group| group.id);
            let group_id = self.known.groups.get(name).copied().or(made).unwrap_or_else(|| {
                let id = (self.fresh.id)();
                self.plan.batch.groups.push(NewGroup { id, name: name.clone(), created_at: self.options.now });
                id
            });
            self.plan.batch.members.push(NewMember { group_id, user_id: person });
        }
    }

    fn create(&mut self, record: Record, person: Uuid) {
        let now = self.options.now;
        let status = if record.enabled == Some(false) { UserStatus::Disabled } else { UserStatus::Active };
        let created_at = record.created_at.unwrap_or(now).min(now);
        let updated_at = record.updated_at.unwrap_or(now).min(now);
        let verified_at = record.email_verified_at.unwrap_or(now).min(now);
        let handle = record.user_handle.unwrap_or_else(self.fresh.handle);
        self.plan.batch.users.push(NewUser::new(
            (person, handle),
            (&record.claims, &record.attributes),
            verified_at,
            status.as_str(),
            (created_at, updated_at),
        ));
        self.plan.batch.hashes.extend(record.password.map(|hash| NewHash {
            user_id: person,
            hash: hash.expose().clone(),
            parameters: hash.parameters().map(ToOwned::to_owned),
            imported_at: now,
        }));
    }
}
