//! The ordered list of small checks of a request, to be read beside OpenID Connect Core §3.1.2.1 and RFC 6749 §4.1.1.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::pkce::is_digest;
use super::{Challenge, ClaimsParameter, Parameters, Refusal, ResponseMode, ReturnTo};
use crate::clock::Time;
use crate::domain::claims::RequestedClaims;
use crate::domain::client::{Client, GrantType};
use crate::domain::scope::Scopes;

/// Longest `state`, in bytes.
const LONGEST_STATE: usize = 4096;
/// Longest `nonce`, in bytes.
const LONGEST_NONCE: usize = 512;
/// The longest `login_hint` that is used; longer ones are ignored.
const LONGEST_LOGIN_HINT: usize = 254;
/// The most resources, and the most `acr_values`, that one request may name.
const MOST: usize = 16;

/// What the client wants the person to do (OpenID Connect Core §3.1.2.1, Initiating User Registration 1.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Nothing: respond without showing a page, or refuse.
    None,
    /// Sign in again.
    Login,
    /// Consent again.
    Consent,
    /// Choose an account.
    SelectAccount,
    /// Create an account.
    Create,
}

impl Prompt {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "login" => Some(Self::Login),
            "consent" => Some(Self::Consent),
            "select_account" => Some(Self::SelectAccount),
            "create" => Some(Self::Create),
            _ => None,
        }
    }
}

/// The authentication context that the client requests or requires.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcrWish {
    /// Any of these is acceptable.
    pub values: Vec<String>,
    /// Whether the request is refused if none of them is reached.
    #[serde(default)]
    pub essential: bool,
}

/// A signed request, which may be used once (RFC 9101).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedOnce {
    /// Its `jti`.
    pub jti: String,
    /// When it expires.
    pub expires_at: Time,
}

/// A request that passed every check. This is also stored while the person is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// The signed request to consume with the response, if it came signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<SignedOnce>,
    /// The requesting client.
    pub client: String,
    /// Where the response goes.
    pub to: ReturnTo,
    /// Scopes, each of which the client may request.
    pub scopes: Scopes,
    /// Resources that access tokens are wanted for; empty: the client's default audience.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// What the person must be asked to do.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub prompts: BTreeSet<Prompt>,
    /// The maximum age of the sign-in, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<i64>,
    /// The PKCE challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<Challenge>,
    /// Copied into the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Claims that were requested by name.
    #[serde(default, skip_serializing_if = "RequestedClaims::is_empty")]
    pub requested: RequestedClaims,
    /// The requested authentication context.
    #[serde(default)]
    pub acr: AcrWish,
    /// The people that the response may be about, as the client knows them, from `claims` and `id_token_hint`; `None`:
    /// anyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<BTreeSet<String>>,
    /// The initial content of the e-mail field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    /// The DPoP key that the code is bound to (RFC 9449 §10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<String>,
}

/// How a request reached us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Sent in advance by the client itself (RFC 9126).
    pub pushed: bool,
    /// In an object that the client signed (RFC 9101).
    pub signed: bool,
}

/// The context in which a request is read.
pub struct Circumstances<'a> {
    /// The client, proven.
    pub client: &'a Client,
    /// Our issuer URL, for which every client may request tokens.
    pub issuer: &'a str,
    /// How the request reached us.
    pub delivery: Delivery,
    /// Returns the subject of an `id_token_hint` if it is an ID token of ours for this client; anything else is not a
    /// hint.
    pub hinted: &'a dyn Fn(&str) -> Option<String>,
}

