//! `private_key_jwt`: a client authenticates with its own key (RFC 7523, RFC 9700 §2.5).

use crate::clock::Time;
use crate::domain::client::Client;
use crate::oidc::Oidc;
use crate::storage::used_jti::{self, Kind as Used, Spent};
use crate::tokens::claims::AssertionClaims;
use crate::tokens::keys::Algorithm;
use crate::tokens::verifier::places::{self, ASSERTION_ALGORITHMS};
use crate::tokens::verifier::{Refusal, Verified};
use crate::web::error::{Failure, Kind};

/// Verifies an assertion of the client and marks it as used.
pub(super) async fn check(room: &Oidc, client: &Client, token: &str, now: Time) -> Result<(), Failure> {
    let claims = verified(room, client, token, now).await?.into_claims();
    let spent = Spent {
        kind: Used::ClientAssertion,
        signer: client.id.clone(),
        jti: claims.jti,
        expires_at: Time::from_timestamp(claims.exp, 0).unwrap_or(now),
    };
    if room.db.run(move |conn| used_jti::spend(conn, &spent)).await? {
        Ok(())
    } else {
        Err(Failure::new(
            Kind::InvalidClient,
            "The client assertion was already used. Make a new one for each request.",
        ))
    }
}

async fn verified(room: &Oidc, client: &Client, token: &str, now: Time) -> Result<Verified<AssertionClaims>, Failure> {
    let algorithms = algorithms(client);
    let whom = (client.id.as_str(), room.mint.issuer());
    let keys = room.client_keys.of(client).await.map_err(|error| {
        Failure::new(Kind::InvalidClient, "The client's keys cannot be read: check its jwks or jwks_uri.")
            .because(error)
    })?;
    match places::client_assertion(&keys, &algorithms, whom, token, now) {
        // The client may have changed its keys since they were fetched.
        Err(refusal @ (Refusal::UnknownKey | Refusal::Signature)) => {
            let Some(keys) = room.client_keys.newer(client).await else { return Err(refused(refusal)) };
            places::client_assertion(&keys, &algorithms, whom, token, now).map_err(refused)
        }
        other => other.map_err(refused),
    }
}

/// FAPI 2.0 §5.4 forbids RSA with PKCS#1 v1.5 padding.
fn algorithms(client: &Client) -> Vec<Algorithm> {
    ASSERTION_ALGORITHMS.into_iter().filter(|algorithm| !client.is_fapi2() || *algorithm != Algorithm::RS256).collect()
}

fn refused(refusal: Refusal) -> Failure {
    let words = "The client assertion is not valid: iss and sub are the client, aud is our issuer alone, exp is at most five \
                 minutes ahead, jti is new, and the signature is by a key of the client.";
    Failure::new(Kind::InvalidClient, words).because(refusal)
}
