//! Exchange rules: which token may be exchanged for which other (RFC 8693).

use std::collections::BTreeSet;

use super::client_openid::{in_domain, words};
use super::problems::{Wrong, quoted};
use super::reader::Reader;
use super::section::{Choice, Fallback, Key, Kind, Section, choices};
use super::text;
use super::trusted_issuers::TrustedIssuer;
use crate::domain::exchange::{self, Issuer, Issues, Rule, SubjectKind};
use crate::domain::scope::Scopes;

choices! {
    /// A kind of token that may be exchanged.
    Taken {
        /// An access token of ours.
        AccessToken = "access_token",
        /// An ID token.
        IdToken = "id_token",
        /// Another JWT of a trusted issuer.
        Jwt = "jwt",
        /// A transaction token, to be replaced.
        TxnToken = "txn_token",
    }
}

choices! {
    /// A kind of token that may be issued.
    Given {
        /// An access token.
        AccessToken = "access_token",
        /// An ID token for the client.
        IdToken = "id_token",
        /// An access token, requested as a JWT.
        Jwt = "jwt",
        /// An identity assertion for another authorization server.
        IdJag = "id_jag",
        /// A transaction token for a trust domain.
        TxnToken = "txn_token",
    }
}

choices! {
    /// Whether an actor is allowed.
    Acting {
        /// No actor token is accepted.
        Forbidden = "forbidden",
        /// With or without an actor token.
        Allowed = "allowed",
        /// Only with an actor token.
        Required = "required",
    }
}

/// The name of this server as an issuer.
const SELF: &str = "self";

