//! Seeing forks: a replica restored from a backup, or copied and alive twice.
//!
//! The first entry of a run in its author's site scope says which runs it continues and how many entries they had. More entries
//! than that in those runs, or two runs that do not know each other, mean that two histories went on from one.

use crate::replica::{Replica, read_body};
use crate::store::{Incident, StoreError, Transaction};
use record::id::{ReplicaId, RunId};
use record::ledger::Head;
use record::ledger::body::{Body, RunStart};
use record::ledger::grant::ScopeRole;
use record::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Raises an incident for each fork among the runs of the authors in the scopes shared with a peer.
pub(super) fn note(replica: &Replica, tx: &mut dyn Transaction, peer: ReplicaId, at: Timestamp) -> Result<(), StoreError> {
    let heads = replica.shared_heads(peer);
    let mut written: BTreeMap<(ReplicaId, RunId), u64> = BTreeMap::new();
    for head in replica.known.heads.values() {
        *written.entry((head.chain.author, head.chain.run)).or_default() += head.next;
    }
    let mut starts: BTreeMap<ReplicaId, BTreeMap<RunId, RunStart>> = BTreeMap::new();
    for Head { chain, .. } in &heads {
        let spine = replica.scope(chain.scope).is_some_and(|s| s.role == Some(ScopeRole::Site) && s.creator == chain.author);
        if spine
            && let Some(entry) = tx.entry(*chain, 0)?
            && let Some(Body::RunStart(start)) = read_body(&replica.known, &entry)
        {
            starts.entry(chain.author).or_default().insert(chain.run, start);
        }
    }
    for (author, starts) in starts {
        let mut raise = |kind: &str, detail: String| tx.put_incident(&Incident { author, kind: kind.to_owned(), detail, at, closed: None });
        let mut continued = BTreeSet::new();
        for (run, start) in &starts {
            let before = before(&starts, start);
            let known: u64 = before.iter().filter_map(|run| written.get(&(author, *run))).sum();
            if let Some(named) = start.written.filter(|named| known > *named) {
                raise("fork", format!("run {run} continues {named} entries of its author's earlier runs, which have {known}"))?;
            }
            continued.extend(before);
            let further = start.continues.iter().find(|named| replica.head(named.chain).is_some_and(|head| head.next > named.next));
            if let Some(named) = further {
                raise("fork", format!("run {run} continues run {} after {} entries, and it went on", named.chain.run, named.next))?;
            }
        }
        let tips: Vec<_> = starts.keys().filter(|run| !continued.contains(*run)).collect();
        if let [first, second, ..] = tips.as_slice() {
            raise("clone", format!("runs {first} and {second} do not know each other: two copies of one box have written"))?;
        }
    }
    Ok(())
}

/// All runs before one, through those it names.
fn before(starts: &BTreeMap<RunId, RunStart>, start: &RunStart) -> BTreeSet<RunId> {
    let (mut found, mut next) = (BTreeSet::new(), vec![start]);
    while let Some(start) = next.pop() {
        for head in &start.continues {
            if found.insert(head.chain.run) {
                next.extend(starts.get(&head.chain.run));
            }
        }
    }
    found
}
