//! From the configuration to the rooms: what the server and the commands start from.
//!
//! In order: database, schema, master key, guard of the relying parties, what is declared, keys. Each step refuses with one
//! clear line; a server that would lock people out does not start.

mod database;
mod declared;
mod master_key;
mod mistakes;
mod prepare;
mod receivers;
mod relying_parties;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use diesel::PgConnection;

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
pub use relying_parties::guard as guard_relying_parties;

use crate::bridge::Bridges;
use crate::bridge::stored::{Home, WantedKeys};
use crate::bridge::trusted::TrustedIssuers;
use crate::ceremony::Ceremonies;
use crate::ceremony::decoys::Decoys;
use crate::ceremony::policy::Policy;
use crate::ceremony::store::{ChallengeStore, MemoryStore};
use crate::clients::Clients;
use crate::clock::{Clock, Time};
use crate::config::{self, Config, Problems};
use crate::domain::session::SessionLifetimes;
use crate::hooks::webhooks::{Sender, Webhook};
use crate::hooks::{BeforeSignIn, after};
use crate::outbound::{Outbound, SetupError};
use crate::resources::Resources;
use crate::storage::cluster::{Cluster, ClusterError};
use crate::storage::error::in_one_line;
use crate::storage::{self as stored, Db, StorageError, migrations};
use crate::tokens::keys::rotation::{Policy as RotationPolicy, Trigger};
use crate::tokens::keys::{Algorithm, Use};
use crate::tokens::seal::{MasterKey, MasterKeyError};
use crate::tokens::{Keys, KeysError, Mint, MintSettings, rotate};
use crate::web::limits::{Limits, Rate, Rates};

/// Why the server does not start. Each is a line for the operator: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The private cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The database cannot be reached, or failed.
    #[error("the database cannot be used: {}", in_one_line(.0))]
    Storage(#[from] StorageError),
    /// The server is too old, or set up so that acknowledged changes can be lost.
    #[error("{0}")]
    Database(String),
    /// The master key's file.
    #[error(transparent)]
    MasterKeyFile(#[from] MasterKeyError),
    /// The master key is missing or another one than this database is sealed with.
    #[error("{0}")]
    MasterKey(String),
    /// A signing key cannot be opened.
    #[error("{0}. If the master key was changed by hand, put the old one back and use `passmint keys rewrap`")]
    Keys(#[from] KeysError),
    /// What the configuration names cannot be used: a bridge, a key, a secret.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// Passkeys are stored for an RP id that is not configured.
    #[error("{0}")]
    RelyingParties(String),
    /// The server's own certificate cannot be used.
    #[error("{0}")]
    Tls(String),
    /// Nothing could be fetched from others.
    #[error("{0}")]
    Outbound(String),
    /// An address cannot be listened on.
    #[error("{0}")]
    Listen(String),
}

/// What is begun and ended within a transaction.
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
    /// The mint.
    pub mint: Arc<Mint>,
    /// The bridges.
    pub bridges: Arc<Bridges>,
    /// The ceremonies.
    pub ceremonies: Arc<Ceremonies>,
    /// How much one caller may ask for.
    pub limits: Arc<Limits>,
    /// Everything that is fetched from others or sent to them.
    pub outbound: Outbound,
    /// The trusted issuers.
    pub trusted_issuers: Arc<TrustedIssuers>,
    /// Those who are told of events.
    pub webhooks: Vec<Arc<Webhook>>,
    /// Those who are told of sign-ins, and say something to the person.
    pub hooks_after: Vec<Arc<after::Hook>>,
    /// The private cluster, when there is one. Dropping it stops PostgreSQL.
    pub cluster: Option<Cluster>,
    /// What is rotated, and how.
    pub rotation: Rotation,
}

/// The keys a server needs, and the policy they rotate by.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Keys that must exist before the first request.
    pub at_start: Vec<(Use, Algorithm)>,
    /// Keys that are slow to make, and made after the server is ready.
    pub later: Vec<(Use, Algorithm)>,
    /// How long the targets of bridges may go on with the keys they have, by bridge.
    lags: HashMap<String, chrono::Duration>,
    /// The same of those whose bridges sign with the keys of our own tokens.
    provider_lag: chrono::Duration,
    /// The longest life of what is signed, by use.
    config: config::Keys,
    tokens: config::Tokens,
}

impl Rotation {
    /// What a server with this configuration needs, bridges apart.
    pub fn new(config: &Config) -> Self {
        let access = algorithm(config.tokens.algorithm);
        let mut wanted = vec![(Use::Refresh, Algorithm::HS256), (Use::Tokens, access), (Use::Tokens, Algorithm::ES256)];
        if config.forward_auth.iter().any(|host| host.assertion.is_some()) {
            wanted.push((Use::Forward, Algorithm::ES256));
        }
        wanted.push((Use::Tokens, Algorithm::RS256));
        let mut seen = HashSet::new();
        wanted.retain(|key| seen.insert(key.clone()));
        let (later, at_start) = wanted.into_iter().partition(|(_, algorithm)| *algorithm == Algorithm::RS256);
        let (lags, provider_lag) = (HashMap::new(), chrono::Duration::zero());
        Self { at_start, later, lags, provider_lag, config: config.keys.clone(), tokens: config.tokens.clone() }
    }

