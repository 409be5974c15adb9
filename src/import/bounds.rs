//! Limits on what a person may have, including what they have already: an import never adds more than an export of them
//! could restore.

use super::fields::Problem;
use super::record::{ImportedPasskey, MOST_PASSKEYS, Note, Record};
use crate::domain::group;
use crate::domain::user::MOST_EXTERNAL_IDS;
use crate::storage::imports::{Held, Known};
use crate::storage::removals::Removed;

/// Leaves out second ids: a system has only one id for a person, that of the line or the stored one. Each is noted.
pub(super) fn leave_out_second_ids(record: &mut Record, link: Option<&(String, String)>, held: &Held) {
    let mut notes = Vec::new();
    record.external_ids.retain(|source, id| {
        let own = link.filter(|(of, _)| of == source).map(|(_, id)| id);
        let Some(first) = own.or_else(|| held.external_ids.get(source)) else { return true };
        if *first != *id {
            let what = format!("of {source:?} left out: it knows them by another id already");
            notes.push(Note::new("second ids left out", "externalIds", what));
        }
        false
    });
    record.notes.extend(notes);
}

/// Refuses a record that would exceed a limit. A person who already exceeds one keeps everything, but gets nothing
/// more.
pub(super) fn check_sums(
    record: &Record,
    link: Option<&(String, String)>,
    (held, known): (&Held, &Known),
    with_groups: bool,
) -> Result<(), Problem> {
    let own = usize::from(link.is_some_and(|(source, _)| !held.external_ids.contains_key(source)));
    let groups = record.groups.iter().filter(|name| with_groups && !held.groups.contains(*name)).count();
    let is_new = |key: &&ImportedPasskey| {
        !known.removed.contains(Removed::Passkey(&key.credential_id))
            && !known.passkeys.contains_key(&(key.rp_id.clone(), key.credential_id.clone()))
    };
    let passkeys = record.passkeys.iter().filter(is_new).count();
    for (field, more, there, most) in [
        ("externalIds", own + record.external_ids.len(), held.external_ids.len(), MOST_EXTERNAL_IDS),
        ("groups", groups, held.groups.len(), group::MOST_OF_A_PERSON),
        ("passkeys", passkeys, held.passkeys, MOST_PASSKEYS),
    ] {
        if more > 0 && more + there > most {
            return Err(Problem::of(field, format!("would be more than {most}, with those that are there")));
        }
    }
    let attributes = held.attributes.with(&record.attributes);
    attributes.map_err(|error| Problem::of(error.place(), format!("{}, with those that are there", error.what)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::attributes::Attributes;

    fn pair(source: &str, id: &str) -> (String, String) {
        (source.to_owned(), id.to_owned())
    }

    #[test]
    fn each_system_knows_a_person_by_one_id() {
        let held = Held { external_ids: [pair("hr", "1"), pair("crm", "2")].into(), ..Held::default() };
        let ids = [pair("hr", "1"), pair("crm", "3"), pair("old", "9"), pair("erp", "4")];
        let mut record = Record { external_ids: ids.into(), ..Record::default() };
        leave_out_second_ids(&mut record, Some(&pair("old", "8")), &held);
        assert_eq!(record.external_ids.into_iter().collect::<Vec<_>>(), [pair("erp", "4")]);
        let told: Vec<&str> = record.notes.iter().map(|note| note.what.as_str()).collect();
        assert_eq!(
            told,
            [
                "of \"crm\" left out: it knows them by another id already",
                "of \"old\" left out: it knows them by another id already"
            ]
        );
    }

    #[test]
    fn attributes_that_are_there_count() {
        let numbered = |numbers: std::ops::Range<usize>| {
            let members = numbers.map(|number| (format!("a{number:02}"), number.into())).collect();
            Attributes::parse(&members).unwrap()
        };
        let held = Held { attributes: numbered(0..63), ..Held::default() };
        let check = |numbers| {
            let record = Record { attributes: numbered(numbers), ..Record::default() };
            check_sums(&record, None, (&held, &Known::default()), false).map_err(|problem| problem.field)
        };
        assert_eq!((check(0..63), check(60..64)), (Ok(()), Ok(())));
        assert_eq!(check(62..65), Err("attributes.a64".to_owned()));
    }

    #[test]
    fn what_is_there_counts() {
        let names = |numbers: std::ops::Range<usize>| numbers.map(|number| format!("g{number}"));
        let held = Held { groups: names(0..199).collect(), ..Held::default() };
        let record = |numbers| Record { groups: names(numbers).collect(), ..Record::default() };
        let check = |record: &Record, groups| check_sums(record, None, (&held, &Known::default()), groups);
        assert_eq!(check(&record(0..200), true), Ok(()));
        assert_eq!(check(&record(198..201), true).map_err(|problem| problem.field), Err("groups".to_owned()));
        assert_eq!(check(&record(198..201), false), Ok(()), "they are left out");
        let full = Held { external_ids: (0..20).map(|at| pair(&at.to_string(), "x")).collect(), ..Held::default() };
        let check = |link| check_sums(&Record::default(), Some(&link), (&full, &Known::default()), false);
        assert_eq!(check(pair("3", "x")), Ok(()));
        assert_eq!(check(pair("new", "x")).map_err(|problem| problem.field), Err("externalIds".to_owned()));
    }
}
