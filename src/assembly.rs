//! Builds the rooms from the configuration, for the server and the commands.
//!
//! In this order: database, schema, master key, guard of the relying parties, declarations, keys. Each step refuses
//! with one clear line; a server that would lock people out does not start.

mod database;
mod declared;
mod master_key;
mod mistakes;
mod prepare;
mod receivers;
mod relying_parties;

use std::sync::Arc;

pub use database::{
    Database, Missing, is_used_by_others, open as open_database, open_for_command, problems_of_database,
};
pub use declared::{
    Declarations, OWN_AUDIENCE, clients as declared_clients, definitions as bridge_definitions,
    material as declared_key, trusted_issuers as declared_trusted_issuers,
};
pub use master_key::{
    create as create_master_key, file as master_key_file, first_mark as mark_with_master_key,
    is_in_place as master_key_is_in_place, load as load_master_key, open as open_master_key,
};
pub use mistakes::Fault;
pub use receivers::{Hooks, endpoint as declared_endpoint};
pub use relying_parties::{guard as guard_relying_parties, profiles};

use crate::bridge::Bridges;
use crate::bridge::stored::Home;
use crate::bridge::trusted::TrustedIssuers;
use crate::ceremony::Ceremonies;
use crate::ceremony::decoys::Decoys;
use crate::ceremony::policy::Policy;
use crate::ceremony::store::{ChallengeStore, MemoryStore};
use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::{self, Config, Problems};
use crate::domain::action::command_line;
use crate::domain::session::SessionLifetimes;
use crate::hooks::webhooks::{Sender, Webhook};
use crate::hooks::{BeforeSignIn, after};
use crate::key_plan::{KeyPlan, algorithm};
use crate::outbound::{Outbound, SetupError};
use crate::resources::Resources;
use crate::storage::cluster::{Cluster, ClusterError};
use crate::storage::error::in_one_line;
use crate::storage::{self as stored, Db, StorageError, migrations};
use crate::tokens::seal::MasterKeyError;
use crate::tokens::{Keys, KeysError, Mint, MintSettings};
use crate::web::limits::{Limits, Rate, Rates};

