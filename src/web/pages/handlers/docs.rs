//! The documentation that the server carries with it, offline: the API from the handlers, errors and settings from their
//! tables, the guides from `docs/`.

use std::fmt::Write as _;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use pulldown_cmark::{Options, Parser, html};

use super::Site;
use crate::web::error::{Failure, Kind};
use crate::web::pages::Boot;
use crate::web::pages::docs::{DocLink, DocPage, OwnMarkup};
use crate::{config, openapi};

/// One page: its name in the address, its title, where its Markdown comes from.
struct Guide {
    name: &'static str,
    title: &'static str,
    markdown: fn() -> String,
}

const GUIDES: &[Guide] = &[
    Guide { name: "api", title: "REST API", markdown: api },
    Guide { name: "errors", title: "Errors", markdown: errors },
    Guide { name: "configuration", title: "Configuration", markdown: config::docs::render },
];

/// The first page.
pub async fn index(request: HttpRequest, site: web::Data<Site>) -> HttpResponse {
    let result = render(&request, &site, GUIDES[0].name);
    site.answer(&request, result)
}

/// One page.
pub async fn page(request: HttpRequest, site: web::Data<Site>, name: web::Path<String>) -> HttpResponse {
    let result = render(&request, &site, &name);
    site.answer(&request, result)
}

fn render(request: &HttpRequest, site: &Site, name: &str) -> Result<HttpResponse, Failure> {
    let guide = GUIDES
        .iter()
        .find(|guide| guide.name == name)
        .ok_or_else(|| Failure::new(Kind::NotFound, "There is no such page."))?;
    let nav = GUIDES.iter().map(|other| DocLink {
        href: format!("/docs/{}", other.name),
        title: other.title.to_owned(),
        current: other.name == name,
    });
    let view = DocPage {
        frame: site.frame(request, None, Boot::default()),
        title: guide.title.to_owned(),
        body: OwnMarkup::new(markup(&(guide.markdown)())),
        nav: nav.collect(),
    };
    Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
}

/// Markdown to markup, without the first heading: the page has its own. The text is ours, compiled in.
fn markup(markdown: &str) -> String {
    let body = markdown.strip_prefix("# ").and_then(|rest| rest.split_once('\n')).map_or(markdown, |(_, body)| body);
    let mut out = String::with_capacity(body.len() * 3 / 2);
    html::push_html(&mut out, Parser::new_ext(body, Options::ENABLE_TABLES));
    out
}

/// The errors, from their table.
pub fn errors() -> String {
    let mut page = "# Errors\n\nOutside `/oauth/` an error is `application/problem+json` (RFC 9457) with a stable `code`; at `/oauth/` it is in the \
        form of RFC 6749 §5.2. Every answer carries `X-Request-Id`; quote it when you ask for help.\n\n\
        | status | `code` | at `/oauth/` | meaning |\n|---|---|---|---|\n"
        .to_owned();
    for kind in Kind::ALL {
        let _ = writeln!(
            page,
            "| {} | `{}` | `{}` | {} |",
            kind.status().as_u16(),
            kind.code(),
            kind.oauth_code(),
            kind.title()
        );
    }
    page
}

/// The API, from the OpenAPI document.
pub fn api() -> String {
    let document = serde_json::to_value(openapi::document()).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut page = format!(
        "# REST API\n\n{}\n\nThe machine-readable form is [`/openapi.json`](/openapi.json).\n",
        text(&document["info"]["description"])
    );
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    for (path, operations) in &paths {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            let _ = write!(page, "\n## `{} {path}`\n\n{}\n", method.to_uppercase(), text(&operation["summary"]));
            let more = text(&operation["description"]);
            if !more.is_empty() && more != text(&operation["summary"]) {
                let _ = write!(page, "\n{more}\n");
            }
            if let Some(schema) =
                operation["requestBody"]["content"].as_object().and_then(|content| content.values().next())
            {
                let _ = write!(page, "\nTakes:\n\n{}", fields(&document, &schema["schema"]));
                let _ = writeln!(page, "{}", text(&operation["requestBody"]["description"]));
            }
            for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                let _ = write!(page, "\n**{status}** {}\n\n", text(&response["description"]));
                page.push_str(&fields(&document, &response["content"]["application/json"]["schema"]));
            }
        }
    }
    page
}

/// A table of an object's members, or of each variant's.
fn fields(document: &serde_json::Value, schema: &serde_json::Value) -> String {
    let schema = resolve(document, schema);
    if let Some(variants) = schema["oneOf"].as_array() {
        return variants.iter().map(|variant| fields(document, variant)).collect();
    }
    let Some(properties) = schema["properties"].as_object() else { return String::new() };
    let mut table = "| member | type | |\n|---|---|---|\n".to_owned();
    for (name, property) in properties {
        let words = property["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        let _ = writeln!(table, "| `{name}` | {} | {words} |", kind(property));
    }
    table.push('\n');
    table
}

fn resolve<'a>(document: &'a serde_json::Value, schema: &'a serde_json::Value) -> &'a serde_json::Value {
    let named = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next());
    named.map_or(schema, |name| &document["components"]["schemas"][name])
}

fn kind(property: &serde_json::Value) -> String {
    let named = property["$ref"].as_str().and_then(|name| name.rsplit('/').next()).map(ToOwned::to_owned);
    named.or_else(|| property["type"].as_str().map(ToOwned::to_owned)).unwrap_or_else(|| "any".to_owned())
}
