//! The hosted pages: one view struct and one template per page, without decisions.
//!
//! A handler fills a view and renders it; a template needs nothing except its view. What must always hold: no page has
//! an inline style or handler (the content security policy would block it), every text comes from the [`messages`],
//! what users wrote is escaped and in `<bdi>`, and everything except the passkey prompt works without script.
//!
//! To add a page: a view struct with a [`Frame`], a template that extends `frame.html`, its texts in
//! `messages/english.rs`, and a line in the list that the tests of this room walk.

pub mod account;
pub mod approve;
pub mod apps;
pub mod assets;
pub mod authorize_error;
pub mod choose_account;
pub mod confirm;
pub mod consent;
pub mod developer;
pub mod device;
pub mod docs;
pub mod enrol;
pub mod error;
pub mod form_post;
mod frame;
pub mod host_refused;
pub mod links;
pub mod logout;
pub mod messages;
pub mod passkeys;
pub mod returning;
pub mod scopes;
pub mod session_check;
pub mod sign_in;
#[cfg(test)]
mod tests;

pub use frame::{AccountCard, Armed, Boot, FooterLink, Frame, PageKind};
