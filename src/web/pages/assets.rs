//! The files that the pages load: one stylesheet, one icon sprite, the ES module of every page, and one for pages of actions.
//!
//! They are compiled in. Their names carry a hash of their content, so they may be cached for ever (`immutable`), and a
//! page from before an upgrade gets a 404 for its old name rather than a file that does not fit it. To add one: a line in
//! `ASSETS` and, when templates need its address, a field in [`AssetUrls`].

use std::sync::LazyLock;

use actix_web::ResponseError as _;
use aws_lc_rs::digest::{SHA256, digest};

use crate::domain::text::hex;
use crate::web::error::{Failure, Kind, Problem};

/// Where the files are served: `GET /assets/{name}`.
pub const PREFIX: &str = "/assets/";

/// What to send as `Cache-Control` with a found asset.
pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// One file, ready to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The content.
    pub bytes: &'static [u8],
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// A strong entity tag, with its quotes.
    pub etag: &'static str,
}

/// The addresses that templates print.
#[derive(Clone, Copy, Debug)]
pub struct AssetUrls {
    /// The stylesheet.
    pub css: &'static str,
    /// The ES module.
    pub module: &'static str,
    /// The icon sprite; icons are its fragments.
    pub icons: &'static str,
    /// The module of pages on which an app lets somebody do one thing.
    pub action: &'static str,
}

struct Named {
    name: &'static str,
    url: &'static str,
    asset: Asset,
}

static ASSETS: LazyLock<[Named; 4]> = LazyLock::new(|| {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    let module = named("passkey", "js", SCRIPT, include_bytes!("assets/passkey.js"));
    // A module imports another by its file's name here, and by the name with the hash once it is served.
    let action: &'static str = include_str!("assets/action.js").replace("./passkey.js", module.url).leak();
    [
        named("app", "css", "text/css; charset=utf-8", include_bytes!("assets/app.css")),
        module,
        named("icons", "svg", "image/svg+xml", include_bytes!("assets/icons.svg")),
        named("action", "js", SCRIPT, action.as_bytes()),
    ]
});

static URLS: LazyLock<AssetUrls> = LazyLock::new(|| AssetUrls {
    css: ASSETS[0].url,
    module: ASSETS[1].url,
    icons: ASSETS[2].url,
    action: ASSETS[3].url,
});

/// Leaks three short strings, once in the life of the process: they are needed until its end.
fn named(stem: &str, extension: &str, content_type: &'static str, bytes: &'static [u8]) -> Named {
    let hash = hex(&digest(&SHA256, bytes).as_ref()[..6]);
    let url: &'static str = format!("{PREFIX}{stem}.{hash}.{extension}").leak();
    let etag: &'static str = format!("\"{hash}\"").leak();
    Named { name: &url[PREFIX.len()..], url, asset: Asset { bytes, content_type, etag } }
}

/// The addresses of all assets.
pub fn urls() -> AssetUrls {
    *URLS
}

/// The asset of exactly this name (what follows [`PREFIX`]), if it is one of today's.
pub fn find(name: &str) -> Option<Asset> {
    ASSETS.iter().find(|named| named.name == name).map(|named| named.asset)
}

/// Serves an asset.
pub async fn serve(name: actix_web::web::Path<String>) -> actix_web::HttpResponse {
    match find(&name) {
        Some(asset) => actix_web::HttpResponse::Ok()
            .content_type(asset.content_type)
            .insert_header(("cache-control", CACHE_CONTROL))
            .insert_header(("etag", asset.etag))
            .body(asset.bytes),
        None => Problem(Failure::new(Kind::NotFound, "There is no such file, or it is of another version."))
            .error_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_url_finds_its_file_and_nothing_else_does() {
        for (url, content_type) in
            [(urls().css, "text/css"), (urls().module, "text/javascript"), (urls().icons, "image/svg")]
        {
            let asset = find(url.strip_prefix(PREFIX).unwrap()).unwrap();
            assert!(asset.content_type.starts_with(content_type), "{url}");
            assert!(url.contains(asset.etag.trim_matches('"')), "{url}");
        }
        let action = std::str::from_utf8(ASSETS[3].asset.bytes).unwrap();
        assert!(action.contains(&format!("from \"{}\"", urls().module)), "the import names the served file");
        for name in ["", "app.css", "app.000000000000.css", "../app.css", "passkey.js"] {
            assert!(find(name).is_none(), "{name}");
        }
    }

    /// `pages.md` §1.11, before compression.
    #[test]
    fn the_files_stay_small() {
        for (file, limit) in [("app.css", 24), ("passkey.js", 24), ("icons.svg", 6), ("action.js", 4)] {
            let named = ASSETS.iter().find(|named| file.starts_with(named.name.split('.').next().unwrap())).unwrap();
            let size = named.asset.bytes.len();
            assert!(size <= limit * 1024, "{file} has {size} bytes, more than {limit} KiB");
        }
    }
}
