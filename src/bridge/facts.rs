//! What a bridge may say about a sign-in: the closed list of facts, each with its name and its kind.
//!
//! What must always hold: a fact that is not certain is *missing*, never guessed. An unverified e-mail address is never
//! an identity, so `user.email` exists only if it was verified, and so does `user.phone`.
//!
//! An attribute (`user.attr('plan')`) is set by an operator, so a template states which kind it expects; a value of
//! another kind causes the token to be refused.
//!
//! To add a fact: a field in the structs below, a variant and a row in [`Fact::ALL`], an arm in [`Context::look_up`], a
//! line in the samples (`sample.rs`), and if people, clients or devices choose its text, an arm in [`Fact::is_chosen`].

use std::collections::BTreeMap;

use serde_json::Value;

use crate::clock::Time;
use crate::domain::attributes::Attribute;
use crate::domain::exchange::Actor;

/// The maximum length of a single fact, in bytes; a longer one is refused before it is copied anywhere.
pub const MAX_FACT_BYTES: usize = 16 * 1024;

/// Everything known about one sign-in, as the bridges see it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The person.
    pub user: UserFacts,
    /// The user's IDs in external systems: source → ID (`link('firebase')`).
    pub links: BTreeMap<String, String>,
    /// The session, or the sign-in that just happened.
    pub session: SessionFacts,
    /// The passkey that was used; `None` if the sign-in used something else.
    pub passkey: Option<PasskeyFacts>,
    /// The client that requests the token.
    pub client: ClientFacts,
    /// What the client was granted.
    pub grant: GrantFacts,
    /// The caller's inputs, checked against the bridge's declarations.
    pub inputs: BTreeMap<String, Datum>,
    /// The key that the target binds this token to, if it named one. Not available to templates.
    pub bound_key: Option<String>,
    /// Who acts for the person, if another party makes the request. Not available to templates: the token states it by
    /// itself.
    pub act: Option<Actor>,
    /// Maximum lifetime of the token in seconds, if something other than the bridge also limits it.
    pub longest: Option<i64>,
}

/// Facts about the person.
#[derive(Clone, Debug)]
pub struct UserFacts {
    /// Our user ID, the `sub` of all our tokens.
    pub id: String,
    /// The e-mail address; visible to templates only if `email_verified` is true.
    pub email: Option<String>,
    /// Whether the address was verified.
    pub email_verified: bool,
    /// The telephone number; visible to templates only if `phone_verified` is true.
    pub phone: Option<String>,
    /// Whether the number was verified.
    pub phone_verified: bool,
    /// The display name.
    pub name: Option<String>,
    /// The name by which the person wants to be known: `preferred_username` of their profile.
    pub username: Option<String>,
    /// The language, as a BCP 47 tag.
    pub locale: Option<String>,
    /// When the account was created.
    pub created_at: Time,
    /// Names of the groups the user is in.
    pub groups: Vec<String>,
    /// What the operator stores about them for backends (`user.attr('plan')`).
    pub attributes: BTreeMap<String, Datum>,
}

/// Facts about how and when the person signed in.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// The session's public ID (`sid`); missing if a ceremony opens no session.
    pub id: Option<String>,
    /// The authentication context class, `phr` for a passkey with user verification.
    pub acr: Option<String>,
    /// The methods used (RFC 8176).
    pub amr: Vec<String>,
    /// When the person was last verified.
    pub auth_time: Time,
}

/// Facts about the passkey.
#[derive(Clone, Debug)]
pub struct PasskeyFacts {
    /// A digest of the credential ID: it distinguishes passkeys without revealing the ID.
    pub id_hash: String,
    /// The authenticator model, hyphenated and in lower case; `None` if unknown.
    pub aaguid: Option<String>,
    /// Whether the user was verified.
    pub uv: bool,
    /// Whether the passkey may be synced (backup eligible).
    pub be: bool,
    /// Whether it is synced (backup state).
    pub bs: bool,
    /// The transports that the authenticator reported.
    pub transports: Vec<String>,
    /// The relying party the passkey belongs to.
    pub rp_id: String,
    /// When it was registered.
    pub created_at: Time,
}

/// Facts about the client.
#[derive(Clone, Debug)]
pub struct ClientFacts {
    /// Its client id.
    pub id: String,
    /// Its name, as people see it.
    pub name: Option<String>,
}

