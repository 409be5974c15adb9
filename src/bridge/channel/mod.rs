//! Signatures for sockets and channels, as Pusher's client libraries request them.
//!
//! What must always hold: the signed string consists of a socket ID, a channel name and a document, separated by
//! colons; neither of the first two can contain a colon ([`names`]), so a signature never has two meanings.
//!
//! Source: pusher.com/docs/channels/library_auth_reference/auth-signatures.

pub mod handlers;
pub mod names;

use aws_lc_rs::hmac;

use self::names::{Channel, Pattern, Socket};
use super::preset::pusher;
use super::preset::way::Way;
use super::{BridgeError, BridgeToken, Bridges, MintRequest};
use crate::clock::Time;
use crate::domain::text::hex;
use crate::tokens::MintError;

/// What the signature is for.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// Subscribing to a channel.
    Channel(Channel<'a>),
    /// Authenticating the person on a connection.
    User,
}

/// A signature, and the data that was signed with it.
#[derive(Clone, Debug)]
pub struct Signed {
    /// `key:signature`
    pub auth: String,
    /// The person's data, for a presence channel or a connection.
    pub told: Option<String>,
    /// For the audit trail.
    pub minted: BridgeToken,
}

/// The signature of a text, in hexadecimal.
pub fn sign(secret: &[u8], text: &str) -> String {
    hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes()).as_ref())
}

impl Bridges {
    /// Signs for a socket, if the bridge's rule permits the request and the channel is one of the person's.
    ///
    /// # Errors
    /// [`BridgeError`]; [`BridgeError::Channel`] for somebody else's channel.
    pub async fn sign_channel(
        &self,
        name: &str,
        request: &MintRequest<'_>,
        (socket, asked): (Socket<'_>, Asked<'_>),
        now: Time,
    ) -> Result<Signed, BridgeError> {
        let (entry, facts) = self.allowed(name, Way::Channels, request, now).await?;
        let id = crate::random::uuid();
        let rendered = entry.bridge.render(&facts, now, id)?;
        let (claims, socket) = (&rendered.claims, socket.as_str());
        let (text, told) = match asked {
            Asked::User => {
                let told = pusher::told(claims, "id");
                (format!("{socket}::user::{told}"), Some(told))
            }
            Asked::Channel(channel) => {
                let mut channels = claims["channels"].as_array().into_iter().flatten().filter_map(|one| one.as_str());
                if !channels.any(|one| Pattern::parse(one).is_some_and(|pattern| pattern.holds(channel))) {
                    return Err(BridgeError::Channel);
                }
                let told = channel.has_members().then(|| pusher::told(claims, "user_id"));
                let end = told.as_ref().map(|told| format!(":{told}")).unwrap_or_default();
                (format!("{socket}:{}{end}", channel.as_str()), told)
            }
        };
        // A bridge of this kind cannot exist without a secret.
        let missing =
            || MintError::NoKey { usage: format!("bridge:{name}"), algorithm: crate::tokens::keys::Algorithm::HS256 };
        let secret = entry.bridge.shared_secret().ok_or_else(missing)?;
        let auth = format!("{}:{}", entry.bridge.plan().issuer, sign(secret, &text));
        super::minting::count(name);
        let (bridge, token) = (name.to_owned(), auth.clone());
        let act = facts.act.clone();
        let minted = BridgeToken { bridge, token, expires_in: 0, id, subject: None, claims_sha256: None, act };
        Ok(Signed { auth, told, minted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples in Pusher's documentation of authentication signatures.
    #[test]
    fn signatures_are_pushers() {
        let secret = b"7ad3773142a6692b25b8";
        assert_eq!(
            sign(secret, "1234.1234:private-foobar"),
            "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
        );
        assert_eq!(
            sign(secret, "1234.1234:presence-foobar:{\"user_id\":10,\"user_info\":{\"name\":\"Mr. Channels\"}}"),
            "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80"
        );
        assert_eq!(
            sign(secret, "1234.1234::user::{\"id\":\"12345\"}"),
            "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba"
        );
    }
}
