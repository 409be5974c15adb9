//! The real program as a child process: started, refused, ended, killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Browser, Client, Database, free_ports, master_key_file};

/// The longest time for a start or an end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `passmint serve`.
pub struct Program {
    child: Child,
    output: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
    /// The URL it listens on.
    pub url: String,
    /// Its public URL.
    pub origin: String,
    /// The administration listener.
    pub admin_url: String,
    /// Its port, so that it can be started there again.
    pub port: u16,
}

/// A command line for `passmint serve` in a directory, without any variable of our own environment that could configure
/// it.
pub fn serve(directory: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_passmint"));
    command.current_dir(directory).arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    for (name, _) in std::env::vars() {
        if name.starts_with("PASSMINT_") || name.starts_with("PG") || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    for (key, value) in settings {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    command
}

/// The same on a database of the tests' own cluster, which is sealed with the tests' key.
pub fn serve_on(directory: &Path, database: &Database, settings: &[(&str, &str)]) -> Command {
    let mut command = serve(directory, settings);
    command.env("DATABASE_URL", database.url()).env("PASSMINT_MASTER_KEY_FILE", master_key_file());
    command
}

/// The messages of a refused start. Fails when the program starts, or ends with a status other than 1.
pub fn refusal(mut command: Command) -> String {
    let program = Program::spawn(&mut command, 0);
    let (status, said) = program.ended();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

impl Program {
    /// Starts it on free ports and waits until it is ready.
    pub fn start(command: Command) -> Self {
        Self::start_at(command, free_ports(2))
    }

    /// The same on a given port (the administration listener uses the next one).
    pub fn start_at(mut command: Command, port: u16) -> Self {
        command.arg("--public-url").arg(format!("http://localhost:{port}"));
        let program = Self::ready(command, port);
        let began = Instant::now();
        let get = |path: &str| super::Request::new("GET", &program.url, path).send();
        // The RSA key of a first start is made after the server is ready; the quick-start client's ID tokens need it.
        while get("/readyz").status != 200 || !get("/.well-known/jwks.json").body.contains("\"RS256\"") {
            assert!(began.elapsed() < PATIENCE, "it stays unready: {}", program.said());
            std::thread::sleep(Duration::from_millis(10));
        }
        program
    }

    /// The same when the command already contains every address.
    pub fn start_without_port(command: Command) -> Self {
        Self::ready(command, 0)
    }

    fn ready(mut command: Command, port: u16) -> Self {
        let mut program = Self::spawn(&mut command, port);
        let began = Instant::now();
        while !program.said().contains("passmint: ready at ") {
            assert!(program.child.try_wait().expect("it can be asked").is_none(), "it ended: {}", program.said());
            assert!(began.elapsed() < PATIENCE, "it is not ready: {}", program.said());
            std::thread::sleep(Duration::from_millis(10));
        }
        program
    }

    fn spawn(command: &mut Command, port: u16) -> Self {
        let mut child = command.spawn().expect("the program runs");
        let output = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().expect("its standard error")).lines();
        let into = Arc::clone(&output);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut text = into.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        });
        Self {
            child,
            output,
            reader: Some(reader),
            url: format!("http://127.0.0.1:{port}"),
            origin: format!("http://localhost:{port}"),
            admin_url: format!("http://127.0.0.1:{}", port.wrapping_add(1)),
            port,
        }
    }

    /// What it has written to standard error so far.
    pub fn said(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A browser at its pages.
    pub fn browser(&self) -> Browser {
        Browser::at(&self.url, &self.origin)
    }

    /// An app that acts as one of its clients.
    pub fn client(&self, id: &str) -> Client {
        Client::at(&self.url, &self.origin, id)
    }

    /// Sends `SIGTERM`.
    pub fn ask_to_stop(&self) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::TERM).expect("it can be signalled");
    }

    /// Waits for it to end. Returns its status and all its messages.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        };
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        (status, self.said())
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("kill -9");
        self.child.wait().expect("it is dead");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
