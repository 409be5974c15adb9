//! Clients: the apps that may request tokens.
//!
//! Invariants: only digests of secrets leave this file; the passkey grant is for first-party clients only, and their
//! origins are among those of the client's relying party; the quick-start client exists on localhost only. To add a
//! grant: a variant in [`Grant`], and its rule in `check_grants`.

use chrono::Duration;

use super::client_keys::{ClientKind, Grant};
use super::client_openid::{self, in_domain};
use super::client_secret;
use super::origin::AppOrigin;
use super::problems::{Wrong, nearest, quoted};
use super::reader::Reader;
use super::redirect_uri::RedirectUri;
use super::relying_parties::RelyingParty;
use super::server::Server;
use super::text;
use super::tokens::Algorithm;
use super::values::show_text;
use crate::domain::client::{ClientDefinition, GrantType, check_id};
use crate::domain::scope::Scopes;
use crate::domain::secret::TokenDigest;

/// An app that may request tokens.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// The name shown to people.
    pub name: String,
    /// Whether it can keep a secret.
    pub kind: ClientKind,
    /// Whether the operator owns it, so that nobody is asked for consent.
    pub first_party: bool,
    /// The origins that its pages and apps run on.
    pub origins: Vec<AppOrigin>,
    /// The redirect URIs that responses may be sent to.
    pub redirect_uris: Vec<RedirectUri>,
    /// How it may get tokens.
    pub grants: Vec<Grant>,
    /// The scopes it may request; `bridge:*` stands for every bridge.
    pub scopes: Vec<String>,
    /// The name of the relying party that requests without an origin use.
    pub relying_party: String,
    /// The audiences that its access tokens may have, in addition to the issuer.
    pub audiences: Vec<String>,
    /// The digest of its secret; `Some` exactly when it is confidential.
    pub secret: Option<TokenDigest>,
    /// How long its access tokens live; `None`: `tokens.access_ttl`.
    pub access_ttl: Option<Duration>,
    /// Whether it gets refresh tokens.
    pub refresh: bool,
    /// The algorithm of its ID tokens.
    pub id_token_algorithm: Algorithm,
    /// The audiences whose tokens it may introspect.
    pub may_introspect: Vec<String>,
    /// Its OAuth and OpenID Connect settings; the fields above are not set in it.
    pub openid: ClientDefinition,
}

/// The id of the client that a new server on localhost has.
pub const QUICK_START: &str = "quickstart";

/// Reads every client, and adds the quick-start client on localhost.
pub(super) fn read(reader: &mut Reader<'_>, server: &Server, parties: &[RelyingParty]) -> Vec<Client> {
    let mut clients = Vec::new();
    for id in reader.names("clients") {
        if id == QUICK_START {
            let wrong = Wrong::new("is the name of the built-in client on localhost", "choose another client id");
            reader.mistake("clients.quickstart", wrong);
        }
        clients.push(read_one(reader, parties, &id));
    }
    if server.public_url.is_localhost() && !clients.iter().any(|client| client.id == QUICK_START) {
        clients.push(quick_start(reader, server, parties));
    }
    clients
}

fn quick_start(reader: &mut Reader<'_>, server: &Server, parties: &[RelyingParty]) -> Client {
    let origin = AppOrigin::from(&server.public_url);
    let home = parties.iter().find(|party| party.has_origin(&origin)).or_else(|| parties.first());
    reader.derived("clients.quickstart.origins", format!("[{}]", show_text(origin.as_str())));
    let scopes = ["openid", "profile", "email", "offline_access", "passkeys", "bridge:*"];
    Client {
        id: QUICK_START.to_owned(),
        name: "Quick start".to_owned(),
        kind: ClientKind::Public,
        first_party: true,
        origins: vec![origin],
        redirect_uris: Vec::new(),
        grants: vec![Grant::Passkey, Grant::RefreshToken],
        scopes: scopes.map(str::to_owned).into(),
        relying_party: home.map(|party| party.name.clone()).unwrap_or_default(),
        audiences: Vec::new(),
        secret: None,
        access_ttl: None,
        refresh: true,
        id_token_algorithm: Algorithm::Rs256,
        may_introspect: Vec::new(),
        // The developer panel reads the person's claims from the ID token.
        openid: ClientDefinition { claims_in_id_token: true, ..ClientDefinition::default() },
    }
}

