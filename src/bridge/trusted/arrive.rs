//! Lets a person in by a trusted issuer's token, after the hooks were asked.
//!
//! What must always hold: nothing is stored before the hooks were asked. Therefore the arrival is first performed and
//! rolled back, which shows for whom the hooks must be asked; and nobody else is let in afterwards.

use diesel::Connection as _;
use diesel::PgConnection;
use diesel::result::Error as DieselError;
use serde_json::json;

use super::sign_in::{Arrival, Arrived, Asked, NotArrived};
use crate::domain::audit::{Event, EventKind};
use crate::domain::id::UserId;
use crate::domain::user::User;
use crate::hooks::BeforeSignIn;
use crate::hooks::before::{Refusal, SignIn};
use crate::storage::{Db, StorageError, audit, users};

/// How often a transaction is tried if another one creates the same person first.
const TRIES: usize = 3;

/// The hooks, and the purpose of the token.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// The hooks.
    pub hooks: &'a BeforeSignIn,
    /// `tokens` or `bridge`.
    pub result: &'static str,
}

/// Lets a person in, or returns the reason for refusal, which still uses the token up. If something is issued, the
/// hooks are asked.
///
/// # Errors
/// [`StorageError`], only for faults.
pub async fn arrive(
    db: &Db,
    asking: Option<Asking<'_>>,
    arrival: Arrival,
) -> Result<Result<Arrived, NotArrived>, StorageError> {
    let attempt = async || {
        let asked = match &asking {
            Some(asking) => asking.ask(db, &arrival).await?,
            None => Ok(None),
        };
        let arrival = arrival.clone();
        match asked {
            Ok(asked) => db.tx(move |conn| arrival.settle(conn, asked)).await,
            Err(refusal) => Ok(Err(refusal)),
        }
    };
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match attempt().await {
            // Another transaction linked or created the same person in the meantime: try again.
            Err(StorageError::Conflict { .. }) if tries > 0 => {}
            Err(StorageError::Conflict { .. }) => {
                return Ok(Err(NotArrived::NotMade("an address or an external id is another's")));
            }
            other => return other,
        }
    }
}

impl Asking<'_> {
    /// Asks the hooks that apply; `None` if there are none. A refusal is recorded.
    ///
    /// # Errors
    /// [`StorageError`] for a fault, or if another transaction lets the same person in at the same time.
    async fn ask(&self, db: &Db, arrival: &Arrival) -> Result<Result<Option<Asked>, NotArrived>, StorageError> {
        let Some(session) = &arrival.session else { return Ok(Ok(None)) };
        if !self.hooks.are_asked(session.client.as_deref()) {
            return Ok(Ok(None));
        }
        let rehearsed = arrival.clone();
        // A person who would be refused goes through the same steps again, and then the result is kept.
        let Some((user, groups)) = db.run(move |conn| rehearsed.rehearse(conn)).await? else {
            return Ok(Ok(Some(Asked::default())));
        };
        let is_new = user.id == arrival.newcomer;
        let sign_in = SignIn {
            user: &user,
            is_new,
            groups: &groups,
            client: session.client.as_deref(),
            result: self.result,
            method: "trusted_issuer",
            acr: "0",
            amr: &[],
            credential_class: None,
            origin: &session.origin,
            now: session.now,
        };
        match self.hooks.ask(&sign_in).await {
            Ok(passed) => Ok(Ok(Some(Asked { user: Some(user.id), passed }))),
            Err(refusal) => {
                let (refused, known, why) = (arrival.clone(), (!is_new).then_some(user.id), refusal.clone());
                db.tx(move |conn| refused.refuse(conn, known, &why)).await?;
                Ok(Err(NotArrived::Hook(refusal)))
            }
        }
    }
}

impl Arrival {
    /// Performs the arrival and rolls it back. Returns who would arrive, and their groups.
    fn rehearse(self, conn: &mut PgConnection) -> Result<Option<(User, Vec<String>)>, StorageError> {
        let mut found = None;
        let taken_back: Result<(), StorageError> = conn.transaction(|conn| {
            if let Ok(arrived) = self.settle(conn, None)? {
                let groups = users::groups_of(conn, arrived.user.id)?;
                found = Some((arrived.user, groups));
            }
            Err(StorageError::Database(DieselError::RollbackTransaction))
        });
        match taken_back {
            Ok(()) | Err(StorageError::Database(DieselError::RollbackTransaction)) => Ok(found),
            Err(error) => Err(error),
        }
    }

    /// A denial uses the token up, like other refusals; if a hook failed, the token can be tried again.
    fn refuse(self, conn: &mut PgConnection, user: Option<UserId>, why: &Refusal) -> Result<(), StorageError> {
        if matches!(why, Refusal::Denied { .. }) {
            self.spend(conn)?;
        }
        let detail = json!({ "trusted_issuer": self.trust.name, "reason": why.to_string() });
        audit::insert(conn, &Event { kind: EventKind::TrustedTokenRefused, user, detail, ..self.event })
    }
}
