//! Tests of the loader as a whole: precedence, descriptions, arbitrary input. The tables of messages are in `mistakes`
//! and `named_tables`.

mod conformance;
mod mistakes;
mod named_tables;
mod precedence;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use chrono::Duration;
use proptest::prelude::*;

use super::inputs::Inputs;
use super::reader::Reader;
use super::section::Key;
use super::{
    ChallengeStore, ClientKind, Config, DatabaseTls, Grant, Hint, KeyFile, LogFormat, Problems, Sources, keys,
};
use crate::bridge::PresetKind;

/// The input of the loader in a test.
#[derive(Default)]
pub(super) struct Given<'a> {
    pub(super) file: Option<&'a str>,
    pub(super) environment: &'a [(&'a str, &'a str)],
    pub(super) flags: &'a [(&'a str, &'a str)],
    /// The contents of secret files, by path.
    pub(super) secrets: BTreeMap<&'a str, &'a str>,
}

impl Given<'_> {
    pub(super) fn load(&self) -> Result<Config, Problems> {
        let read_secret = |path: &Path| {
            let content = self.secrets.get(path.to_str().unwrap());
            content.map(|content| (*content).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        Config::load(Sources {
            file: self.file.map(|text| ("passmint.toml".into(), text.to_owned())),
            environment: owned(self.environment),
            flags: owned(self.flags),
            read_secret: &read_secret,
            database_tls: DatabaseTls::Missing,
        })
    }
}

pub(super) fn load_file(text: &str) -> Result<Config, Problems> {
    Given { file: Some(text), ..Given::default() }.load()
}

fn owned<V: for<'a> From<&'a str>>(pairs: &[(&str, &str)]) -> Vec<(String, V)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), V::from(value))).collect()
}

const EXAMPLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples/passmint.toml"));

#[test]
fn nothing_needs_to_be_configured_on_a_developers_machine() {
    let config = Config::from_settings(&[]).unwrap();

    assert_eq!(config.issuer(), "http://localhost:8080");
    assert!(config.is_localhost());
    let listen: Vec<String> = config.server.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:8080", "[::1]:8080"]);
    assert_eq!(config.server.admin_listen, Some("127.0.0.1:8081".parse().unwrap()));
    assert_eq!(config.keys.master_key_file, PathBuf::from("keys/master.key"));
    assert_eq!(config.challenges.store, ChallengeStore::Memory);
    assert!(config.database.url.is_none());
    assert_eq!(config.default_relying_party().rp_id, "localhost");
    assert_eq!(config.relying_party_for_origin("http://localhost:8080").unwrap().name, "default");
    assert!(config.relying_party_for_origin("http://localhost:8080/").is_none(), "compared byte for byte");
    let quick_start = config.client("quickstart").unwrap();
    assert_eq!(quick_start.grants, [Grant::Passkey, Grant::RefreshToken]);
    assert_eq!(quick_start.origins[0].as_str(), "http://localhost:8080");
}

#[test]
fn the_quick_start_client_is_on_localhost_only() {
    let config = Config::from_settings(&[("public_url", "https://id.example.com/")]).unwrap();

    assert!(config.clients.is_empty());
    assert_eq!(config.issuer(), "https://id.example.com", "without the slash");
    assert_eq!(config.default_relying_party().rp_id, "id.example.com");
    assert_eq!(config.server.listen[0].port(), 8080, "https names no port, and a proxy ends it");
}

#[test]
fn listeners_follow_the_public_url_or_listen() {
    let port = |settings: &[(&str, &str)]| {
        let server = Config::from_settings(settings).unwrap().server;
        (server.listen[0].port(), server.admin_listen.map(|admin| admin.port()))
    };
    assert_eq!(port(&[("public_url", "http://localhost:9000")]), (9000, Some(9001)));
    assert_eq!(port(&[("public_url", "http://localhost:65535")]), (65535, Some(65534)));
    assert_eq!(port(&[("listen", "127.0.0.1:0")]), (0, Some(0)));
    assert_eq!(port(&[("admin_listen", "off")]), (8080, None));
}

#[test]
fn the_example_file_is_understood() {
    let config = load_file(EXAMPLE).unwrap_or_else(|problems| panic!("{problems}"));

    assert_eq!(config.tokens.access_ttl, Duration::minutes(5));
    assert_eq!(config.limits.body, 16 * 1024);
    assert_eq!(config.limits.starts.burst, 60);
    assert_eq!(config.passkeys.hints, [Hint::ClientDevice, Hint::Hybrid]);
    assert_eq!(config.log.format, LogFormat::Json);
    assert!(config.server.trusted_proxies[0].contains("10.0.0.200".parse().unwrap()));
    assert_eq!(config.default_relying_party().name, "main");
    for origin in ["https://www.example-shop.com", "https://example-shop.co.uk"] {
        assert_eq!(config.relying_party_for_origin(origin).unwrap().rp_id, "example-shop.com", "{origin}");
    }
    assert!(config.client("quickstart").is_none());
    let api = config.client("api").unwrap();
    assert_eq!((api.kind, api.secret.is_some(), api.refresh), (ClientKind::Confidential, true, false));
    assert!(config.client("web").unwrap().refresh);
    let bridge = &config.bridges[0];
    assert_eq!(bridge.key_file, Some(KeyFile::ServiceAccount("/run/secrets/firebase-service-account.json".into())));
    let bridge = &bridge.definition;
    assert_eq!((bridge.preset, &bridge.kid, bridge.max_bytes), (PresetKind::Firebase, &None, Some(4096)));
    assert_eq!(bridge.subject.as_deref(), Some("{{ user.id }}"));
    assert_eq!(bridge.claims["plan"], serde_json::json!({ "level": 2, "trial": false }));
    assert_eq!(bridge.allow.max_auth_age, Some(Duration::minutes(10)));
}

