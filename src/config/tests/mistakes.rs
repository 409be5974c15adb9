//! Every mistake, with the exact line that an operator reads.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;

use super::{Config, DatabaseTls, Given, Sources, load_file};

/// The lines for a file, without the line that counts them.
fn lines(given: &Given<'_>) -> Vec<String> {
    let problems = given.load().expect_err("a mistake is refused");
    let text = problems.to_string();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let count = lines.pop().unwrap();
    assert!(count.starts_with(&lines.len().to_string()), "{count}");
    lines
}

pub(super) fn check_files(table: &[(&str, &str, &str)]) {
    for (name, file, expected) in table {
        assert_eq!(lines(&Given { file: Some(file), ..Given::default() }), [*expected], "{name}");
    }
}

#[test]
fn unknown_keys_of_the_file() {
    check_files(&[
        (
            "slip of the pen",
            "[tokens]\nacess_ttl = \"5m\"",
            "tokens.acess_ttl (passmint.toml:2): there is no such setting; did you mean tokens.access_ttl?",
        ),
        (
            "wrong section",
            "access_ttl = \"5m\"",
            "access_ttl (passmint.toml:1): there is no such setting; did you mean tokens.access_ttl?",
        ),
        (
            "slip in a section, told once",
            "\n[token]\naccess_ttl = \"5m\"\nid_ttl = \"5m\"",
            "token (passmint.toml:2): there is no such setting; did you mean tokens?",
        ),
        (
            "slip in a named table",
            "[bridges.x]\npreset = \"jwt\"\nalow.clients = []",
            "bridges.x.alow (passmint.toml:3): there is no such setting; did you mean bridges.x.allow?",
        ),
        (
            "nothing alike",
            "frobnicate = 1",
            "frobnicate (passmint.toml:1): there is no such setting; remove it, or look the name up in docs/reference/configuration.md",
        ),
        (
            "no table",
            "tokens = 5",
            "tokens (passmint.toml:1): is a whole number, but this is a table of settings; write [tokens] and its settings below",
        ),
        (
            "bad name",
            "[bridges.\"My Bridge\"]\npreset = \"jwt\"",
            "bridges.My Bridge (passmint.toml:1): \"My Bridge\" is not a name; use 1 to 63 of a-z, 0-9, _ and -, beginning with a letter or digit",
        ),
    ]);
}

#[test]
fn wrong_types_and_ranges() {
    check_files(&[
        (
            "number for a duration",
            "tokens.access_ttl = 600",
            "tokens.access_ttl (passmint.toml:1): is a whole number; write text with a unit, for example \"10m\"",
        ),
        (
            "no unit",
            "tokens.access_ttl = \"600\"",
            "tokens.access_ttl (passmint.toml:1): \"600\" is not a duration; write a whole number and a unit (ms, s, m, h, d), for example \"10m\"",
        ),
        (
            "too long",
            "tokens.access_ttl = \"25h\"",
            "tokens.access_ttl (passmint.toml:1): \"25h\" is out of range; choose from 1m to 24h",
        ),
        (
            "a retry window that a thief could use",
            "tokens.refresh_retry_window = \"61s\"",
            "tokens.refresh_retry_window (passmint.toml:1): \"61s\" is out of range; choose from 0s to 60s",
        ),
        (
            "off where it cannot be",
            "tokens.access_ttl = \"off\"",
            "tokens.access_ttl (passmint.toml:1): \"off\" is not a duration; write a whole number and a unit (ms, s, m, h, d), for example \"10m\"",
        ),
        (
            "body raised",
            "limits.body = \"64KiB\"",
            "limits.body (passmint.toml:1): \"64KiB\" is out of range; choose from 1KiB to 32KiB",
        ),
        (
            "too few",
            "database.pool = 1",
            "database.pool (passmint.toml:1): 1 is out of range; write a whole number from 2 to 200, without quotes",
        ),
        (
            "beyond 64 bits",
            "database.pool = 99999999999999999999",
            "database.pool (passmint.toml:1): 99999999999999999999 is out of range; write a whole number from 2 to 200, without quotes",
        ),
        (
            "text for a number",
            "database.pool = \"16\"",
            "database.pool (passmint.toml:1): is text; write a whole number from 2 to 200, without quotes",
        ),
        (
            "text for a switch",
            "allow_sign_up = \"no\"",
            "allow_sign_up (passmint.toml:1): is \"no\"; write true or false, without quotes",
        ),
        (
            "number for text",
            "realm = 7",
            "realm (passmint.toml:1): is a whole number, but must be text; write it in quotes",
        ),
        ("empty text", "realm = \"\"", "realm (passmint.toml:1): is empty; give it a value, or leave it out"),
        (
            "text for a list",
            "listen = \"127.0.0.1:80\"",
            "listen (passmint.toml:1): is text; write a list of texts, for example [\"a\", \"b\"]",
        ),
        (
            "number in a list",
            "listen = [\"127.0.0.1:80\",\n8080]",
            "listen (passmint.toml:2): an element is a whole number; write a list of texts, for example [\"a\", \"b\"]",
        ),
        (
            "twice in a list",
            "passkeys.hints = [\"hybrid\", \"hybrid\"]",
            "passkeys.hints (passmint.toml:1): \"hybrid\" is listed twice; keep one of the two",
        ),
        (
            "unknown word",
            "tokens.algorithm = \"none\"",
            "tokens.algorithm (passmint.toml:1): \"none\" is none of ES256, EdDSA, RS256; write ES256, EdDSA, RS256",
        ),
        (
            "misspelt word",
            "passkeys.user_verification = \"prefered\"",
            "passkeys.user_verification (passmint.toml:1): \"prefered\" is none of required, preferred, discouraged; did you mean \"preferred\"?",
        ),
        (
            "date in claims",
            "[bridges.x]\npreset = \"jwt\"\nclaims.since = 2026-01-01",
            "bridges.x.claims (passmint.toml:3): holds a date, which JSON cannot say; write it in quotes",
        ),
        (
            "infinity in claims",
            "[bridges.x]\npreset = \"jwt\"\nclaims.n = inf",
            "bridges.x.claims (passmint.toml:3): a number is infinite or none, which JSON cannot say; write it as text",
        ),
    ]);
}