/// Facts about the grant.
#[derive(Clone, Debug, Default)]
pub struct GrantFacts {
    /// The scopes granted.
    pub scopes: Vec<String>,
    /// The audience of the presented access token; empty if the person used the cookie, a ceremony, or the token of
    /// another issuer.
    pub audience: Vec<String>,
}

/// The JSON kind of a fact or of an expression's result; it is known when a template is saved, so types never change
/// later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A whole number. Times are seconds since 1970 (RFC 7519 §2, NumericDate).
    Number,
    /// `true` or `false`.
    Flag,
    /// A list of strings.
    List,
}

impl Kind {
    /// The name used in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "a number",
            Self::Flag => "a flag",
            Self::List => "a list",
        }
    }

    /// The kind with this name in a template or a declaration.
    pub fn find(word: &str) -> Option<Self> {
        match word {
            "text" => Some(Self::Text),
            "number" => Some(Self::Number),
            "flag" => Some(Self::Flag),
            "list" => Some(Self::List),
            _ => None,
        }
    }
}

/// A value of one of the four kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// See [`Kind::Text`].
    Text(String),
    /// See [`Kind::Number`].
    Number(i64),
    /// See [`Kind::Flag`].
    Flag(bool),
    /// See [`Kind::List`].
    List(Vec<String>),
}

impl Datum {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Number(_) => Kind::Number,
            Self::Flag(_) => Kind::Flag,
            Self::List(_) => Kind::List,
        }
    }
}

impl From<Attribute> for Datum {
    fn from(attribute: Attribute) -> Self {
        match attribute {
            Attribute::Text(text) => Self::Text(text),
            Attribute::Number(number) => Self::Number(number),
            Attribute::Flag(flag) => Self::Flag(flag),
            Attribute::List(items) => Self::List(items),
        }
    }
}

impl From<Datum> for Value {
    fn from(datum: Datum) -> Self {
        match datum {
            Datum::Text(text) => text.into(),
            Datum::Number(number) => number.into(),
            Datum::Flag(flag) => flag.into(),
            Datum::List(items) => items.into(),
        }
    }
}

/// The name of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table below names each one as templates do")]
pub enum Fact {
    UserId,
    UserEmail,
    UserEmailVerified,
    UserPhone,
    UserPhoneVerified,
    UserName,
    UserUsername,
    UserLocale,
    UserCreatedAt,
    UserGroups,
    SessionId,
    SessionAcr,
    SessionAmr,
    SessionAuthTime,
    PasskeyIdHash,
    PasskeyAaguid,
    PasskeyUv,
    PasskeyBe,
    PasskeyBs,
    PasskeyTransports,
    PasskeyRpId,
    PasskeyCreatedAt,
    ClientId,
    ClientName,
    GrantScopes,
    GrantAudience,
    Now,
    Exp,
}

impl Fact {
    /// Every fact: its name in templates, and its kind.
    pub const ALL: [(&'static str, Self, Kind); 28] = [
        ("user.id", Self::UserId, Kind::Text),
        ("user.email", Self::UserEmail, Kind::Text),
        ("user.email_verified", Self::UserEmailVerified, Kind::Flag),
        ("user.phone", Self::UserPhone, Kind::Text),
        ("user.phone_verified", Self::UserPhoneVerified, Kind::Flag),
        ("user.name", Self::UserName, Kind::Text),
        ("user.username", Self::UserUsername, Kind::Text),
        ("user.locale", Self::UserLocale, Kind::Text),
        ("user.created_at", Self::UserCreatedAt, Kind::Number),
        ("user.groups", Self::UserGroups, Kind::List),
        ("session.id", Self::SessionId, Kind::Text),
        ("session.acr", Self::SessionAcr, Kind::Text),
        ("session.amr", Self::SessionAmr, Kind::List),
        ("session.auth_time", Self::SessionAuthTime, Kind::Number),
        ("passkey.id_hash", Self::PasskeyIdHash, Kind::Text),
        ("passkey.aaguid", Self::PasskeyAaguid, Kind::Text),
        ("passkey.uv", Self::PasskeyUv, Kind::Flag),
        ("passkey.be", Self::PasskeyBe, Kind::Flag),
        ("passkey.bs", Self::PasskeyBs, Kind::Flag),
        ("passkey.transports", Self::PasskeyTransports, Kind::List),
        ("passkey.rp_id", Self::PasskeyRpId, Kind::Text),
        ("passkey.created_at", Self::PasskeyCreatedAt, Kind::Number),
        ("client.id", Self::ClientId, Kind::Text),
        ("client.name", Self::ClientName, Kind::Text),
        ("grant.scopes", Self::GrantScopes, Kind::List),
        ("grant.audience", Self::GrantAudience, Kind::List),
        ("now", Self::Now, Kind::Number),
        ("exp", Self::Exp, Kind::Number),
    ];

    /// Finds a fact by its name in templates.
    pub fn find(name: &str) -> Option<(Self, Kind)> {
        Self::ALL.iter().find(|(known, ..)| *known == name).map(|&(_, fact, kind)| (fact, kind))
    }

    /// Its name in templates.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, fact, _)| *fact == self).map_or("", |(name, ..)| name)
    }

