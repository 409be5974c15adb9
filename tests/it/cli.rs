//! The commands as an operator runs them: the real binary, against the database of a running server, an empty one, or a
//! private cluster.
//!
//! [`Operator`] is a person at a shell. Servers follow changes in real time, so these tests wait ([`eventually`]) where
//! others advance the clock.

mod accounts;
mod bridges;
mod doctor;
mod keys;
mod links;
mod output;
mod private;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Options, TestApp, master_key_file};

/// A person at a shell, in a folder of their own, with these variables and no others.
pub struct Operator {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// The result of a command.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { code: status.code(), out: text(stdout), err: text(stderr) }
    }
}

impl Operator {
    /// Without any settings.
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = TempDir::new().expect("a temporary directory");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        Self { folder, variables: Vec::new() }
    }

    /// The operator of this server, with a copy of its master key.
    pub fn of(app: &TestApp) -> Self {
        let mut operator = Self::new();
        fs::copy(master_key_file(), operator.path("master.key")).expect("a copy of the master key");
        let key_file = operator.path("master.key").display().to_string();
        operator.set("DATABASE_URL", app.database_url());
        operator.set("PASSMINT_MASTER_KEY_FILE", &key_file);
        operator.set("PASSMINT_PUBLIC_URL", &app.origin);
        operator.set("PASSMINT_ADMIN_LISTEN", "off");
        operator
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The path of a file in their folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the file is written");
    }

    /// A command that is not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_passmint"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        for name in ["PATH", "LD_LIBRARY_PATH", "PASSMINT_PG_BIN"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().expect("the program runs").into()
    }

    /// [`Operator::run`] with no file able to grow, as on a full disk.
    pub fn with_files_full(&self, arguments: &[&str]) -> Ran {
        let plain = self.command(arguments);
        let mut limited = Command::new("sh");
        limited.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"]);
        limited.arg(plain.get_program()).args(plain.get_args()).current_dir(self.folder.path()).env_clear();
        limited.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        limited.output().expect("the program runs").into()
    }

    /// Runs a command that must succeed. Returns what it printed.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}{}", ran.out, ran.err);
        assert_eq!(ran.err, "", "{arguments:?}");
        ran.out
    }

    /// [`Operator::ok`] with JSON output.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let out = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// Runs a command that must be refused. Returns its one line, without our name in front.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(1), "{arguments:?}: {}{}", ran.out, ran.err);
        let line = ran.err.trim_end();
        assert!(!line.contains('\n'), "one line: {line}");
        line.strip_prefix("passmint: ").unwrap_or_else(|| panic!("under our name: {line}")).to_owned()
    }
}

/// Waits until something holds, for no longer than a server may take to follow.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    within(Duration::from_secs(15), what, &mut holds);
}

#[track_caller]
pub fn within(patience: Duration, what: &str, holds: &mut dyn FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < patience, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A server that looks for its master key in this file.
pub fn server_with_key(file: &Path, beside: Option<&TestApp>) -> TestApp {
    let file = file.display().to_string();
    TestApp::with(&Options {
        settings: &[
            ("master_key_file", &file),
            ("challenges.store", "database"),
            ("tokens.refresh_retry_window", "60s"),
        ],
        // Both servers must agree about the clients' origins, which they write into the database.
        public_url: beside.map(|other| other.origin.as_str()),
        beside,
        ..Options::default()
    })
}
