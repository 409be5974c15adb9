//! The definition of a bridge, as an operator writes it.

use chrono::Duration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::seconds;
use super::words::{Algorithm, AudienceForm, KeySource, KidPolicy, Typ};
use crate::bridge::key::Material;
use crate::bridge::preset::kind::PresetKind;
use crate::bridge::rule::Allow;
use crate::bridge::service_account::ServiceAccount;
use crate::domain::json::read_object;

/// The definition of a bridge: the same form in the configuration, the administration API, the commands and the
/// database. Everything optional has a default from the preset; values that the preset locks may be repeated but not
/// changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeDefinition {
    /// The name that clients use in requests: 1 to 63 of `a-z 0-9 _ -`, beginning with a letter or digit.
    #[serde(skip)]
    pub name: String,
    /// The preset, which contains the target's rules.
    pub preset: PresetKind,
    /// `iss`. `jwt`: this server's issuer by default. `firebase`: locked to the service account's e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// `aud`: exactly one. `jwt`: required, and never the issuer. `firebase`: locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The JSON form of `aud`; a string by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience_form: Option<AudienceForm>,
    /// `jwt`: ES256 by default. `firebase`: locked to RS256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// `typ` in the header; `JWT` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typ: Option<Typ>,
    /// `kid` in the header. Default: automatic for `jwt`, omitted for `firebase` (like Google's own libraries).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<KidPolicy>,
    /// The time from `iat` to `exp`, written in seconds: 10 s to 24 h, for `firebase` at most 1 h; 10 minutes by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub lifetime: Option<Duration>,
    /// The maximum size of the signed token in bytes, 256 to 16384; 4096 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<usize>,
    /// The expression for `sub` (`jwt`) or `uid` (`firebase`); `{{ user.id }}` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The claims tree, an object. `jwt`: in addition to the engine's own claims. `firebase`: the developer claims.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub claims: Value,
    /// The inputs that the caller may give, for `input.NAME`: an object with one declaration for each name.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub inputs: Value,
    /// `firebase`: the Identity Platform tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The URL of the target, for presets that connect to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `nats-callout`: the required audience of the access token with which people connect; this server by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_audience: Option<String>,
    /// Who may mint.
    #[serde(default, skip_serializing_if = "Allow::is_default")]
    pub allow: Allow,
    /// Which key signs; by default the imported one if there is one, otherwise a key of the bridge's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySource>,
    /// Allows values in the template that the preset otherwise refuses as too powerful.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dangerous: bool,
    /// Allows a preset that was never tried with its target.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_unverified: bool,
    /// The imported key. Never written together with the rest.
    #[serde(skip)]
    pub material: Option<Material>,
    /// This server's issuer, for presets that use it as `iss`. Not a setting: filled in when a definition is loaded.
    #[serde(skip)]
    pub our_issuer: Option<String>,
}

impl BridgeDefinition {
    /// A definition with all defaults.
    pub fn new(name: &str, preset: PresetKind) -> Self {
        Self {
            name: name.to_owned(),
            preset,
            issuer: None,
            audience: None,
            audience_form: None,
            algorithm: None,
            typ: None,
            kid: None,
            lifetime: None,
            max_bytes: None,
            subject: None,
            claims: Value::Null,
            inputs: Value::Null,
            tenant_id: None,
            url: None,
            bearer_audience: None,
            allow: Allow::default(),
            key: None,
            dangerous: false,
            allow_unverified: false,
            material: None,
            our_issuer: None,
        }
    }

    /// Parses a JSON document.
    ///
    /// # Errors
    /// Which member is invalid, and what is expected. Its value is never repeated: it may be a misplaced key.
    pub fn read(document: Value) -> Result<Self, String> {
        let whole = document.clone();
        read_object(document).map_err(|error| {
            let reads = |name: &str, value: &Value| {
                let mut one = serde_json::json!({ "preset": PresetKind::Jwt });
                one[name] = value.clone();
                serde_json::from_value::<Self>(one).is_ok()
            };
            let members = whole.as_object();
            let culprit = members.and_then(|all| all.iter().find(|(name, value)| !reads(name, value)));
            // serde's own text comes last, after the value that was sent.
            let expected = error.to_string().rsplit_once("expected ").map(|(_, words)| format!(": expected {words}"));
            match culprit {
                Some((name, _)) if is_plain_name(name) => {
                    format!("`{name}` does not read{}", expected.unwrap_or_default())
                }
                Some(_) => "a member does not read".to_owned(),
                None => match error.to_string() {
                    text if text.starts_with("missing field") => text,
                    _ => "it is no object of settings".to_owned(),
                },
            }
        })
    }

    /// The service account whose key was imported.
    pub const fn service_account(&self) -> Option<&ServiceAccount> {
        match &self.material {
            Some(Material::ServiceAccount(account)) => Some(account),
            _ => None,
        }
    }

    /// Which key signs.
    pub fn key_source(&self) -> KeySource {
        let unsaid = if self.material.is_some() { KeySource::Imported } else { KeySource::Own };
        self.key.unwrap_or(unsaid)
    }
}

fn is_plain_name(name: &str) -> bool {
    name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a function of a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
