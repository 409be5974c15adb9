//! The keys of `[forward_auth."<origin>"]`.

use super::forward_auth::HeaderStyle;
use super::min_acr;
use super::section::{Choice, Fallback, Kind, Section, key};

pub(super) const SECTION: Section = Section {
    title: "Forward auth",
    doc: "`[forward_auth.\"<origin>\"]`, in the file only: apps behind nginx, Caddy or Traefik that Passmint lets \
        people into. The origin is scheme, host and port as browsers write them; nobody gets in to a host that is not \
        listed. Only the proxies in `trusted_proxies` may ask. [Set-ups to copy](../bridges/forward-auth.md).",
    keys: &[
        key(
            "forward_auth.<identifier>.name",
            Kind::Text("name to show"),
            Fallback::Derived("the host"),
            "The name shown to people when they sign in for the app.",
        ),
        key(
            "forward_auth.<identifier>.rules",
            Kind::Tree,
            Fallback::Unset,
            "The rules for requests, in order; the first that matches a request decides: `rules = [ { path = \
             \"/public/\", access = \"public\" }, { path = \"/admin\", groups = [\"admins\"], max_age = \"15m\" } ]`. \
             A rule has a `path` (which includes everything below it), optionally `methods`, and `access` (`public`, \
             `signed-in` or `refused`) or requirements: `groups`, `scopes`, `min_acr`, `max_age`. A path that could be \
             read in two ways must satisfy all rules at once.",
        ),
        key(
            "forward_auth.<identifier>.groups",
            Kind::List("group"),
            Fallback::Value(""),
            "The groups of which a person must be in at least one, for requests that match no rule; empty for \
             everybody signed in.",
        ),
        key(
            "forward_auth.<identifier>.scopes",
            Kind::List("scope"),
            Fallback::Value(""),
            "The scopes that an access token must have, for requests that match no rule; only with `bearer_audience`. \
             They do not apply to browsers.",
        ),
        key(
            "forward_auth.<identifier>.min_acr",
            Kind::Choice(min_acr::WORDS),
            Fallback::Unset,
            "The lowest accepted `acr`, for requests that match no rule: `phr` for a passkey with user verification. \
             `phrh`, in attested hardware, is refused: attestation is not verified yet, so nothing reaches it.",
        ),
        key(
            "forward_auth.<identifier>.max_age",
            Kind::Duration("10s", "400d"),
            Fallback::Unset,
            "The greatest accepted age of the sign-in, for requests that match no rule.",
        ),
        key(
            "forward_auth.<identifier>.headers",
            Kind::Choice(HeaderStyle::WORDS),
            Fallback::Value("authelia"),
            "Which set of headers names the person to the app, as other forward-auth servers send them.",
        ),
        key(
            "forward_auth.<identifier>.more_headers",
            Kind::Tree,
            Fallback::Unset,
            "Further headers, each with its content: `user`, `id`, `email` (verified only), `name`, `groups` (with \
             commas), `groups|` (with bars) or `acr`.",
        ),
        key(
            "forward_auth.<identifier>.user",
            Kind::Text("`id`, `email` or `link:<source>`"),
            Fallback::Value("id"),
            "What identifies a person to the app: the account's ID, the verified e-mail address, or the ID that \
             another system has for them. A person without one is not let in.",
        ),
        key(
            "forward_auth.<identifier>.lifetime",
            Kind::Duration("1m", "90d"),
            Fallback::Value("12h"),
            "How long the app's cookie is valid. It ends with the person's session in any case.",
        ),
        key(
            "forward_auth.<identifier>.assertion_header",
            Kind::Text("header"),
            Fallback::Unset,
            "A header that says who the person is in a signed token (ES256, keys at `/v1/forward-auth/jwks.json`), for apps that \
             do not rely on the proxy alone.",
        ),
        key(
            "forward_auth.<identifier>.assertion_audience",
            Kind::Text("audience"),
            Fallback::Derived("the origin"),
            "The `aud` of that token.",
        ),
        key(
            "forward_auth.<identifier>.assertion_lifetime",
            Kind::Duration("10s", "60s"),
            Fallback::Value("60s"),
            "How long that token is valid; a new one is made for every request.",
        ),
        key(
            "forward_auth.<identifier>.bearer_audience",
            Kind::Text("identifier of a resource"),
            Fallback::Unset,
            "People's access tokens for this audience are accepted instead of the cookie. Not set: `Authorization` \
             headers are left to the app.",
        ),
    ],
};
