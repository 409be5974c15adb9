//! Authorization requests: what may be asked (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2), what follows, and what a code is
//! good for.
//!
//! A request passes three gates, each a pure function: [`ReturnTo::find`] proves client and redirect URI (before it nothing
//! is ever redirected), [`AuthorizationRequest::read`] checks everything else in a fixed order, and [`decide`] says what must
//! happen next, as often as somebody asks. What must always hold: the request that was read is stored and decided on; the
//! browser is never asked for a parameter again. To add a parameter: a field of [`AuthorizationRequest`] and one small check
//! in `request.rs`; to refuse in a new way: a row in `refusal.rs`.

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
