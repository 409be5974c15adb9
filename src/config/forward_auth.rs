//! Protected hosts: apps behind a proxy that asks us who a person is.

use chrono::Duration;
use serde_json::{Map, Value};

use super::min_acr;
use super::problems::{Wrong, quoted};
use super::reader::Reader;
use super::section::choices;
use super::server::Server;
use super::tables::TableList;
use super::text;
use crate::domain::forward::headers::{Fact, header_name};
use crate::domain::forward::{
    Access, AssertionRule, Demand, HeaderSet, HostOrigin, ProtectedHost, RequestPath, Rule, SHORTEST_MAX_AGE, Style,
    Subject, is_method,
};

choices! {
    /// Which headers tell an app about a person.
    HeaderStyle {
        /// As Authelia sends them.
        Authelia = "authelia",
        /// As oauth2-proxy sends them.
        Oauth2Proxy = "oauth2-proxy",
        /// As authentik sends them.
        Authentik = "authentik",
        /// As accepted by Grafana's `auth.proxy`.
        Grafana = "grafana",
        /// Only those of `more_headers`.
        None = "none",
    }
}

impl From<HeaderStyle> for Style {
    fn from(style: HeaderStyle) -> Self {
        match style {
            HeaderStyle::Authelia => Self::Authelia,
            HeaderStyle::Oauth2Proxy => Self::Oauth2Proxy,
            HeaderStyle::Authentik => Self::Authentik,
            HeaderStyle::Grafana => Self::Grafana,
            HeaderStyle::None => Self::None,
        }
    }
}

/// Reads every protected host.
pub(super) fn read(reader: &mut Reader<'_>, server: &Server) -> Vec<ProtectedHost> {
    let names = reader.names("forward_auth");
    if let Some(first) = names.first().filter(|_| server.trusted_proxies.is_empty()) {
        let what = "is protected, but no proxy may ask for it";
        let wrong = Wrong::new(what, "name the proxy before the app in trusted_proxies");
        reader.contradiction(&format!("forward_auth.{first}"), &["trusted_proxies"], wrong);
    }
    names.iter().filter_map(|origin| read_one(reader, origin, server)).collect()
}

fn read_one(reader: &mut Reader<'_>, text: &str, server: &Server) -> Option<ProtectedHost> {
    let table = format!("forward_auth.{text}");
    let key = |field: &str| format!("{table}.{field}");
    let origin = HostOrigin::read(text).map_err(|fault| reader.mistake(&table, Wrong::in_value(text, fault))).ok();
    if text == server.public_url.as_str() {
        let wrong = Wrong::new("is this server itself", "name the app's own address: its pages are told who is there");
        reader.mistake(&table, wrong);
    }
    let mut headers = HeaderSet::of(reader.choice::<HeaderStyle>(&key("headers")).into());
    more_headers(reader, &key("more_headers"), &mut headers);
    let assertion_header = reader
        .text_as(&key("assertion_header"), |text| header_name(text).map_err(|fault| Wrong::in_value(text, fault)));
    if assertion_header.as_ref().is_some_and(|name| headers.has(name)) {
        let wrong = Wrong::new("is one of the other headers too", "give it a name of its own");
        reader.mistake(&key("assertion_header"), wrong);
    }
    let audience = reader.text_as(&key("assertion_audience"), text::identifier).unwrap_or_else(|| text.to_owned());
    let lifetime = reader.duration(&key("assertion_lifetime"));
    let host = ProtectedHost {
        name: reader
            .text_as(&key("name"), text::display_name)
            .unwrap_or_else(|| text.split_once("://").map_or(text, |(_, host)| host).to_owned()),
        rules: RULES.read(reader, &key("rules"), |entry, _| rule(entry)),
        otherwise: Demand {
            groups: reader.list_as(&key("groups"), text::display_name).unwrap_or_default(),
            scopes: reader.list_as(&key("scopes"), text::scope).unwrap_or_default(),
            min_acr: reader.text_as(&key("min_acr"), min_acr::parse).map(|acr| acr.as_str().to_owned()),
            max_age: reader.optional_duration(&key("max_age")),
        },
        subject: reader.text_as(&key("user"), subject).unwrap_or_default(),
        headers,
        assertion: assertion_header.map(|header| AssertionRule { header, audience, lifetime }),
        bearer_audience: reader.text_as(&key("bearer_audience"), text::identifier),
        lifetime: reader.duration(&key("lifetime")),
        origin: origin?,
    };
    scopes_of_tokens(reader, key, &host);
    Some(host)
}

