//! Access control for administration: a route's required right is the type of its argument, for example
//! `Admin<ChangeUsers>`.
//!
//! Administration requires an access token for this server. A cookie is never accepted, because a page of another site
//! could make the browser send it. The token is either a confidential client's own (client_credentials) or that of a
//! user in the group [`GROUP`] who signed in with a passkey and user verification. It is checked against the current
//! state: it stops working when the client loses the scope, the user leaves the group, or the session ends.

use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use diesel::PgConnection;
use futures_core::future::LocalBoxFuture;
use serde_json::{Value, json};

use crate::account::guards::{Guard, Identity, VerifiedAccess};
use crate::clock::Time;
use crate::config::QUICK_START;
use crate::domain::audit::{Event, EventKind, Provenance};
use crate::domain::id::UserId;
use crate::domain::scope::{Scopes, is_powerful};
use crate::storage::{StorageError, audit, users};
use crate::web::Caller;
use crate::web::app_data::app_data;
use crate::web::error::{Failure, Kind, Problem};
use crate::web::limits::{Class, Limits};

pub use crate::domain::user::ADMINISTRATORS as GROUP;

/// A right to administer.
pub trait Right {
    /// The scope that grants it. [`Scopes::administer`] defines the other scopes that include it.
    const SCOPE: &'static str;
}

macro_rules! rights {
    ($($(#[$doc:meta])* $right:ident = $scope:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $right {}
        impl Right for $right {
            const SCOPE: &'static str = $scope;
        }
    )*};
}

rights! {
    /// Read clients and registration tokens.
    ReadClients = "admin:clients:read";
    /// Change clients and registration tokens.
    ChangeClients = "admin:clients";
    /// Read users, their sessions and passkeys, and groups.
    ReadUsers = "admin:users:read";
    /// Change users, their sessions and passkeys, and groups.
    ChangeUsers = "admin:users";
    /// Read resources.
    ReadResources = "admin:resources:read";
    /// Change resources.
    ChangeResources = "admin:resources";
    /// Read bridges, and what they would mint for sample users.
    ReadBridges = "admin:bridges:read";
    /// Change bridges.
    ChangeBridges = "admin:bridges";
    /// Read the audit trail.
    ReadAudit = "admin:audit:read";
    /// Read undelivered messages.
    ReadOutbox = "admin:outbox:read";
    /// Retry undelivered messages.
    ChangeOutbox = "admin:outbox";
}

/// A caller who is authorized to administer and has this right.
#[derive(Clone, Debug)]
pub struct Admin<R> {
    /// The caller.
    pub actor: Actor,
    right: PhantomData<fn() -> R>,
}

/// Who makes a change: recorded in the audit trail, and limits the rights that they can grant.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The client; `None` for the command line.
    pub client: Option<String>,
    /// The token's subject: a user, or the client itself.
    pub subject: String,
    /// The granted scopes; `None` means all rights, as on the command line.
    scopes: Option<Scopes>,
    /// When the user behind the token signed in; `None` for a client's own token.
    pub(super) signed_in: Option<Time>,
    /// Where the request came from.
    pub origin: Provenance,
}

impl Actor {
    /// The operator at the command line, who has all rights.
    pub fn command_line() -> Self {
        Self {
            client: None,
            subject: "command line".to_owned(),
            scopes: None,
            signed_in: None,
            origin: Provenance::default(),
        }
    }

    /// Whether this is the operator at the command line.
    pub const fn is_command_line(&self) -> bool {
        self.scopes.is_none()
    }

