//! What a replica says next: what the peer lacks, as far as it fits; what it wants itself; its receipt.

use super::reconcile::{self, Found};
use super::{Packing, PeerState, forks};
use crate::replica::{Replica, duties};
use crate::store::{Incident, Logged, State, StoreError, Transaction};
use crate::wire::{BUDGET, Message, Part, Position, Range, Want};
use record::id::{Hash, ReplicaId};
use record::ledger::receipt::{Held, Receipt, ReceiptId};
use record::ledger::{ChainId, Head, Stretch, set_digest};
use record::time::Now;
use std::collections::{BTreeMap, VecDeque};

/// Entries of the log read for one message.
const LOG_READ: usize = 4096;
/// Bytes a header takes on the wire, about, without its payload.
const HEADER_BYTES: usize = 48;
/// Bytes the frame of a stretch takes: chain and signature.
const STRETCH_BYTES: usize = 96;
/// Most payloads asked for in one message.
const WANTS_MAX: usize = 512;
/// Bytes of payload asked for in one message: what is served at once, and once more.
const WANTS_BYTES: u64 = 2 * BUDGET as u64;

pub(super) struct Composer<'a> {
    replica: &'a Replica,
    tx: &'a mut dyn Transaction,
    peer: ReplicaId,
    now: Now,
    budget: usize,
    /// Whether both hold the same, as of the message being made.
    pub equal: bool,
}

impl<'a> Composer<'a> {
    pub fn new(replica: &'a Replica, tx: &'a mut dyn Transaction, peer: ReplicaId, now: Now) -> Self {
        Self { replica, tx, peer, now, budget: BUDGET, equal: false }
    }

    /// As [`Composer::new`], for a message that may be larger.
    pub fn with_budget(self, budget: usize) -> Self {
        Self { budget, ..self }
    }

    /// Opens: what happened since the peer last said how far it was.
    pub fn first(mut self, state: &mut PeerState) -> Result<Message, StoreError> {
        let heads = self.replica.known.shared_heads(self.replica.id(), self.peer);
        let mut message = self.frame(state, &heads)?;
        self.send_log(state.theirs, &mut message)?;
        message.wants = self.wants()?;
        if state.owes_receipt && message.wants.is_empty() {
            let cited = self.tx.receipt(self.replica.id(), self.peer)?.map_or(ReceiptId::default(), |r| r.id());
            self.sign(cited, &heads, &mut message)?;
        }
        Ok(message)
    }

    /// Answers `from`, which has been taken in and brought something `new` or not.
    pub fn reply(&mut self, state: &mut PeerState, from: &Message, new: bool) -> Result<Message, StoreError> {
        let me = self.replica.id();
        let heads = self.replica.known.shared_heads(me, self.peer);
        let mut message = self.frame(state, &heads)?;
        let same = message.digest == from.digest;
        let mut sent_ranges = false;
        if same && !from.more {
            // Whoever holds the same set has all of the other's log, whatever the cursors say.
            state.taken = Position { log: from.log, at: from.reached };
            state.theirs = Position { log: self.replica.known.log, at: self.replica.known.end };
            message.taken = state.taken;
        }
        self.send_log(state.theirs, &mut message)?;
        if !same {
            sent_ranges = self.reconcile(from, &heads, &mut message)?;
        }
        self.serve(&from.wants, &mut message)?;
        message.wants = if from.more { Vec::new() } else { self.wants()? };
        let idle = !new && from.parts.is_empty() && from.stretches.is_empty();
        let cited = from.cites;
        let last = self.tx.receipt(me, self.peer)?.map_or(ReceiptId::default(), |r| r.id());
        let behind = cited != last;
        let owes = state.owes_receipt || behind || (same && self.holds_untold(&heads, message.digest)?);
        if owes && !from.more && (message.wants.is_empty() || idle) {
            self.sign(if behind { ReceiptId::default() } else { cited }, &heads, &mut message)?;
            state.owes_receipt = false;
        }
        // Half a set would look like a fork.
        if same && state.unchecked && message.wants.is_empty() {
            forks::note(self.replica, self.tx, self.peer, self.now.wall)?;
            state.unchecked = false;
        }
        self.equal = same && message.wants.is_empty() && from.wants.is_empty() && !sent_ranges;
        Ok(message)
    }

    pub fn frame(&mut self, state: &PeerState, heads: &[Head]) -> Result<Message, StoreError> {
        let digest: Hash = set_digest(heads).all;
        let known = &self.replica.known;
        let cites = self.tx.receipt(self.peer, self.replica.id())?.map_or(ReceiptId::default(), |r| r.id());
        Ok(Message { digest, log: known.log, from: known.end, reached: known.end, taken: state.taken, cites, ..Message::default() })
    }

