//! Passkeys: the ceremonies of WebAuthn.

pub mod strict;
