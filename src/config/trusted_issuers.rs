//! Trusted issuers: other issuers whose tokens are accepted.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use url::Url;

use super::client_openid::{in_domain, words};
use super::clients::Client;
use super::problems::{Wrong, quoted};
use super::reader::Reader;
use super::section::{Choice, Fallback, Key, Kind, Section, choices};
use super::tables::{table, texts};
use super::text;
use crate::clock::Time;
use crate::domain::exchange::SubjectKind;
use crate::domain::scope::Scopes;
use crate::domain::trust::{BearerGrant, Mapping, Trust};
use crate::domain::{attributes, standard_claims};

choices! {
    /// A signature algorithm of foreign tokens (RFC 7518, RFC 8037).
    Signature {
        /// RSA PKCS#1 v1.5 with SHA-256.
        Rs256 = "RS256",
        /// RSA PSS with SHA-256.
        Ps256 = "PS256",
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// Ed25519.
        EdDsa = "EdDSA",
    }
}

choices! {
    /// A kind of foreign token.
    TokenType {
        /// A JWT without a type, or of the type `JWT`.
        Jwt = "jwt",
        /// An ID token (OpenID Connect Core §2).
        IdToken = "id_token",
        /// An access token (RFC 9068).
        AccessToken = "access_token",
        /// An identity assertion for one client.
        IdJag = "id_jag",
    }
}

choices! {
    /// How a token identifies a person.
    SubjectMapping {
        /// By an existing link.
        Linked = "linked",
        /// By a link, or an address that the issuer is the authority for.
        VerifiedEmail = "verified_email",
        /// By a link; without one, an account is created.
        Create = "create",
    }
}

/// A trusted issuer as configured.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    /// How far it is trusted.
    pub trust: Trust,
    /// How its tokens may be used as grants.
    pub grant: BearerGrant,
    /// The URL of its keys.
    pub jwks_uri: Option<String>,
    /// Its keys.
    pub jwks: Option<Value>,
    /// Its keys as PEM: a single text, or several by name.
    pub pem: Option<Value>,
    /// The file of its keys.
    pub jwks_file: Option<PathBuf>,
}

/// What stands on the right of a map from an issuer's claims, for messages.
const THEIR_CLAIM: &str = "the issuer's claim that it comes from";

