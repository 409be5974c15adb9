//! How what a bridge makes reaches its target: each has one way, and gives nothing in another.

/// How what a bridge makes reaches its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Whoever asks is given a token.
    Token,
    /// A server of NATS asks, and is answered.
    NatsCallout,
    /// Whoever asks names a channel, and is given a signature for it.
    Channels,
    /// The target is asked for a token of its own, which whoever asks is given.
    Call,
}

impl Way {
    /// Where to ask, below `/v1/bridges/{name}/`; none: nobody asks over HTTP.
    pub const fn path(self) -> Option<&'static str> {
        match self {
            Self::Token | Self::Call => Some("token"),
            Self::Channels => Some("pusher/auth"),
            Self::NatsCallout => None,
        }
    }

    /// Whether what is made is a signed token, and not what another message is made of.
    pub const fn is_token(self) -> bool {
        matches!(self, Self::Token | Self::NatsCallout)
    }

    /// Whether its secret may be shorter than HS256 wants (RFC 7518 §3.2).
    pub const fn takes_short_secrets(self) -> bool {
        matches!(self, Self::Channels | Self::Call)
    }

    /// Whether whoever asks is given a token.
    pub const fn gives_tokens(self) -> bool {
        matches!(self, Self::Token | Self::Call)
    }

    /// Where to ask instead, for whoever asked in another way.
    pub const fn elsewhere(self) -> &'static str {
        match self {
            Self::Token | Self::Call => "This bridge gives its token to its caller: use POST /v1/bridges/{name}/token.",
            Self::Channels => "This bridge signs channels: use POST /v1/bridges/{name}/pusher/auth.",
            Self::NatsCallout => "This bridge answers servers of NATS alone: connect to NATS with the access token.",
        }
    }
}
