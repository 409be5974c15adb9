//! Converts the declarations of the configuration to the rooms' own types.

use std::collections::HashMap;
use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::StartError;
use super::mistakes::{Fault, Mistakes};
use super::receivers::{self, Hooks};
use crate::bridge::trusted::{Declared, KeyOrigin};
use crate::bridge::{
    Bridge, BridgeDefinition, Key, KeyUpload, Material, PresetKind, Problem as BridgeProblem, ServiceAccount,
    SpecProblem,
};
use crate::config::{self, Config, DeclaredBridge, KeyFile, Problem};
use crate::domain::client::Client;
use crate::domain::secret::Secret;
use crate::hooks::webhooks::Webhook;
use crate::tokens::key_set::KeySet;
use crate::tokens::keys::PublicKey;

/// Everything in the configuration that only the rooms can check, read and checked.
pub struct Declarations {
    /// The keys in the files that bridges name, by bridge.
    pub key_files: HashMap<String, Material>,
    /// The active webhooks.
    pub webhooks: Vec<Webhook>,
    /// The active hooks.
    pub hooks: Hooks,
    /// The trusted issuers, with their configured keys read.
    pub trusted_issuers: Vec<Declared>,
}

impl Declarations {
    /// Reads and checks all of it, except for what is switched off.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn read(config: &Config) -> Result<Self, StartError> {
        let (read, mistakes) = Self::gather(config);
        mistakes.settle().map(|()| read)
    }

    /// The mistakes in it, for callers that have already found others.
    pub fn mistakes(config: &Config) -> Vec<Problem> {
        Self::gather(config).1.into_list()
    }

    fn gather(config: &Config) -> (Self, Mistakes<'_>) {
        let mut mistakes = Mistakes::of(config);
        let read = Self {
            key_files: bridges(config, &mut mistakes),
            webhooks: receivers::webhooks(config, &mut mistakes),
            hooks: receivers::hooks(config, &mut mistakes),
            trusted_issuers: believed(config, &mut mistakes),
        };
        mistakes.take("outbound", super::reach(config));
        certificate(config, &mut mistakes);
        (read, mistakes)
    }
}

/// Checks that the files of the server's certificate can be read; their content is checked when the certificate is
/// opened.
fn certificate(config: &Config, mistakes: &mut Mistakes<'_>) {
    let files = config.tls.iter().flat_map(|tls| [("cert_file", &tls.cert_file), ("key_file", &tls.key_file)]);
    for (key, file) in files {
        mistakes.take("tls", fs::File::open(file).map_err(|error| Fault::unreadable(key, file, &error)));
    }
}

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

/// Checks all enabled bridges completely. Returns the keys in the files that the configuration names, by bridge.
fn bridges(config: &Config, mistakes: &mut Mistakes<'_>) -> HashMap<String, Material> {
    let mut keys = HashMap::new();
    let mut read: Vec<Bridge> = Vec::new();
    for declared in config.bridges.iter().filter(|declared| declared.enabled) {
        let table = format!("bridges.{}", declared.definition.name);
        match bridge(declared, config) {
            Ok(bridge) => {
                if let Some(other) = read.iter().find(|other| bridge.is_taken_for(other)) {
                    mistakes.add(&table, shared_audience(&format!("that of the bridge `{}`", other.name())));
                }
                if let Key::Imported(material) = bridge.key() {
                    keys.insert(bridge.name().to_owned(), material.clone());
                }
                read.push(bridge);
            }
            Err(faults) => faults.into_iter().for_each(|fault| mistakes.add(&table, fault)),
        }
    }
    keys
}

/// The definition of every bridge in the configuration, and whether it is enabled.
pub fn definitions(config: &Config) -> Vec<(BridgeDefinition, bool)> {
    config.bridges.iter().map(|declared| (declared.definition.clone(), declared.enabled)).collect()
}

/// One bridge, completely checked; the error lists its mistakes.
fn bridge(declared: &DeclaredBridge, config: &Config) -> Result<Bridge, Vec<Fault>> {
    let (material, unread) = match declared.key_file.as_ref().map(material).transpose() {
        Ok(material) => (material, None),
        Err(fault) => (None, Some(fault)),
    };
    let definition =
        BridgeDefinition { material, our_issuer: Some(config.issuer().to_owned()), ..declared.definition.clone() };
    let checked = Bridge::new(definition);
    if let Some(fault) = unread {
        // The rest is checked as far as it does not depend on the key.
        let others = checked.err().unwrap_or_default().into_iter().filter(|problem| !hangs_on_key(&problem.place));
        return Err(std::iter::once(fault).chain(others.map(|problem| in_settings(problem, declared))).collect());
    }
    let bridge = checked.map_err(|all| all.into_iter().map(|one| in_settings(one, declared)).collect::<Vec<_>>())?;
    let is_resource = || config.resources.iter().any(|resource| resource.identifier == bridge.audience());
    let is_own =
        matches!(bridge.key(), Key::Provider(_)) && (config.client(bridge.audience()).is_some() || is_resource());
    if is_own { Err(vec![shared_audience("that of a client or an API of this server")]) } else { Ok(bridge) }
}

