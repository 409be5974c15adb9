//! The operations under load, each with what it cannot do without.
//!
//! To add one: a constructor of its workers, and an entry in [`measure`] with its floor.

use std::collections::VecDeque;

use serde_json::Value;

use crate::Result;
use crate::database::Database;
use crate::drive::{Ceiling, Latency, Worker, ceiling, latency};
use crate::floors::Crypto;
use crate::http::Client;
use crate::people::{Household, PLAIN, WITH_ID_TOKEN, households};
use crate::process::{APP, Home, Limits, Server};

/// How many people use each connection, so that no row is asked for twice at once.
const PEOPLE: usize = 16;

/// One line of the table.
pub struct Measured {
    pub name: &'static str,
    pub ceiling: Ceiling,
    pub latency: Latency,
    /// The parts of the floor: name and microseconds.
    pub floor: Vec<(&'static str, f64)>,
    /// What the floor would be less, did its commit share the disk's write with others.
    pub shared_saves: f64,
    /// The ratio to reach, when there is one.
    pub at_most: Option<f64>,
    /// The p99 to reach at half load, in milliseconds, when there is one.
    pub p99_at_most: Option<f64>,
}

impl Measured {
    /// CPU of one operation, server and PostgreSQL.
    pub fn cpu(&self) -> f64 {
        self.ceiling.server + self.ceiling.postgres
    }

    /// The sum of the floor's parts.
    pub fn floor_sum(&self) -> f64 {
        self.floor.iter().map(|(_, part)| part).sum()
    }

    /// The same against the floor whose commit shares the disk's write: the stricter of the two.
    pub fn shared_ratio(&self) -> f64 {
        self.cpu() / (self.floor_sum() - self.shared_saves)
    }

    /// How many times its floor it costs.
    pub fn ratio(&self) -> f64 {
        self.cpu() / self.floor_sum()
    }
}

/// The sections whose operations are here.
pub const SECTIONS: [&str; 4] = ["signin", "refresh", "introspection", "jwks"];

/// Measures the operations of the sections that are `wanted`, and the empty handler, on one server.
pub fn measure(
    connections: usize,
    wanted: &dyn Fn(&str) -> bool,
    crypto: &Crypto,
    database: &Database,
) -> Result<Vec<Measured>> {
    let home = Home::new("operations")?;
    let server = home.start(Limits::Off)?;
    let run = |workers: &mut Vec<Worker<'_>>| -> Result<(Ceiling, Latency)> {
        let found = ceiling(workers, &server.processes()?)?;
        Ok((found, latency(workers, found.per_second / 2.0)?))
    };
    let mut all = Vec::new();
    let mut add = |name, (ceiling, latency), floor: Vec<(&'static str, f64)>, at_most, p99_at_most| {
        let commits = floor.iter().any(|(part, _)| *part == "commit");
        let shared_saves = if commits { database.commit.sum() - database.shared_commit.sum() } else { 0.0 };
        all.push(Measured { name, ceiling, latency, floor, shared_saves, at_most, p99_at_most });
    };

    let empty = run(&mut gets(&server, connections, "/livez"))?;
    let handler = ("empty handler", empty.0.server);
    let commit = ("commit", database.commit.sum());
    let (sign, sign_id) = (("ES256 sign", crypto.es256_sign), ("RS256 sign", crypto.rs256_sign));
    let (print, check) = (("HS256 sign", crypto.hs256_sign), ("HS256 verify", crypto.hs256_verify));
    add("empty handler", empty, vec![handler], None, None);
    if wanted("jwks") {
        let found = run(&mut gets(&server, connections, "/.well-known/jwks.json"))?;
        add("JWKS", found, vec![handler], Some(1.2), None);
    }

    let mut homes = if ["signin", "refresh", "introspection"].into_iter().any(wanted) {
        households(&server, connections, PEOPLE)?
    } else {
        Vec::new()
    };
    if wanted("introspection") {
        let found = run(&mut introspections(&mut homes, &server)?)?;
        let select = ("select", database.select.sum());
        add("introspection", found, vec![("ES256 verify", crypto.es256_verify), select, handler], None, None);
    }
    for (name, scope, id) in [("refresh", PLAIN, false), ("refresh with ID token", WITH_ID_TOKEN, true)] {
        if wanted("refresh") {
            let found = run(&mut refreshes(&mut homes, scope)?)?;
            let mut floor = vec![commit, check, sign, print, handler];
            floor.extend(id.then_some(sign_id));
            add(name, found, floor, (!id).then_some(1.4), None);
        }
    }
    for (name, scope, id) in [("sign-in", PLAIN, false), ("sign-in with ID token", WITH_ID_TOKEN, true)] {
        if wanted("signin") {
            let found = run(&mut sign_ins(&mut homes, scope))?;
            let verify = ("WebAuthn verify", crypto.webauthn_verify);
            let mut floor = vec![verify, commit, sign, print, ("2 × empty handler", 2.0 * handler.1)];
            floor.extend(id.then_some(sign_id));
            add(name, found, floor, Some(1.4), Some(25.0));
        }
    }
    server.stop()?;
    Ok(all)
}

fn gets<'a>(server: &Server, connections: usize, path: &'static str) -> Vec<Worker<'a>> {
    let worker = |_| -> Worker<'a> {
        let mut client = Client::new(server.address);
        Box::new(move || client.get(path)?.expect_ok().map(drop))
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
            let form = format!("grant_type=refresh_token&client_id={APP}&refresh_token={token}");
            let given = client.post_form("/oauth/token", "", &form)?.json()?;
            let has_id = given["id_token"].is_string();
            if has_id != (scope == WITH_ID_TOKEN) {
                return Err(
                    format!("a refresh of {scope:?} {} an ID token", if has_id { "gave" } else { "lacks" }).into()
                );
            }
            tokens.push_back(given["refresh_token"].as_str().ok_or("no refresh token was given")?.to_owned());
            Ok(())
        }))
    };
    homes.iter_mut().map(worker).collect()
}

fn introspections<'a>(homes: &'a mut [Household], server: &Server) -> Result<Vec<Worker<'a>>> {
    let worker = |home: &'a mut Household| -> Result<Worker<'a>> {
        let (mut forms, mut turn) = (Vec::new(), 0);
        for person in &mut home.people {
            forms.push(format!("token={}", person.sign_in(&mut home.client, PLAIN)?.access));
        }
        let (client, backend) = (&mut home.client, server.backend.clone());
        Ok(Box::new(move || {
            turn = (turn + 1) % forms.len();
            let told = client.post_form("/oauth/introspect", &backend, &forms[turn])?.json()?;
            if told["active"] == Value::Bool(true) { Ok(()) } else { Err(format!("a live token is {told}").into()) }
        }))
    };
    homes.iter_mut().map(worker).collect()
}
