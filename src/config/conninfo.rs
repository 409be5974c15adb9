//! A minimal parser for libpq's connection strings: it tells whether one requires TLS, and for which host.
//!
//! libpq parses the string again when it connects; the check here catches a requirement that this build cannot meet.
//! The string contains a password, so only its `sslmode` may appear in a message. libpq's errors quote what it cannot
//! parse, so such strings are refused here. Timeouts are added where libpq would wait forever.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::problems::{Wrong, quoted};

/// Whether this build can encrypt the connection to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseTls {
    /// Built with the feature `db-tls`.
    Available,
    /// Built without it.
    Missing,
}

impl DatabaseTls {
    /// What the running program supports.
    pub const fn of_this_build() -> Self {
        if cfg!(feature = "db-tls") { Self::Available } else { Self::Missing }
    }
}

/// The relevant parts of a connection string.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ConnInfo {
    /// The `sslmode`, if given.
    pub(super) sslmode: Option<String>,
    /// Whether it names a host other than this machine.
    pub(super) remote: bool,
    /// The names of the given parameters.
    names: BTreeSet<String>,
    form: Form,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Keywords,
    Uri {
        query: bool,
    },
}

/// TCP settings that detect a dead connection when no error ever arrives: a machine without power, a firewall that lost
/// its state. libpq ignores them on a socket. In seconds, the last one in milliseconds.
const PATIENCE: [(&str, &str); 5] = [
    ("connect_timeout", "5"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "3"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "10000"),
];

/// The parameters that libpq knows, up to PostgreSQL 18. The remainder of a password that was split in two is not among
/// them.
const PARAMETERS: [&str; 53] = [
    "application_name",
    "authtype",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "options",
    "passfile",
    "password",
    "port",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "scram_client_key",
    "scram_server_key",
    "service",
    "servicefile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslkeylogfile",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// What is wrong with a string, in fixed words, because a password may be anywhere in it.
type Fault = &'static str;

const UNKNOWN_PARAMETER: Fault = "has a parameter that libpq does not know";

const ENCODE: &str = "percent-encode special characters of the user name and the password (% is %25, / is %2F, @ is %40, \
                      a space is %20), and write the rest as libpq's documentation has it";

impl ConnInfo {
    /// Parses either form: `postgres://…` or `keyword=value …`.
    pub(super) fn read(text: &str) -> Result<Self, Wrong> {
        let uri = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        match uri {
            Some(rest) => Self::from_uri(rest).map_err(|fault| Wrong::new(fault, ENCODE)),
            None if text.contains("://") => {
                Err(Wrong::new("is not a PostgreSQL URL", "write \"postgres://user:password@host/database\""))
            }
            None => Self::from_keywords(text).ok_or_else(|| {
                Wrong::new("is not a connection string", "write \"postgres://user:password@host/database\"")
            }),
        }
    }

    fn from_uri(rest: &str) -> Result<Self, Fault> {
        if rest.contains(char::is_whitespace) {
            return Err("holds a space");
        }
        // This also covers user and password, which are not read below.
        decode(rest)?;
        // As in libpq: an @ before the first slash ends the user part.
        let after_user = match rest.find(['@', '/']) {
            Some(at) if rest.as_bytes()[at] == b'@' => &rest[at + 1..],
            _ => rest,
        };
        let (address, query) = after_user.split_once('?').unwrap_or((after_user, ""));
        // libpq would take the second half of a password for a host or a database.
        if address.contains('@') {
            return Err("holds an @ that is not the one before the host");
        }
        let hosts = address.split('/').next().unwrap_or_default();
        let mut info = Self { form: Form::Uri { query: address.len() < after_user.len() }, ..Self::default() };
        for host in hosts.split(',') {
            info.host(&decode(without_port(host)?)?);
        }
        for pair in query.split_terminator('&') {
            let (name, value) = pair.split_once('=').ok_or("has a parameter without a value")?;
            let (name, value) = (decode(name)?, decode(value)?);
            // libpq also accepts JDBC's parameter.
            if (name.as_str(), value.as_str()) == ("ssl", "true") {
                info.sslmode = Some("require".to_owned());
            } else {
                info.keyword(&name, value)?;
            }
        }
        Ok(info)
    }

    fn from_keywords(text: &str) -> Option<Self> {
        let mut info = Self::default();
        let mut rest = text.trim_start();
        let mut any = false;
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=')?;
            let (value, after) = keyword_value(after.trim_start())?;
            if name.trim().is_empty() || name.trim().contains(char::is_whitespace) {
                return None;
            }
            info.keyword(name.trim(), value).ok()?;
            rest = after.trim_start();
            any = true;
        }
        any.then_some(info)
    }

    fn keyword(&mut self, name: &str, value: String) -> Result<(), Fault> {
        if !PARAMETERS.contains(&name) {
            return Err(UNKNOWN_PARAMETER);
        }
        self.names.insert(name.to_owned());
        match name {
            "sslmode" => self.sslmode = Some(value),
            "requiressl" if value == "1" => self.sslmode = Some("require".to_owned()),
            "host" | "hostaddr" => value.split(',').for_each(|host| self.host(host)),
            _ => {}
        }
        Ok(())
    }

    fn host(&mut self, host: &str) {
        let socket = host.is_empty() || host.starts_with(['/', '@']);
        let loopback = host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback());
        self.remote |= !socket && !loopback && host != "localhost";
    }

    /// The original string, with the timeouts that it does not set itself.
    pub(super) fn with_patience(&self, text: &str) -> String {
        let missing = PATIENCE.iter().filter(|(name, _)| !self.names.contains(*name));
        let pairs: Vec<String> = missing.map(|(name, value)| format!("{name}={value}")).collect();
        match self.form {
            _ if pairs.is_empty() => text.to_owned(),
            Form::Keywords => format!("{} {text}", pairs.join(" ")),
            Form::Uri { .. } if text.ends_with(['?', '&']) => format!("{text}{}", pairs.join("&")),
            Form::Uri { query } => format!("{text}{}{}", if query { '&' } else { '?' }, pairs.join("&")),
        }
    }

    /// Refuses what this build cannot do: a connection that requires TLS must not use clear text.
    pub(super) fn check(&self, tls: DatabaseTls) -> Result<(), Wrong> {
        let Some(mode) = self.sslmode.as_deref() else { return Ok(()) };
        let asks_for_tls = match mode {
            "disable" | "allow" => false,
            "prefer" => self.remote,
            "require" | "verify-ca" | "verify-full" => true,
            _ => {
                let cure = "write disable, allow, prefer, require, verify-ca or verify-full";
                return Err(Wrong::new(format!("sslmode {} does not exist", quoted(mode)), cure));
            }
        };
        if asks_for_tls && tls == DatabaseTls::Missing {
            let what = format!("asks for TLS (sslmode={mode}), which this build does not have");
            let cure = "build with --features db-tls, or reach PostgreSQL by a unix socket or a private network and \
                        write sslmode=disable";
            return Err(Wrong::new(what, cure));
        }
        Ok(())
    }
}

