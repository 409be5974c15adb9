//! Forward auth: decides what a proxy is told about a request for a host that Passmint protects.
//!
//! Pure: which host is meant ([`origin`]), what its rules require ([`rules`]), how a path is read ([`path`]), what the
//! app is told about the person ([`headers`]). Invariants: a host that is not configured is refused; whatever could be
//! read in two ways is judged by the stricter reading; every response that lets a request through has all headers that
//! an app trusts.
//!
//! To add a header style: a variant of [`headers::Style`] with its table.

pub mod errand;
pub mod headers;
pub mod origin;
pub mod path;
pub mod rules;

use chrono::Duration;

pub use errand::Errand;
pub use headers::{Fact, HeaderSet, Person, Style};
pub use origin::HostOrigin;
pub use path::{RequestPath, destination};
pub use rules::{Access, Demand, Known, Needed, Rule, SHORTEST_MAX_AGE, Verdict, is_method};

/// By what an app knows a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Subject {
    /// By the account's id, which never changes.
    #[default]
    Id,
    /// By the verified e-mail address; people without one are refused.
    Email,
    /// By the one id that another system has for them; people with none or several are refused.
    Link(String),
}

impl Subject {
    /// Reads `id`, `email` or `link:<source>`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "id" => Some(Self::Id),
            "email" => Some(Self::Email),
            other => other.strip_prefix("link:").filter(|source| !source.is_empty()).map(|s| Self::Link(s.to_owned())),
        }
    }

    /// The source of external ids that it needs, if any.
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::Link(source) => Some(source),
            Self::Id | Self::Email => None,
        }
    }
}

/// A signed header that identifies the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionRule {
    /// The header, in lower case.
    pub header: String,
    /// Its `aud`.
    pub audience: String,
    /// How long it is valid; a minute at most.
    pub lifetime: Duration,
}

/// A host that a proxy asks us about.
#[derive(Clone, Debug)]
pub struct ProtectedHost {
    /// Where it is.
    pub origin: HostOrigin,
    /// Its name for people.
    pub name: String,
    /// What requests need, in order: the first rule that matches decides.
    pub rules: Vec<Rule>,
    /// What a request needs that no rule matches.
    pub otherwise: Demand,
    /// By what the app knows a person.
    pub subject: Subject,
    /// The headers that tell the app about the person.
    pub headers: HeaderSet,
    /// The signed header, if configured.
    pub assertion: Option<AssertionRule>,
    /// The audience of access tokens accepted instead of the cookie; `None`: tokens are not accepted.
    pub bearer_audience: Option<String>,
    /// The longest life of the host's cookie; it never outlives the person's session.
    pub lifetime: Duration,
}

impl ProtectedHost {
    /// The app's name for this person; `None` if it has none.
    pub fn user_of(&self, id: &str, verified_email: Option<&str>, links: &[String]) -> Option<String> {
        match (&self.subject, links) {
            (Subject::Id, _) => Some(id.to_owned()),
            (Subject::Email, _) => verified_email.map(ToOwned::to_owned),
            (Subject::Link(_), [one]) => Some(one.clone()),
            (Subject::Link(_), _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_knows_a_person_by_one_name_or_by_none() {
        let host = |subject| ProtectedHost {
            origin: HostOrigin::read("https://app.example.com").unwrap(),
            name: "App".into(),
            rules: vec![],
            otherwise: Demand::default(),
            subject,
            headers: HeaderSet::default(),
            assertion: None,
            bearer_audience: None,
            lifetime: Duration::hours(1),
        };
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let link = Subject::parse("link:ldap").unwrap();
        for (subject, email, links, user) in [
            (Subject::Id, None, vec![], Some("u1")),
            (Subject::Email, Some("ana@example.com"), vec![], Some("ana@example.com")),
            (Subject::Email, None, vec![], None),
            (link.clone(), None, ids(&["ana"]), Some("ana")),
            (link.clone(), None, vec![], None),
            (link, None, ids(&["ana", "root"]), None),
        ] {
            assert_eq!(host(subject.clone()).user_of("u1", email, &links).as_deref(), user, "{subject:?} {links:?}");
        }
        for bad in ["", "link:", "name", "ID", "link"] {
            assert_eq!(Subject::parse(bad), None, "{bad}");
        }
    }
}