/// Refuses scopes where no access token is accepted: only tokens have scopes, so requiring them would keep nobody out.
fn scopes_of_tokens(reader: &mut Reader<'_>, key: impl Fn(&str) -> String, host: &ProtectedHost) {
    if host.bearer_audience.is_some() {
        return;
    }
    let audience = key("bearer_audience");
    let cure = "set bearer_audience, or ask for groups";
    if !host.otherwise.scopes.is_empty() {
        let what = "apply to access tokens, and without bearer_audience none is accepted";
        reader.contradiction(&key("scopes"), &[&audience], Wrong::new(what, cure));
    }
    let asks = |rule: &Rule| matches!(&rule.access, Access::SignedIn(demand) if !demand.scopes.is_empty());
    if let Some(at) = host.rules.iter().position(asks) {
        let what = format!("rule {} requires token scopes, and without bearer_audience no token is accepted", at + 1);
        reader.contradiction(&key("rules"), &[&audience], Wrong::new(what, cure));
    }
}

fn subject(text: &str) -> Result<Subject, Wrong> {
    Subject::parse(text).ok_or_else(|| {
        Wrong::new(format!("{} is nothing that a person is known by", quoted(text)), "write id, email or link:<source>")
    })
}

fn more_headers(reader: &mut Reader<'_>, key: &str, headers: &mut HeaderSet) {
    let Some(tree) = reader.tree(key) else { return };
    let Some(tree) = tree.as_object() else {
        let cure = "write each header with what it says: { \"X-User-Id\" = \"id\" }";
        return reader.mistake(key, Wrong::new("is not a table", cure));
    };
    for (name, fact) in tree {
        if let Err(wrong) = header(name, fact.as_str(), headers) {
            reader.mistake(key, wrong);
        }
    }
}

fn header(name: &str, word: Option<&str>, headers: &mut HeaderSet) -> Result<(), Wrong> {
    let name = header_name(name).map_err(|fault| Wrong::in_value(name, fault))?;
    let fact = word.and_then(Fact::parse).ok_or_else(|| {
        let words = Fact::WORDS.map(|(word, _)| word).join(", ");
        Wrong::new(format!("{} says nothing that is known", quoted(&name)), format!("write one of {words}"))
    })?;
    if headers.add(&name, fact) {
        Ok(())
    } else {
        Err(Wrong::new(format!("{} is sent already", quoted(&name)), "keep one of the two"))
    }
}

const RULES: TableList = TableList {
    entry: "rule",
    members: &["path", "methods", "access", "groups", "scopes", "min_acr", "max_age"],
    may_be_empty: true,
    example: "[ { path = \"/public/\", access = \"public\" } ]",
};

fn rule(entry: &Map<String, Value>) -> Result<Rule, Wrong> {
    let path = entry.get("path").and_then(Value::as_str).unwrap_or_default();
    let literal = !path.contains(['%', '?', '*']) && path.bytes().all(|byte| byte.is_ascii_graphic());
    if !literal || RequestPath::of_target(path).is_none_or(|path| path.is_ambiguous()) {
        let what = format!("has the path {}, which no request is compared with", quoted(path));
        let cure =
            "write it decoded, from the slash on, without dots, doubled slashes, wildcards and queries: \"/admin\"";
        return Err(Wrong::new(what, cure));
    }
    let methods = texts(entry, "methods")?;
    if let Some(bad) = methods.iter().find(|method| !is_method(method)) {
        return Err(Wrong::new(format!("has the method {}", quoted(bad)), "write methods in capitals: \"GET\""));
    }
    Ok(Rule { path: path.to_owned(), methods, access: access(entry)? })
}

