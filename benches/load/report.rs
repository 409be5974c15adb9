//! The results, as the tables for the terminal and for the documentation.

use std::fmt::Write as _;
use std::fs;

use crate::Result;
use crate::database::Database;
use crate::drive::real;
use crate::floors::Crypto;
use crate::operations::Measured;
use crate::rounds::{self, Round};
use crate::usage::kilobytes;

/// A single figure and its goal.
pub struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    goal: Option<(Bound, f64)>,
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost,
    AtLeast,
}

impl Figure {
    /// A figure with an upper bound, if one is set.
    pub fn at_most(what: &str, value: f64, unit: &'static str, bound: Option<f64>) -> Self {
        Self { goal: bound.map(|bound| (Bound::AtMost, bound)), ..Self::told(what, value, unit) }
    }

    /// A figure with a lower bound.
    pub fn at_least(what: &str, value: f64, unit: &'static str, bound: f64) -> Self {
        Self { goal: Some((Bound::AtLeast, bound)), ..Self::told(what, value, unit) }
    }

    /// A figure without a bound, for information.
    pub fn told(what: &str, value: f64, unit: &'static str) -> Self {
        Self { what: what.to_owned(), value, unit, goal: None }
    }

    /// Whether the goal is met.
    pub fn is_met(&self) -> bool {
        self.goal.is_none_or(|(bound, limit)| match bound {
            Bound::AtMost => self.value <= limit,
            Bound::AtLeast => self.value >= limit,
        })
    }

    fn row(&self) -> Vec<String> {
        let goal = self.goal.map_or(String::new(), |(bound, limit)| {
            let sign = if matches!(bound, Bound::AtMost) { '≤' } else { '≥' };
            format!("{sign} {} {}", short(limit), self.unit)
        });
        let value = format!("{} {}", short(self.value), self.unit);
        vec![
            self.what.clone(),
            value.trim().to_owned(),
            goal.trim().to_owned(),
            verdict(self.goal.is_some(), self.is_met()),
        ]
    }
}

/// The results of one run.
#[derive(Default)]
pub struct Report {
    pub connections: usize,
    /// The load average of the last minute, read before the run.
    pub load_before: String,
    pub rounds: Vec<Round>,
    pub figures: Vec<Figure>,
}

impl Report {
    /// Whether every goal is met.
    pub fn is_met(&self) -> bool {
        let operations = rounds::operations(&self.rounds);
        self.figures.iter().all(Figure::is_met) && operations.iter().all(|one| ratio_met(one) && p99_met(one))
    }

    /// The tables, in Markdown that is readable on a terminal.
    pub fn tables(&self) -> String {
        let mut text = String::new();
        if let Some((crypto, database)) = rounds::floors(&self.rounds) {
            text.push_str("## Floors\n\nCPU in µs of what no operation can do without.\n\n");
            text.push_str(&floors(&crypto, &database));
            text.push('\n');
        }
        let all = rounds::operations(&self.rounds);
        if !all.is_empty() {
            let _ = writeln!(
                text,
                "## Operations\n\nThrough {} connections. CPU in µs an operation; p50 and p99 at half of the ceiling.\n",
                self.connections
            );
            text.push_str(&operations(&all));
            text.push_str("\nWhat each floor is the sum of:\n\n");
            for one in &all {
                let parts: Vec<String> =
                    one.floor.iter().map(|(name, part)| format!("{name} {}", short(*part))).collect();
                let _ = writeln!(text, "- {}: {}", one.name, parts.join(" + "));
            }
            text.push('\n');
        }
        if !self.figures.is_empty() {
            let mut rows = vec![head(&["figure", "value", "goal", ""])];
            rows.extend(self.figures.iter().map(Figure::row));
            text.push_str("## Start, addresses, memory, import and flood\n\n");
            text.push_str(&table(&rows));
        }
        text
    }

    /// The documentation page.
    pub fn page(&self, date: &str) -> Result<String> {
        Ok(format!("{}\nMeasured on {date} with {}.\n\n{}", include_str!("page.md"), machine(self)?, self.tables()))
    }
}

