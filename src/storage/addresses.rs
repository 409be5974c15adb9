//! The passkeys that are listed for a sign-in that begins with an e-mail address.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Text};

use super::StorageError;
use crate::statement;

/// What is known about an address.
#[derive(Debug)]
pub struct Claimed {
    /// The address in the case-folded form that the database compares.
    pub address: String,
    /// Credential ids and transports, in no order.
    pub passkeys: Vec<(Vec<u8>, Vec<String>)>,
}

statement! { Fold { email: String => Text } -> Text, "SELECT lower($1)" }

statement! {
    /// All passkeys of the verified owner come first. Then follow the newest passkey of each account that claims the
    /// address, then the second newest of each, and so on.
    Listed { email: String => Text, rp_id: String => Text, most: i64 => BigInt } -> (Binary, Array<Text>),
    ", claimants AS (
        SELECT id, email_verified_at IS NOT NULL AS verified, created_at FROM users
        WHERE lower(email) = lower($1)
        ORDER BY email_verified_at IS NULL, created_at, id LIMIT $3
    ), placed AS (
        SELECT credential_id, transports, verified,
            row_number() OVER (ORDER BY verified DESC, nth, claimants.created_at, claimants.id) AS place
        FROM claimants CROSS JOIN LATERAL (
            SELECT credential_id, transports, row_number() OVER (ORDER BY created_at DESC, credential_id) AS nth
            FROM credentials WHERE user_id = claimants.id AND rp_id = $2
        ) AS passkeys
    )
    SELECT credential_id, transports FROM placed WHERE verified OR place <= $3"
}

/// The passkeys, under one RP id, of an address's verified owner and of the accounts that merely claim it. The owner's
/// are all listed. Those of claimants only fill the list up to `most`, because anybody may claim any address, with any
/// number of passkeys.
pub fn claimed(conn: &mut PgConnection, email: &str, rp_id: &str, most: i64) -> Result<Claimed, StorageError> {
    let address: String = Fold { email: email.to_owned() }.get_result(conn)?;
    let passkeys = Listed { email: email.to_owned(), rp_id: rp_id.to_owned(), most }.load(conn)?;
    Ok(Claimed { address, passkeys })
}