    /// Whether a person, a client or a device chooses its text. Such a text must not decide what a token allows. Scopes
    /// and audiences are chosen too, but only among those that the operator gave the client.
    pub const fn is_chosen(self) -> bool {
        matches!(
            self,
            Self::UserEmail
                | Self::UserPhone
                | Self::UserName
                | Self::UserUsername
                | Self::UserLocale
                | Self::PasskeyAaguid
                | Self::PasskeyTransports
                | Self::ClientName
        )
    }
}

/// The facts of one minting: those of the sign-in, and the token's own times.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The sign-in.
    pub facts: &'a Facts,
    /// The token's `iat`, seconds since 1970.
    pub now: i64,
    /// The token's `exp`, seconds since 1970.
    pub exp: i64,
}

/// A fact longer than [`MAX_FACT_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Context<'_> {
    /// The value of a fact; `Ok(None)` when it is missing.
    ///
    /// # Errors
    /// [`TooLong`] when the value is longer than any fact may be.
    pub fn look_up(&self, fact: Fact) -> Result<Option<Datum>, TooLong> {
        let Facts { user, session, passkey, client, grant, .. } = self.facts;
        let passkey = passkey.as_ref();
        match fact {
            Fact::UserId => text(Some(&user.id)),
            Fact::UserEmail => text(user.email.as_deref().filter(|_| user.email_verified)),
            Fact::UserEmailVerified => Ok(Some(Datum::Flag(user.email_verified && user.email.is_some()))),
            Fact::UserPhone => text(user.phone.as_deref().filter(|_| user.phone_verified)),
            Fact::UserPhoneVerified => Ok(Some(Datum::Flag(user.phone_verified && user.phone.is_some()))),
            Fact::UserName => text(user.name.as_deref()),
            Fact::UserUsername => text(user.username.as_deref()),
            Fact::UserLocale => text(user.locale.as_deref()),
            Fact::UserCreatedAt => Ok(Some(Datum::Number(user.created_at.timestamp()))),
            Fact::UserGroups => list(Some(&user.groups)),
            Fact::SessionId => text(session.id.as_deref()),
            Fact::SessionAcr => text(session.acr.as_deref()),
            Fact::SessionAmr => list(Some(&session.amr)),
            Fact::SessionAuthTime => Ok(Some(Datum::Number(session.auth_time.timestamp()))),
            Fact::PasskeyIdHash => text(passkey.map(|p| p.id_hash.as_str())),
            Fact::PasskeyAaguid => text(passkey.and_then(|p| p.aaguid.as_deref())),
            Fact::PasskeyUv => Ok(passkey.map(|p| Datum::Flag(p.uv))),
            Fact::PasskeyBe => Ok(passkey.map(|p| Datum::Flag(p.be))),
            Fact::PasskeyBs => Ok(passkey.map(|p| Datum::Flag(p.bs))),
            Fact::PasskeyTransports => list(passkey.map(|p| p.transports.as_slice())),
            Fact::PasskeyRpId => text(passkey.map(|p| p.rp_id.as_str())),
            Fact::PasskeyCreatedAt => Ok(passkey.map(|p| Datum::Number(p.created_at.timestamp()))),
            Fact::ClientId => text(Some(&client.id)),
            Fact::ClientName => text(client.name.as_deref()),
            Fact::GrantScopes => list(Some(&grant.scopes)),
            Fact::GrantAudience => list(Some(&grant.audience)),
            Fact::Now => Ok(Some(Datum::Number(self.now))),
            Fact::Exp => Ok(Some(Datum::Number(self.exp))),
        }
    }

    /// The user's ID in an external source; `Ok(None)` if there is none.
    ///
    /// # Errors
    /// [`TooLong`], as [`Context::look_up`].
    pub fn link(&self, source: &str) -> Result<Option<Datum>, TooLong> {
        text(self.facts.links.get(source).map(String::as_str))
    }

    /// An attribute of the user, of any kind; `Ok(None)` if there is none.
    ///
    /// # Errors
    /// [`TooLong`], as [`Context::look_up`].
    pub fn attribute(&self, name: &str) -> Result<Option<Datum>, TooLong> {
        match self.facts.user.attributes.get(name) {
            Some(Datum::Text(value)) => text(Some(value)),
            Some(Datum::List(items)) => list(Some(items)),
            other => Ok(other.cloned()),
        }
    }

    /// The caller's input with a declared name; `None` if it was not given. The declaration limits its length.
    pub fn input(&self, name: &str) -> Option<Datum> {
        self.facts.inputs.get(name).cloned()
    }
}

