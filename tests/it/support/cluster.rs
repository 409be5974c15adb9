//! One private cluster for the whole test binary; one database, copied from a template, for each test server.
//!
//! The template holds the schema and the signing keys, so that a test neither migrates nor makes an RSA key.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, mpsc};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use passmint::assembly;
use passmint::clock::Clock;
use passmint::config::{Config, DatabaseTls, Sources};
use passmint::storage::cluster::Cluster;

/// What all tests share.
struct Shared {
    url: String,
    directory: PathBuf,
    copying: Mutex<()>,
}

static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let directory = std::env::temp_dir().join(format!("passmint-it-{}", std::process::id()));
    sweep_leftovers();
    std::fs::create_dir_all(&directory).expect("a temporary directory");
    open_to_all(&directory);
    let url = start(directory.join("data"));
    let shared = Shared { url, directory, copying: Mutex::new(()) };
    make_template(&shared);
    shared
});

/// The cluster stops with the thread that started it, so that thread never ends.
fn start(data: PathBuf) -> String {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let cluster = Cluster::start(&data).expect("the private cluster starts");
        send.send(cluster.url()).expect("the test waits");
        loop {
            std::thread::park();
        }
    });
    receive.recv().expect("the private cluster starts")
}

fn make_template(shared: &Shared) {
    execute(&shared.url, "CREATE DATABASE template_passmint");
    let url = database_url(&shared.url, "template_passmint");
    let settings = [
        ("keys_dir".to_owned(), shared.directory.display().to_string()),
        ("admin_listen".to_owned(), "off".to_owned()),
    ];
    let config = Config::load(Sources {
        file: None,
        environment: vec![("DATABASE_URL".to_owned(), url.into())],
        flags: settings.to_vec(),
        read_secret: &|path| std::fs::read_to_string(path),
        database_tls: DatabaseTls::of_this_build(),
    })
    .unwrap_or_else(|problems| panic!("{problems}"));
    assembly::create_master_key(&config).expect("a master key");
    let clock = Clock::system();
    let rooms = assembly::assemble(&config, &clock, "template").expect("the rooms");
    let (rotation, keys) = (rooms.key_plan.clone(), Arc::clone(&rooms.keys));
    rooms
        .db
        .blocking(|conn| {
            rotation.apply(conn, &keys.master(), &rotation.later, clock.now()).expect("an RSA key");
            conn.batch_execute("TRUNCATE clients, changes, audit_events")?;
            Ok(())
        })
        .expect("the template is filled");
}

/// The master key that the template is sealed with.
pub fn master_key_file() -> PathBuf {
    SHARED.directory.join("master.key")
}

/// The database of one test; dropped with its last user.
pub struct Database(Arc<Owned>);

struct Owned {
    url: String,
    name: String,
}

impl Database {
    /// A fresh copy of the template.
    pub fn create() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        // A template must not be in use while it is copied, not even by another copy.
        let _one_at_a_time = SHARED.copying.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        execute(&SHARED.url, &format!("CREATE DATABASE {name} TEMPLATE template_passmint"));
        Self(Arc::new(Owned { url: database_url(&SHARED.url, &name), name }))
    }

    /// An empty database, as an operator provides it to a first server.
    pub fn empty() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("empty_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        execute(&SHARED.url, &format!("CREATE DATABASE {name}"));
        Self(Arc::new(Owned { url: database_url(&SHARED.url, &name), name }))
    }

    /// The same database for another server.
    pub fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Its libpq URL.
    pub fn url(&self) -> &str {
        &self.0.url
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Ok(mut conn) = PgConnection::establish(&SHARED.url) {
            let _ = conn.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

fn database_url(cluster: &str, name: &str) -> String {
    cluster.replacen("@/passmint?", &format!("@/{name}?"), 1)
}

fn execute(url: &str, sql: &str) {
    let mut conn = PgConnection::establish(url).expect("a connection");
    conn.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Removes the directories of test runs that were killed.
fn sweep_leftovers() {
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix("passmint-it-")) else { continue };
        if !std::path::Path::new("/proc").join(pid).exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// PostgreSQL may run as another user, who must be able to enter.
fn open_to_all(directory: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).expect("permissions");
}
