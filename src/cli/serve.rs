//! `passmint serve`.

use std::io::IsTerminal as _;

use tokio::signal::unix::{SignalKind, signal};

use super::settings::{Loaded, Settings};
use super::{Outcome, print};
use crate::app::App;
use crate::clock::Clock;
use crate::{process, telemetry};

/// Runs the server until it is told to stop.
pub fn serve(settings: &Settings) -> Outcome {
    process::harden();
    let Loaded { config, source } = settings.load_to_start()?;
    let _last_lines = telemetry::start_logging(&config.log, std::io::stderr().is_terminal());
    let public_url = config.issuer().to_owned();
    // On the main thread, because the private cluster stops with the thread that started it.
    let app = App::build(config, &Clock::system(), &source).map_err(|error| error.to_string())?;
    let addresses: Vec<String> = app.addresses().iter().map(ToString::to_string).collect();
    print::note(format!("ready at {public_url} (listening on {})", addresses.join(", ")));
    if let Some(admin) = app.admin_address() {
        print::note(format!("documentation at http://{admin}/docs, metrics at http://{admin}/metrics"));
    }
    actix_web::rt::System::new()
        .block_on(app.run(told_to_stop()))
        .map_err(|error| format!("the server failed: {error}"))
}

async fn told_to_stop() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
