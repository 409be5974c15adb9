//! What a person was doing at a host when a proxy sent them to our pages. It is carried through those pages, so that
//! people are asked for what the request needs and then return to it.

use super::path::{LONGEST_DESTINATION, destination};
use super::rules::is_method;
use super::{Needed, ProtectedHost, RequestPath};

/// The longest method that is carried.
const LONGEST_METHOD: usize = 32;

/// A place to return to, and the waiting request if it is not such a place (a form submission, or an address that
/// cannot be a return target). It only determines what people are asked for on the way, so nothing in it needs to be
/// trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    back: String,
    waiting: Option<Waiting>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    method: String,
    path: String,
}

impl Errand {
    /// The errand of a request that a proxy asks about. People return to a page; for any other request they return to
    /// the start.
    pub fn of(method: &str, target: &str) -> Self {
        let reads = ["GET", "HEAD"].contains(&method);
        match destination(target).filter(|_| reads) {
            Some(page) => Self { back: page.to_owned(), waiting: None },
            None => Self { back: "/".to_owned(), waiting: Waiting::of(method, target) },
        }
    }

    /// Reads an errand from the parameters of an address, by name with `find`. An invalid place to return to becomes
    /// the start.
    pub fn read<'a>(find: impl Fn(&str) -> Option<&'a str>) -> Self {
        let waiting = find("method").zip(find("path"));
        Self {
            back: find("rd").and_then(destination).unwrap_or("/").to_owned(),
            waiting: waiting.and_then(|(method, path)| Waiting::of(method, path)),
        }
    }

    /// The address parameters that [`Errand::read`] reads.
    pub fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let waiting =
            self.waiting.iter().flat_map(|one| [("method", one.method.as_str()), ("path", one.path.as_str())]);
        std::iter::once(("rd", self.back.as_str())).chain(waiting)
    }

    /// The place at the host to return to: path and query.
    pub fn back(&self) -> &str {
        &self.back
    }

    /// What the request needs at a host.
    pub fn needed<'a>(&self, host: &'a ProtectedHost) -> Needed<'a> {
        let (method, target) = match &self.waiting {
            Some(waiting) => (waiting.method.as_str(), waiting.path.as_str()),
            None => ("GET", self.back.as_str()),
        };
        RequestPath::of_target(target).map_or(Needed::Impossible, |path| host.needed(method, &path))
    }
}

impl Waiting {
    /// A waiting request; `None` if the method or the target is invalid.
    fn of(method: &str, target: &str) -> Option<Self> {
        let path = beginning(target.split(['?', '#']).next().unwrap_or_default());
        let fits = is_method(method) && method.len() <= LONGEST_METHOD;
        RequestPath::of_target(path).filter(|_| fits)?;
        Some(Self { method: method.to_owned(), path: path.to_owned() })
    }
}

/// The start of a path, cut at a slash so that it fits into an address: rules match whole segments.
fn beginning(path: &str) -> &str {
    if path.len() <= LONGEST_DESTINATION {
        return path;
    }
    let cut = path.as_bytes()[..LONGEST_DESTINATION].iter().rposition(|byte| *byte == b'/');
    cut.map_or("", |slash| &path[..=slash])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_come_back_to_and_anything_else_is_carried_without_its_query_or_not_at_all() {
        let long = format!("/{}", "a".repeat(LONGEST_DESTINATION));
        for (name, method, target, back, carried) in [
            ("a page", "GET", "/a?b=c", "/a?b=c", None),
            ("its head", "HEAD", "/a", "/a", None),
            ("a form", "POST", "/pay?a=b", "/", Some("/pay")),
            ("a path to be read in two ways", "GET", "//x/../y", "/", Some("//x/../y")),
            ("a fragment", "GET", "/a#b", "/", Some("/a")),
            ("a method in small letters", "post", "/pay", "/", None),
            ("a method without end", &"A".repeat(LONGEST_METHOD + 1), "/pay", "/", None),
            ("no path", "OPTIONS", "*", "/", None),
            ("too long", "POST", &long, "/", Some("/")),
            ("a page that is too long", "GET", &format!("/admin/x{long}"), "/", Some("/admin/x/")),
        ] {
            let errand = Errand::of(method, target);
            let parameters: Vec<_> = errand.parameters().collect();
            let find = |wanted: &str| parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
            assert_eq!((errand.back(), find("rd"), find("path")), (back, Some(back), carried), "{name}");
            assert_eq!(Errand::read(find), errand, "{name}: read as written");
        }
    }

    #[test]
    fn an_address_leads_nowhere_else() {
        for rd in ["//evil.example", "https://evil.example/", "/\\evil.example", "", "x", "/.passmint/start"] {
            let errand = Errand::read(|name| (name == "rd").then_some(rd));
            assert_eq!(errand.back(), "/", "{rd}");
        }
        assert_eq!(Errand::read(|_| None), Errand::of("GET", "/"));
    }
}
