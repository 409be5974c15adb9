//! What the tests of the authorization endpoint share: clients, requests, responses, and codes.
//!
//! ```ignore
//! let app = oidc::app();
//! let (mut browser, _) = app.person();
//! let code = Ask::of("house").send(&mut browser).back().code();
//! let tokens = redeem(&app, "house", &code);
//! ```

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::tokens::Tokens;
use super::{API_SECRET, Browser, Options, Reply, TestApp};

/// `house` and `spa` are our own (first party), `shop` and `app` third-party; `house` and `shop` are confidential
/// (their secret is [`API_SECRET`]), `spa` and `app` public. `native` and `tool` are local programs, the second one our
/// own.
pub const CLIENTS: &str = r#"
[clients.house]
name = "House"
kind = "confidential"
auth_method = "client_secret_post"
first_party = true
secret_digest = "API_DIGEST"
redirect_uris = ["https://house.example/cb", "https://house.example/cb?from=us"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "passkeys"]
audiences = ["https://api.example", "https://other-api.example"]

[clients.spa]
name = "Page"
kind = "public"
first_party = true
origins = ["https://spa.example"]
redirect_uris = ["https://spa.example/cb"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "passkeys"]

[clients.shop]
name = "Shop"
kind = "confidential"
auth_method = "client_secret_post"
secret_digest = "API_DIGEST"
redirect_uris = ["https://shop.example/cb"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access"]
audiences = ["https://api.example"]

[clients.app]
name = "App"
kind = "public"
redirect_uris = ["https://app.example/cb"]
grants = ["authorization_code"]
scopes = ["openid", "profile", "email"]

[clients.native]
name = "Native"
kind = "public"
redirect_uris = ["http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost:7000/cb", "com.example.native:/cb"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "offline_access"]

[clients.tool]
name = "Tool"
kind = "public"
first_party = true
redirect_uris = ["http://127.0.0.1/cb"]
grants = ["authorization_code"]
scopes = ["openid"]

[clients.club]
name = "Club"
kind = "confidential"
auth_method = "client_secret_post"
first_party = true
secret_digest = "API_DIGEST"
redirect_uris = ["https://club.example/cb"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid"]
allowed_groups = ["members"]
"#;

/// A PKCE verifier.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Its challenge (RFC 7636 appendix B).
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A server with [`CLIENTS`].
pub fn app() -> TestApp {
    TestApp::with(&Options { config: CLIENTS, ..Options::default() })
}

/// The same with settings.
pub fn app_with(settings: &[(&str, &str)]) -> TestApp {
    TestApp::with(&Options { config: CLIENTS, settings, ..Options::default() })
}

/// An authorization request.
#[derive(Clone)]
pub struct Ask(Vec<(String, String)>);

impl Ask {
    /// A valid request of a client, with PKCE.
    pub fn of(client: &str) -> Self {
        let redirect_uri = match client {
            "native" | "tool" => "http://127.0.0.1:7000/cb".to_owned(),
            other => format!("https://{other}.example/cb"),
        };
        Self(Vec::new())
            .with("client_id", client)
            .with("redirect_uri", &redirect_uri)
            .with("response_type", "code")
            .with("scope", "openid")
            .with("state", "the state")
            .with("code_challenge", CHALLENGE)
            .with("code_challenge_method", "S256")
    }

    /// Replaces a parameter's value.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self.and(name, value)
    }

    /// Adds a parameter, whatever is there.
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes a parameter.
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }

    /// Removes PKCE, as confidential clients may.
    pub fn without_pkce(self) -> Self {
        self.without("code_challenge").without("code_challenge_method")
    }

    /// All parameters.
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// The path and query to open.
    pub fn path(&self) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish();
        format!("/oauth/authorize?{query}")
    }

    /// Opens it, as a link on the app's page does.
    pub fn send(&self, browser: &mut Browser) -> Reply {
        browser.visit(&self.path())
    }

    /// Posts it, as a form on the app's page does: from another site, without cookies.
    pub fn post(&self, app: &TestApp) -> Reply {
        app.request("POST", "/oauth/authorize")
            .header("Origin", "https://shop.example")
            .header("Sec-Fetch-Site", "cross-site")
            .form(&self.pairs())
            .send()
    }
}

impl Browser {
    /// Follows a link from another site.
    pub fn visit(&mut self, path: &str) -> Reply {
        let request = self.request("GET", path).without("Sec-Fetch-Site").header("Sec-Fetch-Site", "cross-site");
        self.send(request)
    }

