//! The grants of the token endpoint, one file each.

pub mod authorization_code;
pub mod client_credentials;
pub mod device_code;
pub mod jwt_bearer;
pub mod passkey;
pub mod presenters;
pub mod refresh_token;
pub mod token_exchange;
