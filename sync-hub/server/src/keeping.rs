//! Opening the record for the server, and bringing what commands left behind into the ledger.

use crate::house::House;
use crate::shelf::Accounts;
use crate::{VERSION, clock};
use anyhow::Context;
use protocol::replica::CommitError;
use protocol::{Commit, Draft, Replica, Store, StoreError};
use record::id::RunId;
use record::ledger::Act;
use record::ledger::body::AuditEvent;
use std::sync::Arc;
use web::recorder::{Busy, Recorder};

/// Opens the replica and starts its one writer.
///
/// # Errors
/// The record cannot be used.
pub fn open(house: &House) -> anyhow::Result<(Recorder, std::thread::JoinHandle<()>)> {
    let mut store = house.shelf.store()?;
    note_restore(store.as_mut())?;
    let mut run = [0; 8];
    clock::dice(&mut run);
    let program = format!("sync-hub/{VERSION}");
    let replica = Replica::open(store.as_mut(), house.identity()?, RunId(run), &program, clock::now(), &mut clock::dice)?;
    let (reader, clock, entropy) = (house.shelf.reader(), Arc::new(clock::now), Arc::new(clock::SystemEntropy));
    let (recorder, thread) = Recorder::start(replica, store, reader, clock, entropy).context("the recorder's thread")?;
    Ok((recorder.behind(house.shelf.gate()), thread))
}

/// A restored record says so once; the run that begins now tells everybody else.
fn note_restore(store: &mut dyn Store) -> Result<(), StoreError> {
    let mut tx = store.begin()?;
    match tx.value(edge_store::backup::RESTORED_FROM)? {
        Some(name) if !name.is_empty() => {
            tracing::warn!(backup = %String::from_utf8_lossy(&name), "this record was restored; sites send again what it lacks");
            tx.put_value(edge_store::backup::RESTORED_FROM, &[])?;
            tx.commit()
        }
        _ => Ok(()),
    }
}

/// Why audit events are still waiting.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// The accounts.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The recorder.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The reading thread ended early.
    #[error("the accounts' reader has stopped")]
    Stopped,
}

/// Writes the audit events that commands left into the ledger, batch by batch.
///
/// # Errors
/// They stay where they are.
pub async fn drain_audit(accounts: &Arc<Accounts>, recorder: &Recorder) -> Result<(), DrainError> {
    loop {
        let kept = Arc::clone(accounts);
        let waiting = tokio::task::spawn_blocking(move || kept.pending_audit()).await.map_err(|_| DrainError::Stopped)??;
        let Some(through) = waiting.last().map(|(id, _)| *id) else { return Ok(()) };
        let events: Vec<AuditEvent> = waiting.into_iter().map(|(_, event)| event).collect();
        let commit = Commit { act: Act::system(), drafts: vec![Draft::Audit(events)], ..Commit::default() };
        recorder.write(move |desk| desk.replica.commit(desk.store, desk.now, desk.entropy, &commit).map(|_| ())).await??;
        let kept = Arc::clone(accounts);
        tokio::task::spawn_blocking(move || kept.drop_audit(through)).await.map_err(|_| DrainError::Stopped)??;
    }
}
