//! Tests that keep the documentation correct: generated pages are up to date, links have targets, and the tests that
//! pages name exist.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag};

use super::markup::{is_elsewhere, resolve, slug};
use super::*;
use crate::config::{Config, DatabaseTls, Sources};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder whose names have this ending, relative to the root of the repository.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn pages() -> Vec<String> {
    let mut pages = files("docs", ".md");
    pages.extend(["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(ToOwned::to_owned));
    pages
}

fn links(markdown: &str) -> Vec<String> {
    Parser::new_ext(markdown, Options::ENABLE_TABLES)
        .filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.into_string()),
            _ => None,
        })
        .collect()
}

fn headings(markdown: &str) -> HashSet<String> {
    let mut code = false;
    let lines = markdown.lines().filter(|line| {
        code ^= line.trim_start().starts_with("```");
        !code && line.starts_with('#')
    });
    lines.map(|line| slug(&line.trim_start_matches('#').replace('`', ""))).collect()
}

#[test]
fn generated_pages_are_up_to_date() {
    for guide in GUIDES {
        if let Source::Code(render) = guide.source {
            let path = guide.path;
            let command = match path.strip_prefix("docs/bridges/").and_then(|file| file.strip_suffix(".md")) {
                Some("README") => "bridges".to_owned(),
                Some(page) => format!("bridges {page}"),
                None if guide.name == "audit-events" => "events".to_owned(),
                None => guide.name.to_owned(),
            };
            assert!(
                fs::read_to_string(root().join(path)).unwrap_or_default() == render(EXAMPLE_ORIGIN),
                "{path} is stale; run: passmint docs {command} > {path}"
            );
        }
    }
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut lost = Vec::new();
    for page in pages() {
        for link in links(&read(&page)).iter().filter(|link| !is_elsewhere(link)) {
            let (target, fragment) = resolve(link, &page);
            let heading = fragment.strip_prefix('#');
            let leads = root().join(&target).exists()
                && heading.is_none_or(|heading| headings(&read(&target)).contains(heading));
            if !leads {
                lost.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(lost.is_empty(), "links that lead nowhere:\n{}", lost.join("\n"));
}

#[test]
fn every_page_can_be_reached_from_the_map() {
    let mut reached = HashSet::from(["README.md".to_owned()]);
    let mut next = vec!["README.md".to_owned()];
    while let Some(page) = next.pop() {
        for link in links(&read(&page)).iter().filter(|link| !is_elsewhere(link)) {
            let (target, _) = resolve(link, &page);
            if target.ends_with(".md") && reached.insert(target.clone()) {
                next.push(target);
            }
        }
    }
    for page in files("docs", ".md") {
        assert!(reached.contains(&page), "no link leads to {page}");
    }
}

#[test]
fn every_page_for_users_is_served() {
    let served: HashSet<&str> = GUIDES.iter().map(|guide| guide.path).collect();
    let for_developers = |page: &str| page.starts_with("docs/development/") || page.starts_with("docs/decisions/");
    for page in files("docs", ".md").iter().filter(|page| !for_developers(page)) {
        assert!(served.contains(page.as_str()), "{page} has no line in GUIDES, src/site/docs.rs");
    }
}

/// The configuration blocks on one page together form one file, as a reader would write it.
#[test]
fn every_configuration_on_a_page_is_understood() {
    let mut tried = 0;
    for page in pages() {
        let text = read(&page);
        let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let file = blocks.collect::<Vec<_>>().join("\n");
        if file.is_empty() {
            continue;
        }
        let sources = Sources {
            file: Some((PathBuf::from(&page), file)),
            environment: Vec::new(),
            flags: Vec::new(),
            read_secret: &|path| Err(std::io::Error::other(path.display().to_string())),
            database_tls: DatabaseTls::of_this_build(),
        };
        if let Err(problems) = Config::load(sources) {
            panic!("{page}:\n{problems}");
        }
        tried += 1;
    }
    assert!(tried >= 5, "only {tried} pages have blocks: are they read right?");
}

#[test]
fn served_pages_link_to_served_pages_only() {
    let names: HashSet<String> = GUIDES.iter().map(address).collect();
    assert_eq!(names.len(), GUIDES.len(), "names are unique");
    for guide in GUIDES {
        let markup = rendered(guide, EXAMPLE_ORIGIN).body;
        assert!(!markup.contains(" style="), "{}: the policy of pages forbids inline styles", guide.path);
        for link in markup.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let (place, fragment) = link.split_once('#').unwrap_or((link, ""));
            assert!(is_elsewhere(link) || place.is_empty() || names.contains(place), "{}: {link}", guide.path);
            if !is_elsewhere(link) && !fragment.is_empty() {
                let target = GUIDES.iter().find(|other| address(other) == place).unwrap_or(guide);
                assert!(
                    rendered(target, EXAMPLE_ORIGIN).body.contains(&format!("id=\"{fragment}\"")),
                    "{}: {link}",
                    guide.path
                );
            }
        }
    }
}

/// A test is named `file::function`, where `file` is the end of its path without `.rs`.
#[test]
fn every_test_that_a_page_names_exists() {
    let mut sources = files("src", ".rs");
    sources.extend(files("tests", ".rs"));
    let sources: Vec<(String, String)> = sources
        .into_iter()
        .map(|path| (format!("/{}", path.trim_end_matches(".rs").trim_end_matches("/mod")), read(&path)))
        .collect();
    let exists = |name: &str| {
        let (file, function) = name.split_once("::")?;
        let mut files = sources.iter().filter(|(path, _)| path.ends_with(&format!("/{file}")));
        files.find(|(_, text)| is_test(text, function))
    };
    let (mut named, mut missing) = (0, Vec::new());
    let mut pages = files("docs/development/checks", ".md");
    pages.extend(
        ["docs/reference/seed-table.md", "docs/reference/specs.md", "docs/threat-model.md", "README.md"]
            .map(Into::into),
    );
    for page in &pages {
        for name in read(page).split('`').skip(1).step_by(2).filter(|code| is_test_name(code)) {
            named += 1;
            if exists(name).is_none() {
                missing.push(format!("{page}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "tests that are named and do not exist:\n{}", missing.join("\n"));
    assert!(named > 100, "only {named} tests are named: are the pages read right?");
}

fn is_test_name(code: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    code.split_once("::").is_some_and(|(file, function)| file.split('/').all(word) && word(function))
}

fn is_test(text: &str, function: &str) -> bool {
    let Some(at) = text.find(&format!("fn {function}(")) else { return false };
    // The attribute stands above the function, other attributes and comments between.
    let above = text[..at].rsplit("\n\n").next().unwrap_or_default();
    above.contains("#[test]")
        || above.contains("::test]")
        || above.contains("::test(")
        || text[..at].contains("proptest! {")
}
