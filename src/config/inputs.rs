//! Collects the values of file, environment and command line, key by key, and refuses unknown keys.
//!
//! Invariant: nothing that an operator wrote is silently ignored. A misspelt key would otherwise leave a weaker default
//! in effect.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::problems::{Place, Problem, Wrong, nearest};
use super::section::{Key, Kind, Sections, variable};
use super::text;

const LOOK_IT_UP: &str = "remove it, or look the name up in docs/reference/configuration.md";

/// A value as given, before it is checked.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i128),
    Float(f64),
    Switch(bool),
    Moment(String),
    List(Vec<Given>),
    Table(BTreeMap<String, Given>),
    /// The text of a variable or a flag, which has no type yet: `10` may be a number, `a,b` a list.
    Word(String),
}

impl Value {
    /// The kind of the value, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Word(_) => "text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Switch(_) => "true or false",
            Self::Moment(_) => "a date or time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// All given values, by full path.
#[derive(Debug)]
pub(super) struct Inputs {
    /// The known settings.
    pub(super) known: Sections,
    /// For each path its values; stronger sources come later.
    pub(super) given: BTreeMap<String, Vec<Given>>,
    /// The named tables: their paths (`clients.web`) and places.
    pub(super) tables: BTreeMap<String, Place>,
    /// `PGSSLMODE`, which libpq reads itself.
    pub(super) pgsslmode: Option<String>,
    pub(super) problems: Vec<Problem>,
    /// Whether the file could not be parsed; keys missing from a broken file are not reported separately.
    pub(super) file_is_broken: bool,
}

impl Inputs {
    /// Collects the values of all three sources.
    pub(super) fn gather(
        known: Sections,
        file: Option<(&Path, &str)>,
        environment: &[(String, OsString)],
        flags: &[(String, String)],
    ) -> Self {
        let mut inputs = Self {
            known,
            given: BTreeMap::new(),
            tables: BTreeMap::new(),
            pgsslmode: None,
            problems: Vec::new(),
            file_is_broken: false,
        };
        if let Some((path, content)) = file {
            inputs.file(path, content);
        }
        inputs.environment(environment);
        inputs.flags(flags);
        inputs
    }

    fn file(&mut self, path: &Path, content: &str) {
        let path: Arc<str> = path.to_string_lossy().into();
        let lines = Lines::of(&path, content);
        let (root, errors) = DeTable::parse_recoverable(content);
        for error in &errors {
            let place = lines.place(error.span().map_or(0, |span| span.start));
            let wrong =
                Wrong::new(format!("is not TOML: {}", error.message()), "see https://toml.io for how to write it");
            self.problems.push(Problem { key: String::new(), place, wrong });
        }
        self.file_is_broken = !errors.is_empty();
        if !self.file_is_broken {
            self.table(&lines, root.get_ref(), &mut Vec::new());
        }
    }

    fn table(&mut self, lines: &Lines, table: &DeTable<'_>, path: &mut Vec<String>) {
        for (name, value) in table {
            path.push(name.get_ref().to_string());
            self.entry(lines, name, value, path);
            path.pop();
        }
    }

    fn entry(
        &mut self,
        lines: &Lines,
        name: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        path: &mut Vec<String>,
    ) {
        let place = lines.place(name.span().start);
        let dotted = path.join(".");
        let known = self.known.keys().any(|key| key.matches(path)) || is_secret_file(self.known, &dotted);
        let below = self.known.keys().find(|key| key.is_below(path));
        let named = below.map(|key| key.path.split('.').nth(path.len() - 1).is_some_and(|part| part.starts_with('<')));
        match (known, named, value.get_ref()) {
            (true, _, value) => {
                let given = Given { value: convert(lines, value), place };
                self.given.entry(dotted).or_default().push(given);
            }
            (false, Some(true), DeValue::Table(inner)) => match table_name(below, path) {
                Ok(_) => {
                    self.tables.insert(dotted, place);
                    self.table(lines, inner, path);
                }
                Err(wrong) => self.problems.push(Problem { key: dotted, place, wrong }),
            },
            (false, Some(false), DeValue::Table(inner)) => self.table(lines, inner, path),
            (false, Some(_), other) => {
                let what = format!("is {}, but this is a table of settings", convert(lines, other).kind());
                let cure = format!("write [{dotted}] and its settings below");
                self.problems.push(Problem { key: dotted, place, wrong: Wrong::new(what, cure) });
            }
            (false, None, _) => self.problems.push(unknown(self.known, dotted, place, path)),
        }
    }

