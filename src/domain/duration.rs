//! The text form of durations: a whole number and a unit.

use chrono::Duration;

/// How to write a duration, for error messages.
pub const FORM: &str = "write a whole number and a unit (ms, s, m, h, d), for example \"10m\"";

/// The text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a duration; {FORM}")]
pub struct NotADuration;

/// Reads `500ms`, `90s`, `10m`, `24h`, `30d`.
///
/// # Errors
/// [`NotADuration`] for anything else, and for values that chrono cannot represent.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    let (number, unit) = number_and_unit(text).ok_or(NotADuration)?;
    let unit_ms: i64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return Err(NotADuration),
    };
    let ms = i64::try_from(number).ok().and_then(|number| number.checked_mul(unit_ms));
    ms.and_then(Duration::try_milliseconds).ok_or(NotADuration)
}

/// The digits at the start of a text, and the rest.
pub fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("500ms", Duration::milliseconds(500)),
            ("90s", Duration::seconds(90)),
            ("10m", Duration::minutes(10)),
            ("24h", Duration::hours(24)),
            ("30d", Duration::days(30)),
            ("0s", Duration::zero()),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for bad in ["", "10", "m", "1.5h", "-1s", "+1s", "10 m", "10M", "1h30m", "9223372036854775807d", "٣s"] {
            assert_eq!(parse(bad), Err(NotADuration), "{bad:?}");
        }
    }
}
