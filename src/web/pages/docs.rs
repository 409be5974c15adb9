//! The layout of the documentation that the server renders: the API reference and the guides.

use askama::Template;

use super::Frame;
use super::messages::Html;

/// HTML made from our own sources, never from what a visitor sent.
#[derive(Clone, Debug)]
pub struct OwnMarkup(Html);

impl OwnMarkup {
    /// The caller guarantees that `markup` is ours, well-formed, and without inline styles or handlers.
    pub fn new(markup: String) -> Self {
        Self(Html::trusted(markup))
    }

    fn html(&self) -> &Html {
        &self.0
    }
}

/// A page in the navigation.
#[derive(Clone, Debug)]
pub struct DocLink {
    /// The URL.
    pub href: String,
    /// The title.
    pub title: String,
    /// Whether it is the current page.
    pub current: bool,
}

/// A documentation page.
#[derive(Clone, Debug, Template)]
#[template(path = "doc.html")]
pub struct DocPage {
    /// The frame.
    pub frame: Frame,
    /// The title, printed as the only `h1`.
    pub title: String,
    /// The content below the title. Its headings start at `h2`.
    pub body: OwnMarkup,
    /// The sections of this page.
    pub contents: Vec<DocLink>,
    /// All pages.
    pub nav: Vec<DocLink>,
}

impl DocPage {
    fn title(&self) -> &str {
        &self.title
    }
}
