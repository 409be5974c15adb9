//! The developer panel: the two REST calls, run with one's own passkey, with the raw answers.

use askama::Template;
use serde_json::{Value, json};

use super::Frame;

/// `GET /developer`.
#[derive(Clone, Debug, Template)]
#[template(path = "developer.html")]
pub struct Developer {
    /// The frame; `boot` with [`super::PageKind::Developer`].
    pub frame: Frame,
    /// Our public origin, `https://id.example`.
    pub origin: String,
    /// The client that tokens are asked for: the quick-start client, or one of the operator's choice.
    pub client_id: String,
    /// The scope to propose.
    pub scope: String,
    /// Names of the bridges that this client may ask for.
    pub bridges: Vec<String>,
    /// Where the API reference is.
    pub docs: Option<String>,
}

impl Developer {
    fn title(&self) -> &'static str {
        self.frame.t().dev_title
    }

    /// What is sent as `result` for a kind of result.
    fn result(&self, kind: &str) -> Value {
        match kind {
            "tokens" => json!({ "kind": "tokens", "clientId": self.client_id, "scope": self.scope }),
            "bridge" => {
                json!({ "kind": "bridge", "clientId": self.client_id, "bridge": self.bridges.first() })
            }
            _ => json!({ "kind": "session" }),
        }
    }

    /// The first call for the command line. A session is only given to our own origin and needs its cookie kept.
    fn curl_options(&self, kind: &str) -> String {
        self.curl("options", kind, &json!({ "result": self.result(kind) }).to_string())
    }

    /// The second call.
    fn curl_verify(&self, kind: &str) -> String {
        self.curl("verify", kind, r#"{"ceremonyId":"…","credential":{…}}"#)
    }

    fn curl(&self, step: &str, kind: &str, body: &str) -> String {
        let origin = &self.origin;
        let own = if kind == "session" { format!(" \\\n  -b jar -c jar -H 'Origin: {origin}'") } else { String::new() };
        let body = body.replace('\'', "'\\''");
        format!(
            "curl -s {origin}/v1/passkeys/authentication/{step}{own} \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::frame;
    use super::*;

    #[test]
    fn the_commands_quote_their_body() {
        let view = Developer {
            frame: frame(),
            origin: "http://localhost:8080".into(),
            client_id: "it's".into(),
            scope: "openid".into(),
            bridges: vec![],
            docs: None,
        };
        let command = view.curl_options("tokens");
        assert!(command.starts_with("curl -s http://localhost:8080/v1/passkeys/authentication/options \\\n"));
        assert!(command.contains(r#""clientId":"it'\''s""#), "{command}");
        assert!(view.curl_verify("session").contains("-H 'Origin: http://localhost:8080'"));
    }
}
