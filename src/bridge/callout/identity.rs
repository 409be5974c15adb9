//! Our identity at NATS: a user key derived from the bridge's seed, so that there is a single secret and no password.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::bridge::nkey::{self, Role};
use crate::bridge::preset::rules::NatsAccount;

/// The user as which we connect.
pub struct Identity {
    pair: Ed25519KeyPair,
    public: String,
}

impl Identity {
    /// The identity for an account's key: always the same.
    pub fn of(account: &NatsAccount) -> Option<Self> {
        let seed = account.derive("passmint nats callout user v1");
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok()?;
        let public = nkey::public(Role::User, pair.public_key().as_ref().try_into().ok()?);
        Some(Self { pair, public })
    }

    /// Its public key, `U…`, for the configuration of NATS.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The proof that a NATS server asks for: its nonce, signed.
    pub fn prove(&self, nonce: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.sign(nonce.as_bytes()))
    }
}

/// Prints only the public key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("public", &self.public).finish_non_exhaustive()
    }
}
