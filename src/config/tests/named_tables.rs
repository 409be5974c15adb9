//! Mistakes in the tables that operators name: relying parties, clients, exchange rules, trusted issuers.

use super::Given;
use super::mistakes::check_files;
use crate::config::RelyingParty;

/// The relying party of our own pages, and another one.
fn beside_our_own(more: &str) -> String {
    format!(
        "[relying_parties.main]\nrp_id = \"localhost\"\norigins = [\"http://localhost:8080\"]\ndefault = true\n{more}"
    )
}

#[test]
fn native_apps() {
    let with = beside_our_own;
    check_files(&[
        (
            "an app of Apple's without its origin",
            &with(
                "[relying_parties.b]\nrp_id = \"example.com\"\norigins = [\"https://www.example.com\"]\napple_apps = [\"A1B2C3D4E5.com.example\"]",
            ),
            "relying_parties.b.apple_apps (passmint.toml:8): is of apps whose ceremonies come from \"https://example.com\", which origins does not list; add it to origins",
        ),
        (
            "an app of Apple's without its team",
            &with(
                "[relying_parties.b]\nrp_id = \"example.com\"\norigins = [\"https://example.com\"]\napple_apps = [\"com.example.app\"]",
            ),
            "relying_parties.b.apple_apps (passmint.toml:8): \"com.example.app\" is not the application identifier of an app for Apple's systems; write the team's ID, a dot and the bundle's identifier: \"A1B2C3D4E5.com.example.app\"",
        ),
        (
            "an app for Android without a certificate",
            &with(
                "[relying_parties.b]\nrp_id = \"example.com\"\norigins = [\"https://example.com\"]\nandroid_apps = [{ package = \"com.example.app\" }]",
            ),
            "relying_parties.b.android_apps (passmint.toml:8): entry 1 has no sha256, or one that is not a list of texts; write a list: [ { package = \"com.example.app\", sha256 = [\"FA:C6:17:…\"] } ]",
        ),
        (
            "a fingerprint that is none",
            &with(
                "[relying_parties.b]\nrp_id = \"example.com\"\norigins = [\"https://example.com\"]\nandroid_apps = [{ package = \"com.example.app\", sha256 = [\"FA:C6\"] }]",
            ),
            "relying_parties.b.android_apps (passmint.toml:8): entry 1 has in sha256 \"FA:C6\", which is not the fingerprint of a certificate; write the 32 bytes of its SHA-256 as `keytool -list -v` prints them: \"FA:C6:17:…\"",
        ),
        (
            "a member that nothing reads",
            &with(
                "[relying_parties.b]\nrp_id = \"example.com\"\norigins = [\"https://example.com\"]\nandroid_apps = [{ name = \"app\" }]",
            ),
            "relying_parties.b.android_apps (passmint.toml:8): entry 1 has \"name\", which nothing reads; choose from package, sha256",
        ),
        (
            "an origin that is none, told once",
            &with(
                "[relying_parties.b]\nrp_id = \"example.com\"\norigins = [\"https://Example.com\"]\napple_apps = [\"A1B2C3D4E5.com.example\"]",
            ),
            "relying_parties.b.origins (passmint.toml:7): \"https://Example.com\" is not written as browsers send it; write \"https://example.com\"",
        ),
    ]);
}

/// One company's key may sign an app for each of its brands.
#[test]
fn apps_of_two_relying_parties_may_have_one_certificate() {
    let print = ["00"; 32].join(":");
    let party = |name: &str| {
        format!(
            "[relying_parties.{name}]\nrp_id = \"{name}.example\"\norigins = [\"https://{name}.example\"]\n\
             android_apps = [{{ package = \"{name}.app\", sha256 = [\"{print}\"] }}]\n"
        )
    };
    let file = beside_our_own(&(party("a") + &party("b")));
    let config = Given { file: Some(&file), ..Given::default() }.load().unwrap_or_else(|problems| panic!("{problems}"));
    let origin = format!("android:apk-key-hash:{}", "A".repeat(43));
    let having = |party: &&RelyingParty| party.origins.iter().any(|own| own.as_str() == origin);
    assert_eq!(config.relying_parties.iter().filter(having).count(), 2);
}

