//! What this box shows, as one digest: told to the hub, which compares it with what it shows itself.

use crate::clock;
use crate::enrolment::Enrolment;
use anyhow::{Context, ensure};
use edge_api::sync::StateView;
use hub_api::fleet::{SITE_STATE, ShownState};
use protocol::{PeerRole, StoreError};
use std::path::{Path, PathBuf};
use std::time::Duration;
use web::recorder::Recorder;

/// Longest wait for the hub.
const WAIT: Duration = Duration::from_secs(30);

/// The digests of what is shared with the hub; of everything while there is none. Reads every document: not for every second.
///
/// # Errors
/// The store cannot be read.
pub async fn view(recorder: &Recorder) -> Result<StateView, StoreError> {
    let worked_out = recorder.write(|desk| {
        let hub = desk.replica.peers().iter().find(|peer| peer.role == PeerRole::Hub).map(|peer| peer.replica);
        let with = hub.unwrap_or(desk.replica.id());
        let state = desk.replica.state_digest(desk.store, with)?;
        Ok(StateView {
            as_of_ms: desk.now.wall.millis(),
            set: desk.replica.digest(with).all.to_string(),
            state: state.map(|(digest, _)| digest.to_string()),
            policy: state.map(|(digest, _)| digest.policy),
            documents: state.map_or(0, |(_, documents)| documents),
        })
    });
    worked_out.await.map_err(|busy| StoreError::Other(busy.to_string()))?
}

/// Says it to the hub, if there is one.
///
/// # Errors
/// The hub is not reached, or the store cannot be read.
pub async fn tell(recorder: &Recorder, data: &Path) -> anyhow::Result<()> {
    let directory: PathBuf = data.to_owned();
    let enrolment = tokio::task::spawn_blocking(move || Enrolment::load(&directory)).await??;
    let Some(enrolment) = enrolment else { return Ok(()) };
    let client = reqwest::Client::builder().tls_backend_preconfigured(enrolment.tls(data)?).timeout(WAIT).build()?;
    let view = view(recorder).await?;
    let said = ShownState { set: view.set, state: view.state };
    let answer = client.post(format!("{}{SITE_STATE}", enrolment.url)).json(&said).send().await.context("the hub is not reached")?;
    ensure!(answer.status().is_success(), "the hub answered {}", answer.status());
    tracing::debug!(at_ms = clock::now().wall.millis(), "the hub was told what is shown here");
    Ok(())
}
