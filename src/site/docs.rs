//! The documentation that the server carries with it, offline: the API from the handlers, errors and settings from their
//! tables, the guides from `docs/`.

mod api;
mod markup;

use std::fmt::Write as _;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

pub use self::api::api;
use super::Site;
use crate::config;
use crate::web::error::{Failure, Kind};
use crate::web::pages::Boot;
use crate::web::pages::docs::{DocLink, DocPage, OwnMarkup};

/// One page: its name in the address, its title, where its Markdown comes from (given our origin).
struct Guide {
    name: &'static str,
    title: &'static str,
    markdown: fn(&str) -> String,
}

const GUIDES: &[Guide] = &[
    Guide { name: "api", title: "REST API", markdown: api },
    Guide { name: "errors", title: "Errors", markdown: |_| errors() },
    Guide { name: "configuration", title: "Configuration", markdown: |_| config::docs::render() },
    Guide { name: "passmint", title: "Example", markdown: |_| example() },
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
    let rendered = markup::render(&(guide.markdown)(&site.public_url));
    let view = DocPage {
        frame: site.frame(request, None, Boot::default()),
        title: guide.title.to_owned(),
        body: OwnMarkup::new(rendered.body),
        contents: rendered.contents,
        nav: nav.collect(),
    };
    Site::page(&view, &view.frame.nonce.clone(), StatusCode::OK)
}

/// The errors, from their table.
pub fn errors() -> String {
    let mut page = "# Errors\n\nOutside `/oauth/` an error is `application/problem+json` (RFC 9457) with a stable `code`; at `/oauth/` it is in the \
        form of RFC 6749 §5.2. Every answer carries `X-Request-Id`; quote it when you ask for help.\n\n\
        | `code` | status | at `/oauth/` | meaning |\n|---|---|---|---|\n"
        .to_owned();
    for kind in Kind::ALL {
        let _ = writeln!(
            page,
            "| `{}` | {} | `{}` | {} |",
            kind.code(),
            kind.status().as_u16(),
            kind.oauth_code(),
            kind.title()
        );
    }
    page
}

/// The configuration file that shows most settings at once.
fn example() -> String {
    let file = include_str!("../../docs/examples/passmint.toml");
    format!(
        "# Example\n\nA whole `passmint.toml`; every setting is explained under [configuration](configuration.md).\n\n```toml\n{file}```\n"
    )
}
