//! The operations under load, each with the floor that it cannot do without.
//!
//! To add one: write a function that returns its workers, add an entry with its floor to one of the methods of
//! [`Table`], and add a new section to [`SECTIONS`].

use std::collections::VecDeque;

use serde_json::Value;

use crate::Result;
use crate::codes::exchanges;
use crate::database::Database;
use crate::drive::{Ceiling, Latency, Worker, ceiling, latency};
use crate::floors::{Crypto, FORGOTTEN};
use crate::http::Client;
use crate::people::{BRIDGES, Household, PLAIN, WEB_PLAIN, WEB_WITH_ID_TOKEN, WITH_ID_TOKEN, at_once, households};
use crate::process::{APP, BACKEND_SCOPE, BRIDGE_ES256, BRIDGE_HS256, Home, Limits, Server};

/// People per connection. No two connections share a person, so they never contend for a row.
const PEOPLE: usize = 16;

/// One line of the report's table of operations.
#[derive(Clone)]
pub struct Measured {
    pub name: &'static str,
    pub ceiling: Ceiling,
    pub latency: Latency,
    /// The parts of the floor, with their names and microseconds.
    pub floor: Vec<(&'static str, f64)>,
    /// How much lower the floor would be if its commit shared the disk write with others.
    pub shared_saves: f64,
    /// The ratio to reach, if there is a goal.
    pub at_most: Option<f64>,
    /// The p99 to reach at half load, in milliseconds, if there is a goal.
    pub p99_at_most: Option<f64>,
}

impl Measured {
    /// CPU time of one operation, of the server and PostgreSQL.
    pub fn cpu(&self) -> f64 {
        self.ceiling.server + self.ceiling.postgres
    }

    /// The sum of the floor's parts.
    pub fn floor_sum(&self) -> f64 {
        self.floor.iter().map(|(_, part)| part).sum()
    }

    /// The [`ratio`](Self::ratio) to a floor whose commit shares the disk write: the stricter of the two.
    pub fn shared_ratio(&self) -> f64 {
        self.cpu() / (self.floor_sum() - self.shared_saves)
    }

    /// How many times its floor the operation costs.
    pub fn ratio(&self) -> f64 {
        self.cpu() / self.floor_sum()
    }
}

/// The sections of the operations in this file.
pub const SECTIONS: [&str; 9] =
    ["signin", "refresh", "code", "client_credentials", "introspection", "exchange", "bridge", "discovery", "jwks"];
/// The sections that need people.
const WITH_PEOPLE: [&str; 6] = ["signin", "refresh", "code", "introspection", "exchange", "bridge"];

/// A part of a floor: its name and microseconds of CPU time.
type Part = (&'static str, f64);

/// The parts that floors consist of.
struct Parts {
    handler: Part,
    two_handlers: Part,
    commit: Part,
    select: Part,
    es256_sign: Part,
    es256_verify: Part,
    rs256_sign: Part,
    hs256_sign: Part,
    hs256_verify: Part,
    webauthn_verify: Part,
}

impl Parts {
    fn new(handler: f64, crypto: &Crypto, database: &Database) -> Self {
        Self {
            handler: ("empty handler", handler),
            two_handlers: ("2 × empty handler", 2.0 * handler),
            commit: ("commit", database.commit.sum()),
            select: ("select", database.select.sum()),
            es256_sign: ("ES256 sign", crypto.es256_sign),
            es256_verify: ("ES256 verify", crypto.es256_verify),
            rs256_sign: ("RS256 sign", crypto.rs256_sign),
            hs256_sign: ("HS256 sign", crypto.hs256_sign),
            hs256_verify: ("HS256 verify", crypto.hs256_verify),
            webauthn_verify: ("WebAuthn verify", crypto.webauthn_verify),
        }
    }
}

/// The goals of an operation.
#[derive(Clone, Copy, Default)]
struct Goal {
    /// A multiple of the floor.
    ratio: Option<f64>,
    /// Milliseconds at half load.
    p99: Option<f64>,
}

impl Goal {
    const NONE: Self = Self { ratio: None, p99: None };

    const fn ratio(ratio: f64) -> Self {
        Self { ratio: Some(ratio), p99: None }
    }
}

/// One server, and what has been measured on it.
struct Table<'a> {
    server: &'a Server,
    connections: usize,
    parts: Parts,
    /// How much less a commit costs while all connections commit.
    sharing_saves: f64,
    all: Vec<Measured>,
}

/// Measures the `wanted` sections and the empty handler on one server.
pub fn measure(
    connections: usize,
    wanted: &dyn Fn(&str) -> bool,
    crypto: &Crypto,
    database: &Database,
) -> Result<Vec<Measured>> {
    let home = Home::new("operations")?;
    let server = home.start(Limits::Off)?;
    let mut table = Table::begin(&server, connections, crypto, database)?;
    table.documents(wanted)?;
    if wanted("client_credentials") {
        table.client_credentials()?;
    }
    if WITH_PEOPLE.into_iter().any(wanted) {
        let mut homes = households(&server, connections, PEOPLE)?;
        table.of_people(&mut homes, wanted)?;
    }
    let all = table.all;
    server.stop()?;
    Ok(all)
}

impl<'a> Table<'a> {
    /// Starts the table with the empty handler, which is part of every floor.
    fn begin(server: &'a Server, connections: usize, crypto: &Crypto, database: &Database) -> Result<Self> {
        let mut workers = gets(server, connections, "/livez");
        let ceiling = ceiling(&mut workers, &server.processes()?)?;
        let latency = latency(&mut workers, ceiling.per_second / 2.0)?;
        let parts = Parts::new(ceiling.server, crypto, database);
        let floor = vec![parts.handler];
        let empty = Measured {
            name: "empty handler",
            ceiling,
            latency,
            floor,
            shared_saves: 0.0,
            at_most: None,
            p99_at_most: None,
        };
        let sharing_saves = database.commit.sum() - database.shared_commit.sum();
        Ok(Self { server, connections, parts, sharing_saves, all: vec![empty] })
    }