#[test]
fn relying_parties() {
    let with = beside_our_own;
    check_files(&[
        (
            "no RP id",
            "[relying_parties.a]\norigins = [\"http://localhost:8080\"]",
            "relying_parties.a.rp_id (passmint.toml:1): is missing; give it a value: text (domain)",
        ),
        (
            "IP address",
            "[relying_parties.a]\nrp_id = \"127.0.0.1\"\norigins = [\"http://localhost:8080\"]",
            "relying_parties.a.rp_id (passmint.toml:2): \"127.0.0.1\" is an IP address; use localhost or a domain: passkeys do not work on IP addresses",
        ),
        (
            "host elsewhere",
            &with("[relying_parties.b]\nrp_id = \"example.com\"\norigins = [\"https://notexample.com\"]"),
            "relying_parties.b.origins (passmint.toml:7): \"https://notexample.com\" is not under the RP id \"example.com\"; list it in related_origins, give it a relying party of its own, or take a common parent domain as rp_id",
        ),
        (
            "no other domain",
            &with(
                "[relying_parties.b]\nrp_id = \"example.com\"\norigins = [\"https://example.com\"]\nrelated_origins = [\"https://www.example.com\"]",
            ),
            "relying_parties.b.related_origins (passmint.toml:8): \"https://www.example.com\" is under the RP id \"example.com\"; list it in origins",
        ),
        (
            "no related website",
            &with(
                "[relying_parties.b]\nrp_id = \"example.com\"\norigins = [\"https://example.com\"]\nrelated_origins = [\"http://localhost:3000\"]",
            ),
            "relying_parties.b.related_origins (passmint.toml:8): \"http://localhost:3000\" is no https address; leave it out: browsers relate websites to an RP id only",
        ),
        (
            "a related origin of two",
            &with(
                "[relying_parties.b]\nrp_id = \"a.example\"\norigins = [\"https://a.example\"]\nrelated_origins = [\"https://c.example\"]\n\
                 [relying_parties.c]\nrp_id = \"b.example\"\norigins = [\"https://b.example\"]\nrelated_origins = [\"https://c.example\"]",
            ),
            "relying_parties.c.related_origins (passmint.toml:12): \"https://c.example\" belongs to the relying party b already; list it in one place only: a request's origin chooses its relying party",
        ),
        (
            "more related domains than browsers look at",
            &with(
                "[relying_parties.b]\nrp_id = \"example.com\"\norigins = [\"https://example.com\"]\nrelated_origins = [\"https://example.de\", \"https://a.de\", \"https://www.a.co.uk\", \"https://b.com\", \"https://c.com\", \"https://d.com\", \"https://e.com\"]",
            ),
            "relying_parties.b.related_origins (passmint.toml:8): names more than 5 different domains beside the RP id: a, b, c, d, e, example; leave some out, or give them relying parties of their own: browsers would not look at the rest",
        ),
        (
            "trailing slash",
            &with("[relying_parties.b]\nrp_id = \"example.com\"\norigins = [\"https://example.com/\"]"),
            "relying_parties.b.origins (passmint.toml:7): \"https://example.com/\" is not written as browsers send it; write \"https://example.com\"",
        ),
        (
            "shared origin",
            &with("[relying_parties.other]\nrp_id = \"localhost\"\norigins = [\"http://localhost:8080\"]"),
            "relying_parties.other.origins (passmint.toml:7): \"http://localhost:8080\" belongs to the relying party main already; list it in one place only: a request's origin chooses its relying party",
        ),
        (
            "two defaults",
            &with(
                "[relying_parties.other]\nrp_id = \"example.com\"\norigins = [\"https://example.com\"]\ndefault = true",
            ),
            "relying_parties.other.default (passmint.toml:8): main is the default already; write default = true in one of them",
        ),
        (
            "no default",
            &with("[relying_parties.other]\nrp_id = \"example.com\"\norigins = [\"https://example.com\"]")
                .replace("default = true", ""),
            "relying_parties: none is the default; write default = true in one of them",
        ),
        (
            "own pages left out",
            "[relying_parties.a]\nrp_id = \"example.com\"\norigins = [\"https://example.com\"]",
            "relying_parties: none lists the origin of public_url, \"http://localhost:8080\"; add it to the origins of one: the sign-in page could not use passkeys otherwise",
        ),
    ]);
}

