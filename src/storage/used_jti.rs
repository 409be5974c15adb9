//! Ids of tokens that others sign and that count once: client assertions, DPoP proofs, request objects.
//!
//! Whoever inserts the row first may use the token; looking beforehand decides nothing. [`Spent::digest`] identifies
//! the row: the same id from another signer, or in another kind of token, is another row. To add a kind: add a variant
//! to [`Kind`].

use diesel::prelude::*;

use super::StorageError;
use super::schema::used_jti;
use crate::clock::Time;
use crate::domain::secret::TokenDigest;

/// What kind of token the id is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client's assertion about itself; its signer is the client (RFC 7523 §3).
    ClientAssertion,
    /// A DPoP proof; its signer is the key, by its thumbprint (RFC 9449 §11.1).
    DpopProof,
    /// The proof of a signed operation; its signer here is the client that redeems it.
    TransactionProof,
    /// A signed authorization request; its signer is the client (RFC 9101).
    RequestObject,
    /// A token from a trusted issuer, which is its signer.
    TrustedToken,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ClientAssertion => "client_assertion",
            Self::DpopProof => "dpop_proof",
            Self::TransactionProof => "transaction_proof",
            Self::RequestObject => "request_object",
            Self::TrustedToken => "trusted_token",
        }
    }
}

/// A token about to be used up.
#[derive(Clone, Debug)]
pub struct Spent {
    /// What it is.
    pub kind: Kind,
    /// Who signed it.
    pub signer: String,
    /// Its `jti`.
    pub jti: String,
    /// When the token is refused for its age anyway, so that the row is no longer needed.
    pub expires_at: Time,
}

impl Spent {
    /// Unambiguous, because the length of the signer says where the id begins.
    fn digest(&self) -> TokenDigest {
        TokenDigest::of(&format!("{}:{}:{}{}", self.kind.as_str(), self.signer.len(), self.signer, self.jti))
    }
}

/// Uses a token up; `false` when it was used before, on whichever server.
pub fn spend(conn: &mut PgConnection, spent: &Spent) -> Result<bool, StorageError> {
    let inserted = diesel::insert_into(used_jti::table)
        .values((used_jti::digest.eq(spent.digest().as_bytes().as_slice()), used_jti::expires_at.eq(spent.expires_at)))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(inserted == 1)
}

/// Whether a token was used up. This is only an early hint, to refuse before asking somebody in vain; [`spend`]
/// decides.
pub fn is_spent(conn: &mut PgConnection, spent: &Spent) -> Result<bool, StorageError> {
    let row = used_jti::table.find(spent.digest().as_bytes().to_vec());
    Ok(diesel::select(diesel::dsl::exists(row)).get_result(conn)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_kind_signer_or_id_is_another_row() {
        let spent = |kind, signer: &str, jti: &str| {
            Spent { kind, signer: signer.into(), jti: jti.into(), expires_at: Time::UNIX_EPOCH }.digest()
        };
        let base = spent(Kind::DpopProof, "ab", "c");
        assert_eq!(base, spent(Kind::DpopProof, "ab", "c"));
        for (name, other) in [
            ("kind", spent(Kind::ClientAssertion, "ab", "c")),
            ("signer", spent(Kind::DpopProof, "xb", "c")),
            ("id", spent(Kind::DpopProof, "ab", "d")),
            ("cut elsewhere", spent(Kind::DpopProof, "a", "bc")),
        ] {
            assert_ne!(base, other, "{name}");
        }
    }
}