pub(super) const SECTION: Section = Section {
    title: "Exchange rules",
    doc: "`[exchange_rules.<name>]`, in the file only: which tokens a client may exchange for which others (RFC 8693). \
        Everything that no rule lists is refused, so an empty list allows nothing. The client needs the grant \
        `token_exchange` too, and can never get a scope or an audience that is not its own. See [token \
        exchange](../flows/token-exchange.md).",
    keys: &[
        Key {
            path: "exchange_rules.<name>.clients",
            kind: Kind::List("client id"),
            default: Fallback::Required,
            doc: "The clients that may exchange tokens. A public client may only narrow its own tokens.",
        },
        Key {
            path: "exchange_rules.<name>.issuers",
            kind: Kind::List("`self` or trusted issuer"),
            default: Fallback::Value("self"),
            doc: "Whose tokens are accepted: `self` for this server's, otherwise names of [trusted \
                issuers](#trusted-issuers). Scopes and audiences of trusted issuers' tokens are ignored, so whatever a \
                rule grants for them is new.",
        },
        Key {
            path: "exchange_rules.<name>.subject_types",
            kind: Kind::Choices(Taken::WORDS),
            default: Fallback::Value("access_token"),
            doc: "Which kinds of tokens are accepted. An ID token is accepted only from the client that it is for, and \
                has no scopes to keep; `jwt` is for tokens of trusted issuers, `txn_token` for replacing [transaction \
                tokens](../flows/transaction-tokens.md).",
        },
        Key {
            path: "exchange_rules.<name>.subject_audiences",
            kind: Kind::List("audience"),
            default: Fallback::Value(""),
            doc: "The APIs that the rule's clients represent: the exchanged token must be for one of them. If empty, \
                the token must be for the client itself, have been issued to it, or name it in `may_act`; a trusted \
                issuer's token may also be for this server.",
        },
        Key {
            path: "exchange_rules.<name>.audiences",
            kind: Kind::List("audience"),
            default: Fallback::Value(""),
            doc: "Audiences of the exchanged token that the new one may keep.",
        },
        Key {
            path: "exchange_rules.<name>.new_audiences",
            kind: Kind::List("audience"),
            default: Fallback::Value(""),
            doc: "Audiences that the new token may have even if the exchanged one does not. They must be among the \
                client's `audiences` as well.",
        },
        Key {
            path: "exchange_rules.<name>.scopes",
            kind: Kind::List("scope"),
            default: Fallback::Value(""),
            doc: "Scopes of the exchanged token that the new one may keep. `passkeys` and administrative scopes never \
                leave their client, and `offline_access` is never kept.",
        },
        Key {
            path: "exchange_rules.<name>.new_scopes",
            kind: Kind::List("scope"),
            default: Fallback::Value(""),
            doc: "Scopes that a confidential client may request even if the exchanged token does not have them.",
        },
        Key {
            path: "exchange_rules.<name>.issues",
            kind: Kind::Choices(Given::WORDS),
            default: Fallback::Value("access_token"),
            doc: "What may be issued. An ID token is for the client itself and requires the scope `openid`. `id_jag` \
                is an identity assertion for one of the [authorization servers](#authorization-servers), in exchange \
                for an ID token of the client's own; `txn_token` a [transaction token](../flows/transaction-tokens.md) \
                for one of the `new_audiences`, which are then names of trust domains, with scopes of `scopes` alone, \
                for at most five minutes.",
        },
        Key {
            path: "exchange_rules.<name>.bridges",
            kind: Kind::List("bridge"),
            default: Fallback::Value(""),
            doc: "Bridges whose custom tokens may be issued, with `audience=<bridge>`. The bridge's own rule applies \
                as well. Its tokens are valid as long as the bridge says, but no longer than the exchanged token; a \
                target that makes its tokens itself, and cannot make them that short, is not called.",
        },
        Key {
            path: "exchange_rules.<name>.lifetime",
            kind: Kind::Duration("10s", "1h"),
            default: Fallback::Value("5m"),
            doc: "The longest lifetime of the issued token, which never outlives the exchanged token either.",
        },
        Key {
            path: "exchange_rules.<name>.refreshable",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether a confidential client that has the grant `refresh_token` gets a refresh token with the \
                access token. It lasts as long as the session of the exchanged token, and no longer than a trusted \
                issuer's token; each use checks this rule again.",
        },
        Key {
            path: "exchange_rules.<name>.actor",
            kind: Kind::Choice(Acting::WORDS),
            default: Fallback::Value("forbidden"),
            doc: "Whether an actor token is allowed or required: an access token of the same client, for a person or \
                for itself, whose owner is then named in `act`.",
        },
        Key {
            path: "exchange_rules.<name>.impersonation",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether a client may exchange somebody else's token without an actor token. The client itself is \
                then named in `act`, and the audit trail has `token.impersonated`.",
        },
        Key {
            path: "exchange_rules.<name>.chain",
            kind: Kind::Integer(1, 4),
            default: Fallback::Value("3"),
            doc: "The most actors that a token may name, nested in each other.",
        },
    ],
};

/// Reads every rule.
pub(super) fn read(reader: &mut Reader<'_>, trusted: &[TrustedIssuer]) -> Vec<Rule> {
    reader.names("exchange_rules").into_iter().map(|name| read_one(reader, name, trusted)).collect()
}

fn read_one(reader: &mut Reader<'_>, name: String, trusted: &[TrustedIssuer]) -> Rule {
    let key = |field: &str| format!("exchange_rules.{name}.{field}");
    let names =
        |reader: &mut Reader<'_>, field: &str| reader.list_as(&key(field), text::identifier).unwrap_or_default();
    let scopes = |reader: &mut Reader<'_>, field: &str| -> Scopes {
        let list = reader.list_as(&key(field), text::scope).unwrap_or_default();
        list.iter().map(String::as_str).collect()
    };
    let rule = Rule {
        clients: names(reader, "clients"),
        issuers: reader.list_as(&key("issuers"), |text| issuer(text, trusted)).unwrap_or_default(),
        subject_kinds: words(reader, &key("subject_types"), Taken::as_str),
        subject_audiences: names(reader, "subject_audiences"),
        audiences: names(reader, "audiences"),
        new_audiences: names(reader, "new_audiences"),
        scopes: scopes(reader, "scopes"),
        new_scopes: scopes(reader, "new_scopes"),
        issues: words(reader, &key("issues"), Given::as_str),
        bridges: reader.list_as(&key("bridges"), text::name).unwrap_or_default(),
        lifetime: reader.duration(&key("lifetime")),
        actor: in_domain(reader.choice::<Acting>(&key("actor")).as_str()).unwrap_or_default(),
        impersonation: reader.switch(&key("impersonation")),
        refreshable: reader.switch(&key("refreshable")),
        chain: reader.integer::<u8>(&key("chain")).into(),
        name: name.clone(),
    };
    check(reader, &rule);
    rule
}