/// Why the server does not start, as a line for the operator: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The private cluster failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The database cannot be reached, or failed.
    #[error("the database cannot be used: {}", in_one_line(.0))]
    Storage(#[from] StorageError),
    /// The server is too old, or configured so that acknowledged changes can be lost.
    #[error("{0}")]
    Database(String),
    /// The master key's file cannot be used.
    #[error(transparent)]
    MasterKeyFile(#[from] MasterKeyError),
    /// The master key is missing, or not the one that this database is sealed with.
    #[error("{0}")]
    MasterKey(String),
    /// A signing key cannot be opened.
    #[error("{0}. If the master key was changed by hand, put the old one back and use `passmint keys rewrap`")]
    Keys(#[from] KeysError),
    /// Something that the configuration names cannot be used: a bridge, a key, a secret.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// Passkeys are stored for an RP id that is not configured.
    #[error("{0}")]
    RelyingParties(String),
    /// The server's own certificate cannot be used.
    #[error("{0}")]
    Tls(String),
    /// Outbound requests cannot be set up.
    #[error("{0}")]
    Outbound(String),
    /// An address cannot be listened on.
    #[error("{0}")]
    Listen(String),
}

/// For errors of beginning and ending a transaction.
impl From<diesel::result::Error> for StartError {
    fn from(error: diesel::result::Error) -> Self {
        StorageError::from(error).into()
    }
}

/// All rooms, ready.
pub struct Rooms {
    /// The database.
    pub db: Db,
    /// The keys.
    pub keys: Arc<Keys>,
    /// The clients.
    pub clients: Arc<Clients>,
    /// The resources.
    pub resources: Arc<Resources>,
    /// Issues every token and signed response.
    pub mint: Arc<Mint>,
    /// The bridges.
    pub bridges: Arc<Bridges>,
    /// The ceremonies.
    pub ceremonies: Arc<Ceremonies>,
    /// The rate limits of callers.
    pub limits: Arc<Limits>,
    /// The client for outbound requests.
    pub outbound: Outbound,
    /// The trusted issuers.
    pub trusted_issuers: Arc<TrustedIssuers>,
    /// The receivers of events.
    pub webhooks: Vec<Arc<Webhook>>,
    /// The hooks called after a sign-in.
    pub hooks_after: Vec<Arc<after::Hook>>,
    /// The private cluster, if any. Dropping it stops PostgreSQL.
    pub cluster: Option<Cluster>,
    /// Which keys are rotated, and how.
    pub key_plan: KeyPlan,
}

/// Builds all rooms. `source` names the configuration file, for the rows it declares.
pub fn assemble(config: &Config, clock: &Clock, source: &str) -> Result<Rooms, StartError> {
    let Declarations { key_files, webhooks, hooks, trusted_issuers } = Declarations::read(config)?;
    let home = Home { issuer: config.issuer().to_owned(), key_files };
    let outbound = outbound(config)?;
    let trusted_issuers = Arc::new(TrustedIssuers::new(trusted_issuers, &outbound, clock));
    let Database { db, cluster } = database::open(config)?;
    db.blocking(|conn| Ok(database::check(conn)))??;
    let now = clock.now();
    let mut plan = KeyPlan::new(config);
    let (clients, resources) = (Arc::new(Clients::default()), Arc::new(Resources::default()));
    let receivers =
        webhooks.iter().map(Webhook::receiver).chain(hooks.after.iter().map(after::Hook::receiver)).collect();
    let start = prepare::Start { config, source, private: cluster.is_some(), receivers, now };
    let prepared = db.blocking(|conn| {
        migrations::locked(conn, |conn| {
            migrations::migrate(conn)?;
            Ok(start.prepare(conn, (&clients, &resources), &mut plan))
        })
    })?;
    let keys = Arc::new(prepared?);

    let mint = Arc::new(Mint::new(Arc::clone(&keys), mint_settings(config), Arc::clone(&resources)));
    let directory = Bridges::new(home, Arc::clone(&keys), (Arc::clone(&clients), Arc::clone(&resources)), db.clone());
    let bridges = Arc::new(directory.asking(&outbound));
    bridges.replace(db.blocking(stored::bridges::all)?, now);
    let limits = Arc::new(limits(config));
    let sender = Sender { outbound: outbound.clone(), issuer: config.issuer().to_owned() };
    let ceremonies = Arc::new(Ceremonies {
        policy: policy(config),
        profiles: relying_parties::profiles(config)?,
        store: challenge_store(config, &db),
        decoys: Decoys::new(&keys.derive("decoys")),
        db: db.clone(),
        clock: clock.clone(),
        clients: Arc::clone(&clients),
        mint: Arc::clone(&mint),
        bridges: Arc::clone(&bridges),
        hooks: BeforeSignIn::new(hooks.before, &sender),
        lifetimes: session_lifetimes(config),
        limits: Arc::clone(&limits),
        operator: Arc::new(command_line(&config.server.realm)),
    });
    let webhooks = webhooks.into_iter().map(Arc::new).collect();
    let hooks_after = hooks.after.into_iter().map(Arc::new).collect();
    Ok(Rooms {
        db,
        keys,
        clients,
        resources,
        mint,
        bridges,
        ceremonies,
        limits,
        outbound,
        trusted_issuers,
        webhooks,
        hooks_after,
        cluster,
        key_plan: plan,
    })
}

fn challenge_store(config: &Config, db: &Db) -> ChallengeStore {
    match config.challenges.store {
        config::ChallengeStore::Memory => ChallengeStore::Memory(MemoryStore::new(config.challenges.ttl)),
        config::ChallengeStore::Database => ChallengeStore::Database(db.clone()),
    }
}

fn limits(config: &Config) -> Limits {
    let rate = |bucket: &config::Bucket| Rate { per_minute: bucket.per_minute, burst: bucket.burst };
    let rates = Rates {
        start: rate(&config.limits.starts),
        verify: rate(&config.limits.verifies),
        token: rate(&config.limits.tokens),
        mint: rate(&config.limits.bridges),
        failed_exchange: rate(&config.limits.failed_exchanges),
    };
    Limits::new(config.limits.enabled, rates)
}

/// The client for all outbound requests.
pub fn outbound(config: &Config) -> Result<Outbound, StartError> {
    reach(config).map_err(|fault| StartError::Outbound(format!("outbound.{fault}")))
}

fn reach(config: &Config) -> Result<Outbound, Fault> {
    const KEY: &str = "extra_ca_file";
    const CURE: &str = "give it certificates in PEM, or leave it out";
    let extra_ca = match &config.outbound.extra_ca_file {
        Some(file) => Some(std::fs::read(file).map_err(|error| Fault::unreadable(KEY, file, &error))?),
        None => None,
    };
    let outbound = Outbound::new(config.outbound.allow_private_addresses, extra_ca.as_deref());
    let outbound = outbound.map_err(|error| match error {
        SetupError::ExtraCa => Fault::new(KEY, "holds no certificates that can be used", CURE),
        SetupError::Tls(error) => Fault::new(KEY, format!("does not go with TLS ({error})"), CURE),
    })?;
    Ok(outbound.reaching(config.outbound.private_hosts.clone()))
}

/// The lifetimes of browser sessions.
pub fn session_lifetimes(config: &Config) -> SessionLifetimes {
    SessionLifetimes { sliding: config.session.sliding, absolute: config.session.absolute }
}

fn policy(config: &Config) -> Policy {
    Policy::new(&config.passkeys, config.challenges.ttl, config.session.fresh_verification, config.server.allow_sign_up)
}

fn mint_settings(config: &Config) -> MintSettings {
    MintSettings {
        issuer: config.issuer().to_owned(),
        algorithm: algorithm(config.tokens.algorithm),
        access_ttl: config.tokens.access_ttl,
        id_ttl: config.tokens.id_ttl,
        refresh_idle: config.tokens.refresh_idle,
        refresh_absolute: config.tokens.refresh_absolute,
        hook_claims: config.tokens.hook_claims.clone(),
    }
}
