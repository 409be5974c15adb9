//! The grants of the token endpoint, one file each.

pub mod authorization_code;
pub mod passkey;
pub mod refresh_token;