#[test]
fn clients() {
    let client = |text: &str| format!("[clients.web]\n{text}");
    let passkey = "first_party = true\ngrants = [\"passkey\"]\n";
    check_files(&[
        (
            "no grants",
            "[clients.web]",
            "clients.web.grants (passmint.toml:1): is missing; give it a value: list of `passkey`, `authorization_code`, \
             `refresh_token`, `client_credentials`, `device_code`, `token_exchange`, `jwt_bearer`",
        ),
        (
            "a person's id",
            "[clients.0f0e0d0c-0b0a-4908-8706-050403020100]\ngrants = []",
            "clients.0f0e0d0c-0b0a-4908-8706-050403020100 (passmint.toml:1): looks like the id of a person; choose another than a UUID",
        ),
        (
            "a claim of ours made of an attribute",
            "[clients.web]\ngrants = []\nattribute_claims = { sub = \"staff_number\" }",
            "clients.web.attribute_claims (passmint.toml:3): has \"sub\", which is no claim of yours; choose another name, in ASCII: this server makes the claims of the standards itself",
        ),
        (
            "built-in name",
            "[clients.quickstart]\ngrants = []",
            "clients.quickstart (passmint.toml:1): is the name of the built-in client on localhost; choose another client id",
        ),
        (
            "not first party",
            &client("grants = [\"passkey\"]"),
            "clients.web.grants (passmint.toml:2): allows \"passkey\" to a client that is not first_party; write first_party = true if the app is your own; other apps sign people in on the server's page",
        ),
        (
            "origin of no relying party",
            &client(&format!("{passkey}origins = [\"https://example.com\"]")),
            "clients.web.origins (passmint.toml:4): \"https://example.com\" belongs to no relying party; add it to the origins of one: passkeys could not be used there otherwise",
        ),
        (
            "refresh without the grant",
            &client(&format!("{passkey}refresh = true")),
            "clients.web.refresh (passmint.toml:4): is true without the grant; add \"refresh_token\" to grants, or write false",
        ),
        (
            "unknown relying party",
            &client("grants = []\nrelying_party = \"defualt\""),
            "clients.web.relying_party (passmint.toml:3): no relying party is named \"defualt\"; did you mean \"default\"?",
        ),
        (
            "redirect with a wildcard",
            &client("grants = []\nredirect_uris = [\"https://example.com/*\"]"),
            "clients.web.redirect_uris (passmint.toml:3): \"https://example.com/*\" has a wildcard; list every redirect URI: they are compared exactly",
        ),
        (
            "several scopes in one",
            &client("grants = []\nscopes = [\"openid email\"]"),
            "clients.web.scopes (passmint.toml:3): \"openid email\" is not a scope; write one scope in each element, in printable ASCII without space, \" and \\",
        ),
        (
            "clear secret",
            &client("grants = []\nkind = \"confidential\"\nsecret = \"hunter2\""),
            "clients.web.secret (passmint.toml:4): is a secret in clear text; write its SHA-256 as secret_digest or name a file as secret_file; and make a new secret, this one has been written down",
        ),
        (
            "confidential without a secret",
            &client("grants = []\nkind = \"confidential\""),
            "clients.web.kind (passmint.toml:3): is confidential and has no secret; give it a secret_digest or secret_file: make one with `passmint clients secret`, which prints the secret and its digest",
        ),
        (
            "secret in place of its digest",
            &client("grants = []\nkind = \"confidential\"\nsecret_digest = \"hunter2\""),
            "clients.web.secret_digest (passmint.toml:4): is not a SHA-256 in hex (64 characters) or base64url (43 characters); make one with `passmint clients secret`, which prints the secret and its digest",
        ),
        (
            "the digest of nothing",
            &client(
                "grants = []\nkind = \"confidential\"\nsecret_digest = \"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"",
            ),
            "clients.web.secret_digest (passmint.toml:4): is the SHA-256 of nothing: anybody would be this client; make one with `passmint clients secret`, which prints the secret and its digest",
        ),
        (
            "public with a secret",
            &client(&format!("grants = []\nsecret_digest = \"{}\"", "0".repeat(64))),
            "clients.web.secret_digest (passmint.toml:3): is given to a public client; write kind = \"confidential\", or remove it",
        ),
        (
            "public introspection",
            &client("grants = []\nmay_introspect = [\"api\"]"),
            "clients.web.may_introspect (passmint.toml:3): is given to a public client; introspection needs kind = \"confidential\" and a secret",
        ),
    ]);
}

