//! The API reference, generated from the OpenAPI document and the list of routes.
//!
//! To add an operation: nothing is needed here unless it takes a body. Then [`BODIES`] needs an example of it, which a
//! test checks.

use std::fmt::Write as _;

use serde_json::Value;

use super::generated::note;
use crate::openapi;
use crate::routes::{Access, ROUTES};

/// The sections with their purpose, in reading order for newcomers.
const SECTIONS: [(&str, &str); 14] = [
    (
        "Passkeys",
        "Signing in and adding passkeys are two calls each: options for the browser's passkey API, then what it returned.",
    ),
    (
        "Action tokens",
        "Single-use permissions that a backend gives its users, for passkeys beside its own sign-in. Scope \
         `action_tokens`.",
    ),
    ("Account", "Who is signed in, and what people see of their own account."),
    ("Bridges", "Custom tokens for systems that are not ours."),
    ("Forward auth", "What a proxy asks before each request to an app."),
    (
        "OAuth",
        "Everything that an OpenID provider answers but the pages. Bodies are forms; errors are in the form of RFC 6749.",
    ),
    ("Well-known", "What browsers and libraries look up by themselves."),
    ("Operations", "For the people who run the server."),
    ("Administration: clients", "Apps, and permissions for apps to register themselves. Scope `admin:clients`."),
    ("Administration: people", "Accounts, their sessions, passkeys and groups. Scope `admin:users`."),
    ("Administration: resources", "The APIs for which access tokens are issued. Scope `admin:resources`."),
    ("Administration: bridges", "The systems that custom tokens are minted for. Scope `admin:bridges`."),
    ("Administration: audit", "What happened. Scope `admin:audit:read`."),
    ("Administration: outbox", "Messages that have not arrived. Scopes `admin:outbox:read`, `admin:outbox`."),
];

