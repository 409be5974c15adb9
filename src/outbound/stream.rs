//! Connections for protocols other than HTTP, with the same guard: the name is resolved once, each address is checked,
//! and without encryption only private ones are allowed.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Host;

use super::{Outbound, OutboundError, server_name};

/// A connection, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Outbound {
    /// Connects to a host. `encrypted` says that the caller will encrypt the connection ([`Outbound::encrypt`]) before
    /// sending anything. The caller sets the time limit.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn dial(&self, host: &Host<String>, port: u16, encrypted: bool) -> Result<TcpStream, OutboundError> {
        self.connect(host, port, encrypted).await
    }

    /// Wraps the connection in TLS, with the certificate of that host.
    ///
    /// # Errors
    /// [`OutboundError::Connection`] if the certificate is not trusted.
    pub async fn encrypt(&self, host: &Host<String>, stream: TcpStream) -> Result<Box<dyn Stream>, OutboundError> {
        Ok(Box::new(self.tls.connect(server_name(host)?, stream).await?))
    }
}
