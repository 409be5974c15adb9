//! One connection to a NATS server: opened, authenticated, subscribed, and kept while requests arrive.
//!
//! What must always hold: nothing that was received before TLS is trusted after it; and a connection to a server that
//! stops responding is dropped.

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::wire::{self, Info, Message, NotNats, Said};
use super::{Address, Identity};
use crate::outbound::stream::Stream;
use crate::outbound::{Outbound, OutboundError};

/// The time limit from connecting to the subscription.
const OPENING: Duration = Duration::from_secs(10);
/// The time limit for sending one command.
const SAYING: Duration = Duration::from_secs(5);
/// How often the server is pinged. After two unanswered pings it counts as gone.
const PINGS: Duration = Duration::from_secs(20);
/// The maximum number of requests that are answered at the same time; more wait.
const AT_ONCE: usize = 64;

/// Why the connection ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// It cannot be reached.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// It does not speak the NATS protocol.
    #[error(transparent)]
    NotNats(#[from] NotNats),
    /// It accepts no keys: its configuration has no user with one.
    #[error("it asks for no key: put the user into its configuration, as `passmint bridges show` prints it")]
    NoNonce,
    /// TLS is required but not available.
    #[error("it does not speak TLS: `nats://` connects without it, to private addresses only")]
    NoTls,
    /// Something was received between `INFO` and TLS.
    #[error("somebody spoke before TLS")]
    Injected,
    /// It refused the connection.
    #[error("it refuses: {0}")]
    Refused(String),
    /// It closed the connection.
    #[error("it ended the connection")]
    Closed,
    /// It stopped responding.
    #[error("it does not answer in time")]
    Silent,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
}

/// A connection that is subscribed to requests.
pub struct Connection {
    stream: Box<dyn Stream>,
    read: Vec<u8>,
}

impl Connection {
    /// Connects, authenticates, and subscribes to requests.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub async fn open(outbound: &Outbound, address: &Address, identity: &Identity) -> Result<Self, ConnectionError> {
        timeout(OPENING, Self::begin(outbound, address, identity)).await.unwrap_or(Err(ConnectionError::Silent))
    }

    async fn begin(outbound: &Outbound, address: &Address, identity: &Identity) -> Result<Self, ConnectionError> {
        let mut plain = outbound.dial(&address.host, address.port, address.encrypted).await?;
        let info = greeting(&mut plain).await?;
        if address.encrypted && !info.tls_required && !info.tls_available {
            return Err(ConnectionError::NoTls);
        }
        let encrypted = address.encrypted || info.tls_required;
        let stream =
            if encrypted { outbound.encrypt(&address.host, plain).await? } else { Box::new(plain) as Box<dyn Stream> };
        let mut connection = Self { stream, read: Vec::new() };
        let nonce = info.nonce.ok_or(ConnectionError::NoNonce)?;
        connection.say(&wire::connect(identity, &nonce, encrypted)).await?;
        connection.until_pong().await?;
        connection.say(&wire::subscribe()).await?;
        connection.until_pong().await?;
        Ok(connection)
    }

    /// Answers requests until the connection ends. `None` sends no answer.
    ///
    /// # Errors
    /// Always, with the reason why it ended.
    pub async fn serve<F>(mut self, answer: impl Fn(Vec<u8>) -> F) -> ConnectionError
    where
        F: Future<Output = Option<Vec<u8>>> + Send + 'static,
    {
        match self.answer_all(answer).await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn answer_all<F>(
        &mut self,
        answer: impl Fn(Vec<u8>) -> F,
    ) -> Result<std::convert::Infallible, ConnectionError>
    where
        F: Future<Output = Option<Vec<u8>>> + Send + 'static,
    {
        // Dropped with the connection, together with every answer in progress.
        let mut answers = JoinSet::new();
        let mut pings = interval(PINGS);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unanswered = 0;
        loop {
            tokio::select! {
                said = self.next(), if answers.len() < AT_ONCE => match said? {
                    Said::Message(Message { reply: Some(reply), payload }) => {
                        let answer = answer(payload);
                        answers.spawn(async move { answer.await.map(|answer| (reply, answer)) });
                    }
                    Said::Ping => self.say(b"PONG\r\n").await?,
                    Said::Error(words) => return Err(ConnectionError::Refused(words)),
                    Said::Pong => unanswered = 0,
                    Said::Info(_) | Said::Done | Said::Message(Message { reply: None, .. }) => {}
                },
                Some(done) = answers.join_next() => {
                    if let Ok(Some((reply, answer))) = done {
                        self.say(&wire::publish(&reply, &answer)).await?;
                    }
                }
                _ = pings.tick() => {
                    if unanswered == 2 {
                        return Err(ConnectionError::Silent);
                    }
                    unanswered += 1;
                    self.say(b"PING\r\n").await?;
                }
            }
        }
    }

    /// The next protocol message. Cancel-safe: what was read stays.
    async fn next(&mut self) -> Result<Said, ConnectionError> {
        loop {
            if let Some(said) = wire::take(&mut self.read)? {
                return Ok(said);
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(ConnectionError::Closed);
            }
        }
    }

    async fn until_pong(&mut self) -> Result<(), ConnectionError> {
        loop {
            match self.next().await? {
                Said::Pong => return Ok(()),
                Said::Ping => self.say(b"PONG\r\n").await?,
                Said::Error(words) => return Err(ConnectionError::Refused(words)),
                Said::Info(_) | Said::Done | Said::Message(_) => {}
            }
        }
    }

    async fn say(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        let said = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(SAYING, said).await.map_err(|_| ConnectionError::Silent)?.map_err(Into::into)
    }
}

/// The first message of a server, before TLS. Anything received together with it did not come from the server.
async fn greeting(stream: &mut TcpStream) -> Result<Info, ConnectionError> {
    let mut read = Vec::new();
    loop {
        match wire::take(&mut read)? {
            Some(Said::Info(_)) if !read.is_empty() => return Err(ConnectionError::Injected),
            Some(Said::Info(info)) => return Ok(info),
            Some(Said::Error(words)) => return Err(ConnectionError::Refused(words)),
            Some(_) => return Err(NotNats.into()),
            None if stream.read_buf(&mut read).await? == 0 => return Err(ConnectionError::Closed),
            None => {}
        }
    }
}
