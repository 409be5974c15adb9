//! Memory: idle, with many sessions and ceremonies, and with more ceremonies than the server keeps.

use std::thread;
use std::time::Duration;

use crate::Result;
use crate::http::Client;
use crate::people::{PLAIN, anonymous_start, at_once, households};
use crate::process::{Home, Limits, Server};
use crate::report::{Figure, mib};

const SESSIONS: usize = 10_000;
const CEREMONIES: usize = 10_000;
/// About three times as many as the server keeps of anonymous callers.
const UNLIMITED: usize = 200_000;
const CONNECTIONS: usize = 16;
/// Until the server is idle after a burst.
const SETTLE: Duration = Duration::from_secs(2);

/// Measures on a server of its own; takes about half a minute.
pub fn memory() -> Result<Vec<Figure>> {
    let home = Home::new("memory")?;
    let server = home.start(Limits::Off)?;
    let mut figures = Vec::new();
    let mut note = |what: String, at_most: Option<f64>| -> Result<()> {
        thread::sleep(SETTLE);
        let (own, postgres) = server.processes()?.memory()?;
        figures.push(Figure::at_most(&format!("server's memory, {what}"), mib(own), "MB", at_most));
        figures.push(Figure::told(&format!("PostgreSQL's memory, {what}"), mib(postgres), "MB"));
        Ok(())
    };
    note("idle".to_owned(), Some(30.0))?;

    let mut homes = households(&server, CONNECTIONS, 4)?;
    thread::scope(|scope| {
        let people: Vec<_> = homes
            .iter_mut()
            .map(|home| {
                scope.spawn(|| -> Result<()> {
                    for turn in 0..SESSIONS / CONNECTIONS {
                        let person = turn % home.people.len();
                        home.people[person].sign_in(&mut home.client, PLAIN)?;
                    }
                    Ok(())
                })
            })
            .collect();
        people.into_iter().try_for_each(|person| person.join().map_err(|_| "a thread panicked")?)
    })?;
    starts(&server, CEREMONIES)?;
    note(format!("{SESSIONS} sessions and {CEREMONIES} ceremonies"), Some(120.0))?;

    starts(&server, UNLIMITED)?;
    note(format!("after {UNLIMITED} more starts without limits"), None)?;
    server.stop()?;
    Ok(figures)
}

fn starts(server: &Server, count: usize) -> Result<()> {
    let each = |_| {
        let mut client = Client::new(server.address);
        for _ in 0..count / CONNECTIONS {
            let status = anonymous_start(&mut client, &server.origin)?;
            if status != 200 {
                return Err(format!("a start was answered {status}").into());
            }
        }
        Ok(())
    };
    at_once(0..CONNECTIONS, each).map(drop)
}
