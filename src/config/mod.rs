//! The configuration: typed, and checked once at loading.
//!
//! [`Config::load`] is a pure function of the file's text, the environment and the flags of the command line.
//! Invariants: nothing that was written is ignored (unknown keys and variables are mistakes); all mistakes are reported
//! together; an invalid value is never replaced by a weaker default.
//!
//! One small file for each section holds its struct, its keys and the code that reads them; [`keys`] says how to add a
//! setting. Named tables (relying parties, clients, bridges) can be set in the file only.

mod audit;
mod authorization_servers;
mod bridge_keys;
mod bridges;
mod challenges;
mod client_keys;
mod client_openid;
mod client_secret;
mod clients;
mod conninfo;
mod database;
pub mod docs;
mod dpop;
mod exchange;
mod federated;
mod forward_auth;
mod forward_auth_keys;
mod hooks;
mod inputs;
mod key_files;
pub mod keys;
mod limits;
mod log;
mod min_acr;
mod native_apps;
mod network;
mod origin;
mod outbound;
mod passkeys;
mod problems;
mod public_url;
mod reader;
mod redirect_uri;
mod registration;
mod related_origins;
mod relying_parties;
mod resources;
pub mod section;
mod server;
mod session;
mod site;
mod tables;

#[cfg(test)]
mod tests;
mod text;
mod tls;
mod tokens;
mod trusted_issuers;
mod values;
mod webhooks;
mod workloads;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

pub use audit::Audit;
pub use authorization_servers::AuthorizationServer;
pub use bridges::{DeclaredBridge, KeyFile};
pub use challenges::{ChallengeStore, Challenges};
pub use client_keys::{ClientKind, Grant};
pub use clients::{Client, QUICK_START};
pub use conninfo::DatabaseTls;
pub use database::Database;
pub use dpop::Dpop;
pub use hooks::{Hook, OnFailure, When};
pub use key_files::Keys;
pub use limits::{Bucket, Limits};
pub use log::{Log, LogFormat, LogLevel};
pub use network::Network;
pub use origin::AppOrigin;
pub use outbound::Outbound;
pub use passkeys::{Attachment, Attestation, Hint, Passkeys, Requirement, SyncedCounter};
pub use problems::{Place, Problem, Problems, Wrong};
pub use public_url::PublicUrl;
pub use redirect_uri::RedirectUri;
pub use registration::{Registration, RegistrationMode};
pub use relying_parties::{RelyingParty, is_rp_id};
pub use server::{Server, SignUpAsks};
pub use session::Session;
pub use site::Site;
pub use tls::Tls;
pub use tokens::{Algorithm, Tokens};
pub use trusted_issuers::TrustedIssuer;
pub use webhooks::{Endpoint, Webhook};

use crate::domain::exchange::Rule;
use crate::domain::forward::ProtectedHost;
use crate::domain::resource::Resource;
use inputs::Inputs;
use reader::{Reader, Understood};

