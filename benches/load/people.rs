//! People with software passkeys, and what they do.

use std::thread;

use serde_json::{Value, json};

use crate::Result;
use crate::authenticator::Authenticator;
use crate::http::{Answer, Client};
use crate::process::{APP, CALLBACK, Server};

/// The scope of an app that wants no ID token.
pub const PLAIN: &str = "offline_access";
/// The scope of an app that wants an ID token, by default signed with RS256.
pub const WITH_ID_TOKEN: &str = "openid offline_access";
/// The scope of an app that mints custom tokens.
pub const BRIDGES: &str = "offline_access bridge:es256 bridge:hs256";
/// The scope of a web app without an ID token; its tokens end with the browser's session.
pub const WEB_PLAIN: &str = "profile";
/// The scope of a web app with an ID token.
pub const WEB_WITH_ID_TOKEN: &str = "openid profile";
/// The verifier for exchanging codes, and its challenge (RFC 7636, Appendix B).
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

const OPTIONS: &str = "/v1/passkeys/authentication/options";
const VERIFY: &str = "/v1/passkeys/authentication/verify";

/// A person with an account.
pub struct Person {
    passkey: Authenticator,
    origin: String,
}

/// The tokens of a sign-in.
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

/// A sign-in between its two calls.
pub struct Begun(Value);

/// A browser with a signed-in person: the cookie of its session.
pub struct Browser(String);

impl Person {
    /// Creates an account.
    pub fn sign_up(client: &mut Client, origin: &str, name: &str) -> Result<Self> {
        Self::register(client, origin, &json!({ "name": name, "result": wanted(PLAIN) }))
    }

    /// Creates an account with an e-mail address.
    pub fn sign_up_with_email(client: &mut Client, origin: &str, email: &str) -> Result<Self> {
        Self::register(client, origin, &json!({ "purpose": "sign-up", "email": email, "result": wanted(PLAIN) }))
    }

    fn register(client: &mut Client, origin: &str, asked: &Value) -> Result<Self> {
        let mut passkey = Authenticator::synchronised(origin);
        let begun = client.post_json("/v1/passkeys/registration/options", origin, None, asked)?.json()?;
        let answer = json!({ "ceremonyId": begun["ceremonyId"], "credential": passkey.create(&begun["publicKey"]) });
        client.post_json("/v1/passkeys/registration/verify", origin, None, &answer)?.expect_ok()?;
        Ok(Self { passkey, origin: origin.to_owned() })
    }

    /// Makes the first call of a sign-in.
    pub fn begin(&self, client: &mut Client, scope: &str) -> Result<Begun> {
        let begun = client.post_json(OPTIONS, &self.origin, None, &json!({ "result": wanted(scope) }))?.json()?;
        Ok(Begun(begun))
    }

    /// Makes the second call of a sign-in; returns its tokens.
    pub fn finish(&mut self, client: &mut Client, begun: &Begun) -> Result<Tokens> {
        let answer = self.answer(begun);
        let given = client.post_json(VERIFY, &self.origin, None, &answer)?.json()?;
        let text = |name: &str| given[name].as_str().map(str::to_owned).ok_or(format!("no {name} in {given}"));
        Ok(Tokens { access: text("accessToken")?, refresh: text("refreshToken")? })
    }

    fn answer(&mut self, Begun(begun): &Begun) -> Value {
        let credential = self.passkey.get(&begun["publicKey"]);
        json!({ "ceremonyId": begun["ceremonyId"], "credential": credential })
    }

    /// Signs in on Passmint's own pages.
    pub fn open_browser(&mut self, client: &mut Client) -> Result<Browser> {
        let asked = json!({ "result": { "kind": "session" } });
        let answered = client.post_json(OPTIONS, &self.origin, None, &asked)?;
        let (before, begun) = (cookie(&answered)?, Begun(answered.json()?));
        let answer = self.answer(&begun);
        let answered = client.post_json(VERIFY, &self.origin, Some(&before), &answer)?;
        answered.expect_ok()?;
        cookie(&answered).map(Browser)
    }

    /// Makes both calls of a sign-in.
    pub fn sign_in(&mut self, client: &mut Client, scope: &str) -> Result<Tokens> {
        let begun = self.begin(client, scope)?;
        self.finish(client, &begun)
    }
}

impl Browser {
    /// Follows an app's link to the authorization endpoint; returns the code, which comes at once because the app is
    /// the operator's own.
    pub fn code(&self, client: &mut Client, scope: &str) -> Result<String> {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("response_type", "code"), ("client_id", APP), ("redirect_uri", CALLBACK)])
            .extend_pairs([("scope", scope), ("state", "af0ifjsldkj"), ("nonce", "n-0S6_WzA2Mj")])
            .extend_pairs([("code_challenge", CHALLENGE), ("code_challenge_method", "S256")])
            .finish();
        let answered = client.browse(&format!("/oauth/authorize?{query}"), &self.0)?;
        let told = || format!("no code but {}: {}", answered.status, String::from_utf8_lossy(answered.body));
        let location = answered.header("location").ok_or_else(told)?;
        let query = location.split_once('?').map_or("", |(_, query)| query);
        let code = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code");
        Ok(code.ok_or_else(|| format!("no code but a way to {location}"))?.1.into_owned())
    }
}

/// Returns the cookie that an answer sets, in the form in which it is sent back.
fn cookie(answer: &Answer<'_>) -> Result<String> {
    let set = answer.header("set-cookie").ok_or_else(|| format!("no cookie with an answer {}", answer.status))?;
    Ok(set.split(';').next().unwrap_or_default().to_owned())
}

fn wanted(scope: &str) -> Value {
    json!({ "kind": "tokens", "clientId": APP, "scope": scope })
}

/// Starts a sign-in without naming anyone; returns the status.
pub fn anonymous_start(client: &mut Client, origin: &str) -> Result<u16> {
    Ok(client.post_json(OPTIONS, origin, None, &json!({ "result": wanted(PLAIN) }))?.status)
}

/// Starts a sign-in with an e-mail address, which may have no account.
pub fn start_with_email(client: &mut Client, origin: &str, email: &str) -> Result<()> {
    client.post_json(OPTIONS, origin, None, &json!({ "email": email, "result": wanted(PLAIN) }))?.expect_ok().map(drop)
}

/// One connection and the people who use it.
pub struct Household {
    pub client: Client,
    pub people: Vec<Person>,
}

/// Signs up `people` for each of `connections`, all connections at once.
pub fn households(server: &Server, connections: usize, people: usize) -> Result<Vec<Household>> {
    at_once(0..connections, |number| {
        let mut client = Client::new(server.address);
        let people = (0..people)
            .map(|person| Person::sign_up(&mut client, &server.origin, &format!("Person {number}.{person}")))
            .collect::<Result<_>>()?;
        Ok(Household { client, people })
    })
}

/// Runs `work` for each item on a thread of its own; returns the results in order, or the first fault.
pub fn at_once<I: Send, T: Send>(
    items: impl IntoIterator<Item = I>,
    work: impl Fn(I) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).collect()
    })
}
