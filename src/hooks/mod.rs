//! Others' servers that are told what happens here.
//!
//! What must always hold: every message is signed for its receiver ([`Endpoint`](crate::domain::webhook::Endpoint)) and goes
//! through [`outbound`](crate::outbound); it holds no secret, and no e-mail address unless its receiver is marked for them;
//! nothing that a receiver answers reaches anybody but the log. A message is written by a trigger of the schema in the
//! transaction of its event, so that none is lost and none is told of what did not happen.

pub mod event;
pub mod webhooks;

pub use webhooks::Webhooks;
