//! Which signing keys this server needs, when each is made or rotated, and the making itself.

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

/// The keys a server needs, and the policy they rotate by.
#[derive(Clone, Debug)]
pub struct KeyPlan {
    /// Keys that must exist before the first request.
    pub at_start: Vec<(Use, Algorithm)>,
    /// Keys that are slow to make, and made after the server is ready.
    pub later: Vec<(Use, Algorithm)>,
    /// How long the targets of bridges may go on with the keys they have, by bridge.
    lags: HashMap<String, chrono::Duration>,
    /// The same of those whose bridges sign with the keys of our own tokens.
    provider_lag: chrono::Duration,
    /// How often keys are replaced, and how long before that their successors are published.
    keys: config::Keys,
    /// How long what they sign lives.
    tokens: config::Tokens,
}

impl KeyPlan {
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
        Self { at_start, later, lags, provider_lag, keys: config.keys.clone(), tokens: config.tokens.clone() }
    }

    /// The same with the bridges of the database: for the commands, which know no others.
    pub fn of_database(conn: &mut PgConnection, config: &Config) -> Result<Self, StorageError> {
        let mut plan = Self::new(config);
        plan.want_bridges(WantedKeys::of(&stored::bridges::all(conn)?, config.issuer()));
        Ok(plan)
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
        rotate::policy(self.keys.publish_before_signing.max(lag), self.keys.rotate_every, longest)
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

/// Makes or rotates what is due among `wanted`, and reads all keys anew, whatever came of it: somebody else may have made what
/// is missing here. A failure is told in the log: whoever waits for a key finds that there is none yet, and it is tried again.
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

/// What became of the keys that were due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// There are none any more.
    Done,
    /// Somebody else holds the start-up lock.
    Busy,
}

/// Makes or rotates what is due. The lock is taken only for something to do, and not waited for.
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

/// Makes or rotates what is due among `wanted`. To be called under the start-up lock: only then is the time asked for, or a
/// key that was made while the lock was waited for would be one of the future.
fn rotate(
    conn: &mut PgConnection,
    plan: &KeyPlan,
    keys: &Keys,
    wanted: &[(Use, Algorithm)],
    clock: &Clock,
) -> Result<Result<(), KeysError>, StorageError> {
    let master = keys.master();
    // A key sealed with an outdated master key could not be opened by the others.
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
