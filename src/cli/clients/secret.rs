//! `passmint clients secret`.

use chrono::Duration;
use serde_json::json;

use super::{editable, witness};
use crate::admin::clients::rotate_secret::LONGEST_OVERLAP;
use crate::cli::Outcome;
use crate::cli::desk::Refusal;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::domain::client::ClientKind;
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::domain::text;
use crate::storage::clients;

/// Makes a secret, stores nothing. Needs neither configuration nor database.
pub fn print_one(as_json: bool) -> Outcome {
    show(&PlainToken::random(TokenKind::ClientSecret), as_json)?;
    if !as_json {
        print::line(
            "write the digest into the configuration (clients.<client_id>.secret_digest), and give the secret to the client: it is not shown again",
        );
    }
    Ok(())
}

/// Makes a secret for a client and stores its digest. The old one stays good for `keep_old`.
pub fn store(settings: &Settings, id: &str, keep_old: Duration, as_json: bool) -> Outcome {
    if keep_old > Duration::seconds(LONGEST_OVERLAP) {
        return Err(format!("--keep-old is too long: choose at most {}d", LONGEST_OVERLAP / 86_400));
    }
    let desk = settings.desk()?;
    let secret = PlainToken::random(TokenKind::ClientSecret);
    let old_until = (keep_old > Duration::zero()).then(|| desk.now + keep_old);
    desk.write_locked(|conn| {
        let client = editable(conn, id)?;
        if client.client.definition.kind == ClientKind::Public {
            return Err(Refusal(format!(
                "client `{id}` is public: it runs on its users' devices and cannot keep a secret"
            )));
        }
        clients::set_secret(conn, id, &secret.digest(), old_until, desk.now)?;
        witness(conn, &desk, id, "secret replaced")
    })?;
    show(&secret, as_json)?;
    if !as_json {
        let old = match old_until {
            Some(until) => format!("the old secret stays good until {}", until.format("%Y-%m-%d %H:%M UTC")),
            None => "the old secret is worth nothing within seconds".to_owned(),
        };
        print::line(format!("stored for client `{id}`; {old}, and this one is not shown again"));
    }
    Ok(())
}

/// Prints a secret and its digest.
pub fn show(secret: &PlainToken, as_json: bool) -> Outcome {
    let digest = hex(&secret.digest());
    if as_json {
        return print::json(&json!({ "secret": secret.expose(), "secretDigest": digest }));
    }
    print::facts(&[("secret", secret.expose().to_owned()), ("secret_digest", digest)]);
    Ok(())
}

/// The digest as the configuration takes it.
pub fn hex(digest: &TokenDigest) -> String {
    text::hex(digest.as_bytes())
}
