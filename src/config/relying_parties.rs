//! Relying parties: which passkeys belong together, and which origins may use them.
//!
//! Invariants: a web origin belongs to one relying party only, because it selects the party of a request; every web
//! origin's host is the RP id or below it, unless the origin is a [related](super::related_origins) one; exactly one
//! party is the default; the server's own pages belong to one, because a server whose sign-in page cannot use passkeys
//! must not start.

use super::native_apps;
use super::origin::AppOrigin;
use super::problems::{Wrong, quoted};
use super::section::{Fallback, Key, Kind, Section};

use super::reader::Reader;
use super::related_origins;
use super::server::Server;
use super::text;
use super::values::show_text;
use crate::domain::client::fields::USE_A_DOMAIN;
use crate::domain::native_apps::{AndroidApp, NativeApps};

/// A relying party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    /// Its name in the configuration.
    pub name: String,
    /// The RP id: the domain that scopes its passkeys.
    pub rp_id: String,
    /// The name shown in prompts.
    pub display_name: String,
    /// The origins that may use it: websites under the RP id, and apps.
    pub origins: Vec<AppOrigin>,
    /// Websites of other domains that may use it as well.
    pub related_origins: Vec<AppOrigin>,
    /// The native apps that use its passkeys; the origins of Android apps are among `origins`.
    pub apps: NativeApps,
    /// Whether it is used for requests that name none.
    pub default: bool,
}

impl RelyingParty {
    /// Every origin that may use it.
    pub fn all_origins(&self) -> impl Iterator<Item = &AppOrigin> {
        self.origins.iter().chain(&self.related_origins)
    }

    /// Whether this origin may use it.
    pub fn has_origin(&self, origin: &AppOrigin) -> bool {
        self.all_origins().any(|own| own == origin)
    }
}

pub(super) const SECTION: Section = Section {
    title: "Relying parties",
    doc: "`[relying_parties.<name>]`, in the file only. Without any there is one named `default`, with the host of \
          `public_url` as its RP id and `public_url` as its origin. With any, one of them must list the origin of \
          `public_url`. A website's origin, related or not, belongs to one relying party only.",
    keys: &[
        Key {
            path: "relying_parties.<name>.rp_id",
            kind: Kind::Text("domain"),
            default: Fallback::Required,
            doc: "The domain that passkeys are bound to, without scheme and port: the host of every web origin below, or \
                  a parent of it. It cannot be changed later without losing the passkeys.",
        },
        Key {
            path: "relying_parties.<name>.display_name",
            kind: Kind::Text("name to show"),
            default: Fallback::Derived("`realm`"),
            doc: "What passkey prompts show.",
        },
        Key {
            path: "relying_parties.<name>.origins",
            kind: Kind::List("origin"),
            default: Fallback::Required,
            doc: "The origins that its passkeys may be used from, byte for byte as browsers send them: \
                  `https://app.example.com`, `http://localhost:3000`, `android:apk-key-hash:…`.",
        },
        Key {
            path: "relying_parties.<name>.related_origins",
            kind: Kind::List("origin"),
            default: Fallback::Value(""),
            doc: "Websites of other domains from which its passkeys may be used as well (WebAuthn Level 3 §5.11): \
                `https://example.co.uk`. Browsers ask `https://<rp_id>/.well-known/webauthn` for permission, so this \
                server, or a proxy in front of it, must answer there. They accept at most five labels; \
                `www.example.co.uk` and `example.de` share one: `example`.",
        },
        Key {
            path: "relying_parties.<name>.apple_apps",
            kind: Kind::List("application identifier"),
            default: Fallback::Value(""),
            doc: "Apps for Apple's systems that use its passkeys, each by team and bundle: `A1B2C3D4E5.com.example.app`. The \
                system asks `https://<rp_id>/.well-known/apple-app-site-association`, so this server, or a proxy in front of \
                it, must answer there. These apps send `https://<rp_id>` as their origin, which `origins` must list. See \
                [native apps](../recipes/native-apps.md).",
        },
        Key {
            path: "relying_parties.<name>.android_apps",
            kind: Kind::Tree,
            default: Fallback::Unset,
            doc: "Apps for Android that use its passkeys, each by package and the SHA-256 fingerprints of the certificates that it \
                is signed with: `[ { package = \"com.example.app\", sha256 = [\"FA:C6:17:…\"] } ]`. The system asks \
                `https://<rp_id>/.well-known/assetlinks.json`. The origins of these apps (`android:apk-key-hash:…`) count as \
                listed in `origins`.",
        },
        Key {
            path: "relying_parties.<name>.default",
            kind: Kind::Switch,
            default: Fallback::Derived("`true` for the only one, else `false`"),
            doc: "Whether it is used for requests without an `Origin` whose client names none. Exactly one is.",
        },
    ],
};

