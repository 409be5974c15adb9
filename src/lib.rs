//! Passmint: passkeys in, tokens out.
//!
//! The rooms, and who may import whom (`domain ← storage ← rooms ← routes`, with `web` beside the rooms):
//!
//! | room | job |
//! |---|---|
//! | [`config`] | typed settings, all mistakes reported at once |
//! | [`bridge`] | custom tokens for systems that are not ours |
//! | [`domain`] | pure decisions, without HTTP, SQL, clock or randomness |
//! | [`tokens`] | keys, JWKS, sealing, claims, the one signer, the one verifier |

pub mod bridge;
pub mod ceremony;
pub mod clock;
pub mod config;
pub mod domain;
pub mod random;
pub mod storage;
pub mod web;
pub mod tokens;