    fn environment(&mut self, environment: &[(String, OsString)]) {
        let known: BTreeMap<String, String> = settable_paths(self.known).map(|path| (variable(&path), path)).collect();
        // `DATABASE_URL` is the weaker one, because our own variable was set for us specifically.
        let common = environment.iter().filter(|(name, _)| name == "DATABASE_URL");
        // `PASSMINT_PG_BIN` (the directory of PostgreSQL's programs) is read where they are started, and is not a
        // setting.
        let ours = environment.iter().filter(|(name, _)| name.starts_with("PASSMINT_") && name != "PASSMINT_PG_BIN");
        for (name, value) in common.chain(ours) {
            let path = if name == "DATABASE_URL" { Some("database.url") } else { known.get(name).map(String::as_str) };
            let place = Place::Variable(name.clone());
            match (path, value.to_str()) {
                (Some(path), Some(value)) => self.word(path, value, place),
                (Some(path), None) => {
                    // The intended value is unknown, and falling back to another one would be silent.
                    let wrong = Wrong::new("is not UTF-8", "write it as text in UTF-8");
                    self.problems.push(Problem { key: path.to_owned(), place, wrong });
                }
                (None, Some(value)) if is_service_link(name, value) => {}
                (None, _) => {
                    let cure = match nearest(name, known.keys().map(String::as_str)) {
                        Some(meant) => format!("did you mean {meant}?"),
                        None => LOOK_IT_UP.to_owned(),
                    };
                    let wrong = Wrong::new("no setting has this variable", cure);
                    self.problems.push(Problem { key: name.clone(), place, wrong });
                }
            }
        }
        self.pgsslmode = environment
            .iter()
            .find(|(name, _)| name == "PGSSLMODE")
            .map(|(_, mode)| mode.to_string_lossy().into_owned());
    }

    fn flags(&mut self, flags: &[(String, String)]) {
        for (index, (path, value)) in flags.iter().enumerate() {
            let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
            let known = settable_paths(self.known).any(|known| known == *path);
            let wrong = if !known {
                match self.known.keys().find(|key| key.matches(&parts)) {
                    Some(_) => Wrong::new("cannot be set by a flag", "write it into the configuration file"),
                    None => unknown(self.known, path.clone(), Place::CommandLine, &parts).wrong,
                }
            } else if self.known.keys().any(|key| key.path == path && matches!(key.kind, Kind::Secret)) {
                let cure = format!("put it into a file and name that in {}_FILE", variable(path));
                Wrong::new("is a secret, and everybody on the machine can read a command line", cure)
            } else if flags[..index].iter().any(|(earlier, _)| earlier == path) {
                Wrong::new("is given twice", "keep one of the two flags")
            } else {
                self.word(path, value, Place::CommandLine);
                continue;
            };
            self.problems.push(Problem { key: path.clone(), place: Place::CommandLine, wrong });
        }
    }

    /// Where each value was given, down to the leaves of free trees (`claims.roles[2]`); for several sources, the one
    /// in effect.
    pub(super) fn places(&self) -> BTreeMap<String, Place> {
        let mut places = self.tables.clone();
        for (path, given) in &self.given {
            if let Some(given) = given.last() {
                note_places(&mut places, path.clone(), given);
            }
        }
        places
    }

