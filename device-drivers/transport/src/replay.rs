//! Plays a recording as if its device were there.

use crate::capture::Line;
use crate::event::Identity;
use crate::outbox::Outbox;
use crate::spec::{Pace, ReplaySpec};
use crate::supervise::{Hand, Write};
use crate::{Down, limits};
use futures_util::StreamExt;
use std::time::Duration;
use tokio::fs::File;
use tokio::sync::mpsc;
use tokio_util::codec::{FramedRead, LinesCodec};

pub(crate) struct Replay(pub(crate) ReplaySpec);

impl Hand for Replay {
    /// What would be written to the device is dropped: a recording does not answer.
    async fn session(&mut self, out: &mut Outbox, writes: &mut mpsc::Receiver<Write>) -> Down {
        let ignore = async {
            while writes.recv().await.is_some() {}
            Down::Stopped
        };
        tokio::select! {
            reason = play(&self.0, out) => reason,
            reason = ignore => reason,
        }
    }
}

async fn play(spec: &ReplaySpec, out: &mut Outbox) -> Down {
    match lines(spec, out).await {
        Ok(()) => Down::ReplayEnded,
        Err(reason) => reason,
    }
}

async fn lines(spec: &ReplaySpec, out: &mut Outbox) -> Result<(), Down> {
    let broken = |why: String| Down::ReplayBroken { path: spec.path.clone(), why };
    let file = File::open(&spec.path).await.map_err(|error| broken(error.to_string()))?;
    out.connected(Identity { address: spec.path.display().to_string(), name: None }, None).await?;
    let mut lines =
        FramedRead::new(file, LinesCodec::new_with_max_length(limits::CAPTURE_LINE_BYTES)).zip(futures_util::stream::iter(1_u64..));
    let mut played_ms = 0;
    while let Some((text, number)) = lines.next().await {
        let text = text.map_err(|error| broken(format!("line {number}: {error}")))?;
        let Some(line) = Line::parse(&text).map_err(|error| broken(format!("line {number}: {error}")))? else { continue };
        let wait_ms = line.at_ms.checked_sub(played_ms).ok_or_else(|| broken(format!("line {number}: time runs backwards")))?;
        if spec.pace == Pace::Recorded {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
        played_ms = line.at_ms;
        out.bytes(line.channel, line.bytes).await?;
    }
    Ok(())
}
