//! Sync without a line: what goes into a bundle for a peer, and the proof that comes back in one.
//!
//! A bundle holds all that happened here since the peer last said how far it was, payloads included, then those payloads that
//! its receipts do not speak of, and at the end a receipt of ours. The peer's word alone moves a bundle's beginning on: one
//! that is lost on its way costs nothing but size.

use super::compose::Composer;
use super::{Learned, PeerState, SessionError};
use crate::replica::Replica;
use crate::store::{Store, StoreError};
use crate::wire::{LogId, Message, Opening, Position};
use record::id::ReplicaId;
use record::ledger::{ChainId, Head, set_digest};
use record::time::Now;
use std::collections::{BTreeMap, VecDeque};

/// Bytes of payload in one message of a bundle, about; every payload fits into it whole.
pub const BUNDLE_BUDGET: usize = 2 << 20;

/// One message of a bundle.
#[derive(Clone, PartialEq, Debug)]
pub enum Packed {
    /// More follow.
    More(Box<Message>),
    /// The last: it holds the receipt, and the digest of all that this end holds.
    Last(Box<Message>),
}

/// What is still to be put into a bundle.
#[derive(Debug)]
pub struct Packing {
    peer: ReplicaId,
    /// How far the log has been put in.
    at: u64,
    /// The first place put in from the log, by chain: what lies before it the peer has the header of.
    pub(super) begun: BTreeMap<ChainId, u64>,
    /// Payloads that came into no stretch: too large for the message they belonged to.
    pub(super) left: VecDeque<(ChainId, u64)>,
    /// Places whose payloads no receipt of the peer speaks of; none until the log is through.
    unsigned: Option<VecDeque<(ChainId, u64, u64)>>,
}

impl Packing {
    /// Begins a bundle for a peer.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn open(replica: &Replica, store: &mut dyn Store, peer: ReplicaId) -> Result<Self, StoreError> {
        let mut tx = store.begin()?;
        let theirs = PeerState::load(tx.as_mut(), peer)?.theirs;
        // Of a log the peer does not know, from before a backup was restored here, it is sent everything.
        let at = if theirs.log == replica.known.log { theirs.at.min(replica.known.end) } else { 0 };
        Ok(Self { peer, at, begun: BTreeMap::new(), left: VecDeque::new(), unsigned: None })
    }

    /// The next message. What is written here meanwhile comes in as well.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn next(&mut self, replica: &Replica, store: &mut dyn Store, now: Now) -> Result<Packed, StoreError> {
        let mut tx = store.begin()?;
        let mut state = PeerState::load(tx.as_mut(), self.peer)?;
        let heads = replica.known.shared_heads(replica.id(), self.peer);
        let mut composer = Composer::new(replica, tx.as_mut(), self.peer, now).with_budget(BUNDLE_BUDGET);
        let mut message = composer.frame(&state, &heads)?;
        composer.pack_log(self.at, &mut message, self)?;
        self.at = message.reached;
        if !message.more {
            let mut unsigned = match self.unsigned.take() {
                Some(unsigned) => unsigned,
                None => composer.unsigned(&heads, &self.begun)?,
            };
            composer.pack_parts(&mut self.left, &mut unsigned, &mut message)?;
            message.more = !self.left.is_empty() || !unsigned.is_empty();
            self.unsigned = Some(unsigned);
        }
        if message.more {
            return Ok(Packed::More(Box::new(message)));
        }
        composer.sign_for(&mut state, &heads, &mut message)?;
        let (waiting, oldest) = tx.unheld(replica.id(), self.peer)?;
        message.opening =
            Some(Opening { program: Some(replica.program().to_owned()), waiting, oldest_s: oldest.map(|t| t.millis() / 1000) });
        state.save(tx.as_mut(), self.peer)?;
        tx.commit()?;
        Ok(Packed::Last(Box::new(message)))
    }
}

impl Replica {
    /// Takes in a message of a bundle. A bundle may be older than what a session or another bundle has brought since: what it
    /// says of itself then moves nothing back.
    ///
    /// # Errors
    /// A false receipt, or the store; nothing of the message was kept.
    pub fn take_in_packed(&mut self, store: &mut dyn Store, now: Now, peer: ReplicaId, message: &Message) -> Result<Learned, SessionError> {
        self.take(store, now, peer, message, true)
    }

    /// Whether the last message of a peer's bundle proves that it held the same as this replica did: all that it had signed for
    /// by then, and all of its own.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn is_proven(&self, store: &mut dyn Store, peer: ReplicaId, last: &Message) -> Result<bool, StoreError> {
        let mut tx = store.begin()?;
        let held: BTreeMap<ChainId, u64> = tx.held(peer, self.id())?.into_iter().map(|held| (held.chain, held.next)).collect();
        let mut heads = Vec::new();
        for head in self.shared_heads(peer) {
            let next = if head.chain.author == peer { head.next } else { held.get(&head.chain).copied().unwrap_or(0) };
            let Some(before) = next.checked_sub(1) else { continue };
            if next == head.next {
                heads.push(head);
            } else if let Some(hash) = tx.header_hash(head.chain, before)? {
                heads.push(Head { chain: head.chain, next, hash });
            } else {
                return Ok(false);
            }
        }
        Ok(set_digest(&heads).all == last.digest)
    }
}

impl PeerState {
    /// What a message says of how far its sender is. One of a bundle may be old: within one log it moves nothing back, unless
    /// the sender has begun another log itself, and so was restored from a backup.
    pub(super) fn hear(&mut self, message: &Message, packed: bool) {
        let same_sender_log = self.taken.log == message.log;
        if packed && !same_sender_log && message.from == 0 {
            self.taken = Position { log: message.log, at: 0 };
        }
        if self.taken.log == LogId::default() {
            self.taken.log = message.log;
        }
        if self.taken.log == message.log && message.from <= self.taken.at {
            self.taken.at = self.taken.at.max(message.reached);
        }
        self.theirs = match message.taken {
            said if !packed || !same_sender_log => said,
            said if said.log == self.theirs.log => Position { at: said.at.max(self.theirs.at), ..said },
            said if said.log == LogId::default() => self.theirs,
            said => said,
        };
        self.cited = message.cites;
    }
}
