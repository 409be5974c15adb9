//! The OAuth and OpenID Connect settings of a client, read directly into the domain's type.
//!
//! Here each value is checked by itself. How the values must fit together is checked by [`ClientDefinition::check`],
//! however a client is created.

use serde::de::DeserializeOwned;

use super::federated;
use super::problems::{Wrong, quoted};
use super::reader::Reader;
use super::redirect_uri::RedirectUri;
use super::section::{Choice, Fallback, Key, Kind, Section, choices};
use super::tables::texts;
use super::text;
use super::tokens::Algorithm;
use crate::domain::client::{ClientDefinition, fields};

choices! {
    /// How a client authenticates (RFC 7591 §2).
    Authentication {
        /// Not at all.
        Nothing = "none",
        /// Its secret in the `Authorization` header.
        Basic = "client_secret_basic",
        /// Its secret in the body.
        Post = "client_secret_post",
        /// A JWT signed with a key of its own.
        Jwt = "private_key_jwt",
    }
}

choices! {
    /// A named set of additional requirements.
    Profile {
        /// FAPI 2.0 Security Profile.
        Fapi2 = "fapi2",
        /// With FAPI 2.0 Message Signing.
        Fapi2MessageSigning = "fapi2_message_signing",
    }
}

choices! {
    /// Which `sub` people get (OpenID Connect Core §8).
    Subject {
        /// The same for all clients.
        Public = "public",
        /// A different one for each sector.
        Pairwise = "pairwise",
    }
}

/// Declares settings of a client that are simply omitted when not needed.
macro_rules! keys {
    ($($name:literal: $kind:expr, $default:expr, $doc:literal;)*) => {
        &[$(Key { path: concat!("clients.<client_id>.", $name), kind: $kind, default: $default, doc: $doc },)*]
    };
}

const OFF: Fallback = Fallback::Value("false");
const UNSET: Fallback = Fallback::Unset;
const EMPTY: Fallback = Fallback::Value("");