    /// The same with the bridges of the database: for the commands, which know no others.
    pub fn of_database(conn: &mut PgConnection, config: &Config) -> Result<Self, StorageError> {
        let mut rotation = Self::new(config);
        rotation.want_bridges(WantedKeys::of(&stored::bridges::all(conn)?, config.issuer()));
        Ok(rotation)
    }

    /// Puts the keys of these bridges in place of those of all bridges.
    pub fn want_bridges(&mut self, wanted: WantedKeys) {
        let WantedKeys { own, provider_lag } = wanted;
        self.provider_lag = provider_lag;
        for keys in [&mut self.at_start, &mut self.later] {
            keys.retain(|(usage, _)| !matches!(usage, Use::Bridge(_)));
        }
        self.lags = own.iter().map(|key| (key.bridge.clone(), key.lag)).collect();
        for key in own {
            let slow = key.algorithm == Algorithm::RS256;
            if slow { &mut self.later } else { &mut self.at_start }.push((key.usage(), key.algorithm));
        }
    }

    /// The keys without which a server is of no use. A bridge's are not among them: bridges come and go.
    pub fn vital(&self) -> Vec<(Use, Algorithm)> {
        self.at_start.iter().filter(|(usage, _)| !matches!(usage, Use::Bridge(_))).cloned().collect()
    }

    /// Adds what clients and resources want: Ed25519 is there only where somebody asks for it.
    pub fn want(&mut self, algorithms: impl IntoIterator<Item = Algorithm>) {
        for key in algorithms.into_iter().map(|algorithm| (Use::Tokens, algorithm)) {
            if !self.at_start.contains(&key) && !self.later.contains(&key) {
                self.at_start.push(key);
            }
        }
    }

    /// The algorithms that tokens and answers are signed with.
    pub fn token_algorithms(&self) -> Vec<Algorithm> {
        let all = self.at_start.iter().chain(&self.later);
        all.filter(|(usage, _)| *usage == Use::Tokens).map(|(_, algorithm)| *algorithm).collect()
    }

    /// The policy for one use.
    pub fn policy(&self, usage: &Use) -> RotationPolicy {
        let longest = match usage {
            Use::Refresh => self.tokens.refresh_absolute,
            Use::Tokens => self.tokens.access_ttl.max(self.tokens.id_ttl).max(chrono::Duration::days(1)),
            Use::Bridge(_) | Use::Forward => chrono::Duration::days(1),
        };
        let lag = match usage {
            Use::Bridge(name) => self.lags.get(name).copied().unwrap_or_default(),
            Use::Tokens => self.provider_lag,
            Use::Refresh | Use::Forward => chrono::Duration::zero(),
        };
        rotate::policy(self.config.publish_before_signing.max(lag), self.config.rotate_every, longest)
    }

    /// Which of `keys` are missing, or their time has come. Needs no lock.
    pub fn due(
        &self,
        conn: &mut PgConnection,
        master: &MasterKey,
        keys: &[(Use, Algorithm)],
        now: Time,
    ) -> Result<Vec<(Use, Algorithm)>, KeysError> {
        let mut due = Vec::new();
        for (usage, algorithm) in keys {
            let left_over = matches!(usage, Use::Bridge(_)) && rotate::has_others(conn, usage, *algorithm)?;
            if left_over || rotate::is_due(conn, master, (usage, *algorithm), self.policy(usage), now)? {
                due.push((usage.clone(), *algorithm));
            }
        }
        Ok(due)
    }

    /// Makes or rotates what is due among `keys`. To be called under the start-up lock.
    pub fn apply(
        &self,
        conn: &mut PgConnection,
        master: &MasterKey,
        keys: &[(Use, Algorithm)],
        now: Time,
    ) -> Result<(), KeysError> {
        for (usage, algorithm) in keys {
            rotate::rotate(conn, master, (usage, *algorithm), self.policy(usage), Trigger::Schedule, now)?;
            // A bridge has one algorithm; what it had before signs nothing more.
            if matches!(usage, Use::Bridge(_)) {
                rotate::retire_others(conn, (usage, *algorithm), self.policy(usage), now)?;
            }
        }
        Ok(())
    }
}