    /// Loads the server, measures an operation and adds it to the table.
    fn add(&mut self, name: &'static str, mut workers: Vec<Worker<'_>>, floor: Vec<Part>, goal: Goal) -> Result<()> {
        let ceiling = ceiling(&mut workers, &self.server.processes()?)?;
        let latency = latency(&mut workers, ceiling.per_second / 2.0)?;
        let commits = floor.iter().any(|(part, _)| *part == self.parts.commit.0);
        let shared_saves = if commits { self.sharing_saves } else { 0.0 };
        let (at_most, p99_at_most) = (goal.ratio, goal.p99);
        self.all.push(Measured { name, ceiling, latency, floor, shared_saves, at_most, p99_at_most });
        Ok(())
    }

    fn documents(&mut self, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
        for (section, name, path) in [
            ("discovery", "discovery", "/.well-known/openid-configuration"),
            ("jwks", "JWKS", "/.well-known/jwks.json"),
        ] {
            if wanted(section) {
                let workers = gets(self.server, self.connections, path);
                self.add(name, workers, vec![self.parts.handler], Goal::ratio(1.2))?;
            }
        }
        Ok(())
    }

    fn client_credentials(&mut self) -> Result<()> {
        let workers = client_credentials(self.server, self.connections);
        let floor = vec![self.parts.es256_sign, self.parts.handler];
        self.add("client credentials", workers, floor, Goal::ratio(1.5))
    }

