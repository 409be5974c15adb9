//! A minimal HTTP client: one request, one reply, no implicit cookies or redirects.

use std::time::{Duration, Instant};

use serde_json::Value;

/// A request being built.
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    pub fn new(method: &str, base: &str, path: &str) -> Self {
        Self { method: method.to_owned(), url: format!("{base}{path}"), headers: Vec::new(), body: None }
    }

    /// Adds a header; the same name twice is sent twice.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a query to the URL.
    pub fn query(mut self, query: &str) -> Self {
        self.url = format!("{}?{query}", self.url);
        self
    }

    /// Removes a header again.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// Authenticates a client with Basic; for ids and secrets that need no form-encoding.
    pub fn basic(self, id: &str, secret: &str) -> Self {
        self.header("Authorization", &super::tokens::basic(id, secret))
    }

    /// A JSON body with its content type.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string().into_bytes())
    }

    /// A form body with its content type.
    pub fn form(self, pairs: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.body("application/x-www-form-urlencoded", body.into_bytes())
    }

    /// Any body.
    pub fn body(mut self, content_type: &str, body: Vec<u8>) -> Self {
        if !content_type.is_empty() {
            self = self.header("Content-Type", content_type);
        }
        self.body = Some(body);
        self
    }

    /// Sends the request.
    pub fn send(self) -> Reply {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let mut builder = ureq::http::Request::builder().method(self.method.as_str()).uri(&self.url);
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        let answer = match self.body {
            Some(body) => agent.run(builder.body(body).expect("a request")),
            None => agent.run(builder.body(()).expect("a request")),
        };
        let mut answer = answer.unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.url));
        Reply {
            status: answer.status().as_u16(),
            headers: answer
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
            body: answer.body_mut().read_to_string().expect("a body"),
        }
    }
}

/// A response.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The challenge of a refusal, without the pointer to the protected resource metadata that each of them has (RFC
    /// 9728 §5.1).
    #[track_caller]
    pub fn challenge(&self) -> Option<&str> {
        let challenge = self.header("www-authenticate")?;
        let (own, pointer) = challenge.split_once("resource_metadata=").expect("a pointer");
        assert!(pointer.ends_with("/.well-known/oauth-protected-resource\""), "{pointer}");
        Some(own.trim_end_matches([',', ' ']))
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Fails unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// Fails unless this is a problem document with this status and code.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.body);
        assert_eq!(self.json()["code"], code, "{}", self.body);
        assert_eq!(self.json()["status"], status);
        self
    }

    /// Fails unless this is an OAuth error with this status and code.
    #[track_caller]
    pub fn expect_oauth(self, status: u16, error: &str) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        let body = self.json();
        assert_eq!(body["error"], error, "{}", self.body);
        // RFC 6749 §5.2: printable ASCII without quotation marks and backslashes.
        let words = body["error_description"].as_str().expect("words for the developer");
        assert!(words.bytes().all(|c| matches!(c, b' '..=b'~') && c != b'"' && c != b'\\'), "{words}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
        self
    }

    /// The cookies it sets: name, value, and whether it deletes the cookie.
    pub fn cookies(&self) -> Vec<(String, String, bool)> {
        let set = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        set.filter_map(|(_, text)| {
            let (name, value) = text.split(';').next()?.split_once('=')?;
            Some((name.to_owned(), value.to_owned(), value.is_empty() || text.contains("Max-Age=0")))
        })
        .collect()
    }
}

/// Waits until a server answers.
pub fn wait_until_up(url: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let address = url.trim_start_matches("http://");
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "{url} does not come up");
        std::thread::sleep(Duration::from_millis(5));
    }
}