    fn word(&mut self, path: &str, value: &str, place: Place) {
        let given = Given { value: Value::Word(value.to_owned()), place };
        self.given.entry(path.to_owned()).or_default().push(given);
    }
}

fn note_places(places: &mut BTreeMap<String, Place>, path: String, given: &Given) {
    match &given.value {
        Value::Table(table) => {
            for (name, inner) in table {
                note_places(places, format!("{path}.{name}"), inner);
            }
        }
        Value::List(list) => {
            for (index, inner) in list.iter().enumerate() {
                note_places(places, format!("{path}[{index}]"), inner);
            }
        }
        _ => {}
    }
    places.insert(path, given.place.clone());
}

/// All paths that variables and flags may set: the keys outside named tables, and `…_file` for each secret.
fn settable_paths(known: Sections) -> impl Iterator<Item = String> {
    known.keys().filter(|key| !key.is_in_named_table()).flat_map(|key| {
        let file = matches!(key.kind, Kind::Secret).then(|| format!("{}_file", key.path));
        std::iter::once(key.path.to_owned()).chain(file)
    })
}

/// Checks the name of a named table: an identifier is defined by others, any other name follows our rules.
fn table_name(below: Option<&Key>, path: &[String]) -> Result<String, Wrong> {
    let name = path.last().map_or("", String::as_str);
    if below.is_some_and(|key| key.path.contains("<identifier>")) { text::identifier(name) } else { text::name(name) }
}

fn is_secret_file(known: Sections, path: &str) -> bool {
    path.strip_suffix("_file")
        .is_some_and(|path| known.keys().any(|key| key.path == path && matches!(key.kind, Kind::Secret)))
}

/// Whether Kubernetes set the variable: for a Service named `passmint` (or `passmint-…`), every pod of the namespace
/// gets `PASSMINT_SERVICE_HOST`, `PASSMINT_PORT=tcp://…` and similar variables. They are not the operator's mistake.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_url = value.starts_with("tcp://") || value.starts_with("udp://");
    let protocols = ["_TCP", "_UDP"];
    let of_port = |suffix: &str| {
        let ends = |protocol| name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with(protocol));
        name.contains("_PORT_") && protocols.into_iter().any(ends)
    };
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (is_url && (name.ends_with("_PORT") || of_port("")))
        || ["_PROTO", "_PORT", "_ADDR"].into_iter().any(of_port)
}

fn unknown(known: Sections, dotted: String, place: Place, path: &[String]) -> Problem {
    let candidates: BTreeSet<String> = known.keys().flat_map(|key| spellings(key, path)).collect();
    let last = path.last().map(String::as_str);
    let elsewhere = |candidate: &&String| candidate.rsplit('.').next() == last;
    let meant = nearest(&dotted, candidates.iter().map(String::as_str))
        .or_else(|| candidates.iter().find(elsewhere).map(String::as_str));
    let cure = match meant {
        Some(meant) => format!("did you mean {}?", meant.escape_debug()),
        None => LOOK_IT_UP.to_owned(),
    };
    Problem { key: dotted, place, wrong: Wrong::new("there is no such setting", cure) }
}

/// The paths that may have been intended: the key and its parent tables. The name of a named table is not a
/// misspelling, so it is taken from the path.
fn spellings(key: &Key, path: &[String]) -> Vec<String> {
    let parts: Vec<&str> = key
        .path
        .split('.')
        .enumerate()
        .map_while(|(i, part)| if part.starts_with('<') { path.get(i).map(String::as_str) } else { Some(part) })
        .collect();
    (1..=parts.len()).map(|length| parts[..length].join(".")).collect()
}

fn convert(lines: &Lines, value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        // A number that does not fit is outside every range as well.
        DeValue::Integer(number) => {
            Value::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(switch) => Value::Switch(*switch),
        DeValue::Datetime(moment) => Value::Moment(moment.to_string()),
        DeValue::Array(list) => {
            let element = |value: &Spanned<DeValue<'_>>| Given {
                value: convert(lines, value.get_ref()),
                place: lines.place(value.span().start),
            };
            Value::List(list.iter().map(element).collect())
        }
        DeValue::Table(table) => {
            let entry = |(name, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
                let given = Given { value: convert(lines, value.get_ref()), place: lines.place(name.span().start) };
                (name.get_ref().to_string(), given)
            };
            Value::Table(table.iter().map(entry).collect())
        }
    }
}

/// The offsets at which the lines of a file begin.
struct Lines {
    path: Arc<str>,
    starts: Vec<usize>,
}

impl Lines {
    fn of(path: &Arc<str>, content: &str) -> Self {
        let starts = content.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect();
        Self { path: Arc::clone(path), starts }
    }

    fn place(&self, offset: usize) -> Place {
        Place::File(Arc::clone(&self.path), self.starts.partition_point(|start| *start <= offset) + 1)
    }
}