#[test]
fn federated_clients() {
    let with = |issuer: &str, more: &str| {
        format!(
            "[trusted_issuers.k8s]\nissuer = \"https://k8s.example\"\n{issuer}\n[clients.a]\nkind = \"confidential\"\ngrants = [\"client_credentials\"]\n{more}"
        )
    };
    let entry = |issuer: &str| format!("{{ issuer = \"{issuer}\", subject = \"s\", audience = \"b\" }}");
    let own = entry("k8s");
    let example = "write a list: [ { issuer = \"github\", subject = \"repo:acme/shop:ref:refs/heads/main\", audience = \"https://id.example.com\" } ]";
    let told = |what: &str| format!("clients.a.federated (passmint.toml:7): {what}");
    let none = with("", &format!("federated = [{}]", entry("elsewhere")));
    let typed = with("token_types = [\"id_token\"]", &format!("federated = [{own}]"));
    let secret = with("", &format!("federated = [{own}]\nsecret_digest = \"{}\"", "ab".repeat(32)));
    let method = with("", &format!("federated = [{own}]\nauth_method = \"client_secret_basic\""));
    check_files(&[
        (
            "an issuer that is none",
            &none,
            &told("names \"elsewhere\", which is no trusted issuer; declare [trusted_issuers.elsewhere]"),
        ),
        (
            "an issuer of other tokens",
            &typed,
            &told("names \"k8s\", whose tokens of the type jwt are not taken; add \"jwt\" to its token_types"),
        ),
        (
            "a secret beside it",
            &secret,
            &told("is given together with a secret, which would be worth nothing; keep one of the two"),
        ),
        (
            "a method beside it",
            &method,
            "clients.a.auth_method (passmint.toml:8): is given together with federated, which is a way of its own; keep one of the two",
        ),
        ("an empty list", &with("", "federated = []"), &told(&format!("is not a list of tables; {example}"))),
        (
            "one table",
            &with("", "federated = { issuer = \"k8s\" }"),
            &told(&format!("is not a list of tables; {example}")),
        ),
        ("a text", &with("", "federated = [\"k8s\"]"), &told(&format!("entry 1 is not a table; {example}"))),
        (
            "no subject",
            &with("", "federated = [{ issuer = \"k8s\", audience = \"b\" }]"),
            &told(&format!("entry 1 has no subject, or one that is not text; {example}")),
        ),
        (
            "a subject of two lines",
            &with("", "federated = [{ issuer = \"k8s\", subject = \"a\\nb\", audience = \"b\" }]"),
            &told("entry 1 has a subject that is not a subject; write 1 to 255 characters on one line"),
        ),
        (
            "more than is read",
            &with("", "federated = [{ issuer = \"k8s\", subject = \"a\", audience = \"b\", claims = 1 }]"),
            &told("entry 1 has \"claims\", which nothing reads; choose from issuer, subject, audience"),
        ),
        (
            "twice",
            &with("", &format!("federated = [{own}, {own}]")),
            &told("entry 2 is listed twice; keep one of the two"),
        ),
    ]);
}

