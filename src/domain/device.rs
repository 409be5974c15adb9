//! Devices that cannot show a sign-in page (RFC 8628): their codes, the result of a poll, and how often codes may be
//! guessed.
//!
//! **How often a code may be guessed.** A code of *n* letters is one of 20ⁿ. If all guessers together enter *g* wrong
//! codes while it lives, the odds of a hit are at most *g* / 20ⁿ. That is kept under 2⁻³² (RFC 8628 §5.1): five guesses
//! for codes of eight letters, 2384 for codes of ten. Mistyping alone soon uses up five guesses, and an attacker who
//! uses them up must not block everybody else's devices. So codes have eight letters while few wrong ones are entered,
//! and ten when there are more; a wrong code counts only against codes of its own length. In addition, each session and
//! each network may enter five wrong codes in ten minutes.

use chrono::Duration;

use crate::clock::Time;

/// Consonants without Y: they spell no words, and few of them look alike.
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Wrong codes that one session, and one network, may enter within [`life`].
const OWN_GUESSES: i64 = 5;
/// The initial interval between two polls, in seconds (RFC 8628 §3.2).
pub const INTERVAL: i32 = 5;
/// Seconds that each early poll adds to the interval (RFC 8628 §3.5).
const SLOWER: i32 = 5;
/// How early a poll may arrive: a poll sent on time may be delivered faster than the one before it.
const JITTER: Duration = Duration::seconds(1);

/// How long a code lives, and how long a wrong one is counted.
pub const fn life() -> Duration {
    Duration::minutes(10)
}

/// The length of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Eight letters, the usual length.
    Short,
    /// Ten letters, while many wrong codes are entered.
    Long,
}

impl Length {
    /// The number of letters.
    pub const fn letters(self) -> u8 {
        match self {
            Self::Short => 8,
            Self::Long => 10,
        }
    }

    /// How many wrong codes of this length may be entered in total while a code lives, so that the odds stay under
    /// 2⁻³².
    pub const fn guesses(self) -> u64 {
        20_u64.pow(self.letters() as u32) >> 32
    }

    /// The length of a new code after `wrong_short` wrong short codes were entered recently.
    pub fn of_new_code(wrong_short: i64) -> Self {
        let few = u64::try_from(wrong_short).is_ok_and(|wrong| wrong * 2 < Self::Short.guesses());
        if few { Self::Short } else { Self::Long }
    }
}

/// A code for people, in its stored form: capital letters without a hyphen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    /// Makes a code from random bytes; `None` if too few of them are usable, which practically never happens with 64
    /// bytes.
    pub fn from_random(length: Length, random: &[u8]) -> Option<Self> {
        // 240 is the largest multiple of 20 in a byte, so all letters are equally likely.
        let letters =
            random.iter().filter(|byte| **byte < 240).map(|byte| char::from(ALPHABET[usize::from(byte % 20)]));
        let code: String = letters.take(usize::from(length.letters())).collect();
        (code.len() == usize::from(length.letters())).then_some(Self(code))
    }

    /// Reads what a person typed: any case, any grouping; look-alike characters are read as the letter they resemble.
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > 64 {
            return None;
        }
        let meant = typed
            .chars()
            .filter(|sign| !sign.is_whitespace() && !matches!(sign, '-' | '‐' | '‑' | '–' | '—' | '.' | '_'));
        let code = meant.map(letter).collect::<Option<String>>()?;
        [Length::Short, Length::Long]
            .iter()
            .any(|length| code.len() == usize::from(length.letters()))
            .then_some(Self(code))
    }

    /// The stored form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its length.
    pub const fn length(&self) -> Length {
        if self.0.len() == 8 { Length::Short } else { Length::Long }
    }
}

impl std::fmt::Display for UserCode {
    /// The form for people, in two groups.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, second) = self.0.split_at(self.0.len() / 2);
        write!(f, "{first}-{second}")
    }
}

/// The letter that a typed character stands for.
fn letter(sign: char) -> Option<char> {
    let meant = match sign.to_ascii_uppercase() {
        '0' | 'O' => 'Q',
        '1' | 'I' => 'L',
        '2' => 'Z',
        '5' => 'S',
        '6' => 'G',
        '8' => 'B',
        'U' => 'V',
        other => other,
    };
    u8::try_from(meant).is_ok_and(|byte| ALPHABET.contains(&byte)).then_some(meant)
}

