//! The decision about a connection to NATS, and the answer to its server.

use std::sync::Arc;

use chrono::Duration;
use serde_json::{Value, json};

use super::request::Asked;
use crate::account::guards::{Guard, Identity, VerifiedAccess};
use crate::bridge::minting::count;
use crate::bridge::{BridgeError, BridgeToken, Bridges, Facts, MintRequest, Way};
use crate::clock::{Clock, Time};
use crate::domain::audit::Provenance;
use crate::domain::scope::Scopes;
use crate::storage::Db;
use crate::tokens::MintError;
use crate::tokens::signer;
use crate::web::caller::Network;
use crate::web::error::{Failure, Kind};
use crate::web::limits::Limits;

/// What is needed to answer requests.
#[derive(Clone)]
pub struct Desk {
    /// Verifies access tokens and finds their holders.
    pub guard: Guard,
    /// The bridges.
    pub bridges: Arc<Bridges>,
    /// The limits.
    pub limits: Arc<Limits>,
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
}

impl Desk {
    /// Answers a request that arrived for a bridge; `None` if it is not a valid request, or the bridge is gone: NATS
    /// then refuses the connection by itself.
    pub async fn answer(&self, bridge: &str, payload: &[u8]) -> Option<Vec<u8>> {
        let now = self.clock.now();
        let asked = match Asked::read(payload, now) {
            Ok(asked) => asked,
            Err(reason) => {
                tracing::warn!(bridge.name = bridge, reason = %reason, "a message where NATS asks is no question");
                return None;
            }
        };
        let decided = self.decide(bridge, &asked, now).await;
        let outcome = if decided.is_ok() { "user" } else { "refusal" };
        metrics::counter!("passmint_nats_answers_total", "bridge" => bridge.to_owned(), "outcome" => outcome)
            .increment(1);
        let said = match &decided {
            Ok(minted) => json!({ "jwt": minted.token }),
            Err(failure) => {
                failure.log();
                json!({ "error": failure.detail() })
            }
        };
        match self.bridges.nats_answer(bridge, &asked, said, now) {
            Ok(answer) => Some(answer.into_bytes()),
            Err(error) => {
                tracing::warn!(bridge.name = bridge, error = %error, "a question of NATS could not be answered");
                None
            }
        }
    }

    async fn decide(&self, bridge: &str, asked: &Asked, now: Time) -> Result<BridgeToken, Failure> {
        // No limit by network: the address is the one that NATS sees, which is the same for everybody behind a load
        // balancer, so one sender of invalid requests would lock out all others. An invalid token costs the
        // verification of one signature; a genuine token of a session that has ended costs one database query; a line
        // answers a limited number of requests at a time; and minted tokens are counted by person.
        let ready = self.bridges.find(bridge).ok_or(BridgeError::Unknown)?;
        let token = asked.token.as_ref().ok_or_else(|| {
            Failure::new(Kind::InvalidToken, "The connection has no access token as its token or password.")
        })?;
        let audience = ready.bridge.bearer_audience().unwrap_or(self.guard.mint.issuer());
        let access = self.guard.bearer_for(audience, token.expose())?;
        let identity = self.guard.holder(&access).await?;
        let owner = identity.user.id;
        self.limits.check_mint(owner, bridge)?;
        let minted = self.mint(bridge, asked, (&access, &identity), now).await?;
        let address_class = asked.host.map(|host| Network::of(host).to_string());
        let provenance = Provenance { address_class, ..Provenance::default() };
        let event = minted.event(owner, identity.session.id, Some(&access.client().id), now, &provenance);
        self.db.ask(event).await?;
        Ok(minted)
    }

    async fn mint(
        &self,
        bridge: &str,
        asked: &Asked,
        (access, identity): (&VerifiedAccess, &Identity),
        now: Time,
    ) -> Result<BridgeToken, Failure> {
        let session = &identity.session;
        let passkey = self.bridges.passkey_used(bridge, identity).await?;
        let audience: Vec<String> = access.aud.iter().map(ToOwned::to_owned).collect();
        let scopes = Scopes::parse(&access.scope)
            .map_err(|_| Failure::new(Kind::InvalidToken, "The scopes of the access token cannot be parsed."))?;
        let request = MintRequest {
            user: &identity.user,
            session: session.id,
            acr: &session.acr,
            amr: &session.amr,
            auth_time: session.auth_time,
            passkey: passkey.as_ref(),
            client: access.client(),
            scopes: &scopes,
            audience: &audience,
            act: identity.act(),
            inputs: None,
            // No connection may outlive the token that opened it.
            longest: Some(Duration::seconds(access.exp - now.timestamp())),
        };
        Ok(self.bridges.nats_user(bridge, &request, &asked.user, now).await?)
    }
}

impl Bridges {
    /// The JWT of a NATS user, bound to the key that the server created for the connection.
    async fn nats_user(
        &self,
        name: &str,
        request: &MintRequest<'_>,
        user: &str,
        now: Time,
    ) -> Result<BridgeToken, BridgeError> {
        let (entry, facts) = self.allowed(name, Way::NatsCallout, request, now).await?;
        let minted = self.sign(&entry, &Facts { bound_key: Some(user.to_owned()), ..facts }, now)?;
        count(name);
        Ok(minted)
    }

    /// An authorization response: `said` is the JWT of a user, or the error.
    fn nats_answer(&self, name: &str, asked: &Asked, said: Value, now: Time) -> Result<String, BridgeError> {
        let entry = self.get(name)?;
        entry.bridge.require_way(Way::NatsCallout)?;
        let issuer = &entry.bridge.plan().issuer;
        let mut nats = json!({ "type": "authorization_response", "version": 2 });
        if let (Some(members), Value::Object(said)) = (nats.as_object_mut(), said) {
            members.extend(said);
        }
        let claims = json!({
            "jti": crate::random::uuid().simple().to_string(), "iat": now.timestamp(), "iss": issuer, "sub": asked.user,
            "aud": asked.server, "nats": nats,
        });
        let header = signer::Header { alg: "ed25519-nkey", typ: Some("JWT"), kid: None };
        let key = self.key_of(&entry)?;
        Ok(self.signer.sign_under(&key, header, &claims.to_string()).map_err(MintError::from)?)
    }
}