/// Reads every relying party.
pub(super) fn read(reader: &mut Reader<'_>, server: &Server) -> Vec<RelyingParty> {
    let names = reader.names("relying_parties");
    if names.is_empty() {
        return vec![from_public_url(reader, server)];
    }
    let alone = names.len() == 1;
    let parties: Vec<RelyingParty> = names.iter().map(|name| read_one(reader, server, name, alone)).collect();
    if reader.is_sound(&["relying_parties"]) {
        let url_is_sound = reader.is_sound(&["public_url"]);
        check_shared_origins(reader, &parties);
        check_related_origins(reader, &parties);
        check_default(reader, &parties);
        if url_is_sound {
            check_own_pages(reader, server, &parties);
        }
    }
    parties
}

fn from_public_url(reader: &mut Reader<'_>, server: &Server) -> RelyingParty {
    let url = &server.public_url;
    reader.derived("relying_parties.default.rp_id", show_text(url.host()));
    reader.derived("relying_parties.default.origins", format!("[{}]", show_text(url.as_str())));
    RelyingParty {
        name: "default".to_owned(),
        rp_id: url.host().to_owned(),
        display_name: server.realm.clone(),
        origins: vec![url.into()],
        related_origins: Vec::new(),
        apps: NativeApps::default(),
        default: true,
    }
}

