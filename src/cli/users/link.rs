//! `passmint users link`: a link for creating a first passkey, or one that replaces a lost one.

use chrono::Duration;
use diesel::PgConnection;
use serde_json::json;

use super::unknown;
use crate::assembly::profiles;
use crate::ceremony::actions::enrolment_link;
use crate::cli::Outcome;
use crate::cli::desk::Refusal;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::domain::id::UserId;
use crate::domain::user::{User, UserStatus};
use crate::storage::{credentials, people, users};

/// Creates a link and prints it once. `whom` is an id or a verified e-mail address; the link is valid for `hours`.
pub fn link(settings: &Settings, whom: &str, hours: i64, as_json: bool) -> Outcome {
    let desk = settings.desk()?;
    let profiles = profiles(&desk.config).map_err(|error| error.to_string())?;
    let issuer = desk.config.issuer();
    let (user, existing, link) = desk.write(|conn| {
        let user = find(conn, whom)?;
        require_permitted(conn, &user)?;
        let existing = credentials::of_users(conn, &[user.id], None)?.len();
        let link = enrolment_link(conn, (&profiles, issuer), user.id, Duration::hours(hours), desk.now)?;
        Ok((user, existing, link.map_err(|refusal| refusal.to_string())?))
    })?;
    if as_json {
        return print::json(&json!({ "user": user.id, "link": link.address, "expiresAt": link.expires_at }));
    }
    print::facts(&[
        ("link", link.address),
        ("for", print::printable(&format!("{} ({})", user.display_name(), user.id))),
        ("good until", format!("{}, once", print::time(link.expires_at))),
    ]);
    print::line("whoever has the link makes the passkey: send it where only they read; it is not shown again");
    if existing > 0 {
        print::line(format!(
            "they have passkeys already ({existing}); the removal of a lost one ends this link, so remove that first and make another"
        ));
    }
    Ok(())
}

/// The person with an id or a verified address; anyone can claim an unverified one.
fn find(conn: &mut PgConnection, whom: &str) -> Result<User, Refusal> {
    if let Ok(id) = whom.parse::<UserId>() {
        return users::find(conn, id)?.ok_or_else(|| unknown(id));
    }
    if let Some(user) = people::find_by_verified_email(conn, whom)? {
        return Ok(user);
    }
    let shown = print::printable(whom);
    Err(Refusal(if users::list(conn, Some(whom), 1)?.is_empty() {
        format!("there is no person with the ID or address {shown}; `passmint users list` shows everybody")
    } else {
        format!(
            "nobody has verified the address {shown}, so anybody may have claimed it; name the person by id: \
             `passmint users list --email {shown}` shows who claims it"
        )
    }))
}

/// Explains to the operator why a person cannot get an action token, and how to change that. The storing function
/// checks again.
fn require_permitted(conn: &mut PgConnection, user: &User) -> Result<(), Refusal> {
    let id = user.id;
    if user.status == UserStatus::Disabled {
        return Err(Refusal(format!("{id} is disabled; `passmint users enable {id}` lets them sign in again")));
    }
    if users::is_administrator(conn, id)? {
        return Err(Refusal(format!(
            "{id} is in the group admin, whose members get no link; take them out of it until they have made their passkey: \
             `passmint users set {id} --remove-group admin`"
        )));
    }
    Ok(())
}
