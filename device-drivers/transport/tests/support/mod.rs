//! Ears for tests: waits for an event, and says what was heard when it does not come.

use record::time::{Monotonic, Now, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use transport::{LinkEvent, Stamped, Transport};

/// Every reading of this clock is one millisecond after the last.
fn counting_clock() -> impl Fn() -> Now + Send + Sync + Clone + 'static {
    let readings = Arc::new(AtomicU64::new(0));
    move || {
        let ms = readings.fetch_add(1, Ordering::Relaxed);
        Now { wall: Timestamp::from_millis(ms as i64), mono: Monotonic(ms * 1000), ..Now::default() }
    }
}

pub struct Ears {
    heard: mpsc::Receiver<Stamped>,
    so_far: Vec<Stamped>,
}

pub fn transport() -> (Transport, Ears) {
    let (transport, heard) = Transport::new(counting_clock());
    (transport, Ears { heard, so_far: Vec::new() })
}

impl Ears {
    pub async fn next(&mut self, within: Duration) -> Option<Stamped> {
        let stamped = tokio::time::timeout(within, self.heard.recv()).await.ok()??;
        self.so_far.push(stamped.clone());
        Some(stamped)
    }

    /// The next event that fits; others are passed over.
    pub async fn until<T>(&mut self, seconds: u64, mut fits: impl FnMut(&Stamped) -> Option<T>) -> T {
        let wait = async {
            loop {
                let stamped = self.heard.recv().await.expect("the transport is gone");
                self.so_far.push(stamped.clone());
                if let Some(found) = fits(&stamped) {
                    return found;
                }
            }
        };
        match tokio::time::timeout(Duration::from_secs(seconds), wait).await {
            Ok(found) => found,
            Err(_) => panic!("not heard within {seconds} s; heard: {:#?}", self.so_far),
        }
    }

    pub async fn connected(&mut self, seconds: u64) -> Stamped {
        self.until(seconds, |stamped| matches!(stamped.event, LinkEvent::Connected { .. }).then(|| stamped.clone())).await
    }

    pub async fn bytes(&mut self, seconds: u64) -> Vec<u8> {
        self.until(seconds, |stamped| match &stamped.event {
            LinkEvent::Bytes(_, bytes) => Some(bytes.clone()),
            _ => None,
        })
        .await
    }

    pub async fn down(&mut self, seconds: u64) -> transport::Down {
        self.until(seconds, |stamped| match &stamped.event {
            LinkEvent::Disconnected { reason } => Some(reason.clone()),
            _ => None,
        })
        .await
    }
}
