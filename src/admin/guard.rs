//! Who may administer: the right that a route needs is the type of its argument, `Admin<ChangeUsers>`.
//!
//! An access token for this server opens administration, never a cookie: a page of another site could send one along. It
//! is a confidential client's own (client_credentials), or one of a person in the group [`GROUP`] who signed in with a
//! passkey and user verification. What the token says is held against what is true now: a client that lost a scope, a
//! person who left the group, a session that ended open nothing any more.

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

/// A right in administration.
pub trait Right {
    /// The scope that gives it; see [`Scopes::administer`] for those that give it as well.
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
    /// To see clients and permissions to register some.
    ReadClients = "admin:clients:read";
    /// To change them.
    ChangeClients = "admin:clients";
    /// To see people, their sessions, passkeys and groups.
    ReadUsers = "admin:users:read";
    /// To change them.
    ChangeUsers = "admin:users";
    /// To see resources.
    ReadResources = "admin:resources:read";
    /// To change them.
    ChangeResources = "admin:resources";
    /// To see bridges, and what they would mint for sample users.
    ReadBridges = "admin:bridges:read";
    /// To change them.
    ChangeBridges = "admin:bridges";
    /// To see what happened.
    ReadAudit = "admin:audit:read";
    /// To see messages that have not arrived.
    ReadOutbox = "admin:outbox:read";
    /// To have them tried again.
    ChangeOutbox = "admin:outbox";
}

/// Somebody who may administer, with this right.
#[derive(Clone, Debug)]
pub struct Admin<R> {
    /// Who it is.
    pub actor: Actor,
    right: PhantomData<fn() -> R>,
}

/// Who makes a change, for the audit trail and for what they may give away.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The client; none: the command line.
    pub client: Option<String>,
    /// The token's subject: a person, or the client itself.
    pub subject: String,
    /// The scopes that administer; none: everything, as on the command line.
    scopes: Option<Scopes>,
    /// When the person behind it signed in; none for a program.
    pub(super) signed_in: Option<Time>,
    /// Where the request came from.
    pub origin: Provenance,
}

impl Actor {
    /// The operator at the command line, who may do everything.
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

    /// The scopes that are in force, in one line.
    pub fn rights(&self) -> String {
        self.scopes.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// Whether everything is allowed.
    pub fn is_almighty(&self) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.contains("admin"))
    }

    /// Refuses to give somebody, or take over from somebody, scopes in administration or over people that the actor does
    /// not have: otherwise the right to change clients would be the right to everything, and the secret of a backend that
    /// makes action tokens would be everybody's account.
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

    /// The same for people who may administer themselves.
    pub fn require_power_over(&self, groups: &[String]) -> Result<(), Failure> {
        if self.is_almighty() || !groups.iter().any(|group| group == GROUP) {
            return Ok(());
        }
        let detail = format!("This concerns the group {GROUP:?}, which requires the scope \"admin\".");
        Err(Failure::new(Kind::InsufficientScope, detail))
    }

    /// An event of what this actor did.
    pub fn event(&self, kind: EventKind, now: Time, change: &str) -> Event {
        Event {
            client: self.client.clone(),
            detail: json!({ "change": change, "by": self.subject }),
            ..Event::new(kind, now, &self.origin)
        }
    }

    /// Writes down what this actor did to a thing. Call it in the transaction that does it.
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

    /// Writes down what this actor did to a person.
    pub fn witness_of(
        &self,
        conn: &mut PgConnection,
        (kind, change): (EventKind, &str),
        person: UserId,
        now: Time,
    ) -> Result<(), StorageError> {
        audit::insert(conn, &Event { user: Some(person), ..self.event(kind, now, change) })
    }

    /// Further facts in the detail of an event.
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
    // What the client may ask for now, whatever it was given before.
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

/// A person who administers by a client; gives when they signed in.
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
