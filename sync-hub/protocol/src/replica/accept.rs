//! Accepting what a peer sends: verified, appended and applied, chain by chain. A refused stretch stops its own chain only.

use super::apply::{self, Changes};
use super::{Known, Replica};
use crate::commit::DocumentState;
use crate::store::{Applied, Incident, Scope, Store, StoreError, Transaction};
use record::binding::Binding;
use record::id::ReplicaId;
use record::ledger::chain::ChainError;
use record::ledger::{ChainId, Head, Hlc, Kind, Stretch};
use record::time::Now;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Who is sending, and what they may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// A site, at its hub: entries it wrote, or the hub's own from before a restore, in scopes it began.
    Site(ReplicaId),
    /// The hub, at a site: documents and acknowledgements it wrote, or our own entries from before a restore, in scopes we began.
    Hub(ReplicaId),
}

/// A stretch that was not taken, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// Its chain.
    pub chain: ChainId,
    /// Its first entry.
    pub seq: u64,
    /// What is wrong, naming the entry.
    pub reason: String,
}

/// What came of a batch.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Accepted {
    /// Entries that are new here.
    pub entries: u64,
    /// Stretches not taken.
    pub refused: Vec<Refused>,
    /// Documents that changed.
    pub documents: Vec<DocumentState>,
    /// Versions of bindings that are new here.
    pub bindings: Vec<(Hlc, Binding)>,
}

impl Replica {
    /// Takes in stretches; on return all that is not refused is durable.
    ///
    /// # Errors
    /// The store could not do it; nothing of the batch was kept.
    pub fn accept(&mut self, store: &mut dyn Store, now: Now, source: Source, stretches: &[Stretch]) -> Result<Accepted, StoreError> {
        let mut tx = store.begin()?;
        let mut known = self.known.clone();
        let mut accepted = Accepted::default();
        let mut changes = Changes::default();
        let mut stopped: Vec<ChainId> = Vec::new();
        for stretch in stretches {
            let Some(chain) = stretch.chain() else { continue };
            if stopped.contains(&chain) {
                continue;
            }
            match self.take(tx.as_mut(), &mut known, now, source, stretch, &mut changes) {
                Ok(new) => accepted.entries += new,
                Err(Stopped::Store(error)) => return Err(error),
                Err(Stopped::Refused(kind, reason)) => {
                    stopped.push(chain);
                    let author = match source {
                        Source::Site(site) => site,
                        Source::Hub(hub) => hub,
                    };
                    if let Some(kind) = kind {
                        let detail = format!("scope {}, run {}: {reason}", chain.scope, chain.run);
                        tx.put_incident(&Incident { author, kind: kind.to_owned(), detail, at: now.wall })?;
                    }
                    accepted.refused.push(Refused { chain, seq: stretch.headers.first().map_or(0, |h| h.seq), reason });
                }
            }
        }
        tx.commit()?;
        self.known = known;
        accepted.documents = changes.documents;
        accepted.bindings = changes.bindings;
        Ok(accepted)
    }

    fn take(
        &self,
        tx: &mut dyn Transaction,
        known: &mut Known,
        now: Now,
        source: Source,
        stretch: &Stretch,
        changes: &mut Changes,
    ) -> Result<u64, Stopped> {
        let chain = stretch.chain().ok_or_else(|| refused("broken-chain", &ChainError::Shape))?;
        let began = permit(known, self.id(), source, chain, stretch)?;
        let head = known.heads.get(&chain).copied().unwrap_or_else(|| Head::empty(chain));
        let first = stretch.headers.first().map_or(0, |h| h.seq);
        if first > head.next {
            return Err(refused("broken-chain", &ChainError::Gap { expected: head.next, got: first }));
        }
        let before = match first.checked_sub(1) {
            None => chain.root(),
            Some(seq) => {
                tx.header_hash(chain, seq)?.ok_or_else(|| refused("broken-chain", &ChainError::Gap { expected: seq, got: first }))?
            }
        };
        let end = stretch.verify(Head { chain, next: first, hash: before }).map_err(|e| refused("broken-chain", &e))?;
        // What is held already must be the very same entries.
        let mut hash = before;
        for header in stretch.headers.iter().take_while(|h| h.seq < head.next) {
            hash = header.hash(hash);
            if tx.header_hash(chain, header.seq)? != Some(hash) {
                return Err(refused("fork", &ChainError::Fork { seq: header.seq }));
            }
        }
        if end.next <= head.next {
            return Ok(0);
        }
        let skip = usize::try_from(head.next - first).unwrap_or(usize::MAX);
        let fresh = Stretch {
            headers: stretch.headers.get(skip..).unwrap_or_default().to_vec(),
            payloads: stretch.payloads.get(skip..).unwrap_or_default().to_vec(),
            signature: stretch.signature,
        };
        if let Some((header, _)) = fresh.headers.iter().zip(&fresh.payloads).find(|(_, payload)| payload.is_empty()) {
            return Err(Stopped::Refused(None, format!("entry {}: its payload was not sent", header.seq)));
        }
        if let Some(scope) = began {
            tx.put_scope(&scope)?;
            known.learn_scope(scope);
        }
        tx.append(&fresh, end, Applied::Waiting, now.wall)?;
        Arc::make_mut(&mut known.heads).insert(chain, end);
        for (header, payload) in fresh.headers.iter().zip(&fresh.payloads) {
            known.hlc = known.hlc.observe(header.hlc, now);
            let applied = apply::entry(tx, known, &self.identity, header, payload, now.wall, changes)?;
            if applied != Applied::Waiting {
                tx.mark(chain, header.seq, applied)?;
            }
            if applied == Applied::Dead {
                let detail = format!("scope {}, run {}, entry {}", chain.scope, chain.run, header.seq);
                tx.put_incident(&Incident { author: chain.author, kind: "unreadable-payload".to_owned(), detail, at: now.wall })?;
            }
        }
        note_forks(tx, known, now, &fresh, end)?;
        Ok(fresh.headers.len() as u64)
    }
}

