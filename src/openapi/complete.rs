//! Completes whole groups of operations, so that handlers need not repeat it: operation ids, who may call, and the form
//! of errors.
//!
//! Invariant: the document is valid OpenAPI 3.1, in which every operation id is unique and every response is described.

use serde_json::{Map, Value, json};

use crate::routes::{Access, ROUTES};

/// Completes every operation of a document.
pub(super) fn complete(document: &mut Value) {
    for (path, operations) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            complete_one(path, method, operation);
        }
    }
    let Some(components) = document["components"].as_object_mut() else { return };
    components.insert("securitySchemes".to_owned(), schemes());
    components.insert("responses".to_owned(), errors());
}

fn complete_one(path: &str, method: &str, operation: &mut Value) {
    operation["operationId"] = id(method, path).into();
    // Paths of the administration listener are not among the routes, and have no authentication.
    let route = ROUTES.iter().find(|route| route.path == path && route.method.eq_ignore_ascii_case(method));
    if let Some(security) = route.and_then(|route| security(route.access)) {
        operation["security"] = security;
    }
    let has_key = operation["parameters"].as_array().is_some_and(|all| all.iter().any(is_idempotency_key));
    if let Some(responses) = operation["responses"].as_object_mut() {
        for (status, codes) in common_refusals(path, route.map(|route| route.access), has_key) {
            responses.entry(status).or_insert_with(|| json!({ "description": codes }));
        }
        describe(responses);
        let form = if path.starts_with("/oauth/") { "OAuthError" } else { "Problem" };
        responses.insert("default".to_owned(), json!({ "$ref": format!("#/components/responses/{form}") }));
    }
}

/// The operation id: `get` and `/v1/me/sessions/{id}` become `getV1MeSessionsId`.
fn id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |id, word| {
        let (first, rest) = word.split_at(1);
        id + &first.to_ascii_uppercase() + rest
    })
}

/// Who may call: any one of the named schemes.
fn security(access: Access) -> Option<Value> {
    match access {
        Access::SignedIn => Some(json!([{ "session": [] }, { "accessToken": [] }])),
        Access::Browser | Access::OwnPage => Some(json!([{ "session": [] }])),
        Access::Token | Access::Admin | Access::Backend => Some(json!([{ "accessToken": [] }])),
        // A client may also authenticate in the body, and a public one only names itself.
        Access::Client | Access::ConfidentialClient => Some(json!([{ "client": [] }, {}])),
        Access::Public | Access::Page => None,
    }
}

fn is_idempotency_key(parameter: &Value) -> bool {
    parameter["name"] == "Idempotency-Key"
}

/// The refusals that an operation shares with all others of its kind: status and error codes.
fn common_refusals(path: &str, access: Option<Access>, has_key: bool) -> Vec<(&'static str, &'static str)> {
    let is_admin = access == Some(Access::Admin);
    let unauthenticated = match access {
        Some(Access::Browser) => Some("`not_signed_in`"),
        Some(Access::SignedIn | Access::Token | Access::Backend | Access::Admin) => {
            Some("`not_signed_in`, `invalid_token`")
        }
        _ => None,
    };
    let all = [
        ("401", unauthenticated),
        ("403", is_admin.then_some("`insufficient_scope`, `forbidden`")),
        ("404", (is_admin && path.contains('{')).then_some("`not_found`")),
        ("422", has_key.then_some("`idempotency_key_reused`")),
    ];
    all.into_iter().filter_map(|(status, codes)| Some((status, codes?))).collect()
}

/// Describes each response that its handler leaves without a description.
fn describe(responses: &mut Map<String, Value>) {
    for (status, response) in responses {
        let Some(response) = response.as_object_mut() else { continue };
        let said = response.get("description").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        if !said && !response.contains_key("$ref") {
            let words = match status.as_str() {
                "201" => "Created.",
                "204" => "Done. The response has no body.",
                status if status.starts_with('3') => "Redirects to `Location`.",
                _ => "Success.",
            };
            response.insert("description".to_owned(), words.into());
        }
    }
}