fn issuer(text: &str, trusted: &[TrustedIssuer]) -> Result<Issuer, Wrong> {
    if text == SELF {
        return Ok(Issuer::Own);
    }
    let known = trusted.iter().any(|one| one.trust.name == text);
    let unknown = || Wrong::new(format!("{} is no trusted issuer", quoted(text)), "write self, or declare it");
    known.then(|| Issuer::Trusted(text.to_owned())).ok_or_else(unknown)
}

/// Refuses settings that look like a right but can never grant one.
fn check(reader: &mut Reader<'_>, rule: &Rule) {
    let key = |field: &str| format!("exchange_rules.{}.{field}", rule.name);
    let both: BTreeSet<&String> = rule.audiences.iter().filter(|one| rule.new_audiences.contains(one)).collect();
    if let Some(twice) = both.first() {
        let what = format!("has {}, which is among audiences too", quoted(twice));
        reader.contradiction(&key("new_audiences"), &[&key("audiences")], Wrong::new(what, "keep one of the two"));
    }
    for field in ["scopes", "new_scopes"] {
        let list = if field == "scopes" { &rule.scopes } else { &rule.new_scopes };
        if list.contains("offline_access") {
            let cure = "leave it out: an exchange never prolongs a session";
            reader.mistake(&key(field), Wrong::new("has \"offline_access\"", cure));
        }
    }
    if rule.issues.contains(&Issues::TxnToken) && rule.new_audiences.is_empty() {
        let wrong = Wrong::new("has \"txn_token\", and no trust domain is named", "name it in new_audiences");
        reader.contradiction(&key("issues"), &[&key("new_audiences")], wrong);
    }
    if rule.subject_kinds.contains(&SubjectKind::TxnToken) && !rule.issues.contains(&Issues::TxnToken) {
        let wrong = Wrong::new(
            "has \"txn_token\", which gives nothing but another",
            "add txn_token to issues, or leave it out",
        );
        reader.contradiction(&key("subject_types"), &[&key("issues")], wrong);
    }
    let is_access = |kind: &Issues| matches!(kind, Issues::AccessToken | Issues::Jwt);
    if rule.refreshable && !rule.issues.iter().any(is_access) {
        let wrong = Wrong::new("is on, and no access token comes out", "add access_token to issues, or leave it out");
        reader.contradiction(&key("refreshable"), &[&key("issues")], wrong);
    }
    if rule.new_scopes.iter().any(exchange::stays_with_its_client) {
        let cure = "leave it out: nobody gets it by an exchange";
        reader.mistake(
            &key("new_scopes"),
            Wrong::new("has \"passkeys\" or a scope of administration or of action tokens", cure),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::exchange::ActorRule;

    #[test]
    fn every_word_has_its_value_in_the_domain() {
        assert!(Taken::WORDS.iter().all(|word| in_domain::<SubjectKind>(word).is_some()));
        assert!(Given::WORDS.iter().all(|word| in_domain::<Issues>(word).is_some()));
        assert!(Acting::WORDS.iter().all(|word| in_domain::<ActorRule>(word).is_some()));
    }
}
