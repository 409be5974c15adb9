//! Signing out, and telling everybody who must know: by the person's browser to us (RP-Initiated Logout 1.0), by us to
//! clients' servers ([`backchannel`]) and by the browser to clients' pages ([`frontchannel`]).
pub mod backchannel;
pub mod post;
