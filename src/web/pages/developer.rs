//! The developer panel: the two REST calls, run with one's own passkey, with the raw answers.

use askama::Template;
use serde::Serialize;

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
    /// Whether a new person may create a passkey here.
    pub sign_up: bool,
    /// Where the API reference is.
    pub docs: Option<String>,
}

/// The wanted result, in the order that people write it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wanted<'a> {
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bridge: Option<&'a str>,
}

impl Developer {
    fn title(&self) -> &'static str {
        self.frame.t().dev_title
    }

    /// What is sent as `result` for a kind of result.
    fn wanted<'a>(&'a self, kind: &'a str) -> Wanted<'a> {
        let client_id = (kind != "session").then_some(self.client_id.as_str());
        let scope = (kind == "tokens").then_some(self.scope.as_str());
        let bridge = self.bridges.first().map(String::as_str).filter(|_| kind == "bridge");
        Wanted { kind, client_id, scope, bridge }
    }

    /// The first call for the command line. A session is only given to our own origin and needs its cookie kept.
    fn curl_options(&self, kind: &str) -> String {
        let wanted = serde_json::to_string(&self.wanted(kind)).unwrap_or_default();
        self.curl("options", kind, &format!(r#"{{"result":{wanted}}}"#))
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
            sign_up: true,
            docs: None,
        };
        let command = view.curl_options("tokens");
        assert!(command.starts_with("curl -s http://localhost:8080/v1/passkeys/authentication/options \\\n"));
        assert!(command.contains(r#""clientId":"it'\''s""#), "{command}");
        assert!(view.curl_verify("session").contains("-H 'Origin: http://localhost:8080'"));
    }
}