/// The algorithms that live clients and resources ask for by name.
pub fn wanted_algorithms(clients: &Clients, resources: &Resources) -> Vec<Algorithm> {
    let of_clients = clients.all().into_iter().flat_map(|client| {
        let definition = &client.definition;
        [
            definition.id_token_algorithm.clone(),
            definition.userinfo_algorithm.clone(),
            definition.introspection_algorithm.clone(),
            definition.authorization_response_algorithm.clone(),
        ]
    });
    let of_resources = resources.all().into_iter().map(|resource| resource.definition.algorithm.clone());
    of_clients.chain(of_resources).filter_map(|name| name?.parse().ok()).collect()
}

/// The tokens room's name for a configured algorithm.
pub fn algorithm(configured: config::Algorithm) -> Algorithm {
    match configured {
        config::Algorithm::Es256 => Algorithm::ES256,
        config::Algorithm::EdDsa => Algorithm::EdDSA,
        config::Algorithm::Rs256 => Algorithm::RS256,
    }
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
    let mut rotation = Rotation::new(config);
    let (clients, resources) = (Arc::new(Clients::default()), Arc::new(Resources::default()));
    let receivers =
        webhooks.iter().map(Webhook::receiver).chain(hooks.after.iter().map(after::Hook::receiver)).collect();
    let start = prepare::Start { config, source, private: cluster.is_some(), receivers, now };
    let prepared = db.blocking(|conn| {
        migrations::locked(conn, |conn| {
            migrations::migrate(conn)?;
            Ok(start.prepare(conn, (&clients, &resources), &mut rotation))
        })
    })?;
    let keys = Arc::new(prepared?);

    let mint = Arc::new(Mint::new(Arc::clone(&keys), mint_settings(config), Arc::clone(&resources)));
    let directory = Bridges::new(home, Arc::clone(&keys), (Arc::clone(&clients), Arc::clone(&resources)), db.clone());
    let bridges = Arc::new(directory.asking(&outbound));
    bridges.replace(db.blocking(stored::bridges::all)?, now);
    let limits = Arc::new(limits(config));
    let ceremonies = Arc::new(Ceremonies {
        policy: policy(config),
        profiles: relying_parties::profiles(config)?,
        store: match config.challenges.store {
            config::ChallengeStore::Memory => ChallengeStore::Memory(MemoryStore::new(config.challenges.ttl)),
            config::ChallengeStore::Database => ChallengeStore::Database(db.clone()),
        },
        decoys: Decoys::new(&keys.derive("decoys")),
        db: db.clone(),
        clock: clock.clone(),
        clients: Arc::clone(&clients),
        mint: Arc::clone(&mint),
        bridges: Arc::clone(&bridges),
        hooks: BeforeSignIn::new(
            hooks.before,
            &Sender { outbound: outbound.clone(), issuer: config.issuer().to_owned() },
        ),
        lifetimes: session_lifetimes(config),
        limits: Arc::clone(&limits),
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
        rotation,
    })
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

/// What is fetched from others and sent to them goes through this.
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

/// How long browser sessions live.
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

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;
    use crate::bridge::stored::OwnKey;
    use crate::config::{DatabaseTls, Sources};

    /// Supabase keeps keys for half an hour: a new one must be known there before it signs.
    #[test]
    fn a_bridges_key_is_published_as_long_as_its_target_keeps_keys() {
        let config = Config::load(Sources {
            file: None,
            environment: Vec::new(),
            flags: Vec::new(),
            read_secret: &|_| Err(std::io::ErrorKind::NotFound.into()),
            database_tls: DatabaseTls::of_this_build(),
        });
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let mut rotation = Rotation::new(&config);
        let own = |bridge: &str, algorithm, lag| OwnKey { bridge: bridge.to_owned(), algorithm, lag };
        let slow = own("slow", Algorithm::ES256, Duration::minutes(30));
        let quick = own("quick", Algorithm::RS256, Duration::zero());
        let six_hours = Duration::hours(6);
        rotation.want_bridges(WantedKeys { own: vec![slow.clone(), quick.clone()], provider_lag: six_hours });
        assert_eq!(rotation.policy(&Use::Tokens).publish_before, six_hours, "a cloud keeps our own keys as long");
        assert_eq!(rotation.policy(&slow.usage()).publish_before, Duration::minutes(30));
        assert_eq!(rotation.policy(&quick.usage()).publish_before, Duration::minutes(10), "as for our own tokens");
        assert!(rotation.at_start.contains(&(slow.usage(), Algorithm::ES256)));
        assert!(rotation.later.contains(&(quick.usage(), Algorithm::RS256)), "slow to make");
        assert!(!rotation.vital().iter().any(|(usage, _)| matches!(usage, Use::Bridge(_))), "bridges come and go");
        rotation.want_bridges(WantedKeys { own: vec![quick], provider_lag: Duration::zero() });
        assert_eq!(rotation.policy(&Use::Tokens).publish_before, Duration::minutes(10));
        assert!(!rotation.at_start.contains(&(slow.usage(), Algorithm::ES256)), "gone with its bridge");
    }
}
