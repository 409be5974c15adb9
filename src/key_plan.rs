//! Which signing keys this server needs, and when each is made or rotated. Also makes them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use diesel::PgConnection;

use crate::bridge::stored::WantedKeys;
use crate::clients::Clients;
use crate::clock::{Clock, Time};
use crate::config::{self, Config};
use crate::resources::Resources;
use crate::storage::{self as stored, Db, StorageError, installation, migrations};
use crate::tokens::keys::rotation::{Policy as RotationPolicy, Trigger};
use crate::tokens::keys::{Algorithm, Use};
use crate::tokens::seal::MasterKey;
use crate::tokens::{Keys, KeysError, rotate};

/// The keys that a server needs, and their rotation policy.
#[derive(Clone, Debug)]
pub struct KeyPlan {
    /// Keys that must exist before the first request.
    pub at_start: Vec<(Use, Algorithm)>,
    /// Keys that are slow to generate, and made after the server is ready.
    pub later: Vec<(Use, Algorithm)>,
    /// How long the targets of bridges may use cached keys, by bridge.
    lags: HashMap<String, chrono::Duration>,
    /// The same for bridges that sign with the keys of our own tokens.
    provider_lag: chrono::Duration,
    /// How often keys are replaced, and how long before that their successors are published.
    keys: config::Keys,
    /// How long the signed tokens live.
    tokens: config::Tokens,
}

impl KeyPlan {
    /// The keys for a server with this configuration, without bridges.
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
        Self { at_start, later, lags, provider_lag, keys: config.keys.clone(), tokens: config.tokens.clone() }
    }

    /// The keys for a server with this configuration and the bridges of the database: for commands, which know no other
    /// bridges.
    pub fn of_database(conn: &mut PgConnection, config: &Config) -> Result<Self, StorageError> {
        let mut plan = Self::new(config);
        plan.want_bridges(WantedKeys::of(&stored::bridges::all(conn)?, config.issuer()));
        Ok(plan)
    }

    /// Replaces the keys of all bridges with those of these bridges.
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

    /// The keys without which a server is useless. Those of bridges are not included, because bridges come and go.
    pub fn vital(&self) -> Vec<(Use, Algorithm)> {
        self.at_start.iter().filter(|(usage, _)| !matches!(usage, Use::Bridge(_))).cloned().collect()
    }

    /// Adds the algorithms that clients and resources want: an Ed25519 key exists only if one of them asks for it.
    pub fn want(&mut self, algorithms: impl IntoIterator<Item = Algorithm>) {
        for key in algorithms.into_iter().map(|algorithm| (Use::Tokens, algorithm)) {
            if !self.at_start.contains(&key) && !self.later.contains(&key) {
                self.at_start.push(key);
            }
        }
    }

    /// The algorithms that sign tokens and responses.
    pub fn token_algorithms(&self) -> Vec<Algorithm> {
        let all = self.at_start.iter().chain(&self.later);
        all.filter(|(usage, _)| *usage == Use::Tokens).map(|(_, algorithm)| *algorithm).collect()
    }

    /// The rotation policy for one use.
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
        rotate::policy(self.keys.publish_before_signing.max(lag), self.keys.rotate_every, longest)
    }

    /// Which of `keys` are missing or due for rotation. Needs no lock.
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

    /// Makes or rotates what is due among `keys`. Call it under the start-up lock.
    pub fn apply(
        &self,
        conn: &mut PgConnection,
        master: &MasterKey,
        keys: &[(Use, Algorithm)],
        now: Time,
    ) -> Result<(), KeysError> {
        for (usage, algorithm) in keys {
            rotate::rotate(conn, master, (usage, *algorithm), self.policy(usage), Trigger::Schedule, now)?;
            // A bridge has one algorithm; keys of an earlier one no longer sign.
            if matches!(usage, Use::Bridge(_)) {
                rotate::retire_others(conn, (usage, *algorithm), self.policy(usage), now)?;
            }
        }
        Ok(())
    }
}

/// The algorithms that live clients and resources name.
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

/// The tokens room's value for a configured algorithm.
pub fn algorithm(configured: config::Algorithm) -> Algorithm {
    match configured {
        config::Algorithm::Es256 => Algorithm::ES256,
        config::Algorithm::EdDsa => Algorithm::EdDSA,
        config::Algorithm::Rs256 => Algorithm::RS256,
    }
}

