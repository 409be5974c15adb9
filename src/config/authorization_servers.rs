//! Other authorization servers that we issue identity assertions for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::problems::{Wrong, quoted};
use super::reader::Reader;
use super::section::{Fallback, Key, Kind, Section};
use super::text;

/// Another authorization server.
#[derive(Clone, Debug)]
pub struct AuthorizationServer {
    /// Our name for it.
    pub name: String,
    /// Its issuer, the audience of the assertions.
    pub issuer: String,
    /// Our client id → the client's id there.
    pub client_ids: BTreeMap<String, String>,
    /// Our client under which it signs people in; it knows them by that client's `sub`.
    pub client: Option<String>,
}

pub(super) const SECTION: Section = Section {
    title: "Authorization servers",
    doc: "`[authorization_servers.<name>]`, in the file only: others that trust this server's identity assertions \
        (ID-JAG), which [rules](#exchange-rules) with `issues = [\"id_jag\"]` issue for them. See [identity \
        assertions](../flows/id-jag.md).",
    keys: &[
        Key {
            path: "authorization_servers.<name>.issuer",
            kind: Kind::Text("URL"),
            default: Fallback::Required,
            doc: "Its issuer: the `audience` that clients request, and the `aud` of the assertions.",
        },
        Key {
            path: "authorization_servers.<name>.client_ids",
            kind: Kind::Tree,
            default: Fallback::Required,
            doc: "For each client that may request assertions, the ID that it has there: `client_ids = { wiki = \
                \"f53f191f\" }`.",
        },
        Key {
            path: "authorization_servers.<name>.client",
            kind: Kind::Text("client id"),
            default: Fallback::Unset,
            doc: "The client that it is at this server when it signs people in. The assertion then has the same `sub` \
                as that client's ID tokens, even if pairwise.",
        },
    ],
};

/// Reads every server.
pub(super) fn read(reader: &mut Reader<'_>, own: &str) -> Vec<AuthorizationServer> {
    let mut read: Vec<AuthorizationServer> = Vec::new();
    for name in reader.names("authorization_servers") {
        let one = read_one(reader, name);
        let key = |server: &AuthorizationServer| format!("authorization_servers.{}.issuer", server.name);
        if one.issuer == own {
            let cure = "leave it out: what this server gives for itself are its own tokens";
            reader.mistake(&key(&one), Wrong::new("is this server itself", cure));
        }
        if let Some(same) = read.iter().find(|other| other.issuer == one.issuer) {
            let wrong = Wrong::new("is that of another server", "put the clients of both into one");
            reader.contradiction(&key(&one), &[&key(same)], wrong);
        }
        read.push(one);
    }
    read
}

fn read_one(reader: &mut Reader<'_>, name: String) -> AuthorizationServer {
    let key = |field: &str| format!("authorization_servers.{name}.{field}");
    AuthorizationServer {
        issuer: reader.text_as(&key("issuer"), text::identifier).unwrap_or_default(),
        client_ids: client_ids(reader, &key("client_ids")),
        client: reader.text_as(&key("client"), text::identifier),
        name: name.clone(),
    }
}

fn client_ids(reader: &mut Reader<'_>, key: &str) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    match reader.tree(key) {
        None => {}
        Some(Value::Object(table)) => {
            for (ours, theirs) in table {
                if let Some(theirs) = theirs.as_str().filter(|id| !id.is_empty()) {
                    ids.insert(ours, theirs.to_owned());
                } else {
                    let what = format!("{} is not text", quoted(&ours));
                    reader.mistake(key, Wrong::new(what, "write in quotes the id that the client has there"));
                }
            }
        }
        Some(_) => reader.mistake(key, Wrong::new("is not a table", "write { ours = \"theirs\" }")),
    }
    ids
}
