//! Where ceremonies wait for their verify call.
//!
//! In memory (moka) for a single server; in the database if several servers may share one. What must always hold:
//! taking a ceremony is one atomic removal, so that exactly one of any number of callers gets it, and the deadline is
//! checked on what was taken, because neither store guarantees that an expired entry is gone.

use std::sync::Arc;

use chrono::Duration;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::state::Ceremony;
use crate::clock::Time;
use crate::domain::secret::TokenDigest;
use crate::storage::{Db, StorageError, ceremonies};

/// The capacity for ordinary ceremonies of strangers.
pub const ANONYMOUS: u64 = 64_000;
/// The capacity for ordinary ceremonies of signed-in people.
pub const SIGNED_IN: u64 = 16_000;

/// The store.
pub enum ChallengeStore {
    /// This server's memory.
    Memory(MemoryStore),
    /// The shared database.
    Database(Db),
}

/// Two caches, so that strangers cannot push out the ceremonies of signed-in people. The least recently used entry is
/// evicted first: with an admission policy, a flood would keep honest newcomers out altogether.
pub struct MemoryStore {
    anonymous: Cache<TokenDigest, Arc<Ceremony>>,
    signed_in: Cache<TokenDigest, Arc<Ceremony>>,
}

impl MemoryStore {
    /// An empty store whose entries are dropped after `ttl`.
    pub fn new(ttl: Duration) -> Self {
        let cache = |entries: u64| {
            Cache::builder()
                .eviction_policy(EvictionPolicy::lru())
                .weigher(|_: &TokenDigest, ceremony: &Arc<Ceremony>| {
                    u32::try_from(ceremony.weight()).unwrap_or(u32::MAX)
                })
                .max_capacity(entries * Ceremony::BASE_WEIGHT as u64)
                .time_to_live(ttl.to_std().unwrap_or_default())
                .build()
        };
        Self { anonymous: cache(ANONYMOUS), signed_in: cache(SIGNED_IN) }
    }

    fn cache_of(&self, ceremony: &Ceremony) -> &Cache<TokenDigest, Arc<Ceremony>> {
        if ceremony.is_signed_in() { &self.signed_in } else { &self.anonymous }
    }

    fn take(&self, handle: &TokenDigest) -> Option<Arc<Ceremony>> {
        // Only `remove` is atomic; with a `get` followed by an invalidation, two callers could win.
        self.anonymous.remove(handle).or_else(|| self.signed_in.remove(handle))
    }
}

impl ChallengeStore {
    /// Stores a ceremony under the digest of its ID.
    pub async fn put(&self, handle: TokenDigest, ceremony: Ceremony) -> Result<(), StorageError> {
        match self {
            Self::Memory(memory) => {
                memory.cache_of(&ceremony).insert(handle, Arc::new(ceremony));
                Ok(())
            }
            Self::Database(db) => {
                let state =
                    serde_json::to_vec(&ceremony).map_err(|error| StorageError::corrupt("ceremonies", "new", error))?;
                db.run(move |conn| ceremonies::insert(conn, &handle, &state, ceremony.deadline)).await
            }
        }
    }

    /// Consumes a ceremony, whatever happens next. `None` if it does not exist or its deadline has passed.
    pub async fn take(&self, handle: TokenDigest, now: Time) -> Result<Option<Arc<Ceremony>>, StorageError> {
        let taken = match self {
            Self::Memory(memory) => memory.take(&handle),
            Self::Database(db) => match db.run(move |conn| ceremonies::take(conn, &handle)).await? {
                None => None,
                Some((state, _)) => Some(Arc::new(
                    serde_json::from_slice::<Ceremony>(&state)
                        .map_err(|error| StorageError::corrupt("ceremonies", "taken", error))?,
                )),
            },
        };
        Ok(taken.filter(|ceremony| now < ceremony.deadline))
    }

