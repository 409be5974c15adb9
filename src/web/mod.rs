//! HTTP support that every room uses: errors and their renderings, cookies, guards, limits, headers, pages.

pub mod app_data;
pub mod audit_event;
pub mod body;
pub mod cached;
pub mod caller;
pub mod connections;
pub mod cookies;
pub mod cors;
pub mod error;
pub mod form;
pub mod head_limits;
pub mod headers;
pub mod health;
pub mod json;
pub mod limits;
pub mod listener;
pub mod methods;
pub mod nul;
pub mod origin;
pub mod pages;
pub mod paging;
pub mod refusal;
pub mod tls;
pub mod unread;
pub mod wrong_field;

pub use caller::Caller;
pub use error::{Failure, Kind, OAuthFailure, Problem};
pub use json::{Envelope, Json};