#[test]
fn addresses() {
    check_files(&[
        (
            "IP address",
            "public_url = \"https://192.0.2.1\"",
            "public_url (passmint.toml:1): \"https://192.0.2.1\" has an IP address as its host; use localhost or a domain: passkeys do not work on IP addresses",
        ),
        (
            "loopback address",
            "public_url = \"http://127.0.0.1:8080\"",
            "public_url (passmint.toml:1): \"http://127.0.0.1:8080\" has an IP address as its host; use localhost or a domain: passkeys do not work on IP addresses",
        ),
        (
            "plain http",
            "public_url = \"http://id.example.com\"",
            "public_url (passmint.toml:1): \"http://id.example.com\" is not https; browsers offer passkeys over https only, except on localhost",
        ),
        (
            "path",
            "public_url = \"https://example.com/id\"",
            "public_url (passmint.toml:1): \"https://example.com/id\" is more than scheme, host and port; leave out path, query and fragment",
        ),
        (
            "query",
            "public_url = \"https://example.com?\"",
            "public_url (passmint.toml:1): \"https://example.com?\" is more than scheme, host and port; leave out path, query and fragment",
        ),
        (
            "password, not repeated",
            "public_url = \"https://a:hunter2@example.com\"",
            "public_url (passmint.toml:1): holds a user name or password; leave out everything before the @",
        ),
        (
            "no scheme",
            "public_url = \"id.example.com\"",
            "public_url (passmint.toml:1): \"id.example.com\" is not a URL; write it with its scheme, for example \"https://id.example.com\"",
        ),
        (
            "a private host with its port",
            "[outbound]\nprivate_hosts = [\"hooks.internal\", \"::1\", \"a.example:80\"]",
            "outbound.private_hosts (passmint.toml:2): \"a.example:80\" is not the name or address of a host; write it alone, without scheme and port",
        ),
        (
            "no address to listen on",
            "listen = []",
            "listen (passmint.toml:1): is empty: nobody could reach the server; name an address, or leave the key out",
        ),
        (
            "port only",
            "listen = [\":8080\"]",
            "listen (passmint.toml:1): \":8080\" is not an IP address and port; write \"127.0.0.1:8080\", \"[::1]:8080\" or, for every interface, \"0.0.0.0:8080\"",
        ),
        (
            "both on one port",
            "listen = [\"0.0.0.0:80\"]\nadmin_listen = \"127.0.0.1:80\"",
            "admin_listen (passmint.toml:2): is also served by listen (0.0.0.0:80); give it a port of its own, or \"off\"",
        ),
        (
            "everybody a proxy",
            "trusted_proxies = [\"0.0.0.0/0\"]",
            "trusted_proxies (passmint.toml:1): \"0.0.0.0/0\" trusts everybody to name their own address; list the addresses of your proxies",
        ),
    ]);
}