pub(super) const SECTION: Section = Section {
    title: "Trusted issuers",
    doc: "`[trusted_issuers.<name>]`, in the file only: others whose tokens are accepted, to be exchanged by \
        [rules](#exchange-rules) or presented as a grant (RFC 7523). See [trusted \
        issuers](../flows/trusted-issuers.md).",
    keys: &[
        Key {
            path: "trusted_issuers.<name>.issuer",
            kind: Kind::Text("URL"),
            default: Fallback::Required,
            doc: "The `iss` of its tokens, compared byte for byte.",
        },
        Key {
            path: "trusted_issuers.<name>.jwks_uri",
            kind: Kind::Text("URL"),
            default: Fallback::Derived("what the issuer's discovery document names"),
            doc: "Where its keys are. They are fetched under the rules for [outbound requests](#outbound-requests), \
                cached as long as the answer says, and fetched again for an unknown key.",
        },
        Key {
            path: "trusted_issuers.<name>.jwks",
            kind: Kind::Tree,
            default: Fallback::Unset,
            doc: "Its public keys, a JWK Set, instead of a URL.",
        },
        Key {
            path: "trusted_issuers.<name>.pem",
            kind: Kind::Tree,
            default: Fallback::Unset,
            doc: "Its public keys as PEM (`BEGIN PUBLIC KEY`), instead of a URL: one as text, which matches any `kid`, \
                or several by their `kid`, `{ k1 = \"-----BEGIN…\" }`.",
        },
        Key {
            path: "trusted_issuers.<name>.jwks_file",
            kind: Kind::Path,
            default: Fallback::Unset,
            doc: "A file with its public keys, a JWK Set, instead of a URL; read at the start.",
        },
        Key {
            path: "trusted_issuers.<name>.algorithms",
            kind: Kind::Choices(Signature::WORDS),
            default: Fallback::Value("RS256,ES256"),
            doc: "The algorithms that are accepted from it.",
        },
        Key {
            path: "trusted_issuers.<name>.token_types",
            kind: Kind::Choices(TokenType::WORDS),
            default: Fallback::Value("jwt"),
            doc: "Which of its tokens are accepted. The header's `typ` must match: `at+jwt` for an access token, \
                `oauth-id-jag+jwt` for an identity assertion, which is a grant only, `JWT` or none for the others.",
        },
        Key {
            path: "trusted_issuers.<name>.audiences",
            kind: Kind::List("audience"),
            default: Fallback::Derived("this server's issuer"),
            doc: "The accepted audiences: its tokens must be for one of these.",
        },
        Key {
            path: "trusted_issuers.<name>.max_age",
            kind: Kind::Duration("10s", "24h"),
            default: Fallback::Value("10m"),
            doc: "The greatest accepted age of a token.",
        },
        Key {
            path: "trusted_issuers.<name>.max_life",
            kind: Kind::Duration("10s", "24h"),
            default: Fallback::Value("1h"),
            doc: "The longest accepted lifetime, from `iat` to `exp`. As a grant, it is five minutes at most in any case.",
        },
        Key {
            path: "trusted_issuers.<name>.leeway",
            kind: Kind::Duration("0s", "30s"),
            default: Fallback::Value("5s"),
            doc: "How much its clock may differ.",
        },
        Key {
            path: "trusted_issuers.<name>.single_use",
            kind: Kind::Switch,
            default: Fallback::Value("true"),
            doc: "Whether each token is accepted only once, by its `jti`. This is always so for a grant (RFC 7523) and \
                for `may_enrol`, except for an identity assertion, which its client may present again.",
        },
        Key {
            path: "trusted_issuers.<name>.expires_at",
            kind: Kind::Text("moment such as `2027-01-31T00:00:00Z`"),
            default: Fallback::Unset,
            doc: "When the trust ends automatically.",
        },
        Key {
            path: "trusted_issuers.<name>.required_claims",
            kind: Kind::Tree,
            default: Fallback::Unset,
            doc: "Claims that must have this value, or one of these: `required_claims = { org = [\"a\", \"b\"] }`.",
        },
        Key {
            path: "trusted_issuers.<name>.subject",
            kind: Kind::Choice(SubjectMapping::WORDS),
            default: Fallback::Value("linked"),
            doc: "How a person is found. `linked`: the token's `sub` is their external ID of `source`. \
                `verified_email`: the same, or by a verified address in `email_domains`, and the link is stored. \
                `create`: as `linked`, or an account is created.",
        },
        Key {
            path: "trusted_issuers.<name>.source",
            kind: Kind::Text("name"),
            default: Fallback::Derived("the name of the trusted issuer"),
            doc: "The source of the external IDs to which its `sub` belongs.",
        },
        Key {
            path: "trusted_issuers.<name>.email_domains",
            kind: Kind::List("domain"),
            default: Fallback::Value(""),
            doc: "The domains for whose addresses it is the authority; addresses of other domains are not trusted.",
        },
        Key {
            path: "trusted_issuers.<name>.attributes",
            kind: Kind::Tree,
            default: Fallback::Unset,
            doc: "For a new account: our standard claim, and the issuer's claim that it comes from, `attributes = { \
                name = \"display_name\", email = \"mail\" }`.",
        },
        Key {
            path: "trusted_issuers.<name>.custom_attributes",
            kind: Kind::Tree,
            default: Fallback::Unset,
            doc: "For a new account: the person's attribute, and the issuer's claim that it comes from, \
                `custom_attributes = { tenant = \"org_id\" }`. The claim's value is a text, a whole number, true, false \
                or a list of texts; a token with any other is refused.",
        },
        Key {
            path: "trusted_issuers.<name>.update_attributes",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether each accepted token sets `custom_attributes` for people who have an account, too, and removes \
                those that it does not tell. A token that was issued before the last one that told them changes none.",
        },
        Key {
            path: "trusted_issuers.<name>.groups",
            kind: Kind::List("group"),
            default: Fallback::Value(""),
            doc: "The groups of a new account; they must exist.",
        },
        Key {
            path: "trusted_issuers.<name>.may_enrol",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether its token, as bearer, lets the person create a passkey here, if they signed in there \
                (`auth_time`) at most five minutes ago; never an administrator. Anyone who can issue such tokens can \
                then sign in as every person they identify.",
        },
        Key {
            path: "trusted_issuers.<name>.clients",
            kind: Kind::List("client id"),
            default: Fallback::Value(""),
            doc: "The clients that may present its tokens as a grant (RFC 7523); they need the grant `jwt_bearer` too.",
        },
        Key {
            path: "trusted_issuers.<name>.scopes",
            kind: Kind::List("scope"),
            default: Fallback::Value(""),
            doc: "The scopes that such a grant may give, if the client also has them.",
        },
        Key {
            path: "trusted_issuers.<name>.token_endpoint_audience",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether a grant may name the URL of the token endpoint as audience instead of the issuer, as older \
                senders do.",
        },
    ],
};

