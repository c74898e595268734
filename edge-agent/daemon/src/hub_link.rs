//! The line to the hub: sync sessions over HTTP/2 with the enrolment certificate, and the offline line that tells of them.

use crate::clock;
use crate::enrolment::Enrolment;
use crate::session_line::{self, Broken, Line, backoff};
use anyhow::{Context, bail};
use edge_api::sync::{BundleView, LinkState, SyncView};
use protocol::session::Summary;
use record::id::ReplicaId;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How soon a new enrolment is seen.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The hub link and what others may ask of it.
pub struct HubLink {
    /// Wakes a session.
    pub nudge: Arc<Notify>,
    /// The offline line.
    pub view: watch::Receiver<SyncView>,
    /// Takes what others have to say on it.
    pub told: Arc<watch::Sender<SyncView>>,
    /// Attempts that have ended.
    pub attempts: Arc<AtomicU64>,
}

struct Worker {
    line: Line,
    data: PathBuf,
    every: Duration,
    nudge: Arc<Notify>,
    attempts: Arc<AtomicU64>,
    view: Arc<watch::Sender<SyncView>>,
    enrolled: watch::Sender<Option<Enrolment>>,
    sent: u64,
    /// Whether this run has held the same as the hub.
    equalled: bool,
}

/// Starts the link; it runs until the program ends. `enrolled` tells the live link of a hub once there is one.
pub async fn start(line: Line, data: PathBuf, every: Duration, enrolled: watch::Sender<Option<Enrolment>>) -> anyhow::Result<HubLink> {
    // An enrolment that cannot be read is the first round's to report: the ward starts without a hub.
    let hub = Enrolment::load(&data).ok().flatten().map(|known| known.hub);
    let state = if hub.is_some() { LinkState::Offline } else { LinkState::Unenrolled };
    let first = SyncView::before_contact(state, clock::now().wall.millis());
    let (view, watching) = watch::channel(first);
    let view = Arc::new(view);
    let (nudge, attempts) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(0)));
    let (told, shared) = (Arc::clone(&view), (Arc::clone(&nudge), Arc::clone(&attempts)));
    let worker = Worker { line, data, every, nudge: shared.0, attempts: shared.1, view, enrolled, sent: 0, equalled: false };
    worker.count(hub).await?;
    tokio::spawn(worker.run());
    Ok(HubLink { nudge, view: watching, told, attempts })
}

impl Worker {
    async fn run(mut self) {
        let mut hub: Option<(Enrolment, reqwest::Client)> = None;
        let mut failures = 0u32;
        loop {
            match self.look(&hub).await {
                Ok(Some(found)) => hub = Some(found),
                Ok(None) => {}
                Err(error) => self.fail(LinkState::Offline, &format!("{error:#}")),
            }
            let Some((enrolment, client)) = &hub else {
                if let Err(error) = self.count(None).await {
                    tracing::warn!(error = %format!("{error:#}"), "the offline line cannot be counted");
                }
                self.pause(LOOK_EVERY).await;
                continue;
            };
            let (enrolment, client) = (enrolment.clone(), client.clone());
            let wait = match self.session(&enrolment, &client).await {
                Ok(()) => {
                    failures = 0;
                    self.every
                }
                Err(broken) => {
                    failures = failures.saturating_add(1);
                    let state = if matches!(broken, Broken::Refused(_)) { LinkState::Revoked } else { LinkState::Offline };
                    self.fail(state, &format!("{broken:#}"));
                    backoff(self.every, failures)
                }
            };
            if let Err(error) = self.count(Some(enrolment.hub)).await {
                tracing::warn!(error = %format!("{error:#}"), "the offline line cannot be counted");
            }
            self.attempts.fetch_add(1, Ordering::SeqCst);
            self.view.send_modify(|_| {});
            self.pause(wait).await;
        }
    }

    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.nudge.notified() => {}
        }
    }

    /// Sees a new or changed enrolment: grants the hub our scopes and prepares TLS.
    async fn look(&self, known: &Option<(Enrolment, reqwest::Client)>) -> anyhow::Result<Option<(Enrolment, reqwest::Client)>> {
        let data = self.data.clone();
        let found = tokio::task::spawn_blocking(move || Enrolment::load(&data)).await??;
        let Some(found) = found else { return Ok(None) };
        if known.as_ref().is_some_and(|(held, _)| *held == found) {
            return Ok(None);
        }
        let peer = found.peer()?;
        let admitted = self.line.recorder.write(move |desk| {
            if desk.replica.peers().contains(&peer) {
                return Ok(());
            }
            desk.replica.admit(desk.store, desk.now, desk.entropy, peer).map(|_| ())
        });
        admitted.await??;
        let client = session_line::client(found.tls(&self.data)?).build()?;
        tracing::info!(site = %found.site, "enrolled at a hub");
        self.enrolled.send_replace(Some(found.clone()));
        Ok(Some((found, client)))
    }

    async fn session(&mut self, enrolment: &Enrolment, client: &reqwest::Client) -> Result<(), Broken> {
        let summary = self.line.session(enrolment.hub, client, &enrolment.url).await?;
        self.done(summary).await;
        Ok(())
    }

    async fn done(&mut self, summary: Summary) {
        self.sent += summary.sent;
        let now = clock::now().wall.millis();
        let sent = self.sent;
        let problem =
            summary.refused.first().map(|r| format!("the hub refused {} stretches, the first: {}", summary.refused.len(), r.reason));
        if !summary.equal {
            tracing::warn!("after a session the digests differ; the next session tries again");
        } else if !self.equalled {
            self.equalled = self.note_equal().await.is_ok();
        }
        self.view.send_modify(|view| {
            if view.state != LinkState::Online {
                view.since_ms = now;
            }
            view.state = LinkState::Online;
            view.last_sync_ms = Some(now);
            view.digest_equal = Some(summary.equal);
            view.entries_sent = sent;
            view.problem = problem;
        });
    }

    /// A record that was put back knows by now what was written after its backup.
    async fn note_equal(&self) -> anyhow::Result<()> {
        let noted = self.line.recorder.write(|desk| -> Result<(), protocol::StoreError> {
            let mut tx = desk.store.begin()?;
            if tx.value(edge_store::RESTORED_FROM)?.is_some_and(|name| !name.is_empty()) {
                tx.put_value(edge_store::RESTORED_FROM, &[])?;
                tx.put_value(crate::recovery::RESTORED_AT, &[])?;
                tx.commit()?;
            }
            Ok(())
        });
        Ok(noted.await??)
    }

    fn fail(&self, state: LinkState, why: &str) {
        let now = clock::now().wall.millis();
        self.view.send_modify(|view| {
            if view.state != state {
                view.since_ms = now;
                tracing::info!(why, "the hub is not reached; everything is kept here");
            }
            view.state = state;
            view.problem = Some(why.to_owned());
        });
    }

    /// Counts what waits.
    async fn count(&self, hub: Option<ReplicaId>) -> anyhow::Result<()> {
        let counted = self.line.recorder.write(move |desk| -> Result<_, protocol::StoreError> {
            let me = desk.replica.id();
            let mut tx = desk.store.begin()?;
            let written = desk.replica.written();
            let (waiting, oldest) = match hub {
                Some(hub) => tx.unheld(me, hub)?,
                None => (written, None),
            };
            let signed = match hub {
                Some(hub) => tx.receipt(hub, me)?.map(|r| r.at.millis()),
                None => None,
            };
            let bundle = match hub {
                Some(hub) => web::bundles::last_of(tx.as_mut(), hub)?,
                None => None,
            };
            Ok((written, waiting, signed, oldest, bundle, desk.replica.digest(hub.unwrap_or(me)).all))
        });
        let (written, waiting, signed, oldest, bundle, digest) = counted.await??;
        let bundle = bundle.map(|b| BundleView { made_ms: b.made.millis(), taken_ms: b.at.millis(), equal: b.equal, entries: b.entries });
        self.view.send_modify(|view| {
            view.entries_written = written;
            view.entries_acked = written.saturating_sub(waiting);
            view.last_sync_ms = view.last_sync_ms.or(signed);
            view.waiting = waiting;
            view.oldest_waiting_ms = oldest.filter(|_| view.waiting > 0).map(record::time::Timestamp::millis);
            view.digest = digest.to_string();
            // A stick that came after the last session has the newer word.
            if let Some(bundle) = bundle.as_ref().filter(|bundle| view.last_sync_ms.is_none_or(|last| last <= bundle.taken_ms)) {
                view.digest_equal = Some(bundle.equal);
            }
            view.last_bundle = bundle;
        });
        Ok(())
    }
}

