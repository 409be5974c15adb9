//! Which source takes precedence, and how secrets are read.

use std::collections::BTreeMap;

use chrono::Duration;

use super::Given;

#[test]
fn file_then_environment_then_flags() {
    let file = Some("[tokens]\naccess_ttl = \"1m\"\nid_ttl = \"1m\"\nrefresh_idle = \"1d\"");
    let config = Given {
        file,
        environment: &[("PASSMINT_TOKENS_ACCESS_TTL", "2m"), ("PASSMINT_TOKENS_ID_TTL", "2m")],
        flags: &[("tokens.access_ttl", "3m")],
        ..Given::default()
    }
    .load()
    .unwrap();

    assert_eq!(config.tokens.access_ttl, Duration::minutes(3), "the flag");
    assert_eq!(config.tokens.id_ttl, Duration::minutes(2), "the variable");
    assert_eq!(config.tokens.refresh_idle, Duration::days(1), "the file");
    assert_eq!(config.tokens.refresh_absolute, Duration::days(90), "the default");
}

#[test]
fn variables_have_no_types_of_their_own() {
    let config = Given {
        environment: &[
            ("PASSMINT_LIMITS_ENABLED", "false"),
            ("PASSMINT_DATABASE_POOL", "20"),
            ("PASSMINT_LISTEN", "127.0.0.1:9000, [::1]:9000"),
            ("PASSMINT_TRUSTED_PROXIES", ""),
            ("PASSMINT_KEYS_ROTATE_EVERY", "off"),
            ("PATH", "/usr/bin"),
        ],
        ..Given::default()
    }
    .load()
    .unwrap();

    assert!(!config.limits.enabled);
    assert_eq!(config.database.pool, 20);
    assert_eq!(config.server.listen.len(), 2);
    assert!(config.server.trusted_proxies.is_empty());
    assert_eq!(config.keys.rotate_every, None);
}

/// The variables that Kubernetes sets in every pod next to a Service named `passmint`.
#[test]
fn the_service_links_of_kubernetes_are_nobodys_mistake() {
    let links = [
        ("PASSMINT_SERVICE_HOST", "10.0.0.1"),
        ("PASSMINT_SERVICE_PORT", "8080"),
        ("PASSMINT_SERVICE_PORT_HTTP", "8080"),
        ("PASSMINT_PORT", "tcp://10.0.0.1:8080"),
        ("PASSMINT_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("PASSMINT_PORT_8080_TCP_PROTO", "tcp"),
        ("PASSMINT_PORT_8080_TCP_PORT", "8080"),
        ("PASSMINT_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ];
    Given { environment: &links, ..Given::default() }.load().unwrap();

    let problems = Given { environment: &[("PASSMINT_PORT", "8080")], ..Given::default() }.load().unwrap_err();
    assert_eq!(problems.as_slice()[0].key, "PASSMINT_PORT", "an operator's own variable is refused");
}

#[test]
fn the_database_url_comes_from_the_strongest_place() {
    let (common, ours, file) = ("postgres:///common", "postgres:///ours", "postgres:///file");
    let secrets = BTreeMap::from([("/run/url", "postgres:///secret\n"), ("/run/other", "postgres:///other")]);
    let in_file = format!("database.url = \"{file}\"");
    for (name, text, environment, flags, expected) in [
        ("file", Some(in_file.as_str()), vec![], vec![], file),
        ("common name over file", Some(&in_file), vec![("DATABASE_URL", common)], vec![], common),
        (
            "our name over the common one",
            None,
            vec![("PASSMINT_DATABASE_URL", ours), ("DATABASE_URL", common)],
            vec![],
            ours,
        ),
        (
            "secret file over the common name",
            None,
            vec![("PASSMINT_DATABASE_URL_FILE", "/run/url"), ("DATABASE_URL", common)],
            vec![],
            "postgres:///secret",
        ),
        (
            "secret file named in the file",
            Some("database.url_file = \"/run/url\""),
            vec![],
            vec![],
            "postgres:///secret",
        ),
        (
            "secret file named by a flag",
            None,
            vec![("PASSMINT_DATABASE_URL", ours)],
            vec![("database.url_file", "/run/other")],
            "postgres:///other",
        ),
    ] {
        let given = Given { file: text, environment: &environment, flags: &flags, secrets: secrets.clone() };
        let config = given.load().unwrap_or_else(|problems| panic!("{name}: {problems}"));
        let url = config.database.url.unwrap();
        assert_eq!(url.expose().split('?').next(), Some(expected), "{name}");
    }
}

#[test]
fn a_clients_secret_is_kept_as_its_digest() {
    use crate::domain::secret::{PlainToken, TokenKind};
    let secret = PlainToken::random(TokenKind::ClientSecret);
    let content = format!("{}\n", secret.expose());
    let config = Given {
        file: Some("[clients.api]\nkind = \"confidential\"\ngrants = []\nsecret_file = \"/run/api\""),
        secrets: BTreeMap::from([("/run/api", content.as_str())]),
        ..Given::default()
    }
    .load()
    .unwrap();

    assert!(config.client("api").unwrap().secret.unwrap().matches(&secret.digest()));
    assert!(!format!("{config:?}").contains("pmk_"));
}