pub(super) const SECTION: Section = Section {
    title: "Clients: OAuth and OpenID Connect",
    doc: "More of `[clients.<client_id>]`: what an app needs that uses the authorization endpoint. The names are those of \
          client registration (RFC 7591, OpenID Connect) where it has one.",
    keys: keys! {
        "auth_method": Kind::Choice(Authentication::WORDS), Fallback::Derived("`none` for a public client, `private_key_jwt` with keys and no secret, else its secret by `client_secret_basic` or `client_secret_post`"),
            "How the app authenticates. Where it is set, the app has this one way and no other.";
        "jwks": Kind::Tree, UNSET, "The app's public keys, a JWK Set: `jwks = { keys = [ … ] }`.";
        "jwks_uri": Kind::Text("URI"), UNSET, "Where the app publishes its public keys; instead of `jwks`.";
        "federated": Kind::Tree, UNSET,
            "The workloads that are the app, in place of a secret: a list of `{ issuer = \"github\", subject = \"repo:acme/shop:ref:refs/heads/main\", \
             audience = \"https://id.example.com\" }`. `issuer` is the name of a [trusted issuer](#trusted-issuers); `subject` and `audience` are \
             `sub` and `aud` of its tokens, byte for byte. Where it is given, the app authenticates by such a token and no other way.";
        "require_pkce": Kind::Switch, OFF, "Whether a confidential app must use PKCE. Public ones always must.";
        "require_pushed_authorization_requests": Kind::Switch, OFF, "Whether the app must push its authorization requests (RFC 9126).";
        "dpop_bound_access_tokens": Kind::Switch, OFF, "Whether the app's tokens are always bound to a DPoP key (RFC 9449).";
        "security_profile": Kind::Choice(Profile::WORDS), UNSET,
            "A security profile: `fapi2` requires PAR, PKCE, `private_key_jwt` and DPoP, and accepts nothing weaker; \
             `fapi2_message_signing` also requires signed requests and returns signed answers.";
        "require_signed_request_object": Kind::Switch, OFF, "Whether authorization requests must be signed (RFC 9101).";
        "request_object_algorithm": Kind::Text("algorithm"), UNSET, "The only algorithm of its signed requests.";
        "request_uris": Kind::List("URI"), EMPTY, "Addresses that signed requests may be fetched from, compared exactly.";
        "authorization_response_algorithm": Kind::Choice(Algorithm::WORDS), UNSET, "Algorithm of signed authorization \
            answers (JARM); by default the ID token's.";
        "userinfo_algorithm": Kind::Choice(Algorithm::WORDS), UNSET, "Algorithm of signed userinfo answers; plain JSON \
            by default.";
        "introspection_algorithm": Kind::Choice(Algorithm::WORDS), UNSET, "Algorithm of signed introspection answers (RFC 9701).";
        "subject_type": Kind::Choice(Subject::WORDS), Fallback::Value("public"), "`pairwise`: the app's users have a \
            `sub` that differs from that in apps of other sectors.";
        "sector_identifier_uri": Kind::Text("URI"), UNSET, "A document that lists the redirect URIs of several apps that share pairwise subjects; its host names the sector.";
        "claims_in_id_token": Kind::Switch, OFF, "Whether the claims of granted scopes are in the ID token too, for \
            apps that never call userinfo.";
        "attribute_claims": Kind::Tree, UNSET, "Claims that the app receives of people's [attributes](../operations/administration.md#a-person-a-group), \
            with the scope `profile`: `attribute_claims = { \"https://example.com/roles\" = \"roles\", seats = \"seats\" }`, the claim on the left. \
            They are in userinfo answers, and in the ID token with `claims_in_id_token`.";
        "default_max_age": Kind::Duration("0s", "400d"), UNSET, "`max_age` of requests that name none.";
        "default_acr_values": Kind::List("acr"), EMPTY, "`acr_values` of requests that name none.";
        "allowed_groups": Kind::List("group"), EMPTY, "Groups whose members may use the app; everybody when it is empty.";
        "post_logout_redirect_uris": Kind::List("URI"), EMPTY, "Where people may be sent after signing out, compared exactly.";
        "backchannel_logout_uri": Kind::Text("URI"), UNSET, "Where the server notifies the app that a session has ended.";
        "backchannel_logout_session_required": Kind::Switch, OFF, "Whether the app requires `sid` there.";
        "frontchannel_logout_uri": Kind::Text("URI"), UNSET, "A page of the app that is loaded when a session ends.";
        "frontchannel_logout_session_required": Kind::Switch, OFF, "Whether the app requires `iss` and `sid` there.";
        "initiate_login_uri": Kind::Text("URI"), UNSET, "Where a sign-in that begins elsewhere is sent.";
        "client_uri": Kind::Text("URI"), UNSET, "The app's home page, linked where people are asked to allow it.";
        "logo_uri": Kind::Text("URI"), UNSET, "The app's logo: PNG, WebP, JPEG or GIF of 64 KiB at most, over https. The server fetches it, at most once a day, and shows it where people are asked to allow the app; no browser asks for it there.";
        "policy_uri": Kind::Text("URI"), UNSET, "The app's privacy statement, linked there too.";
        "tos_uri": Kind::Text("URI"), UNSET, "The app's terms of service, linked there too.";
        "contacts": Kind::List("e-mail address"), EMPTY, "E-mail addresses of the people who run the app.";
    },
};

