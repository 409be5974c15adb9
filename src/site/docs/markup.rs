//! Renders our own Markdown as HTML. Headings can be linked to, and links stay inside the built-in documentation.
//!
//! The text is compiled in. Nothing that a visitor sent is rendered here.

use std::collections::HashSet;

use pulldown_cmark::{Alignment, Event, Options, Parser, Tag, TagEnd, html};

use crate::web::pages::docs::DocLink;

/// A page's body and its sections (the second-level headings).
pub struct Rendered {
    /// The HTML without the first heading, which the page template prints.
    pub body: String,
    /// Links to its sections.
    pub contents: Vec<DocLink>,
}

/// Renders a page.
///
/// `path` is the text's file in the repository; `serve` returns the address of another file's page, if it has one. A
/// relative link to anything else keeps its text and loses its target.
pub fn render(markdown: &str, path: &str, serve: &dyn Fn(&str) -> Option<String>) -> Rendered {
    let body = markdown.strip_prefix("# ").and_then(|rest| rest.split_once('\n')).map_or(markdown, |(_, body)| body);
    let mut events: Vec<Event<'_>> = Parser::new_ext(body, Options::ENABLE_TABLES).collect();
    let (mut contents, mut used) = (Vec::new(), HashSet::new());
    for at in 0..events.len() {
        let Event::Start(Tag::Heading { level, .. }) = &events[at] else { continue };
        let (level, title) = (*level as usize, text_of(&events[at + 1..]));
        let id = unused(slug(&title), &mut used);
        if level == 2 {
            contents.push(DocLink { href: format!("#{id}"), title: title.clone(), current: false });
        }
        if let Event::Start(Tag::Heading { id: name, .. }) = &mut events[at] {
            *name = Some(id.into());
        }
        if let Some(operation) = operation(&title) {
            events[at + 1] = Event::InlineHtml(operation.into());
        }
    }
    let mut out = String::with_capacity(body.len() * 2);
    html::push_html(&mut out, led(events, path, serve));
    Rendered { body: out, contents }
}

/// The text up to the end of the heading.
fn text_of(events: &[Event<'_>]) -> String {
    let inside = events.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    inside
        .filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
            _ => None,
        })
        .collect()
}

/// The ID of a heading, as code hosts generate it: lower case; letters, digits, `-` and `_`; a `-` for each space.
pub fn slug(heading: &str) -> String {
    let lower = heading.trim().to_lowercase();
    let kept = lower.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The ID, with a number appended if an earlier heading has the same.
fn unused(id: String, used: &mut HashSet<String>) -> String {
    let numbered = (0..).map(|n| if n == 0 { id.clone() } else { format!("{id}-{n}") });
    let free = numbered.into_iter().find(|id| !used.contains(id)).unwrap_or_default();
    used.insert(free.clone());
    free
}

/// A heading that names an operation (`GET /path`), with the method as a badge.
fn operation(title: &str) -> Option<String> {
    let (method, path) = title.split_once(' ').filter(|(_, path)| path.starts_with('/'))?;
    let class = method.to_ascii_lowercase();
    Some(format!(r#"<span class="method method-{class}">{method}</span> <code>{path}</code>"#))
}

/// The events, with links changed to where pages are served.
fn led<'a>(
    events: Vec<Event<'a>>,
    path: &str,
    serve: &dyn Fn(&str) -> Option<String>,
) -> impl Iterator<Item = Event<'a>> {
    let mut kept = Vec::new();
    events.into_iter().filter_map(move |event| match event {
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let target = destination(&dest_url, path, serve);
            kept.push(target.is_some());
            target.map(|url| Event::Start(Tag::Link { link_type, dest_url: url.into(), title, id }))
        }
        // An aligned column would become an inline style, which the content security policy forbids.
        Event::Start(Tag::Table(columns)) => Some(Event::Start(Tag::Table(vec![Alignment::None; columns.len()]))),
        Event::End(TagEnd::Link) => kept.pop().unwrap_or(true).then_some(Event::End(TagEnd::Link)),
        other => Some(other),
    })
}

/// The served address of a link; `None` if its target is not served.
fn destination(link: &str, path: &str, serve: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    if is_elsewhere(link) || link.starts_with('#') {
        return Some(link.to_owned());
    }
    let (target, fragment) = resolve(link, path);
    serve(&target).map(|address| format!("{address}{fragment}"))
}

/// Whether a link leaves the repository.
pub fn is_elsewhere(link: &str) -> bool {
    link.contains("://") || link.starts_with("mailto:")
}

/// Resolves a relative link in the file `path`: returns the target file, from the root of the repository, and the
/// fragment with its `#`.
pub fn resolve(link: &str, path: &str) -> (String, String) {
    let (file, fragment) = link.find('#').map_or((link, ""), |at| link.split_at(at));
    if file.is_empty() {
        return (path.to_owned(), fragment.to_owned());
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    (parts.join("/"), fragment.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_where_pages_are_served() {
        let serve = |path: &str| (path == "docs/flows/sign-in.md").then(|| "/docs/sign-in".to_owned());
        for (name, text, expected) in [
            ("a page", "[x](../flows/sign-in.md)", "<p><a href=\"/docs/sign-in\">x</a></p>\n"),
            ("a section of it", "[x](../flows/sign-in.md#files)", "<p><a href=\"/docs/sign-in#files\">x</a></p>\n"),
            ("a section here", "[x](#files)", "<p><a href=\"#files\">x</a></p>\n"),
            ("a source", "[`x`](../../src/lib.rs) y", "<p><code>x</code> y</p>\n"),
            ("elsewhere", "[x](https://a.example/b.md)", "<p><a href=\"https://a.example/b.md\">x</a></p>\n"),
        ] {
            assert_eq!(render(text, "docs/operations/deploy.md", &serve).body, expected, "{name}");
        }
    }

    #[test]
    fn sections_are_named_as_code_hosts_name_them() {
        let text = "# Title\n\n## `GET /v1/a_b`\n\n## The *same*?\n\n## The same\n";
        let page = render(text, "docs/a.md", &|_| None);
        for wanted in [
            r#"<h2 id="get-v1a_b"><span class="method method-get">GET</span> <code>/v1/a_b</code></h2>"#,
            r#"<h2 id="the-same-1">"#,
        ] {
            assert!(page.body.contains(wanted), "{wanted}: {}", page.body);
        }
        assert!(!page.body.contains("Title"));
        let contents: Vec<&str> = page.contents.iter().map(|link| link.href.as_str()).collect();
        assert_eq!(contents, ["#get-v1a_b", "#the-same", "#the-same-1"]);
    }
}
