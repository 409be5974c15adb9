//! The envelope: `RegistrationResponseJSON` and `AuthenticationResponseJSON` (WebAuthn Level 3, §5.1).
//!
//! Unknown members are tolerated, because browsers and extensions add some; none is passed on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use webauthn_rs_core::proto::{
    AuthenticationExtensionsClientOutputs, AuthenticatorAssertionResponseRaw, AuthenticatorAttestationResponseRaw,
    CredProps, PublicKeyCredential, RegisterPublicKeyCredential, RegistrationExtensionsClientOutputs,
};

use super::json::{self, Json, Object};
use super::{
    CREDENTIAL_ID_BYTES, Ceremony, MAX_ATTESTATION_OBJECT, MAX_AUTH_DATA, MAX_CLIENT_DATA, MAX_CREDENTIAL_JSON,
    MAX_SIGNATURE, MAX_USER_HANDLE, Reason,
};

const PUBLIC_KEY: &str = "public-key";
const MAX_TRANSPORTS: usize = 8;
const MAX_TRANSPORT_LENGTH: usize = 32;

/// The outer members, checked; the response is still JSON.
pub struct Envelope<'a> {
    /// The credential ID.
    pub raw_id: Vec<u8>,
    members: Object<'a>,
}

/// The response of `create()`.
pub struct RegistrationResponse {
    pub client_data_json: Vec<u8>,
    pub attestation_object: Vec<u8>,
    pub transports: Vec<String>,
}

/// The response of `get()`.
pub struct AuthenticationResponse {
    pub client_data_json: Vec<u8>,
    pub authenticator_data: Vec<u8>,
    pub signature: Vec<u8>,
    pub user_handle: Option<Vec<u8>>,
}

/// Parses the outer members, and refuses a response from the other ceremony.
pub fn read(credential: &[u8], ceremony: Ceremony) -> Result<Envelope<'_>, Reason> {
    if credential.len() > MAX_CREDENTIAL_JSON {
        return Err(Reason::TooLarge("credential"));
    }
    let members = json::object(credential).map_err(|fault| Reason::Json { member: "credential", fault })?;
    if text(&members, "type")? != PUBLIC_KEY {
        return Err(Reason::CredentialType);
    }
    let raw_id = text(&members, "rawId")?;
    // Both are canonical, so equal bytes have equal text.
    if text(&members, "id")? != raw_id {
        return Err(Reason::IdMismatch);
    }
    if raw_id.len() > encoded_length(*CREDENTIAL_ID_BYTES.end()) {
        return Err(Reason::CredentialIdLength);
    }
    let raw_id = decode(raw_id, "rawId", *CREDENTIAL_ID_BYTES.end())?;
    if !CREDENTIAL_ID_BYTES.contains(&raw_id.len()) {
        return Err(Reason::CredentialIdLength);
    }
    let envelope = Envelope { raw_id, members };
    let foreign: &[&str] = match ceremony {
        Ceremony::Registration => &["signature", "userHandle"],
        Ceremony::Authentication => &["attestationObject"],
    };
    let response = envelope.response()?;
    if foreign.iter().any(|name| response.get_non_null(name).is_some()) {
        return Err(Reason::OtherCeremony);
    }
    Ok(envelope)
}

impl<'a> Envelope<'a> {
    fn response(&self) -> Result<&Object<'a>, Reason> {
        let response = self.members.get_non_null("response").ok_or(Reason::Missing("response"))?;
        response.as_object().ok_or(Reason::WrongType("response"))
    }

    /// The members that a registration needs.
    pub fn registration_response(&self) -> Result<RegistrationResponse, Reason> {
        let response = self.response()?;
        Ok(RegistrationResponse {
            client_data_json: required(response, "clientDataJSON", MAX_CLIENT_DATA)?,
            attestation_object: required(response, "attestationObject", MAX_ATTESTATION_OBJECT)?,
            transports: transports(response),
        })
    }

    /// The members that an authentication needs.
    pub fn authentication_response(&self) -> Result<AuthenticationResponse, Reason> {
        let response = self.response()?;
        Ok(AuthenticationResponse {
            client_data_json: required(response, "clientDataJSON", MAX_CLIENT_DATA)?,
            authenticator_data: required(response, "authenticatorData", MAX_AUTH_DATA)?,
            signature: required(response, "signature", MAX_SIGNATURE)?,
            user_handle: user_handle(response)?,
        })
    }

    /// `authenticatorAttachment`; according to WebAuthn §5.1, values outside the enumeration count as absent.
    pub fn attachment(&self) -> Option<String> {
        let attachment = self.members.get("authenticatorAttachment")?.as_text()?;
        ["platform", "cross-platform"].contains(&attachment).then(|| attachment.to_owned())
    }

    /// `clientExtensionResults.credProps.rk`. Anything else that the client claims about extensions is ignored: it is
    /// unsigned, and must not decide whether a ceremony succeeds.
    pub fn resident_key(&self) -> Option<bool> {
        let results = self.members.get("clientExtensionResults")?.as_object()?;
        match results.get("credProps")?.as_object()?.get("rk")? {
            Json::Bool(rk) => Some(*rk),
            _ => None,
        }
    }
}

