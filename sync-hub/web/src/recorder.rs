//! The one thread that writes a replica, and the readers beside it. Agent and hub both put their replica here.
//!
//! Always: jobs run in the order they are handed in, each durable before it answers; at most [`QUEUE`] wait, past that
//! [`Busy`] is answered at once. A job that panics answers [`Busy::Stopped`] and leaves the record as it was; the next one
//! runs. Readers see what is durable and never hold up the writer.

use crate::given::{Clock, Entropy};
use protocol::{Replica, Store, StoreError};
use record::time::Now;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, oneshot};

/// Jobs that may wait.
pub const QUEUE: usize = 1024;
/// Readers at one time.
pub const READERS: usize = 4;

/// What a job is given.
pub struct Desk<'a> {
    /// The replica.
    pub replica: &'a mut Replica,
    /// Where it is kept.
    pub store: &'a mut dyn Store,
    /// The moment the job began.
    pub now: Now,
    /// Fresh randomness.
    pub entropy: &'a mut dyn protocol::Entropy,
}

type Job = Box<dyn FnOnce(Desk<'_>) + Send>;
/// Opens a store for reading only.
pub type OpenReader = Arc<dyn Fn() -> Result<Box<dyn Store + Send>, StoreError> + Send + Sync>;

/// Why nothing can be written or read at this moment, [`StoreError::Away`]; none while all is well. Answers at once.
pub type Gate = Arc<dyn Fn() -> Option<StoreError> + Send + Sync>;

/// Why a job was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// The queue is full.
    #[error("{QUEUE} writes are waiting already: try again in a moment")]
    Full,
    /// What keeps the record is away: the gate is closed.
    #[error("what keeps the record is not reached at this moment: try again soon")]
    Away,
    /// The recorder has ended, or the job panicked.
    #[error("the record was not written: look at the program's log")]
    Stopped,
}

/// A handle to the thread; clones share it. The thread ends when the last handle is dropped.
#[derive(Clone)]
pub struct Recorder {
    jobs: mpsc::SyncSender<Job>,
    reader: OpenReader,
    readers: Arc<Semaphore>,
    gate: Option<Gate>,
}

impl Recorder {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(
        mut replica: Replica,
        mut store: Box<dyn Store + Send>,
        reader: OpenReader,
        clock: Clock,
        entropy: Arc<dyn Entropy>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = mpsc::sync_channel::<Job>(QUEUE);
        let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || {
            let mut dice = |out: &mut [u8]| {
                // Keys must never be made of anything but randomness: without any, the process ends.
                if entropy.fill(out).is_err() {
                    tracing::error!("the system gives no randomness: stopping");
                    std::process::abort();
                }
            };
            while let Ok(job) = queue.recv() {
                let desk = Desk { replica: &mut replica, store: store.as_mut(), now: clock(), entropy: &mut dice };
                // Nothing half done outlives a panic: a transaction that is dropped is rolled back, and the replica replaces
                // what it knows only once one is durable. What the panic says may hold patient data and is not logged.
                if catch_unwind(AssertUnwindSafe(|| job(desk))).is_err() {
                    tracing::error!("a job of the recorder panicked: it was not done");
                }
            }
        })?;
        Ok((Self { jobs, reader, readers: Arc::new(Semaphore::new(READERS)), gate: None }, thread))
    }

    /// The same behind a gate: while it is closed nothing new is taken on, so that nobody waits behind a store that is away.
    #[must_use]
    pub fn behind(mut self, gate: Gate) -> Self {
        self.gate = Some(gate);
        self
    }

    fn closed(&self) -> Option<StoreError> {
        self.gate.as_ref().and_then(|gate| gate())
    }

    /// Hands in a job and waits for what it yields.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn write<T: Send + 'static>(&self, job: impl FnOnce(Desk<'_>) -> T + Send + 'static) -> Result<T, Busy> {
        self.submit(job)?.await.map_err(|_| Busy::Stopped)
    }

    /// Hands in a job; what it yields comes through the channel.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn submit<T: Send + 'static>(&self, job: impl FnOnce(Desk<'_>) -> T + Send + 'static) -> Result<oneshot::Receiver<T>, Busy> {
        if self.closed().is_some() {
            return Err(Busy::Away);
        }
        let (answer, waiting) = oneshot::channel();
        let job: Job = Box::new(move |desk| {
            // A caller that has gone away still gets its work done.
            let _ = answer.send(job(desk));
        });
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::TrySendError::Full(_) => Busy::Full,
            mpsc::TrySendError::Disconnected(_) => Busy::Stopped,
        })?;
        Ok(waiting)
    }

    /// Reads beside the writer, on a thread that may block. At most [`READERS`] at a time; more wait their turn.
    ///
    /// # Errors
    /// [`StoreError`], also if the reading thread ended early.
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped = || StoreError::Other("the reader has stopped".to_owned());
        if let Some(away) = self.closed() {
            return Err(away);
        }
        let turn = Arc::clone(&self.readers).acquire_owned().await.map_err(|_| stopped())?;
        let open = Arc::clone(&self.reader);
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut store = open()?;
            job(store.as_mut())
        });
        read.await.map_err(|_| stopped())?
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

