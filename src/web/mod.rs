//! HTTP furniture that every room uses: errors and their renderings, cookies, guards, limits, headers, pages.

pub mod admin;
pub mod caller;
pub mod cookies;
pub mod cors;
pub mod error;
pub mod fallback;
pub mod form;
pub mod guards;
pub mod headers;
pub mod health;
pub mod json;
pub mod limits;
pub mod origin;
pub mod pages;
pub mod well_known;

pub use caller::Caller;
pub use error::{Failure, Kind, OAuthFailure, Problem};
pub use json::Json;
