//! `passmint clients set` and `delete`, with the functions of the administration API.

use clap::Args;
use serde_json::{Map, Value};

use crate::admin::clients::{change, delete as deletion, lock};
use crate::admin::guard::Actor;
use crate::cli::Outcome;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::clients::rules::Rules;
use crate::domain::client::ClientDefinition;

/// Settings to be changed.
#[derive(Args)]
pub struct Change {
    /// The client's id.
    id: String,
    /// A setting and its value, `name=value`; lists with commas, times in seconds; may be given several times.
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = crate::cli::pair)]
    settings: Vec<(String, String)>,
    /// A setting to reset to its default; may be given several times.
    #[arg(long, value_name = "NAME")]
    clear: Vec<String>,
}

impl Change {
    /// Runs the command.
    pub fn run(&self, settings: &Settings) -> Outcome {
        let changes = self.changes()?;
        if changes.is_empty() {
            return Err("nothing to change: give --setting NAME=VALUE or --clear NAME".to_owned());
        }
        let desk = settings.desk()?;
        let rules = Rules::of(&desk.config);
        desk.write_locked(|conn| {
            let operator = Actor::command_line();
            let old = lock(conn, &self.id, &operator)?;
            let definition = change::merged(&old.definition, &changes)?;
            Ok(change::store(conn, &operator, &rules, &old, &definition, desk.now)?)
        })?;
        print::line(format!("client `{}` is changed; running servers follow within seconds", self.id));
        Ok(())
    }

    fn changes(&self) -> Result<Map<String, Value>, String> {
        let set = self.settings.iter().map(|(name, text)| typed(name, text).map(|value| (name.clone(), value)));
        set.chain(self.clear.iter().map(|name| Ok((name.clone(), Value::Null)))).collect()
    }
}

/// A value with the type of its setting: JSON if it fits the setting, a list if it has commas, otherwise text.
fn typed(name: &str, text: &str) -> Result<Value, String> {
    let list: Vec<Value> = text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(Value::from).collect();
    let candidates = [
        serde_json::from_str(text).unwrap_or(Value::Null),
        Value::Array(list),
        Value::from(if name == "scopes" { text.replace(',', " ") } else { text.to_owned() }),
    ];
    let read = |value: &Value| {
        let mut whole = serde_json::to_value(ClientDefinition::default())?;
        whole[name] = value.clone();
        serde_json::from_value::<ClientDefinition>(whole)
    };
    let [.., as_text] = &candidates;
    match (candidates.iter().find(|value| !value.is_null() && read(value).is_ok()), read(as_text)) {
        (Some(value), _) => Ok(value.clone()),
        // serde's error names the value, but not the setting.
        (None, Err(error)) => Err(format!("--setting {name}: {error}; lists have commas, and times are in seconds")),
        (None, Ok(_)) => Ok(as_text.clone()),
    }
}

/// Deletes a client.
pub fn delete(settings: &Settings, id: &str, yes: bool) -> Outcome {
    if !yes {
        return Err(format!(
            "deleting `{id}` cannot be undone; add --yes if that is what you want, or use `passmint clients disable {id}`"
        ));
    }
    let desk = settings.desk()?;
    desk.write_locked(|conn| {
        let operator = Actor::command_line();
        let record = lock(conn, id, &operator)?;
        Ok(deletion::remove(conn, &operator, &record, desk.now)?)
    })?;
    print::line(format!("client `{id}` is deleted, with everything that was issued to it"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_have_the_type_of_their_setting() {
        for (name, text, value) in [
            ("name", "Shop", json!("Shop")),
            ("name", "7", json!("7")),
            ("access_ttl", "120", json!(120)),
            ("require_pkce", "true", json!(true)),
            (
                "redirect_uris",
                "https://a.example/,https://b.example/",
                json!(["https://a.example/", "https://b.example/"]),
            ),
            ("grants", "authorization_code", json!(["authorization_code"])),
            ("scopes", "openid,email", json!("openid email")),
            ("jwks", "{\"keys\": []}", json!({"keys": []})),
        ] {
            assert_eq!(typed(name, text), Ok(value), "{name}={text}");
        }
        for (name, text) in [("default_max_age", "5m"), ("require_pkce", "yes"), ("nonsense", "1")] {
            let words = typed(name, text).unwrap_err();
            assert!(words.starts_with(&format!("--setting {name}: ")), "{words}");
        }
    }
}
