//! The audit trail, which on this box must not come between a ward and its monitors.
//!
//! An answer that cannot be audited is withheld, with one exception: while the disk is full, notes wait here and the answer
//! goes out. A nurse who cannot sign in because space has run out is the greater harm. What waits is written before any
//! later note, is bounded, and is lost only if the box stops before there is room.

use protocol::replica::CommitError;
use protocol::store::StoreError;
use protocol::{Commit, Draft};
use record::ledger::body::AuditEvent;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use web::audit::{Audit, AuditError, AuditNote};
use web::recorder::{Recorder, audit_event};

/// Notes that wait for room at most; past it answers are withheld.
const HELD_MAX: usize = 1024;

/// The trail.
pub struct Trail {
    recorder: Recorder,
    held: Mutex<Vec<AuditEvent>>,
}

impl Trail {
    /// A trail that `recorder` writes.
    #[must_use]
    pub const fn new(recorder: Recorder) -> Self {
        Self { recorder, held: Mutex::new(Vec::new()) }
    }

    /// Writes what waits, if anything does.
    ///
    /// # Errors
    /// It cannot be written; it goes on waiting where the disk is full.
    pub async fn write(&self, note: Option<AuditEvent>) -> Result<(), AuditError> {
        let mut events = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        let waited = events.len();
        events.extend(note);
        if events.is_empty() {
            return Ok(());
        }
        let commit = Commit { drafts: vec![Draft::Audit(events.clone())], ..Commit::default() };
        let written = self.recorder.write(move |desk| desk.replica.commit(desk.store, desk.now, desk.entropy, &commit).map(|_| ())).await;
        let (full, error) = match written {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => (matches!(error, CommitError::Store(StoreError::Full(_))), AuditError(Box::new(error))),
            Err(busy) => (false, AuditError(Box::new(busy))),
        };
        let waits = full && waited < HELD_MAX;
        if !waits {
            // Its answer is withheld: what was not shown needs no note.
            events.truncate(waited);
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that came meanwhile are later ones.
        events.append(&mut held);
        *held = events;
        if waits { Ok(()) } else { Err(error) }
    }
}

impl Audit for Trail {
    fn record(&self, note: AuditNote) -> Pin<Box<dyn Future<Output = Result<(), AuditError>> + Send + '_>> {
        Box::pin(self.write(Some(audit_event(&note))))
    }
}