/// Reads every issuer.
pub(super) fn read(reader: &mut Reader<'_>, issuer: &str, clients: &[Client]) -> Vec<TrustedIssuer> {
    let mut read: Vec<TrustedIssuer> = Vec::new();
    for name in reader.names("trusted_issuers") {
        let one = read_one(reader, name, issuer, clients);
        let same = |known: &&TrustedIssuer| known.trust.issuer == one.trust.issuer;
        if let Some(known) = read.iter().find(same) {
            let what = format!("is that of {} too", quoted(&known.trust.name));
            let key = format!("trusted_issuers.{}.issuer", one.trust.name);
            reader.contradiction(
                &key,
                &[],
                Wrong::new(what, "keep one of the two: tokens name their issuer, not its name"),
            );
        }
        read.push(one);
    }
    read
}

fn read_one(reader: &mut Reader<'_>, name: String, own: &str, clients: &[Client]) -> TrustedIssuer {
    let key = |field: &str| format!("trusted_issuers.{name}.{field}");
    let issuer = reader.text_as(&key("issuer"), text::identifier).unwrap_or_default();
    if matches!(name.as_str(), "self" | "unknown") {
        // In rules, in the log and in metrics, these names mean this server and an unknown issuer.
        reader.mistake(
            &key("issuer"),
            Wrong::new("is of an issuer with a name that means another", "choose another name"),
        );
    }
    if issuer == own {
        let cure = "leave it out: this server's own tokens are exchanged by rules with issuers = [\"self\"]";
        reader.mistake(&key("issuer"), Wrong::new("is this server itself", cure));
    }
    let source = reader.text_as(&key("source"), text::name);
    if source.is_none() && clients.iter().any(|client| client.id == name) {
        // The backend of that client linked the people of this source. Choosing a name must not silently give another
        // issuer access to them.
        let cure = format!("write source = {} if that is meant, otherwise another name", quoted(&name));
        let what = "is not set, and its default is the source of a client of the same name";
        reader.contradiction(&key("source"), &[], Wrong::new(what, cure));
    }
    let read = TrustedIssuer {
        jwks_uri: reader.text_as(&key("jwks_uri"), address),
        jwks: reader.tree(&key("jwks")),
        pem: reader.tree(&key("pem")),
        jwks_file: reader.path(&key("jwks_file")),
        grant: grant(reader, key),
        trust: trust(reader, (&name, issuer), source, own),
    };
    check(reader, &read);
    read
}

fn identifiers(reader: &mut Reader<'_>, key: &str) -> Vec<String> {
    reader.list_as(key, text::identifier).unwrap_or_default()
}

