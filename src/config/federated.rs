//! The workloads that act as a client: `clients.<client_id>.federated`.

use serde_json::{Map, Value};

use super::problems::Wrong;
use super::reader::Reader;
use super::tables::TableList;
use crate::domain::client::FederatedIdentity;

const LIST: TableList = TableList {
    entry: "entry",
    members: &["issuer", "subject", "audience"],
    // An empty list would leave the client without authentication, or with another one than intended.
    may_be_empty: false,
    example: "[ { issuer = \"github\", subject = \"repo:acme/shop:ref:refs/heads/main\", audience = \"https://id.example.com\" } ]",
};

/// Reads the list.
pub(super) fn read(reader: &mut Reader<'_>, key: &str) -> Vec<FederatedIdentity> {
    LIST.read(reader, key, |entry, before| {
        let one = identity(entry)?;
        if before.contains(&one) { Err(Wrong::new("is listed twice", "keep one of the two")) } else { Ok(one) }
    })
}

fn identity(entry: &Map<String, Value>) -> Result<FederatedIdentity, Wrong> {
    let text = |name: &str| {
        let text = entry.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let missing =
            || Wrong::new(format!("has no {name}, or one that is not text"), format!("write a list: {}", LIST.example));
        text.ok_or_else(missing)
    };
    let one = FederatedIdentity { issuer: text("issuer")?, subject: text("subject")?, audience: text("audience")? };
    match one.check() {
        Ok(()) => Ok(one),
        Err((name, fault)) => Err(Wrong::new(format!("has a {name} that {}", fault.what), fault.cure)),
    }
}
