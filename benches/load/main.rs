//! `make bench`: the real server under load, and how far it is from the physical minimum.
//!
//! What must always hold: the server is the release binary with its default settings (only the limits are off, where
//! one address stands for many callers), commits are durable, and a failed operation ends the run instead of being
//! counted. Every figure that the documentation quotes comes from here.
//!
//! To add an operation, see `operations`. To add another figure, write a file that returns [`Figure`](report::Figure)s,
//! and add its name to [`OTHER_SECTIONS`].

#[path = "../../tests/support/authenticator.rs"]
mod authenticator;
mod codes;
mod database;
mod drive;
mod enumeration;
mod flood;
mod floors;
mod http;
mod import;
mod memory;
mod operations;
mod people;
mod process;
mod ready;
mod report;
mod rounds;
mod usage;

use std::error::Error;
use std::process::ExitCode;
use std::{env, fs};

use passmint::clock::Clock;
use report::Report;
use rounds::Round;

/// Any error; it ends the run.
pub type Fault = Box<dyn Error + Send + Sync>;
/// The result of nearly every function here.
pub type Result<T> = std::result::Result<T, Fault>;

/// The sections beside those of [`operations`].
const OTHER_SECTIONS: [&str; 5] = ["enumeration", "memory", "flood", "ready", "import"];
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/benchmarks.md");

/// The command line.
struct Arguments {
    sections: Vec<String>,
    connections: usize,
    people: u64,
    rounds: usize,
    settings: Vec<String>,
    write_docs: bool,
    check: bool,
    date: Option<String>,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("bench: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments> {
    let mut read = Arguments {
        sections: Vec::new(),
        connections: 32,
        people: import::PEOPLE,
        rounds: 3,
        settings: Vec::new(),
        write_docs: false,
        check: false,
        date: None,
    };
    for argument in env::args().skip(1) {
        match argument.as_str() {
            // Cargo adds this argument.
            "--bench" => {}
            "--write-docs" => read.write_docs = true,
            "--check" => read.check = true,
            section if is_section(section) => read.sections.push(argument),
            other => match other.split_once('=') {
                Some(("--connections", count)) => read.connections = count.parse()?,
                Some(("--rounds", rounds)) => read.rounds = rounds.parse()?,
                Some(("--import", people)) => read.people = people.parse()?,
                Some(("--set", setting)) => read.settings.push(setting.to_owned()),
                Some(("--date", date)) => read.date = Some(date.to_owned()),
                _ => {
                    let known = [&operations::SECTIONS[..], &OTHER_SECTIONS].concat().join(" ");
                    return Err(format!(
                        "{other:?} is none of: {known} --connections=N --rounds=N --import=PEOPLE --set=KEY=VALUE --check --write-docs --date=YYYY-MM-DD"
                    )
                    .into());
                }
            },
        }
    }
    if read.write_docs && !(read.sections.is_empty() && read.settings.is_empty()) {
        return Err(
            "--write-docs writes the page of a whole run by default settings: no sections or settings with it".into()
        );
    }
    Ok(read)
}

fn is_section(name: &str) -> bool {
    operations::SECTIONS.contains(&name) || OTHER_SECTIONS.contains(&name)
}

/// Runs what was asked for; returns false if goals are to be checked and one is missed.
fn run(arguments: &Arguments) -> Result<bool> {
    let wanted = |section: &str| arguments.sections.is_empty() || arguments.sections.iter().any(|name| name == section);
    process::SETTINGS.get_or_init(|| arguments.settings.clone());
    let load_before = fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default().to_owned();
    let mut report = Report { connections: arguments.connections, load_before, ..Report::default() };
    if wanted("ready") {
        step("start, cold and warm");
        report.figures.extend(ready::ready()?);
    }
    if operations::SECTIONS.into_iter().any(wanted) {
        let rounds = (1..=arguments.rounds.max(1)).map(|number| {
            step(&format!("operations and their floors, round {number} of {}", arguments.rounds.max(1)));
            Round::measure(arguments.connections, &wanted)
        });
        report.rounds = rounds.collect::<Result<_>>()?;
    }
    if wanted("enumeration") {
        step("known and unknown addresses");
        report.figures.extend(enumeration::enumeration()?);
    }
    if wanted("memory") {
        step("memory");
        report.figures.extend(memory::memory()?);
    }
    if wanted("import") {
        step("import");
        report.figures.extend(import::import(arguments.people)?);
    }
    if wanted("flood") {
        step("flood, 45 seconds");
        report.figures.extend(flood::flood()?);
    }
    println!("\n{}", report.tables());
    if arguments.write_docs {
        let today = || Clock::system().now().date_naive().to_string();
        fs::write(PAGE, report.page(&arguments.date.clone().unwrap_or_else(today))?)?;
        println!("Written to {PAGE}");
    }
    Ok(!arguments.check || report.is_met())
}

/// Reports progress on standard error, so that the tables can be redirected.
fn step(what: &str) {
    eprintln!("bench: {what} …");
}
