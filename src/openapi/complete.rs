//! What holds for whole groups of operations, and so is not repeated at each handler: its id, who may call it, and the form of
//! its errors.
//!
//! What must always hold: the document keeps to OpenAPI 3.1, where every operation id is unique and every response described.

use serde_json::{Map, Value, json};

use crate::routes::{Access, ROUTES};

/// Adds it to every operation of a document.
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
    // The paths of the administration listener are not among the routes; there is nobody to be.
    let route = ROUTES.iter().find(|route| route.path == path && route.method.eq_ignore_ascii_case(method));
    if let Some(security) = route.and_then(|route| security(route.access)) {
        operation["security"] = security;
    }
    if let Some(responses) = operation["responses"].as_object_mut() {
        describe(responses);
        let form = if path.starts_with("/oauth/") { "OAuthError" } else { "Problem" };
        responses.insert("default".to_owned(), json!({ "$ref": format!("#/components/responses/{form}") }));
    }
}

/// `get` and `/v1/me/sessions/{id}` are `getV1MeSessionsId`.
fn id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |id, word| {
        let (first, rest) = word.split_at(1);
        id + &first.to_ascii_uppercase() + rest
    })
}

/// Who may call: any one of the schemes that are named.
fn security(access: Access) -> Option<Value> {
    match access {
        Access::SignedIn => Some(json!([{ "session": [] }, { "accessToken": [] }])),
        Access::Browser | Access::OwnPage => Some(json!([{ "session": [] }])),
        Access::Token | Access::Admin | Access::Backend => Some(json!([{ "accessToken": [] }])),
        // A client may also authenticate in the body, and a public one only says who it is.
        Access::Client | Access::ConfidentialClient => Some(json!([{ "client": [] }, {}])),
        Access::Public | Access::Page => None,
    }
}

/// A description for each response that its handler says nothing of.
fn describe(responses: &mut Map<String, Value>) {
    for (status, response) in responses {
        let Some(response) = response.as_object_mut() else { continue };
        let said = response.get("description").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        if !said && !response.contains_key("$ref") {
            let words = match status.as_str() {
                "201" => "Made.",
                "204" => "Done; there is nothing more to say.",
                status if status.starts_with('3') => "Goes on at `Location`.",
                _ => "Done.",
            };
            response.insert("description".to_owned(), words.into());
        }
    }
}

fn schemes() -> Value {
    json!({
        "accessToken": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "An access token of `/oauth/token`. One that is bound to a key comes as `Authorization: DPoP …` with a proof of the key (RFC 9449).",
        },
        "session": {
            "type": "apiKey", "in": "cookie", "name": "__Host-passmint",
            "description": "The session of a browser, for our own pages alone. On http://localhost the cookie is named `passmint-dev-` and the port.",
        },
        "client": {
            "type": "http", "scheme": "basic",
            "description": "The id and the secret of a client. `client_secret` or `client_assertion` in the body will do as well, as the client is registered.",
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
            "title": text("The code in a few words."),
            "status": { "type": "integer", "description": "The status." },
            "code": text("The stable name of the error."),
            "detail": text("What is wrong here, and what to do."),
            "reason": text("Tells causes of one code apart."),
            "errors": {
                "type": "array", "description": "Each value that was refused, with `invalid_field`.",
                "items": {
                    "type": "object", "required": ["field", "what", "cure"],
                    "properties": { "field": text("Where."), "what": text("What is wrong."), "cure": text("What to do.") },
                },
            },
            "managedBy": text("The configuration file to change instead, with `managed_by_configuration`."),
        },
    });
    let oauth = json!({
        "type": "object",
        "required": ["error", "error_description"],
        "properties": { "error": text("RFC 6749 §5.2 and its extensions."), "error_description": text("What is wrong here, and what to do.") },
    });
    json!({
        "Problem": { "description": "Refused, or failed.", "content": { "application/problem+json": { "schema": problem } } },
        "OAuthError": { "description": "Refused, or failed.", "content": { "application/json": { "schema": oauth } } },
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