    fn of_people(&mut self, homes: &mut [Household], wanted: &dyn Fn(&str) -> bool) -> Result<()> {
        if wanted("introspection") {
            let unknown = FORGOTTEN.div_ceil(self.connections * PEOPLE);
            for (name, of_each) in [("introspection", unknown), ("introspection, known token", 1)] {
                let workers = introspections(homes, self.server, of_each)?;
                let floor = vec![self.parts.es256_verify, self.parts.handler];
                self.add(name, workers, floor, Goal::ratio(1.3))?;
            }
        }
        if wanted("exchange") {
            let workers = token_exchanges(homes)?;
            let floor = vec![self.parts.es256_verify, self.parts.es256_sign, self.parts.handler];
            self.add("token exchange", workers, floor, Goal { ratio: Some(1.5), p99: Some(10.0) })?;
        }
        for (name, bridge) in [("bridge token, ES256", BRIDGE_ES256), ("bridge token, HS256", BRIDGE_HS256)] {
            if wanted("bridge") {
                let workers = mints(homes, bridge)?;
                let Parts { es256_verify, es256_sign, handler, .. } = self.parts;
                let mut floor = vec![es256_verify, handler];
                floor.extend((bridge == BRIDGE_ES256).then_some(es256_sign));
                self.add(name, workers, floor, Goal { ratio: Some(1.5), p99: Some(10.0) })?;
            }
        }
        for (name, scope, has_id) in [("refresh", PLAIN, false), ("refresh with ID token", WITH_ID_TOKEN, true)] {
            if wanted("refresh") {
                let Parts { commit, hs256_verify, es256_sign, hs256_sign, handler, .. } = self.parts;
                let floor = vec![commit, hs256_verify, es256_sign, hs256_sign, handler];
                let goal = if has_id { Goal::NONE } else { Goal::ratio(1.4) };
                self.add(name, refreshes(homes, scope)?, self.with_id_token(floor, has_id), goal)?;
            }
        }
        for (name, scope, has_id) in
            [("code exchange", WEB_PLAIN, false), ("code exchange with ID token", WEB_WITH_ID_TOKEN, true)]
        {
            if wanted("code") {
                let workers = exchanges(homes, scope, has_id)?;
                let Parts { select, commit, es256_sign, hs256_sign, handler, .. } = self.parts;
                let floor = vec![select, commit, es256_sign, hs256_sign, handler];
                self.add(name, workers, self.with_id_token(floor, has_id), Goal::ratio(1.5))?;
            }
        }
        for (name, scope, has_id) in [("sign-in", PLAIN, false), ("sign-in with ID token", WITH_ID_TOKEN, true)] {
            if wanted("signin") {
                let Parts { webauthn_verify, commit, es256_sign, hs256_sign, two_handlers, .. } = self.parts;
                let floor = vec![webauthn_verify, commit, es256_sign, hs256_sign, two_handlers];
                let goal = Goal { ratio: Some(1.4), p99: Some(25.0) };
                self.add(name, sign_ins(homes, scope), self.with_id_token(floor, has_id), goal)?;
            }
        }
        Ok(())
    }

    fn with_id_token(&self, mut floor: Vec<Part>, has_id: bool) -> Vec<Part> {
        floor.extend(has_id.then_some(self.parts.rs256_sign));
        floor
    }
}

fn gets<'a>(server: &Server, connections: usize, path: &'static str) -> Vec<Worker<'a>> {
    let worker = |_| -> Worker<'a> {
        let mut client = Client::new(server.address);
        Box::new(move || client.get(path)?.expect_ok().map(drop))
    };
    (0..connections).map(worker).collect()
}

fn client_credentials<'a>(server: &Server, connections: usize) -> Vec<Worker<'a>> {
    let form = format!("grant_type=client_credentials&scope={BACKEND_SCOPE}");
    let worker = |_| -> Worker<'a> {
        let (mut client, backend, form) = (Client::new(server.address), server.backend.clone(), form.clone());
        Box::new(move || client.post_form("/oauth/token", &backend, &form)?.expect_ok().map(drop))
    };
    (0..connections).map(worker).collect()
}

fn sign_ins<'a>(homes: &'a mut [Household], scope: &'static str) -> Vec<Worker<'a>> {
    let worker = |home: &'a mut Household| -> Worker<'a> {
        let mut turn = 0;
        Box::new(move || {
            turn = (turn + 1) % home.people.len();
            home.people[turn].sign_in(&mut home.client, scope).map(drop)
        })
    };
    homes.iter_mut().map(worker).collect()
}

