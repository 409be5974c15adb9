//! Signing out, and telling everybody who must know: what a client's request to sign somebody out means (RP-Initiated
//! Logout 1.0, here), our servers to clients' servers ([`backchannel`]), the browser to clients' pages ([`frontchannel`]),
//! and pages that look for themselves ([`session_state`]).
//!
//! What must always hold: nobody is sent to an address that is not, byte for byte, one of the client's; only a genuine ID
//! token of the very person who is signed in ends their session without a question.

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

/// What a client asks for (RP-Initiated Logout §2). `logout_hint` and `ui_locales` change nothing: there is one account in
/// a browser, and its own languages choose the page's.
#[derive(Clone, Debug, Default)]
pub struct LogoutRequest<'a> {
    /// An ID token that we gave the client.
    pub hint: Option<&'a str>,
    /// The client.
    pub client_id: Option<&'a str>,
    /// Where the person is to go afterwards.
    pub redirect_uri: Option<&'a str>,
    /// Goes there unchanged.
    pub state: Option<&'a str>,
}

impl<'a> LogoutRequest<'a> {
    /// The names of the parameters that are read, for a form that carries them on.
    pub const NAMES: [&'static str; 4] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

    /// Reads the parameters.
    pub fn of(form: &'a Form) -> Self {
        let [hint, client_id, redirect_uri, state] = Self::NAMES.map(|name| form.find(name));
        Self { hint, client_id, redirect_uri, state }
    }
}

/// What a request turned out to be.
#[derive(Clone, Debug, Default)]
pub struct Understood {
    /// The client that asks, as far as it is known.
    pub client: Option<Arc<Client>>,
    /// Whom a genuine hint is about; none: it is not known who sent the request, so the person must be asked.
    pub subject: Option<String>,
    /// The session that the hint is from; none where the tokens outlive it.
    pub session: Option<String>,
    /// The client's own address that was asked for. None for any other, and next to a hint that is not genuine.
    pub redirect_uri: Option<String>,
}

impl Understood {
    /// Whether the request may end this session without a question. A hint that is kept from an earlier session would sign the
    /// person out for ever, from any page that leads here (RP-Initiated Logout §4).
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

/// Reads a request. A hint that is not genuine, or is not for the client that is named, makes it a request of nobody; an
/// address that is not the client's takes away what the hint proved.
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

/// What a genuine ID token says, expired or not.
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

/// An address of the client's with `state` and nothing more. Text, not a parsed URL: the client's own bytes stay.
pub fn with_state(uri: &str, state: Option<&str>) -> String {
    let Some(state) = state else { return uri.to_owned() };
    let state: String = url::form_urlencoded::byte_serialize(state.as_bytes()).collect();
    // A plus is a space only to those who read a form.
    let state = state.replace('+', "%20");
    format!("{uri}{}state={state}", if uri.contains('?') { '&' } else { '?' })
}

/// What discovery says of all this. Browsers without third-party cookies break the session iframe, so it is only told of
/// where an operator wants it.
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
