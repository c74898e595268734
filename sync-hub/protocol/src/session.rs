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
use crate::store::{Incident, Store, StoreError, Transaction};
use crate::wire::{BATCH_BYTES, Reply, Request};
use record::id::{Hash, ReplicaId};
use record::ledger::{ChainId, Head, Kind, Stretch};
use record::time::Now;
use std::collections::BTreeMap;

/// How often a session takes up pushing again because something was written while it ran.
const AGAIN_MAX: u32 = 8;

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
    theirs: BTreeMap<ChainId, Head>,
    summary: Summary,
    refused_chains: Vec<ChainId>,
    /// The digest last stated to the hub; what its answer is compared with.
    stated: Hash,
    /// Times pushing was taken up again because something was written meanwhile.
    again: u32,
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
        let stated = replica.digest(me).all;
        let request = Request::Open {
            site: me,
            digest: stated,
            program: replica.program().to_owned(),
            waiting: replica.written().saturating_sub(covered),
            oldest_waiting: tx.oldest_after(me, acked)?.map(|t| t.0),
        };
        let caller = Self { hub, theirs: BTreeMap::new(), summary: Summary::default(), refused_chains: Vec::new(), stated, again: 0 };
        Ok((caller, request))
    }

    /// Takes the hub's reply.
    ///
    /// # Errors
    /// An answer out of turn, a false receipt, or the store.
    pub fn handle(&mut self, replica: &mut Replica, store: &mut dyn Store, now: Now, reply: Reply) -> Result<Step, SessionError> {
        let me = replica.id();
        match reply {
            Reply::Same { digest } => {
                self.summary.equal = self.stated == digest;
                self.summary.digest = Some(self.stated);
                Ok(Step::Done(Box::new(std::mem::take(&mut self.summary))))
            }
            Reply::Heads(heads) => {
                self.theirs = heads.into_iter().map(|h| (h.chain, h)).collect();
                self.next(replica, store)
            }
            Reply::Pushed { entries, refused } => {
                self.summary.sent += entries;
                self.refused_chains.extend(refused.iter().map(|r| r.chain));
                self.summary.refused.extend(refused);
                self.next(replica, store)
            }
            Reply::Pulled(stretches) => {
                if stretches.is_empty() {
                    return self.end(replica, store, now);
                }
                let accepted = replica.accept(store, now, Source::Hub(self.hub), &stretches)?;
                for head in stretches.iter().filter_map(Stretch::chain).filter_map(|chain| replica.head(chain)) {
                    self.theirs.insert(head.chain, head);
                }
                let stuck = accepted.entries == 0;
                self.summary.received.entries += accepted.entries;
                self.summary.received.documents.extend(accepted.documents);
                self.summary.received.bindings.extend(accepted.bindings);
                self.summary.received.refused.extend(accepted.refused);
                // A peer whose every stretch is refused would send them for ever.
                if stuck {
                    return Ok(self.close(replica, now));
                }
                Ok(Step::Ask(Request::Pull(replica.shared_heads(me))))
            }
            Reply::Closed(receipt) => {
                if receipt.signer != self.hub || receipt.to != me || !receipt.is_genuine() {
                    return Err(SessionError::Receipt);
                }
                self.summary.equal = receipt.digest == self.stated;
                self.summary.digest = Some(self.stated);
                let mut tx = store.begin()?;
                tx.put_receipt(&receipt)?;
                tx.commit()?;
                Ok(Step::Done(Box::new(std::mem::take(&mut self.summary))))
            }
        }
    }

    /// What came from the hub since this was last asked, already durable.
    pub fn take_received(&mut self) -> Accepted {
        std::mem::take(&mut self.summary.received)
    }

    /// Nothing is left to pull. What was written here meanwhile is pushed first, so that the digests can agree; on a ward
    /// that never rests the session ends all the same, and the next one goes on.
    fn end(&mut self, replica: &Replica, store: &mut dyn Store, now: Now) -> Result<Step, SessionError> {
        if self.again < AGAIN_MAX && !self.behind(replica).is_empty() {
            self.again += 1;
            return self.next(replica, store);
        }
        Ok(self.close(replica, now))
    }

    fn close(&mut self, replica: &Replica, now: Now) -> Step {
        let receipt = replica.receipt(replica.id(), self.hub, now);
        self.stated = receipt.digest;
        Step::Ask(Request::Close(receipt))
    }

    /// Chains of which we hold more than the hub, and from where. Its own are among them: it may have been restored.
    fn behind(&self, replica: &Replica) -> Vec<(Head, u64)> {
        let heads = replica.shared_heads(replica.id()).into_iter().filter(|h| !self.refused_chains.contains(&h.chain));
        let paired = heads.map(|h| (h, self.theirs.get(&h.chain).map_or(0, |t| t.next)));
        paired.filter(|(h, theirs)| h.next > *theirs).collect()
    }

    /// The next batch to push, or the first pull.
    fn next(&mut self, replica: &Replica, store: &mut dyn Store) -> Result<Step, SessionError> {
        let me = replica.id();
        let mut behind = self.behind(replica);
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
            if let Some(chain) = contradiction(tx.as_mut(), replica, &receipt.heads)? {
                let detail = format!("scope {}, run {}: the site holds other entries than this hub", chain.scope, chain.run);
                tx.put_incident(&Incident { author: site, kind: "digest-differs".to_owned(), detail, at: now.wall })?;
            }
            tx.commit()?;
            Reply::Closed(ours)
        }
    };
    Ok((reply, learned))
}

/// A chain of which both ends hold different entries. That one end holds more is no contradiction: it may have written
/// while the session ran, and the next session goes on from there.
fn contradiction(tx: &mut dyn Transaction, replica: &Replica, theirs: &[Head]) -> Result<Option<ChainId>, StoreError> {
    for their in theirs {
        let Some(our) = replica.head(their.chain).filter(|our| our.next >= their.next) else { continue };
        let held = match their.next.checked_sub(1) {
            Some(_) if our.next == their.next => Some(our.hash),
            Some(last) => tx.header_hash(their.chain, last)?,
            None => None,
        };
        if held.is_some_and(|hash| hash != their.hash) {
            return Ok(Some(their.chain));
        }
    }
    Ok(None)
}
