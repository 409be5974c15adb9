//! What a browser tells the passkey manager after a change (WebAuthn Level 3 §5.1.10, the signal methods).
//!
//! Always complete for its RP ID, and read in the transaction that made the change: with a partial list, managers would
//! hide passkeys that still work.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::user::User;
use crate::storage::credentials::StoredPasskey;

/// The arguments of `signalAllAcceptedCredentials` and `signalCurrentUserDetails`, for one RP ID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Signal {
    /// The RP ID of the passkeys.
    pub rp_id: String,
    /// The user handle, base64url. It differs from the `sub`.
    pub user_id: String,
    /// The credential IDs of all the user's passkeys under this RP ID, base64url, including suspended ones.
    pub all_accepted_credential_ids: Vec<String>,
    /// The user name to show.
    pub name: String,
    /// The display name to show.
    pub display_name: String,
}

impl Signal {
    /// Builds the signal for one RP ID.
    pub fn new<'a>(user: &User, rp_id: &str, credential_ids: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self {
            rp_id: rp_id.to_owned(),
            user_id: URL_SAFE_NO_PAD.encode(&user.handle),
            all_accepted_credential_ids: credential_ids.into_iter().map(|id| URL_SAFE_NO_PAD.encode(id)).collect(),
            name: user.account_name(),
            display_name: user.display_name(),
        }
    }

    /// Builds the signals for every RP ID in `rp_ids` and for those of the person's passkeys.
    pub fn all(user: &User, passkeys: &[StoredPasskey], rp_ids: impl IntoIterator<Item = String>) -> Vec<Self> {
        let mut rp_ids: Vec<String> = rp_ids.into_iter().collect();
        rp_ids.extend(passkeys.iter().map(|passkey| passkey.rp_id.clone()));
        rp_ids.sort();
        rp_ids.dedup();
        rp_ids
            .iter()
            .map(|rp_id| {
                let of_rp = passkeys.iter().filter(|passkey| passkey.rp_id == *rp_id);
                Self::new(user, rp_id, of_rp.map(|passkey| passkey.credential_id.as_slice()))
            })
            .collect()
    }
}
