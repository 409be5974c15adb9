//! All requests that we send to other servers.
//!
//! Invariants: an address chosen by somebody else never leads into the operator's network. So a name is resolved once,
//! each address is checked ([`address`]), and the connection goes to exactly that address. Redirects are not followed,
//! proxies of the environment are not used, nothing is decompressed, and time and size are limited. Responses are not
//! shown to whoever caused the request; failures are logged.

pub mod address;
pub mod key_sets;
pub mod logos;
pub mod stream;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use self::address::{Reach, reach};

/// The longest time for a whole request: name, connection, TLS, response.
const TIME: Duration = Duration::from_secs(5);
/// The largest body that is read.
const MOST: usize = 64 * 1024;
/// The largest head of a response.
const MOST_HEAD: usize = 16 * 1024;
/// The number of names that may be resolved at once for one purpose: a resolver that hangs blocks a thread.
const LOOKUPS: usize = 32;
/// The number of addresses of one name that are tried.
const TRIES: usize = 3;
/// Our `User-Agent`.
const USER_AGENT: &str = concat!("passmint/", env!("CARGO_PKG_VERSION"));

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// Not a URL that we fetch: another scheme, a user name, no host.
    #[error("the address is not an https URL without user name")]
    Address,
    /// It leads to an address that we do not contact.
    #[error(
        "the address is private or reserved; outbound.private_hosts or outbound.allow_private_addresses would allow private ones"
    )]
    Forbidden,
    /// No such name.
    #[error("the name cannot be resolved")]
    Name,
    /// Nothing listens there, or its certificate is not trusted.
    #[error("no connection: {0}")]
    Connection(#[from] std::io::Error),
    /// Not HTTP, or truncated.
    #[error("no proper answer: {0}")]
    Http(#[from] hyper::Error),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// The response is too large.
    #[error("the answer is larger than 64 KiB")]
    TooLarge,
    /// The response is compressed, which was not requested.
    #[error("the answer is encoded, which nobody asked for")]
    Encoded,
    /// The status is not a success. Redirects are not followed.
    #[error("the answer has status {0}")]
    Status(u16),
}

impl OutboundError {
    /// The word for metrics.
    const fn reason(&self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Forbidden => "forbidden",
            Self::Name => "name",
            Self::Connection(_) => "connection",
            Self::Http(_) => "http",
            Self::TimedOut => "time",
            Self::TooLarge => "size",
            Self::Encoded => "encoding",
            Self::Status(_) => "status",
        }
    }
}

/// Why the client cannot be created: an operator's mistake.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The extra authorities cannot be read.
    #[error("outbound.extra_ca_file holds no certificates in PEM that can be used")]
    ExtraCa,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] tokio_rustls::rustls::Error),
}

/// An LRU cache: a new entry is always admitted, and the least recently used one is evicted. If the cache could reject
/// a new entry, that entry would be fetched again every time.
pub fn lru<V: Clone + Send + Sync + 'static>(capacity: u64) -> Cache<String, V> {
    Cache::builder().max_capacity(capacity).eviction_policy(EvictionPolicy::lru()).build()
}

/// A successful response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status: 200 to 299.
    pub status: u16,
    /// Its media type in lower case, without parameters.
    pub media_type: Option<String>,
    /// Its `Cache-Control`.
    pub cache_control: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What to do with the body of a successful response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Read it.
    Read,
    /// Ignore it: only the status matters.
    Ignored,
}

/// A document to send.
#[derive(Clone, Debug)]
pub struct Post<'a> {
    /// The URL.
    pub url: &'a str,
    /// Its media type.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: &'a [(&'static str, String)],
    /// The document.
    pub body: Vec<u8>,
    /// A fixed word for log and metrics.
    pub purpose: &'static str,
    /// The time limit for everything, 5 seconds at most.
    pub within: Duration,
    /// What to do with the body of the response.
    pub answer: Body,
}

impl<'a> Post<'a> {
    /// A document sent with the usual time limit and no further headers, whose response is read.
    pub const fn new(url: &'a str, content_type: &'static str, body: Vec<u8>, purpose: &'static str) -> Self {
        Self { url, content_type, headers: &[], body, purpose, within: TIME, answer: Body::Read }
    }
}

