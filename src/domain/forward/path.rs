//! Request paths as rules see them, and the places that a sign-in may lead back to.
//!
//! A path that different programs (the proxy, the app behind it, Passmint) could read differently is *ambiguous*, and
//! then no single rule decides: `/public/../admin` is public to a program that compares characters, and administration
//! to one that resolves dots.

/// The longest request target that is read.
const LONGEST: usize = 8 * 1024;
/// The longest place that a sign-in leads back to; it travels percent-encoded in addresses.
pub(super) const LONGEST_DESTINATION: usize = 1024;

/// The path of a request, decoded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPath {
    decoded: Vec<u8>,
    ambiguous: bool,
}

impl RequestPath {
    /// Reads the path of a request target (`/a/b?c=d`); `None` if it is not a valid target.
    pub fn of_target(target: &str) -> Option<Self> {
        if !target.starts_with('/') || target.len() > LONGEST {
            return None;
        }
        let end = target.find(['?', '#']).unwrap_or(target.len());
        let path = &target.as_bytes()[..end];
        let (decoded, mut ambiguous) = decode(path);
        // A request target never has a fragment; a sender that adds one hopes that some program cuts it off.
        ambiguous |= target.contains('#');
        ambiguous |= decoded.windows(2).any(|two| two == b"//");
        ambiguous |= decoded.split(|byte| *byte == b'/').any(|segment| segment == b"." || segment == b"..");
        // Some programs treat a backslash as a slash, and what follows a semicolon as a parameter; some decode `%`
        // twice.
        ambiguous |= decoded.iter().any(|byte| matches!(byte, b'\\' | b';' | b'%') || byte.is_ascii_control());
        Some(Self { decoded, ambiguous })
    }

    /// Whether another program could read the path differently.
    pub const fn is_ambiguous(&self) -> bool {
        self.ambiguous
    }

    /// Whether it is `prefix`, or below it: `/admin` covers `/admin` and `/admin/x`, never `/administrator`.
    pub fn is_below(&self, prefix: &str) -> bool {
        let Some(rest) = self.decoded.strip_prefix(prefix.as_bytes()) else { return false };
        prefix.ends_with('/') || rest.is_empty() || rest.starts_with(b"/")
    }
}

/// Undoes percent-encoding once. Encoded slashes and invalid encodings make the path ambiguous.
fn decode(path: &[u8]) -> (Vec<u8>, bool) {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (mut decoded, mut ambiguous, mut at) = (Vec::with_capacity(path.len()), false, 0);
    while let Some(&byte) = path.get(at) {
        let pair = path.get(at + 1).zip(path.get(at + 2)).and_then(|(a, b)| Some(digit(*a)? * 16 + digit(*b)?));
        match (byte, pair.and_then(|value| u8::try_from(value).ok())) {
            (b'%', Some(value)) => {
                ambiguous |= value == b'/';
                decoded.push(value);
                at += 3;
            }
            (b'%', None) => return (decoded, true),
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    (decoded, ambiguous)
}

/// The path and query on the same host that a sign-in leads back to. `None` for anything that a browser could read as
/// another host, or that contains anything but visible ASCII.
pub fn destination(text: &str) -> Option<&str> {
    let visible = |byte: u8| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#';
    // Returning to the sign-in itself would loop, and returning to its callback would have no code to redeem.
    let ours = ["/.passmint/", "/.passmint?"].iter().any(|own| text.starts_with(own)) || text == "/.passmint";
    let fits = text.len() <= LONGEST_DESTINATION
        && text.starts_with('/')
        && !text.starts_with("//")
        && text.bytes().all(visible)
        && !ours;
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str) -> RequestPath {
        RequestPath::of_target(target).unwrap_or_else(|| panic!("{target} is a target"))
    }

    #[test]
    fn a_prefix_covers_itself_and_what_is_below() {
        for (target, prefix, covered) in [
            ("/admin", "/admin", true),
            ("/admin/", "/admin", true),
            ("/admin/x?y=/", "/admin", true),
            ("/admin?x", "/admin", true),
            ("/administrator", "/admin", false),
            ("/Admin", "/admin", false),
            ("/x/admin", "/admin", false),
            ("/x?/admin", "/admin", false),
            ("/static/a.css", "/static/", true),
            ("/static", "/static/", false),
            ("/%61dmin/x", "/admin", true),
            ("/anything", "/", true),
        ] {
            let path = path(target);
            assert_eq!((path.is_below(prefix), path.is_ambiguous()), (covered, false), "{target} below {prefix}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_ambiguous() {
        for target in [
            "/public/../admin",
            "/public/..",
            "/./admin",
            "/public/%2e%2e/admin",
            "/public/%2E./admin",
            "//admin",
            "/public//admin",
            "/public%2fadmin",
            "/public%2Fadmin",
            "/public\\admin",
            "/public%5cadmin",
            "/public/..;/admin",
            "/admin;a=b",
            "/%2561dmin",
            "/%",
            "/%4",
            "/%zz",
            "/a%00b",
            "/a%0d%0ab",
            "/a#/../admin",
            "/a\tb",
        ] {
            assert!(path(target).is_ambiguous(), "{target}");
        }
        for target in
            ["/", "/a/b.c/d", "/.well-known/x", "/a..b/...", "/caf%C3%A9", "/a%20b", "/a?b=../..//;%2f", "/a@b:c"]
        {
            assert!(!path(target).is_ambiguous(), "{target}");
        }
        for no_target in ["", "*", "a", "https://evil.example/", &format!("/{}", "a".repeat(LONGEST))] {
            assert_eq!(RequestPath::of_target(no_target), None, "{no_target:.40}");
        }
    }

    #[test]
    fn a_sign_in_leads_back_to_the_same_host_only() {
        for good in ["/", "/a/b?c=d&e=%20f", "/a//b", "/a/../b", "/?next=https://x.example/", "/.passmint2", "/a@b"] {
            assert_eq!(destination(good), Some(good));
        }
        for (name, bad) in [
            ("nothing", String::new()),
            ("relative", "a".into()),
            ("another host", "//evil.example".into()),
            ("with a backslash", "/\\evil.example".into()),
            ("with a backslash further on", "/a\\b".into()),
            ("absolute", "https://evil.example/".into()),
            ("script", "javascript:alert(1)".into()),
            ("a line's end", "/a\r\nSet-Cookie: x".into()),
            ("a tab", "/\t/evil.example".into()),
            ("a space", "/a b".into()),
            ("NUL", "/a\0".into()),
            ("beyond ASCII", "/é".into()),
            ("a fragment", "/a#b".into()),
            ("the sign-in itself", "/.passmint/start?rd=/".into()),
            ("signing out", "/.passmint/sign-out".into()),
            ("too long", format!("/{}", "a".repeat(LONGEST_DESTINATION))),
        ] {
            assert_eq!(destination(&bad), None, "{name}");
        }
    }
}