fn refreshes<'a>(homes: &'a mut [Household], scope: &'static str) -> Result<Vec<Worker<'a>>> {
    let worker = |home: &'a mut Household| -> Result<Worker<'a>> {
        let mut tokens = VecDeque::new();
        for person in &mut home.people {
            tokens.push_back(person.sign_in(&mut home.client, scope)?.refresh);
        }
        let client = &mut home.client;
        Ok(Box::new(move || {
            let token = tokens.pop_front().ok_or("no refresh token is left")?;
            let given = refreshed(client, &token)?;
            let has_id = given["id_token"].is_string();
            if has_id != (scope == WITH_ID_TOKEN) {
                return Err(
                    format!("a refresh of {scope:?} {} an ID token", if has_id { "gave" } else { "lacks" }).into()
                );
            }
            tokens.push_back(text(&given, "refresh_token")?);
            Ok(())
        }))
    };
    homes.iter_mut().map(worker).collect()
}

/// Returns workers of an app that narrows its own access tokens.
fn token_exchanges<'a>(homes: &'a mut [Household]) -> Result<Vec<Worker<'a>>> {
    let worker = |home: &'a mut Household| -> Result<Worker<'a>> {
        let Household { people, client } = home;
        let (mut forms, mut turn) = (Vec::new(), 0);
        for person in people {
            let token = person.sign_in(client, PLAIN)?.access;
            forms.push(format!(
                "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id={APP}&subject_token={token}\
                 &subject_token_type=urn:ietf:params:oauth:token-type:access_token"
            ));
        }
        Ok(Box::new(move || {
            turn = (turn + 1) % forms.len();
            client.post_form("/oauth/token", "", &forms[turn])?.expect_ok().map(drop)
        }))
    };
    homes.iter_mut().map(worker).collect()
}

fn introspections<'a>(homes: &'a mut [Household], server: &Server, of_each: usize) -> Result<Vec<Worker<'a>>> {
    let worker = |tokens: Vec<String>, client: &'a mut Client| -> Worker<'a> {
        let (mut turn, backend) = (0, server.backend.clone());
        Box::new(move || {
            turn = (turn + 1) % tokens.len();
            let form = format!("token={}", tokens[turn]);
            let told = client.post_form("/oauth/introspect", &backend, &form)?.json()?;
            if told["active"] == Value::Bool(true) { Ok(()) } else { Err(format!("a live token is {told}").into()) }
        })
    };
    let tokens = at_once(homes.iter_mut(), |home| access_tokens(home, of_each))?;
    Ok(homes.iter_mut().zip(tokens).map(|(home, tokens)| worker(tokens, &mut home.client)).collect())
}

/// Returns `of_each` access tokens of each person, person after person in turn.
fn access_tokens(home: &mut Household, of_each: usize) -> Result<Vec<String>> {
    let (mut all, mut refresh) = (Vec::new(), VecDeque::new());
    for person in &mut home.people {
        let given = person.sign_in(&mut home.client, PLAIN)?;
        all.push(given.access);
        refresh.push_back(given.refresh);
    }
    while all.len() < of_each * home.people.len() {
        let token = refresh.pop_front().ok_or("nobody is there")?;
        let given = refreshed(&mut home.client, &token)?;
        all.push(text(&given, "access_token")?);
        refresh.push_back(text(&given, "refresh_token")?);
    }
    Ok(all)
}

fn refreshed(client: &mut Client, token: &str) -> Result<Value> {
    let form = format!("grant_type=refresh_token&client_id={APP}&refresh_token={token}");
    client.post_form("/oauth/token", "", &form)?.json()
}

fn text(given: &Value, name: &str) -> Result<String> {
    Ok(given[name].as_str().ok_or_else(|| format!("no {name} in {given}"))?.to_owned())
}

fn mints<'a>(homes: &'a mut [Household], bridge: &str) -> Result<Vec<Worker<'a>>> {
    let path = format!("/v1/bridges/{bridge}/token");
    let worker = |home: &'a mut Household| -> Result<Worker<'a>> {
        let (mut bearers, mut turn) = (Vec::new(), 0);
        for person in &mut home.people {
            bearers.push(format!("Bearer {}", person.sign_in(&mut home.client, BRIDGES)?.access));
        }
        let (client, path) = (&mut home.client, path.clone());
        Ok(Box::new(move || {
            turn = (turn + 1) % bearers.len();
            client.post_form(&path, &bearers[turn], "")?.expect_ok().map(drop)
        }))
    };
    homes.iter_mut().map(worker).collect()
}
