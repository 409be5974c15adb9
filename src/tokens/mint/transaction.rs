//! Transaction tokens (draft-ietf-oauth-transaction-tokens-10): the context of one call, passed between the workloads
//! of a trust domain.

use super::{Exchange, Exchanged, Mint, MintError, NOT_APPLICABLE, token_id};
use crate::clock::Time;
use crate::domain::exchange::Told;
use crate::tokens::claims::TransactionClaims;
use crate::tokens::keys::Use;
use crate::tokens::typ;

/// What a transaction token is made from, in addition to the exchange.
#[derive(Clone, Copy, Debug)]
pub struct Transaction<'a> {
    /// The transaction's id: that of the token being replaced, or a new one.
    pub id: &'a str,
    /// The context that the token carries.
    pub told: &'a Told,
}

impl Mint {
    /// Makes a transaction token for the trust domain that is the audience.
    pub fn transaction_token(
        &self,
        exchange: &Exchange<'_>,
        transaction: &Transaction<'_>,
        now: Time,
    ) -> Result<Exchanged, MintError> {
        self.keys.require_fresh()?;
        let key = self.signing(&Use::Tokens, self.settings.algorithm)?;
        let (jti, scope) = (token_id(), exchange.scopes.to_string());
        let claims = TransactionClaims {
            iss: self.settings.issuer.clone(),
            // All workloads of the domain see the same name for the person, whichever of them asks.
            sub: exchange.user.to_string(),
            aud: exchange.audience.to_vec().into(),
            iat: now.timestamp(),
            exp: (now + exchange.life).timestamp(),
            jti: jti.clone(),
            txn: transaction.id.to_owned(),
            scope: scope.clone(),
            req_wl: exchange.client.id.clone(),
            rctx: transaction.told.context.clone(),
            tctx: transaction.told.details.clone(),
            act: exchange.act.and_then(|act| serde_json::to_value(act).ok()),
            sid: exchange.session.to_string(),
            grant_id: exchange.grant_id.map(ToOwned::to_owned),
        };
        Ok(Exchanged {
            token: self.signer.sign(&key, typ::TRANSACTION, &claims)?,
            jti,
            token_type: NOT_APPLICABLE,
            expires_in: claims.exp - claims.iat,
            scope,
        })
    }
}
