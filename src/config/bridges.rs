//! Bridges: named targets that custom tokens are minted for.
//!
//! Here a bridge is only read and typed; what its preset demands is checked where the presets are.

use std::path::PathBuf;

use chrono::Duration;

use super::bridge_keys;
use super::keys::{Section, choices};
use super::problems::Wrong;
use super::reader::Reader;
use super::text;
use super::tokens::Algorithm;

choices! {
    /// What a bridge starts from.
    Preset {
        /// A custom token for Firebase Authentication.
        Firebase = "firebase",
        /// A JSON Web Token of the operator's own shape.
        Jwt = "jwt",
    }
}

choices! {
    /// How `aud` is written.
    AudienceForm {
        /// As text.
        String = "string",
        /// As a list.
        Array = "array",
    }
}

choices! {
    /// The least authentication context that a bridge asks for, weakest first.
    Acr {
        /// A passkey with user verification: resistant to phishing.
        Phr = "phr",
        /// The same, in attested hardware.
        Phrh = "phrh",
    }
}

/// What goes into the header's `kid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KidRule {
    /// The id of the key.
    Auto,
    /// Nothing.
    Omit,
    /// This text.
    Fixed(String),
}

/// A bridge as configured. `None` means: as the preset has it.
#[derive(Clone, Debug)]
pub struct BridgeConfig {
    /// Its name in the configuration, in URLs and in the scope `bridge:<name>`.
    pub name: String,
    /// What it starts from.
    pub preset: Preset,
    /// Whether tokens are minted.
    pub enabled: bool,
    /// The service account whose key signs (Firebase).
    pub service_account_file: Option<PathBuf>,
    /// The tenant (Firebase).
    pub tenant_id: Option<String>,
    /// The `iss` claim.
    pub issuer: Option<String>,
    /// The `aud` claim.
    pub audience: Option<String>,
    /// How `aud` is written.
    pub audience_form: Option<AudienceForm>,
    /// The signature algorithm.
    pub algorithm: Option<Algorithm>,
    /// The header's `typ`.
    pub typ: Option<String>,
    /// The header's `kid`.
    pub kid: KidRule,
    /// How long a token lives.
    pub lifetime: Option<Duration>,
    /// How long a token may be, in bytes.
    pub max_bytes: u32,
    /// The expression that gives `sub`.
    pub subject: String,
    /// The tree of further claims, always a JSON object; its texts may hold expressions.
    pub claims: serde_json::Value,
    /// Who may ask for a token.
    pub allow: BridgeAllow,
}

/// Who may ask a bridge for a token. An empty list does not restrict.
#[derive(Clone, Debug, Default)]
pub struct BridgeAllow {
    /// Only these clients.
    pub clients: Vec<String>,
    /// Only with one of these scopes.
    pub scopes: Vec<String>,
    /// Only with this authentication context or a stronger one.
    pub min_acr: Option<Acr>,
    /// Only when the person signed in no longer ago than this.
    pub max_auth_age: Option<Duration>,
}

pub(super) const SECTION: Section = bridge_keys::SECTION;

/// Reads every bridge.
pub(super) fn read(reader: &mut Reader<'_>) -> Vec<BridgeConfig> {
    reader.names("bridges").iter().map(|name| read_one(reader, name)).collect()
}

fn read_one(reader: &mut Reader<'_>, name: &str) -> BridgeConfig {
    let key = |field: &str| format!("bridges.{name}.{field}");
    let bridge = BridgeConfig {
        name: name.to_owned(),
        preset: reader.optional_choice(&key("preset")).unwrap_or(Preset::Jwt),
        enabled: reader.switch(&key("enabled")),
        service_account_file: reader.path(&key("service_account_file")),
        tenant_id: reader.text_as(&key("tenant_id"), text::identifier),
        issuer: reader.text_as(&key("issuer"), text::identifier),
        audience: reader.text_as(&key("audience"), text::identifier),
        audience_form: reader.optional_choice(&key("audience_form")),
        algorithm: reader.optional_choice(&key("algorithm")),
        typ: reader.text_as(&key("typ"), text::identifier),
        kid: reader.text_as(&key("kid"), kid).unwrap_or(KidRule::Auto),
        lifetime: reader.optional_duration(&key("lifetime")),
        max_bytes: reader.integer(&key("max_bytes")),
        subject: reader.text_as(&key("subject"), |text| Ok(text.to_owned())).unwrap_or_default(),
        claims: claims(reader, &key("claims")),
        allow: allow(reader, name),
    };
    let firebase_only = ["service_account_file", "tenant_id"];
    for field in firebase_only.into_iter().filter(|_| bridge.preset != Preset::Firebase) {
        if reader.is_given(&key(field)) {
            let wrong = Wrong::new("belongs to the preset \"firebase\"", "remove it, or change the preset");
            reader.contradiction(&key(field), &[&key("preset")], wrong);
        }
    }
    bridge
}

fn kid(text: &str) -> Result<KidRule, Wrong> {
    match text {
        "auto" => Ok(KidRule::Auto),
        "omit" => Ok(KidRule::Omit),
        other => text::identifier(other).map(KidRule::Fixed),
    }
}

fn claims(reader: &mut Reader<'_>, key: &str) -> serde_json::Value {
    let claims = reader.tree(key).unwrap_or_else(|| serde_json::Value::Object(serde_json::Map::new()));
    if !claims.is_object() {
        reader.mistake(key, Wrong::new("is not a table", "write one claim per line under its own heading"));
    }
    claims
}

fn allow(reader: &mut Reader<'_>, name: &str) -> BridgeAllow {
    let key = |field: &str| format!("bridges.{name}.allow.{field}");
    BridgeAllow {
        clients: reader.list_as(&key("clients"), text::name).unwrap_or_default(),
        scopes: reader.list_as(&key("scopes"), text::scope).unwrap_or_default(),
        min_acr: reader.optional_choice(&key("min_acr")),
        max_auth_age: reader.optional_duration(&key("max_auth_age")),
    }
}
