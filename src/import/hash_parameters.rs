//! The parameters that all password hashes of a Firebase project share, above all its secret signer key.

use aws_lc_rs::digest;
use serde_json::{Value, json};

use super::bytes;
use crate::domain::secret::Secret;
use crate::domain::text::hex;

/// The parameters of Firebase's scrypt, as its console shows them.
#[derive(Clone, Debug)]
pub struct FirebaseParameters {
    signer_key: Secret<Vec<u8>>,
    salt_separator: Vec<u8>,
    /// scrypt's r.
    pub rounds: u64,
    /// scrypt's N, as a power of two.
    pub mem_cost: u64,
}

impl FirebaseParameters {
    /// Reads `hash_config { … }` as the console shows it, or the same members as JSON.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |name: &str| {
            format!("{name} is missing or wrong: copy the password hash parameters from the Firebase console")
        };
        let algorithm = value(text, "algorithm").ok_or_else(|| wrong("algorithm"))?;
        if algorithm != "SCRYPT" {
            return Err("only algorithm SCRYPT is known, which is Firebase's own".to_owned());
        }
        let binary = |name: &str| value(text, name).and_then(bytes::base64).ok_or_else(|| wrong(name));
        let number = |name: &str, most: u64| {
            let number = value(text, name).and_then(|text| text.parse::<u64>().ok());
            number.filter(|number| (1..=most).contains(number)).ok_or_else(|| wrong(name))
        };
        let signer_key = binary("base64_signer_key")?;
        if signer_key.is_empty() {
            return Err(wrong("base64_signer_key"));
        }
        Ok(Self {
            signer_key: Secret::new(signer_key),
            salt_separator: binary("base64_salt_separator")?,
            rounds: number("rounds", 32)?,
            mem_cost: number("mem_cost", 17)?,
        })
    }

    /// Their id in each hash: equal parameters have the same id, and it reveals nothing about them.
    pub fn id(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.text().expose().as_bytes());
        hex(&digest.as_ref()[..12])
    }

    /// The text to seal.
    pub fn text(&self) -> Secret<String> {
        let parameters: Value = json!({
            "algorithm": "firebase-scrypt",
            "signerKey": self.signer_key.expose(),
            "saltSeparator": self.salt_separator,
            "rounds": self.rounds,
            "memCost": self.mem_cost,
        });
        Secret::new(parameters.to_string())
    }
}

/// The value of a member: the text after its name and a colon, up to a comma, a quote or the end of the line.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.split_once(name)?.1.trim_start_matches(['"', ' ']).strip_prefix(':')?;
    let rest = rest.trim_start_matches([' ', '"']);
    let end = rest.find(|c: char| c == ',' || c == '"' || c == '}' || c.is_whitespace()).unwrap_or(rest.len());
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "hash_config {\n  algorithm: SCRYPT,\n  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,\n  base64_salt_separator: Bw==,\n  rounds: 8,\n  mem_cost: 14,\n}\n";

    #[test]
    fn as_the_console_shows_them_and_as_json() {
        let console = FirebaseParameters::parse(CONSOLE).unwrap();
        assert_eq!((console.rounds, console.mem_cost, console.salt_separator.as_slice()), (8, 14, &[7][..]));
        let json = r#"{"algorithm":"SCRYPT","base64_signer_key":"jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==","base64_salt_separator":"Bw==","rounds": 8,"mem_cost": 14}"#;
        assert_eq!(FirebaseParameters::parse(json).unwrap().id(), console.id());
        assert!(!format!("{console:?}").contains("signer_key: ["), "{console:?}");
        let other = FirebaseParameters::parse(&CONSOLE.replace("rounds: 8", "rounds: 9")).unwrap();
        assert_ne!(other.id(), console.id());
    }

    #[test]
    fn refusals_name_the_member() {
        for (from, to, names) in [
            ("SCRYPT", "BCRYPT", "algorithm"),
            ("algorithm", "x", "algorithm"),
            ("Bw==", "?", "base64_salt_separator"),
            ("rounds: 8", "rounds: -1", "rounds"),
            ("mem_cost: 14", "mem_cost: 40", "mem_cost"),
            ("base64_signer_key: j", "base64_signer_key: ,j", "base64_signer_key"),
        ] {
            let error = FirebaseParameters::parse(&CONSOLE.replace(from, to)).unwrap_err();
            assert!(error.contains(names), "{from}: {error}");
        }
    }
}