/// Wrong codes entered within [`life`]. Only the last number is for one length.
#[derive(Clone, Copy, Debug, Default)]
pub struct WrongCodes {
    /// In this session.
    pub in_session: i64,
    /// From this network.
    pub from_network: i64,
    /// By everyone, for codes as long as the one being tried.
    pub of_length: i64,
}

/// Why no code may be tried now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// The session or the network entered too many wrong codes.
    Own,
    /// Too many wrong codes of this length were entered in total. A new code is needed, which is longer.
    Everybody,
}

impl WrongCodes {
    /// Whether one more code may be tried.
    pub fn may_try(&self, length: Length) -> Result<(), Halt> {
        if self.in_session >= OWN_GUESSES || self.from_network >= OWN_GUESSES {
            return Err(Halt::Own);
        }
        let spent = u64::try_from(self.of_length).unwrap_or(u64::MAX);
        if spent >= length.guesses() { Err(Halt::Everybody) } else { Ok(()) }
    }
}

/// A person's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The person allowed the device.
    Allowed,
    /// The person denied the device.
    Denied,
}

impl Answer {
    /// The stored form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Allowed, Self::Denied].into_iter().find(|answer| answer.as_str() == text)
    }
}

/// A waiting device, as far as the result of a poll depends on it.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The client that its code was issued to.
    pub client: String,
    /// The person's answer, once there is one.
    pub answer: Option<Answer>,
    /// Whether tokens were issued for it.
    pub used: bool,
    /// When its code expires.
    pub expires_at: Time,
    /// The current interval between polls, in seconds.
    pub interval: i32,
    /// When it last polled.
    pub last_polled_at: Option<Time>,
}

/// The result of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a poll changes what the next one gets"]
pub enum Poll {
    /// Tokens, if everything that they depend on is still valid.
    Granted,
    /// Nobody has answered yet.
    Pending,
    /// It polled too soon; from now on the interval is this many seconds.
    TooSoon(i32),
    /// The person denied it.
    Denied,
    /// The code has expired.
    Expired,
    /// The code belongs to another client.
    OtherClient,
    /// Tokens were already issued.
    Used,
}

impl Waiting {
    /// Decides the result of a poll. Another client learns nothing, not even that the code exists.
    pub fn poll(&self, client: &str, now: Time) -> Poll {
        if self.client != client {
            return Poll::OtherClient;
        }
        if self.used {
            return Poll::Used;
        }
        if self.answer == Some(Answer::Denied) {
            return Poll::Denied;
        }
        if now >= self.expires_at {
            return Poll::Expired;
        }
        if self.answer == Some(Answer::Allowed) {
            return Poll::Granted;
        }
        match self.last_polled_at {
            Some(last) if now - last + JITTER < Duration::seconds(self.interval.into()) => {
                Poll::TooSoon(self.interval.saturating_add(SLOWER))
            }
            _ => Poll::Pending,
        }
    }
}

