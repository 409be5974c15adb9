//! Those who are told of events, as the configuration declares them, with the secrets that messages to them are signed with.

use std::fs;
use std::path::Path;

use super::StartError;
use crate::config::{self, Config};
use crate::domain::secret::Secret;
use crate::domain::webhook::{Endpoint, SigningSecret};
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
