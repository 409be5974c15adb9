//! Other servers that are notified of events here, or asked about them.
//!
//! There are three kinds. Webhooks are notified at least once, and nothing waits for them; the same applies to hooks
//! after a sign-in, whose answer is shown to the person. Hooks before a sign-in are asked once, and may deny it.
//!
//! What must always hold: every message is signed for its receiver ([`Endpoint`](crate::domain::webhook::Endpoint)) and
//! sent through [`outbound`](crate::outbound). It contains no secret, and no e-mail address unless the receiver is
//! configured to get personal data. A receiver's answer is used only for what it was asked. A trigger of the schema
//! writes each message in the transaction of its event, so that no event lacks its message, and nothing that was rolled
//! back is sent.

pub mod after;
pub mod answer;
pub mod before;
pub mod event;
pub mod shown;
pub mod webhooks;

pub use after::AfterSignIn;
pub use before::BeforeSignIn;
pub use webhooks::Webhooks;
