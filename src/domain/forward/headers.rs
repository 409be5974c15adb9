//! The headers that tell an app who a person is.
//!
//! Invariants: every response that lets a request through has all headers of the host's set, empty if there is nothing
//! to say, because a header that the proxy is not told to overwrite reaches the app as the *caller* sent it; different
//! values never look the same, because an app that compares names would then confuse two people.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::domain::client::fields::Fault;

/// The content of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The name by which the app knows the person.
    User,
    /// The account's id.
    Id,
    /// The verified e-mail address.
    Email,
    /// The person's display name.
    Name,
    /// The groups, separated by this character.
    Groups(char),
    /// The authentication context class.
    Acr,
}

impl Fact {
    /// The names used in the configuration.
    pub const WORDS: [(&'static str, Self); 7] = [
        ("user", Self::User),
        ("id", Self::Id),
        ("email", Self::Email),
        ("name", Self::Name),
        ("groups", Self::Groups(',')),
        ("groups|", Self::Groups('|')),
        ("acr", Self::Acr),
    ];

    /// Reads such a name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.into_iter().find(|(known, _)| *known == word).map(|(_, fact)| fact)
    }
}

/// A set of headers that existing apps already support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As sent by Authelia.
    Authelia,
    /// As sent by oauth2-proxy.
    Oauth2Proxy,
    /// As sent by authentik.
    Authentik,
    /// As accepted by Grafana's `auth.proxy`.
    Grafana,
    /// No headers.
    None,
}

impl Style {
    const fn table(self) -> &'static [(&'static str, Fact)] {
        match self {
            Self::Authelia => &[
                ("remote-user", Fact::User),
                ("remote-groups", Fact::Groups(',')),
                ("remote-email", Fact::Email),
                ("remote-name", Fact::Name),
            ],
            Self::Oauth2Proxy => &[
                ("x-auth-request-user", Fact::User),
                ("x-auth-request-email", Fact::Email),
                ("x-auth-request-groups", Fact::Groups(',')),
                ("x-auth-request-preferred-username", Fact::Name),
            ],
            Self::Authentik => &[
                ("x-authentik-username", Fact::User),
                ("x-authentik-groups", Fact::Groups('|')),
                ("x-authentik-email", Fact::Email),
                ("x-authentik-name", Fact::Name),
                ("x-authentik-uid", Fact::Id),
            ],
            Self::Grafana => &[
                ("x-webauth-user", Fact::User),
                ("x-webauth-email", Fact::Email),
                ("x-webauth-name", Fact::Name),
                ("x-webauth-groups", Fact::Groups(',')),
            ],
            Self::None => &[],
        }
    }
}

/// The headers for a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderSet(Vec<(String, Fact)>);

/// The longest value that is sent; proxies reject longer ones with an error of their own.
const LONGEST: usize = 4096;

/// A value that does not fit into a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header would be longer than {LONGEST} bytes")]
pub struct TooLong;

impl HeaderSet {
    /// The headers of a style.
    pub fn of(style: Style) -> Self {
        Self(style.table().iter().map(|(name, fact)| ((*name).to_owned(), *fact)).collect())
    }

    /// Adds a header; `false` if one of that name exists, in any case.
    #[must_use = "two headers of one name are a mistake"]
    pub fn add(&mut self, name: &str, fact: Fact) -> bool {
        let name = name.to_ascii_lowercase();
        let fresh = !self.has(&name);
        if fresh {
            self.0.push((name, fact));
        }
        fresh
    }

    /// Whether there is a header of that name (lower case).
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// All headers for a person; for nobody, all of them empty.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn render(&self, person: Option<&Person>) -> Result<Vec<(&str, String)>, TooLong> {
        let value = |fact: &Fact| person.map(|person| person.tell(*fact)).unwrap_or_default();
        let all: Vec<(&str, String)> = self.0.iter().map(|(name, fact)| (name.as_str(), value(fact))).collect();
        if all.iter().any(|(_, value)| value.len() > LONGEST) { Err(TooLong) } else { Ok(all) }
    }
}

