//! Finds the PostgreSQL programs.
//!
//! An existing cluster is only ever run by the major version that wrote it; a new one gets the highest version. To look
//! in one more place, add it to [`Search::system`].

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::ClusterError;

/// Older versions are not tested and no longer maintained.
const OLDEST: u32 = 14;

/// Where to look for programs, in order.
#[derive(Clone, Debug)]
pub struct Search {
    /// Directories that may hold `postgres` and `initdb`.
    pub servers: Vec<PathBuf>,
    /// Directories that may hold `setpriv` and `setsid`.
    pub tools: Vec<PathBuf>,
}

impl Search {
    /// What `PASSMINT_PG_BIN` names, and nothing else; without it `PATH`, the places where distributions put each
    /// version, and the answer of `pg_config --bindir`.
    pub fn system() -> Self {
        let path: Vec<PathBuf> = env::var_os("PATH").map(|p| env::split_paths(&p).collect()).unwrap_or_default();
        let mut tools = path.clone();
        tools.extend(["/usr/bin", "/bin"].map(PathBuf::from));
        if let Some(named) = env::var_os("PASSMINT_PG_BIN").filter(|v| !v.is_empty()) {
            return Self { servers: vec![named.into()], tools };
        }
        let mut servers = path;
        servers.extend(children("/usr/lib/postgresql", ""));
        servers.extend(children("/usr", "pgsql-"));
        servers.push("/usr/local/pgsql/bin".into());
        if !servers.iter().any(|d| has_server(d)) {
            servers.extend(pg_config());
        }
        Self { servers, tools }
    }

    /// The programs for a cluster written by major version `written`, or for a new one.
    pub(super) fn programs(&self, data: &Path, written: Option<&str>) -> Result<Programs, ClusterError> {
        let mut found = Vec::new();
        for bin in self.servers.iter().filter(|d| has_server(d)) {
            found.push((version(bin)?, bin.clone()));
        }
        // Stable, so that of two directories with the same version the one named first is taken.
        found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        let chosen = match written {
            None => found.first().ok_or_else(|| self.nothing_found())?,
            Some(written) => found.iter().find(|(v, _)| v.to_string() == written).ok_or_else(|| {
                let installed: Vec<String> = found.iter().map(|(v, _)| v.to_string()).collect();
                if installed.is_empty() {
                    return self.nothing_found();
                }
                let (data, written) = (data.to_owned(), written.to_owned());
                ClusterError::VersionMismatch { data, written, installed: installed.join(", ") }
            })?,
        };
        if chosen.0 < OLDEST {
            return Err(ClusterError::TooOld { version: chosen.0, directory: chosen.1.clone() });
        }
        Ok(Programs { bin: chosen.1.clone(), setpriv: self.tool("setpriv")?, setsid: self.tool("setsid")? })
    }

    fn tool(&self, tool: &'static str) -> Result<PathBuf, ClusterError> {
        let found = self.tools.iter().map(|d| d.join(tool)).find(|p| p.is_file());
        found.ok_or(ClusterError::ToolMissing { tool })
    }

    fn nothing_found(&self) -> ClusterError {
        let shown: Vec<String> = self.servers.iter().map(|d| d.display().to_string()).collect();
        ClusterError::BinariesMissing { looked_in: shown.join(", ") }
    }
}

/// What is needed to run a cluster. All paths are absolute, because the environment is cleared.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    /// Holds `postgres` and `initdb`.
    pub bin: PathBuf,
    /// Changes the user and ties a process's life to ours.
    pub setpriv: PathBuf,
    /// Takes a process off our terminal, so that Ctrl-C reaches only us.
    pub setsid: PathBuf,
}

fn has_server(directory: &Path) -> bool {
    directory.is_absolute() && directory.join("postgres").is_file() && directory.join("initdb").is_file()
}

/// `parent/prefix*/bin`.
fn children(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let named = entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(prefix));
    named.map(|e| e.path().join("bin")).collect()
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let directory = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(directory.trim()))
}

/// The major version in `bin`: `postgres --version` prints "postgres (PostgreSQL) 15.18 (Debian …)".
fn version(bin: &Path) -> Result<u32, ClusterError> {
    let program = bin.join("postgres");
    let unusable = |reason: String| ClusterError::Unusable { program: program.clone(), reason };
    let output = Command::new(&program).arg("--version").output().map_err(|e| unusable(e.to_string()))?;
    let said = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
    let number = said.split_whitespace().nth(2).unwrap_or_default();
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().map_err(|_| unusable(said.trim().lines().last().unwrap_or("no answer").to_owned()))
}