fn read_one(reader: &mut Reader<'_>, parties: &[RelyingParty], id: &str) -> Client {
    let key = |field: &str| format!("clients.{id}.{field}");
    let kind = reader.choice(&key("kind"));
    let grants: Vec<Grant> = reader.choices(&key("grants")).unwrap_or_default();
    let openid = client_openid::read(reader, id);
    let client = Client {
        id: id.to_owned(),
        name: reader.text_as(&key("name"), text::display_name).unwrap_or_else(|| id.to_owned()),
        first_party: reader.switch(&key("first_party")),
        origins: reader.list_as(&key("origins"), AppOrigin::read).unwrap_or_default(),
        redirect_uris: reader.list_as(&key("redirect_uris"), RedirectUri::read).unwrap_or_default(),
        scopes: reader.list_as(&key("scopes"), text::scope).unwrap_or_default(),
        relying_party: relying_party(reader, parties, &key("relying_party")),
        audiences: reader.list_as(&key("audiences"), text::identifier).unwrap_or_default(),
        secret: client_secret::read(reader, id, kind, needs_no_secret(&openid)),
        access_ttl: reader.optional_duration(&key("access_ttl")),
        refresh: reader.optional_switch(&key("refresh")).unwrap_or_else(|| grants.contains(&Grant::RefreshToken)),
        id_token_algorithm: reader.choice(&key("id_token_algorithm")),
        may_introspect: reader.list_as(&key("may_introspect"), text::identifier).unwrap_or_default(),
        openid,
        kind,
        grants,
    };
    check_grants(reader, &client, parties);
    check_fit(reader, &client);
    client
}

fn relying_party(reader: &mut Reader<'_>, parties: &[RelyingParty], key: &str) -> String {
    let known = |text: &str| {
        if parties.iter().any(|party| party.name == text) {
            return Ok(text.to_owned());
        }
        let names: Vec<&str> = parties.iter().map(|party| party.name.as_str()).collect();
        let cure = match nearest(text, names.iter().copied()) {
            Some(meant) => format!("did you mean {}?", quoted(meant)),
            None => format!("there is {}", names.join(", ")),
        };
        Err(Wrong::new(format!("no relying party is named {}", quoted(text)), cure))
    };
    let default = || parties.iter().find(|party| party.default).map(|party| party.name.clone());
    reader.text_as(key, known).or_else(default).unwrap_or_default()
}

fn check_grants(reader: &mut Reader<'_>, client: &Client, parties: &[RelyingParty]) {
    let key = |field: &str| format!("clients.{}.{field}", client.id);
    if client.refresh && !client.grants.contains(&Grant::RefreshToken) {
        let wrong = Wrong::new("is true without the grant", "add \"refresh_token\" to grants, or write false");
        reader.contradiction(&key("refresh"), &[&key("grants")], wrong);
    }
    if !client.grants.contains(&Grant::Passkey) || !client.first_party {
        return;
    }
    if !reader.is_sound(&["relying_parties", "public_url"]) {
        return;
    }
    let usable = |origin: &&AppOrigin| parties.iter().any(|party| party.has_origin(origin));
    for origin in client.origins.iter().filter(|origin| !usable(origin)) {
        let what = format!("{} belongs to no relying party", quoted(origin.as_str()));
        let cure = "add it to the origins of one: passkeys could not be used there otherwise";
        reader.mistake(&key("origins"), Wrong::new(what, cure));
    }
}

/// Checks the rules that apply to clients however they are created.
fn check_fit(reader: &mut Reader<'_>, client: &Client) {
    if let Some(misfit) = check_id(&client.id) {
        reader.mistake(&format!("clients.{}", client.id), Wrong::new(misfit.what, misfit.cure));
    }
    let definition = client.definition();
    for misfit in definition.check(client.secret.is_some()) {
        let key = format!("clients.{}.{}", client.id, misfit.field);
        let table = format!("clients.{}", client.id);
        reader.contradiction(&key, &[&table], Wrong::new(misfit.what, misfit.cure));
    }
}

impl Client {
    /// The client as a definition of the domain.
    pub fn definition(&self) -> ClientDefinition {
        let mut grants: Vec<GrantType> = self.grants.iter().filter_map(|grant| in_domain(grant.as_str())).collect();
        if !self.refresh {
            grants.retain(|grant| *grant != GrantType::RefreshToken);
        }
        ClientDefinition {
            name: self.name.clone(),
            kind: in_domain(self.kind.as_str()).unwrap_or_default(),
            first_party: self.first_party,
            origins: self.origins.iter().map(|origin| origin.as_str().to_owned()).collect(),
            redirect_uris: self.redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect(),
            grants,
            scopes: self.scopes.iter().map(String::as_str).collect::<Scopes>(),
            relying_party: Some(self.relying_party.clone()),
            audiences: self.audiences.clone(),
            access_ttl: self.access_ttl.map(|life| life.num_seconds()),
            id_token_algorithm: Some(self.id_token_algorithm.as_str().to_owned()),
            may_introspect: self.may_introspect.clone(),
            ..self.openid.clone()
        }
    }
}

/// Whether a confidential client authenticates without a secret.
fn needs_no_secret(openid: &ClientDefinition) -> bool {
    openid.jwks.is_some() || openid.jwks_uri.is_some() || !openid.federated.is_empty()
}
