//! `passmint clients create`: reads a client by the same rules as the configuration file, with the same reader.

use clap::Args;
use clap::ValueEnum;

use super::secret;
use crate::admin::clients::create;
use crate::admin::guard::Actor;
use crate::assembly::declared_clients;
use crate::cli::Outcome;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::clients::rules::Rules;
use crate::config::Problems;
use crate::domain::client::Client;
use crate::domain::secret::{PlainToken, TokenKind};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// It runs on its users' devices.
    Public,
    /// It runs on a server and keeps a secret.
    Confidential,
}

/// A new client.
#[derive(Args)]
pub struct Create {
    /// Its id, the `client_id` of its requests: a-z, 0-9, _ and -.
    id: String,
    /// The name shown to people; the ID by default.
    #[arg(long)]
    name: Option<String>,
    /// Whether it can keep a secret.
    #[arg(long, value_enum, default_value = "public")]
    kind: Kind,
    /// An origin that its pages run on; may be given several times.
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// Where answers may be sent; may be given several times.
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// How it may get tokens: `authorization_code`, `refresh_token`, `client_credentials`, `device_code`, `passkey`,
    /// `token_exchange` or `jwt_bearer`; may be given several times.
    #[arg(long = "grant", value_name = "GRANT")]
    grants: Vec<String>,
    /// A scope it may request; may be given several times.
    #[arg(long = "scope", value_name = "SCOPE", default_value = "openid")]
    scopes: Vec<String>,
    /// An audience its access tokens may have, besides the issuer; may be given several times.
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// The audiences whose tokens it may introspect; may be given several times.
    #[arg(long = "may-introspect", value_name = "AUDIENCE")]
    may_introspect: Vec<String>,
    /// The relying party for its requests without an origin; the default one if omitted.
    #[arg(long, value_name = "NAME")]
    relying_party: Option<String>,
    /// Any other configuration setting, `name=value` as TOML; may be given several times.
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = crate::cli::pair)]
    settings: Vec<(String, String)>,
    /// It is your own app: it may run passkey ceremonies itself, and nobody is asked for consent.
    #[arg(long)]
    first_party: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Create {
    /// Runs the command.
    pub fn run(&self, settings: &Settings) -> Outcome {
        let desk = settings.desk()?;
        if desk.config.client(&self.id).is_some() {
            return Err(format!("client `{}` is declared by {}: change it there", self.id, desk.source));
        }
        let secret = self.wants_secret().then(|| PlainToken::random(TokenKind::ClientSecret));
        let client = self.checked(settings, secret.as_ref())?;
        let rules = Rules::of(&desk.config);
        desk.write_locked(|conn| Ok(create::insert(conn, &Actor::command_line(), &rules, &client, desk.now)?))?;
        self.report(secret.as_ref())
    }

    /// Whether the client needs a secret: not if it authenticates by keys or as an external workload.
    fn wants_secret(&self) -> bool {
        let by_keys = |(name, value): &(String, String)| match name.as_str() {
            "jwks" | "jwks_uri" | "federated" => true,
            "auth_method" => value.contains("private_key_jwt"),
            _ => false,
        };
        self.kind == Kind::Confidential && !self.settings.iter().any(by_keys)
    }

    fn report(&self, secret: Option<&PlainToken>) -> Outcome {
        if self.json {
            let secret = secret.map(PlainToken::expose);
            return print::json(&serde_json::json!({ "id": self.id, "secret": secret }));
        }
        print::line(format!("client `{}` is stored; running servers know it within seconds", self.id));
        let Some(secret) = secret else { return Ok(()) };
        secret::show(secret, false)?;
        print::line("the secret is not shown again");
        Ok(())
    }

    /// The client as the configuration's reader understands it.
    fn checked(&self, settings: &Settings, secret: Option<&PlainToken>) -> Result<Client, String> {
        let config =
            settings.load_with(&self.as_toml(secret)?)?.map_err(|problems| self.in_words_of_flags(&problems))?;
        let mut clients = declared_clients(&config).into_iter();
        clients.find(|client| client.id == self.id).ok_or_else(|| format!("client `{}` cannot be read", self.id))
    }

    fn as_toml(&self, secret: Option<&PlainToken>) -> Result<String, String> {
        let list = |items: &[String]| toml::Value::from(items.to_vec());
        let mut table = toml::Table::new();
        let kind = if self.kind == Kind::Public { "public" } else { "confidential" };
        table.insert("kind".to_owned(), kind.into());
        table.insert("first_party".to_owned(), self.first_party.into());
        table.insert("grants".to_owned(), list(&self.grants));
        table.insert("scopes".to_owned(), list(&self.scopes));
        for (name, items) in [
            ("origins", &self.origins),
            ("redirect_uris", &self.redirect_uris),
            ("audiences", &self.audiences),
            ("may_introspect", &self.may_introspect),
        ] {
            table.insert(name.to_owned(), list(items));
        }
        for (name, text) in [("name", &self.name), ("relying_party", &self.relying_party)] {
            if let Some(text) = text {
                table.insert(name.to_owned(), text.as_str().into());
            }
        }
        for (name, text) in &self.settings {
            let value = toml::from_str::<toml::Table>(&format!("v = {text}")).ok().and_then(|mut one| one.remove("v"));
            table.insert(name.clone(), value.unwrap_or_else(|| text.as_str().into()));
        }
        if let Some(secret) = secret {
            table.insert("secret_digest".to_owned(), secret::hex(&secret.digest()).into());
        }
        let clients = toml::Table::from_iter([(self.id.clone(), toml::Value::Table(table))]);
        toml::to_string(&toml::Table::from_iter([("clients".to_owned(), toml::Value::Table(clients))]))
            .map_err(|error| format!("the client cannot be written: {error}"))
    }

    /// The mistakes with the names of the flags that caused them, instead of lines of a file that nobody wrote.
    fn in_words_of_flags(&self, problems: &Problems) -> String {
        let prefix = format!("clients.{}.", self.id);
        let lines = problems.as_slice().iter().map(|problem| {
            let flag = match problem.key.strip_prefix(&prefix) {
                Some("origins") => "--origin".to_owned(),
                Some("redirect_uris") => "--redirect-uri".to_owned(),
                Some("grants") => "--grant".to_owned(),
                Some("scopes") => "--scope".to_owned(),
                Some("audiences") => "--audience".to_owned(),
                Some(other) => format!("--{}", other.replace('_', "-")),
                None if problem.key == prefix.trim_end_matches('.') => "the client's id".to_owned(),
                None => problem.key.clone(),
            };
            format!("{flag}: {}", problem.wrong)
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}
