//! The workloads that are a client: `clients.<client_id>.federated`.

use serde_json::Value;

use super::problems::{Wrong, quoted};
use super::reader::Reader;
use crate::domain::client::FederatedIdentity;

const EXAMPLE: &str = "write a list: [ { issuer = \"github\", subject = \"repo:acme/shop:ref:refs/heads/main\", \
                       audience = \"https://id.example.com\" } ]";
const MEMBERS: [&str; 3] = ["issuer", "subject", "audience"];

/// Reads the list; each mistake is told with the number of its entry.
pub(super) fn read(reader: &mut Reader<'_>, key: &str) -> Vec<FederatedIdentity> {
    let Some(tree) = reader.tree(key) else { return Vec::new() };
    let Some(list) = tree.as_array().filter(|list| !list.is_empty()) else {
        reader.mistake(key, Wrong::new("is not a list of tables", EXAMPLE));
        return Vec::new();
    };
    let mut read = Vec::new();
    for (number, entry) in list.iter().enumerate() {
        let one = identity(entry).and_then(|one| {
            if read.contains(&one) { Err(Wrong::new("is listed twice", "keep one of the two")) } else { Ok(one) }
        });
        match one {
            Ok(one) => read.push(one),
            Err(wrong) => {
                let what = format!("entry {} {}", number + 1, wrong.what);
                reader.mistake(key, Wrong::new(what, wrong.cure));
            }
        }
    }
    read
}

fn identity(entry: &Value) -> Result<FederatedIdentity, Wrong> {
    let entry = entry.as_object().ok_or_else(|| Wrong::new("is not a table", EXAMPLE))?;
    if let Some(unknown) = entry.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        let what = format!("has {}, which nothing reads", quoted(unknown));
        return Err(Wrong::new(what, format!("choose from {}", MEMBERS.join(", "))));
    }
    let text = |name: &str| {
        let text = entry.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        text.ok_or_else(|| Wrong::new(format!("has no {name}, or one that is not text"), EXAMPLE))
    };
    let one = FederatedIdentity { issuer: text("issuer")?, subject: text("subject")?, audience: text("audience")? };
    match one.check() {
        Ok(()) => Ok(one),
        Err((name, fault)) => Err(Wrong::new(format!("has a {name} that {}", fault.what), fault.cure)),
    }
}
