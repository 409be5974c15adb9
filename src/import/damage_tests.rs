//! Every byte of a small file is damaged: the file truncated there, or one of its bits flipped.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Splitter;
use crate::import::{Context, Format};

const LINES: &str = "{\"id\":\"ada\",\"groups\":[\"staff\"]}\n{\"id\":\"bob\",\"claims\":{\"name\":\"Bob \\\"B\\\"\"}}\n{\"id\":\"eve\"}\n";
const LIST: &str = r#"{
  "users": [
    {
      "localId": "ada",
      "providerUserInfo": [
        {
          "providerId": "password"
        },
        {
          "providerId": "phone"
        }
      ],
      "disabled": false
    },
    {
      "localId": "bob",
      "createdAt": "1600000001000",
      "providerUserInfo": [
        {
          "providerId": "password"
        }
      ]
    },
    {
      "localId": "eve",
      "disabled": true
    }
  ]
}
"#;

/// The people read, and the lines refused.
fn read(format: Format, file: &[u8]) -> (BTreeSet<String>, Vec<u64>) {
    let (mut people, mut refused) = (BTreeSet::new(), Vec::new());
    let mut splitter = Splitter::new(file, format.list_member(), None);
    while let Some(piece) = splitter.next_piece().unwrap() {
        match piece.text.and_then(|text| format.read(&text, &Context::default())) {
            Ok(record) => people.extend(record.and_then(|record| record.external)),
            Err(_) => refused.push(piece.line),
        }
    }
    (people, refused)
}

/// The file with each bit of this byte flipped.
fn turned(file: &str, at: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..8).map(move |bit| {
        let mut damaged = file.as_bytes().to_vec();
        damaged[at] ^= 1 << bit;
        damaged
    })
}

/// The range of each person in the file.
fn places(file: &str, begin: &str, end: &str) -> Vec<Range<usize>> {
    let begins = file.match_indices(begin).map(|(at, found)| at + found.len() - 1);
    let ends = file.match_indices(end).map(|(at, found)| at + found.len());
    begins.zip(ends).map(|(begin, end)| begin..end).collect()
}

const NAMES: [&str; 3] = ["ada", "bob", "eve"];

fn everybody() -> BTreeSet<String> {
    BTreeSet::from(NAMES.map(ToOwned::to_owned))
}

#[track_caller]
fn assert_told(file: &[u8], (people, refused): &(BTreeSet<String>, Vec<u64>)) {
    let lines = file.split(|byte| *byte == b'\n').count() as u64;
    assert!(refused.iter().all(|line| (1..=lines).contains(line)), "{refused:?}");
    assert!(people.len() >= NAMES.len() || !refused.is_empty(), "{}", String::from_utf8_lossy(file));
}

#[test]
fn a_damaged_line_is_told_and_every_other_one_comes_through() {
    assert_eq!(read(Format::Ndjson, LINES.as_bytes()), (everybody(), Vec::new()));
    // Includes the end of the line: without it, the line joins the next one.
    let mut begin = 0;
    for line in LINES.split_inclusive('\n') {
        let place = begin..begin + line.len();
        begin = place.end;
        for at in place.clone() {
            let before: BTreeSet<String> =
                NAMES.iter().take(LINES[..place.start].lines().count()).map(|name| (*name).to_owned()).collect();
            let (people, refused) = read(Format::Ndjson, &LINES.as_bytes()[..at]);
            assert!(people.is_superset(&before), "cut at {at}");
            let inside = at > place.start && at + 1 < place.end;
            assert_eq!(refused.len(), usize::from(inside), "cut at {at}");
            for damaged in turned(LINES, at) {
                // The first byte distinguishes lines from a list.
                if damaged[0] == b'[' {
                    assert_told(&damaged, &read(Format::Ndjson, &damaged));
                    continue;
                }
                let told = read(Format::Ndjson, &damaged);
                assert_told(&damaged, &told);
                let joined = at + 1 == place.end;
                let spoiled = before.len()..before.len() + 1 + usize::from(joined);
                for (number, name) in NAMES.iter().enumerate().filter(|(number, _)| !spoiled.contains(number)) {
                    assert!(
                        told.0.contains(*name),
                        "person {number}, byte {at}: {}",
                        String::from_utf8_lossy(&damaged)
                    );
                }
            }
        }
    }
}

#[test]
fn a_damaged_person_of_an_indented_list_is_told_and_every_other_one_comes_through() {
    assert_eq!(read(Format::Firebase, LIST.as_bytes()), (everybody(), Vec::new()));
    let places = places(LIST, "\n    {", "\n    }");
    assert_eq!(places.len(), NAMES.len());
    for at in 0..LIST.len() {
        let cut = &LIST.as_bytes()[..at];
        let told = read(Format::Firebase, cut);
        if at > 0 {
            assert_told(cut, &told);
        }
        for (name, place) in NAMES.iter().zip(&places) {
            // Only the comma or the end of the list shows that the person is complete.
            assert!(at < place.end + "\n  ]".len() || told.0.contains(*name), "{name}, cut at {at}");
        }
        let spoiled = places.iter().position(|place| place.contains(&at));
        for damaged in turned(LIST, at) {
            let told = read(Format::Firebase, &damaged);
            assert_told(&damaged, &told);
            // The line has a different indentation, or is no longer a line.
            if LIST.as_bytes()[at].is_ascii_whitespace() {
                continue;
            }
            for (number, name) in NAMES.iter().enumerate().filter(|(number, _)| spoiled.is_some_and(|at| at != *number))
            {
                assert!(told.0.contains(*name), "person {number}, byte {at}: {}", String::from_utf8_lossy(&damaged));
            }
        }
    }
}
