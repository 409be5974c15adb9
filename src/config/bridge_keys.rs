//! The keys of `[bridges.<name>]`.

use super::min_acr;
use super::section::{Fallback, Kind, Section, key};
use crate::bridge::{Algorithm, AudienceForm, KeySource, PresetKind, Typ};

const BY_PRESET: Fallback = Fallback::Derived("what the preset says");

pub(super) const SECTION: Section = Section {
    title: "Bridges",
    doc: "`[bridges.<name>]`, in the file only: targets for which custom tokens are minted. This server never accepts \
        a bridge's token.",
    keys: &[
        key(
            "bridges.<name>.preset",
            Kind::Choice(PresetKind::WORDS),
            Fallback::Required,
            "The template for the bridge; it fills in what is omitted and forbids what its target would misread.",
        ),
        key("bridges.<name>.enabled", Kind::Switch, Fallback::Value("true"), "Whether tokens are minted."),
        key(
            "bridges.<name>.service_account_file",
            Kind::Path,
            Fallback::Unset,
            "The JSON file of the Google service account whose key signs; for `firebase` and `firebase-tenant`.",
        ),
        key(
            "bridges.<name>.key",
            Kind::Choice(KeySource::WORDS),
            Fallback::Derived("`imported` with a file of a key, else `own`"),
            "Whose key signs: `own`, created and rotated for this bridge alone; `provider`, the keys of this server's \
             own tokens, for targets that find keys by its issuer; `imported`, a key created elsewhere.",
        ),
        key(
            "bridges.<name>.key_file",
            Kind::Path,
            Fallback::Unset,
            "A private key created elsewhere: PEM (PKCS#8, PKCS#1, SEC 1, unencrypted), a JWK, or the seed of a NATS \
             account.",
        ),
        key(
            "bridges.<name>.secret_file",
            Kind::Path,
            Fallback::Unset,
            "A secret shared with the target, for HS256: at least 32 bytes; for `pusher`, `appwrite` and `instantdb`, \
             the secret they issued. A final line break is not part of it.",
        ),
        key(
            "bridges.<name>.dangerous",
            Kind::Switch,
            Fallback::Value("false"),
            "Whether the template may say what the preset otherwise refuses as too powerful, such as an administrator's role.",
        ),
        key(
            "bridges.<name>.allow_unverified",
            Kind::Switch,
            Fallback::Value("false"),
            "Whether to accept a preset that was never tested with its target; `passmint bridges presets` shows which.",
        ),
        key(
            "bridges.<name>.tenant_id",
            Kind::Text("identifier"),
            Fallback::Unset,
            "The tenant of Identity Platform; for `firebase` and `firebase-tenant`.",
        ),
        key(
            "bridges.<name>.issuer",
            Kind::Text("issuer"),
            BY_PRESET,
            "The `iss` claim; for `jwt` this server's issuer.",
        ),
        key(
            "bridges.<name>.audience",
            Kind::Text("audience"),
            BY_PRESET,
            "The `aud` claim. Many targets accept a token without one: always set it for `jwt`.",
        ),
        key(
            "bridges.<name>.audience_form",
            Kind::Choice(AudienceForm::WORDS),
            BY_PRESET,
            "Whether `aud` is written as text or as a list; some targets understand only one.",
        ),
        key(
            "bridges.<name>.algorithm",
            Kind::Choice(Algorithm::WORDS),
            BY_PRESET,
            "The signature algorithm. RS256 works everywhere, ES256 in most targets, EdDSA in some; HS256 requires a \
             shared secret.",
        ),
        key(
            "bridges.<name>.typ",
            Kind::Choice(Typ::WORDS),
            BY_PRESET,
            "The header's `typ`; some targets require `at+jwt`, some refuse it, `none` omits it.",
        ),
        key(
            "bridges.<name>.kid",
            Kind::Text("`auto`, `omit` or a key id"),
            BY_PRESET,
            "The header's `kid`: the key's own id (the `kid` of an imported JWK, else the thumbprint of RFC 7638), none, or a fixed \
             text.",
        ),
        key(
            "bridges.<name>.lifetime",
            Kind::Duration("10s", "24h"),
            BY_PRESET,
            "How long a token is valid; keep it short, because nobody can revoke it.",
        ),
        key(
            "bridges.<name>.max_bytes",
            Kind::Integer(256, 16384),
            Fallback::Value("4096"),
            "The longest token allowed, in bytes; a longer one is refused, not cut.",
        ),
        key(
            "bridges.<name>.subject",
            Kind::Text("expression"),
            Fallback::Value("{{ user.id }}"),
            "The `sub` claim: an expression, not concatenated text.",
        ),
        key(
            "bridges.<name>.claims",
            Kind::Tree,
            Fallback::Unset,
            "Further claims: a free tree of values whose texts may be expressions such as `{{ session.acr }}`.",
        ),
        key(
            "bridges.<name>.inputs",
            Kind::Tree,
            Fallback::Unset,
            "What the caller may pass in, in the request or in `inputs` of a token exchange, \
             for `{{ input.NAME }}`: one table for each name, with `type` (`text`, \
             `number`, `flag`, `list`), `charset` (`name`, `path`, `text`, `nkey`), `one_of`, `max_length`, \
             `max_items`, `required`.",
        ),
        key(
            "bridges.<name>.url",
            Kind::Text("URL"),
            Fallback::Unset,
            "Where the target is, for presets that call it: `tls://host:port` for `nats-callout`, the API's address \
             for `appwrite` and `instantdb`.",
        ),
        key(
            "bridges.<name>.bearer_audience",
            Kind::Text("audience"),
            Fallback::Derived("this server's issuer"),
            "For `nats-callout`: the audience of the access token with which people connect.",
        ),
        key(
            "bridges.<name>.allow.clients",
            Kind::List("client id"),
            Fallback::Value(""),
            "Only these clients may request tokens; empty for all.",
        ),
        key(
            "bridges.<name>.allow.scopes",
            Kind::List("scope"),
            Fallback::Value(""),
            "Only tokens with one of these scopes may be exchanged; empty for `bridge:<name>` alone.",
        ),
        key(
            "bridges.<name>.allow.min_acr",
            Kind::Choice(min_acr::WORDS),
            Fallback::Unset,
            "The lowest accepted `acr`: `phr` for a passkey with user verification. `phrh`, in attested hardware, is refused: \
             attestation is not verified yet, so nothing reaches it.",
        ),
        key(
            "bridges.<name>.allow.max_auth_age",
            Kind::Duration("10s", "400d"),
            Fallback::Unset,
            "The greatest accepted age of the sign-in.",
        ),
        key(
            "bridges.<name>.allow.groups",
            Kind::List("group"),
            Fallback::Value(""),
            "Only for people in one of these groups; empty for all.",
        ),
        key(
            "bridges.<name>.allow.unnamed_actors",
            Kind::Switch,
            Fallback::Value("false"),
            "Whether an actor (`act`) may get a token that cannot name them: for NATS, Pusher, Appwrite and InstantDB. \
             The audit trail names them in any case.",
        ),
        key(
            "bridges.<name>.allow.require.user_verification",
            Kind::Switch,
            Fallback::Value("false"),
            "Whether the sign-in must have been with a passkey and user verification (PIN, fingerprint, face).",
        ),
        key(
            "bridges.<name>.allow.require.email_verified",
            Kind::Switch,
            Fallback::Value("false"),
            "Whether the person must have a verified e-mail address.",
        ),
    ],
};
