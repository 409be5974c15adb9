//! What a protected host requires of a request, and whether a person meets it.

use chrono::Duration;

use super::path::RequestPath;
use crate::clock::Time;
use crate::domain::authentication::acr_reaches;
use crate::domain::scope::Scopes;

/// The shortest `max_age`. Verifying again within so short a time would gain nothing.
pub const SHORTEST_MAX_AGE: Duration = Duration::seconds(10);

/// What a person must have. Empty: being signed in is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// One of these groups; empty: any person.
    pub groups: Vec<String>,
    /// All of these scopes, for an access token. A browser's cookie has no scopes and needs none.
    pub scopes: Vec<String>,
    /// At least this authentication context class.
    pub min_acr: Option<String>,
    /// A sign-in no older than this.
    pub max_age: Option<Duration>,
}

/// The decision of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone may pass.
    Public,
    /// A signed-in person who meets this may pass.
    SignedIn(Demand),
    /// Nobody may pass.
    Refused,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The path that it covers, including everything below.
    pub path: String,
    /// The methods that it covers, in capitals; empty: all. GET also covers HEAD.
    pub methods: Vec<String>,
    /// Its decision.
    pub access: Access,
}

impl Rule {
    fn covers_method(&self, method: &str) -> bool {
        let same = |own: &String| own == method || (own == "GET" && method == "HEAD");
        self.methods.is_empty() || self.methods.iter().any(same)
    }
}

/// Whether rules can match this method: a token (RFC 9110 §5.6.2) in capitals. Methods are case-sensitive, but an app
/// that ignores case would take `post` for the `POST` that a rule covers.
pub fn is_method(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase() || (b"!#$%&'*+-.^_`|~".contains(&byte));
    !text.is_empty() && text.bytes().all(allowed)
}

/// What a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a request goes through only when it has what it needs"]
pub enum Needed<'a> {
    /// Nothing.
    Nothing,
    /// A signed-in person who meets all of these.
    Demands(Vec<&'a Demand>),
    /// It is refused to everyone.
    Impossible,
}

impl super::ProtectedHost {
    /// What a request needs: the decision of the first rule that covers it. An ambiguous path must meet all rules at
    /// once, so that no reading of it gets more than it should.
    pub fn needed(&self, method: &str, path: &RequestPath) -> Needed<'_> {
        let by_method = self.rules.iter().filter(|rule| rule.covers_method(method));
        if path.is_ambiguous() {
            let mut demands = vec![&self.otherwise];
            for rule in by_method {
                match &rule.access {
                    Access::Public => {}
                    Access::SignedIn(demand) => demands.push(demand),
                    Access::Refused => return Needed::Impossible,
                }
            }
            return Needed::Demands(demands);
        }
        match by_method.map(|rule| (rule, &rule.access)).find(|(rule, _)| path.is_below(&rule.path)) {
            None => Needed::Demands(vec![&self.otherwise]),
            Some((_, Access::Public)) => Needed::Nothing,
            Some((_, Access::SignedIn(demand))) => Needed::Demands(vec![demand]),
            Some((_, Access::Refused)) => Needed::Impossible,
        }
    }
}

/// What is known about a signed-in person.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Their groups.
    pub groups: &'a [String],
    /// The scopes of their access token; `None` if they came with a cookie.
    pub scopes: Option<&'a Scopes>,
    /// The authentication context class of their sign-in.
    pub acr: &'a str,
    /// When the person was last verified.
    pub auth_time: Time,
    /// The time of the request.
    pub now: Time,
}

/// Whether a person meets a demand. Later variants are harder to remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "a request goes through only when it is met"]
pub enum Verdict {
    /// They meet it.
    Met,
    /// They must authenticate again first.
    StepUp,
    /// They lack a group or a scope.
    Lacking,
}

/// Judges a person by all demands.
pub fn judge<'a>(demands: impl IntoIterator<Item = &'a Demand>, known: &Known<'_>) -> Verdict {
    demands.into_iter().map(|demand| demand.judge(known)).max().unwrap_or(Verdict::Met)
}

