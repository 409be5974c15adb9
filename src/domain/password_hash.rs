//! Password hashes imported from other systems, each in one text form.
//!
//! Invariants: a stored hash can be verified later with bounded work, because its parameters are checked here; fast
//! hashes (plain MD5, SHA) are never accepted. The forms:
//!
//! | form | made by |
//! |---|---|
//! | `$2a$`, `$2b$`, `$2y$` and so on | bcrypt, modular crypt |
//! | `$argon2id$v=19$m=…,t=…,p=…$salt$hash` (also `argon2i`, `argon2d`, and `v=16`) | Argon2, PHC |
//! | `$scrypt$ln=…,r=…,p=…$salt$hash` | scrypt, PHC |
//! | `$pbkdf2-sha512$i=…$salt$hash` (also `-sha256`, and `$pbkdf2$` for SHA-1; `,l=…` after `i` if it states the hash's length) | PBKDF2, PHC |
//! | `$fbscrypt$ln=…,r=…,ks=…$salt$hash` | Firebase: scrypt, then AES-CTR over the project's signer key, which `ks` names |
//! | `$bascrypt$salt$key` | better-auth: scrypt N=16384, r=16, p=1; the salt is the hexadecimal text itself |
//!
//! Salt and hash in PHC forms are base64 without padding. To add a form: its arm in [`PasswordHash::parse`] and a row
//! in the tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::secret::Secret;

