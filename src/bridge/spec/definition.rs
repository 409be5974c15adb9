//! What an operator writes about a bridge.

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

/// What a bridge is: one form for the configuration, the administration API, the commands and the database. Everything
/// optional has a default from the preset; what the preset locks may be repeated, not changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeDefinition {
    /// Its name, as clients ask for it: 1 to 63 of `a-z 0-9 _ -`, beginning with a letter or digit.
    #[serde(skip)]
    pub name: String,
    /// The target's rules.
    pub preset: PresetKind,
    /// `iss`. `jwt`: this server's issuer where nothing is said. `firebase`: locked to the service account's e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// `aud`: exactly one. `jwt`: required, and never the issuer. `firebase`: locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// How `aud` is written; a string by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience_form: Option<AudienceForm>,
    /// `jwt`: ES256 by default. `firebase`: locked to RS256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// The header's `typ`; `JWT` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typ: Option<Typ>,
    /// The header's `kid`. Default: automatic for `jwt`, omitted for `firebase` (as Google's own libraries do).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<KidPolicy>,
    /// From `iat` to `exp`, written in seconds: 10 s to 24 h, for `firebase` at most 1 h; 10 minutes by default.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "seconds")]
    pub lifetime: Option<Duration>,
    /// The most bytes the signed token may have, 256 to 16384; 4096 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<usize>,
    /// The expression for `sub` (`jwt`) or `uid` (`firebase`); `{{ user.id }}` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The claims tree, an object. `jwt`: beside the engine's own claims. `firebase`: the developer claims.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub claims: Value,
    /// What the caller of a minting may say, for `input.NAME`: an object, one declaration for each name.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub inputs: Value,
    /// `firebase`: the Identity Platform tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Where the target is, for presets that go there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `nats-callout`: whom the access token must be for that people connect with; this server where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_audience: Option<String>,
    /// Who may mint.
    #[serde(default, skip_serializing_if = "Allow::is_default")]
    pub allow: Allow,
    /// Whose key signs; where nothing is said the imported one if there is one, else a key of the bridge's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySource>,
    /// Lets the template say what the preset otherwise refuses as too powerful.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dangerous: bool,
    /// Takes a preset that nobody has tried with its target.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_unverified: bool,
    /// The key that was made elsewhere. Never written with the rest.
    #[serde(skip)]
    pub material: Option<Material>,
    /// This server's issuer, for presets whose `iss` it is. Not a setting: whoever loads a definition fills it in.
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

    /// Reads what is written as JSON.
    ///
    /// # Errors
    /// Which member does not read, and what is expected there. What stands there is never repeated: it may be a key in the
    /// wrong place.
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
            // serde's own words come last, after what was sent.
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

    /// Whose key signs.
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
