//! Forward auth: before each request to an app, a proxy asks whether the request is allowed and who is sending it.
//!
//! What must always hold:
//! - the closed list of hosts decides what exists; which host and path are requested is accepted only from the
//!   configured proxies, and only from the headers that this kind of proxy overwrites ([`asked`]);
//! - our own cookie never reaches another host, so each host has its own cookie, which is valid only there and only as
//!   long as the person's session: signing out, disabling or revoking takes effect with the next request, because every
//!   request is checked;
//! - identity headers in the original request are never read; those of the response are always sent, all of them;
//! - whatever goes wrong, the request is not let through.
//!
//! The rules are in [`domain::forward`](crate::domain::forward), the pages of a sign-in in
//! [`site::forward_auth`](crate::site::forward_auth). To serve another kind of proxy: a variant in [`asked`] and its
//! handler in [`verify`].

pub mod asked;
pub mod cookies;
mod identity;
pub mod keys;
pub mod verify;

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Duration;

use crate::account::guards::Guard;
use crate::domain::audit::Provenance;
use crate::domain::forward::ProtectedHost;
use crate::domain::id::SessionId;
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};
use crate::domain::session::Session;
use crate::storage::forward_codes::{self, NewCode, Redeemed, Redemption};
use crate::storage::forward_sessions;
use crate::web::caller::TrustedProxies;
use crate::web::error::{Failure, Kind};
use crate::web::headers::for_other_host;

use cookies::HostCookies;
pub use identity::Arrived;

/// Lifetime of the code that carries a sign-in over to a host.
const CODE_LIFE: Duration = Duration::seconds(60);

/// The room, as handlers receive it.
pub type Room = web::Data<Arc<ForwardAuth>>;

/// The room.
pub struct ForwardAuth {
    hosts: HashMap<String, Arc<ProtectedHost>>,
    proxies: TrustedProxies,
    guard: Guard,
}

impl ForwardAuth {
    /// The room for these hosts; without any host, its endpoints do not exist.
    pub fn new(hosts: &[ProtectedHost], proxies: TrustedProxies, guard: Guard) -> Self {
        let by_origin = |host: &ProtectedHost| (host.origin.as_str().to_owned(), Arc::new(host.clone()));
        Self { hosts: hosts.iter().map(by_origin).collect(), proxies, guard }
    }

    /// Refuses if no host is protected.
    ///
    /// # Errors
    /// [`Kind::NotFound`].
    pub fn require_on(&self) -> Result<(), Failure> {
        if self.hosts.is_empty() {
            return Err(Failure::new(Kind::NotFound, "No host is protected here."));
        }
        Ok(())
    }

    /// Marks a response as one that reaches the browser under the name of another host, if there are hosts.
    pub fn under_other_name(&self, answer: HttpResponse) -> HttpResponse {
        if self.hosts.is_empty() { answer } else { for_other_host(answer) }
    }

    /// The host with this origin, spelled as in the configuration.
    pub fn find(&self, origin: &str) -> Option<&Arc<ProtectedHost>> {
        self.hosts.get(origin)
    }

    /// The host for which a trusted proxy forwarded a browser's request (`/.passmint/…`).
    ///
    /// # Errors
    /// [`Kind::Forbidden`] for any other caller, or an unknown host; [`Kind::InvalidRequest`] if the headers are
    /// malformed.
    pub fn host_of(&self, request: &HttpRequest) -> Result<Arc<ProtectedHost>, Failure> {
        self.require_on()?;
        self.require_proxy(request)?;
        asked::forwarded_origin(request.headers()).and_then(|origin| self.known(&origin))
    }

    fn known(&self, origin: &str) -> Result<Arc<ProtectedHost>, Failure> {
        self.find(origin).cloned().ok_or_else(|| {
            let words = "This host is not one of those that are protected here.";
            Failure::new(Kind::Forbidden, words).because(format!("no [forward_auth.{origin:?}] in the configuration"))
        })
    }

    fn require_proxy(&self, request: &HttpRequest) -> Result<(), Failure> {
        let peer = request.peer_addr().map(|address| address.ip());
        if peer.is_some_and(|peer| self.proxies.trusts(peer)) {
            return Ok(());
        }
        let words = "Who asks for another host must be one of this server's trusted proxies.";
        let peer = peer.map_or_else(|| "somebody".to_owned(), |peer| peer.to_string());
        Err(Failure::new(Kind::Forbidden, words).because(format!("{peer} is not in trusted_proxies")))
    }

    /// Issues a code for somebody who is signed in here; `None` if the session has ended in the meantime.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn give_code(
        &self,
        host: &ProtectedHost,
        state: TokenDigest,
        session: SessionId,
        destination: &str,
    ) -> Result<Option<PlainToken>, Failure> {
        let code = PlainToken::random(TokenKind::ForwardCode);
        let now = self.guard.accounts.clock.now();
        let new = NewCode {
            digest: code.digest(),
            host: host.origin.as_str().to_owned(),
            state,
            session,
            destination: destination.to_owned(),
            now,
            expires_at: now + CODE_LIFE,
        };
        let given = self.guard.accounts.db.run(move |conn| forward_codes::give(conn, &new)).await?;
        Ok(given.then_some(code))
    }

    /// Exchanges a code for a cookie; `None` if it is not valid here, in this browser, now, or was used before.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn redeem(
        &self,
        host: &ProtectedHost,
        code: &PlainToken,
        state: &PlainToken,
        replaced: Option<&PlainToken>,
        origin: &Provenance,
    ) -> Result<Option<(PlainToken, Redeemed)>, Failure> {
        let cookie = PlainToken::random(TokenKind::ForwardSession);
        let now = self.guard.accounts.clock.now();
        let redemption = Redemption {
            digest: code.digest(),
            host: host.origin.as_str().to_owned(),
            state: state.digest(),
            cookie: cookie.digest(),
            replaced: replaced.map(PlainToken::digest),
            now,
            expires_at: now + host.lifetime,
            origin: origin.clone(),
        };
        let redeemed = self.guard.accounts.db.run(move |conn| forward_codes::redeem(conn, &redemption)).await?;
        Ok(redeemed.map(|redeemed| (cookie, redeemed)))
    }

    /// The person's session behind the cookie that a browser has at a host.
    ///
    /// # Errors
    /// If the database fails, or the cookie was sent twice.
    pub async fn session_at(&self, host: &ProtectedHost, headers: &HeaderMap) -> Result<Option<Session>, Failure> {
        let Some(cookie) = HostCookies::of(&host.origin).session(headers)? else { return Ok(None) };
        let (digest, origin, now) = (cookie.digest(), host.origin.as_str().to_owned(), self.guard.accounts.clock.now());
        Ok(self.guard.accounts.db.run(move |conn| forward_sessions::find_session(conn, &digest, &origin, now)).await?)
    }
}
