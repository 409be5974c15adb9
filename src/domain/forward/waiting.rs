//! A request that waits for a sign-in and cannot be come back to: a form that was being sent, an address that is no place to
//! lead to. The way through our pages carries it along, so that people are asked there for what it needs.

use super::path::LONGEST_DESTINATION;
use super::rules::is_method;
use super::{Needed, ProtectedHost, RequestPath};

/// Longest method that is carried along.
const LONGEST_METHOD: usize = 32;

/// Such a request. It decides only what people are asked for on their way, so nothing in it has to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    method: String,
    path: String,
}

impl Waiting {
    /// Of a method and a request target; none of what is neither, or too long for an address.
    pub fn of(method: &str, target: &str) -> Option<Self> {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let fits = is_method(method) && method.len() <= LONGEST_METHOD && path.len() <= LONGEST_DESTINATION;
        RequestPath::of_target(path).filter(|_| fits)?;
        Some(Self { method: method.to_owned(), path: path.to_owned() })
    }

    /// What an address carries of it, and [`Waiting::of`] reads.
    pub fn parameters(&self) -> [(&'static str, &str); 2] {
        [("method", &self.method), ("path", &self.path)]
    }

    /// What it needs at a host.
    pub fn needed<'a>(&self, host: &'a ProtectedHost) -> Needed<'a> {
        RequestPath::of_target(&self.path).map_or(Needed::Impossible, |path| host.needed(&self.method, &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_carried_without_its_query_or_not_at_all() {
        let long = format!("/{}", "a".repeat(LONGEST_DESTINATION));
        for (name, method, target, carried) in [
            ("a form", "POST", "/pay?a=b", Some("/pay")),
            ("a path to be read in two ways", "GET", "//x/../y", Some("//x/../y")),
            ("a fragment", "GET", "/a#b", Some("/a")),
            ("a method in small letters", "post", "/pay", None),
            ("a method without end", &"A".repeat(LONGEST_METHOD + 1), "/pay", None),
            ("no path", "OPTIONS", "*", None),
            ("too long", "POST", &long, None),
        ] {
            let waiting = Waiting::of(method, target);
            let path = waiting.as_ref().map(|waiting| waiting.parameters()[1].1);
            assert_eq!(path, carried, "{name}");
            if let Some(waiting) = &waiting {
                let [(_, method), (_, path)] = waiting.parameters();
                assert_eq!(Waiting::of(method, path).as_ref(), Some(waiting), "{name}: read as written");
            }
        }
    }
}
