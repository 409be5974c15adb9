//! Passkeys.

pub mod aaguid;