fn schemes() -> Value {
    json!({
        "accessToken": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "An access token from `/oauth/token`. Send a key-bound token as `Authorization: DPoP …` with a proof of the key (RFC 9449).",
        },
        "session": {
            "type": "apiKey", "in": "cookie", "name": "__Host-passmint",
            "description": "The browser session of the built-in pages. On http://localhost the cookie is named `passmint-dev-` followed by the port.",
        },
        "client": {
            "type": "http", "scheme": "basic",
            "description": "The id and secret of a client. A client registered for it sends `client_secret` or `client_assertion` in the body instead.",
        },
    })
}

fn errors() -> Value {
    let text = |words: &str| json!({ "type": "string", "description": words });
    let problem = json!({
        "type": "object",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": text("`urn:passmint:problem:` and the code."),
            "title": text("A short summary of the code."),
            "status": { "type": "integer", "description": "The HTTP status code." },
            "code": text("Stable error code, for programs."),
            "detail": text("What is wrong, and what to do about it."),
            "reason": text("Distinguishes causes that share a code."),
            "errors": {
                "type": "array", "description": "With `invalid_field`: every value that was refused.",
                "items": {
                    "type": "object", "required": ["field", "what", "cure"],
                    "properties": { "field": text("The field."), "what": text("What is wrong."), "cure": text("What to do.") },
                },
            },
            "managedBy": text("The configuration file to change instead, with `managed_by_configuration`."),
        },
    });
    let oauth = json!({
        "type": "object",
        "required": ["error", "error_description"],
        "properties": { "error": text("RFC 6749 §5.2 and its extensions."), "error_description": text("What is wrong, and what to do about it.") },
    });
    json!({
        "Problem": { "description": "The request was refused or failed.", "content": { "application/problem+json": { "schema": problem } } },
        "OAuthError": { "description": "The request was refused or failed.", "content": { "application/json": { "schema": oauth } } },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn operations(document: &Value) -> Vec<&Value> {
        let paths = document["paths"].as_object().unwrap().values();
        paths.flat_map(|path| path.as_object().unwrap().values()).collect()
    }

    #[test]
    fn operations_have_ids_of_their_own_and_responses_a_description() {
        let document: Value = serde_json::from_str(super::super::json()).unwrap();
        let operations = operations(&document);
        let ids: BTreeSet<&str> = operations.iter().map(|one| one["operationId"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), operations.len());
        assert!(ids.contains("getV1MeSessions"), "{ids:?}");
        for operation in operations {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_told = response["description"].as_str().is_some_and(|text| !text.is_empty());
                assert!(is_told || response["$ref"].is_string(), "{} {status}", operation["operationId"]);
            }
            assert!(operation["responses"]["default"].is_object(), "{}", operation["operationId"]);
        }
    }

    #[test]
    fn an_operation_tells_the_refusals_of_its_kind() {
        let document: Value = serde_json::from_str(super::super::json()).unwrap();
        let told = |method: &str, path: &str, status: &str| {
            document["paths"][path][method]["responses"][status]["description"].as_str().map(ToOwned::to_owned)
        };
        for (method, path, status, codes) in [
            ("get", "/v1/admin/clients", "401", Some("`not_signed_in`, `invalid_token`")),
            ("get", "/v1/admin/clients", "403", Some("`insufficient_scope`, `forbidden`")),
            ("get", "/v1/admin/clients", "404", None),
            ("put", "/v1/admin/clients/{id}", "404", Some("`not_found`")),
            ("post", "/v1/admin/groups", "422", Some("`idempotency_key_reused`")),
            ("put", "/v1/admin/clients/{id}", "422", None),
            ("get", "/v1/me/sessions", "401", Some("`not_signed_in`")),
            ("get", "/v1/admin/clients", "200", Some("Success.")),
        ] {
            assert_eq!(told(method, path, status).as_deref(), codes, "{method} {path} {status}");
        }
    }

    #[test]
    fn whatever_is_referred_to_is_there() {
        fn walk<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str));
                    members.values().for_each(|value| walk(value, found));
                }
                Value::Array(elements) => elements.iter().for_each(|value| walk(value, found)),
                _ => {}
            }
        }
        let document: Value = serde_json::from_str(super::super::json()).unwrap();
        let mut found = Vec::new();
        walk(&document, &mut found);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        for operation in operations(&document) {
            for scheme in
                operation["security"].as_array().into_iter().flatten().flat_map(|one| one.as_object().unwrap().keys())
            {
                assert!(document["components"]["securitySchemes"][scheme].is_object(), "{scheme}");
            }
        }
    }
}
