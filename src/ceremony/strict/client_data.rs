//! The collected client data (WebAuthn Level 3, §5.8.1): what the browser, rather than the page, states about the
//! ceremony.

use super::credential::{decode, text};
use super::json::{self, Json, Object};
use super::{Ceremony, MAX_CLIENT_DATA, Reason, Refusal};

/// The members that are compared with what the server knows.
pub struct ClientData {
    /// The challenge, decoded.
    pub challenge: Vec<u8>,
    origin: String,
}

/// Parses the client data and checks everything except the challenge and the origin.
///
/// Unknown members are allowed (browsers add random ones so that nobody compares the whole object), duplicate ones are
/// not.
pub fn read(bytes: &[u8], ceremony: Ceremony) -> Result<ClientData, Reason> {
    if bytes.len() > MAX_CLIENT_DATA {
        return Err(Reason::TooLarge("clientDataJSON"));
    }
    // A BOM or white space around the object would be part of the hash, but skipped by some parsers and not by others.
    if bytes.first() != Some(&b'{') || bytes.last() != Some(&b'}') {
        return Err(Reason::ClientDataFraming);
    }
    let data = json::object(bytes).map_err(|fault| Reason::Json { member: "clientDataJSON", fault })?;
    let wanted = match ceremony {
        Ceremony::Registration => "webauthn.create",
        Ceremony::Authentication => "webauthn.get",
    };
    if text(&data, "type")? != wanted {
        return Err(Reason::ClientDataType);
    }
    if !matches!(data.get("crossOrigin"), None | Some(Json::Bool(false))) {
        return Err(Reason::CrossOrigin);
    }
    if data.get("topOrigin").is_some() {
        return Err(Reason::TopOrigin);
    }
    token_binding(&data)?;
    Ok(ClientData {
        challenge: decode(text(&data, "challenge")?, "challenge", MAX_CLIENT_DATA)?,
        origin: text(&data, "origin")?.to_owned(),
    })
}

/// Level 2 (§7.1 step 10, §7.2 step 14) compares `tokenBinding.status` with the TLS connection; Level 3 reserves the
/// member. This server never negotiates token binding, so `present` cannot be true here, and neither can an `id`;
/// `supported` (and `not-supported` of Level 1 drafts) only describes the client and is allowed.
fn token_binding(data: &Object<'_>) -> Result<(), Reason> {
    let Some(binding) = data.get("tokenBinding") else { return Ok(()) };
    let binding = binding.as_object().ok_or(Reason::TokenBinding)?;
    let status = binding.get("status").and_then(Json::as_text);
    let harmless = matches!(status, Some("supported" | "not-supported")) && binding.get("id").is_none();
    if harmless { Ok(()) } else { Err(Reason::TokenBinding) }
}

impl ClientData {
    /// The origin, if it is in the list. It is compared byte for byte, because a URL has many spellings and an origin
    /// only one.
    pub fn origin_among(&self, expected: &[String]) -> Result<String, Refusal> {
        if expected.contains(&self.origin) {
            Ok(self.origin.clone())
        } else {
            Err(Refusal::WrongOrigin { received: self.origin.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#""type":"webauthn.get","challenge":"AQID","origin":"https://id.example""#;

    #[test]
    fn members_by_name() {
        let json = |fault| Err(Reason::Json { member: "clientDataJSON", fault });
        let table: &[(&str, String, Result<(), Reason>)] = &[
            ("plain", format!("{{{HEAD}}}"), Ok(())),
            ("crossOrigin false", format!(r#"{{{HEAD},"crossOrigin":false}}"#), Ok(())),
            ("crossOrigin true", format!(r#"{{{HEAD},"crossOrigin":true}}"#), Err(Reason::CrossOrigin)),
            ("crossOrigin null", format!(r#"{{{HEAD},"crossOrigin":null}}"#), Err(Reason::CrossOrigin)),
            ("crossOrigin text", format!(r#"{{{HEAD},"crossOrigin":"false"}}"#), Err(Reason::CrossOrigin)),
            ("topOrigin", format!(r#"{{{HEAD},"topOrigin":"https://id.example"}}"#), Err(Reason::TopOrigin)),
            ("topOrigin null", format!(r#"{{{HEAD},"topOrigin":null}}"#), Err(Reason::TopOrigin)),
            ("binding supported", format!(r#"{{{HEAD},"tokenBinding":{{"status":"supported"}}}}"#), Ok(())),
            (
                "binding present",
                format!(r#"{{{HEAD},"tokenBinding":{{"status":"present","id":"AQ"}}}}"#),
                Err(Reason::TokenBinding),
            ),
            (
                "binding with an id",
                format!(r#"{{{HEAD},"tokenBinding":{{"status":"supported","id":"AQ"}}}}"#),
                Err(Reason::TokenBinding),
            ),
            ("binding without status", format!(r#"{{{HEAD},"tokenBinding":{{}}}}"#), Err(Reason::TokenBinding)),
            ("unknown member", format!(r#"{{{HEAD},"other_keys_can_be_added_here":"x"}}"#), Ok(())),
            ("unknown member twice", format!(r#"{{{HEAD},"x":1,"x":1}}"#), json(json::Fault::Duplicate)),
            ("space before", format!(" {{{HEAD}}}"), Err(Reason::ClientDataFraming)),
            ("space after", format!("{{{HEAD}}}\n"), Err(Reason::ClientDataFraming)),
            ("BOM", format!("\u{feff}{{{HEAD}}}"), Err(Reason::ClientDataFraming)),
            ("two objects", format!("{{{HEAD}}}{{}}"), json(json::Fault::Syntax)),
            ("too large", format!(r#"{{{HEAD},"x":"{}"}}"#, "x".repeat(4096)), Err(Reason::TooLarge("clientDataJSON"))),
        ];
        for (name, data, verdict) in table {
            assert_eq!(read(data.as_bytes(), Ceremony::Authentication).map(drop), *verdict, "{name}");
        }
        let swapped = read(format!("{{{HEAD}}}").as_bytes(), Ceremony::Registration).map(drop);
        assert_eq!(swapped, Err(Reason::ClientDataType));
    }
}
