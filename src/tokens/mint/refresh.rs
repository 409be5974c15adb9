//! Refresh tokens: the first of a family, and its successors.
//!
//! Invariant: a successor is byte for byte the same on every server and at every attempt.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Mint, MintError};
use crate::clock::Time;
use crate::domain::claims::RequestedClaims;
use crate::domain::client::{Client, ClientKind, GrantType};
use crate::domain::exchange::Origin;
use crate::domain::id::{FamilyId, SessionId};
use crate::domain::scope::Scopes;
use crate::domain::secret::TokenDigest;
use crate::storage::sign_in::NewFamily;
use crate::tokens::claims::{Authentication, Confirmation, RefreshClaims};
use crate::tokens::dpop::Jkt;
use crate::tokens::keys::{Algorithm, Use};
use crate::tokens::refresh::successor_jti;
use crate::tokens::ring::SigningKey;
use crate::tokens::typ;

/// What the first refresh token of a family is made from.
#[derive(Clone, Debug)]
pub struct RefreshSeed {
    family: FamilyId,
    jti: String,
    key: SigningKey,
    expires_at: Time,
    /// The audiences that access tokens of the family may have.
    resources: Vec<String>,
    /// The DPoP key that a public client's family is bound to.
    pub jkt: Option<String>,
}

/// The next refresh token of a family, before the database has accepted it.
#[derive(Clone, Debug)]
pub struct Successor {
    /// Digest of its `jti`.
    pub digest: TokenDigest,
    /// Key id it will be signed with.
    pub kid: String,
}

impl Mint {
    /// Prepares the first refresh token of a new family. For a client without rotation, the token's `exp` is the end of
    /// the family; that it does not stay unused for long is enforced by its row.
    pub fn new_family(
        &self,
        client: &Client,
        family: FamilyId,
        scopes: &Scopes,
        audience: &[String],
        now: Time,
    ) -> Result<(NewFamily, RefreshSeed), MintError> {
        let key = self.signing(&Use::Refresh, Algorithm::HS256)?;
        let jti = URL_SAFE_NO_PAD.encode(crate::random::bytes::<32>());
        let ends_at = now + self.settings.refresh_absolute;
        let expires_at = self.idle_end(now).min(ends_at);
        let row = NewFamily {
            id: family,
            scope: scopes.to_string(),
            audience: audience.to_vec(),
            leaf: TokenDigest::of(&jti),
            leaf_key: key.kid().to_owned(),
            leaf_expires_at: expires_at,
            ends_at,
            jkt: None,
        };
        let expires_at = if client.rotates_refresh_tokens() { expires_at } else { ends_at };
        Ok((row, RefreshSeed { family, jti, key, expires_at, resources: audience.to_vec(), jkt: None }))
    }

    /// Like [`new_family`](Self::new_family), or `None` if the client may not refresh. A public client has no other
    /// credential, so its family is bound to the DPoP key that the request proves (RFC 9449 §5).
    pub fn open_family(
        &self,
        (client, key): (&Client, Option<&Jkt>),
        family: FamilyId,
        scopes: &Scopes,
        audience: &[String],
        now: Time,
    ) -> Result<Option<(NewFamily, RefreshSeed)>, MintError> {
        if client.may_use(GrantType::RefreshToken).is_err() {
            return Ok(None);
        }
        let (mut row, mut seed) = self.new_family(client, family, scopes, audience, now)?;
        if client.definition.kind == ClientKind::Public {
            row.jkt = key.map(|key| key.as_str().to_owned());
            seed.jkt.clone_from(&row.jkt);
        }
        Ok(Some((row, seed)))
    }

    /// When a refresh token used now expires if it is not used again, unless its family ends before.
    pub fn idle_end(&self, now: Time) -> Time {
        now + self.settings.refresh_idle
    }

    /// Computes the successor of a genuine refresh token.
    pub fn successor(&self, presented: &RefreshClaims, family: FamilyId) -> Result<Successor, MintError> {
        let key = self.signing(&Use::Refresh, Algorithm::HS256)?;
        let jti = successor_jti(self.keys.successor_key(), &presented.jti, family);
        Ok(Successor { digest: TokenDigest::of(&jti), kid: key.kid().to_owned() })
    }

    /// Signs the successor of a genuine refresh token as it was decided: the same bytes on every server, at every
    /// attempt.
    pub fn print_successor(
        &self,
        presented: &RefreshClaims,
        family: FamilyId,
        kid: &str,
        (issued_at, expires_at): (Time, Time),
    ) -> Result<String, MintError> {
        let ring = self.keys.ring();
        let usage = Use::Refresh;
        let missing = || MintError::NoKey { usage: usage.to_string(), algorithm: Algorithm::HS256 };
        let key = ring.signing_by_kid(&usage, kid).ok_or_else(missing)?;
        let claims = RefreshClaims {
            jti: successor_jti(self.keys.successor_key(), &presented.jti, family),
            iat: issued_at.timestamp(),
            exp: expires_at.timestamp(),
            ..presented.clone()
        };
        Ok(self.signer.sign(key, typ::REFRESH, &claims)?)
    }

    pub(super) fn print_first(&self, first: First<'_>, seed: &RefreshSeed, now: Time) -> Result<String, MintError> {
        let claims = RefreshClaims {
            v: 1,
            iss: self.settings.issuer.clone(),
            aud: self.settings.issuer.clone(),
            // Clients can read the token, so it says no more than the others.
            sub: first.sub,
            client_id: first.client.id.clone(),
            jti: seed.jti.clone(),
            fid: seed.family.to_string(),
            sid: Some(first.session.to_string()),
            scope: first.scope,
            resources: seed.resources.clone(),
            iat: now.timestamp(),
            exp: seed.expires_at.timestamp(),
            authentication: first.authentication,
            cnf: seed.jkt.clone().map(|jkt| Confirmation { jkt }),
            claims: first.claims,
            exchange: first.exchange.map(Box::new),
        };
        Ok(self.signer.sign(&seed.key, typ::REFRESH, &claims)?)
    }
}

/// The content of a family's first refresh token that its seed does not hold.
pub(super) struct First<'a> {
    pub(super) sub: String,
    pub(super) client: &'a Client,
    pub(super) session: SessionId,
    pub(super) scope: String,
    pub(super) authentication: Authentication,
    pub(super) claims: RequestedClaims,
    pub(super) exchange: Option<Origin>,
}

impl RefreshSeed {
    /// When the first token expires.
    pub const fn expires_at(&self) -> Time {
        self.expires_at
    }
}

/// Binds a family started by an exchange to the key that the request proves, and limits it to the end of the exchanged
/// token.
pub fn bound_by_exchange(key: Option<&Jkt>, end: Option<Time>, (row, seed): (&mut NewFamily, &mut RefreshSeed)) {
    row.jkt = key.map(|key| key.as_str().to_owned());
    seed.jkt.clone_from(&row.jkt);
    if let Some(end) = end {
        row.ends_at = row.ends_at.min(end);
        row.leaf_expires_at = row.leaf_expires_at.min(end);
        seed.expires_at = seed.expires_at.min(end);
    }
}
