//! The hands for ledger bundles: a replica's news into a file, and a file's into a replica, as agent and hub both do it.
//!
//! Always: a file is read to its end and its signature checked before anything of it is taken in; what is held in memory is one
//! frame; the recorder does other work between two messages. A file that is made appears complete or not at all.
//! Never here: what a bundle is (`protocol::bundle`), who is welcome (the programs say), the clock.

pub mod spool;

use crate::recorder::{Busy, Desk, Recorder};
use protocol::bundle::{BundleError, Envelope, Opened, Opener, Sealer};
use protocol::replica::CommitError;
use protocol::session::{Learned, Packed, Packing, SessionError};
use protocol::wire::Message;
use protocol::{Commit, Draft, Peer, StoreError, Transaction};
use record::id::ReplicaId;
use record::ledger::Identity;
use record::ledger::body::AuditEvent;
use record::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a full queue of the recorder is waited for.
const BUSY_MAX: u32 = 300;
const BUSY_WAIT: Duration = Duration::from_millis(100);

/// Why a bundle was not made or not taken in.
#[derive(Debug, thiserror::Error)]
pub enum BundleFault {
    /// The bundle itself.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// From somebody who is not welcome here; in words.
    #[error("{0}")]
    Unwelcome(String),
    /// What it says.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The record.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The note that a bundle was made.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The recorder.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// A file.
    #[error("{}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes of the file written, or read and taken in.
    pub bytes: u64,
    /// Entries in them.
    pub entries: u64,
}

/// What came of it, as a command prints it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// A bundle was made.
    Exported {
        /// For which replica.
        to: String,
        /// Bytes.
        bytes: u64,
        /// Entries in it.
        entries: u64,
    },
    /// A bundle was taken in.
    Imported {
        /// From which replica.
        from: String,
        /// When it was made there, ms since 1970.
        made_ms: i64,
        /// Entries that were new.
        entries: u64,
        /// Payloads that were new.
        payloads: u64,
        /// Whether it proves that both held the same when it was made.
        equal: bool,
        /// Stretches that were not taken.
        refused: u64,
        /// Why the first of them was not.
        first_refusal: Option<String>,
    },
    /// A configuration was rolled out, or back.
    RolledOut {
        /// For these sites.
        sites: Vec<String>,
        /// Left out: nothing has come from them yet, or there is nothing to go back to.
        skipped: Vec<String>,
    },
}

/// What is remembered of the newest bundle of a peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Taken {
    /// When it was made.
    pub made: Timestamp,
    /// When it was taken in.
    pub at: Timestamp,
    /// Whether it proved that both held the same when it was made.
    pub equal: bool,
    /// Entries that were new.
    pub entries: u64,
}

