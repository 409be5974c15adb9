//! Resource use of processes, from `/proc`: CPU time and memory, of the server and its PostgreSQL separately.

use std::fs;
use std::time::Duration;

use crate::Result;

/// CPU time used since each process began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    pub server: Duration,
    pub postgres: Duration,
    pub generator: Duration,
}

impl Cpu {
    /// CPU time used since `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            server: self.server.saturating_sub(before.server),
            postgres: self.postgres.saturating_sub(before.postgres),
            generator: self.generator.saturating_sub(before.generator),
        }
    }
}

/// The processes under test.
#[derive(Clone, Copy, Debug)]
pub struct Processes {
    pub server: Option<u32>,
    pub postmaster: u32,
}

impl Processes {
    /// The server with this process id and the PostgreSQL that it runs.
    pub fn of_server(server: u32) -> Result<Self> {
        let is_postgres = |pid: &u32| name(*pid).is_some_and(|name| name == "postgres");
        let postmaster = children(server)?.into_iter().find(is_postgres).ok_or("the server runs no PostgreSQL")?;
        Ok(Self { server: Some(server), postmaster })
    }

    /// CPU time so far.
    ///
    /// The server's time comes from `stat`, which includes threads that have ended, in ticks of 10 ms. PostgreSQL
    /// consists of many single-threaded processes: its time is the `schedstat` of the living ones, in nanoseconds, plus
    /// what the postmaster has reaped.
    pub fn cpu(&self) -> Result<Cpu> {
        let mut postgres = alive(self.postmaster)? + times(self.postmaster)?.reaped;
        for child in children(self.postmaster)? {
            // A process that ends between the listing and the read is counted as reaped the next time.
            postgres += alive(child).unwrap_or_default();
        }
        Ok(Cpu {
            server: self.server.map(times).transpose()?.map(|times| times.own).unwrap_or_default(),
            postgres,
            generator: times(std::process::id())?.own,
        })
    }

    /// Returns the resident memory of the server, and the proportional share of PostgreSQL's processes, in bytes.
    pub fn memory(&self) -> Result<(u64, u64)> {
        let server = self.server.map(resident).transpose()?.unwrap_or_default();
        let mut postgres = proportional(self.postmaster)?;
        for child in children(self.postmaster)? {
            postgres += proportional(child).unwrap_or_default();
        }
        Ok((server, postgres))
    }
}

struct Times {
    own: Duration,
    reaped: Duration,
}

/// Reads `utime + stime` and `cutime + cstime` (proc_pid_stat(5)).
fn times(pid: u32) -> Result<Times> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // A process name may contain spaces and brackets; the fields after it do not.
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("a stat without a name")?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let span = |ticks: u64| Duration::from_nanos(ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second()));
    Ok(Times { own: span(ticks(11) + ticks(12)), reaped: span(ticks(13) + ticks(14)) })
}

/// CPU time of a single-threaded process.
fn alive(pid: u32) -> Result<Duration> {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/schedstat")) else { return Ok(times(pid)?.own) };
    let nanoseconds = text.split_whitespace().next().and_then(|text| text.parse().ok());
    Ok(Duration::from_nanos(nanoseconds.ok_or("a schedstat without figures")?))
}

fn children(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let of = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if of == Some(parent) {
            found.push(pid);
        }
    }
    Ok(found)
}

fn name(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim().to_owned())
}

fn resident(pid: u32) -> Result<u64> {
    kilobytes(&format!("/proc/{pid}/status"), "VmRSS:")
}

fn proportional(pid: u32) -> Result<u64> {
    kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// Returns the value after `label` in a file of `/proc`, in bytes.
pub fn kilobytes(file: &str, label: &str) -> Result<u64> {
    let text = fs::read_to_string(file)?;
    let figure = text.lines().find_map(|line| line.strip_prefix(label)?.split_whitespace().next()?.parse::<u64>().ok());
    Ok(figure.ok_or_else(|| format!("{file} has no {label}"))? * 1024)
}