/// Whether a problem at this place of a bridge may only be caused by the missing key.
fn hangs_on_key(place: &str) -> bool {
    matches!(place, "key" | "service_account" | "issuer" | "algorithm")
}

/// A mistake in a bridge in terms of the configuration, which names a file where the bridge has a key.
fn in_settings(problem: SpecProblem, declared: &DeclaredBridge) -> Fault {
    let SpecProblem { place, problem, .. } = problem;
    let key = match (place.as_str(), &declared.key_file) {
        ("key", Some(file)) => setting_of(file).0.to_owned(),
        ("service_account", _) => "service_account_file".to_owned(),
        // About the whole bridge.
        ("name" | "definition", _) => String::new(),
        _ => place,
    };
    let cure = where_to_look(&problem, declared.definition.preset);
    Fault::new(key, problem.to_string(), cure)
}

fn where_to_look(problem: &BridgeProblem, preset: PresetKind) -> String {
    match problem {
        BridgeProblem::Template(_) | BridgeProblem::Expression(_) | BridgeProblem::Sample { .. } => {
            "docs/flows/custom-token.md tells the facts and filters that there are".to_owned()
        }
        _ => format!("docs/bridges/{}.md shows what the preset takes", preset.about().page),
    }
}

fn shared_audience(whose: &str) -> Fault {
    Fault::new("audience", format!("is {whose}; {OWN_AUDIENCE}"), "choose another audience, or another key")
}

/// Why an audience is refused together with the keys of our own tokens.
pub const OWN_AUDIENCE: &str = "with the provider's keys never a client or an API of this server, nor another bridge's: it would take the token for one of its own";

/// The setting that names a key file, and the file.
const fn setting_of(file: &KeyFile) -> (&'static str, &PathBuf) {
    match file {
        KeyFile::ServiceAccount(path) => ("service_account_file", path),
        KeyFile::Key(path) => ("key_file", path),
        KeyFile::Secret(path) => ("secret_file", path),
    }
}

/// The key in the file that the configuration names.
pub fn material(file: &KeyFile) -> Result<Material, Fault> {
    let (setting, path) = setting_of(file);
    let cure = match file {
        KeyFile::ServiceAccount(_) => "give it the JSON file of a service account's key, as Google's console makes it",
        KeyFile::Key(_) => "give it a private key: PEM, JWK, an nkey seed, or the JSON file of a service account",
        KeyFile::Secret(_) => "give it the secret that the target has",
    };
    let told = |what: &dyn Display| Fault::new(setting, format!("{}: {what}", path.display()), cure);
    let bytes = fs::read(path).map(Secret::new).map_err(|error| Fault::unreadable(setting, path, &error))?;
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

/// The trusted issuers alone, for commands about them; all mistakes at once.
pub fn trusted_issuers(config: &Config) -> Result<Vec<Declared>, StartError> {
    let mut mistakes = Mistakes::of(config);
    let declared = believed(config, &mut mistakes);
    mistakes.settle().map(|()| declared)
}

fn believed(config: &Config, mistakes: &mut Mistakes<'_>) -> Vec<Declared> {
    let mut declared = Vec::new();
    for one in &config.trusted_issuers {
        let table = format!("trusted_issuers.{}", one.trust.name);
        if let Some(keys) = mistakes.take(&table, trusted_keys(one)) {
            declared.push(Declared { trust: one.trust.clone(), keys, grant: one.grant.clone() });
        }
    }
    declared
}

/// Reads one key as text, or several by name.
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

fn trusted_keys(declared: &config::TrustedIssuer) -> Result<KeyOrigin, Fault> {
    let given = |key: &str, document: &[u8]| {
        let read = KeySet::parse(document).map(|set| KeyOrigin::Given(Arc::new(set)));
        read.map_err(|error| Fault::new(key, error.to_string(), "give it a JWK Set with the issuer's public keys"))
    };
    if let Some(jwks) = &declared.jwks {
        return given("jwks", jwks.to_string().as_bytes());
    }
    if let Some(pem) = &declared.pem {
        let read = pem_keys(pem).map(|set| KeyOrigin::Given(Arc::new(set)));
        return read.map_err(|what| Fault::new("pem", what, "give it public keys that begin with BEGIN PUBLIC KEY"));
    }
    if let Some(path) = &declared.jwks_file {
        let document = fs::read(path).map_err(|error| Fault::unreadable("jwks_file", path, &error))?;
        return given("jwks_file", &document);
    }
    Ok(declared.jwks_uri.clone().map_or(KeyOrigin::Discovery, KeyOrigin::At))
}
