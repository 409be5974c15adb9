//! The description of a preset for people: its purpose, how well it is tested, and what to paste into the target's
//! configuration.

/// The description of a preset.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The target's name.
    pub title: &'static str,
    /// Its page in `docs/bridges/`, without `.md`; presets of one family share a page.
    pub page: &'static str,
    /// What the token is for, in one sentence.
    pub summary: &'static str,
    /// How it is known that the target accepts the token.
    pub verified: Verified,
    /// How long the target may cache old keys, in minutes: a new key is published for at least that long before it
    /// signs.
    pub key_lag: i64,
    /// A complete example: the bridge in TOML.
    pub example: &'static str,
    /// What to paste into the target's configuration.
    pub other_side: &'static [Snippet],
    /// Further notes, a sentence or two each, in Markdown.
    pub notes: &'static [&'static str],
}

/// How it is known that the target accepts a preset's tokens, with the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// `make test-live`, or manually `make test-verifiers`, passes a minted token to the real program or to its
    /// vendor's own verifier.
    Live(&'static str),
    /// Written according to the target's source or documentation; not run against it.
    Source(&'static str),
    /// Uncertain. Such a bridge is refused unless it sets `allow_unverified = true`.
    Unverified(&'static str),
}

impl Verified {
    /// The term for tables and programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live(_) => "live",
            Self::Source(_) => "source",
            Self::Unverified(_) => "unverified",
        }
    }

    /// The version or source.
    pub const fn with(self) -> &'static str {
        match self {
            Self::Live(with) | Self::Source(with) | Self::Unverified(with) => with,
        }
    }
}

/// Text to paste. `{issuer}`, `{audience}`, `{algorithm}`, `{jwks_url}`, `{nats_user}`, `{name}` and `{server}` stand
/// for the bridge's own values.
#[derive(Clone, Copy, Debug)]
pub struct Snippet {
    /// Where it goes.
    pub place: &'static str,
    /// The language, as Markdown has it.
    pub language: &'static str,
    /// The language of the Markdown code block.
    pub text: &'static str,
}

/// The values that snippets use.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "each is the placeholder of its name")]
pub struct Values<'a> {
    pub name: &'a str,
    pub server: &'a str,
    pub issuer: &'a str,
    pub audience: &'a str,
    pub algorithm: &'a str,
    pub nats_user: &'a str,
}

impl Snippet {
    /// The text with a bridge's values.
    pub fn render(&self, values: &Values<'_>) -> String {
        let server = values.server.trim_end_matches('/');
        self.text
            .replace("{jwks_url}", &format!("{server}/v1/bridges/{}/jwks.json", values.name))
            .replace("{server}", server)
            .replace("{issuer}", values.issuer)
            .replace("{audience}", values.audience)
            .replace("{algorithm}", values.algorithm)
            .replace("{nats_user}", values.nats_user)
            .replace("{name}", values.name)
    }
}
