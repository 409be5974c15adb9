//! The keys of `[clients.<client_id>]`, and the choices for some of them.

use super::section::{Choice, Fallback, Key, Kind, Section, choices};
use super::tokens::Algorithm;

choices! {
    /// Whether a client can keep a secret (RFC 6749 §2.1).
    ClientKind {
        /// It runs on its users' devices and cannot keep a secret.
        Public = "public",
        /// It runs on a server and can keep one.
        Confidential = "confidential",
    }
}

choices! {
    /// A way to get tokens.
    Grant {
        /// A passkey ceremony whose result is tokens.
        Passkey = "passkey",
        /// A code from the authorization endpoint (RFC 6749 §4.1).
        AuthorizationCode = "authorization_code",
        /// A refresh token (RFC 6749 §6).
        RefreshToken = "refresh_token",
        /// The app itself, without a person (RFC 6749 §4.4).
        ClientCredentials = "client_credentials",
        /// A device without a browser (RFC 8628).
        DeviceCode = "device_code",
        /// One token for another (RFC 8693), by the rules under `exchange_rules`.
        TokenExchange = "token_exchange",
        /// The token of a trusted issuer (RFC 7523).
        JwtBearer = "jwt_bearer",
    }
}

pub(super) const SECTION: Section = Section {
    title: "Clients",
    doc: "`[clients.<client_id>]`, in the file only: the apps that may request tokens. While the host of `public_url` \
        is `localhost` there is one more, `quickstart`: public, first party, with `public_url` as its origin, for the \
        grants `passkey` and `refresh_token` and the scopes `openid profile email offline_access passkeys bridge:*`.",
    keys: &[
        Key {
            path: "clients.<client_id>.name",
            kind: Kind::Text("name to show"),
            default: Fallback::Derived("the client id"),
            doc: "The name shown to people when the app asks for something.",
        },
        Key {
            path: "clients.<client_id>.kind",
            kind: Kind::Choice(ClientKind::WORDS),
            default: Fallback::Value("public"),
            doc: "`confidential` for a server that keeps a secret, `public` for everything that runs on its users' \
                  devices.",
        },
        Key {
            path: "clients.<client_id>.first_party",
            kind: Kind::Switch,
            default: Fallback::Value("false"),
            doc: "Whether the app is your own: nobody is asked for consent, and it may run passkey ceremonies itself.",
        },
        Key {
            path: "clients.<client_id>.origins",
            kind: Kind::List("origin"),
            default: Fallback::Value(""),
            doc: "The origins that the app runs on, byte for byte; they may call the server from a browser (CORS), but not \
                  for tokens where the app is confidential: its secret has no business in a page. With \
                  the grant `passkey` each must belong to a relying party. Left out of a public app with \
                  `authorization_code`, they are those of its redirect URIs: https, or http on `localhost`. Its pages at a \
                  loopback address among them (`http://127.0.0.1:5173`) may call the OAuth endpoints in any case.",
        },
        Key {
            path: "clients.<client_id>.redirect_uris",
            kind: Kind::List("URI"),
            default: Fallback::Value(""),
            doc: "Where answers may be sent, compared exactly: https, http on loopback, or a private-use scheme with a \
                dot such as `com.example.app:/callback`. Only the port may differ, on `http://127.0.0.1` and \
                `http://[::1]`, and on `http://localhost` if a public app names none here.",
        },
        Key {
            path: "clients.<client_id>.grants",
            kind: Kind::Choices(Grant::WORDS),
            default: Fallback::Required,
            doc: "How the app may get tokens. `passkey` is for first-party apps only.",
        },
        Key {
            path: "clients.<client_id>.scopes",
            kind: Kind::List("scope"),
            default: Fallback::Value("openid"),
            doc: "The scopes the app may request. `bridge:*` means every bridge.",
        },
        Key {
            path: "clients.<client_id>.relying_party",
            kind: Kind::Text("name of a relying party"),
            default: Fallback::Derived("the default relying party"),
            doc: "The relying party of the app's requests that come without an `Origin`, as from native code.",
        },
        Key {
            path: "clients.<client_id>.audiences",
            kind: Kind::List("audience"),
            default: Fallback::Value(""),
            doc: "The audiences that the app's access tokens may have, besides the issuer itself.",
        },
        Key {
            path: "clients.<client_id>.secret",
            kind: Kind::Secret,
            default: Fallback::Unset,
            doc: "Refused: a secret in clear text does not belong here. Use `secret_digest` or `secret_file`.",
        },
        Key {
            path: "clients.<client_id>.secret_digest",
            kind: Kind::Secret,
            default: Fallback::Unset,
            doc: "SHA-256 of the app's generated secret (`pmk_…`), in hex or base64url. A confidential client has this or \
                  `secret_file`.",
        },
        Key {
            path: "clients.<client_id>.secret_file",
            kind: Kind::Path,
            default: Fallback::Unset,
            doc: "A file that holds the app's generated secret (`pmk_…`); only its digest is kept.",
        },
        Key {
            path: "clients.<client_id>.access_ttl",
            kind: Kind::Duration("1m", "24h"),
            default: Fallback::Derived("`tokens.access_ttl`"),
            doc: "How long the app's access tokens live.",
        },
        Key {
            path: "clients.<client_id>.refresh",
            kind: Kind::Switch,
            default: Fallback::Derived("`true` with the grant `refresh_token`"),
            doc: "Whether the app is given refresh tokens; `false` keeps the grant but issues no new ones.",
        },
        Key {
            path: "clients.<client_id>.id_token_algorithm",
            kind: Kind::Choice(Algorithm::WORDS),
            default: Fallback::Value("RS256"),
            doc: "The signature algorithm of the app's ID tokens; OpenID Connect requires everybody to support RS256.",
        },
        Key {
            path: "clients.<client_id>.may_introspect",
            kind: Kind::List("audience"),
            default: Fallback::Value(""),
            doc: "The audiences whose tokens the app may introspect; for confidential clients.",
        },
    ],
};
