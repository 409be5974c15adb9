//! Time to ready: from the start of the process to the first `/readyz` that succeeds.

use crate::Result;
use crate::process::{Home, Limits};
use crate::report::Figure;
use crate::rounds::median;

/// How many starts of each kind; the median is reported.
const STARTS: usize = 5;

/// Measures first starts, which create keys, database and tables, and later starts, which find them.
pub fn ready() -> Result<Vec<Figure>> {
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let home = Home::new("ready")?;
        cold.push(start(&home)?);
        warm.push(start(&home)?);
    }
    Ok(vec![
        Figure::at_most("ready, cold (median of 5)", median(cold.into_iter()), "s", Some(1.0)),
        Figure::at_most("ready, warm (median of 5)", median(warm.into_iter()), "s", Some(0.2)),
    ])
}

/// Returns the seconds until the first `/readyz` that succeeds.
fn start(home: &Home) -> Result<f64> {
    let server = home.start(Limits::Default)?;
    let ready = server.ready.as_secs_f64();
    server.stop()?;
    Ok(ready)
}
