//! A plain JSON Web Token (RFC 7519), for any target that verifies one with a JWKS, a PEM key or a shared secret.

use super::about::{About, Snippet, Verified};
use super::target::{PLAIN, Target};

/// In words.
pub const ABOUT: About = About {
    title: "Any JWT verifier",
    page: "jwt",
    summary: "A plain signed JWT for one audience.",
    verified: Verified::Live(
        "Envoy 1.39 (jwt_authn), HAProxy 2.6 (jwt_verify), Apache mod_auth_openidc 2.4.12, jose 6",
    ),
    key_lag: 10,
    example: r#"[bridges.backend]
preset = "jwt"
audience = "https://backend.example.com"
"#,
    other_side: &[Snippet { place: "The key set", language: "text", text: "{jwks_url}" }],
    notes: &[],
};

/// The preset `jwt`.
pub static JWT: Target = PLAIN;
