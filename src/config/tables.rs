//! Settings that are tables of texts, or lists of small tables. Each mistake is reported with the name or the number of
//! its entry.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::problems::{Wrong, quoted};
use super::reader::Reader;

/// The format of such a list.
pub(super) struct TableList {
    /// The word for an entry in messages.
    pub entry: &'static str,
    /// The members that an entry may have.
    pub members: &'static [&'static str],
    /// Whether the list may be empty.
    pub may_be_empty: bool,
    /// An example of a list, for error messages.
    pub example: &'static str,
}

impl TableList {
    /// Reads the list of a key; empty if it is not set. `one` reads an entry, given the entries before it.
    pub(super) fn read<T>(
        &self,
        reader: &mut Reader<'_>,
        key: &str,
        one: impl Fn(&Map<String, Value>, &[T]) -> Result<T, Wrong>,
    ) -> Vec<T> {
        let Some(tree) = reader.tree(key) else { return Vec::new() };
        let Some(list) = tree.as_array().filter(|list| self.may_be_empty || !list.is_empty()) else {
            reader.mistake(key, Wrong::new("is not a list of tables", format!("write a list: {}", self.example)));
            return Vec::new();
        };
        let mut read = Vec::new();
        for (number, entry) in list.iter().enumerate() {
            match self.table(entry).and_then(|entry| one(entry, &read)) {
                Ok(one) => read.push(one),
                Err(wrong) => {
                    let what = format!("{} {} {}", self.entry, number + 1, wrong.what);
                    reader.mistake(key, Wrong::new(what, wrong.cure));
                }
            }
        }
        read
    }

    fn table<'a>(&self, entry: &'a Value) -> Result<&'a Map<String, Value>, Wrong> {
        let table = entry.as_object();
        let table = table.ok_or_else(|| Wrong::new("is not a table", format!("write a list: {}", self.example)))?;
        if let Some(unknown) = table.keys().find(|name| !self.members.contains(&name.as_str())) {
            let what = format!("has {}, which nothing reads", quoted(unknown));
            return Err(Wrong::new(what, format!("choose from {}", self.members.join(", "))));
        }
        Ok(table)
    }
}

/// Reads a table; empty if it is not set.
pub(super) fn table(reader: &mut Reader<'_>, key: &str) -> Map<String, Value> {
    match reader.tree(key) {
        None => Map::new(),
        Some(Value::Object(table)) => table,
        Some(_) => {
            reader.mistake(key, Wrong::new("is not a table", "write { name = value }"));
            Map::new()
        }
    }
}

/// Reads a table of texts. `text` describes them in messages; `check` judges an entry by its name and its text.
pub(super) fn texts(
    reader: &mut Reader<'_>,
    key: &str,
    text: &str,
    check: impl Fn(&str, &str) -> Result<(), Wrong>,
) -> BTreeMap<String, String> {
    let mut read = BTreeMap::new();
    for (name, value) in table(reader, key) {
        let Some(value) = value.as_str() else {
            let cure = format!("write in quotes {text}");
            reader.mistake(key, Wrong::new(format!("{} is not text", quoted(&name)), cure));
            continue;
        };
        match check(&name, value) {
            Ok(()) => drop(read.insert(name, value.to_owned())),
            Err(wrong) => reader.mistake(key, wrong),
        }
    }
    read
}
