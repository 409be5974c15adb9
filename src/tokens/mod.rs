//! Tokens and keys: what we sign, and how we verify our own signatures.
//!
//! No HTTP, no SQL, no clock: `storage` reads and writes the rows, and this room interprets them ([`holder`] and
//! [`rotate`] pass them on, sealed).
//!
//! Invariants:
//! - [`signer`] is the only place that signs and [`verifier`] the only place that verifies (a test below checks the
//!   sources);
//! - the key and the place determine algorithm and `typ`, never the token;
//! - private members never reach [`jwks`]; private keys are stored only sealed by [`seal`].
//!
//! To add a kind of token: a claims type in [`claims`], its `typ` in [`typ`], and one function in [`verifier::places`]
//! that says what is expected of it.

pub mod claims;
pub mod dpop;
pub mod holder;
pub mod jwks;
pub mod key_set;
pub mod keys;
pub mod mint;
pub mod probe;
pub mod provider;
pub mod refresh;
pub mod remembered;
pub mod ring;
pub mod rotate;
pub mod seal;
pub mod signer;
pub mod subject;
pub mod verifier;

pub use holder::{Keys, KeysError};
pub use mint::{ClientGrant, Grant, Mint, MintError, MintSettings, RefreshSeed, TokenSet};

/// The `typ` header of each kind of token, so that no kind can be used as another (RFC 8725 §3.11).
pub mod typ {
    /// Access token (RFC 9068 §2.1).
    pub const ACCESS: &str = "at+jwt";
    /// ID token (OpenID Connect Core leaves `typ` to JWT's usual value).
    pub const ID: &str = "JWT";
    /// Refresh token; our own type.
    pub const REFRESH: &str = "rt+jwt";
    /// A client's assertion about itself (rfc7523bis §4); older clients omit it or write `JWT`.
    pub const CLIENT_ASSERTION: &str = "client-authentication+jwt";
    /// Signed authorization request (RFC 9101 §10.8); older clients omit it or write `JWT`.
    pub const REQUEST_OBJECT: &str = "oauth-authz-req+jwt";
    /// DPoP proof (RFC 9449 §4.2).
    pub const DPOP: &str = "dpop+jwt";
    /// Identity assertion grant, ours or a trusted issuer's (draft-ietf-oauth-identity-assertion-authz-grant).
    pub const ID_JAG: &str = "oauth-id-jag+jwt";
    /// Logout token (OpenID Connect Back-Channel Logout §2.4).
    pub const LOGOUT: &str = "logout+jwt";
    /// Result of an action token, for the client that created it; our own type.
    pub const ACTION_RESULT: &str = "action-result+jwt";
    /// Proof that a person signed one operation, for the client that carries it out; our own type.
    pub const TRANSACTION_PROOF: &str = "transaction-proof+jwt";
    /// Transaction token (draft-ietf-oauth-transaction-tokens-10): neither a credential nor an access token.
    pub const TRANSACTION: &str = "txntoken+jwt";
    /// Signed introspection response (RFC 9701 §5).
    pub const INTROSPECTION: &str = "token-introspection+jwt";
    /// The claims about a person in the signed header for a protected host; our own type.
    pub const FORWARD: &str = "forward-auth+jwt";
}

#[cfg(test)]
mod gate {
    use std::fs;
    use std::path::Path;

    use crate::sources;

    /// Which of `words` occur in which files of the crate, except files whose path begins with one of `allowed`.
    fn offenders(words: &[&str], allowed: &[&str]) -> Vec<String> {
        let files = sources::under("");
        assert!(files.len() > 10, "the sources were found");
        let mut found = Vec::new();
        for (name, text) in files {
            // This file names the words in order to forbid them.
            if name == "tokens/mod.rs" || allowed.iter().any(|allowed| name.starts_with(allowed)) {
                continue;
            }
            found.extend(words.iter().filter(|word| text.contains(**word)).map(|word| format!("{name}: {word}")));
        }
        found
    }

    /// One signer and one verifier: a second caller of the library would mean a second set of rules.
    #[test]
    fn only_the_signer_signs_and_only_the_verifier_verifies() {
        let verify = ["jsonwebtoken::decode", "crypto::verify", "insecure_decode", "decode_header", "jws::decode"];
        assert_eq!(offenders(&verify, &["tokens/verifier.rs"]), Vec::<String>::new());
        let sign = ["jsonwebtoken::encode", "crypto::sign", "jws::encode"];
        assert_eq!(offenders(&sign, &["tokens/signer.rs"]), Vec::<String>::new());
    }

    /// The duration of `==` reveals how much of a guess was right. The types that hold secrets do not implement it, and
    /// nobody may bypass them.
    #[test]
    fn no_secret_is_compared_with_equals() {
        let words = ["expose() ==", "expose() !=", "expose().as_bytes() ==", "expose().as_slice() =="];
        // A test that compares a key which it made itself.
        assert_eq!(offenders(&words, &["bridge/preset/target_tests.rs"]), Vec::<String>::new());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/domain/secret.rs");
        let secrets = fs::read_to_string(source).unwrap();
        for holder in ["pub struct Secret<", "pub struct PlainToken("] {
            let (above, _) = secrets.split_once(holder).unwrap();
            assert!(!above.rsplit("\n\n").next().unwrap().contains("PartialEq"), "{holder}");
        }
        assert!(!secrets.contains("PartialEq for"));
    }

    /// Without this, an alias (`use jsonwebtoken as jwt`) in another room would evade the test above.
    #[test]
    fn only_the_tokens_room_knows_the_library() {
        assert_eq!(offenders(&["jsonwebtoken"], &["tokens/"]), Vec::<String>::new());
        // Within the room, an alias, a glob or an import list could evade it too.
        assert_eq!(offenders(&["jsonwebtoken as", "jsonwebtoken::*", "crypto::*"], &[]), Vec::<String>::new());
        for name in
            ["provider.rs", "ring.rs", "signer.rs", "verifier.rs", "keys.rs", "keys/material.rs", "keys/public.rs"]
        {
            let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tokens").join(name)).unwrap();
            for list in text.split("jsonwebtoken::{").skip(1).chain(text.split("jsonwebtoken::crypto::{").skip(1)) {
                let list = list.split_once('}').unwrap().0;
                let types_only = list.split(',').all(|item| item.trim().chars().next().is_none_or(char::is_uppercase));
                assert!(types_only, "{name} imports a function: {list}");
            }
        }
    }
}
