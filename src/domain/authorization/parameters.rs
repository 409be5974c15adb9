//! The parameters of a request as received. Repeated parameters are recorded, never resolved to one value.

use std::collections::BTreeMap;

/// The most parameters that are read.
const MOST: usize = 64;
/// Parameters that may be sent several times (RFC 8707 §2).
const REPEATABLE: [&str; 1] = ["resource"];

/// Parameters by name. Empty values count as absent (RFC 6749 §3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    values: BTreeMap<String, Vec<String>>,
    too_many: bool,
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut all = Self::default();
        for (count, (name, value)) in pairs.into_iter().enumerate() {
            if count == MOST {
                all.too_many = true;
                break;
            }
            all.values.entry(name.into()).or_default().push(value.into());
        }
        all
    }
}

impl Parameters {
    /// The value of a parameter that was sent once and is not empty.
    pub fn find(&self, name: &str) -> Option<&str> {
        match self.values.get(name).map(Vec::as_slice) {
            Some([value]) if !value.is_empty() => Some(value),
            _ => None,
        }
    }

    /// Every value of a parameter that may be repeated.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.get(name).into_iter().flatten().map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether this parameter was sent more than once.
    pub fn is_repeated(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|values| values.len() > 1)
    }

    /// Whether a parameter was repeated that must not be, or there are too many parameters.
    pub fn are_ambiguous(&self) -> bool {
        self.too_many || self.values.keys().any(|name| !REPEATABLE.contains(&name.as_str()) && self.is_repeated(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_twice_has_no_value() {
        let read = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Parameters>();
        let twice = read(&[("state", "a"), ("state", "b"), ("scope", "openid"), ("nonce", "")]);
        assert_eq!((twice.find("state"), twice.find("scope"), twice.find("nonce")), (None, Some("openid"), None));
        assert!(twice.are_ambiguous() && twice.is_repeated("state"));
        assert!(read(&[("a", "1"), ("a", "")]).are_ambiguous(), "an empty second one is a second one");
        let resources = read(&[("resource", "a"), ("resource", "b"), ("resource", "")]);
        assert!(!resources.are_ambiguous());
        assert_eq!(resources.all("resource").collect::<Vec<_>>(), ["a", "b"]);
        let many: Parameters = (0..65).map(|n| (format!("p{n}"), "1")).collect();
        assert!(many.are_ambiguous());
    }
}
