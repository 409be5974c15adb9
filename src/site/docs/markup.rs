//! Markdown of our own to markup: headings can be linked to, links stay inside the documentation that is carried along.
//!
//! The text is compiled in; nothing that a visitor sent comes here.

use std::collections::HashSet;

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use crate::web::pages::docs::DocLink;

/// A page's body and its sections (the headings of the second level).
pub struct Rendered {
    /// Markup, without the first heading: the page has its own.
    pub body: String,
    /// Where its sections are.
    pub contents: Vec<DocLink>,
}

/// Renders a page.
pub fn render(markdown: &str) -> Rendered {
    let body = markdown.strip_prefix("# ").and_then(|rest| rest.split_once('\n')).map_or(markdown, |(_, body)| body);
    let mut events: Vec<Event<'_>> = Parser::new_ext(body, Options::ENABLE_TABLES).collect();
    let (mut contents, mut used) = (Vec::new(), HashSet::new());
    for at in 0..events.len() {
        match &events[at] {
            Event::Start(Tag::Heading { level, .. }) => {
                let (level, title) = (*level as usize, text_of(&events[at + 1..]));
                let mut id = slug(&title);
                while !used.insert(id.clone()) {
                    id.push('-');
                }
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
            Event::Start(Tag::Link { dest_url, .. }) => {
                let target = destination(dest_url);
                if let Event::Start(Tag::Link { dest_url, .. }) = &mut events[at] {
                    *dest_url = target;
                }
            }
            _ => {}
        }
    }
    let mut out = String::with_capacity(body.len() * 2);
    html::push_html(&mut out, events.into_iter());
    Rendered { body: out, contents }
}

/// The text up to the heading's end.
fn text_of(events: &[Event<'_>]) -> String {
    let inside = events.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    inside
        .filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
            _ => None,
        })
        .collect()
}

/// Lower case, words joined by hyphens: what stays the same in an address when the words around it change.
fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// A heading that is an operation (`GET /path`), with its method as a badge.
fn operation(title: &str) -> Option<String> {
    let (method, path) = title.split_once(' ').filter(|(_, path)| path.starts_with('/'))?;
    let class = method.to_ascii_lowercase();
    Some(format!(r#"<span class="method method-{class}">{method}</span> <code>{path}</code>"#))
}

/// Links between the files of `docs/`, as links between these pages.
fn destination<'a>(link: &CowStr<'a>) -> CowStr<'a> {
    if link.contains("://") || link.starts_with(['/', '#']) {
        return link.clone();
    }
    let (file, fragment) =
        link.split_once('#').map_or((link.as_ref(), String::new()), |(file, rest)| (file, format!("#{rest}")));
    let name = file.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
    format!("/docs/{name}{fragment}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_and_links_lead_somewhere() {
        let page = render(
            "# Title\n\nSee [this](../examples/passmint.toml), [that](errors.md#a-b), [out](https://a.example/b.md).\n\n\
             ## `GET /v1/a`\n\n## The *same*\n\n## The same\n",
        );
        for wanted in [
            r#"<a href="/docs/passmint">"#,
            r#"<a href="/docs/errors#a-b">"#,
            r#"<a href="https://a.example/b.md">"#,
            r#"<h2 id="get-v1-a"><span class="method method-get">GET</span> <code>/v1/a</code></h2>"#,
            r#"<h2 id="the-same-">"#,
        ] {
            assert!(page.body.contains(wanted), "{wanted}: {}", page.body);
        }
        assert!(!page.body.contains("Title"));
        assert_eq!(
            page.contents.iter().map(|link| link.href.as_str()).collect::<Vec<_>>(),
            ["#get-v1-a", "#the-same", "#the-same-"]
        );
    }
}
