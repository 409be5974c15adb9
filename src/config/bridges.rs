//! Bridges: named targets that custom tokens are minted for.
//!
//! Here a bridge is only read and typed; the requirements of its preset are checked where the presets are.

use std::path::PathBuf;

use super::min_acr;
use super::problems::Wrong;
use super::reader::Reader;
use super::section::Choice;
use super::text;
use crate::bridge::{Algorithm, Allow, AudienceForm, BridgeDefinition, KeySource, KidPolicy, PresetKind, Require, Typ};

/// A bridge as configured.
#[derive(Clone, Debug)]
pub struct DeclaredBridge {
    /// Its definition.
    pub definition: BridgeDefinition,
    /// Whether tokens are minted.
    pub enabled: bool,
    /// The file of a key that was created elsewhere.
    pub key_file: Option<KeyFile>,
}

/// The file of a declared bridge's own key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// A Google service account's JSON.
    ServiceAccount(PathBuf),
    /// A private key: PEM, JWK, or a service account's JSON.
    Key(PathBuf),
    /// A secret shared with the target; a line end after it is not part of it.
    Secret(PathBuf),
}

/// Makes the bridges' own enums available as choices in the configuration.
macro_rules! words_of {
    ($($name:ident),+) => {$(
        impl Choice for $name {
            const WORDS: &'static [&'static str] = $name::WORDS;

            fn from_word(word: &str) -> Option<Self> {
                Self::parse(word)
            }
        }
    )+};
}
words_of!(PresetKind, AudienceForm, Algorithm, Typ, KeySource);

/// Reads every bridge.
pub(super) fn read(reader: &mut Reader<'_>) -> Vec<DeclaredBridge> {
    reader.names("bridges").iter().map(|name| read_one(reader, name)).collect()
}

fn read_one(reader: &mut Reader<'_>, name: &str) -> DeclaredBridge {
    let key = |field: &str| format!("bridges.{name}.{field}");
    let preset = reader.optional_choice(&key("preset")).unwrap_or(PresetKind::Jwt);
    let enabled = reader.switch(&key("enabled"));
    let key_file = key_file(reader, name);
    let definition = BridgeDefinition {
        tenant_id: reader.text_as(&key("tenant_id"), text::identifier),
        issuer: reader.text_as(&key("issuer"), text::identifier),
        audience: reader.text_as(&key("audience"), text::identifier),
        audience_form: reader.optional_choice(&key("audience_form")),
        algorithm: reader.optional_choice(&key("algorithm")),
        typ: reader.optional_choice(&key("typ")),
        kid: reader.text_as(&key("kid"), kid),
        lifetime: reader.optional_duration(&key("lifetime")),
        max_bytes: Some(reader.integer::<u32>(&key("max_bytes")) as usize),
        subject: reader.text_as(&key("subject"), |text| Ok(text.to_owned())),
        claims: table(reader, &key("claims"), "write one claim per line under its own heading"),
        inputs: table(reader, &key("inputs"), "write one table per input, named bridges.<name>.inputs.<input>"),
        url: reader.text_as(&key("url"), text::identifier),
        bearer_audience: reader.text_as(&key("bearer_audience"), text::identifier),
        allow: allow(reader, name),
        // A key file implies an imported key. This is stored with the bridge; only this server knows the file itself.
        key: reader.optional_choice(&key("key")).or_else(|| key_file.as_ref().map(|_| KeySource::Imported)),
        dangerous: reader.switch(&key("dangerous")),
        allow_unverified: reader.switch(&key("allow_unverified")),
        ..BridgeDefinition::new(name, preset)
    };
    let firebase_only = ["service_account_file", "tenant_id"];
    let is_firebase = matches!(preset, PresetKind::Firebase | PresetKind::FirebaseTenant);
    for field in firebase_only.into_iter().filter(|_| !is_firebase) {
        if reader.is_given(&key(field)) {
            let wrong = Wrong::new("belongs to the preset \"firebase\"", "remove it, or change the preset");
            reader.contradiction(&key(field), &[&key("preset")], wrong);
        }
    }
    DeclaredBridge { definition, enabled, key_file }
}

fn key_file(reader: &mut Reader<'_>, name: &str) -> Option<KeyFile> {
    let key = |field: &str| format!("bridges.{name}.{field}");
    let files = [
        ("service_account_file", reader.path(&key("service_account_file")).map(KeyFile::ServiceAccount)),
        ("key_file", reader.path(&key("key_file")).map(KeyFile::Key)),
        ("secret_file", reader.path(&key("secret_file")).map(KeyFile::Secret)),
    ];
    let mut found = None;
    for (field, file) in files {
        let Some(file) = file else { continue };
        if found.is_some() {
            let wrong = Wrong::new("is a second key: a bridge has one", "keep one of the files");
            reader.contradiction(&key(field), &[], wrong);
        }
        found = Some(file);
    }
    found
}

fn kid(text: &str) -> Result<KidPolicy, Wrong> {
    text::identifier(text).map(|text| KidPolicy::read(&text))
}

fn table(reader: &mut Reader<'_>, key: &str, cure: &'static str) -> serde_json::Value {
    let table = reader.tree(key).unwrap_or_else(|| serde_json::Value::Object(serde_json::Map::new()));
    if !table.is_object() {
        reader.mistake(key, Wrong::new("is not a table", cure));
    }
    table
}

fn allow(reader: &mut Reader<'_>, name: &str) -> Allow {
    let key = |field: &str| format!("bridges.{name}.allow.{field}");
    Allow {
        clients: reader.list_as(&key("clients"), text::name).unwrap_or_default(),
        scopes_any: reader.list_as(&key("scopes"), text::scope).unwrap_or_default(),
        groups_any: reader.list_as(&key("groups"), text::display_name).unwrap_or_default(),
        min_acr: reader.text_as(&key("min_acr"), min_acr::parse),
        max_auth_age: reader.optional_duration(&key("max_auth_age")),
        unnamed_actors: reader.switch(&key("unnamed_actors")),
        require: Require {
            user_verification: reader.switch(&key("require.user_verification")),
            email_verified: reader.switch(&key("require.email_verified")),
        },
    }
}