fn text(value: Option<&str>) -> Result<Option<Datum>, TooLong> {
    match value {
        Some(value) if value.len() > MAX_FACT_BYTES => Err(TooLong),
        value => Ok(value.map(|value| Datum::Text(value.to_owned()))),
    }
}

fn list(value: Option<&[String]>) -> Result<Option<Datum>, TooLong> {
    match value {
        Some(items) if items.iter().map(String::len).sum::<usize>() > MAX_FACT_BYTES => Err(TooLong),
        value => Ok(value.map(|items| Datum::List(items.to_vec()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::sample;

    #[test]
    fn every_fact_has_one_name_and_the_kind_it_promises() {
        let facts = sample::full(&[]);
        let context = Context { facts: &facts, now: 1, exp: 2 };
        for (name, fact, kind) in Fact::ALL {
            assert_eq!(Fact::find(name), Some((fact, kind)));
            assert_eq!(fact.name(), name);
            let found = context.look_up(fact).unwrap().unwrap_or_else(|| panic!("{name} is in the full sample"));
            assert_eq!(found.kind(), kind, "{name}");
        }
    }

    #[test]
    fn an_unverified_email_is_missing() {
        let mut facts = sample::full(&[]);
        facts.user.email_verified = false;
        let context = Context { facts: &facts, now: 1, exp: 2 };
        assert_eq!(context.look_up(Fact::UserEmail), Ok(None));
        assert_eq!(context.look_up(Fact::UserEmailVerified), Ok(Some(Datum::Flag(false))));
    }

    #[test]
    fn an_unverified_phone_is_missing() {
        let mut facts = sample::full(&[]);
        facts.user.phone_verified = false;
        let context = Context { facts: &facts, now: 1, exp: 2 };
        assert_eq!(context.look_up(Fact::UserPhone), Ok(None));
        assert_eq!(context.look_up(Fact::UserPhoneVerified), Ok(Some(Datum::Flag(false))));
        // Nor is a missing number ever verified.
        let facts = Facts { user: UserFacts { phone: None, phone_verified: true, ..facts.user }, ..facts };
        let context = Context { facts: &facts, now: 1, exp: 2 };
        assert_eq!(context.look_up(Fact::UserPhoneVerified), Ok(Some(Datum::Flag(false))));
    }

    #[test]
    fn a_fact_of_ten_megabytes_is_refused() {
        let mut facts = sample::full(&[]);
        facts.user.name = Some("x".repeat(10_000_000));
        facts.user.phone = Some("1".repeat(10_000_000));
        facts.user.groups = vec!["g".repeat(1000); 10_000];
        facts.links.insert("far".to_owned(), "y".repeat(10_000_000));
        let context = Context { facts: &facts, now: 1, exp: 2 };
        assert_eq!(context.look_up(Fact::UserName), Err(TooLong));
        assert_eq!(context.look_up(Fact::UserPhone), Err(TooLong));
        assert_eq!(context.look_up(Fact::UserGroups), Err(TooLong));
        assert_eq!(context.link("far"), Err(TooLong));
    }
}
