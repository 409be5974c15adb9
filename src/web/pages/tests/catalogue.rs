//! Checks the catalogue, the module and the sprite against their uses.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::attributes;
use super::samples::pages;
use crate::web::pages::messages;

fn room() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/pages")
}

fn files(folder: &Path, extension: &str) -> Vec<(String, String)> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// Removes everything between two marks, marks included.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        out.push_str(before);
        rest = after.split_once(close).map_or("", |(_, after)| after);
    }
    out + rest
}

/// The text in a template itself: text nodes, and attributes that screen readers announce.
fn words_outside_the_catalogue(template: &str) -> Vec<String> {
    let mut bare = template.to_owned();
    // The shape of the page is a class, given as a block.
    for (open, close) in
        [("{% block shape %}", "{% endblock %}"), ("<script", "</script>"), ("{#", "#}"), ("{{", "}}"), ("{%", "%}")]
    {
        bare = without(&bare, open, close);
    }
    let mut said: Vec<String> = ["aria-label", "title", "placeholder", "alt"]
        .iter()
        .flat_map(|name| attributes(&bare, name))
        .map(str::to_owned)
        .collect();
    said.extend(without(&bare, "<", ">").split_whitespace().map(str::to_owned));
    said.into_iter().filter(|word| word.chars().any(char::is_alphabetic)).collect()
}

#[test]
fn templates_have_no_words_of_their_own() {
    assert_eq!(words_outside_the_catalogue(r#"<p aria-label="a {{ b }}">{{ t.x }} Hello</p>"#), ["a ", "Hello"]);
    for (path, template) in files(&room().join("templates"), "html") {
        let words = words_outside_the_catalogue(&template);
        assert!(words.is_empty(), "{path} says {words:?} by itself");
        assert!(!template.contains("|safe"), "{path}: nothing is marked safe in a template");
    }
}

#[test]
fn the_modules_have_no_words_of_their_own() {
    for module in [include_str!("../assets/passkey.js"), include_str!("../assets/action.js")] {
        says_nothing(module);
    }
}

fn says_nothing(module: &str) {
    let code: String = module
        .lines()
        .filter(|line| !line.trim_start().starts_with("//") && !line.trim_start().starts_with("/**"))
        .map(|line| line.split("; // ").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n");
    for (n, literal) in code.split('"').enumerate().filter(|(n, _)| n % 2 == 1) {
        let words = literal.split(' ').filter(|word| word.len() > 1 && word.chars().all(char::is_alphabetic)).count();
        let classes = ["problem fault", "btn btn-small"].contains(&literal);
        assert!(words < 2 || classes, "literal {n} speaks: {literal:?}");
        assert!(!literal.contains('\n'), "the scan lost its place near {literal:?}");
    }
    for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", ".style"] {
        assert!(!module.contains(sink), "{sink} is blocked by the content security policy");
    }
}

#[test]
fn every_text_is_used() {
    let mut sources: String = files(&room().join("templates"), "html").into_iter().map(|(_, text)| text).collect();
    sources.extend(
        files(&room(), "rs")
            .into_iter()
            .filter(|(path, _)| !path.ends_with("english.rs") && !path.contains("/tests/"))
            .map(|(_, text)| text),
    );
    let used = |key: &str| {
        sources
            .match_indices(&format!(".{key}"))
            .any(|(at, found)| !sources[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let unused: Vec<_> = messages::ENGLISH.texts.entries().into_iter().filter(|(key, ..)| !used(key)).collect();
    assert!(unused.is_empty(), "nothing uses these texts: {unused:#?}");
    let module = include_str!("../assets/passkey.js");
    for key in serde_json::to_value(&messages::ENGLISH.texts.module).unwrap().as_object().unwrap().keys() {
        let row = key.strip_suffix("Title").or_else(|| key.strip_suffix("Text")).unwrap_or(key);
        let used = [format!("w.{key}"), format!("\"{row}\""), format!(" {row}: [")];
        assert!(used.iter().any(|use_| module.contains(use_)), "the module never says {key}");
    }
}

#[test]
fn every_icon_is_in_the_sprite() {
    let sprite = include_str!("../assets/icons.svg");
    let there: HashSet<_> = attributes(sprite, "id").into_iter().collect();
    let mut wanted = HashSet::new();
    let pages = pages();
    for (_, html) in &pages {
        wanted.extend(
            attributes(html, "href").into_iter().filter_map(|href| href.split_once(".svg#")).map(|(_, icon)| icon),
        );
    }
    assert_eq!(wanted, there, "icons that pages show, icons that the sprite has");
}
