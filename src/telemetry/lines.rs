//! How log lines reach standard error.
//!
//! A request only copies its line into memory. A thread writes everything that has gathered there, with one system call
//! for the lines of many requests; writing each line by itself was a third of the cost of a small answer, and requests
//! on different threads waited for each other.
//!
//! What must always hold: no request waits for whoever reads the log. If they stop reading, lines are dropped, counted,
//! and reported once there is room. Lines stay whole and in order. A warning is written without delay, other lines
//! within [`LINGER`].

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long lines gather after others were written.
const LINGER: Duration = Duration::from_millis(1);
/// How many bytes of lines may wait to be written.
const MOST: usize = 1024 * 1024;
/// How many bytes of memory are kept between two bursts.
const KEPT: usize = 64 * 1024;
/// How long the end of the process waits for whoever reads the log.
const AT_THE_END: Duration = Duration::from_secs(1);

/// Gathers lines for the thread that writes them. Clones gather in the same place.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    gathered: Mutex<Gathered>,
    changed: Condvar,
}

#[derive(Default)]
struct Gathered {
    text: Vec<u8>,
    /// Lines that were dropped since the last report.
    dropped: u64,
    /// Whether something must be written without delay.
    urgent: bool,
    /// Whether the thread is not writing, and waits for a line.
    idle: bool,
}

impl Gathered {
    const fn is_empty(&self) -> bool {
        self.text.is_empty() && self.dropped == 0
    }
}

impl Lines {
    /// Starts the thread, which writes to `out` as long as the process lives.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Self(Arc::default());
        let gathered = lines.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || gathered.write_to(out))?;
        Ok(lines)
    }

    /// Waits until everything is written, for a second at most.
    pub fn flush(&self) {
        let mut gathered = self.lock();
        gathered.urgent = true;
        self.0.changed.notify_all();
        let is_busy = |gathered: &mut Gathered| !(gathered.idle && gathered.is_empty());
        drop(self.0.changed.wait_timeout_while(gathered, AT_THE_END, is_busy));
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.0.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8], urgent: bool) {
        let mut gathered = self.lock();
        if gathered.text.len() + line.len() > MOST {
            gathered.dropped += 1;
            return;
        }
        gathered.text.extend_from_slice(line);
        gathered.urgent |= urgent;
        // While it writes or lingers, it looks again by itself.
        if gathered.idle || urgent {
            self.0.changed.notify_all();
        }
    }

    fn write_to(&self, mut out: impl Write) {
        let mut text = Vec::new();
        loop {
            let dropped = self.take(&mut text);
            // If the reader is gone there is nobody to report it to.
            let _ = out.write_all(&text).and_then(|()| out.flush());
            text.clear();
            text.shrink_to(KEPT);
            if dropped > 0 {
                metrics::counter!("passmint_log_lines_dropped_total").increment(dropped);
                tracing::warn!(lines = dropped, "log lines were dropped, because nobody read the earlier ones");
            }
            let linger = self.0.changed.wait_timeout_while(self.lock(), LINGER, |gathered| !gathered.urgent);
            drop(linger);
        }
    }

    /// Waits for lines, and moves them into `text`, which is empty. Returns how many were dropped.
    fn take(&self, text: &mut Vec<u8>) -> u64 {
        let mut gathered = self.lock();
        gathered.urgent = false;
        if gathered.is_empty() {
            gathered.idle = true;
            // For those who wait for the end.
            self.0.changed.notify_all();
            let waited = self.0.changed.wait_while(gathered, |gathered| gathered.is_empty());
            gathered = waited.unwrap_or_else(PoisonError::into_inner);
            gathered.idle = false;
            gathered.urgent = false;
        }
        std::mem::swap(&mut gathered.text, text);
        std::mem::take(&mut gathered.dropped)
    }
}

/// Writes what has gathered when the server ends.
#[must_use = "the last lines are written when this is dropped"]
pub struct LastLines(pub Option<Lines>);

impl Drop for LastLines {
    fn drop(&mut self) {
        if let Some(lines) = &self.0 {
            lines.flush();
        }
    }
}

/// One line on its way.
pub struct Line<'a> {
    lines: &'a Lines,
    urgent: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.push(line, self.urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, urgent: false }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        Line { lines: self, urgent: *meta.level() <= Level::WARN }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Takes a text only when somebody reads, and then at once.
    struct Pipe {
        reads: Receiver<()>,
        arrived: Sender<Vec<u8>>,
    }

    impl Write for Pipe {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.reads.recv().map_err(io::Error::other)?;
            self.arrived.send(text.to_vec()).map_err(io::Error::other)?;
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn piped() -> (Lines, Sender<()>, Receiver<Vec<u8>>) {
        let (read, reads) = channel();
        let (arrived, written) = channel();
        (Lines::start(Pipe { reads, arrived }).unwrap(), read, written)
    }

    #[test]
    fn lines_of_many_threads_stay_whole_and_in_order() {
        let (lines, read, written) = piped();
        thread::scope(|scope| {
            for writer in 0..16 {
                let lines = &lines;
                scope.spawn(move || {
                    for n in 0..100 {
                        lines.make_writer().write_all(format!("{writer} {n}\n").as_bytes()).unwrap();
                    }
                });
            }
        });
        for _ in 0..1600 {
            read.send(()).unwrap();
        }
        lines.flush();
        let text = String::from_utf8(written.try_iter().flatten().collect()).unwrap();
        assert_eq!(text.lines().count(), 1600);
        for writer in 0..16 {
            let own = text.lines().filter_map(|line| line.strip_prefix(&format!("{writer} ")));
            assert!(own.eq((0..100).map(|n| n.to_string())), "{writer}");
        }
    }

    #[test]
    fn a_reader_that_hangs_holds_up_nobody_and_costs_lines() {
        let (lines, read, written) = piped();
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        let wants = 3 * MOST / line.len();
        for _ in 0..wants {
            lines.make_writer().write_all(&line).unwrap();
        }
        assert!(lines.lock().text.len() <= MOST);
        let dropped = usize::try_from(lines.lock().dropped).unwrap();
        assert!(dropped >= wants / 2, "{dropped}");
        for _ in 0..wants {
            read.send(()).unwrap();
        }
        lines.flush();
        let arrived = written.try_iter().flatten().count() / line.len();
        assert_eq!(arrived, wants - dropped, "each line was written or counted");
    }

    #[test]
    fn the_end_waits_for_the_last_line_but_not_for_a_reader_that_hangs() {
        let (lines, read, written) = piped();
        read.send(()).unwrap();
        lines.make_writer().write_all(b"the last\n").unwrap();
        drop(LastLines(Some(lines.clone())));
        assert_eq!(written.try_recv().unwrap(), b"the last\n");

        lines.make_writer().write_all(b"nobody reads\n").unwrap();
        drop(LastLines(Some(lines)));
        assert!(written.try_recv().is_err());
    }
}
