//! The keys of one moment, prepared for use: an immutable snapshot that every request reads without a lock.
//!
//! The holder builds a new ring when the keys change and at [`KeyRing::next_change`]. If that happens late, the
//! verifier still checks the end of each key, so that an outdated ring never accepts an expired key.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jsonwebtoken::{DecodingKey, EncodingKey};

use super::jwks::{self, Jwks};
use super::keys::{Algorithm, KeyError, KeyState, PublicKey, StoredKey, Use};
use super::provider;
use super::remembered::Remembered;
use crate::clock::Time;
use crate::domain::session::LONGEST_SESSION;

/// A key that signs now. Clones share the private key, so that memory holds one copy of it and none is made and wiped
/// for each token.
#[derive(Clone, Debug)]
pub struct SigningKey {
    kid: Arc<str>,
    algorithm: Algorithm,
    pub(super) key: Arc<EncodingKey>,
}

impl SigningKey {
    /// Prepares one key for signing.
    pub fn new(stored: &StoredKey) -> Self {
        Self {
            kid: stored.kid.as_str().into(),
            algorithm: stored.algorithm,
            key: Arc::new(stored.material.encoding_key()),
        }
    }

    /// The `kid` for headers.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// A key that verifies, with everything that limits its use.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    kid: String,
    usage: Option<Use>,
    algorithm: Algorithm,
    until: Option<Time>,
    pub(super) key: DecodingKey,
    /// Tokens that it has verified. `None` where verifying is cheap (symmetric keys) or happens once (foreign keys).
    pub(super) remembered: Option<Arc<Remembered>>,
}

impl VerifyingKey {
    fn own(stored: &StoredKey) -> Self {
        let until = [stored.verifies_until, stored.revoked_at].into_iter().flatten().min();
        Self {
            kid: stored.kid.clone(),
            usage: Some(stored.usage.clone()),
            algorithm: stored.algorithm,
            until,
            key: stored.material.decoding_key(),
            remembered: stored.material.public().map(|_| Arc::default()),
        }
    }

    /// Like [`own`](Self::own), but valid for as long as an ID token signed by it may come back as a hint: by then,
    /// every session in which the token was issued has ended.
    fn of_hints(stored: &StoredKey) -> Self {
        let forgotten = stored.verifies_until.map(|until| until + LONGEST_SESSION);
        Self { until: [forgotten, stored.revoked_at].into_iter().flatten().min(), ..Self::own(stored) }
    }

    /// A foreign key (of a trusted issuer or a DPoP proof), which has no [`Use`] of ours.
    pub fn foreign(kid: String, key: &PublicKey) -> Self {
        Self::foreign_for(kid, key, key.algorithm())
    }

    /// Like [`foreign`](Self::foreign), for one of the [algorithms](PublicKey::algorithms) that fit the key.
    pub fn foreign_for(kid: String, key: &PublicKey, algorithm: Algorithm) -> Self {
        Self { kid, usage: None, algorithm, until: None, key: key.decoding_key(), remembered: None }
    }

    /// Its name in headers.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What it signed; `None` for a foreign key.
    pub const fn usage(&self) -> Option<&Use> {
        self.usage.as_ref()
    }

