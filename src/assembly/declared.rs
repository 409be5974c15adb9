//! What the configuration declares, in the rooms' own types.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use serde_json::Value;

use super::StartError;
use crate::bridge::trusted::{Declared, KeyOrigin};
use crate::bridge::{Bridge, BridgeDefinition, Key, KeyUpload, Material, ServiceAccount};
use crate::config::{self, Config, DeclaredBridge, KeyFile};
use crate::domain::client::Client;
use crate::domain::secret::Secret;
use crate::tokens::jwks::KeySet;
use crate::tokens::keys::PublicKey;

/// The clients.
pub fn clients(config: &Config) -> Vec<Client> {
    let client = |declared: &config::Client| Client {
        id: declared.id.clone(),
        definition: declared.definition(),
        secret: declared.secret,
        previous_secret: None,
        unverified_since: None,
    };
    config.clients.iter().map(client).collect()
}

/// Checks the bridges that are switched on completely; all mistakes of all of them at once. Gives the keys in the files that
/// the configuration names, by bridge.
pub fn bridges(config: &Config) -> Result<HashMap<String, Material>, StartError> {
    let (mut keys, mut mistakes) = (HashMap::new(), Vec::new());
    let mut read: Vec<Bridge> = Vec::new();
    for declared in config.bridges.iter().filter(|declared| declared.enabled) {
        match bridge(declared, config) {
            Ok(bridge) => {
                if let Some(other) = read.iter().find(|other| bridge.is_taken_for(other)) {
                    mistakes.push(format!(
                        "bridge `{}`: audience: {OWN_AUDIENCE}; it is that of `{}`",
                        bridge.name(),
                        other.name()
                    ));
                }
                if let Key::Imported(material) = bridge.key() {
                    keys.insert(bridge.name().to_owned(), material.clone());
                }
                read.push(bridge);
            }
            Err(problems) => mistakes.extend(problems),
        }
    }
    if mistakes.is_empty() { Ok(keys) } else { Err(StartError::Bridges(mistakes.join("\n"))) }
}

/// What the configuration says of every bridge, and whether it is switched on.
pub fn definitions(config: &Config) -> Vec<(BridgeDefinition, bool)> {
    config.bridges.iter().map(|declared| (declared.definition.clone(), declared.enabled)).collect()
}

/// One bridge, checked completely; the error lists its mistakes.
pub fn bridge(declared: &DeclaredBridge, config: &Config) -> Result<Bridge, Vec<String>> {
    let name = &declared.definition.name;
    let material = declared.key_file.as_ref().map(material).transpose();
    let material = material.map_err(|mistake| vec![format!("bridge `{name}`: {mistake}")])?;
    let definition =
        BridgeDefinition { material, our_issuer: Some(config.issuer().to_owned()), ..declared.definition.clone() };
    let checked =
        Bridge::new(definition).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>());
    checked.and_then(|bridge| {
        let is_resource = || config.resources.iter().any(|resource| resource.identifier == bridge.audience());
        let own =
            matches!(bridge.key(), Key::Provider(_)) && (config.client(bridge.audience()).is_some() || is_resource());
        let mistake = || format!("bridge `{name}`: audience: {OWN_AUDIENCE}");
        if own { Err(vec![mistake()]) } else { Ok(bridge) }
    })
}

/// Why an audience is refused beside the keys of our own tokens.
pub const OWN_AUDIENCE: &str = "with the provider's keys never a client or an API of this server, nor another bridge's: it would take the token for one of its own";

/// The key in the file that the configuration names.
pub fn material(file: &KeyFile) -> Result<Material, String> {
    let (setting, path) = match file {
        KeyFile::ServiceAccount(path) => ("service_account_file", path),
        KeyFile::Key(path) => ("key_file", path),
        KeyFile::Secret(path) => ("secret_file", path),
    };
    let told = |what: &dyn std::fmt::Display| format!("{setting} {}: {what}", path.display());
    let bytes = fs::read(path)
        .map(Secret::new)
        .map_err(|error| format!("{setting} {} cannot be read: {error}", path.display()))?;
    let text = || std::str::from_utf8(bytes.expose()).map_err(|_| told(&"it is not text"));
    let upload = match file {
        KeyFile::Secret(_) => KeyUpload::of_secret(bytes.expose()),
        KeyFile::ServiceAccount(_) => {
            let account = ServiceAccount::parse(text()?).map_err(|error| told(&error))?;
            return Ok(Material::ServiceAccount(account));
        }
        KeyFile::Key(_) => KeyUpload::of_file(text()?).map_err(|error| told(&error))?,
    };
    upload.read().map_err(|error| told(&error))
}

/// The trusted issuers, their given keys read; all mistakes at once.
pub fn trusted_issuers(config: &Config) -> Result<Vec<Declared>, StartError> {
    let (mut declared, mut mistakes) = (Vec::new(), Vec::new());
    for one in &config.trusted_issuers {
        match trusted_keys(one) {
            Ok(keys) => declared.push(Declared { trust: one.trust.clone(), keys, grant: one.grant.clone() }),
            Err(mistake) => mistakes.push(format!("trusted issuer `{}`: {mistake}", one.trust.name)),
        }
    }
    if mistakes.is_empty() { Ok(declared) } else { Err(StartError::TrustedIssuers(mistakes.join("\n"))) }
}

/// One key as text, or several by their names.
fn pem_keys(pem: &Value) -> Result<KeySet, String> {
    let read = |text: &Value, name: &str| {
        let text = text.as_str().ok_or_else(|| format!("{name} is not text"))?;
        PublicKey::from_pem(text).map_err(|error| format!("{name} is no public key in PEM: {error}"))
    };
    match pem {
        Value::Object(table) => {
            let keys: Vec<_> =
                table.iter().map(|(kid, text)| Ok((kid.as_str(), read(text, kid)?))).collect::<Result<_, String>>()?;
            KeySet::of_named(keys.iter().map(|(kid, key)| (*kid, key))).map_err(|error| error.to_string())
        }
        one => read(one, "it").map(|key| KeySet::of_one(&key)),
    }
}

fn trusted_keys(declared: &config::TrustedIssuer) -> Result<KeyOrigin, String> {
    let given = |document: &[u8]| KeySet::parse(document).map(|set| KeyOrigin::Given(Arc::new(set)));
    if let Some(jwks) = &declared.jwks {
        return given(jwks.to_string().as_bytes()).map_err(|error| format!("jwks: {error}"));
    }
    if let Some(pem) = &declared.pem {
        return pem_keys(pem).map(|set| KeyOrigin::Given(Arc::new(set))).map_err(|error| format!("pem: {error}"));
    }
    if let Some(path) = &declared.jwks_file {
        let document =
            fs::read(path).map_err(|error| format!("jwks_file {} cannot be read: {error}", path.display()))?;
        return given(&document).map_err(|error| format!("jwks_file {}: {error}", path.display()));
    }
    Ok(declared.jwks_uri.clone().map_or(KeyOrigin::Discovery, KeyOrigin::At))
}
