//! Those who are told of events and asked about sign-ins, as the configuration declares them, with the secrets that messages to them are signed with.

use std::fs;
use std::path::Path;

use super::StartError;
use crate::config::{self, Config};
use crate::domain::secret::Secret;
use crate::domain::webhook::{Endpoint, SigningSecret};
use crate::hooks::after;
use crate::hooks::before::{Hook, OnFailure};
use crate::hooks::webhooks::Webhook;

/// The webhooks that are told; all mistakes of all of them at once.
pub fn webhooks(config: &Config) -> Result<Vec<Webhook>, StartError> {
    let mut webhooks = Vec::new();
    let mut mistakes = Vec::new();
    for declared in config.webhooks.iter().filter(|webhook| webhook.enabled) {
        match endpoint(&declared.endpoint) {
            Ok(endpoint) => webhooks.push(Webhook { endpoint, events: declared.events.clone() }),
            Err(mistake) => mistakes.push(format!("webhook `{}`: {mistake}", declared.endpoint.name)),
        }
    }
    if mistakes.is_empty() { Ok(webhooks) } else { Err(StartError::Hooks(mistakes.join("\n"))) }
}

/// The hooks that are called.
pub struct Hooks {
    /// Before a sign-in.
    pub before: Vec<Hook>,
    /// After one.
    pub after: Vec<after::Hook>,
}

/// The hooks that are called; all mistakes of all of them at once.
pub fn hooks(config: &Config) -> Result<Hooks, StartError> {
    let mut hooks = Hooks { before: Vec::new(), after: Vec::new() };
    let mut mistakes = Vec::new();
    for declared in config.hooks.iter().filter(|hook| hook.enabled) {
        match endpoint(&declared.endpoint) {
            Ok(endpoint) if declared.when == config::When::AfterSignIn => {
                hooks.after.push(after::Hook { endpoint, within: declared.timeout.to_std().unwrap_or_default() });
            }
            Ok(endpoint) => hooks.before.push(Hook {
                endpoint,
                within: declared.timeout.to_std().unwrap_or_default(),
                on_failure: match declared.on_failure {
                    config::OnFailure::Deny => OnFailure::Deny,
                    config::OnFailure::Allow => OnFailure::Allow,
                },
                clients: declared.clients.clone(),
            }),
            Err(mistake) => mistakes.push(format!("hook `{}`: {mistake}", declared.endpoint.name)),
        }
    }
    if mistakes.is_empty() { Ok(hooks) } else { Err(StartError::Hooks(mistakes.join("\n"))) }
}

/// Somebody that signed messages are sent to, with the secrets that they are signed with.
pub fn endpoint(declared: &config::Endpoint) -> Result<Endpoint, String> {
    let mut secrets = vec![signing_secret("secret_file", &declared.secret_file)?];
    if let Some(file) = &declared.previous_secret_file {
        secrets.push(signing_secret("previous_secret_file", file)?);
    }
    Ok(Endpoint {
        name: declared.name.clone(),
        url: declared.url.clone(),
        secrets,
        personal_data: declared.personal_data,
    })
}

fn signing_secret(key: &str, path: &Path) -> Result<SigningSecret, String> {
    let text = fs::read_to_string(path)
        .map(Secret::new)
        .map_err(|error| format!("{key} {} cannot be read: {error}", path.display()))?;
    SigningSecret::parse(text.expose()).ok_or_else(|| {
        format!(
            "{key} {} holds no secret of a webhook (whsec_ and the base64 of 24 to 64 bytes): make one with `passmint webhooks secret`",
            path.display()
        )
    })
}
