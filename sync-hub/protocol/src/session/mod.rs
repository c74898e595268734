//! Sync between two replicas. Both ends run the same step: take in the other's message, durable, then say what is held, send
//! what the other lacks, ask for what is lacked here. Pure: messages in, messages out.
//!
//! ```text
//!     A                                        B
//!     digest, my log from where you were  ──▶  takes it in: digests equal?
//!     takes in the receipt                ◀──  digest, receipt                  one document changed: one round trip
//!
//!     headers and documents of my log … ──▶    wants: numerics newest first, then waves, from byte n on
//!     parts of payloads                 ──▶    until nothing is wanted; then its receipt
//!     ranges of heads                   ◀─▶    ranges, where logs have not made the digests equal
//! ```
//!
//! Always: a message stands alone — a session that breaks anywhere is begun again from what is durable, and resends at most one
//! message; nothing is signed for before its payload is durable and hash-checked; a peer that repeats, reorders or withholds
//! messages can delay, never corrupt.

mod compose;
mod forks;
mod packing;
mod reconcile;

pub use packing::{BUNDLE_BUDGET, Packed, Packing};

use crate::replica::{Accepted, Refused, Replica};
use crate::store::{Scope, State, Store, StoreError, Transaction};
use crate::wire::{Message, Opening, Position, Says, Want};
use compose::Composer;
use record::id::{Hash, ReplicaId, ScopeId};
use record::ledger::ChainId;
use record::ledger::receipt::{Receipt, ReceiptId};
use record::time::Now;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Rounds without anything new after which a session ends although the ends differ.
const IDLE_MAX: u32 = 3;
/// Most absent payloads looked at when a session with the hub opens.
const ABSENT_MAX: usize = 4096;

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A receipt that is not the peer's.
    #[error("the peer's receipt is not genuine")]
    Receipt,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a replica remembers of a peer between sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PeerState {
    /// How far we have taken in their log.
    taken: Position,
    /// How far they have taken in ours, as they last said.
    theirs: Position,
    /// Something was taken in that no receipt of ours to them speaks of.
    owes_receipt: bool,
    /// Something was taken in since the runs were last looked at for forks.
    unchecked: bool,
    /// The newest of our receipts that they have said they have.
    cited: ReceiptId,
}

impl PeerState {
    fn key(peer: ReplicaId) -> String {
        format!("peer/{peer}")
    }

    fn load(tx: &mut dyn Transaction, peer: ReplicaId) -> Result<Self, StoreError> {
        let kept = tx.value(&Self::key(peer))?;
        // What cannot be read is begun anew: it only saves work.
        Ok(kept.and_then(|bytes| postcard::from_bytes(&bytes).ok()).unwrap_or_default())
    }

    fn save(&self, tx: &mut dyn Transaction, peer: ReplicaId) -> Result<(), StoreError> {
        let bytes = postcard::to_stdvec(self).map_err(|e| StoreError::Other(e.to_string()))?;
        tx.put_value(&Self::key(peer), &bytes)
    }
}

/// What was learned from a message.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Learned {
    /// What was taken in.
    pub accepted: Accepted,
    /// What the peer said of itself on opening.
    pub opening: Option<Opening>,
    /// Whether both hold the same set and neither lacks a payload the other has.
    pub equal: bool,
    /// Stretches of ours the peer has not taken.
    pub refused: Vec<Refused>,
    /// Payload bytes and headers in our answer, for whoever counts.
    pub sent: u64,
}