fn access(entry: &Map<String, Value>) -> Result<Access, Wrong> {
    let demand = Demand {
        groups: texts(entry, "groups")?,
        scopes: texts(entry, "scopes")?,
        min_acr: entry.get("min_acr").map(rule_min_acr).transpose()?,
        max_age: entry.get("max_age").map(max_age).transpose()?,
    };
    let demands = demand != Demand::default();
    match entry.get("access").map(Value::as_str) {
        None | Some(Some("signed-in")) => Ok(Access::SignedIn(demand)),
        Some(Some("public" | "refused")) if demands => {
            let cure = "leave access out, or what it asks of people";
            Err(Wrong::new("asks something of people that are not asked who they are", cure))
        }
        Some(Some("public")) => Ok(Access::Public),
        Some(Some("refused")) => Ok(Access::Refused),
        Some(_) => Err(Wrong::new("has an access that is none", "write public, signed-in or refused")),
    }
}

fn texts(entry: &Map<String, Value>, field: &str) -> Result<Vec<String>, Wrong> {
    let wrong = || Wrong::new(format!("has {field} that are no list of texts"), "write [\"a\", \"b\"]");
    let Some(value) = entry.get(field) else { return Ok(Vec::new()) };
    let list = value.as_array().filter(|list| !list.is_empty()).ok_or_else(wrong)?;
    list.iter()
        .map(|one| one.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned).ok_or_else(wrong))
        .collect()
}

fn rule_min_acr(value: &Value) -> Result<String, Wrong> {
    let read = min_acr::parse(value.as_str().unwrap_or_default());
    read.map(|acr| acr.as_str().to_owned())
        .map_err(|wrong| Wrong::new(format!("has a min_acr that {}", wrong.what), wrong.cure))
}