fn floors(crypto: &Crypto, database: &Database) -> String {
    let mut rows = vec![head(&["floor", "CPU µs", "of which PostgreSQL"])];
    for (name, value) in [
        ("WebAuthn verify", crypto.webauthn_verify),
        ("ES256 sign", crypto.es256_sign),
        ("ES256 verify", crypto.es256_verify),
        ("RS256 sign", crypto.rs256_sign),
        ("HS256 sign", crypto.hs256_sign),
        ("HS256 verify", crypto.hs256_verify),
    ] {
        rows.push(vec![name.to_owned(), short(value), String::new()]);
    }
    let shared = format!("the same among {} a second", short(database.shared_per_second));
    for (name, trip) in [
        ("commit of one row".to_owned(), database.commit),
        (shared, database.shared_commit),
        ("select of one row".to_owned(), database.select),
    ] {
        rows.push(vec![name, short(trip.sum()), short(trip.backend)]);
    }
    table(&rows)
}

fn operations(all: &[Measured]) -> String {
    let mut rows = vec![head(&[
        "operation",
        "ops/s",
        "server",
        "PostgreSQL",
        "floor",
        "× floor",
        "× shared",
        "goal",
        "",
        "p50 ms",
        "p99 ms",
        "goal",
        "",
    ])];
    for one in all {
        let goal = |value: Option<f64>| value.map_or(String::new(), |value| format!("≤ {}", short(value)));
        let milliseconds = |time: std::time::Duration| short(time.as_secs_f64() * 1e3);
        rows.push(vec![
            one.name.to_owned(),
            short(one.ceiling.per_second),
            short(one.ceiling.server),
            short(one.ceiling.postgres),
            short(one.floor_sum()),
            short(one.ratio()),
            short(one.shared_ratio()),
            goal(one.at_most),
            verdict(one.at_most.is_some(), ratio_met(one)),
            milliseconds(one.latency.p50),
            milliseconds(one.latency.p99),
            goal(one.p99_at_most),
            verdict(one.p99_at_most.is_some(), p99_met(one)),
        ]);
    }
    table(&rows)
}

fn ratio_met(one: &Measured) -> bool {
    one.at_most.is_none_or(|limit| one.ratio() <= limit)
}

fn p99_met(one: &Measured) -> bool {
    one.p99_at_most.is_none_or(|limit| one.latency.p99.as_secs_f64() * 1e3 <= limit)
}

fn verdict(has_goal: bool, met: bool) -> String {
    match (has_goal, met) {
        (false, _) => "",
        (true, true) => "met",
        (true, false) => "**missed**",
    }
    .to_owned()
}

fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A padded Markdown table, with the first column aligned left and the others right.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 { write!(text, "| {cell:<width$} ") } else { write!(text, "| {cell:>width$} ") };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let _ = if column == 0 {
                    write!(text, "| {} ", "-".repeat(*width))
                } else {
                    write!(text, "| {}: ", "-".repeat(width - 1))
                };
            }
            text.push_str("|\n");
        }
    }
    text
}

/// Formats a value with three significant digits.
fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
    .trim_end_matches(".0")
    .to_owned()
}

/// Converts bytes to MB of 2^20 bytes.
pub fn mib(bytes: u64) -> f64 {
    real(bytes) / f64::from(1 << 20)
}

fn machine(report: &Report) -> Result<String> {
    let field = |file: &str, label: &str| -> Result<String> {
        let text = fs::read_to_string(file)?;
        let line = text.lines().find_map(|line| line.strip_prefix(label));
        Ok(line.unwrap_or_default().trim_matches(|c: char| c.is_whitespace() || c == ':' || c == '"').to_owned())
    };
    let cores = std::thread::available_parallelism()?;
    let postgres = rounds::floors(&report.rounds).map_or_else(String::new, |(_, database)| database.version);
    Ok(format!(
        "{cores} cores of {}, {:.0} GB of memory, {}, Linux {}, PostgreSQL {postgres}; load average before the run {}",
        field("/proc/cpuinfo", "model name")?,
        mib(kilobytes("/proc/meminfo", "MemTotal:")?) / 1024.0,
        field("/etc/os-release", "PRETTY_NAME=")?,
        fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
        report.load_before,
    ))
}
