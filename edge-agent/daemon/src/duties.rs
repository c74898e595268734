//! What a box does unasked, besides its ward: signing for erasures, leaving what was handed over, dropping what is held
//! elsewhere long enough, trying again what could not be read, and making room on a full disk.
//!
//! Always: nothing is dropped that a receipt does not cover but on a full disk, after a signed entry that names it; alerts and
//! documents never are.

use crate::event_loop::Told;
use crate::run::news;
use crate::{clock, state};
use edge_core::{Input, Room};
use edge_store::Ballast;
use protocol::commit::GivenUp;
use protocol::replica::{Accepted, CommitError, MANUAL, Retention};
use protocol::{PeerRole, Replica, Store, StoreError};
use record::binding::{Bound, Owner};
use record::id::{ReplicaId, ScopeId};
use record::series::decode_tick;
use record::time::{Monotonic, Timestamp};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_blocking;
use web::dead_letters::{Retried, retry_all};
use web::recorder::{Desk, Recorder};

/// Between rounds.
const EVERY: Duration = Duration::from_secs(60);
/// Between retries of dead letters.
const RETRY_EVERY: Duration = Duration::from_secs(3600);
/// Bytes given up on a full disk at once: some minutes of a ward's waveforms.
const SHED_BYTES: u64 = 4 << 20;
/// Room for a full disk is made at most this often.
const SHED_EVERY: Duration = Duration::from_secs(2);
/// A disk that was full this long ago is told of no more.
const FULL_PAST: Duration = Duration::from_secs(3600);

/// What the duties need.
pub struct Duties {
    /// The writer.
    pub recorder: Recorder,
    /// The brain.
    pub told: mpsc::Sender<Told>,
    /// The data directory.
    pub data: PathBuf,
    /// The room set aside.
    pub ballast: Ballast,
    /// How long payloads stay that the hub holds too.
    pub retention: Retention,
    /// Rung when a commit finds the disk full.
    pub full: Arc<Notify>,
    /// Rung when a session has brought something.
    pub brought: Arc<Notify>,
}

/// Told of what a retry brought: as if a session had.
pub fn retried(told: mpsc::Sender<Told>) -> Retried {
    Arc::new(move |replica, accepted: Accepted| {
        for input in news(replica, accepted) {
            // The loop never waits for the writer, so this wait ends; the loop's end is the program's end.
            let _ = told.blocking_send(Told::Input(Box::new(input)));
        }
    })
}

impl Duties {
    /// Runs until the program ends.
    pub async fn run(self) {
        let (mut retried_at, mut full_at) = (clock::now().mono, None::<Monotonic>);
        let is_past = |at: Monotonic, wait: Duration| Duration::from_micros(clock::now().mono.micros_since(at)) >= wait;
        let mut round = tokio::time::interval(EVERY);
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let after_retry = retried(self.told.clone());
        loop {
            tokio::select! {
                () = self.full.notified() => {
                    if full_at.is_none_or(|at| is_past(at, SHED_EVERY)) {
                        self.make_room().await;
                        full_at = Some(clock::now().mono);
                    }
                    continue;
                }
                () = self.brought.notified() => {}
                _ = round.tick() => {
                    self.retain().await;
                    self.set_aside().await;
                    if full_at.is_some_and(|at| is_past(at, FULL_PAST)) {
                        full_at = None;
                        self.tell(Input::Room(Room::Plenty)).await;
                    }
                    if is_past(retried_at, RETRY_EVERY) {
                        retried_at = clock::now().mono;
                        if let Err(error) = retry_all(&self.recorder, &after_retry).await {
                            tracing::warn!(%error, "dead letters were not tried again");
                        }
                        if let Err(error) = state::tell(&self.recorder, &self.data).await {
                            tracing::info!(error = %format!("{error:#}"), "the hub was not told what is shown here");
                        }
                    }
                }
            }
            self.settle().await;
        }
    }

