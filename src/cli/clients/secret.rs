//! `passmint clients secret`.

use chrono::Duration;
use serde_json::json;

use crate::admin::clients::lock;
use crate::admin::clients::rotate_secret::{self, LONGEST_OVERLAP};
use crate::admin::guard::Actor;
use crate::cli::Outcome;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::domain::text;

/// Generates a secret without storing it. Needs neither configuration nor database.
pub fn print_one(as_json: bool) -> Outcome {
    show(&PlainToken::random(TokenKind::ClientSecret), as_json)?;
    if !as_json {
        print::line(
            "write the digest into the configuration (clients.<client_id>.secret_digest), and give the secret to the client: it is not shown again",
        );
    }
    Ok(())
}

/// Generates a secret for a client and stores its digest. The old one stays valid for `keep_old`.
pub fn store(settings: &Settings, id: &str, keep_old: Duration, as_json: bool) -> Outcome {
    if keep_old > Duration::seconds(LONGEST_OVERLAP) {
        return Err(format!("--keep-old is too long: choose at most {}d", LONGEST_OVERLAP / 86_400));
    }
    // Less than a second is rounded up: only --now ends the old secret at once.
    let overlap = (keep_old.num_milliseconds() + 999) / 1000;
    let desk = settings.desk()?;
    let secret = PlainToken::random(TokenKind::ClientSecret);
    let stored = desk.write_locked(|conn| {
        let operator = Actor::command_line();
        let client = lock(conn, id, &operator)?;
        let replaced = (&secret.digest(), overlap);
        Ok(rotate_secret::store(conn, &operator, &client, replaced, desk.now)?)
    })?;
    show(&secret, as_json)?;
    if !as_json {
        let old = match stored.previous_secret_until {
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

/// The digest as written in the configuration.
pub fn hex(digest: &TokenDigest) -> String {
    text::hex(digest.as_bytes())
}
