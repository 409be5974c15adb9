//! The response to an authorization request, whatever its destination (RFC 6749 §4.1.2, RFC 9207).

use serde::{Deserialize, Serialize};

use super::redirect::{Landing, host, is_registered, place_of};
use super::{Parameters, Refusal, Unsafe};
use crate::domain::client::Client;

/// How the response reaches the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query of the redirect URI.
    #[default]
    Query,
    /// In a form that the browser posts (OAuth 2.0 Form Post Response Mode).
    FormPost,
    /// Signed, in the query of the redirect URI (JARM §2.3.1).
    QueryJwt,
    /// Signed, in a form that the browser posts (JARM §2.3.3).
    FormPostJwt,
}

impl ResponseMode {
    /// Reads the `response_mode` parameter.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "query" => Some(Self::Query),
            "form_post" => Some(Self::FormPost),
            // For codes, `jwt` means the query (JARM §2.3.4).
            "jwt" | "query.jwt" => Some(Self::QueryJwt),
            "form_post.jwt" => Some(Self::FormPostJwt),
            _ => None,
        }
    }

    /// Whether the response is one signed JWT.
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::QueryJwt | Self::FormPostJwt)
    }

    /// Whether the browser posts the response.
    pub const fn is_posted(self) -> bool {
        matches!(self, Self::FormPost | Self::FormPostJwt)
    }
}

/// Where the response goes. It is proven before anything else is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnTo {
    /// A registered redirect URI, as it was sent.
    pub redirect_uri: String,
    /// How it is sent there.
    #[serde(default)]
    pub mode: ResponseMode,
    /// Returned unchanged; never logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl ReturnTo {
    /// Proves where the response to a client's request goes. An invalid `response_mode` or `state` is left to the
    /// checks that follow; that error is then sent in the query, without state.
    pub fn find(parameters: &Parameters, client: &Client) -> Result<Self, Unsafe> {
        let redirect_uri = parameters.find("redirect_uri").ok_or(Unsafe::NoRedirectUri)?;
        if !is_registered(redirect_uri, &client.definition.redirect_uris, client.definition.kind) {
            return Err(Unsafe::RedirectUri);
        }
        Ok(Self {
            redirect_uri: redirect_uri.to_owned(),
            mode: parameters.find("response_mode").and_then(ResponseMode::parse).unwrap_or_default(),
            state: parameters.find("state").map(ToOwned::to_owned),
        })
    }

    /// The place that people are told they return to: a host, or an app's own scheme.
    pub fn place(&self) -> String {
        place_of(&self.redirect_uri)
    }

    /// The source to which our page may post its form (Content Security Policy Level 3 §2.3.1). A policy cannot express
    /// an IPv6 host, so only the scheme is given for one.
    pub fn form_target(&self) -> String {
        match (self.redirect_uri.split_once("://"), host(&self.redirect_uri)) {
            (Some((scheme, _)), Some(host)) if host.starts_with('[') => format!("{scheme}:"),
            (Some((scheme, _)), Some(host)) => format!("{scheme}://{host}"),
            _ => format!("{}:", self.place()),
        }
    }

    /// The web origin of the redirect URI; `None` for an app's own scheme.
    pub fn origin(&self) -> Option<String> {
        let origin = url::Url::parse(&self.redirect_uri).ok()?.origin();
        origin.is_tuple().then(|| origin.ascii_serialization())
    }

    /// Who could receive the response.
    pub fn landing(&self) -> Landing {
        Landing::of(&self.redirect_uri)
    }
}

/// A response: its destination and parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the client waits for its answer"]
pub struct Answer {
    /// Where it goes.
    pub to: ReturnTo,
    /// The parameters to send.
    pub parameters: Vec<(&'static str, String)>,
}

impl Answer {
    /// A response with a code.
    pub fn code(to: ReturnTo, code: &str, issuer: &str) -> Self {
        Self::new(to, vec![("code", code.to_owned())], issuer)
    }

    /// A response with an error.
    pub fn refusal(to: ReturnTo, refusal: Refusal, issuer: &str) -> Self {
        let told = vec![("error", refusal.code().to_owned()), ("error_description", refusal.description().to_owned())];
        Self::new(to, told, issuer)
    }

    /// Whether it holds a code.
    pub fn is_code(&self) -> bool {
        self.parameters.iter().any(|(name, _)| *name == "code")
    }

    fn new(to: ReturnTo, mut parameters: Vec<(&'static str, String)>, issuer: &str) -> Self {
        parameters.extend(to.state.clone().map(|state| ("state", state)));
        parameters.push(("iss", issuer.to_owned()));
        Self { to, parameters }
    }

    /// The address to redirect to when the response is not posted: the registered URI unchanged, including its own
    /// query.
    pub fn address(&self) -> String {
        let uri = &self.to.redirect_uri;
        let joint = match uri.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some((_, query)) if query.ends_with('&') => "",
            Some(_) => "&",
        };
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.parameters).finish();
        format!("{uri}{joint}{query}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(redirect_uri: &str) -> ReturnTo {
        ReturnTo { redirect_uri: redirect_uri.into(), mode: ResponseMode::Query, state: Some("a b&c=\"é\0".into()) }
    }

    #[test]
    fn a_form_goes_where_a_policy_can_write() {
        for (uri, expected) in [
            ("https://app.example/cb", "https://app.example"),
            ("http://127.0.0.1:7000/cb", "http://127.0.0.1:7000"),
            ("http://localhost/cb", "http://localhost"),
            ("http://[::1]:7000/cb", "http:"),
            ("https://[2001:db8::1]/cb", "https:"),
            ("com.example.app:/cb", "com.example.app:"),
        ] {
            assert_eq!(to(uri).form_target(), expected, "{uri}");
        }
    }

    #[test]
    fn the_registered_query_is_kept_and_everything_is_encoded() {
        for (uri, start) in [
            ("https://app.example/cb", "https://app.example/cb?code="),
            ("https://app.example/cb?foo=b%20r", "https://app.example/cb?foo=b%20r&code="),
            ("https://app.example/cb?", "https://app.example/cb?code="),
            ("com.example.app:/cb", "com.example.app:/cb?code="),
        ] {
            let address = Answer::code(to(uri), "c", "https://id.example").address();
            assert!(address.starts_with(start), "{address}");
            assert!(address.ends_with("c&state=a+b%26c%3D%22%C3%A9%00&iss=https%3A%2F%2Fid.example"), "{address}");
        }
        let refused = Answer::refusal(to("https://app.example/cb"), Refusal::Denied, "https://id.example").address();
        assert!(
            refused.starts_with("https://app.example/cb?error=access_denied&error_description=The+person"),
            "{refused}"
        );
    }
}