    /// Posts a form of one of our pages, with the synchroniser token of the page.
    pub fn submit(&mut self, page: &Reply, path: &str, fields: &[(&str, &str)]) -> Reply {
        let csrf = csrf_of(page);
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        let request = self.request("POST", path).form(&all);
        self.send(request)
    }
}

/// The synchroniser token of a page.
#[track_caller]
pub fn csrf_of(page: &Reply) -> String {
    let (_, rest) = page.body.split_once("name=\"csrf\" value=\"").expect("the page has a form");
    rest.split_once('"').expect("a value").0.to_owned()
}

/// A response at the redirect URI.
#[derive(Clone, Debug)]
pub struct Back {
    /// The whole URL.
    pub url: String,
    /// The part before the query.
    pub to: String,
    /// The query.
    pub parameters: BTreeMap<String, String>,
}

impl Back {
    fn read(url: &str) -> Self {
        let (to, query) = url.split_once('?').unwrap_or((url, ""));
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let parameters: BTreeMap<_, _> = pairs.iter().cloned().collect();
        assert_eq!(pairs.len(), parameters.len(), "nothing twice: {url}");
        Self { url: url.to_owned(), to: to.to_owned(), parameters }
    }

    /// One parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The code.
    #[track_caller]
    pub fn code(&self) -> String {
        self.get("code").unwrap_or_else(|| panic!("a code in {}", self.url)).to_owned()
    }

    /// The error.
    #[track_caller]
    pub fn error(&self) -> &str {
        assert_eq!(self.get("code"), None, "{}", self.url);
        self.get("error").unwrap_or_else(|| panic!("an error in {}", self.url))
    }
}

impl Reply {
    /// The redirect back to an app.
    #[track_caller]
    pub fn back(&self) -> Back {
        assert_eq!(self.status, 303, "{}", self.body);
        let location = self.header("location").expect("a location");
        assert!(!location.starts_with('/'), "back to the app, not to {location}");
        Back::read(location)
    }

    /// The response that the page "Returning to …" continues to.
    #[track_caller]
    pub fn returning(&self) -> Back {
        assert_eq!(self.status, 200, "{}", self.body);
        assert_eq!(self.header("location"), None);
        let (_, rest) = self.body.split_once("http-equiv=\"refresh\" content=\"0;url=").expect("a refresh");
        let url = rest.split_once('"').expect("a value").0.replace("&#38;", "&").replace("&amp;", "&");
        assert!(!url.contains("&#"), "{url}");
        Back::read(&url)
    }

    /// The path of the page where the request waits.
    #[track_caller]
    pub fn waits(&self) -> String {
        assert_eq!(self.status, 303, "{}", self.body);
        let location = self.header("location").expect("a location");
        assert!(location.starts_with("/oauth/interaction/pmi_"), "{location}");
        location.to_owned()
    }
}

/// The form of a redemption.
pub fn redemption<'a>(client: &'a str, code: &'a str, redirect_uri: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", VERIFIER),
        ("client_id", client),
    ];
    if ["house", "shop", "club"].contains(&client) {
        form.push(("client_secret", API_SECRET));
    }
    form
}

/// Presents a code that this client got by [`Ask::of`].
pub fn present(app: &TestApp, client: &str, code: &str) -> Reply {
    let redirect_uri = match client {
        "native" | "tool" => "http://127.0.0.1:7000/cb".to_owned(),
        other => format!("https://{other}.example/cb"),
    };
    app.request("POST", "/oauth/token").form(&redemption(client, code, &redirect_uri)).send()
}

/// Exchanges a code for tokens.
#[track_caller]
pub fn redeem(app: &TestApp, client: &str, code: &str) -> Tokens {
    Tokens::of(&present(app, client, code).expect(200).json())
}

/// Refreshes for a client of [`CLIENTS`].
pub fn refresh(app: &TestApp, client: &str, token: &str, more: &[(&str, &str)]) -> Reply {
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client)];
    if ["house", "shop", "club"].contains(&client) {
        form.push(("client_secret", API_SECRET));
    }
    form.extend(more);
    app.request("POST", "/oauth/token").form(&form).send()
}

/// A random text of the form of a code.
pub fn random_code() -> String {
    format!("pma_{}", URL_SAFE_NO_PAD.encode(passmint::random::bytes::<32>()))
}
