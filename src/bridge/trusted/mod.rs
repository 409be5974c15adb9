//! The trusted issuers of a running server: whose tokens are accepted, with which keys, and the sign-in that results.
//!
//! What must always hold: a token is verified by the one verifier, with the keys of exactly the issuer that it names
//! and the algorithms allowed for that issuer; its audience is this server, one of the audiences that the trust lists
//! or, if it authenticates a client, the one that this client lists; its keys are fetched through the guarded outbound
//! client. What its owner may do here is decided by rules and clients, never by the token.
//!
//! To add a source of keys: a variant of [`KeyOrigin`].

mod arrive;
mod attributes;
mod keys;
mod sign_in;

pub use self::arrive::{Asking, arrive};
pub use self::keys::{KeyOrigin, TrustedKeysError};
pub use self::sign_in::{Arrival, Arrived, NotArrived};

use serde_json::{Map, Value};

use self::keys::TrustedKeys;
use crate::clock::{Clock, Time};
use crate::domain::exchange::{Actor, ActorFault, MayAct, SubjectKind};
use crate::domain::trust::{BearerGrant, Trust, TrustRefusal};
use crate::outbound::Outbound;
use crate::tokens::claims::Confirmation;
use crate::tokens::dpop::Jkt;
use crate::tokens::key_set::KeySet;
use crate::tokens::keys::Algorithm;
use crate::tokens::verifier::places::{self, Foreign};
use crate::tokens::verifier::{self, Refusal, Verified};

/// A trusted issuer as the configuration declares it.
#[derive(Clone, Debug)]
pub struct Declared {
    /// How much it is trusted.
    pub trust: Trust,
    /// Where its keys are.
    pub keys: KeyOrigin,
    /// The use of its tokens as grants (RFC 7523).
    pub grant: BearerGrant,
}

/// Why a token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Its issuer is not trusted, or not for this type of token.
    #[error("no trusted issuer of such tokens has this name")]
    Unknown,
    /// Its keys are not available.
    #[error("the keys of the issuer: {0}")]
    Keys(#[from] TrustedKeysError),
    /// It is not genuine, not intended for this server, or expired.
    #[error("the token: {0}")]
    Token(#[from] Refusal),
    /// It is genuine, but violates a rule for this issuer's tokens.
    #[error(transparent)]
    Refused(#[from] TrustRefusal),
}

impl TrustError {
    /// Whether the token itself was bad, for a reason other than expiry. Keys that are not available do not count as a
    /// guess.
    pub const fn is_in_vain(&self) -> bool {
        !matches!(self, Self::Keys(_) | Self::Token(Refusal::Expired) | Self::Refused(_))
    }
}

/// A verified token of a trusted issuer.
#[derive(Clone, Debug)]
#[must_use = "a believed token is there to be used"]
pub struct Believed<'a> {
    /// How much its issuer is trusted.
    pub trust: &'a Trust,
    /// Its claims.
    pub claims: Map<String, Value>,
}

impl Believed<'_> {
    /// A string claim.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// A date claim, in seconds.
    pub fn seconds(&self, name: &str) -> Option<i64> {
        self.claims.get(name).and_then(Value::as_i64)
    }

    /// When the person signed in there (`auth_time`), if the token states it: the time of issue does not tell.
    pub fn signed_in_at(&self) -> Option<Time> {
        self.seconds("auth_time").and_then(|seconds| Time::from_timestamp(seconds, 0))
    }

    /// Its ID, if it has one, and the time from which it is refused as expired: what is stored for a single-use token.
    pub fn id(&self, now: Time) -> Option<(String, Time)> {
        let exp = self.seconds("exp").unwrap_or_default() + i64::from(self.trust.leeway);
        Some((self.text("jti")?.to_owned(), Time::from_timestamp(exp, 0).unwrap_or(now)))
    }

    /// The same, if this issuer's tokens are single use everywhere.
    pub fn once(&self, now: Time) -> Option<(String, Time)> {
        self.id(now).filter(|_| self.trust.single_use)
    }

    /// Whether the request proves the key that the token is bound to, if any: a key-bound token must be useless to
    /// others (RFC 7800, RFC 9449). A token that is bound to anything other than such a key is never proven.
    pub fn is_proven_by(&self, key: Option<&Jkt>) -> bool {
        let Some(bound) = self.claims.get("cnf") else { return true };
        let bound: Option<Confirmation> = serde_json::from_value(bound.clone()).ok();
        bound.zip(key).is_some_and(|(bound, key)| key.as_str() == bound.jkt)
    }

    /// The actor in the token, and who may act, both as the issuer names them.
    ///
    /// # Errors
    /// [`ActorFault`] for a malformed claim.
    pub fn acting(&self) -> Result<(Option<Actor>, Option<MayAct>), ActorFault> {
        let (act, may_act) = (self.claims.get("act"), self.claims.get("may_act"));
        let (act, may_act) = (act.map(Actor::read).transpose()?, may_act.map(MayAct::read).transpose()?);
        let issuer = &self.trust.issuer;
        Ok((act.map(|act| act.named_by(issuer)), may_act.map(|may| may.named_by(issuer))))
    }

    /// Its audiences.
    pub fn audience(&self) -> Vec<String> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
            _ => Vec::new(),
        }
    }
}

