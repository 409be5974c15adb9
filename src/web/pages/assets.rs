//! The files that the pages load: one stylesheet, one icon sprite, the ES module of every page, and one for the pages
//! of action tokens.
//!
//! They are compiled in, and compressed (gzip) once per process. Their names contain a hash of their content, so they
//! can be cached forever (`immutable`), and a page from before an upgrade gets 404 for the old name rather than a file
//! that does not match it. To add one: a line in `ASSETS` and, if templates need its URL, a field in [`AssetUrls`].

use std::io::Write as _;
use std::sync::LazyLock;

use actix_web::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderMap, VARY};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use aws_lc_rs::digest::{SHA256, digest};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::domain::text::hex;
use crate::web::error::{Failure, Kind, Problem};

/// The path below which the files are served: `GET /assets/{name}`.
pub const PREFIX: &str = "/assets/";

/// The `Cache-Control` of an asset.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// A file, ready to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The content.
    pub bytes: &'static [u8],
    /// The content, compressed with gzip (RFC 1952).
    pub gzip: &'static [u8],
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// A strong entity tag, including the quotes.
    pub etag: &'static str,
}

/// The URLs that templates print.
#[derive(Clone, Copy, Debug)]
pub struct AssetUrls {
    /// The stylesheet.
    pub css: &'static str,
    /// The ES module.
    pub module: &'static str,
    /// The icon sprite. Icons are its fragments.
    pub icons: &'static str,
    /// The module of the pages of action tokens.
    pub action: &'static str,
}

struct Named {
    name: &'static str,
    url: &'static str,
    asset: Asset,
}

static ASSETS: LazyLock<[Named; 4]> = LazyLock::new(|| {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    let module = named("passkey", "js", SCRIPT, without_comments(include_str!("assets/passkey.js")));
    // In the source, a module imports another by its file name; as served, by the name with the hash.
    let action = without_comments(include_str!("assets/action.js")).replace("./passkey.js", module.url);
    [
        named("app", "css", "text/css; charset=utf-8", include_str!("assets/app.css").to_owned()),
        module,
        named("icons", "svg", "image/svg+xml", include_str!("assets/icons.svg").to_owned()),
        named("action", "js", SCRIPT, action),
    ]
});

static URLS: LazyLock<AssetUrls> = LazyLock::new(|| AssetUrls {
    css: ASSETS[0].url,
    module: ASSETS[1].url,
    icons: ASSETS[2].url,
    action: ASSETS[3].url,
});

/// Removes indentation, empty lines and full-line comments from a script. No string in a script may span several lines.
fn without_comments(script: &str) -> String {
    script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).fold(
        String::new(),
        |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        },
    )
}

/// Leaks the file and its names, once per process, because they are needed until it ends.
fn named(stem: &str, extension: &str, content_type: &'static str, text: String) -> Named {
    let text: &'static str = text.leak();
    let bytes = text.as_bytes();
    let hash = hex(&digest(&SHA256, bytes).as_ref()[..6]);
    let url: &'static str = format!("{PREFIX}{stem}.{hash}.{extension}").leak();
    let etag: &'static str = format!("\"{hash}\"").leak();
    let gzip: &'static [u8] = packed(bytes).unwrap_or_default().leak();
    Named { name: &url[PREFIX.len()..], url, asset: Asset { bytes, gzip, content_type, etag } }
}

fn packed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The URLs of all assets.
pub fn urls() -> AssetUrls {
    *URLS
}

/// The asset with exactly this name (the part after [`PREFIX`]), if this version has it.
pub fn find(name: &str) -> Option<Asset> {
    ASSETS.iter().find(|named| named.name == name).map(|named| named.asset)
}

/// Serves an asset, compressed if the client accepts gzip.
pub async fn serve(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let Some(asset) = find(&name) else {
        let failure = Failure::new(Kind::NotFound, "There is no such file, or it belongs to another version.");
        return Problem(failure).error_response();
    };
    let mut response = HttpResponse::Ok();
    response
        .content_type(asset.content_type)
        .insert_header((CACHE_CONTROL, FOR_EVER))
        .insert_header((VARY, "Accept-Encoding"));
    if asset.gzip.is_empty() || !takes_gzip(request.headers()) {
        return response.insert_header((ETAG, asset.etag)).body(asset.bytes);
    }
    // Different bytes require a different strong entity tag (RFC 9110 §8.8.3).
    let etag = asset.etag.replacen('"', "\"z", 1);
    response.insert_header((ETAG, etag)).insert_header((CONTENT_ENCODING, "gzip")).body(asset.gzip)
}

/// Whether gzip is listed and not excluded by its weight (RFC 9110 §12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
    codings.flat_map(|text| text.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().trim_start_matches("q=").trim_end_matches(['0', '.']);
        name.trim().eq_ignore_ascii_case("gzip") && (!weight.is_empty() || !one.contains(';'))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

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

    #[test]
    fn a_script_loses_what_only_its_readers_need() {
        let script = "// Job.\n\n/** Doc. */\nconst a = 1; // one\n  if (a) {\n    // why\n    b(`x`);\n  }\n";
        assert_eq!(without_comments(script), "/** Doc. */\nconst a = 1; // one\nif (a) {\nb(`x`);\n}\n");
        for text in [include_str!("assets/passkey.js"), include_str!("assets/action.js")] {
            for line in text.lines() {
                assert_eq!(line.matches('`').count() % 2, 0, "a text over several lines: {line}");
            }
        }
    }

    #[test]
    fn gzip_is_sent_to_whoever_takes_it() {
        for (accepted, packed) in [
            ("gzip, deflate, br, zstd", true),
            ("br;q=1.0, GZIP;q=0.8", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("gzip; q=1", true),
            ("identity", false),
            ("x-gzip", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, accepted.parse().unwrap());
            assert_eq!(takes_gzip(&headers), packed, "{accepted}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn what_is_packed_is_the_file() {
        for named in ASSETS.iter() {
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(named.asset.gzip).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, named.asset.bytes, "{}", named.name);
        }
    }

    /// The sizes of the files as sent.
    #[test]
    fn the_files_stay_small() {
        for (file, limit) in [("app.css", 6), ("passkey.js", 8), ("icons.svg", 4), ("action.js", 1)] {
            let named = ASSETS.iter().find(|named| file.starts_with(named.name.split('.').next().unwrap())).unwrap();
            let size = named.asset.gzip.len();
            assert!(size <= limit * 1024, "{file} has {size} bytes, more than {limit} KiB");
        }
    }
}
