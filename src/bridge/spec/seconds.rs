//! Durations: written as whole seconds, and also read in the configuration's form (`"10m"`).

use chrono::Duration;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

use crate::domain::duration;

#[derive(Deserialize)]
#[serde(untagged, expecting = "seconds, or text with a unit such as \"10m\"")]
enum Written {
    Seconds(i64),
    Text(String),
}

#[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.num_seconds()).serialize(to)
}

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    match Option::<Written>::deserialize(from)? {
        None => Ok(None),
        // A number beyond any duration would panic in chrono: it is out of every range anyway.
        Some(Written::Seconds(seconds)) => Ok(Some(Duration::seconds(seconds.clamp(-1, 1_000_000_000)))),
        Some(Written::Text(text)) => {
            duration::parse(&text).map(Some).map_err(|wrong| Error::custom(format!("{text:?} {wrong}")))
        }
    }
}
