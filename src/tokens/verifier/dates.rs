//! Dates in tokens (`NumericDate`, RFC 7519 §2): seconds since 1970.
//!
//! Ours are whole numbers. Others may contain fractions, which some libraries write by default. These are rounded down
//! once, before anything is judged, so that all later code finds whole numbers.

use serde_json::{Map, Value};

use super::Refusal;

/// 9999-12-31T23:59:59Z, the latest date that can be written.
pub(super) const MAX_DATE: i64 = 253_402_300_799;
/// The claims that are dates.
const DATES: [&str; 4] = ["exp", "iat", "nbf", "auth_time"];

/// Reads a date as a whole number of seconds. Strings, fractions, and negative or huge numbers are of the wrong type.
pub(super) fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_i64().filter(|at| (0..=MAX_DATE).contains(at)).map(Some).ok_or(Refusal::WrongClaimType),
    }
}

/// Rounds down the dates of a foreign token. A value that is not a date stays as it is.
pub(super) fn round_down(claims: &mut Map<String, Value>) {
    for name in DATES {
        if let Some(value) = claims.get_mut(name)
            && let Some(seconds) = whole(value)
        {
            *value = seconds.into();
        }
    }
}

/// The whole seconds of a number written with a fraction (even `.0`).
fn whole(value: &Value) -> Option<i64> {
    let seconds = value.as_f64().filter(|_| value.is_f64())?;
    format!("{:.0}", seconds.floor()).parse::<i64>().ok().filter(|at| (0..=MAX_DATE).contains(at))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fractions_are_rounded_down_and_nothing_else_becomes_a_date() {
        for (text, expected) in [
            ("1795422895", Some(1_795_422_895)),
            ("1795422895.0", Some(1_795_422_895)),
            ("1795422895.999999", Some(1_795_422_895)),
            ("1.795422895e9", Some(1_795_422_895)),
            ("0.5", Some(0)),
            ("0.0", Some(0)),
            ("253402300799.5", Some(MAX_DATE)),
            ("253402300800.0", None),
            ("18446744073709551616", None),
            ("1e308", None),
            ("-1e308", None),
            ("-0.5", None),
            ("-1", None),
            ("\"1795422895\"", None),
            ("true", None),
            ("null", None),
            ("[1795422895.5]", None),
        ] {
            for name in DATES {
                let value: Value = serde_json::from_str(text).unwrap();
                let mut claims = Map::from_iter([(name.to_owned(), value)]);
                round_down(&mut claims);
                let read = date(&claims, name);
                assert_eq!(read, expected.map(Some).ok_or(Refusal::WrongClaimType), "{name}: {text}");
                round_down(&mut claims);
                assert_eq!(date(&claims, name), read, "{name}: {text}, once is enough");
            }
        }
        let mut claims = Map::from_iter([("x".to_owned(), json!(1.5))]);
        round_down(&mut claims);
        assert_eq!(claims["x"], json!(1.5), "what is no date is nobody's business");
    }
}
