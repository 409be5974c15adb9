//! Signing out, and notifying everybody who must know: requests of clients to sign somebody out (RP-Initiated Logout
//! 1.0, here), messages to clients' servers ([`backchannel`]), frames for clients' pages ([`frontchannel`]), and pages
//! that check for themselves ([`session_state`]).
//!
//! What must always hold: nobody is redirected to an address that is not, byte for byte, one of the client's; only a
//! genuine ID token of the very person who is signed in ends their session without confirmation.

pub mod backchannel;
pub mod frontchannel;
pub mod session_state;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::clients::Clients;
use crate::clock::Time;
use crate::domain::client::Client;
use crate::domain::session::Session;
use crate::tokens::Mint;
use crate::tokens::verifier::places;
use crate::web::form::Form;

/// The parameters of a request (RP-Initiated Logout §2). `logout_hint` and `ui_locales` have no effect: a browser has
/// only one account, and the browser's own languages determine the language of the page.
#[derive(Clone, Debug, Default)]
pub struct LogoutRequest<'a> {
    /// An ID token that was issued to the client.
    pub hint: Option<&'a str>,
    /// The client.
    pub client_id: Option<&'a str>,
    /// Where the person is redirected afterwards.
    pub redirect_uri: Option<&'a str>,
    /// Returned there unchanged.
    pub state: Option<&'a str>,
}

impl<'a> LogoutRequest<'a> {
    /// The names of the parameters that are read, for a form that repeats them.
    pub const NAMES: [&'static str; 4] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

    /// Reads the parameters.
    pub fn of(form: &'a Form) -> Self {
        let [hint, client_id, redirect_uri, state] = Self::NAMES.map(|name| form.find(name));
        Self { hint, client_id, redirect_uri, state }
    }
}

/// What a request means.
#[derive(Clone, Debug, Default)]
pub struct Understood {
    /// The client that sent it, if it is known.
    pub client: Option<Arc<Client>>,
    /// The subject of a genuine hint. `None` if the sender of the request is not proven, so that the person must
    /// confirm.
    pub subject: Option<String>,
    /// The session that the hint was issued in. `None` if its tokens outlive the session.
    pub session: Option<String>,
    /// The requested address, if it is one of the client's. `None` for any other address, and if there is a hint that
    /// is not genuine.
    pub redirect_uri: Option<String>,
}

impl Understood {
    /// Whether the request may end this session without confirmation. The hint must be of this session: otherwise
    /// anybody who kept an old one could sign the person out at any time, from any page that leads here (RP-Initiated
    /// Logout §4).
    pub fn is_about(&self, session: &Session, mint: &Mint) -> bool {
        match (&self.client, &self.subject) {
            (Some(client), Some(subject)) => {
                *subject == mint.subject_of(client, session.user)
                    && self.session.as_ref().is_none_or(|sid| *sid == session.id.to_string())
            }
            _ => false,
        }
    }
}

/// Interprets a request. If a hint is not genuine, or was not issued to the named client, the sender is unknown; if the
/// address is not the client's, the hint counts as no proof.
pub fn understand(request: &LogoutRequest<'_>, clients: &Clients, mint: &Mint, now: Time) -> Understood {
    let (client_id, subject, session) = match request.hint {
        None => (request.client_id.map(ToOwned::to_owned), None, None),
        Some(hint) => match read_hint(hint, request.client_id, mint, now) {
            Some(Hint { client, subject, session }) => (Some(client), Some(subject), session),
            None => return Understood::default(),
        },
    };
    let Some(client) = client_id.and_then(|id| clients.find(&id)) else { return Understood::default() };
    match request.redirect_uri {
        Some(uri) if !client.definition.post_logout_redirect_uris.iter().any(|own| own == uri) => {
            Understood { client: Some(client), ..Understood::default() }
        }
        uri => Understood { client: Some(client), subject, session, redirect_uri: uri.map(ToOwned::to_owned) },
    }
}

/// The contents of a genuine ID token, whether or not it has expired.
struct Hint {
    client: String,
    subject: String,
    session: Option<String>,
}

fn read_hint(hint: &str, client: Option<&str>, mint: &Mint, now: Time) -> Option<Hint> {
    match places::id_token_hint(&mint.keys().ring(), mint.issuer(), client, hint, now) {
        Ok(token) => {
            let claims = token.into_claims();
            let mut audiences = claims.aud.iter();
            match (audiences.next(), audiences.next()) {
                (Some(client), None) => {
                    Some(Hint { client: client.to_owned(), subject: claims.sub, session: claims.sid })
                }
                _ => None,
            }
        }
        Err(refusal) => {
            tracing::info!(reason = %refusal, "an id_token_hint was refused");
            None
        }
    }
}

/// An address of the client's with `state` added. It is handled as text, not as a parsed URL, so that the client's own
/// bytes remain.
pub fn with_state(uri: &str, state: Option<&str>) -> String {
    let Some(state) = state else { return uri.to_owned() };
    let state: String = url::form_urlencoded::byte_serialize(state.as_bytes()).collect();
    // A plus sign is a space only in form encoding.
    let state = state.replace('+', "%20");
    format!("{uri}{}state={state}", if uri.contains('?') { '&' } else { '?' })
}

/// The logout part of the discovery document. The session iframe does not work in browsers without third-party cookies,
/// so it is listed only if an operator wants it.
pub fn metadata(issuer: &str, check_iframe: bool) -> Vec<(&'static str, Value)> {
    let mut metadata = vec![
        ("backchannel_logout_supported", json!(true)),
        ("backchannel_logout_session_supported", json!(true)),
        ("frontchannel_logout_supported", json!(true)),
        ("frontchannel_logout_session_supported", json!(true)),
    ];
    if check_iframe {
        metadata.push(("check_session_iframe", json!(format!("{issuer}/oauth/session/check"))));
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_added_to_the_clients_own_bytes() {
        for (uri, state, expected) in [
            ("https://app.example", None, "https://app.example"),
            ("https://app.example", Some("a b+c&d=\u{e4}"), "https://app.example?state=a%20b%2Bc%26d%3D%C3%A4"),
            ("https://app.example/?x=1", Some("y"), "https://app.example/?x=1&state=y"),
            ("com.example.app:/done", Some("y"), "com.example.app:/done?state=y"),
        ] {
            assert_eq!(with_state(uri, state), expected);
        }
    }

    #[test]
    fn the_session_iframe_is_told_of_only_where_it_is_wanted() {
        let has =
            |wanted| metadata("https://id.example", wanted).iter().any(|(name, _)| *name == "check_session_iframe");
        assert!(has(true) && !has(false));
    }
}
