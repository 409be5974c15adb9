//! Converts the given values to typed ones, key by key, and collects all mistakes.
//!
//! Invariants: a method that returns a plain value always returns one (the default if the given value is invalid), so
//! that one mistake never hides the next; the whole load fails at the end if there was any. A value that a stronger
//! source overrides is still checked. Every value read is recorded with its source for [`super::Config::describe`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use chrono::Duration;

use super::inputs::{Given, Inputs, Value};
use super::problems::{Place, Problem, Wrong, nearest, quoted};
use super::section::{Choice, Fallback, Key, Kind};
use super::text;
use super::values::{json, show};
use crate::domain::secret::Secret;

/// A setting as it was understood.
#[derive(Clone, Debug)]
pub(super) struct Understood {
    pub(super) path: String,
    /// The value as TOML; `***` for a secret; `None` when the setting is unset.
    pub(super) shown: Option<String>,
    pub(super) place: Place,
}

/// The typed view of the inputs.
pub(super) struct Reader<'a> {
    inputs: Inputs,
    read_secret: &'a dyn Fn(&Path) -> io::Result<String>,
    problems: Vec<Problem>,
    understood: Vec<Understood>,
    /// The keys that were read, so that a test can detect a forgotten one.
    pub(super) asked: BTreeSet<&'static str>,
}

type Reading<T> = Result<T, Vec<Problem>>;

impl<'a> Reader<'a> {
    pub(super) fn new(mut inputs: Inputs, read_secret: &'a dyn Fn(&Path) -> io::Result<String>) -> Self {
        let problems = std::mem::take(&mut inputs.problems);
        Self { inputs, read_secret, problems, understood: Vec::new(), asked: BTreeSet::new() }
    }

    /// Where each value was given.
    pub(super) fn places(&self) -> BTreeMap<String, Place> {
        self.inputs.places()
    }

