//! Keeps one link alive: run it, say why it ended, wait, run it again.

use crate::outbox::Outbox;
use crate::{Down, limits};
use driver::Channel;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Bytes to write, and where.
pub(crate) struct Write {
    pub(crate) channel: Channel,
    pub(crate) bytes: Vec<u8>,
}

/// Something that can hold one session with a device.
pub(crate) trait Hand: Send + 'static {
    /// Connects, says so, carries bytes both ways until it ends, and says why. Dropping the future lets go of the device.
    fn session(&mut self, out: &mut Outbox, writes: &mut mpsc::Receiver<Write>) -> impl Future<Output = Down> + Send;
}

/// Runs sessions until one ends for good or `stop` is cancelled.
pub(crate) async fn supervise(mut hand: impl Hand, mut out: Outbox, mut writes: mpsc::Receiver<Write>, stop: CancellationToken) {
    let mut failures = 0;
    loop {
        while writes.try_recv().is_ok() {}
        let began = out.now().mono;
        let reason = tokio::select! {
            biased;
            () = stop.cancelled() => Down::Stopped,
            reason = hand.session(&mut out, &mut writes) => reason,
        };
        let lasted = Duration::from_micros(out.now().mono.micros_since(began));
        let ends = reason.is_final();
        out.down(reason).await;
        if ends {
            return;
        }
        failures = if lasted >= limits::SETTLED { 0 } else { failures + 1 };
        if stop.run_until_cancelled(tokio::time::sleep(retry_wait(failures))).await.is_none() {
            out.down(Down::Stopped).await;
            return;
        }
    }
}

/// The wait after this many sessions that ended early: doubling, no dice, never above [`limits::RETRY_MAX`].
fn retry_wait(failures: u32) -> Duration {
    let doubled = limits::RETRY_MIN.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(limits::RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_a_quarter_second_to_three_seconds_and_stays() {
        let waits: Vec<u128> = [0, 1, 2, 3, 4, 5, 6, 40, u32::MAX].into_iter().map(|n| retry_wait(n).as_millis()).collect();
        assert_eq!(waits, [250, 250, 500, 1000, 2000, 3000, 3000, 3000, 3000]);
    }
}
