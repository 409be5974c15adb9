//! An audit event as it is sent to a receiver.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::user::User;
use crate::storage::audit::Recorded;
use crate::web::audit_event::AuditEvent;

/// Maximum size of a body, as Standard Webhooks advises.
const MOST: usize = 20_000;

/// A message as stored in the outbox.
#[derive(Debug, Deserialize)]
pub struct Message {
    /// The name of its receiver.
    pub to: String,
    /// The event.
    pub event: Recorded,
}

impl Message {
    /// The ID of the message about an event: the same for every attempt and every replay, and different on every
    /// installation.
    pub fn id(&self, issuer: &str) -> String {
        id(issuer, &self.event.id.to_string())
    }

    /// The body: the event as in the administration API, and the person if the receiver may know them.
    pub fn body(self, person: Option<&User>) -> Vec<u8> {
        let (kind, at) = (self.event.kind.clone(), self.event.at);
        // Structs of strings, numbers and times can always be serialized.
        let mut data = serde_json::to_value(AuditEvent::from(self.event)).unwrap_or_default();
        if let Some(person) = person {
            data["person"] = json!({
                "email": person.email, "emailVerified": person.email_verified_at.is_some(), "name": person.name,
            });
        }
        let body = |data: &Value| {
            let timestamp = at.to_rfc3339_opts(SecondsFormat::Millis, true);
            json!({ "type": kind, "timestamp": timestamp, "data": data }).to_string().into_bytes()
        };
        let whole = body(&data);
        if whole.len() <= MOST {
            return whole;
        }
        data["detail"] = json!({});
        data["truncated"] = true.into();
        body(&data)
    }
}

/// The ID of a message. It contains no `.`, which separates it from the rest of the signed content.
pub fn id(issuer: &str, what: &str) -> String {
    let digest = digest(&SHA256, format!("{issuer}\n{what}").as_bytes());
    format!("msg_{}", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..24]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;

    fn message(detail: Value) -> Message {
        let event = Recorded {
            id: 7,
            at: Time::UNIX_EPOCH,
            kind: "passkey.added".into(),
            user_id: None,
            session_id: None,
            client_id: None,
            subject: Some("p".into()),
            subject_name: None,
            address_class: None,
            request_id: None,
            detail,
        };
        Message { to: "crm".into(), event }
    }

    fn read(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap()
    }

    #[test]
    fn a_body_is_the_event() {
        let body = read(&message(json!({ "acr": "phr" })).body(None));
        let expected = json!({
            "type": "passkey.added", "timestamp": "1970-01-01T00:00:00.000Z",
            "data": { "id": 7, "at": "1970-01-01T00:00:00Z", "kind": "passkey.added", "subject": "p", "detail": { "acr": "phr" } },
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_detail_that_is_too_long_is_left_out_and_that_is_said() {
        let body = message(json!({ "long": "x".repeat(30_000) })).body(None);
        assert!(body.len() < 1000);
        let body = read(&body);
        assert_eq!((&body["data"]["truncated"], &body["data"]["detail"]), (&json!(true), &json!({})));
    }

    #[test]
    fn the_id_is_of_the_event_and_the_installation() {
        let id = |issuer| message(json!({})).id(issuer);
        assert_eq!(id("https://a.example"), id("https://a.example"));
        assert_ne!(id("https://a.example"), id("https://b.example"));
        assert!(!id("https://a.example").contains('.'));
    }

    /// Verifies that what the trigger writes can be parsed here.
    #[test]
    fn a_row_of_the_outbox_reads() {
        let row = json!({ "to": "crm", "event": {
            "id": 1, "at": "2026-11-21T10:00:00.123456+00:00", "kind": "user.created", "user_id": null, "session_id": null,
            "client_id": null, "subject": null, "subject_name": null, "address_class": null, "request_id": null, "detail": {},
        } });
        assert_eq!(Message::deserialize(row).unwrap().event.at.timestamp_subsec_micros(), 123_456);
    }
}