    /// The scopes in force, separated by spaces.
    pub fn rights(&self) -> String {
        self.scopes.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// Whether the actor has all rights.
    pub fn is_almighty(&self) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.contains("admin"))
    }

    /// Refuses a change that would grant, or take over, a scope for administration or over users that the actor does
    /// not have. Otherwise the right to change clients would include every other right, and the secret of a backend
    /// that creates action tokens would open every account.
    pub fn require_power(&self, over: &Scopes) -> Result<(), Failure> {
        let Some(own) = &self.scopes else { return Ok(()) };
        match over.iter().find(|scope| is_powerful(scope) && !own.administer(scope)) {
            None => Ok(()),
            Some(scope) => Err(Failure::new(
                Kind::InsufficientScope,
                format!("This concerns the scope {scope:?}, which the access token itself lacks."),
            )),
        }
    }

    /// Like [`require_power`](Self::require_power), for users who are administrators themselves.
    pub fn require_power_over(&self, groups: &[String]) -> Result<(), Failure> {
        if self.is_almighty() || !groups.iter().any(|group| group == GROUP) {
            return Ok(());
        }
        let detail = format!("This concerns the group {GROUP:?}, which requires the scope \"admin\".");
        Err(Failure::new(Kind::InsufficientScope, detail))
    }

    /// An audit event about this actor's change.
    pub fn event(&self, kind: EventKind, now: Time, change: &str) -> Event {
        Event {
            client: self.client.clone(),
            detail: json!({ "change": change, "by": self.subject }),
            ..Event::new(kind, now, &self.origin)
        }
    }

    /// Records this actor's change to an object. Call it in the transaction of the change.
    pub fn witness(
        &self,
        conn: &mut PgConnection,
        (kind, change): (EventKind, &str),
        (subject, name): (&str, Option<&str>),
        now: Time,
    ) -> Result<(), StorageError> {
        let event = Event {
            subject: Some(subject.to_owned()),
            subject_name: name.map(ToOwned::to_owned),
            ..self.event(kind, now, change)
        };
        audit::insert(conn, &event)
    }

    /// Records this actor's change to a user.
    pub fn witness_of(
        &self,
        conn: &mut PgConnection,
        (kind, change): (EventKind, &str),
        person: UserId,
        now: Time,
    ) -> Result<(), StorageError> {
        audit::insert(conn, &Event { user: Some(person), ..self.event(kind, now, change) })
    }

    /// The `detail` of an event, with further members.
    pub fn detail(&self, change: &str, facts: Value) -> Value {
        let mut detail = json!({ "change": change, "by": self.subject });
        if let (Value::Object(all), Value::Object(more)) = (&mut detail, facts) {
            all.extend(more);
        }
        detail
    }
}

impl<R: Right + 'static> FromRequest for Admin<R> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (request, caller) = (request.clone(), Caller::of(request));
        Box::pin(async move {
            let (limits, guard) = (app_data::<Limits>(&request)?, app_data::<Guard>(&request)?);
            limits.check(Class::Token, caller.network)?;
            let actor = admit(guard.get_ref(), &request, caller.provenance, R::SCOPE).await?;
            Ok(Self { actor, right: PhantomData })
        })
    }
}

async fn admit(guard: &Guard, request: &HttpRequest, origin: Provenance, right: &str) -> Result<Actor, Failure> {
    let Some(access) = guard.access_token(request).await? else {
        let detail = format!("Send an access token for this server with the scope {right:?}.");
        return Err(Failure::new(Kind::NotSignedIn, detail));
    };
    let client = access.client();
    if client.id == QUICK_START {
        let detail = "The quick-start client never administers. Make a client of your own.";
        return Err(Failure::new(Kind::Forbidden, detail));
    }
    let scopes = Scopes::parse(&access.scope).map_err(|_| refused("its scopes do not read"))?;
    // Only what the client may still request counts, whatever the token was granted.
    let scopes = scopes.granted_by(&client.definition.scopes);
    if !scopes.administer(right) {
        return Err(Failure::new(Kind::InsufficientScope, format!("The access token lacks the scope {right:?}.")));
    }
    let signed_in = match access.sid {
        None => {
            guard.require_own_token(&access).await?;
            None
        }
        Some(_) => Some(require_administrator(guard, &access).await?),
    };
    Ok(Actor { client: Some(client.id.clone()), subject: access.sub.clone(), scopes: Some(scopes), signed_in, origin })
}

fn refused(why: &'static str) -> Failure {
    Failure::new(Kind::InvalidToken, "The access token is not valid here, has expired or was revoked.").because(why)
}

/// Requires that the token's user is an administrator. Returns when they signed in.
async fn require_administrator(guard: &Guard, access: &VerifiedAccess) -> Result<Time, Failure> {
    let Identity { session, user, .. } = guard.holder(access).await?;
    let id = user.id;
    let groups = guard.accounts.db.run(move |conn| users::groups_of(conn, id)).await?;
    if !groups.iter().any(|group| group == GROUP) {
        let detail = format!("Administration is for members of the group {GROUP:?}.");
        return Err(Failure::new(Kind::Forbidden, detail));
    }
    if !matches!(session.acr.as_str(), "phr" | "phrh") {
        let detail = "Administration requires a sign-in with a passkey and user verification (acr phr).";
        return Err(Failure::new(Kind::Forbidden, detail));
    }
    Ok(session.auth_time)
}
