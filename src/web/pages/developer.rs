//! The developer panel: runs the two REST calls with the user's own passkey and shows the raw answers.

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
    /// The client that tokens are requested for: the quick-start client, or one chosen by the operator.
    pub client_id: String,
    /// The scope to suggest.
    pub scope: String,
    /// The names of the bridges that this client can request.
    pub bridges: Vec<String>,
    /// Whether a new user can create an account here.
    pub sign_up: bool,
    /// The URL of the API reference.
    pub docs: Option<String>,
}

/// The requested result, with its members in the usual order.
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

    /// The `result` member for a kind of result.
    fn wanted<'a>(&'a self, kind: &'a str) -> Wanted<'a> {
        let client_id = (kind != "session").then_some(self.client_id.as_str());
        let scope = (kind == "tokens").then_some(self.scope.as_str());
        let bridge = self.bridges.first().map(String::as_str).filter(|_| kind == "bridge");
        Wanted { kind, client_id, scope, bridge }
    }

    /// The first call as a `curl` command. A session is issued only to our own origin, and its cookie must be stored.
    fn curl_options(&self, kind: &str) -> String {
        let wanted = serde_json::to_string(&self.wanted(kind)).unwrap_or_default();
        self.curl("options", kind, &format!(r#"{{"result":{wanted}}}"#))
    }

    /// The second call as a `curl` command.
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
