//! The building blocks of settings: keys in sections, and enums of allowed words.
//!
//! Each section declares its own next to the code that reads them; [`keys`](super::keys) lists all sections.

/// A setting.
#[derive(Debug)]
pub struct Key {
    /// Its path; `<name>` stands for the name of a table, such as `clients.<client_id>.origins`.
    pub path: &'static str,
    /// The values that it accepts.
    pub kind: Kind,
    /// What applies if it is not set.
    pub default: Fallback,
    /// What it means, in a paragraph of Markdown.
    pub doc: &'static str,
}

/// Declares a setting, for long tables.
pub(super) const fn key(path: &'static str, kind: Kind, default: Fallback, doc: &'static str) -> Key {
    Key { path, kind, default, doc }
}

/// The values that a setting accepts. Bounds are inclusive and written as an operator writes them.
#[derive(Debug)]
pub enum Kind {
    /// One line of text; the string describes it.
    Text(&'static str),
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number within bounds.
    Integer(i64, i64),
    /// A duration within bounds.
    Duration(&'static str, &'static str),
    /// A duration within bounds, or `off`.
    DurationOrOff(&'static str, &'static str),
    /// A size within bounds.
    Size(&'static str, &'static str),
    /// A path in the file system, relative to the working directory.
    Path,
    /// A list of texts; the string describes them.
    List(&'static str),
    /// A list of these words.
    Choices(&'static [&'static str]),
    /// Text that is never shown; it can also be read from the file named by the same key with `_file` appended.
    Secret,
    /// A free tree of TOML values.
    Tree,
}

impl Kind {
    /// A description of the value.
    pub fn in_words(&self) -> String {
        let words = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Text(what) => format!("text ({what})"),
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Choice(choices) => format!("one of {}", words(choices)),
            Self::Integer(low, high) => format!("whole number, {low} to {high}"),
            Self::Duration(low, high) => format!("duration, {low} to {high}"),
            Self::DurationOrOff(low, high) => format!("duration, {low} to {high}, or `off`"),
            Self::Size(low, high) => format!("size, {low} to {high}"),
            Self::Path => "path".to_owned(),
            Self::List(what) => format!("list ({what})"),
            Self::Choices(choices) => format!("list of {}", words(choices)),
            Self::Secret => "secret".to_owned(),
            Self::Tree => "table".to_owned(),
        }
    }
}

/// What applies if a setting is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// This value, written as a variable or flag would write it.
    Value(&'static str),
    /// A value derived from other settings, as described by the string.
    Derived(&'static str),
    /// Nothing: the feature is unused.
    Unset,
    /// The setting must be given.
    Required,
}

/// A group of settings that belong together.
#[derive(Debug)]
pub struct Section {
    /// The heading in the reference page.
    pub title: &'static str,
    /// The introduction to the section, in a paragraph of Markdown.
    pub doc: &'static str,
    /// Its settings.
    pub keys: &'static [Key],
}

/// The sections in which settings are looked up.
#[derive(Clone, Copy, Debug)]
pub struct Sections(pub &'static [&'static Section]);

impl Sections {
    /// Every setting, in the order of the reference page.
    pub fn keys(self) -> impl Iterator<Item = &'static Key> {
        self.0.iter().flat_map(|section| section.keys)
    }
}

impl Key {
    /// Whether the key belongs to a table whose name the operator chooses. Such keys can be set in the file only.
    pub fn is_in_named_table(&self) -> bool {
        self.path.contains('<')
    }

    /// The variable that sets the key; `None` if it can be set in the file only.
    pub fn variable(&self) -> Option<String> {
        (!self.is_in_named_table()).then(|| variable(self.path))
    }

    /// Whether a path of the file is this key.
    pub(super) fn matches(&self, path: &[String]) -> bool {
        self.path.split('.').count() == path.len() && self.begins_with(path)
    }

    /// Whether the key has this path, with parts joined by dots. An `<identifier>` may contain dots itself.
    pub(super) fn has_path(&self, path: &str) -> bool {
        match self.path.split_once("<identifier>") {
            Some((before, after)) => path
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|identifier| !identifier.is_empty()),
            None => self.matches(&path.split('.').map(str::to_owned).collect::<Vec<_>>()),
        }
    }

    /// Whether a path of the file is a table that contains this key.
    pub(super) fn is_below(&self, path: &[String]) -> bool {
        self.path.split('.').count() > path.len() && self.begins_with(path)
    }

    fn begins_with(&self, path: &[String]) -> bool {
        self.path.split('.').zip(path).all(|(pattern, part)| pattern.starts_with('<') || pattern == part)
    }
}

/// The variable for the key with this path: `tokens.access_ttl` → `PASSMINT_TOKENS_ACCESS_TTL`.
pub(super) fn variable(path: &str) -> String {
    format!("PASSMINT_{}", path.to_uppercase().replace('.', "_"))
}

/// An enum whose variants are words of the configuration.
pub(super) trait Choice: Copy {
    /// The words, in the order of the variants.
    const WORDS: &'static [&'static str];

    /// The variant of a word.
    fn from_word(word: &str) -> Option<Self>;
}

/// Declares an enum whose variants are words of the configuration.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// The word that the configuration uses.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl $crate::config::section::Choice for $name {
            const WORDS: &'static [&'static str] = &[$($word),+];

            fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}
pub(super) use choices;
