//! The cryptography that an operation cannot do without, measured in this process: signatures and their verification.
//!
//! Each floor is the CPU time of one call, measured while every core does the same. So it is for the operations, too,
//! and cores that share an execution unit are slower together than one alone.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use passmint::clock::{Clock, Time};
use passmint::domain::claims::RequestedClaims;
use passmint::domain::id::{FamilyId, SessionId, UserId};
use passmint::tokens::claims::{AccessClaims, Authentication, Extra, IdClaims, RefreshClaims};
use passmint::tokens::keys::{Algorithm, KeyMaterial, StoredKey, Use};
use passmint::tokens::remembered;
use passmint::tokens::ring::{KeyRing, SigningKey};
use passmint::tokens::signer::Signer;
use passmint::tokens::typ;
use passmint::tokens::verifier::places;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use url::Url;
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::proto::{PublicKeyCredential, RegisterPublicKeyCredential, UserVerificationPolicy};

use crate::Result;
use crate::authenticator::Authenticator;

/// CPU time of one call, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Crypto {
    /// webauthn-rs-core on an assertion that is already parsed.
    pub webauthn_verify: f64,
    /// An access token.
    pub es256_sign: f64,
    pub es256_verify: f64,
    /// An ID token.
    pub rs256_sign: f64,
    /// A refresh token.
    pub hs256_sign: f64,
    pub hs256_verify: f64,
}

const ISSUER: &str = "http://localhost";
/// So many tokens, used in turn, that a key has forgotten the first when the last was verified.
pub const FORGOTTEN: usize = 4 * remembered::PLACES;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(80);

/// Measures all floors; takes about three seconds.
pub fn crypto() -> Result<Crypto> {
    let now = Clock::system().now();
    let keys = [(Use::Tokens, Algorithm::ES256), (Use::Tokens, Algorithm::RS256), (Use::Refresh, Algorithm::HS256)];
    let stored =
        keys.into_iter().map(|(usage, algorithm)| stored_key(usage, algorithm, now)).collect::<Result<Vec<_>>>()?;
    let [es256, rs256, hs256] = [0, 1, 2].map(|index| SigningKey::new(&stored[index]));
    let ring = KeyRing::build(&stored, now)?;
    let signer = Signer::new();
    let (access, id, refresh) = (access_claims(now), id_claims(now), refresh_claims(now));
    let access_tokens = (0..FORGOTTEN)
        .map(|_| signer.sign(&es256, typ::ACCESS, &access))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let turn = AtomicUsize::new(0);
    let unknown = || &access_tokens[turn.fetch_add(1, Ordering::Relaxed) % FORGOTTEN];
    let refresh_token = signer.sign(&hs256, typ::REFRESH, &refresh)?;

    Ok(Crypto {
        webauthn_verify: floor(verification()?)?,
        es256_sign: floor(|| signer.sign(&es256, typ::ACCESS, &access).is_ok())?,
        es256_verify: floor(|| places::any_access_token(&ring, ISSUER, unknown(), now).is_ok())?,
        rs256_sign: floor(|| signer.sign(&rs256, typ::ID, &id).is_ok())?,
        hs256_sign: floor(|| signer.sign(&hs256, typ::REFRESH, &refresh).is_ok())?,
        hs256_verify: floor(|| places::refresh_token(&ring, ISSUER, &refresh_token, now).is_ok())?,
    })
}

/// Returns the CPU time of one call of `work` on a thread, while the other cores do the same: the median of the rounds.
/// `work` returns whether it succeeded.
fn floor(work: impl Fn() -> bool + Sync) -> Result<f64> {
    if !work() {
        return Err("a floor fails at what it measures".into());
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 1..thread::available_parallelism()?.get() {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    black_box(work());
                }
            });
        }
        let mut rounds: Vec<Duration> = (0..ROUNDS).map(|_| round(&work)).collect();
        stop.store(true, Ordering::Relaxed);
        rounds.sort_unstable();
        Ok(rounds[ROUNDS / 2].as_secs_f64() * 1e6)
    })
}

fn round(work: &impl Fn() -> bool) -> Duration {
    let (started, before, mut calls) = (Instant::now(), thread_cpu(), 0);
    while started.elapsed() < ROUND {
        // The clock is not read after every call: it would be a part of the short ones.
        for _ in 0..16 {
            black_box(work());
        }
        calls += 16;
    }
    thread_cpu().saturating_sub(before) / calls
}

