//! The real server as a child process, with its own files.

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use passmint::domain::secret::{PlainToken, TokenKind};
use passmint::storage::cluster::choose_directory;
use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::http::Client;
use crate::usage::Processes;

/// The app that people sign in to.
pub const APP: &str = "bench";
/// The app's redirect URI. It is not on this machine: for loopback addresses people are asked each time, because any
/// program could be listening.
pub const CALLBACK: &str = "https://bench.example/callback";
/// The scope of the backend's own tokens.
pub const BACKEND_SCOPE: &str = "reports";
/// A bridge whose tokens are signed with a key of its own.
pub const BRIDGE_ES256: &str = "es256";
/// A bridge whose tokens are signed with a shared secret.
pub const BRIDGE_HS256: &str = "hs256";
/// The backend that introspects tokens and obtains tokens for itself.
const BACKEND: &str = "bench-api";
/// Settings that the command line adds to the server's, to try one out; empty for published figures.
pub static SETTINGS: OnceLock<Vec<String>> = OnceLock::new();
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Whether callers are limited, as they are by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    Default,
    Off,
}

/// The files of one server: data, keys and configuration. Removed on drop.
pub struct Home {
    directory: PathBuf,
    public: SocketAddr,
    admin: SocketAddr,
    secret: PlainToken,
}

impl Home {
    /// Creates an empty home in cargo's directory for temporary files: on the checkout's disk, not in memory.
    pub fn new(name: &str) -> Result<Self> {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("load-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let (public, admin) = free_addresses()?;
        Ok(Self { directory, public, admin, secret: PlainToken::random(TokenKind::ClientSecret) })
    }

    /// The directory of these files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The public address, in the form in which browsers name it.
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.public.port())
    }

    /// Starts the server and waits until it is ready.
    pub fn start(&self, limits: Limits) -> Result<Server> {
        let file = self.directory.join("passmint.toml");
        fs::write(&file, self.configuration(limits))?;
        fs::write(self.directory.join("bridge.secret"), "a secret that the bench's target would know\n")?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_passmint"));
        command.arg("serve").arg("--config").arg(&file).current_dir(&self.directory);
        for setting in SETTINGS.get().into_iter().flatten() {
            command.args(["--set", setting]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // The developer's own settings would change the server under test.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PASSMINT_") || name == "DATABASE_URL") {
                command.env_remove(name);
            }
        }
        let started = Instant::now();
        let mut child = command.spawn()?;
        let log = Log::of(child.stderr.take().ok_or("the server has no standard error")?);
        let mut server = Server {
            child,
            address: self.public,
            origin: self.origin(),
            backend: self.credentials(),
            ready: started.elapsed(),
            log,
        };
        let mut client = Client::new(self.public);
        while !client.get("/readyz").is_ok_and(|answer| answer.status == 200) {
            client.hang_up();
            if server.child.try_wait()?.is_some() || started.elapsed() > READY_WITHIN {
                return Err(format!("the server did not start:\n{}", server.log.last()).into());
            }
            thread::sleep(Duration::from_millis(2));
        }
        server.ready = started.elapsed();
        Ok(server)
    }

    /// Returns the value of the header that authenticates the backend.
    fn credentials(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{BACKEND}:{}", self.secret.expose())))
    }

    fn configuration(&self, limits: Limits) -> String {
        let path = |name: &str| toml_text(&self.directory.join(name).to_string_lossy());
        let digest = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.secret.digest().as_bytes());
        format!(
            r#"public_url = "{origin}"
listen = ["{public}"]
admin_listen = "{admin}"
data_dir = {data}
keys_dir = {keys}

[limits]
enabled = {enabled}

[clients.{APP}]
first_party = true
origins = ["{origin}"]
redirect_uris = ["{CALLBACK}"]
grants = ["passkey", "authorization_code", "refresh_token", "token_exchange"]
scopes = ["openid", "profile", "email", "offline_access", "passkeys", "bridge:*"]

[exchange_rules.narrow]
clients = ["{APP}"]
audiences = ["{origin}"]
scopes = ["passkeys"]

[clients.{BACKEND}]
kind = "confidential"
grants = ["client_credentials"]
scopes = ["{BACKEND_SCOPE}"]
secret_digest = "{digest}"
may_introspect = ["{origin}"]

[bridges.{BRIDGE_ES256}]
preset = "jwt"
audience = "https://target.example"
algorithm = "ES256"
claims = {{ role = "member", acr = "{{{{ session.acr }}}}" }}

[bridges.{BRIDGE_HS256}]
preset = "jwt"
audience = "https://target.example"
algorithm = "HS256"
secret_file = {secret}
claims = {{ role = "member", acr = "{{{{ session.acr }}}}" }}
"#,
            origin = self.origin(),
            public = self.public,
            admin = self.admin,
            data = path("data"),
            keys = path("keys"),
            enabled = limits == Limits::Default,
            secret = path("bridge.secret"),
        )
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // If root runs it, the cluster may be in a place that PostgreSQL's user can enter.
        if let Ok(data) = choose_directory(&self.directory.join("data")) {
            let _ = fs::remove_dir_all(data);
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A running server. Dropping it stops it and its PostgreSQL.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    pub origin: String,
    /// The backend's `Authorization` header.
    pub backend: String,
    /// Time from the start of the process to the first ready answer.
    pub ready: Duration,
    log: Log,
}

impl Server {
    /// The processes of the server and its PostgreSQL.
    pub fn processes(&self) -> Result<Processes> {
        Processes::of_server(self.child.id())
    }

    /// Asks the server to stop and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&self.child), Signal::TERM)?;
            self.child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Dropped without being stopped: something failed, and the log may say what.
        if matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(50));
            eprintln!("The end of the server's log:\n{}", self.log.last());
        }
        let _ = self.end();
    }
}

/// The server's log, drained as a supervisor would do. Writing it to the disk that also takes the commits would slow
/// both down. Only the end is kept, to be shown if the server fails.
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    const KEPT: usize = 8192;

    fn of(mut stream: ChildStderr) -> Self {
        let end = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&end);
        thread::spawn(move || {
            let mut piece = vec![0; 1 << 16];
            while let Ok(read @ 1..) = stream.read(&mut piece) {
                let mut end = shared.lock().unwrap_or_else(PoisonError::into_inner);
                end.extend(&piece[read.saturating_sub(Self::KEPT)..read]);
                let surplus = end.len().saturating_sub(Self::KEPT);
                end.drain(..surplus);
            }
        });
        Self(end)
    }

    fn last(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// Returns two addresses that were free a moment ago.
fn free_addresses() -> Result<(SocketAddr, SocketAddr)> {
    let (one, other) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((one.local_addr()?, other.local_addr()?))
}

fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