    /// Signs for erasures, and leaves what was handed over.
    async fn settle(&self) {
        let settled = self.recorder.write(|desk: Desk<'_>| {
            let in_use = if desk.replica.is_to_leave() { in_use(desk.store, desk.now.wall)? } else { BTreeSet::new() };
            let keeper = hub_of(desk.replica);
            desk.replica.settle(desk.store, desk.now, desk.entropy, keeper, &|scope| in_use.contains(&scope))
        });
        match settled.await {
            Ok(Ok(Some(committed))) if !committed.closed.is_empty() => self.tell(Input::Closed(committed.closed)).await,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "what others' entries ask of this box is not written yet"),
            Err(busy) => tracing::warn!(error = %busy, "what others' entries ask of this box waits"),
        }
    }

    /// Drops what the hub has signed for and is past its time.
    async fn retain(&self) {
        let retention = self.retention;
        let retained = self.recorder.write(move |desk: Desk<'_>| match hub_of(desk.replica) {
            Some(hub) => desk.replica.retain(desk.store, desk.now, hub, retention),
            None => Ok(0),
        });
        match retained.await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(dropped)) => tracing::info!(dropped, "payloads past their time are held by the hub only"),
            Ok(Err(error)) => tracing::warn!(%error, "payloads past their time stay"),
        }
    }

    /// The disk is full: gives back the room set aside, which is enough for a while and for the entry that says what goes; once
    /// that is used up too, gives up what may go.
    async fn make_room(&self) {
        let ballast = self.ballast.clone();
        match spawn_blocking(move || (ballast.is_held(), ballast.release())).await {
            Ok((true, Ok(()))) => {
                tracing::warn!("the disk is full: the room set aside is used");
                self.tell(Input::Room(Room::Freed(GivenUp::default()))).await;
                return;
            }
            Ok((_, Err(error))) => tracing::warn!(%error, "the room set aside cannot be used"),
            Ok((false, Ok(()))) | Err(_) => {}
        }
        let shed = self.recorder.write(|desk: Desk<'_>| {
            let keeper = hub_of(desk.replica);
            desk.replica.shed(desk.store, desk.now, desk.entropy, keeper, SHED_BYTES).map(|(committed, _)| committed.given_up)
        });
        let given_up = match shed.await {
            Ok(Ok(given_up)) => given_up,
            Ok(Err(CommitError::Store(StoreError::Full(_)))) | Err(_) => GivenUp::default(),
            Ok(Err(error)) => {
                tracing::error!(%error, "nothing could be given up for want of room");
                GivenUp::default()
            }
        };
        let GivenUp { safe, waves, numerics } = given_up;
        tracing::warn!(safe, waves, numerics, "the disk is full: bytes were given up");
        let enough = given_up.bytes() >= SHED_BYTES;
        self.tell(Input::Room(if enough { Room::Freed(given_up) } else { Room::Scarce(given_up) })).await;
    }

    /// Sets room aside again once there is some.
    async fn set_aside(&self) {
        let ballast = self.ballast.clone();
        let rebuilt = spawn_blocking(move || if ballast.is_held() { Ok(()) } else { ballast.rebuild() }).await;
        if let Ok(Err(error)) = rebuilt {
            tracing::debug!(%error, "no room can be set aside yet");
        }
    }

    async fn tell(&self, input: Input) {
        if self.told.send(Told::Input(Box::new(input))).await.is_err() {
            tracing::debug!("the event loop has ended");
        }
    }
}

fn hub_of(replica: &Replica) -> Option<ReplicaId> {
    replica.peers().iter().find(|peer| peer.role == PeerRole::Hub).map(|peer| peer.replica)
}

/// Scopes of patients who lie in a bed, or of whom something waits to be sealed.
fn in_use(store: &mut dyn Store, now: Timestamp) -> Result<BTreeSet<ScopeId>, StoreError> {
    let bindings = Replica::bindings(store)?;
    let mut scopes: BTreeSet<ScopeId> = BTreeSet::new();
    for binding in bindings.iter().filter(|b| b.until.is_none_or(|until| until > now && until > b.from)) {
        if let Bound::Patient { scope, .. } = &binding.what {
            scopes.insert(*scope);
        }
    }
    let mut tx = store.begin()?;
    let ticks = [tx.ticks(false, 0)?, tx.ticks(true, 0)?].concat();
    for (id, bytes) in ticks {
        let frames = decode_tick(&bytes).map_err(|e| StoreError::Damaged { what: format!("journal tick {id}"), why: e.to_string() })?;
        for frame in frames {
            let owner = match (&frame.bed, bindings.owner(&frame.device, frame.measured)) {
                (Some(bed), _) if frame.device.as_str() == MANUAL => bindings.patient_in(bed, frame.measured).map(|(_, scope)| scope),
                (_, Owner::Patient { scope, .. }) => Some(scope),
                _ => None,
            };
            scopes.extend(owner);
        }
    }
    Ok(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::memory::MemoryStore;
    use record::binding::Binding;
    use record::ledger::Hlc;

    #[test]
    fn whoever_lies_in_a_bed_holds_their_record_and_whoever_left_does_not() {
        let mut store = MemoryStore::default();
        let scope = |n| ScopeId([n; 16]);
        let bound = |n: u8, until: Option<i64>| Binding {
            id: format!("b{n}").parse().expect("id"),
            what: Bound::Patient { patient: format!("p{n}").parse().expect("id"), scope: scope(n) },
            bed: n.to_string().parse().expect("bed"),
            from: Timestamp(10),
            until: until.map(Timestamp),
        };
        let mut tx = store.begin().expect("begin");
        for binding in [bound(1, None), bound(2, Some(50)), bound(3, Some(200))] {
            tx.put_binding(Hlc::default(), &binding).expect("put");
        }
        tx.commit().expect("commit");
        assert_eq!(in_use(&mut store, Timestamp(100)).expect("read"), BTreeSet::from([scope(1), scope(3)]));
    }
}