/// The body in the example of an operation: JSON, or the pairs of a form.
const BODIES: &[(&str, &str)] = &[
    (
        "post /v1/passkeys/registration/options",
        r#"{"purpose":"sign-up","name":"Ana","result":{"kind":"tokens","clientId":"quickstart","scope":"openid profile"}}"#,
    ),
    ("post /v1/passkeys/registration/verify", r#"{"ceremonyId":"pmc_…","credential":{…}}"#),
    (
        "post /v1/passkeys/authentication/options",
        r#"{"result":{"kind":"tokens","clientId":"quickstart","scope":"openid profile"}}"#,
    ),
    ("post /v1/passkeys/authentication/verify", r#"{"ceremonyId":"pmc_…","credential":{…}}"#),
    ("post /v1/bridges/{name}/token", r#"{"inputs":{"room":"blue"}}"#),
    ("post /v1/bridges/{name}/pusher/auth", "socket_id=1234.5678 channel_name=private-user-…"),
    ("post /v1/bridges/{name}/pusher/user-auth", "socket_id=1234.5678"),
    (
        "post /v1/passkeys/transactions/options",
        r#"{"operation":{"kind":"payment","title":"Pay 100.00 EUR to Acme","details":[{"label":"To","value":"Acme"}]},"clientId":"bank"}"#,
    ),
    ("post /v1/passkeys/transactions/verify", r#"{"ceremonyId":"pmc_…","credential":{…}}"#),
    ("post /v1/transactions/redeem", r#"{"proof":"eyJ…"}"#),
    (
        "post /v1/action-tokens",
        r#"{"action":"enrol","user":{"externalId":{"id":"4711"},"name":"Ana"},"returnTo":"https://shop.example/passkeys"}"#,
    ),
    ("post /v1/action-tokens/{id}/result", r#"{"result":"eyJ…"}"#),
    ("patch /v1/passkeys/{id}", r#"{"name":"Blue key"}"#),
    ("post /oauth/token", "grant_type=refresh_token refresh_token=… client_id=quickstart"),
    ("post /oauth/device", "client_id=tv scope=openid"),
    ("post /oauth/revoke", "token=… client_id=quickstart"),
    ("post /oauth/introspect", "token=…"),
    (
        "post /oauth/par",
        "client_id=app response_type=code redirect_uri=https://app.example/cb code_challenge=… code_challenge_method=S256",
    ),
    ("post /oauth/userinfo", "access_token=…"),
    ("post /oauth/logout", "id_token_hint=… post_logout_redirect_uri=https://app.example/"),
    ("post /oauth/register", r#"{"redirect_uris":["https://app.example/cb"],"client_name":"App"}"#),
    ("put /oauth/register/{id}", r#"{"redirect_uris":["https://app.example/cb"],"client_name":"The app"}"#),
    (
        "post /v1/admin/clients",
        r#"{"id":"shop","definition":{"name":"Shop","kind":"confidential","grants":["authorization_code"],"scopes":"openid","redirect_uris":["https://shop.example/cb"]}}"#,
    ),
    (
        "put /v1/admin/clients/{id}",
        r#"{"definition":{"name":"Shop","kind":"confidential","grants":["authorization_code"],"scopes":"openid","redirect_uris":["https://shop.example/cb"]}}"#,
    ),
    ("patch /v1/admin/clients/{id}", r#"{"definition":{"name":"The shop"}}"#),
    ("post /v1/admin/clients/{id}/secret", r#"{"keepPreviousFor":3600}"#),
    (
        "post /v1/admin/users",
        r#"{"claims":{"name":"Ana","email":"ana@example.com"},"attributes":{"org":"acme"},"groups":["editors"]}"#,
    ),
    ("patch /v1/admin/users/{id}", r#"{"groups":["editors"]}"#),
    ("post /v1/admin/groups", r#"{"name":"editors"}"#),
    (
        "post /v1/admin/resources",
        r#"{"identifier":"https://api.example","definition":{"name":"Orders","scopes":{"orders.read":"Read your orders"}}}"#,
    ),
    ("put /v1/admin/resources/{id}", r#"{"definition":{"name":"Orders","access_ttl":300}}"#),
    (
        "post /v1/admin/bridges",
        r#"{"name":"backend","definition":{"preset":"jwt","audience":"https://backend.example","lifetime":300,"claims":{"role":"member"}}}"#,
    ),
    ("put /v1/admin/bridges/{name}", r#"{"definition":{"preset":"jwt","audience":"https://backend.example"}}"#),
    ("post /v1/admin/registration-tokens", r#"{"name":"partners","uses":10,"lifetime":604800}"#),
];

/// The page, with examples that call the server at `origin`.
pub fn api(origin: &str) -> String {
    let document = serde_json::to_value(openapi::document()).unwrap_or_default();
    let mut page = format!(
        "# REST API\n\n{}{}\n\nThe machine-readable form is `/openapi.json` at the administration listener, and `passmint docs \
         openapi`. In the examples `…` stands for what an earlier answer gave.\n",
        note("api", "endpoints.md", "the handlers"),
        text(&document["info"]["description"])
    );
    for (section, purpose) in SECTIONS {
        let _ = write!(page, "\n## {section}\n\n{purpose}\n");
        for (path, method, operation) in operations(&document) {
            if operation["tags"][0] == section {
                describe(&mut page, &document, origin, (path, &method), operation);
            }
        }
    }
    // One line break at the end, as in the generated file.
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// Every documented operation (path, method, operation object), in the order of the routes.
fn operations(document: &Value) -> impl Iterator<Item = (&'static str, String, &Value)> {
    ROUTES.iter().filter_map(|route| {
        let method = route.method.to_lowercase();
        let operation = &document["paths"][route.path][&method];
        operation.is_object().then_some((route.path, method, operation))
    })
}

fn describe(page: &mut String, document: &Value, origin: &str, (path, method): (&str, &str), operation: &Value) {
    let summary = text(&operation["summary"]);
    let _ = write!(page, "\n### `{} {path}`\n\n{summary}\n", method.to_uppercase());
    let more = text(&operation["description"]);
    if !more.is_empty() && more != summary {
        let _ = write!(page, "\n{more}\n");
    }
    let access = access(path, method);
    let _ = write!(page, "\nFor {}.\n\n```sh\n{}\n```\n", words(access), curl(origin, path, method, access));
    if let Some(content) = operation["requestBody"]["content"].as_object().and_then(|content| content.values().next()) {
        let mut takes = String::new();
        members(&mut takes, document, &content["schema"], "", 0);
        let note = text(&operation["requestBody"]["description"]);
        let _ = write!(page, "\n#### Takes\n\n{note}\n\n{takes}");
    }
    page.push_str("\n#### Answers\n\n| status | |\n|---|---|\n");
    let mut gives = String::new();
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let schema = &response["content"]["application/json"]["schema"];
        members(&mut gives, document, schema, "", 0);
        let note = Some(text(&response["description"])).filter(|note| !note.is_empty());
        let note = note.unwrap_or_else(|| text(&resolve(document, schema)["description"]));
        let _ = writeln!(page, "| `{status}` | {} |", cell(&note));
    }
    let _ = write!(page, "\n{gives}");
}

fn access(path: &str, method: &str) -> Access {
    let route = ROUTES.iter().find(|route| route.path == path && route.method.eq_ignore_ascii_case(method));
    route.map_or(Access::Public, |route| route.access)
}

const fn words(access: Access) -> &'static str {
    match access {
        Access::Public | Access::Page => "anybody",
        Access::SignedIn => "a signed-in person, with an access token or the session cookie",
        Access::Token => "a signed-in person, with an access token",
        Access::Browser | Access::OwnPage => "a signed-in person, with the session cookie of our own pages",
        Access::Client => "an OAuth client",
        Access::ConfidentialClient => "a confidential OAuth client",
        Access::Admin => "an access token with a scope of administration",
        Access::Backend => "a backend, by an access token of its own (client credentials)",
    }
}

/// A path pattern as an example: `…` in place of each parameter.
fn without_names(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "…" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// The example as a `curl` command.
fn curl(origin: &str, path: &str, method: &str, access: Access) -> String {
    let mut command = "curl -s".to_owned();
    if !matches!(method, "get" | "post") {
        let _ = write!(command, " -X {}", method.to_uppercase());
    }
    let _ = write!(command, " {origin}{}", without_names(path));
    match access {
        Access::SignedIn | Access::Token | Access::Admin | Access::Backend => {
            command.push_str(" \\\n  -H 'Authorization: Bearer …'");
        }
        Access::Browser if method == "get" => command.push_str(" \\\n  -b jar"),
        Access::Browser => {
            let _ = write!(command, " \\\n  -b jar -H 'Origin: {origin}'");
        }
        Access::ConfidentialClient => command.push_str(" \\\n  -u 'api:pmk_…'"),
        _ => {}
    }
    match body(path, method) {
        Some(json) if json.starts_with('{') => {
            let _ = write!(command, " \\\n  -H 'Content-Type: application/json' \\\n  -d '{json}'");
        }
        Some(form) => {
            for pair in form.split(' ') {
                let _ = write!(command, " \\\n  -d '{pair}'");
            }
        }
        None if method == "post" => command.push_str(" -X POST"),
        None => {}
    }
    command
}

fn body(path: &str, method: &str) -> Option<&'static str> {
    let wanted = format!("{method} {path}");
    BODIES.iter().find(|(operation, _)| *operation == wanted).map(|(_, body)| *body)
}

/// Maximum depth at which nested objects are described.
const DEPTH: u8 = 2;

/// A table of an object's members, then the tables of nested objects. A union gets one table per variant.
fn members(page: &mut String, document: &Value, schema: &Value, name: &str, depth: u8) {
    let schema = resolve(document, schema);
    let is_object = |one: &Value| resolve(document, one)["properties"].is_object();
    if let Some(variants) = schema["oneOf"].as_array().filter(|all| all.iter().any(is_object)) {
        for variant in variants {
            let kind = &variant["properties"]["kind"]["enum"][0];
            let title = if name.is_empty() { String::new() } else { format!("`{name}` ") };
            if let Some(kind) = kind.as_str() {
                let _ = write!(page, "{title}with `kind` `{kind}`: {}\n\n", text(&variant["description"]));
            } else if variant["$ref"].is_string() && variants.len() > 1 {
                let _ = write!(page, "{}\n\n", description(document, variant));
            }
            members(page, document, variant, name, depth);
        }
        return;
    }
    // An object with all members of another one in addition to its own.
    for part in schema["allOf"].as_array().into_iter().flatten() {
        members(page, document, part, name, depth);
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    if !name.is_empty() && !schema["properties"]["kind"]["enum"].is_array() {
        let _ = write!(page, "In `{name}`:\n\n");
    }
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    page.push_str("| member | type | |\n|---|---|---|\n");
    for (member, property) in properties {
        let optional = if required.contains(&member.as_str()) { "" } else { ", optional" };
        let description = cell(&description(document, property));
        let _ = writeln!(page, "| `{member}` | {}{optional} | {description} |", kind(document, property));
    }
    page.push('\n');
    if depth < DEPTH {
        for (member, property) in properties {
            let inner = if property["items"].is_object() { &property["items"] } else { property };
            let name = if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
            members(page, document, inner, &name, depth + 1);
        }
    }
}

/// The description of a member: from the member, beside its reference, or from its type.
fn description(document: &Value, property: &Value) -> String {
    let alternatives = property["oneOf"].as_array().into_iter().flatten();
    let said = std::iter::once(property).chain(alternatives).find_map(|one| one["description"].as_str());
    said.map_or_else(|| text(&resolve(document, property)["description"]), ToOwned::to_owned)
}

/// Follows a reference, also in a union with null.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let named = std::iter::once(schema).chain(alternatives).find_map(|one| one["$ref"].as_str());
    let is_union = schema["oneOf"].as_array().is_some_and(|all| all.iter().all(|one| one["type"] != "null"));
    match named.and_then(|name| name.rsplit('/').next()) {
        Some(name) if !is_union => &document["components"]["schemas"][name],
        _ => schema,
    }
}

/// The short name of a type.
fn kind(document: &Value, property: &Value) -> String {
    let schema = resolve(document, property);
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        return values.join(" or ");
    }
    if let Some(variants) = schema["oneOf"].as_array() {
        let values: Vec<String> =
            variants.iter().filter_map(|one| one["enum"][0].as_str()).map(|value| format!("`{value}`")).collect();
        return if values.is_empty() { "object".to_owned() } else { values.join(" or ") };
    }
    if schema["items"].is_object() {
        let items = kind(document, &schema["items"]);
        return if items.starts_with('`') { format!("list of {items}") } else { format!("list of {items}s") };
    }
    let one = schema["type"].as_str();
    let first =
        || schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str).find(|kind| *kind != "null");
    let name = one.or_else(first).unwrap_or("any");
    match (name, schema["format"].as_str()) {
        ("string", Some("date-time")) => "time (RFC 3339)".to_owned(),
        ("string", Some("uuid")) => "UUID".to_owned(),
        ("array", _) => "list".to_owned(),
        _ => name.to_owned(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A text as a table cell.
fn cell(words: &str) -> String {
    words.replace('\n', " ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::handlers::dto::{AuthenticationOptionsRequest, RegistrationOptionsRequest};

    #[test]
    fn every_operation_is_in_a_section_with_an_example() {
        let document = serde_json::to_value(openapi::document()).unwrap();
        let page = api("https://id.example");
        for (path, method, operation) in operations(&document) {
            assert!(page.contains(&format!("### `{} {path}`\n", method.to_uppercase())), "{method} {path}");
            assert_eq!(
                operation["requestBody"].is_object(),
                body(path, &method).is_some(),
                "{method} {path}: an example"
            );
        }
        assert!(
            page.contains("curl -s -X DELETE https://id.example/v1/passkeys/… \\\n  -H 'Authorization: Bearer …'\n")
        );
        assert!(page.contains("| `clientId` | string |"), "{page}");
    }

    #[test]
    fn the_examples_are_what_the_server_takes() {
        let example = |path| body(path, "post").unwrap();
        serde_json::from_str::<AuthenticationOptionsRequest>(example("/v1/passkeys/authentication/options")).unwrap();
        serde_json::from_str::<RegistrationOptionsRequest>(example("/v1/passkeys/registration/options")).unwrap();
    }
}