/// One issuer with its keys.
pub struct TrustedIssuer {
    declared: Declared,
    algorithms: Vec<Algorithm>,
    keys: TrustedKeys,
}

/// The trusted issuers.
#[derive(Default)]
pub struct TrustedIssuers(Vec<TrustedIssuer>);

impl TrustedIssuers {
    /// Starts with nothing fetched.
    pub fn new(declared: Vec<Declared>, outbound: &Outbound, clock: &Clock) -> Self {
        let ready = |declared: Declared| TrustedIssuer {
            algorithms: declared.trust.algorithms.iter().filter_map(|name| name.parse().ok()).collect(),
            keys: TrustedKeys::new(declared.keys.clone(), &declared.trust.issuer, outbound, clock),
            declared,
        };
        Self(declared.into_iter().map(ready).collect())
    }

    /// The issuer that a token names, whether or not the token is valid.
    pub fn of_token(&self, token: &str) -> Result<&TrustedIssuer, TrustError> {
        let named = verifier::claimed_issuer(token)?;
        self.0.iter().find(|one| one.declared.trust.issuer == named).ok_or(TrustError::Unknown)
    }

    /// The issuer of a token, if its tokens allow people to register passkeys.
    pub fn enrolling(&self, token: &str) -> Option<&TrustedIssuer> {
        self.of_token(token).ok().filter(|one| one.trust().may_enrol)
    }

    /// The issuer with this configured name.
    pub fn find(&self, name: &str) -> Option<&TrustedIssuer> {
        self.0.iter().find(|one| one.declared.trust.name == name)
    }

    /// Whether tokens of any issuer are accepted as grants.
    pub fn grant_tokens(&self) -> bool {
        self.0.iter().any(|one| !one.declared.grant.clients.is_empty())
    }

    /// Whether identity assertions of any issuer are accepted.
    pub fn grant_assertions(&self) -> bool {
        let takes =
            |one: &TrustedIssuer| !one.grant().clients.is_empty() && one.trust().kinds.contains(&SubjectKind::IdJag);
        self.0.iter().any(takes)
    }

    /// Verifies a token of one of these issuers.
    ///
    /// # Errors
    /// [`TrustError`].
    pub async fn believe(&self, token: &str, kind: SubjectKind, now: Time) -> Result<Believed<'_>, TrustError> {
        self.of_token(token)?.believe(token, kind, now).await
    }
}

impl TrustedIssuer {
    /// How much it is trusted.
    pub const fn trust(&self) -> &Trust {
        &self.declared.trust
    }

    /// The use of its tokens as grants.
    pub const fn grant(&self) -> &BearerGrant {
        &self.declared.grant
    }

    /// Verifies a token of this issuer, as one of this type.
    ///
    /// # Errors
    /// [`TrustError`].
    pub async fn believe(&self, token: &str, kind: SubjectKind, now: Time) -> Result<Believed<'_>, TrustError> {
        let audiences: Vec<&str> = self.declared.trust.audiences.iter().map(String::as_str).collect();
        self.believe_for(token, kind, &audiences, now).await
    }

    /// The same, as any of the accepted types except identity assertions.
    ///
    /// # Errors
    /// [`TrustError`] of the last type tried.
    pub async fn believe_any(&self, token: &str, now: Time) -> Result<Believed<'_>, TrustError> {
        let mut refused = TrustError::Unknown;
        // An identity assertion is for a client's server, never for a person's browser.
        for kind in self.declared.trust.kinds.iter().filter(|kind| **kind != SubjectKind::IdJag) {
            match self.believe(token, *kind, now).await {
                Ok(believed) => return Ok(believed),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// The same with the caller's own list of audiences, of which the token must name one.
    ///
    /// # Errors
    /// [`TrustError`].
    pub async fn believe_for(
        &self,
        token: &str,
        kind: SubjectKind,
        audiences: &[&str],
        now: Time,
    ) -> Result<Believed<'_>, TrustError> {
        let trust = &self.declared.trust;
        if !trust.kinds.contains(&kind) {
            return Err(TrustError::Unknown);
        }
        let verify = |keys: &KeySet| {
            let place = Foreign {
                kind,
                issuer: &trust.issuer,
                audiences,
                leeway: trust.leeway,
                max_life: trust.max_life.num_seconds(),
            };
            places::foreign(keys, &self.algorithms, &place, token, now)
        };
        let verified = match verify(&*self.keys.get().await?) {
            // The issuer may have changed its keys since they were fetched.
            Err(refusal @ (Refusal::UnknownKey | Refusal::Signature)) => match self.keys.newer().await {
                Some(keys) => verify(&keys)?,
                None => return Err(refusal.into()),
            },
            other => other?,
        };
        let claims = Verified::into_claims(verified);
        trust.judge(&claims, now)?;
        Ok(Believed { trust, claims })
    }
}