#[test]
fn exchange_rules() {
    check_files(&[
        (
            "a right over accounts",
            "[exchange_rules.x]\nclients = [\"a\"]\nnew_scopes = [\"passkeys\"]",
            "exchange_rules.x.new_scopes (passmint.toml:3): has \"passkeys\" or a scope of administration or of action tokens; leave it out: nobody gets it by an exchange",
        ),
        (
            "a longer session",
            "[exchange_rules.x]\nclients = [\"a\"]\nscopes = [\"offline_access\"]",
            "exchange_rules.x.scopes (passmint.toml:3): has \"offline_access\"; leave it out: an exchange never prolongs a session",
        ),
        (
            "kept and new",
            "[exchange_rules.x]\nclients = [\"a\"]\naudiences = [\"b\"]\nnew_audiences = [\"b\"]",
            "exchange_rules.x.new_audiences (passmint.toml:4): has \"b\", which is among audiences too; keep one of the two",
        ),
        (
            "a transaction token for nowhere",
            "[exchange_rules.x]\nclients = [\"a\"]\nissues = [\"txn_token\"]",
            "exchange_rules.x.issues (passmint.toml:3): has \"txn_token\", and no trust domain is named; name it in new_audiences",
        ),
        (
            "a transaction token for something else",
            "[exchange_rules.x]\nclients = [\"a\"]\nsubject_types = [\"txn_token\"]",
            "exchange_rules.x.subject_types (passmint.toml:3): has \"txn_token\", which gives nothing but another; add txn_token to issues, or leave it out",
        ),
        (
            "nothing to refresh",
            "[exchange_rules.x]\nclients = [\"a\"]\nissues = [\"id_token\"]\nrefreshable = true",
            "exchange_rules.x.refreshable (passmint.toml:4): is on, and no access token comes out; add access_token to issues, or leave it out",
        ),
        (
            "an issuer of nobody",
            "[exchange_rules.x]\nclients = [\"a\"]\nissuers = [\"y\"]",
            "exchange_rules.x.issuers (passmint.toml:3): \"y\" is no trusted issuer; write self, or declare it",
        ),
        (
            "registered by itself",
            "[registration]\ngrants = [\"token_exchange\"]",
            "registration.grants (passmint.toml:2): has \"token_exchange\"; leave it out: who exchanges tokens is named by rules, and so declared",
        ),
    ]);
}