fn max_age(value: &Value) -> Result<Duration, Wrong> {
    let age = value.as_str().and_then(|text| text::duration(text).ok());
    let fits = age.filter(|age| (SHORTEST_MAX_AGE..=Duration::days(400)).contains(age));
    fits.ok_or_else(|| Wrong::new("has a max_age that is none", "write a duration from \"10s\" to \"400d\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load_file;

    const HEAD: &str = "public_url = \"https://id.example.com\"\ntrusted_proxies = [\"10.0.0.7\"]\n";

    fn load(text: &str) -> Result<Vec<ProtectedHost>, String> {
        let config = load_file(&format!("{HEAD}[forward_auth.\"https://app.example.com\"]\n{text}"));
        config.map(|config| config.forward_auth).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_host_without_settings_wants_everybody_signed_in() {
        let host = &load("").unwrap()[0];
        assert_eq!((host.origin.as_str(), host.name.as_str()), ("https://app.example.com", "app.example.com"));
        assert_eq!((&host.otherwise, host.rules.len(), &host.subject), (&Demand::default(), 0, &Subject::Id));
        assert_eq!((host.lifetime, &host.bearer_audience, &host.assertion), (Duration::hours(12), &None, &None));
        assert!(host.headers.has("remote-user"));
    }

    #[test]
    fn rules_are_read_in_their_order() {
        let host = &load(
            "rules = [ { path = \"/public/\", access = \"public\" }, { path = \"/admin\", methods = [\"GET\", \"POST\"], \
             groups = [\"admins\"], min_acr = \"phr\", max_age = \"15m\" }, { path = \"/x\", access = \"refused\" } ]",
        )
        .unwrap()[0];
        let admin = Demand {
            groups: vec!["admins".into()],
            scopes: vec![],
            min_acr: Some("phr".into()),
            max_age: Some(Duration::minutes(15)),
        };
        let accesses: Vec<&Access> = host.rules.iter().map(|rule| &rule.access).collect();
        assert_eq!(accesses, [&Access::Public, &Access::SignedIn(admin), &Access::Refused]);
        assert_eq!(host.rules[1].methods, ["GET", "POST"]);
    }

    #[test]
    fn mistakes_are_told_with_their_rule() {
        for (name, text, said) in [
            ("no list", "rules = \"/\"", "rules (passmint.toml:4): is not a list"),
            ("no table", "rules = [1]", "rule 1 is not a table"),
            ("no path", "rules = [{}]", "rule 1 has the path \"\""),
            ("dots", "rules = [{ path = \"/a/../b\" }]", "rule 1 has the path"),
            ("encoded", "rules = [{ path = \"/%61\" }]", "rule 1 has the path"),
            ("a wildcard", "rules = [{ path = \"/a/*\" }]", "rule 1 has the path"),
            ("a query", "rules = [{ path = \"/a?b\" }]", "rule 1 has the path"),
            ("a slip", "rules = [{ path = \"/a\", group = [\"x\"] }]", "rule 1 has \"group\", which nothing reads"),
            ("no access", "rules = [{ path = \"/a\", access = \"open\" }]", "rule 1 has an access that is none"),
            ("both", "rules = [{ path = \"/a\", access = \"public\", groups = [\"x\"] }]", "asks something of people"),
            ("no methods", "rules = [{ path = \"/a\", methods = [] }]", "has methods that are no list"),
            ("small letters", "rules = [{ path = \"/a\", methods = [\"get\"] }]", "rule 1 has the method \"get\""),
            ("no groups", "rules = [{ path = \"/a\", groups = [] }]", "has groups that are no list"),
            (
                "acr",
                "rules = [{ path = \"/a\", min_acr = \"high\" }]",
                "rule 1 has a min_acr that is \"high\", which is none",
            ),
            (
                "an acr out of reach",
                "rules = [{ path = \"/a\", min_acr = \"phrh\" }]",
                "rule 1 has a min_acr that is \"phrh\", which nobody reaches",
            ),
            ("a host's acr out of reach", "min_acr = \"phrh\"", "min_acr (passmint.toml:4): is \"phrh\", which nobody"),
            ("age", "rules = [{ path = \"/a\", max_age = \"1s\" }]", "has a max_age that is none"),
            ("the second", "rules = [{ path = \"/a\" }, { path = \"b\" }]", "rule 2 has the path \"b\""),
            ("a header of HTTP", "more_headers = { Cookie = \"user\" }", "\"Cookie\" has a meaning of its own"),
            ("a header twice", "more_headers = { remote-user = \"id\" }", "\"remote-user\" is sent already"),
            ("a header without sense", "more_headers = { X-A = \"phone\" }", "\"x-a\" says nothing that is known"),
            ("assertion twice", "assertion_header = \"Remote-User\"", "is one of the other headers too"),
            ("subject", "user = \"name\"", "\"name\" is nothing that a person is known by"),
            ("scopes of no token", "scopes = [\"read\"]", "scopes (passmint.toml:4): apply to access tokens"),
            (
                "a rule's scopes of no token",
                "rules = [{ path = \"/a\" }, { path = \"/b\", scopes = [\"x\"] }]",
                "rules (passmint.toml:4): rule 2 requires token scopes, and without bearer_audience no token is accepted",
            ),
        ] {
            let problems = load(text).unwrap_err();
            assert!(problems.contains(said), "{name}: {problems}");
        }
        for (name, file, said) in [
            ("no proxy", "[forward_auth.\"https://app.example.com\"]".to_owned(), "no proxy may ask for it"),
            ("itself", format!("{HEAD}[forward_auth.\"https://id.example.com\"]"), "is this server itself"),
            ("no origin", format!("{HEAD}[forward_auth.\"app.example.com\"]"), "is not an origin"),
            ("plain", format!("{HEAD}[forward_auth.\"http://app.example.com\"]"), "is not https"),
        ] {
            let problems = load_file(&file).unwrap_err().to_string();
            assert!(problems.contains(said), "{name}: {problems}");
        }
    }
}
