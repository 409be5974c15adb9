//! A client that is a workload on another platform: authenticated by the token that its platform issues to it
//! (Kubernetes, GitHub Actions).
//!
//! What must always hold: the token passes the same verifier as every token of that trusted issuer; its `sub` and `aud`
//! are exactly those of one identity that the client lists; a token that is bound to a key, or that names an actor,
//! proves nothing. RFC 7523 §3 expects the client to sign `iss` = `sub` = its own ID, once for each request. This token
//! instead is issued by the platform, names the workload, and is presented until it expires. So it counts once only if
//! the issuer is configured so (`single_use`).

use crate::bridge::trusted::{Believed, TrustError};
use crate::clock::Time;
use crate::domain::client::Client;
use crate::domain::exchange::SubjectKind;
use crate::oidc::Oidc;
use crate::storage::used_jti::{self, Kind as Used, Spent};
use crate::web::error::{Failure, Kind};

/// Why a token does not authenticate the client.
#[derive(Debug, thiserror::Error)]
enum Unproven {
    /// The token is not valid.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Its issuer vouches for no workload of the client.
    #[error("the client has no identity of this issuer")]
    Issuer,
    /// Another workload, or a token with further audiences.
    #[error("no identity of the client has this sub and exactly this aud")]
    Identity,
    /// This server cannot verify that the holder has the key.
    #[error("the token is bound to a key")]
    Bound,
    /// An actor presents it, not the workload itself.
    #[error("somebody acts for the workload")]
    Acting,
}

/// Verifies the token of a workload that is the client, and marks it as used if the issuer's tokens count once.
pub(super) async fn check(room: &Oidc, client: &Client, token: &str, now: Time) -> Result<(), Failure> {
    let believed = proven(room, client, token, now).await.map_err(|reason| {
        let words = "The client assertion is not a token of a workload that is this client, or is no longer good.";
        Failure::new(Kind::InvalidClient, words).because(reason)
    })?;
    let Some((jti, expires_at)) = believed.once(now) else { return Ok(()) };
    let spent = Spent { kind: Used::TrustedToken, signer: believed.trust.issuer.clone(), jti, expires_at };
    if room.db.run(move |conn| used_jti::spend(conn, &spent)).await? {
        Ok(())
    } else {
        let words = "The client assertion was used before, and the tokens of its issuer count once (single_use).";
        Err(Failure::new(Kind::InvalidClient, words))
    }
}

async fn proven<'a>(room: &'a Oidc, client: &Client, token: &str, now: Time) -> Result<Believed<'a>, Unproven> {
    let issuer = room.trusted_issuers.of_token(token)?;
    let name = issuer.trust().name.as_str();
    let own = client.definition.federated.iter().filter(|one| one.issuer == name);
    let audiences: Vec<&str> = own.map(|one| one.audience.as_str()).collect();
    if audiences.is_empty() {
        return Err(Unproven::Issuer);
    }
    let believed = issuer.believe_for(token, SubjectKind::Jwt, &audiences, now).await?;
    if !client.is_workload(name, believed.text("sub").unwrap_or_default(), &believed.audience()) {
        return Err(Unproven::Identity);
    }
    if !believed.is_proven_by(None) {
        return Err(Unproven::Bound);
    }
    if believed.claims.contains_key("act") {
        return Err(Unproven::Acting);
    }
    Ok(believed)
}
