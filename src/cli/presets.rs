//! `passmint bridges presets`: the targets with presets, and how well each preset is verified.

use serde_json::{Value, json};

use super::{Outcome, print};
use crate::bridge::PresetKind;

/// Prints all presets.
pub fn list(as_json: bool) -> Outcome {
    if as_json {
        return print::json(&PresetKind::ALL.iter().copied().map(document).collect::<Vec<_>>());
    }
    let row = |kind: PresetKind| {
        let about = kind.about();
        [kind.as_str(), about.title, about.verified.as_str(), about.verified.with()].map(ToOwned::to_owned).to_vec()
    };
    print::table(
        &["PRESET", "TARGET", "VERIFIED", "WITH"],
        &PresetKind::ALL.iter().copied().map(row).collect::<Vec<_>>(),
    );
    Ok(())
}

fn document(kind: PresetKind) -> Value {
    let about = kind.about();
    json!({
        "preset": kind.as_str(), "target": about.title, "summary": about.summary, "verified": about.verified.as_str(),
        "with": about.verified.with(), "page": format!("docs/bridges/{}.md", about.page), "keyLagSeconds": about.key_lag * 60,
    })
}
