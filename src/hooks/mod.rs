//! Others' servers that are told what happens here.
//!
//! Three kinds: webhooks are told, at least once and without being waited for; so are hooks after a sign-in, whose answer is
//! shown to the person; hooks before a sign-in are asked, once, and may deny it. What must always hold: every message is signed for its receiver ([`Endpoint`](crate::domain::webhook::Endpoint)) and goes
//! through [`outbound`](crate::outbound); it holds no secret, and no e-mail address unless its receiver is marked for them;
//! nothing that a receiver answers is believed beyond what it is asked for. A message is written by a trigger of the schema in the
//! transaction of its event, so that none is lost and none is told of what did not happen.

pub mod after;
pub mod answer;
pub mod before;
pub mod event;
pub mod shown;
pub mod webhooks;

pub use after::AfterSignIn;
pub use before::BeforeSignIn;
pub use webhooks::Webhooks;