/// Starts a session and waits until one that began afterwards has ended.
///
/// # Errors
/// It takes longer than `wait`.
pub async fn sync_now(link: &HubLink, wait: Duration) -> anyhow::Result<SyncView> {
    if link.view.borrow().state == LinkState::Unenrolled {
        return Ok(link.view.borrow().clone());
    }
    let before = link.attempts.load(Ordering::SeqCst);
    let mut view = link.view.clone();
    link.nudge.notify_one();
    let attempts = Arc::clone(&link.attempts);
    let nudge = Arc::clone(&link.nudge);
    let ended = async move {
        loop {
            view.changed().await.context("the hub link has ended")?;
            let ended = attempts.load(Ordering::SeqCst);
            // The first to end may have begun before we asked; ask once more for one that has seen everything.
            if ended == before + 1 {
                nudge.notify_one();
            }
            if ended >= before + 2 {
                return anyhow::Ok(view.borrow().clone());
            }
        }
    };
    match tokio::time::timeout(wait, ended).await {
        Ok(view) => view,
        Err(_) => bail!("the session has not ended within {} s; it goes on", wait.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;
    use protocol::Replica;
    use protocol::memory::MemoryStore;
    use record::id::RunId;
    use record::ledger::Identity;
    use tokio::sync::mpsc;
    use web::recorder::Recorder;

    fn recorder() -> Recorder {
        let mut store = MemoryStore::default();
        let identity = Identity::from_seed(&[1; 32]).expect("identity");
        let replica = Replica::open(&mut store, identity, RunId([1; 8]), "test/1", clock::now(), &mut clock::dice).expect("open");
        let reader = Arc::new(|| Err(protocol::StoreError::Other("no reader".to_owned())));
        Recorder::start(replica, Box::new(store), reader, Arc::new(clock::now), Arc::new(SystemEntropy)).expect("thread").0
    }

    #[tokio::test]
    async fn a_damaged_enrolment_does_not_keep_the_box_from_starting_and_is_named_on_the_sync_line() {
        let directory = tempfile::tempdir().expect("directory");
        std::fs::write(directory.path().join("hub.json"), "{ half a file").expect("write");
        let (brought, _queue) = mpsc::channel(1);
        let (enrolled, _watching) = watch::channel(None);
        let link = start(Line { recorder: recorder(), brought }, directory.path().to_owned(), LOOK_EVERY, enrolled).await.expect("starts");
        let mut view = link.view.clone();
        let told = view.wait_for(|view| view.problem.is_some());
        let told = tokio::time::timeout(Duration::from_secs(10), told).await.expect("in time").expect("runs").clone();
        assert_eq!(told.state, LinkState::Offline);
        assert!(told.problem.is_some_and(|why| why.contains("hub.json") && why.contains("enrol again")));
    }
}