/// Makes or rotates what is due among `wanted`, and reloads all keys in any case, because another server may have made
/// what is missing here. A failure is logged: callers that need a key find none yet, and it is retried.
pub async fn make_keys(db: &Db, plan: &KeyPlan, keys: &Arc<Keys>, wanted: Vec<(Use, Algorithm)>, clock: &Clock) {
    let (plan, holder, time) = (plan.clone(), Arc::clone(keys), clock.clone());
    let made = match db.run_long(move |conn| rotate_locked(conn, &plan, &holder, &wanted, &time)).await {
        Ok(made) => made,
        Err(error) => Err(error.into()),
    };
    let reloaded = keys.reload(db, clock.now()).await;
    for error in [made, reloaded].into_iter().filter_map(Result::err) {
        tracing::warn!(error = %error, "key rotation failed and will be tried again");
    }
}

/// The result of rotating the keys that were due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// No key is due any more.
    Done,
    /// Another server holds the start-up lock.
    Busy,
}

/// Makes or rotates what is due. Takes the lock only if there is something to do, and does not wait for it.
pub fn rotate_due(conn: &mut PgConnection, plan: &KeyPlan, keys: &Keys, clock: &Clock) -> Result<Rotated, KeysError> {
    let master = keys.master();
    let all: Vec<_> = plan.at_start.iter().chain(&plan.later).cloned().collect();
    let due = plan.due(conn, &master, &all, clock.now())?;
    if due.is_empty() {
        return Ok(Rotated::Done);
    }
    let made = migrations::locked_if_free(conn, |conn| rotate(conn, plan, keys, &due, clock))?;
    made.map_or(Ok(Rotated::Busy), |made| made.map(|()| Rotated::Done))
}

fn rotate_locked(
    conn: &mut PgConnection,
    plan: &KeyPlan,
    keys: &Keys,
    wanted: &[(Use, Algorithm)],
    clock: &Clock,
) -> Result<Result<(), KeysError>, StorageError> {
    migrations::locked(conn, |conn| rotate(conn, plan, keys, wanted, clock))
}

/// Makes or rotates what is due among `wanted`. Call it under the start-up lock: the time is read only then. Otherwise
/// a key that another server made during the wait would appear to be in the future.
fn rotate(
    conn: &mut PgConnection,
    plan: &KeyPlan,
    keys: &Keys,
    wanted: &[(Use, Algorithm)],
    clock: &Clock,
) -> Result<Result<(), KeysError>, StorageError> {
    let master = keys.master();
    // The others could not open a key sealed with an outdated master key.
    match installation::find(conn)?.filter(|mark| mark.id != master.id()) {
        Some(mark) => Ok(Err(KeysError::MasterKeyChanged(mark.id))),
        None => Ok(plan.apply(conn, &master, wanted, clock.now())),
    }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;
    use crate::bridge::stored::OwnKey;
    use crate::config::{DatabaseTls, Sources};

    /// Supabase caches keys for half an hour, so a new key must be published that long before it signs.
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
        let mut plan = KeyPlan::new(&config);
        let own = |bridge: &str, algorithm, lag| OwnKey { bridge: bridge.to_owned(), algorithm, lag };
        let slow = own("slow", Algorithm::ES256, Duration::minutes(30));
        let quick = own("quick", Algorithm::RS256, Duration::zero());
        let six_hours = Duration::hours(6);
        plan.want_bridges(WantedKeys { own: vec![slow.clone(), quick.clone()], provider_lag: six_hours });
        assert_eq!(plan.policy(&Use::Tokens).publish_before, six_hours, "a cloud keeps our own keys as long");
        assert_eq!(plan.policy(&slow.usage()).publish_before, Duration::minutes(30));
        assert_eq!(plan.policy(&quick.usage()).publish_before, Duration::minutes(10), "as for our own tokens");
        assert!(plan.at_start.contains(&(slow.usage(), Algorithm::ES256)));
        assert!(plan.later.contains(&(quick.usage(), Algorithm::RS256)), "slow to make");
        assert!(!plan.vital().iter().any(|(usage, _)| matches!(usage, Use::Bridge(_))), "bridges come and go");
        plan.want_bridges(WantedKeys { own: vec![quick], provider_lag: Duration::zero() });
        assert_eq!(plan.policy(&Use::Tokens).publish_before, Duration::minutes(10));
        assert!(!plan.at_start.contains(&(slow.usage(), Algorithm::ES256)), "gone with its bridge");
    }
}
