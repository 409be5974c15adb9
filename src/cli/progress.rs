//! The progress of an import or export: a bar on a terminal, nothing elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

const WIDTH: usize = 30;
const EVERY: Duration = Duration::from_millis(200);

/// The progress of a run.
pub(super) struct Progress {
    size: Option<u64>,
    begun: Instant,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    /// For a file of this size.
    pub(super) fn new(size: Option<u64>) -> Self {
        Self { size, begun: Instant::now(), shown: None, terminal: std::io::stderr().is_terminal() }
    }

    /// Never shown, for output on the terminal itself.
    pub(super) fn silent() -> Self {
        Self { terminal: false, ..Self::new(None) }
    }

    /// Updates the display from time to time.
    pub(super) fn show(&mut self, people: u64, bytes: u64) {
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= EVERY);
        if self.terminal && due {
            self.shown = Some(Instant::now());
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", line(people, bytes, self.size, self.begun.elapsed()));
        }
    }

    /// Removes it from the terminal.
    pub(super) fn clear(&self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    /// The time since the run began.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

fn line(people: u64, bytes: u64, size: Option<u64>, elapsed: Duration) -> String {
    let each_second = u128::from(people) * 1000 / elapsed.as_millis().max(1);
    let told = format!("{people} people, {each_second}/s");
    let Some(size) = size.filter(|size| *size > 0) else { return told };
    let percent = usize::try_from(bytes.min(size) * 100 / size).unwrap_or(100);
    let full = percent * WIDTH / 100;
    format!("[{}{}] {percent:3} %  {told}", "=".repeat(full), " ".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is() {
        let second = Duration::from_secs(1);
        assert_eq!(line(500, 50, Some(100), second), "[===============               ]  50 %  500 people, 500/s");
        assert_eq!(line(500, 200, Some(100), second), "[==============================] 100 %  500 people, 500/s");
        assert_eq!(line(0, 0, Some(0), Duration::ZERO), "0 people, 0/s");
        assert_eq!(line(10, 5, None, second * 2), "10 people, 5/s");
    }
}
