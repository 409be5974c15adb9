//! A target's rules in words, for its page and the commands.

use super::claim::Claim;
use super::target::{Audience, Issuer, Kid, Target};
use crate::bridge::spec::{Algorithm, AudienceForm, Typ};

impl Target {
    /// Its rules, each with a name.
    pub(super) fn rules_in_words(&self) -> Vec<(&'static str, String)> {
        let issuer = match self.issuer {
            Issuer::Server => "this server's, unless another is written".to_owned(),
            Issuer::Said(words) => format!("required: {words}"),
        };
        let audience = match self.audience {
            Audience::Said(words) => format!("required: {words}"),
            Audience::Usually(usual) => format!("`{usual}`, unless another is written"),
        };
        let kid = match self.kid {
            Kid::Any => "the key's, none for HS256, unless another or `omit` is written".to_owned(),
            Kid::Needed => "always there: the target finds the key by it".to_owned(),
            Kid::Fixed(words) => format!("required: {words}"),
        };
        let usual = self.subject.usual.map_or_else(|| "required".to_owned(), |usual| format!("`{usual}`"));
        let subject =
            format!("`{}`: {usual}; {}, at most {}", self.subject.claim, self.subject.shape.words, self.subject.max);
        let life = format!("{} seconds where nothing is said; {}", self.lifetime.usual, self.lifetime.words);
        vec![
            ("`alg`", words(self.algorithms, Algorithm::as_str)),
            ("`typ`", words(self.types, Typ::as_str)),
            ("`kid`", kid),
            ("`iss`", issuer),
            ("`aud`", format!("{audience}; written as {}", words(self.forms, AudienceForm::as_str))),
            ("subject", subject),
            ("life", life),
            ("asked for", listed(self.claims.iter().filter(|rule| rule.needed).map(Claim::place))),
            ("decides rights", listed(self.claims.iter().filter(|rule| rule.rights).map(Claim::place))),
            (
                "only with `dangerous`",
                listed(self.claims.iter().flat_map(|rule| rule.powerful).map(|one| (*one).to_owned())),
            ),
            ("never written", listed(self.reserved.iter().map(|name| (*name).to_owned()))),
        ]
    }
}

/// The known terms, the default first.
fn words<T: Copy>(known: &[T], word: fn(T) -> &'static str) -> String {
    listed(known.iter().map(|one| word(*one).to_owned()))
}

fn listed(words: impl Iterator<Item = String>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for word in words.map(|word| format!("`{word}`")) {
        if !seen.contains(&word) {
            seen.push(word);
        }
    }
    seen.join(", ")
}