impl AuthorizationRequest {
    /// Checks a request whose client and destination are proven. The checks follow the order of the standards, which
    /// decides which of several errors is reported.
    pub fn read(parameters: &Parameters, to: ReturnTo, given: &Circumstances<'_>) -> Result<Self, Refusal> {
        let client = given.client;
        refuse(parameters.are_ambiguous(), Refusal::Repeated)?;
        refuse(client.requires_par() && !given.delivery.pushed, Refusal::NotPushed)?;
        refuse(client.requires_signed_requests() && !given.delivery.signed, Refusal::NotSigned)?;
        // Both were resolved before; any that are left came from inside an object (RFC 9101 §4).
        refuse(["request", "request_uri"].iter().any(|name| parameters.find(name).is_some()), Refusal::Nested)?;
        refuse(parameters.find("registration").is_some(), Refusal::Registration)?;
        response_type(parameters)?;
        refuse(client.may_use(GrantType::AuthorizationCode).is_err(), Refusal::Grant)?;
        response_mode(parameters, client)?;
        refuse(longer(parameters, "state", LONGEST_STATE), Refusal::State)?;
        let scopes = scopes(parameters.find("scope"), client)?;
        let prompts = prompts(parameters)?;
        let max_age = max_age(parameters)?.or(client.definition.default_max_age);
        let challenge = challenge(parameters, client)?;
        refuse(longer(parameters, "nonce", LONGEST_NONCE), Refusal::Nonce)?;
        let claims = claims(parameters)?;
        let resources = resources(parameters.all("resource"), client, given.issuer)?;
        let hinted = parameters.find("id_token_hint").and_then(given.hinted).map(|subject| BTreeSet::from([subject]));
        let dpop_jkt = parameters.find("dpop_jkt").map(ToOwned::to_owned);
        refuse(dpop_jkt.as_deref().is_some_and(|jkt| !is_digest(jkt)), Refusal::DpopKey)?;
        let login_hint = parameters.find("login_hint").filter(|hint| hint.len() <= LONGEST_LOGIN_HINT);
        Ok(Self {
            object: None,
            client: client.id.clone(),
            to,
            scopes,
            resources,
            prompts,
            max_age,
            challenge,
            nonce: parameters.find("nonce").map(ToOwned::to_owned),
            acr: acr(parameters, claims.acr, client),
            subjects: claims.subjects.into_iter().chain(hinted).reduce(|one, other| &one & &other),
            requested: claims.requested.within(&client.definition.scopes),
            login_hint: login_hint.map(ToOwned::to_owned),
            dpop_jkt,
        })
    }

    /// Whether the request has this prompt.
    pub fn prompts(&self, prompt: Prompt) -> bool {
        self.prompts.contains(&prompt)
    }
}

fn refuse(wrong: bool, refusal: Refusal) -> Result<(), Refusal> {
    if wrong { Err(refusal) } else { Ok(()) }
}

fn longer(parameters: &Parameters, name: &str, most: usize) -> bool {
    parameters.find(name).is_some_and(|value| value.len() > most)
}

fn response_type(parameters: &Parameters) -> Result<(), Refusal> {
    match parameters.find("response_type") {
        Some("code") => Ok(()),
        Some(_) => Err(Refusal::ResponseType),
        None => Err(Refusal::NoResponseType),
    }
}

fn response_mode(parameters: &Parameters, client: &Client) -> Result<(), Refusal> {
    let mode = match parameters.find("response_mode") {
        Some(text) => ResponseMode::parse(text).ok_or(Refusal::ResponseMode)?,
        None => ResponseMode::default(),
    };
    refuse(client.requires_signed_answers() && !mode.is_signed(), Refusal::PlainAnswer)
}

/// The scopes of a request: each must be known and allowed for the client. `offline_access` is dropped where it would
/// have no effect (OpenID Connect Core §11 wants it ignored, not refused). A self-registered client asks for everything
/// in the metadata and cannot know what it may have, so it gets those scopes that it may have, as at registration; the
/// token response names them (RFC 6749 §3.3).
pub fn scopes(asked: Option<&str>, client: &Client) -> Result<Scopes, Refusal> {
    let asked = asked.map(Scopes::parse).transpose().map_err(|_| Refusal::Scope)?;
    let in_vain =
        !client.definition.scopes.grants("offline_access") || client.may_use(GrantType::RefreshToken).is_err();
    let asked: Option<Scopes> =
        asked.map(|scopes| scopes.iter().filter(|scope| *scope != "offline_access" || !in_vain).collect());
    let asked = match asked {
        Some(all) if client.unverified_since.is_some() => {
            let left = all.granted_by(&client.definition.scopes);
            refuse(left.is_empty() && !all.is_empty(), Refusal::Scope)?;
            Some(left)
        }
        as_it_is => as_it_is,
    };
    client.grant_scopes(asked.as_ref()).map_err(|_| Refusal::Scope)
}

fn prompts(parameters: &Parameters) -> Result<BTreeSet<Prompt>, Refusal> {
    let words = parameters.find("prompt").unwrap_or_default().split(' ').filter(|word| !word.is_empty());
    let prompts: Option<BTreeSet<Prompt>> = words.map(Prompt::parse).collect();
    prompts.filter(|all| !all.contains(&Prompt::None) || all.len() == 1).ok_or(Refusal::Prompt)
}