/// A signed-in person, as an app is told about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The name by which the app knows them.
    pub user: String,
    /// The account's id.
    pub id: String,
    /// The verified e-mail address.
    pub email: Option<String>,
    /// Their display name.
    pub name: Option<String>,
    /// Their groups.
    pub groups: Vec<String>,
    /// The authentication context class of their sign-in.
    pub acr: String,
}

impl Person {
    fn tell(&self, fact: Fact) -> String {
        let plain = |text: &str| clean(text, None).into_owned();
        match fact {
            Fact::User => plain(&self.user),
            Fact::Id => plain(&self.id),
            Fact::Email => plain(self.email.as_deref().unwrap_or_default()),
            Fact::Name => plain(self.name.as_deref().unwrap_or_default()),
            Fact::Acr => plain(&self.acr),
            Fact::Groups(between) => {
                let groups: Vec<_> = self.groups.iter().map(|group| clean(group, Some(between))).collect();
                groups.join(between.encode_utf8(&mut [0; 4]))
            }
        }
    }
}

/// The value in visible ASCII. Bytes that end a line, are not ASCII, are spaces at an end (which parsers would trim) or
/// separate list elements are percent-encoded (`%0A`). `%` is encoded as well, so that different values never look the
/// same.
fn clean(text: &str, separator: Option<char>) -> Cow<'_, str> {
    let last = text.len().saturating_sub(1);
    let plain = |at: usize, byte: u8| match byte {
        b'%' => false,
        b' ' => at != 0 && at != last,
        _ => byte.is_ascii_graphic() && separator != Some(char::from(byte)),
    };
    if text.bytes().enumerate().all(|(at, byte)| plain(at, byte)) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for (at, byte) in text.bytes().enumerate() {
        if plain(at, byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out.into()
}

/// Names with a meaning in HTTP or for the proxy: an app would misread our value.
const RESERVED: [&str; 24] = [
    "accept",
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "location",
    "origin",
    "proxy-authorization",
    "range",
    "referer",
    "server",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "www-authenticate",
];

/// Reads the name of a header that tells an app about a person. Returns it in lower case.
///
/// # Errors
/// What is wrong with it.
pub fn header_name(text: &str) -> Result<String, Fault> {
    let name = text.to_ascii_lowercase();
    if name.is_empty() || name.len() > 64 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        // Many apps treat underscores as hyphens: the caller's `Remote_User` would arrive as `Remote-User`.
        return Err(Fault::new("is not the name of a header", "use letters, digits and hyphens, 64 at most"));
    }
    let reserved = ["content-", "x-forwarded-", "sec-", "access-control-", "if-", "x-original-"];
    if RESERVED.contains(&name.as_str()) || reserved.iter().any(|start| name.starts_with(start)) {
        return Err(Fault::new("has a meaning of its own in HTTP", "choose a name that begins with X- or Remote-"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person() -> Person {
        Person {
            user: "u1".into(),
            id: "0f".into(),
            email: Some("ana@example.com".into()),
            name: Some("Ana Souza".into()),
            groups: vec!["admins".into(), "staff".into()],
            acr: "phr".into(),
        }
    }

    fn told(style: Style, person: Option<&Person>) -> String {
        let set = HeaderSet::of(style);
        let all = set.render(person).unwrap();
        all.iter().flat_map(|(name, value)| [name, ": ", value, "\n"]).collect()
    }

    #[test]
    fn every_style_tells_the_same_person_in_its_own_words() {
        let ana = person();
        for (style, words) in [
            (
                Style::Authelia,
                "remote-user: u1\nremote-groups: admins,staff\nremote-email: ana@example.com\nremote-name: Ana Souza\n",
            ),
            (
                Style::Oauth2Proxy,
                "x-auth-request-user: u1\nx-auth-request-email: ana@example.com\nx-auth-request-groups: admins,staff\n\
                 x-auth-request-preferred-username: Ana Souza\n",
            ),
            (
                Style::Authentik,
                "x-authentik-username: u1\nx-authentik-groups: admins|staff\nx-authentik-email: ana@example.com\n\
                 x-authentik-name: Ana Souza\nx-authentik-uid: 0f\n",
            ),
            (
                Style::Grafana,
                "x-webauth-user: u1\nx-webauth-email: ana@example.com\nx-webauth-name: Ana Souza\n\
                 x-webauth-groups: admins,staff\n",
            ),
            (Style::None, ""),
        ] {
            assert_eq!(told(style, Some(&ana)), words, "{style:?}");
        }
    }

    #[test]
    fn all_headers_are_there_about_nobody_and_about_somebody_without_anything() {
        for style in [Style::Authelia, Style::Oauth2Proxy, Style::Authentik, Style::Grafana] {
            let names = |person: Option<&Person>| {
                HeaderSet::of(style)
                    .render(person)
                    .unwrap()
                    .iter()
                    .map(|(name, _)| (*name).to_owned())
                    .collect::<Vec<_>>()
            };
            let set = HeaderSet::of(style);
            let nobody = set.render(None).unwrap();
            assert!(nobody.iter().all(|(_, value)| value.is_empty()), "{style:?}");
            assert_eq!(names(None), names(Some(&person())), "{style:?}");
            assert_eq!(names(None), names(Some(&Person::default())), "{style:?}");
        }
    }

    #[test]
    fn no_value_is_more_than_a_value_and_no_two_look_alike() {
        for (name, text, between, told) in [
            ("plain", "Ana Souza", None, "Ana Souza"),
            ("a line's end", "ana\r\nRemote-Groups: admins", None, "ana%0D%0ARemote-Groups: admins"),
            ("beyond ASCII", "Łukasz", None, "%C5%81ukasz"),
            ("a look-alike", "аdmin", None, "%D0%B0dmin"),
            ("a separator in a name", "a,admins", Some(','), "a%2Cadmins"),
            ("the other separator", "a,b", Some('|'), "a,b"),
            ("the escape itself", "a%2Cadmins", Some(','), "a%252Cadmins"),
            ("spaces at the ends", " admin ", None, "%20admin%20"),
            ("nothing but a space", " ", None, "%20"),
            ("a tab", "a\tb", None, "a%09b"),
            ("NUL and DEL", "a\0\u{7f}", None, "a%00%7F"),
            ("right to left", "\u{202e}nimda", None, "%E2%80%AEnimda"),
        ] {
            assert_eq!(clean(text, between), told, "{name}");
        }
        let group = Person { groups: vec!["a,admins".into(), "b".into()], ..person() };
        assert!(told(Style::Authelia, Some(&group)).contains("remote-groups: a%2Cadmins,b\n"));
    }

    #[test]
    fn what_does_not_fit_is_not_cut() {
        let many = Person { groups: (0..500).map(|n| format!("group-{n:04}")).collect(), ..person() };
        assert_eq!(HeaderSet::of(Style::Authelia).render(Some(&many)), Err(TooLong));
    }

    #[test]
    fn a_header_has_a_name_that_means_nothing_else() {
        for (text, name) in
            [("X-User", "x-user"), ("remote-user", "remote-user"), ("X-Passmint-Assertion", "x-passmint-assertion")]
        {
            assert_eq!(header_name(text).unwrap(), name);
        }
        for bad in [
            "",
            "X User",
            "X_User",
            "X-User:",
            "X-Üser",
            "Host",
            "cookie",
            "Authorization",
            "X-Forwarded-For",
            "Content-Length",
            "Transfer-Encoding",
            "Set-Cookie",
            "Location",
            "Sec-Fetch-Mode",
            "X-Original-URL",
            "a\r\nb",
        ] {
            assert!(header_name(bad).is_err(), "{bad}");
        }
        let mut set = HeaderSet::of(Style::Authelia);
        assert!(set.add("X-Id", Fact::Id) && !set.add("x-id", Fact::User) && !set.add("Remote-User", Fact::Id));
        assert!(Fact::WORDS.into_iter().all(|(word, fact)| Fact::parse(word) == Some(fact)));
    }
}
