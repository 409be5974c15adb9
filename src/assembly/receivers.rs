//! The configured webhooks and hooks, with the secrets that sign the messages to them.

use std::fs;
use std::path::Path;

use super::mistakes::{Fault, Mistakes};
use crate::config::{self, Config};
use crate::domain::secret::Secret;
use crate::domain::webhook::{Endpoint, SigningSecret};
use crate::hooks::after;
use crate::hooks::before::{Hook, OnFailure};
use crate::hooks::webhooks::Webhook;

/// The active webhooks.
pub(super) fn webhooks(config: &Config, mistakes: &mut Mistakes<'_>) -> Vec<Webhook> {
    let mut webhooks = Vec::new();
    for declared in config.webhooks.iter().filter(|webhook| webhook.enabled) {
        let table = format!("webhooks.{}", declared.endpoint.name);
        if let Some(endpoint) = gathered(&declared.endpoint, &table, mistakes) {
            webhooks.push(Webhook { endpoint, events: declared.events.clone() });
        }
    }
    webhooks
}

/// The active hooks.
pub struct Hooks {
    /// Called before a sign-in.
    pub before: Vec<Hook>,
    /// Called after a sign-in.
    pub after: Vec<after::Hook>,
}

/// Reads the active hooks.
pub(super) fn hooks(config: &Config, mistakes: &mut Mistakes<'_>) -> Hooks {
    let mut hooks = Hooks { before: Vec::new(), after: Vec::new() };
    for declared in config.hooks.iter().filter(|hook| hook.enabled) {
        let table = format!("hooks.{}", declared.endpoint.name);
        let Some(endpoint) = gathered(&declared.endpoint, &table, mistakes) else { continue };
        let within = declared.timeout.to_std().unwrap_or_default();
        match declared.when {
            config::When::AfterSignIn => hooks.after.push(after::Hook { endpoint, within }),
            config::When::BeforeSignIn => hooks.before.push(Hook {
                endpoint,
                within,
                on_failure: match declared.on_failure {
                    config::OnFailure::Deny => OnFailure::Deny,
                    config::OnFailure::Allow => OnFailure::Allow,
                },
                clients: declared.clients.clone(),
            }),
        }
    }
    hooks
}

/// A receiver of signed messages, with the secrets that sign them.
pub fn endpoint(declared: &config::Endpoint) -> Result<Endpoint, Fault> {
    let secrets = secret_files(declared).map(|(key, file)| signing_secret(key, file)).collect::<Result<Vec<_>, _>>()?;
    Ok(with_secrets(declared, secrets))
}

/// Like [`endpoint`], collecting the mistakes in all of its files.
fn gathered(declared: &config::Endpoint, table: &str, mistakes: &mut Mistakes<'_>) -> Option<Endpoint> {
    let read: Vec<Option<SigningSecret>> =
        secret_files(declared).map(|(key, file)| mistakes.take(table, signing_secret(key, file))).collect();
    let secrets = read.into_iter().collect::<Option<Vec<_>>>()?;
    Some(with_secrets(declared, secrets))
}

fn with_secrets(declared: &config::Endpoint, secrets: Vec<SigningSecret>) -> Endpoint {
    Endpoint { name: declared.name.clone(), url: declared.url.clone(), secrets, personal_data: declared.personal_data }
}

/// The files of its secrets, each with the setting that names it.
fn secret_files(declared: &config::Endpoint) -> impl Iterator<Item = (&'static str, &Path)> {
    let previous = declared.previous_secret_file.as_deref().map(|file| ("previous_secret_file", file));
    std::iter::once(("secret_file", declared.secret_file.as_path())).chain(previous)
}

fn signing_secret(key: &str, path: &Path) -> Result<SigningSecret, Fault> {
    let text = fs::read_to_string(path).map(Secret::new).map_err(|error| Fault::unreadable(key, path, &error))?;
    SigningSecret::parse(text.expose()).ok_or_else(|| {
        let what = format!("{} contains no webhook secret (whsec_ and the base64 of 24 to 64 bytes)", path.display());
        Fault::new(key, what, "make one with `passmint webhooks secret`")
    })
}
