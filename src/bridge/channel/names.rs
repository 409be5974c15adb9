//! Names of sockets and channels, which hold no colon.
//!
//! Source: pusher.com/docs/channels/using_channels/channels.

/// Pusher's limit for a channel's name.
const MOST_NAME: usize = 164;
const KINDS: [&str; 2] = ["private-", "presence-"];
/// Its key is made by whoever authorizes it, which we do not.
const ENCRYPTED: &str = "private-encrypted-";
/// What may stand in a name beside letters and digits (pusher.com/docs/channels/using_channels/channels).
const MARKS: &[u8] = b"_-=@,.;";

/// The id of a socket: two numbers with a dot between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket<'a>(&'a str);

impl<'a> Socket<'a> {
    /// Reads an id; `None` for anything else.
    pub fn parse(text: &'a str) -> Option<Self> {
        let number = |text: &str| (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let (first, second) = text.split_once('.')?;
        (number(first) && number(second)).then_some(Self(text))
    }

    /// Its text.
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// The name of a channel that wants a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel<'a>(&'a str);

impl<'a> Channel<'a> {
    /// Reads a name; `None` for anything else.
    pub fn parse(text: &'a str) -> Option<Self> {
        let is_one = text.len() <= MOST_NAME
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || MARKS.contains(&byte))
            && KINDS.iter().any(|kind| text.starts_with(kind) && text.len() > kind.len())
            && !text.starts_with(ENCRYPTED);
        is_one.then_some(Self(text))
    }

    /// Its text.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether those in it see one another.
    pub fn has_members(self) -> bool {
        self.0.starts_with("presence-")
    }
}

/// Whether a text is the key of an app.
pub fn is_key(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Which channels a person has: one, or all that begin so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern<'a> {
    /// This one.
    Name(Channel<'a>),
    /// All that begin with this.
    Beginning(&'a str),
}

impl<'a> Pattern<'a> {
    /// Reads a name, or a name with `*` in place of its end. Before the `*` stands a mark, so that the channels of `…-1`
    /// are not those of `…-12`.
    pub fn parse(text: &'a str) -> Option<Self> {
        let Some(beginning) = text.strip_suffix('*') else { return Channel::parse(text).map(Self::Name) };
        let marked = beginning.bytes().last().is_some_and(|last| MARKS.contains(&last));
        let whole = KINDS.contains(&beginning) || Channel::parse(beginning).is_some();
        (marked && whole && beginning != ENCRYPTED).then_some(Self::Beginning(beginning))
    }

    /// Whether it names every channel of a kind.
    pub fn is_everybodys(self) -> bool {
        matches!(self, Self::Beginning(beginning) if KINDS.contains(&beginning))
    }

    /// Whether a channel is one of these.
    pub fn holds(self, channel: Channel<'_>) -> bool {
        let text = channel.as_str();
        match self {
            Self::Name(name) => name == channel,
            Self::Beginning(beginning) => text.len() > beginning.len() && text.starts_with(beginning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_two_numbers() {
        for text in ["1234.1234", "0.0", "12345678901234567890.1"] {
            assert_eq!(Socket::parse(text).map(Socket::as_str), Some(text));
        }
        for text in [
            "",
            ".",
            "1",
            "1.",
            ".1",
            "1.1.1",
            "1:1",
            "1.1:private-x",
            "a.1",
            "1.1\n",
            "+1.1",
            "１.1",
            "1 .1",
            "123456789012345678901.1",
        ] {
            assert_eq!(Socket::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_channel_is_private_or_presence_and_never_encrypted() {
        for text in ["private-x", "presence-x", "private-cache-x", "presence-a_b-c=d@e,f.g;h", "private--"] {
            assert_eq!(Channel::parse(text).map(Channel::as_str), Some(text));
        }
        for text in [
            "",
            "x",
            "private-",
            "presence-",
            "Private-x",
            "private-encrypted-x",
            "private-encrypted-",
            "private-x:1",
            "private-x y",
            "private-*",
            "private-ü",
            "#server-to-user-1",
            "private-x\n",
            &format!("private-{}", "x".repeat(157)),
        ] {
            assert_eq!(Channel::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_pattern_holds_what_it_says() {
        for (pattern, channel, held) in [
            ("private-user-1", "private-user-1", true),
            ("private-user-1", "private-user-12", false),
            ("private-user-1", "presence-user-1", false),
            ("private-user-1-*", "private-user-1-x", true),
            ("private-user-1-*", "private-user-1-", false),
            ("private-user-1-*", "private-user-12-x", false),
            ("private-*", "private-anything", true),
            ("private-*", "presence-anything", false),
        ] {
            let named = Channel::parse(channel).unwrap();
            assert_eq!(Pattern::parse(pattern).unwrap().holds(named), held, "{pattern} {channel}");
        }
        for text in [
            "*",
            "private*",
            "private-user-1*",
            "private-*-x",
            "private-encrypted-*",
            "private-encrypted-x-*",
            "private-a**",
            "x-*",
        ] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
        assert!(Pattern::parse("presence-*").unwrap().is_everybodys());
        assert!(!Pattern::parse("presence-a-*").unwrap().is_everybodys());
    }
}