/// How far the issuer with that name is trusted.
fn trust(reader: &mut Reader<'_>, (name, issuer): (&str, String), source: Option<String>, own: &str) -> Trust {
    let key = |field: &str| format!("trusted_issuers.{name}.{field}");
    let audiences = identifiers(reader, &key("audiences"));
    let custom_attributes = custom_attributes(reader, &key("custom_attributes"));
    let updates_attributes = reader.switch(&key("update_attributes"));
    if updates_attributes && custom_attributes.is_empty() {
        let cure = "add custom_attributes, or leave it out";
        reader.mistake(&key("update_attributes"), Wrong::new("has nothing to update", cure));
    }
    Trust {
        algorithms: reader
            .choices::<Signature>(&key("algorithms"))
            .unwrap_or_default()
            .iter()
            .map(|algorithm| algorithm.as_str().to_owned())
            .collect(),
        kinds: words(reader, &key("token_types"), TokenType::as_str),
        audiences: if audiences.is_empty() { vec![own.to_owned()] } else { audiences },
        max_age: reader.duration(&key("max_age")),
        max_life: reader.duration(&key("max_life")),
        leeway: u8::try_from(reader.duration(&key("leeway")).num_seconds()).unwrap_or_default(),
        single_use: reader.switch(&key("single_use")),
        expires_at: reader.text_as(&key("expires_at"), moment),
        required_claims: required_claims(reader, &key("required_claims")),
        mapping: in_domain(reader.choice::<SubjectMapping>(&key("subject")).as_str()).unwrap_or_default(),
        source: source.unwrap_or_else(|| name.to_owned()),
        email_domains: reader.list_as(&key("email_domains"), domain).unwrap_or_default(),
        attributes: mapped_claims(reader, &key("attributes")),
        custom_attributes,
        updates_attributes,
        groups: reader.list_as(&key("groups"), text::display_name).unwrap_or_default(),
        may_enrol: reader.switch(&key("may_enrol")),
        issuer,
        name: name.to_owned(),
    }
}

/// Which clients may present its tokens as grants, and for which scopes.
fn grant(reader: &mut Reader<'_>, key: impl Fn(&str) -> String) -> BearerGrant {
    let list = reader.list_as(&key("scopes"), text::scope).unwrap_or_default();
    let scopes: Scopes = list.iter().map(String::as_str).collect();
    if scopes.iter().any(crate::domain::exchange::stays_with_its_client) || scopes.contains("offline_access") {
        let cure = "leave it out: a trusted issuer's token never gives it";
        let what = "has \"passkeys\", \"offline_access\" or a scope of administration or of action tokens";
        reader.mistake(&key("scopes"), Wrong::new(what, cure));
    }
    BearerGrant {
        clients: identifiers(reader, &key("clients")),
        scopes,
        token_endpoint_audience: reader.switch(&key("token_endpoint_audience")),
    }
}

fn check(reader: &mut Reader<'_>, read: &TrustedIssuer) {
    let key = |field: &str| format!("trusted_issuers.{}.{field}", read.trust.name);
    let given: Vec<&str> = [
        ("jwks_uri", read.jwks_uri.is_some()),
        ("jwks", read.jwks.is_some()),
        ("pem", read.pem.is_some()),
        ("jwks_file", read.jwks_file.is_some()),
    ]
    .into_iter()
    .filter_map(|(field, is_given)| is_given.then_some(field))
    .collect();
    if let [first, second, ..] = given.as_slice() {
        let wrong = Wrong::new(format!("is given together with {second}"), "keep one of them");
        reader.contradiction(&key(first), &[&key(second)], wrong);
    }
    if given.is_empty() && address(&read.trust.issuer).is_err() {
        let cure = "give jwks_uri, jwks, pem or jwks_file: such an issuer has no discovery document";
        reader.contradiction(&key("issuer"), &[], Wrong::new("is no https address", cure));
    }
    let as_grant = |kind: &SubjectKind| matches!(kind, SubjectKind::Jwt | SubjectKind::IdJag);
    if !read.grant.clients.is_empty() && !read.trust.kinds.iter().any(as_grant) {
        let cure = "add \"jwt\" or \"id_jag\" to token_types: no other kind is accepted as a grant";
        reader.contradiction(&key("clients"), &[&key("token_types")], Wrong::new("can bring nothing", cure));
    }
    check_accounts(reader, &read.trust);
    for (field, is_empty) in
        [("algorithms", read.trust.algorithms.is_empty()), ("token_types", read.trust.kinds.is_empty())]
    {
        if is_empty {
            reader.contradiction(&key(field), &[], Wrong::new("is empty", "name at least one, or leave it out"));
        }
    }
}

