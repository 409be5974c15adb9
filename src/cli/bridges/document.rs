//! Reads a bridge from files: its settings, and its key.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use serde_json::Value;

use super::Written;
use crate::admin::bridges::rules::Draft;
use crate::bridge::KeyUpload;
use crate::bridge::key::MAX_KEY_BYTES;
use crate::domain::secret::Secret;

/// The largest file that is read.
const MOST: u64 = 256 * 1024;
/// The configuration's settings for key files, and how the file is given to the command instead.
const KEY_FILES: [(&str, &str); 3] =
    [("key_file", "--key-file"), ("service_account_file", "--key-file"), ("secret_file", "--secret-file")];

impl Written {
    /// Reads the files.
    pub(super) fn draft(&self) -> Result<Draft, String> {
        let shown = self.file.display();
        let text = String::from_utf8(read(&self.file, MOST)?).map_err(|_| format!("{shown} is not text"))?;
        let definition = definition(&text).map_err(|error| format!("{shown}: {error}"))?;
        refuse_key_files(&definition).map_err(|error| format!("{shown}: {error}"))?;
        Draft::read(&self.name, definition, self.key()?).map_err(|failure| format!("{shown}: {}", failure.detail()))
    }

    fn key(&self) -> Result<Option<KeyUpload>, String> {
        if let Some(file) = &self.secret_file {
            return Ok(Some(KeyUpload::of_secret(secret(file)?.expose())));
        }
        let Some(file) = &self.key_file else { return Ok(None) };
        let bytes = secret(file)?;
        let text = std::str::from_utf8(bytes.expose()).map_err(|_| format!("{} is not text", file.display()))?;
        KeyUpload::of_file(text).map(Some).map_err(|error| format!("{}: {error}", file.display()))
    }
}

fn secret(file: &Path) -> Result<Secret<Vec<u8>>, String> {
    read(file, MAX_KEY_BYTES as u64).map(Secret::new)
}

fn read(file: &Path, most: u64) -> Result<Vec<u8>, String> {
    let unreadable = |error: io::Error| format!("{} cannot be read: {error}", file.display());
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        fs::File::open(file).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    }
    if bytes.len() as u64 > most {
        return Err(format!("{} is larger than {most} bytes", file.display()));
    }
    Ok(bytes)
}

/// JSON if it starts with a brace, TOML otherwise.
fn definition(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"));
    }
    toml::from_str(text).map_err(|error| format!("it is not TOML: {}", error.message()))
}

/// Key files in the configuration are read at each start; a key given to this command is stored instead.
fn refuse_key_files(definition: &Value) -> Result<(), String> {
    let found = KEY_FILES.iter().find(|(setting, _)| definition.get(*setting).is_some());
    found.map_or(Ok(()), |(setting, flag)| {
        Err(format!("`{setting}` is for the configuration alone: leave it out, and hand the file over with `{flag}`"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_read_as_toml_and_as_json() {
        let expected = json!({ "preset": "jwt", "lifetime": "2m", "claims": { "role": "member" } });
        assert_eq!(definition("preset = \"jwt\"\nlifetime = \"2m\"\n[claims]\nrole = \"member\"\n").unwrap(), expected);
        assert_eq!(definition(&format!("\n {expected}")).unwrap(), expected);
        for (text, message) in [("{", "not JSON"), ("preset = ", "not TOML"), ("[a]\n[a]", "not TOML")] {
            assert!(definition(text).unwrap_err().contains(message), "{text}");
        }
    }
}