#[test]
fn trusted_issuers() {
    const PARTNER: &str = "[trusted_issuers.x]\nissuer = \"https://p.example\"\n";
    let issuer = |more: &str| format!("{PARTNER}{more}");
    check_files(&[
        (
            "trust in oneself",
            "[trusted_issuers.x]\nissuer = \"http://localhost:8080\"",
            "trusted_issuers.x.issuer (passmint.toml:2): is this server itself; leave it out: this server's own tokens are exchanged by rules with issuers = [\"self\"]",
        ),
        (
            "nothing to discover",
            "[trusted_issuers.x]\nissuer = \"partner\"",
            "trusted_issuers.x.issuer (passmint.toml:2): is no https address; give jwks_uri, jwks, pem or jwks_file: such an issuer has no discovery document",
        ),
        (
            "two of one name",
            "[trusted_issuers.x]\nissuer = \"https://p.example\"\n[trusted_issuers.y]\nissuer = \"https://p.example\"",
            "trusted_issuers.y.issuer (passmint.toml:4): is that of \"x\" too; keep one of the two: tokens name their issuer, not its name",
        ),
        (
            "two sources of keys",
            &issuer("jwks_uri = \"https://p.example/keys\"\njwks_file = \"keys.json\""),
            "trusted_issuers.x.jwks_uri (passmint.toml:3): is given together with jwks_file; keep one of them",
        ),
        (
            "a domain in capitals",
            &issuer("email_domains = [\"P.example\"]"),
            "trusted_issuers.x.email_domains (passmint.toml:3): \"P.example\" is no domain; write it in lower case, such as example.com",
        ),
        (
            "the people of a client of the same name",
            "[clients.x]\ngrants = [\"authorization_code\"]\nkind = \"public\"\nredirect_uris = [\"https://x.example/cb\"]\n[trusted_issuers.x]\nissuer = \"https://p.example\"",
            "trusted_issuers.x.source: is not set, and its default is the source of a client of the same name; write source = \"x\" if that is meant, otherwise another name",
        ),
        (
            "assertions for ourselves",
            "[authorization_servers.x]\nissuer = \"http://localhost:8080\"\nclient_ids = {}",
            "authorization_servers.x.issuer (passmint.toml:2): is this server itself; leave it out: what this server gives for itself are its own tokens",
        ),
        (
            "one server twice",
            "[authorization_servers.x]\nissuer = \"https://p.example\"\nclient_ids = {}\n[authorization_servers.y]\nissuer = \"https://p.example\"\nclient_ids = {}",
            "authorization_servers.y.issuer (passmint.toml:5): is that of another server; put the clients of both into one",
        ),
        (
            "a moment in words",
            &issuer("expires_at = \"tomorrow\""),
            "trusted_issuers.x.expires_at (passmint.toml:3): \"tomorrow\" is no moment; write it as 2027-01-31T00:00:00Z, in quotes",
        ),
        (
            "a claim of nobody",
            &issuer("attributes = { shoe = \"size\" }"),
            "trusted_issuers.x.attributes (passmint.toml:3): has \"shoe\", which is no standard claim; write our claim on the left, such as name or email; other facts belong into custom_attributes",
        ),
        (
            "an attribute that no template could name",
            &issuer("custom_attributes = { \"a.b\" = \"size\" }"),
            "trusted_issuers.x.custom_attributes (passmint.toml:3): has \"a.b\", which is no name of an attribute; write up to 64 of A-Z, a-z, 0-9, _ and - on the left, beginning with a letter",
        ),
        (
            "an attribute from a number",
            &issuer("custom_attributes = { tenant = 7 }"),
            "trusted_issuers.x.custom_attributes (passmint.toml:3): \"tenant\" is not text; write in quotes the issuer's claim that it comes from",
        ),
        (
            "attributes that are none",
            &issuer("update_attributes = true"),
            "trusted_issuers.x.update_attributes (passmint.toml:3): has nothing to update; add custom_attributes, or leave it out",
        ),
        (
            "claims for accounts that nobody makes",
            &issuer("attributes = { name = \"display_name\" }"),
            "trusted_issuers.x.attributes (passmint.toml:3): is for new accounts, and this issuer makes none; write subject = \"create\", or leave it out",
        ),
        (
            "groups of accounts that nobody makes",
            &issuer("subject = \"verified_email\"\ngroups = [\"staff\"]"),
            "trusted_issuers.x.groups (passmint.toml:4): is for new accounts, and this issuer makes none; write subject = \"create\", or leave it out",
        ),
        (
            "attributes that nobody gets",
            &issuer("custom_attributes = { tenant = \"org_id\" }"),
            "trusted_issuers.x.custom_attributes (passmint.toml:3): is for new accounts, and this issuer makes none; write subject = \"create\" or update_attributes = true, or leave it out",
        ),
        (
            "clients that can bring nothing",
            &issuer("token_types = [\"id_token\"]\nclients = [\"a\"]"),
            "trusted_issuers.x.clients (passmint.toml:4): can bring nothing; add \"jwt\" or \"id_jag\" to token_types: \
             no other kind is accepted as a grant",
        ),
        (
            "a scope of administration",
            &issuer("scopes = [\"admin\"]"),
            "trusted_issuers.x.scopes (passmint.toml:3): has \"passkeys\", \"offline_access\" or a scope of \
             administration or of action tokens; leave it out: a trusted issuer's token never gives it",
        ),
    ]);
}