/// The newest bundle taken in of a peer.
///
/// # Errors
/// The store cannot be read.
pub fn last_of(tx: &mut dyn Transaction, peer: ReplicaId) -> Result<Option<Taken>, StoreError> {
    Ok(tx.value(&key(peer))?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn key(peer: ReplicaId) -> String {
    format!("bundle/{peer}")
}

/// A replica as bundles are made and read with.
pub struct Hands {
    /// The record.
    pub recorder: Recorder,
    /// Its keys.
    pub identity: Arc<Identity>,
}

/// Whether a replica's bundles are taken, else why not.
pub type Welcome = Arc<dyn Fn(ReplicaId) -> Result<(), String> + Send + Sync>;

impl Hands {
    /// Writes all that `peer` has not said it has into `file`; `name` is what the audit trail calls it. Waits for disk and
    /// recorder: not for async threads.
    ///
    /// # Errors
    /// [`BundleFault`]; there is no file then.
    pub fn export(&self, peer: &Peer, name: &str, file: &Path, told: &mut dyn FnMut(Progress)) -> Result<Report, BundleFault> {
        let part = part_of(file);
        let made = self.write(peer, name, &part, told).and_then(|report| {
            std::fs::rename(&part, file).map_err(at(file))?;
            Ok(report)
        });
        if made.is_err() {
            // Half a bundle is nobody's; that it cannot be removed changes nothing about the error.
            let _ = std::fs::remove_file(&part);
        }
        made
    }

    fn write(&self, peer: &Peer, name: &str, part: &Path, told: &mut dyn FnMut(Progress)) -> Result<Report, BundleFault> {
        let (to, name, me) = (*peer, name.to_owned(), self.identity.replica());
        let begun = self.at_desk(move |desk| -> Result<_, BundleFault> {
            let event = AuditEvent {
                at: desk.now.wall,
                user: "command-line".to_owned(),
                session: String::new(),
                action: "bundle-export".to_owned(),
                what: vec![name],
                ok: true,
            };
            // Before the bundle is made, so that it is in it.
            let commit = Commit { drafts: vec![Draft::Audit(vec![event])], ..Commit::default() };
            desk.replica.commit(desk.store, desk.now, desk.entropy, &commit)?;
            let sealer = Sealer::begin(me, to.replica, &to.seal_public, desk.now.wall, desk.entropy)?;
            Ok((sealer, Packing::open(desk.replica, desk.store, to.replica)?))
        });
        let ((mut sealer, start), mut packing) = begun??;
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(part).map_err(at(part))?;
        let mut out = BufWriter::new(file);
        let mut progress = Progress::default();
        let mut write = |bytes: &[u8], message: Option<&Message>| -> Result<Progress, BundleFault> {
            out.write_all(bytes).map_err(at(part))?;
            progress.bytes += bytes.len() as u64;
            progress.entries += message.map_or(0, entries);
            told(progress);
            Ok(progress)
        };
        write(&start, None)?;
        let done = loop {
            let (back, packed) = self.at_desk(move |desk| {
                let packed = packing.next(desk.replica, desk.store, desk.now);
                (packing, packed)
            })?;
            packing = back;
            match packed? {
                Packed::More(message) => write(&sealer.frame(&message)?, Some(&message))?,
                Packed::Last(message) => break write(&sealer.end(&self.identity, &message)?, Some(&message))?,
            };
        };
        let file = out.into_inner().map_err(|e| at(part)(e.into_error()))?;
        file.sync_all().map_err(at(part))?;
        Ok(Report::Exported { to: peer.replica.to_string(), bytes: done.bytes, entries: done.entries })
    }

    /// Takes in the bundle in `file`, if its sender is welcome. `heard` is told of each message that has become durable. Waits
    /// for disk and recorder: not for async threads.
    ///
    /// # Errors
    /// [`BundleFault`]. A bundle that is cut off, altered or not welcome has changed nothing.
    pub fn import(
        &self,
        file: &Path,
        welcome: &Welcome,
        heard: &mut dyn FnMut(ReplicaId, Learned),
        told: &mut dyn FnMut(Progress),
    ) -> Result<Report, BundleFault> {
        let mut source = BufReader::new(File::open(file).map_err(at(file))?);
        let envelope = self.read(&mut source, file, welcome, &mut |_, _| Ok(()))?;
        source.rewind().map_err(at(file))?;
        let (from, made) = (envelope.from, envelope.made);
        let (mut progress, mut last) = (Progress::default(), None);
        let (mut entries, mut payloads, mut refused, mut first) = (0, 0, 0, None);
        self.read(&mut source, file, welcome, &mut |message, bytes| {
            progress.bytes += bytes;
            progress.entries += self::entries(&message);
            let welcome = Arc::clone(welcome);
            let taken = self.at_desk(move |desk| -> Result<_, BundleFault> {
                // On the recorder, so that a membership that has ended has ended for every message after.
                welcome(from).map_err(BundleFault::Unwelcome)?;
                let learned = desk.replica.take_in_packed(desk.store, desk.now, from, &message)?;
                Ok((message, learned))
            });
            let (message, learned) = taken??;
            entries += learned.accepted.entries;
            payloads += learned.accepted.payloads;
            refused += learned.accepted.refused.len() as u64;
            first = first.take().or_else(|| learned.accepted.refused.first().map(|r| r.reason.clone()));
            heard(from, learned);
            last = Some(message);
            told(progress);
            Ok(())
        })?;
        let equal = self.at_desk(move |desk| -> Result<bool, StoreError> {
            let Some(last) = last else { return Ok(false) };
            let equal = desk.replica.is_proven(desk.store, from, &last)?;
            let mut tx = desk.store.begin()?;
            if last_of(tx.as_mut(), from)?.is_none_or(|known| known.made <= made) {
                let taken = Taken { made, at: desk.now.wall, equal, entries };
                tx.put_value(&key(from), &serde_json::to_vec(&taken).unwrap_or_default())?;
                tx.commit()?;
            }
            Ok(equal)
        });
        let equal = equal??;
        Ok(Report::Imported { from: from.to_string(), made_ms: made.millis(), entries, payloads, equal, refused, first_refusal: first })
    }

    /// Reads a bundle to its end, a frame at a time; `each` gets its messages and their size.
    fn read(
        &self,
        source: &mut impl Read,
        file: &Path,
        welcome: &Welcome,
        each: &mut dyn FnMut(Message, u64) -> Result<(), BundleFault>,
    ) -> Result<Envelope, BundleFault> {
        let (mut opener, mut found) = (Opener::default(), None);
        loop {
            let needs = opener.needs();
            // One byte too many shows a file that goes on.
            let mut bytes = Vec::with_capacity(needs.max(1));
            source.by_ref().take(needs.max(1) as u64).read_to_end(&mut bytes).map_err(at(file))?;
            let size = bytes.len() as u64;
            if needs == 0 && bytes.is_empty() {
                return found.ok_or(BundleError::Foreign.into());
            }
            match opener.take(&self.identity, bytes)? {
                Opened::Envelope(envelope) => {
                    welcome(envelope.from).map_err(BundleFault::Unwelcome)?;
                    found = Some(envelope);
                }
                Opened::Message(message) => each(*message, size)?,
                Opened::Nothing | Opened::Whole => {}
            }
        }
    }

    /// Does a job at the recorder; a full queue is waited for.
    fn at_desk<T: Send + 'static>(&self, job: impl FnOnce(Desk<'_>) -> T + Send + 'static) -> Result<T, Busy> {
        let mut job = Some(job);
        let slot = Arc::new(std::sync::Mutex::new(job.take()));
        for _ in 0..BUSY_MAX {
            let given = Arc::clone(&slot);
            let submitted = self.recorder.submit(move |desk| {
                let job = given.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
                job.map(|job| job(desk))
            });
            match submitted {
                Ok(answer) => return answer.blocking_recv().ok().flatten().ok_or(Busy::Stopped),
                Err(Busy::Full) => std::thread::sleep(BUSY_WAIT),
                Err(stopped) => return Err(stopped),
            }
        }
        Err(Busy::Full)
    }
}

fn entries(message: &Message) -> u64 {
    message.stretches.iter().map(|stretch| stretch.headers.len() as u64).sum()
}

/// The name a file bears until it is whole.
fn part_of(file: &Path) -> PathBuf {
    file.with_added_extension("part")
}

fn at(file: &Path) -> impl Fn(std::io::Error) -> BundleFault + '_ {
    |source| BundleFault::File { file: file.to_owned(), source }
}