/// The audit trail lies in the replica's own audit scope.
impl crate::audit::Audit for Recorder {
    fn record(&self, note: crate::audit::AuditNote) -> futures_util::future::BoxFuture<'_, Result<(), crate::audit::AuditError>> {
        Box::pin(async move {
            let event = audit_event(&note);
            let commit = protocol::Commit { drafts: vec![protocol::Draft::Audit(vec![event])], ..protocol::Commit::default() };
            let written = self.write(move |desk| desk.replica.commit(desk.store, desk.now, desk.entropy, &commit).map(|_| ())).await;
            match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(crate::audit::AuditError(Box::new(error))),
                Err(busy) => Err(crate::audit::AuditError(Box::new(busy))),
            }
        })
    }
}

/// A note as it is kept in the ledger.
#[must_use]
pub fn audit_event(note: &crate::audit::AuditNote) -> record::ledger::body::AuditEvent {
    record::ledger::body::AuditEvent {
        at: note.at,
        user: note.who.clone().unwrap_or_default(),
        session: note.session.clone().unwrap_or_default(),
        action: note.action.word().to_owned(),
        what: note.what.clone(),
        ok: note.outcome == crate::audit::Outcome::Success,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::given::EntropyUnavailable;
    use protocol::conformance::Counting;
    use protocol::memory::MemoryStore;
    use record::id::RunId;
    use record::ledger::Identity;

    struct Sevens;

    impl Entropy for Sevens {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
            bytes.fill(7);
            Ok(())
        }
    }

    fn start() -> (Recorder, JoinHandle<()>) {
        let mut store = MemoryStore::default();
        let identity = Identity::from_seed(&[1; 32]).expect("identity");
        let replica = Replica::open(&mut store, identity, RunId([2; 8]), "test", Now::default(), &mut Counting(0)).expect("replica");
        let reader: OpenReader = Arc::new(|| Ok(Box::new(MemoryStore::default())));
        Recorder::start(replica, Box::new(store), reader, Arc::new(Now::default), Arc::new(Sevens)).expect("thread")
    }

    /// A commit of one audit event.
    fn note(desk: Desk<'_>) -> u64 {
        let event = record::ledger::body::AuditEvent {
            at: desk.now.wall,
            user: "ana".to_owned(),
            session: String::new(),
            action: "read".to_owned(),
            what: Vec::new(),
            ok: true,
        };
        let commit = protocol::Commit { drafts: vec![protocol::Draft::Audit(vec![event])], ..protocol::Commit::default() };
        desk.replica.commit(desk.store, desk.now, desk.entropy, &commit).expect("commit");
        desk.replica.written()
    }

    #[tokio::test]
    async fn a_job_that_panics_is_answered_leaves_nothing_behind_and_the_next_one_runs() {
        let (recorder, thread) = start();
        let before = recorder.write(note).await.expect("first");
        let panicked = recorder
            .write(|desk: Desk<'_>| {
                let mut tx = desk.store.begin().expect("begin");
                tx.put_value("half", b"done").expect("put");
                panic!("amid a transaction");
            })
            .await;
        assert_eq!(panicked, Err::<(), _>(Busy::Stopped));
        let half = recorder.write(|desk| desk.store.begin().expect("begin").value("half").expect("value")).await;
        assert_eq!(half, Ok(None));
        assert_eq!(recorder.write(note).await, Ok(before + 1));
        drop(recorder);
        thread.join().expect("the thread ends with the last handle");
    }

    #[tokio::test]
    async fn past_the_queue_a_job_is_refused_at_once_and_those_before_it_are_done() {
        let (recorder, _thread) = start();
        let (begun, begins) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let held = recorder.submit(move |_| {
            begun.send(()).expect("heard");
            gate.recv()
        });
        begins.recv().expect("the thread holds the first job");
        let waiting: Vec<_> = (0..QUEUE).map(|n| recorder.submit(move |_| n).expect("room")).collect();
        assert_eq!(recorder.submit(|_| ()).err(), Some(Busy::Full));
        go.send(()).expect("held");
        assert_eq!(held.expect("submitted").await, Ok(Ok(())));
        for (n, done) in waiting.into_iter().enumerate() {
            assert_eq!(done.await, Ok(n));
        }
    }

    #[tokio::test]
    async fn behind_a_closed_gate_nothing_is_taken_on_and_nobody_waits() {
        let (recorder, _thread) = start();
        let closed = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let seen = Arc::clone(&closed);
        let away = || StoreError::Away { what: "it".to_owned(), why: "gone".to_owned() };
        let recorder = recorder.behind(Arc::new(move || seen.load(std::sync::atomic::Ordering::Relaxed).then(away)));
        assert_eq!(recorder.write(note).await, Err(Busy::Away));
        let read = recorder.read(|store| store.begin().map(drop)).await;
        assert!(matches!(read, Err(StoreError::Away { .. })), "{read:?}");
        closed.store(false, std::sync::atomic::Ordering::Relaxed);
        assert!(recorder.write(note).await.is_ok() && recorder.read(|store| store.begin().map(drop)).await.is_ok());
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_still_gets_its_job_done() {
        let (recorder, _thread) = start();
        let before = recorder.write(note).await.expect("first");
        drop(recorder.submit(note).expect("submitted"));
        assert_eq!(recorder.write(|desk| desk.replica.written()).await, Ok(before + 1));
    }
}
