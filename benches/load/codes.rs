//! Authorization codes and their exchange.
//!
//! Codes are obtained in advance, over HTTP by signed-in browsers, so that only the exchange is measured. A code is
//! valid for one exchange and for one minute, so the stock is built right before it is used. It is built for a fixed
//! time instead of a fixed number: a code costs about as much to issue as to exchange, so the stock lasts on any
//! machine.

use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::drive::Worker;
use crate::people::{Browser, Household, VERIFIER};
use crate::process::{APP, CALLBACK};

/// How long codes are collected: more than twice as long as their exchange takes, at the ceiling and at half of it.
const MAKING: Duration = Duration::from_secs(14);

/// The codes of one connection, as the form bodies that exchange them.
type Forms = Vec<String>;

/// Returns workers that exchange codes of this scope, with the codes in stock. `has_id` says whether the answer must
/// have an ID token.
pub fn exchanges<'a>(homes: &'a mut [Household], scope: &'static str, has_id: bool) -> Result<Vec<Worker<'a>>> {
    let stocks = stocks(homes, scope)?;
    let worker = |(home, mut forms): (&'a mut Household, Forms)| -> Worker<'a> {
        Box::new(move || {
            let form = forms.pop().ok_or("the codes are used up: make them for longer")?;
            let given = home.client.post_form("/oauth/token", "", &form)?.json()?;
            let as_wanted = given["refresh_token"].is_string() && given["id_token"].is_string() == has_id;
            if as_wanted { Ok(()) } else { Err(format!("a code of {scope:?} gave {given}").into()) }
        })
    };
    Ok(homes.iter_mut().zip(stocks).map(worker).collect())
}

fn stocks(homes: &mut [Household], scope: &str) -> Result<Vec<Forms>> {
    thread::scope(|threads| {
        let makers: Vec<_> = homes.iter_mut().map(|home| threads.spawn(move || stock(home, scope))).collect();
        makers.into_iter().map(|maker| maker.join().map_err(|_| "a thread panicked")?).collect()
    })
}

/// Signs in the people of a connection, and lets their browsers obtain codes in turn.
fn stock(home: &mut Household, scope: &str) -> Result<Forms> {
    let client = &mut home.client;
    let browsers: Vec<Browser> =
        home.people.iter_mut().map(|person| person.open_browser(client)).collect::<Result<_>>()?;
    let encoded: String = url::form_urlencoded::byte_serialize(CALLBACK.as_bytes()).collect();
    let started = Instant::now();
    let mut forms = Vec::new();
    for browser in browsers.iter().cycle() {
        if started.elapsed() > MAKING {
            break;
        }
        let code = browser.code(client, scope)?;
        forms.push(format!(
            "grant_type=authorization_code&client_id={APP}&code={code}&redirect_uri={encoded}&code_verifier={VERIFIER}"
        ));
    }
    Ok(forms)
}
