//! Fetches, checks and caches the logos of clients, so that our own pages can embed them.
//!
//! Invariants: a browser never requests a picture from a client's server, which would learn who is about to sign in,
//! and when; only bitmaps are shown, recognised by their first bytes and not by the declared type, so no SVG with
//! scripts and no HTML; an address is contacted by one request at a time, and not again for a while.

use std::sync::Arc;
use std::time::Duration as Wait;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Duration;
use moka::sync::Cache;
use tokio::sync::Mutex;

use super::{Outbound, lru};
use crate::clock::{Clock, Time};

/// How long a picture is used before it is fetched again.
const LIFE: Duration = Duration::days(1);
/// How long an address without a picture is not contacted again.
const PAUSE: Duration = Duration::minutes(10);
/// How long a page waits for a picture.
const WAIT: Wait = Wait::from_secs(2);
/// The number of clients whose pictures are cached, of at most 64 KiB each.
const CAPACITY: u64 = 200;

/// The cached pictures.
pub struct Logos {
    outbound: Outbound,
    clock: Clock,
    kept: Cache<String, Arc<Mutex<Kept>>>,
}

/// The state of one client's address.
#[derive(Default)]
struct Kept {
    uri: String,
    asked_at: Option<Time>,
    picture: Option<String>,
}

impl Kept {
    fn is_fresh(&self, now: Time) -> bool {
        let life = if self.picture.is_some() { LIFE } else { PAUSE };
        self.asked_at.is_some_and(|asked| now < asked + life)
    }
}

impl Logos {
    /// An empty cache with DNS lookups of its own.
    pub fn new(outbound: &Outbound, clock: Clock) -> Self {
        Self { outbound: outbound.apart(), clock, kept: lru(CAPACITY) }
    }

    /// A client's picture as a `data:` URL; `None` if there is none, or not in time.
    pub async fn of(&self, client: &str, uri: &str) -> Option<String> {
        let slot = self.kept.get_with(client.to_owned(), Arc::default);
        tokio::time::timeout(WAIT, self.fetched(&slot, uri)).await.ok().flatten()
    }

    async fn fetched(&self, slot: &Mutex<Kept>, uri: &str) -> Option<String> {
        // Held while fetching, so that concurrent callers wait for the same response.
        let mut kept = slot.lock().await;
        let now = self.clock.now();
        if kept.uri != uri {
            *kept = Kept { uri: uri.to_owned(), ..Kept::default() };
        }
        if !kept.is_fresh(now) {
            kept.asked_at = Some(now);
            kept.picture = None;
            let answer = self.outbound.get(uri, "image/png, image/webp, image/jpeg, image/gif", "logo").await.ok()?;
            kept.picture = data_url(&answer.body);
            if kept.picture.is_none() {
                tracing::warn!("a client's logo is no PNG, WebP, JPEG or GIF");
            }
        }
        kept.picture.clone()
    }
}

fn data_url(bytes: &[u8]) -> Option<String> {
    Some(format!("data:{};base64,{}", media_type(bytes)?, STANDARD.encode(bytes)))
}

/// The type of a picture by its first bytes (MIME Sniffing §6.1); `None` for anything but bitmaps.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', b'V', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bitmaps_are_pictures() {
        for (bytes, expected) in [
            (&b"\x89PNG\r\n\x1a\n\0\0"[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0\0", Some("image/jpeg")),
            (b"GIF89a\x01", Some("image/gif")),
            (b"GIF87a\x01", Some("image/gif")),
            (b"RIFF\x1a\0\0\0WEBPVP8L", Some("image/webp")),
            (b"RIFF\x1a\0\0\0WAVEfmt ", None),
            (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", None),
            (b"<!doctype html><script>alert(1)</script>", None),
            (b" \x89PNG\r\n\x1a\n", None),
            (b"\x89PNG", None),
            (b"", None),
        ] {
            assert_eq!(media_type(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_page_gets_the_picture_itself() {
        assert_eq!(data_url(b"\xff\xd8\xff").as_deref(), Some("data:image/jpeg;base64,/9j/"));
    }
}
