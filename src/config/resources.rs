//! Resources: the APIs that access tokens are issued for (RFC 8707).

use std::collections::BTreeMap;

use chrono::Duration;

use super::problems::{Wrong, quoted};
use super::reader::Reader;
use super::section::{Choice, Fallback, Key, Kind, Section};
use super::text;
use super::tokens::Algorithm;
use crate::domain::audience::canonical;
use crate::domain::resource::{Resource, ResourceDefinition, check_identifier, check_scope};

pub(super) const SECTION: Section = Section {
    title: "Resources",
    doc: "`[resources.\"<identifier>\"]`, in the file only: APIs with scopes, lifetime or algorithm of their own. The \
          identifier is what tokens have in `aud` and requests in `resource`, compared byte for byte, except that an \
          address without a path is the same with and without its last `/`; a client may ask for it when it is among \
          the client's `audiences`. A scope that a resource declares is granted only with that \
          resource: a request for it without the resource is `invalid_scope`, and a token for another resource leaves it out.",
    keys: &[
        Key {
            path: "resources.<identifier>.name",
            kind: Kind::Text("name to show"),
            default: Fallback::Derived("the identifier"),
            doc: "The name shown to people when an app asks to use the API.",
        },
        Key {
            path: "resources.<identifier>.scopes",
            kind: Kind::Tree,
            default: Fallback::Unset,
            doc: "The API's scopes, each with what it allows, in words for people: `scopes = { \"orders.read\" = \"Read your \
                  orders\" }`.",
        },
        Key {
            path: "resources.<identifier>.access_ttl",
            kind: Kind::Duration("1m", "24h"),
            default: Fallback::Derived("the client's `access_ttl`"),
            doc: "The longest lifetime of access tokens for this API alone; if the client has its own, the shorter one \
                applies.",
        },
        Key {
            path: "resources.<identifier>.algorithm",
            kind: Kind::Choice(Algorithm::WORDS),
            default: Fallback::Derived("`tokens.algorithm`"),
            doc: "The signature algorithm of access tokens for this API alone.",
        },
    ],
};

/// Reads every resource.
pub(super) fn read(reader: &mut Reader<'_>, own: &str) -> Vec<Resource> {
    let mut read: Vec<Resource> = Vec::new();
    for identifier in reader.names("resources") {
        let key = format!("resources.{identifier}");
        if let Err(fault) = check_identifier(&identifier, own) {
            reader.mistake(&key, Wrong::new(fault.what, fault.cure));
        }
        if let Some(same) = read.iter().find(|other| canonical(&other.identifier) == canonical(&identifier)) {
            let wrong = Wrong::new("is the same address as that of another resource", "put both into one");
            reader.contradiction(&key, &[&format!("resources.{}", same.identifier)], wrong);
        }
        read.push(read_one(reader, identifier));
    }
    read
}

fn read_one(reader: &mut Reader<'_>, identifier: String) -> Resource {
    let key = |field: &str| format!("resources.{identifier}.{field}");
    let definition = ResourceDefinition {
        name: reader.text_as(&key("name"), text::display_name).unwrap_or_else(|| identifier.clone()),
        scopes: scopes(reader, &key("scopes")),
        access_ttl: reader.optional_duration(&key("access_ttl")).as_ref().map(Duration::num_seconds),
        algorithm: reader
            .optional_choice::<Algorithm>(&key("algorithm"))
            .map(|algorithm| algorithm.as_str().to_owned()),
    };
    Resource { identifier, definition }
}

fn scopes(reader: &mut Reader<'_>, key: &str) -> BTreeMap<String, String> {
    let Some(tree) = reader.tree(key) else { return BTreeMap::new() };
    let Some(tree) = tree.as_object() else {
        let cure = "write each scope with what it allows: { \"orders.read\" = \"Read your orders\" }";
        reader.mistake(key, Wrong::new("is not a table", cure));
        return BTreeMap::new();
    };
    let mut scopes = BTreeMap::new();
    for (scope, words) in tree {
        match scope_in_words(scope, words.as_str()) {
            Ok(words) => {
                scopes.insert(scope.clone(), words);
            }
            Err(wrong) => reader.mistake(key, wrong),
        }
    }
    scopes
}

fn scope_in_words(scope: &str, words: Option<&str>) -> Result<String, Wrong> {
    check_scope(scope)
        .map_err(|fault| Wrong::new(format!("has {}, which {}", quoted(scope), fault.what), fault.cure))?;
    let words = words.ok_or_else(|| {
        Wrong::new(format!("{} has no words", quoted(scope)), "write in quotes what it allows, for people")
    })?;
    text::display_name(words)
}
