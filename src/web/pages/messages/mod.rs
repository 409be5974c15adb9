//! The message catalogue: every text on the hosted pages, keyed by meaning.
//!
//! What must always hold: templates and the page module contain no text of their own (the tests of this room check
//! this), every text is used somewhere, and what a user or a provider wrote is isolated in `<bdi>` inside our
//! sentences, so that a right-to-left name cannot reorder them.
//!
//! To add a text: one line in `english.rs`, then `t.its_key` in a template. To add a language: a `Texts` value beside
//! `english::ENGLISH` (a missing text does not compile), its [`PluralRule`], and a [`Locale`] with both.

mod english;

use std::fmt;

use askama::filters::HtmlSafe;
use serde::Serialize;

pub use english::{ModuleTexts, Texts};

/// The writing direction of a language. Displays as the value of the HTML `dir` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Left to right.
    Ltr,
    /// Right to left.
    Rtl,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ltr => "ltr",
            Self::Rtl => "rtl",
        })
    }
}

/// A language of the pages.
#[derive(Clone, Copy, Debug)]
pub struct Locale {
    /// BCP 47 tag, for `<html lang>`.
    pub lang: &'static str,
    /// Writing direction, for `<html dir>`.
    pub dir: Direction,
    /// The texts.
    pub texts: &'static Texts,
}

/// English, the reference for all other languages.
pub const ENGLISH: Locale = Locale { lang: "en", dir: Direction::Ltr, texts: &english::ENGLISH };

/// All languages. The first is the default.
pub const LOCALES: &[Locale] = &[ENGLISH];

/// The best language for a list of BCP 47 tags in order of preference (`ui_locales`, then the cookie, then
/// `Accept-Language`): one with the same tag, else one with the same primary language, else the default.
pub fn choose<'a>(wanted: impl IntoIterator<Item = &'a str>) -> Locale {
    let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    for tag in wanted {
        let exact = LOCALES.iter().find(|locale| locale.lang.eq_ignore_ascii_case(tag));
        let near = || LOCALES.iter().find(|locale| primary(locale.lang) == primary(tag));
        if let Some(found) = exact.or_else(near) {
            return *found;
        }
    }
    LOCALES[0]
}

/// The plural form of a text for a number (the CLDR cardinal categories that our languages need).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluralForm {
    /// Singular, "1 minute".
    One,
    /// Paucal, for languages that have it.
    Few,
    /// All other numbers.
    Other,
}

/// Maps a number to the plural form of a language.
pub type PluralRule = fn(u64) -> PluralForm;

/// A text that depends on a number, which replaces `{n}`. The page module gets it as `{one, few?, other}` and selects
/// the form with `Intl.PluralRules`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Plural {
    /// For [`PluralForm::One`].
    pub one: &'static str,
    /// For [`PluralForm::Few`], if the language has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub few: Option<&'static str>,
    /// For [`PluralForm::Other`].
    pub other: &'static str,
}

impl Plural {
    /// The text for `n`, with the number inserted.
    pub fn text(&self, rule: PluralRule, n: u64) -> String {
        let text = match rule(n) {
            PluralForm::One => self.one,
            PluralForm::Few => self.few.unwrap_or(self.other),
            PluralForm::Other => self.other,
        };
        text.replace("{n}", &n.to_string())
    }
}

