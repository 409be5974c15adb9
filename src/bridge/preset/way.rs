//! How a bridge's result reaches its target: each bridge works in one way only.

/// How a bridge's result reaches its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The caller receives a token.
    Token,
    /// A NATS server asks, and receives an answer.
    NatsCallout,
    /// The caller names a channel, and receives a signature for it.
    Channels,
    /// The target is asked for one of its own tokens, which the caller receives.
    Call,
}

impl Way {
    /// The endpoint below `/v1/bridges/{name}/`; `None` if there is none.
    pub const fn path(self) -> Option<&'static str> {
        match self {
            Self::Token | Self::Call => Some("token"),
            Self::Channels => Some("pusher/auth"),
            Self::NatsCallout => None,
        }
    }

    /// Whether the result is a signed token, rather than a document for another message.
    pub const fn is_token(self) -> bool {
        matches!(self, Self::Token | Self::NatsCallout)
    }

    /// Whether its secret may be shorter than HS256 requires (RFC 7518 §3.2).
    pub const fn takes_short_secrets(self) -> bool {
        matches!(self, Self::Channels | Self::Call)
    }

    /// Whether the caller receives a token.
    pub const fn gives_tokens(self) -> bool {
        matches!(self, Self::Token | Self::Call)
    }

    /// The right endpoint, for a caller that used another one.
    pub const fn elsewhere(self) -> &'static str {
        match self {
            Self::Token | Self::Call => "This bridge gives its token to its caller: use POST /v1/bridges/{name}/token.",
            Self::Channels => "This bridge signs channels: use POST /v1/bridges/{name}/pusher/auth.",
            Self::NatsCallout => "This bridge answers servers of NATS alone: connect to NATS with the access token.",
        }
    }
}