    /// Whether it may still verify at `now`.
    pub fn accepts_at(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// All keys that can be used at one moment.
#[derive(Clone, Debug)]
pub struct KeyRing {
    signing: HashMap<Use, Vec<SigningKey>>,
    verifying: HashMap<String, VerifyingKey>,
    hinting: HashMap<String, VerifyingKey>,
    printing: HashMap<String, (Use, SigningKey)>,
    jwks: Jwks,
    forward: Jwks,
    published: HashMap<(Use, Algorithm), Jwks>,
    publics: HashMap<String, (Use, PublicKey)>,
    next_change: Option<Time>,
}

impl KeyRing {
    /// Prepares the keys for the moment `now`. Revoked keys are left out. Expired keys are kept only for
    /// [hints](Self::for_hints).
    ///
    /// # Errors
    /// [`KeyError::DuplicateKid`] when two live keys share a `kid`; [`KeyError::Algorithm`] when a row's algorithm is not
    /// its key's.
    pub fn build(keys: &[StoredKey], now: Time) -> Result<Self, KeyError> {
        provider::install();
        let live: Vec<&StoredKey> = keys.iter().filter(|key| key.state(now).is_live()).collect();
        let mut verifying = HashMap::new();
        for key in &live {
            if key.algorithm != key.material.algorithm() {
                return Err(KeyError::Algorithm);
            }
            if verifying.insert(key.kid.clone(), VerifyingKey::own(key)).is_some() {
                return Err(KeyError::DuplicateKid);
            }
        }
        let of_use = |usage: &Use| jwks::publish(live.iter().copied().filter(|key| key.usage == *usage), now);
        let families: BTreeSet<(&Use, Algorithm)> =
            live.iter().filter(|key| key.material.public().is_some()).map(|key| (&key.usage, key.algorithm)).collect();
        let published = families.into_iter().map(|(usage, algorithm)| {
            // Keys of a bridge that signed with an earlier algorithm still verify until their end.
            let lives_on = |key: &StoredKey| matches!(usage, Use::Bridge(_)) && key.state(now) == KeyState::Verifying;
            let family =
                live.iter().copied().filter(|key| key.usage == *usage && (key.algorithm == algorithm || lives_on(key)));
            ((usage.clone(), algorithm), jwks::publish_led_by(Some(algorithm), family, now))
        });
        let publics =
            live.iter().filter_map(|key| Some((key.kid.clone(), (key.usage.clone(), key.material.public()?.clone()))));
        Ok(Self {
            signing: signing_keys(&live, now),
            published: published.collect(),
            publics: publics.collect(),
            jwks: of_use(&Use::Tokens),
            forward: of_use(&Use::Forward),
            // Only symmetric keys: their signatures are deterministic, so signing again reveals and changes nothing.
            printing: live
                .iter()
                .filter(|key| key.algorithm == Algorithm::HS256)
                .map(|key| (key.kid.clone(), (key.usage.clone(), SigningKey::new(key))))
                .collect(),
            verifying,
            hinting: keys
                .iter()
                .filter(|key| key.usage == Use::Tokens && key.material.public().is_some())
                .map(|key| (key.kid.clone(), VerifyingKey::of_hints(key)))
                .collect(),
            next_change: keys.iter().filter_map(|key| key.next_change(now)).min(),
        })
    }

    /// The key that signs for this use with this algorithm.
    pub fn signing(&self, usage: &Use, algorithm: Algorithm) -> Option<&SigningKey> {
        self.signing.get(usage)?.iter().find(|key| key.algorithm == algorithm)
    }

    /// The key of that name, as long as it verifies for this use, to reproduce a token that it signed a moment ago.
    pub fn signing_by_kid(&self, usage: &Use, kid: &str) -> Option<&SigningKey> {
        self.printing.get(kid).filter(|(of, _)| of == usage).map(|(_, key)| key)
    }

    /// The live key of that name, whatever its use.
    pub fn by_kid(&self, kid: &str) -> Option<&VerifyingKey> {
        self.verifying.get(kid)
    }

    /// The key of that name for our own tokens, even if it has expired. Only for ID tokens that come back as hints,
    /// never to grant access.
    pub fn for_hints(&self, kid: &str) -> Option<&VerifyingKey> {
        self.hinting.get(kid)
    }

    /// The JWKS for our own tokens.
    pub const fn jwks(&self) -> &Jwks {
        &self.jwks
    }

    /// The JWKS of one use and algorithm; `None` without a live key that has a public half. For a bridge, the keys of
    /// an earlier algorithm that still verify come last.
    pub fn published(&self, usage: &Use, algorithm: Algorithm) -> Option<&Jwks> {
        self.published.get(&(usage.clone(), algorithm))
    }

    /// The public half of the live key with that name and use; `None` for a symmetric key.
    pub fn public(&self, usage: &Use, kid: &str) -> Option<&PublicKey> {
        self.publics.get(kid).filter(|(of, _)| of == usage).map(|(_, public)| public)
    }

    /// The JWKS for the signed headers of protected hosts; empty if no host wants them signed.
    pub const fn forward_jwks(&self) -> &Jwks {
        &self.forward
    }

    /// When this ring must be rebuilt even without a change in the database, because a key changes its state.
    pub const fn next_change(&self) -> Option<Time> {
        self.next_change
    }
}

/// For each use and algorithm, the key that began to sign last.
fn signing_keys(live: &[&StoredKey], now: Time) -> HashMap<Use, Vec<SigningKey>> {
    let mut candidates: Vec<&&StoredKey> = live.iter().filter(|key| key.state(now) == KeyState::Signing).collect();
    // `kid` only breaks ties, so that all replicas agree.
    candidates.sort_by(|a, b| (b.signs_from, &b.kid).cmp(&(a.signs_from, &a.kid)));
    let mut out: HashMap<Use, Vec<SigningKey>> = HashMap::new();
    for key in candidates {
        let of_use = out.entry(key.usage.clone()).or_default();
        if !of_use.iter().any(|known| known.algorithm == key.algorithm) {
            of_use.push(SigningKey::new(key));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::keys::KeyMaterial;
    use chrono::{DateTime, Duration};
    use serde_json::Value;

    fn at(minutes: i64) -> Time {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap() + Duration::minutes(minutes)
    }

    fn key(usage: Use, algorithm: Algorithm, signs: i64) -> StoredKey {
        let material = KeyMaterial::generate(algorithm).unwrap();
        StoredKey {
            kid: material.thumbprint(),
            usage,
            algorithm,
            material,
            published_at: at(signs - 10),
            signs_from: at(signs),
            retired_at: None,
            verifies_until: None,
            revoked_at: None,
        }
    }

    fn kids(jwks: &Jwks) -> Vec<String> {
        let document: Value = serde_json::from_str(&jwks.body).unwrap();
        document["keys"].as_array().unwrap().iter().map(|jwk| jwk["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_jwks_has_live_public_keys_of_its_use_and_nothing_private() {
        let mut expired = key(Use::Tokens, Algorithm::ES256, 0);
        (expired.retired_at, expired.verifies_until) = (Some(at(5)), Some(at(50)));
        let mut revoked = key(Use::Tokens, Algorithm::ES256, 0);
        revoked.revoked_at = Some(at(50));
        let keys = [
            key(Use::Tokens, Algorithm::ES256, 0),
            key(Use::Tokens, Algorithm::RS256, 0),
            key(Use::Tokens, Algorithm::EdDSA, 105),
            key(Use::Tokens, Algorithm::HS256, 0),
            key(Use::Refresh, Algorithm::HS256, 0),
            key(Use::Bridge("hasura".into()), Algorithm::RS256, 0),
            key(Use::Forward, Algorithm::ES256, 0),
            expired,
            revoked,
        ];
        let ring = KeyRing::build(&keys, at(100)).unwrap();
        let expected = [&keys[1], &keys[0], &keys[2]].map(|key| key.kid.clone());
        assert_eq!(kids(ring.jwks()), expected, "RS256 first");
        assert_eq!(kids(ring.forward_jwks()), [keys[6].kid.clone()]);
        let hasura = Use::Bridge("hasura".into());
        assert_eq!(kids(ring.published(&hasura, Algorithm::RS256).unwrap()), [keys[5].kid.clone()]);
        assert_eq!(
            kids(ring.published(&Use::Tokens, Algorithm::ES256).unwrap()),
            [keys[0].kid.clone()],
            "one algorithm"
        );
        for (usage, algorithm) in [
            (Use::Bridge("other".into()), Algorithm::RS256),
            (hasura.clone(), Algorithm::ES256),
            (Use::Refresh, Algorithm::HS256),
            (Use::Tokens, Algorithm::HS256),
        ] {
            assert!(ring.published(&usage, algorithm).is_none(), "{usage} {algorithm}");
        }
        assert_eq!(ring.public(&hasura, &keys[5].kid), keys[5].material.public());
        for (usage, kid) in [
            (&Use::Tokens, 5),
            (&hasura, 0),
            (&Use::Refresh, 4),
            (&Use::Tokens, 6),
            (&Use::Tokens, 7),
            (&Use::Tokens, 8),
        ] {
            assert_eq!(ring.public(usage, &keys[kid].kid), None, "{kid} as {usage}");
        }
        let document: Value = serde_json::from_str(&ring.jwks().body).unwrap();
        for jwk in document["keys"].as_array().unwrap() {
            for name in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
                assert!(jwk.get(name).is_none(), "{name}");
            }
            assert_eq!(jwk["use"], "sig");
        }
        assert!(ring.by_kid(&keys[7].kid).is_none() && ring.by_kid(&keys[8].kid).is_none());
        for (kid, hints) in [(0, true), (7, true), (8, false), (3, false), (5, false), (6, false)] {
            let accepts = ring.for_hints(&keys[kid].kid).is_some_and(|key| key.accepts_at(at(100)));
            assert_eq!(accepts, hints, "{kid} for hints");
        }
        assert!(ring.signing(&Use::Tokens, Algorithm::EdDSA).is_none(), "published only");
        assert!(ring.signing(&Use::Refresh, Algorithm::ES256).is_none());
        assert_eq!(ring.signing(&Use::Tokens, Algorithm::RS256).unwrap().kid(), keys[1].kid);
        assert_eq!(ring.next_change(), Some(at(105)));
    }

    /// After a bridge changed its algorithm, its signing keys come first and the old ones stay until their tokens
    /// expire.
    #[test]
    fn a_bridges_set_keeps_the_retired_keys_of_another_algorithm() {
        let hasura = Use::Bridge("hasura".into());
        let mut old = key(hasura.clone(), Algorithm::RS256, 0);
        (old.retired_at, old.verifies_until) = (Some(at(60)), Some(at(120)));
        let mut ours = key(Use::Tokens, Algorithm::RS256, 0);
        (ours.retired_at, ours.verifies_until) = (Some(at(60)), Some(at(120)));
        let keys = [old, key(hasura.clone(), Algorithm::ES256, 60), ours, key(Use::Tokens, Algorithm::ES256, 60)];
        let set = |now, usage: &Use| {
            kids(KeyRing::build(&keys, at(now)).unwrap().published(usage, Algorithm::ES256).unwrap())
        };
        assert_eq!(set(61, &hasura), [keys[1].kid.clone(), keys[0].kid.clone()]);
        assert_eq!(set(120, &hasura), [keys[1].kid.clone()], "their tokens have ended");
        assert_eq!(set(61, &Use::Tokens), [keys[3].kid.clone()], "our own keys are in our own set");
    }

    #[test]
    fn the_etag_changes_with_the_keys_only() {
        let keys = [key(Use::Tokens, Algorithm::ES256, 0), key(Use::Tokens, Algorithm::EdDSA, 0)];
        let reversed = [keys[1].clone(), keys[0].clone()];
        let ring = KeyRing::build(&keys, at(1)).unwrap();
        assert_eq!(ring.jwks(), KeyRing::build(&reversed, at(2)).unwrap().jwks());
        assert_ne!(ring.jwks().etag, KeyRing::build(&keys[..1], at(1)).unwrap().jwks().etag);
        assert!(ring.jwks().etag.starts_with('"') && ring.jwks().etag.ends_with('"'));
    }

    #[test]
    fn the_latest_key_signs() {
        let keys = [key(Use::Tokens, Algorithm::ES256, 0), key(Use::Tokens, Algorithm::ES256, 60)];
        let signer = |now| {
            KeyRing::build(&keys, at(now)).unwrap().signing(&Use::Tokens, Algorithm::ES256).unwrap().kid().to_owned()
        };
        assert_eq!((signer(59), signer(60)), (keys[0].kid.clone(), keys[1].kid.clone()));
    }

    #[test]
    fn contradictions_are_refused() {
        let one = key(Use::Tokens, Algorithm::ES256, 0);
        let mut twin = key(Use::Refresh, Algorithm::HS256, 0);
        twin.kid.clone_from(&one.kid);
        assert_eq!(KeyRing::build(&[one.clone(), twin], at(1)).unwrap_err(), KeyError::DuplicateKid);
        let mut lying = one;
        lying.algorithm = Algorithm::HS256;
        assert_eq!(KeyRing::build(&[lying], at(1)).unwrap_err(), KeyError::Algorithm);
    }

    #[test]
    fn a_late_ring_does_not_outlive_its_keys() {
        let mut old = key(Use::Tokens, Algorithm::ES256, 0);
        (old.retired_at, old.verifies_until) = (Some(at(5)), Some(at(50)));
        let ring = KeyRing::build(std::slice::from_ref(&old), at(10)).unwrap();
        let verifying = ring.by_kid(&old.kid).unwrap();
        assert!(verifying.accepts_at(at(49)) && !verifying.accepts_at(at(50)));
        let (hints, end) = (ring.for_hints(&old.kid).unwrap(), at(50) + LONGEST_SESSION);
        assert!(hints.accepts_at(end - Duration::minutes(1)) && !hints.accepts_at(end));
    }
}