#[test]
fn contradictions() {
    check_files(&[
        (
            "prompt outlives challenge",
            "challenges.ttl = \"1m\"",
            "passkeys.timeout: is longer than challenges.ttl; shorten it: the challenge would be gone before the prompt",
        ),
        (
            "sliding over absolute",
            "session.sliding = \"100d\"",
            "session.sliding (passmint.toml:1): is longer than session.absolute; shorten it, or lengthen the other",
        ),
        (
            "idle over absolute",
            "tokens.refresh_absolute = \"1d\"",
            "tokens.refresh_idle: is longer than tokens.refresh_absolute; shorten it, or lengthen the other",
        ),
        (
            "lock outlives statement",
            "database.lock_timeout = \"3s\"",
            "database.lock_timeout (passmint.toml:1): is longer than database.statement_timeout; shorten it: the statement ends first",
        ),
        (
            "rotated before use",
            "keys.rotate_every = \"1h\"\nkeys.publish_before_signing = \"2h\"",
            "keys.rotate_every (passmint.toml:1): is not longer than keys.publish_before_signing; lengthen it: a key would be replaced before it signs",
        ),
        (
            "what is wrong in itself is not compared",
            "session.absolute = \"1x\"\nsession.sliding = \"400d\"",
            "session.absolute (passmint.toml:1): \"1x\" is not a duration; write a whole number and a unit (ms, s, m, h, d), for example \"10m\"",
        ),
        (
            "TLS promised",
            "database.url = \"postgres://u:hunter2@db.example/x?sslmode=require\"",
            "database.url (passmint.toml:1): asks for TLS (sslmode=require), which this build does not have; build with --features db-tls, or reach PostgreSQL by a unix socket or a private network and write sslmode=disable",
        ),
        (
            "not PostgreSQL",
            "database.url = \"mysql://u:hunter2@db/x\"",
            "database.url (passmint.toml:1): is not a PostgreSQL URL; write \"postgres://user:password@host/database\"",
        ),
        (
            "a least acr that nobody reaches",
            "[bridges.x]\npreset = \"jwt\"\naudience = \"https://x.example\"\nallow.min_acr = \"phrh\"",
            "bridges.x.allow.min_acr (passmint.toml:4): is \"phrh\", which nobody reaches: attestation is not verified yet; write \"phr\", or leave it out",
        ),
        (
            "field of another preset",
            "[bridges.x]\npreset = \"jwt\"\ntenant_id = \"t\"",
            "bridges.x.tenant_id (passmint.toml:3): belongs to the preset \"firebase\"; remove it, or change the preset",
        ),
    ]);
}

#[test]
fn variables_and_flags() {
    let secrets = BTreeMap::from([("/run/empty", "\n")]);
    for (name, environment, flags, expected) in [
        (
            "unknown variable",
            vec![("PASSMINT_TOKENS_ACESS_TTL", "5m")],
            vec![],
            "PASSMINT_TOKENS_ACESS_TTL: no setting has this variable; did you mean PASSMINT_TOKENS_ACCESS_TTL?",
        ),
        (
            "variable like nothing",
            vec![("PASSMINT_XYZZY", "1")],
            vec![],
            "PASSMINT_XYZZY: no setting has this variable; remove it, or look the name up in docs/reference/configuration.md",
        ),
        (
            "wrong variable",
            vec![("PASSMINT_DATABASE_POOL", "many")],
            vec![],
            "database.pool (PASSMINT_DATABASE_POOL): is text; write a whole number from 2 to 200, without quotes",
        ),
        (
            "overridden and still wrong",
            vec![("PASSMINT_REALM", "")],
            vec![("realm", "Good")],
            "realm (PASSMINT_REALM): is empty; give it a value, or leave it out",
        ),
        (
            "empty database URL is not the private cluster",
            vec![("DATABASE_URL", "")],
            vec![],
            "database.url (DATABASE_URL): is empty; give it a value, or leave it out",
        ),
        (
            "libpq's own variable",
            vec![("DATABASE_URL", "postgres:///x"), ("PGSSLMODE", "verify-full")],
            vec![],
            "database.url (DATABASE_URL): asks for TLS (sslmode=verify-full), which this build does not have; build with --features db-tls, or reach PostgreSQL by a unix socket or a private network and write sslmode=disable",
        ),
        (
            "secret twice",
            vec![("PASSMINT_DATABASE_URL", "postgres:///x"), ("PASSMINT_DATABASE_URL_FILE", "/run/none")],
            vec![],
            "database.url (PASSMINT_DATABASE_URL): is given twice, also as database.url_file; keep one of the two",
        ),
        (
            "empty secret file",
            vec![("PASSMINT_DATABASE_URL_FILE", "/run/empty")],
            vec![],
            "database.url_file (PASSMINT_DATABASE_URL_FILE): the file \"/run/empty\" is empty; put the secret into it",
        ),
        (
            "absent secret file",
            vec![("PASSMINT_DATABASE_URL_FILE", "/run/absent")],
            vec![],
            "database.url_file (PASSMINT_DATABASE_URL_FILE): the file \"/run/absent\" cannot be read (entity not found); make sure that the file exists and that the server may read it",
        ),
        (
            "unknown flag",
            vec![],
            vec![("tokens.acess_ttl", "5m")],
            "tokens.acess_ttl (command line): there is no such setting; did you mean tokens.access_ttl?",
        ),
        (
            "flag twice",
            vec![],
            vec![("realm", "a"), ("realm", "b")],
            "realm (command line): is given twice; keep one of the two flags",
        ),
        (
            "secret as a flag",
            vec![],
            vec![("database.url", "postgres://u:hunter2@/x")],
            "database.url (command line): is a secret, and everybody on the machine can read a command line; put it into a file and name that in PASSMINT_DATABASE_URL_FILE",
        ),
        (
            "named table as a flag",
            vec![],
            vec![("clients.web.name", "x")],
            "clients.web.name (command line): cannot be set by a flag; write it into the configuration file",
        ),
    ] {
        let given = Given { file: None, environment: &environment, flags: &flags, secrets: secrets.clone() };
        // A secret given twice is still read, so its missing file is reported on a second line.
        assert_eq!(lines(&given)[0], expected, "{name}");
    }
}

