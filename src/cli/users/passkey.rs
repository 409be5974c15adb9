//! `passmint users remove-passkey`, with the function of the administration API.

use super::locked;
use crate::admin::guard::Actor;
use crate::admin::users::passkeys::take_away;
use crate::cli::Outcome;
use crate::cli::desk::Refusal;
use crate::cli::print;
use crate::cli::settings::Settings;
use crate::domain::id::{PasskeyId, UserId};
use crate::storage::credentials;

/// Removes a person's passkey.
pub fn remove(settings: &Settings, id: UserId, passkey: PasskeyId, yes: bool) -> Outcome {
    if !yes {
        return Err(format!("removing a passkey of {id} cannot be undone; add --yes if that is what you want"));
    }
    let desk = settings.desk()?;
    let (name, ended, left) = desk.write(|conn| {
        let actor = Actor::command_line();
        locked(conn, id, &actor)?;
        let Some((name, ended)) = take_away(conn, &actor, id, passkey, desk.now)? else {
            return Err(Refusal(format!("{id} has no passkey {passkey}; `passmint users show {id}` shows theirs")));
        };
        Ok((name, ended, credentials::of_users(conn, &[id], None)?.len()))
    })?;
    print::line(print::printable(&format!("the passkey {name:?} of {id} is removed ({ended} live sessions ended)")));
    if left == 0 {
        print::line(format!("they have none left: `passmint users link {id}` prints a link to a new one"));
    }
    Ok(())
}