/// The client for outbound requests.
#[derive(Clone)]
pub struct Outbound {
    tls: TlsConnector,
    allow_private: bool,
    private_hosts: Arc<[String]>,
    lookups: Arc<Semaphore>,
}

impl Outbound {
    /// A client that trusts the usual authorities and those of `extra_ca` (PEM).
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(allow_private: bool, extra_ca: Option<&[u8]>) -> Result<Self, SetupError> {
        let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        if let Some(pem) = extra_ca {
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| SetupError::ExtraCa)?;
                roots.add(certificate).map_err(|_| SetupError::ExtraCa)?;
            }
            if roots.len() == before {
                return Err(SetupError::ExtraCa);
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let lookups = Arc::new(Semaphore::new(LOOKUPS));
        let (tls, private_hosts) = (TlsConnector::from(Arc::new(config)), Arc::new([]));
        Ok(Self { tls, allow_private, private_hosts, lookups })
    }

    /// Also allows these hosts to have private addresses.
    #[must_use]
    pub fn reaching(self, private_hosts: Vec<String>) -> Self {
        Self { private_hosts: private_hosts.into(), ..self }
    }

    /// The same client with separate DNS lookups: names that hang on one side do not block the other.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS)), ..self.clone() }
    }

    /// Fetches a document. `purpose` is a fixed word for log and metrics. The caller checks the document's type.
    ///
    /// # Errors
    /// [`OutboundError`], already logged and counted.
    pub async fn get(&self, url: &str, accept: &'static str, purpose: &'static str) -> Result<Answer, OutboundError> {
        let request = Request::builder().method(Method::GET).header(header::ACCEPT, accept);
        self.call(url, request, (Bytes::new(), Body::Read), purpose, TIME).await
    }

    /// Sends a document.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post(&self, post: Post<'_>) -> Result<Answer, OutboundError> {
        let mut request = Request::builder().method(Method::POST).header(header::CONTENT_TYPE, post.content_type);
        for (name, value) in post.headers {
            request = request.header(*name, value);
        }
        self.call(post.url, request, (post.body.into(), post.answer), post.purpose, post.within.min(TIME)).await
    }

    async fn call(
        &self,
        url: &str,
        request: hyper::http::request::Builder,
        (body, answer): (Bytes, Body),
        purpose: &'static str,
        within: Duration,
    ) -> Result<Answer, OutboundError> {
        let result = tokio::time::timeout(within, self.exchange(url, request, body, answer)).await;
        let result = result.unwrap_or(Err(OutboundError::TimedOut));
        let outcome = result.as_ref().map_or_else(OutboundError::reason, |_| "done");
        metrics::counter!("passmint_outbound_requests_total", "purpose" => purpose, "outcome" => outcome).increment(1);
        if let Err(error) = &result {
            // Only the host: paths and queries of foreign URLs may contain secrets.
            let host = Url::parse(url).ok().and_then(|url| url.host_str().map(ToOwned::to_owned));
            tracing::warn!(purpose, host = host.as_deref().unwrap_or("none"), reason = %error, "an outbound request failed");
        }
        result
    }

    async fn exchange(
        &self,
        url: &str,
        request: hyper::http::request::Builder,
        body: Bytes,
        answer: Body,
    ) -> Result<Answer, OutboundError> {
        let url = Url::parse(url).map_err(|_| OutboundError::Address)?;
        let target = Target::of(&url)?;
        let request = request
            .uri(target.path)
            .header(header::HOST, target.authority)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|_| OutboundError::Address)?;
        let stream = self.connect(&target.host, target.port, target.encrypted).await?;
        let response = if target.encrypted {
            let stream = self.tls.connect(server_name(&target.host)?, stream).await?;
            send(TokioIo::new(stream), request, answer).await?
        } else {
            send(TokioIo::new(stream), request, answer).await?
        };
        Ok(response)
    }

    /// Whether a URL may be reachable: an IP address is checked at once, a name only when it is resolved.
    pub fn may_reach(&self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        let address: IpAddr = match url.host() {
            None => return false,
            Some(Host::Domain(_)) => return true,
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
        };
        self.may_go(url.host_str().unwrap_or_default(), address, url.scheme() == "https")
    }

    fn may_go(&self, host: &str, address: IpAddr, encrypted: bool) -> bool {
        match reach(address) {
            Reach::Public => encrypted,
            Reach::Private => self.allow_private || self.private_hosts.iter().any(|known| known == host),
            Reach::Never => false,
        }
    }

    /// Connects to one of the allowed addresses of a host. Without encryption only private ones are allowed.
    async fn connect(&self, host: &Host<String>, port: u16, encrypted: bool) -> Result<TcpStream, OutboundError> {
        let addresses = match host {
            Host::Ipv4(address) => vec![SocketAddr::new(IpAddr::V4(*address), port)],
            Host::Ipv6(address) => vec![SocketAddr::new(IpAddr::V6(*address), port)],
            Host::Domain(name) => self.resolve(name.clone(), port).await?,
        };
        let name = host.to_string();
        let allowed = |address: &SocketAddr| self.may_go(&name, address.ip(), encrypted);
        let addresses: Vec<_> = addresses.into_iter().filter(allowed).take(TRIES).collect();
        // An address that drops packets must leave time for the others.
        let within = u32::try_from(addresses.len()).ok().and_then(|tries| TIME.checked_div(tries)).unwrap_or(TIME);
        let mut last = OutboundError::Forbidden;
        for address in addresses {
            match tokio::time::timeout(within, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error.into(),
                Err(_) => last = OutboundError::TimedOut,
            }
        }
        Err(last)
    }

    /// Resolves on a separate thread: the system's resolver blocks, and the server's blocking threads are reserved for
    /// the database.
    async fn resolve(&self, name: String, port: u16) -> Result<Vec<SocketAddr>, OutboundError> {
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(|_| OutboundError::Name)?;
        let (answer, found) = oneshot::channel();
        std::thread::Builder::new().name("resolve".to_owned()).spawn(move || {
            let _permit = permit;
            // The caller may be gone.
            let _ = answer.send((name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>));
        })?;
        match found.await {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            _ => Err(OutboundError::Name),
        }
    }
}

