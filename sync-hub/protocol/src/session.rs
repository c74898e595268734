//! A sync session, both ends. Pure: requests and replies in, replies and requests out; durable before answered.
//!
//! ```text
//!     site                                hub
//!     Open(digest)            ──▶
//!                             ◀──   Same                      nothing changed: one round trip
//!                             ◀──   Heads
//!     Push(stretches) …       ──▶
//!                             ◀──   Pushed
//!     Pull(heads) …           ──▶
//!                             ◀──   Pulled
//!     Close(receipt)          ──▶
//!                             ◀──   Closed(receipt)           digests compared on both sides
//! ```
//!
//! A session that breaks anywhere is begun again; what was pushed stays, so it resumes from the hub's heads.

use crate::replica::{Accepted, Refused, Replica, Source};
use crate::store::{Incident, Store, StoreError};
use crate::wire::{BATCH_BYTES, Reply, Request};
use record::id::{Hash, ReplicaId};
use record::ledger::{Head, Kind, Stretch};
use record::time::Now;
use std::collections::BTreeMap;

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The peer answered out of turn.
    #[error("the peer's answer does not fit the question")]
    OutOfTurn,
    /// A receipt that is not the peer's.
    #[error("the peer's receipt is not genuine")]
    Receipt,
    /// The request names another site than its certificate.
    #[error("the certificate is for another site")]
    WrongSite,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this and hand in the reply.
    Ask(Request),
    /// The session is over.
    Done(Box<Summary>),
}

/// What came of a session.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Summary {
    /// Whether both ends hold the same set.
    pub equal: bool,
    /// Our digest at its end.
    pub digest: Option<Hash>,
    /// Own entries sent.
    pub sent: u64,
    /// Entries, documents and bindings received.
    pub received: Accepted,
    /// Stretches of ours the hub refused.
    pub refused: Vec<Refused>,
}

/// The site's end.
#[derive(Debug)]
pub struct Caller {
    hub: ReplicaId,
    theirs: BTreeMap<record::ledger::ChainId, Head>,
    summary: Summary,
    refused_chains: Vec<record::ledger::ChainId>,
}

impl Caller {
    /// Begins a session with the hub.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(replica: &Replica, store: &mut dyn Store, hub: ReplicaId) -> Result<(Self, Request), SessionError> {
        let me = replica.id();
        let mut tx = store.begin()?;
        let receipt = tx.receipt(hub)?;
        let acked = receipt.as_ref().map_or(&[][..], |r| &r.heads);
        let covered = receipt.as_ref().map_or(0, |r| replica.covered(r));
        let request = Request::Open {
            site: me,
            digest: replica.digest(me).all,
            program: replica.program().to_owned(),
            waiting: replica.written().saturating_sub(covered),
            oldest_waiting: tx.oldest_after(me, acked)?.map(|t| t.0),
        };
        Ok((Self { hub, theirs: BTreeMap::new(), summary: Summary::default(), refused_chains: Vec::new() }, request))
    }

    /// Takes the hub's reply.
    ///
    /// # Errors
    /// An answer out of turn, a false receipt, or the store.
    pub fn handle(&mut self, replica: &mut Replica, store: &mut dyn Store, now: Now, reply: Reply) -> Result<Step, SessionError> {
        let me = replica.id();
        match reply {
            Reply::Same { digest } => {
                // Documents may have been written here since we asked; then there is something to push after all.
                let ours = replica.digest(me).all;
                self.summary.equal = ours == digest;
                self.summary.digest = Some(ours);
                Ok(Step::Done(Box::new(std::mem::take(&mut self.summary))))
            }
            Reply::Heads(heads) => {
                self.theirs = heads.into_iter().map(|h| (h.chain, h)).collect();
                self.next(replica, store, now)
            }
            Reply::Pushed { entries, refused } => {
                self.summary.sent += entries;
                self.refused_chains.extend(refused.iter().map(|r| r.chain));
                self.summary.refused.extend(refused);
                self.next(replica, store, now)
            }
            Reply::Pulled(stretches) => {
                if stretches.is_empty() {
                    return Ok(Step::Ask(Request::Close(replica.receipt(me, self.hub, now))));
                }
                let accepted = replica.accept(store, now, Source::Hub(self.hub), &stretches)?;
                let stuck = accepted.entries == 0;
                self.summary.received.entries += accepted.entries;
                self.summary.received.documents.extend(accepted.documents);
                self.summary.received.bindings.extend(accepted.bindings);
                self.summary.received.refused.extend(accepted.refused);
                // A peer whose every stretch is refused would send them for ever.
                if stuck {
                    return Ok(Step::Ask(Request::Close(replica.receipt(me, self.hub, now))));
                }
                Ok(Step::Ask(Request::Pull(replica.shared_heads(me))))
            }
            Reply::Closed(receipt) => {
                if receipt.signer != self.hub || receipt.to != me || !receipt.is_genuine() {
                    return Err(SessionError::Receipt);
                }
                let ours = replica.digest(me).all;
                self.summary.equal = receipt.digest == ours;
                self.summary.digest = Some(ours);
                let mut tx = store.begin()?;
                tx.put_receipt(&receipt)?;
                tx.commit()?;
                Ok(Step::Done(Box::new(std::mem::take(&mut self.summary))))
            }
        }
    }

    /// The next batch to push, or the first pull.
    fn next(&mut self, replica: &Replica, store: &mut dyn Store, _now: Now) -> Result<Step, SessionError> {
        let me = replica.id();
        let mut behind: Vec<(Head, u64)> = replica
            .shared_heads(me)
            .into_iter()
            .filter(|h| h.chain.author == me && !self.refused_chains.contains(&h.chain))
            .map(|h| (h, self.theirs.get(&h.chain).map_or(0, |t| t.next)))
            .filter(|(h, theirs)| h.next > *theirs)
            .collect();
        let mut tx = store.begin()?;
        let mut first = BTreeMap::new();
        for (head, from) in &behind {
            // What comes next in a chain decides its turn; grants and documents before numerics, waves last.
            let kind = tx.entry(head.chain, *from)?.map_or(Kind::RUN_START, |e| e.header.kind);
            first.insert(head.chain, (kind.priority(), kind != Kind::GRANT));
        }
        behind.sort_by_key(|(head, _)| (first.get(&head.chain).copied(), *head));
        let (mut batch, mut used): (Vec<Stretch>, usize) = (Vec::new(), 0);
        for (head, from) in behind {
            if used >= BATCH_BYTES {
                break;
            }
            for stretch in tx.stretches(head.chain, from, BATCH_BYTES - used)? {
                used += stretch.payloads.iter().map(|p| p.len() + 96).sum::<usize>();
                if let Some(last) = stretch.headers.last() {
                    self.theirs.insert(head.chain, Head { chain: head.chain, next: last.seq + 1, hash: head.hash });
                }
                batch.push(stretch);
            }
        }
        Ok(Step::Ask(if batch.is_empty() { Request::Pull(replica.shared_heads(me)) } else { Request::Push(batch) }))
    }
}