/// Checks that what is meant for new accounts can reach one.
fn check_accounts(reader: &mut Reader<'_>, trust: &Trust) {
    if trust.mapping == Mapping::Create {
        return;
    }
    let key = |field: &str| format!("trusted_issuers.{}.{field}", trust.name);
    let or_update = "write subject = \"create\" or update_attributes = true, or leave it out";
    let leave_out = "write subject = \"create\", or leave it out";
    for (field, is_idle, cure) in [
        ("attributes", !trust.attributes.is_empty(), leave_out),
        ("groups", !trust.groups.is_empty(), leave_out),
        ("custom_attributes", !trust.custom_attributes.is_empty() && !trust.updates_attributes, or_update),
    ] {
        if is_idle {
            let wrong = Wrong::new("is for new accounts, and this issuer makes none", cure);
            reader.contradiction(&key(field), &[&key("subject")], wrong);
        }
    }
}

fn moment(text: &str) -> Result<Time, Wrong> {
    let parsed = chrono::DateTime::parse_from_rfc3339(text).map(Into::into);
    parsed.map_err(|_| {
        Wrong::new(format!("{} is no moment", quoted(text)), "write it as 2027-01-31T00:00:00Z, in quotes")
    })
}

/// https, or http for private addresses, which the outbound client checks.
fn address(text: &str) -> Result<String, Wrong> {
    let fits = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
    fits.then(|| text.to_owned())
        .ok_or_else(|| Wrong::new(format!("{} is no address", quoted(text)), "write an https URL"))
}

fn domain(text: &str) -> Result<String, Wrong> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let fits = text.contains('.') && text.len() <= 253 && text.chars().all(plain) && !text.starts_with(['.', '-']);
    fits.then(|| text.to_owned()).ok_or_else(|| {
        Wrong::new(format!("{} is no domain", quoted(text)), "write it in lower case, such as example.com")
    })
}

fn required_claims(reader: &mut Reader<'_>, key: &str) -> BTreeMap<String, Vec<Value>> {
    let list = |value: Value| if let Value::Array(list) = value { list } else { vec![value] };
    table(reader, key).into_iter().map(|(name, value)| (name, list(value))).collect()
}

/// Our standard claim → the issuer's claim.
fn mapped_claims(reader: &mut Reader<'_>, key: &str) -> BTreeMap<String, String> {
    texts(reader, key, THEIR_CLAIM, |ours, _| {
        let cure = "write our claim on the left, such as name or email; other facts belong into custom_attributes";
        let is_one = standard_claims::names().any(|name| name == ours);
        let what = || format!("has {}, which is no standard claim", quoted(ours));
        if is_one { Ok(()) } else { Err(Wrong::new(what(), cure)) }
    })
}

/// The person's attribute → the issuer's claim.
fn custom_attributes(reader: &mut Reader<'_>, key: &str) -> BTreeMap<String, String> {
    texts(reader, key, THEIR_CLAIM, |ours, _| {
        let cure = "write up to 64 of A-Z, a-z, 0-9, _ and - on the left, beginning with a letter";
        let what = || format!("has {}, which is no name of an attribute", quoted(ours));
        if attributes::is_name(ours) { Ok(()) } else { Err(Wrong::new(what(), cure)) }
    })
}
