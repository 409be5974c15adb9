//! `passmint docs PAGE`: the generated reference, on standard output.

use clap::ValueEnum;

use crate::site::docs;
use crate::{config, openapi};

/// A generated page.
#[derive(Clone, Copy, ValueEnum)]
pub enum Page {
    /// Every setting.
    Configuration,
    /// Every error.
    Errors,
    /// Every kind of audit event.
    Events,
    /// Every endpoint.
    Api,
    /// The OpenAPI document, JSON.
    Openapi,
}

/// Prints a page.
pub fn print(page: Page) {
    let text = match page {
        Page::Configuration => config::docs::render(),
        Page::Errors => docs::errors(),
        Page::Events => docs::events(),
        Page::Api => docs::api(),
        Page::Openapi => openapi::json().to_owned(),
    };
    println!("{}", text.trim_end());
}
