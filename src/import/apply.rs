//! Writes the decisions on a chunk in one transaction, with their audit event.

use diesel::PgConnection;
use serde_json::json;

use super::fields::Problem;
use super::plan::{self, Decided, Fresh, Line, Options, Outcome, Plan, Seen, Update};
use super::update;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::random;
use crate::storage::{Db, StorageError, audit, imports, relying_parties};

/// How often a chunk is decided again because concurrent requests took one of its keys.
const TRIES: usize = 5;

const FRESH: Fresh = Fresh { id: random::uuid, handle: || random::bytes::<32>().to_vec() };

/// Decides on a chunk and writes it; returns the outcome of each line. A conflict at every attempt is not caused by
/// concurrent requests, and an unacceptable value fails every time. Then each half becomes a chunk of its own, until
/// the one line to refuse is found. `people` are those of the earlier chunks.
pub fn write(db: &Db, lines: &[Line], people: &Seen, options: &Options) -> Result<Vec<Decided>, StorageError> {
    let mut tries = 0;
    let reason = loop {
        tries += 1;
        match db.blocking_tx(|conn| once(conn, lines, people, options)) {
            Err(StorageError::Conflict { .. }) if tries < TRIES => {}
            Err(StorageError::Conflict { constraint }) => {
                break format!("clashes with what is stored already ({constraint})");
            }
            Err(error) if error.is_of_data() => break "holds a value that the database does not take".to_owned(),
            other => return other,
        }
    };
    if let [line] = lines {
        return Ok(vec![Decided::refused(line, Problem::of_line(reason))]);
    }
    let (first, second) = lines.split_at(lines.len() / 2);
    let mut decided = write(db, first, people, options)?;
    decided.extend(write(db, second, people, options)?);
    Ok(decided)
}

/// Decides on a chunk without writing. `people` and `seen` hold the people and the other keys of the earlier chunks.
pub fn rehearse(
    db: &Db,
    lines: &[Line],
    (people, seen): (&Seen, &mut Seen),
    options: &Options,
) -> Result<Vec<Decided>, StorageError> {
    let keys = plan::keys(lines, options);
    db.blocking_tx(|conn| {
        imports::lock(conn)?;
        let known = imports::look_up(conn, &keys)?;
        let Plan { mut decided, updates, .. } = plan::plan(lines.to_vec(), &known, (people, seen), options, FRESH);
        for update in updates.iter().filter(|update| !update.certain) {
            if update::compare(conn, update)?.is_none() {
                change_nothing(&mut decided[update.at], update);
            }
        }
        Ok(decided)
    })
}

fn once(
    conn: &mut PgConnection,
    lines: &[Line],
    people: &Seen,
    options: &Options,
) -> Result<Vec<Decided>, StorageError> {
    imports::lock(conn)?;
    let known = imports::look_up(conn, &plan::keys(lines, options))?;
    let Plan { mut decided, batch, updates, dormant } =
        plan::plan(lines.to_vec(), &known, (people, &mut Seen::default()), options, FRESH);
    if !dormant.is_empty() {
        relying_parties::await_configuration(conn, &dormant, options.now)?;
    }
    imports::insert(conn, batch)?;
    for update in &updates {
        let difference = update::compare(conn, update)?;
        update::write(conn, update, &difference, options.now)?;
        if difference.is_none() && !update.certain {
            change_nothing(&mut decided[update.at], update);
        }
    }
    witness(conn, &decided, options)?;
    Ok(decided)
}

/// Marks a person for whom the file contains nothing new.
fn change_nothing(line: &mut Decided, update: &Update) {
    line.outcome = Outcome::Unchanged(update.person.uuid());
    line.password = false;
}

fn witness(conn: &mut PgConnection, decided: &[Decided], options: &Options) -> Result<(), StorageError> {
    let count = |wanted: fn(&Outcome) -> bool| decided.iter().filter(|line| wanted(&line.outcome)).count();
    let created = count(|outcome| matches!(outcome, Outcome::Created(_)));
    let updated = count(|outcome| matches!(outcome, Outcome::Updated(_)));
    if created + updated == 0 {
        return Ok(());
    }
    let event = Event {
        subject_name: options.source.clone(),
        detail: json!({
            "created": created,
            "updated": updated,
            "fromLine": decided.first().map(|line| line.line),
            "toLine": decided.last().map(|line| line.line),
        }),
        ..Event::new(EventKind::UsersImported, options.now, &Provenance::default())
    };
    audit::insert(conn, &event)
}