/// The sources of a configuration.
pub struct Sources<'a> {
    /// The file's path, for messages, and its text.
    pub file: Option<(PathBuf, String)>,
    /// All environment variables; unrelated ones are ignored.
    pub environment: Vec<(String, OsString)>,
    /// Settings by path from the command line: `--set`, and flags that are shorthand for a setting.
    pub flags: Vec<(String, String)>,
    /// Reads a file that holds a secret.
    pub read_secret: &'a dyn Fn(&Path) -> io::Result<String>,
    /// Whether this build can encrypt the connection to PostgreSQL: [`DatabaseTls::of_this_build`].
    pub database_tls: DatabaseTls,
}

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server itself.
    pub server: Server,
    /// The site's operator, as shown on its pages.
    pub site: Site,
    /// TLS of the server itself; `None`: plain HTTP, behind a proxy or on localhost.
    pub tls: Option<Tls>,
    /// The database.
    pub database: Database,
    /// The master key and the rotation of signing keys.
    pub keys: Keys,
    /// Challenges of ceremonies in flight.
    pub challenges: Challenges,
    /// Limits for callers.
    pub limits: Limits,
    /// How long a browser stays signed in.
    pub session: Session,
    /// How long tokens live and how they are signed.
    pub tokens: Tokens,
    /// Tokens bound to a key.
    pub dpop: Dpop,
    /// Outbound requests.
    pub outbound: Outbound,
    /// Requirements for passkeys.
    pub passkeys: Passkeys,
    /// The audit trail.
    pub audit: Audit,
    /// Logging.
    pub log: Log,
    /// Every relying party; never empty, exactly one the default.
    pub relying_parties: Vec<RelyingParty>,
    /// Whether apps can register themselves.
    pub registration: Registration,
    /// Every client, including the quick-start client on localhost.
    pub clients: Vec<Client>,
    /// Every resource.
    pub resources: Vec<Resource>,
    /// Every bridge.
    pub bridges: Vec<DeclaredBridge>,
    /// Every trusted issuer.
    pub trusted_issuers: Vec<TrustedIssuer>,
    /// Every other authorization server.
    pub authorization_servers: Vec<AuthorizationServer>,
    /// Every exchange rule.
    pub exchange_rules: Vec<Rule>,
    /// Every protected host.
    pub forward_auth: Vec<ProtectedHost>,
    /// Every webhook.
    pub webhooks: Vec<Webhook>,
    /// Every hook.
    pub hooks: Vec<Hook>,
    understood: Vec<Understood>,
    /// Where each value was given, by path.
    places: BTreeMap<String, Place>,
}

impl Config {
    /// Loads the configuration.
    ///
    /// # Errors
    /// All mistakes in all sources together.
    pub fn load(sources: Sources<'_>) -> Result<Self, Problems> {
        Self::load_with(sources, &|_| Vec::new())
    }

    /// Like [`Config::load`], for starting a server. If the configuration has mistakes, `further` looks for those that
    /// would be found next, as far as possible with defaults in place of the invalid values. Without mistakes, the
    /// start itself finds them.
    ///
    /// # Errors
    /// As [`Config::load`], and those that `further` finds.
    pub fn load_with(sources: Sources<'_>, further: &dyn Fn(&Self) -> Vec<Problem>) -> Result<Self, Problems> {
        let file = sources.file.as_ref().map(|(path, text)| (path.as_path(), text.as_str()));
        let inputs = Inputs::gather(keys::SECTIONS, file, &sources.environment, &sources.flags);
        let mut reader = Reader::new(inputs, sources.read_secret);
        let mut config = Self::read(&mut reader, sources.database_tls);
        config.places = reader.places();
        let (mut problems, understood) = reader.finish();
        config.understood = understood;
        if !problems.is_empty() {
            let mut more = further(&config);
            more.retain(|one| !problems.iter().any(|known| known.may_cause(one)));
            problems.append(&mut more);
        }
        match Problems::of(problems) {
            Some(problems) => Err(problems),
            None => Ok(config),
        }
    }

