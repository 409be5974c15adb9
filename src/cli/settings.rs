//! The sources of settings: file < environment < flags.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use clap::Args;

use super::{Outcome, print};
use crate::assembly::Declarations;
use crate::clock::Clock;
use crate::config::{Config, DatabaseTls, Problem, Problems, Sources};
use crate::web::tls::Certificate;

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "passmint.toml";

/// Flags that every command takes.
#[derive(Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Configuration file; by default `passmint.toml` in the working directory, if it exists.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any setting, by path: `--set tokens.access_ttl=5m`.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The public address of the server.
    #[arg(long, global = true, value_name = "URL")]
    public_url: Option<String>,
    /// Addresses to listen on, separated by commas.
    #[arg(long, global = true, value_name = "ADDRESSES")]
    listen: Option<String>,
    /// Address for metrics and documentation, or `off`.
    #[arg(long, global = true, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Folder of the private database.
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// Folder of the master key.
    #[arg(long, global = true, value_name = "FOLDER")]
    keys_dir: Option<String>,
    /// `text`, `json` or `auto`.
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

/// A configuration, and the name of the file it came from.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The name of the file, or `defaults` if there is none.
    pub source: String,
}

impl Settings {
    /// Loads the configuration; the error names every mistake.
    pub fn load(&self) -> Result<Loaded, String> {
        self.load_by(&|_| Vec::new())
    }

    /// Like [`load`](Self::load), for the server, which opens what the configuration names: the error includes every
    /// mistake found in that.
    pub fn load_to_start(&self) -> Result<Loaded, String> {
        self.load_by(&Declarations::mistakes)
    }

    fn load_by(&self, further: &dyn Fn(&Config) -> Vec<Problem>) -> Result<Loaded, String> {
        let file = self.file()?;
        let source = file.as_ref().map_or_else(|| "defaults".to_owned(), |(path, _)| path.display().to_string());
        let config = self.read(file, further)?.map_err(|problems| problems.to_string())?;
        Ok(Loaded { config, source })
    }

    /// The configuration with more TOML appended to the file, so that values from the command line follow the same
    /// rules as the file.
    pub fn load_with(&self, more: &str) -> Result<Result<Config, Problems>, String> {
        let (path, text) = self.file()?.unwrap_or_default();
        self.read(Some((path, format!("{text}\n{more}"))), &|_| Vec::new())
    }

    fn read(
        &self,
        file: Option<(PathBuf, String)>,
        further: &dyn Fn(&Config) -> Vec<Problem>,
    ) -> Result<Result<Config, Problems>, String> {
        // A variable whose name is not text is not ours.
        let environment = env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value)).collect();
        let sources = Sources {
            file,
            environment,
            flags: self.flags()?,
            read_secret: &|path: &Path| fs::read_to_string(path),
            database_tls: DatabaseTls::of_this_build(),
        };
        Ok(Config::load_with(sources, further))
    }

    fn file(&self) -> Result<Option<(PathBuf, String)>, String> {
        let path = self.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some((path, text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.config.is_none() => Ok(None),
            Err(error) => Err(format!("the configuration file {} cannot be read: {error}", path.display())),
        }
    }

    fn flags(&self) -> Result<Vec<(String, String)>, String> {
        let mut flags = Vec::new();
        for pair in &self.set {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("--set {pair:?}: write KEY=VALUE, as in --set tokens.access_ttl=5m"))?;
            flags.push((key.to_owned(), value.to_owned()));
        }
        let named = [
            ("public_url", &self.public_url),
            ("listen", &self.listen),
            ("admin_listen", &self.admin_listen),
            ("data_dir", &self.data_dir),
            ("keys_dir", &self.keys_dir),
            ("log.format", &self.log_format),
        ];
        flags.extend(named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))));
        Ok(flags)
    }
}

/// `passmint check-config`.
pub fn check(settings: &Settings) -> Outcome {
    let loaded = settings.load_to_start()?;
    Declarations::read(&loaded.config).map_err(|error| error.to_string())?;
    if let Some(files) = &loaded.config.tls {
        let host = loaded.config.server.public_url.host();
        let (_, warnings) = Certificate::open(files, host, Clock::system().now())?;
        for warning in warnings {
            print::note(format!("warning: {warning}"));
        }
    }
    print::line(loaded.config.describe().trim_end());
    print::note(format!(
        "the configuration is good ({} client(s), {} bridge(s))",
        loaded.config.clients.len(),
        loaded.config.bridges.len()
    ));
    Ok(())
}