/// The host without its port, which must be a number if present.
fn without_port(address: &str) -> Result<&str, Fault> {
    let end = match address.strip_prefix('[').map(|inner| inner.find(']')) {
        Some(None | Some(0)) => return Err("has a [ without an address and a ] after it"),
        Some(Some(length)) => length + 2,
        None => address.find(':').unwrap_or(address.len()),
    };
    let (host, after) = address.split_at(end);
    let port = decode(after.strip_prefix(':').unwrap_or(after))?;
    let is_port = port.is_empty() || port.parse().is_ok_and(|port: u16| port > 0);
    if is_port { Ok(host) } else { Err("has a port that is not a number from 1 to 65535") }
}

/// The value at the start of a keyword string, and the rest: bare or in single quotes, with backslash escapes.
fn keyword_value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Some((value, &text[at..])),
            c => value.push(c),
        }
    }
    (!quoted).then_some((value, ""))
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, Fault> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|byte| *byte != 0);
        bytes.push(byte.ok_or("holds a % without the two digits of a character after it")?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_tls_refuses_a_promise_of_tls() {
        for (name, url, accepted) in [
            ("no word of it", "postgres://u:p@db.example/x", true),
            ("disable", "postgres://u:p@db.example/x?sslmode=disable", true),
            ("require", "postgres://u:p@db.example/x?sslmode=require", false),
            ("require on loopback", "postgres://u:p@localhost/x?sslmode=require", false),
            ("verify-ca", "postgresql://db.example/x?application_name=a&sslmode=verify-ca", false),
            ("verify-full", "postgres://db.example?sslmode=verify-full", false),
            ("prefer, remote", "postgres://u:p@db.example/x?sslmode=prefer", false),
            ("prefer, second host remote", "postgres://localhost:5432,db.example:5432/x?sslmode=prefer", false),
            ("prefer, loopback", "postgres://u:p@[::1]:5432/x?sslmode=prefer", true),
            ("prefer, socket", "postgres://%2Fvar%2Frun%2Fpostgresql/x?sslmode=prefer", true),
            ("prefer, socket in the query", "postgres:///x?host=/var/run/postgresql&sslmode=prefer", true),
            ("prefer, remote in the query", "postgres:///x?host=db.example&sslmode=prefer", false),
            ("percent-encoded", "postgres://db.example/x?ssl%6Dode=req%75ire", false),
            ("JDBC's word", "postgres://db.example/x?ssl=true", false),
            ("question mark in the password", "postgres://u:a?b@db.example/x?sslmode=require", false),
            ("keywords", "host=db.example dbname=x sslmode=require", false),
            ("keywords, spaced and quoted", r"host = 'db.example' password='a\' b' sslmode = 'verify-full'", false),
            ("keywords, prefer on a socket", "host=/tmp sslmode=prefer", true),
            ("sslmode inside a quoted password", "host=db.example password='x sslmode=require'", true),
        ] {
            let info = ConnInfo::read(url).unwrap();
            assert_eq!(info.check(DatabaseTls::Missing).is_ok(), accepted, "{name}");
            assert_eq!(info.check(DatabaseTls::Available), Ok(()), "{name}, in a build with TLS");
        }
    }

    #[test]
    fn waiting_has_an_end_unless_told_otherwise() {
        const ALL: [&str; 5] = [
            "connect_timeout=5",
            "keepalives_idle=10",
            "keepalives_interval=3",
            "keepalives_count=3",
            "tcp_user_timeout=10000",
        ];
        let (uri, words) = (ALL.join("&"), ALL.join(" "));
        let all_given = "postgres://h/x?connect_timeout=1&keepalives_idle=1&keepalives_interval=1&keepalives_count=1&tcp_user_timeout=0";
        for (name, url, expected) in [
            ("no query", "postgres://u:p@h/x", format!("postgres://u:p@h/x?{uri}")),
            ("no database", "postgres://h", format!("postgres://h?{uri}")),
            ("a query", "postgres://h/x?sslmode=disable", format!("postgres://h/x?sslmode=disable&{uri}")),
            (
                "two hosts, of which one writes",
                "postgres://a:1,b:2/x?target_session_attrs=read-write",
                format!("postgres://a:1,b:2/x?target_session_attrs=read-write&{uri}"),
            ),
            ("an empty query", "postgres://h/x?", format!("postgres://h/x?{uri}")),
            ("question mark in the password", "postgres://u:a?b@h/x", format!("postgres://u:a?b@h/x?{uri}")),
            (
                "one given",
                "postgres://h/x?connect_timeout=30",
                format!("postgres://h/x?connect_timeout=30&{}", ALL[1..].join("&")),
            ),
            ("all given", all_given, all_given.to_owned()),
            ("keywords", "host=h password='a b'", format!("{words} host=h password='a b'")),
            (
                "keywords, one given",
                "host=h tcp_user_timeout = 0",
                format!("{} host=h tcp_user_timeout = 0", ALL[..4].join(" ")),
            ),
        ] {
            let patient = ConnInfo::read(url).unwrap().with_patience(url);
            assert_eq!(patient, expected, "{name}");
            assert_eq!(ConnInfo::read(&patient).unwrap().with_patience(&patient), patient, "{name}: once is enough");
        }
    }

    #[test]
    fn what_is_no_connection_string_is_refused_without_repeating_it() {
        for (name, url, what) in [
            ("another database", "mysql://u:hunter2@db/x", "is not a PostgreSQL URL"),
            ("no keyword", "hunter2", "is not a connection string"),
            ("open quote", "password='hunter2", "is not a connection string"),
            ("word without a value", "host=a hunter2 user=b", "is not a connection string"),
            ("unknown word", "host=a password=hun ter2=x user=b", "is not a connection string"),
            ("percent sign", "postgres://u:hunter2%zz@db/x", "a % without the two digits"),
            ("percent sign at the end", "postgres://u:hunter2%@db/x", "a % without the two digits"),
            ("percent sign and less than a letter", "postgres://u:hunter2%4é@db/x", "a % without the two digits"),
            ("zero", "postgres://u:hunter2%00@db/x", "a % without the two digits"),
            ("space", "postgres://u:hunter2 x@db/x", "holds a space"),
            ("slash", "postgres://u:hunter2/x@db/x", "holds an @ that is not the one"),
            ("slash, and nothing after it", "postgres://u:hunter2/?x=@db", "has a port that is not a number"),
            ("slash and question mark", "postgres://u:1/2?hunter2=3@db/x", "a parameter that libpq does not know"),
            ("the same without a value", "postgres://u:1/2?hunter2@db/x", "a parameter without a value"),
            ("@", "postgres://u:x@hunter2@db/x", "holds an @ that is not the one"),
            ("open bracket", "postgres://u@[hunter2", "has a [ without an address"),
            ("nothing in brackets", "postgres://u@[]hunter2/x", "has a [ without an address"),
            ("something after brackets", "postgres://u@[::1]hunter2/x", "has a port that is not a number"),
            ("port zero", "postgres://u:hunter2@db:0/x", "has a port that is not a number"),
            ("port too large", "postgres://u:hunter2@a:5432,b:70000/x", "has a port that is not a number"),
        ] {
            let wrong = ConnInfo::read(url).unwrap_err();
            assert!(wrong.what.contains(what), "{name}: {wrong}");
            assert!(!wrong.to_string().contains("hunter2"), "{name}: {wrong}");
        }
        let info = ConnInfo::read("postgres:///x?sslmode=on").unwrap();
        assert!(info.check(DatabaseTls::Available).unwrap_err().what.contains("\"on\" does not exist"));
    }

    #[test]
    fn what_is_encoded_well_is_read() {
        for url in [
            "postgres://u:a%25b%2Fc%40d%20e@db:5432/x",
            "postgres://u:a:b?c#d[e]=&@db/x",
            "postgres://u%C3%A9@db:/x?",
            "postgres://u@a:1,[::1]:2,%2Ftmp:3/x?options=-c%20jit%3Doff&application_name=",
            "postgres://",
        ] {
            assert!(ConnInfo::read(url).is_ok(), "{url}");
        }
    }
}
