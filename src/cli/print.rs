//! The output of commands: tables for people, JSON for scripts, notes on standard error.
//!
//! Nothing here panics, even if writing fails.

use std::io::{self, Write as _};
use std::sync::OnceLock;

use serde::Serialize;

use super::Outcome;
use crate::clock::Time;

/// The first error while writing to standard output.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Prints one line on standard output. A closed reader (`| head`) is not an error; any other error is reported by
/// [`outcome`].
pub fn line(text: impl AsRef<str>) {
    if let Err(error) = writeln!(io::stdout(), "{}", text.as_ref())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // A later error says no more than the first one.
        let _ = UNWRITTEN.set(error);
    }
}

/// Fails if not everything was written: something that is shown only once may be lost.
pub fn outcome() -> Outcome {
    UNWRITTEN.get().map_or(Ok(()), |error| {
        Err(format!(
            "the answer could not be written: {error}. What the command did stays done; a secret that it was to show must be made anew"
        ))
    })
}

/// Prints a message on standard error. Every line starts with our name, to distinguish it from other programs' lines.
/// Errors are ignored.
pub fn note(text: impl AsRef<str>) {
    let _ = io::stderr().write_all(under_our_name(text.as_ref()).as_bytes());
}

fn under_our_name(text: &str) -> String {
    text.lines().flat_map(|line| ["passmint: ", line, "\n"]).collect()
}

/// Prints a value as JSON on standard output.
pub fn json(value: &impl Serialize) -> Result<(), String> {
    line(serde_json::to_string_pretty(value).map_err(|error| format!("the answer cannot be written: {error}"))?);
    Ok(())
}

/// Prints rows under their headings, with columns as wide as needed.
pub fn table(headings: &[&str], rows: &[Vec<String>]) {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let print = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        line(padded.join("  ").trim_end());
    };
    print(&mut headings.iter().copied());
    for row in &rows {
        print(&mut row.iter().map(String::as_str));
    }
}

/// Prints `name: value` lines with the values aligned.
pub fn facts(facts: &[(&str, String)]) {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
    for (name, value) in facts {
        line(format!("{:width$}  {}", format!("{name}:"), printable(value)));
    }
}

/// A time for people.
pub fn time(time: Time) -> String {
    time.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A time for people, if there is one.
pub fn maybe(moment: Option<Time>) -> String {
    moment.map_or_else(|| "-".to_owned(), time)
}

/// A list for people.
pub fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<&str> = items.into_iter().collect();
    if items.is_empty() { "-".to_owned() } else { items.join(", ") }
}

/// Escapes a name: people typed it, and it must not control the terminal.
pub fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{printable, under_our_name};

    #[test]
    fn every_line_of_a_note_is_ours() {
        assert_eq!(under_our_name("one"), "passmint: one\n");
        assert_eq!(under_our_name("one\ntwo\n"), "passmint: one\npassmint: two\n");
    }

    #[test]
    fn what_people_typed_cannot_steer_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c\nd"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        assert_eq!(printable("Ærø Þór"), "Ærø Þór");
    }
}