impl Demand {
    fn judge(&self, known: &Known<'_>) -> Verdict {
        let in_group = self.groups.is_empty() || known.groups.iter().any(|group| self.groups.contains(group));
        let scoped = known.scopes.is_none_or(|held| self.scopes.iter().all(|scope| held.contains(scope)));
        let strong = self.min_acr.as_deref().is_none_or(|wanted| acr_reaches(known.acr, wanted));
        let recent = self.max_age.is_none_or(|most| known.now - known.auth_time <= most);
        match (in_group && scoped, strong && recent) {
            (false, _) => Verdict::Lacking,
            (true, false) => Verdict::StepUp,
            (true, true) => Verdict::Met,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HeaderSet, HostOrigin, ProtectedHost, Subject};
    use super::*;

    fn groups(names: &[&str]) -> Demand {
        Demand { groups: names.iter().map(|name| (*name).to_owned()).collect(), ..Demand::default() }
    }

    fn rule(path: &str, methods: &[&str], access: Access) -> Rule {
        Rule { path: path.into(), methods: methods.iter().map(|method| (*method).to_owned()).collect(), access }
    }

    fn host() -> ProtectedHost {
        ProtectedHost {
            origin: HostOrigin::read("https://app.example.com").unwrap(),
            name: "App".into(),
            rules: vec![
                rule("/public/", &[], Access::Public),
                rule("/api", &["GET"], Access::Public),
                rule("/api", &["POST"], Access::SignedIn(groups(&["editors"]))),
                rule("/admin", &[], Access::SignedIn(groups(&["admins"]))),
                rule("/admin/public", &[], Access::Public),
                rule("/debug", &["TRACE"], Access::Refused),
            ],
            otherwise: groups(&["staff"]),
            subject: Subject::Id,
            headers: HeaderSet::default(),
            assertion: None,
            bearer_audience: None,
            lifetime: Duration::hours(1),
        }
    }

    #[test]
    fn the_first_rule_that_covers_a_request_decides() {
        let host = host();
        let (admins, editors, staff) = (groups(&["admins"]), groups(&["editors"]), groups(&["staff"]));
        for (name, method, target, needed) in [
            ("public", "GET", "/public/a", Needed::Nothing),
            ("public, another method", "POST", "/public/a", Needed::Nothing),
            ("beside public", "GET", "/public", Needed::Demands(vec![&staff])),
            ("by method", "GET", "/api/x", Needed::Nothing),
            ("HEAD is a GET", "HEAD", "/api/x", Needed::Nothing),
            ("another method's rule", "POST", "/api/x", Needed::Demands(vec![&editors])),
            ("no method's rule", "DELETE", "/api/x", Needed::Demands(vec![&staff])),
            ("methods are compared exactly", "get", "/api/x", Needed::Demands(vec![&staff])),
            ("group", "GET", "/admin/users", Needed::Demands(vec![&admins])),
            ("a later rule is not asked", "GET", "/admin/public", Needed::Demands(vec![&admins])),
            ("encoded", "GET", "/%61dmin", Needed::Demands(vec![&admins])),
            ("refused", "TRACE", "/debug", Needed::Impossible),
            ("nothing fits", "GET", "/", Needed::Demands(vec![&staff])),
            ("ambiguous", "GET", "/public/../admin", Needed::Demands(vec![&staff, &admins])),
            ("ambiguous, another method", "POST", "/public//x", Needed::Demands(vec![&staff, &editors, &admins])),
            ("ambiguous and refused", "TRACE", "/public//x", Needed::Impossible),
        ] {
            assert_eq!(host.needed(method, &RequestPath::of_target(target).unwrap()), needed, "{name}");
        }
    }

    #[test]
    fn somebody_has_what_is_needed_or_can_prove_it_or_lacks_it() {
        let now = Time::UNIX_EPOCH + Duration::days(1);
        let own = ["staff".to_owned(), "editors".to_owned()];
        let scopes = Scopes::parse("read write").unwrap();
        let person = Known { groups: &own, scopes: None, acr: "phr", auth_time: now - Duration::minutes(10), now };
        let token = Known { scopes: Some(&scopes), ..person };
        let acr = |acr: &str| Demand { min_acr: Some(acr.into()), ..Demand::default() };
        let age = |minutes| Demand { max_age: Some(Duration::minutes(minutes)), ..Demand::default() };
        let scope = |scope: &str| Demand { scopes: vec![scope.into()], ..Demand::default() };
        for (name, demands, known, verdict) in [
            ("signed in", vec![Demand::default()], person, Verdict::Met),
            ("one of the groups", vec![groups(&["admins", "editors"])], person, Verdict::Met),
            ("none of the groups", vec![groups(&["admins"])], person, Verdict::Lacking),
            ("group names are compared exactly", vec![groups(&["Staff"])], person, Verdict::Lacking),
            ("every demand", vec![groups(&["staff"]), groups(&["admins"])], person, Verdict::Lacking),
            ("strong enough", vec![acr("phr")], person, Verdict::Met),
            ("not strong enough", vec![acr("phrh")], person, Verdict::StepUp),
            ("just young enough", vec![age(10)], person, Verdict::Met),
            ("too old", vec![age(9)], person, Verdict::StepUp),
            ("too old and outside", vec![age(9), groups(&["admins"])], person, Verdict::Lacking),
            ("a cookie has no scopes", vec![scope("admin")], person, Verdict::Met),
            ("a token with the scope", vec![scope("read")], token, Verdict::Met),
            ("a token without", vec![scope("admin")], token, Verdict::Lacking),
        ] {
            assert_eq!(judge(&demands, &known), verdict, "{name}");
        }
    }
}
