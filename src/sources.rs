//! The crate's own source files, for tests of its rules: who may import whom, and who may call what.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every file under a folder of `src`: its path from there, and its text.
pub fn under(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root.join(folder), &mut paths);
    let named = |path: &PathBuf| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (named(path), fs::read_to_string(path).unwrap())).collect()
}

fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, out);
        } else if path.extension().is_some_and(|end| end == "rs") {
            out.push(path);
        }
    }
}

/// The modules of the crate that the files under a folder name.
fn imported_by(folder: &str) -> BTreeSet<String> {
    let modules = |text: &str| {
        let after = text.split("crate::").skip(1);
        let words = after.map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or(""));
        words.filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    under(folder).iter().flat_map(|(_, text)| modules(text)).collect()
}

#[test]
fn domain_and_storage_import_no_room_above_them() {
    let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(imported_by("domain"), set(&["clock", "domain", "random"]));
    // The last two are macros of its own.
    assert_eq!(imported_by("storage"), set(&["clock", "domain", "random", "batch_statement", "statement"]));
    for (folder, words) in [("domain", &["diesel::", "actix_web", "tokio::"][..]), ("storage", &["actix_web"])] {
        for (name, text) in under(folder) {
            assert!(!words.iter().any(|word| text.contains(word)), "{name} names one of {words:?}");
        }
    }
}