/// The target of a request.
struct Target {
    host: Host<String>,
    port: u16,
    encrypted: bool,
    authority: String,
    path: String,
}

impl Target {
    fn of(url: &Url) -> Result<Self, OutboundError> {
        let encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(OutboundError::Address),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::Address);
        }
        let host = url.host().ok_or(OutboundError::Address)?.to_owned();
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(OutboundError::Address)?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(Self { host, port, encrypted, authority, path })
    }
}

fn server_name(host: &Host<String>) -> Result<ServerName<'static>, OutboundError> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|_| OutboundError::Address),
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::V4(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::V6(*address))),
    }
}

async fn send<T>(io: TokioIo<T>, request: Request<Full<Bytes>>, answer: Body) -> Result<Answer, OutboundError>
where
    TokioIo<T>: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new().max_buf_size(MOST_HEAD).handshake(io).await?;
    // Dropped at the end of this function, together with the connection.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await?;
    if !response.status().is_success() {
        return Err(OutboundError::Status(response.status().as_u16()));
    }
    if answer == Body::Ignored {
        let status = response.status().as_u16();
        return Ok(Answer { status, media_type: None, cache_control: None, body: Vec::new() });
    }
    if response.headers().get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(OutboundError::Encoded);
    }
    read(response).await
}

async fn read(response: Response<hyper::body::Incoming>) -> Result<Answer, OutboundError> {
    let text = |name| response.headers().get(name).map(HeaderValue::to_str).and_then(Result::ok);
    let media_type =
        text(header::CONTENT_TYPE).map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let cache_control = text(header::CACHE_CONTROL).map(ToOwned::to_owned);
    let status = response.status().as_u16();
    if hyper::body::Body::size_hint(response.body()).lower() > MOST as u64 {
        return Err(OutboundError::TooLarge);
    }
    let body = Limited::new(response.into_body(), MOST).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            return OutboundError::TooLarge;
        }
        match error.downcast::<hyper::Error>() {
            Ok(error) => OutboundError::Http(*error),
            Err(_) => OutboundError::TooLarge,
        }
    })?;
    Ok(Answer { status, media_type, cache_control, body: body.to_bytes().to_vec() })
}

#[cfg(test)]
mod tests;