impl Replica {
    /// The message that opens a session with a peer.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn greet(&mut self, store: &mut dyn Store, now: Now, peer: ReplicaId) -> Result<Message, StoreError> {
        let mut tx = store.begin()?;
        let mut state = PeerState::load(tx.as_mut(), peer)?;
        if self.known.hub() == Some(peer) {
            ask_again(tx.as_mut(), None, &[])?;
        }
        let (waiting, oldest) = tx.unheld(self.id(), peer)?;
        let mut message = Composer::new(self, tx.as_mut(), peer, now).first(&mut state)?;
        let program = (!self.introduced.contains(&peer)).then(|| self.program.clone());
        message.opening = Some(Opening { program, waiting, oldest_s: oldest.map(|t| t.millis() / 1000) });
        state.save(tx.as_mut(), peer)?;
        tx.commit()?;
        Ok(message)
    }

    /// Takes in a peer's message and gives the answer. What was taken in is durable on return.
    ///
    /// # Errors
    /// A false receipt, or the store; nothing of the message was kept.
    pub fn answer(
        &mut self,
        store: &mut dyn Store,
        now: Now,
        peer: ReplicaId,
        message: &Message,
    ) -> Result<(Message, Learned), SessionError> {
        let mut learned = self.take_in(store, now, peer, message)?;
        let mut tx = store.begin()?;
        // Of whom a past member did not have something, the others are asked. Not for what they want themselves: two who lack the
        // same would wait for each other.
        if message.opening.is_some() && self.known.hub().is_none() && !tx.in_state(State::Absent, None, 1)?.is_empty() {
            let left = |scope: &&Scope| scope.access.has(peer) && scope.access.has_past_members();
            for scope in self.known.scopes.values().filter(left).map(|scope| scope.id).collect::<Vec<_>>() {
                ask_again(tx.as_mut(), Some(scope), &message.wants)?;
            }
        }
        let mut state = PeerState::load(tx.as_mut(), peer)?;
        let mut composer = Composer::new(self, tx.as_mut(), peer, now);
        let mut reply = composer.reply(&mut state, message, learned.accepted.is_new())?;
        learned.equal = composer.equal;
        learned.sent = reply.stretches.iter().map(|s| s.headers.len() as u64).sum();
        reply.refused.clone_from(&learned.accepted.refused);
        state.save(tx.as_mut(), peer)?;
        tx.commit()?;
        Ok((reply, learned))
    }

    /// Takes in a peer's message without answering.
    ///
    /// # Errors
    /// A false receipt, or the store; nothing of the message was kept.
    pub fn take_in(&mut self, store: &mut dyn Store, now: Now, peer: ReplicaId, message: &Message) -> Result<Learned, SessionError> {
        self.take(store, now, peer, message, false)
    }

    fn take(&mut self, store: &mut dyn Store, now: Now, peer: ReplicaId, message: &Message, packed: bool) -> Result<Learned, SessionError> {
        let me = self.id();
        if let Some(receipt) = &message.receipt
            && (receipt.signer != peer || receipt.to != me || !receipt.is_genuine())
        {
            return Err(SessionError::Receipt);
        }
        let mut tx = store.begin()?;
        let mut state = PeerState::load(tx.as_mut(), peer)?;
        let mut taking = crate::replica::Taking::new(self, tx.as_mut(), now, peer);
        taking.all(&message.stretches, &message.parts)?;
        for (chain, seq) in &message.absent {
            taking.absent(*chain, *seq)?;
        }
        state.owes_receipt |= taking.is_new();
        state.unchecked |= taking.is_new();
        let untold = taking.untold();
        let (known, accepted) = taking.finish();
        for member in untold {
            if tx.receipt(me, member)?.is_some() {
                let mut told = PeerState::load(tx.as_mut(), member)?;
                told.owes_receipt = true;
                told.save(tx.as_mut(), member)?;
            }
        }
        if let Some(receipt) = &message.receipt {
            let held = tx.receipt(peer, me)?;
            let last = held.as_ref().map_or(ReceiptId::default(), Receipt::id);
            // One that adds to a receipt we do not have is left out; ours cites what we have, and it is made anew.
            let follows = receipt.since == ReceiptId::default() || receipt.since == last;
            let outdated = packed && held.is_some_and(|held| held.at > receipt.at);
            if follows && !outdated {
                tx.put_receipt(receipt)?;
            }
        }
        state.hear(message, packed);
        state.save(tx.as_mut(), peer)?;
        tx.commit()?;
        self.known = known;
        self.introduced.insert(peer);
        let refused = message.refused.clone();
        Ok(Learned { accepted, opening: message.opening.clone(), refused, ..Learned::default() })
    }

    /// Takes up again what could not be: unreadable payloads, and those that no peer had. Gives how many are well now.
    ///
    /// # Errors
    /// The store could not do it.
    pub fn retry_dead_letters(&mut self, store: &mut dyn Store, now: Now) -> Result<u64, StoreError> {
        self.retry(store, now).map(|(well, _)| well)
    }
}

