//! Identifies the caller: by the host's own cookie or, if the host accepts them, by an access token.

use actix_web::http::header::{AUTHORIZATION, HeaderMap};

use super::ForwardAuth;
use super::cookies::HostCookies;
use crate::account::guards::{Identity, Via};
use crate::clock::Time;
use crate::domain::forward::{Demand, Known, Person, ProtectedHost, Verdict, rules};
use crate::domain::scope::Scopes;
use crate::domain::secret::TokenDigest;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::storage::forward_sessions::{self, Visitor};
use crate::storage::sessions;
use crate::web::error::{Failure, Kind};

/// A signed-in caller of a protected host.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Who they are.
    pub visitor: Visitor,
    /// The scopes of their access token; `None` if they sent the cookie.
    pub scopes: Option<Scopes>,
}

impl Arrived {
    /// Whether they meet the demands.
    pub fn judged(&self, demands: &[&Demand], now: Time) -> Verdict {
        let known = Known {
            groups: &self.visitor.groups,
            scopes: self.scopes.as_ref(),
            acr: &self.visitor.acr,
            auth_time: self.visitor.auth_time,
            now,
        };
        rules::judge(demands.iter().copied(), &known)
    }

    /// The person, as presented to the host's app; `None` if they have no name there.
    pub fn person(&self, host: &ProtectedHost) -> Option<Person> {
        let visitor = &self.visitor;
        let id = visitor.user.to_string();
        Some(Person {
            user: host.user_of(&id, visitor.email.as_deref(), &visitor.links)?,
            id,
            email: visitor.email.clone(),
            name: visitor.name.clone(),
            groups: visitor.groups.clone(),
            acr: visitor.acr.clone(),
        })
    }
}

impl ForwardAuth {
    /// The caller, if they are signed in. If the host accepts access tokens and one was sent, it alone decides: a
    /// cookie that was also sent does not make up for a bad token.
    pub(super) async fn arrived(&self, host: &ProtectedHost, headers: &HeaderMap) -> Result<Option<Arrived>, Failure> {
        if let Some(audience) = &host.bearer_audience
            && let Some(token) = bearer(headers)?
        {
            return self.by_token(host, audience, token).await.map(Some);
        }
        match HostCookies::of(&host.origin).session(headers)? {
            Some(cookie) => self.by_cookie(host, cookie.digest()).await,
            None => Ok(None),
        }
    }

    async fn by_cookie(&self, host: &ProtectedHost, cookie: TokenDigest) -> Result<Option<Arrived>, Failure> {
        let (now, lifetimes) = (self.guard.accounts.clock.now(), self.guard.accounts.lifetimes);
        let (origin, source) = (host.origin.as_str().to_owned(), host.subject.source().map(ToOwned::to_owned));
        let found = self
            .guard
            .accounts
            .db
            .run(move |conn| {
                let found = forward_sessions::find(conn, &cookie, &origin, source.as_deref(), now)?;
                // Using an app counts as using the session.
                if let Some(visitor) = &found
                    && let Some(expires_at) = lifetimes.slide(visitor.last_seen_at, visitor.ends_at, now)
                {
                    sessions::slide(conn, visitor.session, now, expires_at)?;
                }
                Ok(found)
            })
            .await?;
        Ok(found.map(|visitor| Arrived { visitor, scopes: None }))
    }

    async fn by_token(&self, host: &ProtectedHost, audience: &str, token: &str) -> Result<Arrived, Failure> {
        let access = self.guard.bearer_for(audience, token)?;
        if access.act.is_some() {
            let words =
                "Somebody else acts with this access token (`act`), and the app would be told of the person alone.";
            return Err(Failure::new(Kind::InvalidToken, words));
        }
        let identity = self.guard.holder(&access).await?;
        let Via::Bearer { scopes, .. } = identity.via else {
            return Err(Failure::new(Kind::Internal, "The server is not set up completely."));
        };
        let visitor = self.known_as(host, &identity.user, &identity.session).await?;
        Ok(Arrived { visitor, scopes: Some(scopes) })
    }

    /// Somebody whose session was not found by the host's cookie, with everything that the host's rules may ask about.
    async fn known_as(&self, host: &ProtectedHost, user: &User, session: &Session) -> Result<Visitor, Failure> {
        let (owner, source) = (user.id, host.subject.source().map(ToOwned::to_owned));
        let belongings = move |conn: &mut _| forward_sessions::belongings_of(conn, owner, source.as_deref());
        let (groups, links) = self.guard.accounts.db.run(belongings).await?;
        Ok(Visitor {
            user: user.id,
            email: user.email.clone().filter(|_| user.email_verified_at.is_some()),
            name: user.name.clone(),
            session: session.id,
            acr: session.acr.clone(),
            auth_time: session.auth_time,
            last_seen_at: session.last_seen_at,
            ends_at: session.ends_at,
            groups,
            links,
        })
    }

    /// Somebody who is signed in on our own pages, as a host would see them.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn at_our_pages(&self, host: &ProtectedHost, identity: &Identity) -> Result<Arrived, Failure> {
        let visitor = self.known_as(host, &identity.user, &identity.session).await?;
        Ok(Arrived { visitor, scopes: None })
    }
}

/// The access token of a request, if its `Authorization` header contains one. Another scheme is the app's own affair.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let refused = || Failure::new(Kind::InvalidToken, "The Authorization header is not of the form `Bearer <token>`.");
    let mut values = headers.get_all(AUTHORIZATION);
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| refused())?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let token = scheme.eq_ignore_ascii_case("bearer").then_some(token);
    if token.is_some() && values.next().is_some() {
        return Err(refused());
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn only_a_bearer_token_is_ours_to_read() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer(&headers).map(|token| token.map(ToOwned::to_owned)).ok()
        };
        assert_eq!(read(&["Bearer x.y.z"]), Some(Some("x.y.z".into())));
        assert_eq!(read(&["bEARER x"]), Some(Some("x".into())));
        assert_eq!(read(&["Bearer"]), Some(Some(String::new())), "a token that is none, not no token");
        assert_eq!(read(&["Basic eDp5"]), Some(None));
        assert_eq!(read(&["DPoP x"]), Some(None), "a proof is made for one address, and this is not it");
        assert_eq!(read(&[]), Some(None));
        assert_eq!(read(&["Bearer x", "Bearer y"]), None);
    }
}