    /// The number of ceremonies that wait in this server's memory, for the metrics.
    pub fn waiting(&self) -> u64 {
        match self {
            Self::Memory(memory) => memory.anonymous.entry_count() + memory.signed_in.entry_count(),
            Self::Database(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use webauthn_rs_core::WebauthnCore;
    use webauthn_rs_core::proto::UserVerificationPolicy;

    use super::*;
    use crate::ceremony::decoys::{LISTED, Listed};
    use crate::ceremony::offered::Offered;
    use crate::ceremony::state::{Purpose, Wanted};
    use crate::domain::id::Id;

    fn library() -> WebauthnCore {
        WebauthnCore::new_unsafe_experts_only("x", "x.test", vec![], std::time::Duration::from_secs(60), None, None)
    }

    fn ceremony(deadline: Time, signed_in: bool) -> Ceremony {
        let library = library();
        let builder =
            library.new_challenge_authenticate_builder(vec![], Some(UserVerificationPolicy::Preferred)).unwrap();
        let (options, state) = library.generate_challenge_authenticate(builder).unwrap();
        let state = Box::new(state);
        let purpose = if signed_in {
            Purpose::StepUp { user: Id::random(), session: Id::random(), offered: Offered::default(), state }
        } else {
            Purpose::SignIn { offered: None, state }
        };
        Ceremony {
            purpose,
            relying_party: "default".into(),
            origin: None,
            browser: None,
            wanted: Wanted::Session,
            challenge: options.public_key.challenge,
            deadline,
        }
    }

    fn handle(n: usize) -> TokenDigest {
        TokenDigest::of(&n.to_string())
    }

    #[test]
    fn of_64_takers_one_gets_it() {
        let store = MemoryStore::new(Duration::minutes(5));
        for round in 0..200 {
            store.anonymous.insert(handle(round), Arc::new(ceremony(Time::UNIX_EPOCH, false)));
            let winners = std::thread::scope(|scope| {
                let takers: Vec<_> = (0..64).map(|_| scope.spawn(|| store.take(&handle(round)).is_some())).collect();
                takers.into_iter().filter_map(|taker| taker.join().ok()).filter(|won| *won).count()
            });
            assert_eq!(winners, 1);
        }
    }

    #[tokio::test]
    async fn the_deadline_ends_a_ceremony_that_the_cache_still_holds_and_burns_it() {
        let deadline = Time::UNIX_EPOCH + Duration::seconds(60);
        let store = ChallengeStore::Memory(MemoryStore::new(Duration::minutes(5)));
        for (name, now, given) in [("just before", 59, true), ("at", 60, false), ("after", 61, false)] {
            store.put(handle(1), ceremony(deadline, false)).await.unwrap();
            let taken = store.take(handle(1), Time::UNIX_EPOCH + Duration::seconds(now)).await.unwrap();
            assert_eq!(taken.is_some(), given, "{name}");
            let again = store.take(handle(1), Time::UNIX_EPOCH).await.unwrap();
            assert!(again.is_none(), "{name}: taken is taken");
        }
    }

    /// For every address that somebody types, the same number of passkeys is offered, real or not: such ceremonies need
    /// little more space than others, however long the IDs are that somebody registered for it.
    #[test]
    fn what_is_offered_to_strangers_weighs_little() {
        let listed = Listed { id: vec![7; 1023], transports: vec!["usb".into(); 6] };
        let offered = Offered::new(&vec![listed; usize::from(LISTED)]);
        let mut ceremony = ceremony(Time::UNIX_EPOCH, false);
        let Purpose::SignIn { state, .. } = ceremony.purpose else { panic!("a sign-in") };
        ceremony.purpose = Purpose::SignIn { offered: Some(offered), state };
        assert!(ceremony.weight() < 3 * Ceremony::BASE_WEIGHT, "{}", ceremony.weight());
        assert!(serde_json::to_vec(&ceremony).unwrap().len() < 3_000);
    }

    #[test]
    fn a_flood_of_strangers_pushes_out_neither_newcomers_nor_people_signed_in() {
        let store = MemoryStore::new(Duration::minutes(5));
        let signed_in = ceremony(Time::UNIX_EPOCH, true);
        store.cache_of(&signed_in).insert(handle(0), Arc::new(signed_in));
        let stranger = Arc::new(ceremony(Time::UNIX_EPOCH, false));
        let most = usize::try_from(ANONYMOUS).unwrap();
        for n in 1..=most * 2 {
            store.anonymous.insert(handle(n), Arc::clone(&stranger));
        }
        for n in most * 2 + 1..=most * 2 + 1000 {
            store.anonymous.insert(handle(n), Arc::clone(&stranger));
        }
        store.anonymous.run_pending_tasks();
        assert!(store.anonymous.entry_count() <= ANONYMOUS);
        let kept = (most * 2 + 1..=most * 2 + 1000).filter(|n| store.take(&handle(*n)).is_some()).count();
        assert_eq!(kept, 1000, "the newest survive");
        assert!(store.take(&handle(0)).is_some(), "somebody signed in survives");
    }
}