fn read_one(reader: &mut Reader<'_>, server: &Server, name: &str, alone: bool) -> RelyingParty {
    let key = |field: &str| format!("relying_parties.{name}.{field}");
    let rp_id = reader.text_as(&key("rp_id"), rp_id);
    let origins = reader.list_as(&key("origins"), AppOrigin::read);
    if origins.as_ref().is_some_and(Vec::is_empty) {
        let wrong = Wrong::new("is empty: its passkeys could be used nowhere", "list the origins of your apps");
        reader.mistake(&key("origins"), wrong);
    }
    let covered = |rp_id: &str, origin: &AppOrigin| origin.host().is_none_or(|host| covers(rp_id, host));
    for origin in origins.iter().flatten() {
        if let Some(rp_id) = rp_id.as_ref().filter(|rp_id| !covered(rp_id, origin)) {
            let what = format!("{} is not under the RP id {}", quoted(origin.as_str()), quoted(rp_id));
            let cure = "list it in related_origins, give it a relying party of its own, or take a common parent domain \
                        as rp_id";
            reader.mistake(&key("origins"), Wrong::new(what, cure));
        }
    }
    let related = reader.list_as(&key("related_origins"), related_origins::read);
    for origin in related.iter().flatten() {
        if let Some(rp_id) = rp_id.as_ref().filter(|rp_id| covered(rp_id, origin)) {
            let what = format!("{} is under the RP id {}", quoted(origin.as_str()), quoted(rp_id));
            reader.mistake(&key("related_origins"), Wrong::new(what, "list it in origins"));
        }
    }
    let apps = native_apps::read(reader, key);
    if let (Some(rp_id), Some(origins)) = (&rp_id, &origins) {
        check_apple_origin(reader, &key("apple_apps"), (rp_id, origins), &apps);
    }
    let mut origins = origins.unwrap_or_default();
    for origin in apps.android.iter().flat_map(AndroidApp::origins).filter_map(|text| AppOrigin::read(&text).ok()) {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    RelyingParty {
        name: name.to_owned(),
        rp_id: rp_id.unwrap_or_default(),
        display_name: reader.text_as(&key("display_name"), text::display_name).unwrap_or_else(|| server.realm.clone()),
        origins,
        related_origins: related.unwrap_or_default(),
        apps,
        default: reader.optional_switch(&key("default")).unwrap_or(alone),
    }
}

/// An Apple app uses the RP id as its origin, whatever the websites are.
fn check_apple_origin(reader: &mut Reader<'_>, key: &str, (rp_id, origins): (&str, &[AppOrigin]), apps: &NativeApps) {
    let own = format!("https://{rp_id}");
    if !apps.apple.is_empty() && !origins.iter().any(|origin| origin.as_str() == own) {
        let what = format!("is of apps whose ceremonies come from {}, which origins does not list", quoted(&own));
        reader.mistake(key, Wrong::new(what, "add it to origins"));
    }
}

/// Whether a text is an RP id in the spelling that browsers hash.
pub fn is_rp_id(text: &str) -> bool {
    rp_id(text).is_ok()
}

/// Reads a domain in the one spelling whose hash equals the browsers' RP id hash.
fn rp_id(text: &str) -> Result<String, Wrong> {
    let wrong = |what: &str, cure: &str| Err(Wrong::new(format!("{} {what}", quoted(text)), cure));
    match url::Host::parse(text) {
        Ok(url::Host::Domain(domain)) if domain == text && !text.ends_with('.') && !text.contains('*') => {
            if text == "localhost" || text.contains('.') {
                return Ok(domain);
            }
            wrong("is not a registrable domain", "write your own domain, for example \"example.com\"")
        }
        Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => wrong("is an IP address", USE_A_DOMAIN),
        _ => wrong(
            "is not a domain",
            "write it in lower case, without scheme, port and path, for example \"example.com\"",
        ),
    }
}

/// Whether the host may use passkeys of the RP id (WebAuthn: equal, or a registrable suffix of it).
fn covers(rp_id: &str, host: &str) -> bool {
    host.strip_suffix(rp_id).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn check_shared_origins(reader: &mut Reader<'_>, parties: &[RelyingParty]) {
    for (index, party) in parties.iter().enumerate() {
        // One key may sign apps of several parties. The client, not the `Origin` header, tells which one is meant.
        for origin in party.all_origins().filter(|origin| origin.host().is_some()) {
            let Some(other) = parties[..index].iter().find(|other| other.has_origin(origin)) else { continue };
            let what = format!("{} belongs to the relying party {} already", quoted(origin.as_str()), other.name);
            let wrong = Wrong::new(what, "list it in one place only: a request's origin chooses its relying party");
            let list = if party.origins.contains(origin) { "origins" } else { "related_origins" };
            reader.mistake(&format!("relying_parties.{}.{list}", party.name), wrong);
        }
    }
}

/// The related origins of all relying parties with the same RP id are listed in one document.
fn check_related_origins(reader: &mut Reader<'_>, parties: &[RelyingParty]) {
    for (index, party) in parties.iter().enumerate().filter(|(_, party)| !party.related_origins.is_empty()) {
        let together = parties.iter().take(index + 1).filter(|other| other.rp_id == party.rp_id);
        if let Err(wrong) = related_origins::check_labels(together.flat_map(|other| &other.related_origins)) {
            reader.mistake(&format!("relying_parties.{}.related_origins", party.name), wrong);
        }
    }
}

fn check_default(reader: &mut Reader<'_>, parties: &[RelyingParty]) {
    let defaults: Vec<String> = parties.iter().filter(|party| party.default).map(|party| party.name.clone()).collect();
    match &defaults[..] {
        [_] => {}
        [] => {
            let wrong = Wrong::new("none is the default", "write default = true in one of them");
            reader.mistake("relying_parties", wrong);
        }
        [first, others @ ..] => {
            for other in others {
                let wrong =
                    Wrong::new(format!("{first} is the default already"), "write default = true in one of them");
                reader.mistake(&format!("relying_parties.{other}.default"), wrong);
            }
        }
    }
}

fn check_own_pages(reader: &mut Reader<'_>, server: &Server, parties: &[RelyingParty]) {
    let own = AppOrigin::from(&server.public_url);
    if !parties.iter().any(|party| party.has_origin(&own)) {
        let what = format!("none lists the origin of public_url, {}", quoted(own.as_str()));
        let wrong = Wrong::new(what, "add it to the origins of one: the sign-in page could not use passkeys otherwise");
        reader.mistake("relying_parties", wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rp_id_covers_itself_and_what_is_under_it() {
        for (rp, host, expected) in [
            ("example.com", "example.com", true),
            ("example.com", "id.example.com", true),
            ("example.com", "notexample.com", false),
            ("id.example.com", "example.com", false),
            ("localhost", "localhost", true),
        ] {
            assert_eq!(covers(rp, host), expected, "{rp} {host}");
        }
    }

    #[test]
    fn only_a_plain_domain_is_an_rp_id() {
        for good in ["localhost", "example.com", "id.example.co.uk", "xn--bcher-kva.example"] {
            assert!(rp_id(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "com",
            "Example.com",
            "https://example.com",
            "example.com:443",
            "example.com/",
            "127.0.0.1",
            "[::1]",
            "::1",
            "1.2.3",
            "bücher.example",
            "*.example.com",
            "example.com.",
            "a b.example",
        ] {
            assert!(rp_id(bad).is_err(), "{bad}");
        }
    }
}
