//! What the configuration declares, in the rooms' own types.

use std::fs;

use super::StartError;
use crate::bridge::{self, Bridge, BridgeSpec, PresetKind, ServiceAccount};
use crate::config::{self, BridgeConfig, Config};
use crate::domain::client::Client;

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

/// The bridges that are switched on, each checked completely; all mistakes of all bridges at once.
pub fn bridges(config: &Config) -> Result<Vec<Bridge>, StartError> {
    let mut bridges = Vec::new();
    let mut mistakes = Vec::new();
    for declared in config.bridges.iter().filter(|bridge| bridge.enabled) {
        match bridge(declared, config) {
            Ok(bridge) => bridges.push(bridge),
            Err(problems) => mistakes.extend(problems),
        }
    }
    if mistakes.is_empty() { Ok(bridges) } else { Err(StartError::Bridges(mistakes.join("\n"))) }
}

/// One bridge, checked completely; the error lists its mistakes.
pub fn bridge(declared: &BridgeConfig, config: &Config) -> Result<Bridge, Vec<String>> {
    let spec = spec(declared, config).map_err(|mistake| vec![format!("bridge `{}`: {mistake}", declared.name)])?;
    Bridge::new(spec).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn spec(declared: &BridgeConfig, config: &Config) -> Result<BridgeSpec, String> {
    let preset = match declared.preset {
        config::Preset::Firebase => PresetKind::Firebase,
        config::Preset::Jwt => PresetKind::Jwt,
    };
    let is_jwt = preset == PresetKind::Jwt;
    let word = |text: &str| format!("{text:?} is not a value of this setting");
    Ok(BridgeSpec {
        issuer: declared.issuer.clone().or_else(|| is_jwt.then(|| config.issuer().to_owned())),
        audience: declared.audience.clone(),
        audience_form: declared.audience_form.map(|form| match form {
            config::AudienceForm::String => bridge::AudienceForm::String,
            config::AudienceForm::Array => bridge::AudienceForm::Array,
        }),
        algorithm: match declared.algorithm {
            Some(config::Algorithm::Es256) => Some(bridge::Algorithm::Es256),
            Some(config::Algorithm::Rs256) => Some(bridge::Algorithm::Rs256),
            Some(config::Algorithm::EdDsa) => Some(bridge::Algorithm::EdDsa),
            None => is_jwt.then_some(bridge::Algorithm::Es256),
        },
        typ: declared.typ.as_deref().map(|typ| bridge::Typ::parse(typ).ok_or_else(|| word(typ))).transpose()?,
        kid: match &declared.kid {
            // `auto` is also the default of a preset that wants none.
            config::KidRule::Auto => None,
            config::KidRule::Omit => Some(bridge::KidPolicy::Omit),
            config::KidRule::Fixed(kid) => Some(bridge::KidPolicy::Fixed(kid.clone())),
        },
        lifetime: declared.lifetime,
        max_bytes: usize::try_from(declared.max_bytes).ok(),
        subject: Some(declared.subject.clone()).filter(|subject| !subject.is_empty()),
        claims: declared.claims.clone(),
        tenant_id: declared.tenant_id.clone(),
        allow: bridge::Allow {
            clients: declared.allow.clients.clone(),
            scopes_any: declared.allow.scopes.clone(),
            min_acr: declared.allow.min_acr.map(|acr| match acr {
                config::Acr::Phr => bridge::MinAcr::Phr,
                config::Acr::Phrh => bridge::MinAcr::Phrh,
            }),
            max_auth_age: declared.allow.max_auth_age,
        },
        service_account: declared.service_account_file.as_deref().map(service_account).transpose()?,
        ..BridgeSpec::new(&declared.name, preset)
    })
}

fn service_account(path: &std::path::Path) -> Result<ServiceAccount, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("service_account_file {} cannot be read: {error}", path.display()))?;
    ServiceAccount::parse(&text).map_err(|error| format!("service_account_file {}: {error}", path.display()))
}
