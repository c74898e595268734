//! The one thread that writes a replica, and the readers beside it. Agent and hub both put their replica here.
//!
//! Always: jobs run in the order they are handed in, each durable before it answers; at most [`QUEUE`] wait, past that
//! [`Busy`] is answered at once. A job that panics answers [`Busy::Stopped`] and leaves the record as it was; the next one
//! runs. Readers see what is durable and never hold up the writer; what they keep open and in memory between questions is given
//! back within two minutes of the last one.

use crate::given::{Clock, Entropy};
use protocol::replica::SeriesReader;
use protocol::{Replica, Store, StoreError};
use record::time::{Monotonic, Now};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// Jobs that may wait.
pub const QUEUE: usize = 1024;
/// Readers at one time.
pub const READERS: usize = 4;
/// Readers kept open for the next question.
const KEPT: usize = 2;
/// For so long.
const KEPT_FOR: Duration = Duration::from_secs(60);

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
/// Opens a store for reading only. What is read through it is what was durable when a transaction of it begins.
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
    readers: Arc<Readers>,
    gate: Option<Gate>,
}

/// The readers beside the writer.
struct Readers {
    open: OpenReader,
    clock: Clock,
    turns: Arc<Semaphore>,
    kept: Mutex<Vec<(Monotonic, Reading)>>,
}

/// An open store, and what has been read of its series.
struct Reading {
    store: Box<dyn Store + Send>,
    series: SeriesReader,
}

impl Readers {
    /// The one that was used last has most of what is asked for in memory.
    fn take(&self) -> Result<Reading, StoreError> {
        if let Some((_, reading)) = self.kept().pop() {
            return Ok(reading);
        }
        Ok(Reading { store: (self.open)()?, series: SeriesReader::default() })
    }

    fn put_back(&self, reading: Reading) {
        let now = (self.clock)().mono;
        let mut kept = self.kept();
        if kept.len() < KEPT {
            kept.push((now, reading));
        }
    }

    /// Closes those that nobody has used for a while: they hold memory, and what has been erased since.
    fn tidy(&self) {
        let now = (self.clock)().mono;
        let kept_us = KEPT_FOR.as_micros();
        self.kept().retain(|(used, _)| u128::from(now.micros_since(*used)) < kept_us);
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(Monotonic, Reading)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let (turns, kept) = (Arc::new(Semaphore::new(READERS)), Mutex::default());
        let readers = Arc::new(Readers { open: reader, clock: Arc::clone(&clock), turns, kept });
        let tidied = Arc::clone(&readers);
        let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || {
            let mut dice = |out: &mut [u8]| {
                // Keys must never be made of anything but randomness: without any, the process ends.
                if entropy.fill(out).is_err() {
                    tracing::error!("the system gives no randomness: stopping");
                    std::process::abort();
                }
            };
            let mut tidied_at = clock().mono;
            loop {
                let job = queue.recv_timeout(KEPT_FOR);
                let now = clock();
                if u128::from(now.mono.micros_since(tidied_at)) >= KEPT_FOR.as_micros() {
                    tidied.tidy();
                    tidied_at = now.mono;
                }
                let job = match job {
                    Ok(job) => job,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                let desk = Desk { replica: &mut replica, store: store.as_mut(), now, entropy: &mut dice };
                // Nothing half done outlives a panic: a transaction that is dropped is rolled back, and the replica replaces
                // what it knows only once one is durable. What the panic says may hold patient data and is not logged.
                if catch_unwind(AssertUnwindSafe(|| job(desk))).is_err() {
                    tracing::error!("a job of the recorder panicked: it was not done");
                }
            }
        })?;
        Ok((Self { jobs, readers, gate: None }, thread))
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
        self.read_series(|store, _| job(store)).await
    }

    /// As [`Self::read`], with what remembers the series of this very store.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_series<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Store, &mut SeriesReader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped = || StoreError::Other("the reader has stopped".to_owned());
        if let Some(away) = self.closed() {
            return Err(away);
        }
        let turn = Arc::clone(&self.readers.turns).acquire_owned().await.map_err(|_| stopped())?;
        let readers = Arc::clone(&self.readers);
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut reading = readers.take()?;
            let done = job(reading.store.as_mut(), &mut reading.series);
            match done {
                Ok(_) => readers.put_back(reading),
                // One that failed, or panicked, is not asked again; what ended its line has ended the others'.
                Err(_) => readers.kept().clear(),
            }
            done
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
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    struct Sevens;

    impl Entropy for Sevens {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
            bytes.fill(7);
            Ok(())
        }
    }

    fn start() -> (Recorder, JoinHandle<()>) {
        start_at(Arc::new(Now::default), Arc::new(|| Ok(Box::new(MemoryStore::default()))))
    }

    fn start_at(clock: Clock, reader: OpenReader) -> (Recorder, JoinHandle<()>) {
        let mut store = MemoryStore::default();
        let identity = Identity::from_seed(&[1; 32]).expect("identity");
        let replica = Replica::open(&mut store, identity, RunId([2; 8]), "test", Now::default(), &mut Counting(0)).expect("replica");
        Recorder::start(replica, Box::new(store), reader, clock, Arc::new(Sevens)).expect("thread")
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
        let recorder = recorder.behind(Arc::new(move || seen.load(Relaxed).then(away)));
        assert_eq!(recorder.write(note).await, Err(Busy::Away));
        let read = recorder.read(|store| store.begin().map(drop)).await;
        assert!(matches!(read, Err(StoreError::Away { .. })), "{read:?}");
        closed.store(false, Relaxed);
        assert!(recorder.write(note).await.is_ok() && recorder.read(|store| store.begin().map(drop)).await.is_ok());
    }

    #[tokio::test]
    async fn a_reader_stays_open_for_the_next_question_unless_it_failed_and_until_nobody_has_asked_for_a_while() {
        let (time, opened) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let clock: Clock = {
            let time = Arc::clone(&time);
            Arc::new(move || Now { mono: Monotonic(time.load(Relaxed)), ..Now::default() })
        };
        let reader: OpenReader = {
            let opened = Arc::clone(&opened);
            Arc::new(move || {
                opened.fetch_add(1, Relaxed);
                Ok(Box::new(MemoryStore::default()))
            })
        };
        let (recorder, _thread) = start_at(clock, reader);
        let ask = || recorder.read(|store| store.begin()?.chains());
        ask().await.expect("read");
        ask().await.expect("read");
        assert_eq!(opened.load(Relaxed), 1);
        let failed = recorder.read(|_| Err::<(), _>(StoreError::Other("torn".to_owned()))).await;
        assert!(failed.is_err());
        ask().await.expect("read");
        assert_eq!(opened.load(Relaxed), 2);
        // The writer's thread closes it; a little earlier it would not have.
        for (at, wanted) in [(59_000_000, 2), (125_000_000, 3)] {
            time.store(at, Relaxed);
            recorder.write(|_| ()).await.expect("write");
            ask().await.expect("read");
            assert_eq!(opened.load(Relaxed), wanted, "{at}");
        }
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_still_gets_its_job_done() {
        let (recorder, _thread) = start();
        let before = recorder.write(note).await.expect("first");
        drop(recorder.submit(note).expect("submitted"));
        assert_eq!(recorder.write(|desk| desk.replica.written()).await, Ok(before + 1));
    }
}
