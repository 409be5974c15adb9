//! Notifies clients' pages in the person's browser that a session ended (OpenID Connect Front-Channel Logout 1.0): the
//! page shown after signing out loads a URL of each client in a hidden frame.

use url::{Host, Url};

use crate::domain::client::Client;
use crate::domain::id::SessionId;

/// A frame to load, and the source that the page's Content Security Policy must allow for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The URL.
    pub address: String,
    /// Its origin; for an IPv6 host only the scheme, because a policy cannot contain its address (Content Security
    /// Policy Level 3 §2.3.1).
    pub origin: String,
}

/// The frame of a client, if it has one. `iss` and `sid` are added if it requires them (§2), and nothing else.
pub fn frame(client: &Client, issuer: &str, session: SessionId) -> Option<Frame> {
    let mut address = Url::parse(client.definition.frontchannel_logout_uri.as_deref()?).ok()?;
    if client.definition.frontchannel_logout_session_required {
        address.query_pairs_mut().append_pair("iss", issuer).append_pair("sid", &session.to_string());
    }
    let origin = address.origin();
    let source = match address.host() {
        Some(Host::Ipv6(_)) => format!("{}:", address.scheme()),
        _ => origin.ascii_serialization(),
    };
    origin.is_tuple().then(|| Frame { address: address.into(), origin: source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::ClientDefinition;

    #[test]
    fn a_frame_has_what_its_client_wants_and_nothing_more() {
        let session = SessionId::new(uuid::Uuid::nil());
        let sid = session.to_string();
        for (uri, wants, expected) in [
            ("https://app.example/out", false, Some("https://app.example/out".to_owned())),
            (
                "https://app.example/out",
                true,
                Some(format!("https://app.example/out?iss=https%3A%2F%2Fid.example&sid={sid}")),
            ),
            (
                "https://app.example/out?a=b",
                true,
                Some(format!("https://app.example/out?a=b&iss=https%3A%2F%2Fid.example&sid={sid}")),
            ),
            ("https://[2001:db8::1]:8443/out", false, Some("https://[2001:db8::1]:8443/out".to_owned())),
            ("data:text/html,x", false, None),
        ] {
            let client = Client {
                id: "app".to_owned(),
                definition: ClientDefinition {
                    frontchannel_logout_uri: Some(uri.to_owned()),
                    frontchannel_logout_session_required: wants,
                    ..ClientDefinition::default()
                },
                secret: None,
                previous_secret: None,
                unverified_since: None,
            };
            let frame = frame(&client, "https://id.example", session);
            assert_eq!(frame.as_ref().map(|frame| frame.address.clone()), expected, "{uri}");
            let source = if uri.contains('[') { "https:" } else { "https://app.example" };
            assert!(frame.is_none_or(|frame| frame.origin == source), "{uri}");
        }
    }
}
