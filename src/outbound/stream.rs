//! Connections that speak another protocol than HTTP, held to the same guard: the name is resolved once, each address is
//! judged, and without encryption only private ones are gone to.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Host;

use super::{Outbound, OutboundError, server_name};

/// A connection, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Outbound {
    /// A connection to a host. With `encrypted` it will be encrypted before anything is said ([`Outbound::encrypt`]). How long
    /// it may take, the caller says.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub async fn dial(&self, host: &Host<String>, port: u16, encrypted: bool) -> Result<TcpStream, OutboundError> {
        self.connect(host, port, encrypted).await
    }

    /// The same connection under TLS, by the certificate of that host.
    ///
    /// # Errors
    /// [`OutboundError::Connection`] without trust in the certificate.
    pub async fn encrypt(&self, host: &Host<String>, stream: TcpStream) -> Result<Box<dyn Stream>, OutboundError> {
        Ok(Box::new(self.tls.connect(server_name(host)?, stream).await?))
    }
}