/// Asks for payloads, of a scope or of any, that a neighbour or a past member did not have and nobody else has been asked for.
fn ask_again(tx: &mut dyn Transaction, scope: Option<ScopeId>, but: &[Want]) -> Result<(), StoreError> {
    let absent = tx.in_state(State::Absent, scope, ABSENT_MAX)?;
    if absent.is_empty() {
        return Ok(());
    }
    let mut given_up: BTreeSet<(ChainId, u64)> = tx.dead_letters()?.into_iter().map(|letter| (letter.chain, letter.seq)).collect();
    given_up.extend(but.iter().map(|want| (want.chain, want.seq)));
    for place in absent.iter().map(|entry| (entry.header.chain(), entry.header.seq)).filter(|place| !given_up.contains(place)) {
        tx.mark(place.0, place.1, State::Wanted)?;
    }
    Ok(())
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this and hand in the reply.
    Ask(Box<Message>),
    /// The session is over.
    Done(Box<Summary>),
}

/// What came of a session.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Summary {
    /// Whether both ends hold the same set and neither lacks a payload the other has.
    pub equal: bool,
    /// Our digest at its end.
    pub digest: Hash,
    /// Entries whose headers were sent.
    pub sent: u64,
    /// What was received and not taken with [`Session::take_received`].
    pub received: Accepted,
    /// Stretches of ours the peer refused.
    pub refused: Vec<Refused>,
}

/// The end that opens a session and decides when it is over.
#[derive(Debug)]
pub struct Session {
    peer: ReplicaId,
    summary: Summary,
    /// Rounds in a row that brought nothing new to either end.
    idle: u32,
    progress: (u64, Position, usize),
}

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn open(replica: &mut Replica, store: &mut dyn Store, now: Now, peer: ReplicaId) -> Result<(Self, Message), SessionError> {
        let message = replica.greet(store, now, peer)?;
        let summary = Summary { sent: message.stretches.iter().map(|s| s.headers.len() as u64).sum(), ..Summary::default() };
        Ok((Self { peer, summary, idle: 0, progress: (0, Position::default(), usize::MAX) }, message))
    }

    /// Takes the peer's reply.
    ///
    /// # Errors
    /// A false receipt, or the store.
    pub fn handle(&mut self, replica: &mut Replica, store: &mut dyn Store, now: Now, reply: &Message) -> Result<Step, SessionError> {
        let (next, learned) = replica.answer(store, now, self.peer, reply)?;
        self.summary.equal = learned.equal;
        self.summary.digest = next.digest;
        self.summary.refused.extend(learned.refused);
        let moved = learned.accepted.is_new();
        self.summary.received.extend(learned.accepted);
        // What is asked of us shrinks or moves on while the peer takes in what we send.
        let wanted: u64 = reply.wants.iter().map(|w| w.offset).sum();
        let progress = (wanted, reply.taken, reply.wants.len());
        self.idle = if moved || progress != self.progress { 0 } else { self.idle + 1 };
        self.progress = progress;
        // The peer must hear that we have what it sent, so that it knows it is proven.
        let quiet = !moved
            && next.stretches.is_empty()
            && next.parts.is_empty()
            && next.wants.is_empty()
            && next.absent.is_empty()
            && next.receipt.is_none()
            && !next.more
            && !reply.more
            && reply.wants.is_empty();
        let over = quiet && (learned.equal || next.ranges.iter().all(|r| r.says == Says::Same));
        if over || self.idle > IDLE_MAX {
            return Ok(Step::Done(Box::new(std::mem::take(&mut self.summary))));
        }
        self.summary.sent += learned.sent;
        Ok(Step::Ask(Box::new(next)))
    }

    /// What came from the peer since this was last asked, already durable.
    pub fn take_received(&mut self) -> Accepted {
        std::mem::take(&mut self.summary.received)
    }
}
