//! The keys of `[bridges.<name>]`.

use super::min_acr;
use super::section::{Fallback, Kind, Section, key};
use crate::bridge::{Algorithm, AudienceForm, KeySource, PresetKind, Typ};

const BY_PRESET: Fallback = Fallback::Derived("what the preset says");

pub(super) const SECTION: Section = Section {
    title: "Bridges",
    doc: "`[bridges.<name>]`, in the file only: targets that custom tokens are minted for. A token of a bridge is never \
          accepted by this server.",
    keys: &[
        key(
            "bridges.<name>.preset",
            Kind::Choice(PresetKind::WORDS),
            Fallback::Required,
            "What the bridge starts from; it fills what is left out and forbids what its target would misread.",
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
            "Whose key signs: `own`, made and rotated for this bridge alone; `provider`, those of this server's own tokens, \
             for targets that find keys by its issuer; `imported`, one that was made elsewhere.",
        ),
        key(
            "bridges.<name>.key_file",
            Kind::Path,
            Fallback::Unset,
            "A private key that was made elsewhere: PEM (PKCS#8, PKCS#1, SEC 1, not encrypted), a JWK, or the \
             seed of an account of NATS.",
        ),
        key(
            "bridges.<name>.secret_file",
            Kind::Path,
            Fallback::Unset,
            "A secret shared with the target, for HS256: at least 32 bytes; for `pusher`, `appwrite` and `instantdb` what these \
             gave out. A line end after it is not part of it.",
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
            "Whether to take a preset that was never tried with its target; `passmint bridges presets` tells which.",
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
            "The `aud` claim. Many targets accept a token that has none: always set it for `jwt`.",
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
            "The signature algorithm. RS256 reaches everything, ES256 most, EdDSA some; HS256 wants a shared secret.",
        ),
        key(
            "bridges.<name>.typ",
            Kind::Choice(Typ::WORDS),
            BY_PRESET,
            "The header's `typ`; some targets demand `at+jwt`, some refuse it, `none` leaves it out.",
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
            "How long a token lives; short, for nobody can revoke it.",
        ),
        key(
            "bridges.<name>.max_bytes",
            Kind::Integer(256, 16384),
            Fallback::Value("4096"),
            "How long a token may be, in bytes; a longer one is refused, not cut.",
        ),
        key(
            "bridges.<name>.subject",
            Kind::Text("expression"),
            Fallback::Value("{{ user.id }}"),
            "What `sub` is: an expression, not text pasted together.",
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
            "What whoever asks for a token may say, in the request or in `inputs` of a token exchange, for `{{ input.NAME }}`: one table for each name, with `type` (`text`, \
             `number`, `flag`, `list`), `charset` (`name`, `path`, `text`, `nkey`), `one_of`, `max_length`, `max_items`, `required`.",
        ),
        key(
            "bridges.<name>.url",
            Kind::Text("URL"),
            Fallback::Unset,
            "Where the target is, for presets that go there: `tls://host:port` for `nats-callout`, the API's address for `appwrite` and `instantdb`.",
        ),
        key(
            "bridges.<name>.bearer_audience",
            Kind::Text("audience"),
            Fallback::Derived("this server's issuer"),
            "For `nats-callout`: whom the access token must be for that people connect with.",
        ),
        key(
            "bridges.<name>.allow.clients",
            Kind::List("client id"),
            Fallback::Value(""),
            "Only these clients may ask; empty for all.",
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
            "The least authentication context: `phr` for a passkey with user verification. `phrh`, in attested hardware, is refused: \
             attestation is not verified yet, so nobody reaches it.",
        ),
        key(
            "bridges.<name>.allow.max_auth_age",
            Kind::Duration("10s", "400d"),
            Fallback::Unset,
            "How long ago the person may have signed in at most.",
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
            "Whether whoever acts for a person (`act`) may have a token that cannot say so: of NATS, Pusher, Appwrite and InstantDB. \
             The audit trail says it in any case.",
        ),
        key(
            "bridges.<name>.allow.require.user_verification",
            Kind::Switch,
            Fallback::Value("false"),
            "Whether the sign-in must have been by a passkey that verified the person (PIN, finger, face).",
        ),
        key(
            "bridges.<name>.allow.require.email_verified",
            Kind::Switch,
            Fallback::Value("false"),
            "Whether the person must have a proven e-mail address.",
        ),
    ],
};