/// Why a hash is refused. Reveals nothing about the hash itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashProblem {
    /// Not one of the forms.
    #[error("is none of the known forms of a password hash")]
    UnknownForm,
    /// One of the forms, but malformed.
    #[error("is a broken {0} hash")]
    Broken(&'static str),
    /// Verifying it would take too long or too much memory.
    #[error("asks for more work than is allowed ({0})")]
    TooCostly(&'static str),
}

/// A password hash of one of the forms.
#[derive(Clone, Debug)]
pub struct PasswordHash {
    text: Secret<String>,
    parameters: Option<String>,
    weak: bool,
}

/// The longest hash, in bytes.
const LONGEST: usize = 1024;

impl PasswordHash {
    /// Reads a hash.
    pub fn parse(text: &str) -> Result<Self, HashProblem> {
        if text.len() > LONGEST {
            return Err(HashProblem::UnknownForm);
        }
        let fields: Vec<&str> = text.split('$').collect();
        let ["", form, rest @ ..] = fields.as_slice() else { return Err(HashProblem::UnknownForm) };
        let mut parameters = None;
        let weak = match (*form, rest) {
            ("2a" | "2b" | "2y", [cost, hash]) => bcrypt(cost, hash)?,
            ("argon2id" | "argon2i" | "argon2d", ["v=19" | "v=16", work, salt, hash]) => argon2(work, salt, hash)?,
            ("scrypt", [work, salt, hash]) => scrypt(work, salt, hash)?,
            ("pbkdf2-sha512" | "pbkdf2-sha256" | "pbkdf2", [work, salt, hash]) => pbkdf2(work, salt, hash)?,
            ("fbscrypt", [work, salt, hash]) => {
                let (weak, key) = fbscrypt(work, salt, hash)?;
                parameters = Some(key);
                weak
            }
            ("bascrypt", [salt, key]) => bascrypt(salt, key)?,
            _ => return Err(HashProblem::UnknownForm),
        };
        Ok(Self { text: Secret::new(text.to_owned()), parameters, weak })
    }

    /// The stored text.
    pub const fn expose(&self) -> &String {
        self.text.expose()
    }

    /// The id of the project-wide parameters that verifying it requires, if any.
    pub fn parameters(&self) -> Option<&str> {
        self.parameters.as_deref()
    }

    /// Whether guessing it is far cheaper than advised today (OWASP Password Storage Cheat Sheet).
    pub const fn is_weak(&self) -> bool {
        self.weak
    }
}

/// Base64 as in PHC strings.
pub fn phc_base64(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

fn bcrypt(cost: &str, hash: &str) -> Result<bool, HashProblem> {
    let broken = HashProblem::Broken("bcrypt");
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/';
    if cost.len() != 2 || hash.len() != 53 || !hash.bytes().all(alphabet) {
        return Err(broken);
    }
    match number(cost).ok_or(broken)? {
        0..4 => Err(broken),
        cost @ 4..=15 => Ok(cost < 10),
        _ => Err(HashProblem::TooCostly("a bcrypt cost above 15")),
    }
}

fn argon2(work: &str, salt: &str, hash: &str) -> Result<bool, HashProblem> {
    let broken = HashProblem::Broken("Argon2");
    let [memory, passes, lanes] = numbers(work, ["m", "t", "p"]).ok_or(broken)?;
    salted(salt, hash).ok_or(broken)?;
    if memory < 8 || passes < 1 || lanes < 1 {
        return Err(broken);
    }
    if memory > 1 << 18 || passes > 16 || lanes > 16 {
        return Err(HashProblem::TooCostly("Argon2 with more than 256 MiB, 16 passes or 16 lanes"));
    }
    Ok(memory * passes < 15_000)
}

fn scrypt(work: &str, salt: &str, hash: &str) -> Result<bool, HashProblem> {
    let broken = HashProblem::Broken("scrypt");
    let [log_n, r, p] = numbers(work, ["ln", "r", "p"]).ok_or(broken)?;
    salted(salt, hash).ok_or(broken)?;
    memory_hard((log_n, r, p), broken)
}

/// N up to 2^17, and no more than 256 MiB.
fn memory_hard((log_n, r, p): (u64, u64, u64), broken: HashProblem) -> Result<bool, HashProblem> {
    if log_n < 1 || r < 1 || p < 1 {
        return Err(broken);
    }
    if log_n > 17 || r > 32 || p > 16 || (128 * r) << log_n > 256 << 20 {
        return Err(HashProblem::TooCostly("scrypt with N above 2^17 or more than 256 MiB"));
    }
    Ok(log_n < 14)
}

fn pbkdf2(work: &str, salt: &str, hash: &str) -> Result<bool, HashProblem> {
    let broken = HashProblem::Broken("PBKDF2");
    // Auth0's hashes state the length here; it follows from the hash anyway.
    let (work, length) = work.split_once(",l=").map_or((work, None), |(work, length)| (work, Some(length)));
    let [rounds] = numbers(work, ["i"]).ok_or(broken)?;
    let hash_length = salted(salt, hash).ok_or(broken)?;
    if length.is_some_and(|length| number(length) != Some(hash_length)) {
        return Err(broken);
    }
    match rounds {
        0 => Err(broken),
        1..=10_000_000 => Ok(rounds < 100_000),
        _ => Err(HashProblem::TooCostly("PBKDF2 with more than 10,000,000 rounds")),
    }
}

fn fbscrypt(work: &str, salt: &str, hash: &str) -> Result<(bool, String), HashProblem> {
    let broken = HashProblem::Broken("Firebase scrypt");
    let (numeric, key) = work.rsplit_once(",ks=").ok_or(broken)?;
    let [log_n, r] = numbers(numeric, ["ln", "r"]).ok_or(broken)?;
    let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !(1..=64).contains(&key.len()) || !key.bytes().all(named) {
        return Err(broken);
    }
    salted(salt, hash).ok_or(broken)?;
    Ok((memory_hard((log_n, r, 1), broken)?, key.to_owned()))
}

fn bascrypt(salt: &str, key: &str) -> Result<bool, HashProblem> {
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex(salt, 32) && hex(key, 128) { Ok(false) } else { Err(HashProblem::Broken("better-auth scrypt")) }
}

/// Reads `a=1,b=2` with exactly these names in this order.
fn numbers<const N: usize>(text: &str, names: [&str; N]) -> Option<[u64; N]> {
    let mut parts = text.split(',');
    let mut read = [0; N];
    for (slot, name) in read.iter_mut().zip(names) {
        *slot = number(parts.next()?.strip_prefix(name)?.strip_prefix('=')?)?;
    }
    parts.next().is_none().then_some(read)
}

/// Reads digits only, because `parse` would accept a sign.
fn number(text: &str) -> Option<u64> {
    let digits = (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Checks a salt of at most 256 bytes and a hash of 16 to 128 bytes. Returns the hash's length.
fn salted(salt: &str, hash: &str) -> Option<u64> {
    let (salt, hash) = (STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?);
    (salt.len() <= 256 && (16..=128).contains(&hash.len())).then_some(hash.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &str = "c29tZXNhbHRzb21lc2FsdA";
    const HASH: &str = "RdescudvJCsgt3ub+b4dWRWJTmaaJObG4p9QzB8GAdk";
    const BCRYPT: &str = "EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW";

    #[test]
    fn every_known_form() {
        for (text, weak) in [
            (format!("$2b$10${BCRYPT}"), false),
            (format!("$2y$04${BCRYPT}"), true),
            (format!("$argon2id$v=19$m=19456,t=2,p=1${SALT}${HASH}"), false),
            (format!("$argon2i$v=19$m=512,t=3,p=1${SALT}${HASH}"), true),
            (format!("$scrypt$ln=14,r=8,p=1${SALT}${HASH}"), false),
            (format!("$pbkdf2-sha512$i=210000${SALT}${HASH}"), false),
            (format!("$pbkdf2-sha256$i=27500${SALT}${HASH}"), true),
            (format!("$pbkdf2-sha256$i=100000,l=32${SALT}${HASH}"), false),
            (format!("$pbkdf2$i=20000,l=32${SALT}${HASH}"), true),
            (format!("$pbkdf2$i=20000${SALT}${HASH}"), true),
            (format!("$bascrypt${}${}", "0a".repeat(16), "1f".repeat(64)), false),
        ] {
            let hash = PasswordHash::parse(&text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
            assert_eq!((hash.expose().as_str(), hash.is_weak(), hash.parameters()), (text.as_str(), weak, None));
            assert!(!format!("{hash:?}").contains(HASH), "it does not print itself");
        }
        let firebase = PasswordHash::parse(&format!("$fbscrypt$ln=14,r=8,ks=abc-1${SALT}${HASH}")).unwrap();
        assert_eq!(firebase.parameters(), Some("abc-1"));
    }

    #[test]
    fn refusals_by_name() {
        use HashProblem::{Broken, TooCostly, UnknownForm};
        let with = |start: &str| format!("{start}${SALT}${HASH}");
        let no_n = "scrypt with N above 2^17 or more than 256 MiB";
        for (text, problem) in [
            (String::new(), UnknownForm),
            ("5f4dcc3b5aa765d61d8327deb882cf99".into(), UnknownForm),
            (format!("$2x$10${BCRYPT}"), UnknownForm),
            (format!("$1$salt${HASH}"), UnknownForm),
            (format!("$2b$10${BCRYPT}x"), Broken("bcrypt")),
            (format!("$2b$+9${BCRYPT}"), Broken("bcrypt")),
            (format!("$2b$03${BCRYPT}"), Broken("bcrypt")),
            (format!("$2b$16${BCRYPT}"), TooCostly("a bcrypt cost above 15")),
            (with("$scrypt$ln=18,r=8,p=1"), TooCostly(no_n)),
            (with("$scrypt$ln=17,r=32,p=1"), TooCostly(no_n)),
            (with("$scrypt$ln=14,r=8"), Broken("scrypt")),
            (with("$scrypt$r=8,ln=14,p=1"), Broken("scrypt")),
            (with("$scrypt$ln=14,r=8,p=1,x=1"), Broken("scrypt")),
            (with("$pbkdf2-sha512$i=10000001"), TooCostly("PBKDF2 with more than 10,000,000 rounds")),
            (with("$pbkdf2-sha512$i=99999999999999999999"), Broken("PBKDF2")),
            (with("$pbkdf2-sha512$i=0"), Broken("PBKDF2")),
            (with("$pbkdf2-sha256$i=100000,l=64"), Broken("PBKDF2")),
            (with("$pbkdf2-sha256$i=100000,l="), Broken("PBKDF2")),
            (with("$pbkdf2-sha256$l=32,i=100000"), Broken("PBKDF2")),
            (with("$pbkdf2-sha256$i=100000,l=32,l=32"), Broken("PBKDF2")),
            (with("$pbkdf2-sha256$i=100000,l=32,x=1"), Broken("PBKDF2")),
            (with("$pbkdf2-sha256$i=10000001,l=32"), TooCostly("PBKDF2 with more than 10,000,000 rounds")),
            (
                with("$argon2id$v=19$m=4194304,t=1,p=1"),
                TooCostly("Argon2 with more than 256 MiB, 16 passes or 16 lanes"),
            ),
            (with("$fbscrypt$ln=14,r=8"), Broken("Firebase scrypt")),
            (with("$fbscrypt$ln=14,r=8,ks="), Broken("Firebase scrypt")),
            ("$scrypt$ln=14,r=8,p=1$c2FsdA==$c2FsdA".into(), Broken("scrypt")),
            ("$bascrypt$zz$ff".into(), Broken("better-auth scrypt")),
            (format!("$2b$10${}", "x".repeat(2000)), UnknownForm),
        ] {
            assert_eq!(PasswordHash::parse(&text).err(), Some(problem), "{text}");
        }
    }
}