    /// Sends what the log holds after where the peer is. Documents and all that is small go with their payloads; what is large
    /// is named, and fetched by whoever wants it.
    fn send_log(&mut self, theirs: Position, message: &mut Message) -> Result<(), StoreError> {
        let (me, peer, known) = (self.replica.id(), self.peer, &self.replica.known);
        let from = match theirs.log {
            log if log == known.log => theirs.at.min(known.end),
            log if log == crate::wire::LogId::default() => 0,
            // It knows another log of ours, from before a backup was restored: ranges find what it lacks.
            _ => return Ok(()),
        };
        // Nothing the peer lacks lies past `from`: the log need not be read.
        let mut news = known.arrivals.iter().filter(|(chain, at)| **at > from && chain.author != peer);
        if !news.any(|(chain, _)| known.shares(*chain, me, peer)) {
            message.from = from;
            return Ok(());
        }
        let mut keep = |chain: &ChainId| chain.author != peer && known.shares(*chain, me, peer);
        let page = self.tx.log(from, LOG_READ, &mut keep)?;
        (message.from, message.reached, message.more) = (from, from, false);
        let mut large = Vec::new();
        for logged in page.stretches {
            let frame = STRETCH_BYTES + logged.headers.len() * HEADER_BYTES;
            if frame > self.budget && !message.stretches.is_empty() {
                message.more = true;
                break;
            }
            self.budget = self.budget.saturating_sub(frame);
            message.reached = logged.arrival;
            let stretch = self.with_payloads(logged, message.stretches.len(), &mut large)?;
            message.stretches.push(stretch);
        }
        if !message.more {
            (message.reached, message.more) = (page.reached, page.more);
        }
        // Where everything fits, nothing needs to be asked for.
        let whole: usize = large.iter().map(|(.., len)| len).sum();
        if !message.more && whole <= self.budget {
            self.budget -= whole;
            for (stretch, index, _) in large {
                let Some(stretch) = message.stretches.get_mut(stretch) else { continue };
                let Some(seq) = stretch.headers.get(index).map(|h| h.seq) else { continue };
                let held = stretch.chain().map(|chain| self.payload(chain, seq)).transpose()?.flatten();
                if let (Some(held), Some(payload)) = (held, stretch.payloads.get_mut(index)) {
                    *payload = held;
                }
            }
        }
        Ok(())
    }

    /// A stretch with the payloads that go first, as far as they fit. The others held are added to `large`: stretch, entry, length.
    fn with_payloads(&mut self, logged: Logged, at: usize, large: &mut Vec<(usize, usize, usize)>) -> Result<Stretch, StoreError> {
        let mut payloads = Vec::with_capacity(logged.headers.len());
        for (index, header) in logged.headers.iter().enumerate() {
            let len = header.len as usize;
            let first = header.kind.priority() == 0 && len <= self.budget;
            if !first {
                large.push((at, index, len));
                payloads.push(Vec::new());
                continue;
            }
            let payload = self.payload(header.chain(), header.seq)?.unwrap_or_default();
            self.budget = self.budget.saturating_sub(payload.len());
            payloads.push(payload);
        }
        Ok(Stretch { headers: logged.headers, payloads, signature: logged.signature })
    }

    /// A payload that is here, whole: damage is found before it is sent on.
    fn payload(&mut self, chain: ChainId, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let entry = self.tx.entry(chain, seq)?.filter(|entry| entry.state.holds());
        let Some(entry) = entry else { return Ok(None) };
        Ok(if duties::is_whole(self.tx, &entry, self.now.wall)? { Some(entry.payload) } else { None })
    }

    /// As [`Composer::send_log`], from `at` on and with every payload that is here. One that does not fit any more is noted.
    pub fn pack_log(&mut self, at: u64, message: &mut Message, packing: &mut Packing) -> Result<(), StoreError> {
        let (me, peer, known) = (self.replica.id(), self.peer, &self.replica.known);
        let mut keep = |chain: &ChainId| chain.author != peer && known.shares(*chain, me, peer);
        let page = self.tx.log(at, LOG_READ, &mut keep)?;
        (message.from, message.reached, message.more) = (at, page.reached, page.more);
        let mut reached = at;
        for logged in page.stretches {
            let bytes: usize = logged.headers.iter().map(|h| HEADER_BYTES + h.len as usize).sum();
            if STRETCH_BYTES + bytes > self.budget && !message.stretches.is_empty() {
                (message.reached, message.more) = (reached, true);
                break;
            }
            reached = logged.arrival;
            self.budget = self.budget.saturating_sub(STRETCH_BYTES + logged.headers.len() * HEADER_BYTES);
            let mut payloads = Vec::with_capacity(logged.headers.len());
            for header in &logged.headers {
                let chain = header.chain();
                packing.begun.entry(chain).or_insert(header.seq);
                let payload = self.tx.entry(chain, header.seq)?.map(|entry| entry.payload).unwrap_or_default();
                if payload.len() > self.budget {
                    packing.left.push_back((chain, header.seq));
                    payloads.push(Vec::new());
                } else {
                    self.budget -= payload.len();
                    payloads.push(payload);
                }
            }
            message.stretches.push(Stretch { headers: logged.headers, payloads, signature: logged.signature });
        }
        Ok(())
    }

