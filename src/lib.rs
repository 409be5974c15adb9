//! Passmint: passkeys in, tokens out.
//!
//! The rooms, and who may import whom (`domain ← storage ← rooms ← routes`, with `web` beside the rooms):
//!
//! | room | job |
//! |---|---|
//! | [`domain`] | pure decisions, without HTTP, SQL, clock or randomness |
//! | [`web`] | HTTP furniture; the hosted pages |

pub mod clock;
pub mod domain;
pub mod random;
pub mod web;
