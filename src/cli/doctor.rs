//! `passmint doctor`: tests everything that a server needs, one thing at a time.
//!
//! A finding is one line: what was tested, the result, and what to do if it is wrong. The doctor changes nothing. After
//! a failure it continues with everything that does not depend on it.

mod database;
mod listen;
mod rooms;

use clap::Args;
use serde::Serialize;

use super::Outcome;
use super::print;
use super::settings::{Loaded, Settings};
use crate::assembly::declared_endpoint;
use crate::clock::Clock;
use crate::config::Config;
use crate::web::tls::Certificate;

/// Test everything a server needs.
#[derive(Args)]
pub struct Doctor {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The result of one test.
#[derive(Serialize)]
struct Finding {
    name: String,
    ok: bool,
    /// The result; if something is wrong, also what to do.
    detail: String,
}

/// All findings.
#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn note(&mut self, name: impl Into<String>, result: Result<impl Into<String>, impl Into<String>>) {
        let (ok, detail) = match result {
            Ok(detail) => (true, detail.into()),
            Err(detail) => (false, detail.into()),
        };
        self.0.push(Finding { name: name.into(), ok, detail });
    }

    fn good(&mut self, name: impl Into<String>, detail: impl Into<String>) {
        self.note(name, Ok::<_, String>(detail.into()));
    }

    fn wrong(&mut self, name: impl Into<String>, detail: impl Into<String>) {
        self.note(name, Err::<String, _>(detail.into()));
    }
}

impl Doctor {
    /// Runs the command.
    pub fn run(&self, settings: &Settings) -> Outcome {
        let mut report = Report::default();
        match settings.load() {
            Ok(loaded) => examine(&mut report, loaded),
            Err(mistakes) => report.wrong("configuration", mistakes),
        }
        if self.json {
            print::json(&report.0)?;
        } else {
            for finding in &report.0 {
                let mark = if finding.ok { '✓' } else { '✗' };
                // Further lines are indented below the mark of their finding.
                print::line(format!("{mark} {}: {}", finding.name, finding.detail.trim_end().replace('\n', "\n    ")));
            }
        }
        match report.0.iter().filter(|finding| !finding.ok).count() {
            0 => Ok(()),
            1 => Err("1 thing is wrong".to_owned()),
            count => Err(format!("{count} things are wrong")),
        }
    }
}

fn examine(report: &mut Report, loaded: Loaded) {
    report.good("configuration", describe(&loaded));
    tls(report, &loaded.config);
    listen::examine(report, &loaded.config);
    relying_parties(report, &loaded.config);
    webhooks(report, &loaded.config);
    let Some(desk) = database::examine(report, loaded) else { return };
    rooms::examine(report, &desk);
}

fn describe(loaded: &Loaded) -> String {
    let config = &loaded.config;
    format!(
        "{}, public_url {}, {} client(s), {} bridge(s)",
        loaded.source,
        config.issuer(),
        config.clients.len(),
        config.bridges.len()
    )
}

fn tls(report: &mut Report, config: &Config) {
    let Some(files) = &config.tls else { return };
    let name = format!("certificate {}", files.cert_file.display());
    match Certificate::open(files, config.server.public_url.host(), Clock::system().now()) {
        Err(error) => report.wrong(name, error),
        Ok((_, warnings)) if warnings.is_empty() => report.good(name, "fits its key and the host of public_url"),
        Ok((_, warnings)) => report.wrong(name, warnings.join("; ")),
    }
}

fn webhooks(report: &mut Report, config: &Config) {
    for webhook in config.webhooks.iter().filter(|webhook| webhook.enabled) {
        let (name, url) = (&webhook.endpoint.name, &webhook.endpoint.url);
        let examined = declared_endpoint(&webhook.endpoint)
            .map(|_| format!("its secrets can be read; `passmint webhooks test {name}` sends {url} a message"));
        report.note(format!("webhook {name}"), examined);
    }
}

fn relying_parties(report: &mut Report, config: &Config) {
    for party in &config.relying_parties {
        let origins: Vec<&str> = party.all_origins().map(crate::config::AppOrigin::as_str).collect();
        let name = format!("relying party {}", party.rp_id);
        // Loading the configuration refuses plain http elsewhere.
        let local = party.rp_id == "localhost";
        let note = if local { "; passkeys of localhost work on this machine only" } else { "" };
        report.good(name, format!("{}{note}", print::list(origins)));
    }
}
