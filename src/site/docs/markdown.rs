//! Markdown to markup: headings get the ids that code hosts give them, relative links are led elsewhere.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// Renders a text of ours without its first heading: the page has its own.
///
/// `path` is the text's file in the repository; `serve` gives the address of another file's page, if it has one. A
/// relative link to anything else keeps its words and loses its target.
pub(super) fn to_markup(markdown: &str, path: &str, serve: &dyn Fn(&str) -> Option<String>) -> String {
    let body = markdown.strip_prefix("# ").and_then(|rest| rest.split_once('\n')).map_or(markdown, |(_, body)| body);
    let mut events: Vec<Event<'_>> = Parser::new_ext(body, Options::ENABLE_TABLES).collect();
    name_headings(&mut events);
    let mut kept = Vec::new();
    let events = events.into_iter().filter_map(|event| match event {
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = lead(&dest_url, path, serve);
            kept.push(dest_url.is_some());
            dest_url.map(|url| Event::Start(Tag::Link { link_type, dest_url: url.into(), title, id }))
        }
        Event::End(TagEnd::Link) => kept.pop().unwrap_or(true).then_some(Event::End(TagEnd::Link)),
        other => Some(other),
    });
    let mut out = String::with_capacity(body.len() * 3 / 2);
    html::push_html(&mut out, events);
    out
}

fn name_headings(events: &mut [Event<'_>]) {
    for at in 0..events.len() {
        if !matches!(events[at], Event::Start(Tag::Heading { .. })) {
            continue;
        }
        let name = slug(&words_after(&events[at + 1..]));
        if let Event::Start(Tag::Heading { id, .. }) = &mut events[at] {
            *id = Some(CowStr::from(name));
        }
    }
}

/// The words of a heading whose start was just read.
fn words_after(events: &[Event<'_>]) -> String {
    let inside = events.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    inside
        .filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
            _ => None,
        })
        .collect()
}

/// The id that code hosts give a heading: lower case, letters, digits, `-` and `_`, with `-` for each space.
pub(super) fn slug(heading: &str) -> String {
    let lower = heading.trim().to_lowercase();
    let kept = lower.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Where a link leads when its page is served; none when there is no such place.
fn lead(link: &str, path: &str, serve: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    if is_elsewhere(link) || link.starts_with('#') {
        return Some(link.to_owned());
    }
    let (target, fragment) = resolve(link, path);
    serve(&target).map(|address| format!("{address}{fragment}"))
}

/// Whether a link leaves the repository.
pub(super) fn is_elsewhere(link: &str) -> bool {
    link.starts_with("https://") || link.starts_with("http://") || link.starts_with("mailto:")
}

/// A relative link in the file `path`: the file it names, from the repository's root, and its fragment with the `#`.
pub(super) fn resolve(link: &str, path: &str) -> (String, String) {
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