/// Whether a device may have a scope. Never one for administration: anyone who talks a person into entering a code
/// would get it (RFC 8628 §5.4).
pub fn may_have(scope: &str) -> bool {
    scope != "admin" && !scope.starts_with("admin:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odds_of_guessing_stay_under_two_to_the_minus_32() {
        for (length, guesses) in [(Length::Short, 5), (Length::Long, 2384)] {
            assert_eq!(length.guesses(), guesses);
            let codes = 20_u128.pow(length.letters().into());
            assert!(u128::from(guesses) << 32 < codes, "{guesses} guesses at {codes} codes");
            assert!(u128::from(guesses + 1) << 32 > codes, "no stricter than needed");
        }
        for (wrong, length) in [(0, Length::Short), (2, Length::Short), (3, Length::Long), (5000, Length::Long)] {
            assert_eq!(Length::of_new_code(wrong), length, "after {wrong}");
        }
    }

    #[test]
    fn wrong_codes_stop_their_guesser_and_everybody_at_that_length() {
        let counts = |in_session, from_network, of_length| WrongCodes { in_session, from_network, of_length };
        for (counts, length, outcome) in [
            (counts(0, 0, 0), Length::Short, Ok(())),
            (counts(4, 4, 4), Length::Short, Ok(())),
            (counts(5, 0, 0), Length::Short, Err(Halt::Own)),
            (counts(0, 5, 0), Length::Long, Err(Halt::Own)),
            (counts(0, 0, 5), Length::Short, Err(Halt::Everybody)),
            (counts(0, 0, 2383), Length::Long, Ok(())),
            (counts(0, 0, 2384), Length::Long, Err(Halt::Everybody)),
        ] {
            assert_eq!(counts.may_try(length), outcome, "{counts:?} {length:?}");
        }
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        for (typed, code) in [
            ("BCDFGHJK", Some("BCDF-GHJK")),
            (" bcdf ghjk ", Some("BCDF-GHJK")),
            ("B-C-D-F–G.H_J‑K", Some("BCDF-GHJK")),
            ("8CDF-6HJK", Some("BCDF-GHJK")),
            ("0125-68uo", Some("QLZS-GBVQ")),
            ("BCDFG-HJKLM", Some("BCDFG-HJKLM")),
            ("BCDFGHJ", None),
            ("BCDFGHJKL", None),
            ("BCDFGHJE", None),
            ("BCDFGHJЌ", None),
            ("", None),
        ] {
            assert_eq!(UserCode::parse(typed).map(|code| code.to_string()).as_deref(), code, "{typed:?}");
        }
        assert_eq!(UserCode::parse(&"-".repeat(65)), None);
    }

    #[test]
    fn random_codes_use_every_letter_alike() {
        let all: Vec<u8> = (0..=255).collect();
        let code = UserCode::from_random(Length::Long, &all).unwrap();
        assert_eq!((code.as_str(), code.length()), ("BCDFGHJKLM", Length::Long));
        let high = [250; 64];
        assert_eq!(
            UserCode::from_random(Length::Short, &high),
            None,
            "bytes that would favour some letters are skipped"
        );
        let mut counts = [0; 20];
        for byte in (0..240).map(|n: u8| n % 20) {
            counts[usize::from(byte)] += 1;
        }
        assert_eq!(counts, [12; 20]);
    }

    #[test]
    fn polls_by_name() {
        let at = |seconds| Time::UNIX_EPOCH + Duration::seconds(seconds);
        let new = Waiting {
            client: "tv".into(),
            answer: None,
            used: false,
            expires_at: at(600),
            interval: 5,
            last_polled_at: None,
        };
        let polled = Waiting { last_polled_at: Some(at(10)), ..new.clone() };
        let slowed = Waiting { interval: 10, ..polled.clone() };
        let allowed = Waiting { answer: Some(Answer::Allowed), ..polled.clone() };
        let denied = Waiting { answer: Some(Answer::Denied), ..polled.clone() };
        let used = Waiting { used: true, ..allowed.clone() };
        for (name, waiting, client, now, outcome) in [
            ("the first", &new, "tv", 0, Poll::Pending),
            ("after the interval", &polled, "tv", 15, Poll::Pending),
            ("in time, by a hair", &polled, "tv", 14, Poll::Pending),
            ("too soon", &polled, "tv", 13, Poll::TooSoon(10)),
            ("too soon again", &slowed, "tv", 18, Poll::TooSoon(15)),
            ("after the longer interval", &slowed, "tv", 20, Poll::Pending),
            ("allowed", &allowed, "tv", 20, Poll::Granted),
            ("allowed, however soon", &allowed, "tv", 11, Poll::Granted),
            ("allowed, at its last moment", &allowed, "tv", 599, Poll::Granted),
            ("allowed, at its end", &allowed, "tv", 600, Poll::Expired),
            ("waiting at its end", &polled, "tv", 600, Poll::Expired),
            ("denied", &denied, "tv", 20, Poll::Denied),
            ("denied and over", &denied, "tv", 700, Poll::Denied),
            ("used", &used, "tv", 20, Poll::Used),
            ("another client's", &allowed, "web", 20, Poll::OtherClient),
            ("another client's, denied", &denied, "web", 20, Poll::OtherClient),
        ] {
            assert_eq!(waiting.poll(client, at(now)), outcome, "{name}");
        }
    }

    #[test]
    fn what_administers_is_not_for_devices() {
        for (scope, may) in [("openid", true), ("administer", true), ("admin", false), ("admin:clients", false)] {
            assert_eq!(may_have(scope), may, "{scope}");
        }
    }
}