#[test]
fn every_declared_key_is_read() {
    let inputs = Inputs::gather(keys::SECTIONS, Some((Path::new("passmint.toml"), EXAMPLE)), &[], &[]);
    let none = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let mut reader = Reader::new(inputs, &none);
    let _ = Config::read(&mut reader, DatabaseTls::Missing);

    for key in keys::SECTIONS.keys() {
        assert!(reader.asked.contains(key.path), "{} is declared but nobody reads it", key.path);
    }
}

#[test]
fn a_description_is_toml_names_every_origin_and_hides_secrets() {
    let config = Given {
        file: Some(EXAMPLE),
        environment: &[("DATABASE_URL", "postgres://u:hunter2@/x"), ("PASSMINT_REALM", "Say \"hi\"")],
        flags: &[("tokens.access_ttl", "2m")],
        ..Given::default()
    }
    .load()
    .unwrap();

    let text = config.describe();

    toml::from_str::<toml::Table>(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    for line in [
        "public_url = \"https://id.example.com\"  # passmint.toml:5",
        "realm = \"Say \\\"hi\\\"\"  # PASSMINT_REALM",
        "tokens.access_ttl = \"2m\"  # command line",
        "tokens.id_ttl = \"10m\"  # default",
        "database.url = \"***\"  # DATABASE_URL",
        "challenges.store = \"database\"  # default",
        "passkeys.hints = [\"client-device\", \"hybrid\"]  # passmint.toml:44",
        "clients.api.secret_digest = \"***\"  # passmint.toml:115",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
    assert!(!format!("{config:?}{text}").contains("hunter2"));
}

#[test]
fn unset_settings_are_described_as_such() {
    let text = Config::from_settings(&[]).unwrap().describe();
    assert!(text.contains("# database.url is not set\n"), "{text}");
    assert!(text.contains("listen = [\"127.0.0.1:8080\", \"[::1]:8080\"]  # default\n"), "{text}");
    assert!(text.contains("clients.quickstart.origins = [\"http://localhost:8080\"]  # default\n"), "{text}");
}

/// A value in TOML, valid or not.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}").replace("NaN", "nan")),
        any::<bool>().prop_map(|switch| switch.to_string()),
        "[a-z0-9:/.@?*#-]{0,20}".prop_map(|text| format!("\"{text}\"")),
        ".{0,20}".prop_map(|text| super::values::show_text(&text)),
        Just("99999999999999999999999999".to_owned()),
        Just("1979-05-27T07:32:00Z".to_owned()),
        Just("\"10m\"".to_owned()),
        Just("\"https://id.example.com\"".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(", "))),
            inner.prop_map(|value| format!("{{ a = {value} }}")),
        ]
    })
}

/// A line that sets a known key, with the names of named tables filled in.
fn setting() -> impl Strategy<Value = String> {
    let paths: Vec<&str> = keys::SECTIONS.keys().map(|key| key.path).collect();
    (prop::sample::select(paths), "[a-z]|[A-Z. ]", value()).prop_map(|(path, name, value)| {
        let part = |part: &str| if part.starts_with('<') { format!("\"{name}\"") } else { part.to_owned() };
        format!("{} = {value}", path.split('.').map(part).collect::<Vec<_>>().join("."))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = load_file(&text).map_err(|problems| problems.to_string());
    }

    #[test]
    fn arbitrary_values_never_panic(lines in prop::collection::vec(setting(), 0..12)) {
        match load_file(&lines.join("\n")) {
            Ok(config) => prop_assert!(toml::from_str::<toml::Table>(&config.describe()).is_ok()),
            // One line for each mistake, whatever the values are, and one with their number.
            Err(problems) => prop_assert_eq!(problems.to_string().lines().count(), problems.as_slice().len() + 1),
        }
    }

    #[test]
    fn arbitrary_variables_and_flags_never_panic(value in any::<String>(), index in 0_usize..60) {
        let settable: Vec<&Key> = keys::SECTIONS.keys().filter(|key| key.variable().is_some()).collect();
        let key = settable[index % settable.len()];
        let variable = key.variable().unwrap();
        let _ = Given { environment: &[(&variable, &value)], ..Given::default() }.load();
        let _ = Given { flags: &[(key.path, &value)], ..Given::default() }.load();
        let _ = Given { flags: &[(&value, "x")], ..Given::default() }.load();
    }
}

#[test]
fn deep_nesting_is_a_mistake_not_a_crash() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("bridges.x.claims = {}1{}", "[".repeat(5000), "]".repeat(5000)),
    ] {
        assert!(load_file(&text).is_err());
    }
}
