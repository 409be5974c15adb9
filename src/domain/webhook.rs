//! Messages signed for their receiver, in the format of Standard Webhooks 1.0.0 (standardwebhooks.com).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::audit::EventKind;
use super::secret::Secret;
use crate::clock::Time;

/// The prefix of a secret, so that it is not mistaken for another kind.
const PREFIX: &str = "whsec_";

/// The secret shared with a receiver: 24 to 64 bytes, shown in base64.
#[derive(Clone, Debug)]
pub struct SigningSecret(Secret<Vec<u8>>);

impl SigningSecret {
    /// Makes a secret from these random bits.
    pub fn from_bits(bits: &[u8; 32]) -> Self {
        Self(Secret::new(bits.to_vec()))
    }

    /// Reads a secret; `None` unless it is `whsec_` followed by the base64 of 24 to 64 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim().strip_prefix(PREFIX)?).ok().map(Secret::new)?;
        (24..=64).contains(&bytes.expose().len()).then_some(Self(bytes))
    }

    /// The text that the receiver gets.
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(format!("{PREFIX}{}", STANDARD.encode(self.0.expose())))
    }

    fn sign(&self, signed: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose());
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, signed)))
    }
}

/// A receiver of signed messages.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name in the configuration.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// The secret, and during a change the previous one.
    pub secrets: Vec<SigningSecret>,
    /// Whether messages to it contain e-mail addresses and names.
    pub personal_data: bool,
}

impl Endpoint {
    /// The headers that authenticate a message: its id, the time of this attempt, and a signature over both and the
    /// body with each secret.
    pub fn headers(&self, id: &str, at: Time, body: &[u8]) -> [(&'static str, String); 3] {
        let at = at.timestamp().to_string();
        let signed = [id.as_bytes(), b".", at.as_bytes(), b".", body].concat();
        let signatures: Vec<String> = self.secrets.iter().map(|secret| secret.sign(&signed)).collect();
        [("webhook-id", id.to_owned()), ("webhook-timestamp", at), ("webhook-signature", signatures.join(" "))]
    }
}

/// A receiver of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// The kind of its messages in the outbox.
    pub kind: &'static str,
    /// Its name in the configuration.
    pub name: String,
    /// The events that it receives, see [`is_event`].
    pub events: Vec<String>,
}

impl Receiver {
    /// The outbox lane of its messages.
    pub fn lane(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// Whether a text names events: a single one, a group such as `session.*`, or `*` for all.
pub fn is_event(text: &str) -> bool {
    let group = |kind: &EventKind| kind.as_str().split_once('.').map(|(group, _)| group);
    match text.strip_suffix(".*") {
        Some(wanted) => EventKind::ALL.iter().any(|kind| group(kind) == Some(wanted)),
        None => text == "*" || EventKind::parse(text).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(secrets: &[&str]) -> Endpoint {
        Endpoint {
            name: "x".into(),
            url: "https://x.example/".into(),
            secrets: secrets.iter().map(|text| SigningSecret::parse(text).unwrap()).collect(),
            personal_data: false,
        }
    }

    /// The example that Standard Webhooks libraries use in their own tests.
    #[test]
    fn the_signature_is_the_one_that_others_make() {
        let endpoint = endpoint(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
        let at = Time::from_timestamp(1_614_265_330, 0).unwrap();
        let headers = endpoint.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(headers[2], ("webhook-signature", expected.to_owned()));
        assert_eq!(headers[1], ("webhook-timestamp", "1614265330".to_owned()));
    }

    #[test]
    fn two_secrets_sign_while_receivers_change_over() {
        let (old, new) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let at = Time::UNIX_EPOCH;
        let alone = |secret| endpoint(&[secret]).headers("m", at, b"{}")[2].1.clone();
        let both = endpoint(&[new, old]).headers("m", at, b"{}")[2].1.clone();
        assert_eq!(both, format!("{} {}", alone(new), alone(old)));
    }

    #[test]
    fn secrets_read_back_and_bad_ones_are_refused() {
        let secret = SigningSecret::from_bits(&[7; 32]);
        let text = secret.to_text().expose().clone();
        assert_eq!(SigningSecret::parse(&format!("{text}\n")).unwrap().to_text().expose(), &text);
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![1; bytes]));
        assert!(SigningSecret::parse(&of(24)).is_some() && SigningSecret::parse(&of(64)).is_some());
        for bad in ["", "whsec_", "secret", &of(23), &of(65), &text.replace("whsec_", "pmk_"), "whsec_%%%%"] {
            assert!(SigningSecret::parse(bad).is_none(), "{bad}");
        }
        assert!(!format!("{secret:?}").contains('7'), "never shown");
    }

    #[test]
    fn events_are_named_one_by_one_in_groups_or_all() {
        for good in ["*", "session.*", "passkey.added", "user.*"] {
            assert!(is_event(good), "{good}");
        }
        for bad in ["", "session", "session.", "sess.*", "*.added", "session.**", "passkey.Added", ".*"] {
            assert!(!is_event(bad), "{bad}");
        }
    }
}