    /// The places of which the peer has the header, or so it says, and has not signed for the payload.
    pub fn unsigned(&mut self, heads: &[Head], begun: &BTreeMap<ChainId, u64>) -> Result<VecDeque<(ChainId, u64, u64)>, StoreError> {
        let held: BTreeMap<ChainId, Held> =
            self.tx.held(self.peer, self.replica.id())?.into_iter().map(|held| (held.chain, held)).collect();
        let mut unsigned = VecDeque::new();
        for head in heads.iter().filter(|head| head.chain.author != self.peer) {
            let upto = begun.get(&head.chain).copied().unwrap_or(head.next);
            let held = held.get(&head.chain);
            let gaps = held.map(|held| held.gaps.as_slice()).unwrap_or_default().iter().copied();
            let rest = (held.map_or(0, |held| held.next), upto);
            let bounded = gaps.chain([rest]).map(|(from, to)| (head.chain, from, to.min(upto)));
            unsigned.extend(bounded.filter(|(_, from, to)| from < to));
        }
        Ok(unsigned)
    }

    /// Adds payloads by place, as far as they fit.
    pub fn pack_parts(
        &mut self,
        left: &mut VecDeque<(ChainId, u64)>,
        unsigned: &mut VecDeque<(ChainId, u64, u64)>,
        message: &mut Message,
    ) -> Result<(), StoreError> {
        loop {
            if left.is_empty() {
                match unsigned.pop_front() {
                    None => return Ok(()),
                    // A long range is taken bit by bit.
                    Some((chain, from, to)) => {
                        let next = to.min(from.saturating_add(LOG_READ as u64));
                        left.extend((from..next).map(|seq| (chain, seq)));
                        if next < to {
                            unsigned.push_front((chain, next, to));
                        }
                    }
                }
            }
            while let Some(&(chain, seq)) = left.front() {
                let entry = self.tx.entry(chain, seq)?.filter(|entry| entry.state.holds());
                if let Some(entry) = entry {
                    if entry.payload.len() > self.budget {
                        return Ok(());
                    }
                    self.budget -= entry.payload.len();
                    message.parts.push(Part { chain, seq, offset: 0, bytes: entry.payload });
                }
                left.pop_front();
            }
        }
    }

    /// Puts a receipt into the last message of a bundle, unless the peer has said that it has one that says as much.
    pub fn sign_for(&mut self, state: &mut PeerState, heads: &[Head], message: &mut Message) -> Result<(), StoreError> {
        let last = self.tx.receipt(self.replica.id(), self.peer)?.map_or(ReceiptId::default(), |r| r.id());
        let behind = state.cited != last;
        if state.owes_receipt || behind {
            self.sign(if behind { ReceiptId::default() } else { last }, heads, message)?;
            state.owes_receipt = false;
        }
        Ok(())
    }

    /// Ranges of heads, where neither log has more to say and the sets still differ. Gives whether any were sent.
    fn reconcile(&mut self, from: &Message, heads: &[Head], message: &mut Message) -> Result<bool, StoreError> {
        if from.ranges.is_empty() {
            if !from.more && !message.more && message.stretches.is_empty() && from.stretches.is_empty() {
                message.ranges = reconcile::begin(heads);
            }
            return Ok(!message.ranges.is_empty());
        }
        let tx = &mut *self.tx;
        let Found { ranges, lacks, contradicts } = reconcile::respond(heads, &from.ranges, &mut |chain, seq| tx.header_hash(chain, seq))?;
        message.ranges = ranges;
        for chain in contradicts {
            let detail = format!("scope {}, run {}: {} holds other entries than this replica", chain.scope, chain.run, self.peer);
            let incident = Incident { author: chain.author, kind: "digest-differs".to_owned(), detail, at: self.now.wall, closed: None };
            self.tx.put_incident(&incident)?;
        }
        for (chain, next) in lacks {
            if self.budget == 0 {
                break;
            }
            for stretch in self.tx.stretches(chain, next, LOG_READ)? {
                if self.budget == 0 {
                    break;
                }
                self.budget = self.budget.saturating_sub(STRETCH_BYTES + stretch.headers.len() * HEADER_BYTES);
                let logged = Logged { arrival: 0, headers: stretch.headers, signature: stretch.signature };
                let stretch = self.with_payloads(logged, 0, &mut Vec::new())?;
                message.stretches.push(stretch);
            }
        }
        Ok(!message.ranges.iter().all(|Range { says, .. }| *says == crate::wire::Says::Same))
    }

