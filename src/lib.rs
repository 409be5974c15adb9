//! Passmint: passkeys in, tokens out.
//!
//! The rooms, and who may import whom (`domain ← storage ← rooms ← routes`, with `web` beside the rooms):
//!
//! | room | job |
//! |---|---|
//! | [`bridge`] | custom tokens for systems that are not ours |
//! | [`domain`] | pure decisions, without HTTP, SQL, clock or randomness |

pub mod bridge;
pub mod ceremony;
pub mod clock;
pub mod domain;
pub mod random;