#[test]
fn a_variable_that_is_not_text_is_no_value() {
    let value = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let load = |environment| {
        Config::load(Sources {
            file: None,
            environment,
            flags: Vec::new(),
            read_secret: &|_| Err(io::ErrorKind::NotFound.into()),
            database_tls: DatabaseTls::Missing,
        })
    };
    let ours = vec![
        ("PASSMINT_REALM".to_owned(), value(b"Gr\xfc\xdfe")),
        ("DATABASE_URL".to_owned(), value(b"postgres://u:\xff@/x")),
        ("PASSMINT_NOPE".to_owned(), value(b"\xff")),
    ];
    let said: Vec<String> = load(ours).unwrap_err().as_slice().iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "database.url (DATABASE_URL): is not UTF-8; write it as text in UTF-8",
            "realm (PASSMINT_REALM): is not UTF-8; write it as text in UTF-8",
            "PASSMINT_NOPE: no setting has this variable; remove it, or look the name up in docs/reference/configuration.md",
        ]
    );
    assert!(load(vec![("HOME".to_owned(), value(b"/\xff"))]).is_ok(), "others' variables are their own");
}

#[test]
fn a_broken_file_names_every_line_and_nothing_that_follows_from_it() {
    let text = "realm = \nlisten = [\n[clients.web]\nname = \"x\ngrants = []\n";
    let problems = load_file(text).unwrap_err();
    assert!(problems.as_slice().len() > 1, "{problems}");
    for line in lines(&Given { file: Some(text), ..Given::default() }) {
        assert!(line.starts_with("passmint.toml:") && line.contains("is not TOML: "), "{line}");
    }
}

#[test]
fn all_mistakes_are_told_together() {
    let problems = Given {
        file: Some("realm = 1\n[tokens]\naccess_ttl = \"1\"\ntypo = 1\n[clients.A]\n"),
        environment: &[("PASSMINT_NOPE", "1"), ("PASSMINT_LISTEN", "here")],
        flags: &[("log.level", "loud"), ("what", "ever")],
        ..Given::default()
    }
    .load()
    .unwrap_err();

    let keys: Vec<&str> = problems.as_slice().iter().map(|problem| problem.key.as_str()).collect();
    for key in
        ["realm", "tokens.access_ttl", "tokens.typo", "clients.A", "PASSMINT_NOPE", "listen", "log.level", "what"]
    {
        assert!(keys.contains(&key), "{key} is missing from {keys:?}");
    }
    assert_eq!(keys.len(), 8);
    assert!(problems.to_string().ends_with("\n8 mistakes in the configuration: nothing was started"));
    assert_eq!(
        load_file("realm = 1").unwrap_err().to_string().lines().last(),
        Some("1 mistake in the configuration: nothing was started")
    );
}