fn max_age(parameters: &Parameters) -> Result<Option<i64>, Refusal> {
    let Some(text) = parameters.find("max_age") else { return Ok(None) };
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    text.parse::<u32>().ok().filter(|_| plain).map(|seconds| Some(i64::from(seconds))).ok_or(Refusal::MaxAge)
}

fn challenge(parameters: &Parameters, client: &Client) -> Result<Option<Challenge>, Refusal> {
    match (parameters.find("code_challenge"), parameters.find("code_challenge_method")) {
        (Some(text), Some("S256")) => Challenge::parse(text).map(Some).ok_or(Refusal::Challenge),
        // Without a method, the challenge would be `plain` (RFC 7636 §4.3).
        (Some(_), _) | (None, Some(_)) => Err(Refusal::ChallengeMethod),
        (None, None) if client.requires_pkce() => Err(Refusal::NoChallenge),
        (None, None) => Ok(None),
    }
}

fn claims(parameters: &Parameters) -> Result<ClaimsParameter, Refusal> {
    parameters
        .find("claims")
        .map_or(Ok(ClaimsParameter::default()), |text| ClaimsParameter::parse(text).ok_or(Refusal::Claims))
}

/// The resources of a request (RFC 8707 §2), without duplicates. The client must be allowed to request each of them.
pub fn resources<'a>(
    asked: impl Iterator<Item = &'a str>,
    client: &Client,
    issuer: &str,
) -> Result<Vec<String>, Refusal> {
    let mut all = Vec::new();
    for resource in asked {
        let known = client.grant_audience(Some(resource), issuer).map_err(|_| Refusal::Target)?;
        refuse(all.len() == MOST, Refusal::Target)?;
        if !all.contains(&known) {
            all.push(known);
        }
    }
    Ok(all)
}