/// What the hub learns from a request, beside its reply.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Learned {
    /// What was taken in.
    pub accepted: Accepted,
    /// Set by `Open`: the site's program version, entries waiting there, and the oldest of them.
    pub status: Option<(String, u64, Option<i64>)>,
    /// Set at a session's end: whether the digests were equal.
    pub equal: Option<bool>,
}

/// The hub's end: answers one request of `site`, whose identity the connection has proven.
///
/// # Errors
/// A request that names another site, a false receipt, or the store.
pub fn answer(
    replica: &mut Replica,
    store: &mut dyn Store,
    now: Now,
    site: ReplicaId,
    request: Request,
) -> Result<(Reply, Learned), SessionError> {
    let mut learned = Learned::default();
    let reply = match request {
        Request::Open { site: named, digest, program, waiting, oldest_waiting } => {
            if named != site {
                return Err(SessionError::WrongSite);
            }
            learned.status = Some((program, waiting, oldest_waiting));
            if replica.digest(site).all == digest {
                learned.equal = Some(true);
                Reply::Same { digest }
            } else {
                Reply::Heads(replica.shared_heads(site))
            }
        }
        Request::Push(stretches) => {
            learned.accepted = replica.accept(store, now, Source::Site(site), &stretches)?;
            Reply::Pushed { entries: learned.accepted.entries, refused: learned.accepted.refused.clone() }
        }
        Request::Pull(heads) => {
            let theirs: BTreeMap<_, u64> = heads.into_iter().map(|h| (h.chain, h.next)).collect();
            let mut tx = store.begin()?;
            let (mut batch, mut used) = (Vec::new(), 0);
            for head in replica.shared_heads(site) {
                let from = theirs.get(&head.chain).copied().unwrap_or(0);
                if head.next <= from || used >= BATCH_BYTES {
                    continue;
                }
                for stretch in tx.stretches(head.chain, from, BATCH_BYTES - used)? {
                    used += stretch.payloads.iter().map(|p| p.len() + 96).sum::<usize>();
                    batch.push(stretch);
                }
            }
            Reply::Pulled(batch)
        }
        Request::Close(receipt) => {
            if receipt.signer != site || receipt.to != replica.id() || !receipt.is_genuine() {
                return Err(SessionError::Receipt);
            }
            let ours = replica.receipt(site, site, now);
            let equal = receipt.digest == ours.digest;
            learned.equal = Some(equal);
            let mut tx = store.begin()?;
            tx.put_receipt(&receipt)?;
            if !equal {
                let detail = format!("after a session the site holds {}, this hub {}", receipt.digest, ours.digest);
                tx.put_incident(&Incident { author: site, kind: "digest-differs".to_owned(), detail, at: now.wall })?;
            }
            tx.commit()?;
            Reply::Closed(ours)
        }
    };
    Ok((reply, learned))
}