/// The registration in the library's form: no transports, and of the extensions only `credProps`.
pub fn for_registration(
    raw_id: Vec<u8>,
    attestation_object: Vec<u8>,
    client_data_json: Vec<u8>,
    resident_key: Option<bool>,
) -> RegisterPublicKeyCredential {
    RegisterPublicKeyCredential {
        id: URL_SAFE_NO_PAD.encode(&raw_id),
        raw_id,
        response: AuthenticatorAttestationResponseRaw { attestation_object, client_data_json, transports: None },
        type_: PUBLIC_KEY.to_owned(),
        extensions: RegistrationExtensionsClientOutputs {
            cred_props: resident_key.map(|rk| CredProps { rk: Some(rk) }),
            ..RegistrationExtensionsClientOutputs::default()
        },
    }
}

/// The assertion in the library's form, without extension outputs, so that no client can claim `appid`.
pub fn for_authentication(raw_id: Vec<u8>, response: AuthenticationResponse) -> PublicKeyCredential {
    PublicKeyCredential {
        id: URL_SAFE_NO_PAD.encode(&raw_id),
        raw_id,
        response: AuthenticatorAssertionResponseRaw {
            authenticator_data: response.authenticator_data,
            client_data_json: response.client_data_json,
            signature: response.signature,
            user_handle: response.user_handle,
        },
        extensions: AuthenticationExtensionsClientOutputs::default(),
        type_: PUBLIC_KEY.to_owned(),
    }
}

/// A required string member.
pub fn text<'o>(object: &'o Object<'_>, name: &'static str) -> Result<&'o str, Reason> {
    let value = object.get_non_null(name).ok_or(Reason::Missing(name))?;
    value.as_text().ok_or(Reason::WrongType(name))
}

/// Canonical base64url without padding (RFC 4648 §5), of at least one and at most `largest` bytes.
pub fn decode(text: &str, name: &'static str, largest: usize) -> Result<Vec<u8>, Reason> {
    if text.is_empty() {
        return Err(Reason::Empty(name));
    }
    if text.len() > encoded_length(largest) {
        return Err(Reason::TooLarge(name));
    }
    // This engine rejects padding and non-zero trailing bits.
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Reason::NotBase64Url(name))
}

const fn encoded_length(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

fn required(object: &Object<'_>, name: &'static str, largest: usize) -> Result<Vec<u8>, Reason> {
    decode(text(object, name)?, name, largest)
}

/// The user handle, if there is one. An empty one counts as absent: Safari sends it for a security key that stores
/// none.
fn user_handle(response: &Object<'_>) -> Result<Option<Vec<u8>>, Reason> {
    let name = "userHandle";
    let Some(value) = response.get_non_null(name) else { return Ok(None) };
    match value.as_text().ok_or(Reason::WrongType(name))? {
        "" => Ok(None),
        text => decode(text, name, MAX_USER_HANDLE).map(Some),
    }
}

/// The well-formed transports; the rest is dropped. They are hints, and future values must not fail a ceremony.
fn transports(response: &Object<'_>) -> Vec<String> {
    let Some(Json::Array(values)) = response.get("transports") else { return Vec::new() };
    let known_form = |word: &&str| {
        (1..=MAX_TRANSPORT_LENGTH).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    values.iter().filter_map(Json::as_text).filter(known_form).take(MAX_TRANSPORTS).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name, the input, the verdict.
    type Row<'a> = (&'a str, &'a str, Result<&'a [u8], Reason>);

    #[test]
    fn base64url_has_one_spelling() {
        let table: &[Row] = &[
            ("three bytes", "AQID", Ok(&[1, 2, 3])),
            ("two bytes", "AQI", Ok(&[1, 2])),
            ("url alphabet", "-_8", Ok(&[0xfb, 0xff])),
            ("standard alphabet", "+/8", Err(Reason::NotBase64Url("m"))),
            ("padded", "AQI=", Err(Reason::NotBase64Url("m"))),
            ("trailing bits", "AQJ", Err(Reason::NotBase64Url("m"))),
            ("one character too many", "AQIDA", Err(Reason::TooLarge("m"))),
            ("one character", "A", Err(Reason::NotBase64Url("m"))),
            ("white space", "A QI", Err(Reason::NotBase64Url("m"))),
            ("nothing", "", Err(Reason::Empty("m"))),
        ];
        for (name, text, verdict) in table {
            assert_eq!(decode(text, "m", 3).as_deref(), verdict.as_ref().map(|bytes| *bytes), "{name}");
        }
    }

    #[test]
    fn transports_keep_known_forms_only() {
        let response = br#"{"transports":["internal","smart-card","USB","", 7,null,"<script>",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","a","b","c","d","e","f","g"]}"#;
        let response = json::object(response).unwrap();
        assert_eq!(transports(&response), ["internal", "smart-card", "a", "b", "c", "d", "e", "f"]);
        assert!(transports(&json::object(br#"{"transports":"internal"}"#).unwrap()).is_empty());
        assert!(transports(&json::object(b"{}").unwrap()).is_empty());
    }
}