/// The `acr` claim with values takes precedence over `acr_values`, and that over the client's default.
fn acr(parameters: &Parameters, by_claim: Option<AcrWish>, client: &Client) -> AcrWish {
    if let Some(wish) = by_claim.filter(|wish| !wish.values.is_empty()) {
        return wish;
    }
    let values: Vec<String> = match parameters.find("acr_values") {
        Some(text) => text.split(' ').filter(|value| !value.is_empty()).take(MOST).map(ToOwned::to_owned).collect(),
        None => client.definition.default_acr_values.clone(),
    };
    AcrWish { values, essential: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::client::{ClientDefinition, ClientKind};

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const ISSUER: &str = "https://id.example";

    fn client(kind: ClientKind) -> Client {
        Client {
            id: "app".into(),
            definition: ClientDefinition {
                kind,
                grants: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
                redirect_uris: vec!["https://app.example/cb".into()],
                scopes: Scopes::parse("openid email offline_access").unwrap(),
                audiences: vec!["https://api.example".into()],
                ..ClientDefinition::default()
            },
            secret: None,
            previous_secret: None,
            unverified_since: None,
        }
    }

    fn read_for(client: &Client, changes: &[(&str, &str)]) -> Result<AuthorizationRequest, Refusal> {
        let usual = [
            ("client_id", "app"),
            ("redirect_uri", "https://app.example/cb"),
            ("response_type", "code"),
            ("scope", "openid"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let kept = usual.into_iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        let parameters: Parameters = kept.chain(changes.iter().copied()).collect();
        let to = ReturnTo::find(&parameters, client).expect("the place of return");
        let hinted = |hint: &str| hint.strip_prefix("ours:").map(ToOwned::to_owned);
        AuthorizationRequest::read(
            &parameters,
            to,
            &Circumstances { client, issuer: ISSUER, delivery: Delivery::default(), hinted: &hinted },
        )
    }

    fn read(changes: &[(&str, &str)]) -> Result<AuthorizationRequest, Refusal> {
        read_for(&client(ClientKind::Public), changes)
    }

    #[test]
    fn refusals_by_name() {
        let long = |n: usize| "a".repeat(n);
        let scopes = (0..10_000).map(|n| format!("s{n}")).collect::<Vec<_>>().join(" ");
        let claims = format!(r#"{{"x":"{}"}}"#, long(4096));
        for (name, changes, refusal) in [
            ("state twice", vec![("state", "a"), ("state", "a")], Refusal::Repeated),
            ("scope twice", vec![("scope", "openid"), ("scope", "openid")], Refusal::Repeated),
            ("an unknown one twice", vec![("x", "1"), ("x", "2")], Refusal::Repeated),
            ("a request object", vec![("request", "e30.e30.")], Refusal::Nested),
            ("a request URI", vec![("request_uri", "https://app.example/r")], Refusal::Nested),
            ("registration", vec![("registration", "{}")], Refusal::Registration),
            ("no response type", vec![("response_type", "")], Refusal::NoResponseType),
            ("token", vec![("response_type", "token")], Refusal::ResponseType),
            ("hybrid", vec![("response_type", "code id_token")], Refusal::ResponseType),
            ("fragment", vec![("response_mode", "fragment")], Refusal::ResponseMode),
            ("an unknown mode", vec![("response_mode", "x")], Refusal::ResponseMode),
            ("a long state", vec![("state", &long(4097))], Refusal::State),
            ("a scope of nobody", vec![("scope", "openid admin")], Refusal::Scope),
            ("10,000 scopes", vec![("scope", &scopes)], Refusal::Scope),
            ("a scope with an umlaut", vec![("scope", "öpenid")], Refusal::Scope),
            ("none and login", vec![("prompt", "none login")], Refusal::Prompt),
            ("an unknown prompt", vec![("prompt", "please")], Refusal::Prompt),
            ("a negative age", vec![("max_age", "-1")], Refusal::MaxAge),
            ("a signed age", vec![("max_age", "+1")], Refusal::MaxAge),
            ("an endless age", vec![("max_age", "99999999999999999999")], Refusal::MaxAge),
            ("an age in words", vec![("max_age", "1h")], Refusal::MaxAge),
            ("no challenge", vec![("code_challenge", ""), ("code_challenge_method", "")], Refusal::NoChallenge),
            ("plain", vec![("code_challenge_method", "plain")], Refusal::ChallengeMethod),
            ("no method", vec![("code_challenge_method", "")], Refusal::ChallengeMethod),
            ("a method alone", vec![("code_challenge", "")], Refusal::ChallengeMethod),
            ("42 characters", vec![("code_challenge", &CHALLENGE[1..])], Refusal::Challenge),
            ("129 characters", vec![("code_challenge", &long(129))], Refusal::Challenge),
            ("another alphabet", vec![("code_challenge", &CHALLENGE.replace('-', "+"))], Refusal::Challenge),
            ("a long nonce", vec![("nonce", &long(513))], Refusal::Nonce),
            ("broken claims", vec![("claims", "{")], Refusal::Claims),
            ("long claims", vec![("claims", &claims)], Refusal::Claims),
            ("an unknown resource", vec![("resource", "https://other.example")], Refusal::Target),
            (
                "one of two resources",
                vec![("resource", "https://api.example"), ("resource", "https://x.example")],
                Refusal::Target,
            ),
            ("a broken thumbprint", vec![("dpop_jkt", "x")], Refusal::DpopKey),
        ] {
            assert_eq!(read(&changes), Err(refusal), "{name}");
        }
    }

    #[test]
    fn the_first_fault_in_order_is_told() {
        assert_eq!(
            read(&[("x", "1"), ("x", "1"), ("request", "x"), ("response_type", "token")]),
            Err(Refusal::Repeated)
        );
        assert_eq!(read(&[("request", "x"), ("response_type", "token")]), Err(Refusal::Nested));
        assert_eq!(read(&[("response_type", "token"), ("scope", "x")]), Err(Refusal::ResponseType));
        assert_eq!(read(&[("scope", "x"), ("prompt", "x"), ("max_age", "x")]), Err(Refusal::Scope));
    }

    #[test]
    fn what_the_client_may_not() {
        let mut none = client(ClientKind::Public);
        none.definition.grants = vec![GrantType::Passkey];
        assert_eq!(read_for(&none, &[]), Err(Refusal::Grant));
        let mut pushing = client(ClientKind::Confidential);
        pushing.definition.require_pushed_authorization_requests = true;
        assert_eq!(read_for(&pushing, &[]), Err(Refusal::NotPushed));
        let mut signing = client(ClientKind::Confidential);
        signing.definition.require_signed_request_object = true;
        assert_eq!(read_for(&signing, &[]), Err(Refusal::NotSigned));
        let confidential = client(ClientKind::Confidential);
        let without = [("code_challenge", ""), ("code_challenge_method", "")];
        assert_eq!(read_for(&confidential, &without).unwrap().challenge, None);
    }

    #[test]
    fn everything_else_is_kept_or_ignored() {
        let state = "x".repeat(4096);
        let request = read(&[
            ("scope", "email openid offline_access"),
            ("state", &state),
            ("nonce", &"n".repeat(512)),
            ("prompt", "login consent"),
            ("max_age", "10000"),
            ("resource", "https://api.example"),
            ("resource", ISSUER),
            ("resource", ISSUER),
            ("acr_values", "phr 1"),
            ("id_token_hint", "ours:u1"),
            ("login_hint", "buffy@id.example"),
            ("claims", r#"{"id_token":{"sub":{"value":"u2"}}}"#),
            ("dpop_jkt", CHALLENGE),
            ("ui_locales", "../../etc/passwd se"),
            ("claims_locales", "se"),
            ("display", "popup"),
            ("extra", "foobar"),
        ])
        .unwrap();
        assert_eq!(request.to.state.as_deref(), Some(state.as_str()));
        assert_eq!(request.scopes.to_string(), "email offline_access openid");
        assert_eq!(request.prompts, BTreeSet::from([Prompt::Login, Prompt::Consent]));
        assert_eq!(request.max_age, Some(10_000));
        assert_eq!(request.resources, ["https://api.example", ISSUER]);
        assert_eq!(request.acr, AcrWish { values: vec!["phr".into(), "1".into()], essential: false });
        assert_eq!(request.subjects, Some(BTreeSet::new()), "the hint is about somebody else");
        assert_eq!(request.login_hint.as_deref(), Some("buffy@id.example"));
        let stored = serde_json::to_value(&request).unwrap();
        assert_eq!(serde_json::from_value::<AuthorizationRequest>(stored).unwrap(), request);
        assert!(read(&[("id_token_hint", "foreign")]).unwrap().subjects.is_none(), "a foreign hint is none");
    }

    #[test]
    fn offline_access_in_vain_is_left_out() {
        let mut client = client(ClientKind::Public);
        client.definition.grants = vec![GrantType::AuthorizationCode];
        let request = read_for(&client, &[("scope", "openid offline_access")]).unwrap();
        assert_eq!(request.scopes.to_string(), "openid");
    }

    /// RFC 6749 §3.3. A self-registered client asks for everything advertised; a client that an operator registered is
    /// told its mistake.
    #[test]
    fn who_came_by_itself_gets_what_it_has_of_what_it_asks_for() {
        let mut client = client(ClientKind::Public);
        let advertised = [("scope", "openid profile email address phone groups offline_access passkeys")];
        assert_eq!(read_for(&client, &advertised), Err(Refusal::Scope));
        client.unverified_since = Some(crate::clock::Time::UNIX_EPOCH);
        let asked = |scope| read_for(&client, &[("scope", scope)]).map(|request| request.scopes.to_string());
        assert_eq!(read_for(&client, &advertised).unwrap().scopes.to_string(), "email offline_access openid");
        assert_eq!(asked("openid admin bridge:x").as_deref(), Ok("openid"), "power is left out, too");
        for (name, scope) in [
            ("nothing that it has", "phone groups"),
            ("power alone", "admin"),
            ("another's name", "claudeai"),
            ("no scope at all", "öpenid"),
        ] {
            assert_eq!(asked(scope), Err(Refusal::Scope), "{name}");
        }
    }

    #[test]
    fn an_acr_claim_counts_before_acr_values_and_that_before_the_default() {
        let mut client = client(ClientKind::Public);
        client.definition.default_acr_values = vec!["1".into()];
        let wish = |changes: &[(&str, &str)]| read_for(&client, changes).unwrap().acr;
        assert_eq!(wish(&[]).values, ["1"]);
        assert_eq!(wish(&[("acr_values", "phr")]).values, ["phr"]);
        let claim = r#"{"id_token":{"acr":{"essential":true,"value":"phrh"}}}"#;
        assert_eq!(
            wish(&[("acr_values", "phr"), ("claims", claim)]),
            AcrWish { values: vec!["phrh".into()], essential: true }
        );
        assert_eq!(wish(&[("claims", r#"{"id_token":{"acr":{"essential":true}}}"#)]).values, ["1"]);
    }
}
