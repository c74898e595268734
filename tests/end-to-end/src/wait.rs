//! Waiting for something to become true, with an end.

use crate::clock::Stopwatch;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks until `look` gives something, at most for `patience`; gives that and how long it took.
///
/// # Errors
/// `what` did not come about in time; with what the last look said. A look's own error only ends the wait when time is up,
/// since a program on its way up or down refuses connections.
pub async fn until<T>(what: &str, patience: Duration, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<(T, Duration)> {
    let watch = Stopwatch::start();
    loop {
        let seen = look().await;
        if let Ok(Some(found)) = seen {
            return Ok((found, watch.elapsed()));
        }
        if watch.elapsed() >= patience {
            match seen {
                Err(error) => return Err(error).with_context(|| format!("{what}: not within {} s", patience.as_secs_f64())),
                Ok(_) => bail!("{what}: not within {} s", patience.as_secs_f64()),
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
