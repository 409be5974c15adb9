//! People with passkeys in software, and what they do.

use std::thread;

use serde_json::{Value, json};

use crate::Result;
use crate::authenticator::Authenticator;
use crate::http::Client;
use crate::process::{APP, Server};

/// What an app asks for when it wants no ID token.
pub const PLAIN: &str = "offline_access";
/// What it asks for when it wants one; RS256 by default.
pub const WITH_ID_TOKEN: &str = "openid offline_access";

const OPTIONS: &str = "/v1/passkeys/authentication/options";
const VERIFY: &str = "/v1/passkeys/authentication/verify";

/// Somebody with an account.
pub struct Person {
    passkey: Authenticator,
    origin: String,
}

/// What a sign-in gave.
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

/// A sign-in between its two calls.
pub struct Begun(Value);

impl Person {
    /// Makes an account.
    pub fn sign_up(client: &mut Client, origin: &str, name: &str) -> Result<Self> {
        let mut passkey = Authenticator::synchronised(origin);
        let asked = json!({ "name": name, "result": wanted(PLAIN) });
        let begun = client.post_json("/v1/passkeys/registration/options", origin, &asked)?.json()?;
        let answer = json!({ "ceremonyId": begun["ceremonyId"], "credential": passkey.create(&begun["publicKey"]) });
        client.post_json("/v1/passkeys/registration/verify", origin, &answer)?.expect_ok()?;
        Ok(Self { passkey, origin: origin.to_owned() })
    }

    /// The first call of a sign-in.
    pub fn begin(&self, client: &mut Client, scope: &str) -> Result<Begun> {
        let begun = client.post_json(OPTIONS, &self.origin, &json!({ "result": wanted(scope) }))?.json()?;
        Ok(Begun(begun))
    }

    /// The second call, with the tokens that it gave.
    pub fn finish(&mut self, client: &mut Client, begun: &Begun) -> Result<Tokens> {
        let credential = self.passkey.get(&begun.0["publicKey"]);
        let answer = json!({ "ceremonyId": begun.0["ceremonyId"], "credential": credential });
        let given = client.post_json(VERIFY, &self.origin, &answer)?.json()?;
        let text = |name: &str| given[name].as_str().map(str::to_owned).ok_or(format!("no {name} in {given}"));
        Ok(Tokens { access: text("accessToken")?, refresh: text("refreshToken")? })
    }

    /// Both calls.
    pub fn sign_in(&mut self, client: &mut Client, scope: &str) -> Result<Tokens> {
        let begun = self.begin(client, scope)?;
        self.finish(client, &begun)
    }
}

fn wanted(scope: &str) -> Value {
    json!({ "kind": "tokens", "clientId": APP, "scope": scope })
}

/// The start of a sign-in by nobody in particular; gives the status.
pub fn anonymous_start(client: &mut Client, origin: &str) -> Result<u16> {
    Ok(client.post_json(OPTIONS, origin, &json!({ "result": wanted(PLAIN) }))?.status)
}

/// One connection and the people who use it.
pub struct Household {
    pub client: Client,
    pub people: Vec<Person>,
}

/// Signs up `people` for each of `connections`, all connections at once.
pub fn households(server: &Server, connections: usize, people: usize) -> Result<Vec<Household>> {
    at_once(connections, |number| {
        let mut client = Client::new(server.address);
        let people = (0..people)
            .map(|person| Person::sign_up(&mut client, &server.origin, &format!("Person {number}.{person}")))
            .collect::<Result<_>>()?;
        Ok(Household { client, people })
    })
}

/// Runs `work` for 0 to `count` on a thread each; gives the results in order, or the first fault.
pub fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count).map(|number| scope.spawn(move || work(number))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).collect()
    })
}