    /// A configuration from the defaults and a few settings by path, as given by flags; for tests and tools.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_settings(settings: &[(&str, &str)]) -> Result<Self, Problems> {
        let none = |_: &Path| Err(io::ErrorKind::NotFound.into());
        Self::load(Sources {
            file: None,
            environment: Vec::new(),
            flags: settings.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect(),
            read_secret: &none,
            database_tls: DatabaseTls::of_this_build(),
        })
    }

    fn read(reader: &mut Reader<'_>, database_tls: DatabaseTls) -> Self {
        let server = server::read(reader);
        let site = site::read(reader);
        let server_tls = tls::read(reader, &server.public_url);
        let database = database::read(reader, database_tls);
        let keys = key_files::read(reader, &server.keys_dir);
        let challenges = challenges::read(reader, database.url.is_some());
        let limits = limits::read(reader);
        let session = session::read(reader);
        let tokens = tokens::read(reader, &server.public_url);
        let dpop = dpop::read(reader);
        let outbound = outbound::read(reader);
        let passkeys = passkeys::read(reader, challenges.ttl);
        let audit = audit::read(reader);
        let log = log::read(reader);
        let relying_parties = relying_parties::read(reader, &server);
        let registration = registration::read(reader);
        let clients = clients::read(reader, &server, &relying_parties);
        let resources = resources::read(reader, server.public_url.as_str());
        let bridges = bridges::read(reader);
        let trusted_issuers = trusted_issuers::read(reader, server.public_url.as_str(), &clients);
        workloads::check(reader, &clients, &trusted_issuers);
        let authorization_servers = authorization_servers::read(reader, server.public_url.as_str());
        let exchange_rules = exchange::read(reader, &trusted_issuers);
        let forward_auth = forward_auth::read(reader, &server);
        let webhooks = webhooks::read(reader, &outbound);
        let hooks = hooks::read(reader, &outbound);
        let (understood, places) = (Vec::new(), BTreeMap::new());
        Self {
            server,
            site,
            tls: server_tls,
            database,
            keys,
            challenges,
            limits,
            session,
            tokens,
            dpop,
            outbound,
            passkeys,
            audit,
            log,
            relying_parties,
            registration,
            clients,
            resources,
            bridges,
            trusted_issuers,
            authorization_servers,
            exchange_rules,
            forward_auth,
            webhooks,
            hooks,
            understood,
            places,
        }
    }

    /// The issuer of every token: the public URL without a trailing slash.
    pub fn issuer(&self) -> &str {
        self.server.public_url.as_str()
    }

    /// Whether the server runs on a developer's machine, reached as localhost.
    pub fn is_localhost(&self) -> bool {
        self.server.public_url.is_localhost()
    }

    /// The client with this id.
    pub fn client(&self, id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.id == id)
    }

    /// The relying party with this name.
    pub fn relying_party(&self, name: &str) -> Option<&RelyingParty> {
        self.relying_parties.iter().find(|party| party.name == name)
    }

    /// The relying party that a request's `Origin` chooses, by exact comparison.
    pub fn relying_party_for_origin(&self, origin: &str) -> Option<&RelyingParty> {
        self.relying_parties.iter().find(|party| party.all_origins().any(|own| own.as_str() == origin))
    }

    /// The relying party for requests that name none.
    ///
    /// # Panics
    /// Never on a loaded configuration: loading refuses one without a default.
    pub fn default_relying_party(&self) -> &RelyingParty {
        self.relying_parties.iter().find(|party| party.default).expect("loading made sure that one is the default")
    }

    /// Where a setting was given, or otherwise the closest table that contains it: for mistakes found only when what it
    /// names is opened.
    pub(crate) fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            match (self.places.get(path), path.rfind(['.', '['])) {
                (Some(place), _) => return place.clone(),
                (None, Some(end)) => path = &path[..end],
                (None, None) => return Place::Default,
            }
        }
    }

    /// The configuration as understood: every setting as TOML, with its source; secrets as `***`.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for Understood { path, shown, place } in &self.understood {
            // Writing to a string cannot fail.
            let _ = match shown {
                Some(shown) => writeln!(text, "{} = {shown}  # {place}", toml_key(path)),
                None => writeln!(text, "# {path} is not set"),
            };
        }
        text
    }
}

/// A path in TOML: an identifier that is not a bare key, such as the URL of a resource, is quoted.
fn toml_key(path: &str) -> Cow<'_, str> {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let parts = || {
        let (section, rest) = path.split_once('.')?;
        let (identifier, field) = rest.rsplit_once('.')?;
        Some(format!("{section}.{}.{field}", values::show_text(identifier)))
    };
    if path.chars().all(bare) { path.into() } else { parts().map_or(path.into(), Cow::from) }
}