    /// Serves what the peer wants, in its order, as far as it fits.
    fn serve(&mut self, wants: &[Want], message: &mut Message) -> Result<(), StoreError> {
        for want in wants.iter().take(WANTS_MAX) {
            if self.budget == 0 {
                return Ok(());
            }
            let known = &self.replica.known;
            if !known.shares(want.chain, self.replica.id(), self.peer) {
                continue;
            }
            let Some(entry) = self.tx.entry(want.chain, want.seq)? else { continue };
            if !entry.state.holds() {
                // What is still on its way here is not said to be gone.
                if entry.state != State::Wanted {
                    message.absent.push((want.chain, want.seq));
                }
                continue;
            }
            let Some(payload) = self.payload(want.chain, want.seq)? else { continue };
            let Some(rest) = usize::try_from(want.offset).ok().and_then(|offset| payload.get(offset..)) else { continue };
            let piece = rest.get(..self.budget).unwrap_or(rest);
            self.budget -= piece.len();
            message.parts.push(Part { chain: want.chain, seq: want.seq, offset: want.offset, bytes: piece.to_vec() });
        }
        Ok(())
    }

    /// What is lacked here and the peer may have, most urgent first.
    fn wants(&mut self) -> Result<Vec<Want>, StoreError> {
        let (me, known, peer) = (self.replica.id(), &self.replica.known, self.peer);
        let from_hub = known.hub() == Some(peer);
        let mut keep = |chain: &ChainId| from_hub || known.may_serve(*chain, me, peer);
        let mut wants = Vec::new();
        let mut bytes = 0;
        for header in self.tx.wanted(WANTS_MAX, &mut keep)? {
            let offset = self.tx.part(header.chain(), header.seq)?.len() as u64;
            wants.push(Want { chain: header.chain(), seq: header.seq, offset });
            bytes += u64::from(header.len).saturating_sub(offset);
            if bytes >= WANTS_BYTES {
                break;
            }
        }
        Ok(wants)
    }

    /// Whether more is held than the peer was ever signed for: what it wrote may have come through others.
    fn holds_untold(&mut self, heads: &[Head], digest: Hash) -> Result<bool, StoreError> {
        let (me, peer) = (self.replica.id(), self.peer);
        if self.tx.receipt(me, peer)?.is_some_and(|last| last.digest == digest) {
            return Ok(false);
        }
        let told: BTreeMap<ChainId, u64> = self.tx.held(me, peer)?.into_iter().map(|held| (held.chain, held.next)).collect();
        Ok(heads.iter().any(|head| head.chain.author != me && told.get(&head.chain).is_none_or(|next| *next < head.next)))
    }

    /// Signs for what is held of the chains others wrote, as far as it differs from what the receipt `since` says.
    fn sign(&mut self, since: ReceiptId, heads: &[Head], message: &mut Message) -> Result<(), StoreError> {
        let (me, peer) = (self.replica.id(), self.peer);
        let said: BTreeMap<ChainId, Held> = if since == ReceiptId::default() {
            BTreeMap::new()
        } else {
            self.tx.held(me, peer)?.into_iter().map(|held| (held.chain, held)).collect()
        };
        let mut held = Vec::new();
        for head in heads.iter().filter(|head| head.chain.author != me) {
            let before = said.get(&head.chain);
            if before.is_some_and(|b| b.next == head.next && b.gaps.is_empty()) {
                continue;
            }
            let mut gaps: Vec<(u64, u64)> = Vec::new();
            for (seq, _) in self.tx.lacking(head.chain)? {
                match gaps.last_mut() {
                    Some((_, to)) if *to == seq => *to = seq + 1,
                    _ => gaps.push((seq, seq + 1)),
                }
            }
            let now = Held { chain: head.chain, next: head.next, gaps };
            if before != Some(&now) {
                held.push(now);
            }
        }
        let last = self.tx.receipt(me, peer)?;
        if held.is_empty() && since != ReceiptId::default() && last.is_some_and(|r| r.digest == message.digest) {
            return Ok(());
        }
        let receipt = Receipt::sign(&self.replica.identity, peer, self.now.wall, since, held, message.digest);
        self.tx.put_receipt(&receipt)?;
        message.receipt = Some(receipt);
        Ok(())
    }
}
