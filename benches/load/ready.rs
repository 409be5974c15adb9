//! Time to ready: from the start of the process to the first `/readyz` that says so.

use crate::Result;
use crate::process::{Home, Limits};
use crate::report::Figure;

const WARM: usize = 5;

/// The first start makes keys, database and tables; the later ones find them.
pub fn ready() -> Result<Vec<Figure>> {
    let home = Home::new("ready")?;
    let start = || -> Result<f64> {
        let server = home.start(Limits::Default)?;
        let ready = server.ready.as_secs_f64();
        server.stop()?;
        Ok(ready)
    };
    let cold = start()?;
    let mut warm = (0..WARM).map(|_| start()).collect::<Result<Vec<_>>>()?;
    warm.sort_by(f64::total_cmp);
    Ok(vec![
        Figure::at_most("ready, cold", cold, "s", Some(1.0)),
        Figure::at_most("ready, warm (median of 5)", warm[WARM / 2], "s", Some(0.2)),
    ])
}
