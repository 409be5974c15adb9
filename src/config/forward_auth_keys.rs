//! The keys of `[forward_auth."<origin>"]`.

use super::forward_auth::HeaderStyle;
use super::min_acr;
use super::section::{Choice, Fallback, Kind, Section, key};

pub(super) const SECTION: Section = Section {
    title: "Forward auth",
    doc: "`[forward_auth.\"<origin>\"]`, in the file only: apps behind nginx, Caddy or Traefik that Passmint lets people \
          into. The origin is scheme, host and port as browsers write them; a host that is not listed is nobody's. The \
          proxies that may ask are those of `trusted_proxies`. [Set-ups to copy](../bridges/forward-auth.md).",
    keys: &[
        key(
            "forward_auth.<identifier>.name",
            Kind::Text("name to show"),
            Fallback::Derived("the host"),
            "What people are shown when they sign in for the app.",
        ),
        key(
            "forward_auth.<identifier>.rules",
            Kind::Tree,
            Fallback::Unset,
            "What is asked of requests, in order; the first that covers a request decides: `rules = [ { path = \
             \"/public/\", access = \"public\" }, { path = \"/admin\", groups = [\"admins\"], max_age = \"15m\" } ]`. A rule has a \
             `path` (which covers what is below it), perhaps `methods`, and `access` (`public`, `signed-in` or `refused`) or \
             what it asks of people: `groups`, `scopes`, `min_acr`, `max_age`. A path that could be read in two ways is held to \
             all rules at once.",
        ),
        key(
            "forward_auth.<identifier>.groups",
            Kind::List("group"),
            Fallback::Value(""),
            "The groups of which a person must be in one, for requests that no rule covers; empty for everybody signed in.",
        ),
        key(
            "forward_auth.<identifier>.scopes",
            Kind::List("scope"),
            Fallback::Value(""),
            "The scopes that an access token must have, for requests that no rule covers; only with `bearer_audience`. Browsers \
             come without.",
        ),
        key(
            "forward_auth.<identifier>.min_acr",
            Kind::Choice(min_acr::WORDS),
            Fallback::Unset,
            "The least authentication context, for requests that no rule covers: `phr` for a passkey with user verification. \
             `phrh`, in attested hardware, is refused: attestation is not verified yet, so nobody reaches it.",
        ),
        key(
            "forward_auth.<identifier>.max_age",
            Kind::Duration("10s", "400d"),
            Fallback::Unset,
            "How long ago a person may have signed in at most, for requests that no rule covers.",
        ),
        key(
            "forward_auth.<identifier>.headers",
            Kind::Choice(HeaderStyle::WORDS),
            Fallback::Value("authelia"),
            "Which headers the app is told the person with, as apps know them from others.",
        ),
        key(
            "forward_auth.<identifier>.more_headers",
            Kind::Tree,
            Fallback::Unset,
            "Further headers, each with what it says: `user`, `id`, `email` (verified only), `name`, `groups` (with commas), \
             `groups|` (with bars) or `acr`.",
        ),
        key(
            "forward_auth.<identifier>.user",
            Kind::Text("`id`, `email` or `link:<source>`"),
            Fallback::Value("id"),
            "What the app knows a person by: the account's id, the verified e-mail address, or the one id that another system \
             has for them. Who has none is not let in.",
        ),
        key(
            "forward_auth.<identifier>.lifetime",
            Kind::Duration("1m", "90d"),
            Fallback::Value("12h"),
            "How long the app's cookie is good. It ends with the person's session in any case.",
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
            "How long that token is good; it is made anew for every request.",
        ),
        key(
            "forward_auth.<identifier>.bearer_audience",
            Kind::Text("identifier of a resource"),
            Fallback::Unset,
            "Access tokens of people for this audience are taken instead of the cookie. Not set: an `Authorization` header is \
             the app's own business.",
        ),
    ],
};
