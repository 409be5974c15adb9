//! Authorization requests: what may be requested (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2), what follows, and what
//! a code grants.
//!
//! A request passes three gates, each a pure function. [`ReturnTo::find`] proves the client and the redirect URI;
//! before it, nothing is ever redirected. [`AuthorizationRequest::read`] checks everything else in a fixed order.
//! [`decide`] says what must happen next, and can be asked repeatedly. Invariant: the request that was read is stored,
//! and decisions use the stored request; no parameter is read from the browser a second time.
//!
//! To add a parameter: a field of [`AuthorizationRequest`] and one small check in `request.rs`. To add a refusal: a row
//! in `refusal.rs`.

mod answer;
mod claims;
mod code;
mod parameters;
mod pkce;
mod redirect;
mod refusal;
mod request;
mod step;

pub use answer::{Answer, ResponseMode, ReturnTo};
pub use claims::ClaimsParameter;
pub use code::{CodeGrant, CodeRefusal, Decision, Presented, StoredCode, grant_of};
pub use parameters::Parameters;
pub use pkce::Challenge;
pub use redirect::{Landing, is_registered, place_of};
pub use refusal::{Refusal, Unsafe};
pub use request::{AcrWish, AuthorizationRequest, Circumstances, Delivery, Prompt, SignedOnce, resources, scopes};
pub use step::{Consent, Facts, Person, Step, decide};
