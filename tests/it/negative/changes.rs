//! Single changes to a genuine passkey's message, as values that a table can hold.

use std::sync::Arc;

use serde_json::Value;

use crate::authenticator::Authenticator;

/// A change.
pub type Change = Box<dyn Fn(&mut Authenticator)>;

/// Changes the text of the client data.
pub fn text(change: impl Fn(String) -> String + Send + Sync + 'static) -> impl Fn(&mut Authenticator) {
    let change = Arc::new(change);
    move |passkey| {
        let change = Arc::clone(&change);
        passkey.hooks.client_data = Some(Box::new(move |text| change(text).into_bytes()));
    }
}

/// Adds a member at the end of the client data.
pub fn added(member: &'static str) -> impl Fn(&mut Authenticator) {
    text(move |text| format!("{},{member}}}", &text[..text.len() - 1]))
}

/// Changes the value of the challenge.
pub fn challenge(change: impl Fn(&str) -> String + Send + Sync + 'static) -> impl Fn(&mut Authenticator) {
    text(move |text| {
        let (before, rest) = text.split_once(r#""challenge":""#).unwrap();
        let (value, after) = rest.split_once('"').unwrap();
        format!(r#"{before}"challenge":"{}"{after}"#, change(value))
    })
}

/// Sets the origin that the browser reports, as it appears in the JSON.
pub fn origin(origin: &'static str) -> impl Fn(&mut Authenticator) {
    move |passkey| origin.clone_into(&mut passkey.origin)
}

macro_rules! bytes_hooks {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> impl Fn(&mut Authenticator) {
            let change = Arc::new(change);
            move |passkey| {
                let change = Arc::clone(&change);
                passkey.hooks.$name = Some(Box::new(move |bytes| change(bytes)));
            }
        })*
    };
}

bytes_hooks! {
    /// The COSE key.
    public_key;
    /// The authenticator data.
    auth_data;
    /// The attestation object.
    attestation_object;
    /// The signature.
    signature;
}

/// Changes the finished JSON.
pub fn response(change: impl Fn(&mut Value) + Send + Sync + 'static) -> impl Fn(&mut Authenticator) {
    let change = Arc::new(change);
    move |passkey| {
        let change = Arc::clone(&change);
        passkey.hooks.response = Some(Box::new(move |answer| change(answer)));
    }
}

/// Sets an outer member of the finished JSON.
pub fn outer(name: &'static str, value: Value) -> impl Fn(&mut Authenticator) {
    response(move |answer| answer[name] = value.clone())
}

/// Sets a member of `response` in the finished JSON.
pub fn inner(name: &'static str, value: Value) -> impl Fn(&mut Authenticator) {
    response(move |answer| answer["response"][name] = value.clone())
}

/// Sets the format and statement of the attestation.
pub fn attestation(format: &'static str, statement: Vec<u8>) -> impl Fn(&mut Authenticator) {
    move |passkey| passkey.attestation = (format.to_owned(), statement.clone())
}

/// Sets the extension outputs.
pub fn extensions(encoded: Vec<u8>) -> impl Fn(&mut Authenticator) {
    move |passkey| passkey.extensions = Some(encoded.clone())
}

/// Sets a credential id of this length.
pub fn id_of(length: usize) -> impl Fn(&mut Authenticator) {
    move |passkey| {
        let mut id = passkey.credential_id.clone();
        id.resize(length, 7);
        passkey.credential_id = id;
    }
}

pub fn appended(mut bytes: Vec<u8>, tail: &[u8]) -> Vec<u8> {
    bytes.extend_from_slice(tail);
    bytes
}