    /// The result: the mistakes, and the settings as understood.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Understood>) {
        (self.problems, self.understood)
    }

    /// Records a mistake in a key, at the place of its effective value.
    pub(super) fn mistake(&mut self, path: &str, wrong: Wrong) {
        let place = self.place(path);
        self.problems.push(Problem { key: path.to_owned(), place, wrong });
    }

    /// Whether no mistake has been found so far in these keys or tables of keys. After a mistake a default takes the
    /// value's place, and comparing it with other settings is meaningless.
    pub(super) fn is_sound(&self, paths: &[&str]) -> bool {
        let within = |problem: &Problem, whole: &str| {
            problem.key.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        !paths.iter().any(|whole| self.problems.iter().any(|problem| within(problem, whole)))
    }

    /// Records that a key does not fit others, unless one of those is invalid itself.
    pub(super) fn contradiction(&mut self, path: &str, others: &[&str], wrong: Wrong) {
        if self.is_sound(&[path]) && self.is_sound(others) {
            self.mistake(path, wrong);
        }
    }

    /// The source of the effective value of a key or named table.
    pub(super) fn place(&self, path: &str) -> Place {
        let given = self.inputs.given.get(path).and_then(|given| given.last()).map(|given| &given.place);
        given.or_else(|| self.inputs.tables.get(path)).cloned().unwrap_or(Place::Default)
    }

    /// Whether the key was set.
    pub(super) fn is_given(&self, path: &str) -> bool {
        self.inputs.given.contains_key(path)
    }

    /// `PGSSLMODE`, which libpq would read itself.
    pub(super) fn pgsslmode(&self) -> Option<String> {
        self.inputs.pgsslmode.clone()
    }

    /// The names of the tables under `section`, such as the client ids under `clients`.
    pub(super) fn names(&self, section: &str) -> Vec<String> {
        let below = |path: &String| Some(path.strip_prefix(section)?.strip_prefix('.')?.to_owned());
        self.inputs.tables.keys().filter_map(below).collect()
    }

    /// Records a value derived from other settings.
    pub(super) fn derived(&mut self, path: &str, shown: String) {
        self.understood.retain(|understood| understood.path != path);
        self.understood.push(Understood { path: path.to_owned(), shown: Some(shown), place: Place::Default });
    }

    /// Reads text with the function `parse`.
    pub(super) fn text_as<T>(&mut self, path: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<T> {
        self.take(path, |given, _| match &given.value {
            Value::Text(text) | Value::Word(text) if text.is_empty() => {
                fail(path, given, Wrong::new("is empty", "give it a value, or leave it out"))
            }
            Value::Text(text) | Value::Word(text) => parse(text).or_else(|wrong| fail(path, given, wrong)),
            other => {
                let what = format!("is {}, but must be text", other.kind());
                fail(path, given, Wrong::new(what, "write it in quotes"))
            }
        })
    }

    /// Reads a path.
    pub(super) fn path(&mut self, path: &str) -> Option<PathBuf> {
        self.text_as(path, |text| {
            if text.contains('\0') {
                return Err(Wrong::new("is not a path", "leave out the NUL character"));
            }
            Ok(PathBuf::from(text))
        })
    }

    /// Reads `true` or `false`, for a key with a default.
    pub(super) fn switch(&mut self, path: &str) -> bool {
        self.optional_switch(path).unwrap_or_else(|| self.fallback(path, text::switch))
    }

    /// Reads `true` or `false`.
    pub(super) fn optional_switch(&mut self, path: &str) -> Option<bool> {
        self.take(path, |given, _| match &given.value {
            Value::Switch(switch) => Ok(*switch),
            Value::Word(word) if text::switch(word).is_some() => Ok(word == "true"),
            Value::Word(text) | Value::Text(text) => {
                fail(path, given, Wrong::new(format!("is {}", quoted(text)), "write true or false, without quotes"))
            }
            other => fail(path, given, Wrong::new(format!("is {}", other.kind()), "write true or false")),
        })
    }

    /// Reads a word of a closed list, for a key with a default.
    pub(super) fn choice<T: Choice>(&mut self, path: &str) -> T {
        self.optional_choice(path).unwrap_or_else(|| self.fallback(path, T::from_word))
    }

    /// Reads a word of a closed list.
    pub(super) fn optional_choice<T: Choice>(&mut self, path: &str) -> Option<T> {
        self.text_as(path, word::<T>)
    }

    /// Reads a whole number within the key's bounds, for a key with a default.
    pub(super) fn integer<T: TryFrom<i64>>(&mut self, path: &str) -> T {
        let number = self.take(path, |given, key| {
            let Kind::Integer(low, high) = key.kind else { unreachable!("{path} is read as what it is declared") };
            let number = match &given.value {
                Value::Integer(number) => Some(*number),
                Value::Word(text) => text.parse().ok(),
                _ => None,
            };
            let cure = || format!("write a whole number from {low} to {high}, without quotes");
            match number.map(|number| (number, i64::try_from(number))) {
                Some((_, Ok(number))) if (low..=high).contains(&number) => Ok(number),
                Some((number, _)) if number < i128::MAX => {
                    fail(path, given, Wrong::new(format!("{number} is out of range"), cure()))
                }
                Some(_) => fail(path, given, Wrong::new("the number is out of range", cure())),
                None => fail(path, given, Wrong::new(format!("is {}", given.value.kind()), cure())),
            }
        });
        let number = number.unwrap_or_else(|| self.fallback(path, |text| text.parse().ok()));
        T::try_from(number).ok().expect("the bounds of the key fit its type")
    }

    /// Reads a duration within the key's bounds, for a key with a default.
    pub(super) fn duration(&mut self, path: &str) -> Duration {
        self.optional_duration(path).unwrap_or_else(|| self.fallback(path, |text| text::duration(text).ok()))
    }

    /// Reads a duration within the key's bounds; `None` if it is not given, or given as `off`.
    pub(super) fn optional_duration(&mut self, path: &str) -> Option<Duration> {
        let off = self.text_or_number(path, "10m", |text, kind| match kind {
            Kind::DurationOrOff(..) if text == "off" => Ok(None),
            Kind::Duration(low, high) | Kind::DurationOrOff(low, high) => {
                within(text, low, high, text::duration).map(Some)
            }
            _ => unreachable!("{path} is read as what it is declared"),
        });
        off.flatten()
    }

    /// Reads a size in bytes within the key's bounds, for a key with a default.
    pub(super) fn size(&mut self, path: &str) -> u64 {
        let size = self.text_or_number(path, "32KiB", |text, kind| match kind {
            Kind::Size(low, high) => within(text, low, high, text::size),
            _ => unreachable!("{path} is read as what it is declared"),
        });
        size.unwrap_or_else(|| self.fallback(path, |text| text::size(text).ok()))
    }

    fn text_or_number<T>(
        &mut self,
        path: &str,
        example: &str,
        parse: impl Fn(&str, &Kind) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.take(path, |given, key| match &given.value {
            Value::Text(text) | Value::Word(text) => parse(text, &key.kind).or_else(|wrong| fail(path, given, wrong)),
            other => {
                let cure = format!("write text with a unit, for example \"{example}\"");
                fail(path, given, Wrong::new(format!("is {}", other.kind()), cure))
            }
        })
    }

    /// Reads a list, each element by `parse`; variables and flags separate the elements by commas.
    pub(super) fn list_as<T>(&mut self, path: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<Vec<T>> {
        self.take(path, |given, _| {
            let mut seen = BTreeSet::new();
            let mut list = Vec::new();
            let mut problems = Vec::new();
            for (text, place) in elements(path, given, &mut problems) {
                let read = if seen.insert(text.clone()) {
                    parse(&text)
                } else {
                    Err(Wrong::new(format!("{} is listed twice", quoted(&text)), "keep one of the two"))
                };
                match read {
                    Ok(element) => list.push(element),
                    Err(wrong) => problems.push(Problem { key: path.to_owned(), place, wrong }),
                }
            }
            if problems.is_empty() { Ok(list) } else { Err(problems) }
        })
    }

    /// Reads a list of words of a closed list.
    pub(super) fn choices<T: Choice>(&mut self, path: &str) -> Option<Vec<T>> {
        self.list_as(path, word::<T>)
    }

    /// Reads a free tree of values as JSON.
    pub(super) fn tree(&mut self, path: &str) -> Option<serde_json::Value> {
        self.take(path, |given, _| {
            let mut problems = Vec::new();
            let json = json(path, given, &mut problems);
            if problems.is_empty() { Ok(json) } else { Err(problems) }
        })
    }

    /// Reads a secret, given directly or in the file named by the same key with `_file` appended.
    pub(super) fn secret(&mut self, path: &str) -> Option<Secret<String>> {
        let file_key = format!("{path}_file");
        let plain = self.inputs.given.remove(path).unwrap_or_default();
        let files = self.inputs.given.remove(&file_key).unwrap_or_default();
        // Two values of the same rank: it is unclear which was intended.
        for plain in &plain {
            if files.iter().any(|file| rank(&plain.place) == rank(&file.place)) {
                let wrong = Wrong::new(format!("is given twice, also as {file_key}"), "keep one of the two");
                self.problems.push(Problem { key: path.to_owned(), place: plain.place.clone(), wrong });
            }
        }
        let mut all = plain;
        all.extend(files.iter().filter_map(|file| self.open(&file_key, file)));
        all.sort_by_key(|given| rank(&given.place));
        if !all.is_empty() {
            self.inputs.given.insert(path.to_owned(), all);
        }
        self.text_as(path, |text| Ok(Secret::new(text.to_owned())))
    }

    fn open(&mut self, path: &str, given: &Given) -> Option<Given> {
        let (Value::Text(file) | Value::Word(file)) = &given.value else {
            let wrong = Wrong::new(format!("is {}, but must be a path", given.value.kind()), "write it in quotes");
            self.problems.push(Problem { key: path.to_owned(), place: given.place.clone(), wrong });
            return None;
        };
        let place = Place::SecretFile(file.into(), Box::new(given.place.clone()));
        let content = self.read_file(path, Path::new(file), &given.place)?;
        Some(Given { value: Value::Word(content), place })
    }

    /// Reads a file that holds a secret, without the line end that editors leave behind.
    pub(super) fn read_file(&mut self, key: &str, file: &Path, place: &Place) -> Option<String> {
        let wrong = match (self.read_secret)(file) {
            Ok(content) if !content.trim().is_empty() => {
                return Some(content.trim_end_matches(['\r', '\n']).to_owned());
            }
            Ok(_) => {
                let what = format!("the file {} is empty", quoted(&file.to_string_lossy()));
                Wrong::new(what, "put the secret into it")
            }
            Err(error) => Wrong::unreadable(file, &error),
        };
        self.problems.push(Problem { key: key.to_owned(), place: place.clone(), wrong });
        None
    }

    /// Reads every value given for a key, weakest first; the last valid one applies.
    fn take<T>(&mut self, path: &str, parse: impl Fn(&Given, &'static Key) -> Reading<T>) -> Option<T> {
        let key = self.key(path);
        self.asked.insert(key.path);
        let mut held = None;
        for given in self.inputs.given.get(path).map_or(&[][..], Vec::as_slice) {
            match parse(given, key) {
                Ok(value) => held = Some((value, given.clone())),
                Err(problems) => self.problems.extend(problems),
            }
        }
        if held.is_none()
            && !self.is_given(path)
            && let Some(given) = self.fall_back(path, key)
        {
            let value = parse(&given, key).expect("the default of a key is one of its values");
            held = Some((value, given));
        }
        let (value, given) = held?;
        let shown = Some(show(&given.value, &key.kind));
        self.understood.push(Understood { path: path.to_owned(), shown, place: given.place });
        Some(value)
    }

    /// The value that applies if none is given, if any.
    fn fall_back(&mut self, path: &str, key: &'static Key) -> Option<Given> {
        match key.default {
            Fallback::Value(text) => {
                return Some(Given { value: Value::Word(text.to_owned()), place: Place::Default });
            }
            Fallback::Required if !self.inputs.file_is_broken => {
                let place = path.rsplit_once('.').map_or(Place::Default, |(table, _)| self.place(table));
                let wrong = Wrong::new("is missing", format!("give it a value: {}", key.kind.in_words()));
                self.problems.push(Problem { key: path.to_owned(), place, wrong });
            }
            Fallback::Unset if !key.is_in_named_table() => {
                self.understood.push(Understood { path: path.to_owned(), shown: None, place: Place::Default });
            }
            Fallback::Required | Fallback::Unset | Fallback::Derived(_) => {}
        }
        None
    }

    /// The key of a path; the code only reads declared ones.
    fn key(&self, path: &str) -> &'static Key {
        self.inputs.known.keys().find(|key| key.has_path(path)).expect("only declared keys are read")
    }

    fn fallback<T>(&self, path: &str, parse: impl Fn(&'static str) -> Option<T>) -> T {
        let Fallback::Value(text) = self.key(path).default else {
            panic!("{path} has no default, so it is read as an option")
        };
        parse(text).expect("the default of a key is one of its values")
    }
}

fn fail<T>(path: &str, given: &Given, wrong: Wrong) -> Reading<T> {
    Err(vec![Problem { key: path.to_owned(), place: given.place.clone(), wrong }])
}

fn word<T: Choice>(text: &str) -> Result<T, Wrong> {
    T::from_word(text).ok_or_else(|| {
        let cure = match nearest(text, T::WORDS.iter().copied()) {
            Some(meant) => format!("did you mean {}?", quoted(meant)),
            None => format!("write {}", T::WORDS.join(", ")),
        };
        Wrong::new(format!("{} is none of {}", quoted(text), T::WORDS.join(", ")), cure)
    })
}

fn within<T: PartialOrd>(
    text: &str,
    low: &str,
    high: &str,
    parse: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<T, Wrong> {
    let value = parse(text)?;
    if parse(low)? <= value && value <= parse(high)? {
        return Ok(value);
    }
    Err(Wrong::new(format!("{} is out of range", quoted(text)), format!("choose from {low} to {high}")))
}

/// The elements of a list as texts, each with its place; an element that is not a text becomes a problem.
fn elements(path: &str, given: &Given, problems: &mut Vec<Problem>) -> Vec<(String, Place)> {
    let mut refuse = |given: &Given, what: &str| {
        let wrong =
            Wrong::new(format!("{what} {}", given.value.kind()), "write a list of texts, for example [\"a\", \"b\"]");
        problems.push(Problem { key: path.to_owned(), place: given.place.clone(), wrong });
        None
    };
    match &given.value {
        Value::Word(words) => {
            let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
            words.map(|word| (word.to_owned(), given.place.clone())).collect()
        }
        Value::List(list) => list
            .iter()
            .filter_map(|element| match &element.value {
                Value::Text(text) => Some((text.clone(), element.place.clone())),
                _ => refuse(element, "an element is"),
            })
            .collect(),
        _ => refuse(given, "is").into_iter().collect(),
    }
}

/// The order of the sources, weakest first.
fn rank(place: &Place) -> u8 {
    match place {
        Place::Default => 0,
        Place::File(..) => 1,
        place if is_common_name(place) => 2,
        Place::Variable(_) => 3,
        Place::SecretFile(_, named_by) => rank(named_by),
        Place::CommandLine => 4,
    }
}

fn is_common_name(place: &Place) -> bool {
    matches!(place, Place::Variable(name) if name == "DATABASE_URL")
}
