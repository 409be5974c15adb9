//! Related origins (WebAuthn Level 3 §5.11): web origins outside the RP id's domain that may use its passkeys.
//!
//! Invariant: browsers accept each of them. So they are https, outside the RP id, and no more than browsers read.

use std::collections::BTreeSet;

use super::origin::AppOrigin;
use super::problems::{Wrong, quoted};

/// How many labels browsers read in one document (§5.11.1: at least five; none reads more).
const MOST_LABELS: usize = 5;

/// Reads a related origin.
pub(super) fn read(text: &str) -> Result<AppOrigin, Wrong> {
    let origin = AppOrigin::read(text)?;
    if origin.as_str().starts_with("https://") {
        return Ok(origin);
    }
    Err(Wrong::new(
        format!("{} is no https address", quoted(text)),
        "leave it out: browsers relate websites to an RP id only",
    ))
}

/// Refuses more labels in one document than browsers read: they would ignore the last ones without any message.
pub(super) fn check_labels<'a>(together: impl Iterator<Item = &'a AppOrigin>) -> Result<(), Wrong> {
    let labels: BTreeSet<&str> = together.filter_map(AppOrigin::host).map(label).collect();
    if labels.len() <= MOST_LABELS {
        return Ok(());
    }
    let names = labels.into_iter().collect::<Vec<_>>().join(", ");
    let what = format!("names more than {MOST_LABELS} different domains beside the RP id: {names}");
    let cure = "leave some out, or give them relying parties of their own: browsers would not look at the rest";
    Err(Wrong::new(what, cure))
}

/// The label that browsers count: the first one of the registrable domain, such as `example` in `www.example.co.uk`.
/// Browsers use the public suffix list; here only common suffixes under country domains are known. Several domains
/// under another suffix count as one: it is better to refuse too little than what browsers accept.
fn label(host: &str) -> &str {
    const UNDER_COUNTRIES: [&str; 16] =
        ["ac", "co", "com", "edu", "gob", "gov", "go", "ltd", "me", "mil", "ne", "net", "nom", "or", "org", "plc"];
    let mut labels = host.rsplit('.');
    let (top, second, third) = (labels.next(), labels.next(), labels.next());
    match (top, second, third) {
        (Some(top), Some(second), Some(third)) if top.len() == 2 && UNDER_COUNTRIES.contains(&second) => third,
        (_, Some(second), _) => second,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_counted_as_browsers_do() {
        for (host, expected) in [
            ("example.com", "example"),
            ("www.example.com", "example"),
            ("example.co.uk", "example"),
            ("a.b.example.com.au", "example"),
            ("example.de", "example"),
            ("www.sap.de", "sap"),
            ("co.uk", "co"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(label(host), expected, "{host}");
        }
    }

    #[test]
    fn only_websites_are_related() {
        assert!(read("https://example.co.uk").is_ok());
        let android = format!("android:apk-key-hash:{}", "A".repeat(43));
        for bad in ["http://localhost:3000", &android, "https://example.co.uk/", "https://*.example.co.uk", ""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