enum Stopped {
    Store(StoreError),
    /// Incident kind, if it is one, and the reason.
    Refused(Option<&'static str>, String),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn refused(kind: &'static str, error: &ChainError) -> Stopped {
    // A gap is what a lost batch looks like; the next session fills it.
    let incident = if matches!(error, ChainError::Gap { .. }) { None } else { Some(kind) };
    Stopped::Refused(incident, error.to_string())
}

/// What a hub writes into a site's scopes: documents and answers to alerts. Samples, bindings and grants are the site's own.
const FROM_HUB: &[Kind] = &[Kind::RUN_START, Kind::GENESIS, Kind::CHANGE, Kind::ACKNOWLEDGEMENT];

/// Whether the source may send this stretch; gives the scope to begin if it is seen for the first time. Its key comes
/// later, with its grant.
fn permit(known: &Known, me: ReplicaId, source: Source, chain: ChainId, stretch: &Stretch) -> Result<Option<Scope>, Stopped> {
    // Whoever was restored from a backup is sent its own entries back: by its hub, or by each of its sites.
    let (peer, site) = match source {
        Source::Site(site) => (site, site),
        Source::Hub(hub) => (hub, me),
    };
    if chain.author != peer && chain.author != me {
        return Err(Stopped::Refused(Some("broken-chain"), format!("entries by {} are not this peer's to send", chain.author)));
    }
    if chain.author != site
        && let Some(header) = stretch.headers.iter().find(|h| h.kind <= Kind::ACKNOWLEDGEMENT && !FROM_HUB.contains(&h.kind))
    {
        return Err(Stopped::Refused(
            Some("broken-chain"),
            format!("entry {}: kind {} is the site's own to write", header.seq, header.kind.0),
        ));
    }
    match known.scopes.get(&chain.scope).map(|s| s.creator) {
        Some(creator) if creator == site => Ok(None),
        Some(_) => Err(Stopped::Refused(Some("broken-chain"), format!("scope {} belongs to another site", chain.scope))),
        // A site begins its scopes itself; one that was restored from a backup gets back those begun since.
        None if chain.author == site => Ok(Some(Scope { id: chain.scope, role: None, creator: site, key: None, patient: None })),
        None => Err(Stopped::Refused(None, format!("scope {} is not known here", chain.scope))),
    }
}

/// A run that continues less than is known of an earlier one, or an earlier run that grows after a later one began:
/// somebody restored a backup, or two copies of one replica are alive. Both branches are kept.
fn note_forks(tx: &mut dyn Transaction, known: &Known, now: Now, fresh: &Stretch, end: Head) -> Result<(), StoreError> {
    let chain = end.chain;
    let mut raise =
        |kind: &str, detail: String| tx.put_incident(&Incident { author: chain.author, kind: kind.to_owned(), detail, at: now.wall });
    if let Some(next) = known.continued.get(&chain).filter(|next| end.next > **next) {
        let detail = format!(
            "run {} goes on past entry {next} in scope {} although a later run has begun: two copies are alive",
            chain.run, chain.scope
        );
        raise("clone", detail)?;
    }
    if fresh.headers.first().is_some_and(|h| h.seq == 0 && h.kind == Kind::RUN_START) {
        for other in known.heads.values() {
            if other.chain.scope == chain.scope && other.chain.author == chain.author && other.chain.run != chain.run {
                let named = known.continued.get(&other.chain).copied().unwrap_or(0);
                if named < other.next {
                    raise(
                        "fork",
                        format!(
                            "run {} does not know entries {named} to {} of run {} in scope {}",
                            chain.run,
                            other.next - 1,
                            other.chain.run,
                            chain.scope
                        ),
                    )?;
                }
            }
        }
    }
    Ok(())
}