/// Reads the settings of one client.
pub(super) fn read(reader: &mut Reader<'_>, id: &str) -> ClientDefinition {
    let key = |field: &str| format!("clients.{id}.{field}");
    let algorithm = |reader: &mut Reader<'_>, field: &str| {
        reader.optional_choice::<Algorithm>(&key(field)).map(|algorithm| algorithm.as_str().to_owned())
    };
    let https = |reader: &mut Reader<'_>, field: &str| reader.text_as(&key(field), web_address);
    let jwks = reader.tree(&key("jwks"));
    ClientDefinition {
        auth_method: reader
            .optional_choice::<Authentication>(&key("auth_method"))
            .and_then(|method| in_domain(method.as_str())),
        jwks,
        jwks_uri: https(reader, "jwks_uri"),
        federated: federated::read(reader, &key("federated")),
        require_pkce: reader.switch(&key("require_pkce")),
        require_pushed_authorization_requests: reader.switch(&key("require_pushed_authorization_requests")),
        dpop_bound_access_tokens: reader.switch(&key("dpop_bound_access_tokens")),
        security_profile: reader
            .optional_choice::<Profile>(&key("security_profile"))
            .and_then(|profile| in_domain(profile.as_str())),
        require_signed_request_object: reader.switch(&key("require_signed_request_object")),
        request_object_algorithm: reader.text_as(&key("request_object_algorithm"), text::identifier),
        request_uris: reader.list_as(&key("request_uris"), text::identifier).unwrap_or_default(),
        authorization_response_algorithm: algorithm(reader, "authorization_response_algorithm"),
        userinfo_algorithm: algorithm(reader, "userinfo_algorithm"),
        introspection_algorithm: algorithm(reader, "introspection_algorithm"),
        subject_type: in_domain(reader.choice::<Subject>(&key("subject_type")).as_str()).unwrap_or_default(),
        sector_identifier_uri: https(reader, "sector_identifier_uri"),
        claims_in_id_token: reader.switch(&key("claims_in_id_token")),
        attribute_claims: texts(reader, &key("attribute_claims"), "the name of an attribute", |claim, attribute| {
            fields::attribute_claim(claim, attribute)
                .map_err(|fault| Wrong::new(format!("has {}, which {}", quoted(claim), fault.what), fault.cure))
        }),
        default_max_age: reader.optional_duration(&key("default_max_age")).map(|age| age.num_seconds()),
        default_acr_values: reader.list_as(&key("default_acr_values"), text::identifier).unwrap_or_default(),
        allowed_groups: reader.list_as(&key("allowed_groups"), text::display_name).unwrap_or_default(),
        post_logout_redirect_uris: reader
            .list_as(&key("post_logout_redirect_uris"), |text| {
                RedirectUri::read(text).map(|uri| uri.as_str().to_owned())
            })
            .unwrap_or_default(),
        backchannel_logout_uri: https(reader, "backchannel_logout_uri"),
        backchannel_logout_session_required: reader.switch(&key("backchannel_logout_session_required")),
        frontchannel_logout_uri: https(reader, "frontchannel_logout_uri"),
        frontchannel_logout_session_required: reader.switch(&key("frontchannel_logout_session_required")),
        initiate_login_uri: https(reader, "initiate_login_uri"),
        client_uri: https(reader, "client_uri"),
        logo_uri: https(reader, "logo_uri"),
        policy_uri: https(reader, "policy_uri"),
        tos_uri: https(reader, "tos_uri"),
        contacts: reader.list_as(&key("contacts"), text::identifier).unwrap_or_default(),
        ..ClientDefinition::default()
    }
}

/// The domain's value of a choice; both are written the same way.
pub(super) fn in_domain<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(word.into()).ok()
}

/// The domain's values of a list of choices; both are written the same way.
pub(super) fn words<W: Choice, T: DeserializeOwned>(
    reader: &mut Reader<'_>,
    key: &str,
    word: fn(W) -> &'static str,
) -> Vec<T> {
    let words: Vec<W> = reader.choices(key).unwrap_or_default();
    words.into_iter().filter_map(|one| in_domain(word(one))).collect()
}

/// An address of the app: https, or http on loopback for development.
fn web_address(text: &str) -> Result<String, Wrong> {
    fields::web_address(text).map(|()| text.to_owned()).map_err(|fault| Wrong::in_value(text, fault))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::{AuthMethod, SecurityProfile, SubjectType};

    #[test]
    fn every_word_has_its_value_in_the_domain() {
        assert!(Authentication::WORDS.iter().all(|word| in_domain::<AuthMethod>(word).is_some()));
        assert!(Profile::WORDS.iter().all(|word| in_domain::<SecurityProfile>(word).is_some()));
        assert!(Subject::WORDS.iter().all(|word| in_domain::<SubjectType>(word).is_some()));
    }
}
