//! The secret of a confidential client: read, digested, then dropped.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::client_keys::ClientKind;
use super::problems::{Wrong, quoted};
use super::reader::Reader;
use crate::domain::secret::{PlainToken, TokenDigest, TokenKind};

const MAKE_ONE: &str = "make one with `passmint clients secret`, which prints the secret and its digest";

/// Reads the digest of a client's secret from `secret_digest` or `secret_file`. It is required for a confidential
/// client that cannot authenticate otherwise; a public client has none.
pub(super) fn read(reader: &mut Reader<'_>, id: &str, kind: ClientKind, needs_none: bool) -> Option<TokenDigest> {
    let key = |field: &str| format!("clients.{id}.{field}");
    let (plain, file, digest) = (key("secret"), key("secret_file"), key("secret_digest"));
    if reader.is_given(&plain) {
        let cure = "write its SHA-256 as secret_digest or name a file as secret_file; and make a new secret, this one \
                    has been written down";
        reader.mistake(&plain, Wrong::new("is a secret in clear text", cure));
    }
    reader.text_as(&plain, |_| Ok(()));
    let from_digest = reader.text_as(&digest, read_digest);
    let path = reader.path(&file);
    let from_file = path.as_deref().and_then(|path| read_file(reader, &file, path));
    match (kind, reader.is_given(&digest), reader.is_given(&file)) {
        (ClientKind::Public, false, false) => None,
        (ClientKind::Public, is_digest, _) => {
            let wrong = Wrong::new("is given to a public client", "write kind = \"confidential\", or remove it");
            reader.contradiction(if is_digest { &digest } else { &file }, &[&key("kind")], wrong);
            None
        }
        (ClientKind::Confidential, true, true) => {
            reader.mistake(&digest, Wrong::new("is given twice, also as secret_file", "keep one of the two"));
            from_digest
        }
        (ClientKind::Confidential, false, false) if needs_none => None,
        (ClientKind::Confidential, false, false) if !reader.is_given(&plain) => {
            let cure = format!("give it a secret_digest or secret_file: {MAKE_ONE}");
            // A client whose workloads could not be read needs no secret.
            let wrong = Wrong::new("is confidential and has no secret", cure);
            reader.contradiction(&key("kind"), &[&key("federated")], wrong);
            None
        }
        (ClientKind::Confidential, ..) => from_digest.or(from_file),
    }
}

fn read_file(reader: &mut Reader<'_>, key: &str, path: &Path) -> Option<TokenDigest> {
    let place = reader.place(key);
    let content = reader.read_file(key, path, &place)?;
    let digest = PlainToken::parse(TokenKind::ClientSecret, &content).map(|token| token.digest());
    if digest.is_none() {
        let what = format!("the file {} does not hold a client secret (pmk_…)", quoted(&path.to_string_lossy()));
        reader.mistake(key, Wrong::new(what, MAKE_ONE));
    }
    digest
}

fn read_digest(text: &str) -> Result<TokenDigest, Wrong> {
    let bytes = if text.len() == 64 { from_hex(text) } else { URL_SAFE_NO_PAD.decode(text).ok() };
    // The text is not repeated, because it may be a secret in the wrong place.
    let digest = bytes
        .and_then(|bytes| TokenDigest::from_stored(&bytes))
        .ok_or_else(|| Wrong::new("is not a SHA-256 in hex (64 characters) or base64url (43 characters)", MAKE_ONE))?;
    if digest == TokenDigest::of("") {
        return Err(Wrong::new("is the SHA-256 of nothing: anybody would be this client", MAKE_ONE));
    }
    Ok(digest)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes().chunks(2).map(|pair| Some(nibble(pair[0])? << 4 | nibble(*pair.get(1)?)?)).collect()
}
