//! The authorization request of a NATS server: a JWT of its own about one connection.
//!
//! What must always hold: the request is signed by the server that it names, is intended for the callout service, and
//! has not expired. NATS itself ensures that only servers can publish on the subject.

use std::net::IpAddr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::bridge::nkey::{self, Role};
use crate::clock::Time;
use crate::domain::secret::Secret;
use crate::domain::strict_json::parse_object;

/// The audience of a request.
const AUDIENCE: &str = "nats-authorization-request";
/// Tolerated difference between clocks, in seconds.
const LEEWAY: i64 = 30;

/// A verified authorization request.
#[derive(Debug)]
pub struct Asked {
    /// The server, `N…`.
    pub server: String,
    /// The key that it created for the connection, `U…`.
    pub user: String,
    /// The token or password that the connection sent.
    pub token: Option<Secret<String>>,
    /// The address of the connecting client.
    pub host: Option<IpAddr>,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoQuestion {
    /// It is not a NATS JWT.
    #[error("it is no JWT of NATS")]
    Form,
    /// It is not signed by the server that it names.
    #[error("it is not signed by the server that it names")]
    Signature,
    /// It is a JWT for another purpose.
    #[error("it is a JWT for something else")]
    Kind,
    /// It has expired, or is not valid yet.
    #[error("it is not of this moment")]
    Time,
    /// It names no connection.
    #[error("it names no user key")]
    User,
}

impl Asked {
    /// Parses and verifies a request.
    ///
    /// # Errors
    /// [`NoQuestion`].
    pub fn read(payload: &[u8], now: Time) -> Result<Self, NoQuestion> {
        let text = std::str::from_utf8(payload).map_err(|_| NoQuestion::Form)?;
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else { return Err(NoQuestion::Form) };
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| NoQuestion::Form);
        let object = |part: &str| parse_object(&decoded(part)?).map_err(|_| NoQuestion::Form);
        let (head, claims, signature) = (object(header)?, object(claims)?, decoded(signature)?);
        if head.get("alg").and_then(Value::as_str) != Some("ed25519-nkey") {
            return Err(NoQuestion::Form);
        }
        let server = text_at(&claims, "iss").ok_or(NoQuestion::Form)?;
        let key = nkey::key_of(Role::Server, server).ok_or(NoQuestion::Form)?;
        let signed = &text[..text.len() - parts[2].len() - 1];
        UnparsedPublicKey::new(&ED25519, key)
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| NoQuestion::Signature)?;
        Self::of_claims(&claims, server, now.timestamp())
    }

    fn of_claims(claims: &Map<String, Value>, server: &str, now: i64) -> Result<Self, NoQuestion> {
        let nats = claims.get("nats").and_then(Value::as_object).ok_or(NoQuestion::Kind)?;
        let own = nats.get("server_id").and_then(|id| id["id"].as_str()) == Some(server);
        if text_at(claims, "aud") != Some(AUDIENCE) || text_at(nats, "type") != Some("authorization_request") || !own {
            return Err(NoQuestion::Kind);
        }
        let seconds = |name| claims.get(name).and_then(Value::as_i64);
        let begun = seconds("iat").is_some_and(|iat| iat <= now + LEEWAY);
        if !begun || seconds("exp").is_none_or(|exp| exp.saturating_add(LEEWAY) <= now) {
            return Err(NoQuestion::Time);
        }
        let user =
            text_at(nats, "user_nkey").filter(|user| nkey::is_public(Role::User, user)).ok_or(NoQuestion::User)?;
        let said =
            |name: &str| nats.get("connect_opts").and_then(|said| said[name].as_str()).filter(|text| !text.is_empty());
        let host = nats.get("client_info").and_then(|client| client["host"].as_str());
        Ok(Self {
            server: server.to_owned(),
            user: user.to_owned(),
            token: said("auth_token").or_else(|| said("pass")).map(|token| Secret::new(token.to_owned())),
            host: host.and_then(|host| host.parse().ok()),
        })
    }
}

fn text_at<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