/// HTML that is safe to print unchanged: our own text around escaped, isolated values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Wraps HTML that the caller built only from constants and escaped values.
    pub(super) fn trusted(markup: String) -> Self {
        Self(markup)
    }

    /// A value in an element that isolates its writing direction.
    pub(super) fn isolated(value: &str) -> Self {
        Self(format!("<bdi>{}</bdi>", escape(value)))
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Html {}

/// Escapes for element content and quoted attributes.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Replaces each `{name}` in `pattern` in one pass, so that braces inside a value are never replaced.
fn fill(pattern: &str, values: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(pattern.len() + 32);
    let mut rest = pattern;
    while let Some(start) = rest.find('{') {
        let Some(end) = rest[start..].find('}').map(|end| start + end) else { break };
        out.push_str(&rest[..start]);
        let name = &rest[start + 1..end];
        match values.iter().find(|(key, _)| *key == name) {
            Some((_, value)) => out.push_str(value),
            None => out.push_str(&rest[start..=end]),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

impl Texts {
    /// The name of a month, 0 for January. Larger numbers than 11 give December.
    pub fn month(&self, month0: u32) -> &'static str {
        match month0 {
            0 => self.month_1,
            1 => self.month_2,
            2 => self.month_3,
            3 => self.month_4,
            4 => self.month_5,
            5 => self.month_6,
            6 => self.month_7,
            7 => self.month_8,
            8 => self.month_9,
            9 => self.month_10,
            10 => self.month_11,
            _ => self.month_12,
        }
    }
}

/// Defines `Texts` and its English value from one table, so that a key, its arguments and its text are on one line.
///
/// `plain` texts are fields. `filled` and `rich` are methods that take the named arguments: `filled` returns a `String`
/// for attributes and titles, `rich` returns [`Html`] with every argument in `<bdi>`. `plural` methods take a number.
/// `module` and `module_plural` are the texts that the page module gets with `#boot`.
macro_rules! texts {
    (
        plain { $($key:ident: $text:literal,)* }
        filled { $($fkey:ident($($farg:ident),+): $ftext:literal,)* }
        rich { $($rkey:ident($($rarg:ident),+): $rtext:literal,)* }
        plural { $($pkey:ident: $pone:literal / $pother:literal,)* }
        module { $($mkey:ident: $mtext:literal,)* }
        module_plural { $($nkey:ident: $none:literal / $nother:literal,)* }
    ) => {
        /// The texts of a language: plain texts as fields, the others as methods.
        #[derive(Debug)]
        pub struct Texts {
            /// Selects the plural form.
            pub rule: $crate::web::pages::messages::PluralRule,
            $(#[doc = $text] pub $key: &'static str,)*
            $(#[doc = $ftext] pub $fkey: &'static str,)*
            $(#[doc = $rtext] pub $rkey: &'static str,)*
            $(#[doc = $pother] pub $pkey: $crate::web::pages::messages::Plural,)*
            /// The texts of the page module.
            pub module: ModuleTexts,
        }

        /// The texts of the page module, serialized into `#boot` in camelCase.
        #[derive(Debug, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct ModuleTexts {
            $(#[doc = $mtext] pub $mkey: &'static str,)*
            $(#[doc = $nother] pub $nkey: $crate::web::pages::messages::Plural,)*
        }

        impl Texts {
            $(#[doc = $ftext]
            pub fn $fkey(&self, $($farg: impl std::fmt::Display),+) -> String {
                $crate::web::pages::messages::fill(self.$fkey, &[$((stringify!($farg), $farg.to_string())),+])
            })*
            $(#[doc = $rtext]
            pub fn $rkey(&self, $($rarg: impl std::fmt::Display),+) -> $crate::web::pages::messages::Html {
                use $crate::web::pages::messages::{Html, escape, fill};
                Html::trusted(fill(&escape(self.$rkey), &[$((stringify!($rarg), Html::isolated(&$rarg.to_string()).to_string())),+]))
            })*
            $(#[doc = $pother]
            pub fn $pkey(&self, n: impl std::borrow::Borrow<u64>) -> String {
                self.$pkey.text(self.rule, *n.borrow())
            })*

            /// Every page text: key, text, names of its arguments. For the tests of the catalogue.
            pub fn entries(&self) -> Vec<(&'static str, &'static str, &'static [&'static str])> {
                vec![
                    $((stringify!($key), self.$key, &[] as &[&str]),)*
                    $((stringify!($fkey), self.$fkey, &[$(stringify!($farg)),+]),)*
                    $((stringify!($rkey), self.$rkey, &[$(stringify!($rarg)),+]),)*
                    $((stringify!($pkey), self.$pkey.other, &["n"]),)*
                ]
            }
        }

        /// English.
        pub static ENGLISH: Texts = Texts {
            rule: english_plural,
            $($key: $text,)*
            $($fkey: $ftext,)*
            $($rkey: $rtext,)*
            $($pkey: $crate::web::pages::messages::Plural { one: $pone, few: None, other: $pother },)*
            module: ModuleTexts {
                $($mkey: $mtext,)*
                $($nkey: $crate::web::pages::messages::Plural { one: $none, few: None, other: $nother },)*
            },
        };
    };
}
use texts;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_isolated_and_never_filled_twice() {
        let text = ENGLISH.texts.confirm_remove_passkey("<b>{name}");
        assert_eq!(text.to_string(), "To remove the passkey <bdi>&lt;b&gt;{name}</bdi>.");
        assert_eq!(fill("{a} {b}", &[("a", "{b}".into()), ("b", "x".into())]), "{b} x");
    }

    #[test]
    fn numbers_choose_their_form() {
        assert_eq!(ENGLISH.texts.minutes(1), "1 minute");
        assert_eq!(ENGLISH.texts.minutes(5), "5 minutes");
    }

    #[test]
    fn every_text_names_exactly_its_arguments_and_says_something() {
        for (key, text, arguments) in ENGLISH.texts.entries() {
            assert!(!text.trim().is_empty(), "{key} is empty");
            assert_eq!(text.matches('{').count(), arguments.len(), "{key}");
            for argument in arguments {
                assert!(text.contains(&format!("{{{argument}}}")), "{key} lacks {{{argument}}}");
            }
        }
    }

    #[test]
    fn languages_are_chosen_by_tag_then_by_primary_language() {
        for (wanted, lang) in [(vec!["en"], "en"), (vec!["EN-gb"], "en"), (vec!["../x", ""], "en"), (vec![], "en")] {
            assert_eq!(choose(wanted).lang, lang);
        }
    }

    /// One vocabulary, and no terms of the specifications in texts for end users. The developer panel and the reference
    /// are for readers who expect exactly those terms.
    #[test]
    fn end_users_never_read_the_specifications_words() {
        let module = serde_json::to_value(&ENGLISH.texts.module).unwrap();
        let module = module.as_object().unwrap().iter().map(|(key, text)| (key.clone(), text.to_string()));
        let page = ENGLISH.texts.entries().into_iter().map(|(key, text, _)| (key.to_owned(), text.to_owned()));
        for (key, text) in page.chain(module).filter(|(key, _)| !key.starts_with("dev")) {
            let text = text.to_lowercase();
            for word in
                ["credential", "authenticator", "webauthn", "assertion", "resident", "synced", "device-bound", "aaguid"]
            {
                assert!(!text.contains(word), "{key} says {word:?}");
            }
        }
    }
}
