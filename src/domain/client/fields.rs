//! Checks each setting of a client by itself, whoever wrote it: the configuration, an administrator, or the client at
//! registration. How the settings must fit together is in `check`.
//!
//! To add a rule: a function here that says what is wrong, and its line in [`ClientDefinition::check_fields`].

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::{Host, Url};

use super::{ClientDefinition, FederatedIdentity, Misfit};
use crate::domain::attributes;
use crate::domain::claims::is_own;
use crate::domain::text::is_unprintable;

/// What is wrong with one value, and the remedy. `what` follows the value in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub what: &'static str,
    /// What to do.
    pub cure: Cow<'static, str>,
    /// Whether the value holds a secret, so that no message may repeat it.
    pub secret: bool,
}

impl Fault {
    /// A fault of a value that contains no secret.
    pub fn new(what: &'static str, cure: impl Into<Cow<'static, str>>) -> Self {
        Self { what, cure: cure.into(), secret: false }
    }
}

/// Algorithms that we sign with (JWA names).
pub const SIGNING_ALGORITHMS: [&str; 3] = ["ES256", "EdDSA", "RS256"];
/// The shortest and longest life of access tokens, in seconds.
const ACCESS_TTL: std::ops::RangeInclusive<i64> = 60..=86_400;
/// The longest `default_max_age`, in seconds.
const LONGEST_MAX_AGE: i64 = 400 * 86_400;
/// The most elements of one list.
pub const MOST: usize = 100;
/// The longest text shown to people, in characters.
pub const LONGEST_NAME: usize = 100;
/// What is wrong with a private-use scheme that is not based on a domain.
const CLAIMABLE: &str = "has a scheme that any app could claim";
/// Schemes that browsers handle themselves, so that no app can own them.
const OF_BROWSERS: [&str; 9] =
    ["about", "blob", "data", "file", "filesystem", "ftp", "intent", "javascript", "vbscript"];
/// The remedy for an origin with an IP address.
pub const USE_A_DOMAIN: &str = "use localhost or a domain: passkeys do not work on IP addresses";