/// Returns the CPU time of this thread so far.
pub fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Returns the verification of a real assertion of a real registration, which can be repeated any number of times.
fn verification() -> Result<impl Fn() -> bool + Sync> {
    let origin = Url::parse(ISSUER)?;
    let timeout = Duration::from_secs(300);
    let library =
        WebauthnCore::new_unsafe_experts_only("Bench", "localhost", vec![origin], timeout, Some(false), Some(false));
    let mut passkey = Authenticator::synchronised(ISSUER);
    let policy = UserVerificationPolicy::Required;
    let builder = library.new_challenge_register_builder(&[7; 32], "bench", "Bench").map_err(fault)?;
    let (options, state) =
        library.generate_challenge_register(builder.user_verification_policy(policy)).map_err(fault)?;
    let made = passkey.create(&public_key(&options)?);
    let made: RegisterPublicKeyCredential = serde_json::from_value(made)?;
    let credential = library.register_credential(&made, &state, None).map_err(fault)?;

    let builder = library.new_challenge_authenticate_builder(vec![], Some(policy)).map_err(fault)?;
    let (options, state) = library.generate_challenge_authenticate(builder).map_err(fault)?;
    let used: PublicKeyCredential = serde_json::from_value(passkey.get(&public_key(&options)?))?;
    Ok(move || library.authenticate_single_credential(&used, &state, &credential).is_ok())
}

fn public_key(options: &impl serde::Serialize) -> Result<Value> {
    Ok(serde_json::to_value(options)?["publicKey"].take())
}

fn fault(error: webauthn_rs_core::error::WebauthnError) -> String {
    format!("the WebAuthn library: {error:?}")
}

fn stored_key(usage: Use, algorithm: Algorithm, now: Time) -> Result<StoredKey> {
    let material = KeyMaterial::generate(algorithm)?;
    Ok(StoredKey {
        kid: algorithm.to_string(),
        usage,
        algorithm,
        material,
        published_at: now,
        signs_from: now,
        retired_at: None,
        verifies_until: None,
        revoked_at: None,
    })
}

fn authentication(now: Time) -> Authentication {
    Authentication {
        auth_time: Some(now.timestamp()),
        acr: Some("phr".to_owned()),
        amr: ["pop", "swk", "user", "mfa"].map(str::to_owned).into(),
        credential_class: None,
    }
}

fn access_claims(now: Time) -> AccessClaims {
    AccessClaims {
        iss: ISSUER.to_owned(),
        sub: UserId::random().to_string(),
        aud: ISSUER.into(),
        client_id: "bench".to_owned(),
        iat: now.timestamp(),
        exp: later(now),
        jti: UserId::random().to_string(),
        scope: "offline_access".to_owned(),
        sid: Some(SessionId::random().to_string()),
        authentication: authentication(now),
        cnf: None,
        act: None,
        may_act: None,
        grant_id: None,
        userinfo_claims: BTreeSet::new(),
        extra: Extra::default(),
    }
}

fn id_claims(now: Time) -> IdClaims {
    IdClaims {
        iss: ISSUER.to_owned(),
        sub: UserId::random().to_string(),
        aud: "bench".into(),
        iat: now.timestamp(),
        exp: later(now),
        jti: UserId::random().to_string(),
        nonce: None,
        at_hash: Some("77QmUPtjPfzWtF2AnpK9RQ".to_owned()),
        azp: None,
        act: None,
        may_act: None,
        sid: Some(SessionId::random().to_string()),
        authentication: authentication(now),
        extra: Extra::default(),
    }
}

fn refresh_claims(now: Time) -> RefreshClaims {
    RefreshClaims {
        v: 1,
        iss: ISSUER.to_owned(),
        aud: ISSUER.to_owned(),
        sub: UserId::random().to_string(),
        client_id: "bench".to_owned(),
        jti: UserId::random().to_string(),
        fid: FamilyId::random().to_string(),
        sid: Some(SessionId::random().to_string()),
        scope: "offline_access".to_owned(),
        resources: Vec::new(),
        iat: now.timestamp(),
        exp: later(now),
        authentication: authentication(now),
        cnf: None,
        claims: RequestedClaims::default(),
        exchange: None,
    }
}

fn later(now: Time) -> i64 {
    (now + TimeDelta::hours(1)).timestamp()
}