/// Checks a redirect URI (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1): `https`, `http` on loopback, or a private-use
/// scheme with a dot.
pub fn redirect_uri(text: &str) -> Result<(), Fault> {
    let Ok(url) = Url::parse(text) else {
        return Err(Fault::new(
            "is not a URI",
            "write it out in full, for example \"https://app.example.com/callback\"",
        ));
    };
    if !text.is_ascii() || text.contains(|c: char| c.is_ascii_whitespace() || c.is_ascii_control() || c == '\\') {
        return Err(Fault::new("holds characters that a URI cannot", "percent-encode them"));
    }
    if text.len() > 2048 {
        return Err(Fault::new("is longer than 2048 characters", "shorten it"));
    }
    if url.fragment().is_some() {
        return Err(Fault::new("has a fragment", "leave out the # and what follows"));
    }
    if text.contains('*') {
        return Err(Fault::new("has a wildcard", "list every redirect URI: they are compared exactly"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let fault = Fault::new("holds a user name or password", "leave out everything before the @");
        return Err(Fault { secret: true, ..fault });
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(&url) => Ok(()),
        "http" => Err(Fault::new("is not https", "plain http is for loopback only, as native apps use it")),
        scheme if scheme.contains('.') => Ok(()),
        _ => Err(Fault::new(CLAIMABLE, "use https, or a scheme made from your domain: \"com.example.app:/callback\"")),
    }
}

/// Whether a redirect URI is valid except for its private-use scheme without a dot, such as `cursor:`. Nothing is ever
/// sent to one, but a client that lists it beside others is not malicious.
pub fn is_of_claimable_scheme(text: &str) -> bool {
    let scheme = text.split(':').next().unwrap_or_default().to_ascii_lowercase();
    redirect_uri(text).is_err_and(|fault| fault.what == CLAIMABLE) && !OF_BROWSERS.contains(&scheme.as_str())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(host)) => host == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// An address of the app: https, or http on loopback for development.
pub fn web_address(text: &str) -> Result<(), Fault> {
    let url = Url::parse(text).ok().filter(|_| text.is_ascii() && !text.contains([' ', '\\']) && text.len() <= 2048);
    let loopback = |url: &Url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let fits = url.is_some_and(|url| match url.scheme() {
        "https" => url.fragment().is_none() && url.username().is_empty(),
        "http" => loopback(&url) && url.fragment().is_none(),
        _ => false,
    });
    if fits { Ok(()) } else { Err(Fault::new("is not an https address", "write it out in full, without a fragment")) }
}

/// Checks an origin of the app, exactly as a browser or Android writes it into `clientDataJSON.origin`:
/// `https://host[:port]`, `http://localhost[:port]` or `android:apk-key-hash:…`. Returns the host of a web origin.
pub fn origin(text: &str) -> Result<Option<String>, Fault> {
    if let Some(rest) = text.strip_prefix("android:") {
        return android_origin(rest).map(|()| None);
    }
    let Some(url) = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http")) else {
        let cure = "write \"https://app.example.com\" or \"android:apk-key-hash:…\"";
        return Err(Fault::new("is not an origin", cure));
    };
    let Some(Host::Domain(host)) = url.host() else {
        return Err(Fault::new("has an IP address as its host", USE_A_DOMAIN));
    };
    if url.scheme() == "http" && host != "localhost" {
        return Err(Fault::new("is not https", "browsers offer passkeys over https only, except on localhost"));
    }
    let exact = url.origin().ascii_serialization();
    if exact != text {
        return Err(Fault::new("is not written as browsers send it", format!("write \"{exact}\"")));
    }
    if host.ends_with('.') || host.contains('*') {
        return Err(Fault::new("does not name one host", "write the host out, without a dot at its end"));
    }
    Ok(Some(host.to_owned()))
}

/// Whether a redirect URI is on a web origin as a browser writes it. Because that must be a valid [`origin`], it never
/// matches an IP address or an app's own scheme.
pub fn is_at(redirect_uri: &str, web_origin: &str) -> bool {
    begins_at(redirect_uri, web_origin) && origin(web_origin).is_ok_and(|host| host.is_some())
}

/// Like [`is_at`], for the web origin of a loopback address. That is not an [`origin`], because browsers offer no
/// passkeys there.
pub fn is_at_loopback(redirect_uri: &str, web_origin: &str) -> bool {
    let is_address = |url: &Url| !matches!(url.host(), Some(Host::Domain(_))) && is_loopback(url);
    begins_at(redirect_uri, web_origin)
        && Url::parse(web_origin).is_ok_and(|url| is_address(&url) && url.origin().ascii_serialization() == web_origin)
}

fn begins_at(redirect_uri: &str, web_origin: &str) -> bool {
    let rest = redirect_uri.strip_prefix(web_origin);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

fn android_origin(rest: &str) -> Result<(), Fault> {
    let digest = rest.strip_prefix("apk-key-hash:").and_then(|hash| URL_SAFE_NO_PAD.decode(hash).ok());
    if digest.is_some_and(|digest| digest.len() == 32) {
        return Ok(());
    }
    let cure = "write \"android:apk-key-hash:\" and the SHA-256 of the app's signing certificate in base64url, 43 \
                characters without padding";
    Err(Fault::new("is not the origin of an Android app", cure))
}

/// Checks a text shown to people: not blank, one line, at most 100 characters, all of them visible. Invisible
/// characters and those that change the direction of text could make a name look like another's.
pub fn display_name(text: &str) -> Result<(), Fault> {
    let fits = !text.trim().is_empty() && text.chars().count() <= LONGEST_NAME && !text.chars().any(is_unprintable);
    let cure = "write 1 to 100 characters on one line, none of them invisible or for the direction of text";
    if fits { Ok(()) } else { Err(Fault::new("cannot be shown to people", cure)) }
}

/// Checks a word without spaces or invisible characters, at most 512 bytes: an audience, an issuer, an identifier.
pub fn identifier(text: &str) -> Result<(), Fault> {
    let fits = !text.is_empty() && text.len() <= 512 && !text.chars().any(|c| c.is_whitespace() || is_unprintable(c));
    if fits { Ok(()) } else { Err(Fault::new("is not an identifier", "write 1 to 512 bytes without spaces")) }
}

/// Checks a `sub` of another issuer: at most 255 characters on one line, all of them visible.
pub fn subject(text: &str) -> Result<(), Fault> {
    let fits = !text.is_empty() && text.chars().count() <= 255 && !text.chars().any(is_unprintable);
    if fits { Ok(()) } else { Err(Fault::new("is not a subject", "write 1 to 255 characters on one line")) }
}

/// Checks a claim that is made of an attribute: its name must not be that of a claim of ours.
pub fn attribute_claim(claim: &str, attribute: &str) -> Result<(), Fault> {
    identifier(claim)?;
    if !claim.is_ascii() || is_own(claim) {
        let cure = "choose another name, in ASCII: this server makes the claims of the standards itself";
        return Err(Fault::new("is no claim of yours", cure));
    }
    if !attributes::is_name(attribute) {
        return Err(Fault::new("is made of no attribute", "write the name of an attribute on the right"));
    }
    Ok(())
}

/// Checks that we sign with this algorithm.
pub fn signing_algorithm(text: &str) -> Result<(), Fault> {
    if SIGNING_ALGORITHMS.contains(&text) {
        Ok(())
    } else {
        Err(Fault::new("is no algorithm that this server signs with", "write ES256, EdDSA or RS256"))
    }
}

type Rule = fn(&str) -> Result<(), Fault>;

impl FederatedIdentity {
    /// Checks each member by itself, and returns the invalid one with its fault.
    ///
    /// # Errors
    /// The first member whose value is invalid.
    pub fn check(&self) -> Result<(), (&'static str, Fault)> {
        let members: [(&'static str, &str, Rule); 3] = [
            ("issuer", &self.issuer, identifier),
            ("subject", &self.subject, subject),
            ("audience", &self.audience, identifier),
        ];
        members.into_iter().try_for_each(|(name, text, rule)| rule(text).map_err(|fault| (name, fault)))
    }
}

impl ClientDefinition {
    /// Every value that is invalid by itself; empty for a valid client.
    pub fn check_fields(&self) -> Vec<Misfit> {
        let mut found = Vec::new();
        self.check_texts(&mut found);
        self.check_lists(&mut found);
        self.check_federated(&mut found);
        self.check_attribute_claims(&mut found);
        let mut number = |field, wrong: bool, what: &'static str, cure: &'static str| {
            if wrong {
                found.push(Misfit { field, what: what.into(), cure: cure.into() });
            }
        };
        number(
            "access_ttl",
            self.access_ttl.is_some_and(|life| !ACCESS_TTL.contains(&life)),
            "is out of range",
            "choose from 60 to 86400 seconds",
        );
        number(
            "default_max_age",
            self.default_max_age.is_some_and(|age| !(0..=LONGEST_MAX_AGE).contains(&age)),
            "is out of range",
            "choose from 0 to 34560000 seconds",
        );
        found
    }

    fn check_texts(&self, found: &mut Vec<Misfit>) {
        let some = |text: &Option<String>| text.clone();
        let texts: [(&'static str, Option<String>, Rule); 16] = [
            ("name", Some(self.name.clone()), display_name),
            ("relying_party", some(&self.relying_party), identifier),
            ("id_token_algorithm", some(&self.id_token_algorithm), signing_algorithm),
            ("userinfo_algorithm", some(&self.userinfo_algorithm), signing_algorithm),
            ("introspection_algorithm", some(&self.introspection_algorithm), signing_algorithm),
            ("authorization_response_algorithm", some(&self.authorization_response_algorithm), signing_algorithm),
            ("request_object_algorithm", some(&self.request_object_algorithm), identifier),
            ("jwks_uri", some(&self.jwks_uri), web_address),
            ("sector_identifier_uri", some(&self.sector_identifier_uri), web_address),
            ("backchannel_logout_uri", some(&self.backchannel_logout_uri), web_address),
            ("frontchannel_logout_uri", some(&self.frontchannel_logout_uri), web_address),
            ("initiate_login_uri", some(&self.initiate_login_uri), web_address),
            ("client_uri", some(&self.client_uri), web_address),
            ("logo_uri", some(&self.logo_uri), web_address),
            ("policy_uri", some(&self.policy_uri), web_address),
            ("tos_uri", some(&self.tos_uri), web_address),
        ];
        for (field, text, rule) in texts {
            if let Some(Err(fault)) = text.as_deref().map(rule) {
                found.push(Misfit { field, what: fault.what.into(), cure: fault.cure });
            }
        }
    }

    fn check_federated(&self, found: &mut Vec<Misfit>) {
        let mut misfit = |what: String, cure: Cow<'static, str>| {
            found.push(Misfit { field: "federated", what: what.into(), cure });
        };
        if self.federated.len() > MOST {
            return misfit("has too many elements".to_owned(), format!("keep to {MOST}").into());
        }
        let mut seen = BTreeSet::new();
        for (index, one) in self.federated.iter().enumerate() {
            if let Err((name, fault)) = one.check() {
                misfit(format!("(element {}) has the member {name}, which {}", index + 1, fault.what), fault.cure);
            } else if !seen.insert(one) {
                misfit(format!("(element {}) is listed twice", index + 1), "keep one of the two".into());
            }
        }
    }

    fn check_attribute_claims(&self, found: &mut Vec<Misfit>) {
        let field = "attribute_claims";
        if self.attribute_claims.len() > attributes::MOST {
            let cure = format!("keep to {}", attributes::MOST).into();
            found.push(Misfit { field, what: "has too many elements".into(), cure });
            return;
        }
        for (index, (claim, attribute)) in self.attribute_claims.iter().enumerate() {
            if let Err(fault) = attribute_claim(claim, attribute) {
                // By its place, as in lists; an object has no order of its own.
                let what = format!("(member {} in alphabetical order) {}", index + 1, fault.what);
                found.push(Misfit { field, what: what.into(), cure: fault.cure });
            }
        }
    }

    fn check_lists(&self, found: &mut Vec<Misfit>) {
        let lists: [(&'static str, &[String], Rule); 9] = [
            ("origins", &self.origins, |text| origin(text).map(drop)),
            ("redirect_uris", &self.redirect_uris, redirect_uri),
            ("post_logout_redirect_uris", &self.post_logout_redirect_uris, redirect_uri),
            ("audiences", &self.audiences, identifier),
            ("may_introspect", &self.may_introspect, identifier),
            ("request_uris", &self.request_uris, identifier),
            ("default_acr_values", &self.default_acr_values, identifier),
            ("allowed_groups", &self.allowed_groups, display_name),
            ("contacts", &self.contacts, identifier),
        ];
        for (field, elements, rule) in lists {
            if elements.len() > MOST {
                let cure = format!("keep to {MOST}");
                found.push(Misfit { field, what: "has too many elements".into(), cure: cure.into() });
                continue;
            }
            let mut seen = BTreeSet::new();
            for (index, element) in elements.iter().enumerate() {
                let twice = || Err(Fault::new("is listed twice", "keep one of the two"));
                let result = if seen.insert(element) { rule(element) } else { twice() };
                if let Err(fault) = result {
                    // By its number, because a response must not repeat what was sent.
                    let what = format!("(element {}) {}", index + 1, fault.what);
                    found.push(Misfit { field, what: what.into(), cure: fault.cure });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> ClientDefinition {
        ClientDefinition { name: "App".into(), ..ClientDefinition::default() }
    }

    #[test]
    fn redirect_uris() {
        for good in [
            "https://app.example.com/callback",
            "https://app.example.com/callback?from=passmint",
            "http://localhost:3000/callback",
            "http://127.0.0.1/callback",
            "http://[::1]:7000/callback",
            "com.example.app:/callback",
        ] {
            assert_eq!(redirect_uri(good), Ok(()), "{good}");
        }
        for (bad, what) in [
            ("/callback", "is not a URI"),
            ("", "is not a URI"),
            ("http://app.example.com/callback", "is not https"),
            ("https://app.example.com/#x", "has a fragment"),
            ("https://app.example.com/#", "has a fragment"),
            ("https://*.example.com/", "has a wildcard"),
            ("https://me@app.example.com/", "holds a user name or password"),
            ("myapp:/callback", "has a scheme that any app could claim"),
            ("javascript:alert(1)", "has a scheme that any app could claim"),
            ("data:text/html,x", "has a scheme that any app could claim"),
            ("https://app.example.com\\@evil.example", "holds characters that a URI cannot"),
            ("https://app.example.com/\n", "holds characters that a URI cannot"),
            ("https://app.example.com/ä", "holds characters that a URI cannot"),
        ] {
            assert_eq!(redirect_uri(bad).unwrap_err().what, what, "{bad}");
        }
    }

    #[test]
    fn claimable_schemes_are_apps_own() {
        for own in ["cursor://anysphere.cursor-mcp/oauth/callback", "myapp:/callback"] {
            assert!(is_of_claimable_scheme(own), "{own}");
        }
        for other in [
            "https://app.example/cb",
            "http://app.example/cb",
            "com.example.app:/callback",
            "cursor://callback#x",
            "cursor://*/callback",
            "cursor://me@callback",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " javascript:alert(1)",
            "java\tscript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "vbscript:x",
            "blob:https://app.example/x",
            "callback",
            "",
        ] {
            assert!(!is_of_claimable_scheme(other), "{other}");
        }
    }

    #[test]
    fn web_addresses() {
        for good in ["https://app.example/logo.png", "http://localhost:3000/x", "http://127.0.0.1:1/"] {
            assert_eq!(web_address(good), Ok(()), "{good}");
        }
        for bad in ["http://app.example/", "https://a.example/#x", "https://me@a.example/", "javascript:1", "x", ""] {
            assert!(web_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_people_see_shows_what_it_is() {
        for good in ["Orders", "Bestellungen für Ämter", "注文", "a b", &"x".repeat(100)] {
            assert_eq!(display_name(good), Ok(()), "{good}");
        }
        for (name, bad) in [
            ("nothing", ""),
            ("blank", "  "),
            ("too long", &"x".repeat(101)),
            ("two lines", "a\nb"),
            ("a tab", "a\tb"),
            ("a line separator", "a\u{2028}b"),
            ("turned to the left", "Shop \u{202e}knaB"),
            ("a mark of direction", "a\u{200f}b"),
            ("an isolate", "a\u{2066}b"),
            ("no width", "Ba\u{200b}nk"),
            ("a joiner", "Ba\u{2060}nk"),
            ("a byte order mark", "\u{feff}Bank"),
        ] {
            assert_eq!(display_name(bad).unwrap_err().what, "cannot be shown to people", "{name}");
        }
        for (name, bad) in [("nothing", ""), ("a space", "a b"), ("no width", "a\u{200b}b"), ("turned", "a\u{202e}b")] {
            assert_eq!(identifier(bad).unwrap_err().what, "is not an identifier", "{name}");
        }
    }

    #[test]
    fn each_field_is_named_with_its_fault() {
        assert_eq!(sound().check_fields(), []);
        let some = |text: &str| Some(text.to_owned());
        for (field, definition) in [
            ("name", ClientDefinition { name: " ".into(), ..sound() }),
            ("name", ClientDefinition { name: "a\nb".into(), ..sound() }),
            ("name", ClientDefinition { name: "a\u{202e}b".into(), ..sound() }),
            ("allowed_groups", ClientDefinition { allowed_groups: vec!["a\u{200b}b".into()], ..sound() }),
            ("origins", ClientDefinition { origins: vec!["https://app.example/".into()], ..sound() }),
            ("origins", ClientDefinition { origins: vec!["https://a.example".into(); 2], ..sound() }),
            ("redirect_uris", ClientDefinition { redirect_uris: vec!["https://*.example/".into()], ..sound() }),
            (
                "redirect_uris",
                ClientDefinition {
                    redirect_uris: (0..101).map(|n| format!("https://a.example/{n}")).collect(),
                    ..sound()
                },
            ),
            ("post_logout_redirect_uris", ClientDefinition { post_logout_redirect_uris: vec!["x".into()], ..sound() }),
            ("audiences", ClientDefinition { audiences: vec!["a b".into()], ..sound() }),
            ("contacts", ClientDefinition { contacts: vec![String::new()], ..sound() }),
            ("id_token_algorithm", ClientDefinition { id_token_algorithm: some("none"), ..sound() }),
            ("userinfo_algorithm", ClientDefinition { userinfo_algorithm: some("HS256"), ..sound() }),
            ("jwks_uri", ClientDefinition { jwks_uri: some("http://a.example/"), ..sound() }),
            ("initiate_login_uri", ClientDefinition { initiate_login_uri: some("http://a.example/"), ..sound() }),
            ("logo_uri", ClientDefinition { logo_uri: some("data:image/svg+xml,x"), ..sound() }),
            ("access_ttl", ClientDefinition { access_ttl: Some(59), ..sound() }),
            ("default_max_age", ClientDefinition { default_max_age: Some(-1), ..sound() }),
        ] {
            let found = definition.check_fields();
            assert_eq!(found.iter().map(|misfit| misfit.field).collect::<Vec<_>>(), [field], "{found:?}");
        }
    }

    #[test]
    fn claims_of_attributes_are_none_of_ours() {
        for (claim, attribute, what) in [
            ("https://acme.example/roles", "roles", None),
            ("seats", "seats", None),
            ("Sub", "plan", Some("is no claim of yours")),
            ("aud", "plan", Some("is no claim of yours")),
            ("events", "plan", Some("is no claim of yours")),
            ("_claim_names", "plan", Some("is no claim of yours")),
            ("groups", "plan", Some("is no claim of yours")),
            ("EMAIL_verified", "plan", Some("is no claim of yours")),
            ("updated_at", "plan", Some("is no claim of yours")),
            ("\u{ff53}ub", "plan", Some("is no claim of yours")),
            ("a b", "plan", Some("is not an identifier")),
            ("", "plan", Some("is not an identifier")),
            ("plan", "a.b", Some("is made of no attribute")),
            ("plan", "", Some("is made of no attribute")),
        ] {
            let definition =
                ClientDefinition { attribute_claims: [(claim.to_owned(), attribute.to_owned())].into(), ..sound() };
            let found = definition.check_fields();
            let expected = what.map(|what| ("attribute_claims", format!("(member 1 in alphabetical order) {what}")));
            let found: Vec<_> = found.iter().map(|misfit| (misfit.field, misfit.what.to_string())).collect();
            assert_eq!(found, Vec::from_iter(expected), "{claim}");
        }
        let many = (0..65).map(|n| (format!("a{n}"), "plan".to_owned())).collect();
        assert_eq!(ClientDefinition { attribute_claims: many, ..sound() }.check_fields().len(), 1);
    }
}
